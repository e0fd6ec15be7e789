/* key_order.c - series sorted by their whole keys.
 *
 * Problem     A flush of a million series is mostly the sort of their keys: a comparison follows six pointers
 *             to memory that no cache holds.
 * Idea        Sort numbers: the eight bytes behind what all keys of a run begin with, fetched once, each
 *             with its id. Where those are equal, a run of its own, sorted by the bytes that follow. So a
 *             key's memory is looked at once or twice, not at every comparison.
 *             Example: cpu_idle{host="a1"}, cpu_idle{host="b"}, cpu_idle{host="a2"} share 15 bytes; sorted by
 *             a1"}, b"}, a2"}.
 * Keeping     Series outlive many flushes: then the order of all is kept, only ids that came since are sorted
 *             and merged in, and a flush picks its own. That must pay: series that were sorted once and never
 *             again need no order. So it is made when as many have been sorted again as it lacks.
 * Source      MSD radix sort with cached bytes: Ng and Kakehi, "Cache Efficient Radix Sort for String
 *             Sorting", 2007.
 */
#include "db/key_order.h"

#include "ch/alloc.h"
#include "ch/series_key.h"

#include <stdlib.h>

enum { RUN_SHORT = 16 }; /* sorted by whole keys: in the caches by then */

typedef struct item {
    uint64_t word; /* of the key, from the run's depth on */
    uint32_t id;
} item_t;

/* Items [from, to) have equal keys up to `depth`. */
typedef struct run {
    size_t from, to, depth;
} run_t;

typedef struct sort {
    const ch_series_table_t *table;
    item_t *items;
    run_t *runs; /* not sorted yet */
    size_t run_count, run_capacity;
} sort_t;

typedef struct key {
    ch_bytes_t name, labels;
} ch_key_t;

static ch_key_t
key_of(const ch_series_table_t *table, uint32_t id)
{
    uint32_t name, labels;
    ch_series_table_get(table, id, &name, &labels);
    return (ch_key_t){ch_series_table_name(table, name),
                      ch_series_table_labels(table, labels)};
}

static int
compare_ids(const ch_series_table_t *table, uint32_t a, uint32_t b)
{
    ch_key_t x = key_of(table, a), y = key_of(table, b);
    return ch_series_key_compare(x.name, x.labels, y.name, y.labels);
}

static int
by_key(const void *a, const void *b, void *context)
{
    return compare_ids(context, ((const item_t *)a)->id, ((const item_t *)b)->id);
}

static int
by_word(const void *a, const void *b)
{
    uint64_t x = ((const item_t *)a)->word, y = ((const item_t *)b)->word;
    return (x > y) - (x < y);
}

static void
push_run(sort_t *sort, run_t run)
{
    if (sort->run_count == sort->run_capacity) {
        sort->run_capacity = sort->run_capacity ? 2 * sort->run_capacity : 64;
        sort->runs = ch_realloc(sort->runs, sort->run_capacity * sizeof *sort->runs);
    }
    sort->runs[sort->run_count++] = run;
}

/* How many bytes from `depth` on `a` and `b` share, at most `most`. */
static size_t
shared_bytes(const ch_key_t *a, const ch_key_t *b, size_t depth, size_t most)
{
    for (size_t at = 0; at < most; at += sizeof(uint64_t)) {
        uint64_t differ = ch_series_key_word(a->name, a->labels, depth + at) ^
                          ch_series_key_word(b->name, b->labels, depth + at);
        if (differ) {
            at += (size_t)__builtin_clzll(differ) / 8;
            return at < most ? at : most;
        }
    }
    return most;
}

/* The depth at which the run's keys begin to differ; the end of its first key when they do not. */
static size_t
deepen(const sort_t *sort, const run_t *run)
{
    const ch_key_t first = key_of(sort->table, sort->items[run->from].id);
    size_t size = ch_series_key_size(first.name, first.labels);
    size_t shared = size > run->depth ? size - run->depth : 0;
    for (size_t i = run->from + 1; i < run->to && shared > 0; i++) {
        const ch_key_t other = key_of(sort->table, sort->items[i].id);
        shared = shared_bytes(&first, &other, run->depth, shared);
    }
    return run->depth + shared;
}

