/// How the memory limit is shared out, and what is in use.
///
/// Shares   program (with the log's window), two memtables, sockets (what came in and waits, replies that
///          wait) and queries are set aside. The rest belongs to series (keys, labels, tables' indexes and
///          filters) and to cached blocks, which give way as series come. When series have all but
///          the cache's least part, new ones are refused; those that are there go on.
/// Threads  the writer fits; any thread reads.
#ifndef CH_DB_MEMORY_H
#define CH_DB_MEMORY_H

#include "ch/engine.h"

/// What is in use now, of what.
typedef struct ch_memory_use {
    uint64_t series;    /* series table, label index, states, key order; of a sweep too */
    uint64_t tables;    /* indexes and filters of open tables */
    uint64_t memtables; /* arenas, in use or kept for the next */
    uint64_t cache;
} ch_memory_use_t;

ch_memory_use_t ch_engine_memory_use(ch_engine_t *engine);

/// What cached blocks have at least.
uint64_t ch_engine_memory_cache_least(const ch_engine_t *engine);

/// Writer: give the cache what series and tables leave.
void ch_engine_memory_fit(ch_engine_t *engine);

/// Would so many new series, with texts of so many bytes together, pass the limit?
bool ch_engine_memory_over(ch_engine_t *engine, uint64_t series, uint64_t text_bytes);

#endif
