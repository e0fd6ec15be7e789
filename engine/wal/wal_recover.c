/* wal_recover.c - from files to records, and from the last crash to a clean end.
 *
 * Problem     After a crash the last segment may end in anything. After years a sector may be rotten. The
 *             files look alike; only the first may be repaired by cutting.
 * Idea        First read, from the newest header that begins at or before the first record needed, and
 *             judge by evidence (wal_reader.c). Only when all is judged sound is anything changed.
 * Steps       1. find the segments needed  2. read them, visit their records  3. the last one, if it
 *             has no seal: copy what is valid, seal the copy, rename it over  4. sync what is
 *             adopted: a process that died may have left the page cache ahead of the disk.
 * Invariant   Afterwards every segment is sealed, whole and durable; appending begins a new one.
 */
#include "wal/wal_recover.h"

#include <inttypes.h>

#include "ch/alloc.h"
#include "wal/wal_reader.h"
#include "wal/wal_record.h"

typedef struct recover {
    const ch_wal_options_t *options;
    uint64_t lsn_applied;
    ch_wal_visit_fn visit;
    void *context;
    ch_wal_recovery_t *result;

    ch_wal_listing_t listing;
    size_t needed;   /* index of the first segment to read */
    size_t count;    /* segments without an unused one at the end */
    bool has_unused; /* the last file never had a durable header */

    ch_wal_reader_t reader; /* of the segment being read; at the end: of the last */
    ch_file_t *file;
    bool started; /* chain and lsn below are known */
    uint64_t chain;
    uint64_t lsn_next;

    ch_wal_decoder_t decoder;
    ch_wal_dictionary_t *dictionary;
} recover_t;

static ch_status_t
damage(const recover_t *recover, uint64_t number, uint64_t from, uint64_t to,
       const char *what)
{
    char path[CH_WAL_PATH_BYTES];
    ch_wal_segment_path(recover->options->path, number, path);
    return ch_fail(CH_ERR_CORRUPT,
                   "%s: damaged, bytes %" PRIu64 " to %" PRIu64 ": %s; nothing was "
                   "changed: restore the file from a replica or a backup",
                   path, from, to, what);
}

static void
close_segment(recover_t *recover)
{
    ch_wal_reader_release(&recover->reader);
    ch_fs_close(&recover->file);
}

static ch_status_t
open_segment(recover_t *recover, uint64_t number)
{
    char path[CH_WAL_PATH_BYTES];
    close_segment(recover);
    ch_wal_segment_path(recover->options->path, number, path);
    ch_status_t status = ch_fs_open(
        recover->options->fs, path,
        recover->options->read_only ? CH_FS_READ : CH_FS_WRITE, &recover->file);
    if (status == CH_NOT_FOUND)
        return ch_fail(CH_ERR_IO, "%s: vanished while it was read", path);
    if (status < 0)
        return status;
    return ch_wal_reader_init(&recover->reader, recover->file, number);
}

/* --- 1. which segments ----------------------------------------------------------------------- */

/* The term of the segment before `i`, if its header says one. */
static ch_status_t
predecessor_term(const recover_t *recover, size_t i, ch_wal_term_t *term_out)
{
    char path[CH_WAL_PATH_BYTES];
    ch_wal_reader_t reader = {0};
    ch_file_t *file = NULL;
    uint64_t number = recover->listing.segments.list[i - 1];
    ch_wal_segment_path(recover->options->path, number, path);
    ch_status_t status = ch_fs_open(recover->options->fs, path, CH_FS_READ, &file);
    if (status == CH_OK)
        status = ch_wal_reader_init(&reader, file, number);
    if (status == CH_OK && reader.state == CH_WAL_HEADER_VALID)
        *term_out = reader.segment.term;
    ch_wal_reader_release(&reader);
    ch_fs_close(&file);
    return status;
}

/* The header of the last file, `i`, is bad. Was it durable once? Its seeds need the term: as the
 * bytes say, ours, or that of the segment before. CH_OK and the offset of the proof, or
 * CH_NOT_FOUND. */
