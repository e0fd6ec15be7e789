/* promql_parser.c - the expression grammar.
 *
 * Shape     expression := operand { operator operand }, by precedence climbing:
 *               or | and unless | == != <= < >= > | + - | * / % atan2 | ^ (to the right)
 *           A sign binds like * but below ^: -1^2 is -(1^2).
 *           operand := ( expression ) | number | duration | string | call | aggregation | selector,
 *           followed by ranges and modifiers (promql_selector.c).
 * Keywords  are no reserved words: `sum` alone, or before a brace, is a metric of that name.
 * Depth     every way to nest passes `operand` or `expression`, which count; chains grow the tree
 *           to the left without recursion and are limited by height.
 */
#include "query/promql_parser.h"

#include "ch/assert.h"
#include <math.h>
#include <strings.h>

#include "query/functions.h"
#include "query/promql_parser_internal.h"

enum { LABELS_MAX = 128, ARGUMENTS_MAX = 32 };

static ch_status_t parse_expression(ch_promql_parser_t *parser, int precedence_min,
                                    ch_expr_t **expr_out);

ch_status_t
ch_promql_advance(ch_promql_parser_t *parser)
{
    return ch_promql_lexer_next(&parser->lexer, &parser->token);
}

ch_status_t
ch_promql_unexpected(const ch_promql_parser_t *parser, const char *context,
                     const char *expected)
{
    const ch_token_t *token = &parser->token;
    int size = token->text.size < 64 ? (int)token->text.size : 64;
    bool has_text = token->kind == CH_TOKEN_IDENTIFIER ||
                    token->kind == CH_TOKEN_NUMBER || token->kind == CH_TOKEN_DURATION ||
                    token->kind == CH_TOKEN_STRING;
    return ch_promql_fail(CH_ERR_PARSE, parser->lexer.query, token->position,
                          "unexpected %s%s%.*s in %s, expected %s",
                          ch_token_name(token->kind), has_text ? " " : "",
                          has_text ? size : 0, (const char *)token->text.data, context,
                          expected);
}

ch_status_t
ch_promql_expect(ch_promql_parser_t *parser, ch_token_kind_t kind, const char *context)
{
    if (parser->token.kind != kind)
        return ch_promql_unexpected(parser, context, ch_token_name(kind));
    return ch_promql_advance(parser);
}

bool
ch_promql_is_keyword(const ch_token_t *token, const char *keyword)
{
    return token->kind == CH_TOKEN_IDENTIFIER && token->text.size == strlen(keyword) &&
           strncasecmp((const char *)token->text.data, keyword, token->text.size) == 0;
}

static bool
find_aggregate(const ch_token_t *token, ch_aggregate_t *op_out)
{
    for (unsigned op = 0; ch_aggregate_name((ch_aggregate_t)op); op++) {
        if (ch_promql_is_keyword(token, ch_aggregate_name((ch_aggregate_t)op))) {
            *op_out = (ch_aggregate_t)op;
            return true;
        }
    }
    return false;
}

static bool
is_label_name(ch_bytes_t text)
{
    return text.size > 0 && !memchr(text.data, ':', text.size) &&
           !memchr(text.data, '.', text.size);
}

/* (a, "b", c,) */
static ch_status_t
parse_labels(ch_promql_parser_t *parser, const char *context, ch_promql_labels_t *labels)
{
    ch_status_t status = ch_promql_expect(parser, CH_TOKEN_LEFT_PAREN, context);
    while (status == CH_OK && parser->token.kind != CH_TOKEN_RIGHT_PAREN) {
        const ch_token_t *token = &parser->token;
        bool quoted = token->kind == CH_TOKEN_STRING;
        ch_bytes_t name = quoted ? token->string : token->text;
        bool valid = quoted ? name.size > 0
                            : token->kind == CH_TOKEN_IDENTIFIER && is_label_name(name);
        if (!valid)
            return ch_promql_unexpected(parser, context, "label");
        if (labels->count == LABELS_MAX)
            return ch_promql_fail(CH_ERR_LIMIT, parser->lexer.query, token->position,
                                  "more than %d labels", LABELS_MAX);
        labels->names = ch_query_memory_grow(parser->memory, labels->names, labels->count,
                                             sizeof name);
        labels->names[labels->count++] = name;
        status = ch_promql_advance(parser);
        if (status == CH_OK && parser->token.kind == CH_TOKEN_COMMA)
            status = ch_promql_advance(parser);
        else if (status == CH_OK && parser->token.kind != CH_TOKEN_RIGHT_PAREN)
            return ch_promql_unexpected(parser, context, "\",\" or \")\"");
    }
    return status == CH_OK ? ch_promql_advance(parser) : status;
}

