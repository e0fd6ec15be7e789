/// What the client library checks before it sends: a batch with one bad point is refused whole.
///
/// Threads  pure functions, no allocation.
#ifndef CH_CLIENT_CHECK_H
#define CH_CLIENT_CHECK_H

#include "ch/bytes.h"

enum { CH_CLIENT_KEY_BYTES_MAX = 1024, CH_CLIENT_LABELS_MAX = 32 };

/// NULL when fine, else what is wrong. *limit_out: it is a limit, not bad content.
const char *ch_check_key(ch_bytes_t key, bool *limit_out);
const char *ch_check_name(ch_bytes_t name);
const char *ch_check_producer(const char *producer);

#endif
