#include "query/promql_literal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum { NUMBER_BYTES_MAX = 512 };

static bool
is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Copy without '_', which may only stand between digits or after the 0x. */
static bool
strip_underscores(ch_bytes_t text, char *out)
{
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '_') {
            out[size++] = (char)text.data[i];
            continue;
        }
        bool between = i > 0 && i + 1 < text.size && text.data[i - 1] != '_' &&
                       text.data[i - 1] != '.' && text.data[i + 1] != '.';
        if (!between)
            return false;
    }
    out[size] = '\0';
    return size > 0;
}

bool
ch_promql_number(ch_bytes_t text, double *number_out)
{
    char plain[NUMBER_BYTES_MAX + 1];
    if (text.size == 0 || text.size > NUMBER_BYTES_MAX || !strip_underscores(text, plain))
        return false;
    if (!is_digit((uint8_t)plain[0]) && plain[0] != '.')
        return false;
    char *end = NULL;
    errno = 0;
    long long whole = strtoll(plain, &end, 0); /* base 0: Prometheus reads 010 as eight */
    if (*end == '\0' && errno == 0) {
        *number_out = (double)whole;
        return true;
    }
    *number_out = strtod(plain, &end);
    return *end == '\0' && end != plain;
}

typedef struct duration_unit {
    const char *name;
    int64_t ns;
} duration_unit_t;

static const duration_unit_t units[] = {
    {"y", 365LL * 86400 * 1000000000},
    {"w", 7LL * 86400 * 1000000000},
    {"d", 86400LL * 1000000000},
    {"h", 3600LL * 1000000000},
    {"m", 60LL * 1000000000},
    {"s", 1000000000LL},
    {"ms", 1000000LL},
};

/* The unit at `text`, which ends where letters end. */
static int
unit_find(const uint8_t *text, size_t size)
{
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strlen(units[i].name) == size && memcmp(units[i].name, text, size) == 0)
            return (int)i;
    return -1;
}

ch_status_t
ch_promql_duration(ch_bytes_t text, int64_t *duration_out)
{
    int64_t total = 0;
    int unit_last = -1;
    size_t at = 0;
    while (at < text.size) {
        int64_t count = 0;
        size_t digits = at;
        for (; at < text.size && is_digit(text.data[at]); at++)
            if (__builtin_mul_overflow(count, 10, &count) ||
                __builtin_add_overflow(count, text.data[at] - '0', &count))
                return CH_ERR_LIMIT;
        size_t letters = at;
        while (at < text.size && !is_digit(text.data[at]))
            at++;
        int unit = unit_find(text.data + letters, at - letters);
        if (letters == digits || unit <= unit_last)
            return CH_ERR_INVALID;
        unit_last = unit;
        if (__builtin_mul_overflow(count, units[unit].ns, &count) ||
            __builtin_add_overflow(total, count, &total))
            return CH_ERR_LIMIT;
    }
    if (unit_last < 0)
        return CH_ERR_INVALID;
    *duration_out = total;
    return CH_OK;
}

bool
ch_promql_seconds(double seconds, int64_t *duration_out)
{
    if (!(fabs(seconds) < 9.2e9))
        return false;
    /* A time of today times 1e9 needs more than 53 bits; microseconds of it fit. */
    bool fits = fabs(seconds) < 1e6;
    *duration_out = fits ? llround(seconds * 1e9) : llround(seconds * 1e6) * 1000;
    return true;
}

static int
digit_value(uint8_t c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 99;
}

/* Write a code point as UTF-8; returns its length. */
static size_t
utf8_put(uint8_t *to, uint32_t point)
{
    if (point < 0x80) {
        to[0] = (uint8_t)point;
        return 1;
    }
    size_t size = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const uint8_t first[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = size - 1; i > 0; i--, point >>= 6)
        to[i] = (uint8_t)(0x80 | (point & 0x3F));
    to[0] = (uint8_t)(first[size] | point);
    return size;
}

typedef struct escape {
    unsigned digits, base;
    bool is_point; /* a code point, else a byte */
} escape_t;

static escape_t
escape_numeric(uint8_t letter)
{
    switch (letter) {
    case 'x':
        return (escape_t){2, 16, false};
    case 'u':
        return (escape_t){4, 16, true};
    case 'U':
        return (escape_t){8, 16, true};
    default:
        return letter <= '7' && letter >= '0' ? (escape_t){3, 8, false} : (escape_t){0};
    }
}

/* \x41, \101, \u00e9, \U0001F600: reads at *at, which stands behind the backslash. */
static const char *
unquote_numeric(ch_bytes_t inside, size_t *at, escape_t form, uint8_t *to, size_t *size)
{
    size_t first = *at + (form.base == 16 ? 1 : 0);
    uint32_t value = 0;
    for (unsigned i = 0; i < form.digits; i++) {
        unsigned digit =
            first + i < inside.size ? (unsigned)digit_value(inside.data[first + i]) : 99;
        if (digit >= form.base)
            return "escape sequence with too few digits";
        value = value * form.base + digit;
    }
    *at = first + form.digits;
    if (!form.is_point && value > 255)
        return "escape sequence beyond one byte";
    if (form.is_point && (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)))
        return "escape sequence is not a Unicode code point";
    if (form.is_point) {
        *size += utf8_put(to + *size, value);
    } else {
        to[(*size)++] = (uint8_t)value;
    }
    return NULL;
}

static const char *
unquote_escape(ch_bytes_t inside, size_t *at, char quote, uint8_t *to, size_t *size)
{
    static const char letters[] = "abfnrtv\\", bytes[] = "\a\b\f\n\r\t\v\\";
    if (*at >= inside.size)
        return "escape sequence not terminated";
    uint8_t letter = inside.data[*at];
    escape_t form = escape_numeric(letter);
    if (form.digits)
        return unquote_numeric(inside, at, form, to, size);
    const char *known = letter ? strchr(letters, letter) : NULL;
    if (!known && letter != (uint8_t)quote)
        return "unknown escape sequence";
    to[(*size)++] = known ? (uint8_t)bytes[known - letters] : letter;
    (*at)++;
    return NULL;
}

const char *
ch_promql_unquote(ch_bytes_t inside, char quote, ch_query_memory_t *memory,
                  ch_bytes_t *string_out)
{
    if (quote == '`' || inside.size == 0 || !memchr(inside.data, '\\', inside.size)) {
        *string_out = inside;
        return NULL;
    }
    /* No escape is shorter than what it stands for. */
    uint8_t *to = ch_query_memory_take(memory, inside.size + 1);
    size_t size = 0;
    for (size_t at = 0; at < inside.size;) {
        if (inside.data[at] != '\\') {
            to[size++] = inside.data[at++];
            continue;
        }
        at++;
        const char *wrong = unquote_escape(inside, &at, quote, to, &size);
        if (wrong)
            return wrong;
    }
    *string_out = ch_bytes(to, size);
    return NULL;
}
