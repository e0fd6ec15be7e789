#include "chq/text.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const int64_t second_ns = 1000000000;

bool
chq_int_parse(const char *text, int64_t *value_out)
{
    char *end = NULL;
    const char *digits = text + (*text == '-' || *text == '+');
    if (*digits < '0' || *digits > '9')
        return false;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (*end || errno)
        return false;
    *value_out = value;
    return true;
}

bool
chq_double_parse(const char *text, double *value_out)
{
    char *end = NULL;
    if (!*text || strchr(" \t\n", *text) || strpbrk(text, "xX("))
        return false;
    errno = 0;
    *value_out = strtod(text, &end);
    bool overflow = errno == ERANGE && isinf(*value_out); /* 1e400 is not infinity */
    return end != text && !*end && !overflow;
}

cityhall_value_t
chq_value_parse(const char *text)
{
    int64_t whole;
    double number;
    if (chq_int_parse(text, &whole))
        return cityhall_int(whole);
    if (chq_double_parse(text, &number))
        return cityhall_float(number);
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        return cityhall_bool(*text == 't');
    return cityhall_string(text, strlen(text));
}

const char *
chq_double_format(double value, bool typed, char out[CHQ_NUMBER_BYTES])
{
    if (isnan(value))
        (void)snprintf(out, CHQ_NUMBER_BYTES, "NaN");
    else if (isinf(value))
        (void)snprintf(out, CHQ_NUMBER_BYTES, "%s", value > 0 ? "+Inf" : "-Inf");
    if (!isfinite(value))
        return out;
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(out, CHQ_NUMBER_BYTES, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            break;
    }
    if (typed && !strpbrk(out, ".e"))
        (void)snprintf(out + strlen(out), 4, ".0");
    return out;
}

/* ---- durations */

static int64_t
unit_ns(const char *unit, size_t size)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {{"ns", 1},
                 {"us", 1000},
                 {"ms", 1000000},
                 {"s", 1000000000},
                 {"m", 60000000000},
                 {"h", 3600000000000},
                 {"d", 86400000000000},
                 {"w", 604800000000000},
                 {"y", 31536000000000000}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strlen(units[i].name) == size && memcmp(units[i].name, unit, size) == 0)
            return units[i].ns;
    return 0;
}

bool
chq_duration_parse(const char *text, int64_t *ns_out)
{
    int64_t total = 0;
    if (!*text)
        return false;
    while (*text) {
        char *unit = NULL;
        errno = 0;
        long long count = strtoll(text, &unit, 10);
        size_t size = strspn(unit, "nsumhdwy");
        /* "1h30m": a unit ends where the next number begins */
        int64_t ns = unit_ns(unit, size);
        if (unit == text || *text < '0' || *text > '9' || errno || ns == 0 ||
            count > (INT64_MAX - total) / ns)
            return false;
        total += count * ns;
        text = unit + size;
    }
    *ns_out = total;
    return true;
}

const char *
chq_age_format(int64_t ns, char out[CHQ_NUMBER_BYTES])
{
    static const struct {
        int64_t ns;
        const char *name;
    } steps[] = {{86400000000000, "d"},
                 {3600000000000, "h"},
                 {60000000000, "min"},
                 {1000000000, "s"},
                 {1000000, "ms"}};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (ns >= steps[i].ns) {
            (void)snprintf(out, CHQ_NUMBER_BYTES, "%" PRId64 " %s", ns / steps[i].ns,
                           steps[i].name);
            return out;
        }
    (void)snprintf(out, CHQ_NUMBER_BYTES, "%s", ns < 0 ? "in the future" : "now");
    return out;
}

/* ---- times */

