/// Lets one event of a kind through every `interval_ns`, and counts those it held back: log lines
/// that foreign bytes cause must not fill a disk.
///
/// Threads  one at a time.
#ifndef CH_LIMITER_H
#define CH_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct ch_limiter {
    int64_t next_ns; /* 0: lets the first one through */
    uint64_t held;
} ch_limiter_t;

/// True: go ahead; *held_out is how many were held back since the last one.
static inline bool
ch_limiter_pass(ch_limiter_t *limiter, int64_t now_ns, int64_t interval_ns,
                uint64_t *held_out)
{
    if (now_ns < limiter->next_ns) {
        limiter->held++;
        return false;
    }
    limiter->next_ns = now_ns + interval_ns;
    *held_out = limiter->held;
    limiter->held = 0;
    return true;
}

#endif
