/* ingest_actor.c - reads the PULL socket as fast as the engine takes batches, and no faster.
 *
 * One poll serves many messages: a wake-up costs more than a small batch. While the engine is not
 * ready the socket is left alone; that is the only place where overload shows, and it costs nobody a
 * disconnect, because this socket has no ZMTP heartbeats.
 *
 * A message of several frames is no batch. libzmq hands it over only once all of it is there; it is
 * then dropped frame by frame, so that this thread holds one frame of it at most.
 */
#include "ingest_actor.h"

#include <inttypes.h>
#include "ch/alloc.h"
#include "ch/assert.h"
#include "ingest_core.h"
#include "job.h"
#include "sockets.h"

enum { MESSAGES_PER_WAKE = 256, RETENTION_LOOK_MS = 10000 };

typedef struct actor {
    ch_node_t *node;
    zsock_t *pipe;
    zsock_t *source;  /* PULL */
    zsock_t *control; /* PAIR to the front */
    ch_ingest_core_t *core;
    ch_grants_t *grants; /* NULL: no keys */
    bool touched;        /* the front should look */
    bool stopped;
} actor_t;

/* ---- what the core asks of the engine */

static ch_status_t
world_append(void *context, const ch_batch_t *batch, ch_append_result_t *result_out)
{
    actor_t *actor = context;
    return ch_engine_append(actor->node->engine, batch, result_out);
}

static ch_status_t
world_refuse(void *context, const ch_identity_t *identity, const ch_reject_t *reject,
             ch_append_result_t *result_out)
{
    actor_t *actor = context;
    return ch_engine_refuse(actor->node->engine, identity, reject, result_out);
}

static void
world_touch(void *context, const ch_touch_t *touch)
{
    actor_t *actor = context;
    /* A gap is remembered for acks that come later; the rest matters only to those who wait. */
    if (touch->state != CH_APPEND_GAP && !atomic_load(&actor->node->front_waits))
        return;
    ch_touch_ring_push(&actor->node->touches, touch);
    actor->touched = true;
}

/* ---- sockets */

static void
source_options(void *socket, const ch_node_t *node)
{
    ch_socket_set(socket, ZMQ_RCVHWM, CH_INGEST_QUEUE_MESSAGES);
    ch_socket_set_i64(socket, ZMQ_MAXMSGSIZE, (int64_t)node->limits.batch_bytes * 2);
    ch_socket_set(socket, ZMQ_HEARTBEAT_IVL, 0); /* would drop producers that only wait */
    ch_socket_set(socket, ZMQ_TCP_KEEPALIVE, 1);
}

static ch_status_t
open_control(actor_t *actor)
{
    actor->control = zsock_new(ZMQ_PAIR);
    if (!actor->control)
        return ch_fail(CH_ERR_LIMIT, "control: no socket: %s", zmq_strerror(zmq_errno()));
    void *socket = zsock_resolve(actor->control);
    ch_socket_set(socket, ZMQ_LINGER, 0);
    ch_socket_set(socket, ZMQ_SNDHWM, 0);
    ch_socket_set(socket, ZMQ_RCVHWM, 0);
    if (zmq_bind(socket, actor->node->control_endpoint) != 0)
        return ch_fail(CH_ERR_INVALID, "control: cannot bind: %s",
                       zmq_strerror(zmq_errno()));
    return CH_OK;
}

static ch_status_t
open_sockets(actor_t *actor, char endpoint_out[CH_ENDPOINT_BYTES])
{
    ch_status_t status = open_control(actor);
    if (status < 0)
        return status;
    return ch_socket_bind(ZMQ_PULL, "listen.ingest", actor->node->config->listen_ingest,
                          0, source_options, actor->node, &actor->source, endpoint_out);
}

/* ---- messages */

static void
drop_rest(actor_t *actor, zmq_msg_t *message)
{
    uint64_t frames = 1, bytes = zmq_msg_size(message);
    while (zmq_msg_more(message)) {
        if (zmq_msg_recv(message, zsock_resolve(actor->source), ZMQ_DONTWAIT) < 0)
            break;
        ch_intake_read(actor->node->intake, message);
        frames++;
        bytes += zmq_msg_size(message);
    }
    ch_ingest_core_multipart(actor->core, frames, bytes,
                             ch_clock_monotonic_ns(&actor->node->clock));
}

