/// What to do with one frame of the ingest socket: decode, append or refuse, count, tell.
///
/// No socket, no thread, no clock: the frame and the time come in, the writer's calls go out through
/// a table, so tests bring their own engine.
/// Threads  one at a time.
#ifndef CH_INGEST_CORE_H
#define CH_INGEST_CORE_H

#include "ack_core.h"
#include "audit.h"
#include "ch/engine.h"
#include "grants.h"
#include "node_stats.h"

typedef struct ch_ingest_core ch_ingest_core_t;

typedef struct ch_ingest_world {
    void *context;
    ch_status_t (*append)(void *context, const ch_batch_t *batch,
                          ch_append_result_t *result_out);
    ch_status_t (*refuse)(void *context, const ch_identity_t *identity,
                          const ch_reject_t *reject, ch_append_result_t *result_out);
    /* An identified batch did something that a waiting ack may want to know. */
    void (*touch)(void *context, const ch_touch_t *touch);
} ch_ingest_world_t;

/// `world` is copied; stats, log and audit (NULL: none) outlive the core.
ch_ingest_core_t *ch_ingest_core_new(const ch_limits_t *limits,
                                     const ch_ingest_world_t *world,
                                     ch_node_stats_t *stats, const ch_log_t *log,
                                     ch_audit_t *audit) CH_MUST_CHECK;
void ch_ingest_core_destroy(ch_ingest_core_t **core);

/// Take one frame of a peer whose key allows `grant` (NULL: there are no keys, all is allowed). Errors only
/// from the engine (it failed or is closed); whatever the bytes are, the answer is CH_OK.
ch_status_t ch_ingest_core_take(ch_ingest_core_t *core, ch_bytes_t frame,
                                ch_grant_t *grant, int64_t wall_ns,
                                int64_t now_ns) CH_MUST_CHECK;

/// A message was dropped unread: its connection's key (NULL: none) may not push, or not any more.
void ch_ingest_core_refused(ch_ingest_core_t *core, const char *key, const char *name,
                            int64_t now_ns);

/// A message of several frames was refused; `frames` of them, `bytes` together.
void ch_ingest_core_multipart(ch_ingest_core_t *core, uint64_t frames, uint64_t bytes,
                              int64_t now_ns);

#endif
