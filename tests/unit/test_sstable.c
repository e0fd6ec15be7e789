/* Sorted tables against a sorted array: everything that a table can be asked. */
#include <math.h>
#include <pthread.h>

#include "ch/alloc.h"
#include "ch/limits.h"
#include "ch/series_key.h"
#include "sst/sstable.h"
#include "support/simfs.h"
#include "support/sst_model.h"
#include "support/test.h"

typedef struct fixture {
    ch_simfs_t *simfs;
    ch_fs_t *fs;
    ch_rng_t rng;
    ch_sst_model_t model;
    ch_sstable_info_t info;
    ch_sstable_t *sstable;
    ch_block_cache_t *cache;
} fixture_t;

static void
fixture_init(fixture_t *fixture, uint64_t salt)
{
    *fixture = (fixture_t){.simfs = ch_simfs_new(ch_test_seed())};
    fixture->fs = ch_simfs_fs(fixture->simfs);
    ch_rng_seed(&fixture->rng, ch_test_seed() + salt);
}

static void
fixture_release(fixture_t *fixture)
{
    ch_sstable_destroy(&fixture->sstable);
    ch_block_cache_destroy(&fixture->cache);
    ch_sst_model_release(&fixture->model);
    ch_simfs_destroy(&fixture->simfs);
}

/* Write the fixture's model as t.sst, number 7, and open it. */
static void
write_and_open(fixture_t *fixture)
{
    assert_int_equal(
        ch_sst_model_write(&fixture->model, fixture->fs, "t.sst", 7, &fixture->info),
        CH_OK);
    assert_int_equal(ch_sstable_open(fixture->fs, "t.sst", 7, &fixture->sstable), CH_OK);
}

/* The first place of the run whose time is not below `time`. */
static size_t
place_of(const ch_points_t *points, int64_t time)
{
    size_t i = 0;
    while (i < points->count && points->times[i] < time)
        i++;
    return i;
}

static int64_t
random_time_in(ch_rng_t *rng, const ch_points_t *points)
{
    int64_t time = points->times[ch_rng_below(rng, points->count)];
    return time + (int64_t)ch_rng_below(rng, 3) - 1;
}

static void
check_ranges(fixture_t *fixture, const ch_sst_model_series_t *series)
{
    ch_bytes_t name = ch_bytes_text(series->name), labels = ch_bytes_text(series->labels);
    ch_points_t points = {0};
    ch_points_append(&points, 5, ch_value_int(5)); /* what is there already stays */
    for (int round = 0; round < 4; round++) {
        int64_t start = random_time_in(&fixture->rng, &series->points);
        int64_t end = random_time_in(&fixture->rng, &series->points);
        size_t from = place_of(&series->points, start),
               to = place_of(&series->points, end);
        ch_points_t part = {0};
        points.count = 1;
        assert_int_equal(
            ch_sstable_read(fixture->sstable, name, labels, start, end, &points), CH_OK);
        assert_int_equal(points.times[0], 5);
        assert_true(ch_value_equal(ch_points_value(&points, 0), ch_value_int(5)));
        ch_points_append_range(&part, &points, 1, points.count);
        assert_true(
            ch_sst_model_points_equal(&series->points, from < to ? from : to, to, &part));
        ch_points_release(&part);
    }
    ch_points_release(&points);
}

static void
check_newest(fixture_t *fixture, const ch_sst_model_series_t *series)
{
    ch_bytes_t name = ch_bytes_text(series->name), labels = ch_bytes_text(series->labels);
    ch_points_t strings = {0};
    const ch_points_t *points = &series->points;
    int64_t asked[] = {random_time_in(&fixture->rng, points), points->times[0],
                       points->times[points->count - 1], INT64_MAX};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        int64_t time = 0;
        ch_value_t value = {0};
        size_t place =
            asked[i] == INT64_MAX ? points->count : place_of(points, asked[i] + 1);
        ch_status_t status = ch_sstable_newest(fixture->sstable, name, labels, asked[i],
                                               &strings, &time, &value);
        assert_int_equal(status, place ? CH_OK : CH_NOT_FOUND);
        if (!place)
            continue;
        assert_int_equal(time, points->times[place - 1]);
        assert_true(ch_value_equal(value, ch_points_value(points, place - 1)));
    }
    int64_t time = 0;
    ch_value_t value = {0};
    assert_int_equal(ch_sstable_newest(fixture->sstable, name, labels,
                                       points->times[0] - 1, &strings, &time, &value),
                     CH_NOT_FOUND);
    ch_points_release(&strings);
}

