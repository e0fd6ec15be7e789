/* wal_column_encode.c - columns made small at memory speed.
 *
 * Idea        A column of ints is its least value and offsets as wide as the range needs. One pass finds
 *             the range, one narrows; both are plain loops without branches, which compilers turn
 *             into vector code. Floats that are all whole numbers go the same way: adding and
 *             subtracting 1.5 * 2^52 leaves exactly the whole numbers below 2^51 unchanged, and the bits of
 *             the sum minus the bits of the constant are the number as an int.
 * Example     Times 1000, 1010, 1020 are (start 1000, step 10); values 7, 9, 8 are (7; 0, 2, 1): 5 bytes.
 */
#include "wal/wal_column.h"

#include "ch/assert.h"
#include "wal/wal_format.h"

/* GCC 12 vectorises at -O2 only loops whose trip count it knows; clang does by itself. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__)
#define VECTORISED __attribute__((optimize("O3")))
#else
#define VECTORISED
#endif

#define INTEGRAL_MAGIC 6755399441055744.0 /* 1.5 * 2^52 */
#define INTEGRAL_MAX (INT64_C(1) << 51)

static inline int64_t
int_at(const uint8_t *packed, size_t i)
{
    int64_t value;
    /* NOLINTNEXTLINE(clang-analyzer-unix.cstring.NullArg): a column of no rows is never read */
    __builtin_memcpy(&value, packed + i * 8, 8);
    return value;
}

static VECTORISED void
ints_range(const uint8_t *packed, size_t n, int64_t *min_out, int64_t *max_out)
{
    int64_t min = int_at(packed, 0), max = min;
    for (size_t i = 1; i < n; i++) {
        int64_t value = int_at(packed, i);
        min = value < min ? value : min;
        max = value > max ? value : max;
    }
    *min_out = min;
    *max_out = max;
}

static VECTORISED void
ints_narrow_8(const uint8_t *packed, size_t n, uint64_t min, uint8_t *restrict out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)((uint64_t)int_at(packed, i) - min);
}

static VECTORISED void
ints_narrow_16(const uint8_t *packed, size_t n, uint64_t min, uint8_t *restrict out)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t offset = (uint16_t)((uint64_t)int_at(packed, i) - min);
        __builtin_memcpy(out + i * 2, &offset, 2);
    }
}

static VECTORISED void
ints_narrow_32(const uint8_t *packed, size_t n, uint64_t min, uint8_t *restrict out)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t offset = (uint32_t)((uint64_t)int_at(packed, i) - min);
        __builtin_memcpy(out + i * 4, &offset, 4);
    }
}

static unsigned
width_of(uint64_t range)
{
    if (range == 0)
        return 0;
    if (range <= UINT8_MAX)
        return 1;
    if (range <= UINT16_MAX)
        return 2;
    return range <= UINT32_MAX ? 4 : 8;
}

static void
ints_encode_range(ch_wal_buffer_t *out, const uint8_t *packed, size_t n, int64_t min,
                  int64_t max)
{
    unsigned width = width_of((uint64_t)max - (uint64_t)min);
    if (width == 8)
        min = 0; /* the offsets are the values */
    ch_wal_buffer_byte(out, width);
    ch_wal_buffer_varint(out, ch_zigzag(min));
    uint8_t *to = ch_wal_buffer_room(out, n * width);
    if (width == 1)
        ints_narrow_8(packed, n, (uint64_t)min, to);
    else if (width == 2)
        ints_narrow_16(packed, n, (uint64_t)min, to);
    else if (width == 4)
        ints_narrow_32(packed, n, (uint64_t)min, to);
    else if (width == 8)
        memcpy(to, packed, n * 8);
    out->size += n * width;
}

void
ch_wal_ints_encode(ch_wal_buffer_t *out, const uint8_t *packed, size_t n)
{
    int64_t min = 0, max = 0;
    if (n > 0)
        ints_range(packed, n, &min, &max);
    ints_encode_range(out, packed, n, min, max);
}

