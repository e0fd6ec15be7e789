/* Evaluating PromQL: results, their types and order, limits, and how little is read for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ch/alloc.h"
#include "ch/query.h"
#include "ch/rng.h"
#include "ch/series_key.h"
#include "query/range_functions.h"
#include "support/array_source.h"

#define SECOND INT64_C(1000000000)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static ch_query_params_t
instant_at(int64_t time)
{
    return (ch_query_params_t){.start = time,
                               .samples_max = 1000000,
                               .result_points_max = 1000000,
                               .series_max = 1000};
}

static ch_query_params_t
range_of(int64_t start, int64_t end, int64_t step)
{
    ch_query_params_t params = instant_at(start);
    params.range = true;
    params.end = end;
    params.step = step;
    return params;
}

static ch_query_result_t *
eval(array_source_t *array, const char *query, ch_query_params_t params)
{
    ch_source_t source = array_source_open(array);
    ch_query_result_t *result = NULL;
    if (ch_query_eval(&source, ch_bytes_text(query), &params, &result) != CH_OK)
        fail_msg("%s: %s", query, ch_fail_text());
    return result;
}

static void
check_error(array_source_t *array, const char *query, ch_query_params_t params,
            ch_status_t expected, const char *words)
{
    ch_source_t source = array_source_open(array);
    ch_query_result_t *result = NULL;
    ch_status_t status = ch_query_eval(&source, ch_bytes_text(query), &params, &result);
    if (status != expected)
        fail_msg("%s: %s (%s), expected %s", query, ch_status_name(status),
                 ch_fail_text(), ch_status_name(expected));
    assert_null(result);
    if (!strstr(ch_fail_text(), words))
        fail_msg("%s: \"%s\" lacks \"%s\"", query, ch_fail_text(), words);
}

/* A result as text: `key time:value time:value; ...`, times in seconds. */
static void
check(array_source_t *array, const char *query, ch_query_params_t params,
      const char *expected)
{
    ch_query_result_t *result = eval(array, query, params);
    ch_text_t text = {0};
    for (size_t i = 0; i < result->count; i++) {
        const ch_query_series_t *series = &result->series[i];
        ch_text_append(&text, "; ", i ? 2 : 0);
        ch_series_key_format(series->name, series->labels, &text);
        for (size_t j = 0; j < series->count; j++) {
            char point[64];
            int size = snprintf(point, sizeof point, " %g:%.10g",
                                (double)series->times[j] / 1e9, series->values[j]);
            ch_text_append(&text, point, (size_t)size);
        }
    }
    ch_text_append(&text, "", 1);
    if (strcmp(text.data, expected) != 0)
        fail_msg("%s: \"%s\", expected \"%s\"", query, text.data, expected);
    ch_text_release(&text);
    ch_query_result_destroy(&result);
}

static void
put_floats(array_source_t *array, const char *key, int64_t step_s, size_t count,
           const double *values)
{
    for (size_t i = 0; i < count; i++)
        array_source_put(array, key, (int64_t)i * step_s * SECOND,
                         ch_value_float(values[i]));
}

static void
test_instant_selectors_give_the_newest_point_of_five_minutes(void **state)
{
    (void)state;
    array_source_t array = {0};
    put_floats(&array, "up{host=\"b\"}", 60, 3, (double[]){1, 2, 3});
    put_floats(&array, "up{host=\"a\"}", 60, 2, (double[]){4, 5});
    put_floats(&array, "system.cpu.load", 60, 1, (double[]){6});
    put_floats(&array, "any text{x=\"y\"}", 60, 1, (double[]){7});
    check(&array, "up", instant_at(60 * SECOND),
          "up{host=\"a\"} 60:5; up{host=\"b\"} 60:2");
    check(&array, "up", instant_at(119 * SECOND),
          "up{host=\"a\"} 119:5; up{host=\"b\"} 119:2");
    check(&array, "up{host!=\"a\"}", instant_at(120 * SECOND), "up{host=\"b\"} 120:3");
    check(&array, "up", instant_at(360 * SECOND - 1),
          "up{host=\"a\"} 360:5; up{host=\"b\"} 360:3");
    check(&array, "up", instant_at(360 * SECOND), "up{host=\"b\"} 360:3");
    check(&array, "up", instant_at(-1), "");
    check(&array, "(system.cpu.load)", instant_at(0), "system.cpu.load 0:6");
    check(&array, "{\"any text\"}", instant_at(0), "any text{x=\"y\"} 0:7");
    check(&array, "{\"any text\",x=~\"y|z\"}", instant_at(0), "any text{x=\"y\"} 0:7");
    check(&array, "up offset 1m", instant_at(120 * SECOND),
          "up{host=\"a\"} 120:5; up{host=\"b\"} 120:2");
    check(&array, "up @ 0", instant_at(9000 * SECOND),
          "up{host=\"a\"} 9000:4; up{host=\"b\"} 9000:1");
    check(&array, "up{host=\"b\"}", range_of(0, 480 * SECOND, 120 * SECOND),
          "up{host=\"b\"} 0:1 120:3 240:3 360:3");
    check(&array, "up{host=\"b\"} @ end()", range_of(0, 60 * SECOND, 60 * SECOND),
          "up{host=\"b\"} 0:2 60:2");
    array_source_release(&array);
}

