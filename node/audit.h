/// The audit log: who asked for what an administrator does, who was refused, and what came of it. One line each.
///
/// Form     `time=... level=info module=audit event=delete who="127.0.0.1" result=ok ...`, foreign text quoted and
///          escaped (ch_log_quote), so a line is always one line.
/// Where    the file of `audit.log`, appended to and never read; without it the node's own log.
/// Rate     a burst of CH_AUDIT_BURST lines, then CH_AUDIT_PER_SECOND: peers decide how often they are
///          refused. What is held back is counted, and stands as `more=` in the next line.
/// Threads  any.
#ifndef CH_AUDIT_H
#define CH_AUDIT_H

#include "ch/clock.h"
#include "ch/log.h"
#include "job.h"

enum { CH_AUDIT_BURST = 100, CH_AUDIT_PER_SECOND = 10 };

typedef struct ch_audit ch_audit_t;

/// `path` empty: lines go to `log`. Errors: CH_ERR_IO (cannot be opened for appending, or is no regular file).
ch_status_t ch_audit_new(const char *path, const ch_log_t *log, const ch_clock_t *clock,
                         ch_audit_t **audit_out) CH_MUST_CHECK;
void ch_audit_destroy(ch_audit_t **audit);

/// One line: event, `who` as it came (an address, a key's name), result, then `key=value` pairs that are escaped
/// already. A NULL audit drops it.
void ch_audit(ch_audit_t *audit, const char *event, ch_bytes_t who, const char *result,
              const char *format, ...) CH_PRINTF(5, 6);

/// Is this op an administrator's? Then ch_audit_job has its line.
bool ch_audit_concerns(const ch_request_t *request);

/// The line of an answered request; `result` "ok" or its error's code.
void ch_audit_job(ch_audit_t *audit, const ch_job_t *job, const char *result);

/// Lines written, held back, and lost because the file could not be written.
typedef struct ch_audit_view {
    uint64_t written, held, lost;
} ch_audit_view_t;

ch_audit_view_t ch_audit_view(ch_audit_t *audit);

#endif
