/* bench_series.c - many series: memory for each, and how long a start takes.
 *
 * Shape    N series with keys of some 100 bytes, F fields to a label set, in T tables that each hold a
 *          point of every series (what a week of windows looks like after compaction).
 * Figures  resident memory a series; time of the start after a clean stop, and after a kill with the
 *          memtable full; of the first get and of the first selection by label.
 * Usage    bench_series [SERIES [FIELDS [TABLES [DIRECTORY [LIMIT_MIB]]]]] (5000000 1 10 /tmp): writes
 *          DIRECTORY/bench_series when it is not there, else starts on it. With a limit, memtables are of
 *          64 MiB and flushed as they fill */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ch/alloc.h"
#include "ch/assert.h"
#include "ch/engine.h"
#include "ch/selector.h"

enum { ROWS = 1000 };

typedef struct setup {
    uint32_t series, fields, tables;
    char path[512];
    ch_engine_options_t options;
} setup_t;

static double
now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double
rss_mib(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CH_ASSERT(file && fscanf(file, "%ld %ld", &pages, &resident) == 2);
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1048576;
}

static void
label_text(uint32_t host, char text[192])
{
    snprintf(text, 192,
             "cluster=\"eu-west-%u\",container=\"c%u\",instance=\"10.%u.%u.%u:9100\","
             "namespace=\"team-%u\",pod=\"app-%08x\"",
             host % 3, host % 40, host >> 16 & 255, host >> 8 & 255, host & 255,
             host % 200, host * 2654435761u);
}

static void
append_hosts(ch_engine_t *engine, const setup_t *setup, uint32_t from, int64_t time)
{
    static char texts[ROWS][192];
    static int64_t packed[ROWS];
    uint32_t hosts = setup->series / setup->fields, rows = 0;
    ch_bytes_t names[64], labels[ROWS];
    ch_values_t values[64];
    char name_texts[64][32];
    for (; rows < ROWS && from + rows < hosts; rows++) {
        label_text(from + rows, texts[rows]);
        labels[rows] = ch_bytes_text(texts[rows]);
        packed[rows] = (int64_t)(from + rows);
    }
    for (uint32_t f = 0; f < setup->fields; f++) {
        snprintf(name_texts[f], sizeof *name_texts, "metric_number_%02u", f);
        names[f] = ch_bytes_text(name_texts[f]);
        values[f] = (ch_values_t){.form = CH_VALUES_I64, .packed = (uint8_t *)packed};
    }
    ch_batch_block_t block = {.kind = CH_BLOCK_TABLE,
                              .rows = rows,
                              .fields = setup->fields,
                              .times = {.form = CH_TIMES_REGULAR, .start = time},
                              .names = names,
                              .labels = labels,
                              .values = values};
    ch_batch_t batch = {
        .blocks = &block, .block_count = 1, .points = rows * setup->fields};
    ch_append_result_t result;
    if (!ch_engine_ready(engine))
        CH_ASSERT(ch_engine_work(engine) == CH_OK);
    CH_ASSERT(ch_engine_append(engine, &batch, &result) == CH_OK);
    if (result.state != CH_APPEND_TAKEN) {
        printf("refused: %s\n", result.reject.message);
        exit(1);
    }
}

/* A point of every series; the memtable is flushed where it fills. */
static void
append_all(ch_engine_t *engine, const setup_t *setup, int64_t time)
{
    uint32_t hosts = setup->series / setup->fields;
    for (uint32_t from = 0; from < hosts; from += ROWS) {
        append_hosts(engine, setup, from, time);
        if (from / ROWS % 16 == 0)
            CH_ASSERT(ch_engine_sync(engine) == CH_OK);
    }
    CH_ASSERT(ch_engine_sync(engine) == CH_OK);
}

