/// Memory of one decode: bump allocation, forgotten all at once, recycled by the next.
///
/// Memory   grows by chunks; a reset joins what had to be split, so that in steady state there is
///          one chunk and no malloc.
/// Errors   NULL when there is no memory (the sizes come from the wire).
/// Threads  one at a time.
#ifndef CH_SCRATCH_H
#define CH_SCRATCH_H

#include <stddef.h>
#include <stdint.h>

typedef struct ch_scratch_chunk ch_scratch_chunk_t;

typedef struct ch_scratch {
    ch_scratch_chunk_t *chunk; /* the one in use; older ones behind it */
    uint8_t *at;
    uint8_t *end;
    size_t total; /* bytes of all chunks */
} ch_scratch_t;

void *ch_scratch_grow(ch_scratch_t *scratch, size_t size);
void ch_scratch_reset(ch_scratch_t *scratch);
void ch_scratch_release(ch_scratch_t *scratch);

/// `size` bytes, aligned to 8, valid until the reset.
static inline void *
ch_scratch_alloc(ch_scratch_t *scratch, size_t size)
{
    size_t rounded = size ? (size + 7) & ~(size_t)7 : 8; /* never the same place twice */
    if (rounded < size || rounded > (size_t)(scratch->end - scratch->at))
        return ch_scratch_grow(scratch, size);
    void *memory = scratch->at;
    scratch->at += rounded;
    return memory;
}

/// Give back the tail of the last allocation, of which only `used` bytes are needed.
static inline void
ch_scratch_trim(ch_scratch_t *scratch, const void *memory, size_t used)
{
    scratch->at = (uint8_t *)(uintptr_t)memory + ((used + 7) & ~(size_t)7);
}

#endif
