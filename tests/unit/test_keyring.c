/* Goal: authorized_keys says exactly what the table holds, every mistake gets one line with its place, and
 * changes touch one line. Method: texts with known answers; files in a temporary directory. */
#include "support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ch/keyring_edit.h"

#define KEY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_C "-ccccccccccccccccccccccccccccccccccccccc"

static ch_status_t
check_series(const char *text)
{
    return text[0] == '{' ? CH_OK : ch_fail(CH_ERR_PARSE, "no brace");
}

static ch_status_t
parse(const char *text, ch_keyring_t **keyring_out)
{
    return ch_keyring_parse(ch_bytes_text(text), "keys", check_series, keyring_out);
}

static void
refused(const char *text, const char *said)
{
    ch_keyring_t *keyring = NULL;
    if (parse(text, &keyring) == CH_OK)
        fail_msg("taken: %s", text);
    assert_null(keyring);
    if (!strstr(ch_fail_text(), said))
        fail_msg("\"%s\" does not say \"%s\"", ch_fail_text(), said);
    assert_null(strchr(ch_fail_text(), '\n'));
}

static void
test_a_line_says_who_may_do_what(void **state)
{
    (void)state;
    ch_keyring_t *keyring = NULL;
    const char *text =
        "# agents\n\n" KEY_A "  write,read \tfleet/a producer=fleet/ rate=500 "
        "series={site=\"a b\"}  \r\n#" KEY_A " write off\n" KEY_C
        " admin ops # no comment";
    refused(text, "keys:5: behind the name");
    text = "# agents\n\n" KEY_A "  write,read \tfleet/a producer=fleet/ rate=500 "
           "series={site=\"a b\"}  \r\n#" KEY_A " write off\n" KEY_C " admin ops";
    assert_int_equal(parse(text, &keyring), CH_OK);
    assert_int_equal(ch_keyring_count(keyring), 2);
    const ch_key_t *key = ch_keyring_find(keyring, ch_bytes_text(KEY_A));
    assert_non_null(key);
    assert_string_equal(key->name, "fleet/a");
    assert_int_equal(key->roles, CH_ROLE_WRITE | CH_ROLE_READ);
    assert_string_equal(key->producer, "fleet/");
    assert_string_equal(key->series, "{site=\"a b\"}");
    assert_int_equal(key->rate, 500);
    assert_int_equal(key->line, 3);
    key = ch_keyring_find(keyring, ch_bytes_text(KEY_C));
    assert_string_equal(key->name, "ops");
    assert_string_equal(key->series, "");
    assert_null(ch_keyring_find(keyring, ch_bytes_text("x")));
    char roles[40];
    ch_roles_format(CH_ROLE_ANY, roles);
    assert_string_equal(roles, "write,read,replicate,admin");
    ch_keyring_t *other = ch_keyring_ref(keyring);
    ch_keyring_drop(&keyring);
    assert_int_equal(ch_keyring_count(other), 2);
    ch_keyring_drop(&other);
}

static void
test_every_mistake_has_its_place(void **state)
{
    (void)state;
    refused("x", "keys:1: the first word is no public key");
    refused("\n" KEY_A, "keys:2: the key has no roles");
    refused(KEY_A " read", "keys:1: the key has no name");
    refused(KEY_A " reed a", "no role reed; did you mean read?");
    refused(KEY_A " read, a", "no role at a comma");
    refused(KEY_A " read a b", "behind the name there may be");
    refused(KEY_A " read a\"b", "a name is 1 to 64");
    refused(KEY_A " write a rate=0", "rate= is a whole number");
    refused(KEY_A " write a rate=1e3", "rate= is a whole number");
    refused(KEY_A " write a rate=1 rate=2", "rate= stands there twice");
    refused(KEY_A " write a producer=", "producer= is 1 to 64");
    refused(KEY_A " read a producer=p", "go with the role write");
    refused(KEY_A " read a series=x", "keys:1: series=: no brace");
    refused(KEY_A " read,admin a series={}", "does not bind the roles admin");
    refused(KEY_A " read a\n" KEY_C " read a", "keys:2: the same name stands in line 1");
    refused(KEY_A " read a\n#\n" KEY_A " read b",
            "keys:3: the same key stands in line 1");
    refused(KEY_A " read a\001", "byte 48 is a control character");
    refused(KEY_A " read a series={\xff}", "no UTF-8");
    char *line = calloc(1, CH_KEYRING_LINE_MAX + 2);
    memset(line, '#', CH_KEYRING_LINE_MAX + 1);
    refused(line, "keys:1: the line is longer than");
    free(line);
}

