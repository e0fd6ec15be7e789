/* store_bench: one piece of work on one store; bench/engine.py makes tables of them. */
#include "work.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ch/alloc.h"

typedef struct options {
    ch_work_t work;
    uint32_t hosts, steps, seed, memtable_kib;
} options_t;

static void
usage(void)
{
    fputs("usage: store_bench insert|during|overwrite|nab|put|miss|read|start|compact "
          "STORE DIRECTORY [OPTION..] [FILE..]\n"
          "  data     --hosts N --steps N --seed N\n"
          "  batches  --column STEPS --batches N --in-flight N --synced\n"
          "  store    --inline --keep-tables --no-filter --memtable-kib N\n"
          "  work     --count N --rounds N --then flush|compact --stay\n"
          "       store_bench stores\n",
          stderr);
    exit(2);
}

static uint32_t
number(const char *text)
{
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end || value > UINT32_MAX)
        ch_store_die("not a number: %s", text);
    return (uint32_t)value;
}

static void
set_option(char option, options_t *options)
{
    ch_work_t *work = &options->work;
    switch (option) {
    case 'y':
        work->options.synced = true;
        return;
    case 'i':
        work->options.inline_work = true;
        return;
    case 'k':
        work->options.keep_tables = true;
        return;
    case 'n':
        work->options.no_filter = true;
        return;
    case 'a':
        work->stay = true;
        return;
    case 't':
        work->then = optarg;
        return;
    default:
        break;
    }
    uint32_t *const target = option == 'h'   ? &options->hosts
                             : option == 's' ? &options->steps
                             : option == 'e' ? &options->seed
                             : option == 'c' ? &work->column
                             : option == 'b' ? &work->batches
                             : option == 'f' ? &work->in_flight
                             : option == 'm' ? &options->memtable_kib
                             : option == 'o' ? &work->count
                             : option == 'r' ? &work->rounds
                                             : NULL;
    if (!target)
        usage();
    *target = number(optarg);
}

static void
run(const char *what, options_t *options)
{
    static const struct {
        const char *name;
        void (*run)(const ch_work_t *work);
        bool devops;
    } works[] = {
        {"insert", ch_work_insert, true},   {"nab", ch_work_nab, false},
        {"put", ch_work_put, false},        {"miss", ch_work_miss, false},
        {"read", ch_work_read, true},       {"start", ch_work_start, true},
        {"during", ch_work_during, true},   {"overwrite", ch_work_overwrite, true},
        {"compact", ch_work_compact, false}};
    for (size_t i = 0; i < sizeof works / sizeof *works; i++)
        if (strcmp(what, works[i].name) == 0) {
            if (works[i].devops)
                ch_devops_init(&options->work.devops, options->hosts, options->steps,
                               options->seed);
            works[i].run(&options->work);
            ch_devops_release(&options->work.devops);
            return;
        }
    usage();
}

int
main(int argc, char **argv)
{
    static const struct option table[] = {
        {"hosts", 1, 0, 'h'},        {"steps", 1, 0, 's'},
        {"seed", 1, 0, 'e'},         {"column", 1, 0, 'c'},
        {"batches", 1, 0, 'b'},      {"in-flight", 1, 0, 'f'},
        {"synced", 0, 0, 'y'},       {"inline", 0, 0, 'i'},
        {"keep-tables", 0, 0, 'k'},  {"no-filter", 0, 0, 'n'},
        {"memtable-kib", 1, 0, 'm'}, {"count", 1, 0, 'o'},
        {"rounds", 1, 0, 'r'},       {"then", 1, 0, 't'},
        {"stay", 0, 0, 'a'},         {0}};
    options_t options = {
        .work = {.column = 1, .in_flight = 1, .count = 1000, .rounds = 1, .then = ""},
        .hosts = 100,
        .steps = 25920,
        .seed = 1};
    ch_alloc_tune();
    if (argc == 2 && strcmp(argv[1], "stores") == 0)
        return ch_store_list(), 0;
    if (argc < 4)
        usage();
    for (int option; (option = getopt_long(argc, argv, "", table, NULL)) != -1;)
        set_option((char)option, &options);
    if (argc - optind < 3)
        usage();
    options.work.store = ch_store_named(argv[optind + 1]);
    if (!options.work.store)
        ch_store_die("no store %s in this build", argv[optind + 1]);
    options.work.options.path = argv[optind + 2];
    options.work.options.memtable_bytes = (uint64_t)options.memtable_kib << 10;
    options.work.files = argv + optind + 3;
    options.work.file_count = argc - optind - 3;
    if (!options.hosts || !options.steps || !options.work.column || !options.work.count ||
        !options.work.rounds || !options.work.in_flight)
        ch_store_die("no number may be 0");
    run(argv[optind], &options);
    return 0;
}
