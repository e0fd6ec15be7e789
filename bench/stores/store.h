/// One store under measurement: this engine, or an embedded key-value store beside it.
///
/// Shape    points come in slabs of the devops data; a key-value store keeps each under a key of 16 bytes,
///          the number of its series and its time (big-endian), a value of 8 bytes. The texts of the
///          series are thus left out of the rivals' files, and part of ours.
/// Settings Snappy, filters of 10 bits a key, memtables of 64 MiB unless said; else the defaults.
/// Errors   whatever fails ends the program: a benchmark has nothing to rescue.
#ifndef CH_BENCH_STORE_H
#define CH_BENCH_STORE_H

#include "ch/points.h"
#include "load/devops.h"

/// hosts x 10 fields x steps of the data: what one write takes.
typedef struct ch_slab {
    const ch_devops_t *devops;
    uint32_t host_first, host_count, step_first, step_count;
    uint32_t values_ahead; /* so many steps: other values at the same times */
} ch_slab_t;

/// The ten values of a host at one of the slab's steps. Behind its last step the data comes again, at new
/// times.
static inline const uint8_t *
ch_slab_values(const ch_slab_t *slab, uint32_t step, uint32_t host)
{
    return ch_devops_values(slab->devops,
                            (step + slab->values_ahead) % slab->devops->steps, host);
}

static inline uint32_t
ch_slab_points(const ch_slab_t *slab)
{
    return slab->host_count * slab->step_count * CH_DEVOPS_FIELDS;
}

typedef struct ch_store_options {
    const char *path;
    bool
        synced; /* each write waits for the disk: in wait() where there is one, else in write() */
    bool inline_work;        /* the writer flushes by itself; ours only */
    bool keep_tables;        /* merge no tables unasked; not LevelDB's choice */
    bool no_filter;          /* open without filters; not ours */
    uint64_t memtable_bytes; /* 0: 64 MiB */
} ch_store_options_t;

typedef struct ch_store_ops {
    const char *name;
    bool concurrent; /* writes of several threads are taken together */
    void *(*open)(const ch_store_options_t *options);
    /* Close in order: nothing to replay at the next start. */
    void (*close)(void *store);
    /* Returns what wait() takes; with `synced` it is durable after that. */
    uint64_t (*write)(void *store, const ch_slab_t *slab);
    void (*wait)(void *store, uint64_t ticket);
    /* One whole series from elsewhere; `number` is the rivals' name of it. */
    void (*write_series)(void *store, ch_bytes_t labels, uint64_t number,
                         const ch_points_t *points);
    /* A short text under a key, as a batch of its own. */
    void (*put)(void *store, ch_bytes_t key, ch_bytes_t text);
    bool (*has)(void *store, ch_bytes_t key);
    void (*flush)(void *store);
    /* Merge all tables there are, as far as they can be. */
    void (*compact)(void *store);
    /* The same while the caller goes on writing: `compacted` tells of the ticket when it is done. */
    uint64_t (*compact_begin)(void *store);
    bool (*compacted)(void *store, uint64_t ticket);
    /* The newest value of a series of the devops data; false: none. */
    bool (*newest)(void *store, const ch_devops_t *devops, uint32_t host, uint32_t field,
                   int64_t *value_out);
    /* Whole series in some order, 0 to hosts * 10. The sum costs time: NULL leaves it out. */
    void (*read_begin)(void *store, const ch_devops_t *devops);
    uint64_t (*read)(void *store, uint32_t series, double *sum_out); /* points */
    double (*mean)(void *store, uint32_t series);
    void (*read_end)(void *store);
} ch_store_ops_t;

extern const ch_store_ops_t ch_store_cityhall, ch_store_rocksdb, ch_store_leveldb;

/// NULL: not known, or not built in.
const ch_store_ops_t *ch_store_named(const char *name);

/// Print the names of those built in, a line each.
void ch_store_list(void);

/// Print one line to stderr and exit 1.
void ch_store_die(const char *format, ...)
    __attribute__((format(printf, 1, 2), noreturn));

#endif
