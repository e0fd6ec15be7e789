/* query_ops.c - reads: open a view, ask the engine, write the reply.
 *
 * Each answer is one state: the view's. A reply that grows past limits.reply_bytes is an error, except
 * for `read`, which asks for pages that fit and hands out a cursor.
 */
#include "query_ops.h"

#include <inttypes.h>
#include "ch/alloc.h"
#include "ch/query.h"
#include "scope.h"

enum {
    REPLY_SLACK_BYTES = 64 << 10, /* of a page: the fields around the points */
    SERIES_MAX = 1000000,         /* series one request may select */
};

typedef struct answer {
    const ch_node_t *node;
    const ch_request_t *request;
    int64_t deadline_ns;
    int64_t began_ns;
    bool memory_only; /* no table is read for a get */
    const char *scope_text;
    ch_scope_t scope; /* what the asker may see */
    ch_view_t *view;
    ch_reply_t *reply;
    ch_read_tail_t tail;
    const char *warning;
} answer_t;

static ch_status_t
parse_match(const answer_t *answer, ch_selector_t **selector)
{
    if (!answer->request->has_match)
        return ch_fail(CH_ERR_INVALID,
                       "match is missing: a selector such as name{label=\"v\"}");
    ch_status_t status = ch_selector_parse(answer->request->match, selector);
    return status < 0 ? status : ch_scope_narrow(&answer->scope, selector);
}

/* ---- get */

static ch_status_t
answer_get(answer_t *answer)
{
    const ch_request_t *request = answer->request;
    int64_t time = 0;
    ch_value_t value = {.type = CH_VALUE_NONE};
    ch_status_t status = ch_scope_series(&answer->scope, request->name, request->labels);
    if (status < 0)
        return status;
    status = ch_view_get(answer->view, request->name, request->labels,
                         request->has_time ? request->time : CH_TIME_MAX, &time, &value);
    if (status < 0)
        return status;
    ch_reply_put_get(answer->reply, status == CH_OK, time, value);
    return CH_OK;
}

/* ---- read */

static void
put_page(answer_t *answer, const ch_read_page_t *page)
{
    ch_reply_array_begin(answer->reply, "series");
    for (size_t i = 0; i < page->series.count; i++) {
        const ch_series_ref_t *series = &page->series.items[i];
        ch_reply_put_run(answer->reply, series->name, series->labels, &page->points[i], 0,
                         page->points[i].count);
    }
    ch_reply_array_end(answer->reply);
    if (page->more)
        ch_reply_put_bin(answer->reply, "cursor",
                         ch_bytes(page->cursor, page->cursor_size));
    answer->tail.samples = page->point_count;
    answer->tail.series = page->series.count;
}

static ch_status_t
answer_read(answer_t *answer)
{
    const ch_request_t *request = answer->request;
    const ch_limits_t *limits = &answer->node->limits;
    const ch_read_params_t params = {
        .start = request->start,
        .end = request->has_end ? request->end : CH_TIME_MAX,
        .points_max = request->limit,
        .bytes_max = limits->reply_bytes - REPLY_SLACK_BYTES / 2,
        .series_max = SERIES_MAX,
        .cursor = request->cursor,
        .clock = &answer->node->query_clock,
        .deadline_ns = answer->deadline_ns,
    };
    ch_selector_t *selector = NULL;
    ch_read_page_t *page = NULL;
    ch_status_t status = parse_match(answer, &selector);
    if (status == CH_OK)
        status = ch_read_page(ch_view_source(answer->view), selector, &params, &page);
    if (status == CH_OK)
        put_page(answer, page);
    ch_read_page_destroy(&page);
    ch_selector_destroy(&selector);
    return status;
}

/* ---- query */

static const char *
type_name(ch_query_type_t type)
{
    static const char *const names[] = {[CH_QUERY_SCALAR] = "scalar",
                                        [CH_QUERY_VECTOR] = "vector",
                                        [CH_QUERY_MATRIX] = "matrix",
                                        [CH_QUERY_STRING] = "string"};
    return names[type];
}

