#include "samples.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "ch/alloc.h"

void
ch_samples_add(ch_samples_t *samples, int64_t ns)
{
    if (samples->count == samples->capacity) {
        samples->capacity = samples->capacity ? samples->capacity * 2 : 4096;
        samples->ns = ch_realloc(samples->ns, samples->capacity * sizeof *samples->ns);
    }
    samples->ns[samples->count++] = ns;
}

void
ch_samples_merge(ch_samples_t *samples, const ch_samples_t *other)
{
    for (size_t i = 0; i < other->count; i++)
        ch_samples_add(samples, other->ns[i]);
}

void
ch_samples_release(ch_samples_t *samples)
{
    ch_free(samples->ns);
    *samples = (ch_samples_t){0};
}

static int
compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Nearest rank, in ms. */
static double
percentile(const ch_samples_t *samples, double share)
{
    size_t rank = (size_t)(share * (double)samples->count);
    rank = rank < samples->count ? rank : samples->count - 1;
    return samples->count ? (double)samples->ns[rank] / 1e6 : 0;
}

void
ch_samples_print(ch_samples_t *samples, FILE *out)
{
    if (samples->count)
        qsort(samples->ns, samples->count, sizeof *samples->ns, compare);
    fprintf(
        out,
        "{\"count\": %zu, \"p50\": %.4f, \"p90\": %.4f, \"p99\": %.4f, \"max\": %.4f}",
        samples->count, percentile(samples, 0.5), percentile(samples, 0.9),
        percentile(samples, 0.99), percentile(samples, 1));
}

int64_t
ch_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

double
ch_cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}
