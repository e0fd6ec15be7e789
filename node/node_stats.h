/// The node's own counters; the engine brings its own (ch_engine_stats). One table gives each name,
/// help and unit to `stats`, the log line and docs.
///
/// Threads  any; counters are relaxed atomics.
#ifndef CH_NODE_STATS_H
#define CH_NODE_STATS_H

#include "ch/engine.h"
#include "ch/request.h"
#include "histogram.h"

typedef enum {
    CH_COUNT_INGEST_MESSAGES,
    CH_COUNT_INGEST_BYTES,
    CH_COUNT_INGEST_BATCHES,
    CH_COUNT_INGEST_POINTS,
    CH_COUNT_INGEST_DUPLICATES,
    CH_COUNT_INGEST_GAPS,
    CH_COUNT_INGEST_FENCED,
    CH_COUNT_INGEST_HELD,
    CH_COUNT_INGEST_REJECTED_INVALID,
    CH_COUNT_INGEST_REJECTED_LIMIT,
    CH_COUNT_INGEST_REJECTED_FORBIDDEN,
    CH_COUNT_INGEST_OVER_RATE,
    CH_COUNT_INGEST_UNDECODABLE,
    CH_COUNT_INGEST_MULTIPART,
    CH_COUNT_INGEST_STALLS,
    CH_COUNT_QUERY_REQUESTS,
    CH_COUNT_QUERY_BYTES,
    CH_COUNT_QUERY_REPLY_BYTES,
    CH_COUNT_QUERY_MALFORMED,
    CH_COUNT_QUERY_ERRORS,
    CH_COUNT_QUERY_DROPPED,
    CH_COUNT_QUERY_WORKED,
    CH_COUNT_QUERY_LIMIT,
    CH_COUNT_QUERY_TIMEOUT,
    CH_COUNT_INTAKE_CUT,
    CH_COUNT_CONNECTIONS_CUT,
    CH_COUNT_CONNECTIONS_SHUT,
    CH_COUNT_AUTH_ADMITTED,
    CH_COUNT_AUTH_REFUSED,
    CH_COUNT_AUTH_FORBIDDEN,
    CH_COUNT_MAX,
} ch_count_t;

/// What stands right now, set by its owner.
typedef enum {
    CH_GAUGE_ACKS_WAITING,
    CH_GAUGE_JOBS_QUEUED,
    CH_GAUGE_JOBS_RUNNING,
    CH_GAUGE_REPLY_BYTES,
    CH_GAUGE_CONNECTIONS,
    CH_GAUGE_CONNECTIONS_MOST,
    CH_GAUGE_CONNECTIONS_SHUT,
    CH_GAUGE_AUDIT_WRITTEN,
    CH_GAUGE_AUDIT_HELD,
    CH_GAUGE_AUDIT_LOST,
    CH_GAUGE_AUTH_KEYS,
    CH_GAUGE_AUTH_TABLE_REFUSED,
    CH_GAUGE_MAX,
} ch_gauge_t;

typedef struct ch_node_stats {
    _Atomic uint64_t counts[CH_COUNT_MAX];
    _Atomic uint64_t gauges[CH_GAUGE_MAX];
    ch_histogram_t
        request_us[CH_OP_COUNT]; /* from receipt to reply; acks with their wait */
    ch_histogram_t batch_points;
} ch_node_stats_t;

static inline void
ch_count(ch_node_stats_t *stats, ch_count_t which, uint64_t more)
{
    atomic_fetch_add_explicit(&stats->counts[which], more, memory_order_relaxed);
}

static inline void
ch_gauge_set(ch_node_stats_t *stats, ch_gauge_t which, uint64_t value)
{
    atomic_store_explicit(&stats->gauges[which], value, memory_order_relaxed);
}

/// Visit counters and gauges.
void ch_node_stats_visit(ch_node_stats_t *stats,
                         void (*visit)(void *context, const ch_stat_t *stat),
                         void *context);

/// Visit histograms that hold something: "request.read.us" and so on.
void ch_node_stats_histograms(ch_node_stats_t *stats,
                              void (*visit)(void *context, const char *name,
                                            const ch_histogram_t *histogram),
                              void *context);

#endif
