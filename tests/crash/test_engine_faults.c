/* P8 and P6: the n-th call to the disk fails, or a bit is flipped. Nothing acknowledged is lost and
 * no answer is wrong: it is right, or it is an error. */
#include "support/engine_rig.h"
#include "support/test.h"

enum { NTH_MAX = 300 };

/* False when the engine has failed. A full disk may refuse it, and then nothing happened. */
static bool
delete_some(ch_rig_t *rig)
{
    const ch_delete_t *delete = ch_model_delete(rig->model, &rig->rng, NULL);
    ch_delete_result_t result;
    ch_status_t status = ch_engine_delete(rig->engine, delete, &result);
    ch_view_destroy(&result.before);
    if (status < 0)
        return status == CH_ERR_NOSPACE;
    if (result.lsn)
        ch_model_deleted(rig->model, result.lsn);
    return true;
}

/* A short life: appends, deletes, syncs, flushes, a seal. Returns the durable lsn; stops at the first sign of
 * trouble that is not a full disk. */
static uint64_t
live(ch_rig_t *rig)
{
    uint64_t ignored;
    for (int step = 0; step < 24; step++) {
        const ch_batch_t *batch = ch_model_batch(rig->model, &rig->rng, NULL);
        ch_append_result_t result;
        if (ch_engine_append(rig->engine, batch, &result) < 0)
            break;
        if (result.state == CH_APPEND_TAKEN)
            ch_model_taken(rig->model, result.lsn);
        else
            assert_int_equal(result.state, CH_APPEND_HELD);
        if (step % 5 == 2 && !delete_some(rig))
            break;
        ch_status_t status = step % 2 ? ch_engine_sync(rig->engine) : CH_OK;
        if (step == 5 || step == 10 || step == 19)
            status = ch_engine_flush(rig->engine, &ignored);
        if (step == 11 || step == 20)
            status = ch_engine_work(rig->engine); /* a merge is due */
        if (step == 13)
            status = ch_engine_seal(rig->engine, &ignored);
        if (status < 0)
            assert_true(ch_engine_failed(rig->engine) || status == CH_ERR_NOSPACE ||
                        status == CH_ERR_CLOSED);
    }
    return ch_engine_durable_lsn(rig->engine);
}

/* The same workload with a fault at its n-th call; true when the fault struck. */
static bool
run_with_fault(uint64_t seed, uint64_t nth, ch_simfs_fault_t fault, unsigned calls)
{
    static ch_rig_t rig;
    ch_rig_init(&rig, seed);
    ch_simfs_set_fault(rig.simfs, calls, nth, fault);
    uint64_t durable = live(&rig);
    bool struck = ch_simfs_fault_struck(rig.simfs);
    if (!struck)
        assert_true(ch_rig_stat(&rig, "compaction.count") >= 1);
    ch_simfs_clear_fault(rig.simfs);
    ch_engine_destroy(&rig.engine);
    ch_simfs_crash(rig.simfs, CH_SIMFS_LOSE_UNSYNCED, NULL);
    ch_rig_open(&rig);
    ch_rig_check(&rig, durable);
    ch_rig_release(&rig);
    return struck;
}

static void
fail_every_call(ch_simfs_fault_t fault)
{
    /* Each call in the long tier, else every third from a drawn beginning. */
    uint64_t seed = ch_test_seed(), stride = getenv("CH_TEST_LONG") ? 1 : 3;
    uint64_t nth = 1 + seed % stride;
    while (nth < NTH_MAX && run_with_fault(seed, nth, fault, CH_SIMFS_CHANGES))
        nth += stride;
    assert_in_range(nth, 20, NTH_MAX); /* it did strike, and the workload ended at last */
}

static void
test_nth_call_says_io_error(void **state)
{
    (void)state;
    fail_every_call(CH_SIMFS_EIO);
}

static void
test_nth_call_finds_no_room(void **state)
{
    (void)state;
    fail_every_call(CH_SIMFS_ENOSPC);
}

static void
test_nth_write_is_short(void **state)
{
    (void)state;
    fail_every_call(CH_SIMFS_SHORT_WRITE);
}

static void
test_power_goes_at_nth_call(void **state)
{
    (void)state;
    fail_every_call(CH_SIMFS_FREEZE);
}

/* A disk that fills up and is emptied again: writes wait, reads go on, writes resume. */
static void
test_full_disk_recovers_by_itself(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    for (int round = 0; round < (getenv("CH_TEST_LONG") ? 100 : 6); round++) {
        bool held = false;
        ch_simfs_set_capacity(rig.simfs, ch_simfs_used(rig.simfs) + (64u << 10));
        for (int step = 0; step < 400 && !held; step++) {
            const ch_batch_t *batch = ch_model_batch(rig.model, &rig.rng, NULL);
            ch_append_result_t result;
            assert_int_equal(ch_engine_append(rig.engine, batch, &result), CH_OK);
            if (result.state == CH_APPEND_TAKEN)
                ch_model_taken(rig.model, result.lsn);
            held = result.state == CH_APPEND_HELD;
            if (step % 16 == 7)
                assert_true(delete_some(&rig));
            ch_status_t status = ch_engine_sync(rig.engine);
            assert_true(status == CH_OK || status == CH_ERR_NOSPACE);
            assert_false(ch_engine_failed(rig.engine));
            ch_model_compare(rig.model, rig.engine, &rig.rng, false);
        }
        assert_true(held);
        assert_string_equal(ch_engine_held_reason(rig.engine), "disk full");
        assert_true(delete_some(&rig)); /* the reserve is there for this */
        ch_model_compare(rig.model, rig.engine, &rig.rng, true);
        ch_simfs_set_capacity(rig.simfs, 0);
        assert_int_equal(ch_engine_sync(rig.engine), CH_OK);
        assert_int_equal(ch_engine_work(rig.engine), CH_OK);
        assert_null(ch_engine_held_reason(rig.engine));
        ch_rig_append(&rig, true);
        assert_int_equal(ch_engine_sync(rig.engine), CH_OK);
        ch_model_compare(rig.model, rig.engine, &rig.rng, true);
    }
    ch_rig_restart(&rig);
    ch_rig_release(&rig);
}

