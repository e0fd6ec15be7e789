/* series_sweep.c - a new roster without the series that have no points left.
 *
 * Problem     Ids are dense and stand in memtables, tombstones, label sets' postings, the order of keys, the
 *             log's numbering; readers keep some for seconds. Taking one out and giving it to another series
 *             would have to be right in each of these places.
 * Idea        No id ever changes its meaning. A roster is built beside the present one, of the series that
 *             are alive; where the writer begins a memtable anyway, the new memtable, and the version's
 *             tombstones translated, are of the new roster. The memtable before it stays under the old ids
 *             until it is flushed; versions that readers pinned hold the old roster for them.
 * Alive       are series (a) in a table of the version pinned when the sweep began, (b) in a memtable flushed
 *             since (the flusher says so before its table is installed), (c) in the active memtable at
 *             the change, when there is no immutable one, (d) numbered since the sweep began. A merge or a drop
 *             brings no series. So of all others the version at the change has no point.
 * Touched     the new roster's states know what deletes touched: copied, and told again of each delete
 *             logged since the sweep began.
 * Example     1,000 series, 300 of them dropped with their tables. 700 are numbered anew; meanwhile 5 new ones
 *             come and one of the 300 has a point again. SW adds what it sees of these; the writer, where it
 *             begins a memtable, looks through the one that is full, adds the rest, and goes over with 706.
 * Log         a start needs no ids: records carry names. Within a segment the log forgets which ids it has
 *             named and names them again.
 * Catalogue   after the change it is written anew, by the sweeper; a start in between reads the one before.
 * Crash       nothing but that is written.
 * Damage      while the keys of a table cannot be read nothing is swept: nobody knows who is alive.
 */
#include "db/engine_state.h"

#include <inttypes.h>

#include "ch/alloc.h"
#include "ch/assert.h"

enum {
    SWEEP_SHARE = 8,        /* sweep when one in ... of all series has gone */
    SWEEP_LAST_MOST = 4096, /* series that the writer adds at the change */
    SWEEP_PAUSE = 50,       /* times as long as the last sweep took, before the next */
    LOOK_MS = 250,
    STOP_LOOK = 1024, /* series between two looks whether the engine stops */
    FIRST_MS = 60000, /* after a start that read of series which may have gone */
    NO_ROOM_MS = 60000,
};

static void
ids_put(ch_sweep_ids_t *ids, uint32_t id)
{
    if (ids->count == ids->capacity) {
        ids->capacity = ids->capacity ? ids->capacity * 2 : 256;
        ids->items = ch_realloc(ids->items, ids->capacity * sizeof *ids->items);
    }
    ids->items[ids->count++] = id;
}

static void
ids_release(ch_sweep_ids_t *ids)
{
    ch_free(ids->items);
    *ids = (ch_sweep_ids_t){0};
}

static ch_sweep_stage_t
stage_of(ch_sweep_t *sweep)
{
    return __atomic_load_n(&sweep->stage, __ATOMIC_ACQUIRE);
}

static void
set_stage(ch_sweep_t *sweep, ch_sweep_stage_t stage)
{
    __atomic_store_n(&sweep->stage, stage, __ATOMIC_RELEASE);
}

static bool
stops(ch_engine_t *engine)
{
    return __atomic_load_n(&engine->sweep.stop, __ATOMIC_RELAXED) ||
           ch_engine_failed(engine);
}

/* True when the bit was not set. */
static bool
mark_alive(ch_sweep_t *sweep, uint32_t series)
{
    uint64_t bit = UINT64_C(1) << series % 64;
    return !(__atomic_fetch_or(&sweep->alive[series / 64], bit, __ATOMIC_RELAXED) & bit);
}

static bool
is_alive(const ch_sweep_t *sweep, uint32_t series)
{
    return __atomic_load_n(&sweep->alive[series / 64], __ATOMIC_RELAXED) >> series % 64 &
           1;
}

