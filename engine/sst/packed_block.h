/// Packed blocks: checked, Snappy-compressed when that saves something
/// (docs/format/sstable.md, "Packed blocks"), and the growable buffer that blocks are read into.
///
/// Threads  a buffer belongs to one thread; the rest is pure.
#ifndef CH_SST_PACKED_BLOCK_H
#define CH_SST_PACKED_BLOCK_H

#include "ch/bytes.h"
#include "ch/series_key.h"
#include "ch/status.h"

/// Memory that is used again and again; CH_COLUMN_PAD bytes behind `capacity` may be read.
typedef struct ch_sst_buffer {
    uint8_t *data;
    size_t capacity;
} ch_sst_buffer_t;

/// Room for `size` bytes; what was there is lost. CH_ERR_LIMIT without memory.
ch_status_t ch_sst_buffer_reserve(ch_sst_buffer_t *buffer, size_t size) CH_MUST_CHECK;
void ch_sst_buffer_release(ch_sst_buffer_t *buffer);

/// Append the bytes to `out`, compressed when that makes them smaller by an eighth; returns the
/// bytes appended (as many as given: they are stored as they are).
size_t ch_sst_compress(ch_bytes_t raw, ch_text_t *out);

/// Undo ch_sst_compress. The result is `stored` itself or lies in `buffer`.
/// Errors: CH_ERR_CORRUPT (raw_bytes above raw_max or not what the bytes unpack to).
ch_status_t ch_sst_uncompress(ch_bytes_t stored, size_t raw_bytes, size_t raw_max,
                              ch_sst_buffer_t *buffer, ch_bytes_t *raw_out) CH_MUST_CHECK;

/// Append a packed block; returns its bytes.
size_t ch_packed_block_append(ch_bytes_t raw, bool compress, uint64_t seed,
                              ch_text_t *out);

/// Check a block and unpack it: *content_out is inside `block` or `buffer`.
/// Errors: CH_ERR_CORRUPT, CH_ERR_LIMIT.
ch_status_t ch_packed_block_open(ch_bytes_t block, uint64_t seed, size_t raw_max,
                                 ch_sst_buffer_t *buffer,
                                 ch_bytes_t *content_out) CH_MUST_CHECK;

#endif
