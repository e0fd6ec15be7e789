/// The items that batches are mostly made of, read without a call: float64, 64-bit ints, strings
/// below 256 bytes. False (and the cursor stays) for everything else: then use ch_cursor_next.
#ifndef CH_CURSOR_FAST_H
#define CH_CURSOR_FAST_H

#include "ch/coding.h"
#include "ch/cursor.h"

static inline bool
ch_cursor_float(ch_cursor_t *cursor, double *value_out)
{
    if (cursor->end - cursor->at < 9 || cursor->at[0] != 0xcb)
        return false;
    uint64_t bits = __builtin_bswap64(ch_load_u64(cursor->at + 1));
    memcpy(value_out, &bits, sizeof bits);
    cursor->at += 9;
    return true;
}

/// int 64, and uint 64 where it fits.
static inline bool
ch_cursor_int(ch_cursor_t *cursor, int64_t *value_out)
{
    if (cursor->end - cursor->at < 9 || (cursor->at[0] != 0xcf && cursor->at[0] != 0xd3))
        return false;
    int64_t value = (int64_t)__builtin_bswap64(ch_load_u64(cursor->at + 1));
    if (cursor->at[0] == 0xcf && value < 0)
        return false;
    *value_out = value;
    cursor->at += 9;
    return true;
}

static inline bool
ch_cursor_str(ch_cursor_t *cursor, ch_bytes_t *text_out)
{
    size_t left = (size_t)(cursor->end - cursor->at), head, size;
    if (left < 2)
        return false;
    if ((cursor->at[0] & 0xe0) == 0xa0) {
        head = 1;
        size = cursor->at[0] & 0x1f;
    } else if (cursor->at[0] == 0xd9) {
        head = 2;
        size = cursor->at[1];
    } else {
        return false;
    }
    if (size > left - head)
        return false;
    *text_out = ch_bytes(cursor->at + head, size);
    cursor->at += head + size;
    return true;
}

#endif
