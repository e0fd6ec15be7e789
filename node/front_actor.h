/// The front actor: the ROUTER socket, short answers, and everything that waits.
///
/// Shape    each request becomes a job. It is answered here (ping, ack, get, stats), waits here
///          (ack, min_lsn, flush), goes to the ingest thread (flush, seal) or to a worker (reads).
/// Commands "$TERM": stop. "DRAIN": answer all who wait, then say DRAINED. "FAIL": the same with
///          `internal`, because the engine failed.
#ifndef CH_FRONT_ACTOR_H
#define CH_FRONT_ACTOR_H

#include <czmq.h>
#include "node.h"

/// zactor function; `argument` is the ch_node_t. Reports READY with the bound endpoint. The ingest
/// actor must run already: it binds the control endpoint.
void ch_front_actor(zsock_t *pipe, void *argument);

#endif
