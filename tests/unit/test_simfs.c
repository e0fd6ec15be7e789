/* The simulated disk keeps what it promises and can lose all that it does not. */
#include "support/simfs.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

enum { SECTOR = 512, SEEDS = 400 };

static ch_fs_t *
setup(ch_simfs_t **simfs_out)
{
    *simfs_out = ch_simfs_new(1);
    return ch_simfs_fs(*simfs_out);
}

static ch_file_t *
make(ch_fs_t *fs, const char *path, const char *text)
{
    ch_file_t *file = NULL;
    assert_int_equal(ch_fs_open(fs, path, CH_FS_WRITE | CH_FS_CREATE, &file), CH_OK);
    assert_int_equal(ch_fs_write(file, 0, text, strlen(text)), CH_OK);
    return file;
}

/* A file whose content and name are durable, closed. */
static void
make_durable(ch_fs_t *fs, const char *path, const char *text)
{
    ch_file_t *file = make(fs, path, text);
    assert_int_equal(ch_fs_sync(file), CH_OK);
    assert_int_equal(ch_fs_sync_dir(fs, ""), CH_OK);
    ch_fs_close(&file);
}

static void
overwrite(ch_fs_t *fs, const char *path, uint64_t offset, const char *text)
{
    ch_file_t *file = NULL;
    assert_int_equal(ch_fs_open(fs, path, CH_FS_WRITE, &file), CH_OK);
    assert_int_equal(ch_fs_write(file, offset, text, strlen(text)), CH_OK);
    ch_fs_close(&file);
}

/* The text of a file (at most 4095 bytes), or NULL when there is none. */
static const char *
text_of(ch_fs_t *fs, const char *path)
{
    static char text[4096];
    ch_file_t *file = NULL;
    size_t size = 0;
    if (ch_fs_open(fs, path, CH_FS_READ, &file) != CH_OK)
        return NULL;
    assert_int_equal(ch_fs_read(file, 0, text, sizeof text - 1, &size), CH_OK);
    text[size] = 0;
    ch_fs_close(&file);
    return text;
}

static bool
exists(ch_fs_t *fs, const char *path)
{
    return text_of(fs, path) != NULL;
}

static void
test_synced_content_and_names_survive_the_worst_crash(void **state)
{
    (void)state;
    ch_simfs_t *simfs;
    ch_fs_t *fs = setup(&simfs);
    make_durable(fs, "a", "hello");
    assert_int_equal(ch_simfs_unsynced(simfs), 0);
    ch_simfs_crash(simfs, CH_SIMFS_LOSE_UNSYNCED, NULL);
    assert_string_equal(text_of(fs, "a"), "hello");
    ch_simfs_destroy(&simfs);
}

static void
test_unsynced_content_is_lost_or_kept_by_mode(void **state)
{
    (void)state;
    for (int keep = 0; keep < 2; keep++) {
        ch_simfs_t *simfs;
        ch_fs_t *fs = setup(&simfs);
        make_durable(fs, "a", "hello");
        overwrite(fs, "a", 3, "ish that is longer");
        assert_int_equal(ch_simfs_unsynced(simfs), 1);
        ch_simfs_crash(simfs, keep ? CH_SIMFS_KEEP_UNSYNCED : CH_SIMFS_LOSE_UNSYNCED,
                       NULL);
        assert_string_equal(text_of(fs, "a"), keep ? "helish that is longer" : "hello");
        ch_simfs_destroy(&simfs);
    }
}

static void
test_a_synced_file_without_synced_directory_loses_its_name(void **state)
{
    (void)state;
    ch_simfs_t *simfs;
    ch_fs_t *fs = setup(&simfs);
    ch_file_t *file = make(fs, "a", "hello");
    assert_int_equal(ch_fs_sync(file), CH_OK);
    ch_fs_close(&file);
    ch_simfs_crash(simfs, CH_SIMFS_LOSE_UNSYNCED, NULL);
    assert_false(exists(fs, "a"));
    ch_simfs_destroy(&simfs);
}

