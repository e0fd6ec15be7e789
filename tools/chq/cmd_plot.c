#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "chq/chq.h"
#include "chq/plot.h"

enum { RUNS_MAX = 24 };

typedef struct plot_job {
    chq_plot_run_t runs[RUNS_MAX];
    size_t count, left_out;
} plot_job_t;

static double
number_at(const cityhall_series_t *series, size_t i)
{
    return series->floats ? series->floats[i]
           : series->ints ? (double)series->ints[i]
                          : 0;
}

static void
keep_run(plot_job_t *job, const cityhall_series_t *series)
{
    if (job->count == RUNS_MAX) {
        job->left_out++;
        return;
    }
    chq_plot_run_t *run = &job->runs[job->count++];
    run->name = strdup(*series->key ? series->key : "{}");
    run->times = malloc((series->count + 1) * sizeof *run->times);
    run->values = malloc((series->count + 1) * sizeof *run->values);
    if (!run->name || !run->times || !run->values)
        chq_die(CHQ_EXIT_LOCAL, "out of memory");
    run->count = series->count;
    for (size_t i = 0; i < series->count; i++) {
        run->times[i] = series->times[i];
        run->values[i] = number_at(series, i);
    }
}

static void
release(plot_job_t *job)
{
    for (size_t i = 0; i < job->count; i++) {
        free((char *)(uintptr_t)job->runs[i].name);
        free(job->runs[i].times);
        free(job->runs[i].values);
    }
}

static int
draw_svg(const chq_plot_t *plot, const char *path, int width, int height)
{
    FILE *to = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    if (!to) {
        chq_say("%s: %s", path, strerror(errno));
        return CHQ_EXIT_LOCAL;
    }
    chq_plot_svg(plot, to, width, height);
    bool failed = ferror(to) != 0;
    if (to != stdout)
        failed = fclose(to) != 0 || failed;
    if (failed)
        chq_say("%s: cannot be written", path);
    return failed ? CHQ_EXIT_LOCAL : CHQ_EXIT_OK;
}

static int
terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20)
        return size.ws_col;
    return 80;
}

static bool
fits(int64_t start, int64_t end)
{
    int64_t span;
    return !__builtin_sub_overflow(end, start, &span) && span > 0;
}

/* What is stored, when the query is a bare selector: every point and every gap. A range query would
 * show one value a step, and old ones for five minutes where nothing came. */
static cityhall_status_t
ask_stored(cityhall_reader_t *reader, const char *query, int64_t start, int64_t end,
           plot_job_t *job)
{
    size_t size = strlen(query) + 40;
    char *text = malloc(size);
    if (!text)
        chq_die(CHQ_EXIT_LOCAL, "out of memory");
    (void)snprintf(text, size, "%s[%" PRId64 "ms]", query, (end - start) / 1000000 + 1);
    cityhall_status_t status = cityhall_reader_query(reader, text, end);
    free(text);
    if (status >= 0 && strcmp(cityhall_reader_type(reader), "matrix") != 0)
        return CITYHALL_ERR_REFUSED;
    cityhall_series_t series;
    while (status >= 0 && (status = cityhall_reader_next(reader, &series)) == CITYHALL_OK)
        keep_run(job, &series);
    return status;
}

static cityhall_status_t
ask_steps(cityhall_reader_t *reader, const char *query, int64_t start, int64_t end,
          int64_t step, plot_job_t *job)
{
    cityhall_series_t series;
    cityhall_status_t status =
        cityhall_reader_query_range(reader, query, start, end, step);
    while (status >= 0 && (status = cityhall_reader_next(reader, &series)) == CITYHALL_OK)
        keep_run(job, &series);
    return status;
}

static int
draw(chq_t *chq, chq_plot_t *plot, plot_job_t *job, const char *svg, int width,
     int height)
{
    if (!chq_plot_scale(plot)) {
        chq_say("nothing to draw there; --last or --start names another time");
        return CHQ_EXIT_NOTHING;
    }
    for (size_t r = 0; r < job->count; r++)
        chq_plot_thin(plot, &job->runs[r], svg ? width : width * 2);
    if (svg)
        return draw_svg(plot, svg, width, height);
    chq_plot_braille(plot, stdout, width, height, chq->color);
    return CHQ_EXIT_OK;
}

int
chq_cmd_plot(chq_t *chq)
{
    int64_t end = chq_now_ns(), start = INT64_MIN;
    (void)chq_range(chq, &start, &end);
    const char *svg = chq_option(chq, "svg");
    int64_t step = chq_duration(chq, "step", 0);
    uint64_t width = chq_number(chq, "width", svg ? 900 : (uint64_t)terminal_columns());
    uint64_t height = chq_number(chq, "height", svg ? 420 : 16);
    chq_arguments(chq, 1, 1);
    if (width > 10000 || height > 10000)
        chq_die(CHQ_EXIT_USAGE, "--width and --height: at most 10000");
    if (start == INT64_MIN)
        start = end - 3600000000000;
    if (!fits(start, end))
        chq_die(CHQ_EXIT_USAGE, "the range must be longer than nothing and shorter than "
                                "292 years");
    const char *query = chq->argv[0];
    cityhall_reader_t *reader = chq_reader(chq);
    plot_job_t job = {.count = 0};
    cityhall_status_t status =
        step ? CITYHALL_ERR_REFUSED : ask_stored(reader, query, start, end, &job);
    if (status == CITYHALL_ERR_REFUSED) {
        int64_t points = (int64_t)(svg ? width / 2 + 1 : width * 2);
        release(&job);
        job = (plot_job_t){.count = 0};
        status = ask_steps(reader, query, start, end,
                           step ? step : (end - start) / points + 1, &job);
    }
    chq_plot_t plot = {job.runs, job.count, start, end, 0, 0, query};
    int code = status < 0 ? chq_reader_failed(chq, reader, status)
                          : draw(chq, &plot, &job, svg, (int)width, (int)height);
    if (job.left_out && !chq->quiet)
        chq_say("%zu more series are not drawn", job.left_out);
    release(&job);
    cityhall_reader_destroy(&reader);
    return code;
}
