/* wire_batches.c - a batch of each shape, with every form of column and every type of value. */
#include "support/wire_messages.h"

#include "support/test.h"

#include <math.h>

#define TIME_S INT64_C(1000000000)
#define STALE_BITS UINT64_C(0x7ff0000000000002)
#define COUNT(array) (sizeof(array) / sizeof *(array))

static ch_bytes_t
text(const char *value)
{
    return ch_bytes_text(value);
}

static ch_value_t
string(const char *value)
{
    return ch_value_string(text(value));
}

static ch_value_t
none(void)
{
    return (ch_value_t){.type = CH_VALUE_NONE};
}

static ch_value_t
float_of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return ch_value_float(value);
}

static void
finish(wire_builder_t *builder, const ch_identity_t *identity)
{
    assert_int_equal(ch_batch_encoder_finish(builder->encoder, identity, &builder->frame),
                     CH_OK);
}

static void
finish_named(wire_builder_t *builder)
{
    ch_identity_t identity = {
        .present = true, .producer = "web-1/agent", .epoch = 3, .seq = INT64_MAX};
    finish(builder, &identity);
}

/* Ints at the edges of msgpack's widths, floats whose bits must not change, text and bytes. */
static void
add_points(ch_batch_encoder_t *encoder)
{
    const ch_value_t values[] = {
        ch_value_int(0),           ch_value_int(127),
        ch_value_int(128),         ch_value_int(65535),
        ch_value_int(65536),       ch_value_int(UINT32_MAX),
        ch_value_int(INT64_MAX),   ch_value_int(-1),
        ch_value_int(-32),         ch_value_int(-33),
        ch_value_int(INT16_MIN),   ch_value_int(INT32_MIN),
        ch_value_int(INT64_MIN),   ch_value_float(1.5),
        ch_value_float(0.0),       ch_value_float(-0.0),
        ch_value_float(-INFINITY), float_of_bits(STALE_BITS),
        float_of_bits(1),          ch_value_bool(true),
        ch_value_bool(false),      string(""),
        string("gr\xc3\xbcn"),     ch_value_string(ch_bytes("\x00\xff", 2)),
    };
    for (size_t i = 0; i < COUNT(values); i++)
        ch_batch_encoder_point(encoder, text("m{z=\"1\",a=\"x\\\"y\\\\\\n\"}"),
                               ch_when(TIME_S + (int64_t)i), values[i]);
    ch_batch_encoder_point(encoder, text("system.cpu.load"), ch_when_received(),
                           ch_value_float(0.75));
    ch_batch_encoder_point(encoder, text("early"), ch_when(INT64_MIN), ch_value_int(1));
}

static void
add_rows(ch_batch_encoder_t *encoder)
{
    const ch_label_t labels[] = {{text("host"), text("a")},
                                 {text("dc"), text("\xc3\xa9")}};
    const ch_bytes_t fields[] = {text("user"), text("system"), text("up"), text("note"),
                                 text("gone")};
    const ch_value_t values[] = {ch_value_int(12), ch_value_float(3.5),
                                 ch_value_bool(true), string("ok"), none()};
    ch_batch_encoder_row(encoder, text("cpu"), labels, 2, ch_when(TIME_S), fields, values,
                         5);
    ch_batch_encoder_row(encoder, text("cpu"), labels, 1, ch_when_received(), fields,
                         values, 2);
    ch_batch_encoder_row(encoder, text("bare"), NULL, 0, ch_when(-5), fields, values, 1);
}

static void
add_series(ch_batch_encoder_t *encoder)
{
    static const int64_t times[] = {1, 2, 4, -8}, ints[] = {5, -6, INT64_MAX, INT64_MIN};
    static const double floats[] = {0.1, -0.0, INFINITY, 1e300};
    const ch_value_t list[] = {ch_value_int(1), ch_value_float(1.0), ch_value_bool(false),
                               string("s")};
    const ch_times_t packed = {.form = CH_TIMES_PACKED, .packed = (const uint8_t *)times};
    const ch_times_t regular = {
        .form = CH_TIMES_REGULAR, .start = 60 * TIME_S, .step = -TIME_S};
    const ch_values_t int_column = {.form = CH_VALUES_I64,
                                    .packed = (const uint8_t *)ints};
    const ch_values_t float_column = {.form = CH_VALUES_F64,
                                      .packed = (const uint8_t *)floats};
    const ch_values_t mixed = {.form = CH_VALUES_LIST, .list = list};
    ch_batch_encoder_series(encoder, text("packed_ints"), &packed, &int_column, 4);
    ch_batch_encoder_series(encoder, text("packed_floats{l=\"1\"}"), &packed,
                            &float_column, 4);
    ch_batch_encoder_series(encoder, text("regular_floats"), &regular, &float_column, 4);
    ch_batch_encoder_series(encoder, text("regular_mixed"), &regular, &mixed, 4);
    ch_batch_encoder_series(encoder, text("nothing"), &packed, &float_column, 0);
}

