/* The machine's file system behind ch/fs.h: what it returns, and that errors are named. */
#include "ch/fs.h"

#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "os/thread.h"

static char directory[64];
static char path_buffers[4][128];

/* A path inside the test's directory; four may be in use at once. */
static const char *
in_directory(const char *name)
{
    static unsigned next;
    char *path = path_buffers[next++ % 4];
    (void)snprintf(path, sizeof path_buffers[0], "%s/%s", directory, name);
    return path;
}

static int
setup(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/test_fs.XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int
remove_entry(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about, (void)kind, (void)where;
    return remove(path);
}

static int
teardown(void **state)
{
    (void)state;
    return nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static ch_file_t *
open_new(const char *name)
{
    ch_file_t *file = NULL;
    unsigned flags = CH_FS_WRITE | CH_FS_CREATE | CH_FS_EXCLUSIVE;
    assert_int_equal(ch_fs_open(ch_fs_posix(), in_directory(name), flags, &file), CH_OK);
    return file;
}

static void
test_reads_what_was_written_and_stops_at_the_end(void **state)
{
    (void)state;
    ch_file_t *file = open_new("a");
    char text[8] = "";
    size_t size = 99;
    assert_int_equal(ch_fs_write(file, 2, "hello", 5), CH_OK);
    assert_int_equal(ch_fs_read(file, 0, text, sizeof text, &size), CH_OK);
    assert_int_equal(size, 7);
    assert_memory_equal(text, "\0\0hello", 7);
    assert_int_equal(ch_fs_read(file, 100, text, sizeof text, &size), CH_OK);
    assert_int_equal(size, 0);
    assert_int_equal(ch_fs_sync(file), CH_OK);
    ch_fs_close(&file);
    assert_null(file);
    ch_fs_close(&file);
}

/* A hint changes nothing that can be read, wherever it points; not even a file opened for reading minds it. */
static void
test_writing_out_early_changes_nothing(void **state)
{
    (void)state;
    char back[6] = {0};
    uint64_t size = 0;
    ch_file_t *file = open_new("early");
    assert_int_equal(ch_fs_write(file, 0, "abcdef", 6), CH_OK);
    ch_fs_write_out(file, 0, 6);
    ch_fs_write_out(file, 4, 100);
    ch_fs_write_out(file, UINT64_MAX, 6);
    assert_int_equal(ch_fs_size(file, &size), CH_OK);
    assert_int_equal(size, 6);
    assert_int_equal(ch_fs_read_exact(file, 0, back, sizeof back), CH_OK);
    assert_memory_equal(back, "abcdef", sizeof back);
    assert_int_equal(ch_fs_sync(file), CH_OK);
    ch_fs_close(&file);
    assert_int_equal(ch_fs_open(ch_fs_posix(), in_directory("early"), CH_FS_READ, &file),
                     CH_OK);
    ch_fs_write_out(file, 0, 6);
    ch_fs_close(&file);
}

static void
test_read_exact_refuses_a_file_that_ends_early(void **state)
{
    (void)state;
    ch_file_t *file = open_new("a");
    char text[8];
    assert_int_equal(ch_fs_write(file, 0, "hello", 5), CH_OK);
    assert_int_equal(ch_fs_read_exact(file, 1, text, 4), CH_OK);
    assert_memory_equal(text, "ello", 4);
    assert_int_equal(ch_fs_read_exact(file, 1, text, 5), CH_ERR_CORRUPT);
    assert_int_equal(ch_fs_read_exact(file, 9, text, 1), CH_ERR_CORRUPT);
    ch_fs_close(&file);
}

static void
test_truncate_cuts_and_grows(void **state)
{
    (void)state;
    ch_file_t *file = open_new("a");
    uint64_t size = 0;
    char text[6] = "";
    assert_int_equal(ch_fs_write(file, 0, "hello", 5), CH_OK);
    assert_int_equal(ch_fs_truncate(file, 2), CH_OK);
    assert_int_equal(ch_fs_truncate(file, 5), CH_OK);
    assert_int_equal(ch_fs_size(file, &size), CH_OK);
    assert_int_equal(size, 5);
    assert_int_equal(ch_fs_read_exact(file, 0, text, 5), CH_OK);
    assert_memory_equal(text, "he\0\0\0", 5);
    ch_fs_close(&file);
}

/* Goal: descriptors that connections have used up come back, as room on a disk does; the log must wait
 * for them, not die. */
static void
test_no_descriptor_left_is_want_of_room(void **state)
{
    (void)state;
    struct rlimit before, none;
    ch_file_t *file = NULL;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    const char *path = in_directory("a");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    ch_status_t status =
        ch_fs_open(ch_fs_posix(), path, CH_FS_WRITE | CH_FS_CREATE, &file);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(status, CH_ERR_NOSPACE);
    assert_non_null(strstr(ch_fail_text(), "open files"));
}

static void
test_offsets_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    ch_file_t *file = open_new("a");
    char byte = 0;
    size_t got = 0;
    assert_int_equal(ch_fs_read(file, UINT64_MAX, &byte, 1, &got), CH_ERR_IO);
    assert_int_equal(ch_fs_write(file, INT64_MAX, &byte, 1), CH_ERR_IO);
    assert_int_equal(ch_fs_truncate(file, UINT64_MAX), CH_ERR_IO);
    ch_fs_close(&file);
}

static void
test_open_says_what_is_wrong(void **state)
{
    (void)state;
    ch_fs_t *fs = ch_fs_posix();
    ch_file_t *file = open_new("a");
    ch_fs_close(&file);
    unsigned create = CH_FS_WRITE | CH_FS_CREATE;
    assert_int_equal(ch_fs_open(fs, in_directory("b"), CH_FS_READ, &file), CH_NOT_FOUND);
    assert_int_equal(ch_fs_open(fs, in_directory("a"), create | CH_FS_EXCLUSIVE, &file),
                     CH_ERR_EXISTS);
    assert_int_equal(ch_fs_open(fs, in_directory("no/b"), create, &file), CH_ERR_IO);
    assert_non_null(strstr(ch_fail_text(), "no/b"));
    assert_non_null(strstr(ch_fail_text(), "open"));
    assert_int_equal(ch_fs_open(fs, directory, CH_FS_READ, &file), CH_ERR_IO);
    assert_int_equal(mkfifo(in_directory("pipe"), 0600), 0);
    assert_int_equal(ch_fs_open(fs, in_directory("pipe"), CH_FS_READ, &file), CH_ERR_IO);
    assert_null(file);
    assert_int_equal(ch_fs_open(fs, in_directory("a"), CH_FS_READ, &file), CH_OK);
    assert_int_equal(ch_fs_write(file, 0, "x", 1), CH_ERR_IO);
    ch_fs_close(&file);
}

static ch_status_t
count_name(void *context, const char *name)
{
    unsigned *count = context;
    assert_true(strcmp(name, "a") == 0 || strcmp(name, "b") == 0 ||
                strcmp(name, "d") == 0);
    (*count)++;
    return CH_OK;
}

static ch_status_t
stop_at_once(void *context, const char *name)
{
    (void)name;
    ++*(unsigned *)context;
    return CH_END;
}

static void
test_names_are_made_moved_listed_and_removed(void **state)
{
    (void)state;
    ch_fs_t *fs = ch_fs_posix();
    unsigned count = 0;
    ch_file_t *a = open_new("a"), *c = open_new("c");
    ch_fs_close(&a);
    assert_int_equal(ch_fs_mkdir(fs, in_directory("d")), CH_OK);
    assert_int_equal(ch_fs_mkdir(fs, in_directory("d")), CH_OK);
    assert_int_equal(ch_fs_mkdir(fs, in_directory("a")), CH_ERR_EXISTS);
    assert_int_equal(ch_fs_rename(fs, in_directory("c"), in_directory("b")), CH_OK);
    assert_int_equal(ch_fs_sync_dir(fs, directory), CH_OK);
    assert_int_equal(ch_fs_list(fs, directory, count_name, &count), CH_OK);
    assert_int_equal(count, 3);
    count = 0;
    assert_int_equal(ch_fs_list(fs, directory, stop_at_once, &count), CH_END);
    assert_int_equal(count, 1);
    assert_int_equal(ch_fs_unlink(fs, in_directory("b")), CH_OK);
    assert_int_equal(ch_fs_unlink(fs, in_directory("b")), CH_ERR_IO);
    assert_int_equal(ch_fs_rename(fs, in_directory("b"), in_directory("c")), CH_ERR_IO);
    assert_int_equal(ch_fs_list(fs, in_directory("no"), count_name, &count), CH_ERR_IO);
    assert_int_equal(ch_fs_sync_dir(fs, in_directory("no")), CH_ERR_IO);
    assert_int_equal(ch_fs_hold_dir(fs, in_directory("no")), CH_ERR_IO);
    ch_fs_close(&c);
}

/* Goal: who holds a directory can sync it when there is no descriptor left. */
static void
test_a_held_directory_is_synced_without_a_descriptor(void **state)
{
    (void)state;
    ch_fs_t *fs = ch_fs_posix();
    ch_file_t *file = NULL;
    struct rlimit before, none;
    assert_int_equal(ch_fs_mkdir(fs, in_directory("held")), CH_OK);
    assert_int_equal(ch_fs_hold_dir(fs, in_directory("held")), CH_OK);
    assert_int_equal(ch_fs_hold_dir(fs, in_directory("held")), CH_OK);
    ch_fs_drop_dir(fs, in_directory("held"));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    ch_status_t held = ch_fs_sync_dir(fs, in_directory("held"));
    ch_status_t other = ch_fs_sync_dir(fs, directory);
    ch_status_t opened =
        ch_fs_open(fs, in_directory("full"), CH_FS_WRITE | CH_FS_CREATE, &file);
    ch_fs_drop_dir(fs, in_directory("held"));
    ch_status_t dropped = ch_fs_sync_dir(fs, in_directory("held"));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(held, CH_OK);
    assert_int_equal(other, CH_ERR_IO);
    assert_int_equal(opened, CH_ERR_NOSPACE);
    assert_int_equal(dropped, CH_ERR_IO);
}

static void
test_a_lock_is_held_by_one_until_closed(void **state)
{
    (void)state;
    ch_fs_t *fs = ch_fs_posix();
    ch_file_t *first = NULL, *second = NULL;
    assert_int_equal(ch_fs_lock(fs, in_directory("LOCK"), &first), CH_OK);
    assert_int_equal(ch_fs_lock(fs, in_directory("LOCK"), &second), CH_ERR_BUSY);
    assert_null(second);
    ch_fs_close(&first);
    assert_int_equal(ch_fs_lock(fs, in_directory("LOCK"), &second), CH_OK);
    ch_fs_close(&second);
}

/* Files come by a descriptor when sockets and all else cannot. */
static void
test_files_have_a_reserve_of_descriptors(void **state)
{
    (void)state;
    struct rlimit before, now;
    enum { HARD = 256 };
    int taken[HARD];
    size_t count = 0;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    pid_t child = fork(); /* the hard limit cannot be raised again */
    assert_true(child >= 0);
    if (child == 0) {
        now = (struct rlimit){.rlim_cur = HARD, .rlim_max = HARD};
        if (setrlimit(RLIMIT_NOFILE, &now) != 0)
            _exit(2);
        ch_fs_posix_reserve();
        while (count < HARD && (taken[count] = dup(STDERR_FILENO)) >= 0)
            count++;
        ch_file_t *file = NULL;
        ch_status_t status = ch_fs_open(ch_fs_posix(), in_directory("reserve"),
                                        CH_FS_WRITE | CH_FS_CREATE, &file);
        _exit(status == CH_OK && dup(STDERR_FILENO) < 0 ? 0 : 1);
    }
    int code = 0;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
}

static void
test_space_is_plausible(void **state)
{
    (void)state;
    uint64_t available = 0, total = 0;
    assert_int_equal(ch_fs_space(ch_fs_posix(), directory, &available, &total), CH_OK);
    assert_true(total > 1 << 20);
    assert_true(available <= total);
}

static void *
read_mask(void *context)
{
    (void)pthread_sigmask(SIG_SETMASK, NULL, context);
    return NULL;
}

static void
test_threads_leave_signals_to_others(void **state)
{
    (void)state;
    pthread_t thread;
    sigset_t mask, own;
    sigemptyset(&mask);
    ch_thread_start(&thread, "test-mask", read_mask, &mask);
    ch_thread_join(thread);
    assert_true(sigismember(&mask, SIGTERM) && sigismember(&mask, SIGINT));
    assert_false(sigismember(&mask, SIGSEGV));
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &own), 0);
    assert_false(sigismember(&own, SIGTERM)); /* the starter's own mask is as it was */
}

int
main(void)
{
#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        EACH(test_reads_what_was_written_and_stops_at_the_end),
        EACH(test_writing_out_early_changes_nothing),
        EACH(test_read_exact_refuses_a_file_that_ends_early),
        EACH(test_truncate_cuts_and_grows),
        EACH(test_no_descriptor_left_is_want_of_room),
        EACH(test_offsets_that_do_not_fit_are_refused),
        EACH(test_open_says_what_is_wrong),
        EACH(test_names_are_made_moved_listed_and_removed),
        EACH(test_a_held_directory_is_synced_without_a_descriptor),
        EACH(test_a_lock_is_held_by_one_until_closed),
        EACH(test_files_have_a_reserve_of_descriptors),
        EACH(test_space_is_plausible),
        EACH(test_threads_leave_signals_to_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
