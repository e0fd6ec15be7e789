/// What of a syntax tree is evaluated, as a short pipeline: one leaf and the aggregations over it.
///
/// Shape    leaf = constant, string, bare range selector, or selector with a range function (an
///          instant selector is "last point of the lookback window"); stages[0] is the innermost
///          aggregation.
/// Owner    the plan lives in its memory, except the compiled selector: ch_promql_plan_release.
#ifndef CH_PROMQL_PLAN_H
#define CH_PROMQL_PLAN_H

#include "query/functions.h"
#include "query/query_memory.h"

#define CH_PROMQL_LOOKBACK_NS (INT64_C(300) * 1000000000)

typedef enum {
    CH_PLAN_NUMBER,
    CH_PLAN_STRING,
    CH_PLAN_MATRIX,
    CH_PLAN_ROWS,
} ch_promql_plan_kind_t;

typedef struct ch_promql_plan {
    ch_promql_plan_kind_t kind;
    double number;
    ch_bytes_t string;
    ch_selector_t *selector; /* MATRIX, ROWS */
    ch_promql_modifiers_t modifiers;
    int64_t range;                        /* ns; the lookback for an instant selector */
    bool instant;                         /* staleness markers count: they end a series */
    const ch_promql_function_t *function; /* ROWS; NULL for an instant selector */
    const ch_expr_t **stages;             /* aggregations, innermost first */
    uint32_t stage_count;
} ch_promql_plan_t;

/// Plan a tree. Errors: CH_ERR_UNSUPPORTED with the construct and its place; CH_ERR_PARSE and
/// CH_ERR_LIMIT from the selector.
ch_status_t ch_promql_plan_build(const ch_expr_t *expr, ch_bytes_t query,
                                 ch_query_memory_t *memory,
                                 ch_promql_plan_t *plan_out) CH_MUST_CHECK;
void ch_promql_plan_release(ch_promql_plan_t *plan);

#endif
