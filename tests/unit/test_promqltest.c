/* Prometheus' own PromQL scripts against our evaluator.
 *
 * Method   every `eval` whose expression is supported must give Prometheus' answer; what is refused
 *          as unsupported is counted. Native histograms, which we do not have, are loaded as
 *          strings: a query that meets one says so in a warning and counts as unsupported.
 * Floors   the numbers below were reached once; less means that cases fell out silently.
 * Data     CH_SHARED_DATA, else ../shared/data beside the project; skipped when it is missing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ch/alloc.h"
#include "ch/query.h"
#include "support/array_source.h"
#include "support/promql_script.h"

enum { PASSED_MIN = 306, EVALS_MIN = 1281 };

typedef struct runner {
    const char *file;
    array_source_t array;
    unsigned passed, unsupported, wrong, evals;
    char **lines; /* trimmed; comments are empty */
    size_t line_count, line;
} runner_t;

/* One `eval` command and what it expects. */
typedef struct eval_case {
    ch_query_memory_t *memory;
    size_t line;
    const char *query;
    bool range, fails, string, scalar, histograms;
    int64_t start, end, step;
    const char *expected_string;
    script_series_t *series;
    size_t count;
} eval_case_t;

static void complain(runner_t *runner, const eval_case_t *test, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void
complain(runner_t *runner, const eval_case_t *test, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s:%zu: %s: ", runner->file, test->line, test->query);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    runner->wrong++;
}

static void
load_series(runner_t *runner, const script_series_t *series, const char *key,
            int64_t step, bool as_histogram)
{
    for (size_t i = 0; i < series->count; i++) {
        const script_value_t *value = &series->values[i];
        if (value->kind == SCRIPT_NONE)
            continue;
        ch_value_t stored = value->kind == SCRIPT_HISTOGRAM || as_histogram
                                ? ch_value_string(ch_bytes_text("histogram"))
                                : ch_value_float(value->number);
        array_source_put(&runner->array, key, (int64_t)i * step, stored);
    }
}

/* load_with_nhcb also makes a native histogram of each family of buckets. */
static void
load_bucket_histogram(runner_t *runner, const script_series_t *series, int64_t step)
{
    const char *suffix = strstr(series->name, "_bucket");
    if (!suffix || strcmp(suffix, "_bucket") != 0)
        return;
    char key[1024] = {0};
    size_t base = (size_t)(suffix - series->name);
    memcpy(key, series->key, base);
    const char *labels = series->key + strlen(series->name);
    const char *le = strstr(labels, "le=\"");
    if (!le || strlen(labels) + base >= sizeof key)
        return;
    const char *after = strchr(le + 4, '"') + 1;
    bool first = le[-1] == '{', last = *after == '}';
    size_t before = (size_t)(le - labels) - (last && !first);
    memcpy(key + base, labels, before);
    strcpy(key + base + before, after + (first && !last));
    if (first && last)
        key[base] = '\0';
    load_series(runner, series, key, step, true);
}

static void
run_load(runner_t *runner, const char *arguments, bool with_histograms)
{
    int64_t step = 0;
    assert_true(script_time_parse(&arguments, &step));
    for (runner->line++; runner->line < runner->line_count; runner->line++) {
        const char *line = runner->lines[runner->line];
        if (!*line)
            break;
        ch_query_memory_t *memory = ch_query_memory_new();
        script_series_t series;
        if (!script_series_parse(line, memory, &series))
            fail_msg("%s:%zu: cannot read: %s", runner->file, runner->line + 1, line);
        load_series(runner, &series, series.key, step, false);
        if (with_histograms)
            load_bucket_histogram(runner, &series, step);
        ch_query_memory_destroy(&memory);
    }
}

static void
parse_expect(eval_case_t *test, const char *text)
{
    if (script_word(&text, "fail"))
        test->fails = true;
    if (script_word(&text, "string")) {
        test->string = true;
        const char *close = strrchr(text, text[0]);
        ch_bytes_t inside = ch_bytes(text + 1, (size_t)(close - text - 1));
        test->expected_string =
            (const char *)ch_query_memory_copy(test->memory, inside).data;
    }
    if (script_word(&text, "range")) {
        assert_true(script_word(&text, "vector") && script_word(&text, "from"));
        assert_true(script_time_parse(&text, &test->start) && script_word(&text, "to"));
        assert_true(script_time_parse(&text, &test->end) && script_word(&text, "step"));
        assert_true(script_time_parse(&text, &test->step));
    }
}

static void
parse_expected(runner_t *runner, eval_case_t *test, const char *line)
{
    script_series_t series = {.key = "", .name = ""};
    if (script_word(&line, "expect")) {
        parse_expect(test, line);
        return;
    }
    if (script_values_parse(line, test->memory, &series)) {
        test->scalar = true;
    } else if (!script_series_parse(line, test->memory, &series)) {
        fail_msg("%s:%zu: cannot read: %s", runner->file, runner->line + 1, line);
    }
    test->histograms = test->histograms || series.histograms;
    test->series =
        ch_query_memory_grow(test->memory, test->series, test->count, sizeof series);
    test->series[test->count++] = series;
}

static void
parse_eval(runner_t *runner, const char *arguments, eval_case_t *test)
{
    test->range = script_word(&arguments, "range");
    if (test->range) {
        assert_true(script_word(&arguments, "from") &&
                    script_time_parse(&arguments, &test->start));
        assert_true(script_word(&arguments, "to") &&
                    script_time_parse(&arguments, &test->end));
        assert_true(script_word(&arguments, "step") &&
                    script_time_parse(&arguments, &test->step));
    } else {
        assert_true(script_word(&arguments, "instant") && script_word(&arguments, "at"));
        assert_true(script_time_parse(&arguments, &test->start));
        test->end = test->start;
    }
    test->query = arguments;
    for (runner->line++; runner->line < runner->line_count; runner->line++) {
        if (!*runner->lines[runner->line])
            break;
        parse_expected(runner, test, runner->lines[runner->line]);
    }
}

static bool
close_enough(double expected, double actual)
{
    if (isnan(expected) || isnan(actual))
        return isnan(expected) && isnan(actual);
    if (expected == actual)
        return true;
    double larger = fmax(fabs(expected), fabs(actual));
    return fabs(expected - actual) <= larger * 1e-6;
}

/* Values of one expected series, in order of time. */
static bool
series_agrees(const eval_case_t *test, const script_series_t *expected,
              const ch_query_series_t *actual)
{
    size_t at = 0;
    for (size_t i = 0; i < expected->count; i++) {
        if (expected->values[i].kind == SCRIPT_NONE)
            continue;
        if (at == actual->count ||
            actual->times[at] != test->start + (int64_t)i * test->step ||
            !close_enough(expected->values[i].number, actual->values[at]))
            return false;
        at++;
    }
    return at == actual->count;
}

static const ch_query_series_t *
find_series(const eval_case_t *test, const ch_query_result_t *result, const char *key)
{
    for (size_t i = 0; i < result->count; i++) {
        const ch_query_series_t *series = &result->series[i];
        if (strcmp(script_key(test->memory, series->name, series->labels), key) == 0)
            return series;
    }
    return NULL;
}

static size_t
expected_series(const eval_case_t *test)
{
    size_t count = 0;
    for (size_t i = 0; i < test->count; i++) {
        bool any = false;
        for (size_t j = 0; j < test->series[i].count; j++)
            any = any || test->series[i].values[j].kind != SCRIPT_NONE;
        count += any;
    }
    return count;
}

static void
compare(runner_t *runner, const eval_case_t *test, const ch_query_result_t *result)
{
    if (test->string) {
        if (result->type != CH_QUERY_STRING ||
            !ch_bytes_equal(result->string, ch_bytes_text(test->expected_string)))
            complain(runner, test, "another string");
        else
            runner->passed++;
        return;
    }
    if (result->count != expected_series(test)) {
        complain(runner, test, "%zu series, expected %zu", result->count,
                 expected_series(test));
        return;
    }
    if (!test->range && test->scalar && result->type != CH_QUERY_SCALAR) {
        complain(runner, test, "no scalar");
        return;
    }
    for (size_t i = 0; i < test->count; i++) {
        const ch_query_series_t *actual = find_series(test, result, test->series[i].key);
        if (!actual || !series_agrees(test, &test->series[i], actual)) {
            complain(runner, test, "%s: %s, first value %.17g", test->series[i].key,
                     actual ? "other values" : "missing",
                     actual && actual->count ? actual->values[0] : NAN);
            return;
        }
    }
    runner->passed++;
}

static void
judge(runner_t *runner, const eval_case_t *test, ch_status_t status,
      const ch_query_result_t *result)
{
    bool met_histogram = status == CH_OK && result->warning_count > 0;
    if (status == CH_ERR_UNSUPPORTED || met_histogram || test->histograms)
        runner->unsupported++;
    else if (test->fails && status == CH_OK)
        complain(runner, test, "should fail");
    else if (test->fails)
        runner->passed++;
    else if (status != CH_OK)
        complain(runner, test, "%s: %s", ch_status_name(status), ch_fail_text());
    else
        compare(runner, test, result);
}

static void
run_eval(runner_t *runner, const char *arguments, bool fails)
{
    eval_case_t test = {
        .memory = ch_query_memory_new(), .line = runner->line + 1, .fails = fails};
    parse_eval(runner, arguments, &test);
    ch_source_t source = array_source_open(&runner->array);
    /* `expect range vector` changes what is compared, not when the query is evaluated. */
    const char *at = strstr(runner->lines[test.line - 1], " at ");
    int64_t instant = test.start;
    if (!test.range && at) {
        at += 4;
        assert_true(script_time_parse(&at, &instant));
    }
    ch_query_params_t params = {.range = test.range,
                                .start = test.range ? test.start : instant,
                                .end = test.end,
                                .step = test.step,
                                .samples_max = 1000000,
                                .result_points_max = 1000000,
                                .series_max = 10000};
    ch_query_result_t *result = NULL;
    ch_status_t status =
        ch_query_eval(&source, ch_bytes_text(test.query), &params, &result);
    judge(runner, &test, status, result);
    runner->evals++;
    ch_query_result_destroy(&result);
    ch_query_memory_destroy(&test.memory);
}

static void
run_line(runner_t *runner)
{
    const char *line = runner->lines[runner->line];
    if (script_word(&line, "load"))
        run_load(runner, line, false);
    else if (script_word(&line, "load_with_nhcb"))
        run_load(runner, line, true);
    else if (script_word(&line, "clear"))
        array_source_release(&runner->array);
    else if (script_word(&line, "eval"))
        run_eval(runner, line, false);
    else if (script_word(&line, "eval_fail"))
        run_eval(runner, line, true);
    else if (*line)
        fail_msg("%s:%zu: unknown command: %s", runner->file, runner->line + 1, line);
}

static char *
read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("%s: %s", path, strerror(errno));
    char *text = ch_calloc(1, 1 << 20);
    size_t size = fread(text, 1, (1 << 20) - 1, file);
    fclose(file);
    assert_true(size > 0 && size < (1 << 20) - 1);
    return text;
}

