/* arena.c - memory that is touched once and used for ever.
 *
 * Problem     Page faults cost more than the whole write path; memtables come and go all day.
 * Idea        Blocks of the size of a huge page. A memtable that goes gives its blocks to the
 *             pool, and the next one takes them; the background touches more before they are
 *             needed. Nothing is unmapped in steady state.
 * Limitation  The pool never shrinks: it keeps the most that was ever in use at once.
 */
#include "mem/arena.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "ch/alloc.h"
#include "ch/assert.h"

struct ch_arena_block {
    ch_arena_block_t *next;
};

_Static_assert(sizeof(struct ch_arena_block) <= 64, "header fits before the first piece");

struct ch_arena_pool {
    pthread_mutex_t mutex;
    ch_arena_block_t *free; /* mutex */
    size_t owned;           /* mutex: blocks, free or in use */
    size_t lent;            /* mutex: blocks in use */
};

ch_arena_pool_t *
ch_arena_pool_new(void)
{
    ch_arena_pool_t *pool = ch_calloc(1, sizeof *pool);
    CH_ASSERT(pthread_mutex_init(&pool->mutex, NULL) == 0);
    return pool;
}

void
ch_arena_pool_destroy(ch_arena_pool_t **pool)
{
    ch_arena_pool_t *self = *pool;
    if (self == NULL)
        return;
    CH_ASSERT(self->lent == 0);
    while (self->free != NULL) {
        ch_arena_block_t *block = self->free;
        self->free = block->next;
        munmap(block, CH_ARENA_BLOCK_BYTES);
    }
    pthread_mutex_destroy(&self->mutex);
    ch_free(self);
    *pool = NULL;
}

void *
ch_arena_map(size_t size)
{
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        abort(); /* as ch_alloc: exhaustion is a kill -9 */
    if (size >= 2 * CH_ARENA_BLOCK_BYTES)
        (void)madvise(memory, size, MADV_HUGEPAGE); /* a wish; small pages work too */
    return memory;
}

void
ch_arena_unmap(void *memory, size_t size)
{
    if (memory != NULL)
        munmap(memory, size);
}

/* mmap aligns to 4 KiB: map twice the size and give back what sticks out. */
static ch_arena_block_t *
block_map(void)
{
    const size_t size = CH_ARENA_BLOCK_BYTES;
    uintptr_t from = (uintptr_t)ch_arena_map(2 * size - 4096);
    uintptr_t block = (from + size - 1) & ~(uintptr_t)(size - 1);
    uintptr_t end = from + 2 * size - 4096;
    if (block > from)
        munmap((void *)from, block - from);
    if (end > block + size)
        munmap((void *)(block + size), end - block - size);
    (void)madvise((void *)block, size, MADV_HUGEPAGE);
    return (ch_arena_block_t *)block;
}

static void
block_touch(ch_arena_block_t *block)
{
    volatile uint8_t *bytes = (volatile uint8_t *)block;
    for (size_t i = 0; i < CH_ARENA_BLOCK_BYTES; i += 4096)
        bytes[i] = 0;
}

static ch_arena_block_t *
pool_take(ch_arena_pool_t *pool)
{
    pthread_mutex_lock(&pool->mutex);
    ch_arena_block_t *block = pool->free;
    if (block != NULL)
        pool->free = block->next;
    else
        pool->owned++;
    pool->lent++;
    pthread_mutex_unlock(&pool->mutex);
    return block != NULL ? block : block_map();
}

size_t
ch_arena_pool_bytes(ch_arena_pool_t *pool)
{
    pthread_mutex_lock(&pool->mutex);
    size_t bytes = pool->owned * CH_ARENA_BLOCK_BYTES;
    pthread_mutex_unlock(&pool->mutex);
    return bytes;
}

void
ch_arena_pool_prepare(ch_arena_pool_t *pool, size_t bytes)
{
    for (;;) {
        pthread_mutex_lock(&pool->mutex);
        bool wanted = pool->owned * CH_ARENA_BLOCK_BYTES < bytes;
        pool->owned += wanted;
        pthread_mutex_unlock(&pool->mutex);
        if (!wanted)
            return;
        ch_arena_block_t *block =
            block_map(); /* outside the lock: the writer may need one */
        block_touch(block);
        pthread_mutex_lock(&pool->mutex);
        block->next = pool->free;
        pool->free = block;
        pthread_mutex_unlock(&pool->mutex);
    }
}

void
ch_arena_init(ch_arena_t *arena, ch_arena_pool_t *pool)
{
    *arena = (ch_arena_t){.pool = pool};
}

void
ch_arena_release(ch_arena_t *arena)
{
    if (arena->blocks == NULL)
        return;
    ch_arena_block_t *oldest = arena->blocks;
    size_t count = 1;
    for (; oldest->next != NULL; oldest = oldest->next)
        count++;
    pthread_mutex_lock(&arena->pool->mutex);
    oldest->next = arena->pool->free;
    arena->pool->free = arena->blocks;
    arena->pool->lent -= count;
    pthread_mutex_unlock(&arena->pool->mutex);
    ch_arena_init(arena, arena->pool);
}

void *
ch_arena_alloc_block(ch_arena_t *arena, size_t size, size_t align)
{
    CH_ASSERT(size <= CH_ARENA_PIECE_MAX);
    CH_ASSERT(align <= 64);
    size_t bytes = ch_arena_bytes(arena) + (arena->end - arena->cursor) + 64;
    ch_arena_block_t *block = pool_take(arena->pool);
    block->next = arena->blocks;
    arena->blocks = block;
    arena->cursor = (uintptr_t)block + 64;
    arena->end = (uintptr_t)block + CH_ARENA_BLOCK_BYTES;
    atomic_store_explicit(&arena->bytes, bytes, memory_order_relaxed);
    return ch_arena_alloc(arena, size, align);
}

ch_bytes_t
ch_arena_keep(ch_arena_t *arena, ch_bytes_t text)
{
    if (text.size == 0)
        return (ch_bytes_t){0};
    void *copy = ch_arena_alloc(arena, text.size, 1);
    memcpy(copy, text.data, text.size);
    return ch_bytes(copy, text.size);
}
