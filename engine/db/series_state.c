#include "db/series_state.h"

#include "ch/alloc.h"
#include "ch/assert.h"

#include <pthread.h>

enum { PAGE_SERIES = 1 << 14, PAGES_MAX = 1 << 18 };

typedef struct state {
    uint64_t born_lsn;
    uint64_t lsn; /* position of what follows: of the flush or delete it minds */
    int64_t time;
    uint64_t bits;
    uint8_t type;
    uint8_t newest;
    bool touched;
} state_t;

struct ch_series_states {
    pthread_mutex_t mutex; /* guards everything below */
    state_t **pages;
    uint32_t page_count; /* also read without it */
    uint32_t touched_count;
    uint32_t count;
    uint64_t flushed_lsn; /* of the last flush begun */
    uint64_t deleted_lsn; /* of the last delete begun */
};

ch_series_states_t *
ch_series_states_new(void)
{
    ch_series_states_t *states = ch_calloc(1, sizeof *states);
    (void)pthread_mutex_init(&states->mutex, NULL);
    states->pages = ch_calloc(PAGES_MAX, sizeof *states->pages);
    return states;
}

void
ch_series_states_destroy(ch_series_states_t **states)
{
    if (!*states)
        return;
    for (uint32_t i = 0; i < (*states)->page_count; i++)
        ch_free((*states)->pages[i]);
    ch_free((*states)->pages);
    (void)pthread_mutex_destroy(&(*states)->mutex);
    ch_free(ch_take(states));
}

/* A reader may find a series in the table a moment before its state is added: it is not born yet. */
static bool
unborn(const ch_series_states_t *states, uint32_t series)
{
    return series >= states->count;
}

static state_t *
state_of(ch_series_states_t *states, uint32_t series)
{
    return &states->pages[series / PAGE_SERIES][series % PAGE_SERIES];
}

static void
pages_reserve(ch_series_states_t *states, uint32_t count)
{
    uint32_t pages = states->page_count;
    while ((uint64_t)pages * PAGE_SERIES < count)
        states->pages[pages++] = ch_calloc(PAGE_SERIES, sizeof(state_t));
    __atomic_store_n(&states->page_count, pages, __ATOMIC_RELAXED);
}

void
ch_series_states_add(ch_series_states_t *states, uint32_t series, uint64_t born_lsn)
{
    (void)pthread_mutex_lock(&states->mutex);
    pages_reserve(states, series + 1);
    states->count = series + 1;
    *state_of(states, series) = (state_t){
        .born_lsn = born_lsn, .newest = born_lsn ? CH_NEWEST_NONE : CH_NEWEST_UNKNOWN};
    (void)pthread_mutex_unlock(&states->mutex);
}

static void
touch(ch_series_states_t *states, state_t *state)
{
    states->touched_count += !state->touched;
    state->touched = true;
}

void
ch_series_states_adopt(ch_series_states_t *states, uint32_t series,
                       ch_series_states_t *from, uint32_t from_series)
{
    uint64_t born_lsn = ch_series_states_born(from, from_series);
    bool touched = ch_series_states_touched(from, from_series);
    (void)pthread_mutex_lock(&states->mutex);
    pages_reserve(states, series + 1);
    states->count = series + 1;
    *state_of(states, series) =
        (state_t){.born_lsn = born_lsn, .newest = CH_NEWEST_UNKNOWN};
    if (touched)
        touch(states, state_of(states, series));
    (void)pthread_mutex_unlock(&states->mutex);
}

void
ch_series_states_continue(ch_series_states_t *states, ch_series_states_t *from)
{
    (void)pthread_mutex_lock(&from->mutex);
    uint64_t flushed_lsn = from->flushed_lsn, deleted_lsn = from->deleted_lsn;
    (void)pthread_mutex_unlock(&from->mutex);
    (void)pthread_mutex_lock(&states->mutex);
    states->flushed_lsn = flushed_lsn;
    states->deleted_lsn = deleted_lsn;
    (void)pthread_mutex_unlock(&states->mutex);
}

uint32_t
ch_series_states_touched_count(ch_series_states_t *states)
{
    (void)pthread_mutex_lock(&states->mutex);
    uint32_t count = states->touched_count;
    (void)pthread_mutex_unlock(&states->mutex);
    return count;
}

size_t
ch_series_states_bytes(ch_series_states_t *states)
{
    uint32_t pages = __atomic_load_n(&states->page_count, __ATOMIC_RELAXED);
    return sizeof *states + (size_t)pages * PAGE_SERIES * sizeof(state_t);
}

/* Zeroed pages say it: of a table, unknown. Those that nobody asks about are never touched. */
void
ch_series_states_add_many(ch_series_states_t *states, uint32_t count)
{
    (void)pthread_mutex_lock(&states->mutex);
    pages_reserve(states, count);
    states->count = count;
    (void)pthread_mutex_unlock(&states->mutex);
}

uint64_t
ch_series_states_born(ch_series_states_t *states, uint32_t series)
{
    (void)pthread_mutex_lock(&states->mutex);
    uint64_t lsn =
        unborn(states, series) ? UINT64_MAX : state_of(states, series)->born_lsn;
    (void)pthread_mutex_unlock(&states->mutex);
    return lsn;
}

