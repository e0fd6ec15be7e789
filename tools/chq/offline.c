/* offline.c - read, query and export out of a data directory that no node has open.
 *
 * The engine is opened read-only: it replays the log into memory and changes nothing. The answers are the
 * node's own: same view, same paging, same evaluator.
 */
#include <string.h>

#include "ch/clock.h"
#include "ch/engine.h"
#include "ch/query.h"
#include "ch/series_key.h"
#include "ch/snapshot.h"
#include "ch/verify.h"
#include "chq/chq.h"

enum {
    PAGE_POINTS = 1 << 16,
    PAGE_BYTES = 8 << 20,
    SERIES_MAX = 1 << 26,
};

static int
exit_code(ch_status_t status)
{
    switch (status) {
    case CH_ERR_CORRUPT:
        return CHQ_EXIT_DAMAGED;
    case CH_ERR_PARSE:
    case CH_ERR_UNSUPPORTED:
    case CH_ERR_EXECUTION:
    case CH_ERR_LIMIT:
    case CH_ERR_INVALID:
        return CHQ_EXIT_REFUSED;
    default:
        return CHQ_EXIT_LOCAL;
    }
}

static int
failed(ch_status_t status)
{
    (void)fflush(stdout);
    chq_say("%s", ch_fail_text());
    return exit_code(status);
}

static void
say_warning(void *context, ch_log_level_t level, const char *line)
{
    (void)context;
    (void)level;
    chq_say("%s", line);
}

typedef struct offline {
    ch_log_t log;
    ch_engine_t *engine;
    ch_view_t *view;
    ch_clock_t clock;
} offline_t;

static ch_status_t
offline_open(const chq_t *chq, offline_t *offline)
{
    ch_engine_options_t options;
    *offline =
        (offline_t){.log = {say_warning, NULL, CH_LOG_WARN}, .clock = ch_clock_system()};
    ch_engine_options_init(&options);
    options.path = chq->data;
    options.read_only = true;
    options.background_threads = 0;
    options.log = &offline->log;
    ch_status_t status = ch_engine_open(&options, &offline->engine);
    if (status == CH_ERR_INVALID) /* of the directory, not of the question */
        status = CH_ERR_IO;
    return status < 0 ? status : ch_view_open(offline->engine, &offline->view);
}

static void
offline_close(offline_t *offline)
{
    ch_view_destroy(&offline->view);
    ch_engine_destroy(&offline->engine);
}

/* ---- runs */

static cityhall_value_t
client_value(ch_value_t value)
{
    switch (value.type) {
    case CH_VALUE_INT:
        return cityhall_int(value.i64);
    case CH_VALUE_FLOAT:
        return cityhall_float(value.f64);
    case CH_VALUE_BOOL:
        return cityhall_bool(value.boolean);
    case CH_VALUE_STRING:
        return cityhall_string((const char *)value.string.data, value.string.size);
    default:
        return (cityhall_value_t){.type = CITYHALL_NONE};
    }
}

/* One point at a time for mixed runs: they are rare. */
static void
print_list(chq_output_t *output, cityhall_series_t *series, const ch_points_t *points)
{
    const int64_t *times = series->times;
    size_t count = series->count;
    for (size_t i = 0; i < count; i++) {
        cityhall_value_t value = client_value(points->list[i]);
        series->times = times + i;
        series->values = &value;
        series->count = 1;
        chq_print_points(output, series, 1);
    }
    series->values = NULL; /* each value was this function's */
}

static void
print_run(chq_output_t *output, const ch_series_ref_t *ref, const ch_points_t *points,
          size_t most)
{
    ch_text_t key = {0};
    ch_series_key_format(ref->name, ref->labels, &key);
    ch_text_append(&key, "", 1);
    cityhall_series_t series = {.key = key.data,
                                .times = points->times,
                                .count = points->count < most ? points->count : most};
    if (points->form == CH_POINTS_I64)
        series.ints = points->ints;
    else if (points->form == CH_POINTS_F64)
        series.floats = points->floats;
    if (points->form == CH_POINTS_LIST)
        print_list(output, &series, points);
    else
        chq_print_points(output, &series, series.count);
    ch_text_release(&key);
}

static int
finish(const chq_t *chq, chq_output_t **output, ch_status_t status, const char *nothing)
{
    if (status < 0) {
        int code = failed(status);
        chq_output_drop(output);
        return code;
    }
    long rows = chq_output_end(output);
    if (rows < 0)
        chq_say("standard output cannot be written");
    else if (rows == 0 && !chq->quiet)
        chq_say("%s", nothing);
    return rows < 0 ? CHQ_EXIT_LOCAL : rows ? CHQ_EXIT_OK : CHQ_EXIT_NOTHING;
}

/* ---- read */

static void
print_page(chq_output_t *output, const ch_read_page_t *page, uint64_t *most)
{
    for (size_t i = 0; i<page->series.count && * most> 0; i++) {
        const ch_points_t *points = &page->points[i];
        print_run(output, &page->series.items[i], points, *most);
        *most -= points->count < *most ? points->count : *most;
    }
}

static ch_status_t
read_pages(offline_t *offline, const ch_selector_t *selector, int64_t start, int64_t end,
           uint64_t most, chq_output_t *output)
{
    ch_read_page_t *page = NULL, *before = NULL;
    ch_status_t status = CH_OK;
    bool more = true;
    while (status >= 0 && more && most > 0) {
        const ch_read_params_t params = {
            .start = start,
            .end = end,
            .points_max = PAGE_POINTS,
            .bytes_max = PAGE_BYTES,
            .series_max = SERIES_MAX,
            .cursor = before ? ch_bytes(before->cursor, before->cursor_size)
                             : ch_bytes(NULL, 0),
            .clock = &offline->clock,
        };
        status = ch_read_page(ch_view_source(offline->view), selector, &params, &page);
        if (status >= 0) {
            print_page(output, page, &most);
            more = page->more;
        }
        ch_read_page_destroy(&before);
        before = page;
        page = NULL;
    }
    ch_read_page_destroy(&before);
    return status;
}

