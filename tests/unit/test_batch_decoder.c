/* Frames of the ingest socket: what they become, and what they are refused for. */
#include "ch/batch_decoder.h"

#include "support/notation.h"

#include "ch/series_key.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { NOW = 777 };

static ch_batch_decoder_t *decoder;
static const ch_batch_t *batch;
static ch_reject_t reject;

static int
set_up(void **state)
{
    (void)state;
    ch_limits_t limits = ch_limits_default();
    decoder = ch_batch_decoder_new(&limits);
    batch = NULL;
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    ch_batch_decoder_destroy(&decoder);
    notation_release();
    return 0;
}

static int
set_up_small(void **state)
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

static ch_status_t
decode_frame(ch_bytes_t frame)
{
    memset(&reject, 0x5a, sizeof reject);
    return ch_batch_decode(decoder, frame, NOW, &batch, &reject);
}

static ch_status_t
decode(const char *text)
{
    return decode_frame(notation(text));
}

/* The batch as text, a point a line: key time value. */
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

static void
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

#define assert_decodes(text, expected)                                                   \
    do {                                                                                 \
        assert_int_equal(decode(text), CH_OK);                                           \
        expect_points(expected);                                                         \
    } while (0)

/* The batch is refused with this code, for this point. */
static void
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

#define assert_bad(text, index)                                                          \
    check_refused(text, CH_ERR_INVALID, index, __FILE__, __LINE__)
#define assert_limit(text, index)                                                        \
    check_refused(text, CH_ERR_LIMIT, index, __FILE__, __LINE__)

/* ---- whole frames */

static void
test_an_empty_map_is_an_empty_batch(void **state)
{
    (void)state;
    assert_decodes("{}", "");
    assert_false(batch->identity.present);
    assert_decodes("{v 1 points [] rows [] series [] tables []}", "");
    assert_decodes("{v nil points nil rows nil series nil tables nil producer nil}", "");
}

static void
test_identity_is_read_from_any_position(void **state)
{
    (void)state;
    assert_decodes("{seq 7 points [['a' 1 2]] epoch 3 v 1 producer 'p/1.x_y-Z'}",
                   "a 1 2\n");
    assert_true(batch->identity.present);
    assert_string_equal(batch->identity.producer, "p/1.x_y-Z");
    assert_int_equal(batch->identity.epoch, 3);
    assert_int_equal(batch->identity.seq, 7);
    assert_decodes("{producer 'a' epoch 9223372036854775807 seq 1}", "");
    assert_int_equal(batch->identity.epoch, INT64_MAX);
}

static void
test_a_broken_identity_is_refused_without_one(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "{producer 'p'}",
        "{producer 'p' epoch 1}",
        "{epoch 1 seq 1}",
        "{producer 'p' seq 1}",
        "{producer '' epoch 1 seq 1}",
        "{producer 'a b' epoch 1 seq 1}",
        "{producer 'a\\x00' epoch 1 seq 1}",
        "{producer b'p' epoch 1 seq 1}",
        "{producer 5 epoch 1 seq 1}",
        "{producer 'p' epoch 0 seq 1}",
        "{producer 'p' epoch 1 seq 0}",
        "{producer 'p' epoch -1 seq 1}",
        "{producer 'p' epoch 1.0 seq 1}",
        "{producer 'p' epoch 1 seq '1'}",
        "{producer 'p' epoch u9223372036854775808 seq 1}",
        "{producer 'p' epoch 1 seq 1 seq 2}",
        "{producer 'p' producer 'p' epoch 1 seq 1}",
        "{producer nil epoch 1 seq 1}",
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        assert_bad(broken[i], -1);
        assert_false(batch->identity.present);
    }
    assert_int_equal(decode_frame(notation_format("{producer '%065d' epoch 1 seq 1}", 0)),
                     CH_ERR_INVALID);
    assert_int_equal(decode_frame(notation_format("{producer '%064d' epoch 1 seq 1}", 0)),
                     CH_OK);
}

static void
test_a_refusal_keeps_the_identity(void **state)
{
    (void)state;
    assert_bad("{points [['a' 1 nil]] producer 'p' epoch 2 seq 9}", 0);
    assert_true(batch->identity.present);
    assert_string_equal(batch->identity.producer, "p");
    assert_int_equal(batch->identity.epoch, 2);
    assert_int_equal(batch->identity.seq, 9);
    assert_int_equal(reject.seq, 9);
}

static void
test_what_is_not_one_map_does_not_decode(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "",
        "#c1",
        "nil",
        "[]",
        "'v'",
        "5",
        "{} {}",
        "{} #c1",
        "#81",
        "#81a176",
        "{producer 'p' epoch 1 seq 1 points [['a' 1 #c1]]}",
        "#82a1760 #c1",
        "#dfffffffff",
        "#ddffffffff",
        "#de0001a17601c0",
        "{producer 'p' epoch 1 seq 1 points #dd7fffffff}",
        "{series [['a' #c700 #c7ff01]]}",
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        const ch_batch_t *before = batch;
        if (i == 11)
            continue;
        assert_int_equal(decode(broken[i]), CH_ERR_CORRUPT);
        assert_ptr_equal(batch, before);
    }
}

/* Method: cut a frame that uses every shape at each length; no prefix decodes. */
static void
test_no_prefix_of_a_frame_decodes(void **state)
{
    (void)state;
    ch_bytes_t whole = notation(
        "{v 1 producer 'p' epoch 1 seq 1 points [['a{b=\"c\"}' 1 2.5] [{__name__ 'x'} "
        "nil 't']]"
        " rows [['r' {l 'v'} 5 {f 1 g nil h true}]] series [['s' e1(1 2) e2(1 2)]"
        " ['s2' {start 1 step 2} [1 2 3]]] tables [{name 't' labels ['l'] fields ['f' "
        "'g']"
        " rows [['1'] [nil]] times 9 values [e1(1 2) [3.5 nil]]}]}");
    assert_int_equal(decode_frame(whole), CH_OK);
    assert_int_equal(batch->points, 12);
    for (size_t size = 0; size < whole.size; size++) {
        uint8_t *cut = malloc(size + 1);
        memcpy(cut, whole.data, size);
        assert_int_equal(decode_frame(ch_bytes(cut, size)), CH_ERR_CORRUPT);
        free(cut);
    }
}

