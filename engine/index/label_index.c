/* label_index.c - label sets by label value, series by name; a selector joins the two.
 *
 * Shape       value  (label, text) -> posting: the ids of label sets that have it, a Roaring bitmap,
 *                    or the id itself while there is only one (most values of a churning fleet).
 *             label  its values, and the bitmap of all label sets that have it.
 *             name   (labels id, series id) pairs: sorted, plus a short tail of late comers.
 * Empty       A matcher that takes "" also takes label sets without the label: it cuts away those
 *             that have a value it refuses. A matcher that does not take "" is the union of the
 *             values it takes. So `a!="x"` costs one posting, not all but one.
 * Locks       Matching a regex against a million values takes long, and the writer must not wait for
 *             it: regexes are judged first, on slices of values copied out under the lock. Postings
 *             are then combined under one lock, so that all matchers speak of the same label sets;
 *             values that came in between are judged there.
 * Example     {job="api", host!~"db.*"}: posting(job, api) minus the union of posting(host, v) for
 *             all v that match db.*.
 */
#include "index/label_index_state.h"

#include <stdlib.h>

#include "ch/alloc.h"
#include "ch/assert.h"
#include "ch/checksum.h"
#include "ch/series_key.h"

enum {
    TAIL_MIN = 256, /* pairs out of order before they are merged in */
    MAP_AHEAD = 16, /* slots asked for before they are filled */
    GROW_SLOWLY = 4 << 20,
};

/* What an array grows to. Large ones are moved by the page tables, not copied, so they need not double. */
static uint32_t
grown_capacity(uint32_t capacity)
{
    if (capacity >= GROW_SLOWLY)
        return capacity + capacity / 8;
    return capacity ? capacity * 2 : 8;
}

/* Room for one more item in an array. */
static void *
grown(ch_label_index_t *index, void *items, uint32_t count, uint32_t *capacity,
      size_t size)
{
    if (count < *capacity)
        return items;
    uint32_t wanted = grown_capacity(*capacity);
    ch_index_count_bytes(index, (wanted - *capacity) * size);
    *capacity = wanted;
    return ch_realloc(items, wanted * size);
}

static void
map_put(map_t *map, uint64_t slot)
{
    uint64_t at = (slot >> 32) & map->mask;
    while (map->slots[at] != 0)
        at = (at + 1) & map->mask;
    map->slots[at] = slot;
}

/* Slots for `count` items. */
static void
map_reserve(ch_label_index_t *index, map_t *map, uint64_t count)
{
    uint64_t size = map->slots ? map->mask + 1 : 0, wanted = size ? size : 64;
    while (count * 4 > wanted * 3)
        wanted *= 2;
    if (wanted == size)
        return;
    map_t bigger = {.mask = wanted - 1, .count = map->count};
    bigger.slots = ch_calloc(wanted, sizeof *bigger.slots);
    for (uint64_t i = 0; i < size; i++) {
        if (map->slots[i] != 0)
            map_put(&bigger, map->slots[i]);
    }
    ch_index_count_bytes(index, (wanted - size) * sizeof *bigger.slots);
    ch_free(map->slots);
    *map = bigger;
}

static void
map_add(ch_label_index_t *index, map_t *map, uint64_t hash, uint32_t item)
{
    map_reserve(index, map, (uint64_t)map->count + 1);
    map_put(map, hash << 32 | (item + 1));
    map->count++;
}

/* The next item at or after *at whose hash fits, or NONE; *at then stands behind it. */
static uint32_t
map_next(const map_t *map, uint64_t hash, uint64_t *at)
{
    if (map->slots == NULL)
        return NONE;
    for (;; (*at)++) {
        uint64_t slot = map->slots[*at & map->mask];
        if (slot == 0)
            return NONE;
        if (slot >> 32 != (hash & UINT32_MAX))
            continue;
        (*at)++;
        return (uint32_t)slot - 1;
    }
}

