/* Snapshots, backups and restores: what is in them is one state, whenever the power goes. */
#include "ch/alloc.h"
#include "ch/snapshot.h"
#include "ch/verify.h"
#include "support/engine_rig.h"
#include "support/test.h"

/* ---- helpers ---- */

static void
assert_holds(ch_simfs_t *simfs, const ch_rig_t *rig, const char *dir, ch_model_t *model,
             ch_rng_t *rng)
{
    ch_engine_t *engine = NULL;
    ch_engine_options_t options = rig->options;
    options.fs = ch_simfs_fs(simfs);
    options.path = dir;
    options.read_only = true;
    if (ch_engine_open(&options, &engine) < 0)
        fail_msg("%s: %s", dir, ch_fail_text());
    ch_model_compare(model, engine, rng, true);
    ch_engine_destroy(&engine);
}

static void
fail_finding(void *context, const ch_verify_finding_t *finding)
{
    fail_msg("%s: %s: %s", (const char *)context, finding->file, finding->text);
}

static void
assert_sound(ch_simfs_t *simfs, const char *dir)
{
    ch_verify_report_t report;
    assert_int_equal(
        ch_verify(ch_simfs_fs(simfs), dir, fail_finding, (void *)(uintptr_t)dir, &report),
        CH_OK);
    assert_true(report.tables > 0);
}

static void
snapshot(ch_rig_t *rig, const char *name)
{
    ch_copy_report_t report;
    if (ch_engine_snapshot(rig->engine, name, &report) < 0)
        fail_msg("snapshot: %s", ch_fail_text());
    assert_int_equal(report.tables, report.tables_linked);
    assert_int_equal(report.lsn, ch_engine_appended_lsn(rig->engine));
}

static bool
exists(ch_simfs_t *simfs, const char *path)
{
    ch_file_t *file = NULL;
    ch_status_t status = ch_fs_open(ch_simfs_fs(simfs), path, CH_FS_READ, &file);
    ch_fs_close(&file);
    return status == CH_OK;
}

static ch_status_t
note_any(void *context, const char *name)
{
    (void)name;
    *(bool *)context = true;
    return CH_END;
}

typedef struct shared {
    ch_rig_t *rig;
    const char *one, *other;
    size_t count;
} shared_t;

static ch_status_t
note_shared(void *context, const char *path, uint64_t size)
{
    shared_t *shared = context;
    char twin[256];
    (void)size;
    if (strncmp(path, shared->one, strlen(shared->one)) != 0 || !strstr(path, "/sst/"))
        return CH_OK;
    snprintf(twin, sizeof twin, "%s%s", shared->other, path + strlen(shared->one));
    shared->count += exists(shared->rig->simfs, twin);
    return CH_OK;
}

static size_t
shared_tables(ch_rig_t *rig, const char *one, const char *other)
{
    shared_t shared = {.rig = rig, .one = one, .other = other};
    assert_int_equal(ch_simfs_files(rig->simfs, note_shared, &shared), CH_OK);
    return shared.count;
}

/* ---- content ---- */

/* What comes later (also what recycles the log) does not get into it. */
static void
test_a_snapshot_stays_as_it_was(void **state)
{
    (void)state;
    ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    ch_rig_fill(&rig, 4);
    ch_model_t *then = ch_model_copy(rig.model);
    snapshot(&rig, "monday");
    ch_rig_fill(&rig, 6);
    ch_copy_report_t report;
    assert_int_equal(ch_engine_snapshot(rig.engine, "monday", &report), CH_ERR_EXISTS);
    assert_holds(rig.simfs, &rig, "db/snapshots/monday", then, &rig.rng);
    assert_sound(rig.simfs, "db/snapshots/monday");
    ch_rig_restart(&rig); /* and the database is none the worse */
    assert_holds(rig.simfs, &rig, "db/snapshots/monday", then, &rig.rng);
    ch_model_destroy(&then);
    ch_rig_release(&rig);
}

static void
test_a_snapshot_of_nothing_is_a_database(void **state)
{
    (void)state;
    ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    snapshot(&rig, "empty");
    assert_holds(rig.simfs, &rig, "db/snapshots/empty", rig.model, &rig.rng);
    ch_rig_release(&rig);
}

