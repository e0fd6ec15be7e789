/* ask.c - one question over and over: what it takes over the socket, answer unpacked. */
#include "load.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dealer.h"
#include "samples.h"

enum { WARM_UP = 3 };

static void
fill_request(const ch_load_options_t *options, const char *op, ch_request_t *request)
{
    ch_request_init(request);
    ch_bytes_t text = ch_bytes_text(options->text);
    if (strcmp(op, "get") == 0) {
        request->op = CH_OP_GET;
        if (ch_series_key_parse(text, CH_DEVOPS_TAGS, CH_DEVOPS_LABELS_BYTES + 40,
                                &request->scratch, &request->name, &request->labels) < 0)
            ch_load_die("not a key: %s", options->text);
    } else if (strcmp(op, "read") == 0) {
        request->op = CH_OP_READ;
        request->has_match = true;
        request->match = text;
    } else {
        request->op = CH_OP_QUERY;
        request->query = text;
        request->has_time = true;
        request->time = ch_devops_time(options->devops.steps - 1);
    }
    if (options->step_s) { /* a range over all of the data */
        request->has_time = false;
        request->has_start = request->has_end = request->has_step = true;
        request->start = CH_DEVOPS_START_NS;
        request->end = ch_devops_time(options->devops.steps - 1);
        request->step = (int64_t)options->step_s * 1000000000;
    }
}

/* Points (or series of a vector) in an answer. */
static uint64_t
count_points(const ch_reply_view_t *view)
{
    ch_cursor_t items;
    ch_run_view_t run;
    uint32_t count = 0;
    uint64_t points = 0;
    bool found = false;
    if (ch_reply_view_bool(view, "found", &found))
        return found;
    if (!ch_reply_view_array(view, "series", &items, &count) &&
        !ch_reply_view_array(view, "result", &items, &count))
        ch_load_die("an answer of an unknown kind");
    for (uint32_t i = 0; i < count; i++) {
        if (!ch_run_view_next(&items, &run))
            ch_load_die("a series that is none");
        points += run.count;
    }
    return points;
}

int
ch_load_ask(const ch_load_options_t *options, const char *op)
{
    void *context = zmq_ctx_new();
    ch_dealer_t dealer;
    ch_request_t request;
    ch_samples_t samples = {0};
    uint64_t points = 0;
    fill_request(options, op, &request);
    ch_dealer_open(&dealer, context, options->query);
    for (uint32_t i = 0; i < options->rounds + WARM_UP; i++) {
        ch_reply_view_t view;
        int64_t start_ns = ch_now_ns();
        ch_dealer_must(&dealer, &request, &view);
        if (i >= WARM_UP)
            ch_samples_add(&samples, ch_now_ns() - start_ns);
        points = count_points(&view);
    }
    printf("{\"points\": %" PRIu64 ", \"ms\": ", points);
    ch_samples_print(&samples, stdout);
    printf("}\n");
    ch_samples_release(&samples);
    ch_request_release(&request);
    ch_dealer_close(&dealer);
    zmq_ctx_term(context);
    return 0;
}
