/* tans_encode.c - residuals of uneven frequency, in as few bits as that allows.
 *
 * Problem  Bit-packing gives every residual the same width, however often it occurs: small walks, where
 *          0 and ±1 make up most of a column, take two bits and are worth 1.2.
 * Idea     A residual becomes a token (its sign and magnitude, large ones only roughly) and the bits
 *          that the token leaves open. Tokens are coded with a state machine (tANS) whose table gives
 *          each token a share that follows its frequency; the raw bits stand beside.
 * Lanes    Eight states take turns, four to a stream, so that a decoder has eight chains to work on
 *          and refills once for four. The encoder runs backwards: the state it ends with is the one
 *          that a decoder begins with.
 * Example  -1 0 0 1 0 0 0 -1 ...: tokens 3 0 0 2 0 0 0 3, of which 0 takes half a bit.
 */
#include "column/tans.h"

#include "ch/assert.h"
#include "ch/coding.h"
#include "column/estimate.h"
#include "column/scratch.h"

enum {
    SYMBOLS_MAX = 200,       /* with more, the table of counts eats the gain */
    LOG_FRACTION = 10,       /* logarithms have as many bits behind the point */
    SHORT = 768,             /* residuals that are worth a table of 2^8 ... */
    LONG = 6000,             /* ... and of 2^9 */
    HEADER_BYTES_MAX = 1536, /* 504 tokens, most of them in runs of absent ones */
    FIXED_BITS = 80,         /* of the estimate: head, lengths, states */
    ABSENT_BITS_MAX = 40,
};

/* ---- estimate ---- */

/* log2(value) in units of 2^-LOG_FRACTION: the same on every machine, which libm does not promise. */
static uint32_t
log2_scaled(uint32_t value)
{
    unsigned whole = ch_bit_length(value) - 1;
    uint64_t mantissa = (uint64_t)value << (31 - whole);
    uint32_t log = whole;
    for (int i = 0; i < LOG_FRACTION; i++) {
        mantissa = mantissa * mantissa >> 31;
        unsigned carry = (unsigned)(mantissa >> 32);
        mantissa >>= carry;
        log = log << 1 | carry;
    }
    return log;
}

static unsigned
token_of(int64_t residual, int64_t base, unsigned s, uint64_t *magnitude_out)
{
    uint64_t distance = (uint64_t)residual - (uint64_t)base, sign = 0 - (distance >> 63);
    *magnitude_out = (distance ^ sign) - sign;
    return 2 * ch_tans_bin(*magnitude_out, s) + (unsigned)(sign & 1);
}

/* Two histograms in turn, as for widths. Returns the tokens in use: all are below. */
static unsigned
count_tokens(const int64_t *r, size_t m, int64_t base, unsigned s,
             uint32_t counts[CH_TANS_TOKENS])
{
    uint32_t odd[CH_TANS_TOKENS] = {0};
    unsigned highest = 0;
    memset(counts, 0, CH_TANS_TOKENS * sizeof *counts);
    for (size_t i = 0; i < m; i++) {
        uint64_t magnitude;
        unsigned token = token_of(r[i], base, s, &magnitude);
        (i & 1 ? odd : counts)[token]++;
        highest = token > highest ? token : highest;
    }
    for (unsigned token = 0; token <= highest; token++)
        counts[token] += odd[token];
    return highest + 1;
}

/* The histogram with half as many bins an octave; returns its limit. */
static unsigned
coarsen(uint32_t counts[CH_TANS_TOKENS], unsigned limit, unsigned s)
{
    const unsigned plain = 2 * CH_TANS_PLAIN_BINS;
    unsigned coarse_limit = limit;
    for (unsigned token = plain; token < limit; token++) {
        unsigned bin = (token - plain) >> 1, octave = bin >> s,
                 below = bin & ((1u << s) - 1);
        unsigned coarse = (octave << (s - 1)) + (below >> 1);
        unsigned to = plain + 2 * coarse + (token & 1);
        uint32_t count = counts[token];
        counts[token] = 0;
        counts[to] += count;
        coarse_limit = (to | 1) + 1;
    }
    return coarse_limit;
}

/* Bits of m residuals with these tokens: entropy, raw bits, the table of counts, and what rounding the
 * counts to shares costs. */
