/* Tombstones by themselves: what a set says of a series, when its members end, how texts are kept. */
#include "db/tombstone.h"
#include "support/test.h"

#include "ch/alloc.h"
#include "ch/source.h"

typedef struct world {
    ch_series_table_t *table;
    ch_label_index_t *index;
} world_t;

static uint32_t
add_series(world_t *world, const char *name, const char *labels)
{
    bool born = false;
    uint32_t name_id = ch_series_table_intern_name(world->table, ch_bytes_text(name));
    uint32_t labels_id =
        ch_series_table_intern_labels(world->table, ch_bytes_text(labels));
    uint32_t series = ch_series_table_intern(world->table, name_id, labels_id, &born);
    ch_label_index_add(world->index, series, name_id,
                       ch_series_table_name(world->table, name_id), labels_id,
                       ch_series_table_labels(world->table, labels_id));
    return series;
}

static world_t
world_new(void)
{
    world_t world = {ch_series_table_new(), ch_label_index_new()};
    (void)add_series(&world, "cpu", "host=\"a\""); /* 0 */
    (void)add_series(&world, "cpu", "host=\"b\""); /* 1 */
    (void)add_series(&world, "mem", "host=\"a\""); /* 2 */
    return world;
}

static void
world_release(world_t *world)
{
    ch_label_index_destroy(&world->index);
    ch_series_table_destroy(&world->table);
}

static ch_tombstone_t *
make(world_t *world, uint64_t lsn, const char *match, int64_t start, int64_t end)
{
    ch_tombstone_text_t text = {
        .lsn = lsn,
        .what = {.selector = ch_bytes_text(match), .start = start, .end = end}};
    ch_tombstone_t *tombstone = NULL;
    assert_int_equal(
        ch_tombstone_new(&text, false, world->index, world->table, &tombstone), CH_OK);
    return tombstone;
}

/* Add to the set, letting go of the old one and of the tombstone. */
static void
put(ch_tombstones_t **set, ch_tombstone_t *tombstone)
{
    ch_tombstones_t *grown = ch_tombstones_add(*set, tombstone);
    ch_tombstones_release(set);
    ch_tombstone_release(&tombstone);
    *set = grown;
}

static void
prune(ch_tombstones_t **set, uint64_t flushed, uint64_t durable,
      const ch_tombstone_table_t *tables, size_t count)
{
    ch_tombstones_t *kept = ch_tombstones_prune(*set, flushed, durable, tables, count);
    ch_tombstones_release(set);
    *set = kept;
}

static void
test_a_set_tells_what_concerns_a_series(void **state)
{
    (void)state;
    world_t world = world_new();
    ch_tombstones_t *set = NULL;
    ch_erasures_t found = {0};
    put(&set, make(&world, 10, "cpu", 100, 200));
    put(&set, make(&world, 20, "{host=\"a\"}", CH_TIME_MIN, 150));
    assert_true(
        ch_tombstones_gather(set, 0, 0, UINT64_MAX, CH_TIME_MIN, CH_TIME_MAX, &found));
    assert_int_equal(found.count, 2);
    assert_true(
        ch_tombstones_gather(set, 1, 0, UINT64_MAX, CH_TIME_MIN, CH_TIME_MAX, &found));
    assert_int_equal(found.count, 1);
    assert_int_equal(found.items[0].lsn, 10);
    assert_true(
        ch_tombstones_gather(set, 0, 10, UINT64_MAX, CH_TIME_MIN, CH_TIME_MAX, &found));
    assert_int_equal(found.count, 1);
    assert_int_equal(found.items[0].lsn, 20);
    assert_true(ch_tombstones_gather(set, 0, 0, 19, CH_TIME_MIN, CH_TIME_MAX, &found));
    assert_int_equal(found.items[0].lsn, 10);
    assert_false(ch_tombstones_gather(set, 2, 0, 19, CH_TIME_MIN, CH_TIME_MAX, &found));
    assert_false(ch_tombstones_gather(set, 1, 0, UINT64_MAX, 200, CH_TIME_MAX, &found));
    assert_false(ch_tombstones_gather(set, 1, 0, UINT64_MAX, 0, 100, &found));
    assert_true(ch_tombstones_gather(set, 1, 0, UINT64_MAX, 199, 200, &found));
    assert_false(
        ch_tombstones_gather(NULL, 1, 0, UINT64_MAX, CH_TIME_MIN, CH_TIME_MAX, &found));
    ch_erasures_release(&found);
    ch_tombstones_release(&set);
    world_release(&world);
}

