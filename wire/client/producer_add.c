/* producer_add.c - points into the open batch: checked first, because one bad point refuses all of
 * it; then room is made (a full batch goes out), and only then anything is added. */
#include "producer.h"

#include "check.h"

#include <stdlib.h>

enum { ITEM_BYTES = 24, STRING_BYTES_MAX = 64 * 1024 };

static ch_bytes_t
text(const char *string)
{
    return ch_bytes_text(string);
}

static ch_when_t
when(int64_t time)
{
    return time == CITYHALL_TIME_RECEIVED ? ch_when_received() : ch_when(time);
}

static ch_value_t
value_of(const cityhall_value_t *value)
{
    switch (value->type) {
    case CITYHALL_INT:
        return ch_value_int(value->as.i64);
    case CITYHALL_FLOAT:
        return ch_value_float(value->as.f64);
    case CITYHALL_BOOL:
        return ch_value_bool(value->as.boolean);
    case CITYHALL_STRING:
        return ch_value_string(ch_bytes(value->as.string.data, value->as.string.size));
    case CITYHALL_NONE:
        break;
    }
    return (ch_value_t){.type = CH_VALUE_NONE};
}

static cityhall_status_t
bad(cityhall_producer_t *producer, const char *what)
{
    return ch_producer_fail(producer, CITYHALL_ERR_ARGUMENT, "%s", what);
}

/* Check values; *bytes grows by what they take. */
static cityhall_status_t
check_values(cityhall_producer_t *producer, const cityhall_value_t *values, size_t count,
             bool none_allowed, uint64_t *bytes)
{
    for (size_t i = 0; i < count; i++) {
        if (values[i].type > CITYHALL_NONE ||
            (values[i].type == CITYHALL_NONE && !none_allowed))
            return bad(producer, "a value has no type that is allowed here");
        if (values[i].type == CITYHALL_STRING) {
            if (values[i].as.string.size > STRING_BYTES_MAX)
                return ch_producer_fail(producer, CITYHALL_ERR_LIMIT,
                                        "a string value is above 64 KiB");
            *bytes += values[i].as.string.size;
        }
        *bytes += 9;
    }
    return CITYHALL_OK;
}

static cityhall_status_t
check_key(cityhall_producer_t *producer, const char *key)
{
    bool limit;
    const char *wrong = key ? ch_check_key(text(key), &limit) : "the key is NULL";
    if (!wrong)
        return CITYHALL_OK;
    return ch_producer_fail(
        producer, key && limit ? CITYHALL_ERR_LIMIT : CITYHALL_ERR_ARGUMENT, "%s", wrong);
}

cityhall_status_t
cityhall_producer_point(cityhall_producer_t *producer, const char *key, int64_t time,
                        cityhall_value_t value)
{
    uint64_t bytes = ITEM_BYTES;
    cityhall_status_t status = check_key(producer, key);
    if (status >= 0)
        status = check_values(producer, &value, 1, false, &bytes);
    if (status >= 0)
        status = ch_producer_make_room(producer, bytes + strlen(key), 1);
    if (status >= 0)
        ch_batch_encoder_point(producer->encoder, text(key), when(time),
                               value_of(&value));
    return status;
}

/* ---- rows */

/* Arrays that a row or table is handed to the encoder in. */
typedef struct lists {
    ch_label_t labels[CH_CLIENT_LABELS_MAX];
    uint32_t label_count;
    ch_bytes_t *fields;
    ch_value_t *values;
} lists_t;

static cityhall_status_t
take_labels(cityhall_producer_t *producer, const cityhall_label_t *labels, size_t count,
            lists_t *lists, uint64_t *bytes)
{
    for (size_t i = 0; i < count; i++) {
        if (!labels[i].name || ch_check_name(text(labels[i].name)) ||
            strcmp(labels[i].name, "__name__") == 0)
            return bad(producer, "a label name is not valid");
        for (size_t k = 0; k < i; k++)
            if (strcmp(labels[k].name, labels[i].name) == 0)
                return bad(producer, "a label is given twice");
        if (!labels[i].value || !*labels[i].value)
            continue;
        if (lists->label_count == CH_CLIENT_LABELS_MAX)
            return ch_producer_fail(producer, CITYHALL_ERR_LIMIT, "more than %d labels",
                                    CH_CLIENT_LABELS_MAX);
        if (!ch_bytes_is_utf8(text(labels[i].value)))
            return bad(producer, "a label value is not UTF-8");
        lists->labels[lists->label_count++] =
            (ch_label_t){text(labels[i].name), text(labels[i].value)};
        *bytes += strlen(labels[i].name) + strlen(labels[i].value) + 10;
    }
    return CITYHALL_OK;
}

