/* simfs.c - the simulated disk as a ch_fs_t: handles, counts, faults, capacity.
 *
 * Every call is judged first (does the planned fault strike here, and is the thing done all the
 * same?), then done, then observed outside the lock.
 */
#include "support/simfs.h"

#include <pthread.h>

#include "ch/alloc.h"
#include "ch/assert.h"
#include "support/simdisk.h"

enum {
    CALL_KINDS = 14,
    NO_CAPACITY_TOTAL_GIB = 1024, /* what `space` says without a limit */
};

struct ch_simfs {
    ch_fs_t base;
    pthread_mutex_t mutex; /* guards all below */
    ch_simdisk_t *disk;
    ch_rng_t rng;
    uint64_t capacity;   /* 0: none */
    uint64_t generation; /* of power: handles of an older one are dead */
    uint64_t counts[CALL_KINDS];

    unsigned fault_calls; /* 0: no plan */
    uint64_t fault_left;  /* calls until it strikes */
    ch_simfs_fault_t fault;
    bool struck;
    bool frozen;

    unsigned observe_calls;
    ch_simfs_observe_fn observe;
    void *observe_context;
};

typedef struct sim_file {
    ch_file_t base;
    ch_simnode_t *node;
    uint64_t generation;
    char *path;
    bool writable;
    bool holds_lock;
} sim_file_t;

/* What becomes of one call. */
typedef struct verdict {
    bool done;          /* it happens */
    bool partly;        /* ... up to a part of a write */
    ch_status_t status; /* what is said, when < 0 */
} verdict_t;

static ch_simfs_t *
simfs_of(ch_fs_t *fs)
{
    return (ch_simfs_t *)fs;
}

static verdict_t
verdict_of_strike(ch_simfs_t *simfs)
{
    switch (simfs->fault) {
    case CH_SIMFS_ENOSPC:
        return (verdict_t){.partly = true, .status = CH_ERR_NOSPACE};
    case CH_SIMFS_SHORT_WRITE:
        return (verdict_t){.partly = true, .status = CH_ERR_IO};
    case CH_SIMFS_FREEZE:
        simfs->frozen = true;
        return (verdict_t){.done = ch_rng_below(&simfs->rng, 2), .status = CH_ERR_IO};
    case CH_SIMFS_EIO:
    case CH_SIMFS_EIO_ON:
    default:
        return (verdict_t){.status = CH_ERR_IO};
    }
}

static verdict_t
judge(ch_simfs_t *simfs, ch_simfs_call_t call)
{
    simfs->counts[__builtin_ctz(call)]++;
    if (simfs->frozen)
        return (verdict_t){.status = CH_ERR_IO};
    if (!(simfs->fault_calls & call))
        return (verdict_t){.done = true};
    if (simfs->struck && simfs->fault == CH_SIMFS_EIO_ON)
        return (verdict_t){.status = CH_ERR_IO};
    if (simfs->struck || --simfs->fault_left > 0)
        return (verdict_t){.done = true};
    simfs->struck = true;
    return verdict_of_strike(simfs);
}

static void
begin(ch_simfs_t *simfs)
{
    CH_ASSERT(pthread_mutex_lock(&simfs->mutex) == 0);
}

/* Unlock, let the observer look, and say what the call says. */
static ch_status_t
end(ch_simfs_t *simfs, ch_simfs_call_t call, const char *path, verdict_t verdict,
    ch_status_t status)
{
    ch_simfs_observe_fn observe = (simfs->observe_calls & call) ? simfs->observe : NULL;
    void *context = simfs->observe_context;
    CH_ASSERT(pthread_mutex_unlock(&simfs->mutex) == 0);
    if (observe)
        observe(context, simfs, call, path);
    if (verdict.status < 0)
        return ch_fail(verdict.status, "%s: planned fault", path);
    return status;
}

/* ---- calls on open files ---- */

/* Power that went and came leaves no open file. */
static bool
alive(const sim_file_t *file)
{
    return file->generation == simfs_of(file->base.fs)->generation;
}

static ch_status_t
check_alive(const sim_file_t *file, bool write)
{
    if (!alive(file))
        return ch_fail(CH_ERR_IO, "%s: power was lost since it was opened", file->path);
    if (write && !file->writable)
        return ch_fail(CH_ERR_IO, "%s: not open for writing", file->path);
    return CH_OK;
}

