/// Requests of the query socket (docs/protocol.md): one msgpack map into one struct, and back.
///
/// Owner    byte fields of a decoded request point into its frame; `name` and `labels` of `key` into
///          the frame or into `scratch`, so a request is released after use and can be used again.
/// Threads  one at a time.
#ifndef CH_REQUEST_H
#define CH_REQUEST_H

#include "ch/buffer.h"
#include "ch/limits.h"
#include "ch/series_key.h"

typedef enum {
    CH_OP_UNKNOWN, /* answer `unknown_op` */
    CH_OP_PING,
    CH_OP_ACK,
    CH_OP_GET,
    CH_OP_READ,
    CH_OP_QUERY,
    CH_OP_SERIES,
    CH_OP_LABELS,
    CH_OP_LABEL_VALUES,
    CH_OP_DELETE,
    CH_OP_STATS,
    CH_OP_PRODUCERS,
    CH_OP_FLUSH,
    CH_OP_COMPACT,
    CH_OP_SEAL,
    CH_OP_SNAPSHOT,
    CH_OP_PROMOTE,
    CH_OP_REPLICAS,
    CH_OP_HELLO,
    CH_OP_FETCH,
    CH_OP_REPLICA_ACK,
    CH_OP_COUNT,
} ch_op_t;

/// "ping" ... ; "" for CH_OP_UNKNOWN.
const char *ch_op_name(ch_op_t op);

typedef enum { CH_LEVEL_RECEIVED, CH_LEVEL_DURABLE, CH_LEVEL_REPLICATED } ch_level_t;
const char *ch_level_name(ch_level_t level);

/// Absent numbers have their `has_` false and the default given here.
typedef struct ch_request {
    ch_op_t op;
    ch_bytes_t id; /* raw msgpack, echoed as it came; one nil byte when absent */
    bool has_timeout_ms, has_min_lsn, has_term;
    uint32_t timeout_ms; /* 0 */
    uint64_t min_lsn, term;
    /* ack; delete (has_identity) */
    bool has_identity;
    char producer[CH_PRODUCER_BYTES_MAX + 1];
    uint64_t epoch, seq;
    ch_level_t level; /* CH_LEVEL_DURABLE */
    uint32_t wait_ms; /* 0: answer at once */
    /* get */
    ch_bytes_t name, labels; /* canonical */
    /* read, series, labels, label_values, delete: selector text, empty when absent */
    bool has_match;
    ch_bytes_t match;
    ch_bytes_t label; /* label_values */
    ch_bytes_t query; /* query */
    bool has_time, has_start, has_end, has_step, has_limit;
    int64_t time;        /* INT64_MAX */
    int64_t start, end;  /* INT64_MIN, INT64_MAX */
    int64_t step;        /* 0 */
    uint64_t limit;      /* read: 1,000,000; series: UINT64_MAX */
    ch_bytes_t cursor;   /* read: empty from the start */
    bool form_table;     /* query: "form": "table" */
    bool dry_run;        /* delete */
    ch_bytes_t snapshot; /* snapshot: its `name`; empty when absent */
    bool remove;         /* snapshot */
    ch_text_t scratch;
} ch_request_t;

/// Before the first decode.
void ch_request_init(ch_request_t *request);
void ch_request_release(ch_request_t *request);

/// Decode and check one frame. Returns CH_OK (also for CH_OP_UNKNOWN), CH_ERR_LIMIT (a key), or CH_ERR_INVALID
/// (`bad_request`; ch_fail_text() names the field); then `id` still is what to echo. A `query`
/// without step has a time (default: has_time false, the node's clock); with start, end and step it
/// is a range.
ch_status_t ch_request_decode(ch_bytes_t frame, const ch_limits_t *limits,
                              ch_request_t *request_out) CH_MUST_CHECK;

/// Encode for a client: what is set (has_..., non-empty, non-default) goes out. `id` raw or empty
/// (left out). Get sends `key` as the text of (name, labels). The frame is appended to `out`.
void ch_request_encode(const ch_request_t *request, ch_buffer_t *out);

#endif
