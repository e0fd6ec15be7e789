/// libcityhall: push points to a CityHall node and ask it questions, over ZeroMQ.
///
/// Two handles. A *producer* collects points into batches, sends them, and keeps each until the node
/// has acknowledged it (docs/protocol.md, "Acknowledgement"); a *reader* asks one question at a time.
///
/// Threads  no globals and no threads of its own: work happens inside your calls. A handle may be
///          used from any thread, by one at a time; pass it on with a memory barrier (a mutex, a
///          join). Different handles are independent.
/// Errors   a code, and a text per handle (cityhall_producer_error, cityhall_reader_error). The
///          library never aborts, never prints, and returns CITYHALL_ERR_MEMORY when malloc fails.
/// Units    times: int64 nanoseconds since the Unix epoch, UTC. Timeouts: milliseconds, -1 waits for
///          ever, 0 does what can be done at once.
/// Strings  NUL-terminated UTF-8 unless a size goes with them.
#ifndef CITYHALL_H
#define CITYHALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CITYHALL_API __attribute__((visibility("default")))
#define CITYHALL_MUST_CHECK __attribute__((warn_unused_result))

typedef enum cityhall_status {
    CITYHALL_OK = 0,
    CITYHALL_END = 1,       /* no more */
    CITYHALL_NOT_FOUND = 2, /* no such point */
    CITYHALL_ERR_MEMORY = -1,
    CITYHALL_ERR_ARGUMENT = -2, /* what you passed makes no sense */
    CITYHALL_ERR_TIMEOUT = -3,  /* not within the time you gave; try again */
    CITYHALL_ERR_LIMIT =
        -4, /* beyond a limit of the protocol: nothing was added or sent */
    CITYHALL_ERR_FENCED =
        -5, /* a higher epoch of this producer exists: stop, or open anew */
    CITYHALL_ERR_REFUSED =
        -6, /* the node answered with an error: see the handle's code and text */
    CITYHALL_ERR_NETWORK = -7,  /* a bad endpoint, or libzmq failed */
    CITYHALL_ERR_PROTOCOL = -8, /* the node's reply makes no sense */
    CITYHALL_ERR_SPOOL = -9,    /* the spool directory cannot be read or written */
} cityhall_status_t;

CITYHALL_API const char *cityhall_status_name(cityhall_status_t status);
CITYHALL_API const char *cityhall_version(void);

/* ---- values */

typedef enum cityhall_value_type {
    CITYHALL_INT = 0,
    CITYHALL_FLOAT = 1,
    CITYHALL_BOOL = 2,
    CITYHALL_STRING = 3,
    CITYHALL_NONE = 4, /* no point: only in rows and tables */
} cityhall_value_type_t;

typedef struct cityhall_value {
    cityhall_value_type_t type;
    union {
        int64_t i64;
        double f64;
        bool boolean;
        struct {
            const char *data;
            size_t size; /* at most 65536 */
        } string;
    } as;
} cityhall_value_t;

static inline cityhall_value_t
cityhall_int(int64_t value)
{
    cityhall_value_t v;
    v.type = CITYHALL_INT;
    v.as.i64 = value;
    return v;
}

static inline cityhall_value_t
cityhall_float(double value)
{
    cityhall_value_t v;
    v.type = CITYHALL_FLOAT;
    v.as.f64 = value;
    return v;
}

static inline cityhall_value_t
cityhall_bool(bool value)
{
    cityhall_value_t v;
    v.type = CITYHALL_BOOL;
    v.as.boolean = value;
    return v;
}

static inline cityhall_value_t
cityhall_string(const char *data, size_t size)
{
    cityhall_value_t v;
    v.type = CITYHALL_STRING;
    v.as.string.data = data;
    v.as.string.size = size;
    return v;
}

static inline cityhall_value_t
cityhall_none(void)
{
    cityhall_value_t v;
    v.type = CITYHALL_NONE;
    v.as.i64 = 0;
    return v;
}

/// As a time: the node's clock when the batch arrives, one instant for the batch.
#define CITYHALL_TIME_RECEIVED INT64_MIN

typedef struct cityhall_label {
    const char *name;
    const char *value; /* "" or NULL: no such label */
} cityhall_label_t;

/* ---- producer */

typedef struct cityhall_producer cityhall_producer_t;

typedef enum cityhall_level {
    CITYHALL_RECEIVED = 0,   /* in the node's memory */
    CITYHALL_DURABLE = 1,    /* synced to its disk */
    CITYHALL_REPLICATED = 2, /* synced on the configured number of replicas */
} cityhall_level_t;

