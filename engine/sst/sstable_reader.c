/* sstable_reader.c - opening, listing and checking a sorted table.
 *
 * Idea        Footer, index and filter are read once, checked and kept; everything else is read
 *             when asked for, and a damaged block is the trouble of those only who need it.
 * Invariant   What the index says adds up to the file's size and to the footer's counts, so that
 *             no later step needs to doubt a number of it.
 */
#include "sst/table.h"

#include <stdatomic.h>

#include "ch/alloc.h"
#include "ch/assert.h"

/* Numbers of openings, from 1 on. */
static _Atomic uint64_t openings;

/* What open needs of the footer and nobody after. */
typedef struct footer {
    uint64_t offset;
    uint32_t heads, tails;
} footer_t;

/* Is it our version's footer but for the number itself? A turned bit is no newer program's work. */
static bool
only_version_differs(const uint8_t *footer, uint64_t offset)
{
    uint8_t ours[CH_SST_FOOTER_BYTES];
    memcpy(ours, footer, sizeof ours);
    ch_store_u32(ours + CH_SST_FOOTER_VERSION, CH_SST_VERSION);
    uint64_t seed =
        ch_sst_seed(ch_load_u64(ours + CH_SST_FOOTER_FILE_NUMBER), offset, CH_SST_FOOTER);
    return ch_sst_check_holds(ours, CH_SST_FOOTER_CHECK, seed,
                              ch_load_u32(ours + CH_SST_FOOTER_CHECK));
}

/* Magic and version: places that all versions share. */
static ch_status_t
check_version(const ch_sstable_t *sstable, const uint8_t *footer, uint64_t offset)
{
    if (ch_load_u64(footer + CH_SST_FOOTER_MAGIC) != CH_SST_MAGIC)
        return ch_fail(CH_ERR_CORRUPT,
                       "sstable %s: not a sorted table, or its end is missing",
                       sstable->path);
    uint32_t version = ch_load_u32(footer + CH_SST_FOOTER_VERSION);
    if (version > CH_SST_VERSION && only_version_differs(footer, offset))
        return ch_fail(CH_ERR_CORRUPT, "sstable %s: its version number is damaged",
                       sstable->path);
    if (version > CH_SST_VERSION)
        return ch_fail(
            CH_ERR_VERSION,
            "sstable %s: format version %u; this program reads up to %d: use a newer one",
            sstable->path, version, CH_SST_VERSION);
    return CH_OK;
}

static ch_status_t
take_footer(ch_sstable_t *sstable, const uint8_t *from, footer_t *footer)
{
    ch_sstable_info_t *info = &sstable->info;
    uint64_t file_number = ch_load_u64(from + CH_SST_FOOTER_FILE_NUMBER);
    uint64_t seed = ch_sst_seed(file_number, footer->offset, CH_SST_FOOTER);
    if (!ch_sst_check_holds(from, CH_SST_FOOTER_CHECK, seed,
                            ch_load_u32(from + CH_SST_FOOTER_CHECK)))
        return ch_fail(CH_ERR_CORRUPT, "checksum mismatch");
    if (file_number != info->file_number)
        return ch_fail(CH_ERR_CORRUPT, "it belongs to table number %llu",
                       (unsigned long long)file_number);
    info->lsn_min = ch_load_u64(from + CH_SST_FOOTER_LSN_MIN);
    info->lsn_max = ch_load_u64(from + CH_SST_FOOTER_LSN_MAX);
    info->time_min = ch_load_i64(from + CH_SST_FOOTER_TIME_MIN);
    info->time_max = ch_load_i64(from + CH_SST_FOOTER_TIME_MAX);
    info->series = ch_load_u64(from + CH_SST_FOOTER_SERIES);
    info->points = ch_load_u64(from + CH_SST_FOOTER_POINTS);
    sstable->index_offset = ch_load_u64(from + CH_SST_FOOTER_INDEX_OFFSET);
    sstable->filter_bytes = ch_load_u64(from + CH_SST_FOOTER_FILTER_BYTES);
    sstable->index_bytes = ch_load_u32(from + CH_SST_FOOTER_INDEX_BYTES);
    footer->heads = ch_load_u32(from + CH_SST_FOOTER_HEADS);
    footer->tails = ch_load_u32(from + CH_SST_FOOTER_TAILS);
    if (ch_load_u32(from + CH_SST_FOOTER_VERSION) == 0 ||
        ch_load_u32(from + CH_SST_FOOTER_ZERO) != 0 ||
        sstable->index_bytes > footer->offset ||
        sstable->index_offset != footer->offset - sstable->index_bytes ||
        sstable->filter_bytes > sstable->index_offset ||
        sstable->filter_bytes > UINT32_MAX)
        return ch_fail(CH_ERR_CORRUPT, "its sizes make no sense");
    sstable->filter_offset = sstable->index_offset - sstable->filter_bytes;
    return CH_OK;
}

