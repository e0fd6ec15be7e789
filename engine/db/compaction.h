/// Merging tables while the engine runs: one merge at a time, chosen by compaction_picker.h, done by
/// merge.h, made visible by one manifest edit.
///
/// Threads  what is marked [m] is guarded by the engine's mutex; the rest belongs to the compactor
///          (with background_threads = 0: the writer).
#ifndef CH_DB_COMPACTION_H
#define CH_DB_COMPACTION_H

#include "ch/engine.h"

typedef struct ch_compactor {
    uint64_t requested_lsn; /* [m] of the last ch_engine_compact; 0: done */
    uint64_t compacted_lsn; /* [m] */
    bool due;               /* [m] tables or requests came */
    bool merging;           /* [m] */
    bool ask_again;         /* [m] a request: try the unreadable once more */
    uint64_t debt;          /* atomic: bytes of all merges due */
    uint64_t *
        unreadable; /* file numbers that merges leave alone until the next start or request */
    size_t unreadable_count;
    uint64_t unpaced_bytes; /* read since the last look at the rate */
    int64_t paid_until_ns;  /* monotonic: when what was read is within the rate */
} ch_compactor_t;

void ch_compactor_release(ch_compactor_t *compactor);

/// Choose a merge and do it. CH_NOT_FOUND: nothing is due. CH_ERR_NOSPACE: given up, try later.
/// CH_ERR_CLOSED: the engine stops or failed. An input that cannot be read is left alone from now on:
/// that is said in the log, and CH_OK.
ch_status_t ch_compactor_step(ch_engine_t *engine) CH_MUST_CHECK;

/// The thread: ch_compactor_step for ever.
void *ch_compactor_run(void *engine);

/// The compactor's pause after `bytes` were read: keeps the rate, waits for a flush that is under way.
/// CH_ERR_CLOSED when the engine stops.
ch_status_t ch_compactor_pace(ch_engine_t *engine, uint64_t bytes) CH_MUST_CHECK;

/// New tables came: look again. Under the engine's mutex.
void ch_compactor_wake(ch_engine_t *engine);

#endif