static void
test_a_synced_directory_keeps_the_name_of_an_unsynced_file(void **state)
{
    (void)state;
    ch_simfs_t *simfs;
    ch_fs_t *fs = setup(&simfs);
    ch_file_t *file = make(fs, "a", "hello");
    assert_int_equal(ch_fs_sync_dir(fs, "."), CH_OK);
    ch_fs_close(&file);
    ch_simfs_crash(simfs, CH_SIMFS_LOSE_UNSYNCED, NULL);
    assert_string_equal(text_of(fs, "a"), "");
    ch_simfs_destroy(&simfs);
}

static void
test_rename_and_unlink_last_only_after_the_directory_is_synced(void **state)
{
    (void)state;
    for (int sync = 0; sync < 2; sync++) {
        ch_simfs_t *simfs;
        ch_fs_t *fs = setup(&simfs);
        make_durable(fs, "a", "new");
        make_durable(fs, "b", "old");
        make_durable(fs, "c", "gone");
        assert_int_equal(ch_fs_rename(fs, "a", "b"), CH_OK);
        assert_int_equal(ch_fs_unlink(fs, "c"), CH_OK);
        assert_string_equal(text_of(fs, "b"), "new");
        assert_false(exists(fs, "a") || exists(fs, "c"));
        if (sync)
            assert_int_equal(ch_fs_sync_dir(fs, "/"), CH_OK);
        ch_simfs_crash(simfs, CH_SIMFS_LOSE_UNSYNCED, NULL);
        assert_string_equal(text_of(fs, "b"), sync ? "new" : "old");
        assert_int_equal(exists(fs, "a"), !sync);
        assert_int_equal(exists(fs, "c"), !sync);
        ch_simfs_destroy(&simfs);
    }
}

static void
test_a_lost_directory_takes_its_files(void **state)
{
    (void)state;
    for (int sync = 0; sync < 2; sync++) {
        ch_simfs_t *simfs;
        ch_fs_t *fs = setup(&simfs);
        assert_int_equal(ch_fs_mkdir(fs, "db"), CH_OK);
        assert_int_equal(ch_fs_mkdir(fs, "db"), CH_OK);
        ch_file_t *file = make(fs, "/db/a", "hello");
        assert_int_equal(ch_fs_sync(file), CH_OK);
        assert_int_equal(ch_fs_sync_dir(fs, "db"), CH_OK);
        if (sync)
            assert_int_equal(ch_fs_sync_dir(fs, ""), CH_OK);
        ch_fs_close(&file);
        ch_simfs_crash(simfs, CH_SIMFS_LOSE_UNSYNCED, NULL);
        assert_int_equal(exists(fs, "db/a"), sync);
        ch_simfs_destroy(&simfs);
    }
}

static void
test_a_directory_moves_with_its_files_by_one_rename(void **state)
{
    (void)state;
    ch_simfs_t *simfs;
    ch_fs_t *fs = setup(&simfs);
    assert_int_equal(ch_fs_mkdir(fs, "fresh"), CH_OK);
    ch_file_t *file = make(fs, "fresh/a", "hello");
    assert_int_equal(ch_fs_sync(file), CH_OK);
    assert_int_equal(ch_fs_sync_dir(fs, "fresh"), CH_OK);
    assert_int_equal(ch_fs_rename(fs, "fresh", "db"), CH_OK);
    assert_int_equal(ch_fs_sync_dir(fs, ""), CH_OK);
    ch_fs_close(&file);
    ch_simfs_crash(simfs, CH_SIMFS_LOSE_UNSYNCED, NULL);
    assert_string_equal(text_of(fs, "db/a"), "hello");
    assert_false(exists(fs, "fresh/a"));
    ch_simfs_destroy(&simfs);
}

/* ---- random crashes: every allowed outcome turns up, no other does ---- */

typedef enum { OLD, FIRST, SECOND, VERSIONS } version_t;

