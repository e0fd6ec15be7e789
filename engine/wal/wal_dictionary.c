#include "wal/wal_dictionary.h"

#include <string.h>

#include "ch/assert.h"

static void
ids_release(ch_wal_ids_t *ids)
{
    ch_free(ids->slots);
    ch_free(ids->globals);
    *ids = (ch_wal_ids_t){0};
}

static void
ids_grow_slots(ch_wal_ids_t *ids, uint32_t global)
{
    size_t count = ids->slot_count ? ids->slot_count : 1024;
    while (count <= global)
        count *= 2;
    ids->slots = ch_realloc(ids->slots, count * sizeof *ids->slots);
    memset(ids->slots + ids->slot_count, 0,
           (count - ids->slot_count) * sizeof *ids->slots);
    ids->slot_count = count;
}

uint32_t
ch_wal_ids_add(ch_wal_ids_t *ids, uint32_t stamp, uint32_t global)
{
    if (global >= ids->slot_count)
        ids_grow_slots(ids, global);
    if (ids->count == ids->capacity) {
        ids->capacity = ids->capacity ? ids->capacity * 2 : 256;
        ids->globals = ch_realloc(ids->globals, ids->capacity * sizeof *ids->globals);
    }
    ids->slots[global] = (ch_wal_slot_t){.stamp = stamp, .local = ids->count};
    ids->globals[ids->count] = global;
    return ids->count++;
}

static void
ids_undo(ch_wal_ids_t *ids, uint32_t count)
{
    while (ids->count > count)
        ids->slots[ids->globals[--ids->count]].stamp = 0;
}

static void
ids_clear_stamps(ch_wal_ids_t *ids)
{
    if (ids->slots)
        memset(ids->slots, 0, ids->slot_count * sizeof *ids->slots);
}

void
ch_wal_numbering_release(ch_wal_numbering_t *numbering)
{
    ids_release(&numbering->names);
    ids_release(&numbering->labels);
    ids_release(&numbering->series);
}

void
ch_wal_numbering_reset(ch_wal_numbering_t *numbering)
{
    ch_wal_numbering_renumber(numbering);
    numbering->names.count = numbering->labels.count = numbering->series.count = 0;
}

void
ch_wal_numbering_renumber(ch_wal_numbering_t *numbering)
{
    if (++numbering->stamp != 0)
        return;
    numbering->stamp = 1; /* old stamps would come alive again */
    ids_clear_stamps(&numbering->names);
    ids_clear_stamps(&numbering->labels);
    ids_clear_stamps(&numbering->series);
}

ch_wal_mark_t
ch_wal_numbering_mark(const ch_wal_numbering_t *numbering)
{
    return (ch_wal_mark_t){.names = numbering->names.count,
                           .labels = numbering->labels.count,
                           .series = numbering->series.count};
}

void
ch_wal_numbering_undo(ch_wal_numbering_t *numbering, ch_wal_mark_t mark)
{
    ids_undo(&numbering->names, mark.names);
    ids_undo(&numbering->labels, mark.labels);
    ids_undo(&numbering->series, mark.series);
}

/* --- the reader's side ----------------------------------------------------------------------- */

/* Texts as offsets into one growing buffer: text i ends at ends[i]. */
typedef struct texts {
    ch_wal_buffer_t bytes;
    ch_wal_buffer_t ends; /* u64 each */
} texts_t;

struct ch_wal_dictionary {
    texts_t names, labels;
    ch_wal_buffer_t series; /* u32 name, u32 labels each */
};

static uint32_t
texts_count(const texts_t *texts)
{
    return (uint32_t)(texts->ends.size / 8);
}

static void
texts_add(texts_t *texts, ch_bytes_t text)
{
    ch_wal_buffer_append(&texts->bytes, text.data, text.size);
    uint64_t end = texts->bytes.size;
    ch_wal_buffer_append(&texts->ends, &end, sizeof end);
}

static ch_bytes_t
texts_get(const texts_t *texts, uint32_t i)
{
    uint64_t start = i ? ch_load_u64(texts->ends.data + ((size_t)i - 1) * 8) : 0;
    uint64_t end = ch_load_u64(texts->ends.data + (size_t)i * 8);
    if (start == end) /* the buffer may not exist yet */
        return ch_bytes("", 0);
    return ch_bytes(texts->bytes.data + start, (size_t)(end - start));
}

ch_wal_dictionary_t *
ch_wal_dictionary_new(void)
{
    return ch_calloc(1, sizeof(ch_wal_dictionary_t));
}

void
ch_wal_dictionary_destroy(ch_wal_dictionary_t **dictionary)
{
    if (!*dictionary)
        return;
    ch_wal_dictionary_t *old = *dictionary;
    ch_wal_buffer_release(&old->names.bytes);
    ch_wal_buffer_release(&old->names.ends);
    ch_wal_buffer_release(&old->labels.bytes);
    ch_wal_buffer_release(&old->labels.ends);
    ch_wal_buffer_release(&old->series);
    ch_free(old);
    *dictionary = NULL;
}

void
ch_wal_dictionary_reset(ch_wal_dictionary_t *dictionary)
{
    dictionary->names.bytes.size = dictionary->names.ends.size = 0;
    dictionary->labels.bytes.size = dictionary->labels.ends.size = 0;
    dictionary->series.size = 0;
}

uint32_t
ch_wal_dictionary_names(const ch_wal_dictionary_t *dictionary)
{
    return texts_count(&dictionary->names);
}

uint32_t
ch_wal_dictionary_labels(const ch_wal_dictionary_t *dictionary)
{
    return texts_count(&dictionary->labels);
}

uint32_t
ch_wal_dictionary_count(const ch_wal_dictionary_t *dictionary)
{
    return (uint32_t)(dictionary->series.size / 8);
}

void
ch_wal_dictionary_add_name(ch_wal_dictionary_t *dictionary, ch_bytes_t name)
{
    texts_add(&dictionary->names, name);
}

void
ch_wal_dictionary_add_labels(ch_wal_dictionary_t *dictionary, ch_bytes_t labels)
{
    texts_add(&dictionary->labels, labels);
}

void
ch_wal_dictionary_add_series(ch_wal_dictionary_t *dictionary, uint32_t name,
                             uint32_t labels)
{
    CH_ASSERT(name < ch_wal_dictionary_names(dictionary));
    CH_ASSERT(labels < ch_wal_dictionary_labels(dictionary));
    uint32_t pair[2] = {name, labels};
    ch_wal_buffer_append(&dictionary->series, pair, sizeof pair);
}

void
ch_wal_dictionary_series(const ch_wal_dictionary_t *dictionary, uint32_t local,
                         ch_bytes_t *name_out, ch_bytes_t *labels_out)
{
    CH_ASSERT(local < ch_wal_dictionary_count(dictionary));
    const uint8_t *pair = dictionary->series.data + (size_t)local * 8;
    *name_out = texts_get(&dictionary->names, ch_load_u32(pair));
    *labels_out = texts_get(&dictionary->labels, ch_load_u32(pair + 4));
}