static ch_status_t
sim_read(ch_file_t *base, uint64_t offset, void *to, size_t size, size_t *read_out)
{
    sim_file_t *file = (sim_file_t *)base;
    ch_simfs_t *simfs = simfs_of(base->fs);
    begin(simfs);
    verdict_t verdict = judge(simfs, CH_SIMFS_READ);
    ch_status_t status = check_alive(file, false);
    if (status >= 0 && verdict.status >= 0)
        *read_out = ch_simfile_read(ch_simdisk_file(file->node), offset, to, size);
    return end(simfs, CH_SIMFS_READ, file->path, verdict, status);
}

/* How much of a write fits on the disk. */
static size_t
fits(ch_simfs_t *simfs, sim_file_t *file, uint64_t offset, size_t size)
{
    uint64_t before = ch_simfile_size(ch_simdisk_file(file->node));
    if (simfs->capacity == 0 || offset + size <= before)
        return size;
    uint64_t used = ch_simdisk_used(simfs->disk);
    uint64_t end_max = before + (simfs->capacity > used ? simfs->capacity - used : 0);
    if (end_max <= offset)
        return 0;
    return end_max - offset < size ? (size_t)(end_max - offset) : size;
}

static ch_status_t
sim_write(ch_file_t *base, uint64_t offset, const void *from, size_t size)
{
    sim_file_t *file = (sim_file_t *)base;
    ch_simfs_t *simfs = simfs_of(base->fs);
    begin(simfs);
    verdict_t verdict = judge(simfs, CH_SIMFS_WRITE);
    ch_status_t status = check_alive(file, true);
    if (status >= 0 && (verdict.done || verdict.partly)) {
        size_t part =
            verdict.partly && size ? (size_t)ch_rng_below(&simfs->rng, size) : size;
        size_t put = fits(simfs, file, offset, part);
        ch_simfile_write(ch_simdisk_file(file->node), offset, from, put);
        if (put < part)
            status = ch_fail(CH_ERR_NOSPACE, "write %s: no space left", file->path);
    }
    return end(simfs, CH_SIMFS_WRITE, file->path, verdict, status);
}

static ch_status_t
sim_sync(ch_file_t *base)
{
    sim_file_t *file = (sim_file_t *)base;
    ch_simfs_t *simfs = simfs_of(base->fs);
    begin(simfs);
    verdict_t verdict = judge(simfs, CH_SIMFS_SYNC);
    ch_status_t status = check_alive(file, false);
    if (status >= 0 && verdict.done)
        ch_simfile_sync(ch_simdisk_file(file->node));
    else if (status >= 0 && !simfs->frozen)
        ch_simfile_sync_failed(ch_simdisk_file(file->node));
    return end(simfs, CH_SIMFS_SYNC, file->path, verdict, status);
}

static ch_status_t
sim_truncate(ch_file_t *base, uint64_t size)
{
    sim_file_t *file = (sim_file_t *)base;
    ch_simfs_t *simfs = simfs_of(base->fs);
    begin(simfs);
    verdict_t verdict = judge(simfs, CH_SIMFS_TRUNCATE);
    ch_status_t status = check_alive(file, true);
    if (status >= 0 && verdict.done) {
        uint64_t before = ch_simfile_size(ch_simdisk_file(file->node));
        if (size > before && fits(simfs, file, before, size - before) < size - before)
            status = ch_fail(CH_ERR_NOSPACE, "truncate %s: no space left", file->path);
        else
            ch_simfile_truncate(ch_simdisk_file(file->node), size);
    }
    return end(simfs, CH_SIMFS_TRUNCATE, file->path, verdict, status);
}

static ch_status_t
sim_size(ch_file_t *base, uint64_t *size_out)
{
    sim_file_t *file = (sim_file_t *)base;
    ch_simfs_t *simfs = simfs_of(base->fs);
    begin(simfs);
    verdict_t verdict = judge(simfs, CH_SIMFS_SIZE);
    ch_status_t status = check_alive(file, false);
    if (status >= 0 && verdict.status >= 0)
        *size_out = ch_simfile_size(ch_simdisk_file(file->node));
    return end(simfs, CH_SIMFS_SIZE, file->path, verdict, status);
}

