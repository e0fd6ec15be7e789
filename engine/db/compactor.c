/* compactor.c - when merges run, and how much of the machine they take.
 *
 * Problem     A merge reads and encodes for seconds what the log and the queries need milliseconds of.
 * Idea        A thread of its own, at the lowest priority that still runs; a rate of bytes; and a pause
 *             while a flush is under way. A flush never waits for a merge, only, once level 0 holds
 *             CH_ENGINE_FLUSHES_STALL tables, the writer does (ch_engine_ready).
 */
#include "db/compaction.h"

#include "ch/alloc.h"
#include "db/engine_state.h"

enum {
    PACE_BYTES = 64 << 10, /* between two looks at the rate */
    PAUSE_MS = 5,          /* shorter ones are saved up */
    RETRY_MS = 2000,       /* after a merge that found no room */
    LOOK_AGAIN_MS =
        60000, /* nobody woke us; a request may have been lost to a full disk */
    FLUSH_WAIT_MS = 2000, /* for a flush: a disk that is full holds it up for ever */
};

void
ch_compactor_release(ch_compactor_t *compactor)
{
    ch_free(compactor->unreadable);
    *compactor = (ch_compactor_t){0};
}

void
ch_compactor_wake(ch_engine_t *engine)
{
    engine->compactor.due = true;
    (void)pthread_cond_signal(&engine->compact_wanted);
}

static bool
ends(const ch_engine_t *engine)
{
    return engine->stopping || ch_engine_failed(engine);
}

/* How far ahead of the rate the merge is, in ns. */
static int64_t
ahead_ns(ch_engine_t *engine, uint64_t bytes)
{
    ch_compactor_t *compactor = &engine->compactor;
    uint64_t rate = engine->options.compaction_bytes_per_s;
    int64_t now = ch_clock_monotonic_ns(engine->options.clock);
    if (rate == 0)
        return 0;
    if (compactor->paid_until_ns < now)
        compactor->paid_until_ns = now; /* what was not used is not saved up */
    compactor->paid_until_ns += (int64_t)((double)bytes / (double)rate * 1e9);
    return compactor->paid_until_ns - now;
}

/* Let a flush go first, unless there are so many already that merging is what flushes need. */
static void
wait_for_flush(ch_engine_t *engine)
{
    struct timespec until = ch_engine_time_in_ms(FLUSH_WAIT_MS);
    while (!ends(engine) && engine->version->immutable && !engine->held &&
           engine->version->flush_count < CH_ENGINE_FLUSHES_STALL / 2 &&
           pthread_cond_timedwait(&engine->moved, &engine->mutex, &until) == 0) {
    }
}

ch_status_t
ch_compactor_pace(ch_engine_t *engine, uint64_t bytes)
{
    engine->compactor.unpaced_bytes += bytes;
    if (!engine->threads_running || engine->compactor.unpaced_bytes < PACE_BYTES)
        return CH_OK;
    int64_t ahead = ahead_ns(engine, engine->compactor.unpaced_bytes);
    engine->compactor.unpaced_bytes = 0;
    struct timespec until = ch_engine_time_in_ms(ahead / 1000000);
    (void)pthread_mutex_lock(&engine->mutex);
    wait_for_flush(engine);
    while (!ends(engine) && ahead > PAUSE_MS * 1000000 &&
           pthread_cond_timedwait(&engine->compact_wanted, &engine->mutex, &until) == 0) {
    }
    bool over = ends(engine);
    (void)pthread_mutex_unlock(&engine->mutex);
    return over ? ch_fail(CH_ERR_CLOSED, "compaction: stopping") : CH_OK;
}

/* False when the engine stops. */
static bool
wait_for_work(ch_engine_t *engine, int64_t wait_ms)
{
    struct timespec until = ch_engine_time_in_ms(wait_ms);
    (void)pthread_mutex_lock(&engine->mutex);
    while (!ends(engine) && !engine->compactor.due &&
           pthread_cond_timedwait(&engine->compact_wanted, &engine->mutex, &until) == 0) {
    }
    engine->compactor.due = false;
    bool go_on = !ends(engine);
    (void)pthread_mutex_unlock(&engine->mutex);
    return go_on;
}

void *
ch_compactor_run(void *context)
{
    ch_engine_t *engine = context;
    ch_thread_lower_priority();
    int64_t wait_ms = 0;
    while (wait_for_work(engine, wait_ms)) {
        ch_status_t status = ch_compactor_step(engine);
        wait_ms = status == CH_OK            ? 0
                  : status == CH_ERR_NOSPACE ? RETRY_MS
                                             : LOOK_AGAIN_MS;
    }
    return NULL;
}

ch_status_t
ch_engine_compact(ch_engine_t *engine, uint64_t *lsn_out)
{
    ch_status_t status = ch_engine_flush(engine, lsn_out);
    if (status < 0)
        return status;
    (void)pthread_mutex_lock(&engine->mutex);
    engine->compactor.requested_lsn = *lsn_out;
    engine->compactor.ask_again = true;
    ch_compactor_wake(engine);
    (void)pthread_mutex_unlock(&engine->mutex);
    while (!engine->threads_running && status == CH_OK)
        status = ch_compactor_step(engine);
    return status < 0 && status != CH_ERR_NOSPACE ? status : CH_OK;
}

uint64_t
ch_engine_compacted_lsn(const ch_engine_t *engine)
{
    ch_engine_t *unlocked = (ch_engine_t *)engine;
    (void)pthread_mutex_lock(&unlocked->mutex);
    uint64_t lsn = engine->compactor.compacted_lsn;
    (void)pthread_mutex_unlock(&unlocked->mutex);
    return lsn;
}
