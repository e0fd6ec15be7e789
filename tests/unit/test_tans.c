/* Entropy-coded residuals: what goes in comes out, at every kernel level, and nothing else is taken. */
#include "ch/alloc.h"
#include "ch/coding.h"
#include "ch/limits.h"
#include "ch/rng.h"
#include "column/kernels.h"
#include "column/scratch.h"
#include "support/test.h"

enum { N = CH_CHUNK_POINTS_MAX, SLOTS = N + CH_POINTS_PAD, BYTES = 10 * N + 4096 };

typedef struct fixture {
    ch_column_scratch_t *scratch;
    ch_rng_t rng;
    int64_t residuals[N], base;
    uint64_t decoded[SLOTS];
    uint8_t bytes[BYTES];
} fixture_t;

static int
setup(void **state)
{
    fixture_t *f = ch_calloc(1, sizeof *f);
    f->scratch = ch_column_scratch_new();
    ch_rng_seed(&f->rng, ch_test_seed());
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    fixture_t *f = *state;
    ch_column_scratch_destroy(&f->scratch);
    ch_free(f);
    return 0;
}

/* ---- residuals ---- */

static void
fill_small(fixture_t *f, size_t m)
{
    for (size_t i = 0; i < m; i++)
        f->residuals[i] =
            (int64_t)(ch_rng_next(&f->rng) >> 32) >> (26 + ch_rng_below(&f->rng, 7));
}

static void
fill_two(fixture_t *f, size_t m)
{
    for (size_t i = 0; i < m; i++)
        f->residuals[i] = ch_rng_below(&f->rng, 50) == 0;
}

/* Every magnitude, on both sides: raw bits of all widths, many symbols. */
static void
fill_all_magnitudes(fixture_t *f, size_t m)
{
    for (size_t i = 0; i < m; i++) {
        int64_t x = (int64_t)(ch_rng_next(&f->rng) >> ch_rng_below(&f->rng, 64));
        f->residuals[i] = ch_rng_below(&f->rng, 2) ? x : (int64_t)(0 - (uint64_t)x);
    }
}

/* Mostly nothing, and rarely as far from the base as it gets. */
static void
fill_far(fixture_t *f, size_t m)
{
    static const int64_t far[] = {INT64_MIN, INT64_MAX, INT64_MIN + 1, -4, 4, 0, 3};
    for (size_t i = 0; i < m; i++)
        f->residuals[i] = ch_rng_below(&f->rng, 8) ? 0 : far[ch_rng_below(&f->rng, 7)];
}

static void
fill_middle(fixture_t *f, size_t m)
{
    for (size_t i = 0; i < m; i++)
        f->residuals[i] =
            (int64_t)(ch_rng_next(&f->rng) >> 44) * (ch_rng_below(&f->rng, 2) ? 1 : -1);
}

static void (*const fills[])(fixture_t *f, size_t m) = {
    fill_small, fill_two, fill_all_magnitudes, fill_far, fill_middle,
};
enum { FILLS = sizeof fills / sizeof *fills };

static void
fill(fixture_t *f, unsigned which, size_t m)
{
    f->base = which % 2 ? (int64_t)ch_rng_next(&f->rng) : 0;
    fills[which](f, m);
    for (size_t i = 0; i < m; i++)
        f->residuals[i] = (int64_t)((uint64_t)f->residuals[i] + (uint64_t)f->base);
}

/* ---- there and back ---- */

static ch_status_t
decode(fixture_t *f, const uint8_t *bytes, size_t size, size_t m, size_t *used_out)
{
    uint8_t *exact = ch_alloc(size + CH_COLUMN_PAD);
    if (size)
        memcpy(exact, bytes, size);
    memset(exact + size, 0xaa, CH_COLUMN_PAD);
    const uint8_t *at = exact;
    ch_status_t status = ch_tans_decode(f->scratch, &at, exact + size, f->decoded, m);
    if (status >= 0)
        *used_out = (size_t)(at - exact);
    ch_free(exact);
    return status;
}

