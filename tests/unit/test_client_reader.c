/* The reader handle of libcityhall against a node that answers what the test wants. */
#include "cityhall.h"

#include "support/fake_node.h"
#include "support/notation.h"
#include "support/test.h"

#include <limits.h>

static cityhall_reader_t *
open_with(uint32_t timeout_ms, uint32_t tries)
{
    cityhall_reader_options_t options;
    cityhall_reader_t *reader;
    cityhall_reader_options_init(&options);
    options.query = node->query;
    options.timeout_ms = timeout_ms;
    options.tries = tries;
    assert_int_equal(cityhall_reader_open(&options, &reader, NULL, 0), CITYHALL_OK);
    return reader;
}

/* Patient: on a busy machine a question must not be asked twice and take the next canned answer. */
static cityhall_reader_t *
open_reader(void)
{
    return open_with(WAIT_MS, 3);
}

static void
test_ping_get_and_refusals(void **state)
{
    (void)state;
    cityhall_reader_t *reader = open_reader();
    cityhall_ping_t ping;
    cityhall_value_t value;
    int64_t time;
    WITH_NODE(node->reply[0] =
                  "{ok true node 'n' role 'leader' version '1' term 2 lsn 3}");
    assert_int_equal(cityhall_reader_ping(reader, &ping), CITYHALL_OK);
    assert_string_equal(ping.role, "leader");
    assert_int_equal(ping.lsn, 3);
    cityhall_reader_after(reader, 42, 1);
    WITH_NODE(node->reply[0] = "{ok true found true time 5 value 'text'}");
    assert_int_equal(cityhall_reader_get(reader, "k", 9, &time, &value), CITYHALL_OK);
    WITH_NODE(
        assert_string_equal(node->request, "get   -9223372036854775808 9 k lsn 42"));
    assert_int_equal(time, 5);
    assert_int_equal(value.type, CITYHALL_STRING);
    assert_memory_equal(value.as.string.data, "text", 4);
    WITH_NODE(node->reply[0] = "{ok true found false}");
    assert_int_equal(cityhall_reader_get(reader, "k", INT64_MAX, &time, &value),
                     CITYHALL_NOT_FOUND);
    WITH_NODE(node->reply[0] = "{ok false error {code 'limit' message 'too many'}}");
    assert_int_equal(cityhall_reader_get(reader, "k", INT64_MAX, &time, &value),
                     CITYHALL_ERR_REFUSED);
    assert_string_equal(cityhall_reader_code(reader), "limit");
    assert_string_equal(cityhall_reader_error(reader), "limit: too many");
    WITH_NODE(node->reply[0] = "{ok true}");
    assert_int_equal(cityhall_reader_ping(reader, &ping), CITYHALL_ERR_PROTOCOL);
    assert_string_equal(cityhall_reader_code(reader), "");
    cityhall_reader_destroy(&reader);
}

static void
test_reading_follows_the_cursor(void **state)
{
    (void)state;
    cityhall_reader_t *reader = open_reader();
    cityhall_series_t series;
    WITH_NODE(node->reply[0] = "{ok true series [[{__name__ 'm' a 'q\"'} e1(1 2) e1(5 6)]"
                               " [{__name__ 'n'} e1(1 2) e2(0.5 1.5)]] cursor b'next'}";
              node->reply[1] = "{ok true series [] cursor b'more'}";
              node->reply[2] = "{ok true series [[{__name__ 'n'} e1(3 4) [true 'x']]]}");
    assert_int_equal(cityhall_reader_read(reader, "{a=~\".*\"}", 1, INT64_MAX),
                     CITYHALL_OK);
    WITH_NODE(assert_string_equal(node->request,
                                  "read {a=~\".*\"}  1 9223372036854775807  lsn 0"));
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_OK);
    assert_string_equal(series.key, "m{a=\"q\\\"\"}");
    assert_int_equal(series.label_count, 2);
    assert_string_equal(series.labels[1].value, "q\"");
    assert_int_equal(series.count, 2);
    assert_int_equal(series.times[1], 2);
    assert_int_equal(series.ints[1], 6);
    assert_null(series.floats);
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_OK);
    assert_string_equal(series.key, "n");
    assert_true(series.floats[1] == 1.5);
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_OK);
    WITH_NODE(assert_non_null(strstr(node->request, "more")));
    assert_int_equal(series.times[0], 3);
    assert_int_equal(series.values[0].type, CITYHALL_BOOL);
    assert_memory_equal(series.values[1].as.string.data, "x", 1);
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_END);
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_END);
    cityhall_reader_destroy(&reader);
}

