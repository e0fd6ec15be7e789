/* chunk.c - points to a time column and a value column, and back.
 *
 * The type of a chunk follows its points: ints, floats, bools and strings have a column each; points of
 * several types get a column of type tags and then one column per type, values in order. */
#include "column/chunk.h"

#include "column/aggregates.h"
#include "column/float_column.h"
#include "column/int_column.h"
#include "column/kernels.h"
#include "column/scratch.h"
#include "column/string_column.h"
#include "ch/assert.h"
#include "ch/coding.h"

enum { TYPE_INT, TYPE_FLOAT, TYPE_BOOL, TYPE_STRING, TYPE_MIXED };

_Static_assert((int)TYPE_INT == (int)CH_VALUE_INT,
               "chunk types of one kind are value types");
_Static_assert((int)TYPE_FLOAT == (int)CH_VALUE_FLOAT, "the same");
_Static_assert((int)TYPE_BOOL == (int)CH_VALUE_BOOL, "the same");
_Static_assert((int)TYPE_STRING == (int)CH_VALUE_STRING, "the same");

static ch_status_t
corrupt(const char *what)
{
    return ch_fail(CH_ERR_CORRUPT, "chunk: %s", what);
}

/* ---- encode ---- */

size_t
ch_chunk_bytes_max(const ch_points_t *points, size_t from, size_t to)
{
    size_t n = to - from, bytes = 0;
    if (points->form != CH_POINTS_LIST)
        return ch_float_column_bytes_max(n);
    for (size_t i = from; i < to; i++)
        if (points->list[i].type == CH_VALUE_STRING)
            bytes += points->list[i].string.size;
    return 2 * ch_int_column_bytes_max(n) + ch_float_column_bytes_max(n) +
           ch_int_column_bytes_max(n) + ch_string_column_bytes_max(n, bytes);
}

static int64_t
slot_of(const ch_value_t *value)
{
    switch (value->type) {
    case CH_VALUE_FLOAT:
        return ch_load_i64(&value->f64);
    case CH_VALUE_BOOL:
        return value->boolean;
    default:
        return value->i64;
    }
}

/* The slots of all values of one type, in order, to scratch->values. */
static size_t
gather(ch_column_scratch_t *scratch, const ch_value_t *list, size_t count,
       ch_value_type_t type)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (list[i].type == type)
            scratch->values[n++] = slot_of(&list[i]);
    return n;
}

static const double *
as_doubles(const int64_t *slots)
{
    return (const double *)(const void *)slots;
}

/* All values of one type out of a list. */
static uint8_t *
put_type(ch_column_scratch_t *scratch, ch_column_level_t level, const ch_value_t *list,
         size_t count, ch_value_type_t type, uint8_t *to)
{
    if (type == CH_VALUE_STRING)
        return to + ch_string_column_encode(scratch, level, list, count, to);
    size_t n = gather(scratch, list, count, type);
    if (type == CH_VALUE_FLOAT)
        return to +
               ch_float_column_encode(scratch, level, as_doubles(scratch->values), n, to);
    return to + ch_int_column_encode(scratch, level, scratch->values, n, to);
}

static uint8_t *
put_list(ch_column_scratch_t *scratch, ch_column_level_t level, const ch_value_t *list,
         ch_chunk_t *chunk, uint8_t *to)
{
    size_t counts[TYPE_MIXED] = {0};
    for (size_t i = 0; i < chunk->count; i++) {
        CH_ASSERT(list[i].type < CH_VALUE_NONE);
        counts[list[i].type]++;
        scratch->tags[i] = (int64_t)list[i].type;
    }
    chunk->type = (uint8_t)list[0].type;
    if (counts[chunk->type] == chunk->count)
        return put_type(scratch, level, list, chunk->count, list[0].type, to);
    chunk->type = TYPE_MIXED;
    to += ch_int_column_encode(scratch, level, scratch->tags, chunk->count, to);
    for (unsigned type = 0; type < TYPE_MIXED; type++)
        if (counts[type])
            to = put_type(scratch, level, list, chunk->count, (ch_value_type_t)type, to);
    return to;
}

