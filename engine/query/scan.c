/* scan.c - raw points page by page.
 *
 * Problem   A client reads more than a reply holds, while series come and go between its requests.
 * Idea      The cursor names the key of the series and the time at which to go on, not a position
 *           in a list: series added or removed meanwhile move nothing.
 * Cursor    version u8 | next time i64 | name bytes u32 | name | label text | check u32, little-
 *           endian, the check over all before it. It holds nothing that a client could not ask for, so
 *           it needs to be recognised, not to be secret.
 * Progress  A page takes at least one point when there is one, however small its limits; so following
 *           cursors always ends. The last page may be empty: that a series has no points left is only
 *           known by reading it.
 * Strings   may be 64 KiB each, so a series is read in small bites while it has any.
 */
#include <inttypes.h>

#include "ch/alloc.h"
#include "ch/checksum.h"
#include "ch/coding.h"
#include "ch/query.h"
#include "ch/series_key.h"

enum {
    CURSOR_VERSION = 1,
    CURSOR_TIME_OFFSET = 1,
    CURSOR_NAME_SIZE_OFFSET = 9,
    CURSOR_NAME_OFFSET = 13,
    CURSOR_CHECK_BYTES = 4,
    CURSOR_BYTES_MIN = CURSOR_NAME_OFFSET + CURSOR_CHECK_BYTES,
    BITE_POINTS = 16 * 1024,
    STRING_BITE_POINTS = 64, /* 4 MiB when all are strings of 64 KiB */
    SERIES_BYTES = 32,       /* what a series costs in a reply beside its key */
    POINT_BYTES = 16,
    READS_BETWEEN_LOOKS = 16, /* at the clock */
};

#define CURSOR_SEED UINT64_C(0x637572736f723031) /* "cursor01" */

typedef struct cursor {
    bool present;
    int64_t time;
    ch_bytes_t name, labels;
} cursor_t;

typedef struct scan {
    const ch_source_t *source;
    const ch_read_params_t *params;
    ch_read_page_t *page;
    cursor_t from;
    size_t bytes; /* estimated size of the page so far */
    size_t runs_capacity;
    uint64_t reads;
    ch_points_t bite;
} scan_t;

static ch_status_t
cursor_decode(ch_bytes_t bytes, cursor_t *cursor_out)
{
    *cursor_out = (cursor_t){0};
    if (bytes.size == 0)
        return CH_OK;
    if (bytes.size < CURSOR_BYTES_MIN || bytes.data[0] != CURSOR_VERSION)
        return ch_fail(CH_ERR_INVALID, "cursor is not one of this version's");
    size_t checked = bytes.size - CURSOR_CHECK_BYTES;
    if (ch_load_u32(bytes.data + checked) != ch_check32(bytes.data, checked, CURSOR_SEED))
        return ch_fail(CH_ERR_INVALID, "cursor is damaged, or was not made here");
    size_t room = checked - CURSOR_NAME_OFFSET;
    uint32_t name_size = ch_load_u32(bytes.data + CURSOR_NAME_SIZE_OFFSET);
    if (name_size > room)
        return ch_fail(CH_ERR_INVALID, "cursor names %u bytes but holds %zu", name_size,
                       room);
    const uint8_t *name = bytes.data + CURSOR_NAME_OFFSET;
    *cursor_out = (cursor_t){.present = true,
                             .time = ch_load_i64(bytes.data + CURSOR_TIME_OFFSET),
                             .name = ch_bytes(name, name_size),
                             .labels = ch_bytes(name + name_size, room - name_size)};
    return CH_OK;
}

/* The page ends before `time` of `series`. */
static void
cursor_set(ch_read_page_t *page, const ch_series_ref_t *series, int64_t time)
{
    size_t checked = CURSOR_NAME_OFFSET + series->name.size + series->labels.size;
    uint8_t *to = ch_alloc(checked + CURSOR_CHECK_BYTES);
    to[0] = CURSOR_VERSION;
    ch_store_i64(to + CURSOR_TIME_OFFSET, time);
    ch_store_u32(to + CURSOR_NAME_SIZE_OFFSET, (uint32_t)series->name.size);
    uint8_t *name = to + CURSOR_NAME_OFFSET;
    if (series->name.size)
        memcpy(name, series->name.data, series->name.size);
    if (series->labels.size)
        memcpy(name + series->name.size, series->labels.data, series->labels.size);
    ch_store_u32(to + checked, ch_check32(to, checked, CURSOR_SEED));
    page->more = true;
    page->cursor = to;
    page->cursor_size = checked + CURSOR_CHECK_BYTES;
}

static ch_status_t
look_at_clock(scan_t *scan)
{
    const ch_read_params_t *params = scan->params;
    if (params->deadline_ns == 0 || !params->clock ||
        scan->reads++ % READS_BETWEEN_LOOKS != 0)
        return CH_OK;
    if (ch_clock_monotonic_ns(params->clock) <= params->deadline_ns)
        return CH_OK;
    return ch_fail(CH_ERR_TIMEOUT, "read ran out of time after %" PRIu64 " points",
                   scan->page->point_count);
}

static size_t
point_bytes(const ch_points_t *points, size_t i)
{
    if (points->form != CH_POINTS_LIST || points->list[i].type != CH_VALUE_STRING)
        return POINT_BYTES;
    return POINT_BYTES + points->list[i].string.size;
}

