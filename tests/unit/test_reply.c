/* Replies: what the node writes, msgpack-c reads; what a client reads comes back the same. */
#include "ch/reply.h"
#include "ch/reply_view.h"

#include "support/notation.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <msgpack.h>

static ch_reply_t reply;
static ch_reply_view_t view;

static int
set_up(void **state)
{
    (void)state;
    ch_reply_init(&reply, 8 << 20);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    ch_reply_release(&reply);
    notation_release();
    return 0;
}

/* Print a frame by msgpack-c, the reference. */
static void
print_frame(ch_bytes_t frame, char *text, size_t size)
{
    msgpack_unpacked unpacked;
    size_t offset = 0;
    msgpack_unpacked_init(&unpacked);
    assert_int_equal(
        msgpack_unpack_next(&unpacked, (const char *)frame.data, frame.size, &offset),
        MSGPACK_UNPACK_SUCCESS);
    assert_int_equal(offset, frame.size);
    assert_true(msgpack_object_print_buffer(text, size, unpacked.data) > 0);
    msgpack_unpacked_destroy(&unpacked);
}

static ch_bytes_t
finish(void)
{
    ch_bytes_t frame;
    assert_int_equal(ch_reply_finish(&reply, &frame), CH_OK);
    assert_int_equal(ch_reply_view_open(frame, &view), CH_OK);
    return frame;
}

static void
assert_prints(ch_bytes_t frame, const char *expected)
{
    char text[4096];
    print_frame(frame, text, sizeof text);
    assert_string_equal(text, expected);
}

static void
test_the_envelope_echoes_the_id(void **state)
{
    (void)state;
    ch_reply_begin(&reply, notation("{a [1 2.5]}"));
    assert_prints(finish(), "{\"ok\"=>true, \"id\"=>{\"a\"=>[1, 2.500000]}}");
    assert_true(view.ok);
    assert_true(ch_bytes_equal(view.id, notation("{a [1 2.5]}")));
    ch_reply_begin(&reply, (ch_bytes_t){0});
    assert_prints(finish(), "{\"ok\"=>true, \"id\"=>nil}");
}

static void
test_errors_carry_code_message_and_leader(void **state)
{
    (void)state;
    ch_bytes_t frame =
        ch_reply_error(&reply, notation("7"), "not_leader", "ask \"b\"", "tcp://b");
    assert_prints(frame,
                  "{\"ok\"=>false, \"id\"=>7, \"error\"=>{\"code\"=>\"not_leader\", "
                  "\"message\"=>\"ask \"b\"\", \"leader\"=>\"tcp://b\"}}");
    assert_int_equal(ch_reply_view_open(frame, &view), CH_OK);
    assert_false(view.ok);
    assert_true(ch_bytes_equal(view.code, ch_bytes_text("not_leader")));
    assert_true(ch_bytes_equal(view.message, ch_bytes_text("ask \"b\"")));
    assert_true(ch_bytes_equal(view.leader, ch_bytes_text("tcp://b")));
    frame = ch_reply_error(&reply, (ch_bytes_t){0}, "limit", "bad \xff\xc3 text\xc3\xa4",
                           NULL);
    assert_int_equal(ch_reply_view_open(frame, &view), CH_OK);
    assert_true(ch_bytes_equal(view.message, ch_bytes_text("bad ?? text\xc3\xa4")));
    assert_int_equal(view.leader.size, 0);
}

static void
test_codes_of_statuses(void **state)
{
    (void)state;
    assert_string_equal(ch_reply_code(CH_ERR_INVALID), "bad_request");
    assert_string_equal(ch_reply_code(CH_ERR_LIMIT), "limit");
    assert_string_equal(ch_reply_code(CH_ERR_PARSE), "parse");
    assert_string_equal(ch_reply_code(CH_ERR_NOSPACE), "disk_full");
    assert_string_equal(ch_reply_code(CH_ERR_IO), "internal");
}

