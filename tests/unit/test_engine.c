#include "ch/alloc.h"
#include "ch/series_key.h"
#include "db/engine_state.h"
#include "support/engine_rig.h"
#include "support/test.h"

/* A batch that is not durable is not seen; then all of it is. */
static void
test_reads_see_durable_data_only(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    ch_rig_append(&rig, true);
    ch_rig_append(&rig, true);
    assert_int_equal(ch_engine_durable_lsn(rig.engine), 0);
    ch_model_compare(rig.model, rig.engine, &rig.rng, true);
    assert_int_equal(ch_engine_sync(rig.engine), CH_OK);
    assert_int_equal(ch_engine_durable_lsn(rig.engine), 2);
    ch_model_compare(rig.model, rig.engine, &rig.rng, true);
    ch_rig_release(&rig);
}

static int64_t
looks_ns(void *context)
{
    return ++*(int64_t *)context;
}

static bool
see_label(void *context, ch_bytes_t label)
{
    (void)label;
    ++*(size_t *)context;
    return true;
}

/* A point of each of `count` series "many". */
static void
append_many(ch_rig_t *rig, uint32_t count)
{
    char(*texts)[24] = ch_calloc(count, sizeof *texts);
    ch_bytes_t *names = ch_calloc(count, sizeof *names);
    ch_bytes_t *labels = ch_calloc(count, sizeof *labels);
    uint8_t *packed = ch_calloc(count, 8);
    for (uint32_t i = 0; i < count; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "host=\"%u\"", i);
        names[i] = ch_bytes_text("many");
        labels[i] = ch_bytes_text(texts[i]);
    }
    ch_values_t values = {.form = CH_VALUES_F64, .packed = packed};
    ch_batch_block_t block = {.kind = CH_BLOCK_POINTS,
                              .rows = count,
                              .fields = 1,
                              .names = names,
                              .labels = labels,
                              .times = {.form = CH_TIMES_REGULAR, .start = 7, .step = 1},
                              .values = &values};
    const ch_batch_t batch = {.blocks = &block, .block_count = 1, .points = count};
    ch_append_result_t result;
    assert_int_equal(ch_engine_append(rig->engine, &batch, &result), CH_OK);
    assert_int_equal(result.state, CH_APPEND_TAKEN);
    assert_int_equal(ch_engine_sync(rig->engine), CH_OK);
    ch_free(texts);
    ch_free(names);
    ch_free(labels);
    ch_free(packed);
}

/* One question to a view whose clock may be looked at `looks` times. `kind`: all series, those in a
 * range, label names. */
static ch_status_t
ask_in_time(ch_rig_t *rig, const ch_selector_t *selector, int kind, int64_t looks,
            size_t *found_out)
{
    int64_t looked = 0;
    const ch_clock_t clock = {looks_ns, looks_ns, &looked};
    ch_view_t *view = NULL;
    ch_series_list_t list = {0};
    ch_status_t status;
    *found_out = 0;
    assert_int_equal(ch_view_open(rig->engine, &view), CH_OK);
    ch_view_set_deadline(view, &clock, looks);
    const ch_source_t *source = ch_view_source(view);
    if (kind == 2) {
        status = ch_view_labels(view, NULL, see_label, found_out);
    } else {
        status = source->select(source->context, selector, kind ? 0 : CH_TIME_MIN,
                                CH_TIME_MAX, SIZE_MAX, &list);
        *found_out = list.count;
    }
    assert_true(status == CH_OK || (*found_out == 0 && looked == looks + 1));
    ch_series_list_release(&list);
    ch_view_destroy(&view);
    return status;
}

