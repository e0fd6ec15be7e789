/// On-disk constants of the log: docs/format/wal.md. Shared by the writer and the reader only.
/// Changing a number here is a new format version.
#ifndef CH_WAL_FORMAT_H
#define CH_WAL_FORMAT_H

#include <stdint.h>

#define CH_WAL_SEGMENT_MAGIC UINT64_C(0x4745534c41574843) /* "CHWALSEG" */
#define CH_WAL_GROUP_MAGIC UINT32_C(0x52474843)           /* "CHGR" */
#define CH_WAL_SEAL_MAGIC UINT32_C(0x4c534843)            /* "CHSL" */

enum {
    CH_WAL_VERSION = 1,
    CH_WAL_BLOCK_BYTES = 512, /* alignment; size of header and seal */
    CH_WAL_BLOCK_CHECK_OFFSET = 504,
    CH_WAL_BLOCK_CHECKED_BYTES = 504,

    /* segment header */
    CH_WAL_SEGMENT_VERSION_OFFSET = 8,
    CH_WAL_SEGMENT_CLUSTER_OFFSET = 16,
    CH_WAL_SEGMENT_TERM_OFFSET = 24,
    CH_WAL_SEGMENT_TERM_NODE_OFFSET = 32,
    CH_WAL_SEGMENT_NUMBER_OFFSET = 40,
    CH_WAL_SEGMENT_BASE_LSN_OFFSET = 48,
    CH_WAL_SEGMENT_CHAIN_OFFSET = 56,

    /* commit group */
    CH_WAL_GROUP_LENGTH_OFFSET = 4,
    CH_WAL_GROUP_COUNT_OFFSET = 8,
    CH_WAL_GROUP_ZERO_OFFSET = 12,
    CH_WAL_GROUP_FIRST_LSN_OFFSET = 16,
    CH_WAL_GROUP_DURABLE_END_OFFSET = 24,
    CH_WAL_GROUP_CHAIN_OFFSET = 32,
    CH_WAL_GROUP_BODY_CHECK_OFFSET = 40,
    CH_WAL_GROUP_CHECK_OFFSET = 48,
    CH_WAL_GROUP_HEADER_BYTES = 56,

    /* seal */
    CH_WAL_SEAL_RECORDS_OFFSET = 8,
    CH_WAL_SEAL_LAST_LSN_OFFSET = 16,
    CH_WAL_SEAL_BYTES_OFFSET = 24,
    CH_WAL_SEAL_CHAIN_OFFSET = 32,
    CH_WAL_SEAL_TERM_OFFSET = 40,
    CH_WAL_SEAL_TERM_NODE_OFFSET = 48,
    CH_WAL_SEAL_DURABLE_END_OFFSET = 56,
    CH_WAL_SEAL_DIGEST_OFFSET = 64,

    /* record */
    CH_WAL_RECORD_TYPE_OFFSET = 4,
    CH_WAL_RECORD_FLAGS_OFFSET = 5,
    CH_WAL_RECORD_TIME_OFFSET = 6,
    CH_WAL_RECORD_HEADER_BYTES = 14,
    CH_WAL_RECORD_FLAG_IDENTITY = 1,

    CH_WAL_RECORD_CELLS_MAX =
        4 << 20, /* 40 times the default batch; bounds decode memory */
    CH_WAL_GROUP_BYTES_MAX = 1 << 30,
    CH_WAL_SELECTOR_BYTES_MAX = 64 * 1024, /* what ch_selector_parse takes */
    CH_WAL_EXCEPTIONS_MAX = 256,
};

typedef enum { CH_WAL_IDS_REGULAR, CH_WAL_IDS_ROWS, CH_WAL_IDS_INTS } ch_wal_ids_form_t;

typedef enum {
    CH_WAL_TIMES_SAME,
    CH_WAL_TIMES_REGULAR,
    CH_WAL_TIMES_OFFSETS,
    CH_WAL_TIMES_DELTAS
} ch_wal_times_form_t;

typedef enum {
    CH_WAL_VALUES_INTS,
    CH_WAL_VALUES_FLOATS,
    CH_WAL_VALUES_INTEGRAL,
    CH_WAL_VALUES_LIST
} ch_wal_values_form_t;

typedef enum {
    CH_WAL_TAG_INT,
    CH_WAL_TAG_FLOAT,
    CH_WAL_TAG_FALSE,
    CH_WAL_TAG_TRUE,
    CH_WAL_TAG_STRING,
    CH_WAL_TAG_NONE
} ch_wal_tag_t;

static inline uint64_t
ch_wal_align(uint64_t offset)
{
    return (offset + CH_WAL_BLOCK_BYTES - 1) / CH_WAL_BLOCK_BYTES * CH_WAL_BLOCK_BYTES;
}

_Static_assert(CH_WAL_GROUP_CHECK_OFFSET + 8 == CH_WAL_GROUP_HEADER_BYTES, "no padding");
_Static_assert(CH_WAL_SEAL_DIGEST_OFFSET + 16 < CH_WAL_BLOCK_CHECK_OFFSET, "fits");

#endif
