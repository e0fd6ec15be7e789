#include "support/column_sets.h"

#include <math.h>
#include <string.h>

/* ---- random numbers ---- */

static double
uniform(ch_rng_t *rng)
{
    return (double)(ch_rng_next(rng) >> 11) * 0x1p-53;
}

static double
normal(ch_rng_t *rng)
{
    double u = uniform(rng), v = uniform(rng);
    return sqrt(-2 * log(u < 1e-300 ? 1e-300 : u)) * cos(6.283185307179586 * v);
}

static double
day(size_t i)
{
    return sin((double)i / 1375.0);
}

static double
from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- values ---- */

static void
fill_walk(ch_rng_t *rng, double *v, size_t n)
{
    double x = uniform(rng) * 100;
    for (size_t i = 0; i < n; i++) {
        x = fmin(100, fmax(0, x + normal(rng)));
        v[i] = x;
    }
}

static void
fill_cpu_int(ch_rng_t *rng, double *v, size_t n)
{
    fill_walk(rng, v, n);
    for (size_t i = 0; i < n; i++)
        v[i] = trunc(v[i]);
}

static void
fill_net_disk(ch_rng_t *rng, double *v, size_t n)
{
    double x = 0, step = (double[]){5, 50, 100}[ch_rng_below(rng, 3)];
    for (size_t i = 0; i < n; i++) {
        x += fabs(normal(rng) + step);
        v[i] = trunc(x);
    }
}

static void
fill_memory(ch_rng_t *rng, double *v, size_t n)
{
    double total = 8.0 * 1024 * 1024 * 1024, x = uniform(rng) * total;
    for (size_t i = 0; i < n; i++) {
        x = fmin(total, fmax(0, x + normal(rng) * total / 64));
        v[i] = trunc(x);
    }
}

static void
fill_memory_percent(ch_rng_t *rng, double *v, size_t n)
{
    fill_memory(rng, v, n);
    for (size_t i = 0; i < n; i++)
        v[i] = 100.0 * (v[i] / (8.0 * 1024 * 1024 * 1024));
}

static void
fill_counter(ch_rng_t *rng, double *v, size_t n)
{
    double x = floor(uniform(rng) * 1e9), rate = 20 + uniform(rng) * 2000;
    for (size_t i = 0; i < n; i++) {
        double now = rate * (1.2 + day(i));
        x += fmax(0, floor(now + sqrt(now) * normal(rng) + 0.5));
        x = uniform(rng) < 1e-4 ? 0 : x;
        v[i] = x;
    }
}

static void
fill_cpu_seconds(ch_rng_t *rng, double *v, size_t n)
{
    double x = floor(uniform(rng) * 1e8), use = uniform(rng);
    for (size_t i = 0; i < n; i++) {
        x += trunc(fmax(0, 1000 * use + 60 * normal(rng)));
        v[i] = x / 100;
    }
}

static void
fill_mostly_constant(ch_rng_t *rng, double *v, size_t n)
{
    double x = floor(uniform(rng) * 1e6) / 100;
    for (size_t i = 0; i < n; i++) {
        if (uniform(rng) < 0.005)
            x = floor(x * 100 + normal(rng) * 300) / 100;
        v[i] = x;
    }
}

static void
fill_noise(ch_rng_t *rng, double *v, size_t n)
{
    double base = 10 + uniform(rng) * 40;
    for (size_t i = 0; i < n; i++)
        v[i] = base + 5 * day(i) + 0.5 * normal(rng);
}

static void
fill_float32(ch_rng_t *rng, double *v, size_t n)
{
    fill_noise(rng, v, n);
    for (size_t i = 0; i < n; i++)
        v[i] = (double)(float)v[i];
}

static void
fill_converter(ch_rng_t *rng, double *v, size_t n)
{
    double gain = 0.0123456789 * (1 + uniform(rng)), offset = uniform(rng);
    for (size_t i = 0; i < n; i++)
        v[i] = floor(1000 + 300 * day(i) + 6 * normal(rng)) * gain + offset;
}

static void
fill_latency(ch_rng_t *rng, double *v, size_t n)
{
    double mean = 6 + uniform(rng) * 3;
    for (size_t i = 0; i < n; i++)
        v[i] = floor(exp(mean + 0.4 * normal(rng)));
}

static void
fill_up_or_down(ch_rng_t *rng, double *v, size_t n)
{
    double x = 1;
    for (size_t i = 0; i < n; i++) {
        x = uniform(rng) < 0.02 ? 1 - x : x;
        v[i] = x;
    }
}

static void
fill_http_status(ch_rng_t *rng, double *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double u = uniform(rng);
        v[i] = u < 0.9 ? 200 : u < 0.95 ? 304 : u < 0.98 ? 404 : u < 0.995 ? 500 : 503;
    }
}

static void
fill_price(ch_rng_t *rng, double *v, size_t n)
{
    double x = floor(2000 + uniform(rng) * 50000);
    for (size_t i = 0; i < n; i++) {
        x = fmax(1, x + rint(normal(rng) * 6));
        v[i] = x / 100;
    }
}