static void
aggregate(const ch_column_scratch_t *scratch, const int64_t *slots, ch_chunk_t *chunk)
{
    if (chunk->type == TYPE_INT || chunk->type == TYPE_BOOL)
        ch_aggregate_ints(chunk, slots);
    else if (chunk->type == TYPE_FLOAT)
        ch_aggregate_floats(chunk, scratch, as_doubles(slots));
}

void
ch_chunk_encode(ch_column_scratch_t *scratch, ch_column_level_t level,
                const ch_points_t *points, size_t from, size_t to, uint8_t *times_to,
                uint8_t *values_to, ch_chunk_t *chunk_out)
{
    CH_ASSERT(from < to);
    CH_ASSERT(to <= points->count);
    CH_ASSERT(to - from <= CH_CHUNK_POINTS_MAX);
    size_t n = to - from;
    ch_chunk_t chunk = {.count = (uint32_t)n,
                        .time_first = points->times[from],
                        .time_last = points->times[to - 1],
                        .flags = level == CH_COLUMN_DENSE ? CH_CHUNK_DENSE : 0};
    if (times_to)
        chunk.times_bytes = (uint32_t)ch_int_column_encode(
            scratch, level, points->times + from, n, times_to);
    else
        chunk.flags |= CH_CHUNK_TIMES_SHARED;
    const int64_t *slots = scratch->values;
    uint8_t *end = values_to;
    if (points->form == CH_POINTS_I64) {
        chunk.type = TYPE_INT;
        slots = points->ints + from;
        end += ch_int_column_encode(scratch, level, slots, n, values_to);
    } else if (points->form == CH_POINTS_F64) {
        chunk.type = TYPE_FLOAT;
        slots = points->ints + from; /* the union: bits of the floats */
        end +=
            ch_float_column_encode(scratch, level, points->floats + from, n, values_to);
    } else {
        end = put_list(scratch, level, points->list + from, &chunk, values_to);
    }
    chunk.values_bytes = (uint32_t)(end - values_to);
    aggregate(scratch, slots, &chunk);
    *chunk_out = chunk;
}

/* ---- decode ---- */

static ch_status_t
get_times(ch_column_scratch_t *scratch, const ch_chunk_t *chunk, ch_bytes_t from,
          int64_t *times)
{
    size_t used;
    ch_status_t status = ch_int_column_decode(scratch, from, chunk->count, times, &used);
    if (status < 0)
        return ch_fail_context(status, "times: ");
    if (used != from.size)
        return corrupt("bytes behind its times");
    if (times[0] != chunk->time_first || times[chunk->count - 1] != chunk->time_last)
        return corrupt("times differ from its directory entry");
    unsigned disorder = 0;
    for (size_t i = 1; i < chunk->count; i++)
        disorder |= times[i] <= times[i - 1];
#ifdef CH_FAULT_CHUNK_ORDER_UNCHECKED
    disorder = 0;
#endif
    return disorder ? corrupt("times do not rise") : CH_OK;
}

/* `count` values of a type that fits slots. */
static ch_status_t
get_slots(ch_column_scratch_t *scratch, unsigned type, ch_bytes_t from, size_t count,
          int64_t *slots, size_t *used_out)
{
    if (type == TYPE_FLOAT)
        return ch_float_column_decode(scratch, from, count, (double *)(void *)slots,
                                      used_out);
    size_t used;
    ch_status_t status = ch_int_column_decode(scratch, from, count, slots, &used);
    if (status < 0)
        return status;
    uint64_t all = 0;
    for (size_t i = 0; i < count; i++)
        all |= (uint64_t)slots[i];
    if (type == TYPE_BOOL && all > 1)
        return corrupt("a bool that is neither 0 nor 1");
    *used_out = used;
    return CH_OK;
}

static void
set_value(ch_value_t *value, int64_t slot)
{
    switch (value->type) {
    case CH_VALUE_FLOAT:
        value->f64 = ch_load_f64(&slot);
        break;
    case CH_VALUE_BOOL:
        value->boolean = slot != 0;
        break;
    default:
        value->i64 = slot;
        break;
    }
}