/* --- ids ------------------------------------------------------------------------------------- */

static VECTORISED bool
ids_are_regular(const uint32_t *ids, size_t n, uint32_t step)
{
    uint32_t first = ids[0], wrong = 0;
    for (size_t i = 0; i < n; i++)
        wrong |= (ids[i] - first) ^ ((uint32_t)i * step);
    return wrong == 0;
}

static bool
ids_rows_share_step(const uint32_t *ids, size_t rows, size_t fields, uint32_t step)
{
    for (size_t i = 0; i < rows; i++)
        if (!ids_are_regular(ids + i * fields, fields, step))
            return false;
    return true;
}

/* Ids `stride` apart, as a column of ints. */
static void
ids_encode_ints(ch_wal_buffer_t *out, const uint32_t *ids, size_t n, size_t stride,
                ch_wal_buffer_t *scratch)
{
    scratch->size = 0;
    uint8_t *wide = ch_wal_buffer_room(scratch, n * 8);
    for (size_t i = 0; i < n; i++)
        ch_store_u64(wide + i * 8, ids[i * stride]);
    ch_wal_ints_encode(out, wide, n);
}

void
ch_wal_ids_encode(ch_wal_buffer_t *out, const uint32_t *ids, size_t rows, size_t fields,
                  ch_wal_buffer_t *scratch)
{
    size_t n = rows * fields;
    int64_t step = n > 1 ? (int64_t)ids[1] - (int64_t)ids[0] : 0;
    if (n == 0 || ids_are_regular(ids, n, (uint32_t)step)) {
        ch_wal_buffer_byte(out, CH_WAL_IDS_REGULAR);
        ch_wal_buffer_varint(out, n ? ids[0] : 0);
        ch_wal_buffer_varint(out, ch_zigzag(step));
    } else if (fields > 1 && ids_rows_share_step(ids, rows, fields, (uint32_t)step)) {
        ch_wal_buffer_byte(out, CH_WAL_IDS_ROWS);
        ch_wal_buffer_varint(out, ch_zigzag(step));
        ids_encode_ints(out, ids, rows, fields, scratch);
    } else {
        ch_wal_buffer_byte(out, CH_WAL_IDS_INTS);
        ids_encode_ints(out, ids, n, 1, scratch);
    }
}

/* --- times ----------------------------------------------------------------------------------- */

static VECTORISED bool
times_are_regular(const uint8_t *packed, size_t n, uint64_t step)
{
    uint64_t expected = (uint64_t)int_at(packed, 0), wrong = 0;
    for (size_t i = 0; i < n; i++)
        wrong |= (uint64_t)int_at(packed, i) ^ (expected + i * step);
    return wrong == 0;
}

static VECTORISED void
times_deltas(const uint8_t *packed, size_t n, uint8_t *restrict out)
{
    for (size_t i = 0; i + 1 < n; i++) {
        uint64_t delta = (uint64_t)int_at(packed, i + 1) - (uint64_t)int_at(packed, i);
        __builtin_memcpy(out + i * 8, &delta, 8);
    }
}

/* Packed times in equal steps become regular; a regular run of none or one loses its step. */
static ch_times_t
times_normalise(const ch_times_t *times, uint32_t rows)
{
    ch_times_t normal = *times;
    if (rows == 0)
        return (ch_times_t){.form = CH_TIMES_REGULAR};
    if (times->form == CH_TIMES_PACKED) {
        uint64_t start = (uint64_t)int_at(times->packed, 0);
        uint64_t step = rows > 1 ? (uint64_t)int_at(times->packed, 1) - start : 0;
        if (!times_are_regular(times->packed, rows, step))
            return normal;
        normal.form = CH_TIMES_REGULAR;
        normal.start = (int64_t)start;
        normal.step = (int64_t)step;
    }
    normal.packed = NULL;
    if (rows == 1)
        normal.step = 0;
    return normal;
}