static void
sim_close(ch_file_t *base)
{
    sim_file_t *file = (sim_file_t *)base;
    ch_simfs_t *simfs = simfs_of(base->fs);
    begin(simfs);
    if (alive(file)) {
        if (file->holds_lock)
            ch_simdisk_unlock(file->node);
        ch_simdisk_close(file->node);
    }
    CH_ASSERT(pthread_mutex_unlock(&simfs->mutex) == 0);
    ch_free(file->path);
    ch_free(file);
}

/* ---- calls on names ---- */

static sim_file_t *
file_new(ch_simfs_t *simfs, const char *path, ch_simnode_t *node, bool writable)
{
    sim_file_t *file = ch_calloc(1, sizeof *file);
    file->base.fs = &simfs->base;
    file->node = node;
    file->generation = simfs->generation;
    file->path = ch_strdup(path);
    file->writable = writable;
    return file;
}

static ch_status_t
sim_open(ch_fs_t *fs, const char *path, unsigned flags, ch_file_t **file_out)
{
    ch_simfs_t *simfs = simfs_of(fs);
    ch_simnode_t *node = NULL;
    begin(simfs);
    verdict_t verdict = judge(simfs, CH_SIMFS_OPEN);
    ch_status_t status = CH_OK;
    if (verdict.done)
        status = ch_simdisk_open(simfs->disk, path, flags, &node);
    if (node && verdict.status < 0)
        ch_simdisk_close(node); /* created perhaps, but nobody was told */
    else if (node)
        *file_out = &file_new(simfs, path, node, flags & CH_FS_WRITE)->base;
    return end(simfs, CH_SIMFS_OPEN, path, verdict, status);
}

static ch_status_t
take_lock(ch_fs_t *fs, const char *path, unsigned flags, ch_file_t **file_out)
{
    ch_simfs_t *simfs = simfs_of(fs);
    ch_simnode_t *node = NULL;
    begin(simfs);
    verdict_t verdict = judge(simfs, CH_SIMFS_LOCK);
    ch_status_t status = CH_OK;
    if (verdict.status >= 0)
        status = ch_simdisk_open(simfs->disk, path, flags, &node);
    if (node && !ch_simdisk_lock(node)) {
        ch_simdisk_close(node);
        status = ch_fail(CH_ERR_BUSY, "lock %s: held already", path);
    } else if (node) {
        sim_file_t *file = file_new(simfs, path, node, flags & CH_FS_WRITE);
        file->holds_lock = true;
        *file_out = &file->base;
    }
    return end(simfs, CH_SIMFS_LOCK, path, verdict, status);
}

static ch_status_t
sim_lock(ch_fs_t *fs, const char *path, ch_file_t **file_out)
{
    return take_lock(fs, path, CH_FS_WRITE | CH_FS_CREATE, file_out);
}

/* One reader at a time is enough here. */
static ch_status_t
sim_lock_shared(ch_fs_t *fs, const char *path, ch_file_t **file_out)
{
    return take_lock(fs, path, CH_FS_READ, file_out);
}

static ch_status_t
sim_rename(ch_fs_t *fs, const char *from, const char *to)
{
    ch_simfs_t *simfs = simfs_of(fs);
    begin(simfs);
    verdict_t verdict = judge(simfs, CH_SIMFS_RENAME);
    ch_status_t status = verdict.done ? ch_simdisk_rename(simfs->disk, from, to) : CH_OK;
    return end(simfs, CH_SIMFS_RENAME, to, verdict, status);
}

static ch_status_t
sim_unlink(ch_fs_t *fs, const char *path)
{
    ch_simfs_t *simfs = simfs_of(fs);
    begin(simfs);
    verdict_t verdict = judge(simfs, CH_SIMFS_UNLINK);
    ch_status_t status = verdict.done ? ch_simdisk_unlink(simfs->disk, path) : CH_OK;
    return end(simfs, CH_SIMFS_UNLINK, path, verdict, status);
}

static ch_status_t
sim_link(ch_fs_t *fs, const char *from, const char *to)
{
    ch_simfs_t *simfs = simfs_of(fs);
    begin(simfs);
    verdict_t verdict = judge(simfs, CH_SIMFS_LINK);
    ch_status_t status = verdict.done ? ch_simdisk_link(simfs->disk, from, to) : CH_OK;
    return end(simfs, CH_SIMFS_LINK, to, verdict, status);
}

