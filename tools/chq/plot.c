/* plot.c - what both pictures share: where the axes end, which ticks are round, what is written there. */
#include "chq/plot.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chq/text.h"

static const int64_t second_ns = 1000000000, minute_ns = 60 * 1000000000LL,
                     day_ns = 86400 * 1000000000LL;

/* ---- the y axis */

double
chq_plot_tick(double span, int wanted)
{
    double rough = span / wanted, power = pow(10, floor(log10(rough)));
    double part = rough / power;
    return power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
}

bool
chq_plot_scale(chq_plot_t *plot)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t r = 0; r < plot->run_count; r++)
        for (size_t i = 0; i < plot->runs[r].count; i++) {
            double value = plot->runs[r].values[i];
            if (!isfinite(value))
                continue;
            low = fmin(low, value);
            high = fmax(high, value);
        }
    if (low > high)
        return false;
    low = fmax(low, -1e300); /* so that differences are finite */
    high = fmin(high, 1e300);
    if (high - low <
        1e-9 * fmax(fabs(high), 1e-300)) { /* a flat line stands in the middle */
        double around = high != 0 ? chq_plot_tick(fabs(high), 2) : 1;
        low -= around;
        high += around;
    }
    double tick = chq_plot_tick(high - low, 5);
    plot->low = floor(low / tick) * tick;
    plot->high = ceil(high / tick) * tick;
    return true;
}

const char *
chq_plot_number(const chq_plot_t *plot, double value, double tick,
                char out[CHQ_PLOT_TEXT_BYTES])
{
    static const char *const names[] = {"n", "u", "m", "", "k", "M", "G", "T", "P"};
    double most = fmax(fabs(plot->low), fabs(plot->high));
    int scale = most >= 1e4    ? (int)floor(log10(most) / 3)
                : most < 0.002 ? (int)floor(log10(most) / 3)
                               : 0;
    bool named = scale >= -3 && scale <= 5;
    double unit = named ? pow(1000, scale) : 1;
    double shown = fabs(value) < tick / 1e6 ? 0 : value;
    int digits = (int)fmax(0, -floor(log10(tick / unit) + 1e-9));
    if (!named)
        (void)snprintf(out, CHQ_PLOT_TEXT_BYTES, "%.3g", shown);
    else if (shown == 0)
        (void)snprintf(out, CHQ_PLOT_TEXT_BYTES, "0");
    else
        (void)snprintf(out, CHQ_PLOT_TEXT_BYTES, "%.*f%s%s", digits, shown / unit,
                       scale ? " " : "", names[scale + 3]);
    return out;
}

/* ---- the time axis */

static const int64_t fixed_steps[] = {
    1,
    1000,
    1000000,
    2000000,
    5000000,
    10000000,
    20000000,
    50000000,
    100000000,
    200000000,
    500000000,
    1 * 1000000000LL,
    2 * 1000000000LL,
    5 * 1000000000LL,
    10 * 1000000000LL,
    15 * 1000000000LL,
    30 * 1000000000LL,
    60 * 1000000000LL,
    120 * 1000000000LL,
    300 * 1000000000LL,
    600 * 1000000000LL,
    900 * 1000000000LL,
    1800 * 1000000000LL,
    3600 * 1000000000LL,
    2 * 3600 * 1000000000LL,
    3 * 3600 * 1000000000LL,
    6 * 3600 * 1000000000LL,
    12 * 3600 * 1000000000LL,
    86400 * 1000000000LL,
    2 * 86400 * 1000000000LL,
    7 * 86400 * 1000000000LL,
};

static int64_t
month_start(int64_t months) /* since January 1970 */
{
    int64_t year = months >= 0 ? months / 12 : -((11 - months) / 12);
    struct tm parts = {
        .tm_year = (int)(70 + year), .tm_mon = (int)(months - year * 12), .tm_mday = 1};
    return (int64_t)timegm(&parts) * second_ns;
}

