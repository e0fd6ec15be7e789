/* block_builder.c - chunks of neighbouring series become a data block.
 *
 * Problem     The fields of a host are scraped at the same instants. Stored per series, 26 equal
 *             instants cost as much as 26 small values.
 * Idea        Remember the newest distinct time columns of the open block; a chunk with the same
 *             times says how many chunks back they stand. Times are compared whole: a hash that
 *             collides would give a series another one's times.
 * Limitation  A block forgets the columns of the block before, so that it can be read alone.
 */
#include "sst/data_block.h"

#include "ch/alloc.h"
#include "ch/assert.h"

/* A host's fields with a week of points alternate between some seven chunks. */
enum { TIMES_REMEMBERED = 16 };

/* A time column of the open block. */
typedef struct times_slot {
    size_t count, capacity;
    int64_t *times;
    bool encoded; /* came encoded: `times` is not filled */
    size_t at;    /* where its bytes are in the columns */
    uint32_t bytes;
    uint32_t chunk; /* that has the column */
} times_slot_t;

typedef struct built_chunk {
    ch_chunk_t chunk;
    uint32_t times_ref; /* chunks back; 0: its own */
    uint32_t rank;
} built_chunk_t;

struct ch_block_builder {
    ch_column_level_t level;
    uint8_t *columns;
    size_t size, capacity;
    built_chunk_t chunks[CH_SST_BLOCK_CHUNKS_MAX];
    uint32_t chunk_count;
    times_slot_t slots[TIMES_REMEMBERED];
    uint32_t slot_count, slot_next;
    ch_text_t directory;
};

ch_block_builder_t *
ch_block_builder_new(ch_column_level_t level)
{
    ch_block_builder_t *builder = ch_calloc(1, sizeof *builder);
    builder->level = level;
    return builder;
}

void
ch_block_builder_destroy(ch_block_builder_t **builder)
{
    if (!*builder)
        return;
    for (int i = 0; i < TIMES_REMEMBERED; i++)
        ch_free((*builder)->slots[i].times);
    ch_free((*builder)->columns);
    ch_text_release(&(*builder)->directory);
    ch_free(*builder);
    *builder = NULL;
}

static void
columns_reserve(ch_block_builder_t *builder, size_t more)
{
    if (builder->size + more <= builder->capacity)
        return;
    builder->capacity = (builder->size + more) * 2;
    builder->columns = ch_realloc(builder->columns, builder->capacity);
}

/* The slot that holds just these times, or NULL. */
static const times_slot_t *
slot_find(const ch_block_builder_t *builder, const int64_t *times, size_t count)
{
    for (uint32_t i = 0; i < builder->slot_count; i++) {
        const times_slot_t *slot = &builder->slots[i];
        if (slot->count == count && !slot->encoded &&
            slot->times[count - 1] == times[count - 1] &&
            memcmp(slot->times, times, count * sizeof *times) == 0)
            return slot;
    }
    return NULL;
}

/* The slot of just these bytes of as many times, or NULL: equal bytes are equal times. */
static const times_slot_t *
slot_find_bytes(const ch_block_builder_t *builder, size_t count, ch_bytes_t times)
{
    for (uint32_t i = 0; i < builder->slot_count; i++) {
        const times_slot_t *slot = &builder->slots[i];
        if (slot->count == count && slot->bytes == times.size &&
            memcmp(builder->columns + slot->at, times.data, times.size) == 0)
            return slot;
    }
    return NULL;
}

/* A slot for the times of the chunk that comes next, whose column stands at the end: the oldest. */
static times_slot_t *
slot_take(ch_block_builder_t *builder, size_t count, uint32_t bytes)
{
    times_slot_t *slot = &builder->slots[builder->slot_next];
    builder->slot_next = (builder->slot_next + 1) % TIMES_REMEMBERED;
    if (builder->slot_count < TIMES_REMEMBERED)
        builder->slot_count++;
    slot->count = count;
    slot->encoded = true;
    slot->at = builder->size;
    slot->bytes = bytes;
    slot->chunk = builder->chunk_count;
    return slot;
}

