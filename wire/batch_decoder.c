/* batch_decoder.c - a frame of the ingest socket, decoded in place.
 *
 * Problem     Anybody may send anything; what decodes but is invalid must be blamed on its point and
 *             consumes its seq, what does not decode consumes nothing.
 * Idea        Two passes. The first walks the whole frame by lengths alone: is it one well-formed map,
 *             how deep, where do its known keys stand? It is cheap, because columns are skipped as
 *             one item. After it the identity is known, and every later fault is a refusal.
 *             The second pass decodes the sections in the order in which their points count,
 *             whatever order the map had.
 * Speed       A frame as clients write it, identity first and then one section to the end, is decoded
 *             in one pass (decode_straight). That pass only ever accepts: whatever it does not like, it
 *             leaves to the other two, which know whom to blame.
 * Invariant   Nothing is allocated for a claimed count before the bytes for it were seen (cursor) and
 *             the limits on points, cells and key bytes were asked.
 */
#include "batch_reader.h"

#include "ch/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PLACE_V,
    PLACE_PRODUCER,
    PLACE_EPOCH,
    PLACE_SEQ,
    PLACE_POINTS,
    PLACE_ROWS,
    PLACE_SERIES,
    PLACE_TABLES,
    PLACES
};

static const char *const place_names[PLACES] = {
    "v", "producer", "epoch", "seq", "points", "rows", "series", "tables",
};

/* What the first pass finds. */
typedef struct frame_map {
    ch_cursor_t at[PLACES]; /* the value of each known key; at NULL: absent, or nil */
    bool seen[PLACES], twice[PLACES];
    unsigned depth;
} frame_map_t;

ch_batch_decoder_t *
ch_batch_decoder_new(const ch_limits_t *limits)
{
    ch_batch_decoder_t *decoder = ch_calloc(1, sizeof *decoder);
    decoder->limits = *limits;
    return decoder;
}

void
ch_batch_decoder_destroy(ch_batch_decoder_t **decoder_p)
{
    ch_batch_decoder_t *decoder = ch_take(decoder_p);
    if (!decoder)
        return;
    ch_scratch_release(&decoder->scratch);
    ch_key_cache_release(&decoder->keys);
    ch_text_release(&decoder->text);
    ch_batch_rows_destroy(&decoder->rows);
    free(decoder->blocks);
    free(decoder);
}

size_t
ch_batch_decoder_bytes(const ch_batch_decoder_t *decoder)
{
    return decoder->scratch.total + decoder->block_capacity * sizeof *decoder->blocks +
           (decoder->keys.slots ? CH_KEY_CACHE_SLOTS * sizeof *decoder->keys.slots : 0) +
           ch_batch_rows_bytes(decoder->rows);
}

bool
ch_batch_refuse(ch_batch_decoder_t *decoder, ch_status_t code, int64_t index,
                const char *format, ...)
{
    ch_reject_t *reject = &decoder->reject;
    va_list arguments;
    if (ch_batch_refused(decoder))
        return false;
    reject->code = code;
    reject->index = index;
    va_start(arguments, format);
    vsnprintf(reject->message, sizeof reject->message, format, arguments);
    va_end(arguments);
    return false;
}

void *
ch_batch_alloc(ch_batch_decoder_t *decoder, size_t count, size_t size)
{
    void *memory = ch_scratch_alloc(&decoder->scratch, count * size);
    if (!memory)
        decoder->no_memory = true;
    return memory;
}

bool
ch_batch_count_points(ch_batch_decoder_t *decoder, uint64_t points)
{
    uint64_t total = decoder->batch.points + points;
    if (total > decoder->limits.batch_points)
        return ch_batch_refuse(decoder, CH_ERR_LIMIT, -1,
                               "more than %u points in a batch",
                               decoder->limits.batch_points);
    decoder->batch.points = (uint32_t)total;
    return true;
}

