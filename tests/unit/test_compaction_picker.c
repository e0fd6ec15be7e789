/* The picker: windows, triggers, and the law that what is left out is wholly older or wholly newer. */
#include "ch/alloc.h"
#include "ch/rng.h"
#include "db/compaction_picker.h"
#include "support/test.h"

#define HOUR INT64_C(3600000000000)

static ch_compaction_table_t
table(uint64_t number, uint32_t level, uint64_t lsn, int64_t from_hours, int64_t to_hours)
{
    return (ch_compaction_table_t){.file_number = number,
                                   .level = level,
                                   .bytes = 1000,
                                   .lsn_min = lsn,
                                   .lsn_max = lsn + 9,
                                   .time_min = from_hours * HOUR,
                                   .time_max = to_hours * HOUR - 1};
}

static void
test_windows_hold_their_times(void **state)
{
    (void)state;
    ch_compaction_policy_t policy = ch_compaction_policy_default();
    const int64_t times[] = {INT64_MIN, INT64_MIN + 1, -1,       0, 1,
                             2 * HOUR,  INT64_MAX - 1, INT64_MAX};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        for (uint32_t level = 1; level < CH_COMPACTION_LEVELS; level++) {
            ch_compaction_window_t window =
                ch_compaction_window(&policy, level, times[i]);
            assert_true(window.first <= times[i]);
            assert_true(window.last >= times[i]);
        }
    ch_compaction_window_t window = ch_compaction_window(&policy, 1, -1);
    assert_int_equal(window.first, -2 * HOUR);
    assert_int_equal(window.last, -1);
}

static void
test_windows_grow_with_age(void **state)
{
    (void)state;
    ch_compaction_policy_t policy = ch_compaction_policy_default();
    int64_t newest = 1000 * 24 * HOUR + HOUR;
    assert_int_equal(ch_compaction_level_of(&policy, newest, newest), 1);
    assert_int_equal(ch_compaction_level_of(&policy, newest, newest - 20 * HOUR), 1);
    assert_int_equal(ch_compaction_level_of(&policy, newest, newest - 49 * HOUR), 2);
    assert_int_equal(ch_compaction_level_of(&policy, newest, newest - 24 * 15 * HOUR), 3);
    assert_int_equal(ch_compaction_level_of(&policy, newest, INT64_MIN), 3);
    assert_int_equal(ch_compaction_level_of(&policy, INT64_MAX, INT64_MAX), 1);
}

static void
test_three_flushes_wait_and_four_are_merged(void **state)
{
    (void)state;
    ch_compaction_policy_t policy = ch_compaction_policy_default();
    ch_compaction_table_t tables[] = {table(1, 0, 1, 0, 1), table(2, 0, 11, 1, 2),
                                      table(3, 0, 21, 2, 3), table(4, 0, 31, 3, 4)};
    ch_compaction_plan_t plan;
    assert_false(ch_compaction_pick(&policy, tables, 3, &plan));
    assert_int_equal(plan.debt, 0);
    assert_true(ch_compaction_pick(&policy, tables, 4, &plan));
    assert_int_equal(plan.input_count, 4);
    assert_int_equal(plan.level, 0);
    assert_int_equal(plan.debt, 4000);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(plan.inputs[i], i);
    ch_compaction_plan_release(&plan);
}

/* A late point must not rewrite what it falls into; enough of them do. */
static void
test_small_late_runs_are_merged_among_themselves(void **state)
{
    (void)state;
    ch_compaction_policy_t policy = ch_compaction_policy_default();
    ch_compaction_table_t tables[] = {table(1, 1, 1, 0, 2), table(2, 1, 11, 0, 2),
                                      table(3, 1, 21, 0, 2), table(4, 1, 31, 4, 6)};
    tables[0].bytes = 1000000;
    ch_compaction_plan_t plan;
    assert_true(ch_compaction_pick(&policy, tables, 4, &plan));
    assert_int_equal(plan.input_count, 2);
    assert_int_equal(plan.inputs[0], 1);
    assert_int_equal(plan.inputs[1], 2);
    assert_int_equal(plan.level, 1);
    ch_compaction_plan_release(&plan);
    tables[0].bytes = 3000;
    assert_true(ch_compaction_pick(&policy, tables, 4, &plan));
    assert_int_equal(plan.input_count, 3);
    ch_compaction_plan_release(&plan);
    assert_false(ch_compaction_pick(&policy, tables, 1, &plan));
}

