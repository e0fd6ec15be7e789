/// What the files of chq share: global options, exit codes, the table of subcommands.
///
/// Rule     stdout is data only; words for people go to stderr.
/// Threads  one.
#ifndef CH_TOOLS_CHQ_H
#define CH_TOOLS_CHQ_H

#include <cityhall.h>
#include <stdio.h>

#include "chq/output.h"

/// docs/chq.md, "Exit codes".
enum {
    CHQ_EXIT_OK = 0,
    CHQ_EXIT_NOTHING = 1,     /* no such key, an empty answer */
    CHQ_EXIT_USAGE = 2,       /* the call makes no sense */
    CHQ_EXIT_UNREACHABLE = 3, /* the node did not answer in time */
    CHQ_EXIT_REFUSED = 4,     /* the node answered with an error, or refused points */
    CHQ_EXIT_LOCAL = 5,       /* a file here cannot be read or written */
    CHQ_EXIT_DAMAGED = 6,     /* data here is damaged */
};

enum { CHQ_TIMEOUT_MS_MAX = 86400000, CHQ_PRODUCER_BYTES = 65 };

typedef struct chq {
    const char *command;
    const char *node;       /* query endpoint */
    const char *ingest;     /* ingest endpoint */
    const char *key_file;   /* of this side; NULL: no CURVE */
    const char *server_key; /* the node's; NULL: the file has it */
    const char *data;       /* read this data directory instead; NULL: ask the node */
    uint32_t timeout_ms;    /* at most CHQ_TIMEOUT_MS_MAX */
    chq_format_t format;
    bool format_given; /* by -o */
    bool color, quiet;
    bool typed; /* points come with their type */
    int argc;   /* what is left for the subcommand, options first or in between */
    char **argv;
} chq_t;

/// One option of a subcommand, for help, completion and the man page. `value` NULL: a switch.
typedef struct chq_option {
    const char *name; /* without the dashes */
    const char *value;
    const char *help;
} chq_option_t;

typedef struct chq_command {
    const char *name;
    const char *arguments;
    const char *help;
    const char *example;
    int (*run)(chq_t *chq);
    chq_option_t options[14];
} chq_command_t;

extern const chq_command_t chq_commands[];
extern const unsigned chq_command_count;

/// `--name VALUE` or `--name=VALUE` of the subcommand (removed from argv); NULL when absent.
/// `--name` without a value says so and exits with CHQ_EXIT_USAGE.
const char *chq_option(chq_t *chq, const char *name);
/// Remove `count` words from `at` on.
void chq_take(chq_t *chq, int at, int count);
/// `--name`, removed from argv.
bool chq_switch(chq_t *chq, const char *name);
/// After all options were taken: exits with CHQ_EXIT_USAGE when one is left, or when the number of
/// arguments is not in [least, most].
void chq_arguments(chq_t *chq, int least, int most);
/// The row of the table of subcommands, or NULL.
const chq_command_t *chq_find_command(const char *name);
/// Exits: no such subcommand; names the nearest.
_Noreturn void chq_no_command(const char *name);

int64_t chq_now_ns(void);
/// The time of option `name` (removed), `otherwise` when absent. Exits on nonsense.
int64_t chq_time(chq_t *chq, const char *name, int64_t otherwise);
/// A duration above 0 of option `name`, or `otherwise`. Exits on nonsense.
int64_t chq_duration(chq_t *chq, const char *name, int64_t otherwise);
/// The time range of --start, --end, --last; false when none was given. What was not given keeps its
/// value. Exits on nonsense.
bool chq_range(chq_t *chq, int64_t *start, int64_t *end);
/// A positive whole number of option `name`, or `otherwise`. Exits on nonsense.
uint64_t chq_number(chq_t *chq, const char *name, uint64_t otherwise);

/// One line to stderr, `chq: ...`.
void chq_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/// The same, then exit.
_Noreturn void chq_die(int code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/// A reader on --node; exits when it cannot be made.
cityhall_reader_t *chq_reader(const chq_t *chq);
/// A producer's name for this call: no other call on this machine has it as long as this process lives,
/// and later ones take it again.
void chq_producer_name(char name[CHQ_PRODUCER_BYTES]);
/// A producer's options from the global ones; the caller names it.
cityhall_producer_options_t chq_producer_options(const chq_t *chq);
/// Open one; exits when its endpoints are none.
cityhall_producer_t *chq_producer(const cityhall_producer_options_t *options);
/// Say what went wrong with the last call, and give the exit code for it.
int chq_reader_failed(const chq_t *chq, const cityhall_reader_t *reader,
                      cityhall_status_t status);
/// End of an answer: finish the output (or drop it when the answer broke off), destroy the reader, give
/// the exit code. `nothing` is said when no row came.
int chq_finish(const chq_t *chq, cityhall_reader_t **reader, chq_output_t **output,
               cityhall_status_t status, const char *nothing);

/// For rows of time, series, value (and type).
chq_output_t *chq_points_output(const chq_t *chq);
/// Points of one run as such rows; at most `most`.
void chq_print_points(chq_output_t *output, const cityhall_series_t *series, size_t most);
/// The same answers out of a data directory (--data), without a node (offline.c).
int chq_offline_read(chq_t *chq, const char *selector, int64_t start, int64_t end,
                     uint64_t most);
/// `range` false: at `start`.
int chq_offline_query(chq_t *chq, const char *query, bool range, int64_t start,
                      int64_t end, int64_t step);

int chq_cmd_put(chq_t *chq);
int chq_cmd_get(chq_t *chq);
int chq_cmd_write(chq_t *chq);
int chq_cmd_import(chq_t *chq);
int chq_cmd_read(chq_t *chq);
int chq_cmd_delete(chq_t *chq);
int chq_cmd_query(chq_t *chq);
int chq_cmd_ls(chq_t *chq);
int chq_cmd_series(chq_t *chq);
int chq_cmd_labels(chq_t *chq);
int chq_cmd_stats(chq_t *chq);
int chq_cmd_producers(chq_t *chq);
int chq_cmd_ping(chq_t *chq);
int chq_cmd_flush(chq_t *chq);
int chq_cmd_compact(chq_t *chq);
int chq_cmd_seal(chq_t *chq);
int chq_cmd_snapshot(chq_t *chq);
int chq_cmd_export(chq_t *chq);
int chq_cmd_verify(chq_t *chq);
int chq_cmd_backup(chq_t *chq);
int chq_cmd_restore(chq_t *chq);
int chq_cmd_plot(chq_t *chq);
int chq_cmd_keygen(chq_t *chq);
int chq_cmd_auth(chq_t *chq);
int chq_cmd_help(chq_t *chq);
int chq_cmd_completion(chq_t *chq);
int chq_cmd_man(chq_t *chq);

#endif
