/* float_column_encode.c - choose how a column of doubles is written, and write it.
 *
 * Problem  Most doubles of the field were decimals once ("21.7", "0.35", 4096): as bits they look
 *          like noise, as integers they are small and smooth. But no bit may be lost.
 * Idea     v is d / 10^e, rounded by one IEEE division, for a small integer d; where it is not (a sum
 *          with rounding dirt, NaN, -0.0, infinity) the difference in bits goes to a second column,
 *          which costs next to nothing when it is rare. One exponent per column.
 * Example  ... 1.5 2.25 -0.0 ...: e = 2, d = 150 225 0, corrections 0 0 INT64_MIN (the sign bit).
 * Others   BITS for full-precision noise: bits in an order that integers have too, so that
 *          neighbours are near. DICTIONARY where few patterns repeat (converters with odd
 *          calibration, status codes), kept only when it is smaller.
 * Steps    All integers: e = 0, found in one pass. Otherwise samples decide: for each exponent the
 *          digits it costs and the corrections it leaves; then decimals against bits.
 */
#include "column/float_column.h"

#include <stdlib.h>

#include "column/estimate.h"
#include "column/float_column_format.h"
#include "column/int_column.h"
#include "column/kernels.h"
#include "column/scratch.h"
#include "ch/assert.h"
#include "ch/coding.h"

enum {
    SMALL = 64,     /* at most as many points: two runs of samples, no dictionary */
    RUN = 8,        /* samples come in runs of consecutive values ... */
    RUNS = 8,       /* ... so many of them ... */
    RUNS_SMALL = 2, /* ... or so many */
    SAMPLES = RUN * RUNS,
    STRIDED = 15, /* for medians */
    SEARCH_EXPONENT_MAX = 15,
    FAR_BITS = 44,       /* a correction that wide is no rounding dirt */
    CORRECTION_BITS = 3, /* what a correction costs beyond its bits */
    DICTIONARY_SMALL = 32,
};

static const double BITS_PER_DIGIT = 3.3219; /* log2(10) */
static const double DICTIONARY_BITS_MIN = 0.7, DICTIONARY_BITS_NOISE = 14;

typedef struct plan {
    bool decimal;
    unsigned exponent;
    double bits; /* estimated bits per value */
} plan_t;

double
ch_float_power(unsigned exponent)
{
    static const double powers[CH_FLOAT_EXPONENT_MAX + 1] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
        1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
    CH_ASSERT(exponent <= CH_FLOAT_EXPONENT_MAX);
    return powers[exponent];
}

size_t
ch_float_column_bytes_max(size_t n)
{
    return 1 + 2 * CH_INT_COLUMN_BYTES_MAX(n);
}

/* Decimals of all values: those that have none repeat the one before, so that they cost the integer
 * column nothing. Returns the OR of the corrections. */
static uint64_t
to_decimals(const double *v, size_t n, unsigned exponent, int64_t *d,
            int64_t *corrections)
{
    double power = ch_float_power(exponent);
    size_t outside;
    uint64_t any = ch_kernels()->to_decimal(v, n, power, d, corrections, &outside);
    if (!outside)
        return any;
    int64_t before = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(__builtin_fabs(v[i] * power) <= 0x1p51)) {
            double repeated = (double)before / power;
            uint64_t correction = ch_load_u64(&v[i]) - ch_load_u64(&repeated);
            d[i] = before;
            corrections[i] = (int64_t)correction;
            any |= correction;
        }
        before = d[i];
    }
    return any;
}

static void
to_sortable(const double *v, size_t n, int64_t *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (int64_t)ch_float_sortable(ch_load_u64(&v[i]));
}

/* ---- choice ---- */

static size_t
take_samples(const double *v, size_t n, double *samples)
{
    size_t runs = n <= SMALL ? RUNS_SMALL : RUNS;
    if (n <= runs * RUN) {
        memcpy(samples, v, n * sizeof *v);
        return n;
    }
    for (size_t run = 0; run < runs; run++)
        memcpy(samples + run * RUN, v + (n - RUN) * run / (runs - 1), RUN * sizeof *v);
    return runs * RUN;
}

/* Bits per sample, the better of distances and differences within runs. */
static double
estimate(const int64_t *x, size_t count)
{
    int64_t differences[SAMPLES];
    size_t k = 0;
    for (size_t i = 0; i < count; i++)
        if (i % RUN)
            differences[k++] = (int64_t)((uint64_t)x[i] - (uint64_t)x[i - 1]);
    double bits = ch_estimate_bits(x, count, STRIDED);
    double delta_bits = k ? ch_estimate_bits(differences, k, STRIDED) : bits;
    return bits < delta_bits ? bits : delta_bits;
}

/* Mean bits that corrections would take at this exponent; negative when too many samples are no
 * decimals of so few digits at all. */
