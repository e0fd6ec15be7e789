/* Sorted tables on disks that flip bits, fail calls and lose power; the golden file. */
#include "ch/alloc.h"
#include "ch/series_key.h"
#include "sst/sstable.h"
#include "support/simfs.h"
#include "support/sst_model.h"
#include "support/test.h"

static ch_status_t
write_model(ch_simfs_t *simfs, const ch_sst_model_t *model)
{
    ch_sstable_info_t info;
    return ch_sst_model_write(model, ch_simfs_fs(simfs), "d/t.sst", 7, &info);
}

static void
setup(uint64_t salt, size_t series, ch_simfs_t **simfs, ch_rng_t *rng,
      ch_sst_model_t *model)
{
    ch_rng_seed(rng, ch_test_seed() + salt);
    *simfs = ch_simfs_new(ch_test_seed() + salt);
    assert_int_equal(ch_fs_mkdir(ch_simfs_fs(*simfs), "d"), CH_OK);
    assert_int_equal(ch_fs_sync_dir(ch_simfs_fs(*simfs), "."), CH_OK);
    ch_sst_model_random(model, rng, series, 40);
}

static bool
exists(ch_simfs_t *simfs, const char *path, uint64_t *size_out)
{
    ch_file_t *file = NULL;
    if (ch_fs_open(ch_simfs_fs(simfs), path, CH_FS_READ, &file) != CH_OK)
        return false;
    assert_int_equal(ch_fs_size(file, size_out), CH_OK);
    ch_fs_close(&file);
    return true;
}

/* The table opens and has exactly the model's content. */
static bool
whole(ch_simfs_t *simfs, const ch_sst_model_t *model)
{
    ch_sstable_t *sstable = NULL;
    size_t errors = 0;
    if (ch_sstable_open(ch_simfs_fs(simfs), "d/t.sst", 7, &sstable) != CH_OK)
        return false;
    bool good = ch_sst_model_matches(model, sstable, false, &errors) &&
                ch_sstable_verify(sstable) == CH_OK;
    ch_sstable_destroy(&sstable);
    return good;
}

/* Goal: no flipped bit changes an answer, and verify finds each. Method: one random bit of every
 * byte of a small table. */
static void
test_no_flipped_bit_changes_an_answer(void **state)
{
    (void)state;
    ch_simfs_t *simfs;
    ch_rng_t rng;
    ch_sst_model_t model;
    uint64_t size = 0;
    setup(1, 12, &simfs, &rng, &model);
    assert_int_equal(write_model(simfs, &model), CH_OK);
    assert_true(exists(simfs, "d/t.sst", &size));
    for (uint64_t byte = 0; byte < size; byte++) {
        uint64_t bit = byte * 8 + ch_rng_below(&rng, 8);
        ch_sstable_t *sstable = NULL;
        size_t errors = 0;
        assert_int_equal(ch_simfs_flip(simfs, "d/t.sst", bit), CH_OK);
        ch_status_t status = ch_sstable_open(ch_simfs_fs(simfs), "d/t.sst", 7, &sstable);
        if (status == CH_OK) {
            assert_true(ch_sst_model_matches(&model, sstable, true, &errors));
            assert_int_equal(ch_sstable_verify(sstable), CH_ERR_CORRUPT);
            assert_non_null(strstr(ch_fail_text(), "d/t.sst"));
        } else {
            assert_true(status == CH_ERR_CORRUPT || status == CH_ERR_VERSION);
        }
        ch_sstable_destroy(&sstable);
        assert_int_equal(ch_simfs_flip(simfs, "d/t.sst", bit), CH_OK);
    }
    assert_true(whole(simfs, &model));
    ch_sst_model_release(&model);
    ch_simfs_destroy(&simfs);
}

/* Goal: verify looks at the disk, not at what memory remembers, and a block checked once is not
 * suspect for what the disk does later. Method: read all through a cache, then turn bits over. */
static void
test_verify_sees_the_disk_behind_a_cache(void **state)
{
    (void)state;
    ch_simfs_t *simfs;
    ch_rng_t rng;
    ch_sst_model_t model;
    uint64_t size = 0;
    size_t errors = 0;
    setup(1, 12, &simfs, &rng, &model);
    assert_int_equal(write_model(simfs, &model), CH_OK);
    assert_true(exists(simfs, "d/t.sst", &size));
    ch_block_cache_t *cache = ch_block_cache_new(64 << 20);
    ch_sstable_t *sstable = NULL;
    assert_int_equal(ch_sstable_open(ch_simfs_fs(simfs), "d/t.sst", 7, &sstable), CH_OK);
    ch_sstable_use_cache(sstable, cache);
    assert_true(ch_sst_model_matches(&model, sstable, false, &errors));
    for (uint64_t byte = 0; byte < size; byte += 7) {
        uint64_t bit = byte * 8 + ch_rng_below(&rng, 8);
        assert_int_equal(ch_simfs_flip(simfs, "d/t.sst", bit), CH_OK);
        ch_status_t status = ch_sstable_verify(sstable);
        assert_true(status == CH_ERR_CORRUPT || status == CH_ERR_VERSION);
        /* Listing all keys goes past the cache and may fail; every series is read all the same. */
        assert_true(ch_sst_model_matches(&model, sstable, true, &errors));
        assert_true(errors <= 1);
        assert_int_equal(ch_simfs_flip(simfs, "d/t.sst", bit), CH_OK);
    }
    assert_int_equal(ch_sstable_verify(sstable), CH_OK);
    ch_sstable_destroy(&sstable);
    ch_block_cache_destroy(&cache);
    ch_sst_model_release(&model);
    ch_simfs_destroy(&simfs);
}

