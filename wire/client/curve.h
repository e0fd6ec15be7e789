/// The key pair with which a producer or reader talks to a node that has keys.
///
/// Threads  one at a time.
#ifndef CH_CLIENT_CURVE_H
#define CH_CLIENT_CURVE_H

#include "cityhall.h"

#include "ch/secret.h"

/// From the three options of both handles. None of them set: OK, and *secret_out is NULL. Errors: ARGUMENT (a file
/// or key that is no good, or no key of the node), MEMORY; `error` has the text.
cityhall_status_t ch_client_curve_open(const char *key_file, const char *secret_key,
                                       const char *server_key, ch_secret_t **secret_out,
                                       char *error, size_t error_size);

/// Before the socket connects. NULL: nothing to do. False: libzmq's errno.
bool ch_client_curve_set(void *socket, const ch_secret_t *secret);

#endif
