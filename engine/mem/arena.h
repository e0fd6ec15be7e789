/// Bump allocation from a pool of recycled 2 MiB blocks.
///
/// Shape    a pool keeps free blocks; an arena takes blocks and hands out pieces of them in order;
///          release gives the blocks back. Recycled blocks are not cleared: pieces start as garbage.
/// Why      the first touch of a page costs as much as hundreds of points (docs: a fault is 10 us),
///          so blocks are aligned for huge pages, touched ahead by ch_arena_pool_prepare, and never
///          unmapped before the pool goes.
/// Threads  a pool is shared (a mutex inside); an arena has one allocating thread, and its byte
///          count may be read from any.
#ifndef CH_MEM_ARENA_H
#define CH_MEM_ARENA_H

#include <stdatomic.h>
#include "ch/bytes.h"
#include "mem/memtable.h"

#define CH_ARENA_BLOCK_BYTES ((size_t)2 << 20)

/// Largest piece (a block has a small header).
#define CH_ARENA_PIECE_MAX (CH_ARENA_BLOCK_BYTES - 64)

typedef struct ch_arena_block ch_arena_block_t;

typedef struct ch_arena {
    ch_arena_pool_t *pool;
    ch_arena_block_t *blocks; /* the newest first */
    uintptr_t cursor;
    uintptr_t end;
    _Atomic size_t bytes; /* handed out, padding included */
} ch_arena_t;

void ch_arena_init(ch_arena_t *arena, ch_arena_pool_t *pool);
void ch_arena_release(ch_arena_t *arena);

/// The slow path of ch_arena_alloc: begin a new block.
void *ch_arena_alloc_block(ch_arena_t *arena, size_t size, size_t align);

/// `align` is a power of two up to 64; size <= CH_ARENA_PIECE_MAX. Aborts on exhaustion.
static inline void *
ch_arena_alloc(ch_arena_t *arena, size_t size, size_t align)
{
    uintptr_t from = (arena->cursor + align - 1) & ~(uintptr_t)(align - 1);
    if (arena->blocks == NULL || from + size > arena->end)
        return ch_arena_alloc_block(arena, size, align);
    size_t used = from + size - arena->cursor;
    size_t bytes = atomic_load_explicit(&arena->bytes, memory_order_relaxed);
    atomic_store_explicit(&arena->bytes, bytes + used, memory_order_relaxed);
    arena->cursor = from + size;
    return (void *)from;
}

/// A copy of `text` that lives as long as the arena.
ch_bytes_t ch_arena_keep(ch_arena_t *arena, ch_bytes_t text);

static inline size_t
ch_arena_bytes(const ch_arena_t *arena)
{
    return atomic_load_explicit(&arena->bytes, memory_order_relaxed);
}

/// Zeroed pages straight from the system, with huge pages when there are many; aborts on
/// exhaustion. For big arrays that are replaced as they grow.
void *ch_arena_map(size_t size);
void ch_arena_unmap(void *memory, size_t size);

#endif
