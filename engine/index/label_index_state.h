/// The label index's insides, shared by its files and by nobody else: what it is made of, and the
/// writer's steps that loading needs too.
#ifndef CH_INDEX_LABEL_INDEX_STATE_H
#define CH_INDEX_LABEL_INDEX_STATE_H

#include <pthread.h>
#include <roaring/roaring.h>
#include <stdatomic.h>

#include "index/label_index.h"

#define NONE UINT32_MAX /* no such item */

enum {
    BITMAP_BYTES = 128, /* an estimate of a small Roaring bitmap */
    POSTING_BYTES = 2,  /* and of one more id in it */
};

/* Open addressing: the hash's low half above index + 1; the caller compares texts. */
typedef struct map {
    uint64_t *slots;
    uint64_t mask;
    uint32_t count;
} map_t;

/* 24 bytes: a churning fleet has more values than series. */
typedef struct value {
    const uint8_t *data; /* in a label text, or owned */
    uint32_t size : 31;
    uint32_t owned : 1;
    uint32_t label;
    uintptr_t link; /* odd: twice the only label set, and 1; even: a bitmap of them */
} value_t;

static inline ch_bytes_t
value_text(const value_t *value)
{
    return ch_bytes(value->data, value->size);
}

/* NULL: there is only one label set. */
static inline roaring_bitmap_t *
value_sets(const value_t *value)
{
    return value->link & 1 ? NULL : (roaring_bitmap_t *)value->link;
}

static inline uint32_t
value_single(const value_t *value)
{
    return (uint32_t)(value->link >> 1);
}

static inline uintptr_t
value_link_single(uint32_t labels_id)
{
    return (uintptr_t)labels_id << 1 | 1;
}

typedef struct label {
    ch_bytes_t name; /* in a label text, or owned when it was loaded */
    bool owned;
    uint32_t *values;
    uint32_t count, capacity;
    roaring_bitmap_t *sets;
} label_t;

typedef struct pair {
    uint32_t labels_id;
    uint32_t series;
} pair_t;

typedef struct name {
    ch_bytes_t text; /* NULL data: an id not seen yet */
    pair_t *pairs;
    uint32_t sorted; /* pairs[0, sorted) ascend by labels id; the rest is the tail */
    uint32_t count, capacity;
} name_t;

struct ch_label_index {
    pthread_rwlock_t lock; /* guards all below */
    map_t name_map, label_map, value_map;
    name_t *names; /* by name id */
    uint32_t name_count, name_capacity;
    label_t *labels;
    uint32_t label_count, label_capacity;
    value_t *values;
    uint32_t value_count, value_capacity;
    roaring_bitmap_t *sets; /* every label set */
    uint32_t series_count;
    _Atomic size_t bytes;
};

static inline void
ch_index_count_bytes(ch_label_index_t *index, size_t bytes)
{
    atomic_fetch_add_explicit(&index->bytes, bytes, memory_order_relaxed);
}

/// Numbers of a name, a label, a value, or NONE.
uint32_t ch_index_name_find(const ch_label_index_t *index, ch_bytes_t text);
uint32_t ch_index_label_find(const ch_label_index_t *index, ch_bytes_t name);
uint32_t ch_index_value_find(const ch_label_index_t *index, uint32_t label,
                             ch_bytes_t text);

roaring_bitmap_t *ch_index_bitmap_new(void);

/// A new label, without values.
uint32_t ch_index_label_add(ch_label_index_t *index, ch_bytes_t name);

/// Loading, with room reserved: each value; then all into the map at once.
void ch_index_value_append(ch_label_index_t *index, const value_t *value);
void ch_index_values_map(ch_label_index_t *index);

/// Loading: the series of a name; takes `pairs`.
void ch_index_name_set(ch_label_index_t *index, uint32_t name_id, ch_bytes_t text,
                       pair_t *pairs, uint32_t count, uint32_t sorted);

#endif
