/// The engine's insides, shared by the files of db/ and by nobody else.
///
/// Threads   W the writer (append, refuse, flush request, seal, close), S the syncer, F the
///           flusher, C the compactor, SW the sweeper (series_sweep.h), R readers. With
///           background_threads = 0 the writer plays S, F, C and SW. Tables join and leave by F and C.
/// Locks     `mutex` guards what is marked [m]; it is never held during I/O.
///           `sessions_mutex` guards the session map. `wal_commit_mutex` lets one thread at a time
///           commit, seal or retire. `manifest_mutex` lets one edit happen at a time; it is held
///           while that is synced, and no longer. Whoever removes tables holds `tables_mutex` from the
///           look whether they still live to their leaving the version. One snapshot at a time is made
///           or removed, under `snapshot_mutex`. Order: snapshot_mutex, wal_commit_mutex, tables_mutex,
///           manifest_mutex, mutex, sessions_mutex.
#ifndef CH_DB_ENGINE_STATE_H
#define CH_DB_ENGINE_STATE_H

#include "ch/deadline.h"
#include "ch/engine.h"
#include "db/catalogue.h"
#include "db/compaction.h"
#include "db/key_order.h"
#include "db/manifest.h"
#include "db/memory.h"
#include "db/retention.h"
#include "db/roster.h"
#include "db/series_sweep.h"
#include "db/session.h"
#include "db/version.h"
#include "mem/arena.h"
#include "os/thread.h"
#include "wal/wal.h"

enum {
    CH_ENGINE_RESERVE_BYTES = 16 << 20,      /* lets a full disk flush itself free */
    CH_ENGINE_RESERVE_BYTES_SMALL = 4 << 20, /* on a disk below RESERVE_DISK_SMALL */
    CH_ENGINE_RESERVE_DISK_SMALL = 256 << 20,
    CH_ENGINE_RESERVE_STOPPED = 32
                                << 10, /* beside twice the manifest: what a start needs */
    CH_ENGINE_ZERO_AHEAD_BYTES = 4 << 20, /* of the log, before it is needed */
    CH_ENGINE_RETRY_MS = 200,             /* how often a full disk is asked again */
    CH_ENGINE_FLUSHES_STALL = 64, /* at level 0: then a full memtable waits for a merge */
    CH_ENGINE_SEGMENTS_MAX = 4096, /* unretired WAL segments that force a flush */
};

typedef struct ch_engine_counters {
    uint64_t batches, points, points_flushed, flushes, flush_us, flush_bytes, rejects;
    uint64_t producers_refused, producer_series_refused;
    uint64_t held, series_refused, memtable_switches, deletes, tables_dropped;
    uint64_t compactions, compaction_us, compaction_read, compaction_written;
    uint64_t chunks_passed, compactions_given_up;
} ch_engine_counters_t;

struct ch_engine {
    ch_engine_options_t options;
    char *path, *wal_path, *sst_path;
    ch_file_t *lock;
    unsigned directories_held; /* of these three */
    ch_wal_t *wal;
    ch_manifest_t *manifest; /* under manifest_mutex (open and close: the writer) */
    ch_arena_pool_t *arenas;
    ch_roster_t *roster;     /* W: the present one; others go by the version they pin */
    ch_block_cache_t *cache; /* of all tables' blocks; outlives every version */
    ch_memory_plan_t memory;
    uint64_t cache_budget;    /* W */
    uint64_t tables_memory;   /* W: as of the last fit */
    uint32_t fitted_series;   /* W */
    uint64_t nameless_series; /* W: brought by batches without identity */
    uint64_t fitted_beside;   /* W: memory of a sweep, as of the last fit */

    ch_memtable_t *active; /* W: the version's active memtable */

    pthread_mutex_t sessions_mutex;
    ch_session_map_t *sessions;

    pthread_mutex_t wal_commit_mutex;
    unsigned log_readers; /* under it: snapshots that copy segments, so none may go */
    pthread_mutex_t tables_mutex;
    pthread_mutex_t manifest_mutex;
    pthread_mutex_t snapshot_mutex;
    pthread_mutex_t
        catalogue_mutex; /* alone: nothing else is locked under it but `mutex` */

