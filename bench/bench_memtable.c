/* bench_memtable.c - what a point costs in the memtable, one thread, arena touched beforehand.
 *
 * Each line fills a fresh memtable from a recycled arena, time-major: every batch brings the next
 * times of its series, as agents do, and has its own lsn. CPU time of the best of three runs.
 *   series N    SERIES blocks, each N points of one series; round robin over all series
 *   table       TABLE blocks of 100 rows (label sets) and 10 fields: a point of 1000 series each */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ch/alloc.h"
#include "mem/memtable.h"

enum { POINTS = 20 * 1000 * 1000, ROWS = 100, FIELDS = 10, RUNS = 3 };

static double
cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void
fill_series(ch_memtable_t *memtable, uint32_t series, uint32_t rows,
            const uint8_t *packed)
{
    ch_values_t values = {.form = CH_VALUES_F64, .packed = packed};
    ch_batch_block_t block = {
        .kind = CH_BLOCK_SERIES, .rows = rows, .fields = 1, .values = &values};
    block.times = (ch_times_t){.form = CH_TIMES_REGULAR, .step = 1000};
    uint64_t lsn = 1;
    for (uint64_t done = 0; done < POINTS; done += (uint64_t)rows * series) {
        for (uint32_t id = 0; id < series; id++)
            ch_memtable_apply(memtable, &block, &id, lsn++);
        block.times.start += 1000 * (int64_t)rows;
    }
}

static void
fill_table(ch_memtable_t *memtable, uint32_t series, uint32_t *ids, const uint8_t *packed)
{
    ch_values_t values[FIELDS];
    for (uint32_t i = 0; i < FIELDS; i++)
        values[i] = (ch_values_t){.form = CH_VALUES_F64, .packed = packed};
    ch_batch_block_t block = {
        .kind = CH_BLOCK_TABLE, .rows = ROWS, .fields = FIELDS, .values = values};
    block.times = (ch_times_t){.form = CH_TIMES_REGULAR, .start = 0, .step = 0};
    uint64_t lsn = 1;
    for (uint64_t done = 0; done < POINTS; done += series) {
        for (uint32_t first = 0; first < series; first += ROWS * FIELDS)
            ch_memtable_apply(memtable, &block, ids + first, lsn++);
        block.times.start += 1000;
    }
}

static void
measure(ch_arena_pool_t *pool, uint32_t series, uint32_t rows)
{
    uint8_t *packed = ch_calloc(ROWS, 8);
    uint32_t *ids = ch_alloc(series * sizeof *ids);
    for (uint32_t i = 0; i < series; i++)
        ids[i] = i;
    double best = 1e30, bytes = 0;
    for (int run = 0; run < RUNS; run++) {
        ch_memtable_t *memtable = ch_memtable_new(pool, 1);
        double from = cpu_ns();
        if (rows > 0)
            fill_series(memtable, series, rows, packed);
        else
            fill_table(memtable, series, ids, packed);
        double points = (double)ch_memtable_points(memtable);
        double cost = (cpu_ns() - from) / points;
        best = cost < best ? cost : best;
        bytes = (double)ch_memtable_bytes(memtable) / points;
        ch_memtable_destroy(&memtable);
    }
    char shape[32];
    snprintf(shape, sizeof shape, rows ? "series %u" : "table 100 x 10", rows);
    printf("%-16s %8u series  %6.2f ns/point  %6.2f bytes/point\n", shape, series, best,
           bytes);
    free(ids);
    free(packed);
}

int
main(void)
{
    ch_alloc_tune();
    ch_arena_pool_t *pool = ch_arena_pool_new();
    ch_arena_pool_prepare(pool, (size_t)600 << 20);
    static const uint32_t series[] = {1000, 100000};
    for (int i = 0; i < 2; i++) {
        measure(pool, series[i], 100);
        measure(pool, series[i], 26);
        measure(pool, series[i], 0);
    }
    ch_arena_pool_destroy(&pool);
    return 0;
}
