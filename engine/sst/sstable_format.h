/// Numbers of the sorted table file: docs/format/sstable.md. Shared by writer and reader; changing
/// one here is a new format version.
#ifndef CH_SST_SSTABLE_FORMAT_H
#define CH_SST_SSTABLE_FORMAT_H

#include "ch/checksum.h"
#include "ch/coding.h"

#define CH_SST_MAGIC UINT64_C(0x0a454c4241544843) /* "CHTABLE\n" */
#define CH_SST_BLOCK_MAGIC UINT32_C(0x31424843)   /* "CHB1" */

enum { CH_SST_VERSION = 1 };

/* What a block is: part of the seed of its check. */
enum {
    CH_SST_DIRECTORY = 1,
    CH_SST_COLUMNS = 2,
    CH_SST_HEADS = 3,
    CH_SST_TAILS = 4,
    CH_SST_KEYS = 5,
    CH_SST_FILTER = 6,
    CH_SST_INDEX = 7,
    CH_SST_FOOTER = 8,
};

/* "Footer". Version, check and magic keep their distance from the end in all versions. */
enum {
    CH_SST_FOOTER_FILE_NUMBER = 0,
    CH_SST_FOOTER_LSN_MIN = 8,
    CH_SST_FOOTER_LSN_MAX = 16,
    CH_SST_FOOTER_TIME_MIN = 24,
    CH_SST_FOOTER_TIME_MAX = 32,
    CH_SST_FOOTER_SERIES = 40,
    CH_SST_FOOTER_POINTS = 48,
    CH_SST_FOOTER_CHUNKS = 56,
    CH_SST_FOOTER_INDEX_OFFSET = 64,
    CH_SST_FOOTER_FILTER_BYTES = 72,
    CH_SST_FOOTER_INDEX_BYTES = 80,
    CH_SST_FOOTER_HEADS = 84,
    CH_SST_FOOTER_TAILS = 88,
    CH_SST_FOOTER_ZERO = 92,
    CH_SST_FOOTER_VERSION = 96,
    CH_SST_FOOTER_CHECK = 100,
    CH_SST_FOOTER_MAGIC = 104,
    CH_SST_FOOTER_BYTES = 112,
};
_Static_assert(CH_SST_FOOTER_MAGIC + sizeof(uint64_t) == CH_SST_FOOTER_BYTES,
               "no padding");

/* "Data block". */
enum {
    CH_SST_BLOCK_CHECK =
        4, /* covers what lies from CH_SST_BLOCK_TOTAL to the directory's end */
    CH_SST_BLOCK_TOTAL = 8,
    CH_SST_BLOCK_DIRECTORY_STORED = 12,
    CH_SST_BLOCK_DIRECTORY_RAW = 16,
    CH_SST_BLOCK_CHUNKS = 20,
    CH_SST_BLOCK_COLUMNS_CHECK = 24,
    CH_SST_BLOCK_TIME_MIN = 28,
    CH_SST_BLOCK_HEADER_BYTES = 36,
};

/* "Packed block". */
enum { CH_SST_PACKED_RAW = 4, CH_SST_PACKED_HEADER_BYTES = 8 };

/* When writers of version 1 close things; readers accept up to the ..._MAX. */
enum {
    CH_SST_BLOCK_COLUMN_BYTES = 48 * 1024,
    CH_SST_BLOCK_CHUNKS_MAX = 512, /* a directory is parsed whole: some microseconds */
    CH_SST_BLOCK_BYTES_MAX = 16 << 20, /* one chunk of long strings, with room to spare */
    CH_SST_CHUNK_STRING_BYTES = 64 * 1024,
    CH_SST_CHUNK_ENTRY_MAX = 160, /* ch_chunk_put */
    CH_SST_DICTIONARY_BLOCK_BYTES = 8 * 1024,
    CH_SST_DICTIONARY_RAW_MAX = 128 * 1024,
    CH_SST_RESTART_INTERVAL = 16,
    CH_SST_TEXT_BYTES_MAX = 65535, /* a head or a tail */
    CH_SST_KEY_BLOCK_SERIES = 2048,
    CH_SST_KEY_BLOCK_RAW_MAX = 64 * 1024,
    CH_SST_INDEX_RAW_MAX = 1 << 30,
};

static inline uint64_t
ch_sst_seed(uint64_t file_number, uint64_t offset, unsigned kind)
{
    return ch_seed(file_number, offset, kind, 0);
}

/// Do the bytes carry this check?
static inline bool
ch_sst_check_holds(const void *data, size_t size, uint64_t seed, uint32_t check)
{
#if defined(CH_FAULT_SST_NO_BLOCK_CHECK)
    (void)data, (void)size, (void)seed, (void)check;
    return true;
#else
    return ch_check32(data, size, seed) == check;
#endif
}

#endif
