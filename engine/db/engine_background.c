/* engine_background.c - the syncer, the flusher, the reserve, and how failures spread. */
#include "db/engine_state.h"

#include "ch/alloc.h"
#include "ch/assert.h"

#include <stdio.h>
#include <time.h>

void
ch_engine_progress(ch_engine_t *engine)
{
    (void)pthread_mutex_lock(&engine->mutex);
    (void)pthread_cond_broadcast(&engine->moved);
    (void)pthread_mutex_unlock(&engine->mutex);
    if (engine->options.on_progress)
        engine->options.on_progress(engine->options.on_progress_context);
}

void
ch_engine_fail(ch_engine_t *engine, const char *what)
{
    (void)pthread_mutex_lock(&engine->mutex);
    bool first = !ch_engine_failed(engine);
    if (first) {
        (void)snprintf(engine->failure, sizeof engine->failure, "%s", what);
        __atomic_store_n(&engine->failed, true, __ATOMIC_RELEASE);
    }
    (void)pthread_cond_broadcast(&engine->sync_wanted);
    (void)pthread_cond_broadcast(&engine->flush_wanted);
    (void)pthread_cond_broadcast(&engine->compact_wanted);
    (void)pthread_mutex_unlock(&engine->mutex);
    if (!first)
        return;
    char quoted[320];
    ch_log(engine->options.log, CH_LOG_ERROR, "engine", "failed", "reason=%s",
           ch_log_quote(what, strlen(what), quoted, sizeof quoted));
    ch_engine_progress(engine);
}

/* ---- the reserve: room that a full disk still has ---- */

static ch_status_t
write_zeros(ch_file_t *file, uint64_t size)
{
    enum { STEP = 1 << 20 };
    uint8_t *zeros = ch_calloc(1, STEP);
    ch_status_t status = CH_OK;
    for (uint64_t at = 0; at < size && status >= 0; at += STEP)
        status = ch_fs_write(file, at, zeros, size - at < STEP ? size - at : STEP);
    ch_free(zeros);
    return status;
}

ch_status_t
ch_engine_reserve_fill(ch_engine_t *engine)
{
    ch_fs_t *fs = engine->options.fs;
    uint64_t unused = 0, total = 0, size = 0;
    ch_status_t asked = ch_fs_space(fs, engine->path, &unused, &total);
    engine->reserve_bytes = engine->options.reserve_bytes;
    if (!engine->reserve_bytes)
        engine->reserve_bytes = asked >= 0 && total < CH_ENGINE_RESERVE_DISK_SMALL
                                    ? CH_ENGINE_RESERVE_BYTES_SMALL
                                    : CH_ENGINE_RESERVE_BYTES;
    char *path = ch_engine_path(engine->path, "reserve");
    ch_file_t *file = NULL;
    ch_status_t status = ch_fs_open(fs, path, CH_FS_WRITE | CH_FS_CREATE, &file);
    if (status >= 0)
        status = ch_fs_size(file, &size);
    if (status >= 0 && size < engine->reserve_bytes)
        status = unused > 2 * engine->reserve_bytes
                     ? write_zeros(file, engine->reserve_bytes)
                     : ch_fail(CH_ERR_NOSPACE, "%s: too little room", path);
    ch_fs_close(&file);
    if (status == CH_ERR_NOSPACE && ch_fs_unlink(fs, path) < 0) {
        /* Nothing was kept then either. */
    }
    ch_free(path);
    return status;
}

ch_status_t
ch_engine_reserve_shrink(ch_engine_t *engine)
{
    uint64_t size = 0;
    uint64_t wanted = CH_ENGINE_RESERVE_STOPPED + 2 * ch_manifest_bytes(engine->manifest);
#ifdef CH_FAULT_RESERVE_NOT_KEPT
    wanted = 0;
#endif
    char *path = ch_engine_path(engine->path, "reserve");
    ch_file_t *file = NULL;
    ch_status_t status = ch_fs_open(engine->options.fs, path, CH_FS_WRITE, &file);
    if (status == CH_OK)
        status = ch_fs_size(file, &size);
    if (status == CH_OK && size > wanted)
        status = ch_fs_truncate(file, wanted);
    ch_fs_close(&file);
    ch_free(path);
    return status < 0 ? status : CH_OK; /* CH_NOT_FOUND: it is spent */
}

