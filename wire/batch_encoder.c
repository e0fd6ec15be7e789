/* batch_encoder.c - the frame of one batch.
 *
 * Idea   A msgpack array starts with its count, and points of the four shapes come in any mix. So
 *        each shape collects its items in a buffer of its own; finish writes the map's head, the
 *        identity and then, for each shape in use, count and items.
 * Copies Mostly one shape is in use. Its buffer has room for the head before its items, so the frame
 *        stands in that buffer and no item is copied.
 */
#include "ch/batch_encoder.h"

#include "ch/cursor.h"
#include "pack.h"

#include "ch/alloc.h"
#include "ch/assert.h"

#include <stdlib.h>

enum { SHAPE_POINTS, SHAPE_ROWS, SHAPE_SERIES, SHAPE_TABLES, SHAPES };

static const char *const shape_names[SHAPES] = {"points", "rows", "series", "tables"};

/* Room for map head, v, identity (names, 64 bytes of producer, two ints) and the shapes' heads. */
enum { HEAD_BYTES_MAX = 176 };

struct ch_batch_encoder {
    ch_buffer_t items[SHAPES];
    uint32_t counts[SHAPES];
    uint32_t points;
    ch_buffer_t frame;
};

ch_batch_encoder_t *
ch_batch_encoder_new(void)
{
    return calloc(1, sizeof(ch_batch_encoder_t)); /* the client library never aborts */
}

void
ch_batch_encoder_destroy(ch_batch_encoder_t **encoder_p)
{
    ch_batch_encoder_t *encoder = ch_take(encoder_p);
    if (!encoder)
        return;
    for (int shape = 0; shape < SHAPES; shape++)
        ch_buffer_release(&encoder->items[shape]);
    ch_buffer_release(&encoder->frame);
    free(encoder);
}

void
ch_batch_encoder_reset(ch_batch_encoder_t *encoder)
{
    for (int shape = 0; shape < SHAPES; shape++) {
        ch_buffer_clear(&encoder->items[shape]);
        encoder->counts[shape] = 0;
    }
    encoder->points = 0;
}

/* Items stand behind HEAD_BYTES_MAX bytes. */
static msgpack_packer
add(ch_batch_encoder_t *encoder, int shape)
{
    ch_buffer_t *items = &encoder->items[shape];
    if (encoder->counts[shape]++ == 0 && ch_buffer_reserve(items, HEAD_BYTES_MAX))
        items->size = HEAD_BYTES_MAX;
    return ch_packer(items);
}

static ch_bytes_t
items_of(const ch_batch_encoder_t *encoder, int shape)
{
    const ch_buffer_t *items = &encoder->items[shape];
    if (encoder->counts[shape] == 0 || items->failed)
        return (ch_bytes_t){0};
    return ch_bytes(items->data + HEAD_BYTES_MAX, items->size - HEAD_BYTES_MAX);
}

static void
pack_when(msgpack_packer *packer, ch_when_t when)
{
    if (when.node_clock)
        msgpack_pack_nil(packer);
    else
        msgpack_pack_int64(packer, when.time);
}

void
ch_batch_encoder_point(ch_batch_encoder_t *encoder, ch_bytes_t key, ch_when_t when,
                       ch_value_t value)
{
    msgpack_packer packer = add(encoder, SHAPE_POINTS);
    msgpack_pack_array(&packer, 3);
    ch_pack_str(&packer, key);
    pack_when(&packer, when);
    ch_pack_value(&packer, value);
    encoder->points++;
}

