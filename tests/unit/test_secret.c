/* Goal: a secret key comes only from a file that is nobody else's, and messages never hold it. Method: each
 * wrong kind of file, and texts with known mistakes. */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ch/secret.h"

#define PUBLIC "HelloWorldHelloWorldHelloWorldHelloWorld"
#define SECRET "WorldHelloWorldHelloWorldHelloWorldHello"
#define PAIR "public " PUBLIC "\nsecret " SECRET "\n"

typedef struct fixture {
    char folder[64], path[80], other[80];
} fixture_t;

static int
set_up(void **state)
{
    fixture_t *fixture = calloc(1, sizeof *fixture);
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/ch-secret-XXXXXX");
    if (!mkdtemp(fixture->folder))
        return -1;
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/key", fixture->folder);
    (void)snprintf(fixture->other, sizeof fixture->other, "%s/other", fixture->folder);
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    fixture_t *fixture = *state;
    (void)unlink(fixture->path);
    (void)rmdir(fixture->path);
    (void)unlink(fixture->other);
    (void)rmdir(fixture->folder);
    free(fixture);
    return 0;
}

static void
write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void
refused(const char *path, const char *said)
{
    ch_secret_t *secret = NULL;
    if (ch_secret_load(path, &secret) == CH_OK)
        fail_msg("taken, though: %s", said);
    assert_null(secret);
    if (!strstr(ch_fail_text(), said))
        fail_msg("\"%s\" does not say \"%s\"", ch_fail_text(), said);
    assert_non_null(strstr(ch_fail_text(), path));
    assert_null(strchr(ch_fail_text(), '\n'));
    assert_null(strstr(ch_fail_text(), "WorldHello"));
}

static void
test_what_is_saved_is_loaded(void **state)
{
    const fixture_t *fixture = *state;
    ch_secret_t *secret = NULL, *again = NULL;
    struct stat found;
    assert_int_equal(ch_secret_new(&secret), CH_OK);
    memcpy(secret->public_key, PUBLIC, CH_KEY_TEXT_BYTES);
    memcpy(secret->secret_key, SECRET, CH_KEY_TEXT_BYTES);
    memcpy(secret->server_key, PUBLIC, CH_KEY_TEXT_BYTES);
    assert_int_equal(ch_secret_save(fixture->path, secret), CH_OK);
    assert_int_equal(stat(fixture->path, &found), 0);
    assert_int_equal(found.st_mode & 07777, 0600);
    assert_int_equal(ch_secret_load(fixture->path, &again), CH_OK);
    assert_string_equal(again->public_key, PUBLIC);
    assert_string_equal(again->secret_key, SECRET);
    assert_string_equal(again->server_key, PUBLIC);
    memcpy(secret->secret_key, PUBLIC, CH_KEY_TEXT_BYTES);
    assert_int_equal(ch_secret_save(fixture->path, secret), CH_ERR_EXISTS);
    ch_secret_destroy(&again);
    assert_int_equal(ch_secret_load(fixture->path, &again), CH_OK);
    assert_string_equal(again->secret_key, SECRET);
    ch_secret_destroy(&again);
    ch_secret_destroy(&secret);
}

static void
test_files_that_others_have_a_hand_in_are_refused(void **state)
{
    const fixture_t *fixture = *state;
    refused(fixture->path, "No such file");
    write_file(fixture->path, PAIR, 0644);
    refused(fixture->path, "its mode 0644 lets others at the secret key");
    assert_int_equal(chmod(fixture->path, 0620), 0);
    refused(fixture->path, "its mode 0620");
    assert_int_equal(chmod(fixture->path, 0600), 0);
    assert_int_equal(symlink(fixture->path, fixture->other), 0);
    refused(fixture->other, "is a symbolic link");
    write_file(fixture->path, "", 0600);
    refused(fixture->path, "is empty");
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(mkfifo(fixture->path, 0600), 0);
    refused(fixture->path, "is a pipe");
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(mkdir(fixture->path, 0700), 0);
    refused(fixture->path, "is a directory");
}

static void
test_a_file_of_another_owner_is_refused(void **state)
{
    const fixture_t *fixture = *state;
    write_file(fixture->path, PAIR, 0600);
    if (geteuid() != 0) {
        print_message("left out: only root can give a file away\n");
        skip();
    }
    assert_int_equal(chown(fixture->path, 12345, 0), 0);
    refused(fixture->path, "belongs to uid 12345");
}

static void
test_mistakes_in_the_text_have_their_place(void **state)
{
    const fixture_t *fixture = *state;
    write_file(fixture->path, "public " PUBLIC "\n", 0600);
    refused(fixture->path, "has no secret key");
    write_file(fixture->path, "secret " SECRET "\n", 0600);
    refused(fixture->path, "has no public key");
    write_file(fixture->path, PAIR "secret " SECRET "\n", 0600);
    refused(fixture->path, "key:3: the secret key stands there twice");
    write_file(fixture->path, "#\nsecret " SECRET "x\n", 0600);
    refused(fixture->path, "key:2: the secret key is not 40");
    write_file(fixture->path, SECRET "\n", 0600);
    refused(fixture->path, "key:1: the line is none of");
    write_file(fixture->path, "secret", 0600);
    refused(fixture->path, "key:1: the secret key is not 40");
    char *text = calloc(1, 4096);
    memset(text, '#', 4095);
    write_file(fixture->path, text, 0600);
    free(text);
    refused(fixture->path, "is longer than 2048 bytes");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_saved_is_loaded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files_that_others_have_a_hand_in_are_refused,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_file_of_another_owner_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_mistakes_in_the_text_have_their_place,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
