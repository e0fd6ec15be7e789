/// Records: a batch, a refusal or a delete to bytes and back (docs/format/wal.md, "Record").
///
/// Threads  an encoder or decoder belongs to one thread at a time.
#ifndef CH_WAL_RECORD_H
#define CH_WAL_RECORD_H

#include "wal/wal_column.h"
#include "wal/wal_dictionary.h"

/// Scratch of the encoder, recycled.
typedef struct ch_wal_encoder {
    ch_wal_buffer_t out; /* the encoded record; valid until the next encode */
    ch_wal_buffer_t ids;
    ch_wal_buffer_t scratch;
} ch_wal_encoder_t;

void ch_wal_encoder_release(ch_wal_encoder_t *encoder);

/// Encode into encoder->out. `numbering` learns the series new to the segment.
/// Errors: CH_ERR_LIMIT (CH_WAL_RECORD_CELLS_MAX, CH_WAL_GROUP_BYTES_MAX; numbering as before).
ch_status_t ch_wal_encode_batch(ch_wal_encoder_t *encoder, ch_wal_numbering_t *numbering,
                                const ch_wal_namer_t *namer, const ch_batch_t *batch,
                                const uint32_t *series, int64_t time) CH_MUST_CHECK;
void ch_wal_encode_refusal(ch_wal_encoder_t *encoder, const ch_identity_t *identity,
                           const ch_reject_t *reject, int64_t time);
/// DELETE or RETENTION. Errors: CH_ERR_LIMIT.
ch_status_t ch_wal_encode_delete(ch_wal_encoder_t *encoder, ch_wal_record_type_t type,
                                 const ch_identity_t *identity,
                                 const ch_wal_delete_t *delete,
                                 int64_t time) CH_MUST_CHECK;

/// What a decoded record borrows.
typedef struct ch_wal_decoder {
    ch_wal_arena_t arena;
} ch_wal_decoder_t;

void ch_wal_decoder_release(ch_wal_decoder_t *decoder);

/// Decode the record at the start of `bytes`; `dictionary` learns its additions. Of *record_out,
/// lsn and segment are the caller's to set. Borrows from `bytes` and the decoder until its next use.
/// Errors: CH_ERR_CORRUPT, CH_ERR_VERSION (unknown type).
ch_status_t ch_wal_decode_record(ch_wal_decoder_t *decoder,
                                 ch_wal_dictionary_t *dictionary, ch_bytes_t bytes,
                                 ch_wal_record_t *record_out,
                                 size_t *used_out) CH_MUST_CHECK;

#endif
