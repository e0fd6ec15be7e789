/* batch_points.c - the easy shapes of a batch: `points` and `rows`.
 *
 * Rows    Adjacent rows of one name and the same fields are what a poll loop sends. They are
 *         gathered as cells, row by row, and turned into one TABLE block of columns when a row
 *         with another name or other fields comes: downstream, a table costs a fraction.
 * Again   A poll loop names its hosts in the same order, round after round. `repeats` says which row the
 *         next one would repeat; labels that stand there byte for byte are not read again.
 */
#include "batch_reader.h"

#include "cursor_fast.h"

#include "ch/alloc.h"

#include <stdlib.h>

/* ---- points */

static bool
read_point(ch_batch_decoder_t *decoder, ch_cursor_t *cursor, ch_bytes_t *name_out,
           ch_bytes_t *labels_out, int64_t *time_out, ch_value_t *value_out,
           ch_fault_t *fault)
{
    ch_item_t item;
    if (cursor->at < cursor->end && cursor->at[0] == 0x93)
        cursor->at++;
    else if (!ch_cursor_next(cursor, &item) || item.kind != CH_ITEM_ARRAY ||
             item.count != 3)
        return ch_fault(fault, CH_ERR_INVALID, "not [key, time, value]");
    if (!ch_batch_read_key(decoder, cursor, name_out, labels_out, fault) ||
        !ch_batch_read_time(decoder, cursor, time_out, fault) ||
        !ch_batch_read_value(cursor, value_out, fault))
        return false;
    return value_out->type != CH_VALUE_NONE ||
           ch_fault(fault, CH_ERR_INVALID, "the value is nil");
}

static bool
decode_points(ch_batch_decoder_t *decoder, ch_cursor_t *cursor, uint32_t count,
              ch_batch_block_t *block)
{
    ch_bytes_t *names = ch_batch_alloc(decoder, count, sizeof *names);
    ch_bytes_t *labels = ch_batch_alloc(decoder, count, sizeof *labels);
    uint8_t *times = ch_batch_alloc(decoder, count, 8);
    ch_values_t *values = ch_batch_alloc(decoder, 1, sizeof *values);
    ch_column_t column;
    if (!names || !labels || !times || !values ||
        !ch_column_init(decoder, &column, count))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        int64_t time;
        ch_value_t value;
        ch_fault_t fault = {0};
        if (!read_point(decoder, cursor, &names[i], &labels[i], &time, &value, &fault))
            return ch_batch_refuse(decoder, fault.code, i, "points[%u]: %s", i,
                                   fault.what);
        if (!ch_batch_count_key(decoder, names[i].size + labels[i].size) ||
            !ch_column_push(decoder, &column, value))
            return false;
        ch_store_i64(times + (size_t)i * 8, time);
    }
    *values = ch_column_values(&column);
    *block = (ch_batch_block_t){.kind = CH_BLOCK_POINTS,
                                .rows = count,
                                .fields = 1,
                                .names = names,
                                .labels = labels,
                                .times = {.form = CH_TIMES_PACKED, .packed = times},
                                .values = values};
    return true;
}

bool
ch_batch_decode_points(ch_batch_decoder_t *decoder, ch_cursor_t *cursor)
{
    ch_item_t item;
    if (!ch_cursor_next(cursor, &item) || item.kind != CH_ITEM_ARRAY)
        return ch_batch_refuse(decoder, CH_ERR_INVALID, -1, "points is no array");
    if (item.count == 0)
        return true;
    if (!ch_batch_count_points(decoder, item.count))
        return false;
    ch_batch_block_t *block = ch_batch_add_block(decoder);
    return block && decode_points(decoder, cursor, item.count, block);
}

/* ---- rows */

/* A run of rows with one name and the same fields. Arrays grow and stay for the next batch. */
struct ch_batch_rows {
    ch_bytes_t name;
    uint32_t field_count;
    ch_bytes_t *fields; /* as sent */
    size_t field_capacity;
    ch_bytes_t *names; /* name_field, in scratch */
    size_t name_bytes_max;
    uint32_t row_count;
    uint32_t none_count;
    ch_bytes_t *labels; /* of each row */
    ch_bytes_t *raws;   /* the same, as they stand in the frame */
    uint32_t repeats;   /* row whose labels are expected next */
    int64_t *times;
    size_t row_capacity;
    ch_value_t *cells; /* row by row */
    size_t cell_capacity;
};

