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
#include "index/label_index.h"

#include <pthread.h>
#include <roaring/roaring.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "ch/alloc.h"
#include "ch/assert.h"
#include "ch/checksum.h"
#include "ch/series_key.h"

#define NONE UINT32_MAX /* no such item */

enum {
    SLICE = 256,        /* values judged between two looks at the index */
    TAIL_MIN = 256,     /* pairs out of order before they are merged in */
    BITMAP_BYTES = 128, /* an estimate of a small Roaring bitmap */
    POSTING_BYTES = 2,  /* and of one more id in it */
};

/* Open addressing: the hash's low half above index + 1; the caller compares texts. */
typedef struct map {
    uint64_t *slots;
    uint64_t mask;
    uint32_t count;
} map_t;

typedef struct value {
    ch_bytes_t text; /* in the label text, or owned when it had escapes */
    uint32_t label;
    uint32_t single; /* the only label set, while `sets` is NULL */
    roaring_bitmap_t *sets;
    bool owned;
} value_t;

typedef struct label {
    ch_bytes_t name;
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
    _Atomic size_t bytes;
};

static void
count_bytes(ch_label_index_t *index, size_t bytes)
{
    atomic_fetch_add_explicit(&index->bytes, bytes, memory_order_relaxed);
}

/* Room for one more item in an array that doubles. */
static void *
grown(ch_label_index_t *index, void *items, uint32_t count, uint32_t *capacity,
      size_t size)
{
    if (count < *capacity)
        return items;
    uint32_t wanted = *capacity ? *capacity * 2 : 8;
    count_bytes(index, (wanted - *capacity) * size);
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

static void
map_add(ch_label_index_t *index, map_t *map, uint64_t hash, uint32_t item)
{
    uint64_t size = map->slots ? map->mask + 1 : 0;
    if ((uint64_t)map->count * 4 >= size * 3) {
        map_t bigger = {.mask = size ? size * 2 - 1 : 63, .count = map->count};
        bigger.slots = ch_calloc(bigger.mask + 1, sizeof *bigger.slots);
        for (uint64_t i = 0; i < size; i++) {
            if (map->slots[i] != 0)
                map_put(&bigger, map->slots[i]);
        }
        count_bytes(index, (bigger.mask + 1 - size) * sizeof *bigger.slots);
        ch_free(map->slots);
        *map = bigger;
    }
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

static uint32_t
name_find(const ch_label_index_t *index, ch_bytes_t text)
{
    uint64_t hash = text_hash(text, 0), at = hash & UINT32_MAX;
    uint32_t item;
    while ((item = map_next(&index->name_map, hash, &at)) != NONE) {
        if (ch_bytes_equal(index->names[item].text, text))
            break;
    }
    return item;
}

static uint32_t
label_find(const ch_label_index_t *index, ch_bytes_t name)
{
    uint64_t hash = text_hash(name, 0), at = hash & UINT32_MAX;
    uint32_t item;
    while ((item = map_next(&index->label_map, hash, &at)) != NONE) {
        if (ch_bytes_equal(index->labels[item].name, name))
            break;
    }
    return item;
}

static uint32_t
value_find(const ch_label_index_t *index, uint32_t label, ch_bytes_t text)
{
    uint64_t hash = text_hash(text, label), at = hash & UINT32_MAX;
    uint32_t item;
    while ((item = map_next(&index->value_map, hash, &at)) != NONE) {
        if (index->values[item].label == label &&
            ch_bytes_equal(index->values[item].text, text))
            break;
    }
    return item;
}

static roaring_bitmap_t *
bitmap_new(void)
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
    index->sets = bitmap_new();
    count_bytes(index, sizeof *index + BITMAP_BYTES);
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
        roaring_bitmap_free(self->labels[i].sets);
    }
    for (uint32_t i = 0; i < self->value_count; i++) {
        if (self->values[i].sets != NULL)
            roaring_bitmap_free(self->values[i].sets);
        if (self->values[i].owned)
            ch_free((void *)(uintptr_t)self->values[i].text.data);
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

static uint32_t
label_get(ch_label_index_t *index, ch_bytes_t name)
{
    uint32_t label = label_find(index, name);
    if (label != NONE)
        return label;
    label = index->label_count++;
    index->labels =
        grown(index, index->labels, label, &index->label_capacity, sizeof *index->labels);
    index->labels[label] = (label_t){.name = name, .sets = bitmap_new()};
    count_bytes(index, BITMAP_BYTES);
    map_add(index, &index->label_map, text_hash(name, 0), label);
    return label;
}

/* A new value with one label set. `home` is the text that lives as long as the index. */
static void
value_add(ch_label_index_t *index, uint32_t label, ch_bytes_t text, ch_bytes_t home,
          uint32_t labels_id)
{
    uint32_t item = index->value_count++;
    index->values =
        grown(index, index->values, item, &index->value_capacity, sizeof *index->values);
    value_t value = {.text = text, .label = label, .single = labels_id};
    uintptr_t from = (uintptr_t)home.data, at = (uintptr_t)text.data;
    value.owned = at < from || at >= from + home.size;
    if (value.owned) {
        uint8_t *copy = ch_alloc(text.size + 1);
        memcpy(copy, text.data, text.size);
        value.text.data = copy;
        count_bytes(index, text.size + 1);
    }
    index->values[item] = value;
    map_add(index, &index->value_map, text_hash(text, label), item);
    label_t *of = &index->labels[label];
    of->values = grown(index, of->values, of->count, &of->capacity, sizeof *of->values);
    of->values[of->count++] = item;
}

static void
value_post(ch_label_index_t *index, value_t *value, uint32_t labels_id)
{
    if (value->sets == NULL) {
        value->sets = bitmap_new();
        roaring_bitmap_add(value->sets, value->single);
        count_bytes(index, BITMAP_BYTES);
    }
    roaring_bitmap_add(value->sets, labels_id);
    count_bytes(index, POSTING_BYTES);
}

static void
add_label_set(ch_label_index_t *index, uint32_t labels_id, ch_bytes_t labels)
{
    ch_text_t scratch = {0};
    ch_label_t label;
    size_t cursor = 0;
    while (ch_series_labels_next(labels, &cursor, &scratch, &label) == CH_OK) {
        uint32_t of = label_get(index, label.name);
        uint32_t value = value_find(index, of, label.value);
        if (value == NONE)
            value_add(index, of, label.value, labels, labels_id);
        else
            value_post(index, &index->values[value], labels_id);
        roaring_bitmap_add(index->labels[of].sets, labels_id);
        count_bytes(index, POSTING_BYTES);
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

size_t
ch_label_index_bytes(const ch_label_index_t *index)
{
    return atomic_load_explicit(&index->bytes, memory_order_relaxed);
}

/* ---- questions ---- */

/* A matcher, and what it said of the first `judged` values of its label (or of the names). */
typedef struct question {
    const ch_matcher_t *matcher;
    bool of_name;
    bool takes_empty;
    uint8_t *verdicts;
    uint32_t judged;
} question_t;

/* Copies up to SLICE texts that the question is about, from number `from` on. */
static uint32_t
copy_texts(ch_label_index_t *index, const question_t *question, uint32_t from,
           ch_bytes_t texts[SLICE])
{
    uint32_t count = 0;
    CH_ASSERT(pthread_rwlock_rdlock(&index->lock) == 0);
    if (question->of_name) {
        for (; count < SLICE && from + count < index->name_count; count++)
            texts[count] = index->names[from + count].text;
    } else {
        uint32_t label = label_find(index, question->matcher->label);
        const label_t *of = label == NONE ? NULL : &index->labels[label];
        for (; of != NULL && count < SLICE && from + count < of->count; count++)
            texts[count] = index->values[of->values[from + count]].text;
    }
    pthread_rwlock_unlock(&index->lock);
    return count;
}

/* Without the lock: judge all values that there are. Only regexes are worth it. */
static ch_status_t
judge(ch_label_index_t *index, question_t *question)
{
    ch_bytes_t texts[SLICE];
    uint32_t count;
    if (question->matcher->kind != CH_MATCH_RE && question->matcher->kind != CH_MATCH_NRE)
        return CH_OK;
    while ((count = copy_texts(index, question, question->judged, texts)) > 0) {
        question->verdicts = ch_realloc(question->verdicts, question->judged + count);
        for (uint32_t i = 0; i < count; i++) {
            int verdict = ch_matcher_accepts(question->matcher, texts[i]);
            if (verdict < 0)
                return (ch_status_t)verdict;
            question->verdicts[question->judged++] = (uint8_t)verdict;
        }
    }
    return CH_OK;
}

static int
verdict_of(const question_t *question, uint32_t number, ch_bytes_t text)
{
    return number < question->judged ? question->verdicts[number]
                                     : ch_matcher_accepts(question->matcher, text);
}

/* Bitmaps and single ids to be united. */
typedef struct gathering {
    const roaring_bitmap_t **bitmaps;
    uint32_t *singles;
    size_t bitmap_count, single_count;
} gathering_t;

static void
gather(gathering_t *gathering, const value_t *value)
{
    if (value->sets != NULL)
        gathering->bitmaps[gathering->bitmap_count++] = value->sets;
    else
        gathering->singles[gathering->single_count++] = value->single;
}

static roaring_bitmap_t *
unite(gathering_t *gathering)
{
    roaring_bitmap_t *all =
        gathering->bitmap_count > 0
            ? roaring_bitmap_or_many(gathering->bitmap_count, gathering->bitmaps)
            : bitmap_new();
    CH_ASSERT(all != NULL);
    if (gathering->single_count > 0)
        roaring_bitmap_add_many(all, gathering->single_count, gathering->singles);
    return all;
}

/* Locked: label sets with a value that the question takes (`taken`) or refuses. */
static ch_status_t
sets_by_verdict(const ch_label_index_t *index, const question_t *question,
                const label_t *label, bool taken, roaring_bitmap_t **sets_out)
{
    ch_status_t status = CH_OK;
    gathering_t gathering = {
        .bitmaps = ch_alloc((label->count + 1) * sizeof *gathering.bitmaps),
        .singles = ch_alloc((label->count + 1) * sizeof *gathering.singles),
    };
    for (uint32_t i = 0; i < label->count && status >= 0; i++) {
        const value_t *value = &index->values[label->values[i]];
        int verdict = verdict_of(question, i, value->text);
        if (verdict < 0)
            status = (ch_status_t)verdict;
        else if ((verdict == 1) == taken)
            gather(&gathering, value);
    }
    if (status >= 0)
        *sets_out = unite(&gathering);
    ch_free(gathering.bitmaps);
    ch_free(gathering.singles);
    return status;
}

/* Locked: label sets that the question is about: those it takes, or, when it takes the empty
 * string, those it refuses. */
static ch_status_t
question_sets(const ch_label_index_t *index, const question_t *question,
              roaring_bitmap_t **sets_out)
{
    const ch_matcher_t *matcher = question->matcher;
    bool exact = matcher->kind == CH_MATCH_EQ || matcher->kind == CH_MATCH_NE;
    uint32_t found = label_find(index, matcher->label);
    if (found == NONE) {
        *sets_out = bitmap_new();
        return CH_OK;
    }
    const label_t *label = &index->labels[found];
    if (!exact)
        return sets_by_verdict(index, question, label, !question->takes_empty, sets_out);
    if (matcher->value.size == 0) { /* ="" refuses, !="" takes whatever has the label */
        *sets_out = roaring_bitmap_copy(label->sets);
        CH_ASSERT(*sets_out != NULL);
        return CH_OK;
    }
    uint32_t value = value_find(index, found, matcher->value);
    gathering_t one = {.bitmaps = (const roaring_bitmap_t *[1]){NULL},
                       .singles = (uint32_t[1]){0}};
    if (value != NONE)
        gather(&one, &index->values[value]);
    *sets_out = unite(&one);
    return CH_OK;
}

/* Locked: narrow *sets (NULL: all of them) by the questions that do, or do not, take "". */
static ch_status_t
narrow_sets(const ch_label_index_t *index, const question_t *questions, uint32_t count,
            bool takes_empty, roaring_bitmap_t **sets)
{
    for (uint32_t i = 0; i < count; i++) {
        const question_t *question = &questions[i];
        if (question->of_name || question->takes_empty != takes_empty)
            continue;
        roaring_bitmap_t *other;
        ch_status_t status = question_sets(index, question, &other);
        if (status < 0)
            return status;
        if (*sets == NULL && !takes_empty) {
            *sets = other;
            continue;
        }
        if (*sets == NULL)
            *sets = roaring_bitmap_copy(index->sets);
        CH_ASSERT(*sets != NULL);
        if (takes_empty)
            roaring_bitmap_andnot_inplace(*sets, other);
        else
            roaring_bitmap_and_inplace(*sets, other);
        roaring_bitmap_free(other);
    }
    return CH_OK;
}

/* ---- the join ---- */

typedef struct join {
    const roaring_bitmap_t *sets; /* NULL: all */
    uint64_t set_count;
    size_t series_max;
    ch_series_ids_t ids;
} join_t;

static ch_status_t
take(join_t *join, uint32_t series)
{
    ch_series_ids_t *ids = &join->ids;
    if (ids->count == join->series_max)
        return ch_fail(CH_ERR_LIMIT, "more than %zu series match; narrow the selector",
                       join->series_max);
    if (ids->count == ids->capacity) {
        ids->capacity = ids->capacity ? ids->capacity * 2 : 64;
        ids->items = ch_realloc(ids->items, ids->capacity * sizeof *ids->items);
    }
    ids->items[ids->count++] = series;
    return CH_OK;
}

static ch_status_t
join_by_scan(join_t *join, const name_t *name, uint32_t from)
{
    ch_status_t status = CH_OK;
    for (uint32_t i = from; i < name->count && status >= 0; i++) {
        const pair_t *pair = &name->pairs[i];
        if (join->sets == NULL || roaring_bitmap_contains(join->sets, pair->labels_id))
            status = take(join, pair->series);
    }
    return status;
}

static ch_status_t
join_by_search(join_t *join, const name_t *name)
{
    roaring_uint32_iterator_t sets;
    uint32_t from = 0;
    ch_status_t status = join_by_scan(join, name, name->sorted); /* the tail */
    roaring_init_iterator(join->sets, &sets);
    for (; sets.has_value && status >= 0; roaring_advance_uint32_iterator(&sets)) {
        uint32_t to = name->sorted;
        while (from < to) {
            uint32_t middle = from + (to - from) / 2;
            if (name->pairs[middle].labels_id < sets.current_value)
                from = middle + 1;
            else
                to = middle;
        }
        if (from < name->sorted && name->pairs[from].labels_id == sets.current_value)
            status = take(join, name->pairs[from].series);
    }
    return status;
}

static ch_status_t
join_name(join_t *join, const name_t *name)
{
    if (join->sets != NULL && join->set_count * 16 < name->sorted)
        return join_by_search(join, name);
    return join_by_scan(join, name, 0);
}

/* 1, 0 or a status. */
static int
name_accepted(const name_t *name, uint32_t name_id, const question_t *questions,
              uint32_t count)
{
    int accepted = name->text.data != NULL;
    for (uint32_t i = 0; i < count && accepted == 1; i++) {
        if (questions[i].of_name)
            accepted = verdict_of(&questions[i], name_id, name->text);
    }
    return accepted;
}

static ch_status_t
join_names(const ch_label_index_t *index, const question_t *questions, uint32_t count,
           join_t *join)
{
    uint32_t from = 0, to = index->name_count;
    for (uint32_t i = 0; i < count; i++) {
        if (!questions[i].of_name || questions[i].matcher->kind != CH_MATCH_EQ)
            continue;
        uint32_t found = name_find(index, questions[i].matcher->value);
        if (found == NONE)
            return CH_OK;
        from = found;
        to = found + 1;
    }
    for (uint32_t id = from; id < to; id++) {
        int accepted = name_accepted(&index->names[id], id, questions, count);
        ch_status_t status = accepted < 0    ? (ch_status_t)accepted
                             : accepted == 0 ? CH_OK
                                             : join_name(join, &index->names[id]);
        if (status < 0)
            return status;
    }
    return CH_OK;
}

static int
compare_ids(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static ch_status_t
select_locked(const ch_label_index_t *index, const question_t *questions, uint32_t count,
              join_t *join)
{
    roaring_bitmap_t *sets = NULL;
    ch_status_t status = narrow_sets(index, questions, count, false, &sets);
    if (status >= 0)
        status = narrow_sets(index, questions, count, true, &sets);
    if (status >= 0) {
        join->sets = sets;
        join->set_count = sets != NULL ? roaring_bitmap_get_cardinality(sets) : 0;
        status = join_names(index, questions, count, join);
    }
    if (sets != NULL)
        roaring_bitmap_free(sets);
    return status;
}

ch_status_t
ch_label_index_select(ch_label_index_t *index, const ch_selector_t *selector,
                      size_t series_max, ch_series_ids_t *ids_out)
{
    join_t join = {.series_max = series_max};
    question_t *questions = ch_calloc(selector->count + 1, sizeof *questions);
    ch_status_t status = CH_OK;
    for (uint32_t i = 0; i < selector->count && status >= 0; i++) {
        question_t *question = &questions[i];
        question->matcher = &selector->matchers[i];
        question->of_name =
            ch_bytes_equal(question->matcher->label, ch_bytes_text("__name__"));
        int empty = ch_matcher_accepts(question->matcher, ch_bytes("", 0));
        question->takes_empty = empty == 1;
        status = empty < 0 ? (ch_status_t)empty : judge(index, question);
    }
    if (status >= 0) {
        CH_ASSERT(pthread_rwlock_rdlock(&index->lock) == 0);
        status = select_locked(index, questions, selector->count, &join);
        pthread_rwlock_unlock(&index->lock);
    }
    for (uint32_t i = 0; i < selector->count; i++)
        ch_free(questions[i].verdicts);
    ch_free(questions);
    if (status >= 0) {
        if (join.ids.count > 1)
            qsort(join.ids.items, join.ids.count, sizeof *join.ids.items, compare_ids);
        *ids_out = join.ids;
    } else {
        ch_series_ids_release(&join.ids);
    }
    return status;
}

void
ch_series_ids_release(ch_series_ids_t *ids)
{
    ch_free(ids->items);
    *ids = (ch_series_ids_t){0};
}
