/* The msgpack cursor against msgpack-c, and against hostile bytes. */
#include "ch/cursor.h"

#include "support/notation.h"
#include "support/test.h"

#include "ch/limits.h"
#include "ch/rng.h"

#include <math.h>
#include <msgpack.h>

static int
tear_down(void **state)
{
    (void)state;
    notation_release();
    return 0;
}

static ch_item_t
one_item(const char *text)
{
    ch_bytes_t bytes = notation(text);
    ch_cursor_t cursor = ch_cursor(bytes);
    ch_item_t item = {0};
    assert_true(ch_cursor_next(&cursor, &item));
    return item;
}

static void
test_integers_of_every_width(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        int64_t value;
    } ints[] = {
        {"#00", 0},
        {"#7f", 127},
        {"#ff", -1},
        {"#e0", -32},
        {"#ccff", 255},
        {"#cd0100", 256},
        {"#ceffffffff", UINT32_MAX},
        {"#cf7fffffffffffffff", INT64_MAX},
        {"#d080", -128},
        {"#d18000", -32768},
        {"#d280000000", INT32_MIN},
        {"#d38000000000000000", INT64_MIN},
        {"#cf0000000000000000", 0},
        {"#d300000000000000ff", 255},
    };
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        ch_item_t item = one_item(ints[i].bytes);
        assert_int_equal(item.kind, CH_ITEM_INT);
        assert_int_equal(item.i64, ints[i].value);
    }
    ch_item_t item = one_item("#cf8000000000000000");
    assert_int_equal(item.kind, CH_ITEM_UINT);
    assert_int_equal(item.u64, (uint64_t)INT64_MAX + 1);
}

static void
test_scalars_and_bytes(void **state)
{
    (void)state;
    assert_int_equal(one_item("nil").kind, CH_ITEM_NIL);
    assert_true(one_item("true").boolean);
    assert_false(one_item("false").boolean);
    assert_true(one_item("1.5").f64 == 1.5);
    assert_true(one_item("f1.5").f64 == 1.5);
    assert_true(isnan(one_item("#ca7fc00000").f64));
    assert_true(ch_bytes_equal(one_item("'ab'").bytes, ch_bytes_text("ab")));
    assert_int_equal(one_item("b'ab'").kind, CH_ITEM_BIN);
    assert_int_equal(one_item("#d90161").bytes.size, 1);
    assert_int_equal(one_item("#da000161").bytes.size, 1);
    assert_int_equal(one_item("#db0000000161").bytes.size, 1);
    assert_int_equal(one_item("#c5000161").bytes.size, 1);
    assert_int_equal(one_item("#c60000000161").bytes.size, 1);
    static const char *const exts[] = {"#d40561",
                                       "#d5056161",
                                       "#d60561616161",
                                       "#d7056161616161616161",
                                       "#d80561616161616161616161616161616161",
                                       "#c7010561",
                                       "#c800010561",
                                       "#c9000000010561",
                                       "#c70005"};
    static const size_t sizes[] = {1, 2, 4, 8, 16, 1, 1, 1, 0};
    for (size_t i = 0; i < 9; i++) {
        ch_item_t item = one_item(exts[i]);
        assert_int_equal(item.kind, CH_ITEM_EXT);
        assert_int_equal(item.ext_type, 5);
        assert_int_equal(item.bytes.size, sizes[i]);
    }
    assert_int_equal(one_item("x-1'1234'").ext_type, -1);
}

static void
test_containers_hand_out_their_head(void **state)
{
    (void)state;
    assert_int_equal(one_item("[1 2 3]").count, 3);
    assert_int_equal(one_item("{1 2}").count, 1);
    assert_int_equal(one_item("#dc00020102").count, 2);
    assert_int_equal(one_item("#dd000000020102").count, 2);
    assert_int_equal(one_item("#de00010102").count, 1);
    assert_int_equal(one_item("#df000000010102").count, 1);
}

