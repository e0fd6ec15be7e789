/* engine_retention.c - runs of the retention rules, and tables that go whole.
 *
 * Rules     A series stays as long as the longest rule that names it says, else as the general age says.
 *           So the cut of a rule excepts the selectors of all longer rules, that of the rest all rules.
 *           The size's cut excepts nobody.
 * Records   one per rule whose cut moved by its grain and that some table has something before. A later
 *           cut covers the earlier ones of its rule, so each rule has one tombstone at a time.
 * Tables    of which a delete leaves nothing are removed without being read, but for their keys: each must
 *           be named by the delete. Durable is enough: a start finds the record in the log.
 */
#include "db/engine_state.h"

#include <inttypes.h>
#include <stdlib.h>

#include "ch/alloc.h"

static const char everything[] = "{__name__!=\"\"}";

typedef struct run {
    ch_engine_t *engine;
    ch_version_t *version; /* pinned */
    int64_t oldest, newest;
    uint64_t logged;
} run_t;

static void
look_at_tables(run_t *run)
{
    run->oldest = INT64_MAX;
    run->newest = INT64_MIN;
    for (size_t i = 0; i < run->version->table_count; i++) {
        const ch_sstable_info_t *info = ch_sstable_info(run->version->tables[i]->sstable);
        run->oldest = info->time_min < run->oldest ? info->time_min : run->oldest;
        run->newest = info->time_max > run->newest ? info->time_max : run->newest;
    }
}

static ch_status_t
log_cut(run_t *run, size_t slot, ch_bytes_t selector, const ch_bytes_t *except,
        uint32_t except_count, int64_t cut)
{
    ch_engine_t *engine = run->engine;
    const ch_tombstone_text_t text = {.lsn = ch_wal_appended_lsn(engine->wal) + 1,
                                      .what = {.selector = selector,
                                               .except = except,
                                               .except_count = except_count,
                                               .start = CH_TIME_MIN,
                                               .end = cut}};
    uint64_t series = 0;
    char quoted[300];
    ch_status_t status = ch_engine_log_retention(engine, &text, &series);
    if (status == CH_ERR_LIMIT ||
        status == CH_ERR_NOSPACE) { /* the next run tries again */
        ch_log(
            engine->options.log, CH_LOG_WARN, "engine", "retention_failed", "reason=%s",
            ch_log_quote(ch_fail_text(), strlen(ch_fail_text()), quoted, sizeof quoted));
        return CH_OK;
    }
    if (status < 0)
        return status;
    engine->retention.cuts[slot] = cut;
    run->logged += series > 0;
    ch_log(
        engine->options.log, CH_LOG_INFO, "engine", "retention",
        "selector=%s cut=%" PRId64 " series=%" PRIu64 " lsn=%" PRIu64,
        ch_log_quote((const char *)selector.data, selector.size, quoted, sizeof quoted),
        cut, series, series ? text.lsn : 0);
    return CH_OK;
}

/* `slot` is the rule's place, or rule_count for the rest. */
static ch_status_t
run_rule(run_t *run, size_t slot, const char *match, int64_t age_ns)
{
    const ch_retention_t *retention = &run->engine->retention;
    int64_t cut = ch_retention_cut(retention->clock.reference, age_ns);
    int64_t last = retention->cuts[slot];
    if (cut == CH_TIME_MIN || cut <= run->oldest ||
        (last != CH_TIME_MIN && cut - last < ch_retention_grain(age_ns)))
        return CH_OK;
    size_t rules = retention->options.rule_count;
    ch_bytes_t *except = ch_calloc(rules + 1, sizeof *except);
    uint32_t count = 0;
    for (size_t i = 0; i < rules; i++) {
        int64_t other = retention->options.rules[i].age_ns;
        if (slot == rules || (i != slot && (other == 0 || other > age_ns)))
            except[count++] = ch_bytes_text(retention->options.rules[i].match);
    }
    ch_status_t status = log_cut(run, slot, ch_bytes_text(match), except, count, cut);
    ch_free(except);
    return status;
}

/* Not again before the tables that the last cut took are gone. */
static ch_status_t
run_size(run_t *run)
{
    const ch_retention_t *retention = &run->engine->retention;
    size_t slot = retention->options.rule_count + 1, count = run->version->table_count;
    if (retention->options.bytes == 0)
        return CH_OK;
    ch_retention_table_t *tables = ch_calloc(count + 1, sizeof *tables);
    bool pending = false;
    for (size_t i = 0; i < count; i++) {
        const ch_sstable_info_t *info = ch_sstable_info(run->version->tables[i]->sstable);
        tables[i] = (ch_retention_table_t){info->file_bytes, info->time_max};
        pending = pending || info->time_max < retention->cuts[slot];
    }
    int64_t cut = pending
                      ? CH_TIME_MIN
                      : ch_retention_size_cut(tables, count, retention->options.bytes);
    ch_free(tables);
    if (cut <= retention->cuts[slot])
        return CH_OK;
    return log_cut(run, slot, ch_bytes_text(everything), NULL, 0, cut);
}

