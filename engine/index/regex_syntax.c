/* regex_syntax.c - from RE2's syntax to a pcre2 pattern that means the same.
 *
 * Idea        A whitelist: whatever is not known to be RE2's is refused, so nothing that only a
 *             backtracking engine can do slips through, whatever pcre2 learns in later versions.
 * Differences that are translated, not refused:
 *             \s       RE2 has no vertical tab in it     -> [\t\n\f\r ]
 *             \v       a vertical tab, not a class       -> \x0b
 *             \Q..\E   literal text                      -> escaped characters
 *             \012     octal                             -> \x{a}
 *             {        not a repeat: a literal           -> \{
 *             (?P<n>)  names and captures mean nothing   -> (?:
 * Source      the grammar of github.com/google/re2/wiki/Syntax and Go's regexp/syntax.
 */
#include "index/regex.h"

#include <stdio.h>

typedef struct scan {
    ch_bytes_t text;
    size_t at;
    ch_text_t *out;
    unsigned depth;
    bool repeatable; /* the last thing written can take a quantifier */
    bool quantified; /* the last thing written is a quantifier */
} scan_t;

static ch_status_t
refuse(const scan_t *scan, const char *what)
{
    return ch_fail(CH_ERR_PARSE, "regex: position %zu: %s", scan->at + 1, what);
}

static int
peek(const scan_t *scan, size_t ahead)
{
    size_t at = scan->at + ahead;
    return at < scan->text.size ? scan->text.data[at] : -1;
}

static bool
starts_with(const scan_t *scan, const char *prefix)
{
    size_t size = strlen(prefix);
    return scan->text.size - scan->at >= size &&
           memcmp(scan->text.data + scan->at, prefix, size) == 0;
}

static void
put(scan_t *scan, const char *text)
{
    ch_text_append(scan->out, text, strlen(text));
}

static void
put_item(scan_t *scan, const char *text)
{
    put(scan, text);
    scan->repeatable = true;
    scan->quantified = false;
}

/* RE2 lets a position be repeated, pcre2 only as a group. */
static void
put_position(scan_t *scan, const char *text)
{
    put(scan, "(?:");
    put(scan, text);
    put_item(scan, ")");
}

