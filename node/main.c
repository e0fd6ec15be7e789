/* main.c - the program: command line in, exit code out. */
#include <stdio.h>
#include <unistd.h>
#include "ch/alloc.h"
#include "node.h"
#include "options.h"

enum { EXIT_USAGE = 2 };

static int
run(const ch_config_t *config, ch_run_t run)
{
    switch (run) {
    case CH_RUN_HELP:
        ch_options_print_help(config, stdout);
        return 0;
    case CH_RUN_VERSION:
        printf("cityhall %s\n", CH_VERSION);
        return 0;
    case CH_RUN_PRINT:
        ch_config_print(config, CH_CONFIG_PRINT_INI, stdout);
        return 0;
    case CH_RUN_PRINT_MARKDOWN:
        ch_config_print(config, CH_CONFIG_PRINT_MARKDOWN, stdout);
        return 0;
    case CH_RUN_CHECK:
        if (ch_keys_check(config) < 0) {
            fprintf(stderr, "cityhall: %s\n", ch_fail_text());
            return EXIT_USAGE;
        }
        printf("configuration is valid\n");
        return 0;
    case CH_RUN_SERVE:
        break;
    }
    return ch_node_run(config);
}

int
main(int argc, char **argv)
{
    ch_alloc_tune(); /* first: page faults are dear, and every later allocation profits */
    ch_config_t config;
    ch_run_t what = CH_RUN_SERVE;
    ch_config_init(&config);
    int code = EXIT_USAGE;
    if (ch_options_parse(argc, argv, environ, &config, &what) < 0)
        fprintf(stderr, "cityhall: %s\n", ch_fail_text());
    else
        code = run(&config, what);
    ch_config_release(&config);
    return code;
}
