/* Whole frames of the ingest socket, their identities and their limits. What the four shapes become:
 * test_batch_shapes.c. */
#include "support/batch_fixture.h"
#include "support/notation.h"

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
    /* where a section hides it behind a key that nobody knows */
    assert_decodes("{tables [{name 't' labels [] fields [] rows [] times 1 values []"
                   " x [[[[1]]]]}]}",
                   "");
    assert_limit("{tables [{name 't' labels [] fields [] rows [] times 1 values []"
                 " x [[[[[[1]]]]]]}]}",
                 -1);
    assert_decodes("{series [['a' {start 1 step 1 x [[[1]]]} [5]]]}", "a 1 5\n");
    assert_limit("{series [['a' {start 1 step 1 x [[[[[1]]]]]} [5]]]}", -1);
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, batch_set_up, batch_tear_down)
#define SMALL(name)                                                                      \
    cmocka_unit_test_setup_teardown(name, batch_set_up_small, batch_tear_down)
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
