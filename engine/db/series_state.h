/// What the engine remembers of each series beside its key: the lsn that named it first, and its
/// newest flushed point.
///
/// Newest   covers tables only (memtables are asked directly). *Unknown* after a restart; the first
///          ask refills it from the tables. A series born after the start is known to have none.
/// Threads  a mutex inside; any thread.
#ifndef CH_DB_SERIES_STATE_H
#define CH_DB_SERIES_STATE_H

#include "ch/value.h"
#include "ch/status.h"

typedef struct ch_series_states ch_series_states_t;

typedef enum { CH_NEWEST_UNKNOWN, CH_NEWEST_NONE, CH_NEWEST_KNOWN } ch_newest_t;

ch_series_states_t *ch_series_states_new(void);
void ch_series_states_destroy(ch_series_states_t **states);

/// Series ids come densely. lsn 0: from a table, newest unknown; else none so far.
void ch_series_states_add(ch_series_states_t *states, uint32_t series, uint64_t born_lsn);
/// UINT64_MAX: not added yet.
uint64_t ch_series_states_born(ch_series_states_t *states, uint32_t series);

/// The newest point of the tables of a version that holds everything up to `flushed_lsn`. What a later
/// flush has changed since is unknown to it: a view must never mix the two.
ch_newest_t ch_series_states_newest(ch_series_states_t *states, uint32_t series,
                                    uint64_t flushed_lsn, int64_t *time_out,
                                    ch_value_t *value_out);

/// The flush of `flushed_lsn` begins to publish its newest points (before its version is installed:
/// a view of that version must find all of them).
void ch_series_states_begin_flush(ch_series_states_t *states, uint64_t flushed_lsn);

/// This flush's last point of a series: keep it when it is newer or as new. Strings are not kept (the
/// series becomes unknown). Leaves unknown alone.
void ch_series_states_flushed(ch_series_states_t *states, uint32_t series, int64_t time,
                              ch_value_t value);

/// What the tables of a version said; forgotten unless that version is of the last flush begun.
void ch_series_states_refill(ch_series_states_t *states, uint32_t series,
                             uint64_t flushed_lsn, ch_newest_t newest, int64_t time,
                             ch_value_t value);

#endif