/* Goal: selecting series and walking labels stop wherever the deadline passes. */
static void
test_a_view_stops_at_its_deadline(void **state)
{
    (void)state;
    enum { SERIES = 8000 };
    static ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    append_many(&rig, SERIES);
    ch_selector_t *selector = NULL;
    assert_int_equal(ch_selector_parse(ch_bytes_text("many"), &selector), CH_OK);
    static const size_t wanted[] = {SERIES, SERIES, 2};
    for (int kind = 0; kind < 3; kind++) {
        ch_status_t status = CH_ERR_TIMEOUT;
        size_t found = 0;
        int64_t looks = 0;
        while (status == CH_ERR_TIMEOUT)
            status = ask_in_time(&rig, selector, kind, ++looks, &found);
        assert_int_equal(status, CH_OK);
        assert_int_equal(found, wanted[kind]);
        assert_true(looks > 5);
    }
    ch_selector_destroy(&selector);
    ch_rig_release(&rig);
}

static void
test_series_limit_refuses_new_names_only(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    ch_engine_destroy(&rig.engine);
    rig.options.limits.series = 2;
    ch_rig_open(&rig);
    ch_bytes_t names[3] = {ch_bytes_text("a"), ch_bytes_text("b"), ch_bytes_text("c")};
    ch_bytes_t labels[3] = {{0}, {0}, {0}};
    ch_value_t list[3] = {ch_value_int(1), ch_value_int(2), ch_value_int(3)};
    ch_values_t values = {.form = CH_VALUES_LIST, .list = list};
    ch_batch_block_t block = {.kind = CH_BLOCK_POINTS,
                              .rows = 2,
                              .fields = 1,
                              .names = names,
                              .labels = labels,
                              .times = {.form = CH_TIMES_REGULAR, .start = 5, .step = 1},
                              .values = &values};
    ch_batch_t batch = {
        .identity = {.present = true, .producer = "p", .epoch = 1, .seq = 1},
        .blocks = &block,
        .block_count = 1,
        .points = 2};
    ch_append_result_t result;
    assert_int_equal(ch_engine_append(rig.engine, &batch, &result), CH_OK);
    assert_int_equal(result.state, CH_APPEND_TAKEN);
    block.rows = 3;
    batch.identity.seq = 2;
    assert_int_equal(ch_engine_append(rig.engine, &batch, &result), CH_OK);
    assert_int_equal(result.state, CH_APPEND_REJECTED);
    assert_int_equal(result.reject.index, 2);
    assert_int_equal(result.reject.code, CH_ERR_LIMIT);
    block.rows = 2;
    batch.identity.seq = 3;
    assert_int_equal(ch_engine_append(rig.engine, &batch, &result), CH_OK);
    assert_int_equal(result.state, CH_APPEND_TAKEN);
    assert_int_equal(ch_engine_sync(rig.engine), CH_OK);
    ch_engine_destroy(
        &rig.engine); /* the refusal is in the log: it holds after a crash */
    ch_rig_open(&rig);
    ch_session_view_t *view = calloc(1, sizeof *view);
    assert_int_equal(ch_engine_session(rig.engine, "p", view), CH_OK);
    assert_int_equal(view->received, 3);
    assert_int_equal(view->reject_count, 1);
    assert_int_equal(view->rejects[0].seq, 2);
    assert_int_equal(view->rejects[0].index, 2);
    free(view);
    ch_rig_release(&rig);
}

/* Goal: batches that nobody asks the ack of cost no memory once they are durable, nor after a start. */
static void
test_unasked_batches_are_not_remembered(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    for (int i = 0; i < 400; i++) {
        ch_rig_append(&rig, true);
        assert_int_equal(ch_engine_sync(rig.engine), CH_OK);
    }
    assert_in_range(ch_session_map_in_flight(rig.engine->sessions), 0, 64);
    ch_engine_destroy(&rig.engine);
    ch_rig_open(&rig);
    assert_in_range(ch_session_map_in_flight(rig.engine->sessions), 0, 64);
    ch_rig_release(&rig);
}

static uint64_t
log_segments(const ch_engine_t *engine)
{
    ch_wal_stats_t stats;
    ch_wal_stats(engine->wal, &stats);
    return stats.segments;
}

/* Goal: records without a point (refusals, empty batches) are flushed and retired as others are, or a
 * start would have to read them for ever. */
