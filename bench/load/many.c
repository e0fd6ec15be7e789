/* many.c - many producers in one thread, at a steady pace: connection i sends its batch k at second
 * (k + i / connections) / rate, and asks for its ack at once.
 */
#include "load.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "ch/alloc.h"
#include "dealer.h"
#include "samples.h"

enum {
    ACK_WAIT_MS = 10000,
    PATIENCE_NS = 1000000000,
    RING = 1024, /* batches of a connection that wait for their ack, at most */
};

typedef struct connection {
    void *push;
    ch_dealer_t dealer;
    ch_plan_t plan;
    char name[32];
    uint64_t acked;
    int64_t sent_ns[RING]; /* by seq */
    uint8_t phase[RING];
} connection_t;

typedef struct crowd {
    const ch_load_options_t *options;
    uint32_t count;
    connection_t *connections;
    zmq_pollitem_t *items;
    uint64_t sent, acked;
    sigset_t phase_signal;
    uint8_t phase;
    ch_samples_t latencies[CH_LOAD_PHASES];
} crowd_t;

static void *
context_for(uint32_t connections)
{
    struct rlimit files;
    void *context = zmq_ctx_new();
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    zmq_ctx_set(context, ZMQ_MAX_SOCKETS, (int)connections * 2 + 16);
    return context;
}

static void
open_connection(crowd_t *crowd, void *context, uint32_t i)
{
    connection_t *connection = &crowd->connections[i];
    const int none = 0;
    snprintf(connection->name, sizeof connection->name, "%s-%u", crowd->options->name, i);
    ch_load_plan(crowd->options, i, &connection->plan);
    ch_dealer_open(&connection->dealer, context, crowd->options->query);
    crowd->items[i] =
        (zmq_pollitem_t){.socket = connection->dealer.socket, .events = ZMQ_POLLIN};
    connection->push = zmq_socket(context, ZMQ_PUSH);
    if (!connection->push ||
        zmq_setsockopt(connection->push, ZMQ_LINGER, &none, sizeof none) != 0 ||
        zmq_connect(connection->push, crowd->options->ingest) != 0)
        ch_load_die("%s: %s", crowd->options->ingest, zmq_strerror(zmq_errno()));
}

/* Taken when it suits: a handler would interrupt calls that send. */
static void
block_phase_signal(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
}

static void
look_for_phase(crowd_t *crowd)
{
    const struct timespec now = {0};
    while (sigtimedwait(&crowd->phase_signal, NULL, &now) > 0)
        if (crowd->phase + 1 < CH_LOAD_PHASES)
            crowd->phase++;
}

static void
send_batch(crowd_t *crowd, uint32_t i, uint64_t seq)
{
    connection_t *connection = &crowd->connections[i];
    ch_bytes_t frame = ch_plan_encode(&connection->plan, connection->name, seq);
    if (seq - connection->acked > RING)
        ch_load_die("%s: %d batches wait for their acks", connection->name, RING);
    connection->sent_ns[seq % RING] = ch_now_ns();
    connection->phase[seq % RING] = crowd->phase;
    if (zmq_send(connection->push, frame.data, frame.size, 0) < 0)
        ch_load_die("%s: %s", connection->name, zmq_strerror(zmq_errno()));
    ch_dealer_ask_ack(&connection->dealer, connection->name, seq, ACK_WAIT_MS);
    crowd->sent++;
}

static void
take_ack(crowd_t *crowd, connection_t *connection)
{
    uint64_t seq;
    ch_reply_view_t view;
    ch_ack_reply_t ack;
    ch_reject_t rejects[CH_SESSION_REJECTS_MAX];
    if (!ch_dealer_receive(&connection->dealer, 0, &seq, &view))
        return;
    if (!view.ok || ch_reply_view_ack(&view, &ack, rejects) < 0 ||
        ack.state != CH_ACK_OK || ack.reject_count > 0)
        ch_load_die("%s: batch %" PRIu64 " was not acknowledged", connection->name, seq);
    ch_samples_add(&crowd->latencies[connection->phase[seq % RING]],
                   ch_now_ns() - connection->sent_ns[seq % RING]);
    if (ack.durable > connection->acked)
        connection->acked = ack.durable;
    crowd->acked++;
}

