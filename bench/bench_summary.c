/* bench_summary.c - questions about a long range of one series: from chunk headers, and by decoding.
 *
 * Shape    100 gauges (a random walk in 0..100) and 100 counters of 25,920 points, 10 s apart (3 days),
 *          flushed.
 * Figures  µs a question, random series, one thread, warm: the source's summary alone, then whole
 *          queries (parse, select, answer, a view each) that headers answer, and one they cannot; then
 *          range queries, of ranges longer than a chunk and shorter.
 * Usage    bench_summary [DIRECTORY] (default /tmp); DIRECTORY/bench_summary must not exist */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ch/alloc.h"
#include "ch/assert.h"
#include "ch/engine.h"
#include "ch/query.h"
#include "ch/rng.h"

enum { HOSTS = 100, POINTS = 25920, BATCH = 8640, ROUNDS = 2000 };

static const int64_t START_NS = INT64_C(1704067200000000000), STEP_NS = 10000000000;

static double
now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void
append(ch_engine_t *engine, const char *name, unsigned host, uint32_t from,
       const int64_t *values)
{
    char text[32];
    snprintf(text, sizeof text, "host=\"host_%u\"", host);
    ch_bytes_t names = ch_bytes_text(name), labels = ch_bytes_text(text);
    ch_values_t packed = {.form = CH_VALUES_I64,
                          .packed = (const uint8_t *)(values + from)};
    ch_batch_block_t block = {.kind = CH_BLOCK_SERIES,
                              .rows = BATCH,
                              .fields = 1,
                              .names = &names,
                              .labels = &labels,
                              .times = {.form = CH_TIMES_REGULAR,
                                        .start = START_NS + from * STEP_NS,
                                        .step = STEP_NS},
                              .values = &packed};
    const ch_batch_t batch = {.blocks = &block, .block_count = 1, .points = BATCH};
    ch_append_result_t result;
    while (!ch_engine_ready(engine))
        CH_ASSERT(ch_engine_work(engine) == CH_OK);
    CH_ASSERT(ch_engine_append(engine, &batch, &result) == CH_OK);
    CH_ASSERT(result.state == CH_APPEND_TAKEN);
    CH_ASSERT(ch_engine_sync(engine) == CH_OK);
}

static void
fill(ch_engine_t *engine)
{
    static int64_t gauge[POINTS], counter[POINTS];
    ch_rng_t rng;
    uint64_t lsn;
    ch_rng_seed(&rng, 1);
    for (unsigned host = 0; host < HOSTS; host++) {
        int64_t walk = 50, count = (int64_t)ch_rng_below(&rng, 1000000);
        for (int i = 0; i < POINTS; i++) {
            walk += (int64_t)ch_rng_below(&rng, 3) - 1;
            walk = walk < 0 ? 0 : walk > 100 ? 100 : walk;
            gauge[i] = walk;
            counter[i] = count += 900 + (int64_t)ch_rng_below(&rng, 200);
        }
        for (uint32_t from = 0; from < POINTS; from += BATCH) {
            append(engine, "load", host, from, gauge);
            append(engine, "requests", host, from, counter);
        }
    }
    CH_ASSERT(ch_engine_flush(engine, &lsn) == CH_OK);
}

static uint64_t
ask(ch_engine_t *engine, const char *format, unsigned host, int64_t step)
{
    char text[128];
    ch_view_t *view = NULL;
    ch_query_result_t *result = NULL;
    const int64_t end = START_NS + POINTS * STEP_NS;
    const ch_query_params_t params = {.range = step > 0,
                                      .start = step ? START_NS + step : end,
                                      .end = end,
                                      .step = step,
                                      .samples_max = 1 << 24,
                                      .result_points_max = 1 << 20,
                                      .series_max = 1000};
    snprintf(text, sizeof text, format, host);
    CH_ASSERT(ch_view_open(engine, &view) == CH_OK);
    CH_ASSERT(ch_query_eval(ch_view_source(view), ch_bytes_text(text), &params,
                            &result) == CH_OK);
    CH_ASSERT(result->count == 1);
    uint64_t samples = result->samples;
    ch_query_result_destroy(&result);
    ch_view_destroy(&view);
    return samples;
}

