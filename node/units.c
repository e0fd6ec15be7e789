/* units.c - numbers with units, as people write them in configuration.
 *
 * Sizes are binary (KiB, MiB, GiB) or plain bytes; durations are ms, s, m, h or d. A plain number is
 * refused as a duration: nobody remembers which unit was meant.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "ch/log.h"

typedef struct unit {
    const char *suffix;
    uint64_t factor;
} unit_t;

/* Largest first: formatting takes the first that divides. */
static const unit_t byte_units[] = {{"GiB", UINT64_C(1) << 30},
                                    {"MiB", UINT64_C(1) << 20},
                                    {"KiB", UINT64_C(1) << 10},
                                    {"", 1}};
static const unit_t duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
static const unit_t count_units[] = {{"", 1}};

static const unit_t *
units_of(ch_config_type_t type, size_t *count_out)
{
    switch (type) {
    case CH_CONFIG_BYTES:
        *count_out = sizeof byte_units / sizeof byte_units[0];
        return byte_units;
    case CH_CONFIG_DURATION:
    case CH_CONFIG_SYNC:
        *count_out = sizeof duration_units / sizeof duration_units[0];
        return duration_units;
    default:
        *count_out = sizeof count_units / sizeof count_units[0];
        return count_units;
    }
}

static const char *
units_hint(ch_config_type_t type)
{
    switch (type) {
    case CH_CONFIG_BYTES:
        return "a size such as 4096, 4KiB or 64MiB";
    case CH_CONFIG_DURATION:
        return "a duration such as 100ms, 1s or 5m";
    case CH_CONFIG_BOOL:
        return "true or false";
    case CH_CONFIG_LEVEL:
        return "debug, info, warn or error";
    case CH_CONFIG_SYNC:
        return "`group`, or `interval:` and a duration such as interval:100ms";
    default:
        return "a whole number";
    }
}

static ch_status_t
fail_hint(ch_config_type_t type, const char *text)
{
    char quoted[160];
    return ch_fail(CH_ERR_INVALID, "%s is not %s",
                   ch_log_quote(text, strlen(text), quoted, sizeof quoted),
                   units_hint(type));
}

static ch_status_t
parse_scaled(ch_config_type_t type, const char *text, uint64_t *value_out)
{
    if (!isdigit((unsigned char)text[0]))
        return fail_hint(type, text);
    char *rest;
    errno = 0;
    uint64_t number = strtoull(text, &rest, 10);
    if (errno)
        return fail_hint(type, text);
    size_t count;
    const unit_t *units = units_of(type, &count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rest, units[i].suffix))
            continue;
        if (number > UINT64_MAX / units[i].factor)
            return fail_hint(type, text);
        *value_out = number * units[i].factor;
        return CH_OK;
    }
    return fail_hint(type, text);
}

static ch_status_t
parse_word(ch_config_type_t type, const char *text, const char *const *words,
           size_t count, uint64_t *value_out)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0) {
            *value_out = i;
            return CH_OK;
        }
    }
    return fail_hint(type, text);
}

static ch_status_t
parse_sync(const char *text, uint64_t *value_out)
{
    static const char prefix[] = "interval:";
    if (strcmp(text, "group") == 0) {
        *value_out = 0;
        return CH_OK;
    }
    uint64_t interval_ms = 0;
    if (strncmp(text, prefix, sizeof prefix - 1) ||
        parse_scaled(CH_CONFIG_DURATION, text + sizeof prefix - 1, &interval_ms) < 0 ||
        interval_ms == 0)
        return fail_hint(CH_CONFIG_SYNC, text);
    *value_out = interval_ms;
    return CH_OK;
}

ch_status_t
ch_units_parse(ch_config_type_t type, const char *text, uint64_t *value_out)
{
    static const char *const bools[] = {"false", "true"};
    static const char *const levels[] = {[CH_LOG_DEBUG] = "debug",
                                         [CH_LOG_INFO] = "info",
                                         [CH_LOG_WARN] = "warn",
                                         [CH_LOG_ERROR] = "error"};
    switch (type) {
    case CH_CONFIG_BOOL:
        return parse_word(type, text, bools, 2, value_out);
    case CH_CONFIG_LEVEL:
        return parse_word(type, text, levels, 4, value_out);
    case CH_CONFIG_SYNC:
        return parse_sync(text, value_out);
    default:
        return parse_scaled(type, text, value_out);
    }
}

static void
format_scaled(ch_config_type_t type, uint64_t value, char *out, size_t out_size)
{
    size_t count;
    const unit_t *units = units_of(type, &count);
    size_t i = 0;
    while (i + 1 < count && (value == 0 || value % units[i].factor))
        i++;
    snprintf(out, out_size, "%" PRIu64 "%s", value / units[i].factor, units[i].suffix);
}

void
ch_units_format(ch_config_type_t type, uint64_t value, char *out, size_t out_size)
{
    if (type == CH_CONFIG_BOOL) {
        snprintf(out, out_size, "%s", value ? "true" : "false");
    } else if (type == CH_CONFIG_LEVEL) {
        snprintf(out, out_size, "%s", ch_log_level_name((ch_log_level_t)value));
    } else if (type == CH_CONFIG_SYNC && value == 0) {
        snprintf(out, out_size, "group");
    } else if (type == CH_CONFIG_SYNC) {
        char duration[32];
        format_scaled(type, value, duration, sizeof duration);
        snprintf(out, out_size, "interval:%s", duration);
    } else {
        format_scaled(type, value, out, out_size);
    }
}
