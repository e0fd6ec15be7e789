/// The command line of `cityhall`.
///
/// Threads  main only.
#ifndef CH_OPTIONS_H
#define CH_OPTIONS_H

#include "config.h"

typedef enum {
    CH_RUN_SERVE,
    CH_RUN_HELP,
    CH_RUN_VERSION,
    CH_RUN_CHECK,
    CH_RUN_PRINT,
    CH_RUN_PRINT_MARKDOWN,
} ch_run_t;

/// Parse `argv` and fill `config` (initialised by the caller) from every source in order: file,
/// `environment`, --data and --set. With CH_RUN_HELP, VERSION and PRINT_MARKDOWN nothing but the
/// command line is read. Errors: CH_ERR_INVALID, CH_ERR_IO (the file); exit code 2 for both.
ch_status_t ch_options_parse(int argc, char *const *argv, char *const *environment,
                             ch_config_t *config, ch_run_t *run_out) CH_MUST_CHECK;

/// Usage, then every key.
void ch_options_print_help(const ch_config_t *config, FILE *to);

#endif
