/* batch_tables.c - the fast shape of a batch for scrapes: `tables`, many series at few instants.
 *
 * Blame   Columns are checked as columns, which finds the first fault of a column, not the first bad
 *         point of the batch. So a table that has any fault is walked a second time, cell by cell in
 *         the order of its points (table_blame): a refusal may be slow, a good table must not be.
 * Again   A batch of scrapes says the same in each table: name, labels, fields and rows. What stands in
 *         the frame byte for byte as in the table before is not read again (take_head); the blocks then
 *         share names and labels, and whoever maps these to series can see that by their addresses.
 */
#include "batch_reader.h"

#include "cursor_fast.h"

#include <stdlib.h>

enum { PART_NAME, PART_LABELS, PART_FIELDS, PART_ROWS, PART_TIMES, PART_VALUES, PARTS };

static const char *const part_names[PARTS] = {"name", "labels", "fields",
                                              "rows", "times",  "values"};

typedef struct table {
    ch_cursor_t parts[PARTS]; /* at each part's value */
    size_t sizes[PARTS];      /* of that value */
    ch_bytes_t name;
    uint32_t label_count;
    uint32_t order[CH_BATCH_LABELS_MAX]; /* place of the i-th label in sorted order */
    uint32_t rows;
    uint32_t fields;
    ch_cursor_t rows_at;    /* at the first row */
    ch_cursor_t columns_at; /* at the first column */
    ch_batch_times_t times;
    ch_batch_column_t *columns;
    ch_bytes_t *names;  /* name_field; size 0: not valid, or (data not NULL) too long */
    ch_bytes_t *labels; /* label text of each row */
    uint64_t key_bytes; /* of names and labels */
    bool good; /* no fault in it, and no key too long: the next table may take its head */
    ch_fault_t whole; /* of every point: the name, a label's name */
    ch_fault_t times_fault;
    uint32_t none_count;
} table_t;

/* Does the value of `part` stand at the cursor as it stood in the table before? A value says itself
 * where it ends, so equal bytes are an equal value. */
static bool
same_part(ch_cursor_t cursor, const table_t *before, int part)
{
    size_t size = before->sizes[part];
#ifdef CH_FAULT_BATCH_HEAD_BY_SIZE
    return before->good && size <= (size_t)(cursor.end - cursor.at);
#endif
    return before->good && size <= (size_t)(cursor.end - cursor.at) &&
           memcmp(cursor.at, before->parts[part].at, size) == 0;
}

/* Find the parts; every one must be there, once. */
static const char *
find_parts(ch_batch_decoder_t *decoder, ch_cursor_t *cursor, const table_t *before,
           table_t *table)
{
    ch_item_t item;
    if (!ch_cursor_next(cursor, &item) || item.kind != CH_ITEM_MAP)
        return "not a map";
    for (uint32_t i = 0; i < item.count; i++) {
        ch_item_t key = {0};
        ch_cursor_t key_at = *cursor;
        int part = 0;
        if (!ch_cursor_skip(cursor, NULL) || !ch_cursor_next(&key_at, &key))
            return "not a map";
        while (part < PARTS && !ch_item_is(&key, part_names[part]))
            part++;
        ch_cursor_t value = *cursor;
        if (part == PART_ROWS && same_part(value, before, part))
            cursor->at += before->sizes[part];
        else if (!ch_cursor_skip(cursor, NULL))
            return "not a map";
        decoder->strange |= part == PARTS;
        if (part == PARTS)
            continue;
        if (table->parts[part].at)
            return "a key is given twice";
        table->parts[part] = value;
        table->sizes[part] = (size_t)(cursor->at - value.at);
    }
    for (int part = 0; part < PARTS; part++)
        if (!table->parts[part].at)
            return "name, labels, fields, rows, times or values is missing";
    return NULL;
}

/* The count of an array part; the cursor moves to its first item. */
static bool
open_array(ch_cursor_t *cursor, uint32_t *count_out)
{
    ch_item_t item;
    if (!ch_cursor_next(cursor, &item) || item.kind != CH_ITEM_ARRAY)
        return false;
    *count_out = item.count;
    return true;
}