static ch_status_t
read_footer(ch_sstable_t *sstable, footer_t *footer)
{
    uint8_t bytes[CH_SST_FOOTER_BYTES];
    if (sstable->info.file_bytes < sizeof bytes)
        return ch_fail(CH_ERR_CORRUPT, "sstable %s: %llu bytes are no sorted table",
                       sstable->path, (unsigned long long)sstable->info.file_bytes);
    footer->offset = sstable->info.file_bytes - sizeof bytes;
    ch_status_t status =
        ch_fs_read_exact(sstable->file, footer->offset, bytes, sizeof bytes);
    if (status < 0)
        return status;
    status = check_version(sstable, bytes, footer->offset);
    if (status < 0)
        return status;
    status = take_footer(sstable, bytes, footer);
    if (status < 0)
        return ch_sst_blame(sstable, status, "footer", footer->offset, sizeof bytes);
    return CH_OK;
}

static ch_status_t
read_index(ch_sstable_t *sstable, const footer_t *footer)
{
    ch_bytes_t content;
    ch_status_t status = ch_sst_load_packed(sstable, CH_SST_INDEX, sstable->index_offset,
                                            sstable->index_bytes, &sstable->index_stored,
                                            &sstable->index_unpacked, &content);
    if (status < 0)
        return status;
    ch_sst_index_t *index = &sstable->index;
    status = ch_sst_index_decode(content, index);
    if (status >= 0 &&
        (index->end != sstable->filter_offset || index->series != sstable->info.series ||
         index->dictionaries[CH_SST_DICTIONARY_HEADS].texts != footer->heads ||
         index->dictionaries[CH_SST_DICTIONARY_TAILS].texts != footer->tails))
        status = ch_fail(CH_ERR_CORRUPT, "it does not add up to what the footer says");
    if (status < 0)
        return ch_sst_blame(sstable, status, "index", sstable->index_offset,
                            sstable->index_bytes);
    return CH_OK;
}

/* Read the filter; NULL bloom_out: only check it. */
static ch_status_t
read_filter(const ch_sstable_t *sstable, ch_bloom_t **bloom_out)
{
    ch_sst_buffer_t stored = {0}, unpacked = {0};
    ch_bytes_t content;
    ch_status_t status =
        ch_sst_load_packed(sstable, CH_SST_FILTER, sstable->filter_offset,
                           (uint32_t)sstable->filter_bytes, &stored, &unpacked, &content);
    if (status >= 0 && bloom_out) {
        status = ch_bloom_decode(content, bloom_out);
        if (status < 0)
            (void)ch_sst_blame(sstable, status, "filter", sstable->filter_offset,
                               sstable->filter_bytes);
    }
    ch_sst_buffer_release(&stored);
    ch_sst_buffer_release(&unpacked);
    return status;
}

ch_status_t
ch_sstable_open(ch_fs_t *fs, const char *path, uint64_t file_number,
                ch_sstable_t **sstable_out)
{
    footer_t footer = {0};
    ch_sstable_t *sstable = ch_calloc(1, sizeof *sstable);
    sstable->magic = CH_TABLE_MAGIC;
    sstable->id = atomic_fetch_add(&openings, 1) + 1;
    sstable->path = ch_strdup(path);
    sstable->info.file_number = file_number;
    ch_status_t status = ch_fs_open(fs, path, CH_FS_READ, &sstable->file);
    if (status != CH_OK)
        goto done;
    status = ch_fs_size(sstable->file, &sstable->info.file_bytes);
    if (status >= 0)
        status = read_footer(sstable, &footer);
    if (status >= 0)
        status = read_index(sstable, &footer);
    if (status >= 0)
        status = read_filter(sstable, &sstable->bloom);
    if (status >= 0)
        *sstable_out = ch_take(&sstable);
done:
    ch_sstable_destroy(&sstable);
    return status;
}

void
ch_sstable_destroy(ch_sstable_t **sstable_in)
{
    ch_sstable_t *sstable = *sstable_in;
    if (!sstable)
        return;
    CH_ASSERT(sstable->magic == CH_TABLE_MAGIC);
    ch_fs_close(&sstable->file);
    ch_bloom_destroy(&sstable->bloom);
    ch_sst_index_release(&sstable->index);
    ch_sst_buffer_release(&sstable->index_stored);
    ch_sst_buffer_release(&sstable->index_unpacked);
    ch_free(sstable->path);
    ch_free(sstable->damage);
    sstable->magic = 0;
    ch_free(sstable);
    *sstable_in = NULL;
}

ch_sstable_t *
ch_sstable_new_damaged(const char *path, const ch_sstable_info_t *info,
                       const char *damage)
{
    ch_sstable_t *sstable = ch_calloc(1, sizeof *sstable);
    *sstable = (ch_sstable_t){.magic = CH_TABLE_MAGIC,
                              .id = atomic_fetch_add(&openings, 1) + 1,
                              .path = ch_strdup(path),
                              .info = *info,
                              .damage = ch_strdup(damage)};
    return sstable;
}

bool
ch_sstable_is_damaged(const ch_sstable_t *sstable)
{
    CH_ASSERT(sstable->magic == CH_TABLE_MAGIC);
    return sstable->damage != NULL;
}

