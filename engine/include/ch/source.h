/// Where queries read from: series by selector, points by series. An engine view is one; tests
/// bring a sorted array.
///
/// Snapshot  one source answers from one state, whatever happens meanwhile.
/// Threads   one thread at a time per source.
#ifndef CH_SOURCE_H
#define CH_SOURCE_H

#include "ch/points.h"
#include "ch/selector.h"

typedef struct ch_series_ref {
    uint32_t id; /* local to the source */
    ch_bytes_t name;
    ch_bytes_t labels; /* canonical label text; valid while the source lives */
} ch_series_ref_t;

typedef struct ch_series_list {
    ch_series_ref_t *items;
    size_t count;
    size_t capacity;
} ch_series_list_t;

void ch_series_list_release(ch_series_list_t *list);
void ch_series_list_append(ch_series_list_t *list, ch_series_ref_t ref);

/// What chunk headers can tell of a series' float-readable points in a time range.
typedef struct ch_summary {
    uint64_t count;
    double sum, min, max;
    int64_t first_time, last_time;
    double first, last;
    bool falls;       /* some value is less than the one before: a counter was reset */
    uint64_t decoded; /* points that were decoded for it all the same, in range or not */
} ch_summary_t;

/// Add a part that lies behind all that `to` sums up.
static inline void
ch_summary_join(ch_summary_t *to, const ch_summary_t *part)
{
    uint64_t decoded = to->decoded + part->decoded;
    if (to->count == 0 || part->count == 0) {
        *to = to->count == 0 ? *part : *to;
        to->decoded = decoded;
        return;
    }
    to->decoded = decoded;
    to->falls = to->falls || part->falls || part->first < to->last;
    to->count += part->count;
    to->sum += part->sum;
    to->min = part->min < to->min ? part->min : to->min;
    to->max = part->max > to->max ? part->max : to->max;
    to->last_time = part->last_time;
    to->last = part->last;
}

typedef struct ch_source {
    void *context;

    /* Series that match and may have points in [start, end), ordered by canonical key. Errors:
     * CH_ERR_LIMIT (more than series_max), CH_ERR_PARSE (regex gave up), CH_ERR_TIMEOUT,
     * CH_ERR_CORRUPT. */
    ch_status_t (*select)(void *context, const ch_selector_t *selector, int64_t start,
                          int64_t end, size_t series_max, ch_series_list_t *list_out);

    /* The points of one series in [start, end), sorted by time, times distinct. `points_out` is
     * cleared first. At most `points_max` points are given, from the earliest on; *more_out says
     * whether others follow. */
    ch_status_t (*read)(void *context, const ch_series_ref_t *series, int64_t start,
                        int64_t end, size_t points_max, ch_points_t *points_out,
                        bool *more_out);

    /* Count, sum, min ... of one series in [start, end) when chunk headers can answer for
     * all of it but its ends; CH_NOT_FOUND when they cannot (then read). May be NULL. */
    ch_status_t (*summarise)(void *context, const ch_series_ref_t *series, int64_t start,
                             int64_t end, ch_summary_t *summary_out);
} ch_source_t;

/// INT64_MIN as start and INT64_MAX as end mean unbounded.
#define CH_TIME_MIN INT64_MIN
#define CH_TIME_MAX INT64_MAX

#endif
