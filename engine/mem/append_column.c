/* append_column.c - the writer's side of a series' chunks, and cuts by lsn.
 *
 * Growth      4, 16, 64, then 256 points a chunk, or at once as many as a bulk append brings; after
 *             a change of type growth begins anew, so that a series which alternates between ints
 *             and floats wastes tens of bytes a point and not kilobytes.
 * Runs        Example: lsn 7 brings 3 points, lsn 9 two, into a fresh chunk: starts = 0b01001,
 *             runs = {7, 9}. The cut at lsn 8: one run is <= 8, the second begins at bit 3: 3 points.
 */
#include "mem/append_column.h"

#include "ch/assert.h"

static size_t
value_width(ch_value_type_t type)
{
    return type == CH_VALUE_STRING ? sizeof(ch_bytes_t) : type == CH_VALUE_BOOL ? 1 : 8;
}

static size_t
next_capacity(const ch_append_column_t *column, ch_value_type_t type, size_t want)
{
    size_t grown = column->type == type ? (size_t)column->capacity * 4 : 0;
    size_t capacity = grown > want ? grown : want;
    capacity = (capacity + 3) & ~(size_t)3;
    return capacity > CH_APPEND_CHUNK_POINTS ? CH_APPEND_CHUNK_POINTS : capacity;
}

static void
chunk_link(ch_append_chunk_t *chunk, ch_append_chunk_t *previous)
{
    chunk->previous = previous;
    chunk->next = NULL;
    chunk->jump = chunk;
    chunk->depth = 0;
    if (previous == NULL)
        return;
    const ch_append_chunk_t *jump = previous->jump;
    bool equal_steps = previous->depth - jump->depth == jump->depth - jump->jump->depth;
    chunk->jump = previous->depth > 0 && equal_steps ? jump->jump : previous;
    chunk->depth = previous->depth + 1;
    previous->next = chunk;
}

void
ch_append_column_begin_chunk(ch_append_column_t *column, ch_arena_t *arena, uint32_t lsn,
                             ch_value_type_t type, size_t want)
{
    size_t capacity = next_capacity(column, type, want);
    size_t words = ch_append_start_words(capacity);
    size_t size = sizeof(ch_append_chunk_t) + words * sizeof(uint64_t) +
                  capacity * (sizeof(int64_t) + value_width(type));
    ch_append_chunk_t *chunk = ch_arena_alloc(arena, size, 8);
    column->base += column->fill;
    chunk->base = column->base;
    chunk->peak = atomic_load_explicit(&column->time_max, memory_order_relaxed);
    chunk->capacity = (uint16_t)capacity;
    chunk->type = (uint8_t)type;
    chunk->runs[0] = lsn;
    for (size_t i = 0; i < words; i++)
        atomic_store_explicit(&chunk->starts[i], i == 0, memory_order_relaxed);
    chunk_link(chunk, atomic_load_explicit(&column->last, memory_order_relaxed));
    column->times = ch_append_times(chunk);
    column->runs_next = &chunk->runs[1];
    column->fill = 0;
    column->capacity = (uint16_t)capacity;
    column->run_count = 1;
    column->lsn_last = lsn;
    column->type = (uint8_t)type;
    atomic_store_explicit(&column->last, chunk, memory_order_release);
}

/* Memory for the runs from number `from` (4 or 32) on. */
static uint32_t *
runs_piece(ch_append_chunk_t *chunk, ch_arena_t *arena, uint32_t from)
{
    size_t piece = from == CH_APPEND_RUNS_NEXT;
    uint32_t end = chunk->capacity;
    if (piece == 0 && end > CH_APPEND_RUNS_NEXT)
        end = CH_APPEND_RUNS_NEXT;
    chunk->runs_more[piece] = ch_arena_alloc(arena, (end - from) * sizeof(uint32_t), 8);
    return chunk->runs_more[piece];
}

