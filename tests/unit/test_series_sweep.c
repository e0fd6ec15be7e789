/* Series without points leave a node that never restarts, and nobody sees it but by their absence. */
#include "ch/alloc.h"
#include "db/engine_state.h"
#include "support/engine_rig.h"
#include "support/test.h"

enum { ALL = 100, GONE = 50, TABLE = 10, SERIES_MAX = 400 };

/* Newest value by number of the series; 0: it has no point. */
static ch_rig_t rig;
static int64_t newest[SERIES_MAX];

static void
start(void)
{
    ch_rig_init(&rig, ch_test_seed());
    ch_engine_destroy(&rig.engine);
    rig.options.compaction_flushes = 0; /* a table for each flush */
    rig.options.memtable_bytes = 1 << 20;
    memset(newest, 0, sizeof newest);
    ch_rig_open(&rig);
}

static void
crash(void)
{
    ch_engine_destroy(&rig.engine);
    ch_simfs_crash(rig.simfs, CH_SIMFS_LOSE_UNSYNCED, NULL);
    ch_rig_open(&rig);
}

static const char *
labels_of(int n)
{
    static char text[32];
    snprintf(text, sizeof text, "n=\"%d\"", n);
    return text;
}

static void
put(int n, int64_t value)
{
    ch_bytes_t name = ch_bytes_text("m"), labels = ch_bytes_text(labels_of(n));
    ch_value_t one = ch_value_int(value);
    ch_values_t values = {.form = CH_VALUES_LIST, .list = &one};
    ch_batch_block_t block = {.kind = CH_BLOCK_POINTS,
                              .rows = 1,
                              .fields = 1,
                              .names = &name,
                              .labels = &labels,
                              .times = {.form = CH_TIMES_REGULAR, .start = value},
                              .values = &values};
    ch_batch_t batch = {.blocks = &block, .block_count = 1, .points = 1};
    ch_append_result_t result;
    assert_int_equal(ch_engine_append(rig.engine, &batch, &result), CH_OK);
    assert_int_equal(result.state, CH_APPEND_TAKEN);
    newest[n] = value;
}

static void
sync_all(void)
{
    assert_int_equal(ch_engine_sync(rig.engine), CH_OK);
}

static void
flush(void)
{
    uint64_t lsn;
    assert_int_equal(ch_engine_flush(rig.engine, &lsn), CH_OK);
}

static void
work(void)
{
    sync_all();
    assert_int_equal(ch_engine_work(rig.engine), CH_OK);
}

/* Of the series in [from, to). */
static void delete (int from, int to)
{
    char *match = malloc(32 + 8 * (size_t)(to - from));
    ch_delete_result_t result;
    int at = sprintf(match, "m{n=~\"x");
    for (int n = from; n < to; n++) {
        at += sprintf(match + at, "|%d", n);
        newest[n] = 0;
    }
    sprintf(match + at, "\"}");
    const ch_delete_t what = {
        .match = ch_bytes_text(match), .start = CH_TIME_MIN, .end = CH_TIME_MAX};
    assert_int_equal(ch_engine_delete(rig.engine, &what, &result), CH_OK);
    ch_view_destroy(&result.before);
    free(match);
}

static unsigned
stat_of(const char *name)
{
    return (unsigned)ch_rig_stat(&rig, name);
}

static void
check_get(ch_view_t *view, int n, int64_t expected)
{
    int64_t time = 0;
    ch_value_t value = ch_value_int(0);
    ch_status_t status =
        ch_view_get(view, ch_bytes_text("m"), ch_bytes_text(labels_of(n)), CH_TIME_MAX,
                    &time, &value);
    if (status < 0)
        fail_msg("get of %d: %s", n, ch_fail_text());
    if ((status == CH_OK ? value.i64 : 0) != expected)
        fail_msg("series %d: %lld, not %lld", n,
                 status == CH_OK ? (long long)value.i64 : 0LL, (long long)expected);
}