void
ch_sweep_init(ch_engine_t *engine)
{
    ch_sweep_t *sweep = &engine->sweep;
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&sweep->mutex, NULL);
    (void)pthread_cond_init(&sweep->wanted, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

void
ch_sweep_start(ch_engine_t *engine)
{
    ch_sweep_t *sweep = &engine->sweep;
    sweep->gone = ch_series_states_touched_count(engine->roster->states);
    if (sweep->gone > 0)
        sweep->next_ns =
            ch_clock_monotonic_ns(engine->options.clock) + FIRST_MS * INT64_C(1000000);
}

/* Holding `mutex`, or alone. */
static void
forget(ch_sweep_t *sweep)
{
    ch_roster_release(&sweep->from);
    ch_roster_release(&sweep->next);
    ch_free(ch_take(&sweep->alive));
    ch_free(ch_take(&sweep->map));
    ids_release(&sweep->came_back);
    for (size_t i = 0; i < sweep->delete_count; i++)
        ch_tombstone_release(&sweep->deletes[i]);
    ch_free(ch_take(&sweep->deletes));
    sweep->delete_count = sweep->delete_capacity = 0;
    sweep->count = sweep->map_count = 0;
    ch_tombstones_release(&sweep->deletes_from);
    ch_tombstones_release(&sweep->deletes_next);
}

void
ch_sweep_release(ch_engine_t *engine)
{
    ch_sweep_t *sweep = &engine->sweep;
    forget(sweep);
    ch_roster_release(&sweep->retired);
    (void)pthread_cond_destroy(&sweep->wanted);
    (void)pthread_mutex_destroy(&sweep->mutex);
}

uint64_t
ch_sweep_bytes(ch_engine_t *engine)
{
    ch_sweep_t *sweep = &engine->sweep;
    (void)pthread_mutex_lock(&sweep->mutex);
    uint64_t bytes = sweep->retired ? ch_roster_bytes(sweep->retired) : 0;
    if (sweep->next && stage_of(sweep) != CH_SWEEP_DONE) /* then it is the present one */
        bytes +=
            ch_roster_bytes(sweep->next) + (uint64_t)sweep->count * sizeof *sweep->map;
    (void)pthread_mutex_unlock(&sweep->mutex);
    return bytes;
}

/* ---- what others tell ---- */

void
ch_sweep_note_gone(ch_engine_t *engine, uint64_t series)
{
    ch_sweep_t *sweep = &engine->sweep;
    if (series == 0)
        return;
    (void)pthread_mutex_lock(&sweep->mutex);
    sweep->gone += series;
    (void)pthread_cond_signal(&sweep->wanted);
    (void)pthread_mutex_unlock(&sweep->mutex);
}

void
ch_sweep_note_flush(ch_engine_t *engine, const uint32_t *series, size_t count)
{
    ch_sweep_t *sweep = &engine->sweep;
    (void)pthread_mutex_lock(&sweep->mutex);
#ifndef CH_FAULT_SWEEP_FLUSH_UNSEEN
    for (size_t i = 0; sweep->from && i < count; i++)
        if (series[i] < sweep->count && mark_alive(sweep, series[i]))
            ids_put(&sweep->came_back, series[i]);
#else
    (void)series;
    (void)count;
#endif
    (void)pthread_mutex_unlock(&sweep->mutex);
}

void
ch_sweep_note_delete(ch_engine_t *engine, ch_tombstone_t *tombstone)
{
    ch_sweep_t *sweep = &engine->sweep;
    (void)pthread_mutex_lock(&sweep->mutex);
    bool under_way = sweep->from != NULL;
#ifdef CH_FAULT_SWEEP_DELETE_UNSEEN
    under_way = false;
#endif
    if (under_way) {
        if (sweep->delete_count == sweep->delete_capacity) {
            sweep->delete_capacity = 2 * sweep->delete_capacity + 16;
            sweep->deletes = ch_realloc(sweep->deletes,
                                        sweep->delete_capacity * sizeof *sweep->deletes);
        }
        ch_tombstone_retain(tombstone);
        sweep->deletes[sweep->delete_count++] = tombstone;
    }
    (void)pthread_mutex_unlock(&sweep->mutex);
}

/* ---- which are alive ---- */

static ch_version_t *
pin(ch_engine_t *engine)
{
    (void)pthread_mutex_lock(&engine->mutex);
    ch_version_t *version = engine->version;
    ch_version_retain(version);
    (void)pthread_mutex_unlock(&engine->mutex);
    return version;
}

/* The flusher speaks of the present roster from here on. A version is pinned after that. */
static void
begin(ch_engine_t *engine)
{
    ch_sweep_t *sweep = &engine->sweep;
    ch_version_t *version = pin(engine);
    ch_roster_t *roster = ch_version_roster(version);
    ch_roster_retain(roster);
    ch_version_release(&version);
    uint32_t count = ch_series_table_count(roster->series);
    (void)pthread_mutex_lock(&sweep->mutex);
    sweep->gone = 0;
    sweep->alive = ch_calloc(count / 64 + 1, sizeof *sweep->alive);
    sweep->count = count;
    sweep->from = roster;
    set_stage(sweep, CH_SWEEP_BUILDING);
    (void)pthread_mutex_unlock(&sweep->mutex);
}

typedef struct marking {
    ch_engine_t *engine;
    uint64_t looked;
} marking_t;

static ch_status_t
mark_key(void *context, ch_bytes_t name, ch_bytes_t labels)
{
    marking_t *marking = context;
    ch_sweep_t *sweep = &marking->engine->sweep;
    uint32_t series = ch_series_table_find(sweep->from->series, name, labels);
    if (series < sweep->count)
        (void)mark_alive(sweep, series);
    return ++marking->looked % STOP_LOOK == 0 && stops(marking->engine) ? CH_END : CH_OK;
}

static void
mark_id(void *context, uint32_t series)
{
    ch_sweep_t *sweep = &((marking_t *)context)->engine->sweep;
    if (series < sweep->count)
        (void)mark_alive(sweep, series);
}

/* Of memtables only so that little is left for the change: what is in them then is looked at. */
static ch_status_t
mark(ch_engine_t *engine)
{
    marking_t marking = {.engine = engine};
    ch_version_t *version = pin(engine);
    ch_status_t status = CH_OK;
    for (size_t i = 0; i < version->table_count && status == CH_OK; i++)
        status = ch_sstable_keys(version->tables[i]->sstable, mark_key, &marking);
    const ch_shared_memtable_t *memtables[] = {version->immutable, version->active};
    for (int i = 0; i < 2 && status == CH_OK; i++)
        if (memtables[i] && memtables[i]->roster == engine->sweep.from)
            ch_memtable_visit(memtables[i]->memtable, mark_id, &marking);
    ch_version_release(&version);
    return status;
}

static uint32_t
count_dead(const ch_sweep_t *sweep)
{
    uint32_t alive = 0;
    for (uint32_t i = 0; i <= sweep->count / 64; i++)
        alive += (uint32_t)__builtin_popcountll(
            __atomic_load_n(&sweep->alive[i], __ATOMIC_RELAXED));
    return sweep->count - alive;
}

/* As many must have gone: what a sweep costs is then a share of what it took to make them. */
static uint64_t
worth(const ch_engine_t *engine, uint64_t count)
{
    uint64_t share = count / SWEEP_SHARE;
    return share > engine->options.sweep_series_min ? share
                                                    : engine->options.sweep_series_min;
}

/* ---- the new roster ---- */

static void
map_reserve(ch_sweep_t *sweep, uint32_t count)
{
    if (count <= sweep->map_count)
        return;
    uint32_t wanted = count + count / 16 + SWEEP_LAST_MOST;
    sweep->map = ch_realloc(sweep->map, (size_t)wanted * sizeof *sweep->map);
    for (uint32_t i = sweep->map_count; i < wanted; i++)
        sweep->map[i] = CH_SERIES_NONE;
    sweep->map_count = wanted;
}

static bool
is_mapped(const ch_sweep_t *sweep, uint32_t series)
{
    return series < sweep->map_count && sweep->map[series] != CH_SERIES_NONE;
}

static void
adopt(ch_sweep_t *sweep, uint32_t series)
{
    map_reserve(sweep, series + 1);
    if (sweep->map[series] == CH_SERIES_NONE)
        sweep->map[series] = ch_roster_adopt(sweep->next, sweep->from, series);
}

static ch_status_t
adopt_alive(ch_engine_t *engine)
{
    ch_sweep_t *sweep = &engine->sweep;
    for (uint32_t series = 0; series < sweep->count; series++) {
        if (series % STOP_LOOK == 0 && stops(engine))
            return CH_END;
        if (is_alive(sweep, series))
            adopt(sweep, series);
    }
    return CH_OK;
}

static bool
touch_mapped(uint32_t series, void *context)
{
    ch_sweep_t *sweep = context;
    if (is_mapped(sweep, series))
        ch_series_states_touch(sweep->next->states, sweep->map[series]);
    return true;
}

static void
adopt_back(void *context, uint32_t series)
{
    ch_sweep_t *sweep = context;
    if (series < sweep->count)
        adopt(sweep, series);
}

/* After the deletes were taken: a series that came back before one of them has its point here by now, or the
 * flusher told. A delete must not be translated without it: the point would be there again. */
static void
adopt_memtables(ch_engine_t *engine)
{
    ch_version_t *version = pin(engine);
    const ch_shared_memtable_t *memtables[] = {version->immutable, version->active};
#ifndef CH_FAULT_SWEEP_REVIVED_LOST
    for (int i = 0; i < 2; i++)
        if (memtables[i] && memtables[i]->roster == engine->sweep.from)
            ch_memtable_visit(memtables[i]->memtable, adopt_back, &engine->sweep);
#else
    (void)memtables;
    (void)adopt_back;
#endif
    ch_version_release(&version);
}

/* Series that came since `*next_id`, that came back, and what deletes since have touched. */
static ch_status_t
catch_up(ch_engine_t *engine, uint32_t *next_id)
{
    ch_sweep_t *sweep = &engine->sweep;
    (void)pthread_mutex_lock(&sweep->mutex);
    ch_sweep_ids_t came_back = sweep->came_back;
    ch_tombstone_t **deletes = ch_take(&sweep->deletes);
    size_t delete_count = sweep->delete_count;
    sweep->came_back = (ch_sweep_ids_t){0};
    sweep->delete_count = sweep->delete_capacity = 0;
    (void)pthread_mutex_unlock(&sweep->mutex);
    for (size_t i = 0; i < came_back.count; i++)
        adopt(sweep, came_back.items[i]);
    ids_release(&came_back);
    adopt_memtables(engine);
    uint32_t count = ch_series_table_count(sweep->from->series);
    while (count > *next_id &&
           ch_series_states_born(sweep->from->states, count - 1) == UINT64_MAX)
        count--; /* the writer is about to add its state */
    while (*next_id < count && !(*next_id % STOP_LOOK == 0 && stops(engine)))
        adopt(sweep, (*next_id)++);
    for (size_t i = 0; i < delete_count; i++) {
        ch_tombstone_visit(deletes[i], touch_mapped, sweep);
        ch_tombstone_release(&deletes[i]);
    }
    ch_free(deletes);
    return stops(engine) ? CH_END : CH_OK;
}

/* Anew each time: the set may be the same while the map has grown. */
static void
translate_deletes(ch_engine_t *engine)
{
    ch_sweep_t *sweep = &engine->sweep;
    ch_version_t *version = pin(engine);
    ch_tombstones_t *present = version->tombstones;
    ch_tombstones_release(&sweep->deletes_from);
    ch_tombstones_release(&sweep->deletes_next);
    if (present != NULL) {
        ch_tombstones_retain(present);
        sweep->deletes_from = present;
        sweep->deletes_next =
            ch_tombstones_renumber(present, sweep->map, sweep->map_count);
    }
    ch_version_release(&version);
}

/* ---- the change ---- */

static void
note_missing(void *context, uint32_t series)
{
    ch_sweep_t *sweep = context;
    if (!is_mapped(sweep, series))
        ids_put(&sweep->came_back, series);
}

/* Holding `mutex`. Series that the new roster lacks, when they are few. */
static bool
adopt_last(ch_engine_t *engine)
{
    ch_sweep_t *sweep = &engine->sweep;
    uint32_t count = ch_series_table_count(sweep->from->series), first = count;
    while (first > sweep->count && !is_mapped(sweep, first - 1))
        first--;
    if (count - first > SWEEP_LAST_MOST)
        return false;
    for (uint32_t series = first; series < count; series++)
        adopt(sweep, series);
#ifndef CH_FAULT_SWEEP_REVIVED_LOST
    ch_memtable_visit(engine->active, note_missing, sweep);
#else
    (void)note_missing;
#endif
    if (sweep->came_back.count > SWEEP_LAST_MOST)
        return false;
    for (size_t i = 0; i < sweep->came_back.count; i++)
        adopt(sweep, sweep->came_back.items[i]);
    sweep->came_back.count = 0;
    return true;
}

/* Holding `mutex`. The version before, or NULL when it is not the one that was prepared for. */
static ch_version_t *
install(ch_engine_t *engine)
{
    ch_sweep_t *sweep = &engine->sweep;
    uint64_t last = ch_wal_appended_lsn(engine->wal);
    ch_version_t *old = NULL;
    sweep->next->since_lsn = last;
    (void)pthread_mutex_lock(&engine->mutex);
    if (engine->version->tombstones == sweep->deletes_from &&
        !engine->version->immutable) {
        ch_series_states_continue(sweep->next->states, sweep->from->states);
        old = ch_engine_next_memtable(engine, sweep->next, sweep->deletes_next, last);
    }
    (void)pthread_mutex_unlock(&engine->mutex);
    return old;
}

/* limits.producer_series counts what producers have brought; what has left counts no more. */
static void
shrink_brought(ch_engine_t *engine, uint64_t kept, uint64_t before)
{
#ifndef CH_FAULT_SWEEP_LIMIT_NOT_TOLD
    engine->nameless_series = engine->nameless_series * kept / before;
    (void)pthread_mutex_lock(&engine->sessions_mutex);
    ch_session_map_shrink_series(engine->sessions, kept, before);
    (void)pthread_mutex_unlock(&engine->sessions_mutex);
#else
    (void)engine;
    (void)kept;
    (void)before;
#endif
}

/* Holding `mutex`. */
static ch_version_t *
change(ch_engine_t *engine)
{
    ch_sweep_t *sweep = &engine->sweep;
    (void)pthread_mutex_lock(&engine->mutex);
    bool flushing = engine->version->immutable != NULL;
    bool same = engine->version->tombstones == sweep->deletes_from;
    (void)pthread_mutex_unlock(&engine->mutex);
    if (flushing)
        return NULL; /* at a later call */
    ch_version_t *old = NULL;
    if (same && sweep->came_back.count == 0 && sweep->delete_count == 0 &&
        adopt_last(engine))
        old = install(engine);
    set_stage(sweep, old ? CH_SWEEP_DONE : CH_SWEEP_AGAIN);
    (void)pthread_cond_signal(&sweep->wanted);
    if (!old)
        return NULL;
    uint32_t kept = ch_series_table_count(sweep->next->series),
             before = ch_series_table_count(sweep->from->series);
    ch_engine_use_roster(engine, sweep->next);
    shrink_brought(engine, kept, before);
    sweep->retired = ch_take(&sweep->from);
    ch_engine_count(&sweep->sweeps, 1);
    ch_engine_count(&sweep->dropped, before - kept);
    ch_log(engine->options.log, CH_LOG_INFO, "engine", "series_swept",
           "before=%u after=%u lsn=%" PRIu64, before, kept, sweep->next->since_lsn);
    return old;
}

bool
ch_sweep_switch(ch_engine_t *engine)
{
    ch_sweep_t *sweep = &engine->sweep;
    if (stage_of(sweep) != CH_SWEEP_READY || engine->closed || ch_engine_failed(engine))
        return false;
    (void)pthread_mutex_lock(&sweep->mutex);
    ch_version_t *old = stage_of(sweep) == CH_SWEEP_READY ? change(engine) : NULL;
    (void)pthread_mutex_unlock(&sweep->mutex);
    bool changed = old != NULL;
    ch_version_release(&old);
    if (changed)
        ch_engine_memory_fit(engine);
    return changed;
}

/* ---- the sweeper ---- */

static bool
is_due(ch_engine_t *engine)
{
    ch_sweep_t *sweep = &engine->sweep;
    ch_version_t *version = pin(engine);
    uint64_t count = ch_series_table_count(ch_version_roster(version)->series);
    ch_version_release(&version);
    int64_t now = ch_clock_monotonic_ns(engine->options.clock);
    (void)pthread_mutex_lock(&sweep->mutex);
    bool due = sweep->gone >= worth(engine, count) && sweep->gone > 0 &&
               !sweep->retired && (!engine->threads_running || now >= sweep->next_ns);
#ifdef CH_FAULT_SWEEP_NEVER
    due = false;
#endif
    (void)pthread_mutex_unlock(&sweep->mutex);
    return due;
}

/* The new roster is made while the old one is there. */
static bool
has_room(ch_engine_t *engine, uint64_t dead)
{
    ch_sweep_t *sweep = &engine->sweep;
    ch_memory_use_t use = ch_engine_memory_use(engine);
    uint64_t count = sweep->count + 1;
    uint64_t wanted =
        (uint64_t)((double)use.series * (double)(count - dead) / (double)count);
    uint64_t least = ch_engine_memory_cache_least(engine);
    if (use.series + use.tables + wanted + least <= engine->memory.rest)
        return true;
    ch_log(engine->options.log, CH_LOG_WARN, "engine", "series_not_swept",
           "gone=%" PRIu64 " bytes_needed=%" PRIu64
           " action=\"raise engine.memory_limit, or restart: that needs less\"",
           dead, wanted);
    return false;
}

static ch_status_t
build(ch_engine_t *engine)
{
    ch_sweep_t *sweep = &engine->sweep;
    uint32_t count = sweep->count, dead = count_dead(sweep);
    ch_roster_t *next = ch_roster_new(sweep->from->generation + 1);
    ch_series_table_reserve(next->series,
                            (ch_series_mark_t){.series = count - dead, .labels = 1});
    (void)pthread_mutex_lock(&sweep->mutex);
    sweep->next = next;
    map_reserve(sweep, count);
    (void)pthread_mutex_unlock(&sweep->mutex);
    return adopt_alive(engine);
}

/* Hand over, and take back what was too much. */
static ch_status_t
hand_over(ch_engine_t *engine)
{
    ch_sweep_t *sweep = &engine->sweep;
    uint32_t next_id = sweep->count;
    ch_status_t status = CH_OK;
    while (status == CH_OK && stage_of(sweep) != CH_SWEEP_DONE && !stops(engine)) {
        status = catch_up(engine, &next_id);
        if (status != CH_OK)
            break;
        translate_deletes(engine);
        (void)pthread_mutex_lock(&sweep->mutex);
        set_stage(sweep, CH_SWEEP_READY);
        (void)pthread_mutex_unlock(&sweep->mutex);
        if (!engine->threads_running) {
            if (!ch_sweep_switch(engine) && stage_of(sweep) == CH_SWEEP_READY)
                status = ch_engine_flush_immutable(engine);
            status = status < 0 ? status : CH_OK;
            continue;
        }
        ch_engine_progress(engine); /* an idle writer looks */
        (void)pthread_mutex_lock(&sweep->mutex);
        while (stage_of(sweep) == CH_SWEEP_READY && !stops(engine))
            (void)pthread_cond_wait(&sweep->wanted, &sweep->mutex);
        (void)pthread_mutex_unlock(&sweep->mutex);
    }
    return status;
}

static void
end(ch_engine_t *engine, uint64_t left, int64_t took_ns)
{
    ch_sweep_t *sweep = &engine->sweep;
    int64_t now = ch_clock_monotonic_ns(engine->options.clock);
    (void)pthread_mutex_lock(&sweep->mutex);
    sweep->gone += left;
    sweep->next_ns = now + SWEEP_PAUSE * took_ns;
    forget(sweep);
    set_stage(sweep, CH_SWEEP_IDLE);
    (void)pthread_mutex_unlock(&sweep->mutex);
}

static ch_status_t
sweep_once(ch_engine_t *engine)
{
    ch_sweep_t *sweep = &engine->sweep;
    int64_t started = ch_thread_cpu_ns(); /* not what others took meanwhile */
    begin(engine);
    ch_status_t status = mark(engine);
    uint64_t dead = status == CH_OK ? count_dead(sweep) : sweep->count;
    bool goes = status == CH_OK && dead > 0 && dead >= worth(engine, sweep->count);
    bool room = !goes || has_room(engine, dead);
    goes = goes && room;
    if (goes)
        status = build(engine);
    /* Without room, or with a table that cannot be read, it is said once in a while only. */
    int64_t took = room && status >= 0 ? ch_thread_cpu_ns() - started
                                       : NO_ROOM_MS * INT64_C(1000000) / SWEEP_PAUSE;
    if (goes && status == CH_OK)
        status = hand_over(engine);
    bool done = goes && stage_of(sweep) == CH_SWEEP_DONE;
    if (status < 0)
        ch_log(engine->options.log, CH_LOG_WARN, "engine", "series_not_swept",
               "error=%s action=\"tried again later\"", ch_status_name(status));
    end(engine, done ? 0 : dead, took);
    return done ? CH_OK : CH_NOT_FOUND;
}

/* The roster before is freed here, not by whoever happens to hold it last: it takes long. */
static void
settle(ch_engine_t *engine)
{
    ch_sweep_t *sweep = &engine->sweep;
    ch_catalogue_renew(engine);
    (void)pthread_mutex_lock(&sweep->mutex);
    ch_roster_t *last = sweep->retired && ch_roster_is_last(sweep->retired)
                            ? ch_take(&sweep->retired)
                            : NULL;
    (void)pthread_mutex_unlock(&sweep->mutex);
    ch_roster_release(&last);
}

ch_status_t
ch_sweep_step(ch_engine_t *engine)
{
    settle(engine);
    if (!is_due(engine))
        return CH_NOT_FOUND;
    ch_status_t status = sweep_once(engine);
    if (status == CH_OK)
        settle(engine);
    return status;
}

void *
ch_sweep_run(void *context)
{
    ch_engine_t *engine = context;
    ch_sweep_t *sweep = &engine->sweep;
    ch_thread_lower_priority();
    while (!stops(engine)) {
        (void)ch_sweep_step(engine);
        struct timespec until = ch_engine_time_in_ms(LOOK_MS);
        (void)pthread_mutex_lock(&sweep->mutex);
        if (!stops(engine))
            (void)pthread_cond_timedwait(&sweep->wanted, &sweep->mutex, &until);
        (void)pthread_mutex_unlock(&sweep->mutex);
    }
    return NULL;
}

void
ch_sweep_stop(ch_engine_t *engine)
{
    ch_sweep_t *sweep = &engine->sweep;
    (void)pthread_mutex_lock(&sweep->mutex);
    __atomic_store_n(&sweep->stop, true, __ATOMIC_RELAXED);
    (void)pthread_cond_broadcast(&sweep->wanted);
    (void)pthread_mutex_unlock(&sweep->mutex);
}
