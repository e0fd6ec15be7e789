/* libcityhall against a node that is a thread of this program: it keeps a ledger as docs/protocol.md says, and
 * can be told to lose batches, to stay silent, to answer what a test wants. */
#include "cityhall.h"

#include "support/notation.h"
#include "support/test.h"

#include "ch/batch_decoder.h"
#include "ch/request.h"
#include "ch/reply.h"

#include <pthread.h>
#include <zmq.h>

enum { REPLIES_MAX = 8, WAIT_MS = 20000 };

typedef struct fake_node {
    pthread_t thread;
    void *context;
    char ingest[64], query[64];
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t taken; /* a batch came */
    bool stop;
    unsigned lose_batches, lose_questions; /* so many of the next */
    bool forget;                           /* drop the session, once */
    uint64_t fence;                        /* a higher epoch exists */
    uint64_t epoch, received;
    uint64_t batches, points, questions; /* taken, applied, seen */
    uint64_t reject_seq;
    int64_t sum; /* of all int values applied */
    const char
        *reply[REPLIES_MAX]; /* for whatever is not an ack, in turn; the last stays */
    size_t reply_at;
    char request[2048]; /* the last such request's op, match and cursor */
    /* of the thread alone */
    ch_batch_decoder_t *decoder;
} fake_node_t;

static fake_node_t *node;

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

static int
set_up(void **state)
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

static int
tear_down(void **state)
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

#define WITH_NODE(statement)                                                             \
    do {                                                                                 \
        pthread_mutex_lock(&node->lock);                                                 \
        statement;                                                                       \
        pthread_mutex_unlock(&node->lock);                                               \
    } while (0)

static cityhall_producer_options_t
producer_options(const char *id)
{
    cityhall_producer_options_t options;
    cityhall_producer_options_init(&options);
    options.ingest = node->ingest;
    options.query = node->query;
    options.producer = id;
    options.resend_after_ms = 300;
    options.request_timeout_ms = 300;
    return options;
}

static cityhall_producer_t *
open_producer(const cityhall_producer_options_t *options)
{
    cityhall_producer_t *producer;
    char error[256];
    if (cityhall_producer_open(options, &producer, error, sizeof error) != CITYHALL_OK)
        fail_msg("%s", error);
    return producer;
}

/* `count` batches of one point each, values 1..count. */
static void
send_batches(cityhall_producer_t *producer, int count)
{
    for (int i = 1; i <= count; i++) {
        assert_int_equal(cityhall_producer_point(producer, "k", i, cityhall_int(i)),
                         CITYHALL_OK);
        assert_int_equal(cityhall_producer_send(producer, NULL), CITYHALL_OK);
    }
}

static void
test_every_shape_arrives_and_is_acknowledged(void **state)
{
    (void)state;
    cityhall_producer_options_t options = producer_options("p");
    cityhall_producer_t *producer = open_producer(&options);
    int64_t times[] = {1, 2, 3, 4}, uneven[] = {1, 5, 6, 9}, ints[] = {10, 20, 30, 40};
    double floats[] = {1, 2, 3, 4};
    cityhall_value_t values[] = {cityhall_int(100), cityhall_string("x", 1),
                                 cityhall_bool(true), cityhall_float(1)};
    cityhall_value_t sparse[] = {cityhall_int(1000), cityhall_none()};
    cityhall_label_t labels[] = {{"host", "a"}, {"empty", ""}, {"null", NULL}};
    const char *fields[] = {"f", "g"}, *names[] = {"l"}, *label_values[] = {"1", NULL};
    cityhall_column_t columns[] = {{.field = "i", .ints = ints},
                                   {.field = "v", .values = sparse}};
    cityhall_table_t table = {.name = "t",
                              .label_names = names,
                              .label_count = 1,
                              .label_values = label_values,
                              .time = CITYHALL_TIME_RECEIVED,
                              .rows = 2,
                              .columns = columns,
                              .column_count = 2};
    cityhall_producer_stats_t stats;
    uint64_t seq;
    assert_int_equal(cityhall_producer_point(producer, "a{b=\"1\"}", 7, cityhall_int(1)),
                     0);
    assert_int_equal(
        cityhall_producer_row(producer, "r", labels, 3, 7, fields, sparse, 2), 0);
    assert_int_equal(cityhall_producer_floats(producer, "s", times, floats, 4), 0);
    assert_int_equal(cityhall_producer_ints(producer, "s", uneven, ints, 4), 0);
    assert_int_equal(cityhall_producer_values(producer, "s", times, values, 4), 0);
    assert_int_equal(cityhall_producer_table(producer, &table), 0);
    cityhall_producer_stats(producer, &stats);
    assert_int_equal(stats.open_points, 17);
    assert_int_equal(cityhall_producer_send(producer, &seq), 0);
    assert_int_equal(seq, 1);
    assert_int_equal(cityhall_producer_wait(producer, CITYHALL_DURABLE, WAIT_MS), 0);
    cityhall_producer_stats(producer, &stats);
    assert_int_equal(stats.durable, 1);
    assert_int_equal(stats.held_batches, 0);
    assert_int_equal(stats.lsn, 71);
    assert_int_equal(stats.points, 17);
    assert_int_equal(cityhall_producer_close(&producer, WAIT_MS), 0);
    assert_null(producer);
    WITH_NODE(assert_int_equal(node->points, 17));
    WITH_NODE(assert_int_equal(node->sum, 1 + 1000 + 100 + 100 + 30 + 1000));
}

