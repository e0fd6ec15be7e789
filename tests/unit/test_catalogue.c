/* The catalogue of series: answers are the same with it, without it, and with any of it damaged. */
#include "support/engine_rig.h"
#include "support/test.h"

#include "ch/alloc.h"

typedef struct files {
    char names[16][80];
    size_t count;
} files_t;

static ch_status_t
note_file(void *context, const char *name)
{
    files_t *files = context;
    assert_in_range(files->count, 0, 15);
    snprintf(files->names[files->count++], sizeof files->names[0], "db/catalogue/%s",
             name);
    return CH_OK;
}

static files_t
catalogue_files(ch_rig_t *rig)
{
    files_t files = {.count = 0};
    assert_int_equal(
        ch_fs_list(ch_simfs_fs(rig->simfs), "db/catalogue", note_file, &files), CH_OK);
    return files;
}

static void
keep_loaded(void *context, const ch_stat_t *stat)
{
    if (strcmp(stat->name, "engine.series_loaded") == 0)
        *(double *)context = stat->value;
}

static unsigned
loaded(ch_rig_t *rig)
{
    double value = -1;
    ch_engine_stats(rig->engine, keep_loaded, &value);
    assert_true(value >= 0);
    return (unsigned)value;
}

static void
flush(ch_rig_t *rig)
{
    uint64_t ignored;
    assert_int_equal(ch_engine_sync(rig->engine), CH_OK);
    assert_int_equal(ch_engine_flush(rig->engine, &ignored), CH_OK);
}

/* As a kill: nothing is closed. */
static void
reopen(ch_rig_t *rig)
{
    ch_engine_destroy(&rig->engine);
    ch_rig_open(rig);
    ch_model_compare(rig->model, rig->engine, &rig->rng, true);
}

/* Goal: a start that reads the catalogue answers as one that reads all keys. Method: random batches
 * and flushes; after each round start with it, then without it. */
static void
test_answers_are_the_same_with_and_without(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    for (int round = 0; round < 12; round++) {
        /* At first enough that a few series are surely there: a drawn batch may be empty. */
        for (int i = 0; i < (round == 0 ? 30 : 3); i++)
            ch_rig_append(&rig, true);
        flush(&rig);
        if (round % 3 == 0)
            ch_rig_restart(&rig);
        else
            reopen(&rig);
        assert_true(loaded(&rig) >= 3);
        files_t files = catalogue_files(&rig);
        assert_in_range(files.count, 1, 2); /* an image, and what was added to it */
        if (round % 4 == 3) {
            for (size_t i = 0; i < files.count; i++)
                assert_int_equal(ch_fs_unlink(ch_simfs_fs(rig.simfs), files.names[i]),
                                 CH_OK);
            reopen(&rig);
            assert_int_equal(loaded(&rig), 0);
            ch_rig_append(&rig, true);
            flush(&rig); /* it is made anew */
            assert_true(catalogue_files(&rig).count > 0);
        }
    }
    ch_rig_release(&rig);
}

/* Goal: no flipped bit of the catalogue changes an answer. Method: one random bit of every third
 * byte of its files, a start, all answers. */
static void
test_no_flipped_bit_changes_an_answer(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    for (int round = 0; round < 4; round++) {
        ch_rig_append(&rig, true);
        flush(&rig);
    }
    reopen(&rig);
    unsigned series = loaded(&rig);
    files_t files = catalogue_files(&rig);
    ch_engine_destroy(&rig.engine);
    for (size_t f = 0; f < files.count; f++) {
        uint64_t size = 0;
        ch_file_t *file = NULL;
        assert_int_equal(
            ch_fs_open(ch_simfs_fs(rig.simfs), files.names[f], CH_FS_READ, &file), CH_OK);
        assert_int_equal(ch_fs_size(file, &size), CH_OK);
        ch_fs_close(&file);
        for (uint64_t byte = 0; byte < size; byte += 3) {
            uint64_t bit = byte * 8 + ch_rng_below(&rig.rng, 8);
            assert_int_equal(ch_simfs_flip(rig.simfs, files.names[f], bit), CH_OK);
            ch_rig_open(&rig);
            if (strstr(files.names[f], ".image"))
                assert_int_equal(loaded(&rig), 0); /* noticed, and none of it used */
            ch_model_compare(rig.model, rig.engine, &rig.rng, true);
            ch_engine_destroy(&rig.engine);
            assert_int_equal(ch_simfs_flip(rig.simfs, files.names[f], bit), CH_OK);
        }
    }
    ch_rig_open(&rig);
    assert_int_equal(loaded(&rig), series);
    ch_rig_release(&rig);
}

static void
count_series(void *context, const ch_stat_t *stat)
{
    if (strcmp(stat->name, "engine.series") == 0)
        *(double *)context = stat->value;
}

