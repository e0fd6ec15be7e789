/* Churn with a fast clock: new series every day for a month, retention of a week, a node that never
 * restarts. What it holds of series stays that of a week and what is on its way out.
 *
 * Goal    series, memory and catalogue are bounded by the days that live, not by those that were; every
 *         answer is that of a model.
 * Method  days of 24 hours on a clock of our own: each hour some series come, each with points of that hour
 *         alone, some stay all month; retention runs, tables merge, series are swept as they fall due.
 *         CH_TEST_LONG: a million new series a day, on a real disk. CH_CHURN_A_DAY: as many as it says. */
#include "ch/alloc.h"
#include "db/engine_state.h"
#include "support/simfs.h"
#include "support/test.h"

#define HOUR INT64_C(3600000000000)
#define DAY (24 * HOUR)
#define T0 (INT64_C(1700000000000000000) / DAY * DAY)

enum {
    DAYS = 30,
    KEPT_DAYS = 7,
    STAYING = 100, /* series that have a point every hour of all days */
    NEW_A_DAY = 2400,
    NEW_A_DAY_LONG = 1000000,
    BATCH = 1000,
    ROOM_DAYS = 9, /* a week, the day at hand, and what is on its way out */
};

typedef struct churn {
    ch_engine_t *engine;
    ch_engine_options_t options;
    ch_clock_t clock;
    int64_t wall, monotonic;
    int new_an_hour;
    int hour;                 /* hours that are over */
    double series_most[DAYS]; /* by day, as of its end */
    double memory_most[DAYS], catalogue_most[DAYS];
} churn_t;

static int64_t
wall_of(void *context)
{
    return ((churn_t *)context)->wall;
}

static int64_t
monotonic_of(void *context)
{
    return ((churn_t *)context)->monotonic;
}

static void
append(churn_t *churn, const ch_bytes_t *names, const ch_bytes_t *labels, uint32_t rows)
{
    ch_value_t list[BATCH];
    for (uint32_t i = 0; i < rows; i++)
        list[i] = ch_value_int(churn->hour + 1);
    ch_values_t values = {.form = CH_VALUES_LIST, .list = list};
    ch_batch_block_t block = {.kind = CH_BLOCK_POINTS,
                              .rows = rows,
                              .fields = 1,
                              .names = names,
                              .labels = labels,
                              .times = {.form = CH_TIMES_REGULAR, .start = churn->wall},
                              .values = &values};
    ch_batch_t batch = {.blocks = &block, .block_count = 1, .points = rows};
    ch_append_result_t result;
    while (!ch_engine_ready(churn->engine)) {
        assert_int_equal(ch_engine_sync(churn->engine), CH_OK);
        assert_int_equal(ch_engine_work(churn->engine), CH_OK);
    }
    assert_int_equal(ch_engine_append(churn->engine, &batch, &result), CH_OK);
    assert_int_equal(result.state, CH_APPEND_TAKEN);
}

/* Series that come with this hour, and those that stay. */
static void
append_hour(churn_t *churn)
{
    static char texts[BATCH][96];
    ch_bytes_t names[BATCH], labels[BATCH];
    for (int from = 0; from < churn->new_an_hour; from += BATCH) {
        int rows = churn->new_an_hour - from < BATCH ? churn->new_an_hour - from : BATCH;
        for (int i = 0; i < rows; i++) {
            snprintf(texts[i], sizeof texts[i],
                     "hour=\"%d\",job=\"batch\",pod=\"worker-%08x-%d\"", churn->hour,
                     (unsigned)(from + i) * 2654435761u, churn->hour);
            names[i] = ch_bytes_text("jobs_done");
            labels[i] = ch_bytes_text(texts[i]);
        }
        append(churn, names, labels, (uint32_t)rows);
    }
    for (int i = 0; i < STAYING; i++) {
        snprintf(texts[i], sizeof texts[i], "host=\"h%d\"", i);
        names[i] = ch_bytes_text("up");
        labels[i] = ch_bytes_text(texts[i]);
    }
    append(churn, names, labels, STAYING);
}

