#include "ch/bytes.h"

#include "ch/coding.h"

/* Length of the well-formed sequence at `at`, 0 when there is none (Unicode 15, table 3-7). */
static size_t
sequence_size(const uint8_t *at, size_t left)
{
    uint8_t lead = at[0];
    if (lead < 0x80)
        return 1;
    size_t size = lead >= 0xc2 && lead < 0xe0   ? 2
                  : lead >= 0xe0 && lead < 0xf0 ? 3
                  : lead >= 0xf0 && lead < 0xf5 ? 4
                                                : 0;
    if (size == 0 || size > left)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((lead == 0xe0 && at[1] < 0xa0) || (lead == 0xed && at[1] > 0x9f) ||
        (lead == 0xf0 && at[1] < 0x90) || (lead == 0xf4 && at[1] > 0x8f))
        return 0; /* overlong, surrogate, above U+10FFFF */
    return size;
}

bool
ch_bytes_is_utf8(ch_bytes_t bytes)
{
    const uint64_t high_bits = 0x8080808080808080u;
    size_t at = 0;
    while (at < bytes.size) {
        if (bytes.size - at >= 8 && !(ch_load_u64(bytes.data + at) & high_bits)) {
            at += 8; /* ASCII, the usual case */
            continue;
        }
        size_t size = sequence_size(bytes.data + at, bytes.size - at);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}
