/* Retention: the reference time by itself, then an engine under a clock that the test owns. */
#include "db/retention.h"
#include "support/engine_rig.h"
#include "support/test.h"

#define MINUTE INT64_C(60000000000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define T0 INT64_C(1700000000000000000)

/* ---- the reference ---- */

static void
test_reference_goes_with_the_clock(void **state)
{
    (void)state;
    ch_retention_clock_t clock = {0};
    assert_false(ch_retention_advance(&clock, T0, 5, INT64_MIN));
    assert_false(
        clock.known); /* without data there is nothing to hold the clock against */
    assert_false(ch_retention_advance(&clock, T0, 5, T0 - DAY));
    assert_true(clock.known);
    assert_true(clock.reference == T0 - DAY);
    assert_false(ch_retention_advance(&clock, T0 + MINUTE, 5 + MINUTE, T0 - DAY));
    assert_true(clock.reference ==
                T0 - DAY + MINUTE); /* without data, time still passes */
    assert_false(
        ch_retention_advance(&clock, T0 + 2 * MINUTE, 5 + 2 * MINUTE, T0 - DAY + HOUR));
    assert_true(clock.reference == T0 - DAY + HOUR);
}

static void
test_a_clock_or_data_that_jump_alone_are_not_believed(void **state)
{
    (void)state;
    ch_retention_clock_t clock = {0};
    (void)ch_retention_advance(&clock, T0, 0, T0);
    assert_false(ch_retention_advance(&clock, T0 + 365 * DAY, MINUTE, T0));
    assert_true(clock.reference == T0 + MINUTE);
    assert_false(
        ch_retention_advance(&clock, T0 + 2 * MINUTE, 2 * MINUTE, T0 + 365 * DAY));
    assert_true(clock.reference == T0 + 2 * MINUTE);
    assert_false(ch_retention_advance(&clock, T0 - DAY, 3 * MINUTE, T0));
    assert_true(clock.reference == T0 + 2 * MINUTE); /* and it never goes back */
}

static void
test_a_jump_of_both_is_followed_by_steps(void **state)
{
    (void)state;
    ch_retention_clock_t clock = {0};
    (void)ch_retention_advance(&clock, T0, 0, T0);
    for (int64_t run = 1; run <= 10; run++) {
        assert_true(
            ch_retention_advance(&clock, T0 + 365 * DAY, run * MINUTE, T0 + 365 * DAY));
        assert_true(clock.reference == T0 + run * (MINUTE + HOUR));
    }
}

static void
test_sizes_cut_the_oldest_tables_a_part_at_a_time(void **state)
{
    (void)state;
    ch_retention_table_t tables[40];
    for (int i = 0; i < 40; i++)
        tables[i] = (ch_retention_table_t){10, 1000 - i};
    assert_true(ch_retention_size_cut(tables, 40, 400) == INT64_MIN);
    assert_true(ch_retention_size_cut(tables, 40, 395) == 962);
    assert_true(ch_retention_size_cut(tables, 40, 0) == 963); /* 25 of 400 bytes */
    assert_true(ch_retention_size_cut(tables, 1, 0) == INT64_MIN);
    ch_retention_table_t big[2] = {{100, 7}, {1, 5}};
    assert_true(ch_retention_size_cut(big, 2, 0) == 6);
    ch_retention_table_t same[2] = {{100, 7}, {100, 7}};
    assert_true(ch_retention_size_cut(same, 2, 0) == INT64_MIN);
}

/* ---- an engine ---- */

typedef struct times {
    int64_t wall, monotonic;
} times_t;

static int64_t
wall_of(void *context)
{
    return ((times_t *)context)->wall;
}

static int64_t
monotonic_of(void *context)
{
    return ((times_t *)context)->monotonic;
}

typedef struct world {
    ch_rig_t rig;
    times_t times;
    ch_clock_t clock;
} world_t;

static void
world_open(world_t *world, const ch_retention_options_t *options)
{
    ch_rig_init(&world->rig, ch_test_seed());
    ch_engine_destroy(&world->rig.engine);
    world->times = (times_t){T0, 1};
    world->clock = (ch_clock_t){wall_of, monotonic_of, &world->times};
    world->rig.options.clock = &world->clock;
    world->rig.options.retention = *options;
    world->rig.options.compaction_flushes = 0; /* a table for each flush */
    ch_rig_open(&world->rig);
}