static void
test_an_ack_comes_back_as_it_went(void **state)
{
    (void)state;
    ch_reject_t rejects[2] = {
        {.seq = 3, .index = -1, .code = CH_ERR_LIMIT, .message = "too many"},
        {.seq = 5, .index = 7, .code = CH_ERR_INVALID, .message = "bad \xc3"},
    };
    ch_ack_reply_t ack = {.state = CH_ACK_PENDING,
                          .received = 9,
                          .durable = 8,
                          .replicated = 7,
                          .expected = 10,
                          .lsn = 99,
                          .term = 2,
                          .reason = "disk full",
                          .reject_count = 2,
                          .rejects = rejects};
    ch_reply_begin(&reply, (ch_bytes_t){0});
    ch_reply_put_ack(&reply, &ack);
    assert_prints(
        finish(),
        "{\"ok\"=>true, \"id\"=>nil, \"state\"=>\"pending\", \"received\"=>9, "
        "\"durable\"=>8, \"replicated\"=>7, \"expected\"=>10, \"lsn\"=>99, \"term\"=>2, "
        "\"reason\"=>\"disk full\", \"rejects\"=>[{\"seq\"=>3, \"index\"=>-1, "
        "\"code\"=>\"limit\", \"message\"=>\"too many\"}, {\"seq\"=>5, \"index\"=>7, "
        "\"code\"=>\"bad_request\", \"message\"=>\"bad ?\"}]}");
    ch_ack_reply_t back;
    ch_reject_t back_rejects[CH_SESSION_REJECTS_MAX];
    assert_int_equal(ch_reply_view_ack(&view, &back, back_rejects), CH_OK);
    assert_int_equal(back.state, CH_ACK_PENDING);
    assert_int_equal(back.received, 9);
    assert_int_equal(back.durable, 8);
    assert_int_equal(back.replicated, 7);
    assert_int_equal(back.expected, 10);
    assert_int_equal(back.lsn, 99);
    assert_int_equal(back.term, 2);
    assert_int_equal(back.reject_count, 2);
    assert_int_equal(back.rejects[0].code, CH_ERR_LIMIT);
    assert_int_equal(back.rejects[1].index, 7);
    assert_string_equal(back.rejects[0].message, "too many");
}

static void
test_a_fenced_ack_names_the_epoch(void **state)
{
    (void)state;
    ch_ack_reply_t ack = {.state = CH_ACK_FENCED, .epoch = 42, .expected = 1};
    ch_ack_reply_t back;
    ch_reject_t rejects[CH_SESSION_REJECTS_MAX];
    ch_reply_begin(&reply, (ch_bytes_t){0});
    ch_reply_put_ack(&reply, &ack);
    finish();
    assert_int_equal(ch_reply_view_ack(&view, &back, rejects), CH_OK);
    assert_int_equal(back.state, CH_ACK_FENCED);
    assert_int_equal(back.epoch, 42);
    assert_int_equal(back.reject_count, 0);
}

static void
test_an_ack_that_lacks_a_field_is_refused(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "{ok true}",
        "{ok true state 'ok'}",
        "{ok true state 'great' received 1 durable 1 replicated 1 expected 2 rejects []}",
        "{ok true state 'ok' received -1 durable 1 replicated 1 expected 2 rejects []}",
        "{ok true state 'ok' received 1 durable 1 replicated 1 expected 2 rejects 5}",
        "{ok true state 'ok' received 1 durable 1 replicated 1 expected 2 rejects [5]}",
        "{ok true state 'ok' received 1 durable 1 replicated 1 expected 2 rejects [{}]}",
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        ch_ack_reply_t back;
        ch_reject_t rejects[CH_SESSION_REJECTS_MAX];
        assert_int_equal(ch_reply_view_open(notation(broken[i]), &view), CH_OK);
        assert_int_equal(ch_reply_view_ack(&view, &back, rejects), CH_ERR_CORRUPT);
    }
}

/* A run written and read back; values chosen so that each form of column comes out. */
static void
check_run(const ch_value_t *values, size_t count, ch_values_form_t form)
{
    ch_points_t points = {0};
    for (size_t i = 0; i < count; i++)
        ch_points_append(&points, (int64_t)i * 10, values[i]);
    ch_reply_begin(&reply, (ch_bytes_t){0});
    ch_reply_array_begin(&reply, "series");
    ch_reply_put_run(&reply, ch_bytes_text("m"), ch_bytes_text("a=\"1\\n\",b=\"2\""),
                     &points, 1, count);
    ch_reply_array_end(&reply);
    finish();
    ch_cursor_t items;
    uint32_t runs;
    ch_run_view_t run;
    ch_bytes_t name, value;
    assert_true(ch_reply_view_array(&view, "series", &items, &runs));
    assert_int_equal(runs, 1);
    assert_true(ch_run_view_next(&items, &run));
    assert_int_equal(run.count, count - 1);
    assert_int_equal(run.form, form);
    assert_int_equal(run.label_count, 3);
    assert_true(ch_labels_view_next(&run.labels, &name, &value));
    assert_true(ch_bytes_equal(name, ch_bytes_text("__name__")));
    assert_true(ch_bytes_equal(value, ch_bytes_text("m")));
    assert_true(ch_labels_view_next(&run.labels, &name, &value));
    assert_true(ch_bytes_equal(value, ch_bytes_text("1\n")));
    for (uint32_t i = 0; i + 1 < count; i++) {
        ch_value_t back;
        assert_int_equal(ch_run_view_time(&run, i), (i + 1) * 10);
        assert_true(ch_run_view_value(&run, i, &back));
        assert_true(ch_value_equal(back, values[i + 1]));
    }
    ch_points_release(&points);
}

