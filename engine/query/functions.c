/* functions.c - the table of PromQL's functions.
 *
 * All functions of Prometheus 3 stand here, also those that are not evaluated yet: only so can the
 * parser tell a query that is valid but unsupported from one that is wrong.
 */
#include "query/functions.h"

#include "query/range_functions.h"

#define VECTOR_OF(name_, arguments_, variadic_)                                          \
    {                                                                                    \
        .name = name_, .arguments = arguments_, .variadic = variadic_,                   \
        .type = CH_PROMQL_VECTOR                                                         \
    }
#define SCALAR_OF(name_, arguments_)                                                     \
    {                                                                                    \
        .name = name_, .arguments = arguments_, .type = CH_PROMQL_SCALAR                 \
    }
#define OVER_RANGE(name_, function_)                                                     \
    {                                                                                    \
        .name = name_, .arguments = "m", .type = CH_PROMQL_VECTOR,                       \
        .over_range = function_                                                          \
    }
#define OVER_RANGE_NAMED(name_, function_)                                               \
    {                                                                                    \
        .name = name_, .arguments = "m", .type = CH_PROMQL_VECTOR,                       \
        .over_range = function_, .keeps_name = true                                      \
    }

static const ch_promql_function_t functions[] = {
    OVER_RANGE("avg_over_time", ch_promql_avg_over_time),
    OVER_RANGE("changes", ch_promql_changes),
    OVER_RANGE("count_over_time", ch_promql_count_over_time),
    OVER_RANGE("delta", ch_promql_delta),
    OVER_RANGE_NAMED("first_over_time", ch_promql_first_over_time),
    OVER_RANGE("idelta", ch_promql_idelta),
    OVER_RANGE("increase", ch_promql_increase),
    OVER_RANGE("irate", ch_promql_irate),
    OVER_RANGE_NAMED("last_over_time", ch_promql_last_over_time),
    OVER_RANGE("max_over_time", ch_promql_max_over_time),
    OVER_RANGE("min_over_time", ch_promql_min_over_time),
    OVER_RANGE("present_over_time", ch_promql_present_over_time),
    OVER_RANGE("rate", ch_promql_rate),
    OVER_RANGE("resets", ch_promql_resets),
    OVER_RANGE("stddev_over_time", ch_promql_stddev_over_time),
    OVER_RANGE("stdvar_over_time", ch_promql_stdvar_over_time),
    OVER_RANGE("sum_over_time", ch_promql_sum_over_time),
    VECTOR_OF("abs", "v", 0),
    VECTOR_OF("absent", "v", 0),
    VECTOR_OF("absent_over_time", "m", 0),
    VECTOR_OF("acos", "v", 0),
    VECTOR_OF("acosh", "v", 0),
    VECTOR_OF("asin", "v", 0),
    VECTOR_OF("asinh", "v", 0),
    VECTOR_OF("atan", "v", 0),
    VECTOR_OF("atanh", "v", 0),
    VECTOR_OF("ceil", "v", 0),
    VECTOR_OF("clamp", "vss", 0),
    VECTOR_OF("clamp_max", "vs", 0),
    VECTOR_OF("clamp_min", "vs", 0),
    VECTOR_OF("cos", "v", 0),
    VECTOR_OF("cosh", "v", 0),
    VECTOR_OF("day_of_month", "v", 1),
    VECTOR_OF("day_of_week", "v", 1),
    VECTOR_OF("day_of_year", "v", 1),
    VECTOR_OF("days_in_month", "v", 1),
    VECTOR_OF("deg", "v", 0),
    VECTOR_OF("deriv", "m", 0),
    VECTOR_OF("double_exponential_smoothing", "mss", 0),
    VECTOR_OF("exp", "v", 0),
    VECTOR_OF("floor", "v", 0),
    VECTOR_OF("histogram_avg", "v", 0),
    VECTOR_OF("histogram_count", "v", 0),
    VECTOR_OF("histogram_fraction", "ssv", 0),
    VECTOR_OF("histogram_quantile", "sv", 0),
    VECTOR_OF("histogram_quantiles", "vtss", -1),
    VECTOR_OF("histogram_stddev", "v", 0),
    VECTOR_OF("histogram_stdvar", "v", 0),
    VECTOR_OF("histogram_sum", "v", 0),
    VECTOR_OF("hour", "v", 1),
    VECTOR_OF("info", "vv", 1),
    VECTOR_OF("label_join", "vttt", -1),
    VECTOR_OF("label_replace", "vtttt", 0),
    VECTOR_OF("ln", "v", 0),
    VECTOR_OF("log10", "v", 0),
    VECTOR_OF("log2", "v", 0),
    VECTOR_OF("mad_over_time", "m", 0),
    VECTOR_OF("minute", "v", 1),
    VECTOR_OF("month", "v", 1),
    VECTOR_OF("predict_linear", "ms", 0),
    VECTOR_OF("quantile_over_time", "sm", 0),
    VECTOR_OF("rad", "v", 0),
    VECTOR_OF("round", "vs", 1),
    VECTOR_OF("sgn", "v", 0),
    VECTOR_OF("sin", "v", 0),
    VECTOR_OF("sinh", "v", 0),
    VECTOR_OF("sort", "v", 0),
    VECTOR_OF("sort_by_label", "vt", -1),
    VECTOR_OF("sort_by_label_desc", "vt", -1),
    VECTOR_OF("sort_desc", "v", 0),
    VECTOR_OF("sqrt", "v", 0),
    VECTOR_OF("tan", "v", 0),
    VECTOR_OF("tanh", "v", 0),
    VECTOR_OF("timestamp", "v", 0),
    VECTOR_OF("ts_of_first_over_time", "m", 0),
    VECTOR_OF("ts_of_last_over_time", "m", 0),
    VECTOR_OF("ts_of_max_over_time", "m", 0),
    VECTOR_OF("ts_of_min_over_time", "m", 0),
    VECTOR_OF("vector", "s", 0),
    VECTOR_OF("year", "v", 1),
    SCALAR_OF("end", ""),
    SCALAR_OF("max_of", "ss"),
    SCALAR_OF("min_of", "ss"),
    SCALAR_OF("pi", ""),
    SCALAR_OF("range", ""),
    SCALAR_OF("scalar", "v"),
    SCALAR_OF("start", ""),
    SCALAR_OF("step", ""),
    SCALAR_OF("time", ""),
};

const ch_promql_function_t *
ch_promql_function_find(ch_bytes_t name)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (ch_bytes_equal(name, ch_bytes_text(functions[i].name)))
            return &functions[i];
    return NULL;
}
