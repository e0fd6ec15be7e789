#include "support/array_source.h"

#include <math.h>
#include <stdlib.h>

#include "ch/alloc.h"
#include "ch/assert.h"
#include "ch/series_key.h"

enum { LABELS_MAX = 64, KEY_BYTES_MAX = 4096 };

void
array_source_release(array_source_t *array)
{
    for (size_t i = 0; i < array->count; i++) {
        ch_free((void *)array->series[i].name.data);
        ch_free((void *)array->series[i].labels.data);
        ch_points_release(&array->series[i].points);
    }
    ch_free(array->series);
    *array = (array_source_t){0};
}

static ch_bytes_t
copy(ch_bytes_t bytes)
{
    uint8_t *to = ch_alloc(bytes.size + 1);
    memcpy(to, bytes.size ? bytes.data : to, bytes.size);
    return ch_bytes(to, bytes.size);
}

static array_series_t *
find_or_add(array_source_t *array, ch_bytes_t name, ch_bytes_t labels)
{
    for (size_t i = array->count;
         i-- > 0;) /* the newest first: loads fill one at a time */
        if (ch_bytes_equal(array->series[i].name, name) &&
            ch_bytes_equal(array->series[i].labels, labels))
            return &array->series[i];
    if (array->count == array->capacity) {
        array->capacity = array->capacity ? array->capacity * 2 : 16;
        array->series =
            ch_realloc(array->series, array->capacity * sizeof *array->series);
    }
    array->sorted = false;
    array->series[array->count] =
        (array_series_t){.name = copy(name), .labels = copy(labels)};
    return &array->series[array->count++];
}

static void
insert(ch_points_t *points, int64_t time, ch_value_t value)
{
    if (points->count == 0 || points->times[points->count - 1] < time) {
        ch_points_append(points, time, value);
        return;
    }
    ch_points_t one = {0}, merged = {0};
    ch_points_append(&one, time, value);
    ch_points_merge(points, &one, &merged);
    ch_points_release(points);
    ch_points_release(&one);
    *points = merged;
}

void
array_source_put(array_source_t *array, const char *key, int64_t time, ch_value_t value)
{
    ch_text_t scratch = {0};
    ch_bytes_t name, labels;
    ch_status_t status = ch_series_key_parse(ch_bytes_text(key), LABELS_MAX,
                                             KEY_BYTES_MAX, &scratch, &name, &labels);
    CH_ASSERT(status == CH_OK);
    insert(&find_or_add(array, name, labels)->points, time, value);
    ch_text_release(&scratch);
}

static int
compare(const void *a, const void *b)
{
    const array_series_t *left = a, *right = b;
    return ch_series_key_compare(left->name, left->labels, right->name, right->labels);
}

static size_t
first_at(const ch_points_t *points, int64_t time)
{
    size_t low = 0, high = points->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (points->times[middle] < time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t
end_at(const ch_points_t *points, int64_t end)
{
    return end == CH_TIME_MAX ? points->count : first_at(points, end);
}

static ch_status_t
array_select(void *context, const ch_selector_t *selector, int64_t start, int64_t end,
             size_t series_max, ch_series_list_t *list_out)
{
    array_source_t *array = context;
    array->selects++;
    if (!array->sorted && array->count)
        qsort(array->series, array->count, sizeof array->series[0], compare);
    array->sorted = true;
    for (size_t i = 0; i < array->count; i++) {
        const array_series_t *series = &array->series[i];
        int accepted = ch_selector_accepts(selector, series->name, series->labels);
        if (accepted < 0)
            return (ch_status_t)accepted;
        if (!accepted || first_at(&series->points, start) >= end_at(&series->points, end))
            continue;
        if (list_out->count == series_max)
            return ch_fail(CH_ERR_LIMIT, "more than %zu series match", series_max);
        ch_series_list_append(list_out, (ch_series_ref_t){.id = (uint32_t)i,
                                                          .name = series->name,
                                                          .labels = series->labels});
    }
    return CH_OK;
}

static ch_status_t
array_read(void *context, const ch_series_ref_t *series, int64_t start, int64_t end,
           size_t points_max, ch_points_t *points_out, bool *more_out)
{
    array_source_t *array = context;
    const ch_points_t *points = &array->series[series->id].points;
    if (array->fail_read != CH_OK)
        return ch_fail(array->fail_read, "reading was told to fail");
    size_t from = first_at(points, start), to = end_at(points, end);
    to = to < from ? from : to;
    *more_out = to - from > points_max;
    if (*more_out)
        to = from + points_max;
    ch_points_clear(points_out);
    ch_points_append_range(points_out, points, from, to);
    array->reads++;
    array->points_read += to - from;
    return CH_OK;
}

static bool
readable(const ch_points_t *points, size_t i, double *value_out)
{
    ch_value_t value = ch_points_value(points, i);
    if (value.type != CH_VALUE_FLOAT && value.type != CH_VALUE_INT)
        return false;
    *value_out = value.type == CH_VALUE_INT ? (double)value.i64 : value.f64;
    return !isnan(*value_out);
}

/* Plain sums, as chunk headers hold them; NaN and other types cannot be answered. */
static ch_status_t
array_summarise(void *context, const ch_series_ref_t *series, int64_t start, int64_t end,
                ch_summary_t *summary_out)
{
    array_source_t *array = context;
    const ch_points_t *points = &array->series[series->id].points;
    ch_summary_t summary = {.decoded = array->decodes};
    if (!array->summaries)
        return CH_NOT_FOUND;
    for (size_t i = first_at(points, start); i < end_at(points, end); i++) {
        double value;
        if (!readable(points, i, &value))
            return CH_NOT_FOUND;
        if (summary.count++ == 0) {
            summary.first_time = points->times[i];
            summary.first = summary.min = summary.max = value;
        }
        summary.falls = summary.falls || (summary.count > 1 && value < summary.last);
        summary.sum += value;
        summary.min = value < summary.min ? value : summary.min;
        summary.max = value > summary.max ? value : summary.max;
        summary.last_time = points->times[i];
        summary.last = value;
    }
    array->summarised++;
    *summary_out = summary;
    return CH_OK;
}

ch_source_t
array_source_open(array_source_t *array)
{
    return (ch_source_t){.context = array,
                         .select = array_select,
                         .read = array_read,
                         .summarise = array_summarise};
}
