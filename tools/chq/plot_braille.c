/* plot_braille.c - a plot in the terminal: each character is 2 x 4 dots. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "chq/plot.h"

typedef struct canvas {
    int columns, lines;
    uint8_t *dots;
    uint8_t *color; /* of the run drawn last, + 1 */
} canvas_t;

static void
set_dot(canvas_t *canvas, int x, int y, int color)
{
    static const uint8_t bits[4][2] = {
        {0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    if (x < 0 || y < 0 || x >= canvas->columns * 2 || y >= canvas->lines * 4)
        return;
    int at = y / 4 * canvas->columns + x / 2;
    canvas->dots[at] |= bits[y % 4][x % 2];
    canvas->color[at] = (uint8_t)(color + 1);
}

static void
draw_line(canvas_t *canvas, double x0, double y0, double x1, double y1, int color)
{
    int steps = (int)fmax(1, ceil(fmax(fabs(x1 - x0), fabs(y1 - y0))));
    for (int i = 0; i <= steps; i++)
        set_dot(canvas, (int)lround(x0 + (x1 - x0) * i / steps),
                (int)lround(y0 + (y1 - y0) * i / steps), color);
}

static void
draw_run(const chq_plot_t *plot, canvas_t *canvas, size_t r)
{
    const chq_plot_run_t *run = &plot->runs[r];
    double width = canvas->columns * 2 - 1, height = canvas->lines * 4 - 1;
    int64_t gap = chq_plot_gap(run);
    int color = (int)(r % CHQ_PLOT_COLORS);
    for (size_t i = 0; i < run->count; i++) {
        if (!isfinite(run->values[i]))
            continue;
        double x = chq_plot_x(plot, run->times[i], width);
        double y = chq_plot_y(plot, run->values[i], height);
        bool joined = i > 0 && isfinite(run->values[i - 1]) &&
                      run->times[i] - run->times[i - 1] <= gap;
        if (joined)
            draw_line(canvas, chq_plot_x(plot, run->times[i - 1], width),
                      chq_plot_y(plot, run->values[i - 1], height), x, y, color);
        else
            set_dot(canvas, (int)lround(x), (int)lround(y), color);
    }
}

static const char *const colors[CHQ_PLOT_COLORS] = {"36", "33", "35", "32", "34", "31",
                                                    "96", "93", "95", "92", "94", "91"};

static void
put_braille(FILE *to, uint8_t dots)
{
    if (dots == 0)
        (void)fputc(' ', to);
    else /* U+2800 + dots in UTF-8 */
        (void)fprintf(to, "\xe2%c%c", 0xa0 + (dots >> 6), 0x80 + (dots & 0x3f));
}

static void
write_canvas_line(const canvas_t *canvas, FILE *to, int line, bool color)
{
    int present = 0, end = canvas->columns;
    const uint8_t *dots = canvas->dots + line * canvas->columns;
    while (end > 0 && !dots[end - 1]) /* no spaces at the end of a line */
        end--;
    for (int column = 0; column < end; column++) {
        int wanted = canvas->color[line * canvas->columns + column];
        if (color && dots[column] && wanted != present) {
            (void)fprintf(to, "\033[%sm", colors[wanted - 1]);
            present = wanted;
        }
        put_braille(to, dots[column]);
    }
    (void)fputs(present ? "\033[0m\n" : "\n", to);
}

/* ---- axes */

enum { LINES_MAX = 10000 };

/* Labels of the lines where a tick falls; returns the width of the longest. */
static int
label_lines(const chq_plot_t *plot, int lines, char (*labels)[CHQ_PLOT_TEXT_BYTES])
{
    int wanted = lines / 2 < 5 ? lines / 2 : 5, width = 0;
    double tick = chq_plot_tick(plot->high - plot->low, wanted > 1 ? wanted : 1);
    double first = ceil(plot->low / tick - 1e-9);
    int count = (int)(plot->high / tick + 1e-6 - first) + 1;
    for (int i = 0; i < count; i++) {
        double value = (first + i) * tick;
        int line = (int)lround(chq_plot_y(plot, value, lines * 4 - 1)) / 4;
        chq_plot_number(plot, value, tick, labels[line]);
        int size = (int)strlen(labels[line]);
        width = size > width ? size : width;
    }
    return width;
}

static int64_t
distance_of(const chq_plot_t *plot, const int64_t *ticks, int count)
{
    return count > 1 ? ticks[1] - ticks[0] : plot->end / 2 - plot->start / 2;
}

static void
write_time_axis(const chq_plot_t *plot, FILE *to, int columns, int margin)
{
    enum { LABEL_COLUMNS = 14 };
    int64_t ticks[CHQ_PLOT_TICKS_MAX];
    char text[CHQ_PLOT_TEXT_BYTES];
    int count =
        chq_plot_time_ticks(plot->start, plot->end, columns / LABEL_COLUMNS, ticks);
    int64_t distance = distance_of(plot, ticks, count);
    int at = 0, used = 0;
    (void)fprintf(to, "%*s└", margin, "");
    for (int i = 0; i < count; i++, at++) {
        int column = (int)lround(chq_plot_x(plot, ticks[i], columns * 2 - 1)) / 2;
        for (; at < column; at++)
            (void)fputs("─", to);
        (void)fputs("┬", to);
    }
    for (; at < columns; at++)
        (void)fputs("─", to);
    (void)fprintf(to, "\n%*s", margin + 1, "");
    for (int i = 0; i < count; i++) {
        chq_plot_time(ticks[i], distance, text);
        int size = (int)strlen(text);
        int column = (int)lround(chq_plot_x(plot, ticks[i], columns * 2 - 1)) / 2;
        int from = column - size / 2;
        from = from + size > columns ? columns - size : from < 0 ? 0 : from;
        if (from < used + (used > 0) && used > 0)
            continue; /* too narrow for it */
        (void)fprintf(to, "%*s%s", from - used, "", text);
        used = from + size;
    }
    (void)fputc('\n', to);
}

static void
write_legend(const chq_plot_t *plot, FILE *to, int margin, bool color)
{
    char text[4 * CHQ_PLOT_TEXT_BYTES];
    int width = 0;
    for (size_t r = 0; r < plot->run_count; r++) {
        int size = (int)strlen(plot->runs[r].name);
        width = size > width ? size : width;
    }
    width = width > 48 ? 48 : width;
    (void)fprintf(to, "%*s%s\n", margin + 1, "", chq_plot_span(plot, text));
    for (size_t r = 0; r < plot->run_count; r++) {
        (void)fprintf(to, "%*s", margin + 1, "");
        if (color)
            (void)fprintf(to, "\033[%sm━━\033[0m ", colors[r % CHQ_PLOT_COLORS]);
        else
            (void)fputs("━━ ", to);
        (void)fprintf(to, "%-*s  %s\n", width, plot->runs[r].name,
                      chq_plot_summary(&plot->runs[r], text));
    }
}

void
chq_plot_braille(const chq_plot_t *plot, FILE *to, int columns, int lines, bool color)
{
    lines = lines > 3 ? lines : 3;
    lines = lines < LINES_MAX ? lines : LINES_MAX;
    char(*labels)[CHQ_PLOT_TEXT_BYTES] = calloc((size_t)lines, sizeof *labels);
    canvas_t canvas = {.lines = lines};
    if (!labels)
        return;
    int margin = label_lines(plot, lines, labels) + 3;
    canvas.columns = columns - margin - 1 > 10 ? columns - margin - 1 : 10;
    size_t cells = (size_t)canvas.columns * (size_t)lines;
    canvas.dots = calloc(cells, 1);
    canvas.color = calloc(cells, 1);
    if (!canvas.dots || !canvas.color)
        goto done;
    for (size_t r = 0; r < plot->run_count; r++)
        draw_run(plot, &canvas, r);
    for (int line = 0; line < lines; line++) {
        (void)fprintf(to, "%*s %s", margin - 1, labels[line], *labels[line] ? "┤" : "│");
        write_canvas_line(&canvas, to, line, color);
    }
    write_time_axis(plot, to, canvas.columns, margin);
    write_legend(plot, to, margin, color);
done:
    free(labels);
    free(canvas.dots);
    free(canvas.color);
}
