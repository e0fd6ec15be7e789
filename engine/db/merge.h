/// Several tables become few: a k-way merge over key order, one window of time at a time.
///
/// Rule      of equal times the point of the newest input stays (inputs come oldest first).
/// Chunks    one that lies whole in the window, overlaps nothing of its series in another input, is
///           touched by no delete and has CH_MERGE_PASS_POINTS or more passes as it is stored; the rest
///           is decoded, merged and encoded towards CH_CHUNK_POINTS_TARGET.
/// Memory    the points of one series in the window, one data block an input, and the writer's.
/// Threads   one at a time.
#ifndef CH_DB_MERGE_H
#define CH_DB_MERGE_H

#include "sst/sstable.h"

enum {
    CH_MERGE_PASS_POINTS = 2048, /* half of what chunks are encoded towards */
    CH_MERGE_PASS_BYTES =
        32 << 10, /* long strings end a chunk before it has so many points */
};

typedef struct ch_merge_input {
    const ch_sstable_t *sstable;
    bool pass; /* its chunks are encoded as the output wants them */
} ch_merge_input_t;

typedef struct ch_merge_options {
    ch_fs_t *fs;
    const ch_merge_input_t *inputs; /* oldest first */
    size_t input_count;
    int64_t first, last; /* the window, both inclusive */
    uint64_t lsn_min, lsn_max;
    ch_column_level_t level;
    uint64_t file_bytes_max; /* an output goes on past it only to the end of a series */

    /* The number and path (owned by the merge then) of the next output. */
    char *(*new_file)(void *context, uint64_t *number_out);
    /* Called after every series with the bytes read for it; < 0 ends the merge. May be slow. */
    ch_status_t (*pace)(void *context, uint64_t bytes);
    /* Deletes: may they concern points of this input's series in [first, last]? Then filter takes
     * them out. Both NULL: there are none. */
    bool (*touches)(void *context, size_t input, ch_bytes_t name, ch_bytes_t labels,
                    int64_t first, int64_t last);
    void (*filter)(void *context, size_t input, ch_bytes_t name, ch_bytes_t labels,
                   ch_points_t *points);
    void *context;
} ch_merge_options_t;

typedef struct ch_merge_output {
    char *path;
    ch_sstable_info_t info;
} ch_merge_output_t;

typedef struct ch_merge_result {
    ch_merge_output_t *outputs; /* complete and durable, in key order */
    size_t output_count;
    uint64_t bytes_read, bytes_written;
    uint64_t chunks_passed;
    bool input_failed; /* an error is of ... */
    size_t failed_input;
} ch_merge_result_t;

/// On an error *result_out holds no outputs, and none is left on the disk as far as it lets us.
ch_status_t ch_merge_run(const ch_merge_options_t *options,
                         ch_merge_result_t *result_out) CH_MUST_CHECK;

/// Free; `remove`: the outputs' files too.
void ch_merge_result_release(ch_merge_result_t *result, ch_fs_t *fs, bool remove);

#endif
