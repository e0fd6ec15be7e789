/* Reading a data directory without a node, and looking for damage in it: nothing is changed, and whatever
 * was changed by somebody else is named. */
#include "ch/alloc.h"
#include "ch/verify.h"
#include "support/engine_rig.h"
#include "support/test.h"
#include "wal/wal_format.h"

enum {
    CHANGES = CH_SIMFS_WRITE | CH_SIMFS_SYNC | CH_SIMFS_TRUNCATE | CH_SIMFS_RENAME |
              CH_SIMFS_UNLINK | CH_SIMFS_MKDIR | CH_SIMFS_SYNC_DIR,
    FILES_MAX = 64,
    MANIFEST_EVIDENCE_BYTES = 16, /* docs/format/manifest.md */
};

/* ---- helpers ---- */

static void
open_read_only(ch_rig_t *rig)
{
    ch_engine_options_t options = rig->options;
    options.read_only = true;
    if (ch_engine_open(&options, &rig->engine) < 0)
        fail_msg("read-only: %s", ch_fail_text());
}

typedef struct files {
    char paths[FILES_MAX][120];
    uint64_t sizes[FILES_MAX];
    size_t count;
} files_t;

/* Those whose bytes matter: neither the reserve nor what can be made anew from tables. */
static ch_status_t
note_file(void *context, const char *path, uint64_t size)
{
    files_t *files = context;
    bool matters = strncmp(path, "db/sst/", 7) == 0 || strncmp(path, "db/wal/", 7) == 0 ||
                   strcmp(path, "db/manifest") == 0;
    if (!matters || strstr(path, "spare"))
        return CH_OK;
    assert_in_range(files->count, 0, FILES_MAX - 1);
    snprintf(files->paths[files->count], sizeof files->paths[0], "%s", path);
    files->sizes[files->count++] = size;
    return CH_OK;
}

static files_t
files_of(ch_simfs_t *simfs)
{
    files_t files = {.count = 0};
    assert_int_equal(ch_simfs_files(simfs, note_file, &files), CH_OK);
    return files;
}

typedef struct findings {
    const char *wanted; /* below the directory */
    bool named;
    char last[1200];
} findings_t;

static void
note_finding(void *context, const ch_verify_finding_t *finding)
{
    findings_t *findings = context;
    snprintf(findings->last, sizeof findings->last, "%s: %s", finding->file,
             finding->text);
    if (findings->wanted && strstr(findings->last, findings->wanted))
        findings->named = true;
}

static ch_verify_report_t
verify(ch_simfs_t *simfs, findings_t *findings)
{
    ch_verify_report_t report = {0};
    if (ch_verify(ch_simfs_fs(simfs), "db", note_finding, findings, &report) < 0)
        fail_msg("verify: %s", ch_fail_text());
    return report;
}

/* A closed database of several tables; its engine is gone. */
static void
make_closed(ch_rig_t *rig, uint64_t seed)
{
    ch_rig_init(rig, seed);
    ch_rig_fill(rig, 4);
    assert_int_equal(ch_engine_close(rig->engine), CH_OK);
    ch_engine_destroy(&rig->engine);
    ch_simfs_crash(rig->simfs, CH_SIMFS_KEEP_UNSYNCED, NULL);
}

/* ---- reading ---- */

/* After a kill: tables, and a log with a tail that has to be replayed. */
static void
test_reading_without_a_node_changes_nothing(void **state)
{
    (void)state;
    ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    ch_rig_fill(&rig, 4);
    ch_engine_destroy(&rig.engine);
    ch_simfs_crash(rig.simfs, CH_SIMFS_KEEP_UNSYNCED, NULL);
    uint64_t changes = ch_simfs_count(rig.simfs, CHANGES);
    uint64_t used = ch_simfs_used(rig.simfs);
    for (int round = 0; round < 2; round++) {
        open_read_only(&rig);
        ch_model_compare(rig.model, rig.engine, &rig.rng, true);
        assert_int_equal(ch_engine_close(rig.engine), CH_OK);
        ch_engine_destroy(&rig.engine);
    }
    assert_int_equal(ch_simfs_count(rig.simfs, CHANGES), changes);
    assert_int_equal(ch_simfs_used(rig.simfs), used);
    ch_rig_open(&rig); /* and a node goes on from there */
    ch_model_compare(rig.model, rig.engine, &rig.rng, true);
    ch_rig_release(&rig);
}