/* (a, b) */
static ch_status_t
parse_arguments(ch_promql_parser_t *parser, const char *context,
                ch_expr_t ***arguments_out, uint32_t *count_out)
{
    ch_expr_t **arguments = NULL;
    uint32_t count = 0;
    ch_status_t status = ch_promql_expect(parser, CH_TOKEN_LEFT_PAREN, context);
    while (status == CH_OK && parser->token.kind != CH_TOKEN_RIGHT_PAREN) {
        if (count == ARGUMENTS_MAX)
            return ch_promql_fail(CH_ERR_LIMIT, parser->lexer.query,
                                  parser->token.position, "more than %d arguments",
                                  ARGUMENTS_MAX);
        arguments =
            ch_query_memory_grow(parser->memory, arguments, count, sizeof arguments[0]);
        status = parse_expression(parser, 0, &arguments[count++]);
        if (status < 0 || parser->token.kind == CH_TOKEN_RIGHT_PAREN)
            continue;
        status = ch_promql_expect(parser, CH_TOKEN_COMMA, context);
        if (status == CH_OK && parser->token.kind == CH_TOKEN_RIGHT_PAREN)
            return ch_promql_unexpected(parser, context, "an expression");
    }
    *arguments_out = arguments;
    *count_out = count;
    return status == CH_OK ? ch_promql_advance(parser) : status;
}

static ch_status_t
parse_call(ch_promql_parser_t *parser, const ch_token_t *name, ch_expr_t **expr_out)
{
    const ch_promql_function_t *function = ch_promql_function_find(name->text);
    if (!function)
        return ch_promql_fail(CH_ERR_PARSE, parser->lexer.query, name->position,
                              "unknown function with name \"%.*s\"",
                              name->text.size < 64 ? (int)name->text.size : 64,
                              (const char *)name->text.data);
    ch_expr_t *expr =
        ch_promql_node(parser, CH_EXPR_CALL, function->type, name->position);
    expr->call.function = function;
    ch_status_t status = parse_arguments(parser, "call", &expr->call.arguments,
                                         &expr->call.argument_count);
    if (status == CH_OK)
        status = ch_promql_check_call(parser, expr);
    if (status == CH_OK)
        *expr_out = expr;
    return status;
}

/* by (...) or without (...), before or behind the arguments. */
static ch_status_t
parse_grouping(ch_promql_parser_t *parser, ch_expr_t *expr, bool *found)
{
    bool without = ch_promql_is_keyword(&parser->token, "without");
    if (*found || (!without && !ch_promql_is_keyword(&parser->token, "by")))
        return CH_OK;
    *found = true;
    expr->aggregate.without = without;
    ch_status_t status = ch_promql_advance(parser);
    return status < 0 ? status
                      : parse_labels(parser, "grouping opts", &expr->aggregate.labels);
}

