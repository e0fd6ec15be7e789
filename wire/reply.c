/* reply.c - writes replies.
 *
 * Idea   Maps and arrays open with a 32-bit count of zero and keep their place on a short stack;
 *        closing writes the count. So answers of any length go out in one pass.
 */
#include "ch/reply.h"

#include "pack.h"

#include "ch/assert.h"
#include "ch/series_key.h"

enum { ERROR_MESSAGE_BYTES_MAX = 4096 };

void
ch_reply_init(ch_reply_t *reply, uint32_t bytes_max)
{
    *reply = (ch_reply_t){.bytes_max = bytes_max};
}

void
ch_reply_release(ch_reply_t *reply)
{
    ch_buffer_release(&reply->buffer);
}

/* Write a member's key, count it, and give the packer for its value. */
static msgpack_packer
member_text(ch_reply_t *reply, ch_bytes_t key)
{
    msgpack_packer packer = ch_packer(&reply->buffer);
    if (reply->buffer.size > reply->bytes_max)
        reply->buffer.failed = true; /* no use in going on */
    if (reply->depth > 0)
        reply->count[reply->depth - 1]++;
    if (key.data)
        ch_pack_str(&packer, key);
    return packer;
}

static msgpack_packer
member(ch_reply_t *reply, const char *key)
{
    return member_text(reply, key ? ch_bytes_text(key) : (ch_bytes_t){0});
}

static void
open_container(ch_reply_t *reply, uint8_t first)
{
    CH_ASSERT(reply->depth < CH_REPLY_DEPTH_MAX);
    const uint8_t head[5] = {first, 0, 0, 0, 0};
    reply->open[reply->depth] = reply->buffer.size;
    reply->count[reply->depth] = 0;
    reply->depth++;
    ch_buffer_append(&reply->buffer, head, sizeof head);
}

static void
close_container(ch_reply_t *reply)
{
    CH_ASSERT(reply->depth > 0);
    reply->depth--;
    if (reply->buffer.failed)
        return;
    uint32_t count = __builtin_bswap32(reply->count[reply->depth]);
    memcpy(reply->buffer.data + reply->open[reply->depth] + 1, &count, sizeof count);
}

void
ch_reply_map_begin_text(ch_reply_t *reply, ch_bytes_t key)
{
    member_text(reply, key);
    open_container(reply, 0xdf);
}

void
ch_reply_map_begin(ch_reply_t *reply, const char *key)
{
    member(reply, key);
    open_container(reply, 0xdf);
}

void
ch_reply_map_end(ch_reply_t *reply)
{
    close_container(reply);
}

void
ch_reply_array_begin(ch_reply_t *reply, const char *key)
{
    member(reply, key);
    open_container(reply, 0xdd);
}

void
ch_reply_array_end(ch_reply_t *reply)
{
    close_container(reply);
}

/* ---- members */

void
ch_reply_put_nil(ch_reply_t *reply, const char *key)
{
    msgpack_packer packer = member(reply, key);
    msgpack_pack_nil(&packer);
}

void
ch_reply_put_bool(ch_reply_t *reply, const char *key, bool value)
{
    ch_reply_put_value(reply, key, ch_value_bool(value));
}

void
ch_reply_put_int(ch_reply_t *reply, const char *key, int64_t value)
{
    msgpack_packer packer = member(reply, key);
    msgpack_pack_int64(&packer, value);
}

void
ch_reply_put_uint(ch_reply_t *reply, const char *key, uint64_t value)
{
    msgpack_packer packer = member(reply, key);
    msgpack_pack_uint64(&packer, value);
}

void
ch_reply_put_float(ch_reply_t *reply, const char *key, double value)
{
    msgpack_packer packer = member(reply, key);
    msgpack_pack_double(&packer, value);
}

void
ch_reply_put_number(ch_reply_t *reply, const char *key, double value)
{
    if (value >= -9007199254740992.0 && value <= 9007199254740992.0 &&
        value == (double)(int64_t)value)
        ch_reply_put_int(reply, key, (int64_t)value);
    else
        ch_reply_put_float(reply, key, value);
}

void
ch_reply_put_text(ch_reply_t *reply, const char *key, ch_bytes_t value)
{
    ch_reply_put_value(reply, key, ch_value_string(value));
}

