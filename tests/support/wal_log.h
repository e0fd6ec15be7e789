/// A log under test: on a simulated disk, with a clock that stands until it is moved, fed with the
/// batches of wal_batch.h, and read back against them.
///
/// Record    lsn n is batch n of the seed, so what must be there is known from the lsn alone.
#ifndef TESTS_SUPPORT_WAL_LOG_H
#define TESTS_SUPPORT_WAL_LOG_H

#include "support/simfs.h"
#include "support/wal_batch.h"
#include "wal/wal.h"

typedef struct ch_wal_log {
    ch_simfs_t *simfs; /* borrowed */
    uint64_t seed;
    uint32_t batch_size;
    int64_t now_ns;
    ch_clock_t clock;
    ch_wal_options_t options;
    ch_wal_t *wal; /* NULL: closed */

    /* What the last open visited. */
    uint64_t visited_first, visited_last; /* 0: none */
    char wrong[200];                      /* "" or what was not as written */
} ch_wal_log_t;

/// Small segments (8 KiB), no age, one spare, 16 KiB zeroed ahead. Nothing is opened.
void ch_wal_log_init(ch_wal_log_t *log, ch_simfs_t *simfs, uint64_t seed);

/// Open and compare every record visited with its batch; `wrong` tells.
ch_status_t ch_wal_log_open(ch_wal_log_t *log, uint64_t lsn_applied);

/// Append the batch of the next lsn.
ch_status_t ch_wal_log_append(ch_wal_log_t *log);

/// Append and commit `count` batches, one a group.
ch_status_t ch_wal_log_write(ch_wal_log_t *log, unsigned count);

/// Text of every file with its size and hash, for "nothing was changed"; free it.
char *ch_wal_log_files(ch_simfs_t *simfs);

#endif
