/* selector.c - PromQL's instant selectors: text to matchers, matchers to an answer.
 *
 * Grammar     selector = [name] [ "{" [matcher {"," matcher} [","]] "}" ]
 *             matcher  = label ("=" | "!=" | "=~" | "!~") string | string (the name)
 *             name     = [A-Za-z_:][A-Za-z0-9_:.]*     (the dot is ours)
 *             label    = [A-Za-z_][A-Za-z0-9_]* | string
 *             string   = "..." | '...' with Go's escapes, | `...` as it stands
 *             White space and # comments may stand between any two of these.
 */
#include "ch/selector.h"

#include "ch/alloc.h"
#include "ch/series_key.h"
#include "index/regex.h"

enum {
    SELECTOR_BYTES_MAX =
        64 * 1024,     /* as much as any sensible alternation of hosts takes */
    MATCHERS_MAX = 64, /* twice the labels of a series */
};

typedef struct scan {
    ch_bytes_t text;
    size_t at;
    char *memory; /* unescaped strings; unescaping never makes text longer */
    size_t used;
    ch_matcher_t matchers[MATCHERS_MAX];
    uint32_t count;
    bool named; /* the name was given outside of `__name__` */
} scan_t;

static ch_status_t
parse_failed(const scan_t *scan, const char *what)
{
    return ch_fail(CH_ERR_PARSE, "selector: position %zu: %s", scan->at + 1, what);
}

static int
peek(const scan_t *scan)
{
    return scan->at < scan->text.size ? scan->text.data[scan->at] : -1;
}

static void
skip_space(scan_t *scan)
{
    for (;; scan->at++) {
        int c = peek(scan);
        if (c == '#') {
            while (peek(scan) >= 0 && peek(scan) != '\n')
                scan->at++;
        } else if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
            return;
        }
        if (peek(scan) < 0)
            return;
    }
}

static bool
is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool
is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static ch_bytes_t
scan_name(scan_t *scan)
{
    size_t from = scan->at;
    while (is_letter(peek(scan)) || is_digit(peek(scan)) || peek(scan) == ':' ||
           peek(scan) == '.')
        scan->at++;
    return ch_bytes(scan->text.data + from, scan->at - from);
}

static ch_bytes_t
scan_label(scan_t *scan)
{
    size_t from = scan->at;
    while (is_letter(peek(scan)) || is_digit(peek(scan)))
        scan->at++;
    return ch_bytes(scan->text.data + from, scan->at - from);
}

static void
put_utf8(scan_t *scan, uint32_t code)
{
    uint8_t *to = (uint8_t *)scan->memory + scan->used;
    size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t heads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size; i-- > 1; code >>= 6)
        to[i] = (uint8_t)(0x80 | (code & 0x3f));
    to[0] = (uint8_t)(heads[size] | code);
    scan->used += size;
}

