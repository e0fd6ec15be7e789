#include "db/damage.h"

#include <inttypes.h>
#include <time.h>

#include "ch/alloc.h"
#include "db/engine_state.h"

enum { TIME_BYTES = 40 };

/* For people: to the second, in UTC. */
static const char *
format_time(int64_t time_ns, char out[TIME_BYTES])
{
    time_t seconds = (time_t)(time_ns / 1000000000 - (time_ns % 1000000000 < 0));
    struct tm parts;
    if (!gmtime_r(&seconds, &parts) ||
        strftime(out, TIME_BYTES, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        (void)snprintf(out, TIME_BYTES, "%" PRId64, time_ns);
    return out;
}

static void
say(ch_engine_t *engine, const ch_table_t *table, const char *reason)
{
    const ch_sstable_info_t *info = ch_sstable_info(table->sstable);
    char from[TIME_BYTES], to[TIME_BYTES], quoted[512];
    ch_log(
        engine->options.log, CH_LOG_WARN, "engine", "table_damaged",
        "file=%s from=%s to=%s points=%" PRIu64 " whole=%d reason=%s "
        "action=\"what needs it is answered with corrupt; stop, put the file of a backup "
        "in its place, start\"",
        table->path, format_time(info->time_min, from), format_time(info->time_max, to),
        info->points, ch_sstable_is_damaged(table->sstable),
        ch_log_quote(reason, strlen(reason), quoted, sizeof quoted));
}

void
ch_table_note(ch_engine_t *engine, ch_table_t *table, ch_status_t status)
{
    if (status != CH_ERR_CORRUPT && status != CH_ERR_IO)
        return;
    if (!__atomic_exchange_n(&table->damaged, true, __ATOMIC_RELAXED))
        say(engine, table, ch_fail_text());
}

/* ---- opening ---- */

static ch_status_t
intern_key(void *context, ch_bytes_t name, ch_bytes_t labels)
{
    ch_engine_t *engine = context;
    bool born = false;
    uint32_t series = ch_series_table_intern(
        engine->roster->series, ch_series_table_intern_name(engine->roster->series, name),
        ch_series_table_intern_labels(engine->roster->series, labels), &born);
    if (born)
        ch_roster_born(engine->roster, series, 0);
    return CH_OK;
}

static ch_status_t
open_whole(const ch_engine_t *engine, const char *path, const ch_sstable_info_t *listed,
           ch_sstable_t **sstable_out)
{
    ch_status_t status =
        ch_engine_open_table(engine, path, listed->file_number, sstable_out);
    if (status == CH_NOT_FOUND)
        return ch_fail(CH_ERR_CORRUPT, "%s is missing, the manifest names it", path);
    if (status < 0 || ch_sstable_info_equal(ch_sstable_info(*sstable_out), listed))
        return status;
    ch_sstable_destroy(sstable_out);
    return ch_fail(CH_ERR_CORRUPT,
                   "sstable %s: its footer and the manifest do not say the same", path);
}

/* Of I/O errors only those of reading: a file that does not open (no rights, no descriptors) may be well. */
static bool
is_damage(const ch_engine_t *engine, const char *path, ch_status_t status)
{
    ch_file_t *file = NULL;
    if (status != CH_ERR_IO)
        return status == CH_ERR_CORRUPT || status == CH_ERR_LIMIT;
    bool opens = ch_fs_open(engine->options.fs, path, CH_FS_READ, &file) == CH_OK;
    ch_fs_close(&file);
    return opens;
}

/* *sstable_out: as it is, or what stands in its place. */
static ch_status_t
open_or_stand_in(const ch_engine_t *engine, const char *path,
                 const ch_sstable_info_t *listed, ch_sstable_t **sstable_out)
{
    char reason[512], text[1024], from[TIME_BYTES], to[TIME_BYTES];
    ch_status_t status = open_whole(engine, path, listed, sstable_out);
    if (status >= 0)
        return status;
    (void)snprintf(reason, sizeof reason, "%s", ch_fail_text());
    if (!is_damage(engine, path, status))
        return ch_fail(status, "%s", reason);
    (void)snprintf(text, sizeof text, "the points of a table from %s to %s are lost: %s",
                   format_time(listed->time_min, from), format_time(listed->time_max, to),
                   reason);
    *sstable_out = ch_sstable_new_damaged(path, listed, text);
    return CH_OK;
}

static ch_status_t
take_keys(ch_engine_t *engine, ch_table_t *table)
{
    if (ch_sstable_info(table->sstable)->lsn_max <= engine->catalogue.lsn)
        return CH_OK;
    ch_status_t status = ch_sstable_keys(table->sstable, intern_key, engine);
    if (status >= 0)
        return status;
    ch_table_note(engine, table, status);
    table->keys_unknown = is_damage(engine, table->path, status);
    return table->keys_unknown ? CH_OK : status;
}

ch_status_t
ch_engine_open_listed(ch_engine_t *engine, const ch_manifest_table_t *listed,
                      ch_table_t **table_out)
{
    char *path = ch_engine_table_path(engine, listed->info.file_number);
    ch_sstable_t *sstable = NULL;
    ch_status_t status = open_or_stand_in(engine, path, &listed->info, &sstable);
    if (status >= 0) {
        ch_table_t *table =
            ch_table_new(engine->options.fs, path, listed->level, sstable);
        table->erased_lsn = ch_manifest_erased_lsn(listed);
        table->damaged = ch_sstable_is_damaged(sstable);
        if (table->damaged)
            say(engine, table, ch_fail_text());
        status = take_keys(engine, table);
        *table_out = table;
    }
    ch_free(path);
    return status < 0 ? status : CH_OK;
}

/* ---- asking ---- */

ch_status_t
ch_version_check_keys(const ch_version_t *version, int64_t start, int64_t end)
{
#ifdef CH_FAULT_DAMAGED_KEYS_SILENT
    return CH_OK;
#endif
    if (version->keys_unknown == 0)
        return CH_OK;
    for (size_t i = ch_version_next(version, 0, start, end); i < version->table_count;
         i = ch_version_next(version, i + 1, start, end)) {
        const ch_sstable_info_t *info = ch_sstable_info(version->tables[i]->sstable);
        char from[TIME_BYTES], to[TIME_BYTES];
        if (version->tables[i]->keys_unknown)
            return ch_fail(CH_ERR_CORRUPT,
                           "sstable %s is damaged: series that it has from %s to %s may "
                           "not be known",
                           version->tables[i]->path, format_time(info->time_min, from),
                           format_time(info->time_max, to));
    }
    return CH_OK;
}
