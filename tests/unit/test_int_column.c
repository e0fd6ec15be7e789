#include "ch/alloc.h"
#include "ch/coding.h"
#include "ch/limits.h"
#include "column/int_column.h"
#include "column/kernels.h"
#include "support/column_sets.h"
#include "support/test.h"

enum { N = CH_CHUNK_POINTS_MAX, SLOTS = N + CH_POINTS_PAD };

typedef struct fixture {
    ch_column_scratch_t *scratch;
    ch_rng_t rng;
    int64_t x[N], decoded[SLOTS];
    uint8_t *bytes;
} fixture_t;

static int
setup(void **state)
{
    fixture_t *f = ch_calloc(1, sizeof *f);
    f->scratch = ch_column_scratch_new();
    f->bytes = ch_alloc(ch_int_column_bytes_max(N));
    ch_rng_seed(&f->rng, ch_test_seed());
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    fixture_t *f = *state;
    ch_column_scratch_destroy(&f->scratch);
    ch_free(f->bytes);
    ch_free(f);
    return 0;
}

/* Decode from a buffer of the exact size and its pad, so that asan sees what is read beyond. */
static ch_status_t
decode(fixture_t *f, const uint8_t *bytes, size_t size, size_t n, size_t *used_out)
{
    uint8_t *exact = ch_alloc(size + CH_COLUMN_PAD);
    memcpy(exact, bytes, size);
    memset(exact + size, 0xaa, CH_COLUMN_PAD);
    ch_status_t status =
        ch_int_column_decode(f->scratch, ch_bytes(exact, size), n, f->decoded, used_out);
    ch_free(exact);
    return status;
}

static size_t
round_trip_at(fixture_t *f, ch_column_level_t level, size_t n)
{
    size_t used = 0, size = ch_int_column_encode(f->scratch, level, f->x, n, f->bytes);
    assert_true(size <= ch_int_column_bytes_max(n));
    assert_int_equal(decode(f, f->bytes, size, n, &used), CH_OK);
    assert_int_equal(used, size);
    assert_memory_equal(f->x, f->decoded, n * sizeof *f->x);
    return size;
}

/* At both levels; returns the bytes at FAST, *dense_out those at DENSE. */
static size_t
round_trip(fixture_t *f, size_t n, size_t *dense_out)
{
    size_t fast = round_trip_at(f, CH_COLUMN_FAST, n);
    *dense_out = round_trip_at(f, CH_COLUMN_DENSE, n);
    assert_true(*dense_out <= fast);
    return fast;
}

static size_t
any_length(fixture_t *f, int round)
{
    if (round < 140)
        return (size_t)round + 1;
    return 1 + ch_rng_below(&f->rng, round % 8 ? 700 : N);
}

static void
test_every_set_comes_back(void **state)
{
    fixture_t *f = *state;
    for (size_t set = 0; set < ch_int_set_count; set++) {
        for (int round = 0; round < 220; round++) {
            size_t n = any_length(f, round), dense;
            ch_int_sets[set].fill(&f->rng, f->x, n);
            round_trip(f, n, &dense);
        }
    }
}

/* Goal: columns whose parts are of different kinds come back too. */
static void
test_mixtures_come_back(void **state)
{
    fixture_t *f = *state;
    for (int round = 0; round < 400; round++) {
        size_t n = any_length(f, round), at = 0, dense;
        while (at < n) {
            size_t part = 1 + ch_rng_below(&f->rng, n - at);
            ch_int_sets[ch_rng_below(&f->rng, ch_int_set_count)].fill(&f->rng, f->x + at,
                                                                      part);
            at += part;
        }
        round_trip(f, n, &dense);
    }
}

/* What is promised is the mean of a set; of eight series it was met on most seeds only. */
enum { SIZE_SERIES = 64 };

static void
test_sizes_are_those_promised(void **state)
{
    fixture_t *f = *state;
    for (size_t set = 0; set < ch_int_set_count; set++) {
        double total = 0, dense_total = 0;
        for (int series = 0; series < SIZE_SERIES; series++) {
            ch_int_sets[set].fill(&f->rng, f->x, 4096);
            size_t dense;
            total += (double)round_trip(f, 4096, &dense) / 4096 / SIZE_SERIES;
            dense_total += (double)dense / 4096 / SIZE_SERIES;
        }
        printf("%-16s %.3f bytes/value, %.3f dense\n", ch_int_sets[set].name, total,
               dense_total);
        if (ch_int_sets[set].bytes_max > 0)
            assert_true(total <= ch_int_sets[set].bytes_max);
        if (ch_int_sets[set].dense_max > 0)
            assert_true(dense_total <= ch_int_sets[set].dense_max);
    }
}