static void
test_records_without_points_leave_the_log(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    uint64_t lsn = 0, segment;
    const ch_reject_t reject = {.index = 3, .code = CH_ERR_INVALID, .message = "no"};
    for (uint64_t seq = 1; seq <= 12; seq++) {
        ch_append_result_t result;
        ch_identity_t id = {.present = true, .producer = "q", .epoch = 1, .seq = seq};
        const ch_batch_t empty = {.identity = id};
        assert_int_equal(seq % 2 ? ch_engine_append(rig.engine, &empty, &result)
                                 : ch_engine_refuse(rig.engine, &id, &reject, &result),
                         CH_OK);
        ch_model_taken(rig.model, result.lsn);
        assert_int_equal(ch_engine_seal(rig.engine, &segment), CH_OK);
    }
    assert_int_equal(log_segments(rig.engine), 12);
    assert_int_equal(ch_engine_flush(rig.engine, &lsn), CH_OK);
    assert_int_equal(lsn, 12);
    assert_int_equal(ch_engine_flushed_lsn(rig.engine), 12);
    assert_int_equal(log_segments(rig.engine), 1);
    uint64_t bytes = ch_manifest_bytes(rig.engine->manifest);
    assert_int_equal(ch_engine_flush(rig.engine, &lsn), CH_OK); /* nothing more to do */
    assert_int_equal(lsn, 12);
    assert_int_equal(ch_manifest_bytes(rig.engine->manifest), bytes);
    ch_engine_destroy(&rig.engine);
    ch_rig_open(&rig);
    ch_session_view_t *view = calloc(1, sizeof *view);
    assert_int_equal(ch_engine_session(rig.engine, "q", view), CH_OK);
    assert_int_equal(view->durable, 12);
    assert_int_equal(view->reject_count, 6);
    assert_int_equal(rig.engine->recovered_records, 0);
    free(view);
    ch_rig_release(&rig);
}

/* Goal: a stop in order leaves one segment of the log, the one that says where it goes on; the segment
 * that was open at the stop does not keep the one before. */
static void
test_a_stop_leaves_one_segment(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    uint64_t segment;
    ch_rig_append(&rig, true);
    assert_int_equal(ch_engine_seal(rig.engine, &segment), CH_OK);
    ch_rig_append(&rig, true);
    assert_int_equal(ch_engine_sync(rig.engine), CH_OK);
    assert_int_equal(log_segments(rig.engine), 2);
    ch_rig_restart(&rig);
    assert_int_equal(log_segments(rig.engine), 1);
    ch_rig_release(&rig);
}

typedef struct folder {
    ch_fs_t *fs;
    const char *path;
    uint64_t bytes, files;
} folder_t;

static ch_status_t
add_file(void *context, const char *name)
{
    folder_t *folder = context;
    char path[512];
    ch_file_t *file = NULL;
    uint64_t size = 0;
    (void)snprintf(path, sizeof path, "%s/%s", folder->path, name);
    ch_status_t status = ch_fs_open(folder->fs, path, CH_FS_READ, &file);
    if (status == CH_OK)
        status = ch_fs_size(file, &size);
    ch_fs_close(&file);
    folder->bytes += size;
    folder->files++;
    return status;
}

/* Goal: after a stop the log says where it goes on and holds nothing else, however often it is stopped
 * and whether or not something came in between. */
static void
test_a_stop_leaves_no_record_in_the_log(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    for (int round = 0; round < 6; round++) {
        if (round % 3 < 2)
            for (int i = 0; i < 20; i++)
                ch_rig_append(&rig, true);
        assert_int_equal(ch_engine_sync(rig.engine), CH_OK);
        if (round == 4)
            ch_rig_crash(&rig, CH_SIMFS_RANDOM);
        assert_int_equal(ch_engine_close(rig.engine), CH_OK);
        folder_t folder = {.fs = rig.options.fs, .path = rig.engine->wal_path};
        assert_int_equal(ch_fs_list(folder.fs, folder.path, add_file, &folder), CH_OK);
        assert_int_equal(folder.files, 1);
        assert_int_equal(folder.bytes, 1536);
        ch_rig_restart(&rig);
    }
    ch_rig_release(&rig);
}

