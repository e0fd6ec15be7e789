/// The index of a sorted table: where its blocks are and what they hold
/// (docs/format/sstable.md, "Index"). It stays in memory while a table is open.
///
/// Threads  a builder belongs to one thread; an index is immutable once decoded.
#ifndef CH_SST_SSTABLE_INDEX_H
#define CH_SST_SSTABLE_INDEX_H

#include "sst/data_block.h"
#include "sst/key_block.h"

typedef struct ch_dictionary_entry {
    uint64_t offset;
    uint32_t bytes;
    uint32_t entries;
    uint32_t first;       /* number of its first text */
    ch_bytes_t separator; /* not above its first text, above the last one before */
} ch_dictionary_entry_t;

typedef struct ch_key_entry {
    uint64_t offset;
    uint32_t bytes;
    ch_key_pair_t first;
} ch_key_entry_t;

typedef struct ch_dictionary_index {
    ch_dictionary_entry_t *blocks;
    uint32_t block_count;
    uint32_t texts;
} ch_dictionary_index_t;

enum { CH_SST_DICTIONARY_HEADS = 0, CH_SST_DICTIONARY_TAILS = 1 };

typedef struct ch_sst_index {
    ch_data_entry_t *data;
    uint32_t data_count;
    ch_dictionary_index_t dictionaries[2];
    ch_key_entry_t *keys;
    uint32_t key_count;
    uint64_t series; /* in all data blocks */
    uint64_t end;    /* where the last block ends */
} ch_sst_index_t;

/// Decode an index; separators point into `content`, which must live as long.
/// Errors: CH_ERR_CORRUPT, CH_ERR_LIMIT.
ch_status_t ch_sst_index_decode(ch_bytes_t content,
                                ch_sst_index_t *index_out) CH_MUST_CHECK;
void ch_sst_index_release(ch_sst_index_t *index);

/// Entries in block order.
typedef struct ch_sst_index_builder {
    ch_text_t data, dictionaries[2], keys;
    uint64_t data_count, dictionary_counts[2], key_count;
    uint64_t time_min; /* of the data entry before */
} ch_sst_index_builder_t;

void ch_sst_index_builder_release(ch_sst_index_builder_t *builder);
void ch_sst_index_builder_data(ch_sst_index_builder_t *builder,
                               const ch_data_entry_t *entry);
void ch_sst_index_builder_dictionary(ch_sst_index_builder_t *builder, int which,
                                     size_t bytes, uint32_t entries,
                                     ch_bytes_t separator);
void ch_sst_index_builder_keys(ch_sst_index_builder_t *builder, size_t bytes,
                               ch_key_pair_t first);
void ch_sst_index_builder_close(const ch_sst_index_builder_t *builder, ch_text_t *out);

#endif
