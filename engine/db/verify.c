/* verify.c - manifest, tables and log, each judged by the code that reads it.
 *
 * Order     the manifest says which tables and which log there must be. Without it every table is still
 *           checked for itself (its number is its name); the log is not, its checksums need the
 *           cluster's id.
 * Judgement damage is what no crash leaves behind. The unfinished end of manifest or log is a note: a
 *           start cuts it. So a bit that turned in the very last edit or group, which nothing
 *           follows, is a note too; nobody can tell the two apart.
 */
#include "ch/verify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "ch/alloc.h"
#include "db/engine_state.h"
#include "wal/wal_files.h"
#include "wal/wal_reader.h"
#include "wal/wal_recover.h"

typedef struct verify {
    ch_fs_t *fs;
    const char *dir;
    char *wal_path, *sst_path;
    void (*visit)(void *context, const ch_verify_finding_t *finding);
    void *context;
    ch_verify_report_t report;
    ch_session_map_t *sessions;
    ch_manifest_t *manifest; /* NULL: it cannot be read */
    bool *met;               /* by table of the manifest: there is such a file */
} verify_t;

static void tell(verify_t *verify, bool damage, const char *file, const char *format, ...)
    CH_PRINTF(4, 5);

static void
tell(verify_t *verify, bool damage, const char *file, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const ch_verify_finding_t finding = {damage, file, text};
    if (damage)
        verify->report.damaged++;
    else
        verify->report.notes++;
    verify->visit(verify->context, &finding);
}

/* Damage becomes a finding, anything else is passed on. A version that is not known may be a turned bit
 * of its own number. */
static ch_status_t
tell_damage(verify_t *verify, const char *file, ch_status_t status)
{
    if (status != CH_ERR_CORRUPT && status != CH_ERR_LIMIT && status != CH_ERR_VERSION)
        return status;
    tell(verify, true, file, "%s", ch_fail_text());
    return CH_OK;
}

/* ---- manifest ---- */

static ch_status_t
file_bytes(verify_t *verify, const char *name, uint64_t *bytes_out)
{
    char *path = ch_engine_path(verify->dir, name);
    ch_file_t *file = NULL;
    ch_status_t status = ch_fs_open(verify->fs, path, CH_FS_READ, &file);
    if (status == CH_OK)
        status = ch_fs_size(file, bytes_out);
    ch_fs_close(&file);
    ch_free(path);
    return status;
}

static ch_status_t
pass_name(void *context, const char *name)
{
    (void)context;
    (void)name;
    return CH_OK;
}

static ch_status_t
verify_manifest(verify_t *verify)
{
    uint64_t bytes = 0;
    ch_status_t status = file_bytes(verify, "manifest", &bytes);
    if (status == CH_NOT_FOUND) {
        if (ch_fs_list(verify->fs, verify->sst_path, pass_name, NULL) < 0)
            return ch_fail(CH_ERR_INVALID, "%s: no data directory, it has no manifest",
                           verify->dir);
        tell(verify, true, "manifest", "it is missing");
        return CH_OK;
    }
    if (status >= 0)
        status = ch_manifest_open(verify->fs, verify->dir, 0, verify->sessions,
                                  &verify->manifest);
    if (status < 0)
        return tell_damage(verify, "manifest", status);
    uint64_t whole = ch_manifest_bytes(verify->manifest);
    if (whole < bytes)
        tell(verify, false, "manifest",
             "bytes %" PRIu64 " to %" PRIu64 ": an edit that was not finished", whole,
             bytes);
    uint64_t lost = ch_manifest_evidence_lost(verify->manifest);
    if (lost)
        tell(verify, false, "manifest",
             "bytes %" PRIu64 " to %" PRIu64 ": an empty edit that is not whole", lost,
             lost + 16);
    verify->met = ch_calloc(ch_manifest_state(verify->manifest)->table_count + 1, 1);
    return CH_OK;
}

/* ---- tables ---- */

static const ch_manifest_table_t *
expected(const verify_t *verify, uint64_t number)
{
    const ch_manifest_state_t *state = ch_manifest_state(verify->manifest);
    for (size_t i = 0; i < state->table_count; i++)
        if (state->tables[i].info.file_number == number) {
            verify->met[i] = true;
            return &state->tables[i];
        }
    return NULL;
}

/* `listed` NULL: the manifest does not say what it should be. */
static ch_status_t
verify_table(verify_t *verify, const char *file, const char *path, uint64_t number,
             const ch_manifest_table_t *listed)
{
    ch_sstable_t *sstable = NULL;
    ch_status_t status = ch_sstable_open(verify->fs, path, number, &sstable);
    if (status == CH_OK && listed &&
        !ch_sstable_info_equal(ch_sstable_info(sstable), &listed->info))
        status =
            ch_fail(CH_ERR_CORRUPT, "its footer and the manifest do not say the same");
#ifndef CH_FAULT_VERIFY_NO_BLOCKS
    if (status == CH_OK)
        status = ch_sstable_verify(sstable);
#endif
    verify->report.tables++;
    if (status == CH_OK)
        verify->report.points += ch_sstable_info(sstable)->points;
    ch_sstable_destroy(&sstable);
    return tell_damage(verify, file, status);
}

