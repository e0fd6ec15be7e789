/* The producer's spool: what was appended comes back, whatever was cut off at the end. */
#include "client/spool.h"

#include "support/notation.h"
#include "support/test.h"

#include "ch/coding.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

static char *directory;
static char error[512];

typedef struct seen {
    uint64_t epoch, first, last;
    size_t count;
    size_t bytes;
} seen_t;

static int
set_up(void **state)
{
    (void)state;
    directory = ch_test_dir_new();
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    ch_test_dir_remove(&directory);
    notation_release();
    return 0;
}

static bool
note(void *context, uint64_t epoch, uint64_t seq, const char *producer, ch_bytes_t frame)
{
    seen_t *seen = context;
    if (strcmp(producer, "p") != 0)
        return false;
    seen->epoch = epoch;
    seen->first = seen->count ? seen->first : seq;
    seen->last = seq;
    seen->count++;
    seen->bytes += frame.size;
    return true;
}

static ch_spool_t *
open_spool(seen_t *seen)
{
    *seen = (seen_t){0};
    return ch_spool_open(directory, true, note, seen, error, sizeof error);
}

static ch_bytes_t
frame_of(uint64_t epoch, uint64_t seq)
{
    return notation_format(
        "{v 1 producer 'p' epoch #cf%016llx seq #cf%016llx points [['a' 1 %llu]]}",
        (unsigned long long)epoch, (unsigned long long)seq, (unsigned long long)seq);
}

/* A spool with batches from..to; closed again. */
static void
fill(uint64_t epoch, uint64_t from, uint64_t to)
{
    seen_t seen;
    ch_spool_t *spool = open_spool(&seen);
    assert_non_null(spool);
    for (uint64_t seq = from; seq <= to; seq++)
        assert_true(ch_spool_append(spool, seq, frame_of(epoch, seq)));
    ch_spool_destroy(&spool);
}

static void
assert_holds(uint64_t first, uint64_t last)
{
    seen_t seen;
    ch_spool_t *spool = open_spool(&seen);
    if (!spool)
        fail_msg("%s", error);
    assert_int_equal(seen.first, first);
    assert_int_equal(seen.last, last);
    assert_int_equal(seen.count, first ? last - first + 1 : 0);
    ch_spool_destroy(&spool);
}

/* The only (or i-th) spool file. */
static char *
file_name(size_t i, size_t *count_out)
{
    char pattern[512];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/*.spool", directory);
    char *name = NULL;
    *count_out = 0;
    if (glob(pattern, 0, NULL, &found) == 0) {
        *count_out = found.gl_pathc;
        name = i < found.gl_pathc ? strdup(found.gl_pathv[i]) : NULL;
        globfree(&found);
    }
    return name;
}

static void
test_crc32c_is_castagnoli(void **state)
{
    (void)state;
    uint8_t zeros[32] = {0};
    assert_int_equal(ch_crc32c("123456789", 9), 0xe3069283);
    assert_int_equal(ch_crc32c(zeros, 32), 0x8a9136aa);
    assert_int_equal(ch_crc32c("", 0), 0);
}

static void
test_what_was_appended_comes_back(void **state)
{
    (void)state;
    assert_holds(0, 0);
    fill(7, 1, 5);
    assert_holds(1, 5);
    fill(7, 6, 8);
    assert_holds(1, 8);
}

static void
test_acknowledged_files_go(void **state)
{
    (void)state;
    seen_t seen;
    size_t files;
    fill(7, 1, 3);
    fill(7, 4, 6); /* every process starts a file of its own */
    fill(7, 7, 9);
    free(file_name(0, &files));
    assert_int_equal(files, 3);
    ch_spool_t *spool = open_spool(&seen);
    ch_spool_release(spool, 5);
    free(file_name(0, &files));
    assert_int_equal(files, 2);
    ch_spool_release(spool, 9);
    free(file_name(0, &files));
    assert_int_equal(files, 0);
    assert_true(ch_spool_append(spool, 10, frame_of(7, 10)));
    ch_spool_destroy(&spool);
    assert_holds(10, 10);
}

