/// PromQL text to a typed syntax tree: the whole expression grammar of Prometheus 3.
///
/// Way      recursive descent with a nesting limit; binary operators by precedence climbing.
/// Types    checked as nodes are built, so a tree that comes out is type-correct.
/// Threads  one at a time per `memory`.
#ifndef CH_PROMQL_PARSER_H
#define CH_PROMQL_PARSER_H

#include "query/promql_ast.h"
#include "query/query_memory.h"

/// Parse `query` whole; the tree lives in `memory` and borrows `query`.
/// Errors: CH_ERR_PARSE with line and column, CH_ERR_LIMIT (text size, nesting, height),
/// CH_ERR_UNSUPPORTED (duration arithmetic).
ch_status_t ch_promql_parse(ch_bytes_t query, ch_query_memory_t *memory,
                            ch_expr_t **expr_out) CH_MUST_CHECK;

#endif
