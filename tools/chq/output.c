#include "chq/output.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ch/bytes.h"
#include "chq/text.h"

typedef struct kept_cell {
    char *text; /* owned */
    size_t size;
    bool literal;
} kept_cell_t;

struct chq_output {
    FILE *to;
    chq_format_t format;
    bool color, begun;
    const char *columns[CHQ_COLUMNS_MAX];
    unsigned column_count;
    long rows;
    kept_cell_t *cells; /* table: rows * column_count */
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
    return output;
}

static void
begin(chq_output_t *output)
{
    if (output->begun)
        return;
    output->begun = true;
    if (output->format == CHQ_JSON)
        (void)fputc('[', output->to);
    for (unsigned i = 0; output->format == CHQ_CSV && i < output->column_count; i++)
        (void)fprintf(output->to, "%s%s", output->columns[i],
                      i + 1 < output->column_count ? "," : "\n");
}

/* Bytes of the UTF-8 sequence here, 0: it is none. */
static size_t
utf8_sequence(const char *text, size_t size)
{
    unsigned char lead = (unsigned char)*text;
    if (lead < 0x80)
        return 1;
#ifdef CH_FAULT_CHQ_JSON_RAW_BYTES
    return 1;
#endif
    size_t wanted = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    return wanted <= size && ch_bytes_is_utf8(ch_bytes(text, wanted)) ? wanted : 0;
}

static void
json_character(FILE *to, const char *at, size_t sequence)
{
    if (sequence == 0)
        (void)fputs("\xef\xbf\xbd", to); /* U+FFFD */
    else if (*at == '"' || *at == '\\')
        (void)fprintf(to, "\\%c", *at);
    else if (*at == '\n')
        (void)fputs("\\n", to);
    else if ((unsigned char)*at < 0x20)
        (void)fprintf(to, "\\u%04x", (unsigned)(unsigned char)*at);
    else
        (void)fwrite(at, 1, sequence, to);
}

void
chq_json_string(FILE *to, const char *text, size_t size)
{
    (void)fputc('"', to);
    for (size_t at = 0; at < size;) {
        size_t sequence = utf8_sequence(text + at, size - at);
        json_character(to, text + at, sequence);
        at += sequence ? sequence : 1;
    }
    (void)fputc('"', to);
}

static void
write_csv(FILE *to, chq_cell_t cell)
{
    bool quoted = false;
    for (size_t i = 0; i < cell.size; i++)
        quoted = quoted || memchr(",\"\n\r", cell.text[i], 4);
    if (!quoted) {
        (void)fwrite(cell.text, 1, cell.size, to);
        return;
    }
    (void)fputc('"', to);
    for (size_t i = 0; i < cell.size; i++) {
        if (cell.text[i] == '"')
            (void)fputc('"', to);
        (void)fputc(cell.text[i], to);
    }
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
            chq_json_string(output->to, cells[i].text, cells[i].size);
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
    }
    for (unsigned i = 0; i < output->column_count; i++) {
        char *copy = grow(NULL, cells[i].size + 1);
        memcpy(copy, cells[i].text, cells[i].size);
        output->cells[output->cell_count++] =
            (kept_cell_t){copy, cells[i].size, cells[i].literal};
    }
}

void
chq_output_row(chq_output_t *output, const chq_cell_t *cells)
{
    begin(output);
    switch (output->format) {
    case CHQ_TABLE:
        keep_row(output, cells);
        break;
    case CHQ_CSV:
        for (unsigned i = 0; i < output->column_count; i++) {
            write_csv(output->to, cells[i]);
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
width_of(const char *text, size_t size)
{
    int width = 0;
    for (size_t i = 0; i < size; i++)
        width += ((unsigned char)text[i] & 0xc0) != 0x80;
    return width;
}

void
chq_screen_text(FILE *to, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        bool control = byte < 0x20 || byte == 0x7f;
        if (byte == 0xc2 && i + 1 < size && (unsigned char)text[i + 1] < 0xa0) {
            control = true; /* U+0080 to U+009F */
            i++;
        }
        (void)fputc(control ? ' ' : byte, to);
    }
}

static void
write_padded(FILE *to, chq_cell_t cell, int width, bool right, bool last)
{
    int pad = width - width_of(cell.text, cell.size);
    if (right)
        (void)fprintf(to, "%*s", pad, "");
    chq_screen_text(to, cell.text, cell.size);
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
        widths[i] = width_of(output->columns[i], strlen(output->columns[i]));
        right[i] = output->rows > 0;
    }
    for (size_t i = 0; i < output->cell_count; i++) {
        int width = width_of(output->cells[i].text, output->cells[i].size);
        if (width > widths[i % columns])
            widths[i % columns] = width;
        right[i % columns] = right[i % columns] && output->cells[i].literal;
    }
    if (output->color)
        (void)fputs("\033[1m", output->to);
    for (unsigned i = 0; i < columns; i++)
        write_padded(output->to, chq_cell_text(output->columns[i]), widths[i], right[i],
                     i + 1 == columns);
    if (output->color)
        (void)fputs("\033[0m", output->to);
    for (size_t i = 0; i < output->cell_count; i++) {
        const kept_cell_t *cell = &output->cells[i];
        write_padded(output->to, (chq_cell_t){cell->text, cell->size, cell->literal},
                     widths[i % columns], right[i % columns], (i + 1) % columns == 0);
    }
}

void
chq_output_drop(chq_output_t **output_in)
{
    chq_output_t *output = *output_in;
    *output_in = NULL;
    for (size_t i = 0; i < output->cell_count; i++)
        free(output->cells[i].text);
    free(output->cells);
    free(output);
}

long
chq_output_end(chq_output_t **output_in)
{
    chq_output_t *output = *output_in;
    long rows = output->rows;
    begin(output);
    if (output->format == CHQ_TABLE && rows > 0)
        write_table(output);
    if (output->format == CHQ_JSON)
        (void)fputs(rows ? "\n]\n" : "]\n", output->to);
    bool failed = fflush(output->to) != 0 || ferror(output->to);
    chq_output_drop(output_in);
    return failed ? -1 : rows;
}

chq_cell_t
chq_cell_double(const chq_output_t *output, double value, char scratch[48])
{
    bool table = output->format == CHQ_TABLE;
    chq_cell_t cell = chq_cell_literal(chq_double_format(value, !table, scratch));
    /* JSON has no word for these: they go as strings */
    cell.literal = isfinite(value) || table || output->format == CHQ_CSV;
    return cell;
}

chq_cell_t
chq_cell_value(const chq_output_t *output, cityhall_value_t value, char scratch[48])
{
    switch (value.type) {
    case CITYHALL_INT:
        (void)snprintf(scratch, 48, "%" PRId64, value.as.i64);
        return chq_cell_literal(scratch);
    case CITYHALL_FLOAT:
        return chq_cell_double(output, value.as.f64, scratch);
    case CITYHALL_BOOL:
        return chq_cell_literal(value.as.boolean ? "true" : "false");
    case CITYHALL_STRING:
        return (chq_cell_t){value.as.string.data, value.as.string.size, false};
    case CITYHALL_NONE:
        break;
    }
    return chq_cell_text("");
}
