#include "chq/plot.h"
#include "support/test.h"

#include <math.h>

static char *
drawn(const chq_plot_t *plot, bool svg)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    if (svg)
        chq_plot_svg(plot, to, 600, 300);
    else
        chq_plot_braille(plot, to, 40, 8, false);
    fclose(to);
    return text;
}

static void
test_axis_ends_are_round_and_hold_the_values(void **state)
{
    (void)state;
    int64_t times[] = {0, 1, 2};
    double values[] = {3.2, 97.1, NAN};
    chq_plot_run_t run = {"r", times, values, 3};
    chq_plot_t plot = {.runs = &run, .run_count = 1, .end = 2};
    assert_true(chq_plot_scale(&plot));
    assert_true(plot.low == 0 && plot.high == 100);
    values[0] = values[1] = 5; /* a flat line has room around it */
    assert_true(chq_plot_scale(&plot));
    assert_true(plot.low < 5 && plot.high > 5);
    values[0] = values[1] = NAN;
    assert_false(chq_plot_scale(&plot));
    assert_true(chq_plot_tick(9, 5) == 2);
}

/* A rising line goes from the lower left to the upper right. */
static void
test_braille_rises_with_the_values(void **state)
{
    (void)state;
    int64_t times[] = {0, 1000000000, 2000000000};
    double values[] = {0, 5, 10};
    chq_plot_run_t run = {"rising", times, values, 3};
    chq_plot_t plot = {.runs = &run, .run_count = 1, .end = 2000000000, .title = "t"};
    assert_true(chq_plot_scale(&plot));
    char *text = drawn(&plot, false);
    char *first = strtok(text, "\n"), *line = first, *last = first;
    int lines = 1;
    while ((line = strtok(NULL, "\n")) && lines < 8) {
        last = line;
        lines++;
    }
    assert_int_equal(lines, 8);
    assert_non_null(strstr(first, "\xe2\xa0")); /* some dots in both */
    assert_non_null(strstr(last, "\xe2"));
    assert_true(strstr(first, "\xe2\xa0") - first > strstr(last, "\xe2\xa0") - last);
    free(text);
}

static void
test_svg_escapes_names_and_breaks_at_gaps(void **state)
{
    (void)state;
    int64_t times[] = {0, 10, 20, 30, 40, 5000, 5010};
    double values[] = {1, 2, 3, 2, 1, 2, 3};
    chq_plot_run_t run = {"a{x=\"<&>\"}", times, values, 7};
    chq_plot_t plot = {.runs = &run, .run_count = 1, .end = 5010, .title = "<b>"};
    assert_true(chq_plot_scale(&plot));
    char *text = drawn(&plot, true);
    assert_non_null(strstr(text, "&lt;b>"));
    assert_non_null(strstr(text, "a{x=&quot;&lt;&amp;>&quot;}"));
    char *path = strstr(text, "class=\"run\"");
    assert_non_null(path);
    int moves = 0;
    for (path = strstr(path, "d=\""); *path != '/'; path++)
        moves += *path == 'M';
    assert_int_equal(moves, 2);
    free(text);
}

