/* catalogue.c - the series of all tables in two files.
 *
 * Problem     A start needs every key: to number series, to find them by label. Reading them out of the
 *             tables takes microseconds a series and repeats itself for every table that has it.
 * Idea        The numbering and the index are written as they stand in memory (the image) and read back
 *             as they are. A flush that made series adds them to a second file; when those are an eighth
 *             of the image, a new image is written.
 * Example     Image 3 holds 800,000 series, up to lsn 10,000. Flushes at 11,000 and 12,000 add 40 and 0. A
 *             start reads both files, asks tables above lsn 12,000 for their keys, and the log.
 * Crash       The image is synced and renamed before the older one goes. Additions are not synced: what is
 *             torn is not there, and the tables it spoke of are asked again. But before a merge ends a
 *             delete they are: no table tells which series that left empty.
 * Invariant   A series that is not durable is in no part, else a crash would leave a name without points.
 */
#include "db/engine_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ch/alloc.h"
#include "ch/checksum.h"
#include "ch/coding.h"
#include "os/stream.h"

#define CATALOGUE_MAGIC UINT64_C(0x0a54414354484843) /* "CHHTCAT\n" */

/* docs/format/catalogue.md, "Header of a part". */
enum {
    CATALOGUE_VERSION = 2,
    KIND_IMAGE = 1,
    KIND_ADDED = 2,
    HEADER_MAGIC = 0,
    HEADER_VERSION = 8,
    HEADER_KIND = 12,
    HEADER_CLUSTER = 16,
    HEADER_LSN = 24,
    HEADER_FROM = 32, /* names, label sets, series: u32 each */
    HEADER_TO = 44,
    HEADER_INDEXED = 56, /* u32: series that the image's index knows */
    HEADER_VALUES = 60,  /* u32: label values that it knows */
    HEADER_BYTES = 64,
};

enum { TOUCHED_BYTES_MAX = 1 << 30 };

enum { IMAGE_GROWTH = 8 /* an image per growth by one in ... */ };

typedef struct part {
    uint32_t kind;
    uint64_t lsn;
    ch_series_mark_t from, to;
    uint32_t indexed, values;
} part_t;

static char *
file_path(const ch_engine_t *engine, uint64_t number, const char *ending)
{
    char name[64];
    (void)snprintf(name, sizeof name, "catalogue/%020" PRIu64 "%s", number, ending);
    return ch_engine_path(engine->path, name);
}

static uint64_t
stream_seed(uint64_t number, uint32_t kind)
{
    return ch_seed(number, kind, 0, 0);
}

static void
mark_put(uint8_t *to, ch_series_mark_t mark)
{
    ch_store_u32(to, mark.names);
    ch_store_u32(to + 4, mark.labels);
    ch_store_u32(to + 8, mark.series);
}

static ch_series_mark_t
mark_get(const uint8_t *from)
{
    return (ch_series_mark_t){.names = ch_load_u32(from),
                              .labels = ch_load_u32(from + 4),
                              .series = ch_load_u32(from + 8)};
}

static void
part_put(const ch_engine_t *engine, const part_t *part, ch_stream_writer_t *out)
{
    uint8_t header[HEADER_BYTES] = {0};
    ch_store_u64(header + HEADER_MAGIC, CATALOGUE_MAGIC);
    ch_store_u32(header + HEADER_VERSION, CATALOGUE_VERSION);
    ch_store_u32(header + HEADER_KIND, part->kind);
    ch_store_u64(header + HEADER_CLUSTER, ch_manifest_state(engine->manifest)->cluster);
    ch_store_u64(header + HEADER_LSN, part->lsn);
    mark_put(header + HEADER_FROM, part->from);
    mark_put(header + HEADER_TO, part->to);
    ch_store_u32(header + HEADER_INDEXED, part->indexed);
    ch_store_u32(header + HEADER_VALUES, part->values);
    ch_stream_put(out, header, sizeof header);
}

