#include <rocksdb/c.h>

#define RIVAL(name) rocksdb_##name
#define RIVAL_NAME "rocksdb"
#include "rival.h"

static void
rival_options(rival_t *rival, const ch_store_options_t *options)
{
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    if (!options->no_filter)
        rocksdb_block_based_options_set_filter_policy(
            table,
            rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS)); /* takes it over */
    rocksdb_options_set_block_based_table_factory(rival->options, table);
    rocksdb_block_based_options_destroy(table);
    rocksdb_options_set_compression(rival->options, rocksdb_snappy_compression);
    rocksdb_options_set_disable_auto_compactions(rival->options, options->keep_tables);
    if (options->keep_tables) {
        rocksdb_options_set_level0_slowdown_writes_trigger(rival->options, 1000);
        rocksdb_options_set_level0_stop_writes_trigger(rival->options, 1000);
    }
}

static void
rival_flush(void *store)
{
    rival_t *rival = store;
    char *error = NULL;
    rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
    rocksdb_flush(rival->db, options, &error);
    must(error, "flush");
    rocksdb_flushoptions_destroy(options);
}

const ch_store_ops_t ch_store_rocksdb = RIVAL_OPS;
