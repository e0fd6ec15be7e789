#include "wal/wal_column.h"

#include "wal/wal_format.h"

static const uint8_t *
zigzag_get(const uint8_t *from, const uint8_t *end, int64_t *value_out)
{
    uint64_t raw = 0;
    from = ch_varint_get(from, end, &raw);
    *value_out = ch_unzigzag(raw);
    return from;
}

static const uint8_t *
byte_get(const uint8_t *from, const uint8_t *end, unsigned max, unsigned *value_out)
{
    if (from == end || *from > max)
        return NULL;
    *value_out = *from;
    return from + 1;
}

static void
ints_widen(const uint8_t *from, unsigned width, uint64_t min, int64_t *ints_out, size_t n)
{
    switch (width) {
    case 0:
        for (size_t i = 0; i < n; i++)
            ints_out[i] = (int64_t)min;
        break;
    case 1:
        for (size_t i = 0; i < n; i++)
            ints_out[i] = (int64_t)(min + from[i]);
        break;
    case 2:
        for (size_t i = 0; i < n; i++)
            ints_out[i] = (int64_t)(min + ch_load_u16(from + i * 2));
        break;
    case 4:
        for (size_t i = 0; i < n; i++)
            ints_out[i] = (int64_t)(min + ch_load_u32(from + i * 4));
        break;
    default:
        for (size_t i = 0; i < n; i++)
            ints_out[i] = (int64_t)(min + ch_load_u64(from + i * 8));
        break;
    }
}

const uint8_t *
ch_wal_ints_decode(const uint8_t *from, const uint8_t *end, int64_t *ints_out, size_t n)
{
    unsigned width;
    int64_t min;
    from = byte_get(from, end, 8, &width);
    if (!from || (width != 0 && (width & (width - 1)) != 0))
        return NULL;
    from = zigzag_get(from, end, &min);
    if (!from || (width != 0 && n > (size_t)(end - from) / width))
        return NULL;
    ints_widen(from, width, (uint64_t)min, ints_out, n);
    return from + n * width;
}

/* --- ids ------------------------------------------------------------------------------------- */

