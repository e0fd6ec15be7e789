/* query_result.c - the answer of a query, and what becomes of series that lost their names. */
#include <stdlib.h>

#include "ch/alloc.h"
#include "ch/series_key.h"
#include "query/promql_eval.h"
#include "query/range_functions.h"

ch_query_result_t *
ch_query_result_new(ch_query_type_t type)
{
    ch_query_result_t *result = ch_calloc(1, sizeof *result);
    result->type = type;
    result->memory = ch_query_memory_new();
    return result;
}

void
ch_query_result_destroy(ch_query_result_t **result)
{
    if (!*result)
        return;
    ch_query_memory_t *memory = (*result)->memory;
    ch_query_memory_destroy(&memory);
    ch_free(*result);
    *result = NULL;
}

void
ch_query_result_add(ch_query_result_t *result, ch_bytes_t name, ch_bytes_t labels,
                    size_t points, int64_t **times_out, double **values_out)
{
    ch_query_memory_t *memory = result->memory;
    result->series = ch_query_memory_grow(memory, result->series, result->count,
                                          sizeof result->series[0]);
    ch_query_series_t *series = &result->series[result->count++];
    *series = (ch_query_series_t){
        .name = ch_query_memory_copy(memory, name),
        .labels = ch_query_memory_copy(memory, labels),
        .count = points,
        .times = ch_query_memory_take(memory, points * sizeof(int64_t)),
        .values = ch_query_memory_take(memory, points * sizeof(double)),
    };
    *times_out = series->times;
    *values_out = series->values;
}

void
ch_query_result_warn(ch_query_result_t *result, const char *text)
{
    result->warnings =
        ch_query_memory_grow(result->memory, result->warnings, result->warning_count,
                             sizeof result->warnings[0]);
    ch_bytes_t copy = ch_query_memory_copy(result->memory, ch_bytes_text(text));
    result->warnings[result->warning_count++] = (const char *)copy.data;
}

ch_status_t
ch_promql_result_take(void *context, const ch_promql_row_t *row)
{
    ch_promql_eval_t *eval = context;
    size_t points = 0;
    for (size_t step = 0; step < eval->steps; step++)
        points += !ch_promql_is_absent(row->values[step]);
    if (points == 0)
        return CH_OK;
    ch_status_t status = ch_promql_answer(eval, points);
    if (status >= 0)
        status = ch_promql_hold(eval, ch_query_series_bytes(points));
    if (status < 0)
        return status;
    int64_t *times;
    double *values;
    ch_query_result_add(eval->result, row->drop_name ? ch_bytes("", 0) : row->name,
                        row->labels, points, &times, &values);
    for (size_t step = 0; step < eval->steps; step++) {
        if (ch_promql_is_absent(row->values[step]))
            continue;
        *times++ = ch_promql_step_time(eval, step);
        *values++ = row->values[step];
    }
    return CH_OK;
}

static int
series_compare(const void *a, const void *b)
{
    const ch_query_series_t *left = a, *right = b;
    return ch_series_key_compare(left->name, left->labels, right->name, right->labels);
}

/* Two series of one key become one; they must not have a time in common. */
static ch_status_t
series_merge(ch_query_result_t *result, ch_query_series_t *into,
             const ch_query_series_t *other)
{
    size_t count = into->count + other->count;
    int64_t *times = ch_query_memory_take(result->memory, count * sizeof *times);
    double *values = ch_query_memory_take(result->memory, count * sizeof *values);
    for (size_t i = 0, j = 0, k = 0; k < count; k++) {
        bool from_other =
            i == into->count || (j < other->count && other->times[j] < into->times[i]);
        times[k] = from_other ? other->times[j] : into->times[i];
        values[k] = from_other ? other->values[j++] : into->values[i++];
        if (k > 0 && times[k] == times[k - 1])
            return ch_fail(CH_ERR_EXECUTION,
                           "vector cannot contain metrics with the same labelset {%.*s}",
                           (int)(into->labels.size < 256 ? into->labels.size : 256),
                           (const char *)into->labels.data);
    }
    into->times = times;
    into->values = values;
    into->count = count;
    return CH_OK;
}

ch_status_t
ch_query_result_finish(ch_query_result_t *result)
{
    if (result->count < 2)
        return CH_OK;
    qsort(result->series, result->count, sizeof result->series[0], series_compare);
    size_t kept = 1;
    for (size_t i = 1; i < result->count; i++) {
        ch_query_series_t *last = &result->series[kept - 1];
        if (series_compare(last, &result->series[i]) != 0) {
            result->series[kept++] = result->series[i];
            continue;
        }
        ch_status_t status = series_merge(result, last, &result->series[i]);
        if (status < 0)
            return status;
    }
    result->count = kept;
    return CH_OK;
}
