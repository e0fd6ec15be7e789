#include "support/reference_batch.h"

#include "ch/series_key.h"

#include <inttypes.h>
#include <msgpack.h>
#include <msgpack/timestamp.h>
#include <stdio.h>
#include <stdlib.h>

enum { LABELS_GIVEN_MAX = 256, CELLS_PER_POINT = 8, DEPTH_MAX = 8, STRING_MAX = 65536 };

__extension__ typedef __int128 wide_t; /* so that nothing overflows here */

typedef struct label {
    ch_bytes_t name, value;
} label_t;

typedef struct reading {
    const ch_limits_t *limits;
    int64_t now_ns;
    ch_buffer_t *out;
    uint64_t points, cells;
} reading_t;

/* ---- printing a point, for both sides */

static void
print_point(ch_buffer_t *out, ch_bytes_t name, ch_bytes_t labels, int64_t time,
            ch_value_t value)
{
    char text[96];
    uint64_t bits = 0;
    ch_buffer_append(out, name.data, name.size);
    ch_buffer_append(out, "{", 1);
    ch_buffer_append(out, labels.data, labels.size);
    if (value.type == CH_VALUE_BOOL)
        bits = value.boolean;
    else if (value.type == CH_VALUE_STRING)
        bits = value.string.size;
    else
        memcpy(&bits, &value.i64, 8);
    int size = snprintf(text, sizeof text, "} %" PRId64 " %d %016" PRIx64 " ", time,
                        (int)value.type, bits);
    ch_buffer_append(out, text, (size_t)size);
    if (value.type == CH_VALUE_STRING)
        ch_buffer_append(out, value.string.data, value.string.size);
    ch_buffer_append(out, "\n", 1);
}

void
reference_print(const ch_batch_t *batch, ch_buffer_t *out)
{
    for (uint32_t b = 0; b < batch->block_count; b++) {
        const ch_batch_block_t *block = &batch->blocks[b];
        for (uint32_t i = 0; i < block->rows; i++)
            for (uint32_t j = 0; j < block->fields; j++) {
                ch_value_t value = ch_values_at(&block->values[j], i);
                if (value.type == CH_VALUE_NONE)
                    continue;
                print_point(out, block->names[block->kind == CH_BLOCK_POINTS ? i : j],
                            block->labels[block->kind == CH_BLOCK_SERIES ? 0 : i],
                            ch_times_at(&block->times, i), value);
            }
    }
}

/* ---- small things */

static bool
is(const msgpack_object *object, const char *text)
{
    return object->type == MSGPACK_OBJECT_STR && object->via.str.size == strlen(text) &&
           memcmp(object->via.str.ptr, text, strlen(text)) == 0;
}

static bool
is_array(const msgpack_object *object)
{
    return object && object->type == MSGPACK_OBJECT_ARRAY;
}

static ch_bytes_t
str(const msgpack_object *object)
{
    return ch_bytes(object->via.str.ptr ? object->via.str.ptr : "", object->via.str.size);
}

/* The value of a key; NULL when absent or nil. *twice is set when it stands there twice. */
static const msgpack_object *
get(const msgpack_object *map, const char *key, bool *twice)
{
    const msgpack_object *found = NULL;
    unsigned count = 0;
    for (uint32_t i = 0; i < map->via.map.size; i++)
        if (is(&map->via.map.ptr[i].key, key)) {
            const msgpack_object *value = &map->via.map.ptr[i].val;
            *twice |= count++ > 0;
            found = value->type != MSGPACK_OBJECT_NIL ? value : found;
        }
    return found;
}

static unsigned
depth_of(const msgpack_object *object)
{
    unsigned deepest = 0, depth;
    if (object->type == MSGPACK_OBJECT_ARRAY) {
        for (uint32_t i = 0; i < object->via.array.size; i++) {
            depth = depth_of(&object->via.array.ptr[i]);
            deepest = depth > deepest ? depth : deepest;
        }
        return deepest + 1;
    }
    if (object->type != MSGPACK_OBJECT_MAP)
        return 0;
    for (uint32_t i = 0; i < object->via.map.size; i++) {
        depth = depth_of(&object->via.map.ptr[i].key);
        deepest = depth > deepest ? depth : deepest;
        depth = depth_of(&object->via.map.ptr[i].val);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + 1;
}

static bool
read_int(const msgpack_object *object, int64_t *value_out)
{
    if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        *value_out = object->via.i64;
    else if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER &&
             object->via.u64 <= INT64_MAX)
        *value_out = (int64_t)object->via.u64;
    else
        return false;
    return true;
}

