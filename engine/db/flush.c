/* flush.c - an immutable memtable becomes a table, in one manifest edit.
 *
 * Order     wait until the WAL is durable past the memtable's last lsn; write the table (synced and
 *           renamed by its writer); one manifest edit {table, flushed lsn, sessions as of the
 *           switch}; install the version; retire the WAL up to the switch. A memtable of which nothing
 *           is left (refusals, empty batches, deletes) becomes no table, only an edit.
 * Deletes   at or below the memtable's last lsn are applied on the way; the edit keeps those that some
 *           table still lacks.
 * Crash     before the edit the table is a stray that the next start removes; after it the WAL
 *           records at or below the flushed lsn are never replayed.
 */
#include "db/engine_state.h"

#include "ch/alloc.h"
#include "ch/assert.h"

enum { PREFETCH_SERIES = 8 };

uint64_t
ch_engine_new_file(ch_engine_t *engine)
{
    return __atomic_fetch_add(&engine->next_file, 1, __ATOMIC_RELAXED);
}

ch_status_t
ch_engine_edit(ch_engine_t *engine, ch_manifest_edit_t *edit)
{
    (void)pthread_mutex_lock(&engine->manifest_mutex);
    /* Above every number given out, not only those of this edit: another's may be live already. */
    edit->next_file = __atomic_load_n(&engine->next_file, __ATOMIC_RELAXED);
    ch_status_t status = ch_manifest_apply(engine->manifest, edit);
    (void)pthread_mutex_unlock(&engine->manifest_mutex);
    return status;
}

/* The newest points of a flush, noted while the table is written, published when it is installed. */
typedef struct last_point {
    uint32_t series;
    int64_t time;
    ch_value_t value; /* a string's bytes are not kept */
} last_point_t;

typedef struct flush {
    ch_engine_t *engine;
    ch_memtable_t *memtable;
    ch_roster_t *roster;         /* of its ids */
    ch_roster_t *present;        /* of all others: tombstones, newest points */
    uint64_t lsn;                /* last of the memtable */
    ch_tombstones_t *tombstones; /* holds all of its deletes, and perhaps later ones */
    uint64_t flushed_lsn;        /* before */
    ch_erasures_t erasures;
    uint32_t *series; /* those of the memtable, in key order */
    uint32_t series_count;
    last_point_t *last;
    size_t last_count;
    ch_points_t points;
    uint64_t file_number;
    char *path;
    ch_sstable_info_t info;
} flush_t;

/* The id that a series of the memtable has now. */
static uint32_t
present_id(const flush_t *flush, uint32_t series)
{
    if (flush->roster == flush->present)
        return series;
    uint32_t name_id, labels_id;
    ch_series_table_get(flush->roster->series, series, &name_id, &labels_id);
    uint32_t id = ch_series_table_find(
        flush->present->series, ch_series_table_name(flush->roster->series, name_id),
        ch_series_table_labels(flush->roster->series, labels_id));
    CH_ASSERT(id != CH_SERIES_NONE); /* the change to the roster saw to it */
    return id;
}

static ch_status_t
write_series(flush_t *flush, ch_sstable_writer_t *writer, uint32_t series)
{
    ch_series_table_t *table = flush->roster->series;
    uint32_t present = present_id(flush, series);
    ch_points_clear(&flush->points);
    (void)ch_tombstones_gather(flush->tombstones, present, 0, flush->lsn, CH_TIME_MIN,
                               CH_TIME_MAX, &flush->erasures);
#ifdef CH_FAULT_TOMBSTONE_NOT_FLUSHED
    flush->erasures.count = 0;
#endif
    ch_memtable_read_erased(flush->memtable, series, flush->lsn, CH_TIME_MIN, CH_TIME_MAX,
                            flush->erasures.items, flush->erasures.count, &flush->points);
    if (flush->points.count == 0)
        return CH_OK;
    uint32_t name_id, labels_id;
    ch_series_table_get(table, series, &name_id, &labels_id);
    size_t last = flush->points.count - 1;
    flush->last[flush->last_count++] = (last_point_t){
        present, flush->points.times[last], ch_points_value(&flush->points, last)};
    return ch_sstable_writer_add(writer, ch_series_table_name(table, name_id),
                                 ch_series_table_labels(table, labels_id),
                                 &flush->points);
}

