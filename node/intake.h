/// Connections that send without end what can never be read: found and cut.
///
/// Why      ZeroMQ hands a message over when all its frames are there, and counts whole messages
///          against high-water marks. A peer that sends frames and never the last one fills the memory
///          with bytes that no socket option limits and no actor ever sees.
/// How      the kernel knows what each connection received, the actors know what they read of it. When
///          the memory grows, both are compared; a connection that is too far ahead is shut down, and
///          libzmq frees what it had gathered.
/// Scope    tcp. Peers of ipc:// endpoints are of this machine, and files guard them.
/// Threads  check: main. read: the actors, of their own sockets' messages.
#ifndef CH_INTAKE_H
#define CH_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zmq.h>
#include "audit.h"
#include "ch/clock.h"
#include "ch/log.h"

enum { CH_INTAKE_SOCKETS = 2 /* ingest, query */ };

typedef struct ch_intake_limits {
    uint64_t connection_bytes[CH_INTAKE_SOCKETS]; /* unread, of one connection */
    uint64_t total_bytes;                         /* unread, of all together */
} ch_intake_limits_t;

typedef struct ch_intake ch_intake_t;

ch_intake_t *ch_intake_new(const ch_intake_limits_t *limits);
void ch_intake_destroy(ch_intake_t **intake);

/// The local tcp port of a socket's endpoint; 0: none.
void ch_intake_listen(ch_intake_t *intake, unsigned socket, const char *endpoint);

/// A frame was read. Costs one load while the memory is calm.
void ch_intake_read(ch_intake_t *intake, zmq_msg_t *frame);

/// Look, now and then. Returns how many connections were shut down.
unsigned ch_intake_check(ch_intake_t *intake, const ch_log_t *log, ch_audit_t *audit,
                         const ch_clock_t *clock);

/// When to look again: what arrives until then may be above the limits. Longer while the memory is calm, and
/// when many connections make a look long.
int ch_intake_pause_ms(const ch_intake_t *intake);

/// The decision, pure. Marks `cut` in those beyond their own limit; then, while the rest together
/// are above the total, the one with most.
typedef struct ch_intake_connection {
    int fd;
    unsigned socket;
    uint64_t unread;
    bool cut;
} ch_intake_connection_t;

void ch_intake_judge(const ch_intake_limits_t *limits,
                     ch_intake_connection_t *connections, size_t count);

#endif
