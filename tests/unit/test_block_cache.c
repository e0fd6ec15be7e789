/* The block cache by itself: what it finds, what it keeps, what it lets go. */
#include "ch/alloc.h"
#include "ch/rng.h"
#include "sst/block_cache.h"
#include "support/test.h"

typedef struct item {
    ch_cached_t head;
    uint64_t number;
} item_t;

static unsigned items_alive;

static void
item_destroy(ch_cached_t *entry)
{
    items_alive--;
    ch_free(entry);
}

static ch_cached_t *
item_new(uint64_t number, size_t bytes)
{
    item_t *item = ch_calloc(1, sizeof *item);
    ch_cached_init(&item->head, bytes, item_destroy);
    item->number = number;
    items_alive++;
    return &item->head;
}

static void
put(ch_block_cache_t *cache, uint64_t number, size_t bytes, uint8_t part)
{
    ch_cached_t *item = item_new(number, bytes);
    ch_block_cache_insert(cache, 1 + number / 1000, number * 4096, part, item);
    ch_cached_release(&item);
}

static bool
has(ch_block_cache_t *cache, uint64_t number, uint8_t part)
{
    ch_cached_t *found =
        ch_block_cache_find(cache, 1 + number / 1000, number * 4096, part);
    if (!found)
        return false;
    assert_int_equal(((item_t *)found)->number, number);
    ch_cached_release(&found);
    return true;
}

/* What a reader does: look, and load what is missing. Returns whether it was there. */
static bool
want(ch_block_cache_t *cache, uint64_t number, size_t bytes)
{
    if (has(cache, number, 0))
        return true;
    put(cache, number, bytes, 0);
    return false;
}

/* Goal: the budget holds at every moment, and nothing is lost or freed twice. Method: a random mix
 * of sizes, repeats, budgets that shrink and grow. */
static void
test_budget_holds_at_every_moment(void **state)
{
    (void)state;
    ch_rng_t rng;
    ch_rng_seed(&rng, ch_test_seed());
    size_t budget = 1 << 20;
    ch_block_cache_t *cache = ch_block_cache_new(budget);
    for (unsigned i = 0; i < 200000; i++) {
        uint64_t number = ch_rng_below(&rng, 1 + ch_rng_below(&rng, 5000));
        (void)want(cache, number, 1 + ch_rng_below(&rng, 40000));
        if (ch_rng_below(&rng, 1000) == 0) {
            budget = ch_rng_below(&rng, 2 << 20);
            ch_block_cache_set_budget(cache, budget);
        }
        assert_true(ch_block_cache_bytes(cache) <= budget);
    }
    ch_block_cache_stats_t stats = ch_block_cache_stats(cache);
    assert_int_equal(stats.blocks, items_alive);
    assert_int_equal(stats.bytes, ch_block_cache_bytes(cache));
    assert_true(stats.evictions > 0 && stats.hits > 0);
    assert_int_equal(stats.hits + stats.misses, 200000);
    ch_block_cache_destroy(&cache);
    assert_int_equal(items_alive, 0);
}

/* Goal: who holds an entry keeps it, whatever the cache does. Method: hold one, evict it, destroy
 * the cache, look. */
static void
test_entries_outlive_their_eviction(void **state)
{
    (void)state;
    ch_block_cache_t *cache = ch_block_cache_new(100000);
    put(cache, 7, 1000, 0);
    ch_cached_t *held = ch_block_cache_find(cache, 1, 7 * 4096, 0);
    assert_non_null(held);
    ch_block_cache_set_budget(cache, 0);
    assert_false(has(cache, 7, 0));
    ch_block_cache_destroy(&cache);
    assert_int_equal(((item_t *)held)->number, 7);
    ch_cached_release(&held);
    assert_int_equal(items_alive, 0);
}

/* Goal: a part answers who needs a part; the whole replaces it, and not the other way round. */
static void
test_whole_blocks_replace_their_parts(void **state)
{
    (void)state;
    ch_block_cache_t *cache = ch_block_cache_new(100000);
    put(cache, 3, 1000, 0);
    assert_true(has(cache, 3, 0));
    assert_false(has(cache, 3, 1));
    put(cache, 3, 5000, 1);
    assert_true(has(cache, 3, 0));
    assert_true(has(cache, 3, 1));
    put(cache, 3, 1000, 0);
    assert_true(has(cache, 3, 1));
    assert_int_equal(ch_block_cache_stats(cache).bytes, 5000);
    put(cache, 4, 50000, 0); /* more than a tenth: it would push out too much */
    assert_false(has(cache, 4, 0));
    ch_block_cache_destroy(&cache);
    assert_int_equal(items_alive, 0);
}

/* Goal: reading everything once does not cost those their place who are asked for all the time.
 * Method: 60 hot blocks of a cache for 100, asked for in turn while a scan of 20,000 goes by, a
 * hundred scanned blocks between two questions for the same hot one. LRU and FIFO keep none. */
static void
test_a_scan_leaves_hot_blocks_where_they_are(void **state)
{
    (void)state;
    enum { BLOCK = 4096, HOT = 60, SCANNED = 20000, BETWEEN = 100 };
    ch_block_cache_t *cache = ch_block_cache_new(100 * BLOCK);
    for (unsigned round = 0; round < 4; round++)
        for (unsigned i = 0; i < HOT; i++)
            (void)want(cache, i, BLOCK);
    unsigned asked = 0, there = 0;
    for (unsigned i = 0; i < SCANNED; i++) {
        (void)want(cache, 1000 + i, BLOCK);
        if (i % BETWEEN == BETWEEN - 1)
            for (unsigned j = 0; j < HOT; j++, asked++)
                there += want(cache, j, BLOCK);
    }
    print_message("hot blocks found during the scan: %u of %u\n", there, asked);
    assert_true(there >= asked - asked / 20);
    ch_block_cache_destroy(&cache);
    assert_int_equal(items_alive, 0);
}

/* Goal: the cache learns a new hot set although the old one filled it. Method: after one set was
 * hot, ask for another only. */
static void
test_a_new_hot_set_takes_over(void **state)
{
    (void)state;
    enum { BLOCK = 4096, HOT = 80 };
    ch_block_cache_t *cache = ch_block_cache_new(100 * BLOCK);
    for (unsigned round = 0; round < 10; round++)
        for (unsigned i = 0; i < HOT; i++)
            (void)want(cache, i, BLOCK);
    unsigned there = 0;
    for (unsigned round = 0; round < 20; round++) {
        there = 0;
        for (unsigned i = 0; i < HOT; i++)
            there += want(cache, 500 + i, BLOCK);
    }
    assert_true(there >= HOT - HOT / 20);
    ch_block_cache_destroy(&cache);
    assert_int_equal(items_alive, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_budget_holds_at_every_moment),
        cmocka_unit_test(test_entries_outlive_their_eviction),
        cmocka_unit_test(test_whole_blocks_replace_their_parts),
        cmocka_unit_test(test_a_scan_leaves_hot_blocks_where_they_are),
        cmocka_unit_test(test_a_new_hot_set_takes_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
