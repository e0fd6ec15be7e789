/// A borrowed run of bytes; whoever hands one out says how long it stays valid.
#ifndef CH_BYTES_H
#define CH_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct ch_bytes {
    const uint8_t *data;
    size_t size;
} ch_bytes_t;

static inline ch_bytes_t
ch_bytes(const void *data, size_t size)
{
    return (ch_bytes_t){.data = (const uint8_t *)data, .size = size};
}

static inline ch_bytes_t
ch_bytes_text(const char *text)
{
    return ch_bytes(text, strlen(text));
}

static inline bool
ch_bytes_equal(ch_bytes_t a, ch_bytes_t b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/// Bytewise order, a prefix before what it begins; < 0, 0, > 0.
static inline int
ch_bytes_compare(ch_bytes_t a, ch_bytes_t b)
{
    size_t shared = a.size < b.size ? a.size : b.size;
    int order = shared ? memcmp(a.data, b.data, shared) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/// True when the bytes are well-formed UTF-8 (no surrogates, no overlong forms).
bool ch_bytes_is_utf8(ch_bytes_t bytes);

#endif
