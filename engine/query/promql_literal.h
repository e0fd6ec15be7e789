/// The literals of PromQL: numbers, durations and quoted strings.
///
/// Threads  pure functions.
#ifndef CH_PROMQL_LITERAL_H
#define CH_PROMQL_LITERAL_H

#include "ch/status.h"
#include "query/query_memory.h"

/// Read a number written without sign: decimal, 0x hexadecimal, leading-0 octal, exponents and '_'
/// between digits. Returns false when `text` is not one as a whole.
bool ch_promql_number(ch_bytes_t text, double *number_out);

/// Read a duration such as `1h30m` or `15ms`: units y w d h m s ms in falling order, each at most
/// once. Returns CH_OK, CH_ERR_INVALID (not a duration) or CH_ERR_LIMIT (beyond 292 years).
ch_status_t ch_promql_duration(ch_bytes_t text, int64_t *duration_out) CH_MUST_CHECK;

/// Seconds as ns, rounded (to us from 1e6 s on, where a double holds no more); false when it is no number or beyond 292 years.
bool ch_promql_seconds(double seconds, int64_t *duration_out);

/// Decode the inside of a quoted string: Go's escapes for " and ', nothing for `.
/// Returns NULL, or what is wrong with it.
const char *ch_promql_unquote(ch_bytes_t inside, char quote, ch_query_memory_t *memory,
                              ch_bytes_t *string_out);

#endif
