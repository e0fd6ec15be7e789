/* engine.c - open, recover, close: the pieces put together.
 *
 * Start     lock; manifest read; catalogue of series read; tables opened, and the keys interned of those
 *           that it does not cover; WAL replayed above the flushed lsn through the code that appends
 *           use. Only then is it known that the manifest told of all there is (a log that begins
 *           later says it did not): it is written anew, and strays are removed. Then, and only then,
 *           the threads start and somebody may ask.
 */
#include "db/engine_state.h"

#include "ch/alloc.h"
#include "ch/assert.h"
#include "ch/rng.h"
#include "db/damage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define HOUR_NS INT64_C(3600000000000)

void
ch_engine_options_init(ch_engine_options_t *options)
{
    static ch_clock_t clock;
    clock = ch_clock_system();
    *options = (ch_engine_options_t){
        .fs = ch_fs_posix(),
        .clock = &clock,
        .background_threads = 1,
        .sync_mode = CH_SYNC_GROUP,
        .sync_interval_ms = 100,
        .wal_segment_bytes = 64ull << 20,
        .wal_segment_max_age_ms = 1000,
        .wal_window_bytes = 8ull << 20,
        .memtable_bytes = 64ull << 20,
        .compaction_flushes = 4,
        .compaction_bytes_per_s = 32ull << 20,
        .compaction_file_bytes = 512ull << 20,
        .compaction_windows_ns = {2 * HOUR_NS, 24 * HOUR_NS, 7 * 24 * HOUR_NS},
        .memory_limit = 1ull << 30,
        .catalogue_series_min = 10000,
        .sweep_series_min = 1000,
        .limits = ch_limits_default(),
    };
}

char *
ch_engine_path(const char *dir, const char *name)
{
    size_t size = strlen(dir) + strlen(name) + 2;
    char *path = ch_alloc(size);
    (void)snprintf(path, size, "%s/%s", dir, name);
    return path;
}

char *
ch_engine_table_path(const ch_engine_t *engine, uint64_t file_number)
{
    char name[40];
    (void)snprintf(name, sizeof name, "%020" PRIu64 ".sst", file_number);
    return ch_engine_path(engine->sst_path, name);
}

ch_status_t
ch_engine_open_table(const ch_engine_t *engine, const char *path, uint64_t file_number,
                     ch_sstable_t **sstable_out)
{
    ch_status_t status =
        ch_sstable_open(engine->options.fs, path, file_number, sstable_out);
    if (status == CH_OK)
        ch_sstable_use_cache(*sstable_out, engine->cache);
    return status;
}

/* ---- tables ---- */

static ch_status_t
open_tables(ch_engine_t *engine)
{
    const ch_manifest_state_t *state = ch_manifest_state(engine->manifest);
    ch_table_t **tables = ch_calloc(state->table_count + 1, sizeof *tables);
    ch_status_t status = CH_OK;
    size_t count = 0;
    for (; count < state->table_count && status >= 0; count++)
        status = ch_engine_open_listed(engine, &state->tables[count], &tables[count]);
    if (status >= 0) {
        ch_series_states_begin_flush(engine->roster->states, state->flushed_lsn);
        engine->active = ch_memtable_new(engine->arenas, state->flushed_lsn + 1);
        ch_shared_memtable_t *active =
            ch_shared_memtable_new(engine->active, engine->roster);
        engine->version = ch_version_new(state->flushed_lsn, tables, count, NULL, active,
                                         NULL, state->flushed_lsn);
        ch_shared_memtable_release(&active);
    }
    if (status >= 0 && engine->version->keys_unknown && !engine->options.read_only)
        status = ch_catalogue_abandon(engine);
    for (size_t i = 0; status >= 0 && i < state->tombstone_count; i++)
        status = ch_engine_recover_tombstone(engine, &state->tombstones[i]);
    for (size_t i = 0; i < count; i++)
        ch_table_release(&tables[i]);
    ch_free(tables);
    return status;
}

typedef struct stray_walk {
    ch_engine_t *engine;
    uint64_t removed;
    bool any;
} stray_walk_t;