/* Label names: read, and put in order once for all rows. */
static const char *
read_label_names(ch_batch_decoder_t *decoder, table_t *table)
{
    ch_cursor_t cursor = table->parts[PART_LABELS];
    if (!open_array(&cursor, &table->label_count))
        return "labels is no array";
    if (table->label_count > CH_BATCH_LABELS_MAX) {
        ch_fault(&table->whole, CH_ERR_LIMIT, "too many labels");
        table->label_count = 0;
        return NULL;
    }
    for (uint32_t i = 0; i < table->label_count; i++) {
        ch_item_t item;
        if (!ch_cursor_next(&cursor, &item) || item.kind != CH_ITEM_STR)
            return "labels is no array of strings";
        uint32_t place = i;
        for (; place > 0 &&
               ch_bytes_compare(decoder->labels[place - 1].name, item.bytes) > 0;
             place--) {
            decoder->labels[place].name = decoder->labels[place - 1].name;
        }
        decoder->labels[place].name = item.bytes;
        for (uint32_t k = 0; k < i; k++)
            table->order[k] += table->order[k] >= place;
        table->order[i] = place;
    }
    return NULL;
}

static void
check_label_names(ch_batch_decoder_t *decoder, table_t *table)
{
    if (!ch_series_name_valid(table->name))
        ch_fault(&table->whole, CH_ERR_INVALID, "the name is not valid");
    for (uint32_t i = 0; i < table->label_count && !table->whole.code; i++) {
        ch_bytes_t name = decoder->labels[i].name;
        if (!ch_series_name_valid(name))
            ch_fault(&table->whole, CH_ERR_INVALID, "a label name is not valid");
        else if (ch_bytes_equal(name, ch_bytes_text("__name__")))
            ch_fault(&table->whole, CH_ERR_INVALID, "__name__ is not a label here");
        else if (i > 0 && ch_bytes_equal(name, decoder->labels[i - 1].name))
            ch_fault(&table->whole, CH_ERR_INVALID, "a label is given twice");
    }
}

/* Columns: opened and their lengths compared. */
static const char *
open_columns(ch_batch_decoder_t *decoder, table_t *table)
{
    uint32_t count;
    ch_fault_t fault = {0};
    ch_cursor_t cursor = table->parts[PART_VALUES];
    if (!open_array(&cursor, &count))
        return "values is no array of columns";
    if (count != table->fields)
        return "fields and values differ in length";
    table->columns = ch_batch_alloc(decoder, count, sizeof *table->columns);
    if (!table->columns)
        return NULL;
    for (uint32_t j = 0; j < count; j++) {
        if (!ch_batch_open_values(&cursor, &table->columns[j], &fault))
            return fault.what;
        if (table->columns[j].count != table->rows)
            return "a column and rows differ in length";
    }
    return NULL;
}

/* Name, labels, fields and rows as in the table before: take what was made of them. */
static bool
take_head(const table_t *before, table_t *table)
{
    static const int head[] = {PART_NAME, PART_LABELS, PART_FIELDS, PART_ROWS};
    if (!before->good)
        return false; /* of the one before the first nothing else is set */
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++)
        if (table->sizes[head[i]] != before->sizes[head[i]] ||
            !same_part(table->parts[head[i]], before, head[i]))
            return false;
    table->name = before->name;
    table->label_count = before->label_count;
    memcpy(table->order, before->order, sizeof table->order);
    table->rows = before->rows;
    table->fields = before->fields;
    table->rows_at = before->rows_at;
    table->names = before->names;
    table->labels = before->labels;
    table->key_bytes = before->key_bytes;
    return true;
}

/* The form of name, labels, fields and rows. Returns what is wrong with it. */
static const char *
open_head(ch_batch_decoder_t *decoder, table_t *table)
{
    ch_item_t item;
    ch_cursor_t at = table->parts[PART_NAME];
    if (!ch_cursor_next(&at, &item) || item.kind != CH_ITEM_STR)
        return "name is no string";
    table->name = item.bytes;
    const char *what = read_label_names(decoder, table);
    if (what)
        return what;
    check_label_names(decoder, table);
    at = table->parts[PART_FIELDS];
    if (!open_array(&at, &table->fields))
        return "fields is no array";
    table->rows_at = table->parts[PART_ROWS];
    return open_array(&table->rows_at, &table->rows) ? NULL : "rows is no array";
}

