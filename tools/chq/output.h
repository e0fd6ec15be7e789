/// Rows to stdout as a table for people, or as CSV, JSON or NDJSON for programs.
///
/// Shape    begin with column names, then rows of as many cells, then end. A table is held back until
///          the end (its widths depend on all rows); the others stream.
/// Threads  one.
#ifndef CH_TOOLS_CHQ_OUTPUT_H
#define CH_TOOLS_CHQ_OUTPUT_H

#include <cityhall.h>
#include <stdio.h>

typedef enum { CHQ_TABLE, CHQ_CSV, CHQ_JSON, CHQ_NDJSON } chq_format_t;

enum { CHQ_COLUMNS_MAX = 16 };

typedef struct chq_output chq_output_t;

/// What stands in a cell. `literal`: a number or true/false, not quoted in JSON, right-aligned in a
/// table.
typedef struct chq_cell {
    const char *text;
    bool literal;
} chq_cell_t;

chq_output_t *chq_output_new(FILE *to, chq_format_t format, bool color,
                             const char *const *columns, unsigned column_count);
void chq_output_row(chq_output_t *output, const chq_cell_t *cells);
/// Finish and free. Returns the number of rows; -1 when stdout cannot be written.
long chq_output_end(chq_output_t **output);

/// A value as a cell; `scratch` holds numbers.
chq_cell_t chq_cell_value(const chq_output_t *output, cityhall_value_t value,
                          char scratch[48], char **owned_out);
chq_cell_t chq_cell_double(const chq_output_t *output, double value, char scratch[48]);
static inline chq_cell_t
chq_cell_text(const char *text)
{
    return (chq_cell_t){text, false};
}

/// Text as a JSON string, quotes and all.
void chq_json_string(FILE *to, const char *text);

#endif
