#include "ch/reply_view.h"

/* Take the value at the cursor as text, false when it is none. */
static bool
text_at(ch_cursor_t at, ch_bytes_t *text_out)
{
    ch_item_t item;
    if (!ch_cursor_next(&at, &item) ||
        (item.kind != CH_ITEM_STR && item.kind != CH_ITEM_BIN))
        return false;
    *text_out = item.bytes;
    return true;
}

/* Find a key in a map: `fields` at its first pair. */
static bool
find_in(ch_cursor_t fields, uint32_t count, const char *key, ch_cursor_t *value_out)
{
    for (uint32_t i = 0; i < count; i++) {
        ch_item_t item = {0};
        ch_cursor_t at = fields;
        if (!ch_cursor_skip(&fields, NULL) || !ch_cursor_next(&at, &item))
            return false;
        if (ch_item_is(&item, key)) {
            *value_out = fields;
            return !ch_cursor_done(&fields);
        }
        if (!ch_cursor_skip(&fields, NULL))
            return false;
    }
    return false;
}

/* code, message and leader of an error reply. */
static ch_status_t
read_error(ch_reply_view_t *view)
{
    ch_cursor_t at, value;
    ch_item_t item;
    static const uint8_t none;
    view->code = view->message = view->leader = ch_bytes(&none, 0);
    if (!ch_reply_view_find(view, "error", &at))
        return CH_OK; /* a bare {"ok": false} */
    if (!ch_cursor_next(&at, &item) || item.kind != CH_ITEM_MAP)
        return ch_fail(CH_ERR_CORRUPT, "reply: error is no map");
    if (find_in(at, item.count, "code", &value) && !text_at(value, &view->code))
        return ch_fail(CH_ERR_CORRUPT, "reply: code is no string");
    if (find_in(at, item.count, "message", &value))
        (void)text_at(value, &view->message);
    if (find_in(at, item.count, "leader", &value))
        (void)text_at(value, &view->leader);
    return CH_OK;
}

ch_status_t
ch_reply_view_open(ch_bytes_t frame, ch_reply_view_t *view_out)
{
    static const uint8_t nil = 0xc0;
    ch_cursor_t whole = ch_cursor(frame), at = whole;
    ch_item_t item;
    ch_reply_view_t view = {.id = ch_bytes(&nil, 1)};
    if (!ch_cursor_skip(&whole, NULL) || !ch_cursor_done(&whole) ||
        !ch_cursor_next(&at, &item) || item.kind != CH_ITEM_MAP)
        return ch_fail(CH_ERR_CORRUPT, "reply: %zu bytes are not one msgpack map",
                       frame.size);
    view.field_count = item.count;
    view.fields = at;
    if (!ch_reply_view_bool(&view, "ok", &view.ok))
        return ch_fail(CH_ERR_CORRUPT, "reply: ok is missing");
    if (ch_reply_view_find(&view, "id", &at) && !ch_cursor_raw(&at, &view.id))
        return ch_fail(CH_ERR_CORRUPT, "reply: id is broken");
    ch_status_t status = view.ok ? CH_OK : read_error(&view);
    if (status >= 0)
        *view_out = view;
    return status;
}

bool
ch_reply_view_find(const ch_reply_view_t *view, const char *key, ch_cursor_t *value_out)
{
    return find_in(view->fields, view->field_count, key, value_out);
}

/* Find a field and read its item. */
static bool
find_item(const ch_reply_view_t *view, const char *key, ch_item_t *item_out,
          ch_cursor_t *after_out)
{
    return ch_reply_view_find(view, key, after_out) &&
           ch_cursor_next(after_out, item_out);
}

bool
ch_reply_view_int(const ch_reply_view_t *view, const char *key, int64_t *value_out)
{
    ch_item_t item;
    ch_cursor_t after;
    return find_item(view, key, &item, &after) && ch_item_time(&item, value_out);
}

