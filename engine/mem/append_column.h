/// The unflushed points of one series: a list of typed, append-only chunks.
///
/// Shape    chunk  header, run starts (a bit a point), times[capacity], values[capacity].
///          A run is a stretch of points under one lsn: `runs` keeps one u32 lsn offset for each,
///          the bit of its first point says where it begins. A column of 100 points costs 4 bytes
///          and a bit a point for this; points that each have their own lsn cost 4 bytes each.
///          Points stand in order of arrival, so by ascending lsn: a cut by lsn is a prefix.
///          `jump` leads to some older chunk so that a search backwards takes O(log chunks).
/// Threads  one writer; readers take a cut first and then look only inside it. The writer fills
///          slots, runs and links, then releases `published`; a chunk is linked by a release of
///          `last` when its header is complete. Nothing moves or is freed under a reader.
/// Source   jump pointers: Myers, "An applicative random-access stack", IPL 17 (1983).
#ifndef CH_MEM_APPEND_COLUMN_H
#define CH_MEM_APPEND_COLUMN_H

#include "ch/batch.h"
#include "ch/erasure.h"
#include "mem/arena.h"

enum {
    CH_APPEND_CHUNK_POINTS = 256, /* largest capacity */
    CH_APPEND_RUNS_INLINE = 4,
    CH_APPEND_RUNS_NEXT = 32, /* runs before the last piece of run memory */
};

typedef struct ch_append_chunk ch_append_chunk_t;
struct ch_append_chunk {
    ch_append_chunk_t *previous;
    ch_append_chunk_t *jump;
    ch_append_chunk_t
        *next; /* readers: only of chunks older than the `last` they loaded */
    uint32_t *runs_more[2]; /* runs [4, 32) and [32, 256), made when needed */
    int64_t peak;           /* greatest time of all points in older chunks */
    uint32_t base;          /* points in older chunks */
    uint32_t depth;
    uint32_t runs[CH_APPEND_RUNS_INLINE];
    uint16_t capacity;
    uint8_t type;              /* ch_value_type_t */
    _Atomic uint64_t starts[]; /* then times, then values */
};

typedef enum {
    CH_APPEND_EMPTY,
    CH_APPEND_STRICT,     /* times ascend */
    CH_APPEND_TIES,       /* times never descend */
    CH_APPEND_DISORDERED, /* anything */
} ch_append_order_t;

/// One cache line; `published`, `last`, the times and `order` are for readers too.
typedef struct ch_append_column {
    _Atomic uint32_t published; /* points that readers may see */
    uint32_t lsn_last;          /* of the run being appended to */
    ch_append_chunk_t *_Atomic last;
    _Atomic int64_t time_min;
    _Atomic int64_t time_max;
    int64_t *times; /* of the last chunk, and `capacity` words behind them the values */
    uint32_t *runs_next; /* where the lsn of its next run goes */
    uint32_t base;       /* of the last chunk */
    uint16_t fill, capacity, run_count;
    uint8_t type;
    _Atomic uint8_t order;
} ch_append_column_t;

_Static_assert(sizeof(ch_append_column_t) <= 64, "a series is one cache line");

/// A prefix of a column: `count` (> 0) points of `chunk` and all of the older chunks.
typedef struct ch_append_cut {
    const ch_append_chunk_t *chunk;
    uint32_t count;
    ch_append_order_t order;
} ch_append_cut_t;

static inline size_t
ch_append_start_words(size_t capacity)
{
    return (capacity + 63) / 64;
}

static inline int64_t *
ch_append_times(const ch_append_chunk_t *chunk)
{
    return (int64_t *)(uintptr_t)(chunk->starts + ch_append_start_words(chunk->capacity));
}

static inline void *
ch_append_values(const ch_append_chunk_t *chunk)
{
    return ch_append_times(chunk) + chunk->capacity;
}

/// Writer: a new last chunk with room for `want` points (at most 256), or as growth says. `lsn`
/// here and below is the offset from the memtable's lsn_base.
void ch_append_column_begin_chunk(ch_append_column_t *column, ch_arena_t *arena,
                                  uint32_t lsn, ch_value_type_t type, size_t want);
/// Writer: the next point begins a new run.
void ch_append_column_begin_run(ch_append_column_t *column, ch_arena_t *arena,
                                uint32_t lsn);
/// Writer: a time that is not above all earlier ones.
void ch_append_column_note_late(ch_append_column_t *column, int64_t time);

