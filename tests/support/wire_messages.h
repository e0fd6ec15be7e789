/// One message of every kind that the wire knows, built by the project's own encoders from values
/// that stand here: what tests/golden/wire_v1.txt must hold byte for byte.
#ifndef CH_TEST_WIRE_MESSAGES_H
#define CH_TEST_WIRE_MESSAGES_H

#include "ch/batch_encoder.h"
#include "ch/reply.h"
#include "ch/request.h"

typedef struct wire_builder {
    ch_batch_encoder_t *encoder;
    ch_reply_t reply;
    ch_buffer_t request;
    ch_bytes_t frame; /* the message built last */
} wire_builder_t;

typedef struct wire_message {
    const char *name; /* of a request: its op, and what is special behind a dash */
    void (*build)(wire_builder_t *builder);
} wire_message_t;

/// The last of each has no name.
extern const wire_message_t wire_batches[], wire_requests[], wire_replies[];

void wire_builder_init(wire_builder_t *builder);
void wire_builder_release(wire_builder_t *builder);

/// Build one; builder->frame lives until the next.
void wire_build(wire_builder_t *builder, const wire_message_t *message);

#endif
