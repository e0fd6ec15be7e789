/* label_index_file.c - the index to a stream and back (docs/format/catalogue.md, "Labels").
 *
 * Problem     Building postings anew costs microseconds a series; five million series would take half a
 *             minute to start.
 * Idea        What was built is written as it is, while the writer goes on: arrays are only ever appended to,
 *             so what the mark covers does not change, and it is copied out in slices under the lock.
 *             Postings do change: a copied one may know label sets that came after the mark. Those without
 *             a place among the saved label sets are cut off; the others come again, since the list of all
 *             sets is of the mark, and adding them twice changes nothing.
 * Invariant   Series below mark.series are in the saved lists of names, no others are.
 */
#include "index/label_index_state.h"

#include <stdlib.h>

#include "ch/alloc.h"
#include "ch/assert.h"

enum {
    SLICE_VALUES = 4096,
    SLICE_POSTINGS = 64,
    SLICE_NAMES = 512,
    POSTING_BYTES_MAX = 1 << 30,
};

static const uint32_t OWNED = UINT32_MAX; /* in place of an offset: the bytes follow */

/* A value as stored: 16 bytes. */
typedef struct stored_value {
    uint32_t label, single, at, size;
} stored_value_t;

_Static_assert(sizeof(stored_value_t) == 16, "no padding");

static roaring_bitmap_t *
bitmap_copy(const roaring_bitmap_t *bitmap)
{
    roaring_bitmap_t *copy = roaring_bitmap_copy(bitmap);
    CH_ASSERT(copy != NULL);
    return copy;
}

ch_label_index_mark_t
ch_label_index_mark(ch_label_index_t *index)
{
    CH_ASSERT(pthread_rwlock_rdlock(&index->lock) == 0);
    ch_label_index_mark_t mark = {.names = index->name_count,
                                  .labels = index->label_count,
                                  .values = index->value_count,
                                  .series = index->series_count,
                                  .sets = bitmap_copy(index->sets)};
    pthread_rwlock_unlock(&index->lock);
    return mark;
}

/* ---- saving ---- */

typedef struct saving {
    ch_label_index_t *index;
    ch_label_index_mark_t mark;
    uint32_t label_sets; /* saved beside */
    const ch_index_texts_t *texts;
    ch_stream_writer_t *out;
} saving_t;

static void
save_labels(const saving_t *saving)
{
    ch_stream_put_u32(saving->out, saving->mark.labels);
    for (uint32_t i = 0; i < saving->mark.labels; i++) {
        CH_ASSERT(pthread_rwlock_rdlock(&saving->index->lock) == 0);
        ch_bytes_t name = saving->index->labels[i].name; /* the text never moves */
        pthread_rwlock_unlock(&saving->index->lock);
        ch_stream_put_u32(saving->out, (uint32_t)name.size);
        ch_stream_put(saving->out, name.data, name.size);
    }
}

/* Of a value that several label sets have it is not known any more in whose text it lies. */
static void
save_value(const saving_t *saving, const value_t *value)
{
    bool inline_text = value->owned || !(value->link & 1);
    stored_value_t stored = {.label = value->label, .at = OWNED, .size = value->size};
    if (value->link & 1)
        stored.single = value_single(value);
    if (!inline_text) {
        ch_bytes_t home = saving->texts->labels(saving->texts->context, stored.single);
        stored.at = (uint32_t)(value->data - home.data);
    }
    ch_stream_put(saving->out, &stored, sizeof stored);
    if (inline_text)
        ch_stream_put(saving->out, value->data, value->size);
}

static void
save_values(const saving_t *saving)
{
    value_t *slice = ch_alloc(SLICE_VALUES * sizeof *slice);
    uint32_t count = saving->mark.values;
    ch_stream_put_u32(saving->out, count);
    for (uint32_t from = 0; from < count; from += SLICE_VALUES) {
        uint32_t part = count - from < SLICE_VALUES ? count - from : SLICE_VALUES;
        CH_ASSERT(pthread_rwlock_rdlock(&saving->index->lock) == 0);
        memcpy(slice, saving->index->values + from, part * sizeof *slice);
        pthread_rwlock_unlock(&saving->index->lock);
        for (uint32_t i = 0; i < part; i++)
            save_value(saving, &slice[i]);
    }
    ch_free(slice);
}

