/* compaction.c - one merge: from the choice to the files that go.
 *
 * Order     pin the version; choose; merge window by window into new tables (each synced and renamed by
 *           its writer); open them; one manifest edit that adds them and removes the inputs; install
 *           the version; the inputs' files go when the last reader lets go of them.
 * Deletes   that are flushed (at or below the version's flushed_lsn) and not applied to an input yet are
 *           applied on the way; what is written has all of them. Later ones go on applying to it.
 * Crash     before the edit the new tables are strays that the next start removes, after it the inputs
 *           are. Nothing is remembered between merges: the next start chooses again.
 * Failures  an input that cannot be read is left alone and said; the node lives. No room: given up,
 *           tried again later; the room that a spent reserve left serves merges too. A new table that
 *           cannot be written or synced is as bad here as in a flush: writes stop.
 */
#include "db/compaction.h"

#include "ch/alloc.h"
#include "db/compaction_picker.h"
#include "db/damage.h"
#include "db/engine_state.h"
#include "db/merge.h"
#include "sst/table_cursor.h"

enum {
    DELETES_DUE =
        64, /* each costs every read of its series a look; then merges go and get them */
};

typedef struct output {
    ch_manifest_table_t table;
    char *path;
    ch_sstable_t *sstable;
} output_t;

typedef struct compaction {
    ch_engine_t *engine;
    ch_version_t *version; /* pinned */
    ch_compaction_policy_t policy;
    ch_compaction_table_t *tables; /* of the version, in its order */
    ch_compaction_plan_t plan;
    output_t *outputs;
    size_t output_count;
    ch_merge_input_t *inputs; /* of the window at hand */
    size_t *input_places;     /* of those, in plan.inputs */
    uint64_t bytes_read, bytes_written, chunks_passed;
    ch_erasures_t erasures; /* scratch: deletes of the series at hand */
    bool keep_files;        /* the edit that names the outputs happened, or may have */
} compaction_t;

/* ---- choosing ---- */

static bool
is_unreadable(const ch_compactor_t *compactor, uint64_t file_number)
{
    for (size_t i = 0; i < compactor->unreadable_count; i++)
        if (compactor->unreadable[i] == file_number)
            return true;
    return false;
}

/* Are there flushed deletes that the table does not have, and that may concern it? */
static bool
lacks_deletes(const ch_version_t *version, const ch_table_t *table)
{
    const ch_tombstones_t *set = version->tombstones;
    const ch_sstable_info_t *info = ch_sstable_info(table->sstable);
    for (size_t i = set ? set->count : 0; i-- > 0;) {
        const ch_tombstone_text_t *text = &set->items[i]->text;
        if (text->lsn <= table->erased_lsn)
            return false; /* they come by lsn */
        if (text->lsn <= version->flushed_lsn &&
            ch_tombstone_text_overlaps(text, info->time_min, info->time_max))
            return true;
    }
    return false;
}

static void
describe_tables(compaction_t *compaction)
{
    const ch_version_t *version = compaction->version;
    compaction->tables = ch_calloc(version->table_count + 1, sizeof *compaction->tables);
    for (size_t i = 0; i < version->table_count; i++) {
        const ch_sstable_info_t *info = ch_sstable_info(version->tables[i]->sstable);
        compaction->tables[i] = (ch_compaction_table_t){
            .file_number = info->file_number,
            .bytes = info->file_bytes,
            .lsn_min = info->lsn_min,
            .lsn_max = info->lsn_max,
            .time_min = info->time_min,
            .time_max = info->time_max,
            .level = version->tables[i]->level,
            .lacks_deletes = lacks_deletes(version, version->tables[i]),
            .excluded = ch_sstable_is_damaged(version->tables[i]->sstable) ||
                        version->tables[i]->keys_unknown ||
                        is_unreadable(&compaction->engine->compactor, info->file_number),
        };
    }
}

