/* engine_write.c - the writer's path: a batch becomes memtable points and a WAL record.
 *
 * Order     Session, memtable, then WAL. The record's lsn is known before it is appended (dense, one
 *           writer), and whatever the syncer makes durable is therefore applied already: a reader
 *           that cuts at the durable lsn never meets half a batch.
 */
#include "db/engine_state.h"

#include "ch/alloc.h"
#include "ch/assert.h"

#include <stdio.h>

static uint32_t
intern_cell(ch_engine_t *engine, uint32_t name_id, uint32_t labels_id, uint64_t lsn)
{
    bool born = false;
    uint32_t series =
        ch_series_table_intern(engine->roster->series, name_id, labels_id, &born);
    if (born)
        ch_roster_born(engine->roster, series, lsn);
    return series;
}

static uint32_t *
table_names(ch_engine_t *engine, const ch_batch_block_t *block)
{
    if (engine->name_ids_capacity < block->fields) {
        engine->name_ids_capacity = block->fields;
        engine->name_ids =
            ch_realloc(engine->name_ids, engine->name_ids_capacity * sizeof(uint32_t));
    }
    for (uint32_t j = 0; j < block->fields; j++)
        engine->name_ids[j] =
            ch_series_table_intern_name(engine->roster->series, block->names[j]);
    return engine->name_ids;
}

static bool
cell_is_empty(const ch_batch_block_t *block, uint32_t row, uint32_t field)
{
    const ch_values_t *values = &block->values[field];
    return values->form == CH_VALUES_LIST && values->list[row].type == CH_VALUE_NONE;
}

static void
intern_table(ch_engine_t *engine, const ch_batch_block_t *block, uint64_t lsn,
             uint32_t *ids)
{
    const uint32_t *names = table_names(engine, block);
    for (uint32_t i = 0; i < block->rows; i++) {
        uint32_t labels_id =
            ch_series_table_intern_labels(engine->roster->series, block->labels[i]);
        for (uint32_t j = 0; j < block->fields; j++)
            *ids++ = cell_is_empty(block, i, j)
                         ? CH_SERIES_NONE
                         : intern_cell(engine, names[j], labels_id, lsn);
    }
}

static bool
all_cells_have_points(const ch_batch_block_t *block)
{
    for (uint32_t j = 0; j < block->fields; j++)
        if (block->values[j].form == CH_VALUES_LIST)
            return false;
    return true;
}

/* The scrapes of one batch name the same series in each table, and the decoder lets them share names
 * and label texts: same addresses, same cells. */
static bool
same_cells(const ch_batch_block_t *block, const ch_batch_block_t *before)
{
#ifdef CH_FAULT_ENGINE_CELLS_BY_SIZE
    return block->kind == CH_BLOCK_TABLE && before->kind == CH_BLOCK_TABLE &&
           block->rows == before->rows && block->fields == before->fields;
#endif
    return block->kind == CH_BLOCK_TABLE && before->kind == CH_BLOCK_TABLE &&
           block->names == before->names && block->labels == before->labels &&
           block->rows == before->rows && block->fields == before->fields &&
           all_cells_have_points(block) && all_cells_have_points(before);
}

static void
intern_block(ch_engine_t *engine, const ch_batch_block_t *block, uint64_t lsn,
             uint32_t *ids)
{
    if (block->kind == CH_BLOCK_TABLE) {
        intern_table(engine, block, lsn, ids);
        return;
    }
    size_t cells = ch_batch_block_cells(block);
    for (size_t i = 0; i < cells; i++) {
        uint32_t name_id =
            ch_series_table_intern_name(engine->roster->series, block->names[i]);
        uint32_t labels_id =
            ch_series_table_intern_labels(engine->roster->series, block->labels[i]);
        ids[i] = intern_cell(engine, name_id, labels_id, lsn);
    }
}

static size_t
batch_cells(const ch_batch_t *batch)
{
    size_t cells = 0;
    for (uint32_t b = 0; b < batch->block_count; b++)
        cells += ch_batch_block_cells(&batch->blocks[b]);
    return cells;
}

