/// Bloom filter over the series keys of one sorted table: "surely absent" or "maybe present".
///
/// Shape    lines of 512 bits, one line a key, so that a question costs one cache miss.
/// Units    bits_per_key: bits per distinct key; 10 gives about 1 % false positives.
/// Source   Kirsch and Mitzenmacher, "Less Hashing, Same Performance", ESA 2006; lines: Putze,
///          Sanders and Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", WEA 2007.
/// Threads  build on one thread; immutable afterwards, free to share.
#ifndef CH_SST_BLOOM_H
#define CH_SST_BLOOM_H

#include "ch/bytes.h"
#include "ch/status.h"

typedef struct ch_bloom ch_bloom_t;

/// The hash that filters work with; the key is never built whole.
uint64_t ch_bloom_hash(ch_bytes_t name, ch_bytes_t labels);

ch_bloom_t *ch_bloom_new(uint64_t keys_expected, unsigned bits_per_key);
void ch_bloom_destroy(ch_bloom_t **bloom);
void ch_bloom_add(ch_bloom_t *bloom, uint64_t hash);
bool ch_bloom_may_contain(const ch_bloom_t *bloom, uint64_t hash);

/// The filter as stored (docs/format/sstable.md, "Filter"): size, then the bytes.
size_t ch_bloom_image_bytes(const ch_bloom_t *bloom);
void ch_bloom_encode(const ch_bloom_t *bloom, uint8_t *to);

/// Decode a filter. `image` is copied; the caller destroys *bloom_out.
/// Errors: CH_ERR_CORRUPT (length or probe count), CH_ERR_LIMIT (no memory for it).
ch_status_t ch_bloom_decode(ch_bytes_t image, ch_bloom_t **bloom_out) CH_MUST_CHECK;

#endif