/* Selects, reads and gets of a view are what `expected` says. */
static void
check_view(ch_view_t *view, const int64_t *expected)
{
    const ch_source_t *source = ch_view_source(view);
    ch_selector_t *selector = NULL;
    ch_series_list_t list = {0};
    size_t count = 0;
    assert_int_equal(ch_selector_parse(ch_bytes_text("m"), &selector), CH_OK);
    assert_int_equal(source->select(source->context, selector, CH_TIME_MIN, CH_TIME_MAX,
                                    SIZE_MAX, &list),
                     CH_OK);
    for (int n = 0; n < SERIES_MAX; n++) {
        check_get(view, n, expected[n]);
        count += expected[n] != 0;
    }
    assert_int_equal(list.count, count);
    for (size_t i = 0; i < list.count; i++) {
        ch_points_t points = {0};
        bool more;
        int n = -1;
        sscanf((const char *)list.items[i].labels.data, "n=\"%d\"", &n);
        assert_in_range(n, 0, SERIES_MAX - 1);
        assert_int_equal(source->read(source->context, &list.items[i], CH_TIME_MIN,
                                      CH_TIME_MAX, SIZE_MAX, &points, &more),
                         CH_OK);
        assert_true(points.count > 0);
        assert_int_equal(ch_points_value(&points, points.count - 1).i64, expected[n]);
        ch_points_release(&points);
    }
    ch_series_list_release(&list);
    ch_selector_destroy(&selector);
}

static bool
count_text(void *context, ch_bytes_t text)
{
    (void)text;
    ++*(size_t *)context;
    return true;
}

static void
check(void)
{
    ch_view_t *view = NULL;
    size_t values = 0, count = 0;
    sync_all();
    assert_int_equal(ch_view_open(rig.engine, &view), CH_OK);
    check_view(view, newest);
    assert_int_equal(
        ch_view_label_values(view, NULL, ch_bytes_text("n"), count_text, &values), CH_OK);
    for (int n = 0; n < SERIES_MAX; n++)
        count += newest[n] != 0;
    assert_int_equal(values, count);
    ch_view_destroy(&view);
}

/* ALL series, TABLE to a table, each with two points. */
static void
fill(void)
{
    for (int n = 0; n < ALL; n++) {
        put(n, n + 1);
        put(n, n + 1000);
        if (n % TABLE == TABLE - 1)
            flush();
    }
}

/* Goal: what has no points leaves table, index and catalogue while the node runs, and may come back. */
static void
test_series_without_points_leave(void **state)
{
    (void)state;
    start();
    fill();
    work();
    assert_int_equal(stat_of("engine.series"), ALL);
    unsigned catalogue = (unsigned)rig.engine->catalogue.image.series;
    assert_in_range(catalogue, 1, ALL);
    put(ALL - 1, 2000); /* so that the segment knows some by number */
    put(GONE, 2000);
    delete (0, GONE);
    work();
    assert_int_equal(stat_of("engine.series_sweeps"), 1);
    assert_int_equal(stat_of("engine.series_swept"), GONE);
    assert_int_equal(stat_of("engine.series"), ALL - GONE);
    check(); /* newest points: unknown, then remembered */
    check();
    for (int n = 3; n < ALL; n += 7) /* some come back, all under other numbers */
        put(n, 3000 + n);
    check();
    crash(); /* the log names them rightly */
    check();
    work(); /* its segment named all that went once more */
    assert_int_equal(stat_of("engine.series"), ALL - GONE + 7);
    check();
    ch_engine_destroy(&rig.engine);
    ch_rig_open(&rig);
    assert_int_equal(stat_of("engine.series_loaded"), ALL - GONE + 7);
    check();
    ch_rig_release(&rig);
}

static void
test_few_are_not_worth_it(void **state)
{
    (void)state;
    start();
    fill();
    delete (0, TABLE);
    work();
    assert_int_equal(stat_of("engine.series_sweeps"), 0);
    assert_int_equal(stat_of("engine.series"), ALL);
    delete (TABLE, 2 * TABLE);
    work();
    assert_int_equal(stat_of("engine.series_sweeps"), 1);
    assert_int_equal(stat_of("engine.series"), ALL - 2 * TABLE);
    check();
    ch_rig_release(&rig);
}

typedef struct beside {
    bool done;
    bool late; /* also what came when the new roster was ready */
} beside_t;

/* The sweep reads the keys of a table: meanwhile all that may happen does. */
static void
act_beside_marking(void)
{
    put(ALL + 3, 5000);
    sync_all();
    flush();      /* what follows comes into a memtable that the sweep has not seen */
    put(1, 5001); /* has gone, comes back, and is flushed */
    put(2, 5002); /* the same, and a delete takes it before the flush */
    sync_all();
    delete (2, 3);
    delete (GONE + 20, GONE + 21); /* touched: a list must look for a point */
    put(ALL + 1, 5003);            /* new */
    sync_all();
    flush();
    put(ALL + 2, 5004); /* new, in the active memtable */
    put(3, 5005);       /* comes back there */
    sync_all();
    assert_true(ch_engine_switch(rig.engine, true)); /* the change waits for its flush */
    put(4, 5006);
    sync_all();
}

