/// PromQL text to tokens.
///
/// Shape    pull: ch_promql_lexer_next gives one token at a time. Keywords are identifiers here;
///          the parser tells them by place, because most of them may also name a metric.
/// State    between braces an identifier takes no ':' or '.', between brackets ':' is a token.
/// Dots     outside braces an identifier may hold dots (`system.cpu.load`), which Prometheus does
///          not take bare; nothing that is PromQL changes its meaning by that.
/// Owner    tokens borrow the query text; decoded strings live in `memory`.
#ifndef CH_PROMQL_LEXER_H
#define CH_PROMQL_LEXER_H

#include "ch/status.h"
#include "query/query_memory.h"

typedef enum {
    CH_TOKEN_END,
    CH_TOKEN_IDENTIFIER,
    CH_TOKEN_NUMBER,
    CH_TOKEN_DURATION,
    CH_TOKEN_STRING,
    CH_TOKEN_LEFT_PAREN,
    CH_TOKEN_RIGHT_PAREN,
    CH_TOKEN_LEFT_BRACE,
    CH_TOKEN_RIGHT_BRACE,
    CH_TOKEN_LEFT_BRACKET,
    CH_TOKEN_RIGHT_BRACKET,
    CH_TOKEN_COMMA,
    CH_TOKEN_COLON,
    CH_TOKEN_AT,
    CH_TOKEN_ADD,
    CH_TOKEN_SUB,
    CH_TOKEN_MUL,
    CH_TOKEN_DIV,
    CH_TOKEN_MOD,
    CH_TOKEN_POW,
    CH_TOKEN_ASSIGN, /* = */
    CH_TOKEN_EQL,    /* == */
    CH_TOKEN_NEQ,    /* != */
    CH_TOKEN_LSS,
    CH_TOKEN_LTE,
    CH_TOKEN_GTR,
    CH_TOKEN_GTE,
    CH_TOKEN_RE,  /* =~ */
    CH_TOKEN_NRE, /* !~ */
} ch_token_kind_t;

typedef struct ch_token {
    ch_token_kind_t kind;
    uint32_t position; /* byte offset in the query */
    ch_bytes_t text;   /* as written */
    double number;     /* NUMBER */
    int64_t duration;  /* DURATION, ns */
    ch_bytes_t string; /* STRING, decoded */
} ch_token_t;

typedef struct ch_promql_lexer {
    ch_bytes_t query;
    size_t at;
    bool in_braces;
    bool in_brackets;
    ch_query_memory_t *memory;
} ch_promql_lexer_t;

/// Errors: CH_ERR_PARSE with the position.
ch_status_t ch_promql_lexer_next(ch_promql_lexer_t *lexer,
                                 ch_token_t *token_out) CH_MUST_CHECK;

/// Fail with "line:column: parse error: ..." for a byte offset in the query.
ch_status_t ch_promql_fail(ch_status_t status, ch_bytes_t query, size_t position,
                           const char *format, ...) CH_PRINTF(4, 5);

/// How a token is called in messages.
const char *ch_token_name(ch_token_kind_t kind);

#endif