static void
test_no_key_begins_as_a_comment_does(void **state)
{
    (void)state;
    uint8_t bytes[CH_KEY_BYTES];
    char text[CH_KEY_TEXT_BYTES];
    memset(bytes, 0xff, sizeof bytes); /* the greatest key */
    ch_z85_encode(bytes, text);
    assert_memory_equal(text, "%nSc0", 5);
    memcpy(text, "#0000", 5);
    assert_false(ch_z85_decode(text, CH_KEY_TEXT, bytes));
    memcpy(text, "%nSc1", 5);
    assert_false(ch_z85_decode(text, CH_KEY_TEXT, bytes));
}

static void
test_z85_is_the_text_of_its_rfc(void **state)
{
    (void)state;
    /* RFC 32: 86 4F D2 6F B5 59 F7 5B is HelloWorld */
    static const uint8_t hello[] = {0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b};
    uint8_t key[CH_KEY_BYTES], back[CH_KEY_BYTES];
    char text[CH_KEY_TEXT_BYTES];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = hello[i % 8];
    ch_z85_encode(key, text);
    assert_string_equal(text, "HelloWorldHelloWorldHelloWorldHelloWorld");
    assert_true(ch_z85_decode(text, CH_KEY_TEXT, back));
    assert_memory_equal(key, back, sizeof key);
    assert_false(ch_z85_decode(text, CH_KEY_TEXT - 1, back));
    text[7] = '"';
    assert_false(ch_z85_decode(text, CH_KEY_TEXT, back));
    memset(text, '#', CH_KEY_TEXT);
    assert_false(ch_z85_decode(text, CH_KEY_TEXT, back));
}

/* ---- the file */

typedef struct fixture {
    char folder[64], path[80];
} fixture_t;

static int
set_up(void **state)
{
    fixture_t *fixture = calloc(1, sizeof *fixture);
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/ch-keyring-XXXXXX");
    if (!mkdtemp(fixture->folder))
        return -1;
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/keys", fixture->folder);
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    fixture_t *fixture = *state;
    (void)unlink(fixture->path);
    (void)rmdir(fixture->folder);
    free(fixture);
    return 0;
}

static void
write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void
assert_file(const char *path, const char *text)
{
    char found[1024] = "";
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t size = fread(found, 1, sizeof found - 1, file);
    found[size] = '\0';
    (void)fclose(file);
    assert_string_equal(found, text);
}

static void
test_a_change_touches_one_line(void **state)
{
    const fixture_t *fixture = *state;
    const char *path = fixture->path;
    assert_int_equal(ch_keyring_edit_add(path, KEY_A " read a", check_series), CH_OK);
    assert_file(path, KEY_A " read a\n");
    write_file(path, "# ours\n" KEY_A " read a  # x\n");
    assert_int_equal(ch_keyring_edit_add(path, KEY_C " read c", check_series),
                     CH_ERR_PARSE);
    write_file(path, "# ours\n  " KEY_A "  read a\n# end");
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(ch_keyring_edit_add(path, KEY_C " read a", check_series),
                     CH_ERR_PARSE);
    assert_int_equal(ch_keyring_edit_add(path, KEY_C " read c", check_series), CH_OK);
    assert_file(path, "# ours\n  " KEY_A "  read a\n# end\n" KEY_C " read c\n");
    struct stat found;
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0640);
    assert_int_equal(ch_keyring_edit_remove(path, "nobody", check_series), CH_NOT_FOUND);
    assert_int_equal(ch_keyring_edit_remove(path, "a", check_series), CH_OK);
    assert_file(path, "# ours\n# end\n" KEY_C " read c\n");
    assert_int_equal(ch_keyring_edit_remove(path, KEY_C, check_series), CH_OK);
    assert_file(path, "# ours\n# end\n");
    write_file(path, KEY_C " read c\n");
    assert_int_equal(ch_keyring_edit_remove(path, "c", check_series), CH_OK);
    assert_file(path, "# no keys\n");
}

static void
test_a_table_that_others_may_write_is_refused(void **state)
{
    const fixture_t *fixture = *state;
    ch_keyring_t *keyring = NULL;
    write_file(fixture->path, KEY_A " read a\n");
    assert_int_equal(chmod(fixture->path, 0644), 0);
    assert_int_equal(ch_keyring_load(fixture->path, check_series, &keyring), CH_OK);
    ch_keyring_drop(&keyring);
    assert_int_equal(chmod(fixture->path, 0664), 0);
    assert_int_equal(ch_keyring_load(fixture->path, check_series, &keyring),
                     CH_ERR_INVALID);
    assert_non_null(strstr(ch_fail_text(), "lets others write who gets in"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_says_who_may_do_what),
        cmocka_unit_test(test_every_mistake_has_its_place),
        cmocka_unit_test(test_no_key_begins_as_a_comment_does),
        cmocka_unit_test(test_z85_is_the_text_of_its_rfc),
        cmocka_unit_test_setup_teardown(test_a_change_touches_one_line, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_table_that_others_may_write_is_refused,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