static uint64_t
text_hash(ch_bytes_t text, uint32_t seed)
{
    return ch_hash64(text.data, text.size, seed);
}

uint32_t
ch_index_name_find(const ch_label_index_t *index, ch_bytes_t text)
{
    uint64_t hash = text_hash(text, 0), at = hash & UINT32_MAX;
    uint32_t item;
    while ((item = map_next(&index->name_map, hash, &at)) != NONE) {
        if (ch_bytes_equal(index->names[item].text, text))
            break;
    }
    return item;
}

uint32_t
ch_index_label_find(const ch_label_index_t *index, ch_bytes_t name)
{
    uint64_t hash = text_hash(name, 0), at = hash & UINT32_MAX;
    uint32_t item;
    while ((item = map_next(&index->label_map, hash, &at)) != NONE) {
        if (ch_bytes_equal(index->labels[item].name, name))
            break;
    }
    return item;
}

uint32_t
ch_index_value_find(const ch_label_index_t *index, uint32_t label, ch_bytes_t text)
{
    uint64_t hash = text_hash(text, label), at = hash & UINT32_MAX;
    uint32_t item;
    while ((item = map_next(&index->value_map, hash, &at)) != NONE) {
        if (index->values[item].label == label &&
            ch_bytes_equal(value_text(&index->values[item]), text))
            break;
    }
    return item;
}

roaring_bitmap_t *
ch_index_bitmap_new(void)
{
    roaring_bitmap_t *bitmap = roaring_bitmap_create();
    CH_ASSERT(bitmap != NULL); /* exhaustion aborts, as ch_alloc */
    return bitmap;
}