static bool
read_time(const msgpack_object *object, int64_t *time_out)
{
    msgpack_timestamp stamp;
    if (read_int(object, time_out))
        return true;
    if (object->type != MSGPACK_OBJECT_EXT || object->via.ext.type != -1 ||
        !msgpack_object_to_timestamp(object, &stamp) || stamp.tv_nsec > 999999999)
        return false;
    wide_t time = (wide_t)stamp.tv_sec * 1000000000 + stamp.tv_nsec;
    if (time > INT64_MAX || time < INT64_MIN)
        return false;
    *time_out = (int64_t)time;
    return true;
}

/* A value; nil gives NONE. */
static bool
read_value(const msgpack_object *object, ch_value_t *value_out)
{
    int64_t whole;
    if (read_int(object, &whole)) {
        *value_out = ch_value_int(whole);
        return true;
    }
    switch (object->type) {
    case MSGPACK_OBJECT_NIL:
        *value_out = (ch_value_t){.type = CH_VALUE_NONE};
        return true;
    case MSGPACK_OBJECT_BOOLEAN:
        *value_out = ch_value_bool(object->via.boolean);
        return true;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        *value_out = ch_value_float(object->via.f64);
        return true;
    case MSGPACK_OBJECT_STR:
    case MSGPACK_OBJECT_BIN:
        *value_out = ch_value_string(str(object));
        return object->via.str.size <= STRING_MAX;
    default:
        return false;
    }
}

/* ---- names and keys */

static bool
good_name(ch_bytes_t name)
{
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] < 32 || name.data[i] == 127 || strchr("{}\"=,", name.data[i]))
            return false;
    return name.size > 0 && ch_bytes_is_utf8(name);
}

static int
by_name(const void *a, const void *b)
{
    return ch_bytes_compare(((const label_t *)a)->name, ((const label_t *)b)->name);
}

/* Labels (values not escaped) to canonical text. */
static bool
write_labels(const reading_t *reading, label_t *labels, size_t count, ch_buffer_t *out)
{
    uint32_t present = 0;
    qsort(labels, count, sizeof *labels, by_name);
    for (size_t i = 0; i < count; i++) {
        if (!good_name(labels[i].name) ||
            ch_bytes_equal(labels[i].name, ch_bytes_text("__name__")) ||
            !ch_bytes_is_utf8(labels[i].value) ||
            (i > 0 && !by_name(&labels[i - 1], &labels[i])))
            return false;
        if (labels[i].value.size == 0)
            continue;
        if (labels[i].name.size + labels[i].value.size > reading->limits->key_bytes)
            return false;
        if (present++)
            ch_buffer_append(out, ",", 1);
        ch_buffer_append(out, labels[i].name.data, labels[i].name.size);
        ch_buffer_append(out, "=\"", 2);
        for (size_t k = 0; k < labels[i].value.size; k++) {
            char c = (char)labels[i].value.data[k];
            if (c == '"' || c == '\\' || c == '\n')
                ch_buffer_append(out, "\\", 1);
            c = c == '\n' ? 'n' : c;
            ch_buffer_append(out, &c, 1);
        }
        ch_buffer_append(out, "\"", 1);
    }
    return present <= reading->limits->labels;
}

static bool
key_fits(const reading_t *reading, size_t name, size_t labels)
{
    return name + (labels ? labels + 2 : 0) <= reading->limits->key_bytes;
}

/* A map of strings; `name_out` NULL: `__name__` is not allowed. */
static bool
read_label_map(const reading_t *reading, const msgpack_object *map, ch_bytes_t *name_out,
               ch_buffer_t *out)
{
    label_t labels[LABELS_GIVEN_MAX];
    size_t count = 0;
    bool named = false;
    if (map->type != MSGPACK_OBJECT_MAP || map->via.map.size > LABELS_GIVEN_MAX)
        return false;
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *pair = &map->via.map.ptr[i];
        if (pair->key.type != MSGPACK_OBJECT_STR || pair->val.type != MSGPACK_OBJECT_STR)
            return false;
        if (is(&pair->key, "__name__")) {
            if (!name_out || named)
                return false;
            named = true;
            *name_out = str(&pair->val);
            continue;
        }
        labels[count++] = (label_t){str(&pair->key), str(&pair->val)};
    }
    return (!name_out || (named && good_name(*name_out))) &&
           write_labels(reading, labels, count, out);
}

