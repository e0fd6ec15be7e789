#include "ch/alloc.h"
#include "ch/checksum.h"
#include "ch/coding.h"
#include "db/manifest.h"
#include "support/simfs.h"
#include "support/test.h"

enum { CLUSTER = 42 };

static ch_manifest_t *
open_manifest(ch_simfs_t *simfs, ch_session_map_t *sessions, ch_status_t *status_out)
{
    ch_manifest_t *manifest = NULL;
    *status_out =
        ch_manifest_open(ch_simfs_fs(simfs), "db", CLUSTER, sessions, &manifest);
    if (*status_out >= 0)
        *status_out = ch_manifest_begin(manifest);
    if (*status_out < 0)
        ch_manifest_destroy(&manifest);
    return manifest;
}

static ch_simfs_t *
new_disk(void)
{
    ch_simfs_t *simfs = ch_simfs_new(ch_test_seed());
    assert_int_equal(ch_fs_mkdir(ch_simfs_fs(simfs), "db"), CH_OK);
    assert_int_equal(ch_fs_sync_dir(ch_simfs_fs(simfs), "/"), CH_OK);
    return simfs;
}

/* Edit number n adds table n, removes table n - 2, moves the flushed lsn to 10 n and seq of producer
 * "p" to n; a delete at 10 n is left to apply to table n - 1, but every third table has the next delete
 * applied already. */
static ch_status_t
apply_edit(ch_manifest_t *manifest, uint64_t n)
{
    ch_manifest_table_t table = {
        .info = {.file_number = n, .lsn_min = n, .lsn_max = 10 * n, .points = 7},
        .erased_lsn = n % 3 == 0 ? 10 * n + 10 : 0};
    char match[32];
    (void)snprintf(match, sizeof match, "metric_%llu", (unsigned long long)n);
    ch_bytes_t except = ch_bytes_text("keep");
    ch_tombstone_text_t tombstone = {.lsn = 10 * n,
                                     .what = {.selector = ch_bytes_text(match),
                                              .except = &except,
                                              .except_count = n % 2,
                                              .start = CH_TIME_MIN,
                                              .end = 1000}};
    ch_session_map_t *sessions = ch_session_map_new();
    ch_identity_t id = {.present = true, .producer = "p", .epoch = 1, .seq = n};
    ch_session_consume(sessions, &id, 10 * n, 0, NULL);
    ch_text_t text = {0};
    ch_session_map_capture(sessions, true, &text);
    uint64_t dropped = n - 2;
    ch_manifest_edit_t edit = {.add = &table,
                               .add_count = 1,
                               .remove = &dropped,
                               .remove_count = n > 2,
                               .flushed_lsn = 10 * n,
                               .next_file = n + 1,
                               .sessions = ch_text_bytes(&text),
                               .tombstones = &tombstone,
                               .tombstone_count = 1};
    ch_status_t status = ch_manifest_apply(manifest, &edit);
    ch_text_release(&text);
    ch_session_map_destroy(&sessions);
    return status;
}

static void
check_tombstones(const ch_manifest_state_t *state, uint64_t n)
{
    bool kept = n >= 2 && (n - 1) % 3 != 0;
    assert_int_equal(state->tombstone_count, kept);
    if (!kept)
        return;
    const ch_tombstone_text_t *tombstone = &state->tombstones[0];
    char match[32];
    (void)snprintf(match, sizeof match, "metric_%llu", (unsigned long long)n);
    assert_int_equal(tombstone->lsn, 10 * n);
    assert_true(ch_bytes_equal(tombstone->what.selector, ch_bytes_text(match)));
    assert_int_equal(tombstone->what.except_count, n % 2);
    if (n % 2)
        assert_true(ch_bytes_equal(tombstone->what.except[0], ch_bytes_text("keep")));
    assert_true(tombstone->what.start == CH_TIME_MIN && tombstone->what.end == 1000);
}

