/* view.c - reading: one pinned version, one durable lsn, parts merged by age.
 *
 * Parts     A series' points lie in tables, the immutable memtable, the active one. Of two parts that
 *           overlap in time the later one is wholly newer, by lsn (version.h); so at equal times the
 *           later part wins, and merging in that order is last-write-wins. The lsn cut only concerns memtables:
 *           tables hold nothing that is not durable.
 * Ids       are those of the version's roster, whatever the engine has gone over to since.
 * Deletes   take from each part what they apply to before it is laid over the others: from a table
 *           those above its erased_lsn, from a memtable by the lsn of each point.
 */
#include "db/damage.h"
#include "db/engine_state.h"

#include "ch/alloc.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    REF_UNITS = 4,    /* of work (ch/deadline.h): to look a series up */
    TABLES_UNITS = 64 /* to ask tables about it, which may read blocks */
};

typedef struct range {
    int64_t min, max; /* inclusive */
} range_t;

/* ---- select ---- */

static ch_roster_t *
roster_of(const ch_view_t *view)
{
    return ch_version_roster(view->version);
}

/* The series' id in a memtable; CH_SERIES_NONE, which no memtable knows, where it has none. */
static uint32_t
id_in(const ch_view_t *view, const ch_shared_memtable_t *memtable,
      const ch_series_ref_t *series)
{
#ifndef CH_FAULT_SWEEP_IDS_MIXED
    if (memtable->roster != roster_of(view)) /* until that one is flushed */
        return ch_series_table_find(memtable->roster->series, series->name,
                                    series->labels);
#endif
    return series->id;
}

static bool
memtables_may_hold(const ch_view_t *view, const ch_series_ref_t *series, int64_t start,
                   int64_t end)
{
    const ch_shared_memtable_t *memtables[2] = {view->version->immutable,
                                                view->version->active};
    for (int i = 0; i < 2; i++) {
        range_t range;
        if (memtables[i] &&
            ch_memtable_time_range(memtables[i]->memtable,
                                   id_in(view, memtables[i], series), &range.min,
                                   &range.max) &&
            range.min < end && range.max >= start)
            return true;
    }
    return false;
}

/* May the series have points in [start, end)? < 0 on damage. */
static int
may_have_points(const ch_view_t *view, const ch_series_ref_t *series, int64_t start,
                int64_t end)
{
    if (memtables_may_hold(view, series, start, end))
        return 1;
    const ch_version_t *version = view->version;
    for (size_t i = ch_version_next(version, 0, start, end); i < version->table_count;
         i = ch_version_next(version, i + 1, start, end)) {
        ch_table_t *table = version->tables[i];
        range_t range;
        if (!ch_sstable_may_contain(table->sstable, series->name, series->labels))
            continue;
        ch_status_t status = ch_sstable_time_range(
            table->sstable, series->name, series->labels, &range.min, &range.max);
        ch_table_note(view->engine, table, status);
        if (status < 0)
            return status;
        if (status == CH_OK && range.min < end && range.max >= start)
            return 1;
    }
    return 0;
}

static int
by_canonical_key(const void *a, const void *b)
{
    const ch_series_ref_t *x = a, *y = b;
    return ch_series_key_compare(x->name, x->labels, y->name, y->labels);
}

static ch_series_ref_t
series_ref(const ch_view_t *view, uint32_t series)
{
    uint32_t name_id, labels_id;
    const ch_series_table_t *table = roster_of(view)->series;
    ch_series_table_get(table, series, &name_id, &labels_id);
    return (ch_series_ref_t){series, ch_series_table_name(table, name_id),
                             ch_series_table_labels(table, labels_id)};
}

ch_status_t
ch_view_forgive(ch_view_t *view, ch_status_t status, ch_status_t instead)
{
    if (!view->despite_damage || (status != CH_ERR_CORRUPT && status != CH_ERR_IO))
        return status;
    (void)snprintf(view->warning, sizeof view->warning, "the list may not be exact: %s",
                   ch_fail_text());
    return instead;
}

