/// Deletes as they concern one series: points of a record below `lsn` with times in [start, end) are
/// gone.
///
/// Units    times: ns since the epoch; an `end` of INT64_MAX means unbounded, as in reads.
/// Threads  pure functions.
#ifndef CH_ERASURE_H
#define CH_ERASURE_H

#include "ch/points.h"

typedef struct ch_erasure {
    uint64_t lsn;
    int64_t start, end;
} ch_erasure_t;

static inline bool
ch_erasure_covers(const ch_erasure_t *erasure, int64_t time)
{
    return time >= erasure->start && (time < erasure->end || erasure->end == INT64_MAX);
}

/// Remove from `points` (sorted by time, from index `first` on) those that an erasure with an lsn above
/// `lsn_above` covers: `lsn_above` is the position up to which deletes were applied to them already.
void ch_points_erase(ch_points_t *points, size_t first, const ch_erasure_t *erasures,
                     size_t count, uint64_t lsn_above);

#endif
