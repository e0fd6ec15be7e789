/// A stranger knocks: before the node says it is ready, it sees itself refuse who must not get in.
///
/// Why      Whether a socket is protected hangs on options, a handler and a library that must play
///          together; each of them missing looks like everything works. So it is tried, at every start.
/// Threads  main's; sockets and a context of its own, like those of any other peer.
#ifndef CH_SELF_TEST_H
#define CH_SELF_TEST_H

#include "keys.h"

/// Connect to each endpoint with a key that nobody was given, and without any. CH_OK: refused each time. Errors:
/// CH_ERR_INVALID (admitted), CH_ERR_TIMEOUT (no answer).
ch_status_t ch_self_test(const ch_keys_t *keys, const char *ingest,
                         const char *query) CH_MUST_CHECK;

#endif
