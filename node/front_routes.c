/* front_routes.c - which request goes where, and the answers that are given at once. */
#include "front.h"

#include <inttypes.h>
#include "ch/alloc.h"
#include "ch/assert.h"
#include "query_ops.h"
#include "refusal.h"
#include "sockets.h"

typedef void (*handler_fn)(ch_front_t *front, ch_job_t *job);

static void
finish_reply(ch_front_t *front, ch_job_t *job)
{
    ch_bytes_t frame;
    ch_status_t status = ch_reply_finish(&front->reply, &frame);
    if (status < 0)
        ch_front_fail_status(front, job, status);
    else
        ch_front_finish(front, job, frame, CH_OK);
}

/* ---- ping, get */

static void
answer_ping(ch_front_t *front, ch_job_t *job)
{
    const ch_node_t *node = front->node;
    ch_reply_begin(&front->reply, job->request.id);
    ch_reply_put_ping(&front->reply, node->name, "leader", CH_VERSION,
                      ch_engine_term(node->engine), ch_engine_durable_lsn(node->engine));
    finish_reply(front, job);
}

/* From memory here; where a table must be read, acks and pings do not wait for it. */
static void
answer_get(ch_front_t *front, ch_job_t *job)
{
    ch_status_t status = CH_OK;
    ch_bytes_t frame;
    if (ch_query_answer_at_once(front->node, &job->request, job->scope, job->deadline_ns,
                                &front->reply, &frame, &status))
        ch_front_finish(front, job, frame, status);
    else
        ch_front_to_worker(front, job);
}

/* ---- stats */

static void
put_stat(void *context, const ch_stat_t *stat)
{
    ch_reply_put_number(context, stat->name, stat->value);
}

static void
put_histogram(void *context, const char *name, const ch_histogram_t *histogram)
{
    ch_reply_t *reply = context;
    ch_reply_map_begin(reply, name);
    ch_reply_put_uint(reply, "count", histogram->count);
    ch_reply_put_uint(reply, "sum", histogram->sum);
    ch_reply_put_uint(reply, "max", histogram->max);
    ch_reply_put_uint(reply, "p50", ch_histogram_percentile(histogram, 0.5));
    ch_reply_put_uint(reply, "p90", ch_histogram_percentile(histogram, 0.9));
    ch_reply_put_uint(reply, "p99", ch_histogram_percentile(histogram, 0.99));
    ch_reply_put_uint(reply, "p999", ch_histogram_percentile(histogram, 0.999));
    ch_reply_map_end(reply);
}

/* Every configured limit under its own name, beside the figures that come up to it. */
static void
put_limits(ch_front_t *front)
{
    size_t count;
    const ch_config_key_t *keys = ch_config_keys(&count);
    for (size_t i = 0; i < count; i++) {
        char name[64];
        if (strcmp(keys[i].section, "limits") != 0)
            continue;
        snprintf(name, sizeof name, "limits.%s", keys[i].key);
        const char *slot = (const char *)front->node->config + keys[i].offset;
        uint64_t value;
        memcpy(&value, slot, sizeof value);
        ch_reply_put_uint(&front->reply, name, value);
    }
}

/* As they stand now: who asks has just been answered what they count. */
static void
set_audit_gauges(ch_node_t *node)
{
    const ch_audit_view_t audit = ch_audit_view(node->audit);
    ch_gauge_set(&node->stats, CH_GAUGE_AUDIT_WRITTEN, audit.written);
    ch_gauge_set(&node->stats, CH_GAUGE_AUDIT_HELD, audit.held);
    ch_gauge_set(&node->stats, CH_GAUGE_AUDIT_LOST, audit.lost);
}

static void
answer_stats(ch_front_t *front, ch_job_t *job)
{
    ch_reply_t *reply = &front->reply;
    set_audit_gauges(front->node);
    ch_reply_begin(reply, job->request.id);
    ch_reply_map_begin(reply, "stats");
    ch_engine_stats(front->node->engine, put_stat, reply);
    ch_node_stats_visit(&front->node->stats, put_stat, reply);
    put_limits(front);
    ch_node_stats_histograms(&front->node->stats, put_histogram, reply);
    ch_reply_map_end(reply);
    finish_reply(front, job);
}

/* ---- ack */

