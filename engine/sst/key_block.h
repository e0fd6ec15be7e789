/// Key blocks: the (head, tail) numbers of the series of a table, in key order
/// (docs/format/sstable.md, "Key block").
///
/// Threads  pure functions.
#ifndef CH_SST_KEY_BLOCK_H
#define CH_SST_KEY_BLOCK_H

#include "ch/series_key.h"
#include "sst/sstable_format.h"

/// A key as numbers of the two dictionaries; pairs compare like keys.
typedef struct ch_key_pair {
    uint32_t head, tail;
} ch_key_pair_t;

static inline int
ch_key_pair_compare(ch_key_pair_t a, ch_key_pair_t b)
{
    if (a.head != b.head)
        return a.head < b.head ? -1 : 1;
    return (a.tail > b.tail) - (a.tail < b.tail);
}

/// Append the content of a block of `count` pairs, 1 to CH_SST_KEY_BLOCK_SERIES, to `out`.
void ch_key_block_encode(const ch_key_pair_t *pairs, size_t count, ch_text_t *out);

/// Decode a block that must hold exactly `count` pairs, rising, below the numbers given.
/// Errors: CH_ERR_CORRUPT.
ch_status_t ch_key_block_decode(ch_bytes_t content, size_t count, uint32_t heads,
                                uint32_t tails, ch_key_pair_t *pairs_out) CH_MUST_CHECK;

#endif
