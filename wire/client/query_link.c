#include "query_link.h"

#include "ch/coding.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum { REPLY_BYTES_MAX = 16 << 20, RECONNECT_MS = 100, RECONNECT_MAX_MS = 2000 };

int64_t
ch_client_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool
set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

bool
ch_query_link_renew(ch_query_link_t *link)
{
    const int64_t reply_bytes_max = REPLY_BYTES_MAX;
    if (link->socket)
        zmq_close(link->socket);
    link->asking = false;
    link->socket = zmq_socket(link->context, ZMQ_DEALER);
    if (!link->socket)
        return false;
    return set_int(link->socket, ZMQ_LINGER,
                   0) && /* an unanswered question is worth nothing */
           set_int(link->socket, ZMQ_RECONNECT_IVL, RECONNECT_MS) &&
           set_int(link->socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS) &&
           set_int(link->socket, ZMQ_SNDHWM, 4) &&
           zmq_setsockopt(link->socket, ZMQ_MAXMSGSIZE, &reply_bytes_max,
                          sizeof reply_bytes_max) == 0 &&
           ch_client_curve_set(link->socket, link->secret) &&
           zmq_connect(link->socket, link->endpoint) == 0;
}

bool
ch_query_link_open(ch_query_link_t *link, void *context, const char *endpoint,
                   const ch_secret_t *secret)
{
    *link = (ch_query_link_t){.context = context, .secret = secret};
    zmq_msg_init(&link->reply);
    link->has_reply = true;
    link->endpoint = strdup(endpoint);
    if (!link->endpoint) {
        errno = ENOMEM;
        return false;
    }
    return ch_query_link_renew(link);
}

void
ch_query_link_close(ch_query_link_t *link)
{
    if (link->socket)
        zmq_close(link->socket);
    if (link->has_reply)
        zmq_msg_close(&link->reply);
    free(link->endpoint);
    *link = (ch_query_link_t){0};
}

ch_bytes_t
ch_query_link_next_id(ch_query_link_t *link, uint8_t id_out[9])
{
    link->id++;
    id_out[0] = 0xcf;
    ch_store_u64(id_out + 1, __builtin_bswap64(link->id));
    return ch_bytes(id_out, 9);
}

/* libzmq looks only now and then at what the other end said about room in the queue, so a queue that
 * is long empty may count as full. Asking for the events makes it look. */
static bool
send_delimiter(ch_query_link_t *link)
{
    int events;
    size_t size = sizeof events;
    if (zmq_send(link->socket, "", 0, ZMQ_DONTWAIT | ZMQ_SNDMORE) == 0)
        return true;
    return zmq_errno() == EAGAIN &&
           zmq_getsockopt(link->socket, ZMQ_EVENTS, &events, &size) == 0 &&
           (events & ZMQ_POLLOUT) &&
           zmq_send(link->socket, "", 0, ZMQ_DONTWAIT | ZMQ_SNDMORE) == 0;
}

bool
ch_query_link_send(ch_query_link_t *link, ch_bytes_t request)
{
    if (!send_delimiter(link))
        return false;
    if (zmq_send(link->socket, request.data, request.size, ZMQ_DONTWAIT) < 0)
        return false;
    link->asking = true;
    return true;
}

/* Read one whole message; its second frame, the body, stays in link->reply. Returns the number of
 * frames, 0 when there is none. */
static int
receive_frames(ch_query_link_t *link)
{
    int frames = 0;
    for (;;) {
        if (zmq_msg_recv(&link->reply, link->socket, ZMQ_DONTWAIT) < 0)
            return frames;
        frames++;
        if (!zmq_msg_more(&link->reply))
            return frames;
    }
}

int
ch_query_link_receive(ch_query_link_t *link, ch_reply_view_t *view_out,
                      ch_bytes_t *frame_out)
{
    for (int frames = receive_frames(link); frames > 0; frames = receive_frames(link)) {
        ch_bytes_t frame =
            ch_bytes(zmq_msg_data(&link->reply), zmq_msg_size(&link->reply));
        ch_reply_view_t view;
        uint64_t id = 0;
        if (frames != 2 || ch_reply_view_open(frame, &view) < 0) {
            link->asking = false;
            return -1;
        }
        ch_cursor_t at = ch_cursor(view.id);
        ch_item_t item;
        if (ch_cursor_next(&at, &item) && item.kind == CH_ITEM_INT)
            id = item.u64;
        if (!link->asking || (id != link->id && id != 0))
            continue; /* of a question that we gave up */
        link->asking = false;
        *view_out = view;
        *frame_out = frame;
        return 1;
    }
    return 0;
}
