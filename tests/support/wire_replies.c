/* wire_replies.c - a reply of every kind. */
#include "support/wire_messages.h"

#include "support/test.h"

#include <math.h>

static ch_bytes_t
text(const char *value)
{
    return ch_bytes_text(value);
}

static ch_reply_t *
begin(wire_builder_t *builder)
{
    ch_reply_begin(&builder->reply, ch_bytes("\xa2id", 3));
    return &builder->reply;
}

static void
finish(wire_builder_t *builder)
{
    assert_int_equal(ch_reply_finish(&builder->reply, &builder->frame), CH_OK);
}

static void
put_tail(ch_reply_t *reply)
{
    static const char *const warnings[] = {"strings were left out"};
    const ch_read_tail_t tail = {.lsn = 70000,
                                 .time = INT64_C(1700000000000000000),
                                 .warning_count = 1,
                                 .warnings = warnings,
                                 .samples = 5,
                                 .series = 2,
                                 .duration_us = 300};
    ch_reply_put_tail(reply, &tail);
}

static void
reply_ping(wire_builder_t *builder)
{
    ch_reply_put_ping(begin(builder), "node-1", "leader", "0.1.0", 1, 70000);
    finish(builder);
}

static void
reply_get_missing(wire_builder_t *builder)
{
    ch_reply_put_get(begin(builder), false, 0, ch_value_int(0));
    put_tail(&builder->reply);
    finish(builder);
}

static void
put_get(wire_builder_t *builder, ch_value_t value)
{
    ch_reply_put_get(begin(builder), true, -1000, value);
    finish(builder);
}

static void
reply_get_int(wire_builder_t *builder)
{
    put_get(builder, ch_value_int(INT64_MIN));
}

static void
reply_get_float(wire_builder_t *builder)
{
    put_get(builder, ch_value_float(-0.0));
}

static void
reply_get_bool(wire_builder_t *builder)
{
    put_get(builder, ch_value_bool(true));
}

static void
reply_get_string(wire_builder_t *builder)
{
    put_get(builder, ch_value_string(text("gr\xc3\xbcn")));
}

static void
reply_get_bytes(wire_builder_t *builder)
{
    put_get(builder, ch_value_string(ch_bytes("\x00\xff", 2)));
}

static const ch_reject_t rejects[] = {
    {.seq = 3, .index = -1, .code = CH_ERR_LIMIT, .message = "100001 points"},
    {.seq = 299, .index = 7, .code = CH_ERR_INVALID, .message = "the value is nil"},
};

static void
put_ack(wire_builder_t *builder, ch_ack_reply_t ack)
{
    ch_reply_put_ack(begin(builder), &ack);
    finish(builder);
}

static void
reply_ack_ok(wire_builder_t *builder)
{
    put_ack(builder, (ch_ack_reply_t){.state = CH_ACK_OK,
                                      .received = 301,
                                      .durable = 300,
                                      .replicated = 300,
                                      .expected = 302,
                                      .lsn = 70000,
                                      .term = 1});
}

static void
reply_ack_rejects(wire_builder_t *builder)
{
    put_ack(builder, (ch_ack_reply_t){.state = CH_ACK_OK,
                                      .received = 300,
                                      .durable = 300,
                                      .replicated = 299,
                                      .expected = 301,
                                      .lsn = 70000,
                                      .term = 1,
                                      .reject_count = 2,
                                      .rejects = rejects});
}

static void
reply_ack_gap(wire_builder_t *builder)
{
    put_ack(builder, (ch_ack_reply_t){.state = CH_ACK_GAP,
                                      .received = 5,
                                      .durable = 5,
                                      .replicated = 5,
                                      .expected = 6,
                                      .lsn = 9,
                                      .term = 1});
}

static void
reply_ack_fenced(wire_builder_t *builder)
{
    put_ack(builder, (ch_ack_reply_t){.state = CH_ACK_FENCED,
                                      .received = 5,
                                      .durable = 5,
                                      .replicated = 5,
                                      .expected = 6,
                                      .lsn = 9,
                                      .term = 1,
                                      .epoch = 4});
}

