/* engine_stats.c - one table of what the engine counts: name, help, unit, value. */
#include "db/compaction_picker.h"
#include "db/engine_state.h"
#include "index/regex.h"

typedef struct snapshot {
    ch_wal_stats_t wal;
    ch_engine_counters_t counters;
    uint64_t memtable_bytes, memtable_points, immutable_points;
    uint64_t producers;
    uint64_t tables, table_bytes, table_points, damaged, tombstones;
    uint64_t level_tables[CH_COMPACTION_LEVELS];
    ch_block_cache_stats_t cache;
    ch_memory_use_t memory;
    uint64_t series, series_bytes, index_bytes;
    bool held;
} snapshot_t;

static void
take_version(ch_engine_t *engine, snapshot_t *snapshot)
{
    (void)pthread_mutex_lock(&engine->mutex);
    ch_version_t *version = engine->version;
    ch_version_retain(version);
    snapshot->held = engine->held;
    (void)pthread_mutex_unlock(&engine->mutex);
    snapshot->memtable_bytes = ch_memtable_bytes(version->active->memtable);
    snapshot->memtable_points = ch_memtable_points(version->active->memtable);
    if (version->immutable)
        snapshot->immutable_points = ch_memtable_points(version->immutable->memtable);
    const ch_roster_t *roster = ch_version_roster(version);
    snapshot->series = ch_series_table_count(roster->series);
    snapshot->series_bytes = ch_series_table_bytes(roster->series);
    snapshot->index_bytes = ch_label_index_bytes(roster->index);
    snapshot->tables = version->table_count;
    if (version->tombstones)
        snapshot->tombstones = version->tombstones->count;
    for (size_t i = 0; i < version->table_count; i++) {
        const ch_sstable_info_t *info = ch_sstable_info(version->tables[i]->sstable);
        snapshot->table_bytes += info->file_bytes;
        snapshot->table_points += info->points;
        snapshot->damaged +=
            __atomic_load_n(&version->tables[i]->damaged, __ATOMIC_RELAXED);
        if (version->tables[i]->level < CH_COMPACTION_LEVELS)
            snapshot->level_tables[version->tables[i]->level]++;
    }
    ch_version_release(&version);
}

/* Bytes written to tables for every byte that flushes brought. */
static double
write_amplification(ch_engine_t *engine)
{
    double flushed =
        (double)__atomic_load_n(&engine->counters.flush_bytes, __ATOMIC_RELAXED);
    double merged =
        (double)__atomic_load_n(&engine->counters.compaction_written, __ATOMIC_RELAXED);
    return flushed > 0 ? (flushed + merged) / flushed : 1;
}

static uint64_t
in_flight(const ch_engine_t *engine)
{
    uint64_t durable = ch_engine_durable_lsn(engine); /* first: it follows the other */
    return ch_engine_appended_lsn(engine) - durable;
}

#define COUNTER(field) (double)__atomic_load_n(&engine->counters.field, __ATOMIC_RELAXED)

