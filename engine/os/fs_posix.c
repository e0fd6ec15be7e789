/* fs_posix.c - the table of file functions over the machine's own file system.
 *
 * Only this file calls open, pread, fdatasync, rename and their kin.
 * A sync that failed is reported, never repeated: the kernel may have marked the lost pages
 * clean, and a second call would then lie. EINTR alone is repeated, it consumes no error.
 */
#include "ch/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "ch/alloc.h"

enum {
    FILE_MODE = 0640, /* records are nobody else's business; a group may read them */
    DIRECTORY_MODE = 0750,
    RESERVE_FILES = 64, /* of descriptors, or an eighth of all */
    RESERVE_TRIES = 8,
};

typedef struct posix_file {
    ch_file_t base;
    int fd;
    char *path; /* for error texts */
} posix_file_t;

/* Repeat a call that a signal interrupted. */
#define RETRY(call)                                                                      \
    __extension__({                                                                      \
        __typeof__(call) retry_result_;                                                  \
        do                                                                               \
            retry_result_ = (call);                                                      \
        while (retry_result_ < 0 && errno == EINTR);                                     \
        retry_result_;                                                                   \
    })

static ch_status_t
fail_errno(const char *call, const char *path, int error)
{
    ch_status_t status = CH_ERR_IO;
    if (error == ENOSPC || error == EDQUOT)
        status = CH_ERR_NOSPACE;
    else if (error == EEXIST)
        status = CH_ERR_EXISTS;
    const char *text = strerrordesc_np(error);
    return ch_fail(status, "%s %s: %s (errno %d)", call, path,
                   text ? text : "unknown error", error);
}

/* A directory opens and a pipe blocks: neither is a file of ours. */
static ch_status_t
check_regular(int fd, const char *path)
{
    struct stat about;
    if (fstat(fd, &about) < 0)
        return fail_errno("stat", path, errno);
    if (!S_ISREG(about.st_mode))
        return ch_fail(CH_ERR_IO, "open %s: not a regular file", path);
    return CH_OK;
}

/* Descriptors between the soft and the hard limit are this file's own: sockets cannot take them. The soft
 * limit is raised for the moment of one open; another thread may come in between, hence several tries. */
static pthread_mutex_t reserve_lock = PTHREAD_MUTEX_INITIALIZER;
static bool reserved; /* under reserve_lock: ch_fs_posix_reserve was called */

