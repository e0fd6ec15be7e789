/// The op `snapshot` of docs/protocol.md: make one, remove one, list those that are there. For workers:
/// all of it waits for the disk.
#ifndef CH_SNAPSHOT_OPS_H
#define CH_SNAPSHOT_OPS_H

#include "ch/reply.h"
#include "ch/request.h"
#include "node.h"

/// The frame is valid until the next use of `reply`. *status_out: below 0 when it is an error reply.
ch_bytes_t ch_snapshot_answer(const ch_node_t *node, const ch_request_t *request,
                              ch_reply_t *reply, ch_status_t *status_out);

#endif
