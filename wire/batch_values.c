/* batch_values.c - values, times and columns of a batch. */
#include "batch_reader.h"

#include "cursor_fast.h"

/* ---- columns that grow */

bool
ch_column_init(ch_batch_decoder_t *decoder, ch_column_t *column, uint32_t capacity)
{
    *column = (ch_column_t){.form = CH_VALUES_I64, .capacity = capacity};
    column->packed = ch_batch_alloc(decoder, capacity, 8);
    return column->packed != NULL;
}

static ch_values_form_t
form_of(ch_value_type_t type)
{
    return type == CH_VALUE_INT     ? CH_VALUES_I64
           : type == CH_VALUE_FLOAT ? CH_VALUES_F64
                                    : CH_VALUES_LIST;
}

/* A second type turned up: from packed to a list. */
static bool
column_to_list(ch_batch_decoder_t *decoder, ch_column_t *column)
{
    column->list = ch_batch_alloc(decoder, column->capacity, sizeof *column->list);
    if (!column->list)
        return false;
    ch_values_t packed = {.form = column->form, .packed = column->packed};
    for (uint32_t i = 0; i < column->count; i++)
        column->list[i] = ch_values_at(&packed, i);
    column->form = CH_VALUES_LIST;
    return true;
}

bool
ch_column_push(ch_batch_decoder_t *decoder, ch_column_t *column, ch_value_t value)
{
    CH_DEBUG_ASSERT(column->count < column->capacity);
    ch_values_form_t form = form_of(value.type);
    if (column->form != form && column->form != CH_VALUES_LIST) {
        if (column->count == 0 && form != CH_VALUES_LIST)
            column->form = form;
        else if (!column_to_list(decoder, column))
            return false;
    }
    if (column->form == CH_VALUES_LIST)
        column->list[column->count] = value;
    else
        memcpy(column->packed + (size_t)column->count * 8, &value.i64,
               8); /* or f64: bits */
    column->count++;
    return true;
}

ch_values_t
ch_column_values(const ch_column_t *column)
{
    return (ch_values_t){column->form, column->packed, column->list};
}

/* ---- single values and times */

static bool
value_of(const ch_item_t *item, ch_value_t *value_out, ch_fault_t *fault_out)
{
    switch (item->kind) {
    case CH_ITEM_NIL:
        value_out->type = CH_VALUE_NONE;
        return true;
    case CH_ITEM_BOOL:
        *value_out = ch_value_bool(item->boolean);
        return true;
    case CH_ITEM_INT:
        *value_out = ch_value_int(item->i64);
        return true;
    case CH_ITEM_FLOAT:
        *value_out = ch_value_float(item->f64);
        return true;
    case CH_ITEM_STR:
    case CH_ITEM_BIN:
        if (item->bytes.size > CH_STRING_BYTES_MAX)
            return ch_fault(fault_out, CH_ERR_LIMIT, "a string value is above 64 KiB");
        *value_out = ch_value_string(item->bytes);
        return true;
    case CH_ITEM_UINT:
        return ch_fault(fault_out, CH_ERR_INVALID, "an integer value is above 2^63-1");
    default:
        return ch_fault(fault_out, CH_ERR_INVALID,
                        "a value is no float, int, bool or string");
    }
}

/* The next item; a container is skipped whole, so that the cursor stands behind it. */
static bool
next_whole(ch_cursor_t *cursor, ch_item_t *item_out)
{
    ch_cursor_t start = *cursor;
    if (!ch_cursor_next(cursor, item_out))
        return false;
    if (item_out->kind != CH_ITEM_ARRAY && item_out->kind != CH_ITEM_MAP)
        return true;
    *cursor = start;
    return ch_cursor_skip(cursor, NULL);
}

bool
ch_batch_read_value(ch_cursor_t *cursor, ch_value_t *value_out, ch_fault_t *fault_out)
{
    ch_item_t item;
    double number;
    if (ch_cursor_float(cursor, &number)) {
        *value_out = ch_value_float(number);
        return true;
    }
    if (cursor->at < cursor->end && cursor->at[0] < 0x80) { /* a small int */
        *value_out = ch_value_int(*cursor->at++);
        return true;
    }
    if (!next_whole(cursor, &item))
        return ch_fault(fault_out, CH_ERR_INVALID, "a value is missing");
    return value_of(&item, value_out, fault_out);
}

static const char time_text[] = "a time is no int64 nanoseconds";

