/// The storage engine: batches in, durable, visible, answered.
///
/// Threads   one writer thread calls append, refuse, flush, seal and close; any thread may call the
///           rest. With `background_threads = 0` nothing runs by itself: the writer calls
///           ch_engine_sync and ch_engine_work, and the same calls give the same run.
/// Errors    after CH_ERR_IO on the WAL or the manifest the engine is *failed*: every write says
///           CH_ERR_CLOSED, reads go on, and on_failed is called once.
#ifndef CH_ENGINE_H
#define CH_ENGINE_H

#include "ch/batch.h"
#include "ch/clock.h"
#include "ch/fs.h"
#include "ch/limits.h"
#include "ch/log.h"
#include "ch/source.h"

typedef struct ch_engine ch_engine_t;
typedef struct ch_view ch_view_t;

typedef enum {
    CH_SYNC_GROUP,    /* sync as soon as the last sync is done */
    CH_SYNC_INTERVAL, /* at most one sync every sync_interval_ms; acks wait for it */
} ch_sync_mode_t;

/// Series that `match` names stay for `age_ns` (0: for ever); of several rules the longest counts.
typedef struct ch_retention_rule {
    const char *match;
    int64_t age_ns;
} ch_retention_rule_t;

/// What ch_engine_retain takes. All 0: everything stays.
typedef struct ch_retention_options {
    int64_t age_ns; /* of series that no rule names; 0: for ever */
    uint64_t bytes; /* of all tables together; 0: no limit */
    const ch_retention_rule_t *rules;
    size_t rule_count;
} ch_retention_options_t;

typedef struct ch_engine_options {
    ch_fs_t *fs;
    const char *path; /* the data directory; made when missing */
    const ch_clock_t *clock;
    const ch_log_t *log;
    uint64_t seed;          /* of the cluster id made at first start; 0: entropy */
    int background_threads; /* 0 or 1 */
    /* Read what is there without a node: nothing is made, changed or removed, the log is replayed
     * into memory only, and every write says CH_ERR_CLOSED. */
    bool read_only;
    ch_sync_mode_t sync_mode;
    uint32_t sync_interval_ms;
    uint64_t wal_segment_bytes;      /* when to seal */
    uint32_t wal_segment_max_age_ms; /* seal a segment this long after its first record */
    uint64_t wal_window_bytes;       /* records not yet synced, at most */
    uint64_t memtable_bytes;         /* when to flush */
    uint32_t compaction_flushes; /* merge so many flushes at once; 0: only on request */
    uint64_t compaction_bytes_per_s;  /* read by merges in the background; 0: no limit */
    uint64_t compaction_file_bytes;   /* of a table that a merge writes, about */
    int64_t compaction_windows_ns[3]; /* of time; each divides the next */
    uint64_t memory_limit;            /* ch_engine_memory_plan shares it out */
    uint64_t
        reserve_bytes; /* room kept for a full disk; 0: 16 MiB, 4 MiB on a small disk */
    uint32_t
        catalogue_series_min; /* with fewer, a start reads the keys from the tables */
    uint32_t
        sweep_series_min; /* so many and an eighth of all must have lost their points */
    ch_limits_t limits;
    ch_retention_options_t retention; /* copied */
    /* Called by the syncer after the durable lsn moved, and whenever ready or failed changes; must
     * only poke another thread. May be NULL. */
    void (*on_progress)(void *context);
    void *on_progress_context;
} ch_engine_options_t;

/// How a memory limit is shared out. `rest`: for series and cached blocks. `intake` and `replies` are the
/// node's to keep to: bytes that came in and wait, and replies that wait.
typedef struct ch_memory_plan {
    uint64_t program, memtables, intake, replies, queries, rest;
    bool fits;
    uint64_t least; /* a limit that fits */
} ch_memory_plan_t;

ch_memory_plan_t ch_engine_memory_plan(uint64_t limit, uint64_t memtable_bytes,
                                       uint64_t window_bytes);

/// Fill in every default.
void ch_engine_options_init(ch_engine_options_t *options);

/// Open or make a database: lock it, read manifest and tables, recover the WAL, sync what was
/// adopted. A table that is damaged or missing is said in the log; what needs it is answered CH_ERR_CORRUPT.
/// Errors: CH_ERR_BUSY (another process has it), CH_ERR_CORRUPT (text: the exact range),
/// CH_ERR_VERSION, CH_ERR_IO, CH_ERR_NOSPACE; read_only: CH_ERR_INVALID (no data directory).
ch_status_t ch_engine_open(const ch_engine_options_t *options,
                           ch_engine_t **engine_out) CH_MUST_CHECK;

/// Sync, flush the memtables, seal: the next open replays nothing. The engine refuses writes after.
ch_status_t ch_engine_close(ch_engine_t *engine) CH_MUST_CHECK;

