/* Requests of the query socket: every op, every field, and whatever else may arrive. */
#include "ch/request.h"

#include "support/notation.h"

#include "ch/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static ch_request_t request;
static ch_limits_t limits;

static int
set_up(void **state)
{
    (void)state;
    limits = ch_limits_default();
    ch_request_init(&request);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    ch_request_release(&request);
    notation_release();
    return 0;
}

static ch_status_t
decode(const char *text)
{
    return ch_request_decode(notation(text), &limits, &request);
}

#define assert_bytes(bytes, text) assert_true(ch_bytes_equal(bytes, ch_bytes_text(text)))

/* Refused, the message names the field, and the id is still there to echo. */
static void
check_bad(const char *text, const char *word)
{
    ch_status_t status = decode(text);
    if (status != CH_ERR_INVALID || !strstr(ch_fail_text(), word))
        fail_msg("%s: %s, %s", text, ch_status_name(status), ch_fail_text());
}

static void
test_every_op_is_known_by_its_name(void **state)
{
    (void)state;
    for (int op = CH_OP_UNKNOWN + 1; op < CH_OP_COUNT; op++) {
        char text[200];
        snprintf(
            text, sizeof text,
            "{op '%s' producer 'p' epoch 1 seq 1 key 'k' match 'm' label 'l' query 'q'}",
            ch_op_name((ch_op_t)op));
        assert_int_equal(decode(text), CH_OK);
        assert_int_equal(request.op, op);
    }
    assert_string_equal(ch_op_name(CH_OP_UNKNOWN), "");
    assert_string_equal(ch_op_name(CH_OP_LABEL_VALUES), "label_values");
}

static void
test_an_unknown_op_is_no_error_here(void **state)
{
    (void)state;
    assert_int_equal(decode("{op 'sing' id 5 time 'x'}"), CH_OK);
    assert_int_equal(request.op, CH_OP_UNKNOWN);
    assert_true(ch_bytes_equal(request.id, notation("5")));
    assert_int_equal(decode("{op ''}"), CH_OK);
    assert_int_equal(request.op, CH_OP_UNKNOWN);
}

static void
test_defaults(void **state)
{
    (void)state;
    assert_int_equal(decode("{op 'read' match 'a'}"), CH_OK);
    assert_true(ch_bytes_equal(request.id, notation("nil")));
    assert_bytes(request.match, "a");
    assert_true(request.has_match);
    assert_int_equal(request.start, INT64_MIN);
    assert_int_equal(request.end, INT64_MAX);
    assert_int_equal(request.limit, 1000000);
    assert_int_equal(request.cursor.size, 0);
    assert_false(request.has_timeout_ms);
    assert_int_equal(decode("{op 'get' key 'a'}"), CH_OK);
    assert_int_equal(request.time, INT64_MAX);
    assert_int_equal(decode("{op 'series' match 'a' start nil id nil}"), CH_OK);
    assert_int_equal(request.limit, UINT64_MAX);
    assert_false(request.has_start);
    assert_int_equal(decode("{op 'ack' producer 'p' epoch 1 seq 1}"), CH_OK);
    assert_int_equal(request.level, CH_LEVEL_DURABLE);
    assert_int_equal(request.wait_ms, 0);
}

