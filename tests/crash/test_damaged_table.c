/* A damaged table costs its range and nothing else; and nobody is ever told less than there is. */
#include "ch/snapshot.h"
#include "support/engine_rig.h"
#include "support/test.h"

#include <stdlib.h>

enum { TABLES_MAX = 64, WINDOW = 40, WINDOWS = 4 };

#define SECOND INT64_C(1000000000)

/* ---- helpers ---- */

typedef struct tables {
    char paths[TABLES_MAX][80];
    uint64_t sizes[TABLES_MAX];
    size_t count;
} tables_t;

static ch_status_t
note_table(void *context, const char *path, uint64_t size)
{
    tables_t *tables = context;
    if (strncmp(path, "db/sst/", 7) != 0 || !strstr(path, ".sst"))
        return CH_OK;
    assert_in_range(tables->count, 0, TABLES_MAX - 1);
    snprintf(tables->paths[tables->count], sizeof tables->paths[0], "%s", path);
    tables->sizes[tables->count++] = size;
    return CH_OK;
}

static tables_t
tables_of(ch_simfs_t *simfs)
{
    tables_t tables = {.count = 0};
    assert_int_equal(ch_simfs_files(simfs, note_table, &tables), CH_OK);
    return tables;
}

static void
flip(ch_simfs_t *simfs, const char *path, uint64_t bit)
{
    assert_int_equal(ch_simfs_flip(simfs, path, bit), CH_OK);
}

/* The rig's database on another disk. */
static void
fork_rig(const ch_rig_t *rig, ch_rig_t *other)
{
    *other = *rig;
    other->simfs = ch_simfs_clone(rig->simfs);
    other->options.fs = ch_simfs_fs(other->simfs);
    other->model = ch_model_copy(rig->model);
    other->engine = NULL;
}

/* Logged also where damage keeps it from being counted. */
static void
delete_some(ch_rig_t *rig)
{
    ch_delete_result_t result;
    const ch_delete_t *delete = ch_model_delete(rig->model, &rig->rng, NULL);
    assert_int_equal(ch_engine_delete(rig->engine, delete, &result), CH_OK);
    if (result.lsn)
        ch_model_deleted(rig->model, result.lsn);
    ch_view_destroy(&result.before);
}

static void
assert_honest(ch_rig_t *rig, const char *what)
{
    if (!ch_model_agrees_or_errs(rig->model, rig->engine))
        fail_msg("%s: an answer is wrong, and does not say so", what);
}

/* Work on a database of which a table is damaged; then the file is as it was. */
static void
live_with_it(const ch_rig_t *rig, const char *path, uint64_t bit, bool heal)
{
    static ch_rig_t other;
    uint64_t lsn;
    char what[160];
    snprintf(what, sizeof what, "%s, bit %llu", path, (unsigned long long)bit);
    fork_rig(rig, &other);
    flip(other.simfs, path, bit);
    ch_rig_open(&other);
    assert_honest(&other, what);
    if (!heal) {
        ch_rig_release(&other);
        return;
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5; i++)
            ch_rig_append(&other, false);
        delete_some(&other);
        assert_int_equal(ch_engine_sync(other.engine), CH_OK);
        assert_honest(&other, what);
        assert_int_equal(ch_engine_flush(other.engine, &lsn), CH_OK);
        assert_honest(&other, what);
    }
    assert_int_equal(ch_engine_compact(other.engine, &lsn), CH_OK);
    assert_honest(&other, what);
    ch_engine_destroy(&other.engine);
    ch_rig_open(&other);
    assert_honest(&other, what);
    if (ch_rig_stat(&other, "sst.damaged") > 0) { /* else all that was damaged is gone */
        assert_int_equal(ch_engine_close(other.engine), CH_OK);
        ch_engine_destroy(&other.engine);
        flip(other.simfs, path, bit);
        ch_rig_open(&other);
        assert_int_equal(ch_rig_stat(&other, "sst.damaged"), 0);
        ch_model_compare(other.model, other.engine, &other.rng, true);
    }
    ch_rig_release(&other);
}