static void
reply_ack_pending(wire_builder_t *builder)
{
    put_ack(builder, (ch_ack_reply_t){.state = CH_ACK_PENDING,
                                      .received = 6,
                                      .durable = 5,
                                      .replicated = 5,
                                      .expected = 6,
                                      .lsn = 9,
                                      .term = 1,
                                      .reason = "disk full"});
}

static void
reply_ack_unknown(wire_builder_t *builder)
{
    put_ack(builder, (ch_ack_reply_t){
                         .state = CH_ACK_UNKNOWN, .expected = 1, .lsn = 9, .term = 1});
}

static void
put_run(ch_reply_t *reply, const char *labels, const ch_value_t *values, size_t count)
{
    ch_points_t points = {0};
    for (size_t i = 0; i < count; i++)
        ch_points_append(&points, (int64_t)i * 10, values[i]);
    ch_reply_put_run(reply, text("m"), text(labels), &points, 0, count);
    ch_points_release(&points);
}

/* A column of each form: all ints, all floats, mixed; and more to come. */
static void
reply_read(wire_builder_t *builder)
{
    const ch_value_t ints[] = {ch_value_int(1), ch_value_int(INT64_MIN)};
    const ch_value_t floats[] = {ch_value_float(0.1), ch_value_float(INFINITY)};
    const ch_value_t mixed[] = {ch_value_int(1), ch_value_float(1.0), ch_value_bool(true),
                                ch_value_string(text("s")),
                                ch_value_string(ch_bytes("\xff", 1))};
    ch_reply_t *reply = begin(builder);
    ch_reply_array_begin(reply, "series");
    put_run(reply, "f=\"1\",g=\"x\\\"\\n\"", ints, 2);
    put_run(reply, "f=\"2\"", floats, 2);
    put_run(reply, "", mixed, 5);
    ch_reply_array_end(reply);
    ch_reply_put_bin(reply, "cursor", ch_bytes("\x00\x01\xff", 3));
    put_tail(reply);
    finish(builder);
}

static void
reply_read_nothing(wire_builder_t *builder)
{
    ch_reply_t *reply = begin(builder);
    ch_reply_array_begin(reply, "series");
    ch_reply_array_end(reply);
    finish(builder);
}

static void
put_result(wire_builder_t *builder, const char *type, size_t series, size_t points)
{
    static const int64_t times[] = {1000, 2000};
    static const double values[] = {1.5, -0.0};
    static const char *const labels[] = {"host=\"a\"", "host=\"b\""};
    ch_reply_t *reply = begin(builder);
    ch_reply_put_text(reply, "type", text(type));
    ch_reply_array_begin(reply, "result");
    for (size_t i = 0; i < series; i++)
        ch_reply_put_floats_run(reply, text(""), text(series > 1 ? labels[i] : ""), times,
                                values, points);
    ch_reply_array_end(reply);
    put_tail(reply);
    finish(builder);
}

static void
reply_query_scalar(wire_builder_t *builder)
{
    put_result(builder, "scalar", 1, 1);
}

static void
reply_query_vector(wire_builder_t *builder)
{
    put_result(builder, "vector", 2, 1);
}

static void
reply_query_matrix(wire_builder_t *builder)
{
    put_result(builder, "matrix", 2, 2);
}

static void
reply_query_string(wire_builder_t *builder)
{
    ch_reply_t *reply = begin(builder);
    ch_reply_put_text(reply, "type", text("string"));
    ch_reply_put_text(reply, "value", text("hello"));
    put_tail(reply);
    finish(builder);
}

static void
reply_query_table(wire_builder_t *builder)
{
    const ch_reply_vector_t rows[] = {{text("m"), text("b=\"2\""), 1000, 1.5},
                                      {text(""), text("a=\"1\",b=\"x\\\"\""), 1000, 2.5}};
    ch_reply_t *reply = begin(builder);
    ch_reply_put_text(reply, "type", text("vector"));
    ch_reply_put_table(reply, rows, 2);
    finish(builder);
}

