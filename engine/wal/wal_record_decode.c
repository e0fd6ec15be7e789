/* wal_record_decode.c - bytes to a record, trusting nothing.
 *
 * Every count is held against the bytes that are left (each item takes at least one) or against
 * CH_WAL_RECORD_CELLS_MAX before anything is allocated for it, so a short record cannot ask for
 * much memory or time.
 */
#include "wal/wal_record.h"

#include "ch/limits.h"
#include "wal/wal_format.h"

typedef struct cursor {
    const uint8_t
        *at; /* NULL after the first violation; then everything reads as nothing */
    const uint8_t *end;
} cursor_t;

void
ch_wal_decoder_release(ch_wal_decoder_t *decoder)
{
    ch_wal_arena_release(&decoder->arena);
}

static uint64_t
take_varint(cursor_t *cursor, uint64_t max)
{
    uint64_t value = 0;
    if (cursor->at)
        cursor->at = ch_varint_get_max(cursor->at, cursor->end, max, &value);
    return cursor->at ? value : 0;
}

/* How many items follow, each of at least `item_bytes`. */
static uint32_t
take_count(cursor_t *cursor, size_t item_bytes)
{
    uint64_t count = take_varint(cursor, UINT32_MAX);
    if (cursor->at && count > (size_t)(cursor->end - cursor->at) / item_bytes)
        cursor->at = NULL;
    return cursor->at ? (uint32_t)count : 0;
}

static ch_bytes_t
take_text(cursor_t *cursor, size_t size_max)
{
    size_t size = take_count(cursor, 1);
    if (size > size_max)
        cursor->at = NULL;
    if (!cursor->at)
        return ch_bytes("", 0);
    ch_bytes_t text = ch_bytes(cursor->at, size);
    cursor->at += size;
    return text;
}

static void
decode_identity(cursor_t *cursor, unsigned flags, ch_identity_t *identity)
{
    memset(identity, 0, sizeof *identity);
    if (!(flags & CH_WAL_RECORD_FLAG_IDENTITY))
        return;
    ch_bytes_t producer = take_text(cursor, CH_PRODUCER_BYTES_MAX);
    if (producer.size == 0 || memchr(producer.data, 0, producer.size))
        cursor->at = NULL;
    if (!cursor->at)
        return;
    memcpy(identity->producer, producer.data, producer.size);
    identity->present = true;
    identity->epoch = take_varint(cursor, UINT64_MAX);
    identity->seq = take_varint(cursor, UINT64_MAX);
}

static void
decode_refusal(cursor_t *cursor, ch_wal_record_t *record)
{
    record->reject.seq = take_varint(cursor, UINT64_MAX);
    record->reject.index = ch_unzigzag(take_varint(cursor, UINT64_MAX));
    int64_t code = ch_unzigzag(take_varint(cursor, UINT32_MAX));
    if (code != CH_ERR_INVALID && code != CH_ERR_LIMIT && code != CH_ERR_FORBIDDEN)
        cursor->at = NULL;
    record->reject.code = (ch_status_t)code;
}

static ch_bytes_t
take_selector(cursor_t *cursor)
{
    ch_bytes_t text = take_text(cursor, CH_WAL_SELECTOR_BYTES_MAX);
    if (text.size == 0)
        cursor->at = NULL;
    return text;
}

static void
decode_delete(cursor_t *cursor, ch_wal_arena_t *arena, ch_wal_record_t *record)
{
    ch_wal_delete_t *delete = &record->delete;
    delete->selector = take_selector(cursor);
    delete->start = INT64_MIN;
    if (record->type == CH_WAL_DELETE) {
        delete->start = ch_unzigzag(take_varint(cursor, UINT64_MAX));
    } else {
        uint32_t count = take_count(cursor, 2);
        if (count > CH_WAL_EXCEPTIONS_MAX || record->batch.identity.present)
            cursor->at = NULL;
        if (!cursor->at)
            return;
        ch_bytes_t *except = ch_wal_arena_take(arena, count * sizeof *except);
        for (uint32_t i = 0; i < count; i++)
            except[i] = take_selector(cursor);
        delete->except = except;
        delete->except_count = count;
    }
    delete->end = ch_unzigzag(take_varint(cursor, UINT64_MAX));
}

