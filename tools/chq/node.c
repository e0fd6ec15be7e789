/* node.c - the two handles on a node, and what is said when it does not do what was asked. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "chq/chq.h"

/* What helps with a handle that could not be made. */
static const char *
hint(cityhall_status_t status)
{
    return status == CITYHALL_ERR_NETWORK
               ? "; an endpoint is tcp://HOST:PORT or ipc://PATH"
               : "";
}

cityhall_reader_t *
chq_reader(const chq_t *chq)
{
    cityhall_reader_options_t options;
    cityhall_reader_options_init(&options);
    options.query = chq->node;
    options.timeout_ms = chq->timeout_ms;
    options.tries = 1;
    options.key_file = chq->key_file;
    options.server_key = chq->server_key;
    cityhall_reader_t *reader = NULL;
    char error[256];
    cityhall_status_t status =
        cityhall_reader_open(&options, &reader, error, sizeof error);
    if (status < 0)
        chq_die(CHQ_EXIT_USAGE, "%s%s", error, hint(status));
    return reader;
}

/* The node keeps a session per producer's name, so a name per call would pile them up. Names are
 * numbered: a call takes the lowest number that no other call on this machine holds, and holds it by an
 * abstract socket, which goes with the process. */
void
chq_producer_name(char name[CHQ_PRODUCER_BYTES])
{
    enum { NUMBERS = 1000 };
    static char taken[CHQ_PRODUCER_BYTES];
    char host[48] = "";
    if (*taken) { /* for the file before */
        memcpy(name, taken, sizeof taken);
        return;
    }
    (void)gethostname(host, sizeof host - 1);
    for (char *at = host; *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("._-", *at))
            *at = '-';
    int held = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* until the process ends */
    for (int number = 0; number < NUMBERS; number++) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        (void)snprintf(name, CHQ_PRODUCER_BYTES, "chq/%s/%d", *host ? host : "-", number);
        (void)snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "%s", name);
        if (bind(held, (struct sockaddr *)&address, sizeof address) == 0) {
            memcpy(taken, name, sizeof taken);
            return;
        }
        if (errno != EADDRINUSE)
            break;
    }
    (void)snprintf(name, CHQ_PRODUCER_BYTES, "chq/%s/p%ld", *host ? host : "-",
                   (long)getpid());
}

cityhall_producer_options_t
chq_producer_options(const chq_t *chq)
{
    cityhall_producer_options_t options;
    cityhall_producer_options_init(&options);
    options.ingest = chq->ingest;
    options.query = chq->node;
    options.request_timeout_ms = chq->timeout_ms;
    options.key_file = chq->key_file;
    options.server_key = chq->server_key;
    return options;
}

cityhall_producer_t *
chq_producer(const cityhall_producer_options_t *options)
{
    cityhall_producer_t *producer = NULL;
    char error[256];
    cityhall_status_t status =
        cityhall_producer_open(options, &producer, error, sizeof error);
    if (status < 0)
        chq_die(CHQ_EXIT_USAGE, "%s%s", error, hint(status));
    return producer;
}

int
chq_reader_failed(const chq_t *chq, const cityhall_reader_t *reader,
                  cityhall_status_t status)
{
    if (status == CITYHALL_ERR_TIMEOUT || status == CITYHALL_ERR_NETWORK) {
        chq_say(
            "no answer from %s within %.3g s; is the node running? (--node, CHQ_NODE, "
            "--timeout)%s",
            chq->node, chq->timeout_ms / 1e3,
            chq->key_file ? " does it know this key?"
                          : " does it ask for a key? (--key-file)");
        return CHQ_EXIT_UNREACHABLE;
    }
    chq_say("%s", cityhall_reader_error(reader)); /* the node's code and text */
    return status == CITYHALL_ERR_ARGUMENT ? CHQ_EXIT_USAGE : CHQ_EXIT_REFUSED;
}

int
chq_finish(const chq_t *chq, cityhall_reader_t **reader, chq_output_t **output,
           cityhall_status_t status, const char *nothing)
{
    int code = CHQ_EXIT_OK;
    if (status < 0) {
        (void)fflush(stdout);
        chq_output_drop(output);
        code = chq_reader_failed(chq, *reader, status);
    } else {
        long rows = chq_output_end(output);
        if (rows < 0)
            chq_say("standard output cannot be written");
        else if (rows == 0 && !chq->quiet)
            chq_say("%s", nothing);
        code = rows < 0 ? CHQ_EXIT_LOCAL : rows ? CHQ_EXIT_OK : CHQ_EXIT_NOTHING;
    }
    cityhall_reader_destroy(reader);
    return code;
}
