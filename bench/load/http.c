/* http.c - the same data to servers that speak HTTP/1.1: connections that post one body after
 * another, each accepted (2xx) before the next.
 */
#include "load.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ch/alloc.h"
#include "ch/assert.h"
#include "dealer.h"
#include "samples.h"

enum { HEAD_BYTES = 512, ROW_BYTES_MAX = 1024, REPLY_BYTES = 8192 };

typedef struct poster {
    const ch_load_options_t *options;
    pthread_barrier_t *start;
    pthread_t thread;
    int fd;
    uint32_t number;
    bool rowbinary;
    uint64_t units, points, bytes;
    char *buffer; /* room for the head, then the body */
    size_t size;  /* of the body */
    int64_t end_ns;
    ch_samples_t latencies;
} poster_t;

/* ---- the connection */

static int
connect_to(const char *address)
{
    char host[128];
    const char *colon = strrchr(address, ':');
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    if (!colon || (size_t)(colon - address) >= sizeof host)
        ch_load_die("%s: HOST:PORT wanted", address);
    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
        ch_load_die("%s: no such address", address);
    int fd = socket(found->ai_family, SOCK_STREAM, 0), on = 1;
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) != 0)
        ch_load_die("%s: %s", address, strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    freeaddrinfo(found);
    return fd;
}

static void
write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = write(fd, data, size);
        if (sent <= 0)
            ch_load_die("the server hung up: %s", strerror(errno));
        data += sent;
        size -= (size_t)sent;
    }
}

/* Read one reply; its status. Bodies are short, and sized or chunked. */
static int
read_reply(int fd)
{
    char text[REPLY_BYTES + 1];
    size_t size = 0;
    for (;;) {
        ssize_t got = read(fd, text + size, REPLY_BYTES - size);
        if (got <= 0)
            ch_load_die("the server hung up: %.*s", (int)size, text);
        size += (size_t)got;
        text[size] = '\0';
        const char *body = strstr(text, "\r\n\r\n");
        if (!body)
            continue;
        const char *length = strcasestr(text, "\r\nContent-Length:");
        bool chunked = strcasestr(text, "\r\nTransfer-Encoding: chunked") != NULL;
        size_t wanted = length ? strtoul(length + 17, NULL, 10) : 0;
        if (chunked ? strstr(body + 2, "\r\n0\r\n\r\n") != NULL
                    : strlen(body + 4) >= wanted)
            break;
    }
    int status = size > 12 ? (int)strtol(text + 9, NULL, 10) : 0;
    if (status / 100 != 2)
        fprintf(stderr, "%s\n", text);
    return status;
}

/* The head goes right before the body, so that both leave in one write. */
static void
post(poster_t *poster)
{
    char head[HEAD_BYTES];
    int size = snprintf(head, sizeof head,
                        "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %zu\r\n\r\n",
                        poster->options->path, poster->options->address, poster->size);
    CH_ASSERT(size > 0 && size < HEAD_BYTES);
    char *from = poster->buffer + HEAD_BYTES - size;
    memcpy(from, head, (size_t)size);
    int64_t start_ns = ch_now_ns();
    write_all(poster->fd, from, (size_t)size + poster->size);
    int status = read_reply(poster->fd);
    if (status / 100 != 2)
        ch_load_die("refused with %d", status);
    ch_samples_add(&poster->latencies, ch_now_ns() - start_ns);
    poster->bytes += poster->size;
    poster->size = 0;
}

/* ---- the bodies */

static char *
put_text(char *at, const char *text, size_t size)
{
    memcpy(at, text, size);
    return at + size;
}

static char *
put_small(char *at, uint8_t value) /* 0 to 100 */
{
    if (value >= 100)
        *at++ = '1';
    if (value >= 10)
        *at++ = (char)('0' + value / 10 % 10);
    *at++ = (char)('0' + value % 10);
    return at;
}

static size_t
put_line(const ch_devops_t *devops, uint32_t host, uint32_t step, char *out)
{
    const uint8_t *values = ch_devops_values(devops, step, host);
    char *at = put_text(out, devops->host[host].influx, devops->host[host].influx_size);
    for (int i = 0; i < CH_DEVOPS_FIELDS; i++) {
        if (i)
            *at++ = ',';
        at = put_text(at, ch_devops_fields[i], strlen(ch_devops_fields[i]));
        *at++ = '=';
        at = put_small(at, values[i]);
        *at++ = 'i';
    }
    at += snprintf(at, 24, " %" PRId64 "\n", ch_devops_time(step));
    return (size_t)(at - out);
}

