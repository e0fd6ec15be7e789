/// Replies of the query socket: a writer that grows one msgpack map, and a writer for every reply
/// of docs/protocol.md.
///
/// Use      begin, then put_* and the replies below, then finish. `key` NULL inside an array.
/// Shape    maps and arrays are opened with a 32-bit count that is filled in when they close, so
///          nothing has to be counted ahead. Nesting up to CH_REPLY_DEPTH_MAX.
/// Errors   sticky (memory, bytes_max): finish says CH_ERR_LIMIT; then write ch_reply_error.
/// Threads  one at a time. Never aborts on sizes.
#ifndef CH_REPLY_H
#define CH_REPLY_H

#include "ch/batch.h"
#include "ch/buffer.h"
#include "ch/limits.h"
#include "ch/points.h"

enum { CH_REPLY_DEPTH_MAX = 12 };

typedef struct ch_reply {
    ch_buffer_t buffer;
    uint32_t bytes_max; /* limits.reply_bytes */
    unsigned depth;
    size_t open[CH_REPLY_DEPTH_MAX];    /* where each open container's count stands */
    uint32_t count[CH_REPLY_DEPTH_MAX]; /* members so far */
} ch_reply_t;

void ch_reply_init(ch_reply_t *reply, uint32_t bytes_max);
void ch_reply_release(ch_reply_t *reply);

/// Start {"ok": true, "id": id ... ; `id` is raw msgpack (empty: nil). What stood there is gone.
void ch_reply_begin(ch_reply_t *reply, ch_bytes_t id);

/// Close the map; the frame is valid until the next call on this reply. CH_ERR_LIMIT: too big.
ch_status_t ch_reply_finish(ch_reply_t *reply, ch_bytes_t *frame_out) CH_MUST_CHECK;

/// A whole error reply. `message` as ch_reply_put_message. `leader` may be NULL.
ch_bytes_t ch_reply_error(ch_reply_t *reply, ch_bytes_t id, const char *code,
                          const char *message, const char *leader);

/// The protocol's code for a status: CH_ERR_INVALID is "bad_request", and so on; "internal" for the rest.
const char *ch_reply_code(ch_status_t status);

void ch_reply_put_nil(ch_reply_t *reply, const char *key);
void ch_reply_put_bool(ch_reply_t *reply, const char *key, bool value);
void ch_reply_put_int(ch_reply_t *reply, const char *key, int64_t value);
void ch_reply_put_uint(ch_reply_t *reply, const char *key, uint64_t value);
void ch_reply_put_float(ch_reply_t *reply, const char *key, double value);
/// str when it is valid UTF-8, else bin.
void ch_reply_put_text(ch_reply_t *reply, const char *key, ch_bytes_t value);
/// Text for people: cut to 4 KiB, what is not UTF-8 replaced by `?`.
void ch_reply_put_message(ch_reply_t *reply, const char *key, const char *message);
void ch_reply_put_bin(ch_reply_t *reply, const char *key, ch_bytes_t value);
/// A point's value with its type; NONE is nil.
void ch_reply_put_value(ch_reply_t *reply, const char *key, ch_value_t value);
void ch_reply_put_times(ch_reply_t *reply, const char *key, const int64_t *times,
                        size_t count);
void ch_reply_put_ints(ch_reply_t *reply, const char *key, const int64_t *values,
                       size_t count);
void ch_reply_put_floats(ch_reply_t *reply, const char *key, const double *values,
                         size_t count);
void ch_reply_map_begin(ch_reply_t *reply, const char *key);
/// The same with a key of any text (names of producers, of labels).
void ch_reply_map_begin_text(ch_reply_t *reply, ch_bytes_t key);
void ch_reply_map_end(ch_reply_t *reply);
void ch_reply_array_begin(ch_reply_t *reply, const char *key);
void ch_reply_array_end(ch_reply_t *reply);

/// A map of strings: labels (canonical text), and `__name__` unless `name` is empty.
void ch_reply_put_labels(ch_reply_t *reply, const char *key, ch_bytes_t name,
                         ch_bytes_t labels);

/* ---- ack */

typedef enum {
    CH_ACK_OK,
    CH_ACK_PENDING,
    CH_ACK_GAP,
    CH_ACK_FENCED,
    CH_ACK_UNKNOWN,
} ch_ack_state_t;
const char *ch_ack_state_name(ch_ack_state_t state);

typedef struct ch_ack_reply {
    ch_ack_state_t state;
    uint64_t received, durable, replicated, expected;
    uint64_t lsn, term;
    uint64_t epoch;     /* of the session; written when FENCED */
    const char *reason; /* why writes are held (pending); NULL: none */
    uint32_t reject_count;
    const ch_reject_t *rejects;
} ch_ack_reply_t;

/// The fields of an ack, between begin and finish.
void ch_reply_put_ack(ch_reply_t *reply, const ch_ack_reply_t *ack);

/* ---- reads */

/// One [labels, times, values] of `read`: an item of the array "series". Values go out ext 2 when
/// all are floats, ext 1 when all are ints, else as an array. Points [from, to) of the run.
void ch_reply_put_run(ch_reply_t *reply, ch_bytes_t name, ch_bytes_t labels,
                      const ch_points_t *points, size_t from, size_t to);

/// One [labels, times, values] of `query`: an item of the array "result".
void ch_reply_put_floats_run(ch_reply_t *reply, ch_bytes_t name, ch_bytes_t labels,
                             const int64_t *times, const double *values, size_t count);

/// A vector as {labels, rows, times, values}: the field `table` of a query with "form":"table".
typedef struct ch_reply_vector {
    ch_bytes_t name, labels;
    int64_t time;
    double value;
} ch_reply_vector_t;
void ch_reply_put_table(ch_reply_t *reply, const ch_reply_vector_t *rows, size_t count);

/// `get`: found, and then time and value.
void ch_reply_put_get(ch_reply_t *reply, bool found, int64_t time, ch_value_t value);

/// What every read reply carries beside its answer: as_of, warnings, stats.
typedef struct ch_read_tail {
    uint64_t lsn;
    int64_t time;
    size_t warning_count;
    const char *const *warnings;
    uint64_t samples, series, duration_us;
} ch_read_tail_t;
void ch_reply_put_tail(ch_reply_t *reply, const ch_read_tail_t *tail);

/* ---- ping, stats, producers */

void ch_reply_put_ping(ch_reply_t *reply, const char *node, const char *role,
                       const char *version, uint64_t term, uint64_t lsn);

/// A number of `stats`: an int when it is one exactly, else a float.
void ch_reply_put_number(ch_reply_t *reply, const char *key, double value);

typedef struct ch_producer_entry {
    uint64_t epoch, durable, replicated, rejected, gaps, duplicates;
    int64_t last_time;
} ch_producer_entry_t;
/// One entry of the map "producers".
void ch_reply_put_producer(ch_reply_t *reply, const char *producer,
                           const ch_producer_entry_t *entry);

#endif