static void
test_only_version_1_is_spoken(void **state)
{
    (void)state;
    assert_bad("{v 2}", -1);
    assert_bad("{v 0}", -1);
    assert_bad("{v '1'}", -1);
    assert_bad("{v 1.0}", -1);
    assert_bad("{v 1 v 1}", -1);
}

static void
test_unknown_keys_are_ignored(void **state)
{
    (void)state;
    assert_decodes("{foo [1 2 {a b}] 5 6 b'v' 9 nil [] [1] 2 points [['a' 1 2]] foo 1}",
                   "a 1 2\n");
    assert_decodes(
        "{tables [{name 't' labels [] fields ['f'] rows [[]] times 1 values [[2]]"
        " other {a 1} 7 8}]}",
        "t_f 1 2\n");
    assert_decodes("{series [['a' {start 1 step 1 other [] start_ 3} [5]]]}", "a 1 5\n");
}

static void
test_known_keys_given_twice_are_refused(void **state)
{
    (void)state;
    assert_bad("{points [] points []}", -1);
    assert_bad("{points [] points nil}",
               -1); /* a nil counts as absent, but not as not given */
    assert_bad("{points nil points []}", -1);
    assert_bad("{rows [] rows []}", -1);
    assert_bad("{series [] series []}", -1);
    assert_bad("{tables [] tables [] producer 'p' epoch 1 seq 1}", -1);
    assert_true(batch->identity.present);
    assert_bad(
        "{tables [{name 't' labels [] fields [] rows [] times 1 values [] name 't'}]}",
        -1);
    assert_bad("{series [['a' {start 1 step 1 start 1} [5]]]}", -1);
}

static void
test_nesting_is_limited_to_8(void **state)
{
    (void)state;
    assert_decodes("{x [[[[[[[1]]]]]]]}", "");
    assert_limit("{x [[[[[[[[1]]]]]]]]}", -1);
    assert_limit("{x [[[[[[[{} ]]]]]]]}", -1);
    assert_limit("{producer 'p' epoch 1 seq 1 [[[[[[[[1]]]]]]]] 1}", -1);
    assert_true(batch->identity.present);
    /* deep, and then broken: it does not decode */
    assert_int_equal(decode("{x [[[[[[[[[[#c1]]]]]]]]]]}"), CH_ERR_CORRUPT);
    /* a thousand levels */
    ch_buffer_t deep = {0};
    notation_build(&deep, "#81a178");
    for (int i = 0; i < 100000; i++)
        ch_buffer_append(&deep, "\x91", 1);
    assert_int_equal(decode_frame(ch_buffer_bytes(&deep)), CH_ERR_CORRUPT);
    ch_buffer_append(&deep, "\xc0", 1);
    assert_int_equal(decode_frame(ch_buffer_bytes(&deep)), CH_ERR_LIMIT);
    ch_buffer_release(&deep);
}

static void
test_a_frame_above_the_limit_is_rejected_with_its_identity(void **state)
{
    (void)state;
    ch_bytes_t fits = notation_format("{producer 'p' epoch 1 seq 4 x '%0460d'}", 0);
    assert_true(fits.size <= 512);
    assert_int_equal(decode_frame(fits), CH_OK);
    ch_bytes_t over = notation_format("{producer 'p' epoch 1 seq 4 x '%0500d'}", 0);
    assert_true(over.size > 512);
    assert_int_equal(decode_frame(over), CH_ERR_LIMIT);
    assert_int_equal(reject.index, -1);
    assert_int_equal(reject.code, CH_ERR_LIMIT);
    assert_true(batch->identity.present);
    assert_int_equal(batch->identity.seq, 4);
    ch_bytes_t twice = notation_format("{producer 'p' epoch 1 seq 4 x '%01100d'}", 0);
    assert_int_equal(decode_frame(twice), CH_ERR_CORRUPT);
    ch_bytes_t broken =
        notation_format("{producer 'p' epoch 1 seq 4 x '%0500d' y #c1}", 0);
    assert_int_equal(decode_frame(broken), CH_ERR_CORRUPT);
}

/* ---- points */

static void
test_points_take_every_value_type(void **state)
{
    (void)state;
    assert_decodes(
        "{points [['a' 1 5] ['a' 2 -5] ['a' 3 1.5] ['b' 4 true] ['b' 5 false]"
        " ['c' 6 'text'] ['c' 7 b'bin'] ['d' 8 f0.5] ['d' 9 ''] ['e' -1 -inf]"
        " ['e' -9223372036854775808 u9223372036854775807]]}",
        "a 1 5\na 2 -5\na 3 1.5000000000000000\nb 4 true\nb 5 false\nc 6 text\n"
        "c 7 bin\nd 8 0.50000000000000000\nd 9 \ne -1 -inf\n"
        "e -9223372036854775808 9223372036854775807\n");
    assert_int_equal(batch->block_count, 1);
    assert_int_equal(batch->blocks[0].kind, CH_BLOCK_POINTS);
    assert_int_equal(batch->blocks[0].values[0].form, CH_VALUES_LIST);
}

static void
test_points_of_one_type_are_packed(void **state)
{
    (void)state;
    assert_decodes("{points [['a' 1 5] ['b' 1 6]]}", "a 1 5\nb 1 6\n");
    assert_int_equal(batch->blocks[0].values[0].form, CH_VALUES_I64);
    assert_decodes("{points [['a' 1 5.0] ['b' 1 f1.0]]}",
                   "a 1 5.0000000000000000\nb 1 1.0000000000000000\n");
    assert_int_equal(batch->blocks[0].values[0].form, CH_VALUES_F64);
    assert_decodes("{points [['a' 1 5] ['b' 1 1.0]]}", "a 1 5\nb 1 1.0000000000000000\n");
    assert_int_equal(batch->blocks[0].values[0].form, CH_VALUES_LIST);
}

