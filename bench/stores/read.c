/* read.c - whole series, their means, the first answer after a start, and foreign data. */
#include "work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ch/alloc.h"

enum { MEANS = 1000 };

static double
data_sum(const ch_devops_t *devops)
{
    double sum = 0;
    const size_t count = (size_t)devops->hosts * devops->steps * CH_DEVOPS_FIELDS;
    for (size_t i = 0; i < count; i++)
        sum += devops->values[i];
    return sum;
}

/* Each series whole, once; what comes back must be the data. */
static void
check_all(const ch_work_t *work, void *store)
{
    const uint32_t series = work->devops.hosts * CH_DEVOPS_FIELDS;
    double sum = 0, by_mean = 0;
    for (uint32_t i = 0; i < series; i++) {
        if (work->store->read(store, i, &sum) != work->devops.steps)
            ch_store_die("series %u is not whole", i);
        by_mean += work->store->mean(store, i) * work->devops.steps;
    }
    double wanted = data_sum(&work->devops), off = by_mean - wanted;
    if (sum != wanted || off > 1e-9 * wanted || off < -1e-9 * wanted)
        ch_store_die("the sum is %.1f, by means %.1f, not %.1f", sum, by_mean, wanted);
}

void
ch_work_read(const ch_work_t *work)
{
    const uint32_t series = work->devops.hosts * CH_DEVOPS_FIELDS;
    void *store = work->store->open(&work->options);
    work->store->read_begin(store, &work->devops);
    check_all(work, store);
    uint64_t points = 0;
    int64_t spent = -ch_now_ns();
    for (uint32_t round = 0; round < work->rounds; round++)
        for (uint32_t i = 0; i < series; i++)
            points += work->store->read(store, i, NULL);
    spent += ch_now_ns();
    const uint32_t means = MEANS < series ? MEANS : series;
    double sum = 0;
    int64_t mean_ns = -ch_now_ns();
    for (uint32_t i = 0; i < means; i++)
        sum += work->store->mean(store, i);
    mean_ns += ch_now_ns();
    work->store->read_end(store);
    work->store->close(store);
    printf("{\"points\": %llu, \"seconds\": %.6f, \"mean_us\": %.3f, \"mean\": %.3f}\n",
           (unsigned long long)points, (double)spent / 1e9, (double)mean_ns / 1e3 / means,
           sum / means);
}

void
ch_work_start(const ch_work_t *work)
{
    const ch_devops_t *devops = &work->devops;
    const uint32_t host = devops->hosts / 2, field = 3;
    int64_t value = -1, spent = -ch_now_ns();
    void *store = work->store->open(&work->options);
    bool found = work->store->newest(store, devops, host, field, &value);
    spent += ch_now_ns();
    const uint8_t wanted = ch_devops_values(devops, devops->steps - 1, host)[field];
    if (!found || value != wanted)
        ch_store_die("the first answer is %lld, not %u", (long long)value, wanted);
    work->store->close(store);
    printf("{\"seconds\": %.6f}\n", (double)spent / 1e9);
}

static int64_t
parse_time(const char *text)
{
    struct tm t = {0};
    char *end = strptime(text, "%Y-%m-%d %H:%M:%S", &t);
    if (!end)
        ch_store_die("not a time: %s", text);
    double fraction = *end == '.' ? strtod(end, NULL) : 0;
    return (int64_t)timegm(&t) * 1000000000 + (int64_t)(fraction * 1e9);
}

/* A column without a point in it is one of whole numbers. */
static void
read_csv(const char *path, ch_points_t *points)
{
    char line[256];
    bool whole = true;
    FILE *file = fopen(path, "r");
    if (!file)
        ch_store_die("cannot open %s", path);
    while (fgets(line, sizeof line, file)) {
        const char *comma = strchr(line, ',');
        whole = whole && (!comma || line[0] == 't' || !strpbrk(comma, ".eE"));
    }
    rewind(file);
    ch_points_clear(points);
    while (fgets(line, sizeof line, file)) {
        char *comma = strchr(line, ',');
        if (!comma || line[0] == 't')
            continue;
        *comma = 0;
        const int64_t time = parse_time(line);
        ch_points_append(points, time,
                         whole ? ch_value_int(strtoll(comma + 1, NULL, 10))
                               : ch_value_float(strtod(comma + 1, NULL)));
    }
    (void)fclose(file);
}

void
ch_work_nab(const ch_work_t *work)
{
    ch_points_t points = {0};
    void *store = work->store->open(&work->options);
    uint64_t count = 0;
    for (int i = 0; i < work->file_count; i++) {
        char labels[512];
        const char *slash = strrchr(work->files[i], '/');
        snprintf(labels, sizeof labels, "file=\"%s\"",
                 slash ? slash + 1 : work->files[i]);
        read_csv(work->files[i], &points);
        if (points.count)
            work->store->write_series(store, ch_bytes_text(labels), (uint64_t)i, &points);
        count += points.count;
    }
    work->store->flush(store);
    if (strcmp(work->then, "compact") == 0)
        work->store->compact(store);
    work->store->close(store);
    ch_points_release(&points);
    printf("{\"points\": %llu, \"written_bytes\": %llu}\n", (unsigned long long)count,
           (unsigned long long)ch_written_bytes());
}
