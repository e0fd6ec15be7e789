#include "query/promql_lexer.h"

#include <stdarg.h>
#include <stdio.h>

#include "query/promql_literal.h"

static bool
is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool
is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool
is_hex(int c)
{
    return is_digit(c) || c == '_' || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static int
peek(const ch_promql_lexer_t *lexer, size_t ahead)
{
    size_t at = lexer->at + ahead;
    return at < lexer->query.size ? lexer->query.data[at] : -1;
}

ch_status_t
ch_promql_fail(ch_status_t status, ch_bytes_t query, size_t position, const char *format,
               ...)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < position && i < query.size; i++) {
        if (query.data[i] == '\n') {
            line++;
            column = 1;
        } else if ((query.data[i] & 0xC0) != 0x80) {
            column++; /* characters, not bytes */
        }
    }
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *kind = status == CH_ERR_PARSE ? "parse error: " : "";
    return ch_fail(status, "%zu:%zu: %s%s", line, column, kind, text);
}

const char *
ch_token_name(ch_token_kind_t kind)
{
    static const char *const names[] = {
        [CH_TOKEN_END] = "end of input",    [CH_TOKEN_IDENTIFIER] = "identifier",
        [CH_TOKEN_NUMBER] = "number",       [CH_TOKEN_DURATION] = "duration",
        [CH_TOKEN_STRING] = "string",       [CH_TOKEN_LEFT_PAREN] = "\"(\"",
        [CH_TOKEN_RIGHT_PAREN] = "\")\"",   [CH_TOKEN_LEFT_BRACE] = "\"{\"",
        [CH_TOKEN_RIGHT_BRACE] = "\"}\"",   [CH_TOKEN_LEFT_BRACKET] = "\"[\"",
        [CH_TOKEN_RIGHT_BRACKET] = "\"]\"", [CH_TOKEN_COMMA] = "\",\"",
        [CH_TOKEN_COLON] = "\":\"",         [CH_TOKEN_AT] = "\"@\"",
        [CH_TOKEN_ADD] = "\"+\"",           [CH_TOKEN_SUB] = "\"-\"",
        [CH_TOKEN_MUL] = "\"*\"",           [CH_TOKEN_DIV] = "\"/\"",
        [CH_TOKEN_MOD] = "\"%\"",           [CH_TOKEN_POW] = "\"^\"",
        [CH_TOKEN_ASSIGN] = "\"=\"",        [CH_TOKEN_EQL] = "\"==\"",
        [CH_TOKEN_NEQ] = "\"!=\"",          [CH_TOKEN_LSS] = "\"<\"",
        [CH_TOKEN_LTE] = "\"<=\"",          [CH_TOKEN_GTR] = "\">\"",
        [CH_TOKEN_GTE] = "\">=\"",          [CH_TOKEN_RE] = "\"=~\"",
        [CH_TOKEN_NRE] = "\"!~\"",
    };
    return names[kind];
}

static void
skip_blank(ch_promql_lexer_t *lexer)
{
    for (;;) {
        int c = peek(lexer, 0);
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            lexer->at++;
        } else if (c == '#') {
            while (peek(lexer, 0) != -1 && peek(lexer, 0) != '\n')
                lexer->at++;
        } else {
            return;
        }
    }
}

static void
take(ch_promql_lexer_t *lexer, size_t size, ch_token_kind_t kind, ch_token_t *token)
{
    token->kind = kind;
    token->text = ch_bytes(lexer->query.data + lexer->at, size);
    lexer->at += size;
}

static ch_status_t
lex_string(ch_promql_lexer_t *lexer, ch_token_t *token)
{
    char quote = (char)peek(lexer, 0);
    size_t size = 1;
    for (int c; (c = peek(lexer, size)) != quote; size++) {
        if (c == '\\' && quote != '`')
            c = peek(lexer, ++size);
        if (c == -1 || (c == '\n' && quote != '`'))
            return ch_promql_fail(CH_ERR_PARSE, lexer->query, lexer->at,
                                  "quoted string not terminated");
    }
    ch_bytes_t inside = ch_bytes(lexer->query.data + lexer->at + 1, size - 1);
    const char *wrong = ch_promql_unquote(inside, quote, lexer->memory, &token->string);
    if (wrong)
        return ch_promql_fail(CH_ERR_PARSE, lexer->query, lexer->at, "%s in string",
                              wrong);
    take(lexer, size + 1, CH_TOKEN_STRING, token);
    return CH_OK;
}

/* How far a number goes: digits and '_', a fraction, an exponent; or 0x and hexadecimal digits. */
static size_t
number_size(const ch_promql_lexer_t *lexer)
{
    size_t size = 0;
    if (peek(lexer, 0) == '0' && (peek(lexer, 1) | 0x20) == 'x') {
        size = 2;
        while (is_hex(peek(lexer, size)))
            size++;
        return size;
    }
    while (is_digit(peek(lexer, size)) || peek(lexer, size) == '_')
        size++;
    if (peek(lexer, size) == '.')
        size++;
    while (is_digit(peek(lexer, size)) || peek(lexer, size) == '_')
        size++;
    if ((peek(lexer, size) | 0x20) == 'e') {
        size_t sign =
            peek(lexer, size + 1) == '+' || peek(lexer, size + 1) == '-' ? 1 : 0;
        if (is_digit(peek(lexer, size + 1 + sign)))
            size += 1 + sign;
        while (is_digit(peek(lexer, size)))
            size++;
    }
    return size;
}