ch_label_index_t *
ch_label_index_new(void)
{
    ch_label_index_t *index = ch_calloc(1, sizeof *index);
    pthread_rwlockattr_t attributes;
    CH_ASSERT(pthread_rwlockattr_init(&attributes) == 0);
    /* Else many questions at once would starve the one writer. */
    pthread_rwlockattr_setkind_np(&attributes,
                                  PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    CH_ASSERT(pthread_rwlock_init(&index->lock, &attributes) == 0);
    pthread_rwlockattr_destroy(&attributes);
    index->sets = ch_index_bitmap_new();
    ch_index_count_bytes(index, sizeof *index + BITMAP_BYTES);
    return index;
}

void
ch_label_index_destroy(ch_label_index_t **index)
{
    ch_label_index_t *self = *index;
    if (self == NULL)
        return;
    for (uint32_t i = 0; i < self->name_count; i++)
        ch_free(self->names[i].pairs);
    for (uint32_t i = 0; i < self->label_count; i++) {
        ch_free(self->labels[i].values);
        if (self->labels[i].owned)
            ch_free((void *)(uintptr_t)self->labels[i].name.data);
        roaring_bitmap_free(self->labels[i].sets);
    }
    for (uint32_t i = 0; i < self->value_count; i++) {
        if (value_sets(&self->values[i]) != NULL)
            roaring_bitmap_free(value_sets(&self->values[i]));
        if (self->values[i].owned)
            ch_free((void *)(uintptr_t)self->values[i].data);
    }
    roaring_bitmap_free(self->sets);
    ch_free(self->names);
    ch_free(self->labels);
    ch_free(self->values);
    ch_free(self->name_map.slots);
    ch_free(self->label_map.slots);
    ch_free(self->value_map.slots);
    pthread_rwlock_destroy(&self->lock);
    ch_free(self);
    *index = NULL;
}

/* ---- the writer ---- */

uint32_t
ch_index_label_add(ch_label_index_t *index, ch_bytes_t name)
{
    uint32_t label = index->label_count++;
    index->labels =
        grown(index, index->labels, label, &index->label_capacity, sizeof *index->labels);
    index->labels[label] = (label_t){.name = name, .sets = ch_index_bitmap_new()};
    ch_index_count_bytes(index, BITMAP_BYTES);
    map_add(index, &index->label_map, text_hash(name, 0), label);
    return label;
}

static uint32_t
label_get(ch_label_index_t *index, ch_bytes_t name)
{
    uint32_t label = ch_index_label_find(index, name);
    return label != NONE ? label : ch_index_label_add(index, name);
}

/* The value is the next of its label. */
static void
label_list(ch_label_index_t *index, uint32_t label, uint32_t item)
{
    label_t *of = &index->labels[label];
    of->values = grown(index, of->values, of->count, &of->capacity, sizeof *of->values);
    of->values[of->count++] = item;
}

/* A new value with one label set. `home` is the text that lives as long as the index. */
static void
value_add(ch_label_index_t *index, uint32_t label, ch_bytes_t text, ch_bytes_t home,
          uint32_t labels_id)
{
    uint32_t item = index->value_count++;
    index->values =
        grown(index, index->values, item, &index->value_capacity, sizeof *index->values);
    uintptr_t from = (uintptr_t)home.data, at = (uintptr_t)text.data;
    value_t value = {.data = text.data,
                     .size = (uint32_t)text.size & INT32_MAX,
                     .owned = at < from || at >= from + home.size,
                     .label = label,
                     .link = value_link_single(labels_id)};
    if (value.owned) {
        uint8_t *copy = ch_alloc(text.size + 1);
        memcpy(copy, text.data, text.size);
        value.data = copy;
        ch_index_count_bytes(index, text.size + 1);
    }
    index->values[item] = value;
    map_add(index, &index->value_map, text_hash(text, label), item);
    label_list(index, label, item);
}

static void
value_post(ch_label_index_t *index, value_t *value, uint32_t labels_id)
{
    if (value_sets(value) == NULL) {
        roaring_bitmap_t *sets = ch_index_bitmap_new();
        roaring_bitmap_add(sets, value_single(value));
        value->link = (uintptr_t)sets;
        ch_index_count_bytes(index, BITMAP_BYTES);
    }
    roaring_bitmap_add(value_sets(value), labels_id);
    ch_index_count_bytes(index, POSTING_BYTES);
}

static void
add_label_set(ch_label_index_t *index, uint32_t labels_id, ch_bytes_t labels)
{
    ch_text_t scratch = {0};
    ch_label_t label;
    size_t cursor = 0;
    while (ch_series_labels_next(labels, &cursor, &scratch, &label) == CH_OK) {
        uint32_t of = label_get(index, label.name);
        uint32_t value = ch_index_value_find(index, of, label.value);
        if (value == NONE)
            value_add(index, of, label.value, labels, labels_id);
        else
            value_post(index, &index->values[value], labels_id);
        roaring_bitmap_add(index->labels[of].sets, labels_id);
        ch_index_count_bytes(index, POSTING_BYTES);
        ch_text_reset(&scratch);
    }
    ch_text_release(&scratch);
    roaring_bitmap_add(index->sets, labels_id);
}

static name_t *
name_get(ch_label_index_t *index, uint32_t name_id, ch_bytes_t text)
{
    while (name_id >= index->name_count) {
        index->names = grown(index, index->names, index->name_count,
                             &index->name_capacity, sizeof *index->names);
        index->names[index->name_count++] = (name_t){0};
    }
    name_t *name = &index->names[name_id];
    if (name->text.data == NULL) {
        name->text = text;
        map_add(index, &index->name_map, text_hash(text, 0), name_id);
    }
    return name;
}

static int
compare_pairs(const void *a, const void *b)
{
    uint32_t left = ((const pair_t *)a)->labels_id,
             right = ((const pair_t *)b)->labels_id;
    return (left > right) - (left < right);
}

static void
add_pair(ch_label_index_t *index, name_t *name, pair_t pair)
{
    name->pairs =
        grown(index, name->pairs, name->count, &name->capacity, sizeof *name->pairs);
    bool ordered =
        name->sorted == name->count &&
        (name->count == 0 || name->pairs[name->count - 1].labels_id < pair.labels_id);
    name->pairs[name->count++] = pair;
    name->sorted += ordered;
    index->series_count++;
    uint32_t tail = name->count - name->sorted;
    if (tail > TAIL_MIN && tail > name->count / 16) {
        qsort(name->pairs, name->count, sizeof *name->pairs, compare_pairs);
        name->sorted = name->count;
    }
}

void
ch_label_index_add(ch_label_index_t *index, uint32_t series, uint32_t name_id,
                   ch_bytes_t name, uint32_t labels_id, ch_bytes_t labels)
{
    CH_ASSERT(pthread_rwlock_wrlock(&index->lock) == 0);
    if (!roaring_bitmap_contains(index->sets, labels_id))
        add_label_set(index, labels_id, labels);
    add_pair(index, name_get(index, name_id, name), (pair_t){labels_id, series});
    pthread_rwlock_unlock(&index->lock);
}

/* Only the writer changes these, and it is the one who asks. */
size_t
ch_label_index_growth(const ch_label_index_t *index, uint64_t more)
{
    uint64_t size = index->value_map.mask + 1, wanted = size;
    while ((index->value_map.count + more) * 4 > wanted * 3)
        wanted *= 2;
    size_t growth = wanted > size ? wanted * sizeof *index->value_map.slots : 0;
    if (index->value_count + more > index->value_capacity)
        growth += (grown_capacity(index->value_capacity) - index->value_capacity) *
                  sizeof *index->values;
    return growth;
}

size_t
ch_label_index_bytes(const ch_label_index_t *index)
{
    return atomic_load_explicit(&index->bytes, memory_order_relaxed);
}

/* ---- loading ---- */

void
ch_label_index_reserve(ch_label_index_t *index, uint32_t values)
{
    if (values <= index->value_capacity)
        return;
    index->values = ch_realloc(index->values, (size_t)values * sizeof *index->values);
    ch_index_count_bytes(index, (values - index->value_capacity) * sizeof *index->values);
    index->value_capacity = values;
    map_reserve(index, &index->value_map, values);
}

void
ch_label_index_touch(const ch_label_index_t *index)
{
    if (index->value_capacity == 0)
        return;
    ch_touch(index->value_map.slots,
             (index->value_map.mask + 1) * sizeof *index->value_map.slots);
    ch_touch(index->values, index->value_capacity * sizeof *index->values);
}

void
ch_index_value_append(ch_label_index_t *index, const value_t *value)
{
    uint32_t item = index->value_count++;
    CH_ASSERT(item < index->value_capacity);
    index->values[item] = *value;
    if (value->owned)
        ch_index_count_bytes(index, value->size + 1);
    label_list(index, value->label, item);
}

/* Each slot is a cache miss: they are asked for some time ahead. */
void
ch_index_values_map(ch_label_index_t *index)
{
    map_t *map = &index->value_map;
    uint64_t ahead[MAP_AHEAD], count = index->value_count;
    for (uint64_t i = 0; i < count + MAP_AHEAD; i++) {
        if (i >= MAP_AHEAD && i - MAP_AHEAD < count)
            map_put(map, ahead[i % MAP_AHEAD]);
        if (i >= count)
            continue;
        const value_t *value = &index->values[i];
        uint64_t slot = text_hash(value_text(value), value->label) << 32 | (i + 1);
        __builtin_prefetch(&map->slots[(slot >> 32) & map->mask], 1);
        ahead[i % MAP_AHEAD] = slot;
    }
    map->count = index->value_count;
}

void
ch_index_name_set(ch_label_index_t *index, uint32_t name_id, ch_bytes_t text,
                  pair_t *pairs, uint32_t count, uint32_t sorted)
{
    if (count == 0) {
        ch_free(pairs);
        return;
    }
    name_t *name = name_get(index, name_id, text);
    CH_ASSERT(name->count == 0);
    name->pairs = pairs;
    name->count = name->capacity = count;
    name->sorted = sorted;
    index->series_count += count;
    ch_index_count_bytes(index, count * sizeof *pairs);
}
