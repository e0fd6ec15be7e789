#include "support/test.h"

#include <stdatomic.h>

#include "os/thread.h"
#include "support/wal_log.h"

typedef struct world {
    ch_simfs_t *simfs;
    ch_wal_log_t log;
} world_t;

static int
setup(void **state)
{
    world_t *world = calloc(1, sizeof *world);
    uint64_t seed = ch_test_seed();
    world->simfs = ch_simfs_new(seed);
    ch_wal_log_init(&world->log, world->simfs, seed);
    *state = world;
    return 0;
}

static int
teardown(void **state)
{
    world_t *world = *state;
    ch_wal_destroy(&world->log.wal);
    ch_simfs_destroy(&world->simfs);
    free(world);
    return 0;
}

static void
reopen(ch_wal_log_t *log, uint64_t lsn_applied)
{
    ch_wal_destroy(&log->wal);
    ch_status_t status = ch_wal_log_open(log, lsn_applied);
    if (status < 0)
        fail_msg("open: %s", ch_fail_text());
    assert_string_equal(log->wrong, "");
}

static bool
exists(ch_wal_log_t *log, const char *path)
{
    ch_file_t *file = NULL;
    ch_status_t status = ch_fs_open(log->options.fs, path, CH_FS_READ, &file);
    ch_fs_close(&file);
    return status == CH_OK;
}

static ch_wal_stats_t
stats_of(ch_wal_log_t *log)
{
    ch_wal_stats_t stats;
    ch_wal_stats(log->wal, &stats);
    return stats;
}

static void
test_committed_records_come_back_after_a_crash(void **state)
{
    ch_wal_log_t *log = &((world_t *)*state)->log;
    reopen(log, 0);
    assert_int_equal(ch_wal_commit(log->wal), CH_NOT_FOUND);
    assert_int_equal(ch_wal_log_write(log, 60), CH_OK);
    assert_int_equal(ch_wal_durable_lsn(log->wal), 60);
    assert_true(stats_of(log).segment_open > 2);
    reopen(log, 0);
    assert_int_equal(log->visited_first, 1);
    assert_int_equal(log->visited_last, 60);
    assert_int_equal(ch_wal_log_write(log, 5), CH_OK);
    reopen(log, 62);
    assert_int_equal(log->visited_first, 63);
    assert_int_equal(log->visited_last, 65);
    assert_int_equal(stats_of(log).recovered_records, 3);
}