/* Goal: they do so by themselves when nothing else ever comes. */
static void
test_refusals_alone_force_a_flush(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    uint64_t segment, most = 0;
    const ch_reject_t reject = {.index = -1, .code = CH_ERR_INVALID};
    for (uint64_t seq = 1; seq <= CH_ENGINE_SEGMENTS_MAX + 600; seq++) {
        ch_append_result_t result;
        ch_identity_t id = {.present = true, .producer = "q", .epoch = 1, .seq = seq};
        assert_int_equal(ch_engine_refuse(rig.engine, &id, &reject, &result), CH_OK);
        assert_int_equal(ch_engine_seal(rig.engine, &segment), CH_OK);
        uint64_t segments = log_segments(rig.engine);
        most = segments > most ? segments : most;
        if (seq % 64 == 0)
            assert_int_equal(ch_engine_work(rig.engine), CH_OK);
    }
    assert_in_range(most, CH_ENGINE_SEGMENTS_MAX, CH_ENGINE_SEGMENTS_MAX + 300);
    assert_in_range(log_segments(rig.engine), 1, 600);
    ch_rig_release(&rig);
}

enum { LONG_POINTS = 40000, LONG_BATCH = 500 };

/* Point i of a long series, every 50th of which was written again by a later batch. */
static void
append_run(ch_rig_t *rig, int64_t start, int64_t step, uint32_t count, double value)
{
    static uint8_t packed[LONG_BATCH * 8];
    ch_bytes_t name = ch_bytes_text("long"), labels = {0};
    for (uint32_t i = 0; i < count; i++)
        memcpy(packed + i * 8, &value, 8);
    ch_values_t values = {.form = CH_VALUES_F64, .packed = packed};
    ch_batch_block_t block = {
        .kind = CH_BLOCK_SERIES,
        .rows = count,
        .fields = 1,
        .names = &name,
        .labels = &labels,
        .times = {.form = CH_TIMES_REGULAR, .start = start, .step = step},
        .values = &values};
    const ch_batch_t batch = {.blocks = &block, .block_count = 1, .points = count};
    ch_append_result_t result;
    if (!ch_engine_ready(rig->engine))
        assert_int_equal(ch_engine_work(rig->engine), CH_OK);
    assert_int_equal(ch_engine_append(rig->engine, &batch, &result), CH_OK);
    assert_int_equal(result.state, CH_APPEND_TAKEN);
    assert_int_equal(ch_engine_sync(rig->engine), CH_OK);
}

/* Read the series in bites; each goes on behind the last point of the one before. */
static void
check_bites(const ch_source_t *source, const ch_series_ref_t *series, size_t bite)
{
    ch_points_t points = {0};
    int64_t from = 0;
    bool more = true;
    uint64_t seen = 0;
    while (more) {
        assert_int_equal(source->read(source->context, series, from, CH_TIME_MAX, bite,
                                      &points, &more),
                         CH_OK);
        assert_in_range(points.count, 1, bite);
        assert_true(!more || points.count == bite);
        for (size_t i = 0; i < points.count; i++, seen++) {
            assert_int_equal(points.times[i], seen);
            assert_true(ch_points_value(&points, i).f64 == (seen % 50 ? 1.0 : 2.0));
        }
        from = points.times[points.count - 1] + 1;
    }
    assert_int_equal(seen, LONG_POINTS);
    ch_points_release(&points);
}

/* Goal: a bite of a long series costs a bite, in reads as in memory, however its points lie over
 * tables; and bites add up to the series. */