/* A row taken apart. */
typedef struct row {
    ch_bytes_t name;
    ch_cursor_t labels;
    ch_cursor_t time;
    ch_cursor_t fields; /* at the first pair */
    uint32_t field_count;
} row_t;

void
ch_batch_rows_destroy(ch_batch_rows_t **rows_p)
{
    ch_batch_rows_t *rows = ch_take(rows_p);
    if (!rows)
        return;
    free(rows->fields);
    free(rows->labels);
    free(rows->raws);
    free(rows->times);
    free(rows->cells);
    free(rows);
}

size_t
ch_batch_rows_bytes(const ch_batch_rows_t *rows)
{
    if (!rows)
        return 0;
    return rows->field_capacity * sizeof *rows->fields +
           rows->row_capacity *
               (sizeof *rows->labels + sizeof *rows->raws + sizeof *rows->times) +
           rows->cell_capacity * sizeof *rows->cells;
}

/* Make *array hold `count` items, doubling. */
static bool
grow(ch_batch_decoder_t *decoder, void *array, size_t *capacity, size_t count,
     size_t size)
{
    if (count <= *capacity)
        return true;
    size_t wanted = *capacity ? *capacity * 2 : 64;
    wanted = wanted < count ? count : wanted;
    void *old;
    memcpy(&old, array, sizeof old);
    void *grown = realloc(old, wanted * size);
    if (!grown) {
        decoder->no_memory = true;
        return false;
    }
    memcpy(array, &grown, sizeof grown);
    *capacity = wanted;
    return true;
}

static bool
grow_rows(ch_batch_decoder_t *decoder, ch_batch_rows_t *rows)
{
    size_t capacity = rows->row_capacity, count = rows->row_count + 1u;
    size_t cells = (size_t)count * rows->field_count;
    if (!grow(decoder, &rows->labels, &capacity, count, sizeof *rows->labels))
        return false;
    capacity = rows->row_capacity;
    if (!grow(decoder, &rows->raws, &capacity, count, sizeof *rows->raws))
        return false;
    capacity = rows->row_capacity;
    if (!grow(decoder, &rows->times, &capacity, count, sizeof *rows->times))
        return false;
    rows->row_capacity = capacity;
    return grow(decoder, &rows->cells, &rows->cell_capacity, cells, sizeof *rows->cells);
}

/* One column of the run. */
static bool
take_column(ch_batch_decoder_t *decoder, const ch_batch_rows_t *rows, uint32_t field,
            ch_values_t *values_out)
{
    ch_column_t column;
    if (!ch_column_init(decoder, &column, rows->row_count))
        return false;
    for (uint32_t i = 0; i < rows->row_count; i++)
        if (!ch_column_push(decoder, &column,
                            rows->cells[(size_t)i * rows->field_count + field]))
            return false;
    *values_out = ch_column_values(&column);
    return true;
}

/* The run becomes a TABLE block (none when all of it is nil). */
static bool
finish_run(ch_batch_decoder_t *decoder, ch_batch_rows_t *rows)
{
    uint32_t row_count = rows->row_count, field_count = rows->field_count;
    if (rows->none_count == row_count * field_count) {
        rows->row_count = 0;
        return true;
    }
    ch_bytes_t *labels = ch_batch_alloc(decoder, row_count, sizeof *labels);
    uint8_t *times = ch_batch_alloc(decoder, row_count, 8);
    ch_values_t *values = ch_batch_alloc(decoder, field_count, sizeof *values);
    ch_batch_block_t *block = ch_batch_add_block(decoder);
    if (!labels || !times || !values || !block)
        return false;
    memcpy(labels, rows->labels, row_count * sizeof *labels);
    memcpy(times, rows->times, (size_t)row_count * 8);
    for (uint32_t j = 0; j < field_count; j++)
        if (!take_column(decoder, rows, j, &values[j]))
            return false;
    *block = (ch_batch_block_t){.kind = CH_BLOCK_TABLE,
                                .rows = row_count,
                                .fields = field_count,
                                .names = rows->names,
                                .labels = labels,
                                .times = {.form = CH_TIMES_PACKED, .packed = times},
                                .values = values};
    rows->row_count = 0;
    return true;
}

