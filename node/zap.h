/// The decision of a ZAP request (ZeroMQ RFC 27): may this key shake hands on this endpoint?
///
/// Pure: frames and the table in, an answer out. The socket is the auth actor's.
/// Domains  each endpoint has one of its own, named as its socket: "ingest" admits the role write, "query"
///          any role (a producer asks there for its acks), "publish" the role replicate.
/// User-Id  the public key as text. libzmq keeps it with the connection and shows it with each message,
///          where the table is asked again.
#ifndef CH_ZAP_H
#define CH_ZAP_H

#include "ch/keyring.h"

enum { CH_ZAP_FRAMES_MAX = 8 };

typedef struct ch_zap_request {
    ch_bytes_t frames[CH_ZAP_FRAMES_MAX];
    size_t count; /* of the message; more than CH_ZAP_FRAMES_MAX are not kept */
} ch_zap_request_t;

typedef struct ch_zap_answer {
    bool admitted;
    const char *code; /* "200", "400", "500" */
    const char *
        reason; /* "" when admitted; goes to the peer, so it tells nothing of the table */
    char domain[16], address[64];
    char user[CH_KEY_TEXT_BYTES]; /* the peer's key; "" when it showed none */
    const ch_key_t *key;          /* when the table has it */
} ch_zap_answer_t;

void ch_zap_judge(const ch_zap_request_t *request, const ch_keyring_t *keyring,
                  ch_zap_answer_t *answer_out);

#endif
