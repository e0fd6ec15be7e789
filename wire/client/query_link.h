/// A DEALER to a node's query socket that has one question out at a time.
///
/// Why      A REQ socket is stuck after a lost reply. A DEALER with the empty delimiter and an id of
///          our own speaks the same to the node, can ask again, and knows an answer to an older
///          question by its id. After a timeout the socket is made anew all the same ("Lazy Pirate",
///          ZeroMQ Guide 4): a connection to a node that went away without a word is never noticed
///          otherwise.
/// Threads  one at a time.
#ifndef CH_QUERY_LINK_H
#define CH_QUERY_LINK_H

#include "ch/buffer.h"
#include "ch/reply_view.h"
#include "curve.h"

#include <zmq.h>

typedef struct ch_query_link {
    void *context;
    char *endpoint;
    const ch_secret_t *secret; /* NULL: no CURVE; the handle's */
    void *socket;
    uint64_t id; /* of the question that is out, or was last */
    bool asking;
    zmq_msg_t reply; /* the last answer; its bytes live until the next question */
    bool has_reply;
} ch_query_link_t;

/// False: errno of libzmq (a bad endpoint), or ENOMEM.
bool ch_query_link_open(ch_query_link_t *link, void *context, const char *endpoint,
                        const ch_secret_t *secret);
void ch_query_link_close(ch_query_link_t *link);

/// A new socket; whatever was out is forgotten.
bool ch_query_link_renew(ch_query_link_t *link);

/// The id to put into the next question, as raw msgpack (9 bytes).
ch_bytes_t ch_query_link_next_id(ch_query_link_t *link, uint8_t id_out[9]);

/// Send a question (with the id of next_id). False: it could not be handed to libzmq now.
bool ch_query_link_send(ch_query_link_t *link, ch_bytes_t request);

/// Take the answer if it is there. 1: view_out is it; 0: not yet; -1: an answer that makes no sense.
int ch_query_link_receive(ch_query_link_t *link, ch_reply_view_t *view_out,
                          ch_bytes_t *frame_out);

/// Milliseconds of CLOCK_MONOTONIC.
int64_t ch_client_now_ms(void);

#endif
