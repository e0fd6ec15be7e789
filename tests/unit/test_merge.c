/* Merging tables: right against sorted arrays, verbatim where nothing overlaps, chunks of a good size. */
#include "ch/alloc.h"
#include "ch/limits.h"
#include "ch/series_key.h"
#include "db/merge.h"
#include "sst/table_cursor.h"
#include "support/simfs.h"
#include "support/sst_model.h"
#include "support/test.h"

enum { INPUTS_MAX = 6, STEP = 1000 };

#define BASE INT64_C(1700000000000000000)
#define TEN_SECONDS INT64_C(10000000000)

typedef struct fixture {
    ch_simfs_t *simfs;
    ch_fs_t *fs;
    ch_rng_t rng;
    ch_sst_model_t models[INPUTS_MAX];
    ch_sstable_t *tables[INPUTS_MAX];
    ch_merge_input_t inputs[INPUTS_MAX];
    size_t count;
    uint64_t next_file;
    uint64_t paced;
    int64_t deleted_from, deleted_to; /* from input 0 alone */
    ch_merge_result_t result;
} fixture_t;

static void
fixture_init(fixture_t *fixture, uint64_t salt)
{
    *fixture = (fixture_t){.simfs = ch_simfs_new(ch_test_seed()), .next_file = 100};
    fixture->fs = ch_simfs_fs(fixture->simfs);
    ch_rng_seed(&fixture->rng, ch_test_seed() + salt);
}

static void
fixture_release(fixture_t *fixture)
{
    ch_merge_result_release(&fixture->result, fixture->fs, false);
    for (size_t i = 0; i < fixture->count; i++) {
        ch_sstable_destroy(&fixture->tables[i]);
        ch_sst_model_release(&fixture->models[i]);
    }
    ch_simfs_destroy(&fixture->simfs);
}

/* The model last filled in becomes a table, the newest. */
static void
add_input(fixture_t *fixture)
{
    size_t i = fixture->count++;
    char path[32];
    ch_sstable_info_t info;
    snprintf(path, sizeof path, "in%zu.sst", i);
    assert_int_equal(
        ch_sst_model_write(&fixture->models[i], fixture->fs, path, i + 1, &info), CH_OK);
    assert_int_equal(ch_sstable_open(fixture->fs, path, i + 1, &fixture->tables[i]),
                     CH_OK);
    fixture->inputs[i] = (ch_merge_input_t){.sstable = fixture->tables[i], .pass = true};
}

/* An input of `series` series, points [from, from + count) every ten seconds, values from `salt`. */
static void
add_regular(fixture_t *fixture, size_t series, int64_t from, int64_t count, int64_t salt)
{
    ch_sst_model_t *model = &fixture->models[fixture->count];
    *model = (ch_sst_model_t){.series = ch_calloc(series, sizeof *model->series),
                              .count = series};
    for (size_t s = 0; s < series; s++) {
        snprintf(model->series[s].name, sizeof model->series[s].name, "metric_%03zu", s);
        for (int64_t i = from; i < from + count; i++)
            ch_points_append(&model->series[s].points, BASE + i * TEN_SECONDS,
                             ch_value_int(i * i % 1000 + salt));
    }
    add_input(fixture);
}

static char *
new_file(void *context, uint64_t *number_out)
{
    fixture_t *fixture = context;
    char path[32];
    *number_out = fixture->next_file++;
    snprintf(path, sizeof path, "out%llu.sst", (unsigned long long)*number_out);
    return ch_strdup(path);
}

static ch_status_t
pace(void *context, uint64_t bytes)
{
    fixture_t *fixture = context;
    fixture->paced += bytes;
    return CH_OK;
}

static bool
touches(void *context, size_t input, ch_bytes_t name, ch_bytes_t labels, int64_t first,
        int64_t last)
{
    (void)name, (void)labels;
    fixture_t *fixture = context;
    return input == 0 && first <= fixture->deleted_to && last >= fixture->deleted_from;
}

static void
filter(void *context, size_t input, ch_bytes_t name, ch_bytes_t labels,
       ch_points_t *points)
{
    (void)input, (void)name, (void)labels;
    fixture_t *fixture = context;
    ch_points_t kept = {0};
    for (size_t i = 0; i < points->count; i++)
        if (points->times[i] < fixture->deleted_from ||
            points->times[i] > fixture->deleted_to)
            ch_points_append_range(&kept, points, i, i + 1);
    ch_points_clear(points);
    ch_points_append_range(points, &kept, 0, kept.count);
    ch_points_release(&kept);
}

