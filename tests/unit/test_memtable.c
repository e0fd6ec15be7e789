/* Memtable against a model: the same points in a plain array, asked at random lsn cuts. */
#include "support/test.h"

#include "ch/alloc.h"
#include "ch/rng.h"
#include "mem/memtable.h"

enum {
    MODEL_MAX = 140000,
    ROWS_MAX = 300,
    FIELDS_MAX = 5,
    SERIES_MAX = 9,
    ERASURES_MAX = 3
};

typedef struct model_point {
    uint32_t series;
    uint64_t lsn;
    int64_t time;
    ch_value_t value;
} model_point_t;

typedef struct world {
    ch_rng_t rng;
    ch_arena_pool_t *pool;
    ch_memtable_t *memtable;
    uint64_t lsn;
    uint32_t series_count;
    uint32_t spread; /* series ids lie this far apart */
    int order;       /* 0: ascending, 1: with ties, 2: random */
    int64_t clock;
    model_point_t *model;
    size_t count;
    char (*strings)[16]; /* one per model point */
    uint8_t packed_times[ROWS_MAX * 8];
    uint8_t packed_values[FIELDS_MAX][ROWS_MAX * 8];
    ch_value_t lists[FIELDS_MAX][ROWS_MAX];
    char list_strings[FIELDS_MAX][ROWS_MAX][16];
    uint32_t ids[ROWS_MAX * FIELDS_MAX];
    ch_erasure_t erasures[ERASURES_MAX]; /* of the question at hand */
    size_t erasure_count;
} world_t;

static world_t *
world_new(ch_rng_t *seed)
{
    world_t *world = ch_calloc(1, sizeof *world);
    ch_rng_seed(&world->rng, ch_rng_next(seed));
    world->pool = ch_arena_pool_new();
    world->lsn = 1 + ch_rng_below(&world->rng, 1000);
    world->memtable = ch_memtable_new(world->pool, world->lsn);
    world->series_count = 1 + (uint32_t)ch_rng_below(&world->rng, SERIES_MAX);
    world->spread = (uint32_t)(1 + ch_rng_below(&world->rng, 3) * 20011);
    world->order = (int)ch_rng_below(&world->rng, 3);
    world->model = ch_calloc(MODEL_MAX, sizeof *world->model);
    world->strings = ch_calloc(MODEL_MAX, sizeof *world->strings);
    return world;
}

static void
world_destroy(world_t *world)
{
    ch_memtable_destroy(&world->memtable);
    assert_null(world->memtable);
    ch_arena_pool_destroy(&world->pool);
    ch_free(world->model);
    ch_free(world->strings);
    ch_free(world);
}

static int64_t
next_time(world_t *world)
{
    if (world->order == 2)
        return (int64_t)ch_rng_below(&world->rng, 5000) - 2500;
    world->clock += (int64_t)ch_rng_below(&world->rng, 3) + (world->order == 0);
    return world->clock;
}

static void
make_times(world_t *world, ch_batch_block_t *block)
{
    block->times = (ch_times_t){.form = CH_TIMES_PACKED, .packed = world->packed_times};
    if (ch_rng_below(&world->rng, 3) == 0) {
        block->times.form = CH_TIMES_REGULAR;
        block->times.start = next_time(world) + 1;
        block->times.step = (int64_t)ch_rng_below(&world->rng, 4) + (world->order == 0);
        if (world->order == 2)
            block->times.step -= 2;
        else
            world->clock = ch_times_at(&block->times, block->rows - 1);
        return;
    }
    for (uint32_t i = 0; i < block->rows; i++)
        ch_store_i64(world->packed_times + (size_t)i * 8, next_time(world));
}

static ch_value_t
make_value(world_t *world, char string[16])
{
    uint64_t bits = ch_rng_next(&world->rng);
    switch (ch_rng_below(&world->rng, 6)) {
    case 0:
        return ch_value_float((double)(bits >> 40) / 8);
    case 1:
        return ch_value_bool(bits & 1);
    case 2:
        snprintf(string, 16, "%.*s", (int)(bits % 12), "stringvalues");
        return ch_value_string(ch_bytes_text(string));
    case 3:
        return (ch_value_t){.type = CH_VALUE_NONE};
    default:
        return ch_value_int((int64_t)bits);
    }
}

static ch_values_t
make_values(world_t *world, uint32_t field, uint32_t rows)
{
    ch_values_t values = {.form = (ch_values_form_t)ch_rng_below(&world->rng, 3),
                          .packed = world->packed_values[field],
                          .list = world->lists[field]};
    for (uint32_t i = 0; i < rows; i++) {
        world->lists[field][i] = make_value(world, world->list_strings[field][i]);
        ch_store_f64(world->packed_values[field] + (size_t)i * 8,
                     (double)ch_rng_below(&world->rng, 1000));
    }
    return values;
}