/* Looks only: no fault strikes it. */
static ch_status_t
sim_links(ch_fs_t *fs, const char *path, uint64_t *count_out)
{
    ch_simfs_t *simfs = simfs_of(fs);
    begin(simfs);
    ch_status_t status = ch_simdisk_links(simfs->disk, path, count_out);
    (void)pthread_mutex_unlock(&simfs->mutex);
    return status;
}

static ch_status_t
sim_mkdir(ch_fs_t *fs, const char *path)
{
    ch_simfs_t *simfs = simfs_of(fs);
    begin(simfs);
    verdict_t verdict = judge(simfs, CH_SIMFS_MKDIR);
    ch_status_t status = verdict.done ? ch_simdisk_mkdir(simfs->disk, path) : CH_OK;
    return end(simfs, CH_SIMFS_MKDIR, path, verdict, status);
}

static ch_status_t
sim_sync_dir(ch_fs_t *fs, const char *path)
{
    ch_simfs_t *simfs = simfs_of(fs);
    begin(simfs);
    verdict_t verdict = judge(simfs, CH_SIMFS_SYNC_DIR);
    ch_status_t status = verdict.done ? ch_simdisk_sync_dir(simfs->disk, path) : CH_OK;
    return end(simfs, CH_SIMFS_SYNC_DIR, path, verdict, status);
}

static void
free_names(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ch_free(names[i]);
    ch_free(names);
}

static ch_status_t
sim_list(ch_fs_t *fs, const char *path, ch_fs_visit_fn visit, void *context)
{
    ch_simfs_t *simfs = simfs_of(fs);
    char **names = NULL;
    size_t count = 0;
    begin(simfs);
    verdict_t verdict = judge(simfs, CH_SIMFS_LIST);
    ch_status_t status = CH_OK;
    if (verdict.status >= 0)
        status = ch_simdisk_list(simfs->disk, path, &names, &count);
    /* Real directories have no order to rely on: begin anywhere. */
    size_t first = count ? (size_t)ch_rng_below(&simfs->rng, count) : 0;
    status = end(simfs, CH_SIMFS_LIST, path, verdict, status);
    for (size_t i = 0; status == CH_OK && i < count; i++)
        status = visit(context, names[(first + i) % count]);
    free_names(names, count);
    return status;
}

static ch_status_t
sim_space(ch_fs_t *fs, const char *path, uint64_t *free_out, uint64_t *total_out)
{
    ch_simfs_t *simfs = simfs_of(fs);
    begin(simfs);
    verdict_t verdict = judge(simfs, CH_SIMFS_SPACE);
    if (verdict.status >= 0) {
        uint64_t used = ch_simdisk_used(simfs->disk);
        uint64_t total =
            simfs->capacity ? simfs->capacity : (uint64_t)NO_CAPACITY_TOTAL_GIB << 30;
        *total_out = total;
        *free_out = total > used ? total - used : 0;
    }
    return end(simfs, CH_SIMFS_SPACE, path, verdict, CH_OK);
}

static const ch_fs_ops_t sim_ops = {
    .open = sim_open,
    .close = sim_close,
    .read = sim_read,
    .write = sim_write,
    .sync = sim_sync,
    .truncate = sim_truncate,
    .size = sim_size,
    .rename = sim_rename,
    .unlink = sim_unlink,
    .link = sim_link,
    .links = sim_links,
    .mkdir = sim_mkdir,
    .sync_dir = sim_sync_dir,
    .list = sim_list,
    .lock = sim_lock,
    .lock_shared = sim_lock_shared,
    .space = sim_space,
};

/* ---- what tests do to the disk ---- */

ch_simfs_t *
ch_simfs_new(uint64_t seed)
{
    ch_simfs_t *simfs = ch_calloc(1, sizeof *simfs);
    simfs->base.ops = &sim_ops;
    CH_ASSERT(pthread_mutex_init(&simfs->mutex, NULL) == 0);
    simfs->disk = ch_simdisk_new();
    ch_rng_seed(&simfs->rng, seed);
    return simfs;
}

void
ch_simfs_destroy(ch_simfs_t **simfs)
{
    if (!*simfs)
        return;
    ch_simdisk_destroy(&(*simfs)->disk);
    pthread_mutex_destroy(&(*simfs)->mutex);
    ch_free(*simfs);
    *simfs = NULL;
}

