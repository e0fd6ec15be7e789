#include "support/fake_node.h"

#include "support/notation.h"
#include "support/test.h"

#include "ch/reply.h"
#include "ch/request.h"

#include <zmq.h>

fake_node_t *node;

static void
note_batch(const ch_batch_t *batch)
{
    for (uint32_t b = 0; b < batch->block_count; b++) {
        const ch_batch_block_t *block = &batch->blocks[b];
        for (uint32_t j = 0; j < block->fields; j++)
            for (uint32_t i = 0; i < block->rows; i++) {
                ch_value_t value = ch_values_at(&block->values[j], i);
                node->sum += value.type == CH_VALUE_INT ? value.i64 : 0;
            }
    }
    node->points += batch->points;
}

static void
take_batch(ch_bytes_t frame)
{
    const ch_batch_t *batch;
    ch_reject_t reject;
    ch_status_t status = ch_batch_decode(node->decoder, frame, 5, &batch, &reject);
    assert_int_not_equal(status, CH_ERR_CORRUPT);
    if (node->lose_batches > 0) {
        node->lose_batches--;
        return;
    }
    const ch_identity_t *identity = &batch->identity;
    node->batches++;
    if (!identity->present) {
        note_batch(batch);
        return;
    }
    if (identity->epoch > node->epoch && identity->seq == 1) {
        node->epoch = identity->epoch;
        node->received = 0;
    }
    if (identity->epoch != node->epoch || identity->seq != node->received + 1)
        return;
    node->received++;
    if (node->received != node->reject_seq)
        note_batch(batch);
}

static ch_bytes_t
answer_ack(ch_reply_t *reply, const ch_request_t *request)
{
    ch_bytes_t frame;
    ch_reject_t reject = {.seq = node->reject_seq, .index = 3, .code = CH_ERR_LIMIT};
    bool known = request->epoch == node->epoch;
    uint64_t received = known ? node->received : 0;
    ch_ack_reply_t ack = {.state = received >= request->seq ? CH_ACK_OK
                                   : known                  ? CH_ACK_PENDING
                                                            : CH_ACK_UNKNOWN,
                          .received = received,
                          .durable = received,
                          .replicated = received,
                          .expected = received + 1,
                          .lsn = 70 + received,
                          .term = 3};
    if (node->held) {
        ack.state = CH_ACK_PENDING;
        ack.durable = ack.replicated = 0;
        ack.reason = node->held;
    }
    if (node->fence > request->epoch) {
        ack.state = CH_ACK_FENCED;
        ack.epoch = node->fence;
    }
    if (node->reject_seq && node->reject_seq <= received) {
        ack.reject_count = 1;
        ack.rejects = &reject;
        snprintf(reject.message, sizeof reject.message, "too much");
    }
    ch_reply_begin(reply, request->id);
    ch_reply_put_ack(reply, &ack);
    assert_int_equal(ch_reply_finish(reply, &frame), CH_OK);
    return frame;
}

/* A canned reply with the request's id put in front. */
static ch_bytes_t
answer_canned(ch_buffer_t *out, const ch_request_t *request)
{
    const char *text = node->reply[node->reply_at];
    if (node->reply_at + 1 < REPLIES_MAX && node->reply[node->reply_at + 1])
        node->reply_at++;
    snprintf(node->request, sizeof node->request, "%s %.*s %.*s %lld %lld %.*s lsn %llu",
             ch_op_name(request->op), (int)request->match.size,
             request->match.data ? (const char *)request->match.data : "",
             (int)request->cursor.size,
             request->cursor.data ? (const char *)request->cursor.data : "",
             (long long)request->start, (long long)request->time, (int)request->name.size,
             request->name.data ? (const char *)request->name.data : "",
             (unsigned long long)request->min_lsn);
    ch_buffer_t fields = {0};
    ch_buffer_clear(out);
    notation_build(&fields, text);
    assert_int_equal(fields.data[0] & 0xf0, 0x80); /* a small map */
    uint8_t head[] = {(uint8_t)(fields.data[0] + 1), 0xa2, 'i', 'd'};
    ch_buffer_append(out, head, sizeof head);
    ch_buffer_append(out, request->id.data, request->id.size);
    ch_buffer_append(out, fields.data + 1, fields.size - 1);
    ch_buffer_release(&fields);
    return ch_buffer_bytes(out);
}