static ch_merge_options_t
options_of(fixture_t *fixture)
{
    return (ch_merge_options_t){.fs = fixture->fs,
                                .inputs = fixture->inputs,
                                .input_count = fixture->count,
                                .first = INT64_MIN,
                                .last = INT64_MAX,
                                .lsn_min = 11,
                                .lsn_max = 42,
                                .level = CH_COLUMN_FAST,
                                .file_bytes_max = UINT64_MAX,
                                .new_file = new_file,
                                .pace = pace,
                                .context = fixture};
}

static void
merge(fixture_t *fixture, const ch_merge_options_t *options)
{
    ch_merge_result_release(&fixture->result, fixture->fs, false);
    if (ch_merge_run(options, &fixture->result) < 0)
        fail_msg("merge: %s", ch_fail_text());
}

/* ---- against arrays ---- */

static int
compare_series(const void *left, const void *right)
{
    const ch_sst_model_series_t *a = left, *b = right;
    return ch_series_key_compare(ch_bytes_text(a->name), ch_bytes_text(a->labels),
                                 ch_bytes_text(b->name), ch_bytes_text(b->labels));
}

/* Points of `series` in one model, those in the window and not deleted. */
static void
expected_part(const fixture_t *fixture, size_t input, const ch_sst_model_series_t *series,
              const ch_merge_options_t *options, ch_points_t *part)
{
    const ch_sst_model_t *model = &fixture->models[input];
    const ch_sst_model_series_t *found =
        bsearch(series, model->series, model->count, sizeof *series, compare_series);
    ch_points_clear(part);
    for (size_t i = 0; found && i < found->points.count; i++) {
        int64_t time = found->points.times[i];
        bool deleted = options->touches && input == 0 && time >= fixture->deleted_from &&
                       time <= fixture->deleted_to;
        if (time >= options->first && time <= options->last && !deleted)
            ch_points_append_range(part, &found->points, i, i + 1);
    }
}

static void
expected_points(const fixture_t *fixture, const ch_sst_model_series_t *series,
                const ch_merge_options_t *options, ch_points_t *points)
{
    ch_points_t part = {0}, both = {0};
    ch_points_clear(points);
    for (size_t i = 0; i < fixture->count; i++) {
        expected_part(fixture, i, series, options, &part);
        ch_points_merge(points, &part, &both);
        ch_points_t swapped = *points;
        *points = both;
        both = swapped;
    }
    ch_points_release(&part);
    ch_points_release(&both);
}

static void
check_series(fixture_t *fixture, ch_sstable_t **outputs,
             const ch_sst_model_series_t *series, const ch_merge_options_t *options)
{
    ch_points_t expected = {0}, read = {0};
    size_t found = 0;
    expected_points(fixture, series, options, &expected);
    for (size_t i = 0; i < fixture->result.output_count; i++) {
        ch_status_t status = ch_sstable_read(outputs[i], ch_bytes_text(series->name),
                                             ch_bytes_text(series->labels), CH_TIME_MIN,
                                             CH_TIME_MAX, &read);
        assert_true(status == CH_OK || status == CH_NOT_FOUND);
        found += status == CH_OK;
    }
    assert_int_equal(found, expected.count > 0); /* in one output, or nowhere */
    assert_true(ch_sst_model_points_equal(&expected, 0, expected.count, &read));
    ch_points_release(&expected);
    ch_points_release(&read);
}

static void
check_result(fixture_t *fixture, const ch_merge_options_t *options)
{
    ch_merge_result_t *result = &fixture->result;
    ch_sstable_t **outputs = ch_calloc(result->output_count + 1, sizeof *outputs);
    for (size_t i = 0; i < result->output_count; i++) {
        const ch_merge_output_t *output = &result->outputs[i];
        assert_int_equal(ch_sstable_open(fixture->fs, output->path,
                                         output->info.file_number, &outputs[i]),
                         CH_OK);
        assert_int_equal(ch_sstable_verify(outputs[i]), CH_OK);
        assert_int_equal(output->info.lsn_min, 11);
        assert_int_equal(output->info.lsn_max, 42);
        assert_true(output->info.time_min >= options->first);
        assert_true(output->info.time_max <= options->last);
    }
    for (size_t i = 0; i < fixture->count; i++)
        for (size_t s = 0; s < fixture->models[i].count; s++)
            check_series(fixture, outputs, &fixture->models[i].series[s], options);
    for (size_t i = 0; i < result->output_count; i++)
        ch_sstable_destroy(&outputs[i]);
    ch_free(outputs);
}