static void
reserve_ids(ch_engine_t *engine, size_t cells)
{
    if (cells <= engine->ids_capacity)
        return;
    engine->ids_capacity = cells + cells / 2;
    ch_free(engine->ids);
    engine->ids = ch_alloc(engine->ids_capacity * sizeof(uint32_t));
}

size_t
ch_engine_intern(ch_engine_t *engine, const ch_batch_t *batch, uint64_t lsn)
{
    size_t cells = batch_cells(batch), at = 0;
    reserve_ids(engine, cells + 1);
    for (uint32_t b = 0; b < batch->block_count; b++) {
        const ch_batch_block_t *block = &batch->blocks[b];
        size_t count = ch_batch_block_cells(block);
        if (b > 0 && same_cells(block, block - 1))
            memcpy(engine->ids + at, engine->ids + at - count, count * sizeof(uint32_t));
        else
            intern_block(engine, block, lsn, engine->ids + at);
        at += count;
    }
    return cells;
}

void
ch_engine_apply(ch_engine_t *engine, const ch_batch_t *batch, uint64_t lsn)
{
    size_t at = 0;
    for (uint32_t b = 0; b < batch->block_count; b++) {
        ch_memtable_apply(engine->active, &batch->blocks[b], engine->ids + at, lsn);
        at += ch_batch_block_cells(&batch->blocks[b]);
    }
}

/* ---- the series limit ---- */

static bool
series_exists(ch_engine_t *engine, ch_bytes_t name, ch_bytes_t labels)
{
    uint32_t name_id = ch_series_table_peek_name(engine->roster->series, name);
    uint32_t labels_id = ch_series_table_peek_labels(engine->roster->series, labels);
    return name_id != CH_SERIES_NONE && labels_id != CH_SERIES_NONE &&
           ch_series_table_peek(engine->roster->series, name_id, labels_id) !=
               CH_SERIES_NONE;
}

typedef struct new_series {
    uint64_t cells; /* that name a series which is not there */
    uint64_t bytes; /* of label sets that are not there */
    int64_t first;  /* point index of the first of them */
    int64_t points; /* seen so far */
} new_series_t;

static void
count_cell(ch_engine_t *engine, ch_bytes_t name, ch_bytes_t labels, int64_t points,
           new_series_t *count)
{
    if (!series_exists(engine, name, labels)) {
        if (count->cells++ == 0)
            count->first = count->points;
        if (ch_series_table_peek_labels(engine->roster->series, labels) == CH_SERIES_NONE)
            count->bytes += labels.size;
    }
    count->points += points;
}

static void
count_block(ch_engine_t *engine, const ch_batch_block_t *block, new_series_t *count)
{
    if (block->kind == CH_BLOCK_SERIES) {
        count_cell(engine, block->names[0], block->labels[0], block->rows, count);
        return;
    }
    for (uint32_t i = 0; i < block->rows; i++)
        for (uint32_t j = 0; j < block->fields; j++)
            if (!cell_is_empty(block, i, j))
                count_cell(engine, block->names[block->kind == CH_BLOCK_TABLE ? j : i],
                           block->labels[i], 1, count);
}

/* By this batch's producer, or by all batches without one. */
static uint64_t
series_brought(ch_engine_t *engine, const ch_identity_t *identity)
{
    if (!identity->present)
        return engine->nameless_series;
    (void)pthread_mutex_lock(&engine->sessions_mutex);
    uint64_t series = ch_session_series(engine->sessions, identity->producer);
    (void)pthread_mutex_unlock(&engine->sessions_mutex);
    return series;
}

static void
note_series_brought(ch_engine_t *engine, const ch_identity_t *identity, uint64_t count)
{
    if (count == 0)
        return;
    if (!identity->present) {
        engine->nameless_series += count;
        return;
    }
    (void)pthread_mutex_lock(&engine->sessions_mutex);
    ch_session_add_series(engine->sessions, identity->producer, count);
    (void)pthread_mutex_unlock(&engine->sessions_mutex);
}

