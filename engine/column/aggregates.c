/* aggregates.c - first, last, min, max, sum, and what the flags of a chunk say. */
#include "column/aggregates.h"

#include <math.h>

#include "column/float_column_format.h"
#include "column/kernels.h"
#include "column/scratch.h"

static const int64_t FLOAT_SUM_MAX = INT64_C(1) << 53;

enum { FIRST, LAST, MIN, MAX, SUM };

void
ch_aggregate_unscale(ch_chunk_t *chunk)
{
    double power = ch_float_power(chunk->scale_exponent);
    chunk->first = (double)chunk->scaled[FIRST] / power;
    chunk->last = (double)chunk->scaled[LAST] / power;
    chunk->min = (double)chunk->scaled[MIN] / power;
    chunk->max = (double)chunk->scaled[MAX] / power;
    chunk->sum = (double)chunk->scaled[SUM] / power;
}

static void
set_scaled(ch_chunk_t *chunk, const int64_t *x, const ch_int_summary_t *summary,
           int64_t sum, unsigned exponent)
{
    chunk->flags |= CH_CHUNK_AGGREGATES | CH_CHUNK_AGGREGATES_SCALED;
    chunk->scale_exponent = (uint8_t)exponent;
    chunk->scaled[FIRST] = x[0];
    chunk->scaled[LAST] = x[chunk->count - 1];
    chunk->scaled[MIN] = summary->min;
    chunk->scaled[MAX] = summary->max;
    chunk->scaled[SUM] = sum;
    ch_aggregate_unscale(chunk);
}

/* The sum of n values; false when it does not fit. Only wide values need the slow sum. */
static bool
exact_sum(const int64_t *x, size_t n, const ch_int_summary_t *summary, int64_t *sum_out)
{
    const int64_t safe = INT64_MAX / CH_CHUNK_POINTS_MAX;
    if (summary->max <= safe && summary->min >= -safe) {
        *sum_out = (int64_t)summary->sum;
        return true;
    }
    __extension__ __int128 sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    if (sum > INT64_MAX || sum < INT64_MIN)
        return false;
    *sum_out = (int64_t)sum;
    return true;
}

void
ch_aggregate_ints(ch_chunk_t *chunk, const int64_t *x)
{
    int64_t sum;
    ch_int_summary_t summary = ch_kernels()->summarize(x, chunk->count);
    if (summary.decreases)
        chunk->flags |= CH_CHUNK_COUNTER_RESET;
    if (chunk->count >= CH_CHUNK_AGGREGATES_POINTS_MIN &&
        exact_sum(x, chunk->count, &summary, &sum))
        set_scaled(chunk, x, &summary, sum, 0);
}

/* Add with the lost low bits kept apart; infinities have none. */
static void
add_compensated(double value, double *sum, double *compensation)
{
    double total = *sum + value;
    if (fabs(*sum) >= fabs(value))
        *compensation += (*sum - total) + value;
    else
        *compensation += (value - total) + *sum;
    *sum = total;
}

static void
aggregate_doubles(ch_chunk_t *chunk, const double *v)
{
    double compensation = 0;
    uint32_t seen = 0;
    chunk->sum = 0;
    for (size_t i = 0; i < chunk->count; i++) {
        if (isnan(v[i]))
            continue;
        if (seen++ == 0)
            chunk->first = chunk->last = chunk->min = chunk->max = v[i];
        if (v[i] < chunk->last)
            chunk->flags |= CH_CHUNK_COUNTER_RESET;
        chunk->last = v[i];
        chunk->min = v[i] < chunk->min ? v[i] : chunk->min;
        chunk->max = v[i] > chunk->max ? v[i] : chunk->max;
        add_compensated(v[i], &chunk->sum, &compensation);
    }
    if (isfinite(chunk->sum))
        chunk->sum += compensation;
    chunk->nan_count = chunk->count - seen;
    if (chunk->nan_count)
        chunk->flags |= CH_CHUNK_NAN_SEEN;
    if (seen && chunk->count >= CH_CHUNK_AGGREGATES_POINTS_MIN)
        chunk->flags |= CH_CHUNK_AGGREGATES;
    else
        chunk->first = chunk->last = chunk->min = chunk->max = chunk->sum = 0;
}

void
ch_aggregate_floats(ch_chunk_t *chunk, const ch_column_scratch_t *scratch,
                    const double *v)
{
    const int64_t *d = scratch->decimals;
    if (!scratch->decimal_exact) {
        aggregate_doubles(chunk, v);
        return;
    }
    ch_int_summary_t summary = ch_kernels()->summarize(d, chunk->count);
    int64_t sum; /* at most 8192 * 2^51: cannot overflow */
    if (!exact_sum(d, chunk->count, &summary, &sum) || sum > FLOAT_SUM_MAX ||
        sum < -FLOAT_SUM_MAX) {
        aggregate_doubles(chunk, v);
        return;
    }
    if (summary.decreases)
        chunk->flags |= CH_CHUNK_COUNTER_RESET;
    if (chunk->count >= CH_CHUNK_AGGREGATES_POINTS_MIN)
        set_scaled(chunk, d, &summary, sum, scratch->decimal_exponent);
}
