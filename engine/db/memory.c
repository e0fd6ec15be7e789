#include "db/memory.h"

#include "db/engine_state.h"

enum {
    PROGRAM_BYTES = 24 << 20, /* code, stacks, sockets' threads, allocator's slack */
    /* One in ... of the limit, halved where that is more than: */
    SHARE_INTAKE = 8,
    INTAKE_BYTES = 128 << 20,
    SHARE_REPLIES = 16, /* queries the same */
    REPLIES_BYTES = 64 << 20,
    SERIES_LEAST = 8 << 20, /* a limit must leave as much */
    CACHE_LEAST = 64,       /* blocks always have one in ... of the limit */
    CACHE_MOST = 4,         /* and never more than one in ... */
    FIT_SERIES = 1024,      /* new series between two looks at the cache's share */
    FIT_BESIDE = 4 << 20,   /* bytes of a sweep, likewise */
    /* What a new series costs beside its text: ids, slots, postings, state, order. */
    SERIES_BYTES = 192,
};

/* What sockets and queries need grows more slowly than the rest. */
static uint64_t
share(uint64_t limit, uint64_t part, uint64_t enough)
{
    uint64_t whole = limit / part, half = whole / 2;
    return whole <= enough ? whole : half > enough ? half : enough;
}

ch_memory_plan_t
ch_engine_memory_plan(uint64_t limit, uint64_t memtable_bytes, uint64_t window_bytes)
{
    ch_memory_plan_t plan = {
        .program = PROGRAM_BYTES + 2 * window_bytes,
        .memtables = 2 * memtable_bytes,
        .intake = share(limit, SHARE_INTAKE, INTAKE_BYTES),
        .replies = share(limit, SHARE_REPLIES, REPLIES_BYTES),
        .queries = share(limit, SHARE_REPLIES, REPLIES_BYTES),
    };
    uint64_t taken =
        plan.program + plan.memtables + plan.intake + plan.replies + plan.queries;
    plan.rest = limit > taken ? limit - taken : 0;
    plan.fits = plan.rest >= SERIES_LEAST;
    /* At most a quarter goes by shares. */
    plan.least = (((plan.program + plan.memtables + SERIES_LEAST) / 3 * 4 >> 20) + 2)
                 << 20;
    return plan;
}

ch_memory_use_t
ch_engine_memory_use(ch_engine_t *engine)
{
    ch_memory_use_t use = {0};
    (void)pthread_mutex_lock(&engine->mutex);
    ch_version_t *version = engine->version;
    ch_version_retain(version);
    (void)pthread_mutex_unlock(&engine->mutex);
    for (size_t i = 0; i < version->table_count; i++)
        use.tables += ch_sstable_memory(version->tables[i]->sstable);
    use.series = ch_roster_bytes(ch_version_roster(version)) + ch_sweep_bytes(engine);
    ch_version_release(&version);
    use.memtables = ch_arena_pool_bytes(engine->arenas);
    use.cache = ch_block_cache_bytes(engine->cache);
    return use;
}

uint64_t
ch_engine_memory_cache_least(const ch_engine_t *engine)
{
    return engine->options.memory_limit / CACHE_LEAST;
}

void
ch_engine_memory_fit(ch_engine_t *engine)
{
    uint32_t count = ch_series_table_count(engine->roster->series);
    uint64_t beside = ch_sweep_bytes(engine), fitted = engine->fitted_beside;
    uint64_t moved = beside > fitted ? beside - fitted : fitted - beside;
    if (engine->fitted_series != 0 && count - engine->fitted_series < FIT_SERIES &&
        moved < FIT_BESIDE)
        return;
    engine->fitted_series = count;
    engine->fitted_beside = beside;
    ch_memory_use_t use = ch_engine_memory_use(engine);
    uint64_t limit = engine->options.memory_limit, taken = use.series + use.tables;
    uint64_t budget = engine->memory.rest > taken ? engine->memory.rest - taken : 0;
    if (budget > limit / CACHE_MOST)
        budget = limit / CACHE_MOST;
    if (budget < ch_engine_memory_cache_least(engine))
        budget = ch_engine_memory_cache_least(engine);
    engine->tables_memory = use.tables;
    if (budget != engine->cache_budget)
        ch_block_cache_set_budget(engine->cache, budget);
    engine->cache_budget = budget;
}

/* Doubled arrays are there twice while they are copied: what is asked is whether that fits too. */
bool
ch_engine_memory_over(ch_engine_t *engine, uint64_t series, uint64_t text_bytes)
{
    uint64_t rest = engine->memory.rest, cache = ch_engine_memory_cache_least(engine);
    uint64_t now = ch_roster_bytes(engine->roster) + ch_sweep_bytes(engine);
    uint64_t growth = ch_series_table_growth(engine->roster->series, series) +
                      ch_label_index_growth(engine->roster->index, series);
#ifdef CH_FAULT_MEMORY_UNBOUNDED
    return false;
#endif
    return now + growth + series * SERIES_BYTES + text_bytes + engine->tables_memory +
               cache >
           rest;
}
