/* view_count.c - how many points there are: chunk headers where they can tell, else a read. */
#include "db/engine_state.h"

static ch_status_t
count_series(ch_view_t *view, const ch_series_ref_t *series, int64_t start, int64_t end,
             ch_points_t *points, uint64_t *count_out)
{
    const ch_source_t *source = &view->source;
    ch_summary_t summary = {0};
    bool more = false;
    ch_status_t status = source->summarise(source->context, series, start, end, &summary);
    *count_out = summary.count;
    if (status != CH_NOT_FOUND)
        return status;
    status = source->read(source->context, series, start, end, SIZE_MAX, points, &more);
    *count_out = points->count;
    return status;
}

ch_status_t
ch_view_count(ch_view_t *view, const ch_selector_t *selector, int64_t start, int64_t end,
              const ch_clock_t *clock, int64_t deadline_ns, uint64_t *points_out,
              uint64_t *series_out)
{
    const ch_source_t *source = &view->source;
    ch_series_list_t list = {0};
    ch_points_t points = {0};
    *points_out = *series_out = 0;
    ch_view_set_deadline(view, clock, deadline_ns);
    ch_status_t status =
        source->select(source->context, selector, start, end, SIZE_MAX, &list);
    for (size_t i = 0; i < list.count && status >= 0; i++) {
        uint64_t count = 0;
        if (deadline_ns && ch_clock_monotonic_ns(clock) >= deadline_ns)
            status = ch_fail(CH_ERR_TIMEOUT, "counting: %zu of %zu series were counted",
                             i, list.count);
        else
            status = count_series(view, &list.items[i], start, end, &points, &count);
        if (status < 0)
            break;
        *points_out += count;
        *series_out += count > 0;
    }
    ch_points_release(&points);
    ch_series_list_release(&list);
    return status < 0 ? status : CH_OK;
}
