/* pusher_main.c - a producer on libcityhall for tests/blackbox/test_proxy.py: numbered batches through
 * whatever network lies between, until all are acknowledged.
 *
 * Usage    pusher INGEST QUERY PRODUCER BATCHES SECONDS
 * Batch n  left_PRODUCER and right_PRODUCER at time n are n; newest_PRODUCER at time 0 becomes n.
 * Output   `durable=<seq> resent=<batches> sessions_lost=<count> rejected=<count>`; exit 0 when all
 *          batches are durable.
 */
#include <cityhall.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEY_BYTES = 128, WINDOW = 32 };

static cityhall_status_t
add(cityhall_producer_t *producer, const char *kind, const char *id, int64_t time,
    int64_t value)
{
    char key[KEY_BYTES];
    snprintf(key, sizeof key, "%s_%s", kind, id);
    return cityhall_producer_point(producer, key, time, cityhall_int(value));
}

static cityhall_status_t
push(cityhall_producer_t *producer, const char *id, int64_t n)
{
    cityhall_status_t status = add(producer, "left", id, n, n);
    if (status >= 0)
        status = add(producer, "right", id, n, n);
    if (status >= 0)
        status = add(producer, "newest", id, 0, n);
    return status < 0 ? status : cityhall_producer_send(producer, NULL);
}

static cityhall_producer_options_t
options_of(char **argv)
{
    cityhall_producer_options_t options;
    cityhall_producer_options_init(&options);
    options.ingest = argv[1];
    options.query = argv[2];
    options.producer = argv[3];
    options.window_batches = WINDOW;
    options.send_timeout_ms = atoi(argv[5]) * 1000;
    options.request_timeout_ms = 200; /* a lossy network, a near node */
    options.resend_after_ms = 300;
    return options;
}

int
main(int argc, char **argv)
{
    cityhall_producer_t *producer = NULL;
    cityhall_producer_stats_t stats;
    char error[256];
    if (argc != 6) {
        fprintf(stderr, "usage: pusher INGEST QUERY PRODUCER BATCHES SECONDS\n");
        return 2;
    }
    const cityhall_producer_options_t options = options_of(argv);
    if (cityhall_producer_open(&options, &producer, error, sizeof error) < 0) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    cityhall_status_t status = CITYHALL_OK;
    for (int64_t n = 1; n <= atoll(argv[4]) && status >= 0; n++)
        status = push(producer, options.producer, n);
    if (status >= 0)
        status =
            cityhall_producer_wait(producer, CITYHALL_DURABLE, options.send_timeout_ms);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", cityhall_status_name(status),
                cityhall_producer_error(producer));
    cityhall_producer_stats(producer, &stats);
    printf("durable=%" PRIu64 " resent=%" PRIu64 " sessions_lost=%" PRIu64
           " rejected=%" PRIu64 "\n",
           stats.durable, stats.resent_batches, stats.sessions_lost, stats.rejected);
    cityhall_producer_destroy(&producer);
    return status < 0;
}
