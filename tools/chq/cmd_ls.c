/* cmd_ls.c - what is there? Series with their newest value and its age. */
#include <stdlib.h>
#include <string.h>

#include "chq/chq.h"
#include "chq/text.h"

typedef struct keys {
    char **items;
    size_t count, capacity;
} keys_t;

static void
keep_key(keys_t *keys, const char *key)
{
    if (keys->count == keys->capacity) {
        keys->capacity = keys->capacity * 2 + 64;
        keys->items = realloc(keys->items, keys->capacity * sizeof *keys->items);
    }
    char *copy = strdup(key);
    if (!keys->items || !copy)
        chq_die(CHQ_EXIT_LOCAL, "out of memory");
    keys->items[keys->count++] = copy;
}

static cityhall_status_t
collect_keys(cityhall_reader_t *reader, const char *match, uint64_t limit, keys_t *keys)
{
    cityhall_series_t series;
    cityhall_status_t status =
        cityhall_reader_series(reader, match, INT64_MIN, INT64_MAX, limit);
    while (status >= 0 && (status = cityhall_reader_next(reader, &series)) == CITYHALL_OK)
        keep_key(keys, series.key);
    return status;
}

static cityhall_status_t
print_newest(cityhall_reader_t *reader, chq_output_t *output, const char *key)
{
    int64_t time;
    cityhall_value_t value;
    cityhall_status_t status = cityhall_reader_get(reader, key, INT64_MAX, &time, &value);
    if (status != CITYHALL_OK)
        return status;
    char scratch[48], age[CHQ_NUMBER_BYTES];
    int64_t age_ns;
    if (__builtin_sub_overflow(chq_now_ns(), time, &age_ns))
        age_ns = time < 0 ? INT64_MAX : INT64_MIN;
    chq_cell_t cells[3] = {chq_cell_text(key), chq_cell_value(output, value, scratch),
                           chq_cell_text(chq_age_format(age_ns, age))};
    chq_output_row(output, cells);
    return CITYHALL_OK;
}

int
chq_cmd_ls(chq_t *chq)
{
    static const char *const columns[] = {"series", "value", "age"};
    uint64_t limit = chq_number(chq, "limit", 1000);
    chq_arguments(chq, 0, 1);
    const char *match = chq->argc ? chq->argv[0] : "{__name__!=\"\"}";
    cityhall_reader_t *reader = chq_reader(chq);
    keys_t keys = {0};
    cityhall_status_t status = collect_keys(reader, match, limit, &keys);
    chq_output_t *output = chq_output_new(stdout, chq->format, chq->color, columns, 3);
    for (size_t i = 0; i < keys.count; i++) {
        if (status >= 0)
            status = print_newest(reader, output, keys.items[i]);
        free(keys.items[i]);
    }
    free(keys.items);
    int code = chq_finish(chq, &reader, &output, status, "no series");
    if (code == CHQ_EXIT_OK && keys.count == limit && !chq->quiet)
        chq_say("only %llu series are asked for; --limit N asks for more",
                (unsigned long long)limit);
    return code;
}
