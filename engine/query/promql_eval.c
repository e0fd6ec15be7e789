/* promql_eval.c - from query text to a result: parse, plan, pull rows through the pipeline.
 *
 * Memory    Follows what is held at once: the window of one series, the groups of aggregations,
 *           and the result; never the points a query touches. Each has a limit that is an error.
 * Time      Every loop over points or steps counts its work; now and then the clock is asked.
 */
#include "query/promql_eval.h"

#include <inttypes.h>
#include <stdio.h>

#include "ch/alloc.h"
#include "query/aggregate.h"
#include "query/promql_lexer.h"
#include "query/promql_parser.h"

static int64_t
now(const ch_promql_eval_t *eval)
{
    return eval->params->clock ? ch_clock_monotonic_ns(eval->params->clock) : 0;
}

ch_status_t
ch_promql_work(ch_promql_eval_t *eval, uint64_t units)
{
    eval->work += units;
    if (eval->work < CH_PROMQL_WORK_BETWEEN_LOOKS || eval->params->deadline_ns == 0)
        return CH_OK;
    eval->work = 0;
    int64_t at = now(eval);
    if (at <= eval->params->deadline_ns)
        return CH_OK;
    return ch_fail(
        CH_ERR_TIMEOUT,
        "query ran out of time after %" PRId64 " ms (%" PRIu64 " points of %" PRIu64
        " series so far): ask for less, or for a longer timeout",
        (at - eval->started_ns) / 1000000, eval->samples, eval->series_selected);
}

ch_status_t
ch_promql_touch(ch_promql_eval_t *eval, uint64_t points)
{
    eval->samples += points;
    if (eval->samples <= eval->params->samples_max)
        return CH_OK;
    return ch_fail(CH_ERR_LIMIT,
                   "query touches more than %" PRIu64
                   " points: narrow the selector or the times",
                   eval->params->samples_max);
}

ch_status_t
ch_promql_answer(ch_promql_eval_t *eval, uint64_t points)
{
    eval->result_points += points;
    if (eval->result_points <= eval->params->result_points_max)
        return CH_OK;
    return ch_fail(CH_ERR_LIMIT,
                   "answer has more than %" PRIu64
                   " points: aggregate, or take longer steps",
                   eval->params->result_points_max);
}

/* The list of the series is left out: it has its own limit, and those series take more. */
static uint64_t
bytes_held(const ch_promql_eval_t *eval)
{
    return eval->group_bytes + eval->window_bytes + ch_query_memory_held(eval->memory) +
           ch_query_memory_held(eval->result->memory);
}

ch_status_t
ch_promql_hold(const ch_promql_eval_t *eval, size_t more)
{
    uint64_t most = eval->params->memory_max;
#ifdef CH_FAULT_PROMQL_MEMORY_UNBOUNDED
    most = 0;
#endif
    if (most == 0 || bytes_held(eval) + more <= most)
        return CH_OK;
    return ch_fail(CH_ERR_LIMIT,
                   "query needs more than %" PRIu64
                   " bytes of memory (limits.query_memory): narrow the selector, group "
                   "by fewer labels, or take shorter ranges or longer steps",
                   most);
}

static ch_status_t
count_steps(ch_promql_eval_t *eval)
{
    const ch_query_params_t *params = eval->params;
    eval->steps = 1;
    if (!params->range)
        return CH_OK;
    if (params->step <= 0)
        return ch_fail(CH_ERR_INVALID, "step must be greater than 0");
    if (params->end < params->start)
        return ch_fail(CH_ERR_INVALID, "end must not be before start");
    uint64_t steps =
        ((uint64_t)params->end - (uint64_t)params->start) / (uint64_t)params->step;
    if (steps >= params->result_points_max)
        return ch_fail(CH_ERR_LIMIT,
                       "query has more than %" PRIu64
                       " steps: take longer steps or less time",
                       params->result_points_max);
    if (steps >= CH_PROMQL_WINDOW_POINTS_MAX)
        return ch_fail(CH_ERR_LIMIT,
                       "query has more than %d steps: take longer steps or less time",
                       CH_PROMQL_WINDOW_POINTS_MAX);
    eval->steps = (size_t)steps + 1;
    return CH_OK;
}

/* The number is the same at every step. */
static ch_status_t
eval_number(ch_promql_eval_t *eval)
{
    int64_t *times;
    double *values;
    ch_status_t status = ch_promql_answer(eval, eval->steps);
    if (status < 0)
        return status;
    ch_query_result_add(eval->result, ch_bytes("", 0), ch_bytes("", 0), eval->steps,
                        &times, &values);
    for (size_t step = 0; step < eval->steps; step++) {
        times[step] = ch_promql_step_time(eval, step);
        values[step] = eval->plan->number;
    }
    return ch_promql_work(eval, eval->steps);
}