bool
ch_batch_count_cells(ch_batch_decoder_t *decoder, uint32_t rows, uint32_t fields)
{
    uint64_t points_max = decoder->limits.batch_points;
    decoder->cells += (uint64_t)rows * (fields ? fields : 1);
    if (fields > points_max || decoder->cells > points_max * CH_BATCH_CELLS_PER_POINT)
        return ch_batch_refuse(decoder, CH_ERR_LIMIT, -1,
                               "more than %u fields, or %u cells (nil included), in a "
                               "batch",
                               decoder->limits.batch_points,
                               decoder->limits.batch_points * CH_BATCH_CELLS_PER_POINT);
    return true;
}

bool
ch_batch_count_key(ch_batch_decoder_t *decoder, size_t bytes)
{
    decoder->key_bytes += bytes;
    if (decoder->key_bytes > CH_BATCH_KEY_BYTES_MAX)
        return ch_batch_refuse(decoder, CH_ERR_LIMIT, -1,
                               "more than %d bytes of names and labels in a batch",
                               CH_BATCH_KEY_BYTES_MAX);
    return true;
}

ch_batch_block_t *
ch_batch_add_block(ch_batch_decoder_t *decoder)
{
    if (decoder->batch.block_count == decoder->block_capacity) {
        uint32_t capacity = decoder->block_capacity ? decoder->block_capacity * 2 : 64;
        ch_batch_block_t *blocks =
            realloc(decoder->blocks, capacity * sizeof *decoder->blocks);
        if (!blocks) {
            decoder->no_memory = true;
            return NULL;
        }
        decoder->blocks = blocks;
        decoder->block_capacity = capacity;
    }
    return &decoder->blocks[decoder->batch.block_count++];
}

/* ---- first pass */

static int
place_of(const ch_item_t *key)
{
    if (key->kind != CH_ITEM_STR)
        return PLACES;
    for (int place = 0; place < PLACES; place++)
        if (ch_item_is(key, place_names[place]))
            return place;
    return PLACES;
}

/* Walk the frame. False: it is not one whole map. */
static bool
map_frame(ch_bytes_t frame, frame_map_t *map)
{
    ch_cursor_t cursor = ch_cursor(frame);
    ch_item_t item;
    if (!ch_cursor_next(&cursor, &item) || item.kind != CH_ITEM_MAP)
        return false;
    map->depth = 1;
    for (uint32_t i = 0; i < item.count; i++) {
        ch_item_t key = {.kind = CH_ITEM_NIL};
        ch_cursor_t key_at = cursor;
        unsigned key_depth, depth;
        if (!ch_cursor_skip(&cursor, &key_depth) || !ch_cursor_next(&key_at, &key))
            return false;
        ch_cursor_t value = cursor;
        int place = place_of(&key);
        if (!ch_cursor_skip(&cursor, &depth))
            return false;
        depth = (key_depth > depth ? key_depth : depth) + 1;
        map->depth = depth > map->depth ? depth : map->depth;
        if (place == PLACES)
            continue;
        map->twice[place] |= map->seen[place];
        map->seen[place] = true;
        if (value.at[0] != 0xc0)
            map->at[place] = value;
    }
#ifdef CH_FAULT_BATCH_TRAILING_BYTES
    return true;
#endif
    return ch_cursor_done(&cursor);
}

/* ---- identity */

static bool
producer_byte(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '/' ||
           byte == '-';
}

static bool
read_producer(ch_cursor_t cursor, char *producer_out)
{
    ch_item_t item;
    if (!ch_cursor_next(&cursor, &item) || item.kind != CH_ITEM_STR ||
        item.bytes.size == 0 || item.bytes.size > CH_PRODUCER_BYTES_MAX)
        return false;
    for (size_t i = 0; i < item.bytes.size; i++)
        if (!producer_byte(item.bytes.data[i]))
            return false;
    memcpy(producer_out, item.bytes.data, item.bytes.size);
    producer_out[item.bytes.size] = 0;
    return true;
}