static ch_status_t
remove_part(void *fs, const char *name)
{
    char path[120];
    snprintf(path, sizeof path, "db/catalogue/%s", name);
    return ch_fs_unlink(fs, path);
}

static void
make_closed(ch_rig_t *rig, bool catalogue)
{
    ch_rig_init(rig, ch_test_seed());
    ch_rig_fill(rig, 4);
    assert_int_equal(ch_engine_close(rig->engine), CH_OK);
    ch_engine_destroy(&rig->engine);
    if (!catalogue)
        assert_int_equal(
            ch_fs_list(rig->options.fs, "db/catalogue", remove_part, rig->options.fs),
            CH_OK);
    ch_simfs_crash(rig->simfs, CH_SIMFS_KEEP_UNSYNCED, NULL);
}

/* ---- honest ---- */

/* Each table in turn, bits at both ends and everywhere between. */
static void
turn_bits(bool catalogue)
{
    static ch_rig_t rig;
    unsigned tries = getenv("CH_TEST_LONG") ? 800 : 12;
    make_closed(&rig, catalogue);
    tables_t tables = tables_of(rig.simfs);
    assert_true(tables.count >= 2);
    for (size_t t = 0; t < tables.count; t++)
        for (unsigned n = 0; n < tries; n++) {
            uint64_t size = tables.sizes[t], end = size < 400 ? size : 400;
            uint64_t byte = ch_rng_below(&rig.rng, size);
            if (n % 2) /* footer, index and filter are short and at the end */
                byte = size - 1 - ch_rng_below(&rig.rng, end);
            live_with_it(&rig, tables.paths[t], byte * 8 + ch_rng_below(&rig.rng, 8),
                         n % 8 < 2);
        }
    ch_rig_release(&rig);
}

static void
test_no_turned_bit_of_a_table_changes_an_answer(void **state)
{
    (void)state;
    turn_bits(true);
}

static void
test_nor_where_no_catalogue_knows_the_series(void **state)
{
    (void)state;
    turn_bits(false);
}

static void
test_a_missing_table_changes_no_answer(void **state)
{
    (void)state;
    static ch_rig_t rig, other;
    for (int catalogue = 0; catalogue < 2; catalogue++) {
        make_closed(&rig, catalogue);
        tables_t tables = tables_of(rig.simfs);
        for (size_t t = 0; t < tables.count; t++) {
            fork_rig(&rig, &other);
            assert_int_equal(ch_fs_rename(other.options.fs, tables.paths[t], "kept"),
                             CH_OK);
            ch_rig_open(&other);
            assert_int_equal(ch_rig_stat(&other, "sst.damaged"), 1);
            assert_honest(&other, tables.paths[t]);
            ch_copy_report_t report;
            assert_int_equal(ch_engine_snapshot(other.engine, "s", &report),
                             CH_ERR_CORRUPT);
            for (int i = 0; i < 5; i++)
                ch_rig_append(&other, false);
            delete_some(&other);
            assert_int_equal(ch_engine_close(other.engine), CH_OK);
            ch_engine_destroy(&other.engine);
            assert_int_equal(ch_fs_rename(other.options.fs, "kept", tables.paths[t]),
                             CH_OK);
            ch_rig_open(&other);
            ch_model_compare(other.model, other.engine, &other.rng, true);
            ch_rig_release(&other);
        }
        ch_rig_release(&rig);
    }
}

static void
test_reading_without_a_node_is_as_honest(void **state)
{
    (void)state;
    static ch_rig_t rig, other;
    make_closed(&rig, true);
    tables_t tables = tables_of(rig.simfs);
    for (size_t t = 0; t < tables.count; t++) {
        fork_rig(&rig, &other);
        other.options.read_only = true;
        flip(other.simfs, tables.paths[t], tables.sizes[t] * 8 - 1);
        uint64_t used = ch_simfs_used(other.simfs);
        ch_rig_open(&other);
        assert_honest(&other, tables.paths[t]);
        assert_int_equal(ch_simfs_used(other.simfs), used);
        ch_rig_release(&other);
    }
    ch_rig_release(&rig);
}

