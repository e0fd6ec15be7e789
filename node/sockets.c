#include "sockets.h"

#include <errno.h>
#include <stdatomic.h>
#include "ch/assert.h"

void
ch_socket_set(void *socket, int option, int value)
{
    int code = zmq_setsockopt(socket, option, &value, sizeof value);
    CH_ASSERT(code == 0); /* an option of ours that libzmq does not know */
}

void
ch_socket_set_i64(void *socket, int option, int64_t value)
{
    int code = zmq_setsockopt(socket, option, &value, sizeof value);
    CH_ASSERT(code == 0);
}

/* Were nobody there to ask, libzmq would admit every key: the auth actor lives longer than these sockets,
 * and the self-test looks. */
static ch_status_t
set_curve(void *socket, const char *key, const ch_keys_t *keys)
{
    const char *domain = strchr(key, '.') + 1;
    ch_socket_set(socket, ZMQ_CURVE_SERVER, 1);
    if (zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys->secret->secret_key,
                       CH_KEY_TEXT_BYTES) == 0 &&
        zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, domain, strlen(domain)) == 0)
        return CH_OK;
    return ch_fail(CH_ERR_UNSUPPORTED, "%s: CURVE cannot be set up: %s", key,
                   zmq_strerror(zmq_errno()));
}

static ch_status_t
fail_bind(const char *key, const char *endpoint)
{
    if (errno == EADDRINUSE)
        return ch_fail(
            CH_ERR_BUSY,
            "%s: %s is in use by another program; stop it or choose another port", key,
            endpoint);
    return ch_fail(CH_ERR_INVALID, "%s: cannot bind %s: %s", key, endpoint,
                   zmq_strerror(zmq_errno()));
}

ch_status_t
ch_socket_bind(int type, const char *key, const char *endpoint, int linger_ms,
               void (*options)(void *socket, const ch_node_t *node),
               const ch_node_t *node, zsock_t **socket_out,
               char endpoint_out[CH_ENDPOINT_BYTES])
{
    zsock_t *made = zsock_new(type);
    if (!made)
        return ch_fail(CH_ERR_LIMIT, "%s: no socket: %s", key, zmq_strerror(zmq_errno()));
    void *socket = zsock_resolve(made);
    ch_socket_set(socket, ZMQ_LINGER, linger_ms);
    ch_socket_set(socket, ZMQ_IPV6, strchr(endpoint, '[') != NULL);
    options(socket, node);
    ch_status_t status = node->keys ? set_curve(socket, key, node->keys) : CH_OK;
    if (status < 0) {
        zsock_destroy(&made);
        return status;
    }
    size_t size = CH_ENDPOINT_BYTES;
    if (zmq_bind(socket, endpoint) != 0 ||
        zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint_out, &size) != 0) {
        status = fail_bind(key, endpoint);
        zsock_destroy(&made);
        return status;
    }
    *socket_out = made;
    return CH_OK;
}

/* libzmq orders what one thread wrote before a send and another reads after the receive. This says
 * the same in a way that the thread sanitizer sees: it cannot look into libzmq. */
static atomic_uint handovers;

void
ch_socket_send_pointer(void *socket, void *pointer)
{
    (void)atomic_fetch_add(&handovers, 1);
    /* inproc pairs of ours have no high-water mark: what is in flight is bounded by job limits */
    int sent = zmq_send(socket, &pointer, sizeof pointer, 0);
    CH_ASSERT(sent == (int)sizeof pointer);
}

void *
ch_socket_take_pointer(void *socket, int flags, char word_out[32])
{
    word_out[0] = '\0';
    char bytes[31];
    int size = zmq_recv(socket, bytes, sizeof bytes, flags);
    if (size == (int)sizeof(void *)) {
        void *pointer;
        memcpy(&pointer, bytes, sizeof pointer);
        (void)atomic_fetch_add(&handovers, 1);
        return pointer;
    }
    if (size > 0 && size <= (int)sizeof bytes) {
        memcpy(word_out, bytes, (size_t)size);
        word_out[size] = '\0';
    }
    return NULL;
}

void
ch_actor_report(zsock_t *pipe, ch_status_t status, const char *text)
{
    (void)atomic_fetch_add(&handovers, 1);
    zsock_signal(pipe, 0); /* zactor_new waits for it and ignores the value */
    zstr_sendf(pipe, "%s %s", status < 0 ? "FAILED" : "READY", text);
}

void
ch_actor_ends(void)
{
    (void)atomic_fetch_add(&handovers, 1);
}

void
ch_actor_destroy(zactor_t **actor)
{
    zactor_destroy(actor);
    (void)atomic_fetch_add(&handovers, 1);
}

ch_status_t
ch_actor_await(zactor_t *actor, char *text_out, size_t size)
{
    char *word = zstr_recv(actor);
    (void)atomic_fetch_add(&handovers, 1);
    ch_status_t status = CH_OK;
    if (word && strncmp(word, "READY ", 6) == 0)
        snprintf(text_out, size, "%s", word + 6);
    else
        status = ch_fail(CH_ERR_INVALID, "%s",
                         word && strlen(word) > 7 ? word + 7 : "an actor did not start");
    zstr_free(&word);
    return status;
}
