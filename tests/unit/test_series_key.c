#include "ch/rng.h"
#include "ch/series_key.h"
#include "support/test.h"

static const char *
canonical(const char *key)
{
    static char text[4096];
    ch_text_t scratch = {0}, out = {0};
    ch_bytes_t name, labels;
    ch_status_t status =
        ch_series_key_parse(ch_bytes_text(key), 32, 1024, &scratch, &name, &labels);
    if (status < 0) {
        snprintf(text, sizeof text, "!%s", ch_status_name(status));
    } else {
        assert_non_null(labels.data); /* also when there are none */
        ch_series_key_format(name, labels, &out);
        snprintf(text, sizeof text, "%.*s", (int)out.size, out.data);
    }
    ch_text_release(&scratch);
    ch_text_release(&out);
    return text;
}

static void
test_canonical_key_stands_as_it_is(void **state)
{
    (void)state;
    assert_string_equal(canonical("system.cpu.load"), "system.cpu.load");
    assert_string_equal(canonical("cpu{a=\"1\",b=\"2\"}"), "cpu{a=\"1\",b=\"2\"}");
    assert_string_equal(canonical("cpu{a=\"q\\\"\\\\\\n\"}"), "cpu{a=\"q\\\"\\\\\\n\"}");
}

static void
test_labels_are_sorted_and_empty_ones_dropped(void **state)
{
    (void)state;
    assert_string_equal(canonical("cpu{b=\"2\",a=\"1\"}"), "cpu{a=\"1\",b=\"2\"}");
    assert_string_equal(canonical("cpu{b=\"\",a=\"1\"}"), "cpu{a=\"1\"}");
    assert_string_equal(canonical("cpu{}"), "cpu");
    assert_string_equal(canonical("cpu{b=\"\"}"), "cpu");
}

static void
test_bad_keys_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{a=\"1\"}",
        "cpu{a=\"1\"",
        "cpu{a=1}",
        "cpu{a=\"1\",}",
        "cpu{a=\"1\",a=\"2\"}",
        "cpu{a=\"1\"}x",
        "cpu{a=\"\\t\"}",
        "a,b",
        "cpu{=\"1\"}",
        "cpu{a=\"1\" }",
        "cpu{ a=\"1\"}x",
        "cpu{__name__=\"x\"}",
        "c\x01pu",
        "cpu{a=\"x\ny\"}",
        "cpu{",
        "cpu}",
        "\xff\xfe",
        "cpu{a=\"\xc3\"}",
        "cpu{a=\"1\",,b=\"2\"}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_string_equal(canonical(bad[i]), "!invalid");
}

static void
test_limits_are_kept(void **state)
{
    (void)state;
    char key[2048] = "cpu{";
    for (int i = 0; i < 33; i++)
        snprintf(key + strlen(key), sizeof key - strlen(key), "%sl%02d=\"v\"",
                 i ? "," : "", i);
    strcat(key, "}");
    assert_string_equal(canonical(key), "!limit");
    memset(key, 'k', 1025);
    key[1025] = '\0';
    assert_string_equal(canonical(key), "!limit");
    key[1024] = '\0';
    assert_string_equal(canonical(key), key);
}

static void
test_labels_walk_back(void **state)
{
    (void)state;
    ch_label_t labels[] = {{ch_bytes_text("z"), ch_bytes_text("line\nbreak")},
                           {ch_bytes_text("a"), ch_bytes_text("say \"hi\" \\")},
                           {ch_bytes_text("m"), ch_bytes_text("")}};
    ch_text_t out = {0}, scratch = {0};
    assert_int_equal(ch_series_labels_format(labels, 3, 32, &out), CH_OK);
    size_t cursor = 0;
    ch_label_t label;
    assert_int_equal(
        ch_series_labels_next(ch_text_bytes(&out), &cursor, &scratch, &label), CH_OK);
    assert_true(ch_bytes_equal(label.name, ch_bytes_text("a")));
    assert_true(ch_bytes_equal(label.value, ch_bytes_text("say \"hi\" \\")));
    ch_text_reset(&scratch);
    assert_int_equal(
        ch_series_labels_next(ch_text_bytes(&out), &cursor, &scratch, &label), CH_OK);
    assert_true(ch_bytes_equal(label.value, ch_bytes_text("line\nbreak")));
    assert_int_equal(
        ch_series_labels_next(ch_text_bytes(&out), &cursor, &scratch, &label), CH_END);
    ch_text_release(&out);
    ch_text_release(&scratch);
}

/* Eight bytes from each place on, as the built key has them. */
static void
check_words(ch_bytes_t name, ch_bytes_t labels, ch_bytes_t key)
{
    for (size_t at = 0; at < key.size + 10; at++) {
        uint64_t expected = 0;
        for (size_t i = at; i < at + 8; i++)
            expected = expected << 8 | (i < key.size ? key.data[i] : 0);
        assert_int_equal(ch_series_key_word(name, labels, at), expected);
    }
}

/* Method: the order without building keys equals the order of the built keys. */
static void
test_compare_equals_order_of_whole_keys(void **state)
{
    (void)state;
    static const char *const parts[] = {"a",
                                        "ab",
                                        "a|",
                                        "a~",
                                        "a{",
                                        "",
                                        "a=\"1\"",
                                        "a=\"1\",b=\"2\"",
                                        "a_name_of_more_bytes_than_a_word",
                                        "a=\"1}\"",
                                        "a=\"12\"",
                                        "b=\"\xc3\xa9\"",
                                        "a!"};
    size_t count = sizeof parts / sizeof parts[0];
    uint64_t seed = ch_test_seed();
    ch_rng_t rng;
    ch_rng_seed(&rng, seed);
    for (int round = 0; round < 20000; round++) {
        ch_bytes_t piece[4];
        for (int i = 0; i < 4; i++)
            piece[i] = ch_bytes_text(parts[ch_rng_below(&rng, count)]);
        ch_text_t a = {0}, b = {0};
        ch_series_key_format(piece[0], piece[1], &a);
        ch_series_key_format(piece[2], piece[3], &b);
        int expected = ch_bytes_compare(ch_text_bytes(&a), ch_text_bytes(&b));
        int got = ch_series_key_compare(piece[0], piece[1], piece[2], piece[3]);
        /* "a{" as a name cannot occur; it makes distinct pairs with equal keys, which is fine. */
        if ((expected < 0) != (got < 0) || (expected > 0) != (got > 0))
            fail_msg("order of %.*s and %.*s: %d, expected %d", (int)a.size, a.data,
                     (int)b.size, b.data, got, expected);
        check_words(piece[0], piece[1], ch_text_bytes(&a));
        ch_text_release(&a);
        ch_text_release(&b);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canonical_key_stands_as_it_is),
        cmocka_unit_test(test_labels_are_sorted_and_empty_ones_dropped),
        cmocka_unit_test(test_bad_keys_are_refused),
        cmocka_unit_test(test_limits_are_kept),
        cmocka_unit_test(test_labels_walk_back),
        cmocka_unit_test(test_compare_equals_order_of_whole_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
