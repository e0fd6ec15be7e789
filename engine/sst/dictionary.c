#include "sst/dictionary.h"

void
ch_dictionary_builder_release(ch_dictionary_builder_t *builder)
{
    ch_text_release(&builder->content);
    ch_text_release(&builder->restarts);
    ch_text_release(&builder->last);
    builder->entries = 0;
}

static size_t
shared_bytes(ch_bytes_t a, ch_bytes_t b)
{
    size_t most = a.size < b.size ? a.size : b.size;
    size_t i = 0;
    while (i < most && a.data[i] == b.data[i])
        i++;
    return i;
}

static void
append_varint(ch_text_t *to, uint64_t value)
{
    uint8_t bytes[CH_VARINT_BYTES_MAX];
    ch_text_append(to, bytes, (size_t)(ch_varint_put(bytes, value) - bytes));
}

void
ch_dictionary_builder_add(ch_dictionary_builder_t *builder, ch_bytes_t text)
{
    if (builder->entries == 0) { /* the block before was handed out until now */
        ch_text_reset(&builder->content);
        ch_text_reset(&builder->restarts);
    }
    size_t shared = shared_bytes(ch_text_bytes(&builder->last), text);
    if (builder->entries++ % CH_SST_RESTART_INTERVAL == 0) {
        uint32_t at = (uint32_t)builder->content.size;
        ch_text_append(&builder->restarts, &at, sizeof at);
        shared = 0;
    }
    append_varint(&builder->content, shared);
    append_varint(&builder->content, text.size - shared);
    ch_text_append(&builder->content, text.data + shared, text.size - shared);
    ch_text_reset(&builder->last);
    ch_text_append(&builder->last, text.data, text.size);
}

bool
ch_dictionary_builder_full(const ch_dictionary_builder_t *builder)
{
    return builder->entries && builder->content.size >= CH_SST_DICTIONARY_BLOCK_BYTES;
}

ch_bytes_t
ch_dictionary_builder_close(ch_dictionary_builder_t *builder)
{
    uint32_t count = (uint32_t)(builder->restarts.size / sizeof(uint32_t));
    ch_text_append(&builder->content, builder->restarts.data, builder->restarts.size);
    ch_text_append(&builder->content, &count, sizeof count);
    builder->entries = 0;
    return ch_text_bytes(&builder->content);
}

size_t
ch_dictionary_separator(ch_bytes_t last, ch_bytes_t text)
{
    size_t shared = shared_bytes(last, text);
    return shared < text.size ? shared + 1 : text.size;
}

ch_status_t
ch_dictionary_cursor_init(ch_dictionary_cursor_t *cursor, ch_bytes_t content)
{
    if (content.size < sizeof(uint32_t))
        return ch_fail(CH_ERR_CORRUPT, "dictionary block of %zu bytes", content.size);
    size_t room = content.size - sizeof(uint32_t);
    uint32_t count = ch_load_u32(content.data + room);
    if (count == 0 || count > room / sizeof(uint32_t))
        return ch_fail(CH_ERR_CORRUPT, "dictionary block with %u restart points", count);
    cursor->entries = ch_bytes(content.data, room - count * sizeof(uint32_t));
    cursor->restarts = content.data + cursor->entries.size;
    cursor->restart_count = count;
    cursor->next = 0;
    cursor->at = 0;
    cursor->text_size = 0;
    return CH_OK;
}

ch_status_t
ch_dictionary_cursor_next(ch_dictionary_cursor_t *cursor)
{
    if (cursor->at >= cursor->entries.size)
        return CH_END;
    const uint8_t *from = cursor->entries.data + cursor->at;
    const uint8_t *end = cursor->entries.data + cursor->entries.size;
    uint64_t shared = 0, more = 0;
    from = ch_varint_get_max(from, end, cursor->text_size, &shared);
    if (from)
        from = ch_varint_get_max(from, end, CH_SST_TEXT_BYTES_MAX - shared, &more);
    if (!from || more > (size_t)(end - from))
        return ch_fail(CH_ERR_CORRUPT, "dictionary entry %u runs out of its block",
                       cursor->next);
    memcpy(cursor->text + shared, from, more);
    cursor->text_size = (uint32_t)(shared + more);
    cursor->at = (size_t)(from + more - cursor->entries.data);
    cursor->next++;
    return CH_OK;
}

/* Stand before the first entry of a restart point. */
static void
cursor_restart(ch_dictionary_cursor_t *cursor, uint32_t restart)
{
    cursor->at = ch_load_u32(cursor->restarts + restart * sizeof(uint32_t));
    cursor->next = restart * CH_SST_RESTART_INTERVAL;
    cursor->text_size = 0;
}

ch_status_t
ch_dictionary_cursor_seek(ch_dictionary_cursor_t *cursor, uint32_t place)
{
    if (place + 1 == cursor->next)
        return CH_OK; /* it is the one read last */
    uint32_t restart = place / CH_SST_RESTART_INTERVAL;
    if (restart >= cursor->restart_count)
        return ch_fail(CH_ERR_CORRUPT, "dictionary block has no entry %u", place);
    if (place < cursor->next || cursor->next < restart * CH_SST_RESTART_INTERVAL)
        cursor_restart(cursor, restart);
    while (cursor->next <= place) {
        ch_status_t status = ch_dictionary_cursor_next(cursor);
        if (status == CH_END)
            return ch_fail(CH_ERR_CORRUPT, "dictionary block has no entry %u", place);
        if (status < 0)
            return status;
    }
    return CH_OK;
}

/* Stand before the last restart point whose text is not above `text`. */
static ch_status_t
cursor_bisect(ch_dictionary_cursor_t *cursor, ch_bytes_t text)
{
    uint32_t low = 0, high = cursor->restart_count; /* the one sought is in [low, high) */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        cursor_restart(cursor, middle);
        ch_status_t status = ch_dictionary_cursor_next(cursor);
        if (status != CH_OK)
            return ch_fail(CH_ERR_CORRUPT, "dictionary restart point %u is empty",
                           middle);
        if (ch_bytes_compare(ch_dictionary_cursor_text(cursor), text) <= 0)
            low = middle;
        else
            high = middle;
    }
    cursor_restart(cursor, low);
    return CH_OK;
}

ch_status_t
ch_dictionary_cursor_find(ch_dictionary_cursor_t *cursor, ch_bytes_t text,
                          uint32_t *place_out)
{
    ch_status_t status = cursor_bisect(cursor, text);
    while (status == CH_OK) {
        status = ch_dictionary_cursor_next(cursor);
        if (status != CH_OK)
            break;
        int order = ch_bytes_compare(ch_dictionary_cursor_text(cursor), text);
        if (order > 0)
            return CH_NOT_FOUND;
        if (order == 0) {
            *place_out = cursor->next - 1;
            return CH_OK;
        }
    }
    return status == CH_END ? CH_NOT_FOUND : status;
}
