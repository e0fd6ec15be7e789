/// The data of TSBS's devops use case, cpu only: hosts that report ten whole-number metrics each step.
///
/// Shape    hosts x 10 fields x steps. A value walks: each step adds a normal deviate, held within
///          0 and 100 and cut to a whole number. A host has ten tags. Same seed, same data.
/// Units    times: ns, `CH_DEVOPS_START_NS + step * CH_DEVOPS_STEP_NS`.
/// Threads  read-only once made.
#ifndef CH_BENCH_DEVOPS_H
#define CH_BENCH_DEVOPS_H

#include "ch/bytes.h"

enum { CH_DEVOPS_FIELDS = 10, CH_DEVOPS_TAGS = 10, CH_DEVOPS_LABELS_BYTES = 256 };

#define CH_DEVOPS_START_NS INT64_C(1451606400000000000) /* 2016-01-01 */
#define CH_DEVOPS_STEP_NS INT64_C(10000000000)
#define CH_DEVOPS_NAME "cpu" /* measurement: series are cpu_usage_user{...} and so on */

extern const char *const ch_devops_fields[CH_DEVOPS_FIELDS];
extern const char *const ch_devops_tags[CH_DEVOPS_TAGS]; /* sorted by name */

/// What one host is called in each protocol.
typedef struct ch_devops_host {
    char tag_values[CH_DEVOPS_TAGS][24];
    ch_bytes_t tags[CH_DEVOPS_TAGS];     /* the same, with their sizes */
    char labels[CH_DEVOPS_LABELS_BYTES]; /* arch="x86",datacenter="...",... canonical */
    size_t labels_size;
    char influx[CH_DEVOPS_LABELS_BYTES]; /* cpu,hostname=host_0,... and a blank */
    size_t influx_size;
} ch_devops_host_t;

typedef struct ch_devops {
    uint32_t hosts, steps;
    ch_bytes_t fields[CH_DEVOPS_FIELDS], tag_names[CH_DEVOPS_TAGS];
    ch_devops_host_t *host;
    uint8_t *values; /* [step][host][field] */
} ch_devops_t;

void ch_devops_init(ch_devops_t *devops, uint32_t hosts, uint32_t steps, uint64_t seed);
void ch_devops_release(ch_devops_t *devops);

static inline int64_t
ch_devops_time(uint32_t step)
{
    return CH_DEVOPS_START_NS + (int64_t)step * CH_DEVOPS_STEP_NS;
}

/// The ten values of a host at a step.
static inline const uint8_t *
ch_devops_values(const ch_devops_t *devops, uint32_t step, uint32_t host)
{
    return devops->values + ((size_t)step * devops->hosts + host) * CH_DEVOPS_FIELDS;
}

/// Key text of one series into `out` (room for CH_DEVOPS_LABELS_BYTES + 40); returns its size.
size_t ch_devops_key(const ch_devops_t *devops, uint32_t host, uint32_t field, char *out);

#endif
