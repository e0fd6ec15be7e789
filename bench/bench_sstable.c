/* bench_sstable.c - size and speed of sorted tables, one thread, warm page cache.
 *
 * Shapes   "long"   1000 series of 25,920 regular points, small ints (a random walk in 0..100), as a flush writes
 *                   them, and "dense" as the last level keeps them
 *          "wide"   100,000 series (10,000 hosts of 10 tags, some 100 bytes, by 10 fields) of 26 points
 * Figures  bytes a point and a series, write ns a point (fsync included), read of one series at
 *          random, of all in key order, all keys; the same reads through a block cache that holds
 *          everything, and through one of a tenth of that; a key that none of ten tables has, inside
 *          their key ranges, with their filters and without.
 * Usage    bench_sstable [DIRECTORY [SHAPE]] (default /tmp, all) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ch/alloc.h"
#include "ch/assert.h"
#include "ch/rng.h"
#include "sst/table.h"

enum { FIELDS = 10, TABLES = 10, CACHE_BYTES = 64 << 20 };

/* In key order: the brace behind a name sorts above an underscore. */
static const char *const fields[FIELDS] = {
    "cpu_usage_guest_nice", "cpu_usage_guest", "cpu_usage_idle",    "cpu_usage_iowait",
    "cpu_usage_irq",        "cpu_usage_nice",  "cpu_usage_softirq", "cpu_usage_steal",
    "cpu_usage_system",     "cpu_usage_user"};

typedef struct shape {
    const char *name;
    unsigned hosts;
    size_t points;
    ch_column_level_t level;
} shape_t;

static double
now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int
compare_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Label texts as TSBS has them, in order. */
static char **
make_labels(unsigned hosts, ch_rng_t *rng)
{
    static const char *const regions[] = {"eu-west-1", "us-east-1", "ap-south-1"};
    char **labels = ch_calloc(hosts, sizeof *labels);
    for (unsigned i = 0; i < hosts; i++) {
        char text[256];
        const char *region = regions[ch_rng_below(rng, 3)];
        snprintf(
            text, sizeof text,
            "arch=\"x%u\",datacenter=\"%s%c\",hostname=\"host_%u\",os=\"Ubuntu16.%s\","
            "rack=\"%u\",region=\"%s\",service=\"%u\",service_environment=\"%s\","
            "service_version=\"%u\",team=\"%s\"",
            ch_rng_below(rng, 2) ? 64u : 86u, region, 'a' + (char)ch_rng_below(rng, 3), i,
            ch_rng_below(rng, 2) ? "10" : "04", (unsigned)ch_rng_below(rng, 100), region,
            (unsigned)ch_rng_below(rng, 20), ch_rng_below(rng, 2) ? "test" : "staging",
            (unsigned)ch_rng_below(rng, 2), ch_rng_below(rng, 2) ? "SF" : "NYC");
        labels[i] = ch_strdup(text);
    }
    qsort(labels, hosts, sizeof *labels, compare_text);
    return labels;
}

static void
make_points(const shape_t *shape, ch_rng_t *rng, ch_points_t *points)
{
    int64_t value = (int64_t)ch_rng_below(rng, 101);
    ch_points_clear(points);
    ch_points_reserve(points, CH_POINTS_I64, shape->points);
    for (size_t i = 0; i < shape->points; i++) {
        value += (int64_t)ch_rng_below(rng, 3) - 1;
        value = value < 0 ? 0 : value > 100 ? 100 : value;
        points->times[i] =
            INT64_C(1704067200000000000) + (int64_t)i * INT64_C(10000000000);
        points->ints[i] = value;
    }
    points->count = shape->points;
}

