/* devops_load: the benchmarks' producers and readers; see usage() and the scripts in bench/. */
#include "load.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ch/alloc.h"
#include "dealer.h"

atomic_int ch_load_stop;

static void
on_signal(int number)
{
    (void)number;
    ch_load_stop = 1;
}

static void
usage(void)
{
    fputs(
        "usage: devops_load push|many|verify|get|read|query|influx|rowbinary [OPTION..]\n"
        "  data      --hosts N --steps N --seed N\n"
        "  batches   --shape series|tables|rows|points --column N --points N --regular\n"
        "            --producers N --name NAME --ask-every N --window BYTES --rate N\n"
        "  node      --ingest ENDPOINT --query ENDPOINT --acked N,N,.. --key-file FILE\n"
        "  question  --text TEXT --rounds N --range-step SECONDS\n"
        "  HTTP      --address HOST:PORT --path PATH\n",
        stderr);
}

typedef struct sizes {
    uint32_t hosts, steps, seed;
} sizes_t;

static uint32_t
number(const char *text)
{
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end || value > UINT32_MAX)
        ch_load_die("not a number: %s", text);
    return (uint32_t)value;
}

enum {
    OPTION_HOSTS = 256,
    OPTION_STEPS,
    OPTION_SEED,
    OPTION_SHAPE,
    OPTION_COLUMN,
    OPTION_POINTS,
    OPTION_REGULAR,
    OPTION_PRODUCERS,
    OPTION_NAME,
    OPTION_RATE,
    OPTION_KEY_FILE,
    OPTION_ASK_EVERY,
    OPTION_WINDOW,
    OPTION_INGEST,
    OPTION_QUERY,
    OPTION_ACKED,
    OPTION_TEXT,
    OPTION_ROUNDS,
    OPTION_RANGE_STEP,
    OPTION_ADDRESS,
    OPTION_PATH,
};

static const struct option table[] = {
    {"hosts", 1, 0, OPTION_HOSTS},
    {"steps", 1, 0, OPTION_STEPS},
    {"seed", 1, 0, OPTION_SEED},
    {"shape", 1, 0, OPTION_SHAPE},
    {"column", 1, 0, OPTION_COLUMN},
    {"points", 1, 0, OPTION_POINTS},
    {"regular", 0, 0, OPTION_REGULAR},
    {"producers", 1, 0, OPTION_PRODUCERS},
    {"name", 1, 0, OPTION_NAME},
    {"rate", 1, 0, OPTION_RATE},
    {"ask-every", 1, 0, OPTION_ASK_EVERY},
    {"window", 1, 0, OPTION_WINDOW},
    {"ingest", 1, 0, OPTION_INGEST},
    {"query", 1, 0, OPTION_QUERY},
    {"key-file", 1, 0, OPTION_KEY_FILE},
    {"acked", 1, 0, OPTION_ACKED},
    {"text", 1, 0, OPTION_TEXT},
    {"rounds", 1, 0, OPTION_ROUNDS},
    {"range-step", 1, 0, OPTION_RANGE_STEP},
    {"address", 1, 0, OPTION_ADDRESS},
    {"path", 1, 0, OPTION_PATH},
    {0},
};

static uint32_t *
number_option(int option, ch_load_options_t *options, sizes_t *sizes)
{
    switch (option) {
    case OPTION_HOSTS:
        return &sizes->hosts;
    case OPTION_STEPS:
        return &sizes->steps;
    case OPTION_SEED:
        return &sizes->seed;
    case OPTION_COLUMN:
        return &options->column;
    case OPTION_POINTS:
        return &options->batch_points;
    case OPTION_PRODUCERS:
        return &options->producers;
    case OPTION_RATE:
        return &options->rate;
    case OPTION_ASK_EVERY:
        return &options->ask_every;
    case OPTION_WINDOW:
        return &options->window_bytes;
    case OPTION_ROUNDS:
        return &options->rounds;
    case OPTION_RANGE_STEP:
        return &options->step_s;
    default:
        return NULL;
    }
}

static const char **
text_option(int option, ch_load_options_t *options)
{
    switch (option) {
    case OPTION_INGEST:
        return &options->ingest;
    case OPTION_KEY_FILE:
        return &options->key_file;
    case OPTION_QUERY:
        return &options->query;
    case OPTION_NAME:
        return &options->name;
    case OPTION_ACKED:
        return &options->acked;
    case OPTION_TEXT:
        return &options->text;
    case OPTION_ADDRESS:
        return &options->address;
    case OPTION_PATH:
        return &options->path;
    default:
        return NULL;
    }
}

static void
set_option(int option, const char *value, ch_load_options_t *options, sizes_t *sizes)
{
    uint32_t *count = number_option(option, options, sizes);
    const char **text = text_option(option, options);
    if (count)
        *count = number(value);
    else if (text)
        *text = value;
    else if (option == OPTION_REGULAR)
        options->regular = true;
    else if (option != OPTION_SHAPE || !ch_shape_parse(value, &options->shape))
        usage(), exit(2);
}

static void
check_options(const ch_load_options_t *options, const sizes_t *sizes)
{
    if (!sizes->hosts || !sizes->steps || !options->column || !options->batch_points ||
        !options->ask_every || !options->rounds || !options->producers ||
        !options->rate || options->producers > sizes->hosts)
        ch_load_die("no number may be 0, and no producer without a host");
}

int
main(int argc, char **argv)
{
    ch_alloc_tune();
    ch_load_options_t options = {.column = 100,
                                 .batch_points = 10000,
                                 .producers = 2,
                                 .name = "devops",
                                 .rate = 1,
                                 .ask_every = 1,
                                 .window_bytes = 16 << 20,
                                 .text = "",
                                 .rounds = 1000,
                                 .path = "/write"};
    sizes_t sizes = {.hosts = 100, .steps = 25920, .seed = 1};
    if (argc < 2)
        return usage(), 2;
    const char *what = argv[1];
    for (int option; (option = getopt_long(argc - 1, argv + 1, "", table, NULL)) != -1;)
        set_option(option, optarg, &options, &sizes);
    check_options(&options, &sizes);
    ch_load_take_key(options.key_file);
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    ch_devops_init(&options.devops, sizes.hosts, sizes.steps, sizes.seed);
    int code = 2;
    if (strcmp(what, "push") == 0)
        code = ch_load_push(&options);
    else if (strcmp(what, "many") == 0)
        code = ch_load_many(&options);
    else if (strcmp(what, "verify") == 0)
        code = ch_load_verify(&options);
    else if (strcmp(what, "influx") == 0)
        code = ch_load_influx(&options);
    else if (strcmp(what, "rowbinary") == 0)
        code = ch_load_rowbinary(&options);
    else if (strcmp(what, "get") == 0 || strcmp(what, "read") == 0 ||
             strcmp(what, "query") == 0)
        code = ch_load_ask(&options, what);
    else
        usage();
    ch_devops_release(&options.devops);
    return code;
}