/* The state must be that after n edits, for some n in [least, most]; returns n. */
static uint64_t
check_state(ch_manifest_t *manifest, ch_session_map_t *sessions, uint64_t least,
            uint64_t most)
{
    const ch_manifest_state_t *state = ch_manifest_state(manifest);
    uint64_t n = state->flushed_lsn / 10;
    assert_in_range(n, least, most);
    assert_int_equal(state->flushed_lsn, 10 * n);
    assert_int_equal(state->next_file, n + 1);
    assert_int_equal(state->table_count, n < 2 ? n : 2);
    for (size_t i = 0; i < state->table_count; i++)
        assert_int_equal(state->tables[i].info.file_number,
                         n - state->table_count + 1 + i);
    check_tombstones(state, n);
    ch_session_view_t *view = calloc(1, sizeof *view);
    ch_status_t status = ch_session_view(sessions, "p", 0, view);
    assert_int_equal(status, n ? CH_OK : CH_NOT_FOUND);
    if (n)
        assert_int_equal(view->durable, n);
    free(view);
    return n;
}

static uint64_t
reopen_and_check(ch_simfs_t *simfs, uint64_t least, uint64_t most)
{
    ch_session_map_t *sessions = ch_session_map_new();
    ch_status_t status;
    ch_manifest_t *manifest = open_manifest(simfs, sessions, &status);
    assert_int_equal(status, CH_OK);
    uint64_t n = check_state(manifest, sessions, least, most);
    assert_int_equal(apply_edit(manifest, n + 1), CH_OK); /* and it goes on */
    ch_manifest_destroy(&manifest);
    ch_session_map_destroy(&sessions);
    return n;
}

static void
test_edits_add_up_across_restarts(void **state)
{
    (void)state;
    ch_simfs_t *simfs = new_disk();
    for (uint64_t n = 0; n < 20; n++)
        assert_int_equal(reopen_and_check(simfs, n, n), n);
    ch_simfs_destroy(&simfs);
}

typedef struct crash_walk {
    uint64_t done; /* edits acknowledged so far */
    uint64_t states;
    ch_rng_t rng;
    ch_manifest_t *manifest; /* test_evidence_... */
} crash_walk_t;

/* After every call: whatever a power loss leaves, each acknowledged edit is whole and no other but
 * the one under way. */
static void
crash_here(void *context, ch_simfs_t *simfs, ch_simfs_call_t call, const char *path)
{
    (void)call;
    (void)path;
    crash_walk_t *walk = context;
    for (int mode = CH_SIMFS_LOSE_UNSYNCED; mode <= CH_SIMFS_RANDOM; mode++) {
        ch_simfs_t *clone = ch_simfs_clone(simfs);
        ch_simfs_crash(clone, (ch_simfs_crash_t)mode, &walk->rng);
        (void)reopen_and_check(clone, walk->done, walk->done + 1);
        ch_simfs_destroy(&clone);
        walk->states++;
    }
}

static void
test_power_loss_leaves_whole_edits(void **state)
{
    (void)state;
    ch_simfs_t *simfs = new_disk();
    crash_walk_t walk = {0};
    ch_rng_seed(&walk.rng, ch_test_seed());
    ch_simfs_observe(simfs, CH_SIMFS_CHANGES, crash_here, &walk);
    ch_session_map_t *sessions = ch_session_map_new();
    ch_status_t status;
    ch_manifest_t *manifest = open_manifest(simfs, sessions, &status);
    assert_int_equal(status, CH_OK);
    for (uint64_t n = 1; n <= 8; n++) {
        assert_int_equal(apply_edit(manifest, n), CH_OK);
        walk.done = n;
    }
    assert_true(walk.states > 50);
    ch_manifest_destroy(&manifest);
    ch_session_map_destroy(&sessions);
    ch_simfs_destroy(&simfs);
}

/* n-th call fails: an edit that was refused for want of room may be tried again; after any other
 * failure the manifest refuses, and a reopen shows the acknowledged edits. */
/* Of the sectors that no sync has promised yet any may be there without the others: where the evidence
 * of an edit lies in two, its first part may be missing before the next edit, which is whole. */
