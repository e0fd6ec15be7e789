/* fuzz_sstable.c - any bytes as a sorted table.
 *
 * Input    u8 seal | the file. With an odd `seal` all checks are made right first, so that what lies
 *          behind them is reached.
 * Claims   no fault, no hang; every call ends with a status that its header names.
 */
#include "ch/alloc.h"
#include "ch/assert.h"
#include "sst/sstable.h"
#include "sst/sstable_index.h"
#include "support/simfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct file {
    uint8_t *data;
    uint64_t number, filter_offset, index_offset, end;
} file_t;

static bool
inside(const file_t *file, uint64_t offset, uint64_t size)
{
    return offset <= file->end && size <= file->end - offset;
}

static void
seal_packed(const file_t *file, unsigned kind, uint64_t offset, uint64_t size)
{
    if (size < CH_SST_PACKED_HEADER_BYTES || !inside(file, offset, size))
        return;
    uint8_t *block = file->data + offset;
    ch_store_u32(
        block, ch_check32(block + 4, size - 4, ch_sst_seed(file->number, offset, kind)));
}

static void
seal_data(const file_t *file, const ch_data_entry_t *entry)
{
    if (!inside(file, entry->offset, entry->bytes))
        return;
    uint8_t *block = file->data + entry->offset;
    uint64_t seed = ch_sst_seed(file->number, entry->offset, CH_SST_COLUMNS);
    ch_store_u32(block, CH_SST_BLOCK_MAGIC);
    ch_store_u32(block + CH_SST_BLOCK_TOTAL, entry->bytes);
    ch_store_u32(block + CH_SST_BLOCK_DIRECTORY_STORED,
                 entry->directory_end - CH_SST_BLOCK_HEADER_BYTES);
    ch_store_u32(block + CH_SST_BLOCK_COLUMNS_CHECK,
                 ch_check32(block + entry->directory_end,
                            entry->bytes - entry->directory_end, seed));
    seed = ch_sst_seed(file->number, entry->offset, CH_SST_DIRECTORY);
    ch_store_u32(block + CH_SST_BLOCK_CHECK,
                 ch_check32(block + CH_SST_BLOCK_TOTAL,
                            entry->directory_end - CH_SST_BLOCK_TOTAL, seed));
}

static void
seal_blocks(const file_t *file, const ch_sst_index_t *index)
{
    static const unsigned kinds[] = {CH_SST_HEADS, CH_SST_TAILS};
    for (uint32_t i = 0; i < index->data_count; i++)
        seal_data(file, &index->data[i]);
    for (int which = 0; which < 2; which++)
        for (uint32_t i = 0; i < index->dictionaries[which].block_count; i++)
            seal_packed(file, kinds[which], index->dictionaries[which].blocks[i].offset,
                        index->dictionaries[which].blocks[i].bytes);
    for (uint32_t i = 0; i < index->key_count; i++)
        seal_packed(file, CH_SST_KEYS, index->keys[i].offset, index->keys[i].bytes);
}

