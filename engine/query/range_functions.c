/* range_functions.c - what a window of points comes to.
 *
 * Problem   Dashboards made for Prometheus must show the same figures here, so not only the
 *           definitions but the order of operations has to agree.
 * Rates     A counter's increase is last - first, plus the value before each fall (a reset). The
 *           points rarely span the whole window, so the increase is extrapolated to its borders,
 *           but not further than half the mean distance of points when the nearest point is more
 *           than 1.1 such distances away (the series probably began or ended there), and for
 *           counters not before the time at which the line would have crossed zero.
 *           Example: points 10 at 15 s and 40 at 45 s in (0 s, 60 s]: increase 30 over 30 s;
 *           distance 30 s, borders 15 s away, zero would be at 5 s, so 10 s to the left and 15 s
 *           to the right: 30 * (30 + 10 + 15) / 30 = 55.
 * Source    The documentation and published behaviour of Prometheus 3; sums after Neumaier,
 *           variance after Welford (1962).
 */
#include "query/range_functions.h"

#include <math.h>

static const double ns_per_second = 1e9;

void
ch_promql_add(double value, double *sum, double *compensation)
{
    double total = *sum + value;
    if (isinf(total))
        *compensation = 0;
    else if (fabs(*sum) >= fabs(value))
        *compensation += (*sum - total) + value;
    else
        *compensation += (value - total) + *sum;
    *sum = total;
}

void
ch_promql_mean_add(ch_promql_mean_t *mean, double value)
{
    mean->count++;
    if (mean->count == 1) {
        mean->sum = value;
        return;
    }
    if (!mean->incremental) {
        double sum = mean->sum, compensation = mean->compensation;
        ch_promql_add(value, &sum, &compensation);
        if (!isinf(sum)) {
            mean->sum = sum;
            mean->compensation = compensation;
            return;
        }
        mean->incremental = true;
        mean->sum /= mean->count - 1;
        mean->compensation /= mean->count - 1;
    }
    double share = (mean->count - 1) / mean->count;
    mean->sum *= share;
    mean->compensation *= share;
    ch_promql_add(value / mean->count, &mean->sum, &mean->compensation);
}

double
ch_promql_mean_value(const ch_promql_mean_t *mean)
{
    if (mean->incremental)
        return mean->sum + mean->compensation;
    return mean->sum / mean->count + mean->compensation / mean->count;
}

void
ch_promql_variance_add(ch_promql_variance_t *variance, double value)
{
    variance->count++;
    double delta = value - (variance->mean + variance->mean_compensation);
    ch_promql_add(delta / variance->count, &variance->mean, &variance->mean_compensation);
    delta *= value - (variance->mean + variance->mean_compensation);
    ch_promql_add(delta, &variance->sum, &variance->sum_compensation);
}

double
ch_promql_variance_value(const ch_promql_variance_t *variance)
{
    return (variance->sum + variance->sum_compensation) / variance->count;
}

double
ch_promql_avg_over_time(const ch_promql_window_t *window)
{
    ch_promql_mean_t mean = {0};
    for (size_t i = 0; i < window->count; i++)
        ch_promql_mean_add(&mean, window->values[i]);
    return ch_promql_mean_value(&mean);
}

double
ch_promql_sum_over_time(const ch_promql_window_t *window)
{
    double sum = 0, compensation = 0;
    for (size_t i = 0; i < window->count; i++)
        ch_promql_add(window->values[i], &sum, &compensation);
    return isinf(sum) ? sum : sum + compensation;
}

double
ch_promql_count_over_time(const ch_promql_window_t *window)
{
    return (double)window->count;
}

double
ch_promql_present_over_time(const ch_promql_window_t *window)
{
    (void)window;
    return 1;
}

double
ch_promql_first_over_time(const ch_promql_window_t *window)
{
    return window->values[0];
}

double
ch_promql_last_over_time(const ch_promql_window_t *window)
{
    return window->values[window->count - 1];
}

double
ch_promql_max_over_time(const ch_promql_window_t *window)
{
    double max = window->values[0];
    for (size_t i = 1; i < window->count; i++)
        if (window->values[i] > max || isnan(max))
            max = window->values[i];
    return max;
}

