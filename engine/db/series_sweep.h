/// Series whose points are all gone leave: the engine goes over to a new roster without them.
///
/// When     tables have lost as many series (dropped, or taken by deletes) as would make it worth while.
/// How      the keys of all tables are looked at; when enough series are in none of them, those that are
///          make a new roster, in the background. The writer goes over to it where it begins a memtable.
/// Cost     the background reads keys and numbers series, at low priority; the writer adds what came last
///          (SWEEP_LAST_MOST at most), else the background takes another turn. Two rosters are there for a
///          time: without room for that in the memory limit nothing is swept.
/// Threads  SW, the sweeper (with background_threads = 0 the writer plays it). `mutex` guards what is
///          marked [s]; it comes before the engine's `mutex`. The new roster and the map belong to SW,
///          while `stage` is READY to the writer.
#ifndef CH_DB_SERIES_SWEEP_H
#define CH_DB_SERIES_SWEEP_H

#include <pthread.h>

#include "db/roster.h"
#include "db/tombstone.h"

struct ch_engine;

typedef enum {
    CH_SWEEP_IDLE,
    CH_SWEEP_BUILDING,
    CH_SWEEP_READY, /* the writer goes over when it can */
    CH_SWEEP_AGAIN, /* too much came meanwhile: SW adds it */
    CH_SWEEP_DONE,
} ch_sweep_stage_t;

typedef struct ch_sweep_ids {
    uint32_t *items;
    size_t count, capacity;
} ch_sweep_ids_t;

typedef struct ch_sweep {
    pthread_mutex_t mutex;
    pthread_cond_t wanted;  /* SW waits */
    ch_sweep_stage_t stage; /* [s]; also read without it */
    bool stop;              /* atomic */
    uint64_t gone;          /* [s] series that tables have lost since the last look */
    int64_t next_ns;        /* [s] no look before */
    ch_roster_t *retired;   /* [s] the one before; freed when nobody holds it any more */

    /* Of the sweep at hand. */
    ch_roster_t *from;        /* [s] NULL: there is none */
    uint64_t *alive;          /* [s] bits; by ids of `from` below `count` */
    uint32_t count;           /* [s] series of `from` when it began */
    ch_sweep_ids_t came_back; /* [s] were not alive and have points again */
    ch_tombstone_t **deletes; /* [s] logged since it began */
    size_t delete_count, delete_capacity;
    ch_roster_t *next; /* [s] while it is built */
    uint32_t *map;     /* ids of `from` to those of `next`, or CH_SERIES_NONE */
    uint32_t map_count;
    ch_tombstones_t *deletes_from,
        *deletes_next; /* a version's, and the same for `next` */

    uint64_t sweeps, dropped; /* atomic; of ch_engine_stats */
} ch_sweep_t;

void ch_sweep_init(struct ch_engine *engine);
/// The engine is open; what deletes had touched by then may have gone.
void ch_sweep_start(struct ch_engine *engine);
/// Threads are stopped.
void ch_sweep_release(struct ch_engine *engine);

/// Any thread: so many series of tables went. One may be counted for each table that had it.
void ch_sweep_note_gone(struct ch_engine *engine, uint64_t series);
/// Flusher, before the memtable's table is installed: it has these series, by their present ids.
void ch_sweep_note_flush(struct ch_engine *engine, const uint32_t *series, size_t count);
/// Writer: a delete was logged, and its series are touched.
void ch_sweep_note_delete(struct ch_engine *engine, ch_tombstone_t *tombstone);

/// Writer: go over to a roster that is ready. False: there is none, or not now.
bool ch_sweep_switch(struct ch_engine *engine);

/// Look, and sweep if it is due (background_threads = 0). CH_NOT_FOUND: nothing to do.
ch_status_t ch_sweep_step(struct ch_engine *engine);
/// The sweeper's thread; its argument is the engine.
void *ch_sweep_run(void *context);
void ch_sweep_stop(struct ch_engine *engine);

/// Memory of rosters beside the present one.
uint64_t ch_sweep_bytes(struct ch_engine *engine);

#endif