static void
check_time_range(fixture_t *fixture, const ch_sst_model_series_t *series)
{
    int64_t min = 0, max = 0;
    assert_int_equal(ch_sstable_time_range(fixture->sstable, ch_bytes_text(series->name),
                                           ch_bytes_text(series->labels), &min, &max),
                     CH_OK);
    assert_int_equal(min, series->points.times[0]);
    assert_int_equal(max, series->points.times[series->points.count - 1]);
}

/* What a summary must say of points [from, to); false when strings or NaN forbid one. */
static bool
expected_summary(const ch_points_t *points, size_t from, size_t to, ch_summary_t *sum)
{
    *sum = (ch_summary_t){0};
    for (size_t i = from; i < to; i++) {
        ch_value_t value = ch_points_value(points, i);
        double v = value.type == CH_VALUE_INT     ? (double)value.i64
                   : value.type == CH_VALUE_FLOAT ? value.f64
                   : value.type == CH_VALUE_BOOL  ? (double)value.boolean
                                                  : (double)NAN;
        if (isnan(v))
            return false;
        if (sum->count++ == 0)
            *sum = (ch_summary_t){.count = 1,
                                  .min = v,
                                  .max = v,
                                  .first = v,
                                  .first_time = points->times[i]};
        sum->sum += v;
        sum->min = v < sum->min ? v : sum->min;
        sum->max = v > sum->max ? v : sum->max;
        sum->falls = sum->falls || (sum->count > 1 && v < sum->last);
        sum->last = v;
        sum->last_time = points->times[i];
    }
    return true;
}

static void
check_summary(fixture_t *fixture, const ch_sst_model_series_t *series, bool whole)
{
    const ch_points_t *points = &series->points;
    int64_t start = whole ? CH_TIME_MIN : random_time_in(&fixture->rng, points);
    int64_t end = whole ? CH_TIME_MAX : random_time_in(&fixture->rng, points);
    size_t from = whole ? 0 : place_of(points, start);
    size_t to = whole ? points->count : place_of(points, end);
    ch_summary_t expected, sum = {0};
    bool possible = expected_summary(points, from, to, &expected);
    ch_status_t status =
        ch_sstable_summarise(fixture->sstable, ch_bytes_text(series->name),
                             ch_bytes_text(series->labels), start, end, &sum);
    if (status == CH_ERR_UNSUPPORTED)
        return; /* a chunk may have NaN outside of the range; see the regular case below */
    assert_int_equal(status, CH_OK);
    assert_true(possible);
    assert_int_equal(sum.count, expected.count);
    if (sum.count == 0)
        return;
    assert_int_equal(sum.first_time, expected.first_time);
    assert_int_equal(sum.last_time, expected.last_time);
    assert_true(sum.first == expected.first && sum.last == expected.last);
    assert_true(sum.min == expected.min && sum.max == expected.max);
    assert_true(sum.falls || !expected.falls);
    double slack = 1e-9 * (fabs(expected.sum) + fabs(expected.max) + fabs(expected.min));
    assert_true(sum.sum == expected.sum || fabs(sum.sum - expected.sum) <= slack ||
                !isfinite(slack));
}

