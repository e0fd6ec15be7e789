/* int_column_decode.c - read an int64 column that may be anything.
 *
 * Order of work: the header and every length are checked against the bytes that are there before a
 * word is unpacked; then unpack, patch, undo the map (factor, base, zigzag), undo the predictor. Values
 * need no check: arithmetic is modulo 2^64, so any words give some int64.
 */
#include "column/int_column.h"

#include "column/int_column_format.h"
#include "column/kernels.h"
#include "column/scratch.h"
#include "ch/assert.h"
#include "ch/coding.h"

typedef struct header {
    unsigned kind, predictor;
    bool zigzag;
    int64_t first;
    uint64_t factor;
    uint64_t extra; /* y[1] of DELTA2, slope of LINE */
    uint64_t base;
    size_t residuals;
} header_t;

typedef struct patches {
    size_t count, gap_count;
    unsigned high_width;
    const uint8_t *gaps, *high;
} patches_t;

static size_t
packed_bytes(size_t n, unsigned width)
{
    return (n * width + 7) / 8;
}

static ch_status_t
corrupt(const char *what)
{
    return ch_fail(CH_ERR_CORRUPT, "int column: %s", what);
}

/* The varints after the head byte; NULL when one of them ends early. */
static const uint8_t *
get_numbers(const uint8_t *at, const uint8_t *end, unsigned head, header_t *header)
{
    uint64_t number;
    if (head & CH_INT_HAS_FACTOR) {
        at = ch_varint_get(at, end, &header->factor);
        if (!at)
            return NULL;
    }
    if (header->predictor >= CH_INT_DELTA2) {
        at = ch_varint_get(at, end, &number);
        if (!at)
            return NULL;
        header->extra =
            header->predictor == CH_INT_DELTA2 ? (uint64_t)ch_unzigzag(number) : number;
    }
    at = ch_varint_get(at, end, &number);
    if (at)
        header->base = (uint64_t)ch_unzigzag(number);
    return at;
}

/* Sets *at to the payload; with n == 1 to the end of the column. */
static ch_status_t
get_header(const uint8_t **at, const uint8_t *end, size_t n, header_t *header)
{
    if (*at >= end)
        return corrupt("no bytes");
    unsigned head = *(*at)++;
    header->kind = head & CH_INT_KIND_MASK;
    header->predictor = head >> CH_INT_PREDICTOR_SHIFT & CH_INT_PREDICTOR_MASK;
    header->zigzag = head & CH_INT_ZIGZAG;
    header->factor = 1;
    if (head & CH_INT_RESERVED || header->predictor >= CH_INT_PREDICTORS ||
        header->kind > CH_INT_KIND_TANS ||
        (header->kind == CH_INT_KIND_TANS && header->zigzag))
        return corrupt("reserved bits in its head byte");
    uint64_t first;
    *at = ch_varint_get(*at, end, &first);
    if (!*at)
        return corrupt("ends in its first value");
    header->first = ch_unzigzag(first);
    if (n == 1)
        return CH_OK;
    *at = get_numbers(*at, end, head, header);
    if (!*at)
        return corrupt("ends in its header");
    if (head & CH_INT_HAS_FACTOR && header->factor < 2)
        return corrupt("factor below 2");
    header->residuals = header->predictor == CH_INT_DELTA2 ? n - 2 : n - 1;
    if (header->residuals == 0)
        return corrupt("second differences of two values");
    return CH_OK;
}

/* What stands between the widths and the words of PATCH. */
static ch_status_t
get_patches(const uint8_t **at, const uint8_t *end, size_t residuals, unsigned width,
            patches_t *patches)
{
    if (*at >= end)
        return corrupt("ends in its widths");
    patches->high_width = *(*at)++;
    if (patches->high_width < 1 || width + patches->high_width > 64)
        return corrupt("width of the high parts");
    uint64_t count, gap_count;
    *at = ch_varint_get_max(*at, end, residuals, &count);
    if (*at)
        *at = ch_varint_get(*at, end, &gap_count);
    if (!*at || gap_count > (uint64_t)(end - *at))
        return corrupt("patch counts");
    patches->count = (size_t)count;
    patches->gap_count = (size_t)gap_count;
    patches->gaps = *at;
    *at += gap_count;
    size_t bytes = packed_bytes(patches->count, patches->high_width);
    if (bytes > (size_t)(end - *at))
        return corrupt("ends in its high parts");
    patches->high = *at;
    *at += bytes;
    return CH_OK;
}