/* The form of the table; content comes later. Returns what is wrong with it. */
static const char *
open_table(ch_batch_decoder_t *decoder, const table_t *before, table_t *table)
{
    ch_fault_t fault = {0};
    const char *what = take_head(before, table) ? NULL : open_head(decoder, table);
    if (what)
        return what;
    ch_cursor_t at = table->parts[PART_TIMES];
    if (!ch_batch_open_times(decoder, &at, true, &table->times, &fault))
        return fault.what;
    decoder->strange |= table->times.strange;
    if (!table->times.any && table->times.count != table->rows)
        return "times and rows differ in length";
    if (!ch_batch_count_cells(decoder, table->rows, table->fields))
        return NULL;
    return open_columns(decoder, table);
}

/* name_field of every field. The first fault goes to *fault, its field then has no name. */
static bool
join_names(ch_batch_decoder_t *decoder, table_t *table, ch_fault_t *fault)
{
    ch_cursor_t cursor = table->parts[PART_FIELDS];
    uint32_t count = 0;
    open_array(&cursor, &count);
    table->names = ch_batch_alloc(decoder, count, sizeof *table->names);
    if (!table->names)
        return false;
    for (uint32_t j = 0; j < count; j++) {
        ch_cursor_t start = cursor;
        ch_fault_t bad = {0};
        ch_item_t item;
        table->names[j] = (ch_bytes_t){0};
        bool text = ch_cursor_next(&cursor, &item) && item.kind == CH_ITEM_STR;
        if (!text) {
            cursor = start;
            ch_cursor_skip(&cursor, NULL);
            ch_fault(&bad, CH_ERR_INVALID, "a field name is no string");
        } else if (!ch_batch_join_name(decoder, table->name, item.bytes, &table->names[j],
                                       &bad)) {
            if (decoder->no_memory)
                return false;
            table->names[j] =
                ch_bytes(bad.code == CH_ERR_LIMIT ? item.bytes.data : NULL, 0);
        }
        if (bad.code && !fault->code)
            *fault = bad;
        if (!ch_batch_count_key(decoder, table->names[j].size))
            return false;
    }
    return true;
}

/* The values of one row, in sorted order, into decoder->labels; the cursor moves on. */
static bool
read_row(ch_batch_decoder_t *decoder, const table_t *table, ch_cursor_t *cursor,
         ch_fault_t *fault)
{
    ch_cursor_t start = *cursor;
    ch_item_t item;
    if (!ch_cursor_next(cursor, &item) || item.kind != CH_ITEM_ARRAY ||
        item.count != table->label_count)
        goto bad;
    for (uint32_t i = 0; i < table->label_count; i++) {
        ch_label_t *label = &decoder->labels[table->order[i]];
        if (ch_cursor_str(cursor, &label->value))
            continue;
        if (!ch_cursor_next(cursor, &item) ||
            (item.kind != CH_ITEM_STR && item.kind != CH_ITEM_NIL))
            goto bad;
        label->value = item.kind == CH_ITEM_STR ? item.bytes : (ch_bytes_t){0};
    }
    return true;
bad:
    *cursor = start;
    ch_cursor_skip(cursor, NULL);
    return ch_fault(fault, CH_ERR_INVALID,
                    "a row is no array of label values, one for each label");
}

static bool
format_row(ch_batch_decoder_t *decoder, const table_t *table, ch_cursor_t *cursor,
           ch_bytes_t *labels_out, ch_fault_t *fault)
{
    return read_row(decoder, table, cursor, fault) &&
           ch_batch_write_labels(decoder, decoder->labels, table->label_count, labels_out,
                                 fault);
}

/* Label texts of all rows. */
static bool
format_rows(ch_batch_decoder_t *decoder, table_t *table, ch_bytes_t *labels,
            ch_fault_t *fault)
{
    ch_cursor_t cursor = table->rows_at;
    for (uint32_t i = 0; i < table->rows && !fault->code; i++) {
        labels[i] = (ch_bytes_t){0};
        if (!format_row(decoder, table, &cursor, &labels[i], fault))
            return fault->code != CH_OK;
        if (!ch_batch_count_key(decoder, labels[i].size))
            return false;
    }
    return true;
}