static unsigned
known(ch_rig_t *rig)
{
    double value = -1;
    ch_engine_stats(rig->engine, count_series, &value);
    return (unsigned)value;
}

static void append_one(ch_engine_t *engine, const char *name);

/* Goal: series that have no points any more are forgotten. Method: for 30 days 50 new series each, of
 * which 45 are deleted before a table has them; the node starts once a day. */
static void
test_series_without_points_leave_at_a_start(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    for (unsigned day = 1; day <= 30; day++) {
        char name[32], match[48];
        for (unsigned i = 0; i < 50; i++) {
            snprintf(name, sizeof name, "day%u_%u", day, i);
            append_one(rig.engine, name);
        }
        snprintf(match, sizeof match, "{__name__=~\"day%u_([1-4][0-9]|[5-9])\"}", day);
        ch_delete_t delete = {
            .match = ch_bytes_text(match), .start = CH_TIME_MIN, .end = CH_TIME_MAX};
        ch_delete_result_t result;
        assert_int_equal(ch_engine_delete(rig.engine, &delete, &result), CH_OK);
        ch_view_destroy(&result.before);
        flush(&rig);
        assert_int_equal(ch_engine_close(rig.engine), CH_OK);
        ch_engine_destroy(&rig.engine);
        ch_rig_open(&rig);
        assert_in_range(known(&rig), 5 * day, 5 * day * 4 / 3);
    }
    ch_rig_release(&rig);
}

/* A batch of one point, not synced, while the flush writes its table. */
typedef struct beside {
    ch_rig_t *rig;
    bool done;
} beside_t;

static void
append_one(ch_engine_t *engine, const char *name)
{
    ch_bytes_t names[1] = {ch_bytes_text(name)}, labels[1] = {{0}};
    ch_value_t list[1] = {ch_value_int(1)};
    ch_values_t values = {.form = CH_VALUES_LIST, .list = list};
    ch_batch_block_t block = {.kind = CH_BLOCK_POINTS,
                              .rows = 1,
                              .fields = 1,
                              .names = names,
                              .labels = labels,
                              .times = {.form = CH_TIMES_REGULAR, .start = 1},
                              .values = &values};
    ch_batch_t batch = {.blocks = &block, .block_count = 1, .points = 1};
    ch_append_result_t result;
    assert_int_equal(ch_engine_append(engine, &batch, &result), CH_OK);
    assert_int_equal(result.state, CH_APPEND_TAKEN);
}

static void
append_beside_flush(void *context, ch_simfs_t *simfs, ch_simfs_call_t call,
                    const char *path)
{
    (void)simfs;
    (void)call;
    beside_t *beside = context;
    if (beside->done || !strstr(path, ".sst"))
        return;
    beside->done = true;
    append_one(beside->rig->engine, "ghost");
}

/* Goal: a series whose first batch was lost is not listed after the crash. Method: it comes while a
 * flush writes its table, and never becomes durable. */
static void
test_series_that_were_lost_are_not_listed(void **state)
{
    (void)state;
    static ch_rig_t rig;
    static const char *const names[] = {"a", "b", "c", "d"};
    ch_rig_init(&rig, ch_test_seed());
    beside_t beside = {.rig = &rig};
    for (size_t i = 0; i < 4; i++)
        append_one(rig.engine, names[i]);
    assert_int_equal(ch_engine_sync(rig.engine), CH_OK);
    ch_simfs_observe(rig.simfs, CH_SIMFS_WRITE, append_beside_flush, &beside);
    uint64_t ignored;
    assert_int_equal(ch_engine_flush(rig.engine, &ignored), CH_OK);
    ch_simfs_observe(rig.simfs, 0, NULL, NULL);
    assert_true(beside.done);
    ch_engine_destroy(&rig.engine);
    ch_simfs_crash(rig.simfs, CH_SIMFS_LOSE_UNSYNCED, &rig.rng);
    ch_rig_open(&rig);
    assert_int_equal(loaded(&rig), 4);
    ch_view_t *view = NULL;
    ch_selector_t *selector = NULL;
    ch_series_list_t list = {0};
    assert_int_equal(ch_view_open(rig.engine, &view), CH_OK);
    assert_int_equal(ch_selector_parse(ch_bytes_text("{__name__=~\".+\"}"), &selector),
                     CH_OK);
    const ch_source_t *source = ch_view_source(view);
    assert_int_equal(
        source->select(source->context, selector, CH_TIME_MIN, CH_TIME_MAX, 100, &list),
        CH_OK);
    assert_int_equal(list.count, 4);
    ch_series_list_release(&list);
    ch_selector_destroy(&selector);
    ch_view_destroy(&view);
    ch_rig_release(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_are_the_same_with_and_without),
        cmocka_unit_test(test_no_flipped_bit_changes_an_answer),
        cmocka_unit_test(test_series_without_points_leave_at_a_start),
        cmocka_unit_test(test_series_that_were_lost_are_not_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
