/* front_actor.c - the ROUTER socket and the loop that serves it.
 *
 * Each turn: arm the poke, let progress through, then poll. Requests come in [peer, empty, request];
 * whatever has another shape is answered with bad_request and dropped frame by frame. Replies always
 * go out as [peer, empty, reply].
 *
 * Sending never blocks. ROUTER_MANDATORY tells when a peer is gone or its queue is full; the reply is
 * then dropped and counted: the peer asked for more than it reads.
 */
#include "front_actor.h"

#include "ch/alloc.h"
#include "ch/assert.h"
#include "front.h"
#include "query_ops.h"
#include "sockets.h"
#include "worker.h"

enum {
    REQUESTS_PER_WAKE = 256,
    REQUESTS_PER_PEER = 256,   /* unread, in the socket */
    REPLIES_PER_PEER = 100000, /* unread: more than anybody has in flight */
    LINGER_MS = 1000,
    ITEMS_FIXED = 4,
};

/* ---- what the ack core asks of the engine */

static bool
world_session(void *context, const char *producer, ch_session_view_t *view_out)
{
    ch_front_t *front = context;
    return ch_engine_session(front->node->engine, producer, view_out) == CH_OK;
}

static uint64_t
world_appended(void *context)
{
    return ch_engine_appended_lsn(((ch_front_t *)context)->node->engine);
}

static uint64_t
world_durable(void *context)
{
    return ch_engine_durable_lsn(((ch_front_t *)context)->node->engine);
}

static uint64_t
world_term(void *context)
{
    return ch_engine_term(((ch_front_t *)context)->node->engine);
}

static const char *
world_held(void *context)
{
    ch_front_t *front = context;
    const char *reason = ch_engine_held_reason(front->node->engine);
    return !reason && front->draining ? "the node stops" : reason;
}

static const char *
world_stranger(void *context)
{
    ch_front_t *front = context;
    return ch_engine_producers_full(front->node->engine)
               ? "the node keeps as many producers as limits.producers allows"
               : NULL;
}

/* ---- sockets */

static void
router_options(void *socket, const ch_node_t *node)
{
    ch_socket_set(socket, ZMQ_ROUTER_MANDATORY, 1);
    ch_socket_set(socket, ZMQ_ROUTER_HANDOVER, 0);
    ch_socket_set(socket, ZMQ_RCVHWM, REQUESTS_PER_PEER);
    ch_socket_set(socket, ZMQ_SNDHWM, REPLIES_PER_PEER);
    ch_socket_set_i64(socket, ZMQ_MAXMSGSIZE, node->limits.request_bytes);
    ch_socket_set(socket, ZMQ_TCP_KEEPALIVE, 1);
}

