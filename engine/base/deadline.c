/* deadline.c - work that stops in time.
 *
 * Sort     A million keys take qsort half a second, and qsort cannot be stopped. So slices of it are
 *          sorted, and merged in pairs, bottom up, with looks at the clock between.
 */
#include "ch/deadline.h"

#include <stdlib.h>
#include <string.h>

#include "ch/alloc.h"

enum {
    SLICE_ITEMS = 1024,
    SORT_UNITS = 16, /* an item of a slice */
    MERGE_UNITS = 2, /* an item of a merge */
};

ch_status_t
ch_deadline_look(ch_deadline_t *deadline)
{
    deadline->work = 0;
#ifdef CH_FAULT_DEADLINE_UNSEEN
    return CH_OK;
#endif
    if (ch_clock_monotonic_ns(deadline->clock) <= deadline->at_ns)
        return CH_OK;
    return ch_fail(CH_ERR_TIMEOUT, "out of time while series were selected: narrow the "
                                   "selector, or ask with a longer timeout");
}

typedef struct sorting {
    ch_deadline_t *deadline;
    size_t item_bytes;
    int (*compare)(const void *, const void *);
} sorting_t;

/* Merge [left, right) and [right, end) into `to`. */
static ch_status_t
merge(const sorting_t *sorting, const uint8_t *left, const uint8_t *right,
      const uint8_t *end, uint8_t *to)
{
    size_t bytes = sorting->item_bytes;
    const uint8_t *middle = right;
    ch_status_t status = CH_OK;
    while (left < middle && right < end && status >= 0) {
        const uint8_t **from = sorting->compare(left, right) <= 0 ? &left : &right;
        memcpy(to, *from, bytes);
        *from += bytes;
        to += bytes;
        status = ch_deadline_work(sorting->deadline, MERGE_UNITS);
    }
    memcpy(to, left, (size_t)(middle - left));
    memcpy(to + (middle - left), right, (size_t)(end - right));
    return status;
}

static ch_status_t
merge_pairs(const sorting_t *sorting, const uint8_t *from, size_t count, size_t run,
            uint8_t *to)
{
    ch_status_t status = CH_OK;
    for (size_t at = 0; at < count && status >= 0; at += 2 * run) {
        size_t right = at + run < count ? at + run : count;
        size_t end = right + run < count ? right + run : count;
        status = merge(sorting, from + at * sorting->item_bytes,
                       from + right * sorting->item_bytes,
                       from + end * sorting->item_bytes, to + at * sorting->item_bytes);
    }
    return status;
}

ch_status_t
ch_deadline_sort(ch_deadline_t *deadline, void *items, size_t count, size_t item_bytes,
                 int (*compare)(const void *, const void *))
{
    const sorting_t sorting = {deadline, item_bytes, compare};
    ch_status_t status = CH_OK;
    for (size_t at = 0; at < count && status >= 0; at += SLICE_ITEMS) {
        size_t slice = count - at < SLICE_ITEMS ? count - at : SLICE_ITEMS;
        qsort((uint8_t *)items + at * item_bytes, slice, item_bytes, compare);
        status = ch_deadline_work(deadline, SORT_UNITS * slice);
    }
    if (status < 0 || count <= SLICE_ITEMS)
        return status;
    uint8_t *spare = ch_alloc(count * item_bytes), *from = items, *to = spare;
    for (size_t run = SLICE_ITEMS; run < count && status >= 0; run *= 2) {
        status = merge_pairs(&sorting, from, count, run, to);
        uint8_t *swapped = from;
        from = to;
        to = swapped;
    }
    if (status >= 0 && from == spare)
        memcpy(items, spare, count * item_bytes);
    ch_free(spare);
    return status;
}