static uint64_t
estimate(const uint32_t counts[CH_TANS_TOKENS], unsigned limit, unsigned s, size_t m,
         unsigned *symbols_out)
{
    uint32_t log_all = log2_scaled((uint32_t)m);
    uint64_t scaled = 0, raw = 0, table = 0;
    unsigned symbols = 0, absent = 0;
    for (unsigned token = 0; token < limit; token++) {
        uint32_t count = counts[token];
        if (!count) {
            absent++;
            continue;
        }
        symbols++;
        scaled += (uint64_t)count * (log_all - log2_scaled(count));
        raw += (uint64_t)count * ch_tans_extra(token >> 1, s);
        table += 2 * (ch_bit_length(1 + count * UINT64_C(512) / m) - 1) + 1;
    }
    *symbols_out = symbols;
    absent = absent < ABSENT_BITS_MAX ? absent : ABSENT_BITS_MAX;
    return (scaled >> LOG_FRACTION) + raw + table + absent + m / 83 + FIXED_BITS;
}

static unsigned
table_log(size_t m, unsigned symbols)
{
    unsigned log = m <= SHORT ? 8 : m <= LONG ? 9 : 10;
    while (1u << log < 8 * symbols && log < CH_TANS_LOG_MAX)
        log++;
    return log;
}

bool
ch_tans_plan(const int64_t *residuals, size_t m, int64_t base, ch_tans_plan_t *plan_out)
{
    uint32_t counts[CH_TANS_TOKENS];
    unsigned s = CH_TANS_SUBDIVISION_MAX, symbols;
    unsigned limit = count_tokens(residuals, m, base, s, counts);
    ch_tans_plan_t plan = {.bits = UINT64_MAX};
    for (;; limit = coarsen(counts, limit, s--)) {
        uint64_t bits = estimate(counts, limit, s, m, &symbols);
        if (symbols >= 2 && symbols <= SYMBOLS_MAX && bits < plan.bits)
            plan = (ch_tans_plan_t){
                .subdivision = s, .log = table_log(m, symbols), .bits = bits};
        if (s == 0)
            break;
    }
    if (plan.bits == UINT64_MAX)
        return false;
    *plan_out = plan;
    return true;
}

/* ---- tables ---- */

typedef struct bit_writer {
    uint8_t *to;
    uint64_t open;
    unsigned filled; /* below 8 between calls */
} bit_writer_t;

/* bits < 2^width, width <= 56. Writes up to 8 bytes at `to`. */
static void
put_bits(bit_writer_t *writer, uint64_t bits, unsigned width)
{
    writer->open |= bits << writer->filled;
    writer->filled += width;
    ch_store_u64(writer->to, writer->open);
    writer->to += writer->filled >> 3;
    writer->open >>= writer->filled & ~7u;
    writer->filled &= 7;
}

/* Returns the byte behind the last bit. */
static uint8_t *
end_bits(bit_writer_t *writer)
{
    return writer->to + (writer->filled ? 1 : 0);
}

static void
put_gamma(bit_writer_t *writer, unsigned number)
{
    unsigned below = ch_bit_length(number) - 1;
    put_bits(writer, UINT64_C(1) << below, below + 1);
    put_bits(writer, number & ((1u << below) - 1), below);
}

/* What one column's tokens come to. */
typedef struct coder {
    unsigned log, symbols;
    unsigned low, high; /* tokens in use lie in [low, high] */
    uint32_t counts[CH_TANS_TOKENS];
    uint16_t shares[SYMBOLS_MAX]; /* of 2^log */
    uint8_t symbol_of[CH_TANS_TOKENS];
    uint8_t extra[SYMBOLS_MAX];
    /* Encoding in state X (2^log <= X < 2^(log+1)): (X + shed) >> 16 bits go out, the rest of X plus
     * `first` is where the next state stands in `next`. */
    uint32_t shed[SYMBOLS_MAX];
    int32_t first[SYMBOLS_MAX];
    uint16_t next[CH_TANS_TABLE_MAX];
} coder_t;

/* The symbol whose share is best made smaller (by < 0) or larger: least loss, or greatest gain, of bits;
 * one more or less of `share` costs about count / (share ± 1/2). */
static unsigned
best_to_change(const coder_t *coder, const uint32_t *frequencies, int by)
{
    unsigned best = coder->symbols;
    uint64_t best_weight = 0, best_share = 1;
    for (unsigned i = 0; i < coder->symbols; i++) {
        uint64_t weight = frequencies[i];
        if (by < 0 && coder->shares[i] == 1)
            continue;
        uint64_t share = by < 0 ? 2u * coder->shares[i] - 1 : 2u * coder->shares[i] + 1;
        bool better = by < 0 ? weight * best_share < best_weight * share
                             : weight * best_share > best_weight * share;
        if (best == coder->symbols || better) {
            best = i;
            best_weight = weight;
            best_share = share;
        }
    }
    CH_ASSERT(best < coder->symbols);
    return best;
}