/* `name="value",...`: into labels, values unescaped into `memory` (as large as the text). */
static bool
split_labels(const char *at, const char *end, label_t *labels, size_t *count_out,
             char *memory)
{
    size_t count = 0;
    while (at < end) {
        const char *equals = memchr(at, '=', (size_t)(end - at));
        if (count == LABELS_GIVEN_MAX || !equals || equals + 1 == end || equals[1] != '"')
            return false;
        label_t *label = &labels[count++];
        label->name = ch_bytes(at, (size_t)(equals - at));
        label->value.data = (uint8_t *)memory;
        for (at = equals + 2;; at++) {
            if (at == end || *at == '\n')
                return false;
            if (*at == '"')
                break;
            char c = *at;
            if (c == '\\') {
                if (++at == end || (*at != 'n' && *at != '\\' && *at != '"'))
                    return false;
                c = *at == 'n' ? '\n' : *at;
            }
            *memory++ = c;
        }
        label->value.size = (size_t)((uint8_t *)memory - label->value.data);
        at++;
        if (at == end)
            break;
        if (*at != ',' || at + 1 == end)
            return false;
        at++;
    }
    *count_out = count;
    return true;
}

static bool
read_key_text(const reading_t *reading, ch_bytes_t key, ch_bytes_t *name_out,
              ch_buffer_t *out)
{
    label_t labels[LABELS_GIVEN_MAX];
    size_t count;
    const char *text = (const char *)key.data, *end = text + key.size;
    const char *brace = key.size ? memchr(text, '{', key.size) : NULL;
    *name_out = ch_bytes(text, brace ? (size_t)(brace - text) : key.size);
    if (!good_name(*name_out))
        return false;
    if (!brace)
        return true;
    if (end - brace < 2 || end[-1] != '}')
        return false;
    char *memory = malloc(key.size);
    bool fine = split_labels(brace + 1, end - 1, labels, &count, memory) &&
                count <= reading->limits->labels &&
                write_labels(reading, labels, count, out);
    free(memory);
    return fine;
}

static bool
read_key(const reading_t *reading, const msgpack_object *key, ch_bytes_t *name_out,
         ch_buffer_t *labels_out)
{
    bool fine = key->type == MSGPACK_OBJECT_STR
                    ? read_key_text(reading, str(key), name_out, labels_out)
                    : read_label_map(reading, key, name_out, labels_out);
    return fine && key_fits(reading, name_out->size, labels_out->size);
}

/* name_field into `out`. */
static bool
join(const reading_t *reading, ch_bytes_t name, const msgpack_object *field,
     ch_buffer_t *out)
{
    if (field->type != MSGPACK_OBJECT_STR || !good_name(str(field)))
        return false;
    ch_buffer_append(out, name.data, name.size);
    ch_buffer_append(out, "_", 1);
    ch_buffer_append(out, field->via.str.ptr, field->via.str.size);
    return out->size <= reading->limits->key_bytes;
}

static bool
emit(reading_t *reading, ch_bytes_t name, ch_bytes_t labels, int64_t time,
     ch_value_t value)
{
    reading->points++;
    if (reading->points > reading->limits->batch_points ||
        !key_fits(reading, name.size, labels.size))
        return false;
    print_point(reading->out, name, labels, time, value);
    return true;
}

static bool
count_cells(reading_t *reading, uint64_t rows, uint64_t fields)
{
    reading->cells += rows * (fields ? fields : 1);
    return fields <= reading->limits->batch_points &&
           reading->cells <= (uint64_t)reading->limits->batch_points * CELLS_PER_POINT;
}

/* ---- points and rows */

static bool
read_point(reading_t *reading, const msgpack_object *entry)
{
    if (!is_array(entry) || entry->via.array.size != 3)
        return false;
    const msgpack_object *parts = entry->via.array.ptr;
    ch_buffer_t labels = {0};
    ch_bytes_t name;
    ch_value_t value;
    int64_t time = reading->now_ns;
    bool fine = read_key(reading, &parts[0], &name, &labels) &&
                (parts[1].type == MSGPACK_OBJECT_NIL || read_time(&parts[1], &time)) &&
                read_value(&parts[2], &value) && value.type != CH_VALUE_NONE &&
                emit(reading, name, ch_buffer_bytes(&labels), time, value);
    ch_buffer_release(&labels);
    return fine;
}

