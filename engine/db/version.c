#include "db/version.h"

#include "ch/alloc.h"

#include <stdlib.h>

static void
retain(uint32_t *references)
{
    (void)__atomic_add_fetch(references, 1, __ATOMIC_RELAXED);
}

/* True for the one who let go last. */
static bool
let_go(uint32_t *references)
{
    return __atomic_sub_fetch(references, 1, __ATOMIC_ACQ_REL) == 0;
}

ch_table_t *
ch_table_new(ch_fs_t *fs, const char *path, uint32_t level, ch_sstable_t *sstable)
{
    ch_table_t *table = ch_calloc(1, sizeof *table);
    *table = (ch_table_t){.sstable = sstable,
                          .fs = fs,
                          .path = ch_strdup(path),
                          .level = level,
                          .erased_lsn = ch_sstable_info(sstable)->lsn_max,
                          .references = 1};
    return table;
}

void
ch_table_release(ch_table_t **table)
{
    ch_table_t *released = ch_take(table);
    if (!released || !let_go(&released->references))
        return;
    ch_sstable_destroy(&released->sstable);
    if (released->obsolete && ch_fs_unlink(released->fs, released->path) < 0) {
        /* A stray that the next start removes. */
    }
    ch_free(released->path);
    ch_free(released);
}

ch_shared_memtable_t *
ch_shared_memtable_new(ch_memtable_t *memtable, ch_roster_t *roster)
{
    ch_shared_memtable_t *shared = ch_calloc(1, sizeof *shared);
    *shared = (ch_shared_memtable_t){memtable, roster, 1};
    ch_roster_retain(roster);
    return shared;
}

void
ch_shared_memtable_release(ch_shared_memtable_t **memtable)
{
    ch_shared_memtable_t *released = ch_take(memtable);
    if (!released || !let_go(&released->references))
        return;
    ch_memtable_destroy(&released->memtable);
    ch_roster_release(&released->roster);
    ch_free(released);
}

/* ---- the order of tables ---- */

/* Least time of a table and all behind it; greatest of it and all before. */
struct ch_span {
    int64_t from, reach;
};

static const ch_sstable_info_t *
info_of(const ch_table_t *table)
{
    return ch_sstable_info(table->sstable);
}

static int
by_age(const void *a, const void *b)
{
    const ch_sstable_info_t *x = info_of(*(ch_table_t *const *)a),
                            *y = info_of(*(ch_table_t *const *)b);
    if (x->lsn_max != y->lsn_max)
        return x->lsn_max < y->lsn_max ? -1 : 1;
    return (x->time_min > y->time_min) - (x->time_min < y->time_min);
}

static int
by_time(const void *a, const void *b)
{
    const ch_table_t *x = *(ch_table_t *const *)a, *y = *(ch_table_t *const *)b;
    if ((x->level == 0) != (y->level == 0))
        return x->level == 0 ? 1 : -1;
    int64_t from_x = info_of(x)->time_min, from_y = info_of(y)->time_min;
    if (from_x != from_y)
        return from_x < from_y ? -1 : 1;
    return by_age(a, b);
}

static void
sort_by_age(ch_table_t **tables, size_t count)
{
    if (count)
        qsort(tables, count, sizeof(ch_table_t *), by_age);
}

/* Is a flush older than something below level 0? Only where a table that cannot be read was left
 * behind. */
static bool
flushes_are_newest(const ch_version_t *version)
{
    uint64_t below = 0;
    for (size_t i = 0; i < version->table_count; i++) {
        const ch_sstable_info_t *info = info_of(version->tables[i]);
        if (i >= version->lower_count && info->lsn_min <= below)
            return false;
        if (i < version->lower_count && info->lsn_max > below)
            below = info->lsn_max;
    }
    return true;
}

/* Tables that hang together in time are sorted by age; the others stay sorted by time. */
static void
sort_lower(ch_version_t *version)
{
    for (size_t from = 0, to; from < version->lower_count; from = to) {
        int64_t reach = info_of(version->tables[from])->time_max;
        for (to = from + 1;
             to < version->lower_count && info_of(version->tables[to])->time_min <= reach;
             to++)
            if (info_of(version->tables[to])->time_max > reach)
                reach = info_of(version->tables[to])->time_max;
        sort_by_age(&version->tables[from], to - from);
    }
}

