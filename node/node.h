/// The composition root: opens the engine, starts the actors, waits for signals, stops in order.
///
/// Shape    main --> auth actor     ZAP, authorized_keys; only when there are keys
///               --> ingest actor   PULL, the engine's only writer
///               --> front actor    ROUTER, acks and short answers  --> workers (one zactor each)
///          front <--inproc PAIR--> ingest: flush, seal and delete, which only the writer may call.
/// Stop     ingest stops reading; the log is synced; who waits is told; the engine seals and closes.
/// Threads  ch_node_t is shared by all actors; what changes in it is atomic or a poke.
#ifndef CH_NODE_H
#define CH_NODE_H

#include <stdatomic.h>
#include "ch/engine.h"
#include "audit.h"
#include "config.h"
#include "gate.h"
#include "intake.h"
#include "keys.h"
#include "node_stats.h"
#include "poke.h"
#include "touch_ring.h"

enum {
    CH_ENDPOINT_BYTES = 256,
    CH_EXIT_FAILED = 1,
    CH_EXIT_USAGE = 2,
    CH_EXIT_IO = 74, /* EX_IOERR: log or manifest could not be written */
};

typedef struct ch_node {
    const ch_config_t *config;
    ch_limits_t limits;
    ch_log_t log;
    ch_clock_t clock;
    ch_clock_t
        query_clock; /* monotonic time ends when the node stops: every deadline passes */
    ch_keys_t *keys; /* NULL: no keys, anybody who reaches an endpoint may do all */
    ch_engine_t *engine;
    ch_node_stats_t stats;
    ch_gate_t *gate;         /* how many may be connected; made when all listen */
    ch_audit_t *audit;       /* who asked for what changes or removes */
    ch_intake_t *intake;     /* what peers send and nobody can read */
    ch_touch_ring_t touches; /* ingest to front */
    atomic_bool front_waits; /* somebody waits there: touches and progress matter */
    atomic_bool serving;     /* `engine` is set */
    atomic_bool stopping;    /* queries give up */
    atomic_bool failing;     /* the engine failed: exit 74 */
    ch_poke_t ingest_poke;   /* ready again */
    ch_poke_t front_poke;    /* durable moved, touches came */
    ch_poke_t main_poke;     /* the engine failed */
    char name[CH_PRODUCER_BYTES_MAX + 1];
    char control_endpoint[64]; /* inproc, front to ingest */
} ch_node_t;

/// Serve until told to stop; returns the exit code. Logs and error lines go to stderr.
int ch_node_run(const ch_config_t *config);

#endif
