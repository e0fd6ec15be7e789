/* wire_requests.c - a request of every op, with every field that it takes. */
#include "support/wire_messages.h"

#include "support/test.h"

static ch_bytes_t
text(const char *value)
{
    return ch_bytes_text(value);
}

static ch_request_t
request_of(ch_op_t op)
{
    static const uint8_t seven = 7;
    ch_request_t request;
    ch_request_init(&request);
    request.op = op;
    request.id = ch_bytes(&seven, 1);
    return request;
}

static void
send(wire_builder_t *builder, const ch_request_t *request)
{
    ch_request_encode(request, &builder->request);
    builder->frame = ch_buffer_bytes(&builder->request);
}

static void
identify(ch_request_t *request)
{
    request->has_identity = true;
    snprintf(request->producer, sizeof request->producer, "web-1/agent");
    request->epoch = 3;
    request->seq = 300;
}

static void
set_match(ch_request_t *request)
{
    request->has_match = true;
    request->match = text("cpu{host=~\"a.*\"}");
}

static void
set_range(ch_request_t *request)
{
    request->has_start = request->has_end = true;
    request->start = -1;
    request->end = INT64_C(1700000000000000000);
}

/* What every read takes beside its own. */
static void
set_read(ch_request_t *request)
{
    request->has_timeout_ms = request->has_min_lsn = request->has_term = true;
    request->timeout_ms = 5000;
    request->min_lsn = 70000;
    request->term = 1;
}

static void
request_ack(wire_builder_t *builder)
{
    ch_request_t request = request_of(CH_OP_ACK);
    identify(&request);
    request.wait_ms = 1000;
    send(builder, &request);
}

static void
request_ack_received(wire_builder_t *builder)
{
    ch_request_t request = request_of(CH_OP_ACK);
    identify(&request);
    request.level = CH_LEVEL_RECEIVED;
    send(builder, &request);
}

static void
request_ack_replicated(wire_builder_t *builder)
{
    ch_request_t request = request_of(CH_OP_ACK);
    identify(&request);
    request.level = CH_LEVEL_REPLICATED;
    send(builder, &request);
}

static void
request_get(wire_builder_t *builder)
{
    ch_request_t request = request_of(CH_OP_GET);
    request.name = text("system.cpu.load");
    send(builder, &request);
}

static void
request_get_at(wire_builder_t *builder)
{
    ch_request_t request = request_of(CH_OP_GET);
    request.name = text("cpu");
    request.labels = text("core=\"0\",host=\"a\\\"b\"");
    request.has_time = true;
    request.time = 1000;
    set_read(&request);
    send(builder, &request);
}

static void
request_read(wire_builder_t *builder)
{
    ch_request_t request = request_of(CH_OP_READ);
    set_match(&request);
    send(builder, &request);
}

static void
request_read_page(wire_builder_t *builder)
{
    ch_request_t request = request_of(CH_OP_READ);
    set_match(&request);
    set_range(&request);
    set_read(&request);
    request.has_limit = true;
    request.limit = 1000;
    request.cursor = ch_bytes("\x00\x01\xff", 3);
    send(builder, &request);
}

static void
request_query(wire_builder_t *builder)
{
    ch_request_t request = request_of(CH_OP_QUERY);
    request.query = text("sum by (host) (rate(cpu[5m]))");
    request.has_time = true;
    request.time = 1000;
    request.form_table = true;
    send(builder, &request);
}

static void
request_query_range(wire_builder_t *builder)
{
    ch_request_t request = request_of(CH_OP_QUERY);
    request.query = text("cpu");
    set_range(&request);
    set_read(&request);
    request.has_step = true;
    request.step = INT64_C(15000000000);
    send(builder, &request);
}

static void
request_series(wire_builder_t *builder)
{
    ch_request_t request = request_of(CH_OP_SERIES);
    set_match(&request);
    set_range(&request);
    request.has_limit = true;
    request.limit = 10;
    send(builder, &request);
}

static void
request_labels(wire_builder_t *builder)
{
    ch_request_t request = request_of(CH_OP_LABELS);
    set_match(&request);
    send(builder, &request);
}

static void
request_label_values(wire_builder_t *builder)
{
    ch_request_t request = request_of(CH_OP_LABEL_VALUES);
    request.label = text("host");
    set_match(&request);
    send(builder, &request);
}

static void
request_delete(wire_builder_t *builder)
{
    ch_request_t request = request_of(CH_OP_DELETE);
    set_match(&request);
    set_range(&request);
    identify(&request);
    request.dry_run = true;
    send(builder, &request);
}

static void
request_snapshot_remove(wire_builder_t *builder)
{
    ch_request_t request = request_of(CH_OP_SNAPSHOT);
    request.snapshot = text("monday");
    request.remove = true;
    send(builder, &request);
}

#define BARE_REQUEST(name, op)                                                           \
    static void request_##name(wire_builder_t *builder)                                  \
    {                                                                                    \
        ch_request_t request = request_of(op);                                           \
        send(builder, &request);                                                         \
    }
BARE_REQUEST(ping, CH_OP_PING)
BARE_REQUEST(stats, CH_OP_STATS)
BARE_REQUEST(producers, CH_OP_PRODUCERS)
BARE_REQUEST(flush, CH_OP_FLUSH)
BARE_REQUEST(compact, CH_OP_COMPACT)
BARE_REQUEST(seal, CH_OP_SEAL)
BARE_REQUEST(snapshot, CH_OP_SNAPSHOT)
BARE_REQUEST(promote, CH_OP_PROMOTE)
BARE_REQUEST(replicas, CH_OP_REPLICAS)

const wire_message_t wire_requests[] = {
    {"ping", request_ping},
    {"ack", request_ack},
    {"ack-received", request_ack_received},
    {"ack-replicated", request_ack_replicated},
    {"get", request_get},
    {"get-at", request_get_at},
    {"read", request_read},
    {"read-page", request_read_page},
    {"query", request_query},
    {"query-range", request_query_range},
    {"series", request_series},
    {"labels", request_labels},
    {"label_values", request_label_values},
    {"delete", request_delete},
    {"stats", request_stats},
    {"producers", request_producers},
    {"flush", request_flush},
    {"compact", request_compact},
    {"seal", request_seal},
    {"snapshot", request_snapshot},
    {"snapshot-remove", request_snapshot_remove},
    {"promote", request_promote},
    {"replicas", request_replicas},
    {NULL, NULL},
};