static ch_status_t
parse_aggregate(ch_promql_parser_t *parser, ch_aggregate_t op, uint32_t position,
                ch_expr_t **expr_out)
{
    ch_expr_t *expr =
        ch_promql_node(parser, CH_EXPR_AGGREGATE, CH_PROMQL_VECTOR, position);
    ch_expr_t **arguments = NULL;
    uint32_t count = 0, needed = op >= CH_AGGREGATE_TOPK ? 2 : 1;
    bool grouped = false;
    expr->aggregate.op = op;
    ch_status_t status = parse_grouping(parser, expr, &grouped);
    if (status == CH_OK)
        status = parse_arguments(parser, "aggregation", &arguments, &count);
    if (status == CH_OK)
        status = parse_grouping(parser, expr, &grouped);
    if (status == CH_OK && count != needed)
        status =
            ch_promql_fail(CH_ERR_PARSE, parser->lexer.query, position,
                           "wrong number of arguments for aggregate expression provided, "
                           "expected %u, got %u",
                           needed, count);
    if (status != CH_OK)
        return status;
    CH_ASSERT(arguments);
    expr->aggregate.param = needed == 2 ? arguments[0] : NULL;
    expr->aggregate.inner = arguments[needed - 1];
    *expr_out = expr;
    return ch_promql_check_aggregate(parser, expr);
}

static ch_status_t
build_number(ch_promql_parser_t *parser, uint32_t position, double number,
             ch_expr_t **expr_out)
{
    *expr_out = ch_promql_node(parser, CH_EXPR_NUMBER, CH_PROMQL_SCALAR, position);
    (*expr_out)->number = number;
    return CH_OK;
}