/* Is the longest name with the longest labels a key that is short enough? */
static bool
keys_fit(const ch_batch_decoder_t *decoder, const ch_batch_block_t *block)
{
    size_t name = 0, labels = 0;
    for (uint32_t j = 0; j < block->fields; j++)
        name = block->names[j].size > name ? block->names[j].size : name;
    for (uint32_t i = 0; i < block->rows; i++)
        labels = block->labels[i].size > labels ? block->labels[i].size : labels;
    return name + (labels ? labels + 2 : 0) <= decoder->limits.key_bytes;
}

/* Some keys are too long; true when all of them are of cells without a point. */
static bool
long_keys_are_nil(ch_batch_decoder_t *decoder, const ch_batch_block_t *block,
                  uint32_t index)
{
    int64_t point = decoder->batch.points;
    for (uint32_t i = 0; i < block->rows; i++)
        for (uint32_t j = 0; j < block->fields; j++) {
            if (ch_values_at(&block->values[j], i).type == CH_VALUE_NONE)
                continue;
            if (ch_series_key_size(block->names[j], block->labels[i]) >
                decoder->limits.key_bytes)
                return ch_batch_refuse(decoder, CH_ERR_LIMIT, point,
                                       "tables[%u]: a canonical key is too long", index);
            point++;
        }
    return true;
}

/* The value at row i of a column; an array's cursor moves on. */
static bool
cell_value(ch_batch_column_t *column, uint32_t i, ch_value_t *value_out,
           ch_fault_t *fault)
{
    if (column->array)
        return ch_batch_read_value(&column->cursor, value_out, fault);
    *value_out = ch_values_at(&column->values, i);
    return true;
}

/* What is wrong with cell (i, j), if anything. `row`: the fault of the row as such. */
static ch_fault_t
cell_fault(ch_batch_decoder_t *decoder, const table_t *table, uint32_t field,
           ch_bytes_t labels, ch_fault_t row, ch_fault_t value)
{
    ch_fault_t fault = {0};
    if (table->whole.code)
        return table->whole;
    if (row.code)
        return row;
    ch_bytes_t name = table->names[field];
    if (name.size == 0 && !name.data)
        ch_fault(&fault, CH_ERR_INVALID, "a field name is not valid");
    else if (name.size == 0 ||
             ch_series_key_size(name, labels) > decoder->limits.key_bytes)
        ch_fault(&fault, CH_ERR_LIMIT, "a canonical key is too long");
    return fault.code ? fault : value;
}

/* Is the time of row i bad? An array's cursor moves on. */
static ch_fault_t
row_time_fault(const table_t *table, uint32_t i, ch_cursor_t *times_at)
{
    ch_fault_t fault = {0};
    ch_cursor_t at = *times_at;
    ch_item_t item;
    int64_t time;
    if (!table->times.array)
        return table->times_fault.code && i >= table->times_fault.at ? table->times_fault
                                                                     : fault;
    ch_cursor_skip(times_at, NULL);
    if (!ch_cursor_next(&at, &item) || !ch_item_time(&item, &time))
        ch_fault(&fault, CH_ERR_INVALID, "a time is no int64 nanoseconds");
    return fault;
}

/* Find the first bad point and refuse the batch for it; `other` when no point is bad. */
static bool
table_blame(ch_batch_decoder_t *decoder, table_t *table, uint32_t index, ch_fault_t other)
{
    ch_cursor_t rows_at = table->rows_at, times_at = table->times.cursor;
    int64_t point = decoder->batch.points;
    for (uint32_t i = 0; i < table->rows; i++) {
        ch_fault_t row = {0}, time = row_time_fault(table, i, &times_at);
        ch_bytes_t labels = {0};
        if (!format_row(decoder, table, &rows_at, &labels, &row) && !row.code)
            return false;
        if (labels.data) /* only its size is needed from here on */
            ch_scratch_trim(&decoder->scratch, labels.data, 0);
        for (uint32_t j = 0; j < table->fields; j++) {
            ch_value_t value = {.type = CH_VALUE_INT};
            ch_fault_t bad = {0};
            if (cell_value(&table->columns[j], i, &value, &bad) &&
                value.type == CH_VALUE_NONE)
                continue;
            bad = cell_fault(decoder, table, j, labels, row.code ? row : time, bad);
            if (bad.code)
                return ch_batch_refuse(decoder, bad.code, point, "tables[%u]: %s", index,
                                       bad.what);
            point++;
        }
    }
    return ch_batch_refuse(decoder, other.code, -1, "tables[%u]: %s", index, other.what);
}

