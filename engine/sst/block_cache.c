/* block_cache.c - which blocks of tables stay in memory.
 *
 * Problem     One report over a month reads every block once. A cache that keeps what came last (LRU)
 *             then holds the report's blocks, which nobody asks for again, and has lost those that
 *             dashboards ask for every few seconds.
 * Idea        S3-FIFO (block_cache.h). Small queue: first in, first out, but who was asked for again
 *             moves to the main queue; the others leave and only their hash is kept. Main queue: first
 *             in, first out, but who was asked for since goes round once more, up to three times.
 * Example     Budget 100. Hot blocks a, b are in main. A scan brings s1, s2, ...: each enters small,
 *             and when small is above 10 its oldest leaves, never asked for again. a, b stay.
 * Cost        A hit is one lock of a shard, one probe, one counter: no list is touched.
 * Replaced    A block known by its directory alone gives way to one with columns (`part`).
 */
#include "sst/block_cache.h"

#include <pthread.h>
#include <string.h>

#include "ch/alloc.h"
#include "ch/assert.h"

enum {
    SHARDS_MAX = 16,
    SHARD_BYTES_MIN = 4 << 20, /* below it a few large blocks would fill a shard */
    SMALL_PART = 10,           /* the small queue's share of the bytes: one in ... */
    HITS_MAX = 3,
    BUCKETS_FIRST = 64,
    GHOST_WAYS = 4,
    GHOST_BLOCK_BYTES =
        4 << 10, /* what a block is taken to be when ghosts are numbered */
};

enum { QUEUE_SMALL, QUEUE_MAIN, QUEUE_COUNT };

typedef struct queue {
    ch_cached_t *newest, *oldest;
    size_t bytes;
} queue_t;

/* One who left the small queue: forgotten once as many as there are ghosts left after it. */
typedef struct ghost {
    uint32_t hash;
    uint32_t stamp; /* 0: none */
} ghost_t;

typedef struct shard {
    pthread_mutex_t mutex; /* guards all below */
    size_t budget;
    ch_cached_t **buckets;
    size_t bucket_mask, count;
    queue_t queues[QUEUE_COUNT];
    ghost_t *ghosts;
    size_t ghost_mask; /* of sets of GHOST_WAYS */
    uint32_t stamp;
    uint64_t hits, misses, evictions;
} shard_t;

struct ch_block_cache {
    uint32_t shard_count; /* a power of two */
    _Atomic size_t bytes;
    shard_t shards[SHARDS_MAX];
};

void
ch_cached_init(ch_cached_t *entry, size_t bytes, void (*destroy)(ch_cached_t *))
{
    *entry = (ch_cached_t){.destroy = destroy, .bytes = bytes};
    atomic_init(&entry->references, 1);
}

void
ch_cached_release(ch_cached_t **entry)
{
    ch_cached_t *released = *entry;
    *entry = NULL;
    if (released &&
        atomic_fetch_sub_explicit(&released->references, 1, memory_order_acq_rel) == 1)
        released->destroy(released);
}

static uint64_t
place_hash(uint64_t table, uint64_t offset)
{
    uint64_t hash = (table * UINT64_C(0x9e3779b97f4a7c15)) ^ offset;
    hash ^= hash >> 33;
    hash *= UINT64_C(0xff51afd7ed558ccd);
    hash ^= hash >> 33;
    hash *= UINT64_C(0xc4ceb9fe1a85ec53);
    return hash ^ hash >> 33;
}

static shard_t *
shard_of(ch_block_cache_t *cache, uint64_t hash)
{
    return &cache->shards[(hash >> 32) & (cache->shard_count - 1)];
}

/* ---- the map ---- */

static ch_cached_t **
map_link(const shard_t *shard, uint64_t hash, uint64_t table, uint64_t offset)
{
    ch_cached_t **link = &shard->buckets[hash & shard->bucket_mask];
    while (*link && ((*link)->table != table || (*link)->offset != offset))
        link = &(*link)->chain;
    return link;
}

static void
map_grow(shard_t *shard)
{
    size_t old = shard->bucket_mask + 1, size = old * 2;
    ch_cached_t **buckets = ch_calloc(size, sizeof *buckets);
    for (size_t i = 0; i < old; i++)
        for (ch_cached_t *entry = shard->buckets[i], *next; entry; entry = next) {
            next = entry->chain;
            ch_cached_t **head =
                &buckets[place_hash(entry->table, entry->offset) & (size - 1)];
            entry->chain = *head;
            *head = entry;
        }
    ch_free(shard->buckets);
    shard->buckets = buckets;
    shard->bucket_mask = size - 1;
}

/* ---- queues ---- */

static void
queue_push(shard_t *shard, unsigned which, ch_cached_t *entry)
{
    queue_t *queue = &shard->queues[which];
    entry->queue = (uint8_t)which;
    entry->newer = NULL;
    entry->older = queue->newest;
    if (queue->newest)
        queue->newest->newer = entry;
    else
        queue->oldest = entry;
    queue->newest = entry;
    queue->bytes += entry->bytes;
}