static void
read_policy(compaction_t *compaction, uint64_t requested_lsn)
{
    const ch_engine_options_t *options = &compaction->engine->options;
    ch_compaction_policy_t policy = ch_compaction_policy_default();
    for (int level = 1; level < CH_COMPACTION_LEVELS; level++)
        policy.window_ns[level] = options->compaction_windows_ns[level - 1];
    policy.flushes = options->compaction_flushes;
    policy.requested_lsn = requested_lsn;
    const ch_tombstones_t *set = compaction->version->tombstones;
    policy.apply_deletes = set && set->count >= DELETES_DUE;
    compaction->policy = policy;
}

/* The request is done when everything up to it is in tables and no merge is left that it asks for. */
static void
settle_request(compaction_t *compaction)
{
    ch_engine_t *engine = compaction->engine;
    bool done = false;
    (void)pthread_mutex_lock(&engine->mutex);
    uint64_t asked = compaction->policy.requested_lsn;
    if (asked && !compaction->plan.requested_left &&
        compaction->version->flushed_lsn >= asked) {
        engine->compactor.compacted_lsn = asked;
        if (engine->compactor.requested_lsn == asked)
            engine->compactor.requested_lsn = 0;
        done = true;
    }
    (void)pthread_mutex_unlock(&engine->mutex);
    if (done)
        ch_engine_progress(engine);
}

static bool
choose(compaction_t *compaction)
{
    ch_engine_t *engine = compaction->engine;
    (void)pthread_mutex_lock(&engine->mutex);
    compaction->version = engine->version;
    ch_version_retain(compaction->version);
    uint64_t asked = engine->compactor.requested_lsn;
    if (engine->compactor.ask_again)
        engine->compactor.unreadable_count = 0;
    engine->compactor.ask_again = false;
    (void)pthread_mutex_unlock(&engine->mutex);
    read_policy(compaction, asked);
    if (!asked && compaction->policy.flushes == 0)
        return false; /* only on request */
    describe_tables(compaction);
    bool due = ch_compaction_pick(&compaction->policy, compaction->tables,
                                  compaction->version->table_count, &compaction->plan);
    __atomic_store_n(&engine->compactor.debt, compaction->plan.debt, __ATOMIC_RELAXED);
    settle_request(compaction);
    return due;
}

/* ---- merging ---- */

static ch_table_t *
input_of(const compaction_t *compaction, size_t i)
{
    return compaction->version->tables[compaction->plan.inputs[i]];
}

/* The earliest time at or after `time` that an input may have points of. */
static bool
earliest_from(const compaction_t *compaction, int64_t time, int64_t *time_out)
{
    bool any = false;
    for (size_t i = 0; i < compaction->plan.input_count; i++) {
        int64_t from;
        if (!ch_sstable_time_from(input_of(compaction, i)->sstable, time, &from))
            continue;
        if (!any || from < *time_out)
            *time_out = from;
        any = true;
    }
    return any;
}

static char *
new_file(void *context, uint64_t *number_out)
{
    compaction_t *compaction = context;
    *number_out = ch_engine_new_file(compaction->engine);
    return ch_engine_table_path(compaction->engine, *number_out);
}

static ch_status_t
pace(void *context, uint64_t bytes)
{
    compaction_t *compaction = context;
    return ch_compactor_pace(compaction->engine, bytes);
}

/* ---- deletes ---- */

/* As the version's deletes number it. */
static uint32_t
find_series(const compaction_t *compaction, ch_bytes_t name, ch_bytes_t labels)
{
    return ch_series_table_find(ch_version_roster(compaction->version)->series, name,
                                labels);
}

/* Do some that the input lacks concern the series in [first, last]? They are gathered. */
static bool
touches(void *context, size_t input, ch_bytes_t name, ch_bytes_t labels, int64_t first,
        int64_t last)
{
    compaction_t *compaction = context;
    const ch_table_t *table = input_of(compaction, compaction->input_places[input]);
    uint32_t series = find_series(compaction, name, labels);
    return series != CH_SERIES_NONE &&
           ch_tombstones_gather(compaction->version->tombstones, series,
                                table->erased_lsn, compaction->version->flushed_lsn,
                                first, last < INT64_MAX ? last + 1 : last,
                                &compaction->erasures);
}

