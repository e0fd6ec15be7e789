/// What a handful of samples says about the width of a column. Private to engine/column.
#ifndef CH_COLUMN_ESTIMATE_H
#define CH_COLUMN_ESTIMATE_H

#include <stddef.h>
#include <stdint.h>

#include "column/kernels.h"

/// Bits of a number without its leading zeros: 0 for 0, 64 for the largest.
static inline unsigned
ch_bit_length(uint64_t value)
{
    return 64 - (unsigned)__builtin_clzll(value | 1) - (value == 0);
}

enum { CH_ESTIMATE_SAMPLES_MAX = CH_MEDIAN_MAX };

/// Median of at most `strided` (<= CH_ESTIMATE_SAMPLES_MAX) evenly spaced samples out of n >= 1.
int64_t ch_estimate_median(const int64_t *x, size_t n, size_t strided);

/// Bits a value would take: the mean of log2(1 + 2 |x - median|).
double ch_estimate_bits(const int64_t *x, size_t n, size_t strided);

#endif