/* Others filled the disk while the node was stopped: what a stop leaves of the reserve lets it start, take
 * deletes, and stop again. */
static void
test_a_start_on_a_full_disk(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    rig.options.reserve_bytes = 1 << 20;
    ch_rig_restart(&rig);
    for (int round = 0; round < 6; round++) {
        for (int step = 0; step < 20; step++)
            ch_rig_append(&rig, true);
        assert_int_equal(ch_engine_close(rig.engine), CH_OK);
        ch_engine_destroy(&rig.engine);
        ch_simfs_set_capacity(rig.simfs, ch_simfs_used(rig.simfs));
        ch_rig_open(&rig);
        ch_model_compare(rig.model, rig.engine, &rig.rng, true);
        assert_true(delete_some(&rig));
        ch_model_compare(rig.model, rig.engine, &rig.rng, true);
        assert_false(ch_engine_failed(rig.engine));
        ch_simfs_set_capacity(rig.simfs, 0);
        assert_int_equal(ch_engine_sync(rig.engine), CH_OK);
        assert_int_equal(ch_engine_work(rig.engine), CH_OK);
    }
    ch_rig_restart(&rig);
    ch_rig_release(&rig);
}

typedef struct file_list {
    char paths[64][128];
    uint64_t sizes[64];
    size_t count;
} file_list_t;

static ch_status_t
note_file(void *context, const char *path, uint64_t size)
{
    file_list_t *list = context;
    if (list->count == 64 || strstr(path, "reserve") || strstr(path, "LOCK"))
        return CH_OK;
    snprintf(list->paths[list->count], sizeof list->paths[0], "%s", path);
    list->sizes[list->count++] = size;
    return CH_OK;
}

/* Does this database, with a bit turned over, answer wrongly anywhere? */
static bool
flip_is_found_or_harmless(ch_rig_t *rig, const char *path, uint64_t bit, uint64_t durable)
{
    static ch_rig_t other;
    other = *rig;
    other.engine = NULL;
    other.simfs = ch_simfs_clone(rig->simfs);
    other.options.fs = ch_simfs_fs(other.simfs);
    assert_int_equal(ch_simfs_flip(other.simfs, path, bit), CH_OK);
    ch_status_t status = ch_engine_open(&other.options, &other.engine);
    bool good = status >= 0 || status == CH_ERR_CORRUPT || status == CH_ERR_VERSION;
    if (status >= 0) {
        good = ch_engine_durable_lsn(other.engine) >= durable &&
               ch_model_agrees_or_errs(rig->model, other.engine);
        ch_engine_destroy(&other.engine);
    }
    ch_simfs_destroy(&other.simfs);
    return good;
}

/* Every byte of a small log, its tables and the manifest, a random bit of each. */
static void
test_no_flipped_bit_changes_an_answer(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    uint64_t ignored, flips = 0;
    for (int step = 0; step < 6; step++) {
        ch_rig_append(&rig, true);
        if (step == 3)
            ch_rig_delete(&rig, true);
        assert_int_equal(ch_engine_sync(rig.engine), CH_OK);
        if (step == 1)
            assert_int_equal(ch_engine_flush(rig.engine, &ignored), CH_OK);
        if (step == 2) /* merged tables, then a flush above them */
            assert_int_equal(ch_engine_compact(rig.engine, &ignored), CH_OK);
        if (step == 4)
            assert_int_equal(ch_engine_flush(rig.engine, &ignored), CH_OK);
    }
    uint64_t durable = ch_engine_durable_lsn(rig.engine);
    ch_engine_destroy(&rig.engine);
    ch_simfs_crash(rig.simfs, CH_SIMFS_KEEP_UNSYNCED, NULL);
    file_list_t files = {.count = 0};
    assert_int_equal(ch_simfs_files(rig.simfs, note_file, &files), CH_OK);
    for (size_t f = 0; f < files.count; f++) {
        uint64_t size =
            files.sizes[f] < 24576 ? files.sizes[f] : 24576; /* behind: spare zeros */
        for (uint64_t byte = 0; byte < size;
             byte += 1 + ch_rng_below(&rig.rng, 12), flips++)
            if (!flip_is_found_or_harmless(&rig, files.paths[f],
                                           byte * 8 + ch_rng_below(&rig.rng, 8), durable))
                fail_msg("%s: a flipped bit in byte %llu changed an answer",
                         files.paths[f], (unsigned long long)byte);
    }
    assert_true(flips > 500);
    ch_rig_release(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nth_call_says_io_error),
        cmocka_unit_test(test_nth_call_finds_no_room),
        cmocka_unit_test(test_nth_write_is_short),
        cmocka_unit_test(test_power_goes_at_nth_call),
        cmocka_unit_test(test_full_disk_recovers_by_itself),
        cmocka_unit_test(test_a_start_on_a_full_disk),
        cmocka_unit_test(test_no_flipped_bit_changes_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
