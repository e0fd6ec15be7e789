#include "ch/log.h"

#include "ch/bytes.h"

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

/* Bytes of the UTF-8 character that begins here and may stand in a line; 0: none does. The second set of
 * control characters (U+0080 to U+009F) moves cursors as the first does. */
static unsigned
wide_character(const unsigned char *text, unsigned long left)
{
    unsigned size = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
#ifdef CH_FAULT_LOG_RAW_BYTES
    return 1;
#endif
    if (size > left || (text[0] == 0xc2 && text[1] < 0xa0))
        return 0;
    return ch_bytes_is_utf8(ch_bytes(text, size)) ? size : 0;
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
    if (character < 0x20 || character >= 0x7f) {
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
    const unsigned char *from = (const unsigned char *)text;
    for (unsigned long i = 0; i < size;) {
        char escaped[4];
        const char *piece = escaped;
        unsigned taken = from[i] >= 0x80 ? wide_character(from + i, size - i) : 0;
        unsigned length = taken;
        if (taken > 0)
            piece = text + i;
        else
            length = quote_one(from[i], escaped);
        if (used + length + 2 > out_size)
            break;
        for (unsigned j = 0; j < length; j++)
            out[used++] = piece[j];
        i += taken > 0 ? taken : 1;
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
