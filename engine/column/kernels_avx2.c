/* kernels_avx2.c - the kernels for AVX2: 256-bit vectors of four slots. */
#include "column/kernels_levels.h"
#include "column/kernels_loops.h"
#include "column/tans_loops.h"

#ifdef CH_KERNELS_X86
#include <immintrin.h>

#define TARGET __attribute__((target("avx2,bmi,bmi2")))

/* Two slots share one 16-byte load; the shuffle brings each slot's eight bytes together, the
 * variable shift drops the bits of its neighbour. */
TARGET static void
unpack(const uint8_t *from, unsigned width, uint64_t *u, size_t n)
{
    if (width > 57 || n < 4) {
        loop_unpack(from, width, u, n);
        return;
    }
    uint64_t index[8], shift[8];
    for (unsigned k = 0; k < 8; k++) {
        unsigned byte = (k * width >> 3) - ((k & ~1u) * width >> 3);
        index[k] = byte * UINT64_C(0x0101010101010101) + UINT64_C(0x0706050403020100);
        shift[k] = k * width & 7;
    }
    __m256i index_low = _mm256_loadu_si256((const void *)index);
    __m256i index_high = _mm256_loadu_si256((const void *)(index + 4));
    __m256i shift_low = _mm256_loadu_si256((const void *)shift);
    __m256i shift_high = _mm256_loadu_si256((const void *)(shift + 4));
    __m256i mask = _mm256_set1_epi64x((long long)((UINT64_C(1) << width) - 1));
    unsigned at2 = 2 * width >> 3, at4 = 4 * width >> 3, at6 = 6 * width >> 3;
    for (size_t i = 0; i < n; i += 8, from += width) {
        __m256i low = _mm256_inserti128_si256(
            _mm256_castsi128_si256(_mm_loadu_si128((const void *)from)),
            _mm_loadu_si128((const void *)(from + at2)), 1);
        __m256i high = _mm256_inserti128_si256(
            _mm256_castsi128_si256(_mm_loadu_si128((const void *)(from + at4))),
            _mm_loadu_si128((const void *)(from + at6)), 1);
        low = _mm256_srlv_epi64(_mm256_shuffle_epi8(low, index_low), shift_low);
        high = _mm256_srlv_epi64(_mm256_shuffle_epi8(high, index_high), shift_high);
        _mm256_storeu_si256((void *)(u + i), _mm256_and_si256(low, mask));
        _mm256_storeu_si256((void *)(u + i + 4), _mm256_and_si256(high, mask));
    }
}

/* Sums within a vector by two shifted adds; between vectors a chain of one add carries. */
TARGET static void
prefix_sum(uint64_t *u, size_t n, uint64_t start)
{
    __m256i carry = _mm256_set1_epi64x((long long)start);
    __m256i zero = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        __m256i x = _mm256_loadu_si256((const void *)(u + i));
        x = _mm256_add_epi64(x, _mm256_slli_si256(x, 8));
        __m256i second = _mm256_permute4x64_epi64(x, 0x55);
        x = _mm256_add_epi64(x, _mm256_blend_epi32(zero, second, 0xF0));
        _mm256_storeu_si256((void *)(u + i), _mm256_add_epi64(x, carry));
        carry = _mm256_add_epi64(carry, _mm256_permute4x64_epi64(x, 0xFF));
    }
    loop_prefix_sum(u + i, n - i, i ? u[i - 1] : start);
}

TARGET static void
pack(const uint64_t *words, size_t n, unsigned width, uint8_t *to)
{
    loop_pack(words, n, width, to);
}

TARGET static void
map(uint64_t *u, size_t n, uint64_t base, uint64_t factor, bool zigzag)
{
    loop_map(u, n, base, factor, zigzag);
}

TARGET static void
add_line(uint64_t *u, size_t n, uint64_t start, uint64_t factor, uint64_t slope)
{
#ifdef CH_FAULT_KERNELS_LEVEL_DIFFERS
    start += n == 299;
#endif
    loop_add_line(u, n, start, factor, slope);
}

TARGET static bool
tans_symbols(const ch_tans_decoder_t *decoder, uint8_t *symbols, size_t m)
{
    return loop_tans_symbols(decoder, symbols, m);
}

TARGET static bool
tans_to_distances(const ch_tans_decoder_t *decoder, const uint8_t *symbols, uint64_t *u,
                  size_t m, size_t *bits_out)
{
    return loop_tans_distances(decoder, symbols, u, m, bits_out);
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

TARGET static unsigned
count_lengths(const int64_t *x, size_t n, int64_t base, bool zigzag, uint32_t counts[65])
{
    return loop_count_lengths(x, n, base, zigzag, counts);
}

TARGET static int64_t
median(int64_t *x, size_t n)
{
    return loop_median(x, n);
}

const ch_kernels_t ch_kernels_avx2 = {
    .name = "AVX2",
    .unpack = unpack,
    .pack = pack,
    .map = map,
    .prefix_sum = prefix_sum,
    .add_line = add_line,
    .tans_symbols = tans_symbols,
    .tans_distances = tans_to_distances,
    .to_float = to_float,
    .to_decimal = to_decimal,
    .is_regular = is_regular,
    .summarize = summarize,
    .spread = spread,
    .count_lengths = count_lengths,
    .median = median,
};

#endif
