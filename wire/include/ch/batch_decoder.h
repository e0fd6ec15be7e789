/// A frame of the ingest socket into a ch_batch_t, columns by reference.
///
/// Shape    consecutive `points` are one POINTS block; adjacent `rows` with the same name and
///          fields are one TABLE block; a `series` entry is a SERIES block, a `tables` entry a TABLE
///          block. Blocks stand in the order points, rows, series, tables.
/// Owner    a batch borrows from its frame and from the decoder's scratch: valid until the next
///          decode, or until the frame goes.
/// Memory   the scratch is recycled and grows to a small multiple of limits.batch_bytes, plus
///          CH_BATCH_KEY_BYTES_MAX of expanded keys.
/// Threads  one decoder, one thread.
#ifndef CH_BATCH_DECODER_H
#define CH_BATCH_DECODER_H

#include "ch/batch.h"
#include "ch/limits.h"

typedef struct ch_batch_decoder ch_batch_decoder_t;

/// `limits` is copied.
ch_batch_decoder_t *ch_batch_decoder_new(const ch_limits_t *limits) CH_MUST_CHECK;
void ch_batch_decoder_destroy(ch_batch_decoder_t **decoder);

/// Decode one frame; `now_ns` is the time of every point sent with a nil time.
///   CH_OK            *batch_out is the batch.
///   CH_ERR_CORRUPT   not one whole msgpack map, or above twice limits.batch_bytes: it has no
///                    identity and consumes nothing. Outputs untouched; ch_fail_text() says why.
///   CH_ERR_INVALID, CH_ERR_LIMIT
///                    it decodes but is refused: *reject_out says where and why (its code is the
///                    status returned), *batch_out is an empty batch with the identity, if it had
///                    a usable one: with `identity.present` the refusal consumes the seq.
///   CH_ERR_BUSY      no memory for the scratch: consumes nothing, the producer will send it again.
ch_status_t ch_batch_decode(ch_batch_decoder_t *decoder, ch_bytes_t frame, int64_t now_ns,
                            const ch_batch_t **batch_out,
                            ch_reject_t *reject_out) CH_MUST_CHECK;

/// Bytes of scratch held.
size_t ch_batch_decoder_bytes(const ch_batch_decoder_t *decoder);

#endif