static void
check_everything(fixture_t *fixture)
{
    size_t errors = 0;
    assert_int_equal(fixture->info.series, fixture->model.count);
    assert_int_equal(fixture->info.points, fixture->model.points);
    assert_memory_equal(&fixture->info, ch_sstable_info(fixture->sstable),
                        sizeof fixture->info);
    assert_true(ch_sst_model_matches(&fixture->model, fixture->sstable, false, &errors));
    assert_int_equal(ch_sstable_verify(fixture->sstable), CH_OK);
    for (size_t i = 0; i < fixture->model.count; i++) {
        const ch_sst_model_series_t *series = &fixture->model.series[i];
        assert_true(ch_sstable_may_contain(fixture->sstable, ch_bytes_text(series->name),
                                           ch_bytes_text(series->labels)));
        check_ranges(fixture, series);
        check_newest(fixture, series);
        check_time_range(fixture, series);
        check_summary(fixture, series, true);
        check_summary(fixture, series, false);
    }
}

/* Goal: a table answers as the series that went in. Method: seeded random sets of all value types,
 * from one series to hundreds, short ones and long ones, at both levels. */
static void
test_tables_answer_like_a_sorted_array(void **state)
{
    (void)state;
    static const struct {
        size_t series, points_max;
    } shapes[] = {{1, 1}, {1, 20000}, {3, 9000}, {60, 700}, {700, 30}, {900, 3}};
    for (size_t i = 0; i < 2 * (sizeof shapes / sizeof *shapes); i++) {
        fixture_t fixture;
        fixture_init(&fixture, i);
        ch_sst_model_random(&fixture.model, &fixture.rng, shapes[i / 2].series,
                            shapes[i / 2].points_max);
        fixture.model.level = i % 2 ? CH_COLUMN_DENSE : CH_COLUMN_FAST;
        write_and_open(&fixture);
        check_everything(&fixture);
        fixture_release(&fixture);
    }
}

/* Goal: a cache changes no answer. Method: the same, through caches of all sizes: nothing fits, some
 * does, everything does; each question twice, so that the second finds what the first left. */
static void
test_caches_of_any_size_change_no_answer(void **state)
{
    (void)state;
    static const size_t budgets[] = {0, 64 << 10, 1 << 20, 256 << 20};
    for (size_t i = 0; i < sizeof budgets / sizeof *budgets; i++) {
        fixture_t fixture;
        fixture_init(&fixture, 700 + i);
        ch_sst_model_random(&fixture.model, &fixture.rng, 400, 300);
        write_and_open(&fixture);
        fixture.cache = ch_block_cache_new(budgets[i]);
        ch_sstable_use_cache(fixture.sstable, fixture.cache);
        check_everything(&fixture);
        check_everything(&fixture);
        ch_block_cache_stats_t stats = ch_block_cache_stats(fixture.cache);
        assert_true(stats.bytes <= budgets[i]);
        assert_true(stats.misses > 0);
        if (i == 0)
            assert_int_equal(stats.hits, 0);
        if (i == 3) { /* nothing had to go, so nothing was read three times */
            assert_int_equal(stats.evictions, 0);
            assert_true(stats.misses <= 2 * stats.blocks);
            assert_true(stats.hits > stats.misses);
        }
        fixture_release(&fixture);
    }
}

/* Goal: what is not in the table is not found. Method: keys beside those that are, by every call. */
static void
test_series_that_are_not_there_are_not_found(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 100);
    ch_sst_model_random(&fixture.model, &fixture.rng, 300, 3);
    write_and_open(&fixture);
    ch_points_t points = {0};
    ch_summary_t summary;
    int64_t min, max;
    ch_value_t value;
    unsigned maybe = 0;
    for (unsigned i = 0; i < 3000; i++) {
        char labels[32];
        snprintf(labels, sizeof labels, "host=\"x%u\"", i);
        ch_bytes_t name = ch_bytes_text(i % 2 ? "cpu" : "cpv"),
                   text = ch_bytes_text(labels);
        maybe += ch_sstable_may_contain(fixture.sstable, name, text);
        assert_int_equal(ch_sstable_read(fixture.sstable, name, text, 0, 1, &points),
                         CH_NOT_FOUND);
        assert_int_equal(
            ch_sstable_newest(fixture.sstable, name, text, 1, &points, &min, &value),
            CH_NOT_FOUND);
        assert_int_equal(ch_sstable_time_range(fixture.sstable, name, text, &min, &max),
                         CH_NOT_FOUND);
        assert_int_equal(
            ch_sstable_summarise(fixture.sstable, name, text, 0, 1, &summary),
            CH_NOT_FOUND);
    }
    assert_in_range(maybe, 1,
                    300); /* some got past the filter, so the index was asked too */
    ch_points_release(&points);
    fixture_release(&fixture);
}