static bool
read_fields(reading_t *reading, ch_bytes_t name, ch_bytes_t labels, int64_t time,
            const msgpack_object *fields)
{
    bool fine = good_name(name) && count_cells(reading, 1, fields->via.map.size);
    for (uint32_t j = 0; fine && j < fields->via.map.size; j++) {
        const msgpack_object_kv *pair = &fields->via.map.ptr[j];
        ch_buffer_t joined = {0};
        ch_value_t value;
        fine = join(reading, name, &pair->key, &joined) && read_value(&pair->val, &value);
        for (uint32_t k = 0; fine && k < j; k++)
            fine = !ch_bytes_equal(str(&fields->via.map.ptr[k].key), str(&pair->key));
        if (fine && value.type != CH_VALUE_NONE)
            fine = emit(reading, ch_buffer_bytes(&joined), labels, time, value);
        ch_buffer_release(&joined);
    }
    return fine;
}

static bool
read_row(reading_t *reading, const msgpack_object *entry)
{
    if (!is_array(entry) || entry->via.array.size != 4)
        return false;
    const msgpack_object *parts = entry->via.array.ptr;
    ch_buffer_t labels = {0};
    int64_t time = reading->now_ns;
    bool fine =
        parts[0].type == MSGPACK_OBJECT_STR && parts[3].type == MSGPACK_OBJECT_MAP &&
        read_label_map(reading, &parts[1], NULL, &labels) &&
        (parts[2].type == MSGPACK_OBJECT_NIL || read_time(&parts[2], &time)) &&
        read_fields(reading, str(&parts[0]), ch_buffer_bytes(&labels), time, &parts[3]);
    ch_buffer_release(&labels);
    return fine;
}

/* ---- columns */

/* The length of a column; -1 when it is none. `kinds`: which ext types. */
static int64_t
column_size(const msgpack_object *column, bool floats)
{
    if (column->type == MSGPACK_OBJECT_ARRAY)
        return column->via.array.size;
    if (column->type == MSGPACK_OBJECT_EXT &&
        (column->via.ext.type == 1 || (floats && column->via.ext.type == 2)) &&
        column->via.ext.size % 8 == 0)
        return column->via.ext.size / 8;
    return -1;
}

static bool
column_value(const msgpack_object *column, uint32_t i, ch_value_t *value_out)
{
    if (column->type == MSGPACK_OBJECT_ARRAY)
        return read_value(&column->via.array.ptr[i], value_out);
    memcpy(&value_out->i64, column->via.ext.ptr + (size_t)i * 8, 8);
    value_out->type = column->via.ext.type == 1 ? CH_VALUE_INT : CH_VALUE_FLOAT;
    return true;
}

/* Time i of `times`; a single time when `single`. */
static bool
column_time(const reading_t *reading, const msgpack_object *times, bool single,
            uint32_t i, int64_t *time_out)
{
    bool twice = false;
    int64_t start, step;
    switch (times->type) {
    case MSGPACK_OBJECT_ARRAY:
        return read_time(&times->via.array.ptr[i], time_out);
    case MSGPACK_OBJECT_MAP:
        if (!read_time(get(times, "start", &twice), &start) ||
            !read_int(get(times, "step", &twice), &step))
            return false;
        return !__builtin_mul_overflow(step, (int64_t)i, &step) &&
               !__builtin_add_overflow(start, step, time_out);
    case MSGPACK_OBJECT_EXT:
        if (times->via.ext.type == 1) {
            memcpy(time_out, times->via.ext.ptr + (size_t)i * 8, 8);
            return true;
        }
        break;
    default:
        break;
    }
    *time_out = reading->now_ns;
    return single && (times->type == MSGPACK_OBJECT_NIL || read_time(times, time_out));
}

/* Is `times` of a good form for `count` points? */
static bool
times_form(const msgpack_object *times, bool single, int64_t count)
{
    bool twice = false;
    int64_t ignored;
    if (times->type == MSGPACK_OBJECT_MAP) {
        for (uint32_t i = 0; i < times->via.map.size; i++)
            if ((is(&times->via.map.ptr[i].key, "start") &&
                 !read_time(&times->via.map.ptr[i].val, &ignored)) ||
                (is(&times->via.map.ptr[i].key, "step") &&
                 !read_int(&times->via.map.ptr[i].val, &ignored)))
                return false;
        return get(times, "start", &twice) && get(times, "step", &twice) && !twice;
    }
    int64_t size = column_size(times, false);
    if (size >= 0)
        return size == count;
    return single && (times->type == MSGPACK_OBJECT_NIL || read_time(times, &ignored));
}