static cityhall_status_t
take_fields(cityhall_producer_t *producer, const char *const *fields,
            const cityhall_value_t *values, size_t count, lists_t *lists, uint64_t *bytes)
{
    lists->fields = calloc(count + 1, sizeof *lists->fields);
    lists->values = calloc(count + 1, sizeof *lists->values);
    if (!lists->fields || !lists->values)
        return ch_producer_fail(producer, CITYHALL_ERR_MEMORY, "no memory");
    for (size_t j = 0; j < count; j++) {
        if (!fields[j] || ch_check_name(text(fields[j])))
            return bad(producer, "a field name is not valid");
        lists->fields[j] = text(fields[j]);
        lists->values[j] = value_of(&values[j]);
        *bytes += strlen(fields[j]) + 5;
    }
    return CITYHALL_OK;
}

/* The longest key of a row must fit. */
static cityhall_status_t
check_key_bytes(cityhall_producer_t *producer, size_t name, size_t field, size_t labels)
{
    if (name + 1 + field + labels > CH_CLIENT_KEY_BYTES_MAX)
        return ch_producer_fail(producer, CITYHALL_ERR_LIMIT, "a key is above 1 KiB");
    return CITYHALL_OK;
}

/* Bytes that labels take in canonical text, braces included. */
static size_t
labels_text_bytes(const ch_label_t *labels, uint32_t count)
{
    size_t bytes = count ? 1 + count : 0;
    for (uint32_t i = 0; i < count; i++) {
        bytes += labels[i].name.size + labels[i].value.size + 3;
        for (size_t k = 0; k < labels[i].value.size; k++)
            bytes += strchr("\"\\\n", labels[i].value.data[k]) != NULL;
    }
    return bytes;
}

static size_t
longest(const ch_bytes_t *items, size_t count)
{
    size_t most = 0;
    for (size_t i = 0; i < count; i++)
        most = items[i].size > most ? items[i].size : most;
    return most;
}

cityhall_status_t
cityhall_producer_row(cityhall_producer_t *producer, const char *name,
                      const cityhall_label_t *labels, size_t label_count, int64_t time,
                      const char *const *fields, const cityhall_value_t *values,
                      size_t field_count)
{
    lists_t lists = {0};
    uint64_t bytes = ITEM_BYTES;
    cityhall_status_t status = CITYHALL_OK;
    if (!name || ch_check_name(text(name)))
        return bad(producer, "the name is not valid");
    if (field_count > producer->options.batch_points_max)
        return ch_producer_fail(producer, CITYHALL_ERR_LIMIT, "too many fields");
    status = take_labels(producer, labels, label_count, &lists, &bytes);
    if (status >= 0)
        status = check_values(producer, values, field_count, true, &bytes);
    if (status >= 0)
        status = take_fields(producer, fields, values, field_count, &lists, &bytes);
    if (status >= 0)
        status =
            check_key_bytes(producer, strlen(name), longest(lists.fields, field_count),
                            labels_text_bytes(lists.labels, lists.label_count));
    if (status >= 0)
        status = ch_producer_make_room(producer, bytes + strlen(name), field_count);
    if (status >= 0)
        ch_batch_encoder_row(producer->encoder, text(name), lists.labels,
                             lists.label_count, when(time), lists.fields, lists.values,
                             (uint32_t)field_count);
    free(lists.fields);
    free(lists.values);
    return status;
}

/* ---- columns */

/* Times that run in equal steps go out as start and step: 20 bytes instead of 8 each. */
static ch_times_t
times_of(const int64_t *times, size_t count)
{
    ch_times_t packed = {.form = CH_TIMES_PACKED, .packed = (const uint8_t *)times};
    int64_t step = 0;
    if (count < 4 || __builtin_sub_overflow(times[1], times[0], &step))
        return packed;
    for (size_t i = 2; i < count; i++) {
        int64_t next;
        if (__builtin_sub_overflow(times[i], times[i - 1], &next) || next != step)
            return packed;
    }
    return (ch_times_t){.form = CH_TIMES_REGULAR, .start = times[0], .step = step};
}