/* 1, 0, or < 0 on damage. A series that a delete has named may have nothing left: of it a point is
 * looked for. */
static int
keep_series(ch_view_t *view, const ch_series_ref_t *series, int64_t start, int64_t end)
{
    bool bounded = start != CH_TIME_MIN || end != CH_TIME_MAX;
    bool touched = ch_series_states_touched(roster_of(view)->states, series->id);
    int keep =
        ch_deadline_work(&view->deadline, bounded || touched ? TABLES_UNITS : REF_UNITS);
    if (keep < 0)
        return keep;
    keep = bounded ? may_have_points(view, series, start, end) : 1;
    if (keep == 1 && touched)
        keep = ch_view_has_points(view, series, start, end);
    return ch_view_forgive(view, keep, 1);
}

static ch_status_t
keep_selected(ch_view_t *view, const ch_series_ids_t *ids, int64_t start, int64_t end,
              ch_series_list_t *list)
{
    for (size_t i = 0; i < ids->count; i++) {
        if (ch_series_states_born(roster_of(view)->states, ids->items[i]) > view->lsn)
            continue; /* named by a batch that is not durable yet */
        ch_series_ref_t ref = series_ref(view, ids->items[i]);
        int keep = keep_series(view, &ref, start, end);
        if (keep < 0)
            return (ch_status_t)keep;
        if (keep)
            ch_series_list_append(list, ref);
    }
    return CH_OK;
}

static ch_status_t
view_select(void *context, const ch_selector_t *selector, int64_t start, int64_t end,
            size_t series_max, ch_series_list_t *list_out)
{
    ch_view_t *view = context;
    ch_series_ids_t ids = {0};
    ch_series_list_t list = {0};
    ch_status_t status =
        ch_view_forgive(view, ch_version_check_keys(view->version, start, end), CH_OK);
    if (status >= 0)
        status = ch_label_index_select(roster_of(view)->index, selector, series_max,
                                       &view->deadline, &ids);
    if (status >= 0)
        status = keep_selected(view, &ids, start, end, &list);
    ch_series_ids_release(&ids);
    if (status >= 0 && list.count)
        status = ch_deadline_sort(&view->deadline, list.items, list.count,
                                  sizeof *list.items, by_canonical_key);
    if (status >= 0)
        *list_out = list;
    else
        ch_series_list_release(&list);
    return status;
}

/* ---- read ---- */

/* Deletes that concern the series in a range, into view->erasures. */
static bool
gather_erasures(ch_view_t *view, uint32_t series, int64_t start, int64_t end)
{
    return ch_tombstones_gather(view->version->tombstones, series, 0, view->lsn, start,
                                end, &view->erasures);
}

/* Put `view->part` over what `points` holds so far. */
static void
lay_over(ch_view_t *view, ch_points_t *points)
{
    const ch_points_t *part = &view->part;
    if (part->count == 0)
        return;
    if (points->count == 0 || points->times[points->count - 1] < part->times[0]) {
        ch_points_append_range(points, part, 0, part->count);
        return;
    }
    ch_points_merge(points, part, &view->merged);
    ch_points_t swapped = *points;
    *points = view->merged;
    view->merged = swapped;
}

/* A part was read straight behind what `points` held before, `at` points. Mostly it follows in time and is
 * in its place; else it is taken off again and laid over the others. */
static void
settle_part(ch_view_t *view, ch_points_t *points, size_t at)
{
    if (at == 0 || at == points->count || points->times[at - 1] < points->times[at])
        return;
    ch_points_clear(&view->part);
    ch_points_append_range(&view->part, points, at, points->count);
    points->count = at;
    lay_over(view, points);
}

/* Of each table no more than `points_max` and a chunk. Where one stops, *end moves: what lies behind
 * is not complete, so the other parts need not be read further. */
