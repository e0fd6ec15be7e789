/// Shared by the parts of the parser: expressions, selectors and their modifiers, node building.
#ifndef CH_PROMQL_PARSER_INTERNAL_H
#define CH_PROMQL_PARSER_INTERNAL_H

#include "query/promql_ast.h"
#include "query/promql_lexer.h"

typedef struct ch_promql_parser {
    ch_promql_lexer_t lexer;
    ch_token_t token; /* the next one, not taken yet */
    ch_query_memory_t *memory;
    unsigned nesting;
} ch_promql_parser_t;

/* The token stream. */
ch_status_t ch_promql_advance(ch_promql_parser_t *parser) CH_MUST_CHECK;
ch_status_t ch_promql_expect(ch_promql_parser_t *parser, ch_token_kind_t kind,
                             const char *context) CH_MUST_CHECK;
ch_status_t ch_promql_unexpected(const ch_promql_parser_t *parser, const char *context,
                                 const char *expected);
bool ch_promql_is_keyword(const ch_token_t *token, const char *keyword);

/* promql_selector.c: name{...}; what follows an operand: [range], [range:step], offset, @ ... */
ch_status_t ch_promql_parse_selector(ch_promql_parser_t *parser, const ch_token_t *name,
                                     ch_expr_t **expr_out) CH_MUST_CHECK;
ch_status_t ch_promql_parse_postfix(ch_promql_parser_t *parser,
                                    ch_expr_t **expr) CH_MUST_CHECK;

/* promql_ast.c: nodes with their types checked. */
ch_expr_t *ch_promql_node(ch_promql_parser_t *parser, ch_expr_kind_t kind,
                          ch_promql_type_t type, uint32_t position);
ch_status_t ch_promql_raise(ch_promql_parser_t *parser, ch_expr_t *expr,
                            const ch_expr_t *child) CH_MUST_CHECK;
ch_status_t ch_promql_check_unary(ch_promql_parser_t *parser,
                                  ch_expr_t *expr) CH_MUST_CHECK;
ch_status_t ch_promql_check_binary(ch_promql_parser_t *parser,
                                   ch_expr_t *expr) CH_MUST_CHECK;
ch_status_t ch_promql_check_aggregate(ch_promql_parser_t *parser,
                                      ch_expr_t *expr) CH_MUST_CHECK;
ch_status_t ch_promql_check_call(ch_promql_parser_t *parser,
                                 ch_expr_t *expr) CH_MUST_CHECK;

#endif