static void
refuse_own_series(ch_engine_t *engine, uint64_t limit, ch_reject_t *reject)
{
    ch_engine_count(&engine->counters.producer_series_refused, 1);
    (void)snprintf(reject->message, sizeof reject->message,
                   "a new series, and its producer has brought %llu since the node's "
                   "start (limits.producer_series)",
                   (unsigned long long)limit);
}

/* Far from the limits nothing is looked at twice; near one every key is, before any is made. A new
 * series named twice in the batch counts twice: the refusal may come that much early. */
static bool
over_series_limit(ch_engine_t *engine, const ch_batch_t *batch, ch_reject_t *reject)
{
    uint64_t count = ch_series_table_count(engine->roster->series),
             cells = batch_cells(batch);
    uint64_t limit = engine->options.limits.series;
    uint64_t own = series_brought(engine, &batch->identity);
    uint64_t own_limit = engine->options.limits.producer_series;
    if (count + cells <= limit && own + cells <= own_limit &&
        !ch_engine_memory_over(engine, cells, CH_BATCH_KEY_BYTES_MAX))
        return false;
    new_series_t fresh = {0};
    for (uint32_t b = 0; b < batch->block_count; b++)
        count_block(engine, &batch->blocks[b], &fresh);
    bool many = count + fresh.cells > limit, own_many = own + fresh.cells > own_limit;
#ifdef CH_FAULT_PRODUCER_SERIES_UNBOUNDED
    own_many = false;
#endif
    if (fresh.cells == 0 ||
        (!many && !own_many && !ch_engine_memory_over(engine, fresh.cells, fresh.bytes)))
        return false;
    *reject = (ch_reject_t){
        .seq = batch->identity.seq, .index = fresh.first, .code = CH_ERR_LIMIT};
    if (many)
        (void)snprintf(reject->message, sizeof reject->message,
                       "a new series, and the node holds its limit of %llu "
                       "(limits.series)",
                       (unsigned long long)limit);
    else if (own_many)
        refuse_own_series(engine, own_limit, reject);
    else
        (void)snprintf(reject->message, sizeof reject->message,
                       "a new series, and %llu series fill the memory they may take "
                       "(engine.memory_limit=%llu)",
                       (unsigned long long)count,
                       (unsigned long long)engine->options.memory_limit);
    return true;
}

/* ---- append ---- */

ch_append_state_t
ch_engine_check_session(ch_engine_t *engine, const ch_identity_t *identity)
{
    if (!identity->present)
        return CH_APPEND_TAKEN;
    (void)pthread_mutex_lock(&engine->sessions_mutex);
    ch_append_state_t state =
        ch_session_check(engine->sessions, identity, engine->options.limits.producers);
    (void)pthread_mutex_unlock(&engine->sessions_mutex);
    if (state == CH_APPEND_HELD) /* the map is full */
        ch_engine_count(&engine->counters.producers_refused, 1);
    return state;
}

bool
ch_engine_producers_full(ch_engine_t *engine)
{
    (void)pthread_mutex_lock(&engine->sessions_mutex);
    bool full =
        ch_session_map_count(engine->sessions) >= engine->options.limits.producers;
    (void)pthread_mutex_unlock(&engine->sessions_mutex);
    return full;
}

void
ch_engine_consume(ch_engine_t *engine, const ch_identity_t *identity, uint64_t lsn,
                  int64_t time, const ch_reject_t *reject)
{
    if (!identity->present)
        return;
    uint64_t durable = ch_wal_durable_lsn(engine->wal);
    (void)pthread_mutex_lock(&engine->sessions_mutex);
    ch_session_map_durable(engine->sessions, durable);
    ch_session_consume(engine->sessions, identity, lsn, time, reject);
    (void)pthread_mutex_unlock(&engine->sessions_mutex);
}

void
ch_engine_wake_syncer(ch_engine_t *engine)
{
    if (!engine->threads_running)
        return;
    (void)pthread_mutex_lock(&engine->mutex);
    if (engine->syncer_idle) {
        engine->syncer_idle = false;
        (void)pthread_cond_signal(&engine->sync_wanted);
    }
    (void)pthread_mutex_unlock(&engine->mutex);
}

