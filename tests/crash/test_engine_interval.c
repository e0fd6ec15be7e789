/* wal.sync = interval:<time>: fewer syncs, and the same promise. Nothing is durable, seen or acknowledged
 * before the sync that covers it; in between, batches wait. */
#include "ch/alloc.h"
#include "ch/engine.h"
#include "support/simfs.h"
#include "support/test.h"

#include <pthread.h>

enum { HOUR_MS = 3600 * 1000, SHORT_MS = 20, ROUNDS = 20, WAIT_S = 60, CLONES_MAX = 80 };

typedef struct rig {
    ch_simfs_t *simfs;
    ch_engine_options_t options;
    ch_engine_t *engine; /* atomic: the observer may come before the open is done */
    uint64_t seq;
    pthread_mutex_t mutex; /* of the rest */
    pthread_cond_t moved;
    unsigned clones;
    uint64_t promised, found; /* of a crash that lost something durable */
} rig_t;

static void
note_progress(void *context)
{
    rig_t *rig = context;
    (void)pthread_mutex_lock(&rig->mutex);
    (void)pthread_cond_broadcast(&rig->moved);
    (void)pthread_mutex_unlock(&rig->mutex);
}

/* What the disk would hold if power went now. */
static uint64_t
recovered_lsn(const rig_t *rig, ch_simfs_t *simfs)
{
    ch_engine_options_t options = rig->options;
    ch_engine_t *engine = NULL;
    ch_simfs_t *disk = ch_simfs_clone(simfs);
    ch_simfs_crash(disk, CH_SIMFS_LOSE_UNSYNCED, NULL);
    options.fs = ch_simfs_fs(disk);
    options.background_threads = 0;
    options.on_progress = NULL;
    if (ch_engine_open(&options, &engine) < 0)
        fail_msg("after power loss: %s", ch_fail_text());
    uint64_t lsn = ch_engine_durable_lsn(engine);
    ch_engine_destroy(&engine);
    ch_simfs_destroy(&disk);
    return lsn;
}

/* After each write and sync of the log, in the syncer's thread: what is durable now is on the disk. */
static void
crash_here(void *context, ch_simfs_t *simfs, ch_simfs_call_t call, const char *path)
{
    (void)call;
    rig_t *rig = context;
    ch_engine_t *engine = __atomic_load_n(&rig->engine, __ATOMIC_ACQUIRE);
    (void)pthread_mutex_lock(&rig->mutex);
    bool look = engine && strstr(path, ".wal") && rig->clones++ < CLONES_MAX;
    (void)pthread_mutex_unlock(&rig->mutex);
    if (!look)
        return;
    uint64_t promised = ch_engine_durable_lsn(engine);
    uint64_t found = recovered_lsn(rig, simfs);
    if (found >= promised)
        return;
    (void)pthread_mutex_lock(&rig->mutex);
    rig->promised = promised;
    rig->found = found;
    (void)pthread_mutex_unlock(&rig->mutex);
}

static void
open_rig(rig_t *rig, uint32_t interval_ms)
{
    *rig = (rig_t){.simfs = ch_simfs_new(ch_test_seed())};
    (void)pthread_mutex_init(&rig->mutex, NULL);
    (void)pthread_cond_init(&rig->moved, NULL);
    ch_engine_options_init(&rig->options);
    rig->options.fs = ch_simfs_fs(rig->simfs);
    rig->options.path = "db";
    rig->options.background_threads = 1;
    rig->options.sync_mode = CH_SYNC_INTERVAL;
    rig->options.sync_interval_ms = interval_ms;
    rig->options.wal_segment_max_age_ms = HOUR_MS;
    rig->options.memtable_bytes = 64 << 10;
    rig->options.reserve_bytes = 64 << 10; /* each crash copies the disk */
    rig->options.on_progress = note_progress;
    rig->options.on_progress_context = rig;
    ch_simfs_observe(rig->simfs, CH_SIMFS_WRITE | CH_SIMFS_SYNC, crash_here, rig);
    ch_engine_t *engine = NULL;
    if (ch_engine_open(&rig->options, &engine) < 0)
        fail_msg("open: %s", ch_fail_text());
    __atomic_store_n(&rig->engine, engine, __ATOMIC_RELEASE);
}

static void
close_rig(rig_t *rig)
{
    ch_engine_t *engine =
        rig->engine; /* crash_here reads it until the threads are gone */
    ch_engine_destroy(&engine);
    rig->engine = NULL;
    ch_simfs_destroy(&rig->simfs);
    if (rig->promised)
        fail_msg("lsn %llu was durable, a power loss left %llu",
                 (unsigned long long)rig->promised, (unsigned long long)rig->found);
    assert_true(rig->clones > 1);
    (void)pthread_cond_destroy(&rig->moved);
    (void)pthread_mutex_destroy(&rig->mutex);
}

