/* promql_selector.c - selectors, and what may follow an operand: ranges, offset, @. */
#include "query/promql_parser_internal.h"

#include <math.h>

#include "query/promql_literal.h"

enum { MATCHERS_MAX = 128 };

static ch_status_t
fail_at(const ch_promql_parser_t *parser, uint32_t position, const char *text)
{
    return ch_promql_fail(CH_ERR_PARSE, parser->lexer.query, position, "%s", text);
}

static ch_status_t
add_matcher(ch_promql_parser_t *parser, ch_expr_t *expr, ch_matcher_t matcher)
{
    if (expr->selector.matcher_count == MATCHERS_MAX)
        return ch_promql_fail(CH_ERR_LIMIT, parser->lexer.query, expr->position,
                              "selector has more than %d matchers", MATCHERS_MAX);
    expr->selector.matchers =
        ch_query_memory_grow(parser->memory, expr->selector.matchers,
                             expr->selector.matcher_count, sizeof matcher);
    expr->selector.matchers[expr->selector.matcher_count++] = matcher;
    return CH_OK;
}

static ch_status_t
add_name(ch_promql_parser_t *parser, ch_expr_t *expr, ch_bytes_t name, uint32_t position)
{
    if (expr->selector.has_name)
        return fail_at(parser, position, "metric name must not be set twice");
    if (name.size == 0)
        return fail_at(parser, position, "metric name must not be empty");
    expr->selector.has_name = true;
    return add_matcher(parser, expr,
                       (ch_matcher_t){.kind = CH_MATCH_EQ,
                                      .label = ch_bytes_text("__name__"),
                                      .value = name});
}

static bool
match_kind(ch_token_kind_t token, ch_match_kind_t *kind_out)
{
    switch (token) {
    case CH_TOKEN_ASSIGN:
        *kind_out = CH_MATCH_EQ;
        return true;
    case CH_TOKEN_NEQ:
        *kind_out = CH_MATCH_NE;
        return true;
    case CH_TOKEN_RE:
        *kind_out = CH_MATCH_RE;
        return true;
    case CH_TOKEN_NRE:
        *kind_out = CH_MATCH_NRE;
        return true;
    default:
        return false;
    }
}

/* label="value", "quoted label"="value", or a quoted metric name alone. */
static ch_status_t
parse_matcher(ch_promql_parser_t *parser, ch_expr_t *expr)
{
    ch_token_t label = parser->token;
    if (label.kind != CH_TOKEN_IDENTIFIER && label.kind != CH_TOKEN_STRING)
        return ch_promql_unexpected(parser, "label matching", "label name or \"}\"");
    ch_status_t status = ch_promql_advance(parser);
    if (status < 0)
        return status;
    bool ends = parser->token.kind == CH_TOKEN_COMMA ||
                parser->token.kind == CH_TOKEN_RIGHT_BRACE;
    if (label.kind == CH_TOKEN_STRING && ends)
        return add_name(parser, expr, label.string, label.position);
    ch_matcher_t matcher = {.label = label.kind == CH_TOKEN_STRING ? label.string
                                                                   : label.text};
    if (!match_kind(parser->token.kind, &matcher.kind))
        return ch_promql_unexpected(parser, "label matching", "one of =, !=, =~, !~");
    status = ch_promql_advance(parser);
    if (status < 0)
        return status;
    if (parser->token.kind != CH_TOKEN_STRING)
        return ch_promql_unexpected(parser, "label matching", "string");
    matcher.value = parser->token.string;
    bool names = matcher.kind == CH_MATCH_EQ &&
                 ch_bytes_equal(matcher.label, ch_bytes_text("__name__"));
    if (names && expr->selector.has_name)
        return fail_at(parser, label.position, "metric name must not be set twice");
    status = add_matcher(parser, expr, matcher);
    return status < 0 ? status : ch_promql_advance(parser);
}

static ch_status_t
parse_matchers(ch_promql_parser_t *parser, ch_expr_t *expr)
{
    ch_status_t status = ch_promql_advance(parser); /* the brace */
    while (status == CH_OK && parser->token.kind != CH_TOKEN_RIGHT_BRACE) {
        status = parse_matcher(parser, expr);
        if (status == CH_OK && parser->token.kind == CH_TOKEN_COMMA)
            status = ch_promql_advance(parser);
        else if (status == CH_OK && parser->token.kind != CH_TOKEN_RIGHT_BRACE)
            status = ch_promql_unexpected(parser, "label matching", "\",\" or \"}\"");
    }
    return status == CH_OK ? ch_promql_advance(parser) : status;
}

/* A selector must not match everything by matching nothing; regexes are judged by the selector. */
static bool
all_match_empty(const ch_expr_t *expr)
{
    for (uint32_t i = 0; i < expr->selector.matcher_count; i++) {
        const ch_matcher_t *matcher = &expr->selector.matchers[i];
        bool empty = matcher->value.size == 0;
        bool equal = matcher->kind == CH_MATCH_EQ || matcher->kind == CH_MATCH_RE;
        if (equal ? !empty : empty)
            return false;
    }
    return true;
}