static void
answer_ack(ch_front_t *front, ch_job_t *job)
{
    const ch_request_t *request = &job->request;
    if (ch_engine_failed(front->node->engine)) {
        ch_front_fail(front, job, "internal", "the disk failed; the node stops");
        return;
    }
    int64_t wait_ms = request->wait_ms < CH_FRONT_ACK_WAIT_MS_MAX
                          ? request->wait_ms
                          : CH_FRONT_ACK_WAIT_MS_MAX;
    const ch_ack_question_t question = {
        .producer = request->producer,
        .epoch = request->epoch,
        .seq = request->seq,
        .level = request->level,
        .deadline_ns = front->draining ? 0 : job->received_ns + wait_ms * 1000000,
    };
    job->place = CH_JOB_ACK;
    atomic_store(&front->node->front_waits,
                 true); /* before the core looks at the session */
    ch_ack_core_ask(front->acks, &question, job->received_ns, job);
}

void
ch_front_answer_ack(void *context, void *tag, const ch_ack_reply_t *ack)
{
    ch_front_t *front = context;
    ch_job_t *job = tag;
    job->place = CH_JOB_FRONT;
    if (!ack) {
        ch_front_fail(front, job, "internal", "the disk failed; the node stops");
        return;
    }
    ch_reply_begin(&front->reply, job->request.id);
    ch_reply_put_ack(&front->reply, ack);
    finish_reply(front, job);
}

/* ---- routing */

static void
refuse_unsupported(ch_front_t *front, ch_job_t *job)
{
    char text[96];
    snprintf(text, sizeof text, "this version does not serve %s",
             ch_op_name(job->request.op));
    ch_front_fail(front, job, "unsupported", text);
}

static void
refuse_unknown(ch_front_t *front, ch_job_t *job)
{
    ch_front_fail(front, job, "unknown_op", "no such op");
}

static void
send_to_ingest(ch_front_t *front, ch_job_t *job)
{
    if (front->draining)
        ch_front_fail(front, job, "internal", "the node stops");
    else
        ch_front_to_ingest(front, job);
}

/* What a delete would take is a read. */
static void
take_delete(ch_front_t *front, ch_job_t *job)
{
    if (job->request.dry_run)
        ch_front_to_worker(front, job);
    else
        send_to_ingest(front, job);
}

/* Linking waits for the disk; a node that stops begins nothing. */
static void
take_snapshot(ch_front_t *front, ch_job_t *job)
{
    if (front->draining)
        ch_front_fail(front, job, "internal", "the node stops");
    else
        ch_front_to_worker(front, job);
}

typedef struct route {
    handler_fn handle;
    bool reads;     /* min_lsn counts */
    unsigned roles; /* any of them, when there are keys */
    bool whole;     /* tells of all series: not for keys with series= */
} route_t;

enum { READ = CH_ROLE_READ, ADMIN = CH_ROLE_ADMIN, REPLICATE = CH_ROLE_REPLICATE };

/* Who has no handler here is served by a later version; what its roles are is settled already. */
static const route_t routes[CH_OP_COUNT] = {
    [CH_OP_UNKNOWN] = {refuse_unknown, false, CH_ROLE_ANY, false},
    [CH_OP_PING] = {answer_ping, false, CH_ROLE_ANY, false},
    [CH_OP_ACK] = {answer_ack, false, CH_ROLE_WRITE, false},
    [CH_OP_GET] = {answer_get, true, READ, false},
    [CH_OP_READ] = {ch_front_to_worker, true, READ, false},
    [CH_OP_QUERY] = {ch_front_to_worker, true, READ, false},
    [CH_OP_SERIES] = {ch_front_to_worker, true, READ, false},
    [CH_OP_LABELS] = {ch_front_to_worker, true, READ, false},
    [CH_OP_LABEL_VALUES] = {ch_front_to_worker, true, READ, false},
    [CH_OP_DELETE] = {take_delete, false, ADMIN, false},
    [CH_OP_PRODUCERS] = {ch_front_to_worker, false, READ | ADMIN, true},
    [CH_OP_STATS] = {answer_stats, false, READ | ADMIN, true},
    [CH_OP_FLUSH] = {send_to_ingest, false, ADMIN, false},
    [CH_OP_COMPACT] = {send_to_ingest, false, ADMIN, false},
    [CH_OP_SEAL] = {send_to_ingest, false, ADMIN, false},
    [CH_OP_SNAPSHOT] = {take_snapshot, false, ADMIN, false},
    [CH_OP_PROMOTE] = {NULL, false, ADMIN, false},
    [CH_OP_REPLICAS] = {NULL, false, ADMIN, false},
    [CH_OP_HELLO] = {NULL, false, REPLICATE, false},
    [CH_OP_FETCH] = {NULL, false, REPLICATE, false},
    [CH_OP_REPLICA_ACK] = {NULL, false, REPLICATE, false},
};