/* Goal: damaged columns decode to an error or to something, without a fault (asan). */
static void
test_damage_is_survived(void **state)
{
    fixture_t *f = *state;
    for (int round = 0; round < 6000; round++) {
        size_t used, n = 1 + ch_rng_below(&f->rng, round % 10 ? 300 : N);
        ch_int_sets[ch_rng_below(&f->rng, ch_int_set_count)].fill(&f->rng, f->x, n);
        ch_column_level_t level =
            ch_rng_below(&f->rng, 2) ? CH_COLUMN_FAST : CH_COLUMN_DENSE;
        size_t size = ch_int_column_encode(f->scratch, level, f->x, n, f->bytes);
        unsigned flips = (unsigned)ch_rng_below(&f->rng, 4);
        for (unsigned i = 0; i < flips; i++) /* headers are short: favour them */
            f->bytes[ch_rng_below(&f->rng,
                                  ch_rng_below(&f->rng, 2) && size > 24 ? 24 : size)] ^=
                (uint8_t)(1u << ch_rng_below(&f->rng, 8));
        if (ch_rng_below(&f->rng, 2))
            size = ch_rng_below(&f->rng, size + 1);
        ch_status_t status = decode(f, f->bytes, size, n, &used);
        if (status >= 0)
            assert_true(used <= size);
    }
}

static void
expect_no_prefix(fixture_t *f, ch_column_level_t level, size_t n)
{
    for (size_t set = 0; set < ch_int_set_count; set++) {
        size_t used;
        ch_int_sets[set].fill(&f->rng, f->x, n);
        size_t size = ch_int_column_encode(f->scratch, level, f->x, n, f->bytes);
        for (size_t cut = 0; cut < size; cut++)
            assert_int_equal(decode(f, f->bytes, cut, n, &used), CH_ERR_CORRUPT);
    }
}

/* Goal: no proper prefix of a column is taken for a column. */
static void
test_every_truncation_is_refused(void **state)
{
    expect_no_prefix(*state, CH_COLUMN_FAST, 30);
    expect_no_prefix(*state, CH_COLUMN_DENSE, 300);
}

static void
expect(fixture_t *f, const char *hex, size_t n, ch_status_t expected)
{
    uint8_t bytes[64];
    size_t size = strlen(hex) / 2, used;
    for (size_t i = 0; i < size; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        bytes[i] = (uint8_t)byte;
    }
    assert_int_equal(decode(f, bytes, size, n, &used), expected);
}

static void
test_violations_are_named(void **state)
{
    fixture_t *f = *state;
    expect(f, "04020200", 4, CH_OK);            /* DELTA, x0 1, base 1, width 0 */
    expect(f, "02020200", 4, CH_ERR_CORRUPT);   /* kind 2, and no table */
    expect(f, "42020200", 4, CH_ERR_CORRUPT);   /* kind 2 and zigzag */
    expect(f, "03020200", 4, CH_ERR_CORRUPT);   /* kind 3 */
    expect(f, "10020200", 4, CH_ERR_CORRUPT);   /* predictor 4 */
    expect(f, "84020200", 4, CH_ERR_CORRUPT);   /* bit 7 */
    expect(f, "2402010200", 4, CH_ERR_CORRUPT); /* factor 1 */
    expect(f, "2402000200", 4, CH_ERR_CORRUPT); /* factor 0 */
    expect(f, "0802020200", 2, CH_ERR_CORRUPT); /* DELTA2 of two values */
    expect(f, "04020241ffffffffffffffffff", 4, CH_ERR_CORRUPT); /* width 65 */
    expect(f, "04ffffffffffffffffffff0200", 4, CH_ERR_CORRUPT); /* x0 of 70 bits */
    expect(f, "050202014000000000", 4, CH_ERR_CORRUPT);         /* 1 + 64 bits */
    expect(f, "050202010000000000", 4, CH_ERR_CORRUPT);         /* high width 0 */
    expect(f, "05020201010101000100", 4, CH_OK);                /* one patch at 0 */
    expect(f, "05020201010101030100", 4, CH_ERR_CORRUPT);       /* patch at 3 of 3 */
    expect(f, "050202010101000100", 4, CH_ERR_CORRUPT);         /* one patch, no gap */
    expect(f, "0502020101010200000100", 4, CH_ERR_CORRUPT);     /* one patch, two gaps */
    expect(f, "050202010104010000", 4, CH_ERR_CORRUPT);         /* 4 patches of 3 words */
    expect(f, "", 4, CH_ERR_CORRUPT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_set_comes_back),
        cmocka_unit_test(test_mixtures_come_back),
        cmocka_unit_test(test_sizes_are_those_promised),
        cmocka_unit_test(test_damage_is_survived),
        cmocka_unit_test(test_every_truncation_is_refused),
        cmocka_unit_test(test_violations_are_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
