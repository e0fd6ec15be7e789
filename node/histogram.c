#include "histogram.h"

size_t
ch_histogram_bucket(uint64_t value)
{
    if (value < 8)
        return (size_t)value;
    unsigned power = 63 - (unsigned)__builtin_clzll(value); /* 3 to 63 */
    return 8 + (size_t)(power - 3) * 8 + (size_t)((value >> (power - 3)) & 7);
}

uint64_t
ch_histogram_bound(size_t bucket)
{
    if (bucket < 8)
        return bucket;
    unsigned power = (unsigned)((bucket - 8) / 8) + 3;
    uint64_t step = UINT64_C(1) << (power - 3);
    return (UINT64_C(1) << power) + step * ((bucket - 8) % 8) + (step - 1);
}

void
ch_histogram_record(ch_histogram_t *histogram, uint64_t value)
{
    atomic_fetch_add_explicit(&histogram->buckets[ch_histogram_bucket(value)], 1,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum, value, memory_order_relaxed);
    uint64_t max = atomic_load_explicit(&histogram->max, memory_order_relaxed);
    while (value > max &&
           !atomic_compare_exchange_weak_explicit(
               &histogram->max, &max, value, memory_order_relaxed, memory_order_relaxed))
        continue;
}

uint64_t
ch_histogram_percentile(const ch_histogram_t *histogram, double share)
{
    uint64_t total = 0, seen = 0;
    for (size_t i = 0; i < CH_HISTOGRAM_BUCKETS; i++)
        total += atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
    if (total == 0)
        return 0;
    uint64_t wanted = (uint64_t)(share * (double)total);
    for (size_t i = 0; i < CH_HISTOGRAM_BUCKETS; i++) {
        seen += atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
        if (seen > wanted || seen == total)
            return ch_histogram_bound(i);
    }
    return ch_histogram_bound(CH_HISTOGRAM_BUCKETS - 1);
}
