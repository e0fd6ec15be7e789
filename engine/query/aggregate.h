/// sum, min, max, avg, count, group, stddev and stdvar over the series of one instant vector, by
/// groups of labels, for all steps at once.
///
/// Shape    groups in order of appearance, found by a hash table over (name, label text); a cell
///          per group and step.
/// Flow     a sink: take rows, then push the groups on.
/// Threads  one at a time.
#ifndef CH_PROMQL_AGGREGATE_H
#define CH_PROMQL_AGGREGATE_H

#include "query/promql_eval.h"

typedef struct ch_promql_aggregate ch_promql_aggregate_t;

/// `expr` is the aggregation; `eval` is borrowed.
ch_promql_aggregate_t *ch_promql_aggregate_new(ch_promql_eval_t *eval,
                                               const ch_expr_t *expr);
void ch_promql_aggregate_destroy(ch_promql_aggregate_t **aggregate);

ch_promql_sink_t ch_promql_aggregate_sink(ch_promql_aggregate_t *aggregate);

/// Push every group into `sink`. Errors: of the sink, CH_ERR_TIMEOUT.
ch_status_t ch_promql_aggregate_push(ch_promql_aggregate_t *aggregate,
                                     ch_promql_sink_t sink) CH_MUST_CHECK;

#endif
