/* estimate.c - bits per value, guessed from samples. */
#include "column/estimate.h"

#include "column/kernels.h"
#include "ch/assert.h"

int64_t
ch_estimate_median(const int64_t *x, size_t n, size_t strided)
{
    CH_ASSERT(strided <= CH_ESTIMATE_SAMPLES_MAX);
    int64_t samples[CH_ESTIMATE_SAMPLES_MAX + 8];
    size_t stride = (n + strided - 1) / strided, count = 0;
    for (size_t i = stride / 2; i < n; i += stride)
        samples[count++] = x[i];
    CH_ASSERT(count > 0);
    return ch_kernels()->median(samples, count);
}

double
ch_estimate_bits(const int64_t *x, size_t n, size_t strided)
{
    int64_t median = ch_estimate_median(x, n, strided);
    uint64_t total = ch_kernels()->spread(x, n, median);
    return (double)total / (double)n * 0x1p-23 - 127.0;
}