/* Method: cut the last file at every length; what is whole before the cut comes back. */
static void
test_a_torn_end_is_cut_off(void **state)
{
    (void)state;
    size_t files, frame = frame_of(7, 1).size + 8;
    for (size_t size = 0; size <= 8 + 3 * frame; size++) {
        fill(7, 1, 3);
        char *name = file_name(0, &files);
        assert_int_equal(files, 1);
        assert_int_equal(truncate(name, (off_t)size), 0);
        uint64_t whole = size < 8 ? 0 : (size - 8) / frame;
        assert_holds(whole ? 1 : 0, whole);
        if (whole) { /* and goes on behind */
            fill(7, whole + 1, whole + 2);
            assert_holds(1, whole + 2);
        }
        free(name);
        seen_t seen;
        ch_spool_t *spool = open_spool(&seen);
        ch_spool_release(spool, 100);
        ch_spool_destroy(&spool);
    }
}

/* Method: flip each byte of the first of two files; a hole is an error, never silence. */
static void
test_damage_before_the_end_is_an_error(void **state)
{
    (void)state;
    size_t files;
    seen_t seen;
    fill(7, 1, 3);
    fill(7, 4, 6);
    char *name = file_name(0, &files);
    int fd = open(name, O_RDWR);
    struct stat info;
    assert_int_equal(fstat(fd, &info), 0);
    for (off_t at = 0; at < info.st_size; at++) {
        uint8_t byte, flipped;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        flipped = byte ^ 0x10;
        assert_int_equal(pwrite(fd, &flipped, 1, at), 1);
        ch_spool_t *spool = open_spool(&seen);
        assert_null(spool);
        assert_true(strstr(error, ".spool") != NULL);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
    free(name);
    assert_holds(1, 6);
}

static bool
three_frames(void *context, size_t i, ch_bytes_t *frame_out)
{
    (void)context;
    if (i == 3)
        return false;
    *frame_out = frame_of(9, i + 1);
    return true;
}

static void
test_rewriting_replaces_all(void **state)
{
    (void)state;
    seen_t seen;
    size_t files;
    fill(7, 40, 45);
    ch_spool_t *spool = open_spool(&seen);
    assert_true(ch_spool_rewrite(spool, three_frames, NULL));
    free(file_name(0, &files));
    assert_int_equal(files, 1);
    assert_true(ch_spool_append(spool, 4, frame_of(9, 4)));
    ch_spool_destroy(&spool);
    assert_holds(1, 4);
    spool = open_spool(&seen);
    assert_int_equal(seen.epoch, 9);
    ch_spool_destroy(&spool);
}

static void
test_a_rewrite_that_was_cut_short_keeps_the_newer_epoch(void **state)
{
    (void)state;
    seen_t seen;
    size_t files;
    fill(7, 40, 45);
    fill(9, 1, 2); /* as if the crash came before the older file was deleted */
    free(file_name(0, &files));
    assert_int_equal(files, 2);
    ch_spool_t *spool = open_spool(&seen);
    assert_non_null(spool);
    assert_int_equal(seen.epoch, 9);
    assert_int_equal(seen.first, 1);
    assert_int_equal(seen.count, 2);
    free(file_name(0, &files));
    assert_int_equal(files, 1);
    ch_spool_destroy(&spool);
}

static void
test_one_producer_at_a_time(void **state)
{
    (void)state;
    seen_t seen, other;
    ch_spool_t *spool = open_spool(&seen);
    assert_null(open_spool(&other));
    assert_true(strstr(error, "another producer") != NULL);
    ch_spool_destroy(&spool);
    spool = open_spool(&seen);
    assert_non_null(spool);
    ch_spool_destroy(&spool);
}

static void
test_files_are_split(void **state)
{
    (void)state;
    seen_t seen;
    size_t files;
    ch_spool_t *spool = open_spool(&seen);
    for (uint64_t seq = 1; seq <= 20; seq++)
        assert_true(ch_spool_append(
            spool, seq,
            notation_format("{v 1 producer 'p' epoch 7 seq %llu x '%01000000d'}",
                            (unsigned long long)seq, 0)));
    free(file_name(0, &files));
    assert_int_equal(files, 3);
    ch_spool_destroy(&spool);
    assert_holds(1, 20);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_crc32c_is_castagnoli),
        TEST(test_what_was_appended_comes_back),
        TEST(test_acknowledged_files_go),
        TEST(test_a_torn_end_is_cut_off),
        TEST(test_damage_before_the_end_is_an_error),
        TEST(test_rewriting_replaces_all),
        TEST(test_a_rewrite_that_was_cut_short_keeps_the_newer_epoch),
        TEST(test_one_producer_at_a_time),
        TEST(test_files_are_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
