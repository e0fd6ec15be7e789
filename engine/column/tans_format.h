/// Bytes of entropy-coded residuals, shared by encoder and decoder (docs/format/column.md, "TANS").
/// Changing a number here is a new format version.
///
/// Tokens   a residual's distance x from the base is token 2 * bin + (x < 0). Magnitudes below 4
///          have a bin each; above, every octave has 2^s bins. What the bin leaves open are `extra`
///          raw bits: |x| = (head << extra) | raw bits.
#ifndef CH_COLUMN_TANS_FORMAT_H
#define CH_COLUMN_TANS_FORMAT_H

#include <stdint.h>

enum {
    CH_TANS_SUBDIVISION_MASK = 0x03,
    CH_TANS_SUBDIVISION_MAX = 2, /* s: an octave has up to four bins */
    CH_TANS_LOG_SHIFT = 2,
    CH_TANS_LOG_MIN = 5, /* L: the table has 2^L entries */
    CH_TANS_LOG_MAX = 11,
    CH_TANS_TABLE_MAX = 1 << CH_TANS_LOG_MAX,
    CH_TANS_HEAD_BYTES = 3,    /* s and L, lowest token */
    CH_TANS_SYMBOLS_MAX = 256, /* tokens that occur in one column */
    CH_TANS_PLAIN_BINS = 4,
    CH_TANS_LANES = 8, /* states; residual i uses state i % 8 ... */
    CH_TANS_STREAMS = 2,
    CH_TANS_STREAM_LANES = 4, /* ... of which the first four are in stream A */
    CH_TANS_TOKENS = 2 * (CH_TANS_PLAIN_BINS + (62 << CH_TANS_SUBDIVISION_MAX)),
};

/// Tokens with subdivision s are below this.
static inline unsigned
ch_tans_token_limit(unsigned s)
{
    return 2 * (CH_TANS_PLAIN_BINS + (62u << s));
}

static inline unsigned
ch_tans_bin(uint64_t magnitude, unsigned s)
{
    if (magnitude < CH_TANS_PLAIN_BINS)
        return (unsigned)magnitude;
    unsigned octave = 63u - (unsigned)__builtin_clzll(magnitude);
    unsigned below = (unsigned)(magnitude >> (octave - s)) & ((1u << s) - 1);
    return CH_TANS_PLAIN_BINS + ((octave - 2) << s) + below;
}

static inline unsigned
ch_tans_extra(unsigned bin, unsigned s)
{
    return bin < CH_TANS_PLAIN_BINS ? 0 : ((bin - CH_TANS_PLAIN_BINS) >> s) + 2 - s;
}

static inline unsigned
ch_tans_head(unsigned bin, unsigned s)
{
    if (bin < CH_TANS_PLAIN_BINS)
        return bin;
    return 1u << s | ((bin - CH_TANS_PLAIN_BINS) & ((1u << s) - 1));
}

/// Which symbol each entry of the table stands for: a symbol's share, spread with a step that is odd
/// and so visits every entry once.
static inline void
ch_tans_spread(const uint16_t *counts, unsigned symbols, unsigned log, uint8_t *table)
{
    unsigned size = 1u << log, step = (size >> 1) + (size >> 3) + 3, at = 0;
    for (unsigned symbol = 0; symbol < symbols; symbol++) {
        for (unsigned i = 0; i < counts[symbol]; i++) {
            table[at] = (uint8_t)symbol;
            at = (at + step) & (size - 1);
        }
    }
}

#endif