static void
pass(world_t *world, int64_t ns)
{
    world->times.wall += ns;
    world->times.monotonic += ns;
}

static void
put(world_t *world, const char *name, int64_t time)
{
    ch_bytes_t text = ch_bytes_text(name), labels = {0};
    ch_value_t one = ch_value_int(time);
    ch_values_t values = {.form = CH_VALUES_LIST, .list = &one};
    ch_batch_block_t block = {.kind = CH_BLOCK_POINTS,
                              .rows = 1,
                              .fields = 1,
                              .names = &text,
                              .labels = &labels,
                              .times = {.form = CH_TIMES_REGULAR, .start = time},
                              .values = &values};
    ch_batch_t batch = {.blocks = &block, .block_count = 1, .points = 1};
    ch_append_result_t result;
    assert_int_equal(ch_engine_append(world->rig.engine, &batch, &result), CH_OK);
    assert_int_equal(result.state, CH_APPEND_TAKEN);
}

static void
flush(world_t *world)
{
    uint64_t lsn;
    assert_int_equal(ch_engine_flush(world->rig.engine, &lsn), CH_OK);
}

/* A run of the rules, and what follows from it; true when cuts were logged. */
static bool
run(world_t *world)
{
    ch_status_t status = ch_engine_retain(world->rig.engine);
    assert_true(status >= 0);
    assert_int_equal(ch_engine_sync(world->rig.engine), CH_OK);
    assert_int_equal(ch_engine_work(world->rig.engine), CH_OK);
    return status == CH_OK;
}

static uint64_t
points_of(world_t *world, const char *match)
{
    ch_view_t *view = NULL;
    ch_selector_t *selector = NULL;
    uint64_t points, series;
    assert_int_equal(ch_selector_parse(ch_bytes_text(match), &selector), CH_OK);
    assert_int_equal(ch_view_open(world->rig.engine, &view), CH_OK);
    assert_int_equal(ch_view_count(view, selector, CH_TIME_MIN, CH_TIME_MAX, NULL, 0,
                                   &points, &series),
                     CH_OK);
    ch_view_destroy(&view);
    ch_selector_destroy(&selector);
    return points;
}

typedef struct stat_walk {
    const char *name;
    double value;
} stat_walk_t;

static void
note_stat(void *context, const ch_stat_t *stat)
{
    stat_walk_t *walk = context;
    if (strcmp(stat->name, walk->name) == 0)
        walk->value = stat->value;
}

static uint64_t
stat_of(world_t *world, const char *name)
{
    stat_walk_t walk = {name, -1};
    ch_engine_stats(world->rig.engine, note_stat, &walk);
    assert_true(walk.value >= 0);
    return (uint64_t)walk.value;
}

/* Ten days, a table each, a point an hour of a and of b. */
static void
fill_days(world_t *world)
{
    for (int64_t day = 10; day > 0; day--) {
        for (int64_t hour = 24; hour > 0; hour--) {
            put(world, "a", T0 - day * DAY + (24 - hour) * HOUR);
            put(world, "b", T0 - day * DAY + (24 - hour) * HOUR);
        }
        flush(world);
    }
}

static void
test_what_is_old_goes_whole_tables_first(void **state)
{
    (void)state;
    static world_t world;
    ch_retention_options_t options = {.age_ns = 7 * DAY};
    world_open(&world, &options);
    fill_days(&world);
    assert_int_equal(points_of(&world, "a"), 240);
    assert_true(run(&world)); /* newest point: T0 - 1 h */
    assert_int_equal(points_of(&world, "a"), 169);
    assert_int_equal(points_of(&world, "b"), 169);
    assert_int_equal(stat_of(&world, "retention.tables_dropped"), 2);
    assert_int_equal(stat_of(&world, "sst.tables"), 8);
    assert_false(run(&world));     /* not yet time */
    for (int i = 0; i < 60; i++) { /* an hour of runs: at most one cut more */
        pass(&world, MINUTE);
        (void)run(&world);
    }
    assert_in_range(stat_of(&world, "engine.deletes"), 1, 2);
    pass(&world, HOUR);
    (void)run(&world);
    assert_in_range(stat_of(&world, "engine.tombstones"), 1, 2); /* the last covers all */
    assert_int_equal(points_of(&world, "a"), 167);
    ch_engine_destroy(&world.rig.engine); /* a crash */
    ch_simfs_crash(world.rig.simfs, CH_SIMFS_LOSE_UNSYNCED, NULL);
    ch_rig_open(&world.rig);
    assert_int_equal(points_of(&world, "a"), 167);
    assert_int_equal(stat_of(&world, "sst.tables"), 7);
    ch_rig_release(&world.rig);
}