static void
model_add(world_t *world, uint32_t series, int64_t time, ch_value_t value)
{
    if (value.type == CH_VALUE_NONE)
        return;
    assert_true(world->count < MODEL_MAX);
    if (value.type == CH_VALUE_STRING && value.string.size > 0) {
        memcpy(world->strings[world->count], value.string.data, value.string.size);
        value.string.data = (const uint8_t *)world->strings[world->count];
    }
    world->model[world->count++] = (model_point_t){series, world->lsn, time, value};
}

static void
apply_random_block(world_t *world)
{
    ch_values_t values[FIELDS_MAX];
    uint32_t rows = 1 + (uint32_t)ch_rng_below(
                            &world->rng, ch_rng_below(&world->rng, 2) ? ROWS_MAX : 4);
    ch_batch_block_t block = {.kind = (ch_block_kind_t)ch_rng_below(&world->rng, 3),
                              .rows = rows,
                              .fields = 1,
                              .values = values};
    if (block.kind == CH_BLOCK_TABLE)
        block.fields = 1 + (uint32_t)ch_rng_below(&world->rng, FIELDS_MAX);
    make_times(world, &block);
    for (uint32_t j = 0; j < block.fields; j++)
        values[j] = make_values(world, j, rows);
    for (size_t i = 0; i < ch_batch_block_cells(&block); i++)
        world->ids[i] =
            (uint32_t)ch_rng_below(&world->rng, world->series_count) * world->spread;
    for (uint32_t i = 0; i < rows; i++) {
        for (uint32_t j = 0; j < block.fields; j++) {
            size_t cell =
                block.kind == CH_BLOCK_SERIES ? 0 : (size_t)i * block.fields + j;
            model_add(world, world->ids[cell], ch_times_at(&block.times, i),
                      ch_values_at(&values[j], i));
        }
    }
    ch_memtable_apply(world->memtable, &block, world->ids, world->lsn);
}

static bool
model_hides(const world_t *world, const model_point_t *point)
{
    for (size_t i = 0; i < world->erasure_count; i++) {
        const ch_erasure_t *erasure = &world->erasures[i];
        if (point->lsn < erasure->lsn && point->time >= erasure->start &&
            (point->time < erasure->end || erasure->end == INT64_MAX))
            return true;
    }
    return false;
}

/* The model's winner among points of the series at exactly `time`, or NULL. */
static const model_point_t *
model_at(const world_t *world, uint32_t series, uint64_t lsn_max, int64_t time)
{
    for (size_t i = world->count; i-- > 0;) {
        const model_point_t *point = &world->model[i];
        if (point->series == series && point->lsn <= lsn_max && point->time == time &&
            !model_hides(world, point))
            return point;
    }
    return NULL;
}

static int
compare_times(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* Distinct times of the series in [start, end) at the cut, ascending. */
static size_t
model_times(const world_t *world, uint32_t series, uint64_t lsn_max, int64_t start,
            int64_t end, int64_t *times)
{
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < world->count; i++) {
        const model_point_t *point = &world->model[i];
        if (point->series == series && point->lsn <= lsn_max && point->time >= start &&
            (point->time < end || end == INT64_MAX) && !model_hides(world, point))
            times[count++] = point->time;
    }
    qsort(times, count, sizeof *times, compare_times);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || times[i] != times[i - 1])
            times[kept++] = times[i];
    }
    return kept;
}

static void
check_read(world_t *world, uint32_t series, uint64_t lsn_max, int64_t start, int64_t end,
           int64_t *times)
{
    ch_points_t points = {0};
    ch_points_append(&points, 5, ch_value_int(5)); /* what was there stays */
    ch_memtable_read_erased(world->memtable, series, lsn_max, start, end, world->erasures,
                            world->erasure_count, &points);
    size_t count = model_times(world, series, lsn_max, start, end, times);
    assert_int_equal(points.count, count + 1);
    assert_int_equal(points.times[0], 5);
    assert_true(ch_value_equal(ch_points_value(&points, 0), ch_value_int(5)));
    for (size_t i = 0; i < count; i++)
        assert_true(points.times[i + 1] == times[i]);
    /* Values: looking one up costs a scan of the model, so up to 50 of them. */
    for (size_t i = 0; i < count; i += 1 + count / 50) {
        const model_point_t *winner = model_at(world, series, lsn_max, times[i]);
        assert_true(ch_value_equal(ch_points_value(&points, i + 1), winner->value));
    }
    ch_points_release(&points);
}