static void
ask(ch_engine_t *engine, const setup_t *setup)
{
    char text[192];
    int64_t time;
    ch_value_t value;
    ch_view_t *view = NULL;
    double spent = -now_s();
    label_text(setup->series / setup->fields / 2, text);
    CH_ASSERT(ch_view_open(engine, &view) == CH_OK);
    CH_ASSERT(ch_view_get(view, ch_bytes_text("metric_number_00"), ch_bytes_text(text),
                          CH_TIME_MAX, &time, &value) == CH_OK);
    spent += now_s();
    CH_ASSERT(value.i64 == setup->series / setup->fields / 2);
    printf("  first get %.1f us", spent * 1e6);
    ch_selector_t *selector = NULL;
    ch_series_list_t list = {0};
    const char *of = "{pod=\"app-00000000\"}";
    CH_ASSERT(ch_selector_parse(ch_bytes_text(of), &selector) == CH_OK);
    const ch_source_t *source = ch_view_source(view);
    spent = -now_s();
    CH_ASSERT(source->select(source->context, selector, CH_TIME_MIN, CH_TIME_MAX, 100,
                             &list) == CH_OK);
    spent += now_s();
    CH_ASSERT(list.count == setup->fields);
    printf(", first selection of a pod %.1f us\n", spent * 1e6);
    ch_series_list_release(&list);
    ch_selector_destroy(&selector);
    ch_view_destroy(&view);
}

static void
count_stat(void *context, const ch_stat_t *stat)
{
    (void)context;
    static const char *const wanted[] = {"engine.series",      "engine.series_bytes",
                                         "engine.index_bytes", "memory.",
                                         "sst.tables",         "sst.bytes"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (strncmp(stat->name, wanted[i], strlen(wanted[i])) == 0)
            printf("  %s=%.0f", stat->name, stat->value);
}

static void
report(ch_engine_t *engine, const setup_t *setup, double before)
{
    printf("  resident %.0f MiB, %.0f bytes a series:", rss_mib(),
           (rss_mib() - before) * 1048576 / setup->series);
    ch_engine_stats(engine, count_stat, NULL);
    printf("\n");
}

static ch_engine_t *
start(const setup_t *setup, const char *what)
{
    ch_engine_t *engine = NULL;
    double spent = -now_s();
    ch_status_t status = ch_engine_open(&setup->options, &engine);
    spent += now_s();
    if (status < 0) {
        printf("open: %s\n", ch_fail_text());
        exit(1);
    }
    printf("%s: start in %.3f s\n", what, spent);
    return engine;
}

int
main(int argc, char **argv)
{
    setup_t setup = {.series = argc > 1 ? (uint32_t)atoi(argv[1]) : 5000000,
                     .fields = argc > 2 ? (uint32_t)atoi(argv[2]) : 1,
                     .tables = argc > 3 ? (uint32_t)atoi(argv[3]) : 10};
    CH_ASSERT(setup.fields >= 1 && setup.fields <= 64);
    snprintf(setup.path, sizeof setup.path, "%s/bench_series",
             argc > 4 ? argv[4] : "/tmp");
    ch_alloc_tune();
    ch_engine_options_init(&setup.options);
    setup.options.path = setup.path;
    setup.options.background_threads = 0;
    setup.options.memory_limit = UINT64_C(64) << 30;
    setup.options.memtable_bytes = UINT64_C(8) << 30; /* a table is a round */
    setup.options.limits.series = setup.options.limits.producer_series = 100000000;
    if (argc > 5) {
        setup.options.memory_limit = (uint64_t)atoi(argv[5]) << 20;
        setup.options.memtable_bytes = 64 << 20;
    }
    double before = rss_mib(), spent = -now_s();
    if (access(setup.path, F_OK) != 0) {
        ch_engine_t *engine = start(&setup, "empty");
        for (uint32_t t = 0; t < setup.tables; t++) {
            uint64_t lsn;
            append_all(engine, &setup, (int64_t)(t + 1) * 1000000000);
            CH_ASSERT(ch_engine_flush(engine, &lsn) == CH_OK);
        }
        printf("written in %.1f s\n", spent + now_s());
        report(engine, &setup, before);
        CH_ASSERT(ch_engine_close(engine) == CH_OK);
        ch_engine_destroy(&engine);
        printf("now run it again: a fresh process measures the start\n");
        return 0;
    }
    ch_engine_t *engine = start(&setup, "after a clean stop or a kill");
    ask(engine, &setup);
    report(engine, &setup, before);
    spent = -now_s();
    uint64_t lsn;
    append_hosts(engine, &setup, 0, 1000000000000);
    CH_ASSERT(ch_engine_sync(engine) == CH_OK);
    CH_ASSERT(ch_engine_flush(engine, &lsn) == CH_OK);
    printf("  first flush, of %d series: %.3f s\n", ROWS, spent + now_s());
    ch_engine_destroy(&engine); /* as a kill */
    return 0;
}
