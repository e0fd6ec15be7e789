/* ingest_core.c - the life of a frame, from bytes to the engine's answer.
 *
 * Whatever a producer sends is counted once by its outcome. What it sent wrong is logged, at most one
 * line per kind and LOG_INTERVAL, with the number of those held back: foreign bytes decide how often
 * these happen.
 */
#include "ingest_core.h"

#include <inttypes.h>
#include "ch/alloc.h"
#include "ch/batch_decoder.h"
#include "limiter.h"
#include "refusal.h"

#define LOG_INTERVAL_NS INT64_C(5000000000)

struct ch_ingest_core {
    ch_ingest_world_t world;
    ch_node_stats_t *stats;
    const ch_log_t *log;
    ch_audit_t *audit;
    ch_batch_decoder_t *decoder;
    ch_limiter_t undecodable, multipart, rejected, gap, refused;
};

ch_ingest_core_t *
ch_ingest_core_new(const ch_limits_t *limits, const ch_ingest_world_t *world,
                   ch_node_stats_t *stats, const ch_log_t *log, ch_audit_t *audit)
{
    ch_ingest_core_t *core = ch_calloc(1, sizeof *core);
    core->world = *world;
    core->stats = stats;
    core->log = log;
    core->audit = audit;
    core->decoder = ch_batch_decoder_new(limits);
    return core;
}

void
ch_ingest_core_destroy(ch_ingest_core_t **core_in)
{
    ch_ingest_core_t *core = *core_in;
    if (!core)
        return;
    ch_batch_decoder_destroy(&core->decoder);
    ch_free(core);
    *core_in = NULL;
}

static void
note_undecodable(ch_ingest_core_t *core, ch_bytes_t frame, int64_t now_ns)
{
    uint64_t held = 0;
    ch_count(core->stats, CH_COUNT_INGEST_UNDECODABLE, 1);
    if (!ch_limiter_pass(&core->undecodable, now_ns, LOG_INTERVAL_NS, &held))
        return;
    char why[256];
    ch_log(core->log, CH_LOG_WARN, "ingest", "undecodable",
           "bytes=%zu reason=%s more=%" PRIu64, frame.size,
           ch_log_quote(ch_fail_text(), strlen(ch_fail_text()), why, sizeof why), held);
}

static ch_count_t
count_of(ch_status_t code)
{
    if (code == CH_ERR_FORBIDDEN)
        return CH_COUNT_INGEST_REJECTED_FORBIDDEN;
    return code == CH_ERR_LIMIT ? CH_COUNT_INGEST_REJECTED_LIMIT
                                : CH_COUNT_INGEST_REJECTED_INVALID;
}

static void
note_rejected(ch_ingest_core_t *core, const ch_identity_t *identity,
              const ch_reject_t *reject, int64_t now_ns)
{
    uint64_t held = 0;
    ch_count(core->stats, count_of(reject->code), 1);
    if (!ch_limiter_pass(&core->rejected, now_ns, LOG_INTERVAL_NS, &held))
        return;
    char why[256];
    ch_log_quote(reject->message, strnlen(reject->message, sizeof reject->message), why,
                 sizeof why);
    ch_log(core->log, CH_LOG_WARN, "ingest", "rejected",
           "producer=%s seq=%" PRIu64 " index=%" PRId64
           " code=%s reason=%s more=%" PRIu64,
           identity->present ? identity->producer : "-",
           identity->present ? identity->seq : 0, reject->index,
           ch_status_name(reject->code), why, held);
}

static void
note_gap(ch_ingest_core_t *core, const ch_identity_t *identity, int64_t now_ns)
{
    uint64_t held = 0;
    ch_count(core->stats, CH_COUNT_INGEST_GAPS, 1);
    if (ch_limiter_pass(&core->gap, now_ns, LOG_INTERVAL_NS, &held))
        ch_log(core->log, CH_LOG_INFO, "ingest", "gap",
               "producer=%s epoch=%" PRIu64 " seq=%" PRIu64 " more=%" PRIu64,
               identity->producer, identity->epoch, identity->seq, held);
}

static void
count_taken(ch_ingest_core_t *core, const ch_batch_t *batch)
{
    ch_count(core->stats, CH_COUNT_INGEST_BATCHES, 1);
    ch_count(core->stats, CH_COUNT_INGEST_POINTS, batch->points);
    ch_histogram_record(&core->stats->batch_points, batch->points);
}

static void
note_outcome(ch_ingest_core_t *core, const ch_batch_t *batch, const ch_reject_t *refused,
             const ch_append_result_t *result, int64_t now_ns)
{
    const ch_identity_t *identity = &batch->identity;
    switch (result->state) {
    case CH_APPEND_TAKEN:
        count_taken(core, batch);
        break;
    case CH_APPEND_REJECTED:
        note_rejected(core, identity, refused ? refused : &result->reject, now_ns);
        break;
    case CH_APPEND_DUPLICATE:
        ch_count(core->stats, CH_COUNT_INGEST_DUPLICATES, 1);
        break;
    case CH_APPEND_GAP:
        note_gap(core, identity, now_ns);
        break;
    case CH_APPEND_FENCED:
        ch_count(core->stats, CH_COUNT_INGEST_FENCED, 1);
        break;
    case CH_APPEND_HELD:
        ch_count(core->stats, CH_COUNT_INGEST_HELD, 1);
        break;
    }
    if (!identity->present)
        return;
    const ch_touch_t touch = {
        .producer_hash = ch_ack_producer_hash(identity->producer),
        .epoch = identity->epoch,
        .lsn = result->lsn,
        .state = result->state,
    };
    core->world.touch(core->world.context, &touch);
}