static ch_status_t
verify_name(void *context, const char *name)
{
    verify_t *verify = context;
    char *end = NULL, file[300];
    uint64_t number = strtoull(name, &end, 10);
    (void)snprintf(file, sizeof file, "sst/%s", name);
    if (end == name || strcmp(end, ".sst") != 0) {
        tell(verify, false, file, "left over; a start removes it");
        return CH_OK;
    }
    const ch_manifest_table_t *listed =
        verify->manifest ? expected(verify, number) : NULL;
    if (verify->manifest && !listed) {
        tell(verify, false, file, "the manifest does not name it; a start removes it");
        return CH_OK;
    }
    char *path = ch_engine_path(verify->dir, file);
    ch_status_t status = verify_table(verify, file, path, number, listed);
    ch_free(path);
    return status < 0 ? status : CH_OK;
}

static ch_status_t
verify_tables(verify_t *verify)
{
    ch_status_t status = ch_fs_list(verify->fs, verify->sst_path, verify_name, verify);
    if (status < 0 || !verify->manifest)
        return status;
    const ch_manifest_state_t *state = ch_manifest_state(verify->manifest);
    for (size_t i = 0; i < state->table_count; i++) {
        char file[64];
        if (verify->met[i])
            continue;
        (void)snprintf(file, sizeof file, "sst/%020" PRIu64 ".sst",
                       state->tables[i].info.file_number);
        tell(verify, true, file, "it is missing; the manifest names it");
    }
    return CH_OK;
}

/* ---- log ---- */

static ch_status_t
pass_over(void *context, const ch_wal_record_t *record,
          const ch_wal_dictionary_t *dictionary)
{
    (void)context;
    (void)record;
    (void)dictionary;
    return CH_OK;
}

static void
tell_torn(verify_t *verify, const ch_wal_listing_t *listing, uint64_t torn_bytes)
{
    char file[64];
    if (torn_bytes == 0 || listing->segments.count == 0)
        return;
    (void)snprintf(file, sizeof file, "wal/%020" PRIu64 ".wal",
                   listing->segments.list[listing->segments.count - 1]);
    tell(verify, false, file,
         "its last %" PRIu64 " bytes hold no whole group; a start cuts them", torn_bytes);
}

/* The last file may have no header yet, or none any more: recovery passes over it, and only if the log then
 * ends too early says so, without a name. */
static ch_status_t
verify_last_header(verify_t *verify, const ch_wal_listing_t *listing)
{
    char file[64];
    if (listing->segments.count == 0)
        return CH_OK;
    uint64_t number = listing->segments.list[listing->segments.count - 1];
    (void)snprintf(file, sizeof file, "wal/%020" PRIu64 ".wal", number);
    char *path = ch_engine_path(verify->dir, file);
    ch_wal_reader_t reader = {0};
    ch_file_t *opened = NULL;
    ch_status_t status = ch_fs_open(verify->fs, path, CH_FS_READ, &opened);
    if (status == CH_OK)
        status = ch_wal_reader_init(&reader, opened, number);
    if (status == CH_OK && reader.state == CH_WAL_HEADER_INVALID)
        tell(verify, false, file, "bytes 0 to %d: no valid header", CH_WAL_BLOCK_BYTES);
    ch_wal_reader_release(&reader);
    ch_fs_close(&opened);
    ch_free(path);
    return status;
}

static ch_status_t
verify_wal(verify_t *verify)
{
    const ch_manifest_state_t *state = ch_manifest_state(verify->manifest);
    const ch_wal_options_t options = {.fs = verify->fs,
                                      .path = verify->wal_path,
                                      .cluster = state->cluster,
                                      .term = state->term,
                                      .read_only = true,
                                      .read_all = true};
    ch_wal_listing_t listing = {0};
    ch_wal_recovery_t recovery = {0};
    ch_status_t status = ch_wal_list(verify->fs, verify->wal_path, &listing);
    if (status >= 0)
        status = verify_last_header(verify, &listing);
    if (status >= 0)
        status = ch_wal_recover(&options, state->flushed_lsn, pass_over, NULL, &recovery);
    if (status >= 0)
        tell_torn(verify, &listing, recovery.torn_bytes);
    verify->report.segments = listing.segments.count;
    ch_wal_recovery_release(&recovery);
    ch_wal_listing_release(&listing);
    return tell_damage(verify, "wal", status);
}

/* ---- all ---- */

ch_status_t
ch_verify(ch_fs_t *fs, const char *dir,
          void (*visit)(void *context, const ch_verify_finding_t *finding), void *context,
          ch_verify_report_t *report_out)
{
    ch_file_t *lock = NULL;
    verify_t verify = {.fs = fs,
                       .dir = dir,
                       .wal_path = ch_engine_path(dir, "wal"),
                       .sst_path = ch_engine_path(dir, "sst"),
                       .visit = visit,
                       .context = context,
                       .sessions = ch_session_map_new()};
    ch_status_t status = ch_engine_lock_for_reading(fs, dir, &lock);
    if (status >= 0)
        status = verify_manifest(&verify);
    if (status >= 0)
        status = verify_tables(&verify);
    if (status >= 0 && verify.manifest)
        status = verify_wal(&verify);
    if (status >= 0)
        *report_out = verify.report;
    ch_fs_close(&lock);
    ch_manifest_destroy(&verify.manifest);
    ch_session_map_destroy(&verify.sessions);
    ch_free(verify.met);
    ch_free(verify.wal_path);
    ch_free(verify.sst_path);
    return status;
}
