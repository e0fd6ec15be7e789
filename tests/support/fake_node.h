/// A node that is a thread of the test: it keeps a ledger as docs/protocol.md says, and can be told to lose
/// batches, to stay silent, to answer what a test wants.
///
/// Use      cmocka_unit_test_setup_teardown(test, fake_node_set_up, fake_node_tear_down), then `node`.
/// Threads  everything under `lock`: WITH_NODE.
#ifndef CH_TEST_FAKE_NODE_H
#define CH_TEST_FAKE_NODE_H

#include "ch/batch_decoder.h"

#include <pthread.h>

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
    const char *held;                      /* nothing becomes durable, and why */
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

/// Of the test that runs.
extern fake_node_t *node;

int fake_node_set_up(void **state);
int fake_node_tear_down(void **state);

#define WITH_NODE(statement)                                                             \
    do {                                                                                 \
        pthread_mutex_lock(&node->lock);                                                 \
        statement;                                                                       \
        pthread_mutex_unlock(&node->lock);                                               \
    } while (0)

#endif