static void
slot_fill(times_slot_t *slot, const int64_t *times)
{
    if (slot->capacity < slot->count) {
        slot->capacity = slot->count;
        slot->times = ch_realloc(slot->times, slot->count * sizeof *times);
    }
    memcpy(slot->times, times, slot->count * sizeof *times);
    slot->encoded = false;
}

static void
share(const ch_block_builder_t *builder, built_chunk_t *built, const times_slot_t *slot)
{
    built->chunk.flags |= CH_CHUNK_TIMES_SHARED;
    built->chunk.times_bytes = 0;
    built->times_ref = builder->chunk_count - slot->chunk;
}

void
ch_block_builder_add(ch_block_builder_t *builder, ch_column_scratch_t *scratch,
                     uint32_t rank, const ch_points_t *points, size_t from, size_t to)
{
    CH_ASSERT(builder->chunk_count < CH_SST_BLOCK_CHUNKS_MAX);
    size_t room = ch_chunk_bytes_max(points, from, to);
    columns_reserve(builder, 2 * room + CH_COLUMN_PAD);
    built_chunk_t *built = &builder->chunks[builder->chunk_count];
    *built = (built_chunk_t){.rank = rank};
    uint8_t *at = builder->columns + builder->size;
    const times_slot_t *shared = slot_find(builder, points->times + from, to - from);
    if (shared) {
        ch_chunk_encode(scratch, builder->level, points, from, to, NULL, at,
                        &built->chunk);
        share(builder, built, shared);
    } else {
        ch_chunk_encode(scratch, builder->level, points, from, to, at, at + room,
                        &built->chunk);
        memmove(at + built->chunk.times_bytes, at + room, built->chunk.values_bytes);
        slot_fill(slot_take(builder, to - from, built->chunk.times_bytes),
                  points->times + from);
    }
    builder->size += built->chunk.times_bytes + built->chunk.values_bytes;
    builder->chunk_count++;
}

static void
columns_append(ch_block_builder_t *builder, ch_bytes_t column)
{
    memcpy(builder->columns + builder->size, column.data, column.size);
    builder->size += column.size;
}

void
ch_block_builder_pass(ch_block_builder_t *builder, uint32_t rank, const ch_chunk_t *chunk,
                      ch_bytes_t times, ch_bytes_t values)
{
    CH_ASSERT(builder->chunk_count < CH_SST_BLOCK_CHUNKS_MAX);
    built_chunk_t *built = &builder->chunks[builder->chunk_count];
    *built = (built_chunk_t){.chunk = *chunk, .rank = rank};
    built->chunk.flags &= (uint8_t)~CH_CHUNK_TIMES_SHARED;
    built->chunk.times_bytes = (uint32_t)times.size;
    built->chunk.values_bytes = (uint32_t)values.size;
    columns_reserve(builder, times.size + values.size + CH_COLUMN_PAD);
    const times_slot_t *shared = slot_find_bytes(builder, chunk->count, times);
    if (shared) {
        share(builder, built, shared);
    } else {
        (void)slot_take(builder, chunk->count, (uint32_t)times.size);
        columns_append(builder, times);
    }
    columns_append(builder, values);
    builder->chunk_count++;
}

uint32_t
ch_block_builder_chunks(const ch_block_builder_t *builder)
{
    return builder->chunk_count;
}

bool
ch_block_builder_full(const ch_block_builder_t *builder)
{
    return builder->size >= CH_SST_BLOCK_COLUMN_BYTES ||
           builder->chunk_count == CH_SST_BLOCK_CHUNKS_MAX;
}