static void
test_runs_go_out_packed_when_one_type_fits(void **state)
{
    (void)state;
    ch_value_t text = ch_value_string(ch_bytes_text("s"));
    ch_value_t bin = ch_value_string(ch_bytes("\xff\0", 2));
    ch_value_t ints[] = {ch_value_int(1), ch_value_int(-5), ch_value_int(INT64_MAX)};
    ch_value_t floats[] = {ch_value_float(1), ch_value_float(-0.0),
                           ch_value_float(INFINITY)};
    ch_value_t mixed[] = {
        ch_value_int(1),    ch_value_float(1.5), ch_value_int(2), text, bin,
        ch_value_bool(true)};
    ch_value_t tail[] = {text, ch_value_int(2), ch_value_int(3)};
    ch_value_t float_tail[] = {ch_value_int(2), ch_value_float(3)};
    check_run(ints, 3, CH_VALUES_I64);
    check_run(floats, 3, CH_VALUES_F64);
    check_run(mixed, 6, CH_VALUES_LIST);
    check_run(tail, 3, CH_VALUES_I64);
    check_run(float_tail, 2, CH_VALUES_F64);
    check_run(ints, 1, CH_VALUES_I64); /* no point at all */
}

static void
test_get_ping_tail_and_producers(void **state)
{
    (void)state;
    const char *warnings[] = {"strings left out"};
    ch_read_tail_t tail = {.lsn = 7,
                           .time = 99,
                           .warning_count = 1,
                           .warnings = warnings,
                           .samples = 5,
                           .series = 2,
                           .duration_us = 12};
    ch_reply_begin(&reply, (ch_bytes_t){0});
    ch_reply_put_get(&reply, true, -5, ch_value_string(ch_bytes("\xff", 1)));
    ch_reply_put_tail(&reply, &tail);
    assert_prints(finish(),
                  "{\"ok\"=>true, \"id\"=>nil, \"found\"=>true, \"time\"=>-5, "
                  "\"value\"=>\"\\xff\", \"as_of\"=>{\"lsn\"=>7, \"time\"=>99}, "
                  "\"warnings\"=>[\"strings left out\"], \"stats\"=>{\"samples\"=>5, "
                  "\"series\"=>2, \"duration_us\"=>12}}");
    ch_reply_begin(&reply, (ch_bytes_t){0});
    ch_reply_put_get(&reply, false, 0, ch_value_int(0));
    assert_prints(finish(), "{\"ok\"=>true, \"id\"=>nil, \"found\"=>false}");
    ch_reply_begin(&reply, (ch_bytes_t){0});
    ch_reply_put_ping(&reply, "n", "leader", "0.1.0", 1, 2);
    assert_prints(finish(),
                  "{\"ok\"=>true, \"id\"=>nil, \"node\"=>\"n\", \"role\"=>\"leader\", "
                  "\"version\"=>\"0.1.0\", \"term\"=>1, \"lsn\"=>2}");
    ch_producer_entry_t entry = {1, 2, 3, 4, 5, 6, -7};
    ch_reply_begin(&reply, (ch_bytes_t){0});
    ch_reply_map_begin(&reply, "producers");
    ch_reply_put_producer(&reply, "p/1", &entry);
    ch_reply_map_end(&reply);
    assert_prints(finish(),
                  "{\"ok\"=>true, \"id\"=>nil, \"producers\"=>{\"p/1\"=>{\"epoch\"=>1, "
                  "\"durable\"=>2, \"replicated\"=>3, \"rejected\"=>4, \"gaps\"=>5, "
                  "\"duplicates\"=>6, \"last_time\"=>-7}}}");
}

