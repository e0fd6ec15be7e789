/* producer.c - the producer handle: sockets around the session's decisions.
 *
 * Sockets   PUSH for batches, with ZMQ_IMMEDIATE: nothing is queued for a node that is not there,
 *           so back-pressure shows as "cannot send now" and the window holds the batches. Its
 *           high-water mark is counted in batches but meant in bytes (a few MiB). What the socket
 *           holds when it closes is worth nothing to a producer with acks (linger 0): the window or
 *           the spool has it. Without acks the socket is all there is, so close lingers.
 * Loop      step() does all that can be done without waiting; wait_event() waits for a socket or a
 *           deadline. Every call that waits is a loop over both.
 */
#include "producer.h"

#include "check.h"

#include "ch/alloc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    SOCKET_BYTES = 4 << 20, /* what the PUSH socket may hold */
    ASK_WAIT_MS = 1000,
    ASK_AGAIN_MS = 200, /* after an error reply or a link that is down */
    FRAME_EXTRA_BYTES = 256,
};

cityhall_status_t
ch_producer_fail(cityhall_producer_t *producer, cityhall_status_t status,
                 const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(producer->error, sizeof producer->error, format, arguments);
    va_end(arguments);
    return status;
}

void
cityhall_producer_options_init(cityhall_producer_options_t *options)
{
    *options = (cityhall_producer_options_t){
        .ingest = "tcp://127.0.0.1:7878",
        .query = "tcp://127.0.0.1:7879",
        .level = CITYHALL_DURABLE,
        .batch_bytes = 192 * 1024,
        .batch_bytes_max = 4 << 20,
        .batch_points_max = 100000,
        .window_batches = 256,
        .window_bytes = 32 << 20,
        .send_timeout_ms = 10000,
        .request_timeout_ms = 2500,
        .resend_after_ms = 5000,
        .options_size = sizeof *options,
    };
}

/* ---- open */

static bool
set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

static bool
open_ingest(cityhall_producer_t *producer)
{
    uint32_t batch = producer->options.batch_bytes;
    int high_water = (int)(SOCKET_BYTES / (batch ? batch : 1));
    high_water = high_water < 4 ? 4 : high_water > 1000 ? 1000 : high_water;
    producer->ingest = zmq_socket(producer->context, ZMQ_PUSH);
    return producer->ingest && set_int(producer->ingest, ZMQ_LINGER, 0) &&
           set_int(producer->ingest, ZMQ_SNDHWM, high_water) &&
           set_int(producer->ingest, ZMQ_IMMEDIATE, 1) &&
           set_int(producer->ingest, ZMQ_RECONNECT_IVL, 100) &&
           set_int(producer->ingest, ZMQ_RECONNECT_IVL_MAX, 2000) &&
           ch_client_curve_set(producer->ingest, producer->secret) &&
           zmq_connect(producer->ingest, producer->options.ingest) == 0;
}

static uint64_t
wall_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A batch found in the spool: the first decides the epoch. */
static bool
take_spooled(void *context, uint64_t epoch, uint64_t seq, const char *name,
             ch_bytes_t frame)
{
    cityhall_producer_t *producer = context;
    ch_producer_session_options_t options = {
        .epoch = epoch,
        .level = (ch_level_t)producer->options.level,
        .window_batches = producer->options.window_batches,
        .window_bytes = producer->options.window_bytes,
        .resend_after_ms = producer->options.resend_after_ms,
        .ask_wait_ms = ASK_WAIT_MS,
    };
    if (strcmp(name, producer->identity.producer) != 0)
        return false;
    if (!producer->session) {
        producer->session = ch_producer_session_new(&options);
        producer->identity.epoch = epoch;
    }
    return producer->session &&
           ch_producer_session_restore(producer->session, seq, frame);
}