/* In the order of their keys series lie in no order in memory. */
static void
prefetch(const flush_t *flush, uint32_t at)
{
    if (flush->series_count - at <= 2 * PREFETCH_SERIES)
        return;
    uint32_t soon = flush->series[at + PREFETCH_SERIES];
    uint32_t later = flush->series[at + 2 * PREFETCH_SERIES];
    ch_memtable_prefetch(flush->memtable, soon, later);
    ch_series_table_prefetch(flush->roster->series, soon, later);
}

static ch_status_t
write_table(flush_t *flush)
{
    ch_engine_t *engine = flush->engine;
    ch_sstable_writer_t *writer = NULL;
    const ch_sstable_writer_options_t options = {
        .series_expected = ch_memtable_series_count(flush->memtable),
        .level = CH_COLUMN_FAST};
    ch_status_t status = ch_sstable_writer_open(engine->options.fs, flush->path,
                                                flush->file_number, &options, &writer);
    for (uint32_t i = 0; status >= 0 && i < flush->series_count; i++) {
        prefetch(flush, i);
        status = write_series(flush, writer, flush->series[i]);
    }
    if (status >= 0 && flush->last_count > 0)
        status = ch_sstable_writer_finish(writer, ch_memtable_lsn_first(flush->memtable),
                                          flush->lsn, &flush->info);
    ch_sstable_writer_destroy(&writer);
    return status;
}

static void
sort_series(flush_t *flush)
{
    ch_engine_t *engine = flush->engine;
    ch_series_table_t *table = flush->roster->series;
    uint32_t count = ch_memtable_series_count(flush->memtable);
    if (engine->order_generation != flush->roster->generation)
        ch_key_order_release(&engine->order);
    engine->order_generation = flush->roster->generation;
    flush->series = ch_alloc(((size_t)count + 1) * sizeof *flush->series);
    flush->series_count = count;
    flush->last = ch_alloc(((size_t)count + 1) * sizeof *flush->last);
    ch_memtable_series(flush->memtable, flush->series);
    ch_key_order_sort(&engine->order, table, flush->series, count);
}

/* Newest points first, then the version: who sees the version must find them, and who holds an older
 * one does not look at them (series_state.h). */
static void
publish_newest(flush_t *flush)
{
    ch_series_states_t *states = flush->present->states;
    ch_series_states_begin_flush(states, flush->lsn);
    for (size_t i = 0; i < flush->last_count; i++)
        ch_series_states_flushed(states, flush->last[i].series, flush->last[i].time,
                                 flush->last[i].value);
}

/* Deletes that came while the table was written take from it too. After the points are published:
 * whoever adds a delete does so in the version first, so either it is seen here, or it sees them. */
static void
publish_deletes(flush_t *flush)
{
    ch_engine_t *engine = flush->engine;
    (void)pthread_mutex_lock(&engine->mutex);
    ch_tombstones_t *set = engine->version->tombstones;
    if (set)
        ch_tombstones_retain(set);
    (void)pthread_mutex_unlock(&engine->mutex);
    for (size_t i = 0; set && i < flush->last_count; i++) {
        uint32_t series = flush->last[i].series;
        if (ch_tombstones_gather(set, series, flush->lsn, UINT64_MAX, CH_TIME_MIN,
                                 CH_TIME_MAX, &flush->erasures))
            for (size_t j = 0; j < flush->erasures.count; j++)
                ch_series_states_erase(flush->present->states, series,
                                       &flush->erasures.items[j]);
    }
    ch_tombstones_release(&set);
}

/* All series of the memtable are alive, also those of which deletes left nothing: readers may see them
 * in it yet. */
