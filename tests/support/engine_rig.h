/// An engine on a simulated disk beside its model: what crash and model tests are made of.
///
/// Threads  one; the engine runs inline (background_threads = 0), so a seed replays exactly.
#ifndef CH_TEST_SUPPORT_ENGINE_RIG_H
#define CH_TEST_SUPPORT_ENGINE_RIG_H

#include "support/engine_model.h"
#include "support/simfs.h"

enum { CH_RIG_SEQS_MAX = 1 << 16 };

typedef struct ch_rig {
    ch_simfs_t *simfs;
    ch_engine_t *engine;
    ch_engine_options_t options;
    ch_model_t *model;
    ch_rng_t rng;
    uint64_t seq;                      /* of producer "p", epoch 1: last one taken */
    uint64_t seq_lsn[CH_RIG_SEQS_MAX]; /* where each went */
} ch_rig_t;

/// A new disk and an open engine on it. Fails the test with the engine's words if it does not open.
void ch_rig_init(ch_rig_t *rig, uint64_t seed);
void ch_rig_release(ch_rig_t *rig);
void ch_rig_open(ch_rig_t *rig);

/// Append a random batch; engine and model must agree that it is taken.
void ch_rig_append(ch_rig_t *rig, bool identified);

/// Log a random delete; engine and model must agree on what it takes.
void ch_rig_delete(ch_rig_t *rig, bool identified);

/// Rounds of batches and a delete, all but the last one flushed: `rounds - 1` tables at least, and a log
/// that has to be replayed.
void ch_rig_fill(ch_rig_t *rig, unsigned rounds);

/// A number of ch_engine_stats; fails the test when there is none of that name.
double ch_rig_stat(ch_rig_t *rig, const char *name);

/// Power is lost; reopen; what was durable must be there, and answers match the model.
void ch_rig_crash(ch_rig_t *rig, ch_simfs_crash_t mode);

/// Close in order and reopen: nothing may be lost or replayed.
void ch_rig_restart(ch_rig_t *rig);

/// After the engine was opened on what a crash left: at least `durable` records, then the model is
/// cut to what is there and compared whole.
void ch_rig_check(ch_rig_t *rig, uint64_t durable);

#endif
