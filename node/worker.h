/// A worker: one thread that answers one read at a time, so that a slow one delays nobody else.
///
/// Shape    the front sends a job pointer over the actor's pipe and gets it back with its reply made.
#ifndef CH_WORKER_H
#define CH_WORKER_H

#include <czmq.h>
#include "node.h"

/// zactor function; `argument` is the ch_node_t. Reports READY.
void ch_worker_actor(zsock_t *pipe, void *argument);

#endif
