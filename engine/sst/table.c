#include "sst/table.h"

#include "ch/alloc.h"

ch_status_t
ch_sst_blame(const ch_sstable_t *sstable, ch_status_t status, const char *what,
             uint64_t offset, uint64_t size)
{
    return ch_fail_context(
        status, "sstable %s (number %llu): %s at offset %llu, bytes [%llu, %llu): ",
        sstable->path, (unsigned long long)sstable->info.file_number, what,
        (unsigned long long)offset, (unsigned long long)offset,
        (unsigned long long)(offset + size));
}

ch_status_t
ch_sst_load(const ch_sstable_t *sstable, uint64_t offset, size_t size,
            ch_sst_buffer_t *buffer)
{
    if (offset > sstable->info.file_bytes || size > sstable->info.file_bytes - offset)
        return ch_fail(CH_ERR_CORRUPT, "lies behind the end of the file");
    ch_status_t status = ch_sst_buffer_reserve(buffer, size);
    if (status < 0)
        return status;
    return ch_fs_read_exact(sstable->file, offset, buffer->data, size);
}

ch_status_t
ch_sst_load_packed(const ch_sstable_t *sstable, unsigned kind, uint64_t offset,
                   uint32_t size, ch_sst_buffer_t *stored, ch_sst_buffer_t *unpacked,
                   ch_bytes_t *content_out)
{
    static const struct {
        const char *name;
        size_t raw_max;
    } kinds[] = {
        [CH_SST_HEADS] = {"head block", CH_SST_DICTIONARY_RAW_MAX},
        [CH_SST_TAILS] = {"tail block", CH_SST_DICTIONARY_RAW_MAX},
        [CH_SST_KEYS] = {"key block", CH_SST_KEY_BLOCK_RAW_MAX},
        [CH_SST_FILTER] = {"filter", UINT32_MAX},
        [CH_SST_INDEX] = {"index", CH_SST_INDEX_RAW_MAX},
    };
    ch_status_t status = ch_sst_load(sstable, offset, size, stored);
    if (status >= 0)
        status =
            ch_packed_block_open(ch_bytes(stored->data, size),
                                 ch_sst_seed(sstable->info.file_number, offset, kind),
                                 kinds[kind].raw_max, unpacked, content_out);
    if (status < 0)
        return ch_sst_blame(sstable, status, kinds[kind].name, offset, size);
    return CH_OK;
}

/* Is it this block that the memory holds? */
static bool
place_is(const ch_block_place_t *place, const ch_sstable_t *sstable, uint64_t offset)
{
    return place->table == sstable->id && place->offset == offset;
}

static void
place_set(ch_block_place_t *place, const ch_sstable_t *sstable, uint64_t offset)
{
    *place = (ch_block_place_t){.table = sstable->id, .offset = offset};
}

/* ---- what the cache holds ---- */

enum { PART_DIRECTORY, PART_WHOLE }; /* of a data block; other blocks are whole */

typedef struct cached_text {
    ch_cached_t head;
    size_t size;
    uint8_t data[];
} cached_text_t;

typedef struct cached_keys {
    ch_cached_t head;
    uint32_t count;
    ch_key_pair_t pairs[];
} cached_keys_t;

typedef struct cached_block {
    ch_cached_t head;
    ch_block_t block; /* without the directory's text: it is parsed */
} cached_block_t;

static void
free_plain(ch_cached_t *entry)
{
    ch_free(entry);
}

static void
free_block(ch_cached_t *entry)
{
    ch_block_release(&((cached_block_t *)entry)->block);
    ch_free(entry);
}

static ch_cached_t *
cache_find(const ch_sstable_t *sstable, uint64_t offset, uint8_t part)
{
    if (!sstable->cache)
        return NULL;
    return ch_block_cache_find(sstable->cache, sstable->id, offset, part);
}

/* ---- dictionaries ---- */

static void
keep_text(const ch_sstable_t *sstable, uint64_t offset, ch_bytes_t content)
{
    size_t bytes = sizeof(cached_text_t) + content.size;
    cached_text_t *text = sstable->cache ? ch_try_alloc(bytes) : NULL;
    if (!text)
        return;
    ch_cached_init(&text->head, bytes, free_plain);
    text->size = content.size;
    memcpy(text->data, content.data, content.size);
    ch_cached_t *mine = &text->head;
    ch_block_cache_insert(sstable->cache, sstable->id, offset, PART_WHOLE, mine);
    ch_cached_release(&mine);
}