static void
test_without_id_points_just_go(void **state)
{
    (void)state;
    cityhall_producer_options_t options = producer_options(NULL);
    cityhall_producer_t *producer = open_producer(&options);
    send_batches(producer, 50);
    assert_int_equal(cityhall_producer_wait(producer, CITYHALL_DURABLE, 0),
                     CITYHALL_ERR_ARGUMENT);
    assert_int_equal(cityhall_producer_close(&producer, WAIT_MS), CITYHALL_OK);
    struct timespec deadline; /* closed means sent, not yet read */
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += WAIT_MS / 1000;
    pthread_mutex_lock(&node->lock);
    while (node->points < 50 &&
           pthread_cond_timedwait(&node->taken, &node->lock, &deadline) == 0)
        ;
    uint64_t points = node->points;
    pthread_mutex_unlock(&node->lock);
    assert_int_equal(points, 50);
}

static void
test_lost_batches_are_sent_again(void **state)
{
    (void)state;
    cityhall_producer_options_t options = producer_options("p");
    cityhall_producer_t *producer = open_producer(&options);
    cityhall_producer_stats_t stats;
    WITH_NODE(node->lose_batches = 7);
    send_batches(producer, 20);
    assert_int_equal(cityhall_producer_wait(producer, CITYHALL_DURABLE, WAIT_MS),
                     CITYHALL_OK);
    cityhall_producer_stats(producer, &stats);
    assert_true(stats.resent_batches >= 7);
    assert_int_equal(cityhall_producer_close(&producer, 0), CITYHALL_OK);
    WITH_NODE(assert_int_equal(node->points, 20));
    WITH_NODE(assert_int_equal(node->sum, 210));
}

static void
test_lost_questions_are_asked_again(void **state)
{
    (void)state;
    cityhall_producer_options_t options = producer_options("p");
    cityhall_producer_t *producer = open_producer(&options);
    WITH_NODE(node->lose_questions = 2);
    send_batches(producer, 5);
    assert_int_equal(cityhall_producer_wait(producer, CITYHALL_DURABLE, WAIT_MS),
                     CITYHALL_OK);
    WITH_NODE(assert_int_equal(node->sum, 15));
    WITH_NODE(assert_true(node->questions >= 3));
    cityhall_producer_destroy(&producer);
}

static void
test_a_small_window_pushes_back_but_flows(void **state)
{
    (void)state;
    cityhall_producer_options_t options = producer_options("p");
    options.window_batches = 2;
    cityhall_producer_t *producer = open_producer(&options);
    send_batches(producer, 100);
    assert_int_equal(cityhall_producer_close(&producer, WAIT_MS), CITYHALL_OK);
    WITH_NODE(assert_int_equal(node->sum, 5050));
}

static void
test_a_forgotten_session_opens_a_new_epoch(void **state)
{
    (void)state;
    cityhall_producer_options_t options = producer_options("p");
    cityhall_producer_t *producer = open_producer(&options);
    cityhall_producer_stats_t before, after;
    send_batches(producer, 3);
    assert_int_equal(cityhall_producer_wait(producer, CITYHALL_DURABLE, WAIT_MS),
                     CITYHALL_OK);
    cityhall_producer_stats(producer, &before);
    WITH_NODE(node->forget = true; node->lose_batches = 1);
    send_batches(producer, 3);
    assert_int_equal(cityhall_producer_wait(producer, CITYHALL_DURABLE, WAIT_MS),
                     CITYHALL_OK);
    cityhall_producer_stats(producer, &after);
    assert_int_equal(after.sessions_lost, 1);
    assert_true(after.epoch > before.epoch);
    assert_int_equal(after.durable, 3);
    WITH_NODE(assert_int_equal(node->sum, 12));
    cityhall_producer_destroy(&producer);
}