static void
test_a_filter_takes_what_lies_between_input_and_output(void **state)
{
    (void)state;
    world_t world = world_new();
    ch_tombstones_t *set = NULL;
    ch_erasures_t scratch = {0};
    ch_points_t points = {0};
    put(&set, make(&world, 10, "cpu", 0, 3));
    put(&set, make(&world, 20, "cpu", 5, 7));
    put(&set, make(&world, 30, "cpu", 8, CH_TIME_MAX));
    for (int64_t t = 0; t < 10; t++)
        ch_points_append(&points, t, ch_value_int(t));
    ch_tombstones_filter(set, 0, 10, 20, &scratch, &points);
    assert_int_equal(points.count, 8);
    assert_int_equal(points.times[4], 4);
    assert_int_equal(points.times[5], 7);
    assert_int_equal(points.ints[5], 7);
    ch_tombstones_filter(set, 0, 0, 30, &scratch, &points);
    assert_int_equal(points.count, 3);
    assert_int_equal(points.times[0], 3);
    assert_int_equal(points.times[2], 7);
    ch_tombstones_filter(set, 2, 0, 30, &scratch, &points);
    assert_int_equal(points.count, 3);
    ch_points_release(&points);
    ch_erasures_release(&scratch);
    ch_tombstones_release(&set);
    world_release(&world);
}

static void
test_a_tombstone_ends_with_the_last_table_it_applies_to(void **state)
{
    (void)state;
    world_t world = world_new();
    ch_tombstones_t *set = NULL;
    const ch_tombstone_table_t tables[] = {{5, 0, 99}, {12, 0, 500}, {9, 200, 500}};
    put(&set, make(&world, 10, "cpu", 100, 200));
    put(&set, make(&world, 20, "mem", 0, 50));
    prune(&set, 9, 20, tables, 0); /* a memtable may hold what they take */
    assert_int_equal(set->count, 2);
    prune(&set, 20, 20, tables, 1); /* 10 does not overlap the table */
    assert_int_equal(set->count, 1);
    assert_int_equal(set->items[0]->text.lsn, 20);
    ch_erasures_t found = {0};
    assert_false(
        ch_tombstones_gather(set, 0, 0, UINT64_MAX, CH_TIME_MIN, CH_TIME_MAX, &found));
    prune(&set, 20, 20, tables + 2, 1);
    assert_null(set);
    put(&set, make(&world, 10, "cpu", 100, 200));
    prune(&set, 20, 20, tables + 1, 2); /* applied to one, beside the other */
    assert_null(set);
    ch_erasures_release(&found);
    world_release(&world);
}

static void
test_a_later_one_with_the_same_selector_takes_over_once_durable(void **state)
{
    (void)state;
    world_t world = world_new();
    ch_tombstones_t *set = NULL;
    put(&set, make(&world, 10, "cpu", CH_TIME_MIN, 100));
    put(&set, make(&world, 11, "cpu", 0, 1000));
    put(&set, make(&world, 20, "cpu", CH_TIME_MIN, 200));
    put(&set, make(&world, 30, "mem", CH_TIME_MIN, CH_TIME_MAX));
    prune(&set, 0, 19, NULL, 0);
    assert_int_equal(set->count, 4);
    prune(&set, 0, 20, NULL, 0);
    assert_int_equal(set->count, 3);
    assert_int_equal(set->items[0]->text.lsn, 11);
    assert_int_equal(set->items[1]->text.lsn, 20);
    put(&set, make(&world, 40, "cpu", CH_TIME_MIN, 2000));
    prune(&set, 0, 40, NULL, 0);
    assert_int_equal(set->count, 2);
    ch_tombstones_release(&set);
    world_release(&world);
}

static void
test_exceptions_are_left_alone(void **state)
{
    (void)state;
    world_t world = world_new();
    ch_bytes_t except = ch_bytes_text("{host=\"a\"}");
    ch_tombstone_text_t text = {.lsn = 7,
                                .what = {.selector = ch_bytes_text("{__name__!=\"\"}"),
                                         .except = &except,
                                         .except_count = 1,
                                         .start = CH_TIME_MIN,
                                         .end = 5}};
    ch_tombstone_t *tombstone = NULL;
    assert_int_equal(ch_tombstone_new(&text, true, world.index, world.table, &tombstone),
                     CH_OK);
    assert_int_equal(ch_tombstone_series_count(tombstone), 1);
    assert_true(ch_tombstone_names(tombstone, 1));
    ch_tombstone_release(&tombstone);
    world_release(&world);
}

