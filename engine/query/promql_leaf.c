/* promql_leaf.c - from stored series to rows: one value per series and step.
 *
 * Idea      An instant selector is the last point of its lookback window, a range function is a
 *           function of its range; so both slide one window over each series, which is read once.
 * Headers   Where windows do not overlap, sums and the like, and what a counter that never fell has
 *           grown by, may come from chunk headers (source->summarise) without decoding a point.
 */
#include "query/promql_eval.h"

#include <math.h>

#include "ch/alloc.h"
#include "query/promql_window.h"
#include "query/range_functions.h"

enum {
    SUMMARY_RANGE_SECONDS_MIN = 300, /* below, decoding is about as cheap as asking */
    SUMMARY_DECODED_FREE =
        32 * 1024, /* points, before it is judged whether headers help */
    SUMMARY_DECODED_RATIO = 2,
};

typedef struct leaf {
    ch_promql_eval_t *eval;
    ch_promql_range_function_t function;
    ch_promql_reader_t reader;
    bool sparse;    /* windows leave gaps */
    bool summarise; /* headers may answer */
    uint64_t summarised,
        decoded; /* points answered for by summaries, and decoded for them */
} leaf_t;

int64_t
ch_promql_step_time(const ch_promql_eval_t *eval, size_t step)
{
    const ch_query_params_t *params = eval->params;
    return (int64_t)((uint64_t)params->start + step * (uint64_t)params->step);
}

void
ch_promql_step_window(const ch_promql_eval_t *eval, size_t step, int64_t *from_out,
                      int64_t *end_out)
{
    const ch_promql_modifiers_t *modifiers = &eval->plan->modifiers;
    int64_t end = ch_promql_step_time(eval, step);
    if (modifiers->at == CH_AT_TIME)
        end = modifiers->at_time;
    else if (modifiers->at == CH_AT_START)
        end = ch_promql_step_time(eval, 0);
    else if (modifiers->at == CH_AT_END)
        end = eval->params->range ? eval->params->end : eval->params->start;
    end = ch_promql_sub_time(end, modifiers->offset);
    *end_out = end;
    *from_out = ch_promql_sub_time(end, eval->plan->range - 1);
}

/* [from, end) of all windows together. */
static void
span_of(const ch_promql_eval_t *eval, int64_t *from_out, int64_t *end_out)
{
    int64_t unused;
    ch_promql_step_window(eval, 0, from_out, &unused);
    ch_promql_step_window(eval, eval->steps - 1, &unused, end_out);
    *end_out = ch_promql_add_time(*end_out, 1);
}

/* rate, increase and delta need no point between the first and the last, unless a counter fell. */
static bool
summary_change(ch_promql_range_function_t function, const ch_summary_t *summary,
               int64_t start, int64_t end, double *value_out)
{
    bool counter = function != ch_promql_delta;
#ifndef CH_FAULT_SUMMARY_FALL_IGNORED
    if (counter && summary->falls)
        return false;
#endif
    const ch_promql_change_t change = {.count = summary->count,
                                       .start = start,
                                       .end = end,
                                       .first_time = summary->first_time,
                                       .last_time = summary->last_time,
                                       .first = summary->first,
                                       .increase = summary->last - summary->first};
    *value_out = ch_promql_extrapolate(&change, counter, function == ch_promql_rate);
    return true;
}

static bool
summary_value(ch_promql_range_function_t function, const ch_summary_t *summary,
              int64_t start, int64_t end, double *value_out)
{
    if (summary->count == 0)
        *value_out = ch_promql_absent();
    else if (function == ch_promql_sum_over_time)
        *value_out = summary->sum;
    else if (function == ch_promql_count_over_time)
        *value_out = (double)summary->count;
    else if (function == ch_promql_min_over_time)
        *value_out = summary->min;
    else if (function == ch_promql_max_over_time)
        *value_out = summary->max;
    else if (function == ch_promql_avg_over_time)
        *value_out = summary->sum / (double)summary->count;
    else if (function == ch_promql_rate || function == ch_promql_increase ||
             function == ch_promql_delta)
        return summary_change(function, summary, start, end, value_out);
    else
        return false;
    return !isinf(*value_out); /* an overflowed sum has a finite mean: read */
}

static bool
function_has_summary(ch_promql_range_function_t function)
{
    double unused;
    ch_summary_t one = {.count = 1};
    return summary_value(function, &one, 0, 1, &unused);
}

/* One value from chunk headers; CH_NOT_FOUND when points must be read. */
static ch_status_t
value_from_summary(leaf_t *leaf, const ch_series_ref_t *series, int64_t from, int64_t end,
                   double *value_out)
{
    ch_promql_eval_t *eval = leaf->eval;
    ch_summary_t summary = {0};
    if (!leaf->summarise)
        return CH_NOT_FOUND;
    ch_status_t status = eval->source->summarise(eval->source->context, series, from,
                                                 ch_promql_add_time(end, 1), &summary);
    if (status != CH_OK)
        return status;
    leaf->summarised += summary.count;
    leaf->decoded += summary.decoded;
    /* Ranges shorter than chunks have each chunk decoded again and again: reading does it once. */
    if (leaf->decoded > SUMMARY_DECODED_FREE + SUMMARY_DECODED_RATIO * leaf->summarised)
        leaf->summarise = false;
    if (!summary_value(leaf->function, &summary, ch_promql_sub_time(from, 1), end,
                       value_out))
        return CH_NOT_FOUND;
    return ch_promql_work(eval, 64);
}