static bool
is_held(ch_engine_t *engine)
{
    (void)pthread_mutex_lock(&engine->mutex);
    bool held = engine->held;
    (void)pthread_mutex_unlock(&engine->mutex);
    return held || ch_engine_failed(engine);
}

/* At a trickle the memtable never fills, but a segment is sealed every second: a start would have
 * to read them all. */
static bool
too_many_segments(ch_engine_t *engine, uint64_t lsn)
{
    if (lsn % 256 != 0)
        return false;
    ch_wal_stats_t stats;
    ch_wal_stats(engine->wal, &stats);
    return stats.segments > CH_ENGINE_SEGMENTS_MAX;
}

static ch_status_t
log_refusal(ch_engine_t *engine, const ch_identity_t *identity, const ch_reject_t *reject,
            ch_append_result_t *result)
{
    int64_t time = ch_clock_wall_ns(engine->options.clock);
    uint64_t lsn = ch_wal_appended_lsn(engine->wal) + 1;
    (void)ch_engine_switch(engine, too_many_segments(engine, lsn));
    ch_engine_count(&engine->counters.rejects, 1);
    ch_engine_consume(engine, identity, lsn, time, reject);
    result->lsn = lsn;
    ch_status_t status = ch_wal_append_refusal(engine->wal, identity, reject, time, &lsn);
    if (status < 0) {
        ch_engine_fail(engine, ch_fail_text());
        result->state = CH_APPEND_HELD;
        return CH_OK;
    }
    CH_ASSERT(lsn == result->lsn);
    ch_engine_wake_syncer(engine);
    return CH_OK;
}

static ch_status_t
append_points(ch_engine_t *engine, const ch_batch_t *batch, ch_append_result_t *result)
{
    int64_t time = ch_clock_wall_ns(engine->options.clock);
    uint64_t lsn = ch_wal_appended_lsn(engine->wal) + 1;
    if (!ch_sweep_switch(engine))
        (void)ch_engine_switch(engine, too_many_segments(engine, lsn));
    uint32_t series_before = ch_series_table_count(engine->roster->series);
    (void)ch_engine_intern(engine, batch, lsn);
    ch_engine_memory_fit(engine);
    ch_engine_apply(engine, batch, lsn);
    ch_engine_consume(engine, &batch->identity, lsn, time, NULL);
    note_series_brought(engine, &batch->identity,
                        ch_series_table_count(engine->roster->series) - series_before);
    result->lsn = lsn;
    ch_status_t status = ch_wal_append_batch(engine->wal, batch, engine->ids, time, &lsn);
    if (status < 0) { /* applied, but never visible: the durable lsn cannot reach it */
        ch_engine_fail(engine, ch_fail_text());
        result->state = CH_APPEND_HELD;
        return CH_OK;
    }
    CH_ASSERT(lsn == result->lsn);
    ch_engine_count(&engine->counters.batches, 1);
    ch_engine_count(&engine->counters.points, batch->points);
    ch_engine_wake_syncer(engine);
    return CH_OK;
}

ch_status_t
ch_engine_append(ch_engine_t *engine, const ch_batch_t *batch,
                 ch_append_result_t *result_out)
{
    *result_out = (ch_append_result_t){0};
    if (engine->closed)
        return ch_fail(CH_ERR_CLOSED, "engine: closed");
    if (is_held(engine)) {
        ch_engine_count(&engine->counters.held, 1);
        result_out->state = CH_APPEND_HELD;
        return CH_OK;
    }
    result_out->state = ch_engine_check_session(engine, &batch->identity);
    if (result_out->state != CH_APPEND_TAKEN)
        return CH_OK;
    if (over_series_limit(engine, batch, &result_out->reject)) {
        ch_engine_count(&engine->counters.series_refused, 1);
        result_out->state = CH_APPEND_REJECTED;
        if (!batch->identity.present)
            return CH_OK;
        return log_refusal(engine, &batch->identity, &result_out->reject, result_out);
    }
    return append_points(engine, batch, result_out);
}