/* Write the directory's bytes, unpacked; returns the series it names. */
static uint32_t
build_directory(ch_block_builder_t *builder, int64_t time_min)
{
    uint32_t series = 0;
    ch_text_reset(&builder->directory);
    for (uint32_t i = 0; i < builder->chunk_count; series++) {
        uint32_t run = 1;
        while (i + run < builder->chunk_count &&
               builder->chunks[i + run].rank == builder->chunks[i].rank)
            run++;
        uint8_t bytes[CH_SST_CHUNK_ENTRY_MAX];
        ch_text_append(&builder->directory, bytes,
                       (size_t)(ch_varint_put(bytes, run) - bytes));
        for (uint32_t end = i + run; i < end; i++) {
            const built_chunk_t *built = &builder->chunks[i];
            uint8_t *entry_end =
                ch_chunk_put(bytes, &built->chunk, time_min, built->times_ref);
            ch_text_append(&builder->directory, bytes, (size_t)(entry_end - bytes));
        }
    }
    return series;
}

/* Fill in the header of the block that begins at `block`, once all else is there. */
static void
seal_block(const ch_block_builder_t *builder, uint8_t *block,
           const ch_data_entry_t *entry, uint64_t file_number)
{
    const uint8_t *columns = block + entry->directory_end;
    uint64_t seed = ch_sst_seed(file_number, entry->offset, CH_SST_COLUMNS);
    ch_store_u32(block, CH_SST_BLOCK_MAGIC);
    ch_store_u32(block + CH_SST_BLOCK_TOTAL, entry->bytes);
    ch_store_u32(block + CH_SST_BLOCK_DIRECTORY_STORED,
                 entry->directory_end - CH_SST_BLOCK_HEADER_BYTES);
    ch_store_u32(block + CH_SST_BLOCK_DIRECTORY_RAW, (uint32_t)builder->directory.size);
    ch_store_u32(block + CH_SST_BLOCK_CHUNKS, builder->chunk_count);
    ch_store_u32(block + CH_SST_BLOCK_COLUMNS_CHECK,
                 ch_check32(columns, builder->size, seed));
    ch_store_i64(block + CH_SST_BLOCK_TIME_MIN, entry->time_min);
    seed = ch_sst_seed(file_number, entry->offset, CH_SST_DIRECTORY);
    ch_store_u32(block + CH_SST_BLOCK_CHECK,
                 ch_check32(block + CH_SST_BLOCK_TOTAL,
                            entry->directory_end - CH_SST_BLOCK_TOTAL, seed));
}

void
ch_block_builder_close(ch_block_builder_t *builder, uint64_t file_number, uint64_t offset,
                       ch_text_t *out, ch_data_entry_t *entry_out)
{
    CH_ASSERT(builder->chunk_count > 0);
    ch_data_entry_t entry = {.offset = offset,
                             .first_rank = builder->chunks[0].rank,
                             .time_min = INT64_MAX,
                             .time_max = INT64_MIN};
    for (uint32_t i = 0; i < builder->chunk_count; i++) {
        const ch_chunk_t *chunk = &builder->chunks[i].chunk;
        entry.time_min =
            chunk->time_first < entry.time_min ? chunk->time_first : entry.time_min;
        entry.time_max =
            chunk->time_last > entry.time_max ? chunk->time_last : entry.time_max;
    }
    entry.series = build_directory(builder, entry.time_min);
    const uint8_t header[CH_SST_BLOCK_HEADER_BYTES] = {0};
    size_t start = out->size;
    ch_text_append(out, header, sizeof header);
    size_t stored = ch_sst_compress(ch_text_bytes(&builder->directory), out);
    ch_text_append(out, builder->columns, builder->size);
    entry.directory_end = (uint32_t)(CH_SST_BLOCK_HEADER_BYTES + stored);
    entry.bytes = (uint32_t)(entry.directory_end + builder->size);
    seal_block(builder, (uint8_t *)out->data + start, &entry, file_number);
    builder->size = 0;
    builder->chunk_count = 0;
    builder->slot_count = builder->slot_next = 0;
    *entry_out = entry;
}