static void
filter(void *context, size_t input, ch_bytes_t name, ch_bytes_t labels,
       ch_points_t *points)
{
    compaction_t *compaction = context;
    const ch_table_t *table = input_of(compaction, compaction->input_places[input]);
    uint32_t series = find_series(compaction, name, labels);
    ch_tombstones_filter(compaction->version->tombstones, series, table->erased_lsn,
                         compaction->version->flushed_lsn, &compaction->erasures, points);
}

/* ---- one window ---- */

/* The inputs that may have points in the window, and the positions they span. */
static void
choose_inputs(compaction_t *compaction, const ch_compaction_window_t *window,
              ch_merge_options_t *options)
{
    options->lsn_min = UINT64_MAX;
    for (size_t i = 0; i < compaction->plan.input_count; i++) {
        const ch_table_t *table = input_of(compaction, i);
        const ch_sstable_info_t *info = ch_sstable_info(table->sstable);
        if (info->time_min > window->last || info->time_max < window->first)
            continue;
        compaction->input_places[options->input_count] = i;
        compaction->inputs[options->input_count++] = (ch_merge_input_t){
            .sstable = table->sstable,
            /* Below the last level columns are packed quickly, there densely. */
            .pass = window->level < CH_COMPACTION_LEVEL_LAST ||
                    table->level == CH_COMPACTION_LEVEL_LAST};
        if (info->lsn_min < options->lsn_min)
            options->lsn_min = info->lsn_min;
        if (info->lsn_max > options->lsn_max)
            options->lsn_max = info->lsn_max;
    }
}

static void
take_outputs(compaction_t *compaction, ch_merge_result_t *result, uint32_t level)
{
    compaction->outputs = ch_realloc(
        compaction->outputs, (compaction->output_count + result->output_count + 1) *
                                 sizeof *compaction->outputs);
    for (size_t i = 0; i < result->output_count; i++)
        compaction->outputs[compaction->output_count++] =
            (output_t){.table = {.info = result->outputs[i].info,
                                 .level = level,
                                 .erased_lsn = compaction->version->flushed_lsn},
                       .path = ch_take(&result->outputs[i].path)};
    compaction->bytes_read += result->bytes_read;
    compaction->bytes_written += result->bytes_written;
    compaction->chunks_passed += result->chunks_passed;
}

/* That table is left alone from now on. */
static ch_status_t
input_failed(compaction_t *compaction, size_t place, ch_status_t status)
{
    ch_engine_t *engine = compaction->engine;
    ch_compactor_t *compactor = &engine->compactor;
    uint64_t number = ch_sstable_info(input_of(compaction, place)->sstable)->file_number;
    char quoted[512];
    const char *text = ch_fail_text();
    ch_table_note(engine, input_of(compaction, place), status);
    ch_log(engine->options.log, CH_LOG_ERROR, "engine", "compaction_input",
           "file=%llu error=%s action=\"left alone\" reason=%s",
           (unsigned long long)number, ch_status_name(status),
           ch_log_quote(text, strlen(text), quoted, sizeof quoted));
    compactor->unreadable =
        ch_realloc(compactor->unreadable,
                   (compactor->unreadable_count + 1) * sizeof *compactor->unreadable);
    compactor->unreadable[compactor->unreadable_count++] = number;
    ch_engine_count(&engine->counters.compactions_given_up, 1);
    return CH_END;
}

static ch_status_t
merge_window(compaction_t *compaction, const ch_compaction_window_t *window)
{
    ch_engine_t *engine = compaction->engine;
    ch_merge_result_t result;
    ch_merge_options_t options = {
        .fs = engine->options.fs,
        .inputs = compaction->inputs,
        .first = window->first,
        .last = window->last,
        .level =
            window->level == CH_COMPACTION_LEVEL_LAST ? CH_COLUMN_DENSE : CH_COLUMN_FAST,
        .file_bytes_max = engine->options.compaction_file_bytes,
        .new_file = new_file,
        .pace = pace,
        .context = compaction,
    };
#ifndef CH_FAULT_MERGE_KEEPS_DELETED
    if (compaction->version->tombstones) {
        options.touches = touches;
        options.filter = filter;
    }
#endif
    choose_inputs(compaction, window, &options);
    if (options.input_count == 0)
        return CH_OK;
    ch_status_t status = ch_merge_run(&options, &result);
    if (status >= 0)
        take_outputs(compaction, &result, window->level);
    bool failed = status < 0 && result.input_failed;
    size_t place = failed ? compaction->input_places[result.failed_input] : 0;
    ch_merge_result_release(&result, engine->options.fs, false);
    return failed ? input_failed(compaction, place, status) : status;
}