/* Names and label texts, unless they came with the head. False: no memory, a limit, or *fault. */
static bool
load_keys(ch_batch_decoder_t *decoder, table_t *table, ch_fault_t *fault)
{
    if (table->labels)
        return ch_batch_count_key(decoder, table->key_bytes);
    uint64_t key_bytes = decoder->key_bytes;
    table->labels = ch_batch_alloc(decoder, table->rows, sizeof *table->labels);
    if (!table->labels || !join_names(decoder, table, fault))
        return false;
    if (table->times_fault.code && !fault->code)
        *fault = table->times_fault;
    if (fault->code || !format_rows(decoder, table, table->labels, fault))
        return false;
    table->key_bytes = decoder->key_bytes - key_bytes;
    return true;
}

/* Everything a block needs, as columns. False: no memory, a limit, or *fault. */
static bool
load_table(ch_batch_decoder_t *decoder, table_t *table, ch_batch_block_t *block,
           ch_fault_t *fault)
{
    *fault = table->whole;
    ch_values_t *values = ch_batch_alloc(decoder, table->fields, sizeof *values);
    if (!values ||
        !ch_batch_load_times(decoder, &table->times, table->rows, &block->times,
                             &table->times_fault) ||
        !load_keys(decoder, table, fault))
        return false;
    if (table->times_fault.code && !fault->code)
        *fault = table->times_fault;
    for (uint32_t j = 0; j < table->fields && !fault->code; j++)
        if (!ch_batch_load_values(decoder, &table->columns[j], &values[j],
                                  &table->none_count, fault))
            return false;
    block->kind = CH_BLOCK_TABLE;
    block->rows = table->rows;
    block->fields = table->fields;
    block->names = table->names;
    block->labels = table->labels;
    block->values = values;
    return !fault->code;
}

/* `before` is the table before, `table` becomes this one. */
static bool
decode_table(ch_batch_decoder_t *decoder, ch_cursor_t *cursor, uint32_t index,
             const table_t *before, table_t *table)
{
    ch_batch_block_t block = {0};
    ch_fault_t fault = {0};
    const char *what = find_parts(decoder, cursor, before, table);
    if (!what)
        what = open_table(decoder, before, table);
    if (what)
        return ch_batch_refuse(decoder, CH_ERR_INVALID, -1, "tables[%u]: %s", index,
                               what);
    if (ch_batch_refused(decoder))
        return false;
    if (!load_table(decoder, table, &block, &fault))
        return fault.code && table_blame(decoder, table, index, fault);
    table->good = keys_fit(decoder, &block);
    if (!table->good && !long_keys_are_nil(decoder, &block, index))
        return false;
    uint64_t points = (uint64_t)table->rows * table->fields - table->none_count;
    if (!ch_batch_count_points(decoder, points))
        return false;
    if (points == 0)
        return true;
    ch_batch_block_t *place = ch_batch_add_block(decoder);
    if (place)
        *place = block;
    return place != NULL;
}

bool
ch_batch_decode_tables(ch_batch_decoder_t *decoder, ch_cursor_t *cursor)
{
    ch_item_t item;
    table_t tables[2]; /* this one and the one before */
    tables[1].good = false;
    if (!ch_cursor_next(cursor, &item) || item.kind != CH_ITEM_ARRAY)
        return ch_batch_refuse(decoder, CH_ERR_INVALID, -1, "tables is no array");
    for (uint32_t i = 0; i < item.count; i++) {
        table_t *table = &tables[i % 2], *before = &tables[1 - i % 2];
        memset(table, 0, sizeof *table);
        if (!decode_table(decoder, cursor, i, before, table))
            return false;
    }
    return true;
}