static void
test_a_fenced_producer_stops(void **state)
{
    (void)state;
    cityhall_producer_options_t options = producer_options("p");
    options.epoch = 5;
    cityhall_producer_t *producer = open_producer(&options);
    WITH_NODE(node->fence = 9);
    assert_int_equal(cityhall_producer_point(producer, "k", 1, cityhall_int(1)),
                     CITYHALL_OK);
    (void)!cityhall_producer_send(producer, NULL);
    assert_int_equal(cityhall_producer_wait(producer, CITYHALL_DURABLE, WAIT_MS),
                     CITYHALL_ERR_FENCED);
    assert_true(strstr(cityhall_producer_error(producer), "epoch") != NULL);
    cityhall_producer_destroy(&producer);
}

static void
note_reject(void *context, const cityhall_reject_t *reject)
{
    cityhall_reject_t *seen = context;
    assert_string_equal(reject->code, "limit");
    assert_string_equal(reject->message, "too much");
    *seen = *reject;
}

static void
test_rejects_are_called_back(void **state)
{
    (void)state;
    cityhall_reject_t seen = {0};
    cityhall_producer_options_t options = producer_options("p");
    cityhall_producer_stats_t stats;
    options.on_reject = note_reject;
    options.on_reject_context = &seen;
    cityhall_producer_t *producer = open_producer(&options);
    WITH_NODE(node->reject_seq = 2);
    send_batches(producer, 3);
    assert_int_equal(cityhall_producer_wait(producer, CITYHALL_DURABLE, WAIT_MS),
                     CITYHALL_OK);
    assert_int_equal(seen.seq, 2);
    assert_int_equal(seen.index, 3);
    cityhall_producer_stats(producer, &stats);
    assert_int_equal(stats.rejected, 1);
    cityhall_producer_destroy(&producer);
}

static void
test_nobody_there_is_a_timeout(void **state)
{
    (void)state;
    cityhall_producer_options_t options = producer_options("p");
    cityhall_reader_options_t reader_options;
    cityhall_reader_t *reader;
    cityhall_ping_t ping;
    options.ingest = options.query = "tcp://127.0.0.1:1";
    options.window_batches = 1;
    options.send_timeout_ms = 50;
    cityhall_producer_t *producer = open_producer(&options);
    send_batches(producer, 1);
    assert_int_equal(cityhall_producer_point(producer, "k", 1, cityhall_int(1)),
                     CITYHALL_OK);
    assert_int_equal(cityhall_producer_send(producer, NULL), CITYHALL_ERR_TIMEOUT);
    assert_int_equal(cityhall_producer_wait(producer, CITYHALL_DURABLE, 50),
                     CITYHALL_ERR_TIMEOUT);
    assert_int_equal(cityhall_producer_close(&producer, 50), CITYHALL_ERR_TIMEOUT);
    assert_null(producer);
    cityhall_reader_options_init(&reader_options);
    reader_options.query = "tcp://127.0.0.1:1";
    reader_options.timeout_ms = 20;
    reader_options.tries = 1;
    assert_int_equal(cityhall_reader_open(&reader_options, &reader, NULL, 0),
                     CITYHALL_OK);
    assert_int_equal(cityhall_reader_ping(reader, &ping), CITYHALL_ERR_TIMEOUT);
    cityhall_reader_destroy(&reader);
}