/* An hour goes by in steps of two minutes, as far as retention is concerned. */
static void
pass_hour(churn_t *churn)
{
    append_hour(churn);
    for (int step = 0; step < 30; step++) {
        churn->wall += HOUR / 30;
        churn->monotonic += HOUR / 30;
        assert_true(ch_engine_retain(churn->engine) >= 0);
    }
    churn->hour++;
    assert_int_equal(ch_engine_sync(churn->engine), CH_OK);
    if (churn->hour % 2 == 0) {
        uint64_t lsn;
        assert_int_equal(ch_engine_flush(churn->engine, &lsn), CH_OK);
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(ch_engine_work(churn->engine), CH_OK);
}

/* ---- what it holds ---- */

typedef struct stat_walk {
    const char *name;
    double value;
} stat_walk_t;

static void
note_stat(void *context, const ch_stat_t *stat)
{
    stat_walk_t *walk = context;
    if (strcmp(stat->name, walk->name) == 0)
        walk->value = stat->value;
}

static double
stat_of(churn_t *churn, const char *name)
{
    stat_walk_t walk = {name, -1};
    ch_engine_stats(churn->engine, note_stat, &walk);
    assert_true(walk.value >= 0);
    return walk.value;
}

typedef struct file_walk {
    churn_t *churn;
    uint64_t bytes;
} file_walk_t;

static ch_status_t
add_size(void *context, const char *name)
{
    file_walk_t *walk = context;
    ch_file_t *file = NULL;
    uint64_t size = 0;
    char path[256];
    snprintf(path, sizeof path, "%s/catalogue/%s", walk->churn->options.path, name);
    assert_int_equal(ch_fs_open(walk->churn->options.fs, path, CH_FS_READ, &file), CH_OK);
    assert_int_equal(ch_fs_size(file, &size), CH_OK);
    ch_fs_close(&file);
    walk->bytes += size;
    return CH_OK;
}

static double
catalogue_bytes(churn_t *churn)
{
    file_walk_t walk = {churn, 0};
    char path[200];
    snprintf(path, sizeof path, "%s/catalogue", churn->options.path);
    assert_int_equal(ch_fs_list(churn->options.fs, path, add_size, &walk), CH_OK);
    return (double)walk.bytes;
}

static void
note_day(churn_t *churn, int day)
{
    churn->series_most[day] = stat_of(churn, "engine.series");
    churn->memory_most[day] = stat_of(churn, "memory.series");
    churn->catalogue_most[day] = catalogue_bytes(churn);
}

/* ---- what it answers ---- */

static uint64_t
count_of(churn_t *churn, const char *match, uint64_t *series_out)
{
    ch_view_t *view = NULL;
    ch_selector_t *selector = NULL;
    uint64_t points;
    assert_int_equal(ch_selector_parse(ch_bytes_text(match), &selector), CH_OK);
    assert_int_equal(ch_view_open(churn->engine, &view), CH_OK);
    if (ch_view_count(view, selector, CH_TIME_MIN, CH_TIME_MAX, NULL, 0, &points,
                      series_out) < 0)
        fail_msg("count of %s: %s", match, ch_fail_text());
    ch_view_destroy(&view);
    ch_selector_destroy(&selector);
    return points;
}

/* Hours whose points are older than a week are gone; a cut may lag by its grain and a run. */
static void
check_answers(churn_t *churn, ch_rng_t *rng)
{
    char match[64];
    uint64_t series, points = count_of(churn, "up", &series);
    int gone = churn->hour - KEPT_DAYS * 24 - 3, last = churn->hour - 1;
    assert_int_equal(series, STAYING);
    int most = KEPT_DAYS * 24 + 3, kept = (int)(points / STAYING);
    assert_int_equal(points % STAYING, 0);
    assert_in_range(kept, churn->hour < most - 3 ? churn->hour : KEPT_DAYS * 24,
                    churn->hour < most ? churn->hour : most);
    for (int i = 0; i < 6; i++) {
        int hour = i == 0 ? last : (int)ch_rng_below(rng, (uint64_t)churn->hour);
        bool lives = hour >= churn->hour - kept;
        snprintf(match, sizeof match, "jobs_done{hour=\"%d\"}", hour);
        points = count_of(churn, match, &series);
        assert_int_equal(series, lives ? churn->new_an_hour : 0);
        assert_int_equal(points, series);
        assert_true(lives || hour < gone + 6);
    }
}

typedef struct values_walk {
    int hours;
} values_walk_t;

static bool
count_value(void *context, ch_bytes_t text)
{
    (void)text;
    ((values_walk_t *)context)->hours++;
    return true;
}

/* Label values are those of series with points. */
static void
check_labels(churn_t *churn)
{
    ch_view_t *view = NULL;
    values_walk_t walk = {0};
    uint64_t series;
    int kept = (int)(count_of(churn, "up{host=\"h1\"}", &series));
    assert_int_equal(ch_view_open(churn->engine, &view), CH_OK);
    assert_int_equal(
        ch_view_label_values(view, NULL, ch_bytes_text("hour"), count_value, &walk),
        CH_OK);
    ch_view_destroy(&view);
    assert_int_equal(walk.hours, kept);
}

/* ---- the month ---- */

static void
check_bounds(const churn_t *churn)
{
    double room = (double)(ROOM_DAYS * 24 + 6) * churn->new_an_hour + STAYING;
    for (int day = 0; day < DAYS; day++)
        if (churn->series_most[day] > room)
            fail_msg("day %d ends with %.0f series, room is for %.0f", day,
                     churn->series_most[day], room);
    /* The last three weeks against the first nine days. */
    double memory = 0, catalogue = 0;
    for (int day = 0; day < ROOM_DAYS; day++) {
        memory = churn->memory_most[day] > memory ? churn->memory_most[day] : memory;
        if (churn->catalogue_most[day] > catalogue)
            catalogue = churn->catalogue_most[day];
    }
    for (int day = ROOM_DAYS; day < DAYS; day++) {
        if (churn->memory_most[day] > memory * 5 / 4)
            fail_msg("day %d ends with %.0f bytes of series, day %d with %.0f", day,
                     churn->memory_most[day], ROOM_DAYS, memory);
        if (churn->catalogue_most[day] > catalogue * 5 / 4)
            fail_msg("day %d ends with a catalogue of %.0f bytes, day %d with %.0f", day,
                     churn->catalogue_most[day], ROOM_DAYS, catalogue);
    }
}

static void
run_month(churn_t *churn, ch_rng_t *rng, bool slow)
{
    for (int day = 0; day < DAYS; day++) {
        for (int hour = 0; hour < 24; hour++) {
            pass_hour(churn);
            if (hour % 8 == 0)
                check_answers(churn, rng);
        }
        check_labels(churn);
        note_day(churn, day);
        if (slow)
            print_message(
                "day %2d: series %8.0f, memory %6.1f MB, catalogue %6.1f MB, sweeps "
                "%.0f\n",
                day + 1, churn->series_most[day], churn->memory_most[day] / 1e6,
                churn->catalogue_most[day] / 1e6, stat_of(churn, "engine.series_sweeps"));
    }
    assert_true(stat_of(churn, "engine.series_sweeps") >= 5);
    check_bounds(churn);
}

static void
set_options(churn_t *churn)
{
    ch_engine_options_t *options = &churn->options;
    churn->clock = (ch_clock_t){wall_of, monotonic_of, churn};
    churn->wall = T0;
    churn->monotonic = 1;
    options->clock = &churn->clock;
    options->background_threads = 0;
    options->retention = (ch_retention_options_t){.age_ns = KEPT_DAYS * DAY};
    options->memory_limit = 16ull << 30;
    options->catalogue_series_min = 100;
    options->sweep_series_min = 100;
    options->limits.producer_series = UINT32_MAX; /* one brings them all */
}

static void
test_a_month_of_churn(void **state)
{
    (void)state;
    static churn_t churn;
    ch_rng_t rng;
    const char *given = getenv("CH_CHURN_A_DAY");
    bool slow = getenv("CH_TEST_LONG") || given;
    int a_day = given ? atoi(given) : slow ? NEW_A_DAY_LONG : NEW_A_DAY;
    uint64_t seed = ch_test_seed();
    ch_simfs_t *simfs = slow ? NULL : ch_simfs_new(seed);
    char *dir = slow ? ch_test_dir_new() : NULL;
    char path[200] = "db";
    if (dir)
        snprintf(path, sizeof path, "%s/db", dir);
    ch_rng_seed(&rng, seed);
    churn.new_an_hour = a_day / 24;
    ch_engine_options_init(&churn.options);
    set_options(&churn);
    if (simfs)
        churn.options.fs = ch_simfs_fs(simfs);
    churn.options.path = path;
    assert_int_equal(ch_engine_open(&churn.options, &churn.engine), CH_OK);
    run_month(&churn, &rng, slow);
    double series = stat_of(&churn, "engine.series");
    assert_int_equal(ch_engine_close(churn.engine), CH_OK);
    ch_engine_destroy(&churn.engine);
    assert_int_equal(ch_engine_open(&churn.options, &churn.engine), CH_OK);
    assert_true(stat_of(&churn, "engine.series") <= series);
    check_answers(&churn, &rng);
    check_labels(&churn);
    ch_engine_destroy(&churn.engine);
    ch_simfs_destroy(&simfs);
    if (dir)
        ch_test_dir_remove(&dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_month_of_churn)};
    return cmocka_run_group_tests_name("series_churn", tests, NULL, NULL);
}
