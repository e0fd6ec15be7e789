/* What the encoder writes, the decoder reads: random batches in all four shapes. */
#include "ch/batch_encoder.h"

#include "support/notation.h"
#include "support/test.h"

#include "ch/batch_decoder.h"
#include "ch/cursor.h"
#include "ch/rng.h"

enum { NOW = 777, ITEMS = 40, ROWS = 12, FIELDS_MAX = 6 };

static int
tear_down(void **state)
{
    (void)state;
    notation_release();
    return 0;
}

/* A point as expected: everything but the value as text. */
typedef struct expected {
    char key[96];
    int64_t time;
    ch_value_t value;
} expected_t;

typedef struct plan {
    ch_rng_t rng;
    ch_batch_encoder_t *encoder;
    expected_t points[4][ITEMS * ROWS * FIELDS_MAX]; /* by shape, in order */
    size_t counts[4];
} plan_t;

static uint64_t
below(plan_t *plan, uint64_t bound)
{
    return ch_rng_below(&plan->rng, bound);
}

static ch_value_t
random_value(plan_t *plan, unsigned kind)
{
    static const char *const texts[] = {"", "text", "\xff\xfe", "gr\xc3\xbc\xc3\x9f"};
    switch (kind) {
    case 0:
        return ch_value_int((int64_t)ch_rng_next(&plan->rng) >> below(plan, 64));
    case 1:
        return ch_value_float((double)(int64_t)ch_rng_next(&plan->rng) / 3);
    case 2:
        return ch_value_bool(below(plan, 2));
    case 3:
        return ch_value_string(ch_bytes_text(texts[below(plan, 4)]));
    default:
        return (ch_value_t){.type = CH_VALUE_NONE};
    }
}

/* One type for the whole column, or any. */
static unsigned
value_kind(plan_t *plan, unsigned column, bool none)
{
    return column < 4 ? column : (unsigned)below(plan, none ? 5 : 4);
}

static void
expect(plan_t *plan, int shape, int64_t time, ch_value_t value, const char *format, ...)
{
    va_list arguments;
    expected_t *point = &plan->points[shape][plan->counts[shape]];
    if (value.type == CH_VALUE_NONE)
        return;
    va_start(arguments, format);
    vsnprintf(point->key, sizeof point->key, format, arguments);
    va_end(arguments);
    point->time = time;
    point->value = value;
    plan->counts[shape]++;
}

static void
add_point(plan_t *plan)
{
    char key[64];
    ch_value_t value = random_value(plan, (unsigned)below(plan, 4));
    bool node_clock = below(plan, 4) == 0;
    int64_t time = (int64_t)below(plan, 1000);
    unsigned number = (unsigned)below(plan, 9);
    snprintf(key, sizeof key, "p{z=\"%u\",a=\"1\"}", number);
    ch_batch_encoder_point(plan->encoder, ch_bytes_text(key),
                           node_clock ? ch_when_received() : ch_when(time), value);
    expect(plan, 0, node_clock ? NOW : time, value, "p{a=\"1\",z=\"%u\"}", number);
}

static void
add_row(plan_t *plan)
{
    ch_label_t labels[] = {{ch_bytes_text("b"), ch_bytes_text("2")},
                           {ch_bytes_text("a"), ch_bytes_text("x\"")}};
    ch_bytes_t fields[FIELDS_MAX];
    ch_value_t values[FIELDS_MAX];
    static const char *const names[FIELDS_MAX] = {"f0", "f1", "f2", "f3", "f4", "f5"};
    uint32_t count = (uint32_t)below(plan, FIELDS_MAX + 1);
    int64_t time = (int64_t)below(plan, 1000);
    for (uint32_t j = 0; j < count; j++) {
        fields[j] = ch_bytes_text(names[j]);
        values[j] = random_value(plan, (unsigned)below(plan, 5));
        expect(plan, 1, time, values[j], "r_f%u{a=\"x\\\"\",b=\"2\"}", j);
    }
    ch_batch_encoder_row(plan->encoder, ch_bytes_text("r"), labels, 2, ch_when(time),
                         fields, values, count);
}

typedef struct columns {
    int64_t times[ROWS];
    uint64_t packed[ROWS];
    ch_value_t list[ROWS];
} columns_t;

static ch_times_t
random_times(plan_t *plan, columns_t *columns, uint32_t count)
{
    ch_times_t times = {
        .form = CH_TIMES_REGULAR, .start = (int64_t)below(plan, 100), .step = -7};
    if (below(plan, 2))
        return times;
    for (uint32_t i = 0; i < count; i++)
        columns->times[i] = (int64_t)ch_rng_next(&plan->rng);
    return (ch_times_t){.form = CH_TIMES_PACKED,
                        .packed = (const uint8_t *)columns->times};
}

