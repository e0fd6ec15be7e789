/* Cost and size of the log's records, and of appending with a sync per group on this disk.
 *
 * Usage   bench_wal [DIRECTORY]     (a fresh folder is made in it; default /tmp)
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ch/alloc.h"
#include "ch/rng.h"
#include "wal/wal_record.h"

enum { COLUMNS = 100, ROWS = 100, POINTS = COLUMNS * ROWS, ROUNDS = 3000 };

typedef struct load {
    const char *name;
    ch_batch_t batch;
    ch_batch_block_t blocks[COLUMNS];
    ch_values_t values[COLUMNS];
    uint32_t series[POINTS];
    uint8_t packed[COLUMNS][ROWS * 8];
    uint8_t times[ROWS * 8];
} load_t;

static void
series_ids(void *context, uint32_t series, uint32_t *name_id_out, uint32_t *labels_id_out)
{
    (void)context;
    *name_id_out = series % COLUMNS;
    *labels_id_out = series / COLUMNS;
}

static ch_bytes_t
name_text(void *context, uint32_t name_id)
{
    (void)context, (void)name_id;
    return ch_bytes_text("cpu_usage_percent");
}

static ch_bytes_t
labels_text(void *context, uint32_t labels_id)
{
    (void)context, (void)labels_id;
    return ch_bytes_text("datacenter=\"eu-1\",host=\"machine-0001\",rack=\"17\"");
}

static void
fill_columns(load_t *load, ch_values_form_t form, double scale, uint64_t range)
{
    ch_rng_t rng;
    ch_rng_seed(&rng, 1);
    for (size_t j = 0; j < COLUMNS; j++) {
        for (size_t i = 0; i < ROWS; i++) {
            int64_t whole = (int64_t)ch_rng_below(&rng, range);
            if (form == CH_VALUES_I64)
                ch_store_i64(load->packed[j] + i * 8, whole);
            else
                ch_store_f64(load->packed[j] + i * 8, (double)whole * scale);
        }
        load->values[j] = (ch_values_t){.form = form, .packed = load->packed[j]};
    }
}

static void
make_series(load_t *load, bool packed_times)
{
    for (size_t i = 0; i < ROWS; i++)
        ch_store_i64(load->times + i * 8, 1700000000000000000 + (int64_t)i * 10000000000);
    for (uint32_t j = 0; j < COLUMNS; j++) {
        load->series[j] = j;
        load->blocks[j] = (ch_batch_block_t){
            .kind = CH_BLOCK_SERIES,
            .rows = ROWS,
            .fields = 1,
            .times = {CH_TIMES_REGULAR, NULL, 1700000000000000000, 10000000000},
            .values = &load->values[j]};
        if (packed_times)
            load->blocks[j].times =
                (ch_times_t){.form = CH_TIMES_PACKED, .packed = load->times};
    }
    load->batch =
        (ch_batch_t){.blocks = load->blocks, .block_count = COLUMNS, .points = POINTS};
}

/* One scrape: 100 rows (label sets) of 100 fields at one time, each cell a series of its own. */
static void
make_table(load_t *load)
{
    for (uint32_t i = 0; i < POINTS; i++)
        load->series[i] = i;
    load->blocks[0] =
        (ch_batch_block_t){.kind = CH_BLOCK_TABLE,
                           .rows = ROWS,
                           .fields = COLUMNS,
                           .times = {CH_TIMES_REGULAR, NULL, 1700000000000000000, 0},
                           .values = load->values};
    load->batch =
        (ch_batch_t){.blocks = load->blocks, .block_count = 1, .points = POINTS};
}

static double
seconds(const ch_clock_t *clock)
{
    return (double)ch_clock_monotonic_ns(clock) / 1e9;
}

static ch_status_t
ignore(void *context, const ch_wal_record_t *record,
       const ch_wal_dictionary_t *dictionary)
{
    (void)context, (void)record, (void)dictionary;
    return CH_OK;
}

