#include "sst/data_block.h"

#include "ch/alloc.h"
#include "ch/limits.h"

/* The least that an entry of a chunk can take: bounds what a directory can hold. */
enum { ENTRY_BYTES_MIN = 6 };

void
ch_block_release(ch_block_t *block)
{
    ch_sst_buffer_release(&block->bytes);
    ch_sst_buffer_release(&block->directory);
    ch_free(block->chunks);
    *block = (ch_block_t){0};
}

/* Header against the index, then the checks. */
static ch_status_t
check_block(const uint8_t *data, const ch_data_entry_t *entry, uint64_t file_number,
            bool has_columns)
{
    uint32_t stored = entry->directory_end - CH_SST_BLOCK_HEADER_BYTES;
    uint64_t seed = ch_sst_seed(file_number, entry->offset, CH_SST_DIRECTORY);
    if (ch_load_u32(data) != CH_SST_BLOCK_MAGIC)
        return ch_fail(CH_ERR_CORRUPT, "not a data block");
    if (!ch_sst_check_holds(data + CH_SST_BLOCK_TOTAL,
                            entry->directory_end - CH_SST_BLOCK_TOTAL, seed,
                            ch_load_u32(data + CH_SST_BLOCK_CHECK)))
        return ch_fail(CH_ERR_CORRUPT, "checksum mismatch in the directory");
    if (ch_load_u32(data + CH_SST_BLOCK_TOTAL) != entry->bytes ||
        ch_load_u32(data + CH_SST_BLOCK_DIRECTORY_STORED) != stored)
        return ch_fail(CH_ERR_CORRUPT, "sizes in header and index differ");
    seed = ch_sst_seed(file_number, entry->offset, CH_SST_COLUMNS);
    if (has_columns &&
        !ch_sst_check_holds(data + entry->directory_end,
                            entry->bytes - entry->directory_end, seed,
                            ch_load_u32(data + CH_SST_BLOCK_COLUMNS_CHECK)))
        return ch_fail(CH_ERR_CORRUPT, "checksum mismatch in the columns");
    return CH_OK;
}

static ch_status_t
reserve_chunks(ch_block_t *block, uint32_t count)
{
    if (count <= block->chunk_capacity)
        return CH_OK;
    ch_block_chunk_t *chunks = ch_try_alloc(count * sizeof *chunks);
    if (!chunks)
        return ch_fail(CH_ERR_LIMIT, "no memory for %u chunks", count);
    ch_free(block->chunks);
    block->chunks = chunks;
    block->chunk_capacity = count;
    return CH_OK;
}

/* What every entry must say whatever the column decoders think of it. */
static bool
chunk_makes_sense(const ch_chunk_t *chunk, const ch_block_chunk_t *before, uint32_t rank)
{
    if (chunk->count < 1 || chunk->count > CH_CHUNK_POINTS_MAX ||
        chunk->time_first > chunk->time_last)
        return false;
    return !before || before->rank != rank || before->chunk.time_last < chunk->time_first;
}

/* Parse the entry of chunk `at`; *columns_at goes on behind its columns. */
static const uint8_t *
parse_chunk(ch_block_t *block, uint32_t at, uint32_t rank, const uint8_t *from,
            const uint8_t *end, int64_t time_min, uint64_t *columns_at)
{
    ch_block_chunk_t *parsed = &block->chunks[at];
    uint32_t times_ref = 0;
    *parsed = (ch_block_chunk_t){.rank = rank};
    from = ch_chunk_get(from, end, time_min, &parsed->chunk, &times_ref);
    if (!from || !chunk_makes_sense(&parsed->chunk, at ? parsed - 1 : NULL, rank))
        return NULL;
    if (parsed->chunk.flags & CH_CHUNK_TIMES_SHARED) {
        if (times_ref == 0 || times_ref > at)
            return NULL;
        const ch_block_chunk_t *owner = parsed - times_ref;
        if (owner->chunk.flags & CH_CHUNK_TIMES_SHARED ||
            owner->chunk.count != parsed->chunk.count)
            return NULL;
        parsed->chunk.times_bytes = 0;
        parsed->times_at = owner->times_at;
        parsed->times_bytes = owner->times_bytes;
    } else {
        parsed->times_at = (uint32_t)*columns_at;
        parsed->times_bytes = parsed->chunk.times_bytes;
    }
    parsed->values_at = (uint32_t)(*columns_at + parsed->chunk.times_bytes);
    *columns_at += (uint64_t)parsed->chunk.times_bytes + parsed->chunk.values_bytes;
    return *columns_at <= CH_SST_BLOCK_BYTES_MAX ? from : NULL;
}

