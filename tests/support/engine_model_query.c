/* engine_model_query.c - questions with selectors, against a walk over all points.
 *
 * Matchers   are chosen as sets of values, so the text of a regex and the set it stands for come from one
 *            choice, and no regex is understood here.
 * Figures    the definitions, written as plainly as can be, over points as the model has them; a sum in
 *            another order differs in its last bits, so figures are compared to 1e-9 of what went into them.
 */
#include <math.h>

#include "ch/query.h"
#include "support/engine_model_state.h"
#include "support/test.h"

enum { STEPS_MAX = 12, TEXT_MAX = 400 };

typedef struct ask {
    char selector[TEXT_MAX];
    bool named[ALL_SERIES];
} ask_t;

/* ---- selectors ---- */

static const char *const hosts[] = {"", "h1", "h2", "h3", "h4"};
static const char *const centres[] = {"", "b", "a", "b", "a"};

/* A matcher of `label` that stands for a set of its values: = and != of one, =~ and !~ of more. */
static void
add_matcher(ask_t *ask, const char *label, const char *const *values, unsigned set,
            unsigned count, bool not )
{
    size_t at = strlen(ask->selector);
    bool one = (set & (set - 1)) == 0;
    at +=
        (size_t)snprintf(ask->selector + at, TEXT_MAX - at, "%s%s%s\"", at > 1 ? "," : "",
                         label, one ? (not ? "!=" : "=") : (not ? "!~" : "=~"));
    const char *between = "";
    for (unsigned i = 0; i < count; i++)
        if (set >> i & 1) {
            at += (size_t)snprintf(ask->selector + at, TEXT_MAX - at, "%s%s", between,
                                   values[i]);
            between = "|";
        }
    (void)snprintf(ask->selector + at, TEXT_MAX - at, "\"");
}

/* Not empty, not everything. */
static unsigned
some_of(ch_rng_t *rng, unsigned count)
{
    if (ch_rng_below(rng, 2))
        return 1u << ch_rng_below(rng, count);
    return 1 + (unsigned)ch_rng_below(rng, (1u << count) - 2);
}

/* The rows of the universe whose host or centre is in the set. */
static bool
in_set(const char *const *values, unsigned set, unsigned count, const char *value)
{
    for (unsigned i = 0; i < count; i++)
        if (set >> i & 1 && strcmp(values[i], value) == 0)
            return true;
    return false;
}

static void
choose_ask(const ch_model_t *model, ch_rng_t *rng, bool one_name, ask_t *ask)
{
    static const char *const sites[] = {"", "a", "b"};
    const char *names[CH_MODEL_NAMES];
    bool not [3], use[3];
    unsigned set[3] = {some_of(rng, CH_MODEL_NAMES), some_of(rng, CH_MODEL_LABELS),
                       some_of(rng, 3)};
    for (int i = 0; i < CH_MODEL_NAMES; i++)
        names[i] = model->names[i];
    for (int i = 0; i < 3; i++) {
        not [i] = ch_rng_below(rng, 3) == 0;
        use[i] = ch_rng_below(rng, 2);
    }
    (void)strcpy(ask->selector, "{");
    if (one_name) {
        set[0] = 1u << ch_rng_below(rng, CH_MODEL_NAMES);
        not [0] = false;
    }
    if (not [0]) /* some matcher must not take what is empty */
        add_matcher(ask, "__name__", &sites[0], 1, 1, true);
    add_matcher(ask, "__name__", names, set[0], CH_MODEL_NAMES, not [0]);
    if (use[1])
        add_matcher(ask, "host", hosts, set[1], CH_MODEL_LABELS, not [1]);
    if (use[2])
        add_matcher(ask, "dc", sites, set[2], 3, not [2]);
    (void)strcat(ask->selector, "}");
    for (uint32_t series = 0; series < ALL_SERIES; series++) {
        uint32_t n = series / CH_MODEL_LABELS, l = series % CH_MODEL_LABELS;
        ask->named[series] = (bool)(set[0] >> n & 1) != not [0] &&
                             (!use[1] || (bool)(set[1] >> l & 1) != not [1]) &&
                             (!use[2] || in_set(sites, set[2], 3, centres[l]) != not [2]);
    }
}

