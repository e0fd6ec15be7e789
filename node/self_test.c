#include "self_test.h"

#include <string.h>
#include <zmq.h>
#include "ch/clock.h"
#include "sockets.h"

enum { WAIT_MS = 30000 };

static const char monitor_endpoint[] = "inproc://self-test";

typedef struct trial {
    int type; /* of the stranger's socket */
    const char *socket, *endpoint;
    bool keyed; /* shows a key, though an unknown one */
} trial_t;

/* The handshake's end, as the stranger sees it: 1 admitted, 0 refused, -1 neither yet. */
static int
judge_event(uint16_t event)
{
    switch (event) {
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        return 1;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        return 0;
    default:
        return -1;
    }
}

/* An event: its number and value, then a frame with the endpoint. */
static int
take_event(void *monitor)
{
    uint8_t head[6];
    char endpoint[CH_ENDPOINT_BYTES];
    uint16_t event = 0;
    if (zmq_recv(monitor, head, sizeof head, 0) == (int)sizeof head)
        memcpy(&event, head, sizeof event);
    (void)zmq_recv(monitor, endpoint, sizeof endpoint, 0);
    return judge_event(event);
}

static ch_status_t
await(void *monitor, const trial_t *trial)
{
    ch_clock_t clock = ch_clock_system();
    int64_t end_ns = ch_clock_monotonic_ns(&clock) + WAIT_MS * INT64_C(1000000);
    for (;;) {
        int64_t left_ms = (end_ns - ch_clock_monotonic_ns(&clock)) / 1000000;
        zmq_pollitem_t item = {.socket = monitor, .events = ZMQ_POLLIN};
        if (left_ms <= 0)
            return ch_fail(CH_ERR_TIMEOUT,
                           "%s (%s) was to refuse an unknown key and did not answer",
                           trial->socket, trial->endpoint);
        if (zmq_poll(&item, 1, (long)left_ms) <= 0)
            continue;
        int admitted = take_event(monitor);
        if (admitted > 0)
            return ch_fail(CH_ERR_INVALID,
                           "%s (%s) admits a peer %s; the node does not serve like that",
                           trial->socket, trial->endpoint,
                           trial->keyed ? "with an unknown key" : "without a key");
        if (admitted == 0)
            return CH_OK;
    }
}

static void
show_key(void *socket, const ch_keys_t *keys)
{
    (void)zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, keys->secret->public_key,
                         CH_KEY_TEXT_BYTES);
    (void)zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, keys->stranger_public,
                         CH_KEY_TEXT_BYTES);
    (void)zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys->stranger_secret,
                         CH_KEY_TEXT_BYTES);
}

static ch_status_t
knock(void *context, const ch_keys_t *keys, const trial_t *trial)
{
    void *socket = zmq_socket(context, trial->type);
    void *monitor = zmq_socket(context, ZMQ_PAIR);
    ch_status_t status = CH_OK;
    if (socket && monitor) {
        ch_socket_set(socket, ZMQ_LINGER, 0);
        ch_socket_set(monitor, ZMQ_LINGER, 0);
        ch_socket_set(socket, ZMQ_IPV6, strchr(trial->endpoint, '[') != NULL);
        if (trial->keyed)
            show_key(socket, keys);
    }
    if (!socket || !monitor ||
        zmq_socket_monitor(socket, monitor_endpoint, ZMQ_EVENT_ALL) != 0 ||
        zmq_connect(monitor, monitor_endpoint) != 0 ||
        zmq_connect(socket, trial->endpoint) != 0)
        status = ch_fail(CH_ERR_LIMIT, "%s (%s) cannot be tried: %s", trial->socket,
                         trial->endpoint, zmq_strerror(zmq_errno()));
    else
        status = await(monitor, trial);
    if (socket)
        zmq_close(socket);
    if (monitor)
        zmq_close(monitor);
    return status;
}

ch_status_t
ch_self_test(const ch_keys_t *keys, const char *ingest, const char *query)
{
    const trial_t trials[] = {{ZMQ_PUSH, "listen.ingest", ingest, true},
                              {ZMQ_PUSH, "listen.ingest", ingest, false},
                              {ZMQ_DEALER, "listen.query", query, true},
                              {ZMQ_DEALER, "listen.query", query, false}};
    ch_status_t status = CH_OK;
    for (size_t i = 0; status == CH_OK && i < sizeof trials / sizeof trials[0]; i++) {
        void *context = zmq_ctx_new(); /* one each: a monitor's name is free again */
        if (!context)
            return ch_fail(CH_ERR_LIMIT, "no context to try the endpoints with");
        status = knock(context, keys, &trials[i]);
        zmq_ctx_term(context);
    }
    return status;
}