ch_status_t
ch_sst_dictionary_block(const ch_sstable_t *sstable, int which, uint32_t at,
                        ch_dictionary_block_t *block)
{
    const ch_dictionary_entry_t *entry = &sstable->index.dictionaries[which].blocks[at];
    if (place_is(&block->place, sstable, entry->offset))
        return CH_OK;
    block->place = (ch_block_place_t){0};
    ch_cached_release(&block->held);
    ch_bytes_t content;
    ch_status_t status = CH_OK;
    unsigned kind = which == CH_SST_DICTIONARY_HEADS ? CH_SST_HEADS : CH_SST_TAILS;
    block->held = cache_find(sstable, entry->offset, PART_WHOLE);
    if (block->held) {
        const cached_text_t *text = (const cached_text_t *)block->held;
        content = ch_bytes(text->data, text->size);
    } else {
        status = ch_sst_load_packed(sstable, kind, entry->offset, entry->bytes,
                                    &block->stored, &block->unpacked, &content);
        if (status < 0)
            return status;
    }
    status = ch_dictionary_cursor_init(&block->cursor, content);
    if (status < 0)
        return ch_sst_blame(sstable, status, "dictionary block", entry->offset,
                            entry->bytes);
    if (!block->held)
        keep_text(sstable, entry->offset, content);
    place_set(&block->place, sstable, entry->offset);
    return CH_OK;
}

/* ---- keys ---- */

static bool
take_keys(const ch_sstable_t *sstable, uint64_t offset, ch_key_block_t *block)
{
    ch_cached_t *found = cache_find(sstable, offset, PART_WHOLE);
    if (!found)
        return false;
    const cached_keys_t *keys = (const cached_keys_t *)found;
    block->count = keys->count;
    memcpy(block->pairs, keys->pairs, keys->count * sizeof *keys->pairs);
    ch_cached_release(&found);
    return true;
}

static void
keep_keys(const ch_sstable_t *sstable, uint64_t offset, const ch_key_block_t *block)
{
    size_t bytes = sizeof(cached_keys_t) + block->count * sizeof *block->pairs;
    cached_keys_t *keys = sstable->cache ? ch_try_alloc(bytes) : NULL;
    if (!keys)
        return;
    ch_cached_init(&keys->head, bytes, free_plain);
    keys->count = block->count;
    memcpy(keys->pairs, block->pairs, block->count * sizeof *block->pairs);
    ch_cached_t *mine = &keys->head;
    ch_block_cache_insert(sstable->cache, sstable->id, offset, PART_WHOLE, mine);
    ch_cached_release(&mine);
}

ch_status_t
ch_sst_key_block(const ch_sstable_t *sstable, uint32_t at, ch_key_block_t *block)
{
    const ch_key_entry_t *entry = &sstable->index.keys[at];
    if (place_is(&block->place, sstable, entry->offset))
        return CH_OK;
    block->place = (ch_block_place_t){0};
    if (!take_keys(sstable, entry->offset, block)) {
        ch_bytes_t content;
        ch_status_t status =
            ch_sst_load_packed(sstable, CH_SST_KEYS, entry->offset, entry->bytes,
                               &block->stored, &block->unpacked, &content);
        if (status < 0)
            return status;
        uint64_t left = sstable->info.series - (uint64_t)at * CH_SST_KEY_BLOCK_SERIES;
        block->count =
            left < CH_SST_KEY_BLOCK_SERIES ? (uint32_t)left : CH_SST_KEY_BLOCK_SERIES;
        status = ch_key_block_decode(content, block->count,
                                     sstable->index.dictionaries[0].texts,
                                     sstable->index.dictionaries[1].texts, block->pairs);
        if (status < 0)
            return ch_sst_blame(sstable, status, "key block", entry->offset,
                                entry->bytes);
        keep_keys(sstable, entry->offset, block);
    }
    place_set(&block->place, sstable, entry->offset);
    return CH_OK;
}

/* ---- data blocks ---- */

static bool
take_block(const ch_sstable_t *sstable, uint64_t offset, bool with_columns,
           ch_sst_scratch_t *scratch)
{
    scratch->held_block =
        cache_find(sstable, offset, with_columns ? PART_WHOLE : PART_DIRECTORY);
    if (!scratch->held_block)
        return false;
    scratch->block = ((const cached_block_t *)scratch->held_block)->block;
    return true;
}

/* The memory that was loaded into becomes the entry's: nothing is copied. */
static void
keep_block(const ch_sstable_t *sstable, uint64_t offset, ch_sst_scratch_t *scratch)
{
    cached_block_t *kept = sstable->cache ? ch_try_alloc(sizeof *kept) : NULL;
    if (!kept)
        return;
    ch_block_t *own = &scratch->own;
    kept->block = *own;
    kept->block.directory = (ch_sst_buffer_t){0};
    *own = (ch_block_t){.directory = own->directory};
    ch_cached_init(&kept->head,
                   sizeof *kept + kept->block.bytes.capacity + CH_COLUMN_PAD +
                       kept->block.chunk_capacity * sizeof *kept->block.chunks,
                   free_block);
    scratch->held_block = &kept->head;
    scratch->block = kept->block;
    ch_block_cache_insert(sstable->cache, sstable->id, offset,
                          kept->block.has_columns ? PART_WHOLE : PART_DIRECTORY,
                          scratch->held_block);
}