static void
queue_remove(shard_t *shard, ch_cached_t *entry)
{
    queue_t *queue = &shard->queues[entry->queue];
    if (entry->newer)
        entry->newer->older = entry->older;
    else
        queue->newest = entry->older;
    if (entry->older)
        entry->older->newer = entry->newer;
    else
        queue->oldest = entry->newer;
    queue->bytes -= entry->bytes;
}

/* ---- ghosts ---- */

static ghost_t *
ghost_set(const shard_t *shard, uint64_t hash)
{
    return &shard->ghosts[(hash & shard->ghost_mask) * GHOST_WAYS];
}

static void
ghost_remember(shard_t *shard, uint64_t hash)
{
    ghost_t *set = ghost_set(shard, hash), *oldest = set;
    for (int i = 1; i < GHOST_WAYS; i++)
        if (set[i].stamp < oldest->stamp)
            oldest = &set[i];
    *oldest = (ghost_t){(uint32_t)(hash >> 32), ++shard->stamp};
    if (shard->stamp == UINT32_MAX) { /* old stamps would look new */
        memset(shard->ghosts, 0,
               (shard->ghost_mask + 1) * GHOST_WAYS * sizeof *shard->ghosts);
        shard->stamp = 0;
    }
}

/* Did it leave not long ago? */
static bool
ghost_take(shard_t *shard, uint64_t hash)
{
    ghost_t *set = ghost_set(shard, hash);
    uint64_t lifetime = (shard->ghost_mask + 1) * GHOST_WAYS;
    for (int i = 0; i < GHOST_WAYS; i++) {
        if (set[i].stamp == 0 || set[i].hash != (uint32_t)(hash >> 32))
            continue;
        bool recent = shard->stamp - set[i].stamp < lifetime;
        set[i] = (ghost_t){0};
        return recent;
    }
    return false;
}

/* ---- eviction ---- */

/* Out of map and queue, onto the list of those to be released once the lock is gone. */
static void
entry_drop(ch_block_cache_t *cache, shard_t *shard, ch_cached_t *entry,
           ch_cached_t **dropped)
{
    uint64_t hash = place_hash(entry->table, entry->offset);
    ch_cached_t **link = map_link(shard, hash, entry->table, entry->offset);
    CH_ASSERT(*link == entry);
    *link = entry->chain;
    shard->count--;
    queue_remove(shard, entry);
    atomic_fetch_sub_explicit(&cache->bytes, entry->bytes, memory_order_relaxed);
    entry->chain = *dropped;
    *dropped = entry;
}

/* The oldest of the small queue goes to the main one or leaves. */
static void
evict_small(ch_block_cache_t *cache, shard_t *shard, ch_cached_t **dropped)
{
    ch_cached_t *entry = shard->queues[QUEUE_SMALL].oldest;
    if (entry->hits > 0) {
        queue_remove(shard, entry);
        entry->hits = 0;
        queue_push(shard, QUEUE_MAIN, entry);
        return;
    }
    ghost_remember(shard, place_hash(entry->table, entry->offset));
    entry_drop(cache, shard, entry, dropped);
    shard->evictions++;
}

/* The oldest of the main queue goes round or leaves. */
static void
evict_main(ch_block_cache_t *cache, shard_t *shard, ch_cached_t **dropped)
{
    ch_cached_t *entry = shard->queues[QUEUE_MAIN].oldest;
    if (entry->hits > 0) {
        queue_remove(shard, entry);
        entry->hits--;
        queue_push(shard, QUEUE_MAIN, entry);
        return;
    }
    entry_drop(cache, shard, entry, dropped);
    shard->evictions++;
}

/* Every step takes a hit away or an entry out, so it ends. */
static void
shard_fit(ch_block_cache_t *cache, shard_t *shard, ch_cached_t **dropped)
{
    const queue_t *small = &shard->queues[QUEUE_SMALL],
                  *main = &shard->queues[QUEUE_MAIN];
    while (small->bytes + main->bytes > shard->budget) {
        if (small->bytes > shard->budget / SMALL_PART || !main->oldest)
            evict_small(cache, shard, dropped);
        else
            evict_main(cache, shard, dropped);
    }
}

static void
release_all(ch_cached_t *dropped)
{
    while (dropped) {
        ch_cached_t *entry = dropped;
        dropped = entry->chain;
        ch_cached_release(&entry);
    }
}

/* ---- the cache ---- */

static size_t
power_of_two(size_t at_least)
{
    size_t size = 1;
    while (size < at_least)
        size *= 2;
    return size;
}

