/* Merges inside the engine: what they save, what they leave alone, what readers keep. */
#include "ch/alloc.h"
#include "support/engine_rig.h"
#include "support/test.h"

#define SECOND INT64_C(1000000000)

/* Append points [from, from + count) of `series` series, a point a second, and flush. */
static void
append_and_flush(ch_rig_t *rig, uint32_t series, int64_t from, uint32_t count,
                 double value)
{
    uint8_t *packed = ch_alloc(count * sizeof(double));
    uint64_t lsn;
    for (uint32_t i = 0; i < count; i++)
        ch_store_f64(packed + i * sizeof(double), value + i % 10);
    for (uint32_t s = 0; s < series; s++) {
        char text[32];
        snprintf(text, sizeof text, "metric_%u", s);
        ch_bytes_t name = ch_bytes_text(text), labels = {0};
        ch_values_t values = {.form = CH_VALUES_F64, .packed = packed};
        ch_batch_block_t block = {
            .kind = CH_BLOCK_SERIES,
            .rows = count,
            .fields = 1,
            .names = &name,
            .labels = &labels,
            .times = {.form = CH_TIMES_REGULAR, .start = from * SECOND, .step = SECOND},
            .values = &values};
        ch_batch_t batch = {.blocks = &block, .block_count = 1, .points = count};
        ch_append_result_t result;
        assert_int_equal(ch_engine_append(rig->engine, &batch, &result), CH_OK);
        assert_int_equal(result.state, CH_APPEND_TAKEN);
        assert_int_equal(ch_engine_sync(rig->engine), CH_OK);
    }
    assert_int_equal(ch_engine_flush(rig->engine, &lsn), CH_OK);
    ch_free(packed);
}

static ch_status_t
count_tables(void *context, const char *path, uint64_t size)
{
    (void)size;
    *(size_t *)context += strstr(path, ".sst") != NULL;
    return CH_OK;
}

static size_t
table_files(ch_rig_t *rig)
{
    size_t count = 0;
    assert_int_equal(ch_simfs_files(rig->simfs, count_tables, &count), CH_OK);
    return count;
}

/* Every point of `metric_<s>` in [0, count) has the value that `append_and_flush` gave it. */
static void
check_values(ch_view_t *view, uint32_t s, uint32_t count, double value)
{
    char text[32];
    snprintf(text, sizeof text, "{__name__=\"metric_%u\"}", s);
    const ch_source_t *source = ch_view_source(view);
    ch_selector_t *selector = NULL;
    ch_series_list_t list = {0};
    ch_points_t points = {0};
    bool more;
    assert_int_equal(ch_selector_parse(ch_bytes_text(text), &selector), CH_OK);
    assert_int_equal(
        source->select(source->context, selector, CH_TIME_MIN, CH_TIME_MAX, 2, &list),
        CH_OK);
    assert_int_equal(list.count, 1);
    assert_int_equal(source->read(source->context, &list.items[0], CH_TIME_MIN,
                                  CH_TIME_MAX, SIZE_MAX, &points, &more),
                     CH_OK);
    assert_int_equal(points.count, count);
    for (uint32_t i = 0; i < count; i++)
        assert_true(points.times[i] == i * SECOND && points.floats[i] == value + i % 10);
    ch_points_release(&points);
    ch_series_list_release(&list);
    ch_selector_destroy(&selector);
}

static void
open_rig(ch_rig_t *rig, uint32_t flushes)
{
    ch_rig_init(rig, ch_test_seed());
    ch_engine_destroy(&rig->engine);
    rig->options.memtable_bytes = 64 << 20;
    rig->options.compaction_flushes = flushes;
    rig->options.compaction_file_bytes = 64 << 20;
    const int64_t windows[] = {7200 * SECOND, 86400 * SECOND, 604800 * SECOND};
    memcpy(rig->options.compaction_windows_ns, windows, sizeof windows);
    ch_rig_open(rig);
}

