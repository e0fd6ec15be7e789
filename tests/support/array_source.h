/// A ch_source_t over sorted arrays in memory: what queries are tested against.
///
/// Owner    the source owns copies of all keys and points.
/// Threads  one at a time.
#ifndef CH_TEST_ARRAY_SOURCE_H
#define CH_TEST_ARRAY_SOURCE_H

#include "ch/source.h"

typedef struct array_series {
    ch_bytes_t name, labels; /* owned */
    ch_points_t points;
} array_series_t;

typedef struct array_source {
    array_series_t *series;
    size_t count, capacity;
    bool sorted;
    bool summaries;   /* answer `summarise` ... */
    uint64_t decodes; /* ... and say that so many points were decoded for it */
    uint64_t selects, reads, points_read, summarised;
    ch_status_t fail_read; /* returned by every read when not CH_OK */
} array_source_t;

void array_source_release(array_source_t *array);

/// Add a point; `key` is key text (labels in any order). A later point of the same time replaces.
void array_source_put(array_source_t *array, const char *key, int64_t time,
                      ch_value_t value);

ch_source_t array_source_open(array_source_t *array);

#endif
