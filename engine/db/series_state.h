/// What the engine remembers of each series beside its key: the lsn that named it first, and its
/// newest flushed point.
///
/// Newest   covers tables only (memtables are asked directly). *Unknown* after a restart or a delete;
///          the first ask refills it from the tables. A series born after the start is known to have
///          none. Each is as of a position, that of a flush or of a delete: a view that lies before it
///          does not look at it. One that lies behind may, whatever version it pinned: what later
///          flushes brought is in its memtables or in here, what later deletes took made it unknown.
/// Touched  the series may have no points left (a delete named it, or had done so before the log was
///          replayed): lists look closer.
/// Threads  a mutex inside; any thread.
#ifndef CH_DB_SERIES_STATE_H
#define CH_DB_SERIES_STATE_H

#include <roaring/roaring.h>

#include "ch/erasure.h"
#include "ch/status.h"

typedef struct ch_series_states ch_series_states_t;

typedef enum { CH_NEWEST_UNKNOWN, CH_NEWEST_NONE, CH_NEWEST_KNOWN } ch_newest_t;

ch_series_states_t *ch_series_states_new(void);
void ch_series_states_destroy(ch_series_states_t **states);

size_t ch_series_states_bytes(ch_series_states_t *states);

/// Series ids come densely. lsn 0: from a table, newest unknown; else none so far.
void ch_series_states_add(ch_series_states_t *states, uint32_t series, uint64_t born_lsn);
/// Series 0 to count - 1, all from tables, before any other.
void ch_series_states_add_many(ch_series_states_t *states, uint32_t count);
/// The next one, as another numbering knew it: where it was born, whether touched. Its newest
/// point is unknown.
void ch_series_states_adopt(ch_series_states_t *states, uint32_t series,
                            ch_series_states_t *from, uint32_t from_series);
/// Flushes and deletes begun are those of `from`.
void ch_series_states_continue(ch_series_states_t *states, ch_series_states_t *from);
/// How many are touched.
uint32_t ch_series_states_touched_count(ch_series_states_t *states);
/// UINT64_MAX: not added yet.
uint64_t ch_series_states_born(ch_series_states_t *states, uint32_t series);

void ch_series_states_touch(ch_series_states_t *states, uint32_t series);
bool ch_series_states_touched(ch_series_states_t *states, uint32_t series);
/// All of them below `count`; the caller frees it.
roaring_bitmap_t *ch_series_states_touched_set(ch_series_states_t *states,
                                               uint32_t count);

/// The newest flushed point for a view as of `view_lsn`. `*lsn_out`: deletes up to here are minded.
ch_newest_t ch_series_states_newest(ch_series_states_t *states, uint32_t series,
                                    uint64_t view_lsn, int64_t *time_out,
                                    ch_value_t *value_out, uint64_t *lsn_out);

/// The flush of `flushed_lsn` begins to publish its newest points (before its version is installed:
/// a view of that version must find all of them).
void ch_series_states_begin_flush(ch_series_states_t *states, uint64_t flushed_lsn);

/// This flush's last point of a series: keep it when it is newer or as new. Strings are not kept (the
/// series becomes unknown). Leaves unknown alone.
void ch_series_states_flushed(ch_series_states_t *states, uint32_t series, int64_t time,
                              ch_value_t value);

/// A delete at `lsn` begins: what views before it say is not refilled any more.
void ch_series_states_begin_delete(ch_series_states_t *states, uint64_t lsn);
/// It concerns this series: mark it touched; its newest becomes unknown when the erasure covers it and
/// is not minded yet.
void ch_series_states_erase(ch_series_states_t *states, uint32_t series,
                            const ch_erasure_t *erasure);

/// What the tables of a version, without what deletes take, said to a view as of `view_lsn`; forgotten
/// unless the version is of the last flush begun and the view behind the last delete begun.
void ch_series_states_refill(ch_series_states_t *states, uint32_t series,
                             uint64_t flushed_lsn, uint64_t view_lsn, ch_newest_t newest,
                             int64_t time, ch_value_t value);

#endif
