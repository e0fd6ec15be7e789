/* options.c - the command line: which file, which overrides, and what to do with them. */
#include "options.h"

#include <stdlib.h>
#include <string.h>
#include "ch/suggest.h"

typedef struct command_line {
    int argc;
    char *const *argv;
    int at;
    const char *file;
    ch_run_t run;
} command_line_t;

typedef struct option {
    const char *name;
    const char *value_name; /* NULL: takes none */
    const char *help;
} option_t;

enum {
    OPTION_CONFIG,
    OPTION_DATA,
    OPTION_SET,
    OPTION_CHECK,
    OPTION_PRINT,
    OPTION_VERSION,
    OPTION_HELP,
    OPTION_COUNT,
};

static const option_t options[OPTION_COUNT] = {
    [OPTION_CONFIG] = {"--config", "FILE", "read an INI file (short: -c FILE)"},
    [OPTION_DATA] = {"--data", "DIR", "data directory; same as --set node.data=DIR"},
    [OPTION_SET] = {"--set", "KEY=VALUE", "set section.key; may be given many times"},
    [OPTION_CHECK] = {"--check-config", NULL, "check the configuration and stop"},
    [OPTION_PRINT] =
        {"--print-config", NULL,
         "print the effective configuration (=markdown: the reference page)"},
    [OPTION_VERSION] = {"--version", NULL, "print the version"},
    [OPTION_HELP] = {"--help", NULL, "print this (short: -h)"},
};

static ch_status_t
fail_option(const char *argument)
{
    ch_suggest_t suggest;
    ch_suggest_init(&suggest, argument);
    for (int i = 0; i < OPTION_COUNT; i++)
        ch_suggest_offer(&suggest, options[i].name);
    const char *best = ch_suggest_best(&suggest);
    if (best)
        return ch_fail(CH_ERR_INVALID, "unknown argument %.100s; did you mean %s?",
                       argument, best);
    return ch_fail(CH_ERR_INVALID, "unknown argument %.100s; see --help", argument);
}

/* Which option is argv[at]? Its value, from "--x=v" or the next word, goes to *value_out. */
static ch_status_t
next_option(command_line_t *line, int *option_out, const char **value_out)
{
    const char *argument = line->argv[line->at++];
    *value_out = NULL;
    if (strcmp(argument, "-h") == 0)
        argument = "--help";
    if (strcmp(argument, "-c") == 0)
        argument = "--config";
    if (strcmp(argument, "--print-config=markdown") == 0) {
        *option_out = OPTION_PRINT;
        *value_out = "markdown";
        return CH_OK;
    }
    for (int i = 0; i < OPTION_COUNT; i++) {
        size_t length = strlen(options[i].name);
        if (strncmp(argument, options[i].name, length))
            continue;
        bool joined = argument[length] == '=' && options[i].value_name;
        if (argument[length] && !joined)
            continue;
        *option_out = i;
        if (joined)
            *value_out = argument + length + 1;
        else if (options[i].value_name && line->at < line->argc)
            *value_out = line->argv[line->at++];
        if (options[i].value_name && !*value_out)
            return ch_fail(CH_ERR_INVALID, "%s needs a value: %s", options[i].name,
                           options[i].value_name);
        return CH_OK;
    }
    return fail_option(argument);
}

static ch_run_t
run_of(int option, const char *value)
{
    switch (option) {
    case OPTION_CHECK:
        return CH_RUN_CHECK;
    case OPTION_PRINT:
        return value ? CH_RUN_PRINT_MARKDOWN : CH_RUN_PRINT;
    case OPTION_VERSION:
        return CH_RUN_VERSION;
    default:
        return CH_RUN_HELP;
    }
}

/* First pass: what to do and which file; the overrides wait until the file is read. */
static ch_status_t
scan(command_line_t *line)
{
    while (line->at < line->argc) {
        int option = 0;
        const char *value = NULL;
        ch_status_t status = next_option(line, &option, &value);
        if (status < 0)
            return status;
        if (option == OPTION_CONFIG && line->file)
            return ch_fail(CH_ERR_INVALID, "--config is given twice");
        if (option == OPTION_CONFIG)
            line->file = value;
        else if (option != OPTION_DATA && option != OPTION_SET)
            line->run = run_of(option, value);
    }
    return CH_OK;
}

static ch_status_t
apply_overrides(command_line_t *line, ch_config_t *config)
{
    line->at = 1;
    while (line->at < line->argc) {
        int option = 0;
        const char *value = NULL;
        ch_status_t status = next_option(line, &option, &value);
        if (status == CH_OK && option == OPTION_DATA)
            status = ch_config_set(config, "node", "data", value, "--data");
        else if (status == CH_OK && option == OPTION_SET)
            status = ch_config_set_pair(config, value);
        if (status < 0)
            return status;
    }
    return CH_OK;
}

ch_status_t
ch_options_parse(int argc, char *const *argv, char *const *environment,
                 ch_config_t *config, ch_run_t *run_out)
{
    command_line_t line = {.argc = argc, .argv = argv, .at = 1, .run = CH_RUN_SERVE};
    ch_status_t status = scan(&line);
    if (status < 0)
        return status;
    *run_out = line.run;
    if (line.run == CH_RUN_HELP || line.run == CH_RUN_VERSION ||
        line.run == CH_RUN_PRINT_MARKDOWN)
        return CH_OK;
    if (line.file)
        status = ch_config_load_file(config, line.file);
    if (status == CH_OK)
        status = ch_config_load_environment(config, environment);
    if (status == CH_OK)
        status = apply_overrides(&line, config);
    if (status == CH_OK)
        status = ch_config_check(config);
    return status;
}

void
ch_options_print_help(const ch_config_t *config, FILE *to)
{
    fprintf(to, "cityhall %s: a time-series node\n\nusage: cityhall [options]\n\n",
            CH_VERSION);
    for (int i = 0; i < OPTION_COUNT; i++)
        fprintf(to, "  %-14s %-9s  %s\n", options[i].name,
                options[i].value_name ? options[i].value_name : "", options[i].help);
    fprintf(to,
            "\nKeys, each with its default. A file replaces defaults, the environment\n"
            "(CITYHALL_<SECTION>_<KEY>) the file, --set all of them.\n\n");
    ch_config_print(config, CH_CONFIG_PRINT_HELP, to);
    fprintf(to, "\nExit codes: 0 stopped as asked; 1 could not start or had to stop; 2 "
                "command line\n"
                "or configuration; 74 the disk failed.\n");
}