static ch_status_t
find_header_evidence(recover_t *recover, size_t i, uint64_t *evidence_out)
{
    ch_wal_segment_t guess = recover->reader.segment;
    uint64_t bad = CH_WAL_BLOCK_BYTES - 1; /* durable_end beyond it covers the header */
    ch_wal_term_t terms[3] = {
        guess.term,
        {.number = recover->options->term, .node = recover->options->term_node}};
    terms[2] = terms[1];
    ch_status_t status = i > 0 ? predecessor_term(recover, i, &terms[2]) : CH_OK;
    if (status < 0)
        return status;
    guess.cluster = recover->options->cluster;
    status = CH_NOT_FOUND;
    for (int n = 0; status == CH_NOT_FOUND && n < 3; n++) {
        guess.term = terms[n];
        status = ch_wal_reader_evidence(&recover->reader, &guess, bad, evidence_out);
    }
    return status;
}

static ch_status_t
judge_bad_header(recover_t *recover, size_t i)
{
    uint64_t number = recover->listing.segments.list[i], evidence = 0;
    if (i + 1 < recover->listing.segments.count)
        return damage(recover, number, 0, CH_WAL_BLOCK_BYTES,
                      "no valid header, and a later segment follows");
    ch_status_t status = find_header_evidence(recover, i, &evidence);
    if (status < 0)
        return status;
    if (status == CH_OK)
        return damage(recover, number, 0, CH_WAL_BLOCK_BYTES,
                      "no valid header, but groups written after it was durable");
    recover->has_unused = true;
    recover->count--;
    return CH_OK;
}

static ch_status_t
judge_header(recover_t *recover, size_t i)
{
    const ch_wal_reader_t *reader = &recover->reader;
    uint64_t number = recover->listing.segments.list[i];
    if (reader->state == CH_WAL_HEADER_INVALID)
        return judge_bad_header(recover, i);
    if (reader->segment.cluster != recover->options->cluster)
        return damage(recover, number, 0, CH_WAL_BLOCK_BYTES,
                      "it belongs to another cluster");
    if (reader->state == CH_WAL_HEADER_NEWER)
        return ch_fail(CH_ERR_VERSION,
                       "wal segment %" PRIu64 ": format version %" PRIu32
                       "; this program reads %d, a newer one wrote it",
                       number, reader->segment.version, CH_WAL_VERSION);
    return CH_OK;
}

/* Walk from the newest segment down to the one that holds the first record needed. */
static ch_status_t
find_needed(recover_t *recover)
{
    const ch_wal_numbers_t *segments = &recover->listing.segments;
    uint64_t need = recover->lsn_applied + 1, base = 0;
    recover->count = recover->needed = segments->count;
    for (size_t i = segments->count; i-- > 0;) {
        uint64_t number = segments->list[i];
        if (i + 1 < segments->count && segments->list[i + 1] != number + 1)
            return damage(recover, number + 1, 0, 0, "the segment is missing");
        ch_status_t status = open_segment(recover, number);
        if (status >= 0)
            status = judge_header(recover, i);
        if (status < 0)
            return status;
        if (i >= recover->count)
            continue; /* unused */
        recover->needed = i;
        base = recover->reader.segment.base_lsn;
        if (base <= need && !recover->options->read_all)
            return CH_OK;
    }
    if (recover->count == 0) {
        recover->needed = 0;
        return CH_OK;
    }
    if (base <= need)
        return CH_OK;
    return damage(recover, segments->list[0], 0, 0,
                  "records before this segment's first are missing");
}

/* --- 2. read --------------------------------------------------------------------------------- */

static ch_status_t
read_record(recover_t *recover, ch_bytes_t *body, uint64_t lsn, uint64_t offset)
{
    ch_wal_record_t record;
    size_t used;
    uint64_t number = recover->reader.segment.number;
    ch_status_t status = ch_wal_decode_record(&recover->decoder, recover->dictionary,
                                              *body, &record, &used);
    if (status < 0)
        return ch_fail_context(status,
                               "wal segment %" PRIu64 ", lsn %" PRIu64
                               ", in the group that ends at byte %" PRIu64 ": ",
                               number, lsn, offset);
    *body = ch_bytes(body->data + used, body->size - used);
    if (lsn <= recover->lsn_applied)
        return CH_OK;
    record.lsn = lsn;
    record.segment = number;
    recover->result->records++;
    return recover->visit(recover->context, &record, recover->dictionary);
}

