#include <math.h>

#include "ch/alloc.h"
#include "ch/coding.h"
#include "ch/limits.h"
#include "column/chunk.h"
#include "support/column_sets.h"
#include "support/test.h"

enum {
    N = CH_CHUNK_POINTS_MAX,
    TYPE_INT = 0,
    TYPE_FLOAT,
    TYPE_BOOL,
    TYPE_STRING,
    TYPE_MIXED
};

typedef struct fixture {
    ch_column_scratch_t *scratch;
    ch_rng_t rng;
    ch_points_t points, decoded;
    int64_t ints[N];
    double floats[N];
} fixture_t;

/* An encoded chunk in buffers of the exact size and their pads. */
typedef struct encoded {
    ch_chunk_t chunk;
    uint8_t *times, *values;
} encoded_t;

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
    ch_points_release(&f->points);
    ch_points_release(&f->decoded);
    ch_free(f);
    return 0;
}

static uint8_t *
exact_copy(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = ch_alloc(size + CH_COLUMN_PAD);
    memcpy(copy, bytes, size);
    memset(copy + size, 0xaa, CH_COLUMN_PAD);
    return copy;
}

static encoded_t
encode_at(fixture_t *f, ch_column_level_t level, size_t from, size_t to)
{
    encoded_t out;
    size_t max = ch_chunk_bytes_max(&f->points, from, to);
    uint8_t *times = ch_alloc(max), *values = ch_alloc(max);
    ch_chunk_encode(f->scratch, level, &f->points, from, to, times, values, &out.chunk);
    assert_true(out.chunk.times_bytes <= max);
    assert_true(out.chunk.values_bytes <= max);
    out.times = exact_copy(times, out.chunk.times_bytes);
    out.values = exact_copy(values, out.chunk.values_bytes);
    ch_free(times);
    ch_free(values);
    return out;
}

static encoded_t
encode(fixture_t *f, size_t from, size_t to)
{
    return encode_at(f, CH_COLUMN_FAST, from, to);
}

static void
release(encoded_t *encoded)
{
    ch_free(encoded->times);
    ch_free(encoded->values);
}

static ch_status_t
decode(fixture_t *f, const encoded_t *encoded)
{
    return ch_chunk_decode(
        f->scratch, &encoded->chunk, ch_bytes(encoded->times, encoded->chunk.times_bytes),
        ch_bytes(encoded->values, encoded->chunk.values_bytes), &f->decoded);
}

static void
expect_points(const fixture_t *f, size_t from, size_t to, size_t decoded_from)
{
    assert_int_equal(f->decoded.count, decoded_from + to - from);
    for (size_t i = from; i < to; i++) {
        size_t at = decoded_from + i - from;
        assert_int_equal(f->points.times[i], f->decoded.times[at]);
        assert_true(ch_value_equal(ch_points_value(&f->points, i),
                                   ch_points_value(&f->decoded, at)));
    }
}

/* ---- points ---- */

static ch_value_t
random_value(ch_rng_t *rng, ch_value_type_t type)
{
    static const char text[] = "state=open door=left state=open door=right";
    size_t from = ch_rng_below(rng, sizeof text);
    switch (type) {
    case CH_VALUE_INT:
        return ch_value_int((int64_t)ch_rng_next(rng) >> ch_rng_below(rng, 64));
    case CH_VALUE_FLOAT:
        return ch_value_float((double)ch_rng_below(rng, 10000) / 100);
    case CH_VALUE_BOOL:
        return ch_value_bool(ch_rng_below(rng, 2));
    default:
        return ch_value_string(
            ch_bytes(text + from, ch_rng_below(rng, sizeof text - from)));
    }
}

/* n points whose types are drawn from the bits of `types`. */
static void
fill_points(fixture_t *f, size_t n, unsigned types)
{
    int64_t time = (int64_t)ch_rng_next(&f->rng) >> 8;
    int64_t step = (int64_t)(1 + ch_rng_below(&f->rng, 1000000));
    bool regular = ch_rng_below(&f->rng, 2);
    ch_points_clear(&f->points);
    for (size_t i = 0; i < n; i++) {
        unsigned type;
        do
            type = (unsigned)ch_rng_below(&f->rng, 4);
        while (!(types >> type & 1));
        ch_points_append(&f->points, time, random_value(&f->rng, (ch_value_type_t)type));
        time += regular ? step : (int64_t)(1 + ch_rng_below(&f->rng, (uint64_t)step));
    }
}

