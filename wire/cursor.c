/* cursor.c - MessagePack in place.
 *
 * Problem     A frame comes from anybody: claimed lengths, claimed counts, endless nesting.
 * Idea        One table gives, for each first byte, the bytes that must follow and what they mean.
 *             Nothing is allocated and nothing recurses: skipping keeps a short stack of how many
 *             members each open array or map still owes.
 * Depth       The stack has CH_DEPTH_MAX + 1 places. Deeper than that the exact depth no longer
 *             matters (it is refused), only where the value ends; then one sum of all that is owed
 *             replaces the stack.
 */
#include "ch/cursor.h"

#include "ch/coding.h"
#include "ch/limits.h"

/* What a first byte announces. Most items need no look at anything else: their size is
 * `size` + (byte & size_mask), their members number (byte & count_mask) << count_shift. */
typedef enum {
    HEAD_BAD,
    HEAD_PLAIN,   /* the byte says it all */
    HEAD_BYTES_8, /* str, bin, ext: a length of 8, 16, 32 bits, then the payload */
    HEAD_BYTES_16,
    HEAD_BYTES_32,
    HEAD_ARRAY_16,
    HEAD_ARRAY_32,
    HEAD_MAP_16,
    HEAD_MAP_32,
} head_kind_t;

typedef struct head {
    uint8_t kind;
    uint8_t size; /* of byte and length field, and of a payload of fixed size */
    uint8_t size_mask;
    uint8_t count_mask;
    uint8_t count_shift;
    uint8_t container;
} head_t;

#define FOUR(...) __VA_ARGS__, __VA_ARGS__, __VA_ARGS__, __VA_ARGS__
#define SIXTEEN(...)                                                                     \
    FOUR(__VA_ARGS__), FOUR(__VA_ARGS__), FOUR(__VA_ARGS__), FOUR(__VA_ARGS__)
#define FIXED(bytes)                                                                     \
    {                                                                                    \
        HEAD_PLAIN, bytes, 0, 0, 0, 0                                                    \
    }
#define LONG(kind, bytes, container)                                                     \
    {                                                                                    \
        kind, bytes, 0, 0, 0, container                                                  \
    }

/* clang-format off */
#define ONE FIXED(1)
#define STR {HEAD_PLAIN, 1, 0x1f, 0, 0, 0}
#define ARRAY {HEAD_PLAIN, 1, 0, 0x0f, 0, 1}
#define MAP {HEAD_PLAIN, 1, 0, 0x0f, 1, 1}
static const head_t heads[256] = {
    SIXTEEN(ONE), SIXTEEN(ONE), SIXTEEN(ONE), SIXTEEN(ONE), /* 00-7f positive fixint */
    SIXTEEN(ONE), SIXTEEN(ONE), SIXTEEN(ONE), SIXTEEN(ONE),
    SIXTEEN(MAP),
    SIXTEEN(ARRAY),
    SIXTEEN(STR), SIXTEEN(STR),
    /* c0 */ FIXED(1), {HEAD_BAD, 0, 0, 0, 0, 0}, FIXED(1), FIXED(1), /* nil, -, false, true */
    /* c4 */ LONG(HEAD_BYTES_8, 2, 0), LONG(HEAD_BYTES_16, 3, 0), LONG(HEAD_BYTES_32, 5, 0),
    /* c7 ext, and its type */
             LONG(HEAD_BYTES_8, 3, 0), LONG(HEAD_BYTES_16, 4, 0), LONG(HEAD_BYTES_32, 6, 0),
    /* ca */ FIXED(5), FIXED(9),                                      /* float */
    /* cc */ FIXED(2), FIXED(3), FIXED(5), FIXED(9),                  /* uint */
    /* d0 */ FIXED(2), FIXED(3), FIXED(5), FIXED(9),                  /* int */
    /* d4 */ FIXED(3), FIXED(4), FIXED(6), FIXED(10), FIXED(18),      /* fixext 1 2 4 8 16 */
    /* d9 */ LONG(HEAD_BYTES_8, 2, 0), LONG(HEAD_BYTES_16, 3, 0), LONG(HEAD_BYTES_32, 5, 0),
    /* dc */ LONG(HEAD_ARRAY_16, 3, 1), LONG(HEAD_ARRAY_32, 5, 1),
             LONG(HEAD_MAP_16, 3, 1), LONG(HEAD_MAP_32, 5, 1),
    SIXTEEN(ONE), SIXTEEN(ONE), /* negative fixint */
};
/* clang-format on */

static inline uint16_t
big_u16(const uint8_t *at)
{
    return __builtin_bswap16(ch_load_u16(at));
}

static inline uint32_t
big_u32(const uint8_t *at)
{
    return __builtin_bswap32(ch_load_u32(at));
}

static inline uint64_t
big_u64(const uint8_t *at)
{
    return __builtin_bswap64(ch_load_u64(at));
}