static ch_status_t
read_group(recover_t *recover, const ch_wal_group_t *group, ch_bytes_t body)
{
    uint64_t end = recover->reader.offset;
    ch_status_t status = CH_OK;
    for (uint32_t i = 0; status >= 0 && i < group->count; i++)
        status = read_record(recover, &body, group->first_lsn + i, end);
    if (status >= 0 && body.size > 0)
        return damage(recover, recover->reader.segment.number, end - body.size, end,
                      "bytes left after a group's last record");
    return status;
}

/* Nothing valid stands at the reader's offset: damage, or a torn tail (CH_OK). */
static ch_status_t
judge_end(recover_t *recover, bool last)
{
    ch_wal_reader_t *reader = &recover->reader;
    uint64_t number = reader->segment.number, evidence = 0;
#ifdef CH_FAULT_WAL_TRUNCATE_AT_BAD
    if (last)
        return CH_OK;
#endif
    ch_status_t status =
        ch_wal_reader_evidence(reader, &reader->segment, reader->offset, &evidence);
    if (status < 0)
        return status;
    if (status == CH_OK)
        return damage(recover, number, reader->offset,
                      evidence > reader->offset ? evidence
                                                : evidence + CH_WAL_BLOCK_BYTES,
                      "what stands there was durable once");
    if (!last)
        return damage(recover, number, reader->offset, reader->file_bytes,
                      "no seal, and a later segment follows");
    return CH_OK;
}

static ch_status_t
check_continues(recover_t *recover)
{
    const ch_wal_segment_t *segment = &recover->reader.segment;
    if (recover->started &&
        (segment->chain != recover->chain || segment->base_lsn != recover->lsn_next))
        return damage(recover, segment->number, 0, CH_WAL_BLOCK_BYTES,
                      "it does not continue the segment before");
    recover->started = true;
    return CH_OK;
}

static void
add_sealed(recover_t *recover, uint64_t number, uint64_t last_lsn)
{
    ch_wal_recovery_t *result = recover->result;
    result->sealed[result->sealed_count++] =
        (ch_wal_sealed_t){.number = number, .last_lsn = last_lsn};
}

static ch_status_t
read_segment(recover_t *recover, size_t i)
{
    ch_wal_group_t group;
    ch_bytes_t body;
    uint64_t number = recover->listing.segments.list[i];
    ch_status_t status = open_segment(recover, number);
    if (status >= 0 && recover->reader.state != CH_WAL_HEADER_VALID)
        return ch_fail(CH_ERR_IO, "wal segment %" PRIu64 ": changed while it was read",
                       number);
    if (status >= 0)
        status = check_continues(recover);
    ch_wal_dictionary_reset(recover->dictionary);
    while (status == CH_OK) {
        status = ch_wal_reader_next(&recover->reader, &group, &body);
        if (status == CH_OK)
            status = read_group(recover, &group, body);
    }
    if (status == CH_NOT_FOUND)
        status = judge_end(recover, i + 1 == recover->count);
    if (status < 0)
        return status;
    recover->chain = recover->reader.chain;
    recover->lsn_next = recover->reader.lsn_next;
    return CH_OK;
}

/* Segments below the first needed one are not read; all that is known is where they end at the
 * latest, which is what retiring them takes. */
static ch_status_t
read_segments(recover_t *recover)
{
    const ch_wal_numbers_t *segments = &recover->listing.segments;
    recover->result->sealed = ch_calloc(segments->count + 1, sizeof(ch_wal_sealed_t));
    for (size_t i = recover->needed; i < recover->count; i++) {
        ch_status_t status = read_segment(recover, i);
        if (status < 0)
            return status;
        if (i == recover->needed)
            for (size_t j = 0; j < recover->needed; j++)
                add_sealed(recover, segments->list[j],
                           recover->reader.segment.base_lsn - 1);
        if (recover->lsn_next > recover->reader.segment.base_lsn ||
            recover->reader.sealed)
            add_sealed(recover, segments->list[i], recover->lsn_next - 1);
    }
    return CH_OK;
}

