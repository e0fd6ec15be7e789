/// The plain loops behind every level of kernels.h: each level's file inlines them under its own
/// target, so that the compiler widens them. Private to kernels_*.c.
///
/// Doubles  all conversions go through the constant 1.5 * 2^52: adding it to |t| <= 2^51 rounds t to
///          an integer (to even) and leaves that integer in the low bits. This needs IEEE doubles
///          without excess precision or contraction, see scratch.c and CMakeLists.txt.
#ifndef CH_COLUMN_KERNELS_LOOPS_H
#define CH_COLUMN_KERNELS_LOOPS_H

#include "column/kernels.h"
#include "ch/coding.h"

#define CH_LOOP static inline __attribute__((always_inline))

#define CH_MAGIC_DOUBLE 6755399441055744.0 /* 1.5 * 2^52 */
#define CH_MAGIC_BITS UINT64_C(0x4338000000000000)
#define CH_DECIMAL_MAX 2251799813685248.0 /* 2^51 */

CH_LOOP uint64_t
bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

CH_LOOP double
double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

CH_LOOP uint64_t
loop_unpack_one(const uint8_t *from, size_t i, unsigned width, uint64_t mask)
{
    size_t bit = i * width;
    unsigned shift = (unsigned)(bit & 7);
    uint64_t value = ch_load_u64(from + (bit >> 3)) >> shift;
    if (shift + width > 64)
        value |= (uint64_t)from[(bit >> 3) + 8] << (64 - shift);
    return value & mask;
}

/* Eight values take `width` whole bytes, so each of the eight has a fixed place in its group. Up to
 * 57 bits a value lies within eight bytes whatever its shift. */
CH_LOOP void
loop_unpack(const uint8_t *from, unsigned width, uint64_t *u, size_t n)
{
    uint64_t mask = width >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << width) - 1;
    size_t i = 0;
    if (width <= 57) {
        for (; i + 8 <= n; i += 8, from += width)
            for (unsigned k = 0; k < 8; k++)
                u[i + k] =
                    (ch_load_u64(from + (k * width >> 3)) >> (k * width & 7)) & mask;
    } else {
        for (; i + 8 <= n; i += 8, from += width)
            for (unsigned k = 0; k < 8; k++)
                u[i + k] = loop_unpack_one(from, k, width, mask);
    }
    for (unsigned k = 0; i < n; i++, k++)
        u[i] = loop_unpack_one(from, k, width, mask);
}

/* n words of `width`, lowest bit first. */
CH_LOOP void
loop_pack(const uint64_t *words, size_t n, unsigned width, uint8_t *to)
{
    uint64_t open = 0;
    unsigned filled = 0;
    for (size_t i = 0; i < n; i++) {
        open |= words[i] << filled;
        if (filled + width < 64) {
            filled += width;
            continue;
        }
        ch_store_u64(to, open);
        to += 8;
        unsigned taken = 64 - filled;
        open = taken < 64 ? words[i] >> taken : 0;
        filled = width - taken;
    }
    for (; filled > 0; filled = filled > 8 ? filled - 8 : 0, open >>= 8)
        *to++ = (uint8_t)open;
}

CH_LOOP void
loop_map(uint64_t *u, size_t n, uint64_t base, uint64_t factor, bool zigzag)
{
    if (zigzag && factor == 1) {
        for (size_t i = 0; i < n; i++)
            u[i] = base + ((u[i] >> 1) ^ (0 - (u[i] & 1)));
    } else if (zigzag) {
        for (size_t i = 0; i < n; i++)
            u[i] = factor * (base + ((u[i] >> 1) ^ (0 - (u[i] & 1))));
    } else if (factor == 1) {
        for (size_t i = 0; i < n; i++)
            u[i] += base;
    } else {
        for (size_t i = 0; i < n; i++)
            u[i] = factor * (base + u[i]);
    }
}

CH_LOOP void
loop_prefix_sum(uint64_t *u, size_t n, uint64_t start)
{
    for (size_t i = 0; i < n; i++) {
        start += u[i];
        u[i] = start;
    }
}

CH_LOOP void
loop_add_line(uint64_t *u, size_t n, uint64_t start, uint64_t factor, uint64_t slope)
{
    for (size_t i = 0; i < n; i++)
        u[i] += start + factor * (((uint64_t)(i + 1) * slope) >> 16);
}

CH_LOOP void
loop_to_float(uint64_t *u, size_t n, double power)
{
    if (power == 1.0) {
        for (size_t i = 0; i < n; i++)
            u[i] = bits_of(double_of(u[i] + CH_MAGIC_BITS) - CH_MAGIC_DOUBLE);
    } else {
        for (size_t i = 0; i < n; i++)
            u[i] = bits_of((double_of(u[i] + CH_MAGIC_BITS) - CH_MAGIC_DOUBLE) / power);
    }
}

