/// One numbering of the series: the table of keys, the label index, what is remembered of each.
///
/// Shape    ids of one roster mean nothing to another. A memtable is applied under the ids of one, and so
///          are the tombstones of a version; each version tells by its active memtable which one it is.
/// Life     counted: versions hold it through their memtables, so a reader keeps the ids it has, whatever
///          the engine has gone over to since (series_sweep.h).
/// Threads  one writer adds; see the three parts for the rest. Counts are atomic.
#ifndef CH_DB_ROSTER_H
#define CH_DB_ROSTER_H

#include "db/series_state.h"
#include "index/label_index.h"
#include "mem/series_table.h"

typedef struct ch_roster {
    uint32_t references;
    uint64_t generation;
    uint64_t since_lsn; /* series that it took over were named first at or below this */
    ch_series_table_t *series;
    ch_label_index_t *index;
    ch_series_states_t *states;
} ch_roster_t;

/// An empty one, with one reference for the caller.
ch_roster_t *ch_roster_new(uint64_t generation);
void ch_roster_retain(ch_roster_t *roster);
void ch_roster_release(ch_roster_t **roster);
/// Any thread: is the caller's the only reference?
bool ch_roster_is_last(const ch_roster_t *roster);

/// Writer: register an id that its table has just made; lsn 0: it comes from a table.
void ch_roster_born(ch_roster_t *roster, uint32_t series, uint64_t lsn);

/// Writer: number a series of another roster as that one knows it; nothing but its newest point is
/// forgotten. Returns the id, an old one if it has one.
uint32_t ch_roster_adopt(ch_roster_t *roster, const ch_roster_t *from, uint32_t series);

/// Any thread: memory of all of it.
uint64_t ch_roster_bytes(const ch_roster_t *roster);

#endif