static ch_status_t
add(ch_sstable_writer_t *writer, const char *name, const char *labels,
    ch_points_t *points)
{
    return ch_sstable_writer_add(writer, ch_bytes_text(name), ch_bytes_text(labels),
                                 points);
}

/* Goal: keys out of order, empty series and unsorted points are refused, and the table goes on
 * without them. Method: mix them with good ones. */
static void
test_writer_refuses_what_would_make_a_lying_table(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 200);
    ch_sstable_writer_t *writer = NULL;
    ch_points_t good = {0}, none = {0}, twice = {0};
    ch_points_append(&good, 1, ch_value_int(1));
    ch_points_append(&twice, 1, ch_value_int(1));
    ch_points_append(&twice, 1, ch_value_int(2));
    assert_int_equal(ch_sstable_writer_open(
                         fixture.fs, "t.sst", 7,
                         &(ch_sstable_writer_options_t){.series_expected = 4}, &writer),
                     CH_OK);
    assert_int_equal(add(writer, "b", "x=\"1\"", &good), CH_OK);
    assert_int_equal(add(writer, "b", "x=\"1\"", &good), CH_ERR_INVALID);
    assert_int_equal(add(writer, "b", "", &good), CH_ERR_INVALID);
    assert_int_equal(add(writer, "a", "x=\"2\"", &good), CH_ERR_INVALID);
    assert_int_equal(add(writer, "c", "", &none), CH_ERR_INVALID);
    assert_int_equal(add(writer, "c", "", &twice), CH_ERR_INVALID);
    assert_int_equal(add(writer, "", "", &good), CH_ERR_INVALID);
    assert_int_equal(add(writer, "c{", "", &good), CH_ERR_INVALID);
    assert_int_equal(add(writer, "c", "", &good), CH_OK);
    assert_int_equal(ch_sstable_writer_finish(writer, 1, 2, &fixture.info), CH_OK);
    ch_sstable_writer_destroy(&writer);
    assert_int_equal(fixture.info.series, 2);
    assert_int_equal(fixture.info.points, 2);
    assert_int_equal(ch_sstable_open(fixture.fs, "t.sst", 7, &fixture.sstable), CH_OK);
    assert_int_equal(ch_sstable_verify(fixture.sstable), CH_OK);
    ch_points_release(&good);
    ch_points_release(&twice);
    fixture_release(&fixture);
}

/* Goal: a table without series is a table. Method: write, open, ask. */
static void
test_empty_tables_open_and_hold_nothing(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 300);
    write_and_open(&fixture);
    check_everything(&fixture);
    assert_int_equal(fixture.info.time_min, 0);
    ch_points_t points = {0};
    assert_int_equal(ch_sstable_read(fixture.sstable, ch_bytes_text("cpu"),
                                     ch_bytes_text(""), CH_TIME_MIN, CH_TIME_MAX,
                                     &points),
                     CH_NOT_FOUND);
    fixture_release(&fixture);
}

/* Goal: a series may be larger than many blocks, with times from end to end of int64. Method: noise
 * that does not compress, and points at both ends. */