static bool
cannot_name_metric(const ch_token_t *token)
{
    static const char *const words[] = {"on",          "ignoring", "group_left",
                                        "group_right", "bool",     "atan2"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (ch_promql_is_keyword(token, words[i]))
            return true;
    return false;
}

/* A word opens a number (inf), a call, an aggregation or a selector. */
static ch_status_t
parse_word(ch_promql_parser_t *parser, ch_expr_t **expr_out)
{
    ch_token_t word = parser->token;
    ch_aggregate_t op = CH_AGGREGATE_SUM;
    if (cannot_name_metric(&word))
        return ch_promql_unexpected(parser, "expression", "an operand");
    ch_status_t status = ch_promql_advance(parser);
    if (status < 0)
        return status;
    if (ch_promql_is_keyword(&word, "inf"))
        return build_number(parser, word.position, INFINITY, expr_out);
    if (ch_promql_is_keyword(&word, "nan"))
        return build_number(parser, word.position, NAN, expr_out);
    bool called = parser->token.kind == CH_TOKEN_LEFT_PAREN;
    bool grouped = ch_promql_is_keyword(&parser->token, "by") ||
                   ch_promql_is_keyword(&parser->token, "without");
    if ((called || grouped) && find_aggregate(&word, &op))
        return parse_aggregate(parser, op, word.position, expr_out);
    if (called)
        return parse_call(parser, &word, expr_out);
    return ch_promql_parse_selector(parser, &word, expr_out);
}

static ch_status_t
parse_paren(ch_promql_parser_t *parser, ch_expr_t **expr_out)
{
    uint32_t position = parser->token.position;
    ch_expr_t *inner = NULL;
    ch_status_t status = ch_promql_advance(parser);
    if (status == CH_OK)
        status = parse_expression(parser, 0, &inner);
    if (status == CH_OK)
        status = ch_promql_expect(parser, CH_TOKEN_RIGHT_PAREN, "parentheses");
    if (status != CH_OK)
        return status;
    CH_ASSERT(inner);
    *expr_out = ch_promql_node(parser, CH_EXPR_PAREN, inner->type, position);
    (*expr_out)->paren = inner;
    return ch_promql_raise(parser, *expr_out, inner);
}

static ch_status_t
parse_operand(ch_promql_parser_t *parser, ch_expr_t **expr_out)
{
    ch_token_t token = parser->token;
    ch_status_t status = CH_OK;
    switch (token.kind) {
    case CH_TOKEN_LEFT_PAREN:
        return parse_paren(parser, expr_out);
    case CH_TOKEN_IDENTIFIER:
        return parse_word(parser, expr_out);
    case CH_TOKEN_LEFT_BRACE:
        return ch_promql_parse_selector(parser, NULL, expr_out);
    case CH_TOKEN_NUMBER:
    case CH_TOKEN_DURATION:
        status = ch_promql_advance(parser);
        if (token.kind == CH_TOKEN_DURATION)
            token.number = (double)token.duration / 1e9;
        return status < 0 ? status
                          : build_number(parser, token.position, token.number, expr_out);
    case CH_TOKEN_STRING:
        *expr_out =
            ch_promql_node(parser, CH_EXPR_STRING, CH_PROMQL_STRING, token.position);
        (*expr_out)->string = token.string;
        return ch_promql_advance(parser);
    default:
        return ch_promql_unexpected(parser, "expression", "an operand");
    }
}

enum { PRECEDENCE_MUL = 5, PRECEDENCE_POW = 6 };

static ch_status_t
parse_unary(ch_promql_parser_t *parser, ch_expr_t **expr_out)
{
    bool negative = parser->token.kind == CH_TOKEN_SUB;
    if (!negative && parser->token.kind != CH_TOKEN_ADD) {
        ch_status_t status = parse_operand(parser, expr_out);
        return status < 0 ? status : ch_promql_parse_postfix(parser, expr_out);
    }
    ch_expr_t *expr =
        ch_promql_node(parser, CH_EXPR_UNARY, CH_PROMQL_SCALAR, parser->token.position);
    expr->unary.negative = negative;
    ch_status_t status = ch_promql_advance(parser);
    if (status == CH_OK)
        status = parse_expression(parser, PRECEDENCE_POW, &expr->unary.inner);
    if (status == CH_OK)
        status = ch_promql_check_unary(parser, expr);
    if (status == CH_OK)
        *expr_out = expr;
    return status;
}

typedef struct operator
{
    ch_binary_t op;
    int precedence; /* 0: no operator */
}
operator_t;

static operator_t
find_operator(const ch_token_t *token)
{
    static const operator_t symbols[CH_TOKEN_NRE + 1] = {
        [CH_TOKEN_ADD] = {CH_BINARY_ADD, 4}, [CH_TOKEN_SUB] = {CH_BINARY_SUB, 4},
        [CH_TOKEN_MUL] = {CH_BINARY_MUL, 5}, [CH_TOKEN_DIV] = {CH_BINARY_DIV, 5},
        [CH_TOKEN_MOD] = {CH_BINARY_MOD, 5}, [CH_TOKEN_POW] = {CH_BINARY_POW, 6},
        [CH_TOKEN_EQL] = {CH_BINARY_EQL, 3}, [CH_TOKEN_NEQ] = {CH_BINARY_NEQ, 3},
        [CH_TOKEN_LSS] = {CH_BINARY_LSS, 3}, [CH_TOKEN_LTE] = {CH_BINARY_LTE, 3},
        [CH_TOKEN_GTR] = {CH_BINARY_GTR, 3}, [CH_TOKEN_GTE] = {CH_BINARY_GTE, 3},
    };
    static const operator_t words[] = {{CH_BINARY_OR, 1},
                                       {CH_BINARY_AND, 2},
                                       {CH_BINARY_UNLESS, 2},
                                       {CH_BINARY_ATAN2, 5}};
    if (token->kind != CH_TOKEN_IDENTIFIER)
        return symbols[token->kind];
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (ch_promql_is_keyword(token, ch_binary_name(words[i].op)))
            return words[i];
    return (operator_t){0};
}

static ch_status_t
parse_group_side(ch_promql_parser_t *parser, ch_expr_t *expr)
{
    bool left = ch_promql_is_keyword(&parser->token, "group_left");
    if (!left && !ch_promql_is_keyword(&parser->token, "group_right"))
        return CH_OK;
    expr->binary.group = left ? CH_GROUP_LEFT : CH_GROUP_RIGHT;
    ch_status_t status = ch_promql_advance(parser);
    if (status < 0 || parser->token.kind != CH_TOKEN_LEFT_PAREN)
        return status;
    return parse_labels(parser, "group modifier", &expr->binary.include);
}

/* bool, on (...) or ignoring (...), group_left (...) or group_right (...). */
static ch_status_t
parse_matching(ch_promql_parser_t *parser, ch_expr_t *expr)
{
    ch_status_t status = CH_OK;
    if (ch_promql_is_keyword(&parser->token, "bool")) {
        expr->binary.return_bool = true;
        status = ch_promql_advance(parser);
    }
    bool on = status == CH_OK && ch_promql_is_keyword(&parser->token, "on");
    if (status < 0 || (!on && !ch_promql_is_keyword(&parser->token, "ignoring")))
        return status;
    expr->binary.matching = true;
    expr->binary.on = on;
    status = ch_promql_advance(parser);
    if (status == CH_OK)
        status = parse_labels(parser, "vector matching", &expr->binary.match_labels);
    return status < 0 ? status : parse_group_side(parser, expr);
}

static ch_status_t
parse_binary(ch_promql_parser_t *parser, operator_t found, ch_expr_t **left)
{
    ch_expr_t *expr =
        ch_promql_node(parser, CH_EXPR_BINARY, CH_PROMQL_SCALAR, (*left)->position);
    expr->binary.op = found.op;
    expr->binary.left = *left;
    ch_status_t status = ch_promql_advance(parser);
    if (status == CH_OK)
        status = parse_matching(parser, expr);
    int right_min = found.precedence + (found.op == CH_BINARY_POW ? 0 : 1);
    if (status == CH_OK)
        status = parse_expression(parser, right_min, &expr->binary.right);
    if (status == CH_OK)
        status = ch_promql_check_binary(parser, expr);
    if (status == CH_OK)
        *left = expr;
    return status;
}

static ch_status_t
parse_operators(ch_promql_parser_t *parser, int precedence_min, ch_expr_t **expr_out)
{
    ch_expr_t *left = NULL;
    ch_status_t status = parse_unary(parser, &left);
    while (status == CH_OK) {
        operator_t found = find_operator(&parser->token);
        if (found.precedence == 0 || found.precedence < precedence_min)
            break;
        status = parse_binary(parser, found, &left);
    }
    if (status == CH_OK)
        *expr_out = left;
    return status;
}

static ch_status_t
parse_expression(ch_promql_parser_t *parser, int precedence_min, ch_expr_t **expr_out)
{
    if (parser->nesting == CH_PROMQL_NESTING_MAX)
        return ch_promql_fail(CH_ERR_LIMIT, parser->lexer.query, parser->token.position,
                              "expression is nested more than %d deep",
                              CH_PROMQL_NESTING_MAX);
    parser->nesting++;
    ch_status_t status = parse_operators(parser, precedence_min, expr_out);
    parser->nesting--;
    return status;
}

ch_status_t
ch_promql_parse(ch_bytes_t query, ch_query_memory_t *memory, ch_expr_t **expr_out)
{
    if (query.size > CH_PROMQL_QUERY_BYTES_MAX)
        return ch_fail(CH_ERR_LIMIT, "query has %zu bytes, at most %d are taken",
                       query.size, CH_PROMQL_QUERY_BYTES_MAX);
    if (!query.data)
        query = ch_bytes_text("");
    ch_promql_parser_t parser = {.lexer = {.query = query, .memory = memory},
                                 .memory = memory};
    ch_expr_t *expr = NULL;
    ch_status_t status = ch_promql_advance(&parser);
    if (status == CH_OK && parser.token.kind == CH_TOKEN_END)
        return ch_promql_fail(CH_ERR_PARSE, query, 0, "no expression found in input");
    if (status == CH_OK)
        status = parse_expression(&parser, 0, &expr);
    if (status == CH_OK && parser.token.kind != CH_TOKEN_END)
        status = ch_promql_unexpected(&parser, "expression", "an operator or the end");
    if (status == CH_OK)
        *expr_out = expr;
    return status;
}
