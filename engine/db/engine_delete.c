/* engine_delete.c - deletes on the writer's path and in recovery, and what they would take.
 *
 * Order     Session, then version and remembered newest points, then WAL: as with batches, whatever
 *           becomes durable is applied already. Until then no reader's cut reaches the tombstone.
 * Alike     The record holds the selector's text. All who read it resolve it against the series that
 *           were born before it; the writer has tried it on every one of them, so no regex can give up
 *           later on one that counts.
 */
#include "db/engine_state.h"

#include "ch/alloc.h"
#include "ch/assert.h"

typedef struct erase_walk {
    ch_series_states_t *states;
    ch_erasure_t erasure;
} erase_walk_t;

static bool
erase_newest(uint32_t series, void *context)
{
    erase_walk_t *walk = context;
    ch_series_states_erase(walk->states, series, &walk->erasure);
    return true;
}

void
ch_engine_add_tombstone(ch_engine_t *engine, ch_tombstone_t *tombstone)
{
    const ch_tombstone_text_t *text = &tombstone->text;
    (void)pthread_mutex_lock(&engine->mutex);
    ch_version_t *old = engine->version;
    ch_tombstones_t *set = ch_tombstones_add(old->tombstones, tombstone);
    /* In recovery all that is read is durable. */
    uint64_t durable_lsn = engine->wal ? ch_wal_durable_lsn(engine->wal) : text->lsn;
    engine->version = ch_version_new(old->flushed_lsn, old->tables, old->table_count,
                                     old->immutable, old->active, set, durable_lsn);
    (void)pthread_mutex_unlock(&engine->mutex);
    ch_tombstones_release(&set);
    ch_version_release(&old);
    erase_walk_t walk = {engine->roster->states,
                         {text->lsn, text->what.start, text->what.end}};
    ch_series_states_begin_delete(engine->roster->states, text->lsn);
    ch_tombstone_visit(tombstone, erase_newest, &walk);
    ch_sweep_note_delete(engine, tombstone);
}

ch_status_t
ch_engine_recover_tombstone(ch_engine_t *engine, const ch_tombstone_text_t *text)
{
    ch_tombstone_t *tombstone = NULL;
    ch_status_t status = ch_tombstone_new(text, true, engine->roster->index,
                                          engine->roster->series, &tombstone);
    if (status < 0)
        return status;
    ch_engine_add_tombstone(engine, tombstone);
    ch_tombstone_release(&tombstone);
    return CH_OK;
}

size_t
ch_engine_tombstones_to_keep(const ch_tombstones_t *set, uint64_t flushed_lsn,
                             uint64_t lsn, ch_tombstone_text_t **texts_out)
{
    size_t count = 0;
    ch_tombstone_text_t *texts = ch_calloc((set ? set->count : 0) + 1, sizeof *texts);
    for (size_t i = 0; set && i < set->count; i++) {
        const ch_tombstone_text_t *text = &set->items[i]->text;
        if (text->lsn > flushed_lsn && text->lsn <= lsn)
            texts[count++] = *text;
    }
    *texts_out = texts;
    return count;
}

/* ---- the writer ---- */

/* Small records find room in the reserve when the disk is full, but not without end. */
static ch_status_t
check_room(ch_engine_t *engine)
{
    if (engine->closed || ch_engine_failed(engine))
        return ch_fail(CH_ERR_CLOSED, "engine: closed or failed");
    if (ch_wal_pending_bytes(engine->wal) >= 2 * engine->options.wal_window_bytes)
        return ch_fail(CH_ERR_NOSPACE, "the disk is full");
    return CH_OK;
}

static ch_status_t
check_count(ch_engine_t *engine, const ch_tombstone_t *tombstone)
{
    (void)pthread_mutex_lock(&engine->mutex);
    const ch_tombstones_t *set = engine->version->tombstones;
    size_t count = set ? set->count : 0, bytes = set ? set->bytes : 0;
    (void)pthread_mutex_unlock(&engine->mutex);
#ifdef CH_FAULT_DELETES_UNBOUNDED
    bytes = 0;
#endif
    if (count < CH_TOMBSTONES_MAX &&
        bytes + tombstone->bytes <= engine->options.memory_limit / 16)
        return CH_OK;
    return ch_fail(
        CH_ERR_LIMIT,
        "%zu deletes (%zu bytes of series) wait to be merged into tables; flush "
        "and compact, then delete again",
        count, bytes);
}

static uint64_t
expected_seq(ch_engine_t *engine, const ch_identity_t *identity)
{
    ch_session_view_t *view = ch_calloc(1, sizeof *view);
    uint64_t expected = 1;
    if (ch_engine_session(engine, identity->producer, view) == CH_OK &&
        view->epoch == identity->epoch)
        expected = view->expected;
    ch_free(view);
    return expected;
}

