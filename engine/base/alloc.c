#include "ch/alloc.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* What is as large as this is wanted in pages of 2 MiB: the first touch of five hundred small ones
 * costs far more than that of a large one. */
enum { LARGE_BYTES = 16 << 20, LARGE_PAGE = 2 << 20 };

static void
want_large_pages(void *memory, size_t size)
{
    uintptr_t from = ((uintptr_t)memory + LARGE_PAGE - 1) & ~(uintptr_t)(LARGE_PAGE - 1);
    uintptr_t to = ((uintptr_t)memory + size) & ~(uintptr_t)(LARGE_PAGE - 1);
    if (from < to)
        (void)madvise((void *)from, to - from, MADV_HUGEPAGE); /* a wish */
}

static void *
require(void *memory, size_t size)
{
    if (memory && size >= LARGE_BYTES)
        want_large_pages(memory, size);
    if (memory || size == 0)
        return memory;
    (void)fprintf(stderr, "cityhall: out of memory (%zu bytes)\n", size);
    abort();
}

void *
ch_alloc(size_t size)
{
    return require(malloc(size), size);
}

void *
ch_calloc(size_t count, size_t size)
{
    return require(calloc(count, size), count * size);
}

void *
ch_realloc(void *memory, size_t size)
{
    return require(realloc(memory, size), size);
}

void *
ch_try_alloc(size_t size)
{
    return malloc(size);
}

char *
ch_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(ch_alloc(size), text, size);
}

void
ch_free(void *memory)
{
    free(memory);
}

void
ch_touch(void *memory, size_t size)
{
    uintptr_t from = ((uintptr_t)memory + 4095) & ~(uintptr_t)4095;
    uintptr_t to = ((uintptr_t)memory + size) & ~(uintptr_t)4095;
    if (from < to) /* an older kernel says no: then the first use does it */
        (void)madvise((void *)from, to - from, MADV_POPULATE_WRITE);
}

void
ch_alloc_tune(void)
{
    /* A first touch of a page costs as much as the whole write path of 180 points: memory that was
     * faulted in once is kept, also when a large message is freed. */
    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
}
