/* A delete that is not taken changes nothing and says why: its place in the sequence, limits, an engine
 * that is closed or has failed. What a taken one takes is test_engine_model's. */
#include "support/engine_rig.h"
#include "support/test.h"

#include "db/tombstone.h"

/* A point of `k` from producer "p", its batch number `seq`. */
static void
append_point(ch_rig_t *rig, uint64_t seq, int64_t time)
{
    ch_bytes_t name = ch_bytes_text("k"), labels = {0};
    ch_value_t one = ch_value_int(time);
    ch_values_t values = {.form = CH_VALUES_LIST, .list = &one};
    ch_batch_block_t block = {.kind = CH_BLOCK_POINTS,
                              .rows = 1,
                              .fields = 1,
                              .names = &name,
                              .labels = &labels,
                              .times = {.form = CH_TIMES_REGULAR, .start = time},
                              .values = &values};
    ch_batch_t batch = {
        .identity = {.present = true, .producer = "p", .epoch = 2, .seq = seq},
        .blocks = &block,
        .block_count = 1,
        .points = 1};
    ch_append_result_t result;
    assert_int_equal(ch_engine_append(rig->engine, &batch, &result), CH_OK);
    assert_int_equal(result.state, CH_APPEND_TAKEN);
    assert_int_equal(ch_engine_sync(rig->engine), CH_OK);
}

static ch_status_t
delete_as(ch_rig_t *rig, uint64_t epoch, uint64_t seq, ch_delete_result_t *result)
{
    ch_delete_t delete = {.match = ch_bytes_text("k"), .start = CH_TIME_MIN, .end = 1};
    if (seq)
        delete.identity =
            (ch_identity_t){.present = true, .producer = "p", .epoch = epoch, .seq = seq};
    ch_status_t status = ch_engine_delete(rig->engine, &delete, result);
    ch_view_destroy(&result->before);
    return status;
}

static uint64_t
points_left(ch_rig_t *rig)
{
    ch_view_t *view = NULL;
    ch_selector_t *selector = NULL;
    uint64_t points, series;
    assert_int_equal(ch_selector_parse(ch_bytes_text("k"), &selector), CH_OK);
    assert_int_equal(ch_view_open(rig->engine, &view), CH_OK);
    assert_int_equal(ch_view_count(view, selector, CH_TIME_MIN, CH_TIME_MAX, NULL, 0,
                                   &points, &series),
                     CH_OK);
    ch_view_destroy(&view);
    ch_selector_destroy(&selector);
    return points;
}

static void
test_a_delete_out_of_its_place_changes_nothing(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_delete_result_t result;
    ch_rig_init(&rig, ch_test_seed());
    append_point(&rig, 1, 0);
    uint64_t lsn = ch_engine_appended_lsn(rig.engine);
    assert_int_equal(delete_as(&rig, 2, 5, &result), CH_OK);
    assert_int_equal(result.state, CH_APPEND_GAP);
    assert_int_equal(result.expected, 2);
    assert_int_equal(delete_as(&rig, 3, 2, &result), CH_OK);
    assert_int_equal(result.state, CH_APPEND_GAP); /* a new epoch begins with 1 */
    assert_int_equal(result.expected, 1);
    assert_int_equal(delete_as(&rig, 2, 1, &result), CH_OK);
    assert_int_equal(result.state, CH_APPEND_DUPLICATE);
    assert_int_equal(result.lsn, lsn);
    assert_int_equal(delete_as(&rig, 1, 2, &result), CH_OK);
    assert_int_equal(result.state, CH_APPEND_FENCED);
    assert_int_equal(ch_engine_appended_lsn(rig.engine), lsn);
    assert_int_equal(points_left(&rig), 1);
    assert_int_equal(delete_as(&rig, 2, 2, &result), CH_OK);
    assert_int_equal(result.state, CH_APPEND_TAKEN);
    assert_int_equal(ch_engine_sync(rig.engine), CH_OK);
    assert_int_equal(points_left(&rig), 0);
    ch_rig_release(&rig);
}

/* Goal: deletes that wait for merges cost bounded memory; whoever does as the words say may go on. */
static void
test_deletes_that_wait_for_merges_are_limited(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_delete_result_t result;
    ch_rig_init(&rig, ch_test_seed());
    append_point(&rig, 1, 0);
    append_point(&rig, 2, 7);
    ch_engine_destroy(&rig.engine);
    rig.options.compaction_flushes = 0;
    rig.options.memory_limit = 256 << 10; /* a sixteenth of it for deletes */
    ch_rig_open(&rig);
    int taken = 0;
    ch_status_t status = CH_OK;
    while (status == CH_OK && taken <= CH_TOMBSTONES_MAX) {
        status = delete_as(&rig, 0, 0, &result);
        taken += status == CH_OK;
    }
    assert_int_equal(status, CH_ERR_LIMIT);
    assert_in_range(taken, 10, CH_TOMBSTONES_MAX - 1);
    assert_non_null(strstr(ch_fail_text(), "flush and compact"));
    uint64_t lsn = ch_engine_appended_lsn(rig.engine);
    assert_int_equal(delete_as(&rig, 2, 3, &result), CH_ERR_LIMIT);
    assert_int_equal(ch_engine_appended_lsn(rig.engine), lsn);
    assert_int_equal(ch_engine_sync(rig.engine), CH_OK);
    assert_int_equal(points_left(&rig), 1);
    assert_int_equal(ch_engine_compact(rig.engine, &lsn), CH_OK);
    assert_int_equal(delete_as(&rig, 2, 3, &result),
                     CH_OK); /* its seq was not consumed */
    assert_int_equal(result.state, CH_APPEND_TAKEN);
    ch_rig_release(&rig);
}

static void
test_a_closed_or_failed_engine_takes_no_delete(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_delete_result_t result;
    ch_rig_init(&rig, ch_test_seed());
    append_point(&rig, 1, 0);
    ch_simfs_set_fault(rig.simfs, CH_SIMFS_SYNC, 1, CH_SIMFS_EIO_ON);
    assert_int_equal(delete_as(&rig, 2, 2, &result), CH_OK);
    assert_true(ch_engine_sync(rig.engine) < 0);
    assert_int_equal(points_left(&rig), 1); /* it never became durable */
    assert_int_equal(delete_as(&rig, 2, 3, &result), CH_ERR_CLOSED);
    assert_null(result.before);
    ch_engine_destroy(&rig.engine);
    ch_simfs_clear_fault(rig.simfs);
    ch_simfs_crash(rig.simfs, CH_SIMFS_LOSE_UNSYNCED, NULL);
    ch_rig_open(&rig);
    assert_int_equal(points_left(&rig), 1);
    assert_int_equal(ch_engine_close(rig.engine), CH_OK);
    assert_int_equal(delete_as(&rig, 2, 2, &result), CH_ERR_CLOSED);
    ch_rig_release(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_delete_out_of_its_place_changes_nothing),
        cmocka_unit_test(test_deletes_that_wait_for_merges_are_limited),
        cmocka_unit_test(test_a_closed_or_failed_engine_takes_no_delete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