/* ---- only its range ---- */

/* Series a, b and one of the window's own with a point a second, a table for each window. */
static void
open_windows(ch_rig_t *rig, uint32_t catalogue_series_min)
{
    uint64_t ignored;
    ch_rig_init(rig, ch_test_seed());
    ch_engine_destroy(&rig->engine);
    rig->options.compaction_flushes = 0;
    rig->options.catalogue_series_min = catalogue_series_min;
    ch_rig_open(rig);
    for (int window = 0; window < WINDOWS; window++) {
        static const char *const own[] = {"w0", "w1", "w2", "w3"};
        const char *const names[] = {"a", "b", own[window]};
        ch_bytes_t name_of[3], labels_of[3] = {{0}};
        ch_batch_block_t blocks[3];
        ch_values_t values[3];
        int64_t packed[WINDOW];
        ch_append_result_t result;
        for (int i = 0; i < WINDOW; i++)
            packed[i] = window * WINDOW + i;
        for (int s = 0; s < 3; s++) {
            name_of[s] = ch_bytes_text(names[s]);
            values[s] = (ch_values_t){.form = CH_VALUES_I64, .packed = (uint8_t *)packed};
            blocks[s] =
                (ch_batch_block_t){.kind = CH_BLOCK_SERIES,
                                   .rows = WINDOW,
                                   .fields = 1,
                                   .names = &name_of[s],
                                   .labels = &labels_of[s],
                                   .times = {.form = CH_TIMES_REGULAR,
                                             .start = (int64_t)window * WINDOW * SECOND,
                                             .step = SECOND},
                                   .values = &values[s]};
        }
        const ch_batch_t batch = {
            .blocks = blocks, .block_count = 3, .points = 3 * WINDOW};
        assert_int_equal(ch_engine_append(rig->engine, &batch, &result), CH_OK);
        assert_int_equal(ch_engine_sync(rig->engine), CH_OK);
        assert_int_equal(ch_engine_flush(rig->engine, &ignored), CH_OK);
    }
}

static ch_status_t
count(ch_rig_t *rig, const char *match, int from, int to, uint64_t *points_out)
{
    ch_view_t *view = NULL;
    ch_selector_t *selector = NULL;
    uint64_t series;
    ch_clock_t clock = ch_clock_system();
    assert_int_equal(ch_view_open(rig->engine, &view), CH_OK);
    assert_int_equal(ch_selector_parse(ch_bytes_text(match), &selector), CH_OK);
    ch_status_t status =
        ch_view_count(view, selector, (int64_t)from * WINDOW * SECOND,
                      (int64_t)to * WINDOW * SECOND, &clock, 0, points_out, &series);
    ch_selector_destroy(&selector);
    ch_view_destroy(&view);
    return status;
}

static ch_status_t
get_at(ch_rig_t *rig, const char *name, int64_t time, int64_t *value_out)
{
    ch_view_t *view = NULL;
    ch_value_t value = {.type = CH_VALUE_NONE};
    int64_t at;
    assert_int_equal(ch_view_open(rig->engine, &view), CH_OK);
    ch_status_t status =
        ch_view_get(view, ch_bytes_text(name), ch_bytes(NULL, 0), time, &at, &value);
    *value_out = value.i64;
    ch_view_destroy(&view);
    return status;
}

static bool
count_name(void *context, ch_bytes_t name)
{
    (void)name;
    ++*(int *)context;
    return true;
}

static void
assert_names(ch_rig_t *rig, int names, bool warned)
{
    ch_view_t *view = NULL;
    int found = 0;
    assert_int_equal(ch_view_open(rig->engine, &view), CH_OK);
    ch_view_list_despite_damage(view);
    assert_int_equal(
        ch_view_label_values(view, NULL, ch_bytes_text("__name__"), count_name, &found),
        CH_OK);
    assert_int_equal(found, names);
    assert_int_equal(ch_view_warning(view) != NULL, warned);
    ch_view_destroy(&view);
}