void
ch_front_send(ch_front_t *front, zmq_msg_t *peer, zmq_msg_t *body)
{
    void *socket = zsock_resolve(front->router);
    zmq_msg_t envelope;
    zmq_msg_init(&envelope);
    zmq_msg_copy(&envelope, peer);
    if (zmq_msg_send(&envelope, socket, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_send(socket, "", 0, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_msg_send(body, socket, ZMQ_DONTWAIT) < 0)
        ch_count(&front->node->stats, CH_COUNT_QUERY_DROPPED, 1);
    zmq_msg_close(&envelope);
    zmq_msg_close(body);
}

static ch_status_t
open_control(ch_front_t *front)
{
    front->control = zsock_new(ZMQ_PAIR);
    if (!front->control)
        return ch_fail(CH_ERR_LIMIT, "control: no socket: %s", zmq_strerror(zmq_errno()));
    void *socket = zsock_resolve(front->control);
    ch_socket_set(socket, ZMQ_LINGER, 0);
    ch_socket_set(socket, ZMQ_SNDHWM, 0);
    ch_socket_set(socket, ZMQ_RCVHWM, 0);
    if (zmq_connect(socket, front->node->control_endpoint) != 0)
        return ch_fail(CH_ERR_INVALID, "control: cannot connect: %s",
                       zmq_strerror(zmq_errno()));
    return CH_OK;
}

static ch_status_t
start_workers(ch_front_t *front)
{
    for (unsigned i = 0; i < front->node->config->query_workers; i++) {
        char text[64];
        front->workers[i] = zactor_new(ch_worker_actor, front->node);
        if (!front->workers[i])
            return ch_fail(CH_ERR_LIMIT, "worker: cannot start: %s",
                           zmq_strerror(zmq_errno()));
        front->worker_count++;
        ch_status_t status = ch_actor_await(front->workers[i], text, sizeof text);
        if (status < 0)
            return status;
    }
    return CH_OK;
}

static ch_status_t
front_open(ch_front_t *front, char endpoint_out[CH_ENDPOINT_BYTES])
{
    const ch_ack_world_t world = {
        .context = front,
        .session = world_session,
        .appended_lsn = world_appended,
        .durable_lsn = world_durable,
        .term = world_term,
        .held_reason = world_held,
        .stranger_reason = world_stranger,
        .answer = ch_front_answer_ack,
    };
    front->acks = ch_ack_core_new(&world);
    ch_reply_init(&front->reply, front->node->limits.reply_bytes);
    front->grants = ch_grants_new(front->node->keys);
    front->budget = ch_reply_budget_new(
        CH_FRONT_PEER_BYTES_MAX, ch_config_memory_plan(front->node->config).replies);
    ch_status_t status = open_control(front);
    if (status == CH_OK)
        status = start_workers(front);
    if (status == CH_OK)
        status = ch_socket_bind(
            ZMQ_ROUTER, "listen.query", front->node->config->listen_query, LINGER_MS,
            router_options, front->node, &front->router, endpoint_out);
    return status;
}

static void
front_release(ch_front_t *front)
{
    /* Workers first: what they hold is in the list of jobs. */
    for (unsigned i = 0; i < front->worker_count; i++)
        ch_actor_destroy(&front->workers[i]);
    ch_ack_core_destroy(&front->acks);
    while (front->jobs)
        ch_front_job_free(front, front->jobs);
    ch_heap_release(&front->deadlines);
    ch_heap_release(&front->by_durable);
    ch_heap_release(&front->by_flushed);
    ch_heap_release(&front->by_compacted);
    ch_reply_release(&front->reply);
    ch_reply_budget_destroy(&front->budget);
    ch_grants_destroy(&front->grants);
    zsock_destroy(&front->control);
    zsock_destroy(&front->router);
}

/* ---- requests */

/* Bytes of the frame; -1: nothing there. */
static int
take_frame(ch_front_t *front, zmq_msg_t *frame)
{
    int size = zmq_msg_recv(frame, zsock_resolve(front->router), ZMQ_DONTWAIT);
    if (size >= 0)
        ch_intake_read(front->node->intake, frame);
    return size;
}

/* Drop what is left of a message, one frame at a time. */
static void
drop_frames(ch_front_t *front, zmq_msg_t *frame)
{
    while (zmq_msg_more(frame) && take_frame(front, frame) >= 0)
        continue;
}

static void
refuse_shape(ch_front_t *front, zmq_msg_t *peer)
{
    zmq_msg_t nothing;
    zmq_msg_init(&nothing);
    ch_job_t *job = ch_front_job_new(front, peer, &nothing);
    ch_count(&front->node->stats, CH_COUNT_QUERY_REQUESTS, 1);
    ch_count(&front->node->stats, CH_COUNT_QUERY_MALFORMED, 1);
    ch_front_fail(front, job, "bad_request",
                  "expected an empty delimiter frame and one frame with the request");
}

/* False: nothing there. */
static bool
take_message(ch_front_t *front)
{
    void *socket = zsock_resolve(front->router);
    zmq_msg_t peer, frame;
    zmq_msg_init(&peer);
    zmq_msg_init(&frame);
    bool found =
        zmq_msg_recv(&peer, socket, ZMQ_DONTWAIT) >= 0; /* ROUTER's own, not sent */
    bool shaped = found && zmq_msg_more(&peer) && take_frame(front, &frame) == 0 &&
                  zmq_msg_more(&frame) && take_frame(front, &frame) >= 0 &&
                  !zmq_msg_more(&frame);
    if (found && !shaped) {
        drop_frames(front, &frame);
        refuse_shape(front, &peer);
    } else if (found) {
        ch_front_take_request(front, ch_front_job_new(front, &peer, &frame));
    }
    zmq_msg_close(&peer);
    zmq_msg_close(&frame);
    return found;
}

static void
take_messages(ch_front_t *front)
{
    for (int i = 0; i < REQUESTS_PER_WAKE && take_message(front); i++)
        continue;
}

/* ---- commands of main */

/* Answers of workers that are under way; queries give up soon, because node->stopping is set. */
static void
await_workers(ch_front_t *front)
{
    for (unsigned i = 0; i < front->worker_count; i++) {
        zmq_pollitem_t item = {.socket = zsock_resolve(front->workers[i]),
                               .events = ZMQ_POLLIN};
        if (front->busy[i] && zmq_poll(&item, 1, 2000) > 0)
            ch_front_take_worker(front, i);
    }
}

static void
drain(ch_front_t *front, bool failed)
{
    front->draining = true;
    if (failed)
        ch_ack_core_fail(front->acks);
    else
        ch_ack_core_drain(front->acks);
    ch_front_drain(front, failed ? "the disk failed; the node stops" : "the node stops");
    await_workers(front);
    zstr_send(front->pipe, "DRAINED");
}

static void
take_command(ch_front_t *front)
{
    char word[32];
    (void)ch_socket_take_pointer(zsock_resolve(front->pipe), ZMQ_DONTWAIT, word);
    if (strcmp(word, "DRAIN") == 0)
        drain(front, false);
    else if (strcmp(word, "FAIL") == 0)
        drain(front, true);
    else if (strcmp(word, "$TERM") == 0)
        front->stopped = true;
}

/* ---- the loop */

static void
take_touches(ch_front_t *front)
{
    ch_touch_t touch;
    bool lost = false;
    while (ch_touch_ring_take(&front->node->touches, &touch, &lost))
        ch_ack_core_touch(front->acks, &touch);
    if (lost)
        ch_ack_core_sweep(front->acks);
}

static void
let_progress(ch_front_t *front)
{
    ch_node_t *node = front->node;
    int64_t now_ns = ch_clock_monotonic_ns(&node->clock);
    take_touches(front);
    ch_ack_core_progress(front->acks);
    ch_ack_core_expire(front->acks, now_ns);
    ch_front_progress(front, now_ns);
    size_t waiting = ch_ack_core_waiting(front->acks);
    if (waiting == 0 && front->by_durable.count == 0 && front->by_flushed.count == 0 &&
        front->by_compacted.count == 0)
        atomic_store(&node->front_waits, false);
    ch_gauge_set(&node->stats, CH_GAUGE_ACKS_WAITING, waiting);
    ch_gauge_set(&node->stats, CH_GAUGE_JOBS_QUEUED, front->queue_count);
    ch_gauge_set(&node->stats, CH_GAUGE_JOBS_RUNNING, front->busy_count);
    ch_gauge_set(&node->stats, CH_GAUGE_REPLY_BYTES,
                 ch_reply_budget_waiting(front->budget));
}

static long
poll_timeout_ms(const ch_front_t *front)
{
    int64_t until = ch_ack_core_deadline(front->acks);
    const ch_heap_node_t *top = ch_heap_top(&front->deadlines);
    if (top && (int64_t)top->major < until)
        until = (int64_t)top->major;
    if (until == INT64_MAX)
        return -1;
    int64_t left_ns = until - ch_clock_monotonic_ns(&front->node->clock);
    int64_t left_ms = left_ns <= 0 ? 0 : left_ns / 1000000 + 1;
    return (long)(left_ms < 60000 ? left_ms : 60000);
}

static void
serve(ch_front_t *front)
{
    zmq_pollitem_t items[ITEMS_FIXED + CH_FRONT_WORKERS_MAX] = {
        {.socket = zsock_resolve(front->pipe), .events = ZMQ_POLLIN},
        {.fd = front->node->front_poke.fd, .events = ZMQ_POLLIN},
        {.socket = zsock_resolve(front->control), .events = ZMQ_POLLIN},
        {.socket = zsock_resolve(front->router), .events = ZMQ_POLLIN},
    };
    for (unsigned i = 0; i < front->worker_count; i++)
        items[ITEMS_FIXED + i] = (zmq_pollitem_t){
            .socket = zsock_resolve(front->workers[i]), .events = ZMQ_POLLIN};
    /* Armed before the look: what moves during it wakes the poll. */
    ch_poke_arm(&front->node->front_poke);
    let_progress(front);
    if (zmq_poll(items, ITEMS_FIXED + (int)front->worker_count, poll_timeout_ms(front)) <
        0)
        return;
    if (items[1].revents)
        ch_poke_clear(&front->node->front_poke);
    for (unsigned i = 0; i < front->worker_count; i++) {
        if (items[ITEMS_FIXED + i].revents)
            ch_front_take_worker(front, i);
    }
    if (items[2].revents)
        ch_front_take_control(front);
    if (items[3].revents)
        take_messages(front);
    if (items[0].revents)
        take_command(front);
}

void
ch_front_actor(zsock_t *pipe, void *argument)
{
    ch_front_t *front = ch_calloc(1, sizeof *front);
    front->node = argument;
    front->pipe = pipe;
    char endpoint[CH_ENDPOINT_BYTES] = "";
    ch_status_t status = front_open(front, endpoint);
    ch_actor_report(pipe, status, status < 0 ? ch_fail_text() : endpoint);
    while (status >= 0 && !front->stopped)
        serve(front);
    front_release(front);
    ch_free(front);
    ch_actor_ends();
}
