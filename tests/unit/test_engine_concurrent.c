/* P4 with threads: a batch writes the same stamp to two series; readers beside the writer, the
 * syncer, the flusher and the compactor never see one without the other, and never see a stamp go back. New series come
 * all the while, and the flusher writes the catalogue of those that came before. */
#include "support/test.h"

#include "ch/alloc.h"
#include "ch/engine.h"

#include <pthread.h>
#include <sched.h>

enum { BATCHES = 4000, READERS = 2, PAD = 40, BATCHES_PER_SERIES = 4 };

typedef struct shared {
    ch_engine_t *engine;
    bool done;
    uint64_t looks[READERS];
    const char *wrong;
} shared_t;

typedef struct reader {
    shared_t *shared;
    int number;
} reader_t;

static bool
newest(ch_view_t *view, const char *name, int64_t *stamp_out)
{
    int64_t time;
    ch_value_t value = ch_value_int(0);
    ch_status_t status = ch_view_get(view, ch_bytes_text(name), ch_bytes(NULL, 0),
                                     CH_TIME_MAX, &time, &value);
    *stamp_out = status == CH_OK ? value.i64 : 0;
    return status == CH_OK || status == CH_NOT_FOUND;
}

static void *
read_pairs(void *context)
{
    reader_t *reader = context;
    shared_t *shared = reader->shared;
    int64_t before = 0;
    while (!__atomic_load_n(&shared->done, __ATOMIC_ACQUIRE)) {
        ch_view_t *view = NULL;
        int64_t left = 0, right = 0;
        if (ch_view_open(shared->engine, &view) < 0)
            break;
        if (!newest(view, "left", &left) || !newest(view, "right", &right))
            shared->wrong = "a get failed";
        ch_view_destroy(&view);
        if (right != left || left < before) /* one view: one position */
            shared->wrong = "half a batch, or a stamp went back";
        before = left;
        shared->looks[reader->number]++;
    }
    return NULL;
}

static void
append_pair(ch_engine_t *engine, int64_t stamp)
{
    ch_bytes_t names[PAD + 2], labels[PAD + 2] = {{0}};
    ch_value_t list[PAD + 2];
    char pad[PAD][16];
    char fresh[32];
    snprintf(fresh, sizeof fresh, "n=\"%d\"", (int)(stamp / BATCHES_PER_SERIES));
    labels[PAD] = ch_bytes_text(fresh);
    names[0] = ch_bytes_text("left");
    names[PAD + 1] = ch_bytes_text("right");
    list[0] = list[PAD + 1] = ch_value_int(stamp);
    for (int i = 0; i < PAD;
         i++) { /* between the two, so that there is a middle to be caught in */
        snprintf(pad[i], sizeof pad[i], "pad%d", i);
        names[i + 1] = ch_bytes_text(pad[i]);
        list[i + 1] = ch_value_float((double)stamp / 3);
    }
    ch_values_t values = {.form = CH_VALUES_LIST, .list = list};
    ch_batch_block_t block = {.kind = CH_BLOCK_POINTS,
                              .rows = PAD + 2,
                              .fields = 1,
                              .names = names,
                              .labels = labels,
                              .times = {.form = CH_TIMES_REGULAR, .start = stamp},
                              .values = &values};
    ch_batch_t batch = {.identity = {.present = true,
                                     .producer = "pairs",
                                     .epoch = 1,
                                     .seq = (uint64_t)stamp},
                        .blocks = &block,
                        .block_count = 1,
                        .points = PAD + 2};
    ch_append_result_t result;
    if (!ch_engine_ready(engine))
        assert_int_equal(ch_engine_sync(engine), CH_OK);
    assert_int_equal(ch_engine_append(engine, &batch, &result), CH_OK);
    assert_int_equal(result.state, CH_APPEND_TAKEN);
}

typedef struct counts {
    double points, merges;
} counts_t;

