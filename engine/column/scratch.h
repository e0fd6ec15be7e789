/// Work memory of the column codec. Private to engine/column.
///
/// Layout   one block of arrays of CH_CHUNK_POINTS_MAX slots plus slack for vector stores. Who uses
///          what is said beside each: an encoder that calls another must not share its arrays.
#ifndef CH_COLUMN_SCRATCH_H
#define CH_COLUMN_SCRATCH_H

#include <stdbool.h>

#include "column/chunk.h"
#include "column/tans.h"
#include "ch/limits.h"

enum {
    CH_SCRATCH_SLOTS = CH_CHUNK_POINTS_MAX + 64,
    CH_SCRATCH_HASH_SLOTS = 2 * CH_CHUNK_POINTS_MAX,
    CH_SCRATCH_GAPS = CH_CHUNK_POINTS_MAX + CH_CHUNK_POINTS_MAX / 255 + 64,
};

/* Upper bound of an int column: the headers, m slots of 64 bits, gap bytes that only skip. */
#define CH_INT_COLUMN_BYTES_MAX(n) ((size_t)(n)*8 + (size_t)(n) / 128 + 80)

struct ch_column_scratch {
    /* int columns */
    int64_t scaled[CH_SCRATCH_SLOTS];    /* y: distances to x[0], divided by the factor */
    int64_t residuals[CH_SCRATCH_SLOTS]; /* r */
    uint64_t words[CH_SCRATCH_SLOTS];    /* u: what is packed */
    uint64_t high[CH_SCRATCH_SLOTS];     /* high parts of patched words */
    uint8_t gaps[CH_SCRATCH_GAPS];       /* distances between patches */
    uint16_t tans_tokens[CH_SCRATCH_SLOTS];
    uint16_t tans_steps[CH_SCRATCH_SLOTS];
    ch_tans_decoder_t tans;
    uint8_t tans_symbols[CH_SCRATCH_SLOTS];

    /* float columns */
    int64_t decimals[CH_SCRATCH_SLOTS];    /* d, or sortable bits */
    int64_t corrections[CH_SCRATCH_SLOTS]; /* a */
    int64_t ranks[CH_SCRATCH_SLOTS];
    int64_t dictionary[CH_SCRATCH_SLOTS];
    uint64_t hash_keys[CH_SCRATCH_HASH_SLOTS];
    int32_t hash_ranks[CH_SCRATCH_HASH_SLOTS]; /* -1: free */
    uint8_t trial[2 * CH_INT_COLUMN_BYTES_MAX(CH_CHUNK_POINTS_MAX) + 64];
    bool decimal_exact; /* of the last float column encoded: v[i] == decimals[i] / 10^e */
    unsigned decimal_exponent; /* e */

    /* chunks */
    int64_t values
        [CH_SCRATCH_SLOTS]; /* gathered or decoded ints, floats' bits, bools, lengths */
    int64_t tags[CH_SCRATCH_SLOTS];
    uint8_t *bytes; /* gathered or decompressed strings, bytes_capacity long */
    size_t bytes_capacity;
};

/// Make room for `size` bytes in scratch->bytes. False when the memory is not to be had.
bool ch_column_scratch_bytes(ch_column_scratch_t *scratch, size_t size);

#endif
