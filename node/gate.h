/// How many peers may be connected: at the limit new ones wait outside.
///
/// Why      every connection is a file descriptor, and log and tables need some too. libzmq accepts whoever comes,
///          and spins when it cannot.
/// How      while the limit is reached, a packet filter on the listening sockets drops requests to connect:
///          the peer's system asks again, nobody is told no, and nothing here turns round. Connections that
///          came in between two looks and lie above the limit are cut.
/// Scope    tcp sockets of this process that were listening when the gate was made.
/// Threads  one at a time.
#ifndef CH_GATE_H
#define CH_GATE_H

#include <stdbool.h>
#include <stdint.h>
#include "ch/log.h"

typedef struct ch_gate ch_gate_t;

/// `connections_max` 0: what the limit of open files leaves beside what is open now and room for files.
ch_gate_t *ch_gate_new(uint32_t connections_max);
void ch_gate_destroy(ch_gate_t **gate);

typedef struct ch_gate_view {
    uint32_t connections, most;
    bool shut;
    uint32_t cut; /* by this look */
} ch_gate_view_t;

/// Look, now and then: cheap while no descriptor above those seen before is in use.
void ch_gate_check(ch_gate_t *gate, int64_t now_ns, ch_gate_view_t *view_out);

#endif