static bool
times_equal(const ch_times_t *a, const ch_times_t *b, uint32_t rows)
{
    if (a->form != b->form)
        return false;
    if (a->form == CH_TIMES_REGULAR)
        return a->start == b->start && a->step == b->step;
    CH_ASSERT(a->packed);
    CH_ASSERT(b->packed);
    return a->packed == b->packed || memcmp(a->packed, b->packed, (size_t)rows * 8) == 0;
}

/* Offsets from the least, or differences when those are narrower. rows >= 2: a single time is regular. */
static void
times_encode_packed(ch_wal_buffer_t *out, const uint8_t *packed, uint32_t rows,
                    int64_t record_time, ch_wal_buffer_t *scratch)
{
    int64_t min, max, delta_min, delta_max;
    scratch->size = 0;
    uint8_t *deltas = ch_wal_buffer_room(scratch, (size_t)rows * 8);
    times_deltas(packed, rows, deltas);
    ints_range(packed, rows, &min, &max);
    ints_range(deltas, rows - 1, &delta_min, &delta_max);
    if (width_of((uint64_t)delta_max - (uint64_t)delta_min) <
        width_of((uint64_t)max - (uint64_t)min)) {
        ch_wal_buffer_byte(out, CH_WAL_TIMES_DELTAS);
        uint64_t first = (uint64_t)int_at(packed, 0) - (uint64_t)record_time;
        ch_wal_buffer_varint(out, ch_zigzag((int64_t)first));
        ints_encode_range(out, deltas, rows - 1, delta_min, delta_max);
    } else {
        ch_wal_buffer_byte(out, CH_WAL_TIMES_OFFSETS);
        ints_encode_range(out, packed, rows, min, max);
    }
}

void
ch_wal_times_encode(ch_wal_buffer_t *out, const ch_times_t *times, uint32_t rows,
                    int64_t record_time, ch_wal_times_memory_t *memory,
                    ch_wal_buffer_t *scratch)
{
    ch_times_t normal = times_normalise(times, rows);
    if (memory->present && memory->rows == rows &&
        times_equal(&normal, &memory->times, rows)) {
        ch_wal_buffer_byte(out, CH_WAL_TIMES_SAME);
        return;
    }
    *memory = (ch_wal_times_memory_t){.present = true, .rows = rows, .times = normal};
    if (normal.form == CH_TIMES_PACKED) {
        times_encode_packed(out, normal.packed, rows, record_time, scratch);
        return;
    }
    uint64_t start = (uint64_t)normal.start - (uint64_t)record_time;
    ch_wal_buffer_byte(out, CH_WAL_TIMES_REGULAR);
    ch_wal_buffer_varint(out, ch_zigzag((int64_t)start));
    ch_wal_buffer_varint(out, ch_zigzag(normal.step));
}

/* --- values ---------------------------------------------------------------------------------- */

/* True when every float is a whole number below 2^51 and not -0.0; writes them as ints. */
static VECTORISED bool
floats_to_ints(const uint8_t *packed, size_t n, uint8_t *restrict out)
{
    uint64_t wrong = 0;
    int64_t magic_bits, min = 0, max = 0;
    double magic = INTEGRAL_MAGIC;
    __builtin_memcpy(&magic_bits, &magic, 8);
    for (size_t i = 0; i < n; i++) {
        double value, back;
        uint64_t value_bits, back_bits, sum_bits;
        __builtin_memcpy(&value, packed + i * 8, 8);
        double sum = value + magic;
        back = sum - magic;
        __builtin_memcpy(&value_bits, &value, 8);
        __builtin_memcpy(&back_bits, &back, 8);
        __builtin_memcpy(&sum_bits, &sum, 8);
        wrong |= value_bits ^ back_bits;
        int64_t whole = (int64_t)(sum_bits - (uint64_t)magic_bits);
        min = whole < min ? whole : min;
        max = whole > max ? whole : max;
        __builtin_memcpy(out + i * 8, &whole, 8);
    }
    return wrong == 0 && min > -INTEGRAL_MAX && max < INTEGRAL_MAX;
}