static bool
read_positive(ch_cursor_t cursor, uint64_t *value_out)
{
    ch_item_t item;
    if (!ch_cursor_next(&cursor, &item) || item.kind != CH_ITEM_INT || item.i64 < 1)
        return false;
    *value_out = (uint64_t)item.i64;
    return true;
}

/* Read producer, epoch and seq: all or none. Returns what is wrong, NULL when fine. */
static const char *
read_identity(const frame_map_t *map, ch_identity_t *identity)
{
    const ch_cursor_t *at = map->at;
    int given = (at[PLACE_PRODUCER].at != NULL) + (at[PLACE_EPOCH].at != NULL) +
                (at[PLACE_SEQ].at != NULL);
    if (map->twice[PLACE_PRODUCER] || map->twice[PLACE_EPOCH] || map->twice[PLACE_SEQ])
        return "producer, epoch or seq is given twice";
    if (given == 0)
        return NULL;
    if (given != 3)
        return "producer, epoch and seq come all together or not at all";
    if (!read_producer(at[PLACE_PRODUCER], identity->producer))
        return "producer is not 1 to 64 bytes of [A-Za-z0-9._/-]";
    if (!read_positive(at[PLACE_EPOCH], &identity->epoch))
        return "epoch is no int from 1";
    if (!read_positive(at[PLACE_SEQ], &identity->seq))
        return "seq is no int from 1";
    identity->present = true;
    return NULL;
}

/* ---- second pass */

/* What holds for the batch as a whole. */
static bool
check_frame(ch_batch_decoder_t *decoder, ch_bytes_t frame, const frame_map_t *map)
{
    ch_item_t item;
    ch_cursor_t version = map->at[PLACE_V];
    if (frame.size > decoder->limits.batch_bytes)
        return ch_batch_refuse(decoder, CH_ERR_LIMIT, -1,
                               "a batch of %zu bytes; %u are allowed", frame.size,
                               decoder->limits.batch_bytes);
    if (map->depth > CH_DEPTH_MAX)
        return ch_batch_refuse(decoder, CH_ERR_LIMIT, -1, "nested deeper than %d",
                               CH_DEPTH_MAX);
    for (int place = 0; place < PLACES; place++)
        if (map->twice[place])
            return ch_batch_refuse(decoder, CH_ERR_INVALID, -1, "%s is given twice",
                                   place_names[place]);
    if (version.at &&
        (!ch_cursor_next(&version, &item) || item.kind != CH_ITEM_INT || item.i64 != 1))
        return ch_batch_refuse(decoder, CH_ERR_INVALID, -1,
                               "v: this node speaks version 1");
    return true;
}

static bool
decode_section(ch_batch_decoder_t *decoder, int place, ch_cursor_t *cursor)
{
    switch (place) {
    case PLACE_POINTS:
        return ch_batch_decode_points(decoder, cursor);
    case PLACE_ROWS:
        return ch_batch_decode_rows(decoder, cursor);
    case PLACE_SERIES:
        return ch_batch_decode_series(decoder, cursor);
    default:
        return ch_batch_decode_tables(decoder, cursor);
    }
}

static bool
decode_sections(ch_batch_decoder_t *decoder, const frame_map_t *map)
{
    for (int place = PLACE_POINTS; place <= PLACE_TABLES; place++) {
        ch_cursor_t cursor = map->at[place];
        if (cursor.at && !decode_section(decoder, place, &cursor))
            return false;
    }
    return true;
}

static void
start_batch(ch_batch_decoder_t *decoder, int64_t now_ns)
{
    ch_scratch_reset(&decoder->scratch);
    decoder->batch = (ch_batch_t){0};
    decoder->reject = (ch_reject_t){0};
    decoder->no_memory = false;
    decoder->now_ns = now_ns;
    decoder->key_bytes = 0;
    decoder->cells = 0;
    decoder->strange = false;
}

/* Is the frame v and identity (known keys, each once, plain values) and then one section? The cursor
 * is left at the section. */