static void
report(ch_engine_t *engine, const char *format, int64_t step, int rounds)
{
    ch_rng_t rng;
    uint64_t samples = 0;
    double spent = 0;
    ch_rng_seed(&rng, 2);
    for (int run = 0; run < 2; run++) { /* the first one warms */
        spent = -now_us();
        for (int i = 0; i < rounds; i++)
            samples = ask(engine, format, (unsigned)ch_rng_below(&rng, HOSTS), step);
        spent += now_us();
    }
    printf("  %-44s %8.2f us, %6llu samples\n", format, spent / rounds,
           (unsigned long long)samples);
}

static void
report_summary(ch_engine_t *engine)
{
    ch_rng_t rng;
    ch_view_t *view = NULL;
    ch_series_list_t list = {0};
    ch_selector_t *selector = NULL;
    ch_summary_t sum;
    ch_rng_seed(&rng, 3);
    CH_ASSERT(ch_selector_parse(ch_bytes_text("load"), &selector) == CH_OK);
    CH_ASSERT(ch_view_open(engine, &view) == CH_OK);
    const ch_source_t *source = ch_view_source(view);
    CH_ASSERT(source->select(source->context, selector, CH_TIME_MIN, CH_TIME_MAX, HOSTS,
                             &list) == CH_OK);
    double spent = 0;
    for (int run = 0; run < 2; run++) {
        spent = -now_us();
        for (int i = 0; i < ROUNDS; i++)
            CH_ASSERT(source->summarise(source->context,
                                        &list.items[ch_rng_below(&rng, list.count)],
                                        CH_TIME_MIN, CH_TIME_MAX, &sum) == CH_OK);
        spent += now_us();
    }
    printf("  %-44s %8.2f us, %6llu points\n", "summary of all points", spent / ROUNDS,
           (unsigned long long)sum.count);
    ch_series_list_release(&list);
    ch_view_destroy(&view);
    ch_selector_destroy(&selector);
}

int
main(int argc, char **argv)
{
    char path[512];
    ch_engine_t *engine = NULL;
    ch_engine_options_t options;
    snprintf(path, sizeof path, "%s/bench_summary", argc > 1 ? argv[1] : "/tmp");
    ch_alloc_tune();
    ch_engine_options_init(&options);
    options.path = path;
    options.background_threads = 0;
    if (ch_engine_open(&options, &engine) != CH_OK) {
        printf("%s: %s\n", path, ch_fail_text());
        return 1;
    }
    fill(engine);
    printf("%d points a series, 10 s apart\n", POINTS);
    report_summary(engine);
    report(engine, "avg_over_time(load{host=\"host_%u\"}[4d])", 0, ROUNDS);
    report(engine, "rate(requests{host=\"host_%u\"}[4d])", 0, ROUNDS);
    /* A range is open on the left: this one leaves the first point out and so cuts a chunk. */
    report(engine, "avg_over_time(load{host=\"host_%u\"}[3d])", 0, ROUNDS);
    report(engine, "rate(requests{host=\"host_%u\"}[3d])", 0, ROUNDS);
    report(engine, "stddev_over_time(load{host=\"host_%u\"}[4d])", 0, ROUNDS / 20);
    printf("and at steps as long as their ranges\n");
    report(engine, "rate(requests{host=\"host_%u\"}[1d])", 86400 * INT64_C(1000000000),
           ROUNDS / 20);
    report(engine, "rate(requests{host=\"host_%u\"}[5m])", 300 * INT64_C(1000000000),
           ROUNDS / 20);
    ch_engine_destroy(&engine);
    return 0;
}
