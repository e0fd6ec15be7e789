/* insert.c - the devops data into a store.
 *
 * A store that takes writes together only when several threads write gets as many threads as batches
 * may wait; ours has one writer, which goes on before the disk has answered. */
#include "work.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ch/alloc.h"

enum { HOSTS_A_BATCH = 100, IN_FLIGHT_MAX = 1024 };

typedef struct job {
    const ch_work_t *work;
    void *store;
    uint64_t slabs;
    uint64_t next; /* atomic */
} job_t;

typedef struct worker {
    pthread_t thread;
    job_t *job;
    ch_samples_t samples;
    uint64_t points;
} worker_t;

uint64_t
ch_written_bytes(void)
{
    char line[128];
    unsigned long long bytes = 0;
    FILE *file = fopen("/proc/self/io", "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        (void)sscanf(line, "wchar: %llu", &bytes);
    (void)fclose(file);
    return bytes;
}

/* In order of time: one step of a group of hosts after the other, or a block of steps of each host. */
ch_slab_t
ch_work_slab(const ch_work_t *work, uint64_t number)
{
    const ch_devops_t *devops = &work->devops;
    const bool table = work->column == 1;
    const uint32_t group = table ? HOSTS_A_BATCH : 1;
    const uint32_t groups = (devops->hosts + group - 1) / group;
    ch_slab_t slab = {.devops = devops,
                      .host_first = (uint32_t)(number % groups) * group,
                      .host_count = group,
                      .step_first = (uint32_t)(number / groups) * work->column,
                      .step_count = work->column};
    if (slab.host_first + slab.host_count > devops->hosts)
        slab.host_count = devops->hosts - slab.host_first;
    if (slab.step_first < devops->steps &&
        slab.step_first + slab.step_count > devops->steps)
        slab.step_count = devops->steps - slab.step_first;
    return slab;
}

uint64_t
ch_work_slabs(const ch_work_t *work)
{
    const uint32_t group = work->column == 1 ? HOSTS_A_BATCH : 1;
    const uint64_t groups = (work->devops.hosts + group - 1) / group;
    return groups * ((work->devops.steps + work->column - 1) / work->column);
}

static void *
insert_alone(void *context)
{
    worker_t *worker = context;
    job_t *job = worker->job;
    const ch_store_ops_t *store = job->work->store;
    for (;;) {
        uint64_t number = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED);
        if (number >= job->slabs)
            return NULL;
        const ch_slab_t slab = ch_work_slab(job->work, number);
        int64_t spent = -ch_now_ns();
        store->wait(job->store, store->write(job->store, &slab));
        ch_samples_add(&worker->samples, spent + ch_now_ns());
        worker->points += ch_slab_points(&slab);
    }
}

/* One writer, a ring of batches whose durability nobody has seen yet. */
static void
insert_ahead(worker_t *worker)
{
    static uint64_t tickets[IN_FLIGHT_MAX];
    static int64_t begins[IN_FLIGHT_MAX];
    job_t *job = worker->job;
    const ch_store_ops_t *store = job->work->store;
    const uint32_t room = job->work->in_flight;
    for (uint64_t number = 0; number < job->slabs + room; number++) {
        const uint64_t slot = number % room;
        if (number >= room && number - room < job->slabs) {
            store->wait(job->store, tickets[slot]);
            ch_samples_add(&worker->samples, ch_now_ns() - begins[slot]);
        }
        if (number >= job->slabs)
            continue;
        const ch_slab_t slab = ch_work_slab(job->work, number);
        begins[slot] = ch_now_ns();
        tickets[slot] = store->write(job->store, &slab);
        worker->points += ch_slab_points(&slab);
    }
}

static void
insert_together(job_t *job, worker_t *total)
{
    const uint32_t count = job->work->in_flight;
    worker_t *workers = ch_calloc(count, sizeof *workers);
    for (uint32_t i = 0; i < count; i++) {
        workers[i].job = job;
        if (pthread_create(&workers[i].thread, NULL, insert_alone, &workers[i]) != 0)
            ch_store_die("no thread");
    }
    for (uint32_t i = 0; i < count; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        ch_samples_merge(&total->samples, &workers[i].samples);
        ch_samples_release(&workers[i].samples);
        total->points += workers[i].points;
    }
    ch_free(workers);
}

static void
end(const ch_work_t *work, void *store)
{
    if (strcmp(work->then, "flush") == 0 || strcmp(work->then, "compact") == 0)
        work->store->flush(store);
    if (strcmp(work->then, "compact") == 0)
        work->store->compact(store);
}

void
ch_work_insert(const ch_work_t *work)
{
    job_t job = {.work = work, .slabs = ch_work_slabs(work)};
    worker_t worker = {.job = &job};
    if (work->batches && work->batches < job.slabs)
        job.slabs = work->batches;
    if (work->in_flight > IN_FLIGHT_MAX)
        ch_store_die("at most %d batches in flight", IN_FLIGHT_MAX);
    job.store = work->store->open(&work->options);
    double cpu = -ch_cpu_seconds();
    int64_t spent = -ch_now_ns();
    if (work->in_flight == 1)
        (void)insert_alone(&worker);
    else if (work->store->concurrent)
        insert_together(&job, &worker);
    else
        insert_ahead(&worker);
    spent += ch_now_ns();
    cpu += ch_cpu_seconds();
    int64_t ending = -ch_now_ns();
    end(work, job.store);
    if (!work->stay)
        work->store->close(job.store);
    ending += ch_now_ns();
    printf("{\"points\": %llu, \"seconds\": %.6f, \"cpu_seconds\": %.6f, "
           "\"end_seconds\": %.6f, \"all_cpu_seconds\": %.6f, \"written_bytes\": %llu, "
           "\"batch_ms\": ",
           (unsigned long long)worker.points, (double)spent / 1e9, cpu,
           (double)ending / 1e9, ch_cpu_seconds(),
           (unsigned long long)ch_written_bytes());
    ch_samples_print(&worker.samples, stdout);
    printf("}\n");
    (void)fflush(stdout);
    ch_samples_release(&worker.samples);
    while (work->stay)
        (void)pause();
}

void
ch_work_compact(const ch_work_t *work)
{
    void *store = work->store->open(&work->options);
    int64_t spent = -ch_now_ns();
    work->store->compact(store);
    spent += ch_now_ns();
    work->store->close(store);
    printf("{\"seconds\": %.6f, \"written_bytes\": %llu}\n", (double)spent / 1e9,
           (unsigned long long)ch_written_bytes());
}
