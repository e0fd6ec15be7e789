#include "sst/sstable_index.h"

#include "ch/alloc.h"

/* The least that an entry takes: bounds what a count may claim. */
enum { ENTRY_BYTES_MIN = 3 };

void
ch_sst_index_builder_release(ch_sst_index_builder_t *builder)
{
    ch_text_release(&builder->data);
    ch_text_release(&builder->dictionaries[0]);
    ch_text_release(&builder->dictionaries[1]);
    ch_text_release(&builder->keys);
    *builder = (ch_sst_index_builder_t){0};
}

static void
append_varint(ch_text_t *to, uint64_t value)
{
    uint8_t bytes[CH_VARINT_BYTES_MAX];
    ch_text_append(to, bytes, (size_t)(ch_varint_put(bytes, value) - bytes));
}

void
ch_sst_index_builder_data(ch_sst_index_builder_t *builder, const ch_data_entry_t *entry)
{
    ch_text_t *to = &builder->data;
    append_varint(to, entry->bytes);
    append_varint(to, entry->directory_end);
    append_varint(to, (uint64_t)entry->series * 2 + entry->continues);
    append_varint(to,
                  ch_zigzag((int64_t)((uint64_t)entry->time_min - builder->time_min)));
    append_varint(to, (uint64_t)entry->time_max - (uint64_t)entry->time_min);
    builder->time_min = (uint64_t)entry->time_min;
    builder->data_count++;
}

void
ch_sst_index_builder_dictionary(ch_sst_index_builder_t *builder, int which, size_t bytes,
                                uint32_t entries, ch_bytes_t separator)
{
    ch_text_t *to = &builder->dictionaries[which];
    append_varint(to, bytes);
    append_varint(to, entries);
    append_varint(to, separator.size);
    ch_text_append(to, separator.data, separator.size);
    builder->dictionary_counts[which]++;
}

void
ch_sst_index_builder_keys(ch_sst_index_builder_t *builder, size_t bytes,
                          ch_key_pair_t first)
{
    append_varint(&builder->keys, bytes);
    append_varint(&builder->keys, first.head);
    append_varint(&builder->keys, first.tail);
    builder->key_count++;
}

static void
append_list(ch_text_t *out, uint64_t count, const ch_text_t *list)
{
    append_varint(out, count);
    ch_text_append(out, list->data, list->size);
}

void
ch_sst_index_builder_close(const ch_sst_index_builder_t *builder, ch_text_t *out)
{
    append_list(out, builder->data_count, &builder->data);
    append_list(out, builder->dictionary_counts[0], &builder->dictionaries[0]);
    append_list(out, builder->dictionary_counts[1], &builder->dictionaries[1]);
    append_list(out, builder->key_count, &builder->keys);
}

/* What is left of the content; `at` becomes NULL at the first number that makes no sense. */
typedef struct input {
    const uint8_t *at, *end;
    uint64_t offset; /* in the file, of the block that comes next */
} input_t;

static uint64_t
take(input_t *input, uint64_t max)
{
    uint64_t value = 0;
    if (input->at)
        input->at = ch_varint_get_max(input->at, input->end, max, &value);
    return value;
}

/* A list's count and room for its entries: NULL when there is none (see *count_out, at). */
static void *
take_list(input_t *input, size_t entry_size, uint32_t *count_out)
{
    uint64_t most = input->at ? (uint64_t)(input->end - input->at) / ENTRY_BYTES_MIN : 0;
    uint64_t count = take(input, most < UINT32_MAX ? most : UINT32_MAX);
    if (count == 0)
        return NULL;
    void *entries = ch_try_alloc(count * entry_size);
    if (!entries)
        input->at = NULL;
    else
        *count_out = (uint32_t)count;
    return entries;
}