void
ch_batch_encoder_row(ch_batch_encoder_t *encoder, ch_bytes_t name,
                     const ch_label_t *labels, uint32_t label_count, ch_when_t when,
                     const ch_bytes_t *fields, const ch_value_t *values,
                     uint32_t field_count)
{
    msgpack_packer packer = add(encoder, SHAPE_ROWS);
    msgpack_pack_array(&packer, 4);
    ch_pack_str(&packer, name);
    msgpack_pack_map(&packer, label_count);
    for (uint32_t i = 0; i < label_count; i++) {
        ch_pack_str(&packer, labels[i].name);
        ch_pack_str(&packer, labels[i].value);
    }
    pack_when(&packer, when);
    msgpack_pack_map(&packer, field_count);
    for (uint32_t i = 0; i < field_count; i++) {
        ch_pack_str(&packer, fields[i]);
        ch_pack_value(&packer, values[i]);
        encoder->points += values[i].type != CH_VALUE_NONE;
    }
}

void
ch_batch_encoder_series(ch_batch_encoder_t *encoder, ch_bytes_t key,
                        const ch_times_t *times, const ch_values_t *values,
                        uint32_t count)
{
    msgpack_packer packer = add(encoder, SHAPE_SERIES);
    msgpack_pack_array(&packer, 3);
    ch_pack_str(&packer, key);
    ch_pack_times(&packer, times, count);
    ch_pack_values(&packer, values, count);
    encoder->points += count;
}

static void
pack_names(msgpack_packer *packer, const char *part, const ch_bytes_t *names,
           uint32_t count)
{
    ch_pack_text(packer, part);
    msgpack_pack_array(packer, count);
    for (uint32_t i = 0; i < count; i++)
        ch_pack_str(packer, names[i]);
}

static void
pack_table_rows(msgpack_packer *packer, const ch_batch_table_t *table)
{
    ch_pack_text(packer, "rows");
    msgpack_pack_array(packer, table->rows);
    const ch_bytes_t *value = table->label_values;
    for (uint32_t i = 0; i < table->rows; i++) {
        msgpack_pack_array(packer, table->label_count);
        for (uint32_t k = 0; k < table->label_count; k++, value++) {
            if (value->data)
                ch_pack_str(packer, *value);
            else
                msgpack_pack_nil(packer);
        }
    }
}

/* Points of a column: those that are not nil. */
static uint32_t
column_points(const ch_values_t *values, uint32_t count)
{
    uint32_t points = count;
    if (values->form == CH_VALUES_LIST)
        for (uint32_t i = 0; i < count; i++)
            points -= values->list[i].type == CH_VALUE_NONE;
    return points;
}

void
ch_batch_encoder_table(ch_batch_encoder_t *encoder, const ch_batch_table_t *table)
{
    msgpack_packer packer = add(encoder, SHAPE_TABLES);
    msgpack_pack_map(&packer, 6);
    ch_pack_text(&packer, "name");
    ch_pack_str(&packer, table->name);
    pack_names(&packer, "labels", table->label_names, table->label_count);
    pack_names(&packer, "fields", table->fields, table->field_count);
    pack_table_rows(&packer, table);
    ch_pack_text(&packer, "times");
    if (table->single_time)
        pack_when(&packer, table->when);
    else
        ch_pack_times(&packer, &table->times, table->rows);
    ch_pack_text(&packer, "values");
    msgpack_pack_array(&packer, table->field_count);
    for (uint32_t j = 0; j < table->field_count; j++) {
        ch_pack_values(&packer, &table->values[j], table->rows);
        encoder->points += column_points(&table->values[j], table->rows);
    }
}

uint32_t
ch_batch_encoder_points(const ch_batch_encoder_t *encoder)
{
    return encoder->points;
}

size_t
ch_batch_encoder_size(const ch_batch_encoder_t *encoder)
{
    size_t size = HEAD_BYTES_MAX;
    for (int shape = 0; shape < SHAPES; shape++)
        size += items_of(encoder, shape).size;
    return size;
}

/* Always nine bytes, so that a frame can be given another number in place. */
static void
pack_wide(ch_buffer_t *frame, uint64_t value)
{
    uint8_t item[9] = {0xcf};
    ch_store_u64(item + 1, __builtin_bswap64(value));
    ch_buffer_append(frame, item, sizeof item);
}

