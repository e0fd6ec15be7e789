/// What is in the log's directory: read, judged by evidence, and made ready to go on.
///
/// Threads  one.
#ifndef CH_WAL_RECOVER_H
#define CH_WAL_RECOVER_H

#include "wal/wal.h"
#include "wal/wal_files.h"
#include "wal/wal_segment.h"

/// A sealed segment.
typedef struct ch_wal_sealed {
    uint64_t number;
    uint64_t last_lsn;
} ch_wal_sealed_t;

typedef struct ch_wal_recovery {
    uint64_t number_next; /* of the segment to begin */
    uint64_t lsn_next;
    uint64_t chain;
    ch_wal_sealed_t *sealed; /* ascending */
    size_t sealed_count;
    ch_wal_numbers_t spares;
    uint64_t records;
    uint64_t torn_bytes;
} ch_wal_recovery_t;

/// As ch_wal_open says. *recovery is zero-initialised; release it in any case.
ch_status_t ch_wal_recover(const ch_wal_options_t *options, uint64_t lsn_applied,
                           ch_wal_visit_fn visit, void *context,
                           ch_wal_recovery_t *recovery) CH_MUST_CHECK;
void ch_wal_recovery_release(ch_wal_recovery_t *recovery);

#endif
