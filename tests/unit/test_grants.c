/* Goal: what a key may do is what the table of now says, for producers, series and points a second. Method: a
 * table made by hand, batches with known series, times that are told. */
#include "support/test.h"

#include "grants.h"

#define KEY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_C "-ccccccccccccccccccccccccccccccccccccccc"
#define SECOND INT64_C(1000000000)

static ch_status_t
check_series(const char *text)
{
    (void)text;
    return CH_OK;
}

static void
install(ch_keys_t *keys, const char *text)
{
    ch_keyring_drop(&keys->current);
    assert_int_equal(
        ch_keyring_parse(ch_bytes_text(text), "t", check_series, &keys->current), CH_OK);
    (void)atomic_fetch_add(&keys->generation, 1);
}

static void
test_a_new_table_counts_with_the_next_message(void **state)
{
    (void)state;
    ch_keys_t keys = {.lock = PTHREAD_MUTEX_INITIALIZER};
    install(&keys, KEY_A " write a\n");
    ch_grants_t *grants = ch_grants_new(&keys);
    assert_non_null(ch_grants_find(grants, KEY_A));
    assert_null(ch_grants_find(grants, KEY_C));
    assert_null(ch_grants_find(grants, NULL));
    assert_null(ch_grants_find(grants, "x"));
    install(&keys, KEY_C " read,write c producer=c/\n");
    assert_null(ch_grants_find(grants, KEY_A));
    const ch_grant_t *grant = ch_grants_find(grants, KEY_C);
    assert_string_equal(grant->key->name, "c");
    assert_true(ch_grant_producer(grant, "c/1"));
    assert_false(ch_grant_producer(grant, "c"));
    assert_false(ch_grant_producer(grant, "d/1"));
    install(&keys, "# nobody\n");
    assert_null(ch_grants_find(grants, KEY_C));
    ch_grants_destroy(&grants);
    assert_null(ch_grants_new(NULL));
    ch_keyring_drop(&keys.current);
}

static void
test_a_rate_lets_a_second_be_saved_up_and_any_batch_pass_at_last(void **state)
{
    (void)state;
    ch_keys_t keys = {.lock = PTHREAD_MUTEX_INITIALIZER};
    install(&keys, KEY_A " write a rate=100\n" KEY_C " write c\n");
    ch_grants_t *grants = ch_grants_new(&keys);
    ch_grant_t *grant = ch_grants_find(grants, KEY_A);
    int64_t now = 1000 * SECOND;
    assert_true(ch_grant_rate(grant, 100, now));
    assert_false(ch_grant_rate(grant, 1, now));
    assert_true(ch_grant_rate(grant, 400, now + SECOND / 2)); /* 50 saved up: 350 owed */
    assert_false(ch_grant_rate(grant, 1, now + 4 * SECOND - 1));
    install(&keys, KEY_C " write c\n" KEY_A " write a rate=100\n");
    grant = ch_grants_find(grants, KEY_A); /* a new table does not forgive */
    assert_false(ch_grant_rate(grant, 1, now + 4 * SECOND - 1));
    assert_true(ch_grant_rate(grant, 1, now + 4 * SECOND + SECOND / 10));
    now += 1000 * SECOND; /* no more than a second's worth */
    assert_true(ch_grant_rate(grant, 100, now));
    assert_false(ch_grant_rate(grant, 1, now));
    grant = ch_grants_find(grants, KEY_C);
    for (int i = 0; i < 100; i++)
        assert_true(ch_grant_rate(grant, 1000000, now));
    ch_grants_destroy(&grants);
    ch_keyring_drop(&keys.current);
}

static ch_status_t
check_table(ch_grant_t *grant, const char *name, const char *labels_a,
            const char *labels_b)
{
    const ch_bytes_t names[2] = {ch_bytes_text("m_x"), ch_bytes_text(name)};
    const ch_bytes_t labels[2] = {ch_bytes_text(labels_a), ch_bytes_text(labels_b)};
    const ch_batch_block_t block = {
        .kind = CH_BLOCK_TABLE, .rows = 2, .fields = 2, .names = names, .labels = labels};
    const ch_batch_t batch = {.blocks = &block, .block_count = 1};
    return ch_grant_series(grant, &batch);
}

static void
test_each_cell_of_a_table_must_be_the_keys(void **state)
{
    (void)state;
    ch_keys_t keys = {.lock = PTHREAD_MUTEX_INITIALIZER};
    install(&keys, KEY_A " write a series={__name__=~\"m_.\",site=~\"a|b\"}\n");
    ch_grants_t *grants = ch_grants_new(&keys);
    ch_grant_t *grant = ch_grants_find(grants, KEY_A);
    const char *a = "site=\"a\"", *b = "site=\"b\"", *c = "site=\"c\"";
    assert_int_equal(check_table(grant, "m_y", a, b), CH_OK);
    assert_int_equal(check_table(grant, "m_y", a, c), CH_ERR_FORBIDDEN);
    assert_non_null(strstr(ch_fail_text(), "the key a may not write m_x{site=\"c\"}"));
    assert_int_equal(check_table(grant, "m_y", c, a), CH_ERR_FORBIDDEN);
    assert_int_equal(check_table(grant, "n_y", a, b), CH_ERR_FORBIDDEN);
    assert_int_equal(check_table(grant, "m_y", a, ""), CH_ERR_FORBIDDEN);
    const ch_batch_block_t none = {.kind = CH_BLOCK_TABLE, .rows = 0, .fields = 2};
    const ch_batch_t batch = {.blocks = &none, .block_count = 1};
    assert_int_equal(ch_grant_series(grant, &batch), CH_OK);
    ch_grants_destroy(&grants);
    ch_keyring_drop(&keys.current);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_table_counts_with_the_next_message),
        cmocka_unit_test(
            test_a_rate_lets_a_second_be_saved_up_and_any_batch_pass_at_last),
        cmocka_unit_test(test_each_cell_of_a_table_must_be_the_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