/* A record exists although a regex gives up today: it was tried on all series there were, so what it
 * gives up on came later and is not meant. */
static void
test_a_logged_regex_that_gives_up_leaves_later_series_alone(void **state)
{
    (void)state;
    world_t world = world_new();
    char hard[600] = "host=\"";
    memset(hard + 6, 'a', 400);
    strcpy(hard + 406, "!\"");
    ch_tombstone_text_t text = {
        .lsn = 7,
        .what = {.selector = ch_bytes_text("{host=~\"(a*)*(a*)*(a*)*c|a\"}"),
                 .start = CH_TIME_MIN,
                 .end = CH_TIME_MAX}};
    uint32_t late = add_series(&world, "cpu", hard);
    ch_tombstone_t *tombstone = NULL;
    assert_int_equal(ch_tombstone_new(&text, false, world.index, world.table, &tombstone),
                     CH_ERR_LIMIT);
    assert_int_equal(ch_tombstone_new(&text, true, world.index, world.table, &tombstone),
                     CH_OK);
    assert_true(ch_tombstone_names(tombstone, 0));
    assert_false(ch_tombstone_names(tombstone, 1)); /* host b */
    assert_true(ch_tombstone_names(tombstone, 2));
    assert_false(ch_tombstone_names(tombstone, late));
    ch_tombstone_release(&tombstone);
    world_release(&world);
}

static void
test_a_bad_selector_is_the_askers_fault_or_a_newer_version(void **state)
{
    (void)state;
    world_t world = world_new();
    ch_tombstone_text_t text = {.lsn = 7, .what = {.selector = ch_bytes_text("{{")}};
    ch_tombstone_t *tombstone = NULL;
    assert_int_equal(ch_tombstone_new(&text, false, world.index, world.table, &tombstone),
                     CH_ERR_PARSE);
    assert_int_equal(ch_tombstone_new(&text, true, world.index, world.table, &tombstone),
                     CH_ERR_VERSION);
    assert_non_null(strstr(ch_fail_text(), "lsn 7"));
    world_release(&world);
}

/* Any prefix of an encoded text is refused within its bounds. */
static void
test_texts_come_back(void **state)
{
    (void)state;
    ch_bytes_t except[2] = {ch_bytes_text("a"), ch_bytes_text("{b=\"c\"}")};
    ch_tombstone_text_t text = {.lsn = 1ull << 40,
                                .what = {.selector = ch_bytes_text("cpu"),
                                         .except = except,
                                         .except_count = 2,
                                         .start = CH_TIME_MIN,
                                         .end = CH_TIME_MAX}};
    ch_text_t bytes = {0};
    ch_tombstone_text_t back = {0};
    ch_tombstone_text_encode(&text, &bytes);
    for (size_t size = 0; size <= bytes.size; size++) {
        uint8_t *copy = ch_alloc(size + 1);
        memcpy(copy, bytes.data, size);
        const uint8_t *at = ch_tombstone_text_decode(copy, copy + size, &back);
        assert_true(size < bytes.size ? at == NULL : at == copy + size);
        if (at) {
            ch_tombstone_text_t kept = ch_tombstone_text_copy(&back);
            ch_tombstone_text_release(&back);
            assert_int_equal(kept.lsn, text.lsn);
            assert_true(ch_bytes_equal(kept.what.selector, text.what.selector));
            assert_int_equal(kept.what.except_count, 2);
            assert_true(ch_bytes_equal(kept.what.except[1], except[1]));
            assert_true(kept.what.start == CH_TIME_MIN && kept.what.end == CH_TIME_MAX);
            ch_tombstone_text_release(&kept);
        }
        ch_free(copy);
    }
    ch_text_release(&bytes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_set_tells_what_concerns_a_series),
        cmocka_unit_test(test_a_filter_takes_what_lies_between_input_and_output),
        cmocka_unit_test(test_a_tombstone_ends_with_the_last_table_it_applies_to),
        cmocka_unit_test(test_a_later_one_with_the_same_selector_takes_over_once_durable),
        cmocka_unit_test(test_exceptions_are_left_alone),
        cmocka_unit_test(test_a_logged_regex_that_gives_up_leaves_later_series_alone),
        cmocka_unit_test(test_a_bad_selector_is_the_askers_fault_or_a_newer_version),
        cmocka_unit_test(test_texts_come_back),
    };
    return cmocka_run_group_tests_name("tombstone", tests, NULL, NULL);
}
