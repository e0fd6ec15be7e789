#include "chq/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
    if (high - low < 1e-9 * fmax(fabs(high), 1)) { /* a flat line stands in the middle */
        double around = fmax(fabs(high) / 2, 0.5);
        low -= around;
        high += around;
    }
    double tick = chq_plot_tick(high - low, 5);
    plot->low = floor(low / tick) * tick;
    plot->high = ceil(high / tick) * tick;
    return true;
}

void
chq_plot_time(int64_t time, int64_t span, char *out, size_t size)
{
    time_t seconds = (time_t)(time / 1000000000);
    struct tm parts;
    (void)gmtime_r(&seconds, &parts);
    const char *form = span < 600000000000LL        ? "%H:%M:%S"
                       : span < 172800000000000LL   ? "%H:%M"
                       : span < 15552000000000000LL ? "%b %d %H:%M"
                                                    : "%Y-%m-%d";
    (void)strftime(out, size, form, &parts);
}

/* ---- braille: each character is 2 x 4 dots */

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

/* Points further apart than this many typical distances are not joined: a gap is a gap. */
static int64_t
gap_of(const chq_plot_run_t *run)
{
    if (run->count < 3)
        return INT64_MAX;
    int64_t typical =
        (run->times[run->count - 1] - run->times[0]) / (int64_t)(run->count - 1);
    return typical > INT64_MAX / 8 ? INT64_MAX : typical * 5;
}

static double
place_x(const chq_plot_t *plot, int64_t time, double width)
{
    double span = (double)(plot->end - plot->start);
    return span > 0 ? (double)(time - plot->start) / span * width : 0;
}

static double
place_y(const chq_plot_t *plot, double value, double height)
{
    return (plot->high - value) / (plot->high - plot->low) * height;
}

static void
draw_run(const chq_plot_t *plot, canvas_t *canvas, size_t r)
{
    const chq_plot_run_t *run = &plot->runs[r];
    double width = canvas->columns * 2 - 1, height = canvas->lines * 4 - 1;
    int64_t gap = gap_of(run);
    int color = (int)(r % CHQ_PLOT_COLORS);
    for (size_t i = 0; i < run->count; i++) {
        if (!isfinite(run->values[i]))
            continue;
        double x = place_x(plot, run->times[i], width);
        double y = place_y(plot, run->values[i], height);
        bool joined = i > 0 && isfinite(run->values[i - 1]) &&
                      run->times[i] - run->times[i - 1] <= gap;
        if (joined)
            draw_line(canvas, place_x(plot, run->times[i - 1], width),
                      place_y(plot, run->values[i - 1], height), x, y, color);
        else
            set_dot(canvas, (int)lround(x), (int)lround(y), color);
    }
}

static const char *const colors[CHQ_PLOT_COLORS] = {"36", "33", "35", "32", "34", "31"};

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
    int present = 0;
    for (int column = 0; column < canvas->columns; column++) {
        int at = line * canvas->columns + column, wanted = canvas->color[at];
        if (color && canvas->dots[at] && wanted != present) {
            (void)fprintf(to, "\033[%sm", colors[wanted - 1]);
            present = wanted;
        }
        put_braille(to, canvas->dots[at]);
    }
    (void)fputs(present ? "\033[0m\n" : "\n", to);
}

static void
write_time_axis(const chq_plot_t *plot, FILE *to, int columns, int margin)
{
    char first[32], middle[32], last[32];
    int64_t span = plot->end - plot->start;
    chq_plot_time(plot->start, span, first, sizeof first);
    chq_plot_time(plot->start + span / 2, span, middle, sizeof middle);
    chq_plot_time(plot->end, span, last, sizeof last);
    int left = columns / 2 - (int)strlen(first) - (int)strlen(middle) / 2;
    int right =
        columns - (int)strlen(first) - left - (int)strlen(middle) - (int)strlen(last);
    if (left < 1 || right < 1) /* too narrow for three */
        (void)fprintf(to, "%*s%s%*s\n", margin, "", first, columns - (int)strlen(first),
                      last);
    else
        (void)fprintf(to, "%*s%s%*s%s%*s%s\n", margin, "", first, left, "", middle, right,
                      "", last);
}

void
chq_plot_braille(const chq_plot_t *plot, FILE *to, int columns, int lines, bool color)
{
    enum { MARGIN = 11 };
    canvas_t canvas = {.columns = columns - MARGIN - 1 > 10 ? columns - MARGIN - 1 : 10,
                       .lines = lines > 3 ? lines : 3};
    size_t cells = (size_t)canvas.columns * (size_t)canvas.lines;
    canvas.dots = calloc(cells, 1);
    canvas.color = calloc(cells, 1);
    if (!canvas.dots || !canvas.color)
        goto done;
    for (size_t r = 0; r < plot->run_count; r++)
        draw_run(plot, &canvas, r);
    for (int line = 0; line < canvas.lines; line++) {
        bool tick = line == 0 || line == canvas.lines - 1 || line == canvas.lines / 2;
        double value = plot->high - (plot->high - plot->low) * line / (canvas.lines - 1);
        if (tick)
            (void)fprintf(to, "%*.4g ┤", MARGIN - 2, value);
        else
            (void)fprintf(to, "%*s│", MARGIN - 1, "");
        write_canvas_line(&canvas, to, line, color);
    }
    write_time_axis(plot, to, canvas.columns, MARGIN);
    for (size_t r = 0; r < plot->run_count; r++)
        (void)fprintf(to, color ? "%*s\033[%sm━━\033[0m %s\n" : "%*s%.0s━━ %s\n", MARGIN,
                      "", colors[r % CHQ_PLOT_COLORS], plot->runs[r].name);
done:
    free(canvas.dots);
    free(canvas.color);
}