static void
test_huge_series_span_many_blocks(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 400);
    ch_sst_model_random(&fixture.model, &fixture.rng, 3, 5);
    ch_points_t *points = &fixture.model.series[1].points;
    fixture.model.points -= points->count;
    ch_points_clear(points);
    ch_points_append(points, INT64_MIN, ch_value_float(1.5));
    for (int64_t i = 0; i < 100000; i++)
        ch_points_append(points, i * 1000 + (int64_t)ch_rng_below(&fixture.rng, 1000),
                         ch_value_float((double)ch_rng_next(&fixture.rng)));
    ch_points_append(points, INT64_MAX, ch_value_float(-1.5));
    fixture.model.points += points->count;
    write_and_open(&fixture);
    assert_true(fixture.info.file_bytes > 8 * 64 * 1024);
    assert_true(fixture.info.time_min == INT64_MIN && fixture.info.time_max == INT64_MAX);
    size_t errors = 0;
    assert_true(ch_sst_model_matches(&fixture.model, fixture.sstable, false, &errors));
    for (int i = 0; i < 50; i++)
        check_ranges(&fixture, &fixture.model.series[1]);
    check_summary(&fixture, &fixture.model.series[1], true);
    fixture_release(&fixture);
}

/* Goal: strings of the largest size keep chunks and blocks readable. Method: 40 of 64 KiB. */
static void
test_long_strings_are_cut_into_more_chunks(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 500);
    ch_sst_model_random(&fixture.model, &fixture.rng, 2, 5);
    ch_points_t *points = &fixture.model.series[0].points;
    fixture.model.points -= points->count;
    ch_points_clear(points);
    uint8_t *text = ch_alloc(CH_STRING_BYTES_MAX);
    for (int64_t i = 0; i < 40; i++) {
        for (size_t j = 0; j < CH_STRING_BYTES_MAX; j++)
            text[j] = (uint8_t)ch_rng_next(&fixture.rng);
        ch_points_append(points, i, ch_value_string(ch_bytes(text, CH_STRING_BYTES_MAX)));
    }
    ch_free(text);
    fixture.model.points += points->count;
    write_and_open(&fixture);
    check_everything(&fixture);
    fixture_release(&fixture);
}

/* Goal: whole chunks are summed without their columns. Method: a regular series of ints; the
 * directories alone are read. */
static void
test_summaries_come_from_chunk_entries(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 600);
    ch_sst_model_random(&fixture.model, &fixture.rng, 1, 1);
    ch_points_t *points = &fixture.model.series[0].points;
    ch_points_clear(points);
    for (int64_t i = 0; i < 30000; i++)
        ch_points_append(points, i * 10,
                         ch_value_int((int64_t)ch_rng_below(&fixture.rng, 100)));
    fixture.model.points = points->count;
    write_and_open(&fixture);
    ch_bytes_t name = ch_bytes_text(fixture.model.series[0].name);
    ch_bytes_t labels = ch_bytes_text(fixture.model.series[0].labels);
    ch_summary_t sum, expected;
    assert_true(expected_summary(points, 0, points->count, &expected));
    assert_int_equal(ch_sstable_summarise(fixture.sstable, name, labels, CH_TIME_MIN,
                                          CH_TIME_MAX, &sum),
                     CH_OK);
    assert_true(sum.sum == expected.sum && sum.count == expected.count);
    for (int i = 0; i < 100; i++) {
        size_t from = ch_rng_below(&fixture.rng, 30000),
               to = ch_rng_below(&fixture.rng, 30000);
        assert_true(expected_summary(points, from, to, &expected));
        assert_int_equal(ch_sstable_summarise(fixture.sstable, name, labels,
                                              (int64_t)from * 10, (int64_t)to * 10, &sum),
                         CH_OK);
        assert_true(sum.sum == expected.sum && sum.count == expected.count);
        assert_int_equal(sum.falls, expected.falls);
    }
    fixture_release(&fixture);
}

