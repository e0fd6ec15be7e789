#include "ch/coding.h"

#include <stddef.h>

uint8_t *
ch_varint_put(uint8_t *to, uint64_t value)
{
    while (value >= 0x80) {
        *to++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *to++ = (uint8_t)value;
    return to;
}

unsigned
ch_varint_size(uint64_t value)
{
    unsigned size = 1;
    while (value >= 0x80) {
        value >>= 7;
        size++;
    }
    return size;
}

const uint8_t *
ch_varint_get(const uint8_t *from, const uint8_t *end, uint64_t *value_out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && from < end; shift += 7) {
        uint8_t byte = *from++;
        if (shift == 63 && byte > 1)
            return NULL; /* more than 64 bits */
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value_out = value;
            return from;
        }
    }
    return NULL;
}

const uint8_t *
ch_varint_get_max(const uint8_t *from, const uint8_t *end, uint64_t max,
                  uint64_t *value_out)
{
    uint64_t value = 0;
    const uint8_t *next = ch_varint_get(from, end, &value);
    if (!next || value > max)
        return NULL;
    *value_out = value;
    return next;
}