static void
test_every_bit_of_a_float_is_kept(void **state)
{
    (void)state;
    static const uint64_t bits[] = {0x7ff0000000000002, 0x7ff8000000000001,
                                    0xfff123456789abcd, 0x8000000000000000,
                                    0x0000000000000001};
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        ch_bytes_t frame = notation_format(
            "{points [['a' 1 #cb%016llx]] series [['b' [1 2] [1.5 #cb%016llx]]]}",
            (unsigned long long)bits[i], (unsigned long long)bits[i]);
        assert_int_equal(decode_frame(frame), CH_OK);
        assert_int_equal(ch_load_u64(batch->blocks[0].values[0].packed), bits[i]);
        assert_int_equal(ch_load_u64(batch->blocks[1].values[0].packed + 8), bits[i]);
    }
}

static void
test_keys_become_canonical(void **state)
{
    (void)state;
    const char *expected = "m{a=\"1\",b=\"2\"} 1 1\n";
    assert_decodes("{points [['m{a=\"1\",b=\"2\"}' 1 1]]}", expected);
    assert_decodes("{points [['m{b=\"2\",a=\"1\"}' 1 1]]}", expected);
    assert_decodes("{points [['m{b=\"2\",a=\"1\"}' 1 1]]}",
                   expected); /* and remembered */
    assert_decodes("{points [['m{b=\"2\",c=\"\",a=\"1\"}' 1 1]]}", expected);
    assert_decodes("{points [[{__name__ 'm' a '1' b '2'} 1 1]]}", expected);
    assert_decodes("{points [[{b '2' a '1' __name__ 'm'} 1 1]]}", expected);
    assert_decodes("{points [[{b '2' a '1' c '' __name__ 'm'} 1 1]]}", expected);
    assert_decodes(
        "{points [[{__name__ 'm'} 1 1] ['m' 2 2] ['m{}' 3 3] ['m{a=\"\"}' 4 4]]}",
        "m 1 1\nm 2 2\nm 3 3\nm 4 4\n");
    assert_decodes(
        "{points [[{__name__ 'm' a 'q\"b\\\\n\\x0a12345678\"9\\xc3\\xa4'} 1 1]]}",
        "m{a=\"q\\\"b\\\\n\\n12345678\\\"9\xc3\xa4\"} 1 1\n");
    assert_decodes("{points [['system.cpu.load' 1 1]]}", "system.cpu.load 1 1\n");
}

static void
test_a_remembered_key_never_stands_for_another(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 9000; i += 7) {
            char expected[64];
            assert_int_equal(decode_frame(notation_format(
                                 "{points [['k%d{z=\"%d\",a=\"1\"}' 1 1]]}", i, i)),
                             CH_OK);
            snprintf(expected, sizeof expected, "k%d{a=\"1\",z=\"%d\"} 1 1\n", i, i);
            expect_points(expected);
            notation_release();
        }
}

static void
test_bad_keys_are_refused(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "''",
        "5",
        "nil",
        "[]",
        "b'a'",
        "'a{'",
        "'a}'",
        "'a{b}'",
        "'a{b=\"1\"'",
        "'a b=\"'",
        "'a{b=\"1\",}'",
        "'a{b=\"1\",,c=\"2\"}'",
        "'a{b=\"1\",b=\"2\"}'",
        "'a\\x01'",
        "'a\\xff'",
        "'a{b=\"\\xff\"}'",
        "'a{__name__=\"x\"}'",
        "'a{b=\"\\\\t\"}'",
        "'{a=\"1\"}'",
        "{}",
        "{a '1'}",
        "{__name__ ''}",
        "{__name__ 'a{'}",
        "{__name__ 5}",
        "{__name__ 'a' b 5}",
        "{__name__ 'a' b nil}",
        "{__name__ 'a' 'x=' '1'}",
        "{__name__ 'a' b '1' b '1'}",
        "{__name__ 'a' b '' b '1'}",
        "{__name__ 'a' '' '1'}",
        "{__name__ 'a' __name__ 'a'}",
        "{__name__ 'a' b '\\xed\\xa0\\x80'}",
        "{5 'a'}",
        "{__name__ 'a\\xc0\\x80'}",
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char text[256];
        snprintf(text, sizeof text, "{points [['ok' 1 1] ['ok' 1 1] [%s 1 1] [5 5 nil]]}",
                 keys[i]);
        assert_bad(text, 2);
        snprintf(text, sizeof text, "{points [['ok' 1 1]] series [[%s [1 2] [1 2]]]}",
                 keys[i]);
        assert_bad(text, 1);
        snprintf(text, sizeof text, "{points [['ok' 1 1]] series [[%s [] []]]}", keys[i]);
        assert_bad(text, -1);
    }
}

static void
test_times_may_be_nil_or_timestamps(void **state)
{
    (void)state;
    assert_decodes(
        "{points [['a' nil 1] ['b' nil 2] ['c' x-1'\\x00\\x00\\x00\\x02' 3]"
        " ['d' x-1'\\x00\\x00\\x00\\x04\\x00\\x00\\x00\\x05' 4]"
        " ['e' x-1'\\x00\\x00\\x00\\x01\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff' 5]]}",
        "a 777 1\nb 777 2\nc 2000000000 3\nd 5000000001 4\ne -999999999 5\n");
}

static void
test_bad_times_are_refused(void **state)
{
    (void)state;
    static const char *const times[] = {
        "1.5",
        "'1'",
        "true",
        "[]",
        "{}",
        "u9223372036854775808",
        "e1(1)",
        "x-1''",
        "x-1'\\x00\\x00'",
        "x-1'\\xff\\xff\\xff\\xff\\x00\\x00\\x00\\x01'",                     /* 10^9 ns */
        "x-1'\\x00\\x00\\x00\\x00\\x7f\\xff\\xff\\xff\\xff\\xff\\xff\\xff'", /* beyond int64 ns */
    };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        char text[256];
        snprintf(text, sizeof text, "{points [['ok' 1 1] ['a' %s 1] ['a' 1 nil]]}",
                 times[i]);
        assert_bad(text, 1);
        snprintf(text, sizeof text, "{rows [['n' {} 1 {f 1}] ['n' {} %s {f 1 g 2}]]}",
                 times[i]);
        assert_bad(text, 1);
        snprintf(text, sizeof text, "{series [['a' [1 2 %s 4] [1 2 3 4]]]}", times[i]);
        assert_bad(text, 2);
    }
}

