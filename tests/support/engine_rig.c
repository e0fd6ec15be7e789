#include "support/engine_rig.h"

#include "support/test.h"

void
ch_rig_open(ch_rig_t *rig)
{
    ch_status_t status = ch_engine_open(&rig->options, &rig->engine);
    if (status < 0)
        fail_msg("open: %s", ch_fail_text());
}

void
ch_rig_init(ch_rig_t *rig, uint64_t seed)
{
    *rig = (ch_rig_t){.simfs = ch_simfs_new(seed), .model = ch_model_new()};
    ch_rng_seed(&rig->rng, seed);
    ch_engine_options_init(&rig->options);
    rig->options.fs = ch_simfs_fs(rig->simfs);
    rig->options.path = "db";
    rig->options.seed = seed;
    rig->options.background_threads = 0;
    rig->options.reserve_bytes = 64 << 10; /* each crash state copies the disk */
    rig->options.memtable_bytes = 64 << 10;
    rig->options.wal_segment_bytes = 64 << 10;
    rig->options.catalogue_series_min = 3; /* the models have few */
    rig->options.sweep_series_min = 1;
    /* The model's times are 400 s and a batch goes beyond: all sizes of windows are met. */
    const int64_t second = 1000000000;
    const int64_t windows[] = {40 * second, 120 * second, 360 * second};
    memcpy(rig->options.compaction_windows_ns, windows, sizeof windows);
    rig->options.compaction_flushes = 2;
    rig->options.compaction_file_bytes = 16 << 10;
    ch_rig_open(rig);
}

void
ch_rig_release(ch_rig_t *rig)
{
    ch_engine_destroy(&rig->engine);
    ch_model_destroy(&rig->model);
    ch_simfs_destroy(&rig->simfs);
}

void
ch_rig_append(ch_rig_t *rig, bool identified)
{
    ch_identity_t id = {
        .present = true, .producer = "p", .epoch = 1, .seq = rig->seq + 1};
    const ch_batch_t *batch =
        ch_model_batch(rig->model, &rig->rng, identified ? &id : NULL);
    ch_append_result_t result;
    if (!ch_engine_ready(rig->engine))
        assert_int_equal(ch_engine_work(rig->engine), CH_OK);
    assert_int_equal(ch_engine_append(rig->engine, batch, &result), CH_OK);
    assert_int_equal(result.state, CH_APPEND_TAKEN);
    assert_int_equal(result.lsn, ch_engine_appended_lsn(rig->engine));
    ch_model_taken(rig->model, result.lsn);
    if (identified && rig->seq + 1 < CH_RIG_SEQS_MAX)
        rig->seq_lsn[++rig->seq] = result.lsn;
}

/* Counted before it is durable: the view that the engine pinned must hold all that came before. */
static void
check_count(ch_rig_t *rig, const ch_delete_t *delete, ch_view_t *before)
{
    uint64_t points, series, expected_points, expected_series;
    ch_selector_t *selector = NULL;
    assert_int_equal(ch_selector_parse(delete->match, &selector), CH_OK);
    assert_int_equal(ch_view_count(before, selector, delete->start, delete->end, NULL, 0,
                                   &points, &series),
                     CH_OK);
    ch_model_count(rig->model, ch_view_lsn(before), &expected_points, &expected_series);
    assert_int_equal(points, expected_points);
    assert_int_equal(series, expected_series);
    ch_selector_destroy(&selector);
}

void
ch_rig_delete(ch_rig_t *rig, bool identified)
{
    ch_identity_t id = {
        .present = true, .producer = "p", .epoch = 1, .seq = rig->seq + 1};
    const ch_delete_t *delete =
        ch_model_delete(rig->model, &rig->rng, identified ? &id : NULL);
    ch_delete_result_t result;
    if (ch_engine_delete(rig->engine, delete, &result) < 0)
        fail_msg("delete: %s", ch_fail_text());
    assert_int_equal(result.state, CH_APPEND_TAKEN);
    if (result.before)
        check_count(rig, delete, result.before);
    ch_view_destroy(&result.before);
    if (result.lsn == 0) { /* it names no series: not worth a record */
        assert_false(identified);
        return;
    }
    assert_int_equal(result.lsn, ch_engine_appended_lsn(rig->engine));
    ch_model_deleted(rig->model, result.lsn);
    if (identified && rig->seq + 1 < CH_RIG_SEQS_MAX)
        rig->seq_lsn[++rig->seq] = result.lsn;
}

typedef struct stat_search {
    const char *name;
    double value;
    bool found;
} stat_search_t;

static void
look_at_stat(void *context, const ch_stat_t *stat)
{
    stat_search_t *search = context;
    if (strcmp(stat->name, search->name) != 0)
        return;
    search->value = stat->value;
    search->found = true;
}

double
ch_rig_stat(ch_rig_t *rig, const char *name)
{
    stat_search_t search = {.name = name};
    ch_engine_stats(rig->engine, look_at_stat, &search);
    assert_true(search.found);
    return search.value;
}

/* What is lost in a crash is what was not durable; the producer goes on from `expected`. */
void
ch_rig_check(ch_rig_t *rig, uint64_t durable)
{
    uint64_t recovered = ch_engine_durable_lsn(rig->engine);
    if (recovered < durable)
        fail_msg("recovered %llu of %llu durable records (flushed %llu)",
                 (unsigned long long)recovered, (unsigned long long)durable,
                 (unsigned long long)ch_engine_flushed_lsn(rig->engine));
    ch_model_cut(rig->model, recovered);
    ch_session_view_t *view = calloc(1, sizeof *view);
    ch_status_t status = ch_engine_session(rig->engine, "p", view);
    /* The session claims exactly the batches that are there: not one more, not one less. */
    while (rig->seq > 0 && rig->seq_lsn[rig->seq] > recovered)
        rig->seq--;
    assert_int_equal(rig->seq, status == CH_OK ? view->received : 0);
    assert_true(status != CH_OK || view->durable == view->received);
    free(view);
    ch_model_compare(rig->model, rig->engine, &rig->rng, true);
}

void
ch_rig_crash(ch_rig_t *rig, ch_simfs_crash_t mode)
{
    uint64_t durable = ch_engine_durable_lsn(rig->engine);
    ch_engine_destroy(&rig->engine);
    ch_simfs_crash(rig->simfs, mode, &rig->rng);
    ch_rig_open(rig);
    ch_rig_check(rig, durable);
}

void
ch_rig_restart(ch_rig_t *rig)
{
    assert_int_equal(ch_engine_close(rig->engine), CH_OK);
    uint64_t durable = ch_engine_durable_lsn(rig->engine);
    assert_int_equal(durable, ch_engine_appended_lsn(rig->engine));
    assert_int_equal(durable, ch_engine_flushed_lsn(rig->engine)); /* nothing to replay */
    ch_engine_destroy(&rig->engine);
    ch_rig_open(rig);
    ch_rig_check(rig, durable);
}

void
ch_rig_fill(ch_rig_t *rig, unsigned rounds)
{
    for (unsigned round = 0; round < rounds; round++) {
        uint64_t ignored;
        for (int i = 0; i < 20; i++)
            ch_rig_append(rig, i % 2);
        ch_rig_delete(rig, true);
        assert_int_equal(ch_engine_sync(rig->engine), CH_OK);
        if (round + 1 < rounds)
            assert_int_equal(ch_engine_flush(rig->engine, &ignored), CH_OK);
    }
}