static ch_status_t
part_get(const ch_engine_t *engine, ch_stream_reader_t *in, uint32_t kind,
         part_t *part_out)
{
    uint8_t header[HEADER_BYTES];
    ch_status_t status = ch_stream_get(in, header, sizeof header);
    if (status < 0)
        return status;
    if (ch_load_u64(header + HEADER_MAGIC) != CATALOGUE_MAGIC)
        return ch_fail(CH_ERR_CORRUPT, "not a catalogue");
    uint32_t version = ch_load_u32(header + HEADER_VERSION);
    if (version != CATALOGUE_VERSION)
        return ch_fail(CH_ERR_VERSION, "format version %u; this program reads version %d",
                       version, CATALOGUE_VERSION);
    const ch_manifest_state_t *state = ch_manifest_state(engine->manifest);
    *part_out = (part_t){.kind = ch_load_u32(header + HEADER_KIND),
                         .lsn = ch_load_u64(header + HEADER_LSN),
                         .from = mark_get(header + HEADER_FROM),
                         .to = mark_get(header + HEADER_TO),
                         .indexed = ch_load_u32(header + HEADER_INDEXED),
                         .values = ch_load_u32(header + HEADER_VALUES)};
    if (ch_load_u64(header + HEADER_CLUSTER) != state->cluster)
        return ch_fail(CH_ERR_CORRUPT, "it belongs to another database");
    if (part_out->kind != kind)
        return ch_fail(CH_ERR_CORRUPT, "its header makes no sense");
    if (part_out->lsn > state->flushed_lsn)
        return ch_fail(CH_ERR_CORRUPT,
                       "it speaks of lsn %" PRIu64 ", the manifest ends at %" PRIu64,
                       part_out->lsn, state->flushed_lsn);
    return CH_OK;
}

/* ---- loading ---- */

static ch_bytes_t
name_text(void *context, uint32_t id)
{
    return ch_series_table_name(context, id);
}

static ch_bytes_t
labels_text(void *context, uint32_t id)
{
    return ch_series_table_labels(context, id);
}

/* Series [from, to) are in the table: the index does not know them yet. */
static void
index_series(ch_engine_t *engine, uint32_t from, uint32_t to)
{
    for (uint32_t series = from; series < to; series++)
        ch_roster_born(engine->roster, series, 0);
}

/* Every part has all series that a delete named: some have no points left, and lists look closer. */
static ch_status_t
load_touched(ch_engine_t *engine, ch_stream_reader_t *in)
{
    uint32_t bytes = 0;
    ch_status_t status = ch_stream_get_u32(in, &bytes);
    if (status < 0)
        return status;
    if (bytes > ch_stream_left(in) || bytes > TOUCHED_BYTES_MAX)
        return ch_fail(CH_ERR_CORRUPT, "a set of %u bytes", bytes);
    char *image = ch_alloc((size_t)bytes + 1);
    status = ch_stream_get(in, image, bytes);
    roaring_bitmap_t *set =
        status >= 0 ? roaring_bitmap_portable_deserialize_safe(image, bytes) : NULL;
    ch_free(image);
    if (status >= 0 && !set)
        return ch_fail(CH_ERR_CORRUPT, "a set of series makes no sense");
    if (!set)
        return status;
    roaring_uint32_iterator_t at;
    roaring_init_iterator(set, &at);
    for (; at.has_value; roaring_advance_uint32_iterator(&at))
        ch_series_states_touch(engine->roster->states, at.current_value);
    roaring_bitmap_free(set);
    return CH_OK;
}

static void
save_touched(const ch_roster_t *roster, uint32_t series, ch_stream_writer_t *out)
{
    roaring_bitmap_t *set = ch_series_states_touched_set(roster->states, series);
    (void)roaring_bitmap_run_optimize(set);
    size_t bytes = roaring_bitmap_portable_size_in_bytes(set);
    char *image = ch_alloc(bytes);
    (void)roaring_bitmap_portable_serialize(set, image);
    ch_stream_put_u32(out, (uint32_t)bytes);
    ch_stream_put(out, image, bytes);
    ch_free(image);
    roaring_bitmap_free(set);
}

static void *
touch(void *context)
{
    const ch_engine_t *engine = context;
    ch_series_table_touch(engine->roster->series);
    ch_label_index_touch(engine->roster->index);
    return NULL;
}

