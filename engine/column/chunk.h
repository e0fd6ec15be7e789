/// A chunk: up to CH_CHUNK_POINTS_MAX points of one series as a time column and a value column,
/// with aggregates in its directory entry (docs/format/column.md).
///
/// Threads  a ch_column_scratch_t belongs to one thread; everything else is pure.
#ifndef CH_COLUMN_CHUNK_H
#define CH_COLUMN_CHUNK_H

#include "ch/points.h"
#include "ch/status.h"
#include "column/level.h"

/// Bytes that decoders may read past a column; buffers that hold columns have as many to spare.
#define CH_COLUMN_PAD 64

typedef struct ch_column_scratch ch_column_scratch_t;
ch_column_scratch_t *ch_column_scratch_new(void);
void ch_column_scratch_destroy(ch_column_scratch_t **scratch);

enum {
    CH_CHUNK_AGGREGATES_SCALED = 1,
    CH_CHUNK_AGGREGATES = 2,
    CH_CHUNK_TIMES_SHARED = 4,
    CH_CHUNK_NAN_SEEN = 8,
    CH_CHUNK_COUNTER_RESET = 16,
    CH_CHUNK_DENSE = 32, /* encoded at CH_COLUMN_DENSE: encoding again gains nothing */
};

/// Directory entry of a chunk, in memory.
typedef struct ch_chunk {
    uint8_t type; /* 0 int, 1 float, 2 bool, 3 string, 4 mixed */
    uint8_t flags;
    uint32_t count;
    int64_t time_first, time_last;
    double first, last, min, max, sum; /* with CH_CHUNK_AGGREGATES; NaN left out */
    uint8_t scale_exponent; /* with ..._SCALED: the five in units of 10^-e ... */
    int64_t scaled[5];      /* ... first, last, min, max, sum */
    uint32_t nan_count;
    uint32_t times_bytes; /* 0 with CH_CHUNK_TIMES_SHARED */
    uint32_t values_bytes;
} ch_chunk_t;

/// Upper bound of the encoded bytes of points [from, to) of a run.
size_t ch_chunk_bytes_max(const ch_points_t *points, size_t from, size_t to);

/// Encode points [from, to) (sorted, distinct times, at most CH_CHUNK_POINTS_MAX): the time column
/// to `times_to`, the value column to `values_to` (room for ch_chunk_bytes_max in each; NULL
/// times_to: the caller shares another chunk's equal time column). Fills *chunk_out.
void ch_chunk_encode(ch_column_scratch_t *scratch, ch_column_level_t level,
                     const ch_points_t *points, size_t from, size_t to, uint8_t *times_to,
                     uint8_t *values_to, ch_chunk_t *chunk_out);

/// Append the decoded points to `points`. Both columns have CH_COLUMN_PAD readable bytes behind.
/// Errors: CH_ERR_CORRUPT, CH_ERR_LIMIT (no memory for decompressed strings). On error `points` keeps its old count.
ch_status_t ch_chunk_decode(ch_column_scratch_t *scratch, const ch_chunk_t *chunk,
                            ch_bytes_t times, ch_bytes_t values,
                            ch_points_t *points) CH_MUST_CHECK;

/// Directory entry to bytes (room for 160) and back; times relative to the block's t_min.
uint8_t *ch_chunk_put(uint8_t *to, const ch_chunk_t *chunk, int64_t block_time_min,
                      uint32_t times_ref);
const uint8_t *ch_chunk_get(const uint8_t *from, const uint8_t *end,
                            int64_t block_time_min, ch_chunk_t *chunk_out,
                            uint32_t *times_ref_out);

#endif
