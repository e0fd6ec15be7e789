/* What recovery reads: a first byte of 0 mod 2, the rest is records one after the other; else the
 * rest is the file of segment 1, read group by group, records decoded, and searched for evidence. */
#include "wal/wal_reader.h"
#include "wal/wal_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct memory_file {
    ch_file_t base;
    ch_bytes_t bytes;
} memory_file_t;

static ch_status_t
memory_read(ch_file_t *file, uint64_t offset, void *to, size_t size, size_t *read_out)
{
    ch_bytes_t bytes = ((memory_file_t *)file)->bytes;
    size_t left = offset < bytes.size ? bytes.size - (size_t)offset : 0;
    *read_out = size < left ? size : left;
    if (*read_out > 0)
        memcpy(to, bytes.data + offset, *read_out);
    return CH_OK;
}

static ch_status_t
memory_size(ch_file_t *file, uint64_t *size_out)
{
    *size_out = ((memory_file_t *)file)->bytes.size;
    return CH_OK;
}

/* Touch everything that a visitor may touch. */
static uint64_t
walk_record(const ch_wal_record_t *record, const ch_wal_dictionary_t *dictionary)
{
    uint64_t sum = record->delete.selector.size;
    const uint32_t *series = record->series;
    if (record->delete.selector.size > 0)
        sum += record->delete.selector.data[record->delete.selector.size - 1];
    for (uint32_t i = 0; i < record->delete.except_count; i++)
        sum += record->delete.except[i].data[record->delete.except[i].size - 1];
    for (uint32_t b = 0; b < record->batch.block_count; b++) {
        const ch_batch_block_t *block = &record->batch.blocks[b];
        for (uint32_t i = 0; i < block->rows; i++) {
            sum += (uint64_t)ch_times_at(&block->times, i);
            for (uint32_t j = 0; j < block->fields; j++) {
                ch_value_t value = ch_values_at(&block->values[j], i);
                size_t cell =
                    block->kind == CH_BLOCK_SERIES ? 0 : (size_t)i * block->fields + j;
                if (value.type == CH_VALUE_STRING && value.string.size > 0)
                    sum += value.string.data[value.string.size - 1];
                if (value.type == CH_VALUE_NONE)
                    continue;
                ch_bytes_t name, labels;
                ch_wal_dictionary_series(dictionary, series[cell], &name, &labels);
                sum += name.size + labels.size;
            }
        }
        series += ch_batch_block_cells(block);
    }
    return sum;
}

static void
read_records(ch_wal_decoder_t *decoder, ch_wal_dictionary_t *dictionary, ch_bytes_t bytes)
{
    ch_wal_record_t record;
    size_t used;
    while (bytes.size > 0 &&
           ch_wal_decode_record(decoder, dictionary, bytes, &record, &used) == CH_OK) {
        volatile uint64_t seen = walk_record(&record, dictionary);
        (void)seen;
        bytes = ch_bytes(bytes.data + used, bytes.size - used);
    }
}

static void
read_segment(ch_wal_decoder_t *decoder, ch_wal_dictionary_t *dictionary, ch_bytes_t bytes)
{
    static const ch_fs_ops_t ops = {.read = memory_read, .size = memory_size};
    ch_fs_t fs = {.ops = &ops};
    memory_file_t file = {.base = {.fs = &fs}, .bytes = bytes};
    ch_wal_reader_t reader;
    ch_wal_group_t group;
    ch_bytes_t body;
    uint64_t evidence;
    if (ch_wal_reader_init(&reader, &file.base, 1) == CH_OK) {
        while (reader.state == CH_WAL_HEADER_VALID &&
               ch_wal_reader_next(&reader, &group, &body) == CH_OK)
            read_records(decoder, dictionary, body);
        if (ch_wal_reader_evidence(&reader, &reader.segment, reader.offset, &evidence) <
            0)
            __builtin_trap(); /* memory cannot fail to be read */
    }
    ch_wal_reader_release(&reader);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    ch_wal_decoder_t decoder = {0};
    ch_wal_dictionary_t *dictionary = ch_wal_dictionary_new();
    if (data[0] % 2 == 0)
        read_records(&decoder, dictionary, ch_bytes(data + 1, size - 1));
    else
        read_segment(&decoder, dictionary, ch_bytes(data + 1, size - 1));
    ch_wal_dictionary_destroy(&dictionary);
    ch_wal_decoder_release(&decoder);
    return 0;
}