static ch_status_t
lex_number(ch_promql_lexer_t *lexer, ch_token_t *token)
{
    size_t size = number_size(lexer);
    bool duration = is_letter(peek(lexer, size));
    while (is_letter(peek(lexer, size)) || is_digit(peek(lexer, size)))
        size++;
    ch_bytes_t text = ch_bytes(lexer->query.data + lexer->at, size);
    if (duration) {
        ch_status_t status = ch_promql_duration(text, &token->duration);
        if (status == CH_ERR_LIMIT)
            return ch_promql_fail(CH_ERR_PARSE, lexer->query, lexer->at,
                                  "duration out of range (292 years)");
        if (status == CH_OK) {
            take(lexer, size, CH_TOKEN_DURATION, token);
            return CH_OK;
        }
    } else if (ch_promql_number(text, &token->number)) {
        take(lexer, size, CH_TOKEN_NUMBER, token);
        return CH_OK;
    }
    return ch_promql_fail(CH_ERR_PARSE, lexer->query, lexer->at,
                          "bad number or duration syntax: \"%.*s\"",
                          (int)(size < 64 ? size : 64), (const char *)text.data);
}

static void
lex_identifier(ch_promql_lexer_t *lexer, ch_token_t *token)
{
    size_t size = 1;
    for (;; size++) {
        int c = peek(lexer, size);
        if (is_letter(c) || is_digit(c))
            continue;
        bool dotted = c == '.' && (is_letter(peek(lexer, size + 1)) ||
                                   is_digit(peek(lexer, size + 1)));
        if (lexer->in_braces || lexer->in_brackets || !(c == ':' || dotted))
            break;
    }
    take(lexer, size, CH_TOKEN_IDENTIFIER, token);
}

typedef struct symbol {
    char text[3];
    uint8_t kind;
} symbol_t;

/* Longer ones first. */
static const symbol_t symbols[] = {
    {"==", CH_TOKEN_EQL},          {"=~", CH_TOKEN_RE},
    {"!=", CH_TOKEN_NEQ},          {"!~", CH_TOKEN_NRE},
    {"<=", CH_TOKEN_LTE},          {">=", CH_TOKEN_GTE},
    {"=", CH_TOKEN_ASSIGN},        {"<", CH_TOKEN_LSS},
    {">", CH_TOKEN_GTR},           {"(", CH_TOKEN_LEFT_PAREN},
    {")", CH_TOKEN_RIGHT_PAREN},   {"{", CH_TOKEN_LEFT_BRACE},
    {"}", CH_TOKEN_RIGHT_BRACE},   {"[", CH_TOKEN_LEFT_BRACKET},
    {"]", CH_TOKEN_RIGHT_BRACKET}, {",", CH_TOKEN_COMMA},
    {":", CH_TOKEN_COLON},         {"@", CH_TOKEN_AT},
    {"+", CH_TOKEN_ADD},           {"-", CH_TOKEN_SUB},
    {"*", CH_TOKEN_MUL},           {"/", CH_TOKEN_DIV},
    {"%", CH_TOKEN_MOD},           {"^", CH_TOKEN_POW},
};

static ch_status_t
lex_symbol(ch_promql_lexer_t *lexer, ch_token_t *token)
{
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        size_t size = strlen(symbols[i].text);
        if (peek(lexer, 0) != symbols[i].text[0] ||
            (size == 2 && peek(lexer, 1) != symbols[i].text[1]))
            continue;
        take(lexer, size, (ch_token_kind_t)symbols[i].kind, token);
        return CH_OK;
    }
    int c = peek(lexer, 0);
    if (c > ' ' && c < 0x7F)
        return ch_promql_fail(CH_ERR_PARSE, lexer->query, lexer->at,
                              "unexpected character '%c'", c);
    return ch_promql_fail(CH_ERR_PARSE, lexer->query, lexer->at, "unexpected byte 0x%02x",
                          c);
}

static void
track_enclosure(ch_promql_lexer_t *lexer, ch_token_kind_t kind)
{
    if (kind == CH_TOKEN_LEFT_BRACE || kind == CH_TOKEN_RIGHT_BRACE)
        lexer->in_braces = kind == CH_TOKEN_LEFT_BRACE;
    if (kind == CH_TOKEN_LEFT_BRACKET || kind == CH_TOKEN_RIGHT_BRACKET)
        lexer->in_brackets = kind == CH_TOKEN_LEFT_BRACKET;
}

ch_status_t
ch_promql_lexer_next(ch_promql_lexer_t *lexer, ch_token_t *token_out)
{
    skip_blank(lexer);
    ch_token_t token = {.position = (uint32_t)lexer->at};
    ch_status_t status = CH_OK;
    int c = peek(lexer, 0);
    bool colon_begins = c == ':' && !lexer->in_braces && !lexer->in_brackets;
    if (c == -1) {
        token.text = ch_bytes(lexer->query.data + lexer->at, 0);
    } else if (c == '"' || c == '\'' || c == '`') {
        status = lex_string(lexer, &token);
    } else if (is_digit(c) || (c == '.' && is_digit(peek(lexer, 1)))) {
        status = lex_number(lexer, &token);
    } else if (is_letter(c) || colon_begins) {
        lex_identifier(lexer, &token);
    } else {
        status = lex_symbol(lexer, &token);
        track_enclosure(lexer, token.kind);
    }
    if (status == CH_OK)
        *token_out = token;
    return status;
}
