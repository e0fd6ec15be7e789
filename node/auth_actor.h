/// The auth actor: libzmq asks it about each handshake (ZAP, inproc://zeromq.zap.01), and it watches
/// authorized_keys.
///
/// Order    started before the sockets that use keys are bound, ended after they are gone: where nobody
///          answers libzmq admits any key.
/// Watch    the file is looked at twice a second, and at once when "RELOAD" comes (SIGHUP). A file that is
///          no good changes nothing but the log and the gauge auth.table_refused.
#ifndef CH_AUTH_ACTOR_H
#define CH_AUTH_ACTOR_H

#include <czmq.h>
#include "node.h"

/// zactor function; `argument` is the ch_node_t, whose keys are set.
void ch_auth_actor(zsock_t *pipe, void *argument);

#endif