static void
test_stats_are_ints_when_they_can_be(void **state)
{
    (void)state;
    ch_reply_begin(&reply, (ch_bytes_t){0});
    ch_reply_map_begin(&reply, "stats");
    ch_reply_put_number(&reply, "a", 5.0);
    ch_reply_put_number(&reply, "b", 5.5);
    ch_reply_put_number(&reply, "c", -3.0);
    ch_reply_put_number(&reply, "d", NAN);
    ch_reply_put_number(&reply, "e", 1e300);
    ch_reply_map_end(&reply);
    ch_bytes_t frame = finish();
    ch_cursor_t at;
    ch_item_t item;
    assert_true(frame.size > 0 && ch_reply_view_find(&view, "stats", &at));
    static const ch_item_kind_t kinds[] = {CH_ITEM_INT, CH_ITEM_FLOAT, CH_ITEM_INT,
                                           CH_ITEM_FLOAT, CH_ITEM_FLOAT};
    assert_true(ch_cursor_next(&at, &item));
    assert_int_equal(item.count, 5);
    for (int i = 0; i < 5; i++) {
        assert_true(ch_cursor_next(&at, &item) && ch_cursor_next(&at, &item));
        assert_int_equal(item.kind, kinds[i]);
    }
}

static void
test_a_vector_as_a_table(void **state)
{
    (void)state;
    ch_reply_vector_t rows[] = {
        {ch_bytes_text("m"), ch_bytes_text("b=\"2\""), 5, 1.5},
        {ch_bytes_text(""), ch_bytes_text("a=\"1\",b=\"x\\\"\""), 5, 2.5},
    };
    ch_reply_begin(&reply, (ch_bytes_t){0});
    ch_reply_put_table(&reply, rows, 2);
    ch_bytes_t frame = finish();
    ch_bytes_t expected = notation(
        "{labels ['__name__' 'a' 'b'] rows [['m' nil '2'] [nil '1' 'x\"']] times e1(5 5)"
        " values e2(1.5 2.5)}");
    ch_cursor_t at;
    ch_bytes_t raw;
    char got[512], want[512];
    assert_true(frame.size && ch_reply_view_find(&view, "table", &at));
    assert_true(ch_cursor_raw(&at, &raw));
    print_frame(raw, got, sizeof got);
    print_frame(expected, want, sizeof want);
    assert_string_equal(got, want);
    ch_reply_begin(&reply, (ch_bytes_t){0});
    ch_reply_put_table(&reply, NULL, 0);
    finish();
}

static void
test_a_reply_above_the_limit_is_an_error(void **state)
{
    (void)state;
    ch_bytes_t frame;
    reply.bytes_max = 1000;
    ch_reply_begin(&reply, (ch_bytes_t){0});
    ch_reply_array_begin(&reply, "values");
    for (int i = 0; i < 100000; i++)
        ch_reply_put_text(&reply, NULL, ch_bytes_text("0123456789"));
    ch_reply_array_end(&reply);
    assert_int_equal(ch_reply_finish(&reply, &frame), CH_ERR_LIMIT);
    assert_true(reply.buffer.capacity < 4096);
    frame = ch_reply_error(&reply, (ch_bytes_t){0}, "limit", "too big", NULL);
    assert_int_equal(ch_reply_view_open(frame, &view), CH_OK);
    assert_true(ch_bytes_equal(view.code, ch_bytes_text("limit")));
}

static void
test_what_is_no_reply_is_refused(void **state)
{
    (void)state;
    static const char *const broken[] = {"",
                                         "#c1",
                                         "5",
                                         "[]",
                                         "{}",
                                         "{ok 1}",
                                         "{ok true} 1",
                                         "#81",
                                         "{ok false error 5}",
                                         "{ok false error {code 5}}"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        assert_int_equal(ch_reply_view_open(notation(broken[i]), &view), CH_ERR_CORRUPT);
    assert_int_equal(ch_reply_view_open(notation("{ok false}"), &view), CH_OK);
    assert_int_equal(view.code.size, 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_the_envelope_echoes_the_id),
        TEST(test_errors_carry_code_message_and_leader),
        TEST(test_codes_of_statuses),
        TEST(test_an_ack_comes_back_as_it_went),
        TEST(test_a_fenced_ack_names_the_epoch),
        TEST(test_an_ack_that_lacks_a_field_is_refused),
        TEST(test_runs_go_out_packed_when_one_type_fits),
        TEST(test_get_ping_tail_and_producers),
        TEST(test_stats_are_ints_when_they_can_be),
        TEST(test_a_vector_as_a_table),
        TEST(test_a_reply_above_the_limit_is_an_error),
        TEST(test_what_is_no_reply_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
