#include "sst/table_cursor.h"

#include "ch/alloc.h"
#include "ch/assert.h"
#include "sst/sstable_writer_part.h"
#include "sst/table.h"

struct ch_table_cursor {
    ch_sstable_t table; /* the caller's, by value: its own way to memory */
    int64_t first, last;
    ch_sst_scratch_t *scratch;
    ch_key_walk_t *keys;
    uint32_t block; /* at hand */
    uint32_t at;    /* chunk in the block at hand */
    bool begun;     /* `rank` says something */
    uint32_t rank;
    bool has_chunk;
    ch_stored_chunk_t chunk;
    ch_bytes_t name, labels;
    uint32_t blocks_read; /* numbers below were counted */
    uint64_t bytes;
};

ch_table_cursor_t *
ch_table_cursor_new(const ch_sstable_t *sstable, int64_t first, int64_t last,
                    size_t dictionary_bytes)
{
    CH_ASSERT(sstable->magic == CH_TABLE_MAGIC);
    CH_ASSERT(!sstable->damage);
    ch_table_cursor_t *cursor = ch_calloc(1, sizeof *cursor);
    cursor->table = *sstable;
    cursor->table.cache = NULL;
    cursor->first = first;
    cursor->last = last;
    cursor->scratch = ch_sst_scratch_borrow();
    cursor->keys = ch_key_walk_new(&cursor->table, dictionary_bytes);
    return cursor;
}

void
ch_table_cursor_destroy(ch_table_cursor_t **cursor)
{
    ch_table_cursor_t *gone = ch_take(cursor);
    if (!gone)
        return;
    ch_key_walk_destroy(&gone->keys);
    ch_sst_scratch_return(gone->scratch);
    ch_free(gone);
}

ch_bytes_t
ch_table_cursor_name(const ch_table_cursor_t *cursor)
{
    return cursor->name;
}

ch_bytes_t
ch_table_cursor_labels(const ch_table_cursor_t *cursor)
{
    return cursor->labels;
}

const ch_stored_chunk_t *
ch_table_cursor_chunk(const ch_table_cursor_t *cursor)
{
    return cursor->has_chunk ? &cursor->chunk : NULL;
}

uint64_t
ch_table_cursor_bytes(const ch_table_cursor_t *cursor)
{
    return cursor->bytes;
}

static const ch_data_entry_t *
entry_of(const ch_table_cursor_t *cursor)
{
    return &cursor->table.index.data[cursor->block];
}

static bool
overlaps(const ch_table_cursor_t *cursor, int64_t time_min, int64_t time_max)
{
    return time_min <= cursor->last && time_max >= cursor->first;
}

/* Have the block at hand in memory. */
static ch_status_t
load(ch_table_cursor_t *cursor)
{
    if (cursor->block >= cursor->blocks_read) {
        cursor->blocks_read = cursor->block + 1;
        cursor->bytes += entry_of(cursor)->bytes;
    }
    return ch_sst_data_block(&cursor->table, cursor->block, true, cursor->scratch);
}

static const ch_block_chunk_t *
parsed_chunk(const ch_table_cursor_t *cursor)
{
    return &cursor->scratch->block.chunks[cursor->at];
}

static void
stand(ch_table_cursor_t *cursor)
{
    const ch_chunk_t *chunk = &parsed_chunk(cursor)->chunk;
    cursor->chunk = (ch_stored_chunk_t){.time_first = chunk->time_first,
                                        .time_last = chunk->time_last,
                                        .points = chunk->count,
                                        .bytes = chunk->values_bytes};
    cursor->has_chunk = true;
}

/* In the loaded block, from `at` on: the first chunk of a later series that overlaps. */
static bool
find_series(ch_table_cursor_t *cursor)
{
    for (; cursor->at < cursor->scratch->block.chunk_count; cursor->at++) {
        const ch_block_chunk_t *parsed = parsed_chunk(cursor);
        if (cursor->begun && parsed->rank <= cursor->rank)
            continue;
        if (overlaps(cursor, parsed->chunk.time_first, parsed->chunk.time_last))
            return true;
    }
    return false;
}