static cityhall_status_t
add_column(cityhall_producer_t *producer, const char *key, const int64_t *times,
           const ch_values_t *values, size_t count, uint64_t bytes)
{
    cityhall_status_t status = ch_producer_make_room(
        producer, bytes + strlen(key) + ITEM_BYTES + count * 8, count);
    if (status < 0)
        return status;
    ch_times_t run = times_of(times, count);
    ch_batch_encoder_series(producer->encoder, text(key), &run, values, (uint32_t)count);
    return CITYHALL_OK;
}

cityhall_status_t
cityhall_producer_floats(cityhall_producer_t *producer, const char *key,
                         const int64_t *times, const double *values, size_t count)
{
    ch_values_t column = {.form = CH_VALUES_F64, .packed = (const uint8_t *)values};
    cityhall_status_t status = check_key(producer, key);
    return status < 0 || count == 0
               ? status
               : add_column(producer, key, times, &column, count, count * 8);
}

cityhall_status_t
cityhall_producer_ints(cityhall_producer_t *producer, const char *key,
                       const int64_t *times, const int64_t *values, size_t count)
{
    ch_values_t column = {.form = CH_VALUES_I64, .packed = (const uint8_t *)values};
    cityhall_status_t status = check_key(producer, key);
    return status < 0 || count == 0
               ? status
               : add_column(producer, key, times, &column, count, count * 8);
}

cityhall_status_t
cityhall_producer_values(cityhall_producer_t *producer, const char *key,
                         const int64_t *times, const cityhall_value_t *values,
                         size_t count)
{
    uint64_t bytes = 0;
    cityhall_status_t status = check_key(producer, key);
    if (status >= 0)
        status = check_values(producer, values, count, false, &bytes);
    if (status < 0 || count == 0)
        return status;
    ch_value_t *list =
        count <= producer->options.batch_points_max ? malloc(count * sizeof *list) : NULL;
    for (size_t i = 0; list && i < count; i++)
        list[i] = value_of(&values[i]);
    ch_values_t column = {.form = CH_VALUES_LIST, .list = list};
    if (!list && count <= producer->options.batch_points_max)
        return ch_producer_fail(producer, CITYHALL_ERR_MEMORY, "no memory");
    status = add_column(producer, key, times, &column, count, bytes);
    free(list);
    return status;
}

/* ---- tables */

typedef struct table_lists {
    ch_bytes_t *label_names;
    ch_bytes_t *label_values;
    ch_bytes_t *fields;
    ch_values_t *columns;
    ch_value_t *cells; /* of columns given as values, one after the other */
    uint64_t points;
} table_lists_t;

static void
free_table(table_lists_t *lists)
{
    free(lists->label_names);
    free(lists->label_values);
    free(lists->fields);
    free(lists->columns);
    free(lists->cells);
}

/* Rows and columns of a size that fits a batch, so that the products below cannot overflow. */
static cityhall_status_t
check_table_size(cityhall_producer_t *producer, const cityhall_table_t *table)
{
    size_t most = producer->options.batch_points_max;
    if (table->label_count > CH_CLIENT_LABELS_MAX || table->rows > most ||
        table->column_count > most || table->rows * table->column_count > 8 * most)
        return ch_producer_fail(producer, CITYHALL_ERR_LIMIT,
                                "the table has too many labels, rows or columns");
    return CITYHALL_OK;
}

static cityhall_status_t
take_table_labels(cityhall_producer_t *producer, const cityhall_table_t *table,
                  table_lists_t *lists, uint64_t *bytes, size_t *longest_out)
{
    size_t cells = table->rows * table->label_count;
    lists->label_names = calloc(table->label_count + 1, sizeof *lists->label_names);
    lists->label_values = calloc(cells + 1, sizeof *lists->label_values);
    if (!lists->label_names || !lists->label_values)
        return ch_producer_fail(producer, CITYHALL_ERR_MEMORY, "no memory");
    for (size_t k = 0; k < table->label_count; k++) {
        const char *name = table->label_names[k];
        if (!name || ch_check_name(text(name)) || strcmp(name, "__name__") == 0)
            return bad(producer, "a label name is not valid");
        for (size_t other = 0; other < k; other++)
            if (strcmp(table->label_names[other], name) == 0)
                return bad(producer, "a label is given twice");
        lists->label_names[k] = text(name);
        *bytes += strlen(name) + 5;
    }
    for (size_t i = 0; i < table->rows; i++) {
        ch_label_t row[CH_CLIENT_LABELS_MAX];
        uint32_t count = 0;
        for (size_t k = 0; k < table->label_count; k++) {
            const char *value = table->label_values[i * table->label_count + k];
            *bytes += 6;
            if (!value || !*value)
                continue;
            if (!ch_bytes_is_utf8(text(value)))
                return bad(producer, "a label value is not UTF-8");
            lists->label_values[i * table->label_count + k] = text(value);
            row[count++] = (ch_label_t){lists->label_names[k], text(value)};
            *bytes += strlen(value);
        }
        size_t size = labels_text_bytes(row, count);
        *longest_out = size > *longest_out ? size : *longest_out;
    }
    return CITYHALL_OK;
}

