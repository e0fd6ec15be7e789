#include "pack.h"

static int
write_buffer(void *context, const char *data, size_t size)
{
    ch_buffer_t *buffer = context;
    ch_buffer_append(buffer, data, size);
    return buffer->failed ? -1 : 0;
}

msgpack_packer
ch_packer(ch_buffer_t *buffer)
{
    msgpack_packer packer;
    msgpack_packer_init(&packer, buffer, write_buffer);
    return packer;
}

/* Strings and small ints are what batches are made of: written into the buffer at once, the others
 * by msgpack-c in two or three calls each. */
static void
pack_short_str(ch_buffer_t *buffer, ch_bytes_t bytes)
{
    uint8_t *to = ch_buffer_reserve(buffer, 2 + bytes.size);
    if (!to)
        return;
    size_t head = bytes.size < 32 ? 1 : 2;
    to[0] = bytes.size < 32 ? (uint8_t)(0xa0 | bytes.size) : 0xd9;
    if (head == 2)
        to[1] = (uint8_t)bytes.size;
    if (bytes.size)
        memcpy(to + head, bytes.data, bytes.size);
    buffer->size += head + bytes.size;
}

void
ch_pack_str(msgpack_packer *packer, ch_bytes_t bytes)
{
    if (bytes.size <= UINT8_MAX) {
        pack_short_str(packer->data, bytes);
        return;
    }
    msgpack_pack_str(packer, bytes.size);
    msgpack_pack_str_body(packer, bytes.data, bytes.size);
}

static void
pack_int(msgpack_packer *packer, int64_t value)
{
    uint8_t *to = value >= 0 && value < 128 ? ch_buffer_reserve(packer->data, 1) : NULL;
    if (!to) {
        msgpack_pack_int64(packer, value);
        return;
    }
    to[0] = (uint8_t)value;
    ((ch_buffer_t *)packer->data)->size++;
}

void
ch_pack_text(msgpack_packer *packer, const char *text)
{
    ch_pack_str(packer, ch_bytes_text(text));
}

void
ch_pack_bin(msgpack_packer *packer, ch_bytes_t bytes)
{
    msgpack_pack_bin(packer, bytes.size);
    msgpack_pack_bin_body(packer, bytes.data, bytes.size);
}

void
ch_pack_ext(msgpack_packer *packer, int8_t type, const void *data, size_t size)
{
    msgpack_pack_ext(packer, size, type);
    msgpack_pack_ext_body(packer, data, size);
}

void
ch_pack_value(msgpack_packer *packer, ch_value_t value)
{
    switch (value.type) {
    case CH_VALUE_INT:
        pack_int(packer, value.i64);
        break;
    case CH_VALUE_FLOAT:
        msgpack_pack_double(packer, value.f64);
        break;
    case CH_VALUE_BOOL:
        if (value.boolean)
            msgpack_pack_true(packer);
        else
            msgpack_pack_false(packer);
        break;
    case CH_VALUE_STRING:
        if (ch_bytes_is_utf8(value.string))
            ch_pack_str(packer, value.string);
        else
            ch_pack_bin(packer, value.string);
        break;
    case CH_VALUE_NONE:
        msgpack_pack_nil(packer);
        break;
    }
}

void
ch_pack_times(msgpack_packer *packer, const ch_times_t *times, uint32_t count)
{
    if (times->form == CH_TIMES_PACKED) {
        ch_pack_ext(packer, 1, times->packed, (size_t)count * 8);
        return;
    }
    msgpack_pack_map(packer, 2);
    ch_pack_text(packer, "start");
    msgpack_pack_int64(packer, times->start);
    ch_pack_text(packer, "step");
    msgpack_pack_int64(packer, times->step);
}

void
ch_pack_values(msgpack_packer *packer, const ch_values_t *values, uint32_t count)
{
    if (values->form != CH_VALUES_LIST) {
        ch_pack_ext(packer, values->form == CH_VALUES_I64 ? 1 : 2, values->packed,
                    (size_t)count * 8);
        return;
    }
    msgpack_pack_array(packer, count);
    for (uint32_t i = 0; i < count; i++)
        ch_pack_value(packer, values->list[i]);
}