static unsigned
type_expected(const ch_points_t *points, size_t from, size_t to)
{
    unsigned type = ch_points_value(points, from).type;
    for (size_t i = from; i < to; i++)
        if (ch_points_value(points, i).type != type)
            return TYPE_MIXED;
    return type;
}

static void
test_points_of_all_types_come_back(void **state)
{
    fixture_t *f = *state;
    for (int round = 0; round < 600; round++) {
        size_t n = 1 + ch_rng_below(&f->rng, round % 20 ? 200 : N);
        fill_points(f, n, 1 + (unsigned)ch_rng_below(&f->rng, 15));
        size_t from = ch_rng_below(&f->rng, n),
               to = from + 1 + ch_rng_below(&f->rng, n - from);
        encoded_t encoded = encode(f, from, to);
        assert_int_equal(encoded.chunk.type, type_expected(&f->points, from, to));
        if (ch_rng_below(&f->rng, 4)) /* else: behind whatever the last round left */
            ch_points_clear(&f->decoded);
        size_t before = f->decoded.count;
        assert_int_equal(decode(f, &encoded), CH_OK);
        expect_points(f, from, to, before);
        if (f->decoded.count > 3 * N)
            ch_points_clear(&f->decoded);
        release(&encoded);
    }
}

/* Goal: a chunk says at which level it was encoded; at either its points come back, and its aggregates are
 * the same. */
static void
test_dense_chunks_come_back_and_say_so(void **state)
{
    fixture_t *f = *state;
    for (unsigned types = 1; types < 16; types++) {
        size_t n = 100 + ch_rng_below(&f->rng, 400);
        fill_points(f, n, types);
        encoded_t fast = encode(f, 0, n), dense = encode_at(f, CH_COLUMN_DENSE, 0, n);
        assert_int_equal(dense.chunk.flags, fast.chunk.flags | CH_CHUNK_DENSE);
        assert_true(dense.chunk.sum == fast.chunk.sum);
        ch_points_clear(&f->decoded);
        assert_int_equal(decode(f, &dense), CH_OK);
        expect_points(f, 0, n, 0);
        release(&fast);
        release(&dense);
    }
}

static void
test_shared_times_are_left_to_the_caller(void **state)
{
    fixture_t *f = *state;
    fill_points(f, 100, 1);
    encoded_t encoded = encode(f, 0, 100);
    ch_chunk_t shared;
    ch_chunk_encode(f->scratch, CH_COLUMN_FAST, &f->points, 0, 100, NULL, encoded.values,
                    &shared);
    assert_true(shared.flags & CH_CHUNK_TIMES_SHARED);
    assert_int_equal(shared.times_bytes, 0);
    ch_points_clear(&f->decoded);
    assert_int_equal(ch_chunk_decode(f->scratch, &shared,
                                     ch_bytes(encoded.times, encoded.chunk.times_bytes),
                                     ch_bytes(encoded.values, shared.values_bytes),
                                     &f->decoded),
                     CH_OK);
    expect_points(f, 0, 100, 0);
    release(&encoded);
}

static void
test_long_equal_strings_are_compressed(void **state)
{
    fixture_t *f = *state;
    static char text[CH_STRING_BYTES_MAX];
    memset(text, 'a', sizeof text);
    ch_points_clear(&f->points);
    for (int64_t i = 0; i < 20; i++)
        ch_points_append(&f->points, i, ch_value_string(ch_bytes(text, sizeof text)));
    encoded_t encoded = encode(f, 0, 20);
    assert_true(encoded.chunk.values_bytes < sizeof text * 20 / 15);
    ch_points_clear(&f->decoded);
    assert_int_equal(decode(f, &encoded), CH_OK);
    expect_points(f, 0, 20, 0);
    release(&encoded);
}

/* ---- aggregates ---- */

