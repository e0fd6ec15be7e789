/* Selectors: what PromQL takes, what it refuses, and what a match means. */
#include "support/test.h"

#include "ch/selector.h"
#include "ch/series_key.h"

static ch_selector_t *
parse(const char *text)
{
    ch_selector_t *selector = NULL;
    ch_status_t status = ch_selector_parse(ch_bytes_text(text), &selector);
    if (status != CH_OK)
        print_error("%s: %s\n", text, ch_fail_text());
    assert_int_equal(status, CH_OK);
    return selector;
}

static int
accepts(const char *selector_text, const char *key)
{
    ch_selector_t *selector = parse(selector_text);
    ch_text_t scratch = {0};
    ch_bytes_t name, labels;
    assert_int_equal(
        ch_series_key_parse(ch_bytes_text(key), 32, 4096, &scratch, &name, &labels),
        CH_OK);
    int result = ch_selector_accepts(selector, name, labels);
    ch_text_release(&scratch);
    ch_selector_destroy(&selector);
    return result;
}

static void
assert_refused(const char *text, ch_status_t expected)
{
    ch_selector_t *selector = NULL;
    ch_status_t status = ch_selector_parse(ch_bytes_text(text), &selector);
    if (status != expected)
        print_error("%s: status %d\n", text, status);
    assert_int_equal(status, expected);
    assert_null(selector);
    assert_true(strlen(ch_fail_text()) > 0);
}

static void
assert_matcher(const char *text, uint32_t i, ch_match_kind_t kind, const char *label,
               const char *value)
{
    ch_selector_t *selector = parse(text);
    assert_true(i < selector->count);
    const ch_matcher_t *matcher = &selector->matchers[i];
    assert_int_equal(matcher->kind, kind);
    assert_true(ch_bytes_equal(matcher->label, ch_bytes_text(label)));
    assert_true(ch_bytes_equal(matcher->value, ch_bytes_text(value)));
    ch_selector_destroy(&selector);
    assert_null(selector);
}

static void
test_matchers_are_parsed(void **state)
{
    (void)state;
    assert_matcher("up", 0, CH_MATCH_EQ, "__name__", "up");
    assert_matcher(" job:rate_5m:sum { } ", 0, CH_MATCH_EQ, "__name__",
                   "job:rate_5m:sum");
    assert_matcher("system.cpu.load", 0, CH_MATCH_EQ, "__name__", "system.cpu.load");
    assert_matcher("{\"any text\"}", 0, CH_MATCH_EQ, "__name__", "any text");
    assert_matcher("{__name__=\"a-b\"}", 0, CH_MATCH_EQ, "__name__", "a-b");
    assert_matcher("a{b=\"c\",}", 1, CH_MATCH_EQ, "b", "c");
    assert_matcher("a{b!='c' , d=~`e.*`,f!~\"g\"}", 1, CH_MATCH_NE, "b", "c");
    assert_matcher("a{b!='c' , d=~`e.*`,f!~\"g\"}", 2, CH_MATCH_RE, "d", "e.*");
    assert_matcher("a{b!='c' , d=~`e.*`,f!~\"g\"}", 3, CH_MATCH_NRE, "f", "g");
    assert_matcher("{\"a.b\"=\"c\", \"name\"}", 0, CH_MATCH_EQ, "a.b", "c");
    assert_matcher("{\"a.b\"=\"c\", \"name\"}", 1, CH_MATCH_EQ, "__name__", "name");
    assert_matcher("up # why\n{ # what\n a = \"b\" }", 1, CH_MATCH_EQ, "a", "b");
}

static void
test_strings_are_unescaped_as_go_does(void **state)
{
    (void)state;
    assert_matcher("{a=\"\\a\\b\\f\\n\\r\\t\\v\\\\\\\"'\"}", 0, CH_MATCH_EQ, "a",
                   "\a\b\f\n\r\t\v\\\"'");
    assert_matcher("{a='\\'\"'}", 0, CH_MATCH_EQ, "a", "'\"");
    assert_matcher("{a=`\\n\"'\nx`}", 0, CH_MATCH_EQ, "a", "\\n\"'\nx");
    assert_matcher("{a=\"\\x41\\101\\u00e9\\U0001F600\"}", 0, CH_MATCH_EQ, "a",
                   "AA\xc3\xa9\xf0\x9f\x98\x80");
    assert_matcher("{a=\"\\xc3\\xa9\"}", 0, CH_MATCH_EQ, "a", "\xc3\xa9");
}