static ch_status_t
value_at(leaf_t *leaf, const ch_series_ref_t *series, size_t step, double *value_out)
{
    int64_t from, end;
    ch_promql_step_window(leaf->eval, step, &from, &end);
    ch_status_t status = value_from_summary(leaf, series, from, end, value_out);
    if (status != CH_NOT_FOUND)
        return status;
    ch_promql_window_t window;
    status = ch_promql_reader_move(&leaf->reader, from, end, leaf->sparse, &window);
    if (status < 0)
        return status;
    *value_out = window.count ? leaf->function(&window) : ch_promql_absent();
    return ch_promql_work(leaf->eval, 1 + window.count);
}

static ch_status_t
series_row(leaf_t *leaf, const ch_series_ref_t *series, double *values, bool *any_out)
{
    ch_promql_eval_t *eval = leaf->eval;
    bool pinned =
        eval->plan->modifiers.at != CH_AT_NONE; /* the same window at every step */
    int64_t from, end;
    span_of(eval, &from, &end);
    ch_promql_reader_start(&leaf->reader, series, from, end);
    *any_out = false;
    for (size_t step = 0; step < eval->steps; step++) {
        if (pinned && step > 0) {
            values[step] = values[0];
            continue;
        }
        ch_status_t status = value_at(leaf, series, step, &values[step]);
        if (status < 0)
            return status;
        *any_out = *any_out || !ch_promql_is_absent(values[step]);
    }
    return CH_OK;
}

static ch_status_t
push_series(leaf_t *leaf, const ch_series_list_t *list, ch_promql_sink_t sink)
{
    ch_promql_eval_t *eval = leaf->eval;
    const ch_promql_function_t *function = eval->plan->function;
    double *values = ch_alloc(eval->steps * sizeof *values);
    ch_status_t status = CH_OK;
    for (size_t i = 0; status >= 0 && i < list->count; i++) {
        bool any = false;
        status = series_row(leaf, &list->items[i], values, &any);
        if (status < 0 || !any)
            continue;
        ch_promql_row_t row = {.name = list->items[i].name,
                               .labels = list->items[i].labels,
                               .drop_name = function && !function->keeps_name,
                               .values = values};
        status = sink.take(sink.context, &row);
    }
    ch_free(values);
    return status;
}

static ch_status_t
select_series(ch_promql_eval_t *eval, ch_series_list_t *list)
{
    int64_t from, end;
    span_of(eval, &from, &end);
    ch_status_t status = eval->source->select(eval->source->context, eval->plan->selector,
                                              from, end, eval->params->series_max, list);
    eval->series_selected += list->count;
    return status < 0 ? status : ch_promql_work(eval, list->count);
}

ch_status_t
ch_promql_eval_rows(ch_promql_eval_t *eval, ch_promql_sink_t sink)
{
    const ch_promql_plan_t *plan = eval->plan;
    bool apart = eval->steps == 1 || eval->params->step >= plan->range;
    leaf_t leaf = {.eval = eval,
                   .sparse = eval->steps > 1 && eval->params->step > plan->range};
    leaf.function = plan->instant ? ch_promql_last_over_time : plan->function->over_range;
    leaf.summarise = apart && eval->source->summarise &&
                     function_has_summary(leaf.function) &&
                     plan->range >= SUMMARY_RANGE_SECONDS_MIN * INT64_C(1000000000);
    ch_series_list_t list = {0};
    ch_status_t status = select_series(eval, &list);
    ch_promql_reader_init(&leaf.reader, eval, plan->instant);
    if (status >= 0)
        status = push_series(&leaf, &list, sink);
    ch_promql_reader_release(&leaf.reader);
    ch_series_list_release(&list);
    return status;
}

static ch_status_t
matrix_series(ch_promql_eval_t *eval, ch_promql_reader_t *reader,
              const ch_series_ref_t *series)
{
    int64_t from, end, *times;
    double *values;
    ch_promql_window_t window;
    ch_promql_step_window(eval, 0, &from, &end);
    ch_promql_reader_start(reader, series, from, ch_promql_add_time(end, 1));
    ch_status_t status = ch_promql_reader_move(reader, from, end, false, &window);
    if (status < 0 || window.count == 0)
        return status;
    status = ch_promql_answer(eval, window.count);
    if (status >= 0)
        status = ch_promql_hold(eval, ch_query_series_bytes(window.count));
    if (status < 0)
        return status;
    ch_query_result_add(eval->result, series->name, series->labels, window.count, &times,
                        &values);
    memcpy(times, window.times, window.count * sizeof *times);
    memcpy(values, window.values, window.count * sizeof *values);
    return CH_OK;
}

ch_status_t
ch_promql_eval_matrix(ch_promql_eval_t *eval)
{
    ch_series_list_t list = {0};
    ch_promql_reader_t reader;
    ch_status_t status = select_series(eval, &list);
    ch_promql_reader_init(&reader, eval, false);
    for (size_t i = 0; status >= 0 && i < list.count; i++)
        status = matrix_series(eval, &reader, &list.items[i]);
    ch_promql_reader_release(&reader);
    ch_series_list_release(&list);
    return status;
}