ch_status_t
ch_sst_check_opened(const ch_sstable_t *sstable)
{
    CH_ASSERT(sstable->magic == CH_TABLE_MAGIC);
    return sstable->damage ? ch_fail(CH_ERR_CORRUPT, "%s", sstable->damage) : CH_OK;
}

bool
ch_sstable_info_equal(const ch_sstable_info_t *a, const ch_sstable_info_t *b)
{
    return a->file_bytes == b->file_bytes && a->lsn_min == b->lsn_min &&
           a->lsn_max == b->lsn_max && a->time_min == b->time_min &&
           a->time_max == b->time_max && a->series == b->series && a->points == b->points;
}

void
ch_sstable_use_cache(ch_sstable_t *sstable, ch_block_cache_t *cache)
{
    CH_ASSERT(sstable->magic == CH_TABLE_MAGIC);
    sstable->cache = cache;
}

size_t
ch_sstable_memory(const ch_sstable_t *sstable)
{
    const ch_sst_index_t *index = &sstable->index;
    return sizeof *sstable + sstable->index_stored.capacity +
           sstable->index_unpacked.capacity + (size_t)sstable->filter_bytes +
           index->data_count * sizeof *index->data +
           index->dictionaries[0].block_count * sizeof *index->dictionaries[0].blocks +
           index->dictionaries[1].block_count * sizeof *index->dictionaries[1].blocks +
           index->key_count * sizeof *index->keys;
}

const ch_sstable_info_t *
ch_sstable_info(const ch_sstable_t *sstable)
{
    CH_ASSERT(sstable->magic == CH_TABLE_MAGIC);
    return &sstable->info;
}

bool
ch_sstable_may_contain(const ch_sstable_t *sstable, ch_bytes_t name, ch_bytes_t labels)
{
    CH_ASSERT(sstable->magic == CH_TABLE_MAGIC);
    return sstable->damage ||
           ch_bloom_may_contain(sstable->bloom, ch_bloom_hash(name, labels));
}

bool
ch_sstable_may_contain_hash(const ch_sstable_t *sstable, uint64_t hash)
{
    CH_ASSERT(sstable->magic == CH_TABLE_MAGIC);
    return sstable->damage || ch_bloom_may_contain(sstable->bloom, hash);
}

static ch_status_t
verify_dictionary(const ch_sstable_t *sstable, int which, ch_dictionary_block_t *block)
{
    const ch_dictionary_index_t *dictionary = &sstable->index.dictionaries[which];
    for (uint32_t i = 0; i < dictionary->block_count; i++) {
        const ch_dictionary_entry_t *entry = &dictionary->blocks[i];
        block->place = (ch_block_place_t){0}; /* from the disk, not from memory */
        ch_status_t status = ch_sst_dictionary_block(sstable, which, i, block);
        if (status < 0)
            return status;
        status = ch_dictionary_cursor_seek(&block->cursor, entry->entries - 1);
        if (status < 0)
            return ch_sst_blame(sstable, status, "dictionary block", entry->offset,
                                entry->bytes);
    }
    return CH_OK;
}

static ch_status_t
verify_blocks(const ch_sstable_t *sstable, ch_sst_scratch_t *scratch)
{
    ch_status_t status = CH_OK;
    for (uint32_t i = 0; status >= 0 && i < sstable->index.data_count; i++) {
        scratch->block_place = (ch_block_place_t){0};
        status = ch_sst_data_block(sstable, i, true, scratch);
    }
    for (int which = 0; status >= 0 && which < 2; which++)
        status = verify_dictionary(sstable, which, &scratch->dictionaries[which]);
    for (uint32_t i = 0; status >= 0 && i < sstable->index.key_count; i++) {
        scratch->keys.place = (ch_block_place_t){0};
        status = ch_sst_key_block(sstable, i, &scratch->keys);
    }
    return status;
}

/* Filter, index and footer once more, as they are on the disk now. */
static ch_status_t
verify_open_parts(const ch_sstable_t *sstable)
{
    ch_sst_buffer_t stored = {0}, unpacked = {0};
    ch_bytes_t content;
    ch_status_t status = read_filter(sstable, NULL);
    if (status >= 0)
        status = ch_sst_load_packed(sstable, CH_SST_INDEX, sstable->index_offset,
                                    sstable->index_bytes, &stored, &unpacked, &content);
    ch_sst_buffer_release(&stored);
    ch_sst_buffer_release(&unpacked);
    if (status < 0)
        return status;
    ch_sstable_t again = *sstable;
    footer_t footer = {0};
    return read_footer(&again, &footer);
}

ch_status_t
ch_sstable_verify(ch_sstable_t *sstable)
{
    CH_ASSERT(sstable->magic == CH_TABLE_MAGIC);
    ch_sst_scratch_t *scratch = ch_sst_scratch_borrow();
    ch_sstable_t uncached = *sstable;
    uncached.cache = NULL;
    ch_status_t status = verify_blocks(&uncached, scratch);
    if (status >= 0)
        status = verify_open_parts(sstable);
    ch_sst_scratch_return(scratch);
    return status;
}
