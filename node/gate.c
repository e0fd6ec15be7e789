/* gate.c - counts connections, and shuts the door while there are too many.
 *
 * Counting  The next free descriptor is asked for at every look, all of them only when that one has risen, or
 *           once a second: with thousands of connections the walk takes milliseconds.
 * Order     Of connections above the limit those with the highest descriptors are cut: they came last.
 */
#include "gate.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "ch/alloc.h"

#define WALK_NS INT64_C(1000000000)

enum {
    LISTENERS_MAX = 8,
    FILES_ROOM = 128, /* for log, tables and what else is opened while the node runs */
    OPEN_AGAIN = 16,  /* the gate opens when one in ... of the limit is free */
    LEAST = 16,       /* connections that are always allowed */
};

struct ch_gate {
    uint32_t most;
    int listeners[LISTENERS_MAX];
    unsigned listener_count;
    DIR *folder; /* of descriptors; kept: there may be none for it when it matters */
    int *fds;    /* connections of the last walk */
    size_t count, capacity;
    int next_fd; /* at the last walk */
    int64_t walked_ns;
    bool shut;
};

static int
socket_option(int fd, int option)
{
    int value = -1;
    socklen_t size = sizeof value;
    return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

static bool
is_tcp(int fd, bool listening)
{
    return socket_option(fd, SO_PROTOCOL) == IPPROTO_TCP &&
           (socket_option(fd, SO_ACCEPTCONN) == 1) == listening;
}

static void
take(ch_gate_t *gate, int fd)
{
    if (gate->count == gate->capacity) {
        gate->capacity = gate->capacity ? gate->capacity * 2 : 64;
        gate->fds = ch_realloc(gate->fds, gate->capacity * sizeof *gate->fds);
    }
    gate->fds[gate->count++] = fd;
}

/* All descriptors that are tcp sockets: those that listen, or the others. */
static void
walk(ch_gate_t *gate, bool listening)
{
    gate->count = 0;
    if (!gate->folder)
        return;
    rewinddir(gate->folder);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): this stream is the gate's own */
    for (struct dirent *entry; (entry = readdir(gate->folder));) {
        int fd = entry->d_name[0] == '.' ? -1 : (int)strtol(entry->d_name, NULL, 10);
        if (fd >= 0 && is_tcp(fd, listening))
            take(gate, fd);
    }
}

/* What the next file would get; the limit itself when there is none left. */
static int
next_descriptor(const ch_gate_t *gate)
{
    int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    if (fd >= 0)
        close(fd);
    else
        fd = gate->next_fd + 1;
    return fd;
}

static uint32_t
most_by_descriptors(const ch_gate_t *gate)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > UINT32_MAX)
        return UINT32_MAX;
    uint32_t files = (uint32_t)limit.rlim_cur,
             taken = (uint32_t)gate->next_fd + FILES_ROOM;
    return files > taken + LEAST ? files - taken : LEAST;
}

ch_gate_t *
ch_gate_new(uint32_t connections_max)
{
    ch_gate_t *gate = ch_calloc(1, sizeof *gate);
    gate->folder = opendir("/proc/self/fd");
    walk(gate, true);
    for (size_t i = 0; i < gate->count && i < LISTENERS_MAX; i++)
        gate->listeners[gate->listener_count++] = gate->fds[i];
    gate->next_fd = next_descriptor(gate);
    uint32_t fit = most_by_descriptors(gate);
    gate->most = connections_max == 0 || connections_max > fit ? fit : connections_max;
    return gate;
}

void
ch_gate_destroy(ch_gate_t **gate_in)
{
    ch_gate_t *gate = *gate_in;
    if (!gate)
        return;
    if (gate->folder)
        closedir(gate->folder);
    ch_free(gate->fds);
    ch_free(gate);
    *gate_in = NULL;
}

/* Drop every packet that asks a listening socket for a connection; those that are there have sockets of
 * their own and go on. */
static void
set_shut(ch_gate_t *gate, bool shut)
{
    struct sock_filter drop_all[] = {{.code = BPF_RET | BPF_K, .k = 0}};
    const struct sock_fprog program = {.len = 1, .filter = drop_all};
    const int nothing = 0;
    for (unsigned i = 0; i < gate->listener_count; i++) {
        if (shut)
            (void)setsockopt(gate->listeners[i], SOL_SOCKET, SO_ATTACH_FILTER, &program,
                             sizeof program);
        else
            (void)setsockopt(gate->listeners[i], SOL_SOCKET, SO_DETACH_FILTER, &nothing,
                             sizeof nothing);
    }
    gate->shut = shut;
}

static int
compare_fds(const void *a, const void *b)
{
    int left = *(const int *)a, right = *(const int *)b;
    return (left > right) - (left < right);
}

static uint32_t
cut_newest(ch_gate_t *gate)
{
    uint32_t cut = 0;
    qsort(gate->fds, gate->count, sizeof *gate->fds, compare_fds);
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    for (size_t i = gate->most; i < gate->count; i++) {
        /* libzmq may have closed it, and the number may be a new connection's: no harm, that one is new. */
        if (!is_tcp(gate->fds[i], false))
            continue;
        (void)setsockopt(gate->fds[i], SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        (void)shutdown(gate->fds[i], SHUT_RDWR);
        cut++;
    }
    return cut;
}

void
ch_gate_check(ch_gate_t *gate, int64_t now_ns, ch_gate_view_t *view_out)
{
    *view_out = (ch_gate_view_t){.most = gate->most};
    int next = next_descriptor(gate);
    if (next > gate->next_fd || now_ns - gate->walked_ns >= WALK_NS) {
        walk(gate, false);
        gate->next_fd = next;
        gate->walked_ns = now_ns;
    }
#ifdef CH_FAULT_NODE_GATE_OPEN
    return;
#endif
    if (!gate->shut && gate->count >= gate->most)
        set_shut(gate, true);
    if (gate->count > gate->most) {
        view_out->cut = cut_newest(gate);
        gate->walked_ns = 0; /* look again */
    } else if (gate->shut && gate->count + gate->most / OPEN_AGAIN < gate->most) {
        set_shut(gate, false);
    }
    view_out->connections = (uint32_t)gate->count;
    view_out->shut = gate->shut;
}
