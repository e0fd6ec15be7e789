#include "query/promql_window.h"

#include "ch/alloc.h"
#include "query/range_functions.h"

enum {
    CHUNK_POINTS = 16 * 1024,
    STRING_CHUNK_POINTS = 256, /* 16 MiB when all are strings of 64 KiB */
    FIRST_CAPACITY = 1024
};

void
ch_promql_reader_init(ch_promql_reader_t *reader, ch_promql_eval_t *eval, bool keep_stale)
{
    *reader = (ch_promql_reader_t){
        .eval = eval, .keep_stale = keep_stale, .capacity = FIRST_CAPACITY};
    reader->times = ch_alloc(FIRST_CAPACITY * sizeof(int64_t));
    reader->values = ch_alloc(FIRST_CAPACITY * sizeof(double));
}

void
ch_promql_reader_release(ch_promql_reader_t *reader)
{
    ch_free(reader->times);
    ch_free(reader->values);
    ch_points_release(&reader->chunk);
}

void
ch_promql_reader_start(ch_promql_reader_t *reader, const ch_series_ref_t *series,
                       int64_t from, int64_t end)
{
    reader->series = series;
    reader->read_from = from;
    reader->read_end = end;
    reader->more = true;
    reader->chunk_points = STRING_CHUNK_POINTS;
    reader->first = reader->last = reader->filled = 0;
}

/* Room for a chunk: first by dropping what the window has passed, then by growing. */
static ch_status_t
make_room(ch_promql_reader_t *reader, size_t more)
{
    if (reader->first > 0 && reader->filled + more > reader->capacity) {
        size_t kept = reader->filled - reader->first;
        memmove(reader->times, reader->times + reader->first, kept * sizeof(int64_t));
        memmove(reader->values, reader->values + reader->first, kept * sizeof(double));
        reader->last -= reader->first;
        reader->filled = kept;
        reader->first = 0;
    }
    size_t needed = reader->filled + more;
    if (needed <= reader->capacity)
        return CH_OK;
    if (needed > CH_PROMQL_WINDOW_POINTS_MAX)
        return ch_fail(CH_ERR_LIMIT, "a range holds more than %d points of one series",
                       CH_PROMQL_WINDOW_POINTS_MAX);
    size_t capacity = needed * 2, point = sizeof(int64_t) + sizeof(double);
    ch_status_t status =
        ch_promql_hold(reader->eval, (capacity - reader->capacity) * point);
    if (status < 0)
        return status;
    reader->eval->window_bytes = capacity * point;
    reader->capacity = capacity;
    reader->times = ch_realloc(reader->times, reader->capacity * sizeof(int64_t));
    reader->values = ch_realloc(reader->values, reader->capacity * sizeof(double));
    return CH_OK;
}

/* A point as a float; false for strings. */
static bool
as_float(const ch_points_t *points, size_t i, double *value_out)
{
    ch_value_t value = ch_points_value(points, i);
    switch (value.type) {
    case CH_VALUE_INT:
        *value_out = (double)value.i64;
        return true;
    case CH_VALUE_FLOAT:
        *value_out = value.f64;
        return true;
    case CH_VALUE_BOOL:
        *value_out = value.boolean;
        return true;
    default:
        return false;
    }
}

static void
append_chunk(ch_promql_reader_t *reader)
{
    const ch_points_t *chunk = &reader->chunk;
    for (size_t i = 0; i < chunk->count; i++) {
        double value;
        if (!as_float(chunk, i, &value)) {
            reader->eval->string_points++;
            continue;
        }
        if (!reader->keep_stale && ch_promql_is_absent(value))
            continue;
        reader->times[reader->filled] = chunk->times[i];
        reader->values[reader->filled++] = value;
    }
}

static ch_status_t
read_chunk(ch_promql_reader_t *reader, int64_t end)
{
    ch_promql_eval_t *eval = reader->eval;
    bool more = false;
    ch_status_t status =
        eval->source->read(eval->source->context, reader->series, reader->read_from, end,
                           reader->chunk_points, &reader->chunk, &more);
    if (status < 0)
        return status;
    size_t count = reader->chunk.count;
    status = ch_promql_touch(eval, count);
    if (status == CH_OK)
        status =
            ch_promql_work(eval, count + 64); /* 64: what a read costs without points */
    if (status == CH_OK)
        status = make_room(reader, count);
    if (status < 0)
        return status;
    append_chunk(reader);
    bool list = reader->chunk.form == CH_POINTS_LIST;
    reader->chunk_points = list ? STRING_CHUNK_POINTS : CHUNK_POINTS;
    if (more && count > 0) {
        reader->read_from = ch_promql_add_time(reader->chunk.times[count - 1], 1);
    } else {
        reader->read_from = end;
        reader->more = end < reader->read_end;
    }
    return CH_OK;
}

static void
drop_before(ch_promql_reader_t *reader, int64_t from)
{
    while (reader->first < reader->filled && reader->times[reader->first] < from)
        reader->first++;
#ifdef CH_FAULT_PROMQL_CLOSED_RANGE
    while (reader->first > 0 && reader->times[reader->first - 1] == from - 1)
        reader->first--;
#endif
    if (reader->last < reader->first)
        reader->last = reader->first;
}

ch_status_t
ch_promql_reader_move(ch_promql_reader_t *reader, int64_t from, int64_t end, bool sparse,
                      ch_promql_window_t *window_out)
{
    drop_before(reader, from);
    if (sparse && reader->first == reader->filled && reader->read_from < from)
        reader->read_from = from;
    int64_t wanted = ch_promql_add_time(end, 1);
    int64_t read_end = sparse && wanted < reader->read_end ? wanted : reader->read_end;
    while (reader->more && reader->read_from < wanted) {
        ch_status_t status = read_chunk(reader, read_end);
        if (status < 0)
            return status;
        drop_before(reader, from);
    }
    while (reader->last < reader->filled && reader->times[reader->last] <= end)
        reader->last++;
    *window_out = (ch_promql_window_t){.times = reader->times + reader->first,
                                       .values = reader->values + reader->first,
                                       .count = reader->last - reader->first,
                                       .start = ch_promql_sub_time(from, 1),
                                       .end = end};
    return CH_OK;
}