/* ---- keys */

static void
note_forbidden(ch_ingest_core_t *core, const char *key, const char *name,
               const char *reason, int64_t now_ns)
{
    const ch_refusal_t refusal = {
        .socket = "ingest", .key = key, .name = name, .reason = reason};
    ch_count(core->stats, CH_COUNT_AUTH_FORBIDDEN, 1);
    ch_refusal_note(core->log, core->audit, &core->refused, &refusal, now_ns);
}

void
ch_ingest_core_refused(ch_ingest_core_t *core, const char *key, const char *name,
                       int64_t now_ns)
{
    note_forbidden(core, key, name,
                   name ? "the key may not write" : "the key is not in the table",
                   now_ns);
}

/* May this batch go on? *decoded and *reject become a refusal when its series are not the key's: that
 * stays so, and consumes the seq. A foreign producer's seq is not touched, and what comes too fast may
 * come again. */
static bool
is_granted(ch_ingest_core_t *core, ch_grant_t *grant, const ch_batch_t *batch,
           ch_status_t *decoded, ch_reject_t *reject, int64_t now_ns)
{
    const ch_identity_t *identity = &batch->identity;
    if (identity->present && !ch_grant_producer(grant, identity->producer)) {
        char reason[160];
        snprintf(reason, sizeof reason, "the key may not push as producer %s",
                 identity->producer);
        note_forbidden(core, grant->key->text, grant->key->name, reason, now_ns);
        return false;
    }
    if (*decoded < 0)
        return true;
    if (ch_grant_series(grant, batch) < 0) {
        *reject =
            (ch_reject_t){.seq = identity->seq, .index = -1, .code = CH_ERR_FORBIDDEN};
        snprintf(reject->message, sizeof reject->message, "%.*s",
                 (int)sizeof reject->message - 1, ch_fail_text());
        *decoded = CH_ERR_FORBIDDEN;
        return true;
    }
    bool passes = ch_grant_rate(grant, batch->points, now_ns);
    if (!passes)
        ch_count(core->stats, CH_COUNT_INGEST_OVER_RATE, 1);
    return passes;
}

ch_status_t
ch_ingest_core_take(ch_ingest_core_t *core, ch_bytes_t frame, ch_grant_t *grant,
                    int64_t wall_ns, int64_t now_ns)
{
    ch_count(core->stats, CH_COUNT_INGEST_MESSAGES, 1);
    ch_count(core->stats, CH_COUNT_INGEST_BYTES, frame.size);
    const ch_batch_t *batch = NULL;
    ch_reject_t reject;
    ch_append_result_t result = {.state = CH_APPEND_HELD};
    ch_status_t decoded = ch_batch_decode(core->decoder, frame, wall_ns, &batch, &reject);
    if (decoded ==
        CH_ERR_BUSY) { /* no memory now: not the batch's fault, it may come again */
        ch_count(core->stats, CH_COUNT_INGEST_HELD, 1);
        return CH_OK;
    }
    if (decoded == CH_ERR_CORRUPT) {
        note_undecodable(core, frame, now_ns);
        return CH_OK;
    }
    if (grant && !is_granted(core, grant, batch, &decoded, &reject, now_ns))
        return CH_OK;
    if (decoded < 0 && !batch->identity.present) {
        note_rejected(core, &batch->identity, &reject, now_ns);
        return CH_OK;
    }
    ch_status_t status =
        decoded < 0
            ? core->world.refuse(core->world.context, &batch->identity, &reject, &result)
            : core->world.append(core->world.context, batch, &result);
    if (status < 0)
        return status;
#ifdef CH_FAULT_NODE_DUPLICATE_APPLIED
    if (result.state == CH_APPEND_DUPLICATE) {
        ch_batch_t again = *batch;
        again.identity.present = false;
        status = core->world.append(core->world.context, &again, &result);
    }
#endif
    note_outcome(core, batch, decoded < 0 ? &reject : NULL, &result, now_ns);
    return CH_OK;
}

void
ch_ingest_core_multipart(ch_ingest_core_t *core, uint64_t frames, uint64_t bytes,
                         int64_t now_ns)
{
    uint64_t held = 0;
    ch_count(core->stats, CH_COUNT_INGEST_MULTIPART, 1);
    if (ch_limiter_pass(&core->multipart, now_ns, LOG_INTERVAL_NS, &held))
        ch_log(core->log, CH_LOG_WARN, "ingest", "multipart",
               "frames=%" PRIu64 " bytes=%" PRIu64 " more=%" PRIu64, frames, bytes, held);
}
