/* wal.c - the log: groups handed from the writer to the syncer, segments begun and sealed.
 *
 * Idea        Two groups: the writer thread fills one while the syncer writes and syncs the other. While a
 *             sync runs the next group gathers, so groups grow with load and no timer is needed.
 * Rotation    A group belongs to one segment, because its records use the segment's dictionary. So
 *             the segment is chosen when the first record of a group comes, and a record being
 *             encoded (`appending`) keeps it from changing. The syncer seals the old segment when
 *             it meets the first group of the next.
 * Order       write group, fdatasync, evidence (unsynced, when nothing waits), durable lsn. Never
 *             otherwise: whoever sees an lsn durable may acknowledge it.
 * Disk full   A group that did not fit stays `closed`, is written again at the same offset by the
 *             next commit, or dropped by rollback, which also makes the numbering forget it.
 */
#include "wal/wal.h"

#include <inttypes.h>

#include "ch/alloc.h"
#include "ch/assert.h"
#include "wal/wal_state.h"

enum {
    GROUP_BUFFER_BYTES = 1 << 20
}; /* touched at start: page faults cost more than the rest */

ch_status_t
ch_wal_fail(ch_wal_t *wal, ch_status_t status)
{
    atomic_store(&wal->failed, true);
    return status;
}

ch_status_t
ch_wal_check(const ch_wal_t *wal)
{
    if (!atomic_load(&wal->failed))
        return CH_OK;
    return ch_fail(CH_ERR_CLOSED, "wal: closed, or failed before; restart the node");
}

/* --- life ------------------------------------------------------------------------------------ */

static void
pending_clear(ch_wal_pending_t *group)
{
    group->count = 0;
    group->buffer.size = CH_WAL_BUFFER_BODY_OFFSET;
}

static void
pending_init(ch_wal_pending_t *group)
{
    ch_wal_buffer_zeros(&group->buffer, GROUP_BUFFER_BYTES);
    pending_clear(group);
}

static void
adopt(ch_wal_t *wal, ch_wal_recovery_t *recovery)
{
    wal->target = recovery->number_next;
    wal->writer.chain = recovery->chain;
    wal->sealed_count = wal->sealed_capacity = recovery->sealed_count;
    wal->sealed = ch_take(&recovery->sealed);
    wal->spares = recovery->spares;
    recovery->spares = (ch_wal_numbers_t){0};
    wal->spare_next = wal->spares.count ? wal->spares.list[wal->spares.count - 1] + 1 : 1;
    wal->stats.recovered_records = recovery->records;
    wal->stats.torn_bytes = recovery->torn_bytes;
    atomic_store(&wal->appended_lsn, recovery->lsn_next - 1);
    atomic_store(&wal->durable_lsn, recovery->lsn_next - 1);
}

static ch_wal_t *
wal_new(const ch_wal_options_t *options)
{
    ch_wal_t *wal = ch_calloc(1, sizeof *wal);
    wal->options = *options;
    wal->path = ch_strdup(options->path);
    wal->options.path = wal->path;
    CH_ASSERT(pthread_mutex_init(&wal->io, NULL) == 0);
    CH_ASSERT(pthread_mutex_init(&wal->lock, NULL) == 0);
    CH_ASSERT(pthread_cond_init(&wal->changed, NULL) == 0);
    ch_wal_writer_init(&wal->writer);
    pending_init(&wal->groups[0]);
    pending_init(&wal->groups[1]);
    wal->open = &wal->groups[0];
    return wal;
}

ch_status_t
ch_wal_open(const ch_wal_options_t *options, uint64_t lsn_applied, ch_wal_visit_fn visit,
            void *context, ch_wal_t **wal_out)
{
    ch_wal_recovery_t recovery = {0};
    ch_status_t status = ch_wal_recover(options, lsn_applied, visit, context, &recovery);
    if (status >= 0) {
        ch_wal_t *wal = wal_new(options);
        adopt(wal, &recovery);
        ch_log(options->log, CH_LOG_INFO, "wal", "open",
               "segment=%" PRIu64 " lsn_next=%" PRIu64 " records=%" PRIu64
               " torn_bytes=%" PRIu64,
               wal->target, atomic_load(&wal->durable_lsn) + 1, recovery.records,
               recovery.torn_bytes);
        *wal_out = wal;
    }
    ch_wal_recovery_release(&recovery);
    return status;
}

