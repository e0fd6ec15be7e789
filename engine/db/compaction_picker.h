/// What to merge next: a pure function of the live tables, the newest data and a policy.
///
/// Levels    0 holds flushes as they come, whatever times they span. A table of level 1, 2 or 3 lies in
///           one window of that level (2 h, 1 d, 1 w); windows are aligned to the epoch and nested. How
///           large a window is follows from the age of its data against the newest data there is,
///           never from a clock.
/// Small     a merge of little data to the last level leaves its windows together: years of a few
///           points a day would be a table a week, each mostly its own head. A window of the last
///           level is then as long as such tables reach; once more lies in it, it falls apart again.
/// Runs      the tables of a window that have the same lsn range are one *run*: what one merge
///           wrote, cut by key where it grew too large. A window may hold several runs, one
///           above the other (docs/adr/0004-runs-in-a-window.md).
/// Invariant of two tables that overlap in time, one is wholly older than the other by lsn, or they
///           are of one run and share no series. A merge may take only sets that keep it so: whatever
///           is left out and overlaps is wholly older or wholly newer than the set.
/// Threads   pure.
#ifndef CH_DB_COMPACTION_PICKER_H
#define CH_DB_COMPACTION_PICKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CH_COMPACTION_LEVELS = 4, CH_COMPACTION_LEVEL_LAST = 3 };

typedef struct ch_compaction_table {
    uint64_t file_number;
    uint64_t bytes;
    uint64_t lsn_min, lsn_max;
    int64_t time_min, time_max; /* both inclusive */
    uint32_t level;
    bool lacks_deletes; /* some that may concern it are not applied to it yet */
    bool excluded;      /* could not be read: stays where it is */
} ch_compaction_table_t;

typedef struct ch_compaction_policy {
    int64_t
        window_ns[CH_COMPACTION_LEVELS]; /* by level, [0] unused; each divides the next */
    uint32_t flushes;       /* level 0 is merged when it has so many tables ... */
    uint64_t flushed_bytes; /* ... or bytes */
    uint32_t flushes_max;   /* taken by one merge */
    uint32_t runs_max;      /* in a window, then they are merged whatever their sizes */
    bool apply_deletes;     /* tables that lack some are written anew */
    uint64_t joined_bytes;  /* inputs of the last level up to this are not cut by time */
    uint64_t
        requested_lsn; /* what begins at or below it goes to the last level; 0: none */
} ch_compaction_policy_t;

/// The defaults: 2 h, 1 d, 1 w; 4 flushes or 256 MiB; 8 runs; 1 MiB left together.
ch_compaction_policy_t ch_compaction_policy_default(void);

typedef struct ch_compaction_window {
    uint32_t level;
    int64_t first, last; /* both inclusive */
} ch_compaction_window_t;

/// The window of a level that holds `time`.
ch_compaction_window_t ch_compaction_window(const ch_compaction_policy_t *policy,
                                            uint32_t level, int64_t time);

/// The level that data of `time` belongs to when the newest data is of `newest`: a day's data goes to
/// windows of a day once all of it is older than a day, likewise a week's.
uint32_t ch_compaction_level_of(const ch_compaction_policy_t *policy, int64_t newest,
                                int64_t time);

/// What is due, and of that the merge to do first.
typedef struct ch_compaction_plan {
    uint32_t *inputs; /* places in `tables`, oldest first; owned */
    size_t input_count;
    uint32_t level;      /* of what it writes; 0: by the age of each window */
    int64_t newest;      /* data, at the time of the choice */
    uint64_t bytes;      /* of the inputs */
    uint64_t debt;       /* bytes of all merges due */
    bool requested_left; /* some of them because of requested_lsn */
} ch_compaction_plan_t;

/// Choose a merge. False: nothing is due, and the plan holds nothing to release.
bool ch_compaction_pick(const ch_compaction_policy_t *policy,
                        const ch_compaction_table_t *tables, size_t count,
                        ch_compaction_plan_t *plan_out);

/// The window that the merge of a plan writes data of `time` into.
ch_compaction_window_t ch_compaction_plan_window(const ch_compaction_policy_t *policy,
                                                 const ch_compaction_plan_t *plan,
                                                 int64_t time);
void ch_compaction_plan_release(ch_compaction_plan_t *plan);

#endif
