/// Time comes in from outside, so that tests can own it.
#ifndef CH_CLOCK_H
#define CH_CLOCK_H

#include <stdint.h>

typedef struct ch_clock {
    int64_t (*wall_ns)(void *context);      /* since the Unix epoch, UTC */
    int64_t (*monotonic_ns)(void *context); /* never runs backwards */
    void *context;
} ch_clock_t;

/// The machine's own clocks.
ch_clock_t ch_clock_system(void);

static inline int64_t
ch_clock_wall_ns(const ch_clock_t *clock)
{
    return clock->wall_ns(clock->context);
}

static inline int64_t
ch_clock_monotonic_ns(const ch_clock_t *clock)
{
    return clock->monotonic_ns(clock->context);
}

#endif