static bool
decode_data(input_t *input, ch_sst_index_t *index)
{
    uint64_t time_min = 0;
    index->data = take_list(input, sizeof *index->data, &index->data_count);
    for (uint32_t i = 0; input->at && i < index->data_count; i++) {
        ch_data_entry_t *entry = &index->data[i];
        *entry = (ch_data_entry_t){.offset = input->offset};
        entry->bytes = (uint32_t)take(input, CH_SST_BLOCK_BYTES_MAX);
        entry->directory_end = (uint32_t)take(input, entry->bytes);
        uint64_t series = take(input, UINT32_MAX);
        time_min += (uint64_t)ch_unzigzag(take(input, UINT64_MAX));
        uint64_t span = take(input, UINT64_MAX);
        entry->series = (uint32_t)(series / 2);
        entry->continues = series % 2;
        entry->time_min = (int64_t)time_min;
        entry->time_max = (int64_t)(time_min + span);
        index->series += entry->series - entry->continues;
        if (entry->directory_end < CH_SST_BLOCK_HEADER_BYTES || entry->series == 0 ||
            entry->time_max < entry->time_min || (i == 0 && entry->continues) ||
            index->series > UINT32_MAX)
            return false;
        entry->first_rank = (uint32_t)(index->series - entry->series);
        input->offset += entry->bytes;
    }
    return input->at != NULL;
}

static bool
decode_dictionary(input_t *input, ch_dictionary_index_t *dictionary)
{
    uint64_t texts = 0;
    dictionary->blocks =
        take_list(input, sizeof *dictionary->blocks, &dictionary->block_count);
    for (uint32_t i = 0; input->at && i < dictionary->block_count; i++) {
        ch_dictionary_entry_t *entry = &dictionary->blocks[i];
        *entry =
            (ch_dictionary_entry_t){.offset = input->offset, .first = (uint32_t)texts};
        entry->bytes = (uint32_t)take(input, CH_SST_DICTIONARY_RAW_MAX);
        entry->entries = (uint32_t)take(input, CH_SST_DICTIONARY_RAW_MAX);
        uint64_t size = take(input, CH_SST_TEXT_BYTES_MAX);
        if (!input->at || size > (size_t)(input->end - input->at) || entry->entries == 0)
            return false;
        entry->separator = ch_bytes(input->at, size);
        input->at += size;
        input->offset += entry->bytes;
        texts += entry->entries;
        if (texts > UINT32_MAX)
            return false;
    }
    dictionary->texts = (uint32_t)texts;
    return input->at != NULL;
}

static bool
decode_keys(input_t *input, ch_sst_index_t *index)
{
    index->keys = take_list(input, sizeof *index->keys, &index->key_count);
    for (uint32_t i = 0; input->at && i < index->key_count; i++) {
        ch_key_entry_t *entry = &index->keys[i];
        *entry = (ch_key_entry_t){.offset = input->offset};
        entry->bytes = (uint32_t)take(input, CH_SST_KEY_BLOCK_RAW_MAX);
        entry->first.head = (uint32_t)take(input, UINT32_MAX);
        entry->first.tail = (uint32_t)take(input, UINT32_MAX);
        input->offset += entry->bytes;
    }
    return input->at != NULL;
}

ch_status_t
ch_sst_index_decode(ch_bytes_t content, ch_sst_index_t *index_out)
{
    input_t input = {.at = content.data, .end = content.data + content.size};
    ch_sst_index_t index = {0};
    bool good = decode_data(&input, &index) &&
                decode_dictionary(&input, &index.dictionaries[0]) &&
                decode_dictionary(&input, &index.dictionaries[1]) &&
                decode_keys(&input, &index) && input.at == input.end;
    uint64_t key_blocks =
        (index.series + CH_SST_KEY_BLOCK_SERIES - 1) / CH_SST_KEY_BLOCK_SERIES;
    if (!good || index.key_count != key_blocks) {
        ch_sst_index_release(&index);
        return ch_fail(CH_ERR_CORRUPT, "the index makes no sense");
    }
    index.end = input.offset;
    *index_out = index;
    return CH_OK;
}

void
ch_sst_index_release(ch_sst_index_t *index)
{
    ch_free(index->data);
    ch_free(index->dictionaries[0].blocks);
    ch_free(index->dictionaries[1].blocks);
    ch_free(index->keys);
    *index = (ch_sst_index_t){0};
}
