/* wal_spare.c - files made ready before they are needed, and used again when they are not.
 *
 * Why         fdatasync of a block that is allocated already writes data only; of a new one, metadata too:
 *             twice the time (326 against 167 us for 4 KiB) and more of the CPU.
 * Idea        A spare is a file that holds anything in allocated blocks: zeros, or a retired segment (its old
 *             bytes never validate: checksums are seeded with the segment's number). A new segment
 *             is a spare renamed. The open segment is zeroed ahead of the writer.
 * Safety      Zeros go only where no group was written or promised to be (zeroed_to, see
 *             claim_bytes), through a handle of their own: a sync reports an I/O error once a
 *             handle, and must not swallow the one the group's sync has to see.
 */
#include <inttypes.h>

#include "ch/alloc.h"
#include "wal/wal_state.h"

static ch_status_t
write_zeros(ch_file_t *file, uint64_t from, uint64_t to)
{
    enum { STEP_BYTES = 256 * 1024 };
    static const uint8_t zeros[STEP_BYTES];
    ch_status_t status = CH_OK;
    while (status >= 0 && from < to) {
        uint64_t size = to - from < STEP_BYTES ? to - from : STEP_BYTES;
        status = ch_fs_write(file, from, zeros, (size_t)size);
        if (status >= 0)
            ch_fs_write_out(file, from, (size_t)size);
        from += size;
    }
    return status >= 0 ? ch_wal_sync_file(file) : status;
}

static ch_status_t
zero_file(ch_wal_t *wal, const char *path, unsigned flags, uint64_t from, uint64_t to)
{
    ch_file_t *file = NULL;
    ch_status_t status = ch_fs_open(wal->options.fs, path, flags, &file);
    if (status == CH_OK)
        status = write_zeros(file, from, to);
    ch_fs_close(&file);
    return status;
}

/* --- ahead of the writer --------------------------------------------------------------------- */

static bool
zeroing_begin(ch_wal_t *wal, uint64_t *number, uint64_t *from, uint64_t *to)
{
    pthread_mutex_lock(&wal->lock);
    uint64_t ahead = wal->options.zero_ahead_bytes;
    bool begin = wal->file_number != 0 && !wal->zeroing && wal->file_end > 0 &&
                 wal->zeroed_to < wal->file_end + ahead / 2;
    if (begin) {
        wal->zeroing = true;
        *number = wal->file_number;
        *from = wal->zeroed_to;
        *to = ch_wal_align(wal->file_end + ahead);
    }
    pthread_mutex_unlock(&wal->lock);
    return begin;
}

static void
zeroing_end(ch_wal_t *wal, uint64_t zeroed_to)
{
    pthread_mutex_lock(&wal->lock);
    wal->zeroing = false;
    if (zeroed_to > wal->zeroed_to)
        wal->zeroed_to = zeroed_to;
    pthread_cond_broadcast(&wal->changed);
    pthread_mutex_unlock(&wal->lock);
}

static ch_status_t
zero_ahead(ch_wal_t *wal)
{
    char path[CH_WAL_PATH_BYTES];
    uint64_t number, from, to;
    if (!zeroing_begin(wal, &number, &from, &to))
        return CH_OK;
    ch_wal_segment_path(wal->path, number, path);
    ch_status_t status = zero_file(wal, path, CH_FS_WRITE, from, to);
    zeroing_end(wal, status == CH_OK ? to : from);
    if (status < 0 && status != CH_ERR_NOSPACE)
        return ch_wal_fail(wal, status); /* the segment itself is in doubt */
    return status;
}

/* --- spares ---------------------------------------------------------------------------------- */

static void
add_spare(ch_wal_t *wal, uint64_t number)
{
    pthread_mutex_lock(&wal->lock);
    ch_wal_numbers_add(&wal->spares, number);
    pthread_mutex_unlock(&wal->lock);
}

static bool
spare_begin(ch_wal_t *wal, uint64_t *number_out)
{
    pthread_mutex_lock(&wal->lock);
    bool begin =
        wal->options.spare_segments_max > 0 && wal->spares.count == 0 && !wal->preparing;
    if (begin) {
        wal->preparing = true;
        *number_out = wal->spare_next++;
    }
    pthread_mutex_unlock(&wal->lock);
    return begin;
}

/* A spare that fails is no harm to the log: it is removed and tried again later. */
static ch_status_t
make_spare(ch_wal_t *wal)
{
    char path[CH_WAL_PATH_BYTES];
    uint64_t number;
    if (!spare_begin(wal, &number))
        return CH_OK;
    ch_wal_spare_path(wal->path, number, path);
    ch_status_t status = zero_file(wal, path, CH_FS_WRITE | CH_FS_CREATE, 0,
                                   ch_wal_align(wal->options.zero_ahead_bytes));
    if (status >= 0)
        add_spare(wal, number);
    else if (ch_fs_unlink(wal->options.fs, path) < 0)
        ch_log(wal->options.log, CH_LOG_WARN, "wal", "stray_spare", "spare=%" PRIu64,
               number);
    pthread_mutex_lock(&wal->lock);
    wal->preparing = false;
    pthread_mutex_unlock(&wal->lock);
    return status;
}

