/// Memory of sizes that we chose: exhaustion aborts (a kill -9, which P1 covers).
///
/// Sizes that came from wire or disk are checked against limits.h first, or asked for with
/// ch_try_alloc, which returns NULL.
/// Threads  as malloc.
#ifndef CH_ALLOC_H
#define CH_ALLOC_H

#include <stddef.h>
#include <string.h>
#include "ch/status.h"

void *ch_alloc(size_t size) CH_MUST_CHECK;
void *ch_calloc(size_t count, size_t size) CH_MUST_CHECK;
void *ch_realloc(void *memory, size_t size) CH_MUST_CHECK;
void *ch_try_alloc(size_t size) CH_MUST_CHECK;
char *ch_strdup(const char *text) CH_MUST_CHECK;
/// Have the pages of this memory there, content unchanged; may run beside those who use it.
void ch_touch(void *memory, size_t size);
void ch_free(void *memory);

/// The process-wide settings of the allocator (raised mmap and trim thresholds: page faults are
/// dear). Call first thing in main.
void ch_alloc_tune(void);

/// Hand over ownership: returns *p and nulls it. `p` is the address of any pointer.
static inline void *
ch_take(void *p)
{
    void *value, *none = NULL;
    memcpy(&value, p, sizeof value);
    memcpy(p, &none, sizeof none);
    return value;
}

#endif