static void
test_a_day_that_is_old_becomes_one_window(void **state)
{
    (void)state;
    ch_compaction_policy_t policy = ch_compaction_policy_default();
    ch_compaction_table_t tables[] = {table(1, 1, 1, 0, 2), table(2, 1, 11, 2, 4),
                                      table(3, 1, 21, 22, 24), table(4, 1, 31, 26, 28),
                                      table(5, 1, 41, 46, 48)};
    ch_compaction_plan_t plan;
    assert_false(ch_compaction_pick(&policy, tables, 5, &plan));
    tables[4] = table(5, 1, 41, 48, 50);
    assert_true(ch_compaction_pick(&policy, tables, 5, &plan));
    assert_int_equal(plan.input_count, 3);
    assert_int_equal(plan.level, 2);
    ch_compaction_plan_release(&plan);
}

/* What cannot be read stays, and nothing passes over it that lies above and below. */
/* Little data of many weeks stays one table, whatever comes into its middle; much is cut. */
static void
test_little_data_is_not_cut_by_time(void **state)
{
    (void)state;
    ch_compaction_policy_t policy = ch_compaction_policy_default();
    ch_compaction_plan_t plan;
    enum { WEEK = 7 * 24 };
    ch_compaction_table_t tables[2] = {
        table(1, 3, 1, 0, 52 * WEEK),
        table(2, 3, 11, 20 * WEEK + 5, 20 * WEEK + 9),
    };
    policy.requested_lsn = 100;
    assert_true(ch_compaction_pick(&policy, tables, 2, &plan));
    assert_int_equal(plan.input_count, 2);
    ch_compaction_window_t window =
        ch_compaction_plan_window(&policy, &plan, WEEK * HOUR);
    assert_true(window.first <= 0 && window.last >= 52 * WEEK * HOUR);
    ch_compaction_plan_release(&plan);
    tables[0].bytes = policy.joined_bytes;
    assert_true(ch_compaction_pick(&policy, tables, 2, &plan));
    window = ch_compaction_plan_window(&policy, &plan, WEEK * HOUR);
    assert_int_equal(window.last - window.first + 1, WEEK * HOUR);
    ch_compaction_plan_release(&plan);
    assert_false(ch_compaction_pick(&policy, tables, 1, &plan));
}

static void
test_nothing_is_merged_across_a_table_that_cannot_be_read(void **state)
{
    (void)state;
    ch_compaction_policy_t policy = ch_compaction_policy_default();
    policy.flushes = 2;
    ch_compaction_table_t tables[] = {table(1, 0, 1, 0, 1), table(2, 0, 11, 0, 1),
                                      table(3, 0, 21, 0, 1), table(4, 0, 31, 0, 1),
                                      table(5, 0, 41, 0, 1)};
    tables[2].excluded = true;
    ch_compaction_plan_t plan;
    assert_true(ch_compaction_pick(&policy, tables, 5, &plan));
    assert_int_equal(plan.input_count, 2);
    assert_int_equal(plan.inputs[1], 1);
    ch_compaction_plan_release(&plan);
    tables[0] = table(6, 1, 1, 0, 1);
    tables[1] = table(7, 1, 31, 0, 1); /* a run above the bad table */
    assert_false(ch_compaction_pick(&policy, tables, 3, &plan));
}

/* ---- the law, on random histories with contents ---- */

enum { SERIES = 3, TIMES = 900, TABLES_MAX = 400 };

/* A table with what it holds: per (series, time) the position that was written last, 0: none. */
typedef struct content {
    uint32_t lsn[SERIES][TIMES];
} content_t;

typedef struct world {
    ch_rng_t rng;
    ch_compaction_policy_t policy;
    ch_compaction_table_t tables[TABLES_MAX];
    content_t *contents[TABLES_MAX];
    size_t count;
    content_t truth;
    uint64_t lsn, file_number;
    int64_t now;
    bool disk_is_well;
} world_t;

static bool
measure(const content_t *content, int64_t *min_out, int64_t *max_out)
{
    *min_out = TIMES;
    *max_out = -1;
    for (int s = 0; s < SERIES; s++)
        for (int t = 0; t < TIMES; t++)
            if (content->lsn[s][t]) {
                *min_out = t < *min_out ? t : *min_out;
                *max_out = t > *max_out ? t : *max_out;
            }
    return *max_out >= 0;
}

static void
add_table(world_t *world, content_t *content, uint32_t level, uint64_t lsn_min,
          uint64_t lsn_max)
{
    ch_compaction_table_t *added = &world->tables[world->count];
    *added = (ch_compaction_table_t){.file_number = ++world->file_number,
                                     .level = level,
                                     .lsn_min = lsn_min,
                                     .lsn_max = lsn_max};
    if (!measure(content, &added->time_min, &added->time_max)) {
        ch_free(content);
        return;
    }
    for (int s = 0; s < SERIES; s++)
        for (int t = 0; t < TIMES; t++)
            added->bytes += content->lsn[s][t] != 0;
    added->excluded = ch_rng_below(&world->rng, 60) == 0 && !world->disk_is_well;
    world->contents[world->count++] = content;
    assert_true(world->count < TABLES_MAX);
}

