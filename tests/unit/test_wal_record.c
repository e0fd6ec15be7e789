#include "support/test.h"

#include "support/wal_batch.h"
#include "wal/wal_format.h"

typedef struct side {
    ch_wal_encoder_t encoder;
    ch_wal_numbering_t numbering;
    ch_wal_namer_t namer;
    ch_wal_decoder_t decoder;
    ch_wal_dictionary_t *dictionary;
} side_t;

static side_t
side_new(void)
{
    side_t side = {.namer = ch_wal_batch_namer(), .dictionary = ch_wal_dictionary_new()};
    ch_wal_numbering_reset(&side.numbering);
    return side;
}

static void
side_release(side_t *side)
{
    ch_wal_encoder_release(&side->encoder);
    ch_wal_numbering_release(&side->numbering);
    ch_wal_decoder_release(&side->decoder);
    ch_wal_dictionary_destroy(&side->dictionary);
}

static ch_bytes_t
encode(side_t *side, const ch_wal_batch_t *made)
{
    assert_int_equal(ch_wal_encode_batch(&side->encoder, &side->numbering, &side->namer,
                                         &made->batch, made->series, made->time),
                     CH_OK);
    return ch_bytes(side->encoder.out.data, side->encoder.out.size);
}

/* Decode from memory of exactly the record's size, so that a sanitizer sees a read beyond. */
static ch_status_t
decode_copy(side_t *side, ch_bytes_t bytes, uint8_t **copy_out,
            ch_wal_record_t *record_out)
{
    size_t used = 0;
    *copy_out = malloc(bytes.size ? bytes.size : 1);
    if (bytes.size)
        memcpy(*copy_out, bytes.data, bytes.size);
    return ch_wal_decode_record(&side->decoder, side->dictionary,
                                ch_bytes(*copy_out, bytes.size), record_out, &used);
}

/* Goal: whatever a batch holds comes back bit by bit. Method: random batches of all shapes, value types and
 * widths, compared cell by cell; now and then a new segment, so that numbering starts anew. */
static void
test_random_batches_come_back_cell_by_cell(void **state)
{
    (void)state;
    uint64_t seed = ch_test_seed();
    side_t side = side_new();
    for (uint64_t n = 0; n < 1500; n++) {
        ch_wal_batch_t made;
        ch_wal_record_t record;
        uint8_t *copy;
        if (n % 100 == 99) {
            ch_wal_numbering_reset(&side.numbering);
            ch_wal_dictionary_reset(side.dictionary);
        }
        ch_wal_batch_make(&made, seed, n, n % 20 == 0 ? 120 : 12);
        assert_int_equal(decode_copy(&side, encode(&side, &made), &copy, &record), CH_OK);
        const char *wrong = ch_wal_batch_compare(&made, &record, side.dictionary);
        if (wrong)
            fail_msg("batch %llu: %s", (unsigned long long)n, wrong);
        free(copy);
        ch_wal_batch_release(&made);
    }
    side_release(&side);
}

static void
test_a_refusal_comes_back(void **state)
{
    (void)state;
    side_t side = side_new();
    ch_identity_t identity = {.present = true, .producer = "p/1", .epoch = 7, .seq = 9};
    ch_reject_t reject = {.seq = 9, .index = -1, .code = CH_ERR_LIMIT};
    ch_wal_record_t record;
    uint8_t *copy;
    ch_wal_encode_refusal(&side.encoder, &identity, &reject, -5);
    ch_bytes_t bytes = ch_bytes(side.encoder.out.data, side.encoder.out.size);
    assert_int_equal(decode_copy(&side, bytes, &copy, &record), CH_OK);
    assert_int_equal(record.type, CH_WAL_REFUSAL);
    assert_int_equal(record.time, -5);
    assert_string_equal(record.batch.identity.producer, "p/1");
    assert_int_equal(record.batch.identity.epoch, 7);
    assert_int_equal(record.reject.seq, 9);
    assert_int_equal(record.reject.index, -1);
    assert_int_equal(record.reject.code, CH_ERR_LIMIT);
    free(copy);
    side_release(&side);
}

static ch_bytes_t
encode_delete(side_t *side, ch_wal_record_type_t type, const ch_identity_t *identity,
              const ch_wal_delete_t *delete, int64_t time)
{
    assert_int_equal(ch_wal_encode_delete(&side->encoder, type, identity, delete, time),
                     CH_OK);
    return ch_bytes(side->encoder.out.data, side->encoder.out.size);
}

static void
assert_text(ch_bytes_t text, const char *expected)
{
    assert_true(ch_bytes_equal(text, ch_bytes_text(expected)));
}

