/* memtable.c - series ids to append columns, and blocks of batches into them.
 *
 * Directory   root -> leaf (256 ids) -> column. Leaves and columns never move. A root that is too
 *             small is copied into one of twice the size; readers that still hold the old root see
 *             every series that existed when they loaded it, and old roots live as long as the
 *             memtable. (They are at most as big again as the newest.)
 * Visibility  A reader brings the durable lsn it loaded: everything applied up to there was
 *             published before that lsn was, so it finds it; what is newer is cut off by runs.
 * Speed       The ids of a block's cells are known ahead: columns and their next slots are
 *             prefetched, else every point of 100 k series waits for memory several times.
 */
#include "mem/memtable.h"

#include "ch/alloc.h"
#include "ch/assert.h"
#include "mem/append_column.h"
#include "mem/arena.h"

enum {
    LEAF_SERIES = 256,
    ROOT_LEAVES_FIRST = 64,
    PREFETCH_COLUMN = 16, /* cells ahead */
    PREFETCH_SLOT = 8,
};

typedef struct leaf {
    ch_append_column_t *_Atomic columns[LEAF_SERIES];
} leaf_t;

typedef struct root {
    struct root *older;
    size_t capacity;
    leaf_t *_Atomic leaves[];
} root_t;

struct ch_memtable {
    ch_arena_t arena; /* the writer's, but for its byte count */
    uint64_t lsn_base;
    root_t *_Atomic root;
    _Atomic size_t root_bytes;
    _Atomic uint64_t points;
    _Atomic uint64_t lsn_first;
    _Atomic uint64_t lsn_last;
    _Atomic uint32_t series_count;
};

static root_t *
root_new(ch_memtable_t *memtable, size_t capacity, root_t *older)
{
    size_t size = sizeof(root_t) + capacity * sizeof(leaf_t *);
    root_t *root = ch_calloc(1, size);
    root->older = older;
    root->capacity = capacity;
    for (size_t i = 0; older != NULL && i < older->capacity; i++)
        atomic_init(&root->leaves[i],
                    atomic_load_explicit(&older->leaves[i], memory_order_relaxed));
    atomic_fetch_add_explicit(&memtable->root_bytes, size, memory_order_relaxed);
    atomic_store_explicit(&memtable->root, root, memory_order_release);
    return root;
}

ch_memtable_t *
ch_memtable_new(ch_arena_pool_t *pool, uint64_t lsn_base)
{
    ch_memtable_t *memtable = ch_calloc(1, sizeof *memtable);
    ch_arena_init(&memtable->arena, pool);
    memtable->lsn_base = lsn_base;
    root_new(memtable, ROOT_LEAVES_FIRST, NULL);
    return memtable;
}

void
ch_memtable_destroy(ch_memtable_t **memtable)
{
    ch_memtable_t *self = *memtable;
    if (self == NULL)
        return;
    ch_arena_release(&self->arena);
    root_t *root = atomic_load_explicit(&self->root, memory_order_relaxed);
    while (root != NULL) {
        root_t *older = root->older;
        ch_free(root);
        root = older;
    }
    ch_free(self);
    *memtable = NULL;
}

/* NULL when the series has no points here. Any thread. */
static inline ch_append_column_t *
column_find(const ch_memtable_t *memtable, uint32_t series)
{
    const root_t *root = atomic_load_explicit(&memtable->root, memory_order_acquire);
    size_t index = series / LEAF_SERIES;
    if (index >= root->capacity)
        return NULL;
    const leaf_t *leaf = atomic_load_explicit(&root->leaves[index], memory_order_acquire);
    if (leaf == NULL)
        return NULL;
    return atomic_load_explicit(&leaf->columns[series % LEAF_SERIES],
                                memory_order_acquire);
}