void
ch_engine_stats(ch_engine_t *engine, void (*visit)(void *context, const ch_stat_t *stat),
                void *context)
{
    snapshot_t now = {0};
    ch_wal_stats(engine->wal, &now.wal);
    take_version(engine, &now);
    (void)pthread_mutex_lock(&engine->sessions_mutex);
    now.producers = ch_session_map_count(engine->sessions);
    (void)pthread_mutex_unlock(&engine->sessions_mutex);
    now.cache = ch_block_cache_stats(engine->cache);
    now.memory = ch_engine_memory_use(engine);
    const ch_stat_t stats[] = {
        {"engine.batches", "batches taken since the start", "", COUNTER(batches)},
        {"engine.points", "points taken since the start", "points", COUNTER(points)},
        {"engine.deletes", "deletes and retention cuts logged since the start", "",
         COUNTER(deletes)},
        {"engine.tombstones", "deletes that some table has not applied yet", "",
         (double)now.tombstones},
        {"retention.tables_dropped", "tables removed whole since the start", "",
         COUNTER(tables_dropped)},
        {"engine.rejects", "identified batches refused since the start", "",
         COUNTER(rejects)},
        {"engine.held", "batches dropped while the disk was full", "", COUNTER(held)},
        {"engine.series", "series known", "series", (double)now.series},
        {"engine.series_sweeps", "sweeps of series without points since the start", "",
         (double)__atomic_load_n(&engine->sweep.sweeps, __ATOMIC_RELAXED)},
        {"engine.series_swept", "series that they took", "series",
         (double)__atomic_load_n(&engine->sweep.dropped, __ATOMIC_RELAXED)},
        {"engine.series_loaded", "series that the last start read from the catalogue",
         "series", (double)engine->series_loaded},
        {"engine.series_refused",
         "batches refused at limits.series or engine.memory_limit", "",
         COUNTER(series_refused)},
        {"engine.producer_series_refused", "batches refused at limits.producer_series",
         "", COUNTER(producer_series_refused)},
        {"engine.producers", "producers whose sessions are kept", "",
         (double)now.producers},
        {"engine.producers_refused", "batches dropped at limits.producers", "",
         COUNTER(producers_refused)},
        {"index.regex_given_up", "matches of regexes that took too many steps", "",
         (double)ch_regex_given_up()},
        {"engine.series_bytes", "memory of keys", "bytes", (double)now.series_bytes},
        {"engine.index_bytes", "memory of the label index", "bytes",
         (double)now.index_bytes},
        {"engine.disk_full", "1 while writes wait for room on the disk", "", now.held},
        {"memory.limit", "engine.memory_limit", "bytes",
         (double)engine->options.memory_limit},
        {"memory.rest", "what series and cached blocks together may take", "bytes",
         (double)engine->memory.rest},
        {"memory.series", "keys, labels and what is remembered of each series", "bytes",
         (double)now.memory.series},
        {"memory.tables", "indexes and filters of open tables", "bytes",
         (double)now.memory.tables},
        {"memory.memtables", "memtables, and memory kept for the next", "bytes",
         (double)now.memory.memtables},
        {"memtable.bytes", "memory of the active memtable", "bytes",
         (double)now.memtable_bytes},
        {"memtable.points", "points in the active memtable", "points",
         (double)now.memtable_points},
        {"memtable.flushing_points", "points in the memtable being flushed", "points",
         (double)now.immutable_points},
        {"flush.count", "flushes since the start", "", COUNTER(flushes)},
        {"flush.points", "points flushed since the start", "points",
         COUNTER(points_flushed)},
        {"flush.bytes", "table bytes written by flushes", "bytes", COUNTER(flush_bytes)},
        {"flush.us", "time spent in flushes", "us", COUNTER(flush_us)},
        {"compaction.count", "merges of tables since the start", "",
         COUNTER(compactions)},
        {"compaction.given_up",
         "merges given up: no room, or an input that cannot be read", "",
         COUNTER(compactions_given_up)},
        {"compaction.read_bytes", "read by merges", "bytes", COUNTER(compaction_read)},
        {"compaction.written_bytes", "written by merges", "bytes",
         COUNTER(compaction_written)},
        {"compaction.passed_chunks", "chunks that merges took over as they were", "",
         COUNTER(chunks_passed)},
        {"compaction.us", "time spent in merges, pauses included", "us",
         COUNTER(compaction_us)},
        {"compaction.write_amplification",
         "bytes written to tables for each that flushes brought, since the start", "",
         write_amplification(engine)},
        {"compaction.debt_bytes", "inputs of all merges that are due", "bytes",
         (double)__atomic_load_n(&engine->compactor.debt, __ATOMIC_RELAXED)},
        {"sst.tables", "live tables", "", (double)now.tables},
        {"sst.tables_0", "live tables as flushes wrote them", "",
         (double)now.level_tables[0]},
        {"sst.tables_1", "live tables in windows of 2 h", "",
         (double)now.level_tables[1]},
        {"sst.tables_2", "live tables in windows of a day", "",
         (double)now.level_tables[2]},
        {"sst.tables_3", "live tables in windows of a week", "",
         (double)now.level_tables[3]},
        {"sst.damaged", "live tables of which something could not be read", "",
         (double)now.damaged},
        {"sst.bytes", "bytes of live tables", "bytes", (double)now.table_bytes},
        {"sst.points", "points in live tables, overwritten ones included", "points",
         (double)now.table_points},
        {"cache.hits", "blocks of tables found in memory", "", (double)now.cache.hits},
        {"cache.misses", "blocks of tables read from the file system", "",
         (double)now.cache.misses},
        {"cache.evictions", "blocks that left the cache for others", "",
         (double)now.cache.evictions},
        {"cache.bytes", "memory of cached blocks", "bytes", (double)now.cache.bytes},
        {"cache.budget_bytes", "what cached blocks may take", "bytes",
         (double)now.cache.budget_bytes},
        {"wal.syncs", "fdatasync calls of the log", "", (double)now.wal.syncs},
        {"wal.groups", "commit groups written", "", (double)now.wal.groups},
        {"wal.records", "records written", "", (double)now.wal.records},
        {"wal.bytes", "bytes written to the log", "bytes", (double)now.wal.bytes_written},
        {"wal.segments", "log segments held", "", (double)now.wal.segments},
        {"wal.sync_us", "time spent in fdatasync", "us", (double)now.wal.sync_us_total},
        {"wal.sync_us_max", "longest fdatasync", "us", (double)now.wal.sync_us_max},
        {"wal.pending_bytes", "appended and not yet durable", "bytes",
         (double)ch_wal_pending_bytes(engine->wal)},
        {"wal.window_bytes", "what may wait to be durable; beyond, nothing is read",
         "bytes", (double)engine->options.wal_window_bytes},
        {"wal.in_flight", "records that are not durable yet", "",
         (double)in_flight(engine)},
        {"wal.recovered_records", "records replayed by the last start", "",
         (double)engine->recovered_records},
        {"wal.recovery_ms", "time of the last start", "ms",
         (double)engine->recovery_ns / 1e6},
        {"lsn.appended", "last record taken", "", (double)ch_engine_appended_lsn(engine)},
        {"lsn.durable", "last record that survives anything", "",
         (double)ch_engine_durable_lsn(engine)},
        {"lsn.flushed", "everything up to here is in tables", "",
         (double)ch_engine_flushed_lsn(engine)},
        {"manifest.bytes", "size of the manifest", "bytes",
         (double)ch_manifest_bytes(engine->manifest)},
    };
    for (size_t i = 0; i < sizeof stats / sizeof stats[0]; i++)
        visit(context, &stats[i]);
}
