/* fuzz_import.c - any bytes as a file that `chq import` reads, and as text that chq prints.
 *
 * Input    first byte: the format; the rest: lines.
 * Claims   no fault and no stall; what a parser hands on is inside the limits it promises; a line is
 *          understood, or has an error; text printed as JSON is UTF-8 whatever it was.
 */
#include <stdlib.h>
#include <string.h>

#include "ch/assert.h"
#include "ch/bytes.h"
#include "chq/import.h"
#include "chq/output.h"
#include "chq/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
look_at(cityhall_value_t value)
{
    char scratch[48];
    CH_ASSERT(value.type <= CITYHALL_STRING);
    if (value.type == CITYHALL_STRING)
        CH_ASSERT(value.as.string.size == 0 || value.as.string.data != NULL);
    else if (value.type == CITYHALL_FLOAT)
        CH_ASSERT(strlen(chq_double_format(value.as.f64, true, scratch)) > 0);
}

static bool
take_point(void *context, const char *key, int64_t time, cityhall_value_t value)
{
    char stamp[CHQ_TIME_BYTES];
    ++*(size_t *)context;
    CH_ASSERT(key != NULL && strlen(chq_time_format(time, stamp)) > 0);
    look_at(value);
    return true;
}

static bool
take_row(void *context, const char *name, const cityhall_label_t *labels,
         size_t label_count, int64_t time, const char *const *fields,
         const cityhall_value_t *values, size_t field_count)
{
    (void)time;
    ++*(size_t *)context;
    CH_ASSERT(name != NULL && label_count <= CHQ_IMPORT_LABELS_MAX);
    CH_ASSERT(field_count <= CHQ_IMPORT_FIELDS_MAX);
    for (size_t i = 0; i < label_count; i++)
        CH_ASSERT(labels[i].name != NULL && labels[i].value != NULL);
    for (size_t i = 0; i < field_count; i++) {
        CH_ASSERT(fields[i] != NULL);
        look_at(values[i]);
    }
    return true;
}

/* The lines of a file, each with its own end, as the reader hands them on. */
static void
parse_lines(chq_import_t *import, int format, char *text)
{
    char error[160] = "";
    char *rest = text, *line = strsep(&rest, "\n");
    char *again = rest ? strdup(rest) : NULL, *scan = again;
    if (format == CHQ_IMPORT_CSV && !chq_csv_header(import, line, error, sizeof error)) {
        CH_ASSERT(*error);
        rest = NULL;
    } else if (format == CHQ_IMPORT_CSV) {
        for (char *each; (each = strsep(&scan, "\n"));)
            chq_csv_scan(import, each);
        line = strsep(&rest, "\n");
    }
    for (; line && (rest || format != CHQ_IMPORT_CSV || !*error);
         line = strsep(&rest, "\n")) {
        *error = '\0';
        CH_ASSERT(format == CHQ_IMPORT_CSV
                      ? chq_import_csv_line(import, line, error, sizeof error)
                  : format == CHQ_IMPORT_NDJSON
                      ? chq_import_json_line(import, line, error, sizeof error)
                      : chq_import_influx_line(import, line, error, sizeof error));
        if (!rest)
            break;
    }
    chq_csv_release();
    free(again);
}

static void
print_as_json(const char *text, size_t size)
{
    char *printed = NULL;
    size_t printed_size = 0;
    FILE *to = open_memstream(&printed, &printed_size);
    CH_ASSERT(to != NULL);
    chq_json_string(to, text, size);
    (void)fclose(to);
    CH_ASSERT(ch_bytes_is_utf8(ch_bytes(printed, printed_size)));
    CH_ASSERT(printed_size >= 2 && !memchr(printed, '\n', printed_size));
    free(printed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t taken = 0;
    chq_import_t import = {.path = "fuzz",
                           .key_single = "single",
                           .precision_ns = 1000000,
                           .sink = {&taken, take_point, take_row}};
    if (size == 0)
        return 0;
    char *text = malloc(size);
    CH_ASSERT(text != NULL);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    print_as_json(text, size - 1);
    if (data[0] & 4)
        import.key = "key";
    parse_lines(&import, data[0] % 3, text);
    free(text);
    return 0;
}
