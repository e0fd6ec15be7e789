/* verify.c - everything read back, host by host, and compared with the data.
 *
 * Of each series at least the steps of the acknowledged batches must be there, from the first without
 * a hole; what is there beyond (sent and not acknowledged) must be right, too.
 */
#include "load.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ch/alloc.h"
#include "dealer.h"

typedef struct check {
    const ch_load_options_t *options;
    ch_dealer_t dealer;
    uint32_t host;
    uint32_t seen[CH_DEVOPS_FIELDS]; /* steps */
    uint64_t points, extra;
} check_t;

static int
field_number(ch_bytes_t name)
{
    const size_t prefix = sizeof CH_DEVOPS_NAME; /* with the underscore */
    for (int i = 0; i < CH_DEVOPS_FIELDS; i++)
        if (name.size > prefix &&
            ch_bytes_equal(ch_bytes(name.data + prefix, name.size - prefix),
                           ch_bytes_text(ch_devops_fields[i])))
            return i;
    ch_load_die("a series of an unknown name, %.*s", (int)name.size, name.data);
}

static int
run_field(const ch_run_view_t *run)
{
    ch_cursor_t pairs = run->labels;
    ch_bytes_t name, value;
    for (uint32_t i = 0; i < run->label_count; i++)
        if (ch_labels_view_next(&pairs, &name, &value) &&
            ch_bytes_equal(name, ch_bytes_text("__name__")))
            return field_number(value);
    ch_load_die("a series without name");
}

static void
check_run(check_t *check, ch_run_view_t *run)
{
    const ch_devops_t *devops = &check->options->devops;
    int field = run_field(run);
    for (uint32_t i = 0; i < run->count; i++) {
        uint32_t step = check->seen[field]++;
        ch_value_t value = {0};
        if (step >= devops->steps || ch_run_view_time(run, i) != ch_devops_time(step))
            ch_load_die("host %u, field %d: step %u is missing", check->host, field,
                        step);
        if (!ch_run_view_value(run, i, &value) || value.type != CH_VALUE_INT ||
            value.i64 != ch_devops_values(devops, step, check->host)[field])
            ch_load_die("host %u, field %d, step %u: another value", check->host, field,
                        step);
    }
}

/* Pages follow each other by cursor. True: there is one more. */
static bool
check_page(check_t *check, ch_request_t *request, uint8_t *cursor, size_t cursor_room)
{
    ch_reply_view_t view;
    ch_cursor_t items;
    ch_run_view_t run;
    uint32_t count = 0;
    ch_bytes_t next = {0};
    ch_dealer_must(&check->dealer, request, &view);
    if (!ch_reply_view_array(&view, "series", &items, &count))
        ch_load_die("a reply without series");
    for (uint32_t i = 0; i < count; i++) {
        if (!ch_run_view_next(&items, &run))
            ch_load_die("a series that is none");
        check_run(check, &run);
    }
    if (!ch_reply_view_text(&view, "cursor", &next))
        return false;
    if (next.size > cursor_room)
        ch_load_die("a cursor of %zu bytes", next.size);
    memcpy(cursor, next.data, next.size);
    request->cursor = ch_bytes(cursor, next.size);
    return true;
}

static void
check_host(check_t *check, const ch_plan_t *plan, uint64_t acked)
{
    char match[80];
    uint8_t cursor[4096];
    ch_request_t request;
    ch_request_init(&request);
    snprintf(match, sizeof match, "{hostname=\"host_%u\"}", check->host);
    request.op = CH_OP_READ;
    request.has_match = true;
    request.match = ch_bytes_text(match);
    memset(check->seen, 0, sizeof check->seen);
    while (check_page(check, &request, cursor, sizeof cursor)) {
    }
    ch_request_release(&request);
    uint32_t steps = ch_plan_steps(plan, acked, check->host);
    for (int field = 0; field < CH_DEVOPS_FIELDS; field++) {
        if (check->seen[field] < steps)
            ch_load_die("host %u, field %d: %u steps acknowledged, %u there", check->host,
                        field, steps, check->seen[field]);
        check->points += steps;
        check->extra += check->seen[field] - steps;
    }
}

int
ch_load_verify(const ch_load_options_t *options)
{
    check_t check = {.options = options};
    const char *acked = options->acked ? options->acked : "";
    void *context = zmq_ctx_new();
    ch_dealer_open(&check.dealer, context, options->query);
    for (uint32_t i = 0; i < options->producers; i++) {
        ch_plan_t plan;
        char *end = NULL;
        ch_load_plan(options, i, &plan);
        uint64_t seq = strtoull(acked, &end, 10);
        if (end == acked)
            ch_load_die("--acked: %u numbers wanted", options->producers);
        acked = *end == ',' ? end + 1 : end;
        for (uint32_t j = 0; j < plan.options.host_count; j++) {
            check.host = plan.options.host_first + j;
            check_host(&check, &plan, seq);
        }
        ch_plan_release(&plan);
    }
    printf("{\"verified_points\": %" PRIu64 ", \"unacked_points\": %" PRIu64 "}\n",
           check.points, check.extra);
    ch_dealer_close(&check.dealer);
    zmq_ctx_term(context);
    return 0;
}