typedef struct said {
    int lines;
    char last[1024];
} said_t;

static void
note_line(void *context, ch_log_level_t level, const char *line)
{
    said_t *said = context;
    (void)level;
    if (!strstr(line, "event=table_damaged"))
        return;
    said->lines++;
    snprintf(said->last, sizeof said->last, "%s", line);
}

static void
reopen_damaged(ch_rig_t *rig, size_t table, said_t *said)
{
    static ch_log_t log;
    tables_t tables = tables_of(rig->simfs);
    assert_int_equal(tables.count, WINDOWS);
    if (rig->engine)
        assert_int_equal(ch_engine_close(rig->engine), CH_OK);
    ch_engine_destroy(&rig->engine);
    flip(rig->simfs, tables.paths[table], tables.sizes[table] * 8 - 40);
    *said = (said_t){0};
    log = (ch_log_t){note_line, said, CH_LOG_WARN};
    rig->options.log = &log;
    ch_rig_open(rig);
}

static void
test_other_ranges_answer_fully(void **state)
{
    (void)state;
    static ch_rig_t rig;
    for (uint32_t least = 1; least < 1000;
         least += 900) { /* with a catalogue and without */
        said_t said;
        uint64_t points;
        int64_t value;
        bool known = least == 1;
        open_windows(&rig, least);
        reopen_damaged(&rig, 1, &said);
        assert_int_equal(said.lines, 1);
        assert_non_null(
            strstr(said.last, "from=1970-01-01T00:00:40Z to=1970-01-01T00:01:19Z"));
        assert_non_null(strstr(said.last, ".sst"));
        assert_int_equal(ch_rig_stat(&rig, "sst.damaged"), 1);
        for (int window = 0; window < WINDOWS; window++) {
            ch_status_t status = count(&rig, "a", window, window + 1, &points);
            assert_int_equal(status, window == 1 ? CH_ERR_CORRUPT : CH_OK);
            if (window != 1)
                assert_int_equal(points, WINDOW);
            status = get_at(&rig, "b", ((window + 1) * WINDOW - 1) * SECOND, &value);
            assert_int_equal(status, window == 1 ? CH_ERR_CORRUPT : CH_OK);
            if (window != 1)
                assert_int_equal(value, (window + 1) * WINDOW - 1);
        }
        assert_int_equal(count(&rig, "a", 2, 4, &points), CH_OK);
        assert_int_equal(points, 2 * WINDOW);
        assert_int_equal(count(&rig, "a", 0, 4, &points), CH_ERR_CORRUPT);
        assert_non_null(strstr(ch_fail_text(), "1970-01-01T00:00:40Z"));
        assert_int_equal(get_at(&rig, "a", CH_TIME_MAX, &value), CH_OK);
        assert_int_equal(value, WINDOWS * WINDOW - 1);
        assert_int_equal(count(&rig, "nobody", 0, 4, &points),
                         known ? CH_OK : CH_ERR_CORRUPT);
        assert_int_equal(get_at(&rig, "nobody", CH_TIME_MAX, &value),
                         known ? CH_NOT_FOUND : CH_ERR_CORRUPT);
        assert_names(&rig, 2 + WINDOWS - !known, !known);
        ch_rig_release(&rig);
    }
}