static ch_status_t
parse_directory(ch_block_t *block, const ch_data_entry_t *entry, ch_bytes_t directory)
{
    const uint8_t *from = directory.data, *end = from + directory.size;
    int64_t time_min = ch_load_i64(block->bytes.data + CH_SST_BLOCK_TIME_MIN);
    uint64_t columns_at = entry->directory_end;
    uint32_t at = 0;
    for (uint32_t s = 0; s < entry->series; s++) {
        uint64_t run = 0;
        from = ch_varint_get_max(from, end, block->chunk_count - at, &run);
        if (!from || run == 0)
            return ch_fail(CH_ERR_CORRUPT, "bad chunk count of series %u", s);
        for (uint64_t i = 0; i < run; i++, at++) {
            from = parse_chunk(block, at, entry->first_rank + s, from, end, time_min,
                               &columns_at);
            if (!from)
                return ch_fail(CH_ERR_CORRUPT, "bad entry of chunk %u", at);
        }
    }
    if (from != end || at != block->chunk_count || columns_at != entry->bytes)
        return ch_fail(CH_ERR_CORRUPT, "directory and columns do not add up");
    return CH_OK;
}

ch_status_t
ch_block_parse(ch_block_t *block, const ch_data_entry_t *entry, uint64_t file_number,
               bool has_columns)
{
    const uint8_t *data = block->bytes.data;
    block->chunk_count = 0;
    block->has_columns = has_columns;
    ch_status_t status = check_block(data, entry, file_number, has_columns);
    if (status < 0)
        return status;
    ch_bytes_t directory;
    status = ch_sst_uncompress(ch_bytes(data + CH_SST_BLOCK_HEADER_BYTES,
                                        entry->directory_end - CH_SST_BLOCK_HEADER_BYTES),
                               ch_load_u32(data + CH_SST_BLOCK_DIRECTORY_RAW),
                               CH_SST_BLOCK_BYTES_MAX, &block->directory, &directory);
    if (status < 0)
        return status;
    uint32_t chunks = ch_load_u32(data + CH_SST_BLOCK_CHUNKS);
    if (chunks > directory.size / ENTRY_BYTES_MIN)
        return ch_fail(CH_ERR_CORRUPT, "%u chunks in a directory of %zu bytes", chunks,
                       directory.size);
    status = reserve_chunks(block, chunks);
    if (status < 0)
        return status;
    block->chunk_count = chunks;
    status = parse_directory(block, entry, directory);
    if (status < 0)
        block->chunk_count = 0;
    return status;
}

/* The first chunk whose rank is not below `rank`. */
static uint32_t
lower_bound(const ch_block_t *block, uint64_t rank)
{
    uint32_t low = 0, high = block->chunk_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (block->chunks[middle].rank < rank)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void
ch_block_find(const ch_block_t *block, uint32_t rank, uint32_t *from_out,
              uint32_t *to_out)
{
    *from_out = lower_bound(block, rank);
    *to_out = lower_bound(block, (uint64_t)rank + 1);
}

ch_status_t
ch_block_decode(const ch_block_t *block, const ch_block_chunk_t *chunk,
                ch_column_scratch_t *scratch, ch_points_t *points)
{
    const uint8_t *data = block->bytes.data;
    size_t before = points->count;
    ch_status_t status = ch_chunk_decode(
        scratch, &chunk->chunk, ch_bytes(data + chunk->times_at, chunk->times_bytes),
        ch_bytes(data + chunk->values_at, chunk->chunk.values_bytes), points);
    if (status < 0)
        return status;
    if (points->count != before + chunk->chunk.count ||
        points->times[before] != chunk->chunk.time_first ||
        points->times[points->count - 1] != chunk->chunk.time_last) {
        points->count = before;
        return ch_fail(CH_ERR_CORRUPT, "time column does not span what its entry says");
    }
    return CH_OK;
}
