/* import_line.c - Influx line protocol: `measurement,tag=value field=1i,other="x" 1700000000`.
 *
 * Each field becomes the series `measurement_field{tags}`. In names, tags and values a backslash
 * escapes comma, equals sign and space; in quoted strings, quote and backslash.
 */
#include <stdlib.h>
#include <string.h>

#include "chq/import.h"
#include "chq/text.h"

typedef struct influx {
    cityhall_label_t labels[CHQ_IMPORT_LABELS_MAX];
    size_t label_count;
    const char *fields[CHQ_IMPORT_FIELDS_MAX];
    cityhall_value_t values[CHQ_IMPORT_FIELDS_MAX];
    size_t field_count;
} influx_t;

/* Read up to one of `stops`, taking escapes away in place. *at moves to the stop; it is overwritten
 * with NUL, and returned. */
static char
read_word(char **at, const char *stops, char **word_out)
{
    char *from = *at, *to = from;
    *word_out = to;
    for (; *from && !strchr(stops, *from); from++) {
        if (*from == '\\' && from[1] && strchr(",= \\", from[1]))
            from++;
        *to++ = *from;
    }
    char stop = *from;
    *at = stop ? from + 1 : from;
    *to = '\0';
    return stop;
}

static bool
read_string(char **at, cityhall_value_t *value_out, char *stop_out)
{
    char *from = *at + 1, *to = *at, *text = to;
    for (; *from && *from != '"'; from++) {
        if (*from == '\\' && (from[1] == '"' || from[1] == '\\'))
            from++;
        *to++ = *from;
    }
    if (*from != '"')
        return false;
    from++;
    *stop_out = *from;
    *at = *from ? from + 1 : from;
    *value_out = cityhall_string(text, (size_t)(to - text));
    return *stop_out == '\0' || *stop_out == ',' || *stop_out == ' ';
}

static bool
plain_value(char *text, cityhall_value_t *value_out)
{
    static const char *const truths[] = {"t", "T", "true", "True", "TRUE"};
    static const char *const lies[] = {"f", "F", "false", "False", "FALSE"};
    size_t size = strlen(text);
    for (int i = 0; i < 5; i++)
        if (strcmp(text, truths[i]) == 0 || strcmp(text, lies[i]) == 0) {
            *value_out = cityhall_bool(strcmp(text, truths[i]) == 0);
            return true;
        }
    *value_out = cityhall_int(0);
    if (size > 1 && (text[size - 1] == 'i' || text[size - 1] == 'u')) {
        text[size - 1] = '\0';
        return chq_int_parse(text, &value_out->as.i64);
    }
    *value_out = cityhall_float(0);
    return chq_double_parse(text, &value_out->as.f64);
}

static const char *
read_tags(influx_t *influx, char **at, char *stop)
{
    while (*stop == ',') {
        char *name, *value;
        if (influx->label_count == CHQ_IMPORT_LABELS_MAX)
            return "too many tags";
        if (read_word(at, "= ,", &name) != '=')
            return "a tag without =";
        *stop = read_word(at, " ,", &value);
        influx->labels[influx->label_count++] = (cityhall_label_t){name, value};
    }
    return *stop == ' ' ? NULL : "no fields";
}

static const char *
read_fields(influx_t *influx, char **at, char *stop)
{
    do {
        char *name, *text;
        if (influx->field_count == CHQ_IMPORT_FIELDS_MAX)
            return "too many fields";
        if (read_word(at, "= ,", &name) != '=')
            return "a field without =";
        cityhall_value_t *value = &influx->values[influx->field_count];
        if (**at == '"') {
            if (!read_string(at, value, stop))
                return "a string is not closed";
        } else {
            *stop = read_word(at, " ,", &text);
            if (!plain_value(text, value))
                return "a field value is no number, true, false or \"string\"";
        }
        influx->fields[influx->field_count++] = name;
    } while (*stop == ',');
    return NULL;
}

bool
chq_import_influx_line(chq_import_t *import, char *line, char *error, size_t error_size)
{
    static influx_t influx;
    influx.label_count = influx.field_count = 0;
    char *measurement;
    for (size_t size = strlen(line); size > 0 && strchr(" \t", line[size - 1]); size--)
        line[size - 1] = '\0';
    line += strspn(line, " \t");
    if (!*line || *line == '#')
        return true;
    char stop = read_word(&line, ", ", &measurement);
    const char *wrong =
        *measurement ? read_tags(&influx, &line, &stop) : "no measurement";
    if (!wrong)
        wrong = read_fields(&influx, &line, &stop);
    int64_t time = CITYHALL_TIME_RECEIVED;
    while (!wrong && *line == ' ')
        line++;
    if (!wrong && *line &&
        (!chq_int_parse(line, &time) ||
         __builtin_mul_overflow(time, import->precision_ns, &time)))
        wrong = "the time is no whole number";
    if (wrong) {
        (void)snprintf(error, error_size, "%s", wrong);
        return true;
    }
    return import->sink.row(import->sink.context, measurement, influx.labels,
                            influx.label_count, time, influx.fields, influx.values,
                            influx.field_count);
}
