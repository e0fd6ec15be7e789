/// A model of the engine: every point ever appended, in arrays; and random batches that feed both.
///
/// Universe   NAMES x LABELS series, times 0 .. TIMES-1 s: small, so that points collide.
/// Threads    one.
#ifndef CH_TEST_SUPPORT_ENGINE_MODEL_H
#define CH_TEST_SUPPORT_ENGINE_MODEL_H

#include "ch/engine.h"
#include "ch/rng.h"

enum {
    CH_MODEL_NAMES = 6,
    CH_MODEL_LABELS = 5,
    CH_MODEL_TIMES = 400,
    CH_MODEL_SECONDS = CH_MODEL_TIMES * 4 /* none is later */
};

typedef struct ch_model ch_model_t;

ch_model_t *ch_model_new(void);
/// The points only, not the batch at hand.
ch_model_t *ch_model_copy(const ch_model_t *model);
void ch_model_destroy(ch_model_t **model);

/// Make a random batch (valid until the next call): all block kinds, value types, orders. With
/// `identity` NULL it is fire-and-forget.
const ch_batch_t *ch_model_batch(ch_model_t *model, ch_rng_t *rng,
                                 const ch_identity_t *identity);

/// The batch last made was taken under `lsn`.
void ch_model_taken(ch_model_t *model, uint64_t lsn);

/// Make a random delete (valid until the next call): of one name, one host, a regex, everything or
/// nothing; of some times or all. With `identity` NULL it is anonymous.
const ch_delete_t *ch_model_delete(ch_model_t *model, ch_rng_t *rng,
                                   const ch_identity_t *identity);

/// The delete last made was logged under `lsn`.
void ch_model_deleted(ch_model_t *model, uint64_t lsn);

/// Retention took everything before `cut`, under `lsn`.
void ch_model_retained(ch_model_t *model, int64_t cut, uint64_t lsn);

/// Forget what no view and no crash will show again: points that were overwritten or deleted up to `lsn`,
/// which is durable.
void ch_model_prune(ch_model_t *model, uint64_t lsn);

/// What the delete last made takes of the records up to `lsn`: points, and series that lose some.
void ch_model_count(const ch_model_t *model, uint64_t lsn, uint64_t *points_out,
                    uint64_t *series_out);

/// Records above `lsn` never happened (a crash took them).
void ch_model_cut(ch_model_t *model, uint64_t lsn);

/// Compare reads, gets, selects, label lists and aggregates of the engine with the model as of the view's
/// lsn, for a random selection of questions; fails the test with words on a difference.
void ch_model_compare(ch_model_t *model, ch_engine_t *engine, ch_rng_t *rng,
                      bool everything);

/// Every series read whole and its newest point got: false when any answer differs from the model;
/// an error (CH_ERR_CORRUPT, CH_ERR_IO) is no difference.
bool ch_model_agrees_or_errs(ch_model_t *model, ch_engine_t *engine);

#endif