int
chq_offline_read(chq_t *chq, const char *match, int64_t start, int64_t end, uint64_t most)
{
    offline_t offline;
    ch_selector_t *selector = NULL;
    ch_status_t status = offline_open(chq, &offline);
    chq_output_t *output = chq_points_output(chq);
    if (status >= 0)
        status = ch_selector_parse(ch_bytes_text(match), &selector);
    if (status >= 0)
        status = read_pages(&offline, selector, start, end, most, output);
    int code = finish(chq, &output, status, "no points");
    ch_selector_destroy(&selector);
    offline_close(&offline);
    return code;
}

/* ---- query */

static void
print_result(chq_output_t *output, const ch_query_result_t *result)
{
    for (size_t i = 0; i < result->count; i++) {
        const ch_query_series_t *from = &result->series[i];
        const ch_series_ref_t ref = {.name = from->name, .labels = from->labels};
        const ch_points_t points = {.form = CH_POINTS_F64,
                                    .count = from->count,
                                    .times = from->times,
                                    .floats = from->values};
        print_run(output, &ref, &points, from->count);
    }
}

int
chq_offline_query(chq_t *chq, const char *query, bool range, int64_t start, int64_t end,
                  int64_t step)
{
    offline_t offline;
    ch_query_result_t *result = NULL;
    ch_status_t status = offline_open(chq, &offline);
    const ch_query_params_t params = {
        .range = range,
        .start = start,
        .end = range ? end : start,
        .step = step,
        .samples_max = UINT64_MAX,
        .result_points_max = UINT64_MAX,
        .series_max = SERIES_MAX,
        .clock = &offline.clock,
    };
    if (status >= 0)
        status = ch_query_eval(ch_view_source(offline.view), ch_bytes_text(query),
                               &params, &result);
    chq_output_t *output = chq_points_output(chq);
    if (status >= 0 && result->type == CH_QUERY_STRING) {
        (void)fwrite(result->string.data, 1, result->string.size, stdout);
        (void)fputc('\n', stdout);
        chq_output_drop(&output);
    }
    for (size_t i = 0; status >= 0 && i < result->warning_count; i++)
        chq_say("%s", result->warnings[i]);
    if (status >= 0 && output)
        print_result(output, result);
    int code = output ? finish(chq, &output, status, "empty answer") : CHQ_EXIT_OK;
    ch_query_result_destroy(&result);
    offline_close(&offline);
    return code;
}

/* ---- verify */

static void
print_finding(void *context, const ch_verify_finding_t *finding)
{
    chq_cell_t cells[3] = {chq_cell_text(finding->damage ? "damaged" : "unfinished"),
                           chq_cell_text(finding->file), chq_cell_text(finding->text)};
    chq_output_row(context, cells);
}

int
chq_cmd_verify(chq_t *chq)
{
    static const char *const names[] = {"what", "file", "detail"};
    chq_arguments(chq, chq->data ? 0 : 1, chq->data ? 0 : 1);
    const char *dir = chq->data ? chq->data : chq->argv[0];
    ch_verify_report_t report = {0};
    chq_output_t *output = chq_output_new(stdout, chq->format, chq->color, names, 3);
    ch_status_t status = ch_verify(ch_fs_posix(), dir, print_finding, output, &report);
    if (status < 0) {
        chq_output_drop(&output);
        return failed(status) == CHQ_EXIT_DAMAGED ? CHQ_EXIT_DAMAGED : CHQ_EXIT_LOCAL;
    }
    if (chq_output_end(&output) < 0)
        return CHQ_EXIT_LOCAL;
    if (!chq->quiet)
        chq_say("%s: %s; %llu tables with %llu points, %llu log segments, %llu damaged",
                dir, report.damaged ? "DAMAGED" : "sound",
                (unsigned long long)report.tables, (unsigned long long)report.points,
                (unsigned long long)report.segments, (unsigned long long)report.damaged);
    return report.damaged ? CHQ_EXIT_DAMAGED : CHQ_EXIT_OK;
}

/* ---- copies */

static int
copy_database(const chq_t *chq, const char *from, const char *to, const char *base)
{
    ch_copy_report_t report = {0};
    ch_status_t status = ch_copy_database(ch_fs_posix(), from, to, base, &report);
    if (status < 0)
        return failed(status) == CHQ_EXIT_DAMAGED ? CHQ_EXIT_DAMAGED : CHQ_EXIT_LOCAL;
    if (!chq->quiet)
        chq_say("%s: %llu tables (%llu of them linked), %llu bytes copied", to,
                (unsigned long long)report.tables,
                (unsigned long long)report.tables_linked,
                (unsigned long long)report.bytes_copied);
    return CHQ_EXIT_OK;
}

int
chq_cmd_backup(chq_t *chq)
{
    const char *base = chq_option(chq, "base");
    chq_arguments(chq, 1, 1);
    if (!chq->data)
        chq_die(CHQ_EXIT_USAGE,
                "backup: --data DIR says of what; no node may have it open");
    return copy_database(chq, chq->data, chq->argv[0], base);
}

int
chq_cmd_restore(chq_t *chq)
{
    chq_arguments(chq, 2, 2);
    return copy_database(chq, chq->argv[0], chq->argv[1], NULL);
}
