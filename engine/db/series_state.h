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

ch_newest_t ch_series_states_newest(ch_series_states_t *states, uint32_t series,
                                    int64_t *time_out, ch_value_t *value_out);

/// A table with this point as the series' last was installed: keep it when it is newer or as new.
/// Strings are not kept (the series becomes unknown). Leaves unknown alone.
void ch_series_states_flushed(ch_series_states_t *states, uint32_t series, int64_t time,
                              ch_value_t value);

/// What the tables said, unless a flush went by since `generation` was read.
uint64_t ch_series_states_generation(ch_series_states_t *states);
void ch_series_states_refill(ch_series_states_t *states, uint32_t series,
                             uint64_t generation, ch_newest_t newest, int64_t time,
                             ch_value_t value);
/// A flush is about to be installed.
void ch_series_states_next_generation(ch_series_states_t *states);

#endif