/* Which version a sector holds, found by its first byte; all of it must be the same. */
static version_t
version_of(const char *text, size_t sector)
{
    const char *at = text + sector * SECTOR;
    for (size_t i = 1; i < SECTOR; i++)
        assert_int_equal(at[i], at[0]);
    return at[0] == 'o' ? OLD : at[0] == '1' ? FIRST : SECOND;
}

static void
fill(ch_file_t *file, size_t sector, size_t count, char letter)
{
    char bytes[4 * SECTOR];
    memset(bytes, letter, sizeof bytes);
    assert_int_equal(ch_fs_write(file, sector * SECTOR, bytes, count * SECTOR), CH_OK);
}

/* Sectors 0 to 2 old and durable, then 0 and 1 written, then 1 and 2. */
static void
make_versions(ch_simfs_t *simfs)
{
    ch_fs_t *fs = ch_simfs_fs(simfs);
    ch_file_t *file = make(fs, "a", "");
    fill(file, 0, 3, 'o');
    assert_int_equal(ch_fs_sync(file), CH_OK);
    assert_int_equal(ch_fs_sync_dir(fs, ""), CH_OK);
    fill(file, 0, 2, '1');
    fill(file, 1, 2, '2');
    ch_fs_close(&file);
}

static void
test_random_crashes_lose_tear_and_reorder_by_sector(void **state)
{
    (void)state;
    unsigned seen[VERSIONS][VERSIONS][VERSIONS] = {0};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        ch_rng_t rng;
        ch_rng_seed(&rng, seed);
        ch_simfs_t *simfs;
        ch_fs_t *fs = setup(&simfs);
        make_versions(simfs);
        ch_simfs_crash(simfs, CH_SIMFS_RANDOM, &rng);
        const char *text = text_of(fs, "a");
        assert_int_equal(strlen(text), 3 * SECTOR);
        seen[version_of(text, 0)][version_of(text, 1)][version_of(text, 2)]++;
        ch_simfs_destroy(&simfs);
    }
    for (int a = OLD; a < VERSIONS; a++)
        for (int b = OLD; b < VERSIONS; b++)
            for (int c = OLD; c < VERSIONS; c++)
                assert_int_equal(seen[a][b][c] > 0, a != SECOND && c != FIRST);
}

static void
test_bytes_of_one_sector_do_not_part(void **state)
{
    (void)state;
    unsigned torn = 0, both = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        ch_rng_t rng;
        ch_rng_seed(&rng, seed);
        ch_simfs_t *simfs;
        ch_fs_t *fs = setup(&simfs);
        make_durable(fs, "a", "....");
        overwrite(fs, "a", 0, "ab");
        overwrite(fs, "a", 2, "cd");
        ch_simfs_crash(simfs, CH_SIMFS_RANDOM, &rng);
        const char *text = text_of(fs, "a");
        torn += strcmp(text, "ab..") == 0;
        both += strcmp(text, "abcd") == 0;
        assert_string_not_equal(text,
                                "..cd"); /* the disk gets whole sectors from the cache */
        ch_simfs_destroy(&simfs);
    }
    assert_true(torn > 0);
    assert_true(both > 0);
}

static void
test_random_crashes_lose_size_and_content_apart(void **state)
{
    (void)state;
    unsigned zeros = 0, shorter = 0, whole = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        ch_rng_t rng;
        ch_rng_seed(&rng, seed);
        ch_simfs_t *simfs;
        ch_fs_t *fs = setup(&simfs);
        make_durable(fs, "a", "");
        overwrite(fs, "a", 0, "text");
        ch_simfs_crash(simfs, CH_SIMFS_RANDOM, &rng);
        ch_file_t *file = NULL;
        char bytes[8] = "xxxxxxx";
        size_t size = 0;
        assert_int_equal(ch_fs_open(fs, "a", CH_FS_READ, &file), CH_OK);
        assert_int_equal(ch_fs_read(file, 0, bytes, sizeof bytes, &size), CH_OK);
        shorter += size == 0;
        zeros += size == 4 && memcmp(bytes, "\0\0\0\0", 4) == 0;
        whole += size == 4 && memcmp(bytes, "text", 4) == 0;
        ch_fs_close(&file);
        ch_simfs_destroy(&simfs);
    }
    assert_true(zeros && shorter && whole);
    assert_int_equal(zeros + shorter + whole, SEEDS);
}

