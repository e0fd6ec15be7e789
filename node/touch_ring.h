/// What the ingest thread did to producers, handed to the query front: a ring for one writer and one
/// reader, no locks.
///
/// Full     the writer drops and says so; the reader then looks at everybody (`lost_out`).
/// Threads  push: ingest; take: front.
#ifndef CH_TOUCH_RING_H
#define CH_TOUCH_RING_H

#include <stdatomic.h>
#include "ack_core.h"

enum { CH_TOUCH_RING_SLOTS = 16384 /* power of two; many wake-ups' worth of batches */ };

typedef struct ch_touch_ring {
    _Alignas(64) atomic_size_t head; /* next to read */
    _Alignas(64) atomic_size_t tail; /* next to write */
    atomic_bool lost;
    ch_touch_t slots[CH_TOUCH_RING_SLOTS];
} ch_touch_ring_t;

void ch_touch_ring_push(ch_touch_ring_t *ring, const ch_touch_t *touch);

/// False: empty. *lost_out is set when touches were dropped since the last call, else untouched.
bool ch_touch_ring_take(ch_touch_ring_t *ring, ch_touch_t *touch_out, bool *lost_out);

#endif
