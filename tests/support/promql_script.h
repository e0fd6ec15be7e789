/// The notation of Prometheus' own PromQL test scripts: `name{label="value"} 1 2+3x4 _ stale`.
///
/// Owner    everything parsed lives in `memory`.
/// Threads  one at a time per memory.
#ifndef CH_TEST_PROMQL_SCRIPT_H
#define CH_TEST_PROMQL_SCRIPT_H

#include "query/query_memory.h"

typedef enum { SCRIPT_FLOAT, SCRIPT_NONE, SCRIPT_HISTOGRAM } script_value_kind_t;

typedef struct script_value {
    script_value_kind_t kind;
    double number;
} script_value_t;

typedef struct script_series {
    const char *key; /* canonical key text; "" for {} */
    const char *name;
    script_value_t *values;
    size_t count;
    bool histograms; /* any of them */
} script_series_t;

/// Parse a series with its values; false when the line is none.
bool script_series_parse(const char *line, ch_query_memory_t *memory,
                         script_series_t *series_out);

/// Parse values alone.
bool script_values_parse(const char *text, ch_query_memory_t *memory,
                         script_series_t *series_out);

/// Read a time or duration (`5m`, `10`, `-1m`) at *text and move behind it.
bool script_time_parse(const char **text, int64_t *ns_out);

/// Skip `word` and the blanks around it, when it stands at *text.
bool script_word(const char **text, const char *word);

/// Canonical key text, copied with a NUL; `labels` is canonical label text.
const char *script_key(ch_query_memory_t *memory, ch_bytes_t name, ch_bytes_t labels);

#endif