static void
reply_series(wire_builder_t *builder)
{
    ch_reply_t *reply = begin(builder);
    ch_reply_array_begin(reply, "series");
    ch_reply_put_labels(reply, NULL, text("cpu"), text("core=\"0\",host=\"a\""));
    ch_reply_put_labels(reply, NULL, text("system.cpu.load"), text(""));
    ch_reply_array_end(reply);
    put_tail(reply);
    finish(builder);
}

static void
reply_labels(wire_builder_t *builder)
{
    ch_reply_t *reply = begin(builder);
    ch_reply_array_begin(reply, "values");
    ch_reply_put_text(reply, NULL, text("__name__"));
    ch_reply_put_text(reply, NULL, text("host"));
    ch_reply_array_end(reply);
    put_tail(reply);
    finish(builder);
}

static void
reply_stats(wire_builder_t *builder)
{
    ch_reply_t *reply = begin(builder);
    ch_reply_map_begin(reply, "stats");
    ch_reply_put_number(reply, "engine.points", 25920000);
    ch_reply_put_number(reply, "load", 0.25);
    ch_reply_map_begin(reply, "ack.wait_us");
    ch_reply_put_uint(reply, "count", 2);
    ch_reply_put_uint(reply, "p99", 1000);
    ch_reply_map_end(reply);
    ch_reply_map_end(reply);
    finish(builder);
}

static void
reply_producers(wire_builder_t *builder)
{
    const ch_producer_entry_t entry = {.epoch = 3,
                                       .durable = 300,
                                       .replicated = 300,
                                       .rejected = 2,
                                       .gaps = 1,
                                       .duplicates = 4,
                                       .last_time = INT64_C(1700000000000000000)};
    ch_reply_t *reply = begin(builder);
    ch_reply_map_begin(reply, "producers");
    ch_reply_put_producer(reply, "web-1/agent", &entry);
    ch_reply_map_end(reply);
    finish(builder);
}

static void
put_uint_only(wire_builder_t *builder, const char *key, uint64_t value)
{
    ch_reply_put_uint(begin(builder), key, value);
    finish(builder);
}

static void
reply_flush(wire_builder_t *builder)
{
    put_uint_only(builder, "lsn", 70000);
}

static void
reply_seal(wire_builder_t *builder)
{
    put_uint_only(builder, "segment", 12);
}

static void
reply_error(wire_builder_t *builder)
{
    builder->frame = ch_reply_error(&builder->reply, ch_bytes("\xa2id", 3), "bad_request",
                                    "match is missing", NULL);
}

/* The answer to garbage: nobody knows an id. */
static void
reply_error_bare(wire_builder_t *builder)
{
    builder->frame = ch_reply_error(&builder->reply, (ch_bytes_t){0}, "limit",
                                    "what is not UTF-8 (\xff) goes out as ?", NULL);
}

static void
reply_error_leader(wire_builder_t *builder)
{
    builder->frame = ch_reply_error(&builder->reply, ch_bytes("\xa2id", 3), "not_leader",
                                    "ask the leader", "tcp://127.0.0.1:7879");
}

const wire_message_t wire_replies[] = {
    {"ping", reply_ping},
    {"get-missing", reply_get_missing},
    {"get-int", reply_get_int},
    {"get-float", reply_get_float},
    {"get-bool", reply_get_bool},
    {"get-string", reply_get_string},
    {"get-bytes", reply_get_bytes},
    {"ack-ok", reply_ack_ok},
    {"ack-rejects", reply_ack_rejects},
    {"ack-gap", reply_ack_gap},
    {"ack-fenced", reply_ack_fenced},
    {"ack-pending", reply_ack_pending},
    {"ack-unknown", reply_ack_unknown},
    {"read", reply_read},
    {"read-nothing", reply_read_nothing},
    {"query-scalar", reply_query_scalar},
    {"query-vector", reply_query_vector},
    {"query-matrix", reply_query_matrix},
    {"query-string", reply_query_string},
    {"query-table", reply_query_table},
    {"series", reply_series},
    {"labels", reply_labels},
    {"stats", reply_stats},
    {"producers", reply_producers},
    {"flush", reply_flush},
    {"seal", reply_seal},
    {"error", reply_error},
    {"error-bare", reply_error_bare},
    {"error-leader", reply_error_leader},
    {NULL, NULL},
};