static bool
table_is_live(const ch_engine_t *engine, const char *name)
{
    const ch_manifest_state_t *state = ch_manifest_state(engine->manifest);
    char *end = NULL;
    uint64_t number = strtoull(name, &end, 10);
    if (end == name || strcmp(end, ".sst") != 0)
        return false;
    for (size_t i = 0; i < state->table_count; i++)
        if (state->tables[i].info.file_number == number)
            return true;
    return false;
}

static ch_status_t
remove_stray(void *context, const char *name)
{
    stray_walk_t *walk = context;
    ch_engine_t *engine = walk->engine;
    size_t length = strlen(name);
    bool ours = (length > 4 && strcmp(name + length - 4, ".sst") == 0) ||
                (length > 4 && strcmp(name + length - 4, ".tmp") == 0);
    if (!ours || table_is_live(engine, name))
        return CH_OK;
    char *path = ch_engine_path(engine->sst_path, name);
    ch_status_t status = ch_fs_unlink(engine->options.fs, path);
    ch_log(engine->options.log, CH_LOG_WARN, "engine", "stray_removed", "file=%s", name);
    walk->removed++;
    ch_free(path);
    return status;
}

static ch_status_t
remove_strays(ch_engine_t *engine)
{
    stray_walk_t walk = {.engine = engine};
    ch_status_t status =
        ch_fs_list(engine->options.fs, engine->sst_path, remove_stray, &walk);
    if (status >= 0 && walk.removed)
        status = ch_fs_sync_dir(engine->options.fs, engine->sst_path);
    return status;
}

static ch_status_t
note_any(void *context, const char *name)
{
    (void)name;
    *(bool *)context = true;
    return CH_END;
}

/* Tables or segments without a manifest mean that somebody lost the manifest: making a new one
 * would declare all of it strays. */
static ch_status_t
check_manifest_is_not_lost(ch_engine_t *engine)
{
    ch_fs_t *fs = engine->options.fs;
    char *path = ch_engine_path(engine->path, "manifest");
    ch_file_t *file = NULL;
    bool any = false;
    ch_status_t status = ch_fs_open(fs, path, CH_FS_READ, &file);
    ch_fs_close(&file);
    ch_free(path);
    if (status != CH_NOT_FOUND)
        return status < 0 ? status : CH_OK;
    status = ch_fs_list(fs, engine->sst_path, note_any, &any);
    if (status >= 0 && !any)
        status = ch_fs_list(fs, engine->wal_path, note_any, &any);
    if (status < 0)
        return status;
    return any ? ch_fail(CH_ERR_CORRUPT,
                         "%s/manifest is missing, but there are tables or log "
                         "segments; restore it from a copy",
                         engine->path)
               : CH_OK;
}

/* ---- open and close ---- */

/* The name of a new directory lasts only once the one above it was synced. */
static ch_status_t
sync_parent(ch_engine_t *engine)
{
    char *parent = ch_strdup(engine->path);
    char *slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent] = '\0'; /* "/data" lies in "/" */
    ch_status_t status = ch_fs_sync_dir(engine->options.fs, slash ? parent : ".");
    ch_free(parent);
    return status;
}

/* New names in them are synced while connections may take all descriptors that there are. */
static ch_status_t
hold_directories(ch_engine_t *engine)
{
    const char *const paths[] = {engine->path, engine->wal_path, engine->sst_path};
    ch_status_t status = CH_OK;
#ifndef CH_FAULT_DIRECTORIES_NOT_HELD
    for (size_t i = 0; i < 3 && status >= 0; i++) {
        status = ch_fs_hold_dir(engine->options.fs, paths[i]);
        engine->directories_held += status >= 0;
    }
#else
    (void)paths;
#endif
    return status;
}

static void
drop_directories(ch_engine_t *engine)
{
    const char *const paths[] = {engine->path, engine->wal_path, engine->sst_path};
    while (engine->directories_held > 0)
        ch_fs_drop_dir(engine->options.fs, paths[--engine->directories_held]);
}

