#include "ch/alloc.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *
require(void *memory, size_t size)
{
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
ch_alloc_tune(void)
{
    /* A first touch of a page costs as much as the whole write path of 180 points: memory that was
     * faulted in once is kept, also when a large message is freed. */
    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
}
