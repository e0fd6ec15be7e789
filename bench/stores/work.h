/// The programs of store_bench: each does one thing with one store in one directory and prints one JSON
/// object with what it saw.
#ifndef CH_BENCH_WORK_H
#define CH_BENCH_WORK_H

#include "load/samples.h"
#include "store.h"

typedef struct ch_work {
    const ch_store_ops_t *store;
    ch_store_options_t options;
    ch_devops_t devops;
    uint32_t column;    /* steps of one host in a batch; 1: one step of 100 hosts */
    uint32_t in_flight; /* batches that wait for the disk at a time */
    uint32_t batches;   /* at most so many; 0: all of the data */
    uint32_t count, rounds;
    const char *then; /* flush or compact behind the writes; else empty */
    bool stay;        /* until killed, with nothing closed */
    char **files;
    int file_count;
} ch_work_t;

/// Insert the devops data, batches of 1,000 points; `then` says how it ends.
void ch_work_insert(const ch_work_t *work);
/// Insert CSV files of `timestamp,value`, a series each.
void ch_work_nab(const ch_work_t *work);
/// `rounds` times `count` puts of the same keys (16 bytes) with new texts (100 bytes), a flush behind each.
void ch_work_put(const ch_work_t *work);
/// Look for `rounds` keys between those of ch_work_put.
void ch_work_miss(const ch_work_t *work);
/// Read every series whole and take its mean, `rounds` times, checked against the data.
void ch_work_read(const ch_work_t *work);
/// Open and answer a first question.
void ch_work_start(const ch_work_t *work);
/// Insert the devops data and flush; then insert more of it, at new times, each batch until it is durable:
/// `batches` with no merge under way, and as many as a merge of everything takes to end.
void ch_work_during(const ch_work_t *work);
/// Insert the devops data `rounds` times at the same times with other values, a flush behind each round.
void ch_work_overwrite(const ch_work_t *work);
/// Open, merge all there is, close.
void ch_work_compact(const ch_work_t *work);

/// A batch of the data, numbered in order of time; those behind the data's end repeat it at later times.
ch_slab_t ch_work_slab(const ch_work_t *work, uint64_t number);
uint64_t ch_work_slabs(const ch_work_t *work);

/// What this process has handed to write calls so far.
uint64_t ch_written_bytes(void);

#endif
