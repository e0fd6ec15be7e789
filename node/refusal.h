/// The one function that says a peer was refused: at the handshake, or message by message.
///
/// Foreign bytes decide how often that happens, so a limiter lets one line through now and then and
/// counts the others.
/// Threads  any; the limiter is its caller's.
#ifndef CH_REFUSAL_H
#define CH_REFUSAL_H

#include "audit.h"
#include "limiter.h"

typedef struct ch_refusal {
    const char *socket;  /* "ingest", "query" */
    const char *address; /* where it comes from; NULL: not known */
    const char *key;     /* its public key as text; NULL: it showed none */
    const char *name;    /* of the key, when the table knows it; NULL otherwise */
    const char *reason;
} ch_refusal_t;

/// One line in the node's log and one in the audit log (NULL: none), held to the same pace: a flood of refusals
/// must not use up what the audit log has for what administrators do.
void ch_refusal_note(const ch_log_t *log, ch_audit_t *audit, ch_limiter_t *limiter,
                     const ch_refusal_t *refusal, int64_t now_ns);

#endif
