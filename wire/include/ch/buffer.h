/// Growable bytes for encoders; running out of memory is an error, never an abort (the client
/// library is built on it).
///
/// Errors   sticky: after a failed growth `failed` stays true and appends do nothing, so callers
///          check once, at the end.
/// Threads  one at a time.
#ifndef CH_BUFFER_H
#define CH_BUFFER_H

#include "ch/bytes.h"

typedef struct ch_buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool failed;
} ch_buffer_t;

void ch_buffer_release(ch_buffer_t *buffer);

/// Forget the bytes and the failure, keep the memory.
void ch_buffer_clear(ch_buffer_t *buffer);

/// What ch_buffer_reserve does when the room is not there.
uint8_t *ch_buffer_grow(ch_buffer_t *buffer, size_t more);

/// Make room for `more` bytes at data + size; NULL (and failed) when there is no memory. Inline:
/// encoders ask once an item.
static inline uint8_t *
ch_buffer_reserve(ch_buffer_t *buffer, size_t more)
{
    if (!buffer->failed && more <= buffer->capacity - buffer->size && buffer->data)
        return buffer->data + buffer->size;
    return ch_buffer_grow(buffer, more);
}

static inline void
ch_buffer_append(ch_buffer_t *buffer, const void *data, size_t size)
{
    uint8_t *to = size ? ch_buffer_reserve(buffer, size) : NULL;
    if (!to)
        return;
    memcpy(to, data, size);
    buffer->size += size;
}

static inline ch_bytes_t
ch_buffer_bytes(const ch_buffer_t *buffer)
{
    return ch_bytes(buffer->data, buffer->size);
}

#endif