static cityhall_status_t
open_session(cityhall_producer_t *producer)
{
    const cityhall_producer_options_t *options = &producer->options;
    if (options->spool) {
        producer->spool = ch_spool_open(
            options->spool, options->spool_sync == CITYHALL_SPOOL_SYNC_BATCH,
            take_spooled, producer, producer->error, sizeof producer->error);
        if (!producer->spool)
            return CITYHALL_ERR_SPOOL;
    }
    if (producer->session && options->epoch && options->epoch != producer->identity.epoch)
        return ch_producer_fail(
            producer, CITYHALL_ERR_ARGUMENT,
            "the spool holds batches of epoch %llu; open with that, or "
            "with epoch 0",
            (unsigned long long)producer->identity.epoch);
    if (producer->session)
        return CITYHALL_OK;
    producer->identity.epoch = options->epoch ? options->epoch : wall_clock_ns();
    ch_producer_session_options_t session = {
        .epoch = producer->identity.epoch,
        .level = (ch_level_t)options->level,
        .window_batches = options->window_batches,
        .window_bytes = options->window_bytes,
        .resend_after_ms = options->resend_after_ms,
        .ask_wait_ms = ASK_WAIT_MS,
    };
    producer->session = ch_producer_session_new(&session);
    return producer->session
               ? CITYHALL_OK
               : ch_producer_fail(producer, CITYHALL_ERR_MEMORY, "no memory");
}

static cityhall_status_t
check_options(cityhall_producer_t *producer, const cityhall_producer_options_t *options)
{
    if (options->options_size != sizeof *options)
        return ch_producer_fail(producer, CITYHALL_ERR_ARGUMENT,
                                "options were not set up by "
                                "cityhall_producer_options_init of this version");
    producer->options = *options;
    if (!options->ingest || !options->query || options->window_batches == 0 ||
        options->epoch > INT64_MAX || options->level > CITYHALL_REPLICATED ||
        (options->spool && !options->producer))
        return ch_producer_fail(
            producer, CITYHALL_ERR_ARGUMENT,
            "an endpoint is missing, the window is empty, the epoch or "
            "level is out of range, or a spool has no producer id");
    if (!options->producer)
        return CITYHALL_OK;
    const char *wrong = ch_check_producer(options->producer);
    if (wrong)
        return ch_producer_fail(producer, CITYHALL_ERR_ARGUMENT, "%s", wrong);
    producer->identity.present = true;
    memcpy(producer->identity.producer, options->producer, strlen(options->producer) + 1);
    return CITYHALL_OK;
}

static cityhall_status_t
open_producer(cityhall_producer_t *producer, const cityhall_producer_options_t *options)
{
    cityhall_status_t status = check_options(producer, options);
    if (status < 0)
        return status;
    producer->encoder = ch_batch_encoder_new();
    if (!producer->encoder)
        return ch_producer_fail(producer, CITYHALL_ERR_MEMORY, "no memory");
    if (producer->identity.present) {
        status = open_session(producer);
        if (status < 0)
            return status;
    }
    status =
        ch_client_curve_open(options->key_file, options->secret_key, options->server_key,
                             &producer->secret, producer->error, sizeof producer->error);
    if (status < 0)
        return status;
    producer->options.secret_key = NULL; /* the caller may wipe it */
    producer->own_context = options->zmq_context == NULL;
    producer->context = producer->own_context ? zmq_ctx_new() : options->zmq_context;
    if (!producer->context || !open_ingest(producer))
        return ch_producer_fail(producer, CITYHALL_ERR_NETWORK, "ingest %s: %s",
                                options->ingest, zmq_strerror(zmq_errno()));
    if (producer->identity.present &&
        !ch_query_link_open(&producer->link, producer->context, options->query,
                            producer->secret))
        return ch_producer_fail(producer, CITYHALL_ERR_NETWORK, "query %s: %s",
                                options->query, zmq_strerror(zmq_errno()));
    return CITYHALL_OK;
}

cityhall_status_t
cityhall_producer_open(const cityhall_producer_options_t *options,
                       cityhall_producer_t **producer_out, char *error, size_t error_size)
{
    *producer_out = NULL;
    cityhall_producer_t *producer = calloc(1, sizeof *producer);
    cityhall_status_t status =
        producer ? open_producer(producer, options) : CITYHALL_ERR_MEMORY;
    if (status < 0) {
        if (error && error_size)
            snprintf(error, error_size, "%s", producer ? producer->error : "no memory");
        cityhall_producer_destroy(&producer);
        return status;
    }
    *producer_out = producer;
    return CITYHALL_OK;
}