static bool
is_full(const scan_t *scan, size_t more_bytes)
{
    if (scan->page->point_count == 0)
        return false; /* a page makes progress */
    return scan->page->point_count >= scan->params->points_max ||
           scan->bytes + more_bytes > scan->params->bytes_max;
}

static ch_points_t *
add_run(scan_t *scan, const ch_series_ref_t *series)
{
    ch_read_page_t *page = scan->page;
    ch_series_list_append(&page->series, *series);
    if (page->series.count > scan->runs_capacity) {
        scan->runs_capacity = page->series.capacity;
        page->points =
            ch_realloc(page->points, scan->runs_capacity * sizeof *page->points);
    }
    ch_points_t *run = &page->points[page->series.count - 1];
    *run = (ch_points_t){0};
    scan->bytes += SERIES_BYTES + ch_series_key_size(series->name, series->labels);
    return run;
}

/* Take what fits of the bite; the cursor tells where the rest begins. */
static void
take_bite(scan_t *scan, const ch_series_ref_t *series, ch_points_t **run)
{
    const ch_points_t *bite = &scan->bite;
    size_t taken = 0;
    size_t first = SERIES_BYTES + ch_series_key_size(series->name, series->labels);
    while (taken < bite->count) {
        size_t bytes = point_bytes(bite, taken);
        if (is_full(scan, bytes + (*run ? 0 : first))) {
            int64_t time = bite->times[taken];
#ifdef CH_FAULT_READ_CURSOR_SKIPS
            time++;
#endif
            cursor_set(scan->page, series, time);
            break;
        }
        if (!*run)
            *run = add_run(scan, series);
        scan->bytes += bytes;
        scan->page->point_count++;
        taken++;
    }
    if (taken > 0)
        ch_points_append_range(*run, bite, 0, taken);
}

/* Never more than the page may still take, and one to see where the next page begins. */
static size_t
bite_size(const scan_t *scan, size_t bite_max)
{
    uint64_t taken = scan->page->point_count, points_max = scan->params->points_max;
    uint64_t left = points_max > taken ? points_max - taken : 0;
    return left < bite_max ? (size_t)left + 1 : bite_max;
}

static ch_status_t
read_series(scan_t *scan, const ch_series_ref_t *series, int64_t from)
{
    ch_points_t *run = NULL;
    size_t bite_max = STRING_BITE_POINTS;
    bool more = true;
    while (more && !scan->page->more) {
        ch_status_t status = look_at_clock(scan);
        if (status < 0)
            return status;
        status =
            scan->source->read(scan->source->context, series, from, scan->params->end,
                               bite_size(scan, bite_max), &scan->bite, &more);
        if (status < 0)
            return status;
        if (scan->bite.count == 0)
            break;
        take_bite(scan, series, &run);
        int64_t last = scan->bite.times[scan->bite.count - 1];
        more = more && last < CH_TIME_MAX;
        from = last < CH_TIME_MAX ? last + 1 : last;
        bite_max = scan->bite.form == CH_POINTS_LIST ? STRING_BITE_POINTS : BITE_POINTS;
    }
    return CH_OK;
}

/* Where to go on in a series, or that it was read already. */
static bool
series_start(const scan_t *scan, const ch_series_ref_t *series, int64_t *start_out)
{
    *start_out = scan->params->start;
    if (!scan->from.present)
        return true;
    int order = ch_series_key_compare(series->name, series->labels, scan->from.name,
                                      scan->from.labels);
    if (order == 0 && scan->from.time > *start_out)
        *start_out = scan->from.time;
    return order >= 0;
}

static ch_status_t
read_list(scan_t *scan, const ch_series_list_t *list)
{
    for (size_t i = 0; i < list->count; i++) {
        int64_t start;
        if (!series_start(scan, &list->items[i], &start))
            continue;
        if (is_full(scan, SERIES_BYTES + POINT_BYTES)) {
            cursor_set(scan->page, &list->items[i], start);
            return CH_OK;
        }
        ch_status_t status = read_series(scan, &list->items[i], start);
        if (status < 0 || scan->page->more)
            return status;
    }
    return CH_OK;
}

ch_status_t
ch_read_page(const ch_source_t *source, const ch_selector_t *selector,
             const ch_read_params_t *params, ch_read_page_t **page_out)
{
    scan_t scan = {.source = source, .params = params};
    ch_series_list_t list = {0};
    ch_status_t status = cursor_decode(params->cursor, &scan.from);
    if (status < 0)
        return status;
    scan.page = ch_calloc(1, sizeof *scan.page);
    status = source->select(source->context, selector, params->start, params->end,
                            params->series_max, &list);
    if (status >= 0)
        status = read_list(&scan, &list);
    if (status >= 0)
        *page_out = ch_take(&scan.page);
    ch_read_page_destroy(&scan.page);
    ch_series_list_release(&list);
    ch_points_release(&scan.bite);
    return status < 0 ? status : CH_OK;
}

void
ch_read_page_destroy(ch_read_page_t **page)
{
    if (!*page)
        return;
    for (size_t i = 0; i < (*page)->series.count; i++)
        ch_points_release(&(*page)->points[i]);
    ch_free((*page)->points);
    ch_series_list_release(&(*page)->series);
    ch_free((*page)->cursor);
    ch_free(*page);
    *page = NULL;
}