static ch_status_t
read_tables(ch_view_t *view, const ch_series_ref_t *series, int64_t start, int64_t *end,
            size_t points_max, ch_points_t *points)
{
    const ch_version_t *version = view->version;
    for (size_t i = ch_version_next(version, 0, start, *end); i < version->table_count;
         i = ch_version_next(version, i + 1, start, *end)) {
        ch_table_t *table = version->tables[i];
        if (!ch_sstable_may_contain(table->sstable, series->name, series->labels))
            continue;
        size_t at = points->count;
        ch_status_t status =
            ch_sstable_read_first(table->sstable, series->name, series->labels, start,
                                  *end, points_max, points, end);
        ch_table_note(view->engine, table, status);
        if (status < 0)
            return status;
#ifdef CH_FAULT_TOMBSTONE_ALL_TABLES
        ch_points_erase(points, at, view->erasures.items, view->erasures.count, 0);
#else
        ch_points_erase(points, at, view->erasures.items, view->erasures.count,
                        table->erased_lsn);
#endif
        settle_part(view, points, at);
    }
    return CH_OK;
}

static void
read_memtable(ch_view_t *view, ch_shared_memtable_t *memtable,
              const ch_series_ref_t *series, int64_t start, int64_t *end,
              size_t points_max, ch_points_t *points)
{
    if (!memtable)
        return;
    uint32_t id = id_in(view, memtable, series);
    ch_points_clear(&view->part);
    if (view->erasures.count)
        ch_memtable_read_erased(memtable->memtable, id, view->lsn, start, *end,
                                view->erasures.items, view->erasures.count, &view->part);
    else
        *end = ch_memtable_read_first(memtable->memtable, id, view->lsn, start, *end,
                                      points_max, &view->part);
    lay_over(view, points);
}

/* Clears `points`. *end moves to before what is not complete. */
static ch_status_t
read_piece(ch_view_t *view, const ch_series_ref_t *series, int64_t start, int64_t *end,
           size_t points_max, ch_points_t *points)
{
    int64_t complete = *end;
    ch_points_clear(points);
    ch_status_t status = read_tables(view, series, start, &complete, points_max, points);
    if (status < 0)
        return status;
    read_memtable(view, view->version->immutable, series, start, &complete, points_max,
                  points);
    read_memtable(view, view->version->active, series, start, &complete, points_max,
                  points);
    while (complete < *end && points->count > 0 &&
           points->times[points->count - 1] >= complete)
        points->count--;
    *end = complete;
    return CH_OK;
}

/* One piece is enough unless deletes take so much of it that the next is needed too. */
static ch_status_t
view_read(void *context, const ch_series_ref_t *series, int64_t start, int64_t end,
          size_t points_max, ch_points_t *points_out, bool *more_out)
{
    ch_view_t *view = context;
    int64_t complete = end;
    (void)gather_erasures(view, series->id, start, end);
    ch_status_t status =
        read_piece(view, series, start, &complete, points_max, points_out);
    while (status >= 0 && complete < end && points_out->count <= points_max) {
        int64_t from = complete;
        complete = end;
        status = read_piece(view, series, from, &complete, points_max - points_out->count,
                            &view->piece);
        if (status >= 0)
            ch_points_append_range(points_out, &view->piece, 0, view->piece.count);
    }
    if (status < 0)
        return status;
    *more_out = points_out->count > points_max;
    if (*more_out)
        points_out->count = points_max;
    return CH_OK;
}

/* ---- summarise ---- */

/* What each table and memtable has of the series in [start, end). */
typedef struct parts {
    ch_summary_t *items;
    size_t count, capacity;
    uint64_t decoded; /* in vain: for tables that have no point in range */
} parts_t;

static void
add_part(parts_t *parts, const ch_summary_t *part)
{
    if (part->count == 0) {
        parts->decoded += part->decoded;
        return;
    }
    if (parts->count == parts->capacity) {
        parts->capacity = parts->capacity ? 2 * parts->capacity : 8;
        parts->items = ch_realloc(parts->items, parts->capacity * sizeof *parts->items);
    }
    parts->items[parts->count++] = *part;
}

