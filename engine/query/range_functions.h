/// Functions of one window of points, with the arithmetic of Prometheus 3.
///
/// Result   NaN with bits CH_PROMQL_ABSENT where the function has no result. Windows hold at
///          least one point.
/// Threads  pure functions.
#ifndef CH_PROMQL_RANGE_FUNCTIONS_H
#define CH_PROMQL_RANGE_FUNCTIONS_H

#include "ch/coding.h"
#include "query/functions.h"

/// The staleness marker's bits. No computed value has them (arithmetic makes a NaN quiet, and
/// markers never reach a function), so rows of results use them for "no point here".
#define CH_PROMQL_ABSENT UINT64_C(0x7ff0000000000002)

static inline double
ch_promql_absent(void)
{
    uint64_t bits = CH_PROMQL_ABSENT;
    return ch_load_f64(&bits);
}

static inline bool
ch_promql_is_absent(double value)
{
    return ch_load_u64(&value) == CH_PROMQL_ABSENT;
}

/// Compensated addition: *sum += value, the lost low part goes to *compensation.
/// Source: Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", 1974.
void ch_promql_add(double value, double *sum, double *compensation);

/// A running mean that stays finite when the sum of finite values would not.
typedef struct ch_promql_mean {
    double sum; /* the mean itself once `incremental` */
    double compensation;
    double count;
    bool incremental;
} ch_promql_mean_t;

void ch_promql_mean_add(ch_promql_mean_t *mean, double value);
double ch_promql_mean_value(const ch_promql_mean_t *mean);

/// A running variance (Welford, compensated).
typedef struct ch_promql_variance {
    double count, mean, mean_compensation, sum, sum_compensation;
} ch_promql_variance_t;

void ch_promql_variance_add(ch_promql_variance_t *variance, double value);
double ch_promql_variance_value(const ch_promql_variance_t *variance);

/// What rate, increase and delta know of a window: (start, end].
typedef struct ch_promql_change {
    size_t count; /* points; below 2 there is no change */
    int64_t start, end;
    int64_t first_time, last_time;
    double first;
    double increase; /* last - first; of counters, plus the value before each fall */
} ch_promql_change_t;

/// The change extrapolated to the borders of the window.
double ch_promql_extrapolate(const ch_promql_change_t *change, bool counter,
                             bool per_second);

double ch_promql_avg_over_time(const ch_promql_window_t *window);
double ch_promql_changes(const ch_promql_window_t *window);
double ch_promql_count_over_time(const ch_promql_window_t *window);
double ch_promql_delta(const ch_promql_window_t *window);
double ch_promql_first_over_time(const ch_promql_window_t *window);
double ch_promql_idelta(const ch_promql_window_t *window);
double ch_promql_increase(const ch_promql_window_t *window);
double ch_promql_irate(const ch_promql_window_t *window);
double ch_promql_last_over_time(const ch_promql_window_t *window);
double ch_promql_max_over_time(const ch_promql_window_t *window);
double ch_promql_min_over_time(const ch_promql_window_t *window);
double ch_promql_present_over_time(const ch_promql_window_t *window);
double ch_promql_rate(const ch_promql_window_t *window);
double ch_promql_resets(const ch_promql_window_t *window);
double ch_promql_stddev_over_time(const ch_promql_window_t *window);
double ch_promql_stdvar_over_time(const ch_promql_window_t *window);
double ch_promql_sum_over_time(const ch_promql_window_t *window);

#endif