/* Take a row apart without judging its content. */
static bool
open_row(ch_cursor_t *cursor, row_t *row_out)
{
    ch_item_t item;
    ch_cursor_t inside = *cursor;
    if (!ch_cursor_skip(cursor, NULL) || !ch_cursor_next(&inside, &item) ||
        item.kind != CH_ITEM_ARRAY || item.count != 4 ||
        !ch_cursor_next(&inside, &item) || item.kind != CH_ITEM_STR)
        return false;
    row_out->name = item.bytes;
    row_out->labels = inside;
    if (!ch_cursor_skip(&inside, NULL))
        return false;
    row_out->time = inside;
    if (!ch_cursor_skip(&inside, NULL) || !ch_cursor_next(&inside, &item) ||
        item.kind != CH_ITEM_MAP)
        return false;
    row_out->fields = inside;
    row_out->field_count = item.count;
    return true;
}

/* Points of a row among its first `fields` pairs. */
static uint32_t
row_points(const row_t *row, uint32_t fields)
{
    ch_cursor_t cursor = row->fields;
    uint32_t points = 0;
    for (uint32_t j = 0; j < fields; j++) {
        ch_cursor_skip(&cursor, NULL);
        points += cursor.at < cursor.end && cursor.at[0] != 0xc0;
        ch_cursor_skip(&cursor, NULL);
    }
    return points;
}

/* A fault of the row as such, not of one field: its first point is to blame. */
#define WHOLE_ROW UINT32_MAX

/* Refuse for a fault at one field of a row, or of the whole row. */
static bool
refuse_row(ch_batch_decoder_t *decoder, const row_t *row, uint32_t index, uint32_t field,
           const ch_fault_t *fault)
{
    if (decoder->no_memory)
        return false;
    uint32_t before = field == WHOLE_ROW ? 0 : row_points(row, field);
    uint32_t after = row_points(row, field == WHOLE_ROW ? row->field_count : field + 1);
    int64_t blame = after > before ? (int64_t)decoder->batch.points + before : -1;
    return ch_batch_refuse(decoder, fault->code, blame, "rows[%u]: %s", index,
                           fault->what);
}

/* Does the row go on the present run? */
static bool
row_fits(const ch_batch_rows_t *rows, const row_t *row)
{
    if (rows->row_count == 0 || row->field_count != rows->field_count ||
        !ch_bytes_equal(row->name, rows->name))
        return false;
    ch_cursor_t cursor = row->fields;
    for (uint32_t j = 0; j < row->field_count; j++) {
        ch_item_t key;
        if (!ch_cursor_next(&cursor, &key) || key.kind != CH_ITEM_STR ||
            !ch_bytes_equal(key.bytes, rows->fields[j]) || !ch_cursor_skip(&cursor, NULL))
            return false;
    }
    return true;
}

typedef struct field_place {
    ch_bytes_t field;
    uint32_t at;
} field_place_t;

