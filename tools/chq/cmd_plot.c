#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "chq/chq.h"
#include "chq/plot.h"
#include "chq/text.h"

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

int
chq_cmd_plot(chq_t *chq)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    int64_t end = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec,
            start = end - 3600000000000;
    bool ranged = chq_range(chq, &start, &end);
    const char *svg = chq_option(chq, "svg"), *step_text = chq_option(chq, "step");
    int width = (int)chq_number(chq, "width", svg ? 900 : (uint64_t)terminal_columns());
    int height = (int)chq_number(chq, "height", svg ? 420 : 16);
    int64_t step = (end - start) / (svg ? width / 2 + 1 : width * 2);
    chq_arguments(chq, 1, 1);
    if (width > 10000 || height > 10000)
        chq_die(CHQ_EXIT_USAGE, "--width and --height: at most 10000");
    if (step_text && (!chq_duration_parse(step_text, &step) || step == 0))
        chq_die(CHQ_EXIT_USAGE, "--step %s: a duration such as 30s is needed", step_text);
    step = step > 0 ? step : 1;
    cityhall_reader_t *reader = chq_reader(chq);
    plot_job_t job = {.count = 0};
    cityhall_series_t series;
    cityhall_status_t status =
        cityhall_reader_query_range(reader, chq->argv[0], start, end, step);
    while (status >= 0 && (status = cityhall_reader_next(reader, &series)) == CITYHALL_OK)
        keep_run(&job, &series);
    chq_plot_t plot = {job.runs, job.count, start, end, 0, 0, chq->argv[0]};
    int code = CHQ_EXIT_OK;
    if (status < 0) {
        code = chq_reader_failed(chq, reader, status);
    } else if (!chq_plot_scale(&plot)) {
        chq_say("nothing to draw%s",
                ranged ? "" : " in the last hour; --last or --start says when");
        code = CHQ_EXIT_NOTHING;
    } else if (svg) {
        code = draw_svg(&plot, svg, width, height);
    } else {
        chq_plot_braille(&plot, stdout, width, height, chq->color);
    }
    if (job.left_out && !chq->quiet)
        chq_say("%zu more series are not drawn", job.left_out);
    release(&job);
    cityhall_reader_destroy(&reader);
    return code;
}