ch_status_t
ch_table_cursor_next(ch_table_cursor_t *cursor)
{
    cursor->has_chunk = false;
    for (; cursor->block < cursor->table.index.data_count;
         cursor->block++, cursor->at = 0) {
        if (!overlaps(cursor, entry_of(cursor)->time_min, entry_of(cursor)->time_max))
            continue;
        ch_status_t status = load(cursor);
        if (status < 0)
            return status;
        if (!find_series(cursor))
            continue;
        cursor->begun = true;
        cursor->rank = parsed_chunk(cursor)->rank;
        stand(cursor);
        return ch_key_walk_to(cursor->keys, cursor->rank, &cursor->name, &cursor->labels);
    }
    return CH_END;
}

/* To the next block, if it goes on with the series at hand. */
static bool
goes_on(ch_table_cursor_t *cursor)
{
    if (cursor->block + 1 >= cursor->table.index.data_count ||
        !cursor->table.index.data[cursor->block + 1].continues)
        return false;
    cursor->block++;
    cursor->at = 0;
    return true;
}

ch_status_t
ch_table_cursor_step(ch_table_cursor_t *cursor)
{
    CH_ASSERT(cursor->has_chunk);
    cursor->has_chunk = false;
    cursor->at++;
    do {
        ch_status_t status = load(cursor);
        if (status < 0)
            return status;
        for (; cursor->at < cursor->scratch->block.chunk_count; cursor->at++) {
            const ch_block_chunk_t *parsed = parsed_chunk(cursor);
            if (parsed->rank != cursor->rank || parsed->chunk.time_first > cursor->last)
                return CH_OK;
            if (parsed->chunk.time_last >= cursor->first) {
                stand(cursor);
                return CH_OK;
            }
        }
    } while (goes_on(cursor));
    return CH_OK;
}

/* Points [0, count) of `part` that lie in the window. */
static void
append_inside(const ch_table_cursor_t *cursor, const ch_points_t *part,
              ch_points_t *points)
{
    size_t from = 0, to = part->count;
    while (from < to && part->times[from] < cursor->first)
        from++;
    while (to > from && part->times[to - 1] > cursor->last)
        to--;
    ch_points_append_range(points, part, from, to);
}

ch_status_t
ch_table_cursor_decode(ch_table_cursor_t *cursor, ch_points_t *points)
{
    CH_ASSERT(cursor->has_chunk);
    ch_sst_scratch_t *scratch = cursor->scratch;
    bool inside = cursor->chunk.time_first >= cursor->first &&
                  cursor->chunk.time_last <= cursor->last;
    ch_points_t *to = inside ? points : &scratch->points;
    if (!inside)
        ch_points_clear(to);
    ch_status_t status =
        ch_block_decode(&scratch->block, parsed_chunk(cursor), scratch->column, to);
    if (status < 0)
        return ch_sst_blame(&cursor->table, status, "chunk in the data block",
                            entry_of(cursor)->offset, entry_of(cursor)->bytes);
    if (!inside)
        append_inside(cursor, to, points);
    return CH_OK;
}

ch_status_t
ch_sstable_writer_pass(ch_sstable_writer_t *writer, const ch_table_cursor_t *cursor)
{
    CH_ASSERT(cursor->has_chunk);
    const ch_block_chunk_t *parsed = parsed_chunk(cursor);
    const uint8_t *data = cursor->scratch->block.bytes.data;
    return ch_sstable_writer_add_encoded(
        writer, &parsed->chunk, ch_bytes(data + parsed->times_at, parsed->times_bytes),
        ch_bytes(data + parsed->values_at, parsed->chunk.values_bytes));
}

bool
ch_sstable_time_from(const ch_sstable_t *sstable, int64_t time, int64_t *time_out)
{
    bool any = false;
    for (uint32_t i = 0; i < sstable->index.data_count; i++) {
        const ch_data_entry_t *entry = &sstable->index.data[i];
        if (entry->time_max < time)
            continue;
        int64_t from = entry->time_min > time ? entry->time_min : time;
        if (!any || from < *time_out)
            *time_out = from;
        any = true;
    }
    return any;
}
