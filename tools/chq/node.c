/* node.c - the two handles on a node, and what is said when it does not do what was asked. */
#include <stdlib.h>

#include "chq/chq.h"

static const char endpoint_hint[] = "an endpoint is tcp://HOST:PORT or ipc://PATH";

cityhall_reader_t *
chq_reader(const chq_t *chq)
{
    cityhall_reader_options_t options;
    cityhall_reader_options_init(&options);
    options.query = chq->node;
    options.timeout_ms = chq->timeout_ms;
    options.tries = 1;
    cityhall_reader_t *reader = NULL;
    char error[256];
    if (cityhall_reader_open(&options, &reader, error, sizeof error) < 0)
        chq_die(CHQ_EXIT_USAGE, "%s; %s", error, endpoint_hint);
    return reader;
}

cityhall_producer_options_t
chq_producer_options(const chq_t *chq)
{
    cityhall_producer_options_t options;
    cityhall_producer_options_init(&options);
    options.ingest = chq->ingest;
    options.query = chq->node;
    options.request_timeout_ms = chq->timeout_ms;
    return options;
}

cityhall_producer_t *
chq_producer(const cityhall_producer_options_t *options)
{
    cityhall_producer_t *producer = NULL;
    char error[256];
    if (cityhall_producer_open(options, &producer, error, sizeof error) < 0)
        chq_die(CHQ_EXIT_USAGE, "%s; %s", error, endpoint_hint);
    return producer;
}

int
chq_reader_failed(const chq_t *chq, const cityhall_reader_t *reader,
                  cityhall_status_t status)
{
    if (status == CITYHALL_ERR_TIMEOUT || status == CITYHALL_ERR_NETWORK) {
        chq_say(
            "no answer from %s within %.3g s; is the node running? (--node, CHQ_NODE, "
            "--timeout)",
            chq->node, chq->timeout_ms / 1e3);
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