static void
test_bad_input_adds_nothing(void **state)
{
    (void)state;
    cityhall_producer_options_t options = producer_options("p");
    options.batch_points_max = 10;
    cityhall_producer_t *producer = open_producer(&options);
    cityhall_producer_stats_t stats;
    int64_t times[20] = {0};
    double floats[20] = {0};
    static const char *const keys[] = {"",
                                       "a{",
                                       "a}",
                                       "a{b}",
                                       "a{b=\"1\"",
                                       "a{b=\"1\",}",
                                       "a{b=\"1\",b=\"2\"}",
                                       "\x01",
                                       "\xff",
                                       "a{__name__=\"x\"}",
                                       "a{b=\"\\t\"}",
                                       "a{=\"1\"}",
                                       "a{b=\"}"};
    static char long_key[2000], long_text[70000];
    memset(long_key, 'k', sizeof long_key - 1);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        assert_int_equal(cityhall_producer_point(producer, keys[i], 1, cityhall_int(1)),
                         CITYHALL_ERR_ARGUMENT);
    assert_int_equal(cityhall_producer_point(producer, NULL, 1, cityhall_int(1)),
                     CITYHALL_ERR_ARGUMENT);
    assert_int_equal(cityhall_producer_point(producer, long_key, 1, cityhall_int(1)),
                     CITYHALL_ERR_LIMIT);
    assert_int_equal(cityhall_producer_point(producer, "k", 1, cityhall_none()),
                     CITYHALL_ERR_ARGUMENT);
    assert_int_equal(cityhall_producer_point(
                         producer, "k", 1, cityhall_string(long_text, sizeof long_text)),
                     CITYHALL_ERR_LIMIT);
    assert_int_equal(cityhall_producer_floats(producer, "k", times, floats, 11),
                     CITYHALL_ERR_LIMIT);
    assert_true(strlen(cityhall_producer_error(producer)) > 10);
    cityhall_producer_stats(producer, &stats);
    assert_int_equal(stats.open_points, 0);
    assert_int_equal(cityhall_producer_point(producer, "a{b=\"\\\"\\\\\\n\",c=\"\"}", 1,
                                             cityhall_int(1)),
                     CITYHALL_OK);
    assert_int_equal(cityhall_producer_floats(producer, "k", times, floats, 10),
                     CITYHALL_OK);
    cityhall_producer_stats(producer, &stats);
    assert_int_equal(stats.open_points, 10); /* the full batch went out first */
    cityhall_producer_destroy(&producer);
    options.producer = "a b";
    assert_int_equal(cityhall_producer_open(&options, &producer, NULL, 0),
                     CITYHALL_ERR_ARGUMENT);
    options = producer_options("p");
    options.ingest = "nonsense";
    assert_int_equal(cityhall_producer_open(&options, &producer, NULL, 0),
                     CITYHALL_ERR_NETWORK);
}

static void
test_a_spool_outlives_the_process(void **state)
{
    (void)state;
    char *directory = ch_test_dir_new();
    cityhall_producer_options_t options = producer_options("p");
    cityhall_producer_stats_t before, after;
    options.spool = directory;
    options.spool_sync = CITYHALL_SPOOL_SYNC_BATCH;
    options.query = "tcp://127.0.0.1:1"; /* acks cannot be had */
    options.ingest = "tcp://127.0.0.1:1";
    cityhall_producer_t *producer = open_producer(&options);
    send_batches(producer, 30);
    cityhall_producer_stats(producer, &before);
    cityhall_producer_destroy(&producer); /* as good as a crash */
    options.query = node->query;
    options.ingest = node->ingest;
    options.epoch = before.epoch + 1;
    assert_int_equal(cityhall_producer_open(&options, &producer, NULL, 0),
                     CITYHALL_ERR_ARGUMENT);
    options.epoch = 0;
    producer = open_producer(&options);
    cityhall_producer_stats(producer, &after);
    assert_int_equal(after.epoch, before.epoch);
    assert_int_equal(after.held_batches, 30);
    assert_int_equal(cityhall_producer_point(producer, "k", 1, cityhall_int(1000)),
                     CITYHALL_OK);
    assert_int_equal(cityhall_producer_close(&producer, WAIT_MS), CITYHALL_OK);
    WITH_NODE(assert_int_equal(node->sum, 465 + 1000));
    WITH_NODE(assert_int_equal(node->received, 31));
    producer = open_producer(&options); /* nothing is left */
    cityhall_producer_stats(producer, &after);
    assert_int_equal(after.held_batches, 0);
    cityhall_producer_destroy(&producer);
    options.producer = "q"; /* an empty spool is anybody's; one with batches is not */
    producer = open_producer(&options);
    cityhall_producer_destroy(&producer);
    ch_test_dir_remove(&directory);
}

/* ---- reader */

static cityhall_reader_t *
open_reader(void)
{
    cityhall_reader_options_t options;
    cityhall_reader_t *reader;
    cityhall_reader_options_init(&options);
    options.query = node->query;
    options.timeout_ms = 300;
    assert_int_equal(cityhall_reader_open(&options, &reader, NULL, 0), CITYHALL_OK);
    return reader;
}

