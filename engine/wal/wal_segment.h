/// Pieces of a segment as bytes: header, commit group, seal (docs/format/wal.md). Pure functions.
#ifndef CH_WAL_SEGMENT_H
#define CH_WAL_SEGMENT_H

#include "ch/bytes.h"
#include "ch/checksum.h"
#include "wal/wal_format.h"

typedef struct ch_wal_term {
    uint64_t number;
    uint64_t node;
} ch_wal_term_t;

/// What a segment is, as its header says.
typedef struct ch_wal_segment {
    uint64_t cluster;
    ch_wal_term_t term;
    uint64_t number;
    uint64_t base_lsn;
    uint32_t version; /* as read; what is written is CH_WAL_VERSION */
    uint64_t chain;   /* at the end of the predecessor */
} ch_wal_segment_t;

/// The seed of everything at `offset` of a segment.
uint64_t ch_wal_place(const ch_wal_segment_t *segment, uint64_t offset);

void ch_wal_segment_encode(const ch_wal_segment_t *segment,
                           uint8_t block_out[CH_WAL_BLOCK_BYTES]);

typedef enum {
    CH_WAL_HEADER_VALID,
    CH_WAL_HEADER_INVALID,
    CH_WAL_HEADER_NEWER, /* valid, of a later version */
} ch_wal_header_state_t;

/// Fields are filled in even when invalid (they help to look for evidence).
ch_wal_header_state_t ch_wal_segment_decode(const uint8_t block[CH_WAL_BLOCK_BYTES],
                                            uint64_t number,
                                            ch_wal_segment_t *segment_out);

typedef struct ch_wal_group {
    uint32_t length; /* of the body */
    uint32_t count;
    uint64_t first_lsn;
    uint64_t durable_end;
    uint64_t chain; /* after this group */
    uint64_t body_check;
} ch_wal_group_t;

/// Bytes of a group on disk.
static inline uint64_t
ch_wal_group_bytes(uint32_t length)
{
    return ch_wal_align((uint64_t)CH_WAL_GROUP_HEADER_BYTES + length);
}

uint64_t ch_wal_chain(uint64_t previous, const ch_wal_group_t *group);

/// Fill in the header at `bytes`; body and padding (zeros) stand behind it already. Sets
/// group->body_check and, from group->chain as the chain before, group->chain.
void ch_wal_group_encode(const ch_wal_segment_t *segment, uint64_t offset,
                         ch_wal_group_t *group, uint8_t *bytes);

/// Is this a group's header at its place? `bytes`: CH_WAL_GROUP_HEADER_BYTES of them.
bool ch_wal_group_decode(const ch_wal_segment_t *segment, uint64_t offset,
                         const uint8_t *bytes, ch_wal_group_t *group_out);

/// Do body and padding (of the group that starts at `bytes`) match the header?
bool ch_wal_group_body_matches(const ch_wal_segment_t *segment, uint64_t offset,
                               const ch_wal_group_t *group, const uint8_t *bytes);

typedef struct ch_wal_seal {
    uint64_t records;
    uint64_t last_lsn;
    uint64_t bytes;
    uint64_t chain;
    ch_wal_term_t term;
    uint64_t durable_end;
    uint8_t digest[CH_DIGEST_BYTES];
} ch_wal_seal_t;

void ch_wal_seal_encode(const ch_wal_segment_t *segment, const ch_wal_seal_t *seal,
                        uint8_t block_out[CH_WAL_BLOCK_BYTES]);
bool ch_wal_seal_decode(const ch_wal_segment_t *segment, uint64_t offset,
                        const uint8_t block[CH_WAL_BLOCK_BYTES], ch_wal_seal_t *seal_out);

#endif