/* Two thirds of a load are first touches of memory: half of them are made beside the reading. */
static ch_status_t
load_structures(ch_engine_t *engine, const part_t *part, ch_stream_reader_t *in)
{
    const ch_index_texts_t texts = {engine->roster->series, name_text, labels_text};
    uint64_t series_bytes = part->to.series * sizeof(uint64_t),
             values_bytes = part->values * sizeof(uint64_t);
    if (series_bytes + values_bytes > ch_stream_left(in))
        return ch_fail(CH_ERR_CORRUPT, "its header makes no sense");
    pthread_t toucher;
    ch_series_table_reserve(engine->roster->series, part->to);
    ch_label_index_reserve(engine->roster->index, part->values);
    ch_thread_start(&toucher, "ch-touch", touch, engine);
    ch_status_t status =
        ch_series_table_load(engine->roster->series, part->from, part->to, in);
    if (status >= 0)
        status = ch_label_index_load(engine->roster->index, part->to.names,
                                     part->to.labels, part->indexed, &texts, in);
    ch_thread_join(toucher);
    return status;
}

static ch_status_t
load_image(ch_engine_t *engine, ch_stream_reader_t *in)
{
    part_t part;
    uint64_t end;
    ch_status_t status = part_get(engine, in, KIND_IMAGE, &part);
    if (status >= 0 && part.indexed > part.to.series)
        status = ch_fail(CH_ERR_CORRUPT, "its header makes no sense");
    if (status >= 0)
        status = load_structures(engine, &part, in);
    if (status < 0)
        return status;
    ch_series_states_add_many(engine->roster->states, part.indexed);
    index_series(engine, part.indexed, part.to.series);
    status = load_touched(engine, in);
    if (status >= 0)
        status = ch_stream_end(in, &end);
    if (status < 0)
        return status;
    engine->catalogue.image = engine->catalogue.saved = part.to;
    engine->catalogue.lsn = part.lsn;
    return CH_OK;
}

/* One addition. What it brought before it turned out bad is as true as the rest: every piece was
 * checked before it was used. */
static ch_status_t
load_added(ch_engine_t *engine, ch_stream_reader_t *in, uint64_t *end_out)
{
    part_t part;
    uint32_t before = ch_series_table_count(engine->roster->series);
    ch_status_t status = part_get(engine, in, KIND_ADDED, &part);
    if (status >= 0)
        status = ch_series_table_load(engine->roster->series, part.from, part.to, in);
    index_series(engine, before, ch_series_table_count(engine->roster->series));
    if (status >= 0)
        status = load_touched(engine, in);
    if (status >= 0)
        status = ch_stream_end(in, end_out);
    if (status < 0)
        return status;
    engine->catalogue.saved = part.to;
    engine->catalogue.lsn = part.lsn;
    return CH_OK;
}

typedef ch_status_t (*load_t)(ch_engine_t *engine, ch_file_t *file, uint64_t bytes);

static ch_status_t
load_image_file(ch_engine_t *engine, ch_file_t *file, uint64_t bytes)
{
    ch_stream_reader_t *in = ch_stream_reader_new(
        file, 0, bytes, stream_seed(engine->catalogue.number, KIND_IMAGE));
    ch_status_t status = load_image(engine, in);
    ch_stream_reader_destroy(&in);
    return status;
}

static ch_status_t
load_added_file(ch_engine_t *engine, ch_file_t *file, uint64_t bytes)
{
    ch_catalogue_t *catalogue = &engine->catalogue;
    ch_status_t status = CH_OK;
    while (status >= 0 && catalogue->added_bytes < bytes) {
        ch_stream_reader_t *in =
            ch_stream_reader_new(file, catalogue->added_bytes, bytes,
                                 stream_seed(catalogue->number, KIND_ADDED));
        status = load_added(engine, in, &catalogue->added_bytes);
        ch_stream_reader_destroy(&in);
    }
    return status;
}

static ch_status_t
load_file(ch_engine_t *engine, const char *ending, load_t load)
{
    char *path = file_path(engine, engine->catalogue.number, ending);
    ch_file_t *file = NULL;
    uint64_t bytes = 0;
    ch_status_t status = ch_fs_open(engine->options.fs, path, CH_FS_READ, &file);
    if (status == CH_OK)
        status = ch_fs_size(file, &bytes);
    if (status == CH_OK)
        status = load(engine, file, bytes);
    if (status < 0) {
        char quoted[320];
        const char *text = ch_fail_text();
        ch_log(engine->options.log, CH_LOG_WARN, "engine", "catalogue_damaged",
               "file=%s reason=%s action=\"the keys are read from the tables\"", path,
               ch_log_quote(text, strlen(text), quoted, sizeof quoted));
    }
    ch_fs_close(&file);
    ch_free(path);
    return status;
}

/* A load that failed half way left half of it behind. */
static void
start_anew(ch_engine_t *engine)
{
    ch_roster_release(&engine->roster);
    engine->roster = ch_roster_new(0);
}

