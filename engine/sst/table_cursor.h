/// A walk over the part of a sorted table that lies in a window of time: series in key order, of each
/// its chunks in time order, as they are stored. What merges read with.
///
/// Memory   one data block, one key block, and some blocks of the dictionaries; not through the cache:
///          a merge reads everything once.
/// Damage   CH_ERR_CORRUPT or CH_ERR_IO; the cursor is then good for nothing but destroy.
/// Threads  a cursor belongs to one thread; it is made, used and destroyed there.
#ifndef CH_SST_TABLE_CURSOR_H
#define CH_SST_TABLE_CURSOR_H

#include "sst/sstable.h"

typedef struct ch_table_cursor ch_table_cursor_t;

/// Over points in [first, last], both inclusive. `dictionary_bytes`: memory for texts read again and
/// again. The table must live as long.
ch_table_cursor_t *ch_table_cursor_new(const ch_sstable_t *sstable, int64_t first,
                                       int64_t last, size_t dictionary_bytes);
void ch_table_cursor_destroy(ch_table_cursor_t **cursor);

/// Stand on the next series with a chunk that overlaps the window, and on that chunk. CH_END: none.
ch_status_t ch_table_cursor_next(ch_table_cursor_t *cursor) CH_MUST_CHECK;

/// The key at hand; valid until the next ch_table_cursor_next.
ch_bytes_t ch_table_cursor_name(const ch_table_cursor_t *cursor);
ch_bytes_t ch_table_cursor_labels(const ch_table_cursor_t *cursor);

typedef struct ch_stored_chunk {
    int64_t time_first, time_last;
    uint32_t points, bytes; /* bytes of its values */
} ch_stored_chunk_t;

/// The chunk at hand; NULL when the series has no more in the window.
const ch_stored_chunk_t *ch_table_cursor_chunk(const ch_table_cursor_t *cursor);

/// Append its points that lie in the window.
ch_status_t ch_table_cursor_decode(ch_table_cursor_t *cursor,
                                   ch_points_t *points) CH_MUST_CHECK;

/// To the series' next chunk that overlaps the window, if there is one.
ch_status_t ch_table_cursor_step(ch_table_cursor_t *cursor) CH_MUST_CHECK;

/// Bytes of data blocks read so far.
uint64_t ch_table_cursor_bytes(const ch_table_cursor_t *cursor);

/// Add the chunk at hand, which lies whole in the window, to the writer's open series: its columns as
/// they are, decoded by nobody.
ch_status_t ch_sstable_writer_pass(ch_sstable_writer_t *writer,
                                   const ch_table_cursor_t *cursor) CH_MUST_CHECK;

/// The earliest time at or after `time` that the table may have points of; false: none. No I/O.
bool ch_sstable_time_from(const ch_sstable_t *sstable, int64_t time, int64_t *time_out);

#endif
