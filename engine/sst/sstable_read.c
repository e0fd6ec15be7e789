/* sstable_read.c - points of one series: all in a range, the newest, or only their summary. */
#include "sst/table.h"

#include <math.h>

#include "ch/assert.h"

/* A question about one series: where its chunks are. */
typedef struct lookup {
    ch_sstable_t *sstable;
    ch_sst_scratch_t *scratch;
    uint32_t rank;
    uint32_t blocks_from, blocks_to;
} lookup_t;

/* Borrow a scratch and find the series. The scratch goes back with lookup_end, in any case. */
static ch_status_t
lookup_begin(lookup_t *lookup, ch_sstable_t *sstable, ch_bytes_t name, ch_bytes_t labels)
{
    *lookup = (lookup_t){.sstable = sstable, .scratch = ch_sst_scratch_borrow()};
    ch_status_t status = ch_sst_check_opened(sstable);
#ifdef CH_FAULT_DAMAGED_TABLE_SILENT
    if (status < 0)
        return CH_NOT_FOUND;
#endif
    if (status == CH_OK)
        status = ch_sst_find(sstable, lookup->scratch, name, labels, &lookup->rank);
    if (status == CH_OK)
        ch_sst_blocks_of(sstable, lookup->rank, &lookup->blocks_from, &lookup->blocks_to);
    return status;
}

static void
lookup_end(lookup_t *lookup)
{
    ch_sst_scratch_return(lookup->scratch);
}

/* Have block `at` in memory and find the series' chunks in it. */
static ch_status_t
lookup_block(lookup_t *lookup, uint32_t at, bool with_columns, uint32_t *from_out,
             uint32_t *to_out)
{
    ch_status_t status =
        ch_sst_data_block(lookup->sstable, at, with_columns, lookup->scratch);
    if (status < 0)
        return status;
    ch_block_find(&lookup->scratch->block, lookup->rank, from_out, to_out);
    return CH_OK;
}

static ch_status_t
decode_chunk(const lookup_t *lookup, uint32_t at, const ch_block_chunk_t *chunk,
             ch_points_t *points)
{
    ch_status_t status =
        ch_block_decode(&lookup->scratch->block, chunk, lookup->scratch->column, points);
    const ch_data_entry_t *entry = &lookup->sstable->index.data[at];
    if (status < 0)
        return ch_sst_blame(lookup->sstable, status, "chunk in the data block",
                            entry->offset, entry->bytes);
    return CH_OK;
}

/* Does `time` lie before the end of a range? INT64_MAX is no end at all. */
static bool
before_end(int64_t time, int64_t end)
{
    return time < end || end == CH_TIME_MAX;
}

