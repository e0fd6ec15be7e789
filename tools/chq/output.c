#include "chq/output.h"

#include "chq/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct chq_output {
    FILE *to;
    chq_format_t format;
    bool color;
    const char *columns[CHQ_COLUMNS_MAX];
    unsigned column_count;
    long rows;
    char **cells; /* table: rows * column_count, owned */
    bool *literal;
    size_t cell_count, cell_capacity;
};

static void *
grow(void *memory, size_t size)
{
    void *grown = realloc(memory, size);
    if (!grown) {
        (void)fputs("chq: out of memory\n", stderr);
        exit(5);
    }
    return grown;
}

chq_output_t *
chq_output_new(FILE *to, chq_format_t format, bool color, const char *const *columns,
               unsigned column_count)
{
    chq_output_t *output = grow(NULL, sizeof *output);
    *output = (chq_output_t){.to = to, .format = format, .color = color};
    output->column_count = column_count;
    for (unsigned i = 0; i < column_count; i++)
        output->columns[i] = columns[i];
    if (format == CHQ_JSON)
        (void)fputc('[', to);
    for (unsigned i = 0; format == CHQ_CSV && i < column_count; i++)
        (void)fprintf(to, "%s%s", columns[i], i + 1 < column_count ? "," : "\n");
    return output;
}

void
chq_json_string(FILE *to, const char *text)
{
    (void)fputc('"', to);
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at == '"' || *at == '\\')
            (void)fprintf(to, "\\%c", *at);
        else if (*at == '\n')
            (void)fputs("\\n", to);
        else if (*at < 0x20)
            (void)fprintf(to, "\\u%04x", *at);
        else
            (void)fputc(*at, to);
    }
    (void)fputc('"', to);
}

static void
write_csv(FILE *to, const char *text)
{
    if (!strpbrk(text, ",\"\n\r")) {
        (void)fputs(text, to);
        return;
    }
    (void)fputc('"', to);
    for (; *text; text++)
        (void)fprintf(to, *text == '"' ? "\"\"" : "%c", *text);
    (void)fputc('"', to);
}

static void
write_json_row(chq_output_t *output, const chq_cell_t *cells)
{
    if (output->format == CHQ_JSON)
        (void)fputs(output->rows ? ",\n " : "\n ", output->to);
    (void)fputc('{', output->to);
    for (unsigned i = 0; i < output->column_count; i++) {
        (void)fprintf(output->to, "%s\"%s\":", i ? "," : "", output->columns[i]);
        if (cells[i].literal)
            (void)fputs(cells[i].text, output->to);
        else
            chq_json_string(output->to, cells[i].text);
    }
    (void)fputs(output->format == CHQ_JSON ? "}" : "}\n", output->to);
}

static void
keep_row(chq_output_t *output, const chq_cell_t *cells)
{
    if (output->cell_count + output->column_count > output->cell_capacity) {
        output->cell_capacity = output->cell_capacity * 2 + 256;
        output->cells =
            grow(output->cells, output->cell_capacity * sizeof *output->cells);
        output->literal = grow(output->literal, output->cell_capacity * sizeof(bool));
    }
    for (unsigned i = 0; i < output->column_count; i++) {
        output->literal[output->cell_count] = cells[i].literal;
        size_t size = strlen(cells[i].text) + 1;
        output->cells[output->cell_count++] =
            memcpy(grow(NULL, size), cells[i].text, size);
    }
}

void
chq_output_row(chq_output_t *output, const chq_cell_t *cells)
{
    switch (output->format) {
    case CHQ_TABLE:
        keep_row(output, cells);
        break;
    case CHQ_CSV:
        for (unsigned i = 0; i < output->column_count; i++) {
            write_csv(output->to, cells[i].text);
            (void)fputc(i + 1 < output->column_count ? ',' : '\n', output->to);
        }
        break;
    case CHQ_JSON:
    case CHQ_NDJSON:
        write_json_row(output, cells);
        break;
    }
    output->rows++;
}

/* Characters on the screen: UTF-8 sequences count once. */
static int
width_of(const char *text)
{
    int width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void
write_padded(FILE *to, const char *text, int width, bool right, bool last)
{
    int pad = width - width_of(text);
    if (right)
        (void)fprintf(to, "%*s", pad, "");
    for (; *text; text++) /* control characters would garble the screen */
        (void)fputc((unsigned char)*text < 0x20 ? ' ' : *text, to);
    if (!right && !last)
        (void)fprintf(to, "%*s", pad, "");
    (void)fputs(last ? "\n" : "  ", to);
}

static void
write_table(chq_output_t *output)
{
    unsigned columns = output->column_count ? output->column_count : 1;
    int widths[CHQ_COLUMNS_MAX] = {0};
    bool right[CHQ_COLUMNS_MAX];
    for (unsigned i = 0; i < columns; i++) {
        widths[i] = width_of(output->columns[i]);
        right[i] = output->rows > 0;
    }
    for (size_t i = 0; i < output->cell_count; i++) {
        int width = width_of(output->cells[i]);
        if (width > widths[i % columns])
            widths[i % columns] = width;
        right[i % columns] = right[i % columns] && output->literal[i];
    }
    if (output->color)
        (void)fputs("\033[1m", output->to);
    for (unsigned i = 0; i < columns; i++)
        write_padded(output->to, output->columns[i], widths[i], right[i],
                     i + 1 == columns);
    if (output->color)
        (void)fputs("\033[0m", output->to);
    for (size_t i = 0; i < output->cell_count; i++)
        write_padded(output->to, output->cells[i], widths[i % columns],
                     right[i % columns], (i + 1) % columns == 0);
}

long
chq_output_end(chq_output_t **output_in)
{
    chq_output_t *output = *output_in;
    *output_in = NULL;
    long rows = output->rows;
    if (output->format == CHQ_TABLE && rows > 0)
        write_table(output);
    if (output->format == CHQ_JSON)
        (void)fputs(rows ? "\n]\n" : "]\n", output->to);
    for (size_t i = 0; i < output->cell_count; i++)
        free(output->cells[i]);
    free(output->cells);
    free(output->literal);
    bool failed = fflush(output->to) != 0 || ferror(output->to);
    free(output);
    return failed ? -1 : rows;
}

chq_cell_t
chq_cell_double(const chq_output_t *output, double value, char scratch[48])
{
    bool table = output->format == CHQ_TABLE;
    chq_double_format(value, !table, scratch);
    /* JSON has no word for these: they go as strings */
    bool finite = isfinite(value);
    return (chq_cell_t){scratch, finite || table || output->format == CHQ_CSV};
}

chq_cell_t
chq_cell_value(const chq_output_t *output, cityhall_value_t value, char scratch[48],
               char **owned_out)
{
    *owned_out = NULL;
    switch (value.type) {
    case CITYHALL_INT:
        (void)snprintf(scratch, 48, "%" PRId64, value.as.i64);
        return (chq_cell_t){scratch, true};
    case CITYHALL_FLOAT:
        return chq_cell_double(output, value.as.f64, scratch);
    case CITYHALL_BOOL:
        return (chq_cell_t){value.as.boolean ? "true" : "false", true};
    case CITYHALL_STRING:
        *owned_out = grow(NULL, value.as.string.size + 1);
        memcpy(*owned_out, value.as.string.data, value.as.string.size);
        (*owned_out)[value.as.string.size] = '\0';
        return chq_cell_text(*owned_out);
    case CITYHALL_NONE:
        break;
    }
    return chq_cell_text("");
}
