#include "ch/clock.h"

#include <stddef.h>
#include <time.h>

static int64_t
now_ns(clockid_t id)
{
    struct timespec now;
    (void)clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t
system_wall_ns(void *context)
{
    (void)context;
    return now_ns(CLOCK_REALTIME);
}

static int64_t
system_monotonic_ns(void *context)
{
    (void)context;
    return now_ns(CLOCK_MONOTONIC);
}

ch_clock_t
ch_clock_system(void)
{
    return (ch_clock_t){system_wall_ns, system_monotonic_ns, NULL};
}