static void
test_every_field_is_read(void **state)
{
    (void)state;
    assert_int_equal(
        decode("{op 'ack' producer 'web-1/x' epoch 7 seq 9 level 'replicated'"
               " wait_ms 1000 id {a [1 2]}}"),
        CH_OK);
    assert_true(request.has_identity);
    assert_string_equal(request.producer, "web-1/x");
    assert_int_equal(request.epoch, 7);
    assert_int_equal(request.seq, 9);
    assert_int_equal(request.level, CH_LEVEL_REPLICATED);
    assert_int_equal(request.wait_ms, 1000);
    assert_true(ch_bytes_equal(request.id, notation("{a [1 2]}")));
    assert_int_equal(
        decode("{op 'read' match 'a{b=~\"c\"}' start -5 end x-1'\\x00\\x00\\x00\\x01'"
               " limit 10 cursor b'\\x00\\xff' timeout_ms 99999999999 min_lsn 3"
               " term 4}"),
        CH_OK);
    assert_bytes(request.match, "a{b=~\"c\"}");
    assert_true(request.has_start && request.has_end && request.has_limit);
    assert_int_equal(request.start, -5);
    assert_int_equal(request.end, 1000000000);
    assert_int_equal(request.limit, 10);
    assert_true(ch_bytes_equal(request.cursor, ch_bytes("\0\xff", 2)));
    assert_int_equal(request.timeout_ms, UINT32_MAX);
    assert_true(request.has_timeout_ms && request.has_min_lsn && request.has_term);
    assert_int_equal(request.min_lsn, 3);
    assert_int_equal(request.term, 4);
    assert_int_equal(decode("{op 'query' query 'up' start 1 end 5 step 2 form 'table'}"),
                     CH_OK);
    assert_bytes(request.query, "up");
    assert_int_equal(request.step, 2);
    assert_true(request.form_table && request.has_step);
    assert_int_equal(decode("{op 'label_values' label 'host' match 'a'}"), CH_OK);
    assert_bytes(request.label, "host");
    assert_int_equal(
        decode("{op 'delete' match 'a' dry_run true producer 'p' epoch 1 seq 2}"), CH_OK);
    assert_true(request.dry_run && request.has_identity);
}