static void
fill_temperature(ch_rng_t *rng, double *v, size_t n)
{
    double base = 15 + uniform(rng) * 10;
    for (size_t i = 0; i < n; i++)
        v[i] = rint((base + 6 * day(i) + 0.15 * normal(rng)) * 10) / 10;
}

/* Averages of decimals, with the dirt that summing leaves. */
static void
fill_averages(ch_rng_t *rng, double *v, size_t n)
{
    double base = 20 + uniform(rng) * 60;
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (int k = 0; k < 5; k++)
            sum += rint((base + 3 * normal(rng)) * 100) / 100;
        v[i] = sum / 5;
    }
}

/* Decimals among NaN with payloads, infinities, -0.0, denormals and huge values. */
static void
fill_special(ch_rng_t *rng, double *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double u = uniform(rng), x = rint((50 + 10 * normal(rng)) * 100) / 100;
        uint64_t bits = ch_rng_next(rng);
        v[i] = u < 0.002   ? from_bits(UINT64_C(0x7ff8000000000000) | (bits & 0xffff))
               : u < 0.003 ? (double)INFINITY
               : u < 0.004 ? (double)-INFINITY
               : u < 0.006 ? -0.0
               : u < 0.007 ? 5e-324 * (double)(1 + (bits & 255))
               : u < 0.008 ? 1.7e308
               : u < 0.010 ? from_bits(UINT64_C(0xfff0000000000002))
                           : x;
    }
}

static void
fill_any_bits(ch_rng_t *rng, double *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        v[i] = from_bits(ch_rng_next(rng));
}

static void
fill_zeros(ch_rng_t *rng, double *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        v[i] = ch_rng_below(rng, 3) ? -0.0 : 0.0;
}

static void
fill_denormals(ch_rng_t *rng, double *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        v[i] = from_bits(ch_rng_next(rng) & UINT64_C(0x800fffffffffffff));
}

/* Nothing but what is no number. */
static void
fill_nans(ch_rng_t *rng, double *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        v[i] = from_bits(ch_rng_next(rng) | UINT64_C(0x7ff0000000000001));
}

/* Integers round 2^51, where decimals end, and 2^53, where integers do. */
static void
fill_brink(ch_rng_t *rng, double *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double edge = ch_rng_below(rng, 2) ? 0x1p51 : 0x1p53;
        v[i] = (ch_rng_below(rng, 2) ? edge : -edge) + (double)ch_rng_below(rng, 9) - 4;
    }
}

const ch_float_set_t ch_float_sets[] = {
    {"tsbs_cpu_int", 0.40, 0.3, fill_cpu_int},
    {"tsbs_cpu_float", 6.6, 0, fill_walk},
    {"tsbs_net_disk", 0.40, 0.3, fill_net_disk},
    {"tsbs_mem_bytes", 3.9, 0, fill_memory},
    {"tsbs_mem_pct", 5.9, 0, fill_memory_percent},
    {"counter_reqs", 1.25, 0, fill_counter},
    {"counter_cpu_secs", 1.1, 0, fill_cpu_seconds},
    {"gauge_mostly_const", 0.03, 0, fill_mostly_constant},
    {"sensor_noise_f64", 6.5, 0, fill_noise},
    {"sensor_f32", 2.8, 0, fill_float32},
    {"sensor_adc", 1.05, 0.98, fill_converter},
    {"latency_int_us", 1.95, 0, fill_latency},
    {"status_bool", 0.05, 0, fill_up_or_down},
    {"status_http", 0.21, 0.14, fill_http_status},
    {"price_2dec", 0.70, 0.64, fill_price},
    {"temp_1dec", 0.50, 0.44, fill_temperature},
    {"avg3_ulp_dirt", 1.95, 1.85, fill_averages},
    {"special_mix", 1.85, 0, fill_special},
    {"any_bits", 8.1, 0, fill_any_bits},
    {"zeros", 0.4, 0, fill_zeros},
    {"denormals", 8.1, 0, fill_denormals},
    {"nans", 8.1, 0, fill_nans},
    {"brink", 8.1, 0, fill_brink},
};
const size_t ch_float_set_count = sizeof ch_float_sets / sizeof *ch_float_sets;

/* ---- times and integers ---- */

static const int64_t START_NS = INT64_C(1704067200000000000), SECOND_NS = 1000000000;

static void
fill_regular(ch_rng_t *rng, int64_t *x, size_t n)
{
    int64_t step = (int64_t)(1 + ch_rng_below(rng, 600)) * SECOND_NS;
    for (size_t i = 0; i < n; i++)
        x[i] = START_NS + (int64_t)i * step;
}

static void
fill_jitter_ms(ch_rng_t *rng, int64_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = START_NS + (int64_t)i * 10 * SECOND_NS +
               (int64_t)lrint(3 * normal(rng)) * 1000000;
}

static void
fill_jitter_us(ch_rng_t *rng, int64_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = START_NS + (int64_t)i * 10 * SECOND_NS +
               (int64_t)lrint(50 * normal(rng)) * 1000;
}