typedef struct file_walk {
    ch_engine_t *engine;
    uint64_t newest; /* number of an image */
    uint64_t keep;   /* when removing */
} file_walk_t;

static ch_status_t
note_newest(void *context, const char *name)
{
    file_walk_t *walk = context;
    char *end = NULL;
    uint64_t number = strtoull(name, &end, 10);
    if (end != name && strcmp(end, ".image") == 0 && number > walk->newest)
        walk->newest = number;
    return CH_OK;
}

/* Series leave a catalogue in no other way: when tables cannot hold even three quarters of those it
 * names, the rest have no points any more, and the keys are read from the tables. */
static bool
outgrown(ch_engine_t *engine)
{
    const ch_manifest_state_t *state = ch_manifest_state(engine->manifest);
    uint64_t named = engine->catalogue.saved.series, held = 0;
    for (size_t i = 0; i < state->table_count; i++)
        held += state->tables[i].info.series;
#ifdef CH_FAULT_CATALOGUE_KEEPS_ALL
    held = named;
#endif
    if (held >= named - named / 4)
        return false;
    ch_log(engine->options.log, CH_LOG_INFO, "engine", "catalogue_outgrown",
           "series=%" PRIu64 " in_tables_at_most=%" PRIu64
           " action=\"the keys are read from the tables\"",
           named, held);
    return true;
}

static void
load_newest(ch_engine_t *engine)
{
    ch_catalogue_t *catalogue = &engine->catalogue;
    file_walk_t walk = {.engine = engine};
    char *dir = ch_engine_path(engine->path, "catalogue");
    ch_status_t status = ch_fs_list(engine->options.fs, dir, note_newest, &walk);
    ch_free(dir);
    if (status < 0 || walk.newest == 0)
        return;
    catalogue->number = walk.newest;
    bool whole = load_file(engine, ".image", load_image_file) == CH_OK;
    if (whole)
        catalogue->torn = load_file(engine, ".added", load_added_file) < 0;
    if (!whole || outgrown(engine)) {
        start_anew(engine);
        *catalogue = (ch_catalogue_t){.number = walk.newest, .torn = true};
        return;
    }
    engine->series_loaded = ch_series_table_count(engine->roster->series);
}

void
ch_catalogue_load(ch_engine_t *engine)
{
    load_newest(engine);
    engine->catalogue.roster = engine->roster;
    ch_roster_retain(engine->roster);
}

/* ---- saving ---- */

static ch_status_t remove_older(void *context, const char *name);

ch_status_t
ch_catalogue_abandon(ch_engine_t *engine)
{
    ch_fs_t *fs = engine->options.fs;
    char *dir = ch_engine_path(engine->path, "catalogue");
    file_walk_t walk = {.engine = engine, .keep = UINT64_MAX};
#ifdef CH_FAULT_DAMAGED_KEYS_COVERED
    ch_free(dir);
    return CH_OK;
#endif
    ch_catalogue_release(&engine->catalogue);
    engine->catalogue = (ch_catalogue_t){.abandoned = true};
    ch_status_t status = ch_fs_list(fs, dir, remove_older, &walk);
    if (status >= 0)
        status = ch_fs_sync_dir(fs, dir);
    ch_free(dir);
    return status < 0 ? status : CH_OK;
}

/* The series that a batch up to `lsn` named first: they are numbered in that order. */
static ch_series_mark_t
mark_at(const ch_roster_t *roster, uint64_t lsn)
{
    ch_series_mark_t mark = ch_series_table_mark(roster->series);
#ifndef CH_FAULT_CATALOGUE_NOT_CUT
    while (mark.series > 0 &&
           ch_series_states_born(roster->states, mark.series - 1) > lsn)
        mark.series--;
#else
    (void)lsn;
#endif
    return mark;
}

static ch_status_t
remove_older(void *context, const char *name)
{
    file_walk_t *walk = context;
    char *end = NULL;
    uint64_t number = strtoull(name, &end, 10);
    if (end == name || number >= walk->keep)
        return CH_OK;
    char file[80];
    (void)snprintf(file, sizeof file, "catalogue/%.60s", name);
    char *path = ch_engine_path(walk->engine->path, file);
    ch_status_t status = ch_fs_unlink(walk->engine->options.fs, path);
    ch_free(path);
    return status < 0 ? status : CH_OK;
}