void
ch_append_column_begin_run(ch_append_column_t *column, ch_arena_t *arena, uint32_t lsn)
{
    CH_DEBUG_ASSERT(lsn > column->lsn_last);
    ch_append_chunk_t *chunk = atomic_load_explicit(&column->last, memory_order_relaxed);
    uint32_t run = column->run_count++;
    if (run == CH_APPEND_RUNS_INLINE || run == CH_APPEND_RUNS_NEXT)
        column->runs_next = runs_piece(chunk, arena, run);
    *column->runs_next++ = lsn;
    _Atomic uint64_t *word = &chunk->starts[column->fill / 64];
    uint64_t bits = atomic_load_explicit(word, memory_order_relaxed);
    bits |= UINT64_C(1) << column->fill % 64;
    atomic_store_explicit(word, bits, memory_order_relaxed);
    column->lsn_last = lsn;
}

static void
order_worsen(ch_append_column_t *column, ch_append_order_t order)
{
    if (atomic_load_explicit(&column->order, memory_order_relaxed) < order)
        atomic_store_explicit(&column->order, (uint8_t)order, memory_order_relaxed);
}

void
ch_append_column_note_late(ch_append_column_t *column, int64_t time)
{
    if (atomic_load_explicit(&column->order, memory_order_relaxed) == CH_APPEND_EMPTY) {
        atomic_store_explicit(&column->time_min, time, memory_order_relaxed);
        atomic_store_explicit(&column->time_max, time, memory_order_relaxed);
        order_worsen(column, CH_APPEND_STRICT);
        return;
    }
    bool tie = time == atomic_load_explicit(&column->time_max, memory_order_relaxed);
    order_worsen(column, tie ? CH_APPEND_TIES : CH_APPEND_DISORDERED);
    if (time < atomic_load_explicit(&column->time_min, memory_order_relaxed))
        atomic_store_explicit(&column->time_min, time, memory_order_relaxed);
}

static void
note_times(ch_append_column_t *column, const int64_t *times, size_t count)
{
    unsigned late = 0;
    for (size_t i = 1; i < count; i++)
        late |= times[i] <= times[i - 1];
    ch_append_column_note_time(column, times[0]);
    if (!late) {
        if (count > 1 && times[count - 1] > atomic_load_explicit(&column->time_max,
                                                                 memory_order_relaxed))
            atomic_store_explicit(&column->time_max, times[count - 1],
                                  memory_order_relaxed);
        return;
    }
    for (size_t i = 1; i < count; i++)
        ch_append_column_note_time(column, times[i]);
}

static void
times_expand(const ch_times_t *times, uint32_t first, int64_t *to, size_t count)
{
    if (times->form == CH_TIMES_PACKED) {
        memcpy(to, times->packed + (size_t)first * 8, count * 8);
        return;
    }
    uint64_t step = (uint64_t)times->step;
    uint64_t start = (uint64_t)times->start + first * step;
    for (size_t i = 0; i < count; i++)
        to[i] = (int64_t)(start + i * step);
}

void
ch_append_column_bulk(ch_append_column_t *column, ch_arena_t *arena, uint32_t lsn,
                      const ch_times_t *times, const ch_values_t *values, uint32_t count)
{
    ch_value_type_t type = values->form == CH_VALUES_I64 ? CH_VALUE_INT : CH_VALUE_FLOAT;
    for (uint32_t done = 0; done < count;) {
        uint32_t left = count - done;
        if (column->fill == column->capacity || column->type != type)
            ch_append_column_begin_chunk(column, arena, lsn, type, left);
        else if (lsn != column->lsn_last)
            ch_append_column_begin_run(column, arena, lsn);
        uint32_t room = (uint32_t)column->capacity - column->fill;
        uint32_t taken = left < room ? left : room;
        int64_t *to = column->times + column->fill;
#ifdef CH_FAULT_MEM_PUBLISH_EARLY
        ch_append_column_publish(column, column->fill + taken);
#endif
        times_expand(times, done, to, taken);
        memcpy((uint64_t *)ch_append_column_values(column) + column->fill,
               values->packed + (size_t)done * 8, (size_t)taken * 8);
        note_times(column, to, taken);
        column->fill = (uint16_t)(column->fill + taken);
        ch_append_column_publish(column, column->fill);
        done += taken;
    }
}