/* Goal: a table cut short is refused. Method: every length below the whole. */
static void
test_tables_cut_short_are_refused(void **state)
{
    (void)state;
    ch_simfs_t *simfs;
    ch_rng_t rng;
    ch_sst_model_t model;
    uint64_t size = 0;
    setup(2, 12, &simfs, &rng, &model);
    assert_int_equal(write_model(simfs, &model), CH_OK);
    assert_true(exists(simfs, "d/t.sst", &size));
    ch_file_t *file = NULL;
    assert_int_equal(ch_fs_open(ch_simfs_fs(simfs), "d/t.sst", CH_FS_WRITE, &file),
                     CH_OK);
    while (size-- > 0) {
        ch_sstable_t *sstable = NULL;
        assert_int_equal(ch_fs_truncate(file, size), CH_OK);
        assert_int_equal(ch_sstable_open(ch_simfs_fs(simfs), "d/t.sst", 7, &sstable),
                         CH_ERR_CORRUPT);
    }
    ch_fs_close(&file);
    ch_sst_model_release(&model);
    ch_simfs_destroy(&simfs);
}

/* Goal: a writer that fails says so, leaves no temporary file and nothing half under the name.
 * Method: the n-th call fails, n = 1, 2, ... until the workload passes. */
static void
test_failed_calls_leave_nothing_half(void **state)
{
    (void)state;
    static const ch_simfs_fault_t faults[] = {CH_SIMFS_EIO, CH_SIMFS_ENOSPC,
                                              CH_SIMFS_SHORT_WRITE};
    for (size_t f = 0; f < sizeof faults / sizeof *faults; f++) {
        bool passed = false;
        for (uint64_t nth = 1; !passed; nth++) {
            ch_simfs_t *simfs;
            ch_rng_t rng;
            ch_sst_model_t model;
            uint64_t size = 0;
            assert_true(nth < 100);
            setup(3, 30, &simfs, &rng, &model);
            ch_simfs_set_fault(simfs, CH_SIMFS_ALL, nth, faults[f]);
            ch_status_t status = write_model(simfs, &model);
            passed = !ch_simfs_fault_struck(simfs);
            ch_simfs_clear_fault(simfs);
            assert_int_equal(status == CH_OK, passed);
            assert_false(exists(simfs, "d/t.sst.tmp", &size));
            assert_true(!exists(simfs, "d/t.sst", &size) || whole(simfs, &model));
            assert_int_equal(write_model(simfs, &model), CH_OK);
            assert_true(whole(simfs, &model));
            ch_sst_model_release(&model);
            ch_simfs_destroy(&simfs);
        }
    }
}

/* Goal: what stands under the name after a power loss is whole, and is there once finish said so.
 * Method: power goes at the n-th change; and right after finish. */
static void
test_power_loss_leaves_the_whole_table_or_none(void **state)
{
    (void)state;
    static const ch_simfs_crash_t losses[] = {CH_SIMFS_LOSE_UNSYNCED,
                                              CH_SIMFS_KEEP_UNSYNCED, CH_SIMFS_RANDOM};
    for (unsigned round = 0; round < 6; round++) {
        bool passed = false;
        for (uint64_t nth = 1; !passed; nth++) {
            ch_simfs_t *simfs;
            ch_rng_t rng;
            ch_sst_model_t model;
            uint64_t size = 0;
            assert_true(nth < 100);
            setup(10 + round, 30, &simfs, &rng, &model);
            ch_simfs_set_fault(simfs, CH_SIMFS_CHANGES, nth, CH_SIMFS_FREEZE);
            ch_status_t status = write_model(simfs, &model);
            passed = !ch_simfs_fault_struck(simfs);
            assert_int_equal(status == CH_OK, passed);
            ch_simfs_crash(simfs, losses[round % 3], &rng);
            bool there = exists(simfs, "d/t.sst", &size);
            assert_true(there || !passed);
            assert_true(!there || whole(simfs, &model));
            ch_sst_model_release(&model);
            ch_simfs_destroy(&simfs);
        }
    }
}