ch_status_t
ch_promql_parse_selector(ch_promql_parser_t *parser, const ch_token_t *name,
                         ch_expr_t **expr_out)
{
    uint32_t position = name ? name->position : parser->token.position;
    ch_expr_t *expr =
        ch_promql_node(parser, CH_EXPR_SELECTOR, CH_PROMQL_VECTOR, position);
    ch_status_t status = name ? add_name(parser, expr, name->text, position) : CH_OK;
    if (status == CH_OK && parser->token.kind == CH_TOKEN_LEFT_BRACE)
        status = parse_matchers(parser, expr);
    if (status == CH_OK && all_match_empty(expr))
        status = fail_at(parser, position,
                         "vector selector must contain at least one non-empty matcher");
    if (status == CH_OK)
        *expr_out = expr;
    return status;
}

static bool
is_operator(ch_token_kind_t kind)
{
    return kind >= CH_TOKEN_ADD && kind <= CH_TOKEN_POW;
}

/* A duration, or a number of seconds. */
static ch_status_t
parse_duration(ch_promql_parser_t *parser, const char *context, int64_t *duration_out)
{
    const ch_token_t *token = &parser->token;
    int64_t duration = token->duration;
    if (token->kind == CH_TOKEN_IDENTIFIER || token->kind == CH_TOKEN_LEFT_PAREN)
        return ch_promql_fail(CH_ERR_UNSUPPORTED, parser->lexer.query, token->position,
                              "duration expressions are not supported");
    if (token->kind != CH_TOKEN_DURATION && token->kind != CH_TOKEN_NUMBER)
        return ch_promql_unexpected(parser, context, "duration");
    if (token->kind == CH_TOKEN_NUMBER && !ch_promql_seconds(token->number, &duration))
        return fail_at(parser, token->position, "duration out of range (292 years)");
    ch_status_t status = ch_promql_advance(parser);
    if (status == CH_OK)
        *duration_out = duration;
    return status;
}

static ch_status_t
parse_positive_duration(ch_promql_parser_t *parser, const char *context,
                        int64_t *duration_out)
{
    uint32_t position = parser->token.position;
    ch_status_t status = parse_duration(parser, context, duration_out);
    if (status == CH_OK && *duration_out <= 0)
        return fail_at(parser, position, "duration must be greater than 0");
    if (status == CH_OK && is_operator(parser->token.kind))
        return ch_promql_fail(CH_ERR_UNSUPPORTED, parser->lexer.query,
                              parser->token.position,
                              "duration expressions are not supported");
    return status;
}

static ch_status_t
build_range(ch_promql_parser_t *parser, ch_expr_t **expr, int64_t range,
            uint32_t position)
{
    ch_expr_t *selector = *expr;
    if (selector->kind != CH_EXPR_SELECTOR)
        return fail_at(parser, position, "ranges only allowed for vector selectors");
    const ch_promql_modifiers_t *modifiers = &selector->selector.modifiers;
    if (modifiers->has_offset)
        return fail_at(parser, position, "no offset modifiers allowed before range");
    if (modifiers->at != CH_AT_NONE)
        return fail_at(parser, position, "no @ modifiers allowed before range");
    ch_expr_t *node =
        ch_promql_node(parser, CH_EXPR_RANGE, CH_PROMQL_MATRIX, selector->position);
    node->range.selector = selector;
    node->range.range = range;
    *expr = node;
    return ch_promql_raise(parser, node, selector);
}

static ch_status_t
build_subquery(ch_promql_parser_t *parser, ch_expr_t **expr, int64_t range, int64_t step,
               uint32_t position)
{
    ch_expr_t *inner = *expr;
    if (inner->type != CH_PROMQL_VECTOR)
        return ch_promql_fail(CH_ERR_PARSE, parser->lexer.query, position,
                              "subquery is only allowed on instant vector, got %s",
                              ch_promql_type_name(inner->type));
    ch_expr_t *node =
        ch_promql_node(parser, CH_EXPR_SUBQUERY, CH_PROMQL_MATRIX, inner->position);
    node->subquery.inner = inner;
    node->subquery.range = range;
    node->subquery.step = step;
    *expr = node;
    return ch_promql_raise(parser, node, inner);
}

static ch_status_t
parse_brackets(ch_promql_parser_t *parser, ch_expr_t **expr)
{
    uint32_t position = parser->token.position;
    int64_t range = 0, step = 0;
    ch_status_t status = ch_promql_advance(parser);
    if (status == CH_OK)
        status = parse_positive_duration(parser, "range", &range);
    bool subquery = status == CH_OK && parser->token.kind == CH_TOKEN_COLON;
    if (subquery)
        status = ch_promql_advance(parser);
    if (subquery && status == CH_OK && parser->token.kind != CH_TOKEN_RIGHT_BRACKET)
        status = parse_positive_duration(parser, "subquery step", &step);
    if (status == CH_OK)
        status = ch_promql_expect(parser, CH_TOKEN_RIGHT_BRACKET, "range");
    if (status < 0)
        return status;
    return subquery ? build_subquery(parser, expr, range, step, position)
                    : build_range(parser, expr, range, position);
}

