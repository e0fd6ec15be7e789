/* push.c - producers: each a thread with its PUSH socket, its DEALER and its share of the hosts.
 *
 * Frames are encoded as they go. Nothing is kept for sending again: a batch is a function of its
 * number, so going back after a gap encodes it anew.
 */
#include "load.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "ch/alloc.h"
#include "ch/assert.h"
#include "dealer.h"
#include "samples.h"

enum {
    RING = 4096,           /* batches in flight, at most */
    QUEUE_BYTES = 4 << 20, /* in ZeroMQ's own queue */
    ACK_WAIT_MS = 10000,
    SEND_WAIT_MS = 100,
};

typedef struct producer {
    const ch_load_options_t *options;
    pthread_barrier_t *start;
    pthread_t thread;
    void *context, *push;
    ch_dealer_t dealer;
    ch_plan_t plan;
    char name[32];
    uint64_t next, acked, window; /* batches */
    uint64_t bytes;
    int64_t sent_ns[RING];
    int64_t end_ns;
    ch_samples_t latencies;
} producer_t;

void
ch_load_plan(const ch_load_options_t *options, uint32_t number, ch_plan_t *plan_out)
{
    uint64_t hosts = options->devops.hosts;
    uint32_t first = (uint32_t)(hosts * number / options->producers);
    uint32_t end = (uint32_t)(hosts * (number + 1) / options->producers);
    const ch_plan_options_t plan = {.devops = &options->devops,
                                    .shape = options->shape,
                                    .column = options->column,
                                    .batch_points = options->batch_points,
                                    .regular = options->regular,
                                    .host_first = first,
                                    .host_count = end - first};
    ch_plan_init(plan_out, &plan);
}