static ch_status_t
summarise_tables(const ch_view_t *view, const ch_series_ref_t *series, int64_t start,
                 int64_t end, parts_t *parts)
{
    const ch_version_t *version = view->version;
    for (size_t i = ch_version_next(version, 0, start, end); i < version->table_count;
         i = ch_version_next(version, i + 1, start, end)) {
        ch_table_t *table = version->tables[i];
        ch_summary_t part = {0};
        if (!ch_sstable_may_contain(table->sstable, series->name, series->labels))
            continue;
        ch_status_t status = ch_sstable_summarise(table->sstable, series->name,
                                                  series->labels, start, end, &part);
        ch_table_note(view->engine, table, status);
        if (status < 0)
            return status;
        if (status == CH_OK)
            add_part(parts, &part);
    }
    return CH_OK;
}

/* A memtable has no headers, but few points of a series: those of its last minutes. */
static ch_status_t
summarise_memtable(ch_view_t *view, const ch_shared_memtable_t *memtable,
                   const ch_series_ref_t *series, int64_t start, int64_t end,
                   parts_t *parts)
{
    ch_summary_t part = {0};
    if (!memtable)
        return CH_OK;
    ch_points_clear(&view->part);
    ch_memtable_read(memtable->memtable, id_in(view, memtable, series), view->lsn, start,
                     end, &view->part);
    part.decoded = view->part.count;
    ch_status_t status =
        ch_sstable_summarise_points(&view->part, 0, view->part.count, &part);
    if (status >= 0)
        add_part(parts, &part);
    return status;
}

static int
by_first_time(const void *a, const void *b)
{
    int64_t x = ((const ch_summary_t *)a)->first_time;
    int64_t y = ((const ch_summary_t *)b)->first_time;
    return (x > y) - (x < y);
}

/* Headers answer only where no two parts of the series overlap in the range: otherwise a point may have
 * been overwritten; and where no delete may have taken one. Parts come in any order of time. */
static ch_status_t
view_summarise(void *context, const ch_series_ref_t *series, int64_t start, int64_t end,
               ch_summary_t *summary_out)
{
    ch_view_t *view = context;
    const ch_version_t *version = view->version;
    ch_summary_t sum = {0};
    parts_t parts = {0};
#ifndef CH_FAULT_SUMMARY_DELETES_IGNORED
    if (gather_erasures(view, series->id, start, end))
        return CH_NOT_FOUND;
#endif
    ch_status_t status =
        summarise_memtable(view, version->active, series, start, end, &parts);
    if (status >= 0)
        status = summarise_memtable(view, version->immutable, series, start, end, &parts);
    if (status >= 0)
        status = summarise_tables(view, series, start, end, &parts);
    if (status == CH_ERR_UNSUPPORTED)
        status = CH_NOT_FOUND;
    if (parts.count > 1)
        qsort(parts.items, parts.count, sizeof *parts.items, by_first_time);
    for (size_t i = 0; status == CH_OK && i < parts.count; i++) {
#ifndef CH_FAULT_SUMMARY_OVERLAP_IGNORED
        if (sum.count && parts.items[i].first_time <= sum.last_time)
            status = CH_NOT_FOUND;
#endif
        if (status == CH_OK)
            ch_summary_join(&sum, &parts.items[i]);
    }
    ch_free(parts.items);
    sum.decoded += parts.decoded;
    if (status == CH_OK)
        *summary_out = sum;
    return status;
}

/* ---- the view ---- */