static void
note_spans(ch_version_t *version)
{
    size_t count = version->lower_count;
    version->spans = ch_calloc(count + 1, sizeof *version->spans);
    for (size_t i = 0; i < count; i++) {
        int64_t reach = info_of(version->tables[i])->time_max;
        version->spans[i].reach = i && version->spans[i - 1].reach > reach
                                      ? version->spans[i - 1].reach
                                      : reach;
    }
    for (size_t i = count; i-- > 0;) {
        int64_t from = info_of(version->tables[i])->time_min;
        version->spans[i].from = i + 1 < count && version->spans[i + 1].from < from
                                     ? version->spans[i + 1].from
                                     : from;
    }
}

static void
sort_tables(ch_version_t *version)
{
    if (version->table_count)
        qsort(version->tables, version->table_count, sizeof(ch_table_t *), by_time);
    while (version->lower_count < version->table_count &&
           version->tables[version->lower_count]->level > 0)
        version->lower_count++;
    if (flushes_are_newest(version)) {
        sort_lower(version);
        sort_by_age(version->tables + version->lower_count,
                    version->table_count - version->lower_count);
    } else {
        version->lower_count = 0;
        sort_by_age(version->tables, version->table_count);
    }
    note_spans(version);
}

/* The first lower table that, or before which one, reaches `start`. */
static size_t
first_reaching(const ch_version_t *version, int64_t start)
{
    size_t low = 0, high = version->lower_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (version->spans[middle].reach < start)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t
ch_version_next(const ch_version_t *version, size_t at, int64_t start, int64_t end)
{
    bool unbounded = end == INT64_MAX;
    if (at == 0)
        at = first_reaching(version, start);
    for (; at < version->table_count; at++) {
        if (at < version->lower_count && version->spans[at].from >= end && !unbounded)
            at = version->lower_count; /* nothing from here on begins before the end */
        if (at == version->table_count)
            break;
        const ch_sstable_info_t *info = info_of(version->tables[at]);
        if (info->time_max >= start && (info->time_min < end || unbounded))
            return at;
    }
    return version->table_count;
}

/* ---- versions ---- */

static ch_tombstones_t *
prune(ch_tombstones_t *tombstones, const ch_version_t *version, uint64_t durable_lsn)
{
    if (!tombstones)
        return NULL;
    ch_tombstone_table_t *tables = ch_calloc(version->table_count + 1, sizeof *tables);
    for (size_t i = 0; i < version->table_count; i++) {
        const ch_sstable_info_t *info = ch_sstable_info(version->tables[i]->sstable);
        tables[i] = (ch_tombstone_table_t){version->tables[i]->erased_lsn, info->time_min,
                                           info->time_max};
    }
    ch_tombstones_t *kept = ch_tombstones_prune(
        tombstones, version->flushed_lsn, durable_lsn, tables, version->table_count);
    ch_free(tables);
    return kept;
}

ch_version_t *
ch_version_new(uint64_t flushed_lsn, ch_table_t *const *tables, size_t table_count,
               ch_shared_memtable_t *immutable, ch_shared_memtable_t *active,
               ch_tombstones_t *tombstones, uint64_t durable_lsn)
{
    ch_version_t *version = ch_calloc(1, sizeof *version);
    *version = (ch_version_t){.references = 1,
                              .flushed_lsn = flushed_lsn,
                              .table_count = table_count,
                              .tables = ch_calloc(table_count + 1, sizeof(ch_table_t *)),
                              .immutable = immutable,
                              .active = active};
    for (size_t i = 0; i < table_count; i++) {
        version->tables[i] = tables[i];
        version->keys_unknown += tables[i]->keys_unknown;
        version->flush_count += tables[i]->level == 0;
        retain(&tables[i]->references);
    }
    sort_tables(version);
    if (immutable)
        retain(&immutable->references);
    retain(&active->references);
    version->tombstones = prune(tombstones, version, durable_lsn);
    return version;
}

void
ch_version_retain(ch_version_t *version)
{
    retain(&version->references);
}

void
ch_version_release(ch_version_t **version)
{
    ch_version_t *released = ch_take(version);
    if (!released || !let_go(&released->references))
        return;
    for (size_t i = 0; i < released->table_count; i++)
        ch_table_release(&released->tables[i]);
    ch_free(released->tables);
    ch_free(released->spans);
    ch_shared_memtable_release(&released->immutable);
    ch_shared_memtable_release(&released->active);
    ch_tombstones_release(&released->tombstones);
    ch_free(released);
}