static void
test_a_read_only_engine_refuses_writes(void **state)
{
    (void)state;
    ch_rig_t rig;
    make_closed(&rig, ch_test_seed());
    open_read_only(&rig);
    const ch_batch_t *batch = ch_model_batch(rig.model, &rig.rng, NULL);
    const ch_delete_t *delete = ch_model_delete(rig.model, &rig.rng, NULL);
    ch_append_result_t appended;
    ch_delete_result_t deleted;
    uint64_t ignored;
    assert_int_equal(ch_engine_append(rig.engine, batch, &appended), CH_ERR_CLOSED);
    assert_int_equal(ch_engine_delete(rig.engine, delete, &deleted), CH_ERR_CLOSED);
    assert_int_equal(ch_engine_flush(rig.engine, &ignored), CH_ERR_CLOSED);
    assert_int_equal(ch_engine_seal(rig.engine, &ignored), CH_ERR_CLOSED);
    ch_rig_release(&rig);
}

static void
test_a_node_and_a_reader_keep_each_other_out(void **state)
{
    (void)state;
    char *dir = ch_test_dir_new();
    ch_engine_options_t options;
    ch_engine_options_init(&options);
    options.path = dir;
    options.background_threads = 0;
    ch_engine_options_t reading = options;
    reading.read_only = true;
    ch_engine_t *node = NULL, *readers[2] = {NULL, NULL};
    ch_verify_report_t report;
    findings_t findings = {.wanted = NULL};
    assert_int_equal(ch_engine_open(&reading, &readers[0]), CH_ERR_INVALID);
    assert_non_null(strstr(ch_fail_text(), "no data directory"));
    assert_int_equal(ch_engine_open(&options, &node), CH_OK);
    assert_int_equal(ch_engine_open(&reading, &readers[0]), CH_ERR_BUSY);
    assert_non_null(strstr(ch_fail_text(), "a node has it open"));
    assert_int_equal(ch_verify(options.fs, dir, note_finding, &findings, &report),
                     CH_ERR_BUSY);
    assert_int_equal(ch_engine_close(node), CH_OK);
    ch_engine_destroy(&node);
    assert_int_equal(ch_engine_open(&reading, &readers[0]), CH_OK);
    assert_int_equal(ch_engine_open(&reading, &readers[1]), CH_OK);
    assert_int_equal(ch_engine_open(&options, &node), CH_ERR_BUSY);
    ch_engine_destroy(&readers[0]);
    ch_engine_destroy(&readers[1]);
    assert_int_equal(ch_engine_open(&options, &node), CH_OK);
    ch_engine_destroy(&node);
    ch_test_dir_remove(&dir);
}

/* ---- verify ---- */

static void
test_a_sound_directory_passes(void **state)
{
    (void)state;
    ch_rig_t rig;
    findings_t findings = {.wanted = NULL};
    make_closed(&rig, ch_test_seed());
    uint64_t changes = ch_simfs_count(rig.simfs, CHANGES);
    ch_verify_report_t report = verify(rig.simfs, &findings);
    if (report.damaged + report.notes)
        fail_msg("%s", findings.last);
    assert_true(report.tables >= 4 && report.segments >= 1 && report.points > 0);
    assert_int_equal(ch_simfs_count(rig.simfs, CHANGES), changes);
    ch_rig_release(&rig);
}

/* What a kill leaves is no damage. */
static void
test_the_end_that_a_kill_leaves_is_no_damage(void **state)
{
    (void)state;
    ch_rig_t rig;
    findings_t findings = {.wanted = NULL};
    ch_rig_init(&rig, ch_test_seed());
    ch_rig_fill(&rig, 4);
    for (int i = 0; i < 10; i++)
        ch_rig_append(&rig, true);
    ch_engine_destroy(&rig.engine);
    ch_simfs_crash(rig.simfs, CH_SIMFS_RANDOM, &rig.rng);
    ch_verify_report_t report = verify(rig.simfs, &findings);
    if (report.damaged)
        fail_msg("%s", findings.last);
    ch_rig_release(&rig);
}

static void
assert_named(ch_simfs_t *simfs, const char *path, const char *what)
{
    findings_t findings = {.wanted = path + strlen("db/")};
    ch_verify_report_t report = verify(simfs, &findings);
    if (!findings.named)
        fail_msg("%s: %s was not named (%llu findings, last: %s)", path, what,
                 (unsigned long long)(report.damaged + report.notes), findings.last);
}

/* Every byte of every file in turn would take long; each file gets its share, its ends always. */
static void
test_a_turned_bit_is_named(void **state)
{
    (void)state;
    ch_rig_t rig;
    make_closed(&rig, ch_test_seed());
    files_t files = files_of(rig.simfs);
    unsigned tries = getenv("CH_TEST_LONG") ? 2000 : 60;
    for (size_t i = 0; i < files.count; i++)
        for (unsigned n = 0; n < tries; n++) {
            uint64_t byte = n < 40 && n < files.sizes[i] / 2
                                ? n / 2
                                : ch_rng_below(&rig.rng, files.sizes[i]);
            if (n < 40 && n % 2 && n < files.sizes[i] / 2)
                byte = files.sizes[i] - 1 - byte;
            uint64_t bit = byte * 8 + ch_rng_below(&rig.rng, 8);
            char what[60];
            snprintf(what, sizeof what, "bit %llu", (unsigned long long)bit);
            assert_int_equal(ch_simfs_flip(rig.simfs, files.paths[i], bit), CH_OK);
            assert_named(rig.simfs, files.paths[i], what);
            assert_int_equal(ch_simfs_flip(rig.simfs, files.paths[i], bit), CH_OK);
        }
    ch_rig_release(&rig);
}