/* CH_END: an input cannot be read. */
static ch_status_t
merge_windows(compaction_t *compaction)
{
    const ch_compaction_plan_t *plan = &compaction->plan;
    compaction->inputs = ch_calloc(plan->input_count, sizeof *compaction->inputs);
    compaction->input_places =
        ch_calloc(plan->input_count, sizeof *compaction->input_places);
    int64_t time = 0;
    ch_status_t status = CH_OK;
    bool more = earliest_from(compaction, INT64_MIN, &time);
    while (more && status == CH_OK) {
        const ch_compaction_window_t window =
            ch_compaction_plan_window(&compaction->policy, plan, time);
        status = merge_window(compaction, &window);
        more =
            window.last < INT64_MAX && earliest_from(compaction, window.last + 1, &time);
    }
    return status;
}

/* ---- installing ---- */

/* The edit may end deletes. Which series they may have emptied must be known without them by then. */
static ch_status_t
settle_deletes(compaction_t *compaction)
{
    bool any = false;
    for (size_t i = 0; i < compaction->plan.input_count; i++)
        any |= compaction->tables[compaction->plan.inputs[i]].lacks_deletes;
#ifdef CH_FAULT_MERGE_FORGETS_EMPTIED
    any = false;
#endif
    ch_status_t status =
        any ? ch_catalogue_settle(compaction->engine, compaction->version->flushed_lsn)
            : CH_OK;
    return status < 0 ? ch_fail(CH_ERR_NOSPACE, "%s", "compaction: no catalogue")
                      : status; /* later, perhaps: the catalogue stops nothing */
}

static ch_status_t
open_outputs(compaction_t *compaction)
{
    ch_status_t status = CH_OK;
    for (size_t i = 0; status >= 0 && i < compaction->output_count; i++) {
        output_t *output = &compaction->outputs[i];
        status = ch_engine_open_table(compaction->engine, output->path,
                                      output->table.info.file_number, &output->sstable);
        if (status == CH_NOT_FOUND)
            status = ch_fail(CH_ERR_CORRUPT, "%s: just written, and gone", output->path);
    }
    return status;
}

static ch_status_t
commit_edit(compaction_t *compaction)
{
    const ch_compaction_plan_t *plan = &compaction->plan;
    ch_manifest_table_t *added = ch_alloc((compaction->output_count + 1) * sizeof *added);
    uint64_t *removed = ch_alloc(plan->input_count * sizeof *removed);
    for (size_t i = 0; i < compaction->output_count; i++)
        added[i] = compaction->outputs[i].table;
    for (size_t i = 0; i < plan->input_count; i++)
        removed[i] = compaction->tables[plan->inputs[i]].file_number;
    ch_manifest_edit_t edit = {.add = added,
                               .add_count = compaction->output_count,
                               .remove = removed,
                               .remove_count = plan->input_count};
#ifdef CH_FAULT_COMPACTION_UNLINK_EARLY
    for (size_t i = 0; i < plan->input_count; i++)
        (void)!ch_fs_unlink(compaction->engine->options.fs,
                            input_of(compaction, i)->path);
#endif
    ch_status_t status = ch_engine_edit(compaction->engine, &edit);
    compaction->keep_files = status != CH_ERR_NOSPACE &&
                             status != CH_ERR_CLOSED; /* those: it did not happen */
    ch_free(added);
    ch_free(removed);
    return status;
}