typedef enum cityhall_spool_sync {
    CITYHALL_SPOOL_SYNC_NONE =
        0, /* survives a crash of this process, not of the machine */
    CITYHALL_SPOOL_SYNC_BATCH = 1, /* fdatasync before each batch is sent */
} cityhall_spool_sync_t;

/// A batch that the node consumed but refused.
typedef struct cityhall_reject {
    uint64_t seq;
    int64_t index; /* point in the batch, from 0; -1: no single one */
    const char *code;
    const char *message;
} cityhall_reject_t;

typedef struct cityhall_producer_options {
    const char *ingest;   /* default "tcp://127.0.0.1:7878" */
    const char *query;    /* default "tcp://127.0.0.1:7879" */
    const char *producer; /* id, [A-Za-z0-9._/-]{1,64}; NULL: fire-and-forget, no acks */
    uint64_t epoch;       /* 0: the spool's, else the wall clock in ns */
    cityhall_level_t level;    /* what releases a batch; default durable */
    uint32_t batch_bytes;      /* a batch is closed at this size; default 192 KiB */
    uint32_t batch_bytes_max;  /* the node's limit; default 4 MiB */
    uint32_t batch_points_max; /* the node's limit; default 100000 */
    uint32_t window_batches;   /* unacked batches held, at most; default 256 */
    uint64_t window_bytes;     /* their bytes, at most; default 32 MiB */
    int32_t
        send_timeout_ms; /* how long send (and an add that fills a batch) waits; default 10000 */
    uint32_t
        request_timeout_ms; /* an ack question unanswered this long is asked anew; default 2500 */
    uint32_t
        resend_after_ms; /* `pending` or silence this long: send again; default 5000 */
    const char *spool;   /* directory of this producer alone; NULL: none */
    cityhall_spool_sync_t spool_sync;
    /* CURVE, for a node with keys (docs/security.md). Either the file of chq keygen, mode 0600, which may
     * name the node's key too, or the secret key itself as text, which you may wipe once this is open. */
    const char *key_file;
    const char *secret_key;
    const char *server_key; /* the node's public key; NULL: the file has it */
    void *zmq_context;      /* share one; NULL: its own */
    /* Called from inside your calls, once per refused batch. May be NULL. Must not call the handle. */
    void (*on_reject)(void *context, const cityhall_reject_t *reject);
    void *on_reject_context;
    size_t options_size; /* set by init; lets the struct grow */
} cityhall_producer_options_t;

/// Fill in every default.
CITYHALL_API void cityhall_producer_options_init(cityhall_producer_options_t *options);

/// Open: connects (without waiting for the node) and, with a spool, takes up what it holds. On an
/// error *producer_out is NULL and `error` (may be NULL) holds the text.
CITYHALL_API cityhall_status_t cityhall_producer_open(
    const cityhall_producer_options_t *options, cityhall_producer_t **producer_out,
    char *error, size_t error_size) CITYHALL_MUST_CHECK;

/// Add to the open batch; a full batch is sent first. LIMIT, ARGUMENT: this call added nothing.
/// `key` is series key text such as `cpu.load{host="a"}`, labels in any order.
CITYHALL_API cityhall_status_t
cityhall_producer_point(cityhall_producer_t *producer, const char *key, int64_t time,
                        cityhall_value_t value) CITYHALL_MUST_CHECK;

/// Many fields at one instant: field f becomes the series `name_f{labels}`.
CITYHALL_API cityhall_status_t cityhall_producer_row(
    cityhall_producer_t *producer, const char *name, const cityhall_label_t *labels,
    size_t label_count, int64_t time, const char *const *fields,
    const cityhall_value_t *values, size_t field_count) CITYHALL_MUST_CHECK;

/// A column of one series.
CITYHALL_API cityhall_status_t cityhall_producer_floats(cityhall_producer_t *producer,
                                                        const char *key,
                                                        const int64_t *times,
                                                        const double *values,
                                                        size_t count) CITYHALL_MUST_CHECK;
CITYHALL_API cityhall_status_t cityhall_producer_ints(cityhall_producer_t *producer,
                                                      const char *key,
                                                      const int64_t *times,
                                                      const int64_t *values,
                                                      size_t count) CITYHALL_MUST_CHECK;
CITYHALL_API cityhall_status_t cityhall_producer_values(cityhall_producer_t *producer,
                                                        const char *key,
                                                        const int64_t *times,
                                                        const cityhall_value_t *values,
                                                        size_t count) CITYHALL_MUST_CHECK;

typedef struct cityhall_column {
    const char *field;
    /* exactly one of these, `rows` long */
    const int64_t *ints;
    const double *floats;
    const cityhall_value_t *values;
} cityhall_column_t;

