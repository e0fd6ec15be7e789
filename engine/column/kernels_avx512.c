/* kernels_avx512.c - the kernels for AVX-512 with VBMI: 512-bit vectors of eight slots. */
#include "column/kernels_levels.h"
#include "column/kernels_loops.h"
#include "column/scratch.h"
#include "column/tans_loops.h"

#ifdef CH_KERNELS_X86
#include <immintrin.h>

/* gcc would stay with 256-bit vectors for the plain loops; clang does not know the option. */
#define FEATURES "bmi,bmi2,popcnt,avx512cd,avx512f,avx512vl,avx512bw,avx512dq,avx512vbmi"
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

/* Eight words take `width` whole bytes. Up to 16 bits each they are narrowed to bytes or halves of words, out
 * of which the used bits are pulled together. */
TARGET static void
pack(const uint64_t *words, size_t n, unsigned width, uint8_t *to)
{
    uint64_t used = (UINT64_C(1) << (width & 63)) - 1;
    size_t i = 0;
    if (width <= 8) {
        used *= UINT64_C(0x0101010101010101);
        for (; i + 8 <= n; i += 8, to += width) {
            __m128i bytes = _mm512_cvtepi64_epi8(_mm512_loadu_si512(words + i));
            ch_store_u64(to, _pext_u64((uint64_t)_mm_cvtsi128_si64(bytes), used));
        }
    } else if (width <= 16) {
        unsigned half = 4 * width; /* bits of four words: 36 to 64 */
        used *= UINT64_C(0x0001000100010001);
        for (; i + 8 <= n; i += 8, to += width) {
            __m128i pairs = _mm512_cvtepi64_epi16(_mm512_loadu_si512(words + i));
            uint64_t low = _pext_u64((uint64_t)_mm_cvtsi128_si64(pairs), used);
            uint64_t high = _pext_u64((uint64_t)_mm_extract_epi64(pairs, 1), used);
            ch_store_u64(to, half < 64 ? low | high << half : low);
            ch_store_u64(to + 8, half < 64 ? high >> (64 - half) : high);
        }
    }
    loop_pack(words + i, n - i, width, to);
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

TARGET static bool
tans_symbols(const ch_tans_decoder_t *decoder, uint8_t *symbols, size_t m)
{
    return loop_tans_symbols(decoder, symbols, m);
}

/* Eight bytes, one to a slot: what `known` says of each of eight symbols. */
TARGET static inline __m512i
look_up(const __m512i known[2], __m128i symbols)
{
    return _mm512_permutex2var_epi8(known[0], _mm512_castsi128_si512(symbols), known[1]);
}

TARGET static inline __m128i
low_bytes(__m512i bytes)
{
    return _mm512_castsi512_si128(bytes);
}

/* Raw bits of eight symbols, `extra` of them each, from bit `at` on: they lie within 64 bytes, and are
 * fetched as in unpack. *taken_out: how many. */
TARGET static inline __m512i
take_raw_bits(const uint8_t *from, size_t at, __m512i extra, size_t *taken_out)
{
    const __m512i zero = _mm512_setzero_si512(), ones = _mm512_set1_epi64(-1);
    const __m512i first_byte = _mm512_set_epi64(
        0x3838383838383838, 0x3030303030303030, 0x2828282828282828, 0x2020202020202020,
        0x1818181818181818, 0x1010101010101010, 0x0808080808080808, 0);
    __m512i ends = _mm512_add_epi64(extra, _mm512_alignr_epi64(extra, zero, 7));
    ends = _mm512_add_epi64(ends, _mm512_alignr_epi64(ends, zero, 6));
    ends = _mm512_add_epi64(ends, _mm512_alignr_epi64(ends, zero, 4));
    __m512i bit = _mm512_add_epi64(_mm512_sub_epi64(ends, extra),
                                   _mm512_set1_epi64((long long)(at & 7)));
    __m512i index = _mm512_permutexvar_epi8(first_byte, _mm512_srli_epi64(bit, 3));
    index = _mm512_add_epi64(index, _mm512_set1_epi64(0x0706050403020100));
    __m512i raw = _mm512_permutexvar_epi8(index, _mm512_loadu_si512(from + (at >> 3)));
    raw = _mm512_srlv_epi64(raw, _mm512_and_si512(bit, _mm512_set1_epi64(7)));
    *taken_out = (size_t)_mm_cvtsi128_si64(
        _mm512_castsi512_si128(_mm512_alignr_epi64(ends, ends, 7)));
    return _mm512_andnot_si512(_mm512_sllv_epi64(ones, extra), raw);
}

/* |distance| = head << extra | raw bits; the sign is bit 7 of the head. */
TARGET static inline __m512i
to_distances(__m512i heads, __m512i extra, __m512i raw)
{
    __m512i sign = _mm512_srai_epi64(heads, 63);
    __m512i magnitude = _mm512_and_si512(heads, _mm512_set1_epi64(7));
    magnitude = _mm512_or_si512(_mm512_sllv_epi64(magnitude, extra), raw);
    return _mm512_sub_epi64(_mm512_xor_si512(magnitude, sign), sign);
}

TARGET static bool
tans_to_distances(const ch_tans_decoder_t *decoder, const uint8_t *symbols, uint64_t *u,
                  size_t m, size_t *bits_out)
{
    if (decoder->extra_max > TANS_NARROW_BITS ||
        decoder->symbol_count > CH_TANS_VECTOR_SYMBOLS)
        return loop_tans_distances(decoder, symbols, u, m, bits_out);
    const __m512i heads[] = {_mm512_loadu_si512(decoder->heads),
                             _mm512_loadu_si512(decoder->heads + 64)};
    const __m512i extras[] = {_mm512_loadu_si512(decoder->extras),
                              _mm512_loadu_si512(decoder->extras + 64)};
    size_t at = *bits_out, end = decoder->offset_bytes * 8, i = 0, taken = 0;
    __m512i extra = _mm512_setzero_si512(), raw = extra;
    for (; i + CH_TANS_LANES <= m; i += CH_TANS_LANES, at += taken) {
        __m128i eight = _mm_loadl_epi64((const void *)(symbols + i));
        __m512i head = _mm512_cvtepi8_epi64(low_bytes(look_up(heads, eight)));
        if (at > end)
            return false;
        if (decoder->extra_max) {
            extra = _mm512_cvtepu8_epi64(low_bytes(look_up(extras, eight)));
            raw = take_raw_bits(decoder->offsets, at, extra, &taken);
        }
        _mm512_storeu_si512(u + i, to_distances(head, extra, raw));
    }
    *bits_out = at;
    return loop_tans_distances(decoder, symbols + i, u + i, m - i, bits_out);
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

/* Bit lengths as bytes, then bytes compared 64 at a time with each length that occurs. Behind n the bytes are
 * 0xff, which no length is. */
TARGET static unsigned
count_lengths(const int64_t *x, size_t n, int64_t base, bool zigzag, uint32_t counts[65])
{
    uint8_t lengths[CH_SCRATCH_SLOTS];
    const __m512i bases = _mm512_set1_epi64((long long)base),
                  zero = _mm512_setzero_si512();
    __m512i all = zero;
    for (size_t i = 0; i < n; i += 8) {
        __mmask8 there = (__mmask8)(n - i >= 8 ? 0xffu : (1u << (n - i)) - 1);
        __m512i word =
            _mm512_maskz_sub_epi64(there, _mm512_maskz_loadu_epi64(there, x + i), bases);
        if (zigzag)
            word =
                _mm512_xor_si512(_mm512_slli_epi64(word, 1), _mm512_srai_epi64(word, 63));
        all = _mm512_or_si512(all, word);
        word = _mm512_sub_epi64(_mm512_set1_epi64(64), _mm512_lzcnt_epi64(word));
        word = _mm512_mask_mov_epi64(_mm512_set1_epi64(-1), there, word);
        _mm_storel_epi64((void *)(lengths + i), _mm512_cvtepi64_epi8(word));
    }
    size_t filled = (n + 7) & ~(size_t)7;
    memset(lengths + filled, 0xff, 64);
    unsigned top = loop_bit_length((uint64_t)_mm512_reduce_or_epi64(all));
    for (unsigned length = 0; length <= top; length++) {
        const __m512i wanted = _mm512_set1_epi8((char)length);
        uint32_t count = 0;
        for (size_t i = 0; i < n; i += 64)
            count += (uint32_t)__builtin_popcountll(
                _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(lengths + i), wanted));
        counts[length] = count;
    }
    return top;
}

/* The value that at most n / 2 are below, and more are not above: no sorting, no branch to mispredict but the
 * last. INT64_MAX behind the values is below none of them. */
TARGET static int64_t
median(int64_t *x, size_t n)
{
    for (size_t i = n; i < n + 7; i++)
        x[i] = INT64_MAX;
    for (size_t i = 0; i < n; i++) {
        const __m512i value = _mm512_set1_epi64(x[i]);
        unsigned below = 0, not_above = 0;
        for (size_t k = 0; k < n; k += 8) {
            __m512i others = _mm512_loadu_si512(x + k);
            below += (unsigned)__builtin_popcount(_mm512_cmplt_epi64_mask(others, value));
            not_above +=
                (unsigned)__builtin_popcount(_mm512_cmple_epi64_mask(others, value));
        }
        if (below <= n / 2 && n / 2 < not_above)
            return x[i];
    }
    return x[0]; /* not reached: some value has the place */
}

const ch_kernels_t ch_kernels_avx512 = {
    .name = "AVX-512",
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