    pthread_mutex_t mutex;
    pthread_cond_t sync_wanted;    /* S waits */
    pthread_cond_t flush_wanted;   /* F waits */
    pthread_cond_t compact_wanted; /* C waits */
    pthread_cond_t moved;   /* durable or flushed lsn moved, or a failure: W may wait */
    ch_version_t *version;  /* [m] */
    uint64_t flushed_lsn;   /* [m] */
    uint64_t immutable_lsn; /* [m] last lsn at the last switch; written by W */
    ch_text_t immutable_sessions; /* [m] sessions as they stood at the switch */
    bool syncer_idle;             /* [m] S sleeps and wants a signal */
    uint64_t sync_lsn; /* [m] somebody waits for this one to be durable: no interval */
    bool stopping;     /* [m] */
    bool held;         /* [m] no room: appends are dropped */
    const char *held_reason; /* [m] while held */
    bool reserve_spent;      /* [m] */
    ch_compactor_t compactor;

    bool failed;       /* atomic; for good */
    bool closed;       /* W */
    char failure[256]; /* written once before `failed` */

    ch_catalogue_t catalogue; /* under catalogue_mutex */
    ch_sweep_t sweep;
    uint64_t reserve_bytes;
    uint64_t next_file;        /* atomic: ch_engine_new_file */
    uint64_t flush_file;       /* F: number of the flush at hand; 0: none yet */
    ch_key_order_t order;      /* F */
    uint64_t order_generation; /* F: of the roster that it sorts */

    uint32_t *ids; /* W: series ids of the batch at hand */
    size_t ids_capacity;
    uint32_t *name_ids; /* W: name ids of a table's fields */
    size_t name_ids_capacity;
    uint64_t applied_points; /* W */

    ch_retention_t retention; /* W, but for what it says of drops */

    pthread_t syncer, flusher, compactor_thread, sweeper;
    bool threads_running;
    ch_engine_counters_t counters; /* relaxed atomics */
    uint64_t recovered_records;
    uint32_t series_loaded; /* by the start, from the catalogue */
    int64_t recovery_ns;
};

struct ch_view {
    ch_engine_t *engine;
    ch_version_t *version;
    uint64_t lsn;
    bool memory_only;       /* get reads no table */
    bool despite_damage;    /* of lists */
    char warning[512];      /* what that left in doubt */
    ch_deadline_t deadline; /* of selecting */
    ch_source_t source;
    ch_points_t part, merged, piece; /* scratch of reads */
    ch_points_t strings;             /* owns string values handed out by get */
    ch_erasures_t erasures;          /* deletes that concern the series at hand */
};

static inline void
ch_engine_count(uint64_t *counter, uint64_t by)
{
    (void)__atomic_add_fetch(counter, by, __ATOMIC_RELAXED);
}

/// Stop writes for good, remember why, wake everybody.
void ch_engine_fail(ch_engine_t *engine, const char *what);

/// Tell the owner that something moved.
void ch_engine_progress(ch_engine_t *engine);

/// Resolve, intern and apply one batch's points under `lsn`; ids of all cells land in engine->ids.
/// Returns the number of cells.
size_t ch_engine_intern(ch_engine_t *engine, const ch_batch_t *batch, uint64_t lsn);
void ch_engine_apply(ch_engine_t *engine, const ch_batch_t *batch, uint64_t lsn);

/// What would become of a batch or delete of this producer; TAKEN without identity. Writer.
ch_append_state_t ch_engine_check_session(ch_engine_t *engine,
                                          const ch_identity_t *identity);
/// It became record `lsn`. Nothing to do without identity.
void ch_engine_consume(ch_engine_t *engine, const ch_identity_t *identity, uint64_t lsn,
                       int64_t time, const ch_reject_t *reject);
/// A record was appended.
void ch_engine_wake_syncer(ch_engine_t *engine);

/// The version now also minds this delete; remembered newest points that it takes become unknown.
/// Writer, before its record is appended; and recovery.
void ch_engine_add_tombstone(ch_engine_t *engine, ch_tombstone_t *tombstone);

/// Recovery: a delete that was logged, or stands in the manifest.
ch_status_t ch_engine_recover_tombstone(ch_engine_t *engine,
                                        const ch_tombstone_text_t *text) CH_MUST_CHECK;

