#include "ch/points.h"
#include "ch/rng.h"
#include "support/test.h"

static ch_value_t
random_value(ch_rng_t *rng, bool mixed)
{
    static const char text[] = "abcdefghijklmnop";
    switch (mixed ? ch_rng_below(rng, 4) : 0) {
    case 1:
        return ch_value_float((double)ch_rng_below(rng, 1000) / 8);
    case 2:
        return ch_value_bool(ch_rng_below(rng, 2));
    case 3:
        return ch_value_string(ch_bytes(text, ch_rng_below(rng, sizeof text)));
    default:
        return ch_value_int((int64_t)ch_rng_below(rng, 1000));
    }
}

/* Goal: a merge keeps the newer point at equal times and all others. Method: seeded runs over few
 * times, against a table by time. */
static void
test_merge_keeps_newer_at_equal_times(void **state)
{
    (void)state;
    ch_rng_t rng;
    ch_rng_seed(&rng, ch_test_seed());
    ch_points_t runs[2] = {{0}, {0}}, out = {0};
    for (int round = 0; round < 500; round++) {
        bool mixed = ch_rng_below(&rng, 2);
        bool present[50] = {false};
        ch_value_t expected[50];
        for (int r = 0; r < 2; r++) {
            ch_points_clear(&runs[r]);
            for (int t = 0; t < 50; t++) {
                if (ch_rng_below(&rng, 3))
                    continue;
                ch_points_append(&runs[r], t, random_value(&rng, mixed));
                present[t] = true;
                expected[t] = ch_points_value(&runs[r], runs[r].count - 1);
            }
        }
        ch_points_merge(&runs[0], &runs[1], &out);
        size_t at = 0;
        for (int t = 0; t < 50; t++) {
            if (!present[t])
                continue;
            assert_true(at < out.count);
            assert_int_equal(out.times[at], t);
            assert_true(ch_value_equal(ch_points_value(&out, at), expected[t]));
            at++;
        }
        assert_int_equal(at, out.count);
    }
    ch_points_release(&runs[0]);
    ch_points_release(&runs[1]);
    ch_points_release(&out);
}

static void
test_type_change_keeps_earlier_points(void **state)
{
    (void)state;
    ch_points_t points = {0};
    for (int i = 0; i < 100; i++)
        ch_points_append(&points, i, ch_value_int(i));
    assert_int_equal(points.form, CH_POINTS_I64);
    ch_points_append(&points, 100, ch_value_string(ch_bytes_text("x")));
    assert_int_equal(points.form, CH_POINTS_LIST);
    for (int i = 0; i < 100; i++)
        assert_true(ch_value_equal(ch_points_value(&points, (size_t)i), ch_value_int(i)));
    ch_points_clear(&points);
    ch_points_append(&points, 7, ch_value_float(0.5));
    assert_int_equal(points.form, CH_POINTS_F64);
    assert_true(ch_value_equal(ch_points_value(&points, 0), ch_value_float(0.5)));
    ch_points_release(&points);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge_keeps_newer_at_equal_times),
        cmocka_unit_test(test_type_change_keeps_earlier_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
