/* bench_column.c - speed and size of the column codec, one thread.
 *
 * Each figure is the best of several runs over 64 columns that fit the caches. The table has one line
 * a data set, level and length: bytes per value, encode, decode per kernel level, in millions of values a
 * second, and nanoseconds a column for short ones. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ch/alloc.h"
#include "ch/limits.h"
#include "ch/rng.h"
#include "column/float_column.h"
#include "column/int_column.h"
#include "column/kernels.h"

enum { COLUMNS = 64, RUNS = 15, N_MAX = 4096 };

typedef struct columns {
    int64_t x[COLUMNS][N_MAX]; /* or the bits of doubles */
    uint8_t *bytes[COLUMNS];
    size_t sizes[COLUMNS];
    int64_t out[N_MAX + CH_POINTS_PAD];
    size_t n;
    bool floats;
    ch_column_level_t level;
    ch_column_scratch_t *scratch;
} columns_t;

static double
now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double
uniform(ch_rng_t *rng)
{
    return (double)(ch_rng_next(rng) >> 11) * 0x1p-53;
}

static double
normal(ch_rng_t *rng)
{
    return sqrt(-2 * log(uniform(rng) + 1e-300)) * cos(6.283185307179586 * uniform(rng));
}

/* ---- data ---- */

static void
fill_times(ch_rng_t *rng, int64_t *x, size_t n)
{
    int64_t start = INT64_C(1704067200000000000) + (int64_t)ch_rng_below(rng, 1000);
    for (size_t i = 0; i < n; i++)
        x[i] = start + (int64_t)i * INT64_C(10000000000);
}

static void
fill_jitter(ch_rng_t *rng, int64_t *x, size_t n)
{
    fill_times(rng, x, n);
    for (size_t i = 0; i < n; i++)
        x[i] += (int64_t)lrint(3 * normal(rng)) * 1000000;
}

static double
walk(ch_rng_t *rng, double x)
{
    return fmin(100, fmax(0, x + normal(rng)));
}

static void
fill_cpu(ch_rng_t *rng, int64_t *x, size_t n)
{
    double at = uniform(rng) * 100;
    for (size_t i = 0; i < n; i++)
        x[i] = (int64_t)(at = walk(rng, at));
}

static void
fill_counter(ch_rng_t *rng, int64_t *x, size_t n)
{
    int64_t at = (int64_t)ch_rng_below(rng, 1000000000);
    for (size_t i = 0; i < n; i++)
        x[i] = at += 900 + (int64_t)ch_rng_below(rng, 200);
}

static void
put_double(int64_t *slot, double value)
{
    memcpy(slot, &value, sizeof value);
}

static void
fill_cpu_float_integral(ch_rng_t *rng, int64_t *x, size_t n)
{
    fill_cpu(rng, x, n);
    for (size_t i = 0; i < n; i++)
        put_double(&x[i], (double)x[i]);
}

static void
fill_price(ch_rng_t *rng, int64_t *x, size_t n)
{
    double at = 2000 + floor(uniform(rng) * 50000);
    for (size_t i = 0; i < n; i++) {
        at = fmax(1, at + rint(normal(rng) * 6));
        put_double(&x[i], at / 100);
    }
}

static void
fill_noise(ch_rng_t *rng, int64_t *x, size_t n)
{
    double at = uniform(rng) * 100;
    for (size_t i = 0; i < n; i++)
        put_double(&x[i], at = walk(rng, at));
}

static void
fill_dirt(ch_rng_t *rng, int64_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (int k = 0; k < 5; k++)
            sum += rint((50 + 3 * normal(rng)) * 100) / 100;
        put_double(&x[i], sum / 5);
    }
}

/* ---- measuring ---- */

static void
encode_all(columns_t *columns)
{
    for (size_t c = 0; c < COLUMNS; c++) {
        if (columns->floats)
            columns->sizes[c] = ch_float_column_encode(
                columns->scratch, columns->level, (const double *)(void *)columns->x[c],
                columns->n, columns->bytes[c]);
        else
            columns->sizes[c] =
                ch_int_column_encode(columns->scratch, columns->level, columns->x[c],
                                     columns->n, columns->bytes[c]);
    }
}

static void
decode_all(columns_t *columns)
{
    size_t used;
    ch_status_t status = CH_OK;
    for (size_t c = 0; c < COLUMNS && status >= 0; c++) {
        ch_bytes_t from = ch_bytes(columns->bytes[c], columns->sizes[c]);
        if (columns->floats)
            status = ch_float_column_decode(columns->scratch, from, columns->n,
                                            (double *)(void *)columns->out, &used);
        else
            status = ch_int_column_decode(columns->scratch, from, columns->n,
                                          columns->out, &used);
    }
    if (status < 0)
        abort();
}

