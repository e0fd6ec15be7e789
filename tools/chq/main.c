/* chq - the tool of those who use and run a node. One file a subcommand; commands.c is the table. */
#include "chq/chq.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

/* ---- arguments */

static void
take(chq_t *chq, int at, int count)
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
            take(chq, i, 1);
            return word + 3 + size;
        }
        if (word[2 + size] != '\0')
            continue;
        if (i + 1 >= chq->argc)
            chq_die(CHQ_EXIT_USAGE, "--%s needs a value", name);
        const char *value = chq->argv[i + 1];
        take(chq, i, 2);
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
        take(chq, i, 1);
        return true;
    }
    return false;
}

void
chq_arguments(chq_t *chq, int least, int most)
{
    for (int i = 0; i < chq->argc; i++) {
        const char *word = chq->argv[i];
        if (strcmp(word, "--") == 0) {
            take(chq, i, 1);
            break;
        }
        double number;
        if (word[0] == '-' && word[1] && !chq_double_parse(word, &number))
            chq_die(CHQ_EXIT_USAGE, "%s: no option %s; see chq help %s", chq->command,
                    word, chq->command);
    }
    if (chq->argc < least || chq->argc > most)
        chq_die(CHQ_EXIT_USAGE, "%s: %s argument; see chq help %s", chq->command,
                chq->argc < least ? "missing" : "one too many", chq->command);
}

static int64_t
now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t
time_option(const char *name, const char *text)
{
    int64_t time;
    if (!chq_time_parse(text, now_ns(), &time))
        chq_die(CHQ_EXIT_USAGE,
                "--%s %s: no time; say 2026-11-22T10:00:00Z, a unix time, now or now-5m",
                name, text);
    return time;
}

bool
chq_range(chq_t *chq, int64_t *start, int64_t *end)
{
    const char *first = chq_option(chq, "start"), *last = chq_option(chq, "end");
    const char *ago = chq_option(chq, "last");
    int64_t span;
    if (ago) {
        if (first || last || !chq_duration_parse(ago, &span))
            chq_die(CHQ_EXIT_USAGE,
                    "--last takes a duration such as 5m, and no --start or --end");
        *end = now_ns();
        *start = *end - span;
        return true;
    }
    if (first)
        *start = time_option("start", first);
    if (last)
        *end = time_option("end", last);
    if (first && last && *end < *start)
        chq_die(CHQ_EXIT_USAGE, "--end lies before --start");
    return first || last;
}

uint64_t
chq_number(chq_t *chq, const char *name, uint64_t otherwise)
{
    const char *text = chq_option(chq, name);
    int64_t number;
    if (!text)
        return otherwise;
    if (!chq_int_parse(text, &number) || number <= 0)
        chq_die(CHQ_EXIT_USAGE, "--%s %s: a whole number above 0 is needed", name, text);
    return (uint64_t)number;
}

/* ---- the node */

cityhall_reader_t *
chq_reader(const chq_t *chq)
{
    cityhall_reader_options_t options;
    cityhall_reader_options_init(&options);
    options.query = chq->node;
    options.timeout_ms = chq->timeout_ms;
    options.tries = 1;
    cityhall_reader_t *reader = NULL;
    char error[256];
    if (cityhall_reader_open(&options, &reader, error, sizeof error) < 0)
        chq_die(CHQ_EXIT_USAGE, "--node %s: %s", chq->node, error);
    return reader;
}

int
chq_reader_failed(const cityhall_reader_t *reader, cityhall_status_t status)
{
    if (status == CITYHALL_ERR_REFUSED) {
        chq_say("%s: %s", cityhall_reader_code(reader), cityhall_reader_error(reader));
        return CHQ_EXIT_REFUSED;
    }
    if (status == CITYHALL_ERR_TIMEOUT || status == CITYHALL_ERR_NETWORK) {
        chq_say("the node does not answer: %s; is it running? (--node, CHQ_NODE)",
                cityhall_reader_error(reader));
        return CHQ_EXIT_UNREACHABLE;
    }
    chq_say("%s", cityhall_reader_error(reader));
    return status == CITYHALL_ERR_ARGUMENT ? CHQ_EXIT_USAGE : CHQ_EXIT_REFUSED;
}

/* ---- global options */

static chq_format_t
parse_format(const char *text)
{
    static const char *const names[] = {"table", "csv", "json", "ndjson"};
    if (!text)
        return isatty(STDOUT_FILENO) ? CHQ_TABLE : CHQ_CSV;
    for (int i = 0; i < 4; i++)
        if (strcmp(text, names[i]) == 0)
            return (chq_format_t)i;
    chq_die(CHQ_EXIT_USAGE, "-o %s: table, csv, json or ndjson", text);
}

static const char *
environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

static void
global_options(chq_t *chq)
{
    const char *node = chq_option(chq, "node"), *ingest = chq_option(chq, "ingest");
    const char *timeout = chq_option(chq, "timeout");
    int64_t timeout_ns = 5000000000;
    if (timeout && !chq_duration_parse(timeout, &timeout_ns))
        chq_die(CHQ_EXIT_USAGE, "--timeout %s: a duration such as 5s is needed", timeout);
    chq->node = node ? node : environment("CHQ_NODE", "tcp://127.0.0.1:7879");
    chq->ingest = ingest ? ingest : environment("CHQ_INGEST", "tcp://127.0.0.1:7878");
    chq->timeout_ms = (uint32_t)(timeout_ns / 1000000);
    chq->format = parse_format(chq_option(chq, "output"));
    chq->quiet = chq_switch(chq, "quiet");
    bool no_color = chq_switch(chq, "no-color");
    chq->color = !no_color && !*environment("NO_COLOR", "") && isatty(STDOUT_FILENO);
}

static const chq_command_t *
find_command(const char *name)
{
    for (unsigned i = 0; i < chq_command_count; i++)
        if (strcmp(chq_commands[i].name, name) == 0)
            return &chq_commands[i];
    return NULL;
}

int
main(int argc, char **argv)
{
    static char output[] = "--output", quiet[] = "--quiet";
    (void)signal(SIGPIPE, SIG_DFL); /* `chq read ... | head` ends quietly */
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0)
            break;
        if (strcmp(argv[i], "-o") == 0)
            argv[i] = output;
        else if (strcmp(argv[i], "-q") == 0)
            argv[i] = quiet;
    }
    chq_t chq = {.argc = argc - 1, .argv = argv + 1};
    if (chq.argc > 0 &&
        (strcmp(chq.argv[0], "--version") == 0 || strcmp(chq.argv[0], "version") == 0)) {
        (void)printf("chq %s\n", cityhall_version());
        return 0;
    }
    if (chq.argc > 0 &&
        (strcmp(chq.argv[0], "--help") == 0 || strcmp(chq.argv[0], "-h") == 0))
        chq.argv[0] = (char *)(uintptr_t) "help";
    global_options(&chq);
    if (chq.argc == 0) {
        chq.command = "help";
        (void)chq_cmd_help(&chq);
        return CHQ_EXIT_USAGE;
    }
    const chq_command_t *command = find_command(chq.argv[0]);
    if (!command)
        chq_die(CHQ_EXIT_USAGE, "no subcommand %s; see chq help", chq.argv[0]);
    chq.command = command->name;
    take(&chq, 0, 1);
    if (chq_switch(&chq, "help")) {
        char *name[] = {(char *)(uintptr_t)command->name, NULL};
        chq.argc = 1;
        chq.argv = name;
        return chq_cmd_help(&chq);
    }
    return command->run(&chq);
}
