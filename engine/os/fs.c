/* fs.c - the callers' side of the table of file functions. */
#include "ch/fs.h"

#include <inttypes.h>

ch_status_t
ch_fs_open(ch_fs_t *fs, const char *path, unsigned flags, ch_file_t **file_out)
{
    return fs->ops->open(fs, path, flags, file_out);
}

void
ch_fs_close(ch_file_t **file)
{
    if (!file || !*file)
        return;
    (*file)->fs->ops->close(*file);
    *file = NULL;
}

ch_status_t
ch_fs_read(ch_file_t *file, uint64_t offset, void *to, size_t size, size_t *read_out)
{
    return file->fs->ops->read(file, offset, to, size, read_out);
}

ch_status_t
ch_fs_read_exact(ch_file_t *file, uint64_t offset, void *to, size_t size)
{
    size_t got = 0;
    ch_status_t status = ch_fs_read(file, offset, to, size, &got);
    if (status < 0)
        return status;
#ifndef CH_FAULT_FS_READ_EXACT_SHORT
    if (got != size)
        return ch_fail(CH_ERR_CORRUPT,
                       "file ends early: %zu bytes expected at offset %" PRIu64
                       ", %zu found",
                       size, offset, got);
#endif
    return CH_OK;
}

ch_status_t
ch_fs_write(ch_file_t *file, uint64_t offset, const void *from, size_t size)
{
    return file->fs->ops->write(file, offset, from, size);
}

ch_status_t
ch_fs_sync(ch_file_t *file)
{
    return file->fs->ops->sync(file);
}

void
ch_fs_write_out(ch_file_t *file, uint64_t offset, size_t size)
{
    if (file->fs->ops->write_out)
        file->fs->ops->write_out(file, offset, size);
}

ch_status_t
ch_fs_truncate(ch_file_t *file, uint64_t size)
{
    return file->fs->ops->truncate(file, size);
}

ch_status_t
ch_fs_size(ch_file_t *file, uint64_t *size_out)
{
    return file->fs->ops->size(file, size_out);
}

ch_status_t
ch_fs_rename(ch_fs_t *fs, const char *from, const char *to)
{
    return fs->ops->rename(fs, from, to);
}

ch_status_t
ch_fs_link(ch_fs_t *fs, const char *from, const char *to)
{
    return fs->ops->link(fs, from, to);
}

ch_status_t
ch_fs_links(ch_fs_t *fs, const char *path, uint64_t *count_out)
{
    return fs->ops->links(fs, path, count_out);
}

ch_status_t
ch_fs_unlink(ch_fs_t *fs, const char *path)
{
    return fs->ops->unlink(fs, path);
}

ch_status_t
ch_fs_mkdir(ch_fs_t *fs, const char *path)
{
    return fs->ops->mkdir(fs, path);
}

ch_status_t
ch_fs_sync_dir(ch_fs_t *fs, const char *path)
{
    return fs->ops->sync_dir(fs, path);
}

ch_status_t
ch_fs_hold_dir(ch_fs_t *fs, const char *path)
{
    return fs->ops->hold_dir ? fs->ops->hold_dir(fs, path) : CH_OK;
}

void
ch_fs_drop_dir(ch_fs_t *fs, const char *path)
{
    if (fs->ops->drop_dir)
        fs->ops->drop_dir(fs, path);
}

ch_status_t
ch_fs_list(ch_fs_t *fs, const char *path, ch_fs_visit_fn visit, void *context)
{
    return fs->ops->list(fs, path, visit, context);
}

ch_status_t
ch_fs_lock(ch_fs_t *fs, const char *path, ch_file_t **file_out)
{
    return fs->ops->lock(fs, path, file_out);
}

ch_status_t
ch_fs_lock_shared(ch_fs_t *fs, const char *path, ch_file_t **file_out)
{
    return fs->ops->lock_shared(fs, path, file_out);
}

ch_status_t
ch_fs_space(ch_fs_t *fs, const char *path, uint64_t *free_out, uint64_t *total_out)
{
    return fs->ops->space(fs, path, free_out, total_out);
}