void
ch_wal_destroy(ch_wal_t **wal)
{
    ch_wal_t *old = *wal;
    if (!old)
        return;
    ch_wal_writer_release(&old->writer);
    ch_wal_buffer_release(&old->groups[0].buffer);
    ch_wal_buffer_release(&old->groups[1].buffer);
    ch_wal_encoder_release(&old->encoder);
    ch_wal_numbering_release(&old->numbering);
    ch_wal_numbers_release(&old->spares);
    pthread_cond_destroy(&old->changed);
    pthread_mutex_destroy(&old->lock);
    pthread_mutex_destroy(&old->io);
    ch_free(old->sealed);
    ch_free(old->path);
    ch_free(old);
    *wal = NULL;
}

void
ch_wal_set_namer(ch_wal_t *wal, const ch_wal_namer_t *namer)
{
    wal->namer = *namer;
}

void
ch_wal_renumber(ch_wal_t *wal)
{
#ifndef CH_FAULT_SWEEP_LOG_NOT_TOLD
    ch_wal_numbering_renumber(&wal->numbering);
#endif
}

/* --- append ---------------------------------------------------------------------------------- */

/* Holding `lock`. */
static bool
target_is_old(const ch_wal_t *wal)
{
    int64_t age_ns = ch_clock_monotonic_ns(wal->options.clock) - wal->target_since_ns;
    return wal->target_records > 0 &&
           age_ns >= (int64_t)wal->options.segment_max_age_ms * 1000000;
}

/* Holding `lock`, with nothing pending and nobody appending to the present target. */
static void
target_next(ch_wal_t *wal)
{
    wal->target++;
    wal->target_records = 0;
    wal->target_bytes = 0;
}

/* Fix the segment of the record to come. */
static uint64_t
append_begin(ch_wal_t *wal)
{
    pthread_mutex_lock(&wal->lock);
    bool full = wal->target_bytes >= wal->options.segment_bytes;
    if (wal->open->count == 0 && wal->target_records > 0 && (full || target_is_old(wal)))
        target_next(wal);
    wal->appending = true;
    uint64_t segment = wal->target;
    pthread_mutex_unlock(&wal->lock);
    return segment;
}

/* Copy the encoded record into the open group, holding `lock`. */
static ch_status_t
append_record(ch_wal_t *wal, uint64_t segment, ch_wal_mark_t mark)
{
    ch_wal_pending_t *group = wal->open;
    const ch_wal_buffer_t *record = &wal->encoder.out;
    if (group->buffer.size + record->size > CH_WAL_GROUP_BYTES_MAX)
        return ch_fail(CH_ERR_LIMIT, "wal: %zu bytes wait to be synced; commit first",
                       group->buffer.size);
    if (group->count == 0) {
        group->segment = segment;
        group->mark = mark;
        wal->target_bytes += 2 * CH_WAL_BLOCK_BYTES; /* header, padding and evidence */
    }
    ch_wal_buffer_append(&group->buffer, record->data, record->size);
    group->count++;
    if (wal->target_records++ == 0)
        wal->target_since_ns = ch_clock_monotonic_ns(wal->options.clock);
    wal->target_bytes += record->size;
    atomic_fetch_add(&wal->pending_bytes, record->size);
    return CH_OK;
}

static ch_status_t
append_end(ch_wal_t *wal, ch_status_t status, uint64_t segment, ch_wal_mark_t mark,
           uint64_t *lsn_out)
{
    pthread_mutex_lock(&wal->lock);
    if (status >= 0)
        status = append_record(wal, segment, mark);
    if (status >= 0)
        *lsn_out = atomic_fetch_add(&wal->appended_lsn, 1) + 1;
    wal->appending = false;
    pthread_cond_broadcast(&wal->changed);
    pthread_mutex_unlock(&wal->lock);
    if (status < 0)
        ch_wal_numbering_undo(&wal->numbering, mark);
    return status;
}

static void
numbering_for(ch_wal_t *wal, uint64_t segment)
{
    if (wal->numbering_segment == segment)
        return;
    wal->numbering_segment = segment;
    ch_wal_numbering_reset(&wal->numbering);
}