/// Writer: append rows [first, first + count) of packed ints or floats.
void ch_append_column_bulk(ch_append_column_t *column, ch_arena_t *arena, uint32_t lsn,
                           const ch_times_t *times, const ch_values_t *values,
                           uint32_t count);

/// Writer: append one value; strings are copied into the arena. Not for CH_VALUE_NONE.
void ch_append_column_value(ch_append_column_t *column, ch_arena_t *arena, uint32_t lsn,
                            int64_t time, ch_value_t value);

static inline void *
ch_append_column_values(const ch_append_column_t *column)
{
    return column->times + column->capacity;
}

/// Writer: ask for the memory that the next point will touch.
static inline void
ch_append_column_prefetch(const ch_append_column_t *column)
{
    const ch_append_chunk_t *last =
        atomic_load_explicit(&column->last, memory_order_relaxed);
    __builtin_prefetch((const uint64_t *)last->starts + column->fill / 64, 1);
    __builtin_prefetch(column->times + column->fill, 1);
    __builtin_prefetch((const uint64_t *)ch_append_column_values(column) + column->fill,
                       1);
    __builtin_prefetch(column->runs_next, 1);
}

static inline void
ch_append_column_publish(ch_append_column_t *column, uint32_t fill)
{
    atomic_store_explicit(&column->published, column->base + fill, memory_order_release);
}

static inline void
ch_append_column_note_time(ch_append_column_t *column, int64_t time)
{
    bool ordered =
        atomic_load_explicit(&column->order, memory_order_relaxed) != CH_APPEND_EMPTY;
    if (ordered && time > atomic_load_explicit(&column->time_max, memory_order_relaxed))
        atomic_store_explicit(&column->time_max, time, memory_order_relaxed);
    else
        ch_append_column_note_late(column, time);
}

/// Writer: make room for one point of 8 bytes and append it.
static inline void
ch_append_column_word(ch_append_column_t *column, ch_arena_t *arena, uint32_t lsn,
                      int64_t time, ch_value_type_t type, uint64_t word)
{
    if (column->fill == column->capacity || column->type != type)
        ch_append_column_begin_chunk(column, arena, lsn, type, 1);
    else if (lsn != column->lsn_last)
        ch_append_column_begin_run(column, arena, lsn);
#ifdef CH_FAULT_MEM_PUBLISH_EARLY
    ch_append_column_publish(column, column->fill + 1u);
#endif
    column->times[column->fill] = time;
    ((uint64_t *)ch_append_column_values(column))[column->fill] = word;
    ch_append_column_note_time(column, time);
    ch_append_column_publish(column, ++column->fill);
}

/// Reader: the points with lsn <= `lsn`; false when there are none.
bool ch_append_column_cut(const ch_append_column_t *column, uint32_t lsn,
                          ch_append_cut_t *cut_out);

/// Reader: the lsn of run number `run` of a chunk that has so many.
uint32_t ch_append_run_lsn(const ch_append_chunk_t *chunk, uint32_t run);
/// Reader: runs that begin among the chunk's first `count` points.
uint32_t ch_append_runs_in(const ch_append_chunk_t *chunk, uint32_t count);

static inline bool
ch_append_begins_run(const ch_append_chunk_t *chunk, uint32_t at)
{
    uint64_t word = atomic_load_explicit(&chunk->starts[at / 64], memory_order_relaxed);
    return word >> (at % 64) & 1;
}

/// Deletes that concern a column; `lsn_base` is the memtable's.
typedef struct ch_append_erasures {
    const ch_erasure_t *items;
    size_t count;
    uint64_t lsn_base;
} ch_append_erasures_t;

/// Reader: append the cut's points in [start, end] to `points`, sorted by time, of equal times the
/// last one only. `erasures` NULL: none. Then, of a cut in strict order, no more than `points_max` and a
/// chunk: false when it stopped there, and points may follow.
bool ch_append_cut_read(const ch_append_cut_t *cut, int64_t start, int64_t end,
                        const ch_append_erasures_t *erasures, size_t points_max,
                        ch_points_t *points);

/// Reader: the newest point at or before `time`; strings stay in the arena.
ch_status_t ch_append_cut_newest(const ch_append_cut_t *cut, int64_t time,
                                 const ch_append_erasures_t *erasures, int64_t *time_out,
                                 ch_value_t *value_out);

#endif