static void
crash_often(void *context, ch_simfs_t *simfs, ch_simfs_call_t call, const char *path)
{
    (void)call;
    (void)path;
    crash_walk_t *walk = context;
    uint64_t into_sector = ch_manifest_bytes(walk->manifest) % 512;
    if (into_sector == 0 || into_sector >= 16)
        return;
    walk->states++;
    for (int i = 0; i < 16; i++) {
        ch_simfs_t *clone = ch_simfs_clone(simfs);
        ch_simfs_crash(clone, CH_SIMFS_RANDOM, &walk->rng);
        (void)reopen_and_check(clone, walk->done, walk->done + 1);
        ch_simfs_destroy(&clone);
    }
}

static void
test_evidence_that_is_lost_loses_nothing(void **state)
{
    (void)state;
    ch_simfs_t *simfs = new_disk();
    crash_walk_t walk = {0};
    ch_rng_seed(&walk.rng, ch_test_seed());
    ch_session_map_t *sessions = ch_session_map_new();
    ch_status_t status;
    ch_manifest_t *manifest = open_manifest(simfs, sessions, &status);
    assert_int_equal(status, CH_OK);
    walk.manifest = manifest;
    ch_simfs_observe(simfs, CH_SIMFS_WRITE, crash_often, &walk);
    for (uint64_t n = 1; n <= 150; n++) {
        assert_int_equal(apply_edit(manifest, n), CH_OK);
        walk.done = n;
    }
    assert_true(walk.states > 0);
    ch_manifest_destroy(&manifest);
    ch_session_map_destroy(&sessions);
    ch_simfs_destroy(&simfs);
}

static void
test_failing_calls_lose_no_edit(void **state)
{
    (void)state;
    static const ch_simfs_fault_t faults[] = {CH_SIMFS_EIO, CH_SIMFS_ENOSPC,
                                              CH_SIMFS_SHORT_WRITE, CH_SIMFS_FREEZE};
    for (size_t f = 0; f < sizeof faults / sizeof faults[0]; f++) {
        bool struck = true;
        for (uint64_t nth = 1; struck && nth < 300; nth++) {
            ch_simfs_t *simfs = new_disk();
            ch_session_map_t *sessions = ch_session_map_new();
            ch_status_t status;
            uint64_t done = 0;
            ch_simfs_set_fault(simfs, CH_SIMFS_CHANGES | CH_SIMFS_READ, nth, faults[f]);
            ch_manifest_t *manifest = open_manifest(simfs, sessions, &status);
            for (uint64_t n = 1; manifest && n <= 5; n++) {
                status = apply_edit(manifest, n);
                if (status == CH_ERR_NOSPACE)
                    status = apply_edit(manifest, n);
                if (status < 0)
                    break;
                done = n;
            }
            struck = ch_simfs_fault_struck(simfs);
            ch_manifest_destroy(&manifest);
            ch_session_map_destroy(&sessions);
            ch_simfs_crash(simfs, CH_SIMFS_LOSE_UNSYNCED, NULL);
            (void)reopen_and_check(simfs, done, done + 1);
            ch_simfs_destroy(&simfs);
        }
        assert_false(struck);
    }
}

/* An edit with many sessions, so that a few of them make the file grow to its rewriting. */
static ch_status_t
apply_large_edit(ch_manifest_t *manifest, uint64_t n)
{
    ch_session_map_t *sessions = ch_session_map_new();
    for (uint64_t i = 0; i < 12000; i++) {
        ch_identity_t id = {.present = true, .epoch = 1, .seq = n};
        (void)snprintf(id.producer, sizeof id.producer, "%060llu", (unsigned long long)i);
        ch_session_consume(sessions, &id, 10 * n, 0, NULL);
    }
    ch_text_t text = {0};
    ch_session_map_capture(sessions, true, &text);
    const ch_manifest_edit_t edit = {.flushed_lsn = 10 * n,
                                     .sessions = ch_text_bytes(&text)};
    ch_status_t status = ch_manifest_apply(manifest, &edit);
    ch_text_release(&text);
    ch_session_map_destroy(&sessions);
    return status;
}

/* Edits past the rewriting while the n-th call fails; returns the last that was done. An edit may
 * fail for good only when the manifest then refuses all others. */