static void
test_what_is_no_selector_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "}",
        "up{",
        "up}",
        "up{}}",
        "up{a}",
        "up{a=}",
        "up{a=b}",
        "up{a==\"b\"}",
        "up{a=\"b}",
        "up{a=\"b\" c=\"d\"}",
        "up{,}",
        "up{a=\"b\",,}",
        "up up",
        "1up",
        "up{a.b=\"c\"}",
        "up{1a=\"c\"}",
        "up[5m]",
        "up offset 5m",
        "a-b",
        "sum(up)",
        "up{a=\"\n\"}",
        "up{a=\"\\q\"}",
        "up{a=\"\\'\"}",
        "up{a=\"\\x4\"}",
        "up{a=\"\\400\"}",
        "up{a=\"\\ud800\"}",
        "up{a=\"\\U00110000\"}",
        "up{a=\"\\xff\"}",
        "up{a!\"b\"}",
        "up{__name__=\"up\"}",
        "up{\"up\"}",
        "{\"a\",\"b\"}",
        "{\"a\",__name__=~\"b\"}",
        "up{\"\"=\"a\"}",
        "up{a=\"\xff\"}",
        "up{a='b\"}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_refused(texts[i], CH_ERR_PARSE);
    char many[4096] = "up{";
    for (int i = 0; i < 65; i++)
        strcat(many, "a=\"b\",");
    strcat(many, "}");
    assert_refused(many, CH_ERR_LIMIT);
}

static void
test_a_selector_must_narrow(void **state)
{
    (void)state;
    assert_refused("{}", CH_ERR_PARSE);
    assert_refused("{a=\"\"}", CH_ERR_PARSE);
    assert_refused("{a=~\".*\", b!=\"c\", d!~\"e\", f=~\"x|\"}", CH_ERR_PARSE);
    assert_int_equal(accepts("{a=~\".*\", b!=\"\"}", "m{b=\"1\"}"), 1);
    assert_int_equal(accepts("{a=~\".+\"}", "m{a=\"1\"}"), 1);
}

static void
test_an_absent_label_is_the_empty_string(void **state)
{
    (void)state;
    assert_int_equal(accepts("m{a=\"\"}", "m"), 1);
    assert_int_equal(accepts("m{a=\"\"}", "m{a=\"1\"}"), 0);
    assert_int_equal(accepts("m{a!=\"1\"}", "m"), 1);
    assert_int_equal(accepts("m{a!=\"1\"}", "m{a=\"1\"}"), 0);
    assert_int_equal(accepts("m{a=~\"1?\"}", "m{b=\"2\"}"), 1);
    assert_int_equal(accepts("m{a=~\"1+\"}", "m{b=\"2\"}"), 0);
    assert_int_equal(accepts("m{a!~\"1\"}", "m{b=\"2\"}"), 1);
    assert_int_equal(accepts("n{a!~\"1\"}", "m{b=\"2\"}"), 0);
    assert_int_equal(accepts("{a=\"x\\\"y\"}", "m{a=\"x\\\"y\",b=\"\\\\\"}"), 1);
    assert_int_equal(accepts("{b='\\\\'}", "m{a=\"x\\\"y\",b=\"\\\\\"}"), 1);
    assert_int_equal(accepts("{__name__=~\"m|n\", __name__!=\"n\"}", "m"), 1);
}

/* A regex against a value: 1, 0, or a status. */
static int
matches(const char *regex, const char *value)
{
    ch_matcher_t matchers[] = {
        {.kind = CH_MATCH_EQ, .label = ch_bytes_text("x"), .value = ch_bytes_text("y")},
        {.kind = CH_MATCH_RE, .label = ch_bytes_text("a"), .value = ch_bytes_text(regex)},
    };
    ch_selector_t *selector = NULL;
    ch_status_t status = ch_selector_new(matchers, 2, &selector);
    if (status < 0)
        return status;
    int result = ch_matcher_accepts(&selector->matchers[1], ch_bytes_text(value));
    ch_selector_destroy(&selector);
    return result;
}

typedef struct sample {
    const char *regex, *yes, *no;
} sample_t;

static void
test_regexes_mean_what_re2_means(void **state)
{
    (void)state;
    static const sample_t samples[] = {
        {"a|bc", "bc", "abc"},
        {"a", "a", "a\n"},
        {"a$", "a", "a\n"},
        {"^a$", "a", "ba"},
        {".*", "x\ny", NULL},
        {"(?-s:a.b)", "axb", "a\nb"},
        {"a.b", "a\nb", "a\nxb"},
        {"(?i)AbC", "aBc", "abd"},
        {"(?i:a)b", "Ab", "AB"},
        {"(?P<host>web|db)-\\d{2,3}", "web-012", "web-1"},
        {"(?<host>web)", "web", "host"},
        {"\\s", "\t", "\v"},
        {"\\S", "\v", "\t"},
        {"[\\s]", "\f", "\v"},
        {"[\\S]", "\v", " "},
        {"[^\\s]", "\v", " "},
        {"\\v", "\v", "\n"},
        {"\\Qa.b*\\E+", "a.b***", "a.b"},
        {"\\Q.", ".", "x"},
        {"\\x41\\x{1F600}\\101",
         "A\xf0\x9f\x98\x80"
         "A",
         "A"},
        {"\\d", "7", "\xd9\xa3"},
        {"\\w+", "a_1", "\xc3\xa9"},
        {"\\pL+", "\xc3\xa9", "1"},
        {"\\p{Greek}\\P{^Greek}", "\xce\xb1\xce\xb2", "ab"},
        {".", "\xc3\xa9", "ab"},
        {"\xc3\xa9+", "\xc3\xa9\xc3\xa9", "\xc3\xa9\xa9"},
        {"[\xc3\xa0-\xc3\xb6]", "\xc3\xa9", "e"},
        {"[]a]", "]", "b"},
        {"[^]a]", "b", "]"},
        {"[a-]", "-", "b"},
        {"[a\\-z]", "-", "b"},
        {"[[:alpha:][:^space:]]", "x", " "},
        {"[[a]", "[", "b"},
        {"a{2}", "aa", "a"},
        {"a{2,}?", "aaa", "a"},
        {"a{,2}", "a{,2}", "a"},
        {"a{x", "a{x", "a"},
        {"{", "{", ""},
        {"(a|b)*?c+?", "abcc", "ab"},
        {"(?U)a+", "aa", ""},
        {"(?i-U)a", "A", "b"},
        {"(?:a|)b", "b", "a"},
        {"^*a", "a", "b"},
        {"\\ba\\b", "a", "b"},
        {"\\Aa\\z", "a", "a\n"},
        {"(?m)a\n^b$", "a\nb", "ab"},
        {"(?m)a\n^", "a\n", "a"},
        {"a_\\_\\<", "a__<", "a"},
        {"", "", "a"},
        {"()", "", "a"},
    };
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        const sample_t *sample = &samples[i];
        int yes = matches(sample->regex, sample->yes);
        int no = sample->no != NULL ? matches(sample->regex, sample->no) : 0;
        if (yes != 1 || no != 0)
            print_error("regex %s: %d %d (%s)\n", sample->regex, yes, no, ch_fail_text());
        assert_int_equal(yes, 1);
        assert_int_equal(no, 0);
    }
}