static void
test_results_have_their_types(void **state)
{
    (void)state;
    array_source_t array = {0};
    put_floats(&array, "a", 10, 2, (double[]){1, 2});
    const struct {
        const char *query;
        bool range;
        ch_query_type_t type;
    } cases[] = {
        {"1 + 2", false, CH_QUERY_SCALAR},      {"1 + 2", true, CH_QUERY_MATRIX},
        {"a", false, CH_QUERY_VECTOR},          {"a", true, CH_QUERY_MATRIX},
        {"none", false, CH_QUERY_VECTOR},       {"a[1m]", false, CH_QUERY_MATRIX},
        {"\"text\"", false, CH_QUERY_STRING},   {"sum(a)", false, CH_QUERY_VECTOR},
        {"rate(a[1m])", true, CH_QUERY_MATRIX},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        ch_query_params_t params = cases[i].range ? range_of(0, 20 * SECOND, 10 * SECOND)
                                                  : instant_at(10 * SECOND);
        ch_query_result_t *result = eval(&array, cases[i].query, params);
        assert_int_equal(result->type, cases[i].type);
        if (cases[i].type == CH_QUERY_STRING)
            assert_true(ch_bytes_equal(result->string, ch_bytes_text("text")));
        ch_query_result_destroy(&result);
    }
    check(&array, "-(2 ^ 3) % 5 + (1 >= bool 1)", instant_at(7 * SECOND), " 7:-2");
    check(&array, "2", range_of(0, 5 * SECOND, 2 * SECOND), " 0:2 2:2 4:2");
    check(&array, "a[1m]", instant_at(15 * SECOND), "a 0:1 10:2");
    check(&array, "a[15s]", instant_at(15 * SECOND), "a 10:2");
    check_error(&array, "a[1m]", range_of(0, 1, 1), CH_ERR_PARSE, "for range query");
    check_error(&array, "'text'", range_of(0, 1, 1), CH_ERR_PARSE, "for range query");
    array_source_release(&array);
}

static void
test_ints_and_bools_read_as_floats_and_strings_stay_out(void **state)
{
    (void)state;
    array_source_t array = {0};
    array_source_put(&array, "mixed", 1 * SECOND, ch_value_int(7));
    array_source_put(&array, "mixed", 2 * SECOND, ch_value_bool(true));
    array_source_put(&array, "mixed", 3 * SECOND, ch_value_float(2.5));
    array_source_put(&array, "mixed", 4 * SECOND, ch_value_string(ch_bytes_text("no")));
    check(&array, "mixed[1m]", instant_at(9 * SECOND), "mixed 1:7 2:1 3:2.5");
    check(&array, "mixed", instant_at(9 * SECOND), "mixed 9:2.5");
    ch_query_result_t *result =
        eval(&array, "sum_over_time(mixed[1m])", instant_at(9 * SECOND));
    assert_int_equal(result->warning_count, 1);
    assert_string_equal(result->warnings[0], "1 string values were left out");
    assert_true(result->series[0].values[0] == 10.5);
    assert_int_equal(result->samples, 4);
    assert_int_equal(result->series_selected, 1);
    ch_query_result_destroy(&result);
    array_source_release(&array);
}