static bool
map_straight(ch_cursor_t *cursor, frame_map_t *map, int *place_out)
{
    ch_item_t item;
    if (!ch_cursor_next(cursor, &item) || item.kind != CH_ITEM_MAP)
        return false;
    for (uint32_t left = item.count; left > 0; left--) {
        ch_item_t key;
        if (!ch_cursor_next(cursor, &key))
            return false;
        int place = place_of(&key);
        if (place >= PLACE_POINTS) {
            *place_out = place;
            return place < PLACES && left == 1;
        }
        ch_cursor_t value = *cursor;
        if (map->seen[place] || !ch_cursor_next(cursor, &item) ||
            (item.kind != CH_ITEM_INT && item.kind != CH_ITEM_STR))
            return false;
        map->seen[place] = true;
        map->at[place] = value;
    }
    return false;
}

/* One pass over a frame of the usual form. False: look again, from the start. */
static bool
decode_straight(ch_batch_decoder_t *decoder, ch_bytes_t frame, int64_t now_ns)
{
    frame_map_t map = {0};
    ch_cursor_t cursor = ch_cursor(frame);
    int place = PLACES;
    if (!map_straight(&cursor, &map, &place))
        return false;
    start_batch(decoder, now_ns);
#ifdef CH_FAULT_BATCH_STRANGE_UNSEEN
    return !read_identity(&map, &decoder->batch.identity) &&
           decode_section(decoder, place, &cursor) && ch_cursor_done(&cursor);
#endif
    return !read_identity(&map, &decoder->batch.identity) &&
           check_frame(decoder, frame, &map) && decode_section(decoder, place, &cursor) &&
           !ch_batch_refused(decoder) && !decoder->strange && ch_cursor_done(&cursor);
}

static void
decode_mapped(ch_batch_decoder_t *decoder, ch_bytes_t frame, const frame_map_t *map,
              int64_t now_ns)
{
    start_batch(decoder, now_ns);
    const char *wrong = read_identity(map, &decoder->batch.identity);
    if (wrong) {
        decoder->batch.identity = (ch_identity_t){0};
        ch_batch_refuse(decoder, CH_ERR_INVALID, -1, "%s", wrong);
    } else if (check_frame(decoder, frame, map)) {
        decode_sections(decoder, map);
    }
}

/* Hand out an empty batch with the identity, and the reason. */
static ch_status_t
hand_out_reject(ch_batch_decoder_t *decoder, const ch_batch_t **batch_out,
                ch_reject_t *reject_out)
{
    decoder->batch.blocks = NULL;
    decoder->batch.block_count = 0;
    decoder->batch.points = 0;
    decoder->reject.seq = decoder->batch.identity.seq;
    *batch_out = &decoder->batch;
    *reject_out = decoder->reject;
    return decoder->reject.code;
}

ch_status_t
ch_batch_decode(ch_batch_decoder_t *decoder, ch_bytes_t frame, int64_t now_ns,
                const ch_batch_t **batch_out, ch_reject_t *reject_out)
{
    frame_map_t map = {0};
    if (frame.size > 2 * (uint64_t)decoder->limits.batch_bytes)
        return ch_fail(CH_ERR_CORRUPT, "batch: a frame of %zu bytes", frame.size);
    if (!decode_straight(decoder, frame, now_ns)) {
        if (!map_frame(frame, &map))
            return ch_fail(CH_ERR_CORRUPT,
                           "batch: a frame of %zu bytes is not one msgpack map",
                           frame.size);
        decode_mapped(decoder, frame, &map, now_ns);
    }
    if (decoder->no_memory)
        return ch_fail(CH_ERR_BUSY, "batch: no memory for a frame of %zu bytes",
                       frame.size);
    if (decoder->reject.code != CH_OK)
        return hand_out_reject(decoder, batch_out, reject_out);
    decoder->batch.blocks = decoder->blocks;
    *batch_out = &decoder->batch;
    return CH_OK;
}
