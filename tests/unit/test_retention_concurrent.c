/* Retention beside everything else: one writer, who runs the rules too, readers, the syncer, the flusher, the
 * compactor. Batch n writes n to `left` and `right`, which a rule keeps for ever, and to `old`, which goes after
 * ten minutes, all at n seconds. A cut takes what lies before it and nothing else, so whoever looks sees
 * of `old` a run without a hole, which ends where `left` and `right` do and whose begin never goes back. */
#include "support/test.h"

#include "ch/alloc.h"
#include "ch/engine.h"
#include "db/retention.h"

#include <pthread.h>

#define SECOND INT64_C(1000000000)

enum { READERS = 2, AGE_S = 600, RETAIN_EVERY = 60, PAD = 20 };

#ifdef CH_TSAN
enum { BATCHES = 3000 };
#else
enum { BATCHES = 12000 };
#endif

typedef struct shared {
    ch_engine_t *engine;
    int64_t now_ns; /* of the engine's clock */
    bool done;
    const char *wrong; /* the first is as good as any */
} shared_t;

static int64_t
now_ns(void *context)
{
    return __atomic_load_n((int64_t *)context, __ATOMIC_RELAXED);
}

static bool
read_series(ch_view_t *view, const char *name, int64_t start, ch_points_t *points)
{
    const ch_source_t *source = ch_view_source(view);
    ch_selector_t *selector = NULL;
    ch_series_list_t list = {0};
    bool more = false;
    ch_points_clear(points);
    ch_status_t status = ch_selector_parse(ch_bytes_text(name), &selector);
    if (status >= 0)
        status = source->select(source->context, selector, start, CH_TIME_MAX, 10, &list);
    if (status >= 0 && list.count == 1)
        status = source->read(source->context, list.items, start, CH_TIME_MAX, SIZE_MAX,
                              points, &more);
    ch_series_list_release(&list);
    ch_selector_destroy(&selector);
    return status >= 0;
}

/* `first`: the earliest second seen, which may not go back. */
static const char *
look(ch_view_t *view, ch_points_t *points, int64_t *first)
{
    int64_t newest[2] = {0, 0}, time;
    static const char *const names[] = {"left", "right"};
    for (int i = 0; i < 2; i++) {
        ch_value_t value = ch_value_int(0);
        if (ch_view_get(view, ch_bytes_text(names[i]), ch_bytes(NULL, 0), CH_TIME_MAX,
                        &time, &value) < 0)
            return "a get failed";
        newest[i] = value.i64;
    }
    if (newest[0] != newest[1])
        return "half a batch";
    if (!read_series(view, "old", CH_TIME_MIN, points))
        return "a read failed";
    if (points->count == 0)
        return newest[0] ? "all is gone" : NULL;
    int64_t begin = points->times[0] / SECOND;
    for (size_t i = 0; i < points->count; i++)
        if (points->times[i] != (begin + (int64_t)i) * SECOND)
            return "a hole";
    if (begin + (int64_t)points->count - 1 != newest[0])
        return "its end is not that of the others";
    if (begin < *first)
        return "what was gone is back";
    if (begin > 1 && newest[0] - begin < AGE_S - 1)
        return "what is young is gone";
    *first = begin;
    return NULL;
}

static void
look_once(shared_t *shared, ch_points_t *points, int64_t *first)
{
    ch_view_t *view = NULL;
    const char *wrong = "no view";
    if (ch_view_open(shared->engine, &view) == CH_OK)
        wrong = look(view, points, first);
    if (wrong)
        __atomic_store_n(&shared->wrong, wrong, __ATOMIC_RELAXED);
    ch_view_destroy(&view);
}

static void *
read_along(void *context)
{
    shared_t *shared = context;
    ch_points_t points = {0};
    int64_t first = 0;
    while (!__atomic_load_n(&shared->done, __ATOMIC_ACQUIRE)) {
        look_once(shared, &points, &first);
    }
    ch_points_release(&points);
    return NULL;
}

