#include "scratch.h"

#include <stdlib.h>

enum { SCRATCH_CHUNK_BYTES_MIN = 64 * 1024 };

struct ch_scratch_chunk {
    ch_scratch_chunk_t *older;
    size_t size;
    uint64_t data[];
};

static void
use_chunk(ch_scratch_t *scratch, ch_scratch_chunk_t *chunk)
{
    scratch->chunk = chunk;
    scratch->at = (uint8_t *)chunk->data;
    scratch->end = scratch->at + chunk->size;
}

static ch_scratch_chunk_t *
add_chunk(ch_scratch_t *scratch, size_t size)
{
    size = (size + 7) & ~(size_t)7;
    ch_scratch_chunk_t *chunk = malloc(sizeof *chunk + size);
    if (!chunk)
        return NULL;
    *chunk = (ch_scratch_chunk_t){.older = scratch->chunk, .size = size};
    scratch->total += size;
    use_chunk(scratch, chunk);
    return chunk;
}

void *
ch_scratch_grow(ch_scratch_t *scratch, size_t size)
{
    size_t wanted = scratch->total > size ? scratch->total : size + 8;
    if (wanted < SCRATCH_CHUNK_BYTES_MIN)
        wanted = SCRATCH_CHUNK_BYTES_MIN;
    if (size > SIZE_MAX / 2 || !add_chunk(scratch, wanted))
        return NULL;
    return ch_scratch_alloc(scratch, size);
}

static void
free_chunks(ch_scratch_t *scratch)
{
    while (scratch->chunk) {
        ch_scratch_chunk_t *older = scratch->chunk->older;
        free(scratch->chunk);
        scratch->chunk = older;
    }
    scratch->at = scratch->end = NULL;
    scratch->total = 0;
}

void
ch_scratch_reset(ch_scratch_t *scratch)
{
    if (!scratch->chunk)
        return;
    if (scratch->chunk->older) {
        size_t total = scratch->total;
        free_chunks(scratch);
        add_chunk(scratch, total); /* without it the next decode starts from nothing */
        return;
    }
    use_chunk(scratch, scratch->chunk);
}

void
ch_scratch_release(ch_scratch_t *scratch)
{
    free_chunks(scratch);
}
