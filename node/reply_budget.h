/// How many bytes of replies wait for peers that do not read them.
///
/// Why      ZeroMQ counts messages, not bytes: a peer that pipelines reads of 8 MiB and does not take
///          the replies would fill the memory long before any high-water mark.
/// Shape    a count per peer and one for all. `wrap` puts a reply into a message whose release, by
///          whichever thread sent it last, gives the bytes back.
/// Owner    the front; messages may outlive the budget.
/// Threads  all calls from one thread; releases from any.
#ifndef CH_REPLY_BUDGET_H
#define CH_REPLY_BUDGET_H

#include <zmq.h>
#include "ch/bytes.h"

enum { CH_REPLY_BUDGET_FREE = 512 /* replies below this size are not counted */ };

typedef struct ch_reply_budget ch_reply_budget_t;

ch_reply_budget_t *ch_reply_budget_new(uint64_t peer_bytes_max, uint64_t total_bytes_max);
void ch_reply_budget_destroy(ch_reply_budget_t **budget);

/// May this peer be sent `size` bytes more? One reply is always allowed to who has none waiting.
bool ch_reply_budget_allows(ch_reply_budget_t *budget, ch_bytes_t peer, size_t size);

/// Count the message; `body` becomes one that gives its bytes back when it is released.
void ch_reply_budget_wrap(ch_reply_budget_t *budget, ch_bytes_t peer, zmq_msg_t *body);

/// Bytes that wait, of all peers.
uint64_t ch_reply_budget_waiting(const ch_reply_budget_t *budget);

#endif
