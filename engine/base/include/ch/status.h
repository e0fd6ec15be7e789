/// Status codes and the text of the last failure.
///
/// Codes    0 is done; > 0 a normal outcome without a value; < 0 an error.
/// Text     `ch_fail` keeps one text per thread; it is valid until the thread's next failure.
/// Threads  everything here is thread-local.
#ifndef CH_STATUS_H
#define CH_STATUS_H

#define CH_MUST_CHECK __attribute__((warn_unused_result))
#define CH_PRINTF(format_index, first_index)                                             \
    __attribute__((format(printf, format_index, first_index)))

typedef enum {
    CH_OK = 0,
    CH_NOT_FOUND = 1, /* asked for something that is not there */
    CH_END = 2,       /* an iterator has no more */
    CH_ERR_IO = -1,
    CH_ERR_CORRUPT = -2, /* bytes that fail a check */
    CH_ERR_LIMIT = -3,   /* a configured limit was passed */
    CH_ERR_INVALID = -4, /* the caller's or the client's data makes no sense */
    CH_ERR_NOSPACE = -5, /* ENOSPC, EDQUOT */
    CH_ERR_EXISTS = -6,
    CH_ERR_UNSUPPORTED = -7, /* well-formed, but not something we do */
    CH_ERR_TIMEOUT = -8,
    CH_ERR_BUSY = -9,       /* held by somebody else; may pass */
    CH_ERR_PARSE = -10,     /* a selector, a query, a file that people write */
    CH_ERR_EXECUTION = -11, /* PromQL's run-time errors */
    CH_ERR_CLOSED = -12,    /* the object refuses work: shut down, or failed before */
    CH_ERR_FENCED = -13,
    CH_ERR_VERSION = -14,   /* a file of a newer format version */
    CH_ERR_FORBIDDEN = -15, /* the key does not allow it */
} ch_status_t;

/// Remember a failure's text for this thread and return `status`.
ch_status_t ch_fail(ch_status_t status, const char *format, ...) CH_PRINTF(2, 3);

/// Put words in front of the remembered text ("open segment 12: " ...); returns `status`.
ch_status_t ch_fail_context(ch_status_t status, const char *format, ...) CH_PRINTF(2, 3);

/* The static analyzer cannot see into other files, so tell it that these return their argument:
 * else it follows paths on which a failure is a success. */
#ifdef __clang_analyzer__
#define ch_fail(status, ...) ((void)ch_fail((status), __VA_ARGS__), (status))
#define ch_fail_context(status, ...)                                                     \
    ((void)ch_fail_context((status), __VA_ARGS__), (status))
#endif

/// The text of this thread's last failure; never NULL.
const char *ch_fail_text(void);

/// The code's name, such as "corrupt"; never NULL.
const char *ch_status_name(ch_status_t status);

#endif
