/* Sweeps beside a writer, readers, flushes and merges: batches of new series come, deletes take those of
 * some rounds ago, some come back; readers find each round whole or not at all, and one pair of series
 * never torn and never going back, whatever roster they are on. */
#include "support/test.h"

#include "ch/alloc.h"
#include "ch/engine.h"
#include "ch/rng.h"
#include "support/simfs.h"

#include <pthread.h>
#include <sched.h>

enum {
    SERIES = 60,
    ROUNDS_LEAST = 48,
    SWEEPS_LEAST = 3,
    LIVE = 3,
    READERS = 2,
    LOOKS_A_ROUND = 6,
};

typedef struct shared {
    ch_engine_t *engine;
    pthread_mutex_t mutex;
    pthread_cond_t moved; /* the engine got on, or a round did */
    uint64_t moves;       /* under it */
    bool done;
    int round; /* atomic: last one that is durable */
    uint64_t looks[READERS];
    const char *wrong;
} shared_t;

typedef struct reader {
    shared_t *shared;
    int number;
    ch_rng_t rng;
} reader_t;

/* Series of a round in a view; -1 when it failed. */
static int
count_round(ch_view_t *view, int round)
{
    char text[32];
    snprintf(text, sizeof text, "{round=\"%d\"}", round);
    const ch_source_t *source = ch_view_source(view);
    ch_selector_t *selector = NULL;
    ch_series_list_t list = {0};
    ch_status_t status = ch_selector_parse(ch_bytes_text(text), &selector);
    if (status >= 0)
        status = source->select(source->context, selector, CH_TIME_MIN, CH_TIME_MAX,
                                SIZE_MAX, &list);
    int count = status < 0 ? -1 : (int)list.count;
    ch_points_t points = {0};
    for (size_t i = 0; i < list.count && count >= 0; i++) {
        bool more;
        ch_points_clear(&points);
        if (source->read(source->context, &list.items[i], CH_TIME_MIN, CH_TIME_MAX,
                         SIZE_MAX, &points, &more) < 0 ||
            points.count == 0)
            count = -1;
    }
    ch_points_release(&points);
    ch_series_list_release(&list);
    ch_selector_destroy(&selector);
    return count;
}

static int64_t
newest(ch_view_t *view, const char *name)
{
    int64_t time;
    ch_value_t value = ch_value_int(0);
    ch_status_t status = ch_view_get(view, ch_bytes_text(name), ch_bytes(NULL, 0),
                                     CH_TIME_MAX, &time, &value);
    return status == CH_OK ? value.i64 : status == CH_NOT_FOUND ? 0 : -1;
}

static void
note_move(void *context)
{
    shared_t *shared = context;
    (void)pthread_mutex_lock(&shared->mutex);
    shared->moves++;
    (void)pthread_cond_broadcast(&shared->moved);
    (void)pthread_mutex_unlock(&shared->mutex);
}

/* Until something moved that had not when `moves` was read. */
static void
wait_move(shared_t *shared, uint64_t moves)
{
    (void)pthread_mutex_lock(&shared->mutex);
    while (shared->moves == moves && !__atomic_load_n(&shared->done, __ATOMIC_ACQUIRE))
        (void)pthread_cond_wait(&shared->moved, &shared->mutex);
    (void)pthread_mutex_unlock(&shared->mutex);
}

static uint64_t
moves_of(shared_t *shared)
{
    (void)pthread_mutex_lock(&shared->mutex);
    uint64_t moves = shared->moves;
    (void)pthread_mutex_unlock(&shared->mutex);
    return moves;
}

static void *
look(void *context)
{
    reader_t *reader = context;
    shared_t *shared = reader->shared;
    int64_t before = 0;
    while (!__atomic_load_n(&shared->done, __ATOMIC_ACQUIRE)) {
        int last = __atomic_load_n(&shared->round, __ATOMIC_ACQUIRE);
        ch_view_t *view = NULL;
        if (ch_view_open(shared->engine, &view) < 0)
            break;
        int64_t left = newest(view, "left"), right = newest(view, "right");
        if (left != right || left < before || left < last)
            shared->wrong = "a pair is torn, old, or cannot be read";
        before = left;
        int round = last - (int)ch_rng_below(&reader->rng, 2 * LIVE + 2);
        int count = round > 0 ? count_round(view, round) : 0;
        if (count != 0 && count != SERIES)
            shared->wrong = "part of a round";
        if (left - round < LIVE && round > 0 && count != SERIES)
            shared->wrong = "a round is missing";
        ch_view_destroy(&view);
        uint64_t moves = moves_of(shared);
        if (++shared->looks[reader->number] % LOOKS_A_ROUND == 0 &&
            last == __atomic_load_n(&shared->round, __ATOMIC_ACQUIRE))
            wait_move(shared, moves); /* leave the processor to the others */
    }
    return NULL;
}

static void
append_round(ch_engine_t *engine, int round, int64_t stamp)
{
    ch_bytes_t names[SERIES + 2], labels[SERIES + 2] = {{0}};
    ch_value_t list[SERIES + 2];
    static char texts[SERIES][48];
    names[0] = ch_bytes_text("left");
    names[SERIES + 1] = ch_bytes_text("right");
    list[0] = list[SERIES + 1] = ch_value_int(stamp);
    for (int i = 0; i < SERIES; i++) {
        snprintf(texts[i], sizeof texts[i], "n=\"%d\",round=\"%d\"", i, round);
        names[i + 1] = ch_bytes_text("some");
        labels[i + 1] = ch_bytes_text(texts[i]);
        list[i + 1] = ch_value_int(round);
    }
    ch_values_t values = {.form = CH_VALUES_LIST, .list = list};
    ch_batch_block_t block = {.kind = CH_BLOCK_POINTS,
                              .rows = SERIES + 2,
                              .fields = 1,
                              .names = names,
                              .labels = labels,
                              .times = {.form = CH_TIMES_REGULAR, .start = stamp},
                              .values = &values};
    ch_batch_t batch = {.blocks = &block, .block_count = 1, .points = SERIES + 2};
    ch_append_result_t result;
    if (!ch_engine_ready(engine))
        assert_int_equal(ch_engine_sync(engine), CH_OK);
    assert_int_equal(ch_engine_append(engine, &batch, &result), CH_OK);
    assert_int_equal(result.state, CH_APPEND_TAKEN);
}