static leaf_t *
leaf_make(ch_memtable_t *memtable, size_t index)
{
    root_t *root = atomic_load_explicit(&memtable->root, memory_order_relaxed);
    if (index >= root->capacity) {
        size_t capacity = root->capacity;
        while (capacity <= index)
            capacity *= 2;
        root = root_new(memtable, capacity, root);
    }
    leaf_t *leaf = atomic_load_explicit(&root->leaves[index], memory_order_relaxed);
    if (leaf != NULL)
        return leaf;
    leaf = ch_arena_alloc(&memtable->arena, sizeof *leaf, 64);
    for (size_t i = 0; i < LEAF_SERIES; i++)
        atomic_init(&leaf->columns[i], NULL);
    atomic_store_explicit(&root->leaves[index], leaf, memory_order_release);
    return leaf;
}

static __attribute__((noinline)) ch_append_column_t *
column_make(ch_memtable_t *memtable, uint32_t series)
{
    CH_ASSERT(series != UINT32_MAX);
    leaf_t *leaf = leaf_make(memtable, series / LEAF_SERIES);
    ch_append_column_t *column = ch_arena_alloc(&memtable->arena, sizeof *column, 64);
    memset(column, 0, sizeof *column);
    column->type = CH_VALUE_NONE;
    atomic_store_explicit(&leaf->columns[series % LEAF_SERIES], column,
                          memory_order_release);
    atomic_fetch_add_explicit(&memtable->series_count, 1, memory_order_relaxed);
    return column;
}

static inline ch_append_column_t *
column_get(ch_memtable_t *memtable, uint32_t series)
{
    ch_append_column_t *column = column_find(memtable, series);
    return column != NULL ? column : column_make(memtable, series);
}

static inline void
prefetch_cells(const ch_memtable_t *memtable, const uint32_t *series, size_t at,
               size_t cells)
{
    if (at + PREFETCH_COLUMN >= cells)
        return;
    const ch_append_column_t *far = column_find(memtable, series[at + PREFETCH_COLUMN]);
    __builtin_prefetch(far, 1);
    const ch_append_column_t *near = column_find(memtable, series[at + PREFETCH_SLOT]);
    if (near != NULL)
        ch_append_column_prefetch(near);
}

/* Returns 1, or 0 for a cell without a value. */
static inline uint64_t
apply_cell(ch_memtable_t *memtable, const ch_values_t *values, uint32_t row,
           uint32_t series, uint32_t lsn, int64_t time)
{
    ch_arena_t *arena = &memtable->arena;
    switch (values->form) {
    case CH_VALUES_I64:
    case CH_VALUES_F64:
        ch_append_column_word(column_get(memtable, series), arena, lsn, time,
                              values->form == CH_VALUES_I64 ? CH_VALUE_INT
                                                            : CH_VALUE_FLOAT,
                              ch_load_u64(values->packed + (size_t)row * 8));
        return 1;
    case CH_VALUES_LIST:
        break;
    }
    if (values->list[row].type == CH_VALUE_NONE)
        return 0;
    ch_append_column_value(column_get(memtable, series), arena, lsn, time,
                           values->list[row]);
    return 1;
}

/* TABLE, and POINTS as a table of one field whose rows differ in name too. Row by row: positions
 * decide which of two equal times wins. */
static uint64_t
apply_cells(ch_memtable_t *memtable, const ch_batch_block_t *block,
            const uint32_t *series, uint32_t lsn)
{
    uint32_t fields = block->kind == CH_BLOCK_TABLE ? block->fields : 1;
    size_t cells = (size_t)block->rows * fields;
    size_t at = 0;
    uint64_t points = 0;
    for (uint32_t row = 0; row < block->rows; row++) {
        int64_t time = ch_times_at(&block->times, row);
        for (uint32_t field = 0; field < fields; field++, at++) {
            prefetch_cells(memtable, series, at, cells);
            points +=
                apply_cell(memtable, &block->values[field], row, series[at], lsn, time);
        }
    }
    return points;
}

