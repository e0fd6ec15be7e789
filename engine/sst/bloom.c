#include "sst/bloom.h"

#include "ch/alloc.h"
#include "ch/assert.h"
#include "ch/checksum.h"
#include "ch/coding.h"

enum { LINE_BYTES = 64, HEADER_BYTES = 8, PROBES_MAX = 16, LINES_MAX = 1 << 26 };

struct ch_bloom {
    uint32_t probes;
    uint32_t lines;
    uint8_t *bits; /* aligned to a line, inside `memory` */
    uint8_t memory[];
};

uint64_t
ch_bloom_hash(ch_bytes_t name, ch_bytes_t labels)
{
    return ch_hash64(labels.data, labels.size, ch_hash64(name.data, name.size, 0));
}

/* NULL without memory. The bits are left as they come. */
static ch_bloom_t *
bloom_try_new(uint32_t lines, uint32_t probes)
{
    ch_bloom_t *bloom = ch_try_alloc(sizeof *bloom + ((size_t)lines + 1) * LINE_BYTES);
    if (!bloom)
        return NULL;
    uintptr_t at =
        ((uintptr_t)bloom->memory + LINE_BYTES - 1) & ~(uintptr_t)(LINE_BYTES - 1);
    *bloom = (ch_bloom_t){.probes = probes, .lines = lines, .bits = (uint8_t *)at};
    return bloom;
}

/* The best number of probes is bits_per_key * ln 2; one less costs little and saves a probe. */
static uint32_t
probes_of(unsigned bits_per_key)
{
    unsigned probes = bits_per_key * 69 / 100;
    return probes < 1 ? 1 : probes > PROBES_MAX ? PROBES_MAX : probes;
}

ch_bloom_t *
ch_bloom_new(uint64_t keys_expected, unsigned bits_per_key)
{
    uint64_t lines =
        (keys_expected * bits_per_key + LINE_BYTES * 8 - 1) / (LINE_BYTES * 8);
    lines = lines < 1 ? 1 : lines > LINES_MAX ? LINES_MAX : lines;
    ch_bloom_t *bloom = bloom_try_new((uint32_t)lines, probes_of(bits_per_key));
    CH_ASSERT(bloom);
    memset(bloom->bits, 0, (size_t)lines * LINE_BYTES);
    return bloom;
}

void
ch_bloom_destroy(ch_bloom_t **bloom)
{
    ch_free(*bloom);
    *bloom = NULL;
}

/* Where a key's bits are: its line, and the two words of double hashing. */
typedef struct probe {
    uint8_t *line;
    uint32_t at, step;
} probe_t;

static probe_t
probe_of(const ch_bloom_t *bloom, uint64_t hash)
{
    uint64_t mixed = hash * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t line = ((hash >> 32) * bloom->lines) >> 32;
    return (probe_t){.line = bloom->bits + line * LINE_BYTES,
                     .at = (uint32_t)mixed,
                     .step = (uint32_t)(mixed >> 32) | 1};
}

void
ch_bloom_add(ch_bloom_t *bloom, uint64_t hash)
{
    probe_t probe = probe_of(bloom, hash);
    for (uint32_t i = 0; i < bloom->probes; i++, probe.at += probe.step) {
        uint32_t bit = probe.at >> 23;
        probe.line[bit / 8] |= (uint8_t)(1u << (bit % 8));
    }
}

bool
ch_bloom_may_contain(const ch_bloom_t *bloom, uint64_t hash)
{
    probe_t probe = probe_of(bloom, hash);
    for (uint32_t i = 0; i < bloom->probes; i++, probe.at += probe.step) {
        uint32_t bit = probe.at >> 23;
        if (!(probe.line[bit / 8] & (1u << (bit % 8))))
            return false;
    }
    return true;
}

size_t
ch_bloom_image_bytes(const ch_bloom_t *bloom)
{
    return HEADER_BYTES + (size_t)bloom->lines * LINE_BYTES;
}

void
ch_bloom_encode(const ch_bloom_t *bloom, uint8_t *to)
{
    ch_store_u32(to, bloom->probes);
    ch_store_u32(to + 4, bloom->lines);
    memcpy(to + HEADER_BYTES, bloom->bits, (size_t)bloom->lines * LINE_BYTES);
}

ch_status_t
ch_bloom_decode(ch_bytes_t image, ch_bloom_t **bloom_out)
{
    if (image.size < HEADER_BYTES)
        return ch_fail(CH_ERR_CORRUPT, "filter of %zu bytes", image.size);
    uint32_t probes = ch_load_u32(image.data);
    uint32_t lines = ch_load_u32(image.data + 4);
    if (probes < 1 || probes > PROBES_MAX)
        return ch_fail(CH_ERR_CORRUPT, "filter with %u probes", probes);
    if (lines < 1 || lines > LINES_MAX ||
        image.size != HEADER_BYTES + (size_t)lines * LINE_BYTES)
        return ch_fail(CH_ERR_CORRUPT, "filter of %zu bytes says %u lines", image.size,
                       lines);
    ch_bloom_t *bloom = bloom_try_new(lines, probes);
    if (!bloom)
        return ch_fail(CH_ERR_LIMIT, "no memory for a filter of %zu bytes", image.size);
    memcpy(bloom->bits, image.data + HEADER_BYTES, image.size - HEADER_BYTES);
    *bloom_out = bloom;
    return CH_OK;
}
