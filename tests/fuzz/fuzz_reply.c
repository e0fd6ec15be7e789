/* fuzz_reply.c - any bytes as a node's reply, read in every way a client can read one.
 *
 * Claims   No fault; nothing handed out lies outside the frame.
 */
#include "ch/assert.h"
#include "ch/reply_view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ch_bytes_t whole;

static void
check_inside(ch_bytes_t bytes)
{
    CH_ASSERT(bytes.size == 0 || (bytes.data >= whole.data &&
                                  bytes.data + bytes.size <= whole.data + whole.size));
}

static void
read_value(ch_value_t value)
{
    if (value.type == CH_VALUE_STRING)
        check_inside(value.string);
}

static void
read_runs(ch_cursor_t items, uint32_t count)
{
    ch_run_view_t run;
    for (; count > 0 && ch_run_view_next(&items, &run); count--) {
        ch_bytes_t name, text;
        uint32_t left = run.label_count;
        for (; left > 0 && ch_labels_view_next(&run.labels, &name, &text); left--) {
            check_inside(name);
            check_inside(text);
        }
        for (uint32_t i = 0; i < run.count; i++) {
            ch_value_t value;
            volatile int64_t time = ch_run_view_time(&run, i);
            (void)time;
            if (!ch_run_view_value(&run, i, &value))
                break;
            read_value(value);
        }
    }
}

static void
read_labels(ch_cursor_t items, uint32_t count)
{
    ch_cursor_t pairs;
    uint32_t left;
    for (; count > 0 && ch_labels_view_open(&items, &pairs, &left); count--) {
        ch_bytes_t name, text;
        for (; left > 0 && ch_labels_view_next(&pairs, &name, &text); left--) {
            check_inside(name);
            check_inside(text);
        }
    }
}

static void
read_fields(const ch_reply_view_t *view)
{
    ch_cursor_t at;
    ch_bytes_t text;
    ch_value_t value;
    int64_t whole_number;
    bool flag;
    (void)ch_reply_view_bool(view, "found", &flag);
    (void)ch_reply_view_int(view, "time", &whole_number);
    if (ch_reply_view_text(view, "cursor", &text))
        check_inside(text);
    if (ch_reply_view_find(view, "value", &at) && ch_value_view_next(&at, &value))
        read_value(value);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ch_reply_view_t view;
    ch_ack_reply_t ack;
    ch_reject_t rejects[CH_SESSION_REJECTS_MAX];
    ch_cursor_t items;
    uint32_t count;
    whole = ch_bytes(data, size);
    if (ch_reply_view_open(whole, &view) < 0)
        return 0;
    if (!view.ok) {
        check_inside(view.code);
        check_inside(view.message);
    }
    if (ch_reply_view_ack(&view, &ack, rejects) == CH_OK)
        for (uint32_t i = 0; i < ack.reject_count; i++)
            CH_ASSERT(strnlen(ack.rejects[i].message, sizeof ack.rejects[i].message) <
                      sizeof ack.rejects[i].message);
    if (ch_reply_view_array(&view, "series", &items, &count)) {
        read_runs(items, count);
        read_labels(items, count);
    }
    if (ch_reply_view_array(&view, "result", &items, &count))
        read_runs(items, count);
    read_fields(&view);
    return 0;
}