static ch_status_t
open_directories(ch_engine_t *engine)
{
    ch_fs_t *fs = engine->options.fs;
    ch_status_t status = ch_fs_mkdir(fs, engine->path);
    if (status >= 0)
        status = sync_parent(engine);
    if (status >= 0)
        status = ch_fs_mkdir(fs, engine->wal_path);
    if (status >= 0)
        status = ch_fs_mkdir(fs, engine->sst_path);
    if (status >= 0) {
        char *catalogue = ch_engine_path(engine->path, "catalogue");
        status = ch_fs_mkdir(fs, catalogue);
        ch_free(catalogue);
    }
    if (status >= 0)
        status = ch_fs_sync_dir(fs, engine->path);
    if (status < 0)
        return status;
    char *path = ch_engine_path(engine->path, "LOCK");
    status = ch_fs_lock(fs, path, &engine->lock);
    ch_free(path);
    return status >= 0 ? hold_directories(engine) : status;
}

static ch_status_t
open_manifest(ch_engine_t *engine)
{
    uint64_t cluster = engine->options.seed ? engine->options.seed : ch_rng_entropy();
    ch_status_t status = check_manifest_is_not_lost(engine);
    if (status < 0)
        return status;
    return ch_manifest_open(engine->options.fs, engine->path, cluster, engine->sessions,
                            &engine->manifest);
}

static ch_status_t
begin_manifest(ch_engine_t *engine)
{
    ch_status_t status = ch_manifest_begin(engine->manifest);
    if (status != CH_ERR_NOSPACE)
        return status;
    ch_engine_reserve_spend(engine); /* a full disk must not keep a node from starting */
    return ch_manifest_begin(engine->manifest);
}

static ch_status_t
recover(ch_engine_t *engine)
{
    int64_t started = ch_clock_monotonic_ns(engine->options.clock);
    ch_status_t status = open_directories(engine);
    if (status >= 0)
        status = open_manifest(engine);
#ifdef CH_FAULT_STRAYS_BEFORE_LOG
    if (status >= 0)
        status = remove_strays(engine);
#endif
    if (status >= 0)
        ch_catalogue_load(engine);
    if (status >= 0)
        status = open_tables(engine);
    if (status >= 0)
        status = ch_engine_open_wal(engine);
    if (status >= 0)
        status = begin_manifest(engine);
    if (status >= 0)
        status = remove_strays(engine);
    if (status < 0)
        return status;
    ch_engine_clean_snapshots(engine);
    const ch_manifest_state_t *state = ch_manifest_state(engine->manifest);
    engine->flushed_lsn = engine->immutable_lsn = state->flushed_lsn;
    engine->next_file = state->next_file;
    if (ch_engine_reserve_fill(engine) < 0) {
        engine->reserve_spent = true;
        ch_log(engine->options.log, CH_LOG_WARN, "engine", "no_reserve", "bytes=%" PRIu64,
               engine->reserve_bytes);
    }
    engine->recovery_ns = ch_clock_monotonic_ns(engine->options.clock) - started;
    ch_log(engine->options.log, CH_LOG_INFO, "engine", "open",
           "tables=%zu series=%u from_catalogue=%u lsn=%" PRIu64 " replayed=%" PRIu64
           " took_ms=%" PRId64,
           state->table_count, ch_series_table_count(engine->roster->series),
           engine->series_loaded, ch_wal_durable_lsn(engine->wal),
           engine->recovered_records, engine->recovery_ns / 1000000);
    return CH_OK;
}

/* A lock of our own kind keeps nodes away while we read. A directory in which none ever ran (a snapshot,
 * a backup) has no file to lock. */
ch_status_t
ch_engine_lock_for_reading(ch_fs_t *fs, const char *dir, ch_file_t **lock_out)
{
    char *path = ch_engine_path(dir, "LOCK");
    ch_status_t status = ch_fs_lock_shared(fs, path, lock_out);
    ch_free(path);
    if (status == CH_ERR_BUSY)
        return ch_fail(CH_ERR_BUSY,
                       "%s: a node has it open; ask the node, or read a snapshot of it",
                       dir);
    return status < 0 ? status : CH_OK;
}

static ch_status_t
open_manifest_for_reading(ch_engine_t *engine)
{
    char *path = ch_engine_path(engine->path, "manifest");
    ch_file_t *file = NULL;
    ch_status_t status = ch_fs_open(engine->options.fs, path, CH_FS_READ, &file);
    ch_fs_close(&file);
    ch_free(path);
    if (status == CH_NOT_FOUND)
        return ch_fail(CH_ERR_INVALID, "%s: no data directory, it has no manifest",
                       engine->path);
    if (status < 0)
        return status;
    return ch_manifest_open(engine->options.fs, engine->path, 0, engine->sessions,
                            &engine->manifest);
}

