/// The write-ahead log: dense numbered segments of chained commit groups (docs/format/wal.md).
///
/// Life      writer: ch_wal_append_* into the open group -> syncer: ch_wal_commit writes the group
///           and fdatasyncs it -> durable lsn moves. The writer fills the next group meanwhile.
/// Threads   append by the writer thread; commit by one syncer thread (or the writer, inline);
///           durable lsn and stats by anyone. Internal mutex guards the hand-over of groups only;
///           no I/O is done under it.
/// Errors    after a failed write or sync every call says CH_ERR_CLOSED; nothing is retried.
///           CH_ERR_NOSPACE is not a failure: the group stays open, see ch_wal_commit.
#ifndef CH_WAL_WAL_H
#define CH_WAL_WAL_H

#include "ch/batch.h"
#include "ch/clock.h"
#include "ch/fs.h"
#include "ch/log.h"

typedef struct ch_wal ch_wal_t;

typedef struct ch_wal_options {
    ch_fs_t *fs;
    const char *path; /* the directory "wal" */
    const ch_clock_t *clock;
    const ch_log_t *log;
    uint64_t cluster; /* id of the cluster, in every header */
    uint64_t term;
    uint64_t term_node; /* the node that leads it; 0 outside a cluster */
    uint64_t segment_bytes;
    uint32_t segment_max_age_ms;
    uint32_t spare_segments_max; /* pre-zeroed or recycled files kept ready */
    uint64_t zero_ahead_bytes;   /* 4 MiB: zeroed and synced ahead of the writer */
    /* Read and judge, change nothing: no cut, no sync, and nothing may be appended. */
    bool read_only;
    bool read_all; /* also segments whose records are all applied */
} ch_wal_options_t;

/// One record as recovery, replicas and change feeds see it. Everything is borrowed until the
/// visitor returns.
typedef enum {
    CH_WAL_BATCH = 1,
    CH_WAL_REFUSAL = 2, /* an identified batch consumed without points */
    CH_WAL_DELETE = 3,
    CH_WAL_RETENTION = 4,
    /* 5 and up: session expiry, term start, digest mark; a reader that meets a type it does not
     * know stops with CH_ERR_VERSION. */
} ch_wal_record_type_t;

/// Points of series that the selector names (and no exception does) with times in [start, end), `end`
/// INT64_MAX meaning unbounded, are gone as of the record.
typedef struct ch_wal_delete {
    ch_bytes_t selector;
    const ch_bytes_t *except; /* RETENTION */
    uint32_t except_count;
    int64_t start, end; /* RETENTION: INT64_MIN and the cut */
} ch_wal_delete_t;

typedef struct ch_wal_record {
    ch_wal_record_type_t type;
    uint64_t lsn;
    uint64_t segment;
    int64_t time;     /* wall clock at receipt */
    ch_batch_t batch; /* BATCH: names and labels of the blocks are NULL, see `series` */
    /* BATCH: for each block ch_batch_block_cells segment-local series ids, all blocks in a row;
     * those of NONE cells are 0 and mean nothing */
    const uint32_t *series;
    ch_reject_t reject;     /* REFUSAL (identity in `batch`); message empty */
    ch_wal_delete_t delete; /* DELETE (identity in `batch`), RETENTION */
} ch_wal_record_t;

/// The segment's dictionary while its records are visited: (name, label text) of a local series.
typedef struct ch_wal_dictionary ch_wal_dictionary_t;
uint32_t ch_wal_dictionary_count(const ch_wal_dictionary_t *dictionary);
void ch_wal_dictionary_series(const ch_wal_dictionary_t *dictionary, uint32_t local,
                              ch_bytes_t *name_out, ch_bytes_t *labels_out);

typedef ch_status_t (*ch_wal_visit_fn)(void *context, const ch_wal_record_t *record,
                                       const ch_wal_dictionary_t *dictionary);

/// Open the log: find segments, check the chain, decide torn tail or damage by evidence, cut a torn
/// tail by copy, sync what is adopted; visit records with lsn > lsn_applied in order (segments
/// wholly at or below it are not read beyond their seal). Then start a new segment for appending.
/// A log that ends before lsn_applied lost its end: what is applied was durable here first.
/// Errors: CH_ERR_CORRUPT (damage: text has the exact file and byte range; nothing is changed),
/// CH_ERR_VERSION, CH_ERR_IO, CH_ERR_NOSPACE, or what visit returned.
ch_status_t ch_wal_open(const ch_wal_options_t *options, uint64_t lsn_applied,
                        ch_wal_visit_fn visit, void *context,
                        ch_wal_t **wal_out) CH_MUST_CHECK;