/* Take acks until `until_ns`. */
static void
take_acks(crowd_t *crowd, int64_t until_ns)
{
    for (int64_t now = ch_now_ns(); now < until_ns; now = ch_now_ns()) {
        long timeout_ms = (until_ns - now + 999999) / 1000000;
        int ready = zmq_poll(crowd->items, (int)crowd->count, timeout_ms);
        for (uint32_t i = 0; i < crowd->count && ready > 0; i++) {
            if (crowd->items[i].revents) {
                take_ack(crowd, &crowd->connections[i]);
                ready--;
            }
        }
    }
}

static void
run_crowd(crowd_t *crowd)
{
    uint64_t batches = crowd->connections[0].plan.batches;
    uint64_t per_second = (uint64_t)crowd->count * crowd->options->rate;
    int64_t start_ns = ch_now_ns() + PATIENCE_NS; /* all have connected by then */
    for (uint64_t k = 0; k < batches * crowd->count && !ch_load_stop; k++) {
        int64_t due_ns = start_ns + (int64_t)(k * UINT64_C(1000000000) / per_second);
        take_acks(crowd, due_ns);
        look_for_phase(crowd);
        send_batch(crowd, (uint32_t)(k % crowd->count), k / crowd->count + 1);
    }
    for (int i = 0; i < 20 && crowd->acked < crowd->sent; i++)
        take_acks(crowd, ch_now_ns() + PATIENCE_NS / 2);
}

static void
report(crowd_t *crowd, double seconds, double cpu_seconds)
{
    ch_samples_t all = {0};
    uint64_t points = 0;
    for (uint32_t i = 0; i < crowd->count; i++)
        points +=
            ch_plan_points(&crowd->connections[i].plan, crowd->connections[i].acked);
    printf("{\"points\": %" PRIu64 ", \"seconds\": %.3f, \"sent\": %" PRIu64
           ", \"acked_batches\": %" PRIu64 ", \"load_cpu_seconds\": %.3f, \"acked\": [",
           points, seconds, crowd->sent, crowd->acked, cpu_seconds);
    for (uint32_t i = 0; i < crowd->count; i++)
        printf("%s%" PRIu64, i ? ", " : "", crowd->connections[i].acked);
    printf("], \"phases\": [");
    for (int i = 0; i < CH_LOAD_PHASES; i++) {
        ch_samples_merge(&all, &crowd->latencies[i]);
        printf("%s", i ? ", " : "");
        ch_samples_print(&crowd->latencies[i], stdout);
        ch_samples_release(&crowd->latencies[i]);
    }
    printf("], \"ack_ms\": ");
    ch_samples_print(&all, stdout);
    printf("}\n");
    ch_samples_release(&all);
}

int
ch_load_many(const ch_load_options_t *options)
{
    crowd_t crowd = {.options = options, .count = options->producers};
    crowd.connections = ch_calloc(crowd.count, sizeof *crowd.connections);
    crowd.items = ch_calloc(crowd.count, sizeof *crowd.items);
    block_phase_signal(&crowd.phase_signal); /* before the context's threads start */
    void *context = context_for(crowd.count);
    for (uint32_t i = 0; i < crowd.count; i++)
        open_connection(&crowd, context, i);
    double cpu_seconds = ch_cpu_seconds();
    int64_t start_ns = ch_now_ns();
    run_crowd(&crowd);
    report(&crowd, (double)(ch_now_ns() - start_ns) / 1e9,
           ch_cpu_seconds() - cpu_seconds);
    for (uint32_t i = 0; i < crowd.count; i++) {
        zmq_close(crowd.connections[i].push);
        ch_dealer_close(&crowd.connections[i].dealer);
        ch_plan_release(&crowd.connections[i].plan);
    }
    zmq_ctx_term(context);
    ch_free(crowd.connections);
    ch_free(crowd.items);
    return crowd.acked == crowd.sent ? 0 : 1;
}