/* The last record that a reader of this disk finds; everything up to it is as the model has it. */
static uint64_t
readable_lsn(ch_rig_t *rig, ch_simfs_t *simfs)
{
    ch_rig_t reading = *rig;
    reading.options.fs = ch_simfs_fs(simfs);
    open_read_only(&reading);
    uint64_t lsn = ch_engine_durable_lsn(reading.engine);
    ch_model_compare(rig->model, reading.engine, &rig->rng, true);
    ch_engine_destroy(&reading.engine);
    return lsn;
}

/* The end of the log that is gone has no name: the log is named. And what lost nothing but its evidence (a
 * log its seal, the manifest the empty edit at its end) is as a kill may have left it: there is no damage
 * to name, as long as no record is missing. */
static bool
is_judged(ch_rig_t *rig, ch_simfs_t *cut, const char *path,
          const ch_verify_report_t *report)
{
    bool log = strncmp(path, "db/wal/", 7) == 0;
    if (report->damaged || strstr(path, ".sst"))
        return log && report->damaged;
    return readable_lsn(rig, cut) == readable_lsn(rig, rig->simfs);
}

/* Lengths that end in the last, whole piece of evidence, and any other. */
static uint64_t
shorter(ch_rig_t *rig, const char *path, uint64_t size, int n)
{
    if (n == 1 && strncmp(path, "db/wal/", 7) == 0)
        return size - CH_WAL_BLOCK_BYTES;
    if (n == 1 && strcmp(path, "db/manifest") == 0)
        return size - MANIFEST_EVIDENCE_BYTES;
    return ch_rng_below(&rig->rng, size);
}

static void
test_a_file_cut_short_or_gone_is_named(void **state)
{
    (void)state;
    ch_rig_t rig;
    make_closed(&rig, ch_test_seed());
    files_t files = files_of(rig.simfs);
    for (size_t i = 0; i < files.count; i++)
        for (int n = 0; n < 8; n++) {
            ch_simfs_t *copy = ch_simfs_clone(rig.simfs);
            ch_fs_t *fs = ch_simfs_fs(copy);
            ch_file_t *file = NULL;
            uint64_t left = shorter(&rig, files.paths[i], files.sizes[i], n);
            char what[60];
            snprintf(what, sizeof what, "cut to %llu", (unsigned long long)left);
            if (n == 0) {
                assert_int_equal(ch_fs_unlink(fs, files.paths[i]), CH_OK);
                snprintf(what, sizeof what, "its absence");
            } else {
                assert_int_equal(ch_fs_open(fs, files.paths[i], CH_FS_WRITE, &file),
                                 CH_OK);
                assert_int_equal(ch_fs_truncate(file, left), CH_OK);
                ch_fs_close(&file);
            }
            findings_t findings = {.wanted = files.paths[i] + strlen("db/")};
            ch_verify_report_t report = verify(copy, &findings);
            if (!findings.named && !is_judged(&rig, copy, files.paths[i], &report))
                fail_msg("%s: %s was not named; last: %s", files.paths[i], what,
                         findings.last);
            ch_simfs_destroy(&copy);
        }
    ch_rig_release(&rig);
}

static void
test_a_table_in_the_place_of_another_is_named(void **state)
{
    (void)state;
    ch_rig_t rig;
    make_closed(&rig, ch_test_seed());
    files_t files = files_of(rig.simfs);
    const char *tables[2] = {NULL, NULL};
    for (size_t i = 0, found = 0; i < files.count && found < 2; i++)
        if (strstr(files.paths[i], ".sst"))
            tables[found++] = files.paths[i];
    assert_non_null(tables[1]);
    assert_int_equal(ch_fs_rename(ch_simfs_fs(rig.simfs), tables[0], tables[1]), CH_OK);
    assert_named(rig.simfs, tables[0], "its absence");
    assert_named(rig.simfs, tables[1], "another table under its name");
    ch_rig_release(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading_without_a_node_changes_nothing),
        cmocka_unit_test(test_a_read_only_engine_refuses_writes),
        cmocka_unit_test(test_a_node_and_a_reader_keep_each_other_out),
        cmocka_unit_test(test_a_sound_directory_passes),
        cmocka_unit_test(test_the_end_that_a_kill_leaves_is_no_damage),
        cmocka_unit_test(test_a_turned_bit_is_named),
        cmocka_unit_test(test_a_file_cut_short_or_gone_is_named),
        cmocka_unit_test(test_a_table_in_the_place_of_another_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