static void
check_newest(world_t *world, uint32_t series, uint64_t lsn_max, int64_t time,
             int64_t *times)
{
    int64_t found_time;
    ch_value_t found;
    ch_status_t status =
        ch_memtable_newest_erased(world->memtable, series, lsn_max, time, world->erasures,
                                  world->erasure_count, &found_time, &found);
    size_t count = model_times(world, series, lsn_max, INT64_MIN,
                               time == INT64_MAX ? time : time + 1, times);
    assert_int_equal(status, count ? CH_OK : CH_NOT_FOUND);
    if (count == 0)
        return;
    assert_true(found_time == times[count - 1]);
    const model_point_t *winner = model_at(world, series, lsn_max, found_time);
    assert_true(ch_value_equal(found, winner->value));
}

static int64_t
random_bound(world_t *world)
{
    if (ch_rng_below(&world->rng, 4) == 0)
        return ch_rng_below(&world->rng, 2) ? INT64_MIN : INT64_MAX;
    if (world->count > 0 && ch_rng_below(&world->rng, 2))
        return world->model[ch_rng_below(&world->rng, world->count)].time;
    return (int64_t)ch_rng_below(&world->rng, 6000) - 3000;
}

/* Half of the questions are asked without deletes. */
static void
choose_erasures(world_t *world, uint64_t lsn_first, uint64_t span)
{
    world->erasure_count = ch_rng_below(&world->rng, 2 * (ERASURES_MAX + 1));
    if (world->erasure_count > ERASURES_MAX)
        world->erasure_count = 0;
    for (size_t i = 0; i < world->erasure_count; i++)
        world->erasures[i] = (ch_erasure_t){lsn_first + ch_rng_below(&world->rng, span),
                                            random_bound(world), random_bound(world)};
}

static void
check_world(world_t *world, unsigned questions)
{
    int64_t *times = ch_calloc(MODEL_MAX, sizeof *times);
    uint64_t lsn_first = world->count ? world->model[0].lsn : world->lsn;
    for (unsigned i = 0; i < questions; i++) {
        uint32_t series =
            (uint32_t)ch_rng_below(&world->rng, world->series_count + 1) * world->spread;
        uint64_t span = world->lsn - lsn_first + 3;
        uint64_t lsn_max = lsn_first - 1 + ch_rng_below(&world->rng, span);
        choose_erasures(world, lsn_first, span);
        check_read(world, series, lsn_max, random_bound(world), random_bound(world),
                   times);
        check_newest(world, series, lsn_max, random_bound(world), times);
    }
    ch_free(times);
}

static void
check_totals(const world_t *world)
{
    bool seen[SERIES_MAX] = {false};
    for (size_t i = 0; i < world->count; i++)
        seen[world->model[i].series / world->spread] = true;
    uint32_t ids[SERIES_MAX], count = 0;
    for (uint32_t i = 0; i < SERIES_MAX; i++)
        count += seen[i];
    assert_int_equal(ch_memtable_series_count(world->memtable), count);
    ch_memtable_series(world->memtable, ids);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(ids[i] % world->spread, 0);
        assert_true(seen[ids[i] / world->spread]);
        seen[ids[i] / world->spread] = false;
    }
    assert_int_equal(ch_memtable_points(world->memtable), world->count);
    assert_true(ch_memtable_lsn_first(world->memtable) == world->model[0].lsn);
    assert_true(ch_memtable_lsn_last(world->memtable) ==
                world->model[world->count - 1].lsn);
    for (uint32_t i = 0; i < world->series_count; i++) {
        int64_t min = INT64_MAX, max = INT64_MIN, min_found, max_found;
        bool any = false;
        for (size_t j = 0; j < world->count; j++) {
            if (world->model[j].series != i * world->spread)
                continue;
            any = true;
            min = world->model[j].time < min ? world->model[j].time : min;
            max = world->model[j].time > max ? world->model[j].time : max;
        }
        assert_int_equal(ch_memtable_time_range(world->memtable, i * world->spread,
                                                &min_found, &max_found),
                         any);
        assert_true(!any || (min_found == min && max_found == max));
    }
}