/* Overwrite a nine-byte number at the cursor. */
static bool
set_wide(uint8_t *frame, ch_cursor_t at, uint64_t value)
{
    if (at.end - at.at < 9 || at.at[0] != 0xcf)
        return false;
    ch_store_u64(frame + (at.at - frame) + 1, __builtin_bswap64(value));
    return true;
}

bool
ch_batch_frame_renumber(uint8_t *frame, size_t size, uint64_t epoch, uint64_t seq)
{
    ch_cursor_t cursor = ch_cursor(ch_bytes(frame, size));
    ch_item_t item;
    int done = 0;
    if (!ch_cursor_next(&cursor, &item) || item.kind != CH_ITEM_MAP)
        return false;
    for (uint32_t left = item.count; left > 0 && done < 2; left--) {
        if (!ch_cursor_next(&cursor, &item))
            return false;
        if (ch_item_is(&item, "epoch"))
            done += set_wide(frame, cursor, epoch);
        else if (ch_item_is(&item, "seq"))
            done += set_wide(frame, cursor, seq);
        if (!ch_cursor_skip(&cursor, NULL))
            return false;
    }
    return done == 2;
}

/* The frame's map up to its shapes. */
static msgpack_packer
pack_head(ch_batch_encoder_t *encoder, const ch_identity_t *identity, uint32_t shapes)
{
    ch_buffer_t *frame = &encoder->frame;
    bool named = identity && identity->present;
    ch_buffer_clear(frame);
    msgpack_packer packer = ch_packer(frame);
    msgpack_pack_map(&packer, (named ? 4 : 1) + shapes);
    ch_pack_text(&packer, "v");
    msgpack_pack_int(&packer, 1);
    if (!named)
        return packer;
    ch_pack_text(&packer, "producer");
    ch_pack_text(&packer, identity->producer);
    ch_pack_text(&packer, "epoch");
    pack_wide(frame, identity->epoch);
    ch_pack_text(&packer, "seq");
    pack_wide(frame, identity->seq);
    return packer;
}

static void
pack_shape_head(ch_batch_encoder_t *encoder, msgpack_packer *packer, int shape)
{
    ch_pack_text(packer, shape_names[shape]);
    msgpack_pack_array(packer, encoder->counts[shape]);
}

/* The head goes right before the items of the only shape. */
static ch_bytes_t
join_before(ch_batch_encoder_t *encoder, int shape)
{
    ch_bytes_t head = ch_buffer_bytes(&encoder->frame);
    ch_buffer_t *items = &encoder->items[shape];
    CH_ASSERT(head.size <= HEAD_BYTES_MAX);
    uint8_t *from = items->data + HEAD_BYTES_MAX - head.size;
    memcpy(from, head.data, head.size);
    return ch_bytes(from, items->size - HEAD_BYTES_MAX + head.size);
}

ch_status_t
ch_batch_encoder_finish(ch_batch_encoder_t *encoder, const ch_identity_t *identity,
                        ch_bytes_t *frame_out)
{
    uint32_t shapes = 0;
    int only = 0;
    bool failed = false;
    for (int shape = 0; shape < SHAPES; shape++) {
        failed |= encoder->items[shape].failed;
        if (encoder->counts[shape] == 0)
            continue;
        only = shape;
        shapes++;
    }
    msgpack_packer packer = pack_head(encoder, identity, shapes);
    if (shapes == 1)
        pack_shape_head(encoder, &packer, only);
    for (int shape = 0; shape < SHAPES && shapes > 1; shape++) {
        if (encoder->counts[shape] == 0)
            continue;
        ch_bytes_t items = items_of(encoder, shape);
        pack_shape_head(encoder, &packer, shape);
        ch_buffer_append(&encoder->frame, items.data, items.size);
    }
    if (failed || encoder->frame.failed)
        return CH_ERR_LIMIT; /* no ch_fail: the client library keeps no globals */
    *frame_out =
        shapes == 1 ? join_before(encoder, only) : ch_buffer_bytes(&encoder->frame);
    return CH_OK;
}
