#include "support/wal_log.h"

#include <inttypes.h>
#include <stdio.h>

#include "ch/checksum.h"
#include "ch/series_key.h"

static int64_t
clock_now(void *context)
{
    return ((ch_wal_log_t *)context)->now_ns;
}

void
ch_wal_log_init(ch_wal_log_t *log, ch_simfs_t *simfs, uint64_t seed)
{
    *log = (ch_wal_log_t){.simfs = simfs, .seed = seed, .batch_size = 5};
    log->clock =
        (ch_clock_t){.wall_ns = clock_now, .monotonic_ns = clock_now, .context = log};
    log->options = (ch_wal_options_t){
        .fs = ch_simfs_fs(simfs),
        .path = "wal",
        .clock = &log->clock,
        .cluster = 0xc17,
        .term = 1,
        .segment_bytes = 8192,
        .segment_max_age_ms = 1000,
        .spare_segments_max = 1,
        .zero_ahead_bytes = 16384,
    };
}

static ch_status_t
visit(void *context, const ch_wal_record_t *record, const ch_wal_dictionary_t *dictionary)
{
    ch_wal_log_t *log = context;
    ch_wal_batch_t made;
    ch_wal_batch_make(&made, log->seed, record->lsn, log->batch_size);
    const char *wrong = ch_wal_batch_compare(&made, record, dictionary);
    ch_wal_batch_release(&made);
    if (!log->visited_first)
        log->visited_first = record->lsn;
    else if (record->lsn != log->visited_last + 1)
        wrong = "a gap";
    log->visited_last = record->lsn;
    if (wrong && !log->wrong[0])
        snprintf(log->wrong, sizeof log->wrong, "lsn %" PRIu64 ": %s", record->lsn,
                 wrong);
    return CH_OK;
}

ch_status_t
ch_wal_log_open(ch_wal_log_t *log, uint64_t lsn_applied)
{
    ch_wal_namer_t namer = ch_wal_batch_namer();
    log->visited_first = log->visited_last = 0;
    log->wrong[0] = '\0';
    ch_status_t status = ch_wal_open(&log->options, lsn_applied, visit, log, &log->wal);
    if (status >= 0)
        ch_wal_set_namer(log->wal, &namer);
    return status;
}

ch_status_t
ch_wal_log_append(ch_wal_log_t *log)
{
    ch_wal_batch_t made;
    uint64_t lsn = ch_wal_appended_lsn(log->wal) + 1, got = 0;
    ch_wal_batch_make(&made, log->seed, lsn, log->batch_size);
    ch_status_t status =
        ch_wal_append_batch(log->wal, &made.batch, made.series, made.time, &got);
    ch_wal_batch_release(&made);
    if (status >= 0 && got != lsn)
        return ch_fail(CH_ERR_INVALID, "lsn %" PRIu64 " instead of %" PRIu64, got, lsn);
    return status;
}

ch_status_t
ch_wal_log_write(ch_wal_log_t *log, unsigned count)
{
    ch_status_t status = CH_OK;
    for (unsigned i = 0; status >= 0 && i < count; i++) {
        status = ch_wal_log_append(log);
        if (status >= 0)
            status = ch_wal_commit(log->wal);
    }
    return status;
}

/* --- files ----------------------------------------------------------------------------------- */

typedef struct describe {
    ch_simfs_t *simfs;
    ch_text_t text;
} describe_t;

static ch_status_t
describe_file(void *context, const char *path, uint64_t size)
{
    describe_t *describe = context;
    ch_file_t *file = NULL;
    size_t got = 0;
    char line[300];
    uint8_t *bytes = ch_alloc((size_t)size + 1);
    ch_status_t status =
        ch_fs_open(ch_simfs_fs(describe->simfs), path, CH_FS_READ, &file);
    if (status == CH_OK)
        status = ch_fs_read(file, 0, bytes, (size_t)size, &got);
    ch_fs_close(&file);
    int used = snprintf(line, sizeof line, "%s %" PRIu64 " %" PRIx64 "\n", path, size,
                        ch_hash64(bytes, got, 0));
    ch_text_append(&describe->text, line, (size_t)used);
    ch_free(bytes);
    return status;
}

char *
ch_wal_log_files(ch_simfs_t *simfs)
{
    describe_t describe = {.simfs = simfs};
    if (ch_simfs_files(simfs, describe_file, &describe) < 0)
        ch_text_reset(&describe.text);
    ch_text_append(&describe.text, "", 1);
    return describe.text.data;
}