/* The tombstone is in the version, the seq consumed: the record must follow, or nothing ever again. */
static ch_status_t
log_delete(ch_engine_t *engine, ch_wal_record_type_t type, ch_tombstone_t *tombstone,
           const ch_identity_t *identity)
{
    int64_t time = ch_clock_wall_ns(engine->options.clock);
    uint64_t lsn = 0;
    ch_engine_add_tombstone(engine, tombstone);
    ch_engine_consume(engine, identity, tombstone->text.lsn, time, NULL);
    ch_status_t status = ch_wal_append_delete(engine->wal, type, identity,
                                              &tombstone->text.what, time, &lsn);
    if (status < 0) {
        ch_engine_fail(engine, ch_fail_text());
        return ch_fail(CH_ERR_CLOSED, "%s", engine->failure);
    }
    CH_ASSERT(lsn == tombstone->text.lsn);
    ch_engine_count(&engine->counters.deletes, 1);
    ch_engine_wake_syncer(engine);
    return CH_OK;
}

/* Of series that nobody knows of a delete must be kept all the same: their table may be restored. */
static bool
series_unknown(ch_engine_t *engine)
{
    (void)pthread_mutex_lock(&engine->mutex);
    bool unknown = engine->version->keys_unknown > 0;
    (void)pthread_mutex_unlock(&engine->mutex);
#ifdef CH_FAULT_DAMAGED_KEYS_NO_DELETE
    unknown = false;
#endif
    return unknown;
}

static ch_status_t
delete_taken(ch_engine_t *engine, const ch_delete_t *delete, ch_delete_result_t *result)
{
    const ch_tombstone_text_t text = {
        .lsn = ch_wal_appended_lsn(engine->wal) + 1,
        .what = {.selector = delete->match, .start = delete->start, .end = delete->end}};
    ch_tombstone_t *tombstone = NULL;
    ch_status_t status = ch_tombstone_new(&text, false, engine->roster->index,
                                          engine->roster->series, &tombstone);
    if (status < 0)
        return status;
    bool nothing =
        (ch_tombstone_series_count(tombstone) == 0 && !series_unknown(engine)) ||
        (delete->start >= delete->end && delete->end != CH_TIME_MAX);
    if (nothing && !delete->identity.present)
        goto done;
    status = check_count(engine, tombstone);
    if (status >= 0 && !nothing)
        status = ch_view_open(engine, &result->before);
    if (status < 0)
        goto done;
    status = log_delete(engine, CH_WAL_DELETE, tombstone, &delete->identity);
    if (status < 0) {
        ch_view_destroy(&result->before);
        goto done;
    }
    result->lsn = text.lsn;
    if (result
            ->before) /* the pinned version has all of it; it is durable before the caller looks */
        result->before->lsn = text.lsn - 1;
done:
    ch_tombstone_release(&tombstone);
    return status;
}

ch_status_t
ch_engine_delete(ch_engine_t *engine, const ch_delete_t *delete,
                 ch_delete_result_t *result_out)
{
    *result_out = (ch_delete_result_t){0};
    ch_status_t status = check_room(engine);
    if (status < 0)
        return status;
    result_out->state = ch_engine_check_session(engine, &delete->identity);
    if (result_out->state == CH_APPEND_DUPLICATE)
        result_out->lsn = ch_wal_appended_lsn(engine->wal);
    if (result_out->state == CH_APPEND_GAP)
        result_out->expected = expected_seq(engine, &delete->identity);
    if (result_out->state == CH_APPEND_HELD)
        return ch_fail(CH_ERR_LIMIT, "the node holds its limit of producers");
    if (result_out->state != CH_APPEND_TAKEN)
        return CH_OK;
    return delete_taken(engine, delete, result_out);
}

ch_status_t
ch_engine_log_retention(ch_engine_t *engine, const ch_tombstone_text_t *text,
                        uint64_t *series_out)
{
    const ch_identity_t nobody = {0};
    ch_tombstone_t *tombstone = NULL;
    ch_status_t status = check_room(engine);
    if (status >= 0)
        status = ch_tombstone_new(text, false, engine->roster->index,
                                  engine->roster->series, &tombstone);
    if (status < 0)
        return status;
    *series_out = ch_tombstone_series_count(tombstone);
    if (*series_out > 0 || series_unknown(engine))
        status = log_delete(engine, CH_WAL_RETENTION, tombstone, &nobody);
    ch_tombstone_release(&tombstone);
    return status;
}
