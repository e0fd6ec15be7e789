/* Series table: ids are dense, stable and one per key; readers see complete entries. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <cmocka.h>

#include "mem/series_table.h"

enum { SERIES = 40000, NAMES = 7 };

static ch_bytes_t
name_text(char buffer[32], uint32_t i)
{
    return ch_bytes(buffer, (size_t)snprintf(buffer, 32, "system.metric_%u", i % NAMES));
}

static ch_bytes_t
labels_text(char buffer[64], uint32_t i)
{
    if (i / NAMES == 0)
        return ch_bytes(buffer, 0);
    return ch_bytes(buffer, (size_t)snprintf(buffer, 64, "host=\"host-%u\"", i / NAMES));
}

static uint32_t
intern(ch_series_table_t *table, uint32_t i, bool *new_out)
{
    char name[32], labels[64];
    uint32_t name_id = ch_series_table_intern_name(table, name_text(name, i));
    uint32_t labels_id = ch_series_table_intern_labels(table, labels_text(labels, i));
    return ch_series_table_intern(table, name_id, labels_id, new_out);
}

static void
assert_series_is(const ch_series_table_t *table, uint32_t id, uint32_t i)
{
    char name[32], labels[64];
    uint32_t name_id, labels_id;
    ch_series_table_get(table, id, &name_id, &labels_id);
    assert_true(ch_bytes_equal(ch_series_table_name(table, name_id), name_text(name, i)));
    assert_true(
        ch_bytes_equal(ch_series_table_labels(table, labels_id), labels_text(labels, i)));
}

/* Method: intern past several doublings, twice; the second round must find the first's ids. */
static void
test_ids_are_dense_and_found_again(void **state)
{
    (void)state;
    ch_series_table_t *table = ch_series_table_new();
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < SERIES; i++) {
            bool is_new;
            assert_int_equal(intern(table, i, &is_new), i);
            assert_int_equal(is_new, round == 0);
        }
    }
    assert_int_equal(ch_series_table_count(table), SERIES);
    assert_int_equal(ch_series_table_name_count(table), NAMES);
    assert_int_equal(ch_series_table_labels_count(table), (SERIES + NAMES - 1) / NAMES);
    for (uint32_t i = 0; i < SERIES; i++)
        assert_series_is(table, i, i);
    ch_series_table_destroy(&table);
    assert_null(table);
}

static void
test_peek_and_find_make_nothing(void **state)
{
    (void)state;
    ch_series_table_t *table = ch_series_table_new();
    bool is_new;
    uint32_t id = intern(table, 8, &is_new);
    char name[32], labels[64];
    ch_bytes_t known = name_text(name, 8);
    ch_bytes_t unknown = ch_bytes_text("system.metric_");
    ch_bytes_t set = labels_text(labels, 8);
    assert_int_equal(ch_series_table_peek_name(table, known), 0);
    assert_int_equal(ch_series_table_peek_name(table, unknown), CH_SERIES_NONE);
    assert_int_equal(ch_series_table_peek_labels(table, set), 0);
    assert_int_equal(ch_series_table_peek_labels(table, ch_bytes_text("")),
                     CH_SERIES_NONE);
    assert_int_equal(ch_series_table_peek(table, 0, 0), id);
    assert_int_equal(ch_series_table_peek(table, 0, 1), CH_SERIES_NONE);
    assert_int_equal(ch_series_table_find(table, known, set), id);
    assert_int_equal(ch_series_table_find(table, unknown, set), CH_SERIES_NONE);
    assert_int_equal(ch_series_table_find(table, known, ch_bytes_text("")),
                     CH_SERIES_NONE);
    assert_int_equal(ch_series_table_count(table), 1);
    ch_series_table_destroy(&table);
}

/* Goal: a name and a label set of the same bytes stay apart, and so do (a, b) and (b, a). */
static void
test_names_and_labels_do_not_mix(void **state)
{
    (void)state;
    ch_series_table_t *table = ch_series_table_new();
    bool is_new;
    for (uint32_t i = 0; i < 4; i++) {
        char text[8];
        ch_bytes_t bytes = ch_bytes(text, (size_t)snprintf(text, sizeof text, "t%u", i));
        assert_int_equal(ch_series_table_intern_name(table, bytes), i);
        assert_int_equal(ch_series_table_intern_labels(table, bytes), i);
    }
    for (uint32_t a = 0; a < 4; a++) {
        for (uint32_t b = 0; b < 4; b++)
            assert_int_equal(ch_series_table_intern(table, a, b, &is_new), a * 4 + b);
    }
    ch_series_table_destroy(&table);
}

/* Goal: the promise on memory. Method: many series over label sets of 105 bytes, counted. */
static void
test_bytes_per_series_stay_small(void **state)
{
    (void)state;
    ch_series_table_t *table = ch_series_table_new();
    enum { COUNT = 200000 };
    uint32_t name_id = ch_series_table_intern_name(table, ch_bytes_text("cpu"));
    for (uint32_t i = 0; i < COUNT; i++) {
        char text[128];
        bool is_new;
        int size = snprintf(text, sizeof text, "host=\"%098u\"", i);
        uint32_t labels_id =
            ch_series_table_intern_labels(table, ch_bytes(text, (size_t)size));
        ch_series_table_intern(table, name_id, labels_id, &is_new);
    }
    assert_true(ch_series_table_bytes(table) / COUNT < 200);
    assert_true(ch_series_table_bytes(table) / COUNT > 105);
    ch_series_table_destroy(&table);
}

typedef struct reader {
    ch_series_table_t *table;
    _Atomic uint32_t *failures;
} reader_t;

/* Every id below the count is complete, and is found by its key. */
static void *
reader_run(void *context)
{
    reader_t *reader = context;
    uint32_t count;
    do {
        count = ch_series_table_count(reader->table);
        for (uint32_t i = count > 64 ? count - 64 : 0; i < count; i++) {
            char name[32], labels[64];
            uint32_t id = ch_series_table_find(reader->table, name_text(name, i),
                                               labels_text(labels, i));
            uint32_t name_id, labels_id;
            ch_series_table_get(reader->table, i, &name_id, &labels_id);
            bool same = ch_bytes_equal(ch_series_table_labels(reader->table, labels_id),
                                       labels_text(labels, i));
            atomic_fetch_add(reader->failures, id != i || !same);
        }
    } while (count < SERIES);
    return NULL;
}

static void
test_readers_beside_the_writer(void **state)
{
    (void)state;
    _Atomic uint32_t failures = 0;
    reader_t reader = {ch_series_table_new(), &failures};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader_run, &reader), 0);
    for (uint32_t i = 0; i < SERIES; i++) {
        bool is_new;
        intern(reader.table, i, &is_new);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(failures, 0);
    ch_series_table_destroy(&reader.table);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_are_dense_and_found_again),
        cmocka_unit_test(test_peek_and_find_make_nothing),
        cmocka_unit_test(test_names_and_labels_do_not_mix),
        cmocka_unit_test(test_bytes_per_series_stay_small),
        cmocka_unit_test(test_readers_beside_the_writer),
    };
    return cmocka_run_group_tests_name("series_table", tests, NULL, NULL);
}