static void
warn_of_jump(ch_engine_t *engine, bool ahead)
{
    if (ahead && !engine->retention.warned)
        ch_log(engine->options.log, CH_LOG_WARN, "engine", "clock_ahead",
               "meaning=\"clock and data are hours ahead of the last run; retention "
               "follows an hour a minute\" reference=%" PRId64,
               engine->retention.clock.reference);
    engine->retention.warned = ahead;
}

static ch_status_t
run_rules(run_t *run)
{
    ch_retention_t *retention = &run->engine->retention;
    const ch_retention_options_t *options = &retention->options;
    const ch_clock_t *clock = run->engine->options.clock;
    look_at_tables(run);
    warn_of_jump(run->engine,
                 ch_retention_advance(&retention->clock, ch_clock_wall_ns(clock),
                                      ch_clock_monotonic_ns(clock), run->newest));
    ch_status_t status = CH_OK;
    if (retention->clock.known)
        for (size_t i = 0; i < options->rule_count && status >= 0; i++)
            status = run_rule(run, i, options->rules[i].match, options->rules[i].age_ns);
    if (retention->clock.known && status >= 0)
        status = run_rule(run, options->rule_count, everything, options->age_ns);
    return status < 0 ? status : run_size(run);
}

static ch_version_t *
pin(ch_engine_t *engine)
{
    (void)pthread_mutex_lock(&engine->mutex);
    ch_version_t *version = engine->version;
    ch_version_retain(version);
    (void)pthread_mutex_unlock(&engine->mutex);
    return version;
}

ch_status_t
ch_engine_retain(ch_engine_t *engine)
{
    ch_retention_t *retention = &engine->retention;
    const ch_retention_options_t *options = &retention->options;
    int64_t now = ch_clock_monotonic_ns(engine->options.clock);
    (void)ch_sweep_switch(engine);
    if (options->age_ns == 0 && options->bytes == 0 && options->rule_count == 0)
        return CH_NOT_FOUND;
    if (now < retention->next_run_ns)
        return CH_NOT_FOUND;
    retention->next_run_ns = now + CH_RETENTION_RUN_NS;
    run_t run = {.engine = engine, .version = pin(engine)};
    ch_status_t status = run_rules(&run);
    ch_version_release(&run.version);
    if (status < 0)
        return status;
    return run.logged ? CH_OK : CH_NOT_FOUND;
}

/* ---- whole tables ---- */

typedef struct membership {
    ch_series_table_t *series; /* as the delete numbers them */
    const ch_tombstone_t *tombstone;
} membership_t;

static ch_status_t
is_named(void *context, ch_bytes_t name, ch_bytes_t labels)
{
    const membership_t *membership = context;
#ifdef CH_FAULT_RETENTION_DROPS_OTHERS
    return CH_OK;
#endif
    uint32_t series = ch_series_table_find(membership->series, name, labels);
    return series != CH_SERIES_NONE && ch_tombstone_names(membership->tombstone, series)
               ? CH_OK
               : CH_END;
}

/* Of a table whose keys cannot be read, only what takes every series leaves nothing. */
static bool
takes_all(const ch_tombstone_text_t *text)
{
    return text->what.except_count == 0 &&
           ch_bytes_equal(text->what.selector, ch_bytes_text(everything));
}

/* 1, 0, or < 0. Deletes at or below `above_lsn` were looked at before. */
static int
nothing_left(const ch_version_t *version, const ch_table_t *table, uint64_t above_lsn,
             uint64_t durable_lsn)
{
    const ch_sstable_info_t *info = ch_sstable_info(table->sstable);
    const ch_tombstones_t *set = version->tombstones;
    for (size_t i = set ? set->count : 0; i-- > 0;) {
        const ch_tombstone_text_t *text = &set->items[i]->text;
        if (text->lsn <= above_lsn || text->lsn <= table->erased_lsn)
            return 0; /* they come by lsn */
        if (text->lsn > durable_lsn || text->what.start > info->time_min ||
            (text->what.end <= info->time_max && text->what.end != CH_TIME_MAX))
            continue;
        if (takes_all(text))
            return 1;
        if (ch_sstable_is_damaged(table->sstable) || table->keys_unknown)
            continue;
        membership_t membership = {ch_version_roster(version)->series, set->items[i]};
        ch_status_t status = ch_sstable_keys(table->sstable, is_named, &membership);
        if (status != CH_END)
            return status < 0 ? status : 1;
    }
    return 0;
}