/* Batch n sets `k` to n at time n; its lsn is n too. */
static void
append(rig_t *rig)
{
    rig->seq++;
    const ch_bytes_t name = ch_bytes_text("k"), labels = {0};
    const ch_value_t value = ch_value_int((int64_t)rig->seq);
    const ch_values_t values = {.form = CH_VALUES_LIST, .list = &value};
    const ch_batch_block_t block = {
        .kind = CH_BLOCK_POINTS,
        .rows = 1,
        .fields = 1,
        .names = &name,
        .labels = &labels,
        .times = {.form = CH_TIMES_REGULAR, .start = (int64_t)rig->seq},
        .values = &values};
    const ch_batch_t batch = {
        .identity = {.present = true, .producer = "p", .epoch = 1, .seq = rig->seq},
        .blocks = &block,
        .block_count = 1,
        .points = 1};
    ch_append_result_t result;
    assert_int_equal(ch_engine_append(rig->engine, &batch, &result), CH_OK);
    assert_int_equal(result.state, CH_APPEND_TAKEN);
    assert_int_equal(result.lsn, rig->seq);
}

/* Wait, without asking for a sync, until all that was appended is durable. */
static void
wait_durable(rig_t *rig)
{
    struct timespec end;
    (void)clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += WAIT_S;
    (void)pthread_mutex_lock(&rig->mutex);
    int late = 0;
    while (ch_engine_durable_lsn(rig->engine) < rig->seq && !late)
        late = pthread_cond_timedwait(&rig->moved, &rig->mutex, &end);
    (void)pthread_mutex_unlock(&rig->mutex);
    assert_int_equal(late, 0);
}

/* The seq up to which an ack says `durable`, and the newest value that a reader sees. */
static void
assert_told(rig_t *rig, uint64_t seq)
{
    ch_session_view_t *session = ch_calloc(1, sizeof *session);
    assert_int_equal(ch_engine_session(rig->engine, "p", session), CH_OK);
    assert_int_equal(session->durable, seq);
    assert_int_equal(session->received, rig->seq);
    ch_free(session);
    ch_view_t *view = NULL;
    int64_t time;
    ch_value_t value;
    assert_int_equal(ch_view_open(rig->engine, &view), CH_OK);
    assert_int_equal(ch_view_get(view, ch_bytes_text("k"), (ch_bytes_t){0}, CH_TIME_MAX,
                                 &time, &value),
                     CH_OK);
    assert_int_equal(value.i64, seq);
    ch_view_destroy(&view);
}

/* An interval that never passes: only who asks for a sync gets one. */
static void
test_between_syncs_nothing_is_durable(void **state)
{
    (void)state;
    rig_t rig;
    open_rig(&rig, HOUR_MS);
    append(&rig); /* the first finds no sync behind it, and goes at once */
    wait_durable(&rig);
    assert_told(&rig, 1);
    for (int i = 0; i < 50; i++)
        append(&rig);
    assert_told(&rig, 1);
    assert_int_equal(recovered_lsn(&rig, rig.simfs), 1);
    assert_int_equal(ch_engine_sync(rig.engine), CH_OK);
    assert_told(&rig, 51);
    assert_int_equal(recovered_lsn(&rig, rig.simfs), 51);
    close_rig(&rig);
}

/* Who asks right behind a sync gets one of his own: the syncer must not forget him with the one before. */
static void
test_asking_again_at_once_is_heard(void **state)
{
    (void)state;
    rig_t rig;
    open_rig(&rig, HOUR_MS);
    for (int i = 0; i < 2000; i++) {
        append(&rig);
        assert_int_equal(ch_engine_sync(rig.engine), CH_OK);
    }
    assert_told(&rig, 2000);
    close_rig(&rig);
}

/* The sync that the others wait for fails: none of them was durable for a moment. */
static void
test_a_failed_sync_makes_nothing_durable(void **state)
{
    (void)state;
    rig_t rig;
    open_rig(&rig, HOUR_MS);
    append(&rig);
    wait_durable(&rig);
    for (int i = 0; i < 10; i++)
        append(&rig);
    ch_simfs_set_fault(rig.simfs, CH_SIMFS_SYNC, 1, CH_SIMFS_EIO_ON);
    assert_true(ch_engine_sync(rig.engine) < 0);
    assert_true(ch_engine_failed(rig.engine));
    assert_told(&rig, 1);
    close_rig(&rig);
}

static int64_t
now_ms(void)
{
    ch_clock_t clock = ch_clock_system();
    return ch_clock_monotonic_ns(&clock) / 1000000;
}

/* A producer that waits for each ack gets it by itself, and at most one an interval. */
static void
test_syncs_come_at_most_once_an_interval(void **state)
{
    (void)state;
    rig_t rig;
    open_rig(&rig, SHORT_MS);
    int64_t begin = now_ms();
    for (int i = 0; i < ROUNDS; i++) {
        append(&rig);
        wait_durable(&rig);
        assert_told(&rig, rig.seq);
    }
    assert_true(now_ms() - begin >= (ROUNDS - 1) * SHORT_MS - 1);
    close_rig(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_between_syncs_nothing_is_durable),
        cmocka_unit_test(test_asking_again_at_once_is_heard),
        cmocka_unit_test(test_a_failed_sync_makes_nothing_durable),
        cmocka_unit_test(test_syncs_come_at_most_once_an_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