static void
test_a_lost_cut_keeps_nothing_written_after_it(void **state)
{
    (void)state;
    unsigned lost = 0, kept = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        ch_rng_t rng;
        ch_rng_seed(&rng, seed);
        ch_simfs_t *simfs;
        ch_fs_t *fs = setup(&simfs);
        make_durable(fs, "a", "long text");
        ch_file_t *file = NULL;
        assert_int_equal(ch_fs_open(fs, "a", CH_FS_WRITE, &file), CH_OK);
        assert_int_equal(ch_fs_truncate(file, 0), CH_OK);
        assert_int_equal(ch_fs_write(file, 0, "new", 3), CH_OK);
        ch_fs_close(&file);
        ch_simfs_crash(simfs, CH_SIMFS_RANDOM, &rng);
        const char *text = text_of(fs, "a");
        lost += strcmp(text, "long text") == 0;
        kept += strcmp(text, "new") == 0;
        assert_true(strcmp(text, "long text") == 0 || strcmp(text, "new") == 0 || !*text);
        ch_simfs_destroy(&simfs);
    }
    assert_true(lost && kept);
}

static void
test_random_crashes_lose_names_apart_but_renames_whole(void **state)
{
    (void)state;
    unsigned seen[2][2] = {0}, original = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        ch_rng_t rng;
        ch_rng_seed(&rng, seed);
        ch_simfs_t *simfs;
        ch_fs_t *fs = setup(&simfs);
        make_durable(fs, "a", "x");
        ch_file_t *file = make(fs, "other", "");
        ch_fs_close(&file);
        assert_int_equal(ch_fs_rename(fs, "a", "b"), CH_OK);
        assert_int_equal(ch_fs_rename(fs, "b", "c"), CH_OK);
        ch_simfs_crash(simfs, CH_SIMFS_RANDOM, &rng);
        assert_int_equal(exists(fs, "a") + exists(fs, "b") + exists(fs, "c"), 1);
        original += exists(fs, "a");
        seen[exists(fs, "other")][exists(fs, "c")]++;
        ch_simfs_destroy(&simfs);
    }
    assert_true(original > 0);
    assert_true(seen[0][0] && seen[0][1] && seen[1][0] && seen[1][1]);
}

static void
test_same_seed_gives_the_same_crash(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        char texts[2][4096];
        for (int run = 0; run < 2; run++) {
            ch_rng_t rng;
            ch_rng_seed(&rng, seed);
            ch_simfs_t *simfs = ch_simfs_new(7);
            make_versions(simfs);
            ch_simfs_crash(simfs, CH_SIMFS_RANDOM, &rng);
            strcpy(texts[run], text_of(ch_simfs_fs(simfs), "a"));
            ch_simfs_destroy(&simfs);
        }
        assert_string_equal(texts[0], texts[1]);
    }
}

/* ---- faults ---- */

static void
test_a_failed_sync_loses_its_writes_while_the_next_sync_says_ok(void **state)
{
    (void)state;
    ch_simfs_t *simfs;
    ch_fs_t *fs = setup(&simfs);
    make_durable(fs, "a", "....");
    ch_file_t *file = NULL;
    assert_int_equal(ch_fs_open(fs, "a", CH_FS_WRITE, &file), CH_OK);
    assert_int_equal(ch_fs_write(file, 0, "lo", 2), CH_OK);
    ch_simfs_set_fault(simfs, CH_SIMFS_SYNC, 1, CH_SIMFS_EIO);
    assert_int_equal(ch_fs_sync(file), CH_ERR_IO);
    assert_true(ch_simfs_fault_struck(simfs));
    assert_int_equal(ch_fs_write(file, 2, "ok", 2), CH_OK);
    assert_int_equal(ch_fs_sync(file), CH_OK);
    ch_fs_close(&file);
    assert_string_equal(text_of(fs, "a"), "look"); /* the page cache shows it */
    ch_simfs_crash(simfs, CH_SIMFS_KEEP_UNSYNCED, NULL);
    assert_string_equal(text_of(fs, "a"), "..ok");
    ch_simfs_destroy(&simfs);
}

