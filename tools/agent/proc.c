#include "agent/proc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *
next_line(const char *line)
{
    const char *end = strchr(line, '\n');
    return end ? end + 1 : line + strlen(line);
}

size_t
ch_proc_cpu(const char *stat, ch_cpu_times_t *out, size_t max)
{
    size_t count = 0;
    for (const char *line = stat; *line && count < max; line = next_line(line)) {
        uint64_t t[8] = {0};
        char name[16];
        int fields = sscanf(line,
                            "%15s %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                            " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
                            name, &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]);
        if (strncmp(line, "cpu", 3) != 0 || fields < 5)
            continue;
        uint64_t total = 0;
        for (int i = 0; i < 8; i++)
            total += t[i];
        (void)snprintf(out[count].name, sizeof out[count].name, "%s", name);
        out[count].total = total;
        out[count++].busy = total - t[3] - t[4]; /* all but idle and waiting for a disk */
    }
    return count;
}

/* Whole disks only: partitions, loops and ram disks would count the same bytes again. */
static bool
is_whole_disk(const char *name)
{
    size_t length = strlen(name);
    if (strncmp(name, "loop", 4) == 0 || strncmp(name, "ram", 3) == 0)
        return false;
    if (strncmp(name, "nvme", 4) == 0 || strncmp(name, "mmcblk", 6) == 0)
        return strchr(name + 4, 'p') == NULL;
    return length > 0 && (name[length - 1] < '0' || name[length - 1] > '9');
}

size_t
ch_proc_disks(const char *diskstats, ch_disk_counters_t *out, size_t max)
{
    size_t count = 0;
    for (const char *line = diskstats; *line && count < max; line = next_line(line)) {
        uint64_t read_sectors, written_sectors, io_ms;
        char name[32];
        int fields = sscanf(line,
                            "%*u %*u %31s %*u %*u %" SCNu64 " %*u %*u %*u %" SCNu64
                            " %*u %*u %" SCNu64,
                            name, &read_sectors, &written_sectors, &io_ms);
        if (fields != 4 || !is_whole_disk(name))
            continue;
        (void)snprintf(out[count].name, sizeof out[count].name, "%s", name);
        out[count].read_bytes = read_sectors * 512;
        out[count].written_bytes = written_sectors * 512;
        out[count++].io_ms = io_ms;
    }
    return count;
}

size_t
ch_proc_net(const char *net_dev, ch_net_counters_t *out, size_t max)
{
    size_t count = 0;
    for (const char *line = net_dev; *line && count < max; line = next_line(line)) {
        uint64_t received, sent;
        char name[32];
        const char *colon = strchr(line, ':');
        if (!colon || colon > next_line(line) || sscanf(line, " %31[^: ]", name) != 1 ||
            sscanf(colon + 1, "%" SCNu64 " %*u %*u %*u %*u %*u %*u %*u %" SCNu64,
                   &received, &sent) != 2)
            continue;
        (void)snprintf(out[count].name, sizeof out[count].name, "%s", name);
        out[count].received_bytes = received;
        out[count++].sent_bytes = sent;
    }
    return count;
}

bool
ch_proc_load(const char *loadavg, double load_out[3])
{
    return sscanf(loadavg, "%lf %lf %lf", &load_out[0], &load_out[1], &load_out[2]) == 3;
}

bool
ch_proc_meminfo(const char *meminfo, const char *name, uint64_t *bytes_out)
{
    size_t length = strlen(name);
    for (const char *line = meminfo; *line; line = next_line(line)) {
        if (strncmp(line, name, length) != 0 || line[length] != ':')
            continue;
        uint64_t kib;
        if (sscanf(line + length + 1, "%" SCNu64, &kib) != 1)
            return false;
        *bytes_out = kib * 1024;
        return true;
    }
    return false;
}
