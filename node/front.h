/// The front's state, shared by the files front_*.c and by nobody else.
///
/// Threads  the front actor's.
#ifndef CH_FRONT_H
#define CH_FRONT_H

#include <czmq.h>
#include "ack_core.h"
#include "ch/reply.h"
#include "grants.h"
#include "job.h"
#include "limiter.h"
#include "node.h"
#include "reply_budget.h"

enum {
    CH_FRONT_WORKERS_MAX = 64,
    /* Jobs that wait for a worker; each holds a request of up to limits.request_bytes. */
    CH_FRONT_QUEUE_MAX = 4096,
    CH_FRONT_QUEUE_BYTES_MAX = 64 << 20,
    /* Replies that a peer does not read; all peers together may have a quarter of the memory. */
    CH_FRONT_PEER_BYTES_MAX = 32 << 20,
    CH_FRONT_ACK_WAIT_MS_MAX = 10 * 60 * 1000,
};

typedef struct ch_front {
    ch_node_t *node;
    zsock_t *pipe;
    zsock_t *router;
    zsock_t *control; /* PAIR to the ingest actor */
    zactor_t *workers[CH_FRONT_WORKERS_MAX];
    bool busy[CH_FRONT_WORKERS_MAX];
    unsigned worker_count, busy_count;
    ch_ack_core_t *acks;
    ch_reply_t reply;
    ch_reply_budget_t *budget;
    ch_job_t *jobs;                     /* all, doubly linked */
    ch_job_t *queue_first, *queue_last; /* for workers */
    size_t queue_count, queue_bytes;
    ch_heap_t deadlines;    /* of LSN, FLUSH, QUEUE, CONTROL */
    ch_heap_t by_durable;   /* LSN */
    ch_heap_t by_flushed;   /* FLUSH */
    ch_heap_t by_compacted; /* COMPACT */
    ch_grants_t *grants;    /* NULL: no keys */
    ch_limiter_t malformed, refused;
    bool draining; /* no new work is taken */
    bool stopped;
} ch_front_t;

/* ---- front_jobs.c: jobs and where they wait */

/// A job for a received request; takes over `peer` and `frame`.
ch_job_t *ch_front_job_new(ch_front_t *front, zmq_msg_t *peer,
                           zmq_msg_t *frame) CH_MUST_CHECK;
void ch_front_job_free(ch_front_t *front, ch_job_t *job);

/// Answer (and free, unless another thread holds it) from front->reply's frame.
void ch_front_finish(ch_front_t *front, ch_job_t *job, ch_bytes_t frame,
                     ch_status_t status);
void ch_front_fail(ch_front_t *front, ch_job_t *job, const char *code,
                   const char *message);
/// From a status and this thread's failure text.
void ch_front_fail_status(ch_front_t *front, ch_job_t *job, ch_status_t status);

/// Wait until the durable lsn reaches `lsn`, then route.
void ch_front_wait_lsn(ch_front_t *front, ch_job_t *job, uint64_t lsn);
void ch_front_to_worker(ch_front_t *front, ch_job_t *job);
void ch_front_to_ingest(ch_front_t *front, ch_job_t *job);

/// Jobs that came back from workers and from the ingest thread.
void ch_front_take_worker(ch_front_t *front, unsigned worker);
void ch_front_take_control(ch_front_t *front);

/// Let those go on whose lsn is reached, and end those whose time is up.
void ch_front_progress(ch_front_t *front, int64_t now_ns);

/// Answer all that wait here.
void ch_front_drain(ch_front_t *front, const char *message);

/* ---- front_routes.c: requests and short answers */

/// Decode and route one request.
void ch_front_take_request(ch_front_t *front, ch_job_t *job);

/// What to do with it now that min_lsn is reached.
void ch_front_route(ch_front_t *front, ch_job_t *job);

/// The ack core's answer; `context` is the front, `tag` the job.
void ch_front_answer_ack(void *context, void *tag, const ch_ack_reply_t *ack);

/* ---- front_actor.c */

/// Send a reply; `body` is closed or handed over.
void ch_front_send(ch_front_t *front, zmq_msg_t *peer, zmq_msg_t *body);

#endif
