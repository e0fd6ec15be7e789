/* promql_plan.c - from a syntax tree to what is evaluated; the rest is named and refused. */
#include "query/promql_plan.h"

#include <math.h>

#include "query/promql_lexer.h"

typedef struct planner {
    ch_bytes_t query;
    ch_query_memory_t *memory;
    ch_promql_plan_t *plan;
} planner_t;

static ch_status_t
unsupported(const planner_t *planner, const ch_expr_t *expr, const char *what,
            const char *name)
{
    return ch_promql_fail(CH_ERR_UNSUPPORTED, planner->query, expr->position,
                          "%s%s%s is not supported by this version", what,
                          name ? " " : "", name ? name : "");
}

static double
arithmetic(ch_binary_t op, double left, double right)
{
    switch (op) {
    case CH_BINARY_ADD:
        return left + right;
    case CH_BINARY_SUB:
        return left - right;
    case CH_BINARY_MUL:
        return left * right;
    case CH_BINARY_DIV:
        return left / right;
    case CH_BINARY_MOD:
        return fmod(left, right);
    case CH_BINARY_POW:
        return pow(left, right);
    case CH_BINARY_ATAN2:
        return atan2(left, right);
    case CH_BINARY_EQL:
        return left == right;
    case CH_BINARY_NEQ:
        return left != right;
    case CH_BINARY_LSS:
        return left < right;
    case CH_BINARY_LTE:
        return left <= right;
    case CH_BINARY_GTR:
        return left > right;
    case CH_BINARY_GTE:
        return left >= right;
    default:
        return NAN; /* set operations take no scalars: the parser saw to it */
    }
}

/* A scalar that does not depend on time. Recursion is bounded by the height of the tree. */
static ch_status_t
fold(const planner_t *planner, const ch_expr_t *expr, double *number_out)
{
    double left = 0, right = 0;
    ch_status_t status = CH_OK;
    expr = ch_expr_bare(expr);
    switch (expr->kind) {
    case CH_EXPR_NUMBER:
        *number_out = expr->number;
        return CH_OK;
    case CH_EXPR_UNARY:
        status = fold(planner, expr->unary.inner, &left);
        *number_out = expr->unary.negative ? -left : left;
        return status;
    case CH_EXPR_BINARY:
        status = fold(planner, expr->binary.left, &left);
        if (status == CH_OK)
            status = fold(planner, expr->binary.right, &right);
        *number_out = arithmetic(expr->binary.op, left, right);
        return status;
    default:
        return unsupported(planner, expr, "function",
                           expr->kind == CH_EXPR_CALL ? expr->call.function->name : NULL);
    }
}

/* Put the place in front of what the selector says, which knows only its own matchers. */
static ch_status_t
plan_selector(const planner_t *planner, const ch_expr_t *expr)
{
    const ch_promql_modifiers_t *modifiers = &expr->selector.modifiers;
    if (modifiers->smoothed || modifiers->anchored)
        return unsupported(planner, expr, "modifier",
                           modifiers->smoothed ? "smoothed" : "anchored");
    planner->plan->modifiers = *modifiers;
    ch_status_t status = ch_selector_new(
        expr->selector.matchers, expr->selector.matcher_count, &planner->plan->selector);
    return status < 0 ? ch_fail_context(status, "selector at byte %u: ", expr->position)
                      : status;
}

static ch_status_t
plan_range(const planner_t *planner, const ch_expr_t *expr)
{
    if (expr->kind == CH_EXPR_SUBQUERY)
        return unsupported(planner, expr, "a subquery", NULL);
    planner->plan->range = expr->range.range;
    return plan_selector(planner, expr->range.selector);
}

static ch_status_t
plan_call(const planner_t *planner, const ch_expr_t *expr)
{
    const ch_promql_function_t *function = expr->call.function;
    if (!function->over_range)
        return unsupported(planner, expr, "function", function->name);
    planner->plan->kind = CH_PLAN_ROWS;
    planner->plan->function = function;
    return plan_range(planner, ch_expr_bare(expr->call.arguments[0]));
}

static ch_status_t
plan_leaf(const planner_t *planner, const ch_expr_t *expr)
{
    ch_promql_plan_t *plan = planner->plan;
    if (expr->type == CH_PROMQL_SCALAR) {
        plan->kind = CH_PLAN_NUMBER;
        return fold(planner, expr, &plan->number);
    }
    switch (expr->kind) {
    case CH_EXPR_STRING:
        plan->kind = CH_PLAN_STRING;
        plan->string = expr->string;
        return CH_OK;
    case CH_EXPR_SELECTOR:
        plan->kind = CH_PLAN_ROWS;
        plan->instant = true;
        plan->range = CH_PROMQL_LOOKBACK_NS;
        return plan_selector(planner, expr);
    case CH_EXPR_RANGE:
    case CH_EXPR_SUBQUERY:
        plan->kind = CH_PLAN_MATRIX;
        return plan_range(planner, expr);
    case CH_EXPR_CALL:
        return plan_call(planner, expr);
    case CH_EXPR_BINARY:
        return unsupported(planner, expr, "operator", ch_binary_name(expr->binary.op));
    default:
        return unsupported(planner, expr, "a sign before a vector", NULL);
    }
}

static ch_status_t
push_stage(const planner_t *planner, const ch_expr_t *expr)
{
    ch_promql_plan_t *plan = planner->plan;
    if (expr->aggregate.op > CH_AGGREGATE_STDVAR)
        return unsupported(planner, expr, "aggregation",
                           ch_aggregate_name(expr->aggregate.op));
    plan->stages = ch_query_memory_grow(planner->memory, plan->stages, plan->stage_count,
                                        sizeof plan->stages[0]);
    plan->stages[plan->stage_count++] = expr;
    return CH_OK;
}

ch_status_t
ch_promql_plan_build(const ch_expr_t *expr, ch_bytes_t query, ch_query_memory_t *memory,
                     ch_promql_plan_t *plan_out)
{
    ch_promql_plan_t plan = {0};
    planner_t planner = {.query = query, .memory = memory, .plan = &plan};
    ch_status_t status = CH_OK;
    expr = ch_expr_bare(expr);
    while (status == CH_OK && expr->kind == CH_EXPR_AGGREGATE) {
        status = push_stage(&planner, expr);
        expr = ch_expr_bare(expr->aggregate.inner);
    }
    for (uint32_t i = 0, j = plan.stage_count; i + 1 < j; i++) {
        const ch_expr_t *stage = plan.stages[i];
        plan.stages[i] = plan.stages[--j];
        plan.stages[j] = stage;
    }
    if (status == CH_OK)
        status = plan_leaf(&planner, expr);
    if (status == CH_OK)
        *plan_out = plan;
    else
        ch_promql_plan_release(&plan);
    return status;
}

void
ch_promql_plan_release(ch_promql_plan_t *plan)
{
    ch_selector_destroy(&plan->selector);
}