/* Goal: a counter's reset is seen wherever it stands: within a chunk, between two, not at all. */
static void
test_summaries_say_where_counters_fall(void **state)
{
    (void)state;
    enum { POINTS = 3 * CH_CHUNK_POINTS_TARGET };
    static const int64_t falls_at[] = {POINTS, 100, CH_CHUNK_POINTS_TARGET,
                                       2 * CH_CHUNK_POINTS_TARGET, POINTS - 1};
    for (size_t f = 0; f < sizeof falls_at / sizeof *falls_at; f++) {
        fixture_t fixture;
        fixture_init(&fixture, 650 + f);
        ch_sst_model_random(&fixture.model, &fixture.rng, 1, 1);
        ch_points_t *points = &fixture.model.series[0].points;
        ch_points_clear(points);
        for (int64_t i = 0; i < POINTS; i++)
            ch_points_append(points, i,
                             ch_value_int(i < falls_at[f] ? 1000 + i : i - falls_at[f]));
        fixture.model.points = points->count;
        write_and_open(&fixture);
        for (int i = 0; i < 200; i++)
            check_summary(&fixture, &fixture.model.series[0], i == 0);
        for (int64_t start = 0; start < POINTS; start += 97) {
            ch_summary_t sum, expected;
            assert_true(expected_summary(points, (size_t)start, POINTS, &expected));
            assert_int_equal(
                ch_sstable_summarise(fixture.sstable,
                                     ch_bytes_text(fixture.model.series[0].name),
                                     ch_bytes_text(fixture.model.series[0].labels), start,
                                     CH_TIME_MAX, &sum),
                CH_OK);
            assert_int_equal(sum.falls, expected.falls);
        }
        fixture_release(&fixture);
    }
}

/* Goal: fields that share their instants share the time column. Method: ten fields with irregular
 * times cost little more than one. */
static void
test_equal_time_columns_are_stored_once(void **state)
{
    (void)state;
    uint64_t bytes[2] = {0};
    for (int shared = 0; shared < 2; shared++) {
        fixture_t fixture;
        fixture_init(&fixture, 700);
        ch_sstable_writer_t *writer = NULL;
        assert_int_equal(
            ch_sstable_writer_open(fixture.fs, "t.sst", 7,
                                   &(ch_sstable_writer_options_t){.series_expected = 10},
                                   &writer),
            CH_OK);
        ch_points_t points = {0};
        for (int field = 0; field < 10; field++) {
            char name[16];
            snprintf(name, sizeof name, "field%d", field);
            int64_t time = 0;
            ch_points_clear(&points);
            if (shared)
                ch_rng_seed(&fixture.rng, 1);
            for (int i = 0; i < 2000; i++) {
                time += 1 + (int64_t)ch_rng_below(&fixture.rng, 1 << 20);
                ch_points_append(&points, time, ch_value_int(field));
            }
            assert_int_equal(add(writer, name, "", &points), CH_OK);
        }
        assert_int_equal(ch_sstable_writer_finish(writer, 1, 2, &fixture.info), CH_OK);
        ch_sstable_writer_destroy(&writer);
        bytes[shared] = fixture.info.file_bytes;
        ch_points_release(&points);
        fixture_release(&fixture);
    }
    assert_true(bytes[1] * 4 < bytes[0]);
}

typedef struct visit_count {
    size_t calls, stop_at;
    ch_sstable_t *sstable;
} visit_count_t;

/* Stops at a count; on the way asks the same table in the same thread. */
static ch_status_t
count_and_ask(void *context, ch_bytes_t name, ch_bytes_t labels)
{
    visit_count_t *count = context;
    int64_t min, max;
    assert_int_equal(ch_sstable_time_range(count->sstable, name, labels, &min, &max),
                     CH_OK);
    return ++count->calls == count->stop_at ? CH_ERR_LIMIT : CH_OK;
}