static void
test_claims_beyond_the_bytes_are_refused(void **state)
{
    (void)state;
    static const char *const hostile[] = {
        "",
        "#c1",
        "#cc",
        "#cd00",
        "#ce000000",
        "#cf00000000000000",
        "#ca000000",
        "#cb00000000000000",
        "#a261",
        "#d905616161",
        "#daffff61",
        "#dbffffffff61",
        "#c4ff61",
        "#c6ffffffff",
        "#c9ffffffff0161",
        "#d4",
        "#d805",
        "#91",
        "#92c0",
        "#81c0",
        "#dcffffc0",
        "#ddffffffffc0",
        "#ddffffffff",
        "#deffffc0c0",
        "#df80000000c0c0",
        "#dfffffffffc0c0",
        "#c7",
    };
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        ch_bytes_t bytes = notation(hostile[i]);
        ch_cursor_t cursor = ch_cursor(bytes);
        ch_item_t item;
        assert_false(ch_cursor_next(&cursor, &item));
        assert_ptr_equal(cursor.at, bytes.data);
        assert_false(ch_cursor_skip(&cursor, NULL));
        assert_ptr_equal(cursor.at, bytes.data);
    }
}

static unsigned
depth_of(const char *text)
{
    ch_cursor_t cursor = ch_cursor(notation(text));
    unsigned depth = 99;
    assert_true(ch_cursor_skip(&cursor, &depth));
    assert_true(ch_cursor_done(&cursor));
    return depth;
}

static void
test_skip_tells_the_depth(void **state)
{
    (void)state;
    assert_int_equal(depth_of("5"), 0);
    assert_int_equal(depth_of("[]"), 1);
    assert_int_equal(depth_of("[[] 1 [2]]"), 2);
    assert_int_equal(depth_of("{a [1] b {c {d 1}} e 1}"), 3);
    assert_int_equal(depth_of("[[[[[[[[1]]]]]]]]"), 8);
    assert_int_equal(depth_of("[[[[[[[[[1]]]]]]]] 5 [6]]"), 9);
    assert_int_equal(depth_of("[[[[[[[[[[[[1]]]] 2]]]]]]]]"), 9);
}

static void
test_raw_gives_one_value(void **state)
{
    (void)state;
    ch_bytes_t bytes = notation("[1 {a 2}] 5"), raw;
    ch_cursor_t cursor = ch_cursor(bytes);
    assert_true(ch_cursor_raw(&cursor, &raw));
    assert_true(ch_bytes_equal(raw, notation("[1 {a 2}]")));
    assert_true(ch_cursor_raw(&cursor, &raw));
    assert_int_equal(raw.size, 1);
    assert_false(ch_cursor_raw(&cursor, &raw));
}

static void
test_timestamps(void **state)
{
    (void)state;
    int64_t time;
    ch_item_t item = one_item("x-1'\\xff\\xff\\xff\\xff'");
    assert_true(ch_item_time(&item, &time));
    assert_int_equal(time, UINT32_MAX * INT64_C(1000000000));
    /* the ends of int64 nanoseconds: 9223372036 s + 854775807 ns and -9223372037 s + 145224192 ns */
    item = one_item("x-1'\\x32\\xf2\\xd7\\xff\\x00\\x00\\x00\\x02\\x25\\xc1\\x7d\\x04'");
    assert_true(ch_item_time(&item, &time));
    assert_int_equal(time, INT64_MAX);
    item = one_item("x-1'\\x32\\xf2\\xd8\\x00\\x00\\x00\\x00\\x02\\x25\\xc1\\x7d\\x04'");
    assert_false(ch_item_time(&item, &time));
    item = one_item("x-1'\\x08\\xa7\\xf2\\x00\\xff\\xff\\xff\\xfd\\xda\\x3e\\x82\\xfb'");
    assert_true(ch_item_time(&item, &time));
    assert_int_equal(time, INT64_MIN);
    item = one_item("x-1'\\x08\\xa7\\xf1\\xff\\xff\\xff\\xff\\xfd\\xda\\x3e\\x82\\xfb'");
    assert_false(ch_item_time(&item, &time));
    item = one_item("x-1'\\x3b\\x9a\\xca\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00'");
    assert_false(ch_item_time(&item, &time)); /* 10^9 nanoseconds */
    item = one_item("x-2'\\x00\\x00\\x00\\x00'");
    assert_false(ch_item_time(&item, &time));
}

/* ---- random messages: the cursor agrees with msgpack-c */