static ch_status_t
write_image(ch_engine_t *engine, ch_file_t *file, uint64_t number, part_t *part)
{
    const ch_roster_t *roster = engine->catalogue.roster;
    const ch_index_texts_t texts = {roster->series, name_text, labels_text};
    ch_stream_writer_t *out =
        ch_stream_writer_new(file, 0, stream_seed(number, KIND_IMAGE));
    /* First what the index covers, then the table: so all its texts are in the image. */
    ch_label_index_mark_t index = ch_label_index_mark(roster->index);
    part->to = mark_at(roster, part->lsn);
    if (index.series > part->to.series)
        index.series = part->to.series;
    part->indexed = index.series;
    part->values = index.values;
    part_put(engine, part, out);
    ch_series_table_save(roster->series, part->from, part->to, out);
    ch_label_index_save(roster->index, index, part->to.labels, &texts, out);
    save_touched(roster, part->to.series, out);
    uint64_t end;
    ch_status_t status = ch_stream_finish(out, &end);
    ch_stream_writer_destroy(&out);
    return status < 0 ? status : ch_fs_sync(file);
}

static ch_status_t
install_image(ch_engine_t *engine, const char *temporary, uint64_t number)
{
    ch_fs_t *fs = engine->options.fs;
    char *path = file_path(engine, number, ".image");
    char *dir = ch_engine_path(engine->path, "catalogue");
    ch_status_t status = ch_fs_rename(fs, temporary, path);
    if (status >= 0)
        status = ch_fs_sync_dir(fs, dir);
    file_walk_t walk = {.engine = engine, .keep = number};
    if (status >= 0 && ch_fs_list(fs, dir, remove_older, &walk) < 0) {
        /* Then they go with the next image. */
    }
    ch_free(dir);
    ch_free(path);
    return status;
}

static ch_status_t
save_image(ch_engine_t *engine, uint64_t lsn)
{
    uint64_t number = engine->catalogue.number + 1;
    part_t part = {.kind = KIND_IMAGE, .lsn = lsn};
    char *temporary = file_path(engine, number, ".tmp");
    ch_file_t *file = NULL;
    ch_status_t status =
        ch_fs_open(engine->options.fs, temporary, CH_FS_WRITE | CH_FS_CREATE, &file);
    if (status >= 0)
        status = ch_fs_truncate(file, 0); /* of an earlier try */
    if (status >= 0)
        status = write_image(engine, file, number, &part);
    ch_fs_close(&file);
    if (status >= 0)
        status = install_image(engine, temporary, number);
    if (status < 0 && ch_fs_unlink(engine->options.fs, temporary) < 0) {
        /* It was not made, or goes with the next image. */
    }
    ch_free(temporary);
    if (status < 0)
        return status;
    engine->catalogue = (ch_catalogue_t){.number = number,
                                         .image = part.to,
                                         .saved = part.to,
                                         .lsn = lsn,
                                         .roster = engine->catalogue.roster};
    return CH_OK;
}

static ch_status_t
save_added(ch_engine_t *engine, uint64_t lsn, ch_series_mark_t mark)
{
    ch_catalogue_t *catalogue = &engine->catalogue;
    const ch_roster_t *roster = catalogue->roster;
    part_t part = {.kind = KIND_ADDED, .lsn = lsn, .from = catalogue->saved, .to = mark};
    char *path = file_path(engine, catalogue->number, ".added");
    ch_file_t *file = NULL;
    uint64_t end = 0;
    ch_status_t status =
        ch_fs_open(engine->options.fs, path, CH_FS_WRITE | CH_FS_CREATE, &file);
    if (status >= 0) {
        ch_stream_writer_t *out = ch_stream_writer_new(
            file, catalogue->added_bytes, stream_seed(catalogue->number, KIND_ADDED));
        part_put(engine, &part, out);
        ch_series_table_save(roster->series, part.from, part.to, out);
        save_touched(roster, part.to.series, out);
        status = ch_stream_finish(out, &end);
        ch_stream_writer_destroy(&out);
    }
    ch_fs_close(&file);
    ch_free(path);
    if (status < 0) {
        catalogue->torn = true;
        return status;
    }
    catalogue->added_bytes = end;
    catalogue->saved = mark;
    catalogue->lsn = lsn;
    return CH_OK;
}

/* The present one, but for a position before it took over: its series may be younger. Of another one than
 * before nothing is saved yet. */