static void
test_bad_values_are_refused(void **state)
{
    (void)state;
    static const char *const values[] = {"[]",
                                         "{}",
                                         "[[1]]",
                                         "u9223372036854775808",
                                         "e1()",
                                         "x5'abc'",
                                         "x-1'\\x00\\x00\\x00\\x00'"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[256];
        snprintf(text, sizeof text, "{points [['ok' 1 1] ['a' 1 %s]]}", values[i]);
        assert_bad(text, 1);
        snprintf(text, sizeof text, "{rows [['n' {} 1 {a nil b 1 f %s g 2}]]}",
                 values[i]);
        assert_bad(text, 1);
        snprintf(text, sizeof text, "{series [['a' [1 2 3] [1 %s 3]]]}", values[i]);
        assert_bad(text, 1);
        snprintf(text, sizeof text,
                 "{tables [{name 't' labels [] fields ['a' 'b'] rows [[] []] times 1"
                 " values [[nil 5] [2 %s]]}]}",
                 values[i]);
        assert_bad(text, 2);
    }
    assert_bad("{points [['a' 1 nil]]}", 0);
    assert_bad("{series [['a' [1 2] [1 nil]]]}", 1);
}

static void
test_points_that_are_no_triples_are_refused(void **state)
{
    (void)state;
    assert_bad("{points 5}", -1);
    assert_bad("{points {}}", -1);
    assert_bad("{points [['a' 1 1] 5]}", 1);
    assert_bad("{points [['a' 1 1] ['a' 1]]}", 1);
    assert_bad("{points [['a' 1 1] ['a' 1 1 1]]}", 1);
    assert_bad("{points [{}]}", 0);
}

static void
test_strings_hold_64_kib(void **state)
{
    (void)state;
    assert_int_equal(decode_frame(notation_format("{points [['a' 1 '%065536d']]}", 0)),
                     CH_OK);
    assert_int_equal(
        decode_frame(notation_format("{points [['b' 1 1] ['a' 1 '%065537d']]}", 0)),
        CH_ERR_LIMIT);
    assert_int_equal(reject.index, 1);
    assert_int_equal(decode_frame(notation_format("{points [['a' 1 b'%065537d']]}", 0)),
                     CH_ERR_LIMIT);
}

/* ---- rows */

static void
test_rows_become_fields(void **state)
{
    (void)state;
    assert_decodes(
        "{rows [['cpu' {host 'a'} 5 {user 1 sys 2.5 idle nil}]]}",
        "cpu_user{host=\"a\"} 5 1\ncpu_sys{host=\"a\"} 5 2.5000000000000000\n");
    assert_decodes(
        "{rows [['cpu' {z '1' host 'a' y ''} nil {user true}] ['m' {} 1 {f 1}]]}",
        "cpu_user{host=\"a\",z=\"1\"} 777 true\nm_f 1 1\n");
    assert_decodes("{rows [['cpu' {} 1 {}] ['cpu' {} 1 {f nil}]]}", "");
    assert_int_equal(batch->block_count, 0);
}

static void
test_adjacent_rows_of_the_same_fields_are_one_table(void **state)
{
    (void)state;
    assert_decodes(
        "{rows [['c' {h 'a'} 5 {u 1 s 2}] ['c' {h 'b'} 6 {u 3 s nil}]"
        " ['c' {h 'b'} 7 {u 4.5 s 6}] ['c' {} 8 {s 1 u 2}] ['d' {} 8 {s 1 u 2}]"
        " ['d' {} 9 {s 3 u 4}]]}",
        "c_u{h=\"a\"} 5 1\nc_s{h=\"a\"} 5 2\nc_u{h=\"b\"} 6 3\n"
        "c_u{h=\"b\"} 7 4.5000000000000000\nc_s{h=\"b\"} 7 6\n"
        "c_s 8 1\nc_u 8 2\nd_s 8 1\nd_u 8 2\nd_s 9 3\nd_u 9 4\n");
    assert_int_equal(batch->block_count, 3);
    assert_int_equal(batch->blocks[0].kind, CH_BLOCK_TABLE);
    assert_int_equal(batch->blocks[0].rows, 3);
    assert_int_equal(batch->blocks[0].fields, 2);
    assert_int_equal(batch->blocks[0].values[0].form, CH_VALUES_LIST);
    assert_int_equal(batch->blocks[2].rows, 2);
    assert_int_equal(batch->blocks[2].values[1].form, CH_VALUES_I64);
}

static void
test_bad_rows_are_refused_at_their_first_point(void **state)
{
    (void)state;
    assert_bad("{rows 5}", -1);
    assert_bad("{rows [5]}", -1);
    assert_bad("{rows [['n' {} 1]]}", -1);
    assert_bad("{rows [[5 {} 1 {}]]}", -1);
    assert_bad("{rows [['n' {} 1 []]]}", -1);
    assert_bad("{rows [['n' {} 1 {a 1 b 2}] ['n{' {} 1 {a nil b 2}]]}", 2);
    assert_bad("{rows [['n' {} 1 {a 1 b 2}] ['' {} 1 {a 1}]]}", 2);
    assert_bad("{rows [['n' {} 1 {a 1 b 2}] ['n' 5 1 {a 1}]]}", 2);
    assert_bad("{rows [['n' {} 1 {a 1 b 2}] ['n' {l 5} 1 {a 1}]]}", 2);
    assert_bad("{rows [['n' {} 1 {a 1 b 2}] ['n' {l nil} 1 {a 1}]]}", 2);
    assert_bad("{rows [['n' {} 1 {a 1 b 2}] ['n' {__name__ 'x'} 1 {a 1}]]}", 2);
    assert_bad("{rows [['n' {} 1 {a 1 b 2}] ['n' {l '1' l '2'} 1 {a 1}]]}", 2);
    assert_bad("{rows [['n' {} 1 {a 1 b 2}] ['n' {l '\\xff'} 1 {a 1}]]}", 2);
    assert_bad("{rows [['n' {} 1 {a nil}] ['n' {l '\\xff'} 1 {a nil}]]}", -1);
    assert_bad("{rows [['n' {} 1 {a nil b 1 'c{' 2}]]}", 1);
    assert_bad("{rows [['n' {} 1 {a nil b 1 'c{' nil}]]}", -1);
    assert_bad("{rows [['n' {} 1 {a nil b 1 5 2}]]}", 1);
    assert_bad("{rows [['n' {} 1 {a 1 b 1 a 2}]]}", 2);
    assert_bad("{rows [['n' {} 1 {'' 1}]]}", 0);
}