/* Takes the bitmap. */
static void
save_bitmap(const saving_t *saving, roaring_bitmap_t *bitmap)
{
    roaring_bitmap_remove_range(bitmap, saving->label_sets, UINT64_C(1) << 32);
    (void)roaring_bitmap_run_optimize(bitmap);
    size_t bytes = roaring_bitmap_portable_size_in_bytes(bitmap);
    char *image = ch_alloc(bytes);
    (void)roaring_bitmap_portable_serialize(bitmap, image);
    ch_stream_put_u32(saving->out, (uint32_t)bytes);
    ch_stream_put(saving->out, image, bytes);
    ch_free(image);
    roaring_bitmap_free(bitmap);
}

/* Postings of more than one label set: (value, bitmap) until NONE. */
static void
save_postings(const saving_t *saving)
{
    for (uint32_t from = 0; from < saving->mark.values;) {
        roaring_bitmap_t *copies[SLICE_POSTINGS];
        uint32_t values[SLICE_POSTINGS], count = 0, looked = 0;
        CH_ASSERT(pthread_rwlock_rdlock(&saving->index->lock) == 0);
        for (; from < saving->mark.values && count < SLICE_POSTINGS &&
               looked < SLICE_VALUES;
             from++, looked++) {
            const value_t *value = &saving->index->values[from];
            if (value_sets(value) == NULL)
                continue;
            values[count] = from;
            copies[count++] = bitmap_copy(value_sets(value));
        }
        pthread_rwlock_unlock(&saving->index->lock);
        for (uint32_t i = 0; i < count; i++) {
            ch_stream_put_u32(saving->out, values[i]);
            save_bitmap(saving, copies[i]);
        }
    }
    ch_stream_put_u32(saving->out, NONE);
}

static void
save_sets(const saving_t *saving)
{
    for (uint32_t i = 0; i < saving->mark.labels; i++) {
        CH_ASSERT(pthread_rwlock_rdlock(&saving->index->lock) == 0);
        roaring_bitmap_t *copy = bitmap_copy(saving->index->labels[i].sets);
        pthread_rwlock_unlock(&saving->index->lock);
        save_bitmap(saving, copy);
    }
    save_bitmap(saving, saving->mark.sets);
}

/* The pairs of some names, one after the other. */
typedef struct names_slice {
    pair_t *pairs;
    uint32_t pair_count, pair_capacity;
    uint32_t counts[SLICE_NAMES], sorted[SLICE_NAMES];
} names_slice_t;

/* Holding the lock. */
static void
copy_name(const saving_t *saving, uint32_t id, names_slice_t *slice, uint32_t at)
{
    const name_t *name = &saving->index->names[id];
    if (name->count > slice->pair_capacity - slice->pair_count) {
        slice->pair_capacity = slice->pair_count + name->count + SLICE_VALUES;
        slice->pairs =
            ch_realloc(slice->pairs, slice->pair_capacity * sizeof *slice->pairs);
    }
    slice->counts[at] = slice->sorted[at] = 0;
    for (uint32_t i = 0; i < name->count; i++) {
        if (name->pairs[i].series >= saving->mark.series)
            continue;
        slice->pairs[slice->pair_count++] = name->pairs[i];
        slice->counts[at]++;
        slice->sorted[at] += i < name->sorted;
    }
}

static void
save_name(const saving_t *saving, pair_t *pairs, uint32_t count, uint32_t sorted)
{
    ch_stream_put_u32(saving->out, count);
    ch_stream_put_u32(saving->out, sorted);
    pair_t before = {0};
    for (uint32_t i = 0; i < count; i++) {
        const pair_t pair = pairs[i];
        pairs[i].labels_id -= before.labels_id; /* mod 2^32 */
        pairs[i].series -= before.series;
        before = pair;
    }
    ch_stream_put(saving->out, pairs, count * sizeof *pairs);
}

/* Many at a time: where names are many, a lock taken for each is one that the writer waits for each time. */
static void
save_names(const saving_t *saving)
{
    names_slice_t *slice = ch_calloc(1, sizeof *slice);
    slice->pair_capacity = 2 * SLICE_VALUES;
    slice->pairs = ch_alloc(slice->pair_capacity * sizeof *slice->pairs);
    ch_stream_put_u32(saving->out, saving->mark.names);
    for (uint32_t from = 0, count; from < saving->mark.names; from += count) {
        slice->pair_count = count = 0;
        CH_ASSERT(pthread_rwlock_rdlock(&saving->index->lock) == 0);
        while (count < SLICE_NAMES && from + count < saving->mark.names &&
               slice->pair_count < SLICE_VALUES) {
            copy_name(saving, from + count, slice, count);
            count++;
        }
        pthread_rwlock_unlock(&saving->index->lock);
        pair_t *pairs = slice->pairs;
        for (uint32_t i = 0; i < count; pairs += slice->counts[i++])
            save_name(saving, pairs, slice->counts[i], slice->sorted[i]);
    }
    ch_free(slice->pairs);
    ch_free(slice);
}