static void
bites_of_a_long_series(uint64_t memtable_bytes)
{
    static ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    ch_engine_destroy(&rig.engine);
    rig.options.memtable_bytes = memtable_bytes;
    rig.options.compaction_flushes = 0; /* the tables stay as they come */
    ch_rig_open(&rig);
    for (int64_t at = 0; at < LONG_POINTS; at += LONG_BATCH)
        append_run(&rig, at, 1, LONG_BATCH, 1.0);
    for (int64_t at = 0; at < LONG_POINTS; at += 50 * LONG_BATCH)
        append_run(&rig, at, 50, at + 50 * LONG_BATCH <= LONG_POINTS ? LONG_BATCH : 300,
                   2.0);
    ch_selector_t *selector = NULL;
    ch_view_t *view = NULL;
    ch_series_list_t list = {0};
    assert_int_equal(ch_selector_parse(ch_bytes_text("long"), &selector), CH_OK);
    for (int flushed = 0; flushed < 2; flushed++) {
        assert_int_equal(ch_view_open(rig.engine, &view), CH_OK);
        assert_true(memtable_bytes > 1 << 20 || view->version->table_count > 2);
        const ch_source_t *source = ch_view_source(view);
        assert_int_equal(source->select(source->context, selector, CH_TIME_MIN,
                                        CH_TIME_MAX, 10, &list),
                         CH_OK);
        ch_points_t points = {0};
        bool more = false;
        assert_int_equal(source->read(source->context, list.items, 0, CH_TIME_MAX, 100,
                                      &points, &more),
                         CH_OK);
        assert_true(more);
        if (view->version->table_count > 2)
            assert_in_range(points.capacity, 100, LONG_POINTS / 2);
        ch_points_release(&points);
        const size_t bites[] = {1999, 7, 4096, LONG_POINTS, 2 * LONG_POINTS};
        for (size_t i = 0; i < sizeof bites / sizeof bites[0]; i++)
            check_bites(source, list.items, bites[i]);
        ch_series_list_release(&list);
        ch_view_destroy(&view);
        uint64_t lsn;
        assert_int_equal(ch_engine_flush(rig.engine, &lsn), CH_OK);
    }
    ch_selector_destroy(&selector);
    ch_rig_release(&rig);
}

static void
test_a_bite_of_a_long_series_costs_a_bite(void **state)
{
    (void)state;
    bites_of_a_long_series(64 << 10); /* over many tables */
    bites_of_a_long_series(16 << 20); /* in a memtable, some points written again */
}

/* The same of a series that waits in the memtable in order, as most do. */
static void
test_a_bite_of_an_unflushed_series_costs_a_bite(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    ch_engine_destroy(&rig.engine);
    rig.options.memtable_bytes = 16 << 20;
    ch_rig_open(&rig);
    for (int64_t at = 0; at < LONG_POINTS; at += LONG_BATCH)
        append_run(&rig, at, 1, LONG_BATCH, 1.0);
    ch_view_t *view = NULL;
    ch_selector_t *selector = NULL;
    ch_series_list_t list = {0};
    ch_points_t points = {0};
    bool more = true;
    int64_t from = 0;
    assert_int_equal(ch_selector_parse(ch_bytes_text("long"), &selector), CH_OK);
    assert_int_equal(ch_view_open(rig.engine, &view), CH_OK);
    assert_int_equal(view->version->table_count, 0);
    const ch_source_t *source = ch_view_source(view);
    assert_int_equal(
        source->select(source->context, selector, CH_TIME_MIN, CH_TIME_MAX, 10, &list),
        CH_OK);
    while (more) {
        assert_int_equal(source->read(source->context, list.items, from, CH_TIME_MAX, 999,
                                      &points, &more),
                         CH_OK);
        assert_in_range(points.count, 1, 999);
        assert_in_range(points.capacity, points.count, LONG_POINTS / 4);
        for (size_t i = 0; i < points.count; i++)
            assert_int_equal(points.times[i], from++);
    }
    assert_int_equal(from, LONG_POINTS);
    ch_points_release(&points);
    ch_series_list_release(&list);
    ch_view_destroy(&view);
    ch_selector_destroy(&selector);
    ch_rig_release(&rig);
}

