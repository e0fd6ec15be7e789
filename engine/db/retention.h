/// How long data stays: which cut follows from the clock, the newest data and the tables' sizes.
///
/// Core      pure: times and tables come in, a reference time and cuts go out. The engine logs the cuts
///           (WAL type 4) as tombstones over (-inf, cut), and drops tables that one covers whole.
/// Clock     the wall clock alone decides nothing. It is believed as far as stored data confirm it or as
///           a clock that never jumps has gone on; and where data confirm a jump (the same wrong clock
///           stamped them) the reference still moves by one step a run, and says so in the log.
/// Threads   the writer's, but for ch_retention_drop: whoever removes tables.
#ifndef CH_DB_RETENTION_H
#define CH_DB_RETENTION_H

#include "ch/engine.h"

struct ch_engine;

#define CH_RETENTION_RUN_NS INT64_C(60000000000) /* between two runs */
#define CH_RETENTION_STEP_NS                                                             \
    INT64_C(3600000000000) /* a jump is followed this far a run */

typedef struct ch_retention_clock {
    bool known;
    int64_t reference;    /* ages are counted from here; never goes back */
    int64_t monotonic_ns; /* when that was */
} ch_retention_clock_t;

/// Move the reference. `newest`: greatest time in tables, INT64_MIN without tables (then nothing is
/// known yet). True: clock and data are further ahead than a step; they are followed step by step.
bool ch_retention_advance(ch_retention_clock_t *clock, int64_t wall_ns,
                          int64_t monotonic_ns, int64_t newest);

/// reference - age, not below INT64_MIN; INT64_MIN (nothing goes) for age 0.
int64_t ch_retention_cut(int64_t reference, int64_t age_ns);

/// Between two cuts of a rule at least so much, lest each run logs one: age / 64, 1 min to 1 h.
int64_t ch_retention_grain(int64_t age_ns);

typedef struct ch_retention_table {
    uint64_t bytes;
    int64_t time_max;
} ch_retention_table_t;

/// The cut that takes whole tables, oldest first, until the rest is within `bytes_max`; in one run no
/// more than a sixteenth of all or one table, never the newest. INT64_MIN: none. Sorts `tables`.
int64_t ch_retention_size_cut(ch_retention_table_t *tables, size_t count,
                              uint64_t bytes_max);

typedef struct ch_retention {
    ch_retention_options_t options; /* texts owned */
    ch_retention_clock_t clock;
    int64_t next_run_ns; /* monotonic */
    int64_t *cuts;       /* last one logged, by rule, then of the rest, then by size */
    bool warned;
    uint64_t
        dropped_lsn; /* tables were held against deletes up to here; of who removes tables */
} ch_retention_t;

/// Copies the options. Errors: CH_ERR_PARSE (a selector), CH_ERR_INVALID.
ch_status_t ch_retention_init(ch_retention_t *retention,
                              const ch_retention_options_t *options) CH_MUST_CHECK;
void ch_retention_release(ch_retention_t *retention);

/// Remove tables of which a durable delete leaves nothing. CH_NOT_FOUND: none.
ch_status_t ch_retention_drop(struct ch_engine *engine) CH_MUST_CHECK;

#endif