static void
act_beside_sweep(void *context, ch_simfs_t *simfs, ch_simfs_call_t call, const char *path)
{
    beside_t *beside = context;
    (void)simfs;
    ch_sweep_t *sweep = &rig.engine->sweep;
    if (!sweep->from || !strstr(path, ".sst"))
        return;
    if (!beside->done && call == CH_SIMFS_READ) {
        beside->done = true;
        act_beside_marking();
    } else if (!beside->late && sweep->stage == CH_SWEEP_READY) {
        beside->late = true;
        delete (GONE + 30, GONE + 31); /* its state was copied already */
        put(ALL + 4, 5007);
        put(5, 5008);
        put(6, 5010); /* back, and deleted before the sweep could see it */
        sync_all();
        delete (6, 7);
        sync_all();
    }
}

/* Goal: whoever comes, comes back or goes while the keys are read ends where it belongs. */
static void
test_what_happens_beside_a_sweep(void **state)
{
    (void)state;
    beside_t beside = {false, false};
    start();
    fill();
    delete (0, GONE);
    ch_simfs_observe(rig.simfs, CH_SIMFS_READ | CH_SIMFS_WRITE, act_beside_sweep,
                     &beside);
    work();
    ch_simfs_observe(rig.simfs, 0, NULL, NULL);
    assert_true(beside.done);
    assert_true(beside.late);
    assert_int_equal(stat_of("engine.series_sweeps"), 1);
    /* 1 to 5 are back, of them 2 gone again, and four are new; who went meanwhile goes next time. */
    assert_int_equal(stat_of("engine.series"), ALL - GONE + 6 + 4);
    check();
    crash();
    check();
    ch_rig_release(&rig);
}

typedef struct looking {
    ch_view_t *before;
    int64_t was[SERIES_MAX];
    bool looked;
} looking_t;

/* The memtable before the change is written: it has ids of the roster before. */
static void
look_at_flush(void *context, ch_simfs_t *simfs, ch_simfs_call_t call, const char *path)
{
    looking_t *looking = context;
    (void)simfs;
    (void)call;
    if (looking->looked || !strstr(path, ".sst") || stat_of("engine.series_sweeps") == 0)
        return;
    looking->looked = true;
    assert_true(rig.engine->version->immutable != NULL);
    assert_true(rig.engine->version->immutable->roster != rig.engine->roster);
    check();
    put(GONE + 1, 7001); /* a point of a series in each of both memtables */
    put(GONE + 2, 7002);
    put(ALL + 5, 7003);
    check();
}

/* Goal: readers of both memtables, and those that pinned a version before, read what they should; when
 * they are done the roster before goes. */
static void
test_readers_keep_the_numbers_they_have(void **state)
{
    (void)state;
    static looking_t looking;
    looking = (looking_t){.before = NULL};
    start();
    fill();
    put(GONE + 1, 6001);
    put(GONE + 3, 6003);
    put(GONE + 4, 6004);
    sync_all();
    memcpy(looking.was, newest, sizeof newest);
    assert_int_equal(ch_view_open(rig.engine, &looking.before), CH_OK);
    delete (0, GONE);
    delete (GONE + 4,
            GONE + 5); /* also of the memtable: translated, it must still apply */
    put(GONE + 5, 6005);
    ch_simfs_observe(rig.simfs, CH_SIMFS_WRITE, look_at_flush, &looking);
    work();
    ch_simfs_observe(rig.simfs, 0, NULL, NULL);
    assert_true(looking.looked);
    check();
    check_view(looking.before, looking.was);
    ch_roster_t *retired = rig.engine->sweep.retired;
    assert_non_null(retired);
    assert_true(ch_sweep_bytes(rig.engine) > 0);
    ch_view_destroy(&looking.before);
    work();
    assert_null(rig.engine->sweep.retired);
    assert_int_equal(ch_sweep_bytes(rig.engine), 0);
    check();
    crash();
    check();
    ch_rig_release(&rig);
}