static int
digit_value(int c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

/* Exactly `digits` digits of `base`: a byte, or a character when `wide`. */
static ch_status_t
scan_code(scan_t *scan, unsigned digits, unsigned base, bool wide)
{
    uint64_t code = 0;
    for (unsigned i = 0; i < digits; i++, scan->at++) {
        unsigned digit = (unsigned)digit_value(peek(scan));
        if (digit >= base)
            return parse_failed(scan, "an escape with too few digits");
        code = code * base + digit;
    }
    if (wide ? code > 0x10ffff || (code >= 0xd800 && code < 0xe000) : code > 255)
        return parse_failed(scan, "an escape that is no character");
    if (wide)
        put_utf8(scan, (uint32_t)code);
    else
        scan->memory[scan->used++] = (char)code;
    return CH_OK;
}

/* After a backslash. */
static ch_status_t
scan_escape(scan_t *scan, int quote)
{
    static const char letters[] = "abfnrtv\\", values[] = "\a\b\f\n\r\t\v\\";
    int c = peek(scan);
    if (c >= '0' && c <= '7')
        return scan_code(scan, 3, 8, false);
    const char *letter = c > 0 && c < 0x80 ? strchr(letters, c) : NULL;
    if (c != quote && letter == NULL && c != 'x' && c != 'u' && c != 'U')
        return parse_failed(scan, "an unknown escape");
    scan->at++;
    if (c == 'x')
        return scan_code(scan, 2, 16, false);
    if (c == 'u' || c == 'U')
        return scan_code(scan, c == 'u' ? 4 : 8, 16, true);
    scan->memory[scan->used++] =
        (char)(letter != NULL ? values[letter - letters] : quote);
    return CH_OK;
}

/* At a quote. */
static ch_status_t
scan_string(scan_t *scan, ch_bytes_t *string_out)
{
    int quote = peek(scan);
    size_t from = scan->used;
    scan->at++;
    while (peek(scan) != quote) {
        int c = peek(scan);
        if (c < 0 || (c == '\n' && quote != '`'))
            return parse_failed(scan, "a string without its closing quote");
        scan->at++;
        if (c != '\\' || quote == '`') {
            scan->memory[scan->used++] = (char)c;
            continue;
        }
        ch_status_t status = scan_escape(scan, quote);
        if (status < 0)
            return status;
    }
    scan->at++;
    *string_out = ch_bytes(scan->memory + from, scan->used - from);
    return CH_OK;
}

static bool
at_quote(const scan_t *scan)
{
    return peek(scan) == '"' || peek(scan) == '\'' || peek(scan) == '`';
}

static ch_status_t
scan_operator(scan_t *scan, ch_match_kind_t *kind_out)
{
    int first = peek(scan);
    scan->at += first >= 0;
    int second = peek(scan);
    if (first == '=')
        *kind_out = second == '~' ? CH_MATCH_RE : CH_MATCH_EQ;
    else if (first == '!' && (second == '=' || second == '~'))
        *kind_out = second == '~' ? CH_MATCH_NRE : CH_MATCH_NE;
    else
        return parse_failed(scan, "expected one of = != =~ !~");
    scan->at += first == '!' || second == '~';
    return CH_OK;
}

static ch_status_t
add_matcher(scan_t *scan, ch_match_kind_t kind, ch_bytes_t label, ch_bytes_t value)
{
    if (scan->count == MATCHERS_MAX)
        return ch_fail(CH_ERR_LIMIT, "selector: more than %d matchers", MATCHERS_MAX);
    scan->matchers[scan->count++] =
        (ch_matcher_t){.kind = kind, .label = label, .value = value};
    return CH_OK;
}

static ch_status_t
add_name(scan_t *scan, ch_bytes_t name)
{
    if (scan->named)
        return parse_failed(scan, "the name is given twice");
    scan->named = true;
    return add_matcher(scan, CH_MATCH_EQ, ch_bytes_text("__name__"), name);
}

static ch_status_t
scan_matcher(scan_t *scan)
{
    ch_bytes_t label, value;
    ch_match_kind_t kind = CH_MATCH_EQ;
    bool quoted = at_quote(scan);
    if (!quoted && !is_letter(peek(scan)))
        return parse_failed(scan, "expected a label, a quoted name or }");
    ch_status_t status = CH_OK;
    if (quoted)
        status = scan_string(scan, &label);
    else
        label = scan_label(scan);
    if (status < 0)
        return status;
    skip_space(scan);
    if (quoted && (peek(scan) == ',' || peek(scan) == '}'))
        return add_name(scan, label);
    if (!quoted && peek(scan) == '.')
        return parse_failed(scan, "a label with a dot needs quotes");
    status = scan_operator(scan, &kind);
    if (status < 0)
        return status;
    skip_space(scan);
    if (!at_quote(scan))
        return parse_failed(scan, "expected a quoted value");
    status = scan_string(scan, &value);
    return status < 0 ? status : add_matcher(scan, kind, label, value);
}

/* At `{`. */
static ch_status_t
scan_matchers(scan_t *scan)
{
    scan->at++;
    for (skip_space(scan); peek(scan) != '}'; skip_space(scan)) {
        ch_status_t status = scan_matcher(scan);
        if (status < 0)
            return status;
        skip_space(scan);
        if (peek(scan) == ',')
            scan->at++;
        else if (peek(scan) != '}')
            return parse_failed(scan, "expected , or }");
    }
    scan->at++;
    return CH_OK;
}

static ch_status_t
scan_selector(scan_t *scan)
{
    ch_status_t status = CH_OK;
    skip_space(scan);
    if (is_letter(peek(scan)) || peek(scan) == ':')
        status = add_name(scan, scan_name(scan));
    else if (peek(scan) != '{')
        return parse_failed(scan, "expected a name or {");
    skip_space(scan);
    if (status >= 0 && peek(scan) == '{')
        status = scan_matchers(scan);
    if (status < 0)
        return status;
    skip_space(scan);
    if (scan->at != scan->text.size)
        return parse_failed(scan, "unexpected text after the selector");
    uint32_t names = 0;
    for (uint32_t i = 0; i < scan->count; i++)
        names += ch_bytes_equal(scan->matchers[i].label, ch_bytes_text("__name__"));
    return scan->named && names > 1 ? parse_failed(scan, "the name is given twice")
                                    : CH_OK;
}

ch_status_t
ch_selector_parse(ch_bytes_t text, ch_selector_t **selector_out)
{
    if (text.size > SELECTOR_BYTES_MAX)
        return ch_fail(CH_ERR_LIMIT, "selector: %zu bytes, at most %d", text.size,
                       SELECTOR_BYTES_MAX);
    if (!ch_bytes_is_utf8(text))
        return ch_fail(CH_ERR_PARSE, "selector: not UTF-8");
    scan_t *scan = ch_calloc(1, sizeof *scan);
    scan->text = text;
    scan->memory = ch_alloc(text.size + 1);
    ch_status_t status = scan_selector(scan);
    if (status >= 0)
        status = ch_selector_new(scan->matchers, scan->count, selector_out);
    ch_free(scan->memory);
    ch_free(scan);
    return status;
}

static ch_bytes_t
keep(char *memory, size_t *used, ch_bytes_t text)
{
    char *to = memory + *used;
    if (text.size > 0)
        memcpy(to, text.data, text.size);
    *used += text.size;
    return ch_bytes(to, text.size);
}

static ch_status_t
matcher_check(const ch_matcher_t *matcher)
{
    if (matcher->label.size == 0)
        return ch_fail(CH_ERR_PARSE, "selector: a label without a name");
    if (!ch_bytes_is_utf8(matcher->label) || !ch_bytes_is_utf8(matcher->value))
        return ch_fail(CH_ERR_PARSE, "selector: a string that is not UTF-8");
    return CH_OK;
}

static ch_status_t
matcher_compile(ch_matcher_t *matcher)
{
    if (matcher->kind != CH_MATCH_RE && matcher->kind != CH_MATCH_NRE)
        return CH_OK;
    ch_regex_t *regex;
    ch_status_t status = ch_regex_new(matcher->value, &regex);
    if (status >= 0)
        matcher->regex = regex;
    return status;
}

/* Copies, checks and compiles; `selector` holds room for all of it. */
static ch_status_t
selector_fill(ch_selector_t *selector, const ch_matcher_t *matchers, uint32_t count)
{
    size_t used = 0;
    bool narrow = false;
    for (uint32_t i = 0; i < count; i++) {
        ch_matcher_t *matcher = &selector->matchers[i];
        ch_status_t status = matcher_check(&matchers[i]);
        if (status < 0)
            return status;
        matcher->kind = matchers[i].kind;
        matcher->label = keep(selector->memory, &used, matchers[i].label);
        matcher->value = keep(selector->memory, &used, matchers[i].value);
        selector->count = i + 1;
        status = matcher_compile(matcher);
        if (status < 0)
            return status;
        int accepts = ch_matcher_accepts(matcher, ch_bytes("", 0));
        if (accepts < 0)
            return (ch_status_t)accepts;
        narrow |= accepts == 0;
    }
    if (!narrow)
        return ch_fail(CH_ERR_PARSE,
                       "selector: at least one matcher must not match the empty "
                       "string");
    return CH_OK;
}

ch_status_t
ch_selector_new(const ch_matcher_t *matchers, uint32_t count,
                ch_selector_t **selector_out)
{
    if (count > MATCHERS_MAX)
        return ch_fail(CH_ERR_LIMIT, "selector: more than %d matchers", MATCHERS_MAX);
    size_t size = 1;
    for (uint32_t i = 0; i < count; i++)
        size += matchers[i].label.size + matchers[i].value.size;
    if (size > 2 * SELECTOR_BYTES_MAX)
        return ch_fail(CH_ERR_LIMIT, "selector: more than %d bytes", SELECTOR_BYTES_MAX);
    ch_selector_t *selector = ch_calloc(1, sizeof *selector);
    selector->matchers = ch_calloc(count + 1, sizeof *selector->matchers);
    selector->memory = ch_alloc(size);
    ch_status_t status = selector_fill(selector, matchers, count);
    if (status >= 0)
        *selector_out = ch_take(&selector);
    ch_selector_destroy(&selector);
    return status;
}

void
ch_selector_destroy(ch_selector_t **selector)
{
    ch_selector_t *self = *selector;
    if (self == NULL)
        return;
    for (uint32_t i = 0; i < self->count; i++) {
        ch_regex_t *regex = self->matchers[i].regex;
        ch_regex_destroy(&regex);
    }
    ch_free(self->matchers);
    ch_free(self->memory);
    ch_free(self);
    *selector = NULL;
}

int
ch_matcher_accepts(const ch_matcher_t *matcher, ch_bytes_t value)
{
    switch (matcher->kind) {
    case CH_MATCH_EQ:
        return ch_bytes_equal(matcher->value, value);
    case CH_MATCH_NE:
        return !ch_bytes_equal(matcher->value, value);
    case CH_MATCH_RE:
    case CH_MATCH_NRE:
        break;
    }
    int matches = ch_regex_matches(matcher->regex, value);
    return matches < 0 ? matches : matches == (matcher->kind == CH_MATCH_RE);
}

/* The value of one label, "" when it is not there. */
static ch_status_t
label_value(ch_bytes_t labels, ch_bytes_t name, ch_text_t *scratch, ch_bytes_t *value_out)
{
    ch_label_t label;
    size_t cursor = 0;
    ch_status_t status;
    *value_out = ch_bytes("", 0);
    while ((status = ch_series_labels_next(labels, &cursor, scratch, &label)) == CH_OK) {
        if (!ch_bytes_equal(label.name, name))
            continue;
        *value_out = label.value;
        break;
    }
    return status;
}

int
ch_selector_accepts(const ch_selector_t *selector, ch_bytes_t name, ch_bytes_t labels)
{
    ch_text_t scratch = {0};
    int accepts = 1;
    for (uint32_t i = 0; i < selector->count && accepts == 1; i++) {
        const ch_matcher_t *matcher = &selector->matchers[i];
        ch_bytes_t value = name;
        if (!ch_bytes_equal(matcher->label, ch_bytes_text("__name__"))) {
            ch_text_reset(&scratch);
            ch_status_t status = label_value(labels, matcher->label, &scratch, &value);
            if (status < 0) {
                accepts = status;
                break;
            }
        }
        accepts = ch_matcher_accepts(matcher, value);
    }
    ch_text_release(&scratch);
    return accepts;
}
