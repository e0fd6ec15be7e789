/// A sorted array of series with their points: what a sorted table is tested against.
#ifndef TESTS_SUPPORT_SST_MODEL_H
#define TESTS_SUPPORT_SST_MODEL_H

#include "ch/fs.h"
#include "ch/points.h"
#include "ch/rng.h"
#include "sst/sstable.h"

typedef struct ch_sst_model_series {
    char name[32];
    char labels[160];
    ch_points_t points;
} ch_sst_model_series_t;

typedef struct ch_sst_model {
    ch_sst_model_series_t *series; /* in key order, keys distinct */
    size_t count;
    size_t points;
    ch_column_level_t level; /* to write at */
} ch_sst_model_t;

/// About `series` series of 1 to points_max points: all value types, regular and irregular times,
/// names that are prefixes of others, with and without labels.
void ch_sst_model_random(ch_sst_model_t *model, ch_rng_t *rng, size_t series,
                         size_t points_max);
void ch_sst_model_release(ch_sst_model_t *model);

/// Write it all as table `file_number`. On failure the writer has been destroyed.
ch_status_t ch_sst_model_write(const ch_sst_model_t *model, ch_fs_t *fs, const char *path,
                               uint64_t file_number,
                               ch_sstable_info_t *info_out) CH_MUST_CHECK;

/// Are the points [from, to) of `a` the run `b`, bit for bit?
bool ch_sst_model_points_equal(const ch_points_t *a, size_t from, size_t to,
                               const ch_points_t *b);

/// Read everything and compare. True when each answer is right, or an explicit error and
/// `errors_allowed`; *errors_out counts those.
bool ch_sst_model_matches(const ch_sst_model_t *model, ch_sstable_t *sstable,
                          bool errors_allowed, size_t *errors_out);

#endif
