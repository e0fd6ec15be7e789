#include "os/thread.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ch/assert.h"

/* Signals are the main thread's business, except those that a thread raises by a fault of its
 * own: blocked, they would kill without a report. */
static void
mask_for_threads(sigset_t *mask)
{
    static const int own_faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    sigfillset(mask);
    for (size_t i = 0; i < sizeof own_faults / sizeof own_faults[0]; i++)
        sigdelset(mask, own_faults[i]);
}

void
ch_thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *context)
{
    CH_ASSERT(strlen(name) <= 15);
    /* A new thread inherits the mask, so no signal can reach it before it blocks. */
    sigset_t mask, before;
    mask_for_threads(&mask);
    CH_ASSERT(pthread_sigmask(SIG_SETMASK, &mask, &before) == 0);
    CH_ASSERT(pthread_create(thread, NULL, run, context) == 0);
    CH_ASSERT(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    (void)pthread_setname_np(*thread, name); /* fails when it has ended already */
}

void
ch_thread_lower_priority(void)
{
    enum { NICE = 10 };
    const struct sched_param none = {0};
    /* On Linux both are a thread's own, whatever POSIX says of processes. */
    (void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
}

void
ch_thread_join(pthread_t thread)
{
    CH_ASSERT(pthread_join(thread, NULL) == 0);
}

int64_t
ch_thread_cpu_ns(void)
{
    struct rusage used = {0};
    (void)getrusage(RUSAGE_THREAD, &used);
    int64_t seconds = used.ru_utime.tv_sec + used.ru_stime.tv_sec;
    return seconds * 1000000000 +
           (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * INT64_C(1000);
}