static void
remove_tables(ch_engine_t *engine, const bool *goes, const ch_version_t *seen)
{
    (void)pthread_mutex_lock(&engine->mutex);
    ch_version_t *old = engine->version;
    ch_table_t **tables = ch_alloc((old->table_count + 1) * sizeof *tables);
    size_t count = 0;
    for (size_t i = 0; i < old->table_count; i++) {
        bool gone = false;
        for (size_t j = 0; j < seen->table_count; j++)
            gone = gone || (goes[j] && seen->tables[j] == old->tables[i]);
        if (gone)
            old->tables[i]->obsolete = true;
        else
            tables[count++] = old->tables[i];
    }
    engine->version =
        ch_version_new(old->flushed_lsn, tables, count, old->immutable, old->active,
                       old->tombstones, ch_wal_durable_lsn(engine->wal));
    (void)pthread_mutex_unlock(&engine->mutex);
    ch_free(tables);
    ch_version_release(&old);
}

/* A merge may have taken the table away since the version was pinned. */
static bool
lives(ch_engine_t *engine, const ch_table_t *table)
{
    bool found = false;
    (void)pthread_mutex_lock(&engine->mutex);
    for (size_t i = 0; i < engine->version->table_count; i++)
        found = found || engine->version->tables[i] == table;
    (void)pthread_mutex_unlock(&engine->mutex);
    return found;
}

static ch_status_t
remove_from_manifest(ch_engine_t *engine, const uint64_t *numbers, size_t count,
                     uint64_t flushed_lsn)
{
    ch_manifest_edit_t edit = {.remove = numbers, .remove_count = count};
    /* It may end a delete, and then only the catalogue knows which series that left empty. */
    if (ch_catalogue_settle(engine, flushed_lsn) < 0)
        return ch_fail(CH_ERR_NOSPACE, "retention: the catalogue could not be saved");
    ch_status_t status = ch_engine_edit(engine, &edit);
    if (status == CH_ERR_NOSPACE)
        ch_engine_reserve_spend(engine); /* this is what it is for */
    else if (status < 0)
        ch_engine_fail(engine, ch_fail_text());
    return status;
}

/* Under tables_mutex. */
static ch_status_t
drop(ch_engine_t *engine, const ch_version_t *version, uint64_t durable_lsn)
{
    uint64_t *numbers = ch_calloc(version->table_count + 1, sizeof *numbers);
    bool *goes = ch_calloc(version->table_count + 1, sizeof *goes);
    uint64_t bytes = 0, series = 0;
    size_t count = 0;
    ch_status_t status = CH_OK;
    for (size_t i = 0; i < version->table_count; i++) {
        const ch_sstable_info_t *info = ch_sstable_info(version->tables[i]->sstable);
        goes[i] = nothing_left(version, version->tables[i], engine->retention.dropped_lsn,
                               durable_lsn) == 1 &&
                  lives(engine, version->tables[i]);
        bytes += goes[i] ? info->file_bytes : 0;
        series += goes[i] ? info->series : 0;
        if (goes[i])
            numbers[count++] = info->file_number;
    }
    if (count)
        status = remove_from_manifest(engine, numbers, count, version->flushed_lsn);
    if (count && status >= 0) {
        remove_tables(engine, goes, version);
        ch_sweep_note_gone(engine, series);
        ch_engine_count(&engine->counters.tables_dropped, count);
        ch_log(engine->options.log, CH_LOG_INFO, "engine", "tables_dropped",
               "tables=%zu bytes=%" PRIu64, count, bytes);
    }
    ch_free(numbers);
    ch_free(goes);
    return status < 0 ? status : count ? CH_OK : CH_NOT_FOUND;
}

ch_status_t
ch_retention_drop(ch_engine_t *engine)
{
    ch_version_t *version = pin(engine);
    uint64_t durable_lsn = ch_wal_durable_lsn(engine->wal);
    ch_status_t status = CH_NOT_FOUND;
    if (version->tombstones && durable_lsn > engine->retention.dropped_lsn) {
        (void)pthread_mutex_lock(&engine->tables_mutex);
        status = drop(engine, version, durable_lsn);
        (void)pthread_mutex_unlock(&engine->tables_mutex);
    }
    if (status >= 0)
        engine->retention.dropped_lsn = durable_lsn;
    ch_version_release(&version);
    return status == CH_ERR_NOSPACE ? CH_NOT_FOUND : status; /* tried again */
}