static uint64_t
apply_past_the_rewriting(ch_manifest_t *manifest, ch_simfs_t *simfs)
{
    uint64_t done = 0;
    for (uint64_t n = 1; n <= 9; n++) {
        bool struck = ch_simfs_fault_struck(simfs);
        ch_status_t status = apply_large_edit(manifest, n);
        if (status == CH_ERR_NOSPACE)
            status = apply_large_edit(manifest, n);
        if (status < 0) {
            assert_true(status == CH_ERR_IO || status == CH_ERR_CLOSED);
            assert_false(struck); /* it is the call that failed which tells */
            assert_int_equal(apply_large_edit(manifest, n), CH_ERR_CLOSED);
            break;
        }
        done = n;
    }
    return done;
}

/* Goal: edits go into the file that has the name, also when its rewriting finds no room. */
static void
test_a_failed_rewriting_loses_no_edit(void **state)
{
    (void)state;
    static const ch_simfs_fault_t faults[] = {CH_SIMFS_EIO, CH_SIMFS_ENOSPC};
    for (size_t f = 0; f < sizeof faults / sizeof faults[0]; f++) {
        bool struck = true;
        for (uint64_t nth = 12; struck && nth < 100; nth++) {
            ch_simfs_t *simfs = new_disk();
            ch_session_map_t *sessions = ch_session_map_new();
            ch_status_t status;
            ch_manifest_t *manifest = open_manifest(simfs, sessions, &status);
            assert_int_equal(status, CH_OK);
            ch_simfs_set_fault(simfs, CH_SIMFS_CHANGES, nth, faults[f]);
            uint64_t done = apply_past_the_rewriting(manifest, simfs);
            struck = ch_simfs_fault_struck(simfs);
            ch_simfs_clear_fault(simfs);
            ch_manifest_destroy(&manifest);
            ch_session_map_destroy(&sessions);
            ch_simfs_crash(simfs, CH_SIMFS_LOSE_UNSYNCED, NULL);
            sessions = ch_session_map_new();
            manifest = open_manifest(simfs, sessions, &status);
            assert_int_equal(status, CH_OK);
            assert_in_range(ch_manifest_state(manifest)->flushed_lsn, 10 * done,
                            10 * done + 10);
            ch_manifest_destroy(&manifest);
            ch_session_map_destroy(&sessions);
            ch_simfs_destroy(&simfs);
        }
        assert_false(struck);
    }
}

/* Every bit of the file: the answer is the same, or an explicit error. */
static void
test_no_flipped_bit_changes_the_state(void **state)
{
    (void)state;
    ch_simfs_t *simfs = new_disk();
    for (uint64_t n = 0; n < 4; n++)
        (void)reopen_and_check(simfs, n, n);
    ch_session_map_t *sessions = ch_session_map_new();
    ch_status_t status;
    ch_manifest_t *manifest = open_manifest(simfs, sessions, &status);
    for (uint64_t n = 5; n <= 7; n++)
        assert_int_equal(apply_edit(manifest, n), CH_OK);
    uint64_t bits = ch_manifest_bytes(manifest) * 8, refused = 0;
    ch_manifest_destroy(&manifest);
    ch_session_map_destroy(&sessions);
    ch_simfs_crash(simfs, CH_SIMFS_KEEP_UNSYNCED, NULL);
    for (uint64_t bit = 0; bit < bits; bit++) {
        ch_simfs_t *clone = ch_simfs_clone(simfs);
        assert_int_equal(ch_simfs_flip(clone, "db/manifest", bit), CH_OK);
        sessions = ch_session_map_new();
        manifest = open_manifest(clone, sessions, &status);
        if (status >= 0)
            (void)check_state(manifest, sessions, 7, 7);
        else
            assert_true(status == CH_ERR_CORRUPT || status == CH_ERR_VERSION);
        refused += status < 0;
        ch_manifest_destroy(&manifest);
        ch_session_map_destroy(&sessions);
        ch_simfs_destroy(&clone);
    }
    assert_true(refused > bits / 2);
    ch_simfs_destroy(&simfs);
}