static ch_values_t
random_column(plan_t *plan, columns_t *columns, uint32_t count, bool none)
{
    unsigned kind = (unsigned)below(plan, 5);
    bool packed = kind < 2 && below(plan, 2);
    for (uint32_t i = 0; i < count; i++) {
        columns->list[i] = random_value(plan, value_kind(plan, kind, none));
        memcpy(&columns->packed[i], &columns->list[i].i64, 8);
    }
    return (ch_values_t){.form = !packed     ? CH_VALUES_LIST
                                 : kind == 0 ? CH_VALUES_I64
                                             : CH_VALUES_F64,
                         .packed = (const uint8_t *)columns->packed,
                         .list = columns->list};
}

static void
add_series(plan_t *plan)
{
    columns_t columns;
    uint32_t count = (uint32_t)below(plan, ROWS + 1);
    ch_times_t times = random_times(plan, &columns, count);
    ch_values_t values = random_column(plan, &columns, count, false);
    ch_batch_encoder_series(plan->encoder, ch_bytes_text("s"), &times, &values, count);
    for (uint32_t i = 0; i < count; i++)
        expect(plan, 2, ch_times_at(&times, i), ch_values_at(&values, i), "s");
}

static void
add_table(plan_t *plan)
{
    static const char *const names[FIELDS_MAX] = {"f0", "f1", "f2", "f3", "f4", "f5"};
    ch_bytes_t label_names[] = {ch_bytes_text("l"), ch_bytes_text("k")};
    ch_bytes_t fields[FIELDS_MAX], label_values[2 * ROWS];
    columns_t columns[FIELDS_MAX], time_column;
    ch_values_t values[FIELDS_MAX];
    ch_batch_table_t table = {.name = ch_bytes_text("t"),
                              .label_count = 2,
                              .label_names = label_names,
                              .rows = (uint32_t)below(plan, ROWS),
                              .label_values = label_values,
                              .single_time = below(plan, 2),
                              .when = ch_when(5),
                              .field_count = (uint32_t)below(plan, FIELDS_MAX),
                              .fields = fields,
                              .values = values};
    table.times = random_times(plan, &time_column, table.rows);
    for (uint32_t i = 0; i < table.rows; i++) {
        label_values[2 * i] = below(plan, 2) ? ch_bytes_text("v") : (ch_bytes_t){0};
        label_values[2 * i + 1] = below(plan, 2) ? ch_bytes_text("w") : ch_bytes_text("");
    }
    for (uint32_t j = 0; j < table.field_count; j++) {
        fields[j] = ch_bytes_text(names[j]);
        values[j] = random_column(plan, &columns[j], table.rows, true);
    }
    ch_batch_encoder_table(plan->encoder, &table);
    for (uint32_t i = 0; i < table.rows; i++)
        for (uint32_t j = 0; j < table.field_count; j++) {
            bool l = label_values[2 * i].data != NULL,
                 k = label_values[2 * i + 1].size > 0;
            expect(plan, 3, table.single_time ? 5 : ch_times_at(&table.times, i),
                   ch_values_at(&values[j], i), "t_f%u%s%s%s%s%s", j, l || k ? "{" : "",
                   k ? "k=\"w\"" : "", l && k ? "," : "", l ? "l=\"v\"" : "",
                   l || k ? "}" : "");
        }
}

static void
check_point(const expected_t *expected, ch_bytes_t name, ch_bytes_t labels, int64_t time,
            ch_value_t value)
{
    ch_text_t key = {0};
    ch_series_key_format(name, labels, &key);
    assert_true(ch_bytes_equal(ch_text_bytes(&key), ch_bytes_text(expected->key)));
    ch_text_release(&key);
    assert_int_equal(time, expected->time);
    assert_true(ch_value_equal(value, expected->value));
}

