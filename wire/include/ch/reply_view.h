/// Replies as a client reads them: the envelope checked, fields found by name, columns in place.
///
/// Owner    everything points into the frame.
/// Threads  pure functions over a frame; a view belongs to one thread.
#ifndef CH_REPLY_VIEW_H
#define CH_REPLY_VIEW_H

#include "ch/cursor.h"
#include "ch/reply.h"

typedef struct ch_reply_view {
    bool ok;
    ch_bytes_t id;      /* raw msgpack */
    ch_bytes_t code;    /* errors only */
    ch_bytes_t message; /* errors only */
    ch_bytes_t leader;  /* errors only; empty when absent */
    uint32_t field_count;
    ch_cursor_t fields; /* at the first pair of the map */
} ch_reply_view_t;

/// Check that the frame is one whole well-formed reply. CH_ERR_CORRUPT otherwise.
ch_status_t ch_reply_view_open(ch_bytes_t frame, ch_reply_view_t *view_out) CH_MUST_CHECK;

/// Find a field of the reply; the cursor stands at its value. False when absent.
bool ch_reply_view_find(const ch_reply_view_t *view, const char *key,
                        ch_cursor_t *value_out);
bool ch_reply_view_int(const ch_reply_view_t *view, const char *key, int64_t *value_out);
bool ch_reply_view_uint(const ch_reply_view_t *view, const char *key,
                        uint64_t *value_out);
bool ch_reply_view_bool(const ch_reply_view_t *view, const char *key, bool *value_out);
bool ch_reply_view_text(const ch_reply_view_t *view, const char *key,
                        ch_bytes_t *value_out);

/// Walk an array field: after open, `count` items follow at the cursor.
bool ch_reply_view_array(const ch_reply_view_t *view, const char *key,
                         ch_cursor_t *items_out, uint32_t *count_out);

/// A map of strings. At `cursor` stands the first pair.
bool ch_labels_view_open(ch_cursor_t *cursor, ch_cursor_t *pairs_out,
                         uint32_t *count_out);
bool ch_labels_view_next(ch_cursor_t *pairs, ch_bytes_t *name_out, ch_bytes_t *value_out);

/// One [labels, times, values] of read and query.
typedef struct ch_run_view {
    ch_cursor_t labels; /* at the first pair */
    uint32_t label_count;
    uint32_t count;
    ch_bytes_t times;      /* packed int64 */
    ch_values_form_t form; /* LIST: an array of values at `list` */
    ch_bytes_t packed;
    ch_cursor_t list;
} ch_run_view_t;

/// Read the run at the cursor and move on. False: not a run (or lengths disagree).
bool ch_run_view_next(ch_cursor_t *items, ch_run_view_t *run_out);
static inline int64_t
ch_run_view_time(const ch_run_view_t *run, uint32_t i)
{
    return ch_load_i64(run->times.data + (size_t)i * 8);
}

/// Values in order: call once for each i from 0 (a LIST is walked).
bool ch_run_view_value(ch_run_view_t *run, uint32_t i, ch_value_t *value_out);

/// Read one value at the cursor (nil is NONE).
bool ch_value_view_next(ch_cursor_t *cursor, ch_value_t *value_out);

/// An ack reply. Rejects: room for CH_SESSION_REJECTS_MAX; *reject_count_out are filled in.
/// CH_ERR_CORRUPT when a field is missing or of another type. `reason` is not filled in.
ch_status_t ch_reply_view_ack(const ch_reply_view_t *view, ch_ack_reply_t *ack_out,
                              ch_reject_t *rejects_out) CH_MUST_CHECK;

#endif
