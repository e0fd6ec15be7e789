/// Names in the log's directory: segments, spares and files half made.
///
/// Threads  functions may run on any thread; a listing belongs to one.
#ifndef CH_WAL_FILES_H
#define CH_WAL_FILES_H

#include "wal/wal.h"

enum { CH_WAL_PATH_BYTES = 4096 };

void ch_wal_segment_path(const char *directory, uint64_t number,
                         char out[CH_WAL_PATH_BYTES]);
void ch_wal_segment_tmp_path(const char *directory, uint64_t number,
                             char out[CH_WAL_PATH_BYTES]);
void ch_wal_spare_path(const char *directory, uint64_t number,
                       char out[CH_WAL_PATH_BYTES]);

typedef struct ch_wal_numbers {
    uint64_t *list;
    size_t count;
    size_t capacity;
} ch_wal_numbers_t;

void ch_wal_numbers_add(ch_wal_numbers_t *numbers, uint64_t number);
/// Take the first away.
uint64_t ch_wal_numbers_shift(ch_wal_numbers_t *numbers);
void ch_wal_numbers_release(ch_wal_numbers_t *numbers);

/// What stands in the directory, each kind ascending.
typedef struct ch_wal_listing {
    ch_wal_numbers_t segments, tmps, spares;
} ch_wal_listing_t;

/// Other names are left alone.
ch_status_t ch_wal_list(ch_fs_t *fs, const char *directory,
                        ch_wal_listing_t *listing) CH_MUST_CHECK;
void ch_wal_listing_release(ch_wal_listing_t *listing);

/// Sync a file, or the directory. A failed sync is CH_ERR_IO whatever its reason: what it lost is
/// unknown, and a second one would say that all is well.
ch_status_t ch_wal_sync_file(ch_file_t *file) CH_MUST_CHECK;
ch_status_t ch_wal_sync_directory(ch_fs_t *fs, const char *directory) CH_MUST_CHECK;

/// Sync the directory's own name in its parent.
ch_status_t ch_wal_sync_parent(ch_fs_t *fs, const char *directory) CH_MUST_CHECK;

#endif
