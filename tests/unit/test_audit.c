/* Goal: whatever a peer writes into a request, the audit log has one printable line for it that cannot be taken for
 * another; floods are counted, not written; what cannot be a log file is refused. Method: hostile texts, a clock by hand. */
#include "support/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit.h"
#include "ch/rng.h"

enum { TEXT_MAX = 1 << 16 };

static int64_t now_ns;
static char folder[64], path[128];
static char text[TEXT_MAX];

static int64_t
by_hand(void *context)
{
    (void)context;
    return now_ns;
}

static const ch_clock_t hand = {.wall_ns = by_hand, .monotonic_ns = by_hand};

static int
set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/test_audit.XXXXXX");
    now_ns = INT64_C(1700000000000000000);
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/audit", folder);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)rmdir(path);
    return rmdir(folder);
}

static ch_audit_t *
open_audit(void)
{
    ch_audit_t *audit = NULL;
    assert_int_equal(ch_audit_new(path, NULL, &hand, &audit), CH_OK);
    return audit;
}

static size_t
read_back(void)
{
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof text - 1, file), lines = 0;
    (void)fclose(file);
    text[size] = '\0';
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    return lines;
}

static ch_job_t
delete_of(ch_bytes_t match)
{
    ch_job_t job = {.lsn = 7};
    zmq_msg_init(&job.frame);
    ch_request_init(&job.request);
    job.request.op = CH_OP_DELETE;
    job.request.match = match;
    return job;
}

static void
test_a_line_says_who_what_and_the_result(void **state)
{
    (void)state;
    ch_audit_t *audit = open_audit();
    ch_job_t job = delete_of(ch_bytes_text("m{a=\"b\"}"));
    assert_true(ch_audit_concerns(&job.request));
    ch_audit_job(audit, &job, "ok");
    ch_audit(audit, "refused", ch_bytes_text("10.0.0.1"), "disconnected", "socket=%s",
             "query");
    assert_int_equal(read_back(), 2);
    assert_non_null(strstr(text,
                           "time=2023-11-14T22:13:20.000Z level=info module=audit "
                           "event=delete who=\"\" result=ok match=\"m{a=\\\"b\\\"}\" "
                           "start=-9223372036854775808 end=9223372036854775807 lsn=7 "
                           "producer=- seq=0 more=0\n"));
    assert_non_null(strstr(text, "event=refused who=\"10.0.0.1\" result=disconnected "
                                 "socket=query more=0\n"));
    job.request.dry_run = true;
    assert_false(ch_audit_concerns(&job.request));
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    ch_audit_destroy(&audit);
}

/* Every byte is printable ASCII or part of a UTF-8 character that is no control. */
static void
check_printable(size_t lines)
{
    assert_int_equal(read_back(), lines);
    assert_true(ch_bytes_is_utf8(ch_bytes_text(text)));
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        assert_true(*at == '\n' || (*at >= 0x20 && *at != 0x7f));
        assert_false(at[0] == 0xc2 && at[1] < 0xa0);
    }
}

static void
test_hostile_texts_stay_in_their_line(void **state)
{
    (void)state;
    static const char *const hostile[] = {
        "a\nlevel=info module=audit event=delete who=\"root\" result=ok",
        "\r\x1b[2J\x1b]0;title\x07",
        "\" result=ok who=\"root",
        "\\\" \\",
        "\xc2\x9b"
        "31m\xc2\x85",
        "\x9b"
        "31m\xff\xfe\xc0\x80\xed\xa0\x80",
        "%s%n%99999d",
        "\xe2\x82\xac gr\xc3\xbc\xc3\x9f",
        "cut in the middle \xe2\x82",
    };
    ch_audit_t *audit = open_audit();
    size_t lines = 0;
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        ch_job_t job = delete_of(ch_bytes_text(hostile[i]));
        ch_audit_job(audit, &job, "ok");
        ch_audit(audit, "refused", ch_bytes_text(hostile[i]), "limit", "%s", "");
        lines += 2;
    }
    check_printable(lines);
    assert_non_null(
        strstr(text, "\xe2\x82\xac gr\xc3\xbc\xc3\x9f")); /* words stay words */
    assert_null(strstr(text, "who=\"root\"")); /* nobody can write such a field */
    ch_audit_destroy(&audit);
}

static void
test_random_bytes_of_any_length(void **state)
{
    (void)state;
    ch_rng_t rng;
    ch_rng_seed(&rng, ch_test_seed());
    ch_audit_t *audit = open_audit();
    for (size_t i = 0; i < CH_AUDIT_BURST; i++) {
        uint8_t bytes[2000];
        size_t size = (size_t)ch_rng_below(&rng, sizeof bytes);
        for (size_t j = 0; j < size; j++)
            bytes[j] = (uint8_t)ch_rng_below(&rng, 256);
        ch_job_t job = delete_of(ch_bytes(bytes, size));
        ch_audit_job(audit, &job, "ok");
    }
    check_printable(CH_AUDIT_BURST);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        assert_non_null(strstr(line, " more=0")); /* none is cut before its end */
    ch_audit_destroy(&audit);
}

static void
test_a_flood_is_counted(void **state)
{
    (void)state;
    ch_audit_t *audit = open_audit();
    for (int i = 0; i < 10000; i++)
        ch_audit(audit, "refused", ch_bytes_text("x"), "limit", "n=%d", i);
    assert_int_equal(read_back(), CH_AUDIT_BURST);
    now_ns += INT64_C(1000000000);
    for (int i = 0; i < 10000; i++)
        ch_audit(audit, "refused", ch_bytes_text("x"), "limit", "n=%d", i);
    assert_int_equal(read_back(), CH_AUDIT_BURST + CH_AUDIT_PER_SECOND);
    assert_non_null(strstr(text, " more=9900\n"));
    ch_audit_view_t view = ch_audit_view(audit);
    assert_int_equal(view.written, CH_AUDIT_BURST + CH_AUDIT_PER_SECOND);
    assert_int_equal(view.held, 20000 - view.written);
    assert_int_equal(view.lost, 0);
    ch_audit_destroy(&audit);
}

static void
test_what_cannot_be_a_log_is_refused(void **state)
{
    (void)state;
    ch_audit_t *audit = NULL;
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(ch_audit_new(path, NULL, &hand, &audit), CH_ERR_IO);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink("/dev/null", path), 0);
    assert_int_equal(ch_audit_new(path, NULL, &hand, &audit), CH_ERR_IO);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0); /* must not wait for a reader */
    assert_int_equal(ch_audit_new(path, NULL, &hand, &audit), CH_ERR_IO);
    assert_int_equal(ch_audit_new("/nowhere/at/all", NULL, &hand, &audit), CH_ERR_IO);
    assert_null(audit);
}

int
main(void)
{
#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        EACH(test_a_line_says_who_what_and_the_result),
        EACH(test_hostile_texts_stay_in_their_line),
        EACH(test_random_bytes_of_any_length),
        EACH(test_a_flood_is_counted),
        EACH(test_what_cannot_be_a_log_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
