/// Reader of one segment: header, then group by group, and the evidence that tells a torn tail
/// from damage. It changes nothing.
///
/// Threads  one at a time.
/// Errors   CH_ERR_IO when a read fails: that says nothing about the bytes, and is never taken for
///          a torn tail.
#ifndef CH_WAL_READER_H
#define CH_WAL_READER_H

#include "ch/fs.h"
#include "wal/wal_memory.h"
#include "wal/wal_segment.h"

typedef struct ch_wal_reader {
    ch_file_t *file; /* borrowed */
    uint64_t file_bytes;
    ch_wal_segment_t segment;
    ch_wal_header_state_t state; /* of the header */

    /* Position: everything before `offset` is valid. */
    uint64_t offset;
    uint64_t chain;
    uint64_t lsn_next;
    ch_digest_t *digest;

    bool sealed;
    ch_wal_seal_t seal;

    ch_wal_buffer_t window; /* bytes [window_offset, + size) of the file */
    uint64_t window_offset;
} ch_wal_reader_t;

/// Read the header. CH_OK also when it is invalid or newer: see `state`.
ch_status_t ch_wal_reader_init(ch_wal_reader_t *reader, ch_file_t *file,
                               uint64_t number) CH_MUST_CHECK;
void ch_wal_reader_release(ch_wal_reader_t *reader);

/// The next group; *body_out is valid until the next call. CH_END at the seal (`sealed` is set);
/// CH_NOT_FOUND when nothing valid stands at `offset`.
ch_status_t ch_wal_reader_next(ch_wal_reader_t *reader, ch_wal_group_t *group_out,
                               ch_bytes_t *body_out) CH_MUST_CHECK;

/// Is there proof in this file that bytes at `bad` were durable once? CH_OK and the offset of the
/// proof, or CH_NOT_FOUND. `segment` gives the seeds.
ch_status_t ch_wal_reader_evidence(ch_wal_reader_t *reader,
                                   const ch_wal_segment_t *segment, uint64_t bad,
                                   uint64_t *evidence_out) CH_MUST_CHECK;

#endif
