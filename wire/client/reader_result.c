/* reader_result.c - answers as C arrays.
 *
 * Memory   Strings are copied into one growing buffer, so that they can end in NUL; they are handed
 *          out as pointers only when everything is copied, because the buffer moves as it grows. */
#include "reader.h"

#include "ch/coding.h"

cityhall_status_t
ch_reader_walk(cityhall_reader_t *reader, ch_op_t op, const char *field)
{
    if (!ch_reply_view_array(&reader->view, field, &reader->items, &reader->items_left))
        return ch_reader_fail(reader, CITYHALL_ERR_PROTOCOL, "the reply has no array %s",
                              field);
    reader->walking = op;
    return CITYHALL_OK;
}

size_t
ch_reader_keep(cityhall_reader_t *reader, ch_bytes_t bytes)
{
    size_t offset = reader->text.size;
    ch_buffer_append(&reader->text, bytes.data, bytes.size);
    ch_buffer_append(&reader->text, "", 1);
    return offset;
}

static void
forget(cityhall_reader_t *reader)
{
    ch_buffer_clear(&reader->text);
    ch_buffer_clear(&reader->labels);
    ch_buffer_clear(&reader->names);
    ch_buffer_clear(&reader->times);
    ch_buffer_clear(&reader->values);
}

static cityhall_status_t
broken(cityhall_reader_t *reader)
{
    reader->walking = CH_OP_UNKNOWN;
    return ch_reader_fail(reader, CITYHALL_ERR_PROTOCOL, "the reply's content is broken");
}

static const char *
text_at(const cityhall_reader_t *reader, size_t offset)
{
    return (const char *)reader->text.data + offset;
}

/* While texts are being copied a pointer is an offset. */
static const char *
as_pointer(size_t offset)
{
    return (const char *)(uintptr_t)offset;
}

static size_t
as_offset(const char *pointer)
{
    return (size_t)(uintptr_t)pointer;
}

/* ---- labels */

static bool
read_labels(cityhall_reader_t *reader, ch_cursor_t pairs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        ch_bytes_t name, value;
        if (!ch_labels_view_next(&pairs, &name, &value))
            return false;
        cityhall_label_t label = {.name = as_pointer(ch_reader_keep(reader, name)),
                                  .value = as_pointer(ch_reader_keep(reader, value))};
        ch_buffer_append(&reader->labels, &label, sizeof label);
    }
    return true;
}

/* A label value, escaped. */
static void
append_value(ch_buffer_t *text, const char *value)
{
    for (; *value; value++) {
        if (*value == '"' || *value == '\\' || *value == '\n')
            ch_buffer_append(text, "\\", 1);
        ch_buffer_append(text, *value == '\n' ? "n" : value, 1);
    }
}

/* The canonical key of the labels just read; an offset. Labels come in the node's order, which is
 * canonical. */
static size_t
build_key(cityhall_reader_t *reader, uint32_t count)
{
    ch_buffer_t *text = &reader->text;
    ch_buffer_t key = {0};
    bool first = true;
    cityhall_label_t *labels = (cityhall_label_t *)(void *)reader->labels.data;
    for (uint32_t i = 0; i < count && !text->failed; i++)
        if (strcmp(text_at(reader, as_offset(labels[i].name)), "__name__") == 0) {
            const char *name = text_at(reader, as_offset(labels[i].value));
            ch_buffer_append(&key, name, strlen(name));
        }
    for (uint32_t i = 0; i < count && !text->failed; i++) {
        const char *name = text_at(reader, as_offset(labels[i].name));
        if (strcmp(name, "__name__") == 0)
            continue;
        ch_buffer_append(&key, first ? "{" : ",", 1);
        first = false;
        ch_buffer_append(&key, name, strlen(name));
        ch_buffer_append(&key, "=\"", 2);
        append_value(&key, text_at(reader, as_offset(labels[i].value)));
        ch_buffer_append(&key, "\"", 1);
    }
    if (!first)
        ch_buffer_append(&key, "}", 1);
    text->failed |= key.failed;
    size_t offset = ch_reader_keep(reader, ch_buffer_bytes(&key));
    ch_buffer_release(&key);
    return offset;
}

/* ---- values */

static cityhall_value_t
public_value(ch_value_t value)
{
    switch (value.type) {
    case CH_VALUE_INT:
        return cityhall_int(value.i64);
    case CH_VALUE_FLOAT:
        return cityhall_float(value.f64);
    case CH_VALUE_BOOL:
        return cityhall_bool(value.boolean);
    case CH_VALUE_STRING:
        return cityhall_string((const char *)value.string.data, value.string.size);
    case CH_VALUE_NONE:
        break;
    }
    return cityhall_none();
}

