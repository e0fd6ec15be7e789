#include "wal/wal_writer.h"

#include "ch/assert.h"
#include "wal/wal_files.h"

void
ch_wal_writer_init(ch_wal_writer_t *writer)
{
    *writer = (ch_wal_writer_t){.digest = ch_digest_new()};
}

void
ch_wal_writer_release(ch_wal_writer_t *writer)
{
    ch_fs_close(&writer->file);
    ch_digest_destroy(&writer->digest);
}

ch_status_t
ch_wal_writer_open(ch_wal_writer_t *writer, ch_fs_t *fs, const char *directory,
                   const char *path, const ch_wal_segment_t *segment)
{
    ch_file_t *file = NULL;
    ch_status_t status = ch_fs_open(fs, path, CH_FS_WRITE | CH_FS_CREATE, &file);
    if (status != CH_OK)
        return status;
#ifndef CH_FAULT_WAL_NO_DIR_SYNC
    status = ch_wal_sync_directory(fs, directory);
#else
    (void)directory;
#endif
    if (status < 0) {
        ch_fs_close(&file);
        return status;
    }
    writer->file = file;
    writer->segment = *segment;
    writer->end = writer->durable_end = 0;
    writer->chain = segment->chain;
    writer->lsn_next = segment->base_lsn;
    ch_digest_reset(writer->digest);
    return CH_OK;
}

static uint64_t
group_offset(const ch_wal_writer_t *writer)
{
    return writer->end ? writer->end : CH_WAL_BLOCK_BYTES;
}

uint64_t
ch_wal_writer_end_after(const ch_wal_writer_t *writer, uint32_t length)
{
    return group_offset(writer) + ch_wal_group_bytes(length);
}

/* `bytes`: room for a header, then the group with its body and padding. */
static ch_status_t
writer_put(ch_wal_writer_t *writer, uint8_t *bytes, uint32_t length, uint32_t count)
{
    uint64_t offset = group_offset(writer);
    uint8_t *start = bytes + CH_WAL_BUFFER_GROUP_OFFSET;
    size_t size = (size_t)ch_wal_group_bytes(length);
    ch_wal_group_t group = {.length = length,
                            .count = count,
                            .first_lsn = writer->lsn_next,
                            .durable_end = writer->durable_end,
                            .chain = writer->chain};
    ch_wal_group_encode(&writer->segment, offset, &group, start);
    if (writer->end == 0) {
        start = bytes;
        size += CH_WAL_BLOCK_BYTES;
        ch_wal_segment_encode(&writer->segment, bytes);
    }
    ch_status_t status = ch_fs_write(writer->file, writer->end, start, size);
    if (status < 0)
        return status;
    ch_digest_update(writer->digest, start, size);
    writer->end += size;
    writer->chain = group.chain;
    writer->lsn_next += count;
    return CH_OK;
}

ch_status_t
ch_wal_writer_group(ch_wal_writer_t *writer, ch_wal_buffer_t *buffer, uint32_t count)
{
    size_t size = buffer->size, length = size - CH_WAL_BUFFER_BODY_OFFSET;
    CH_ASSERT(length > 0 && length <= CH_WAL_GROUP_BYTES_MAX);
    ch_wal_buffer_zeros(buffer, (size_t)(ch_wal_align(size) - size));
    buffer->size = size; /* a repeated write finds the body as it was */
    return writer_put(writer, buffer->data, (uint32_t)length, count);
}

ch_status_t
ch_wal_writer_evidence(ch_wal_writer_t *writer)
{
    uint8_t bytes[CH_WAL_BUFFER_GROUP_OFFSET + CH_WAL_BLOCK_BYTES] = {0};
    return writer_put(writer, bytes, 0, 0);
}

ch_status_t
ch_wal_writer_sync(ch_wal_writer_t *writer)
{
    ch_status_t status = ch_wal_sync_file(writer->file);
    if (status >= 0)
        writer->durable_end = writer->end;
    return status;
}

ch_status_t
ch_wal_writer_scrub(ch_wal_writer_t *writer)
{
    static const uint8_t zeros[CH_WAL_BLOCK_BYTES];
    return ch_fs_write(writer->file, writer->end, zeros, sizeof zeros);
}

ch_status_t
ch_wal_writer_seal(ch_wal_writer_t *writer, ch_wal_term_t term)
{
    uint8_t block[CH_WAL_BLOCK_BYTES];
    ch_wal_seal_t seal = {.records = writer->lsn_next - writer->segment.base_lsn,
                          .last_lsn = writer->lsn_next - 1,
                          .bytes = writer->end,
                          .chain = writer->chain,
                          .term = term,
                          .durable_end = writer->durable_end};
    ch_digest_value(writer->digest, seal.digest);
    ch_wal_seal_encode(&writer->segment, &seal, block);
    ch_status_t status = ch_fs_write(writer->file, writer->end, block, sizeof block);
    if (status >= 0)
        status = ch_fs_truncate(writer->file, writer->end + sizeof block);
    if (status >= 0)
        status = ch_wal_sync_file(writer->file);
    if (status >= 0)
        ch_fs_close(&writer->file);
    return status;
}