/* ---- series */

static void
test_series_take_every_form_of_column(void **state)
{
    (void)state;
    assert_decodes(
        "{series [['a' e1(1 2) e1(5 -6)] ['b' [1 -2] e2(0.5 2)]"
        " ['c' {start 10 step -5} [1 2 3]] ['d' {step 0 start 3} [1.5 f2.5]]"
        " ['e' [] []] ['f' e1() e2()] ['g' {start 1 step 1} []]"
        " [{__name__ 'h' l 'v'} [1 2 3 4] [1 1.5 true 's']]]}",
        "a 1 5\na 2 -6\nb 1 0.50000000000000000\nb -2 2.0000000000000000\n"
        "c 10 1\nc 5 2\nc 0 3\nd 3 1.5000000000000000\nd 3 2.5000000000000000\n"
        "h{l=\"v\"} 1 1\nh{l=\"v\"} 2 1.5000000000000000\nh{l=\"v\"} 3 true\n"
        "h{l=\"v\"} 4 s\n");
    assert_int_equal(batch->block_count, 5);
    assert_int_equal(batch->blocks[2].values[0].form, CH_VALUES_I64);
    assert_int_equal(batch->blocks[2].times.form, CH_TIMES_REGULAR);
    assert_int_equal(batch->blocks[3].values[0].form, CH_VALUES_F64);
    assert_int_equal(batch->blocks[4].values[0].form, CH_VALUES_LIST);
}

static void
test_packed_columns_point_into_the_frame(void **state)
{
    (void)state;
    ch_bytes_t frame = notation("{series [['a' e1(1 2) e2(5 6)]]}");
    assert_int_equal(decode_frame(frame), CH_OK);
    const uint8_t *end = frame.data + frame.size;
    assert_true(batch->blocks[0].times.packed > frame.data &&
                batch->blocks[0].times.packed < end);
    assert_ptr_equal(batch->blocks[0].values[0].packed, end - 16);
    assert_true(batch->blocks[0].names[0].data > frame.data &&
                batch->blocks[0].names[0].data < end);
}

static void
test_bad_series_are_refused(void **state)
{
    (void)state;
    assert_bad("{series 5}", -1);
    assert_bad("{series [['ok' [1] [1]] 5]}", -1);
    assert_bad("{series [['a' [1]]]}", -1);
    assert_bad("{series [['a' [1 2] [1]]]}", -1);
    assert_bad("{series [['a' e1(1 2) e2(1)]]}", -1);
    assert_bad("{series [['a' [1 2] e2()]]}", -1);
    assert_bad("{series [['a' e2(1 2) e2(1 2)]]}", -1);
    assert_bad("{series [['a' 5 [1]]]}", -1);
    assert_bad("{series [['a' nil [1]]]}", -1);
    assert_bad("{series [['a' [1] 5]]}", -1);
    assert_bad("{series [['a' [1] {}]]}", -1);
    assert_bad("{series [['a' [1] nil]]}", -1);
    assert_bad("{series [['a' x1'1234567' [1]]]}", -1);
    assert_bad("{series [['a' [1] x2'123456789']]}", -1);
    assert_bad("{series [['a' [1] x3'12345678']]}", -1);
    assert_bad("{series [['a' {start 1} [1]]]}", -1);
    assert_bad("{series [['a' {start 1 step 1.5} [1]]]}", -1);
    assert_bad("{series [['a' {start '1' step 1} [1]]]}", -1);
    assert_bad("{series [['a' {start 9223372036854775805 step 1} [0 1 2 3 4]]]}", 3);
    assert_bad(
        "{series [['b' [1] [1]] ['a' {start 0 step -9223372036854775808} [0 1 2]]]}", 3);
    assert_bad("{series [['b' [1] [1]] ['a' [1 2 'x'] [0 nil 2]]]}", 2);
    assert_bad("{series [['b' [1] [1]] ['a' [1 'x' 3] [0 1 nil]]]}", 2);
    assert_bad("{series [['b' [1] [1]] ['a' [1 nil 3] [0 1 2]]]}", 2);
}

/* ---- tables */

