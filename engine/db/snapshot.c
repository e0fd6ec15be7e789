/* snapshot.c - a database into another directory: by hard links beside the running one, by copying elsewhere.
 *
 * Problem     A copy must be one state, although flushes and merges go on and remove files.
 * Idea        While the manifest is frozen no edit happens, so every table that it names is there, and a
 *             link to each takes microseconds. What came after the flushed lsn is in the log: it is
 *             sealed, and the sealed segments that reach back to that lsn are linked too. They may
 *             not be retired meanwhile; and a segment with a second name is never recycled, which
 *             would write over it in place (wal_spare.c).
 * Order       tables, their directory; segments, theirs; then the manifest by rename. Before that the
 *             directory is no database, after it a whole one.
 * Incremental A table never changes and its number is never used twice, so a backup links what the one
 *             before has. Only that size and the end of the file (index and footer) agree too tells
 *             that both come from one history: a restored database reuses numbers.
 */
#include "ch/snapshot.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ch/alloc.h"
#include "db/engine_state.h"
#include "wal/wal_files.h"
#include "wal/wal_reader.h"

enum {
    STEP_BYTES = 1 << 20,
    TAIL_BYTES = 64 << 10, /* of a table: index and footer, mostly all of them */
};

typedef struct copy {
    ch_fs_t *fs;
    const char *from, *to, *base; /* directories */
    bool live;                    /* links, or nothing */
    uint8_t *bytes;               /* STEP_BYTES */
    ch_copy_report_t report;
} copy_t;

/* ---- files ---- */

static void
table_name(uint64_t number, char name[64])
{
    (void)snprintf(name, 64, "sst/%020" PRIu64 ".sst", number);
}

static ch_status_t
copy_bytes(copy_t *copy, ch_file_t *from, ch_file_t *to)
{
    uint64_t size = 0;
    ch_status_t status = ch_fs_size(from, &size);
    for (uint64_t done = 0; status >= 0 && done < size;) {
        size_t step = size - done < STEP_BYTES ? (size_t)(size - done) : STEP_BYTES;
        status = ch_fs_read_exact(from, done, copy->bytes, step);
        if (status >= 0)
            status = ch_fs_write(to, done, copy->bytes, step);
        done += step;
        copy->report.bytes_copied += step;
    }
    return status;
}

static ch_status_t
copy_file(copy_t *copy, const char *name)
{
    char *source = ch_engine_path(copy->from, name);
    char *target = ch_engine_path(copy->to, name);
    ch_file_t *from = NULL, *to = NULL;
    ch_status_t status = ch_fs_open(copy->fs, source, CH_FS_READ, &from);
    if (status == CH_NOT_FOUND)
        status = ch_fail(CH_ERR_CORRUPT, "%s is missing", source);
    if (status >= 0)
        status = ch_fs_open(copy->fs, target,
                            CH_FS_WRITE | CH_FS_CREATE | CH_FS_EXCLUSIVE, &to);
    if (status >= 0)
        status = copy_bytes(copy, from, to);
    if (status >= 0)
        status = ch_fs_sync(to);
    ch_fs_close(&from);
    ch_fs_close(&to);
    ch_free(source);
    ch_free(target);
    return status;
}

static ch_status_t
read_tail(copy_t *copy, const char *dir, const char *name, uint8_t *tail,
          uint64_t *size_out)
{
    char *path = ch_engine_path(dir, name);
    ch_file_t *file = NULL;
    ch_status_t status = ch_fs_open(copy->fs, path, CH_FS_READ, &file);
    if (status == CH_OK)
        status = ch_fs_size(file, size_out);
    if (status == CH_OK) {
        size_t size = *size_out < TAIL_BYTES ? (size_t)*size_out : TAIL_BYTES;
        status = ch_fs_read_exact(file, *size_out - size, tail, size);
    }
    ch_fs_close(&file);
    ch_free(path);
    return status;
}

static bool
base_has(copy_t *copy, const char *name)
{
    uint8_t *tails = ch_calloc(2, TAIL_BYTES);
    uint64_t sizes[2] = {0, 0};
    bool same =
        copy->base && read_tail(copy, copy->base, name, tails, &sizes[0]) == CH_OK &&
        read_tail(copy, copy->from, name, tails + TAIL_BYTES, &sizes[1]) == CH_OK &&
        sizes[0] == sizes[1] && memcmp(tails, tails + TAIL_BYTES, TAIL_BYTES) == 0;
    ch_free(tails);
    return same;
}

