/// A batch of points as columns: what wire decodes, the WAL records and the memtable takes.
///
/// Shape    an array of blocks in frame order (the protocol: points, rows, series, tables). A block is
///            SERIES  one series, `rows` points: names[1], labels[1], times, values[1]
///            TABLE   rows x fields cells, cell (i, j) is a point of series
///                    (names[j], labels[i]) at time i: names[fields], labels[rows], values[fields]
///            POINTS  `rows` points of any series: names[rows], labels[rows], values[1]
///          Points are numbered from 0 in block order; a TABLE row by row, cell by cell. A cell
///          whose value is CH_VALUE_NONE is no point and takes no number.
/// Units    times: ns since the epoch.
/// Owner    a batch borrows everything from the frame and from its decoder's scratch.
/// Threads  read-only once built.
#ifndef CH_BATCH_H
#define CH_BATCH_H

#include "ch/coding.h"
#include "ch/status.h"
#include "ch/value.h"

typedef enum { CH_TIMES_PACKED, CH_TIMES_REGULAR } ch_times_form_t;

/// n times, either packed int64 (little-endian, any alignment) or start + i * step (mod 2^64).
typedef struct ch_times {
    ch_times_form_t form;
    const uint8_t *packed;
    int64_t start;
    int64_t step;
} ch_times_t;

static inline int64_t
ch_times_at(const ch_times_t *times, uint32_t i)
{
    if (times->form == CH_TIMES_PACKED)
        return ch_load_i64(times->packed + (size_t)i * 8);
    return (int64_t)((uint64_t)times->start + (uint64_t)i * (uint64_t)times->step);
}

typedef enum { CH_VALUES_I64, CH_VALUES_F64, CH_VALUES_LIST } ch_values_form_t;

/// n values: packed ints, packed floats, or a list of typed values.
typedef struct ch_values {
    ch_values_form_t form;
    const uint8_t *packed;
    const ch_value_t *list;
} ch_values_t;

static inline ch_value_t
ch_values_at(const ch_values_t *values, uint32_t i)
{
    switch (values->form) {
    case CH_VALUES_I64:
        return ch_value_int(ch_load_i64(values->packed + (size_t)i * 8));
    case CH_VALUES_F64:
        return ch_value_float(ch_load_f64(values->packed + (size_t)i * 8));
    case CH_VALUES_LIST:
        break;
    }
    return values->list[i];
}

typedef enum { CH_BLOCK_SERIES, CH_BLOCK_TABLE, CH_BLOCK_POINTS } ch_block_kind_t;

typedef struct ch_batch_block {
    ch_block_kind_t kind;
    uint32_t rows;
    uint32_t fields; /* 1 unless TABLE */
    const ch_bytes_t *names;
    const ch_bytes_t *labels; /* canonical label text */
    ch_times_t times;
    const ch_values_t *values; /* `fields` of them */
} ch_batch_block_t;

/// Series that a block names: SERIES 1, TABLE rows * fields (row by row), POINTS rows.
static inline size_t
ch_batch_block_cells(const ch_batch_block_t *block)
{
    return block->kind == CH_BLOCK_SERIES ? 1 : (size_t)block->rows * block->fields;
}

/// Who sends; absent means fire-and-forget.
typedef struct ch_identity {
    bool present;
    char producer[65]; /* NUL-terminated */
    uint64_t epoch;
    uint64_t seq;
} ch_identity_t;

typedef struct ch_batch {
    ch_identity_t identity;
    const ch_batch_block_t *blocks;
    uint32_t block_count;
    uint32_t points; /* NONE cells not counted */
} ch_batch_t;

/// Why a batch is refused, for the producer.
typedef struct ch_reject {
    uint64_t seq;
    int64_t index;    /* point to blame, -1 when no single one */
    ch_status_t code; /* CH_ERR_INVALID ("bad_request"), CH_ERR_LIMIT ("limit") or
                         CH_ERR_FORBIDDEN ("forbidden") */
    char message[160];
} ch_reject_t;

#endif