static void
put_table(answer_t *answer, const ch_query_result_t *result)
{
    ch_reply_vector_t *rows = ch_calloc(result->count + 1, sizeof *rows);
    for (size_t i = 0; i < result->count; i++) {
        const ch_query_series_t *series = &result->series[i];
        rows[i] = (ch_reply_vector_t){.name = series->name,
                                      .labels = series->labels,
                                      .time = series->times[0],
                                      .value = series->values[0]};
    }
    ch_reply_put_table(answer->reply, rows, result->count);
    ch_free(rows);
}

static void
put_series(answer_t *answer, const ch_query_result_t *result)
{
    ch_reply_array_begin(answer->reply, "result");
    for (size_t i = 0; i < result->count; i++) {
        const ch_query_series_t *series = &result->series[i];
        ch_reply_put_floats_run(answer->reply, series->name, series->labels,
                                series->times, series->values, series->count);
    }
    ch_reply_array_end(answer->reply);
}

static void
put_result(answer_t *answer, const ch_query_result_t *result)
{
    ch_reply_put_text(answer->reply, "type", ch_bytes_text(type_name(result->type)));
    if (result->type == CH_QUERY_STRING)
        ch_reply_put_text(answer->reply, "value", result->string);
    else if (answer->request->form_table && result->type == CH_QUERY_VECTOR)
        put_table(answer, result);
    else
        put_series(answer, result);
    answer->tail.samples = result->samples;
    answer->tail.series = result->series_selected;
    answer->tail.warnings = result->warnings;
    answer->tail.warning_count = result->warning_count;
}

static void
put_tail(answer_t *answer)
{
    int64_t now = ch_clock_monotonic_ns(&answer->node->clock);
    answer->warning = ch_view_warning(answer->view);
    if (answer->warning) { /* of lists, which have no other */
        answer->tail.warnings = &answer->warning;
        answer->tail.warning_count = 1;
    }
    answer->tail.duration_us = (uint64_t)(now - answer->began_ns) / 1000;
    ch_reply_put_tail(answer->reply, &answer->tail);
}

static ch_status_t
answer_query(answer_t *answer)
{
    const ch_request_t *request = answer->request;
    const ch_limits_t *limits = &answer->node->limits;
    bool range = request->has_step;
    int64_t at =
        request->has_time ? request->time : ch_clock_wall_ns(&answer->node->clock);
    const ch_query_params_t params = {
        .range = range,
        .start = range ? request->start : at,
        .end = range ? request->end : at,
        .step = request->step,
        .samples_max = limits->query_samples,
        .result_points_max = limits->reply_bytes / 16, /* a time and a value each */
        .series_max = SERIES_MAX,
        .memory_max = limits->query_memory,
        .clock = &answer->node->query_clock,
        .deadline_ns = answer->deadline_ns,
    };
    ch_query_result_t *result = NULL;
    ch_status_t status =
        ch_query_eval(ch_scope_source(&answer->scope, ch_view_source(answer->view)),
                      request->query, &params, &result);
    if (status == CH_OK) {
        put_result(answer, result);
        put_tail(answer); /* here: the warnings are the result's */
    }
    ch_query_result_destroy(&result);
    return status;
}

/* ---- series, labels, label_values */

static ch_status_t
answer_series(answer_t *answer)
{
    const ch_request_t *request = answer->request;
    const ch_source_t *source = ch_view_source(answer->view);
    ch_selector_t *selector = NULL;
    ch_series_list_t list = {0};
    ch_status_t status = parse_match(answer, &selector);
    if (status == CH_OK)
        status = source->select(source->context, selector, request->start,
                                request->has_end ? request->end : CH_TIME_MAX, SERIES_MAX,
                                &list);
    if (status == CH_OK) {
        ch_reply_array_begin(answer->reply, "series");
        for (size_t i = 0; i < list.count && i < request->limit; i++)
            ch_reply_put_labels(answer->reply, NULL, list.items[i].name,
                                list.items[i].labels);
        ch_reply_array_end(answer->reply);
        answer->tail.series = list.count;
    }
    ch_series_list_release(&list);
    ch_selector_destroy(&selector);
    return status;
}