void
ch_label_index_save(ch_label_index_t *index, ch_label_index_mark_t mark,
                    uint32_t label_sets, const ch_index_texts_t *texts,
                    ch_stream_writer_t *out)
{
    const saving_t saving = {index, mark, label_sets, texts, out};
    save_labels(&saving);
    save_values(&saving);
    save_postings(&saving);
    save_sets(&saving);
    save_names(&saving);
}

/* ---- loading ---- */

typedef struct loading {
    ch_label_index_t *index;
    uint32_t names, label_sets, series; /* there are so many */
    const ch_index_texts_t *texts;
    ch_stream_reader_t *in;
} loading_t;

/* A count of things that take at least `size` bytes each in the stream. */
static ch_status_t
load_count(const loading_t *loading, uint64_t size, uint32_t *count_out)
{
    ch_status_t status = ch_stream_get_u32(loading->in, count_out);
    if (status >= 0 && *count_out * size > ch_stream_left(loading->in))
        return ch_fail(CH_ERR_CORRUPT, "%u entries do not fit", *count_out);
    return status;
}

static ch_status_t
load_owned(const loading_t *loading, uint32_t size, ch_bytes_t *text_out)
{
    if (size > ch_stream_left(loading->in))
        return ch_fail(CH_ERR_CORRUPT, "a text of %u bytes does not fit", size);
    uint8_t *copy = ch_alloc((size_t)size + 1);
    ch_status_t status = ch_stream_get(loading->in, copy, size);
    if (status < 0)
        ch_free(copy);
    else
        *text_out = ch_bytes(copy, size);
    return status;
}

static ch_status_t
load_labels(const loading_t *loading)
{
    ch_label_index_t *index = loading->index;
    uint32_t count = 0;
    ch_status_t status = load_count(loading, 4, &count);
    for (uint32_t i = 0; status >= 0 && i < count; i++) {
        uint32_t size = 0;
        ch_bytes_t name = {0};
        status = ch_stream_get_u32(loading->in, &size);
        if (status >= 0)
            status = load_owned(loading, size, &name);
        if (status < 0)
            break;
        uint32_t label = ch_index_label_add(index, name);
        index->labels[label].owned = true;
    }
    return status;
}

static ch_status_t
load_value(const loading_t *loading, const stored_value_t *stored, value_t *value_out)
{
    *value_out = (value_t){.size = stored->size & INT32_MAX,
                           .owned = stored->at == OWNED,
                           .label = stored->label,
                           .link = value_link_single(stored->single)};
    if (stored->label >= loading->index->label_count ||
        stored->single >= loading->label_sets || stored->size > INT32_MAX)
        return ch_fail(CH_ERR_CORRUPT, "a value of no label or label set");
    if (value_out->owned) {
        ch_bytes_t text = {0};
        ch_status_t status = load_owned(loading, stored->size, &text);
        value_out->data = text.data;
        return status;
    }
    ch_bytes_t home = loading->texts->labels(loading->texts->context, stored->single);
    if (stored->at > home.size || stored->size > home.size - stored->at)
        return ch_fail(CH_ERR_CORRUPT, "a value outside of its label set");
    value_out->data = home.data + stored->at;
    return CH_OK;
}

static ch_status_t
load_values(const loading_t *loading)
{
    uint32_t count = 0;
    ch_status_t status = load_count(loading, sizeof(stored_value_t), &count);
    if (status < 0)
        return status;
    if (loading->index->value_capacity == 0)
        ch_label_index_reserve(loading->index, count);
    if (count >
        loading->index->value_capacity) /* somebody may be touching what is there */
        return ch_fail(CH_ERR_CORRUPT, "%u values, not %u as said before", count,
                       loading->index->value_capacity);
    for (uint32_t i = 0; status >= 0 && i < count; i++) {
        stored_value_t stored;
        value_t value;
        status = ch_stream_get(loading->in, &stored, sizeof stored);
        if (status >= 0)
            status = load_value(loading, &stored, &value);
        if (status >= 0)
            ch_index_value_append(loading->index, &value);
    }
    if (status >= 0)
        ch_index_values_map(loading->index);
    return status;
}

