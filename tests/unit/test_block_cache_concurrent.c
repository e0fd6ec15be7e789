/* Many readers of one table through one small cache, while its budget moves: every answer stays
 * right, and nothing is freed under a reader. */
#include <pthread.h>

#include "sst/sstable.h"
#include "support/simfs.h"
#include "support/sst_model.h"
#include "support/test.h"

enum { READERS = 4, READS = 4000 };

typedef struct shared {
    const ch_sst_model_t *model;
    ch_sstable_t *sstable;
    unsigned done; /* atomic */
    unsigned wrong;
} shared_t;

typedef struct reader {
    shared_t *shared;
    uint64_t seed;
} reader_t;

static void *
read_at_random(void *context)
{
    reader_t *reader = context;
    shared_t *shared = reader->shared;
    ch_points_t points = {0};
    ch_rng_t rng;
    ch_rng_seed(&rng, reader->seed);
    for (int i = 0; i < READS; i++) {
        const ch_sst_model_series_t *series =
            &shared->model->series[ch_rng_below(&rng, shared->model->count)];
        ch_points_clear(&points);
        ch_status_t status = ch_sstable_read(shared->sstable, ch_bytes_text(series->name),
                                             ch_bytes_text(series->labels), CH_TIME_MIN,
                                             CH_TIME_MAX, &points);
        if (status != CH_OK ||
            !ch_sst_model_points_equal(&series->points, 0, series->points.count, &points))
            (void)__atomic_add_fetch(&shared->wrong, 1, __ATOMIC_RELAXED);
    }
    ch_points_release(&points);
    (void)__atomic_add_fetch(&shared->done, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void
test_readers_share_a_cache_that_changes_size(void **state)
{
    (void)state;
    ch_simfs_t *simfs = ch_simfs_new(ch_test_seed());
    ch_sst_model_t model = {0};
    ch_sstable_info_t info;
    ch_rng_t rng;
    shared_t shared = {.model = &model};
    ch_rng_seed(&rng, ch_test_seed());
    ch_sst_model_random(&model, &rng, 600, 200);
    assert_int_equal(ch_sst_model_write(&model, ch_simfs_fs(simfs), "t.sst", 7, &info),
                     CH_OK);
    assert_int_equal(ch_sstable_open(ch_simfs_fs(simfs), "t.sst", 7, &shared.sstable),
                     CH_OK);
    ch_block_cache_t *cache = ch_block_cache_new(8 << 20);
    ch_sstable_use_cache(shared.sstable, cache);
    pthread_t threads[READERS];
    reader_t readers[READERS];
    for (int i = 0; i < READERS; i++) {
        readers[i] = (reader_t){&shared, ch_test_seed() + (uint64_t)i};
        assert_int_equal(pthread_create(&threads[i], NULL, read_at_random, &readers[i]),
                         0);
    }
    while (__atomic_load_n(&shared.done, __ATOMIC_ACQUIRE) < READERS)
        ch_block_cache_set_budget(cache, ch_rng_below(&rng, 8 << 20));
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    ch_block_cache_stats_t stats = ch_block_cache_stats(cache);
    assert_int_equal(shared.wrong, 0);
    assert_true(stats.hits > 0 && stats.misses > 0 && stats.evictions > 0);
    ch_sstable_destroy(&shared.sstable);
    ch_block_cache_destroy(&cache);
    ch_sst_model_release(&model);
    ch_simfs_destroy(&simfs);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readers_share_a_cache_that_changes_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
