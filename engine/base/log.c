#include "ch/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

enum { LINE_BYTES = 1024 };

const char *
ch_log_level_name(ch_log_level_t level)
{
    switch (level) {
    case CH_LOG_DEBUG:
        return "debug";
    case CH_LOG_INFO:
        return "info";
    case CH_LOG_WARN:
        return "warn";
    case CH_LOG_ERROR:
        break;
    }
    return "error";
}

void
ch_log(const ch_log_t *log, ch_log_level_t level, const char *module, const char *event,
       const char *format, ...)
{
    if (!log || !log->write || level < log->level)
        return;
    char line[LINE_BYTES];
    int used = snprintf(line, sizeof line, "level=%s module=%s event=%s%s",
                        ch_log_level_name(level), module, event, *format ? " " : "");
    if (used < 0 || (size_t)used >= sizeof line)
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line + used, sizeof line - (size_t)used, format, arguments);
    va_end(arguments);
    log->write(log->context, level, line);
}

/* Bytes of `character` inside quotes, written to `to` (room for 4). */
static unsigned
quote_one(unsigned char character, char *to)
{
    static const char digits[] = "0123456789abcdef";
    if (character == '"' || character == '\\') {
        to[0] = '\\';
        to[1] = (char)character;
        return 2;
    }
    if (character < 0x20 || character == 0x7f) {
        to[0] = '\\';
        to[1] = 'x';
        to[2] = digits[character >> 4];
        to[3] = digits[character & 15];
        return 4;
    }
    to[0] = (char)character;
    return 1;
}

const char *
ch_log_quote(const char *text, unsigned long size, char *out, unsigned long out_size)
{
    if (out_size < 3)
        return "";
    unsigned long used = 0;
    out[used++] = '"';
    for (unsigned long i = 0; i < size; i++) {
        char escaped[4];
        unsigned length = quote_one((unsigned char)text[i], escaped);
        if (used + length + 2 > out_size)
            break;
        for (unsigned j = 0; j < length; j++)
            out[used++] = escaped[j];
    }
    out[used++] = '"';
    out[used] = '\0';
    return out;
}

static void
write_stderr(void *context, ch_log_level_t level, const char *line)
{
    (void)context;
    (void)level;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    struct tm parts;
    char stamp[32];
    (void)gmtime_r(&now.tv_sec, &parts);
    (void)strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)fprintf(stderr, "time=%s.%03ldZ %s\n", stamp, now.tv_nsec / 1000000, line);
}

ch_log_t
ch_log_stderr(ch_log_level_t level)
{
    return (ch_log_t){.write = write_stderr, .context = NULL, .level = level};
}
