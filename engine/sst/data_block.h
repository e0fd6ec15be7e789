/// Data blocks: chunks of neighbouring series behind a directory
/// (docs/format/sstable.md, "Data block").
///
/// Threads  a builder and a block belong to one thread.
#ifndef CH_SST_DATA_BLOCK_H
#define CH_SST_DATA_BLOCK_H

#include "column/chunk.h"
#include "sst/packed_block.h"
#include "sst/sstable_format.h"

/// What the index says of a data block.
typedef struct ch_data_entry {
    uint64_t offset;
    uint32_t bytes;
    uint32_t directory_end; /* bytes up to the end of the directory */
    uint32_t first_rank;
    uint32_t series;
    bool continues; /* first_rank is also the last rank of the block before */
    int64_t time_min, time_max;
} ch_data_entry_t;

typedef struct ch_block_builder ch_block_builder_t;

ch_block_builder_t *ch_block_builder_new(ch_column_level_t level);
void ch_block_builder_destroy(ch_block_builder_t **builder);

/// Encode points [from, to), at most CH_CHUNK_POINTS_MAX of them, as a chunk. `rank`: the series,
/// not below the last one's.
void ch_block_builder_add(ch_block_builder_t *builder, ch_column_scratch_t *scratch,
                          uint32_t rank, const ch_points_t *points, size_t from,
                          size_t to);

/// Add a chunk that is encoded already: its entry, its times and values, as another block has them.
void ch_block_builder_pass(ch_block_builder_t *builder, uint32_t rank,
                           const ch_chunk_t *chunk, ch_bytes_t times, ch_bytes_t values);

uint32_t ch_block_builder_chunks(const ch_block_builder_t *builder);
bool ch_block_builder_full(const ch_block_builder_t *builder);

/// Append the block to `out`, as it will stand at `offset`, and begin the next one.
/// *entry_out is filled but for `continues`.
void ch_block_builder_close(ch_block_builder_t *builder, uint64_t file_number,
                            uint64_t offset, ch_text_t *out, ch_data_entry_t *entry_out);

/// A chunk in a block read: what its entry says, and where its columns are in the block.
typedef struct ch_block_chunk {
    ch_chunk_t chunk;
    uint32_t rank;
    uint32_t times_at, times_bytes; /* its own or the shared time column */
    uint32_t values_at;
} ch_block_chunk_t;

/// A block in memory: its bytes, its directory unpacked and parsed.
typedef struct ch_block {
    ch_sst_buffer_t bytes;
    ch_sst_buffer_t directory;
    ch_block_chunk_t *chunks;
    uint32_t chunk_count;
    uint32_t chunk_capacity;
    bool has_columns; /* they were read and checked too */
} ch_block_t;

void ch_block_release(ch_block_t *block);

/// Check and parse what was read into block->bytes: the whole block, or only up to
/// entry->directory_end. Errors: CH_ERR_CORRUPT, CH_ERR_LIMIT.
ch_status_t ch_block_parse(ch_block_t *block, const ch_data_entry_t *entry,
                           uint64_t file_number, bool has_columns) CH_MUST_CHECK;

/// The chunks of a series: [*from_out, *to_out), may be empty.
void ch_block_find(const ch_block_t *block, uint32_t rank, uint32_t *from_out,
                   uint32_t *to_out);

/// Append a chunk's points. Needs the columns. Errors: CH_ERR_CORRUPT.
ch_status_t ch_block_decode(const ch_block_t *block, const ch_block_chunk_t *chunk,
                            ch_column_scratch_t *scratch,
                            ch_points_t *points) CH_MUST_CHECK;

#endif