void
ch_front_route(ch_front_t *front, ch_job_t *job)
{
    handler_fn handle = routes[job->request.op].handle;
    if (handle)
        handle(front, job);
    else
        refuse_unsupported(front, job);
}

/* The durable lsn that includes what the client has seen. None of ours does when it has seen a later
 * term. */
static uint64_t
lsn_wanted(const ch_front_t *front, const ch_request_t *request)
{
    bool later = request->has_term && request->term > ch_engine_term(front->node->engine);
    return later ? UINT64_MAX : request->min_lsn;
}

static int64_t
deadline_of(const ch_front_t *front, const ch_job_t *job)
{
    uint32_t most_ms = front->node->limits.query_timeout_ms;
    uint32_t timeout_ms = job->request.has_timeout_ms ? job->request.timeout_ms : most_ms;
    return job->received_ns +
           INT64_C(1000000) * (timeout_ms < most_ms ? timeout_ms : most_ms);
}

static void
note_malformed(ch_front_t *front, size_t size)
{
    uint64_t held = 0;
    char why[256];
    ch_count(&front->node->stats, CH_COUNT_QUERY_MALFORMED, 1);
    if (ch_limiter_pass(&front->malformed, ch_clock_monotonic_ns(&front->node->clock),
                        INT64_C(5000000000), &held))
        ch_log(&front->node->log, CH_LOG_WARN, "query", "malformed",
               "bytes=%zu reason=%s more=%" PRIu64, size,
               ch_log_quote(ch_fail_text(), strlen(ch_fail_text()), why, sizeof why),
               held);
}

/* ---- keys */

/* Why this key may not ask that; NULL: it may. */
static const char *
objection(const ch_grant_t *grant, const ch_request_t *request)
{
    if (!grant)
        return "this key is not in authorized_keys, or not any more";
    const route_t *route = &routes[request->op];
    if (!(grant->key->roles & route->roles))
        return "the key's roles do not allow this op";
    if (route->whole && grant->key->series[0])
        return "the key is for some series, and this tells of all";
    if (request->op == CH_OP_ACK && !ch_grant_producer(grant, request->producer))
        return "the key is not this producer's";
    return NULL;
}

/* Ask the table of now. True: the job may go on, in its scope; else it was answered. */
static bool
is_granted(ch_front_t *front, ch_job_t *job)
{
    if (!front->grants)
        return true;
    const char *key = zmq_msg_gets(&job->frame, "User-Id");
    const ch_grant_t *grant = ch_grants_find(front->grants, key);
    const char *reason = objection(grant, &job->request);
    if (!reason) {
        job->scope = grant->key->series[0] ? ch_strdup(grant->key->series) : NULL;
        return true;
    }
    const ch_refusal_t refusal = {.socket = "query",
                                  .key = key,
                                  .name = grant ? grant->key->name : NULL,
                                  .reason = reason};
    ch_count(&front->node->stats, CH_COUNT_AUTH_FORBIDDEN, 1);
    ch_refusal_note(&front->node->log, front->node->audit, &front->refused, &refusal,
                    job->received_ns);
    ch_front_fail(front, job, "forbidden", reason);
    return false;
}

void
ch_front_take_request(ch_front_t *front, ch_job_t *job)
{
    ch_bytes_t frame = ch_bytes(zmq_msg_data(&job->frame), zmq_msg_size(&job->frame));
    ch_count(&front->node->stats, CH_COUNT_QUERY_REQUESTS, 1);
    ch_count(&front->node->stats, CH_COUNT_QUERY_BYTES, frame.size);
    ch_status_t status = ch_request_decode(frame, &front->node->limits, &job->request);
    if (status < 0) {
        note_malformed(front, frame.size);
        ch_front_fail_status(front, job, status);
        return;
    }
    if (!is_granted(front, job))
        return;
    job->deadline_ns = deadline_of(front, job);
    if (job->request.has_min_lsn)
        atomic_store(&front->node->front_waits,
                     true); /* before the durable lsn is looked at */
    uint64_t wanted = 0;
    if (routes[job->request.op].reads && job->request.has_min_lsn)
        wanted = lsn_wanted(front, &job->request);
    if (wanted <= ch_engine_durable_lsn(front->node->engine))
        ch_front_route(front, job);
    else
        ch_front_wait_lsn(front, job, wanted);
}