static bool
read_series(reading_t *reading, const msgpack_object *entry)
{
    if (!is_array(entry) || entry->via.array.size != 3)
        return false;
    const msgpack_object *parts = entry->via.array.ptr;
    ch_buffer_t labels = {0};
    ch_bytes_t name;
    int64_t count = column_size(&parts[2], true);
    bool fine = count >= 0 && times_form(&parts[1], false, count) &&
                read_key(reading, &parts[0], &name, &labels);
    for (uint32_t i = 0; fine && i < count; i++) {
        ch_value_t value;
        int64_t time;
        fine = column_time(reading, &parts[1], false, i, &time) &&
               column_value(&parts[2], i, &value) && value.type != CH_VALUE_NONE &&
               emit(reading, name, ch_buffer_bytes(&labels), time, value);
    }
    ch_buffer_release(&labels);
    return fine;
}

/* ---- tables */

typedef struct table {
    const msgpack_object *name, *labels, *fields, *rows, *times, *values;
} table_t;

static bool
find_parts(const msgpack_object *map, table_t *table)
{
    static const char *const names[] = {"name", "labels", "fields",
                                        "rows", "times",  "values"};
    const msgpack_object **parts[] = {&table->name, &table->labels, &table->fields,
                                      &table->rows, &table->times,  &table->values};
    if (map->type != MSGPACK_OBJECT_MAP)
        return false;
    for (int part = 0; part < 6; part++) {
        *parts[part] = NULL;
        for (uint32_t i = 0; i < map->via.map.size; i++)
            if (is(&map->via.map.ptr[i].key, names[part])) {
                if (*parts[part])
                    return false;
                *parts[part] = &map->via.map.ptr[i].val;
            }
        if (!*parts[part])
            return false;
    }
    return table->name->type == MSGPACK_OBJECT_STR && is_array(table->labels) &&
           is_array(table->fields) && is_array(table->rows) && is_array(table->values);
}

/* Label text of row i. */
static bool
table_labels(const reading_t *reading, const table_t *table, uint32_t i, ch_buffer_t *out)
{
    const msgpack_object *names = table->labels, *row = &table->rows->via.array.ptr[i];
    label_t labels[LABELS_GIVEN_MAX];
    if (!is_array(row) || row->via.array.size != names->via.array.size)
        return false;
    for (uint32_t k = 0; k < names->via.array.size; k++) {
        const msgpack_object *value = &row->via.array.ptr[k];
        if (value->type != MSGPACK_OBJECT_STR && value->type != MSGPACK_OBJECT_NIL)
            return false;
        labels[k].name = str(&names->via.array.ptr[k]);
        labels[k].value =
            value->type == MSGPACK_OBJECT_STR ? str(value) : ch_bytes_text("");
    }
    return write_labels(reading, labels, names->via.array.size, out);
}

static bool
good_label_names(const msgpack_object *names)
{
    if (names->via.array.size > LABELS_GIVEN_MAX)
        return false;
    for (uint32_t i = 0; i < names->via.array.size; i++) {
        const msgpack_object *name = &names->via.array.ptr[i];
        if (name->type != MSGPACK_OBJECT_STR || !good_name(str(name)) ||
            is(name, "__name__"))
            return false;
        for (uint32_t k = 0; k < i; k++)
            if (ch_bytes_equal(str(name), str(&names->via.array.ptr[k])))
                return false;
    }
    return true;
}

static bool
read_table_row(reading_t *reading, const table_t *table, uint32_t i)
{
    ch_buffer_t labels = {0};
    int64_t time;
    bool fine = table_labels(reading, table, i, &labels) &&
                column_time(reading, table->times, true, i, &time);
    for (uint32_t j = 0; fine && j < table->fields->via.array.size; j++) {
        ch_buffer_t joined = {0};
        ch_value_t value;
        fine =
            join(reading, str(table->name), &table->fields->via.array.ptr[j], &joined) &&
            column_value(&table->values->via.array.ptr[j], i, &value);
        if (fine && value.type != CH_VALUE_NONE)
            fine = emit(reading, ch_buffer_bytes(&joined), ch_buffer_bytes(&labels), time,
                        value);
        ch_buffer_release(&joined);
    }
    ch_buffer_release(&labels);
    return fine;
}