/* ---- series and labels ---- */

/* Whole, those with points; in a range, at least those with points there and none of the others. */
static void
compare_select(ch_model_t *model, ch_view_t *view, ch_rng_t *rng, const ask_t *ask)
{
    static ch_model_series_t expected;
    const ch_source_t *source = ch_view_source(view);
    ch_selector_t *selector = NULL;
    ch_series_list_t all = {0}, some = {0};
    int64_t from = (int64_t)ch_rng_below(rng, CH_MODEL_TIMES);
    int64_t to = from + 1 + (int64_t)ch_rng_below(rng, 100);
    assert_int_equal(ch_selector_parse(ch_bytes_text(ask->selector), &selector), CH_OK);
    assert_int_equal(
        source->select(source->context, selector, CH_TIME_MIN, CH_TIME_MAX, 100, &all),
        CH_OK);
    assert_int_equal(
        source->select(source->context, selector, from * SECOND, to * SECOND, 100, &some),
        CH_OK);
    size_t at = 0, inside = 0;
    for (uint32_t series = 0; series < ALL_SERIES; series++) {
        ch_bytes_t name = ch_bytes_text(model->names[series / CH_MODEL_LABELS]);
        ch_bytes_t labels = ch_bytes_text(model->labels[series % CH_MODEL_LABELS]);
        bool here = false, listed = false;
        if (ask->named[series])
            ch_model_expect(model, series, ch_view_lsn(view), &expected);
        if (!ask->named[series] || !expected.any)
            continue;
        at++;
        for (int64_t second = from; second < to && second < CH_MODEL_SECONDS; second++)
            here = here || expected.present[second];
        for (size_t i = 0; i < all.count; i++)
            listed = listed || (ch_bytes_equal(all.items[i].name, name) &&
                                ch_bytes_equal(all.items[i].labels, labels));
        if (!listed)
            fail_msg("%s does not find %s{%s}", ask->selector, name.data, labels.data);
        listed = false;
        for (size_t i = 0; i < some.count; i++)
            listed = listed || (ch_bytes_equal(some.items[i].name, name) &&
                                ch_bytes_equal(some.items[i].labels, labels));
        if (here && !listed)
            fail_msg("%s from %d to %d does not find %s{%s}", ask->selector, (int)from,
                     (int)to, name.data, labels.data);
        inside += listed;
    }
    assert_int_equal(all.count, at);
    assert_int_equal(some.count, inside);
    ch_series_list_release(&all);
    ch_series_list_release(&some);
    ch_selector_destroy(&selector);
}

typedef struct texts {
    char text[TEXT_MAX];
} texts_t;

static bool
take_text(void *context, ch_bytes_t text)
{
    texts_t *texts = context;
    size_t at = strlen(texts->text);
    (void)snprintf(texts->text + at, TEXT_MAX - at, "%.*s;", (int)text.size,
                   (const char *)text.data);
    return true;
}

/* What of `values` (in byte order) some series of the universe has, by its row or name. */
static void
expect_values(const bool *met, unsigned count, const char *const *values, char *out)
{
    static const char *const order[] = {"a", "b", "h1", "h2", "h3", "h4"};
    out[0] = 0;
    for (size_t o = 0; o < sizeof order / sizeof order[0]; o++)
        for (unsigned i = 0; i < count; i++)
            if (met[i] && strcmp(values[i], order[o]) == 0) {
                (void)sprintf(out + strlen(out), "%s;", order[o]);
                break;
            }
}

