/* reply_body.c - the replies of the protocol, field by field. */
#include "ch/reply.h"

#include "ch/alloc.h"
#include "ch/series_key.h"

static void
put_reject(ch_reply_t *reply, const ch_reject_t *reject)
{
    ch_reply_map_begin(reply, NULL);
    ch_reply_put_uint(reply, "seq", reject->seq);
    ch_reply_put_int(reply, "index", reject->index);
    ch_reply_put_text(reply, "code", ch_bytes_text(ch_reply_code(reject->code)));
    ch_reply_put_message(reply, "message", reject->message);
    ch_reply_map_end(reply);
}

void
ch_reply_put_ack(ch_reply_t *reply, const ch_ack_reply_t *ack)
{
    ch_reply_put_text(reply, "state", ch_bytes_text(ch_ack_state_name(ack->state)));
    ch_reply_put_uint(reply, "received", ack->received);
    ch_reply_put_uint(reply, "durable", ack->durable);
    ch_reply_put_uint(reply, "replicated", ack->replicated);
    ch_reply_put_uint(reply, "expected", ack->expected);
    ch_reply_put_uint(reply, "lsn", ack->lsn);
    ch_reply_put_uint(reply, "term", ack->term);
    if (ack->state == CH_ACK_FENCED)
        ch_reply_put_uint(reply, "epoch", ack->epoch);
    if (ack->reason)
        ch_reply_put_message(reply, "reason", ack->reason);
    ch_reply_array_begin(reply, "rejects");
    for (uint32_t i = 0; i < ack->reject_count; i++)
        put_reject(reply, &ack->rejects[i]);
    ch_reply_array_end(reply);
}

/* The one type of list[from, to), NONE when there are several or it cannot be packed. */
static ch_value_type_t
one_type(const ch_points_t *points, size_t from, size_t to)
{
    ch_value_type_t type = points->list[from].type;
    for (size_t i = from + 1; i < to; i++)
        if (points->list[i].type != type)
            return CH_VALUE_NONE;
    return type == CH_VALUE_INT || type == CH_VALUE_FLOAT ? type : CH_VALUE_NONE;
}

/* Values of a list: packed when one type fits all. */
static void
put_list(ch_reply_t *reply, const ch_points_t *points, size_t from, size_t to)
{
    ch_value_type_t type = one_type(points, from, to);
    if (type == CH_VALUE_NONE) {
        ch_reply_array_begin(reply, NULL);
        for (size_t i = from; i < to; i++)
            ch_reply_put_value(reply, NULL, points->list[i]);
        ch_reply_array_end(reply);
        return;
    }
    ch_points_t packed = {0};
    for (size_t i = from; i < to; i++)
        ch_points_append(&packed, points->times[i], points->list[i]);
    if (type == CH_VALUE_INT)
        ch_reply_put_ints(reply, NULL, packed.ints, packed.count);
    else
        ch_reply_put_floats(reply, NULL, packed.floats, packed.count);
    ch_points_release(&packed);
}

void
ch_reply_put_run(ch_reply_t *reply, ch_bytes_t name, ch_bytes_t labels,
                 const ch_points_t *points, size_t from, size_t to)
{
    ch_reply_array_begin(reply, NULL);
    ch_reply_put_labels(reply, NULL, name, labels);
    size_t count = to - from;
    ch_reply_put_times(reply, NULL, count ? points->times + from : NULL, count);
    if (count && points->form == CH_POINTS_LIST)
        put_list(reply, points, from, to);
    else if (count && points->form == CH_POINTS_F64)
        ch_reply_put_floats(reply, NULL, points->floats + from, count);
    else
        ch_reply_put_ints(reply, NULL, count ? points->ints + from : NULL, count);
    ch_reply_array_end(reply);
}

void
ch_reply_put_floats_run(ch_reply_t *reply, ch_bytes_t name, ch_bytes_t labels,
                        const int64_t *times, const double *values, size_t count)
{
    ch_reply_array_begin(reply, NULL);
    ch_reply_put_labels(reply, NULL, name, labels);
    ch_reply_put_times(reply, NULL, times, count);
    ch_reply_put_floats(reply, NULL, values, count);
    ch_reply_array_end(reply);
}

/* ---- a vector as a table */

typedef struct names {
    ch_bytes_t *items; /* sorted; they point into the vector's labels */
    size_t count;
} names_t;

static void
add_name(names_t *names, ch_bytes_t name)
{
    size_t place = names->count;
    while (place > 0) {
        int order = ch_bytes_compare(names->items[place - 1], name);
        if (order == 0)
            return;
        if (order < 0)
            break;
        place--;
    }
    names->items = ch_realloc(names->items, (names->count + 1) * sizeof *names->items);
    memmove(names->items + place + 1, names->items + place,
            (names->count - place) * sizeof *names->items);
    names->items[place] = name;
    names->count++;
}

