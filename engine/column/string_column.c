/* string_column.c - strings of a chunk: lengths | u8 form | varint size | bytes. */
#include "column/string_column.h"

#include <snappy-c.h>

#include "column/int_column.h"
#include "column/scratch.h"
#include "ch/alloc.h"
#include "ch/assert.h"
#include "ch/coding.h"

enum {
    FORM_RAW = 0,
    FORM_SNAPPY = 1,
    SNAPPY_RATIO_MAX = 32, /* its densest element copies 64 bytes and takes 3 */
};

size_t
ch_string_column_bytes_max(size_t n, size_t bytes)
{
    return ch_int_column_bytes_max(n) + 1 + CH_VARINT_BYTES_MAX +
           snappy_max_compressed_length(bytes);
}

/* Lengths to scratch->values, bytes to scratch->bytes. Returns the number of strings. */
static size_t
gather(ch_column_scratch_t *scratch, const ch_value_t *list, size_t count,
       size_t *total_out)
{
    size_t n = 0, total = 0;
    for (size_t i = 0; i < count; i++)
        if (list[i].type == CH_VALUE_STRING)
            total += list[i].string.size;
    bool fits = ch_column_scratch_bytes(scratch, total);
    CH_ASSERT(
        fits); /* the strings themselves are in memory: limits held when they came */
    *total_out = total;
    total = 0;
    for (size_t i = 0; i < count; i++) {
        if (list[i].type != CH_VALUE_STRING)
            continue;
        ch_bytes_t string = list[i].string;
        scratch->values[n++] = (int64_t)string.size;
        if (string.size)
            memcpy(scratch->bytes + total, string.data, string.size);
        total += string.size;
    }
    return n;
}

size_t
ch_string_column_encode(ch_column_scratch_t *scratch, ch_column_level_t level,
                        const ch_value_t *list, size_t count, uint8_t *to)
{
    size_t total, n = gather(scratch, list, count, &total);
    uint8_t *at = to + ch_int_column_encode(scratch, level, scratch->values, n, to);
    uint8_t *form = at++;
    *form = FORM_RAW;
    size_t stored = snappy_max_compressed_length(total);
    uint8_t *compressed = at + CH_VARINT_BYTES_MAX;
    if (total &&
        snappy_compress((const char *)scratch->bytes, total, (char *)compressed,
                        &stored) == SNAPPY_OK &&
        stored < total)
        *form = FORM_SNAPPY;
    else
        stored = total;
    at = ch_varint_put(at, stored);
    if (*form == FORM_SNAPPY)
        memmove(at, compressed, stored);
    else if (stored)
        memcpy(at, scratch->bytes, stored);
    return (size_t)(at + stored - to);
}

static ch_status_t
corrupt(const char *what)
{
    return ch_fail(CH_ERR_CORRUPT, "string column: %s", what);
}

static ch_status_t
sum_lengths(const int64_t *lengths, size_t n, size_t *total_out)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++) {
        if (lengths[i] < 0 || lengths[i] > CH_STRING_BYTES_MAX)
            return corrupt("length of a string");
        total += (size_t)lengths[i];
    }
    *total_out = total;
    return CH_OK;
}

/* The strings' bytes in one piece: as stored, or decompressed into the scratch. */
static ch_status_t
open_bytes(ch_column_scratch_t *scratch, unsigned form, ch_bytes_t stored, size_t total,
           ch_bytes_t *bytes_out)
{
    if (form == FORM_RAW) {
        if (stored.size != total)
            return corrupt("lengths do not add up");
        *bytes_out = stored;
        return CH_OK;
    }
    size_t claimed;
    if (snappy_uncompressed_length((const char *)stored.data, stored.size, &claimed) !=
            SNAPPY_OK ||
        claimed != total || total / SNAPPY_RATIO_MAX > stored.size)
        return corrupt("lengths do not add up");
    if (!ch_column_scratch_bytes(scratch, total))
        return ch_fail(CH_ERR_LIMIT, "string column: no memory for %zu bytes", total);
    if (snappy_uncompress((const char *)stored.data, stored.size, (char *)scratch->bytes,
                          &claimed) != SNAPPY_OK)
        return corrupt("compressed bytes");
    *bytes_out = ch_bytes(scratch->bytes, total);
    return CH_OK;
}

static void
place(const int64_t *lengths, size_t n, ch_bytes_t bytes, ch_points_t *points,
      ch_value_t *out)
{
    ch_bytes_t kept = ch_points_keep_string(points, bytes);
    const uint8_t *at = kept.data;
    for (size_t done = 0; done < n; out++) {
        if (out->type != CH_VALUE_STRING)
            continue;
        size_t size = (size_t)lengths[done++];
        out->string = ch_bytes(at, size);
        at += size;
    }
}

ch_status_t
ch_string_column_decode(ch_column_scratch_t *scratch, ch_bytes_t from, size_t n,
                        ch_points_t *points, ch_value_t *out, size_t *used_out)
{
    size_t used, total = 0;
    ch_status_t status = ch_int_column_decode(scratch, from, n, scratch->values, &used);
    if (status >= 0)
        status = sum_lengths(scratch->values, n, &total);
    if (status < 0)
        return status;
    const uint8_t *at = from.data + used, *end = from.data + from.size;
    if (at >= end || *at > FORM_SNAPPY)
        return corrupt("form of its bytes");
    unsigned form = *at++;
    uint64_t size;
    at = ch_varint_get(at, end, &size);
    if (!at || size > (uint64_t)(end - at))
        return corrupt("ends in its bytes");
    ch_bytes_t bytes;
    status = open_bytes(scratch, form, ch_bytes(at, (size_t)size), total, &bytes);
    if (status < 0)
        return status;
    place(scratch->values, n, bytes, points, out);
    *used_out = (size_t)(at + size - from.data);
    return CH_OK;
}
