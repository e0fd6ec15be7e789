/// Inside the model, for its own files: every point ever appended, and what is left of a series.
#ifndef CH_TEST_SUPPORT_ENGINE_MODEL_STATE_H
#define CH_TEST_SUPPORT_ENGINE_MODEL_STATE_H

#include "support/engine_model.h"

enum { BLOCKS_MAX = 4, CELLS_MAX = 256, SECOND = 1000000000 };

typedef struct model_point {
    uint64_t lsn;
    uint64_t deleted_lsn; /* of the first delete that took it; 0: none */
    uint32_t series;
    int64_t time;
    ch_value_t value; /* strings point into `texts` */
} model_point_t;

enum { ALL_SERIES = CH_MODEL_NAMES * CH_MODEL_LABELS };

/* Which series a delete names, as the model sees it. */
typedef struct model_delete {
    bool names[ALL_SERIES];
    int64_t start, end;
} model_delete_t;

struct ch_model {
    model_delete_t fresh_delete;
    ch_delete_t delete;
    char match[128];
    model_point_t *points; /* in order of lsn, then position */
    size_t count, capacity;
    char names[CH_MODEL_NAMES][32];
    char labels[CH_MODEL_LABELS][64];
    /* the batch at hand */
    ch_batch_t batch;
    ch_batch_block_t blocks[BLOCKS_MAX];
    ch_bytes_t block_names[BLOCKS_MAX][CELLS_MAX], block_labels[BLOCKS_MAX][CELLS_MAX];
    ch_values_t values[BLOCKS_MAX][16];
    ch_value_t lists[BLOCKS_MAX][16][CELLS_MAX];
    uint64_t packed[BLOCKS_MAX][16][CELLS_MAX], times[BLOCKS_MAX][CELLS_MAX];
    model_point_t fresh[BLOCKS_MAX * 16 * CELLS_MAX];
    size_t fresh_count;
};

/* What the model holds of one series as of a position, by second. */
typedef struct ch_model_series {
    bool present[CH_MODEL_SECONDS];
    ch_value_t value[CH_MODEL_SECONDS];
    bool any;
} ch_model_series_t;

void ch_model_expect(const ch_model_t *model, uint32_t series, uint64_t lsn,
                     ch_model_series_t *out);

/// Random selectors: series, labels and their values, aggregates over windows and groups, against
/// what a walk over the points says.
void ch_model_compare_queries(ch_model_t *model, ch_view_t *view, ch_rng_t *rng);

#endif
