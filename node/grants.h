/// What each key may do, as one actor sees it: the table of now, and per key what it has used.
///
/// Fresh    `find` looks at the table's generation first, so a key that was taken out is not found with
///          its next message, although its connection is still there.
/// Threads  each actor has its own.
#ifndef CH_GRANTS_H
#define CH_GRANTS_H

#include "ch/batch.h"
#include "ch/selector.h"
#include "keys.h"

typedef struct ch_grant {
    const ch_key_t *key;
    ch_selector_t *series; /* of key->series; made at its first use */
    /* Of key->rate: points that may still come, below 0 when the last batch was larger; and when that
     * was so. A batch passes while there is one left, so that any batch passes at last. */
    double points;
    int64_t points_ns;
} ch_grant_t;

typedef struct ch_grants ch_grants_t;

/// `keys` outlives it. NULL: keys are off, and so is the result.
ch_grants_t *ch_grants_new(ch_keys_t *keys);
void ch_grants_destroy(ch_grants_t **grants);

/// Of the key with this text (NULL: none was shown); NULL when the table does not have it. Valid until the
/// next call.
ch_grant_t *ch_grants_find(ch_grants_t *grants, const char *text);

/// May a producer of this id push, or ask for acks, with this key?
bool ch_grant_producer(const ch_grant_t *grant, const char *producer);

/// CH_OK: all series of the batch are the key's. CH_ERR_FORBIDDEN: the text names one that is not.
ch_status_t ch_grant_series(ch_grant_t *grant, const ch_batch_t *batch) CH_MUST_CHECK;

/// May `points` come now? False: the rate is used up for the moment, and nothing was taken of it.
bool ch_grant_rate(ch_grant_t *grant, uint32_t points, int64_t now_ns);

#endif
