/// The programs of devops_load: each prints one JSON object with what it saw, and returns 0 when
/// everything went through.
#ifndef CH_BENCH_LOAD_H
#define CH_BENCH_LOAD_H

#include <stdatomic.h>

#include "plan.h"

typedef struct ch_load_options {
    ch_devops_t devops;
    ch_shape_t shape;
    uint32_t column, batch_points;
    bool regular;
    const char *ingest, *query; /* the node's endpoints */
    const char *key_file;       /* CURVE; NULL: none */
    const char *address;        /* HOST:PORT of an HTTP server */
    const char *path;           /* of its door, query included */
    uint32_t producers;         /* or connections; hosts are dealt out among them */
    const char *name;           /* of producer i: <name>-<i> */
    uint32_t rate;              /* many: batches a second over each connection */
    uint32_t ask_every;         /* an ack is asked for every so many batches */
    uint32_t window_bytes;      /* unacknowledged, of one producer */
    const char *acked;          /* verify: highest acked seq of each producer, "12,13" */
    const char *text;           /* ask: key, selector or PromQL */
    uint32_t rounds;            /* ask */
    uint32_t step_s; /* ask a range of all the data in such steps; 0: an instant */
} ch_load_options_t;

/// Set by SIGTERM and SIGINT: stop and say what is acknowledged.
extern atomic_int ch_load_stop;

/// The plan of producer `number`.
void ch_load_plan(const ch_load_options_t *options, uint32_t number, ch_plan_t *plan_out);

/// Push all data, wait until all of it is durable.
int ch_load_push(const ch_load_options_t *options);
/// `rate` batches a second over each of `producers` connections, each acknowledged. A SIGUSR1 begins the next
/// phase, of CH_LOAD_PHASES: the latencies of what is sent in it are told apart.
enum { CH_LOAD_PHASES = 4 };
int ch_load_many(const ch_load_options_t *options);
/// Read everything back and compare it with what was acknowledged.
int ch_load_verify(const ch_load_options_t *options);
/// Ask one question over and over: get, read or query.
int ch_load_ask(const ch_load_options_t *options, const char *op);
/// The same data by HTTP: line protocol (VictoriaMetrics) or RowBinary (ClickHouse).
int ch_load_influx(const ch_load_options_t *options);
int ch_load_rowbinary(const ch_load_options_t *options);

#endif