static void
test_rules_name_who_stays_longer(void **state)
{
    (void)state;
    static world_t world;
    const ch_retention_rule_t rules[] = {{"b", 0}, {"{__name__=~\"a|c\"}", 3 * DAY}};
    ch_retention_options_t options = {.age_ns = 7 * DAY, .rules = rules, .rule_count = 2};
    world_open(&world, &options);
    fill_days(&world);
    assert_true(run(&world));
    assert_int_equal(points_of(&world, "b"), 240);
    assert_int_equal(points_of(&world, "a"), 73);
    assert_int_equal(stat_of(&world, "retention.tables_dropped"), 0);
    ch_rig_release(&world.rig);
}

static void
test_a_clock_that_jumps_forward_takes_nothing(void **state)
{
    (void)state;
    static world_t world;
    ch_retention_options_t options = {.age_ns = 30 * DAY};
    world_open(&world, &options);
    fill_days(&world);
    assert_false(run(&world));
    world.times.wall += 365 * DAY;
    for (int i = 0; i < 5; i++) {
        world.times.monotonic += MINUTE;
        assert_false(run(&world));
    }
    assert_int_equal(points_of(&world, "a"), 240);
    /* And stamps what arrives: now data agree, and it is followed by an hour a run. */
    put(&world, "a", world.times.wall);
    flush(&world);
    for (int i = 0; i < 24 * 22; i++) {
        pass(&world, MINUTE);
        (void)run(&world);
    }
    assert_in_range(points_of(&world, "a"), 180, 240);
    ch_rig_release(&world.rig);
}

static void
test_the_size_takes_the_oldest_tables(void **state)
{
    (void)state;
    static world_t world;
    ch_retention_options_t options = {.bytes = 1};
    world_open(&world, &options);
    fill_days(&world);
    uint64_t left = 10;
    assert_int_equal(stat_of(&world, "sst.tables"), left);
    for (int i = 0; i < 12; i++) {
        uint64_t before = left;
        (void)run(&world);
        pass(&world, MINUTE);
        left = stat_of(&world, "sst.tables");
        assert_true(left + 1 >= before); /* one table a run */
    }
    assert_int_equal(left, 1); /* the newest stays */
    assert_int_equal(points_of(&world, "a"), 24);
    ch_rig_release(&world.rig);
}

static void
test_a_delete_of_everything_frees_tables_at_once(void **state)
{
    (void)state;
    static world_t world;
    ch_retention_options_t options = {0};
    ch_delete_result_t result;
    world_open(&world, &options);
    fill_days(&world);
    assert_int_equal(ch_engine_retain(world.rig.engine), CH_NOT_FOUND); /* no rules */
    ch_delete_t delete = {.match = ch_bytes_text("{__name__=~\"a|b\"}"),
                          .start = CH_TIME_MIN,
                          .end = T0 - 5 * DAY};
    assert_int_equal(ch_engine_delete(world.rig.engine, &delete, &result), CH_OK);
    ch_view_destroy(&result.before);
    assert_int_equal(ch_engine_sync(world.rig.engine), CH_OK);
    assert_int_equal(ch_engine_work(world.rig.engine), CH_OK);
    assert_int_equal(stat_of(&world, "sst.tables"), 5);
    assert_int_equal(points_of(&world, "a"), 120);
    ch_rig_release(&world.rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_goes_with_the_clock),
        cmocka_unit_test(test_a_clock_or_data_that_jump_alone_are_not_believed),
        cmocka_unit_test(test_a_jump_of_both_is_followed_by_steps),
        cmocka_unit_test(test_sizes_cut_the_oldest_tables_a_part_at_a_time),
        cmocka_unit_test(test_what_is_old_goes_whole_tables_first),
        cmocka_unit_test(test_rules_name_who_stays_longer),
        cmocka_unit_test(test_a_clock_that_jumps_forward_takes_nothing),
        cmocka_unit_test(test_the_size_takes_the_oldest_tables),
        cmocka_unit_test(test_a_delete_of_everything_frees_tables_at_once),
    };
    return cmocka_run_group_tests_name("retention", tests, NULL, NULL);
}
