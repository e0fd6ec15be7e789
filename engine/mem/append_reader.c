/* append_reader.c - the readers' side of a series' chunks: ranges and newest points of a cut.
 *
 * Order       Points stand as they came. While times never descend a range is a few slices, found by
 *             search; otherwise it is gathered and sorted, stable, so that of equal times the last
 *             to arrive (the higher lsn, then the later position) ends up last, and stays.
 * Search      `peak` is the greatest time before a chunk, so it never descends from chunk to chunk
 *             even when times do: chunks that hold nothing of interest are passed by jumps.
 * Sort        Natural merge sort: series are late by little, so there are few runs to merge.
 * Deletes     hide points by lsn and time, so with them each point's run is looked at. Hidden before
 *             ties are settled: a point that overwrote a hidden one stays.
 */
#include "mem/append_column.h"

#include "ch/alloc.h"

typedef struct entry {
    int64_t time;
    uint32_t at;
} entry_t;

static uint32_t
cut_points_of(const ch_append_cut_t *cut, const ch_append_chunk_t *chunk)
{
    return chunk == cut->chunk ? cut->count : chunk->next->base - chunk->base;
}

static ch_value_t
chunk_value(const ch_append_chunk_t *chunk, uint32_t i)
{
    const void *values = ch_append_values(chunk);
    switch ((ch_value_type_t)chunk->type) {
    case CH_VALUE_INT:
        return ch_value_int(((const int64_t *)values)[i]);
    case CH_VALUE_FLOAT:
        return ch_value_float(((const double *)values)[i]);
    case CH_VALUE_BOOL:
        return ch_value_bool(((const uint8_t *)values)[i] != 0);
    default:
        return ch_value_string(((const ch_bytes_t *)values)[i]);
    }
}

static ch_points_form_t
form_of(const ch_append_chunk_t *chunk)
{
    return chunk->type == CH_VALUE_INT     ? CH_POINTS_I64
           : chunk->type == CH_VALUE_FLOAT ? CH_POINTS_F64
                                           : CH_POINTS_LIST;
}

static void
append_slice(ch_points_t *points, const ch_append_chunk_t *chunk, uint32_t from,
             uint32_t to)
{
    if (from >= to)
        return;
    size_t count = to - from;
    ch_points_reserve(points, form_of(chunk), count);
    if (points->form == CH_POINTS_LIST) {
        const int64_t *times = ch_append_times(chunk);
        for (uint32_t i = from; i < to; i++)
            ch_points_append(points, times[i], chunk_value(chunk, i));
        return;
    }
    memcpy(points->times + points->count, ch_append_times(chunk) + from, count * 8);
    memcpy(points->ints + points->count, (const int64_t *)ch_append_values(chunk) + from,
           count * 8);
    points->count += count;
}

