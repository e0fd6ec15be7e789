/// Little-endian fixed-width integers, LEB128 varints and zigzag: how numbers are written on disk.
///
/// Decoding never reads past `end`: a varint reader returns NULL when the bytes run out or the
/// number does not fit.
#ifndef CH_CODING_H
#define CH_CODING_H

#include <stdint.h>
#include <string.h>

#define CH_VARINT_BYTES_MAX 10

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "fixed-width loads assume little-endian");

static inline uint16_t
ch_load_u16(const void *from)
{
    uint16_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

static inline uint32_t
ch_load_u32(const void *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

static inline uint64_t
ch_load_u64(const void *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

static inline int64_t
ch_load_i64(const void *from)
{
    return (int64_t)ch_load_u64(from);
}

static inline double
ch_load_f64(const void *from)
{
    double value;
    memcpy(&value, from, sizeof value);
    return value;
}

static inline void
ch_store_u16(void *to, uint16_t value)
{
    memcpy(to, &value, sizeof value);
}

static inline void
ch_store_u32(void *to, uint32_t value)
{
    memcpy(to, &value, sizeof value);
}

static inline void
ch_store_u64(void *to, uint64_t value)
{
    memcpy(to, &value, sizeof value);
}

static inline void
ch_store_i64(void *to, int64_t value)
{
    memcpy(to, &value, sizeof value);
}

static inline void
ch_store_f64(void *to, double value)
{
    memcpy(to, &value, sizeof value);
}

static inline uint64_t
ch_zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static inline int64_t
ch_unzigzag(uint64_t value)
{
    return (int64_t)((value >> 1) ^ (0 - (value & 1)));
}

/// Write a varint at `to` (room for CH_VARINT_BYTES_MAX); returns the byte after it.
uint8_t *ch_varint_put(uint8_t *to, uint64_t value);

/// Bytes that ch_varint_put would write.
unsigned ch_varint_size(uint64_t value);

/// Read a varint; returns the byte after it, or NULL (ran out, or more than 64 bits).
const uint8_t *ch_varint_get(const uint8_t *from, const uint8_t *end,
                             uint64_t *value_out);

/// The same, refusing values above `max`.
const uint8_t *ch_varint_get_max(const uint8_t *from, const uint8_t *end, uint64_t max,
                                 uint64_t *value_out);

#endif