static void
expect_int_aggregates(const fixture_t *f, const ch_chunk_t *chunk, size_t n)
{
    __extension__ __int128 sum = 0;
    const int64_t *x = f->ints;
    int64_t min = x[0], max = x[0];
    bool reset = false;
    for (size_t i = 0; i < n; i++) {
        sum += x[i];
        min = x[i] < min ? x[i] : min;
        max = x[i] > max ? x[i] : max;
        reset = reset || (i && x[i] < x[i - 1]);
    }
    assert_int_equal(!!(chunk->flags & CH_CHUNK_COUNTER_RESET), reset);
    bool fits = sum == (int64_t)sum;
    assert_int_equal(!!(chunk->flags & CH_CHUNK_AGGREGATES), n >= 16 && fits);
    if (!(chunk->flags & CH_CHUNK_AGGREGATES))
        return;
    const int64_t five[] = {x[0], x[n - 1], min, max, (int64_t)sum};
    assert_true(chunk->flags & CH_CHUNK_AGGREGATES_SCALED);
    assert_int_equal(chunk->scale_exponent, 0);
    assert_memory_equal(chunk->scaled, five, sizeof five);
    assert_true(chunk->min == (double)min);
    assert_true(chunk->sum == (double)(int64_t)sum);
}

static void
load_ints(fixture_t *f, size_t n)
{
    ch_points_clear(&f->points);
    for (size_t i = 0; i < n; i++)
        ch_points_append(&f->points, (int64_t)i, ch_value_int(f->ints[i]));
}

static void
test_int_aggregates_are_those_of_the_points(void **state)
{
    fixture_t *f = *state;
    for (size_t set = 0; set < ch_int_set_count; set++) {
        for (int round = 0; round < 20; round++) {
            size_t n = 1 + ch_rng_below(&f->rng, round % 2 ? 40 : 1000);
            ch_int_sets[set].fill(&f->rng, f->ints, n);
            load_ints(f, n);
            encoded_t encoded = encode(f, 0, n);
            expect_int_aggregates(f, &encoded.chunk, n);
            release(&encoded);
        }
    }
}

static void
test_a_sum_that_overflows_leaves_aggregates_out(void **state)
{
    fixture_t *f = *state;
    for (size_t i = 0; i < 20; i++)
        f->ints[i] = INT64_MAX / 20 + (i == 0) * (INT64_MAX % 20);
    load_ints(f, 20);
    encoded_t encoded = encode(f, 0, 20);
    expect_int_aggregates(f, &encoded.chunk, 20);
    assert_int_equal(encoded.chunk.scaled[4], INT64_MAX);
    release(&encoded);
    f->points.ints[3]++;
    encoded = encode(f, 0, 20);
    assert_false(encoded.chunk.flags & CH_CHUNK_AGGREGATES);
    release(&encoded);
}

typedef struct naive {
    double first, last, min, max;
    long double sum, magnitude;
    uint32_t nans;
    bool reset;
} naive_t;

static naive_t
naive_aggregates(const double *v, size_t n)
{
    naive_t naive = {0};
    size_t seen = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(v[i])) {
            naive.nans++;
            continue;
        }
        if (!seen++)
            naive.first = naive.last = naive.min = naive.max = v[i];
        naive.reset = naive.reset || v[i] < naive.last;
        naive.last = v[i];
        naive.min = fmin(naive.min, v[i]);
        naive.max = fmax(naive.max, v[i]);
        naive.sum += (long double)v[i];
        naive.magnitude += fabsl((long double)v[i]);
    }
    return naive;
}

static void
expect_sum(const ch_chunk_t *chunk, const naive_t *naive)
{
    if (naive->magnitude > (long double)1e307 ||
        isinf(chunk->sum)) /* infinity among them */
        return;
    long double error = fabsl((long double)chunk->sum - naive->sum);
    assert_true(error <= naive->magnitude * 0x1p-51L);
}

static void
expect_float_aggregates(const fixture_t *f, const ch_chunk_t *chunk, size_t n)
{
    naive_t naive = naive_aggregates(f->floats, n);
    assert_int_equal(!!(chunk->flags & CH_CHUNK_COUNTER_RESET), naive.reset);
    assert_int_equal(!!(chunk->flags & CH_CHUNK_NAN_SEEN), naive.nans > 0);
    assert_int_equal(chunk->nan_count, naive.nans);
    assert_int_equal(!!(chunk->flags & CH_CHUNK_AGGREGATES), n >= 16 && naive.nans < n);
    if (!(chunk->flags & CH_CHUNK_AGGREGATES))
        return;
    assert_true(chunk->first == naive.first);
    assert_true(chunk->last == naive.last);
    assert_true(chunk->min == naive.min);
    assert_true(chunk->max == naive.max);
    expect_sum(chunk, &naive);
}

