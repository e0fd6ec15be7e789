/// Unflushed points: per series append-only typed columns in chunks of 4, 16, 64, then 256 points.
///
/// Threads  one writer applies; readers of any number run beside it without a lock (chunks are
///          published by release stores and never move). Destroy only when no reader is left.
/// Units    lsn: stored per run of points as a u32 offset from `lsn_base`.
#ifndef CH_MEM_MEMTABLE_H
#define CH_MEM_MEMTABLE_H

#include "ch/batch.h"
#include "ch/erasure.h"

typedef struct ch_memtable ch_memtable_t;

/// Recycled memory of memtables, pre-touched; shared by an active and an immutable one.
typedef struct ch_arena_pool ch_arena_pool_t;
ch_arena_pool_t *ch_arena_pool_new(void);
void ch_arena_pool_destroy(ch_arena_pool_t **pool);
size_t ch_arena_pool_bytes(ch_arena_pool_t *pool); /* owned: free or in use */
/// Touch pages of future arenas now, until the pool owns `bytes`, free or in use (a background
/// thread's job).
void ch_arena_pool_prepare(ch_arena_pool_t *pool, size_t bytes);

/// All lsn applied are >= lsn_base and < lsn_base + 2^32.
ch_memtable_t *ch_memtable_new(ch_arena_pool_t *pool, uint64_t lsn_base);
void ch_memtable_destroy(ch_memtable_t **memtable);

/// Writer: apply one block under `lsn` (ascending). `series` has ch_batch_block_cells ids: SERIES
/// one, TABLE row by row, POINTS one a row; ids of NONE cells are ignored.
void ch_memtable_apply(ch_memtable_t *memtable, const ch_batch_block_t *block,
                       const uint32_t *series, uint64_t lsn);

/// Arena bytes in use, headers included (any thread).
size_t ch_memtable_bytes(const ch_memtable_t *memtable);
uint64_t ch_memtable_points(const ch_memtable_t *memtable);
uint64_t ch_memtable_lsn_first(const ch_memtable_t *memtable); /* 0 when empty */
uint64_t ch_memtable_lsn_last(const ch_memtable_t *memtable);

/// Points of one series with lsn <= lsn_max in [start, end), `end` INT64_MAX meaning unbounded,
/// appended to `points`: sorted by time, distinct,
/// of equal times the higher lsn, then the later position. Any thread.
void ch_memtable_read(const ch_memtable_t *memtable, uint32_t series, uint64_t lsn_max,
                      int64_t start, int64_t end, ch_points_t *points);

/// For who knows what it reads next: ask for the memory that a read of the series `soon` looks at first,
/// and for what the same call will need for `later` when its turn comes.
void ch_memtable_prefetch(const ch_memtable_t *memtable, uint32_t soon, uint32_t later);

/// The first of them: of a series that came in order no more than `points_max` and a chunk. Returns
/// the time before which all are there; `end` when nothing was left out.
int64_t ch_memtable_read_first(const ch_memtable_t *memtable, uint32_t series,
                               uint64_t lsn_max, int64_t start, int64_t end,
                               size_t points_max, ch_points_t *points);

/// The same without the points that a delete hides: lsn below an erasure's, time in its range. Slower:
/// every point of the series from `start` on is looked at.
void ch_memtable_read_erased(const ch_memtable_t *memtable, uint32_t series,
                             uint64_t lsn_max, int64_t start, int64_t end,
                             const ch_erasure_t *erasures, size_t count,
                             ch_points_t *points);

/// Newest such point at or before `time`; strings point into the memtable. CH_NOT_FOUND if none.
/// A series whose points came in order is answered from its last runs alone.
ch_status_t ch_memtable_newest(const ch_memtable_t *memtable, uint32_t series,
                               uint64_t lsn_max, int64_t time, int64_t *time_out,
                               ch_value_t *value_out);

/// The same without the points that a delete hides.
ch_status_t ch_memtable_newest_erased(const ch_memtable_t *memtable, uint32_t series,
                                      uint64_t lsn_max, int64_t time,
                                      const ch_erasure_t *erasures, size_t count,
                                      int64_t *time_out, ch_value_t *value_out);

/// Greatest and least time of any point of the series (any lsn); false when it has none.
bool ch_memtable_time_range(const ch_memtable_t *memtable, uint32_t series,
                            int64_t *min_out, int64_t *max_out);

/// Any thread, while the writer goes on: each series with points, ascending.
void ch_memtable_visit(const ch_memtable_t *memtable,
                       void (*visit)(void *context, uint32_t series), void *context);

/// Series with points, in no order: fills ids (room for ch_memtable_series_count), any thread once
/// the memtable is immutable.
uint32_t ch_memtable_series_count(const ch_memtable_t *memtable);
void ch_memtable_series(const ch_memtable_t *memtable, uint32_t *series_out);

#endif
