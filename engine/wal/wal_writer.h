/// The open segment's file: groups and the seal are written here, nothing is decided.
///
/// Threads  the thread that commits.
/// Errors   CH_ERR_NOSPACE: the state is as before, the call may be repeated. Anything else (and a
///          failed sync, whatever its reason) is final: bytes of unknown fate are in the file.
#ifndef CH_WAL_WRITER_H
#define CH_WAL_WRITER_H

#include "ch/fs.h"
#include "wal/wal_memory.h"
#include "wal/wal_segment.h"

enum {
    /* A group's buffer starts with room for a segment header, so that header and first group
     * are one write. */
    CH_WAL_BUFFER_GROUP_OFFSET = CH_WAL_BLOCK_BYTES,
    CH_WAL_BUFFER_BODY_OFFSET = CH_WAL_BLOCK_BYTES + CH_WAL_GROUP_HEADER_BYTES,
};

typedef struct ch_wal_writer {
    ch_file_t *file; /* NULL: no segment is open */
    ch_wal_segment_t segment;
    uint64_t end; /* where the next group goes; 0 until the header is written */
    uint64_t durable_end;
    uint64_t chain;
    uint64_t lsn_next;
    ch_digest_t *digest;
} ch_wal_writer_t;

void ch_wal_writer_init(ch_wal_writer_t *writer);
void ch_wal_writer_release(ch_wal_writer_t *writer);

/// Begin a segment on `path`: its name is made durable, its header waits for the first group.
ch_status_t ch_wal_writer_open(ch_wal_writer_t *writer, ch_fs_t *fs,
                               const char *directory, const char *path,
                               const ch_wal_segment_t *segment) CH_MUST_CHECK;

/// End of the file after a group of `length` bytes.
uint64_t ch_wal_writer_end_after(const ch_wal_writer_t *writer, uint32_t length);

/// Write the group in `buffer` (body from CH_WAL_BUFFER_BODY_OFFSET on); no sync.
ch_status_t ch_wal_writer_group(ch_wal_writer_t *writer, ch_wal_buffer_t *buffer,
                                uint32_t count) CH_MUST_CHECK;

/// fdatasync; everything written is durable.
ch_status_t ch_wal_writer_sync(ch_wal_writer_t *writer) CH_MUST_CHECK;

/// Write an empty group that bears durable_end (the first of a segment too); no sync.
ch_status_t ch_wal_writer_evidence(ch_wal_writer_t *writer) CH_MUST_CHECK;

/// Overwrite the start of a group whose write failed, so that it never validates.
ch_status_t ch_wal_writer_scrub(ch_wal_writer_t *writer) CH_MUST_CHECK;

/// Seal, truncate, sync, close.
ch_status_t ch_wal_writer_seal(ch_wal_writer_t *writer, ch_wal_term_t term) CH_MUST_CHECK;

#endif