ch_status_t
ch_view_open(ch_engine_t *engine, ch_view_t **view_out)
{
    ch_view_t *view = ch_calloc(1, sizeof *view);
    view->engine = engine;
    /* Both under the mutex, the cut last. The version's tables are durable, so the cut is never behind
     * them; and while the version is the present one, memtables and deletes that are not in it have
     * no record yet, so the cut is never before anything that the version lacks. */
    (void)pthread_mutex_lock(&engine->mutex);
    view->version = engine->version;
    ch_version_retain(view->version);
#ifdef CH_FAULT_VIEW_NOT_CUT
    view->lsn = ch_wal_appended_lsn(engine->wal);
#else
    view->lsn = ch_wal_durable_lsn(engine->wal);
#endif
    (void)pthread_mutex_unlock(&engine->mutex);
    view->source = (ch_source_t){.context = view,
                                 .select = view_select,
                                 .read = view_read,
                                 .summarise = view_summarise};
    *view_out = view;
    return CH_OK;
}

void
ch_view_destroy(ch_view_t **view)
{
    ch_view_t *gone = ch_take(view);
    if (!gone)
        return;
    ch_version_release(&gone->version);
    ch_points_release(&gone->part);
    ch_points_release(&gone->piece);
    ch_points_release(&gone->merged);
    ch_points_release(&gone->strings);
    ch_erasures_release(&gone->erasures);
    ch_free(gone);
}

uint64_t
ch_view_lsn(const ch_view_t *view)
{
    return view->lsn;
}

void
ch_view_set_deadline(ch_view_t *view, const ch_clock_t *clock, int64_t deadline_ns)
{
    view->deadline = (ch_deadline_t){.clock = clock, .at_ns = deadline_ns};
}

void
ch_view_keep_to_memory(ch_view_t *view)
{
    view->memory_only = true;
}

void
ch_view_list_despite_damage(ch_view_t *view)
{
    view->despite_damage = true;
}

const char *
ch_view_warning(const ch_view_t *view)
{
    return view->warning[0] ? view->warning : NULL;
}

const ch_source_t *
ch_view_source(const ch_view_t *view)
{
    return &view->source;
}

/* ---- get ---- */

typedef struct newest {
    bool found;
    int64_t time;
    ch_value_t value;
} newest_t;

/* Parts are asked newest first, so an equal time found earlier stands. */
static void
take_newer(newest_t *best, int64_t time, ch_value_t value)
{
    if (best->found && best->time >= time)
        return;
    *best = (newest_t){true, time, value};
}

static void
newest_of_memtable(ch_view_t *view, ch_shared_memtable_t *memtable,
                   const ch_series_ref_t *series, int64_t time, newest_t *best)
{
    int64_t at;
    ch_value_t value;
    if (memtable &&
        ch_memtable_newest_erased(memtable->memtable, id_in(view, memtable, series),
                                  view->lsn, time, view->erasures.items,
                                  view->erasures.count, &at, &value) == CH_OK)
        take_newer(best, at, value);
}

/* A delete above lsn_above that takes the point at `time`; NULL: it stands. */
static const ch_erasure_t *
eraser_of(const ch_view_t *view, uint64_t lsn_above, int64_t time)
{
    for (size_t i = 0; i < view->erasures.count; i++) {
        const ch_erasure_t *erasure = &view->erasures.items[i];
        if (erasure->lsn > lsn_above && ch_erasure_covers(erasure, time))
            return erasure;
    }
    return NULL;
}

/* Where a delete takes the newest point, the next candidate lies before the delete's start. */
static ch_status_t
newest_of_table(ch_view_t *view, const ch_table_t *table, const ch_series_ref_t *series,
                int64_t time, int64_t *time_out, ch_value_t *value_out)
{
    for (;;) {
        ch_status_t status =
            ch_sstable_newest(table->sstable, series->name, series->labels, time,
                              &view->strings, time_out, value_out);
        if (status != CH_OK)
            return status;
        const ch_erasure_t *eraser = eraser_of(view, table->erased_lsn, *time_out);
        if (!eraser)
            return CH_OK;
        if (eraser->start == CH_TIME_MIN)
            return CH_NOT_FOUND;
        time = eraser->start - 1;
    }
}

