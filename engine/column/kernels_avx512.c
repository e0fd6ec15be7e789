/* kernels_avx512.c - the kernels for AVX-512 with VBMI: 512-bit vectors of eight slots. */
#include "column/kernels_levels.h"
#include "column/kernels_loops.h"

#ifdef CH_KERNELS_X86
#include <immintrin.h>

/* gcc would stay with 256-bit vectors for the plain loops; clang does not know the option. */
#define FEATURES "avx512f,avx512vl,avx512bw,avx512dq,avx512vbmi"
#ifdef __clang__
#define TARGET __attribute__((target(FEATURES)))
#else
#define TARGET __attribute__((target(FEATURES ",prefer-vector-width=512")))
#endif

/* Eight slots of up to 57 bits lie within one 64-byte load; one byte permutation brings each slot's
 * eight bytes together, the variable shift drops the bits of its neighbour. */
TARGET static void
unpack(const uint8_t *from, unsigned width, uint64_t *u, size_t n)
{
    if (width > 57 || n < 4) {
        loop_unpack(from, width, u, n);
        return;
    }
    __m512i bit = _mm512_mullo_epi64(_mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0),
                                     _mm512_set1_epi64((long long)width));
    __m512i index = _mm512_mullo_epi64(_mm512_srli_epi64(bit, 3),
                                       _mm512_set1_epi64(0x0101010101010101));
    index = _mm512_add_epi64(index, _mm512_set1_epi64(0x0706050403020100));
    __m512i shift = _mm512_and_si512(bit, _mm512_set1_epi64(7));
    __m512i mask = _mm512_set1_epi64((long long)((UINT64_C(1) << width) - 1));
    for (size_t i = 0; i < n; i += 8, from += width) {
        __m512i x = _mm512_permutexvar_epi8(index, _mm512_loadu_si512(from));
        x = _mm512_and_si512(_mm512_srlv_epi64(x, shift), mask);
        _mm512_storeu_si512(u + i, x);
    }
}

/* Sums within a vector by three shifted adds; between vectors a chain of one add carries. */
TARGET static void
prefix_sum(uint64_t *u, size_t n, uint64_t start)
{
    __m512i carry = _mm512_set1_epi64((long long)start);
    __m512i zero = _mm512_setzero_si512();
    __m512i last = _mm512_set1_epi64(7);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m512i x = _mm512_loadu_si512(u + i);
        x = _mm512_add_epi64(x, _mm512_alignr_epi64(x, zero, 7));
        x = _mm512_add_epi64(x, _mm512_alignr_epi64(x, zero, 6));
        x = _mm512_add_epi64(x, _mm512_alignr_epi64(x, zero, 4));
        _mm512_storeu_si512(u + i, _mm512_add_epi64(x, carry));
        carry = _mm512_add_epi64(carry, _mm512_permutexvar_epi64(last, x));
    }
    loop_prefix_sum(u + i, n - i, i ? u[i - 1] : start);
}

TARGET static void
map(uint64_t *u, size_t n, uint64_t base, uint64_t factor, bool zigzag)
{
    loop_map(u, n, base, factor, zigzag);
}

TARGET static void
add_line(uint64_t *u, size_t n, uint64_t start, uint64_t factor, uint64_t slope)
{
    loop_add_line(u, n, start, factor, slope);
}

TARGET static void
to_float(uint64_t *u, size_t n, double power)
{
    loop_to_float(u, n, power);
}

TARGET static uint64_t
to_decimal(const double *v, size_t n, double power, int64_t *d, int64_t *correction,
           size_t *outside_out)
{
    return loop_to_decimal(v, n, power, d, correction, outside_out);
}

TARGET static bool
is_regular(const int64_t *x, size_t n)
{
    return loop_is_regular(x, n);
}

TARGET static ch_int_summary_t
summarize(const int64_t *x, size_t n)
{
    return loop_summarize(x, n);
}

TARGET static uint64_t
spread(const int64_t *x, size_t n, int64_t centre)
{
    return loop_spread(x, n, centre);
}

const ch_kernels_t ch_kernels_avx512 = {
    .name = "AVX-512",
    .unpack = unpack,
    .map = map,
    .prefix_sum = prefix_sum,
    .add_line = add_line,
    .to_float = to_float,
    .to_decimal = to_decimal,
    .is_regular = is_regular,
    .summarize = summarize,
    .spread = spread,
};

#endif
