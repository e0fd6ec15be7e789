#include "chq/text.h"
#include "ch/rng.h"
#include "support/test.h"

#include <math.h>

static const int64_t now = 1700000000000000000;

static void
test_times_people_write(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t time;
    } good[] = {{"2023-11-14T22:13:20Z", 1700000000000000000},
                {"2023-11-14 22:13:20", 1700000000000000000},
                {"2023-11-15T00:13:20+02:00", 1700000000000000000},
                {"2023-11-14T22:13:20.000000001Z", 1700000000000000001},
                {"1970-01-01", 0},
                {"2024-02-29", 1709164800000000000},
                {"1969-12-31T23:59:59.5Z", -500000000},
                {"1700000000", 1700000000000000000},
                {"1700000000000", 1700000000000000000},
                {"1700000000000000", 1700000000000000000},
                {"1700000000000000000", 1700000000000000000},
                {"1700000000.5", 1700000000500000000},
                {"now", 1700000000000000000},
                {"now-1m30s", 1699999910000000000}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t time = -1;
        assert_true(chq_time_parse(good[i].text, now, &time));
        assert_int_equal(time, good[i].time);
    }
    static const char *const bad[] = {
        "",           "yesterday",   "2023-13-01", "2023-11-14T25:00",
        "now-",       "now-5",       "12x",        "2023-11-14T22:13:20Q",
        "9999-01-01", "2023-11-14T", "2023-02-29", "2023-04-31T00:00:00Z",
        "2023-11-00"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t time;
        assert_false(chq_time_parse(bad[i], now, &time));
    }
}

static void
test_durations(void **state)
{
    (void)state;
    int64_t ns;
    assert_true(chq_duration_parse("1h30m", &ns));
    assert_int_equal(ns, 5400000000000);
    assert_true(chq_duration_parse("250ms", &ns));
    assert_int_equal(ns, 250000000);
    assert_false(chq_duration_parse("", &ns));
    assert_false(chq_duration_parse("5", &ns));
    assert_false(chq_duration_parse("-5m", &ns));
    assert_false(chq_duration_parse("5 m", &ns));
    assert_false(chq_duration_parse("99999999999y", &ns));
}

/* Goal: what is printed reads back as the same time and the same bits. */
static void
test_text_reads_back_exactly(void **state)
{
    (void)state;
    ch_rng_t rng;
    ch_rng_seed(&rng, ch_test_seed());
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = ch_rng_next(&rng);
        double value, back;
        memcpy(&value, &bits, sizeof value);
        char text[CHQ_NUMBER_BYTES], stamp[CHQ_TIME_BYTES];
        if (isfinite(value)) {
            assert_true(chq_double_parse(chq_double_format(value, true, text), &back));
            assert_memory_equal(&value, &back, sizeof value);
        }
        int64_t time = (int64_t)(ch_rng_next(&rng) >> 1) - (int64_t)(1ULL << 62),
                again = 0;
        assert_true(chq_time_parse(chq_time_format(time, stamp), 0, &again));
        assert_int_equal(time, again);
    }
}

static void
test_values_are_typed_by_their_looks(void **state)
{
    (void)state;
    assert_int_equal(chq_value_parse("42").type, CITYHALL_INT);
    assert_int_equal(chq_value_parse("-9223372036854775808").as.i64, INT64_MIN);
    assert_int_equal(chq_value_parse("9223372036854775808").type, CITYHALL_FLOAT);
    assert_int_equal(chq_value_parse("4.0").type, CITYHALL_FLOAT);
    assert_int_equal(chq_value_parse("true").type, CITYHALL_BOOL);
    assert_int_equal(chq_value_parse("0x10").type, CITYHALL_STRING);
    assert_int_equal(chq_value_parse("").type, CITYHALL_STRING);
    assert_int_equal(chq_value_parse("1e400").type, CITYHALL_STRING);
    assert_int_equal(chq_value_parse("-inf").type, CITYHALL_FLOAT);
    assert_int_equal(chq_value_parse("nan").type, CITYHALL_FLOAT);
    assert_int_equal(chq_value_parse("nan(x)").type, CITYHALL_STRING);
    assert_int_equal(chq_value_parse("1e-320").type, CITYHALL_FLOAT);
    char text[CHQ_NUMBER_BYTES];
    assert_string_equal(chq_double_format(0.75, false, text), "0.75");
    assert_string_equal(chq_double_format(3, false, text), "3");
    assert_string_equal(chq_double_format(3, true, text), "3.0");
    assert_string_equal(chq_double_format(0.1, false, text), "0.1");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times_people_write),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_text_reads_back_exactly),
        cmocka_unit_test(test_values_are_typed_by_their_looks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
