/// Inside of the producer handle: shared by producer.c (life, sockets, acks) and producer_add.c
/// (points into the open batch).
#ifndef CH_CLIENT_PRODUCER_H
#define CH_CLIENT_PRODUCER_H

#include "cityhall.h"
#include "producer_session.h"
#include "query_link.h"
#include "spool.h"

#include "ch/batch_encoder.h"

enum { CH_CLIENT_ERROR_BYTES = 512 };

struct cityhall_producer {
    cityhall_producer_options_t options;
    ch_identity_t identity; /* present: acks; its seq is set when a batch closes */
    void *context;
    bool own_context;
    void *ingest;        /* PUSH */
    ch_secret_t *secret; /* NULL: no CURVE */
    ch_query_link_t link;
    int64_t link_deadline_ms; /* of the question that is out */
    ch_producer_session_t *session;
    ch_spool_t *spool;
    ch_batch_encoder_t *encoder;
    cityhall_producer_stats_t stats;
    ch_buffer_t request;
    bool heard;         /* the last question was answered */
    int64_t blocked_ms; /* since when the ingest socket takes nothing; 0: it does */
    char reason[128];   /* why the node holds writes, as it said last; "": it does not */
    char error[CH_CLIENT_ERROR_BYTES];
};

/// Remember a failure's text; returns `status`.
cityhall_status_t ch_producer_fail(cityhall_producer_t *producer,
                                   cityhall_status_t status, const char *format, ...)
    CH_PRINTF(3, 4);

/// Is there room for one more item of `bytes` and `points`? Sends the open batch when it is full.
cityhall_status_t ch_producer_make_room(cityhall_producer_t *producer, uint64_t bytes,
                                        uint64_t points);

#endif