ch_status_t
ch_wal_append_batch(ch_wal_t *wal, const ch_batch_t *batch, const uint32_t *series,
                    int64_t time, uint64_t *lsn_out)
{
    ch_status_t status = ch_wal_check(wal);
    if (status < 0)
        return status;
    uint64_t segment = append_begin(wal);
    numbering_for(wal, segment);
    ch_wal_mark_t mark = ch_wal_numbering_mark(&wal->numbering);
    status = ch_wal_encode_batch(&wal->encoder, &wal->numbering, &wal->namer, batch,
                                 series, time);
    return append_end(wal, status, segment, mark, lsn_out);
}

ch_status_t
ch_wal_append_refusal(ch_wal_t *wal, const ch_identity_t *identity,
                      const ch_reject_t *reject, int64_t time, uint64_t *lsn_out)
{
    ch_status_t status = ch_wal_check(wal);
    if (status < 0)
        return status;
    uint64_t segment = append_begin(wal);
    numbering_for(wal, segment);
    ch_wal_mark_t mark = ch_wal_numbering_mark(&wal->numbering);
    ch_wal_encode_refusal(&wal->encoder, identity, reject, time);
    return append_end(wal, CH_OK, segment, mark, lsn_out);
}

ch_status_t
ch_wal_append_delete(ch_wal_t *wal, ch_wal_record_type_t type,
                     const ch_identity_t *identity, const ch_wal_delete_t *delete,
                     int64_t time, uint64_t *lsn_out)
{
    ch_status_t status = ch_wal_check(wal);
    if (status < 0)
        return status;
    uint64_t segment = append_begin(wal);
    numbering_for(wal, segment);
    ch_wal_mark_t mark = ch_wal_numbering_mark(&wal->numbering);
    status = ch_wal_encode_delete(&wal->encoder, type, identity, delete, time);
    return append_end(wal, status, segment, mark, lsn_out);
}

uint64_t
ch_wal_pending_bytes(const ch_wal_t *wal)
{
    return atomic_load(&wal->pending_bytes);
}

uint64_t
ch_wal_appended_lsn(const ch_wal_t *wal)
{
    return atomic_load(&wal->appended_lsn);
}

uint64_t
ch_wal_durable_lsn(const ch_wal_t *wal)
{
    return atomic_load(&wal->durable_lsn);
}

/* --- the open segment, holding `io` ---------------------------------------------------------- */

/* Disk full changes nothing; any other failure is final. */
static ch_status_t
io_result(ch_wal_t *wal, ch_status_t status)
{
    return status >= 0 || status == CH_ERR_NOSPACE ? status : ch_wal_fail(wal, status);
}

/* Bytes up to `end` are about to be written: no zero may follow there. */
static void
claim_bytes(ch_wal_t *wal, uint64_t end)
{
    pthread_mutex_lock(&wal->lock);
    while (end > wal->zeroed_to && wal->zeroing)
        pthread_cond_wait(&wal->changed, &wal->lock);
    if (end > wal->zeroed_to)
        wal->zeroed_to = end;
    pthread_mutex_unlock(&wal->lock);
}

static void
add_sealed(ch_wal_t *wal, uint64_t number, uint64_t last_lsn)
{
    if (wal->sealed_count == wal->sealed_capacity) {
        wal->sealed_capacity = wal->sealed_capacity ? wal->sealed_capacity * 2 : 64;
        wal->sealed = ch_realloc(wal->sealed, wal->sealed_capacity * sizeof *wal->sealed);
    }
    wal->sealed[wal->sealed_count++] =
        (ch_wal_sealed_t){.number = number, .last_lsn = last_lsn};
}

static ch_status_t
seal_segment(ch_wal_t *wal)
{
    if (!wal->writer.file)
        return CH_OK;
    pthread_mutex_lock(&wal->lock);
    while (wal->zeroing)
        pthread_cond_wait(&wal->changed, &wal->lock);
    wal->file_number = 0; /* nobody starts to zero it now */
    pthread_mutex_unlock(&wal->lock);
    ch_wal_term_t term = {.number = wal->options.term, .node = wal->options.term_node};
    ch_status_t status = io_result(wal, ch_wal_writer_seal(&wal->writer, term));
    if (status < 0)
        return status;
    uint64_t number = wal->writer.segment.number;
    ch_log(wal->options.log, CH_LOG_DEBUG, "wal", "seal",
           "segment=%" PRIu64 " bytes=%" PRIu64 " last_lsn=%" PRIu64, number,
           wal->writer.end + CH_WAL_BLOCK_BYTES, wal->writer.lsn_next - 1);
    pthread_mutex_lock(&wal->lock);
    add_sealed(wal, number, wal->writer.lsn_next - 1);
    pthread_mutex_unlock(&wal->lock);
    return CH_OK;
}