static bool
is_there(ch_fs_t *fs, const char *dir, const char *name)
{
    char *path = ch_engine_path(dir, name);
    ch_file_t *file = NULL;
    ch_status_t status = ch_fs_open(fs, path, CH_FS_READ, &file);
    ch_fs_close(&file);
    ch_free(path);
    return status != CH_NOT_FOUND;
}

static ch_status_t
link_file(copy_t *copy, const char *dir, const char *name)
{
    char *source = ch_engine_path(dir, name);
    char *target = ch_engine_path(copy->to, name);
    ch_status_t status = CH_ERR_CORRUPT;
    if (is_there(copy->fs, dir, name))
        status = ch_fs_link(copy->fs, source, target);
    else
        (void)ch_fail(status, "%s is missing; restore it from a copy", source);
    ch_free(source);
    ch_free(target);
    return status;
}

static ch_status_t
take_table(void *context, const ch_manifest_table_t *table)
{
    copy_t *copy = context;
    char name[64];
    table_name(table->info.file_number, name);
    copy->report.tables++;
    ch_status_t status = CH_ERR_UNSUPPORTED;
    if (copy->live)
        status = link_file(copy, copy->from, name);
    else if (base_has(copy, name))
        status = link_file(copy, copy->base, name);
    copy->report.tables_linked += status >= 0;
    return status == CH_ERR_UNSUPPORTED && !copy->live ? copy_file(copy, name) : status;
}

/* ---- directories ---- */

static const char *const parts[] = {"sst", "wal"};

static ch_status_t
sync_part(copy_t *copy, const char *name)
{
    char *path = ch_engine_path(copy->to, name);
    ch_status_t status = ch_fs_sync_dir(copy->fs, path);
    ch_free(path);
    return status;
}

typedef struct emptying {
    ch_fs_t *fs;
    const char *dir;
} emptying_t;

static ch_status_t
remove_entry(void *context, const char *name)
{
    const emptying_t *emptying = context;
    char *path = ch_engine_path(emptying->dir, name);
    ch_status_t status = ch_fs_unlink(emptying->fs, path);
    ch_free(path);
    return status < 0 ? status : CH_OK;
}

/* What an unfinished copy left. A part that is not there has nothing to be removed. */
static void
empty_parts(ch_fs_t *fs, const char *dir)
{
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char *path = ch_engine_path(dir, parts[i]);
        emptying_t emptying = {fs, path};
        if (ch_fs_list(fs, path, remove_entry, &emptying) >= 0)
            (void)(ch_fs_unlink(fs, path) < 0);
        ch_free(path);
    }
}

ch_status_t
ch_remove_database(ch_fs_t *fs, const char *dir)
{
    static const char *const files[] = {"manifest", "manifest.tmp", "LOCK"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        emptying_t emptying = {fs, dir};
        ch_status_t status = CH_OK;
        if (is_there(fs, dir, files[i]))
            status = remove_entry(&emptying, files[i]);
        if (status < 0)
            return status;
    }
    empty_parts(fs, dir);
    return ch_fs_unlink(fs, dir);
}

static ch_status_t
refuse_entry(void *context, const char *name)
{
    return ch_fail(CH_ERR_EXISTS, "%s holds %s: give a new or an empty directory",
                   (const char *)context, name);
}

/* A new directory; below snapshots/ also what an unfinished one left. Elsewhere tables without a manifest
 * may be all that somebody has. */
static ch_status_t
make_directories(copy_t *copy)
{
    ch_status_t status = ch_fs_mkdir(copy->fs, copy->to);
    if (status >= 0 && is_there(copy->fs, copy->to, "manifest"))
        return ch_fail(CH_ERR_EXISTS, "%s is a database already%s", copy->to,
                       copy->live ? ": take another name, or remove that snapshot" : "");
    if (status >= 0 && copy->live && is_there(copy->fs, copy->to, "manifest.tmp")) {
        emptying_t emptying = {copy->fs, copy->to};
        status = remove_entry(&emptying, "manifest.tmp");
    }
    if (status >= 0 && copy->live)
        empty_parts(copy->fs, copy->to);
    if (status >= 0)
        status = ch_fs_list(copy->fs, copy->to, refuse_entry, (void *)copy->to);
    for (size_t i = 0; status >= 0 && i < sizeof parts / sizeof parts[0]; i++) {
        char *path = ch_engine_path(copy->to, parts[i]);
        status = ch_fs_mkdir(copy->fs, path);
        ch_free(path);
    }
    return status;
}

/* ---- log ---- */