static void
decode_additions(cursor_t *cursor, ch_wal_dictionary_t *dictionary)
{
    uint32_t names = take_count(cursor, 1);
    for (uint32_t i = 0; cursor->at && i < names; i++) {
        ch_bytes_t name = take_text(cursor, SIZE_MAX);
        if (cursor->at)
            ch_wal_dictionary_add_name(dictionary, name);
    }
    uint32_t labels = take_count(cursor, 1);
    for (uint32_t i = 0; cursor->at && i < labels; i++) {
        ch_bytes_t text = take_text(cursor, SIZE_MAX);
        if (cursor->at)
            ch_wal_dictionary_add_labels(dictionary, text);
    }
    uint32_t series = take_count(cursor, 2);
    for (uint32_t i = 0; cursor->at && i < series; i++) {
        uint64_t name = take_varint(cursor, UINT32_MAX);
        uint64_t text = take_varint(cursor, UINT32_MAX);
        if (name >= ch_wal_dictionary_names(dictionary) ||
            text >= ch_wal_dictionary_labels(dictionary))
            cursor->at = NULL;
        if (cursor->at)
            ch_wal_dictionary_add_series(dictionary, (uint32_t)name, (uint32_t)text);
    }
}

/* --- blocks ---------------------------------------------------------------------------------- */

static bool
decode_shape(cursor_t *cursor, ch_batch_block_t *block, uint64_t *weight)
{
    uint64_t kind = take_varint(cursor, CH_BLOCK_POINTS);
    block->kind = (ch_block_kind_t)kind;
    block->rows = (uint32_t)take_varint(cursor, CH_WAL_RECORD_CELLS_MAX);
    block->fields = 1;
    if (block->kind == CH_BLOCK_TABLE)
        block->fields = (uint32_t)take_varint(cursor, CH_WAL_RECORD_CELLS_MAX);
    *weight += ((uint64_t)block->rows + 1) * ((uint64_t)block->fields + 1);
    if (*weight > CH_WAL_RECORD_CELLS_MAX)
        cursor->at = NULL;
    return cursor->at != NULL;
}

/* Zero the ids of cells without a point; returns the number of points. */
static uint32_t
clear_holes(const ch_batch_block_t *block, uint32_t *ids)
{
    uint32_t points = block->rows * block->fields;
    for (uint32_t j = 0; j < block->fields; j++) {
        if (block->values[j].form != CH_VALUES_LIST)
            continue;
        for (uint32_t i = 0; i < block->rows; i++)
            if (block->values[j].list[i].type == CH_VALUE_NONE) {
                points--;
                if (block->kind != CH_BLOCK_SERIES)
                    ids[(size_t)i * block->fields + j] = 0;
            }
    }
    return points;
}

static bool
ids_below(const uint32_t *ids, size_t n, uint32_t count)
{
    uint32_t max = 0;
    for (size_t i = 0; i < n; i++)
        max = ids[i] > max ? ids[i] : max;
    return n == 0 || max < count;
}

static void
decode_values(cursor_t *cursor, ch_wal_arena_t *arena, ch_batch_block_t *block)
{
    if (!cursor->at || block->fields > (size_t)(cursor->end - cursor->at)) {
        cursor->at = NULL; /* a column takes a byte at least */
        return;
    }
    ch_values_t *values = ch_wal_arena_take(arena, block->fields * sizeof *values);
    block->values = values;
    for (uint32_t j = 0; cursor->at && j < block->fields; j++)
        cursor->at =
            ch_wal_values_decode(cursor->at, cursor->end, block->rows, arena, &values[j]);
}

/* Where a record's blocks are decoded to. */
typedef struct blocks {
    ch_wal_arena_t *arena;
    ch_wal_times_memory_t times;
    int64_t record_time;
    uint64_t weight;
    uint32_t series_count;
} blocks_t;

/* Ids of one block into their own piece of memory: their total is known only at the end. */
static uint32_t
decode_block(cursor_t *cursor, blocks_t *blocks, ch_batch_block_t *block,
             uint32_t **ids_out)
{
    memset(block, 0, sizeof *block);
    if (!decode_shape(cursor, block, &blocks->weight))
        return 0;
    size_t cells = ch_batch_block_cells(block);
    size_t id_rows = block->kind == CH_BLOCK_SERIES ? 1 : block->rows;
    uint32_t *ids = ch_wal_arena_take(blocks->arena, cells * sizeof *ids);
    *ids_out = ids;
    cursor->at = ch_wal_ids_decode(cursor->at, cursor->end, id_rows, block->fields,
                                   blocks->arena, ids);
    if (cursor->at)
        cursor->at =
            ch_wal_times_decode(cursor->at, cursor->end, block->rows, blocks->record_time,
                                &blocks->times, blocks->arena, &block->times);
    decode_values(cursor, blocks->arena, block);
    if (!cursor->at)
        return 0;
    uint32_t points = clear_holes(block, ids);
    if (points > 0 && !ids_below(ids, cells, blocks->series_count))
        cursor->at = NULL;
    return points;
}