static void
tell_sweep(flush_t *flush)
{
    for (uint32_t i = 0; i < flush->series_count && flush->roster != flush->present; i++)
        flush->series[i] = present_id(flush, flush->series[i]);
    ch_sweep_note_flush(flush->engine, flush->series, flush->series_count);
    ch_sweep_note_gone(flush->engine, flush->series_count - flush->last_count);
}

/* The table (NULL: nothing was left to write) joins the version, the memtable leaves it. */
static void
install(flush_t *flush, ch_table_t *table)
{
    ch_engine_t *engine = flush->engine;
    (void)pthread_mutex_lock(&engine->mutex);
    ch_version_t *old = engine->version;
    size_t count = old->table_count;
    ch_table_t **tables = ch_alloc((count + 1) * sizeof *tables);
    memcpy(tables, old->tables, count * sizeof *tables);
    if (table)
        tables[count++] = table;
    engine->version = ch_version_new(flush->lsn, tables, count, NULL, old->active,
                                     old->tombstones, ch_wal_durable_lsn(engine->wal));
    engine->flushed_lsn = flush->lsn;
    ch_compactor_wake(engine);
    (void)pthread_cond_broadcast(&engine->moved);
    (void)pthread_mutex_unlock(&engine->mutex);
    ch_free(tables);
    ch_version_release(&old);
}

static ch_status_t
commit_edit(flush_t *flush, bool table)
{
    ch_engine_t *engine = flush->engine;
#ifdef CH_FAULT_SESSIONS_AFTER_SWITCH
    ch_text_reset(&engine->immutable_sessions);
    ch_session_map_capture(engine->sessions, true, &engine->immutable_sessions);
#endif
    ch_tombstone_text_t *texts = NULL;
    size_t text_count = ch_engine_tombstones_to_keep(
        flush->tombstones, flush->flushed_lsn, flush->lsn, &texts);
#ifdef CH_FAULT_TOMBSTONE_LOST_AT_FLUSH
    text_count = 0;
#endif
    ch_manifest_table_t added = {.info = flush->info, .level = 0};
    ch_manifest_edit_t edit = {
        .add = &added,
        .add_count = table,
        .flushed_lsn = flush->lsn,
        .sessions = ch_text_bytes(&engine->immutable_sessions),
        .tombstones = texts,
        .tombstone_count = text_count,
    };
    ch_status_t status = ch_engine_edit(engine, &edit);
    ch_free(texts);
    return status;
}

static ch_status_t
write_and_install(flush_t *flush)
{
    ch_engine_t *engine = flush->engine;
    ch_sstable_t *sstable = NULL;
    sort_series(flush);
    bool table = ch_memtable_points(flush->memtable) > 0;
    ch_status_t status = table ? write_table(flush) : CH_OK;
    table = flush->last_count > 0;
    if (status >= 0 && table)
        status = ch_engine_open_table(engine, flush->path, flush->file_number, &sstable);
    if (status >= 0)
        status = commit_edit(flush, table);
    if (status < 0) {
        ch_sstable_destroy(&sstable);
        return status;
    }
    ch_table_t *joins = NULL;
    if (table) {
        engine->flush_file = 0;
        joins = ch_table_new(engine->options.fs, flush->path, 0, sstable);
    }
    publish_newest(flush);
    publish_deletes(flush);
    tell_sweep(flush);
    install(flush, joins);
    ch_table_release(&joins);
    return CH_OK;
}

/* A table must never hold what a power loss can still take from the WAL. */
static ch_status_t
wait_durable(ch_engine_t *engine, uint64_t lsn)
{
    while (ch_wal_durable_lsn(engine->wal) < lsn) {
        if (ch_engine_failed(engine))
            return ch_fail(CH_ERR_CLOSED, "flush: the log failed");
        if (!engine->threads_running) {
            ch_status_t status = ch_engine_commit(engine);
            if (status < 0)
                return status;
            continue;
        }
        (void)pthread_mutex_lock(&engine->mutex);
        bool stopping = engine->stopping;
        if (!stopping && ch_wal_durable_lsn(engine->wal) < lsn &&
            !ch_engine_failed(engine))
            (void)pthread_cond_wait(&engine->moved, &engine->mutex);
        (void)pthread_mutex_unlock(&engine->mutex);
        if (stopping)
            return ch_fail(CH_ERR_CLOSED, "flush: stopping");
    }
    return CH_OK;
}