static void
compare_labels(ch_model_t *model, ch_view_t *view, const ask_t *ask)
{
    static ch_model_series_t expected;
    bool rows[CH_MODEL_LABELS] = {false}, names[CH_MODEL_NAMES] = {false};
    bool any = false, labelled = false;
    for (uint32_t series = 0; series < ALL_SERIES; series++) {
        if (!ask->named[series])
            continue;
        ch_model_expect(model, series, ch_view_lsn(view), &expected);
        if (!expected.any)
            continue;
        any = names[series / CH_MODEL_LABELS] = rows[series % CH_MODEL_LABELS] = true;
        labelled = labelled || series % CH_MODEL_LABELS;
    }
    ch_selector_t *selector = NULL;
    assert_int_equal(ch_selector_parse(ch_bytes_text(ask->selector), &selector), CH_OK);
    texts_t got = {""};
    char wanted[TEXT_MAX];
    assert_int_equal(ch_view_labels(view, selector, take_text, &got), CH_OK);
    assert_string_equal(got.text, labelled ? "__name__;dc;host;"
                                  : any    ? "__name__;"
                                           : "");
    static const char *const labels[] = {"dc", "host"};
    for (int i = 0; i < 2; i++) {
        got.text[0] = 0;
        assert_int_equal(ch_view_label_values(view, selector, ch_bytes_text(labels[i]),
                                              take_text, &got),
                         CH_OK);
        expect_values(rows, CH_MODEL_LABELS, i ? hosts : centres, wanted);
        assert_string_equal(got.text, wanted);
    }
    got.text[0] = wanted[0] = 0;
    assert_int_equal(
        ch_view_label_values(view, selector, ch_bytes_text("__name__"), take_text, &got),
        CH_OK);
    for (int dots = 1; dots >= 0; dots--) /* "." sorts before "_" */
        for (int i = 0; i < CH_MODEL_NAMES; i++)
            if (names[i] && (strchr(model->names[i], '.') != NULL) == dots)
                (void)sprintf(wanted + strlen(wanted), "%s;", model->names[i]);
    assert_string_equal(got.text, wanted);
    ch_selector_destroy(&selector);
}

/* ---- figures ---- */

typedef enum {
    AVG,
    MIN,
    MAX,
    SUM,
    COUNT,
    LAST,
    RATE,
    INCREASE,
    DELTA,
    FUNCTIONS
} function_t;

static const char *const functions[FUNCTIONS] = {
    "avg_over_time", "min_over_time",   "max_over_time",
    "sum_over_time", "count_over_time", "last_over_time",
    "rate",          "increase",        "delta"};

static const char *const groupings[] = {"", "sum", "min", "max", "avg", "count"};

/* A figure, and how much went into it; `there` false: no answer at this time. */
typedef struct figure {
    bool there;
    double value, scale;
} figure_t;

static bool
number_of(ch_value_t value, double *number_out)
{
    if (value.type == CH_VALUE_STRING)
        return false;
    *number_out = value.type == CH_VALUE_INT     ? (double)value.i64
                  : value.type == CH_VALUE_FLOAT ? value.f64
                                                 : (double)value.boolean;
    return true;
}

/* What a rate makes of the change between the first and the last point in (start, end]: as far beyond them
 * as docs/promql.md says. All in seconds. */
static double
stretch(double start, double end, double first_at, double last_at, double count,
        double first, double change, bool counter)
{
    double sampled = last_at - first_at, mean = sampled / (count - 1);
    double left = first_at - start, right = end - last_at;
    if (left >= mean * 1.1)
        left = mean / 2;
    if (counter && change > 0 && first >= 0 && sampled * first / change < left)
        left = sampled * first / change;
    if (right >= mean * 1.1)
        right = mean / 2;
    return (sampled + left + right) / sampled;
}