/* 0 when the residuals do not suit. */
static size_t
encode(fixture_t *f, size_t m, ch_tans_plan_t *plan)
{
    if (!ch_tans_plan(f->residuals, m, f->base, plan))
        return 0;
    size_t size =
        ch_tans_encode(f->scratch, f->residuals, m, f->base, plan, BYTES, f->bytes);
    assert_true(size > 0);
    return size;
}

static void
expect_back(fixture_t *f, size_t size, size_t m)
{
    size_t used = 0;
    assert_int_equal(decode(f, f->bytes, size, m, &used), CH_OK);
    assert_int_equal(used, size);
    for (size_t i = 0; i < m; i++)
        assert_true((uint64_t)f->base + f->decoded[i] == (uint64_t)f->residuals[i]);
}

static void
test_residuals_come_back_at_every_level(void **state)
{
    fixture_t *f = *state;
    unsigned coded = 0;
    for (int round = 0; round < 900; round++) {
        size_t m = round < 300 ? (size_t)round + 1 : 1 + ch_rng_below(&f->rng, N);
        ch_tans_plan_t plan;
        fill(f, (unsigned)round % FILLS, m);
        size_t size = encode(f, m, &plan);
        for (int level = 0; size && level < CH_KERNELS_LEVELS; level++)
            if (ch_kernels_force((ch_kernels_level_t)level)) {
                expect_back(f, size, m);
                coded++;
            }
    }
    assert_true(coded > 500);
}

/* Goal: what decides about the kind of a column is near the truth. */
static void
test_the_estimate_is_within_six_percent(void **state)
{
    fixture_t *f = *state;
    for (unsigned which = 0; which < FILLS; which++) {
        for (int round = 0; round < 20; round++) {
            ch_tans_plan_t plan;
            fill(f, which, 4000);
            size_t size = encode(f, 4000, &plan);
            if (size == 0)
                continue;
            double ratio = (double)size * 8 / (double)plan.bits;
            assert_true(ratio > 0.94 && ratio < 1.06);
        }
    }
}

static void
test_what_gains_nothing_is_not_written(void **state)
{
    fixture_t *f = *state;
    ch_tans_plan_t plan;
    fill(f, 0, 500);
    size_t size = encode(f, 500, &plan);
    assert_true(size > 0);
    memset(f->bytes, 0x77, BYTES);
    assert_int_equal(
        ch_tans_encode(f->scratch, f->residuals, 500, f->base, &plan, size, f->bytes), 0);
    for (size_t i = 0; i < BYTES; i++)
        assert_int_equal(f->bytes[i], 0x77);
    assert_int_equal(
        ch_tans_encode(f->scratch, f->residuals, 500, f->base, &plan, size + 1, f->bytes),
        size);
}

/* ---- damage ---- */

/* Goal: damaged columns decode to an error or to something, without a fault (asan), and to the same at
 * every level. */
static void
test_damage_is_survived_alike_at_every_level(void **state)
{
    fixture_t *f = *state;
    static uint64_t first[SLOTS];
    for (int round = 0; round < 20000; round++) {
        size_t m = 1 + ch_rng_below(&f->rng, 400), used[2] = {0};
        ch_tans_plan_t plan;
        fill(f, (unsigned)round % FILLS, m);
        size_t size = encode(f, m, &plan);
        if (size == 0)
            continue;
        for (unsigned i = 1 + (unsigned)ch_rng_below(&f->rng, 3); i > 0; i--) {
            size_t within = ch_rng_below(&f->rng, 2) && size > 24 ? 24 : size;
            f->bytes[ch_rng_below(&f->rng, within)] ^=
                (uint8_t)(1u << ch_rng_below(&f->rng, 8));
        }
        if (ch_rng_below(&f->rng, 4) == 0)
            size = ch_rng_below(&f->rng, size + 1);
        assert_true(ch_kernels_force(CH_KERNELS_PORTABLE));
        ch_status_t status = decode(f, f->bytes, size, m, &used[0]);
        memcpy(first, f->decoded, m * sizeof *first);
        for (int level = 1; level < CH_KERNELS_LEVELS; level++) {
            if (!ch_kernels_force((ch_kernels_level_t)level))
                continue;
            assert_int_equal(decode(f, f->bytes, size, m, &used[1]), status);
            assert_int_equal(used[0], used[1]);
            if (status >= 0)
                assert_memory_equal(first, f->decoded, m * sizeof *first);
        }
    }
}

