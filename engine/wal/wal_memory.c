#include "wal/wal_memory.h"

#include <stdalign.h>
#include <string.h>

enum { BUFFER_BYTES_MIN = 4096, ARENA_BLOCK_BYTES = 64 * 1024 };

void
ch_wal_buffer_grow(ch_wal_buffer_t *buffer, size_t more)
{
    size_t capacity = buffer->capacity ? buffer->capacity : BUFFER_BYTES_MIN;
    while (capacity - buffer->size < more)
        capacity *= 2;
    buffer->data = ch_realloc(buffer->data, capacity);
    buffer->capacity = capacity;
}

void
ch_wal_buffer_release(ch_wal_buffer_t *buffer)
{
    ch_free(buffer->data);
    *buffer = (ch_wal_buffer_t){0};
}

void
ch_wal_buffer_append(ch_wal_buffer_t *buffer, const void *data, size_t size)
{
    if (size == 0)
        return;
    memcpy(ch_wal_buffer_room(buffer, size), data, size);
    buffer->size += size;
}

void
ch_wal_buffer_zeros(ch_wal_buffer_t *buffer, size_t size)
{
    if (size == 0)
        return;
    memset(ch_wal_buffer_room(buffer, size), 0, size);
    buffer->size += size;
}

typedef struct ch_wal_arena_block {
    struct ch_wal_arena_block *next;
    size_t size;
    size_t used;
    alignas(16) uint8_t data[];
} arena_block_t;

static void
arena_add_block(ch_wal_arena_t *arena, size_t size)
{
    arena_block_t *block = ch_alloc(sizeof *block + size);
    *block = (arena_block_t){.next = arena->blocks, .size = size};
    arena->blocks = block;
    arena->total += size;
}

void *
ch_wal_arena_take(ch_wal_arena_t *arena, size_t size)
{
    size = (size + 15) / 16 * 16;
    if (!arena->blocks || arena->blocks->size - arena->blocks->used < size)
        arena_add_block(arena, size > ARENA_BLOCK_BYTES ? size : ARENA_BLOCK_BYTES);
    arena_block_t *block = arena->blocks;
    void *taken = block->data + block->used;
    block->used += size;
    return taken;
}

/* Several blocks become one of their total size, so that a steady load ends with one block. */
void
ch_wal_arena_reset(ch_wal_arena_t *arena)
{
    if (!arena->blocks)
        return;
    if (arena->blocks->next) {
        size_t total = arena->total;
        ch_wal_arena_release(arena);
        arena_add_block(arena, total);
    }
    arena->blocks->used = 0;
}

void
ch_wal_arena_release(ch_wal_arena_t *arena)
{
    while (arena->blocks) {
        arena_block_t *block = arena->blocks;
        arena->blocks = block->next;
        ch_free(block);
    }
    arena->total = 0;
}
