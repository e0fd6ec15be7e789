#include "watch.h"

#include <inttypes.h>

enum { STATS_INTERVAL_S = 60 };

static ch_gate_view_t
check_gate(ch_node_t *node, int64_t now_ns)
{
    ch_gate_view_t view;
    ch_gate_check(node->gate, now_ns, &view);
    ch_gauge_set(&node->stats, CH_GAUGE_CONNECTIONS, view.connections);
    ch_gauge_set(&node->stats, CH_GAUGE_CONNECTIONS_MOST, view.most);
    ch_gauge_set(&node->stats, CH_GAUGE_CONNECTIONS_SHUT, view.shut);
    ch_count(&node->stats, CH_COUNT_CONNECTIONS_CUT, view.cut);
    return view;
}

/* Said when it changes, and not more often than every 5 s: peers decide how often that is. */
static void
look_at_gate(ch_watch_t *watch, ch_node_t *node, int64_t now_ns)
{
    const ch_gate_view_t view = check_gate(node, now_ns);
    uint64_t held = 0;
    if (view.shut == watch->shut)
        return;
    watch->shut = view.shut;
    if (view.shut) {
        ch_count(&node->stats, CH_COUNT_CONNECTIONS_SHUT, 1);
        ch_audit(node->audit, "refused", ch_bytes_text("new connections"), "limit",
                 "connections=%u cut=%u", view.connections, view.cut);
    }
    if (!ch_limiter_pass(&watch->gate, now_ns, INT64_C(5000000000), &held))
        return;
    if (view.shut)
        ch_log(&node->log, CH_LOG_WARN, "node", "connections_full",
               "connections=%u limit=%u more=%" PRIu64, view.connections, view.most,
               held);
    else
        ch_log(&node->log, CH_LOG_INFO, "node", "connections_taken",
               "connections=%u limit=%u more=%" PRIu64, view.connections, view.most,
               held);
}

void
ch_watch_look(ch_watch_t *watch, ch_node_t *node)
{
    int64_t now_ns = ch_clock_monotonic_ns(&node->clock);
    look_at_gate(watch, node, now_ns);
    ch_count(&node->stats, CH_COUNT_INTAKE_CUT,
             ch_intake_check(node->intake, &node->log, node->audit, &node->clock));
    if (watch->line_ns == 0)
        watch->line_ns = now_ns;
    if (now_ns - watch->line_ns < STATS_INTERVAL_S * INT64_C(1000000000))
        return;
    watch->line_ns = now_ns;
    ch_stats_line_log(&watch->line, node);
}
