/* plot_svg.c - a plot as a picture that stands alone: no script, no font of its own. */
#include <math.h>
#include <string.h>

#include "chq/plot.h"

static const char *const colors[CHQ_PLOT_COLORS] = {
    "#1f77b4", "#d95f02", "#2a9d5c", "#c8324a", "#7b4fa0", "#b8860b",
    "#17a2b8", "#e377c2", "#6b8e23", "#8c564b", "#5a6e8c", "#e6a100"};

enum { LEFT = 72, RIGHT = 24, TOP = 48, AXIS = 44, ROW = 18, CHARACTER = 7 };

static void
escaped(FILE *to, const char *text)
{
    for (; *text; text++) {
        if (*text == '<')
            (void)fputs("&lt;", to);
        else if (*text == '&')
            (void)fputs("&amp;", to);
        else if (*text == '"')
            (void)fputs("&quot;", to);
        else if ((unsigned char)*text >= 0x20)
            (void)fputc(*text, to);
    }
}

typedef struct frame {
    double left, top, width, height;
} frame_t;

static void
draw_values(const chq_plot_t *plot, FILE *to, frame_t frame)
{
    char text[CHQ_PLOT_TEXT_BYTES];
    double tick = chq_plot_tick(plot->high - plot->low, 5);
    int ticks = (int)lround((plot->high - plot->low) / tick);
    for (int i = 0; i <= ticks; i++) {
        double value = plot->low + tick * i;
        double y = frame.top + chq_plot_y(plot, value, frame.height);
        (void)fprintf(to,
                      "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" "
                      "class=\"%s\"/>"
                      "<text x=\"%.1f\" y=\"%.1f\" class=\"y\">%s</text>\n",
                      frame.left, y, frame.left + frame.width, y, i ? "grid" : "axis",
                      frame.left - 8, y + 4, chq_plot_number(plot, value, tick, text));
    }
}

static void
draw_times(const chq_plot_t *plot, FILE *to, frame_t frame)
{
    int64_t ticks[CHQ_PLOT_TICKS_MAX];
    char text[CHQ_PLOT_TEXT_BYTES];
    int count =
        chq_plot_time_ticks(plot->start, plot->end, (int)(frame.width / 90), ticks);
    int64_t distance = count > 1 ? ticks[1] - ticks[0] : plot->end / 2 - plot->start / 2;
    double bottom = frame.top + frame.height;
    for (int i = 0; i < count; i++) {
        double x = frame.left + chq_plot_x(plot, ticks[i], frame.width);
        (void)fprintf(to,
                      "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" "
                      "class=\"grid\"/>"
                      "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" "
                      "class=\"axis\"/>"
                      "<text x=\"%.1f\" y=\"%.1f\" class=\"x\">%s</text>\n",
                      x, frame.top, x, bottom, x, bottom, x, bottom + 5, x, bottom + 20,
                      chq_plot_time(ticks[i], distance, text));
    }
}

static void
draw_run(const chq_plot_t *plot, FILE *to, frame_t frame, size_t r)
{
    const chq_plot_run_t *run = &plot->runs[r];
    int64_t gap = chq_plot_gap(run);
    bool open = false;
    (void)fprintf(to, "<path class=\"run%s\" stroke=\"%s\" d=\"",
                  r < CHQ_PLOT_COLORS ? "" : " again", colors[r % CHQ_PLOT_COLORS]);
    for (size_t i = 0; i < run->count; i++) {
        bool finite = isfinite(run->values[i]);
        bool joined = open && run->times[i] - run->times[i - 1] <= gap;
        if (finite)
            (void)fprintf(to, joined ? "L%.2f %.2f" : "M%.2f %.2fh0", /* h0: a dot */
                          frame.left + chq_plot_x(plot, run->times[i], frame.width),
                          frame.top + chq_plot_y(plot, run->values[i], frame.height));
        open = finite;
    }
    (void)fputs("\"/>\n", to);
}

/* ---- legend: as many columns as fit */

static int
legend_columns(const chq_plot_t *plot, double width)
{
    size_t longest = 0;
    char text[4 * CHQ_PLOT_TEXT_BYTES];
    for (size_t r = 0; r < plot->run_count; r++) {
        size_t size =
            strlen(plot->runs[r].name) + strlen(chq_plot_summary(&plot->runs[r], text));
        longest = size > longest ? size : longest;
    }
    int columns = (int)(width / ((double)longest * CHARACTER + 50));
    return columns < 1 ? 1 : columns;
}

static void
draw_legend(const chq_plot_t *plot, FILE *to, frame_t frame, int columns)
{
    char text[4 * CHQ_PLOT_TEXT_BYTES];
    for (size_t r = 0; r < plot->run_count; r++) {
        double x = frame.left + frame.width / columns * (double)(r % (size_t)columns);
        size_t row = r / (size_t)columns;
        double y = frame.top + frame.height + AXIS + ROW * (double)row;
        (void)fprintf(to,
                      "<path class=\"run%s key\" stroke=\"%s\" d=\"M%.1f %.1fh16\"/>"
                      "<text x=\"%.1f\" y=\"%.1f\" fill=\"#222\">",
                      r < CHQ_PLOT_COLORS ? "" : " again", colors[r % CHQ_PLOT_COLORS], x,
                      y - 4, x + 24, y);
        escaped(to, plot->runs[r].name);
        (void)fprintf(to,
                      "<tspan dx=\"10\" xml:space=\"preserve\" fill=\"#777\" "
                      "font-size=\"11\">%s</tspan>",
                      chq_plot_summary(&plot->runs[r], text));
        (void)fputs("</text>\n", to);
    }
}

void
chq_plot_svg(const chq_plot_t *plot, FILE *to, int width, int height)
{
    frame_t frame = {LEFT, TOP, fmax(width - LEFT - RIGHT, 50), 0};
    char text[2 * CHQ_PLOT_TEXT_BYTES];
    int columns = legend_columns(plot, frame.width);
    double rows = ceil((double)plot->run_count / columns);
    /* a long legend makes the picture longer, not the plot flat */
    frame.height = fmax(height - TOP - AXIS - ROW * rows, fmax(height * 0.5, 50));
    double whole = TOP + frame.height + AXIS + ROW * rows;
    (void)fprintf(
        to,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" "
        "viewBox=\"0 0 %d %.0f\" font-family=\"sans-serif\" font-size=\"12\">\n"
        "<style>.grid{stroke:#e6e6e6}.axis{stroke:#888}.x{text-anchor:middle;fill:#444}"
        ".y{text-anchor:end;fill:#444}.run{fill:none;stroke-width:1.5;"
        "stroke-linejoin:round;stroke-linecap:round}.again{stroke-dasharray:5 3}"
        ".key{stroke-width:3}</style>\n"
        "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n"
        "<text x=\"%d\" y=\"22\" font-size=\"15\" fill=\"#222\">",
        width, whole, width, whole, LEFT);
    escaped(to, plot->title);
    (void)fprintf(
        to, "</text>\n<text x=\"%d\" y=\"38\" font-size=\"11\" fill=\"#777\">%s</text>\n",
        LEFT, chq_plot_span(plot, text));
    draw_values(plot, to, frame);
    draw_times(plot, to, frame);
    for (size_t r = 0; r < plot->run_count; r++)
        draw_run(plot, to, frame, r);
    draw_legend(plot, to, frame, columns);
    (void)fputs("</svg>\n", to);
}
