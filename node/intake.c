/* intake.c - bytes received minus bytes read, per connection, while the memory grows.
 *
 * Calm      nothing is counted; every CALM_PAUSE_MS the resident size is read.
 * Alert     begins when it grew by GROWTH_BYTES since it was calm, ends when it has not grown for
 *           CALM_NS. Then each connection is compared from its first sight in this alert on:
 *           (received now - received then) - (read now - read then). What it had gathered before is
 *           not counted, so the memory may pass the limits by what arrives in one look's time.
 * Identity  a connection is (descriptor, SO_COOKIE); libzmq closes descriptors in its own thread, and
 *           the system gives their numbers out again.
 * Overheads of the protocol that are not frames (pings, encryption) make an alert's sum a little too
 *           big; an alert is short, and the limits are many MiB.
 */
#include "intake.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "ch/alloc.h"

#define GROWTH_BYTES (UINT64_C(16) << 20)
#define CALM_NS INT64_C(5000000000)

enum {
    FDS_MAX = 65536,   /* descriptors above are not looked at */
    LONG_FRAME = 255,  /* ZMTP: up to here a frame's header has 2 bytes, beyond 9 */
    STATE_LISTEN = 10, /* of tcpi_state; <linux/tcp.h> does not name it */
    /* A sender on this machine brings a MiB a millisecond: a pause is that much above the limits. */
    CALM_PAUSE_MS = 20,
    ALERT_PAUSE_MS = 5,
    PAUSE_LOOKS = 4, /* a pause is at least so many times as long as a look takes */
};

typedef struct sight {
    uint64_t cookie; /* 0: not seen in this alert */
    uint64_t received, read;
    bool cut; /* shut down; libzmq has not closed it yet */
} sight_t;

struct ch_intake {
    ch_intake_limits_t limits;
    uint16_t ports[CH_INTAKE_SOCKETS];
    atomic_bool alert;
    uint64_t calm_rss;
    int64_t grown_ns; /* when the memory grew last */
    int64_t look_ns;  /* what the last look took */
    int statm; /* kept open, as the next: when descriptors run out they are needed */
    DIR *folder;
    sight_t *sights; /* FDS_MAX */
    _Atomic uint64_t *read;
    ch_intake_connection_t *connections; /* of the last look */
    size_t count, capacity;
};

ch_intake_t *
ch_intake_new(const ch_intake_limits_t *limits)
{
    ch_intake_t *intake = ch_calloc(1, sizeof *intake);
    intake->limits = *limits;
    intake->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    intake->folder = opendir("/proc/self/fd");
    intake->sights = ch_calloc(FDS_MAX, sizeof *intake->sights);
    intake->read = ch_calloc(FDS_MAX, sizeof *intake->read);
    return intake;
}

void
ch_intake_destroy(ch_intake_t **intake_in)
{
    ch_intake_t *intake = *intake_in;
    if (!intake)
        return;
    if (intake->statm >= 0)
        close(intake->statm);
    if (intake->folder)
        closedir(intake->folder);
    ch_free(intake->sights);
    ch_free(intake->read);
    ch_free(intake->connections);
    ch_free(intake);
    *intake_in = NULL;
}

void
ch_intake_listen(ch_intake_t *intake, unsigned socket, const char *endpoint)
{
    const char *colon = strrchr(endpoint, ':');
    bool tcp = strncmp(endpoint, "tcp://", 6) == 0 && colon;
    intake->ports[socket] = tcp ? (uint16_t)strtol(colon + 1, NULL, 10) : 0;
}

void
ch_intake_read(ch_intake_t *intake, zmq_msg_t *frame)
{
    if (!atomic_load_explicit(&intake->alert, memory_order_relaxed))
        return;
    int fd = zmq_msg_get(frame, ZMQ_SRCFD);
    size_t size = zmq_msg_size(frame);
    if (fd >= 0 && fd < FDS_MAX)
        atomic_fetch_add_explicit(&intake->read[fd], size + (size > LONG_FRAME ? 9 : 2),
                                  memory_order_relaxed);
}

/* ---- the decision */

static ch_intake_connection_t *
greatest(ch_intake_connection_t *connections, size_t count)
{
    ch_intake_connection_t *most = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!connections[i].cut && (!most || connections[i].unread > most->unread))
            most = &connections[i];
    }
    return most;
}

void
ch_intake_judge(const ch_intake_limits_t *limits, ch_intake_connection_t *connections,
                size_t count)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        ch_intake_connection_t *connection = &connections[i];
        connection->cut =
            connection->unread > limits->connection_bytes[connection->socket];
        if (!connection->cut)
            total += connection->unread;
    }
    while (total > limits->total_bytes) {
        ch_intake_connection_t *most = greatest(connections, count);
        most->cut = true;
        total -= most->unread;
    }
}

/* ---- what the kernel knows */

static uint64_t
resident_bytes(const ch_intake_t *intake)
{
    char text[128];
    ssize_t size = pread(intake->statm, text, sizeof text - 1, 0);
    if (size <= 0)
        return 0;
    text[size] = '\0';
    const char *second = strchr(text, ' ');
    return second ? strtoull(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static uint16_t
local_port(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        return 0;
    if (address.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)(const void *)&address)->sin_port);
    if (address.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)(const void *)&address)->sin6_port);
    return 0;
}

