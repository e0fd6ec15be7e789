/* sstable_keys.c - visiting every key of a table in order.
 *
 * Problem     Keys go name by name, so the tails of ten fields are visited ten times from the first
 *             to the last; unpacking each of their blocks every time would cost more than all else.
 * Idea        Unpacked blocks of the walk are kept up to a budget, then all forgotten.
 */
#include "sst/table.h"

#include "ch/alloc.h"
#include "ch/assert.h"

enum { KEPT_BYTES = 16 << 20 }; /* of each dictionary, when all keys are visited */

/* One dictionary under the walk. */
typedef struct walk {
    const ch_sstable_t *sstable;
    int which;
    ch_sst_buffer_t stored;
    ch_bytes_t *blocks; /* contents, each owned; data NULL: not there */
    size_t kept_bytes, kept_max;
    uint32_t at; /* block under the cursor */
    bool open;
    ch_dictionary_cursor_t cursor;
} walk_t;

static const ch_dictionary_index_t *
index_of(const walk_t *walk)
{
    return &walk->sstable->index.dictionaries[walk->which];
}

static walk_t *
walk_new(const ch_sstable_t *sstable, int which, size_t kept_max)
{
    walk_t *walk = ch_calloc(1, sizeof *walk);
    walk->sstable = sstable;
    walk->which = which;
    walk->kept_max = kept_max;
    walk->blocks = ch_calloc(index_of(walk)->block_count + 1, sizeof *walk->blocks);
    return walk;
}

static void
walk_forget(walk_t *walk)
{
    for (uint32_t i = 0; i < index_of(walk)->block_count; i++) {
        ch_free((void *)(uintptr_t)walk->blocks[i].data);
        walk->blocks[i] = (ch_bytes_t){0};
    }
    walk->kept_bytes = 0;
    walk->open = false;
}

static void
walk_destroy(walk_t *walk)
{
    walk_forget(walk);
    ch_sst_buffer_release(&walk->stored);
    ch_free(walk->blocks);
    ch_free(walk);
}

/* Have the content of block `at` in walk->blocks. */
static ch_status_t
walk_keep(walk_t *walk, uint32_t at)
{
    const ch_dictionary_entry_t *entry = &index_of(walk)->blocks[at];
    unsigned kind = walk->which == CH_SST_DICTIONARY_HEADS ? CH_SST_HEADS : CH_SST_TAILS;
    if (walk->kept_bytes > walk->kept_max)
        walk_forget(walk);
    ch_sst_buffer_t unpacked = {0};
    ch_bytes_t content;
    ch_status_t status =
        ch_sst_load_packed(walk->sstable, kind, entry->offset, entry->bytes,
                           &walk->stored, &unpacked, &content);
    if (status < 0) {
        ch_sst_buffer_release(&unpacked);
        return status;
    }
    if (unpacked.data) {
        walk->blocks[at] = content;
    } else { /* not compressed: the stored bytes themselves */
        uint8_t *copy = ch_alloc(content.size);
        memcpy(copy, content.data, content.size);
        walk->blocks[at] = ch_bytes(copy, content.size);
    }
    walk->kept_bytes += content.size;
    return CH_OK;
}

/* The block that holds text `number`. Texts mostly follow each other. */
static uint32_t
block_of(const walk_t *walk, uint32_t number)
{
    const ch_dictionary_index_t *dictionary = index_of(walk);
    const ch_dictionary_entry_t *entry = &dictionary->blocks[walk->at];
    if (number >= entry->first && number - entry->first < entry->entries)
        return walk->at;
    uint32_t low = 0, high = dictionary->block_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (dictionary->blocks[middle].first <= number)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Stand on text `number`, below the dictionary's count. */
static ch_status_t
walk_to(walk_t *walk, uint32_t number)
{
    uint32_t at = block_of(walk, number);
    ch_status_t status = CH_OK;
    if (!walk->open || at != walk->at) {
        if (!walk->blocks[at].data)
            status = walk_keep(walk, at);
        if (status >= 0)
            status = ch_dictionary_cursor_init(&walk->cursor, walk->blocks[at]);
        walk->open = status >= 0;
        if (status < 0)
            return status;
        walk->at = at;
    }
    const ch_dictionary_entry_t *entry = &index_of(walk)->blocks[at];
    status = ch_dictionary_cursor_seek(&walk->cursor, number - entry->first);
    if (status < 0)
        return ch_sst_blame(walk->sstable, status, "dictionary block", entry->offset,
                            entry->bytes);
    return CH_OK;
}

/* A text without the mark that closes it: '{' of a head, '}' of a tail. */
static ch_bytes_t
text_without(const walk_t *walk, char mark)
{
    ch_bytes_t text = ch_dictionary_cursor_text(&walk->cursor);
    if (text.size && text.data[text.size - 1] == (uint8_t)mark)
        text.size--;
    return text;
}

struct ch_key_walk {
    const ch_sstable_t *sstable;
    walk_t *heads, *tails;
    ch_key_block_t keys;
};

ch_key_walk_t *
ch_key_walk_new(const ch_sstable_t *sstable, size_t kept_bytes)
{
    ch_key_walk_t *walk = ch_calloc(1, sizeof *walk);
    walk->sstable = sstable;
    walk->heads = walk_new(sstable, CH_SST_DICTIONARY_HEADS, kept_bytes / 2);
    walk->tails = walk_new(sstable, CH_SST_DICTIONARY_TAILS, kept_bytes / 2);
    return walk;
}

void
ch_key_walk_destroy(ch_key_walk_t **walk)
{
    ch_key_walk_t *gone = ch_take(walk);
    if (!gone)
        return;
    walk_destroy(gone->heads);
    walk_destroy(gone->tails);
    ch_sst_buffer_release(&gone->keys.stored);
    ch_sst_buffer_release(&gone->keys.unpacked);
    ch_free(gone);
}

ch_status_t
ch_key_walk_to(ch_key_walk_t *walk, uint32_t rank, ch_bytes_t *name_out,
               ch_bytes_t *labels_out)
{
    ch_status_t status =
        ch_sst_key_block(walk->sstable, rank / CH_SST_KEY_BLOCK_SERIES, &walk->keys);
    if (status < 0)
        return status;
    const ch_key_pair_t *pair = &walk->keys.pairs[rank % CH_SST_KEY_BLOCK_SERIES];
    status = walk_to(walk->heads, pair->head);
    if (status >= 0)
        status = walk_to(walk->tails, pair->tail);
    if (status < 0)
        return status;
    *name_out = text_without(walk->heads, '{');
    *labels_out = text_without(walk->tails, '}');
    return CH_OK;
}

ch_status_t
ch_sstable_keys(ch_sstable_t *sstable,
                ch_status_t (*visit)(void *context, ch_bytes_t name, ch_bytes_t labels),
                void *context)
{
    ch_status_t status = ch_sst_check_opened(sstable);
    if (status < 0)
        return status;
    ch_key_walk_t *walk = ch_key_walk_new(sstable, 2 * (size_t)KEPT_BYTES);
    for (uint32_t rank = 0; status == CH_OK && rank < sstable->info.series; rank++) {
        ch_bytes_t name, labels;
        status = ch_key_walk_to(walk, rank, &name, &labels);
        if (status == CH_OK)
            status = visit(context, name, labels);
    }
    ch_key_walk_destroy(&walk);
    return status;
}
