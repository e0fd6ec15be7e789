#include "refusal.h"

#include <inttypes.h>
#include <string.h>

#define LOG_INTERVAL_NS INT64_C(1000000000)

void
ch_refusal_note(const ch_log_t *log, ch_audit_t *audit, ch_limiter_t *limiter,
                const ch_refusal_t *refusal, int64_t now_ns)
{
    uint64_t held = 0;
    if (!ch_limiter_pass(limiter, now_ns, LOG_INTERVAL_NS, &held))
        return;
    const char *texts[4] = {refusal->address, refusal->key, refusal->name,
                            refusal->reason};
    char quoted[4][200];
    for (int i = 0; i < 4; i++) {
        const char *text = texts[i] ? texts[i] : "";
        ch_log_quote(text, strlen(text), quoted[i], sizeof quoted[i]);
    }
    ch_log(log, CH_LOG_WARN, "auth", "refused",
           "socket=%s address=%s key=%s name=%s reason=%s more=%" PRIu64, refusal->socket,
           quoted[0], quoted[1], quoted[2], quoted[3], held);
    const char *who = refusal->key ? refusal->key : refusal->address;
    ch_audit(audit, "refused", ch_bytes_text(who ? who : ""), "forbidden",
             "socket=%s address=%s name=%s reason=%s held=%" PRIu64, refusal->socket,
             quoted[0], quoted[2], quoted[3], held);
}
