/// Builds the frame of one batch: the other side of batch_decoder, for clients, tests and benches.
///
/// Shape    points, rows, series and tables may be added in any mix; each shape collects in its own
///          buffer and `finish` joins them, identity first.
/// Errors   memory only (CH_ERR_LIMIT, sticky until reset); content is not judged here, so that
///          tests can encode anything.
/// Threads  one at a time. Never aborts.
#ifndef CH_BATCH_ENCODER_H
#define CH_BATCH_ENCODER_H

#include "ch/batch.h"
#include "ch/series_key.h"

typedef struct ch_batch_encoder ch_batch_encoder_t;

/// NULL when out of memory.
ch_batch_encoder_t *ch_batch_encoder_new(void) CH_MUST_CHECK;
void ch_batch_encoder_destroy(ch_batch_encoder_t **encoder);

/// Start the next batch; memory is kept.
void ch_batch_encoder_reset(ch_batch_encoder_t *encoder);

/// A single time as it goes out: nil (the node's clock) or an int.
typedef struct ch_when {
    bool node_clock;
    int64_t time;
} ch_when_t;

static inline ch_when_t
ch_when(int64_t time)
{
    return (ch_when_t){.node_clock = false, .time = time};
}

static inline ch_when_t
ch_when_received(void)
{
    return (ch_when_t){.node_clock = true, .time = 0};
}

/// `key` is key text, labels in any order. A CH_VALUE_NONE goes out as nil.
void ch_batch_encoder_point(ch_batch_encoder_t *encoder, ch_bytes_t key, ch_when_t when,
                            ch_value_t value);

/// One instant of `field_count` series name_field{labels}.
void ch_batch_encoder_row(ch_batch_encoder_t *encoder, ch_bytes_t name,
                          const ch_label_t *labels, uint32_t label_count, ch_when_t when,
                          const ch_bytes_t *fields, const ch_value_t *values,
                          uint32_t field_count);

/// One series, `count` points. Packed forms go out as ext columns, REGULAR times as a map, a LIST
/// as an array.
void ch_batch_encoder_series(ch_batch_encoder_t *encoder, ch_bytes_t key,
                             const ch_times_t *times, const ch_values_t *values,
                             uint32_t count);

typedef struct ch_batch_table {
    ch_bytes_t name;
    uint32_t label_count;
    const ch_bytes_t *label_names;
    uint32_t rows;
    const ch_bytes_t *label_values; /* rows * label_count, row by row; data NULL: nil */
    bool single_time;               /* `when` for all rows; else `times` */
    ch_when_t when;
    ch_times_t times;
    uint32_t field_count;
    const ch_bytes_t *fields;
    const ch_values_t *values; /* field_count columns of `rows` */
} ch_batch_table_t;

void ch_batch_encoder_table(ch_batch_encoder_t *encoder, const ch_batch_table_t *table);

/// Points added since reset (NONE values not counted), and the size `finish` would give, identity
/// included, to within 176 bytes above.
uint32_t ch_batch_encoder_points(const ch_batch_encoder_t *encoder);
size_t ch_batch_encoder_size(const ch_batch_encoder_t *encoder);

/// The frame; valid until the next call on this encoder. `identity` may be NULL or not present.
/// May be called again with another identity. Errors: CH_ERR_LIMIT (out of memory).
ch_status_t ch_batch_encoder_finish(ch_batch_encoder_t *encoder,
                                    const ch_identity_t *identity,
                                    ch_bytes_t *frame_out) CH_MUST_CHECK;

/// Give a finished frame with identity another epoch and seq, in place (finish writes both nine
/// bytes wide). False: not such a frame.
bool ch_batch_frame_renumber(uint8_t *frame, size_t size, uint64_t epoch, uint64_t seq);

#endif
