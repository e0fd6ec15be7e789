/* bench_start.c - from a kill to the first correct answer, the engine alone.
 *
 * Shape    25.92 M points: 1,000 series (100 hosts, 10 fields), a point every 10 s for 3 days, in batches of
 *          1,000 series by 10 points.
 * Figures  start and first get after a kill with everything flushed, and at peak: with as much of the
 *          log not flushed as memtables allow (one full, one nearly).
 * Usage    bench_start [DIRECTORY [MEMTABLE_MIB]] (/tmp 64). Each start is a process of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ch/alloc.h"
#include "ch/assert.h"
#include "ch/engine.h"

enum { SERIES = 1000, POINTS = 25920, BATCH_POINTS = 10 };

static char path[512];

static double
now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
series_name(int series, char name[64], char labels[64])
{
    snprintf(name, 64, "cpu_field_%d", series % 10);
    snprintf(labels, 64, "hostname=\"host_%d\",region=\"eu-%d\"", series / 10,
             series % 3);
}

static int64_t
value_at(int series, int point)
{
    return (series * 7919 + point * 31 + point / 100) % 101;
}

/* Points [from, from + BATCH_POINTS) of all series. */
static void
append(ch_engine_t *engine, int from)
{
    static char names[SERIES][64], labels[SERIES][64];
    static int64_t packed[SERIES][BATCH_POINTS];
    static ch_bytes_t name_of[SERIES], labels_of[SERIES];
    static ch_values_t values[SERIES];
    static ch_batch_block_t blocks[SERIES];
    for (int s = 0; s < SERIES; s++) {
        series_name(s, names[s], labels[s]);
        for (int p = 0; p < BATCH_POINTS; p++)
            packed[s][p] = value_at(s, from + p);
        name_of[s] = ch_bytes_text(names[s]);
        labels_of[s] = ch_bytes_text(labels[s]);
        values[s] = (ch_values_t){.form = CH_VALUES_I64, .packed = (uint8_t *)packed[s]};
        blocks[s] =
            (ch_batch_block_t){.kind = CH_BLOCK_SERIES,
                               .rows = BATCH_POINTS,
                               .fields = 1,
                               .names = &name_of[s],
                               .labels = &labels_of[s],
                               .times = {.form = CH_TIMES_REGULAR,
                                         .start = INT64_C(1704067200000000000) +
                                                  (int64_t)from * INT64_C(10000000000),
                                         .step = INT64_C(10000000000)},
                               .values = &values[s]};
    }
    ch_batch_t batch = {
        .blocks = blocks, .block_count = SERIES, .points = SERIES * BATCH_POINTS};
    ch_append_result_t result;
    while (!ch_engine_ready(engine))
        usleep(100);
    CH_ASSERT(ch_engine_append(engine, &batch, &result) == CH_OK);
    CH_ASSERT(result.state == CH_APPEND_TAKEN);
}

static ch_engine_t *
open_engine(uint64_t memtable_bytes)
{
    ch_engine_options_t options;
    ch_engine_t *engine = NULL;
    ch_engine_options_init(&options);
    options.path = path;
    options.memtable_bytes = memtable_bytes;
    ch_status_t status = ch_engine_open(&options, &engine);
    if (status < 0) {
        printf("open: %s\n", ch_fail_text());
        exit(1);
    }
    return engine;
}

static void
keep_recovered(void *context, const ch_stat_t *stat)
{
    if (strcmp(stat->name, "wal.recovered_records") == 0 ||
        strcmp(stat->name, "wal.recovery_ms") == 0)
        printf("%s %.0f, ", stat->name, stat->value);
    (void)context;
}

static void
start_and_ask(const char *what, uint64_t memtable_bytes)
{
    char name[64], labels[64];
    int64_t time = 0;
    ch_value_t value = ch_value_int(-1);
    ch_view_t *view = NULL;
    series_name(77, name, labels);
    double spent = -now_s();
    ch_engine_t *engine = open_engine(memtable_bytes);
    double opened = spent + now_s();
    CH_ASSERT(ch_view_open(engine, &view) == CH_OK);
    CH_ASSERT(ch_view_get(view, ch_bytes_text(name), ch_bytes_text(labels), CH_TIME_MAX,
                          &time, &value) == CH_OK);
    spent += now_s();
    int64_t point = (time - INT64_C(1704067200000000000)) / INT64_C(10000000000);
    CH_ASSERT(value.i64 == value_at(77, (int)point));
    printf("%-16s open %.1f ms, first answer after %.1f ms (", what, opened * 1e3,
           spent * 1e3);
    ch_engine_stats(engine, keep_recovered, NULL);
    printf("newest point %lld)\n", (long long)point);
    fflush(stdout);
    _exit(0); /* a kill */
}

static void
in_a_process(void (*run)(const char *, uint64_t), const char *what, uint64_t bytes)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        run(what, bytes);
    int status = 0;
    CH_ASSERT(waitpid(child, &status, 0) == child);
    CH_ASSERT(status == 0);
}

static void
fill(const char *what, uint64_t memtable_bytes)
{
    bool flush_all = strcmp(what, "flushed") == 0;
    ch_engine_t *engine = open_engine(memtable_bytes);
    for (int from = 0; from < POINTS; from += BATCH_POINTS)
        append(engine, from);
    CH_ASSERT(ch_engine_sync(engine) == CH_OK);
    uint64_t lsn = 0;
    if (flush_all) {
        CH_ASSERT(ch_engine_flush(engine, &lsn) == CH_OK);
        while (ch_engine_flushed_lsn(engine) < lsn)
            usleep(1000);
    }
    _exit(0); /* a kill */
}

/* As much in the log as two memtables hold (16.5 bytes a point): the flusher is kept from running by a
 * memtable that is twice as large. */
static void
fill_peak(const char *what, uint64_t memtable_bytes)
{
    (void)what;
    ch_engine_t *engine = open_engine(2 * memtable_bytes);
    for (int from = POINTS; from < 2 * POINTS; from += BATCH_POINTS) {
        append(engine, from);
        if (from % 100 == 0)
            CH_ASSERT(ch_engine_sync(engine) == CH_OK);
        if ((uint64_t)(from - POINTS) * SERIES * 165 / 10 > 2 * memtable_bytes * 95 / 100)
            break;
    }
    CH_ASSERT(ch_engine_sync(engine) == CH_OK);
    _exit(0); /* a kill */
}

int
main(int argc, char **argv)
{
    snprintf(path, sizeof path, "%s/bench_start", argc > 1 ? argv[1] : "/tmp");
    uint64_t memtable_bytes = (argc > 2 ? (uint64_t)atoi(argv[2]) : 64) << 20;
    ch_alloc_tune();
    in_a_process(fill, "flushed", memtable_bytes);
    for (int i = 0; i < 3; i++)
        in_a_process(start_and_ask, "all flushed", memtable_bytes);
    in_a_process(fill_peak, "peak", memtable_bytes);
    for (int i = 0; i < 3; i++)
        in_a_process(start_and_ask, "at peak", memtable_bytes);
    return 0;
}