static void
test_the_nth_matching_call_fails_once(void **state)
{
    (void)state;
    ch_simfs_t *simfs;
    ch_fs_t *fs = setup(&simfs);
    ch_file_t *file = make(fs, "a", "");
    ch_simfs_set_fault(simfs, CH_SIMFS_WRITE | CH_SIMFS_TRUNCATE, 2, CH_SIMFS_EIO);
    assert_int_equal(ch_fs_write(file, 0, "a", 1), CH_OK);
    assert_int_equal(ch_fs_sync(file), CH_OK);
    assert_false(ch_simfs_fault_struck(simfs));
    assert_int_equal(ch_fs_truncate(file, 0), CH_ERR_IO);
    assert_true(ch_simfs_fault_struck(simfs));
    assert_int_equal(ch_fs_truncate(file, 0), CH_OK);
    ch_simfs_set_fault(simfs, CH_SIMFS_WRITE, 1, CH_SIMFS_EIO_ON);
    assert_int_equal(ch_fs_write(file, 0, "a", 1), CH_ERR_IO);
    assert_int_equal(ch_fs_write(file, 0, "a", 1), CH_ERR_IO);
    ch_simfs_clear_fault(simfs);
    assert_int_equal(ch_fs_write(file, 0, "a", 1), CH_OK);
    ch_fs_close(&file);
    ch_simfs_destroy(&simfs);
}

static void
test_short_writes_leave_a_part_and_say_why(void **state)
{
    (void)state;
    const ch_simfs_fault_t faults[] = {CH_SIMFS_SHORT_WRITE, CH_SIMFS_ENOSPC};
    const ch_status_t expected[] = {CH_ERR_IO, CH_ERR_NOSPACE};
    for (int i = 0; i < 2; i++) {
        unsigned parts = 0;
        ch_simfs_t *simfs;
        ch_fs_t *fs = setup(&simfs);
        for (int n = 0; n < 20; n++) {
            ch_file_t *file = make(fs, "a", "");
            assert_int_equal(ch_fs_truncate(file, 0), CH_OK);
            ch_simfs_set_fault(simfs, CH_SIMFS_WRITE, 1, faults[i]);
            assert_int_equal(ch_fs_write(file, 0, "0123456789", 10), expected[i]);
            uint64_t size = 99;
            assert_int_equal(ch_fs_size(file, &size), CH_OK);
            assert_true(size < 10);
            parts += size > 0;
            ch_fs_close(&file);
        }
        assert_true(parts > 0);
        ch_simfs_destroy(&simfs);
    }
}

static void
test_a_frozen_disk_fails_every_call_until_the_crash(void **state)
{
    (void)state;
    unsigned done = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        ch_simfs_t *simfs = ch_simfs_new(seed);
        ch_fs_t *fs = ch_simfs_fs(simfs);
        make_durable(fs, "a", "hello");
        ch_file_t *file = NULL, *other = NULL;
        size_t got = 0;
        assert_int_equal(ch_fs_open(fs, "a", CH_FS_WRITE, &file), CH_OK);
        ch_simfs_set_fault(simfs, CH_SIMFS_CHANGES, 1, CH_SIMFS_FREEZE);
        assert_int_equal(ch_fs_unlink(fs, "a"), CH_ERR_IO);
        assert_int_equal(ch_fs_read(file, 0, &got, 1, &got), CH_ERR_IO);
        assert_int_equal(ch_fs_sync_dir(fs, ""), CH_ERR_IO);
        assert_int_equal(ch_fs_open(fs, "a", CH_FS_READ, &other), CH_ERR_IO);
        ch_simfs_crash(simfs, CH_SIMFS_KEEP_UNSYNCED, NULL);
        done += !exists(fs, "a");
        assert_int_equal(ch_fs_write(file, 0, "x", 1),
                         CH_ERR_IO); /* from before the loss */
        ch_fs_close(&file);
        ch_simfs_destroy(&simfs);
    }
    assert_in_range(done, 1, 39); /* the call that power failed in may have happened */
}