static int
open_from_reserve(const char *path, int mode)
{
    struct rlimit limit, raised;
    int fd = -1, why = EMFILE;
    (void)pthread_mutex_lock(&reserve_lock);
    if (reserved && getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
        limit.rlim_cur < limit.rlim_max) {
        raised = (struct rlimit){.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
        for (int i = 0; i < RESERVE_TRIES && fd < 0 && why == EMFILE; i++) {
            (void)setrlimit(RLIMIT_NOFILE, &raised);
            fd = RETRY(open(path, mode, FILE_MODE));
            why = errno;
            (void)setrlimit(RLIMIT_NOFILE, &limit);
        }
    }
    (void)pthread_mutex_unlock(&reserve_lock);
    errno = why;
    return fd;
}

void
ch_fs_posix_reserve(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    uint64_t files =
        limit.rlim_max / 8 < RESERVE_FILES ? limit.rlim_max / 8 : RESERVE_FILES;
    limit.rlim_cur = limit.rlim_max - files;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    (void)pthread_mutex_lock(&reserve_lock);
    reserved = true;
    (void)pthread_mutex_unlock(&reserve_lock);
}

static ch_status_t
posix_open(ch_fs_t *fs, const char *path, unsigned flags, ch_file_t **file_out)
{
    int mode = (flags & CH_FS_WRITE) ? O_RDWR : O_RDONLY;
    if (flags & CH_FS_CREATE)
        mode |= O_CREAT | ((flags & CH_FS_EXCLUSIVE) ? O_EXCL : 0);
    mode |= O_CLOEXEC | O_NONBLOCK;
    int fd = RETRY(open(path, mode, FILE_MODE));
#ifndef CH_FAULT_FS_NO_RESERVE
    if (fd < 0 && errno == EMFILE)
        fd = open_from_reserve(path, mode);
#endif
    if (fd < 0 && errno == ENOENT && !(flags & CH_FS_CREATE))
        return ch_fail(CH_NOT_FOUND, "open %s: no such file", path);
    if (fd < 0 &&
        (errno == EMFILE || errno == ENFILE)) /* connections took them: it passes */
        return ch_fail(CH_ERR_NOSPACE, "open %s: Too many open files", path);
    if (fd < 0)
        return fail_errno("open", path, errno);
    ch_status_t status = check_regular(fd, path);
    if (status < 0) {
        close(fd);
        return status;
    }
    posix_file_t *file = ch_calloc(1, sizeof *file);
    file->base.fs = fs;
    file->fd = fd;
    file->path = ch_strdup(path);
    *file_out = &file->base;
    return CH_OK;
}

static void
posix_close(ch_file_t *base)
{
    posix_file_t *file = (posix_file_t *)base;
    close(file->fd); /* what had to last was synced before; nothing to learn here */
    ch_free(file->path);
    ch_free(file);
}

/* off_t is signed: an offset that a damaged file made up must not turn negative. */
static ch_status_t
check_range(const posix_file_t *file, uint64_t offset, size_t size)
{
    if (offset > INT64_MAX || size > (uint64_t)INT64_MAX - offset)
        return fail_errno("offset in", file->path, EOVERFLOW);
    return CH_OK;
}

static ch_status_t
posix_read(ch_file_t *base, uint64_t offset, void *to, size_t size, size_t *read_out)
{
    posix_file_t *file = (posix_file_t *)base;
    ch_status_t status = check_range(file, offset, size);
    size_t done = 0;
    while (status >= 0 && done < size) {
        ssize_t got = RETRY(
            pread(file->fd, (uint8_t *)to + done, size - done, (off_t)(offset + done)));
        if (got < 0)
            status = fail_errno("read", file->path, errno);
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    if (status >= 0)
        *read_out = done;
    return status;
}

static ch_status_t
posix_write(ch_file_t *base, uint64_t offset, const void *from, size_t size)
{
    posix_file_t *file = (posix_file_t *)base;
    ch_status_t status = check_range(file, offset, size);
    for (size_t done = 0; status >= 0 && done < size;) {
        ssize_t put = RETRY(pwrite(file->fd, (const uint8_t *)from + done, size - done,
                                   (off_t)(offset + done)));
        if (put <= 0) /* 0 is not promised to come with an errno */
            status = fail_errno("write", file->path, put < 0 ? errno : EIO);
        else
            done += (size_t)put;
    }
    return status;
}

static ch_status_t
posix_sync(ch_file_t *base)
{
    posix_file_t *file = (posix_file_t *)base;
    if (RETRY(fdatasync(file->fd)) < 0)
        return fail_errno("fdatasync", file->path, errno);
    return CH_OK;
}

/* Without a flag that waits it takes no error away from the sync that has to see it. */
static void
posix_write_out(ch_file_t *base, uint64_t offset, size_t size)
{
    posix_file_t *file = (posix_file_t *)base;
    (void)sync_file_range(file->fd, (off_t)offset, (off_t)size, SYNC_FILE_RANGE_WRITE);
}

static ch_status_t
posix_truncate(ch_file_t *base, uint64_t size)
{
    posix_file_t *file = (posix_file_t *)base;
    ch_status_t status = check_range(file, size, 0);
    if (status >= 0 && RETRY(ftruncate(file->fd, (off_t)size)) < 0)
        status = fail_errno("truncate", file->path, errno);
    return status;
}

static ch_status_t
posix_size(ch_file_t *base, uint64_t *size_out)
{
    posix_file_t *file = (posix_file_t *)base;
    struct stat about;
    if (fstat(file->fd, &about) < 0)
        return fail_errno("stat", file->path, errno);
    *size_out = (uint64_t)about.st_size;
    return CH_OK;
}

static ch_status_t
posix_rename(ch_fs_t *fs, const char *from, const char *to)
{
    (void)fs;
    if (rename(from, to) < 0)
        return ch_fail_context(fail_errno("rename", from, errno), "to %s: ", to);
    return CH_OK;
}

static ch_status_t
posix_unlink(ch_fs_t *fs, const char *path)
{
    (void)fs;
    if (unlink(path) == 0 || (errno == EISDIR && rmdir(path) == 0))
        return CH_OK;
    return fail_errno("unlink", path, errno);
}

static ch_status_t
posix_link(ch_fs_t *fs, const char *from, const char *to)
{
    (void)fs;
    if (link(from, to) == 0)
        return CH_OK;
    if (errno == EXDEV || errno == EPERM || errno == EMLINK || errno == EOPNOTSUPP)
        return ch_fail(CH_ERR_UNSUPPORTED, "link %s to %s: not on this file system", from,
                       to);
    return ch_fail_context(fail_errno("link", from, errno), "to %s: ", to);
}

static ch_status_t
posix_links(ch_fs_t *fs, const char *path, uint64_t *count_out)
{
    (void)fs;
    struct stat about;
    if (stat(path, &about) != 0)
        return fail_errno("stat", path, errno);
    *count_out = about.st_nlink;
    return CH_OK;
}

static ch_status_t
posix_mkdir(ch_fs_t *fs, const char *path)
{
    (void)fs;
    if (mkdir(path, DIRECTORY_MODE) == 0)
        return CH_OK;
    int error = errno;
    struct stat about;
    if (error != EEXIST || stat(path, &about) != 0)
        return fail_errno("mkdir", path, error);
    return S_ISDIR(about.st_mode) ? CH_OK
                                  : ch_fail(CH_ERR_EXISTS, "%s is not a directory", path);
}

/* Directories that are held open: whoever connects may take all other descriptors, and a name that
 * cannot be made durable would end the node. */
typedef struct held_dir {
    struct held_dir *next;
    char *path;
    int fd;
} held_dir_t;

static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER;
static held_dir_t *held_dirs; /* under held_lock */

static ch_status_t
open_dir(const char *path, int *fd_out)
{
    int fd = RETRY(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd < 0)
        return fail_errno("open directory", path, errno);
    *fd_out = fd;
    return CH_OK;
}

static ch_status_t
posix_hold_dir(ch_fs_t *fs, const char *path)
{
    (void)fs;
    int fd = -1;
    ch_status_t status = open_dir(path, &fd);
    if (status < 0)
        return status;
    held_dir_t *held = ch_calloc(1, sizeof *held);
    held->path = ch_strdup(path);
    held->fd = fd;
    (void)pthread_mutex_lock(&held_lock);
    held->next = held_dirs;
    held_dirs = held;
    (void)pthread_mutex_unlock(&held_lock);
    return CH_OK;
}

/* The link that leads to the directory, or to NULL. Holding held_lock. */
static held_dir_t **
find_held(const char *path)
{
    held_dir_t **at = &held_dirs;
    while (*at && strcmp((*at)->path, path) != 0)
        at = &(*at)->next;
    return at;
}

static void
posix_drop_dir(ch_fs_t *fs, const char *path)
{
    (void)fs;
    (void)pthread_mutex_lock(&held_lock);
    held_dir_t **at = find_held(path), *held = *at;
    if (held)
        *at = held->next;
    (void)pthread_mutex_unlock(&held_lock);
    if (!held)
        return;
    close(held->fd);
    ch_free(held->path);
    ch_free(held);
}

static int
held_fd(const char *path)
{
    (void)pthread_mutex_lock(&held_lock);
    const held_dir_t *held = *find_held(path);
    int fd = held ? held->fd : -1;
    (void)pthread_mutex_unlock(&held_lock);
    return fd;
}

static ch_status_t
posix_sync_dir(ch_fs_t *fs, const char *path)
{
    (void)fs;
    int held = held_fd(path), fd = held;
    ch_status_t status = held < 0 ? open_dir(path, &fd) : CH_OK;
    if (status < 0)
        return status;
    if (RETRY(fsync(fd)) < 0)
        status = fail_errno("fsync directory", path, errno);
    if (held < 0)
        close(fd);
    return status;
}

static ch_status_t
posix_list(ch_fs_t *fs, const char *path, ch_fs_visit_fn visit, void *context)
{
    (void)fs;
    DIR *directory = opendir(path);
    if (!directory)
        return fail_errno("open directory", path, errno);
    ch_status_t status = CH_OK;
    while (status == CH_OK) {
        errno = 0; /* readdir says end and error alike with NULL */
        struct dirent *entry = readdir(directory);
        if (!entry && errno)
            status = fail_errno("read directory", path, errno);
        if (!entry)
            break;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            status = visit(context, entry->d_name);
    }
    closedir(directory);
    return status;
}

/* flock belongs to the open file, so it goes with close, exit and kill -9 alike, and also keeps
 * two nodes in one process apart. */
static ch_status_t
take_lock(ch_fs_t *fs, const char *path, unsigned flags, int operation,
          ch_file_t **file_out)
{
    ch_file_t *file = NULL;
    ch_status_t status = posix_open(fs, path, flags, &file);
    if (status != CH_OK)
        return status;
    if (RETRY(flock(((posix_file_t *)file)->fd, operation | LOCK_NB)) == 0) {
        *file_out = file;
        return CH_OK;
    }
    if (errno == EWOULDBLOCK)
        status = ch_fail(CH_ERR_BUSY, "lock %s: held by another process", path);
    else
        status = fail_errno("lock", path, errno);
    posix_close(file);
    return status;
}

static ch_status_t
posix_lock(ch_fs_t *fs, const char *path, ch_file_t **file_out)
{
    return take_lock(fs, path, CH_FS_WRITE | CH_FS_CREATE, LOCK_EX, file_out);
}

static ch_status_t
posix_lock_shared(ch_fs_t *fs, const char *path, ch_file_t **file_out)
{
    return take_lock(fs, path, CH_FS_READ, LOCK_SH, file_out);
}

static ch_status_t
posix_space(ch_fs_t *fs, const char *path, uint64_t *free_out, uint64_t *total_out)
{
    (void)fs;
    struct statvfs about;
    if (RETRY(statvfs(path, &about)) < 0)
        return fail_errno("statvfs", path, errno);
    *free_out = (uint64_t)about.f_bavail * about.f_frsize; /* what is left for non-root */
    *total_out = (uint64_t)about.f_blocks * about.f_frsize;
    return CH_OK;
}

static const ch_fs_ops_t posix_ops = {
    .open = posix_open,
    .close = posix_close,
    .read = posix_read,
    .write = posix_write,
    .sync = posix_sync,
    .write_out = posix_write_out,
    .truncate = posix_truncate,
    .size = posix_size,
    .rename = posix_rename,
    .unlink = posix_unlink,
    .link = posix_link,
    .links = posix_links,
    .mkdir = posix_mkdir,
    .sync_dir = posix_sync_dir,
    .hold_dir = posix_hold_dir,
    .drop_dir = posix_drop_dir,
    .list = posix_list,
    .lock = posix_lock,
    .lock_shared = posix_lock_shared,
    .space = posix_space,
};

ch_fs_t *
ch_fs_posix(void)
{
    static ch_fs_t posix = {.ops = &posix_ops};
    return &posix;
}
