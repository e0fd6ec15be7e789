#include <string.h>

#include "chq/chq.h"

static const char global_options[] =
    "  --node ENDPOINT    where to ask   (tcp://127.0.0.1:7879, or CHQ_NODE)\n"
    "  --data DIR         read a data directory that no node has open, or a backup\n"
    "  --ingest ENDPOINT  where to push  (tcp://127.0.0.1:7878, or CHQ_INGEST)\n"
    "  --key-file FILE    show the node this key, of chq keygen (or CHQ_KEY_FILE)\n"
    "  --server-key KEY   the node's public key, if the file has it not (or "
    "CHQ_SERVER_KEY)\n"
    "  --timeout DURATION how long to wait for an answer (5s)\n"
    "  -o FORMAT          table, csv, json or ndjson (table on a terminal, else csv)\n"
    "  -q                 no words beside the data\n"
    "  --no-color         as NO_COLOR\n";

static const char *
dashes(const chq_option_t *option, char text[64])
{
    (void)snprintf(text, 64, "--%s%s%s", option->name, option->value ? " " : "",
                   option->value ? option->value : "");
    return text;
}

static int
help_for(const chq_command_t *command)
{
    (void)printf("usage: chq %s %s\n\n%s\n", command->name, command->arguments,
                 command->help);
    char text[64];
    if (command->options[0].name)
        (void)puts("");
    for (const chq_option_t *option = command->options; option->name; option++)
        (void)printf("  %-20s %s\n", dashes(option, text), option->help);
    (void)printf("\nfor every subcommand:\n%s\nexample: %s\n", global_options,
                 command->example);
    return CHQ_EXIT_OK;
}

int
chq_cmd_help(chq_t *chq)
{
    if (chq->argc > 0) {
        const chq_command_t *command = chq_find_command(chq->argv[0]);
        if (!command)
            chq_no_command(chq->argv[0]);
        return help_for(command);
    }
    (void)puts("usage: chq SUBCOMMAND [ARGUMENTS] [OPTIONS]\n\nAsk a CityHall node, and "
               "feed it.\n");
    for (unsigned i = 0; i < chq_command_count; i++)
        (void)printf("  %-11s %s\n", chq_commands[i].name, chq_commands[i].help);
    (void)printf("\nfor every subcommand:\n%s\nexit codes: 0 done, 1 nothing found, 2 "
                 "usage, 3 node "
                 "unreachable,\n            4 refused by the node, 5 a local file\n"
                 "\nTimes are UTC: 2026-11-22T10:00:00Z, a unix time, now, now-5m.\n",
                 global_options);
    return CHQ_EXIT_OK;
}

int
chq_cmd_completion(chq_t *chq)
{
    chq_arguments(chq, 1, 1);
    if (strcmp(chq->argv[0], "bash") != 0)
        chq_die(CHQ_EXIT_USAGE, "completion: bash is the one there is");
    (void)puts("_chq() {\n"
               "    local word=${COMP_WORDS[COMP_CWORD]} options='--node --ingest --data "
               "--timeout --key-file --server-key "
               "--no-color --help'\n"
               "    case ${COMP_WORDS[1]} in");
    for (unsigned i = 0; i < chq_command_count; i++) {
        (void)printf("    %s) options+='", chq_commands[i].name);
        for (const chq_option_t *option = chq_commands[i].options; option->name; option++)
            (void)printf(" --%s", option->name);
        (void)puts("' ;;");
    }
    (void)fputs("    esac\n    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        "
                "COMPREPLY=($(compgen -W '",
                stdout);
    for (unsigned i = 0; i < chq_command_count; i++)
        (void)printf("%s ", chq_commands[i].name);
    (void)puts("' -- \"$word\"))\n"
               "    elif [[ $word == -* ]]; then\n"
               "        COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
               "    else\n        COMPREPLY=($(compgen -f -- \"$word\"))\n    fi\n}\n"
               "complete -F _chq chq");
    return CHQ_EXIT_OK;
}

/* Text for roff: a dash is a dash, a line never begins with a dot or quote. */
static void
roff(const char *text)
{
    for (; *text; text++) {
        if (*text == '-' || *text == '\\')
            (void)fputc('\\', stdout);
        (void)fputc(*text, stdout);
    }
}

int
chq_cmd_man(chq_t *chq)
{
    chq_arguments(chq, 0, 0);
    (void)printf(
        ".TH CHQ 1 \"\" \"CityHall %s\"\n.SH NAME\nchq \\- ask a CityHall node, and feed "
        "it\n"
        ".SH SYNOPSIS\n.B chq\n.I SUBCOMMAND\n[ARGUMENTS] [OPTIONS]\n.SH SUBCOMMANDS\n",
        cityhall_version());
    for (unsigned i = 0; i < chq_command_count; i++) {
        const chq_command_t *command = &chq_commands[i];
        (void)printf(".TP\n.B %s %s\n", command->name, command->arguments);
        roff(command->help);
        (void)puts("");
        for (const chq_option_t *option = command->options; option->name; option++) {
            char text[64];
            (void)fputs(".br\n\\fB", stdout);
            roff(dashes(option, text));
            (void)fputs("\\fR: ", stdout);
            roff(option->help);
            (void)puts("");
        }
        (void)fputs(".br\nExample: ", stdout);
        roff(command->example);
        (void)puts("");
    }
    (void)fputs(".SH OPTIONS\n.nf\n", stdout);
    roff(global_options);
    (void)puts(".fi\n.SH EXIT STATUS\n0 done, 1 nothing found, 2 usage, 3 node "
               "unreachable, 4 refused "
               "by the node, 5 a local file");
    return CHQ_EXIT_OK;
}