ch_block_cache_t *
ch_block_cache_new(size_t budget_bytes)
{
    ch_block_cache_t *cache = ch_calloc(1, sizeof *cache);
    cache->shard_count = 1;
    while (cache->shard_count < SHARDS_MAX &&
           budget_bytes / cache->shard_count > SHARD_BYTES_MIN)
        cache->shard_count *= 2;
    size_t budget = budget_bytes / cache->shard_count;
    size_t ghost_sets = power_of_two(budget / GHOST_BLOCK_BYTES / GHOST_WAYS + 1);
    for (uint32_t i = 0; i < cache->shard_count; i++) {
        shard_t *shard = &cache->shards[i];
        CH_ASSERT(pthread_mutex_init(&shard->mutex, NULL) == 0);
        shard->budget = budget;
        shard->buckets = ch_calloc(BUCKETS_FIRST, sizeof *shard->buckets);
        shard->bucket_mask = BUCKETS_FIRST - 1;
        shard->ghosts = ch_calloc(ghost_sets * GHOST_WAYS, sizeof *shard->ghosts);
        shard->ghost_mask = ghost_sets - 1;
    }
    return cache;
}

void
ch_block_cache_set_budget(ch_block_cache_t *cache, size_t budget_bytes)
{
    for (uint32_t i = 0; i < cache->shard_count; i++) {
        shard_t *shard = &cache->shards[i];
        ch_cached_t *dropped = NULL;
        pthread_mutex_lock(&shard->mutex);
        shard->budget = budget_bytes / cache->shard_count;
        shard_fit(cache, shard, &dropped);
        pthread_mutex_unlock(&shard->mutex);
        release_all(dropped);
    }
}

void
ch_block_cache_destroy(ch_block_cache_t **cache)
{
    ch_block_cache_t *self = *cache;
    if (!self)
        return;
    ch_block_cache_set_budget(self, 0);
    for (uint32_t i = 0; i < self->shard_count; i++) {
        ch_free(self->shards[i].buckets);
        ch_free(self->shards[i].ghosts);
        pthread_mutex_destroy(&self->shards[i].mutex);
    }
    ch_free(self);
    *cache = NULL;
}

ch_cached_t *
ch_block_cache_find(ch_block_cache_t *cache, uint64_t table, uint64_t offset,
                    uint8_t part)
{
    uint64_t hash = place_hash(table, offset);
    shard_t *shard = shard_of(cache, hash);
    pthread_mutex_lock(&shard->mutex);
    ch_cached_t *entry = *map_link(shard, hash, table, offset);
    if (entry && entry->part >= part) {
        shard->hits++;
        if (entry->hits < HITS_MAX)
            entry->hits++;
        atomic_fetch_add_explicit(&entry->references, 1, memory_order_relaxed);
    } else {
        shard->misses++;
        entry = NULL;
    }
    pthread_mutex_unlock(&shard->mutex);
    return entry;
}

/* Locked: put a new entry where it belongs. */
static void
shard_add(ch_block_cache_t *cache, shard_t *shard, uint64_t hash, ch_cached_t *entry,
          bool repeated)
{
    bool to_main = ghost_take(shard, hash) || repeated;
#ifdef CH_FAULT_CACHE_PLAIN_FIFO
    to_main = true;
#endif
    if (shard->count > shard->bucket_mask)
        map_grow(shard);
    ch_cached_t **head = &shard->buckets[hash & shard->bucket_mask];
    entry->chain = *head;
    *head = entry;
    shard->count++;
    queue_push(shard, to_main ? QUEUE_MAIN : QUEUE_SMALL, entry);
    atomic_fetch_add_explicit(&entry->references, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&cache->bytes, entry->bytes, memory_order_relaxed);
}

void
ch_block_cache_insert(ch_block_cache_t *cache, uint64_t table, uint64_t offset,
                      uint8_t part, ch_cached_t *entry)
{
    uint64_t hash = place_hash(table, offset);
    shard_t *shard = shard_of(cache, hash);
    ch_cached_t *dropped = NULL;
    pthread_mutex_lock(&shard->mutex);
    ch_cached_t *there = *map_link(shard, hash, table, offset);
    bool wanted = !there || there->part < part;
    if (wanted && entry->bytes <= shard->budget / SMALL_PART) {
        if (there) /* its directory was of use before: that is a repeat */
            entry_drop(cache, shard, there, &dropped);
        entry->table = table;
        entry->offset = offset;
        entry->part = part;
        shard_add(cache, shard, hash, entry, there != NULL);
        shard_fit(cache, shard, &dropped);
    }
    pthread_mutex_unlock(&shard->mutex);
    release_all(dropped);
}

ch_block_cache_stats_t
ch_block_cache_stats(ch_block_cache_t *cache)
{
    ch_block_cache_stats_t stats = {0};
    for (uint32_t i = 0; i < cache->shard_count; i++) {
        shard_t *shard = &cache->shards[i];
        pthread_mutex_lock(&shard->mutex);
        stats.hits += shard->hits;
        stats.misses += shard->misses;
        stats.evictions += shard->evictions;
        stats.blocks += shard->count;
        stats.budget_bytes += shard->budget;
        for (int q = 0; q < QUEUE_COUNT; q++)
            stats.bytes += shard->queues[q].bytes;
        pthread_mutex_unlock(&shard->mutex);
    }
    return stats;
}

size_t
ch_block_cache_bytes(const ch_block_cache_t *cache)
{
    return atomic_load_explicit(&cache->bytes, memory_order_relaxed);
}