/* Ten rounds over the same keys leave one. */
static void
test_overwritten_points_give_their_room_back(void **state)
{
    (void)state;
    enum { ROUNDS = 10, SERIES = 20, POINTS = 5000 };
    static ch_rig_t rig;
    uint64_t lsn;
    open_rig(&rig, 0);
    for (int round = 0; round < ROUNDS; round++)
        append_and_flush(&rig, SERIES, 0, POINTS, round);
    assert_int_equal(ch_engine_work(rig.engine), CH_OK); /* none by itself */
    assert_int_equal(ch_rig_stat(&rig, "sst.tables"), ROUNDS);
    double before = ch_rig_stat(&rig, "sst.bytes");
    assert_int_equal(ch_engine_compact(rig.engine, &lsn), CH_OK);
    double after = ch_rig_stat(&rig, "sst.bytes");
    double raw = (double)ROUNDS * SERIES * POINTS * 16;
    print_message("bytes before %.0f, after %.0f: saved %.2f %% (%.2f %% of %.0f raw)\n",
                  before, after, 100 - 100 * after / before, 100 - 100 * after / raw,
                  raw);
    assert_int_equal(ch_rig_stat(&rig, "sst.points"), SERIES * POINTS);
    assert_true(after <= before * 0.11);
    assert_true(after <= raw * 0.03);
    assert_int_equal(table_files(&rig), 1); /* nobody pins the inputs */
    ch_view_t *view = NULL;
    assert_int_equal(ch_view_open(rig.engine, &view), CH_OK);
    check_values(view, 7, POINTS, ROUNDS - 1);
    ch_view_destroy(&view);
    ch_rig_release(&rig);
}

/* Points of many windows that take little room stay one table; also when some of them are overwritten. */
static void
test_little_data_of_many_windows_is_one_table(void **state)
{
    (void)state;
    enum { POINTS = 5000 };
    static ch_rig_t rig;
    uint64_t lsn;
    ch_view_t *view = NULL;
    open_rig(&rig, 0);
    ch_engine_destroy(&rig.engine);
    const int64_t windows[] = {60 * SECOND, 120 * SECOND, 600 * SECOND};
    memcpy(rig.options.compaction_windows_ns, windows, sizeof windows);
    ch_rig_open(&rig);
    append_and_flush(&rig, 3, 0, POINTS, 1);
    append_and_flush(&rig, 3, 2000, 100, 7);
    assert_int_equal(ch_engine_compact(rig.engine, &lsn), CH_OK);
    assert_int_equal(table_files(&rig), 1);
    append_and_flush(&rig, 3, 2000, 100, 1);
    assert_int_equal(ch_engine_compact(rig.engine, &lsn), CH_OK);
    assert_int_equal(table_files(&rig), 1);
    assert_int_equal(ch_rig_stat(&rig, "sst.points"), 3 * POINTS);
    assert_int_equal(ch_view_open(rig.engine, &view), CH_OK);
    check_values(view, 2, POINTS, 1);
    ch_view_destroy(&view);
    ch_rig_release(&rig);
}

/* A view from before goes on reading what it pinned, and the files go with it. */
static void
test_a_view_keeps_the_tables_it_pinned(void **state)
{
    (void)state;
    static ch_rig_t rig;
    uint64_t lsn;
    open_rig(&rig, 0);
    append_and_flush(&rig, 3, 0, 900, 1);
    append_and_flush(&rig, 3, 0, 900, 2);
    ch_view_t *before = NULL, *after = NULL;
    assert_int_equal(ch_view_open(rig.engine, &before), CH_OK);
    assert_int_equal(ch_engine_compact(rig.engine, &lsn), CH_OK);
    assert_int_equal(table_files(&rig), 3);
    assert_int_equal(ch_view_open(rig.engine, &after), CH_OK);
    check_values(before, 1, 900, 2);
    check_values(after, 1, 900, 2);
    ch_view_destroy(&before);
    assert_int_equal(table_files(&rig), 1);
    check_values(after, 2, 900, 2);
    ch_view_destroy(&after);
    ch_rig_release(&rig);
}

/* What cannot be read is left alone: the node lives, other data is merged, a request asks again. */
static void
test_an_unreadable_input_is_left_alone(void **state)
{
    (void)state;
    static ch_rig_t rig;
    uint64_t lsn;
    open_rig(&rig, 2);
    append_and_flush(&rig, 3, 0, 900, 1);
    append_and_flush(&rig, 3, 0, 900, 2);
    ch_simfs_set_fault(rig.simfs, CH_SIMFS_READ, 1, CH_SIMFS_EIO_ON);
    assert_int_equal(ch_engine_work(rig.engine), CH_OK);
    ch_simfs_clear_fault(rig.simfs);
    assert_false(ch_engine_failed(rig.engine));
    assert_int_equal(ch_rig_stat(&rig, "compaction.given_up"), 1);
    assert_int_equal(ch_engine_work(rig.engine), CH_OK);
    assert_int_equal(ch_rig_stat(&rig, "sst.tables_0"), 2);
    append_and_flush(&rig, 3, 0, 900, 3);
    append_and_flush(&rig, 3, 900, 900, 3);
    assert_int_equal(ch_engine_work(rig.engine), CH_OK); /* newer ones go on without it */
    assert_true(ch_rig_stat(&rig, "compaction.count") >= 1);
    ch_view_t *view = NULL;
    assert_int_equal(ch_view_open(rig.engine, &view), CH_OK);
    check_values(view, 1, 1800, 3);
    ch_view_destroy(&view);
    assert_int_equal(ch_engine_compact(rig.engine, &lsn), CH_OK);
    assert_int_equal(ch_engine_compacted_lsn(rig.engine), lsn);
    assert_int_equal(ch_rig_stat(&rig, "sst.tables"), 1);
    ch_rig_release(&rig);
}

