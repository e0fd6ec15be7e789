#include <leveldb/c.h>

#define RIVAL(name) leveldb_##name
#define RIVAL_NAME "leveldb"
#include "rival.h"

static void
rival_options(rival_t *rival, const ch_store_options_t *options)
{
    if (!options->no_filter) /* lives as long as the process */
        leveldb_options_set_filter_policy(rival->options,
                                          leveldb_filterpolicy_create_bloom(BLOOM_BITS));
    leveldb_options_set_compression(rival->options, leveldb_snappy_compression);
}

/* The API has no flush; a compaction of a range behind all keys begins with one. */
static void
rival_flush(void *store)
{
    static const char behind[] = "\xff\xff\xff\xff\xff\xff\xff\xff\xff";
    rival_t *rival = store;
    leveldb_compact_range(rival->db, behind, sizeof behind - 1, behind,
                          sizeof behind - 1);
}

const ch_store_ops_t ch_store_leveldb = RIVAL_OPS;