static void
add_tables(ch_batch_encoder_t *encoder)
{
    static const int64_t times[] = {10, 20, 30}, ints[] = {1, 2, 3};
    static const double floats[] = {1.5, 2.5, 3.5};
    const ch_value_t list[] = {string("a"), none(), ch_value_bool(true)};
    const ch_bytes_t labels[] = {text("host"), text("core")};
    const ch_bytes_t rows[] = {text("a"), text("0"), text("b"), {0}, text(""), text("2")};
    const ch_bytes_t fields[] = {text("ints"), text("floats"), text("mixed")};
    const ch_values_t values[] = {
        {.form = CH_VALUES_I64, .packed = (const uint8_t *)ints},
        {.form = CH_VALUES_F64, .packed = (const uint8_t *)floats},
        {.form = CH_VALUES_LIST, .list = list}};
    ch_batch_table_t table = {.name = text("t"),
                              .label_count = 2,
                              .label_names = labels,
                              .rows = 3,
                              .label_values = rows,
                              .single_time = true,
                              .when = ch_when(TIME_S),
                              .field_count = 3,
                              .fields = fields,
                              .values = values};
    ch_batch_encoder_table(encoder, &table);
    table.when = ch_when_received();
    ch_batch_encoder_table(encoder, &table);
    table.single_time = false;
    table.times = (ch_times_t){CH_TIMES_PACKED, (const uint8_t *)times, 0, 0};
    ch_batch_encoder_table(encoder, &table);
    table.times = (ch_times_t){CH_TIMES_REGULAR, NULL, TIME_S, 10};
    ch_batch_encoder_table(encoder, &table);
    table.label_count = 0;
    table.rows = table.field_count = 1;
    ch_batch_encoder_table(encoder, &table);
}

static void
batch_points(wire_builder_t *builder)
{
    add_points(builder->encoder);
    finish_named(builder);
}

static void
batch_rows(wire_builder_t *builder)
{
    add_rows(builder->encoder);
    finish_named(builder);
}

static void
batch_series(wire_builder_t *builder)
{
    add_series(builder->encoder);
    finish_named(builder);
}

static void
batch_tables(wire_builder_t *builder)
{
    add_tables(builder->encoder);
    finish_named(builder);
}

/* The same (series, time) from each shape: the last one, the table's, is what stays. */
static void
batch_all_shapes(wire_builder_t *builder)
{
    static const int64_t time = 7, int_value = 4;
    const ch_bytes_t field = text("f");
    const ch_value_t value = ch_value_int(2), list = ch_value_int(3);
    const ch_times_t times = {CH_TIMES_PACKED, (const uint8_t *)&time, 0, 0};
    const ch_values_t in_series = {.form = CH_VALUES_LIST, .list = &list};
    const ch_values_t in_table = {.form = CH_VALUES_I64,
                                  .packed = (const uint8_t *)&int_value};
    const ch_batch_table_t table = {.name = text("m"),
                                    .rows = 1,
                                    .times = times,
                                    .field_count = 1,
                                    .fields = &field,
                                    .values = &in_table};
    ch_batch_encoder_table(builder->encoder, &table);
    ch_batch_encoder_series(builder->encoder, text("m_f"), &times, &in_series, 1);
    ch_batch_encoder_row(builder->encoder, text("m"), NULL, 0, ch_when(time), &field,
                         &value, 1);
    ch_batch_encoder_point(builder->encoder, text("m_f"), ch_when(time), ch_value_int(1));
    finish_named(builder);
}

/* Fire and forget: no identity. */
static void
batch_bare(wire_builder_t *builder)
{
    ch_batch_encoder_point(builder->encoder, text("door.open{room=\"12\"}"), ch_when(5),
                           ch_value_bool(true));
    finish(builder, NULL);
}

static void
batch_empty(wire_builder_t *builder)
{
    finish_named(builder);
}

const wire_message_t wire_batches[] = {
    {"points", batch_points},         {"rows", batch_rows},
    {"series", batch_series},         {"tables", batch_tables},
    {"all-shapes", batch_all_shapes}, {"bare", batch_bare},
    {"empty", batch_empty},           {NULL, NULL},
};

/* ---- building */

void
wire_builder_init(wire_builder_t *builder)
{
    *builder = (wire_builder_t){.encoder = ch_batch_encoder_new()};
    assert_non_null(builder->encoder);
    ch_reply_init(&builder->reply, 1 << 20);
}

void
wire_builder_release(wire_builder_t *builder)
{
    ch_batch_encoder_destroy(&builder->encoder);
    ch_reply_release(&builder->reply);
    ch_buffer_release(&builder->request);
}

void
wire_build(wire_builder_t *builder, const wire_message_t *message)
{
    ch_batch_encoder_reset(builder->encoder);
    ch_buffer_clear(&builder->request);
    message->build(builder);
}