/* No room: the merge is given up, nothing of it stays, writes go on; with room it is done. */
static void
test_a_merge_without_room_waits(void **state)
{
    (void)state;
    static ch_rig_t rig;
    open_rig(&rig, 2);
    append_and_flush(&rig, 40, 0, 900, 1);
    append_and_flush(&rig, 40, 900, 900, 1);
    uint64_t used = ch_simfs_used(rig.simfs);
    for (uint64_t room = 0; room < 3; room++) { /* too little to begin, then to end */
        ch_simfs_set_capacity(rig.simfs, used + room * 8192);
        assert_int_equal(ch_engine_work(rig.engine), CH_OK);
        assert_int_equal(ch_rig_stat(&rig, "sst.tables_0"), 2);
        assert_int_equal(table_files(&rig), 2);
    }
    ch_simfs_set_capacity(rig.simfs, 0);
    assert_false(ch_engine_failed(rig.engine));
    assert_int_equal(ch_engine_work(rig.engine), CH_OK);
    assert_int_equal(ch_rig_stat(&rig, "sst.tables_0"), 0);
    assert_int_equal(ch_rig_stat(&rig, "sst.tables_1"), 1);
    ch_rig_release(&rig);
}

/* A merge ends a delete for good. Series that it left without points stay unnamed, whatever of the
 * catalogue a power loss takes. */
static void
test_emptied_series_stay_unnamed_after_power_loss(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 12; round++) {
        static ch_rig_t rig;
        uint64_t lsn;
        ch_rig_init(&rig, ch_test_seed() + round);
        for (int i = 0; i < 3; i++)
            ch_rig_append(&rig, true);
        assert_int_equal(ch_engine_flush(rig.engine, &lsn), CH_OK);
        for (int i = 0; i < 6; i++)
            ch_rig_delete(&rig, true);
        ch_rig_append(&rig, true);
        assert_int_equal(ch_engine_flush(rig.engine, &lsn), CH_OK);
        assert_int_equal(ch_engine_compact(rig.engine, &lsn), CH_OK);
        ch_rig_crash(&rig, CH_SIMFS_LOSE_UNSYNCED);
        ch_rig_release(&rig);
    }
}

/* Data in order: few tables, each byte written a few times; a late point costs little. */
static void
test_windows_grow_and_late_points_are_cheap(void **state)
{
    (void)state;
    static ch_rig_t rig;
    open_rig(&rig, 4);
    for (int64_t hour = 0; hour < 24 * 16; hour++) {
        append_and_flush(&rig, 2, hour * 3600, 3600, (double)(hour % 3));
        while (ch_rig_stat(&rig, "compaction.debt_bytes") > 0 ||
               ch_rig_stat(&rig, "sst.tables_0") >= 4)
            assert_int_equal(ch_engine_work(rig.engine), CH_OK);
    }
    assert_true(ch_rig_stat(&rig, "sst.tables_3") >= 1);
    assert_true(ch_rig_stat(&rig, "sst.tables_2") >= 1);
    assert_true(ch_rig_stat(&rig, "sst.tables") < 40);
    double amplification = ch_rig_stat(&rig, "compaction.write_amplification");
    double written = ch_rig_stat(&rig, "compaction.written_bytes");
    print_message("tables %.0f, write amplification %.2f\n",
                  ch_rig_stat(&rig, "sst.tables"), amplification);
    assert_true(amplification < 6);
    for (int i = 0; i < 8; i++)
        append_and_flush(&rig, 1, 1000 + i, 1, 5); /* into the first week */
    for (int i = 0; i < 8; i++)
        assert_int_equal(ch_engine_work(rig.engine), CH_OK);
    double late = ch_rig_stat(&rig, "compaction.written_bytes") - written;
    assert_true(late < ch_rig_stat(&rig, "sst.bytes") / 4);
    ch_rig_release(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overwritten_points_give_their_room_back),
        cmocka_unit_test(test_little_data_of_many_windows_is_one_table),
        cmocka_unit_test(test_a_view_keeps_the_tables_it_pinned),
        cmocka_unit_test(test_an_unreadable_input_is_left_alone),
        cmocka_unit_test(test_a_merge_without_room_waits),
        cmocka_unit_test(test_emptied_series_stay_unnamed_after_power_loss),
        cmocka_unit_test(test_windows_grow_and_late_points_are_cheap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
