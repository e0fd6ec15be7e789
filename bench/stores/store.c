#include "store.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const ch_store_ops_t *const stores[] = {
    &ch_store_cityhall,
#ifdef CH_BENCH_ROCKSDB
    &ch_store_rocksdb,
#endif
#ifdef CH_BENCH_LEVELDB
    &ch_store_leveldb,
#endif
};

const ch_store_ops_t *
ch_store_named(const char *name)
{
    for (size_t i = 0; i < sizeof stores / sizeof *stores; i++)
        if (strcmp(stores[i]->name, name) == 0)
            return stores[i];
    return NULL;
}

void
ch_store_list(void)
{
    for (size_t i = 0; i < sizeof stores / sizeof *stores; i++)
        printf("%s\n", stores[i]->name);
}

void
ch_store_die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("store_bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}