static void
test_ping_get_and_refusals(void **state)
{
    (void)state;
    cityhall_reader_t *reader = open_reader();
    cityhall_ping_t ping;
    cityhall_value_t value;
    int64_t time;
    WITH_NODE(node->reply[0] =
                  "{ok true node 'n' role 'leader' version '1' term 2 lsn 3}");
    assert_int_equal(cityhall_reader_ping(reader, &ping), CITYHALL_OK);
    assert_string_equal(ping.role, "leader");
    assert_int_equal(ping.lsn, 3);
    cityhall_reader_after(reader, 42, 1);
    WITH_NODE(node->reply[0] = "{ok true found true time 5 value 'text'}");
    assert_int_equal(cityhall_reader_get(reader, "k", 9, &time, &value), CITYHALL_OK);
    WITH_NODE(
        assert_string_equal(node->request, "get   -9223372036854775808 9 k lsn 42"));
    assert_int_equal(time, 5);
    assert_int_equal(value.type, CITYHALL_STRING);
    assert_memory_equal(value.as.string.data, "text", 4);
    WITH_NODE(node->reply[0] = "{ok true found false}");
    assert_int_equal(cityhall_reader_get(reader, "k", INT64_MAX, &time, &value),
                     CITYHALL_NOT_FOUND);
    WITH_NODE(node->reply[0] = "{ok false error {code 'limit' message 'too many'}}");
    assert_int_equal(cityhall_reader_get(reader, "k", INT64_MAX, &time, &value),
                     CITYHALL_ERR_REFUSED);
    assert_string_equal(cityhall_reader_code(reader), "limit");
    assert_string_equal(cityhall_reader_error(reader), "limit: too many");
    WITH_NODE(node->reply[0] = "{ok true}");
    assert_int_equal(cityhall_reader_ping(reader, &ping), CITYHALL_ERR_PROTOCOL);
    assert_string_equal(cityhall_reader_code(reader), "");
    cityhall_reader_destroy(&reader);
}

static void
test_reading_follows_the_cursor(void **state)
{
    (void)state;
    cityhall_reader_t *reader = open_reader();
    cityhall_series_t series;
    WITH_NODE(node->reply[0] = "{ok true series [[{__name__ 'm' a 'q\"'} e1(1 2) e1(5 6)]"
                               " [{__name__ 'n'} e1(1 2) e2(0.5 1.5)]] cursor b'next'}";
              node->reply[1] = "{ok true series [] cursor b'more'}";
              node->reply[2] = "{ok true series [[{__name__ 'n'} e1(3 4) [true 'x']]]}");
    assert_int_equal(cityhall_reader_read(reader, "{a=~\".*\"}", 1, INT64_MAX),
                     CITYHALL_OK);
    WITH_NODE(assert_string_equal(node->request,
                                  "read {a=~\".*\"}  1 9223372036854775807  lsn 0"));
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_OK);
    assert_string_equal(series.key, "m{a=\"q\\\"\"}");
    assert_int_equal(series.label_count, 2);
    assert_string_equal(series.labels[1].value, "q\"");
    assert_int_equal(series.count, 2);
    assert_int_equal(series.times[1], 2);
    assert_int_equal(series.ints[1], 6);
    assert_null(series.floats);
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_OK);
    assert_string_equal(series.key, "n");
    assert_true(series.floats[1] == 1.5);
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_OK);
    WITH_NODE(assert_non_null(strstr(node->request, "more")));
    assert_int_equal(series.times[0], 3);
    assert_int_equal(series.values[0].type, CITYHALL_BOOL);
    assert_memory_equal(series.values[1].as.string.data, "x", 1);
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_END);
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_END);
    cityhall_reader_destroy(&reader);
}

