/* cmd_read.c - read, query and series: answers that come as runs of points or as keys. */
#include <string.h>

#include "chq/chq.h"
#include "chq/text.h"

static cityhall_value_t
value_at(const cityhall_series_t *series, size_t i)
{
    if (series->ints)
        return cityhall_int(series->ints[i]);
    if (series->floats)
        return cityhall_float(series->floats[i]);
    return series->values[i];
}

static const char *
type_name(cityhall_value_t value)
{
    static const char *const names[] = {[CITYHALL_INT] = "int",
                                        [CITYHALL_FLOAT] = "float",
                                        [CITYHALL_BOOL] = "bool",
                                        [CITYHALL_STRING] = "string"};
    return value.type == CITYHALL_NONE ? "" : names[value.type];
}

chq_output_t *
chq_points_output(const chq_t *chq)
{
    static const char *const columns[] = {"time", "series", "value", "type"};
    return chq_output_new(stdout, chq->format, chq->color, columns, chq->typed ? 4 : 3);
}

void
chq_print_points(chq_output_t *output, const cityhall_series_t *series, size_t most)
{
    for (size_t i = 0; i < series->count && i < most; i++) {
        char stamp[CHQ_TIME_BYTES], scratch[48];
        cityhall_value_t value = value_at(series, i);
        chq_cell_t cells[4] = {chq_cell_text(chq_time_format(series->times[i], stamp)),
                               chq_cell_text(*series->key ? series->key : "{}"),
                               chq_cell_value(output, value, scratch),
                               chq_cell_text(type_name(value))};
        chq_output_row(output, cells);
    }
}

/* All that the reader still has, as time, series, value. */
static int
print_runs(chq_t *chq, cityhall_reader_t **reader, cityhall_status_t status,
           uint64_t most, const char *nothing)
{
    chq_output_t *output = chq_points_output(chq);
    cityhall_series_t series;
    while (status >= 0 && most > 0 &&
           (status = cityhall_reader_next(*reader, &series)) == CITYHALL_OK) {
        chq_print_points(output, &series, most);
        most -= series.count < most ? series.count : most;
    }
    return chq_finish(chq, reader, &output, status, nothing);
}

static int
read_points(chq_t *chq, const char *selector, int64_t start, int64_t end, uint64_t most)
{
    if (chq->data)
        return chq_offline_read(chq, selector, start, end, most);
    cityhall_reader_t *reader = chq_reader(chq);
    cityhall_status_t status = cityhall_reader_read(reader, selector, start, end);
    return print_runs(chq, &reader, status, most, "no points");
}

int
chq_cmd_read(chq_t *chq)
{
    int64_t start = INT64_MIN, end = INT64_MAX;
    (void)chq_range(chq, &start, &end);
    uint64_t limit = chq_number(chq, "limit", UINT64_MAX);
    chq_arguments(chq, 1, 1);
    return read_points(chq, chq->argv[0], start, end, limit);
}

/* A read of everything, as NDJSON with the type of each value: a whole float stays one, and NaN is told
 * from the string. */
int
chq_cmd_export(chq_t *chq)
{
    int64_t start = INT64_MIN, end = INT64_MAX;
    (void)chq_range(chq, &start, &end);
    chq_arguments(chq, 0, 1);
    if (chq->format_given && chq->format != CHQ_NDJSON)
        chq_die(CHQ_EXIT_USAGE, "export: only -o ndjson keeps keys and types");
    chq->format = CHQ_NDJSON;
    chq->typed = true;
    const char *everything = "{__name__=~\".+\"}";
    return read_points(chq, chq->argc ? chq->argv[0] : everything, start, end,
                       UINT64_MAX);
}

/* Of a range without --step: 60 steps. */
static int64_t
step_of(int64_t start, int64_t end)
{
    int64_t step = end / 60 - start / 60; /* the difference itself may not fit */
    return step > 0 ? step : 1;
}

int
chq_cmd_query(chq_t *chq)
{
    const int64_t unset = INT64_MIN;
    int64_t start = unset, end = chq_now_ns(), at = chq_time(chq, "time", unset);
    int64_t step = chq_duration(chq, "step", 0);
    bool range = chq_range(chq, &start, &end);
    chq_arguments(chq, 1, 1);
    if (at != unset && range)
        chq_die(CHQ_EXIT_USAGE, "--time goes with none of --start, --end and --last");
    if (range && start == unset)
        chq_die(CHQ_EXIT_USAGE, "a range needs --start (or --last)");
    if (step && !range)
        chq_die(CHQ_EXIT_USAGE, "--step needs a range: --start or --last");
    if (!step)
        step = range ? step_of(start, end) : 0;
    if (chq->data)
        return chq_offline_query(chq, chq->argv[0], range,
                                 range         ? start
                                 : at != unset ? at
                                               : chq_now_ns(),
                                 end, step);
    cityhall_reader_t *reader = chq_reader(chq);
    cityhall_status_t status =
        range ? cityhall_reader_query_range(reader, chq->argv[0], start, end, step)
              : cityhall_reader_query(reader, chq->argv[0],
                                      at != unset ? at : chq_now_ns());
    if (status >= 0 && strcmp(cityhall_reader_type(reader), "string") == 0) {
        (void)puts(cityhall_reader_string(reader));
        cityhall_reader_destroy(&reader);
        return CHQ_EXIT_OK;
    }
    return print_runs(chq, &reader, status, UINT64_MAX, "empty answer");
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
    return chq_finish(chq, &reader, &output, status, "no series");
}