static double
correction_bits(const double *samples, size_t count, unsigned exponent)
{
    int64_t d[SAMPLES], corrections[SAMPLES];
    size_t total = 0, far = 0;
    if (to_decimals(samples, count, exponent, d, corrections) == 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        unsigned bits = corrections[i] ? ch_bit_length(ch_zigzag(corrections[i])) : 0;
        total += bits ? bits + CORRECTION_BITS : 0;
        far += bits > FAR_BITS;
    }
    return far * 3 > count ? -1 : (double)total / (double)count;
}

static plan_t
choose(const double *v, size_t n)
{
    double samples[SAMPLES];
    int64_t x[SAMPLES], unused[SAMPLES];
    size_t count = take_samples(v, n, samples);
    plan_t plan = {.bits = 1e30};
    double corrections = 0;
    for (unsigned e = 0; e <= SEARCH_EXPONENT_MAX; e++) {
        double bits = correction_bits(samples, count, e);
        if (bits < 0)
            continue;
        if (BITS_PER_DIGIT * e + bits < plan.bits - 0.01) {
            plan = (plan_t){true, e, BITS_PER_DIGIT * e + bits};
            corrections = bits;
        }
        if (bits == 0)
            break;
    }
    if (plan.decimal) {
        to_decimals(samples, count, plan.exponent, x, unused);
        plan.bits = estimate(x, count) + corrections;
        if (plan.bits < 1)
            return plan;
    }
    to_sortable(samples, count, x);
    double bits = estimate(x, count);
    return plan.decimal && plan.bits <= bits ? plan : (plan_t){.bits = bits};
}

/* Integers throughout, such as counts: nothing to search. */
static bool
are_integers(ch_column_scratch_t *scratch, const double *v, size_t n)
{
    size_t outside, probe = n < RUN ? n : RUN;
    const ch_kernels_t *kernels = ch_kernels();
    if (kernels->to_decimal(v, probe, 1, scratch->decimals, scratch->corrections,
                            &outside))
        return false;
    return !kernels->to_decimal(v, n, 1, scratch->decimals, scratch->corrections,
                                &outside);
}

/* ---- dictionary ---- */

static size_t
hash_slot(uint64_t bits, unsigned hash_bits)
{
    return (size_t)((bits * UINT64_C(0x9E3779B97F4A7C15)) >> (64 - hash_bits));
}

/* The slot that holds the pattern, or the free one where it belongs. */
static size_t
hash_find(const ch_column_scratch_t *scratch, uint64_t bits, unsigned hash_bits)
{
    size_t mask = ((size_t)1 << hash_bits) - 1, slot = hash_slot(bits, hash_bits);
    while (scratch->hash_ranks[slot] >= 0 && scratch->hash_keys[slot] != bits)
        slot = (slot + 1) & mask;
    return slot;
}

/* Distinct patterns to scratch->dictionary; 0 when there are more than `cap`. */
static size_t
collect_distinct(ch_column_scratch_t *scratch, const double *v, size_t n, size_t cap,
                 unsigned hash_bits)
{
    size_t distinct = 0;
    memset(scratch->hash_ranks, 0xff, ((size_t)1 << hash_bits) * sizeof(int32_t));
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = ch_load_u64(&v[i]);
        size_t slot = hash_find(scratch, bits, hash_bits);
        if (scratch->hash_ranks[slot] >= 0)
            continue;
        if (distinct == cap)
            return 0;
        scratch->hash_keys[slot] = bits;
        scratch->hash_ranks[slot] = (int32_t)distinct;
        scratch->dictionary[distinct++] = (int64_t)ch_float_sortable(bits);
    }
    return distinct;
}

static int
compare_ints(const void *a, const void *b)
{
    int64_t x = ch_load_i64(a), y = ch_load_i64(b);
    return (x > y) - (x < y);
}

static void
rank_values(ch_column_scratch_t *scratch, const double *v, size_t n, size_t distinct,
            unsigned hash_bits)
{
    qsort(scratch->dictionary, distinct, sizeof(int64_t), compare_ints);
    for (size_t i = 0; i < distinct; i++) {
        uint64_t bits = ch_float_sortable((uint64_t)scratch->dictionary[i]);
        scratch->hash_ranks[hash_find(scratch, bits, hash_bits)] = (int32_t)i;
    }
    for (size_t i = 0; i < n; i++)
        scratch->ranks[i] =
            scratch->hash_ranks[hash_find(scratch, ch_load_u64(&v[i]), hash_bits)];
}

/* How many patterns a dictionary may have: half of the values where they look like noise, else fewer than
 * a quarter of the integers that the decimals span. 0: not worth trying. */