static void
choose_roster(ch_engine_t *engine, uint64_t lsn)
{
    ch_catalogue_t *catalogue = &engine->catalogue;
    (void)pthread_mutex_lock(&engine->mutex);
    ch_roster_t *present = ch_version_roster(engine->version);
    bool other = present != catalogue->roster && lsn >= present->since_lsn;
    if (other)
        ch_roster_retain(present);
    (void)pthread_mutex_unlock(&engine->mutex);
    if (!other)
        return;
    ch_roster_release(&catalogue->roster);
    catalogue->roster = present;
    catalogue->torn = true;
}

static void
save(ch_engine_t *engine, uint64_t lsn)
{
    ch_catalogue_t *catalogue = &engine->catalogue;
    choose_roster(engine, lsn);
    ch_series_mark_t mark = mark_at(catalogue->roster, lsn);
    uint32_t least = engine->options.catalogue_series_min;
    bool have_image = catalogue->image.series > 0 && !catalogue->torn;
    if (catalogue->abandoned)
        return;
    if (catalogue->number == 0 && mark.series < least)
        return;
    uint32_t since = mark.series - catalogue->image.series;
    uint32_t most = catalogue->image.series / IMAGE_GROWTH;
    ch_status_t status = !have_image || since > (most > least ? most : least)
                             ? save_image(engine, lsn)
                             : save_added(engine, lsn, mark);
    if (status < 0)
        ch_log(engine->options.log, CH_LOG_WARN, "engine", "catalogue_not_saved",
               "series=%u action=\"the next start takes longer\"", mark.series);
}

void
ch_catalogue_save(ch_engine_t *engine, uint64_t lsn)
{
    if (!engine->threads_running)
        (void)pthread_mutex_lock(&engine->catalogue_mutex);
    else if (pthread_mutex_trylock(&engine->catalogue_mutex) != 0)
        return; /* a whole one is being written; the next flush tells of this one too */
    save(engine, lsn);
    (void)pthread_mutex_unlock(&engine->catalogue_mutex);
}

void
ch_catalogue_renew(ch_engine_t *engine)
{
    ch_catalogue_t *catalogue = &engine->catalogue;
    (void)pthread_mutex_lock(&engine->catalogue_mutex);
    (void)pthread_mutex_lock(&engine->mutex);
    const ch_roster_t *present = ch_version_roster(engine->version);
    uint64_t lsn = engine->flushed_lsn;
    bool due = present != catalogue->roster && lsn >= present->since_lsn;
    (void)pthread_mutex_unlock(&engine->mutex);
    if (due)
        save(engine, lsn);
    (void)pthread_mutex_unlock(&engine->catalogue_mutex);
}

void
ch_catalogue_release(ch_catalogue_t *catalogue)
{
    ch_roster_release(&catalogue->roster);
}

/* The additions and their name. */
static ch_status_t
sync_added(ch_engine_t *engine)
{
    char *path = file_path(engine, engine->catalogue.number, ".added");
    char *dir = ch_engine_path(engine->path, "catalogue");
    ch_file_t *file = NULL;
    ch_status_t status = ch_fs_open(engine->options.fs, path, CH_FS_WRITE, &file);
    if (status == CH_OK)
        status = ch_fs_sync(file);
    if (status == CH_OK)
        status = ch_fs_sync_dir(engine->options.fs, dir);
    ch_fs_close(&file);
    ch_free(dir);
    ch_free(path);
    return status < 0 ? status : CH_OK; /* not there: nothing was added */
}

ch_status_t
ch_catalogue_settle(ch_engine_t *engine, uint64_t lsn)
{
    ch_catalogue_t *catalogue = &engine->catalogue;
    ch_status_t status = CH_OK;
    (void)pthread_mutex_lock(&engine->catalogue_mutex);
    if (catalogue->number > 0 && (catalogue->torn || catalogue->lsn < lsn))
        save(engine, lsn); /* the flush of `lsn` has not come to it yet */
    if (catalogue->number > 0)
        status = catalogue->torn || catalogue->lsn < lsn
                     ? ch_fail(CH_ERR_NOSPACE, "the catalogue could not be saved")
                     : sync_added(engine);
    if (status < 0) /* what the sync did not write must not be built on */
        catalogue->torn = true;
    (void)pthread_mutex_unlock(&engine->catalogue_mutex);
    return status;
}
