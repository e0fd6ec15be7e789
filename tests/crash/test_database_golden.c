/* A whole database of format version 1, written once: manifest, a table, and log segments that no table holds
 * yet. Every later version must open it and answer as the engine of today answers for the same batches.
 *
 * tests/golden/database_v1.bin   its files, each as: u32 length of path, path, u32 size, bytes
 *
 * With CH_GOLDEN_WRITE set it is written anew: for a new format version, under a new name.
 */
#include "support/simfs.h"
#include "support/test.h"
#include "support/wire_messages.h"

#include "ch/alloc.h"
#include "ch/batch_decoder.h"
#include "ch/coding.h"
#include "ch/engine.h"

#define GOLDEN_PATH CH_SOURCE_DIR "/tests/golden/database_v1.bin"

/* What was pushed when the file was made: the first messages of the golden wire, which never change. */
enum { BATCHES = 5, FLUSHED = 3, FILE_BYTES_MAX = 1 << 20, PATH_BYTES = 256, NOW = 777 };

static const ch_identity_t identity = {.present = true, .producer = "golden", .epoch = 3};

static ch_engine_t *
open_engine(ch_simfs_t *simfs)
{
    ch_engine_options_t options;
    ch_engine_t *engine = NULL;
    ch_engine_options_init(&options);
    options.fs = ch_simfs_fs(simfs);
    options.path = "db";
    options.seed = 1;
    options.background_threads = 0;
    options.reserve_bytes = 64 << 10;
    if (ch_engine_open(&options, &engine) < 0)
        fail_msg("open: %s", ch_fail_text());
    return engine;
}

static void
append(ch_engine_t *engine, wire_builder_t *builder, ch_batch_decoder_t *decoder,
       uint64_t seq)
{
    const ch_batch_t *decoded;
    ch_reject_t reject;
    ch_append_result_t result;
    wire_build(builder, &wire_batches[seq - 1]);
    assert_int_equal(ch_batch_decode(decoder, builder->frame, NOW, &decoded, &reject),
                     CH_OK);
    ch_batch_t batch = *decoded;
    batch.identity = identity;
    batch.identity.seq = seq;
    assert_int_equal(ch_engine_append(engine, &batch, &result), CH_OK);
    assert_int_equal(result.state, CH_APPEND_TAKEN);
}

/* Three batches that are flushed, two that stay in the log, and a refusal. */
static void
fill(ch_engine_t *engine)
{
    const ch_limits_t limits = ch_limits_default();
    wire_builder_t builder;
    ch_append_result_t result;
    uint64_t ignored;
    ch_identity_t refused = identity;
    const ch_reject_t reject = {.seq = BATCHES + 1, .index = 7, .code = CH_ERR_INVALID};
    ch_batch_decoder_t *decoder = ch_batch_decoder_new(&limits);
    wire_builder_init(&builder);
    for (uint64_t seq = 1; seq <= BATCHES; seq++) {
        append(engine, &builder, decoder, seq);
        if (seq == FLUSHED)
            assert_int_equal(ch_engine_flush(engine, &ignored), CH_OK);
    }
    refused.seq = reject.seq;
    assert_int_equal(ch_engine_refuse(engine, &refused, &reject, &result), CH_OK);
    assert_int_equal(ch_engine_sync(engine), CH_OK);
    assert_int_equal(ch_engine_seal(engine, &ignored), CH_OK);
    wire_builder_release(&builder);
    ch_batch_decoder_destroy(&decoder);
}

/* ---- the archive */

static void
put_u32(FILE *to, uint32_t value)
{
    uint8_t bytes[4];
    ch_store_u32(bytes, value);
    assert_int_equal(fwrite(bytes, 1, sizeof bytes, to), sizeof bytes);
}

typedef struct archive {
    ch_simfs_t *simfs;
    FILE *to;
} archive_t;

/* Spare segments, the lock and the reserve mean nothing. */
static ch_status_t
put_file(void *context, const char *path, uint64_t size)
{
    archive_t *archive = context;
    ch_file_t *file = NULL;
    if (!strstr(path, ".wal") && !strstr(path, ".sst") && !strstr(path, "manifest"))
        return CH_OK;
    assert_in_range(size, 0, FILE_BYTES_MAX);
    uint8_t *bytes = ch_alloc(size + 1);
    assert_int_equal(ch_fs_open(ch_simfs_fs(archive->simfs), path, CH_FS_READ, &file),
                     CH_OK);
    assert_int_equal(ch_fs_read_exact(file, 0, bytes, size), CH_OK);
    ch_fs_close(&file);
    put_u32(archive->to, (uint32_t)strlen(path));
    assert_int_equal(fwrite(path, 1, strlen(path), archive->to), strlen(path));
    put_u32(archive->to, (uint32_t)size);
    assert_int_equal(fwrite(bytes, 1, size, archive->to), size);
    ch_free(bytes);
    return CH_OK;
}

static void
write_archive(void)
{
    archive_t archive = {.simfs = ch_simfs_new(1), .to = fopen(GOLDEN_PATH, "wb")};
    assert_non_null(archive.to);
    ch_engine_t *engine = open_engine(archive.simfs);
    fill(engine);
    ch_engine_destroy(&engine); /* as a crash leaves it */
    assert_int_equal(ch_simfs_files(archive.simfs, put_file, &archive), CH_OK);
    assert_int_equal(fclose(archive.to), 0);
    ch_simfs_destroy(&archive.simfs);
}

static bool
get_u32(FILE *from, uint32_t *value_out)
{
    uint8_t bytes[4];
    if (fread(bytes, 1, sizeof bytes, from) != sizeof bytes)
        return false;
    *value_out = ch_load_u32(bytes);
    return true;
}