/* Goal: what a producer brought and what has gone since does not count against it. */
static void
test_series_that_left_count_no_more(void **state)
{
    (void)state;
    start();
    rig.engine->options.limits.producer_series = ALL + TABLE;
    fill();
    delete (0, GONE);
    work();
    assert_int_equal(stat_of("engine.series_sweeps"), 1);
    for (int n = ALL; n < ALL + GONE; n++)
        put(n, 4000 + n); /* taken */
    check();
    ch_rig_release(&rig);
}

/* Goal: while there is no room for two rosters nothing is swept, and then it is. */
static void
test_a_sweep_waits_for_room(void **state)
{
    (void)state;
    start();
    fill();
    delete (0, GONE);
    uint64_t rest = rig.engine->memory.rest;
    rig.engine->memory.rest = 1;
    work();
    assert_int_equal(stat_of("engine.series_sweeps"), 0);
    rig.engine->memory.rest = rest;
    work();
    assert_int_equal(stat_of("engine.series_sweeps"), 1);
    check();
    ch_rig_release(&rig);
}

/* Goal: a table that cannot be read may have any series: then none goes. */
static void
test_a_damaged_table_stops_the_sweep(void **state)
{
    (void)state;
    start();
    fill();
    delete (0, GONE);
    sync_all();
    ch_simfs_set_fault(rig.simfs, CH_SIMFS_READ, 1, CH_SIMFS_EIO_ON);
    (void)ch_sweep_step(rig.engine);
    ch_simfs_clear_fault(rig.simfs);
    assert_int_equal(stat_of("engine.series_sweeps"), 0);
    work();
    assert_int_equal(stat_of("engine.series_sweeps"), 1);
    check();
    ch_rig_release(&rig);
}

/* Goal: merges that apply deletes tell of series too; and a sweep after another. */
static void
test_merges_and_more_sweeps(void **state)
{
    (void)state;
    uint64_t lsn;
    start();
    fill();
    for (int n = 0; n + 5 < ALL; n += 10)
        delete (n, n + 5);
    sync_all();
    assert_int_equal(ch_engine_compact(rig.engine, &lsn), CH_OK);
    work();
    assert_int_equal(stat_of("engine.series"), ALL / 2);
    check();
    for (int n = 5; n < ALL; n += 10) {
        delete (n, n + 3);
        put(ALL + n, 8000 + n);
        flush();
    }
    assert_int_equal(ch_engine_compact(rig.engine, &lsn), CH_OK);
    work();
    work(); /* the roster before the last must have gone first */
    assert_int_equal(stat_of("engine.series"), ALL / 2 - 20);
    assert_true(stat_of("engine.series_sweeps") >= 2);
    check();
    ch_engine_destroy(&rig.engine);
    ch_rig_open(&rig);
    check();
    ch_rig_release(&rig);
}

/* Goal: a node that has swept nearly all of its series still writes, settles and reads a catalogue. */
static void
test_a_catalogue_of_few_series_replaces_that_of_many(void **state)
{
    (void)state;
    start();
    rig.engine->options.catalogue_series_min = 20;
    fill();
    delete (0, ALL - TABLE);
    work();
    work();
    assert_int_equal(stat_of("engine.series"), TABLE);
    put(ALL + 1, 9001);
    flush();
    delete (ALL - 3, ALL - 2);
    uint64_t lsn;
    assert_int_equal(ch_engine_compact(rig.engine, &lsn),
                     CH_OK); /* it settles the catalogue */
    assert_int_equal(stat_of("compaction.given_up"), 0);
    check();
    ch_engine_destroy(&rig.engine);
    ch_rig_open(&rig);
    assert_in_range(stat_of("engine.series_loaded"), TABLE, TABLE + 1);
    check();
    ch_rig_release(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_series_without_points_leave),
        cmocka_unit_test(test_few_are_not_worth_it),
        cmocka_unit_test(test_what_happens_beside_a_sweep),
        cmocka_unit_test(test_readers_keep_the_numbers_they_have),
        cmocka_unit_test(test_series_that_left_count_no_more),
        cmocka_unit_test(test_a_sweep_waits_for_room),
        cmocka_unit_test(test_a_damaged_table_stops_the_sweep),
        cmocka_unit_test(test_merges_and_more_sweeps),
        cmocka_unit_test(test_a_catalogue_of_few_series_replaces_that_of_many),
    };
    return cmocka_run_group_tests_name("series_sweep", tests, NULL, NULL);
}