static bool
is_input(const compaction_t *compaction, const ch_table_t *table)
{
    for (size_t i = 0; i < compaction->plan.input_count; i++)
        if (input_of(compaction, i) == table)
            return true;
    return false;
}

/* The present version without the inputs and with the outputs. Flushes may have joined meanwhile. */
static void
install(compaction_t *compaction)
{
    ch_engine_t *engine = compaction->engine;
    size_t outputs = compaction->output_count, count = 0;
    ch_table_t **fresh = ch_calloc(outputs + 1, sizeof *fresh);
    for (size_t i = 0; i < outputs; i++) {
        output_t *output = &compaction->outputs[i];
        fresh[i] = ch_table_new(engine->options.fs, output->path, output->table.level,
                                ch_take(&output->sstable));
        fresh[i]->erased_lsn = ch_manifest_erased_lsn(&output->table);
    }
    (void)pthread_mutex_lock(&engine->mutex);
    ch_version_t *old = engine->version;
    ch_table_t **tables = ch_alloc((old->table_count + outputs + 1) * sizeof *tables);
    for (size_t i = 0; i < old->table_count; i++)
        if (!is_input(compaction, old->tables[i]))
            tables[count++] = old->tables[i];
    for (size_t i = 0; i < outputs; i++)
        tables[count++] = fresh[i];
    engine->version =
        ch_version_new(old->flushed_lsn, tables, count, old->immutable, old->active,
                       old->tombstones, ch_wal_durable_lsn(engine->wal));
    (void)pthread_cond_broadcast(&engine->moved);
    (void)pthread_mutex_unlock(&engine->mutex);
    for (size_t i = 0; i < compaction->plan.input_count; i++)
        input_of(compaction, i)->obsolete = true; /* we hold the old version still */
    for (size_t i = 0; i < outputs; i++)
        ch_table_release(&fresh[i]);
    ch_version_release(&old);
    ch_free(tables);
    ch_free(fresh);
}

/* Are all inputs in the present version? Retention may have removed some while they were merged. */
static bool
inputs_live(const compaction_t *compaction)
{
    ch_engine_t *engine = compaction->engine;
    size_t live = 0;
    (void)pthread_mutex_lock(&engine->mutex);
    for (size_t i = 0; i < engine->version->table_count; i++)
        live += is_input(compaction, engine->version->tables[i]);
    (void)pthread_mutex_unlock(&engine->mutex);
    return live == compaction->plan.input_count;
}

/* CH_END: it was for nothing, what is left is chosen from anew. */
static ch_status_t
replace_tables(compaction_t *compaction)
{
    ch_engine_t *engine = compaction->engine;
    (void)pthread_mutex_lock(&engine->tables_mutex);
    ch_status_t status = inputs_live(compaction) ? commit_edit(compaction) : CH_END;
    if (status == CH_OK)
        install(compaction);
    (void)pthread_mutex_unlock(&engine->tables_mutex);
    return status;
}

/* ---- one merge ---- */

static void
count_merge(compaction_t *compaction, int64_t started_ns)
{
    ch_engine_t *engine = compaction->engine;
    int64_t took_us = (ch_clock_monotonic_ns(engine->options.clock) - started_ns) / 1000;
    ch_engine_count(&engine->counters.compactions, 1);
    ch_engine_count(&engine->counters.compaction_us, (uint64_t)took_us);
    ch_engine_count(&engine->counters.compaction_read, compaction->bytes_read);
    ch_engine_count(&engine->counters.compaction_written, compaction->bytes_written);
    ch_engine_count(&engine->counters.chunks_passed, compaction->chunks_passed);
    ch_log(engine->options.log, CH_LOG_INFO, "engine", "compaction",
           "inputs=%zu outputs=%zu level=%u bytes_in=%llu bytes_out=%llu passed=%llu "
           "debt=%llu took_ms=%lld",
           compaction->plan.input_count, compaction->output_count, compaction->plan.level,
           (unsigned long long)compaction->plan.bytes,
           (unsigned long long)compaction->bytes_written,
           (unsigned long long)compaction->chunks_passed,
           (unsigned long long)compaction->plan.debt, (long long)(took_us / 1000));
}