static ch_status_t
base_lsn(copy_t *copy, const char *wal_path, uint64_t number, uint64_t *lsn_out)
{
    char path[CH_WAL_PATH_BYTES];
    ch_wal_reader_t reader = {0};
    ch_file_t *file = NULL;
    ch_wal_segment_path(wal_path, number, path);
    ch_status_t status = ch_fs_open(copy->fs, path, CH_FS_READ, &file);
    if (status == CH_OK)
        status = ch_wal_reader_init(&reader, file, number);
    if (status == CH_OK && reader.state == CH_WAL_HEADER_VALID)
        *lsn_out = reader.segment.base_lsn;
    else if (status == CH_OK) /* one without a header at the end is none yet */
        *lsn_out = UINT64_MAX;
    ch_wal_reader_release(&reader);
    ch_fs_close(&file);
    return status;
}

/* Link or copy segments up to `last`, back to the one in which the flushed lsn is followed. */
static ch_status_t
take_segments(copy_t *copy, uint64_t flushed_lsn, uint64_t last)
{
    char *wal_path = ch_engine_path(copy->from, "wal");
    ch_wal_listing_t listing = {0};
    ch_status_t status = ch_wal_list(copy->fs, wal_path, &listing);
    bool reached = false;
    for (size_t i = listing.segments.count; status >= 0 && !reached && i-- > 0;) {
        uint64_t number = listing.segments.list[i], base = UINT64_MAX;
        char name[64];
        if (number > last)
            continue;
        (void)snprintf(name, sizeof name, "wal/%020" PRIu64 ".wal", number);
        status = base_lsn(copy, wal_path, number, &base);
        if (status >= 0)
            status =
                copy->live ? link_file(copy, copy->from, name) : copy_file(copy, name);
        copy->report.segments++;
        reached = base <= flushed_lsn + 1;
    }
    ch_wal_listing_release(&listing);
    ch_free(wal_path);
    return status;
}

/* ---- the steps of both ---- */

static ch_status_t
finish(copy_t *copy, uint64_t cluster, const ch_text_t *image)
{
    ch_status_t status = sync_part(copy, "sst");
    if (status >= 0)
        status = sync_part(copy, "wal");
    if (status >= 0)
        status = ch_fs_sync_dir(copy->fs, copy->to);
    if (status >= 0)
        status = ch_wal_sync_parent(copy->fs, copy->to);
#ifndef CH_FAULT_SNAPSHOT_MANIFEST_FIRST
    if (status >= 0)
        status =
            ch_manifest_write_image(copy->fs, copy->to, cluster, ch_text_bytes(image));
#endif
    return status;
}

static ch_status_t
take_tables(copy_t *copy, ch_manifest_t *manifest, ch_text_t *image, uint64_t *lsn_out)
{
    ch_status_t status = ch_manifest_freeze(manifest, take_table, copy, image, lsn_out);
#ifdef CH_FAULT_SNAPSHOT_MANIFEST_FIRST
    if (status >= 0)
        status = ch_manifest_write_image(copy->fs, copy->to,
                                         ch_manifest_state(manifest)->cluster,
                                         ch_text_bytes(image));
#endif
    return status;
}

/* ---- a snapshot ---- */

static bool
name_is_good(const char *name)
{
    size_t size = strlen(name);
    for (size_t i = 0; i < size; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i]))
            return false;
    return size > 0 && size <= CH_SNAPSHOT_NAME_MAX && name[0] != '.';
}

static void
read_log(ch_engine_t *engine, int by)
{
    (void)pthread_mutex_lock(&engine->wal_commit_mutex);
    engine->log_readers += (unsigned)by;
    (void)pthread_mutex_unlock(&engine->wal_commit_mutex);
}

static ch_status_t
take_log(copy_t *copy, ch_engine_t *engine, uint64_t flushed_lsn)
{
    uint64_t segment = 0;
    ch_status_t status = ch_engine_seal(engine, &segment);
    copy->report.lsn = ch_wal_durable_lsn(engine->wal);
#ifdef CH_FAULT_SNAPSHOT_OPEN_LOG_LEFT_OUT
    segment = segment ? segment - 1 : 0;
#endif
    return status < 0 ? status : take_segments(copy, flushed_lsn, segment);
}

static ch_status_t
take_snapshot(copy_t *copy, ch_engine_t *engine)
{
    ch_text_t image = {0};
    uint64_t flushed_lsn = 0;
    ch_status_t status = make_directories(copy);
    if (status >= 0)
        status = take_tables(copy, engine->manifest, &image, &flushed_lsn);
    if (status >= 0)
        status = take_log(copy, engine, flushed_lsn);
    if (status >= 0)
        status = ch_fs_sync_dir(copy->fs, copy->from); /* the name "snapshots" */
    if (status >= 0)
        status = finish(copy, ch_manifest_state(engine->manifest)->cluster, &image);
    ch_text_release(&image);
    return status;
}

