/* cmd_delete.c - delete points: counted first and asked about when a person sits there. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chq/chq.h"
#include "chq/text.h"

typedef struct request {
    const char *match;
    int64_t start, end;
    uint64_t points, series;
} request_t;

static cityhall_status_t
ask(cityhall_reader_t *reader, request_t *request, bool dry_run)
{
    return cityhall_reader_delete(reader, request->match, request->start, request->end,
                                  dry_run, &request->points, &request->series);
}

static bool
says_yes(const request_t *request)
{
    char answer[16] = "";
    (void)fprintf(stderr, "delete %" PRIu64 " points of %" PRIu64 " series? [y/N] ",
                  request->points, request->series);
    (void)fflush(stderr);
    return fgets(answer, sizeof answer, stdin) &&
           (strcmp(answer, "y\n") == 0 || strcmp(answer, "yes\n") == 0);
}

/* One row, also when there is nothing: the numbers are the answer. */
static int
print(chq_t *chq, const request_t *request)
{
    static const char *const columns[] = {"points", "series"};
    char points[24], series[24];
    (void)snprintf(points, sizeof points, "%" PRIu64, request->points);
    (void)snprintf(series, sizeof series, "%" PRIu64, request->series);
    chq_output_t *output = chq_output_new(stdout, chq->format, chq->color, columns, 2);
    chq_cell_t cells[2] = {chq_cell_literal(points), chq_cell_literal(series)};
    chq_output_row(output, cells);
    if (chq_output_end(&output) < 0) {
        chq_say("standard output cannot be written");
        return CHQ_EXIT_LOCAL;
    }
    return request->points ? CHQ_EXIT_OK : CHQ_EXIT_NOTHING;
}

int
chq_cmd_delete(chq_t *chq)
{
    request_t request = {.start = INT64_MIN, .end = INT64_MAX};
    (void)chq_range(chq, &request.start, &request.end);
    bool dry_run = chq_switch(chq, "dry-run"), yes = chq_switch(chq, "yes");
    chq_arguments(chq, 1, 1);
    request.match = chq->argv[0];
    cityhall_reader_t *reader = chq_reader(chq);
    bool confirm = !dry_run && !yes && isatty(STDIN_FILENO);
    cityhall_status_t status = CITYHALL_OK;
    if (dry_run || confirm)
        status = ask(reader, &request, true);
    if (status >= 0 && confirm && request.points > 0 && !says_yes(&request)) {
        cityhall_reader_destroy(&reader);
        chq_say("nothing was deleted");
        return CHQ_EXIT_NOTHING;
    }
    if (status >= 0 && !dry_run && !(confirm && request.points == 0))
        status = ask(reader, &request, false);
    int code = status < 0 ? chq_reader_failed(chq, reader, status) : print(chq, &request);
    cityhall_reader_destroy(&reader);
    return code;
}
