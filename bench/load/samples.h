/// Durations, and what they are like: all are kept, percentiles are exact.
///
/// Threads  one at a time; merge after the threads have ended.
#ifndef CH_BENCH_SAMPLES_H
#define CH_BENCH_SAMPLES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct ch_samples {
    int64_t *ns;
    size_t count, capacity;
} ch_samples_t;

void ch_samples_add(ch_samples_t *samples, int64_t ns);
void ch_samples_merge(ch_samples_t *samples, const ch_samples_t *other);
void ch_samples_release(ch_samples_t *samples);

/// Sorts, then prints {"count": n, "p50": ms, "p90": .., "p99": .., "max": ms}.
void ch_samples_print(ch_samples_t *samples, FILE *out);

int64_t ch_now_ns(void);

/// CPU time of this process so far, in seconds.
double ch_cpu_seconds(void);

#endif
