/// `<data>/endpoints`: where a running node listens, one `name endpoint` a line, so that tools and
/// tests find ports that the system chose. Written whole or not at all; removed at exit; what a
/// crash leaves behind is replaced by the next start.
#ifndef CH_ENDPOINTS_H
#define CH_ENDPOINTS_H

#include <stddef.h>
#include "ch/status.h"

typedef struct ch_endpoint {
    const char *name, *endpoint;
} ch_endpoint_t;

ch_status_t ch_endpoints_write(const char *data, const ch_endpoint_t *endpoints,
                               size_t count) CH_MUST_CHECK;
void ch_endpoints_remove(const char *data);

#endif