static void
test_staleness_ends_a_series_and_is_no_point_of_ranges(void **state)
{
    (void)state;
    array_source_t array = {0};
    put_floats(&array, "a", 10, 4, (double[]){0, 1, ch_promql_absent(), 2});
    check(&array, "a", instant_at(10 * SECOND), "a 10:1");
    check(&array, "a", instant_at(25 * SECOND), "");
    check(&array, "a", instant_at(30 * SECOND), "a 30:2");
    check(&array, "a[1m]", instant_at(30 * SECOND), "a 0:0 10:1 30:2");
    check(&array, "count_over_time(a[1m])", instant_at(30 * SECOND), " 30:3");
    check(&array, "a", range_of(0, 30 * SECOND, 10 * SECOND), "a 0:0 10:1 30:2");
    array_source_release(&array);
}

static void
test_range_functions_agree_with_figures_by_hand(void **state)
{
    (void)state;
    array_source_t array = {0};
    array_source_put(&array, "c", 15 * SECOND, ch_value_int(10));
    array_source_put(&array, "c", 45 * SECOND, ch_value_int(40));
    put_floats(&array, "r", 10, 6, (double[]){1, 5, 2, 4, 4, 1});
    put_floats(&array, "n", 10, 3, (double[]){NAN, 3, NAN});
    const struct {
        const char *query, *expected;
    } cases[] = {
        {"increase(c[1m])", " 60:55"},
        {"rate(c[1m])", " 60:0.9166666667"},
        {"delta(c[1m])", " 60:60"},
        {"irate(c[1m])", " 60:1"},
        {"idelta(r[1m])", " 60:-3"},
        {"irate(r[1m])", " 60:0.1"},
        {"resets(r[1m])", " 60:2"},
        {"changes(r[1m])", " 60:3"},
        {"sum_over_time(r[1m])", " 60:16"},
        {"avg_over_time(r[1m])", " 60:3.2"},
        {"min_over_time(r[1m])", " 60:1"},
        {"max_over_time(r[1m])", " 60:5"},
        {"count_over_time(r[1m])", " 60:5"},
        {"last_over_time(r[1m])", "r 60:1"},
        {"first_over_time(r[1m])", "r 60:5"},
        {"present_over_time(r[1m])", " 60:1"},
        {"stdvar_over_time(r[1m])", " 60:2.16"},
        {"stddev_over_time(r[1m])", " 60:1.469693846"},
        {"max_over_time(n[2m])", " 60:3"},
        {"min_over_time(n[2m])", " 60:3"},
        {"rate(c[20s])", ""},
        {"sum_over_time((r[30s]) )", " 60:5"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        check(&array, cases[i].query, instant_at(60 * SECOND), cases[i].expected);
    array_source_release(&array);
}

/* (1e16 + 1) + 1 - 1e16 is 2, which plain addition of floats does not find. */
static void
test_sums_keep_what_plain_addition_loses(void **state)
{
    (void)state;
    array_source_t array = {0};
    double values[] = {1e16, 1, 1, -1e16};
    put_floats(&array, "one", 10, 4, values);
    for (int i = 0; i < 4; i++) {
        char key[32];
        snprintf(key, sizeof key, "many{n=\"%d\"}", i);
        put_floats(&array, key, 10, 1, &values[i]);
    }
    put_floats(&array, "huge", 10, 3, (double[]){1.5e308, 1.5e308, 1.5e308});
    check(&array, "sum_over_time(one[1m])", instant_at(30 * SECOND), " 30:2");
    check(&array, "avg_over_time(one[1m])", instant_at(30 * SECOND), " 30:0.5");
    check(&array, "sum(many)", instant_at(0), " 0:2");
    check(&array, "avg(many)", instant_at(0), " 0:0.5");
    check(&array, "avg_over_time(huge[1m])", instant_at(30 * SECOND), " 30:1.5e+308");
    check(&array, "sum_over_time(huge[1m])", instant_at(30 * SECOND), " 30:inf");
    array_source_release(&array);
}

static void
test_aggregations_group_by_labels(void **state)
{
    (void)state;
    array_source_t array = {0};
    put_floats(&array, "m{dc=\"x\",host=\"a\"}", 10, 2, (double[]){1, 10});
    put_floats(&array, "m{dc=\"x\",host=\"b\"}", 10, 2, (double[]){2, 20});
    put_floats(&array, "m{dc=\"y\",host=\"a\"}", 10, 2, (double[]){4, 40});
    put_floats(&array, "m{dc=\"y\",host=\"q\\\",z=\\\"\"}", 10, 1, (double[]){NAN});
    put_floats(&array, "k{dc=\"x\"}", 10, 1, (double[]){100});
    const struct {
        const char *query, *expected;
    } cases[] = {
        {"sum(m{host=~\"a|b\"})", " 0:7"},
        {"sum by (dc) (m{host=~\"a|b\"})", "{dc=\"x\"} 0:3; {dc=\"y\"} 0:4"},
        {"sum(m{host=~\"a|b\"}) by (dc)", "{dc=\"x\"} 0:3; {dc=\"y\"} 0:4"},
        {"sum without (dc) (m)",
         "{host=\"a\"} 0:5; {host=\"b\"} 0:2; {host=\"q\\\",z=\\\"\"} 0:nan"},
        {"min by (dc) (m)", "{dc=\"x\"} 0:1; {dc=\"y\"} 0:4"},
        {"max by (dc) (m)", "{dc=\"x\"} 0:2; {dc=\"y\"} 0:4"},
        {"avg by (dc) (m{host=~\"a|b\"})", "{dc=\"x\"} 0:1.5; {dc=\"y\"} 0:4"},
        {"count by (dc, nosuch) (m)", "{dc=\"x\"} 0:2; {dc=\"y\"} 0:2"},
        {"count by (__name__) ({dc=\"x\"})", "k 0:1; m 0:2"},
        {"group by (dc) (m)", "{dc=\"x\"} 0:1; {dc=\"y\"} 0:1"},
        {"stdvar(m{host=~\"a|b\"})", " 0:1.555555556"},
        {"stddev(m{dc=\"x\"})", " 0:0.5"},
        {"sum(max by (dc) (m))", " 0:6"},
        {"count(sum by (host) (max by (dc, host) (m)))", " 0:3"},
        {"sum without () (m{host=\"b\"})", "{dc=\"x\",host=\"b\"} 0:2"},
        {"sum(nosuch)", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        check(&array, cases[i].query, instant_at(0), cases[i].expected);
    check(&array, "sum by (host) (rate(m{host=\"a\"}[20s]))", instant_at(10 * SECOND),
          "{host=\"a\"} 10:2.5");
    check(&array, "sum by (dc) (m{host=\"a\"})", range_of(0, 10 * SECOND, 10 * SECOND),
          "{dc=\"x\"} 0:1 10:10; {dc=\"y\"} 0:4 10:40");
    array_source_release(&array);
}

static void
test_series_that_become_the_same_are_an_error_unless_apart(void **state)
{
    (void)state;
    array_source_t array = {0};
    put_floats(&array, "a{x=\"1\"}", 10, 2, (double[]){1, 2});
    put_floats(&array, "b{x=\"1\"}", 10, 2, (double[]){3, 4});
    array_source_put(&array, "late{y=\"1\"}", 1000 * SECOND, ch_value_float(5));
    array_source_put(&array, "soon{y=\"1\"}", 10 * SECOND, ch_value_float(6));
    check_error(&array, "max_over_time({x=\"1\"}[1m])", instant_at(10 * SECOND),
                CH_ERR_EXECUTION,
                "vector cannot contain metrics with the same labelset {x=\"1\"}");
    check(&array, "last_over_time({x=\"1\"}[1m])", instant_at(10 * SECOND),
          "a{x=\"1\"} 10:2; b{x=\"1\"} 10:4");
    check(&array, "sum(max_over_time({x=\"1\"}[1m]))", instant_at(10 * SECOND), " 10:6");
    check(&array, "max_over_time({y=\"1\"}[1m])",
          range_of(0, 1000 * SECOND, 500 * SECOND + 1), "");
    check(&array, "max_over_time({y=\"1\"}[1m])",
          range_of(10 * SECOND, 1010 * SECOND, 500 * SECOND), "{y=\"1\"} 10:6 1010:5");
    array_source_release(&array);
}

static void
test_what_is_not_evaluated_is_named(void **state)
{
    (void)state;
    array_source_t array = {0};
    const struct {
        const char *query, *words;
    } cases[] = {
        {"a + b", "operator +"},
        {"a > 1", "operator >"},
        {"a and b", "operator and"},
        {"-a", "a sign before a vector"},
        {"abs(a)", "1:1: function abs is not supported"},
        {"sum(abs(a))", "1:5: function abs"},
        {"time()", "function time"},
        {"topk(3, a)", "aggregation topk"},
        {"quantile(0.5, a)", "aggregation quantile"},
        {"count_values('v', a)", "aggregation count_values"},
        {"rate(a[5m:1m])", "a subquery"},
        {"a[5m:1m]", "a subquery"},
        {"rate(a[5m] smoothed)", "modifier smoothed"},
        {"histogram_quantile(0.9, a)", "function histogram_quantile"},
        {"absent_over_time(a[5m])", "function absent_over_time"},
        {"a[5m + 1m]", "duration expressions"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        check_error(&array, cases[i].query, instant_at(0), CH_ERR_UNSUPPORTED,
                    cases[i].words);
    check_error(&array, "sum(", instant_at(0), CH_ERR_PARSE, "1:5");
    check_error(&array, "a{b=~\"(\"}", instant_at(0), CH_ERR_PARSE,
                "selector at byte 0: regex: ");
    assert_int_equal(array.selects, 0);
    array_source_release(&array);
}

/* A clock that goes on a second whenever it is asked. */
static int64_t
ticking(void *context)
{
    int64_t *time = context;
    return *time += SECOND;
}

static void
test_limits_are_errors_with_their_figures(void **state)
{
    (void)state;
    array_source_t array = {0};
    for (int i = 0; i < 100; i++) {
        char key[32];
        snprintf(key, sizeof key, "m{n=\"%02d\"}", i % 10);
        array_source_put(&array, key, i * SECOND, ch_value_int(i));
    }
    ch_query_params_t params = instant_at(99 * SECOND);
    params.samples_max = 99;
    check_error(&array, "sum_over_time(m[5m])", params, CH_ERR_LIMIT,
                "more than 99 points");
    params.samples_max = 100;
    params.result_points_max = 9;
    check_error(&array, "m", params, CH_ERR_LIMIT, "more than 9 points");
    check_error(&array, "m[5m]", params, CH_ERR_LIMIT, "more than 9 points");
    params.series_max = 9;
    check_error(&array, "m", params, CH_ERR_LIMIT, "more than 9 series");
    params = instant_at(99 * SECOND);
    params.memory_max = 8 << 10; /* the window of one series begins with 16 KiB */
    for (int i = 0; i < 2000; i++)
        array_source_put(&array, "long", i, ch_value_int(i));
    check_error(&array, "stddev_over_time(long[5m])", params, CH_ERR_LIMIT,
                "more than 8192 bytes of memory (limits.query_memory)");
    check_error(&array, "long[5m]", params, CH_ERR_LIMIT, "limits.query_memory");
    params = range_of(0, 99 * SECOND, SECOND / 10);
    params.memory_max = 64 << 10;
    check_error(&array, "sum by (n) (m)", params, CH_ERR_LIMIT, "limits.query_memory");
    check_error(&array, "m", params, CH_ERR_LIMIT, "limits.query_memory");
    params.memory_max = 0;
    ch_query_result_t *result = eval(&array, "sum by (n) (m)", params);
    ch_query_result_destroy(&result);
    params = range_of(0, 100 * SECOND, SECOND);
    params.result_points_max = 100;
    check_error(&array, "m", params, CH_ERR_LIMIT, "more than 100 steps");
    params = range_of(INT64_MIN, INT64_MAX, 1);
    check_error(&array, "m", params, CH_ERR_LIMIT, "steps");
    params.step = 0;
    check_error(&array, "m", params, CH_ERR_INVALID, "step must be");
    check_error(&array, "m", range_of(2, 1, 1), CH_ERR_INVALID, "end must not");
    int64_t time = 0;
    ch_clock_t clock = {.wall_ns = ticking, .monotonic_ns = ticking, .context = &time};
    params = range_of(0, 99 * SECOND, SECOND / 500);
    params.clock = &clock;
    params.deadline_ns = 5 * SECOND;
    check_error(&array, "sum(sum_over_time(m[5m]))", params, CH_ERR_TIMEOUT,
                "after 5000 ms");
    array.fail_read = CH_ERR_CORRUPT;
    check_error(&array, "m", instant_at(0), CH_ERR_CORRUPT, "told to fail");
    array_source_release(&array);
}

static void
test_groups_are_limited_in_memory(void **state)
{
    (void)state;
    array_source_t array = {0};
    for (int i = 0; i < 100; i++) {
        char key[32];
        snprintf(key, sizeof key, "m{n=\"%02d\"}", i);
        array_source_put(&array, key, 0, ch_value_int(i));
    }
    ch_query_params_t params = range_of(0, 100000 * SECOND, SECOND / 5);
    check_error(&array, "count(sum by (n) (m))", params, CH_ERR_LIMIT,
                "group by fewer labels");
    check(&array, "sum by (n) (m{n=\"07\"})", range_of(0, SECOND, SECOND),
          "{n=\"07\"} 0:7 1:7");
    array_source_release(&array);
}

static void
test_extreme_times_do_not_overflow(void **state)
{
    (void)state;
    array_source_t array = {0};
    array_source_put(&array, "a", INT64_MIN + 1, ch_value_int(1));
    array_source_put(&array, "a", INT64_MAX, ch_value_int(2));
    static const char *const queries[] = {"a",
                                          "a[292y]",
                                          "rate(a[290y])",
                                          "a offset 292y",
                                          "a offset -292y",
                                          "a @ 9199999999",
                                          "a @ -9199999999 offset 292y",
                                          "sum_over_time(a[5m] offset -292y)"};
    static const int64_t times[] = {INT64_MIN, INT64_MIN + 1, 0, INT64_MAX - 1,
                                    INT64_MAX};
    for (size_t i = 0; i < COUNT(queries); i++) {
        for (size_t j = 0; j < COUNT(times); j++) {
            ch_query_result_t *result = eval(&array, queries[i], instant_at(times[j]));
            ch_query_result_destroy(&result);
        }
        if (strstr(queries[i], "a[292y]"))
            continue;
        ch_query_result_t *result =
            eval(&array, queries[i], range_of(INT64_MIN, INT64_MAX, INT64_MAX / 3));
        ch_query_result_destroy(&result);
    }
    check(&array, "a", instant_at(INT64_MAX), "a 9.22337e+09:2");
    array_source_release(&array);
}

/* Ranges are open at the left, but one that reaches further back than time does has no left end. */
static void
test_the_first_moment_is_found(void **state)
{
    (void)state;
    array_source_t array = {0};
    array_source_put(&array, "a", INT64_MIN, ch_value_int(7));
    check(&array, "a", instant_at(INT64_MIN), "a -9.22337e+09:7");
    check(&array, "a", instant_at(INT64_MIN + 299 * SECOND), "a -9.22337e+09:7");
    check(&array, "a", instant_at(INT64_MIN + 300 * SECOND), "");
    check(&array, "a[300s]", instant_at(INT64_MIN + 5), "a -9.22337e+09:7");
    check(&array, "count_over_time(a[5s])", instant_at(INT64_MIN + 4 * SECOND),
          " -9.22337e+09:1");
    check(&array, "count_over_time(a[5s])", instant_at(INT64_MIN + 5 * SECOND), "");
    check(&array, "sum_over_time(a[2s])",
          range_of(INT64_MIN, INT64_MIN + 3 * SECOND, SECOND),
          " -9.22337e+09:7 -9.22337e+09:7");
    array_source_release(&array);
}

/* 50,000 points: several chunks; windows overlap fifty times, yet each point is read once. */
static void
test_a_sliding_window_reads_each_point_once(void **state)
{
    (void)state;
    array_source_t array = {0};
    const size_t points = 50000;
    for (size_t i = 0; i < points; i++)
        array_source_put(&array, "a", (int64_t)i * SECOND, ch_value_int((int64_t)i));
    ch_query_params_t params = range_of(0, (int64_t)points * SECOND, 100 * SECOND);
    ch_query_result_t *result = eval(&array, "sum_over_time(a[5000s])", params);
    assert_int_equal(array.points_read, points);
    assert_int_equal(result->samples, points);
    assert_int_equal(result->series[0].count, points / 100 + 1);
    for (size_t i = 0; i <= points / 100; i++) {
        size_t end =
            i * 100 < points ? i * 100 : points - 1; /* the newest point of the window */
        size_t first = i * 100 > 5000 ? i * 100 - 4999 : 0;
        double sum = (double)(first + end) * (double)(end - first + 1) / 2;
        assert_true(result->series[0].values[i] == sum);
    }
    ch_query_result_destroy(&result);
    array.points_read = 0;
    params = range_of(0, (int64_t)points * SECOND, 5000 * SECOND);
    result = eval(&array, "sum_over_time(a[10s])", params);
    assert_true(array.points_read <= 11 * 10); /* gaps are not read */
    assert_int_equal(result->series[0].count, 11);
    ch_query_result_destroy(&result);
    array_source_release(&array);
}

static void
test_headers_answer_without_reading_when_they_can(void **state)
{
    (void)state;
    array_source_t array = {0};
    static const char *const functions[] = {"sum", "count", "min", "max", "avg"};
    for (int i = 0; i <= 1000; i++)
        array_source_put(&array, "a", i * SECOND, ch_value_int(i % 37));
    for (size_t i = 0; i < COUNT(functions); i++) {
        char query[64];
        snprintf(query, sizeof query, "%s_over_time(a[500s])", functions[i]);
        ch_query_params_t params = range_of(500 * SECOND, 1000 * SECOND, 500 * SECOND);
        array.summaries = false;
        ch_query_result_t *read = eval(&array, query, params);
        array.summaries = true;
        array.points_read = array.summarised = 0;
        ch_query_result_t *summarised = eval(&array, query, params);
        assert_int_equal(array.points_read, 0);
        assert_int_equal(array.summarised, 2);
        assert_int_equal(summarised->series[0].count, 2);
        assert_memory_equal(read->series[0].values, summarised->series[0].values,
                            2 * sizeof(double));
        ch_query_result_destroy(&read);
        ch_query_result_destroy(&summarised);
    }
    array_source_put(&array, "a", 700 * SECOND,
                     ch_value_float(NAN)); /* headers cannot answer */
    check(&array, "count_over_time(a[500s])",
          range_of(500 * SECOND, 1000 * SECOND, 500 * SECOND), " 500:500 1000:500");
    assert_true(array.points_read > 0);
    array_source_release(&array);
}

/* Goal: what a counter has grown by needs no point but the first and the last, unless it fell. Method: three
 * windows, a reset in the second. */
static void
test_headers_answer_for_counters_that_did_not_fall(void **state)
{
    (void)state;
    array_source_t array = {0};
    static const char *const functions[] = {"rate", "increase", "delta"};
    for (int i = 0; i <= 1500; i++)
        array_source_put(&array, "a", i * SECOND,
                         ch_value_int((i < 700 ? 50 : -600) + i));
    for (size_t i = 0; i < COUNT(functions); i++) {
        char query[64];
        snprintf(query, sizeof query, "%s(a[500s])", functions[i]);
        ch_query_params_t params = range_of(500 * SECOND, 1500 * SECOND, 500 * SECOND);
        array.summaries = false;
        ch_query_result_t *read = eval(&array, query, params);
        array.summaries = true;
        array.points_read = array.summarised = 0;
        ch_query_result_t *summarised = eval(&array, query, params);
        assert_int_equal(array.summarised, 3);
        assert_int_equal(array.points_read > 0, strcmp(functions[i], "delta") != 0);
        assert_int_equal(summarised->series[0].count, 3);
        assert_memory_equal(read->series[0].values, summarised->series[0].values,
                            3 * sizeof(double));
        ch_query_result_destroy(&read);
        ch_query_result_destroy(&summarised);
    }
    array_source_release(&array);
}

/* Goal: headers are asked no more once asking costs more than reading. Method: a source that says it decoded a
 * whole chunk for every short range. */
static void
test_headers_that_do_not_help_are_left_alone(void **state)
{
    (void)state;
    array_source_t array = {.summaries = true};
    for (int i = 0; i <= 300 * 300; i += 10)
        array_source_put(&array, "a", i * SECOND, ch_value_int(i));
    ch_query_params_t params = range_of(300 * SECOND, 300 * 300 * SECOND, 300 * SECOND);
    for (int costly = 0; costly < 2; costly++) {
        array.decodes = costly ? 4096 : 30;
        array.points_read = array.summarised = 0;
        ch_query_result_t *result = eval(&array, "count_over_time(a[300s])", params);
        assert_int_equal(result->series[0].count, 300);
        for (size_t i = 0; i < 300; i++)
            assert_true(result->series[0].values[i] == 30);
        ch_query_result_destroy(&result);
        if (costly)
            assert_in_range(array.summarised, 1, 20);
        else
            assert_int_equal(array.summarised, 300);
        assert_int_equal(array.points_read > 0, costly);
    }
    array_source_release(&array);
}

static uint64_t
seed_of_test(void)
{
    const char *given = getenv("CH_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : ch_rng_entropy();
    print_message("CH_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static void
put_random(array_source_t *array, ch_rng_t *rng, const char *key)
{
    int64_t time = (int64_t)ch_rng_below(rng, 60) * SECOND;
    double value = 0;
    for (unsigned i = 0; i < 200; i++) {
        time += (1 + (int64_t)ch_rng_below(rng, 20)) * SECOND;
        value += (double)ch_rng_below(rng, 10);
        switch (ch_rng_below(rng, 12)) {
        case 0:
            value = 0;
            break;
        case 1:
            time += 400 * SECOND;
            break;
        case 2:
            array_source_put(array, key, time, ch_value_float(ch_promql_absent()));
            continue;
        default:
            break;
        }
        array_source_put(array, key, time, ch_value_float(value));
    }
}

/* At every step a range query must say what an instant query says then: the window slides, jumps
 * and skips in many ways, an instant query's window does not move at all. */
static void
test_range_queries_agree_with_instant_queries(void **state)
{
    (void)state;
    ch_rng_t rng;
    ch_rng_seed(&rng, seed_of_test());
    array_source_t array = {0};
    put_random(&array, &rng, "a{x=\"1\"}");
    static const char *const queries[] = {
        "a",
        "rate(a[1m])",
        "increase(a[10m])",
        "sum_over_time(a[7s])",
        "max_over_time(a[200s] offset 30s)",
        "last_over_time(a[30s])",
        "stddev_over_time(a[3m])",
        "sum by (x) (changes(a[1m]))",
        "irate(a[2m])",
        "avg(a offset -1m)",
    };
    for (int round = 0; round < 100; round++) {
        const char *query = queries[ch_rng_below(&rng, COUNT(queries))];
        int64_t start = (int64_t)ch_rng_below(&rng, 2000) * SECOND;
        int64_t step = (1 + (int64_t)ch_rng_below(&rng, 600)) * SECOND;
        ch_query_result_t *range =
            eval(&array, query, range_of(start, start + 40 * step, step));
        size_t at = 0;
        for (int64_t time = start; time <= start + 40 * step; time += step) {
            ch_query_result_t *instant = eval(&array, query, instant_at(time));
            if (instant->count == 1) {
                assert_int_equal(range->count, 1);
                assert_true(at < range->series[0].count);
                assert_int_equal(range->series[0].times[at], time);
                assert_memory_equal(&range->series[0].values[at++],
                                    instant->series[0].values, sizeof(double));
            }
            ch_query_result_destroy(&instant);
        }
        assert_int_equal(range->count ? range->series[0].count : 0, at);
        ch_query_result_destroy(&range);
    }
    array_source_release(&array);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_instant_selectors_give_the_newest_point_of_five_minutes),
        cmocka_unit_test(test_results_have_their_types),
        cmocka_unit_test(test_ints_and_bools_read_as_floats_and_strings_stay_out),
        cmocka_unit_test(test_staleness_ends_a_series_and_is_no_point_of_ranges),
        cmocka_unit_test(test_range_functions_agree_with_figures_by_hand),
        cmocka_unit_test(test_sums_keep_what_plain_addition_loses),
        cmocka_unit_test(test_aggregations_group_by_labels),
        cmocka_unit_test(test_series_that_become_the_same_are_an_error_unless_apart),
        cmocka_unit_test(test_what_is_not_evaluated_is_named),
        cmocka_unit_test(test_limits_are_errors_with_their_figures),
        cmocka_unit_test(test_groups_are_limited_in_memory),
        cmocka_unit_test(test_extreme_times_do_not_overflow),
        cmocka_unit_test(test_the_first_moment_is_found),
        cmocka_unit_test(test_a_sliding_window_reads_each_point_once),
        cmocka_unit_test(test_headers_answer_without_reading_when_they_can),
        cmocka_unit_test(test_headers_answer_for_counters_that_did_not_fall),
        cmocka_unit_test(test_headers_that_do_not_help_are_left_alone),
        cmocka_unit_test(test_range_queries_agree_with_instant_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