static size_t
dictionary_cap(const ch_column_scratch_t *scratch, size_t n, const plan_t *plan)
{
    if (n < SMALL || plan->bits <= DICTIONARY_BITS_MIN)
        return 0;
    if (plan->bits > DICTIONARY_BITS_NOISE)
        return n / 2;
    unsigned range_bits = 64;
    if (scratch->decimal_exact) {
        ch_int_summary_t summary = ch_kernels()->summarize(scratch->decimals, n);
        range_bits = ch_bit_length((uint64_t)summary.max - (uint64_t)summary.min);
    }
    if (range_bits < 3)
        return 0;
    return range_bits >= 7 ? DICTIONARY_SMALL : (size_t)1 << (range_bits - 2);
}

/* Size of the column as a dictionary, in scratch->trial; 0 when that is no gain. */
static size_t
try_dictionary(ch_column_scratch_t *scratch, ch_column_level_t level, const double *v,
               size_t n, const plan_t *plan)
{
    size_t cap = dictionary_cap(scratch, n, plan);
    if (!cap)
        return 0;
    unsigned hash_bits = 4;
    while ((size_t)1 << hash_bits < 2 * cap)
        hash_bits++;
    size_t distinct = collect_distinct(scratch, v, n, cap, hash_bits);
    if (!distinct)
        return 0;
    double rank_bits = 0.9 * ch_bit_length(distinct) * (double)n;
    double plain_bits = 0.9 * plan->bits * (double)n;
    if (distinct > DICTIONARY_SMALL &&
        (double)distinct * plan->bits + rank_bits >= plain_bits)
        return 0;
    rank_values(scratch, v, n, distinct, hash_bits);
    uint8_t *to = scratch->trial;
    *to++ = CH_FLOAT_DICTIONARY << CH_FLOAT_MODE_SHIFT;
    to = ch_varint_put(to, distinct);
    to += ch_int_column_encode(scratch, level, scratch->dictionary, distinct, to);
    to += ch_int_column_encode(scratch, level, scratch->ranks, n, to);
    return (size_t)(to - scratch->trial);
}

/* ---- bytes ---- */

static uint8_t *
put_bits(ch_column_scratch_t *scratch, ch_column_level_t level, const double *v, size_t n,
         uint8_t *to)
{
    to_sortable(v, n, scratch->decimals);
    *to++ = CH_FLOAT_BITS << CH_FLOAT_MODE_SHIFT;
    return to + ch_int_column_encode(scratch, level, scratch->decimals, n, to);
}

static uint8_t *
put_decimals(ch_column_scratch_t *scratch, ch_column_level_t level, size_t n,
             const plan_t *plan, uint8_t *to)
{
    *to++ = (uint8_t)(plan->exponent |
                      (scratch->decimal_exact ? 0u : CH_FLOAT_HAS_CORRECTIONS));
    to += ch_int_column_encode(scratch, level, scratch->decimals, n, to);
#ifdef CH_FAULT_COLUMN_CORRECTIONS_ZERO
    memset(scratch->corrections, 0, n * sizeof *scratch->corrections);
#endif
    if (!scratch->decimal_exact)
        to += ch_int_column_encode(scratch, level, scratch->corrections, n, to);
    return to;
}

/* A wrong guess from the samples costs at most what the bits would have. */
static size_t
put_column(ch_column_scratch_t *scratch, ch_column_level_t level, const double *v,
           size_t n, const plan_t *plan, uint8_t *to)
{
    if (!plan->decimal)
        return (size_t)(put_bits(scratch, level, v, n, to) - to);
    size_t size = (size_t)(put_decimals(scratch, level, n, plan, to) - to);
    if (scratch->decimal_exact || size <= 8 * n)
        return size;
    return (size_t)(put_bits(scratch, level, v, n, to) - to);
}

size_t
ch_float_column_encode(ch_column_scratch_t *scratch, ch_column_level_t level,
                       const double *v, size_t n, uint8_t *to)
{
    CH_ASSERT(n >= 1);
    CH_ASSERT(n <= CH_CHUNK_POINTS_MAX);
    bool integers = are_integers(scratch, v, n);
    plan_t plan = integers && n <= SMALL ? (plan_t){.decimal = true} : choose(v, n);
    if (integers) {
        plan.decimal = true;
        plan.exponent = 0;
    }
    scratch->decimal_exponent = plan.exponent;
    scratch->decimal_exact = integers;
    if (plan.decimal && !integers)
        scratch->decimal_exact =
            !to_decimals(v, n, plan.exponent, scratch->decimals, scratch->corrections);
    size_t trial = try_dictionary(scratch, level, v, n, &plan);
    size_t size = put_column(scratch, level, v, n, &plan, to);
    if (trial && trial < size) {
        memcpy(to, scratch->trial, trial);
        size = trial;
    }
    return size;
}
