/// PromQL over a ch_source_t. This version evaluates a first subset (instant selector,
/// sum|min|max|avg|count by/without, *_over_time, rate); anything else that is PromQL is
/// CH_ERR_UNSUPPORTED, anything that is not is CH_ERR_PARSE with the position.
///
/// Semantics  Prometheus 3's: 5 min lookback, left-open ranges, staleness marker NaN
///            0x7ff0000000000002, both ends of a range query inclusive.
/// Units      times: ns. Internally as given, never rounded to ms.
/// Threads    any; a result belongs to the caller.
#ifndef CH_QUERY_H
#define CH_QUERY_H

#include "ch/clock.h"
#include "ch/source.h"

typedef enum {
    CH_QUERY_SCALAR,
    CH_QUERY_VECTOR,
    CH_QUERY_MATRIX,
    CH_QUERY_STRING
} ch_query_type_t;

typedef struct ch_query_params {
    bool range; /* false: at `start` only */
    int64_t start, end, step;
    uint64_t samples_max;       /* CH_ERR_LIMIT above: points touched */
    uint64_t result_points_max; /* CH_ERR_LIMIT above: points in the answer */
    uint64_t
        memory_max; /* CH_ERR_LIMIT above: bytes held at once; 0: see promql_eval.h */
    size_t series_max;
    const ch_clock_t *clock;
    int64_t deadline_ns; /* monotonic; 0: none. CH_ERR_TIMEOUT past it */
} ch_query_params_t;

typedef struct ch_query_series {
    ch_bytes_t name;   /* empty when the operation dropped it */
    ch_bytes_t labels; /* canonical label text */
    size_t count;
    int64_t *times;
    double *values;
} ch_query_series_t;

typedef struct ch_query_result {
    ch_query_type_t type;
    ch_query_series_t *series;
    size_t count;
    ch_bytes_t string;
    const char **warnings;
    size_t warning_count;
    uint64_t samples; /* points touched */
    uint64_t series_selected;
    void *memory; /* owns all of the above */
} ch_query_result_t;

/// Errors: CH_ERR_PARSE, CH_ERR_UNSUPPORTED, CH_ERR_LIMIT, CH_ERR_TIMEOUT, CH_ERR_EXECUTION,
/// CH_ERR_INVALID (a step that is not above 0, an end before start),
/// CH_ERR_CORRUPT; ch_fail_text() has the message for the user.
ch_status_t ch_query_eval(const ch_source_t *source, ch_bytes_t query,
                          const ch_query_params_t *params,
                          ch_query_result_t **result_out) CH_MUST_CHECK;
void ch_query_result_destroy(ch_query_result_t **result);

/// One page of raw points: docs/protocol.md `read`. Series in key order; one may go on on the next page.
typedef struct ch_read_page {
    ch_series_list_t series; /* refs valid while the source lives */
    ch_points_t *points;     /* one run per series in `series` */
    uint64_t point_count;
    bool more;       /* `cursor` continues */
    uint8_t *cursor; /* opaque; owned */
    size_t cursor_size;
} ch_read_page_t;

typedef struct ch_read_params {
    int64_t start, end; /* [start, end) */
    uint64_t points_max;
    size_t bytes_max; /* estimated encoded size of the page */
    size_t series_max;
    ch_bytes_t cursor; /* empty: from the start */
    const ch_clock_t *clock;
    int64_t deadline_ns;
} ch_read_params_t;

/// Errors: CH_ERR_INVALID (a cursor that is not ours), CH_ERR_LIMIT, CH_ERR_TIMEOUT, CH_ERR_CORRUPT.
ch_status_t ch_read_page(const ch_source_t *source, const ch_selector_t *selector,
                         const ch_read_params_t *params,
                         ch_read_page_t **page_out) CH_MUST_CHECK;
void ch_read_page_destroy(ch_read_page_t **page);

#endif