static ch_status_t
begin_segment(ch_wal_t *wal, uint64_t number)
{
    char path[CH_WAL_PATH_BYTES];
    uint64_t zeroed = 0;
    ch_wal_segment_t segment = {
        .cluster = wal->options.cluster,
        .term = {.number = wal->options.term, .node = wal->options.term_node},
        .number = number,
        .base_lsn = atomic_load(&wal->durable_lsn) + 1,
        .chain = wal->writer.chain,
    };
    ch_status_t status = io_result(wal, ch_wal_take_file(wal, number, &zeroed));
    if (status < 0)
        return status;
    ch_wal_segment_path(wal->path, number, path);
    status = io_result(wal, ch_wal_writer_open(&wal->writer, wal->options.fs, wal->path,
                                               path, &segment));
    if (status < 0)
        return status;
    pthread_mutex_lock(&wal->lock);
    wal->file_number = number;
    wal->file_end = 0;
    wal->zeroed_to = zeroed;
    pthread_mutex_unlock(&wal->lock);
    return CH_OK;
}

static ch_status_t
write_group(ch_wal_t *wal, ch_wal_pending_t *group)
{
    uint32_t length = (uint32_t)(group->buffer.size - CH_WAL_BUFFER_BODY_OFFSET);
    claim_bytes(wal, ch_wal_writer_end_after(&wal->writer, length));
    ch_status_t status =
        io_result(wal, ch_wal_writer_group(&wal->writer, &group->buffer, group->count));
    wal->write_failed = status < 0;
    return status;
}

static ch_status_t
sync_group(ch_wal_t *wal)
{
    int64_t start = ch_clock_monotonic_ns(wal->options.clock);
    ch_status_t status = ch_wal_writer_sync(&wal->writer);
    if (status < 0)
        return ch_wal_fail(wal, status);
    uint64_t us = (uint64_t)(ch_clock_monotonic_ns(wal->options.clock) - start) / 1000;
    pthread_mutex_lock(&wal->lock);
    wal->stats.syncs++;
    wal->stats.sync_us_total += us;
    if (us > wal->stats.sync_us_max)
        wal->stats.sync_us_max = us;
    pthread_mutex_unlock(&wal->lock);
    return CH_OK;
}

/* The group is durable already: a full disk only costs it its evidence. */
static ch_status_t
write_evidence(ch_wal_t *wal)
{
    claim_bytes(wal, ch_wal_writer_end_after(&wal->writer, 0));
    ch_status_t status = io_result(wal, ch_wal_writer_evidence(&wal->writer));
    return status == CH_ERR_NOSPACE ? CH_OK : status;
}

/* --- commit ---------------------------------------------------------------------------------- */

/* Hand the open group over; NULL when nothing is pending. */
static ch_wal_pending_t *
close_group(ch_wal_t *wal)
{
    pthread_mutex_lock(&wal->lock);
    if (!wal->closed && wal->open->count > 0) {
        wal->closed = wal->open;
        wal->open = wal->closed == &wal->groups[0] ? &wal->groups[1] : &wal->groups[0];
    }
    ch_wal_pending_t *group = wal->closed;
    pthread_mutex_unlock(&wal->lock);
    return group;
}

static bool
is_drained(ch_wal_t *wal)
{
    pthread_mutex_lock(&wal->lock);
    bool drained = wal->open->count == 0;
    pthread_mutex_unlock(&wal->lock);
    return drained;
}

/* The group is durable: say so, and give its buffer back. */
static void
release_group(ch_wal_t *wal, ch_wal_pending_t *group, uint64_t end_before)
{
    uint64_t bytes = group->buffer.size - CH_WAL_BUFFER_BODY_OFFSET;
    pthread_mutex_lock(&wal->lock);
    wal->stats.groups++;
    wal->stats.records += group->count;
    wal->stats.bytes_written += wal->writer.end - end_before;
    wal->file_end = wal->writer.end;
    pending_clear(group);
    wal->closed = NULL;
    pthread_mutex_unlock(&wal->lock);
    atomic_fetch_sub(&wal->pending_bytes, bytes);
    atomic_store(&wal->durable_lsn, wal->writer.lsn_next - 1);
}