static int
month_ticks(int64_t start, int64_t end, int most, int64_t *ticks_out)
{
    static const int steps[] = {1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200};
    time_t from = (time_t)(start / second_ns);
    struct tm parts;
    (void)gmtime_r(&from, &parts);
    int64_t span_months = end / (30 * day_ns) - start / (30 * day_ns) + 1;
    size_t s = 0;
    while (s + 1 < sizeof steps / sizeof steps[0] && span_months / steps[s] > most)
        s++;
    int64_t month = (parts.tm_year - 70) * 12 + parts.tm_mon;
    month -= (month % steps[s] + steps[s]) % steps[s];
    int count = 0;
    for (; count < most && month < 292 * 12; month += steps[s]) {
        int64_t time = month_start(month);
        if (time > end)
            break;
        if (time >= start)
            ticks_out[count++] = time;
    }
    return count;
}

int
chq_plot_time_ticks(int64_t start, int64_t end, int most,
                    int64_t ticks_out[CHQ_PLOT_TICKS_MAX])
{
    most = most > CHQ_PLOT_TICKS_MAX ? CHQ_PLOT_TICKS_MAX : most;
    if (most < 1 || end <= start)
        return 0;
    for (size_t s = 0; s < sizeof fixed_steps / sizeof fixed_steps[0]; s++) {
        int64_t step = fixed_steps[s];
        int64_t first = start / step, last = end / step;
        first += start > first * step; /* rounded towards zero, so up when negative */
        last -= end < last * step;
        if (last - first + 1 > most)
            continue;
        int count = 0;
        for (int64_t at = first; at <= last; at++)
            ticks_out[count++] = at * step;
        return count;
    }
    return month_ticks(start, end, most, ticks_out);
}

static const char *
time_form(const struct tm *parts, int64_t distance)
{
    bool midnight = parts->tm_hour == 0 && parts->tm_min == 0 && parts->tm_sec == 0;
    if (distance >= 360 * day_ns)
        return "%Y";
    if (distance >= 27 * day_ns)
        return parts->tm_mon == 0 ? "%Y" : "%b %Y";
    if (midnight && distance >= minute_ns)
        return "%b %d";
    return distance >= minute_ns ? "%H:%M" : "%H:%M:%S";
}

/* Seconds rounded down, also before 1970; what is left as ns. */
static int64_t
split_time(int64_t time, struct tm *parts_out)
{
    int64_t fraction = (time % second_ns + second_ns) % second_ns;
    time_t seconds = (time_t)((time - fraction) / second_ns);
    (void)gmtime_r(&seconds, parts_out);
    return fraction;
}

const char *
chq_plot_time(int64_t time, int64_t distance, char out[CHQ_PLOT_TEXT_BYTES])
{
    struct tm parts;
    int64_t fraction = split_time(time, &parts);
    size_t used = strftime(out, CHQ_PLOT_TEXT_BYTES, time_form(&parts, distance), &parts);
    if (distance < second_ns)
        (void)snprintf(out + used, CHQ_PLOT_TEXT_BYTES - used, ".%0*" PRId64,
                       distance < 1000000 ? 9 : 3,
                       distance < 1000000 ? fraction : fraction / 1000000);
    return out;
}

const char *
chq_plot_span(const chq_plot_t *plot, char out[2 * CHQ_PLOT_TEXT_BYTES])
{
    struct tm first, last;
    (void)split_time(plot->start, &first);
    (void)split_time(plot->end, &last);
    bool same_day = first.tm_year == last.tm_year && first.tm_yday == last.tm_yday;
    bool days = !same_day && plot->end / 10 - plot->start / 10 > day_ns; /* 10 days */
    size_t size = (size_t)2 * CHQ_PLOT_TEXT_BYTES;
    size_t used = strftime(out, size, days ? "%Y-%m-%d" : "%Y-%m-%d %H:%M:%S", &first);
    used += (size_t)snprintf(out + used, size - used, " to ");
    used += strftime(out + used, size - used,
                     days       ? "%Y-%m-%d"
                     : same_day ? "%H:%M:%S"
                                : "%Y-%m-%d %H:%M:%S",
                     &last);
    (void)snprintf(out + used, size - used, " UTC");
    return out;
}

/* ---- runs */