CH_LOOP uint64_t
loop_to_decimal(const double *v, size_t n, double power, int64_t *d, int64_t *correction,
                size_t *outside_out)
{
    uint64_t any = 0, outside = 0;
    for (size_t i = 0; i < n; i++) {
        double scaled = v[i] * power;
        bool inside = __builtin_fabs(scaled) <= CH_DECIMAL_MAX; /* false for NaN */
        double rounded = (inside ? scaled : 0.0) + CH_MAGIC_DOUBLE;
        uint64_t error = bits_of(v[i]) - bits_of((rounded - CH_MAGIC_DOUBLE) / power);
        d[i] = (int64_t)(bits_of(rounded) - CH_MAGIC_BITS);
        correction[i] = (int64_t)error;
        any |= error;
        outside += inside ? 0 : 1;
    }
    *outside_out = (size_t)outside;
    return any;
}

/* In strips of 64, so that an irregular column is left early and a strip still vectorises. */
CH_LOOP bool
loop_is_regular(const int64_t *x, size_t n)
{
    uint64_t step = (uint64_t)x[1] - (uint64_t)x[0];
    for (size_t i = 1; i < n;) {
        size_t end = n - i > 64 ? i + 64 : n;
        uint64_t differs = 0;
        for (; i < end; i++)
            differs |= ((uint64_t)x[i] - (uint64_t)x[i - 1]) ^ step;
        if (differs)
            return false;
    }
    return true;
}

CH_LOOP ch_int_summary_t
loop_summarize(const int64_t *x, size_t n)
{
    int64_t min = x[0], max = x[0];
    uint64_t sum = (uint64_t)x[0], decreases = 0;
    for (size_t i = 1; i < n; i++) {
        min = x[i] < min ? x[i] : min;
        max = x[i] > max ? x[i] : max;
        sum += (uint64_t)x[i];
        decreases |= x[i] < x[i - 1] ? UINT64_C(1) : 0;
    }
    return (ch_int_summary_t){
        .min = min, .max = max, .sum = sum, .decreases = decreases != 0};
}

/* Bits of a number without its leading zeros: 0 for 0, 64 for the largest. Without a branch: in residuals
 * zero comes as often as not. */
CH_LOOP unsigned
loop_bit_length(uint64_t value)
{
    return 64 - (unsigned)__builtin_clzll(value | 1) - (value == 0);
}

CH_LOOP uint64_t
loop_word(int64_t x, int64_t base, bool zigzag)
{
    uint64_t distance = (uint64_t)x - (uint64_t)base;
    return zigzag ? ch_zigzag((int64_t)distance) : distance;
}

/* Two histograms taken in turn: equal neighbours would wait for each other's increment. */
CH_LOOP unsigned
loop_count_lengths(const int64_t *x, size_t n, int64_t base, bool zigzag,
                   uint32_t counts[65])
{
    uint32_t odd[65] = {0};
    uint64_t all = 0;
    memset(counts, 0, 65 * sizeof *counts);
    size_t i = 0;
    for (; i + 2 <= n; i += 2) {
        uint64_t a = loop_word(x[i], base, zigzag), b = loop_word(x[i + 1], base, zigzag);
        counts[loop_bit_length(a)]++;
        odd[loop_bit_length(b)]++;
        all |= a | b;
    }
    if (i < n) {
        uint64_t a = loop_word(x[i], base, zigzag);
        counts[loop_bit_length(a)]++;
        all |= a;
    }
    unsigned top = loop_bit_length(all);
    for (unsigned length = 0; length <= top; length++)
        counts[length] += odd[length];
    return top;
}

/* Insertion sort: there are few. */
CH_LOOP int64_t
loop_median(int64_t *x, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        int64_t value = x[i];
        size_t at = i;
        for (; at && x[at - 1] > value; at--)
            x[at] = x[at - 1];
        x[at] = value;
    }
    return x[n / 2];
}

CH_LOOP uint64_t
loop_spread(const int64_t *x, size_t n, int64_t centre)
{
    const uint64_t distance_max = UINT64_C(1)
                                  << 61; /* so that 1 + 2 d converts as signed */
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t distance = x[i] > centre ? (uint64_t)x[i] - (uint64_t)centre
                                          : (uint64_t)centre - (uint64_t)x[i];
        distance = distance < distance_max ? distance : distance_max;
        float f = (float)(int64_t)(2 * distance + 1);
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        total += bits;
    }
    return total;
}

#endif
