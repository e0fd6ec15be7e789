/* tans_decode.c - read entropy-coded residuals that may be anything.
 *
 * Order of work: the counts of the tokens, which must add up to the size of the table; the table from
 * the counts; the lengths of the streams against the bytes that are there; then the kernel, which
 * looks at its positions as it goes. Any raw bits give some distance.
 */
#include "column/tans.h"

#include "ch/coding.h"
#include "column/kernels.h"
#include "column/scratch.h"

/* The most zeros before the one of a number: spans, counts and runs are below 2^12. */
enum { GAMMA_ZEROS_MAX = 11 };

static ch_status_t
corrupt(const char *what)
{
    return ch_fail(CH_ERR_CORRUPT, "entropy-coded column: %s", what);
}

typedef struct bit_reader {
    const uint8_t *from;
    size_t at, end; /* bits; up to eight bytes behind the end can be loaded */
} bit_reader_t;

/* Elias gamma: zeros, a one, as many bits. 0 when there is none within the bytes. */
static unsigned
get_gamma(bit_reader_t *reader)
{
    uint64_t bits = ch_load_u64(reader->from + (reader->at >> 3)) >> (reader->at & 7);
    unsigned zeros =
        (unsigned)__builtin_ctzll(bits | UINT64_C(1) << (GAMMA_ZEROS_MAX + 1));
    if (zeros > GAMMA_ZEROS_MAX)
        return 0;
    reader->at += 2 * zeros + 1;
    if (reader->at > reader->end)
        return 0;
    return 1u << zeros | ((unsigned)(bits >> (zeros + 1)) & ((1u << zeros) - 1));
}

static void
set_symbol(ch_tans_decoder_t *decoder, unsigned symbol, unsigned token, unsigned s)
{
    unsigned bin = token >> 1, extra = ch_tans_extra(bin, s), head = ch_tans_head(bin, s);
    bool negative = token & 1;
    uint64_t low = (uint64_t)head << extra;
    decoder->symbols[symbol] =
        (ch_tans_symbol_t){.low = negative && extra ? 1 - low
                                  : negative        ? 0 - low
                                                    : low,
                           .sign = negative && extra ? ~UINT64_C(0) : 0,
                           .extra = extra};
    if (symbol < CH_TANS_VECTOR_SYMBOLS) {
        decoder->heads[symbol] = (uint8_t)(head | (negative ? 0x80u : 0u));
        decoder->extras[symbol] = (uint8_t)extra;
    }
    decoder->extra_max = extra > decoder->extra_max ? extra : decoder->extra_max;
}

/* Tokens from `low` on, span of them: how often each occurs among 2^L. */
static ch_status_t
get_counts(ch_tans_decoder_t *decoder, bit_reader_t *reader, unsigned low, unsigned s,
           uint16_t counts[CH_TANS_SYMBOLS_MAX])
{
    unsigned span = get_gamma(reader), limit = ch_tans_token_limit(s);
    if (span == 0 || low >= limit || span > limit - low)
        return corrupt("range of its tokens");
    unsigned table = 1u << decoder->log, sum = 0;
    decoder->symbol_count = decoder->extra_max = 0;
    for (unsigned token = low; token < low + span;) {
        unsigned number = get_gamma(reader), run = 1;
        if (number == 1)
            run = get_gamma(reader);
        if (number == 0 || run == 0 || run > low + span - token)
            return corrupt("counts of its tokens");
        if (number > 1) {
            sum += number - 1;
            if (sum > table || decoder->symbol_count == CH_TANS_SYMBOLS_MAX)
                return corrupt("counts of its tokens");
            counts[decoder->symbol_count] = (uint16_t)(number - 1);
            set_symbol(decoder, decoder->symbol_count++, token, s);
        }
        token += run;
    }
#ifndef CH_FAULT_TANS_SUM_UNCHECKED
    if (sum != table)
        return corrupt("counts of its tokens do not fill its table");
#endif
    return CH_OK;
}

/* Entry q of a symbol that has been met x times so far: it goes on with x and as many new bits as bring
 * that back into the table's range. */
static void
build_table(ch_tans_decoder_t *decoder, uint16_t counts[CH_TANS_SYMBOLS_MAX])
{
    uint8_t symbols[CH_TANS_TABLE_MAX];
    unsigned size = 1u << decoder->log;
    ch_tans_spread(counts, decoder->symbol_count, decoder->log, symbols);
    for (unsigned q = 0; q < size; q++) {
        uint32_t x = counts[symbols[q]]++;
        unsigned bits = decoder->log - (31u - (unsigned)__builtin_clz(x));
        decoder->entries[q] =
            ((x << bits) - size) << 16 | (uint32_t)symbols[q] << 8 | bits;
    }
}

static ch_status_t
get_streams(ch_tans_decoder_t *decoder, const uint8_t **at, const uint8_t *end)
{
    uint64_t a, b;
    *at = ch_varint_get(*at, end, &a);
    if (*at)
        *at = ch_varint_get(*at, end, &b);
    if (!*at)
        return corrupt("ends before its streams");
    if (a > (uint64_t)(end - *at) || b > (uint64_t)(end - *at) - a)
        return corrupt("ends in its streams");
    decoder->streams = *at;
    decoder->stream_bytes[0] = (size_t)a;
    decoder->stream_bytes[1] = (size_t)b;
    decoder->offsets = *at += a + b;
    decoder->offset_bytes = (size_t)(end - *at);
    return CH_OK;
}

static ch_status_t
get_table(ch_tans_decoder_t *decoder, const uint8_t **at, const uint8_t *end)
{
    uint16_t counts[CH_TANS_SYMBOLS_MAX];
    if (end - *at < CH_TANS_HEAD_BYTES)
        return corrupt("ends in its head");
    unsigned s = **at & CH_TANS_SUBDIVISION_MASK;
    decoder->log = **at >> CH_TANS_LOG_SHIFT;
    if (s > CH_TANS_SUBDIVISION_MAX || decoder->log < CH_TANS_LOG_MIN ||
        decoder->log > CH_TANS_LOG_MAX)
        return corrupt("size of its table");
    unsigned low = ch_load_u16(*at + 1);
    *at += CH_TANS_HEAD_BYTES;
    bit_reader_t reader = {.from = *at, .end = (size_t)(end - *at) * 8};
    ch_status_t status = get_counts(decoder, &reader, low, s, counts);
    if (status < 0)
        return status;
    *at += (reader.at + 7) / 8;
    build_table(decoder, counts);
    return CH_OK;
}

ch_status_t
ch_tans_decode(ch_column_scratch_t *scratch, const uint8_t **at, const uint8_t *end,
               uint64_t *u, size_t m)
{
    const ch_kernels_t *kernels = ch_kernels();
    ch_tans_decoder_t *decoder = &scratch->tans;
    size_t raw_bits = 0;
    ch_status_t status = get_table(decoder, at, end);
    if (status >= 0)
        status = get_streams(decoder, at, end);
    if (status < 0)
        return status;
    if (!kernels->tans_symbols(decoder, scratch->tans_symbols, m))
        return corrupt("streams and residuals do not match");
    if (!kernels->tans_distances(decoder, scratch->tans_symbols, u, m, &raw_bits))
        return corrupt("ends in its raw bits");
    *at += (raw_bits + 7) / 8;
    return CH_OK;
}