static void
sort_by_key(const sort_t *sort, run_t run)
{
    qsort_r(sort->items + run.from, run.to - run.from, sizeof *sort->items, by_key,
            (void *)sort->table);
}

/* Is the run small, or are words of no more use: do its keys differ in zeros behind the end of one? */
static bool
is_settled(const sort_t *sort, run_t run)
{
    const ch_key_t first = key_of(sort->table, sort->items[run.from].id);
    return run.to - run.from <= RUN_SHORT ||
           run.depth > ch_series_key_size(first.name, first.labels);
}

/* Sort one run by one word, and leave those that it does not tell apart for later. */
static void
sort_run(sort_t *sort, run_t run)
{
    item_t *items = sort->items + run.from;
    size_t count = run.to - run.from, depth = deepen(sort, &run);
    for (size_t i = 0; i < count; i++) {
        const ch_key_t key = key_of(sort->table, items[i].id);
        items[i].word = ch_series_key_word(key.name, key.labels, depth);
    }
    qsort(items, count, sizeof *items, by_word);
    for (size_t from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count && items[to].word == items[from].word; to++) {
        }
        if (to - from > 1)
            push_run(sort,
                     (run_t){run.from + from, run.from + to, depth + sizeof items->word});
    }
}

static void
sort_ids(const ch_series_table_t *table, uint32_t *ids, size_t count)
{
    sort_t sort = {.table = table, .items = ch_alloc((count + 1) * sizeof *sort.items)};
    for (size_t i = 0; i < count; i++)
        sort.items[i] = (item_t){.id = ids[i]};
    if (count > 1)
        push_run(&sort, (run_t){0, count, 0});
    while (sort.run_count) {
        run_t run = sort.runs[--sort.run_count];
        if (is_settled(&sort, run))
            sort_by_key(&sort, run);
        else
            sort_run(&sort, run);
    }
    for (size_t i = 0; i < count; i++)
        ids[i] = sort.items[i].id;
    ch_free(sort.items);
    ch_free(sort.runs);
}

/* ---- the order of all ---- */

static void
extend(ch_key_order_t *order, const ch_series_table_t *table, uint32_t total)
{
    uint32_t old = order->count, fresh_count = total - old;
    uint32_t *fresh = ch_alloc(fresh_count * sizeof *fresh);
    for (uint32_t i = 0; i < fresh_count; i++)
        fresh[i] = old + i;
    sort_ids(table, fresh, fresh_count);
    uint32_t *merged = ch_alloc(total * sizeof *merged);
    size_t i = 0, j = 0, at = 0;
    while (i < old && j < fresh_count)
        merged[at++] = compare_ids(table, order->ids[i], fresh[j]) < 0 ? order->ids[i++]
                                                                       : fresh[j++];
    while (i < old)
        merged[at++] = order->ids[i++];
    while (j < fresh_count)
        merged[at++] = fresh[j++];
    ch_free(fresh);
    ch_free(order->ids);
    order->ids = merged;
    order->count = total;
}

/* Put ids, all of which the order of all has, in that order. */
static void
pick(const ch_key_order_t *order, uint32_t *ids, uint32_t count)
{
    uint8_t *present = ch_calloc((size_t)order->count + 1, 1);
    for (uint32_t i = 0; i < count; i++)
        present[ids[i]] = 1;
    uint32_t at = 0;
    for (uint32_t i = 0; i < order->count; i++)
        if (present[order->ids[i]])
            ids[at++] = order->ids[i];
    ch_free(present);
}

void
ch_key_order_sort(ch_key_order_t *order, const ch_series_table_t *table, uint32_t *ids,
                  uint32_t count)
{
    uint32_t total = ch_series_table_count(table), again = 0;
    for (uint32_t i = 0; i < count; i++)
        again += ids[i] < order->seen;
    order->seen = total;
    order->owed += again;
    bool pays = again > 0 && total - order->count <= order->owed;
    if (pays && total > order->count)
        extend(order, table, total);
    if (pays)
        order->owed = 0;
    if (pays)
        pick(order, ids, count);
    else
        sort_ids(table, ids, count);
}

void
ch_key_order_release(ch_key_order_t *order)
{
    ch_free(order->ids);
    *order = (ch_key_order_t){0};
}