ch_status_t
ch_wal_prepare(ch_wal_t *wal)
{
    ch_status_t status = ch_wal_check(wal);
    if (status >= 0)
        status = zero_ahead(wal);
    if (status >= 0)
        status = make_spare(wal);
    return status;
}

static bool
take_spare(ch_wal_t *wal, uint64_t *number_out)
{
    pthread_mutex_lock(&wal->lock);
    bool taken = wal->spares.count > 0;
    if (taken)
        *number_out = ch_wal_numbers_shift(&wal->spares);
    pthread_mutex_unlock(&wal->lock);
    return taken;
}

static ch_status_t
file_bytes(ch_wal_t *wal, const char *path, uint64_t *size_out)
{
    ch_file_t *file = NULL;
    ch_status_t status = ch_fs_open(wal->options.fs, path, CH_FS_READ, &file);
    if (status == CH_OK)
        status = ch_fs_size(file, size_out);
    ch_fs_close(&file);
    return status;
}

ch_status_t
ch_wal_take_file(ch_wal_t *wal, uint64_t number, uint64_t *zeroed_out)
{
    char spare_path[CH_WAL_PATH_BYTES], path[CH_WAL_PATH_BYTES];
    uint64_t spare;
    *zeroed_out = 0;
    if (!take_spare(wal, &spare))
        return CH_OK;
    ch_wal_spare_path(wal->path, spare, spare_path);
    ch_wal_segment_path(wal->path, number, path);
    ch_status_t status = ch_fs_rename(wal->options.fs, spare_path, path);
    if (status < 0) {
        add_spare(wal, spare);
        return status;
    }
    return file_bytes(wal, path, zeroed_out);
}

ch_status_t
ch_wal_remove_spares(ch_wal_t *wal)
{
    char path[CH_WAL_PATH_BYTES];
    uint64_t number;
    ch_status_t status = CH_OK;
    while (status >= 0 && take_spare(wal, &number)) {
        ch_wal_spare_path(wal->path, number, path);
        status = ch_fs_unlink(wal->options.fs, path);
    }
    return status < 0 ? status : CH_OK;
}

/* --- retire ---------------------------------------------------------------------------------- */

/* The oldest sealed segment, if it may go; the newest one stays. */
static bool
take_retired(ch_wal_t *wal, uint64_t lsn, ch_wal_sealed_t *sealed_out)
{
    pthread_mutex_lock(&wal->lock);
    bool taken = wal->sealed_count > 1 && wal->sealed[0].last_lsn <= lsn;
    if (taken) {
        *sealed_out = wal->sealed[0];
        wal->sealed_count--;
        memmove(wal->sealed, wal->sealed + 1, wal->sealed_count * sizeof *wal->sealed);
    }
    pthread_mutex_unlock(&wal->lock);
    return taken;
}

/* Not one that a snapshot has as well: it would be written over there too. */
static bool
is_shared(ch_wal_t *wal, const char *path)
{
    uint64_t names = 0;
    bool shared = ch_fs_links(wal->options.fs, path, &names) < 0 || names > 1;
#ifdef CH_FAULT_WAL_RECYCLES_SHARED
    shared = false;
#endif
    return shared;
}

static bool
may_recycle(ch_wal_t *wal, size_t already, uint64_t *number_out)
{
    pthread_mutex_lock(&wal->lock);
    bool may = wal->spares.count + already < wal->options.spare_segments_max;
    if (may)
        *number_out = wal->spare_next++;
    pthread_mutex_unlock(&wal->lock);
    return may;
}

static ch_status_t
retire_segment(ch_wal_t *wal, const ch_wal_sealed_t *sealed, ch_wal_numbers_t *recycled)
{
    char path[CH_WAL_PATH_BYTES], spare_path[CH_WAL_PATH_BYTES];
    uint64_t spare;
    ch_wal_segment_path(wal->path, sealed->number, path);
    if (is_shared(wal, path) || !may_recycle(wal, recycled->count, &spare))
        return ch_fs_unlink(wal->options.fs, path);
    ch_wal_spare_path(wal->path, spare, spare_path);
    ch_status_t status = ch_fs_rename(wal->options.fs, path, spare_path);
    if (status >= 0)
        ch_wal_numbers_add(recycled, spare);
    return status;
}

/* A recycled file is written to only after its old name is gone for good: else a power loss could
 * bring the old name back over new bytes. */
ch_status_t
ch_wal_retire(ch_wal_t *wal, uint64_t lsn)
{
    ch_wal_sealed_t sealed;
    ch_wal_numbers_t recycled = {0};
    ch_status_t status = ch_wal_check(wal);
    while (status >= 0 && take_retired(wal, lsn, &sealed))
        status = retire_segment(wal, &sealed, &recycled);
    if (status >= 0 && recycled.count > 0)
        status = ch_wal_sync_directory(wal->options.fs, wal->path);
    for (size_t i = 0; status >= 0 && i < recycled.count; i++)
        add_spare(wal, recycled.list[i]);
    ch_wal_numbers_release(&recycled);
    return status < 0 ? status : CH_OK;
}