/* Bytes of head and payload, and the items that follow it (pairs count twice). */
static inline bool
measure(const ch_cursor_t *cursor, size_t *size_out, uint64_t *members_out)
{
    size_t left = (size_t)(cursor->end - cursor->at);
    if (left == 0)
        return false;
    const uint8_t *at = cursor->at;
    const head_t *head = &heads[at[0]];
    size_t size = head->size + (size_t)(at[0] & head->size_mask);
    uint64_t members = (uint64_t)(at[0] & head->count_mask) << head->count_shift;
    if (head->size > left)
        return false;
    switch ((head_kind_t)head->kind) {
    case HEAD_PLAIN:
        break;
    case HEAD_BAD:
        return false;
    case HEAD_BYTES_8:
        size += at[1];
        break;
    case HEAD_BYTES_16:
        size += big_u16(at + 1);
        break;
    case HEAD_BYTES_32:
        size += big_u32(at + 1);
        break;
    case HEAD_ARRAY_16:
        members = big_u16(at + 1);
        break;
    case HEAD_ARRAY_32:
        members = big_u32(at + 1);
        break;
    case HEAD_MAP_16:
        members = 2 * (uint64_t)big_u16(at + 1);
        break;
    case HEAD_MAP_32:
        members = 2 * (uint64_t)big_u32(at + 1);
        break;
    }
    if (size > left || members > left - size) /* a member takes a byte at least */
        return false;
    *size_out = size;
    *members_out = members;
    return true;
}

static void
set_int(ch_item_t *item, int64_t value)
{
    item->kind = CH_ITEM_INT;
    item->i64 = value;
}

static void
set_uint(ch_item_t *item, uint64_t value)
{
    item->kind = value > INT64_MAX ? CH_ITEM_UINT : CH_ITEM_INT;
    item->u64 = value;
}

static void
set_float32(ch_item_t *item, uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    item->kind = CH_ITEM_FLOAT;
    item->f64 = (double)value;
}

static void
set_bytes(ch_item_t *item, ch_item_kind_t kind, const uint8_t *from, const uint8_t *to)
{
    item->kind = kind;
    item->bytes = ch_bytes(from, (size_t)(to - from));
}

static void
set_ext(ch_item_t *item, const uint8_t *type, const uint8_t *to)
{
    item->ext_type = (int8_t)type[0];
    set_bytes(item, CH_ITEM_EXT, type + 1, to);
}

static void
set_count(ch_item_t *item, ch_item_kind_t kind, uint64_t count)
{
    item->kind = kind;
    item->count = (uint32_t)count;
}

/* First bytes 0xca to 0xd3: numbers of a fixed size. */
static void
read_number(const uint8_t *at, ch_item_t *item)
{
    switch (at[0]) {
    case 0xca:
        set_float32(item, big_u32(at + 1));
        break;
    case 0xcb:
        item->kind = CH_ITEM_FLOAT;
        item->u64 = big_u64(at + 1);
        break;
    case 0xcc:
        set_uint(item, at[1]);
        break;
    case 0xcd:
        set_uint(item, big_u16(at + 1));
        break;
    case 0xce:
        set_uint(item, big_u32(at + 1));
        break;
    case 0xcf:
        set_uint(item, big_u64(at + 1));
        break;
    case 0xd0:
        set_int(item, (int8_t)at[1]);
        break;
    case 0xd1:
        set_int(item, (int16_t)big_u16(at + 1));
        break;
    case 0xd2:
        set_int(item, (int32_t)big_u32(at + 1));
        break;
    default: /* 0xd3 */
        set_int(item, (int64_t)big_u64(at + 1));
        break;
    }
}

/* First bytes 0xc0 to 0xdf; `end` is behind the payload. */
static void
read_typed(const uint8_t *at, const uint8_t *end, uint64_t members, ch_item_t *item)
{
    switch (at[0]) {
    case 0xc0:
        item->kind = CH_ITEM_NIL;
        break;
    case 0xc2:
    case 0xc3:
        item->kind = CH_ITEM_BOOL;
        item->boolean = at[0] & 1;
        break;
    case 0xc4:
    case 0xc5:
    case 0xc6:
        set_bytes(item, CH_ITEM_BIN, at + heads[at[0]].size, end);
        break;
    case 0xc7:
    case 0xc8:
    case 0xc9:
        set_ext(item, at + heads[at[0]].size - 1, end);
        break;
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        set_ext(item, at + 1, end);
        break;
    case 0xd9:
    case 0xda:
    case 0xdb:
        set_bytes(item, CH_ITEM_STR, at + heads[at[0]].size, end);
        break;
    case 0xdc:
    case 0xdd:
        set_count(item, CH_ITEM_ARRAY, members);
        break;
    case 0xde:
    case 0xdf:
        set_count(item, CH_ITEM_MAP, members / 2);
        break;
    default: /* 0xca to 0xd3 */
        read_number(at, item);
        break;
    }
}

