#include "wal/wal_segment.h"

#include "ch/coding.h"

uint64_t
ch_wal_place(const ch_wal_segment_t *segment, uint64_t offset)
{
    uint64_t term = ch_seed(segment->term.number, segment->term.node, 0, 0);
    return ch_seed(segment->cluster, term, segment->number, offset);
}

static void
block_finish(const ch_wal_segment_t *segment, uint64_t offset, uint8_t *block)
{
    uint64_t check =
        ch_hash64(block, CH_WAL_BLOCK_CHECKED_BYTES, ch_wal_place(segment, offset));
    ch_store_u64(block + CH_WAL_BLOCK_CHECK_OFFSET, check);
}

static bool
block_valid(const ch_wal_segment_t *segment, uint64_t offset, const uint8_t *block)
{
    uint64_t check =
        ch_hash64(block, CH_WAL_BLOCK_CHECKED_BYTES, ch_wal_place(segment, offset));
    return ch_load_u64(block + CH_WAL_BLOCK_CHECK_OFFSET) == check;
}

void
ch_wal_segment_encode(const ch_wal_segment_t *segment,
                      uint8_t block_out[CH_WAL_BLOCK_BYTES])
{
    memset(block_out, 0, CH_WAL_BLOCK_BYTES);
    ch_store_u64(block_out, CH_WAL_SEGMENT_MAGIC);
    ch_store_u32(block_out + CH_WAL_SEGMENT_VERSION_OFFSET, CH_WAL_VERSION);
    ch_store_u64(block_out + CH_WAL_SEGMENT_CLUSTER_OFFSET, segment->cluster);
    ch_store_u64(block_out + CH_WAL_SEGMENT_TERM_OFFSET, segment->term.number);
    ch_store_u64(block_out + CH_WAL_SEGMENT_TERM_NODE_OFFSET, segment->term.node);
    ch_store_u64(block_out + CH_WAL_SEGMENT_NUMBER_OFFSET, segment->number);
    ch_store_u64(block_out + CH_WAL_SEGMENT_BASE_LSN_OFFSET, segment->base_lsn);
    ch_store_u64(block_out + CH_WAL_SEGMENT_CHAIN_OFFSET, segment->chain);
    block_finish(segment, 0, block_out);
}

ch_wal_header_state_t
ch_wal_segment_decode(const uint8_t block[CH_WAL_BLOCK_BYTES], uint64_t number,
                      ch_wal_segment_t *segment_out)
{
    *segment_out = (ch_wal_segment_t){
        .cluster = ch_load_u64(block + CH_WAL_SEGMENT_CLUSTER_OFFSET),
        .term = {.number = ch_load_u64(block + CH_WAL_SEGMENT_TERM_OFFSET),
                 .node = ch_load_u64(block + CH_WAL_SEGMENT_TERM_NODE_OFFSET)},
        .number = number,
        .version = ch_load_u32(block + CH_WAL_SEGMENT_VERSION_OFFSET),
        .base_lsn = ch_load_u64(block + CH_WAL_SEGMENT_BASE_LSN_OFFSET),
        .chain = ch_load_u64(block + CH_WAL_SEGMENT_CHAIN_OFFSET),
    };
    if (ch_load_u64(block) != CH_WAL_SEGMENT_MAGIC ||
        !block_valid(segment_out, 0, block) ||
        ch_load_u64(block + CH_WAL_SEGMENT_NUMBER_OFFSET) != number)
        return CH_WAL_HEADER_INVALID;
    if (segment_out->version != CH_WAL_VERSION)
        return CH_WAL_HEADER_NEWER;
    return segment_out->base_lsn ? CH_WAL_HEADER_VALID : CH_WAL_HEADER_INVALID;
}

/* --- groups ---------------------------------------------------------------------------------- */

uint64_t
ch_wal_chain(uint64_t previous, const ch_wal_group_t *group)
{
    if (group->count == 0)
        return previous; /* an empty group may be lost and nothing is */
    uint64_t link[4] = {previous, group->body_check, group->first_lsn, group->count};
    return ch_hash64(link, sizeof link, 0);
}

static uint64_t
body_check(const ch_wal_segment_t *segment, uint64_t offset, uint32_t length,
           const uint8_t *bytes)
{
    return ch_hash64(bytes + CH_WAL_GROUP_HEADER_BYTES,
                     (size_t)ch_wal_group_bytes(length) - CH_WAL_GROUP_HEADER_BYTES,
                     ch_wal_place(segment, offset));
}

void
ch_wal_group_encode(const ch_wal_segment_t *segment, uint64_t offset,
                    ch_wal_group_t *group, uint8_t *bytes)
{
    group->body_check = body_check(segment, offset, group->length, bytes);
    group->chain = ch_wal_chain(group->chain, group);
    ch_store_u32(bytes, CH_WAL_GROUP_MAGIC);
    ch_store_u32(bytes + CH_WAL_GROUP_LENGTH_OFFSET, group->length);
    ch_store_u32(bytes + CH_WAL_GROUP_COUNT_OFFSET, group->count);
    ch_store_u32(bytes + CH_WAL_GROUP_ZERO_OFFSET, 0);
    ch_store_u64(bytes + CH_WAL_GROUP_FIRST_LSN_OFFSET, group->first_lsn);
    ch_store_u64(bytes + CH_WAL_GROUP_DURABLE_END_OFFSET, group->durable_end);
    ch_store_u64(bytes + CH_WAL_GROUP_CHAIN_OFFSET, group->chain);
    ch_store_u64(bytes + CH_WAL_GROUP_BODY_CHECK_OFFSET, group->body_check);
    uint64_t check =
        ch_hash64(bytes, CH_WAL_GROUP_CHECK_OFFSET, ch_wal_place(segment, offset));
    ch_store_u64(bytes + CH_WAL_GROUP_CHECK_OFFSET, check);
}