static void
test_a_full_disk_says_so_and_frees_by_unlink(void **state)
{
    (void)state;
    ch_simfs_t *simfs;
    ch_fs_t *fs = setup(&simfs);
    ch_simfs_set_capacity(simfs, 10);
    ch_file_t *a = make(fs, "a", "123456"), *b = make(fs, "b", "");
    uint64_t available = 0, total = 0;
    assert_int_equal(ch_fs_write(b, 0, "123456", 6), CH_ERR_NOSPACE);
    assert_string_equal(text_of(fs, "b"), "1234");
    assert_int_equal(ch_fs_space(fs, "", &available, &total), CH_OK);
    assert_int_equal(available, 0);
    assert_int_equal(total, 10);
    assert_int_equal(ch_fs_write(a, 0, "654321", 6), CH_OK); /* in place needs none */
    assert_int_equal(ch_fs_truncate(b, 5), CH_ERR_NOSPACE);
    assert_int_equal(ch_fs_unlink(fs, "a"), CH_OK);
    assert_int_equal(ch_simfs_used(simfs), 10); /* open still */
    ch_fs_close(&a);
    assert_int_equal(ch_simfs_used(simfs), 4);
    assert_int_equal(ch_fs_truncate(b, 10), CH_OK);
    ch_fs_close(&b);
    ch_simfs_destroy(&simfs);
}

/* ---- the rest of the contract ---- */

static void
test_locks_exclude_until_closed_or_crashed(void **state)
{
    (void)state;
    ch_simfs_t *simfs;
    ch_fs_t *fs = setup(&simfs);
    ch_file_t *first = NULL, *second = NULL;
    assert_int_equal(ch_fs_lock(fs, "LOCK", &first), CH_OK);
    assert_int_equal(ch_fs_lock(fs, "LOCK", &second), CH_ERR_BUSY);
    ch_fs_close(&first);
    assert_int_equal(ch_fs_lock(fs, "LOCK", &first), CH_OK);
    ch_simfs_crash(simfs, CH_SIMFS_KEEP_UNSYNCED, NULL);
    assert_int_equal(ch_fs_lock(fs, "LOCK", &second), CH_OK);
    ch_fs_close(&first); /* a dead handle frees nobody else's lock */
    assert_int_equal(ch_fs_lock(fs, "LOCK", &first), CH_ERR_BUSY);
    ch_fs_close(&second);
    ch_simfs_destroy(&simfs);
}

static void
test_errors_are_those_of_the_contract(void **state)
{
    (void)state;
    ch_simfs_t *simfs;
    ch_fs_t *fs = setup(&simfs);
    ch_file_t *file = NULL;
    make_durable(fs, "a", "x");
    assert_int_equal(ch_fs_open(fs, "no", CH_FS_READ, &file), CH_NOT_FOUND);
    assert_int_equal(ch_fs_open(fs, "no/b", CH_FS_WRITE | CH_FS_CREATE, &file),
                     CH_ERR_IO);
    assert_int_equal(
        ch_fs_open(fs, "a", CH_FS_WRITE | CH_FS_CREATE | CH_FS_EXCLUSIVE, &file),
        CH_ERR_EXISTS);
    assert_int_equal(ch_fs_unlink(fs, "no"), CH_ERR_IO);
    assert_int_equal(ch_fs_rename(fs, "no", "b"), CH_ERR_IO);
    assert_int_equal(ch_fs_mkdir(fs, "a"), CH_ERR_EXISTS);
    assert_int_equal(ch_fs_mkdir(fs, "no/dir"), CH_ERR_IO);
    assert_int_equal(ch_fs_open(fs, "a", CH_FS_READ, &file), CH_OK);
    assert_int_equal(ch_fs_write(file, 0, "x", 1), CH_ERR_IO);
    char two[2];
    assert_int_equal(ch_fs_read_exact(file, 0, two, 2), CH_ERR_CORRUPT);
    ch_fs_close(&file);
    ch_simfs_destroy(&simfs);
}

