/// A window that slides over the points of one series: each point is read once.
///
/// Shape    points come from the source in chunks, are turned into floats, and leave when the
///          window has passed them; so memory follows the window, not the query.
/// Order    windows must not move backwards.
/// Threads  one at a time.
#ifndef CH_PROMQL_WINDOW_H
#define CH_PROMQL_WINDOW_H

#include "query/promql_eval.h"

typedef struct ch_promql_reader {
    ch_promql_eval_t *eval;
    const ch_series_ref_t *series;
    bool keep_stale;
    int64_t read_from;                    /* time of the first point not read yet */
    int64_t read_end;                     /* exclusive: no window goes further */
    size_t chunk_points;                  /* to read next: few while there are strings */
    bool more;                            /* the source has points from read_from on */
    size_t first, last, filled, capacity; /* window is [first, last) of `filled` */
    int64_t *times;
    double *values;
    ch_points_t chunk;
} ch_promql_reader_t;

void ch_promql_reader_init(ch_promql_reader_t *reader, ch_promql_eval_t *eval,
                           bool keep_stale);
void ch_promql_reader_release(ch_promql_reader_t *reader);

/// Begin with a series, whose points are wanted in [from, end).
void ch_promql_reader_start(ch_promql_reader_t *reader, const ch_series_ref_t *series,
                            int64_t from, int64_t end);

/// Move the window to [from, end]; *window_out borrows until the next move. `sparse` says that
/// windows leave gaps worth skipping.
/// Errors: of the source; CH_ERR_LIMIT, CH_ERR_TIMEOUT.
ch_status_t ch_promql_reader_move(ch_promql_reader_t *reader, int64_t from, int64_t end,
                                  bool sparse,
                                  ch_promql_window_t *window_out) CH_MUST_CHECK;

#endif
