/// The state of one evaluation, shared by its parts: limits, clock, result.
///
/// Flow     the leaf pushes rows (one per series) into a sink; an aggregation is a sink that pushes
///          its groups into the next one; the last sink is the result.
/// Threads  one at a time.
#ifndef CH_PROMQL_EVAL_H
#define CH_PROMQL_EVAL_H

#include "ch/query.h"
#include "query/promql_plan.h"

enum {
    /* Looking at the clock costs about as much as 50 points. */
    CH_PROMQL_WORK_BETWEEN_LOOKS = 16 * 1024,
    /* Groups of aggregations, and the window of one series: 256 MiB each. */
    CH_PROMQL_GROUP_BYTES_MAX = 256 << 20,
    CH_PROMQL_WINDOW_POINTS_MAX = 16 << 20,
};

typedef struct ch_promql_eval {
    const ch_source_t *source;
    const ch_query_params_t *params;
    const ch_promql_plan_t *plan;
    size_t steps;
    uint64_t samples;
    uint64_t series_selected;
    uint64_t result_points;
    uint64_t string_points; /* left out */
    uint64_t work;          /* since the clock was looked at */
    int64_t started_ns;
    size_t group_bytes;
    size_t window_bytes;       /* of the reader at hand */
    ch_query_memory_t *memory; /* until the end of the evaluation */
    ch_query_result_t *result;
} ch_promql_eval_t;

/// Values of one series at every step, CH_PROMQL_ABSENT where there is none. Borrowed during the
/// call of a sink.
typedef struct ch_promql_row {
    ch_bytes_t name, labels;
    bool drop_name; /* the name goes when the result is made: grouping still sees it */
    const double *values;
} ch_promql_row_t;

typedef struct ch_promql_sink {
    ch_status_t (*take)(void *context, const ch_promql_row_t *row);
    void *context;
} ch_promql_sink_t;

/// Evaluation time of a step.
int64_t ch_promql_step_time(const ch_promql_eval_t *eval, size_t step);

/// The window [*from_out, *end_out] that the leaf looks at in a step: both ends belong to it, so that it
/// can hold the first moment there is.
void ch_promql_step_window(const ch_promql_eval_t *eval, size_t step, int64_t *from_out,
                           int64_t *end_out);

/// Count work, and look at the clock now and then. Errors: CH_ERR_TIMEOUT.
ch_status_t ch_promql_work(ch_promql_eval_t *eval, uint64_t units) CH_MUST_CHECK;

/// Count points touched. Errors: CH_ERR_LIMIT.
ch_status_t ch_promql_touch(ch_promql_eval_t *eval, uint64_t points) CH_MUST_CHECK;

/// Count points of the answer. Errors: CH_ERR_LIMIT.
ch_status_t ch_promql_answer(ch_promql_eval_t *eval, uint64_t points) CH_MUST_CHECK;

/// May `more` bytes be held beside what is? Errors: CH_ERR_LIMIT.
ch_status_t ch_promql_hold(const ch_promql_eval_t *eval, size_t more) CH_MUST_CHECK;

/* promql_leaf.c */
ch_status_t ch_promql_eval_rows(ch_promql_eval_t *eval,
                                ch_promql_sink_t sink) CH_MUST_CHECK;
ch_status_t ch_promql_eval_matrix(ch_promql_eval_t *eval) CH_MUST_CHECK;

/* query_result.c */
ch_query_result_t *ch_query_result_new(ch_query_type_t type);
void ch_query_result_add(ch_query_result_t *result, ch_bytes_t name, ch_bytes_t labels,
                         size_t points, int64_t **times_out, double **values_out);
ch_status_t ch_promql_result_take(void *eval, const ch_promql_row_t *row) CH_MUST_CHECK;
void ch_query_result_warn(ch_query_result_t *result, const char *text);
/* Sort by key; series that became the same are one when no time has both of them. */
ch_status_t ch_query_result_finish(ch_query_result_t *result) CH_MUST_CHECK;

/// Bytes that a series of the answer takes beside its key.
static inline size_t
ch_query_series_bytes(size_t points)
{
    return sizeof(ch_query_series_t) + points * (sizeof(int64_t) + sizeof(double));
}

static inline int64_t
ch_promql_add_time(int64_t a, int64_t b)
{
    int64_t sum;
    if (!__builtin_add_overflow(a, b, &sum))
        return sum;
    return b > 0 ? INT64_MAX : INT64_MIN;
}

static inline int64_t
ch_promql_sub_time(int64_t a, int64_t b)
{
    int64_t difference;
    if (!__builtin_sub_overflow(a, b, &difference))
        return difference;
    return b < 0 ? INT64_MAX : INT64_MIN;
}

#endif