/* Bytes of the UTF-8 character at `text`, 0 when there is none. */
static size_t
character_size(const char *text, size_t left)
{
    for (size_t size = 1; size <= 4 && size <= left; size++)
        if (ch_bytes_is_utf8(ch_bytes(text, size)))
            return size;
    return 0;
}

void
ch_reply_put_message(ch_reply_t *reply, const char *key, const char *message)
{
    char text[ERROR_MESSAGE_BYTES_MAX];
    size_t size = strnlen(message, sizeof text), at = 0;
    memcpy(text, message, size);
    while (at < size) {
        size_t character = character_size(text + at, size - at);
        if (!character)
            text[at] = '?';
        at += character ? character : 1;
    }
    ch_reply_put_text(reply, key, ch_bytes(text, size));
}

void
ch_reply_put_bin(ch_reply_t *reply, const char *key, ch_bytes_t value)
{
    msgpack_packer packer = member(reply, key);
    ch_pack_bin(&packer, value);
}

void
ch_reply_put_value(ch_reply_t *reply, const char *key, ch_value_t value)
{
    msgpack_packer packer = member(reply, key);
    ch_pack_value(&packer, value);
}

void
ch_reply_put_times(ch_reply_t *reply, const char *key, const int64_t *times, size_t count)
{
    ch_reply_put_ints(reply, key, times, count);
}

void
ch_reply_put_ints(ch_reply_t *reply, const char *key, const int64_t *values, size_t count)
{
    msgpack_packer packer = member(reply, key);
    ch_pack_ext(&packer, 1, values, count * 8);
}

void
ch_reply_put_floats(ch_reply_t *reply, const char *key, const double *values,
                    size_t count)
{
    msgpack_packer packer = member(reply, key);
    ch_pack_ext(&packer, 2, values, count * 8);
}

void
ch_reply_put_labels(ch_reply_t *reply, const char *key, ch_bytes_t name,
                    ch_bytes_t labels)
{
    ch_text_t scratch = {0};
    ch_label_t label;
    size_t cursor = 0;
    ch_reply_map_begin(reply, key);
    if (name.size) {
        msgpack_packer packer = member_text(reply, ch_bytes_text("__name__"));
        ch_pack_str(&packer, name);
    }
    while (ch_series_labels_next(labels, &cursor, &scratch, &label) == CH_OK) {
        msgpack_packer packer = member_text(reply, label.name);
        ch_pack_str(&packer, label.value);
        ch_text_reset(&scratch);
    }
    ch_reply_map_end(reply);
    ch_text_release(&scratch);
}

/* ---- envelope */

static void
begin(ch_reply_t *reply, ch_bytes_t id, bool ok)
{
    ch_buffer_clear(&reply->buffer);
    reply->depth = 0;
    open_container(reply, 0xdf);
    ch_reply_put_bool(reply, "ok", ok);
    member(reply, "id");
    if (id.size)
        ch_buffer_append(&reply->buffer, id.data, id.size);
    else
        ch_buffer_append(&reply->buffer, "\xc0", 1);
}

void
ch_reply_begin(ch_reply_t *reply, ch_bytes_t id)
{
    begin(reply, id, true);
}

ch_status_t
ch_reply_finish(ch_reply_t *reply, ch_bytes_t *frame_out)
{
    CH_ASSERT(reply->depth == 1);
    close_container(reply);
    if (reply->buffer.failed || reply->buffer.size > reply->bytes_max)
        return ch_fail(CH_ERR_LIMIT, "the reply is above %u bytes; ask for less",
                       reply->bytes_max);
    *frame_out = ch_buffer_bytes(&reply->buffer);
    return CH_OK;
}

ch_bytes_t
ch_reply_error(ch_reply_t *reply, ch_bytes_t id, const char *code, const char *message,
               const char *leader)
{
    static const uint8_t bare[] = {0x81, 0xa2, 'o', 'k', 0xc2}; /* {"ok": false} */
    begin(reply, id, false);
    ch_reply_map_begin(reply, "error");
    ch_reply_put_text(reply, "code", ch_bytes_text(code));
    ch_reply_put_message(reply, "message", message);
    if (leader)
        ch_reply_put_text(reply, "leader", ch_bytes_text(leader));
    ch_reply_map_end(reply);
    close_container(reply);
    if (reply->buffer.failed)
        return ch_bytes(bare, sizeof bare);
    return ch_buffer_bytes(&reply->buffer);
}