/* Rows go into the innermost aggregation, whose groups go into the next one, and so on. */
static ch_status_t
eval_pipeline(ch_promql_eval_t *eval)
{
    const ch_promql_plan_t *plan = eval->plan;
    ch_promql_sink_t result = {.take = ch_promql_result_take, .context = eval};
    if (plan->stage_count == 0)
        return ch_promql_eval_rows(eval, result);
    ch_promql_aggregate_t *inner = ch_promql_aggregate_new(eval, plan->stages[0]);
    ch_status_t status = ch_promql_eval_rows(eval, ch_promql_aggregate_sink(inner));
    for (uint32_t i = 1; status >= 0 && i < plan->stage_count; i++) {
        ch_promql_aggregate_t *outer = ch_promql_aggregate_new(eval, plan->stages[i]);
        status = ch_promql_aggregate_push(inner, ch_promql_aggregate_sink(outer));
        ch_promql_aggregate_destroy(&inner);
        inner = outer;
    }
    if (status >= 0)
        status = ch_promql_aggregate_push(inner, result);
    ch_promql_aggregate_destroy(&inner);
    return status;
}

static ch_query_type_t
result_type(const ch_promql_eval_t *eval)
{
    switch (eval->plan->kind) {
    case CH_PLAN_NUMBER:
        return eval->params->range ? CH_QUERY_MATRIX : CH_QUERY_SCALAR;
    case CH_PLAN_STRING:
        return CH_QUERY_STRING;
    case CH_PLAN_MATRIX:
        return CH_QUERY_MATRIX;
    default:
        return eval->params->range ? CH_QUERY_MATRIX : CH_QUERY_VECTOR;
    }
}

static ch_status_t
eval_plan(ch_promql_eval_t *eval)
{
    switch (eval->plan->kind) {
    case CH_PLAN_NUMBER:
        return eval_number(eval);
    case CH_PLAN_STRING: {
        ch_query_memory_t *memory = eval->result->memory;
        eval->result->string = ch_query_memory_copy(memory, eval->plan->string);
        return CH_OK;
    }
    case CH_PLAN_MATRIX:
        return ch_promql_eval_matrix(eval);
    default:
        return eval_pipeline(eval);
    }
}

static void
finish_figures(ch_promql_eval_t *eval)
{
    eval->result->samples = eval->samples;
    eval->result->series_selected = eval->series_selected;
    if (eval->string_points == 0)
        return;
    char text[96];
    snprintf(text, sizeof text, "%" PRIu64 " string values were left out",
             eval->string_points);
    ch_query_result_warn(eval->result, text);
}

static ch_status_t
eval_run(ch_promql_eval_t *eval, ch_query_result_t **result_out)
{
    ch_status_t status = count_steps(eval);
    if (status < 0)
        return status;
    eval->started_ns = now(eval);
    eval->result = ch_query_result_new(result_type(eval));
    status = eval_plan(eval);
    if (status >= 0)
        status = ch_query_result_finish(eval->result);
    if (status >= 0) {
        finish_figures(eval);
        *result_out = ch_take(&eval->result);
    }
    ch_query_result_destroy(&eval->result);
    return status < 0 ? status : CH_OK;
}

/* A range query gives a value at each step, which neither strings nor range vectors have. */
static ch_status_t
check_type(const ch_expr_t *expr, const ch_query_params_t *params, ch_bytes_t query)
{
    if (!params->range || expr->type == CH_PROMQL_SCALAR ||
        expr->type == CH_PROMQL_VECTOR)
        return CH_OK;
    return ch_promql_fail(
        CH_ERR_PARSE, query, expr->position,
        "invalid expression type \"%s\" for range query, must be scalar or "
        "instant vector",
        ch_promql_type_name(expr->type));
}

ch_status_t
ch_query_eval(const ch_source_t *source, ch_bytes_t query,
              const ch_query_params_t *params, ch_query_result_t **result_out)
{
    ch_promql_plan_t plan = {0};
    ch_promql_eval_t eval = {.source = source, .params = params, .plan = &plan};
    ch_expr_t *expr = NULL;
    eval.memory = ch_query_memory_new();
    ch_status_t status = ch_promql_parse(query, eval.memory, &expr);
    if (status == CH_OK)
        status = check_type(expr, params, query);
    if (status == CH_OK)
        status = ch_promql_plan_build(expr, query, eval.memory, &plan);
    if (status == CH_OK)
        status = eval_run(&eval, result_out);
    ch_promql_plan_release(&plan);
    ch_query_memory_destroy(&eval.memory);
    return status;
}
