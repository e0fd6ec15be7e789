#include "os/stream.h"

#include <snappy-c.h>

#include "ch/alloc.h"
#include "ch/checksum.h"
#include "ch/coding.h"

/* docs/format/catalogue.md, "Pieces". */
enum {
    PIECE_CHECK = 0, /* u32, of all that follows in the piece */
    PIECE_SIZE = 4,  /* u32, bytes of content as stored, and two bits above */
    PIECE_HEADER = 8,
    PIECE_CONTENT_MAX = 256 << 10,
};

#define PIECE_LAST UINT32_C(0x80000000)   /* of the stream */
#define PIECE_SNAPPY UINT32_C(0x40000000) /* compressed: it took less room so */

/* Snappy's copies bring 64 bytes for 3 at most. */
#define EXPANSION_MAX UINT64_C(32)

struct ch_stream_writer {
    ch_file_t *file;
    uint64_t at, seed;
    size_t used; /* content bytes of the open piece */
    ch_status_t status;
    size_t packed_bytes;
    uint8_t *packed; /* scratch: header and compressed content */
    uint8_t piece[PIECE_HEADER + PIECE_CONTENT_MAX];
};

struct ch_stream_reader {
    ch_file_t *file;
    uint64_t at, file_bytes, seed;
    size_t next, size; /* content bytes of the piece: handed out, there */
    bool last;
    uint8_t piece[PIECE_HEADER + PIECE_CONTENT_MAX];
    uint8_t content[PIECE_CONTENT_MAX];
};

static uint32_t
piece_check(const uint8_t *piece, size_t size, uint64_t seed, uint64_t at)
{
    return ch_check32(piece + PIECE_SIZE, PIECE_HEADER - PIECE_SIZE + size,
                      ch_seed(seed, at, 0, 0));
}

ch_stream_writer_t *
ch_stream_writer_new(ch_file_t *file, uint64_t offset, uint64_t seed)
{
    ch_stream_writer_t *writer = ch_alloc(sizeof *writer);
    writer->file = file;
    writer->at = offset;
    writer->seed = seed;
    writer->used = 0;
    writer->status = CH_OK;
    writer->packed_bytes = PIECE_HEADER + snappy_max_compressed_length(PIECE_CONTENT_MAX);
    writer->packed = ch_alloc(writer->packed_bytes);
    return writer;
}

void
ch_stream_writer_destroy(ch_stream_writer_t **writer)
{
    if (*writer)
        ch_free((*writer)->packed);
    ch_free(*writer);
    *writer = NULL;
}

static void
write_piece(ch_stream_writer_t *writer, uint32_t mark)
{
    uint8_t *piece = writer->piece;
    size_t size = writer->used, packed = writer->packed_bytes - PIECE_HEADER;
    if (snappy_compress((const char *)piece + PIECE_HEADER, size,
                        (char *)writer->packed + PIECE_HEADER, &packed) == SNAPPY_OK &&
        packed < size) {
        piece = writer->packed;
        size = packed;
        mark |= PIECE_SNAPPY;
    }
    ch_store_u32(piece + PIECE_SIZE, (uint32_t)size | mark);
    ch_store_u32(piece + PIECE_CHECK, piece_check(piece, size, writer->seed, writer->at));
    if (writer->status >= 0)
        writer->status =
            ch_fs_write(writer->file, writer->at, piece, PIECE_HEADER + size);
    if (writer->status >= 0)
        ch_fs_write_out(writer->file, writer->at, PIECE_HEADER + size);
    writer->at += PIECE_HEADER + size;
    writer->used = 0;
}

void
ch_stream_put(ch_stream_writer_t *writer, const void *data, size_t size)
{
    const uint8_t *from = data;
    while (size > 0) {
        if (writer->used == PIECE_CONTENT_MAX)
            write_piece(writer, 0);
        size_t room = PIECE_CONTENT_MAX - writer->used, part = size < room ? size : room;
        memcpy(writer->piece + PIECE_HEADER + writer->used, from, part);
        writer->used += part;
        from += part;
        size -= part;
    }
}

void
ch_stream_put_u32(ch_stream_writer_t *writer, uint32_t value)
{
    uint8_t bytes[4];
    ch_store_u32(bytes, value);
    ch_stream_put(writer, bytes, sizeof bytes);
}

ch_status_t
ch_stream_finish(ch_stream_writer_t *writer, uint64_t *end_out)
{
    write_piece(writer, PIECE_LAST);
    if (writer->status < 0)
        return writer->status;
    *end_out = writer->at;
    return CH_OK;
}

