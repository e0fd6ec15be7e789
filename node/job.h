/// One request on its way through the node: from the ROUTER, perhaps through the ingest thread or a
/// worker, to its reply.
///
/// Owner    the front, which has every job in a list until it is answered and nobody else holds it;
///          while it is handed over (CONTROL, WORKER) only the other thread touches it.
#ifndef CH_JOB_H
#define CH_JOB_H

#include <zmq.h>
#include "ch/engine.h"
#include "ch/request.h"
#include "heap.h"

typedef enum {
    CH_JOB_FRONT,   /* nowhere else */
    CH_JOB_ACK,     /* waits in the ack core */
    CH_JOB_LSN,     /* waits for min_lsn, or for a delete to be durable */
    CH_JOB_FLUSH,   /* waits for the flushed lsn */
    CH_JOB_COMPACT, /* waits for the compacted lsn */
    CH_JOB_QUEUE,   /* waits for a worker */
    CH_JOB_CONTROL, /* with the ingest thread */
    CH_JOB_WORKER,  /* with a worker */
} ch_job_place_t;

typedef struct ch_job {
    struct ch_job *previous, *next; /* all jobs of the front */
    struct ch_job *queued;          /* next in the queue for workers */
    ch_heap_node_t deadline;        /* LSN, FLUSH, COMPACT, QUEUE, CONTROL */
    ch_heap_node_t position;        /* LSN, FLUSH, COMPACT: the lsn waited for */
    ch_job_place_t place;
    bool answered; /* timed out while elsewhere: only to be freed when it comes back */
    bool has_frame;
    zmq_msg_t peer;  /* the ROUTER's identity frame */
    zmq_msg_t frame; /* the request; `request` borrows from it */
    ch_request_t request;
    char *scope;                      /* selector of what may be read; NULL: all */
    int64_t received_ns, deadline_ns; /* monotonic */
    unsigned worker;                  /* WORKER: which */
    zmq_msg_t reply;                  /* WORKER: made there */
    const char *code;                 /* of the error that it was answered with */
    ch_status_t status;               /* WORKER, CONTROL: what came of it */
    /* CONTROL: what the engine said */
    uint64_t lsn, segment;
    char text[256];
    bool deleted;      /* a delete that is logged, or that had nothing to do */
    ch_view_t *before; /* its state just before; NULL: nothing to count */
} ch_job_t;

#endif