double
ch_promql_min_over_time(const ch_promql_window_t *window)
{
    double min = window->values[0];
    for (size_t i = 1; i < window->count; i++)
        if (window->values[i] < min || isnan(min))
            min = window->values[i];
    return min;
}

double
ch_promql_stdvar_over_time(const ch_promql_window_t *window)
{
    ch_promql_variance_t variance = {0};
    for (size_t i = 0; i < window->count; i++)
        ch_promql_variance_add(&variance, window->values[i]);
    return ch_promql_variance_value(&variance);
}

double
ch_promql_stddev_over_time(const ch_promql_window_t *window)
{
    return sqrt(ch_promql_stdvar_over_time(window));
}

double
ch_promql_changes(const ch_promql_window_t *window)
{
    double changes = 0;
    for (size_t i = 1; i < window->count; i++) {
        double before = window->values[i - 1], value = window->values[i];
        if (value != before && !(isnan(value) && isnan(before)))
            changes++;
    }
    return changes;
}

double
ch_promql_resets(const ch_promql_window_t *window)
{
    double resets = 0;
    for (size_t i = 1; i < window->count; i++)
        resets += window->values[i] < window->values[i - 1];
    return resets;
}

static double
seconds(int64_t from, int64_t to)
{
    return ((double)to - (double)from) / ns_per_second;
}

/* Seconds between two near times exactly, although each alone needs more than 53 bits. */
static double
span(int64_t from, int64_t to)
{
    int64_t ns;
    return __builtin_sub_overflow(to, from, &ns) ? seconds(from, to)
                                                 : (double)ns / ns_per_second;
}

static double
increase_raw(const ch_promql_window_t *window, bool counter)
{
    double increase = window->values[window->count - 1] - window->values[0];
    for (size_t i = 1; counter && i < window->count; i++)
        if (window->values[i] < window->values[i - 1])
            increase += window->values[i - 1];
    return increase;
}

double
ch_promql_extrapolate(const ch_promql_change_t *change, bool counter, bool per_second)
{
    if (change->count < 2)
        return ch_promql_absent();
    double increase = change->increase;
    double to_start = span(change->start, change->first_time);
    double to_end = span(change->last_time, change->end);
    double sampled = span(change->first_time, change->last_time);
    double distance = sampled / (double)(change->count - 1);
    double threshold = distance * 1.1;
    if (to_start >= threshold)
        to_start = distance / 2;
    if (counter && increase > 0 && change->first >= 0) {
        double to_zero = sampled * (change->first / increase);
        to_start = to_zero < to_start ? to_zero : to_start;
    }
    if (to_end >= threshold)
        to_end = distance / 2;
    double factor = (sampled + to_start + to_end) / sampled;
    if (per_second)
        factor /= span(change->start, change->end);
    return increase * factor;
}

static double
extrapolate(const ch_promql_window_t *window, bool counter, bool per_second)
{
    const ch_promql_change_t change = {.count = window->count,
                                       .start = window->start,
                                       .end = window->end,
                                       .first_time = window->times[0],
                                       .last_time = window->times[window->count - 1],
                                       .first = window->values[0],
                                       .increase = increase_raw(window, counter)};
    return ch_promql_extrapolate(&change, counter, per_second);
}

double
ch_promql_rate(const ch_promql_window_t *window)
{
    return extrapolate(window, true, true);
}

double
ch_promql_increase(const ch_promql_window_t *window)
{
    return extrapolate(window, true, false);
}

double
ch_promql_delta(const ch_promql_window_t *window)
{
    return extrapolate(window, false, false);
}

/* From the last two points alone. */
static double
instant_change(const ch_promql_window_t *window, bool rate)
{
    if (window->count < 2)
        return ch_promql_absent();
    double before = window->values[window->count - 2];
    double last = window->values[window->count - 1];
    double sampled =
        span(window->times[window->count - 2], window->times[window->count - 1]);
    double change = rate && last < before ? last : last - before;
    return rate ? change / sampled : change;
}

double
ch_promql_irate(const ch_promql_window_t *window)
{
    return instant_change(window, true);
}

double
ch_promql_idelta(const ch_promql_window_t *window)
{
    return instant_change(window, false);
}
