/// The read requests of docs/protocol.md, from a decoded request to a finished reply frame.
///
/// Threads  any; each with its own reply. Every call opens and closes its own view.
/// Errors   become error replies; nothing is returned but the frame.
#ifndef CH_QUERY_OPS_H
#define CH_QUERY_OPS_H

#include "ch/reply.h"
#include "ch/request.h"
#include "node.h"

/// Answer one of get, read, query, series, labels, label_values, producers, and delete as a dry run. The frame is valid until
/// the next use of `reply`. `scope`: the selector of what may be read (NULL: all). *status_out: below 0 when
/// it is an error reply.
ch_bytes_t ch_query_answer(const ch_node_t *node, const ch_request_t *request,
                           const char *scope, int64_t deadline_ns, ch_reply_t *reply,
                           ch_status_t *status_out);

/// Answer a delete that is durable as record `lsn` (0: it had nothing to do): count what `before` (NULL:
/// nothing) held of it. When that fails, or takes longer than the deadline, the reply has what was
/// counted and a warning: the delete is done all the same.
ch_bytes_t ch_query_deleted(const ch_node_t *node, const ch_request_t *request,
                            ch_view_t *before, uint64_t lsn, int64_t deadline_ns,
                            ch_reply_t *reply, ch_status_t *status_out);

/// The same at once, or false: a table must be read, which may take its time.
bool ch_query_answer_at_once(const ch_node_t *node, const ch_request_t *request,
                             const char *scope, int64_t deadline_ns, ch_reply_t *reply,
                             ch_bytes_t *frame_out, ch_status_t *status_out);

/// An error reply for a status and this thread's failure text.
ch_bytes_t ch_query_error(ch_reply_t *reply, ch_bytes_t id, ch_status_t status);

#endif
