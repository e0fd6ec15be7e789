#include "sst/packed_block.h"

#include <snappy-c.h>

#include "ch/alloc.h"
#include "column/chunk.h"
#include "sst/sstable_format.h"

/* Snappy gives at most 64 bytes for a copy of 3; a block that claims more lies, and must not make
 * us allocate what it claims. */
enum { RATIO_MAX = 32, RATIO_SLACK = 64 };

ch_status_t
ch_sst_buffer_reserve(ch_sst_buffer_t *buffer, size_t size)
{
    if (size <= buffer->capacity && buffer->data)
        return CH_OK;
    uint8_t *data = ch_try_alloc(size + CH_COLUMN_PAD);
    if (!data)
        return ch_fail(CH_ERR_LIMIT, "no memory for a block of %zu bytes", size);
    memset(data + size, 0, CH_COLUMN_PAD);
    ch_free(buffer->data);
    *buffer = (ch_sst_buffer_t){.data = data, .capacity = size};
    return CH_OK;
}

void
ch_sst_buffer_release(ch_sst_buffer_t *buffer)
{
    ch_free(buffer->data);
    *buffer = (ch_sst_buffer_t){0};
}

/* Make room for `more` bytes behind the text. */
static void
text_reserve(ch_text_t *text, size_t more)
{
    if (text->size + more <= text->capacity)
        return;
    text->capacity = (text->size + more) * 2;
    text->data = ch_realloc(text->data, text->capacity);
}

size_t
ch_sst_compress(ch_bytes_t raw, ch_text_t *out)
{
    size_t packed = snappy_max_compressed_length(raw.size);
    text_reserve(out, packed);
    char *to = out->data + out->size;
    if (snappy_compress((const char *)raw.data, raw.size, to, &packed) != SNAPPY_OK ||
        packed >= raw.size - raw.size / 8) {
        ch_text_append(out, raw.data, raw.size);
        return raw.size;
    }
    out->size += packed;
    return packed;
}

ch_status_t
ch_sst_uncompress(ch_bytes_t stored, size_t raw_bytes, size_t raw_max,
                  ch_sst_buffer_t *buffer, ch_bytes_t *raw_out)
{
    if (raw_bytes > raw_max || raw_bytes > stored.size * RATIO_MAX + RATIO_SLACK)
        return ch_fail(CH_ERR_CORRUPT, "%zu bytes claim to unpack to %zu", stored.size,
                       raw_bytes);
    if (raw_bytes == stored.size) {
        *raw_out = stored;
        return CH_OK;
    }
    size_t length = 0;
    if (snappy_uncompressed_length((const char *)stored.data, stored.size, &length) !=
            SNAPPY_OK ||
        length != raw_bytes)
        return ch_fail(CH_ERR_CORRUPT, "%zu bytes do not unpack to %zu", stored.size,
                       raw_bytes);
    ch_status_t status = ch_sst_buffer_reserve(buffer, raw_bytes);
    if (status < 0)
        return status;
    if (snappy_uncompress((const char *)stored.data, stored.size, (char *)buffer->data,
                          &length) != SNAPPY_OK)
        return ch_fail(CH_ERR_CORRUPT, "%zu bytes do not unpack", stored.size);
    *raw_out = ch_bytes(buffer->data, raw_bytes);
    return CH_OK;
}

size_t
ch_packed_block_append(ch_bytes_t raw, bool compress, uint64_t seed, ch_text_t *out)
{
    size_t start = out->size;
    uint8_t header[CH_SST_PACKED_HEADER_BYTES] = {0};
    ch_store_u32(header + CH_SST_PACKED_RAW, (uint32_t)raw.size);
    ch_text_append(out, header, sizeof header);
    if (compress)
        (void)ch_sst_compress(raw, out);
    else
        ch_text_append(out, raw.data, raw.size);
    uint8_t *block = (uint8_t *)out->data + start;
    size_t bytes = out->size - start;
    ch_store_u32(block,
                 ch_check32(block + CH_SST_PACKED_RAW, bytes - CH_SST_PACKED_RAW, seed));
    return bytes;
}

ch_status_t
ch_packed_block_open(ch_bytes_t block, uint64_t seed, size_t raw_max,
                     ch_sst_buffer_t *buffer, ch_bytes_t *content_out)
{
    if (block.size < CH_SST_PACKED_HEADER_BYTES)
        return ch_fail(CH_ERR_CORRUPT, "shorter than its header");
    if (!ch_sst_check_holds(block.data + CH_SST_PACKED_RAW,
                            block.size - CH_SST_PACKED_RAW, seed,
                            ch_load_u32(block.data)))
        return ch_fail(CH_ERR_CORRUPT, "checksum mismatch");
    ch_bytes_t stored = ch_bytes(block.data + CH_SST_PACKED_HEADER_BYTES,
                                 block.size - CH_SST_PACKED_HEADER_BYTES);
    return ch_sst_uncompress(stored, ch_load_u32(block.data + CH_SST_PACKED_RAW), raw_max,
                             buffer, content_out);
}