/* Frequencies to shares that add up to the table's size, none of them 0. */
static void
set_shares(coder_t *coder, const uint32_t *frequencies, size_t m)
{
    unsigned size = 1u << coder->log, sum = 0;
    for (unsigned i = 0; i < coder->symbols; i++) {
        uint64_t share = ((uint64_t)frequencies[i] * size * 2 / m + 1) / 2;
        coder->shares[i] = (uint16_t)(share ? share : 1);
        sum += coder->shares[i];
    }
    for (; sum > size; sum--)
        coder->shares[best_to_change(coder, frequencies, -1)]--;
    for (; sum < size; sum++)
        coder->shares[best_to_change(coder, frequencies, +1)]++;
}

static void
build_coder(coder_t *coder)
{
    uint8_t symbols[CH_TANS_TABLE_MAX] = {0};
    uint16_t places[SYMBOLS_MAX] = {0};
    unsigned size = 1u << coder->log, before = 0;
    for (unsigned i = 0; i < coder->symbols; i++) {
        unsigned share = coder->shares[i];
        unsigned bits =
            share == 1 ? coder->log : coder->log + 1 - ch_bit_length(share - 1);
        places[i] = (uint16_t)before;
        coder->shed[i] = (bits << 16) - (share << bits);
        coder->first[i] = (int32_t)before - (int32_t)share;
        before += share;
    }
    ch_tans_spread(coder->shares, coder->symbols, coder->log, symbols);
    for (unsigned q = 0; q < size; q++)
        coder->next[places[symbols[q]]++] = (uint16_t)(size + q);
}

/* Head and counts; returns the byte behind them. */
static uint8_t *
put_table(const coder_t *coder, unsigned s, uint8_t *to)
{
    *to++ = (uint8_t)(s | coder->log << CH_TANS_LOG_SHIFT);
    ch_store_u16(to, (uint16_t)coder->low);
    bit_writer_t writer = {.to = to + 2};
    put_gamma(&writer, coder->high - coder->low + 1);
    for (unsigned token = coder->low; token <= coder->high; token++) {
        if (coder->counts[token]) {
            put_gamma(&writer, coder->shares[coder->symbol_of[token]] + 1u);
            continue;
        }
        unsigned run = 1;
        for (; !coder->counts[token + 1]; token++)
            run++;
        put_gamma(&writer, 1);
        put_gamma(&writer, run);
    }
    return end_bits(&writer);
}

/* ---- residuals ---- */

/* Tokens to scratch->tans_tokens, raw bits to scratch->words; then numbers for the tokens in use. Returns
 * the raw bits of all. */
static uint64_t
take_tokens(ch_column_scratch_t *scratch, coder_t *coder, const int64_t *r, size_t m,
            int64_t base, unsigned s)
{
    uint32_t frequencies[SYMBOLS_MAX];
    uint64_t raw_bits = 0;
    memset(coder->counts, 0, sizeof coder->counts);
    for (size_t i = 0; i < m; i++) {
        uint64_t magnitude;
        unsigned token = token_of(r[i], base, s, &magnitude);
        scratch->tans_tokens[i] = (uint16_t)token;
        scratch->words[i] = magnitude;
        coder->counts[token]++;
    }
    coder->low = CH_TANS_TOKENS;
    coder->symbols = coder->high = 0;
    for (unsigned token = 0; token < ch_tans_token_limit(s); token++) {
        if (!coder->counts[token])
            continue;
        CH_ASSERT(coder->symbols < SYMBOLS_MAX);
        unsigned symbol = coder->symbols++;
        coder->low = token < coder->low ? token : coder->low;
        coder->high = token;
        coder->symbol_of[token] = (uint8_t)symbol;
        coder->extra[symbol] = (uint8_t)ch_tans_extra(token >> 1, s);
        frequencies[symbol] = coder->counts[token];
        raw_bits += (uint64_t)coder->extra[symbol] * frequencies[symbol];
    }
    set_shares(coder, frequencies, m);
    return raw_bits;
}

/* Run the states backwards: which bits each residual's step sheds goes to scratch->tans_steps, as bits <<
 * 4 | their number; its symbol takes the place of its token. Sums up the bits of both streams. */
