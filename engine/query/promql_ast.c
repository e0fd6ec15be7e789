/* promql_ast.c - building nodes: names, heights and the type rules of PromQL. */
#include "query/promql_parser_internal.h"

#include <stdio.h>

#include "query/functions.h"

const char *
ch_promql_type_name(ch_promql_type_t type)
{
    static const char *const names[] = {
        [CH_PROMQL_SCALAR] = "scalar",
        [CH_PROMQL_STRING] = "string",
        [CH_PROMQL_VECTOR] = "instant vector",
        [CH_PROMQL_MATRIX] = "range vector",
    };
    return names[type];
}

const char *
ch_binary_name(ch_binary_t op)
{
    static const char *const names[] = {
        [CH_BINARY_ADD] = "+",         [CH_BINARY_SUB] = "-",
        [CH_BINARY_MUL] = "*",         [CH_BINARY_DIV] = "/",
        [CH_BINARY_MOD] = "%",         [CH_BINARY_POW] = "^",
        [CH_BINARY_EQL] = "==",        [CH_BINARY_NEQ] = "!=",
        [CH_BINARY_LSS] = "<",         [CH_BINARY_LTE] = "<=",
        [CH_BINARY_GTR] = ">",         [CH_BINARY_GTE] = ">=",
        [CH_BINARY_AND] = "and",       [CH_BINARY_OR] = "or",
        [CH_BINARY_UNLESS] = "unless", [CH_BINARY_ATAN2] = "atan2",
    };
    return names[op];
}

const char *
ch_aggregate_name(ch_aggregate_t op)
{
    static const char *const names[] = {
        [CH_AGGREGATE_SUM] = "sum",
        [CH_AGGREGATE_MIN] = "min",
        [CH_AGGREGATE_MAX] = "max",
        [CH_AGGREGATE_AVG] = "avg",
        [CH_AGGREGATE_COUNT] = "count",
        [CH_AGGREGATE_GROUP] = "group",
        [CH_AGGREGATE_STDDEV] = "stddev",
        [CH_AGGREGATE_STDVAR] = "stdvar",
        [CH_AGGREGATE_TOPK] = "topk",
        [CH_AGGREGATE_BOTTOMK] = "bottomk",
        [CH_AGGREGATE_QUANTILE] = "quantile",
        [CH_AGGREGATE_LIMITK] = "limitk",
        [CH_AGGREGATE_LIMIT_RATIO] = "limit_ratio",
        [CH_AGGREGATE_COUNT_VALUES] = "count_values",
    };
    return op <= CH_AGGREGATE_COUNT_VALUES ? names[op] : NULL;
}

ch_expr_t *
ch_promql_node(ch_promql_parser_t *parser, ch_expr_kind_t kind, ch_promql_type_t type,
               uint32_t position)
{
    ch_expr_t *expr = ch_query_memory_take(parser->memory, sizeof *expr);
    expr->kind = kind;
    expr->type = type;
    expr->position = position;
    expr->height = 1;
    return expr;
}

ch_status_t
ch_promql_raise(ch_promql_parser_t *parser, ch_expr_t *expr, const ch_expr_t *child)
{
    if (child->height >= expr->height)
        expr->height = child->height + 1;
    if (expr->height > CH_PROMQL_TREE_MAX)
        return ch_promql_fail(CH_ERR_LIMIT, parser->lexer.query, expr->position,
                              "expression is more than %d operations high",
                              CH_PROMQL_TREE_MAX);
    return CH_OK;
}

static ch_status_t
wrong_type(ch_promql_parser_t *parser, const ch_expr_t *expr, ch_promql_type_t expected,
           const char *context)
{
    return ch_promql_fail(CH_ERR_PARSE, parser->lexer.query, expr->position,
                          "expected type %s in %s, got %s", ch_promql_type_name(expected),
                          context, ch_promql_type_name(expr->type));
}

ch_status_t
ch_promql_check_unary(ch_promql_parser_t *parser, ch_expr_t *expr)
{
    const ch_expr_t *inner = expr->unary.inner;
    if (inner->type != CH_PROMQL_SCALAR && inner->type != CH_PROMQL_VECTOR)
        return ch_promql_fail(
            CH_ERR_PARSE, parser->lexer.query, expr->position,
            "unary expression only allowed on expressions of type scalar or "
            "instant vector, got %s",
            ch_promql_type_name(inner->type));
    expr->type = inner->type;
    return ch_promql_raise(parser, expr, inner);
}

static bool
is_comparison(ch_binary_t op)
{
    return op >= CH_BINARY_EQL && op <= CH_BINARY_GTE;
}

static bool
is_set_operation(ch_binary_t op)
{
    return op >= CH_BINARY_AND;
}

