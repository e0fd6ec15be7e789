/* PromQL text to tree: what is taken, how it binds, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ch/alloc.h"
#include "query/functions.h"
#include "query/promql_literal.h"
#include "query/promql_parser.h"

/* Trees are compared as text: every operation in parentheses. */
typedef struct text {
    char data[4096];
    size_t size;
} text_t;

static void put(text_t *text, const char *format, ...) CH_PRINTF(2, 3);

static void
put(text_t *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text->data + text->size, sizeof text->data - text->size, format,
                         arguments);
    va_end(arguments);
    text->size += (size_t)size;
    assert_true(text->size < sizeof text->data);
}

static void
put_labels(text_t *text, const char *word, const ch_promql_labels_t *labels)
{
    put(text, " %s(", word);
    for (uint32_t i = 0; i < labels->count; i++)
        put(text, "%s%.*s", i ? "," : "", (int)labels->names[i].size,
            (const char *)labels->names[i].data);
    put(text, ")");
}

static void
put_selector(text_t *text, const ch_expr_t *expr)
{
    static const char *const kinds[] = {"=", "!=", "=~", "!~"};
    put(text, "{");
    for (uint32_t i = 0; i < expr->selector.matcher_count; i++) {
        const ch_matcher_t *matcher = &expr->selector.matchers[i];
        put(text, "%s%.*s%s'%.*s'", i ? "," : "", (int)matcher->label.size,
            (const char *)matcher->label.data, kinds[matcher->kind],
            (int)matcher->value.size, (const char *)matcher->value.data);
    }
    put(text, "}");
}

static void
put_modifiers(text_t *text, const ch_promql_modifiers_t *modifiers)
{
    if (modifiers->has_offset)
        put(text, " offset %lldms", (long long)modifiers->offset / 1000000);
    if (modifiers->at == CH_AT_TIME)
        put(text, " @ %lldms", (long long)modifiers->at_time / 1000000);
    if (modifiers->at == CH_AT_START || modifiers->at == CH_AT_END)
        put(text, " @ %s", modifiers->at == CH_AT_START ? "start" : "end");
}

static void put_tree(text_t *text, const ch_expr_t *expr);

static void
put_binary(text_t *text, const ch_expr_t *expr)
{
    put(text, "(");
    put_tree(text, expr->binary.left);
    put(text, " %s%s", ch_binary_name(expr->binary.op),
        expr->binary.return_bool ? " bool" : "");
    if (expr->binary.matching)
        put_labels(text, expr->binary.on ? "on" : "ignoring", &expr->binary.match_labels);
    if (expr->binary.group != CH_GROUP_NONE)
        put_labels(text, expr->binary.group == CH_GROUP_LEFT ? "left" : "right",
                   &expr->binary.include);
    put(text, " ");
    put_tree(text, expr->binary.right);
    put(text, ")");
}

static void
put_aggregate(text_t *text, const ch_expr_t *expr)
{
    put(text, "%s", ch_aggregate_name(expr->aggregate.op));
    if (expr->aggregate.labels.names || expr->aggregate.without)
        put_labels(text, expr->aggregate.without ? "without" : "by",
                   &expr->aggregate.labels);
    put(text, "[");
    if (expr->aggregate.param) {
        put_tree(text, expr->aggregate.param);
        put(text, "; ");
    }
    put_tree(text, expr->aggregate.inner);
    put(text, "]");
}

static void
put_tree(text_t *text, const ch_expr_t *expr)
{
    switch (expr->kind) {
    case CH_EXPR_NUMBER:
        put(text, "%g", expr->number);
        break;
    case CH_EXPR_STRING:
        put(text, "'%.*s'", (int)expr->string.size, (const char *)expr->string.data);
        break;
    case CH_EXPR_SELECTOR:
        put_selector(text, expr);
        put_modifiers(text, &expr->selector.modifiers);
        break;
    case CH_EXPR_RANGE:
        put_selector(text, expr->range.selector);
        put(text, "[%lldms]", (long long)expr->range.range / 1000000);
        put_modifiers(text, &expr->range.selector->selector.modifiers);
        break;
    case CH_EXPR_SUBQUERY:
        put_tree(text, expr->subquery.inner);
        put(text, "[%lldms:%lldms]", (long long)expr->subquery.range / 1000000,
            (long long)expr->subquery.step / 1000000);
        put_modifiers(text, &expr->subquery.modifiers);
        break;
    case CH_EXPR_PAREN:
        put_tree(text, expr->paren);
        break;
    case CH_EXPR_UNARY:
        put(text, "(%s", expr->unary.negative ? "-" : "+");
        put_tree(text, expr->unary.inner);
        put(text, ")");
        break;
    case CH_EXPR_BINARY:
        put_binary(text, expr);
        break;
    case CH_EXPR_AGGREGATE:
        put_aggregate(text, expr);
        break;
    case CH_EXPR_CALL:
        put(text, "%s[", expr->call.function->name);
        for (uint32_t i = 0; i < expr->call.argument_count; i++) {
            put(text, "%s", i ? "; " : "");
            put_tree(text, expr->call.arguments[i]);
        }
        put(text, "]");
        break;
    }
}