static void
close_sockets(cityhall_producer_t *producer, int linger_ms)
{
    if (producer->ingest) {
        set_int(producer->ingest, ZMQ_LINGER, linger_ms);
        zmq_close(producer->ingest);
        producer->ingest = NULL;
    }
    if (producer->link.endpoint)
        ch_query_link_close(&producer->link);
    if (producer->own_context && producer->context)
        zmq_ctx_term(producer->context); /* waits for the linger */
    producer->context = NULL;
}

void
cityhall_producer_destroy(cityhall_producer_t **producer_p)
{
    cityhall_producer_t *producer = ch_take(producer_p);
    if (!producer)
        return;
    close_sockets(producer, 0);
    ch_producer_session_destroy(&producer->session);
    ch_spool_destroy(&producer->spool);
    ch_batch_encoder_destroy(&producer->encoder);
    ch_buffer_release(&producer->request);
    free(producer);
}

/* ---- the loop */

/* Ask the node; a link that cannot take the question is renewed later, by its deadline. */
static void
ask(cityhall_producer_t *producer, const ch_producer_action_t *action, int64_t now_ms)
{
    uint8_t id[9];
    ch_request_t request;
    ch_request_init(&request);
    request.op = CH_OP_ACK;
    request.id = ch_query_link_next_id(&producer->link, id);
    request.has_identity = true;
    memcpy(request.producer, producer->identity.producer, sizeof request.producer);
    request.epoch = producer->identity.epoch;
    request.seq = action->seq;
    request.level = action->level;
    request.wait_ms = action->wait_ms;
    ch_buffer_clear(&producer->request);
    ch_request_encode(&request, &producer->request);
    bool sent = !producer->request.failed &&
                ch_query_link_send(&producer->link, ch_buffer_bytes(&producer->request));
    ch_producer_session_asked(producer->session, now_ms);
    producer->link_deadline_ms =
        now_ms + (sent ? (int64_t)action->wait_ms + producer->options.request_timeout_ms
                       : ASK_AGAIN_MS);
}

static void
tell_rejects(cityhall_producer_t *producer, const ch_reject_t *rejects, uint32_t count)
{
    for (uint32_t i = 0; i < count && producer->options.on_reject; i++) {
        cityhall_reject_t reject = {.seq = rejects[i].seq,
                                    .index = rejects[i].index,
                                    .code = ch_reply_code(rejects[i].code),
                                    .message = rejects[i].message};
        producer->options.on_reject(producer->options.on_reject_context, &reject);
    }
}

/* Everything up to here is acknowledged: the spool may forget it. */
static void
release_spool(cityhall_producer_t *producer)
{
    ch_producer_session_view_t view;
    if (!producer->spool)
        return;
    ch_producer_session_view(producer->session, &view);
    ch_spool_release(producer->spool, view.first_held - 1);
}

static void
keep_reason(cityhall_producer_t *producer, const ch_reply_view_t *view)
{
    ch_bytes_t reason = {0};
    (void)ch_reply_view_text(view, "reason", &reason);
    snprintf(producer->reason, sizeof producer->reason, "%.*s", (int)reason.size,
             reason.size ? (const char *)reason.data : "");
}

/* TIMEOUT, and what is known of its cause. */
static cityhall_status_t
fail_timeout(cityhall_producer_t *producer, const char *what)
{
    if (*producer->reason)
        return ch_producer_fail(producer, CITYHALL_ERR_TIMEOUT,
                                "%s: the node holds writes: %s", what, producer->reason);
    return ch_producer_fail(producer, CITYHALL_ERR_TIMEOUT, "%s%s%s", what,
                            producer->heard ? "" : ": no answer from ",
                            producer->heard ? "" : producer->options.query);
}

