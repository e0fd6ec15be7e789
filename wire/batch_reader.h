/// Inside of batch_decoder: its state, and the readers that the four shapes share.
///
/// Faults   a reader that finds bad content fills in a fault (what, and at which item) and leaves
///          the cursor behind the value; only the shape knows which point that is. A shape refuses
///          the batch with ch_batch_refuse, once; functions that return false have done so (or ran
///          out of memory: `no_memory`).
/// Frames   what is read may be torn or end early: a cursor that fails is refused as bad content, and
///          batch_decoder then looks at the whole frame.
#ifndef CH_BATCH_READER_H
#define CH_BATCH_READER_H

#include "ch/batch_decoder.h"
#include "ch/assert.h"
#include "ch/cursor.h"
#include "ch/series_key.h"
#include "key_cache.h"
#include "scratch.h"

enum {
    CH_BATCH_LABELS_MAX = 256, /* label names that may be given, empty values included */
    CH_BATCH_CELLS_PER_POINT =
        8 /* cells, nil included, for each point a batch may have */
};

/* Bad content, and at which item of a column it is. */
typedef struct ch_fault {
    ch_status_t code; /* CH_OK: none */
    uint32_t at;
    const char *what;
} ch_fault_t;

/* One cell of `rows`: a run of them becomes a table. */
typedef struct ch_batch_rows ch_batch_rows_t;

struct ch_batch_decoder {
    ch_limits_t limits;
    ch_scratch_t scratch;
    ch_key_cache_t keys;
    ch_text_t text; /* of one key that is not canonical */
    ch_batch_block_t *blocks;
    uint32_t block_capacity;
    ch_label_t labels[CH_BATCH_LABELS_MAX];
    ch_batch_rows_t *rows;
    /* of the present batch */
    ch_batch_t batch;
    ch_reject_t reject;
    bool no_memory;
    int64_t now_ns;
    uint64_t key_bytes; /* names and label texts handed out so far */
    uint64_t cells;     /* of tables and rows */
    bool strange;       /* something was skipped unseen; its depth is not known */
};

/* ---- refusing */

bool ch_batch_refuse(ch_batch_decoder_t *decoder, ch_status_t code, int64_t index,
                     const char *format, ...) CH_PRINTF(4, 5);
static inline bool
ch_batch_refused(const ch_batch_decoder_t *decoder)
{
    return decoder->no_memory || decoder->reject.code != CH_OK;
}

void *ch_batch_alloc(ch_batch_decoder_t *decoder, size_t count, size_t size);

/// Count points and cells; refuse beyond the limits.
bool ch_batch_count_points(ch_batch_decoder_t *decoder, uint64_t points);
bool ch_batch_count_cells(ch_batch_decoder_t *decoder, uint32_t rows, uint32_t fields);

/// Count bytes of a name or label text that was handed out.
bool ch_batch_count_key(ch_batch_decoder_t *decoder, size_t bytes);

/// Append a block; NULL when out of memory.
ch_batch_block_t *ch_batch_add_block(ch_batch_decoder_t *decoder);

/* ---- values and times */

/// One value; containers are skipped whole (and are a fault). False: a fault (its `at` untouched).
bool ch_batch_read_value(ch_cursor_t *cursor, ch_value_t *value_out,
                         ch_fault_t *fault_out);

/// One time; nil is `now_ns`.
bool ch_batch_read_time(const ch_batch_decoder_t *decoder, ch_cursor_t *cursor,
                        int64_t *time_out, ch_fault_t *fault_out);

/// A column of values whose type may change on the way: packed while it can be, a list after.
typedef struct ch_column {
    ch_values_form_t form;
    uint32_t count;
    uint32_t capacity;
    uint8_t *packed;
    ch_value_t *list;
} ch_column_t;

bool ch_column_init(ch_batch_decoder_t *decoder, ch_column_t *column, uint32_t capacity);
bool ch_column_push(ch_batch_decoder_t *decoder, ch_column_t *column, ch_value_t value);
ch_values_t ch_column_values(const ch_column_t *column);

/// Columns as they stand in the frame, header read: how many, and what form.
typedef struct ch_batch_column {
    ch_cursor_t cursor; /* at the first item of an array */
    bool array;
    uint32_t count;
    ch_values_t values; /* packed columns: as handed out */
} ch_batch_column_t;

/// Read a column's header and leave the cursor behind the column. False: *fault_out.
bool ch_batch_open_values(ch_cursor_t *cursor, ch_batch_column_t *column_out,
                          ch_fault_t *fault_out);

/// The values of an opened column. A nil counts in *none_out, or is a fault when none_out is NULL.
/// False only without memory; a fault is the first one.
bool ch_batch_load_values(ch_batch_decoder_t *decoder, const ch_batch_column_t *column,
                          ch_values_t *values_out, uint32_t *none_out,
                          ch_fault_t *fault_out);

/// Times of a series or table: forms as in docs/protocol.md; `any` when the length is free (regular, single).
typedef struct ch_batch_times {
    ch_cursor_t cursor;
    bool array;
    bool any;
    bool strange; /* a map with more than start and step */
    uint32_t count;
    ch_times_t times;
} ch_batch_times_t;

bool ch_batch_open_times(const ch_batch_decoder_t *decoder, ch_cursor_t *cursor,
                         bool single, ch_batch_times_t *times_out, ch_fault_t *fault_out);
bool ch_batch_load_times(ch_batch_decoder_t *decoder, const ch_batch_times_t *opened,
                         uint32_t count, ch_times_t *times_out, ch_fault_t *fault_out);

/* ---- names and labels */

/// A key, text or map, to its canonical parts. False: no memory, or *fault_out.
bool ch_batch_read_key(ch_batch_decoder_t *decoder, ch_cursor_t *cursor,
                       ch_bytes_t *name_out, ch_bytes_t *labels_out,
                       ch_fault_t *fault_out);

/// A map of labels (no `__name__`) to canonical text.
bool ch_batch_read_labels(ch_batch_decoder_t *decoder, ch_cursor_t *cursor,
                          ch_bytes_t *labels_out, ch_fault_t *fault_out);

/// Write `count` labels, already sorted by name, as canonical text; empty values are left out.
/// Names must be valid and distinct; values are checked.
bool ch_batch_write_labels(ch_batch_decoder_t *decoder, const ch_label_t *labels,
                           uint32_t count, ch_bytes_t *labels_out, ch_fault_t *fault_out);

/// `name_field`, both checked. False: no memory, or *fault_out.
bool ch_batch_join_name(ch_batch_decoder_t *decoder, ch_bytes_t name, ch_bytes_t field,
                        ch_bytes_t *joined_out, ch_fault_t *fault_out);

static inline bool
ch_fault(ch_fault_t *fault, ch_status_t code, const char *what)
{
    fault->code = code;
    fault->what = what;
    return false;
}

/* ---- shapes: the cursor stands at the section's array, and behind it after success */

bool ch_batch_decode_points(ch_batch_decoder_t *decoder, ch_cursor_t *cursor);
bool ch_batch_decode_rows(ch_batch_decoder_t *decoder, ch_cursor_t *cursor);
bool ch_batch_decode_series(ch_batch_decoder_t *decoder, ch_cursor_t *cursor);
bool ch_batch_decode_tables(ch_batch_decoder_t *decoder, ch_cursor_t *cursor);
void ch_batch_rows_destroy(ch_batch_rows_t **rows);
size_t ch_batch_rows_bytes(const ch_batch_rows_t *rows);

#endif