/* An edit that adds `tables` tables, behind what the file holds. */
static void
forge_tables(ch_simfs_t *simfs, uint64_t tables)
{
    enum { HEADER_BYTES = 16, TABLE_BYTES = 10, LENGTH_OFFSET = 4, CHECK_OFFSET = 8 };
    ch_file_t *file = NULL;
    uint64_t size = 0, body = tables * TABLE_BYTES;
    uint8_t *edit = ch_calloc(1, HEADER_BYTES + body);
    assert_int_equal(ch_fs_open(ch_simfs_fs(simfs), "db/manifest", CH_FS_WRITE, &file),
                     CH_OK);
    assert_int_equal(ch_fs_size(file, &size), CH_OK);
    for (uint64_t i = 0; i < tables; i++)
        edit[HEADER_BYTES + i * TABLE_BYTES] = 1; /* the tag; all numbers are 0 */
    memcpy(edit, "CHME", LENGTH_OFFSET);
    ch_store_u32(edit + LENGTH_OFFSET, (uint32_t)body);
    ch_store_u64(edit + CHECK_OFFSET,
                 ch_hash64(edit + HEADER_BYTES, body, ch_seed(CLUSTER, size, body, 0)));
    assert_int_equal(ch_fs_write(file, size, edit, HEADER_BYTES + body), CH_OK);
    ch_fs_close(&file);
    ch_free(edit);
}

static void
test_more_tables_than_there_may_be_are_an_error(void **state)
{
    (void)state;
    enum { TABLES_MAX = 1 << 20 };
    ch_status_t status;
    for (uint64_t more = 0; more < 2; more++) {
        ch_simfs_t *simfs = new_disk();
        (void)reopen_and_check(simfs, 0, 0);
        forge_tables(simfs, TABLES_MAX - 1 + more); /* reopen_and_check adds one */
        ch_session_map_t *sessions = ch_session_map_new();
        ch_manifest_t *manifest = NULL;
        status = ch_manifest_open(ch_simfs_fs(simfs), "db", CLUSTER, sessions, &manifest);
        if (more) {
            assert_int_equal(status, CH_ERR_LIMIT);
            assert_non_null(strstr(ch_fail_text(), "1048576"));
        } else {
            assert_int_equal(status, CH_OK);
            assert_int_equal(ch_manifest_state(manifest)->table_count, TABLES_MAX);
            assert_int_equal(ch_manifest_begin(manifest), CH_OK);
            assert_int_equal(apply_edit(manifest, 1), CH_ERR_LIMIT);
        }
        ch_manifest_destroy(&manifest);
        ch_session_map_destroy(&sessions);
        ch_simfs_destroy(&simfs);
    }
}

static void
test_newer_version_is_refused_by_name(void **state)
{
    (void)state;
    ch_simfs_t *simfs = new_disk();
    (void)reopen_and_check(simfs, 0, 0);
    ch_file_t *file = NULL;
    assert_int_equal(ch_fs_open(ch_simfs_fs(simfs), "db/manifest", CH_FS_WRITE, &file),
                     CH_OK);
    uint8_t header[32];
    assert_int_equal(ch_fs_read_exact(file, 0, header, sizeof header), CH_OK);
    header[4] = 2;
    uint64_t check = ch_hash64(header, 24, 0);
    memcpy(header + 24, &check, sizeof check);
    assert_int_equal(ch_fs_write(file, 0, header, sizeof header), CH_OK);
    ch_fs_close(&file);
    ch_session_map_t *sessions = ch_session_map_new();
    ch_status_t status;
    assert_null(open_manifest(simfs, sessions, &status));
    assert_int_equal(status, CH_ERR_VERSION);
    assert_non_null(strstr(ch_fail_text(), "version 2"));
    ch_session_map_destroy(&sessions);
    ch_simfs_destroy(&simfs);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edits_add_up_across_restarts),
        cmocka_unit_test(test_power_loss_leaves_whole_edits),
        cmocka_unit_test(test_evidence_that_is_lost_loses_nothing),
        cmocka_unit_test(test_failing_calls_lose_no_edit),
        cmocka_unit_test(test_a_failed_rewriting_loses_no_edit),
        cmocka_unit_test(test_no_flipped_bit_changes_the_state),
        cmocka_unit_test(test_more_tables_than_there_may_be_are_an_error),
        cmocka_unit_test(test_newer_version_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