static void
open_push(producer_t *producer)
{
    size_t frame = ch_plan_encode(&producer->plan, producer->name, 1).size;
    int queue = (int)(QUEUE_BYTES / frame) + 1, none = 0, wait = SEND_WAIT_MS;
    uint64_t window = producer->options->window_bytes / frame + 1;
    producer->window = window < RING ? window : RING;
    producer->push = zmq_socket(producer->context, ZMQ_PUSH);
    if (!producer->push)
        ch_load_die("no socket: %s", zmq_strerror(zmq_errno()));
    zmq_setsockopt(producer->push, ZMQ_SNDHWM, &queue, sizeof queue);
    zmq_setsockopt(producer->push, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(producer->push, ZMQ_SNDTIMEO, &wait, sizeof wait);
    ch_load_show_key(producer->push);
    if (zmq_connect(producer->push, producer->options->ingest) != 0)
        ch_load_die("%s: %s", producer->options->ingest, zmq_strerror(zmq_errno()));
}

/* False when the queue was full for SEND_WAIT_MS. */
static bool
send_next(producer_t *producer)
{
    uint64_t seq = producer->next, every = producer->options->ask_every;
    ch_bytes_t frame = ch_plan_encode(&producer->plan, producer->name, seq);
    producer->sent_ns[seq % RING] = ch_now_ns();
    if (zmq_send(producer->push, frame.data, frame.size, 0) < 0)
        return false;
    producer->bytes += frame.size;
    producer->next++;
    if (seq % every == 0 || seq == producer->plan.batches)
        ch_dealer_ask_ack(&producer->dealer, producer->name, seq, ACK_WAIT_MS);
    return true;
}

static void
take_ack(producer_t *producer, uint64_t seq, const ch_reply_view_t *view)
{
    ch_ack_reply_t ack;
    ch_reject_t rejects[CH_SESSION_REJECTS_MAX];
    if (!view->ok || ch_reply_view_ack(view, &ack, rejects) < 0)
        ch_load_die("%s: ack of %" PRIu64 " refused: %.*s", producer->name, seq,
                    (int)view->message.size, view->message.data);
    if (ack.reject_count > 0)
        ch_load_die("%s: batch %" PRIu64 " was rejected", producer->name, rejects[0].seq);
    if (ack.durable > producer->acked)
        producer->acked = ack.durable;
    if (ack.state == CH_ACK_OK) {
        ch_samples_add(&producer->latencies, ch_now_ns() - producer->sent_ns[seq % RING]);
        return;
    }
    if (ack.state == CH_ACK_GAP)
        producer->next = ack.expected;
    ch_dealer_ask_ack(&producer->dealer, producer->name, seq, ACK_WAIT_MS);
}

static void
take_acks(producer_t *producer, int timeout_ms)
{
    uint64_t seq;
    ch_reply_view_t view;
    while (ch_dealer_receive(&producer->dealer, timeout_ms, &seq, &view)) {
        take_ack(producer, seq, &view);
        timeout_ms = 0;
    }
}

static void *
producer_run(void *argument)
{
    producer_t *producer = argument;
    open_push(producer);
    ch_dealer_open(&producer->dealer, producer->context, producer->options->query);
    pthread_barrier_wait(producer->start);
    while (producer->acked < producer->plan.batches && !ch_load_stop) {
        bool room = producer->next <= producer->plan.batches &&
                    producer->next - producer->acked <= producer->window;
        if (!room || !send_next(producer))
            take_acks(producer, SEND_WAIT_MS);
        else
            take_acks(producer, 0);
    }
    producer->end_ns = ch_now_ns();
    zmq_close(producer->push);
    ch_dealer_close(&producer->dealer);
    return NULL;
}

static void
report(const ch_load_options_t *options, producer_t *producers, double seconds,
       double cpu_seconds)
{
    ch_samples_t latencies = {0};
    uint64_t points = 0, bytes = 0, batches = 0;
    for (uint32_t i = 0; i < options->producers; i++) {
        ch_samples_merge(&latencies, &producers[i].latencies);
        points += ch_plan_points(&producers[i].plan, producers[i].acked);
        batches += producers[i].acked;
        bytes += producers[i].bytes;
    }
    printf("{\"points\": %" PRIu64 ", \"seconds\": %.6f, \"batches\": %" PRIu64
           ", \"bytes\": %" PRIu64 ", \"load_cpu_seconds\": %.3f, \"acked\": [",
           points, seconds, batches, bytes, cpu_seconds);
    for (uint32_t i = 0; i < options->producers; i++)
        printf("%s%" PRIu64, i ? ", " : "", producers[i].acked);
    printf("], \"ack_ms\": ");
    ch_samples_print(&latencies, stdout);
    printf("}\n");
    ch_samples_release(&latencies);
}

int
ch_load_push(const ch_load_options_t *options)
{
    producer_t *producers = ch_calloc(options->producers, sizeof *producers);
    pthread_barrier_t start;
    void *context = zmq_ctx_new();
    bool all = true;
    pthread_barrier_init(&start, NULL, options->producers + 1);
    for (uint32_t i = 0; i < options->producers; i++) {
        producer_t *producer = &producers[i];
        producer->options = options;
        producer->context = context;
        producer->start = &start;
        producer->next = 1;
        snprintf(producer->name, sizeof producer->name, "%s-%u", options->name, i);
        ch_load_plan(options, i, &producer->plan);
        CH_ASSERT(pthread_create(&producer->thread, NULL, producer_run, producer) == 0);
    }
    pthread_barrier_wait(&start);
    int64_t start_ns = ch_now_ns(), end_ns = start_ns;
    double cpu_seconds = ch_cpu_seconds();
    for (uint32_t i = 0; i < options->producers; i++) {
        pthread_join(producers[i].thread, NULL);
        end_ns = producers[i].end_ns > end_ns ? producers[i].end_ns : end_ns;
        all &= producers[i].acked == producers[i].plan.batches;
    }
    report(options, producers, (double)(end_ns - start_ns) / 1e9,
           ch_cpu_seconds() - cpu_seconds);
    for (uint32_t i = 0; i < options->producers; i++) {
        ch_plan_release(&producers[i].plan);
        ch_samples_release(&producers[i].latencies);
    }
    zmq_ctx_term(context);
    pthread_barrier_destroy(&start);
    ch_free(producers);
    return all || ch_load_stop ? 0 : 1;
}