static void
write_table(const shape_t *shape, char **labels, const char *path,
            ch_sstable_info_t *info)
{
    ch_rng_t rng;
    ch_rng_seed(&rng, 2);
    ch_points_t points = {0};
    ch_sstable_writer_t *writer = NULL;
    double spent = -now_ns();
    const ch_sstable_writer_options_t options = {
        .series_expected = (uint64_t)shape->hosts * FIELDS, .level = shape->level};
    CH_ASSERT(ch_sstable_writer_open(ch_fs_posix(), path, 1, &options, &writer) == CH_OK);
    spent += now_ns();
    for (int f = 0; f < FIELDS; f++)
        for (unsigned h = 0; h < shape->hosts; h++) {
            make_points(shape, &rng, &points);
            spent -= now_ns();
            CH_ASSERT(ch_sstable_writer_add(writer, ch_bytes_text(fields[f]),
                                            ch_bytes_text(labels[h]), &points) == CH_OK);
            spent += now_ns();
        }
    spent -= now_ns();
    CH_ASSERT(ch_sstable_writer_finish(writer, 1, 2, info) == CH_OK);
    ch_sstable_writer_destroy(&writer);
    spent += now_ns();
    printf(
        "%s: %llu series, %llu points, %llu bytes: %.3f bytes/point, %.1f bytes/series, "
        "write %.1f ns/point\n",
        shape->name, (unsigned long long)info->series, (unsigned long long)info->points,
        (unsigned long long)info->file_bytes,
        (double)info->file_bytes / (double)info->points,
        (double)info->file_bytes / (double)info->series, spent / (double)info->points);
    ch_points_release(&points);
}

static ch_status_t
count_key(void *context, ch_bytes_t name, ch_bytes_t labels)
{
    *(size_t *)context += name.size + labels.size;
    return CH_OK;
}

static void
read_one(ch_sstable_t *sstable, const char *field, const char *labels,
         ch_points_t *points)
{
    ch_points_clear(points);
    CH_ASSERT(ch_sstable_read(sstable, ch_bytes_text(field), ch_bytes_text(labels),
                              CH_TIME_MIN, CH_TIME_MAX, points) == CH_OK);
}

static void
read_table(const shape_t *shape, char **labels, const char *path, size_t cache_bytes)
{
    ch_rng_t rng;
    ch_rng_seed(&rng, 3);
    ch_points_t points = {0};
    ch_summary_t summary;
    ch_sstable_t *sstable = NULL;
    ch_block_cache_t *cache = cache_bytes ? ch_block_cache_new(cache_bytes) : NULL;
    double spent = -now_ns();
    CH_ASSERT(ch_sstable_open(ch_fs_posix(), path, 1, &sstable) == CH_OK);
    spent += now_ns();
    ch_sstable_use_cache(sstable, cache);
    printf(" cache of %zu MiB\n  open                   %10.1f us\n", cache_bytes >> 20,
           spent / 1e3);
    enum { LOOKUPS = 2000 };
    for (int run = 0; run < 2; run++) { /* the first one warms */
        spent = -now_ns();
        for (int i = 0; i < LOOKUPS; i++)
            read_one(sstable, fields[ch_rng_below(&rng, FIELDS)],
                     labels[ch_rng_below(&rng, shape->hosts)], &points);
        spent += now_ns();
    }
    printf("  read a series, random  %10.1f us\n", spent / LOOKUPS / 1e3);
    spent = -now_ns();
    for (int i = 0; i < LOOKUPS; i++)
        CH_ASSERT(ch_sstable_summarise(
                      sstable, ch_bytes_text(fields[ch_rng_below(&rng, FIELDS)]),
                      ch_bytes_text(labels[ch_rng_below(&rng, shape->hosts)]),
                      CH_TIME_MIN, CH_TIME_MAX, &summary) == CH_OK);
    spent += now_ns();
    printf("  summary, random        %10.1f us\n", spent / LOOKUPS / 1e3);
    spent = -now_ns();
    for (int f = 0; f < FIELDS; f++)
        for (unsigned h = 0; h < shape->hosts; h++)
            read_one(sstable, fields[f], labels[h], &points);
    spent += now_ns();
    printf("  read a series, in order%10.1f us\n", spent / shape->hosts / FIELDS / 1e3);
    size_t bytes = 0;
    spent = -now_ns();
    CH_ASSERT(ch_sstable_keys(sstable, count_key, &bytes) == CH_OK);
    spent += now_ns();
    printf("  all keys               %10.1f ns each\n", spent / shape->hosts / FIELDS);
    if (cache) {
        ch_block_cache_stats_t stats = ch_block_cache_stats(cache);
        printf("  cache: %llu hits, %llu misses, %llu evictions, %llu bytes\n",
               (unsigned long long)stats.hits, (unsigned long long)stats.misses,
               (unsigned long long)stats.evictions, (unsigned long long)stats.bytes);
    }
    ch_points_release(&points);
    ch_sstable_destroy(&sstable);
    ch_block_cache_destroy(&cache);
}

