#include <stdio.h>
#include <unistd.h>

#include "chq/chq.h"
#include "chq/text.h"

/* The value alone, as people expect of `get`. */
static void
print_plain(cityhall_value_t value)
{
    chq_output_t *output = chq_output_new(stdout, CHQ_TABLE, false, NULL, 0);
    char scratch[48];
    chq_cell_t cell = chq_cell_value(output, value, scratch);
    if (isatty(STDOUT_FILENO))
        chq_screen_text(stdout, cell.text, cell.size);
    else
        (void)fwrite(cell.text, 1, cell.size, stdout);
    (void)fputc('\n', stdout);
    chq_output_drop(&output);
}

static int
print_full(const chq_t *chq, int64_t time, cityhall_value_t value)
{
    static const char *const columns[] = {"time", "value"};
    char stamp[CHQ_TIME_BYTES], scratch[48];
    chq_output_t *output = chq_output_new(stdout, chq->format, chq->color, columns, 2);
    chq_cell_t cells[2] = {chq_cell_text(chq_time_format(time, stamp)),
                           chq_cell_value(output, value, scratch)};
    chq_output_row(output, cells);
    return chq_output_end(&output) < 0 ? CHQ_EXIT_LOCAL : CHQ_EXIT_OK;
}

int
chq_cmd_get(chq_t *chq)
{
    int64_t at = chq_time(chq, "time", INT64_MAX), time = 0;
    bool full = chq_switch(chq, "full");
    chq_arguments(chq, 1, 1);
    cityhall_reader_t *reader = chq_reader(chq);
    cityhall_value_t value = cityhall_none();
    cityhall_status_t status =
        cityhall_reader_get(reader, chq->argv[0], at, &time, &value);
    int code = CHQ_EXIT_OK;
    if (status == CITYHALL_NOT_FOUND) {
        chq_say("no point of %s%s; chq ls shows what there is", chq->argv[0],
                at == INT64_MAX ? "" : " so early");
        code = CHQ_EXIT_NOTHING;
    } else if (status < 0) {
        code = chq_reader_failed(chq, reader, status);
    } else if (full || chq->format_given) {
        code = print_full(chq, time, value);
    } else {
        print_plain(value);
    }
    cityhall_reader_destroy(&reader);
    return code;
}
