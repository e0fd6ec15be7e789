/// Tombstones: deletes that some table or memtable does not have applied yet.
///
/// Rule     a delete with position T.lsn takes points of records below it. Tables forget the lsn of a
///          point, so each knows up to which lsn deletes were applied to it (`erased_lsn`, at least its
///          lsn_max): T applies to a table if and only if T.lsn is above that. Whoever writes a table
///          first applies to its inputs what lies between theirs and its own.
/// Series   a tombstone is logged as selector text and resolved once, to a set of ids. Series that came
///          after it do no harm in the set: they have no points below T.lsn.
/// End      T goes when everything up to T.lsn is flushed and no table is left that it applies to; or
///          when a later, durable one with the same selector covers its range.
/// Threads  a set is immutable and counted: versions pin it, readers share it.
#ifndef CH_DB_TOMBSTONE_H
#define CH_DB_TOMBSTONE_H

#include "ch/erasure.h"
#include "ch/series_key.h"
#include "index/label_index.h"
#include "mem/series_table.h"
#include "wal/wal.h"

enum {
    /* Each costs every read of a series that it names a look; merges take them away. */
    CH_TOMBSTONES_MAX = 4096,
};

/// What a tombstone says, without the series: WAL records and manifest edits hold this.
typedef struct ch_tombstone_text {
    uint64_t lsn;
    ch_wal_delete_t what;
    void *memory; /* of the texts; NULL: borrowed */
} ch_tombstone_text_t;

ch_tombstone_text_t ch_tombstone_text_copy(const ch_tombstone_text_t *text);
void ch_tombstone_text_release(ch_tombstone_text_t *text);
/// docs/format/manifest.md, "tombstone".
void ch_tombstone_text_encode(const ch_tombstone_text_t *text, ch_text_t *out);
/// Borrows from the bytes but for the list of exceptions, which `memory` owns. NULL: malformed.
const uint8_t *ch_tombstone_text_decode(const uint8_t *at, const uint8_t *end,
                                        ch_tombstone_text_t *text_out);
/// Does `later` take all that `earlier` takes?
bool ch_tombstone_text_covers(const ch_tombstone_text_t *later,
                              const ch_tombstone_text_t *earlier);
/// Does the delete concern any time in [time_min, time_max]?
bool ch_tombstone_text_overlaps(const ch_tombstone_text_t *text, int64_t time_min,
                                int64_t time_max);

typedef struct ch_tombstone {
    uint32_t references;
    ch_tombstone_text_t text;
    struct roaring_bitmap_s *series;
    size_t bytes; /* of the set of series */
} ch_tombstone_t;

/// Resolve against the series there are. `logged`: the record exists, so a regex that gives up on a
/// series tells that it came later. Errors: CH_ERR_PARSE (the selector, never of the exceptions when
/// not logged), CH_ERR_LIMIT (a regex gave up); CH_ERR_VERSION when logged text does not parse.
ch_status_t ch_tombstone_new(const ch_tombstone_text_t *text, bool logged,
                             ch_label_index_t *index, const ch_series_table_t *series,
                             ch_tombstone_t **tombstone_out) CH_MUST_CHECK;
void ch_tombstone_retain(ch_tombstone_t *tombstone);
void ch_tombstone_release(ch_tombstone_t **tombstone);
uint64_t ch_tombstone_series_count(const ch_tombstone_t *tombstone);
bool ch_tombstone_names(const ch_tombstone_t *tombstone, uint32_t series);
void ch_tombstone_visit(const ch_tombstone_t *tombstone,
                        bool (*visit)(uint32_t series, void *context), void *context);

typedef struct ch_tombstones {
    uint32_t references;
    size_t count;
    size_t bytes;                 /* memory of the sets of series */
    uint64_t settled_lsn;         /* covered ones were looked for up to here */
    struct roaring_bitmap_s *any; /* series that one of them names */
    ch_tombstone_t *items[];      /* by lsn */
} ch_tombstones_t;

void ch_tombstones_retain(ch_tombstones_t *set);
void ch_tombstones_release(ch_tombstones_t **set);

/// A new set with one reference; takes one on the tombstone. `set` NULL: the empty one.
ch_tombstones_t *ch_tombstones_add(const ch_tombstones_t *set, ch_tombstone_t *tombstone);

/// The same deletes for another numbering: series `i` is map[i] there, or not there (CH_SERIES_NONE, or
/// at or above `count`). One reference for the caller.
ch_tombstones_t *ch_tombstones_renumber(const ch_tombstones_t *set, const uint32_t *map,
                                        uint32_t count);

/// What a table is to tombstones.
typedef struct ch_tombstone_table {
    uint64_t erased_lsn;
    int64_t time_min, time_max;
} ch_tombstone_table_t;

/// The set without those that have come to their end, one reference for the caller: NULL when none is
/// left, the set itself when all stay.
ch_tombstones_t *ch_tombstones_prune(ch_tombstones_t *set, uint64_t flushed_lsn,
                                     uint64_t durable_lsn,
                                     const ch_tombstone_table_t *tables,
                                     size_t table_count);

/// Deletes that concern one series, gathered; recycled by its owner.
typedef struct ch_erasures {
    ch_erasure_t *items;
    size_t count, capacity;
} ch_erasures_t;
void ch_erasures_release(ch_erasures_t *erasures);

/// Those with lsn_above < lsn <= lsn_max that name the series and overlap [start, end). False: none.
bool ch_tombstones_gather(const ch_tombstones_t *set, uint32_t series, uint64_t lsn_above,
                          uint64_t lsn_max, int64_t start, int64_t end,
                          ch_erasures_t *erasures);

/// For merges: take from the points of one series in one input (deletes up to `lsn_above` are applied
/// to it: its erased_lsn) what deletes up to `lsn_max` (the output's) take. `set` may be NULL.
void ch_tombstones_filter(const ch_tombstones_t *set, uint32_t series, uint64_t lsn_above,
                          uint64_t lsn_max, ch_erasures_t *scratch, ch_points_t *points);

#endif