static void
test_memtable_answers_like_a_sorted_array(void **state)
{
    (void)state;
    ch_rng_t seed;
    ch_rng_seed(&seed, ch_test_seed());
    for (int round = 0; round < 60; round++) {
        world_t *world = world_new(&seed);
        unsigned batches = 1 + (unsigned)ch_rng_below(&world->rng, 30);
        for (unsigned batch = 0; batch < batches; batch++) {
            unsigned blocks = 1 + (unsigned)ch_rng_below(&world->rng, 3);
            for (unsigned i = 0; i < blocks; i++)
                apply_random_block(world);
            check_world(world, 2);
            world->lsn += 1 + ch_rng_below(&world->rng, 3);
        }
        check_world(world, 40);
        if (world->count > 0)
            check_totals(world);
        world_destroy(world);
    }
}

/* Goal: the layout of a series whose every point has its own lsn, through all sizes of chunks. */
static void
test_every_point_its_own_lsn(void **state)
{
    (void)state;
    ch_arena_pool_t *pool = ch_arena_pool_new();
    ch_memtable_t *memtable = ch_memtable_new(pool, 100);
    enum { POINTS = 2000 };
    uint8_t packed[8];
    ch_values_t values = {.form = CH_VALUES_I64, .packed = packed};
    uint32_t id = 3;
    for (int64_t i = 0; i < POINTS; i++) {
        ch_store_i64(packed, i * 7);
        ch_batch_block_t block = {.kind = CH_BLOCK_POINTS,
                                  .rows = 1,
                                  .fields = 1,
                                  .values = &values,
                                  .times = {.form = CH_TIMES_REGULAR, .start = i * 10}};
        ch_memtable_apply(memtable, &block, &id, 100 + (uint64_t)i);
    }
    for (int64_t i = 0; i < POINTS; i++) {
        int64_t time;
        ch_value_t value;
        uint64_t lsn_max = 100 + (uint64_t)i;
        assert_int_equal(
            ch_memtable_newest(memtable, id, lsn_max, INT64_MAX, &time, &value), CH_OK);
        assert_int_equal(time, i * 10);
        assert_int_equal(value.i64, i * 7);
        assert_int_equal(
            ch_memtable_newest(memtable, id, UINT64_MAX, i * 10 + 9, &time, &value),
            CH_OK);
        assert_int_equal(time, i * 10);
    }
    int64_t time;
    ch_value_t value;
    assert_int_equal(ch_memtable_newest(memtable, id, 99, INT64_MAX, &time, &value),
                     CH_NOT_FOUND);
    assert_int_equal(ch_memtable_newest(memtable, id, UINT64_MAX, -1, &time, &value),
                     CH_NOT_FOUND);
    assert_true(ch_memtable_bytes(memtable) < 4096 + POINTS * 24);
    ch_memtable_destroy(&memtable);
    ch_arena_pool_destroy(&pool);
}

/* Goal: a memtable that goes hands its memory to the next, and prepare keeps to its figure. */
static void
test_arena_blocks_are_recycled(void **state)
{
    (void)state;
    ch_arena_pool_t *pool = ch_arena_pool_new();
    ch_arena_pool_prepare(pool, 3 << 20);
    ch_arena_pool_prepare(pool, 1 << 20);
    uint8_t *packed = ch_calloc(1000, 8);
    ch_values_t values = {.form = CH_VALUES_F64, .packed = packed};
    for (int round = 0; round < 5; round++) {
        ch_memtable_t *memtable = ch_memtable_new(pool, 1);
        assert_int_equal(ch_memtable_points(memtable), 0);
        assert_int_equal(ch_memtable_lsn_first(memtable), 0);
        assert_int_equal(ch_memtable_series_count(memtable), 0);
        size_t empty = ch_memtable_bytes(memtable);
        for (uint32_t id = 0; id < 300; id++) {
            ch_batch_block_t block = {.kind = CH_BLOCK_SERIES,
                                      .rows = 1000,
                                      .fields = 1,
                                      .values = &values,
                                      .times = {.form = CH_TIMES_REGULAR, .step = 1000}};
            ch_memtable_apply(memtable, &block, &id, 1);
        }
        size_t bytes = ch_memtable_bytes(memtable) - empty;
        assert_true(bytes > 300 * 1000 * 16);
        assert_true(bytes < 300 * 1000 * 18);
        ch_points_t points = {0};
        ch_memtable_read(memtable, 299, 1, 0, INT64_MAX, &points);
        assert_int_equal(points.count, 1000);
        assert_int_equal(points.form, CH_POINTS_F64);
        ch_points_release(&points);
        ch_memtable_destroy(&memtable);
    }
    ch_free(packed);
    ch_arena_pool_destroy(&pool);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memtable_answers_like_a_sorted_array),
        cmocka_unit_test(test_every_point_its_own_lsn),
        cmocka_unit_test(test_arena_blocks_are_recycled),
    };
    return cmocka_run_group_tests_name("memtable", tests, NULL, NULL);
}
