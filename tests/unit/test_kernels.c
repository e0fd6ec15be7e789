#include <math.h>

#include "ch/alloc.h"
#include "ch/coding.h"
#include "ch/limits.h"
#include "column/float_column.h"
#include "column/int_column.h"
#include "column/kernels.h"
#include "support/column_sets.h"
#include "support/test.h"

enum { N = 300, SLACK = 8, SLOTS = N + SLACK };

typedef struct fixture {
    ch_rng_t rng;
    uint64_t a[SLOTS], b[SLOTS], words[N];
    double v[N];
} fixture_t;

static int
setup(void **state)
{
    fixture_t *f = ch_calloc(1, sizeof *f);
    ch_rng_seed(&f->rng, ch_test_seed());
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    ch_free(*state);
    return 0;
}

/* The levels beyond the portable one that this machine has, in turn; NULL behind the last. */
static const ch_kernels_t *
next_level(int *level)
{
    while (++*level < CH_KERNELS_LEVELS) {
        const ch_kernels_t *kernels = ch_kernels_of((ch_kernels_level_t)*level);
        if (kernels)
            return kernels;
    }
    return NULL;
}

static void
fill_words(fixture_t *f, unsigned width)
{
    for (size_t i = 0; i < N; i++)
        f->words[i] = ch_rng_next(&f->rng) >> (64 - width);
}

/* Bit by bit, as the format says. */
static uint8_t *
pack_bit_by_bit(const uint64_t *words, size_t n, unsigned width, size_t *size_out)
{
    *size_out = (n * width + 7) / 8;
    uint8_t *bytes = ch_calloc(1, *size_out + CH_COLUMN_PAD);
    for (size_t bit = 0; bit < n * width; bit++)
        if (words[bit / width] >> (bit % width) & 1)
            bytes[bit / 8] |= (uint8_t)(1u << bit % 8);
    memset(bytes + *size_out, 0xaa, CH_COLUMN_PAD);
    return bytes;
}

/* Packed as the format says, and nothing is written behind the slack. */
static void
expect_pack(fixture_t *f, const ch_kernels_t *kernels, unsigned width, size_t n,
            const uint8_t *expected, size_t size)
{
    uint8_t *bytes = ch_alloc(size + CH_PACK_SLACK + 1);
    bytes[size + CH_PACK_SLACK] = 0x5a;
    kernels->pack(f->words, n, width, bytes);
    assert_memory_equal(bytes, expected, size);
    assert_int_equal(bytes[size + CH_PACK_SLACK], 0x5a);
    ch_free(bytes);
}

static void
expect_unpack(fixture_t *f, const ch_kernels_t *kernels, unsigned width, size_t n)
{
    size_t size;
    fill_words(f, width);
    uint8_t *bytes = pack_bit_by_bit(f->words, n, width, &size);
    memset(f->a, 0x55, sizeof f->a);
    kernels->unpack(bytes, width, f->a, n);
    expect_pack(f, kernels, width, n, bytes, size);
    ch_free(bytes);
    assert_memory_equal(f->a, f->words, n * sizeof *f->words);
    for (size_t i = n + 7; i < SLOTS; i++)
        assert_true(f->a[i] == UINT64_C(0x5555555555555555));
}

/* Goal: every width packs and unpacks at every level, within the pad and the slack that kernels.h allows. */
static void
test_every_width_packs_and_unpacks(void **state)
{
    fixture_t *f = *state;
    static const size_t lengths[] = {1, 3, 4, 7, 8, 9, 16, 25, 64, 299, 300};
    for (unsigned width = 1; width <= 64; width++) {
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
            int level = CH_KERNELS_PORTABLE;
            expect_unpack(f, ch_kernels_of(CH_KERNELS_PORTABLE), width, lengths[l]);
            for (const ch_kernels_t *k; (k = next_level(&level));)
                expect_unpack(f, k, width, lengths[l]);
        }
    }
}

static uint64_t
odd_factor(fixture_t *f)
{
    return ch_rng_below(&f->rng, 2) ? 1
                                    : ch_rng_next(&f->rng) >> ch_rng_below(&f->rng, 64);
}