static const char *
short_number(double value, char out[CHQ_PLOT_TEXT_BYTES])
{
    static const char *const names[] = {"", " k", " M", " G", " T", " P"};
    int scale = fabs(value) >= 1e4 ? (int)floor(log10(fabs(value)) / 3) : 0;
    if (scale > 5)
        scale = 0;
    (void)snprintf(out, CHQ_PLOT_TEXT_BYTES, "%.4g%s", value / pow(1000, scale),
                   names[scale]);
    return out;
}

const char *
chq_plot_summary(const chq_plot_run_t *run, char out[4 * CHQ_PLOT_TEXT_BYTES])
{
    double low = INFINITY, high = -INFINITY, last = NAN;
    for (size_t i = 0; i < run->count; i++) {
        if (!isfinite(run->values[i]))
            continue;
        low = fmin(low, run->values[i]);
        high = fmax(high, run->values[i]);
        last = run->values[i];
    }
    char a[CHQ_PLOT_TEXT_BYTES], b[CHQ_PLOT_TEXT_BYTES], c[CHQ_PLOT_TEXT_BYTES];
    if (low > high)
        (void)snprintf(out, (size_t)4 * CHQ_PLOT_TEXT_BYTES, "no numbers");
    else
        (void)snprintf(out, (size_t)4 * CHQ_PLOT_TEXT_BYTES, "min %s  max %s  last %s",
                       short_number(low, a), short_number(high, b),
                       short_number(last, c));
    return out;
}

static int
by_value(const void *a, const void *b)
{
    int64_t first = *(const int64_t *)a, second = *(const int64_t *)b;
    return (first > second) - (first < second);
}

/* Five times the usual distance: the median, which a long gap does not move. */
int64_t
chq_plot_gap(const chq_plot_run_t *run)
{
    if (run->count < 3)
        return INT64_MAX;
    size_t count = run->count - 1;
    int64_t *distances = malloc(count * sizeof *distances);
    if (!distances)
        return INT64_MAX;
    for (size_t i = 0; i < count; i++)
        if (__builtin_sub_overflow(run->times[i + 1], run->times[i], &distances[i]))
            distances[i] = INT64_MAX;
    qsort(distances, count, sizeof *distances, by_value);
    int64_t typical = distances[count / 2];
    free(distances);
    return typical > INT64_MAX / 8 ? INT64_MAX : typical * 5;
}

double
chq_plot_x(const chq_plot_t *plot, int64_t time, double width)
{
    double span = (double)plot->end - (double)plot->start;
    return span > 0 ? ((double)time - (double)plot->start) / span * width : 0;
}

double
chq_plot_y(const chq_plot_t *plot, double value, double height)
{
    value = fmin(fmax(value, plot->low), plot->high);
    return (plot->high - value) / (plot->high - plot->low) * height;
}

/* First, last, least and greatest of run[from, to), in order of time; where they begin. */
static size_t
keep_corners(chq_plot_run_t *run, size_t from, size_t to, size_t kept)
{
    size_t low = from, high = from;
    for (size_t i = from; i < to; i++) {
        if (run->values[i] < run->values[low] || !isfinite(run->values[low]))
            low = i;
        if (run->values[i] > run->values[high] || !isfinite(run->values[high]))
            high = i;
    }
    for (size_t i = from; i < to; i++)
        if (i == from || i == low || i == high || i + 1 == to ||
            !isfinite(run->values[i])) {
            run->times[kept] = run->times[i];
            run->values[kept++] = run->values[i];
        }
    return kept;
}

void
chq_plot_thin(const chq_plot_t *plot, chq_plot_run_t *run, int columns)
{
    size_t kept = 0, from = 0;
    if (run->count < 4 * (size_t)columns)
        return;
    while (from < run->count) {
        double column = floor(chq_plot_x(plot, run->times[from], columns));
        size_t to = from + 1;
        while (to < run->count &&
               floor(chq_plot_x(plot, run->times[to], columns)) == column)
            to++;
        kept = keep_corners(run, from, to, kept);
        from = to;
    }
    run->count = kept;
}
