/// The manifest: which tables are live, up to which lsn they hold everything, and the producers'
/// sessions at that position (docs/format/manifest.md).
///
/// Edit      one checksummed, synced record; it happened if and only if it reads back whole.
/// Evidence  after the sync an empty edit follows (not synced). So a damaged edit that is followed by
///           any whole edit was durable once: damage, never cut. Nothing whole after it: torn, it
///           never happened.
/// Threads   one at a time; freeze beside apply from another.
#ifndef CH_DB_MANIFEST_H
#define CH_DB_MANIFEST_H

#include "ch/fs.h"
#include "db/session.h"
#include "db/tombstone.h"
#include "sst/sstable.h"

typedef struct ch_manifest ch_manifest_t;

typedef struct ch_manifest_table {
    ch_sstable_info_t info;
    uint32_t level;
    uint64_t erased_lsn; /* deletes up to here are applied to it; 0: up to its lsn_max */
} ch_manifest_table_t;

static inline uint64_t
ch_manifest_erased_lsn(const ch_manifest_table_t *table)
{
    return table->erased_lsn > table->info.lsn_max ? table->erased_lsn
                                                   : table->info.lsn_max;
}

/// Everything the edits add up to.
typedef struct ch_manifest_state {
    uint64_t cluster;
    uint64_t term;
    uint64_t flushed_lsn;
    uint64_t next_file;
    ch_manifest_table_t *tables; /* by lsn, oldest first */
    size_t table_count;
    /* Deletes at or below flushed_lsn that some table has not applied, by lsn. An edit that leaves
     * one without such a table ends it, without saying so. */
    ch_tombstone_text_t *tombstones;
    size_t tombstone_count;
} ch_manifest_state_t;

typedef struct ch_manifest_edit {
    const ch_manifest_table_t *add;
    size_t add_count;
    const uint64_t *remove; /* file numbers */
    size_t remove_count;
    uint64_t flushed_lsn; /* 0: unchanged */
    uint64_t next_file;   /* 0: unchanged */
    uint64_t term;        /* 0: unchanged */
    ch_bytes_t sessions;  /* a ch_session_map_capture; empty: none changed */
    const ch_tombstone_text_t *tombstones; /* whose log records the edit retires */
    size_t tombstone_count;
} ch_manifest_edit_t;

/// Read `<dir>/manifest`, or begin an empty state with `cluster` when the directory has none
/// (CH_NOT_FOUND is never returned; a missing manifest beside other files is the caller's to notice
/// first). The sessions go into `sessions`. Nothing on the disk is changed: whether what was read is
/// all there was, tables and log have to say.
/// Errors: CH_ERR_CORRUPT (text has the byte range), CH_ERR_VERSION, CH_ERR_IO.
ch_status_t ch_manifest_open(ch_fs_t *fs, const char *dir, uint64_t cluster,
                             ch_session_map_t *sessions,
                             ch_manifest_t **manifest_out) CH_MUST_CHECK;

/// Write what was read anew, sync it and rename it into place, so that edits start from a clean,
/// durable end. Once, before the first edit. CH_ERR_NOSPACE: nothing happened, try again.
ch_status_t ch_manifest_begin(ch_manifest_t *manifest) CH_MUST_CHECK;
void ch_manifest_destroy(ch_manifest_t **manifest);

/// The state as one edit, for a manifest of another directory, in `image`. Meanwhile no edit happens, so
/// `visit` meets tables that are all there; a non-zero return of it stops and is returned.
ch_status_t ch_manifest_freeze(ch_manifest_t *manifest,
                               ch_status_t (*visit)(void *context,
                                                    const ch_manifest_table_t *table),
                               void *context, ch_text_t *image,
                               uint64_t *flushed_lsn_out) CH_MUST_CHECK;

/// Make `<dir>/manifest` out of such an image: synced, renamed into place, its name synced. From then on
/// `dir` is a database, so everything else in it has to be durable before.
ch_status_t ch_manifest_write_image(ch_fs_t *fs, const char *dir, uint64_t cluster,
                                    ch_bytes_t image) CH_MUST_CHECK;

const ch_manifest_state_t *ch_manifest_state(const ch_manifest_t *manifest);

/// Write and sync one edit, then its evidence. After CH_ERR_IO the manifest refuses edits
/// (CH_ERR_CLOSED); after CH_ERR_NOSPACE the edit did not happen and may be tried again.
ch_status_t ch_manifest_apply(ch_manifest_t *manifest,
                              const ch_manifest_edit_t *edit) CH_MUST_CHECK;

/// Where evidence should stand that does not read back, and 0 when all does.
uint64_t ch_manifest_evidence_lost(const ch_manifest_t *manifest);

/// Bytes of header and whole edits.
uint64_t ch_manifest_bytes(const ch_manifest_t *manifest);

#endif
