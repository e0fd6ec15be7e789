/// What the main thread looks at while the node serves: who is connected, what arrives and cannot be read, and
/// the line of figures that is logged every minute.
///
/// Threads  main.
#ifndef CH_WATCH_H
#define CH_WATCH_H

#include "limiter.h"
#include "node.h"
#include "stats_line.h"

typedef struct ch_watch {
    ch_stats_line_t line;
    int64_t line_ns; /* when the last one was logged */
    bool shut;       /* the gate, at the last look */
    ch_limiter_t gate;
} ch_watch_t;

void ch_watch_look(ch_watch_t *watch, ch_node_t *node);

#endif