/* Run one integer kernel, chosen by `which`, over u. */
static void
run_int_kernel(const ch_kernels_t *kernels, unsigned which, uint64_t *u, size_t n,
               uint64_t a, uint64_t b)
{
    switch (which) {
    case 0:
        kernels->map(u, n, a, b, false);
        break;
    case 1:
        kernels->map(u, n, a, b, true);
        break;
    case 2:
        kernels->prefix_sum(u, n, a);
        break;
    case 3:
        kernels->add_line(u, n, a, b, a ^ b);
        break;
    case 4:
        kernels->to_float(u, n, 1);
        break;
    default:
        kernels->to_float(u, n, 1e3);
        break;
    }
}

static void
test_integer_kernels_agree(void **state)
{
    fixture_t *f = *state;
    const ch_kernels_t *portable = ch_kernels_of(CH_KERNELS_PORTABLE);
    for (int round = 0; round < 6000; round++) {
        unsigned which = (unsigned)round % 6;
        size_t n = 1 + ch_rng_below(&f->rng, N);
        uint64_t a = ch_rng_next(&f->rng), b = odd_factor(f);
        int level = CH_KERNELS_PORTABLE;
        fill_words(f, which < 4 ? 64 : 51);
        for (const ch_kernels_t *k; (k = next_level(&level));) {
            memset(f->a, 0x55, sizeof f->a);
            memset(f->b, 0x55, sizeof f->b);
            memcpy(f->a, f->words, n * sizeof *f->a);
            memcpy(f->b, f->words, n * sizeof *f->b);
            run_int_kernel(portable, which, f->a, n, a, b);
            run_int_kernel(k, which, f->b, n, a, b);
            assert_memory_equal(f->a, f->b, sizeof f->a); /* slack and all */
        }
    }
}

/* What the kernels mean, against plain definitions. */
static void
test_portable_kernels_do_what_the_format_says(void **state)
{
    fixture_t *f = *state;
    const ch_kernels_t *k = ch_kernels_of(CH_KERNELS_PORTABLE);
    uint64_t sums[] = {5, 7, UINT64_MAX}, line[] = {1, 2, 3}, zigzag[] = {0, 1, 2, 3, 4};
    k->prefix_sum(sums, 3, 10);
    assert_true(sums[0] == 15 && sums[1] == 22 && sums[2] == 21);
    k->add_line(line, 3, 100, 10, 3 << 15); /* 1.5 a step, rounded down: 1 3 4 */
    assert_true(line[0] == 111 && line[1] == 132 && line[2] == 143);
    const int64_t lengths[] = {4, 5, 3, 12, 4};
    uint32_t counts[65];
    assert_int_equal(k->count_lengths(lengths, 5, 3, false, counts), 4); /* 1 2 0 9 1 */
    assert_true(counts[0] == 1 && counts[1] == 2 && counts[2] == 1 && counts[3] == 0);
    assert_int_equal(k->count_lengths(lengths, 5, 4, true, counts), 5); /* 0 2 1 16 0 */
    assert_true(counts[0] == 2 && counts[1] == 1 && counts[2] == 1 && counts[5] == 1);
    int64_t middle[5 + 8] = {9, -4, 9, 7, 8};
    assert_true(k->median(middle, 5) == 8);
    k->map(zigzag, 5, 50, 2, true);
    assert_true(zigzag[0] == 100 && zigzag[1] == 98 && zigzag[2] == 102);
    assert_true(zigzag[3] == 96 && zigzag[4] == 104);
    for (size_t i = 0; i < N; i++) {
        int64_t d = (int64_t)ch_rng_next(&f->rng) >> (12 + ch_rng_below(&f->rng, 50));
        double expected = (double)d / 1e3;
        uint64_t slot = (uint64_t)d;
        k->to_float(&slot, 1, 1e3);
        assert_memory_equal(&slot, &expected, sizeof slot);
    }
}

