/* fuzz_column.c - any bytes as int column, float column, chunk and directory entry.
 *
 * Input    u8 what (0 int, 1 float, 2 chunk) | u16 n | column        what 0 and 1
 *          u8 2 | directory entry | times | values                   what 2
 * Claims   no fault; what decodes is encoded again at both levels, decoded again, and the same.
 */
#include "ch/alloc.h"
#include "ch/assert.h"
#include "ch/coding.h"
#include "ch/limits.h"
#include "column/chunk.h"
#include "column/float_column.h"
#include "column/int_column.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SLOTS = CH_CHUNK_POINTS_MAX + CH_POINTS_PAD };

static const ch_column_level_t levels[] = {CH_COLUMN_FAST, CH_COLUMN_DENSE};
enum { LEVELS = sizeof levels / sizeof *levels };

static ch_column_scratch_t *scratch;
static int64_t decoded[SLOTS], again[SLOTS];

/* Bytes in a buffer of their size and the pad, so that reads beyond are seen. */
static uint8_t *
padded(ch_bytes_t bytes)
{
    uint8_t *copy = ch_alloc(bytes.size + CH_COLUMN_PAD);
    if (bytes.size)
        memcpy(copy, bytes.data, bytes.size);
    memset(copy + bytes.size, 0xaa, CH_COLUMN_PAD);
    return copy;
}

static void
recode_ints(ch_column_level_t level, size_t n)
{
    size_t used;
    uint8_t *to = ch_alloc(ch_int_column_bytes_max(n) + CH_COLUMN_PAD);
    size_t size = ch_int_column_encode(scratch, level, decoded, n, to);
    CH_ASSERT(size <= ch_int_column_bytes_max(n));
    memset(to + size, 0, CH_COLUMN_PAD);
    ch_status_t status =
        ch_int_column_decode(scratch, ch_bytes(to, size), n, again, &used);
    CH_ASSERT(status == CH_OK);
    CH_ASSERT(used == size);
    CH_ASSERT(memcmp(decoded, again, n * sizeof *decoded) == 0);
    ch_free(to);
}

static void
recode_floats(ch_column_level_t level, size_t n)
{
    size_t used;
    uint8_t *to = ch_alloc(ch_float_column_bytes_max(n) + CH_COLUMN_PAD);
    size_t size =
        ch_float_column_encode(scratch, level, (const double *)(void *)decoded, n, to);
    CH_ASSERT(size <= ch_float_column_bytes_max(n));
    memset(to + size, 0, CH_COLUMN_PAD);
    ch_status_t status = ch_float_column_decode(scratch, ch_bytes(to, size), n,
                                                (double *)(void *)again, &used);
    CH_ASSERT(status == CH_OK);
    CH_ASSERT(used == size);
    CH_ASSERT(memcmp(decoded, again, n * sizeof *decoded) == 0);
    ch_free(to);
}

static void
fuzz_column(bool floats, const uint8_t *data, size_t size)
{
    size_t used, n = ch_load_u16(data) % CH_CHUNK_POINTS_MAX + 1;
    uint8_t *column = padded(ch_bytes(data + 2, size - 2));
    ch_bytes_t from = ch_bytes(column, size - 2);
    ch_status_t status = floats ? ch_float_column_decode(scratch, from, n,
                                                         (double *)(void *)decoded, &used)
                                : ch_int_column_decode(scratch, from, n, decoded, &used);
    ch_free(column);
    if (status < 0)
        return;
    CH_ASSERT(used <= from.size);
    for (size_t i = 0; i < LEVELS; i++) {
        if (floats)
            recode_floats(levels[i], n);
        else
            recode_ints(levels[i], n);
    }
}

static void
expect_equal(const ch_points_t *a, const ch_points_t *b)
{
    CH_ASSERT(a->count == b->count);
    for (size_t i = 0; i < a->count; i++) {
        CH_ASSERT(a->times[i] == b->times[i]);
        CH_ASSERT(ch_value_equal(ch_points_value(a, i), ch_points_value(b, i)));
    }
}

static void
recode_points(ch_column_level_t level, const ch_points_t *points)
{
    ch_chunk_t chunk, entry;
    ch_points_t back = {0};
    uint8_t bytes[160];
    uint32_t ref;
    size_t max = ch_chunk_bytes_max(points, 0, points->count);
    uint8_t *times = ch_calloc(1, max + CH_COLUMN_PAD);
    uint8_t *values = ch_calloc(1, max + CH_COLUMN_PAD);
    ch_chunk_encode(scratch, level, points, 0, points->count, times, values, &chunk);
    CH_ASSERT(chunk.values_bytes <= max);
    const uint8_t *end = ch_chunk_put(bytes, &chunk, 0, 0);
    CH_ASSERT(ch_chunk_get(bytes, end, 0, &entry, &ref) == end);
    ch_status_t status =
        ch_chunk_decode(scratch, &entry, ch_bytes(times, chunk.times_bytes),
                        ch_bytes(values, chunk.values_bytes), &back);
    CH_ASSERT(status == CH_OK);
    expect_equal(points, &back);
    ch_points_release(&back);
    ch_free(times);
    ch_free(values);
}

static void
fuzz_chunk(const uint8_t *data, size_t size)
{
    ch_chunk_t chunk;
    uint32_t ref;
    const uint8_t *end = data + size, *at = ch_chunk_get(data, end, 0, &chunk, &ref);
    if (!at || chunk.times_bytes > (size_t)(end - at))
        return;
    ch_bytes_t times = ch_bytes(at, chunk.times_bytes);
    ch_bytes_t values = ch_bytes(at + times.size, (size_t)(end - at) - times.size);
    uint8_t *times_copy = padded(times), *values_copy = padded(values);
    ch_points_t points = {0};
    ch_status_t status =
        ch_chunk_decode(scratch, &chunk, ch_bytes(times_copy, times.size),
                        ch_bytes(values_copy, values.size), &points);
    for (size_t i = 0; i < LEVELS && status >= 0; i++)
        recode_points(levels[i], &points);
    if (status < 0)
        CH_ASSERT(points.count == 0);
    ch_points_release(&points);
    ch_free(times_copy);
    ch_free(values_copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!scratch)
        scratch = ch_column_scratch_new();
    if (size >= 3 && data[0] % 3 == 0)
        fuzz_column(false, data + 1, size - 1);
    else if (size >= 3 && data[0] % 3 == 1)
        fuzz_column(true, data + 1, size - 1);
    else if (size >= 1 && data[0] % 3 == 2)
        fuzz_chunk(data + 1, size - 1);
    return 0;
}