static void
test_numbers_of_an_axis_are_short_and_alike(void **state)
{
    (void)state;
    static const struct {
        double low, high, value, tick;
        const char *text;
    } cases[] = {{0, 100, 20, 20, "20"},
                 {94, 100, 95.5, 0.5, "95.5"},
                 {0, 25e9, 5e9, 5e9, "5 G"},
                 {0, 2e9, 1.5e9, 5e8, "1.5 G"},
                 {0, 5000, 5000, 1000, "5000"},
                 {0, 20000, 5000, 5000, "5 k"},
                 {0, 0.0008, 0.0002, 0.0002, "200 u"},
                 {-1, 1, 1e-17, 0.5, "0"},
                 {0, 1e30, 5e29, 1e29, "5e+29"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[CHQ_PLOT_TEXT_BYTES];
        chq_plot_t plot = {.low = cases[i].low, .high = cases[i].high};
        assert_string_equal(chq_plot_number(&plot, cases[i].value, cases[i].tick, text),
                            cases[i].text);
    }
}

/* Goal: ticks are round, inside, rising, and never too many, whatever the span. */
static void
test_time_ticks_are_round(void **state)
{
    (void)state;
    const int64_t second = 1000000000, start = 1700000000 * second; /* 22:13:20 */
    int64_t ticks[CHQ_PLOT_TICKS_MAX];
    char text[CHQ_PLOT_TEXT_BYTES];
    assert_int_equal(chq_plot_time_ticks(start, start + 300 * second, 6, ticks), 5);
    assert_string_equal(chq_plot_time(ticks[0], 60 * second, text), "22:14");
    assert_int_equal(chq_plot_time_ticks(start, start + 86400 * second, 10, ticks), 8);
    assert_string_equal(chq_plot_time(ticks[0], 3 * 3600 * second, text), "Nov 15");
    assert_string_equal(chq_plot_time(ticks[1], 3 * 3600 * second, text), "03:00");
    int count = chq_plot_time_ticks(start, start + 400 * 86400 * second, 8, ticks);
    assert_int_equal(count, 6); /* every two months */
    assert_string_equal(chq_plot_time(ticks[0], ticks[1] - ticks[0], text), "2024");
    assert_string_equal(chq_plot_time(ticks[1], ticks[1] - ticks[0], text), "Mar 2024");
    for (int64_t span = 1; span > 0 && span < INT64_MAX / 4; span *= 3)
        for (int64_t from = -start; from <= start; from += start) {
            count = chq_plot_time_ticks(from, from + span, 7, ticks);
            assert_in_range(count, 0, 7);
            for (int i = 0; i < count; i++) {
                assert_true(ticks[i] >= from && ticks[i] <= from + span);
                assert_true(i == 0 || ticks[i] > ticks[i - 1]);
                chq_plot_time(ticks[i], span / 7 + 1, text);
            }
        }
    assert_int_equal(chq_plot_time_ticks(5, 5, 7, ticks), 0);
}

static void
test_thinning_keeps_the_extremes(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    int64_t *times = malloc(COUNT * sizeof *times);
    double *values = malloc(COUNT * sizeof *values);
    for (int i = 0; i < COUNT; i++) {
        times[i] = i;
        values[i] = i % 10;
    }
    values[31337] = 500;
    values[77777] = -500;
    chq_plot_run_t run = {"r", times, values, COUNT};
    chq_plot_t plot = {.runs = &run, .run_count = 1, .end = COUNT};
    chq_plot_thin(&plot, &run, 100);
    assert_in_range(run.count, 100, 400);
    assert_int_equal(times[0], 0);
    assert_int_equal(times[run.count - 1], COUNT - 1);
    bool high = false, low = false;
    for (size_t i = 0; i < run.count; i++) {
        assert_true(i == 0 || times[i] > times[i - 1]);
        high = high || (values[i] == 500 && times[i] == 31337);
        low = low || (values[i] == -500 && times[i] == 77777);
    }
    assert_true(high && low);
    free(times);
    free(values);
}

/* Whatever is drawn, no line is longer than the terminal is wide. */
static void
test_braille_fits_into_its_columns(void **state)
{
    (void)state;
    static const double levels[] = {0, 1e-9, 1, 123456789, 1e18, 1e300, -1e300};
    for (size_t l = 0; l < sizeof levels / sizeof levels[0]; l++) {
        int64_t times[] = {0, 3600000000000, 7200000000000};
        double values[] = {levels[l], levels[l] * 1.5, -levels[l]};
        chq_plot_run_t run = {"r", times, values, 3};
        chq_plot_t plot = {.runs = &run, .run_count = 1, .end = 7200000000000};
        assert_true(chq_plot_scale(&plot));
        assert_true(isfinite(plot.low) && isfinite(plot.high) && plot.high > plot.low);
        char *text = drawn(&plot, false), *rest = text;
        for (int line = 0; line < 9; line++) { /* 8 and the axis */
            int width = 0;
            for (; *rest != '\n'; rest++)
                width += ((unsigned char)*rest & 0xc0) != 0x80;
            assert_in_range(width, 0, 40);
            rest++;
        }
        free(text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_axis_ends_are_round_and_hold_the_values),
        cmocka_unit_test(test_braille_rises_with_the_values),
        cmocka_unit_test(test_svg_escapes_names_and_breaks_at_gaps),
        cmocka_unit_test(test_numbers_of_an_axis_are_short_and_alike),
        cmocka_unit_test(test_time_ticks_are_round),
        cmocka_unit_test(test_thinning_keeps_the_extremes),
        cmocka_unit_test(test_braille_fits_into_its_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