static const char *
binary_wrong(const ch_expr_t *expr)
{
    const ch_expr_t *left = expr->binary.left, *right = expr->binary.right;
    ch_binary_t op = expr->binary.op;
    bool scalars = left->type == CH_PROMQL_SCALAR && right->type == CH_PROMQL_SCALAR;
    bool vectors = left->type == CH_PROMQL_VECTOR && right->type == CH_PROMQL_VECTOR;
    if (expr->binary.return_bool && !is_comparison(op))
        return "bool modifier can only be used on comparison operators";
    if (is_comparison(op) && !expr->binary.return_bool && scalars)
        return "comparisons between scalars must use BOOL modifier";
    if (expr->binary.matching && !vectors)
        return "vector matching only allowed between instant vectors";
    if (is_set_operation(op) && !vectors)
        return "set operator not allowed in binary scalar expression";
    if (is_set_operation(op) && expr->binary.group != CH_GROUP_NONE)
        return "no grouping allowed for set operation";
    for (uint32_t i = 0; i < expr->binary.include.count && expr->binary.on; i++)
        for (uint32_t j = 0; j < expr->binary.match_labels.count; j++)
            if (ch_bytes_equal(expr->binary.include.names[i],
                               expr->binary.match_labels.names[j]))
                return "a label must not occur in ON and GROUP clause at once";
    return NULL;
}

ch_status_t
ch_promql_check_binary(ch_promql_parser_t *parser, ch_expr_t *expr)
{
    const ch_expr_t *sides[] = {expr->binary.left, expr->binary.right};
    for (int i = 0; i < 2; i++) {
        if (sides[i]->type != CH_PROMQL_SCALAR && sides[i]->type != CH_PROMQL_VECTOR)
            return ch_promql_fail(
                CH_ERR_PARSE, parser->lexer.query, sides[i]->position,
                "binary expression must contain only scalar and instant vector "
                "types");
        ch_status_t status = ch_promql_raise(parser, expr, sides[i]);
        if (status < 0)
            return status;
        if (sides[i]->type == CH_PROMQL_VECTOR)
            expr->type = CH_PROMQL_VECTOR;
    }
    const char *wrong = binary_wrong(expr);
    return wrong ? ch_promql_fail(CH_ERR_PARSE, parser->lexer.query, expr->position, "%s",
                                  wrong)
                 : CH_OK;
}

ch_status_t
ch_promql_check_aggregate(ch_promql_parser_t *parser, ch_expr_t *expr)
{
    const ch_expr_t *param = expr->aggregate.param, *inner = expr->aggregate.inner;
    if (inner->type != CH_PROMQL_VECTOR)
        return wrong_type(parser, inner, CH_PROMQL_VECTOR, "aggregation expression");
    if (param) {
        bool text = expr->aggregate.op == CH_AGGREGATE_COUNT_VALUES;
        ch_promql_type_t expected = text ? CH_PROMQL_STRING : CH_PROMQL_SCALAR;
        if (param->type != expected)
            return wrong_type(parser, param, expected, "aggregation parameter");
        ch_status_t status = ch_promql_raise(parser, expr, param);
        if (status < 0)
            return status;
    }
    return ch_promql_raise(parser, expr, inner);
}

static ch_promql_type_t
argument_type(char letter)
{
    switch (letter) {
    case 's':
        return CH_PROMQL_SCALAR;
    case 't':
        return CH_PROMQL_STRING;
    case 'm':
        return CH_PROMQL_MATRIX;
    default:
        return CH_PROMQL_VECTOR;
    }
}

static ch_status_t
check_argument_count(ch_promql_parser_t *parser, const ch_expr_t *expr)
{
    const ch_promql_function_t *function = expr->call.function;
    size_t most = strlen(function->arguments);
    size_t least = most - (size_t)(function->variadic < 0 ? 1 : function->variadic);
    if (expr->call.argument_count < least)
        return ch_promql_fail(CH_ERR_PARSE, parser->lexer.query, expr->position,
                              "expected %s%zu argument(s) in call to \"%s\", got %u",
                              function->variadic ? "at least " : "", least,
                              function->name, expr->call.argument_count);
    if (function->variadic >= 0 && expr->call.argument_count > most)
        return ch_promql_fail(CH_ERR_PARSE, parser->lexer.query, expr->position,
                              "expected %s%zu argument(s) in call to \"%s\", got %u",
                              function->variadic ? "at most " : "", most, function->name,
                              expr->call.argument_count);
    return CH_OK;
}

ch_status_t
ch_promql_check_call(ch_promql_parser_t *parser, ch_expr_t *expr)
{
    const ch_promql_function_t *function = expr->call.function;
    ch_status_t status = check_argument_count(parser, expr);
    size_t most = strlen(function->arguments);
    for (uint32_t i = 0; status == CH_OK && i < expr->call.argument_count; i++) {
        const ch_expr_t *argument = expr->call.arguments[i];
        ch_promql_type_t expected =
            argument_type(function->arguments[i < most ? i : most - 1]);
        char context[96];
        snprintf(context, sizeof context, "call to function \"%s\"", function->name);
        status = argument->type == expected
                     ? ch_promql_raise(parser, expr, argument)
                     : wrong_type(parser, argument, expected, context);
    }
    return status;
}
