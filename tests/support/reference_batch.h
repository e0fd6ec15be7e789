/// A second reader of batches: slow, simple, over msgpack-c's object tree, written from the protocol
/// and sharing nothing with the decoder but the definition of UTF-8. The decoder must agree with it.
#ifndef CH_TEST_REFERENCE_BATCH_H
#define CH_TEST_REFERENCE_BATCH_H

#include "ch/batch.h"
#include "ch/buffer.h"
#include "ch/limits.h"

typedef enum {
    REFERENCE_OK,
    REFERENCE_REFUSED,    /* a map, but its content is not a batch */
    REFERENCE_UNREADABLE, /* msgpack-c does not unpack it as one whole map */
    REFERENCE_NOT_ASKED, /* it may claim an array or map so large that msgpack-c would allocate GiBs */
} reference_t;

/// May msgpack-c allocate far more for it than the frame has bytes?
bool reference_claims_too_much(ch_bytes_t frame);

/// Read a frame; its points are appended to `out` as text lines in the order in which they count.
reference_t reference_batch(ch_bytes_t frame, const ch_limits_t *limits, int64_t now_ns,
                            ch_buffer_t *out);

/// The points of a decoded batch in the same form.
void reference_print(const ch_batch_t *batch, ch_buffer_t *out);

#endif
