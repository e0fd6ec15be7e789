/// Int64 columns (docs/format/column.md): predictor, residuals, bit-packing with patches or
/// entropy coding.
///
/// Shape    x[n], 1 <= n <= CH_CHUNK_POINTS_MAX. Output buffers of decoders need n + CH_POINTS_PAD
///          slots; inputs have CH_COLUMN_PAD readable bytes behind.
#ifndef CH_COLUMN_INT_COLUMN_H
#define CH_COLUMN_INT_COLUMN_H

#include "column/chunk.h"

/// Upper bound of ch_int_column_encode's output.
size_t ch_int_column_bytes_max(size_t n);

/// Returns the bytes written.
size_t ch_int_column_encode(ch_column_scratch_t *scratch, ch_column_level_t level,
                            const int64_t *x, size_t n, uint8_t *to);

/// *used_out: bytes consumed. Errors: CH_ERR_CORRUPT; x_out is then undefined.
ch_status_t ch_int_column_decode(ch_column_scratch_t *scratch, ch_bytes_t from, size_t n,
                                 int64_t *x_out, size_t *used_out) CH_MUST_CHECK;

#endif