static void
serve_question(void *router, ch_reply_t *reply, ch_buffer_t *canned)
{
    zmq_msg_t parts[3];
    for (int i = 0; i < 3; i++) {
        zmq_msg_init(&parts[i]);
        zmq_msg_recv(&parts[i], router, 0);
    }
    ch_request_t request;
    ch_limits_t limits = ch_limits_default();
    ch_request_init(&request);
    ch_bytes_t frame = ch_bytes(zmq_msg_data(&parts[2]), zmq_msg_size(&parts[2]));
    assert_int_equal(ch_request_decode(frame, &limits, &request), CH_OK);
    node->questions++;
    if (node->lose_questions > 0) {
        node->lose_questions--;
    } else {
        ch_bytes_t answer = request.op == CH_OP_ACK ? answer_ack(reply, &request)
                                                    : answer_canned(canned, &request);
        zmq_msg_send(&parts[0], router, ZMQ_SNDMORE);
        zmq_send(router, "", 0, ZMQ_SNDMORE);
        zmq_send(router, answer.data, answer.size, 0);
    }
    for (int i = 0; i < 3; i++)
        zmq_msg_close(&parts[i]);
    ch_request_release(&request);
}

static void
serve(void *pull, void *router, ch_reply_t *reply, ch_buffer_t *canned)
{
    zmq_pollitem_t items[] = {{.socket = pull, .events = ZMQ_POLLIN},
                              {.socket = router, .events = ZMQ_POLLIN}};
    zmq_poll(items, 2, 10);
    pthread_mutex_lock(&node->lock);
    if (node->forget) {
        node->forget = false;
        node->epoch = node->received = 0;
    }
    if (items[0].revents) {
        zmq_msg_t message;
        zmq_msg_init(&message);
        zmq_msg_recv(&message, pull, 0);
        take_batch(ch_bytes(zmq_msg_data(&message), zmq_msg_size(&message)));
        zmq_msg_close(&message);
        pthread_cond_broadcast(&node->taken);
    }
    if (items[1].revents)
        serve_question(router, reply, canned);
    pthread_mutex_unlock(&node->lock);
}

static bool
stopping(void)
{
    pthread_mutex_lock(&node->lock);
    bool stop = node->stop;
    pthread_mutex_unlock(&node->lock);
    return stop;
}

/* Bind to a port that is free and say which. */
static void *
bind_socket(int type, char *endpoint, size_t size)
{
    void *socket = zmq_socket(node->context, type);
    int linger = 0;
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    assert_int_equal(zmq_bind(socket, "tcp://127.0.0.1:*"), 0);
    assert_int_equal(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
    return socket;
}

typedef struct sockets {
    void *pull, *router;
} sockets_t;

static void *
run_node(void *argument)
{
    sockets_t *sockets = argument;
    ch_reply_t reply;
    ch_buffer_t canned = {0};
    ch_reply_init(&reply, 1 << 20);
    while (!stopping())
        serve(sockets->pull, sockets->router, &reply, &canned);
    zmq_close(sockets->pull);
    zmq_close(sockets->router);
    ch_reply_release(&reply);
    ch_buffer_release(&canned);
    free(sockets);
    return NULL;
}

int
fake_node_set_up(void **state)
{
    (void)state;
    ch_limits_t limits = ch_limits_default();
    sockets_t *sockets = calloc(1, sizeof *sockets);
    node = calloc(1, sizeof *node);
    pthread_mutex_init(&node->lock, NULL);
    pthread_cond_init(&node->taken, NULL);
    node->context = zmq_ctx_new();
    node->decoder = ch_batch_decoder_new(&limits);
    node->reply[0] = "{ok true}";
    sockets->pull = bind_socket(ZMQ_PULL, node->ingest, sizeof node->ingest);
    sockets->router = bind_socket(ZMQ_ROUTER, node->query, sizeof node->query);
    return pthread_create(&node->thread, NULL, run_node, sockets);
}

int
fake_node_tear_down(void **state)
{
    (void)state;
    pthread_mutex_lock(&node->lock);
    node->stop = true;
    pthread_mutex_unlock(&node->lock);
    pthread_join(node->thread, NULL);
    zmq_ctx_term(node->context);
    ch_batch_decoder_destroy(&node->decoder);
    pthread_cond_destroy(&node->taken);
    pthread_mutex_destroy(&node->lock);
    free(node);
    notation_release();
    return 0;
}
