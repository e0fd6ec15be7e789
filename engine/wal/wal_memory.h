/// Memory of the log: a growable byte buffer (encoding) and a bump arena (decoding).
///
/// Owner    the embedding struct; release frees.
/// Threads  one at a time.
#ifndef CH_WAL_MEMORY_H
#define CH_WAL_MEMORY_H

#include "ch/alloc.h"
#include "ch/coding.h"

typedef struct ch_wal_buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
} ch_wal_buffer_t;

void ch_wal_buffer_grow(ch_wal_buffer_t *buffer, size_t more);
void ch_wal_buffer_release(ch_wal_buffer_t *buffer);
void ch_wal_buffer_append(ch_wal_buffer_t *buffer, const void *data, size_t size);
void ch_wal_buffer_zeros(ch_wal_buffer_t *buffer, size_t size);

/// Room for `more` bytes; returns where to write them. The caller raises `size`.
static inline uint8_t *
ch_wal_buffer_room(ch_wal_buffer_t *buffer, size_t more)
{
    if (buffer->capacity - buffer->size < more)
        ch_wal_buffer_grow(buffer, more);
    return buffer->data + buffer->size;
}

static inline void
ch_wal_buffer_varint(ch_wal_buffer_t *buffer, uint64_t value)
{
    uint8_t *at = ch_wal_buffer_room(buffer, CH_VARINT_BYTES_MAX);
    if (value < 0x80) {
        *at = (uint8_t)value;
        buffer->size++;
        return;
    }
    buffer->size = (size_t)(ch_varint_put(at, value) - buffer->data);
}

static inline void
ch_wal_buffer_byte(ch_wal_buffer_t *buffer, unsigned value)
{
    *ch_wal_buffer_room(buffer, 1) = (uint8_t)value;
    buffer->size++;
}

typedef struct ch_wal_arena {
    struct ch_wal_arena_block *blocks;
    size_t total;
} ch_wal_arena_t;

/// Memory that stays put until reset; 16-byte aligned, not cleared.
void *ch_wal_arena_take(ch_wal_arena_t *arena, size_t size);
void ch_wal_arena_reset(ch_wal_arena_t *arena);
void ch_wal_arena_release(ch_wal_arena_t *arena);

#endif