/* A merge that cannot fit would only fill the disk for a while; one that is held up anyway may try. */
static ch_status_t
check_room(const compaction_t *compaction)
{
    ch_engine_t *engine = compaction->engine;
    uint64_t unused = 0, total = 0;
    (void)pthread_mutex_lock(&engine->mutex);
    bool held = engine->held;
    (void)pthread_mutex_unlock(&engine->mutex);
    if (held || ch_fs_space(engine->options.fs, engine->path, &unused, &total) < 0 ||
        unused >= compaction->plan.bytes)
        return CH_OK;
    return ch_fail(CH_ERR_NOSPACE, "compaction: too little room for a merge");
}

/* Series that deletes took. A merge without any only joins tables that have the same ones. */
static void
note_gone(const compaction_t *compaction)
{
    uint64_t before = 0, after = 0;
    bool deletes = false;
    for (size_t i = 0; i < compaction->plan.input_count; i++) {
        before += ch_sstable_info(input_of(compaction, i)->sstable)->series;
        deletes |= compaction->tables[compaction->plan.inputs[i]].lacks_deletes;
    }
    for (size_t i = 0; i < compaction->output_count; i++)
        after += compaction->outputs[i].table.info.series;
    if (deletes && before > after)
        ch_sweep_note_gone(compaction->engine, before - after);
}

static ch_status_t
merge_and_install(compaction_t *compaction)
{
    int64_t started = ch_clock_monotonic_ns(compaction->engine->options.clock);
    ch_status_t status = check_room(compaction);
    if (status >= 0)
        status = merge_windows(compaction);
    if (status == CH_OK)
        status = open_outputs(compaction);
    if (status == CH_OK)
        status = settle_deletes(compaction);
    if (status == CH_OK)
        status = replace_tables(compaction);
    if (status != CH_OK)
        return status;
    note_gone(compaction);
    count_merge(compaction, started);
    return CH_OK;
}

static void
set_merging(ch_engine_t *engine, bool merging)
{
    (void)pthread_mutex_lock(&engine->mutex);
    engine->compactor.merging = merging;
    (void)pthread_mutex_unlock(&engine->mutex);
    if (!merging)
        ch_engine_progress(engine);
}

static void
release(compaction_t *compaction)
{
    for (size_t i = 0; i < compaction->output_count; i++) {
        output_t *output = &compaction->outputs[i];
        ch_sstable_destroy(&output->sstable);
        if (!compaction->keep_files &&
            ch_fs_unlink(compaction->engine->options.fs, output->path) < 0) {
            /* A stray that the next start removes. */
        }
        ch_free(output->path);
    }
    ch_free(compaction->outputs);
    ch_free(compaction->inputs);
    ch_free(compaction->input_places);
    ch_free(compaction->tables);
    ch_erasures_release(&compaction->erasures);
    ch_compaction_plan_release(&compaction->plan);
    ch_version_release(&compaction->version);
}

/* What an unfinished merge means. */
static ch_status_t
given_up(ch_engine_t *engine, ch_status_t status)
{
    if (status == CH_END)
        return CH_OK; /* an input: the others go on */
    if (status == CH_ERR_NOSPACE) {
        ch_engine_count(&engine->counters.compactions_given_up, 1);
    } else if (status != CH_ERR_CLOSED) {
        ch_engine_fail(engine, ch_fail_text());
        return CH_ERR_CLOSED;
    }
    return status;
}

ch_status_t
ch_compactor_step(ch_engine_t *engine)
{
    compaction_t compaction = {.engine = engine};
    if (ch_engine_failed(engine))
        return ch_fail(CH_ERR_CLOSED, "engine: failed");
    if (!choose(&compaction)) {
        release(&compaction);
        return CH_NOT_FOUND;
    }
    set_merging(engine, true);
    ch_status_t status = merge_and_install(&compaction);
    if (status != CH_OK)
        status = given_up(engine, status);
    release(&compaction);
    set_merging(engine, false);
    return status;
}