static void
test_queries_series_and_labels(void **state)
{
    (void)state;
    cityhall_reader_t *reader = open_reader();
    cityhall_series_t series;
    const char *const *names;
    const void *reply;
    size_t count, size;
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_ERR_ARGUMENT);
    WITH_NODE(node->reply[0] =
                  "{ok true type 'vector' result [[{a '1'} e1(9) e2(2.5)]]}");
    assert_int_equal(cityhall_reader_query(reader, "sum(up)", 9), CITYHALL_OK);
    assert_string_equal(cityhall_reader_type(reader), "vector");
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_OK);
    assert_string_equal(series.key, "{a=\"1\"}");
    assert_true(series.floats[0] == 2.5);
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_END);
    WITH_NODE(node->reply[0] = "{ok true type 'string' value 'hello'}");
    assert_int_equal(cityhall_reader_query(reader, "\"hello\"", 9), CITYHALL_OK);
    assert_string_equal(cityhall_reader_string(reader), "hello");
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_END);
    WITH_NODE(node->reply[0] = "{ok true type 'matrix' result []}");
    assert_int_equal(cityhall_reader_query_range(reader, "up", 1, 2, 1), CITYHALL_OK);
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_END);
    WITH_NODE(node->reply[0] = "{ok true series [{__name__ 'm'} {__name__ 'n' a 'b'}]}");
    assert_int_equal(cityhall_reader_series(reader, "m", INT64_MIN, INT64_MAX, 0),
                     CITYHALL_OK);
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_OK);
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_OK);
    assert_string_equal(series.key, "n{a=\"b\"}");
    assert_int_equal(series.count, 0);
    assert_int_equal(cityhall_reader_next(reader, &series), CITYHALL_END);
    WITH_NODE(node->reply[0] = "{ok true values ['__name__' 'host']}");
    assert_int_equal(cityhall_reader_labels(reader, NULL, &names, &count), CITYHALL_OK);
    assert_int_equal(count, 2);
    assert_string_equal(names[1], "host");
    assert_int_equal(cityhall_reader_label_values(reader, "host", "m", &names, &count),
                     CITYHALL_OK);
    assert_int_equal(cityhall_reader_op(reader, "flush", &reply, &size), CITYHALL_OK);
    assert_true(size > 5);
    assert_int_equal(cityhall_reader_op(reader, "dance", &reply, &size),
                     CITYHALL_ERR_ARGUMENT);
    ch_bytes_t request = notation("{op 'stats'}");
    assert_int_equal(
        cityhall_reader_request(reader, request.data, request.size, &reply, &size),
        CITYHALL_OK);
    request = notation("{op 'stats' id 5}");
    assert_int_equal(
        cityhall_reader_request(reader, request.data, request.size, &reply, &size),
        CITYHALL_ERR_ARGUMENT);
    cityhall_reader_destroy(&reader);
}

static void
test_a_broken_answer_is_a_protocol_error(void **state)
{
    (void)state;
    static const char *const broken[] = {"{ok true series 5}",
                                         "{ok true series [5]}",
                                         "{ok true series [[{} e1(1) e1(1 2)]]}",
                                         "{ok true series [[{a 5} e1(1) e1(1)]]}",
                                         "{ok true series [[{} e2(1) e1(1)]]}",
                                         "{ok true series [[{} e1(1) [[]]]]}",
                                         "{ok true series [[5 e1(1) e1(1)]]}"};
    cityhall_reader_t *reader = open_reader();
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        cityhall_series_t series;
        WITH_NODE(node->reply[0] = broken[i]);
        cityhall_status_t status = cityhall_reader_read(reader, "m", 0, 1);
        if (status == CITYHALL_OK)
            status = cityhall_reader_next(reader, &series);
        assert_int_equal(status, CITYHALL_ERR_PROTOCOL);
    }
    cityhall_reader_destroy(&reader);
}

static void
test_a_silent_node_is_asked_again(void **state)
{
    (void)state;
    cityhall_reader_t *reader = open_reader();
    cityhall_ping_t ping;
    WITH_NODE(node->reply[0] =
                  "{ok true node 'n' role 'leader' version '1' term 2 lsn 3}";
              node->lose_questions = 2);
    assert_int_equal(cityhall_reader_ping(reader, &ping), CITYHALL_OK);
    WITH_NODE(assert_int_equal(node->questions, 3));
    WITH_NODE(node->lose_questions = 3);
    assert_int_equal(cityhall_reader_ping(reader, &ping), CITYHALL_ERR_TIMEOUT);
    assert_int_equal(cityhall_reader_ping(reader, &ping), CITYHALL_OK);
    cityhall_reader_destroy(&reader);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_every_shape_arrives_and_is_acknowledged),
        TEST(test_without_id_points_just_go),
        TEST(test_lost_batches_are_sent_again),
        TEST(test_lost_questions_are_asked_again),
        TEST(test_a_small_window_pushes_back_but_flows),
        TEST(test_a_forgotten_session_opens_a_new_epoch),
        TEST(test_a_fenced_producer_stops),
        TEST(test_rejects_are_called_back),
        TEST(test_nobody_there_is_a_timeout),
        TEST(test_bad_input_adds_nothing),
        TEST(test_a_spool_outlives_the_process),
        TEST(test_ping_get_and_refusals),
        TEST(test_reading_follows_the_cursor),
        TEST(test_queries_series_and_labels),
        TEST(test_a_broken_answer_is_a_protocol_error),
        TEST(test_a_silent_node_is_asked_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
