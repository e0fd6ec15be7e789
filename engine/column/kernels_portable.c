/* kernels_portable.c - the kernels in plain C, for any CPU. */
#include "column/kernels_levels.h"
#include "column/kernels_loops.h"
#include "column/tans_loops.h"

static void
unpack(const uint8_t *from, unsigned width, uint64_t *u, size_t n)
{
    loop_unpack(from, width, u, n);
}

static void
pack(const uint64_t *words, size_t n, unsigned width, uint8_t *to)
{
    loop_pack(words, n, width, to);
}

static void
map(uint64_t *u, size_t n, uint64_t base, uint64_t factor, bool zigzag)
{
    loop_map(u, n, base, factor, zigzag);
}

static void
prefix_sum(uint64_t *u, size_t n, uint64_t start)
{
    loop_prefix_sum(u, n, start);
}

static void
add_line(uint64_t *u, size_t n, uint64_t start, uint64_t factor, uint64_t slope)
{
    loop_add_line(u, n, start, factor, slope);
}

static bool
tans_symbols(const ch_tans_decoder_t *decoder, uint8_t *symbols, size_t m)
{
    return loop_tans_symbols(decoder, symbols, m);
}

static bool
tans_to_distances(const ch_tans_decoder_t *decoder, const uint8_t *symbols, uint64_t *u,
                  size_t m, size_t *bits_out)
{
    return loop_tans_distances(decoder, symbols, u, m, bits_out);
}

static void
to_float(uint64_t *u, size_t n, double power)
{
    loop_to_float(u, n, power);
}

static uint64_t
to_decimal(const double *v, size_t n, double power, int64_t *d, int64_t *correction,
           size_t *outside_out)
{
    return loop_to_decimal(v, n, power, d, correction, outside_out);
}

static bool
is_regular(const int64_t *x, size_t n)
{
    return loop_is_regular(x, n);
}

static ch_int_summary_t
summarize(const int64_t *x, size_t n)
{
    return loop_summarize(x, n);
}

static uint64_t
spread(const int64_t *x, size_t n, int64_t centre)
{
    return loop_spread(x, n, centre);
}

static unsigned
count_lengths(const int64_t *x, size_t n, int64_t base, bool zigzag, uint32_t counts[65])
{
    return loop_count_lengths(x, n, base, zigzag, counts);
}

static int64_t
median(int64_t *x, size_t n)
{
    return loop_median(x, n);
}

const ch_kernels_t ch_kernels_portable = {
    .name = "portable",
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
