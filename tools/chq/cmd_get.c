#include <stdlib.h>
#include <time.h>

#include "chq/chq.h"
#include "chq/text.h"

int
chq_cmd_get(chq_t *chq)
{
    const char *time_text = chq_option(chq, "time");
    bool full = chq_switch(chq, "full");
    chq_arguments(chq, 1, 1);
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    int64_t at = INT64_MAX, time = 0;
    if (time_text &&
        !chq_time_parse(time_text, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec, &at))
        chq_die(CHQ_EXIT_USAGE, "--time %s: no time", time_text);
    cityhall_reader_t *reader = chq_reader(chq);
    cityhall_value_t value = cityhall_none();
    cityhall_status_t status =
        cityhall_reader_get(reader, chq->argv[0], at, &time, &value);
    int code = CHQ_EXIT_OK;
    if (status == CITYHALL_NOT_FOUND) {
        chq_say("no point of %s; chq ls shows what there is", chq->argv[0]);
        code = CHQ_EXIT_NOTHING;
    } else if (status < 0) {
        code = chq_reader_failed(reader, status);
    } else {
        static const char *const columns[] = {"time", "value"};
        char stamp[CHQ_TIME_BYTES], scratch[48];
        char *owned = NULL;
        bool rows = full || chq->format == CHQ_JSON || chq->format == CHQ_NDJSON;
        chq_output_t *output = chq_output_new(stdout, rows ? chq->format : CHQ_TABLE,
                                              chq->color, columns, 2);
        chq_cell_t cells[2] = {chq_cell_text(chq_time_format(time, stamp)),
                               chq_cell_value(output, value, scratch, &owned)};
        if (rows)
            chq_output_row(output, cells);
        else
            (void)puts(cells[1].text);
        free(owned);
        if (chq_output_end(&output) < 0)
            code = CHQ_EXIT_LOCAL;
    }
    cityhall_reader_destroy(&reader);
    return code;
}