static ch_status_t
check_name(const char *name)
{
    if (name_is_good(name))
        return CH_OK;
    return ch_fail(CH_ERR_INVALID,
                   "a snapshot's name has letters, digits, '.', '_' and '-', at most "
                   "%d, and no dot in front",
                   CH_SNAPSHOT_NAME_MAX);
}

static char *
snapshot_path(const ch_engine_t *engine, const char *name)
{
    char *all = ch_engine_path(engine->path, "snapshots");
    char *path = ch_engine_path(all, name);
    ch_free(all);
    return path;
}

/* What is left of one that failed holds on to room. */
static void
clean_up(const copy_t *copy)
{
    if (!is_there(copy->fs, copy->to, "manifest") &&
        ch_remove_database(copy->fs, copy->to) < 0) {
        /* The next start, or the next of that name, does it. */
    }
}

static ch_status_t
snapshot_to(ch_engine_t *engine, const char *all, copy_t *copy)
{
    read_log(engine, 1);
    ch_status_t status = ch_fs_mkdir(copy->fs, all);
    if (status >= 0)
        status = take_snapshot(copy, engine);
    read_log(engine, -1);
    if (status < 0 && status != CH_ERR_EXISTS)
        clean_up(copy);
    return status;
}

ch_status_t
ch_engine_snapshot(ch_engine_t *engine, const char *name, ch_copy_report_t *report_out)
{
    ch_status_t status = check_name(name);
    if (status < 0)
        return status;
    if (engine->closed || ch_engine_failed(engine))
        return ch_fail(CH_ERR_CLOSED, "engine: closed or failed");
    char *all = ch_engine_path(engine->path, "snapshots");
    char *to = snapshot_path(engine, name);
    int64_t began_ns = ch_clock_monotonic_ns(engine->options.clock);
    copy_t copy = {
        .fs = engine->options.fs, .from = engine->path, .to = to, .live = true};
    (void)pthread_mutex_lock(&engine->snapshot_mutex);
    status = snapshot_to(engine, all, &copy);
    (void)pthread_mutex_unlock(&engine->snapshot_mutex);
    if (status >= 0) {
        int64_t took_ns = ch_clock_monotonic_ns(engine->options.clock) - began_ns;
        *report_out = copy.report;
        ch_log(engine->options.log, CH_LOG_INFO, "engine", "snapshot",
               "name=%s tables=%" PRIu64 " segments=%" PRIu64 " lsn=%" PRIu64
               " took_ms=%" PRId64,
               name, copy.report.tables, copy.report.segments, copy.report.lsn,
               took_ns / 1000000);
    }
    ch_free(to);
    ch_free(all);
    return status < 0 ? status : CH_OK;
}

/* ---- snapshots that are there ---- */

typedef struct listing {
    ch_engine_t *engine;
    ch_snapshot_info_t *items;
    size_t count;
} listing_t;

/* One that is being made, or cannot be read, is not told of. */
static ch_status_t
list_snapshot(void *context, const char *name)
{
    listing_t *listing = context;
    ch_fs_t *fs = listing->engine->options.fs;
    char *path = snapshot_path(listing->engine, name);
    ch_session_map_t *sessions = ch_session_map_new();
    ch_manifest_t *manifest = NULL;
    if (name_is_good(name) && is_there(fs, path, "manifest") &&
        ch_manifest_open(fs, path, 0, sessions, &manifest) == CH_OK) {
        const ch_manifest_state_t *state = ch_manifest_state(manifest);
        listing->items =
            ch_realloc(listing->items, (listing->count + 1) * sizeof *listing->items);
        ch_snapshot_info_t *info = &listing->items[listing->count++];
        *info = (ch_snapshot_info_t){.tables = state->table_count};
        (void)snprintf(info->name, sizeof info->name, "%s", name);
        for (size_t i = 0; i < state->table_count; i++) {
            info->bytes += state->tables[i].info.file_bytes;
            info->points += state->tables[i].info.points;
        }
    }
    ch_manifest_destroy(&manifest);
    ch_session_map_destroy(&sessions);
    ch_free(path);
    return CH_OK;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const ch_snapshot_info_t *)a)->name,
                  ((const ch_snapshot_info_t *)b)->name);
}

