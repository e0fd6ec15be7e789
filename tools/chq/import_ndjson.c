/* import_ndjson.c - a JSON object a line: {"key","time","value"} or {"name","labels","time","fields"}.
 * What `chq read -o ndjson` prints has "series" for "key". */
#include <jansson.h>
#include <string.h>

#include "chq/import.h"
#include "chq/text.h"

static bool
json_value(const json_t *json, cityhall_value_t *value_out)
{
    if (json_is_integer(json))
        *value_out = cityhall_int(json_integer_value(json));
    else if (json_is_real(json))
        *value_out = cityhall_float(json_real_value(json));
    else if (json_is_boolean(json))
        *value_out = cityhall_bool(json_is_true(json));
    else if (json_is_string(json))
        *value_out = cityhall_string(json_string_value(json), json_string_length(json));
    else
        return false;
    return true;
}

/* What the number is when "type" says float: JSON has no word for NaN and the infinities, and others print
 * 1.0 as 1. */
static bool
json_float(const json_t *json, cityhall_value_t *value_out)
{
    double number;
    if (json_is_number(json))
        *value_out = cityhall_float(json_number_value(json));
    else if (json_is_string(json) && chq_double_parse(json_string_value(json), &number))
        *value_out = cityhall_float(number);
    else
        return false;
    return true;
}

static bool
json_typed_value(const json_t *object, cityhall_value_t *value_out)
{
    const json_t *json = json_object_get(object, "value");
    const char *type = json_string_value(json_object_get(object, "type"));
    return type && strcmp(type, "float") == 0 ? json_float(json, value_out)
                                              : json_value(json, value_out);
}

static bool
json_time(const json_t *json, int64_t *time_out)
{
    *time_out = CITYHALL_TIME_RECEIVED;
    if (!json || json_is_null(json))
        return true;
    if (json_is_string(json))
        return chq_time_parse(json_string_value(json), 0, time_out);
    char text[CHQ_NUMBER_BYTES];
    if (!json_is_integer(json))
        return false;
    (void)snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
    return chq_time_parse(text, 0, time_out);
}

static const char *
json_row(chq_import_t *import, const json_t *object, int64_t time, bool *go_on)
{
    cityhall_label_t labels[CHQ_IMPORT_LABELS_MAX];
    const char *fields[CHQ_IMPORT_FIELDS_MAX];
    cityhall_value_t values[CHQ_IMPORT_FIELDS_MAX];
    size_t label_count = 0, field_count = 0;
    const char *name;
    json_t *item, *given = json_object_get(object, "labels");
    json_object_foreach(given, name, item)
    {
        if (!json_is_string(item) || label_count == CHQ_IMPORT_LABELS_MAX)
            return "labels must be at most 32 strings";
        labels[label_count++] = (cityhall_label_t){name, json_string_value(item)};
    }
    json_object_foreach(json_object_get(object, "fields"), name, item)
    {
        if (field_count == CHQ_IMPORT_FIELDS_MAX ||
            !json_value(item, &values[field_count]))
            return "a field must be a number, true, false or a string";
        fields[field_count++] = name;
    }
    *go_on = import->sink.row(import->sink.context,
                              json_string_value(json_object_get(object, "name")), labels,
                              label_count, time, fields, values, field_count);
    return NULL;
}

bool
chq_import_json_line(chq_import_t *import, char *line, char *error, size_t error_size)
{
    json_error_t parse_error;
    bool go_on = true;
    if (!line[strspn(line, " \t\r")])
        return true;
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &parse_error);
    const char *wrong = NULL;
    int64_t time = 0;
    cityhall_value_t value;
    const json_t *key = json_object_get(object, "key");
    if (!key)
        key = json_object_get(object, "series");
    if (!json_is_object(object))
        wrong = object ? "not an object" : parse_error.text;
    else if (!json_time(json_object_get(object, "time"), &time))
        wrong = "\"time\" is no time";
    else if (json_is_string(key) && json_typed_value(object, &value))
        go_on =
            import->sink.point(import->sink.context, json_string_value(key), time, value);
    else if (json_is_string(json_object_get(object, "name")) &&
             json_is_object(json_object_get(object, "fields")))
        wrong = json_row(import, object, time, &go_on);
    else
        wrong = "neither {\"key\",\"time\",\"value\"} nor "
                "{\"name\",\"labels\",\"time\",\"fields\"}";
    if (wrong)
        (void)snprintf(error, error_size, "%s", wrong);
    json_decref(object);
    return go_on;
}