/* The first place whose time is not below `time`. */
static size_t
place_of(const ch_points_t *points, int64_t time)
{
    size_t low = 0, high = points->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (points->times[middle] < time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The place behind the last point of a range. */
static size_t
place_of_end(const ch_points_t *points, int64_t end)
{
    return end == CH_TIME_MAX ? points->count : place_of(points, end);
}

/* A chunk that lies whole in [start, end) is decoded in place, of another the part is copied. */
static ch_status_t
read_chunk(const lookup_t *lookup, uint32_t at, const ch_block_chunk_t *chunk,
           int64_t start, int64_t end, ch_points_t *points)
{
    if (chunk->chunk.time_first >= start && before_end(chunk->chunk.time_last, end))
        return decode_chunk(lookup, at, chunk, points);
    ch_points_t *part = &lookup->scratch->points;
    ch_points_clear(part);
    ch_status_t status = decode_chunk(lookup, at, chunk, part);
    if (status < 0)
        return status;
    ch_points_append_range(points, part, place_of(part, start), place_of_end(part, end));
    return CH_OK;
}

/* Until `points` has `enough` of them. */
static ch_status_t
read_block(lookup_t *lookup, uint32_t at, int64_t start, int64_t end, size_t enough,
           ch_points_t *points)
{
    const ch_data_entry_t *entry = &lookup->sstable->index.data[at];
    uint32_t from, to;
    if (entry->time_max < start || !before_end(entry->time_min, end))
        return CH_OK;
    ch_status_t status = lookup_block(lookup, at, true, &from, &to);
    for (; status >= 0 && from < to && points->count < enough; from++) {
        const ch_block_chunk_t *chunk = &lookup->scratch->block.chunks[from];
        if (chunk->chunk.time_last >= start && before_end(chunk->chunk.time_first, end))
            status = read_chunk(lookup, at, chunk, start, end, points);
    }
    return status;
}

ch_status_t
ch_sstable_read_first(ch_sstable_t *sstable, ch_bytes_t name, ch_bytes_t labels,
                      int64_t start, int64_t end, size_t points_max, ch_points_t *points,
                      int64_t *end_out)
{
    lookup_t lookup;
    size_t before = points->count;
    size_t enough = points_max < SIZE_MAX - before ? before + points_max + 1 : SIZE_MAX;
    ch_status_t status = lookup_begin(&lookup, sstable, name, labels);
    if (status == CH_OK)
        for (uint32_t i = lookup.blocks_from;
             status >= 0 && i < lookup.blocks_to && points->count < enough; i++)
            status = read_block(&lookup, i, start, end, enough, points);
    lookup_end(&lookup);
    if (status < 0)
        points->count = before;
    *end_out = end;
    if (points->count >= enough && points->times[points->count - 1] < CH_TIME_MAX)
        *end_out = points->times[points->count - 1] + 1;
    return status;
}

ch_status_t
ch_sstable_read(ch_sstable_t *sstable, ch_bytes_t name, ch_bytes_t labels, int64_t start,
                int64_t end, ch_points_t *points)
{
    return ch_sstable_read_first(sstable, name, labels, start, end, SIZE_MAX, points,
                                 &end);
}

/* The newest point of a chunk at or before `time`, which it has. */
static ch_status_t
newest_in_chunk(const lookup_t *lookup, uint32_t at, const ch_block_chunk_t *chunk,
                int64_t time, ch_points_t *strings, int64_t *time_out,
                ch_value_t *value_out)
{
    ch_points_t *points = &lookup->scratch->points;
    ch_points_clear(points);
    ch_status_t status = decode_chunk(lookup, at, chunk, points);
    if (status < 0)
        return status;
    size_t place = time == INT64_MAX ? points->count : place_of(points, time + 1);
    CH_ASSERT(place > 0);
    ch_value_t value = ch_points_value(points, place - 1);
    if (value.type == CH_VALUE_STRING)
        value.string = ch_points_keep_string(strings, value.string);
    *time_out = points->times[place - 1];
    *value_out = value;
    return CH_OK;
}

/* The same of a block; CH_NOT_FOUND: nothing of the series is that old in it. */
static ch_status_t
newest_in_block(lookup_t *lookup, uint32_t at, int64_t time, ch_points_t *strings,
                int64_t *time_out, ch_value_t *value_out)
{
    uint32_t from, to;
    if (lookup->sstable->index.data[at].time_min > time)
        return CH_NOT_FOUND;
    ch_status_t status = lookup_block(lookup, at, true, &from, &to);
    if (status < 0)
        return status;
    while (to > from && lookup->scratch->block.chunks[to - 1].chunk.time_first > time)
        to--;
    if (to == from)
        return CH_NOT_FOUND;
    return newest_in_chunk(lookup, at, &lookup->scratch->block.chunks[to - 1], time,
                           strings, time_out, value_out);
}

ch_status_t
ch_sstable_newest(ch_sstable_t *sstable, ch_bytes_t name, ch_bytes_t labels, int64_t time,
                  ch_points_t *strings, int64_t *time_out, ch_value_t *value_out)
{
    lookup_t lookup;
    ch_status_t status = lookup_begin(&lookup, sstable, name, labels);
    if (status == CH_OK) {
        status = CH_NOT_FOUND;
        for (uint32_t i = lookup.blocks_to;
             status == CH_NOT_FOUND && i-- > lookup.blocks_from;)
            status = newest_in_block(&lookup, i, time, strings, time_out, value_out);
    }
    lookup_end(&lookup);
    return status;
}

/* A series has a chunk in each of its blocks; a file that says otherwise lies. */
static ch_status_t
time_range_of(lookup_t *lookup, int64_t *min_out, int64_t *max_out)
{
    uint32_t from, to;
    ch_status_t status = lookup_block(lookup, lookup->blocks_from, false, &from, &to);
    if (status < 0)
        return status;
    int64_t min = lookup->scratch->block.chunks[from].chunk.time_first;
    status = lookup_block(lookup, lookup->blocks_to - 1, false, &from, &to);
    if (status < 0)
        return status;
    *max_out = lookup->scratch->block.chunks[to - 1].chunk.time_last;
    *min_out = min;
    return CH_OK;
}

ch_status_t
ch_sstable_time_range(ch_sstable_t *sstable, ch_bytes_t name, ch_bytes_t labels,
                      int64_t *min_out, int64_t *max_out)
{
    lookup_t lookup;
    ch_status_t status = lookup_begin(&lookup, sstable, name, labels);
    if (status == CH_OK)
        status = time_range_of(&lookup, min_out, max_out);
    lookup_end(&lookup);
    return status;
}

static ch_status_t
as_float(ch_value_t value, double *out)
{
    switch (value.type) {
    case CH_VALUE_INT:
        *out = (double)value.i64;
        break;
    case CH_VALUE_FLOAT:
        *out = value.f64;
        break;
    case CH_VALUE_BOOL:
        *out = value.boolean;
        break;
    default:
        return CH_ERR_UNSUPPORTED;
    }
    return isnan(*out) ? CH_ERR_UNSUPPORTED : CH_OK;
}

static void
summarise_value(int64_t time, double value, ch_summary_t *summary)
{
    const ch_summary_t one = {.count = 1,
                              .sum = value,
                              .min = value,
                              .max = value,
                              .first_time = time,
                              .last_time = time,
                              .first = value,
                              .last = value};
    ch_summary_join(summary, &one);
}

/* The summary of points [from, to) of a run of doubles or ints: parts of chunks are decoded at both ends of
 * most ranges, so it should cost little more than their decoding. False on NaN. */
static bool
summarise_run(const ch_points_t *points, size_t from, size_t to, ch_summary_t *part)
{
    bool floats = points->form == CH_POINTS_F64, nan = false, falls = false;
    const int64_t *ints = points->ints;
    double sum = 0, before = floats ? points->floats[from] : (double)ints[from];
    double min = before, max = before;
    part->first = before;
    for (size_t i = from; i < to; i++) {
        double value = floats ? points->floats[i] : (double)ints[i];
        nan |= value != value;
        falls |= value < before;
        min = value < min ? value : min;
        max = value > max ? value : max;
        sum += value;
        before = value;
    }
    part->count = to - from;
    part->sum = sum;
    part->min = min;
    part->max = max;
    part->falls = falls;
    part->last = before;
    part->first_time = points->times[from];
    part->last_time = points->times[to - 1];
    return !nan;
}

ch_status_t
ch_sstable_summarise_points(const ch_points_t *points, size_t from, size_t to,
                            ch_summary_t *summary)
{
    ch_summary_t part = {.decoded = 0};
    bool possible = true;
    if (from >= to)
        return CH_OK;
    if (points->form != CH_POINTS_LIST)
        possible = summarise_run(points, from, to, &part);
    for (size_t i = from; points->form == CH_POINTS_LIST && possible && i < to; i++) {
        double value = 0;
        possible = as_float(ch_points_value(points, i), &value) == CH_OK;
        summarise_value(points->times[i], value, &part);
    }
    if (!possible)
        return ch_fail(CH_ERR_UNSUPPORTED, "strings and NaN have no summary");
    ch_summary_join(summary, &part);
    return CH_OK;
}

/* What the chunk's entry alone says. */
static void
summarise_entry(const ch_chunk_t *chunk, ch_summary_t *summary)
{
    const ch_summary_t whole = {.count = chunk->count,
                                .sum = chunk->sum,
                                .min = chunk->min,
                                .max = chunk->max,
                                .first_time = chunk->time_first,
                                .last_time = chunk->time_last,
                                .first = chunk->first,
                                .last = chunk->last,
                                .falls = chunk->flags & CH_CHUNK_COUNTER_RESET};
    ch_summary_join(summary, &whole);
}

static bool
entry_suffices(const ch_chunk_t *chunk, int64_t start, int64_t end)
{
    return chunk->flags & CH_CHUNK_AGGREGATES && chunk->time_first >= start &&
           before_end(chunk->time_last, end);
}

/* Chunk `c` of block `at`; its columns are read only when the entry does not suffice. */
static ch_status_t
summarise_chunk(lookup_t *lookup, uint32_t at, uint32_t c, int64_t start, int64_t end,
                ch_summary_t *summary)
{
    const ch_chunk_t *chunk = &lookup->scratch->block.chunks[c].chunk;
    if (chunk->flags & CH_CHUNK_NAN_SEEN || chunk->type > CH_VALUE_BOOL)
        return ch_fail(CH_ERR_UNSUPPORTED, "strings and NaN have no summary");
    if (entry_suffices(chunk, start, end)) {
        summarise_entry(chunk, summary);
        return CH_OK;
    }
    ch_status_t status = ch_sst_data_block(lookup->sstable, at, true, lookup->scratch);
    if (status < 0)
        return status;
    ch_points_t *points = &lookup->scratch->points;
    ch_points_clear(points);
    status = decode_chunk(lookup, at, &lookup->scratch->block.chunks[c], points);
    if (status < 0)
        return status;
    summary->decoded += points->count;
    return ch_sstable_summarise_points(points, place_of(points, start),
                                       place_of_end(points, end), summary);
}

static ch_status_t
summarise_block(lookup_t *lookup, uint32_t at, int64_t start, int64_t end,
                ch_summary_t *summary)
{
    const ch_data_entry_t *entry = &lookup->sstable->index.data[at];
    uint32_t from, to;
    if (entry->time_max < start || !before_end(entry->time_min, end))
        return CH_OK;
    ch_status_t status = lookup_block(lookup, at, false, &from, &to);
    for (; status >= 0 && from < to; from++) {
        const ch_chunk_t *chunk = &lookup->scratch->block.chunks[from].chunk;
        if (chunk->time_last >= start && before_end(chunk->time_first, end))
            status = summarise_chunk(lookup, at, from, start, end, summary);
    }
    return status;
}

ch_status_t
ch_sstable_summarise(ch_sstable_t *sstable, ch_bytes_t name, ch_bytes_t labels,
                     int64_t start, int64_t end, ch_summary_t *summary)
{
    lookup_t lookup;
    ch_summary_t sum = {0};
    ch_status_t status = lookup_begin(&lookup, sstable, name, labels);
    if (status == CH_OK)
        for (uint32_t i = lookup.blocks_from; status >= 0 && i < lookup.blocks_to; i++)
            status = summarise_block(&lookup, i, start, end, &sum);
    if (status == CH_OK)
        *summary = sum;
    lookup_end(&lookup);
    return status;
}