static ch_status_t
recover_read_only(ch_engine_t *engine)
{
    ch_status_t status =
        ch_engine_lock_for_reading(engine->options.fs, engine->path, &engine->lock);
    if (status >= 0)
        status = open_manifest_for_reading(engine);
    if (status >= 0)
        ch_catalogue_load(engine);
    if (status >= 0)
        status = open_tables(engine);
    if (status >= 0)
        status = ch_engine_open_wal(engine);
    if (status < 0)
        return status;
    const ch_manifest_state_t *state = ch_manifest_state(engine->manifest);
    engine->flushed_lsn = engine->immutable_lsn = state->flushed_lsn;
    engine->closed = true;
    return CH_OK;
}

static void
init_sync(ch_engine_t *engine)
{
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&engine->mutex, NULL);
    (void)pthread_mutex_init(&engine->sessions_mutex, NULL);
    (void)pthread_mutex_init(&engine->wal_commit_mutex, NULL);
    (void)pthread_mutex_init(&engine->tables_mutex, NULL);
    (void)pthread_mutex_init(&engine->manifest_mutex, NULL);
    (void)pthread_mutex_init(&engine->snapshot_mutex, NULL);
    (void)pthread_mutex_init(&engine->catalogue_mutex, NULL);
    (void)pthread_cond_init(&engine->sync_wanted, &monotonic);
    (void)pthread_cond_init(&engine->flush_wanted, &monotonic);
    (void)pthread_cond_init(&engine->compact_wanted, &monotonic);
    (void)pthread_cond_init(&engine->moved, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

ch_status_t
ch_engine_open(const ch_engine_options_t *options, ch_engine_t **engine_out)
{
    ch_engine_t *engine = ch_calloc(1, sizeof *engine);
    engine->options = *options;
    engine->path = ch_strdup(options->path);
    for (size_t last = strlen(engine->path); last > 1 && engine->path[last - 1] == '/';
         last--)
        engine->path[last - 1] = '\0';
    engine->wal_path = ch_engine_path(engine->path, "wal");
    engine->sst_path = ch_engine_path(engine->path, "sst");
    engine->arenas = ch_arena_pool_new();
    engine->roster = ch_roster_new(0);
    engine->sessions = ch_session_map_new();
    engine->memory = ch_engine_memory_plan(options->memory_limit, options->memtable_bytes,
                                           options->wal_window_bytes);
    engine->cache = ch_block_cache_new(options->memory_limit / 4);
    init_sync(engine);
    ch_sweep_init(engine);
    ch_status_t status = ch_retention_init(&engine->retention, &options->retention);
    if (status >= 0)
        status = options->read_only ? recover_read_only(engine) : recover(engine);
    if (status >= 0 && !options->read_only) {
        ch_sweep_start(engine);
        ch_engine_memory_fit(engine);
        ch_engine_threads_start(engine);
    }
    if (status >= 0) {
        *engine_out = ch_take(&engine);
    }
    ch_engine_destroy(&engine);
    return status;
}

void
ch_engine_destroy(ch_engine_t **engine)
{
    ch_engine_t *gone = ch_take(engine);
    if (!gone)
        return;
    ch_engine_threads_stop(gone);
    ch_version_release(&gone->version);
    ch_block_cache_destroy(&gone->cache);
    ch_wal_destroy(&gone->wal);
    ch_manifest_destroy(&gone->manifest);
    ch_sweep_release(gone);
    ch_catalogue_release(&gone->catalogue);
    ch_roster_release(&gone->roster);
    ch_session_map_destroy(&gone->sessions);
    ch_arena_pool_destroy(&gone->arenas);
    drop_directories(gone);
    ch_fs_close(&gone->lock);
    ch_text_release(&gone->immutable_sessions);
    ch_retention_release(&gone->retention);
    (void)pthread_mutex_destroy(&gone->mutex);
    (void)pthread_mutex_destroy(&gone->sessions_mutex);
    (void)pthread_mutex_destroy(&gone->wal_commit_mutex);
    (void)pthread_mutex_destroy(&gone->tables_mutex);
    (void)pthread_mutex_destroy(&gone->manifest_mutex);
    (void)pthread_mutex_destroy(&gone->snapshot_mutex);
    (void)pthread_mutex_destroy(&gone->catalogue_mutex);
    (void)pthread_cond_destroy(&gone->sync_wanted);
    (void)pthread_cond_destroy(&gone->flush_wanted);
    (void)pthread_cond_destroy(&gone->compact_wanted);
    (void)pthread_cond_destroy(&gone->moved);
    ch_compactor_release(&gone->compactor);
    ch_key_order_release(&gone->order);
    ch_free(gone->ids);
    ch_free(gone->name_ids);
    ch_free(gone->path);
    ch_free(gone->wal_path);
    ch_free(gone->sst_path);
    ch_free(gone);
}

ch_status_t
ch_engine_sync(ch_engine_t *engine)
{
    uint64_t lsn = ch_wal_appended_lsn(engine->wal);
    if (!engine->threads_running) {
        ch_status_t status = CH_OK;
        while (status == CH_OK && ch_wal_durable_lsn(engine->wal) < lsn)
            status = ch_engine_commit(engine);
        return status < 0 ? status : CH_OK;
    }
    (void)pthread_mutex_lock(&engine->mutex);
    if (engine->sync_lsn < lsn)
        engine->sync_lsn = lsn;
    (void)pthread_cond_signal(&engine->sync_wanted);
    while (ch_wal_durable_lsn(engine->wal) < lsn && !ch_engine_failed(engine) &&
           !engine->held)
        (void)pthread_cond_wait(&engine->moved, &engine->mutex);
    bool held = engine->held;
    (void)pthread_mutex_unlock(&engine->mutex);
    if (ch_wal_durable_lsn(engine->wal) >= lsn)
        return CH_OK;
    return held ? ch_fail(CH_ERR_NOSPACE, "the disk is full")
                : ch_fail(CH_ERR_CLOSED, "%s", engine->failure);
}

ch_status_t
ch_engine_flush(ch_engine_t *engine, uint64_t *lsn_out)
{
    if (engine->closed || ch_engine_failed(engine))
        return ch_fail(CH_ERR_CLOSED, "engine: closed or failed");
    uint64_t last = ch_wal_appended_lsn(engine->wal);
    if (!engine->threads_running) {
        ch_status_t status = ch_engine_flush_immutable(engine);
        if (status >= 0 && ch_engine_switch(engine, true))
            status = ch_engine_flush_immutable(engine);
        *lsn_out = ch_engine_flushed_lsn(engine);
        return status < 0 ? status : CH_OK;
    }
    (void)pthread_mutex_lock(&engine->mutex);
    while (engine->version->immutable && !engine->held && !ch_engine_failed(engine))
        (void)pthread_cond_wait(&engine->moved,
                                &engine->mutex); /* an earlier flush, < 1 s */
    bool held = engine->held;
    *lsn_out = engine->flushed_lsn;
    (void)pthread_mutex_unlock(&engine->mutex);
    if (held)
        return ch_fail(CH_ERR_NOSPACE, "the disk is full");
    if (ch_engine_switch(engine, true))
        *lsn_out = last;
    return CH_OK;
}

/* Flush whatever the memtables hold, with the threads stopped. */
static ch_status_t
flush_all(ch_engine_t *engine)
{
    ch_status_t status = ch_engine_flush_immutable(engine);
    if (status >= 0 && ch_engine_switch(engine, true))
        status = ch_engine_flush_immutable(engine);
    return status;
}

ch_status_t
ch_engine_close(ch_engine_t *engine)
{
    if (engine->closed)
        return CH_OK;
    ch_status_t status = ch_engine_sync(engine);
    ch_engine_threads_stop(engine);
    engine->closed = true;
    if (status >= 0)
        status = flush_all(engine);
    if (status >= 0) /* only what is sealed can be retired, and only the last one stays */
        status = ch_wal_seal(engine->wal, NULL);
    if (status >= 0)
        status = ch_wal_shorten(engine->wal);
    if (status >= 0)
        status = ch_wal_retire(engine->wal, engine->flushed_lsn);
    if (status >= 0)
        status = ch_wal_close(engine->wal);
    if (status >= 0)
        status = ch_engine_reserve_shrink(engine);
    return status < 0 ? status : CH_OK;
}

ch_status_t
ch_engine_seal(ch_engine_t *engine, uint64_t *segment_out)
{
    if (engine->closed || ch_engine_failed(engine))
        return ch_fail(CH_ERR_CLOSED, "engine: closed or failed");
    (void)pthread_mutex_lock(&engine->wal_commit_mutex);
    ch_status_t status = ch_wal_seal(engine->wal, segment_out);
    (void)pthread_mutex_unlock(&engine->wal_commit_mutex);
    if (status == CH_ERR_NOSPACE)
        ch_engine_reserve_spend(engine);
    else if (status < 0)
        ch_engine_fail(engine, ch_fail_text());
    ch_engine_progress(engine);
    return status;
}

ch_status_t
ch_engine_work(ch_engine_t *engine)
{
    (void)ch_engine_switch(engine, false);
    ch_status_t status = ch_engine_flush_immutable(engine);
    if (status >= 0)
        status = ch_retention_drop(engine);
    if (status >= 0)
        status = ch_engine_prepare_log(engine);
    if (status == CH_ERR_NOSPACE)
        status = CH_OK; /* the next commit meets it, and a merge may make room */
    if (status >= 0 && ch_wal_due(engine->wal))
        status = ch_engine_commit(engine);
    if (status >= 0 && !engine->threads_running) {
        status = ch_compactor_step(engine);
        if (status == CH_ERR_NOSPACE) /* given up: nobody but space waits for it */
            status = CH_OK;
        if (status >= 0 && !engine->closed && ch_sweep_step(engine) == CH_OK)
            status = ch_engine_flush_immutable(engine);
    }
    ch_engine_try_resume(engine);
    return status < 0 ? status : CH_OK;
}

uint64_t
ch_engine_term(const ch_engine_t *engine)
{
    return ch_manifest_state(engine->manifest)->term;
}

uint64_t
ch_engine_appended_lsn(const ch_engine_t *engine)
{
    return ch_wal_appended_lsn(engine->wal);
}

uint64_t
ch_engine_durable_lsn(const ch_engine_t *engine)
{
    return ch_wal_durable_lsn(engine->wal);
}

uint64_t
ch_engine_flushed_lsn(const ch_engine_t *engine)
{
    ch_engine_t *unlocked = (ch_engine_t *)engine;
    (void)pthread_mutex_lock(&unlocked->mutex);
    uint64_t lsn = engine->flushed_lsn;
    (void)pthread_mutex_unlock(&unlocked->mutex);
    return lsn;
}

bool
ch_engine_failed(const ch_engine_t *engine)
{
    return __atomic_load_n(&engine->failed, __ATOMIC_ACQUIRE);
}

const char *
ch_engine_held_reason(const ch_engine_t *engine)
{
    if (ch_engine_failed(engine))
        return engine->failure;
    ch_engine_t *unlocked = (ch_engine_t *)engine;
    (void)pthread_mutex_lock(&unlocked->mutex);
    const char *reason = engine->held ? engine->held_reason : NULL;
    (void)pthread_mutex_unlock(&unlocked->mutex);
    return reason;
}

ch_status_t
ch_engine_session(ch_engine_t *engine, const char *producer, ch_session_view_t *view_out)
{
    uint64_t durable = ch_engine_durable_lsn(engine);
    bool held = ch_engine_held_reason(engine) != NULL;
    (void)pthread_mutex_lock(&engine->sessions_mutex);
    ch_status_t status = ch_session_view(engine->sessions, producer, durable, view_out);
    (void)pthread_mutex_unlock(&engine->sessions_mutex);
    if (status == CH_OK && held) /* the protocol: what passes never consumes a seq */
        view_out->expected = view_out->durable + 1;
    return status;
}

void
ch_engine_sessions(ch_engine_t *engine,
                   void (*visit)(void *context, const char *producer,
                                 const ch_session_view_t *view),
                   void *context)
{
    uint64_t durable = ch_engine_durable_lsn(engine);
    (void)pthread_mutex_lock(&engine->sessions_mutex);
    ch_session_map_visit(engine->sessions, durable, visit, context);
    (void)pthread_mutex_unlock(&engine->sessions_mutex);
}
