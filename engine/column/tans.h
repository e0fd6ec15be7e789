/// Entropy coding of residuals: tANS over logarithmic bins (docs/format/column.md, "TANS").
/// Private to engine/column.
///
/// Shape    m residuals, 1 <= m <= CH_CHUNK_POINTS_MAX, as distances from a base.
/// Source   J. Duda, "Asymmetric numeral systems", arXiv 1311.2540; the table construction is that of
///          Y. Collet's Finite State Entropy.
#ifndef CH_COLUMN_TANS_H
#define CH_COLUMN_TANS_H

#include <stdbool.h>
#include <stddef.h>

#include "ch/status.h"
#include "column/tans_format.h"

struct ch_column_scratch;

/// How residuals would be coded, and what that costs.
typedef struct ch_tans_plan {
    unsigned subdivision; /* s */
    unsigned log;         /* L */
    uint64_t bits;        /* estimated size of the payload */
} ch_tans_plan_t;

/// Estimate the size around `base`. False when the residuals do not suit: fewer than two tokens, or
/// too many.
bool ch_tans_plan(const int64_t *residuals, size_t m, int64_t base,
                  ch_tans_plan_t *plan_out);

/// Write the payload; returns its bytes, or 0 (and `to` is as it was) when they would not be less
/// than bytes_max. Uses words and high of the scratch.
size_t ch_tans_encode(struct ch_column_scratch *scratch, const int64_t *residuals,
                      size_t m, int64_t base, const ch_tans_plan_t *plan,
                      size_t bytes_max, uint8_t *to);

/// What a symbol stands for, ready for addition: distance = low + (raw bits ^ sign).
typedef struct ch_tans_symbol {
    uint64_t low;
    uint64_t sign; /* all ones below the base */
    uint64_t extra;
} ch_tans_symbol_t;

enum { CH_TANS_VECTOR_SYMBOLS = 128 };

/// A payload taken apart, as the kernels read it.
typedef struct ch_tans_decoder {
    /* By state: the next state without its new bits << 16, symbol << 8, number of new bits. */
    uint32_t entries[CH_TANS_TABLE_MAX];
    unsigned log;
    unsigned symbol_count;
    unsigned extra_max; /* of all symbols */
    ch_tans_symbol_t symbols[CH_TANS_SYMBOLS_MAX];
    /* Of the first symbols the same in bytes: head with bit 7 for the sign; extra bits. */
    uint8_t heads[CH_TANS_VECTOR_SYMBOLS];
    uint8_t extras[CH_TANS_VECTOR_SYMBOLS];
    const uint8_t *streams; /* A, then B */
    size_t stream_bytes[CH_TANS_STREAMS];
    const uint8_t *offsets; /* raw bits: up to the end of what is there */
    size_t offset_bytes;
} ch_tans_decoder_t;

/// Read a payload at *at, which then stands behind it: u[i] = distance of residual i from the base.
/// Uses tans and tans_symbols of the scratch. Errors: CH_ERR_CORRUPT.
ch_status_t ch_tans_decode(struct ch_column_scratch *scratch, const uint8_t **at,
                           const uint8_t *end, uint64_t *u, size_t m) CH_MUST_CHECK;

#endif
