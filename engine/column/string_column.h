/// String columns: lengths as an int column, then the bytes, Snappy-compressed when that is smaller
/// (docs/format/column.md, "String column"). Private to engine/column.
///
/// Owner    the encoder borrows the strings. The decoder's strings live in the run of points.
/// Threads  one a scratch.
#ifndef CH_COLUMN_STRING_COLUMN_H
#define CH_COLUMN_STRING_COLUMN_H

#include "column/chunk.h"

/// Upper bound for n strings of `bytes` bytes in all.
size_t ch_string_column_bytes_max(size_t n, size_t bytes);

/// The strings of list[0..count) (others are skipped; at least one). Returns the bytes written.
size_t ch_string_column_encode(ch_column_scratch_t *scratch, ch_column_level_t level,
                               const ch_value_t *list, size_t count, uint8_t *to);

/// n strings to the first n places of `out` whose type is CH_VALUE_STRING.
/// Errors: CH_ERR_CORRUPT, CH_ERR_LIMIT (no memory for what it holds).
ch_status_t ch_string_column_decode(ch_column_scratch_t *scratch, ch_bytes_t from,
                                    size_t n, ch_points_t *points, ch_value_t *out,
                                    size_t *used_out) CH_MUST_CHECK;

#endif
