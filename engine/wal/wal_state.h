/// The inside of ch_wal_t, shared by wal.c (append, commit) and wal_spare.c (prepare, retire).
///
/// Locks    `io` is held by whoever writes to the open segment (commit, seal, rollback, close): one
///          at a time, and for the whole of its I/O. `lock` guards the fields below it, is held for
///          instructions only, and may be taken while holding `io`, never the other way round.
#ifndef CH_WAL_STATE_H
#define CH_WAL_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "wal/wal_files.h"
#include "wal/wal_record.h"
#include "wal/wal_recover.h"
#include "wal/wal_writer.h"

/// A group of records being filled or written.
typedef struct ch_wal_pending {
    ch_wal_buffer_t buffer; /* records from CH_WAL_BUFFER_BODY_OFFSET on */
    uint32_t count;
    uint64_t segment;   /* that it goes to: its records use this segment's numbering */
    ch_wal_mark_t mark; /* the numbering before its first record */
} ch_wal_pending_t;

struct ch_wal {
    ch_wal_options_t options;
    char *path;

    pthread_mutex_t io;
    ch_wal_writer_t writer;
    bool write_failed; /* a part of `closed` may stand at the writer's end */

    pthread_mutex_t lock;
    pthread_cond_t changed; /* appending or zeroing ended */
    ch_wal_pending_t groups[2];
    ch_wal_pending_t *open;   /* the writer thread fills it */
    ch_wal_pending_t *closed; /* the syncer writes it; NULL: nothing to write */
    bool appending;           /* a record is being encoded for the segment `target` */
    uint64_t target;          /* segment that the next group goes to */
    uint64_t target_records;
    uint64_t target_bytes;
    int64_t target_since_ns; /* monotonic, of its first record */
    uint64_t file_number;    /* segment whose file is open; 0: none */
    uint64_t file_end;
    uint64_t zeroed_to; /* what the file holds in allocated blocks */
    bool zeroing;
    ch_wal_sealed_t *sealed;
    size_t sealed_count, sealed_capacity;
    ch_wal_numbers_t spares;
    uint64_t spare_next; /* a number no spare has */
    bool preparing;      /* a spare is being made */
    ch_wal_stats_t stats;

    /* the writer thread's own */
    ch_wal_encoder_t encoder;
    ch_wal_numbering_t numbering;
    uint64_t numbering_segment;
    ch_wal_namer_t namer;

    atomic_bool failed;
    _Atomic uint64_t appended_lsn, durable_lsn, pending_bytes;
};

/// Refuse everything from now on; returns `status`.
ch_status_t ch_wal_fail(ch_wal_t *wal, ch_status_t status);

/// After what failed for good: CH_ERR_CLOSED.
ch_status_t ch_wal_check(const ch_wal_t *wal);

/// wal_spare.c, holding `io`: take the file for the segment `number`, a spare if there is one, under the
/// segment's name. `zeroed_out`: bytes it already has.
ch_status_t ch_wal_take_file(ch_wal_t *wal, uint64_t number,
                             uint64_t *zeroed_out) CH_MUST_CHECK;
/// Remove all spares.
ch_status_t ch_wal_remove_spares(ch_wal_t *wal) CH_MUST_CHECK;

#endif