static void
test_queries_series_and_labels(void **state)
{
    (void)state;
    cityhall_reader_t *reader = open_reader();
    cityhall_series_t series;
    const char *const *names;
    const void *reply;
    size_t count, size;
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_ERR_ARGUMENT);
    WITH_NODE(node->reply[0] =
                  "{ok true type 'vector' result [[{a '1'} e1(9) e2(2.5)]]}");
    assert_int_equal(cityhall_reader_query(reader, "sum(up)", 9), CITYHALL_OK);
    assert_string_equal(cityhall_reader_type(reader), "vector");
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_OK);
    assert_string_equal(series.key, "{a=\"1\"}");
    assert_true(series.floats[0] == 2.5);
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_END);
    WITH_NODE(node->reply[0] = "{ok true type 'string' value 'hello'}");
    assert_int_equal(cityhall_reader_query(reader, "\"hello\"", 9), CITYHALL_OK);
    assert_string_equal(cityhall_reader_string(reader), "hello");
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_END);
    WITH_NODE(node->reply[0] = "{ok true type 'matrix' result []}");
    assert_int_equal(cityhall_reader_query_range(reader, "up", 1, 2, 1), CITYHALL_OK);
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_END);
    WITH_NODE(node->reply[0] = "{ok true series [{__name__ 'm'} {__name__ 'n' a 'b'}]}");
    assert_int_equal(cityhall_reader_series(reader, "m", INT64_MIN, INT64_MAX, 0),
                     CITYHALL_OK);
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_OK);
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_OK);
    assert_string_equal(series.key, "n{a=\"b\"}");
    assert_int_equal(series.count, 0);
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_END);
    WITH_NODE(node->reply[0] = "{ok true values ['__name__' 'host']}");
    assert_int_equal(cityhall_reader_labels(reader, NULL, &names, &count), CITYHALL_OK);
    assert_int_equal(count, 2);
    assert_string_equal(names[1], "host");
    assert_int_equal(cityhall_reader_label_values(reader, "host", "m", &names, &count),
                     CITYHALL_OK);
    assert_int_equal(cityhall_reader_op(reader, "flush", &reply, &size), CITYHALL_OK);
    assert_true(size > 5);
    assert_int_equal(cityhall_reader_op(reader, "dance", &reply, &size),
                     CITYHALL_ERR_ARGUMENT);
    ch_bytes_t request = notation("{op 'stats'}");
    assert_int_equal(
        cityhall_reader_request(reader, request.data, request.size, &reply, &size),
        CITYHALL_OK);
    request = notation("{op 'stats' id 5}");
    assert_int_equal(
        cityhall_reader_request(reader, request.data, request.size, &reply, &size),
        CITYHALL_ERR_ARGUMENT);
    cityhall_reader_destroy(&reader);
}

static void
test_a_broken_answer_is_a_protocol_error(void **state)
{
    (void)state;
    static const char *const broken[] = {"{ok true series 5}",
                                         "{ok true series [5]}",
                                         "{ok true series [[{} e1(1) e1(1 2)]]}",
                                         "{ok true series [[{a 5} e1(1) e1(1)]]}",
                                         "{ok true series [[{} e2(1) e1(1)]]}",
                                         "{ok true series [[{} e1(1) [[]]]]}",
                                         "{ok true series [[5 e1(1) e1(1)]]}"};
    cityhall_reader_t *reader = open_reader();
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        cityhall_series_t series;
        WITH_NODE(node->reply[0] = broken[i]);
        cityhall_status_t status = cityhall_reader_read(reader, "m", 0, 1);
        if (status == CITYHALL_OK)
            status = cityhall_reader_next(reader, &series);
        assert_int_equal(status, CITYHALL_ERR_PROTOCOL);
    }
    cityhall_reader_destroy(&reader);
}

/* A try that is only late counts as lost too, so there are many of them where an answer must come. */
static void
test_a_silent_node_is_asked_again(void **state)
{
    (void)state;
    cityhall_reader_t *reader = open_with(1, 1000);
    cityhall_ping_t ping;
    WITH_NODE(node->reply[0] =
                  "{ok true node 'n' role 'leader' version '1' term 2 lsn 3}";
              node->lose_questions = 2);
    assert_int_equal(cityhall_reader_ping(reader, &ping), CITYHALL_OK);
    WITH_NODE(assert_true(node->questions >= 3));
    cityhall_reader_destroy(&reader);
}

static void
test_a_node_that_stays_silent_is_a_timeout(void **state)
{
    (void)state;
    cityhall_reader_t *reader = open_with(1, 3);
    cityhall_ping_t ping;
    WITH_NODE(node->reply[0] =
                  "{ok true node 'n' role 'leader' version '1' term 2 lsn 3}";
              node->lose_questions = UINT_MAX);
    assert_int_equal(cityhall_reader_ping(reader, &ping), CITYHALL_ERR_TIMEOUT);
    assert_string_equal(strstr(cityhall_reader_error(reader), "no answer"),
                        "no answer to 3 tries");
    WITH_NODE(assert_in_range(node->questions, 0, 3); node->lose_questions = 0);
    cityhall_status_t status = CITYHALL_ERR_TIMEOUT;
    for (int i = 0; i < 100 && status == CITYHALL_ERR_TIMEOUT; i++)
        status = cityhall_reader_ping(reader, &ping);
    assert_int_equal(status, CITYHALL_OK);
    cityhall_reader_destroy(&reader);
}

int
main(void)
{
#define TEST(name)                                                                       \
    cmocka_unit_test_setup_teardown(name, fake_node_set_up, fake_node_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_ping_get_and_refusals),
        TEST(test_reading_follows_the_cursor),
        TEST(test_queries_series_and_labels),
        TEST(test_a_broken_answer_is_a_protocol_error),
        TEST(test_a_silent_node_is_asked_again),
        TEST(test_a_node_that_stays_silent_is_a_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
