/// The few socket calls that actors share, with the options that must never be forgotten.
///
/// Owner    a socket belongs to the thread that made it.
#ifndef CH_SOCKETS_H
#define CH_SOCKETS_H

#include <czmq.h>
#include "ch/status.h"
#include "node.h"

/// Make and bind a socket; nothing waits for ever at its end (linger_ms). `options` sets what is
/// particular before the bind. *endpoint_out is what was bound, with the real port. When the node has keys
/// it is a CURVE server in the ZAP domain that `key` names behind its dot.
/// Errors: CH_ERR_BUSY (in use), CH_ERR_INVALID; the text is one line for the user, naming `key`.
ch_status_t ch_socket_bind(int type, const char *key, const char *endpoint, int linger_ms,
                           void (*options)(void *socket, const ch_node_t *node),
                           const ch_node_t *node, zsock_t **socket_out,
                           char endpoint_out[CH_ENDPOINT_BYTES]) CH_MUST_CHECK;

void ch_socket_set(void *socket, int option, int value);
void ch_socket_set_i64(void *socket, int option, int64_t value);

/// Pass a pointer to another thread of this process over an inproc socket.
void ch_socket_send_pointer(void *socket, void *pointer);

/// Receive one; NULL: nothing there, or a word such as "$TERM", which is kept in word_out
/// (empty: nothing there).
void *ch_socket_take_pointer(void *socket, int flags, char word_out[32]);

/// First word of an actor to its maker: "READY <text>" or "FAILED <text>".
void ch_actor_report(zsock_t *pipe, ch_status_t status, const char *text);

/// Read it. CH_OK: *text_out (size bytes) holds the text; else the failure's text is kept.
ch_status_t ch_actor_await(zactor_t *actor, char *text_out, size_t size) CH_MUST_CHECK;

/// Last thing an actor does; and how its maker ends it: what the actor wrote is then to be seen.
void ch_actor_ends(void);
void ch_actor_destroy(zactor_t **actor);

#endif