static void
test_tables_cross_rows_and_fields(void **state)
{
    (void)state;
    assert_decodes(
        "{tables [{name 'cpu' labels ['host' 'core'] fields ['user' 'sys']"
        " rows [['a' '0'] ['a' nil] ['' '']] times [1 2 3] values [[1 2 3] e2(4 5 6)]}]}",
        "cpu_user{core=\"0\",host=\"a\"} 1 1\n"
        "cpu_sys{core=\"0\",host=\"a\"} 1 4.0000000000000000\n"
        "cpu_user{host=\"a\"} 2 2\ncpu_sys{host=\"a\"} 2 5.0000000000000000\n"
        "cpu_user 3 3\ncpu_sys 3 6.0000000000000000\n");
    assert_int_equal(batch->block_count, 1);
    assert_int_equal(batch->blocks[0].kind, CH_BLOCK_TABLE);
    assert_decodes("{tables [{values [[1 nil] e1(3 4)] times 7 rows [['x'] ['y']]"
                   " fields ['f' 'g'] labels ['l'] name 't'}]}",
                   "t_f{l=\"x\"} 7 1\nt_g{l=\"x\"} 7 3\nt_g{l=\"y\"} 7 4\n");
    assert_decodes("{tables [{name 't' labels [] fields ['f'] rows [[] []] times nil"
                   " values [[1.5 nil]]}]}",
                   "t_f 777 1.5000000000000000\n");
    assert_decodes("{tables [{name 't' labels [] fields ['f'] rows [[] []]"
                   " times {start 5 step 5} values [e1(1 2)]}]}",
                   "t_f 5 1\nt_f 10 2\n");
    assert_decodes("{tables [{name 't' labels [] fields ['f'] rows [[] []]"
                   " times x-1'\\x00\\x00\\x00\\x01' values [e1(1 2)]}]}",
                   "t_f 1000000000 1\nt_f 1000000000 2\n");
    assert_decodes("{tables [{name 't' labels ['d' 'b' 'a' 'c'] fields ['f'] rows"
                   " [['4' '2' '1' '3'] ['4' nil '1' 'q\"']] times 1 values [e1(1 2)]}]}",
                   "t_f{a=\"1\",b=\"2\",c=\"3\",d=\"4\"} 1 1\n"
                   "t_f{a=\"1\",c=\"q\\\"\",d=\"4\"} 1 2\n");
}

static void
test_tables_without_points_are_fine(void **state)
{
    (void)state;
    assert_decodes(
        "{tables [{name 't' labels [] fields [] rows [] times [] values []}"
        " {name 't' labels ['l'] fields ['f'] rows [] times 1 values [[]]}"
        " {name 't' labels ['l'] fields [] rows [['a'] ['b']] times 1 values []}"
        " {name 't' labels ['l'] fields ['f'] rows [['a']] times 1 values [[nil]]}]}",
        "");
    assert_int_equal(batch->block_count, 0);
}

#define TABLE(name, labels, fields, rows, times, values)                                 \
    "{points [['p' 1 1]] tables [{name " name " labels " labels " fields " fields        \
    " rows " rows " times " times " values " values "}]}"

static void
test_tables_of_a_wrong_form_are_refused(void **state)
{
    (void)state;
    assert_bad("{tables 5}", -1);
    assert_bad("{tables [5]}", -1);
    assert_bad("{tables [{}]}", -1);
    assert_bad("{tables [{labels [] fields [] rows [] times 1 values []}]}", -1);
    assert_bad("{tables [{name 't' fields [] rows [] times 1 values []}]}", -1);
    assert_bad("{tables [{name 't' labels [] rows [] times 1 values []}]}", -1);
    assert_bad("{tables [{name 't' labels [] fields [] times 1 values []}]}", -1);
    assert_bad("{tables [{name 't' labels [] fields [] rows [] values []}]}", -1);
    assert_bad("{tables [{name 't' labels [] fields [] rows [] times 1}]}", -1);
    assert_bad(TABLE("5", "[]", "['f']", "[[]]", "1", "[[1]]"), -1);
    assert_bad(TABLE("'t'", "5", "['f']", "[[]]", "1", "[[1]]"), -1);
    assert_bad(TABLE("'t'", "[5]", "['f']", "[['a']]", "1", "[[1]]"), -1);
    assert_bad(TABLE("'t'", "[]", "5", "[[]]", "1", "[[1]]"), -1);
    assert_bad(TABLE("'t'", "[]", "['f']", "5", "1", "[[1]]"), -1);
    assert_bad(TABLE("'t'", "[]", "['f']", "[[]]", "'x'", "[[1]]"), -1);
    assert_bad(TABLE("'t'", "[]", "['f']", "[[]]", "1.5", "[[1]]"), -1);
    assert_bad(TABLE("'t'", "[]", "['f']", "[[]]", "[1 2]", "[[1]]"), -1);
    assert_bad(TABLE("'t'", "[]", "['f']", "[[]]", "e1()", "[[1]]"), -1);
    assert_bad(TABLE("'t'", "[]", "['f']", "[[]]", "1", "5"), -1);
    assert_bad(TABLE("'t'", "[]", "['f']", "[[]]", "1", "[]"), -1);
    assert_bad(TABLE("'t'", "[]", "['f']", "[[]]", "1", "[[1] [1]]"), -1);
    assert_bad(TABLE("'t'", "[]", "['f']", "[[]]", "1", "[[1 2]]"), -1);
    assert_bad(TABLE("'t'", "[]", "['f']", "[[]]", "1", "[5]"), -1);
    assert_bad(TABLE("'t'", "[]", "['f']", "[[]]", "1", "[x2'1234567']"), -1);
}