ch_stream_reader_t *
ch_stream_reader_new(ch_file_t *file, uint64_t offset, uint64_t file_bytes, uint64_t seed)
{
    ch_stream_reader_t *reader = ch_alloc(sizeof *reader);
    reader->file = file;
    reader->at = offset;
    reader->file_bytes = file_bytes;
    reader->seed = seed;
    reader->next = reader->size = 0;
    reader->last = false;
    return reader;
}

void
ch_stream_reader_destroy(ch_stream_reader_t **reader)
{
    ch_free(*reader);
    *reader = NULL;
}

/* From `size` bytes as stored to reader->content. */
static ch_status_t
unpack(ch_stream_reader_t *reader, size_t size, bool packed)
{
    const char *from = (const char *)reader->piece + PIECE_HEADER;
    size_t length = sizeof reader->content;
    if (packed &&
        snappy_uncompress(from, size, (char *)reader->content, &length) != SNAPPY_OK)
        return ch_fail(CH_ERR_CORRUPT, "cannot be decompressed at offset %llu",
                       (unsigned long long)reader->at);
    if (!packed)
        memcpy(reader->content, from, size);
    reader->size = packed ? length : size;
    return CH_OK;
}

static ch_status_t
mismatch(const ch_stream_reader_t *reader)
{
    return ch_fail(CH_ERR_CORRUPT, "checksum mismatch at offset %llu",
                   (unsigned long long)reader->at);
}

/* The header is trusted for its size alone, and only within the file, before the check. */
static ch_status_t
read_piece(ch_stream_reader_t *reader)
{
    uint8_t *piece = reader->piece;
    uint64_t left = reader->at < reader->file_bytes ? reader->file_bytes - reader->at : 0;
    if (reader->last || left < PIECE_HEADER)
        return ch_fail(CH_ERR_CORRUPT, "ends early at offset %llu",
                       (unsigned long long)reader->at);
    ch_status_t status = ch_fs_read_exact(reader->file, reader->at, piece, PIECE_HEADER);
    if (status < 0)
        return status;
    uint32_t field = ch_load_u32(piece + PIECE_SIZE);
    size_t size = field & ~(PIECE_LAST | PIECE_SNAPPY);
    if (size > left - PIECE_HEADER || size > PIECE_CONTENT_MAX)
        return mismatch(reader);
    status = ch_fs_read_exact(reader->file, reader->at + PIECE_HEADER,
                              piece + PIECE_HEADER, size);
    if (status < 0)
        return status;
    if (ch_load_u32(piece + PIECE_CHECK) !=
        piece_check(piece, size, reader->seed, reader->at))
        return mismatch(reader);
    status = unpack(reader, size, (field & PIECE_SNAPPY) != 0);
    if (status < 0)
        return status;
    reader->at += PIECE_HEADER + size;
    reader->last = (field & PIECE_LAST) != 0;
    reader->next = 0;
    return CH_OK;
}

ch_status_t
ch_stream_get(ch_stream_reader_t *reader, void *to, size_t size)
{
    uint8_t *at = to;
    while (size > 0) {
        if (reader->next == reader->size) {
            ch_status_t status = read_piece(reader);
            if (status < 0)
                return status;
        }
        size_t there = reader->size - reader->next, part = size < there ? size : there;
        memcpy(at, reader->content + reader->next, part);
        reader->next += part;
        at += part;
        size -= part;
    }
    return CH_OK;
}

ch_status_t
ch_stream_get_u32(ch_stream_reader_t *reader, uint32_t *to)
{
    uint8_t bytes[4];
    ch_status_t status = ch_stream_get(reader, bytes, sizeof bytes);
    if (status >= 0)
        *to = ch_load_u32(bytes);
    return status;
}

uint64_t
ch_stream_left(const ch_stream_reader_t *reader)
{
    uint64_t behind =
        reader->at < reader->file_bytes ? reader->file_bytes - reader->at : 0;
    return behind * EXPANSION_MAX + (reader->size - reader->next);
}

ch_status_t
ch_stream_end(ch_stream_reader_t *reader, uint64_t *end_out)
{
    if (!reader->last && reader->next == reader->size) {
        ch_status_t status = read_piece(reader);
        if (status < 0)
            return status;
    }
    if (!reader->last || reader->next != reader->size)
        return ch_fail(CH_ERR_CORRUPT, "more content than its header says");
    *end_out = reader->at;
    return CH_OK;
}
