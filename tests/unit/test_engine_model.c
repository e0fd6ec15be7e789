/* Goal: whatever happens in whatever order, answers are those of a walk over plain arrays: reads, newest
 * points, series, labels, aggregates; through flushes, merges, deletes, retention, crashes, restarts.
 *
 * CH_TEST_LONG=1 takes 100,000 steps, CH_MODEL_STEPS any number; CH_TEST_SEED replays. */
#include "db/engine_state.h"
#include "support/engine_rig.h"
#include "support/test.h"

#define SECOND INT64_C(1000000000)

enum { STEPS = 3000, STEPS_LONG = 100000, AGE_S = 500, PRUNE_EVERY = 500 };

typedef struct times {
    int64_t wall, monotonic;
} times_t;

static int64_t
wall_of(void *context)
{
    return ((times_t *)context)->wall;
}

static int64_t
monotonic_of(void *context)
{
    return ((times_t *)context)->monotonic;
}

/* Merge everything; then every table is of the last level, and none is left to merge. */
static void
compact_all(ch_rig_t *rig)
{
    uint64_t lsn;
    assert_int_equal(ch_engine_compact(rig->engine, &lsn), CH_OK);
    assert_int_equal(ch_engine_compacted_lsn(rig->engine), lsn);
    assert_int_equal(ch_rig_stat(rig, "sst.tables"), ch_rig_stat(rig, "sst.tables_3"));
    assert_int_equal(ch_rig_stat(rig, "compaction.debt_bytes"), 0);
    assert_int_equal(ch_rig_stat(rig, "engine.tombstones"), 0);
    ch_model_compare(rig->model, rig->engine, &rig->rng, true);
}

/* A run of the rules. Which cut follows from clock and data is test_retention's to judge; here it must
 * keep what is young, and take exactly what lies before it. */
static void
retain(ch_rig_t *rig, times_t *times)
{
    uint64_t before = ch_engine_appended_lsn(rig->engine);
    times->wall += CH_RETENTION_RUN_NS;
    times->monotonic += CH_RETENTION_RUN_NS;
    assert_true(ch_engine_retain(rig->engine) >= 0);
    uint64_t lsn = ch_engine_appended_lsn(rig->engine);
    assert_in_range(lsn - before, 0, 1);
    if (lsn == before)
        return;
    const ch_retention_t *retention = &rig->engine->retention;
    assert_true(retention->cuts[0] <= retention->clock.reference - AGE_S * SECOND);
    ch_model_retained(rig->model, retention->cuts[0], lsn);
}

static int
steps_wanted(void)
{
    const char *given = getenv("CH_MODEL_STEPS");
    return given ? atoi(given) : getenv("CH_TEST_LONG") ? STEPS_LONG : STEPS;
}

static void
step_once(ch_rig_t *rig, times_t *times)
{
    uint64_t choice = ch_rng_below(&rig->rng, 1000), ignored;
    if (choice < 560)
        ch_rig_append(rig, ch_rng_below(&rig->rng, 2));
    else if (choice < 597)
        ch_rig_delete(rig, ch_rng_below(&rig->rng, 2));
    else if (choice < 600)
        retain(rig, times);
    else if (choice < 800)
        assert_int_equal(ch_engine_sync(rig->engine), CH_OK);
    else if (choice < 940)
        ch_model_compare(rig->model, rig->engine, &rig->rng, false);
    else if (choice < 960)
        assert_int_equal(ch_engine_work(rig->engine), CH_OK);
    else if (choice < 973)
        assert_int_equal(ch_engine_flush(rig->engine, &ignored), CH_OK);
    else if (choice < 975)
        compact_all(rig);
    else if (choice < 990)
        assert_int_equal(ch_engine_seal(rig->engine, &ignored), CH_OK);
    else if (choice < 996)
        ch_rig_crash(rig, (ch_simfs_crash_t)ch_rng_below(&rig->rng, 3));
    else
        ch_rig_restart(rig);
}

static void
test_random_operations_match_the_model(void **state)
{
    (void)state;
    static ch_rig_t rig;
    times_t times = {1000 * SECOND, 1};
    const ch_clock_t clock = {wall_of, monotonic_of, &times};
    ch_rig_init(&rig, ch_test_seed());
    ch_engine_destroy(&rig.engine);
    rig.options.clock = &clock;
    rig.options.retention.age_ns = AGE_S * SECOND;
    ch_rig_open(&rig);
    int steps = steps_wanted();
    for (int step = 0; step < steps; step++) {
        step_once(&rig, &times);
        if (step % PRUNE_EVERY == 0)
            ch_model_prune(rig.model, ch_engine_durable_lsn(rig.engine));
    }
    ch_rig_restart(&rig);
    ch_rig_release(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_operations_match_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