static void
load_floats(fixture_t *f, size_t n)
{
    ch_points_clear(&f->points);
    for (size_t i = 0; i < n; i++)
        ch_points_append(&f->points, (int64_t)i, ch_value_float(f->floats[i]));
}

static void
test_float_aggregates_are_those_of_the_points(void **state)
{
    fixture_t *f = *state;
    for (size_t set = 0; set < ch_float_set_count; set++) {
        for (int round = 0; round < 20; round++) {
            size_t n = 1 + ch_rng_below(&f->rng, round % 2 ? 40 : 1000);
            ch_float_sets[set].fill(&f->rng, f->floats, n);
            load_floats(f, n);
            encoded_t encoded = encode(f, 0, n);
            expect_float_aggregates(f, &encoded.chunk, n);
            release(&encoded);
        }
    }
}

static void
test_decimals_are_summed_exactly(void **state)
{
    fixture_t *f = *state;
    for (size_t i = 0; i < 1000; i++)
        f->floats[i] = 0.1;
    load_floats(f, 1000);
    encoded_t encoded = encode(f, 0, 1000);
    assert_true(encoded.chunk.flags & CH_CHUNK_AGGREGATES_SCALED);
    assert_int_equal(encoded.chunk.scale_exponent, 1);
    assert_int_equal(encoded.chunk.scaled[4], 1000);
    assert_true(encoded.chunk.sum == 100);
    release(&encoded);
}

/* ---- directory entry ---- */

static void
expect_entry(const ch_chunk_t *chunk, int64_t block_time_min, uint32_t ref)
{
    uint8_t bytes[160];
    ch_chunk_t back;
    uint32_t ref_back;
    const uint8_t *end = ch_chunk_put(bytes, chunk, block_time_min, ref);
    assert_true(end <= bytes + sizeof bytes);
    assert_ptr_equal(ch_chunk_get(bytes, end, block_time_min, &back, &ref_back), end);
    assert_int_equal(back.type, chunk->type);
    assert_int_equal(back.flags, chunk->flags);
    assert_int_equal(back.count, chunk->count);
    assert_int_equal(back.time_first, chunk->time_first);
    assert_int_equal(back.time_last, chunk->time_last);
    assert_memory_equal(back.scaled, chunk->scaled, sizeof back.scaled);
    assert_int_equal(back.scale_exponent, chunk->scale_exponent);
    assert_memory_equal(&back.first, &chunk->first, 5 * sizeof(double));
    assert_int_equal(back.nan_count, chunk->nan_count);
    assert_int_equal(back.times_bytes, chunk->times_bytes);
    assert_int_equal(back.values_bytes, chunk->values_bytes);
    assert_int_equal(ref_back, chunk->flags & CH_CHUNK_TIMES_SHARED ? ref : 0);
    for (const uint8_t *cut = bytes; cut < end; cut++)
        assert_null(ch_chunk_get(bytes, cut, block_time_min, &back, &ref_back));
}

static void
test_entries_come_back_and_no_prefix_does(void **state)
{
    fixture_t *f = *state;
    for (int round = 0; round < 400; round++) {
        size_t n = 1 + ch_rng_below(&f->rng, 300);
        if (round % 2) {
            ch_float_sets[ch_rng_below(&f->rng, ch_float_set_count)].fill(&f->rng,
                                                                          f->floats, n);
            load_floats(f, n);
        } else {
            fill_points(f, n, 1 + (unsigned)ch_rng_below(&f->rng, 15));
        }
        encoded_t encoded = encode(f, 0, n);
        expect_entry(&encoded.chunk, (int64_t)ch_rng_next(&f->rng), 0);
        encoded.chunk.flags |= CH_CHUNK_TIMES_SHARED;
        encoded.chunk.times_bytes = 0;
        expect_entry(&encoded.chunk, encoded.chunk.time_first, (uint32_t)round);
        release(&encoded);
    }
}