static ch_status_t
append_name(void *context, const char *name)
{
    strcat(context, name);
    return CH_OK;
}

static ch_status_t
append_path(void *context, const char *path, uint64_t size)
{
    char *text = context;
    (void)snprintf(text + strlen(text), 64 - strlen(text), "%s=%d ", path, (int)size);
    return CH_OK;
}

static void
test_lists_names_and_files(void **state)
{
    (void)state;
    ch_simfs_t *simfs;
    ch_fs_t *fs = setup(&simfs);
    char names[8] = "", files[64] = "";
    assert_int_equal(ch_fs_mkdir(fs, "d"), CH_OK);
    make_durable(fs, "x", "1");
    make_durable(fs, "d/y", "22");
    assert_int_equal(ch_fs_list(fs, "", append_name, names), CH_OK);
    assert_true(strcmp(names, "dx") == 0 || strcmp(names, "xd") == 0);
    assert_int_equal(ch_simfs_files(simfs, append_path, files), CH_OK);
    assert_string_equal(files, "d/y=2 x=1 ");
    assert_int_equal(ch_fs_list(fs, "no", append_name, names), CH_ERR_IO);
    ch_simfs_destroy(&simfs);
}

static void
test_a_flipped_bit_is_read_and_survives(void **state)
{
    (void)state;
    ch_simfs_t *simfs;
    ch_fs_t *fs = setup(&simfs);
    make_durable(fs, "a", "aa");
    assert_int_equal(ch_simfs_flip(simfs, "a", 9), CH_OK);
    assert_string_equal(text_of(fs, "a"), "ac");
    ch_simfs_crash(simfs, CH_SIMFS_LOSE_UNSYNCED, NULL);
    assert_string_equal(text_of(fs, "a"), "ac");
    assert_int_equal(ch_simfs_flip(simfs, "a", 16), CH_NOT_FOUND);
    assert_int_equal(ch_simfs_flip(simfs, "no", 0), CH_NOT_FOUND);
    ch_simfs_destroy(&simfs);
}

typedef struct watch {
    unsigned calls;
    unsigned whole; /* crashes of clones after which "a" says "hello" */
} watch_t;

static void
crash_a_clone(void *context, ch_simfs_t *simfs, ch_simfs_call_t call, const char *path)
{
    (void)call, (void)path;
    watch_t *watch = context;
    ch_simfs_t *clone = ch_simfs_clone(simfs);
    ch_simfs_crash(clone, CH_SIMFS_LOSE_UNSYNCED, NULL);
    const char *text = text_of(ch_simfs_fs(clone), "a");
    watch->calls++;
    watch->whole += text && strcmp(text, "hello") == 0;
    ch_simfs_destroy(&clone);
}

static void
test_an_observer_may_crash_a_clone_after_every_change(void **state)
{
    (void)state;
    ch_simfs_t *simfs;
    ch_fs_t *fs = setup(&simfs);
    watch_t watch = {0};
    ch_simfs_observe(simfs, CH_SIMFS_CHANGES, crash_a_clone, &watch);
    make_durable(fs, "a", "hello"); /* open, write, sync, sync_dir: only then it lasts */
    assert_int_equal(watch.calls, 4);
    assert_int_equal(watch.whole, 1);
    assert_int_equal(ch_simfs_count(simfs, CH_SIMFS_ALL), 4);
    assert_int_equal(ch_simfs_count(simfs, CH_SIMFS_SYNC), 1);
    assert_string_equal(text_of(fs, "a"), "hello");
    ch_simfs_destroy(&simfs);
}