void
ch_append_column_value(ch_append_column_t *column, ch_arena_t *arena, uint32_t lsn,
                       int64_t time, ch_value_t value)
{
    if (value.type == CH_VALUE_INT || value.type == CH_VALUE_FLOAT) {
        uint64_t word;
        memcpy(&word, &value.i64, sizeof word);
        ch_append_column_word(column, arena, lsn, time, value.type, word);
        return;
    }
    if (column->fill == column->capacity || column->type != value.type)
        ch_append_column_begin_chunk(column, arena, lsn, value.type, 1);
    else if (lsn != column->lsn_last)
        ch_append_column_begin_run(column, arena, lsn);
    column->times[column->fill] = time;
    if (value.type == CH_VALUE_BOOL)
        ((uint8_t *)ch_append_column_values(column))[column->fill] = value.boolean;
    else
        ((ch_bytes_t *)ch_append_column_values(column))[column->fill] =
            ch_arena_keep(arena, value.string);
    ch_append_column_note_time(column, time);
    ch_append_column_publish(column, ++column->fill);
}

/* ---- cuts ---- */

static uint64_t
starts_below(const ch_append_chunk_t *chunk, size_t word, uint32_t count)
{
    uint64_t bits = atomic_load_explicit(&chunk->starts[word], memory_order_relaxed);
    size_t left = count - word * 64;
    return left >= 64 ? bits : bits & ((UINT64_C(1) << left) - 1);
}

uint32_t
ch_append_runs_in(const ch_append_chunk_t *chunk, uint32_t count)
{
    uint32_t runs = 0;
    for (size_t word = 0; word * 64 < count; word++)
        runs += (uint32_t)__builtin_popcountll(starts_below(chunk, word, count));
    return runs;
}

uint32_t
ch_append_run_lsn(const ch_append_chunk_t *chunk, uint32_t run)
{
    if (run < CH_APPEND_RUNS_INLINE)
        return chunk->runs[run];
    if (run < CH_APPEND_RUNS_NEXT)
        return chunk->runs_more[0][run - CH_APPEND_RUNS_INLINE];
    return chunk->runs_more[1][run - CH_APPEND_RUNS_NEXT];
}

/* Where run number `run` begins. */
static uint32_t
run_start(const ch_append_chunk_t *chunk, uint32_t run, uint32_t count)
{
    for (size_t word = 0; word * 64 < count; word++) {
        uint64_t bits = starts_below(chunk, word, count);
        uint32_t here = (uint32_t)__builtin_popcountll(bits);
        if (run >= here) {
            run -= here;
            continue;
        }
        for (; run > 0; run--)
            bits &= bits - 1;
        return (uint32_t)(word * 64 + (unsigned)__builtin_ctzll(bits));
    }
    return count;
}

static uint32_t
chunk_cut(const ch_append_chunk_t *chunk, uint32_t count, uint32_t lsn)
{
    uint32_t high = ch_append_runs_in(chunk, count);
    if (ch_append_run_lsn(chunk, high - 1) <= lsn)
        return count;
    uint32_t low = 0; /* run 0 is <= lsn: the chunk was chosen by it */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (ch_append_run_lsn(chunk, middle) <= lsn)
            low = middle;
        else
            high = middle;
    }
    return run_start(chunk, high, count);
}

static bool
chunk_begins_after(const ch_append_chunk_t *chunk, uint32_t total, uint32_t lsn)
{
    return chunk->base >= total || chunk->runs[0] > lsn;
}

bool
ch_append_column_cut(const ch_append_column_t *column, uint32_t lsn,
                     ch_append_cut_t *cut_out)
{
#ifdef CH_FAULT_MEM_PUBLISH_EARLY
    lsn = UINT32_MAX;
#endif
    uint32_t total = atomic_load_explicit(&column->published, memory_order_acquire);
    if (total == 0)
        return false;
    const ch_append_chunk_t *newest =
        atomic_load_explicit(&column->last, memory_order_acquire);
    const ch_append_chunk_t *chunk = newest;
    while (chunk_begins_after(chunk, total, lsn)) {
        if (chunk->base == 0)
            return false;
        bool far = chunk_begins_after(chunk->jump, total, lsn);
        chunk = far ? chunk->jump : chunk->previous;
    }
    uint32_t end =
        chunk != newest && chunk->next->base < total ? chunk->next->base : total;
    *cut_out = (ch_append_cut_t){
        .chunk = chunk,
        .count = chunk_cut(chunk, end - chunk->base, lsn),
        .order = atomic_load_explicit(&column->order, memory_order_relaxed),
    };
    return true;
}