static void
test_damaged_entries_are_survived(void **state)
{
    fixture_t *f = *state;
    unsigned refused = 0;
    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[160];
        ch_chunk_t chunk = {.count = 1};
        uint32_t ref;
        size_t size = ch_rng_below(&f->rng, sizeof bytes);
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)(ch_rng_next(&f->rng) & (i < 2 ? 0x07 : 0x7f));
        uint8_t *exact = ch_alloc(size + 1);
        memcpy(exact, bytes, size);
        if (ch_chunk_get(exact, exact + size, 0, &chunk, &ref)) {
            assert_in_range(chunk.count, 1, N);
            assert_true(chunk.time_last >= chunk.time_first);
        } else {
            refused++;
        }
        ch_free(exact);
    }
    assert_in_range(refused, 1, 19999);
}

/* ---- damage ---- */

/* Goal: damaged chunks give an error that leaves the run alone, or rising times between the entry's. */
static void
test_damage_is_survived(void **state)
{
    fixture_t *f = *state;
    for (int round = 0; round < 4000; round++) {
        size_t n = 1 + ch_rng_below(&f->rng, 200);
        fill_points(f, n, 1 + (unsigned)ch_rng_below(&f->rng, 15));
        encoded_t encoded = encode(f, 0, n);
        uint8_t *target = ch_rng_below(&f->rng, 3) ? encoded.values : encoded.times;
        size_t size = target == encoded.values ? encoded.chunk.values_bytes
                                               : encoded.chunk.times_bytes;
        for (uint64_t flips = 1 + ch_rng_below(&f->rng, 3); flips; flips--)
            target[ch_rng_below(&f->rng,
                                ch_rng_below(&f->rng, 2) && size > 16 ? 16 : size)] ^=
                (uint8_t)(1u << ch_rng_below(&f->rng, 8));
        if (ch_rng_below(&f->rng, 4) == 0)
            encoded.chunk.values_bytes =
                (uint32_t)ch_rng_below(&f->rng, encoded.chunk.values_bytes + 1);
        if (ch_rng_below(&f->rng, 2))
            ch_points_clear(&f->decoded);
        size_t before = f->decoded.count;
        if (decode(f, &encoded) < 0)
            assert_int_equal(f->decoded.count, before);
        else
            assert_int_equal(f->decoded.times[before + n - 1], encoded.chunk.time_last);
        release(&encoded);
        if (f->decoded.count > 2 * N)
            ch_points_clear(&f->decoded);
    }
}

static void
test_times_must_agree_with_the_entry(void **state)
{
    fixture_t *f = *state;
    fill_points(f, 50, 1);
    encoded_t encoded = encode(f, 0, 50);
    ch_points_clear(&f->decoded);
    encoded.chunk.time_last++;
    assert_int_equal(decode(f, &encoded), CH_ERR_CORRUPT);
    encoded.chunk.time_last--;
    encoded.chunk.count--;
    assert_int_equal(decode(f, &encoded), CH_ERR_CORRUPT);
    encoded.chunk.count++;
    encoded.chunk.type = 5;
    assert_int_equal(decode(f, &encoded), CH_ERR_CORRUPT);
    encoded.chunk.type = TYPE_INT;
    assert_int_equal(f->decoded.form, CH_POINTS_EMPTY);
    assert_int_equal(decode(f, &encoded), CH_OK);
    release(&encoded);
}

static void
test_times_that_do_not_rise_are_refused(void **state)
{
    fixture_t *f = *state;
    fill_points(f, 3, 1);
    f->points.times[1] = f->points.times[0];
    encoded_t encoded = encode(f, 0, 3);
    ch_points_clear(&f->decoded);
    assert_int_equal(decode(f, &encoded), CH_ERR_CORRUPT);
    release(&encoded);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_points_of_all_types_come_back),
        cmocka_unit_test(test_dense_chunks_come_back_and_say_so),
        cmocka_unit_test(test_shared_times_are_left_to_the_caller),
        cmocka_unit_test(test_long_equal_strings_are_compressed),
        cmocka_unit_test(test_int_aggregates_are_those_of_the_points),
        cmocka_unit_test(test_a_sum_that_overflows_leaves_aggregates_out),
        cmocka_unit_test(test_float_aggregates_are_those_of_the_points),
        cmocka_unit_test(test_decimals_are_summed_exactly),
        cmocka_unit_test(test_entries_come_back_and_no_prefix_does),
        cmocka_unit_test(test_damaged_entries_are_survived),
        cmocka_unit_test(test_damage_is_survived),
        cmocka_unit_test(test_times_must_agree_with_the_entry),
        cmocka_unit_test(test_times_that_do_not_rise_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
