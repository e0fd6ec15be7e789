/* batch_series.c - the fast shape of a batch for history: `series`, columns of one series each. */
#include "batch_reader.h"

/* One `[key, times, values]`, opened. */
typedef struct series {
    ch_bytes_t name, labels;
    ch_batch_times_t times;
    ch_batch_column_t values;
} series_t;

/* Read what an entry is made of. Faults: of its form in *form, of its key in *key. */
static bool
open_series(ch_batch_decoder_t *decoder, ch_cursor_t *cursor, series_t *series,
            ch_fault_t *form, ch_fault_t *key)
{
    ch_item_t item;
    if (!ch_cursor_next(cursor, &item) || item.kind != CH_ITEM_ARRAY || item.count != 3)
        return ch_fault(form, CH_ERR_INVALID, "not [key, times, values]");
    ch_cursor_t key_at = *cursor;
    if (!ch_cursor_skip(cursor, NULL) ||
        !ch_batch_open_times(decoder, cursor, false, &series->times, form) ||
        !ch_batch_open_values(cursor, &series->values, form))
        return false;
    decoder->strange |= series->times.strange;
    if (!series->times.any && series->times.count != series->values.count)
        return ch_fault(form, CH_ERR_INVALID, "times and values differ in length");
    return ch_batch_read_key(decoder, &key_at, &series->name, &series->labels, key) ||
           key->code;
}

/* The fault whose point comes first: that of the key, of a time, of a value. */
static ch_fault_t
first_fault(ch_fault_t key, ch_fault_t time, ch_fault_t value)
{
    ch_fault_t first = key;
    if (time.code && (!first.code || time.at < first.at))
        first = time;
    if (value.code && (!first.code || value.at < first.at))
        first = value;
    return first;
}

static bool
add_series(ch_batch_decoder_t *decoder, const series_t *series, ch_times_t times,
           ch_values_t values)
{
    ch_bytes_t *name = ch_batch_alloc(decoder, 2, sizeof *name);
    ch_values_t *column = ch_batch_alloc(decoder, 1, sizeof *column);
    if (!name || !column ||
        !ch_batch_count_key(decoder, series->name.size + series->labels.size))
        return false;
    ch_batch_block_t *block = ch_batch_add_block(decoder);
    if (!block)
        return false;
    name[0] = series->name;
    name[1] = series->labels;
    *column = values;
    *block = (ch_batch_block_t){.kind = CH_BLOCK_SERIES,
                                .rows = series->values.count,
                                .fields = 1,
                                .names = &name[0],
                                .labels = &name[1],
                                .times = times,
                                .values = column};
    return true;
}

static bool
decode_series(ch_batch_decoder_t *decoder, ch_cursor_t *cursor, uint32_t index)
{
    series_t series;
    ch_fault_t form = {0}, key = {0}, time = {0}, value = {0};
    if (!open_series(decoder, cursor, &series, &form, &key))
        return form.code && ch_batch_refuse(decoder, form.code, -1, "series[%u]: %s",
                                            index, form.what);
    uint32_t base = decoder->batch.points, count = series.values.count;
    ch_times_t times;
    ch_values_t values;
    if (!ch_batch_count_points(decoder, count) ||
        !ch_batch_load_times(decoder, &series.times, count, &times, &time) ||
        !ch_batch_load_values(decoder, &series.values, &values, NULL, &value))
        return false;
    ch_fault_t fault = first_fault(key, time, value);
    if (fault.code)
        return ch_batch_refuse(decoder, fault.code, count ? (int64_t)base + fault.at : -1,
                               "series[%u]: %s", index, fault.what);
    return count == 0 || add_series(decoder, &series, times, values);
}

bool
ch_batch_decode_series(ch_batch_decoder_t *decoder, ch_cursor_t *cursor)
{
    ch_item_t item;
    if (!ch_cursor_next(cursor, &item) || item.kind != CH_ITEM_ARRAY)
        return ch_batch_refuse(decoder, CH_ERR_INVALID, -1, "series is no array");
    for (uint32_t i = 0; i < item.count; i++)
        if (!decode_series(decoder, cursor, i))
            return false;
    return true;
}
