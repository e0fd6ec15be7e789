/// XXH3 hashes (libxxhash): checks of blocks and groups, hashes of keys, digests of segments.
///
/// Threads  pure functions; a ch_digest_t belongs to one thread.
#ifndef CH_CHECKSUM_H
#define CH_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include "ch/bytes.h"

#define CH_DIGEST_BYTES 16

/// XXH3-64 of the bytes under `seed`.
uint64_t ch_hash64(const void *data, size_t size, uint64_t seed);

/// Low 32 bits of ch_hash64.
uint32_t ch_check32(const void *data, size_t size, uint64_t seed);

/// Mix up to four words into a seed, so that a block at the wrong place never validates.
uint64_t ch_seed(uint64_t a, uint64_t b, uint64_t c, uint64_t d);

/// Streaming XXH3-128 (canonical, big-endian bytes), for whole segments.
typedef struct ch_digest ch_digest_t;
ch_digest_t *ch_digest_new(void);
void ch_digest_reset(ch_digest_t *digest);
void ch_digest_update(ch_digest_t *digest, const void *data, size_t size);
void ch_digest_value(const ch_digest_t *digest, uint8_t value_out[CH_DIGEST_BYTES]);
void ch_digest_destroy(ch_digest_t **digest);

#endif