static ch_wal_t *
open_log(const ch_clock_t *clock, const char *path)
{
    ch_wal_t *wal = NULL;
    ch_wal_options_t options = {.fs = ch_fs_posix(),
                                .path = path,
                                .clock = clock,
                                .cluster = 1,
                                .term = 1,
                                .segment_bytes = 64 << 20,
                                .segment_max_age_ms = 1000,
                                .spare_segments_max = 2,
                                .zero_ahead_bytes = 4 << 20};
    if (ch_wal_open(&options, 0, ignore, NULL, &wal) < 0) {
        fprintf(stderr, "%s\n", ch_fail_text());
        exit(1);
    }
    return wal;
}

/* Groups of ten batches: about what gathers while a sync runs. */
static void
run_log(const ch_clock_t *clock, const char *path, load_t *load,
        const ch_wal_namer_t *namer)
{
    enum { GROUP = 10 };
    ch_wal_t *wal = open_log(clock, path);
    ch_wal_stats_t stats;
    uint64_t lsn;
    double append = 0, start = seconds(clock);
    ch_wal_set_namer(wal, namer);
    for (int i = 0; i < ROUNDS / GROUP; i++) {
        double before = seconds(clock);
        for (int j = 0; j < GROUP; j++)
            if (ch_wal_append_batch(wal, &load->batch, load->series, 1700000000000000000,
                                    &lsn) < 0)
                abort();
        append += seconds(clock) - before;
        if (ch_wal_commit(wal) < 0 || ch_wal_prepare(wal) < 0 ||
            ch_wal_retire(wal, ch_wal_durable_lsn(wal)) < 0)
            abort();
    }
    double total = seconds(clock) - start, points = (double)ROUNDS * POINTS;
    ch_wal_stats(wal, &stats);
    printf(
        "%-34s append %5.2f ns/pt  %5.2f B/pt  with commit %5.2f ns/pt  sync %5.0f us\n",
        load->name, append * 1e9 / points, (double)stats.bytes_written / points,
        total * 1e9 / points, (double)stats.sync_us_total / (double)stats.syncs);
    if (ch_wal_retire(wal, lsn) < 0 || ch_wal_close(wal) < 0)
        abort();
    ch_wal_destroy(&wal);
}

static void
run(const ch_clock_t *clock, const char *directory, load_t *load,
    const ch_wal_namer_t *namer)
{
    char path[300], command[400];
    snprintf(path, sizeof path, "%s/bench_wal.%d", directory, (int)getpid());
    run_log(clock, path, load, namer);
    snprintf(command, sizeof command, "rm -r '%s'", path);
    if (system(command) != 0)
        fprintf(stderr, "left behind: %s\n", path);
}

int
main(int argc, char **argv)
{
    ch_alloc_tune();
    ch_clock_t clock = ch_clock_system();
    ch_wal_namer_t namer = {
        .series = series_ids, .name = name_text, .labels = labels_text};
    const char *directory = argc > 1 ? argv[1] : "/tmp";
    load_t *load = ch_calloc(1, sizeof *load);
    printf("%d batches of %d points, groups of 10\n", ROUNDS, POINTS);
    make_series(load, false);
    load->name = "100 series x 100, ints < 101";
    fill_columns(load, CH_VALUES_I64, 1, 101);
    run(&clock, directory, load, &namer);
    load->name = "same, packed regular times";
    make_series(load, true);
    run(&clock, directory, load, &namer);
    load->name = "100 x 100, ints < 50000";
    fill_columns(load, CH_VALUES_I64, 1, 50000);
    run(&clock, directory, load, &namer);
    load->name = "100 x 100, whole floats < 101";
    fill_columns(load, CH_VALUES_F64, 1, 101);
    run(&clock, directory, load, &namer);
    load->name = "100 x 100, floats of 2 decimals";
    fill_columns(load, CH_VALUES_F64, 0.01, 10000);
    run(&clock, directory, load, &namer);
    load->name = "table 100 x 100, ints < 101";
    fill_columns(load, CH_VALUES_I64, 1, 101);
    make_table(load);
    run(&clock, directory, load, &namer);
    ch_free(load);
    return 0;
}