static void
test_keys_are_text_or_maps(void **state)
{
    (void)state;
    assert_int_equal(decode("{op 'get' key 'm{b=\"2\",a=\"1\"}' time 5}"), CH_OK);
    assert_bytes(request.name, "m");
    assert_bytes(request.labels, "a=\"1\",b=\"2\"");
    assert_int_equal(request.time, 5);
    assert_int_equal(decode("{op 'get' key {b '2' __name__ 'm' a '1' c ''}}"), CH_OK);
    assert_bytes(request.name, "m");
    assert_bytes(request.labels, "a=\"1\",b=\"2\"");
    assert_int_equal(decode("{op 'get' key 'system.cpu.load'}"), CH_OK);
    assert_bytes(request.name, "system.cpu.load");
    assert_int_equal(request.labels.size, 0);
    static const char *const bad[] = {
        "5",
        "b'a'",
        "''",
        "'a{'",
        "{}",
        "{a '1'}",
        "{__name__ 5}",
        "{__name__ ''}",
        "{__name__ 'a' b 5}",
        "{__name__ 'a' __name__ 'b'}",
        "{__name__ 'a' b '1' b '2'}",
        "{__name__ 'a' b '\\xff'}",
        "[]",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(ch_request_decode(notation_format("{op 'get' key %s}", bad[i]),
                                           &limits, &request),
                         CH_ERR_INVALID);
    limits.labels = 1;
    assert_int_equal(decode("{op 'get' key {__name__ 'a' b '1' c '1'}}"), CH_ERR_LIMIT);
    assert_int_equal(decode("{op 'get' key 'a{b=\"1\",c=\"1\"}'}"), CH_ERR_LIMIT);
    limits.key_bytes = 5;
    assert_int_equal(decode("{op 'get' key {__name__ 'aaaaaa'}}"), CH_ERR_LIMIT);
}

static void
test_bad_fields_are_named(void **state)
{
    (void)state;
    check_bad("{}", "op");
    check_bad("{op 5}", "op");
    check_bad("{op nil}", "op");
    check_bad("{op 'ping' op 'ping'}", "op");
    check_bad("{op 'ping' id 1 id 2}", "id");
    check_bad("{op 'get'}", "key");
    check_bad("{op 'get' key nil}", "key");
    check_bad("{op 'get' key 'a' time 1.5}", "time");
    check_bad("{op 'get' key 'a' timeout_ms -1}", "timeout_ms");
    check_bad("{op 'get' key 'a' timeout_ms '1'}", "timeout_ms");
    check_bad("{op 'get' key 'a' min_lsn -1}", "min_lsn");
    check_bad("{op 'get' key 'a' min_lsn u18446744073709551615}", "min_lsn");
    check_bad("{op 'get' key 'a' term []}", "term");
    check_bad("{op 'ack' epoch 1 seq 1}", "producer");
    check_bad("{op 'ack' producer 'a b' epoch 1 seq 1}", "producer");
    check_bad("{op 'ack' producer 'a' seq 1}", "epoch");
    check_bad("{op 'ack' producer 'a' epoch 0 seq 1}", "epoch");
    check_bad("{op 'ack' producer 'a' epoch 1}", "seq");
    check_bad("{op 'ack' producer 'a' epoch 1 seq -1}", "seq is no int from 1");
    check_bad("{op 'ack' producer 'a' epoch 1 seq 0}", "seq is no int from 1");
    check_bad("{op 'ack' producer 'a' epoch 1 seq 1 level 'safe'}", "level");
    check_bad("{op 'ack' producer 'a' epoch 1 seq 1 wait_ms 1.0}", "wait_ms");
    check_bad("{op 'read'}", "match");
    check_bad("{op 'read' match ''}", "match");
    check_bad("{op 'read' match '\\xff'}", "match");
    check_bad("{op 'read' match b'a'}", "match");
    check_bad("{op 'read' match 'a' start 'now'}", "start");
    check_bad("{op 'read' match 'a' end {}}", "end");
    check_bad("{op 'read' match 'a' limit 0}", "limit");
    check_bad("{op 'read' match 'a' limit -1}", "limit");
    check_bad("{op 'read' match 'a' cursor 5}", "cursor");
    check_bad("{op 'query'}", "query");
    check_bad("{op 'query' query ''}", "query");
    check_bad("{op 'query' query 'a' start 1 end 2}", "step");
    check_bad("{op 'query' query 'a' step 1}", "start");
    check_bad("{op 'query' query 'a' start 1 end 2 step 0}", "step");
    check_bad("{op 'query' query 'a' start 2 end 1 step 1}", "end");
    check_bad("{op 'query' query 'a' start 1 end 2 step 1 time 1}", "time");
    check_bad("{op 'query' query 'a' form 'csv'}", "form");
    check_bad("{op 'label_values'}", "label");
    check_bad("{op 'delete' match 'a' dry_run 1}", "dry_run");
    check_bad("{op 'delete' match 'a' producer 'p'}", "producer");
    check_bad("{op 'delete' match 'a' producer 'p' epoch 1 seq 0}", "seq");
}

static void
test_fields_of_other_ops_are_ignored(void **state)
{
    (void)state;
    assert_int_equal(decode("{op 'ping' match 5 time 'x' 5 6 b'op' 7 nil nil}"), CH_OK);
    assert_int_equal(request.op, CH_OP_PING);
    assert_false(request.has_time);
}

static void
test_garbage_is_a_bad_request(void **state)
{
    (void)state;
    static const char *const garbage[] = {
        "",          "#c1",         "nil",           "[]",   "'ping'", "5", "#81",
        "#81a26f70", "#dfffffffff", "{op 'ping'} 5", "#c7ff"};
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        assert_int_equal(decode(garbage[i]), CH_ERR_INVALID);
        assert_true(ch_bytes_equal(request.id, notation("nil")));
    }
    assert_int_equal(decode("{id 'x' op 'ack'} 5"), CH_ERR_INVALID);
    assert_true(ch_bytes_equal(request.id, notation("'x'")));
    assert_int_equal(decode("{op 'get' key nil key 'a'}"), CH_ERR_INVALID);
    assert_int_equal(decode("{op 'get' key 'a' key nil}"), CH_ERR_INVALID);
    assert_int_equal(decode("{op 5 id 7}"), CH_ERR_INVALID);
    assert_true(ch_bytes_equal(request.id, notation("7")));
}