/* A bad block of an open table: those who need it are told, and it is said once. */
static void
test_a_bad_block_is_said_once(void **state)
{
    (void)state;
    static ch_rig_t rig;
    said_t said;
    uint64_t points;
    open_windows(&rig, 1);
    tables_t tables = tables_of(rig.simfs);
    reopen_damaged(&rig, 1, &said);
    assert_int_equal(ch_engine_close(rig.engine), CH_OK);
    ch_engine_destroy(&rig.engine);
    flip(rig.simfs, tables.paths[1], tables.sizes[1] * 8 - 40); /* as it was */
    flip(rig.simfs, tables.paths[1], 8 * 20);
    said = (said_t){0};
    ch_rig_open(&rig);
    assert_int_equal(said.lines, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(count(&rig, "a", 1, 2, &points), CH_ERR_CORRUPT);
    assert_int_equal(said.lines, 1);
    assert_int_equal(ch_rig_stat(&rig, "sst.damaged"), 1);
    assert_int_equal(count(&rig, "a", 2, 4, &points), CH_OK);
    assert_int_equal(points, 2 * WINDOW);
    ch_rig_release(&rig);
}

/* Nobody else knows of its series: neither a delete meanwhile nor a new catalogue may forget them. */
static void
test_what_only_it_has_comes_back(void **state)
{
    (void)state;
    static ch_rig_t rig;
    said_t said;
    uint64_t points, ignored;
    ch_delete_result_t result;
    open_windows(&rig, 1);
    tables_t tables = tables_of(rig.simfs);
    assert_int_equal(ch_engine_close(rig.engine), CH_OK);
    ch_engine_destroy(&rig.engine);
    assert_int_equal(
        ch_fs_list(rig.options.fs, "db/catalogue", remove_part, rig.options.fs), CH_OK);
    reopen_damaged(&rig, 1, &said);
    const ch_delete_t delete = {.match = ch_bytes_text("w1"),
                                .start = CH_TIME_MIN,
                                .end = (WINDOW + WINDOW / 2) * SECOND};
    assert_int_equal(ch_engine_delete(rig.engine, &delete, &result), CH_OK);
    ch_view_destroy(&result.before);
    ch_rig_append(&rig, false);
    assert_int_equal(ch_engine_sync(rig.engine), CH_OK);
    assert_int_equal(ch_engine_flush(rig.engine, &ignored), CH_OK);
    assert_int_equal(ch_engine_close(rig.engine), CH_OK);
    ch_engine_destroy(&rig.engine);
    flip(rig.simfs, tables.paths[1], tables.sizes[1] * 8 - 40); /* as it was */
    ch_rig_open(&rig);
    assert_int_equal(count(&rig, "w1", 1, 2, &points), CH_OK);
    assert_int_equal(points, WINDOW / 2);
    ch_rig_release(&rig);
}

/* Who gives the points up deletes everything in its range: then it goes, and all is well. */
static void
test_a_delete_of_everything_drops_it(void **state)
{
    (void)state;
    static ch_rig_t rig;
    said_t said;
    uint64_t points;
    ch_delete_result_t result;
    open_windows(&rig, 1000);
    reopen_damaged(&rig, 1, &said);
    const ch_delete_t delete = {.match = ch_bytes_text("{__name__!=\"\"}"),
                                .start = WINDOW * SECOND,
                                .end = 2 * WINDOW * SECOND};
    assert_int_equal(ch_engine_delete(rig.engine, &delete, &result), CH_OK);
    ch_view_destroy(&result.before);
    assert_int_equal(ch_engine_sync(rig.engine), CH_OK);
    assert_int_equal(ch_engine_work(rig.engine), CH_OK);
    assert_int_equal(tables_of(rig.simfs).count, WINDOWS - 1);
    assert_int_equal(ch_rig_stat(&rig, "sst.damaged"), 0);
    assert_int_equal(count(&rig, "a", 0, 4, &points), CH_OK);
    assert_int_equal(points, (WINDOWS - 1) * WINDOW);
    ch_rig_release(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_turned_bit_of_a_table_changes_an_answer),
        cmocka_unit_test(test_nor_where_no_catalogue_knows_the_series),
        cmocka_unit_test(test_a_missing_table_changes_no_answer),
        cmocka_unit_test(test_reading_without_a_node_is_as_honest),
        cmocka_unit_test(test_other_ranges_answer_fully),
        cmocka_unit_test(test_a_bad_block_is_said_once),
        cmocka_unit_test(test_what_only_it_has_comes_back),
        cmocka_unit_test(test_a_delete_of_everything_drops_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
