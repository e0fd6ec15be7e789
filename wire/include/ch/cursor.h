/// MessagePack read in place: one item at a time, bounds-checked, no recursion, no allocation.
///
/// Shape    an array or map hands out its header only (`count` items or pairs follow); strings,
///          binaries and extensions point into the bytes.
/// Errors   false at the end of the bytes, on 0xc1, on a length beyond the end, and on a count that
///          the bytes left cannot hold; the cursor does not move then.
/// Source   https://github.com/msgpack/msgpack/blob/master/spec.md
/// Threads  pure functions.
#ifndef CH_CURSOR_H
#define CH_CURSOR_H

#include "ch/bytes.h"

typedef enum {
    CH_ITEM_NIL,
    CH_ITEM_BOOL,
    CH_ITEM_INT,  /* fits int64 */
    CH_ITEM_UINT, /* above 2^63-1: `u64` */
    CH_ITEM_FLOAT,
    CH_ITEM_STR,
    CH_ITEM_BIN,
    CH_ITEM_ARRAY,
    CH_ITEM_MAP,
    CH_ITEM_EXT,
} ch_item_kind_t;

typedef struct ch_item {
    ch_item_kind_t kind;
    int8_t ext_type;
    uint32_t count; /* ARRAY: items, MAP: pairs */
    union {
        bool boolean;
        int64_t i64;
        uint64_t u64;
        double f64;       /* a float32 is widened */
        ch_bytes_t bytes; /* STR, BIN, EXT */
    };
} ch_item_t;

typedef struct ch_cursor {
    const uint8_t *at;
    const uint8_t *end;
} ch_cursor_t;

static inline ch_cursor_t
ch_cursor(ch_bytes_t bytes)
{
    const uint8_t *end =
        bytes.size ? bytes.data + bytes.size : bytes.data; /* NULL + 0 is UB */
    return (ch_cursor_t){.at = bytes.data, .end = end};
}

static inline bool
ch_cursor_done(const ch_cursor_t *cursor)
{
    return cursor->at == cursor->end;
}

/// Read one item's header (and payload, but not the members of arrays and maps).
bool ch_cursor_next(ch_cursor_t *cursor, ch_item_t *item_out);

/// Skip one whole value of any depth, without recursion. *depth_out, when not NULL, becomes the
/// nesting of arrays and maps in it (0 for a scalar), exact up to CH_DEPTH_MAX + 1.
bool ch_cursor_skip(ch_cursor_t *cursor, unsigned *depth_out);

/// Skip one value and hand out its bytes.
bool ch_cursor_raw(ch_cursor_t *cursor, ch_bytes_t *raw_out);

/// A time: an int, or msgpack's own timestamp (ext -1, 4, 8 or 12 bytes) when it fits int64
/// nanoseconds.
bool ch_item_time(const ch_item_t *item, int64_t *time_out);

static inline bool
ch_item_is(const ch_item_t *item, const char *text)
{
    return item->kind == CH_ITEM_STR && ch_bytes_equal(item->bytes, ch_bytes_text(text));
}

#endif