static void
test_bad_cells_of_tables_are_blamed_row_by_row(void **state)
{
    (void)state;
    /* a bad name or label name spoils every point: the first */
    assert_bad(TABLE("'t{'", "[]", "['f']", "[[]]", "1", "[[1]]"), 1);
    assert_bad(TABLE("''", "[]", "['f']", "[[] []]", "1", "[[nil 1]]"), 1);
    assert_bad(TABLE("'t'", "['l=']", "['f']", "[['a']]", "1", "[[1]]"), 1);
    assert_bad(TABLE("'t'", "['__name__']", "['f']", "[['a']]", "1", "[[1]]"), 1);
    assert_bad(TABLE("'t'", "['l' 'l']", "['f']", "[['a' nil]]", "1", "[[1]]"), 1);
    assert_bad(TABLE("'t{'", "[]", "['f']", "[[]]", "1", "[[nil]]"), -1);
    assert_bad(TABLE("'t{'", "[]", "[]", "[[]]", "1", "[]"), -1);
    /* a bad field: its first point */
    assert_bad(TABLE("'t'", "[]", "['f' 'g{']", "[[] []]", "1", "[[1 2] [3 4]]"), 2);
    assert_bad(TABLE("'t'", "[]", "['f' '']", "[[] []]", "1", "[[1 2] [nil 4]]"), 3);
    assert_bad(TABLE("'t'", "[]", "['f' 5]", "[[] []]", "1", "[[1 2] [nil nil]]"), -1);
    /* a bad row: its first point */
    assert_bad(
        TABLE("'t'", "['l']", "['f' 'g']", "[['a'] ['\\xff']]", "1", "[[1 2] [3 4]]"), 3);
    assert_bad(TABLE("'t'", "['l']", "['f' 'g']", "[['a'] []]", "1", "[[1 2] [3 4]]"), 3);
    assert_bad(TABLE("'t'", "['l']", "['f' 'g']", "[['a'] 5]", "1", "[[1 2] [3 4]]"), 3);
    assert_bad(TABLE("'t'", "['l']", "['f' 'g']", "[['a'] [5]]", "1", "[[1 2] [3 4]]"),
               3);
    assert_bad(TABLE("'t'", "['l']", "['f']", "[['a'] [5]]", "1", "[[1 nil]]"), -1);
    /* a bad time: the row's first point */
    assert_bad(TABLE("'t'", "[]", "['f' 'g']", "[[] []]", "[1 'x']", "[[1 nil] [3 4]]"),
               3);
    assert_bad(TABLE("'t'", "[]", "['f' 'g']", "[[] [] []]",
                     "{start 9223372036854775806 step 1}", "[[1 2 nil] [3 4 5]]"),
               5);
    /* of several faults the one whose point comes first */
    assert_bad(TABLE("'t'", "['l']", "['f' 'g{']", "[['a'] ['\\xff']]", "[1 'x']",
                     "[[1 2] [nil 4]]"),
               2);
    assert_bad(TABLE("'t'", "[]", "['f' 'g']", "[[] []]", "1", "[[1 {}] [[] 4]]"), 2);
    assert_bad(TABLE("'t'", "[]", "['f' 'g']", "[[] []]", "1", "[[{} 1] [[] 4]]"), 1);
}

/* ---- limits and order */

static void
test_the_limit_on_points(void **state)
{
    (void)state;
    assert_int_equal(decode("{series [['a' {start 1 step 1} [1 2 3 4 5 6 7 8 9 10]]]}"),
                     CH_OK);
    assert_limit("{series [['a' {start 1 step 1} [1 2 3 4 5 6 7 8 9 10 11]]]}", -1);
    assert_limit("{points [['a' 1 1] ['a' 1 1]] series [['a' {start 1 step 1}"
                 " [1 2 3 4 5 6 7 8 9]]]}",
                 -1);
    assert_limit(
        "{rows [['a' {} 1 {a 1 b 2 c 3 d 4 e 5 f 6}] ['a' {} 1 {a 1 b 2 c 3 d 4 e 5}]]}",
        -1);
    assert_int_equal(decode("{rows [['a' {} 1 {a 1 b 2 c 3 d 4 e 5 f 6}]"
                            " ['a' {} 1 {a 1 b 2 c 3 d 4 e nil f nil}]]}"),
                     CH_OK);
    assert_limit(
        "{tables [{name 't' labels [] fields ['f' 'g'] rows [[] [] [] [] [] []] times 1"
        " values [[1 2 3 4 5 6] [1 2 3 4 5 6]]}]}",
        -1);
    assert_int_equal(
        decode("{tables [{name 't' labels [] fields ['f' 'g'] rows [[] [] [] [] [] []]"
               " times 1 values [[1 nil 3 4 5 6] [nil 2 3 4 5 6]]}]}"),
        CH_OK);
    assert_limit("{points [1 2 3 4 5 6 7 8 9 10 11]}", -1);
}

static void
test_the_limit_on_keys(void **state)
{
    (void)state;
    assert_int_equal(
        decode("{points [['a234567890{b=\"567890123456789012345678\"}' 1 1]]}"), CH_OK);
    assert_limit(
        "{points [['a' 1 1] ['a234567890{b=\"5678901234567890123456789\"}' 1 1]]}", 1);
    assert_limit("{points [['a' 1 1] [{__name__ 'a234567890' b "
                 "'5678901234567890123456789'} 1 1]]}",
                 1);
    assert_limit(
        "{rows [['a2345678' {} 1 {a 1 b 2 c234567890123456789012345678901234567 3}]]}",
        2);
    assert_limit(
        "{rows [['a' {b '56789012345678901234567890123'} 1 {aa nil aaa 2 aaaa 1}]]}", 1);
    assert_limit(
        "{series [['b' [1] [1]] ['a2345678901234567890123456789012345678901' [1] [1]]]}",
        1);
    assert_int_equal(decode("{tables [{name 'a' labels ['b'] fields ['cc' 'cccc']"
                            " rows [['56789012345678901234567890123'] ['1']] times 1"
                            " values [[1 2] [nil 4]]}]}"),
                     CH_OK);
    assert_limit("{tables [{name 'a' labels ['b'] fields ['cc' 'cccc']"
                 " rows [['56789012345678901234567890123'] ['1']] times 1"
                 " values [[1 2] [3 4]]}]}",
                 1);
    assert_limit("{tables [{name 'a' labels [] fields ['c' "
                 "'c23456789012345678901234567890123456789']"
                 " rows [[] []] times 1 values [[1 2] [3 4]]}]}",
                 1);
}

static void
test_the_limit_on_labels(void **state)
{
    (void)state;
    assert_int_equal(decode("{points [['a{b=\"1\",c=\"1\",d=\"1\"}' 1 1]"
                            " [{__name__ 'a' b '1' c '1' d '1' e ''} 1 1]]}"),
                     CH_OK);
    assert_limit("{points [['a{b=\"1\",c=\"1\",d=\"1\",e=\"1\"}' 1 1]]}", 0);
    assert_limit("{points [[{__name__ 'a' b '1' c '1' d '1' e '1'} 1 1]]}", 0);
    assert_limit("{rows [['a' {b '1' c '1' d '1' e '1'} 1 {f 1}]]}", 0);
    assert_limit(
        "{points [['p' 1 1]] tables [{name 't' labels ['a' 'b' 'c' 'd'] fields ['f'] rows"
        " [['1' '2' nil '4'] ['1' '2' '3' '4']] times 1 values [[1 2]]}]}",
        2);
}

