/* chq - the tool of those who use and run a node. One file a subcommand; commands.c is the table. */
#include "chq/chq.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chq/text.h"

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

static uint32_t
parse_timeout(chq_t *chq)
{
    int64_t timeout_ms = chq_duration(chq, "timeout", 5000000000) / 1000000;
    if (timeout_ms < 1 || timeout_ms > CHQ_TIMEOUT_MS_MAX)
        chq_die(CHQ_EXIT_USAGE, "--timeout: from 1ms to 1d");
    return (uint32_t)timeout_ms;
}

static void
global_options(chq_t *chq)
{
    const char *node = chq_option(chq, "node"), *ingest = chq_option(chq, "ingest");
    const char *format = chq_option(chq, "output");
    chq->data = chq_option(chq, "data");
    chq->node = node ? node : environment("CHQ_NODE", "tcp://127.0.0.1:7879");
    chq->ingest = ingest ? ingest : environment("CHQ_INGEST", "tcp://127.0.0.1:7878");
    const char *key_file = chq_option(chq, "key-file");
    const char *server_key = chq_option(chq, "server-key");
    chq->key_file = key_file ? key_file : environment("CHQ_KEY_FILE", NULL);
    chq->server_key = server_key ? server_key : environment("CHQ_SERVER_KEY", NULL);
    chq->timeout_ms = parse_timeout(chq);
    chq->format = parse_format(format);
    chq->format_given = format != NULL;
    chq->quiet = chq_switch(chq, "quiet");
    bool no_color = chq_switch(chq, "no-color");
    chq->color = !no_color && !*environment("NO_COLOR", "") && isatty(STDOUT_FILENO);
}

static void
write_out_short_options(int argc, char **argv)
{
    static char output[] = "--output", quiet[] = "--quiet", help[] = "--help";
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "-o") == 0)
            argv[i] = output;
        else if (strcmp(argv[i], "-q") == 0)
            argv[i] = quiet;
        else if (strcmp(argv[i], "-h") == 0)
            argv[i] = help;
    }
}

static bool
is_version(const char *word)
{
    return strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0 ||
           strcmp(word, "version") == 0;
}

/* Data that did not get out is no answer, whatever the command thought. */
static int
end(int code)
{
    bool lost = fflush(stdout) != 0 || ferror(stdout);
    if (!lost || code == CHQ_EXIT_LOCAL)
        return code;
    chq_say("standard output cannot be written");
    return CHQ_EXIT_LOCAL;
}

static bool
works_offline(const char *command)
{
    static const char *const names[] = {"read", "query", "export", "verify", "backup"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(command, names[i]) == 0)
            return true;
    return false;
}

int
main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_DFL); /* `chq read ... | head` ends quietly */
    write_out_short_options(argc, argv);
    chq_t chq = {.argc = argc - 1, .argv = argv + 1};
    if (chq.argc > 0 && is_version(chq.argv[0])) {
        (void)printf("chq %s\n", cityhall_version());
        return end(CHQ_EXIT_OK);
    }
    bool help = chq_switch(&chq, "help");
    global_options(&chq);
    chq.command = "help";
    if (chq.argc == 0) {
        (void)chq_cmd_help(&chq);
        return end(help ? CHQ_EXIT_OK : CHQ_EXIT_USAGE);
    }
    const chq_command_t *command = chq_find_command(chq.argv[0]);
    if (!command)
        chq_no_command(chq.argv[0]);
    chq.command = command->name;
    if (help) {
        chq.argc = 1;
        return end(chq_cmd_help(&chq));
    }
    chq_take(&chq, 0, 1);
    if (chq.data && !works_offline(command->name))
        chq_die(CHQ_EXIT_USAGE,
                "%s asks a node; --data goes with read, query, export, verify and backup",
                chq.command);
    return end(command->run(&chq));
}