static ch_status_t
summarise_now(ch_rig_t *rig, int64_t start, int64_t end, ch_summary_t *sum)
{
    ch_selector_t *selector = NULL;
    ch_view_t *view = NULL;
    ch_series_list_t list = {0};
    assert_int_equal(ch_selector_parse(ch_bytes_text("long"), &selector), CH_OK);
    assert_int_equal(ch_view_open(rig->engine, &view), CH_OK);
    const ch_source_t *source = ch_view_source(view);
    assert_int_equal(source->select(source->context, selector, start, end, 10, &list),
                     CH_OK);
    assert_int_equal(list.count, 1);
    *sum = (ch_summary_t){0};
    ch_status_t status = source->summarise(source->context, list.items, start, end, sum);
    ch_series_list_release(&list);
    ch_view_destroy(&view);
    ch_selector_destroy(&selector);
    return status;
}

static ch_status_t
summarise_long(ch_rig_t *rig, int64_t start, int64_t end, ch_summary_t *sum)
{
    uint64_t lsn;
    assert_int_equal(ch_engine_flush(rig->engine, &lsn), CH_OK);
    return summarise_now(rig, start, end, sum);
}

/* Goal: points that are not flushed yet do not keep headers from answering for those that are, unless they
 * overlap. */
static void
test_headers_answer_beside_a_memtable(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_summary_t sum;
    ch_rig_init(&rig, ch_test_seed());
    append_run(&rig, 0, 1, LONG_BATCH, 1.0);
    assert_int_equal(summarise_long(&rig, CH_TIME_MIN, CH_TIME_MAX, &sum), CH_OK);
    assert_int_equal(sum.decoded, 0);
    append_run(&rig, LONG_BATCH, 1, 100, 2.0);
    assert_int_equal(summarise_now(&rig, CH_TIME_MIN, CH_TIME_MAX, &sum), CH_OK);
    assert_int_equal(sum.decoded, 100);
    assert_true(sum.count == LONG_BATCH + 100 && sum.sum == LONG_BATCH + 200);
    assert_true(sum.first == 1 && sum.last == 2 && sum.max == 2 && !sum.falls);
    append_run(&rig, LONG_BATCH - 1, 1, 2, 7.0);
    assert_int_equal(summarise_now(&rig, CH_TIME_MIN, CH_TIME_MAX, &sum), CH_NOT_FOUND);
    assert_int_equal(summarise_now(&rig, LONG_BATCH, CH_TIME_MAX, &sum), CH_OK);
    assert_true(sum.count == 100 && sum.first == 7 && sum.falls);
    ch_rig_release(&rig);
}

/* Goal: headers of several tables answer for a series wherever its parts do not overlap, in whatever order
 * they were written. */
static void
test_headers_of_tables_in_any_order_answer(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_summary_t sum;
    ch_rig_init(&rig, ch_test_seed());
    append_run(&rig, 10000, 1, LONG_BATCH, 3.0);
    assert_int_equal(summarise_long(&rig, CH_TIME_MIN, CH_TIME_MAX, &sum), CH_OK);
    append_run(&rig, 0, 1, LONG_BATCH, 1.0);
    assert_int_equal(summarise_long(&rig, CH_TIME_MIN, CH_TIME_MAX, &sum), CH_OK);
    assert_int_equal(sum.count, 1000);
    assert_true(sum.sum == 2000 && sum.first == 1 && sum.last == 3 && !sum.falls);
    assert_int_equal(sum.first_time, 0);
    assert_int_equal(sum.last_time, 10499);
    append_run(&rig, 20000, 1, LONG_BATCH, 2.0);
    assert_int_equal(summarise_long(&rig, CH_TIME_MIN, CH_TIME_MAX, &sum), CH_OK);
    assert_true(sum.count == 1500 && sum.falls);
    append_run(&rig, 250, 1, 10, 9.0);
    assert_int_equal(summarise_long(&rig, CH_TIME_MIN, CH_TIME_MAX, &sum), CH_NOT_FOUND);
    assert_int_equal(summarise_long(&rig, 1000, CH_TIME_MAX, &sum), CH_OK);
    assert_true(sum.count == 1000 && sum.first == 3);
    ch_rig_release(&rig);
}

