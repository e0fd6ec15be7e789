/// Blocks of sorted tables in memory: checked and unpacked once, shared by all who read.
///
/// Shape    shards by hash of (table, offset), each with its own lock, map and queues. Which blocks
///          stay is decided by S3-FIFO: newcomers wait in a small queue (a tenth of the bytes) and
///          only those asked for again join the main one, so that reading everything once leaves the
///          main queue as it was. Hashes of those that left early are remembered for a while: who
///          comes back soon joins the main queue at once.
/// Source   Yang, Zhang, Qiu, Yue and Vinayak, "FIFO Queues are All You Need for Cache Eviction",
///          SOSP 2023. One repeat suffices to stay (they ask for two): the reading threads' own
///          memory of their last blocks absorbs immediate repeats already.
/// Units    bytes: what the entries say they take, the headers below included.
/// Entries  immutable and counted: one found stays valid until it is released, whatever is evicted.
/// Threads  any.
#ifndef CH_SST_BLOCK_CACHE_H
#define CH_SST_BLOCK_CACHE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ch_block_cache ch_block_cache_t;
typedef struct ch_cached ch_cached_t;

/// The head of an entry: embedded, as first member, in what is cached.
struct ch_cached {
    void (*destroy)(ch_cached_t *entry); /* frees it whole */
    size_t bytes;
    uint64_t table, offset; /* from here on: set by insert, the shard's lock */
    ch_cached_t *chain;     /* next of the same bucket */
    ch_cached_t *newer, *older;
    uint8_t part; /* how much of the block it holds: more replaces less */
    uint8_t hits; /* since it came or was passed over, at most 3 */
    uint8_t queue;
    _Atomic uint32_t references;
};

/// One reference, for the caller.
void ch_cached_init(ch_cached_t *entry, size_t bytes, void (*destroy)(ch_cached_t *));
void ch_cached_release(ch_cached_t **entry);

ch_block_cache_t *ch_block_cache_new(size_t budget_bytes);
/// Entries that somebody holds live on.
void ch_block_cache_destroy(ch_block_cache_t **cache);

/// Gives room back at once when the budget shrinks.
void ch_block_cache_set_budget(ch_block_cache_t *cache, size_t budget_bytes);

/// The block at this place with at least `part` of it, referenced; NULL: a miss.
ch_cached_t *ch_block_cache_find(ch_block_cache_t *cache, uint64_t table, uint64_t offset,
                                 uint8_t part);

/// Offer a block that was not found. The caller's reference stays his; an entry that is too big,
/// or there already, is not taken.
void ch_block_cache_insert(ch_block_cache_t *cache, uint64_t table, uint64_t offset,
                           uint8_t part, ch_cached_t *entry);

typedef struct ch_block_cache_stats {
    uint64_t hits, misses, evictions;
    uint64_t blocks, bytes, budget_bytes;
} ch_block_cache_stats_t;

ch_block_cache_stats_t ch_block_cache_stats(ch_block_cache_t *cache);

/// Bytes held now, without a lock.
size_t ch_block_cache_bytes(const ch_block_cache_t *cache);

#endif