bool
ch_cursor_next(ch_cursor_t *cursor, ch_item_t *item_out)
{
    size_t size;
    uint64_t members;
    if (!measure(cursor, &size, &members))
        return false;
    const uint8_t *at = cursor->at;
    cursor->at += size;
    if (at[0] < 0x80)
        set_int(item_out, at[0]);
    else if (at[0] >= 0xe0)
        set_int(item_out, (int8_t)at[0]);
    else if (at[0] >= 0xc0)
        read_typed(at, cursor->at, members, item_out);
    else if (at[0] >= 0xa0)
        set_bytes(item_out, CH_ITEM_STR, at + 1, cursor->at);
    else if (at[0] >= 0x90)
        set_count(item_out, CH_ITEM_ARRAY, members);
    else
        set_count(item_out, CH_ITEM_MAP, members / 2);
    return true;
}

/* Skip `owed` values whatever their depth. */
static bool
skip_flat(ch_cursor_t *cursor, uint64_t owed)
{
    while (owed > 0) {
        size_t size;
        uint64_t members;
        if (!measure(cursor, &size, &members))
            return false;
        cursor->at += size;
        owed += members - 1;
        if (owed > (uint64_t)(cursor->end - cursor->at))
            return false; /* also keeps the sum from overflowing */
    }
    return true;
}

/* Skip items that the first byte alone measures and that hold no others: what columns and points
 * are made of. Returns how many of `owed` are left. */
static uint64_t
skip_plain(ch_cursor_t *cursor, uint64_t owed)
{
    const uint8_t *at = cursor->at, *end = cursor->end;
    while (owed > 0 && at < end) {
        if (at[0] == 0xcb &&
            end - at >= 9) { /* guessed right, the next item need not wait */
            at += 9;         /* for this one's size to be looked up */
            owed--;
            continue;
        }
        const head_t *head = &heads[at[0]];
        size_t size = head->size + (size_t)(at[0] & head->size_mask);
        if (head->kind != HEAD_PLAIN || head->container || size > (size_t)(end - at))
            break;
        at += size;
        owed--;
    }
    cursor->at = at;
    return owed;
}

bool
ch_cursor_skip(ch_cursor_t *cursor, unsigned *depth_out)
{
    ch_cursor_t walk = *cursor;
    uint64_t owed[CH_DEPTH_MAX + 2]; /* [d]: members still to come d levels down */
    unsigned depth = 0, deepest = 0;
    owed[0] = 1;
    for (;;) {
        size_t size;
        uint64_t members;
        owed[depth] = skip_plain(&walk, owed[depth]);
        while (owed[depth] == 0 && depth > 0)
            depth--;
        if (owed[depth] == 0)
            break;
        if (!measure(&walk, &size, &members))
            return false;
        owed[depth]--;
        bool container = heads[walk.at[0]].container;
        walk.at += size;
        if (!container)
            continue;
        depth++;
        deepest = depth > deepest ? depth : deepest;
        owed[depth] = members;
        if (depth <= CH_DEPTH_MAX)
            continue;
        uint64_t sum = 0; /* too deep to be welcome: only its end matters now */
        for (unsigned d = 0; d <= depth; d++)
            sum += owed[d];
        if (!skip_flat(&walk, sum))
            return false;
        break;
    }
    *cursor = walk;
    if (depth_out)
        *depth_out = deepest;
    return true;
}

bool
ch_cursor_raw(ch_cursor_t *cursor, ch_bytes_t *raw_out)
{
    const uint8_t *start = cursor->at;
    if (!ch_cursor_skip(cursor, NULL))
        return false;
    *raw_out = ch_bytes(start, (size_t)(cursor->at - start));
    return true;
}

/* Seconds and nanoseconds to one int64, false when it does not fit. */
static bool
join_time(int64_t seconds, uint32_t nanoseconds, int64_t *time_out)
{
    int64_t time;
    if (nanoseconds > 999999999)
        return false;
    if (seconds < 0 && nanoseconds > 0) { /* so that INT64_MIN can be reached */
        seconds++;
        if (__builtin_mul_overflow(seconds, INT64_C(1000000000), &time) ||
            __builtin_add_overflow(time, (int64_t)nanoseconds - 1000000000, &time))
            return false;
    } else if (__builtin_mul_overflow(seconds, INT64_C(1000000000), &time) ||
               __builtin_add_overflow(time, (int64_t)nanoseconds, &time)) {
        return false;
    }
    *time_out = time;
    return true;
}

bool
ch_item_time(const ch_item_t *item, int64_t *time_out)
{
    if (item->kind == CH_ITEM_INT) {
        *time_out = item->i64;
        return true;
    }
    if (item->kind != CH_ITEM_EXT || item->ext_type != -1)
        return false;
    const uint8_t *at = item->bytes.data;
    switch (item->bytes.size) {
    case 4:
        return join_time(big_u32(at), 0, time_out);
    case 8:
        return join_time((int64_t)(big_u64(at) & 0x3ffffffff),
                         (uint32_t)(big_u64(at) >> 34), time_out);
    case 12:
        return join_time((int64_t)big_u64(at + 4), big_u32(at), time_out);
    default:
        return false;
    }
}