/* Goal: headers count what was written; where a delete has taken some of it they do not answer. */
static void
test_headers_do_not_answer_for_deleted_points(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_summary_t sum;
    ch_delete_result_t result = {0};
    ch_rig_init(&rig, ch_test_seed());
    append_run(&rig, 0, 1, LONG_BATCH, 1.0);
    assert_int_equal(summarise_long(&rig, CH_TIME_MIN, CH_TIME_MAX, &sum), CH_OK);
    assert_int_equal(sum.count, LONG_BATCH);
    const ch_delete_t delete = {.match = ch_bytes_text("long"), .start = 100, .end = 200};
    assert_int_equal(ch_engine_delete(rig.engine, &delete, &result), CH_OK);
    assert_int_equal(ch_engine_sync(rig.engine), CH_OK);
    ch_view_destroy(&result.before);
    assert_int_equal(summarise_now(&rig, CH_TIME_MIN, CH_TIME_MAX, &sum), CH_NOT_FOUND);
    assert_int_equal(summarise_now(&rig, 150, 250, &sum), CH_NOT_FOUND);
    ch_rig_release(&rig);
}

static void
test_second_open_is_refused(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    ch_engine_t *second = NULL;
    assert_int_equal(ch_engine_open(&rig.options, &second), CH_ERR_BUSY);
    assert_null(second);
    ch_rig_release(&rig);
}

static void
test_lost_manifest_is_not_made_anew(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    ch_rig_append(&rig, true);
    assert_int_equal(ch_engine_close(rig.engine), CH_OK);
    ch_engine_destroy(&rig.engine);
    assert_int_equal(ch_fs_unlink(rig.options.fs, "db/manifest"), CH_OK);
    assert_int_equal(ch_engine_open(&rig.options, &rig.engine), CH_ERR_CORRUPT);
    assert_non_null(strstr(ch_fail_text(), "manifest is missing"));
    ch_rig_release(&rig);
}

/* The names and sizes of all files but those that a start may write. */
static ch_status_t
note_file(void *context, const char *path, uint64_t size)
{
    (void)size;
    ch_text_t *text = context;
    ch_text_append(text, path, strlen(path));
    ch_text_append(text, "\n", 1);
    return CH_OK;
}

static ch_text_t
names_of(ch_simfs_t *simfs)
{
    ch_text_t text = {0};
    assert_int_equal(ch_simfs_files(simfs, note_file, &text), CH_OK);
    ch_text_append(&text, "", 1);
    return text;
}

static void
flush_one(ch_rig_t *rig)
{
    uint64_t ignored;
    ch_rig_append(rig, true);
    assert_int_equal(ch_engine_sync(rig->engine), CH_OK);
    assert_int_equal(ch_engine_seal(rig->engine, &ignored), CH_OK);
    assert_int_equal(ch_engine_flush(rig->engine, &ignored), CH_OK);
}

static void
resize(ch_rig_t *rig, const char *path, uint64_t size, uint8_t *bytes)
{
    ch_file_t *file = NULL;
    assert_int_equal(ch_fs_open(rig->options.fs, path, CH_FS_WRITE, &file), CH_OK);
    if (bytes)
        assert_int_equal(ch_fs_write(file, 0, bytes, size), CH_OK);
    else
        assert_int_equal(ch_fs_truncate(file, size), CH_OK);
    ch_fs_close(&file);
}

static uint64_t
contents(ch_rig_t *rig, const char *path, uint8_t *bytes, size_t room)
{
    ch_file_t *file = NULL;
    size_t size = 0;
    assert_int_equal(ch_fs_open(rig->options.fs, path, CH_FS_READ, &file), CH_OK);
    assert_int_equal(ch_fs_read(file, 0, bytes, room, &size), CH_OK);
    ch_fs_close(&file);
    assert_in_range(size, 1, room - 1);
    return size;
}

/* Goal: a manifest that lost its end makes no tables strays: the log tells that they were flushed.
 * Method: cut it, see the refusal, find every file as it was, put it back, find every point. */