static void
count_flush(flush_t *flush, int64_t started_ns)
{
    ch_engine_t *engine = flush->engine;
    int64_t took_us = (ch_clock_monotonic_ns(engine->options.clock) - started_ns) / 1000;
    ch_engine_count(&engine->counters.flushes, 1);
    ch_engine_count(&engine->counters.flush_us, (uint64_t)took_us);
    ch_engine_count(&engine->counters.flush_bytes, flush->info.file_bytes);
    ch_engine_count(&engine->counters.points_flushed, flush->info.points);
    ch_log(engine->options.log, CH_LOG_INFO, "engine", "flush",
           "file=%llu series=%llu points=%llu bytes=%llu lsn=%llu took_ms=%lld",
           (unsigned long long)flush->file_number, (unsigned long long)flush->info.series,
           (unsigned long long)flush->info.points,
           (unsigned long long)flush->info.file_bytes, (unsigned long long)flush->lsn,
           (long long)(took_us / 1000));
}

static void
flush_release(flush_t *flush)
{
    ch_points_release(&flush->points);
    ch_tombstones_release(&flush->tombstones);
    ch_erasures_release(&flush->erasures);
    ch_roster_release(&flush->roster);
    ch_roster_release(&flush->present);
    ch_free(flush->series);
    ch_free(flush->last);
    ch_free(flush->path);
}

/* What a failed flush means: a full disk is asked again later, anything else stops writes. */
static ch_status_t
flush_failed(ch_engine_t *engine, ch_status_t status)
{
    if (status == CH_ERR_NOSPACE) {
        ch_engine_reserve_spend(engine);
    } else if (status != CH_ERR_CLOSED) {
        ch_engine_fail(engine, ch_fail_text());
    }
    return status;
}

ch_status_t
ch_engine_flush_immutable(ch_engine_t *engine)
{
    (void)pthread_mutex_lock(&engine->mutex);
    ch_version_t *version = engine->version;
    bool due = version->immutable != NULL;
    flush_t flush = {.engine = engine,
                     .lsn = engine->immutable_lsn,
                     .flushed_lsn = engine->flushed_lsn};
    if (due) {
        flush.memtable = version->immutable->memtable; /* only a flush takes it away */
        flush.roster = version->immutable->roster;
        flush.present = ch_version_roster(version); /* as long as that is there */
        flush.tombstones = version->tombstones;
        ch_roster_retain(flush.roster);
        ch_roster_retain(flush.present);
    }
    if (flush.tombstones)
        ch_tombstones_retain(flush.tombstones);
    (void)pthread_mutex_unlock(&engine->mutex);
    if (!due)
        return CH_NOT_FOUND;
    int64_t started = ch_clock_monotonic_ns(engine->options.clock);
    if (!engine->flush_file) /* a flush that is tried again keeps its number */
        engine->flush_file = ch_engine_new_file(engine);
    flush.file_number = engine->flush_file;
    flush.path = ch_engine_table_path(engine, flush.file_number);
    ch_status_t status = wait_durable(engine, flush.lsn);
    if (status >= 0)
        status = write_and_install(&flush);
    if (status >= 0) {
        count_flush(&flush, started);
        (void)pthread_mutex_lock(&engine->wal_commit_mutex);
#ifdef CH_FAULT_RETIRE_UNFLUSHED
        status = ch_wal_retire(engine->wal, flush.lsn + 10);
#else
        if (engine->log_readers == 0) /* else the next flush does it */
            status = ch_wal_retire(engine->wal, flush.lsn);
#endif
        (void)pthread_mutex_unlock(&engine->wal_commit_mutex);
        ch_engine_progress(engine);
        ch_catalogue_save(engine, flush.lsn);
    }
    flush_release(&flush);
    return status < 0 ? flush_failed(engine, status) : CH_OK;
}