/* Some points near now, sometimes one far back. */
static void
flush(world_t *world)
{
    content_t *content = ch_calloc(1, sizeof *content);
    uint64_t first = world->lsn + 1, batches = 1 + ch_rng_below(&world->rng, 6);
    for (uint64_t b = 0; b < batches; b++) {
        world->lsn++;
        for (int i = 0; i < 8; i++) {
            int64_t back = (int64_t)ch_rng_below(
                &world->rng, ch_rng_below(&world->rng, 12) ? 12 : TIMES);
            int64_t t = world->now > back ? world->now - back : 0;
            uint64_t s = ch_rng_below(&world->rng, SERIES);
            content->lsn[s][t] = world->truth.lsn[s][t] = (uint32_t)world->lsn;
        }
        if (world->now < TIMES - 1)
            world->now += (int64_t)ch_rng_below(&world->rng, 3);
    }
    add_table(world, content, 0, first, world->lsn);
}

static bool
is_input(const ch_compaction_plan_t *plan, size_t at)
{
    for (size_t i = 0; i < plan->input_count; i++)
        if (plan->inputs[i] == at)
            return true;
    return false;
}

static bool
share_a_point(const content_t *a, const content_t *b)
{
    for (int s = 0; s < SERIES; s++)
        for (int t = 0; t < TIMES; t++)
            if (a->lsn[s][t] && b->lsn[s][t])
                return true;
    return false;
}

static void
check_law(world_t *world, const ch_compaction_plan_t *plan, const content_t *merged,
          uint64_t lsn_min, uint64_t lsn_max)
{
    for (size_t i = 0; i < world->count; i++) {
        const ch_compaction_table_t *left_out = &world->tables[i];
        if (is_input(plan, i)) {
            assert_false(left_out->excluded);
            continue;
        }
        if (share_a_point(world->contents[i], merged) && left_out->lsn_max >= lsn_min &&
            left_out->lsn_min <= lsn_max)
            fail_msg(
                "table %llu (lsn %llu to %llu) lies between the inputs (%llu to %llu)",
                (unsigned long long)left_out->file_number,
                (unsigned long long)left_out->lsn_min,
                (unsigned long long)left_out->lsn_max, (unsigned long long)lsn_min,
                (unsigned long long)lsn_max);
    }
}

static void
lay_over(content_t *to, const content_t *from)
{
    for (int s = 0; s < SERIES; s++)
        for (int t = 0; t < TIMES; t++)
            if (from->lsn[s][t])
                to->lsn[s][t] = from->lsn[s][t];
}

static void
remove_inputs(world_t *world, const ch_compaction_plan_t *plan)
{
    size_t kept = 0;
    for (size_t i = 0; i < world->count; i++) {
        if (is_input(plan, i)) {
            ch_free(world->contents[i]);
            continue;
        }
        world->tables[kept] = world->tables[i];
        world->contents[kept++] = world->contents[i];
    }
    world->count = kept;
}

/* The part of one window, as one table or cut by series. */
static void
add_window(world_t *world, const content_t *merged, ch_compaction_window_t window,
           uint64_t lsn_min, uint64_t lsn_max)
{
    int cut = ch_rng_below(&world->rng, 4) ? SERIES : 1;
    for (int from = 0; from < SERIES; from += cut) {
        content_t *part = ch_calloc(1, sizeof *part);
        for (int s = from; s < SERIES && s < from + cut; s++)
            for (int64_t t = window.first > 0 ? window.first : 0;
                 t <= window.last && t < TIMES; t++)
                part->lsn[s][t] = merged->lsn[s][t];
        add_table(world, part, window.level, lsn_min, lsn_max);
    }
}

static void
merge(world_t *world, const ch_compaction_plan_t *plan)
{
    content_t *merged = ch_calloc(1, sizeof *merged);
    uint64_t lsn_min = UINT64_MAX, lsn_max = 0;
    for (size_t i = 0; i < plan->input_count; i++) {
        const ch_compaction_table_t *input = &world->tables[plan->inputs[i]];
        assert_true(i == 0 || input->lsn_max >= lsn_max); /* oldest first */
        lsn_min = input->lsn_min < lsn_min ? input->lsn_min : lsn_min;
        lsn_max = input->lsn_max;
        lay_over(merged, world->contents[plan->inputs[i]]);
    }
    check_law(world, plan, merged, lsn_min, lsn_max);
    remove_inputs(world, plan);
    int64_t first, last;
    assert_true(measure(merged, &first, &last));
    while (first <= last) {
        const ch_compaction_window_t window =
            ch_compaction_plan_window(&world->policy, plan, first);
        add_window(world, merged, window, lsn_min, lsn_max);
        if (window.last >= last)
            break;
        first = window.last + 1;
    }
    ch_free(merged);
}