/* first + i * step for n ids; false when one leaves u32. */
static bool
ids_fill(uint32_t *ids, size_t n, int64_t first, int64_t step)
{
    if (n == 0)
        return true;
    if (first < 0 || first > UINT32_MAX || step < -(int64_t)UINT32_MAX ||
        step > UINT32_MAX)
        return false;
    int64_t last = first + (int64_t)(n - 1) * step; /* n <= 2^22: no overflow */
    if (last < 0 || last > UINT32_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        ids[i] = (uint32_t)(first + (int64_t)i * step);
    return true;
}

static const uint8_t *
ids_decode_rows(const uint8_t *from, const uint8_t *end, size_t rows, size_t fields,
                ch_wal_arena_t *arena, uint32_t *ids_out)
{
    int64_t step;
    from = zigzag_get(from, end, &step);
    if (!from)
        return NULL;
    int64_t *firsts = ch_wal_arena_take(arena, rows * sizeof *firsts);
    from = ch_wal_ints_decode(from, end, firsts, rows);
    for (size_t i = 0; from && i < rows; i++)
        if (!ids_fill(ids_out + i * fields, fields, firsts[i], step))
            return NULL;
    return from;
}

static const uint8_t *
ids_decode_ints(const uint8_t *from, const uint8_t *end, size_t n, ch_wal_arena_t *arena,
                uint32_t *ids_out)
{
    int64_t *wide = ch_wal_arena_take(arena, n * sizeof *wide);
    from = ch_wal_ints_decode(from, end, wide, n);
    for (size_t i = 0; from && i < n; i++) {
        if (wide[i] < 0 || wide[i] > UINT32_MAX)
            return NULL;
        ids_out[i] = (uint32_t)wide[i];
    }
    return from;
}

const uint8_t *
ch_wal_ids_decode(const uint8_t *from, const uint8_t *end, size_t rows, size_t fields,
                  ch_wal_arena_t *arena, uint32_t *ids_out)
{
    unsigned form;
    uint64_t first;
    int64_t step;
    from = byte_get(from, end, CH_WAL_IDS_INTS, &form);
    if (!from)
        return NULL;
    if (form == CH_WAL_IDS_ROWS)
        return ids_decode_rows(from, end, rows, fields, arena, ids_out);
    if (form == CH_WAL_IDS_INTS)
        return ids_decode_ints(from, end, rows * fields, arena, ids_out);
    from = ch_varint_get_max(from, end, UINT32_MAX, &first);
    from = from ? zigzag_get(from, end, &step) : NULL;
    return from && ids_fill(ids_out, rows * fields, (int64_t)first, step) ? from : NULL;
}

/* --- times ----------------------------------------------------------------------------------- */

static const uint8_t *
times_decode_regular(const uint8_t *from, const uint8_t *end, int64_t record_time,
                     ch_times_t *times)
{
    int64_t start;
    from = zigzag_get(from, end, &start);
    from = from ? zigzag_get(from, end, &times->step) : NULL;
    times->form = CH_TIMES_REGULAR;
    if (from)
        times->start = (int64_t)((uint64_t)start + (uint64_t)record_time);
    return from;
}

static const uint8_t *
times_decode_offsets(const uint8_t *from, const uint8_t *end, uint32_t rows,
                     ch_wal_arena_t *arena, ch_times_t *times)
{
    int64_t *packed = ch_wal_arena_take(arena, rows * sizeof *packed);
    times->form = CH_TIMES_PACKED;
    times->packed = (const uint8_t *)packed;
    return ch_wal_ints_decode(from, end, packed, rows);
}

static const uint8_t *
times_decode_deltas(const uint8_t *from, const uint8_t *end, uint32_t rows,
                    int64_t record_time, ch_wal_arena_t *arena, ch_times_t *times)
{
    int64_t first;
    from = zigzag_get(from, end, &first);
    if (!from || rows == 0)
        return NULL;
    int64_t *packed = ch_wal_arena_take(arena, rows * sizeof *packed);
    packed[0] = (int64_t)((uint64_t)first + (uint64_t)record_time);
    from = ch_wal_ints_decode(from, end, packed + 1, rows - 1);
    for (uint32_t i = 1; from && i < rows; i++)
        packed[i] = (int64_t)((uint64_t)packed[i] + (uint64_t)packed[i - 1]);
    times->form = CH_TIMES_PACKED;
    times->packed = (const uint8_t *)packed;
    return from;
}

const uint8_t *
ch_wal_times_decode(const uint8_t *from, const uint8_t *end, uint32_t rows,
                    int64_t record_time, ch_wal_times_memory_t *memory,
                    ch_wal_arena_t *arena, ch_times_t *times_out)
{
    unsigned form;
    ch_times_t times = {0};
    from = byte_get(from, end, CH_WAL_TIMES_DELTAS, &form);
    if (!from)
        return NULL;
    if (form == CH_WAL_TIMES_SAME) {
        if (!memory->present || memory->rows != rows)
            return NULL;
        *times_out = memory->times;
        return from;
    }
    if (form == CH_WAL_TIMES_REGULAR)
        from = times_decode_regular(from, end, record_time, &times);
    else if (form == CH_WAL_TIMES_OFFSETS)
        from = times_decode_offsets(from, end, rows, arena, &times);
    else
        from = times_decode_deltas(from, end, rows, record_time, arena, &times);
    *memory = (ch_wal_times_memory_t){.present = true, .rows = rows, .times = times};
    *times_out = times;
    return from;
}

/* --- values ---------------------------------------------------------------------------------- */

static const uint8_t *
values_decode_ints(const uint8_t *from, const uint8_t *end, uint32_t rows,
                   ch_wal_arena_t *arena, ch_values_t *values)
{
    int64_t *packed = ch_wal_arena_take(arena, rows * sizeof *packed);
    values->form = CH_VALUES_I64;
    values->packed = (const uint8_t *)packed;
    return ch_wal_ints_decode(from, end, packed, rows);
}

static const uint8_t *
values_decode_floats(const uint8_t *from, const uint8_t *end, uint32_t rows,
                     ch_values_t *values)
{
    if (rows > (size_t)(end - from) / 8)
        return NULL;
    values->form = CH_VALUES_F64;
    values->packed = from;
    return from + (size_t)rows * 8;
}

static const uint8_t *
values_decode_integral(const uint8_t *from, const uint8_t *end, uint32_t rows,
                       ch_wal_arena_t *arena, ch_values_t *values)
{
    int64_t *packed = ch_wal_arena_take(arena, rows * sizeof *packed);
    from = ch_wal_ints_decode(from, end, packed, rows);
    for (uint32_t i = 0; from && i < rows; i++) {
        double value = (double)packed[i];
        memcpy(&packed[i], &value, 8);
    }
    values->form = CH_VALUES_F64;
    values->packed = (const uint8_t *)packed;
    return from;
}

static const uint8_t *
list_decode_string(const uint8_t *from, const uint8_t *end, ch_value_t *value)
{
    uint64_t size;
    from = ch_varint_get(from, end, &size);
    if (!from || size > (size_t)(end - from))
        return NULL;
    *value = ch_value_string(ch_bytes(from, (size_t)size));
    return from + size;
}

static const uint8_t *
list_decode_value(const uint8_t *from, const uint8_t *end, ch_value_t *value)
{
    unsigned tag;
    int64_t whole;
    from = byte_get(from, end, CH_WAL_TAG_NONE, &tag);
    if (!from)
        return NULL;
    switch ((ch_wal_tag_t)tag) {
    case CH_WAL_TAG_INT:
        from = zigzag_get(from, end, &whole);
        *value = ch_value_int(whole);
        return from;
    case CH_WAL_TAG_FLOAT:
        if (end - from < 8)
            return NULL;
        *value = ch_value_float(ch_load_f64(from));
        return from + 8;
    case CH_WAL_TAG_FALSE:
    case CH_WAL_TAG_TRUE:
        *value = ch_value_bool(tag == CH_WAL_TAG_TRUE);
        return from;
    case CH_WAL_TAG_STRING:
        return list_decode_string(from, end, value);
    case CH_WAL_TAG_NONE:
        *value = (ch_value_t){.type = CH_VALUE_NONE};
        return from;
    }
    return NULL;
}

static const uint8_t *
values_decode_list(const uint8_t *from, const uint8_t *end, uint32_t rows,
                   ch_wal_arena_t *arena, ch_values_t *values)
{
    if (rows > (size_t)(end - from)) /* a tag each, before room is made */
        return NULL;
    ch_value_t *list = ch_wal_arena_take(arena, rows * sizeof *list);
    for (uint32_t i = 0; from && i < rows; i++)
        from = list_decode_value(from, end, &list[i]);
    values->form = CH_VALUES_LIST;
    values->list = list;
    return from;
}

const uint8_t *
ch_wal_values_decode(const uint8_t *from, const uint8_t *end, uint32_t rows,
                     ch_wal_arena_t *arena, ch_values_t *values_out)
{
    unsigned form;
    ch_values_t values = {0};
    from = byte_get(from, end, CH_WAL_VALUES_LIST, &form);
    if (!from)
        return NULL;
    switch ((ch_wal_values_form_t)form) {
    case CH_WAL_VALUES_INTS:
        from = values_decode_ints(from, end, rows, arena, &values);
        break;
    case CH_WAL_VALUES_FLOATS:
        from = values_decode_floats(from, end, rows, &values);
        break;
    case CH_WAL_VALUES_INTEGRAL:
        from = values_decode_integral(from, end, rows, arena, &values);
        break;
    case CH_WAL_VALUES_LIST:
        from = values_decode_list(from, end, rows, arena, &values);
        break;
    }
    *values_out = values;
    return from;
}