typedef struct cityhall_table {
    const char *name;
    const char *const *label_names;
    size_t label_count;
    const char *const
        *label_values;    /* rows * label_count, row by row; NULL or "": no such label */
    const int64_t *times; /* `rows` of them; NULL: `time` for all */
    int64_t time;
    size_t rows;
    const cityhall_column_t *columns;
    size_t column_count;
} cityhall_table_t;

/// A scrape: row i, column j is a point of `name_field{labels of i}`.
CITYHALL_API cityhall_status_t cityhall_producer_table(
    cityhall_producer_t *producer, const cityhall_table_t *table) CITYHALL_MUST_CHECK;

/// Close the open batch (nothing when it is empty) and send it. When the window is full, waits up to
/// send_timeout_ms for acks; TIMEOUT: the batch stays open, call again. *seq_out (may be NULL): the
/// highest seq sent so far.
CITYHALL_API cityhall_status_t cityhall_producer_send(
    cityhall_producer_t *producer, uint64_t *seq_out) CITYHALL_MUST_CHECK;

/// Do what is due (acks, resends) and wait at most `timeout_ms` for something to happen. Call it now
/// and then while you have nothing to send.
CITYHALL_API cityhall_status_t cityhall_producer_poll(
    cityhall_producer_t *producer, int32_t timeout_ms) CITYHALL_MUST_CHECK;

/// Wait until everything sent has reached `level`. A refused batch counts as there.
CITYHALL_API cityhall_status_t
cityhall_producer_wait(cityhall_producer_t *producer, cityhall_level_t level,
                       int32_t timeout_ms) CITYHALL_MUST_CHECK;

typedef struct cityhall_producer_stats {
    uint64_t epoch;
    uint64_t sent; /* highest seq sent */
    uint64_t received, durable, replicated;
    uint64_t lsn, term; /* position of `durable`: a read-your-writes token for a reader */
    uint64_t held_batches, held_bytes;
    uint64_t rejected;
    uint64_t resent_batches;
    uint64_t sessions_lost; /* how often a new epoch had to be opened */
    uint64_t points, bytes; /* sent for the first time */
    size_t open_points;     /* in the open batch */
} cityhall_producer_stats_t;
CITYHALL_API void cityhall_producer_stats(const cityhall_producer_t *producer,
                                          cityhall_producer_stats_t *stats_out);

/// The text of the last error; "" when there was none.
CITYHALL_API const char *cityhall_producer_error(const cityhall_producer_t *producer);

/// Send what is open and wait up to `timeout_ms` for the acks (or, fire-and-forget, for the socket to
/// drain), then destroy. The handle is gone whatever is returned; TIMEOUT: something was not acked
/// (it is in the spool, if there is one).
CITYHALL_API cityhall_status_t cityhall_producer_close(cityhall_producer_t **producer,
                                                       int32_t timeout_ms);

/// Destroy at once: what was not acked is lost unless spooled.
CITYHALL_API void cityhall_producer_destroy(cityhall_producer_t **producer);

/* ---- reader */

typedef struct cityhall_reader cityhall_reader_t;

typedef struct cityhall_reader_options {
    const char *query;   /* default "tcp://127.0.0.1:7879" */
    uint32_t timeout_ms; /* a try; also sent to the node as timeout_ms; default 5000 */
    uint32_t
        tries; /* a question is asked this often, each on a fresh socket; default 3 */
    uint64_t min_lsn, term;                         /* read-your-writes token, 0: none */
    void *zmq_context;                              /* share one; NULL: its own */
    const char *key_file, *secret_key, *server_key; /* CURVE, as of a producer */
    size_t options_size;                            /* set by init */
} cityhall_reader_options_t;

CITYHALL_API void cityhall_reader_options_init(cityhall_reader_options_t *options);
CITYHALL_API cityhall_status_t cityhall_reader_open(
    const cityhall_reader_options_t *options, cityhall_reader_t **reader_out, char *error,
    size_t error_size) CITYHALL_MUST_CHECK;
CITYHALL_API void cityhall_reader_destroy(cityhall_reader_t **reader);

/// Answer only from a state that includes this position (0, 0: any).
CITYHALL_API void cityhall_reader_after(cityhall_reader_t *reader, uint64_t lsn,
                                        uint64_t term);

/// Text of the last error, and the node's code ("limit", "parse" ...; "" unless ERR_REFUSED).
CITYHALL_API const char *cityhall_reader_error(const cityhall_reader_t *reader);
CITYHALL_API const char *cityhall_reader_code(const cityhall_reader_t *reader);