/* Make all checks right that can be found. */
static void
seal(uint8_t *data, size_t size)
{
    if (size < CH_SST_FOOTER_BYTES)
        return;
    file_t file = {.data = data, .number = 1, .end = size - CH_SST_FOOTER_BYTES};
    uint8_t *footer = data + file.end;
    uint32_t index_bytes = ch_load_u32(footer + CH_SST_FOOTER_INDEX_BYTES);
    uint64_t filter_bytes = ch_load_u64(footer + CH_SST_FOOTER_FILTER_BYTES);
    ch_store_u64(footer + CH_SST_FOOTER_FILE_NUMBER, file.number);
    ch_store_u32(footer + CH_SST_FOOTER_VERSION, CH_SST_VERSION);
    ch_store_u64(footer + CH_SST_FOOTER_MAGIC, CH_SST_MAGIC);
    if (index_bytes <= file.end && filter_bytes <= file.end - index_bytes) {
        file.index_offset = file.end - index_bytes;
        file.filter_offset = file.index_offset - filter_bytes;
        ch_store_u64(footer + CH_SST_FOOTER_INDEX_OFFSET, file.index_offset);
        seal_packed(&file, CH_SST_FILTER, file.filter_offset, filter_bytes);
        seal_packed(&file, CH_SST_INDEX, file.index_offset, index_bytes);
        ch_sst_buffer_t buffer = {0};
        ch_sst_index_t index = {0};
        ch_bytes_t content;
        uint64_t seed = ch_sst_seed(file.number, file.index_offset, CH_SST_INDEX);
        if (ch_packed_block_open(ch_bytes(data + file.index_offset, index_bytes), seed,
                                 CH_SST_INDEX_RAW_MAX, &buffer, &content) == CH_OK &&
            ch_sst_index_decode(content, &index) == CH_OK)
            seal_blocks(&file, &index);
        ch_sst_index_release(&index);
        ch_sst_buffer_release(&buffer);
    }
    ch_store_u32(footer + CH_SST_FOOTER_CHECK,
                 ch_check32(footer, CH_SST_FOOTER_CHECK,
                            ch_sst_seed(file.number, file.end, CH_SST_FOOTER)));
}

static void
check_status(ch_status_t status)
{
    CH_ASSERT(status == CH_OK || status == CH_NOT_FOUND || status == CH_ERR_CORRUPT ||
              status == CH_ERR_UNSUPPORTED || status == CH_ERR_LIMIT);
}

/* Every question about one key. */
static void
ask(ch_sstable_t *sstable, ch_bytes_t name, ch_bytes_t labels)
{
    ch_points_t points = {0};
    ch_summary_t summary;
    ch_value_t value;
    int64_t min = 0, max = 0;
    check_status(ch_sstable_time_range(sstable, name, labels, &min, &max));
    check_status(
        ch_sstable_read(sstable, name, labels, CH_TIME_MIN, CH_TIME_MAX, &points));
    check_status(ch_sstable_summarise(sstable, name, labels, min / 2, max, &summary));
    check_status(ch_sstable_newest(sstable, name, labels, max / 2 + min / 2, &points,
                                   &min, &value));
    ch_points_release(&points);
}

typedef struct visited {
    ch_sstable_t *sstable;
    unsigned left;
} visited_t;

static ch_status_t
visit(void *context, ch_bytes_t name, ch_bytes_t labels)
{
    visited_t *visited = context;
    ask(visited->sstable, name, labels);
    return visited->left-- ? CH_OK : CH_END;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    ch_simfs_t *simfs = ch_simfs_new(1);
    ch_file_t *file = NULL;
    ch_sstable_t *sstable = NULL;
    uint8_t *copy = ch_alloc(size);
    memcpy(copy, data + 1, size - 1);
    if (data[0] & 1)
        seal(copy, size - 1);
    CH_ASSERT(ch_fs_open(ch_simfs_fs(simfs), "f", CH_FS_WRITE | CH_FS_CREATE, &file) ==
              CH_OK);
    CH_ASSERT(ch_fs_write(file, 0, copy, size - 1) == CH_OK);
    ch_fs_close(&file);
    ch_free(copy);
    if (ch_sstable_open(ch_simfs_fs(simfs), "f", 1, &sstable) == CH_OK) {
        visited_t visited = {.sstable = sstable, .left = 50};
        ask(sstable, ch_bytes_text("temperature"), ch_bytes_text(""));
        ask(sstable, ch_bytes_text("cpu_user"), ch_bytes_text("host=\"a\",os=\"linux\""));
        ch_status_t status = ch_sstable_keys(sstable, visit, &visited);
        CH_ASSERT(status == CH_END || status == CH_OK || status == CH_ERR_CORRUPT ||
                  status == CH_ERR_LIMIT);
        check_status(ch_sstable_verify(sstable));
    }
    ch_sstable_destroy(&sstable);
    ch_simfs_destroy(&simfs);
    return 0;
}
