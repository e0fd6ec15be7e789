/* bench_snapshot.c - how long a snapshot takes, as tables and the log behind them grow.
 *
 * Shape    each round flushes 10 series of some points into a table of its own (nothing is merged), then
 *          appends one small batch a segment, as a node with little load does that seals each second.
 * Usage    bench_snapshot [DIRECTORY [POINTS]] (/tmp 2000: per series and table). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ch/alloc.h"
#include "ch/assert.h"
#include "ch/snapshot.h"

enum { SERIES = 10, ROUNDS = 5, SECOND_NS = 1000000000 };

static char path[512];
static int64_t next_time;

static double
now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void
append(ch_engine_t *engine, uint32_t points)
{
    static char names[SERIES][32];
    static ch_bytes_t name_of[SERIES], labels_of[SERIES];
    static ch_values_t values[SERIES];
    static ch_batch_block_t blocks[SERIES];
    double *packed = ch_alloc(points * sizeof *packed);
    for (uint32_t p = 0; p < points; p++)
        packed[p] = (double)rand() / 7;
    for (int s = 0; s < SERIES; s++) {
        snprintf(names[s], sizeof names[s], "series_%d", s);
        name_of[s] = ch_bytes_text(names[s]);
        values[s] = (ch_values_t){.form = CH_VALUES_F64, .packed = (uint8_t *)packed};
        blocks[s] = (ch_batch_block_t){
            .kind = CH_BLOCK_SERIES,
            .rows = points,
            .fields = 1,
            .names = &name_of[s],
            .labels = &labels_of[s],
            .times = {.form = CH_TIMES_REGULAR, .start = next_time, .step = SECOND_NS},
            .values = &values[s]};
    }
    next_time += (int64_t)points * SECOND_NS;
    const ch_batch_t batch = {
        .blocks = blocks, .block_count = SERIES, .points = (uint64_t)SERIES * points};
    ch_append_result_t result;
    CH_ASSERT(ch_engine_append(engine, &batch, &result) == CH_OK);
    CH_ASSERT(result.state == CH_APPEND_TAKEN);
    CH_ASSERT(ch_engine_sync(engine) == CH_OK);
    ch_free(packed);
}

static void
grow(ch_engine_t *engine, unsigned tables, unsigned segments, uint32_t points)
{
    uint64_t ignored;
    for (unsigned i = 0; i < tables; i++) {
        append(engine, points);
        CH_ASSERT(ch_engine_flush(engine, &ignored) == CH_OK);
    }
    for (unsigned i = 0; i < segments; i++) {
        append(engine, 1);
        CH_ASSERT(ch_engine_seal(engine, &ignored) == CH_OK);
    }
}

static int
ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void
measure(ch_engine_t *engine)
{
    double times[ROUNDS];
    ch_copy_report_t report;
    ch_snapshot_info_t *info = NULL;
    size_t count = 0;
    for (int i = 0; i < ROUNDS; i++) {
        double began = now_ms();
        CH_ASSERT(ch_engine_snapshot(engine, "bench", &report) == CH_OK);
        times[i] = now_ms() - began;
        CH_ASSERT(ch_engine_snapshots(engine, &info, &count) == CH_OK && count == 1);
        if (i + 1 == ROUNDS)
            printf("%6llu tables of %6.0f MB, %5llu log segments: ",
                   (unsigned long long)report.tables, (double)info->bytes / 1e6,
                   (unsigned long long)report.segments);
        ch_free(info);
        CH_ASSERT(ch_engine_snapshot_remove(engine, "bench") == CH_OK);
    }
    qsort(times, ROUNDS, sizeof *times, ascending);
    printf("%6.1f ms (median of %d, longest %.1f)\n", times[ROUNDS / 2], ROUNDS,
           times[ROUNDS - 1]);
    (void)fflush(stdout);
}

int
main(int argc, char **argv)
{
    static const unsigned tables[] = {10, 90, 900}, segments[] = {0, 0, 2000};
    ch_engine_options_t options;
    ch_engine_t *engine = NULL;
    uint32_t points = argc > 2 ? (uint32_t)atoi(argv[2]) : 2000;
    snprintf(path, sizeof path, "%s/bench_snapshot", argc > 1 ? argv[1] : "/tmp");
    ch_engine_options_init(&options);
    options.path = path;
    options.background_threads = 0;
    options.compaction_flushes = 0;
    ch_status_t status = ch_engine_open(&options, &engine);
    if (status < 0) {
        printf("%s\n", ch_fail_text());
        return 1;
    }
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        grow(engine, tables[i], segments[i], points);
        measure(engine);
    }
    ch_engine_destroy(&engine);
    return 0;
}