static void
answer(cityhall_producer_t *producer, const ch_reply_view_t *view, int64_t now_ms)
{
    ch_ack_reply_t ack;
    ch_reject_t told[CH_SESSION_REJECTS_MAX], rejects[CH_SESSION_REJECTS_MAX];
    producer->heard = true;
    keep_reason(producer, view);
    if (!view->ok || ch_reply_view_ack(view, &ack, rejects) < 0) {
        ch_producer_fail(producer, CITYHALL_OK, "ack: %.*s: %.*s", (int)view->code.size,
                         (const char *)view->code.data, (int)view->message.size,
                         (const char *)view->message.data);
        producer->link_deadline_ms = now_ms + ASK_AGAIN_MS; /* not at once: it says no */
        producer->link.asking = true;
        return;
    }
    uint32_t count = ch_producer_session_answered(producer->session, &ack, now_ms, told);
    tell_rejects(producer, told, count);
    release_spool(producer);
}

/* Take an answer, or give a question up. */
static cityhall_status_t
serve_link(cityhall_producer_t *producer, int64_t now_ms)
{
    ch_reply_view_t view;
    ch_bytes_t frame;
    if (!producer->link_deadline_ms)
        return CITYHALL_OK;
    int got = ch_query_link_receive(&producer->link, &view, &frame);
    if (got > 0) {
        producer->link_deadline_ms = 0;
        answer(producer, &view, now_ms);
        return CITYHALL_OK;
    }
    if (got == 0 && now_ms < producer->link_deadline_ms)
        return CITYHALL_OK;
    producer->link_deadline_ms = 0;
    producer->heard = false;
    ch_producer_session_unanswered(producer->session, now_ms);
    if (!ch_query_link_renew(&producer->link))
        return ch_producer_fail(producer, CITYHALL_ERR_NETWORK, "query %s: %s",
                                producer->options.query, zmq_strerror(zmq_errno()));
    return CITYHALL_OK;
}

static bool
next_held(void *context, size_t i, ch_bytes_t *frame_out)
{
    return ch_producer_session_held(context, i, frame_out);
}

/* The node forgot us: number what is held anew. Spool first, or a crash would mix epochs. */
static cityhall_status_t
start_epoch(cityhall_producer_t *producer)
{
    uint64_t clock = wall_clock_ns(), old = producer->identity.epoch;
    uint64_t epoch = clock > old ? clock : old + 1;
    ch_producer_session_new_epoch(producer->session, epoch);
    producer->identity.epoch = epoch;
    producer->stats.sessions_lost++;
    producer->link_deadline_ms = 0;
    producer->link.asking = false;
    if (producer->spool &&
        !ch_spool_rewrite(producer->spool, next_held, producer->session))
        return ch_producer_fail(producer, CITYHALL_ERR_SPOOL, "spool %s: %s",
                                producer->options.spool, strerror(errno));
    return CITYHALL_OK;
}

/* libzmq gives up for good a connection whose key was refused. So that a key may be given to a producer that
 * runs already, its socket is made anew now and then while nobody answers. What it held is sent again. False:
 * libzmq failed, and the text says so. errno stays. */
static bool
knock_again(cityhall_producer_t *producer)
{
    int64_t now_ms = ch_client_now_ms();
    if (!producer->blocked_ms)
        producer->blocked_ms = now_ms;
    if (!producer->secret || !producer->session || producer->heard ||
        now_ms - producer->blocked_ms < producer->options.request_timeout_ms)
        return true;
    producer->blocked_ms = now_ms;
    zmq_close(producer->ingest);
    bool open = open_ingest(producer) && ch_query_link_renew(&producer->link);
    if (!open)
        ch_producer_fail(producer, CITYHALL_ERR_NETWORK, "ingest %s: %s",
                         producer->options.ingest, zmq_strerror(zmq_errno()));
    errno = EAGAIN;
    return open;
}