static void
take_counts(void *context, const ch_stat_t *stat)
{
    counts_t *counts = context;
    if (strcmp(stat->name, "sst.points") == 0)
        counts->points = stat->value;
    if (strcmp(stat->name, "compaction.count") == 0)
        counts->merges = stat->value;
}

/* Wait until everything is merged. */
static void
compact(ch_engine_t *engine)
{
    uint64_t lsn;
    assert_int_equal(ch_engine_compact(engine, &lsn), CH_OK);
    while (ch_engine_compacted_lsn(engine) < lsn && !ch_engine_failed(engine))
        sched_yield();
}

typedef struct series_stats {
    double series, loaded;
} series_stats_t;

static void
keep_series(void *context, const ch_stat_t *stat)
{
    series_stats_t *stats = context;
    if (strcmp(stat->name, "engine.series") == 0)
        stats->series = stat->value;
    if (strcmp(stat->name, "engine.series_loaded") == 0)
        stats->loaded = stat->value;
}

/* The catalogue that was written beside the writer has every series, and each is found by label. */
static void
check_catalogue(const ch_engine_options_t *options)
{
    enum { FRESH = BATCHES / BATCHES_PER_SERIES + 1 };
    ch_engine_t *engine = NULL;
    ch_view_t *view = NULL;
    series_stats_t stats = {0};
    assert_int_equal(ch_engine_open(options, &engine), CH_OK);
    ch_engine_stats(engine, keep_series, &stats);
    assert_int_equal(stats.series, FRESH + PAD + 1);
    assert_int_equal(stats.loaded, FRESH + PAD + 1);
    assert_int_equal(ch_view_open(engine, &view), CH_OK);
    const ch_source_t *source = ch_view_source(view);
    for (int i = 0; i < FRESH; i++) {
        char text[32];
        ch_selector_t *selector = NULL;
        ch_series_list_t list = {0};
        snprintf(text, sizeof text, "{n=\"%d\"}", i);
        assert_int_equal(ch_selector_parse(ch_bytes_text(text), &selector), CH_OK);
        assert_int_equal(source->select(source->context, selector, CH_TIME_MIN,
                                        CH_TIME_MAX, 10, &list),
                         CH_OK);
        assert_int_equal(list.count, 1);
        ch_series_list_release(&list);
        ch_selector_destroy(&selector);
    }
    ch_view_destroy(&view);
    ch_engine_destroy(&engine);
}

static void
test_readers_see_whole_batches(void **state)
{
    (void)state;
    char *path = ch_test_dir_new();
    ch_engine_options_t options;
    ch_engine_options_init(&options);
    options.path = path;
    options.memtable_bytes = 64 << 10;
    options.catalogue_series_min = 20;
    options.compaction_flushes = 2;
    options.compaction_bytes_per_s = 0;
    shared_t shared = {.done = false};
    assert_int_equal(ch_engine_open(&options, &shared.engine), CH_OK);
    pthread_t threads[READERS];
    reader_t readers[READERS];
    for (int i = 0; i < READERS; i++) {
        readers[i] = (reader_t){&shared, i};
        assert_int_equal(pthread_create(&threads[i], NULL, read_pairs, &readers[i]), 0);
    }
    for (int64_t stamp = 1; stamp <= BATCHES; stamp++)
        append_pair(shared.engine, stamp);
    assert_int_equal(ch_engine_sync(shared.engine), CH_OK);
    compact(shared.engine);
    __atomic_store_n(&shared.done, true, __ATOMIC_RELEASE);
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(shared.looks[i] > 0);
    }
    if (shared.wrong)
        fail_msg("%s", shared.wrong);
    counts_t counts = {0};
    assert_int_equal(ch_engine_close(shared.engine), CH_OK);
    ch_engine_stats(shared.engine, take_counts, &counts);
    assert_true(counts.points == (double)BATCHES * (PAD + 2)); /* every point, once */
    assert_true(counts.merges >= 2);
    ch_engine_destroy(&shared.engine);
    check_catalogue(&options);
    ch_test_dir_remove(&path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_readers_see_whole_batches)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
