/* import_csv.c - `timestamp,value` and wide CSV.
 *
 * Types   CSV has none. The file is looked through first: a column whose every cell is a whole number
 *         becomes integers, one whose every cell is a number becomes floats; in any other column each
 *         cell is what it looks like.
 */
#include <stdlib.h>
#include <string.h>

#include "chq/import.h"
#include "chq/text.h"

typedef enum { COLUMN_INTS, COLUMN_FLOATS, COLUMN_ANY } column_type_t;

static struct {
    char *keys[CHQ_IMPORT_FIELDS_MAX];
    column_type_t types[CHQ_IMPORT_FIELDS_MAX];
    size_t count; /* columns behind the time */
} csv;

void
chq_csv_release(void)
{
    for (size_t i = 0; i < csv.count; i++)
        free(csv.keys[i]);
    memset(&csv, 0, sizeof csv);
}

/* The next cell, unquoted in place; *line moves behind it, to NULL at the end. */
static char *
next_cell(char **line)
{
    char *from = *line, *to = from, *cell = from;
    bool quoted = *from == '"';
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
    return cell;
}

static char *
column_key(const chq_import_t *import, const char *column, bool single)
{
    const char *prefix = import->key ? import->key : "";
    const char *joint = import->key && !single ? "_" : "";
    const char *name = single && import->key ? "" : column;
    size_t size = strlen(prefix) + strlen(joint) + strlen(name) + 1;
    char *key = malloc(size);
    if (key)
        (void)snprintf(key, size, "%s%s%s", prefix, joint, name);
    return key;
}

bool
chq_csv_header(chq_import_t *import, char *line, char *error, size_t error_size)
{
    chq_csv_release();
    int64_t time;
    *error = '\0';
    char *first = next_cell(&line);
    if (chq_time_parse(first, 0, &time)) {
        (void)snprintf(error, error_size,
                       "the first line must name the columns, such as timestamp,value");
        return false;
    }
    bool single = line && !strchr(line, ',');
    while (line && csv.count < CHQ_IMPORT_FIELDS_MAX) {
        csv.keys[csv.count] = column_key(import, next_cell(&line), single);
        csv.types[csv.count] = COLUMN_INTS;
        csv.count++;
    }
    if (csv.count == 0 || line) {
        (void)snprintf(error, error_size, "1 to %d columns behind the time are needed",
                       CHQ_IMPORT_FIELDS_MAX);
        return false;
    }
    return true;
}

void
chq_csv_scan(chq_import_t *import, char *line)
{
    (void)import;
    (void)next_cell(&line);
    for (size_t i = 0; line && i < csv.count; i++) {
        const char *cell = next_cell(&line);
        int64_t whole;
        double number;
        if (!*cell || csv.types[i] == COLUMN_ANY)
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
    int64_t time;
    const char *stamp = next_cell(&line);
    if (!chq_time_parse(stamp, 0, &time)) {
        (void)snprintf(error, error_size, "\"%.40s\" is no time", stamp);
        return true;
    }
    for (size_t i = 0; i < csv.count; i++) {
        if (!line) {
            (void)snprintf(error, error_size, "%zu of %zu columns", i + 1, csv.count + 1);
            return true;
        }
        const char *cell = next_cell(&line);
        if (*cell && !import->sink.point(import->sink.context, csv.keys[i], time,
                                         cell_value(i, cell)))
            return false;
    }
    return true;
}
