/* node_stats.c - the one table of the node's counters. */
#include "node_stats.h"

#include <stdio.h>

typedef struct entry {
    const char *name, *help, *unit;
} entry_t;

static const entry_t counts[CH_COUNT_MAX] = {
    [CH_COUNT_INGEST_MESSAGES] = {"ingest.messages",
                                  "Messages read from the ingest socket", ""},
    [CH_COUNT_INGEST_BYTES] = {"ingest.bytes", "Bytes of those messages", "bytes"},
    [CH_COUNT_INGEST_BATCHES] = {"ingest.batches", "Batches taken into the log", ""},
    [CH_COUNT_INGEST_POINTS] = {"ingest.points", "Points of those batches", "points"},
    [CH_COUNT_INGEST_DUPLICATES] = {"ingest.duplicates",
                                    "Batches that had been taken before", ""},
    [CH_COUNT_INGEST_GAPS] = {"ingest.gaps",
                              "Batches dropped because one before them is missing", ""},
    [CH_COUNT_INGEST_FENCED] = {"ingest.fenced",
                                "Batches dropped because a higher epoch exists", ""},
    [CH_COUNT_INGEST_HELD] = {"ingest.held", "Batches dropped because writes are held",
                              ""},
    [CH_COUNT_INGEST_REJECTED_INVALID] = {"ingest.rejected_invalid",
                                          "Batches refused as malformed", ""},
    [CH_COUNT_INGEST_REJECTED_LIMIT] = {"ingest.rejected_limit",
                                        "Batches refused by a limit", ""},
    [CH_COUNT_INGEST_REJECTED_FORBIDDEN] = {"ingest.rejected_forbidden",
                                            "Batches refused as not the key's to write",
                                            ""},
    [CH_COUNT_INGEST_OVER_RATE] = {"ingest.over_rate",
                                   "Batches dropped because their key's rate was used up",
                                   ""},
    [CH_COUNT_INGEST_UNDECODABLE] = {"ingest.undecodable",
                                     "Messages that are no batch at all", ""},
    [CH_COUNT_INGEST_MULTIPART] = {"ingest.multipart",
                                   "Messages of several frames, refused", ""},
    [CH_COUNT_INGEST_STALLS] = {"ingest.stalls",
                                "Times the ingest socket was left unread", ""},
    [CH_COUNT_QUERY_REQUESTS] = {"query.requests", "Requests read from the query socket",
                                 ""},
    [CH_COUNT_QUERY_BYTES] = {"query.bytes", "Bytes of those requests", "bytes"},
    [CH_COUNT_QUERY_REPLY_BYTES] = {"query.reply_bytes", "Bytes of replies", "bytes"},
    [CH_COUNT_QUERY_MALFORMED] = {"query.malformed", "Requests answered with bad_request",
                                  ""},
    [CH_COUNT_QUERY_ERRORS] = {"query.errors", "Requests answered with any error", ""},
    [CH_COUNT_QUERY_DROPPED] = {"query.dropped", "Replies that could not be handed over",
                                ""},
    [CH_COUNT_QUERY_WORKED] = {"query.worked", "Requests that a worker answered", ""},
    [CH_COUNT_QUERY_LIMIT] = {"query.limit", "Requests answered with the error limit",
                              ""},
    [CH_COUNT_QUERY_TIMEOUT] = {"query.timeout",
                                "Requests answered with the error timeout", ""},
    [CH_COUNT_CONNECTIONS_CUT] = {"connections.cut",
                                  "Connections cut because they came above the limit",
                                  ""},
    [CH_COUNT_CONNECTIONS_SHUT] = {"connections.refusals",
                                   "Times that new connections were left outside", ""},
    [CH_COUNT_INTAKE_CUT] = {"intake.disconnected",
                             "Connections cut because what they sent could not be read",
                             ""},
    [CH_COUNT_AUTH_ADMITTED] = {"auth.admitted", "Handshakes with a key that gets in",
                                ""},
    [CH_COUNT_AUTH_REFUSED] = {"auth.refused", "Handshakes refused", ""},
    [CH_COUNT_AUTH_FORBIDDEN] =
        {"auth.forbidden", "Messages that the key of their connection does not allow",
         ""},
};

static const entry_t gauges[CH_GAUGE_MAX] = {
    [CH_GAUGE_ACKS_WAITING] = {"ack.waiting", "Acknowledgements that wait", ""},
    [CH_GAUGE_JOBS_QUEUED] = {"query.queued", "Requests that wait for a worker", ""},
    [CH_GAUGE_JOBS_RUNNING] = {"query.running", "Requests in workers", ""},
    [CH_GAUGE_CONNECTIONS] = {"connections.open", "Connections of the tcp sockets", ""},
    [CH_GAUGE_CONNECTIONS_MOST] = {"connections.limit",
                                   "Connections that there may be at most", ""},
    [CH_GAUGE_CONNECTIONS_SHUT] = {"connections.refusing",
                                   "1 while new connections are left outside", ""},
    [CH_GAUGE_AUDIT_WRITTEN] = {"audit.lines", "Lines of the audit log", ""},
    [CH_GAUGE_AUDIT_HELD] =
        {"audit.held", "Lines of the audit log that came too fast and were counted only",
         ""},
    [CH_GAUGE_AUDIT_LOST] = {"audit.lost",
                             "Lines that the file of audit.log could not take", ""},
    [CH_GAUGE_REPLY_BYTES] = {"query.unread_bytes",
                              "Replies handed over and not yet sent", "bytes"},
    [CH_GAUGE_AUTH_KEYS] = {"auth.keys", "Keys in the table that decides", ""},
    [CH_GAUGE_AUTH_TABLE_REFUSED] =
        {"auth.table_refused", "1: authorized_keys is no good, an older table decides",
         ""},
};

static void
visit_entries(const entry_t *entries, const _Atomic uint64_t *values, size_t count,
              void (*visit)(void *context, const ch_stat_t *stat), void *context)
{
    for (size_t i = 0; i < count; i++) {
        const ch_stat_t stat = {
            .name = entries[i].name,
            .help = entries[i].help,
            .unit = entries[i].unit,
            .value = (double)atomic_load_explicit(&values[i], memory_order_relaxed),
        };
        visit(context, &stat);
    }
}

void
ch_node_stats_visit(ch_node_stats_t *stats,
                    void (*visit)(void *context, const ch_stat_t *stat), void *context)
{
    visit_entries(counts, stats->counts, CH_COUNT_MAX, visit, context);
    visit_entries(gauges, stats->gauges, CH_GAUGE_MAX, visit, context);
}

void
ch_node_stats_histograms(ch_node_stats_t *stats,
                         void (*visit)(void *context, const char *name,
                                       const ch_histogram_t *histogram),
                         void *context)
{
    for (int op = 0; op < CH_OP_COUNT; op++) {
        char name[64];
        const char *op_name = op == CH_OP_UNKNOWN ? "unknown" : ch_op_name((ch_op_t)op);
        snprintf(name, sizeof name, "request.%s.us", op_name);
        if (atomic_load_explicit(&stats->request_us[op].count, memory_order_relaxed))
            visit(context, name, &stats->request_us[op]);
    }
    if (atomic_load_explicit(&stats->batch_points.count, memory_order_relaxed))
        visit(context, "ingest.batch.points", &stats->batch_points);
}
