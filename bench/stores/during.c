/* during.c - work for merges: what a write waits for the disk while all tables are merged, and while none
 * are; and points that take each other's place.
 *
 * The writer goes on with new times until the merge has ended, however much that takes: a merge that
 * outlives the data would be measured in part only. */
#include "work.h"

#include <stdio.h>

typedef struct writer {
    const ch_work_t *work;
    void *store;
    uint64_t next; /* batch */
} writer_t;

static void
write_one(writer_t *writer, ch_samples_t *samples)
{
    const ch_store_ops_t *store = writer->work->store;
    const ch_slab_t slab = ch_work_slab(writer->work, writer->next++);
    int64_t spent = -ch_now_ns();
    store->wait(writer->store, store->write(writer->store, &slab));
    ch_samples_add(samples, spent + ch_now_ns());
}

static void
fill(writer_t *writer, uint32_t values_ahead)
{
    const ch_store_ops_t *store = writer->work->store;
    const uint64_t count = ch_work_slabs(writer->work);
    uint64_t ticket = 0;
    for (writer->next = 0; writer->next < count; writer->next++) {
        ch_slab_t slab = ch_work_slab(writer->work, writer->next);
        slab.values_ahead = values_ahead;
        ticket = store->write(writer->store, &slab);
    }
    store->wait(writer->store, ticket);
    store->flush(writer->store);
}

void
ch_work_during(const ch_work_t *work)
{
    const ch_store_ops_t *store = work->store;
    ch_samples_t alone = {0}, during = {0};
    writer_t writer = {.work = work, .store = store->open(&work->options)};
    fill(&writer, 0);
    for (uint32_t i = 0; i < work->batches; i++)
        write_one(&writer, &alone);
    int64_t spent = -ch_now_ns();
    const uint64_t ticket = store->compact_begin(writer.store);
    do
        write_one(&writer, &during);
    while (!store->compacted(writer.store, ticket));
    spent += ch_now_ns();
    store->close(writer.store);
    printf("{\"compact_seconds\": %.6f, \"alone_ms\": ", (double)spent / 1e9);
    ch_samples_print(&alone, stdout);
    printf(", \"during_ms\": ");
    ch_samples_print(&during, stdout);
    printf("}\n");
    ch_samples_release(&alone);
    ch_samples_release(&during);
}

void
ch_work_overwrite(const ch_work_t *work)
{
    writer_t writer = {.work = work, .store = work->store->open(&work->options)};
    for (uint32_t round = 0; round < work->rounds; round++)
        fill(&writer, round);
    work->store->close(writer.store);
    printf("{\"written_bytes\": %llu}\n", (unsigned long long)ch_written_bytes());
}
