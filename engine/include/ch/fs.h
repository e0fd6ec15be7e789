/// The file system as a table of functions: the only door to files, so that tests can put a
/// simulated disk (power loss, n-th call fails) behind the same code.
///
/// Paths    relative or absolute, '/' between parts, as the implementation sees them.
/// Errors   CH_NOT_FOUND (open without CREATE), CH_ERR_EXISTS, CH_ERR_NOSPACE, CH_ERR_BUSY (lock),
///          CH_ERR_IO for everything else; the text names call, path and errno.
/// Threads  a ch_fs_t may be used from any thread; one ch_file_t by several when offsets differ.
#ifndef CH_FS_H
#define CH_FS_H

#include <sys/uio.h>
#include "ch/bytes.h"
#include "ch/status.h"

typedef struct ch_fs ch_fs_t;
typedef struct ch_file ch_file_t;

enum {
    CH_FS_READ = 0,
    CH_FS_WRITE = 1,     /* read and write */
    CH_FS_CREATE = 2,    /* make it when missing */
    CH_FS_EXCLUSIVE = 4, /* with CREATE: fail with CH_ERR_EXISTS when it is there */
};

/// Called per directory entry ("." and ".." left out); a non-zero return stops and is returned.
typedef ch_status_t (*ch_fs_visit_fn)(void *context, const char *name);

typedef struct ch_fs_ops {
    ch_status_t (*open)(ch_fs_t *fs, const char *path, unsigned flags,
                        ch_file_t **file_out);
    void (*close)(ch_file_t *file);
    /* Reads up to `size` bytes; *read_out < size only at the end of the file. */
    ch_status_t (*read)(ch_file_t *file, uint64_t offset, void *to, size_t size,
                        size_t *read_out);
    /* Writes all of it or fails; after a failure any part may have been written. */
    ch_status_t (*write)(ch_file_t *file, uint64_t offset, const void *from, size_t size);
    ch_status_t (*sync)(ch_file_t *file); /* fdatasync: data and size */
    void (*write_out)(ch_file_t *file, uint64_t offset, size_t size); /* NULL: no */
    ch_status_t (*truncate)(ch_file_t *file, uint64_t size);
    ch_status_t (*size)(ch_file_t *file, uint64_t *size_out);
    ch_status_t (*rename)(ch_fs_t *fs, const char *from,
                          const char *to); /* replaces `to` */
    ch_status_t (*unlink)(ch_fs_t *fs,
                          const char *path); /* a file or an empty directory */
    /* A second name for a file. CH_ERR_EXISTS; CH_ERR_UNSUPPORTED: not from here to there. */
    ch_status_t (*link)(ch_fs_t *fs, const char *from, const char *to);
    ch_status_t (*links)(ch_fs_t *fs, const char *path, uint64_t *count_out);
    ch_status_t (*mkdir)(ch_fs_t *fs,
                         const char *path); /* CH_OK when it is there already */
    ch_status_t (*sync_dir)(ch_fs_t *fs, const char *path);
    ch_status_t (*hold_dir)(ch_fs_t *fs, const char *path); /* NULL: nothing to hold */
    void (*drop_dir)(ch_fs_t *fs, const char *path);
    ch_status_t (*list)(ch_fs_t *fs, const char *path, ch_fs_visit_fn visit,
                        void *context);
    ch_status_t (*lock)(ch_fs_t *fs, const char *path,
                        ch_file_t **file_out); /* until closed */
    /* Beside other shared ones, never beside `lock`; makes nothing: CH_NOT_FOUND without the file. */
    ch_status_t (*lock_shared)(ch_fs_t *fs, const char *path, ch_file_t **file_out);
    ch_status_t (*space)(ch_fs_t *fs, const char *path, uint64_t *free_out,
                         uint64_t *total_out);
} ch_fs_ops_t;

/// Implementations embed these as their first member.
struct ch_fs {
    const ch_fs_ops_t *ops;
};

struct ch_file {
    ch_fs_t *fs;
};

/// The machine's own file system; static, never destroyed.
ch_fs_t *ch_fs_posix(void);

ch_status_t ch_fs_open(ch_fs_t *fs, const char *path, unsigned flags,
                       ch_file_t **file_out) CH_MUST_CHECK;
/// Closes and nulls; accepts NULL.
void ch_fs_close(ch_file_t **file);
ch_status_t ch_fs_read(ch_file_t *file, uint64_t offset, void *to, size_t size,
                       size_t *read_out) CH_MUST_CHECK;
/// Exactly `size` bytes, or CH_ERR_CORRUPT when the file ends before.
ch_status_t ch_fs_read_exact(ch_file_t *file, uint64_t offset, void *to,
                             size_t size) CH_MUST_CHECK;
ch_status_t ch_fs_write(ch_file_t *file, uint64_t offset, const void *from,
                        size_t size) CH_MUST_CHECK;
ch_status_t ch_fs_sync(ch_file_t *file) CH_MUST_CHECK;
/// A hint: begin to bring what was written there to the disk. Promises nothing, waits for nothing and keeps
/// errors for the sync. With it a long file goes out piece by piece, and not all at its sync, while
/// somebody else's sync waits in the same queue.
void ch_fs_write_out(ch_file_t *file, uint64_t offset, size_t size);
ch_status_t ch_fs_truncate(ch_file_t *file, uint64_t size) CH_MUST_CHECK;
ch_status_t ch_fs_size(ch_file_t *file, uint64_t *size_out) CH_MUST_CHECK;
ch_status_t ch_fs_rename(ch_fs_t *fs, const char *from, const char *to) CH_MUST_CHECK;
ch_status_t ch_fs_link(ch_fs_t *fs, const char *from, const char *to) CH_MUST_CHECK;
/// How many names the file has, this one counted.
ch_status_t ch_fs_links(ch_fs_t *fs, const char *path, uint64_t *count_out) CH_MUST_CHECK;
ch_status_t ch_fs_unlink(ch_fs_t *fs, const char *path) CH_MUST_CHECK;
ch_status_t ch_fs_mkdir(ch_fs_t *fs, const char *path) CH_MUST_CHECK;
ch_status_t ch_fs_sync_dir(ch_fs_t *fs, const char *path) CH_MUST_CHECK;
/// Keep what a sync of the directory takes, a descriptor, so that it never fails for want of one; until
/// drop_dir with the same path, once for each hold, when nobody syncs it any more.
ch_status_t ch_fs_hold_dir(ch_fs_t *fs, const char *path) CH_MUST_CHECK;
void ch_fs_drop_dir(ch_fs_t *fs, const char *path);
ch_status_t ch_fs_list(ch_fs_t *fs, const char *path, ch_fs_visit_fn visit,
                       void *context) CH_MUST_CHECK;
ch_status_t ch_fs_lock(ch_fs_t *fs, const char *path, ch_file_t **file_out) CH_MUST_CHECK;
ch_status_t ch_fs_lock_shared(ch_fs_t *fs, const char *path,
                              ch_file_t **file_out) CH_MUST_CHECK;
ch_status_t ch_fs_space(ch_fs_t *fs, const char *path, uint64_t *free_out,
                        uint64_t *total_out) CH_MUST_CHECK;

/// Lower the soft limit of open files a little below the hard one: what lies between is for files that are
/// opened when connections have taken all else. For a process that has set its limits as they shall stay.
void ch_fs_posix_reserve(void);

#endif