static void
test_the_limit_on_cells_bounds_memory(void **state)
{
    (void)state;
    ch_buffer_t frame = {0};
    notation_build(&frame,
                   "#81 'tables' #91 #86 'name' 't' 'labels' [] 'times' 1 'fields' ['f']"
                   " 'rows' #dc0100");
    for (int i = 0; i < 256; i++)
        ch_buffer_append(&frame, "\x90", 1);
    notation_build(&frame, "'values' #91 #dc0100");
    for (int i = 0; i < 256; i++)
        ch_buffer_append(&frame, "\xc0", 1);
    assert_int_equal(decode_frame(ch_buffer_bytes(&frame)), CH_ERR_LIMIT);
    assert_int_equal(reject.index, -1);
    ch_buffer_release(&frame);
}

static void
test_the_first_bad_point_is_blamed_in_the_order_of_shapes(void **state)
{
    (void)state;
    const char *all =
        "{tables [{name 't' labels [] fields ['f'] rows [[]] times 1 values [[%s]]}]"
        " series [['s' [1 2] [1 %s]]] rows [['r' {} 1 {a 1 b %s}]]"
        " points [['p' 1 1] ['p' 1 %s]]}";
    char text[512];
    snprintf(text, sizeof text, all, "[]", "[]", "[]", "[]");
    assert_bad(text, 1);
    snprintf(text, sizeof text, all, "[]", "[]", "[]", "1");
    assert_bad(text, 3);
    snprintf(text, sizeof text, all, "[]", "[]", "1", "1");
    assert_bad(text, 5);
    snprintf(text, sizeof text, all, "[]", "1", "1", "1");
    assert_bad(text, 6);
    snprintf(text, sizeof text, all, "1", "1", "1", "1");
    assert_decodes(text, "p 1 1\np 1 1\nr_a 1 1\nr_b 1 1\ns 1 1\ns 2 1\nt_f 1 1\n");
}

static void
test_expanded_names_are_bounded(void **state)
{
    (void)state;
    ch_buffer_t frame = {0};
    char name[1001];
    memset(name, 'n', 1000);
    name[1000] = 0;
    notation_build(&frame,
                   "#81 'tables' #91 #86 'labels' [] 'times' 1 'rows' [[]] 'name'");
    ch_buffer_append(&frame, "\xda\x03\xe8", 3);
    ch_buffer_append(&frame, name, 1000);
    notation_build(&frame, "'fields' #dc4000"); /* 16384 fields: 16 MB of names */
    for (int i = 0; i < 16384; i++)
        ch_buffer_append(&frame,
                         "\xa1"
                         "f",
                         2);
    notation_build(&frame, "'values' #dc4000");
    for (int i = 0; i < 16384; i++)
        ch_buffer_append(&frame, "\x91\x01", 2);
    assert_int_equal(decode_frame(ch_buffer_bytes(&frame)), CH_ERR_LIMIT);
    assert_true(ch_batch_decoder_bytes(decoder) < 40u << 20);
    ch_buffer_release(&frame);
}

static void
test_scratch_does_not_grow_in_steady_state(void **state)
{
    (void)state;
    ch_bytes_t frame = notation(
        "{points [['a{c=\"1\",b=\"c\"}' 1 2.5] [{__name__ 'x'} nil 't']]"
        " rows [['r' {l 'v'} 5 {f 1 g nil h true}]] series [['s' [1 2] [1.5 2]]]"
        " tables [{name 't' labels ['l'] fields ['f' 'g'] rows [['1'] [nil]] times [9 9]"
        " values [[1 2] [3.5 nil]]}]}");
    for (int i = 0; i < 3; i++)
        assert_int_equal(decode_frame(frame), CH_OK);
    size_t bytes = ch_batch_decoder_bytes(decoder);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(decode_frame(frame), CH_OK);
    assert_int_equal(ch_batch_decoder_bytes(decoder), bytes);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define SMALL(name) cmocka_unit_test_setup_teardown(name, set_up_small, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_an_empty_map_is_an_empty_batch),
        TEST(test_identity_is_read_from_any_position),
        TEST(test_a_broken_identity_is_refused_without_one),
        TEST(test_a_refusal_keeps_the_identity),
        TEST(test_what_is_not_one_map_does_not_decode),
        TEST(test_no_prefix_of_a_frame_decodes),
        TEST(test_only_version_1_is_spoken),
        TEST(test_unknown_keys_are_ignored),
        TEST(test_known_keys_given_twice_are_refused),
        TEST(test_nesting_is_limited_to_8),
        SMALL(test_a_frame_above_the_limit_is_rejected_with_its_identity),
        TEST(test_points_take_every_value_type),
        TEST(test_points_of_one_type_are_packed),
        TEST(test_every_bit_of_a_float_is_kept),
        TEST(test_keys_become_canonical),
        TEST(test_a_remembered_key_never_stands_for_another),
        TEST(test_bad_keys_are_refused),
        TEST(test_times_may_be_nil_or_timestamps),
        TEST(test_bad_times_are_refused),
        TEST(test_bad_values_are_refused),
        TEST(test_points_that_are_no_triples_are_refused),
        TEST(test_strings_hold_64_kib),
        TEST(test_rows_become_fields),
        TEST(test_adjacent_rows_of_the_same_fields_are_one_table),
        TEST(test_bad_rows_are_refused_at_their_first_point),
        TEST(test_series_take_every_form_of_column),
        TEST(test_packed_columns_point_into_the_frame),
        TEST(test_bad_series_are_refused),
        TEST(test_tables_cross_rows_and_fields),
        TEST(test_tables_without_points_are_fine),
        TEST(test_tables_of_a_wrong_form_are_refused),
        TEST(test_bad_cells_of_tables_are_blamed_row_by_row),
        SMALL(test_the_limit_on_points),
        SMALL(test_the_limit_on_keys),
        SMALL(test_the_limit_on_labels),
        SMALL(test_the_limit_on_cells_bounds_memory),
        TEST(test_the_first_bad_point_is_blamed_in_the_order_of_shapes),
        TEST(test_expanded_names_are_bounded),
        TEST(test_scratch_does_not_grow_in_steady_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
