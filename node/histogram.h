/// Counts of values in buckets that grow with the value: eight per power of two, so a percentile is
/// off by at most 1/8.
///
/// Units    the caller's (microseconds here).
/// Threads  record and read from any, without locks; a reading is not a snapshot.
#ifndef CH_HISTOGRAM_H
#define CH_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { CH_HISTOGRAM_BUCKETS = 8 + 61 * 8 };

typedef struct ch_histogram {
    _Atomic uint64_t count, sum, max;
    _Atomic uint64_t buckets[CH_HISTOGRAM_BUCKETS];
} ch_histogram_t;

void ch_histogram_record(ch_histogram_t *histogram, uint64_t value);

/// The least bucket bound that `share` (0 to 1) of the values do not pass; 0 when there are none.
uint64_t ch_histogram_percentile(const ch_histogram_t *histogram, double share);

/// Bucket of a value, and the greatest value of a bucket.
size_t ch_histogram_bucket(uint64_t value);
uint64_t ch_histogram_bound(size_t bucket);

#endif
