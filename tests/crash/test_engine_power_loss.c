/* P2 across log, flush and manifest: after every call that changes the disk, whatever a power loss
 * leaves there opens, holds every durable batch whole and nothing that was never sent. */
#include "support/engine_rig.h"
#include "support/test.h"

typedef struct crash_walk {
    ch_rig_t *rig;
    uint64_t states;
    uint64_t
        every; /* a crash at each call would take minutes: at every n-th, n drawn anew */
} crash_walk_t;

/* Open what the crash left beside the running engine, with a model of its own position. */
static void
check_clone(crash_walk_t *walk, ch_simfs_crash_t mode)
{
    ch_rig_t *rig = walk->rig;
    uint64_t durable = rig->engine ? ch_engine_durable_lsn(rig->engine) : 0;
    static ch_rig_t other;
    other = *rig;
    other.engine = NULL;
    other.simfs = ch_simfs_clone(rig->simfs);
    other.options.fs = ch_simfs_fs(other.simfs);
    ch_simfs_crash(other.simfs, mode, &other.rng);
    ch_rig_open(&other);
    uint64_t recovered = ch_engine_durable_lsn(other.engine);
    assert_true(recovered >= durable);
    other.model = ch_model_copy(rig->model);
    ch_rig_check(&other, durable);
    ch_engine_destroy(&other.engine);
    ch_model_destroy(&other.model);
    ch_simfs_destroy(&other.simfs);
    walk->states++;
}

static void
crash_here(void *context, ch_simfs_t *simfs, ch_simfs_call_t call, const char *path)
{
    (void)simfs;
    (void)call;
    (void)path;
    crash_walk_t *walk = context;
    if (--walk->every > 0)
        return;
    walk->every = 1 + ch_rng_below(&walk->rig->rng, getenv("CH_TEST_LONG") ? 3 : 16);
    check_clone(walk, CH_SIMFS_LOSE_UNSYNCED);
    check_clone(walk, CH_SIMFS_RANDOM);
}

static void
test_power_loss_at_any_call_loses_nothing_durable(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    rig.options.memtable_bytes = 32 << 10;
    ch_rig_restart(&rig);
    crash_walk_t walk = {.rig = &rig, .every = 1};
    ch_simfs_observe(rig.simfs, CH_SIMFS_CHANGES, crash_here, &walk);
    uint64_t ignored;
    for (int step = 0; step < 60; step++) {
        ch_rig_append(&rig, step % 2);
        if (step % 7 == 3)
            ch_rig_delete(&rig, step % 2);
        if (step % 3 == 0)
            assert_int_equal(ch_engine_sync(rig.engine), CH_OK);
        if (step % 20 == 7)
            assert_int_equal(ch_engine_flush(rig.engine, &ignored), CH_OK);
        if (step % 20 == 13)
            assert_int_equal(ch_engine_seal(rig.engine, &ignored), CH_OK);
        if (step % 10 == 9)
            assert_int_equal(ch_engine_work(rig.engine), CH_OK);
        if (step == 45)
            assert_int_equal(ch_engine_compact(rig.engine, &ignored), CH_OK);
    }
    assert_true(walk.states > 40);
    assert_true(ch_rig_stat(&rig, "compaction.count") >= 1);
    ch_simfs_observe(rig.simfs, 0, NULL, NULL);
    ch_rig_release(&rig);
}

/* The same around sweeps of series without points: the log names ids anew, the catalogue is rewritten. */
static void
test_power_loss_around_a_sweep_loses_nothing(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    crash_walk_t walk = {.rig = &rig, .every = 1};
    uint64_t ignored;
    int sweeps = 0;
    ch_simfs_observe(rig.simfs, CH_SIMFS_CHANGES, crash_here, &walk);
    for (int step = 0; sweeps < 3 && step < 400; step++) {
        ch_rig_append(&rig, step % 2);
        for (int i = 0; step % 4 == 3 && i < 12; i++)
            ch_rig_delete(&rig, step % 2);
        assert_int_equal(ch_engine_sync(rig.engine), CH_OK);
        if (step % 4 == 3)
            assert_int_equal(ch_engine_compact(rig.engine, &ignored), CH_OK);
        assert_int_equal(ch_engine_work(rig.engine), CH_OK);
        sweeps = (int)ch_rig_stat(&rig, "engine.series_sweeps");
    }
    assert_true(sweeps >= 3);
    ch_simfs_observe(rig.simfs, 0, NULL, NULL);
    ch_rig_release(&rig);
}

typedef struct beside {
    ch_rig_t *rig;
    bool done;
} beside_t;

/* While the flush writes its table, the writer goes on: durable batches in segments of their own,
 * then one that is not durable. */
static void
append_beside_flush(void *context, ch_simfs_t *simfs, ch_simfs_call_t call,
                    const char *path)
{
    (void)simfs;
    (void)call;
    beside_t *beside = context;
    uint64_t ignored;
    if (beside->done || !strstr(path, ".sst"))
        return;
    beside->done = true;
    for (int i = 0; i < 4; i++) {
        ch_rig_append(beside->rig, true);
        if (i % 2)
            ch_rig_delete(beside->rig, true);
        assert_int_equal(ch_engine_sync(beside->rig->engine), CH_OK);
        if (ch_engine_seal(beside->rig->engine, &ignored) < 0)
            fail_msg("seal: %s", ch_fail_text());
    }
    ch_rig_append(beside->rig, true);
}

static void
note_points(void *context, const ch_stat_t *stat)
{
    if (strcmp(stat->name, "engine.points") == 0)
        *(double *)context = stat->value;
}

static double
points_of(ch_engine_t *engine)
{
    double points = 0;
    ch_engine_stats(engine, note_points, &points);
    return points;
}

/* A flush retires the log, and stores the sessions, as of the memtable switch: not of its end. */
static void
test_flush_speaks_of_the_switch(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    rig.options.memtable_bytes = 64 << 20; /* no second flush inside the first */
    ch_rig_restart(&rig);
    for (int round = 0; round < 5; round++) {
        uint64_t ignored;
        beside_t beside = {.rig = &rig};
        double before = points_of(rig.engine);
        do /* a batch may be empty, and nothing but empty ones makes no table */
            ch_rig_append(&rig, true);
        while (points_of(rig.engine) == before);
        assert_int_equal(ch_engine_sync(rig.engine), CH_OK);
        ch_simfs_observe(rig.simfs, CH_SIMFS_WRITE, append_beside_flush, &beside);
        if (ch_engine_flush(rig.engine, &ignored) < 0)
            fail_msg("flush: %s", ch_fail_text());
        ch_simfs_observe(rig.simfs, 0, NULL, NULL);
        assert_true(beside.done);
        ch_rig_crash(&rig, CH_SIMFS_LOSE_UNSYNCED);
    }
    ch_rig_release(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flush_speaks_of_the_switch),
        cmocka_unit_test(test_power_loss_at_any_call_loses_nothing_durable),
        cmocka_unit_test(test_power_loss_around_a_sweep_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
