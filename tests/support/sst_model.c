#include "support/sst_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ch/alloc.h"
#include "ch/series_key.h"

static const char *const names[] = {"cpu",      "cpu_user", "cpu|x",   "mem",
                                    "mem_free", "a",        "disk:io", "cpu\xc3\xa9"};

/* Label texts of which some are prefixes of others. */
static void
random_labels(ch_rng_t *rng, char *to, size_t size)
{
    unsigned host = (unsigned)ch_rng_below(rng, 400);
    switch (ch_rng_below(rng, 5)) {
    case 0:
        to[0] = '\0';
        break;
    case 1:
        snprintf(to, size, "host=\"h%u\"", host);
        break;
    default:
        snprintf(to, size, "host=\"h%u\",region=\"eu-%llu\",service=\"s\\\"%u\"", host,
                 (unsigned long long)ch_rng_below(rng, 3), host % 7);
    }
}

static ch_value_t
random_value(ch_rng_t *rng, unsigned kind, int64_t *state)
{
    static const char text[] =
        "the quick brown fox jumps over the lazy dog, again and again";
    *state += (int64_t)ch_rng_below(rng, 7) - 3;
    switch (kind) {
    case 0:
        return ch_value_int(*state);
    case 1:
        return ch_value_float((double)*state / 10);
    case 2:
        return ch_value_bool(*state & 1);
    case 3:
        return ch_value_string(ch_bytes(text, ch_rng_below(rng, sizeof text)));
    case 4:
        return random_value(rng, (unsigned)ch_rng_below(rng, 4), state);
    default: { /* any bits at all: NaN with payloads, infinities, denormals */
        uint64_t bits = ch_rng_next(rng);
        double value;
        memcpy(&value, &bits, sizeof value);
        return ch_value_float(value);
    }
    }
}

static void
random_points(ch_rng_t *rng, size_t points_max, ch_points_t *points)
{
    size_t count = 1 + ch_rng_below(rng, points_max);
    unsigned kind = (unsigned)ch_rng_below(rng, 6);
    bool regular = ch_rng_below(rng, 3);
    int64_t time = regular ? INT64_C(1700000000000000000) : (int64_t)ch_rng_next(rng) / 2;
    int64_t state = (int64_t)ch_rng_below(rng, 1000);
    for (size_t i = 0; i < count; i++) {
        ch_points_append(points, time, random_value(rng, kind, &state));
        time += regular ? INT64_C(10000000000) : 1 + (int64_t)ch_rng_below(rng, 5000);
    }
}

static int
compare_series(const void *left, const void *right)
{
    const ch_sst_model_series_t *a = left, *b = right;
    return ch_series_key_compare(ch_bytes_text(a->name), ch_bytes_text(a->labels),
                                 ch_bytes_text(b->name), ch_bytes_text(b->labels));
}

void
ch_sst_model_random(ch_sst_model_t *model, ch_rng_t *rng, size_t series,
                    size_t points_max)
{
    *model = (ch_sst_model_t){.series = ch_calloc(series, sizeof *model->series)};
    for (size_t i = 0; i < series; i++) {
        ch_sst_model_series_t *one = &model->series[i];
        snprintf(one->name, sizeof one->name, "%s",
                 names[ch_rng_below(rng, sizeof names / sizeof *names)]);
        random_labels(rng, one->labels, sizeof one->labels);
    }
    qsort(model->series, series, sizeof *model->series, compare_series);
    for (size_t i = 0; i < series; i++) {
        if (model->count &&
            compare_series(&model->series[model->count - 1], &model->series[i]) == 0)
            continue;
        model->series[model->count] = model->series[i];
        random_points(rng, points_max, &model->series[model->count].points);
        model->points += model->series[model->count++].points.count;
    }
}

void
ch_sst_model_release(ch_sst_model_t *model)
{
    for (size_t i = 0; i < model->count; i++)
        ch_points_release(&model->series[i].points);
    ch_free(model->series);
    *model = (ch_sst_model_t){0};
}

ch_status_t
ch_sst_model_write(const ch_sst_model_t *model, ch_fs_t *fs, const char *path,
                   uint64_t file_number, ch_sstable_info_t *info_out)
{
    ch_sstable_writer_t *writer = NULL;
    const ch_sstable_writer_options_t options = {.series_expected = model->count,
                                                 .level = model->level};
    ch_status_t status = ch_sstable_writer_open(fs, path, file_number, &options, &writer);
    for (size_t i = 0; status >= 0 && i < model->count; i++)
        status = ch_sstable_writer_add(writer, ch_bytes_text(model->series[i].name),
                                       ch_bytes_text(model->series[i].labels),
                                       &model->series[i].points);
    if (status >= 0)
        status = ch_sstable_writer_finish(writer, 11, 42, info_out);
    ch_sstable_writer_destroy(&writer);
    return status;
}

bool
ch_sst_model_points_equal(const ch_points_t *a, size_t from, size_t to,
                          const ch_points_t *b)
{
    if (b->count != to - from)
        return false;
    for (size_t i = 0; i < b->count; i++)
        if (a->times[from + i] != b->times[i] ||
            !ch_value_equal(ch_points_value(a, from + i), ch_points_value(b, i)))
            return false;
    return true;
}

typedef struct key_check {
    const ch_sst_model_t *model;
    size_t at;
    bool equal;
} key_check_t;

static ch_status_t
check_key(void *context, ch_bytes_t name, ch_bytes_t labels)
{
    key_check_t *check = context;
    const ch_sst_model_series_t *series = &check->model->series[check->at];
    check->equal &= check->at < check->model->count &&
                    ch_bytes_equal(name, ch_bytes_text(series->name)) &&
                    ch_bytes_equal(labels, ch_bytes_text(series->labels));
    check->at++;
    return check->equal ? CH_OK : CH_END;
}

static bool
explicit_error(ch_status_t status)
{
    return status == CH_ERR_CORRUPT || status == CH_ERR_IO;
}

bool
ch_sst_model_matches(const ch_sst_model_t *model, ch_sstable_t *sstable,
                     bool errors_allowed, size_t *errors_out)
{
    key_check_t check = {.model = model, .equal = true};
    ch_status_t status = ch_sstable_keys(sstable, check_key, &check);
    if (!check.equal || (status == CH_OK && check.at != model->count))
        return false;
    size_t errors = explicit_error(status);
    bool good = status == CH_OK || (errors_allowed && errors);
    ch_points_t points = {0};
    for (size_t i = 0; good && i < model->count; i++) {
        const ch_sst_model_series_t *series = &model->series[i];
        ch_points_clear(&points);
        status = ch_sstable_read(sstable, ch_bytes_text(series->name),
                                 ch_bytes_text(series->labels), CH_TIME_MIN, CH_TIME_MAX,
                                 &points);
        errors += explicit_error(status);
        if (status == CH_OK)
            good = ch_sst_model_points_equal(&series->points, 0, series->points.count,
                                             &points);
        else
            good = errors_allowed && explicit_error(status) && points.count == 0;
    }
    ch_points_release(&points);
    *errors_out = errors;
    return good;
}