static void
append(shared_t *shared, int64_t n)
{
    char pads[PAD][16]; /* so that there is something to flush */
    ch_bytes_t names[PAD + 3], labels[PAD + 3] = {{0}};
    ch_value_t list[PAD + 3];
    for (int i = 0; i < PAD; i++) {
        (void)snprintf(pads[i], sizeof pads[i], "pad%d", i);
        names[i + 2] = ch_bytes_text(pads[i]);
        list[i + 2] = ch_value_float((double)n / 3);
    }
    names[0] = ch_bytes_text("left");
    names[1] = ch_bytes_text("old");
    names[PAD + 2] = ch_bytes_text("right");
    list[0] = list[1] = list[PAD + 2] = ch_value_int(n);
    ch_values_t values = {.form = CH_VALUES_LIST, .list = list};
    ch_batch_block_t block = {.kind = CH_BLOCK_POINTS,
                              .rows = PAD + 3,
                              .fields = 1,
                              .names = names,
                              .labels = labels,
                              .times = {.form = CH_TIMES_REGULAR, .start = n * SECOND},
                              .values = &values};
    ch_batch_t batch = {.blocks = &block, .block_count = 1, .points = PAD + 3};
    ch_append_result_t result;
    if (!ch_engine_ready(shared->engine))
        assert_int_equal(ch_engine_sync(shared->engine), CH_OK);
    assert_int_equal(ch_engine_append(shared->engine, &batch, &result), CH_OK);
    assert_int_equal(result.state, CH_APPEND_TAKEN);
}

/* The rules look at tables, so time stands where the data are when these are flushed. */
static unsigned
run_rules(shared_t *shared, int64_t n, ch_points_t *points, int64_t *first)
{
    uint64_t lsn;
    if (n % RETAIN_EVERY)
        return 0;
    assert_int_equal(ch_engine_flush(shared->engine, &lsn), CH_OK);
    __atomic_store_n(&shared->now_ns, n * SECOND, __ATOMIC_RELAXED);
    ch_status_t status = ch_engine_retain(shared->engine);
    assert_true(status >= 0);
    look_once(shared, points, first);
    return status == CH_OK;
}

/* At the end, merged and opened again, `old` begins at the last cut and the others are whole. */
static void
check_end(const ch_engine_options_t *options)
{
    ch_engine_t *engine = NULL;
    ch_view_t *view = NULL;
    ch_points_t points = {0};
    int64_t first = 0;
    assert_int_equal(ch_engine_open(options, &engine), CH_OK);
    assert_int_equal(ch_view_open(engine, &view), CH_OK);
    const char *wrong = look(view, &points, &first);
    if (wrong)
        fail_msg("after a restart: %s", wrong);
    assert_true(first > BATCHES - 3 * AGE_S);
    assert_true(read_series(view, "left", CH_TIME_MIN, &points));
    assert_int_equal(points.count, BATCHES);
    ch_points_release(&points);
    ch_view_destroy(&view);
    ch_engine_destroy(&engine);
}

static void
test_a_cut_takes_its_part_and_nothing_else(void **state)
{
    (void)state;
    char *path = ch_test_dir_new();
    static const ch_retention_rule_t rules[] = {{"{__name__=~\"left|right\"}", 0}};
    shared_t shared = {.now_ns = 1};
    const ch_clock_t clock = {now_ns, now_ns, &shared.now_ns};
    ch_engine_options_t options;
    ch_engine_options_init(&options);
    options.path = path;
    options.clock = &clock;
    options.memtable_bytes = 64 << 10;
    options.compaction_flushes = 2;
    options.compaction_bytes_per_s = 0;
    options.retention = (ch_retention_options_t){
        .age_ns = AGE_S * SECOND, .rules = rules, .rule_count = 1};
    assert_int_equal(ch_engine_open(&options, &shared.engine), CH_OK);
    pthread_t threads[READERS];
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_along, &shared), 0);
    ch_points_t points = {0};
    int64_t first = 0;
    unsigned cuts = 0; /* the writer looks too: readers may get no turn */
    for (int64_t n = 1; n <= BATCHES; n++) {
        append(&shared, n);
        cuts += run_rules(&shared, n, &points, &first);
    }
    ch_points_release(&points);
    assert_int_equal(ch_engine_sync(shared.engine), CH_OK);
    __atomic_store_n(&shared.done, true, __ATOMIC_RELEASE);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    if (shared.wrong)
        fail_msg("%s", shared.wrong);
    assert_true(cuts > 3);
    assert_int_equal(ch_engine_close(shared.engine), CH_OK);
    ch_engine_destroy(&shared.engine);
    check_end(&options);
    ch_test_dir_remove(&path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_cut_takes_its_part_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
