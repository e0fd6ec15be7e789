/// The loops behind every level's kernels for entropy-coded residuals (kernels.h): states to symbols, then
/// symbols and raw bits to distances. Private to kernels_*.c.
///
/// Speed    a state waits for a table look-up and its new bits; eight states wait together. They fill the
///          registers, which is why symbols and distances are two loops.
/// Bounds   positions are looked at once for eight residuals: four states take up to 44 bits of a stream,
///          eight residuals up to 504 raw bits, which stays within CH_COLUMN_PAD bytes.
#ifndef CH_COLUMN_TANS_LOOPS_H
#define CH_COLUMN_TANS_LOOPS_H

#include "column/kernels_loops.h"
#include "column/tans.h"

/* How wide raw bits are: none at all, or within eight bytes whatever their position, or wider. */
enum { TANS_NO_EXTRA, TANS_NARROW_EXTRA, TANS_WIDE_EXTRA, TANS_NARROW_BITS = 57 };

/* Positions are bits from the beginning of stream A, behind which stream B stands. */
typedef struct tans_stream {
    size_t at, end;
    uint32_t states[CH_TANS_STREAM_LANES];
} tans_stream_t;

CH_LOOP tans_stream_t
tans_stream_begin(const ch_tans_decoder_t *decoder, size_t first_byte, size_t bytes)
{
    tans_stream_t stream = {.at = first_byte * 8 +
                                  CH_TANS_STREAM_LANES * (size_t)decoder->log,
                            .end = (first_byte + bytes) * 8};
    uint64_t bits = ch_load_u64(decoder->streams + first_byte);
    for (unsigned lane = 0; lane < CH_TANS_STREAM_LANES; lane++) {
        stream.states[lane] = (uint32_t)bits & ((1u << decoder->log) - 1);
        bits >>= decoder->log;
    }
    return stream;
}

/* The symbols of four states, a byte each, and the states after them. */
CH_LOOP uint32_t
tans_step(const ch_tans_decoder_t *decoder, const uint8_t *from, tans_stream_t *stream)
{
    uint64_t bits = ch_load_u64(from + (stream->at >> 3)) >> (stream->at & 7);
    uint32_t symbols = 0, taken = 0;
    for (unsigned lane = 0; lane < CH_TANS_STREAM_LANES; lane++) {
        uint32_t entry = decoder->entries[stream->states[lane]];
        symbols |= (entry >> 8 & 0xff) << 8 * lane;
        stream->states[lane] =
            (entry >> 16) + (uint32_t)(bits & ((UINT64_C(1) << (entry & 63)) - 1));
        bits >>= entry & 63;
        taken += entry;
    }
    stream->at += taken & 0xff;
    return symbols;
}

/* The last group may be short; behind it every state is back where the encoder began, at 0, and both
 * streams are used up. */
CH_LOOP bool
tans_finish(const ch_tans_decoder_t *decoder, tans_stream_t streams[CH_TANS_STREAMS],
            uint8_t *symbols, size_t left)
{
    for (size_t i = 0; i < left; i++) {
        tans_stream_t *stream = &streams[i / CH_TANS_STREAM_LANES];
        uint32_t *state = &stream->states[i % CH_TANS_STREAM_LANES];
        if (stream->at > stream->end)
            return false;
        uint32_t entry = decoder->entries[*state];
        uint64_t bits = ch_load_u64(decoder->streams + (stream->at >> 3));
        bits = bits >> (stream->at & 7) & ((UINT64_C(1) << (entry & 63)) - 1);
        *state = (entry >> 16) + (uint32_t)bits;
        stream->at += entry & 63;
        symbols[i] = (uint8_t)(entry >> 8);
    }
    uint32_t open = 0;
    for (unsigned lane = 0; lane < CH_TANS_STREAM_LANES; lane++)
        open |= streams[0].states[lane] | streams[1].states[lane];
#ifdef CH_FAULT_TANS_STREAMS_UNCHECKED
    return true;
#endif
    return open == 0 && ((streams[0].at + 7) & ~(size_t)7) == streams[0].end &&
           ((streams[1].at + 7) & ~(size_t)7) == streams[1].end;
}

CH_LOOP bool
loop_tans_symbols(const ch_tans_decoder_t *decoder, uint8_t *symbols, size_t m)
{
    const uint8_t *from = decoder->streams, *end = symbols + m;
    tans_stream_t a = tans_stream_begin(decoder, 0, decoder->stream_bytes[0]);
    tans_stream_t b =
        tans_stream_begin(decoder, decoder->stream_bytes[0], decoder->stream_bytes[1]);
    for (; end - symbols >= CH_TANS_LANES; symbols += CH_TANS_LANES) {
        if (a.at > a.end || b.at > b.end)
            return false;
        ch_store_u32(symbols, tans_step(decoder, from, &a));
        ch_store_u32(symbols + CH_TANS_STREAM_LANES, tans_step(decoder, from, &b));
    }
    tans_stream_t streams[CH_TANS_STREAMS] = {a, b};
    return tans_finish(decoder, streams, symbols, (size_t)(end - symbols));
}

CH_LOOP uint64_t
tans_distance(const ch_tans_decoder_t *decoder, unsigned symbol, size_t *at, int width)
{
    const ch_tans_symbol_t *known = &decoder->symbols[symbol];
    if (width == TANS_NO_EXTRA)
        return known->low;
    const uint8_t *from = decoder->offsets + (*at >> 3);
    unsigned shift = (unsigned)(*at & 7), extra = (unsigned)known->extra;
    uint64_t bits = ch_load_u64(from) >> shift;
    if (width == TANS_WIDE_EXTRA && shift + extra > 64)
        bits |= (uint64_t)from[8] << (64 - shift);
    *at += extra;
    return known->low + ((bits & ((UINT64_C(1) << extra) - 1)) ^ known->sign);
}

CH_LOOP bool
tans_distances(const ch_tans_decoder_t *decoder, const uint8_t *symbols, uint64_t *u,
               size_t m, size_t *bits_out, int width)
{
    size_t at = *bits_out, i = 0, end = decoder->offset_bytes * 8;
    for (; i + CH_TANS_LANES <= m; i += CH_TANS_LANES) {
        if (at > end)
            return false;
        for (unsigned k = 0; k < CH_TANS_LANES; k++)
            u[i + k] = tans_distance(decoder, symbols[i + k], &at, width);
    }
    if (at > end)
        return false;
    for (; i < m; i++)
        u[i] = tans_distance(decoder, symbols[i], &at, width);
    *bits_out = at;
    return at <= end;
}

/* Distances of m symbols; *bits_out is where their raw bits begin, then where they end. */
CH_LOOP bool
loop_tans_distances(const ch_tans_decoder_t *decoder, const uint8_t *symbols, uint64_t *u,
                    size_t m, size_t *bits_out)
{
    if (decoder->extra_max == 0)
        return tans_distances(decoder, symbols, u, m, bits_out, TANS_NO_EXTRA);
    if (decoder->extra_max <= TANS_NARROW_BITS)
        return tans_distances(decoder, symbols, u, m, bits_out, TANS_NARROW_EXTRA);
    return tans_distances(decoder, symbols, u, m, bits_out, TANS_WIDE_EXTRA);
}

#endif