/* Hand a frame to the socket. 1: done, 0: not now, -1: error. */
static int
push_frame(cityhall_producer_t *producer, ch_bytes_t frame)
{
    if (zmq_send(producer->ingest, frame.data, frame.size, ZMQ_DONTWAIT) >= 0) {
        producer->blocked_ms = 0;
        return 1;
    }
    if (zmq_errno() == EAGAIN && !knock_again(producer))
        return -1;
    if (zmq_errno() == EAGAIN || zmq_errno() == EINTR)
        return 0;
    ch_producer_fail(producer, CITYHALL_ERR_NETWORK, "ingest %s: %s",
                     producer->options.ingest, zmq_strerror(zmq_errno()));
    return -1;
}

/* What step() found left to wait for. */
typedef struct pause {
    bool blocked; /* the PUSH socket takes nothing now */
    int64_t until_ms;
} pause_t;

/* Do one thing that the session wants. *done: nothing more without waiting. */
static cityhall_status_t
act(cityhall_producer_t *producer, int64_t now_ms, pause_t *pause, bool *done)
{
    ch_producer_action_t action = ch_producer_session_next(producer->session, now_ms);
    int sent;
    switch (action.kind) {
    case CH_PRODUCER_SEND:
        sent = push_frame(producer, action.frame);
        if (sent < 0)
            return CITYHALL_ERR_NETWORK;
        pause->blocked = *done = sent == 0;
        if (sent)
            ch_producer_session_sent(producer->session, now_ms);
        return CITYHALL_OK;
    case CH_PRODUCER_ASK:
        ask(producer, &action, now_ms);
        return CITYHALL_OK;
    case CH_PRODUCER_NEW_EPOCH:
        return start_epoch(producer);
    case CH_PRODUCER_FENCED:
        return ch_producer_fail(producer, CITYHALL_ERR_FENCED,
                                "a higher epoch of producer %s is at work",
                                producer->identity.producer);
    case CH_PRODUCER_WAIT:
        pause->until_ms = action.until_ms;
        *done = true;
        break;
    }
    return CITYHALL_OK;
}

/* Do all that can be done without waiting. */
static cityhall_status_t
step(cityhall_producer_t *producer, pause_t *pause)
{
    int64_t now_ms = ch_client_now_ms();
    bool done = false;
    *pause = (pause_t){.until_ms = INT64_MAX};
    cityhall_status_t status = serve_link(producer, now_ms);
    while (status >= 0 && !done)
        status = act(producer, now_ms, pause, &done);
    return status;
}

/* Wait for a socket, or until the earliest of the deadlines. */
static void
wait_event(cityhall_producer_t *producer, const pause_t *pause, int64_t until_ms)
{
    int64_t now_ms = ch_client_now_ms();
    if (producer->link_deadline_ms && producer->link_deadline_ms < until_ms)
        until_ms = producer->link_deadline_ms;
    if (pause->until_ms < until_ms)
        until_ms = pause->until_ms;
    int64_t left = until_ms - now_ms;
    zmq_pollitem_t items[2] = {
        {.socket = producer->link.socket, .events = ZMQ_POLLIN},
        {.socket = producer->ingest, .events = ZMQ_POLLOUT},
    };
    if (left > 0)
        zmq_poll(items, pause->blocked ? 2 : 1, left > 60000 ? 60000 : (long)left);
}

static int64_t
deadline_after(int32_t timeout_ms)
{
    return timeout_ms < 0 ? INT64_MAX : ch_client_now_ms() + timeout_ms;
}

/* ---- sending */

/* Without identity: hand the frame over, waiting for the socket at most until the deadline. */
static cityhall_status_t
send_plain(cityhall_producer_t *producer, ch_bytes_t frame)
{
    int64_t deadline_ms = deadline_after(producer->options.send_timeout_ms);
    for (;;) {
        int sent = push_frame(producer, frame);
        if (sent != 0)
            return sent > 0 ? CITYHALL_OK : CITYHALL_ERR_NETWORK;
        int64_t left = deadline_ms - ch_client_now_ms();
        if (left <= 0)
            return ch_producer_fail(producer, CITYHALL_ERR_TIMEOUT,
                                    "ingest %s: the node takes nothing now",
                                    producer->options.ingest);
        zmq_pollitem_t item = {.socket = producer->ingest, .events = ZMQ_POLLOUT};
        zmq_poll(&item, 1, left > 60000 ? 60000 : (long)left);
    }
}

