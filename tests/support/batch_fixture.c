#include "support/batch_fixture.h"

#include "support/notation.h"

#include "ch/series_key.h"

ch_batch_decoder_t *decoder;
const ch_batch_t *batch;
ch_reject_t reject;

int
batch_set_up(void **state)
{
    (void)state;
    ch_limits_t limits = ch_limits_default();
    decoder = ch_batch_decoder_new(&limits);
    batch = NULL;
    return 0;
}

int
batch_tear_down(void **state)
{
    (void)state;
    ch_batch_decoder_destroy(&decoder);
    notation_release();
    return 0;
}

int
batch_set_up_small(void **state)
{
    (void)state;
    ch_limits_t limits = ch_limits_default();
    limits.batch_points = 10;
    limits.batch_bytes = 512;
    limits.key_bytes = 40;
    limits.labels = 3;
    decoder = ch_batch_decoder_new(&limits);
    batch = NULL;
    return 0;
}

ch_status_t
decode_frame(ch_bytes_t frame)
{
    memset(&reject, 0x5a, sizeof reject);
    return ch_batch_decode(decoder, frame, BATCH_NOW, &batch, &reject);
}

ch_status_t
decode(const char *text)
{
    return decode_frame(notation(text));
}

static void
append_value(ch_buffer_t *out, ch_value_t value)
{
    char text[64] = "?";
    switch (value.type) {
    case CH_VALUE_INT:
        snprintf(text, sizeof text, "%lld", (long long)value.i64);
        break;
    case CH_VALUE_FLOAT:
        snprintf(text, sizeof text, "%#.17g", value.f64);
        break;
    case CH_VALUE_BOOL:
        snprintf(text, sizeof text, "%s", value.boolean ? "true" : "false");
        break;
    case CH_VALUE_STRING:
        ch_buffer_append(out, value.string.data, value.string.size);
        return;
    case CH_VALUE_NONE:
        break;
    }
    ch_buffer_append(out, text, strlen(text));
}

static void
append_point(ch_buffer_t *out, ch_bytes_t name, ch_bytes_t labels, int64_t time,
             ch_value_t value)
{
    char text[32];
    ch_text_t key = {0};
    ch_series_key_format(name, labels, &key);
    ch_buffer_append(out, key.data, key.size);
    ch_text_release(&key);
    snprintf(text, sizeof text, " %lld ", (long long)time);
    ch_buffer_append(out, text, strlen(text));
    append_value(out, value);
    ch_buffer_append(out, "\n", 1);
}

static void
append_block(ch_buffer_t *out, const ch_batch_block_t *block)
{
    for (uint32_t i = 0; i < block->rows; i++)
        for (uint32_t j = 0; j < block->fields; j++) {
            ch_value_t value = ch_values_at(&block->values[j], i);
            bool points = block->kind == CH_BLOCK_POINTS;
            if (value.type == CH_VALUE_NONE)
                continue;
            append_point(out, block->names[points ? i : j],
                         block->labels[block->kind == CH_BLOCK_SERIES ? 0 : i],
                         ch_times_at(&block->times, i), value);
        }
}

/* The batch as text, a point a line: key time value. */
void
expect_points(const char *expected)
{
    ch_buffer_t out = {0};
    uint32_t lines = 0;
    for (uint32_t b = 0; b < batch->block_count; b++)
        append_block(&out, &batch->blocks[b]);
    ch_buffer_append(&out, "", 1);
    assert_string_equal((char *)out.data, expected);
    for (const char *at = expected; *at; at++)
        lines += *at == '\n';
    assert_int_equal(batch->points, lines);
    ch_buffer_release(&out);
}

void
check_refused(const char *text, ch_status_t code, int64_t index, const char *file,
              int line)
{
    ch_status_t status = decode(text);
    if (status != code || reject.code != code || reject.index != index)
        print_error("%s:%d: %s\n  status %s, code %s, index %lld, message %s\n", file,
                    line, text, ch_status_name(status),
                    status == CH_OK || status == CH_ERR_CORRUPT
                        ? "-"
                        : ch_status_name(reject.code),
                    (long long)reject.index, status == CH_OK ? "-" : reject.message);
    _assert_int_equal((uint64_t)status, (uint64_t)code, file, line);
    _assert_int_equal((uint64_t)reject.index, (uint64_t)index, file, line);
    assert_int_equal(batch->points, 0);
    assert_int_equal(batch->block_count, 0);
    assert_true(strlen(reject.message) > 3);
}