static bool
is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool
is_alnum(int c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int
hex_value(int c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* A literal byte (a part of a UTF-8 sequence or ASCII). */
static void
put_byte(scan_t *scan, int byte)
{
    char text[2] = {'\\', (char)byte};
    bool plain = byte >= 0x80 || is_alnum(byte) || byte <= ' ' || byte == 0x7f;
    ch_text_append(scan->out, plain ? text + 1 : text, plain ? 1 : 2);
    scan->repeatable = true;
    scan->quantified = false;
}

static ch_status_t
put_code(scan_t *scan, uint32_t code)
{
    char text[16];
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return refuse(scan, "not a Unicode character");
    int size = snprintf(text, sizeof text, "\\x{%x}", (unsigned)code);
    ch_text_append(scan->out, text, (size_t)size);
    scan->repeatable = true;
    scan->quantified = false;
    return CH_OK;
}

/* After `\x`: two digits, or any number in braces. */
static ch_status_t
scan_hex(scan_t *scan)
{
    uint32_t code = 0;
    if (peek(scan, 0) != '{') {
        int high = hex_value(peek(scan, 0)), low = hex_value(peek(scan, 1));
        if (high < 0 || low < 0)
            return refuse(scan, "\\x needs two hexadecimal digits");
        scan->at += 2;
        return put_code(scan, (uint32_t)(high * 16 + low));
    }
    size_t digits = 0;
    scan->at++;
    for (int digit; (digit = hex_value(peek(scan, 0))) >= 0; scan->at++, digits++) {
        if (digits >= 8)
            return refuse(scan, "not a Unicode character");
        code = code * 16 + (uint32_t)digit;
    }
    if (digits == 0 || peek(scan, 0) != '}')
        return refuse(scan, "\\x{ needs hexadecimal digits and }");
    scan->at++;
    return put_code(scan, code);
}

/* After the backslash: `\0`, `\12`, `\377`; one digit alone would be a backreference. */
static ch_status_t
scan_octal(scan_t *scan)
{
    int first = peek(scan, 0), second = peek(scan, 1);
    if (first != '0' && (first > '7' || second < '0' || second > '7'))
        return refuse(scan, "backreferences are not part of RE2's syntax");
    uint32_t code = 0;
    for (int i = 0; i < 3 && peek(scan, 0) >= '0' && peek(scan, 0) <= '7'; i++)
        code = code * 8 + (uint32_t)(scan->text.data[scan->at++] - '0');
    return put_code(scan, code);
}

/* After `\p` or `\P`: one letter, or a name in braces. */
static ch_status_t
scan_property(scan_t *scan, int letter)
{
    char head[2] = {'\\', (char)letter};
    size_t size = 1;
    if (peek(scan, 0) == '{') {
        size = 2;
        while (is_alnum(peek(scan, size - 1)) || peek(scan, size - 1) == '_' ||
               (size == 2 && peek(scan, 1) == '^'))
            size++;
        if (size < 3 || peek(scan, size - 1) != '}')
            return refuse(scan, "\\p{ needs the name of a class and }");
    } else if (!is_alnum(peek(scan, 0))) {
        return refuse(scan, "\\p needs the name of a class");
    }
    ch_text_append(scan->out, head, 2);
    ch_text_append(scan->out, scan->text.data + scan->at, size);
    scan->at += size;
    put_item(scan, "");
    return CH_OK;
}

static ch_status_t
scan_space_class(scan_t *scan, bool negated, bool in_class)
{
    if (in_class)
        put_item(scan, negated ? "\\x00-\\x08\\x0b\\x0e-\\x1f\\x21-\\x{10ffff}"
                               : "\\t\\n\\f\\r\\x20");
    else
        put_item(scan, negated ? "[^\\t\\n\\f\\r\\x20]" : "[\\t\\n\\f\\r\\x20]");
    return CH_OK;
}

/* At a backslash. `*wide_out`: it stands for more than one character. */
static ch_status_t
scan_escape(scan_t *scan, bool in_class, bool *wide_out)
{
    int c = peek(scan, 1);
    *wide_out = false;
    if (c < 0)
        return refuse(scan, "a backslash at the end");
    if (c == '8' || c == '9')
        return refuse(scan, "backreferences are not part of RE2's syntax");
    scan->at++;
    if (is_digit(c))
        return scan_octal(scan);
    scan->at++;
    char text[3] = {'\\', (char)c, 0};
    *wide_out =
        c == 'p' || c == 'P' || c == 's' || c == 'S' || (c < 0x80 && strchr("dDwW", c));
    if (c == 'p' || c == 'P')
        return scan_property(scan, c);
    if (c == 's' || c == 'S')
        return scan_space_class(scan, c == 'S', in_class);
    if (c == 'x')
        return scan_hex(scan);
    if (c == 'v')
        return put_code(scan, 0x0b);
    if (c < 0x80 && !is_alnum(c)) {
        put_byte(scan, c);
        return CH_OK;
    }
    if (c < 0x80 && strchr("dDwWafnrt", c)) {
        put_item(scan, text);
        return CH_OK;
    }
    if (c < 0x80 && !in_class && strchr("bBAz", c)) {
        put_position(scan, text);
        return CH_OK;
    }
    scan->at -= 2;
    return refuse(scan, "this escape is not part of RE2's syntax");
}

static void
scan_quote(scan_t *scan)
{
    scan->at += 2; /* \Q */
    while (scan->at < scan->text.size && !starts_with(scan, "\\E"))
        put_byte(scan, scan->text.data[scan->at++]);
    if (scan->at < scan->text.size)
        scan->at += 2;
}

/* At `[` inside a class: `[:name:]` or a literal. */
static ch_status_t
scan_posix_class(scan_t *scan, bool *wide_out)
{
    static const char *const names[] = {"alnum", "alpha", "ascii", "blank", "cntrl",
                                        "digit", "graph", "lower", "print", "punct",
                                        "space", "upper", "word",  "xdigit"};
    *wide_out = peek(scan, 1) == ':';
    if (!*wide_out) {
        put_byte(scan, scan->text.data[scan->at++]);
        return CH_OK;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char text[16];
        for (int negated = 0; negated < 2; negated++) {
            snprintf(text, sizeof text, "[:%s%s:]", negated ? "^" : "", names[i]);
            if (!starts_with(scan, text))
                continue;
            put_item(scan, text);
            scan->at += strlen(text);
            return CH_OK;
        }
    }
    return refuse(scan, "no such class");
}

/* One member of a class; a whole UTF-8 character. */
static ch_status_t
scan_class_member(scan_t *scan, bool *wide_out)
{
    int c = peek(scan, 0);
    *wide_out = false;
    if (c == '\\')
        return scan_escape(scan, true, wide_out);
    if (c == '[')
        return scan_posix_class(scan, wide_out);
    do
        put_byte(scan, scan->text.data[scan->at++]);
    while (c >= 0x80 && (peek(scan, 0) & 0xc0) == 0x80 && peek(scan, 0) >= 0);
    return CH_OK;
}

/* At `[`. */
static ch_status_t
scan_class(scan_t *scan)
{
    put(scan, "[");
    scan->at++;
    if (peek(scan, 0) == '^') {
        put(scan, "^");
        scan->at++;
    }
    for (bool first = true; first || peek(scan, 0) != ']'; first = false) {
        if (peek(scan, 0) < 0)
            return refuse(scan, "[ without ]");
        bool wide, wide_end;
        ch_status_t status = scan_class_member(scan, &wide);
        if (status < 0)
            return status;
        if (peek(scan, 0) != '-' || peek(scan, 1) == ']' || peek(scan, 1) < 0)
            continue;
        if (wide)
            return refuse(scan, "a class cannot begin a range");
        put(scan, "-");
        scan->at++;
        status = scan_class_member(scan, &wide_end);
        if (status < 0)
            return status;
        if (wide_end)
            return refuse(scan, "a class cannot end a range");
    }
    scan->at++;
    put_item(scan, "]");
    return CH_OK;
}

/* After `(?`: flags up to `)` or `:`. U (ungreedy) does not change what matches as a whole. */
static ch_status_t
scan_flags(scan_t *scan)
{
    bool minus = false;
    put(scan, "(?");
    for (;; scan->at++) {
        int c = peek(scan, 0);
        if (c == ':' || c == ')')
            break;
        bool minus_now = c == '-' && !minus && is_alnum(peek(scan, 1));
        bool flag = c > 0 && c < 0x80 && strchr("imsU", c) != NULL;
        if (!flag && !minus_now)
            return refuse(scan, "this group is not part of RE2's syntax");
        minus |= minus_now;
        char text[2] = {(char)c, 0};
        put(scan, c == 'U' ? "" : text);
    }
    scan->depth += peek(scan, 0) == ':';
    put(scan, peek(scan, 0) == ':' ? ":" : ")");
    scan->at++;
    scan->repeatable = scan->quantified = false;
    return CH_OK;
}

static ch_status_t
scan_group_name(scan_t *scan)
{
    size_t from = scan->at;
    while (is_alnum(peek(scan, 0)) || peek(scan, 0) == '_')
        scan->at++;
    if (scan->at == from || peek(scan, 0) != '>')
        return refuse(scan, "a group's name is letters, digits and _, then >");
    scan->at++;
    return CH_OK;
}

/* At `(`. */
static ch_status_t
scan_group(scan_t *scan)
{
    if (scan->depth >= CH_REGEX_DEPTH_MAX)
        return ch_fail(CH_ERR_LIMIT, "regex: more than %d nested groups",
                       CH_REGEX_DEPTH_MAX);
    bool named = starts_with(scan, "(?P<") || starts_with(scan, "(?<");
    bool look_behind = starts_with(scan, "(?<=") || starts_with(scan, "(?<!");
    if (starts_with(scan, "(?") && (!named || look_behind)) {
        scan->at += 2;
        return scan_flags(scan);
    }
    scan->at += !named ? 1 : peek(scan, 2) == 'P' ? 4 : 3;
    put(scan, "(?:");
    scan->depth++;
    scan->repeatable = scan->quantified = false;
    return named ? scan_group_name(scan) : CH_OK;
}

static ch_status_t
scan_group_end(scan_t *scan)
{
    if (scan->depth == 0)
        return refuse(scan, ") without (");
    scan->depth--;
    scan->at++;
    put_item(scan, ")");
    return CH_OK;
}

/* Reads digits at `*at`; false when there are none or the number is above the limit by far. */
static bool
scan_number(const scan_t *scan, size_t *at, unsigned *number_out)
{
    size_t from = *at;
    unsigned number = 0;
    for (; is_digit(peek(scan, *at)); (*at)++) {
        if (number <= CH_REGEX_REPEAT_MAX)
            number = number * 10 + (unsigned)(peek(scan, *at) - '0');
    }
    *number_out = number;
    return *at > from;
}

/* Length of a `{n}`, `{n,}` or `{n,m}` at the scan, 0 when it is none. */
static size_t
repeat_size(const scan_t *scan, unsigned *least_out, unsigned *most_out)
{
    size_t at = 1;
    if (!scan_number(scan, &at, least_out))
        return 0;
    *most_out = *least_out;
    if (peek(scan, at) == ',') {
        at++;
        if (!scan_number(scan, &at, most_out))
            *most_out = *least_out; /* unbounded */
    }
    return peek(scan, at) == '}' ? at + 1 : 0;
}

/* At `*`, `+`, `?` or a repeat of `size` bytes. */
static ch_status_t
scan_quantifier(scan_t *scan, size_t size)
{
    if (scan->quantified)
        return refuse(scan,
                      "a quantifier after a quantifier (possessive ones are not RE2's)");
    if (!scan->repeatable)
        return refuse(scan, "a quantifier with nothing to repeat");
    size += peek(scan, size) == '?';
    ch_text_append(scan->out, scan->text.data + scan->at, size);
    scan->at += size;
    scan->repeatable = false;
    scan->quantified = true;
    return CH_OK;
}

/* At `{`. */
static ch_status_t
scan_repeat(scan_t *scan)
{
    unsigned least, most;
    size_t size = repeat_size(scan, &least, &most);
    if (size == 0) {
        put_byte(scan, scan->text.data[scan->at++]);
        return CH_OK;
    }
    if (least > CH_REGEX_REPEAT_MAX || most > CH_REGEX_REPEAT_MAX || most < least)
        return refuse(scan, "a repeat count above 1000, or out of order");
    return scan_quantifier(scan, size);
}

static ch_status_t
scan_one(scan_t *scan)
{
    bool wide;
    int c = peek(scan, 0);
    switch (c) {
    case '\\':
        if (peek(scan, 1) != 'Q')
            return scan_escape(scan, false, &wide);
        scan_quote(scan);
        return CH_OK;
    case '[':
        return scan_class(scan);
    case '(':
        return scan_group(scan);
    case ')':
        return scan_group_end(scan);
    case '{':
        return scan_repeat(scan);
    case '*':
    case '+':
    case '?':
        return scan_quantifier(scan, 1);
    case '|':
        put(scan, "|");
        scan->repeatable = scan->quantified = false;
        break;
    case '^':
        put_position(scan, "^");
        break;
    case '$':
        put_position(scan, "$");
        break;
    case '.':
        put_item(scan, ".");
        break;
    default:
        put_byte(scan, c);
        break;
    }
    scan->at++;
    return CH_OK;
}

ch_status_t
ch_regex_translate(ch_bytes_t pattern, ch_text_t *out)
{
    scan_t scan = {.text = pattern, .out = out};
    if (pattern.size > CH_REGEX_BYTES_MAX)
        return ch_fail(CH_ERR_LIMIT, "regex: %zu bytes, at most %d", pattern.size,
                       CH_REGEX_BYTES_MAX);
    if (!ch_bytes_is_utf8(pattern))
        return ch_fail(CH_ERR_PARSE, "regex: not UTF-8");
    while (scan.at < pattern.size) {
        ch_status_t status = scan_one(&scan);
        if (status < 0)
            return status;
    }
    return scan.depth > 0 ? refuse(&scan, "( without )") : CH_OK;
}