static bool
read_table(reading_t *reading, const msgpack_object *entry)
{
    table_t table;
    if (!find_parts(entry, &table) || !good_label_names(table.labels) ||
        !good_name(str(table.name)))
        return false;
    uint32_t rows = table.rows->via.array.size, fields = table.fields->via.array.size;
    if (!times_form(table.times, true, rows) || !count_cells(reading, rows, fields) ||
        table.values->via.array.size != fields)
        return false;
    for (uint32_t j = 0; j < fields; j++) {
        ch_buffer_t joined = {0};
        bool fine =
            column_size(&table.values->via.array.ptr[j], true) == rows &&
            join(reading, str(table.name), &table.fields->via.array.ptr[j], &joined);
        ch_buffer_release(&joined);
        if (!fine)
            return false;
    }
    for (uint32_t i = 0; i < rows; i++)
        if (!read_table_row(reading, &table, i))
            return false;
    return true;
}

/* ---- the whole */

static bool
good_identity(const msgpack_object *map)
{
    bool twice = false;
    const msgpack_object *producer = get(map, "producer", &twice),
                         *epoch = get(map, "epoch", &twice),
                         *seq = get(map, "seq", &twice);
    int64_t epoch_value, seq_value;
    if (twice)
        return false;
    if (!producer && !epoch && !seq)
        return true;
    if (!producer || !epoch || !seq || producer->type != MSGPACK_OBJECT_STR)
        return false;
    ch_bytes_t name = str(producer);
    for (size_t i = 0; i < name.size; i++)
        if (!name.data[i] ||
            !strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                    "0123456789._/-",
                    name.data[i]))
            return false;
    return name.size >= 1 && name.size <= 64 && read_int(epoch, &epoch_value) &&
           read_int(seq, &seq_value) && epoch_value >= 1 && seq_value >= 1;
}

static bool
read_section(reading_t *reading, const msgpack_object *map, const char *key,
             bool (*read)(reading_t *, const msgpack_object *))
{
    bool twice = false;
    const msgpack_object *section = get(map, key, &twice);
    if (!section || twice)
        return !twice;
    if (!is_array(section))
        return false;
    for (uint32_t i = 0; i < section->via.array.size; i++)
        if (!read(reading, &section->via.array.ptr[i]))
            return false;
    return true;
}

static bool
read_batch(reading_t *reading, const msgpack_object *map, size_t size)
{
    bool twice = false;
    int64_t version = 1;
    const msgpack_object *v = get(map, "v", &twice);
    return size <= reading->limits->batch_bytes && depth_of(map) <= DEPTH_MAX && !twice &&
           (!v || (read_int(v, &version) && version == 1)) && good_identity(map) &&
           read_section(reading, map, "points", read_point) &&
           read_section(reading, map, "rows", read_row) &&
           read_section(reading, map, "series", read_series) &&
           read_section(reading, map, "tables", read_table);
}

/* May some 32-bit count be beyond what the frame can hold? Looks at every byte, strings too. */
bool
reference_claims_too_much(ch_bytes_t frame)
{
    for (size_t i = 0; i + 5 <= frame.size; i++) {
        const uint8_t *at = frame.data + i;
        uint32_t count =
            (uint32_t)at[1] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 8 | at[4];
        if ((at[0] == 0xdd || at[0] == 0xdf) && count > frame.size)
            return true;
    }
    return false;
}

reference_t
reference_batch(ch_bytes_t frame, const ch_limits_t *limits, int64_t now_ns,
                ch_buffer_t *out)
{
    reading_t reading = {.limits = limits, .now_ns = now_ns, .out = out};
    reference_t result = REFERENCE_UNREADABLE;
    msgpack_unpacked unpacked;
    size_t offset = 0;
    if (reference_claims_too_much(frame))
        return REFERENCE_NOT_ASKED;
    msgpack_unpacked_init(&unpacked);
    if (msgpack_unpack_next(&unpacked, (const char *)frame.data, frame.size, &offset) ==
            MSGPACK_UNPACK_SUCCESS &&
        offset == frame.size && unpacked.data.type == MSGPACK_OBJECT_MAP)
        result = read_batch(&reading, &unpacked.data, frame.size) ? REFERENCE_OK
                                                                  : REFERENCE_REFUSED;
    msgpack_unpacked_destroy(&unpacked);
    return result;
}