static int
compare_places(const void *a, const void *b)
{
    const field_place_t *x = a, *y = b;
    int order = ch_bytes_compare(x->field, y->field);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

/* The first field that stands in the row a second time; field_count when there is none. */
static uint32_t
repeated_field(ch_batch_decoder_t *decoder, const ch_batch_rows_t *rows)
{
    uint32_t count = rows->field_count, first = count;
    field_place_t *places = ch_batch_alloc(decoder, count, sizeof *places);
    if (!places)
        return 0;
    for (uint32_t j = 0; j < count; j++)
        places[j] = (field_place_t){rows->fields[j], j};
    qsort(places, count, sizeof *places, compare_places);
    for (uint32_t j = 1; j < count; j++)
        if (ch_bytes_equal(places[j - 1].field, places[j].field) && places[j].at < first)
            first = places[j].at;
    ch_scratch_trim(&decoder->scratch, places, 0);
    return first;
}

/* Open a run with this row's name and fields. *field_out: where a fault is. */
static bool
start_run(ch_batch_decoder_t *decoder, ch_batch_rows_t *rows, const row_t *row,
          uint32_t *field_out, ch_fault_t *fault)
{
    rows->name = row->name;
    rows->field_count = row->field_count;
    rows->none_count = 0;
    rows->name_bytes_max = 0;
    rows->repeats = 0;
    *field_out = WHOLE_ROW;
    if (!ch_series_name_valid(row->name))
        return ch_fault(fault, CH_ERR_INVALID, "the name is not valid");
    if (!grow(decoder, &rows->fields, &rows->field_capacity, row->field_count,
              sizeof *rows->fields))
        return false;
    rows->names = ch_batch_alloc(decoder, row->field_count, sizeof *rows->names);
    if (!rows->names)
        return false;
    ch_cursor_t cursor = row->fields;
    for (uint32_t j = 0; j < row->field_count; j++) {
        ch_item_t key;
        *field_out = j;
        if (!ch_cursor_next(&cursor, &key) || key.kind != CH_ITEM_STR ||
            !ch_cursor_skip(&cursor, NULL))
            return ch_fault(fault, CH_ERR_INVALID, "a field name is no string");
        rows->fields[j] = key.bytes;
        if (!ch_batch_join_name(decoder, row->name, key.bytes, &rows->names[j], fault) ||
            !ch_batch_count_key(decoder, rows->names[j].size))
            return false;
        if (rows->names[j].size > rows->name_bytes_max)
            rows->name_bytes_max = rows->names[j].size;
    }
    *field_out = repeated_field(decoder, rows);
    if (decoder->no_memory)
        return false;
    return *field_out == row->field_count ||
           ch_fault(fault, CH_ERR_INVALID, "a field is given twice");
}

/* Values of a row into the run's cells. *field_out: where a fault is. */
static bool
read_cells(ch_batch_decoder_t *decoder, ch_batch_rows_t *rows, const row_t *row,
           ch_bytes_t labels, uint32_t *field_out, uint32_t *none_out, ch_fault_t *fault)
{
    ch_value_t *cells = rows->cells + (size_t)rows->row_count * rows->field_count;
    ch_cursor_t cursor = row->fields;
    for (uint32_t j = 0; j < row->field_count; j++) {
        *field_out = j;
        if (!ch_cursor_skip(&cursor, NULL) ||
            !ch_batch_read_value(&cursor, &cells[j], fault))
            return false;
        if (cells[j].type == CH_VALUE_NONE)
            ++*none_out;
        else if (ch_series_key_size(rows->names[j], labels) > decoder->limits.key_bytes)
            return ch_fault(fault, CH_ERR_LIMIT, "a canonical key is too long");
    }
    return true;
}

/* Bytes between two places of a cursor. */
static ch_bytes_t
walked(ch_cursor_t from, ch_cursor_t to)
{
    return ch_bytes(from.at, (size_t)(to.at - from.at));
}

static void
add_row(ch_batch_rows_t *rows, ch_bytes_t labels, ch_bytes_t raw, int64_t time,
        uint32_t none)
{
    rows->labels[rows->row_count] = labels;
    rows->raws[rows->row_count] = raw;
    rows->times[rows->row_count] = time;
    rows->row_count++;
    rows->none_count += none;
}

static bool
decode_row(ch_batch_decoder_t *decoder, ch_batch_rows_t *rows, const row_t *row,
           uint32_t index)
{
    ch_fault_t fault = {0};
    ch_bytes_t labels;
    int64_t time;
    ch_cursor_t labels_at = row->labels, time_at = row->time;
    uint32_t field = WHOLE_ROW, none = 0;
    if (!ch_batch_count_cells(decoder, 1, row->field_count))
        return false;
    if (!ch_batch_read_labels(decoder, &labels_at, &labels, &fault) ||
        !ch_batch_read_time(decoder, &time_at, &time, &fault))
        return refuse_row(decoder, row, index, WHOLE_ROW, &fault);
    if (!row_fits(rows, row)) {
        if (rows->row_count && !finish_run(decoder, rows))
            return false;
        if (!start_run(decoder, rows, row, &field, &fault))
            return fault.code ? refuse_row(decoder, row, index, field, &fault) : false;
    }
    if (!ch_batch_count_key(decoder, labels.size) || !grow_rows(decoder, rows))
        return false;
    if (!read_cells(decoder, rows, row, labels, &field, &none, &fault))
        return refuse_row(decoder, row, index, field, &fault);
    add_row(rows, labels, walked(row->labels, labels_at), time, none);
    return ch_batch_count_points(decoder, row->field_count - none);
}

/* Do the labels of row `k` stand at the cursor? A map says itself where it ends. */
static bool
labels_stand(const ch_batch_rows_t *rows, uint32_t k, const ch_cursor_t *cursor)
{
    if (k >= rows->row_count || rows->raws[k].size > (size_t)(cursor->end - cursor->at))
        return false;
#ifdef CH_FAULT_BATCH_LABELS_BY_SIZE
    return true;
#endif
    return memcmp(cursor->at, rows->raws[k].data, rows->raws[k].size) == 0;
}

/* The labels of the next row: those of the row expected, those of the first (a new round), or read. */
static bool
read_row_labels(ch_batch_decoder_t *decoder, ch_batch_rows_t *rows, ch_cursor_t *cursor,
                ch_bytes_t *labels_out, ch_fault_t *fault)
{
    uint32_t k = labels_stand(rows, rows->repeats, cursor) ? rows->repeats : 0;
    if (k == 0 && !labels_stand(rows, 0, cursor)) {
        rows->repeats = 0;
        return ch_batch_read_labels(decoder, cursor, labels_out, fault);
    }
    *labels_out = rows->labels[k];
    cursor->at += rows->raws[k].size;
    rows->repeats = k + 1;
    return true;
}

/* A row that goes on the present run and has no fault: taken in one walk. False, with nothing
 * changed but scratch: look closer. */
static bool
take_fitting_row(ch_batch_decoder_t *decoder, ch_batch_rows_t *rows, ch_cursor_t *cursor,
                 uint32_t *none_out)
{
    ch_cursor_t walk = *cursor, labels_at;
    ch_bytes_t labels, raw;
    int64_t time;
    ch_bytes_t name;
    ch_item_t item;
    ch_fault_t fault = {0};
    if (rows->row_count == 0 || walk.at == walk.end || *walk.at++ != 0x94 ||
        !ch_cursor_str(&walk, &name) || !ch_bytes_equal(name, rows->name))
        return false;
    labels_at = walk;
    if (!read_row_labels(decoder, rows, &walk, &labels, &fault))
        return false;
    raw = walked(labels_at, walk);
    if (!ch_batch_read_time(decoder, &walk, &time, &fault) ||
        !ch_cursor_next(&walk, &item) || item.kind != CH_ITEM_MAP ||
        item.count != rows->field_count || !grow_rows(decoder, rows))
        return false;
    ch_value_t *cells = rows->cells + (size_t)rows->row_count * rows->field_count;
    for (uint32_t j = 0; j < rows->field_count; j++) {
        if (!ch_cursor_str(&walk, &name) || !ch_bytes_equal(name, rows->fields[j]) ||
            !ch_batch_read_value(&walk, &cells[j], &fault))
            return false;
        *none_out += cells[j].type == CH_VALUE_NONE;
    }
    if (rows->name_bytes_max + labels.size + 2 > decoder->limits.key_bytes)
        return false;
    *cursor = walk;
    add_row(rows, labels, raw, time, *none_out);
    return true;
}

/* One entry of `rows`; the cursor moves on. */
static bool
take_row(ch_batch_decoder_t *decoder, ch_batch_rows_t *rows, ch_cursor_t *cursor,
         uint32_t index)
{
    uint32_t none = 0;
    row_t row;
    if (take_fitting_row(decoder, rows, cursor, &none)) {
        return ch_batch_count_cells(decoder, 1, rows->field_count) &&
               ch_batch_count_key(decoder, rows->labels[rows->row_count - 1].size) &&
               ch_batch_count_points(decoder, rows->field_count - none);
    }
    if (decoder->no_memory)
        return false;
    if (!open_row(cursor, &row))
        return ch_batch_refuse(decoder, CH_ERR_INVALID, -1,
                               "rows[%u] is not [name, labels, time, fields]", index);
    return decode_row(decoder, rows, &row, index);
}

bool
ch_batch_decode_rows(ch_batch_decoder_t *decoder, ch_cursor_t *cursor)
{
    ch_item_t item;
    if (!ch_cursor_next(cursor, &item) || item.kind != CH_ITEM_ARRAY)
        return ch_batch_refuse(decoder, CH_ERR_INVALID, -1, "rows is no array");
    if (!decoder->rows)
        decoder->rows = calloc(1, sizeof *decoder->rows);
    ch_batch_rows_t *rows = decoder->rows;
    if (!rows) {
        decoder->no_memory = true;
        return false;
    }
    rows->row_count = 0;
    for (uint32_t i = 0; i < item.count; i++) {
        if (!take_row(decoder, rows, cursor, i))
            return false;
    }
    return rows->row_count == 0 || finish_run(decoder, rows);
}