/* Stops at the reply's limit: finish will then say so. */
static bool
put_value(void *context, ch_bytes_t value)
{
    answer_t *answer = context;
    ch_reply_put_text(answer->reply, NULL, value);
    return answer->reply->buffer.size < answer->node->limits.reply_bytes &&
           ch_clock_monotonic_ns(&answer->node->query_clock) < answer->deadline_ns;
}

static ch_status_t
answer_labels(answer_t *answer)
{
    const ch_request_t *request = answer->request;
    ch_selector_t *selector = NULL;
    ch_status_t status = CH_OK;
    if (request->has_match)
        status = ch_selector_parse(request->match, &selector);
    if (status == CH_OK)
        status = ch_scope_narrow(&answer->scope, &selector);
    if (status < 0) {
        ch_selector_destroy(&selector);
        return status;
    }
    ch_reply_array_begin(answer->reply, "values");
    if (request->op == CH_OP_LABELS)
        status = ch_view_labels(answer->view, selector, put_value, answer);
    else
        status = ch_view_label_values(answer->view, selector, request->label, put_value,
                                      answer);
    ch_reply_array_end(answer->reply);
    ch_selector_destroy(&selector);
    if (status >= 0 &&
        ch_clock_monotonic_ns(&answer->node->query_clock) >= answer->deadline_ns)
        return ch_fail(CH_ERR_TIMEOUT,
                       "the answer took longer than the request's timeout");
    return status < 0 ? status : CH_OK;
}

/* ---- delete */

static ch_status_t
count_match(const ch_node_t *node, const ch_request_t *request, ch_view_t *view,
            int64_t deadline_ns, uint64_t *points_out, uint64_t *series_out)
{
    ch_selector_t *selector = NULL;
    *points_out = *series_out = 0;
    ch_status_t status = ch_selector_parse(request->match, &selector);
    if (status >= 0)
        status = ch_view_count(view, selector, request->start, request->end,
                               &node->query_clock, deadline_ns, points_out, series_out);
    ch_selector_destroy(&selector);
    return status;
}

static ch_status_t
answer_dry_run(answer_t *answer)
{
    uint64_t points, series;
    ch_status_t status = count_match(answer->node, answer->request, answer->view,
                                     answer->deadline_ns, &points, &series);
    if (status < 0)
        return status;
    ch_reply_put_uint(answer->reply, "points", points);
    ch_reply_put_uint(answer->reply, "series", series);
    return CH_OK;
}

ch_bytes_t
ch_query_deleted(const ch_node_t *node, const ch_request_t *request, ch_view_t *before,
                 uint64_t lsn, int64_t deadline_ns, ch_reply_t *reply,
                 ch_status_t *status_out)
{
    uint64_t points = 0, series = 0;
    ch_status_t status = CH_OK;
    if (before)
        status = count_match(node, request, before, deadline_ns, &points, &series);
    ch_reply_begin(reply, request->id);
    ch_reply_put_uint(reply, "points", points);
    ch_reply_put_uint(reply, "series", series);
    ch_reply_put_uint(reply, "lsn", lsn);
    if (status < 0) {
        char text[300];
        snprintf(text, sizeof text, "deleted, but not all was counted: %s",
                 ch_fail_text());
        ch_reply_array_begin(reply, "warnings");
        ch_reply_put_message(reply, NULL, text);
        ch_reply_array_end(reply);
    }
    ch_bytes_t frame;
    status = ch_reply_finish(reply, &frame);
    *status_out = status;
    return status < 0 ? ch_query_error(reply, request->id, status) : frame;
}

/* ---- producers */

static void
put_producer(void *context, const char *producer, const ch_session_view_t *view)
{
    const ch_producer_entry_t entry = {
        .epoch = view->epoch,
        .durable = view->durable,
        .replicated = view->durable,
        .rejected = view->rejected,
        .gaps = view->gaps,
        .duplicates = view->duplicates,
        .last_time = view->last_time,
    };
    ch_reply_put_producer(context, producer, &entry);
}

static ch_status_t
answer_producers(answer_t *answer)
{
    ch_reply_map_begin(answer->reply, "producers");
    ch_engine_sessions(answer->node->engine, put_producer, answer->reply);
    ch_reply_map_end(answer->reply);
    return CH_OK;
}

