#include "ch/checksum.h"

#include "ch/alloc.h"

#include <xxhash.h>

struct ch_digest {
    XXH3_state_t *state;
};

uint64_t
ch_hash64(const void *data, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, size, seed);
}

uint32_t
ch_check32(const void *data, size_t size, uint64_t seed)
{
    return (uint32_t)XXH3_64bits_withSeed(data, size, seed);
}

uint64_t
ch_seed(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    const uint64_t words[4] = {a, b, c, d};
    return XXH3_64bits(words, sizeof words);
}

ch_digest_t *
ch_digest_new(void)
{
    ch_digest_t *digest = ch_calloc(1, sizeof *digest);
    digest->state = XXH3_createState();
    ch_digest_reset(digest);
    return digest;
}

void
ch_digest_reset(ch_digest_t *digest)
{
    (void)XXH3_128bits_reset(digest->state);
}

void
ch_digest_update(ch_digest_t *digest, const void *data, size_t size)
{
    (void)XXH3_128bits_update(digest->state, data, size);
}

void
ch_digest_value(const ch_digest_t *digest, uint8_t value_out[CH_DIGEST_BYTES])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(digest->state));
    memcpy(value_out, canonical.digest, CH_DIGEST_BYTES);
}

void
ch_digest_destroy(ch_digest_t **digest)
{
    if (!*digest)
        return;
    (void)XXH3_freeState((*digest)->state);
    ch_free(ch_take(digest));
}
