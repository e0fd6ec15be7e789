#include "sst/table.h"

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

ch_status_t
ch_sst_dictionary_block(const ch_sstable_t *sstable, int which, uint32_t at,
                        ch_dictionary_block_t *block)
{
    const ch_dictionary_entry_t *entry = &sstable->index.dictionaries[which].blocks[at];
    if (place_is(&block->place, sstable, entry->offset))
        return CH_OK;
    block->place = (ch_block_place_t){0};
    ch_bytes_t content;
    unsigned kind = which == CH_SST_DICTIONARY_HEADS ? CH_SST_HEADS : CH_SST_TAILS;
    ch_status_t status = ch_sst_load_packed(sstable, kind, entry->offset, entry->bytes,
                                            &block->stored, &block->unpacked, &content);
    if (status < 0)
        return status;
    status = ch_dictionary_cursor_init(&block->cursor, content);
    if (status < 0)
        return ch_sst_blame(sstable, status, "dictionary block", entry->offset,
                            entry->bytes);
    place_set(&block->place, sstable, entry->offset);
    return CH_OK;
}

ch_status_t
ch_sst_key_block(const ch_sstable_t *sstable, uint32_t at, ch_key_block_t *block)
{
    const ch_key_entry_t *entry = &sstable->index.keys[at];
    if (place_is(&block->place, sstable, entry->offset))
        return CH_OK;
    block->place = (ch_block_place_t){0};
    ch_bytes_t content;
    ch_status_t status =
        ch_sst_load_packed(sstable, CH_SST_KEYS, entry->offset, entry->bytes,
                           &block->stored, &block->unpacked, &content);
    if (status < 0)
        return status;
    uint64_t left = sstable->info.series - (uint64_t)at * CH_SST_KEY_BLOCK_SERIES;
    block->count =
        left < CH_SST_KEY_BLOCK_SERIES ? (uint32_t)left : CH_SST_KEY_BLOCK_SERIES;
    status =
        ch_key_block_decode(content, block->count, sstable->index.dictionaries[0].texts,
                            sstable->index.dictionaries[1].texts, block->pairs);
    if (status < 0)
        return ch_sst_blame(sstable, status, "key block", entry->offset, entry->bytes);
    place_set(&block->place, sstable, entry->offset);
    return CH_OK;
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
    size_t size = with_columns ? entry->bytes : entry->directory_end;
    ch_status_t status = ch_sst_load(sstable, entry->offset, size, &scratch->block.bytes);
    if (status >= 0)
        status = ch_block_parse(&scratch->block, entry, sstable->info.file_number,
                                with_columns);
    if (status < 0)
        return ch_sst_blame(sstable, status, "data block", entry->offset, size);
    place_set(&scratch->block_place, sstable, entry->offset);
    return CH_OK;
}

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
