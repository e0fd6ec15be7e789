#include "ch/buffer.h"

#include <stdlib.h>

enum { BUFFER_BYTES_MIN = 1024 };

void
ch_buffer_release(ch_buffer_t *buffer)
{
    free(buffer->data);
    *buffer = (ch_buffer_t){0};
}

void
ch_buffer_clear(ch_buffer_t *buffer)
{
    buffer->size = 0;
    buffer->failed = false;
}

uint8_t *
ch_buffer_grow(ch_buffer_t *buffer, size_t more)
{
    if (buffer->failed)
        return NULL;
    size_t needed = buffer->size + more;
    size_t capacity = buffer->capacity ? buffer->capacity : BUFFER_BYTES_MIN;
    while (capacity < needed && capacity <= SIZE_MAX / 2)
        capacity *= 2;
    uint8_t *data =
        needed < more || capacity < needed ? NULL : realloc(buffer->data, capacity);
    if (!data) {
        buffer->failed = true;
        return NULL;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return data + buffer->size;
}
