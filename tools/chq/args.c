/* args.c - options and arguments of a subcommand. What makes no sense ends the program with one line that
 * says what, and what would make sense. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ch/suggest.h"
#include "chq/chq.h"
#include "chq/text.h"

void
chq_say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fputs("chq: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
}

void
chq_die(int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fputs("chq: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    exit(code);
}

const chq_command_t *
chq_find_command(const char *name)
{
    for (unsigned i = 0; i < chq_command_count; i++)
        if (strcmp(chq_commands[i].name, name) == 0)
            return &chq_commands[i];
    return NULL;
}

void
chq_no_command(const char *name)
{
    ch_suggest_t suggest;
    ch_suggest_init(&suggest, name);
    for (unsigned i = 0; i < chq_command_count; i++)
        ch_suggest_offer(&suggest, chq_commands[i].name);
    const char *best = ch_suggest_best(&suggest);
    if (best)
        chq_die(CHQ_EXIT_USAGE, "no subcommand %s; did you mean %s?", name, best);
    chq_die(CHQ_EXIT_USAGE, "no subcommand %s; see chq help", name);
}

/* ---- taking options */

void
chq_take(chq_t *chq, int at, int count)
{
    for (int i = at; i + count <= chq->argc; i++) /* the NULL at the end too */
        chq->argv[i] = chq->argv[i + count];
    chq->argc -= count;
}

const char *
chq_option(chq_t *chq, const char *name)
{
    size_t size = strlen(name);
    for (int i = 0; i < chq->argc; i++) {
        const char *word = chq->argv[i];
        if (strcmp(word, "--") == 0)
            break;
        if (strncmp(word, "--", 2) != 0 || strncmp(word + 2, name, size) != 0)
            continue;
        if (word[2 + size] == '=') {
            chq_take(chq, i, 1);
            return word + 3 + size;
        }
        if (word[2 + size] != '\0')
            continue;
        if (i + 1 >= chq->argc)
            chq_die(CHQ_EXIT_USAGE, "--%s needs a value", name);
        const char *value = chq->argv[i + 1];
        chq_take(chq, i, 2);
        return value;
    }
    return NULL;
}

bool
chq_switch(chq_t *chq, const char *name)
{
    for (int i = 0; i < chq->argc && strcmp(chq->argv[i], "--") != 0; i++) {
        if (strncmp(chq->argv[i], "--", 2) != 0 || strcmp(chq->argv[i] + 2, name) != 0)
            continue;
        chq_take(chq, i, 1);
        return true;
    }
    return false;
}

/* ---- what is left */

static const char *const global_names[] = {"node",     "ingest",     "timeout",  "output",
                                           "quiet",    "help",       "no-color", "data",
                                           "key-file", "server-key", NULL};

/* An option that is still there is unknown, or was there twice, or a switch with a value. */
static _Noreturn void
refuse_option(const chq_t *chq, const char *word)
{
    char name[CH_SUGGEST_BYTES_MAX + 1];
    (void)snprintf(name, sizeof name, "%s", word[1] == '-' ? word + 2 : word);
    name[strcspn(name, "=")] = '\0';
    ch_suggest_t suggest;
    ch_suggest_init(&suggest, name);
    for (const char *const *global = global_names; *global; global++)
        ch_suggest_offer(&suggest, *global);
    const chq_command_t *command = chq_find_command(chq->command);
    for (const chq_option_t *option = command->options; option->name; option++)
        ch_suggest_offer(&suggest, option->name);
    const char *best = ch_suggest_best(&suggest);
    if (best && suggest.distance == 0 && strchr(word, '='))
        chq_die(CHQ_EXIT_USAGE, "%s: --%s is given twice, or takes no value",
                chq->command, best);
    if (best && suggest.distance == 0)
        chq_die(CHQ_EXIT_USAGE, "%s: --%s is given twice", chq->command, best);
    if (best)
        chq_die(CHQ_EXIT_USAGE, "%s: no option %s; did you mean --%s?", chq->command,
                word, best);
    chq_die(CHQ_EXIT_USAGE,
            "%s: no option %.60s; see chq help %s (what begins with - and is none goes "
            "behind --)",
            chq->command, word, chq->command);
}

void
chq_arguments(chq_t *chq, int least, int most)
{
    for (int i = 0; i < chq->argc; i++) {
        const char *word = chq->argv[i];
        if (strcmp(word, "--") == 0) {
            chq_take(chq, i, 1);
            break;
        }
        double number;
        if (word[0] == '-' && word[1] && !chq_double_parse(word, &number))
            refuse_option(chq, word);
    }
    if (chq->argc >= least && chq->argc <= most)
        return;
    const chq_command_t *command = chq_find_command(chq->command);
    if (chq->argc < least)
        chq_die(CHQ_EXIT_USAGE, "%s: an argument is missing; usage: chq %s %s",
                chq->command, chq->command, command->arguments);
    chq_die(CHQ_EXIT_USAGE, "%s: \"%.40s\" is one argument too many; usage: chq %s%s%s",
            chq->command, chq->argv[most], chq->command, *command->arguments ? " " : "",
            command->arguments);
}

/* ---- values */

int64_t
chq_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t
chq_time(chq_t *chq, const char *name, int64_t otherwise)
{
    const char *text = chq_option(chq, name);
    int64_t time;
    if (!text)
        return otherwise;
    if (!chq_time_parse(text, chq_now_ns(), &time))
        chq_die(CHQ_EXIT_USAGE,
                "--%s \"%.40s\": no time; say 2026-11-22T10:00:00Z, a unix time, now or "
                "now-5m",
                name, text);
    return time;
}

int64_t
chq_duration(chq_t *chq, const char *name, int64_t otherwise)
{
    const char *text = chq_option(chq, name);
    int64_t duration;
    if (!text)
        return otherwise;
    if (!chq_duration_parse(text, &duration) || duration == 0)
        chq_die(CHQ_EXIT_USAGE, "--%s \"%.40s\": a duration such as 30s or 5m is needed",
                name, text);
    return duration;
}

bool
chq_range(chq_t *chq, int64_t *start, int64_t *end)
{
    const int64_t unset = INT64_MIN;
    int64_t first = chq_time(chq, "start", unset), last = chq_time(chq, "end", unset);
    int64_t ago = chq_duration(chq, "last", 0);
    if (ago && (first != unset || last != unset))
        chq_die(CHQ_EXIT_USAGE, "--last goes with neither --start nor --end");
    if (ago) {
        *end = chq_now_ns();
        *start = *end - ago;
        return true;
    }
    if (first != unset)
        *start = first;
    if (last != unset)
        *end = last;
    if (first != unset && last != unset && last < first)
        chq_die(CHQ_EXIT_USAGE, "--end lies before --start");
    return first != unset || last != unset;
}

uint64_t
chq_number(chq_t *chq, const char *name, uint64_t otherwise)
{
    const char *text = chq_option(chq, name);
    int64_t number;
    if (!text)
        return otherwise;
    if (!chq_int_parse(text, &number) || number <= 0)
        chq_die(CHQ_EXIT_USAGE, "--%s \"%.40s\": a whole number above 0 is needed", name,
                text);
    return (uint64_t)number;
}
