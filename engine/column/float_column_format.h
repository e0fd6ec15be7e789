/// Bytes of float columns, shared by encoder and decoder (docs/format/column.md, "Float column").
/// Changing a number here is a new format version.
#ifndef CH_COLUMN_FLOAT_COLUMN_FORMAT_H
#define CH_COLUMN_FLOAT_COLUMN_FORMAT_H

#include <stdint.h>

enum {
    CH_FLOAT_EXPONENT_MASK = 0x1f,
    CH_FLOAT_EXPONENT_MAX = 18,
    CH_FLOAT_MODE_SHIFT = 5,
    CH_FLOAT_MODE_MASK = 0x03,
    CH_FLOAT_DECIMAL = 0,    /* d / 10^e, plus corrections */
    CH_FLOAT_BITS = 1,       /* sortable bits */
    CH_FLOAT_DICTIONARY = 2, /* sorted sortable bits, and ranks among them */
    CH_FLOAT_HAS_CORRECTIONS = 0x80,
};

/// 10^e for e <= CH_FLOAT_EXPONENT_MAX: all are exact doubles.
double ch_float_power(unsigned exponent);

/// Bits of a double to an integer of the same order, and back: its own inverse.
static inline uint64_t
ch_float_sortable(uint64_t bits)
{
    return bits ^ ((uint64_t)((int64_t)bits >> 63) >> 1);
}

#endif
