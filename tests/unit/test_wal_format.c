/* The worked example of docs/format/wal.md: the code writes these very bytes, and reads them. */
#include "support/test.h"

#include "support/wal_log.h"

#include "ch/checksum.h"
#include "ch/coding.h"
#include "wal/wal_segment.h"

#define SEGMENT_PATH "wal/00000000000000000001.wal"

enum { FILE_BYTES_MAX = 4096 };

static void
example_series(void *context, uint32_t series, uint32_t *name_id_out,
               uint32_t *labels_id_out)
{
    (void)context;
    *name_id_out = *labels_id_out = series;
}

static ch_bytes_t
example_name(void *context, uint32_t name_id)
{
    (void)context, (void)name_id;
    return ch_bytes_text("cpu_user");
}

static ch_bytes_t
example_labels(void *context, uint32_t labels_id)
{
    (void)context, (void)labels_id;
    return ch_bytes_text("host=\"a\"");
}

/* Batch: cpu_user{host="a"} = 7, 9, 8 at 1000 s, 1010 s, 1020 s, from agent epoch 2 seq 5; a refusal of
 * seq 6; clean end. */
static void
write_example(ch_wal_log_t *log)
{
    ch_wal_namer_t namer = {
        .series = example_series, .name = example_name, .labels = example_labels};
    int64_t ints[3] = {7, 9, 8};
    ch_values_t values = {.form = CH_VALUES_I64, .packed = (const uint8_t *)ints};
    ch_batch_block_t block = {
        .kind = CH_BLOCK_SERIES,
        .rows = 3,
        .fields = 1,
        .times = {CH_TIMES_REGULAR, NULL, 1000000000000, 10000000000},
        .values = &values};
    ch_batch_t batch = {
        .identity = {.present = true, .producer = "agent", .epoch = 2, .seq = 5},
        .blocks = &block,
        .block_count = 1,
        .points = 3};
    ch_identity_t refused = batch.identity;
    refused.seq = 6;
    ch_reject_t reject = {.seq = 6, .index = -1, .code = CH_ERR_LIMIT};
    uint32_t series = 0;
    uint64_t lsn;
    assert_int_equal(ch_wal_log_open(log, 0), CH_OK);
    ch_wal_set_namer(log->wal, &namer);
    assert_int_equal(ch_wal_append_batch(log->wal, &batch, &series, 1020000000000, &lsn),
                     CH_OK);
    assert_int_equal(
        ch_wal_append_refusal(log->wal, &refused, &reject, 1021000000000, &lsn), CH_OK);
    assert_int_equal(ch_wal_close(log->wal), CH_OK);
    ch_wal_destroy(&log->wal);
}

static char *
read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *text = calloc(1, 1 << 16);
    assert_in_range(fread(text, 1, (1 << 16) - 1, file), 1, (1 << 16) - 2);
    fclose(file);
    return text;
}

/* Lines `    <offset, 4 hex>: <16 bytes>`, those of zeros alone left out. */
static char *
dump(const uint8_t *bytes, size_t size)
{
    char *text = calloc(1, size * 4 + 1000), *at = text;
    static const uint8_t zeros[16];
    for (size_t i = 0; i < size; i += 16) {
        if (memcmp(bytes + i, zeros, 16) == 0)
            continue;
        at += sprintf(at, "    %04zx:", i);
        for (size_t j = 0; j < 16; j++)
            at += sprintf(at, " %02x", bytes[i + j]);
        at += sprintf(at, "\n");
    }
    return text;
}

static size_t
undump(const char *text, const char *end, uint8_t bytes[FILE_BYTES_MAX])
{
    size_t size = 0;
    memset(bytes, 0, FILE_BYTES_MAX);
    while (text < end) {
        unsigned offset = 0, byte = 0;
        int used = 0;
        assert_int_equal(sscanf(text, " %x:%n", &offset, &used), 1);
        assert_in_range(offset, size, FILE_BYTES_MAX - 16);
        text += used;
        for (size_t j = 0; j < 16; j++, text += 3) {
            assert_int_equal(sscanf(text, " %x", &byte), 1);
            bytes[offset + j] = (uint8_t)byte;
        }
        size = offset + 16;
        text++;
    }
    return size;
}

/* The example in the document: *end_out behind its last line. */
static char *
find_example(char *text, char **end_out)
{
    char *start = strstr(text, "    0000: 43 48 57 41");
    assert_non_null(start);
    *end_out = strstr(start, "\n\n") + 1;
    return start;
}