/* Points of a run. String values point into the reply, which lives as long as the answer. */
static bool
read_points(cityhall_reader_t *reader, ch_run_view_t *run, cityhall_series_t *series)
{
    ch_buffer_append(&reader->times, run->times.data, run->times.size);
    if (run->form != CH_VALUES_LIST)
        ch_buffer_append(&reader->values, run->packed.data, run->packed.size);
    for (uint32_t i = 0; run->form == CH_VALUES_LIST && i < run->count; i++) {
        ch_value_t value;
        if (!ch_run_view_value(run, i, &value))
            return false;
        cityhall_value_t copy = public_value(value);
        ch_buffer_append(&reader->values, &copy, sizeof copy);
    }
    series->count = run->count;
    series->times = (const int64_t *)(void *)reader->times.data;
    const void *values = reader->values.data;
    if (run->count == 0)
        return true;
    if (run->form == CH_VALUES_F64)
        series->floats = values;
    else if (run->form == CH_VALUES_I64)
        series->ints = values;
    else
        series->values = values;
    return true;
}

/* Everything is copied: offsets become pointers. */
static cityhall_status_t
finish_series(cityhall_reader_t *reader, cityhall_series_t *series, size_t key)
{
    if (reader->text.failed || reader->labels.failed || reader->times.failed ||
        reader->values.failed)
        return ch_reader_fail(reader, CITYHALL_ERR_MEMORY, "no memory");
    cityhall_label_t *labels = (cityhall_label_t *)(void *)reader->labels.data;
    for (size_t i = 0; i < series->label_count; i++) {
        labels[i].name = text_at(reader, as_offset(labels[i].name));
        labels[i].value = text_at(reader, as_offset(labels[i].value));
    }
    series->labels = labels;
    series->key = text_at(reader, key);
    return CITYHALL_OK;
}

cityhall_status_t
cityhall_reader_next(cityhall_reader_t *reader, cityhall_series_t *series_out)
{
    cityhall_series_t series = {0};
    ch_run_view_t run = {0};
    while (reader->walking == CH_OP_READ && reader->items_left == 0 && reader->more) {
        cityhall_status_t status = ch_reader_read_page(reader);
        if (status < 0)
            return status;
    }
    if (reader->walking == CH_OP_UNKNOWN)
        return ch_reader_fail(reader, CITYHALL_ERR_ARGUMENT,
                              "next without read, query or series before it");
    if (reader->items_left == 0)
        return CITYHALL_END;
    forget(reader);
    bool labels_only = reader->walking == CH_OP_SERIES;
    bool fine = labels_only
                    ? ch_labels_view_open(&reader->items, &run.labels, &run.label_count)
                    : ch_run_view_next(&reader->items, &run);
    if (!fine || !read_labels(reader, run.labels, run.label_count) ||
        (!labels_only && !read_points(reader, &run, &series)))
        return broken(reader);
    series.label_count = run.label_count;
    reader->items_left--;
    cityhall_status_t status =
        finish_series(reader, &series, build_key(reader, run.label_count));
    if (status >= 0)
        *series_out = series;
    return status;
}

/* ---- single answers */

cityhall_status_t
cityhall_reader_delete(cityhall_reader_t *reader, const char *match, int64_t start,
                       int64_t end, bool dry_run, uint64_t *points_out,
                       uint64_t *series_out)
{
    ch_request_t request;
    uint64_t points, series;
    ch_request_init(&request);
    request.op = CH_OP_DELETE;
    request.has_match = true;
    request.match = ch_bytes_text(match);
    request.has_start = start != INT64_MIN;
    request.start = start;
    request.has_end = end != INT64_MAX;
    request.end = end;
    request.dry_run = dry_run;
    uint32_t tries = reader->options.tries;
    reader->options.tries = dry_run ? tries : 1;
    cityhall_status_t status = ch_reader_ask(reader, &request);
    reader->options.tries = tries;
    if (status < 0)
        return status;
    if (!ch_reply_view_uint(&reader->view, "points", &points) ||
        !ch_reply_view_uint(&reader->view, "series", &series))
        return broken(reader);
    if (points_out)
        *points_out = points;
    if (series_out)
        *series_out = series;
    return CITYHALL_OK;
}

