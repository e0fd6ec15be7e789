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

void
ch_pack_str(msgpack_packer *packer, ch_bytes_t bytes)
{
    msgpack_pack_str(packer, bytes.size);
    msgpack_pack_str_body(packer, bytes.data, bytes.size);
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
        msgpack_pack_int64(packer, value.i64);
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