static int
by_lsn(const void *a, const void *b)
{
    const ch_compaction_table_t *const *x = a, *const *y = b;
    return ((*x)->lsn_max > (*y)->lsn_max) - ((*x)->lsn_max < (*y)->lsn_max);
}

/* Reading in order of age gives what was written last. */
static void
check_truth(world_t *world)
{
    const ch_compaction_table_t *order[TABLES_MAX];
    content_t *read = ch_calloc(1, sizeof *read);
    for (size_t i = 0; i < world->count; i++)
        order[i] = &world->tables[i];
    qsort(order, world->count, sizeof(ch_compaction_table_t *), by_lsn);
    for (size_t i = 0; i < world->count; i++)
        lay_over(read, world->contents[order[i] - world->tables]);
    assert_memory_equal(read, &world->truth, sizeof *read);
    ch_free(read);
}

/* Merge until nothing is due; it must end. */
static void
settle(world_t *world)
{
    ch_compaction_plan_t plan;
    for (int merges = 0;
         ch_compaction_pick(&world->policy, world->tables, world->count, &plan);
         merges++) {
        assert_true(plan.debt >= plan.bytes);
        merge(world, &plan);
        ch_compaction_plan_release(&plan);
        check_truth(world);
        assert_true(merges < 200);
    }
}

static size_t
flushes_of(const world_t *world)
{
    size_t flushes = 0;
    for (size_t i = 0; i < world->count; i++)
        flushes += world->tables[i].level == 0;
    return flushes;
}

/* On request every window of the last level becomes one run, also where tables reach over several. */
static void
check_one_run(const world_t *world)
{
    for (size_t a = 0; a < world->count; a++) {
        const ch_compaction_table_t *x = &world->tables[a];
        assert_int_equal(x->level, CH_COMPACTION_LEVEL_LAST);
        for (size_t b = 0; b < a; b++) {
            const ch_compaction_table_t *y = &world->tables[b];
            if (x->time_min <= y->time_max && y->time_min <= x->time_max)
                assert_true(x->lsn_min == y->lsn_min && x->lsn_max == y->lsn_max);
        }
    }
}

static void
run_history(uint64_t seed)
{
    static world_t world;
    world = (world_t){.policy = ch_compaction_policy_default()};
    ch_rng_seed(&world.rng, seed);
    const int64_t windows[] = {0, 10, 50, 200};
    memcpy(world.policy.window_ns, windows, sizeof windows);
    world.policy.flushes_max = 6;
    world.policy.joined_bytes = ch_rng_below(&world.rng, 3) * 400; /* here: points */
    for (int step = 0; step < 120; step++) {
        flush(&world);
        world.policy.requested_lsn = ch_rng_below(&world.rng, 10) ? 0 : world.lsn;
        if (ch_rng_below(&world.rng, 3) == 0)
            settle(&world);
        for (size_t i = 0; i < world.count; i++) /* what was bad may be read again */
            world.tables[i].excluded &= ch_rng_below(&world.rng, 4) != 0;
    }
    world.disk_is_well = true;
    world.policy.requested_lsn = 0;
    for (size_t i = 0; i < world.count; i++)
        world.tables[i].excluded = false;
    settle(&world);
    assert_true(flushes_of(&world) < world.policy.flushes);
    world.policy.requested_lsn = world.lsn;
    settle(&world);
    check_truth(&world);
    check_one_run(&world);
    while (world.count)
        ch_free(world.contents[--world.count]);
}

static void
test_random_histories_keep_the_law(void **state)
{
    (void)state;
    uint64_t seed = ch_test_seed();
    for (uint64_t i = 0; i < (getenv("CH_TEST_LONG") ? 400 : 20); i++)
        run_history(seed + i);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows_hold_their_times),
        cmocka_unit_test(test_windows_grow_with_age),
        cmocka_unit_test(test_three_flushes_wait_and_four_are_merged),
        cmocka_unit_test(test_small_late_runs_are_merged_among_themselves),
        cmocka_unit_test(test_a_day_that_is_old_becomes_one_window),
        cmocka_unit_test(test_little_data_is_not_cut_by_time),
        cmocka_unit_test(test_nothing_is_merged_across_a_table_that_cannot_be_read),
        cmocka_unit_test(test_random_histories_keep_the_law),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