/* Ten openings of one table stand for ten tables: each has its own filter, index and blocks. */
static double
miss_ns(ch_sstable_t *const *sstables, char **labels, const shape_t *shape, int lookups)
{
    ch_rng_t rng;
    ch_points_t points = {0};
    char(*missing)[256] = ch_calloc(1024, sizeof *missing);
    ch_rng_seed(&rng, 5);
    for (int i = 0; i < 1024; i++) /* sorts right behind one that is there */
        snprintf(missing[i], sizeof *missing, "%s,zone=\"%d\"",
                 labels[ch_rng_below(&rng, shape->hosts)], i);
    double spent = -now_ns();
    for (int i = 0; i < lookups; i++) {
        const char *name = fields[i % FIELDS], *of = missing[i % 1024];
        ch_bytes_t labels_of = ch_bytes(of, strlen(of));
        uint64_t hash = ch_bloom_hash(ch_bytes_text(name), labels_of);
        for (int t = 0; t < TABLES; t++)
            if (ch_sstable_may_contain_hash(sstables[t], hash))
                CH_ASSERT(ch_sstable_read(sstables[t], ch_bytes_text(name), labels_of,
                                          CH_TIME_MIN, CH_TIME_MAX,
                                          &points) == CH_NOT_FOUND);
    }
    spent += now_ns();
    ch_free(missing);
    ch_points_release(&points);
    return spent / lookups;
}

/* A filter of ones lets everything through. */
static void
disable_filter(ch_sstable_t *sstable)
{
    size_t size = ch_bloom_image_bytes(sstable->bloom);
    uint8_t *image = ch_alloc(size);
    ch_bloom_encode(sstable->bloom, image);
    memset(image + 8, 0xff, size - 8);
    ch_bloom_destroy(&sstable->bloom);
    CH_ASSERT(ch_bloom_decode(ch_bytes(image, size), &sstable->bloom) == CH_OK);
    ch_free(image);
}

static void
miss_tables(const shape_t *shape, char **labels, const char *path)
{
    ch_sstable_t *sstables[TABLES];
    ch_block_cache_t *cache = ch_block_cache_new(CACHE_BYTES);
    for (int t = 0; t < TABLES; t++) {
        CH_ASSERT(ch_sstable_open(ch_fs_posix(), path, 1, &sstables[t]) == CH_OK);
        ch_sstable_use_cache(sstables[t], cache);
    }
    double with = miss_ns(sstables, labels, shape, 1000000);
    for (int t = 0; t < TABLES; t++)
        disable_filter(sstables[t]);
    (void)miss_ns(sstables, labels, shape, 20000); /* warm the cache */
    double without = miss_ns(sstables, labels, shape, 20000);
    for (int t = 0; t < TABLES; t++)
        ch_sstable_use_cache(sstables[t], NULL);
    double bare = miss_ns(sstables, labels, shape, 2000);
    printf(" a key that none of %d tables has: %.3f us; without filters %.2f us (%.0f "
           "x), without "
           "cache too %.1f us (%.0f x)\n",
           TABLES, with / 1e3, without / 1e3, without / with, bare / 1e3, bare / with);
    for (int t = 0; t < TABLES; t++)
        ch_sstable_destroy(&sstables[t]);
    ch_block_cache_destroy(&cache);
}

int
main(int argc, char **argv)
{
    static const shape_t shapes[] = {{"long", 100, 25920, CH_COLUMN_FAST},
                                     {"long, dense", 100, 25920, CH_COLUMN_DENSE},
                                     {"wide", 10000, 26, CH_COLUMN_FAST}};
    char path[512];
    snprintf(path, sizeof path, "%s/bench.sst", argc > 1 ? argv[1] : "/tmp");
    ch_alloc_tune();
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        if (argc > 2 && strcmp(argv[2], shapes[i].name) != 0)
            continue;
        ch_rng_t rng;
        ch_sstable_info_t info;
        ch_rng_seed(&rng, 1);
        char **labels = make_labels(shapes[i].hosts, &rng);
        write_table(&shapes[i], labels, path, &info);
        read_table(&shapes[i], labels, path, 0);
        read_table(&shapes[i], labels, path, CACHE_BYTES);
        read_table(&shapes[i], labels, path, CACHE_BYTES / 16);
        miss_tables(&shapes[i], labels, path);
        for (unsigned h = 0; h < shapes[i].hosts; h++)
            ch_free(labels[h]);
        ch_free(labels);
    }
    (void)remove(path);
    return 0;
}