/* A column of `count` values into the places of `list` that have its type. */
static ch_status_t
get_type(ch_column_scratch_t *scratch, unsigned type, ch_bytes_t from, size_t count,
         ch_points_t *points, ch_value_t *list, size_t *used_out)
{
    if (type == TYPE_STRING)
        return ch_string_column_decode(scratch, from, count, points, list, used_out);
    ch_status_t status = get_slots(scratch, type, from, count, scratch->values, used_out);
    for (size_t done = 0; status >= 0 && done < count; list++)
        if ((unsigned)list->type == type)
            set_value(list, scratch->values[done++]);
    return status;
}

/* Type tags of a mixed chunk to the values in `list`. */
static ch_status_t
get_tags(ch_column_scratch_t *scratch, ch_bytes_t from, size_t n, ch_value_t *list,
         size_t counts[TYPE_MIXED], size_t *used_out)
{
    ch_status_t status = ch_int_column_decode(scratch, from, n, scratch->tags, used_out);
    if (status < 0)
        return status;
    for (size_t i = 0; i < n; i++) {
        if ((uint64_t)scratch->tags[i] >= TYPE_MIXED)
            return corrupt("unknown type of a value");
        counts[scratch->tags[i]]++;
        list[i] = (ch_value_t){.type = (ch_value_type_t)scratch->tags[i]};
    }
    return CH_OK;
}

/* Values as typed values at the end of a LIST. */
static ch_status_t
get_list(ch_column_scratch_t *scratch, const ch_chunk_t *chunk, ch_bytes_t from,
         ch_points_t *points)
{
    ch_value_t *list = points->list + points->count;
    size_t counts[TYPE_MIXED] = {0}, used = 0, at = 0;
    if (chunk->type == TYPE_MIXED) {
        ch_status_t status = get_tags(scratch, from, chunk->count, list, counts, &at);
        if (status < 0)
            return status;
    } else {
        counts[chunk->type] = chunk->count;
        for (size_t i = 0; i < chunk->count; i++)
            list[i] = (ch_value_t){.type = (ch_value_type_t)chunk->type};
    }
    for (unsigned type = 0; type < TYPE_MIXED; type++) {
        if (!counts[type])
            continue;
        ch_bytes_t rest = ch_bytes(from.data + at, from.size - at);
        ch_status_t status =
            get_type(scratch, type, rest, counts[type], points, list, &used);
        if (status < 0)
            return status;
        at += used;
    }
    return at == from.size ? CH_OK : corrupt("bytes behind its values");
}

static ch_status_t
get_values(ch_column_scratch_t *scratch, const ch_chunk_t *chunk, ch_bytes_t from,
           ch_points_t *points)
{
    if (points->form == CH_POINTS_LIST)
        return get_list(scratch, chunk, from, points);
    size_t used; /* straight into the run */
    ch_status_t status = get_slots(scratch, chunk->type, from, chunk->count,
                                   points->ints + points->count, &used);
    if (status >= 0 && used != from.size)
        status = corrupt("bytes behind its values");
    return status;
}

ch_status_t
ch_chunk_decode(ch_column_scratch_t *scratch, const ch_chunk_t *chunk, ch_bytes_t times,
                ch_bytes_t values, ch_points_t *points)
{
    if (chunk->type > TYPE_MIXED || chunk->count == 0 ||
        chunk->count > CH_CHUNK_POINTS_MAX)
        return corrupt("type or count");
    bool was_empty = points->form == CH_POINTS_EMPTY;
    ch_points_reserve(points,
                      chunk->type == TYPE_INT     ? CH_POINTS_I64
                      : chunk->type == TYPE_FLOAT ? CH_POINTS_F64
                                                  : CH_POINTS_LIST,
                      chunk->count);
    ch_status_t status = get_times(scratch, chunk, times, points->times + points->count);
    if (status >= 0)
        status = get_values(scratch, chunk, values, points);
    if (status >= 0)
        points->count += chunk->count;
    else if (was_empty)
        points->form = CH_POINTS_EMPTY; /* the next append decides again */
    return status;
}