static void
test_a_group_takes_all_that_waits(void **state)
{
    ch_wal_log_t *log = &((world_t *)*state)->log;
    reopen(log, 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(ch_wal_log_append(log), CH_OK);
    assert_true(ch_wal_pending_bytes(log->wal) > 0);
    assert_int_equal(ch_wal_appended_lsn(log->wal), 10);
    assert_int_equal(ch_wal_durable_lsn(log->wal), 0);
    assert_int_equal(ch_wal_commit(log->wal), CH_OK);
    assert_int_equal(ch_wal_pending_bytes(log->wal), 0);
    assert_int_equal(ch_wal_durable_lsn(log->wal), 10);
    assert_int_equal(stats_of(log).groups, 1);
    assert_int_equal(stats_of(log).syncs, 1);
}

static void
test_what_was_not_committed_is_gone_whole(void **state)
{
    world_t *world = *state;
    ch_wal_log_t *log = &world->log;
    reopen(log, 0);
    assert_int_equal(ch_wal_log_write(log, 3), CH_OK);
    assert_int_equal(ch_wal_log_append(log), CH_OK);
    ch_wal_destroy(&log->wal);
    ch_simfs_crash(world->simfs, CH_SIMFS_LOSE_UNSYNCED, NULL);
    reopen(log, 0);
    assert_int_equal(log->visited_last, 3);
    assert_int_equal(ch_wal_appended_lsn(log->wal), 3);
}

static void
test_a_segment_is_sealed_by_age_even_when_nothing_more_comes(void **state)
{
    ch_wal_log_t *log = &((world_t *)*state)->log;
    reopen(log, 0);
    assert_int_equal(ch_wal_log_write(log, 1), CH_OK);
    assert_false(ch_wal_due(log->wal));
    log->now_ns += 1000000000;
    assert_true(ch_wal_due(log->wal));
    assert_int_equal(ch_wal_commit(log->wal), CH_NOT_FOUND);
    assert_false(ch_wal_due(log->wal));
    assert_int_equal(stats_of(log).segment_open, 2);
    assert_int_equal(ch_wal_log_write(log, 1), CH_OK);
    reopen(log, 0);
    assert_int_equal(log->visited_last, 2);
}

static void
test_records_of_an_open_group_stay_in_the_segment_they_were_numbered_for(void **state)
{
    ch_wal_log_t *log = &((world_t *)*state)->log;
    reopen(log, 0);
    assert_int_equal(ch_wal_log_write(log, 1), CH_OK);
    assert_int_equal(ch_wal_log_append(log), CH_OK);
    log->now_ns += 2000000000; /* due, but a record is in the open group */
    assert_int_equal(ch_wal_log_append(log), CH_OK);
    assert_int_equal(ch_wal_commit(log->wal), CH_OK);
    assert_int_equal(ch_wal_log_write(log, 1), CH_OK);
    reopen(log, 0);
    assert_int_equal(log->visited_last, 4);
}

static void
test_seal_commits_what_waits_and_begins_the_next_segment(void **state)
{
    ch_wal_log_t *log = &((world_t *)*state)->log;
    uint64_t segment = 0;
    reopen(log, 0);
    assert_int_equal(ch_wal_log_append(log), CH_OK);
    assert_int_equal(ch_wal_seal(log->wal, &segment), CH_OK);
    assert_int_equal(segment, 1);
    assert_int_equal(ch_wal_durable_lsn(log->wal), 1);
    assert_int_equal(ch_wal_seal(log->wal, &segment), CH_OK);
    assert_int_equal(segment, 1);
    assert_int_equal(stats_of(log).segment_open, 2);
    assert_false(exists(log, "wal/00000000000000000002.wal"));
}

static void
test_a_clean_end_needs_no_repair(void **state)
{
    world_t *world = *state;
    ch_wal_log_t *log = &world->log;
    reopen(log, 0);
    assert_int_equal(ch_wal_prepare(log->wal), CH_OK);
    assert_int_equal(ch_wal_log_write(log, 7), CH_OK);
    assert_int_equal(ch_wal_prepare(log->wal), CH_OK);
    assert_true(exists(log, "wal/spare.2"));
    assert_int_equal(ch_wal_close(log->wal), CH_OK);
    assert_int_equal(ch_wal_commit(log->wal), CH_ERR_CLOSED);
    assert_false(exists(log, "wal/spare.2"));
    char *before = ch_wal_log_files(world->simfs);
    reopen(log, 0);
    char *after = ch_wal_log_files(world->simfs);
    assert_string_equal(before, after);
    assert_int_equal(log->visited_last, 7);
    assert_int_equal(stats_of(log).torn_bytes, 0);
    free(before);
    free(after);
}

static void
test_retired_segments_are_recycled_and_never_read_as_new(void **state)
{
    world_t *world = *state;
    ch_wal_log_t *log = &world->log;
    reopen(log, 0);
    for (int round = 0; round < 10; round++) {
        assert_int_equal(ch_wal_log_write(log, 20), CH_OK);
        assert_int_equal(ch_wal_retire(log->wal, ch_wal_durable_lsn(log->wal)), CH_OK);
        assert_int_equal(ch_wal_prepare(log->wal), CH_OK);
        ch_wal_stats_t stats = stats_of(log);
        assert_in_range(stats.segments, 1, 2);
        reopen(log, 20 * (uint64_t)round + 15);
        assert_int_equal(log->visited_first, 20 * (uint64_t)round + 16);
        assert_int_equal(log->visited_last, 20 * (uint64_t)round + 20);
    }
}

static void
test_a_log_that_ends_before_the_tables_is_damage(void **state)
{
    world_t *world = *state;
    ch_wal_log_t *log = &world->log;
    assert_int_equal(ch_wal_log_open(log, 41), CH_ERR_CORRUPT); /* all of it is gone */
    reopen(log, 0);
    assert_int_equal(ch_wal_log_write(log, 60), CH_OK);
    ch_wal_stats_t stats = stats_of(log);
    ch_wal_destroy(&log->wal);
    char path[64];
    (void)snprintf(path, sizeof path, "wal/%020llu.wal",
                   (unsigned long long)stats.segment_open);
    assert_int_equal(ch_fs_unlink(log->options.fs, path), CH_OK);
    char *before = ch_wal_log_files(world->simfs);
    assert_int_equal(ch_wal_log_open(log, 60), CH_ERR_CORRUPT);
    assert_non_null(strstr(ch_fail_text(), "tables hold lsn 60"));
    char *after = ch_wal_log_files(world->simfs);
    assert_string_equal(before, after);
    free(before);
    free(after);
    reopen(log, 20); /* what is left is sound, as far as anybody can tell */
    assert_int_equal(log->visited_first, 21);
}

static void
test_a_missing_segment_is_damage_unless_it_is_not_needed(void **state)
{
    world_t *world = *state;
    ch_wal_log_t *log = &world->log;
    reopen(log, 0);
    assert_int_equal(ch_wal_log_write(log, 60), CH_OK);
    assert_true(stats_of(log).segment_open > 3);
    ch_wal_destroy(&log->wal);
    assert_int_equal(ch_fs_unlink(log->options.fs, "wal/00000000000000000002.wal"),
                     CH_OK);
    char *before = ch_wal_log_files(world->simfs);
    assert_int_equal(ch_wal_log_open(log, 0), CH_ERR_CORRUPT);
    assert_non_null(strstr(ch_fail_text(), "00000000000000000002.wal"));
    char *after = ch_wal_log_files(world->simfs);
    assert_string_equal(before, after);
    free(before);
    free(after);
    reopen(log, 59);
    assert_int_equal(log->visited_first, 60);
}

static void
test_another_clusters_log_is_refused(void **state)
{
    ch_wal_log_t *log = &((world_t *)*state)->log;
    reopen(log, 0);
    assert_int_equal(ch_wal_log_write(log, 2), CH_OK);
    ch_wal_destroy(&log->wal);
    log->options.cluster++;
    assert_int_equal(ch_wal_log_open(log, 0), CH_ERR_CORRUPT);
    assert_non_null(strstr(ch_fail_text(), "another cluster"));
}

static void
test_a_full_disk_keeps_the_group_until_there_is_room(void **state)
{
    world_t *world = *state;
    ch_wal_log_t *log = &world->log;
    reopen(log, 0);
    assert_int_equal(ch_wal_log_write(log, 5), CH_OK);
    ch_simfs_set_capacity(world->simfs, ch_simfs_used(world->simfs));
    assert_int_equal(ch_wal_log_append(log), CH_OK);
    assert_int_equal(ch_wal_commit(log->wal), CH_ERR_NOSPACE);
    assert_int_equal(ch_wal_log_append(log), CH_OK);
    assert_int_equal(ch_wal_commit(log->wal), CH_ERR_NOSPACE);
    assert_int_equal(ch_wal_durable_lsn(log->wal), 5);
    ch_simfs_set_capacity(world->simfs, 0);
    assert_int_equal(ch_wal_commit(log->wal), CH_OK);
    assert_int_equal(ch_wal_commit(log->wal), CH_OK);
    assert_int_equal(ch_wal_durable_lsn(log->wal), 7);
    reopen(log, 0);
    assert_int_equal(log->visited_last, 7);
}

/* Goal: what a rollback drops is forgotten by the numbering too. Method: after it the same lsn numbers and
 * segment-local series are given again, and read back. */
static void
test_rollback_drops_what_is_not_durable_and_goes_on(void **state)
{
    world_t *world = *state;
    ch_wal_log_t *log = &world->log;
    reopen(log, 0);
    assert_int_equal(ch_wal_log_write(log, 1), CH_OK);
    for (int round = 0; round < 20; round++) {
        uint64_t durable = ch_wal_durable_lsn(log->wal);
        ch_simfs_set_capacity(world->simfs, ch_simfs_used(world->simfs));
        for (int i = 0; i <= round % 3; i++)
            assert_int_equal(ch_wal_log_append(log), CH_OK);
        assert_int_equal(ch_wal_commit(log->wal), CH_ERR_NOSPACE);
        assert_int_equal(ch_wal_log_append(log), CH_OK);
        assert_int_equal(ch_wal_rollback(log->wal), CH_OK);
        assert_int_equal(ch_wal_appended_lsn(log->wal), durable);
        assert_int_equal(ch_wal_pending_bytes(log->wal), 0);
        ch_simfs_set_capacity(world->simfs, 0);
        log->seed++; /* other batches under the same lsn */
        ch_wal_destroy(&log->wal);
        assert_int_equal(ch_wal_log_open(log, durable), CH_OK);
        assert_int_equal(ch_wal_log_write(log, 3), CH_OK);
        assert_int_equal(ch_wal_log_append(log), CH_OK);
        assert_int_equal(ch_wal_rollback(log->wal), CH_OK);
        assert_int_equal(ch_wal_log_write(log, 3), CH_OK);
        reopen(log, durable);
        assert_int_equal(log->visited_first, durable + 1);
        assert_int_equal(log->visited_last, durable + 6);
    }
}

static void
test_a_failed_sync_is_final(void **state)
{
    world_t *world = *state;
    ch_wal_log_t *log = &world->log;
    reopen(log, 0);
    assert_int_equal(ch_wal_log_write(log, 2), CH_OK);
    assert_int_equal(ch_wal_log_append(log), CH_OK);
    ch_simfs_set_fault(world->simfs, CH_SIMFS_SYNC, 1, CH_SIMFS_EIO);
    assert_int_equal(ch_wal_commit(log->wal), CH_ERR_IO);
    assert_int_equal(ch_wal_durable_lsn(log->wal), 2);
    uint64_t calls = ch_simfs_count(world->simfs, CH_SIMFS_ALL);
    assert_int_equal(ch_wal_commit(log->wal), CH_ERR_CLOSED);
    assert_int_equal(ch_wal_log_append(log), CH_ERR_CLOSED);
    assert_int_equal(ch_wal_seal(log->wal, NULL), CH_ERR_CLOSED);
    assert_int_equal(ch_wal_rollback(log->wal), CH_ERR_CLOSED);
    assert_int_equal(ch_wal_prepare(log->wal), CH_ERR_CLOSED);
    assert_int_equal(ch_wal_close(log->wal), CH_ERR_CLOSED);
    assert_int_equal(ch_simfs_count(world->simfs, CH_SIMFS_ALL), calls);
}

static void
test_a_read_error_is_never_taken_for_a_torn_tail(void **state)
{
    world_t *world = *state;
    ch_wal_log_t *log = &world->log;
    reopen(log, 0);
    assert_int_equal(ch_wal_log_write(log, 8), CH_OK);
    ch_wal_destroy(&log->wal);
    for (uint64_t nth = 1;; nth++) {
        ch_simfs_t *copy = ch_simfs_clone(world->simfs);
        ch_wal_log_t other = *log;
        ch_wal_log_init(&other, copy, log->seed);
        ch_simfs_set_fault(copy, CH_SIMFS_READ, nth, CH_SIMFS_EIO);
        ch_status_t status = ch_wal_log_open(&other, 0);
        bool struck = ch_simfs_fault_struck(copy);
        if (struck && status >= 0)
            fail_msg("read %u failed and the log opened", (unsigned)nth);
        ch_wal_destroy(&other.wal);
        ch_simfs_destroy(&copy);
        if (!struck)
            break;
        assert_int_equal(status, CH_ERR_IO);
    }
}

/* Goal: a rotten header never makes a segment look unused, even when the term has changed since. Method: flip the
 * header's own term, which seeds its evidence, and open under a third term. */
static void
test_a_rotten_term_in_the_last_header_is_damage(void **state)
{
    world_t *world = *state;
    ch_wal_log_t *log = &world->log;
    reopen(log, 0);
    assert_int_equal(ch_wal_log_write(log, 2), CH_OK);
    assert_int_equal(ch_wal_seal(log->wal, NULL), CH_OK);
    assert_int_equal(ch_wal_log_write(log, 2), CH_OK);
    ch_wal_destroy(&log->wal);
    assert_int_equal(
        ch_simfs_flip(world->simfs, "wal/00000000000000000002.wal", 24 * 8 + 5), CH_OK);
    log->options.term = 9;
    assert_int_equal(ch_wal_log_open(log, 0), CH_ERR_CORRUPT);
    assert_non_null(strstr(ch_fail_text(), "00000000000000000002.wal"));
}

/* --- three threads ---------------------------------------------------------------------------- */

enum { THREADED_RECORDS = 400 };

typedef struct threads {
    ch_wal_log_t *log;
    _Atomic uint64_t last; /* what was appended in all; UINT64_MAX: not known yet */
    atomic_bool durable;
    ch_status_t syncer, background;
} threads_t;

static void *
run_syncer(void *context)
{
    threads_t *threads = context;
    ch_status_t status = CH_OK;
    while (status >= 0 &&
           ch_wal_durable_lsn(threads->log->wal) != atomic_load(&threads->last))
        status = ch_wal_commit(threads->log->wal);
    threads->syncer = status;
    atomic_store(&threads->durable, true);
    return NULL;
}

static void *
run_background(void *context)
{
    threads_t *threads = context;
    ch_status_t status = CH_OK;
    while (status >= 0 && !atomic_load(&threads->durable)) {
        status = ch_wal_prepare(threads->log->wal);
        if (status >= 0 && ch_wal_durable_lsn(threads->log->wal) > 200)
            status = ch_wal_retire(threads->log->wal, 100);
    }
    threads->background = status;
    return NULL;
}

/* Goal: append, commit and background work beside each other lose and mix up nothing. Method: three threads over
 * small segments, with a seal by the writer now and then; then read everything back. */
static void
test_append_commit_and_background_work_run_beside_each_other(void **state)
{
    ch_wal_log_t *log = &((world_t *)*state)->log;
    threads_t threads = {.log = log, .last = UINT64_MAX};
    pthread_t syncer, background;
    reopen(log, 0);
    ch_thread_start(&syncer, "test-syncer", run_syncer, &threads);
    ch_thread_start(&background, "test-background", run_background, &threads);
    ch_status_t status = CH_OK;
    for (unsigned i = 0; status >= 0 && i < THREADED_RECORDS; i++) {
        status = ch_wal_log_append(log);
        if (status >= 0 && i % 50 == 49)
            status = ch_wal_seal(log->wal, NULL);
    }
    atomic_store(&threads.last, ch_wal_appended_lsn(log->wal));
    ch_thread_join(syncer);
    ch_thread_join(background);
    assert_int_equal(status, CH_OK);
    assert_true(threads.syncer >= 0);
    assert_int_equal(threads.background, CH_OK);
    reopen(log, 100);
    assert_int_equal(log->visited_first, 101);
    assert_int_equal(log->visited_last, THREADED_RECORDS);
}

#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_committed_records_come_back_after_a_crash),
        WORLD_TEST(test_a_group_takes_all_that_waits),
        WORLD_TEST(test_what_was_not_committed_is_gone_whole),
        WORLD_TEST(test_a_segment_is_sealed_by_age_even_when_nothing_more_comes),
        WORLD_TEST(
            test_records_of_an_open_group_stay_in_the_segment_they_were_numbered_for),
        WORLD_TEST(test_seal_commits_what_waits_and_begins_the_next_segment),
        WORLD_TEST(test_a_clean_end_needs_no_repair),
        WORLD_TEST(test_retired_segments_are_recycled_and_never_read_as_new),
        WORLD_TEST(test_a_log_that_ends_before_the_tables_is_damage),
        WORLD_TEST(test_a_missing_segment_is_damage_unless_it_is_not_needed),
        WORLD_TEST(test_another_clusters_log_is_refused),
        WORLD_TEST(test_a_full_disk_keeps_the_group_until_there_is_room),
        WORLD_TEST(test_rollback_drops_what_is_not_durable_and_goes_on),
        WORLD_TEST(test_a_failed_sync_is_final),
        WORLD_TEST(test_a_read_error_is_never_taken_for_a_torn_tail),
        WORLD_TEST(test_a_rotten_term_in_the_last_header_is_damage),
        WORLD_TEST(test_append_commit_and_background_work_run_beside_each_other),
    };
    return cmocka_run_group_tests_name("wal", tests, NULL, NULL);
}