static void
expect_same_decimals(fixture_t *f, const ch_kernels_t *kernels, size_t n, double power)
{
    static int64_t d[2][N], corrections[2][N];
    size_t outside[2];
    uint64_t any[2];
    any[0] = ch_kernels_of(CH_KERNELS_PORTABLE)
                 ->to_decimal(f->v, n, power, d[0], corrections[0], &outside[0]);
    any[1] = kernels->to_decimal(f->v, n, power, d[1], corrections[1], &outside[1]);
    assert_true(any[0] == any[1]);
    assert_int_equal(outside[0], outside[1]);
    assert_memory_equal(d[0], d[1], n * sizeof(int64_t));
    assert_memory_equal(corrections[0], corrections[1], n * sizeof(int64_t));
}

static void
test_decimal_kernels_agree(void **state)
{
    fixture_t *f = *state;
    for (int round = 0; round < 3000; round++) {
        size_t n = 1 + ch_rng_below(&f->rng, N);
        double power = pow(10, (double)ch_rng_below(&f->rng, 19));
        int level = CH_KERNELS_PORTABLE;
        ch_float_sets[ch_rng_below(&f->rng, ch_float_set_count)].fill(&f->rng, f->v, n);
        for (const ch_kernels_t *k; (k = next_level(&level));)
            expect_same_decimals(f, k, n, power);
    }
}

static void
expect_same_lengths(const ch_kernels_t *kernels, const int64_t *x, size_t n, int64_t base)
{
    const ch_kernels_t *portable = ch_kernels_of(CH_KERNELS_PORTABLE);
    for (int zigzag = 0; zigzag < 2; zigzag++) {
        uint32_t a[65], b[65], total = 0;
        unsigned top = portable->count_lengths(x, n, base, zigzag, a);
        assert_int_equal(kernels->count_lengths(x, n, base, zigzag, b), top);
        assert_memory_equal(a, b, (top + 1) * sizeof *a);
        assert_true(a[top] > 0);
        for (unsigned length = 0; length <= top; length++)
            total += a[length];
        assert_int_equal(total, n);
    }
}

static void
expect_same_median(const ch_kernels_t *kernels, const int64_t *x, size_t n)
{
    int64_t a[CH_MEDIAN_MAX + 8], b[CH_MEDIAN_MAX + 8];
    n = n < CH_MEDIAN_MAX ? n : CH_MEDIAN_MAX;
    memcpy(a, x, n * sizeof *a);
    memcpy(b, x, n * sizeof *b);
    assert_true(ch_kernels_of(CH_KERNELS_PORTABLE)->median(a, n) ==
                kernels->median(b, n));
}

static void
test_looking_kernels_agree(void **state)
{
    fixture_t *f = *state;
    const ch_kernels_t *portable = ch_kernels_of(CH_KERNELS_PORTABLE);
    int64_t *x = (int64_t *)f->a;
    for (int round = 0; round < 4000; round++) {
        size_t n = 2 + ch_rng_below(&f->rng, N - 2);
        int level = CH_KERNELS_PORTABLE;
        ch_int_sets[ch_rng_below(&f->rng, ch_int_set_count)].fill(&f->rng, x, n);
        int64_t centre = x[ch_rng_below(&f->rng, n)];
        ch_int_summary_t a = portable->summarize(x, n);
        for (const ch_kernels_t *k; (k = next_level(&level));) {
            ch_int_summary_t b = k->summarize(x, n);
            assert_true(a.min == b.min && a.max == b.max && a.sum == b.sum);
            assert_int_equal(a.decreases, b.decreases);
            assert_int_equal(portable->is_regular(x, n), k->is_regular(x, n));
            assert_true(portable->spread(x, n, centre) == k->spread(x, n, centre));
            expect_same_lengths(k, x, n, centre);
            expect_same_median(k, x, n);
        }
    }
}