/* --- 3. the last segment --------------------------------------------------------------------- */

static ch_status_t
copy_prefix(recover_t *recover, ch_file_t *to)
{
    enum { STEP_BYTES = 1 << 20 };
    uint8_t *bytes = ch_alloc(STEP_BYTES);
    ch_status_t status = CH_OK;
    for (uint64_t done = 0; status >= 0 && done < recover->reader.offset;) {
        uint64_t left = recover->reader.offset - done;
        size_t size = left < STEP_BYTES ? (size_t)left : STEP_BYTES;
        status = ch_fs_read_exact(recover->file, done, bytes, size);
        if (status >= 0)
            status = ch_fs_write(to, done, bytes, size);
        done += size;
    }
    ch_free(bytes);
    return status;
}

static ch_status_t
write_seal(recover_t *recover, ch_file_t *to)
{
    const ch_wal_reader_t *reader = &recover->reader;
    uint8_t block[CH_WAL_BLOCK_BYTES];
    ch_wal_seal_t seal = {
        .records = reader->lsn_next - reader->segment.base_lsn,
        .last_lsn = reader->lsn_next - 1,
        .bytes = reader->offset,
        .chain = reader->chain,
        .term = {.number = recover->options->term, .node = recover->options->term_node},
        .durable_end = reader->offset};
    ch_digest_value(reader->digest, seal.digest);
    ch_wal_seal_encode(&reader->segment, &seal, block);
    return ch_fs_write(to, reader->offset, block, sizeof block);
}

/* Copy, seal, sync, rename: at every moment the old or the new file stands under the name. */
static ch_status_t
cut_by_copy(recover_t *recover)
{
    ch_fs_t *fs = recover->options->fs;
    char path[CH_WAL_PATH_BYTES], tmp[CH_WAL_PATH_BYTES];
    uint64_t number = recover->reader.segment.number;
    ch_file_t *copy = NULL;
    ch_wal_segment_path(recover->options->path, number, path);
    ch_wal_segment_tmp_path(recover->options->path, number, tmp);
    ch_status_t status =
        ch_fs_open(fs, tmp, CH_FS_WRITE | CH_FS_CREATE | CH_FS_EXCLUSIVE, &copy);
    if (status >= 0)
        status = copy_prefix(recover, copy);
    if (status >= 0)
        status = write_seal(recover, copy);
    if (status >= 0)
        status = ch_wal_sync_file(copy);
    ch_fs_close(&copy);
    if (status >= 0)
        status = ch_fs_rename(fs, tmp, path);
    if (status >= 0)
        status = ch_wal_sync_directory(fs, recover->options->path);
    recover->result->torn_bytes = recover->reader.file_bytes - recover->reader.offset;
    return status;
}

static ch_status_t
remove_segment(recover_t *recover, uint64_t number)
{
    char path[CH_WAL_PATH_BYTES];
    ch_wal_segment_path(recover->options->path, number, path);
    ch_log(recover->options->log, CH_LOG_INFO, "wal", "remove_unused", "segment=%" PRIu64,
           number);
    return ch_fs_unlink(recover->options->fs, path);
}

static ch_status_t
settle_last(recover_t *recover)
{
    const ch_wal_numbers_t *segments = &recover->listing.segments;
    const ch_wal_reader_t *reader = &recover->reader;
    ch_status_t status = CH_OK;
    recover->result->number_next = 1;
    if (recover->has_unused) {
        recover->result->number_next = segments->list[segments->count - 1];
        status = remove_segment(recover, recover->result->number_next);
    }
    if (status < 0 || recover->count == 0)
        return status;
    uint64_t last = segments->list[recover->count - 1];
    recover->result->number_next = last + 1;
    if (reader->sealed) /* also when its seal was only in the page cache */
        return ch_wal_sync_file(recover->file);
    if (recover->lsn_next > reader->segment.base_lsn)
        return cut_by_copy(recover);
    recover->result->number_next = last; /* a header without a record: begin it again */
    return remove_segment(recover, last);
}

/* --- 4. all of it ---------------------------------------------------------------------------- */