ch_status_t
ch_sst_data_block(const ch_sstable_t *sstable, uint32_t at, bool with_columns,
                  ch_sst_scratch_t *scratch)
{
    const ch_data_entry_t *entry = &sstable->index.data[at];
    if (place_is(&scratch->block_place, sstable, entry->offset) &&
        (scratch->block.has_columns || !with_columns))
        return CH_OK;
    scratch->block_place = (ch_block_place_t){0};
    scratch->block = (ch_block_t){0};
    ch_cached_release(&scratch->held_block);
    if (!take_block(sstable, entry->offset, with_columns, scratch)) {
        size_t size = with_columns ? entry->bytes : entry->directory_end;
        ch_status_t status =
            ch_sst_load(sstable, entry->offset, size, &scratch->own.bytes);
        if (status >= 0)
            status = ch_block_parse(&scratch->own, entry, sstable->info.file_number,
                                    with_columns);
        if (status < 0)
            return ch_sst_blame(sstable, status, "data block", entry->offset, size);
        scratch->block = scratch->own;
        keep_block(sstable, entry->offset, scratch);
    }
    place_set(&scratch->block_place, sstable, entry->offset);
    return CH_OK;
}

/* ---- finding ---- */

/* The last block whose separator is not above the text; false: before all. */
static bool
dictionary_block_of(const ch_dictionary_index_t *dictionary, ch_bytes_t text,
                    uint32_t *at_out)
{
    uint32_t low = 0, high = dictionary->block_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ch_bytes_compare(dictionary->blocks[middle].separator, text) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    *at_out = low - 1;
    return low > 0;
}

/* The number of a text in a dictionary. */
static ch_status_t
find_text(const ch_sstable_t *sstable, ch_sst_scratch_t *scratch, int which,
          ch_bytes_t text, uint32_t *number_out)
{
    uint32_t at, place;
    if (!dictionary_block_of(&sstable->index.dictionaries[which], text, &at))
        return CH_NOT_FOUND;
    ch_dictionary_block_t *block = &scratch->dictionaries[which];
    ch_status_t status = ch_sst_dictionary_block(sstable, which, at, block);
    if (status < 0)
        return status;
    const ch_dictionary_entry_t *entry = &sstable->index.dictionaries[which].blocks[at];
    status = ch_dictionary_cursor_find(&block->cursor, text, &place);
    if (status < 0)
        return ch_sst_blame(sstable, status, "dictionary block", entry->offset,
                            entry->bytes);
    if (status == CH_OK)
        *number_out = entry->first + place;
    return status;
}

/* The rank of a pair. */
static ch_status_t
find_pair(const ch_sstable_t *sstable, ch_sst_scratch_t *scratch, ch_key_pair_t pair,
          uint32_t *rank_out)
{
    uint32_t low = 0, high = sstable->index.key_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ch_key_pair_compare(sstable->index.keys[middle].first, pair) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return CH_NOT_FOUND;
    uint32_t at = low - 1;
    ch_status_t status = ch_sst_key_block(sstable, at, &scratch->keys);
    if (status < 0)
        return status;
    for (low = 0, high = scratch->keys.count; low < high;) {
        uint32_t middle = low + (high - low) / 2;
        int order = ch_key_pair_compare(scratch->keys.pairs[middle], pair);
        if (order == 0) {
            *rank_out = at * CH_SST_KEY_BLOCK_SERIES + middle;
            return CH_OK;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return CH_NOT_FOUND;
}

ch_status_t
ch_sst_find(const ch_sstable_t *sstable, ch_sst_scratch_t *scratch, ch_bytes_t name,
            ch_bytes_t labels, uint32_t *rank_out)
{
    if (!ch_sstable_may_contain(sstable, name, labels))
        return CH_NOT_FOUND;
    ch_text_t *text = &scratch->text;
    ch_key_pair_t pair;
    ch_text_reset(text);
    ch_text_append(text, name.data, name.size);
    if (labels.size)
        ch_text_append(text, "{", 1);
    ch_status_t status = find_text(sstable, scratch, CH_SST_DICTIONARY_HEADS,
                                   ch_text_bytes(text), &pair.head);
    if (status != CH_OK)
        return status;
    ch_text_reset(text);
    ch_text_append(text, labels.data, labels.size);
    if (labels.size)
        ch_text_append(text, "}", 1);
    status = find_text(sstable, scratch, CH_SST_DICTIONARY_TAILS, ch_text_bytes(text),
                       &pair.tail);
    if (status != CH_OK)
        return status;
    return find_pair(sstable, scratch, pair, rank_out);
}

void
ch_sst_blocks_of(const ch_sstable_t *sstable, uint32_t rank, uint32_t *from_out,
                 uint32_t *to_out)
{
    const ch_data_entry_t *data = sstable->index.data;
    uint32_t low = 0, high = sstable->index.data_count;
    while (low < high) { /* the first block whose last rank is not below */
        uint32_t middle = low + (high - low) / 2;
        if ((uint64_t)data[middle].first_rank + data[middle].series <= rank)
            low = middle + 1;
        else
            high = middle;
    }
    *from_out = low;
    while (low < sstable->index.data_count && data[low].first_rank <= rank)
        low++;
    *to_out = low;
}