/* Goal: a visitor may stop the walk, and may ask the table meanwhile. Method: both. */
static void
test_visitors_may_stop_and_may_ask(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 800);
    ch_sst_model_random(&fixture.model, &fixture.rng, 500, 3);
    write_and_open(&fixture);
    visit_count_t count = {.sstable = fixture.sstable, .stop_at = 17};
    assert_int_equal(ch_sstable_keys(fixture.sstable, count_and_ask, &count),
                     CH_ERR_LIMIT);
    assert_int_equal(count.calls, 17);
    count = (visit_count_t){.sstable = fixture.sstable};
    assert_int_equal(ch_sstable_keys(fixture.sstable, count_and_ask, &count), CH_OK);
    assert_int_equal(count.calls, fixture.model.count);
    fixture_release(&fixture);
}

/* Goal: a file of a newer version is named so, another table's file is refused. Method: raise the
 * version in the footer; open under another number. */
static void
test_other_versions_and_numbers_are_refused(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 900);
    ch_sst_model_random(&fixture.model, &fixture.rng, 5, 3);
    write_and_open(&fixture);
    ch_sstable_t *other = NULL;
    assert_int_equal(ch_sstable_open(fixture.fs, "t.sst", 8, &other), CH_ERR_CORRUPT);
    assert_non_null(strstr(ch_fail_text(), "number 7"));
    assert_int_equal(ch_sstable_open(fixture.fs, "missing.sst", 8, &other), CH_NOT_FOUND);
    /* One turned bit in the number is damage; a newer program's footer has another checksum too. */
    uint64_t version_bit = (fixture.info.file_bytes - 16) * 8 + 3;
    uint64_t check_bit = (fixture.info.file_bytes - 12) * 8;
    assert_int_equal(ch_simfs_flip(fixture.simfs, "t.sst", version_bit), CH_OK);
    assert_int_equal(ch_sstable_open(fixture.fs, "t.sst", 7, &other), CH_ERR_CORRUPT);
    assert_non_null(strstr(ch_fail_text(), "version number is damaged"));
    assert_int_equal(ch_simfs_flip(fixture.simfs, "t.sst", check_bit), CH_OK);
    assert_int_equal(ch_sstable_open(fixture.fs, "t.sst", 7, &other), CH_ERR_VERSION);
    assert_non_null(strstr(ch_fail_text(), "version 9"));
    assert_null(other);
    fixture_release(&fixture);
}

static void *
read_all(void *context)
{
    fixture_t *fixture = context;
    size_t errors = 0;
    bool good = true;
    for (int round = 0; round < 3; round++)
        good &= ch_sst_model_matches(&fixture->model, fixture->sstable, false, &errors);
    return good ? fixture : NULL;
}

/* Goal: a table is shared by any number of threads. Method: three read all of it at once. */
static void
test_threads_share_a_table(void **state)
{
    (void)state;
    fixture_t fixture;
    pthread_t threads[3];
    fixture_init(&fixture, 1000);
    ch_sst_model_random(&fixture.model, &fixture.rng, 300, 100);
    write_and_open(&fixture);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_all, &fixture), 0);
    for (int i = 0; i < 3; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, &fixture);
    }
    fixture_release(&fixture);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_answer_like_a_sorted_array),
        cmocka_unit_test(test_caches_of_any_size_change_no_answer),
        cmocka_unit_test(test_series_that_are_not_there_are_not_found),
        cmocka_unit_test(test_writer_refuses_what_would_make_a_lying_table),
        cmocka_unit_test(test_empty_tables_open_and_hold_nothing),
        cmocka_unit_test(test_huge_series_span_many_blocks),
        cmocka_unit_test(test_long_strings_are_cut_into_more_chunks),
        cmocka_unit_test(test_summaries_come_from_chunk_entries),
        cmocka_unit_test(test_summaries_say_where_counters_fall),
        cmocka_unit_test(test_equal_time_columns_are_stored_once),
        cmocka_unit_test(test_visitors_may_stop_and_may_ask),
        cmocka_unit_test(test_other_versions_and_numbers_are_refused),
        cmocka_unit_test(test_threads_share_a_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