static void
compare(ch_cursor_t *cursor, const msgpack_object *object)
{
    ch_item_t item;
    assert_true(ch_cursor_next(cursor, &item));
    switch (object->type) {
    case MSGPACK_OBJECT_NIL:
        assert_int_equal(item.kind, CH_ITEM_NIL);
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        assert_int_equal(item.boolean, object->via.boolean);
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        assert_int_equal(item.u64, object->via.u64);
        assert_int_equal(item.kind,
                         object->via.u64 > INT64_MAX ? CH_ITEM_UINT : CH_ITEM_INT);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        assert_int_equal(item.kind, CH_ITEM_INT);
        assert_int_equal(item.i64, object->via.i64);
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        assert_int_equal(item.kind, CH_ITEM_FLOAT);
        assert_memory_equal(&item.f64, &object->via.f64, 8);
        break;
    case MSGPACK_OBJECT_STR:
    case MSGPACK_OBJECT_BIN:
        assert_int_equal(item.bytes.size, object->via.str.size);
        if (item.bytes.size > 0)
            assert_ptr_equal(item.bytes.data, object->via.str.ptr);
        break;
    case MSGPACK_OBJECT_EXT:
        assert_int_equal(item.ext_type, object->via.ext.type);
        assert_int_equal(item.bytes.size, object->via.ext.size);
        break;
    case MSGPACK_OBJECT_ARRAY:
        assert_int_equal(item.count, object->via.array.size);
        for (uint32_t i = 0; i < item.count; i++)
            compare(cursor, &object->via.array.ptr[i]);
        break;
    case MSGPACK_OBJECT_MAP:
        assert_int_equal(item.count, object->via.map.size);
        for (uint32_t i = 0; i < item.count; i++) {
            compare(cursor, &object->via.map.ptr[i].key);
            compare(cursor, &object->via.map.ptr[i].val);
        }
        break;
    }
}

/* Bytes that look like msgpack more often than not. */
static size_t
random_message(ch_rng_t *rng, uint8_t *out, size_t most)
{
    size_t size = 1 + (size_t)ch_rng_below(rng, most);
    for (size_t i = 0; i < size; i++) {
        uint64_t kind = ch_rng_below(rng, 10);
        out[i] = kind < 2   ? (uint8_t)(0x80 + ch_rng_below(rng, 32))
                 : kind < 4 ? (uint8_t)(0xc0 + ch_rng_below(rng, 32))
                 : kind < 6 ? (uint8_t)ch_rng_below(rng, 4)
                            : (uint8_t)ch_rng_next(rng);
    }
    return size;
}

/* msgpack-c allocates what a header claims, up to 64 GiB: a sanitizer spends seconds on each. There it is
 * asked about the messages only that we accept. */
#if defined(CH_ASAN) || defined(CH_TSAN)
enum { ASK_ABOUT_REFUSED = 0, ROUNDS = 50000 };
#else
enum { ASK_ABOUT_REFUSED = 1, ROUNDS = 200000 };
#endif

static void
test_random_bytes_agree_with_msgpack_c(void **state)
{
    (void)state;
    ch_rng_t rng;
    unsigned accepted = 0;
    ch_rng_seed(&rng, ch_test_seed());
    for (int round = 0; round < ROUNDS; round++) {
        uint8_t bytes[64];
        size_t size = random_message(&rng, bytes, sizeof bytes), offset = 0;
        ch_cursor_t cursor = {bytes, bytes + size}, walk = cursor;
        bool ours = ch_cursor_skip(&cursor, NULL);
        if (!ours && !ASK_ABOUT_REFUSED)
            continue;
        msgpack_unpacked unpacked;
        msgpack_unpacked_init(&unpacked);
        bool theirs = msgpack_unpack_next(&unpacked, (char *)bytes, size, &offset) ==
                      MSGPACK_UNPACK_SUCCESS;
        if (theirs != ours)
            fail_msg("round %d: msgpack-c %d, we %d", round, theirs, ours);
        if (ours) {
            assert_int_equal(cursor.at - bytes, offset);
            compare(&walk, &unpacked.data);
            assert_ptr_equal(walk.at, cursor.at);
            accepted++;
        }
        msgpack_unpacked_destroy(&unpacked);
    }
    assert_true(accepted > ROUNDS / 20);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_integers_of_every_width),
        TEST(test_scalars_and_bytes),
        TEST(test_containers_hand_out_their_head),
        TEST(test_claims_beyond_the_bytes_are_refused),
        TEST(test_skip_tells_the_depth),
        TEST(test_raw_gives_one_value),
        TEST(test_timestamps),
        TEST(test_random_bytes_agree_with_msgpack_c),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