/* Where an operand keeps its modifiers; NULL when it takes none. */
static ch_promql_modifiers_t *
modifiers_of(ch_expr_t *expr)
{
    switch (expr->kind) {
    case CH_EXPR_SELECTOR:
        return &expr->selector.modifiers;
    case CH_EXPR_RANGE:
        return &expr->range.selector->selector.modifiers;
    case CH_EXPR_SUBQUERY:
        return &expr->subquery.modifiers;
    default:
        return NULL;
    }
}

static ch_status_t
parse_sign(ch_promql_parser_t *parser, bool *negative_out)
{
    *negative_out = parser->token.kind == CH_TOKEN_SUB;
    bool sign = *negative_out || parser->token.kind == CH_TOKEN_ADD;
    return sign ? ch_promql_advance(parser) : CH_OK;
}

static ch_status_t
parse_offset(ch_promql_parser_t *parser, ch_promql_modifiers_t *modifiers)
{
    uint32_t position = parser->token.position;
    bool negative = false;
    if (!modifiers)
        return fail_at(
            parser, position,
            "offset modifier must be preceded by an instant vector selector or range "
            "vector selector or a subquery");
    if (modifiers->has_offset)
        return fail_at(parser, position, "offset may not be set multiple times");
    ch_status_t status = ch_promql_advance(parser);
    if (status == CH_OK)
        status = parse_sign(parser, &negative);
    if (status == CH_OK)
        status = parse_duration(parser, "offset", &modifiers->offset);
    modifiers->has_offset = true;
    if (negative)
        modifiers->offset = -modifiers->offset;
    return status;
}

static ch_status_t
parse_at_time(ch_promql_parser_t *parser, ch_promql_modifiers_t *modifiers)
{
    bool negative = false;
    ch_status_t status = parse_sign(parser, &negative);
    if (status < 0)
        return status;
    const ch_token_t *token = &parser->token;
    double seconds = token->number;
    bool special =
        ch_promql_is_keyword(token, "inf") || ch_promql_is_keyword(token, "nan");
    if (token->kind == CH_TOKEN_DURATION)
        seconds = (double)token->duration / 1e9;
    else if (token->kind != CH_TOKEN_NUMBER && !special)
        return ch_promql_unexpected(parser, "@", "timestamp");
    if (special || !ch_promql_seconds(negative ? -seconds : seconds, &modifiers->at_time))
        return fail_at(parser, token->position, "timestamp out of bounds for @ modifier");
    modifiers->at = CH_AT_TIME;
    return ch_promql_advance(parser);
}

static ch_status_t
parse_at(ch_promql_parser_t *parser, ch_promql_modifiers_t *modifiers)
{
    uint32_t position = parser->token.position;
    if (!modifiers)
        return fail_at(
            parser, position,
            "@ modifier must be preceded by an instant vector selector or range vector "
            "selector or a subquery");
    if (modifiers->at != CH_AT_NONE)
        return fail_at(parser, position, "@ <timestamp> may not be set multiple times");
    ch_status_t status = ch_promql_advance(parser);
    if (status < 0)
        return status;
    bool start = ch_promql_is_keyword(&parser->token, "start");
    if (!start && !ch_promql_is_keyword(&parser->token, "end"))
        return parse_at_time(parser, modifiers);
    modifiers->at = start ? CH_AT_START : CH_AT_END;
    status = ch_promql_advance(parser);
    if (status == CH_OK)
        status = ch_promql_expect(parser, CH_TOKEN_LEFT_PAREN, "@");
    return status < 0 ? status : ch_promql_expect(parser, CH_TOKEN_RIGHT_PAREN, "@");
}

/* smoothed and anchored are kept, so that the plan can say that they are not evaluated. */
static ch_status_t
parse_interpolation(ch_promql_parser_t *parser, ch_promql_modifiers_t *modifiers)
{
    if (!modifiers)
        return fail_at(parser, parser->token.position,
                       "anchored and smoothed must be preceded by a vector selector");
    if (ch_promql_is_keyword(&parser->token, "smoothed"))
        modifiers->smoothed = true;
    else
        modifiers->anchored = true;
    return ch_promql_advance(parser);
}

ch_status_t
ch_promql_parse_postfix(ch_promql_parser_t *parser, ch_expr_t **expr)
{
    ch_status_t status = CH_OK;
    while (status == CH_OK) {
        if (parser->token.kind == CH_TOKEN_LEFT_BRACKET)
            status = parse_brackets(parser, expr);
        else if (parser->token.kind == CH_TOKEN_AT)
            status = parse_at(parser, modifiers_of(*expr));
        else if (ch_promql_is_keyword(&parser->token, "offset"))
            status = parse_offset(parser, modifiers_of(*expr));
        else if (ch_promql_is_keyword(&parser->token, "smoothed") ||
                 ch_promql_is_keyword(&parser->token, "anchored"))
            status = parse_interpolation(parser, modifiers_of(*expr));
        else
            return CH_OK;
    }
    return status;
}