static void
test_a_cut_manifest_is_refused_and_nothing_is_removed(void **state)
{
    (void)state;
    static ch_rig_t rig;
    static uint8_t manifest[1 << 16], after[1 << 16];
    ch_rig_init(&rig, ch_test_seed());
    for (int i = 0; i < 3; i++)
        flush_one(&rig);
    uint64_t durable = ch_engine_durable_lsn(rig.engine);
    ch_engine_destroy(&rig.engine);
    uint64_t size = contents(&rig, "db/manifest", manifest, sizeof manifest);
    for (uint64_t cut = 80; cut < size - 40; cut += 13) {
        resize(&rig, "db/manifest", size, manifest);
        resize(&rig, "db/manifest", cut, NULL);
        ch_text_t before = names_of(rig.simfs);
        ch_status_t status = ch_engine_open(&rig.options, &rig.engine);
        if (status ==
            CH_OK) { /* only the last edit is gone, and the log holds its records */
            ch_text_release(&before);
            assert_in_range(cut, 120, size);
            ch_rig_check(&rig, durable);
            ch_rig_release(&rig);
            return;
        }
        assert_int_equal(status, CH_ERR_CORRUPT);
        ch_text_t left = names_of(rig.simfs);
        assert_string_equal(before.data, left.data);
        assert_int_equal(contents(&rig, "db/manifest", after, sizeof after), cut);
        assert_memory_equal(manifest, after, cut);
        ch_text_release(&before);
        ch_text_release(&left);
        resize(&rig, "db/manifest", size, manifest);
        if (cut == 80) { /* the copy that was asked for */
            ch_rig_open(&rig);
            ch_rig_check(&rig, durable);
            ch_engine_destroy(&rig.engine);
        }
    }
    ch_rig_release(&rig);
}

/* Goal: tables that know more than the log prove that the log lost its end, and with it perhaps what
 * was acknowledged after them. */
static void
test_a_log_that_ends_before_the_tables_is_refused(void **state)
{
    (void)state;
    static ch_rig_t rig;
    ch_rig_init(&rig, ch_test_seed());
    for (int i = 0; i < 3; i++)
        flush_one(&rig);
    ch_engine_destroy(&rig.engine);
    ch_text_t names = names_of(rig.simfs);
    for (char *at = strtok((char *)names.data, "\n"); at; at = strtok(NULL, "\n"))
        if (strstr(at, ".wal"))
            assert_int_equal(ch_fs_unlink(rig.options.fs, at), CH_OK);
    ch_text_release(&names);
    assert_int_equal(ch_engine_open(&rig.options, &rig.engine), CH_ERR_CORRUPT);
    assert_non_null(strstr(ch_fail_text(), "lsn"));
    ch_rig_release(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_see_durable_data_only),
        cmocka_unit_test(test_a_view_stops_at_its_deadline),
        cmocka_unit_test(test_series_limit_refuses_new_names_only),
        cmocka_unit_test(test_unasked_batches_are_not_remembered),
        cmocka_unit_test(test_records_without_points_leave_the_log),
        cmocka_unit_test(test_a_stop_leaves_one_segment),
        cmocka_unit_test(test_a_stop_leaves_no_record_in_the_log),
        cmocka_unit_test(test_refusals_alone_force_a_flush),
        cmocka_unit_test(test_a_bite_of_a_long_series_costs_a_bite),
        cmocka_unit_test(test_headers_answer_beside_a_memtable),
        cmocka_unit_test(test_a_bite_of_an_unflushed_series_costs_a_bite),
        cmocka_unit_test(test_headers_of_tables_in_any_order_answer),
        cmocka_unit_test(test_headers_do_not_answer_for_deleted_points),
        cmocka_unit_test(test_second_open_is_refused),
        cmocka_unit_test(test_lost_manifest_is_not_made_anew),
        cmocka_unit_test(test_a_cut_manifest_is_refused_and_nothing_is_removed),
        cmocka_unit_test(test_a_log_that_ends_before_the_tables_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
