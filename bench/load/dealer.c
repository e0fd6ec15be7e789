#include "dealer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ch/secret.h"

enum { MUST_ANSWER_MS = 30000 };

void
ch_load_die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("devops_load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static ch_secret_t *load_key; /* until the program ends */

void
ch_load_take_key(const char *path)
{
    if (path && ch_secret_load(path, &load_key) < 0)
        ch_load_die("%s", ch_fail_text());
}

void
ch_load_show_key(void *socket)
{
    if (!load_key)
        return;
    if (zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, load_key->server_key,
                       CH_KEY_TEXT_BYTES) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, load_key->public_key,
                       CH_KEY_TEXT_BYTES) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, load_key->secret_key,
                       CH_KEY_TEXT_BYTES) != 0)
        ch_load_die("the key file is no good: %s", zmq_strerror(zmq_errno()));
}

void
ch_dealer_open(ch_dealer_t *dealer, void *context, const char *endpoint)
{
    const int none = 0;
    *dealer = (ch_dealer_t){.socket = zmq_socket(context, ZMQ_DEALER)};
    zmq_msg_init(&dealer->reply);
    if (dealer->socket)
        ch_load_show_key(dealer->socket);
    if (!dealer->socket ||
        zmq_setsockopt(dealer->socket, ZMQ_LINGER, &none, sizeof none) != 0 ||
        zmq_connect(dealer->socket, endpoint) != 0)
        ch_load_die("%s: %s", endpoint, zmq_strerror(zmq_errno()));
}

void
ch_dealer_close(ch_dealer_t *dealer)
{
    zmq_msg_close(&dealer->reply);
    zmq_close(dealer->socket);
    ch_buffer_release(&dealer->request);
}

void
ch_dealer_ask(ch_dealer_t *dealer, ch_request_t *request, uint64_t id)
{
    uint8_t raw[9] = {0xcf};
    ch_store_u64(raw + 1, __builtin_bswap64(id));
    request->id = ch_bytes(raw, sizeof raw);
    ch_buffer_clear(&dealer->request);
    ch_request_encode(request, &dealer->request);
    if (dealer->request.failed || zmq_send(dealer->socket, "", 0, ZMQ_SNDMORE) < 0 ||
        zmq_send(dealer->socket, dealer->request.data, dealer->request.size, 0) < 0)
        ch_load_die("a question cannot be sent: %s", zmq_strerror(zmq_errno()));
}

void
ch_dealer_ask_ack(ch_dealer_t *dealer, const char *producer, uint64_t seq,
                  uint32_t wait_ms)
{
    ch_request_t request;
    ch_request_init(&request);
    request.op = CH_OP_ACK;
    request.has_identity = true;
    snprintf(request.producer, sizeof request.producer, "%s", producer);
    request.epoch = 1;
    request.seq = seq;
    request.level = CH_LEVEL_DURABLE;
    request.wait_ms = wait_ms;
    ch_dealer_ask(dealer, &request, seq);
    ch_request_release(&request);
}

static uint64_t
reply_id(const ch_reply_view_t *view)
{
    ch_cursor_t at = ch_cursor(view->id);
    ch_item_t item;
    if (!ch_cursor_next(&at, &item) || item.kind != CH_ITEM_INT)
        ch_load_die("a reply without number");
    return item.u64;
}

bool
ch_dealer_receive(ch_dealer_t *dealer, int timeout_ms, uint64_t *id_out,
                  ch_reply_view_t *view_out)
{
    zmq_pollitem_t item = {.socket = dealer->socket, .events = ZMQ_POLLIN};
    if (timeout_ms != 0 && zmq_poll(&item, 1, timeout_ms) <= 0)
        return false;
    if (zmq_msg_recv(&dealer->reply, dealer->socket, ZMQ_DONTWAIT) < 0)
        return false;
    while (zmq_msg_more(&dealer->reply))
        if (zmq_msg_recv(&dealer->reply, dealer->socket, ZMQ_DONTWAIT) < 0)
            return false;
    ch_bytes_t frame =
        ch_bytes(zmq_msg_data(&dealer->reply), zmq_msg_size(&dealer->reply));
    if (ch_reply_view_open(frame, view_out) < 0)
        ch_load_die("the node's reply is none");
    *id_out = reply_id(view_out);
    return true;
}

void
ch_dealer_must(ch_dealer_t *dealer, ch_request_t *request, ch_reply_view_t *view_out)
{
    uint64_t id = 0;
    ch_dealer_ask(dealer, request, 0);
    if (!ch_dealer_receive(dealer, MUST_ANSWER_MS, &id, view_out))
        ch_load_die("%s: no answer within %d ms", ch_op_name(request->op),
                    MUST_ANSWER_MS);
    if (!view_out->ok)
        ch_load_die("%s: %.*s", ch_op_name(request->op), (int)view_out->message.size,
                    view_out->message.data);
}
