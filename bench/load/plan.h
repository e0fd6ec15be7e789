/// How one producer cuts its hosts' data into batches, and a batch as a frame.
///
/// Shape    the data is a line of units, time-major: unit u is host u % hosts at block u / hosts. A
///          block is one step, or for `series` one column of `column` steps. Batch `seq` (from 1) is
///          `batch_units` units in a row, so whatever is acknowledged is, for every host, a prefix.
/// Owner    the encoder's frame is valid until the next call. Threads  a plan belongs to one thread.
#ifndef CH_BENCH_PLAN_H
#define CH_BENCH_PLAN_H

#include "ch/batch_encoder.h"
#include "devops.h"

typedef enum {
    CH_SHAPE_SERIES,
    CH_SHAPE_TABLES,
    CH_SHAPE_ROWS,
    CH_SHAPE_POINTS
} ch_shape_t;

/// False: no such shape.
bool ch_shape_parse(const char *text, ch_shape_t *shape_out);

typedef struct ch_plan_options {
    const ch_devops_t *devops;
    ch_shape_t shape;
    uint32_t column;       /* points of one series in a batch, `series` only */
    uint32_t batch_points; /* about so many */
    bool regular;          /* times as {start, step}, else packed; `series` only */
    uint32_t host_first, host_count;
} ch_plan_options_t;

typedef struct ch_plan {
    ch_plan_options_t options;
    uint64_t units, batch_units, batches;
    ch_batch_encoder_t *encoder;
    uint8_t *packed_times, *packed_values;
    ch_bytes_t *cells; /* a table's label values */
} ch_plan_t;

void ch_plan_init(ch_plan_t *plan, const ch_plan_options_t *options);
void ch_plan_release(ch_plan_t *plan);

/// Encode batch `seq` of `producer`.
ch_bytes_t ch_plan_encode(ch_plan_t *plan, const char *producer, uint64_t seq);

/// Points of batches 1 to `seq`.
uint64_t ch_plan_points(const ch_plan_t *plan, uint64_t seq);

/// Steps that a host (of this plan) has in batches 1 to `seq`.
uint32_t ch_plan_steps(const ch_plan_t *plan, uint64_t seq, uint32_t host);

#endif