static void
test_a_delete_comes_back(void **state)
{
    (void)state;
    side_t side = side_new();
    ch_identity_t identity = {.present = true, .producer = "ops", .epoch = 1, .seq = 2};
    ch_wal_delete_t delete = {
        .selector = ch_bytes_text("cpu{host=\"a\"}"), .start = -7, .end = INT64_MAX};
    ch_wal_record_t record;
    uint8_t *copy;
    ch_bytes_t bytes = encode_delete(&side, CH_WAL_DELETE, &identity, &delete, 5);
    assert_int_equal(decode_copy(&side, bytes, &copy, &record), CH_OK);
    assert_int_equal(record.type, CH_WAL_DELETE);
    assert_int_equal(record.time, 5);
    assert_string_equal(record.batch.identity.producer, "ops");
    assert_int_equal(record.batch.identity.seq, 2);
    assert_text(record.delete.selector, "cpu{host=\"a\"}");
    assert_int_equal(record.delete.except_count, 0);
    assert_int_equal(record.delete.start, -7);
    assert_true(record.delete.end == INT64_MAX);
    free(copy);
    side_release(&side);
}

static void
test_a_retention_cut_comes_back(void **state)
{
    (void)state;
    side_t side = side_new();
    ch_bytes_t except[2] = {ch_bytes_text("audit"), ch_bytes_text("{keep=\"1\"}")};
    ch_wal_delete_t cut = {.selector = ch_bytes_text("{__name__!=\"\"}"),
                           .except = except,
                           .except_count = 2,
                           .start = INT64_MIN,
                           .end = 1700000000000000000};
    ch_identity_t nobody = {0};
    ch_wal_record_t record;
    uint8_t *copy;
    ch_bytes_t bytes = encode_delete(&side, CH_WAL_RETENTION, &nobody, &cut, 5);
    assert_int_equal(decode_copy(&side, bytes, &copy, &record), CH_OK);
    assert_int_equal(record.type, CH_WAL_RETENTION);
    assert_false(record.batch.identity.present);
    assert_text(record.delete.selector, "{__name__!=\"\"}");
    assert_int_equal(record.delete.except_count, 2);
    assert_text(record.delete.except[0], "audit");
    assert_text(record.delete.except[1], "{keep=\"1\"}");
    assert_true(record.delete.start == INT64_MIN);
    assert_true(record.delete.end == cut.end);
    free(copy);
    side_release(&side);
}

static void
test_a_selector_of_a_delete_is_neither_empty_nor_long(void **state)
{
    (void)state;
    side_t side = side_new();
    ch_identity_t nobody = {0};
    char *text = malloc(CH_WAL_SELECTOR_BYTES_MAX + 1);
    memset(text, 'a', CH_WAL_SELECTOR_BYTES_MAX + 1);
    ch_wal_delete_t delete = {.selector = ch_bytes(text, 0)};
    assert_int_equal(
        ch_wal_encode_delete(&side.encoder, CH_WAL_DELETE, &nobody, &delete, 0),
        CH_ERR_LIMIT);
    delete.selector = ch_bytes(text, CH_WAL_SELECTOR_BYTES_MAX + 1);
    assert_int_equal(
        ch_wal_encode_delete(&side.encoder, CH_WAL_DELETE, &nobody, &delete, 0),
        CH_ERR_LIMIT);
    delete.selector = ch_bytes(text, CH_WAL_SELECTOR_BYTES_MAX);
    encode_delete(&side, CH_WAL_DELETE, &nobody, &delete, 0);
    free(text);
    side_release(&side);
}

static char *
hex(ch_bytes_t bytes)
{
    char *text = calloc(bytes.size + 1, 3), *at = text;
    for (size_t i = 0; i < bytes.size; i++)
        at += sprintf(at, i ? " %02x" : "%02x", bytes.data[i]);
    return text;
}

/* docs/format/wal.md shows these two records byte by byte. */
static void
test_the_document_shows_a_delete_and_a_cut(void **state)
{
    (void)state;
    side_t side = side_new();
    ch_identity_t agent = {.present = true, .producer = "agent", .epoch = 2, .seq = 7};
    ch_identity_t nobody = {0};
    ch_bytes_t except = ch_bytes_text("audit");
    ch_wal_delete_t delete = {.selector = ch_bytes_text("cpu_user"),
                              .start = 1000000000000,
                              .end = 1010000000000};
    ch_wal_delete_t cut = {.selector = ch_bytes_text("{__name__!=\"\"}"),
                           .except = &except,
                           .except_count = 1,
                           .start = INT64_MIN,
                           .end = 1000000000000};
    FILE *file = fopen(CH_SOURCE_DIR "/docs/format/wal.md", "rb");
    assert_non_null(file);
    char *document = calloc(1, 1 << 16);
    assert_in_range(fread(document, 1, (1 << 16) - 1, file), 1, (1 << 16) - 2);
    fclose(file);
    char *first =
        hex(encode_delete(&side, CH_WAL_DELETE, &agent, &delete, 1022000000000));
    char *second =
        hex(encode_delete(&side, CH_WAL_RETENTION, &nobody, &cut, 1023000000000));
    if (!strstr(document, first) || !strstr(document, second))
        fail_msg("docs/format/wal.md does not show\n%s\n%s", first, second);
    free(first);
    free(second);
    free(document);
    side_release(&side);
}