/* ---- SVG */

static const char *const svg_colors[CHQ_PLOT_COLORS] = {"#1f77b4", "#d95f02", "#7b4fa0",
                                                        "#2a9d5c", "#b8860b", "#c8324a"};

static void
svg_text(FILE *to, const char *text)
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
svg_axes(const chq_plot_t *plot, FILE *to, frame_t frame)
{
    double tick = chq_plot_tick(plot->high - plot->low, 5);
    int ticks = (int)lround((plot->high - plot->low) / tick);
    for (int i = 0; i <= ticks; i++) {
        double value = plot->low + tick * i;
        double y = frame.top + place_y(plot, value, frame.height);
        double shown = fabs(value) < tick / 1e6 ? 0 : value;
        (void)fprintf(
            to,
            "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"grid\"/>"
            "<text x=\"%.1f\" y=\"%.1f\" class=\"y\">%.6g</text>\n",
            frame.left, y, frame.left + frame.width, y, frame.left - 8, y + 4, shown);
    }
    enum { TICKS = 5 };
    int64_t span = plot->end - plot->start;
    for (int i = 0; i <= TICKS; i++) {
        char text[32];
        double x = frame.left + frame.width * i / TICKS;
        chq_plot_time(plot->start + span / TICKS * i, span, text, sizeof text);
        (void)fprintf(
            to,
            "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"tick\"/>"
            "<text x=\"%.1f\" y=\"%.1f\" class=\"x\">%s</text>\n",
            x, frame.top + frame.height, x, frame.top + frame.height + 5, x,
            frame.top + frame.height + 20, text);
    }
}

static void
svg_run(const chq_plot_t *plot, FILE *to, frame_t frame, size_t r)
{
    const chq_plot_run_t *run = &plot->runs[r];
    int64_t gap = gap_of(run);
    bool open = false;
    (void)fprintf(to, "<path class=\"run\" stroke=\"%s\" d=\"",
                  svg_colors[r % CHQ_PLOT_COLORS]);
    for (size_t i = 0; i < run->count; i++) {
        bool finite = isfinite(run->values[i]);
        bool joined = open && run->times[i] - run->times[i - 1] <= gap;
        if (finite)
            (void)fprintf(to, "%c%.2f %.2f", joined ? 'L' : 'M',
                          frame.left + place_x(plot, run->times[i], frame.width),
                          frame.top + place_y(plot, run->values[i], frame.height));
        open = finite;
    }
    (void)fputs("\"/>\n", to);
}

void
chq_plot_svg(const chq_plot_t *plot, FILE *to, int width, int height)
{
    double legend = 18.0 * (double)plot->run_count;
    frame_t frame = {70, 40, width - 95, height - 85 - legend};
    if (frame.width < 50)
        frame.width = 50;
    if (frame.height < 50)
        frame.height = 50;
    double whole = frame.top + frame.height + 45 + legend;
    (void)fprintf(
        to,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" "
        "viewBox=\"0 0 %d %.0f\" font-family=\"sans-serif\" font-size=\"12\">\n"
        "<style>.grid{stroke:#ddd}.tick{stroke:#888}.x{text-anchor:middle;fill:#444}"
        ".y{text-anchor:end;fill:#444}.run{fill:none;stroke-width:1.5;"
        "stroke-linejoin:round;stroke-linecap:round}</style>\n"
        "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n"
        "<text x=\"70\" y=\"24\" font-size=\"15\" fill=\"#222\">",
        width, whole, width, whole);
    svg_text(to, plot->title);
    (void)fputs("</text>\n", to);
    svg_axes(plot, to, frame);
    for (size_t r = 0; r < plot->run_count; r++)
        svg_run(plot, to, frame, r);
    for (size_t r = 0; r < plot->run_count; r++) {
        double y = frame.top + frame.height + 45 + 18.0 * (double)r;
        (void)fprintf(to,
                      "<rect x=\"70\" y=\"%.1f\" width=\"14\" height=\"3\" fill=\"%s\"/>"
                      "<text x=\"92\" y=\"%.1f\" fill=\"#222\">",
                      y - 5, svg_colors[r % CHQ_PLOT_COLORS], y);
        svg_text(to, plot->runs[r].name);
        (void)fputs("</text>\n", to);
    }
    (void)fputs("</svg>\n", to);
}
