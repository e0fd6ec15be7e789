/// Float64 columns (docs/format/column.md): decimal, bit or dictionary mode, every bit kept.
#ifndef CH_COLUMN_FLOAT_COLUMN_H
#define CH_COLUMN_FLOAT_COLUMN_H

#include "column/chunk.h"

/// Upper bound of ch_float_column_encode's output.
size_t ch_float_column_bytes_max(size_t n);

/// Returns the bytes written.
size_t ch_float_column_encode(ch_column_scratch_t *scratch, ch_column_level_t level,
                              const double *v, size_t n, uint8_t *to);

/// As ch_int_column_decode.
ch_status_t ch_float_column_decode(ch_column_scratch_t *scratch, ch_bytes_t from,
                                   size_t n, double *v_out,
                                   size_t *used_out) CH_MUST_CHECK;

#endif