static void
run_script(runner_t *runner, const char *path)
{
    char *text = read_file(path), *rest = text, *line;
    char **lines = ch_alloc(100000 * sizeof *lines);
    runner->line_count = 0;
    while ((line = strsep(&rest, "\n"))) {
        line += strspn(line, " \t");
        for (size_t size = strlen(line); size && isspace((unsigned char)line[size - 1]);
             size--)
            line[size - 1] = '\0';
        if (line[0] == '#')
            line[0] = '\0';
        lines[runner->line_count++] = line;
        assert_true(runner->line_count < 100000);
    }
    runner->lines = lines;
    for (runner->line = 0; runner->line < runner->line_count; runner->line++)
        run_line(runner);
    array_source_release(&runner->array);
    ch_free(lines);
    ch_free(text);
}

static int
is_script(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot && strcmp(dot, ".test") == 0;
}

static void
test_prometheus_scripts_give_prometheus_answers(void **state)
{
    (void)state;
    char folder[1024], path[1400];
    const char *data = getenv("CH_SHARED_DATA");
    snprintf(folder, sizeof folder, "%s/promqltest",
             data ? data : CH_SOURCE_DIR "/../shared/data");
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_script, alphasort);
    if (count <= 0) {
        print_message("skipped: no scripts in %s (set CH_SHARED_DATA)\n", folder);
        skip();
    }
    runner_t runner = {0};
    for (int i = 0; i < count; i++) {
        unsigned passed = runner.passed, unsupported = runner.unsupported;
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        runner.file = entries[i]->d_name;
        run_script(&runner, path);
        print_message("%s: %u passed, %u unsupported\n", entries[i]->d_name,
                      runner.passed - passed, runner.unsupported - unsupported);
        free(entries[i]);
    }
    free(entries);
    print_message("%u passed, %u unsupported, %u wrong\n", runner.passed,
                  runner.unsupported, runner.wrong);
    assert_int_equal(runner.wrong, 0);
    assert_true(runner.evals >= EVALS_MIN);
    assert_true(runner.passed >= PASSED_MIN);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prometheus_scripts_give_prometheus_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