/// Writer: log a retention cut at the next lsn. *series_out: how many it names; with 0 there is no
/// record. Errors as ch_engine_delete.
ch_status_t ch_engine_log_retention(ch_engine_t *engine, const ch_tombstone_text_t *text,
                                    uint64_t *series_out) CH_MUST_CHECK;

/// Of `set`, what has a place in the edit that moves the flushed position to `lsn`: those above the
/// position before. *texts_out is the caller's; the texts in it are the set's.
size_t ch_engine_tombstones_to_keep(const ch_tombstones_t *set, uint64_t flushed_lsn,
                                    uint64_t lsn, ch_tombstone_text_t **texts_out);

/// Has the series a point in [start, end)? 1, 0, or < 0. Reads; for series that a delete has named.
int ch_view_has_points(ch_view_t *view, const ch_series_ref_t *series, int64_t start,
                       int64_t end);

/// For lists: damage becomes a warning and `instead`, if the view was told so; else `status`.
ch_status_t ch_view_forgive(ch_view_t *view, ch_status_t status, ch_status_t instead);

/// Open the log and apply what the tables do not hold; the memtable and the tables' series are there.
/// Errors: those of ch_wal_open.
ch_status_t ch_engine_open_wal(ch_engine_t *engine) CH_MUST_CHECK;

/// One commit of the WAL; handles a full disk and failures. CH_NOT_FOUND: nothing was pending.
ch_status_t ch_engine_commit(ch_engine_t *engine);

/// Make the log's next segment before it is needed.
ch_status_t ch_engine_prepare_log(ch_engine_t *engine);

/// Make the active memtable immutable when it is due and none is being flushed. True if it did.
bool ch_engine_switch(ch_engine_t *engine, bool force);

/// Writer, holding `mutex`, without an immutable memtable: a new one takes the active one's place, which
/// becomes immutable if it has records (up to `last`). Its ids, and those in `tombstones`, are of
/// `roster`. Returns the version before; the caller releases it.
ch_version_t *ch_engine_next_memtable(ch_engine_t *engine, ch_roster_t *roster,
                                      ch_tombstones_t *tombstones, uint64_t last);

/// Writer: go on under the ids of this roster. Takes a reference.
void ch_engine_use_roster(ch_engine_t *engine, ch_roster_t *roster);

/// Write the immutable memtable as a table and install it. CH_NOT_FOUND: there is none.
ch_status_t ch_engine_flush_immutable(ch_engine_t *engine);

/// Apply an edit, one at a time; its next_file is filled in.
ch_status_t ch_engine_edit(ch_engine_t *engine, ch_manifest_edit_t *edit) CH_MUST_CHECK;

/// A number for a new table.
uint64_t ch_engine_new_file(ch_engine_t *engine);

/// Make or remake the reserve file; free it when the disk is full.
ch_status_t ch_engine_reserve_fill(ch_engine_t *engine);
/// At a clean end: leave of the reserve what the next start needs on a disk that others have filled.
ch_status_t ch_engine_reserve_shrink(ch_engine_t *engine);
void ch_engine_reserve_spend(ch_engine_t *engine);

/// Is there room again? Then the reserve is remade and writes go on.
void ch_engine_try_resume(ch_engine_t *engine);

/// Now or `ms` later on the clock that the engine's condition variables wait by.
struct timespec ch_engine_time_in_ms(int64_t ms);

void ch_engine_threads_start(ch_engine_t *engine);
void ch_engine_threads_stop(ch_engine_t *engine);

/// `<dir>/<name>`; owned by the caller.
char *ch_engine_path(const char *dir, const char *name);
char *ch_engine_table_path(const ch_engine_t *engine, uint64_t file_number);

/// Remove snapshots that were not finished: they hold on to room.
void ch_engine_clean_snapshots(ch_engine_t *engine);

/// Keep nodes away from a directory while its files are read. *lock_out NULL: no node ever had it.
/// Errors: CH_ERR_BUSY (a node has it now).
ch_status_t ch_engine_lock_for_reading(ch_fs_t *fs, const char *dir,
                                       ch_file_t **lock_out) CH_MUST_CHECK;

/// ch_sstable_open for a table that will be asked: its blocks go through the engine's cache.
ch_status_t ch_engine_open_table(const ch_engine_t *engine, const char *path,
                                 uint64_t file_number,
                                 ch_sstable_t **sstable_out) CH_MUST_CHECK;

#endif
