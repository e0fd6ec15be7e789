/* cmd_read.c - read, query and series: answers that come as runs of points or as keys. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chq/chq.h"
#include "chq/text.h"

static int64_t
now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static cityhall_value_t
value_at(const cityhall_series_t *series, size_t i)
{
    if (series->ints)
        return cityhall_int(series->ints[i]);
    if (series->floats)
        return cityhall_float(series->floats[i]);
    return series->values[i];
}

static void
print_points(chq_output_t *output, const cityhall_series_t *series, size_t most)
{
    for (size_t i = 0; i < series->count && i < most; i++) {
        char stamp[CHQ_TIME_BYTES], scratch[48];
        char *owned = NULL;
        chq_cell_t cells[3] = {
            chq_cell_text(chq_time_format(series->times[i], stamp)),
            chq_cell_text(series->key),
            chq_cell_value(output, value_at(series, i), scratch, &owned)};
        chq_output_row(output, cells);
        free(owned);
    }
}

/* All that the reader still has, as time, series, value. */
static int
print_runs(chq_t *chq, cityhall_reader_t *reader, uint64_t most)
{
    static const char *const columns[] = {"time", "series", "value"};
    chq_output_t *output = chq_output_new(stdout, chq->format, chq->color, columns, 3);
    cityhall_series_t series;
    cityhall_status_t status = CITYHALL_OK;
    while (most > 0 && (status = cityhall_reader_next(reader, &series)) == CITYHALL_OK) {
        print_points(output, &series, most);
        most -= series.count < most ? series.count : most;
    }
    long rows = chq_output_end(&output);
    if (status < 0)
        return chq_reader_failed(reader, status);
    return rows < 0 ? CHQ_EXIT_LOCAL : rows == 0 ? CHQ_EXIT_NOTHING : CHQ_EXIT_OK;
}

int
chq_cmd_read(chq_t *chq)
{
    int64_t start = INT64_MIN, end = INT64_MAX;
    (void)chq_range(chq, &start, &end);
    uint64_t limit = chq_number(chq, "limit", UINT64_MAX);
    chq_arguments(chq, 1, 1);
    cityhall_reader_t *reader = chq_reader(chq);
    cityhall_status_t status = cityhall_reader_read(reader, chq->argv[0], start, end);
    int code =
        status < 0 ? chq_reader_failed(reader, status) : print_runs(chq, reader, limit);
    if (code == CHQ_EXIT_NOTHING && !chq->quiet)
        chq_say("no points");
    cityhall_reader_destroy(&reader);
    return code;
}

int
chq_cmd_query(chq_t *chq)
{
    int64_t start = 0, end = now_ns(), step = 0, at = 0;
    const char *time_text = chq_option(chq, "time"), *step_text = chq_option(chq, "step");
    bool range = chq_range(chq, &start, &end);
    chq_arguments(chq, 1, 1);
    if (time_text && (range || !chq_time_parse(time_text, now_ns(), &at)))
        chq_die(CHQ_EXIT_USAGE, "--time takes one time, and no --start, --end or --last");
    if (step_text && (!chq_duration_parse(step_text, &step) || step == 0))
        chq_die(CHQ_EXIT_USAGE, "--step %s: a duration such as 30s is needed", step_text);
    if (range && start == 0)
        chq_die(CHQ_EXIT_USAGE, "a range needs --start (or --last)");
    if (range && step == 0)
        step = (end - start) / 60 > 0 ? (end - start) / 60 : 1;
    cityhall_reader_t *reader = chq_reader(chq);
    cityhall_status_t status =
        range ? cityhall_reader_query_range(reader, chq->argv[0], start, end, step)
              : cityhall_reader_query(reader, chq->argv[0], time_text ? at : now_ns());
    int code;
    if (status < 0) {
        code = chq_reader_failed(reader, status);
    } else if (strcmp(cityhall_reader_type(reader), "string") == 0) {
        (void)puts(cityhall_reader_string(reader));
        code = CHQ_EXIT_OK;
    } else {
        code = print_runs(chq, reader, UINT64_MAX);
    }
    if (code == CHQ_EXIT_NOTHING && !chq->quiet)
        chq_say("empty answer");
    cityhall_reader_destroy(&reader);
    return code;
}

int
chq_cmd_series(chq_t *chq)
{
    static const char *const columns[] = {"series"};
    int64_t start = INT64_MIN, end = INT64_MAX;
    (void)chq_range(chq, &start, &end);
    uint64_t limit = chq_number(chq, "limit", 0);
    chq_arguments(chq, 1, 1);
    cityhall_reader_t *reader = chq_reader(chq);
    cityhall_series_t series;
    cityhall_status_t status =
        cityhall_reader_series(reader, chq->argv[0], start, end, limit);
    chq_output_t *output = chq_output_new(stdout, chq->format, chq->color, columns, 1);
    while (status >= 0 &&
           (status = cityhall_reader_next(reader, &series)) == CITYHALL_OK) {
        chq_cell_t cell = chq_cell_text(series.key);
        chq_output_row(output, &cell);
    }
    long rows = chq_output_end(&output);
    int code = status < 0 ? chq_reader_failed(reader, status)
               : rows < 0 ? CHQ_EXIT_LOCAL
               : rows     ? CHQ_EXIT_OK
                          : CHQ_EXIT_NOTHING;
    cityhall_reader_destroy(&reader);
    return code;
}
