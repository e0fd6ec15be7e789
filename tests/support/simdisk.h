/// The disk behind simfs: nodes (files and directories) with a live and a durable state, and the
/// changes between. No faults, no locks, no handles: simfs.c adds those.
///
/// Ownership  the disk owns its nodes; a node goes when nothing live, durable, pending or open
///            refers to it, which is looked for at a crash and at a directory's sync.
/// Threads    none; simfs holds its mutex around every call.
#ifndef TESTS_SUPPORT_SIMDISK_H
#define TESTS_SUPPORT_SIMDISK_H

#include "support/simfs.h"

enum { CH_SIMDISK_SECTOR_BYTES = 512 };

typedef struct ch_simdisk ch_simdisk_t;
typedef struct ch_simnode ch_simnode_t;

/* ---- a file's content (simfile.c) ---- */

typedef struct ch_simfile ch_simfile_t;

ch_simfile_t *ch_simfile_new(void);
void ch_simfile_destroy(ch_simfile_t **file);
ch_simfile_t *ch_simfile_clone(const ch_simfile_t *file);
uint64_t ch_simfile_size(const ch_simfile_t *file);
size_t ch_simfile_read(const ch_simfile_t *file, uint64_t offset, void *to, size_t size);
void ch_simfile_write(ch_simfile_t *file, uint64_t offset, const void *from, size_t size);
void ch_simfile_truncate(ch_simfile_t *file, uint64_t size);
void ch_simfile_sync(ch_simfile_t *file);
/// A sync that failed: pending writes will never reach the disk, though reads show them.
void ch_simfile_sync_failed(ch_simfile_t *file);
size_t ch_simfile_unsynced(const ch_simfile_t *file);
void ch_simfile_crash(ch_simfile_t *file, ch_simfs_crash_t mode, ch_rng_t *rng);
bool ch_simfile_flip(ch_simfile_t *file, uint64_t bit);

/* ---- names (simdisk.c) ---- */

ch_simdisk_t *ch_simdisk_new(void);
void ch_simdisk_destroy(ch_simdisk_t **disk);
ch_simdisk_t *ch_simdisk_clone(ch_simdisk_t *disk);

/// Open counts a use of the node, close ends it.
ch_status_t ch_simdisk_open(ch_simdisk_t *disk, const char *path, unsigned flags,
                            ch_simnode_t **node_out);
void ch_simdisk_close(ch_simnode_t *node);
ch_simfile_t *ch_simdisk_file(ch_simnode_t *node);
/// False when it is locked already.
bool ch_simdisk_lock(ch_simnode_t *node);
void ch_simdisk_unlock(ch_simnode_t *node);

ch_status_t ch_simdisk_rename(ch_simdisk_t *disk, const char *from, const char *to);
ch_status_t ch_simdisk_link(ch_simdisk_t *disk, const char *from, const char *to);
/// How many live names a file has.
ch_status_t ch_simdisk_links(ch_simdisk_t *disk, const char *path, uint64_t *count_out);
/// A file or an empty directory.
ch_status_t ch_simdisk_unlink(ch_simdisk_t *disk, const char *path);
ch_status_t ch_simdisk_mkdir(ch_simdisk_t *disk, const char *path);
ch_status_t ch_simdisk_sync_dir(ch_simdisk_t *disk, const char *path);
/// Copies of a directory's names in order; the caller frees each and the array.
ch_status_t ch_simdisk_list(ch_simdisk_t *disk, const char *path, char ***names_out,
                            size_t *count_out);
/// NULL when there is no such file.
ch_simfile_t *ch_simdisk_find(ch_simdisk_t *disk, const char *path);

typedef struct ch_simdisk_path {
    char *path;
    uint64_t size;
} ch_simdisk_path_t;

/// Every file by its whole path, in order of path; the caller frees each and the array.
void ch_simdisk_files(const ch_simdisk_t *disk, ch_simdisk_path_t **paths_out,
                      size_t *count_out);

uint64_t ch_simdisk_used(const ch_simdisk_t *disk);
size_t ch_simdisk_unsynced(const ch_simdisk_t *disk);
void ch_simdisk_crash(ch_simdisk_t *disk, ch_simfs_crash_t mode, ch_rng_t *rng);

#endif
