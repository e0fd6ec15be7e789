/// PromQL's functions: their signatures, and which of them are evaluated.
///
/// Threads  constant tables.
#ifndef CH_PROMQL_FUNCTIONS_H
#define CH_PROMQL_FUNCTIONS_H

#include "query/promql_ast.h"

/// Values of a range function over one window: points times[0..count), values[0..count), all
/// inside (start, end], no staleness markers. NaN bits CH_PROMQL_ABSENT mean "no result".
typedef struct ch_promql_window {
    const int64_t *times;
    const double *values;
    size_t count;
    int64_t start, end; /* ns */
} ch_promql_window_t;

typedef double (*ch_promql_range_function_t)(const ch_promql_window_t *window);

typedef struct ch_promql_function {
    const char *name;
    const char *arguments; /* a letter each: s scalar, v vector, m matrix, t string */
    int variadic; /* 0: all are needed; n: the last n may lack; -1: the last repeats, from 0 */
    ch_promql_type_t type;
    ch_promql_range_function_t over_range; /* NULL: not evaluated */
    bool keeps_name;
} ch_promql_function_t;

/// NULL when there is none of this name (case matters).
const ch_promql_function_t *ch_promql_function_find(ch_bytes_t name);

#endif