bool
ch_batch_read_time(const ch_batch_decoder_t *decoder, ch_cursor_t *cursor,
                   int64_t *time_out, ch_fault_t *fault_out)
{
    ch_item_t item;
    if (ch_cursor_int(cursor, time_out))
        return true;
    if (!next_whole(cursor, &item))
        return ch_fault(fault_out, CH_ERR_INVALID, "a time is missing");
    if (item.kind == CH_ITEM_NIL) {
        *time_out = decoder->now_ns;
        return true;
    }
    return ch_item_time(&item, time_out) ||
           ch_fault(fault_out, CH_ERR_INVALID, time_text);
}

/* ---- columns of the frame */

/* Length of an ext column, in items. */
static bool
ext_count(const ch_item_t *item, uint32_t *count_out, ch_fault_t *fault_out)
{
    if (item->bytes.size % 8)
        return ch_fault(fault_out, CH_ERR_INVALID,
                        "the length of an ext column is no multiple of 8");
    *count_out = (uint32_t)(item->bytes.size / 8);
    return true;
}

bool
ch_batch_open_values(ch_cursor_t *cursor, ch_batch_column_t *column_out,
                     ch_fault_t *fault_out)
{
    ch_cursor_t start = *cursor;
    ch_item_t item;
    *column_out = (ch_batch_column_t){0};
    if (!ch_cursor_next(cursor, &item))
        return ch_fault(fault_out, CH_ERR_INVALID, "values are missing");
    if (item.kind == CH_ITEM_EXT && (item.ext_type == 1 || item.ext_type == 2)) {
        column_out->values.form = item.ext_type == 1 ? CH_VALUES_I64 : CH_VALUES_F64;
        column_out->values.packed = item.bytes.data;
        return ext_count(&item, &column_out->count, fault_out);
    }
    column_out->cursor = *cursor;
    column_out->array = item.kind == CH_ITEM_ARRAY;
    column_out->count = item.count;
    *cursor = start;
    if (!ch_cursor_skip(cursor, NULL) || !column_out->array)
        return ch_fault(fault_out, CH_ERR_INVALID,
                        "values are no array, ext 1 or ext 2 column");
    return true;
}

/* A run of float64 items at the cursor, the usual array: byte swaps only. */
static uint32_t
load_floats(ch_cursor_t *cursor, uint32_t count, uint8_t *packed)
{
    uint32_t i = 0;
    for (; i < count && cursor->end - cursor->at >= 9 && cursor->at[0] == 0xcb; i++) {
        ch_store_u64(packed + (size_t)i * 8,
                     __builtin_bswap64(ch_load_u64(cursor->at + 1)));
        cursor->at += 9;
    }
    return i;
}

bool
ch_batch_load_values(ch_batch_decoder_t *decoder, const ch_batch_column_t *opened,
                     ch_values_t *values_out, uint32_t *none_out, ch_fault_t *fault_out)
{
    if (!opened->array) {
        *values_out = opened->values;
        return true;
    }
    ch_column_t column;
    if (!ch_column_init(decoder, &column, opened->count))
        return false;
    ch_cursor_t cursor = opened->cursor;
    column.count = load_floats(&cursor, opened->count, column.packed);
    column.form = column.count ? CH_VALUES_F64 : CH_VALUES_I64;
    while (column.count < opened->count) {
        ch_value_t value = {.type = CH_VALUE_NONE};
        bool fine = ch_batch_read_value(&cursor, &value, fault_out);
        if (fine && value.type == CH_VALUE_NONE && !none_out)
            fine = ch_fault(fault_out, CH_ERR_INVALID, "a value is nil");
        if (!fine) {
            fault_out->at = column.count;
            return true;
        }
        if (value.type == CH_VALUE_NONE)
            ++*none_out;
        if (!ch_column_push(decoder, &column, value))
            return false;
    }
    *values_out = ch_column_values(&column);
    return true;
}