static ch_status_t
remove_files(recover_t *recover, const ch_wal_numbers_t *numbers, size_t from, bool tmp)
{
    char path[CH_WAL_PATH_BYTES];
    for (size_t i = from; i < numbers->count; i++) {
        if (tmp)
            ch_wal_segment_tmp_path(recover->options->path, numbers->list[i], path);
        else
            ch_wal_spare_path(recover->options->path, numbers->list[i], path);
        ch_status_t status = ch_fs_unlink(recover->options->fs, path);
        if (status < 0)
            return status;
    }
    return CH_OK;
}

/* What stays undone is told. */
static void
settle_nothing(recover_t *recover)
{
    const ch_wal_reader_t *reader = &recover->reader;
    recover->result->chain = recover->chain;
    recover->result->lsn_next =
        recover->count ? recover->lsn_next : recover->lsn_applied + 1;
    if (recover->count && !reader->sealed)
        recover->result->torn_bytes = reader->file_bytes - reader->offset;
}

static ch_status_t
settle(recover_t *recover)
{
    ch_wal_recovery_t *result = recover->result;
    ch_wal_numbers_t *spares = &recover->listing.spares;
    size_t keep = recover->options->spare_segments_max;
    ch_status_t status = remove_files(recover, &recover->listing.tmps, 0, true);
    if (status >= 0)
        status = remove_files(recover, spares, keep, false);
    if (status >= 0)
        status = settle_last(recover);
    if (status >= 0)
        status = ch_wal_sync_directory(recover->options->fs, recover->options->path);
    if (status < 0)
        return status;
    for (size_t i = 0; i < spares->count && i < keep; i++)
        ch_wal_numbers_add(&result->spares, spares->list[i]);
    result->chain = recover->chain;
    result->lsn_next = recover->count ? recover->lsn_next : recover->lsn_applied + 1;
    return CH_OK;
}

/* Tables only ever hold what was durable here, and the newest sealed segment is never retired: a log
 * that ends before them lost its end, and nobody knows how much was acknowledged after it. */
static ch_status_t
judge_reach(const recover_t *recover)
{
    uint64_t last = recover->count ? recover->lsn_next - 1 : 0;
#ifdef CH_FAULT_WAL_LOST_END
    return CH_OK;
#endif
    if (last >= recover->lsn_applied)
        return CH_OK;
    return ch_fail(CH_ERR_CORRUPT,
                   "%s: the log ends at lsn %" PRIu64 ", but tables hold lsn %" PRIu64
                   ": its last segments are missing or cut; nothing was changed: restore "
                   "them from a replica or a backup",
                   recover->options->path, last, recover->lsn_applied);
}

ch_status_t
ch_wal_recover(const ch_wal_options_t *options, uint64_t lsn_applied,
               ch_wal_visit_fn visit, void *context, ch_wal_recovery_t *recovery)
{
    recover_t recover = {.options = options,
                         .lsn_applied = lsn_applied,
                         .visit = visit,
                         .context = context,
                         .result = recovery,
                         .dictionary = ch_wal_dictionary_new()};
    ch_status_t status = CH_OK;
    if (!options->read_only)
        status = ch_fs_mkdir(options->fs, options->path);
    if (status >= 0 && !options->read_only)
        status = ch_wal_sync_parent(options->fs, options->path);
    if (status >= 0)
        status = ch_wal_list(options->fs, options->path, &recover.listing);
    if (status >= 0)
        status = find_needed(&recover);
    if (status >= 0)
        status = read_segments(&recover);
    if (status >= 0)
        status = judge_reach(&recover);
#ifdef CH_FAULT_READ_ONLY_SETTLES
    if (status >= 0)
        status = settle(&recover);
#else
    if (status >= 0 && options->read_only)
        settle_nothing(&recover);
    else if (status >= 0)
        status = settle(&recover);
#endif
    close_segment(&recover);
    ch_wal_listing_release(&recover.listing);
    ch_wal_decoder_release(&recover.decoder);
    ch_wal_dictionary_destroy(&recover.dictionary);
    return status < 0 ? status : CH_OK;
}

void
ch_wal_recovery_release(ch_wal_recovery_t *recovery)
{
    ch_free(recovery->sealed);
    ch_wal_numbers_release(&recovery->spares);
    *recovery = (ch_wal_recovery_t){0};
}