/* Wait until the window has room for a frame. */
static cityhall_status_t
wait_for_room(cityhall_producer_t *producer, size_t size)
{
    int64_t deadline_ms = deadline_after(producer->options.send_timeout_ms);
    for (;;) {
        pause_t pause;
        cityhall_status_t status = step(producer, &pause);
        if (status < 0 || ch_producer_session_has_room(producer->session, size))
            return status;
        if (ch_client_now_ms() >= deadline_ms)
            return fail_timeout(
                producer, "the window is full and nothing was acknowledged in time");
        wait_event(producer, &pause, deadline_ms);
    }
}

static cityhall_status_t
send_held(cityhall_producer_t *producer)
{
    ch_bytes_t frame;
    pause_t pause;
    cityhall_status_t status = wait_for_room(
        producer, ch_batch_encoder_size(producer->encoder) + FRAME_EXTRA_BYTES);
    if (status < 0)
        return status;
    ch_identity_t identity = producer->identity;
    identity.seq = ch_producer_session_next_seq(producer->session);
    if (ch_batch_encoder_finish(producer->encoder, &identity, &frame) < 0)
        return ch_producer_fail(producer, CITYHALL_ERR_MEMORY, "no memory for a batch");
    if (producer->spool && !ch_spool_append(producer->spool, identity.seq, frame))
        return ch_producer_fail(producer, CITYHALL_ERR_SPOOL, "spool %s: %s",
                                producer->options.spool, strerror(errno));
    if (!ch_producer_session_push(producer->session, frame))
        return ch_producer_fail(producer, CITYHALL_ERR_MEMORY, "no memory for a batch");
    producer->stats.bytes += frame.size;
    producer->stats.points += ch_batch_encoder_points(producer->encoder);
    ch_batch_encoder_reset(producer->encoder);
    return step(producer, &pause);
}

cityhall_status_t
cityhall_producer_send(cityhall_producer_t *producer, uint64_t *seq_out)
{
    cityhall_status_t status = CITYHALL_OK;
    ch_bytes_t frame;
    pause_t pause;
    if (ch_batch_encoder_points(producer->encoder) == 0) {
        ch_batch_encoder_reset(producer->encoder);
        if (producer->session)
            status = step(producer, &pause);
    } else if (producer->session) {
        status = send_held(producer);
    } else if (ch_batch_encoder_finish(producer->encoder, NULL, &frame) < 0) {
        status = ch_producer_fail(producer, CITYHALL_ERR_MEMORY, "no memory for a batch");
    } else {
        status = send_plain(producer, frame);
        if (status >= 0) {
            producer->stats.bytes += frame.size;
            producer->stats.points += ch_batch_encoder_points(producer->encoder);
            ch_batch_encoder_reset(producer->encoder);
        }
    }
    if (status >= 0 && seq_out)
        *seq_out =
            producer->session ? ch_producer_session_next_seq(producer->session) - 1 : 0;
    return status;
}

cityhall_status_t
ch_producer_make_room(cityhall_producer_t *producer, uint64_t bytes, uint64_t points)
{
    const cityhall_producer_options_t *options = &producer->options;
    size_t open = ch_batch_encoder_size(producer->encoder);
    uint32_t open_points = ch_batch_encoder_points(producer->encoder);
    if (bytes + FRAME_EXTRA_BYTES > options->batch_bytes_max ||
        points > options->batch_points_max)
        return ch_producer_fail(producer, CITYHALL_ERR_LIMIT,
                                "%llu points in about %llu bytes do not fit one batch "
                                "(%u points, %u bytes): add them in pieces",
                                (unsigned long long)points, (unsigned long long)bytes,
                                options->batch_points_max, options->batch_bytes_max);
    if (open_points == 0 || (open + bytes <= options->batch_bytes &&
                             open_points + points <= options->batch_points_max))
        return CITYHALL_OK;
    return cityhall_producer_send(producer, NULL);
}

/* ---- waiting */