/* {"start": int, "step": int} */
static bool
read_regular(ch_cursor_t cursor, uint32_t pairs, ch_times_t *times_out, bool *strange_out,
             ch_fault_t *fault_out)
{
    *strange_out = pairs > 2;
    bool start_seen = false, step_seen = false;
    for (uint32_t i = 0; i < pairs; i++) {
        ch_item_t key, value;
        if (!next_whole(&cursor, &key) || !next_whole(&cursor, &value))
            return ch_fault(fault_out, CH_ERR_INVALID, time_text);
        bool start = ch_item_is(&key, "start"), step = ch_item_is(&key, "step");
        if ((start && start_seen) || (step && step_seen))
            return ch_fault(fault_out, CH_ERR_INVALID,
                            "start or step of times is given twice");
        if (start && !ch_item_time(&value, &times_out->start))
            return ch_fault(fault_out, CH_ERR_INVALID, "start of times is no int");
        if (step && value.kind != CH_ITEM_INT)
            return ch_fault(fault_out, CH_ERR_INVALID, "step of times is no int");
        if (step)
            times_out->step = value.i64;
        start_seen |= start;
        step_seen |= step;
    }
    if (!start_seen || !step_seen)
        return ch_fault(fault_out, CH_ERR_INVALID, "times have no start or no step");
    times_out->form = CH_TIMES_REGULAR;
    return true;
}

bool
ch_batch_open_times(const ch_batch_decoder_t *decoder, ch_cursor_t *cursor, bool single,
                    ch_batch_times_t *opened, ch_fault_t *fault_out)
{
    ch_cursor_t start = *cursor;
    ch_item_t item;
    *opened = (ch_batch_times_t){0};
    if (!ch_cursor_next(cursor, &item))
        return ch_fault(fault_out, CH_ERR_INVALID, "times are missing");
    opened->cursor = *cursor;
    opened->count = item.count;
    opened->array = item.kind == CH_ITEM_ARRAY;
    if (opened->array || item.kind == CH_ITEM_MAP) {
        *cursor = start;
        if (!ch_cursor_skip(cursor, NULL))
            return ch_fault(fault_out, CH_ERR_INVALID, "times are missing");
    }
    if (opened->array)
        return true;
    if (item.kind == CH_ITEM_EXT && item.ext_type == 1) {
        opened->times = (ch_times_t){.form = CH_TIMES_PACKED, .packed = item.bytes.data};
        return ext_count(&item, &opened->count, fault_out);
    }
    opened->any = true;
    if (item.kind == CH_ITEM_MAP)
        return read_regular(opened->cursor, item.count, &opened->times, &opened->strange,
                            fault_out);
    opened->times = (ch_times_t){.form = CH_TIMES_REGULAR, .start = decoder->now_ns};
    if (single && (item.kind == CH_ITEM_NIL || ch_item_time(&item, &opened->times.start)))
        return true;
    return ch_fault(fault_out, CH_ERR_INVALID,
                    single ? "times are no array, ext 1 column, start and step, or time"
                           : "times are no array, ext 1 column, or start and step");
}

/* The last of a regular run must be an int64 too. */
static bool
regular_fits(const ch_times_t *times, uint32_t count, ch_fault_t *fault_out)
{
    int64_t span, last;
    if (count == 0 || (!__builtin_mul_overflow(times->step, (int64_t)count - 1, &span) &&
                       !__builtin_add_overflow(times->start, span, &last)))
        return true;
    uint32_t low = 0, high = count - 1; /* low fits, high does not */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        bool fits = !__builtin_mul_overflow(times->step, (int64_t)middle, &span) &&
                    !__builtin_add_overflow(times->start, span, &last);
        *(fits ? &low : &high) = middle;
    }
    fault_out->at = high;
    return ch_fault(fault_out, CH_ERR_INVALID, "start and step leave the range of int64");
}

bool
ch_batch_load_times(ch_batch_decoder_t *decoder, const ch_batch_times_t *opened,
                    uint32_t count, ch_times_t *times_out, ch_fault_t *fault_out)
{
    *times_out = opened->times;
    if (opened->any)
        regular_fits(times_out, count, fault_out);
    if (!opened->array)
        return true;
    uint8_t *packed = ch_batch_alloc(decoder, count, 8);
    if (!packed)
        return false;
    ch_cursor_t cursor = opened->cursor;
    for (uint32_t i = 0; i < count; i++) {
        ch_item_t item;
        int64_t time;
        if (!ch_cursor_int(&cursor, &time) &&
            (!next_whole(&cursor, &item) || !ch_item_time(&item, &time))) {
            fault_out->at = i;
            ch_fault(fault_out, CH_ERR_INVALID, time_text);
            break;
        }
        ch_store_i64(packed + (size_t)i * 8, time);
    }
    *times_out = (ch_times_t){.form = CH_TIMES_PACKED, .packed = packed};
    return true;
}
