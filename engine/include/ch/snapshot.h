/// Copies of a database: snapshots beside a running one, backups and restores of one at rest.
///
/// Shape    a copy is a directory like any other: tables, the log's needed segments, a manifest. It can be
///          read (--data), checked, copied again, or given to a node.
/// Crash    the manifest comes last, by rename, when all else is durable. A directory without one is no
///          database. An unfinished snapshot is removed by the next start, or the next of that name;
///          an unfinished copy is left to its owner.
/// Threads  any.
#ifndef CH_SNAPSHOT_H
#define CH_SNAPSHOT_H

#include "ch/engine.h"

enum { CH_SNAPSHOT_NAME_MAX = 64 };

typedef struct ch_copy_report {
    uint64_t tables, tables_linked;
    uint64_t bytes_copied; /* 0 of a snapshot */
    uint64_t segments;
    uint64_t lsn; /* snapshot: everything that was appended up to here is in it */
} ch_copy_report_t;

/// Make `<data>/snapshots/<name>`: tables and the sealed log behind them are hard links, so that it takes
/// no time, and no room as long as the database has them too. Nothing is flushed. `name`: letters, digits,
/// `.`, `_`, `-`, no dot in front. Two at a time wait for each other.
/// Errors: CH_ERR_INVALID (the name), CH_ERR_EXISTS, CH_ERR_UNSUPPORTED (no hard links), CH_ERR_CORRUPT (a
/// table is missing), CH_ERR_NOSPACE, CH_ERR_IO, CH_ERR_CLOSED.
ch_status_t ch_engine_snapshot(ch_engine_t *engine, const char *name,
                               ch_copy_report_t *report_out) CH_MUST_CHECK;

typedef struct ch_snapshot_info {
    char name[CH_SNAPSHOT_NAME_MAX + 1];
    uint64_t tables, bytes, points; /* of its tables */
} ch_snapshot_info_t;

/// The snapshots that are there, by name; the caller frees the list.
ch_status_t ch_engine_snapshots(ch_engine_t *engine, ch_snapshot_info_t **list_out,
                                size_t *count_out) CH_MUST_CHECK;

/// Remove one. CH_NOT_FOUND: there is none of that name. Errors: CH_ERR_INVALID (the name), CH_ERR_BUSY (a
/// node was started in it), CH_ERR_IO (it holds files that are not a database's; those stay).
ch_status_t ch_engine_snapshot_remove(ch_engine_t *engine,
                                      const char *name) CH_MUST_CHECK;

/// Copy the database in `from`, which no node has open, to `to`: a new directory, or an empty one, in
/// one that exists. Tables that `base` (an earlier copy; may be NULL) has too are hard links to those,
/// where links can be made. Errors: CH_ERR_BUSY, CH_ERR_INVALID (`from` is no database), CH_ERR_EXISTS
/// (`to` is one already, or holds other files), CH_ERR_CORRUPT, CH_ERR_NOSPACE, CH_ERR_IO.
ch_status_t ch_copy_database(ch_fs_t *fs, const char *from, const char *to,
                             const char *base,
                             ch_copy_report_t *report_out) CH_MUST_CHECK;

/// Remove a copy (manifest first, so that half of it is none). Other files stay, and so the directory.
ch_status_t ch_remove_database(ch_fs_t *fs, const char *dir) CH_MUST_CHECK;

#endif