static void
check_batch(const plan_t *plan, const ch_batch_t *batch)
{
    size_t shape = 0, next = 0, total = 0;
    for (uint32_t b = 0; b < batch->block_count; b++) {
        const ch_batch_block_t *block = &batch->blocks[b];
        bool points = block->kind == CH_BLOCK_POINTS;
        for (uint32_t i = 0; i < block->rows; i++)
            for (uint32_t j = 0; j < block->fields; j++) {
                ch_value_t value = ch_values_at(&block->values[j], i);
                if (value.type == CH_VALUE_NONE)
                    continue;
                for (; shape < 3 && next == plan->counts[shape]; shape++)
                    next = 0;
                assert_true(next < plan->counts[shape]);
                check_point(&plan->points[shape][next++], block->names[points ? i : j],
                            block->labels[block->kind == CH_BLOCK_SERIES ? 0 : i],
                            ch_times_at(&block->times, i), value);
                total++;
            }
    }
    assert_int_equal(total, batch->points);
    assert_int_equal(total, plan->counts[0] + plan->counts[1] + plan->counts[2] +
                                plan->counts[3]);
}

static void
test_random_batches_come_back(void **state)
{
    (void)state;
    ch_limits_t limits = ch_limits_default();
    ch_batch_decoder_t *decoder = ch_batch_decoder_new(&limits);
    plan_t *plan = calloc(1, sizeof *plan);
    ch_rng_seed(&plan->rng, ch_test_seed());
    plan->encoder = ch_batch_encoder_new();
    for (int round = 0; round < 2000; round++) {
        ch_identity_t identity = {
            .present = below(plan, 2), .producer = "p/1", .epoch = 1};
        const ch_batch_t *batch;
        ch_reject_t reject;
        ch_bytes_t frame;
        identity.seq = 1 + below(plan, INT64_MAX);
        memset(plan->counts, 0, sizeof plan->counts);
        ch_batch_encoder_reset(plan->encoder);
        for (uint64_t item = below(plan, ITEMS); item > 0; item--) {
            static void (*const add[])(plan_t *) = {add_point, add_row, add_series,
                                                    add_table};
            add[below(plan, 4)](plan);
        }
        assert_int_equal(ch_batch_encoder_finish(plan->encoder, &identity, &frame),
                         CH_OK);
        assert_true(frame.size <= ch_batch_encoder_size(plan->encoder));
        assert_true(frame.size + 176 >= ch_batch_encoder_size(plan->encoder));
        if (ch_batch_decode(decoder, frame, NOW, &batch, &reject) != CH_OK)
            fail_msg("round %d: %s", round, reject.message);
        assert_int_equal(batch->identity.present, identity.present);
        assert_int_equal(batch->identity.seq, identity.present ? identity.seq : 0);
        assert_int_equal(batch->points, ch_batch_encoder_points(plan->encoder));
        check_batch(plan, batch);
    }
    ch_batch_encoder_destroy(&plan->encoder);
    free(plan);
    ch_batch_decoder_destroy(&decoder);
}

static void
test_a_frame_gets_another_number_in_place(void **state)
{
    (void)state;
    ch_limits_t limits = ch_limits_default();
    ch_batch_decoder_t *decoder = ch_batch_decoder_new(&limits);
    ch_batch_encoder_t *encoder = ch_batch_encoder_new();
    ch_identity_t identity = {.present = true, .producer = "p", .epoch = 1, .seq = 2};
    const ch_batch_t *batch;
    ch_reject_t reject;
    ch_bytes_t frame;
    ch_batch_encoder_point(encoder, ch_bytes_text("seq"), ch_when(1), ch_value_int(1));
    assert_int_equal(ch_batch_encoder_finish(encoder, &identity, &frame), CH_OK);
    uint8_t *copy = malloc(frame.size);
    memcpy(copy, frame.data, frame.size);
    assert_true(ch_batch_frame_renumber(copy, frame.size, INT64_MAX, 77));
    assert_int_equal(
        ch_batch_decode(decoder, ch_bytes(copy, frame.size), 0, &batch, &reject), CH_OK);
    assert_int_equal(batch->identity.epoch, INT64_MAX);
    assert_int_equal(batch->identity.seq, 77);
    assert_int_equal(batch->points, 1);
    assert_int_equal(ch_batch_encoder_finish(encoder, NULL, &frame), CH_OK);
    memcpy(copy, frame.data, frame.size);
    assert_false(ch_batch_frame_renumber(copy, frame.size, 5, 6));
    static const char *const others[] = {"{epoch 1 seq 2}", "5", "#c1", "{}"};
    for (size_t i = 0; i < 4; i++) {
        ch_bytes_t other = notation(others[i]);
        memcpy(copy, other.data, other.size);
        assert_false(ch_batch_frame_renumber(copy, other.size, 5, 6));
    }
    free(copy);
    ch_batch_encoder_destroy(&encoder);
    ch_batch_decoder_destroy(&decoder);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_random_batches_come_back),
        TEST(test_a_frame_gets_another_number_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
