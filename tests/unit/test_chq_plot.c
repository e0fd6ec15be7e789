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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_axis_ends_are_round_and_hold_the_values),
        cmocka_unit_test(test_braille_rises_with_the_values),
        cmocka_unit_test(test_svg_escapes_names_and_breaks_at_gaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