static void
test_what_only_backtracking_can_do_is_refused(void **state)
{
    (void)state;
    static const char *const regexes[] = {
        "(a)\\1",
        "(?P<n>a)(?P=n)",
        "(a)\\g1",
        "(a)\\g{-1}",
        "\\k<n>",
        "\\8",
        "(?=a)a",
        "(?!a)b",
        "(?<=a)b",
        "(?<!a)b",
        "(?>a)",
        "a*+",
        "a++",
        "a?+",
        "a{2}+",
        "(?R)",
        "(?1)",
        "(?&n)",
        "(?P>n)",
        "(?(1)a|b)",
        "(?C)",
        "(?C1)",
        "(?#c)",
        "(?|a|b)",
        "(*ACCEPT)",
        "(*UTF)a",
        "(*pla:a)",
        "\\Ka",
        "\\Ga",
        "a\\Z",
        "\\R",
        "\\X",
        "\\C",
        "\\N",
        "\\h",
        "\\H",
        "\\V",
        "\\ca",
        "\\e",
        "\\o{1}",
        "\\E",
        "[\\b]",
        "[\\R]",
        "[[:x:]]",
        "[a",
        "[]",
        "[b-a]",
        "[\\d-z]",
        "(a",
        "a)",
        "a**",
        "*a",
        "+",
        "a|*",
        "a{1001}",
        "a{2,1}",
        "\\",
        "\\x4",
        "\\x{110000}",
        "\\x{d800}",
        "\\p{No Such}",
        "\\p{Nonsense}",
        "(?x)a",
        "(?^)",
        "(?n)a",
        "(?P<>a)",
        "(?<1-2>a)",
        "\\\xc3\xa9",
    };
    for (size_t i = 0; i < sizeof regexes / sizeof *regexes; i++) {
        int result = matches(regexes[i], "a");
        if (result != CH_ERR_PARSE)
            print_error("regex %s: %d\n", regexes[i], result);
        assert_int_equal(result, CH_ERR_PARSE);
    }
}

/* Goal: a hostile regex costs a bounded time and says so. */
static void
test_hostile_regexes_end_with_limit(void **state)
{
    (void)state;
    char value[64];
    memset(value, 'a', sizeof value);
    value[62] = '!';
    value[63] = 0;
    assert_int_equal(matches("(a*)*[bc]", value), CH_ERR_LIMIT);
    assert_int_equal(matches("(a|aa)*[bc]", value), CH_ERR_LIMIT);
    assert_int_equal(matches("((a{1000}){1000}){1000}", "a"), CH_ERR_LIMIT);
    char deep[512];
    memset(deep, '(', 200);
    memset(deep + 200, ')', 200);
    deep[400] = 0;
    assert_int_equal(matches(deep, "a"), CH_ERR_LIMIT);
    char *long_one = calloc(1, 20001);
    memset(long_one, 'a', 20000);
    assert_int_equal(matches(long_one, "a"), CH_ERR_LIMIT);
    free(long_one);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matchers_are_parsed),
        cmocka_unit_test(test_strings_are_unescaped_as_go_does),
        cmocka_unit_test(test_what_is_no_selector_is_refused),
        cmocka_unit_test(test_a_selector_must_narrow),
        cmocka_unit_test(test_an_absent_label_is_the_empty_string),
        cmocka_unit_test(test_regexes_mean_what_re2_means),
        cmocka_unit_test(test_what_only_backtracking_can_do_is_refused),
        cmocka_unit_test(test_hostile_regexes_end_with_limit),
    };
    return cmocka_run_group_tests_name("selector", tests, NULL, NULL);
}
