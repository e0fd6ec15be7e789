/// One event a line, `key=value`; the engine never prints, it calls a sink.
///
/// Values with spaces, quotes or control characters are quoted and escaped by ch_log.
/// Threads  a sink may be called from any thread.
#ifndef CH_LOG_H
#define CH_LOG_H

#include "ch/status.h"

typedef enum { CH_LOG_DEBUG, CH_LOG_INFO, CH_LOG_WARN, CH_LOG_ERROR } ch_log_level_t;

typedef struct ch_log {
    void (*write)(void *context, ch_log_level_t level, const char *line);
    void *context;
    ch_log_level_t level; /* lines below are not formatted */
} ch_log_t;

/// Log one event: module, event, then `key=value` pairs as printf text (already escaped by the
/// caller where they hold foreign text: see ch_log_quote). A NULL log drops it.
void ch_log(const ch_log_t *log, ch_log_level_t level, const char *module,
            const char *event, const char *format, ...) CH_PRINTF(5, 6);

/// Write foreign text as a quoted value into `out` (cut to fit, control characters escaped).
const char *ch_log_quote(const char *text, unsigned long size, char *out,
                         unsigned long out_size);

/// A log that writes lines to stderr with a UTC time stamp in front.
ch_log_t ch_log_stderr(ch_log_level_t level);

const char *ch_log_level_name(ch_log_level_t level);

#endif