bool
ch_reply_view_uint(const ch_reply_view_t *view, const char *key, uint64_t *value_out)
{
    ch_item_t item;
    ch_cursor_t after;
    if (!find_item(view, key, &item, &after) ||
        !(item.kind == CH_ITEM_UINT || (item.kind == CH_ITEM_INT && item.i64 >= 0)))
        return false;
    *value_out = item.u64;
    return true;
}

bool
ch_reply_view_bool(const ch_reply_view_t *view, const char *key, bool *value_out)
{
    ch_item_t item;
    ch_cursor_t after;
    if (!find_item(view, key, &item, &after) || item.kind != CH_ITEM_BOOL)
        return false;
    *value_out = item.boolean;
    return true;
}

bool
ch_reply_view_text(const ch_reply_view_t *view, const char *key, ch_bytes_t *value_out)
{
    ch_cursor_t at;
    return ch_reply_view_find(view, key, &at) && text_at(at, value_out);
}

bool
ch_reply_view_array(const ch_reply_view_t *view, const char *key, ch_cursor_t *items_out,
                    uint32_t *count_out)
{
    ch_item_t item;
    if (!find_item(view, key, &item, items_out) || item.kind != CH_ITEM_ARRAY)
        return false;
    *count_out = item.count;
    return true;
}

bool
ch_labels_view_open(ch_cursor_t *cursor, ch_cursor_t *pairs_out, uint32_t *count_out)
{
    ch_item_t item;
    *pairs_out = *cursor;
    if (!ch_cursor_next(pairs_out, &item) || item.kind != CH_ITEM_MAP)
        return false;
    *count_out = item.count;
    return ch_cursor_skip(cursor, NULL);
}

bool
ch_labels_view_next(ch_cursor_t *pairs, ch_bytes_t *name_out, ch_bytes_t *value_out)
{
    ch_item_t name, value;
    if (!ch_cursor_next(pairs, &name) || name.kind != CH_ITEM_STR ||
        !ch_cursor_next(pairs, &value) || value.kind != CH_ITEM_STR)
        return false;
    *name_out = name.bytes;
    *value_out = value.bytes;
    return true;
}

/* The values of a run: packed, or an array. */
static bool
read_run_values(ch_cursor_t *items, ch_run_view_t *run)
{
    ch_item_t item;
    ch_cursor_t start = *items;
    if (!ch_cursor_next(items, &item))
        return false;
    if (item.kind == CH_ITEM_ARRAY) {
        run->form = CH_VALUES_LIST;
        run->list = *items;
        *items = start;
        return item.count == run->count && ch_cursor_skip(items, NULL);
    }
    if (item.kind != CH_ITEM_EXT || (item.ext_type != 1 && item.ext_type != 2) ||
        item.bytes.size != (size_t)run->count * 8)
        return false;
    run->form = item.ext_type == 1 ? CH_VALUES_I64 : CH_VALUES_F64;
    run->packed = item.bytes;
    return true;
}

bool
ch_run_view_next(ch_cursor_t *items, ch_run_view_t *run_out)
{
    ch_item_t item;
    ch_run_view_t run = {0};
    if (!ch_cursor_next(items, &item) || item.kind != CH_ITEM_ARRAY || item.count != 3 ||
        !ch_labels_view_open(items, &run.labels, &run.label_count) ||
        !ch_cursor_next(items, &item) || item.kind != CH_ITEM_EXT || item.ext_type != 1 ||
        item.bytes.size % 8)
        return false;
    run.times = item.bytes;
    run.count = (uint32_t)(item.bytes.size / 8);
    if (!read_run_values(items, &run))
        return false;
    *run_out = run;
    return true;
}

bool
ch_run_view_value(ch_run_view_t *run, uint32_t i, ch_value_t *value_out)
{
    switch (run->form) {
    case CH_VALUES_I64:
        *value_out = ch_value_int(ch_load_i64(run->packed.data + (size_t)i * 8));
        return true;
    case CH_VALUES_F64:
        *value_out = ch_value_float(ch_load_f64(run->packed.data + (size_t)i * 8));
        return true;
    case CH_VALUES_LIST:
        break;
    }
    return ch_value_view_next(&run->list, value_out);
}