ch_status_t
ch_engine_snapshots(ch_engine_t *engine, ch_snapshot_info_t **list_out, size_t *count_out)
{
    char *all = ch_engine_path(engine->path, "snapshots");
    listing_t listing = {.engine = engine};
    ch_status_t status = CH_OK;
    if (is_there(engine->options.fs, engine->path, "snapshots"))
        status = ch_fs_list(engine->options.fs, all, list_snapshot, &listing);
    ch_free(all);
    if (status < 0) {
        ch_free(listing.items);
        return status;
    }
    if (listing.count > 1)
        qsort(listing.items, listing.count, sizeof *listing.items, by_name);
    *list_out = listing.items;
    *count_out = listing.count;
    return CH_OK;
}

static ch_status_t
remove_snapshot(ch_engine_t *engine, const char *name, const char *path)
{
    ch_file_t *lock = NULL;
    ch_fs_t *fs = engine->options.fs;
    if (!is_there(fs, path, "manifest"))
        return ch_fail(CH_NOT_FOUND, "there is no snapshot %s", name);
    ch_status_t status = ch_engine_lock_for_reading(fs, path, &lock);
    ch_fs_close(&lock);
    return status < 0 ? status : ch_remove_database(fs, path);
}

ch_status_t
ch_engine_snapshot_remove(ch_engine_t *engine, const char *name)
{
    ch_status_t status = check_name(name);
    if (status < 0)
        return status;
    char *path = snapshot_path(engine, name);
    (void)pthread_mutex_lock(&engine->snapshot_mutex);
    status = remove_snapshot(engine, name, path);
    (void)pthread_mutex_unlock(&engine->snapshot_mutex);
    if (status == CH_OK)
        ch_log(engine->options.log, CH_LOG_INFO, "engine", "snapshot_removed",
               "name=%s reason=asked", name);
    ch_free(path);
    return status;
}

static ch_status_t
clean_snapshot(void *context, const char *name)
{
    ch_engine_t *engine = context;
    char *path = snapshot_path(engine, name);
    if (!is_there(engine->options.fs, path, "manifest")) {
        ch_status_t status = ch_remove_database(engine->options.fs, path);
        ch_log(engine->options.log, CH_LOG_WARN, "engine", "snapshot_removed",
               "name=%s reason=unfinished done=%d", name, status >= 0);
    }
    ch_free(path);
    return CH_OK;
}

void
ch_engine_clean_snapshots(ch_engine_t *engine)
{
    char *all = ch_engine_path(engine->path, "snapshots");
    if (ch_fs_list(engine->options.fs, all, clean_snapshot, engine) < 0) {
        /* There is none: most databases. */
    }
    ch_free(all);
}

/* ---- a copy of one at rest ---- */

static ch_status_t
open_source(copy_t *copy, ch_session_map_t *sessions, ch_file_t **lock,
            ch_manifest_t **manifest)
{
    ch_status_t status = ch_engine_lock_for_reading(copy->fs, copy->from, lock);
    if (status < 0)
        return status;
    if (!is_there(copy->fs, copy->from, "manifest"))
        return ch_fail(CH_ERR_INVALID, "%s: no database, it has no manifest", copy->from);
    return ch_manifest_open(copy->fs, copy->from, 0, sessions, manifest);
}

ch_status_t
ch_copy_database(ch_fs_t *fs, const char *from, const char *to, const char *base,
                 ch_copy_report_t *report_out)
{
    copy_t copy = {
        .fs = fs, .from = from, .to = to, .base = base, .bytes = ch_alloc(STEP_BYTES)};
    ch_session_map_t *sessions = ch_session_map_new();
    ch_manifest_t *manifest = NULL;
    ch_file_t *lock = NULL;
    ch_text_t image = {0};
    uint64_t flushed_lsn = 0;
    ch_status_t status = open_source(&copy, sessions, &lock, &manifest);
    if (status >= 0)
        status = make_directories(&copy);
    if (status >= 0)
        status = take_tables(&copy, manifest, &image, &flushed_lsn);
    if (status >= 0)
        status = take_segments(&copy, flushed_lsn, UINT64_MAX);
    if (status >= 0)
        status = finish(&copy, ch_manifest_state(manifest)->cluster, &image);
    if (status >= 0)
        *report_out = copy.report;
    ch_text_release(&image);
    ch_manifest_destroy(&manifest);
    ch_session_map_destroy(&sessions);
    ch_fs_close(&lock);
    ch_free(copy.bytes);
    return status < 0 ? status : CH_OK;
}
