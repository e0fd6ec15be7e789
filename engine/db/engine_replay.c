/* engine_replay.c - the log applied at a start: records above the flushed lsn, through the code that
 * appends use.
 */
#include "db/engine_state.h"

#include "ch/alloc.h"

#include <inttypes.h>

typedef struct recovery {
    ch_engine_t *engine;
    uint64_t segment; /* whose dictionary `global` translates */
    uint32_t *global; /* by local id */
    uint32_t global_count, global_capacity;
} recovery_t;

static void
translate_dictionary(recovery_t *recovery, const ch_wal_record_t *record,
                     const ch_wal_dictionary_t *dictionary)
{
    ch_engine_t *engine = recovery->engine;
    if (recovery->segment != record->segment) {
        recovery->segment = record->segment;
        recovery->global_count = 0;
    }
    uint32_t count = ch_wal_dictionary_count(dictionary);
    if (count > recovery->global_capacity) {
        recovery->global_capacity = count * 2;
        recovery->global =
            ch_realloc(recovery->global, recovery->global_capacity * sizeof(uint32_t));
    }
    for (uint32_t local = recovery->global_count; local < count; local++) {
        ch_bytes_t name, labels;
        bool born = false;
        ch_wal_dictionary_series(dictionary, local, &name, &labels);
        uint32_t series = ch_series_table_intern(
            engine->roster->series,
            ch_series_table_intern_name(engine->roster->series, name),
            ch_series_table_intern_labels(engine->roster->series, labels), &born);
        if (born)
            ch_roster_born(engine->roster, series, record->lsn);
        recovery->global[local] = series;
    }
    recovery->global_count = count;
}

static void
reserve_ids(ch_engine_t *engine, size_t cells)
{
    if (cells <= engine->ids_capacity)
        return;
    engine->ids_capacity = cells;
    engine->ids = ch_realloc(engine->ids, cells * sizeof(uint32_t));
}

static ch_status_t
recover_batch(recovery_t *recovery, const ch_wal_record_t *record,
              const ch_wal_dictionary_t *dictionary)
{
    ch_engine_t *engine = recovery->engine;
    size_t cells = 0;
    for (uint32_t b = 0; b < record->batch.block_count; b++)
        cells += ch_batch_block_cells(&record->batch.blocks[b]);
    translate_dictionary(recovery, record, dictionary);
    reserve_ids(engine, cells + 1);
    for (size_t i = 0; i < cells; i++) {
        /* A NONE cell has local id 0, which a segment without series does not have: the memtable
         * looks at neither. */
        uint32_t local = record->series[i];
        bool known = local < recovery->global_count;
        if (!known && local != 0)
            return ch_fail(CH_ERR_CORRUPT, "wal record %" PRIu64 " names series %u of %u",
                           record->lsn, local, recovery->global_count);
        engine->ids[i] = known ? recovery->global[local] : CH_SERIES_NONE;
    }
    ch_engine_apply(engine, &record->batch, record->lsn);
    return CH_OK;
}

static ch_status_t
recover_record(void *context, const ch_wal_record_t *record,
               const ch_wal_dictionary_t *dictionary)
{
    recovery_t *recovery = context;
    ch_engine_t *engine = recovery->engine;
    bool refused = record->type == CH_WAL_REFUSAL;
    ch_status_t status = CH_OK;
    if (record->type == CH_WAL_BATCH) {
        status = recover_batch(recovery, record, dictionary);
    } else if (!refused) {
        ch_tombstone_text_t text = {.lsn = record->lsn, .what = record->delete};
        status = ch_engine_recover_tombstone(engine, &text);
    }
    if (status < 0)
        return status;
    ch_session_map_durable(engine->sessions, record->lsn); /* it is adopted */
    if (record->batch.identity.present)
        ch_session_consume(engine->sessions, &record->batch.identity, record->lsn,
                           record->time, refused ? &record->reject : NULL);
    engine->recovered_records++;
    return CH_OK;
}

/* A segment's dictionary also names series of records that were flushed; if a delete left nothing of
 * them, they are in no table and have no points. */
static void
touch_empty_series(ch_engine_t *engine, uint32_t first)
{
    uint32_t count = ch_series_table_count(engine->roster->series);
    int64_t min, max;
    for (uint32_t series = first; series < count; series++)
        if (!ch_memtable_time_range(engine->active, series, &min, &max))
            ch_series_states_touch(engine->roster->states, series);
}

static const ch_series_table_t *
present_table(const void *context)
{
    return ((const ch_engine_t *)context)->roster->series;
}

static void
name_series(void *context, uint32_t series, uint32_t *name_id_out,
            uint32_t *labels_id_out)
{
    ch_series_table_get(present_table(context), series, name_id_out, labels_id_out);
}

static ch_bytes_t
name_text(void *context, uint32_t name_id)
{
    return ch_series_table_name(present_table(context), name_id);
}

static ch_bytes_t
labels_text(void *context, uint32_t labels_id)
{
    return ch_series_table_labels(present_table(context), labels_id);
}

ch_status_t
ch_engine_open_wal(ch_engine_t *engine)
{
    const ch_engine_options_t *options = &engine->options;
    const ch_manifest_state_t *state = ch_manifest_state(engine->manifest);
    ch_wal_options_t wal = {
        .fs = options->fs,
        .path = engine->wal_path,
        .clock = options->clock,
        .log = options->log,
        .cluster = state->cluster,
        .term = state->term,
        .segment_bytes = options->wal_segment_bytes,
        .segment_max_age_ms = options->wal_segment_max_age_ms,
        .spare_segments_max = 2,
        .read_only = options->read_only,
        .zero_ahead_bytes = options->wal_segment_bytes < CH_ENGINE_ZERO_AHEAD_BYTES
                                ? options->wal_segment_bytes
                                : CH_ENGINE_ZERO_AHEAD_BYTES,
    };
    recovery_t recovery = {.engine = engine};
    uint32_t first_series = ch_series_table_count(engine->roster->series);
    ch_status_t status =
        ch_wal_open(&wal, state->flushed_lsn, recover_record, &recovery, &engine->wal);
    ch_free(recovery.global);
    if (status < 0)
        return status;
    touch_empty_series(engine, first_series);
    ch_wal_namer_t namer = {engine, name_series, name_text, labels_text};
    ch_wal_set_namer(engine->wal, &namer);
    return CH_OK;
}
