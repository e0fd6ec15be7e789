/* chunk_entry.c - a chunk's directory entry as bytes (docs/format/column.md, "Directory entry"). */
#include "column/chunk.h"

#include "column/aggregates.h"
#include "column/float_column_format.h"
#include "ch/coding.h"
#include "ch/limits.h"

enum {
    TYPE_MAX = 4,
    TYPE_AGGREGATED_MAX = 2, /* strings and mixed chunks have no aggregates */
    FLAGS_KNOWN = 0x3f,
    SCALED_COUNT = 5,
};

static uint8_t *
put_aggregates(uint8_t *to, const ch_chunk_t *chunk)
{
    if (chunk->flags & CH_CHUNK_AGGREGATES_SCALED) {
        *to++ = chunk->scale_exponent;
        for (int i = 0; i < SCALED_COUNT; i++)
            to = ch_varint_put(to, ch_zigzag(chunk->scaled[i]));
        return to;
    }
    const double five[] = {chunk->first, chunk->last, chunk->min, chunk->max, chunk->sum};
    memcpy(to, five, sizeof five);
    return to + sizeof five;
}

uint8_t *
ch_chunk_put(uint8_t *to, const ch_chunk_t *chunk, int64_t block_time_min,
             uint32_t times_ref)
{
    *to++ = chunk->type;
    *to++ = chunk->flags;
    to = ch_varint_put(to, chunk->count);
    to = ch_varint_put(
        to, ch_zigzag((int64_t)((uint64_t)chunk->time_first - (uint64_t)block_time_min)));
    to = ch_varint_put(to, (uint64_t)chunk->time_last - (uint64_t)chunk->time_first);
    if (chunk->flags & CH_CHUNK_AGGREGATES)
        to = put_aggregates(to, chunk);
    if (chunk->flags & CH_CHUNK_NAN_SEEN)
        to = ch_varint_put(to, chunk->nan_count);
    to = ch_varint_put(to, chunk->flags & CH_CHUNK_TIMES_SHARED ? times_ref
                                                                : chunk->times_bytes);
    return ch_varint_put(to, chunk->values_bytes);
}

static const uint8_t *
get_aggregates(const uint8_t *from, const uint8_t *end, ch_chunk_t *chunk)
{
    if (chunk->flags & CH_CHUNK_AGGREGATES_SCALED) {
        if (from >= end || *from > CH_FLOAT_EXPONENT_MAX)
            return NULL;
        chunk->scale_exponent = *from++;
        for (int i = 0; from && i < SCALED_COUNT; i++) {
            uint64_t number;
            from = ch_varint_get(from, end, &number);
            if (from)
                chunk->scaled[i] = ch_unzigzag(number);
        }
        if (from)
            ch_aggregate_unscale(chunk);
        return from;
    }
    double *five[] = {&chunk->first, &chunk->last, &chunk->min, &chunk->max, &chunk->sum};
    if (end - from < (ptrdiff_t)(SCALED_COUNT * sizeof(double)))
        return NULL;
    for (int i = 0; i < SCALED_COUNT; i++, from += sizeof(double))
        *five[i] = ch_load_f64(from);
    return from;
}

/* Count and times; a chunk of distinct times spans at least count - 1. */
static const uint8_t *
get_times(const uint8_t *from, const uint8_t *end, int64_t block_time_min,
          ch_chunk_t *chunk)
{
    uint64_t count, offset, span;
    from = ch_varint_get_max(from, end, CH_CHUNK_POINTS_MAX, &count);
    if (from)
        from = ch_varint_get(from, end, &offset);
    if (from)
        from = ch_varint_get(from, end, &span);
    if (!from || count == 0 || span < count - 1 || (count == 1 && span))
        return NULL;
    chunk->count = (uint32_t)count;
    /* The distance was taken modulo 2^64. */
    chunk->time_first =
        (int64_t)((uint64_t)block_time_min + (uint64_t)ch_unzigzag(offset));
    chunk->time_last = (int64_t)((uint64_t)chunk->time_first + span);
    return chunk->time_last < chunk->time_first ? NULL : from;
}

static bool
flags_make_sense(const ch_chunk_t *chunk)
{
    if (chunk->type > TYPE_MAX || chunk->flags & ~FLAGS_KNOWN)
        return false;
    if (chunk->flags & CH_CHUNK_AGGREGATES_SCALED &&
        !(chunk->flags & CH_CHUNK_AGGREGATES))
        return false;
    return chunk->type <= TYPE_AGGREGATED_MAX || !(chunk->flags & CH_CHUNK_AGGREGATES);
}

const uint8_t *
ch_chunk_get(const uint8_t *from, const uint8_t *end, int64_t block_time_min,
             ch_chunk_t *chunk_out, uint32_t *times_ref_out)
{
    if (end - from < 2)
        return NULL;
    ch_chunk_t chunk = {.type = from[0], .flags = from[1]};
    if (!flags_make_sense(&chunk))
        return NULL;
    from = get_times(from + 2, end, block_time_min, &chunk);
    if (from && chunk.flags & CH_CHUNK_AGGREGATES)
        from = get_aggregates(from, end, &chunk);
    uint64_t nan_count = 0, times = 0, values = 0;
    if (from && chunk.flags & CH_CHUNK_NAN_SEEN)
        from = ch_varint_get_max(from, end, chunk.count, &nan_count);
    if (from)
        from = ch_varint_get_max(from, end, UINT32_MAX, &times);
    if (from)
        from = ch_varint_get_max(from, end, UINT32_MAX, &values);
    if (!from)
        return NULL;
    bool shared = chunk.flags & CH_CHUNK_TIMES_SHARED;
    chunk.nan_count = (uint32_t)nan_count;
    chunk.times_bytes = shared ? 0 : (uint32_t)times;
    chunk.values_bytes = (uint32_t)values;
    *times_ref_out = shared ? (uint32_t)times : 0;
    *chunk_out = chunk;
    return from;
}
