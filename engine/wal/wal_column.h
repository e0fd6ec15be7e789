/// Columns inside a record: ints, ids, times and values (docs/format/wal.md, "Record").
///
/// Decoders take [from, end) and return the byte after the column, or NULL when it is malformed;
/// they never read past `end`, and allocate from `arena` no more than the counts the caller has
/// checked against CH_WAL_RECORD_CELLS_MAX.
/// Threads  pure, apart from the buffers passed in.
#ifndef CH_WAL_COLUMN_H
#define CH_WAL_COLUMN_H

#include "ch/batch.h"
#include "wal/wal_memory.h"

/// n little-endian int64 at any alignment, as least value plus narrow offsets.
void ch_wal_ints_encode(ch_wal_buffer_t *out, const uint8_t *packed, size_t n);
const uint8_t *ch_wal_ints_decode(const uint8_t *from, const uint8_t *end,
                                  int64_t *ints_out, size_t n);

/// rows x fields local series ids, row by row. `scratch` is overwritten.
void ch_wal_ids_encode(ch_wal_buffer_t *out, const uint32_t *ids, size_t rows,
                       size_t fields, ch_wal_buffer_t *scratch);
/// Ids are checked to be u32 only: which of them matter is known once the values are.
const uint8_t *ch_wal_ids_decode(const uint8_t *from, const uint8_t *end, size_t rows,
                                 size_t fields, ch_wal_arena_t *arena, uint32_t *ids_out);

/// The times of the block before, for the form "same"; zero-initialised at a record's start.
typedef struct ch_wal_times_memory {
    bool present;
    uint32_t rows;
    ch_times_t times;
} ch_wal_times_memory_t;

void ch_wal_times_encode(ch_wal_buffer_t *out, const ch_times_t *times, uint32_t rows,
                         int64_t record_time, ch_wal_times_memory_t *memory,
                         ch_wal_buffer_t *scratch);
const uint8_t *ch_wal_times_decode(const uint8_t *from, const uint8_t *end, uint32_t rows,
                                   int64_t record_time, ch_wal_times_memory_t *memory,
                                   ch_wal_arena_t *arena, ch_times_t *times_out);

void ch_wal_values_encode(ch_wal_buffer_t *out, const ch_values_t *values, uint32_t rows,
                          ch_wal_buffer_t *scratch);
/// Strings point into [from, end).
const uint8_t *ch_wal_values_decode(const uint8_t *from, const uint8_t *end,
                                    uint32_t rows, ch_wal_arena_t *arena,
                                    ch_values_t *values_out);

#endif