/* ---- all */

static ch_status_t
answer_body(answer_t *answer)
{
    switch (answer->request->op) {
    case CH_OP_GET:
        return answer_get(answer);
    case CH_OP_READ:
        return answer_read(answer);
    case CH_OP_QUERY:
        return answer_query(answer);
    case CH_OP_SERIES:
        return answer_series(answer);
    case CH_OP_LABELS:
    case CH_OP_LABEL_VALUES:
        return answer_labels(answer);
    case CH_OP_DELETE:
        return answer_dry_run(answer);
    case CH_OP_PRODUCERS:
        return answer_producers(answer);
    default:
        return ch_fail(CH_ERR_UNSUPPORTED, "%s is no read",
                       ch_op_name(answer->request->op));
    }
}

static ch_status_t
answer_view(answer_t *answer, ch_bytes_t *frame_out)
{
    ch_status_t status = ch_view_open(answer->node->engine, &answer->view);
    if (status < 0)
        return status;
    ch_view_set_deadline(answer->view, &answer->node->query_clock, answer->deadline_ns);
    if (answer->memory_only)
        ch_view_keep_to_memory(answer->view);
    ch_op_t op = answer->request->op;
    if (op == CH_OP_SERIES || op == CH_OP_LABELS || op == CH_OP_LABEL_VALUES)
        ch_view_list_despite_damage(answer->view);
    answer->tail.lsn = ch_view_lsn(answer->view);
    answer->tail.time = ch_clock_wall_ns(&answer->node->clock);
    ch_reply_begin(answer->reply, answer->request->id);
    status = answer_body(answer);
    bool tailed = op == CH_OP_QUERY || op == CH_OP_PRODUCERS;
    if (status == CH_OK && !tailed)
        put_tail(answer);
    if (status == CH_OK)
        status = ch_reply_finish(answer->reply, frame_out);
    ch_view_destroy(&answer->view);
    return status;
}

static ch_status_t
answer_whole(answer_t *answer, ch_bytes_t *frame_out)
{
    ch_status_t status = ch_scope_init(&answer->scope, answer->scope_text);
    if (status == CH_OK)
        status = answer_view(answer, frame_out);
    ch_scope_release(&answer->scope);
    return status;
}

ch_bytes_t
ch_query_error(ch_reply_t *reply, ch_bytes_t id, ch_status_t status)
{
    return ch_reply_error(reply, id, ch_reply_code(status), ch_fail_text(), NULL);
}

static answer_t
answer_new(const ch_node_t *node, const ch_request_t *request, const char *scope,
           int64_t deadline_ns, ch_reply_t *reply)
{
    return (answer_t){.node = node,
                      .request = request,
                      .scope_text = scope,
                      .deadline_ns = deadline_ns,
                      .began_ns = ch_clock_monotonic_ns(&node->clock),
                      .reply = reply};
}

bool
ch_query_answer_at_once(const ch_node_t *node, const ch_request_t *request,
                        const char *scope, int64_t deadline_ns, ch_reply_t *reply,
                        ch_bytes_t *frame_out, ch_status_t *status_out)
{
    answer_t answer = answer_new(node, request, scope, deadline_ns, reply);
#ifndef CH_FAULT_NODE_GET_READS_TABLES
    answer.memory_only = true;
#endif
    ch_status_t status = answer_whole(&answer, frame_out);
    *status_out = status;
    if (status < 0 && status != CH_ERR_BUSY)
        *frame_out = ch_query_error(reply, request->id, status);
    return status != CH_ERR_BUSY;
}

ch_bytes_t
ch_query_answer(const ch_node_t *node, const ch_request_t *request, const char *scope,
                int64_t deadline_ns, ch_reply_t *reply, ch_status_t *status_out)
{
    answer_t answer = answer_new(node, request, scope, deadline_ns, reply);
    ch_bytes_t frame;
    ch_status_t status = answer_whole(&answer, &frame);
    *status_out = status;
    return status < 0 ? ch_query_error(reply, request->id, status) : frame;
}
