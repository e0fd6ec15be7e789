/// What /proc says of this machine, parsed: text in, numbers out.
///
/// Threads  pure functions.
#ifndef CH_TOOLS_AGENT_PROC_H
#define CH_TOOLS_AGENT_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ch_cpu_times {
    char name[16];        /* "cpu" (all), "cpu0" ... */
    uint64_t busy, total; /* clock ticks since boot */
} ch_cpu_times_t;

typedef struct ch_disk_counters {
    char name[32];
    uint64_t read_bytes, written_bytes, io_ms;
} ch_disk_counters_t;

typedef struct ch_net_counters {
    char name[32];
    uint64_t received_bytes, sent_bytes;
} ch_net_counters_t;

/// Each fills at most `max` entries and returns how many; lines that make no sense are passed over.
size_t ch_proc_cpu(const char *stat, ch_cpu_times_t *out, size_t max);
size_t ch_proc_disks(const char *diskstats, ch_disk_counters_t *out, size_t max);
size_t ch_proc_net(const char *net_dev, ch_net_counters_t *out, size_t max);

/// The three load averages; false when the text is not /proc/loadavg.
bool ch_proc_load(const char *loadavg, double load_out[3]);

/// One line of /proc/meminfo in bytes ("MemTotal", "MemAvailable" ...); false when absent.
bool ch_proc_meminfo(const char *meminfo, const char *name, uint64_t *bytes_out);

#endif