ch_status_t
ch_engine_refuse(ch_engine_t *engine, const ch_identity_t *identity,
                 const ch_reject_t *reject, ch_append_result_t *result_out)
{
    *result_out = (ch_append_result_t){0};
    if (engine->closed)
        return ch_fail(CH_ERR_CLOSED, "engine: closed");
    CH_ASSERT(identity->present);
    if (is_held(engine)) {
        result_out->state = CH_APPEND_HELD;
        return CH_OK;
    }
    result_out->state = ch_engine_check_session(engine, identity);
    if (result_out->state != CH_APPEND_TAKEN)
        return CH_OK;
    result_out->state = CH_APPEND_REJECTED;
    result_out->reject = *reject;
    return log_refusal(engine, identity, reject, result_out);
}

/* ---- room ---- */

static bool
memtable_full(ch_engine_t *engine)
{
    return ch_memtable_bytes(engine->active) >= engine->options.memtable_bytes;
}

bool
ch_engine_ready(ch_engine_t *engine)
{
    if (engine->closed)
        return false;
#ifndef CH_FAULT_ENGINE_WINDOW_UNBOUNDED
    if (ch_wal_pending_bytes(engine->wal) >= engine->options.wal_window_bytes &&
        !is_held(engine))
        return false; /* when held, batches are read and dropped, so that acks can say why */
#endif
    if (!memtable_full(engine))
        return true;
    (void)pthread_mutex_lock(&engine->mutex);
    const ch_version_t *version = engine->version;
    bool flushing = version->immutable != NULL;
    bool stalled = engine->compactor.merging && engine->threads_running &&
                   version->flush_count >= CH_ENGINE_FLUSHES_STALL;
    bool held = engine->held;
    (void)pthread_mutex_unlock(&engine->mutex);
    return (!flushing && !stalled) || held || ch_engine_failed(engine);
}

ch_version_t *
ch_engine_next_memtable(ch_engine_t *engine, ch_roster_t *roster,
                        ch_tombstones_t *tombstones, uint64_t last)
{
    ch_version_t *old = engine->version;
    bool flush = last > engine->immutable_lsn;
    engine->active = ch_memtable_new(engine->arenas, last + 1);
    ch_shared_memtable_t *fresh = ch_shared_memtable_new(engine->active, roster);
    engine->version = ch_version_new(old->flushed_lsn, old->tables, old->table_count,
                                     flush ? old->active : NULL, fresh, tombstones,
                                     ch_wal_durable_lsn(engine->wal));
    ch_shared_memtable_release(&fresh);
    if (!flush)
        return old;
    engine->immutable_lsn = last;
    ch_text_reset(&engine->immutable_sessions);
    (void)pthread_mutex_lock(&engine->sessions_mutex);
    ch_session_map_capture(engine->sessions, false, &engine->immutable_sessions);
    (void)pthread_mutex_unlock(&engine->sessions_mutex);
    (void)pthread_cond_signal(&engine->flush_wanted);
    return old;
}

void
ch_engine_use_roster(ch_engine_t *engine, ch_roster_t *roster)
{
    ch_roster_t *before = engine->roster;
    ch_roster_retain(roster);
    engine->roster = roster;
    engine->fitted_series = 0;
    if (engine->wal)
        ch_wal_renumber(engine->wal);
    ch_roster_release(&before);
}

bool
ch_engine_switch(ch_engine_t *engine, bool force)
{
    uint64_t last = ch_wal_appended_lsn(engine->wal);
    if (!force && !memtable_full(engine))
        return false;
    if (last <= engine->immutable_lsn) /* only this thread changes it */
        return false; /* no record since the last switch; one without points counts */
    ch_version_t *old = NULL;
    (void)pthread_mutex_lock(&engine->mutex);
    if (!engine->version->immutable)
        old = ch_engine_next_memtable(engine, engine->roster, engine->version->tombstones,
                                      last);
    (void)pthread_mutex_unlock(&engine->mutex);
    if (!old)
        return false;
    ch_version_release(&old);
    ch_engine_count(&engine->counters.memtable_switches, 1);
    return true;
}
