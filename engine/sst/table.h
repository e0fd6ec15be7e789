/// An open sorted table, as the parts of the reader see it, and the memory a thread reads with.
///
/// Memory   a table keeps its index and its filter. The scratch of the thread that reads remembers the
///          newest block of each kind, so neighbours in key order cost nothing; behind it is the cache
///          of blocks that all threads share, if the table was given one; behind that ch_sst_load.
/// Threads  a table is immutable; a scratch belongs to the thread that borrowed it.
#ifndef CH_SST_TABLE_H
#define CH_SST_TABLE_H

#include "sst/block_cache.h"
#include "sst/bloom.h"
#include "sst/dictionary.h"
#include "sst/sstable.h"
#include "sst/sstable_index.h"

enum { CH_TABLE_MAGIC = 0x62747373 };

struct ch_sstable {
    uint32_t magic;
    uint64_t id; /* of this opening: what blocks in scratch memory are known by */
    ch_file_t *file;
    char *path;
    ch_sstable_info_t info;
    uint64_t filter_offset, filter_bytes;
    uint64_t index_offset;
    uint32_t index_bytes;
    ch_sst_buffer_t index_stored, index_unpacked; /* separators point here */
    ch_sst_index_t index;
    ch_bloom_t *bloom;
    ch_block_cache_t *cache; /* NULL: none */
    char *damage;            /* why nothing of it can be read; NULL: it was opened */
};

/// Which block is in some memory; table 0: none.
typedef struct ch_block_place {
    uint64_t table, offset;
} ch_block_place_t;

typedef struct ch_dictionary_block {
    ch_block_place_t place;
    ch_sst_buffer_t stored, unpacked;
    ch_cached_t *held; /* the cursor's content, when it is the cache's */
    ch_dictionary_cursor_t cursor;
} ch_dictionary_block_t;

typedef struct ch_key_block {
    ch_block_place_t place;
    ch_sst_buffer_t stored, unpacked;
    uint32_t count;
    ch_key_pair_t pairs[CH_SST_KEY_BLOCK_SERIES];
} ch_key_block_t;

typedef struct ch_sst_scratch {
    ch_dictionary_block_t dictionaries[2];
    ch_key_block_t keys;
    ch_block_place_t block_place;
    ch_block_t block; /* what is read: the memory is the next one's or the cache's */
    ch_block_t own;   /* what blocks are loaded into */
    ch_cached_t *held_block; /* `block`, when it is the cache's */
    ch_column_scratch_t *column;
    ch_points_t points; /* of a chunk of which a part is wanted */
    ch_text_t text;
} ch_sst_scratch_t;

/// Borrow the thread's scratch (a fresh one when it is lent already) and give it back.
ch_sst_scratch_t *ch_sst_scratch_borrow(void);
void ch_sst_scratch_return(ch_sst_scratch_t *scratch);

/// Read bytes [offset, offset + size) of the file to buffer->data. The only door of blocks from
/// disk to memory. Errors: CH_ERR_IO, CH_ERR_CORRUPT (file too short), CH_ERR_LIMIT.
ch_status_t ch_sst_load(const ch_sstable_t *sstable, uint64_t offset, size_t size,
                        ch_sst_buffer_t *buffer) CH_MUST_CHECK;

/// Say in which file and where a failure was found; returns `status`.
ch_status_t ch_sst_blame(const ch_sstable_t *sstable, ch_status_t status,
                         const char *what, uint64_t offset, uint64_t size);

/// CH_ERR_CORRUPT of one that could not be opened.
ch_status_t ch_sst_check_opened(const ch_sstable_t *sstable) CH_MUST_CHECK;

/// Load, check and unpack a packed block.
ch_status_t ch_sst_load_packed(const ch_sstable_t *sstable, unsigned kind,
                               uint64_t offset, uint32_t size, ch_sst_buffer_t *stored,
                               ch_sst_buffer_t *unpacked,
                               ch_bytes_t *content_out) CH_MUST_CHECK;

/// Have block `at` of a kind in the scratch.
ch_status_t ch_sst_dictionary_block(const ch_sstable_t *sstable, int which, uint32_t at,
                                    ch_dictionary_block_t *block) CH_MUST_CHECK;
ch_status_t ch_sst_key_block(const ch_sstable_t *sstable, uint32_t at,
                             ch_key_block_t *block) CH_MUST_CHECK;
ch_status_t ch_sst_data_block(const ch_sstable_t *sstable, uint32_t at, bool with_columns,
                              ch_sst_scratch_t *scratch) CH_MUST_CHECK;

/// The rank of a series: CH_OK, CH_NOT_FOUND, CH_ERR_IO, CH_ERR_CORRUPT.
ch_status_t ch_sst_find(const ch_sstable_t *sstable, ch_sst_scratch_t *scratch,
                        ch_bytes_t name, ch_bytes_t labels,
                        uint32_t *rank_out) CH_MUST_CHECK;

/// Keys by rank, best in order. `kept_bytes`: what unpacked blocks of the dictionaries may take. The
/// texts are valid until the next call.
typedef struct ch_key_walk ch_key_walk_t;
ch_key_walk_t *ch_key_walk_new(const ch_sstable_t *sstable, size_t kept_bytes);
void ch_key_walk_destroy(ch_key_walk_t **walk);
ch_status_t ch_key_walk_to(ch_key_walk_t *walk, uint32_t rank, ch_bytes_t *name_out,
                           ch_bytes_t *labels_out) CH_MUST_CHECK;

/// The data blocks that hold chunks of a rank: [*from_out, *to_out), never empty.
void ch_sst_blocks_of(const ch_sstable_t *sstable, uint32_t rank, uint32_t *from_out,
                      uint32_t *to_out);

#endif
