/* wal_reader.c - a segment from its first byte, and what follows a bad one.
 *
 * Problem     A crash leaves a bad group at the end of the log; so does a rotten sector in the middle. The
 *             first must be cut off, the second must never be.
 * Idea        A group says in `durable_end` what was durable when it was written. If a group behind
 *             the bad one (or the seal) says that the bad one was durable, it is damage.
 *             Without such evidence nobody was ever told of the bad group: a torn tail.
 * Caveat      That a seal is there proves nothing: it may reach the disk when the unsynced empty
 *             group before it does not. That group holds nothing, and cutting there loses nothing.
 * Invariant   Everything before `offset` is valid, chained and counted in the digest.
 */
#include "wal/wal_reader.h"

enum { WINDOW_BYTES = 1 << 20 };

/* Bytes [offset, offset + size) of the file into the window, or fewer at its end. The caller has
 * checked `size` against what is left of the file. */
static ch_status_t
reader_see(ch_wal_reader_t *reader, uint64_t offset, size_t size,
           const uint8_t **bytes_out)
{
    uint64_t window_end = reader->window_offset + reader->window.size;
    if (offset < reader->window_offset || offset + size > window_end) {
        size_t want = size > WINDOW_BYTES ? size : WINDOW_BYTES, got = 0;
        if (want > reader->file_bytes - offset)
            want = (size_t)(reader->file_bytes - offset);
        reader->window.size = 0;
        reader->window_offset = offset;
        ch_status_t status = ch_fs_read(
            reader->file, offset, ch_wal_buffer_room(&reader->window, want), want, &got);
        if (status < 0)
            return status;
        if (got < size)
            return ch_fail(CH_ERR_IO, "segment %llu: shrank while it was read",
                           (unsigned long long)reader->segment.number);
        reader->window.size = got;
    }
    *bytes_out = reader->window.data + (offset - reader->window_offset);
    return CH_OK;
}

static bool
reader_has(const ch_wal_reader_t *reader, uint64_t offset, uint64_t size)
{
    return offset <= reader->file_bytes && size <= reader->file_bytes - offset;
}

ch_status_t
ch_wal_reader_init(ch_wal_reader_t *reader, ch_file_t *file, uint64_t number)
{
    *reader = (ch_wal_reader_t){.file = file, .state = CH_WAL_HEADER_INVALID};
    reader->segment.number = number;
    ch_status_t status = ch_fs_size(file, &reader->file_bytes);
    if (status < 0)
        return status;
    reader->offset = CH_WAL_BLOCK_BYTES;
    if (!reader_has(reader, 0, CH_WAL_BLOCK_BYTES))
        return CH_OK;
    const uint8_t *block;
    status = reader_see(reader, 0, CH_WAL_BLOCK_BYTES, &block);
    if (status < 0)
        return status;
    reader->state = ch_wal_segment_decode(block, number, &reader->segment);
    reader->chain = reader->segment.chain;
    reader->lsn_next = reader->segment.base_lsn;
    reader->digest = ch_digest_new();
    ch_digest_update(reader->digest, block, CH_WAL_BLOCK_BYTES);
    return CH_OK;
}

void
ch_wal_reader_release(ch_wal_reader_t *reader)
{
    ch_wal_buffer_release(&reader->window);
    ch_digest_destroy(&reader->digest);
}

static bool
seal_matches(const ch_wal_reader_t *reader)
{
    const ch_wal_seal_t *seal = &reader->seal;
    uint8_t digest[CH_DIGEST_BYTES];
    ch_digest_value(reader->digest, digest);
    return seal->chain == reader->chain && seal->last_lsn + 1 == reader->lsn_next &&
           seal->records == reader->lsn_next - reader->segment.base_lsn &&
           memcmp(seal->digest, digest, sizeof digest) == 0;
}

static bool
group_continues(const ch_wal_reader_t *reader, const ch_wal_group_t *group)
{
    return group->first_lsn == reader->lsn_next &&
           group->chain == ch_wal_chain(reader->chain, group) &&
           reader_has(reader, reader->offset, ch_wal_group_bytes(group->length));
}

static ch_status_t
reader_take_group(ch_wal_reader_t *reader, const ch_wal_group_t *group,
                  ch_bytes_t *body_out)
{
    const uint8_t *bytes;
    size_t size = (size_t)ch_wal_group_bytes(group->length);
    ch_status_t status = reader_see(reader, reader->offset, size, &bytes);
    if (status < 0)
        return status;
    if (!ch_wal_group_body_matches(&reader->segment, reader->offset, group, bytes))
        return CH_NOT_FOUND;
    ch_digest_update(reader->digest, bytes, size);
    reader->offset += size;
    reader->chain = group->chain;
    reader->lsn_next += group->count;
    *body_out = ch_bytes(bytes + CH_WAL_GROUP_HEADER_BYTES, group->length);
    return CH_OK;
}

ch_status_t
ch_wal_reader_next(ch_wal_reader_t *reader, ch_wal_group_t *group_out,
                   ch_bytes_t *body_out)
{
    const uint8_t *block;
    if (reader->sealed)
        return CH_END;
    if (!reader_has(reader, reader->offset, CH_WAL_BLOCK_BYTES))
        return CH_NOT_FOUND;
    ch_status_t status = reader_see(reader, reader->offset, CH_WAL_BLOCK_BYTES, &block);
    if (status < 0)
        return status;
    if (ch_wal_seal_decode(&reader->segment, reader->offset, block, &reader->seal)) {
        reader->sealed = seal_matches(reader);
        return reader->sealed ? CH_END : CH_NOT_FOUND;
    }
    if (!ch_wal_group_decode(&reader->segment, reader->offset, block, group_out) ||
        !group_continues(reader, group_out))
        return CH_NOT_FOUND;
    return reader_take_group(reader, group_out, body_out);
}

ch_status_t
ch_wal_reader_evidence(ch_wal_reader_t *reader, const ch_wal_segment_t *segment,
                       uint64_t bad, uint64_t *evidence_out)
{
    uint64_t offset = bad - bad % CH_WAL_BLOCK_BYTES;
    for (; reader_has(reader, offset, CH_WAL_BLOCK_BYTES); offset += CH_WAL_BLOCK_BYTES) {
        const uint8_t *block;
        ch_wal_group_t group;
        ch_wal_seal_t seal;
        ch_status_t status = reader_see(reader, offset, CH_WAL_BLOCK_BYTES, &block);
        if (status < 0)
            return status;
        if ((ch_wal_group_decode(segment, offset, block, &group) &&
             group.durable_end > bad) ||
            (ch_wal_seal_decode(segment, offset, block, &seal) &&
             seal.durable_end > bad)) {
            *evidence_out = offset;
            return CH_OK;
        }
    }
    return CH_NOT_FOUND;
}