static void
test_names_that_lead_elsewhere_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"",
                                        ".",
                                        "..",
                                        ".hidden",
                                        "a/b",
                                        "../x",
                                        "a b",
                                        ("12345678901234567890123456789012345678901234567"
                                         "890123456789012345")};
    ch_rig_t rig;
    ch_copy_report_t report;
    ch_rig_init(&rig, ch_test_seed());
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(ch_engine_snapshot(rig.engine, names[i], &report),
                         CH_ERR_INVALID);
    ch_rig_release(&rig);
}

/* Asked of the engine, which knows only whole ones. */
static void
test_snapshots_are_listed_and_removed(void **state)
{
    (void)state;
    ch_rig_t rig;
    ch_snapshot_info_t *infos = NULL;
    size_t count = 9;
    ch_rig_init(&rig, ch_test_seed());
    ch_rig_fill(&rig, 3);
    assert_int_equal(ch_engine_snapshots(rig.engine, &infos, &count), CH_OK);
    assert_int_equal(count, 0);
    ch_free(infos);
    snapshot(&rig, "b");
    snapshot(&rig, "a");
    assert_int_equal(ch_fs_mkdir(rig.options.fs, "db/snapshots/half"), CH_OK);
    assert_int_equal(ch_engine_snapshots(rig.engine, &infos, &count), CH_OK);
    assert_int_equal(count, 2);
    assert_string_equal(infos[0].name, "a");
    assert_string_equal(infos[1].name, "b");
    assert_true(infos[0].tables > 0 && infos[0].bytes > 0 && infos[0].points > 0);
    ch_free(infos);
    assert_int_equal(ch_engine_snapshot_remove(rig.engine, "c"), CH_NOT_FOUND);
    assert_int_equal(ch_engine_snapshot_remove(rig.engine, "../db"), CH_ERR_INVALID);
    ch_engine_t *other = NULL; /* in one of them a node was started */
    ch_engine_options_t options = rig.options;
    options.path = "db/snapshots/a";
    assert_int_equal(ch_engine_open(&options, &other), CH_OK);
    assert_int_equal(ch_engine_snapshot_remove(rig.engine, "a"), CH_ERR_BUSY);
    ch_engine_destroy(&other);
    assert_int_equal(ch_engine_snapshot_remove(rig.engine, "b"), CH_OK);
    assert_false(exists(rig.simfs, "db/snapshots/b/manifest"));
    ch_rig_restart(&rig);
    ch_rig_release(&rig);
}

/* A backup of each day: the second costs what is new, both hold what they held, and a restored one goes
 * on as a database. */
static void
test_backups_are_incremental_and_restore(void **state)
{
    (void)state;
    ch_rig_t rig;
    ch_copy_report_t first, second, again;
    ch_rig_init(&rig, ch_test_seed());
    ch_engine_destroy(&rig.engine);
    rig.options.compaction_flushes =
        0; /* tables stay, so that it is known which are new */
    ch_rig_open(&rig);
    ch_fs_t *fs = rig.options.fs;
    assert_int_equal(ch_fs_mkdir(fs, "backups"), CH_OK);
    ch_rig_fill(&rig, 5);
    snapshot(&rig, "a");
    ch_model_t *then = ch_model_copy(rig.model);
    assert_int_equal(ch_copy_database(fs, "db/snapshots/a", "backups/1", NULL, &first),
                     CH_OK);
    ch_rig_fill(&rig, 2);
    snapshot(&rig, "b");
    assert_int_equal(
        ch_copy_database(fs, "db/snapshots/b", "backups/2", "backups/1", &second), CH_OK);
    assert_int_equal(first.tables_linked, 0);
    const size_t kept = shared_tables(&rig, "backups/1", "db/snapshots/b");
    assert_in_range(kept, 0, first.tables); /* a delete may have emptied some */
    assert_int_equal(second.tables_linked, kept);
    assert_true(second.tables > kept);
    assert_int_equal(ch_copy_database(fs, "db", "backups/3", NULL, &again), CH_ERR_BUSY);
    assert_int_equal(ch_copy_database(fs, "db/snapshots/b", "backups/2", NULL, &again),
                     CH_ERR_EXISTS);
    assert_int_equal(ch_remove_database(fs, "db/snapshots/a"), CH_OK);
    assert_false(exists(rig.simfs, "db/snapshots/a/manifest"));
    assert_holds(rig.simfs, &rig, "backups/1", then, &rig.rng);
    assert_holds(rig.simfs, &rig, "backups/2", rig.model, &rig.rng);
    assert_sound(rig.simfs, "backups/1");
    assert_sound(rig.simfs, "backups/2");
    assert_int_equal(ch_copy_database(fs, "backups/2", "restored", NULL, &again), CH_OK);
    assert_int_equal(ch_engine_close(rig.engine), CH_OK);
    ch_engine_destroy(&rig.engine);
    rig.options.path = "restored";
    ch_rig_open(&rig);
    ch_model_compare(rig.model, rig.engine, &rig.rng, true);
    ch_rig_fill(&rig, 2);
    ch_rig_restart(&rig);
    ch_model_destroy(&then);
    ch_rig_release(&rig);
}