/* One series, the window (end - width, end]; times in seconds, `end` may lie between two. */
static figure_t
figure_of(const ch_model_series_t *series, function_t function, double end, double width)
{
    double first_at = 0, last_at = 0, first = 0, last = 0, count = 0, sum = 0, all = 0;
    double min = INFINITY, max = -INFINITY, resets = 0, value;
    for (int second = 0; second < CH_MODEL_SECONDS; second++) {
        if (second <= end - width || second > end || !series->present[second] ||
            !number_of(series->value[second], &value))
            continue;
        first_at = count == 0 ? second : first_at;
        first = count == 0 ? value : first;
        resets += count > 0 && value < last ? last : 0;
        last_at = second;
        last = value;
        min = value < min ? value : min;
        max = value > max ? value : max;
        sum += value;
        all += fabs(value);
        count++;
    }
    figure_t figure = {count > 0, 0, all};
    bool counter = function == RATE || function == INCREASE;
    double change = last - first + (counter ? resets : 0);
    switch (function) {
    case AVG:
        figure.value = sum / count;
        break;
    case MIN:
        return (figure_t){figure.there, min, 0};
    case MAX:
        return (figure_t){figure.there, max, 0};
    case SUM:
        figure.value = sum;
        break;
    case COUNT:
        return (figure_t){figure.there, count, 0};
    case LAST:
        return (figure_t){figure.there, last, 0};
    default:
        figure.there = count > 1;
        if (!figure.there)
            break;
        double factor =
            stretch(end - width, end, first_at, last_at, count, first, change, counter);
        figure.value = change * factor / (function == RATE ? width : 1);
        figure.scale = all * factor;
    }
    return figure;
}

/* All series of a group, by sum, min, max, avg or count. */
static void
join(figure_t *group, const figure_t *one, int grouping)
{
    if (!one->there)
        return;
    group->scale += one->scale + fabs(one->value);
    if (!group->there)
        group->value = grouping == 5 ? 1 : one->value;
    else if (grouping == 1 || grouping == 4)
        group->value += one->value;
    else if (grouping == 5)
        group->value++;
    else if (grouping == 2 ? one->value < group->value : one->value > group->value)
        group->value = one->value;
    group->there = true;
}

typedef struct question {
    ask_t ask;
    function_t function;
    int grouping; /* of groupings */
    bool by_centre;
    double start, step, width; /* s */
    int steps;
    char text[TEXT_MAX + 100];
} question_t;

static void
choose_question(const ch_model_t *model, ch_rng_t *rng, question_t *question)
{
    choose_ask(model, rng, true, &question->ask);
    question->function = (function_t)ch_rng_below(rng, FUNCTIONS);
    question->grouping = ch_rng_below(rng, 2) ? 0 : 1 + (int)ch_rng_below(rng, 5);
    question->by_centre = ch_rng_below(rng, 2);
    question->width = 1 + (double)ch_rng_below(rng, ch_rng_below(rng, 2) ? 60 : 600);
    question->step =
        ch_rng_below(rng, 2) ? question->width : 1 + (double)ch_rng_below(rng, 100);
    question->start =
        (double)ch_rng_below(rng, CH_MODEL_TIMES) + (ch_rng_below(rng, 4) ? 0 : 0.5);
    question->steps = 1 + (int)ch_rng_below(rng, STEPS_MAX);
    char inner[TEXT_MAX + 60];
    (void)snprintf(inner, sizeof inner, "%s(%s[%ds])", functions[question->function],
                   question->ask.selector, (int)question->width);
    if (question->grouping)
        (void)snprintf(question->text, sizeof question->text, "%s%s(%s)",
                       groupings[question->grouping],
                       question->by_centre ? " by (dc) " : "", inner);
    else
        (void)snprintf(question->text, sizeof question->text, "%s", inner);
}

/* The label text of the answer that a row of the universe is part of. */
static const char *
group_of(const ch_model_t *model, const question_t *question, uint32_t row)
{
    static const char *const by_centre[] = {"", "dc=\"b\"", "dc=\"a\"", "dc=\"b\"",
                                            "dc=\"a\""};
    return !question->grouping   ? model->labels[row]
           : question->by_centre ? by_centre[row]
                                 : "";
}

