/* import_csv.c - `timestamp,value` and wide CSV.
 *
 * Time    is the first column with such a name (time, timestamp, date ...), else the first of all.
 * Types   CSV has none. The file is looked through first: a column whose every cell is a whole number
 *         becomes integers, one whose every cell is a number becomes floats; in any other column each
 *         cell is what it looks like.
 * Spaces  around a cell that is not quoted do not count.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ch/limits.h"
#include "ch/series_key.h"
#include "chq/import.h"
#include "chq/text.h"

typedef enum { COLUMN_INTS, COLUMN_FLOATS, COLUMN_ANY, COLUMN_TIME } column_type_t;

static struct {
    char *keys[CHQ_IMPORT_FIELDS_MAX + 1]; /* NULL: the time */
    column_type_t types[CHQ_IMPORT_FIELDS_MAX + 1];
    size_t count, time_column;
} csv;

void
chq_csv_release(void)
{
    for (size_t i = 0; i < csv.count; i++)
        free(csv.keys[i]);
    memset(&csv, 0, sizeof csv);
}

static char *
trim(char *from, char *to)
{
    while (to > from && (to[-1] == ' ' || to[-1] == '\t'))
        to--;
    *to = '\0';
    return from + strspn(from, " \t");
}

/* The next cell, unquoted in place; *line moves behind it, to NULL at the end. */
static char *
next_cell(char **line)
{
    char *from = *line, *to = from, *cell = from;
    bool quoted = *from == '"', plain = !quoted;
    if (quoted)
        from++;
    for (; *from && (quoted || *from != ','); from++) {
        if (quoted && *from == '"') {
            if (from[1] != '"') {
                quoted = false;
                continue;
            }
            from++;
        }
        *to++ = *from;
    }
    *line = *from ? from + 1 : NULL;
    *to = '\0';
    return plain ? trim(cell, to) : cell;
}

/* ---- the header */

static bool
names_time(const char *name)
{
    static const char *const names[] = {"time",     "timestamp", "date",
                                        "datetime", "ts",        "_time"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(names[i], name) == 0)
            return true;
    return false;
}

static char *
column_key(const chq_import_t *import, const char *column, bool single)
{
    const char *prefix = import->key                    ? import->key
                         : single && import->key_single ? import->key_single
                                                        : "";
    const char *joint = *prefix && !single ? "_" : "";
    const char *name = single && *prefix ? "" : column;
    size_t size = strlen(prefix) + strlen(joint) + strlen(name) + 1;
    char *key = malloc(size);
    if (key)
        (void)snprintf(key, size, "%s%s%s", prefix, joint, name);
    return key;
}

static bool
key_is_good(const char *key)
{
    const ch_limits_t limits = ch_limits_default();
    ch_text_t scratch = {0};
    ch_bytes_t name, labels;
    bool good = ch_series_key_parse(ch_bytes_text(key), limits.labels, limits.key_bytes,
                                    &scratch, &name, &labels) >= 0;
    ch_text_release(&scratch);
    return good;
}

static const char *
header_fault(const char *line)
{
    if (strchr(line, ';') || strchr(line, '\t'))
        return "no comma in the first line; columns must be separated by commas, not by "
               "semicolons or tabs";
    return "the first line must name the columns, such as timestamp,value";
}

/* The columns' names as keys, none of them a time or twice there. */
static bool
keep_column(const chq_import_t *import, const char *name, bool single, char *error,
            size_t error_size)
{
    char *key = column_key(import, name, single);
    csv.keys[csv.count] = key;
    csv.types[csv.count++] = COLUMN_INTS;
    if (!key || !key_is_good(key)) {
        (void)snprintf(error, error_size,
                       "column %zu: \"%.60s\" is no series key: %s (--key names another)",
                       csv.count, key ? key : "", ch_fail_text());
        return false;
    }
    for (size_t i = 0; i + 1 < csv.count; i++)
        if (csv.keys[i] && strcmp(csv.keys[i], key) == 0) {
            (void)snprintf(error, error_size,
                           "columns %zu and %zu are both named \"%.60s\"", i + 1,
                           csv.count, key);
            return false;
        }
    return true;
}

/* Cut the header into names; -1: too many. Which one is the time? */
static int
cut_header(char *line, char *names[CHQ_IMPORT_FIELDS_MAX + 1])
{
    int count = 0;
    bool found = false;
    for (; line && count <= CHQ_IMPORT_FIELDS_MAX; count++) {
        names[count] = next_cell(&line);
        if (!found && names_time(names[count])) {
            csv.time_column = (size_t)count;
            found = true;
        }
    }
    return line ? -1 : count;
}

bool
chq_csv_header(chq_import_t *import, char *line, char *error, size_t error_size)
{
    static char *names[CHQ_IMPORT_FIELDS_MAX + 1];
    chq_csv_release();
    int64_t time;
    const char *fault = header_fault(line);
    *error = '\0';
    int count = cut_header(line, names);
    if (count < 0) {
        (void)snprintf(error, error_size, "more than %d columns",
                       CHQ_IMPORT_FIELDS_MAX + 1);
        return false;
    }
    if (count < 2 || chq_time_parse(names[csv.time_column], 0, &time)) {
        (void)snprintf(error, error_size, "%s", fault);
        return false;
    }
    for (size_t i = 0; i < (size_t)count; i++) {
        if (i == csv.time_column) {
            csv.keys[i] = NULL;
            csv.types[i] = COLUMN_TIME;
            csv.count++;
        } else if (!keep_column(import, names[i], count == 2, error, error_size)) {
            return false;
        }
    }
    return true;
}

/* ---- lines */

void
chq_csv_scan(chq_import_t *import, char *line)
{
    (void)import;
    for (size_t i = 0; line && i < csv.count; i++) {
        const char *cell = next_cell(&line);
        int64_t whole;
        double number;
        if (!*cell || csv.types[i] >= COLUMN_ANY)
            continue;
        if (csv.types[i] == COLUMN_INTS && !chq_int_parse(cell, &whole))
            csv.types[i] = COLUMN_FLOATS;
        if (csv.types[i] == COLUMN_FLOATS && !chq_double_parse(cell, &number))
            csv.types[i] = COLUMN_ANY;
    }
}

static cityhall_value_t
cell_value(size_t column, const char *cell)
{
    cityhall_value_t value = chq_value_parse(cell);
    if (csv.types[column] == COLUMN_FLOATS && value.type == CITYHALL_INT)
        return cityhall_float(strtod(cell, NULL));
    return value;
}

bool
chq_import_csv_line(chq_import_t *import, char *line, char *error, size_t error_size)
{
    static char *cells[CHQ_IMPORT_FIELDS_MAX + 1];
    int64_t time;
    size_t count = 0;
    while (line && count < csv.count)
        cells[count++] = next_cell(&line);
    if (count < csv.count || line) {
        (void)snprintf(error, error_size, "%zu%s columns, the header has %zu", count,
                       line ? " and more" : "", csv.count);
        return true;
    }
    if (!chq_time_parse(cells[csv.time_column], 0, &time)) {
        (void)snprintf(error, error_size, "\"%.40s\" is no time", cells[csv.time_column]);
        return true;
    }
    for (size_t i = 0; i < csv.count; i++)
        if (i != csv.time_column && *cells[i] &&
            !import->sink.point(import->sink.context, csv.keys[i], time,
                                cell_value(i, cells[i])))
            return false;
    return true;
}
