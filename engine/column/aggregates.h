/// Aggregates of a chunk's values for its directory entry. Private to engine/column.
///
/// NaN is left out of all five; the sum of doubles is compensated (Neumaier), sums in units of 10^-e
/// are exact. Chunks below CH_CHUNK_AGGREGATES_POINTS_MIN get only the flags.
#ifndef CH_COLUMN_AGGREGATES_H
#define CH_COLUMN_AGGREGATES_H

#include "column/chunk.h"

enum { CH_CHUNK_AGGREGATES_POINTS_MIN = 16 };

/// Of chunk->count ints (bools as 0 and 1).
void ch_aggregate_ints(ch_chunk_t *chunk, const int64_t *x);

/// Of chunk->count doubles that the scratch has just encoded.
void ch_aggregate_floats(ch_chunk_t *chunk, const ch_column_scratch_t *scratch,
                         const double *v);

/// The doubles of a chunk whose aggregates are scaled integers.
void ch_aggregate_unscale(ch_chunk_t *chunk);

#endif
