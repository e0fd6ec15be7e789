#include "stats_line.h"

#include <inttypes.h>

static uint64_t
since_last(ch_stats_line_t *line, ch_node_t *node, ch_count_t which)
{
    uint64_t now = atomic_load_explicit(&node->stats.counts[which], memory_order_relaxed);
    uint64_t more = now - line->counts[which];
    line->counts[which] = now;
    return more;
}

void
ch_stats_line_log(ch_stats_line_t *line, ch_node_t *node)
{
    uint64_t batches = since_last(line, node, CH_COUNT_INGEST_BATCHES);
    uint64_t points = since_last(line, node, CH_COUNT_INGEST_POINTS);
    uint64_t bytes = since_last(line, node, CH_COUNT_INGEST_BYTES);
    uint64_t stalls = since_last(line, node, CH_COUNT_INGEST_STALLS);
    uint64_t refused = since_last(line, node, CH_COUNT_INGEST_REJECTED_INVALID) +
                       since_last(line, node, CH_COUNT_INGEST_REJECTED_LIMIT) +
                       since_last(line, node, CH_COUNT_INGEST_UNDECODABLE) +
                       since_last(line, node, CH_COUNT_INGEST_MULTIPART);
    uint64_t requests = since_last(line, node, CH_COUNT_QUERY_REQUESTS);
    uint64_t errors = since_last(line, node, CH_COUNT_QUERY_ERRORS);
    const char *held = ch_engine_held_reason(node->engine);
    ch_log(&node->log, CH_LOG_INFO, "node", "stats",
           "batches=%" PRIu64 " points=%" PRIu64 " bytes=%" PRIu64 " stalls=%" PRIu64
           " refused=%" PRIu64 " requests=%" PRIu64 " errors=%" PRIu64
           " acks_waiting=%" PRIu64 " durable_lsn=%" PRIu64 " flushed_lsn=%" PRIu64
           " held=%s",
           batches, points, bytes, stalls, refused, requests, errors,
           atomic_load_explicit(&node->stats.gauges[CH_GAUGE_ACKS_WAITING],
                                memory_order_relaxed),
           ch_engine_durable_lsn(node->engine), ch_engine_flushed_lsn(node->engine),
           held ? "yes" : "no");
}