/* Room on the disk is what is nearly always missing; descriptors are the exception. */
static const char *
reason_to_hold(const ch_engine_t *engine)
{
    uint64_t unused = 0, total = 0;
    bool room = ch_fs_space(engine->options.fs, engine->path, &unused, &total) >= 0 &&
                unused > 2 * engine->reserve_bytes;
    return room ? "no room for files, see the node's log" : "disk full";
}

void
ch_engine_reserve_spend(ch_engine_t *engine)
{
    char what[200], quoted[260];
    (void)snprintf(what, sizeof what, "%s", ch_fail_text());
    const char *reason = reason_to_hold(engine);
    (void)pthread_mutex_lock(&engine->mutex);
    bool spend = !engine->reserve_spent, news = !engine->held;
    engine->reserve_spent = engine->held = true;
    if (news)
        engine->held_reason = reason;
    (void)pthread_mutex_unlock(&engine->mutex);
    if (spend) {
        char *path = ch_engine_path(engine->path, "reserve");
        if (ch_fs_unlink(engine->options.fs, path) < 0) {
            /* It is gone already, or the disk says no: either way there is no more room here. */
        }
        ch_free(path);
    }
    if (!news)
        return;
    ch_log(engine->options.log, CH_LOG_ERROR, "engine", "disk_full",
           "action=\"writes wait\" reason=%s",
           ch_log_quote(what, strlen(what), quoted, sizeof quoted));
    ch_engine_progress(engine);
}

void
ch_engine_try_resume(ch_engine_t *engine)
{
    (void)pthread_mutex_lock(&engine->mutex);
    bool held = engine->held;
    (void)pthread_mutex_unlock(&engine->mutex);
    if (!held || ch_wal_pending_bytes(engine->wal) > 0 ||
        ch_engine_reserve_fill(engine) < 0)
        return;
#ifdef CH_FAULT_ENGINE_NO_RESUME
    return;
#endif
    (void)pthread_mutex_lock(&engine->mutex);
    engine->held = engine->reserve_spent = false;
    (void)pthread_mutex_unlock(&engine->mutex);
    ch_log(engine->options.log, CH_LOG_WARN, "engine", "disk_has_room",
           "action=\"writes go on\"");
    ch_engine_progress(engine);
}

/* ---- commits ---- */

ch_status_t
ch_engine_commit(ch_engine_t *engine)
{
    uint64_t before = ch_wal_durable_lsn(engine->wal);
    (void)pthread_mutex_lock(&engine->wal_commit_mutex);
    ch_status_t status = ch_wal_commit(engine->wal);
    (void)pthread_mutex_unlock(&engine->wal_commit_mutex);
    if (status == CH_ERR_NOSPACE)
        ch_engine_reserve_spend(engine);
    else if (status < 0)
        ch_engine_fail(engine, ch_fail_text());
    if (ch_wal_durable_lsn(engine->wal) != before)
        ch_engine_progress(engine);
    return status;
}

struct timespec
ch_engine_time_in_ms(int64_t ms)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_nsec -= 1000000000;
        at.tv_sec++;
    }
    return at;
}

/* Sleep until there is something to commit, a segment comes of age, or the disk is worth another
 * try. Returns false when the engine stops. */
static bool
syncer_wait(ch_engine_t *engine, int64_t wait_ms)
{
    struct timespec until = ch_engine_time_in_ms(wait_ms);
    (void)pthread_mutex_lock(&engine->mutex);
    bool idle = wait_ms > 0 && !engine->stopping &&
                (engine->held || ch_wal_pending_bytes(engine->wal) == 0);
    if (idle) {
        engine->syncer_idle = !engine->held;
        (void)pthread_cond_timedwait(&engine->sync_wanted, &engine->mutex, &until);
        engine->syncer_idle = false;
    }
    bool go_on = !engine->stopping;
    (void)pthread_mutex_unlock(&engine->mutex);
    return go_on;
}

/* wal.sync = interval: syncs at most so often; acks wait for them all the same. */
static void
interval_wait(ch_engine_t *engine, int64_t last_sync_ns)
{
    if (engine->options.sync_mode != CH_SYNC_INTERVAL)
        return;
    int64_t since_ms =
        (ch_clock_monotonic_ns(engine->options.clock) - last_sync_ns) / 1000000;
    int64_t wait_ms = (int64_t)engine->options.sync_interval_ms - since_ms;
    if (wait_ms <= 0)
        return;
    struct timespec until = ch_engine_time_in_ms(wait_ms);
    (void)pthread_mutex_lock(&engine->mutex);
    while (!engine->stopping && ch_wal_durable_lsn(engine->wal) >= engine->sync_lsn &&
           ch_wal_pending_bytes(engine->wal) < engine->options.wal_window_bytes &&
           pthread_cond_timedwait(&engine->sync_wanted, &engine->mutex, &until) == 0) {
    }
    (void)pthread_mutex_unlock(&engine->mutex);
}