/* Goal: an I/O error on a read is that call's trouble only. Method: the n-th read fails. */
static void
test_failed_reads_do_not_last(void **state)
{
    (void)state;
    ch_simfs_t *simfs;
    ch_rng_t rng;
    ch_sst_model_t model;
    setup(20, 60, &simfs, &rng, &model);
    assert_int_equal(write_model(simfs, &model), CH_OK);
    for (uint64_t nth = 1, struck = 1; struck; nth++) {
        ch_sstable_t *sstable = NULL;
        size_t errors = 0;
        assert_true(nth < 100);
        ch_simfs_set_fault(simfs, CH_SIMFS_READ | CH_SIMFS_SIZE, nth, CH_SIMFS_EIO);
        ch_status_t status = ch_sstable_open(ch_simfs_fs(simfs), "d/t.sst", 7, &sstable);
        if (status == CH_OK)
            assert_true(ch_sst_model_matches(&model, sstable, true, &errors));
        else
            assert_int_equal(status, CH_ERR_IO);
        struck = ch_simfs_fault_struck(simfs);
        assert_int_equal(errors, struck && status == CH_OK);
        ch_simfs_clear_fault(simfs);
        if (status == CH_OK)
            assert_true(ch_sst_model_matches(&model, sstable, false, &errors));
        ch_sstable_destroy(&sstable);
    }
    ch_sst_model_release(&model);
    ch_simfs_destroy(&simfs);
}

/* Goal: bytes of any kind open or do not, without a fault. Method: noise behind a valid footer's
 * magic, and noise alone. */
static void
test_noise_is_refused(void **state)
{
    (void)state;
    ch_simfs_t *simfs = ch_simfs_new(ch_test_seed());
    ch_rng_t rng;
    ch_rng_seed(&rng, ch_test_seed());
    for (int round = 0; round < 200; round++) {
        uint8_t noise[600];
        ch_file_t *file = NULL;
        ch_sstable_t *sstable = NULL;
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (uint8_t)ch_rng_next(&rng);
        if (round % 2)
            memcpy(noise + sizeof noise - 16, "\1\0\0\0xxxxCHTABLE\n", 16);
        assert_int_equal(
            ch_fs_open(ch_simfs_fs(simfs), "n", CH_FS_WRITE | CH_FS_CREATE, &file),
            CH_OK);
        assert_int_equal(ch_fs_write(file, 0, noise, sizeof noise), CH_OK);
        ch_fs_close(&file);
        assert_int_equal(ch_sstable_open(ch_simfs_fs(simfs), "n", 7, &sstable),
                         CH_ERR_CORRUPT);
    }
    ch_simfs_destroy(&simfs);
}

/* The series of the golden file. */
static void
golden_model(ch_sst_model_t *model)
{
    static const struct {
        const char *name, *labels;
    } keys[] = {{"cpu_user", "host=\"a\",os=\"linux\""},
                {"cpu_user", "host=\"b\",os=\"linux\""},
                {"motd", "host=\"a\",os=\"linux\""},
                {"temperature", ""}};
    *model = (ch_sst_model_t){.series = ch_calloc(4, sizeof *model->series), .count = 4};
    for (size_t s = 0; s < 4; s++) {
        ch_sst_model_series_t *series = &model->series[s];
        snprintf(series->name, sizeof series->name, "%s", keys[s].name);
        snprintf(series->labels, sizeof series->labels, "%s", keys[s].labels);
        for (int64_t i = 0; i < 5; i++) {
            ch_value_t value = s < 2 ? ch_value_int((int64_t)s * 10 + i * i)
                               : s == 2
                                   ? ch_value_string(ch_bytes("hello", (size_t)i + 1))
                                   : ch_value_float(21.5 + (double)i / 4);
            ch_points_append(&series->points, 1700000000000000000 + i * 10000000000,
                             value);
        }
        model->points += series->points.count;
    }
}

/* Goal: tables of format version 1 stay readable. Method: a file written once, in the tree. With
 * CH_GOLDEN_WRITE set it is written anew (for a new format version). */
static void
test_golden_file_reads_back(void **state)
{
    (void)state;
    const char *path = CH_SOURCE_DIR "/tests/golden/sstable_v1.bin";
    ch_sst_model_t model;
    ch_sstable_info_t info;
    ch_sstable_t *sstable = NULL;
    size_t errors = 0;
    golden_model(&model);
    if (getenv("CH_GOLDEN_WRITE"))
        assert_int_equal(ch_sst_model_write(&model, ch_fs_posix(), path, 1, &info),
                         CH_OK);
    assert_int_equal(ch_sstable_open(ch_fs_posix(), path, 1, &sstable), CH_OK);
    assert_true(ch_sst_model_matches(&model, sstable, false, &errors));
    assert_int_equal(ch_sstable_verify(sstable), CH_OK);
    assert_int_equal(ch_sstable_info(sstable)->lsn_min, 11);
    assert_int_equal(ch_sstable_info(sstable)->lsn_max, 42);
    assert_int_equal(ch_sstable_info(sstable)->points, 20);
    ch_sstable_destroy(&sstable);
    ch_sst_model_release(&model);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_flipped_bit_changes_an_answer),
        cmocka_unit_test(test_verify_sees_the_disk_behind_a_cache),
        cmocka_unit_test(test_tables_cut_short_are_refused),
        cmocka_unit_test(test_failed_calls_leave_nothing_half),
        cmocka_unit_test(test_power_loss_leaves_the_whole_table_or_none),
        cmocka_unit_test(test_failed_reads_do_not_last),
        cmocka_unit_test(test_noise_is_refused),
        cmocka_unit_test(test_golden_file_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
