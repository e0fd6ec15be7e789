/* Any bytes as a query: parsed, planned and evaluated over a few series, at an instant and over a
 * range, under small limits. A result must be in order and inside its limits. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ch/assert.h"
#include "ch/query.h"
#include "ch/series_key.h"
#include "query/range_functions.h"
#include "support/array_source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { POINTS_MAX = 500, SECONDS = 600 };

static array_source_t *
data_set(void)
{
    static array_source_t array;
    if (array.count)
        return &array;
    for (int i = 0; i < 12; i++) {
        char key[64];
        snprintf(key, sizeof key, "%s{host=\"h%d\",dc=\"%d\"}",
                 i % 3 ? "up" : "system.cpu.load", i, i % 2);
        for (int j = 0; j < SECONDS / 15; j++) {
            int64_t time = (int64_t)j * 15 * 1000000000;
            ch_value_t value = ch_value_float(j % 7 ? j * 1.5 : 0);
            if (i == 5 && j % 4 == 0)
                value = ch_value_float(ch_promql_absent());
            if (i == 6)
                value = j % 2 ? ch_value_int(j) : ch_value_string(ch_bytes_text("text"));
            array_source_put(&array, key, time, value);
        }
    }
    array.summaries = true;
    return &array;
}

static void
check_result(const ch_query_result_t *result)
{
    uint64_t points = 0;
    for (size_t i = 0; i < result->count; i++) {
        const ch_query_series_t *series = &result->series[i];
        CH_ASSERT(series->count > 0);
        points += series->count;
        for (size_t j = 1; j < series->count; j++)
            CH_ASSERT(series->times[j - 1] < series->times[j]);
        if (i > 0)
            CH_ASSERT(ch_series_key_compare(series[-1].name, series[-1].labels,
                                            series->name, series->labels) < 0);
    }
    CH_ASSERT(points <= POINTS_MAX);
}

static void
evaluate(ch_bytes_t query, bool range)
{
    ch_source_t source = array_source_open(data_set());
    ch_query_params_t params = {.range = range,
                                .start = 300 * INT64_C(1000000000),
                                .end = 540 * INT64_C(1000000000),
                                .step = 20 * INT64_C(1000000000),
                                .samples_max = 10000,
                                .result_points_max = POINTS_MAX,
                                .series_max = 100};
    ch_query_result_t *result = NULL;
    ch_status_t status = ch_query_eval(&source, query, &params, &result);
    CH_ASSERT((status == CH_OK) == (result != NULL));
    if (status == CH_OK)
        check_result(result);
    else
        CH_ASSERT(ch_fail_text()[0] != '\0');
    ch_query_result_destroy(&result);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    evaluate(ch_bytes(data, size), false);
    evaluate(ch_bytes(data, size), true);
    return 0;
}
