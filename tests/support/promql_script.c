#include "support/promql_script.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "ch/series_key.h"
#include "query/promql_literal.h"
#include "query/promql_parser.h"
#include "query/range_functions.h"

static const char *
skip_blank(const char *text)
{
    while (*text && isspace((unsigned char)*text))
        text++;
    return text;
}

bool
script_word(const char **text, const char *word)
{
    const char *at = skip_blank(*text);
    size_t size = strlen(word);
    if (strncmp(at, word, size) != 0 || (at[size] && !isspace((unsigned char)at[size])))
        return false;
    *text = skip_blank(at + size);
    return true;
}

bool
script_time_parse(const char **text, int64_t *ns_out)
{
    const char *at = skip_blank(*text);
    bool negative = *at == '-';
    at += negative;
    size_t size = strcspn(at, " \t");
    double seconds;
    if (ch_promql_duration(ch_bytes(at, size), ns_out) != CH_OK &&
        !(ch_promql_number(ch_bytes(at, size), &seconds) &&
          ch_promql_seconds(seconds, ns_out)))
        return false;
    *ns_out = negative ? -*ns_out : *ns_out;
    *text = skip_blank(at + size);
    return true;
}

const char *
script_key(ch_query_memory_t *memory, ch_bytes_t name, ch_bytes_t labels)
{
    ch_text_t text = {0};
    ch_series_key_format(name, labels, &text);
    const char *key =
        (const char *)ch_query_memory_copy(memory, ch_text_bytes(&text)).data;
    ch_text_release(&text);
    return key;
}

/* The end of `name{...}`: quotes may hold blanks and braces. */
static const char *
description_end(const char *at)
{
    char quote = 0;
    bool braces = false;
    for (; *at; at++) {
        if (quote) {
            if (*at == '\\' && quote != '`' && at[1])
                at++;
            else if (*at == quote)
                quote = 0;
        } else if (strchr("\"'`", *at)) {
            quote = *at;
        } else if (*at == '{' || *at == '}') {
            braces = *at == '{';
        } else if (isspace((unsigned char)*at) && !braces) {
            return at;
        }
    }
    return at;
}

/* The description is a selector of equalities; the query parser reads it. */
static bool
parse_description(ch_bytes_t text, ch_query_memory_t *memory, script_series_t *series)
{
    ch_expr_t *expr = NULL;
    series->key = series->name = "";
    if (ch_bytes_equal(text, ch_bytes_text("{}")))
        return true;
    if (ch_promql_parse(text, memory, &expr) != CH_OK || expr->kind != CH_EXPR_SELECTOR)
        return false;
    ch_label_t labels[128];
    ch_bytes_t name = ch_bytes("", 0);
    uint32_t count = 0;
    for (uint32_t i = 0; i < expr->selector.matcher_count; i++) {
        const ch_matcher_t *matcher = &expr->selector.matchers[i];
        if (ch_bytes_equal(matcher->label, ch_bytes_text("__name__")))
            name = matcher->value;
        else
            labels[count++] =
                (ch_label_t){.name = matcher->label, .value = matcher->value};
    }
    ch_text_t canonical = {0};
    if (ch_series_labels_format(labels, count, 128, &canonical) != CH_OK)
        return false;
    series->name = (const char *)ch_query_memory_copy(memory, name).data;
    series->key = script_key(memory, name, ch_text_bytes(&canonical));
    ch_text_release(&canonical);
    return true;
}

static void
add_value(ch_query_memory_t *memory, script_series_t *series, script_value_kind_t kind,
          double number)
{
    series->values = ch_query_memory_grow(memory, series->values, series->count,
                                          sizeof series->values[0]);
    series->values[series->count++] = (script_value_t){.kind = kind, .number = number};
    series->histograms = series->histograms || kind == SCRIPT_HISTOGRAM;
}

/* A number at *text, up to a sign, an x or a blank (strtod would read 0x10 as sixteen). */
static bool
parse_number(const char **text, double *number_out)
{
    char plain[64] = {0};
    size_t size = 0;
    for (const char *at = *text; size + 1 < sizeof plain && *at; at++) {
        bool exponent = size > 0 && (at[-1] | 0x20) == 'e';
        bool sign = (*at == '+' || *at == '-') && size > 0 && !exponent;
        if (isspace((unsigned char)*at) || *at == 'x' || sign)
            break;
        plain[size++] = *at;
    }
    char *end = NULL;
    *number_out = strtod(plain, &end);
    *text += size;
    return size > 0 && *end == '\0';
}

static bool
parse_times(const char **text, unsigned long *times_out)
{
    *times_out = 0;
    if (**text != 'x')
        return true;
    char *end = NULL;
    *times_out = strtoul(*text + 1, &end, 10);
    bool read = end != *text + 1;
    *text = end;
    return read;
}

/* {{...}}, {{...}}x5 or {{...}}+{{...}}x5: only how many matters. */
static bool
parse_histograms(const char **text, ch_query_memory_t *memory, script_series_t *series)
{
    unsigned long times = 0;
    for (;;) {
        const char *end = strstr(*text, "}}");
        if (!end)
            return false;
        *text = end + 2;
        if (strncmp(*text, "+{{", 3) != 0 && strncmp(*text, "-{{", 3) != 0)
            break;
        (*text)++;
    }
    if (!parse_times(text, &times))
        return false;
    for (unsigned long i = 0; i <= times; i++)
        add_value(memory, series, SCRIPT_HISTOGRAM, 0);
    return true;
}

static bool
parse_floats(const char **text, ch_query_memory_t *memory, script_series_t *series)
{
    double first, step = 0;
    unsigned long times = 0;
    if (!parse_number(text, &first))
        return false;
    if ((**text == '+' || **text == '-') && !parse_number(text, &step))
        return false;
    if (!parse_times(text, &times))
        return false;
    for (unsigned long i = 0; i <= times; i++, first += step)
        add_value(memory, series, SCRIPT_FLOAT, first);
    return true;
}

static bool
parse_value(const char **text, ch_query_memory_t *memory, script_series_t *series)
{
    unsigned long times = 0;
    if (strncmp(*text, "{{", 2) == 0)
        return parse_histograms(text, memory, series);
    if (strncmp(*text, "stale", 5) == 0) {
        *text += 5;
        add_value(memory, series, SCRIPT_FLOAT, ch_promql_absent());
        return true;
    }
    if (**text != '_')
        return parse_floats(text, memory, series);
    (*text)++;
    if (!parse_times(text, &times))
        return false;
    for (unsigned long i = 0; i < (times ? times : 1); i++)
        add_value(memory, series, SCRIPT_NONE, 0);
    return true;
}

bool
script_values_parse(const char *text, ch_query_memory_t *memory,
                    script_series_t *series_out)
{
    for (text = skip_blank(text); *text; text = skip_blank(text)) {
        if (!parse_value(&text, memory, series_out))
            return false;
        if (*text && !isspace((unsigned char)*text))
            return false;
    }
    return true;
}

bool
script_series_parse(const char *line, ch_query_memory_t *memory,
                    script_series_t *series_out)
{
    const char *at = skip_blank(line), *end = description_end(at);
    /* A blank may stand between the name and its braces. */
    const char *brace = skip_blank(end);
    if (*brace == '{' && brace[1] != '{' && end > at && end[-1] != '}')
        end = description_end(brace);
    *series_out = (script_series_t){0};
    return parse_description(ch_bytes(at, (size_t)(end - at)), memory, series_out) &&
           script_values_parse(end, memory, series_out);
}