void
ch_series_states_touch(ch_series_states_t *states, uint32_t series)
{
    (void)pthread_mutex_lock(&states->mutex);
    if (!unborn(states, series))
        touch(states, state_of(states, series));
    (void)pthread_mutex_unlock(&states->mutex);
}

roaring_bitmap_t *
ch_series_states_touched_set(ch_series_states_t *states, uint32_t count)
{
    roaring_bitmap_t *set = roaring_bitmap_create();
    CH_ASSERT(set != NULL);
    (void)pthread_mutex_lock(&states->mutex);
    for (uint32_t i = 0; states->touched_count > 0 && i < count && i < states->count; i++)
        if (state_of(states, i)->touched)
            roaring_bitmap_add(set, i);
    (void)pthread_mutex_unlock(&states->mutex);
    return set;
}

bool
ch_series_states_touched(ch_series_states_t *states, uint32_t series)
{
    (void)pthread_mutex_lock(&states->mutex);
    bool touched = !unborn(states, series) && state_of(states, series)->touched;
    (void)pthread_mutex_unlock(&states->mutex);
    return touched;
}

static void
keep(state_t *state, uint64_t lsn, int64_t time, ch_value_t value)
{
    state->lsn = lsn;
    if (value.type == CH_VALUE_STRING) {
        state->newest = CH_NEWEST_UNKNOWN;
        return;
    }
    state->time = time;
    state->type = (uint8_t)value.type;
    state->bits = 0;
    if (value.type == CH_VALUE_BOOL)
        state->bits = value.boolean;
    else
        memcpy(&state->bits, &value.i64, sizeof state->bits);
    state->newest = CH_NEWEST_KNOWN;
}

ch_newest_t
ch_series_states_newest(ch_series_states_t *states, uint32_t series, uint64_t view_lsn,
                        int64_t *time_out, ch_value_t *value_out, uint64_t *lsn_out)
{
    (void)pthread_mutex_lock(&states->mutex);
    state_t state = {.newest = CH_NEWEST_NONE};
    if (!unborn(states, series))
        state = *state_of(states, series);
    (void)pthread_mutex_unlock(&states->mutex);
    if (state.lsn > view_lsn)
        return CH_NEWEST_UNKNOWN;
    *lsn_out = state.lsn;
    if (state.newest == CH_NEWEST_KNOWN) {
        *time_out = state.time;
        value_out->type = (ch_value_type_t)state.type;
        if (value_out->type == CH_VALUE_BOOL)
            value_out->boolean = state.bits != 0;
        else
            memcpy(&value_out->i64, &state.bits, sizeof state.bits);
    }
    return (ch_newest_t)state.newest;
}

void
ch_series_states_flushed(ch_series_states_t *states, uint32_t series, int64_t time,
                         ch_value_t value)
{
    (void)pthread_mutex_lock(&states->mutex);
    state_t *state = state_of(states, series);
    if (state->newest == CH_NEWEST_NONE ||
        (state->newest == CH_NEWEST_KNOWN && time >= state->time))
        keep(state, states->flushed_lsn, time, value);
    (void)pthread_mutex_unlock(&states->mutex);
}

void
ch_series_states_begin_flush(ch_series_states_t *states, uint64_t flushed_lsn)
{
    (void)pthread_mutex_lock(&states->mutex);
    states->flushed_lsn = flushed_lsn;
    (void)pthread_mutex_unlock(&states->mutex);
}

void
ch_series_states_begin_delete(ch_series_states_t *states, uint64_t lsn)
{
    (void)pthread_mutex_lock(&states->mutex);
    states->deleted_lsn = lsn;
    (void)pthread_mutex_unlock(&states->mutex);
}

void
ch_series_states_erase(ch_series_states_t *states, uint32_t series,
                       const ch_erasure_t *erasure)
{
    (void)pthread_mutex_lock(&states->mutex);
    if (!unborn(states, series)) {
        state_t *state = state_of(states, series);
        touch(states, state);
        if (state->newest == CH_NEWEST_KNOWN && erasure->lsn > state->lsn &&
            ch_erasure_covers(erasure, state->time))
            state->newest = CH_NEWEST_UNKNOWN;
    }
    (void)pthread_mutex_unlock(&states->mutex);
}

void
ch_series_states_refill(ch_series_states_t *states, uint32_t series, uint64_t flushed_lsn,
                        uint64_t view_lsn, ch_newest_t newest, int64_t time,
                        ch_value_t value)
{
    (void)pthread_mutex_lock(&states->mutex);
    state_t *state = state_of(states, series);
    if (states->flushed_lsn == flushed_lsn && view_lsn >= states->deleted_lsn &&
        state->newest == CH_NEWEST_UNKNOWN) {
        uint64_t lsn =
            flushed_lsn > states->deleted_lsn ? flushed_lsn : states->deleted_lsn;
        if (newest == CH_NEWEST_KNOWN)
            keep(state, lsn, time, value);
        else
            state->newest = (uint8_t)newest;
        state->lsn = lsn;
    }
    (void)pthread_mutex_unlock(&states->mutex);
}