static uint64_t
apply_series(ch_memtable_t *memtable, const ch_batch_block_t *block, uint32_t series,
             uint32_t lsn)
{
    const ch_values_t *values = &block->values[0];
    if (values->form != CH_VALUES_LIST) {
        if (block->rows > 0)
            ch_append_column_bulk(column_get(memtable, series), &memtable->arena, lsn,
                                  &block->times, values, block->rows);
        return block->rows;
    }
    uint64_t points = 0;
    for (uint32_t row = 0; row < block->rows; row++) {
        int64_t time = ch_times_at(&block->times, row);
        points += apply_cell(memtable, values, row, series, lsn, time);
    }
    return points;
}

void
ch_memtable_apply(ch_memtable_t *memtable, const ch_batch_block_t *block,
                  const uint32_t *series, uint64_t lsn)
{
    CH_ASSERT(lsn >= memtable->lsn_base);
    CH_ASSERT(lsn - memtable->lsn_base <= UINT32_MAX);
    CH_ASSERT(lsn >= ch_memtable_lsn_last(memtable));
    uint32_t offset = (uint32_t)(lsn - memtable->lsn_base);
    uint64_t applied = block->kind == CH_BLOCK_SERIES
                           ? apply_series(memtable, block, series[0], offset)
                           : apply_cells(memtable, block, series, offset);
    uint64_t points = ch_memtable_points(memtable);
    if (applied == 0)
        return;
    if (points == 0)
        atomic_store_explicit(&memtable->lsn_first, lsn, memory_order_relaxed);
    atomic_store_explicit(&memtable->lsn_last, lsn, memory_order_relaxed);
    atomic_store_explicit(&memtable->points, points + applied, memory_order_relaxed);
}

size_t
ch_memtable_bytes(const ch_memtable_t *memtable)
{
    return ch_arena_bytes(&memtable->arena) +
           atomic_load_explicit(&memtable->root_bytes, memory_order_relaxed);
}

uint64_t
ch_memtable_points(const ch_memtable_t *memtable)
{
    return atomic_load_explicit(&memtable->points, memory_order_relaxed);
}

uint64_t
ch_memtable_lsn_first(const ch_memtable_t *memtable)
{
    return atomic_load_explicit(&memtable->lsn_first, memory_order_relaxed);
}

uint64_t
ch_memtable_lsn_last(const ch_memtable_t *memtable)
{
    return atomic_load_explicit(&memtable->lsn_last, memory_order_relaxed);
}

static bool
series_cut(const ch_memtable_t *memtable, uint32_t series, uint64_t lsn_max,
           ch_append_cut_t *cut_out)
{
    const ch_append_column_t *column = column_find(memtable, series);
    if (column == NULL || lsn_max < memtable->lsn_base)
        return false;
    uint64_t offset = lsn_max - memtable->lsn_base;
    return ch_append_column_cut(
        column, offset > UINT32_MAX ? UINT32_MAX : (uint32_t)offset, cut_out);
}

int64_t
ch_memtable_read_first(const ch_memtable_t *memtable, uint32_t series, uint64_t lsn_max,
                       int64_t start, int64_t end, size_t points_max, ch_points_t *points)
{
    ch_append_cut_t cut;
    if (end == INT64_MIN || !series_cut(memtable, series, lsn_max, &cut) ||
        ch_append_cut_read(&cut, start, end == INT64_MAX ? end : end - 1, NULL,
                           points_max, points))
        return end;
    int64_t last = points->times[points->count - 1];
    return last < INT64_MAX ? last + 1 : end;
}

void
ch_memtable_read_erased(const ch_memtable_t *memtable, uint32_t series, uint64_t lsn_max,
                        int64_t start, int64_t end, const ch_erasure_t *erasures,
                        size_t count, ch_points_t *points)
{
    ch_append_cut_t cut;
    if (end == INT64_MIN || !series_cut(memtable, series, lsn_max, &cut))
        return;
    ch_append_erasures_t hidden = {erasures, count, memtable->lsn_base};
    (void)ch_append_cut_read(&cut, start, end == INT64_MAX ? end : end - 1,
                             count ? &hidden : NULL, SIZE_MAX, points);
}