static ch_status_t
load_bitmap(const loading_t *loading, roaring_bitmap_t **bitmap_out)
{
    uint32_t bytes = 0;
    ch_status_t status = load_count(loading, 1, &bytes);
    if (status < 0 || bytes > POSTING_BYTES_MAX)
        return status < 0 ? status
                          : ch_fail(CH_ERR_CORRUPT, "a posting of %u bytes", bytes);
    char *image = ch_alloc((size_t)bytes + 1);
    status = ch_stream_get(loading->in, image, bytes);
    roaring_bitmap_t *bitmap = NULL;
    if (status >= 0) {
        bitmap = roaring_bitmap_portable_deserialize_safe(image, bytes);
        if (bitmap == NULL || (!roaring_bitmap_is_empty(bitmap) &&
                               roaring_bitmap_maximum(bitmap) >= loading->label_sets)) {
            if (bitmap != NULL)
                roaring_bitmap_free(bitmap);
            status = ch_fail(CH_ERR_CORRUPT, "a posting makes no sense");
        }
    }
    ch_free(image);
    if (status < 0)
        return status;
    *bitmap_out = bitmap;
    ch_index_count_bytes(loading->index, bytes + BITMAP_BYTES);
    return CH_OK;
}

static ch_status_t
load_postings(const loading_t *loading)
{
    for (;;) {
        uint32_t at = 0;
        ch_status_t status = ch_stream_get_u32(loading->in, &at);
        if (status < 0 || at == NONE)
            return status;
        if (at >= loading->index->value_count ||
            value_sets(&loading->index->values[at]) != NULL)
            return ch_fail(CH_ERR_CORRUPT, "a posting of value %u", at);
        roaring_bitmap_t *sets = NULL;
        status = load_bitmap(loading, &sets);
        if (status < 0)
            return status;
        loading->index->values[at].link = (uintptr_t)sets;
    }
}

static ch_status_t
load_sets(const loading_t *loading)
{
    ch_label_index_t *index = loading->index;
    ch_status_t status = CH_OK;
    for (uint32_t i = 0; status >= 0 && i <= index->label_count; i++) {
        roaring_bitmap_t **place =
            i < index->label_count ? &index->labels[i].sets : &index->sets;
        roaring_bitmap_t *loaded = NULL;
        status = load_bitmap(loading, &loaded);
        if (status < 0)
            break;
        roaring_bitmap_free(*place);
        *place = loaded;
    }
    return status;
}

static ch_status_t
load_name(const loading_t *loading, uint32_t id)
{
    uint32_t count = 0, sorted = 0;
    ch_status_t status = load_count(loading, sizeof(pair_t), &count);
    if (status >= 0)
        status = ch_stream_get_u32(loading->in, &sorted);
    if (status < 0)
        return status;
    pair_t *pairs = ch_alloc(((size_t)count + 1) * sizeof *pairs);
    status = ch_stream_get(loading->in, pairs, count * sizeof *pairs);
    bool good = sorted <= count;
    for (uint32_t i = 1; status >= 0 && i < count; i++) {
        pairs[i].labels_id += pairs[i - 1].labels_id;
        pairs[i].series += pairs[i - 1].series;
    }
    for (uint32_t i = 0; status >= 0 && good && i < count; i++)
        good = pairs[i].labels_id < loading->label_sets &&
               pairs[i].series < loading->series &&
               (i == 0 || i >= sorted || pairs[i - 1].labels_id < pairs[i].labels_id);
    if (status >= 0 && !good)
        status = ch_fail(CH_ERR_CORRUPT, "the series of name %u make no sense", id);
    if (status < 0) {
        ch_free(pairs);
        return status;
    }
    ch_index_name_set(loading->index, id,
                      loading->texts->name(loading->texts->context, id), pairs, count,
                      sorted);
    return CH_OK;
}

ch_status_t
ch_label_index_load(ch_label_index_t *index, uint32_t names, uint32_t label_sets,
                    uint32_t series, const ch_index_texts_t *texts,
                    ch_stream_reader_t *in)
{
    const loading_t loading = {index, names, label_sets, series, texts, in};
    CH_ASSERT(index->label_count == 0 && index->name_count == 0);
    ch_status_t status = load_labels(&loading);
    if (status >= 0)
        status = load_values(&loading);
    if (status >= 0)
        status = load_postings(&loading);
    if (status >= 0)
        status = load_sets(&loading);
    uint32_t count = 0;
    if (status >= 0)
        status = load_count(&loading, 8, &count);
    if (status >= 0 && count > names)
        status = ch_fail(CH_ERR_CORRUPT, "lists of %u names, there are %u", count, names);
    for (uint32_t i = 0; status >= 0 && i < count; i++)
        status = load_name(&loading, i);
    if (status >= 0 && index->series_count != series)
        status = ch_fail(CH_ERR_CORRUPT, "%u series in the lists of names, not %u",
                         index->series_count, series);
    return status < 0 ? status : CH_OK;
}