static void
peer_address(int fd, char address_out[INET6_ADDRSTRLEN])
{
    struct sockaddr_storage peer = {0};
    socklen_t size = sizeof peer;
    if (getpeername(fd, (struct sockaddr *)&peer, &size) != 0)
        return;
    const struct sockaddr_in *four = (const void *)&peer;
    const struct sockaddr_in6 *six = (const void *)&peer;
    const void *address = peer.ss_family == AF_INET6 ? (const void *)&six->sin6_addr
                                                     : (const void *)&four->sin_addr;
    (void)inet_ntop(peer.ss_family, address, address_out, INET6_ADDRSTRLEN);
}

static bool
received_bytes(int fd, uint64_t *bytes_out)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
        info.tcpi_state == STATE_LISTEN)
        return false;
    *bytes_out = info.tcpi_bytes_received;
    return true;
}

static uint64_t
cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

/* ---- one look */

static void
add_connection(ch_intake_t *intake, int fd, unsigned socket, uint64_t unread)
{
    if (intake->count == intake->capacity) {
        intake->capacity = intake->capacity ? intake->capacity * 2 : 64;
        intake->connections = ch_realloc(intake->connections,
                                         intake->capacity * sizeof *intake->connections);
    }
    intake->connections[intake->count++] =
        (ch_intake_connection_t){.fd = fd, .socket = socket, .unread = unread};
}

static void
look_at(ch_intake_t *intake, int fd)
{
    uint16_t port = local_port(fd);
    unsigned socket = 0;
    while (socket < CH_INTAKE_SOCKETS && intake->ports[socket] != port)
        socket++;
    uint64_t received = 0, cookie = port ? cookie_of(fd) : 0;
    if (!port || socket == CH_INTAKE_SOCKETS || !cookie || !received_bytes(fd, &received))
        return;
    sight_t *sight = &intake->sights[fd];
    uint64_t read = atomic_load_explicit(&intake->read[fd], memory_order_relaxed);
    if (sight->cookie != cookie)
        *sight = (sight_t){.cookie = cookie, .received = received, .read = read};
    if (sight->cut)
        return;
    uint64_t more_received = received - sight->received, more_read = read - sight->read;
    add_connection(intake, fd, socket,
                   more_received > more_read ? more_received - more_read : 0);
}

static void
look_at_all(ch_intake_t *intake)
{
    intake->count = 0;
    if (!intake->folder)
        return;
    rewinddir(intake->folder);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): this stream is this function's own */
    for (struct dirent *entry; (entry = readdir(intake->folder));) {
        long fd = entry->d_name[0] == '.' ? FDS_MAX : strtol(entry->d_name, NULL, 10);
        if (fd < FDS_MAX)
            look_at(intake, (int)fd);
    }
}

static void
cut(ch_intake_t *intake, const ch_intake_connection_t *connection, const ch_log_t *log,
    ch_audit_t *audit)
{
    const char *socket = connection->socket ? "query" : "ingest";
    char address[INET6_ADDRSTRLEN] = "";
    sight_t *sight = &intake->sights[connection->fd];
    if (cookie_of(connection->fd) != sight->cookie)
        return; /* it is gone already */
    sight->cut = true;
    peer_address(connection->fd, address);
    /* libzmq sees the end and closes the descriptor; with this lingering the close is a reset, so
     * that the peer's kernel does not probe a closed window for a minute. */
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    (void)shutdown(connection->fd, SHUT_RDWR);
    ch_audit(audit, "refused", ch_bytes_text(address), "disconnected",
             "socket=%s unread_bytes=%" PRIu64, socket, connection->unread);
    ch_log(
        log, CH_LOG_WARN, "intake", "disconnected",
        "socket=%s peer=%s unread_bytes=%" PRIu64
        " reason=\"it sends what does not become messages, or more than memory allows\"",
        socket, address, connection->unread);
}

/* ---- calm and alert */

static bool
is_alert(ch_intake_t *intake, int64_t now_ns)
{
    uint64_t rss = resident_bytes(intake);
    bool alert = atomic_load_explicit(&intake->alert, memory_order_relaxed);
    if (rss < intake->calm_rss || intake->calm_rss == 0)
        intake->calm_rss = rss;
    if (rss > intake->calm_rss + GROWTH_BYTES) {
        intake->calm_rss = rss;
        intake->grown_ns = now_ns;
        if (!alert)
            memset(intake->sights, 0, FDS_MAX * sizeof *intake->sights);
        alert = true;
    } else if (alert && now_ns - intake->grown_ns > CALM_NS) {
        alert = false;
    }
    atomic_store_explicit(&intake->alert, alert, memory_order_relaxed);
    return alert;
}

int
ch_intake_pause_ms(const ch_intake_t *intake)
{
    if (!atomic_load_explicit(&intake->alert, memory_order_relaxed))
        return CALM_PAUSE_MS;
    int64_t rest_ms = PAUSE_LOOKS * intake->look_ns / 1000000;
    return rest_ms < ALERT_PAUSE_MS ? ALERT_PAUSE_MS : rest_ms > 100 ? 100 : (int)rest_ms;
}

unsigned
ch_intake_check(ch_intake_t *intake, const ch_log_t *log, ch_audit_t *audit,
                const ch_clock_t *clock)
{
    const int64_t now_ns = ch_clock_monotonic_ns(clock);
    if (!is_alert(intake, now_ns))
        return 0;
#ifdef CH_FAULT_NODE_INTAKE_UNGUARDED
    return 0;
#endif
    look_at_all(intake);
    intake->look_ns = ch_clock_monotonic_ns(clock) - now_ns;
    ch_intake_judge(&intake->limits, intake->connections, intake->count);
    unsigned cuts = 0;
    for (size_t i = 0; i < intake->count; i++) {
        if (!intake->connections[i].cut)
            continue;
        cut(intake, &intake->connections[i], log, audit);
        cuts++;
    }
    return cuts;
}