cityhall_status_t
cityhall_reader_ping(cityhall_reader_t *reader, cityhall_ping_t *ping_out)
{
    ch_request_t request;
    ch_bytes_t node, role, version;
    ch_request_init(&request);
    request.op = CH_OP_PING;
    cityhall_status_t status = ch_reader_ask(reader, &request);
    if (status < 0)
        return status;
    if (!ch_reply_view_text(&reader->view, "node", &node) ||
        !ch_reply_view_text(&reader->view, "role", &role) ||
        !ch_reply_view_text(&reader->view, "version", &version) ||
        !ch_reply_view_uint(&reader->view, "term", &ping_out->term) ||
        !ch_reply_view_uint(&reader->view, "lsn", &ping_out->lsn))
        return broken(reader);
    forget(reader);
    size_t at_node = ch_reader_keep(reader, node), at_role = ch_reader_keep(reader, role);
    size_t at_version = ch_reader_keep(reader, version);
    if (reader->text.failed)
        return ch_reader_fail(reader, CITYHALL_ERR_MEMORY, "no memory");
    ping_out->node = text_at(reader, at_node);
    ping_out->role = text_at(reader, at_role);
    ping_out->version = text_at(reader, at_version);
    return CITYHALL_OK;
}

cityhall_status_t
cityhall_reader_get(cityhall_reader_t *reader, const char *key, int64_t time,
                    int64_t *time_out, cityhall_value_t *value_out)
{
    ch_request_t request;
    ch_cursor_t at;
    ch_value_t value;
    bool found;
    ch_request_init(&request);
    request.op = CH_OP_GET;
    request.name = ch_bytes_text(key); /* the whole key text */
    request.has_time = time != INT64_MAX;
    request.time = time;
    cityhall_status_t status = ch_reader_ask(reader, &request);
    if (status < 0)
        return status;
    if (!ch_reply_view_bool(&reader->view, "found", &found))
        return broken(reader);
    if (!found)
        return CITYHALL_NOT_FOUND;
    int64_t point_time;
    if (!ch_reply_view_int(&reader->view, "time", &point_time) ||
        !ch_reply_view_find(&reader->view, "value", &at) ||
        !ch_value_view_next(&at, &value))
        return broken(reader);
    *time_out = point_time;
    *value_out = public_value(value);
    return CITYHALL_OK;
}

/* The array `values` of the answer as C strings. */
static cityhall_status_t
read_names(cityhall_reader_t *reader, const char *const **names_out, size_t *count_out)
{
    ch_cursor_t items;
    uint32_t count;
    if (!ch_reply_view_array(&reader->view, "values", &items, &count))
        return broken(reader);
    forget(reader);
    for (uint32_t i = 0; i < count; i++) {
        ch_item_t item;
        if (!ch_cursor_next(&items, &item) ||
            (item.kind != CH_ITEM_STR && item.kind != CH_ITEM_BIN))
            return broken(reader);
        const char *place = as_pointer(ch_reader_keep(reader, item.bytes));
        ch_buffer_append(&reader->names, &place, sizeof place);
    }
    if (reader->text.failed || reader->names.failed)
        return ch_reader_fail(reader, CITYHALL_ERR_MEMORY, "no memory");
    const char **names = (const char **)(void *)reader->names.data;
    for (uint32_t i = 0; i < count; i++)
        names[i] = text_at(reader, as_offset(names[i]));
    *names_out = names;
    *count_out = count;
    return CITYHALL_OK;
}

cityhall_status_t
cityhall_reader_labels(cityhall_reader_t *reader, const char *match,
                       const char *const **names_out, size_t *count_out)
{
    ch_request_t request;
    ch_request_init(&request);
    request.op = CH_OP_LABELS;
    request.match = match ? ch_bytes_text(match) : (ch_bytes_t){0};
    cityhall_status_t status = ch_reader_ask(reader, &request);
    return status < 0 ? status : read_names(reader, names_out, count_out);
}

cityhall_status_t
cityhall_reader_label_values(cityhall_reader_t *reader, const char *label,
                             const char *match, const char *const **values_out,
                             size_t *count_out)
{
    ch_request_t request;
    ch_request_init(&request);
    request.op = CH_OP_LABEL_VALUES;
    request.label = ch_bytes_text(label);
    request.match = match ? ch_bytes_text(match) : (ch_bytes_t){0};
    cityhall_status_t status = ch_reader_ask(reader, &request);
    return status < 0 ? status : read_names(reader, values_out, count_out);
}

const char *
cityhall_reader_type(const cityhall_reader_t *reader)
{
    static const char *const types[] = {"scalar", "vector", "matrix", "string"};
    ch_bytes_t type;
    if (!ch_reply_view_text(&reader->view, "type", &type))
        return "";
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (ch_bytes_equal(type, ch_bytes_text(types[i])))
            return types[i];
    return "";
}

const char *
cityhall_reader_string(const cityhall_reader_t *reader)
{
    cityhall_reader_t *memory =
        (cityhall_reader_t *)(uintptr_t)reader; /* only its scratch */
    ch_bytes_t value;
    if (!ch_reply_view_text(&reader->view, "value", &value))
        return "";
    ch_buffer_clear(&memory->text);
    size_t offset = ch_reader_keep(memory, value);
    return memory->text.failed ? "" : text_at(memory, offset);
}
