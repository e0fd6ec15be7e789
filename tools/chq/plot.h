/// Lines over time: braille in the terminal, or SVG.
///
/// Shape    some runs of points (times ascending), drawn into one frame with axes.
/// Threads  pure functions over `to`.
#ifndef CH_TOOLS_CHQ_PLOT_H
#define CH_TOOLS_CHQ_PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct chq_plot_run {
    const char *name;
    int64_t *times;
    double *values;
    size_t count;
} chq_plot_run_t;

typedef struct chq_plot {
    const chq_plot_run_t *runs;
    size_t run_count;
    int64_t start, end; /* of the x axis */
    double low, high;   /* of the y axis: see chq_plot_scale */
    const char *title;
} chq_plot_t;

enum { CHQ_PLOT_COLORS = 12, CHQ_PLOT_TICKS_MAX = 32, CHQ_PLOT_TEXT_BYTES = 48 };

/// Fit the y axis around the values, with round numbers at its ends. False: nothing to draw.
bool chq_plot_scale(chq_plot_t *plot);

/// A round distance of ticks so that about `wanted` fit into `span`: 1, 2 or 5 times a power of ten.
double chq_plot_tick(double span, int wanted);

/// Text of a y value on an axis whose ticks are `tick` apart: no more digits than tell ticks apart, and
/// k, M, G, T (or m, u, n) for what is large or small, the same for the whole axis.
const char *chq_plot_number(const chq_plot_t *plot, double value, double tick,
                            char out[CHQ_PLOT_TEXT_BYTES]);

/// Round times of [start, end], at most `most` of them (and CHQ_PLOT_TICKS_MAX). Returns how many.
int chq_plot_time_ticks(int64_t start, int64_t end, int most,
                        int64_t ticks_out[CHQ_PLOT_TICKS_MAX]);

/// Text of a time tick, as short as `distance` (of neighbouring ticks) allows: "14:05", "Nov 22", "2026".
const char *chq_plot_time(int64_t time, int64_t distance, char out[CHQ_PLOT_TEXT_BYTES]);

/// "2026-11-24 20:39:45 to 20:44:45 UTC"
const char *chq_plot_span(const chq_plot_t *plot, char out[2 * CHQ_PLOT_TEXT_BYTES]);

/// "min 3  max 95.9  last 40" of a run.
const char *chq_plot_summary(const chq_plot_run_t *run,
                             char out[4 * CHQ_PLOT_TEXT_BYTES]);

/// Drop points that `columns` pixels cannot show: of each column the first, least, greatest and last stay.
void chq_plot_thin(const chq_plot_t *plot, chq_plot_run_t *run, int columns);

/// Points further apart than this are not joined: a gap is a gap.
int64_t chq_plot_gap(const chq_plot_run_t *run);

/// Where a point lies in a frame of this size, from its upper left corner.
double chq_plot_x(const chq_plot_t *plot, int64_t time, double width);
double chq_plot_y(const chq_plot_t *plot, double value, double height);

void chq_plot_braille(const chq_plot_t *plot, FILE *to, int columns, int lines,
                      bool color);
void chq_plot_svg(const chq_plot_t *plot, FILE *to, int width, int height);

#endif