static ch_status_t
newest_of_tables(ch_view_t *view, const ch_series_ref_t *series, int64_t time,
                 newest_t *best)
{
    for (size_t i = view->version->table_count; i-- > 0;) {
        ch_table_t *table = view->version->tables[i];
        int64_t at;
        ch_value_t value;
        const ch_sstable_info_t *info = ch_sstable_info(table->sstable);
        if (info->time_min > time || (best->found && info->time_max <= best->time) ||
            !ch_sstable_may_contain(table->sstable, series->name, series->labels))
            continue;
        if (view->memory_only)
            return ch_fail(CH_ERR_BUSY, "a table must be read");
        ch_status_t status = newest_of_table(view, table, series, time, &at, &value);
        ch_table_note(view->engine, table, status);
        if (status < 0)
            return status;
        if (status == CH_OK)
            take_newer(best, at, value);
    }
    return CH_OK;
}

/* The newest point of all tables: remembered, or asked for and then remembered. */
static ch_status_t
newest_flushed(ch_view_t *view, const ch_series_ref_t *series, newest_t *best)
{
    ch_series_states_t *states = roster_of(view)->states;
    uint64_t flushed_lsn = view->version->flushed_lsn, minded_lsn = 0;
    newest_t flushed = {0};
    ch_newest_t known = ch_series_states_newest(
        states, series->id, view->lsn, &flushed.time, &flushed.value, &minded_lsn);
    if (known == CH_NEWEST_KNOWN && eraser_of(view, minded_lsn, flushed.time))
        known = CH_NEWEST_UNKNOWN;   /* a flush has just published what a delete takes */
    if (view->version->keys_unknown) /* what is remembered knows nothing of them */
        known = CH_NEWEST_UNKNOWN;
    if (known == CH_NEWEST_UNKNOWN) {
        ch_status_t status = newest_of_tables(view, series, CH_TIME_MAX, &flushed);
        if (status < 0)
            return status;
        ch_series_states_refill(states, series->id, flushed_lsn, view->lsn,
                                flushed.found ? CH_NEWEST_KNOWN : CH_NEWEST_NONE,
                                flushed.time, flushed.value);
    }
    flushed.found = flushed.found || known == CH_NEWEST_KNOWN;
    if (flushed.found)
        take_newer(best, flushed.time, flushed.value);
    return CH_OK;
}

static ch_status_t
newest_at(ch_view_t *view, const ch_series_ref_t *series, int64_t time, newest_t *best)
{
    (void)gather_erasures(view, series->id, CH_TIME_MIN, CH_TIME_MAX);
    newest_of_memtable(view, view->version->active, series, time, best);
    newest_of_memtable(view, view->version->immutable, series, time, best);
    return time == CH_TIME_MAX ? newest_flushed(view, series, best)
                               : newest_of_tables(view, series, time, best);
}

int
ch_view_has_points(ch_view_t *view, const ch_series_ref_t *series, int64_t start,
                   int64_t end)
{
    newest_t best = {0};
    if (end == CH_TIME_MIN)
        return 0;
    ch_status_t status =
        newest_at(view, series, end == CH_TIME_MAX ? end : end - 1, &best);
    return status < 0 ? status : best.found && best.time >= start;
}

ch_status_t
ch_view_get(ch_view_t *view, ch_bytes_t name, ch_bytes_t labels, int64_t time,
            int64_t *time_out, ch_value_t *value_out)
{
    uint32_t id = ch_series_table_find(roster_of(view)->series, name, labels);
    if (id == CH_SERIES_NONE) {
        ch_status_t unknown = ch_version_check_keys(
            view->version, CH_TIME_MIN, time < CH_TIME_MAX ? time + 1 : CH_TIME_MAX);
        return unknown < 0 ? unknown : CH_NOT_FOUND;
    }
    ch_series_ref_t series = {id, name, labels};
    newest_t best = {0};
    ch_status_t status = newest_at(view, &series, time, &best);
    if (status < 0)
        return status;
    if (!best.found)
        return CH_NOT_FOUND;
    *time_out = best.time;
    *value_out = best.value;
    return CH_OK;
}
