/// Named pthreads with all signals blocked.
#ifndef CH_OS_THREAD_H
#define CH_OS_THREAD_H

#include <pthread.h>
#include <stdint.h>

#include "ch/status.h"

/// Start a thread; `name` at most 15 characters. Aborts when the system has no more threads.
void ch_thread_start(pthread_t *thread, const char *name, void *(*run)(void *),
                     void *context);

/// Let the calling thread take what others leave: batch scheduling, and nice 10. As far as the system
/// allows.
void ch_thread_lower_priority(void);

/// Processor time that the calling thread has used.
int64_t ch_thread_cpu_ns(void);

/// Join and forget.
void ch_thread_join(pthread_t thread);

#endif
