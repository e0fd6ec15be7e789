/* int_column_encode.c - choose how an int64 column is written, and write it.
 *
 * Problem  Clocks, counters, gauges and decimal digits all arrive as int64; each has another shape.
 * Idea     Take the best of four predictors, keep only what it gets wrong (the residuals), and pack
 *          those at one width; the few that are wider lose their high bits to a list of patches.
 * Example  10 20 30 41 50: distances to the first 10 20 31 40, factor 1. DELTA leaves
 *          10 10 11 9; less the minimum 9 that is 1 1 2 0, four values of two bits: one byte.
 * Steps    1  all differences equal (a regular clock, a constant): done in one pass.
 *          2  factor: greatest common divisor of the distances to x[0] (ns clocks with ms steps).
 *          3  predictor: bits per residual estimated on samples, cheaper inverses win ties.
 *          4  width: exact cost of every width from a histogram of bit lengths, once for
 *             distances to the minimum, once for zigzag around the median.
 *          5  at level DENSE: entropy coding, where its estimate beats that by 6 %.
 * Limits   One odd value spoils the factor for the whole column. Ties and penalties are fixed
 *          numbers, measured on the sets of bench/bench_column.c.
 */
#include "column/int_column.h"

#include "column/estimate.h"
#include "column/int_column_format.h"
#include "column/kernels.h"
#include "column/scratch.h"
#include "ch/assert.h"
#include "ch/coding.h"

enum {
    SMALL = 64, /* at most as many points: fewer samples, no sampling of the factor */
    SAMPLE_RUNS = 8, /* runs of consecutive points that are looked at ... */
    SAMPLE_RUN = 10, /* ... and their length; all points up to SAMPLES + 2 */
    SAMPLES = SAMPLE_RUNS * SAMPLE_RUN,
    FACTOR_SAMPLES = 24,
    LINE_POINTS_MIN = 16, /* a slope from fewer is noise */
    PATCH_BITS = 8,       /* a gap byte */
    PATCH_HEADER_BITS = 24,
    ENTROPY_POINTS_MIN = 96,
    ENTROPY_PERCENT_MAX = 94,
};

/* Estimated bits that must be gained to prefer a predictor over FOR: their inverses take longer. */
static const double predictor_penalty[CH_INT_PREDICTORS] = {0, 0.05, 0.15, 0.10};

typedef struct packing {
    uint64_t bits; /* of patches and words */
    unsigned width, high_width;
    size_t patches;
} packing_t;

typedef struct plan {
    uint64_t factor;
    uint64_t slope; /* LINE */
    unsigned predictor;
    int64_t median; /* of the sampled residuals */
    size_t residuals;
    int64_t base;
    bool zigzag;
    packing_t packing;
    bool entropy; /* tans instead of packing */
    ch_tans_plan_t tans;
} plan_t;

size_t
ch_int_column_bytes_max(size_t n)
{
    return CH_INT_COLUMN_BYTES_MAX(n);
}