/* The engine takes no more, now or ever: main ends the node. */
static void
give_up(actor_t *actor)
{
    char why[300];
    ch_log(&actor->node->log, CH_LOG_ERROR, "ingest", "append_failed", "reason=%s",
           ch_log_quote(ch_fail_text(), strlen(ch_fail_text()), why, sizeof why));
    atomic_store(&actor->node->failing, true);
    ch_poke_raise(&actor->node->main_poke);
    actor->stopped = true;
}

/* May its sender push? The handshake said so, but the table may have changed. */
static bool
is_admitted(actor_t *actor, zmq_msg_t *message, ch_grant_t **grant_out)
{
    *grant_out = NULL;
    if (!actor->grants)
        return true;
    const char *key = zmq_msg_gets(message, "User-Id");
    *grant_out = ch_grants_find(actor->grants, key);
    if (*grant_out && ((*grant_out)->key->roles & CH_ROLE_WRITE))
        return true;
    ch_ingest_core_refused(actor->core, key, *grant_out ? (*grant_out)->key->name : NULL,
                           ch_clock_monotonic_ns(&actor->node->clock));
    return false;
}

/* False: nothing was there, or the engine takes no more. */
static bool
take_one(actor_t *actor, zmq_msg_t *message)
{
    if (zmq_msg_recv(message, zsock_resolve(actor->source), ZMQ_DONTWAIT) < 0)
        return false;
    ch_intake_read(actor->node->intake, message);
    if (zmq_msg_more(message)) {
        drop_rest(actor, message);
        return true;
    }
    ch_grant_t *grant;
    if (!is_admitted(actor, message, &grant))
        return true;
    const ch_clock_t *clock = &actor->node->clock;
    ch_bytes_t frame = ch_bytes(zmq_msg_data(message), zmq_msg_size(message));
    ch_status_t status = ch_ingest_core_take(
        actor->core, frame, grant, ch_clock_wall_ns(clock), ch_clock_monotonic_ns(clock));
    if (status < 0)
        give_up(actor);
    return status >= 0;
}

static void
take_messages(actor_t *actor)
{
    zmq_msg_t message;
    zmq_msg_init(&message);
    for (int i = 0; i < MESSAGES_PER_WAKE; i++) {
        if (!ch_engine_ready(actor->node->engine) || !take_one(actor, &message))
            break;
    }
    zmq_msg_close(&message);
    if (actor->touched)
        ch_poke_raise(&actor->node->front_poke);
    actor->touched = false;
}

/* ---- commands of the front */

/* What became of a delete, as a status for its asker. */
static ch_status_t
judge_delete(const ch_request_t *request, const ch_delete_result_t *result)
{
    switch (result->state) {
    case CH_APPEND_GAP:
        return ch_fail(CH_ERR_BUSY,
                       "gap: seq %" PRIu64 " cannot be taken yet, %" PRIu64
                       " comes next; send again from there",
                       request->seq, result->expected);
    case CH_APPEND_FENCED:
        return ch_fail(CH_ERR_FENCED, "a higher epoch of producer %s exists",
                       request->producer);
    default:
        return CH_OK;
    }
}

static ch_status_t
run_delete(actor_t *actor, ch_job_t *job)
{
    const ch_request_t *request = &job->request;
    ch_delete_t delete = {
        .match = request->match, .start = request->start, .end = request->end};
    if (request->has_identity) {
        delete.identity = (ch_identity_t){
            .present = true, .epoch = request->epoch, .seq = request->seq};
        memcpy(delete.identity.producer, request->producer, sizeof request->producer);
    }
    ch_delete_result_t result;
    ch_status_t status = ch_engine_delete(actor->node->engine, &delete, &result);
    if (status < 0)
        return status;
    job->lsn = result.lsn;
    job->before = result.before;
    if (request->has_identity) {
        const ch_touch_t touch = {
            .producer_hash = ch_ack_producer_hash(request->producer),
            .epoch = request->epoch,
            .lsn = result.lsn,
            .state = result.state,
        };
        world_touch(actor, &touch);
    }
    status = judge_delete(request, &result);
    job->deleted = status >= 0;
    return status;
}