/* Numbers start again where the restored one was: equal numbers are not equal tables. */
static void
test_a_table_of_another_history_is_not_linked(void **state)
{
    (void)state;
    ch_rig_t rig;
    ch_copy_report_t report;
    ch_rig_init(&rig, ch_test_seed());
    ch_fs_t *fs = rig.options.fs;
    ch_rig_fill(&rig, 3);
    snapshot(&rig, "a");
    assert_int_equal(ch_copy_database(fs, "db/snapshots/a", "other", NULL, &report),
                     CH_OK);
    uint64_t shared = report.tables;
    ch_rig_fill(&rig, 3);
    snapshot(&rig, "b");
    assert_int_equal(ch_copy_database(fs, "db/snapshots/b", "base", NULL, &report),
                     CH_OK);
    uint64_t all = report.tables;
    assert_int_equal(ch_engine_close(rig.engine), CH_OK);
    ch_engine_destroy(&rig.engine);
    ch_model_cut(rig.model, 0);
    ch_model_destroy(&rig.model);
    rig.model = ch_model_new();
    ch_engine_t *engine = NULL;
    ch_engine_options_t options = rig.options;
    options.path = "other";
    assert_int_equal(ch_engine_open(&options, &engine), CH_OK);
    for (uint64_t round = shared; round < all; round++) { /* other points */
        ch_append_result_t result;
        uint64_t ignored;
        const ch_batch_t *batch = ch_model_batch(rig.model, &rig.rng, NULL);
        assert_int_equal(ch_engine_append(engine, batch, &result), CH_OK);
        assert_int_equal(ch_engine_flush(engine, &ignored), CH_OK);
    }
    assert_int_equal(ch_engine_close(engine), CH_OK);
    ch_engine_destroy(&engine);
    assert_int_equal(ch_copy_database(fs, "other", "second", "base", &report), CH_OK);
    assert_true(report.tables > report.tables_linked);
    assert_sound(rig.simfs, "second");
    ch_rig_release(&rig);
}

static void
test_a_directory_with_something_in_it_is_left_alone(void **state)
{
    (void)state;
    ch_rig_t rig;
    ch_copy_report_t report;
    ch_rig_init(&rig, ch_test_seed());
    ch_fs_t *fs = rig.options.fs;
    ch_rig_fill(&rig, 3);
    snapshot(&rig, "a");
    assert_int_equal(ch_copy_database(fs, "db/snapshots/a", "x", NULL, &report), CH_OK);
    assert_int_equal(ch_fs_unlink(fs, "x/manifest"),
                     CH_OK); /* lost: the tables are all there is */
    assert_int_equal(ch_copy_database(fs, "db/snapshots/a", "x", NULL, &report),
                     CH_ERR_EXISTS);
    bool any = false;
    assert_int_equal(ch_fs_list(fs, "x/sst", note_any, &any), CH_END);
    assert_true(any);
    assert_int_equal(ch_copy_database(fs, "nowhere", "y", NULL, &report), CH_ERR_INVALID);
    ch_rig_release(&rig);
}

/* ---- crashes ---- */

typedef struct crash {
    ch_rig_t *rig;
    const char *dir;
    ch_model_t *model;
    unsigned states, whole;
} crash_t;

static void
crash_here(void *context, ch_simfs_t *simfs, ch_simfs_call_t call, const char *path)
{
    crash_t *crash = context;
    char manifest[80];
    (void)call;
    (void)path;
    ch_simfs_t *disk = ch_simfs_clone(simfs);
    ch_simfs_crash(disk, crash->states % 3 ? CH_SIMFS_RANDOM : CH_SIMFS_LOSE_UNSYNCED,
                   &crash->rig->rng);
    snprintf(manifest, sizeof manifest, "%s/manifest", crash->dir);
    bool whole = exists(disk, manifest);
    crash->states++;
    crash->whole += whole;
    if (whole)
        assert_holds(disk, crash->rig, crash->dir, crash->model, &crash->rig->rng);
    ch_engine_t *engine = NULL;
    ch_engine_options_t options = crash->rig->options;
    options.fs = ch_simfs_fs(disk);
    if (ch_engine_open(&options, &engine) < 0)
        fail_msg("after a crash in a copy: %s", ch_fail_text());
    ch_engine_destroy(&engine);
    bool left = false; /* of an unfinished one nothing may be */
    snprintf(manifest, sizeof manifest, "%s/sst", crash->dir);
    if (!whole && strncmp(crash->dir, "db/", 3) == 0 &&
        ch_fs_list(options.fs, manifest, note_any, &left) >= 0)
        assert_false(left);
    ch_simfs_destroy(&disk);
}