/* Goal: what is encoded decodes to the same. Method: fill fields at random, twice through. */
static void
test_encode_then_decode_gives_the_same(void **state)
{
    (void)state;
    const char *seed_text = getenv("CH_TEST_SEED");
    uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : ch_rng_entropy();
    print_message("CH_TEST_SEED=%llu\n", (unsigned long long)seed);
    ch_rng_t rng;
    ch_rng_seed(&rng, seed);
    for (int round = 0; round < 2000; round++) {
        ch_buffer_t out = {0}, again = {0};
        ch_request_t sent;
        ch_request_init(&sent);
        sent.op = (ch_op_t)(1 + ch_rng_below(&rng, CH_OP_COUNT - 1));
        bool query = sent.op == CH_OP_QUERY;
        sent.has_identity = sent.op == CH_OP_ACK;
        snprintf(sent.producer, sizeof sent.producer, "p%u",
                 (unsigned)ch_rng_below(&rng, 9));
        sent.epoch = 1 + ch_rng_below(&rng, 9);
        sent.seq = 1 + ch_rng_below(&rng, INT64_MAX);
        sent.level = (ch_level_t)ch_rng_below(&rng, 3);
        sent.wait_ms = (uint32_t)ch_rng_below(&rng, 3);
        sent.name = ch_bytes_text("m");
        sent.labels = ch_bytes_text(ch_rng_below(&rng, 2) ? "a=\"1\"" : "");
        sent.match = sent.label = sent.query = ch_bytes_text("text");
        sent.has_time = !query && ch_rng_below(&rng, 2);
        sent.time = (int64_t)ch_rng_next(&rng);
        sent.has_start = sent.has_end = sent.has_step = query || ch_rng_below(&rng, 2);
        sent.start = -(int64_t)ch_rng_below(&rng, INT64_MAX);
        sent.end = (int64_t)ch_rng_below(&rng, INT64_MAX);
        sent.step = 1 + (int64_t)ch_rng_below(&rng, 1000);
        sent.has_limit = ch_rng_below(&rng, 2);
        sent.limit = 1 + ch_rng_below(&rng, 1000);
        sent.cursor = ch_bytes("\1\2", ch_rng_below(&rng, 3));
        sent.has_min_lsn = sent.has_term = ch_rng_below(&rng, 2);
        sent.min_lsn = ch_rng_below(&rng, INT64_MAX);
        ch_request_encode(&sent, &out);
        assert_int_equal(ch_request_decode(ch_buffer_bytes(&out), &limits, &request),
                         CH_OK);
        assert_int_equal(request.op, sent.op);
        if (sent.op == CH_OP_GET) {
            assert_true(ch_bytes_equal(request.name, sent.name));
            assert_true(ch_bytes_equal(request.labels, sent.labels));
            assert_int_equal(request.has_time, sent.has_time);
        }
        if (sent.op == CH_OP_READ) {
            assert_int_equal(request.start, sent.has_start ? sent.start : INT64_MIN);
            assert_int_equal(request.min_lsn, sent.has_min_lsn ? sent.min_lsn : 0);
            assert_int_equal(request.cursor.size, sent.cursor.size);
        }
        if (sent.op == CH_OP_ACK) {
            assert_int_equal(request.seq, sent.seq);
            assert_int_equal(request.level, sent.level);
            assert_string_equal(request.producer, sent.producer);
        }
        ch_request_encode(&request, &again);
        ch_request_t third;
        ch_request_init(&third);
        assert_int_equal(ch_request_decode(ch_buffer_bytes(&again), &limits, &third),
                         CH_OK);
        assert_int_equal(third.op, sent.op);
        assert_int_equal(third.limit, request.limit);
        ch_request_release(&third);
        ch_buffer_release(&out);
        ch_buffer_release(&again);
    }
}

static void
test_no_prefix_of_a_request_decodes(void **state)
{
    (void)state;
    ch_bytes_t whole =
        notation("{op 'query' id [1 {a 2}] query 'sum(up)' start 1 end 5 step 2"
                 " min_lsn 300 cursor b'abc' x #c7020501ff}");
    assert_int_equal(ch_request_decode(whole, &limits, &request), CH_OK);
    for (size_t size = 0; size < whole.size; size++) {
        uint8_t *cut = malloc(size + 1);
        memcpy(cut, whole.data, size);
        assert_int_equal(ch_request_decode(ch_bytes(cut, size), &limits, &request),
                         CH_ERR_INVALID);
        free(cut);
    }
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_every_op_is_known_by_its_name),
        TEST(test_an_unknown_op_is_no_error_here),
        TEST(test_defaults),
        TEST(test_every_field_is_read),
        TEST(test_keys_are_text_or_maps),
        TEST(test_bad_fields_are_named),
        TEST(test_fields_of_other_ops_are_ignored),
        TEST(test_garbage_is_a_bad_request),
        TEST(test_encode_then_decode_gives_the_same),
        TEST(test_no_prefix_of_a_request_decodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
