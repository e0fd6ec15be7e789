/// Sorted tables on disk: docs/format/sstable.md.
///
/// Writing  under a temporary name, synced, renamed, directory synced; series come in key order.
/// Reading  by pread into caller's or cached memory; every block is checked when it enters memory,
///          never again. A damaged block is CH_ERR_CORRUPT (or CH_ERR_IO) for those who need it.
/// Threads  a writer belongs to one thread; a reader is shared by any number.
#ifndef CH_SST_SSTABLE_H
#define CH_SST_SSTABLE_H

#include "ch/fs.h"
#include "ch/points.h"
#include "ch/source.h"
#include "column/level.h"
#include "sst/block_cache.h"
#include "sst/bloom.h"

typedef struct ch_sstable_info {
    uint64_t file_number;
    uint64_t file_bytes;
    uint64_t lsn_min, lsn_max;
    int64_t time_min, time_max; /* both inclusive */
    uint64_t series, points;
} ch_sstable_info_t;

typedef struct ch_sstable_writer ch_sstable_writer_t;

typedef struct ch_sstable_writer_options {
    uint64_t series_expected; /* sizes memory, no promise */
    ch_column_level_t level;
} ch_sstable_writer_options_t;

/// Begins `<path>.tmp`. `file_number` seeds the checksums.
ch_status_t ch_sstable_writer_open(ch_fs_t *fs, const char *path, uint64_t file_number,
                                   const ch_sstable_writer_options_t *options,
                                   ch_sstable_writer_t **writer_out) CH_MUST_CHECK;

/// All points of the next series (key above the last one's; points sorted, times distinct, any
/// number >= 1): cut into chunks of CH_CHUNK_POINTS_TARGET.
ch_status_t ch_sstable_writer_add(ch_sstable_writer_t *writer, ch_bytes_t name,
                                  ch_bytes_t labels,
                                  const ch_points_t *points) CH_MUST_CHECK;

/// The same in pieces: begin a series, then add its points in order, at least one. Each call cuts what
/// it is given into chunks.
ch_status_t ch_sstable_writer_begin(ch_sstable_writer_t *writer, ch_bytes_t name,
                                    ch_bytes_t labels) CH_MUST_CHECK;
ch_status_t ch_sstable_writer_points(ch_sstable_writer_t *writer,
                                     const ch_points_t *points, size_t from,
                                     size_t to) CH_MUST_CHECK;

/// Bytes of the file so far, without what follows the data.
uint64_t ch_sstable_writer_bytes(const ch_sstable_writer_t *writer);

/// Footer, sync, rename to `path`, sync of the directory. Fills info (lsn range as given).
ch_status_t ch_sstable_writer_finish(ch_sstable_writer_t *writer, uint64_t lsn_min,
                                     uint64_t lsn_max,
                                     ch_sstable_info_t *info_out) CH_MUST_CHECK;

/// Unfinished: the temporary file is removed.
void ch_sstable_writer_destroy(ch_sstable_writer_t **writer);

typedef struct ch_sstable ch_sstable_t;

/// Errors: CH_ERR_CORRUPT, CH_ERR_VERSION, CH_ERR_IO, CH_NOT_FOUND.
ch_status_t ch_sstable_open(ch_fs_t *fs, const char *path, uint64_t file_number,
                            ch_sstable_t **sstable_out) CH_MUST_CHECK;
void ch_sstable_destroy(ch_sstable_t **sstable);

/// What stands in the place of a table that cannot be opened: `info` as somebody else tells it (the
/// manifest). It may contain every series, and every question to it is CH_ERR_CORRUPT with `damage` as the
/// text. Not for cursors and ch_sstable_time_from.
ch_sstable_t *ch_sstable_new_damaged(const char *path, const ch_sstable_info_t *info,
                                     const char *damage);
bool ch_sstable_is_damaged(const ch_sstable_t *sstable);

/// Do both tell of the same table?
bool ch_sstable_info_equal(const ch_sstable_info_t *a, const ch_sstable_info_t *b);

/// Keep the blocks it reads in this cache (before it is shared; the cache must live longer). NULL,
/// as after opening: only the reading threads remember their last blocks.
void ch_sstable_use_cache(ch_sstable_t *sstable, ch_block_cache_t *cache);

/// What an open table takes beside cached blocks: its index and its filter.
size_t ch_sstable_memory(const ch_sstable_t *sstable);
const ch_sstable_info_t *ch_sstable_info(const ch_sstable_t *sstable);

/// May the table hold this series? False is certain (bloom filter, no I/O).
bool ch_sstable_may_contain(const ch_sstable_t *sstable, ch_bytes_t name,
                            ch_bytes_t labels);

/// The same with ch_bloom_hash(name, labels), for those who ask many tables.
bool ch_sstable_may_contain_hash(const ch_sstable_t *sstable, uint64_t hash);

/// Visit every key in order (start-up). A non-zero return of visit stops and is returned.
ch_status_t ch_sstable_keys(ch_sstable_t *sstable,
                            ch_status_t (*visit)(void *context, ch_bytes_t name,
                                                 ch_bytes_t labels),
                            void *context) CH_MUST_CHECK;

/// Append the series' points in [start, end) to `points`, in time order. CH_NOT_FOUND when the
/// series is not in the table; CH_OK also when no point falls in the range. Whole chunks outside
/// the range are not decoded.
ch_status_t ch_sstable_read(ch_sstable_t *sstable, ch_bytes_t name, ch_bytes_t labels,
                            int64_t start, int64_t end,
                            ch_points_t *points) CH_MUST_CHECK;

/// The first of them: stops behind the chunk with which more than `points_max` were appended.
/// *end_out: every point before that time is there; `end` when nothing was left out.
ch_status_t ch_sstable_read_first(ch_sstable_t *sstable, ch_bytes_t name,
                                  ch_bytes_t labels, int64_t start, int64_t end,
                                  size_t points_max, ch_points_t *points,
                                  int64_t *end_out) CH_MUST_CHECK;

/// The newest point at or before `time`; a string is kept in `strings` (a run used as memory).
ch_status_t ch_sstable_newest(ch_sstable_t *sstable, ch_bytes_t name, ch_bytes_t labels,
                              int64_t time, ch_points_t *strings, int64_t *time_out,
                              ch_value_t *value_out) CH_MUST_CHECK;

/// First and last time of the series in this table, from chunk headers.
ch_status_t ch_sstable_time_range(ch_sstable_t *sstable, ch_bytes_t name,
                                  ch_bytes_t labels, int64_t *min_out,
                                  int64_t *max_out) CH_MUST_CHECK;

/// Add up chunk headers that fall whole into [start, end) and decode only the chunks that do not,
/// or are too short for aggregates. *summary is overwritten. CH_ERR_UNSUPPORTED when a chunk has
/// strings or NaN (then read).
ch_status_t ch_sstable_summarise(ch_sstable_t *sstable, ch_bytes_t name,
                                 ch_bytes_t labels, int64_t start, int64_t end,
                                 ch_summary_t *summary) CH_MUST_CHECK;

/// Add the points [from, to) of a run in memory, which lie behind all that the summary holds.
/// CH_ERR_UNSUPPORTED when there are strings or NaN among them.
ch_status_t ch_sstable_summarise_points(const ch_points_t *points, size_t from, size_t to,
                                        ch_summary_t *summary) CH_MUST_CHECK;

/// Check every block's checksum, as it is on the disk now; CH_ERR_CORRUPT with the first bad range in the text.
ch_status_t ch_sstable_verify(ch_sstable_t *sstable) CH_MUST_CHECK;

#endif
