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

enum { CHQ_PLOT_COLORS = 6 };

/// Fit the y axis around the values, with round numbers at its ends. False: nothing to draw.
bool chq_plot_scale(chq_plot_t *plot);

/// A round distance of ticks so that about `wanted` fit into `span`: 1, 2 or 5 times a power of ten.
double chq_plot_tick(double span, int wanted);

void chq_plot_braille(const chq_plot_t *plot, FILE *to, int columns, int lines,
                      bool color);
void chq_plot_svg(const chq_plot_t *plot, FILE *to, int width, int height);

/// Time of an x tick, as short as the span allows ("14:05", "Nov 22").
void chq_plot_time(int64_t time, int64_t span, char *out, size_t size);

#endif