static cityhall_status_t
take_column(cityhall_producer_t *producer, const cityhall_column_t *column, size_t rows,
            ch_value_t *cells, ch_values_t *values_out, uint64_t *bytes)
{
    int given =
        (column->ints != NULL) + (column->floats != NULL) + (column->values != NULL);
    if (given != 1)
        return bad(producer, "a column has not exactly one of ints, floats and values");
    if (!column->values) {
        values_out->form = column->ints ? CH_VALUES_I64 : CH_VALUES_F64;
        values_out->packed = column->ints ? (const uint8_t *)column->ints
                                          : (const uint8_t *)column->floats;
        *bytes += rows * 8 + 6;
        return CITYHALL_OK;
    }
    cityhall_status_t status = check_values(producer, column->values, rows, true, bytes);
    for (size_t i = 0; status >= 0 && i < rows; i++)
        cells[i] = value_of(&column->values[i]);
    *values_out = (ch_values_t){.form = CH_VALUES_LIST, .list = cells};
    *bytes += 6;
    return status;
}

static cityhall_status_t
take_table_columns(cityhall_producer_t *producer, const cityhall_table_t *table,
                   table_lists_t *lists, uint64_t *bytes)
{
    size_t columns = table->column_count;
    lists->fields = calloc(columns + 1, sizeof *lists->fields);
    lists->columns = calloc(columns + 1, sizeof *lists->columns);
    lists->cells = calloc(columns * table->rows + 1, sizeof *lists->cells);
    if (!lists->fields || !lists->columns || !lists->cells)
        return ch_producer_fail(producer, CITYHALL_ERR_MEMORY, "no memory");
    for (size_t j = 0; j < columns; j++) {
        const char *field = table->columns[j].field;
        if (!field || ch_check_name(text(field)))
            return bad(producer, "a field name is not valid");
        lists->fields[j] = text(field);
        *bytes += strlen(field) + 5;
        ch_value_t *cells = lists->cells + j * table->rows;
        cityhall_status_t status = take_column(producer, &table->columns[j], table->rows,
                                               cells, &lists->columns[j], bytes);
        if (status < 0)
            return status;
        lists->points += table->rows;
        for (size_t i = 0; table->columns[j].values && i < table->rows; i++)
            lists->points -= cells[i].type == CH_VALUE_NONE;
    }
    return CITYHALL_OK;
}

static void
encode_table(cityhall_producer_t *producer, const cityhall_table_t *table,
             const table_lists_t *lists)
{
    ch_batch_table_t out = {
        .name = text(table->name),
        .label_count = (uint32_t)table->label_count,
        .label_names = lists->label_names,
        .rows = (uint32_t)table->rows,
        .label_values = lists->label_values,
        .single_time = table->times == NULL,
        .when = when(table->time),
        .field_count = (uint32_t)table->column_count,
        .fields = lists->fields,
        .values = lists->columns,
    };
    if (table->times)
        out.times = times_of(table->times, table->rows);
    ch_batch_encoder_table(producer->encoder, &out);
}

cityhall_status_t
cityhall_producer_table(cityhall_producer_t *producer, const cityhall_table_t *table)
{
    table_lists_t lists = {0};
    uint64_t bytes = ITEM_BYTES + 48;
    size_t labels = 0;
    if (!table->name || ch_check_name(text(table->name)))
        return bad(producer, "the name is not valid");
    cityhall_status_t status = check_table_size(producer, table);
    if (status >= 0)
        status = take_table_labels(producer, table, &lists, &bytes, &labels);
    if (status >= 0)
        status = take_table_columns(producer, table, &lists, &bytes);
    if (status >= 0)
        status = check_key_bytes(producer, strlen(table->name),
                                 longest(lists.fields, table->column_count), labels);
    bytes += strlen(table->name) + (table->times ? table->rows * 8 : 9);
    if (status >= 0)
        status = ch_producer_make_room(producer, bytes, lists.points);
    if (status >= 0)
        encode_table(producer, table, &lists);
    free_table(&lists);
    return status;
}