/// Stop threads and free; without close before it this is a crash, as far as files can tell.
void ch_engine_destroy(ch_engine_t **engine);

typedef enum {
    CH_APPEND_TAKEN,
    CH_APPEND_REJECTED,  /* consumed and refused (too many series): `reject` says why */
    CH_APPEND_DUPLICATE, /* seq below expected: no effect */
    CH_APPEND_GAP,       /* seq above expected: dropped */
    CH_APPEND_FENCED,    /* a higher epoch exists: dropped */
    CH_APPEND_HELD,      /* disk full or failed: dropped, seq not consumed; try later */
} ch_append_state_t;

typedef struct ch_append_result {
    ch_append_state_t state;
    uint64_t lsn; /* TAKEN, and REJECTED with identity */
    ch_reject_t reject;
} ch_append_result_t;

/// Take a validated batch; it is applied, not yet durable. Call only while ch_engine_ready.
/// Returns CH_OK with *result_out filled; < 0 only for programming errors and a closed engine.
ch_status_t ch_engine_append(ch_engine_t *engine, const ch_batch_t *batch,
                             ch_append_result_t *result_out) CH_MUST_CHECK;

/// Log the refusal of an identified batch that wire found invalid: its seq is consumed (if it is
/// the expected one; else DUPLICATE, GAP, FENCED as for append).
ch_status_t ch_engine_refuse(ch_engine_t *engine, const ch_identity_t *identity,
                             const ch_reject_t *reject,
                             ch_append_result_t *result_out) CH_MUST_CHECK;

/// Which points go: of series that the selector names, times in [start, end).
typedef struct ch_delete {
    ch_bytes_t match;       /* selector text, at most 64 KiB */
    int64_t start, end;     /* CH_TIME_MIN, CH_TIME_MAX: unbounded */
    ch_identity_t identity; /* takes its place in the producer's sequence */
} ch_delete_t;

typedef struct ch_delete_result {
    ch_append_state_t state; /* TAKEN, DUPLICATE, GAP or FENCED */
    /* TAKEN, DUPLICATE: done and durable once the durable lsn reaches it */
    uint64_t lsn;
    uint64_t expected; /* GAP: the seq that comes next */
    /* TAKEN: the state just before, for ch_view_count; whole once `lsn` is durable; the caller's.
     * NULL when nothing can match. */
    ch_view_t *before;
} ch_delete_result_t;

/// Writer: log a delete of all that was appended before it. Reads stop to see those points when its
/// record is durable. A full disk does not stop it. Errors: CH_ERR_PARSE (the selector), CH_ERR_LIMIT
/// (a regex gave up, or too many deletes wait to be merged into tables), CH_ERR_NOSPACE (the disk is
/// full and the log's window too), CH_ERR_CLOSED; then nothing happened and no seq is consumed.
ch_status_t ch_engine_delete(ch_engine_t *engine, const ch_delete_t *delete,
                             ch_delete_result_t *result_out) CH_MUST_CHECK;

/// Writer: when a minute has passed since the last time, log what has outlived the retention rules. Ages
/// count from a reference that the wall clock alone does not move (engine/db/retention.h). CH_OK: cuts
/// were logged; CH_NOT_FOUND: nothing to do. Errors: CH_ERR_CLOSED.
ch_status_t ch_engine_retain(ch_engine_t *engine) CH_MUST_CHECK;

/// May the writer append now? False: the WAL window or the memtable budget is full, or the disk
/// is; on_progress tells when to ask again.
bool ch_engine_ready(ch_engine_t *engine);

/// Write and sync what is appended (background_threads = 0, or to wait for it). Returns when the
/// durable lsn covers everything appended before the call.
ch_status_t ch_engine_sync(ch_engine_t *engine) CH_MUST_CHECK;

/// Do pending background work inline (background_threads = 0): rotate by age, flush, one merge of tables,
/// one sweep of series that have no points left.
ch_status_t ch_engine_work(ch_engine_t *engine) CH_MUST_CHECK;

/// Ask for a flush of everything appended so far; returns at once, `lsn_out` is the position that
/// ch_engine_flushed_lsn must reach. With background_threads = 0 it is done on return.
ch_status_t ch_engine_flush(ch_engine_t *engine, uint64_t *lsn_out) CH_MUST_CHECK;

/// As ch_engine_flush, and then merge all tables as far as they can be: every window of time becomes
/// one run of tables at the last level. ch_engine_compacted_lsn must reach `lsn_out`. With
/// background_threads = 0 it is done on return, or the disk was full.
ch_status_t ch_engine_compact(ch_engine_t *engine, uint64_t *lsn_out) CH_MUST_CHECK;

/// Seal the open WAL segment (a no-op when it is empty). *segment_out: highest sealed segment.
ch_status_t ch_engine_seal(ch_engine_t *engine, uint64_t *segment_out) CH_MUST_CHECK;

