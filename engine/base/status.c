#include "ch/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifdef __clang_analyzer__ /* the macros are for callers */
#undef ch_fail
#undef ch_fail_context
#endif

enum { TEXT_BYTES = 512 };

static _Thread_local char failure_text[TEXT_BYTES];

ch_status_t
ch_fail(ch_status_t status, const char *format, ...)
{
    char text[TEXT_BYTES]; /* the arguments may point into the old text */
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(failure_text, text, sizeof text);
    return status;
}

ch_status_t
ch_fail_context(ch_status_t status, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t used = written < 0 ? 0 : (size_t)written;
    if (used < sizeof text)
        (void)snprintf(text + used, sizeof text - used, "%s", failure_text);
    memcpy(failure_text, text, sizeof text);
    return status;
}

const char *
ch_fail_text(void)
{
    return failure_text;
}

const char *
ch_status_name(ch_status_t status)
{
    switch (status) {
    case CH_OK:
        return "ok";
    case CH_NOT_FOUND:
        return "not_found";
    case CH_END:
        return "end";
    case CH_ERR_IO:
        return "io";
    case CH_ERR_CORRUPT:
        return "corrupt";
    case CH_ERR_LIMIT:
        return "limit";
    case CH_ERR_INVALID:
        return "invalid";
    case CH_ERR_NOSPACE:
        return "disk_full";
    case CH_ERR_EXISTS:
        return "exists";
    case CH_ERR_UNSUPPORTED:
        return "unsupported";
    case CH_ERR_TIMEOUT:
        return "timeout";
    case CH_ERR_BUSY:
        return "busy";
    case CH_ERR_PARSE:
        return "parse";
    case CH_ERR_EXECUTION:
        return "execution";
    case CH_ERR_CLOSED:
        return "closed";
    case CH_ERR_FENCED:
        return "fenced";
    case CH_ERR_VERSION:
        return "version";
    case CH_ERR_FORBIDDEN:
        return "forbidden";
    }
    return "unknown";
}