ch_simfs_t *
ch_simfs_clone(ch_simfs_t *simfs)
{
    ch_simfs_t *copy = ch_simfs_new(0);
    begin(simfs);
    ch_simdisk_destroy(&copy->disk);
    copy->disk = ch_simdisk_clone(simfs->disk);
    copy->rng = simfs->rng;
    copy->capacity = simfs->capacity;
    CH_ASSERT(pthread_mutex_unlock(&simfs->mutex) == 0);
    return copy;
}

ch_fs_t *
ch_simfs_fs(ch_simfs_t *simfs)
{
    return &simfs->base;
}

static void
unlock(ch_simfs_t *simfs)
{
    CH_ASSERT(pthread_mutex_unlock(&simfs->mutex) == 0);
}

void
ch_simfs_crash(ch_simfs_t *simfs, ch_simfs_crash_t mode, ch_rng_t *rng)
{
    CH_ASSERT(rng || mode != CH_SIMFS_RANDOM);
    begin(simfs);
    ch_simdisk_crash(simfs->disk, mode, rng);
    simfs->generation++;
    simfs->fault_calls = 0;
    simfs->frozen = false;
    unlock(simfs);
}

void
ch_simfs_set_fault(ch_simfs_t *simfs, unsigned calls, uint64_t nth,
                   ch_simfs_fault_t fault)
{
    CH_ASSERT(nth > 0);
    begin(simfs);
    simfs->fault_calls = calls;
    simfs->fault_left = nth;
    simfs->fault = fault;
    simfs->struck = false;
    simfs->frozen = false;
    unlock(simfs);
}

void
ch_simfs_clear_fault(ch_simfs_t *simfs)
{
    begin(simfs);
    simfs->fault_calls = 0;
    simfs->frozen = false;
    unlock(simfs);
}

bool
ch_simfs_fault_struck(ch_simfs_t *simfs)
{
    begin(simfs);
    bool struck = simfs->struck;
    unlock(simfs);
    return struck;
}

uint64_t
ch_simfs_count(ch_simfs_t *simfs, unsigned calls)
{
    uint64_t count = 0;
    begin(simfs);
    for (unsigned kind = 0; kind < CALL_KINDS; kind++)
        if (calls & (1u << kind))
            count += simfs->counts[kind];
    unlock(simfs);
    return count;
}

void
ch_simfs_observe(ch_simfs_t *simfs, unsigned calls, ch_simfs_observe_fn observe,
                 void *context)
{
    begin(simfs);
    simfs->observe_calls = calls;
    simfs->observe = observe;
    simfs->observe_context = context;
    unlock(simfs);
}

void
ch_simfs_set_capacity(ch_simfs_t *simfs, uint64_t bytes)
{
    begin(simfs);
    simfs->capacity = bytes;
    unlock(simfs);
}

uint64_t
ch_simfs_used(ch_simfs_t *simfs)
{
    begin(simfs);
    uint64_t used = ch_simdisk_used(simfs->disk);
    unlock(simfs);
    return used;
}

size_t
ch_simfs_unsynced(ch_simfs_t *simfs)
{
    begin(simfs);
    size_t unsynced = ch_simdisk_unsynced(simfs->disk);
    unlock(simfs);
    return unsynced;
}

ch_status_t
ch_simfs_flip(ch_simfs_t *simfs, const char *path, uint64_t bit)
{
    begin(simfs);
    ch_simfile_t *file = ch_simdisk_find(simfs->disk, path);
    bool flipped = file && ch_simfile_flip(file, bit);
    unlock(simfs);
    return flipped ? CH_OK : CH_NOT_FOUND;
}

ch_status_t
ch_simfs_files(ch_simfs_t *simfs, ch_simfs_visit_fn visit, void *context)
{
    ch_simdisk_path_t *paths = NULL;
    size_t count = 0;
    begin(simfs);
    ch_simdisk_files(simfs->disk, &paths, &count);
    unlock(simfs);
    ch_status_t status = CH_OK;
    for (size_t i = 0; status == CH_OK && i < count; i++)
        status = visit(context, paths[i].path, paths[i].size);
    for (size_t i = 0; i < count; i++)
        ch_free(paths[i].path);
    ch_free(paths);
    return status;
}