static uint64_t
magnitude(int64_t value)
{
    return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

static int64_t
wrapping_difference(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

/* ---- factor ---- */

static uint64_t
gcd(uint64_t a, uint64_t b)
{
    if (!a || !b)
        return a | b;
    int shift = __builtin_ctzll(a | b);
    a >>= __builtin_ctzll(a);
    while (b) {
        b >>= __builtin_ctzll(b);
        uint64_t smaller = a < b ? a : b;
        b = a < b ? b - a : a - b;
        a = smaller;
    }
    return a << shift;
}

/* Exact division needs no divide: an odd divisor has an inverse modulo 2^64, and a quotient that is
 * too large was not exact (Granlund and Montgomery, "Division by Invariant Integers using
 * Multiplication", PLDI 1994). */
static uint64_t
inverse_of_odd(uint64_t odd)
{
    uint64_t inverse = odd * 3 ^ 2; /* 5 bits; each step doubles them */
    for (int i = 0; i < 4; i++)
        inverse *= 2 - odd * inverse;
    return inverse;
}

/* Greatest common divisor of all x[i] - x[0], 1 when there is none: guessed from samples, which settles
 * it when the guess is 1, then held against every value. */
static uint64_t
common_factor(const int64_t *x, size_t n)
{
    uint64_t factor = 0;
    size_t stride = n <= SMALL ? 1 : n / FACTOR_SAMPLES + 1;
    for (size_t i = 1; i < n && factor != 1; i += stride)
        factor = gcd(factor, magnitude(wrapping_difference(x[i], x[0])));
    for (size_t i = 1; i < n && factor != 1;) {
        uint64_t distance = magnitude(wrapping_difference(x[i], x[0]));
        if (factor == 0) { /* all before are equal to x[0] */
            factor = distance;
            i++;
            continue;
        }
        unsigned zeros = (unsigned)__builtin_ctzll(factor);
        uint64_t odd = factor >> zeros, low = (UINT64_C(1) << zeros) - 1;
        uint64_t inverse = inverse_of_odd(odd), quotient_max = ~UINT64_C(0) / odd;
        for (; i < n; i++) {
            distance = magnitude(wrapping_difference(x[i], x[0]));
            if ((distance & low) || (distance >> zeros) * inverse > quotient_max)
                break;
        }
        if (i < n)
            factor = gcd(factor, distance);
    }
    return factor == 0 || factor > UINT64_C(1) << 62 ? 1 : factor;
}

static void
scale(const int64_t *x, size_t n, uint64_t factor, int64_t *y)
{
    unsigned zeros = (unsigned)__builtin_ctzll(factor);
    uint64_t inverse = inverse_of_odd(factor >> zeros);
    if (factor == 1) {
        for (size_t i = 0; i < n; i++)
            y[i] = wrapping_difference(x[i], x[0]);
    } else {
        for (size_t i = 0; i < n; i++)
            y[i] =
                (int64_t)((uint64_t)(wrapping_difference(x[i], x[0]) >> zeros) * inverse);
    }
}

/* ---- predictor ---- */

static uint64_t
line_at(uint64_t slope, size_t i)
{
    return (i * slope) >> CH_INT_SLOPE_BITS;
}

/* The slope between the means of the two halves, in units of 2^-16; false when the column does not rise
 * or is too steep for them. */
static bool
fit_line(const int64_t *y, size_t n, uint64_t *slope_out)
{
    if (n < LINE_POINTS_MIN || y[n - 1] <= 0 || y[n - 1] >= INT64_C(1) << 45)
        return false;
    size_t half = n / 2;
    double low = 0, high = 0;
    for (size_t i = 0; i < half; i++) {
        low += (double)y[i];
        high += (double)y[n - half + i];
    }
    double slope = 65536.0 * (high - low) / ((double)half * (double)(n - half));
    if (!(slope >= 0 && slope <= 1e18))
        return false;
    *slope_out = (uint64_t)(slope + 0.5);
    return true;
}

typedef struct sample {
    size_t count;
    int64_t residuals[CH_INT_PREDICTORS][SAMPLES];
} sample_t;

static void
sample_add(sample_t *sample, const int64_t *y, size_t from, size_t to, uint64_t slope)
{
    size_t at = sample->count;
    for (size_t i = from; i < to; i++, at++) {
        uint64_t now = (uint64_t)y[i], before = (uint64_t)y[i - 1];
        sample->residuals[CH_INT_FOR][at] = y[i];
        sample->residuals[CH_INT_DELTA][at] = (int64_t)(now - before);
        sample->residuals[CH_INT_DELTA2][at] =
            (int64_t)(now - 2 * before + (uint64_t)y[i - 2]);
        sample->residuals[CH_INT_LINE][at] = (int64_t)(now - line_at(slope, i));
    }
    sample->count = at;
}

static void
choose_predictor(const int64_t *y, size_t n, plan_t *plan)
{
    sample_t sample = {.count = 0};
    bool usable[CH_INT_PREDICTORS] = {true, true, true, fit_line(y, n, &plan->slope)};
    if (n <= SAMPLES + 2) {
        sample_add(&sample, y, 2, n, plan->slope);
    } else {
        for (size_t run = 0; run < SAMPLE_RUNS; run++) {
            size_t from = 2 + (n - SAMPLE_RUN - 2) * run / (SAMPLE_RUNS - 1);
            sample_add(&sample, y, from, from + SAMPLE_RUN, plan->slope);
        }
    }
    uint64_t extra[CH_INT_PREDICTORS] = {0, 0, ch_zigzag(y[1]), plan->slope};
    size_t strided = n <= SMALL ? 7 : 15;
    double best = 1e30;
    for (unsigned p = 0; p < CH_INT_PREDICTORS; p++) {
        if (!usable[p])
            continue;
        double bits = ch_estimate_bits(sample.residuals[p], sample.count, strided);
        bits += predictor_penalty[p] +
                (extra[p] ? ch_varint_size(extra[p]) * 8.0 / (double)n : 0);
        if (bits < best - 1e-6) {
            best = bits;
            plan->predictor = p;
        }
    }
    plan->median = ch_estimate_median(sample.residuals[plan->predictor], sample.count,
                                      n <= SMALL ? 31 : SAMPLES);
}

static size_t
compute_residuals(const int64_t *y, size_t n, const plan_t *plan, int64_t *r)
{
    switch (plan->predictor) {
    case CH_INT_FOR:
        memcpy(r, y + 1, (n - 1) * sizeof *r);
        return n - 1;
    case CH_INT_DELTA:
        for (size_t i = 0; i + 1 < n; i++)
            r[i] = wrapping_difference(y[i + 1], y[i]);
        return n - 1;
    case CH_INT_DELTA2:
        for (size_t i = 0; i + 2 < n; i++)
            r[i] =
                (int64_t)((uint64_t)y[i + 2] - 2 * (uint64_t)y[i + 1] + (uint64_t)y[i]);
        return n - 2;
    default:
        for (size_t i = 0; i + 1 < n; i++)
            r[i] = (int64_t)((uint64_t)y[i + 1] - line_at(plan->slope, i + 1));
        return n - 1;
    }
}

/* ---- width ---- */

static uint64_t
to_word(int64_t residual, int64_t base, bool zigzag)
{
    int64_t distance = wrapping_difference(residual, base);
    return zigzag ? ch_zigzag(distance) : (uint64_t)distance;
}

/* The cheapest width. Patches have to gain 1 % and stay below a third of the words: they are slow. */
static packing_t
choose_width(const uint32_t counts[65], unsigned top, size_t m)
{
    packing_t best = {.bits = m * top, .width = top};
    uint64_t plain = best.bits;
    size_t patches = 0;
    for (unsigned width = top; width-- > 0;) {
        patches += counts[width + 1];
        if (patches > m / 3)
            break;
        uint64_t skips = patches < m / 255 ? m / 255 * 8 : 0;
        uint64_t bits =
            m * width + patches * (PATCH_BITS + top - width) + PATCH_HEADER_BITS + skips;
        if (bits < best.bits && bits * 100 < plain * 99)
            best = (packing_t){.bits = bits,
                               .width = width,
                               .high_width = top - width,
                               .patches = patches};
    }
    return best;
}

static void
choose_packing(const int64_t *r, size_t m, plan_t *plan)
{
    const ch_kernels_t *kernels = ch_kernels();
    uint32_t counts[65];
    int64_t min = kernels->summarize(r, m).min;
    unsigned top = kernels->count_lengths(r, m, min, false, counts);
    plan->packing = choose_width(counts, top, m);
    plan->base = min;
    top = kernels->count_lengths(r, m, plan->median, true, counts);
    packing_t zigzag = choose_width(counts, top, m);
    if (zigzag.bits < plan->packing.bits) {
        plan->packing = zigzag;
        plan->base = plan->median;
        plan->zigzag = true;
    }
}

/* ---- bytes ---- */

static uint8_t *
pack(uint8_t *to, const uint64_t *words, size_t n, unsigned width)
{
    if (width)
        ch_kernels()->pack(words, n, width, to);
    return to + (n * width + 7) / 8;
}

/* Move the high bits of wide words to the list of patches. */
static uint8_t *
put_patches(ch_column_scratch_t *scratch, const plan_t *plan, uint8_t *to)
{
    uint64_t mask = (UINT64_C(1) << plan->packing.width) - 1;
    size_t patches = 0, gaps = 0, last = 0;
    for (size_t i = 0; i < plan->residuals; i++) {
        if (scratch->words[i] <= mask)
            continue;
        size_t gap = i - last;
        for (; gap >= CH_INT_GAP_SKIP; gap -= CH_INT_GAP_SKIP)
            scratch->gaps[gaps++] = CH_INT_GAP_SKIP;
        scratch->gaps[gaps++] = (uint8_t)gap;
        scratch->high[patches++] = scratch->words[i] >> plan->packing.width;
        scratch->words[i] &= mask;
        last = i;
    }
    *to++ = (uint8_t)plan->packing.high_width;
    to = ch_varint_put(to, patches);
    to = ch_varint_put(to, gaps);
    memcpy(to, scratch->gaps, gaps);
    return pack(to + gaps, scratch->high, patches, plan->packing.high_width);
}

static uint8_t *
put_header(const int64_t *x, const int64_t *y, const plan_t *plan, uint8_t *to)
{
    unsigned kind = plan->entropy           ? CH_INT_KIND_TANS
                    : plan->packing.patches ? CH_INT_KIND_PATCH
                                            : CH_INT_KIND_PACK;
    *to++ = (uint8_t)(kind | plan->predictor << CH_INT_PREDICTOR_SHIFT |
                      (plan->factor > 1 ? CH_INT_HAS_FACTOR : 0u) |
                      (plan->zigzag ? CH_INT_ZIGZAG : 0u));
    to = ch_varint_put(to, ch_zigzag(x[0]));
    if (plan->factor > 1)
        to = ch_varint_put(to, plan->factor);
    if (plan->predictor == CH_INT_DELTA2)
        to = ch_varint_put(to, ch_zigzag(y[1]));
    if (plan->predictor == CH_INT_LINE)
        to = ch_varint_put(to, plan->slope);
    return ch_varint_put(to, ch_zigzag(plan->base));
}

static uint8_t *
put_column(ch_column_scratch_t *scratch, const int64_t *x, const plan_t *plan,
           uint8_t *to)
{
    for (size_t i = 0; i < plan->residuals; i++)
        scratch->words[i] = to_word(scratch->residuals[i], plan->base, plan->zigzag);
    to = put_header(x, scratch->scaled, plan, to);
    *to++ = (uint8_t)plan->packing.width;
    if (plan->packing.patches)
        to = put_patches(scratch, plan, to);
    return pack(to, scratch->words, plan->residuals, plan->packing.width);
}

/* Entropy coding takes three times as long to read, so it has to gain 6 %; what is shorter than its
 * tables is not tried. */
static bool
entropy_wins(const int64_t *r, plan_t *plan)
{
    return plan->residuals >= ENTROPY_POINTS_MIN &&
           ch_tans_plan(r, plan->residuals, plan->median, &plan->tans) &&
           plan->tans.bits * 100 < plan->packing.bits * ENTROPY_PERCENT_MAX;
}

/* The column entropy-coded; 0 when the estimate was wrong and packing is smaller after all. */
static size_t
put_entropy_coded(ch_column_scratch_t *scratch, const int64_t *x, plan_t plan,
                  uint8_t *to)
{
    plan.entropy = true;
    plan.base = plan.median;
    plan.zigzag = false;
    uint8_t *payload = put_header(x, scratch->scaled, &plan, to);
    size_t size = ch_tans_encode(scratch, scratch->residuals, plan.residuals, plan.base,
                                 &plan.tans, plan.packing.bits / 8, payload);
    return size ? (size_t)(payload - to) + size : 0;
}

/* Equal differences: no words at all. */
static uint8_t *
put_regular(const int64_t *x, uint8_t *to)
{
    int64_t step = wrapping_difference(x[1], x[0]);
    plan_t plan = {
        .factor = 1,
        .predictor = step ? CH_INT_DELTA : CH_INT_FOR,
        .base = step,
    };
    to = put_header(x, NULL, &plan, to);
    *to++ = 0;
    return to;
}

size_t
ch_int_column_encode(ch_column_scratch_t *scratch, ch_column_level_t level,
                     const int64_t *x, size_t n, uint8_t *to)
{
    CH_ASSERT(n >= 1);
    CH_ASSERT(n <= CH_CHUNK_POINTS_MAX);
    if (n == 1) {
        to[0] = 0;
        return (size_t)(ch_varint_put(to + 1, ch_zigzag(x[0])) - to);
    }
    if (ch_kernels()->is_regular(x, n))
        return (size_t)(put_regular(x, to) - to);
    plan_t plan = {.factor = common_factor(x, n)};
    scale(x, n, plan.factor, scratch->scaled);
    choose_predictor(scratch->scaled, n, &plan);
    plan.residuals = compute_residuals(scratch->scaled, n, &plan, scratch->residuals);
    choose_packing(scratch->residuals, plan.residuals, &plan);
    if (level == CH_COLUMN_DENSE && entropy_wins(scratch->residuals, &plan)) {
        size_t size = put_entropy_coded(scratch, x, plan, to);
        if (size)
            return size;
    }
    return (size_t)(put_column(scratch, x, &plan, to) - to);
}