static void
random_window(fixture_t *fixture, ch_merge_options_t *options)
{
    if (ch_rng_below(&fixture->rng, 2))
        return;
    options->first = BASE + (int64_t)ch_rng_below(&fixture->rng, 3000) * TEN_SECONDS;
    options->last =
        options->first + (int64_t)ch_rng_below(&fixture->rng, 3000) * TEN_SECONDS;
}

static void
test_random_tables_merge_as_arrays_do(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < (getenv("CH_TEST_LONG") ? 200 : 12); round++) {
        static fixture_t fixture;
        fixture_init(&fixture, round);
        size_t inputs = 1 + ch_rng_below(&fixture.rng, INPUTS_MAX);
        for (size_t i = 0; i < inputs; i++) {
            ch_sst_model_random(&fixture.models[i], &fixture.rng,
                                1 + ch_rng_below(&fixture.rng, 60),
                                ch_rng_below(&fixture.rng, 3) ? 300 : 9000);
            add_input(&fixture);
        }
        ch_merge_options_t options = options_of(&fixture);
        random_window(&fixture, &options);
        if (ch_rng_below(&fixture.rng, 3) == 0)
            options.file_bytes_max = 10000;
        if (ch_rng_below(&fixture.rng, 3) == 0) {
            fixture.deleted_from =
                BASE + (int64_t)ch_rng_below(&fixture.rng, 3000) * TEN_SECONDS;
            fixture.deleted_to = fixture.deleted_from + 500 * TEN_SECONDS;
            options.touches = touches;
            options.filter = filter;
        }
        options.level = ch_rng_below(&fixture.rng, 2) ? CH_COLUMN_DENSE : CH_COLUMN_FAST;
        merge(&fixture, &options);
        check_result(&fixture, &options);
        fixture_release(&fixture);
    }
}

/* ---- verbatim ---- */

static void
read_whole(ch_fs_t *fs, const char *path, uint8_t **bytes_out, uint64_t *size_out)
{
    ch_file_t *file = NULL;
    assert_int_equal(ch_fs_open(fs, path, CH_FS_READ, &file), CH_OK);
    assert_int_equal(ch_fs_size(file, size_out), CH_OK);
    *bytes_out = ch_alloc(*size_out);
    assert_int_equal(ch_fs_read_exact(file, 0, *bytes_out, *size_out), CH_OK);
    ch_fs_close(&file);
}

/* A table of long chunks, merged alone under its own number, is the same file, byte for byte: chunks
 * and their shared times pass as they are. */
static void
test_chunks_that_nothing_overlaps_pass_verbatim(void **state)
{
    (void)state;
    static fixture_t fixture;
    fixture_init(&fixture, 0);
    add_regular(&fixture, 7, 0, 10000, 5);
    fixture.next_file = 1;
    ch_merge_options_t options = options_of(&fixture);
    merge(&fixture, &options);
    assert_int_equal(fixture.result.output_count, 1);
    assert_int_equal(fixture.result.chunks_passed, 7 * 3);
    uint8_t *before, *after;
    uint64_t size_before, size_after;
    read_whole(fixture.fs, "in0.sst", &before, &size_before);
    read_whole(fixture.fs, fixture.result.outputs[0].path, &after, &size_after);
    assert_int_equal(size_before, size_after);
    assert_memory_equal(before, after, size_before);
    assert_true(fixture.paced > 0);
    ch_free(before);
    ch_free(after);
    fixture_release(&fixture);
}

/* Where an input overlaps, just the chunks concerned are taken apart. */
static void
test_only_what_overlaps_is_decoded(void **state)
{
    (void)state;
    static fixture_t fixture;
    fixture_init(&fixture, 0);
    add_regular(&fixture, 2, 0, 20480, 5); /* five chunks a series */
    add_regular(&fixture, 2, 9000, 10, 7); /* inside the third */
    ch_merge_options_t options = options_of(&fixture);
    merge(&fixture, &options);
    check_result(&fixture, &options);
    assert_int_equal(fixture.result.chunks_passed, 2 * 4);
    fixture.inputs[0].pass = false; /* encoded otherwise: everything is written anew */
    options.level = CH_COLUMN_DENSE;
    merge(&fixture, &options);
    check_result(&fixture, &options);
    assert_int_equal(fixture.result.chunks_passed, 0);
    fixture_release(&fixture);
}

