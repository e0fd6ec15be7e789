/// Inner loops of the column codec, compiled for several instruction sets; chosen once.
///
/// Shape    a table of functions per level. All levels give the same bits for the same input;
///          on CPUs other than x86-64 the portable level is the whole implementation.
/// Units    n counts 64-bit slots. Arithmetic on slots is modulo 2^64.
/// Slack    `unpack` may write up to 7 slots behind n and read up to CH_COLUMN_PAD bytes behind
///          its input; the others touch exactly n slots.
/// Threads  pure functions; the choice is made at first use, whichever thread comes first.
/// Source   horizontal bit-packing with byte shuffles: Lemire and Boytsov, "Decoding billions of
///          integers per second through vectorization", SPE 2015.
#ifndef CH_COLUMN_KERNELS_H
#define CH_COLUMN_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ch_tans_decoder;

enum { CH_MEDIAN_MAX = 80, CH_PACK_SLACK = 8 };

typedef enum {
    CH_KERNELS_PORTABLE,
    CH_KERNELS_AVX2,
    CH_KERNELS_AVX512,
    CH_KERNELS_LEVELS
} ch_kernels_level_t;

typedef struct ch_int_summary {
    int64_t min, max;
    uint64_t sum;   /* modulo 2^64 */
    bool decreases; /* some value is less than its predecessor */
} ch_int_summary_t;

typedef struct ch_kernels {
    const char *name;

    /// n values of `width` (1..64) bits, lowest bit first, no padding between values.
    void (*unpack)(const uint8_t *from, unsigned width, uint64_t *u, size_t n);

    /// The reverse: n words below 2^width. May write up to CH_PACK_SLACK bytes behind the last.
    void (*pack)(const uint64_t *words, size_t n, unsigned width, uint8_t *to);

    /// u = factor * (base + u), or of unzigzag(u).
    void (*map)(uint64_t *u, size_t n, uint64_t base, uint64_t factor, bool zigzag);

    /// u[i] = start + u[0] + ... + u[i].
    void (*prefix_sum)(uint64_t *u, size_t n, uint64_t start);

    /// u[i] += start + factor * (((i + 1) * slope) >> 16).
    void (*add_line)(uint64_t *u, size_t n, uint64_t start, uint64_t factor,
                     uint64_t slope);

    /// Entropy-coded residuals (tans.h), first half: the symbols of m residuals. False when the streams
    /// do not hold these and nothing else.
    bool (*tans_symbols)(const struct ch_tans_decoder *decoder, uint8_t *symbols,
                         size_t m);

    /// Second half: u[i] = the distance from the base that symbol i and its raw bits stand for.
    /// False when the raw bits end early; *bits_out: where the
    /// first begins (0), then how many there were.
    bool (*tans_distances)(const struct ch_tans_decoder *decoder, const uint8_t *symbols,
                           uint64_t *u, size_t m, size_t *bits_out);

    /// In place: integer d (|d| <= 2^51) to the bits of the double d / power.
    void (*to_float)(uint64_t *u, size_t n, double power);

    /// d = v * power rounded to even, correction = bits(v) - bits(d / power). Values that are NaN or
    /// beyond 2^51 get d = 0 and, in *outside_out, a count. Returns the OR of all corrections, not
    /// zero when any value was outside.
    uint64_t (*to_decimal)(const double *v, size_t n, double power, int64_t *d,
                           int64_t *correction, size_t *outside_out);

    /// True when all n - 1 differences are equal (n >= 2).
    bool (*is_regular)(const int64_t *x, size_t n);

    /// Minimum, maximum, sum and order of n >= 1 values.
    ch_int_summary_t (*summarize)(const int64_t *x, size_t n);

    /// Sum of log2(1 + 2 |x - centre|), times 2^23 and plus n * 127 * 2^23, read off the float's
    /// bits: an integer, so that the order of summation does not matter.
    uint64_t (*spread)(const int64_t *x, size_t n, int64_t centre);

    /// How many of the words (distances to `base`, as they are or zigzag) have each bit length.
    /// Returns the greatest length; counts[0] to counts[that] are set.
    unsigned (*count_lengths)(const int64_t *x, size_t n, int64_t base, bool zigzag,
                              uint32_t counts[65]);

    /// What stands at place n / 2 when the 1 to CH_MEDIAN_MAX values are in order. They may be
    /// reordered; up to 7 behind them are overwritten.
    int64_t (*median)(int64_t *x, size_t n);
} ch_kernels_t;

/// The best level of this CPU, or the one that was forced.
const ch_kernels_t *ch_kernels(void);

/// For tests: use `level`, when the CPU has it. Returns false (and changes nothing) otherwise.
bool ch_kernels_force(ch_kernels_level_t level);

/// The functions of a level, or NULL when this CPU or build lacks it.
const ch_kernels_t *ch_kernels_of(ch_kernels_level_t level);

#endif