static void
run_states(ch_column_scratch_t *scratch, const coder_t *coder, size_t m,
           uint32_t states[CH_TANS_LANES], size_t stream_bits[CH_TANS_STREAMS])
{
    stream_bits[0] = stream_bits[1] = CH_TANS_STREAM_LANES * (size_t)coder->log;
    for (unsigned lane = 0; lane < CH_TANS_LANES; lane++)
        states[lane] = 1u << coder->log;
    for (size_t i = m; i-- > 0;) {
        unsigned lane = i % CH_TANS_LANES;
        unsigned symbol = coder->symbol_of[scratch->tans_tokens[i]];
        uint32_t state = states[lane], bits = (state + coder->shed[symbol]) >> 16;
        scratch->tans_tokens[i] = (uint16_t)symbol;
        scratch->tans_steps[i] = (uint16_t)((state & ((1u << bits) - 1)) << 4 | bits);
        stream_bits[lane / CH_TANS_STREAM_LANES] += bits;
        states[lane] = coder->next[(int32_t)(state >> bits) + coder->first[symbol]];
    }
}

/* Stream `which` to `to`, which has room for 8 bytes more. */
static void
put_stream(const ch_column_scratch_t *scratch, const coder_t *coder, size_t m,
           const uint32_t states[CH_TANS_LANES], unsigned which, uint8_t *to)
{
    bit_writer_t writer = {.to = to};
    unsigned lane = which * CH_TANS_STREAM_LANES;
    for (unsigned i = 0; i < CH_TANS_STREAM_LANES; i++)
        put_bits(&writer, states[lane + i] - (1u << coder->log), coder->log);
    for (size_t group = lane; group < m; group += CH_TANS_LANES) {
        size_t end = m - group < CH_TANS_STREAM_LANES ? m : group + CH_TANS_STREAM_LANES;
        for (size_t i = group; i < end; i++)
            put_bits(&writer, scratch->tans_steps[i] >> 4, scratch->tans_steps[i] & 15);
    }
}

static void
put_offsets(const ch_column_scratch_t *scratch, const coder_t *coder, size_t m,
            uint8_t *to)
{
    bit_writer_t writer = {.to = to};
    for (size_t i = 0; i < m; i++) {
        unsigned extra = coder->extra[scratch->tans_tokens[i]];
        uint64_t bits = scratch->words[i] & ((UINT64_C(1) << extra) - 1);
        if (extra > 32) {
            put_bits(&writer, bits & UINT32_MAX, 32);
            bits >>= 32;
            extra -= 32;
        }
        put_bits(&writer, bits, extra);
    }
}

size_t
ch_tans_encode(ch_column_scratch_t *scratch, const int64_t *residuals, size_t m,
               int64_t base, const ch_tans_plan_t *plan, size_t bytes_max, uint8_t *to)
{
    coder_t coder = {.log = plan->log};
    uint8_t header[HEADER_BYTES_MAX], *end = header, *start = to;
    uint32_t states[CH_TANS_LANES];
    size_t bits[CH_TANS_STREAMS];
    CH_ASSERT(m > 0);
    uint64_t raw = take_tokens(scratch, &coder, residuals, m, base, plan->subdivision);
    build_coder(&coder);
    run_states(scratch, &coder, m, states, bits);
    end = put_table(&coder, plan->subdivision, end);
    for (unsigned i = 0; i < CH_TANS_STREAMS; i++)
        end = ch_varint_put(end, (bits[i] + 7) / 8);
    size_t head_bytes = (size_t)(end - header), raw_bytes = (size_t)(raw + 7) / 8;
    size_t bytes = head_bytes + (bits[0] + 7) / 8 + (bits[1] + 7) / 8 + raw_bytes;
    if (bytes >= bytes_max)
        return 0;
    memcpy(to, header, head_bytes);
    to += head_bytes;
    uint8_t *work = (uint8_t *)scratch->high; /* writers write beyond their ends */
    for (unsigned i = 0; i < CH_TANS_STREAMS; i++) {
        size_t stream_bytes = (bits[i] + 7) / 8;
        put_stream(scratch, &coder, m, states, i, work);
        memcpy(to, work, stream_bytes);
        to += stream_bytes;
    }
    put_offsets(scratch, &coder, m, work);
    memcpy(to, work, raw_bytes);
    return (size_t)(to + raw_bytes - start);
}