/* Files on a fresh disk; returns how many. */
static unsigned
read_archive(ch_simfs_t *simfs)
{
    ch_fs_t *fs = ch_simfs_fs(simfs);
    FILE *from = fopen(GOLDEN_PATH, "rb");
    uint8_t *bytes = ch_alloc(FILE_BYTES_MAX);
    uint32_t size;
    unsigned count = 0;
    assert_non_null(from);
    assert_int_equal(ch_fs_mkdir(fs, "db"), CH_OK);
    assert_int_equal(ch_fs_mkdir(fs, "db/wal"), CH_OK);
    assert_int_equal(ch_fs_mkdir(fs, "db/sst"), CH_OK);
    for (; get_u32(from, &size); count++) {
        char path[PATH_BYTES] = "";
        ch_file_t *file = NULL;
        assert_in_range(size, 1, sizeof path - 1);
        assert_int_equal(fread(path, 1, size, from), size);
        assert_true(get_u32(from, &size));
        assert_in_range(size, 0, FILE_BYTES_MAX);
        assert_int_equal(fread(bytes, 1, size, from), size);
        assert_int_equal(ch_fs_open(fs, path, CH_FS_WRITE | CH_FS_CREATE, &file), CH_OK);
        assert_int_equal(ch_fs_write(file, 0, bytes, size), CH_OK);
        ch_fs_close(&file);
    }
    fclose(from);
    ch_free(bytes);
    return count;
}

/* ---- comparing */

static void
assert_same_series(const ch_source_t *got, const ch_source_t *wanted,
                   const ch_series_ref_t *got_ref, const ch_series_ref_t *wanted_ref)
{
    ch_points_t a = {0}, b = {0};
    bool more;
    assert_true(ch_bytes_equal(got_ref->name, wanted_ref->name));
    assert_true(ch_bytes_equal(got_ref->labels, wanted_ref->labels));
    assert_int_equal(
        got->read(got->context, got_ref, CH_TIME_MIN, CH_TIME_MAX, SIZE_MAX, &a, &more),
        CH_OK);
    assert_int_equal(wanted->read(wanted->context, wanted_ref, CH_TIME_MIN, CH_TIME_MAX,
                                  SIZE_MAX, &b, &more),
                     CH_OK);
    assert_true(b.count > 0);
    assert_int_equal(a.count, b.count);
    for (size_t i = 0; i < a.count; i++) {
        assert_int_equal(a.times[i], b.times[i]);
        assert_true(ch_value_equal(ch_points_value(&a, i), ch_points_value(&b, i)));
    }
    ch_points_release(&a);
    ch_points_release(&b);
}

static void
assert_same_content(ch_engine_t *got, ch_engine_t *wanted)
{
    ch_engine_t *const engines[] = {got, wanted};
    ch_view_t *views[2] = {NULL};
    const ch_source_t *sources[2];
    ch_series_list_t lists[2] = {{0}};
    ch_selector_t *all = NULL;
    assert_int_equal(ch_selector_parse(ch_bytes_text("{__name__=~\".+\"}"), &all), CH_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ch_view_open(engines[i], &views[i]), CH_OK);
        sources[i] = ch_view_source(views[i]);
        assert_int_equal(sources[i]->select(sources[i]->context, all, CH_TIME_MIN,
                                            CH_TIME_MAX, 1000, &lists[i]),
                         CH_OK);
    }
    assert_true(lists[1].count > 15);
    assert_int_equal(lists[0].count, lists[1].count);
    for (size_t s = 0; s < lists[0].count; s++)
        assert_same_series(sources[0], sources[1], &lists[0].items[s],
                           &lists[1].items[s]);
    for (int i = 0; i < 2; i++) {
        ch_series_list_release(&lists[i]);
        ch_view_destroy(&views[i]);
    }
    ch_selector_destroy(&all);
}

static void
assert_session(ch_engine_t *engine)
{
    ch_session_view_t *session = ch_calloc(1, sizeof *session);
    assert_int_equal(ch_engine_session(engine, "golden", session), CH_OK);
    assert_int_equal(session->epoch, 3);
    assert_int_equal(session->durable, BATCHES + 1);
    assert_int_equal(session->reject_count, 1);
    assert_int_equal(session->rejects[0].seq, BATCHES + 1);
    assert_int_equal(session->rejects[0].index, 7);
    assert_int_equal(session->rejects[0].code, CH_ERR_INVALID);
    ch_free(session);
}

static void
test_a_database_of_version_1_opens_and_answers(void **state)
{
    (void)state;
    if (getenv("CH_GOLDEN_WRITE"))
        write_archive();
    ch_simfs_t *old = ch_simfs_new(1), *fresh = ch_simfs_new(1);
    assert_true(read_archive(old) >= 3); /* manifest, table, segment */
    ch_engine_t *wanted = open_engine(fresh), *got = open_engine(old);
    fill(wanted);
    assert_int_equal(ch_engine_durable_lsn(got), BATCHES + 1);
    assert_int_equal(ch_engine_flushed_lsn(got), FLUSHED); /* the rest is the log's */
    assert_same_content(got, wanted);
    assert_session(got);
    assert_int_equal(ch_engine_close(got), CH_OK);
    ch_engine_destroy(&got);
    got = open_engine(old); /* what today's code made of it */
    assert_same_content(got, wanted);
    assert_session(got);
    ch_engine_destroy(&got);
    ch_engine_destroy(&wanted);
    ch_simfs_destroy(&old);
    ch_simfs_destroy(&fresh);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_database_of_version_1_opens_and_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