static ch_status_t
apply_patches(ch_column_scratch_t *scratch, const patches_t *patches, unsigned width,
              uint64_t *u, size_t residuals)
{
    size_t at = 0, used = 0;
    ch_kernels()->unpack(patches->high, patches->high_width, scratch->high,
                         patches->count);
    for (size_t i = 0; i < patches->gap_count; i++) {
        at += patches->gaps[i];
        if (patches->gaps[i] == CH_INT_GAP_SKIP)
            continue;
        if (at >= residuals || used >= patches->count)
            return corrupt("patch outside the column");
        u[at] |= scratch->high[used++] << width;
    }
    return used == patches->count ? CH_OK : corrupt("fewer gaps than patches");
}

/* Constant residuals: constant columns and regular clocks are written straight away. The others get
 * residuals, as the map leaves them elsewhere. */
static void
fill(const header_t *header, uint64_t *u)
{
    uint64_t residual = header->factor * header->base;
    uint64_t value = header->predictor <= CH_INT_DELTA ? (uint64_t)header->first : 0;
    uint64_t step = header->predictor == CH_INT_DELTA ? residual : 0;
    value += residual;
    for (size_t i = 0; i < header->residuals; i++, value += step)
        u[i] = value;
}

/* Words to residuals to values; slot 1 of a DELTA2 column is not among the residuals. */
static void
undo_predictor(const header_t *header, uint64_t *u, int64_t *x_out)
{
    const ch_kernels_t *kernels = ch_kernels();
    uint64_t first = (uint64_t)header->first;
    switch (header->predictor) {
    case CH_INT_FOR:
        kernels->map(u, header->residuals, first, 1, false);
        break;
    case CH_INT_DELTA:
        kernels->prefix_sum(u, header->residuals, first);
        break;
    case CH_INT_DELTA2: {
        uint64_t difference = header->extra * header->factor;
        x_out[1] = (int64_t)(first + difference);
        kernels->prefix_sum(u, header->residuals, difference);
        kernels->prefix_sum(u, header->residuals, first + difference);
        break;
    }
    default:
        kernels->add_line(u, header->residuals, first, header->factor, header->extra);
        break;
    }
}

/* *constant_out: there are no words, all are 0, and u is not written. */
static ch_status_t
get_words(ch_column_scratch_t *scratch, const uint8_t **at, const uint8_t *end,
          const header_t *header, uint64_t *u, bool *constant_out)
{
    patches_t patches = {.count = 0};
    if (header->kind == CH_INT_KIND_TANS)
        return ch_tans_decode(scratch, at, end, u, header->residuals);
    if (*at >= end)
        return corrupt("ends before its width");
    unsigned width = *(*at)++;
    if (width > 64)
        return corrupt("width above 64");
    if (header->kind == CH_INT_KIND_PATCH) {
        ch_status_t status = get_patches(at, end, header->residuals, width, &patches);
        if (status < 0)
            return status;
    }
    size_t bytes = packed_bytes(header->residuals, width);
#ifndef CH_FAULT_COLUMN_LENGTH_UNCHECKED
    if (bytes > (size_t)(end - *at))
        return corrupt("ends in its words");
#endif
    *constant_out = width == 0 && header->kind == CH_INT_KIND_PACK;
    if (*constant_out)
        return CH_OK;
    if (width)
        ch_kernels()->unpack(*at, width, u, header->residuals);
    else
        memset(u, 0, header->residuals * sizeof *u);
    *at += bytes;
    if (header->kind == CH_INT_KIND_PACK)
        return CH_OK;
    return apply_patches(scratch, &patches, width, u, header->residuals);
}

/* All kinds. A constant keeps its map: word 0, whether zigzag or not, is the base. */
static ch_status_t
get_residuals(ch_column_scratch_t *scratch, const uint8_t **at, const uint8_t *end,
              const header_t *header, size_t n, int64_t *x_out)
{
    uint64_t *u = (uint64_t *)x_out + (n - header->residuals);
    bool constant = false;
    ch_status_t status = get_words(scratch, at, end, header, u, &constant);
    if (status < 0)
        return status;
    if (constant)
        fill(header, u);
    else
        ch_kernels()->map(u, header->residuals, header->base, header->factor,
                          header->zigzag);
    if (!constant || header->predictor >= CH_INT_DELTA2)
        undo_predictor(header, u, x_out);
    x_out[0] = header->first;
    return CH_OK;
}

ch_status_t
ch_int_column_decode(ch_column_scratch_t *scratch, ch_bytes_t from, size_t n,
                     int64_t *x_out, size_t *used_out)
{
    CH_ASSERT(n >= 1);
    CH_ASSERT(n <= CH_CHUNK_POINTS_MAX);
    const uint8_t *at = from.data, *end = from.data + from.size;
    header_t header = {.factor = 1};
    ch_status_t status = get_header(&at, end, n, &header);
    if (status < 0)
        return status;
    if (n == 1)
        x_out[0] = header.first;
    else
        status = get_residuals(scratch, &at, end, &header, n, x_out);
    if (status >= 0)
        *used_out = (size_t)(at - from.data);
    return status;
}