static ch_status_t
run_op(actor_t *actor, ch_job_t *job)
{
    ch_engine_t *engine = actor->node->engine;
    switch (job->request.op) {
    case CH_OP_DELETE:
        return run_delete(actor, job);
    case CH_OP_FLUSH:
        return ch_engine_flush(engine, &job->lsn);
    case CH_OP_COMPACT:
        return ch_engine_compact(engine, &job->lsn);
    default:
        return ch_engine_seal(engine, &job->segment);
    }
}

static void
run_job(actor_t *actor, ch_job_t *job)
{
    job->status = run_op(actor, job);
    if (job->status < 0)
        snprintf(job->text, sizeof job->text, "%.*s", (int)sizeof job->text - 1,
                 ch_fail_text());
    ch_socket_send_pointer(zsock_resolve(actor->control), job);
}

static void
take_jobs(actor_t *actor)
{
    char word[32];
    ch_job_t *job;
    while (
        (job = ch_socket_take_pointer(zsock_resolve(actor->control), ZMQ_DONTWAIT, word)))
        run_job(actor, job);
}

static void
take_command(actor_t *actor)
{
    char word[32];
    (void)ch_socket_take_pointer(zsock_resolve(actor->pipe), ZMQ_DONTWAIT, word);
    actor->stopped = strcmp(word, "$TERM") == 0;
}

/* The engine knows when it is time. What fails here fails the engine, and main sees that. */
static void
retain(actor_t *actor)
{
    if (ch_engine_retain(actor->node->engine) < 0)
        ch_poke_raise(&actor->node->main_poke);
}

/* One wait and what it brought. The source is polled only while the engine takes batches. */
static void
serve(actor_t *actor)
{
    ch_node_t *node = actor->node;
    bool ready = ch_engine_ready(node->engine);
    if (!ready) {
        ch_count(&node->stats, CH_COUNT_INGEST_STALLS, 1);
        ch_poke_arm(&node->ingest_poke);
        ready = ch_engine_ready(node->engine); /* what moved before the arming */
    }
    zmq_pollitem_t items[] = {
        {.socket = zsock_resolve(actor->pipe), .events = ZMQ_POLLIN},
        {.socket = zsock_resolve(actor->control), .events = ZMQ_POLLIN},
        {.fd = node->ingest_poke.fd, .events = ZMQ_POLLIN},
        {.socket = zsock_resolve(actor->source), .events = ZMQ_POLLIN},
    };
    if (zmq_poll(items, ready ? 4 : 3, RETENTION_LOOK_MS) < 0)
        return; /* interrupted */
    retain(actor);
    if (items[2].revents)
        ch_poke_clear(&node->ingest_poke);
    if (items[1].revents)
        take_jobs(actor);
    if (ready && items[3].revents)
        take_messages(actor);
    if (items[0].revents)
        take_command(actor);
}

void
ch_ingest_actor(zsock_t *pipe, void *argument)
{
    actor_t actor = {.node = argument, .pipe = pipe};
    const ch_ingest_world_t world = {.context = &actor,
                                     .append = world_append,
                                     .refuse = world_refuse,
                                     .touch = world_touch};
    actor.core = ch_ingest_core_new(&actor.node->limits, &world, &actor.node->stats,
                                    &actor.node->log, actor.node->audit);
    actor.grants = ch_grants_new(actor.node->keys);
    char endpoint[CH_ENDPOINT_BYTES] = "";
    ch_status_t status = open_sockets(&actor, endpoint);
    ch_actor_report(pipe, status, status < 0 ? ch_fail_text() : endpoint);
    while (status >= 0 && !actor.stopped)
        serve(&actor);
    zsock_destroy(&actor.source);
    zsock_destroy(&actor.control);
    ch_grants_destroy(&actor.grants);
    ch_ingest_core_destroy(&actor.core);
    ch_actor_ends();
}