static void
delete_round(ch_engine_t *engine, int round)
{
    char text[32];
    ch_delete_result_t result;
    snprintf(text, sizeof text, "{round=\"%d\"}", round);
    const ch_delete_t what = {
        .match = ch_bytes_text(text), .start = CH_TIME_MIN, .end = CH_TIME_MAX};
    assert_int_equal(ch_engine_delete(engine, &what, &result), CH_OK);
    ch_view_destroy(&result.before);
}

typedef struct counts {
    double sweeps, series;
} counts_t;

static void
take_counts(void *context, const ch_stat_t *stat)
{
    counts_t *counts = context;
    if (strcmp(stat->name, "engine.series_sweeps") == 0)
        counts->sweeps = stat->value;
    if (strcmp(stat->name, "engine.series") == 0)
        counts->series = stat->value;
}

static counts_t
counts_of(ch_engine_t *engine)
{
    counts_t counts = {0};
    ch_engine_stats(engine, take_counts, &counts);
    return counts;
}

/* The node's writer asks this whenever it has nothing else to do. */
static void
idle(ch_engine_t *engine)
{
    assert_int_equal(ch_engine_retain(engine), CH_NOT_FOUND); /* no rules */
}

/* The sweep may want the writer meanwhile, as it would have it in a node. */
static void
compact(shared_t *shared)
{
    ch_engine_t *engine = shared->engine;
    uint64_t lsn, moves = moves_of(shared);
    assert_int_equal(ch_engine_compact(engine, &lsn), CH_OK);
    while (ch_engine_compacted_lsn(engine) < lsn && !ch_engine_failed(engine)) {
        idle(engine);
        wait_move(shared, moves);
        moves = moves_of(shared);
    }
}

static void
run_rounds(shared_t *shared)
{
    ch_engine_t *engine = shared->engine;
    for (int round = 1; round <= ROUNDS_LEAST || counts_of(engine).sweeps < SWEEPS_LEAST;
         round++) {
        uint64_t lsn;
        append_round(engine, round, round);
        if (round % 5 == 0 &&
            round > 2 * LIVE) { /* an old one comes back, and goes again */
            append_round(engine, round - 2 * LIVE, round);
            delete_round(engine, round - 2 * LIVE);
        }
        if (round > LIVE)
            delete_round(engine, round - LIVE);
        assert_int_equal(ch_engine_sync(engine), CH_OK);
        __atomic_store_n(&shared->round, round, __ATOMIC_RELEASE);
        note_move(shared);
        if (round % 4 == 0)
            assert_int_equal(ch_engine_flush(engine, &lsn), CH_OK);
        if (round % 16 == 0)
            compact(shared);
        idle(engine);
        if (shared->wrong)
            fail_msg("%s", shared->wrong);
    }
}

/* At rest all but the rounds that live leave. */
static void
settle(shared_t *shared)
{
    compact(shared);
    while (counts_of(shared->engine).series > (LIVE + 2) * SERIES) {
        idle(shared->engine); /* a look of the sweeper every quarter of a second */
        sched_yield();
    }
}

static void
test_sweeps_are_not_seen(void **state)
{
    (void)state;
    ch_engine_options_t options;
    shared_t shared = {0};
    pthread_t threads[READERS];
    reader_t readers[READERS];
    ch_simfs_t *simfs = ch_simfs_new(ch_test_seed());
    ch_engine_options_init(&options);
    options.fs = ch_simfs_fs(simfs);
    options.path = "db";
    options.memtable_bytes = 1 << 20;
    options.catalogue_series_min = 10;
    options.sweep_series_min = SERIES;
    options.on_progress = note_move;
    options.on_progress_context = &shared;
    (void)pthread_mutex_init(&shared.mutex, NULL);
    (void)pthread_cond_init(&shared.moved, NULL);
    assert_int_equal(ch_engine_open(&options, &shared.engine), CH_OK);
    for (int i = 0; i < READERS; i++) {
        readers[i] = (reader_t){.shared = &shared, .number = i};
        ch_rng_seed(&readers[i].rng, (uint64_t)i + 1);
        assert_int_equal(pthread_create(&threads[i], NULL, look, &readers[i]), 0);
    }
    run_rounds(&shared);
    settle(&shared);
    __atomic_store_n(&shared.done, true, __ATOMIC_RELEASE);
    note_move(&shared);
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    assert_null(shared.wrong);
    for (int i = 0; i < READERS; i++)
        assert_true(shared.looks[i] > 0);
    assert_int_equal(ch_engine_close(shared.engine), CH_OK);
    ch_engine_destroy(&shared.engine);
    ch_simfs_destroy(&simfs);
    (void)pthread_cond_destroy(&shared.moved);
    (void)pthread_mutex_destroy(&shared.mutex);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sweeps_are_not_seen)};
    return cmocka_run_group_tests_name("series_sweep_concurrent", tests, NULL, NULL);
}