static void
test_every_truncation_is_refused(void **state)
{
    fixture_t *f = *state;
    for (unsigned which = 0; which < FILLS; which++) {
        ch_tans_plan_t plan;
        size_t m = 150, used;
        fill(f, which, m);
        size_t size = encode(f, m, &plan);
        for (size_t cut = 0; cut < size; cut++)
            assert_int_equal(decode(f, f->bytes, cut, m, &used), CH_ERR_CORRUPT);
    }
}

/* A payload by hand: head, lowest token, then numbers as gammas, then the two streams. */
typedef struct hand {
    uint8_t bytes[256];
    size_t bit;
} hand_t;

static void
hand_bits(hand_t *hand, uint64_t bits, unsigned width)
{
    for (unsigned i = 0; i < width; i++, hand->bit++)
        if (bits >> i & 1)
            hand->bytes[hand->bit / 8] |= (uint8_t)(1u << hand->bit % 8);
}

static void
hand_gamma(hand_t *hand, unsigned number)
{
    unsigned below = 31u - (unsigned)__builtin_clz(number);
    hand_bits(hand, 0, below);
    hand_bits(hand, 1, 1);
    hand_bits(hand, number & ((1u << below) - 1), below);
}

static void
hand_end(hand_t *hand)
{
    hand->bit = (hand->bit + 7) & ~(size_t)7;
}

typedef struct table {
    unsigned s, log, low, span;
    unsigned numbers[8];    /* as they stand behind the span; up to the 0 */
    size_t stream_bytes[2]; /* 0: what four states take */
} table_t;

/* All bits of the streams are 0: state 0, which leads to itself when its symbol has the whole table. */
static ch_status_t
decode_by_hand(fixture_t *f, const table_t *table, size_t m)
{
    hand_t hand = {.bit = 0};
    size_t used, stream = (4 * table->log + 7) / 8;
    hand_bits(&hand, table->s | table->log << 2, 8);
    hand_bits(&hand, table->low, 16);
    hand_gamma(&hand, table->span);
    for (const unsigned *number = table->numbers; *number; number++)
        hand_gamma(&hand, *number);
    hand_end(&hand);
    size_t a = table->stream_bytes[0] ? table->stream_bytes[0] : stream;
    size_t b = table->stream_bytes[1] ? table->stream_bytes[1] : stream;
    hand_bits(&hand, a, 8);
    hand_bits(&hand, b, 8);
    hand.bit += 8 * (a + b);
    assert_true(hand.bit <= 8 * sizeof hand.bytes);
    return decode(f, hand.bytes, hand.bit / 8, m, &used);
}