bool
ch_wal_group_decode(const ch_wal_segment_t *segment, uint64_t offset,
                    const uint8_t *bytes, ch_wal_group_t *group_out)
{
    if (ch_load_u32(bytes) != CH_WAL_GROUP_MAGIC)
        return false; /* the cheap test first: evidence is looked for in every block */
    uint64_t check =
        ch_hash64(bytes, CH_WAL_GROUP_CHECK_OFFSET, ch_wal_place(segment, offset));
    if (ch_load_u64(bytes + CH_WAL_GROUP_CHECK_OFFSET) != check)
        return false;
    *group_out = (ch_wal_group_t){
        .length = ch_load_u32(bytes + CH_WAL_GROUP_LENGTH_OFFSET),
        .count = ch_load_u32(bytes + CH_WAL_GROUP_COUNT_OFFSET),
        .first_lsn = ch_load_u64(bytes + CH_WAL_GROUP_FIRST_LSN_OFFSET),
        .durable_end = ch_load_u64(bytes + CH_WAL_GROUP_DURABLE_END_OFFSET),
        .chain = ch_load_u64(bytes + CH_WAL_GROUP_CHAIN_OFFSET),
        .body_check = ch_load_u64(bytes + CH_WAL_GROUP_BODY_CHECK_OFFSET),
    };
    return ch_load_u32(bytes + CH_WAL_GROUP_ZERO_OFFSET) == 0 &&
           group_out->length <= CH_WAL_GROUP_BYTES_MAX &&
           group_out->durable_end <= offset &&
           (group_out->count == 0) == (group_out->length == 0);
}

bool
ch_wal_group_body_matches(const ch_wal_segment_t *segment, uint64_t offset,
                          const ch_wal_group_t *group, const uint8_t *bytes)
{
    return body_check(segment, offset, group->length, bytes) == group->body_check;
}

/* --- seal ------------------------------------------------------------------------------------ */

void
ch_wal_seal_encode(const ch_wal_segment_t *segment, const ch_wal_seal_t *seal,
                   uint8_t block_out[CH_WAL_BLOCK_BYTES])
{
    memset(block_out, 0, CH_WAL_BLOCK_BYTES);
    ch_store_u32(block_out, CH_WAL_SEAL_MAGIC);
    ch_store_u64(block_out + CH_WAL_SEAL_RECORDS_OFFSET, seal->records);
    ch_store_u64(block_out + CH_WAL_SEAL_LAST_LSN_OFFSET, seal->last_lsn);
    ch_store_u64(block_out + CH_WAL_SEAL_BYTES_OFFSET, seal->bytes);
    ch_store_u64(block_out + CH_WAL_SEAL_CHAIN_OFFSET, seal->chain);
    ch_store_u64(block_out + CH_WAL_SEAL_TERM_OFFSET, seal->term.number);
    ch_store_u64(block_out + CH_WAL_SEAL_TERM_NODE_OFFSET, seal->term.node);
    ch_store_u64(block_out + CH_WAL_SEAL_DURABLE_END_OFFSET, seal->durable_end);
    memcpy(block_out + CH_WAL_SEAL_DIGEST_OFFSET, seal->digest, CH_DIGEST_BYTES);
    block_finish(segment, seal->bytes, block_out);
}

bool
ch_wal_seal_decode(const ch_wal_segment_t *segment, uint64_t offset,
                   const uint8_t block[CH_WAL_BLOCK_BYTES], ch_wal_seal_t *seal_out)
{
    if (ch_load_u32(block) != CH_WAL_SEAL_MAGIC || !block_valid(segment, offset, block))
        return false;
    *seal_out = (ch_wal_seal_t){
        .records = ch_load_u64(block + CH_WAL_SEAL_RECORDS_OFFSET),
        .last_lsn = ch_load_u64(block + CH_WAL_SEAL_LAST_LSN_OFFSET),
        .bytes = ch_load_u64(block + CH_WAL_SEAL_BYTES_OFFSET),
        .chain = ch_load_u64(block + CH_WAL_SEAL_CHAIN_OFFSET),
        .term = {.number = ch_load_u64(block + CH_WAL_SEAL_TERM_OFFSET),
                 .node = ch_load_u64(block + CH_WAL_SEAL_TERM_NODE_OFFSET)},
        .durable_end = ch_load_u64(block + CH_WAL_SEAL_DURABLE_END_OFFSET),
    };
    memcpy(seal_out->digest, block + CH_WAL_SEAL_DIGEST_OFFSET, CH_DIGEST_BYTES);
    return seal_out->bytes == offset && seal_out->durable_end <= offset;
}
