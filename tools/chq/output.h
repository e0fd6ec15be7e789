/// Rows to stdout as a table for people, or as CSV, JSON or NDJSON for programs.
///
/// Shape    begin with column names, then rows of as many cells, then end. A table is held back until
///          the end (its widths depend on all rows); the others stream. Nothing is written before the
///          first row or the end, so that an answer that failed leaves no empty one behind.
/// Text     may hold any bytes. CSV has them as they are; JSON has U+FFFD for what is not UTF-8; a
///          table shows control characters as spaces.
/// Threads  one.
#ifndef CH_TOOLS_CHQ_OUTPUT_H
#define CH_TOOLS_CHQ_OUTPUT_H

#include <cityhall.h>
#include <stdio.h>
#include <string.h>

typedef enum { CHQ_TABLE, CHQ_CSV, CHQ_JSON, CHQ_NDJSON } chq_format_t;

enum { CHQ_COLUMNS_MAX = 16 };

typedef struct chq_output chq_output_t;

/// What stands in a cell. `literal`: a number or true/false, not quoted in JSON, right-aligned in a
/// table.
typedef struct chq_cell {
    const char *text;
    size_t size;
    bool literal;
} chq_cell_t;

chq_output_t *chq_output_new(FILE *to, chq_format_t format, bool color,
                             const char *const *columns, unsigned column_count);
void chq_output_row(chq_output_t *output, const chq_cell_t *cells);
/// Finish and free. Returns the number of rows; -1 when stdout cannot be written.
long chq_output_end(chq_output_t **output);
/// Free without finishing: the answer broke off.
void chq_output_drop(chq_output_t **output);

/// A value as a cell; `scratch` holds numbers, a string stays where it is.
chq_cell_t chq_cell_value(const chq_output_t *output, cityhall_value_t value,
                          char scratch[48]);
chq_cell_t chq_cell_double(const chq_output_t *output, double value, char scratch[48]);
static inline chq_cell_t
chq_cell_text(const char *text)
{
    return (chq_cell_t){text, strlen(text), false};
}
static inline chq_cell_t
chq_cell_literal(const char *text)
{
    return (chq_cell_t){text, strlen(text), true};
}

/// Text as a JSON string, quotes and all.
void chq_json_string(FILE *to, const char *text, size_t size);
/// Text for a terminal: what would move its cursor or change its colours becomes a space.
void chq_screen_text(FILE *to, const char *text, size_t size);

#endif