void
ch_memtable_prefetch(const ch_memtable_t *memtable, uint32_t soon, uint32_t later)
{
    const root_t *root = atomic_load_explicit(&memtable->root, memory_order_acquire);
    const ch_append_column_t *column = column_find(memtable, soon);
    size_t index = later / LEAF_SERIES;
    const leaf_t *leaf =
        index < root->capacity
            ? atomic_load_explicit(&root->leaves[index], memory_order_acquire)
            : NULL;
    if (leaf != NULL)
        __builtin_prefetch(&leaf->columns[later % LEAF_SERIES]);
    if (column != NULL)
        __builtin_prefetch(column);
}

void
ch_memtable_read(const ch_memtable_t *memtable, uint32_t series, uint64_t lsn_max,
                 int64_t start, int64_t end, ch_points_t *points)
{
    ch_memtable_read_erased(memtable, series, lsn_max, start, end, NULL, 0, points);
}

ch_status_t
ch_memtable_newest_erased(const ch_memtable_t *memtable, uint32_t series,
                          uint64_t lsn_max, int64_t time, const ch_erasure_t *erasures,
                          size_t count, int64_t *time_out, ch_value_t *value_out)
{
    ch_append_cut_t cut;
    if (!series_cut(memtable, series, lsn_max, &cut))
        return CH_NOT_FOUND;
    ch_append_erasures_t hidden = {erasures, count, memtable->lsn_base};
    return ch_append_cut_newest(&cut, time, count ? &hidden : NULL, time_out, value_out);
}

ch_status_t
ch_memtable_newest(const ch_memtable_t *memtable, uint32_t series, uint64_t lsn_max,
                   int64_t time, int64_t *time_out, ch_value_t *value_out)
{
    return ch_memtable_newest_erased(memtable, series, lsn_max, time, NULL, 0, time_out,
                                     value_out);
}

bool
ch_memtable_time_range(const ch_memtable_t *memtable, uint32_t series, int64_t *min_out,
                       int64_t *max_out)
{
    const ch_append_column_t *column = column_find(memtable, series);
    if (column == NULL ||
        atomic_load_explicit(&column->published, memory_order_acquire) == 0)
        return false;
    *min_out = atomic_load_explicit(&column->time_min, memory_order_relaxed);
    *max_out = atomic_load_explicit(&column->time_max, memory_order_relaxed);
    return true;
}

uint32_t
ch_memtable_series_count(const ch_memtable_t *memtable)
{
    return atomic_load_explicit(&memtable->series_count, memory_order_relaxed);
}

void
ch_memtable_visit(const ch_memtable_t *memtable,
                  void (*visit)(void *context, uint32_t series), void *context)
{
    const root_t *root = atomic_load_explicit(&memtable->root, memory_order_acquire);
    for (size_t i = 0; i < root->capacity; i++) {
        const leaf_t *leaf = atomic_load_explicit(&root->leaves[i], memory_order_acquire);
        for (size_t j = 0; leaf != NULL && j < LEAF_SERIES; j++) {
            if (atomic_load_explicit(&leaf->columns[j], memory_order_acquire) != NULL)
                visit(context, (uint32_t)(i * LEAF_SERIES + j));
        }
    }
}

static void
list_series(void *context, uint32_t series)
{
    uint32_t **at = context;
    *(*at)++ = series;
}

void
ch_memtable_series(const ch_memtable_t *memtable, uint32_t *series_out)
{
    uint32_t *at = series_out;
    ch_memtable_visit(memtable, list_series, &at);
    CH_ASSERT((size_t)(at - series_out) == ch_memtable_series_count(memtable));
}