static void
test_a_crash_leaves_a_whole_snapshot_or_none(void **state)
{
    (void)state;
    ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    ch_rig_fill(&rig, 4);
    crash_t crash = {.rig = &rig, .dir = "db/snapshots/s", .model = rig.model};
    ch_simfs_observe(rig.simfs, CH_SIMFS_CHANGES, crash_here, &crash);
    snapshot(&rig, "s");
    ch_simfs_observe(rig.simfs, 0, NULL, NULL);
    assert_true(crash.states > 20 && crash.whole > 0 && crash.whole < crash.states);
    ch_rig_release(&rig);
}

static void
test_a_crash_leaves_a_whole_backup_or_none(void **state)
{
    (void)state;
    ch_rig_t rig;
    ch_copy_report_t report;
    ch_rig_init(&rig, ch_test_seed());
    ch_rig_fill(&rig, 4);
    snapshot(&rig, "s");
    crash_t crash = {.rig = &rig, .dir = "backup", .model = rig.model};
    ch_simfs_observe(rig.simfs, CH_SIMFS_CHANGES, crash_here, &crash);
    assert_int_equal(
        ch_copy_database(rig.options.fs, "db/snapshots/s", "backup", NULL, &report),
        CH_OK);
    ch_simfs_observe(rig.simfs, 0, NULL, NULL);
    assert_true(crash.states > 20 && crash.whole > 0 && crash.whole < crash.states);
    ch_rig_release(&rig);
}

/* A snapshot that fails leaves the node as it was, and can be taken again. */
static void
test_a_snapshot_that_fails_can_be_taken_again(void **state)
{
    (void)state;
    const unsigned kinds = CH_SIMFS_LINK | CH_SIMFS_MKDIR | CH_SIMFS_SYNC_DIR;
    bool struck = true;
    for (uint64_t nth = 1; struck; nth++) {
        ch_rig_t rig;
        ch_copy_report_t report;
        ch_rig_init(&rig, ch_test_seed() + nth);
        ch_rig_fill(&rig, 3);
        uint64_t ignored; /* what may fail for good is the log's: that is done before */
        assert_int_equal(ch_engine_seal(rig.engine, &ignored), CH_OK);
        ch_simfs_set_fault(rig.simfs, kinds, nth, CH_SIMFS_EIO);
        ch_status_t status = ch_engine_snapshot(rig.engine, "s", &report);
        struck = ch_simfs_fault_struck(rig.simfs);
        ch_simfs_clear_fault(rig.simfs);
        if (status < 0)
            snapshot(&rig, exists(rig.simfs, "db/snapshots/s/manifest") ? "t" : "s");
        assert_holds(rig.simfs, &rig,
                     exists(rig.simfs, "db/snapshots/t/manifest") ? "db/snapshots/t"
                                                                  : "db/snapshots/s",
                     rig.model, &rig.rng);
        ch_rig_fill(&rig, 2);
        ch_rig_restart(&rig);
        ch_rig_release(&rig);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_snapshot_stays_as_it_was),
        cmocka_unit_test(test_a_snapshot_of_nothing_is_a_database),
        cmocka_unit_test(test_names_that_lead_elsewhere_are_refused),
        cmocka_unit_test(test_snapshots_are_listed_and_removed),
        cmocka_unit_test(test_backups_are_incremental_and_restore),
        cmocka_unit_test(test_a_table_of_another_history_is_not_linked),
        cmocka_unit_test(test_a_directory_with_something_in_it_is_left_alone),
        cmocka_unit_test(test_a_crash_leaves_a_whole_snapshot_or_none),
        cmocka_unit_test(test_a_crash_leaves_a_whole_backup_or_none),
        cmocka_unit_test(test_a_snapshot_that_fails_can_be_taken_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