static void
test_a_clone_keeps_unsynced_changes_and_goes_its_own_way(void **state)
{
    (void)state;
    ch_simfs_t *simfs;
    ch_fs_t *fs = setup(&simfs);
    make_durable(fs, "a", "old");
    overwrite(fs, "a", 0, "new");
    assert_int_equal(ch_fs_rename(fs, "a", "b"), CH_OK);
    ch_simfs_t *lost = ch_simfs_clone(simfs), *kept = ch_simfs_clone(simfs);
    ch_simfs_crash(lost, CH_SIMFS_LOSE_UNSYNCED, NULL);
    ch_simfs_crash(kept, CH_SIMFS_KEEP_UNSYNCED, NULL);
    assert_string_equal(text_of(ch_simfs_fs(lost), "a"), "old");
    assert_string_equal(text_of(ch_simfs_fs(kept), "b"), "new");
    assert_string_equal(text_of(fs, "b"), "new");
    assert_int_equal(ch_simfs_unsynced(simfs), 2);
    ch_simfs_destroy(&lost);
    ch_simfs_destroy(&kept);
    ch_simfs_destroy(&simfs);
}

static void *
write_many(void *context)
{
    ch_file_t *file = context;
    for (uint64_t i = 0; i < 500; i++)
        if (ch_fs_write(file, i, "x", 1) < 0 || (i % 50 == 0 && ch_fs_sync(file) < 0))
            return context;
    return NULL;
}

static void
test_threads_share_the_disk(void **state)
{
    (void)state;
    ch_simfs_t *simfs;
    ch_fs_t *fs = setup(&simfs);
    ch_file_t *files[2] = {make(fs, "a", ""), make(fs, "b", "")};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, files[i]), 0);
    for (int i = 0; i < 2; i++) {
        void *failed = files[i];
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
        ch_fs_close(&files[i]);
    }
    assert_int_equal(ch_simfs_used(simfs), 1000);
    ch_simfs_destroy(&simfs);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_synced_content_and_names_survive_the_worst_crash),
        cmocka_unit_test(test_unsynced_content_is_lost_or_kept_by_mode),
        cmocka_unit_test(test_a_synced_file_without_synced_directory_loses_its_name),
        cmocka_unit_test(test_a_synced_directory_keeps_the_name_of_an_unsynced_file),
        cmocka_unit_test(test_rename_and_unlink_last_only_after_the_directory_is_synced),
        cmocka_unit_test(test_a_lost_directory_takes_its_files),
        cmocka_unit_test(test_a_directory_moves_with_its_files_by_one_rename),
        cmocka_unit_test(test_random_crashes_lose_tear_and_reorder_by_sector),
        cmocka_unit_test(test_bytes_of_one_sector_do_not_part),
        cmocka_unit_test(test_random_crashes_lose_size_and_content_apart),
        cmocka_unit_test(test_a_lost_cut_keeps_nothing_written_after_it),
        cmocka_unit_test(test_random_crashes_lose_names_apart_but_renames_whole),
        cmocka_unit_test(test_same_seed_gives_the_same_crash),
        cmocka_unit_test(test_a_failed_sync_loses_its_writes_while_the_next_sync_says_ok),
        cmocka_unit_test(test_the_nth_matching_call_fails_once),
        cmocka_unit_test(test_short_writes_leave_a_part_and_say_why),
        cmocka_unit_test(test_a_frozen_disk_fails_every_call_until_the_crash),
        cmocka_unit_test(test_a_full_disk_says_so_and_frees_by_unlink),
        cmocka_unit_test(test_locks_exclude_until_closed_or_crashed),
        cmocka_unit_test(test_errors_are_those_of_the_contract),
        cmocka_unit_test(test_lists_names_and_files),
        cmocka_unit_test(test_a_flipped_bit_is_read_and_survives),
        cmocka_unit_test(test_an_observer_may_crash_a_clone_after_every_change),
        cmocka_unit_test(test_a_clone_keeps_unsynced_changes_and_goes_its_own_way),
        cmocka_unit_test(test_threads_share_the_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
