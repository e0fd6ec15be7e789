#include "ch/z85.h"

#include <string.h>

enum { GROUP = 5, BASE = 85, GROUP_BYTES = 4 };

static const char alphabet[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTU"
                               "VWXYZ.-:+=^!/*?&<>()[]{}@%$#";
_Static_assert(sizeof alphabet == BASE + 1, "85 characters");

static bool
decode_group(const char *text, uint8_t out[GROUP_BYTES])
{
    uint64_t value = 0;
    for (int i = 0; i < GROUP; i++) {
        const char *digit = text[i] ? strchr(alphabet, text[i]) : NULL;
        if (!digit)
            return false;
        value = value * BASE + (uint64_t)(digit - alphabet);
    }
    if (value > UINT32_MAX)
        return false;
    for (int i = 0; i < GROUP_BYTES; i++)
        out[i] = (uint8_t)(value >> (24 - 8 * i));
    return true;
}

bool
ch_z85_decode(const char *text, size_t size, uint8_t key_out[CH_KEY_BYTES])
{
    uint8_t key[CH_KEY_BYTES];
    if (size != CH_KEY_TEXT)
        return false;
    for (int i = 0; i < CH_KEY_TEXT / GROUP; i++) {
        if (!decode_group(text + (ptrdiff_t)i * GROUP,
                          key + (ptrdiff_t)i * GROUP_BYTES)) {
            explicit_bzero(key, sizeof key);
            return false;
        }
    }
    memcpy(key_out, key, sizeof key);
    explicit_bzero(key, sizeof key);
    return true;
}

void
ch_z85_encode(const uint8_t key[CH_KEY_BYTES], char text_out[CH_KEY_TEXT_BYTES])
{
    for (int i = 0; i < CH_KEY_TEXT / GROUP; i++) {
        const uint8_t *bytes = key + (ptrdiff_t)i * GROUP_BYTES;
        uint32_t value = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
                         (uint32_t)bytes[2] << 8 | bytes[3];
        for (int j = GROUP - 1; j >= 0; j--) {
            text_out[i * GROUP + j] = alphabet[value % BASE];
            value /= BASE;
        }
    }
    text_out[CH_KEY_TEXT] = '\0';
}
