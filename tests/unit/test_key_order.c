/* Goal   ids come out in the order of their whole keys, whatever the keys are like and whichever ids were
 *        sorted before.
 * Method keys of few letters and many shared beginnings; the plain sort by ch_series_key_compare says what
 *        is right. */
#include "db/key_order.h"

#include <stdlib.h>

#include "ch/alloc.h"
#include "ch/rng.h"
#include "ch/series_key.h"
#include "support/test.h"

enum { SERIES_MAX = 4000, TEXT_MAX = 60 };

static int
by_key(const void *a, const void *b, void *context)
{
    uint32_t name_a, labels_a, name_b, labels_b;
    ch_series_table_get(context, *(const uint32_t *)a, &name_a, &labels_a);
    ch_series_table_get(context, *(const uint32_t *)b, &name_b, &labels_b);
    return ch_series_key_compare(
        ch_series_table_name(context, name_a), ch_series_table_labels(context, labels_a),
        ch_series_table_name(context, name_b), ch_series_table_labels(context, labels_b));
}

static uint32_t
intern(ch_series_table_t *table, ch_bytes_t name, ch_bytes_t labels)
{
    bool born = false;
    return ch_series_table_intern(table, ch_series_table_intern_name(table, name),
                                  ch_series_table_intern_labels(table, labels), &born);
}

/* A beginning that others share, then a few letters; sometimes zeros, which no key has today. */
static ch_bytes_t
random_text(ch_rng_t *rng, const char letters[7], size_t least, uint8_t text[TEXT_MAX])
{
    size_t shared = ch_rng_below(rng, 3) * 9, size = shared + ch_rng_below(rng, 12);
    memset(text, 'x', shared);
    for (size_t i = shared; i < size; i++)
        text[i] = (uint8_t)letters[ch_rng_below(rng, 7)];
    for (; size < least; size++)
        text[size] = 'n';
    return ch_bytes(text, size);
}

static void
add_series(ch_series_table_t *table, ch_rng_t *rng, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint8_t name[TEXT_MAX], labels[TEXT_MAX];
        (void)intern(table, random_text(rng, "abz_~|", 1, name), /* and a zero */
                     random_text(rng, "ab{,~\"", 0, labels)); /* some are there already */
    }
}

/* Some of the series, each once, in no order. */
static uint32_t
choose(ch_rng_t *rng, uint32_t from, uint32_t total, uint32_t *ids)
{
    uint32_t count = 0, every = 1 + (uint32_t)ch_rng_below(rng, 3);
    for (uint32_t id = from; id < total; id++)
        if (ch_rng_below(rng, every) == 0)
            ids[count++] = id;
    for (uint32_t i = count; i > 1; i--) {
        uint32_t j = (uint32_t)ch_rng_below(rng, i), id = ids[j];
        ids[j] = ids[i - 1];
        ids[i - 1] = id;
    }
    return count;
}

static void
sort_and_check(ch_key_order_t *order, ch_series_table_t *table, uint32_t *ids,
               uint32_t count)
{
    uint32_t *wanted = ch_alloc((count + 1) * sizeof *wanted);
    memcpy(wanted, ids, count * sizeof *wanted);
    if (count)
        qsort_r(wanted, count, sizeof *wanted, by_key, table);
    ch_key_order_sort(order, table, ids, count);
    assert_memory_equal(ids, wanted, count * sizeof *wanted);
    ch_free(wanted);
}

static void
test_ids_come_in_the_order_of_their_keys_flush_after_flush(void **state)
{
    (void)state;
    uint64_t seed = ch_test_seed();
    static uint32_t ids[SERIES_MAX];
    for (int round = 0; round < 10; round++) {
        ch_rng_t rng;
        ch_rng_seed(&rng, seed + (uint64_t)round);
        ch_series_table_t *table = ch_series_table_new();
        ch_key_order_t order = {0};
        for (int flush = 0; flush < 12; flush++) {
            uint32_t before = ch_series_table_count(table);
            add_series(table, &rng, (uint32_t)ch_rng_below(&rng, SERIES_MAX / 12));
            bool fresh_only = ch_rng_below(&rng, 3) == 0;
            uint32_t count =
                choose(&rng, fresh_only ? before : 0, ch_series_table_count(table), ids);
            sort_and_check(&order, table, ids, count);
        }
        ch_key_order_release(&order);
        ch_series_table_destroy(&table);
    }
}

/* Keys that agree in everything up to zeros at their ends: words cannot tell them apart. */
static void
test_keys_that_differ_in_trailing_zeros_alone_are_sorted(void **state)
{
    (void)state;
    static const uint8_t zeros[64];
    static uint32_t ids[64];
    ch_series_table_t *table = ch_series_table_new();
    ch_key_order_t order = {0};
    for (uint32_t i = 0; i < 64; i++)
        ids[i] = intern(table, ch_bytes(zeros, 64 - i), ch_bytes(zeros, 0));
    sort_and_check(&order, table, ids, 64);
    assert_int_equal(ids[0], 63);
    ch_key_order_release(&order);
    ch_series_table_destroy(&table);
}

/* The order of all is kept once series come again, and not for those that come once. */
static void
test_an_order_is_kept_only_for_series_that_come_again(void **state)
{
    (void)state;
    enum { EACH = 100 };
    ch_rng_t rng;
    ch_rng_seed(&rng, 1);
    static uint32_t ids[SERIES_MAX];
    ch_series_table_t *table = ch_series_table_new();
    ch_key_order_t order = {0};
    for (int flush = 0; flush < 5; flush++) {
        uint32_t before = ch_series_table_count(table);
        add_series(table, &rng, EACH);
        uint32_t count = 0;
        for (uint32_t id = before; id < ch_series_table_count(table); id++)
            ids[count++] = id;
        sort_and_check(&order, table, ids, count);
        assert_int_equal(order.count, 0);
    }
    uint32_t total = ch_series_table_count(table);
    for (uint32_t id = 0; id < total; id++)
        ids[id] = id;
    sort_and_check(&order, table, ids, total);
    assert_int_equal(order.count, total);
    ch_key_order_release(&order);
    ch_series_table_destroy(&table);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_come_in_the_order_of_their_keys_flush_after_flush),
        cmocka_unit_test(test_keys_that_differ_in_trailing_zeros_alone_are_sorted),
        cmocka_unit_test(test_an_order_is_kept_only_for_series_that_come_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