cityhall_status_t
cityhall_producer_poll(cityhall_producer_t *producer, int32_t timeout_ms)
{
    pause_t pause;
    if (!producer->session)
        return CITYHALL_OK;
    cityhall_status_t status = step(producer, &pause);
    if (status < 0 || timeout_ms == 0)
        return status;
    wait_event(producer, &pause, deadline_after(timeout_ms));
    return step(producer, &pause);
}

cityhall_status_t
cityhall_producer_wait(cityhall_producer_t *producer, cityhall_level_t level,
                       int32_t timeout_ms)
{
    int64_t deadline_ms = deadline_after(timeout_ms);
    cityhall_status_t status = CITYHALL_OK;
    if (!producer->session)
        return ch_producer_fail(producer, CITYHALL_ERR_ARGUMENT,
                                "a producer without id gets no acks");
    if (level > CITYHALL_REPLICATED)
        return ch_producer_fail(producer, CITYHALL_ERR_ARGUMENT, "no such level");
    ch_producer_session_want(producer->session, (ch_level_t)level);
    while (status >= 0) {
        pause_t pause;
        status = step(producer, &pause);
        if (status < 0 ||
            ch_producer_session_reached(producer->session, (ch_level_t)level))
            break;
        if (ch_client_now_ms() >= deadline_ms)
            status = fail_timeout(producer, "not everything reached its level in time");
        else
            wait_event(producer, &pause, deadline_ms);
    }
    ch_producer_session_want(producer->session, CH_LEVEL_RECEIVED);
    return status;
}

cityhall_status_t
cityhall_producer_close(cityhall_producer_t **producer_p, int32_t timeout_ms)
{
    cityhall_producer_t *producer = *producer_p;
    if (!producer)
        return CITYHALL_OK;
    producer->options.send_timeout_ms = timeout_ms;
    cityhall_status_t status = cityhall_producer_send(producer, NULL);
    if (status >= 0 && producer->session)
        status = cityhall_producer_wait(producer, producer->options.level, timeout_ms);
    else if (status >= 0)
        close_sockets(producer, timeout_ms);
    cityhall_producer_destroy(producer_p);
    return status;
}

void
cityhall_producer_stats(const cityhall_producer_t *producer,
                        cityhall_producer_stats_t *stats_out)
{
    *stats_out = producer->stats;
    stats_out->open_points = ch_batch_encoder_points(producer->encoder);
    if (!producer->session)
        return;
    ch_producer_session_view_t view;
    ch_producer_session_view(producer->session, &view);
    stats_out->epoch = view.epoch;
    stats_out->sent = view.sent;
    stats_out->received = view.received;
    stats_out->durable = view.durable;
    stats_out->replicated = view.replicated;
    stats_out->lsn = view.lsn;
    stats_out->term = view.term;
    stats_out->held_batches = view.held_batches;
    stats_out->held_bytes = view.held_bytes;
    stats_out->rejected = view.rejected;
    stats_out->resent_batches = view.resent;
}

const char *
cityhall_producer_error(const cityhall_producer_t *producer)
{
    return producer->error;
}

const char *
cityhall_version(void)
{
    return CH_VERSION;
}

const char *
cityhall_status_name(cityhall_status_t status)
{
    switch (status) {
    case CITYHALL_OK:
        return "ok";
    case CITYHALL_END:
        return "end";
    case CITYHALL_NOT_FOUND:
        return "not found";
    case CITYHALL_ERR_MEMORY:
        return "out of memory";
    case CITYHALL_ERR_ARGUMENT:
        return "bad argument";
    case CITYHALL_ERR_TIMEOUT:
        return "timeout";
    case CITYHALL_ERR_LIMIT:
        return "limit";
    case CITYHALL_ERR_FENCED:
        return "fenced";
    case CITYHALL_ERR_REFUSED:
        return "refused by the node";
    case CITYHALL_ERR_NETWORK:
        return "network";
    case CITYHALL_ERR_PROTOCOL:
        return "protocol";
    case CITYHALL_ERR_SPOOL:
        return "spool";
    }
    return "unknown";
}