uint64_t ch_engine_term(const ch_engine_t *engine);
uint64_t ch_engine_appended_lsn(const ch_engine_t *engine);
uint64_t ch_engine_durable_lsn(const ch_engine_t *engine);
uint64_t ch_engine_flushed_lsn(const ch_engine_t *engine);
/// The position of the last ch_engine_compact that is done.
uint64_t ch_engine_compacted_lsn(const ch_engine_t *engine);

/// NULL while writes flow; else why not: "disk full", or what there is no room for; after a failure
/// its text. Lives as long as the engine.
const char *ch_engine_held_reason(const ch_engine_t *engine);

/// Did WAL or manifest fail (exit 74)? A full disk is not a failure.
bool ch_engine_failed(const ch_engine_t *engine);

/// What an `ack` answers from.
typedef struct ch_session_view {
    uint64_t epoch;    /* the session's current one */
    uint64_t received; /* applied */
    uint64_t durable;
    uint64_t expected;
    uint64_t durable_lsn; /* lsn of seq `durable`; 0 when none */
    bool gap;             /* a later batch came while `expected` was missing */
    uint64_t rejected, gaps, duplicates;
    int64_t last_time; /* wall clock of the last batch */
    uint32_t reject_count;
    ch_reject_t rejects[CH_SESSION_REJECTS_MAX];
} ch_session_view_t;

/// CH_NOT_FOUND when there is no session of this producer.
ch_status_t ch_engine_session(ch_engine_t *engine, const char *producer,
                              ch_session_view_t *view_out);

/// Does the map of sessions hold limits.producers? Then a new producer's batches are dropped.
bool ch_engine_producers_full(ch_engine_t *engine);

/// Visit every session under a lock; the callback must not call the engine.
void ch_engine_sessions(ch_engine_t *engine,
                        void (*visit)(void *context, const char *producer,
                                      const ch_session_view_t *view),
                        void *context);

/// Pin the present state: one version, one durable lsn. Destroy it soon; it keeps files alive.
ch_status_t ch_view_open(ch_engine_t *engine, ch_view_t **view_out) CH_MUST_CHECK;
void ch_view_destroy(ch_view_t **view);
uint64_t ch_view_lsn(const ch_view_t *view);

/// When selecting series and walking labels have to stop, with CH_ERR_TIMEOUT. `deadline_ns`: monotonic.
void ch_view_set_deadline(ch_view_t *view, const ch_clock_t *clock, int64_t deadline_ns);

/// From now on ch_view_get reads no table: for a thread that must not wait for the disk.
void ch_view_keep_to_memory(ch_view_t *view);

/// From now on select and label walks answer although tables are damaged (CH_ERR_CORRUPT otherwise): a series
/// may be missing, or be there without a point in range. Only for lists of names. ch_view_warning then tells
/// of what; NULL: they were exact.
void ch_view_list_despite_damage(ch_view_t *view);
const char *ch_view_warning(const ch_view_t *view);

/// The view as a query source; lives as long as the view.
const ch_source_t *ch_view_source(const ch_view_t *view);

/// Newest point at or before `time` (CH_TIME_MAX: newest) of one series. A string value stays
/// valid until the view is destroyed. CH_NOT_FOUND when there is none.
/// CH_ERR_BUSY: a table must be read, and the view was told not to.
ch_status_t ch_view_get(ch_view_t *view, ch_bytes_t name, ch_bytes_t labels, int64_t time,
                        int64_t *time_out, ch_value_t *value_out);

/// How many points of how many series lie in [start, end). Errors: CH_ERR_TIMEOUT past `deadline_ns`
/// (monotonic; 0: none), with what was counted so far; CH_ERR_CORRUPT, CH_ERR_IO, CH_ERR_LIMIT.
ch_status_t ch_view_count(ch_view_t *view, const ch_selector_t *selector, int64_t start,
                          int64_t end, const ch_clock_t *clock, int64_t deadline_ns,
                          uint64_t *points_out, uint64_t *series_out);

/// Label names, or the values of `label` ("__name__" for names), in byte order, of series that
/// match (`selector` NULL: all). Stops when visit returns false.
ch_status_t ch_view_labels(ch_view_t *view, const ch_selector_t *selector,
                           bool (*visit)(void *context, ch_bytes_t name), void *context);
ch_status_t ch_view_label_values(ch_view_t *view, const ch_selector_t *selector,
                                 ch_bytes_t label,
                                 bool (*visit)(void *context, ch_bytes_t value),
                                 void *context);

/// Counters and gauges as data: name, help, unit, value.
typedef struct ch_stat {
    const char *name; /* such as "wal.syncs" */
    const char *help;
    const char *unit; /* "bytes", "points", "us" ...; "" for plain counts */
    double value;
} ch_stat_t;

void ch_engine_stats(ch_engine_t *engine,
                     void (*visit)(void *context, const ch_stat_t *stat), void *context);

#endif
