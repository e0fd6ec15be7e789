/// Numbers, times and values as people write and read them.
///
/// Units    times: ns since the epoch, UTC.
/// Threads  pure functions.
#ifndef CH_TOOLS_CHQ_TEXT_H
#define CH_TOOLS_CHQ_TEXT_H

#include <cityhall.h>

enum { CHQ_NUMBER_BYTES = 40, CHQ_TIME_BYTES = 48 };

/// RFC 3339 (`2026-11-22T10:00:00Z`, offsets, a space for the T, a date alone), unix time (seconds,
/// ms, us or ns, told apart by magnitude; decimals are seconds), `now`, `now-5m`.
bool chq_time_parse(const char *text, int64_t now_ns, int64_t *time_out);

/// `90s`, `5m`, `1h30m`, `250ms` ...; units ns us ms s m h d w y.
bool chq_duration_parse(const char *text, int64_t *ns_out);

/// RFC 3339 in UTC with as many digits of a second as the time has.
const char *chq_time_format(int64_t time, char out[CHQ_TIME_BYTES]);

/// "3 s", "5 min", "2 h" ...
const char *chq_age_format(int64_t ns, char out[CHQ_NUMBER_BYTES]);

/// The fewest digits that read back as the same double. `typed`: a whole number keeps its ".0", so
/// that it reads back as a float.
const char *chq_double_format(double value, bool typed, char out[CHQ_NUMBER_BYTES]);

/// A whole number that fits int64, or a float with every digit used, or true/false, else a string
/// (which points into `text`).
cityhall_value_t chq_value_parse(const char *text);
bool chq_int_parse(const char *text, int64_t *value_out);
bool chq_double_parse(const char *text, double *value_out);

#endif