bool
ch_value_view_next(ch_cursor_t *cursor, ch_value_t *value_out)
{
    ch_item_t item;
    if (!ch_cursor_next(cursor, &item))
        return false;
    switch (item.kind) {
    case CH_ITEM_NIL:
        *value_out = (ch_value_t){.type = CH_VALUE_NONE};
        return true;
    case CH_ITEM_BOOL:
        *value_out = ch_value_bool(item.boolean);
        return true;
    case CH_ITEM_INT:
        *value_out = ch_value_int(item.i64);
        return true;
    case CH_ITEM_FLOAT:
        *value_out = ch_value_float(item.f64);
        return true;
    case CH_ITEM_STR:
    case CH_ITEM_BIN:
        *value_out = ch_value_string(item.bytes);
        return true;
    default:
        return false;
    }
}

/* ---- ack */

static ch_status_t
code_status(ch_bytes_t code)
{
    return ch_bytes_equal(code, ch_bytes_text("limit")) ? CH_ERR_LIMIT : CH_ERR_INVALID;
}

/* One map of `rejects`. */
static bool
read_reject(ch_cursor_t *items, ch_reject_t *reject_out)
{
    ch_cursor_t at = *items, value;
    ch_item_t item, number;
    ch_bytes_t code, message;
    *reject_out = (ch_reject_t){.index = -1};
    if (!ch_cursor_skip(items, NULL) || !ch_cursor_next(&at, &item) ||
        item.kind != CH_ITEM_MAP || !find_in(at, item.count, "seq", &value) ||
        !ch_cursor_next(&value, &number) || number.kind != CH_ITEM_INT)
        return false;
    reject_out->seq = number.u64;
    if (find_in(at, item.count, "index", &value) && ch_cursor_next(&value, &number) &&
        number.kind == CH_ITEM_INT)
        reject_out->index = number.i64;
    if (!find_in(at, item.count, "code", &value) || !text_at(value, &code))
        return false;
    reject_out->code = code_status(code);
    if (find_in(at, item.count, "message", &value) && text_at(value, &message)) {
        size_t most = sizeof reject_out->message - 1;
        memcpy(reject_out->message, message.data,
               message.size < most ? message.size : most);
    }
    return true;
}

static bool
read_state(const ch_reply_view_t *view, ch_ack_state_t *state_out)
{
    ch_bytes_t text;
    if (!ch_reply_view_text(view, "state", &text))
        return false;
    for (int state = CH_ACK_OK; state <= CH_ACK_UNKNOWN; state++)
        if (ch_bytes_equal(text,
                           ch_bytes_text(ch_ack_state_name((ch_ack_state_t)state)))) {
            *state_out = (ch_ack_state_t)state;
            return true;
        }
    return false;
}

ch_status_t
ch_reply_view_ack(const ch_reply_view_t *view, ch_ack_reply_t *ack_out,
                  ch_reject_t *rejects_out)
{
    ch_ack_reply_t ack = {0};
    ch_cursor_t items;
    uint32_t count;
    if (!read_state(view, &ack.state) ||
        !ch_reply_view_uint(view, "received", &ack.received) ||
        !ch_reply_view_uint(view, "durable", &ack.durable) ||
        !ch_reply_view_uint(view, "replicated", &ack.replicated) ||
        !ch_reply_view_uint(view, "expected", &ack.expected) ||
        !ch_reply_view_array(view, "rejects", &items, &count))
        return ch_fail(CH_ERR_CORRUPT, "reply: an ack lacks a field");
    (void)ch_reply_view_uint(view, "lsn", &ack.lsn);
    (void)ch_reply_view_uint(view, "term", &ack.term);
    (void)ch_reply_view_uint(view, "epoch", &ack.epoch);
    for (uint32_t i = 0; i < count; i++) {
        if (ack.reject_count == CH_SESSION_REJECTS_MAX)
            break;
        if (!read_reject(&items, &rejects_out[ack.reject_count]))
            return ch_fail(CH_ERR_CORRUPT, "reply: a reject is broken");
        ack.reject_count++;
    }
    ack.rejects = rejects_out;
    *ack_out = ack;
    return CH_OK;
}