static void *
syncer_run(void *context)
{
    ch_engine_t *engine = context;
    int64_t wait_ms = engine->options.wal_segment_max_age_ms / 4 + 1;
    int64_t last_sync_ns = INT64_MIN / 2; /* long ago, also on a machine just started */
    int64_t idle_ms = wait_ms < CH_ENGINE_RETRY_MS ? wait_ms : CH_ENGINE_RETRY_MS;
    ch_status_t status = CH_NOT_FOUND;
    while (syncer_wait(engine, status == CH_OK ? 0 : idle_ms) &&
           !ch_engine_failed(engine)) {
        if (ch_wal_pending_bytes(engine->wal) > 0)
            interval_wait(engine, last_sync_ns);
        int64_t now_ns = ch_clock_monotonic_ns(engine->options.clock);
        status = ch_engine_commit(engine);
        if (status == CH_OK) /* a look that found nothing was no sync */
            last_sync_ns = now_ns;
        ch_engine_try_resume(engine);
        (void)pthread_mutex_lock(&engine->mutex);
        if (engine->held) /* a flush may free space */
            (void)pthread_cond_signal(&engine->flush_wanted);
        (void)pthread_mutex_unlock(&engine->mutex);
    }
    return NULL;
}

/* ---- flushes ---- */

ch_status_t
ch_engine_prepare_log(ch_engine_t *engine)
{
    ch_status_t status = ch_wal_prepare(engine->wal);
    if (status < 0 && status != CH_ERR_NOSPACE && status != CH_ERR_CLOSED)
        ch_engine_fail(engine, ch_fail_text());
    return status;
}

static void
prepare(ch_engine_t *engine)
{
    ch_arena_pool_prepare(engine->arenas, 2 * engine->options.memtable_bytes);
    (void)ch_engine_prepare_log(engine); /* no room: the next commit meets it */
}

static bool
flusher_wait(ch_engine_t *engine)
{
    struct timespec until = ch_engine_time_in_ms(CH_ENGINE_RETRY_MS);
    (void)pthread_mutex_lock(&engine->mutex);
    if (!engine->stopping && (!engine->version->immutable || engine->held))
        (void)pthread_cond_timedwait(&engine->flush_wanted, &engine->mutex, &until);
    bool go_on = !engine->stopping;
    (void)pthread_mutex_unlock(&engine->mutex);
    return go_on;
}

static void *
flusher_run(void *context)
{
    ch_engine_t *engine = context;
    prepare(engine);
    while (flusher_wait(engine) && !ch_engine_failed(engine)) {
        if (ch_engine_flush_immutable(engine) < 0)
            ch_engine_progress(engine);
        if (ch_retention_drop(engine) < 0)
            ch_engine_progress(engine);
        prepare(engine);
    }
    ch_engine_progress(engine);
    return NULL;
}

void
ch_engine_threads_start(ch_engine_t *engine)
{
    if (engine->options.background_threads == 0)
        return;
    engine->threads_running = true;
    ch_thread_start(&engine->syncer, "ch-syncer", syncer_run, engine);
    ch_thread_start(&engine->flusher, "ch-flusher", flusher_run, engine);
    ch_thread_start(&engine->compactor_thread, "ch-compactor", ch_compactor_run, engine);
    ch_thread_start(&engine->sweeper, "ch-sweeper", ch_sweep_run, engine);
}

void
ch_engine_threads_stop(ch_engine_t *engine)
{
    if (!engine->threads_running)
        return;
    (void)pthread_mutex_lock(&engine->mutex);
    engine->stopping = true;
    (void)pthread_cond_broadcast(&engine->sync_wanted);
    (void)pthread_cond_broadcast(&engine->flush_wanted);
    (void)pthread_cond_broadcast(&engine->compact_wanted);
    (void)pthread_cond_broadcast(&engine->moved);
    (void)pthread_mutex_unlock(&engine->mutex);
    ch_sweep_stop(engine);
    ch_thread_join(engine->syncer);
    ch_thread_join(engine->flusher);
    ch_thread_join(engine->compactor_thread);
    ch_thread_join(engine->sweeper);
    engine->threads_running = false;
}