static ch_status_t
commit_group(ch_wal_t *wal, ch_wal_pending_t *group)
{
    ch_status_t status = CH_OK;
    if (wal->writer.file && wal->writer.segment.number != group->segment)
        status = seal_segment(wal);
    if (status >= 0 && !wal->writer.file)
        status = begin_segment(wal, group->segment);
    if (status < 0)
        return status;
    uint64_t end_before = wal->writer.end;
    status = write_group(wal, group);
    if (status < 0)
        return status;
#ifdef CH_FAULT_WAL_ACK_BEFORE_SYNC
    atomic_store(&wal->durable_lsn, wal->writer.lsn_next - 1);
#endif
    status = sync_group(wal);
    if (status >= 0 && is_drained(wal))
        status = write_evidence(wal);
    if (status < 0)
        return status;
    release_group(wal, group, end_before);
    return CH_OK;
}

/* Nothing is pending: a segment past its age is sealed even if no record ever comes again. */
static ch_status_t
commit_idle(ch_wal_t *wal)
{
    pthread_mutex_lock(&wal->lock);
    bool rotate = !wal->appending && wal->open->count == 0 && target_is_old(wal);
    if (rotate)
        target_next(wal);
    pthread_mutex_unlock(&wal->lock);
    ch_status_t status = rotate ? seal_segment(wal) : CH_OK;
    return status < 0 ? status : CH_NOT_FOUND;
}

static ch_status_t
commit_once(ch_wal_t *wal)
{
    ch_status_t status = ch_wal_check(wal);
    if (status < 0)
        return status;
    ch_wal_pending_t *group = close_group(wal);
    return group ? commit_group(wal, group) : commit_idle(wal);
}

ch_status_t
ch_wal_commit(ch_wal_t *wal)
{
    pthread_mutex_lock(&wal->io);
    ch_status_t status = commit_once(wal);
    pthread_mutex_unlock(&wal->io);
    return status;
}

/* Choose the next segment as soon as nothing is pending; false when something is. */
static bool
turn_target(ch_wal_t *wal, uint64_t *sealed_out)
{
    pthread_mutex_lock(&wal->lock);
    while (wal->appending)
        pthread_cond_wait(&wal->changed, &wal->lock);
    bool idle = !wal->closed && wal->open->count == 0;
    if (idle && wal->target_records > 0)
        target_next(wal);
    *sealed_out = wal->target - 1;
    pthread_mutex_unlock(&wal->lock);
    return idle;
}

static ch_status_t
seal_now(ch_wal_t *wal, uint64_t *segment_out)
{
    while (!turn_target(wal, segment_out)) {
        ch_status_t status = commit_once(wal);
        if (status < 0)
            return status;
    }
    ch_status_t status = ch_wal_check(wal);
    return status < 0 ? status : seal_segment(wal);
}

ch_status_t
ch_wal_seal(ch_wal_t *wal, uint64_t *segment_out)
{
    uint64_t segment;
    pthread_mutex_lock(&wal->io);
    ch_status_t status = seal_now(wal, &segment);
    pthread_mutex_unlock(&wal->io);
    if (status >= 0 && segment_out)
        *segment_out = segment;
    return status;
}

bool
ch_wal_due(const ch_wal_t *wal)
{
    ch_wal_t *shared = (ch_wal_t *)wal; /* the lock is not part of what const promises */
    pthread_mutex_lock(&shared->lock);
    bool due = target_is_old(wal);
    pthread_mutex_unlock(&shared->lock);
    return due;
}

/* --- rollback, close, stats ------------------------------------------------------------------ */

/* Holding `lock`. */
static void
drop_group(ch_wal_t *wal, ch_wal_pending_t *group)
{
    if (group->count == 0)
        return;
    if (group->segment == wal->numbering_segment)
        ch_wal_numbering_undo(&wal->numbering, group->mark);
    if (group->segment == wal->target)
        wal->target_records -= group->count;
    pending_clear(group);
}