void ch_wal_destroy(ch_wal_t **wal); /* no I/O: as a crash leaves it */

/// How the writer tells a series the log has not seen in this segment.
typedef struct ch_wal_namer {
    void *context;
    void (*series)(void *context, uint32_t series, uint32_t *name_id_out,
                   uint32_t *labels_id_out);
    ch_bytes_t (*name)(void *context, uint32_t name_id);
    ch_bytes_t (*labels)(void *context, uint32_t labels_id);
} ch_wal_namer_t;
void ch_wal_set_namer(ch_wal_t *wal, const ch_wal_namer_t *namer);

/// Writer: global ids mean other series from now on. The segment names again what it uses.
void ch_wal_renumber(ch_wal_t *wal);

/// Append a batch to the open group: `series` are global ids, all blocks in a row, as in
/// ch_memtable_apply (the log numbers them anew per segment). Ints and times that fit fewer bytes
/// are narrowed. *lsn_out: the record's. The data is copied; the batch may go.
ch_status_t ch_wal_append_batch(ch_wal_t *wal, const ch_batch_t *batch,
                                const uint32_t *series, int64_t time,
                                uint64_t *lsn_out) CH_MUST_CHECK;
ch_status_t ch_wal_append_refusal(ch_wal_t *wal, const ch_identity_t *identity,
                                  const ch_reject_t *reject, int64_t time,
                                  uint64_t *lsn_out) CH_MUST_CHECK;

/// DELETE, with or without identity, or RETENTION (`start` INT64_MIN, identity absent). Errors:
/// CH_ERR_LIMIT (a text of no or more than CH_WAL_SELECTOR_BYTES_MAX bytes, too many exceptions).
ch_status_t ch_wal_append_delete(ch_wal_t *wal, ch_wal_record_type_t type,
                                 const ch_identity_t *identity,
                                 const ch_wal_delete_t *delete, int64_t time,
                                 uint64_t *lsn_out) CH_MUST_CHECK;

/// Bytes appended and not yet durable.
uint64_t ch_wal_pending_bytes(const ch_wal_t *wal);
uint64_t ch_wal_appended_lsn(const ch_wal_t *wal);
uint64_t ch_wal_durable_lsn(const ch_wal_t *wal);

/// Syncer: close the open group, write it, fdatasync, move the durable lsn; when nothing more is
/// pending, also write (without a sync) the empty evidence group. Rotates (seals, opens the next)
/// when the segment is full or too old. CH_NOT_FOUND: nothing was pending. CH_ERR_NOSPACE: nothing
/// was lost, the group is kept and written by a later commit; CH_ERR_IO: failed for good.
ch_status_t ch_wal_commit(ch_wal_t *wal) CH_MUST_CHECK;

/// Drop records appended after the durable lsn (disk full: their batches were never acked and
/// their seqs fall back). Only between commits; lsn numbers are reused since nobody saw them.
/// The caller rebuilds what it applied from them.
ch_status_t ch_wal_rollback(ch_wal_t *wal) CH_MUST_CHECK;

/// Seal the open segment now (commits first); a no-op when it has no record.
ch_status_t ch_wal_seal(ch_wal_t *wal, uint64_t *segment_out) CH_MUST_CHECK;
/// Would ch_wal_commit rotate by age now?
bool ch_wal_due(const ch_wal_t *wal);

/// Zero and sync ahead, make spares: background work, safe beside append and commit.
ch_status_t ch_wal_prepare(ch_wal_t *wal) CH_MUST_CHECK;

/// Segments all of whose records are <= lsn may go (recycled or unlinked), the open one never, nor
/// the newest sealed one: number and chain of the next continue it.
ch_status_t ch_wal_retire(ch_wal_t *wal, uint64_t lsn) CH_MUST_CHECK;

/// Before a clean end, everything sealed: put an empty sealed segment behind the newest one, so that
/// ch_wal_retire can take all records and what stays only says where the log goes on. A no-op when the
/// newest segment is such a one, or when there is no room for it.
ch_status_t ch_wal_shorten(ch_wal_t *wal) CH_MUST_CHECK;

/// Clean end: seal, remove spares.
ch_status_t ch_wal_close(ch_wal_t *wal) CH_MUST_CHECK;

typedef struct ch_wal_stats {
    uint64_t syncs, groups, records, bytes_written, segments, segment_first, segment_open;
    uint64_t recovered_records;
    uint64_t torn_bytes; /* behind the last whole group; read_only: still there */
    uint64_t sync_us_total, sync_us_max;
} ch_wal_stats_t;
void ch_wal_stats(const ch_wal_t *wal, ch_wal_stats_t *stats_out);

#endif