/* Goal: one difference out of step is seen wherever it stands. */
static void
test_irregular_is_seen_everywhere(void **state)
{
    fixture_t *f = *state;
    int64_t *x = (int64_t *)f->a;
    for (int level = 0; level < CH_KERNELS_LEVELS; level++) {
        const ch_kernels_t *k = ch_kernels_of((ch_kernels_level_t)level);
        for (size_t at = 0; k && at < N; at++) {
            for (size_t i = 0; i < N; i++) /* wraps on purpose */
                x[i] = (int64_t)((uint64_t)(INT64_MAX - 100) + (uint64_t)i * 3);
            assert_true(k->is_regular(x, N));
            x[at] = (int64_t)((uint64_t)x[at] + 1);
            assert_false(k->is_regular(x, N));
        }
    }
}

/* ---- whole columns ---- */

typedef struct coded {
    uint8_t *bytes;
    size_t size;
    int64_t *out;
} coded_t;

static coded_t
code(ch_column_scratch_t *scratch, ch_column_level_t level, const void *x, size_t n,
     bool floats)
{
    coded_t coded = {.out = ch_alloc((n + CH_POINTS_PAD) * sizeof(int64_t))};
    coded.bytes = ch_calloc(1, ch_float_column_bytes_max(n) + CH_COLUMN_PAD);
    size_t used;
    ch_status_t status;
    if (floats) {
        coded.size = ch_float_column_encode(scratch, level, x, n, coded.bytes);
        status = ch_float_column_decode(scratch, ch_bytes(coded.bytes, coded.size), n,
                                        (double *)(void *)coded.out, &used);
    } else {
        coded.size = ch_int_column_encode(scratch, level, x, n, coded.bytes);
        status = ch_int_column_decode(scratch, ch_bytes(coded.bytes, coded.size), n,
                                      coded.out, &used);
    }
    assert_int_equal(status, CH_OK);
    assert_int_equal(used, coded.size);
    return coded;
}

static void
expect_same_at(ch_column_scratch_t *scratch, ch_column_level_t level, const void *x,
               size_t n, bool floats)
{
    coded_t first = {0};
    for (int kernels = 0; kernels < CH_KERNELS_LEVELS; kernels++) {
        if (!ch_kernels_force((ch_kernels_level_t)kernels))
            continue;
        coded_t coded = code(scratch, level, x, n, floats);
        assert_memory_equal(coded.out, x, n * sizeof(int64_t));
        if (!first.bytes) {
            first = coded;
            continue;
        }
        assert_int_equal(coded.size, first.size);
        assert_memory_equal(coded.bytes, first.bytes, first.size);
        ch_free(coded.bytes);
        ch_free(coded.out);
    }
    ch_free(first.bytes);
    ch_free(first.out);
}

static void
expect_same_columns(ch_column_scratch_t *scratch, const void *x, size_t n, bool floats)
{
    expect_same_at(scratch, CH_COLUMN_FAST, x, n, floats);
    expect_same_at(scratch, CH_COLUMN_DENSE, x, n, floats);
}

static void
test_columns_are_equal_at_every_level(void **state)
{
    fixture_t *f = *state;
    static int64_t x[CH_CHUNK_POINTS_MAX];
    static double v[CH_CHUNK_POINTS_MAX];
    ch_column_scratch_t *scratch = ch_column_scratch_new();
    for (int round = 0; round < 30; round++) {
        size_t n = round < 2 ? 4096 : 1 + ch_rng_below(&f->rng, 600);
        for (size_t set = 0; set < ch_int_set_count; set++) {
            ch_int_sets[set].fill(&f->rng, x, n);
            expect_same_columns(scratch, x, n, false);
        }
        for (size_t set = 0; set < ch_float_set_count; set++) {
            ch_float_sets[set].fill(&f->rng, v, n);
            expect_same_columns(scratch, v, n, true);
        }
    }
    ch_column_scratch_destroy(&scratch);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_width_packs_and_unpacks),
        cmocka_unit_test(test_integer_kernels_agree),
        cmocka_unit_test(test_portable_kernels_do_what_the_format_says),
        cmocka_unit_test(test_decimal_kernels_agree),
        cmocka_unit_test(test_looking_kernels_agree),
        cmocka_unit_test(test_irregular_is_seen_everywhere),
        cmocka_unit_test(test_columns_are_equal_at_every_level),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