static void
test_violations_are_named(void **state)
{
    fixture_t *f = *state;
    const struct {
        table_t table;
        ch_status_t expected;
    } cases[] = {
        {{2, 5, 4, 1, {33}, {0}}, CH_OK},           /* 2 everywhere */
        {{2, 5, 5, 1, {33}, {0}}, CH_OK},           /* -2 everywhere */
        {{0, 5, 4, 3, {1, 2, 33}, {0}}, CH_OK},     /* two absent, then a token */
        {{3, 5, 4, 1, {33}, {0}}, CH_ERR_CORRUPT},  /* s */
        {{2, 4, 4, 1, {17}, {0}}, CH_ERR_CORRUPT},  /* L below 5 */
        {{2, 12, 4, 1, {33}, {0}}, CH_ERR_CORRUPT}, /* L above 11 */
        {{2, 37, 4, 1, {33}, {0}}, CH_ERR_CORRUPT}, /* upper bits of the head */
        {{2, 5, 4, 1, {32}, {0}}, CH_ERR_CORRUPT},  /* 31 of 32 entries */
        {{2, 5, 4, 1, {34}, {0}}, CH_ERR_CORRUPT},  /* 33 of 32 entries */
        {{2, 5, 4, 2, {32, 3}, {0}}, CH_ERR_CORRUPT},
        {{2, 5, 4, 1, {1, 1}, {0}}, CH_ERR_CORRUPT},       /* no token at all */
        {{2, 5, 4, 2, {33, 1, 2}, {0}}, CH_ERR_CORRUPT},   /* a run beyond the span */
        {{2, 5, 503, 1, {33}, {0}}, CH_ERR_CORRUPT},       /* its raw bits are missing */
        {{2, 5, 504, 1, {33}, {0}}, CH_ERR_CORRUPT},       /* no such token */
        {{2, 5, 503, 2, {1, 1, 33}, {0}}, CH_ERR_CORRUPT}, /* nor this */
        {{0, 5, 131, 1, {33}, {0}}, CH_ERR_CORRUPT},       /* raw bits again */
        {{0, 5, 132, 1, {33}, {0}}, CH_ERR_CORRUPT},       /* s = 0 has fewer tokens */
        {{2, 5, 4, 600, {33}, {0}}, CH_ERR_CORRUPT},       /* a span beyond all tokens */
        {{2, 5, 4, 1, {33}, {4, 3}}, CH_ERR_CORRUPT},      /* a stream too long ... */
        {{2, 5, 4, 1, {33}, {3, 4}}, CH_ERR_CORRUPT},
        {{2, 5, 4, 1, {33}, {2, 3}}, CH_ERR_CORRUPT}, /* ... or too short */
        {{2, 5, 4, 1, {33}, {3, 2}}, CH_ERR_CORRUPT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int level = 0; level < CH_KERNELS_LEVELS; level++)
            if (ch_kernels_force((ch_kernels_level_t)level))
                for (size_t m = 3; m <= 20; m += 5)
                    assert_int_equal(decode_by_hand(f, &cases[i].table, m),
                                     cases[i].expected);
}

/* Goal: positions are held against the streams' ends, wherever they run over. Method: a table whose
 * steps take all of 11 bits each, and streams of every length. */
static void
test_streams_that_end_early_are_refused(void **state)
{
    fixture_t *f = *state;
    table_t table = {.s = 2, .log = 11, .low = 0, .span = 2, .numbers = {2, 2048}};
    for (size_t m = 8; m <= 24; m += 8) {
        for (size_t bytes = 1; bytes < 30; bytes++) {
            table.stream_bytes[0] = table.stream_bytes[1] = bytes;
            for (int level = 0; level < CH_KERNELS_LEVELS; level++)
                if (ch_kernels_force((ch_kernels_level_t)level)) {
                    /* State 0 is the rare symbol's: 11 zero bits lead back to it. */
                    size_t needed = (44 + m / 8 * 44 + 7) / 8;
                    assert_int_equal(decode_by_hand(f, &table, m),
                                     bytes == needed ? CH_OK : CH_ERR_CORRUPT);
                }
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_residuals_come_back_at_every_level),
        cmocka_unit_test(test_the_estimate_is_within_six_percent),
        cmocka_unit_test(test_what_gains_nothing_is_not_written),
        cmocka_unit_test(test_damage_is_survived_alike_at_every_level),
        cmocka_unit_test(test_every_truncation_is_refused),
        cmocka_unit_test(test_violations_are_named),
        cmocka_unit_test(test_streams_that_end_early_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
