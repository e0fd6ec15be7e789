/// The line of figures that a node logs every minute: what came, what was answered, where it stands.
#ifndef CH_STATS_LINE_H
#define CH_STATS_LINE_H

#include "node.h"

/// What the last line said, so that the next can say the difference.
typedef struct ch_stats_line {
    uint64_t counts[CH_COUNT_MAX];
} ch_stats_line_t;

void ch_stats_line_log(ch_stats_line_t *line, ch_node_t *node);

#endif