static void
fill_drift(ch_rng_t *rng, int64_t *x, size_t n)
{
    int64_t t = START_NS;
    for (size_t i = 0; i < n; i++) {
        x[i] = t;
        t += 10 * SECOND_NS + (int64_t)fabs(2 * normal(rng)) * 1000000;
    }
}

static void
fill_gaps(ch_rng_t *rng, int64_t *x, size_t n)
{
    int64_t t = START_NS;
    for (size_t i = 0; i < n; i++) {
        x[i] = t;
        t += 10 * SECOND_NS;
        while (uniform(rng) < 0.01)
            t += 10 * SECOND_NS;
        if (uniform(rng) < 0.0005)
            t += (int64_t)ch_rng_below(rng, 500) * 10 * SECOND_NS;
    }
}

static void
fill_events(ch_rng_t *rng, int64_t *x, size_t n)
{
    double t = 0;
    for (size_t i = 0; i < n; i++) {
        x[i] = START_NS + (int64_t)t * 1000000;
        t += 1 - 1000 * log(1 - uniform(rng));
    }
}

static void
fill_any(ch_rng_t *rng, int64_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (int64_t)ch_rng_next(rng);
}

static void
fill_extremes(ch_rng_t *rng, int64_t *x, size_t n)
{
    const int64_t edges[] = {INT64_MIN, INT64_MAX, 0, -1, INT64_MIN + 1};
    for (size_t i = 0; i < n; i++)
        x[i] = edges[ch_rng_below(rng, 5)];
}

static void
fill_all_widths(ch_rng_t *rng, int64_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (int64_t)(ch_rng_next(rng) >> ch_rng_below(rng, 64));
}

static void
fill_one_width(ch_rng_t *rng, int64_t *x, size_t n)
{
    unsigned shift = (unsigned)ch_rng_below(rng, 64);
    for (size_t i = 0; i < n; i++)
        x[i] = (int64_t)(ch_rng_next(rng) >> shift);
}

/* Far outliers, more than 255 apart: gaps that need skips. */
static void
fill_rare_outliers(ch_rng_t *rng, int64_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (int64_t)(i % 700 == 699 ? ch_rng_next(rng) >> 1 : ch_rng_below(rng, 4));
}

static void
fill_multiples(ch_rng_t *rng, int64_t *x, size_t n)
{
    int64_t factor = (int64_t)(1 + ch_rng_below(rng, 1000000)),
            at = (int64_t)ch_rng_next(rng) >> 8;
    for (size_t i = 0; i < n; i++)
        x[i] = at + (int64_t)ch_rng_below(rng, 1000) * factor - 500 * factor;
}

/* Distances to the first of 0 and 2^63 and little else: factors at the edge of 64 bits. */
static void
fill_half_turns(ch_rng_t *rng, int64_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = i < n / 2
                   ? 7
                   : (int64_t)(7 + (ch_rng_below(rng, 3) << 62) + (i == n - 1 ? 6 : 0));
}

static void
fill_steps_down(ch_rng_t *rng, int64_t *x, size_t n)
{
    int64_t at = (int64_t)(ch_rng_next(rng) >> 20);
    for (size_t i = 0; i < n; i++)
        x[i] = at -= (int64_t)ch_rng_below(rng, 5) << 29;
}

static void
fill_constant(ch_rng_t *rng, int64_t *x, size_t n)
{
    int64_t value = (int64_t)ch_rng_next(rng);
    for (size_t i = 0; i < n; i++)
        x[i] = value;
}

/* Speed grows evenly: second differences are constant. */
static void
fill_parabola(ch_rng_t *rng, int64_t *x, size_t n)
{
    int64_t growth = (int64_t)(1 + ch_rng_below(rng, 9));
    for (size_t i = 0; i < n; i++)
        x[i] = (int64_t)(i * i) * growth;
}

const ch_int_set_t ch_int_sets[] = {
    {"regular", 0.006, 0, fill_regular},
    {"jitter_ms", 0.56, 0.5, fill_jitter_ms},
    {"jitter_us", 1.06, 0, fill_jitter_us},
    {"drift", 0.36, 0.29, fill_drift},
    {"gaps", 0.05, 0.04, fill_gaps},
    {"events", 1.6, 0, fill_events},
    {"constant", 0.006, 0, fill_constant},
    {"parabola", 0.006, 0, fill_parabola},
    {"rare_outliers", 0.30, 0, fill_rare_outliers},
    {"multiples", 1.4, 0, fill_multiples},
    {"steps_down", 0.5, 0.33, fill_steps_down},
    {"half_turns", 0, 0, fill_half_turns},
    {"any", 0, 0, fill_any},
    {"extremes", 0, 0, fill_extremes},
    {"all_widths", 0, 0, fill_all_widths},
    {"one_width", 0, 0, fill_one_width},
};
const size_t ch_int_set_count = sizeof ch_int_sets / sizeof *ch_int_sets;