/* time DateTime, host UInt32, ten Int64. */
static size_t
put_row(const ch_devops_t *devops, uint32_t host, uint32_t step, char *out)
{
    const uint8_t *values = ch_devops_values(devops, step, host);
    uint32_t head[2] = {(uint32_t)(ch_devops_time(step) / 1000000000), host};
    memcpy(out, head, sizeof head);
    for (int i = 0; i < CH_DEVOPS_FIELDS; i++) {
        int64_t value = values[i];
        memcpy(out + sizeof head + (size_t)i * 8, &value, 8);
    }
    return sizeof head + CH_DEVOPS_FIELDS * 8;
}

static void *
poster_run(void *argument)
{
    poster_t *poster = argument;
    const ch_devops_t *devops = &poster->options->devops;
    uint32_t count = poster->options->producers;
    uint32_t first = (uint32_t)((uint64_t)devops->hosts * poster->number / count);
    uint32_t end = (uint32_t)((uint64_t)devops->hosts * (poster->number + 1) / count);
    uint64_t units = (uint64_t)(end - first) * devops->steps;
    char *body = poster->buffer + HEAD_BYTES;
    pthread_barrier_wait(poster->start);
    for (uint64_t unit = 0; unit < units && !ch_load_stop; unit++) {
        uint32_t host = first + (uint32_t)(unit % (end - first));
        uint32_t step = (uint32_t)(unit / (end - first));
        poster->size += (poster->rowbinary ? put_row : put_line)(devops, host, step,
                                                                 body + poster->size);
        if ((unit + 1) % poster->units == 0 || unit + 1 == units)
            post(poster);
        poster->points += CH_DEVOPS_FIELDS;
    }
    poster->end_ns = ch_now_ns();
    close(poster->fd);
    return NULL;
}

static void
open_poster(poster_t *poster, const ch_load_options_t *options, pthread_barrier_t *start,
            uint32_t number)
{
    poster->options = options;
    poster->start = start;
    poster->number = number;
    poster->units = options->batch_points / CH_DEVOPS_FIELDS;
    poster->units = poster->units ? poster->units : 1;
    poster->buffer = ch_alloc(HEAD_BYTES + poster->units * ROW_BYTES_MAX);
    poster->fd = connect_to(options->address);
    CH_ASSERT(pthread_create(&poster->thread, NULL, poster_run, poster) == 0);
}

static int
post_all(const ch_load_options_t *options, bool rowbinary)
{
    poster_t *posters = ch_calloc(options->producers, sizeof *posters);
    pthread_barrier_t start;
    ch_samples_t latencies = {0};
    uint64_t points = 0, bytes = 0;
    pthread_barrier_init(&start, NULL, options->producers + 1);
    for (uint32_t i = 0; i < options->producers; i++) {
        posters[i].rowbinary = rowbinary;
        open_poster(&posters[i], options, &start, i);
    }
    pthread_barrier_wait(&start);
    int64_t start_ns = ch_now_ns(), end_ns = start_ns;
    double cpu_seconds = ch_cpu_seconds();
    for (uint32_t i = 0; i < options->producers; i++) {
        pthread_join(posters[i].thread, NULL);
        end_ns = posters[i].end_ns > end_ns ? posters[i].end_ns : end_ns;
        points += posters[i].points;
        bytes += posters[i].bytes;
        ch_samples_merge(&latencies, &posters[i].latencies);
        ch_samples_release(&posters[i].latencies);
        ch_free(posters[i].buffer);
    }
    printf("{\"points\": %" PRIu64 ", \"seconds\": %.6f, \"bytes\": %" PRIu64
           ", \"load_cpu_seconds\": %.3f, \"ack_ms\": ",
           points, (double)(end_ns - start_ns) / 1e9, bytes,
           ch_cpu_seconds() - cpu_seconds);
    ch_samples_print(&latencies, stdout);
    printf("}\n");
    ch_samples_release(&latencies);
    pthread_barrier_destroy(&start);
    ch_free(posters);
    return 0;
}

int
ch_load_influx(const ch_load_options_t *options)
{
    return post_all(options, false);
}

int
ch_load_rowbinary(const ch_load_options_t *options)
{
    return post_all(options, true);
}