static ch_status_t
parse(const char *query, text_t *text)
{
    ch_query_memory_t *memory = ch_query_memory_new();
    ch_expr_t *expr = NULL;
    ch_status_t status = ch_promql_parse(ch_bytes_text(query), memory, &expr);
    *text = (text_t){0};
    if (status == CH_OK)
        put_tree(text, expr);
    ch_query_memory_destroy(&memory);
    return status;
}

typedef struct parse_case {
    const char *query;
    const char *expected; /* the tree, or words of the message */
} parse_case_t;

static void
check_trees(const parse_case_t *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        text_t text;
        ch_status_t status = parse(cases[i].query, &text);
        if (status != CH_OK)
            fail_msg("%s: %s", cases[i].query, ch_fail_text());
        assert_string_equal(text.data, cases[i].expected);
    }
}

static void
check_refusals(const parse_case_t *cases, size_t count, ch_status_t expected)
{
    for (size_t i = 0; i < count; i++) {
        text_t text;
        ch_status_t status = parse(cases[i].query, &text);
        if (status == CH_OK)
            fail_msg("%s: taken as %s", cases[i].query, text.data);
        assert_string_equal(ch_status_name(status), ch_status_name(expected));
        if (!strstr(ch_fail_text(), cases[i].expected))
            fail_msg("%s: \"%s\" lacks \"%s\"", cases[i].query, ch_fail_text(),
                     cases[i].expected);
    }
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
test_literals_are_read(void **state)
{
    (void)state;
    static const parse_case_t cases[] = {
        {"1", "1"},
        {".5", "0.5"},
        {"2.", "2"},
        {"1e3", "1000"},
        {"0x1F", "31"},
        {"010", "8"},
        {"1_000", "1000"},
        {"12.34e-6", "1.234e-05"},
        {"inf", "inf"},
        {"+Inf", "(+inf)"},
        {"-iNf", "(-inf)"},
        {"NaN", "nan"},
        {"1h30m", "5400"},
        {"300ms", "0.3"},
        {"\"a\\n\\x41\\u00e9\\\"\"", "'a\nA\xc3\xa9\"'"},
        {"`a\\n`", "'a\\n'"},
        {"'a\"b'", "'a\"b'"},
        {"1 # the rest is no query", "1"},
    };
    check_trees(cases, COUNT(cases));
}

static void
test_selectors_are_read(void **state)
{
    (void)state;
    static const parse_case_t cases[] = {
        {"up", "{__name__='up'}"},
        {"a:b:rate5m", "{__name__='a:b:rate5m'}"},
        {"system.cpu.load", "{__name__='system.cpu.load'}"},
        {"system.cpu.load{host=\"a.b\"}", "{__name__='system.cpu.load',host='a.b'}"},
        {"{\"any text\"}", "{__name__='any text'}"},
        {"{\"any text\", \"a.b\"!=\"c\"}", "{__name__='any text',a.b!='c'}"},
        {"{__name__=~\"a.*\"}", "{__name__=~'a.*'}"},
        {"up{a='1',b!=\"2\",c=~`3`,d!~\"4\",}",
         "{__name__='up',a='1',b!='2',c=~'3',d!~'4'}"},
        {"up{}", "{__name__='up'}"},
        {"sum", "{__name__='sum'}"},
        {"offset{by=\"x\"}", "{__name__='offset',by='x'}"},
        {"up[5m]", "{__name__='up'}[300000ms]"},
        {"up[1h30m15s]", "{__name__='up'}[5415000ms]"},
        {"up[90]", "{__name__='up'}[90000ms]"},
        {"up[5m] offset 1h @ 10", "{__name__='up'}[300000ms] offset 3600000ms @ 10000ms"},
        {"up offset -30s", "{__name__='up'} offset -30000ms"},
        {"up @ start() offset 1m", "{__name__='up'} offset 60000ms @ start"},
        {"up @ 1700000000.123", "{__name__='up'} @ 1700000000123ms"},
        {"up @ -1.5", "{__name__='up'} @ -1500ms"},
        {"up[1h:5m] @ end()", "{__name__='up'}[3600000ms:300000ms] @ end"},
        {"rate(up[5m])[1h:]", "rate[{__name__='up'}[300000ms]][3600000ms:0ms]"},
    };
    check_trees(cases, COUNT(cases));
}

static void
test_operators_bind_as_in_prometheus(void **state)
{
    (void)state;
    static const parse_case_t cases[] = {
        {"1 + 2 * 3", "(1 + (2 * 3))"},
        {"1 - 2 - 3", "((1 - 2) - 3)"},
        {"2 ^ 3 ^ 4", "(2 ^ (3 ^ 4))"},
        {"-1 ^ 2", "(-(1 ^ 2))"},
        {"-a * b", "((-{__name__='a'}) * {__name__='b'})"},
        {"2 ^ -1 * 3", "((2 ^ (-1)) * 3)"},
        {"a or b and c unless d", "({__name__='a'} or (({__name__='b'} and "
                                  "{__name__='c'}) unless {__name__='d'}))"},
        {"a > bool 1 + 2", "({__name__='a'} > bool (1 + 2))"},
        {"a ATAN2 on(x) b", "({__name__='a'} atan2 on(x) {__name__='b'})"},
        {"a / ignoring(x, \"y z\") group_left(c,) b",
         "({__name__='a'} / ignoring(x,y z) left(c) {__name__='b'})"},
        {"a * on() group_right b", "({__name__='a'} * on() right() {__name__='b'})"},
        {"(1 + 2) * 3", "((1 + 2) * 3)"},
    };
    check_trees(cases, COUNT(cases));
}

static void
test_calls_and_aggregations_are_read(void **state)
{
    (void)state;
    static const parse_case_t cases[] = {
        {"sum(up)", "sum[{__name__='up'}]"},
        {"sum by (host, by) (up)", "sum by(host,by)[{__name__='up'}]"},
        {"SUM(up) without (host)", "sum without(host)[{__name__='up'}]"},
        {"avg without () (up)", "avg without()[{__name__='up'}]"},
        {"topk(3, up)", "topk[3; {__name__='up'}]"},
        {"count_values(\"v\", up)", "count_values['v'; {__name__='up'}]"},
        {"sum by (a) (rate(x[5m]))", "sum by(a)[rate[{__name__='x'}[300000ms]]]"},
        {"round(up, 5)", "round[{__name__='up'}; 5]"},
        {"time()", "time[]"},
        {"hour()", "hour[]"},
        {"label_join(up, 'a', 'b')", "label_join[{__name__='up'}; 'a'; 'b']"},
        {"quantile_over_time(0.5, (up[5m]))",
         "quantile_over_time[0.5; {__name__='up'}[300000ms]]"},
    };
    check_trees(cases, COUNT(cases));
}

static void
test_what_is_not_promql_is_refused_with_its_place(void **state)
{
    (void)state;
    static const parse_case_t cases[] = {
        {"", "1:1: parse error: no expression found"},
        {"  # only words", "no expression found"},
        {"1 +", "1:4: parse error: unexpected end of input"},
        {"1\n+\n  )", "3:3: parse error: unexpected \")\""},
        {"up{", "label name"},
        {"up{a}", "one of ="},
        {"up{a==\"b\"}", "one of ="},
        {"up{a=b}", "expected string"},
        {"up{a=\"b\" c=\"d\"}", "\",\" or \"}\""},
        {"{}", "at least one non-empty matcher"},
        {"{a=\"\"}", "at least one non-empty matcher"},
        {"up{__name__=\"x\"}", "must not be set twice"},
        {"up{\"x\"}", "must not be set twice"},
        {"up[5m", "range"},
        {"up[0s]", "greater than 0"},
        {"up[5x]", "bad number or duration"},
        {"up[5m1h]", "bad number or duration"},
        {"up[999999y]", "out of range"},
        {"up[5m][5m]", "only allowed for vector selectors"},
        {"(up)[5m]", "only allowed for vector selectors"},
        {"up offset 5m[5m]", "no offset modifiers allowed before range"},
        {"up offset 1m offset 2m", "multiple times"},
        {"1 offset 5m", "must be preceded by"},
        {"up @ inf", "out of bounds"},
        {"1[5m:1m]", "only allowed on instant vector"},
        {"rate(up)",
         "expected type range vector in call to function \"rate\", got instant vector"},
        {"abs(up, up)", "expected 1 argument(s)"},
        {"clamp(up)", "expected 3 argument(s)"},
        {"nosuch(up)", "unknown function with name \"nosuch\""},
        {"sum(up, up)", "wrong number of arguments"},
        {"topk(up)", "wrong number of arguments"},
        {"sum(up[5m])", "expected type instant vector in aggregation expression"},
        {"topk('a', up)", "expected type scalar in aggregation parameter"},
        {"-'a'", "unary expression only allowed"},
        {"-up[5m]", "unary expression only allowed"},
        {"1 + 'a'", "only scalar and instant vector types"},
        {"1 > 2", "must use BOOL"},
        {"up + bool up", "bool modifier can only be used on comparison"},
        {"1 and 2", "set operator not allowed"},
        {"up + on(a) 1", "only allowed between instant vectors"},
        {"up and on(a) group_left up", "no grouping allowed"},
        {"up * on(a) group_left(a) up", "must not occur in ON and GROUP"},
        {"up up", "1:4: parse error: unexpected identifier up"},
        {"sum by (a:b) (up)", "expected label"},
        {"\"open", "not terminated"},
        {"\"a\\qb\"", "unknown escape"},
        {"\"\\ud800\"", "not a Unicode code point"},
        {"0x", "bad number"},
        {"1_", "bad number"},
        {"up $ 1", "unexpected character '$'"},
        {"\xff", "unexpected byte 0xff"},
        {"on(a)", "unexpected identifier on"},
        {"\xc3\xa9", "unexpected byte"},
    };
    check_refusals(cases, COUNT(cases), CH_ERR_PARSE);
}

static void
test_duration_arithmetic_is_unsupported_not_wrong(void **state)
{
    (void)state;
    static const parse_case_t cases[] = {
        {"up[5m + 1m]", "duration expressions"},
        {"up[step()]", "duration expressions"},
        {"up offset (5m)", "duration expressions"},
    };
    check_refusals(cases, COUNT(cases), CH_ERR_UNSUPPORTED);
}

static char *
repeat(const char *open, size_t count, const char *middle, const char *close)
{
    size_t size = count * (strlen(open) + strlen(close)) + strlen(middle) + 1;
    char *text = ch_alloc(size);
    text[0] = '\0';
    char *to = text;
    for (size_t i = 0; i < count; i++)
        to = stpcpy(to, open);
    to = stpcpy(to, middle);
    for (size_t i = 0; i < count; i++)
        to = stpcpy(to, close);
    return text;
}

static void
test_depth_height_and_size_are_limited(void **state)
{
    (void)state;
    const struct {
        const char *open, *middle, *close;
        size_t most; /* taken; ten times as much is not */
    } cases[] = {
        {"(", "1", ")", 100},  {"-", "1", "", 100},  {"abs(", "up", ")", 100},
        {"1^", "1", "", 100},  {"1+", "1", "", 400}, {"sum(", "up", ")", 100},
        {"(1+", "1", ")", 50},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        text_t text;
        char *taken =
            repeat(cases[i].open, cases[i].most, cases[i].middle, cases[i].close);
        if (parse(taken, &text) != CH_OK)
            fail_msg("%s: %s", taken, ch_fail_text());
        ch_free(taken);
        char *refused =
            repeat(cases[i].open, cases[i].most * 10, cases[i].middle, cases[i].close);
        assert_int_equal(parse(refused, &text), CH_ERR_LIMIT);
        ch_free(refused);
    }
    text_t text;
    char *spaces = repeat(" ", CH_PROMQL_QUERY_BYTES_MAX, "1", "");
    assert_int_equal(parse(spaces, &text), CH_ERR_LIMIT);
    ch_free(spaces);
}

static void
test_every_cut_of_a_query_is_taken_or_refused(void **state)
{
    (void)state;
    static const char query[] =
        "sum by (host, \"a b\") (rate({\"x y\", a=~\"b.*\"}[5m:30s] offset -1h @ end())) "
        "/ on(host) "
        "group_left(z) (topk(3, up{a!=\"\\u00e9\"}) >= bool 0x1F) or -1.5e3 ^ 2";
    char cut[sizeof query];
    for (size_t size = 0; size < sizeof query; size++) {
        text_t text;
        memcpy(cut, query, size);
        cut[size] = '\0';
        ch_status_t status = parse(cut, &text);
        assert_true(status == CH_OK || status == CH_ERR_PARSE);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals_are_read),
        cmocka_unit_test(test_selectors_are_read),
        cmocka_unit_test(test_operators_bind_as_in_prometheus),
        cmocka_unit_test(test_calls_and_aggregations_are_read),
        cmocka_unit_test(test_what_is_not_promql_is_refused_with_its_place),
        cmocka_unit_test(test_duration_arithmetic_is_unsupported_not_wrong),
        cmocka_unit_test(test_depth_height_and_size_are_limited),
        cmocka_unit_test(test_every_cut_of_a_query_is_taken_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