static void
floats_encode(ch_wal_buffer_t *out, const uint8_t *packed, size_t n,
              ch_wal_buffer_t *scratch)
{
    enum { PROBE = 8 }; /* most columns that are not whole say so at once */
    scratch->size = 0;
    uint8_t *ints = ch_wal_buffer_room(scratch, n * 8 + 8);
    if (floats_to_ints(packed, n < PROBE ? n : PROBE, ints) &&
        floats_to_ints(packed, n, ints)) {
        ch_wal_buffer_byte(out, CH_WAL_VALUES_INTEGRAL);
        ch_wal_ints_encode(out, ints, n);
        return;
    }
    ch_wal_buffer_byte(out, CH_WAL_VALUES_FLOATS);
    ch_wal_buffer_append(out, packed, n * 8);
}

static void
list_encode_value(ch_wal_buffer_t *out, ch_value_t value)
{
    switch (value.type) {
    case CH_VALUE_INT:
        ch_wal_buffer_byte(out, CH_WAL_TAG_INT);
        ch_wal_buffer_varint(out, ch_zigzag(value.i64));
        break;
    case CH_VALUE_FLOAT:
        ch_wal_buffer_byte(out, CH_WAL_TAG_FLOAT);
        ch_wal_buffer_append(out, &value.f64, 8);
        break;
    case CH_VALUE_BOOL:
        ch_wal_buffer_byte(out, value.boolean ? CH_WAL_TAG_TRUE : CH_WAL_TAG_FALSE);
        break;
    case CH_VALUE_STRING:
        ch_wal_buffer_byte(out, CH_WAL_TAG_STRING);
        ch_wal_buffer_varint(out, value.string.size);
        ch_wal_buffer_append(out, value.string.data, value.string.size);
        break;
    case CH_VALUE_NONE:
        ch_wal_buffer_byte(out, CH_WAL_TAG_NONE);
        break;
    }
}

static bool
list_is_all(const ch_value_t *list, size_t n, ch_value_type_t type)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].type != type)
            return false;
    return n > 0;
}

/* A list of one numeric type is a packed column that nobody packed yet. */
static const uint8_t *
list_pack(const ch_value_t *list, size_t n, ch_wal_buffer_t *scratch)
{
    scratch->size = 0;
    uint8_t *packed = ch_wal_buffer_room(scratch, n * 8);
    for (size_t i = 0; i < n; i++)
        memcpy(packed + i * 8, &list[i].i64, 8);
    return packed;
}

static void
list_encode(ch_wal_buffer_t *out, const ch_value_t *list, size_t n,
            ch_wal_buffer_t *scratch)
{
    if (list_is_all(list, n, CH_VALUE_INT)) {
        ch_wal_buffer_byte(out, CH_WAL_VALUES_INTS);
        ch_wal_ints_encode(out, list_pack(list, n, scratch), n);
    } else if (list_is_all(list, n, CH_VALUE_FLOAT)) {
        ch_wal_buffer_byte(out, CH_WAL_VALUES_FLOATS);
        ch_wal_buffer_append(out, list_pack(list, n, scratch), n * 8);
    } else {
        ch_wal_buffer_byte(out, CH_WAL_VALUES_LIST);
        for (size_t i = 0; i < n; i++)
            list_encode_value(out, list[i]);
    }
}

void
ch_wal_values_encode(ch_wal_buffer_t *out, const ch_values_t *values, uint32_t rows,
                     ch_wal_buffer_t *scratch)
{
    switch (values->form) {
    case CH_VALUES_I64:
        ch_wal_buffer_byte(out, CH_WAL_VALUES_INTS);
        ch_wal_ints_encode(out, values->packed, rows);
        break;
    case CH_VALUES_F64:
        floats_encode(out, values->packed, rows, scratch);
        break;
    case CH_VALUES_LIST:
        list_encode(out, values->list, rows, scratch);
        break;
    }
}
