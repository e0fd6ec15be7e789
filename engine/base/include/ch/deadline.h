/// A deadline for long work in memory: look at the clock now and then, and stop.
///
/// Units    a unit of work is about a tenth of a microsecond.
/// Errors   CH_ERR_TIMEOUT, once the deadline has passed.
/// Threads  one at a time.
#ifndef CH_DEADLINE_H
#define CH_DEADLINE_H

#include <stddef.h>

#include "ch/clock.h"
#include "ch/status.h"

enum { CH_DEADLINE_WORK_BETWEEN_LOOKS = 8192 };

typedef struct ch_deadline {
    const ch_clock_t *clock;
    int64_t at_ns; /* monotonic; 0: none */
    uint64_t work; /* since the last look */
} ch_deadline_t;

/// Look at the clock.
ch_status_t ch_deadline_look(ch_deadline_t *deadline) CH_MUST_CHECK;

/// Count work, and look when enough was done. NULL: no deadline.
static inline ch_status_t
ch_deadline_work(ch_deadline_t *deadline, uint64_t units)
{
    if (!deadline || deadline->at_ns == 0)
        return CH_OK;
    deadline->work += units;
    return deadline->work < CH_DEADLINE_WORK_BETWEEN_LOOKS ? CH_OK
                                                           : ch_deadline_look(deadline);
}

/// qsort that stops at the deadline; the items are then in no order, and some may be lost.
ch_status_t ch_deadline_sort(ch_deadline_t *deadline, void *items, size_t count,
                             size_t item_bytes,
                             int (*compare)(const void *, const void *)) CH_MUST_CHECK;

#endif
