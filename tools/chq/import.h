/// Points from CSV, NDJSON and Influx line protocol: lines in, calls of a producer out.
///
/// Sink     the parsers know no producer: they hand points to a table of functions, so that
///          tests and fuzzers can look at what was understood.
/// Errors   a line that cannot be read is reported with file, line and what to do; with `skip_bad` it
///          is counted and passed over.
/// Threads  one.
#ifndef CH_TOOLS_CHQ_IMPORT_H
#define CH_TOOLS_CHQ_IMPORT_H

#include <cityhall.h>
#include <stdio.h>

typedef struct chq_import_sink {
    void *context;
    /* false: stop, the sink has said why */
    bool (*point)(void *context, const char *key, int64_t time, cityhall_value_t value);
    bool (*row)(void *context, const char *name, const cityhall_label_t *labels,
                size_t label_count, int64_t time, const char *const *fields,
                const cityhall_value_t *values, size_t field_count);
} chq_import_sink_t;

typedef struct chq_import {
    const char *path; /* for messages */
    const char *key;  /* CSV; NULL: columns name their series */
    const char
        *key_single; /* CSV of one column without `key`: names its series; may be NULL */
    int64_t precision_ns; /* line protocol */
    bool skip_bad;
    chq_import_sink_t sink;
    uint64_t line, bad;
} chq_import_t;

enum { CHQ_IMPORT_FIELDS_MAX = 4096, CHQ_IMPORT_LABELS_MAX = 32 };

typedef enum {
    CHQ_IMPORT_CSV,
    CHQ_IMPORT_NDJSON,
    CHQ_IMPORT_LINE_PROTOCOL
} chq_import_format_t;

/// Parse one line (NUL-terminated, changed in place, no newline). What is wrong with it goes to
/// `error`, which stays empty when it was understood. Returns false when the sink stopped.
bool chq_import_csv_line(chq_import_t *import, char *line, char *error,
                         size_t error_size);
bool chq_import_influx_line(chq_import_t *import, char *line, char *error,
                            size_t error_size);
bool chq_import_json_line(chq_import_t *import, char *line, char *error,
                          size_t error_size);

/// CSV keeps its header and column types between lines: begin with the header line, then scan every
/// line once for the types. One CSV at a time.
bool chq_csv_header(chq_import_t *import, char *line, char *error, size_t error_size);
void chq_csv_scan(chq_import_t *import, char *line);
void chq_csv_release(void);

#endif