typedef struct cityhall_ping {
    const char *node, *role, *version; /* valid until the next call on the reader */
    uint64_t term, lsn;
} cityhall_ping_t;
CITYHALL_API cityhall_status_t cityhall_reader_ping(
    cityhall_reader_t *reader, cityhall_ping_t *ping_out) CITYHALL_MUST_CHECK;

/// Newest point of a series at or before `time` (INT64_MAX: newest). NOT_FOUND when there is none.
/// A string is valid until the next call on the reader.
CITYHALL_API cityhall_status_t
cityhall_reader_get(cityhall_reader_t *reader, const char *key, int64_t time,
                    int64_t *time_out, cityhall_value_t *value_out) CITYHALL_MUST_CHECK;

/// One series of an answer; everything is valid until the next call on the reader.
typedef struct cityhall_series {
    const char *key;                /* canonical key text */
    const cityhall_label_t *labels; /* `__name__` among them, in the node's order */
    size_t label_count;
    const int64_t *times;
    const double *floats; /* exactly one of these three is not NULL when count > 0 */
    const int64_t *ints;
    const cityhall_value_t *values;
    size_t count;
} cityhall_series_t;

/// Raw points of [start, end) (INT64_MIN, INT64_MAX: unbounded): begin, then next until END. Pages
/// are fetched as needed; a series may come in several pieces, one after the other.
CITYHALL_API cityhall_status_t cityhall_reader_read(cityhall_reader_t *reader,
                                                    const char *match, int64_t start,
                                                    int64_t end) CITYHALL_MUST_CHECK;

/// PromQL at one time, or over [start, end] by step: then next until END.
CITYHALL_API cityhall_status_t cityhall_reader_query(cityhall_reader_t *reader,
                                                     const char *query,
                                                     int64_t time) CITYHALL_MUST_CHECK;
CITYHALL_API cityhall_status_t
cityhall_reader_query_range(cityhall_reader_t *reader, const char *query, int64_t start,
                            int64_t end, int64_t step) CITYHALL_MUST_CHECK;

/// "scalar", "vector", "matrix" or "string" of the last query, and the string's value.
CITYHALL_API const char *cityhall_reader_type(const cityhall_reader_t *reader);
CITYHALL_API const char *cityhall_reader_string(const cityhall_reader_t *reader);

/// Series (labels only, count 0) that match: then next until END. limit 0: the node's.
CITYHALL_API cityhall_status_t cityhall_reader_series(cityhall_reader_t *reader,
                                                      const char *match, int64_t start,
                                                      int64_t end,
                                                      uint64_t limit) CITYHALL_MUST_CHECK;

CITYHALL_API cityhall_status_t cityhall_reader_next(
    cityhall_reader_t *reader, cityhall_series_t *series_out) CITYHALL_MUST_CHECK;

/// Label names, or the values of `label`; `match` may be NULL (all). Valid until the next call.
CITYHALL_API cityhall_status_t cityhall_reader_labels(
    cityhall_reader_t *reader, const char *match, const char *const **names_out,
    size_t *count_out) CITYHALL_MUST_CHECK;
CITYHALL_API cityhall_status_t cityhall_reader_label_values(
    cityhall_reader_t *reader, const char *label, const char *match,
    const char *const **values_out, size_t *count_out) CITYHALL_MUST_CHECK;

/// Delete the points of series that match with times in [start, end) (INT64_MIN, INT64_MAX: unbounded),
/// or with `dry_run` only count them. OK: it is durable, and no answer shows them any more. Sent once,
/// whatever `tries` says: a second one would also take what came in between; after ERR_TIMEOUT ask with
/// dry_run whether it was done. points_out and series_out may be NULL.
CITYHALL_API cityhall_status_t cityhall_reader_delete(
    cityhall_reader_t *reader, const char *match, int64_t start, int64_t end,
    bool dry_run, uint64_t *points_out, uint64_t *series_out) CITYHALL_MUST_CHECK;

/// Any op without parameters (`flush`, `seal`, `stats`, `producers` ...), or a whole request of your
/// own (msgpack, `op` and all). The reply's msgpack is valid until the next call on the reader; an
/// error reply is ERR_REFUSED, and is handed out too.
CITYHALL_API cityhall_status_t cityhall_reader_op(cityhall_reader_t *reader,
                                                  const char *op, const void **reply_out,
                                                  size_t *size_out) CITYHALL_MUST_CHECK;
CITYHALL_API cityhall_status_t
cityhall_reader_request(cityhall_reader_t *reader, const void *request, size_t size,
                        const void **reply_out, size_t *size_out) CITYHALL_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