/* A chunk that a delete touches does not pass. */
static void
test_deletes_are_applied_to_their_inputs(void **state)
{
    (void)state;
    static fixture_t fixture;
    fixture_init(&fixture, 0);
    add_regular(&fixture, 1, 0, 20480, 5);
    add_regular(&fixture, 1, 100, 10, 7); /* newer than the delete: these stay */
    fixture.deleted_from = BASE + 90 * TEN_SECONDS;
    fixture.deleted_to = BASE + 5000 * TEN_SECONDS;
    ch_merge_options_t options = options_of(&fixture);
    options.touches = touches;
    options.filter = filter;
    merge(&fixture, &options);
    check_result(&fixture, &options);
    assert_int_equal(fixture.result.outputs[0].info.points, 20480 - 4911 + 10);
    assert_int_equal(fixture.result.chunks_passed, 3);
    fixture.deleted_from = INT64_MIN;
    fixture.deleted_to = INT64_MAX;
    options.input_count = 1; /* all of it is gone: no table */
    merge(&fixture, &options);
    assert_int_equal(fixture.result.output_count, 0);
    fixture_release(&fixture);
}

/* ---- joining ---- */

static void
check_chunk_sizes(fixture_t *fixture)
{
    const ch_merge_output_t *output = &fixture->result.outputs[0];
    ch_sstable_t *sstable = NULL;
    assert_int_equal(
        ch_sstable_open(fixture->fs, output->path, output->info.file_number, &sstable),
        CH_OK);
    ch_table_cursor_t *cursor = ch_table_cursor_new(sstable, INT64_MIN, INT64_MAX, 0);
    size_t chunks = 0;
    while (ch_table_cursor_next(cursor) == CH_OK)
        while (ch_table_cursor_chunk(cursor)) {
            uint32_t points = ch_table_cursor_chunk(cursor)->points;
            assert_in_range(points, CH_MERGE_PASS_POINTS, CH_CHUNK_POINTS_TARGET);
            chunks++;
            assert_int_equal(ch_table_cursor_step(cursor), CH_OK);
        }
    assert_true(chunks > 0);
    ch_table_cursor_destroy(&cursor);
    ch_sstable_destroy(&sstable);
}

static void
test_short_chunks_are_joined(void **state)
{
    (void)state;
    static fixture_t fixture;
    fixture_init(&fixture, 0);
    for (int64_t i = 0; i < INPUTS_MAX; i++) /* short, long, short ... */
        add_regular(&fixture, 3, i * 5000, i % 2 ? 4500 : 720, i);
    ch_merge_options_t options = options_of(&fixture);
    merge(&fixture, &options);
    check_result(&fixture, &options);
    check_chunk_sizes(&fixture);
    fixture_release(&fixture);
}

/* ---- failures ---- */

static ch_status_t
count_outputs(void *context, const char *path, uint64_t size)
{
    (void)size;
    *(size_t *)context += strstr(path, "out") != NULL;
    return CH_OK;
}

static void
test_a_failed_merge_names_its_input_and_leaves_nothing(void **state)
{
    (void)state;
    static fixture_t fixture;
    fixture_init(&fixture, 0);
    add_regular(&fixture, 200, 0, 100, 1);
    add_regular(&fixture, 200, 50, 4100, 2);
    ch_merge_options_t options = options_of(&fixture);
    options.file_bytes_max = 1000;
    uint64_t size;
    uint8_t *bytes;
    read_whole(fixture.fs, "in1.sst", &bytes, &size);
    ch_free(bytes);
    assert_int_equal(ch_simfs_flip(fixture.simfs, "in1.sst", size / 3 * 8), CH_OK);
    assert_int_equal(ch_merge_run(&options, &fixture.result), CH_ERR_CORRUPT);
    assert_true(fixture.result.input_failed);
    assert_int_equal(fixture.result.failed_input, 1);
    assert_int_equal(fixture.result.output_count, 0);
    size_t outputs = 0;
    assert_int_equal(ch_simfs_files(fixture.simfs, count_outputs, &outputs), CH_OK);
    assert_int_equal(outputs, 0);
    fixture_release(&fixture);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_tables_merge_as_arrays_do),
        cmocka_unit_test(test_chunks_that_nothing_overlaps_pass_verbatim),
        cmocka_unit_test(test_only_what_overlaps_is_decoded),
        cmocka_unit_test(test_deletes_are_applied_to_their_inputs),
        cmocka_unit_test(test_short_chunks_are_joined),
        cmocka_unit_test(test_a_failed_merge_names_its_input_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
