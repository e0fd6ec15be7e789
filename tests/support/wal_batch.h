/// Random batches of every shape for tests of the log, made anew from (seed, number) at any time,
/// and compared with records cell by cell.
#ifndef TESTS_SUPPORT_WAL_BATCH_H
#define TESTS_SUPPORT_WAL_BATCH_H

#include "ch/rng.h"
#include "wal/wal_record.h"

typedef struct ch_wal_batch {
    ch_wal_arena_t arena; /* everything below lives in it */
    ch_batch_t batch;
    uint32_t *series; /* global ids */
    int64_t time;
} ch_wal_batch_t;

/// The same (seed, number) gives the same batch. `size` bounds rows and fields (about size squared
/// points at most). Release before making another in the same struct.
void ch_wal_batch_make(ch_wal_batch_t *made, uint64_t seed, uint64_t number,
                       uint32_t size);
void ch_wal_batch_release(ch_wal_batch_t *made);

/// Names of the global ids that batches use.
ch_wal_namer_t ch_wal_batch_namer(void);

/// NULL when the record is this batch, else what differs.
const char *ch_wal_batch_compare(const ch_wal_batch_t *made,
                                 const ch_wal_record_t *record,
                                 const ch_wal_dictionary_t *dictionary);

#endif