/* "+02:00", "-0530", "Z" or nothing; minutes east. */
static bool
parse_offset(const char *text, int *minutes_out)
{
    int hours = 0, minutes = 0, used = 0;
    *minutes_out = 0;
    if (!*text || strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
        return true;
    if (*text != '+' && *text != '-')
        return false;
    if (sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 &&
        sscanf(text + 1, "%2d%2d%n", &hours, &minutes, &used) != 2)
        return false;
    *minutes_out = (hours * 60 + minutes) * (*text == '-' ? -1 : 1);
    return text[1 + used] == '\0' && hours < 24 && minutes < 60;
}

/* Digits behind the point, as ns. */
static const char *
parse_fraction(const char *text, int64_t *ns_out)
{
    int64_t scale = second_ns;
    *ns_out = 0;
    if (*text != '.' && *text != ',')
        return text;
    for (text++; *text >= '0' && *text <= '9'; text++) {
        scale /= 10;
        *ns_out += (*text - '0') * scale;
    }
    return text;
}

/* timegm makes 3 March of 31 February. */
static bool
day_exists(const struct tm *parts)
{
    struct tm day = {
        .tm_year = parts->tm_year, .tm_mon = parts->tm_mon, .tm_mday = parts->tm_mday};
    (void)timegm(&day);
    return day.tm_mday == parts->tm_mday;
}

static bool
parse_calendar(const char *text, int64_t *time_out)
{
    struct tm parts = {0};
    int used = 0, minutes = 0;
    int64_t fraction = 0;
    if (sscanf(text, "%4d-%2d-%2d%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday,
               &used) != 3)
        return false;
    text += used;
    if (*text == 'T' || *text == 't' || *text == ' ') {
        used = 0;
        if (sscanf(text + 1, "%2d:%2d%n", &parts.tm_hour, &parts.tm_min, &used) != 2)
            return false;
        text += 1 + used;
        if (*text == ':') {
            used = 0;
            if (sscanf(text + 1, "%2d%n", &parts.tm_sec, &used) != 1)
                return false;
            text = parse_fraction(text + 1 + used, &fraction);
        }
    }
    if (!parse_offset(text, &minutes) || parts.tm_mon < 1 || parts.tm_mon > 12 ||
        parts.tm_mday < 1 || parts.tm_mday > 31 || parts.tm_hour > 23 ||
        parts.tm_min > 59 || parts.tm_sec > 60 || parts.tm_year < 1678 ||
        parts.tm_year > 2261)
        return false;
    parts.tm_year -= 1900;
    parts.tm_mon -= 1;
    if (!day_exists(&parts))
        return false;
    *time_out = ((int64_t)timegm(&parts) - minutes * 60) * second_ns + fraction;
    return true;
}

/* Seconds until the year 5138, ms until then, and so on: real clocks never meet. */
static bool
parse_unix(const char *text, int64_t *time_out)
{
    int64_t value;
    double seconds;
    if (chq_int_parse(text, &value)) {
        int64_t size = value < 0 ? -(value + 1) : value;
        int64_t scale = size < 100000000000         ? second_ns
                        : size < 100000000000000    ? 1000000
                        : size < 100000000000000000 ? 1000
                                                    : 1;
        return !__builtin_mul_overflow(value, scale, time_out);
    }
    if (!chq_double_parse(text, &seconds) || !(fabs(seconds) < 9.2e9))
        return false;
    *time_out = (int64_t)llround(seconds * 1e9);
    return true;
}

bool
chq_time_parse(const char *text, int64_t now_ns, int64_t *time_out)
{
    int64_t ago;
    if (strcmp(text, "now") == 0) {
        *time_out = now_ns;
        return true;
    }
    if (strncmp(text, "now-", 4) == 0 && chq_duration_parse(text + 4, &ago)) {
        *time_out = now_ns - ago;
        return true;
    }
    return parse_calendar(text, time_out) || parse_unix(text, time_out);
}

const char *
chq_time_format(int64_t time, char out[CHQ_TIME_BYTES])
{
    int64_t seconds = time / second_ns, fraction = time % second_ns;
    if (fraction < 0) {
        fraction += second_ns;
        seconds--;
    }
    time_t clock = (time_t)seconds;
    struct tm parts;
    (void)gmtime_r(&clock, &parts);
    size_t used = strftime(out, CHQ_TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &parts);
    if (fraction) {
        char digits[16];
        (void)snprintf(digits, sizeof digits, ".%09" PRId64, fraction);
        for (size_t last = strlen(digits) - 1; digits[last] == '0'; last--)
            digits[last] = '\0';
        used += (size_t)snprintf(out + used, CHQ_TIME_BYTES - used, "%s", digits);
    }
    (void)snprintf(out + used, CHQ_TIME_BYTES - used, "Z");
    return out;
}