static ch_status_t
rollback(ch_wal_t *wal)
{
    ch_status_t status = ch_wal_check(wal);
    if (status < 0)
        return status;
    /* Part of the group may stand in the file; its place will be taken by another group. Until then
     * its first block must not read as a group. A disk that is too full for that never took it. */
    if (wal->write_failed && wal->writer.file)
        status = io_result(wal, ch_wal_writer_scrub(&wal->writer));
    if (status < 0 && status != CH_ERR_NOSPACE)
        return status;
    pthread_mutex_lock(&wal->lock);
    drop_group(wal, wal->open); /* the later one first: marks go back in steps */
    if (wal->closed)
        drop_group(wal, wal->closed);
    wal->closed = NULL;
    wal->write_failed = false;
    atomic_store(&wal->pending_bytes, 0);
    atomic_store(&wal->appended_lsn, atomic_load(&wal->durable_lsn));
    pthread_mutex_unlock(&wal->lock);
    return CH_OK;
}

ch_status_t
ch_wal_rollback(ch_wal_t *wal)
{
    pthread_mutex_lock(&wal->io);
    ch_status_t status = rollback(wal);
    pthread_mutex_unlock(&wal->io);
    return status;
}

/* Is the newest sealed segment more than the empty one that a stop leaves? */
static ch_status_t
newest_is_long(ch_wal_t *wal, bool *long_out)
{
    char path[CH_WAL_PATH_BYTES];
    uint64_t size = 0;
    ch_file_t *file = NULL;
    *long_out = false;
    if (wal->writer.file || wal->sealed_count == 0)
        return CH_OK;
    ch_wal_segment_path(wal->path, wal->sealed[wal->sealed_count - 1].number, path);
    ch_status_t status = ch_fs_open(wal->options.fs, path, CH_FS_READ, &file);
    if (status == CH_OK)
        status = ch_fs_size(file, &size);
    ch_fs_close(&file);
    *long_out = size > 3 * CH_WAL_BLOCK_BYTES; /* header, empty group, seal */
    return status < 0 ? ch_wal_fail(wal, status) : CH_OK;
}

/* A segment without records behind the newest one. No room: none, and the newest one stays. */
static ch_status_t
add_empty_segment(ch_wal_t *wal)
{
    char path[CH_WAL_PATH_BYTES];
    uint64_t number = wal->target;
    ch_wal_segment_path(wal->path, number, path);
    ch_status_t status = begin_segment(wal, number);
    if (status >= 0)
        status = io_result(wal, ch_wal_writer_evidence(&wal->writer));
    if (status >= 0)
        status = seal_segment(wal);
    if (status >= 0) {
        pthread_mutex_lock(&wal->lock);
        target_next(wal);
        pthread_mutex_unlock(&wal->lock);
        return CH_OK;
    }
    if (status != CH_ERR_NOSPACE)
        return status;
    wal->file_number = 0;
    ch_fs_close(&wal->writer.file);
    status = ch_fs_unlink(wal->options.fs, path);
    return status < 0 ? ch_wal_fail(wal, status) : CH_OK;
}

ch_status_t
ch_wal_shorten(ch_wal_t *wal)
{
    bool is_long = false;
    pthread_mutex_lock(&wal->io);
    ch_status_t status = ch_wal_check(wal);
    if (status >= 0)
        status = newest_is_long(wal, &is_long);
    if (status >= 0 && is_long)
        status = add_empty_segment(wal);
    pthread_mutex_unlock(&wal->io);
    return status;
}

ch_status_t
ch_wal_close(ch_wal_t *wal)
{
    uint64_t segment;
    pthread_mutex_lock(&wal->io);
    ch_status_t status = seal_now(wal, &segment);
    if (status >= 0)
        status = ch_wal_remove_spares(wal);
    if (status >= 0)
        atomic_store(&wal->failed, true); /* closed */
    pthread_mutex_unlock(&wal->io);
    return status;
}

void
ch_wal_stats(const ch_wal_t *wal, ch_wal_stats_t *stats_out)
{
    ch_wal_t *shared = (ch_wal_t *)wal;
    pthread_mutex_lock(&shared->lock);
    *stats_out = wal->stats;
    stats_out->segments = wal->sealed_count + (wal->file_number != 0);
    stats_out->segment_first = wal->sealed_count ? wal->sealed[0].number : wal->target;
    stats_out->segment_open = wal->target;
    pthread_mutex_unlock(&shared->lock);
}
