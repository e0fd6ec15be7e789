#include "ch/limits.h"

ch_limits_t
ch_limits_default(void)
{
    return (ch_limits_t){
        .batch_bytes = 4u << 20,
        .batch_points = 100000,
        .key_bytes = 1024,
        .labels = 32,
        .request_bytes = 1u << 20,
        .reply_bytes = 8u << 20,
        .series = 5000000,
        .producer_series = 1000000,
        .producers = 100000,
        .query_samples = 50000000,
        .query_memory = 32u << 20,
        .query_timeout_ms = 30000,
    };
}