/* All label names of the vector, `__name__` for the name. */
static names_t
collect_names(const ch_reply_vector_t *rows, size_t count)
{
    names_t names = {0};
    ch_text_t scratch = {0};
    for (size_t i = 0; i < count; i++) {
        ch_label_t label;
        size_t cursor = 0;
        if (rows[i].name.size)
            add_name(&names, ch_bytes_text("__name__"));
        while (ch_series_labels_next(rows[i].labels, &cursor, &scratch, &label) == CH_OK)
            add_name(&names, label.name);
        ch_text_reset(&scratch);
    }
    ch_text_release(&scratch);
    return names;
}

/* The value of one label of a row; data NULL when it has none. */
static ch_bytes_t
find_label(const ch_reply_vector_t *row, ch_bytes_t name, ch_text_t *scratch)
{
    ch_label_t label;
    size_t cursor = 0;
    ch_text_reset(scratch);
    if (ch_bytes_equal(name, ch_bytes_text("__name__")))
        return row->name.size ? row->name : (ch_bytes_t){0};
    while (ch_series_labels_next(row->labels, &cursor, scratch, &label) == CH_OK)
        if (ch_bytes_equal(label.name, name))
            return label.value;
    return (ch_bytes_t){0};
}

static void
put_table_row(ch_reply_t *reply, const ch_reply_vector_t *row, const names_t *names,
              ch_text_t *scratch)
{
    ch_reply_array_begin(reply, NULL);
    for (size_t k = 0; k < names->count; k++) {
        ch_bytes_t value = find_label(row, names->items[k], scratch);
        if (value.data)
            ch_reply_put_text(reply, NULL, value);
        else
            ch_reply_put_nil(reply, NULL);
    }
    ch_reply_array_end(reply);
}

static void
put_vector_columns(ch_reply_t *reply, const ch_reply_vector_t *rows, size_t count)
{
    ch_points_t column = {0};
    for (size_t i = 0; i < count; i++)
        ch_points_append(&column, rows[i].time, ch_value_float(rows[i].value));
    ch_reply_put_times(reply, "times", column.times, count);
    ch_reply_put_floats(reply, "values", column.floats, count);
    ch_points_release(&column);
}

void
ch_reply_put_table(ch_reply_t *reply, const ch_reply_vector_t *rows, size_t count)
{
    names_t names = collect_names(rows, count);
    ch_text_t scratch = {0};
    ch_reply_map_begin(reply, "table");
    ch_reply_array_begin(reply, "labels");
    for (size_t k = 0; k < names.count; k++)
        ch_reply_put_text(reply, NULL, names.items[k]);
    ch_reply_array_end(reply);
    ch_reply_array_begin(reply, "rows");
    for (size_t i = 0; i < count; i++)
        put_table_row(reply, &rows[i], &names, &scratch);
    ch_reply_array_end(reply);
    put_vector_columns(reply, rows, count);
    ch_reply_map_end(reply);
    ch_text_release(&scratch);
    ch_free(names.items);
}

/* ---- */

void
ch_reply_put_get(ch_reply_t *reply, bool found, int64_t time, ch_value_t value)
{
    ch_reply_put_bool(reply, "found", found);
    if (!found)
        return;
    ch_reply_put_int(reply, "time", time);
    ch_reply_put_value(reply, "value", value);
}

void
ch_reply_put_tail(ch_reply_t *reply, const ch_read_tail_t *tail)
{
    ch_reply_map_begin(reply, "as_of");
    ch_reply_put_uint(reply, "lsn", tail->lsn);
    ch_reply_put_int(reply, "time", tail->time);
    ch_reply_map_end(reply);
    ch_reply_array_begin(reply, "warnings");
    for (size_t i = 0; i < tail->warning_count; i++)
        ch_reply_put_message(reply, NULL, tail->warnings[i]);
    ch_reply_array_end(reply);
    ch_reply_map_begin(reply, "stats");
    ch_reply_put_uint(reply, "samples", tail->samples);
    ch_reply_put_uint(reply, "series", tail->series);
    ch_reply_put_uint(reply, "duration_us", tail->duration_us);
    ch_reply_map_end(reply);
}

void
ch_reply_put_ping(ch_reply_t *reply, const char *node, const char *role,
                  const char *version, uint64_t term, uint64_t lsn)
{
    ch_reply_put_text(reply, "node", ch_bytes_text(node));
    ch_reply_put_text(reply, "role", ch_bytes_text(role));
    ch_reply_put_text(reply, "version", ch_bytes_text(version));
    ch_reply_put_uint(reply, "term", term);
    ch_reply_put_uint(reply, "lsn", lsn);
}

void
ch_reply_put_producer(ch_reply_t *reply, const char *producer,
                      const ch_producer_entry_t *entry)
{
    ch_reply_map_begin(reply, producer);
    ch_reply_put_uint(reply, "epoch", entry->epoch);
    ch_reply_put_uint(reply, "durable", entry->durable);
    ch_reply_put_uint(reply, "replicated", entry->replicated);
    ch_reply_put_uint(reply, "rejected", entry->rejected);
    ch_reply_put_uint(reply, "gaps", entry->gaps);
    ch_reply_put_uint(reply, "duplicates", entry->duplicates);
    ch_reply_put_int(reply, "last_time", entry->last_time);
    ch_reply_map_end(reply);
}
