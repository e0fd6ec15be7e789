/// The ingest actor: the PULL socket and the engine's writer calls, in one thread.
///
/// Back-pressure  while the engine is not ready the socket is not read; ZeroMQ's high-water marks
///                push back to the producers, and on_progress wakes the actor.
/// Commands       "$TERM": stop. From the front, over node->control_endpoint: job pointers.
#ifndef CH_INGEST_ACTOR_H
#define CH_INGEST_ACTOR_H

#include <czmq.h>
#include "node.h"

/// What one peer may have queued here: a few MiB of batches of the size that travels best; more would
/// only cool the caches.
enum { CH_INGEST_QUEUE_MESSAGES = 16 };

/// zactor function; `argument` is the ch_node_t. Reports READY with the bound endpoint.
void ch_ingest_actor(zsock_t *pipe, void *argument);

#endif
