/* Goal: a percentile is off by at most an eighth, at any size of value. */
#include "support/test.h"

#include "histogram.h"

static void
test_buckets_cover_all_values_in_order(void **state)
{
    (void)state;
    assert_int_equal(ch_histogram_bucket(0), 0);
    assert_int_equal(ch_histogram_bucket(UINT64_MAX), CH_HISTOGRAM_BUCKETS - 1);
    assert_true(ch_histogram_bound(CH_HISTOGRAM_BUCKETS - 1) == UINT64_MAX);
    for (size_t i = 0; i + 1 < CH_HISTOGRAM_BUCKETS; i++) {
        uint64_t bound = ch_histogram_bound(i);
        assert_int_equal(ch_histogram_bucket(bound), i);
        assert_int_equal(ch_histogram_bucket(bound + 1), i + 1);
    }
}

static void
test_a_bound_is_at_most_an_eighth_above_its_values(void **state)
{
    (void)state;
    for (uint64_t value = 1; value < UINT64_MAX / 3; value = value * 3 + 1) {
        uint64_t bound = ch_histogram_bound(ch_histogram_bucket(value));
        assert_true(bound >= value);
        assert_true(bound - value <= value / 8);
    }
}

static void
test_percentiles_of_known_values(void **state)
{
    (void)state;
    static ch_histogram_t histogram;
    assert_int_equal(ch_histogram_percentile(&histogram, 0.5), 0);
    for (uint64_t i = 1; i <= 1000; i++)
        ch_histogram_record(&histogram, i);
    assert_int_equal(histogram.count, 1000);
    assert_int_equal(histogram.sum, 500500);
    assert_int_equal(histogram.max, 1000);
    assert_in_range(ch_histogram_percentile(&histogram, 0.5), 500, 563);
    assert_in_range(ch_histogram_percentile(&histogram, 0.99), 990, 1114);
    assert_in_range(ch_histogram_percentile(&histogram, 1.0), 1000, 1125);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets_cover_all_values_in_order),
        cmocka_unit_test(test_a_bound_is_at_most_an_eighth_above_its_values),
        cmocka_unit_test(test_percentiles_of_known_values),
    };
    return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