/* Goal: no prefix and no flipped bit makes the decoder read beyond, allocate wildly or crash. */
static void
test_damaged_records_are_refused_or_read_within_bounds(void **state)
{
    (void)state;
    uint64_t seed = ch_test_seed();
    ch_rng_t rng;
    ch_rng_seed(&rng, seed);
    for (uint64_t n = 0; n < 60; n++) {
        ch_wal_batch_t made;
        ch_wal_batch_make(&made, seed, n, 6);
        side_t writer = side_new();
        ch_bytes_t bytes = encode(&writer, &made);
        for (size_t i = 0; i < bytes.size; i++) {
            ch_wal_record_t record;
            uint8_t *copy, old = writer.encoder.out.data[i];
            side_t cut = side_new(), flipped = side_new();
            assert_int_equal(decode_copy(&cut, ch_bytes(bytes.data, i), &copy, &record),
                             CH_ERR_CORRUPT);
            free(copy);
            writer.encoder.out.data[i] = (uint8_t)(old ^ (1u << ch_rng_below(&rng, 8)));
            ch_status_t status = decode_copy(&flipped, bytes, &copy, &record);
            assert_true(status == CH_OK || status == CH_ERR_CORRUPT ||
                        status == CH_ERR_VERSION);
            free(copy);
            writer.encoder.out.data[i] = old;
            side_release(&cut);
            side_release(&flipped);
        }
        side_release(&writer);
        ch_wal_batch_release(&made);
    }
}

static void
test_an_unknown_type_is_a_newer_version(void **state)
{
    (void)state;
    side_t side = side_new();
    uint8_t bytes[CH_WAL_RECORD_HEADER_BYTES] = {CH_WAL_RECORD_HEADER_BYTES, 0, 0, 0, 9};
    ch_wal_record_t record;
    uint8_t *copy;
    assert_int_equal(decode_copy(&side, ch_bytes(bytes, sizeof bytes), &copy, &record),
                     CH_ERR_VERSION);
    free(copy);
    side_release(&side);
}

static ch_batch_block_t
devops_block(const uint8_t *values, int64_t start, ch_values_t *column)
{
    *column = (ch_values_t){.form = CH_VALUES_I64, .packed = values};
    return (ch_batch_block_t){.kind = CH_BLOCK_SERIES,
                              .rows = 100,
                              .fields = 1,
                              .times = {CH_TIMES_REGULAR, NULL, start, 10000000000},
                              .values = column};
}

/* Goal: history of integer gauges at regular times costs at most 1.5 bytes a point. */
static void
test_integer_gauges_at_regular_times_take_little(void **state)
{
    enum { COLUMNS = 100, ROWS = 100 };
    (void)state;
    side_t side = side_new();
    static uint8_t packed[COLUMNS][ROWS * 8];
    ch_values_t columns[COLUMNS];
    ch_batch_block_t blocks[COLUMNS];
    uint32_t series[COLUMNS];
    ch_rng_t rng;
    ch_rng_seed(&rng, ch_test_seed());
    ch_wal_batch_t made = {.time = 1700000000000000000};
    for (uint32_t j = 0; j < COLUMNS; j++) {
        for (uint32_t i = 0; i < ROWS; i++)
            ch_store_u64(packed[j] + i * 8, ch_rng_below(&rng, 101));
        blocks[j] = devops_block(packed[j], made.time - 1000000000000, &columns[j]);
        series[j] = j;
    }
    made.batch = (ch_batch_t){.blocks = blocks, .block_count = COLUMNS, .points = 10000};
    made.series = series;
    encode(&side, &made); /* the second time all series are known */
    assert_in_range(encode(&side, &made).size, 10000, 12000);
    side_release(&side);
}

/* A table of a scrape numbers its cells in order once: then a row costs nothing but its values. */
static void
test_ids_of_a_table_in_order_take_a_few_bytes(void **state)
{
    (void)state;
    ch_wal_buffer_t out = {0}, scratch = {0};
    uint32_t ids[6] = {5, 7, 9, 100, 102, 104}, back[6];
    ch_wal_arena_t arena = {0};
    ch_wal_ids_encode(&out, ids, 2, 3, &scratch);
    assert_in_range(out.size, 1, 7);
    assert_ptr_equal(ch_wal_ids_decode(out.data, out.data + out.size, 2, 3, &arena, back),
                     out.data + out.size);
    assert_memory_equal(ids, back, sizeof ids);
    ch_wal_arena_release(&arena);
    ch_wal_buffer_release(&out);
    ch_wal_buffer_release(&scratch);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_batches_come_back_cell_by_cell),
        cmocka_unit_test(test_a_refusal_comes_back),
        cmocka_unit_test(test_a_delete_comes_back),
        cmocka_unit_test(test_a_retention_cut_comes_back),
        cmocka_unit_test(test_a_selector_of_a_delete_is_neither_empty_nor_long),
        cmocka_unit_test(test_the_document_shows_a_delete_and_a_cut),
        cmocka_unit_test(test_damaged_records_are_refused_or_read_within_bounds),
        cmocka_unit_test(test_an_unknown_type_is_a_newer_version),
        cmocka_unit_test(test_integer_gauges_at_regular_times_take_little),
        cmocka_unit_test(test_ids_of_a_table_in_order_take_a_few_bytes),
    };
    return cmocka_run_group_tests_name("wal_record", tests, NULL, NULL);
}