static void
test_the_writer_writes_the_documents_example(void **state)
{
    (void)state;
    ch_simfs_t *simfs = ch_simfs_new(1);
    ch_wal_log_t log;
    ch_file_t *file = NULL;
    uint8_t bytes[FILE_BYTES_MAX];
    size_t size = 0;
    ch_wal_log_init(&log, simfs, 1);
    write_example(&log);
    assert_int_equal(ch_fs_open(log.options.fs, SEGMENT_PATH, CH_FS_READ, &file), CH_OK);
    assert_int_equal(ch_fs_read(file, 0, bytes, sizeof bytes, &size), CH_OK);
    ch_fs_close(&file);
    char *text = read_text(CH_SOURCE_DIR "/docs/format/wal.md"), *end;
    char *written = dump(bytes, size);
    char *example = find_example(text, &end);
    if (strlen(written) != (size_t)(end - example) ||
        memcmp(written, example, strlen(written)) != 0) {
        fputs(written, stdout); /* cmocka cuts long texts */
        fail_msg("docs/format/wal.md shows other bytes than these %zu", size);
    }
    free(written);
    free(text);
    ch_simfs_destroy(&simfs);
}

static ch_status_t
count_example(void *context, const ch_wal_record_t *record,
              const ch_wal_dictionary_t *dictionary)
{
    unsigned *count = context;
    ++*count;
    assert_int_equal(record->lsn, *count);
    assert_string_equal(record->batch.identity.producer, "agent");
    if (record->type == CH_WAL_REFUSAL) {
        assert_int_equal(record->reject.seq, 6);
        return CH_OK;
    }
    ch_bytes_t name, labels;
    ch_wal_dictionary_series(dictionary, record->series[0], &name, &labels);
    assert_true(ch_bytes_equal(name, ch_bytes_text("cpu_user")));
    assert_true(ch_bytes_equal(labels, ch_bytes_text("host=\"a\"")));
    assert_int_equal(ch_times_at(&record->batch.blocks[0].times, 2), 1020000000000);
    assert_int_equal(ch_values_at(&record->batch.blocks[0].values[0], 1).i64, 9);
    return CH_OK;
}

/* The document's example as a file. `version`: of its header, which is checksummed anew. */
static void
put_example(ch_wal_log_t *log, uint32_t version)
{
    uint8_t bytes[FILE_BYTES_MAX];
    ch_file_t *file = NULL;
    char *text = read_text(CH_SOURCE_DIR "/docs/format/wal.md"), *end;
    char *example = find_example(text, &end);
    size_t size = undump(example, end, bytes);
    const ch_wal_segment_t segment = {
        .cluster = log->options.cluster, .term = {.number = 1}, .number = 1};
    ch_store_u32(bytes + CH_WAL_SEGMENT_VERSION_OFFSET, version);
    ch_store_u64(bytes + CH_WAL_BLOCK_CHECKED_BYTES,
                 ch_hash64(bytes, CH_WAL_BLOCK_CHECKED_BYTES, ch_wal_place(&segment, 0)));
    assert_int_equal(ch_fs_mkdir(log->options.fs, "wal"), CH_OK);
    assert_int_equal(
        ch_fs_open(log->options.fs, SEGMENT_PATH, CH_FS_WRITE | CH_FS_CREATE, &file),
        CH_OK);
    assert_int_equal(ch_fs_write(file, 0, bytes, size), CH_OK);
    ch_fs_close(&file);
    free(text);
}

/* A later version of the code must go on reading this file. */
static void
test_the_reader_reads_the_documents_example(void **state)
{
    (void)state;
    ch_simfs_t *simfs = ch_simfs_new(1);
    ch_wal_log_t log;
    unsigned count = 0;
    ch_wal_log_init(&log, simfs, 1);
    put_example(&log, CH_WAL_VERSION);
    assert_int_equal(ch_wal_open(&log.options, 0, count_example, &count, &log.wal),
                     CH_OK);
    assert_int_equal(count, 2);
    ch_wal_destroy(&log.wal);
    ch_simfs_destroy(&simfs);
}

/* Nothing is read, cut or called damaged: it is only too new. */
static void
test_a_newer_version_is_refused_by_name(void **state)
{
    (void)state;
    ch_simfs_t *simfs = ch_simfs_new(1);
    ch_wal_log_t log;
    unsigned count = 0;
    ch_wal_log_init(&log, simfs, 1);
    put_example(&log, CH_WAL_VERSION + 1);
    char *before = ch_wal_log_files(simfs);
    assert_int_equal(ch_wal_open(&log.options, 0, count_example, &count, &log.wal),
                     CH_ERR_VERSION);
    assert_non_null(strstr(ch_fail_text(), "version 2"));
    char *after = ch_wal_log_files(simfs);
    assert_string_equal(before, after);
    assert_int_equal(count, 0);
    free(before);
    free(after);
    ch_simfs_destroy(&simfs);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_writer_writes_the_documents_example),
        cmocka_unit_test(test_the_reader_reads_the_documents_example),
        cmocka_unit_test(test_a_newer_version_is_refused_by_name),
    };
    return cmocka_run_group_tests_name("wal_format", tests, NULL, NULL);
}