/* Nanoseconds per column in the best run: what else runs on the machine only adds. */
static double
measure(columns_t *columns, void (*work)(columns_t *))
{
    double best = INFINITY;
    unsigned repeats = columns->n < 100 ? 200 : 8;
    for (int run = 0; run < RUNS; run++) {
        double start = now_ns();
        for (unsigned i = 0; i < repeats; i++)
            work(columns);
        best = fmin(best, (now_ns() - start) / repeats / COLUMNS);
    }
    return best;
}

static void
report(columns_t *columns, const char *name, ch_column_level_t level)
{
    columns->level = level;
    double total = 0, values = (double)columns->n;
    encode_all(columns);
    for (size_t c = 0; c < COLUMNS; c++)
        total += (double)columns->sizes[c] / values / COLUMNS;
    double encode = measure(columns, encode_all);
    printf("%-16s %-5s %5zu %7.3f   %6.0f (%6.0f ns)", name,
           level == CH_COLUMN_DENSE ? "dense" : "fast", columns->n, total,
           values / encode * 1e3, encode);
    for (int kernels = 0; kernels < CH_KERNELS_LEVELS; kernels++) {
        if (!ch_kernels_force((ch_kernels_level_t)kernels)) {
            printf("      -            ");
            continue;
        }
        double decode = measure(columns, decode_all);
        printf("   %6.0f (%5.0f ns)", values / decode * 1e3, decode);
    }
    printf("\n");
}

/* What a flush pays for a short chunk: both columns, aggregates and the directory entry. */
static void
report_chunk(columns_t *columns, size_t n)
{
    static uint8_t times[N_MAX * 9 + 256], values[N_MAX * 18 + 256], entry[160];
    ch_rng_t rng;
    ch_points_t points = {0};
    double best = INFINITY;
    columns->level = CH_COLUMN_FAST;
    ch_rng_seed(&rng, 1);
    fill_cpu(&rng, columns->x[0], n);
    fill_times(&rng, columns->x[1], n);
    for (size_t i = 0; i < n; i++)
        ch_points_append(&points, columns->x[1][i], ch_value_int(columns->x[0][i]));
    size_t bytes = 0, repeats = 400000 / n;
    for (int run = 0; run < RUNS; run++) {
        double start = now_ns();
        for (size_t i = 0; i < repeats; i++) {
            ch_chunk_t chunk;
            ch_chunk_encode(columns->scratch, columns->level, &points, 0, n, times,
                            values, &chunk);
            bytes = (size_t)(ch_chunk_put(entry, &chunk, 0, 0) - entry) +
                    chunk.times_bytes + chunk.values_bytes;
        }
        best = fmin(best, (now_ns() - start) / (double)repeats);
    }
    printf("chunk of ints    fast  %5zu %7.3f   %6.0f (%6.0f ns)\n", n,
           (double)bytes / (double)n, (double)n / best * 1e3, best);
    ch_points_release(&points);
}

int
main(void)
{
    static const struct {
        const char *name;
        bool floats;
        void (*fill)(ch_rng_t *rng, int64_t *x, size_t n);
    } sets[] = {
        {"times regular", false, fill_times},
        {"times jitter", false, fill_jitter},
        {"cpu int", false, fill_cpu},
        {"counter int", false, fill_counter},
        {"cpu as float", true, fill_cpu_float_integral},
        {"price 2 digits", true, fill_price},
        {"averages, dirt", true, fill_dirt},
        {"float noise", true, fill_noise},
    };
    static const size_t lengths[] = {26, 120, 4096};
    columns_t *columns = ch_calloc(1, sizeof *columns);
    columns->scratch = ch_column_scratch_new();
    for (size_t c = 0; c < COLUMNS; c++)
        columns->bytes[c] =
            ch_calloc(1, ch_float_column_bytes_max(N_MAX) + CH_COLUMN_PAD);
    printf("M values/s (per column)            bytes/v    encode");
    printf("              portable            AVX2                AVX-512\n");
    for (size_t set = 0; set < sizeof sets / sizeof *sets; set++) {
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
            ch_rng_t rng;
            ch_rng_seed(&rng, 1 + set);
            columns->n = lengths[l];
            columns->floats = sets[set].floats;
            for (size_t c = 0; c < COLUMNS; c++)
                sets[set].fill(&rng, columns->x[c], columns->n);
            report(columns, sets[set].name, CH_COLUMN_FAST);
            if (columns->n >= 120)
                report(columns, sets[set].name, CH_COLUMN_DENSE);
        }
    }
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
        report_chunk(columns, lengths[l]);
    for (size_t c = 0; c < COLUMNS; c++)
        ch_free(columns->bytes[c]);
    ch_column_scratch_destroy(&columns->scratch);
    ch_free(columns);
    return 0;
}