/* All rows that `group` has, at one time. */
static figure_t
wanted_at(const ch_model_t *model, const question_t *question,
          const ch_model_series_t *rows, const char *group, double time)
{
    figure_t figure = {false, 0, 0};
    double members = 0;
    for (uint32_t series = 0; series < ALL_SERIES; series++) {
        uint32_t row = series % CH_MODEL_LABELS;
        if (!question->ask.named[series] ||
            strcmp(group_of(model, question, row), group) != 0)
            continue;
        figure_t one = figure_of(&rows[row], question->function, time, question->width);
        if (!question->grouping)
            return one;
        join(&figure, &one, question->grouping);
        members += one.there;
    }
    if (question->grouping == 4 && figure.there)
        figure.value /= members;
    return figure;
}

static void
compare_answer(const ch_model_t *model, const question_t *question,
               const ch_model_series_t *rows, const ch_query_result_t *result)
{
    size_t points = 0, wanted = 0;
    for (size_t i = 0; i < result->count; i++)
        points += result->series[i].count;
    const char *done[CH_MODEL_LABELS];
    size_t groups = 0;
    for (uint32_t row = 0; row < CH_MODEL_LABELS; row++) {
        const char *group = group_of(model, question, row);
        bool met = false;
        for (size_t i = 0; i < groups; i++)
            met = met || strcmp(done[i], group) == 0;
        if (met)
            continue;
        done[groups++] = group;
        const ch_query_series_t *got = NULL;
        for (size_t i = 0; i < result->count; i++)
            if (ch_bytes_equal(result->series[i].labels, ch_bytes_text(group)))
                got = &result->series[i];
        size_t at = 0;
        for (int step = 0; step < question->steps; step++) {
            double time = question->start + step * question->step;
            figure_t figure = wanted_at(model, question, rows, group, time);
            if (!figure.there)
                continue;
            wanted++;
            if (!got || at == got->count || (double)got->times[at] / SECOND != time)
                fail_msg("%s: no answer for {%s} at %g s", question->text, group, time);
            double value = got->values[at++];
            if (!(fabs(value - figure.value) <= 1e-9 * (figure.scale + fabs(value))))
                fail_msg("%s: {%s} at %g s is %.17g, not %.17g", question->text, group,
                         time, value, figure.value);
        }
    }
    if (points != wanted)
        fail_msg("%s: %zu figures, not %zu", question->text, points, wanted);
}

static void
compare_figures(ch_model_t *model, ch_view_t *view, ch_rng_t *rng)
{
    static ch_model_series_t rows[CH_MODEL_LABELS];
    question_t question;
    choose_question(model, rng, &question);
    for (uint32_t series = 0; series < ALL_SERIES; series++)
        if (question.ask.named[series])
            ch_model_expect(model, series, ch_view_lsn(view),
                            &rows[series % CH_MODEL_LABELS]);
    const ch_query_params_t params = {
        .range = true,
        .start = (int64_t)(question.start * SECOND),
        .end =
            (int64_t)((question.start + (question.steps - 1) * question.step) * SECOND),
        .step = (int64_t)(question.step * SECOND),
        .samples_max = 1 << 30,
        .result_points_max = 1 << 20,
        .series_max = 1000};
    ch_query_result_t *result = NULL;
    if (ch_query_eval(ch_view_source(view), ch_bytes_text(question.text), &params,
                      &result) != CH_OK)
        fail_msg("%s: %s", question.text, ch_fail_text());
    compare_answer(model, &question, rows, result);
    ch_query_result_destroy(&result);
}

void
ch_model_compare_queries(ch_model_t *model, ch_view_t *view, ch_rng_t *rng)
{
    ask_t ask;
    choose_ask(model, rng, false, &ask);
    compare_select(model, view, rng, &ask);
    compare_labels(model, view, &ask);
    for (int i = 0; i < 4; i++)
        compare_figures(model, view, rng);
}