static const uint32_t *
join_ids(ch_wal_arena_t *arena, const ch_batch_block_t *blocks, uint32_t **ids,
         uint32_t block_count)
{
    size_t total = 0, done = 0;
    for (uint32_t b = 0; b < block_count; b++)
        total += ch_batch_block_cells(&blocks[b]);
    uint32_t *joined = ch_wal_arena_take(arena, total * sizeof *joined);
    for (uint32_t b = 0; b < block_count; b++) {
        size_t cells = ch_batch_block_cells(&blocks[b]);
        if (cells > 0)
            memcpy(joined + done, ids[b], cells * sizeof *joined);
        done += cells;
    }
    return joined;
}

static void
decode_batch(cursor_t *cursor, ch_wal_decoder_t *decoder, ch_wal_dictionary_t *dictionary,
             ch_wal_record_t *record)
{
    enum { BLOCK_BYTES_MIN = 6 }; /* kind, rows, ids (3), times */
    decode_additions(cursor, dictionary);
    uint32_t count = take_count(cursor, BLOCK_BYTES_MIN);
    blocks_t blocks = {.arena = &decoder->arena,
                       .record_time = record->time,
                       .series_count = ch_wal_dictionary_count(dictionary)};
    ch_batch_block_t *list = ch_wal_arena_take(blocks.arena, count * sizeof *list);
    uint32_t **ids = ch_wal_arena_take(blocks.arena, count * sizeof *ids);
    uint32_t points = 0;
    for (uint32_t b = 0; cursor->at && b < count; b++)
        points += decode_block(cursor, &blocks, &list[b], &ids[b]);
    if (!cursor->at)
        return;
    record->batch.blocks = list;
    record->batch.block_count = count;
    record->batch.points = points;
    record->series = join_ids(blocks.arena, list, ids, count);
}

static const char *const type_names[] = {[CH_WAL_BATCH] = "batch",
                                         [CH_WAL_REFUSAL] = "refusal",
                                         [CH_WAL_DELETE] = "delete",
                                         [CH_WAL_RETENTION] = "retention cut"};

ch_status_t
ch_wal_decode_record(ch_wal_decoder_t *decoder, ch_wal_dictionary_t *dictionary,
                     ch_bytes_t bytes, ch_wal_record_t *record_out, size_t *used_out)
{
    if (bytes.size < CH_WAL_RECORD_HEADER_BYTES)
        return ch_fail(CH_ERR_CORRUPT, "record: cut off");
    uint32_t length = ch_load_u32(bytes.data);
    if (length < CH_WAL_RECORD_HEADER_BYTES || length > bytes.size)
        return ch_fail(CH_ERR_CORRUPT, "record: impossible length %u", length);
    unsigned type = bytes.data[CH_WAL_RECORD_TYPE_OFFSET];
    unsigned flags = bytes.data[CH_WAL_RECORD_FLAGS_OFFSET];
    if (type == 0 || type > CH_WAL_RETENTION || flags > CH_WAL_RECORD_FLAG_IDENTITY)
        return ch_fail(CH_ERR_VERSION, "record: type %u flags %u is of a newer version",
                       type, flags);
    cursor_t cursor = {bytes.data + CH_WAL_RECORD_HEADER_BYTES, bytes.data + length};
    ch_wal_record_t record = {.type = (ch_wal_record_type_t)type,
                              .time =
                                  ch_load_i64(bytes.data + CH_WAL_RECORD_TIME_OFFSET)};
    ch_wal_arena_reset(&decoder->arena);
    decode_identity(&cursor, flags, &record.batch.identity);
    if (record.type == CH_WAL_BATCH)
        decode_batch(&cursor, decoder, dictionary, &record);
    else if (record.type == CH_WAL_REFUSAL)
        decode_refusal(&cursor, &record);
    else
        decode_delete(&cursor, &decoder->arena, &record);
    if (cursor.at != cursor.end)
        return ch_fail(CH_ERR_CORRUPT, "record: malformed %s", type_names[record.type]);
    *record_out = record;
    *used_out = length;
    return CH_OK;
}
