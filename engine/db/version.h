/// What a reader pins: the live tables, the memtables and the tombstones, as one immutable, counted set.
///
/// Shape    tables in an order to lay over each other: of two that overlap in time the newer comes later.
///          First those of levels 1 and up, by time where they do not overlap, then flushes.
///          Immutable memtable NULL unless one is being flushed; the active one always there; both are
///          newer than every table.
/// Threads  counts are atomic; a version never changes once published.
#ifndef CH_DB_VERSION_H
#define CH_DB_VERSION_H

#include "db/roster.h"
#include "db/tombstone.h"
#include "mem/memtable.h"
#include "sst/sstable.h"

typedef struct ch_table {
    ch_sstable_t *sstable;
    ch_fs_t *fs;
    char *path;
    uint32_t level;
    uint64_t erased_lsn; /* deletes up to here are applied; at least its lsn_max */
    uint32_t references;
    bool obsolete;     /* unlinked when the last reader lets go */
    bool keys_unknown; /* nobody can tell which series it has (damage.h) */
    bool damaged;      /* atomic: something of it could not be read, and that was said */
} ch_table_t;

/// A memtable shared by versions.
typedef struct ch_shared_memtable {
    ch_memtable_t *memtable;
    ch_roster_t *roster; /* whose ids it is applied under */
    uint32_t references;
} ch_shared_memtable_t;

typedef struct ch_version {
    uint32_t references;
    uint64_t flushed_lsn; /* the tables hold everything up to here */
    size_t table_count;
    ch_table_t **tables;
    size_t keys_unknown;   /* tables of which the series are not known */
    size_t flush_count;    /* tables of level 0 */
    size_t lower_count;    /* tables before the flushes; sorted by time, roughly */
    struct ch_span *spans; /* of each of those: what lies from it on, and up to it */
    ch_shared_memtable_t *immutable;
    ch_shared_memtable_t *active;
    ch_tombstones_t *tombstones; /* NULL: none; by ids of the roster below */
} ch_version_t;

/// The numbering that is present in this version. Its immutable memtable may be of the one before.
static inline ch_roster_t *
ch_version_roster(const ch_version_t *version)
{
    return version->active->roster;
}

/// Takes the sstable and a copy of the path; one reference for the caller. Its erased_lsn is its
/// lsn_max until somebody sets it higher.
ch_table_t *ch_table_new(ch_fs_t *fs, const char *path, uint32_t level,
                         ch_sstable_t *sstable);
void ch_table_release(ch_table_t **table);

/// Takes the memtable and a reference on the roster.
ch_shared_memtable_t *ch_shared_memtable_new(ch_memtable_t *memtable,
                                             ch_roster_t *roster);
void ch_shared_memtable_release(ch_shared_memtable_t **memtable);

/// A version with one reference for the caller; takes references on everything given. Of
/// `tombstones` (may be NULL) those stay that have not come to their end as of `durable_lsn`.
ch_version_t *ch_version_new(uint64_t flushed_lsn, ch_table_t *const *tables,
                             size_t table_count, ch_shared_memtable_t *immutable,
                             ch_shared_memtable_t *active, ch_tombstones_t *tombstones,
                             uint64_t durable_lsn);

/// The first table at or after place `at` that may have points in [start, end), an end of INT64_MAX
/// being none; table_count: there is no more.
size_t ch_version_next(const ch_version_t *version, size_t at, int64_t start,
                       int64_t end);

void ch_version_retain(ch_version_t *version);
void ch_version_release(ch_version_t **version);

#endif
