/* One writer, two readers: at a cut, what one lsn wrote is there whole or not at all.
 *
 * Under lsn n the writer writes, block by block: PAIR_A and PAIR_B at time n; COLUMN five points at
 * 5n .. 5n + 4; LATE at time n ^ 1, out of order; TEXT a string; and every so often a new series,
 * far away, so that the directory grows. Then it declares n durable, as the engine does. */
#include "support/test.h"

#include <pthread.h>
#include <stdatomic.h>

#include "ch/rng.h"
#include "mem/memtable.h"

enum { PAIR_A, PAIR_B = 300, COLUMN, LATE, TEXT, FAR, FAR_EVERY = 64 };

#ifdef CH_TSAN
enum { LSN_COUNT = 15000 };
#else
enum { LSN_COUNT = 100000 };
#endif

typedef struct shared {
    ch_memtable_t *memtable;
    _Atomic uint64_t durable;
    _Atomic uint64_t wrong;
    uint64_t seed;
} shared_t;

static void
write_block(ch_memtable_t *memtable, ch_block_kind_t kind, uint32_t id, uint64_t lsn,
            int64_t start, uint32_t rows, ch_values_t values)
{
    ch_batch_block_t block = {
        .kind = kind,
        .rows = rows,
        .fields = 1,
        .values = &values,
        .times = {.form = CH_TIMES_REGULAR, .start = start, .step = 1}};
    ch_memtable_apply(memtable, &block, &id, lsn);
}

static void
write_lsn(ch_memtable_t *memtable, uint64_t lsn)
{
    int64_t packed[5];
    char text[24];
    int64_t n = (int64_t)lsn;
    for (int i = 0; i < 5; i++)
        packed[i] = n;
    ch_values_t ints = {.form = CH_VALUES_I64, .packed = (const uint8_t *)packed};
    snprintf(text, sizeof text, "value-%lld", (long long)n);
    ch_value_t string = ch_value_string(ch_bytes_text(text));
    ch_values_t list = {.form = CH_VALUES_LIST, .list = &string};
    write_block(memtable, CH_BLOCK_POINTS, PAIR_A, lsn, n, 1, ints);
    write_block(memtable, CH_BLOCK_SERIES, COLUMN, lsn, 5 * n, 5, ints);
    write_block(memtable, CH_BLOCK_TABLE, LATE, lsn, n ^ 1, 1, ints);
    write_block(memtable, CH_BLOCK_POINTS, TEXT, lsn, n, 1, list);
    if (lsn % FAR_EVERY == 0)
        write_block(memtable, CH_BLOCK_POINTS, FAR + (uint32_t)lsn * 50, lsn, n, 1, ints);
    write_block(memtable, CH_BLOCK_POINTS, PAIR_B, lsn, n, 1, ints);
}

static bool
newest_is(const shared_t *shared, uint32_t id, uint64_t lsn, int64_t time, int64_t value)
{
    int64_t found;
    ch_value_t got;
    if (ch_memtable_newest(shared->memtable, id, lsn, INT64_MAX, &found, &got) != CH_OK)
        return false;
    return found == time && got.type == CH_VALUE_INT && got.i64 == value;
}

static bool
newest_text_is(const shared_t *shared, uint64_t lsn)
{
    int64_t time;
    ch_value_t value;
    char text[24];
    snprintf(text, sizeof text, "value-%lld", (long long)lsn);
    return ch_memtable_newest(shared->memtable, TEXT, lsn, INT64_MAX, &time, &value) ==
               CH_OK &&
           value.type == CH_VALUE_STRING && time == (int64_t)lsn &&
           ch_bytes_equal(value.string, ch_bytes_text(text));
}

/* Points of `id` from `start` on are `count` consecutive ones, each with its value. */
static bool
range_is(const shared_t *shared, uint32_t id, uint64_t lsn, int64_t start, size_t count,
         ch_points_t *points)
{
    ch_points_clear(points);
    ch_memtable_read(shared->memtable, id, lsn, start, INT64_MAX, points);
    bool right = points->count == count;
    for (size_t i = 0; i < points->count && right; i++) {
        int64_t time = start + (int64_t)i;
        int64_t value = id == COLUMN ? time / 5 : id == LATE ? time ^ 1 : time;
        right = points->times[i] == time && points->ints[i] == value;
    }
    return right;
}

static void
check_cut(shared_t *shared, ch_rng_t *rng, uint64_t lsn, ch_points_t *points)
{
    int64_t n = (int64_t)lsn;
    int64_t back = (int64_t)ch_rng_below(rng, (uint64_t)(n < 700 ? n : 700));
    uint64_t far = lsn / FAR_EVERY * FAR_EVERY;
    bool right = newest_is(shared, PAIR_A, lsn, n, n);
    right &= newest_is(shared, PAIR_B, lsn, n, n);
    right &= newest_is(shared, COLUMN, lsn, 5 * n + 4, n);
    right &= n == 1 ||
             newest_is(shared, LATE, lsn, n | 1, (n | 1) ^ 1); /* 1 is never written */
    right &= newest_text_is(shared, lsn);
    right &= far == 0 ||
             newest_is(shared, FAR + (uint32_t)far * 50, lsn, (int64_t)far, (int64_t)far);
    right &= range_is(shared, PAIR_A, lsn, n - back, (size_t)back + 1, points);
    right &= range_is(shared, PAIR_B, lsn, n - back, (size_t)back + 1, points);
    right &= range_is(shared, COLUMN, lsn, 5 * n - back, (size_t)back + 5, points);
    if (n % 2 == 1 && (n - back) % 2 == 0)
        right &= range_is(shared, LATE, lsn, n - back, (size_t)back + 1, points);
    shared->wrong += !right;
}

static void *
reader_run(void *context)
{
    shared_t *shared = context;
    ch_points_t points = {0};
    ch_rng_t rng;
    ch_rng_seed(&rng, shared->seed);
    uint64_t durable;
    do {
        durable = atomic_load_explicit(&shared->durable, memory_order_acquire);
        if (durable == 0)
            continue;
        uint64_t older = ch_rng_below(&rng, durable < 1000 ? durable : 1000);
        check_cut(shared, &rng, durable, &points);
        check_cut(shared, &rng, durable - older, &points);
    } while (durable < LSN_COUNT && shared->wrong == 0);
    ch_points_release(&points);
    return NULL;
}

static void
test_an_lsn_is_seen_whole_or_not_at_all(void **state)
{
    (void)state;
    ch_arena_pool_t *pool = ch_arena_pool_new();
    shared_t shared = {.memtable = ch_memtable_new(pool, 1), .seed = ch_test_seed()};
    pthread_t readers[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, reader_run, &shared), 0);
    for (uint64_t lsn = 1; lsn <= LSN_COUNT; lsn++) {
        write_lsn(shared.memtable, lsn);
        atomic_store_explicit(&shared.durable, lsn, memory_order_release);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
    /* Also when the readers never got a turn: every cut of the finished memtable. */
    ch_points_t points = {0};
    ch_rng_t rng;
    ch_rng_seed(&rng, shared.seed);
    for (uint64_t lsn = 1; lsn <= LSN_COUNT; lsn += 37)
        check_cut(&shared, &rng, lsn, &points);
    ch_points_release(&points);
    assert_int_equal(shared.wrong, 0);
    ch_memtable_destroy(&shared.memtable);
    ch_arena_pool_destroy(&pool);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_lsn_is_seen_whole_or_not_at_all),
    };
    return cmocka_run_group_tests_name("memtable_concurrent", tests, NULL, NULL);
}
