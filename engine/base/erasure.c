#include "ch/erasure.h"

/* First index from `first` on whose time is at or after `time`. */
static size_t
first_from(const ch_points_t *points, size_t first, int64_t time)
{
    size_t low = first, high = points->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (points->times[middle] < time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void
remove_range(ch_points_t *points, size_t from, size_t to)
{
    size_t left = points->count - to;
    if (from == to)
        return;
    memmove(points->times + from, points->times + to, left * sizeof *points->times);
    if (points->form == CH_POINTS_LIST)
        memmove(points->list + from, points->list + to, left * sizeof *points->list);
    else
        memmove(points->ints + from, points->ints + to, left * sizeof *points->ints);
    points->count -= to - from;
}

void
ch_points_erase(ch_points_t *points, size_t first, const ch_erasure_t *erasures,
                size_t count, uint64_t lsn_above)
{
    for (size_t i = 0; i < count && points->count > first; i++) {
        const ch_erasure_t *erasure = &erasures[i];
        if (erasure->lsn <= lsn_above)
            continue;
        size_t from = first_from(points, first, erasure->start);
        size_t to = erasure->end == INT64_MAX ? points->count
                                              : first_from(points, first, erasure->end);
        if (from < to)
            remove_range(points, from, to);
    }
}