/* First index with a time >= `time` among ascending times. */
static uint32_t
lower_bound(const int64_t *times, uint32_t count, int64_t time)
{
    uint32_t low = 0;
    while (count > 0) {
        uint32_t half = count / 2;
        if (times[low + half] < time) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return low;
}

/* First index with a time > `time` among ascending times. */
static uint32_t
upper_bound(const int64_t *times, uint32_t count, int64_t time)
{
    return time == INT64_MAX ? count : lower_bound(times, count, time + 1);
}

/* The latest chunk such that no older point is at or after `start`. */
static const ch_append_chunk_t *
first_chunk(const ch_append_cut_t *cut, int64_t start)
{
    const ch_append_chunk_t *chunk = cut->chunk;
    while (chunk->base > 0 && chunk->peak >= start) {
        const ch_append_chunk_t *jump = chunk->jump;
        chunk = jump->base > 0 && jump->peak >= start ? jump : chunk->previous;
    }
    return chunk;
}

/* Until `points` has `enough` of them. */
static void
gather_ordered(const ch_append_cut_t *cut, int64_t start, int64_t end, size_t enough,
               ch_points_t *points)
{
    for (const ch_append_chunk_t *chunk = first_chunk(cut, start);; chunk = chunk->next) {
        const int64_t *times = ch_append_times(chunk);
        uint32_t count = cut_points_of(cut, chunk);
        uint32_t to = upper_bound(times, count, end);
        append_slice(points, chunk, lower_bound(times, count, start), to);
        if (chunk == cut->chunk || to < count || points->count >= enough)
            return;
    }
}

static void
gather_any(const ch_append_cut_t *cut, int64_t start, int64_t end, ch_points_t *points)
{
    for (const ch_append_chunk_t *chunk = first_chunk(cut, start);; chunk = chunk->next) {
        const int64_t *times = ch_append_times(chunk);
        uint32_t count = cut_points_of(cut, chunk);
        uint32_t from = 0;
        for (uint32_t i = 0; i < count; i++) {
            if (times[i] >= start && times[i] <= end)
                continue;
            append_slice(points, chunk, from, i);
            from = i + 1;
        }
        append_slice(points, chunk, from, count);
        if (chunk == cut->chunk)
            return;
    }
}

static bool
erased(const ch_append_erasures_t *erasures, uint32_t lsn, int64_t time)
{
    for (size_t i = 0; i < erasures->count; i++)
        if (erasures->lsn_base + lsn < erasures->items[i].lsn &&
            ch_erasure_covers(&erasures->items[i], time))
            return true;
    return false;
}

static void
gather_kept(const ch_append_cut_t *cut, int64_t start, int64_t end,
            const ch_append_erasures_t *erasures, ch_points_t *points)
{
    for (const ch_append_chunk_t *chunk = first_chunk(cut, start);; chunk = chunk->next) {
        const int64_t *times = ch_append_times(chunk);
        uint32_t count = cut_points_of(cut, chunk);
        uint32_t from = 0, run = 0, lsn = ch_append_run_lsn(chunk, 0);
        for (uint32_t i = 0; i < count; i++) {
            if (i > 0 && ch_append_begins_run(chunk, i))
                lsn = ch_append_run_lsn(chunk, ++run);
            if (times[i] >= start && times[i] <= end && !erased(erasures, lsn, times[i]))
                continue;
            append_slice(points, chunk, from, i);
            from = i + 1;
        }
        append_slice(points, chunk, from, count);
        if (chunk == cut->chunk)
            return;
    }
}

/* Merge two neighbours [from, middle) and [middle, end) of `source` into `to`; ties: left first. */
static void
merge_pair(const entry_t *source, entry_t *to, size_t from, size_t middle, size_t end)
{
    size_t left = from, right = middle;
    for (size_t i = from; i < end; i++) {
        bool take_left =
            right == end || (left < middle && source[left].time <= source[right].time);
        to[i] = take_left ? source[left++] : source[right++];
    }
}

static size_t
run_end(const entry_t *entries, size_t from, size_t count)
{
    size_t end = from < count ? from + 1 : count;
    while (end < count && entries[end].time >= entries[end - 1].time)
        end++;
    return end;
}

/* Sorts entries[count], with `spare[count]` to work in; returns whichever holds the result. */
static entry_t *
sort_entries(entry_t *entries, entry_t *spare, size_t count)
{
    while (run_end(entries, 0, count) < count) {
        for (size_t from = 0; from < count;) {
            size_t middle = run_end(entries, from, count);
            size_t end = run_end(entries, middle, count);
            merge_pair(entries, spare, from, middle, end);
            from = end;
        }
        entry_t *sorted = spare;
        spare = entries;
        entries = sorted;
    }
    return entries;
}

static void
sort_points(ch_points_t *points, size_t first)
{
    size_t count = points->count - first;
    if (count < 2)
        return;
    size_t width = points->form == CH_POINTS_LIST ? sizeof(ch_value_t) : 8;
    entry_t *memory = ch_alloc(2 * count * sizeof *memory);
    for (size_t i = 0; i < count; i++)
        memory[i] = (entry_t){points->times[first + i], (uint32_t)i};
    const entry_t *sorted = sort_entries(memory, memory + count, count);
    uint8_t *values = ch_alloc(count * width);
    uint8_t *to = (uint8_t *)points->values + first * width;
    memcpy(values, to, count * width);
    for (size_t i = 0; i < count; i++) {
        points->times[first + i] = sorted[i].time;
        memcpy(to + i * width, values + sorted[i].at * width, width);
    }
    ch_free(values);
    ch_free(memory);
}

static void
move_point(ch_points_t *points, size_t to, size_t from)
{
    points->times[to] = points->times[from];
    if (points->form == CH_POINTS_LIST)
        points->list[to] = points->list[from];
    else
        points->ints[to] = points->ints[from];
}

/* Of equal times among the sorted points from `first` on, only the last stays. */
static void
drop_ties(ch_points_t *points, size_t first)
{
    size_t kept = first;
    for (size_t i = first; i < points->count; i++) {
        if (i + 1 == points->count || points->times[i] != points->times[i + 1])
            move_point(points, kept++, i);
    }
    points->count = kept;
}

bool
ch_append_cut_read(const ch_append_cut_t *cut, int64_t start, int64_t end,
                   const ch_append_erasures_t *erasures, size_t points_max,
                   ch_points_t *points)
{
    if (start > end)
        return true;
    size_t first = points->count, enough = SIZE_MAX;
    if (!erasures && cut->order == CH_APPEND_STRICT && points_max < SIZE_MAX - first)
        enough = first + points_max + 1;
    if (erasures)
        gather_kept(cut, start, end, erasures, points);
    else if (cut->order == CH_APPEND_DISORDERED)
        gather_any(cut, start, end, points);
    else
        gather_ordered(cut, start, end, enough, points);
    if (cut->order == CH_APPEND_DISORDERED)
        sort_points(points, first);
    if (cut->order != CH_APPEND_STRICT)
        drop_ties(points, first);
    return points->count < enough;
}

static ch_status_t
newest_ordered(const ch_append_cut_t *cut, int64_t time, int64_t *time_out,
               ch_value_t *value_out)
{
    const ch_append_chunk_t *chunk = cut->chunk;
    while (ch_append_times(chunk)[0] > time) {
        if (chunk->base == 0)
            return CH_NOT_FOUND;
        const ch_append_chunk_t *jump = chunk->jump;
        chunk = ch_append_times(jump)[0] > time ? jump : chunk->previous;
    }
    const int64_t *times = ch_append_times(chunk);
    uint32_t at = upper_bound(times, cut_points_of(cut, chunk), time) - 1;
    *time_out = times[at];
    *value_out = chunk_value(chunk, at);
    return CH_OK;
}

/* Backwards, so that of equal times the last to arrive is met first; done when nothing older can
 * be above the best. */
static ch_status_t
newest_any(const ch_append_cut_t *cut, int64_t time, const ch_append_erasures_t *erasures,
           int64_t *time_out, ch_value_t *value_out)
{
    const ch_append_chunk_t *best = NULL;
    uint32_t best_at = 0;
    int64_t best_time = INT64_MIN;
    for (const ch_append_chunk_t *chunk = cut->chunk;; chunk = chunk->previous) {
        const int64_t *times = ch_append_times(chunk);
        uint32_t i = cut_points_of(cut, chunk);
        uint32_t run = erasures ? ch_append_runs_in(chunk, i) : 0; /* of the one above */
        bool above = true; /* the point above began its run */
        while (i-- > 0) {
            if (erasures && above)
                run--;
            above = erasures && ch_append_begins_run(chunk, i);
            if (times[i] > time || (best != NULL && times[i] <= best_time))
                continue;
            if (erasures && erased(erasures, ch_append_run_lsn(chunk, run), times[i]))
                continue;
            best = chunk;
            best_at = i;
            best_time = times[i];
        }
        if (chunk->base == 0 || (best != NULL && best_time >= chunk->peak))
            break;
    }
    if (best == NULL)
        return CH_NOT_FOUND;
    *time_out = best_time;
    *value_out = chunk_value(best, best_at);
    return CH_OK;
}

ch_status_t
ch_append_cut_newest(const ch_append_cut_t *cut, int64_t time,
                     const ch_append_erasures_t *erasures, int64_t *time_out,
                     ch_value_t *value_out)
{
    if (erasures || cut->order == CH_APPEND_DISORDERED)
        return newest_any(cut, time, erasures, time_out, value_out);
    return newest_ordered(cut, time, time_out, value_out);
}
