/* The four shapes of a batch: what they become, and what they are refused for. */
#include "support/batch_fixture.h"
#include "support/notation.h"

#include <math.h>

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

/* Goal: rows that name hosts in rounds are those hosts' whatever the order of the rounds. Method: rounds
 * that repeat, start anew, skip, swap and end early; the label sets are equally long. */
static void
test_rows_in_rounds_keep_their_labels(void **state)
{
    (void)state;
    static const char *const orders[] = {"abcabcabc", "abcbcaacb", "aaabbb", "abacadabac",
                                         "abcdabxdabcd"};
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        char text[2000] = "{rows [", expected[1000] = "";
        for (int k = 0; orders[i][k]; k++) {
            sprintf(text + strlen(text), "['m' {h '%c'} %d {f %d}]", orders[i][k], k, k);
            sprintf(expected + strlen(expected), "m_f{h=\"%c\"} %d %d\n", orders[i][k], k,
                    k);
        }
        assert_decodes(strcat(text, "]}"), expected);
    }
    assert_decodes(
        "{rows [['m' {h 'a'} 1 {f 1}] ['m' {h 'b'} 1 {f 2}] ['m' {h 'a'} 2 {f 3}]"
        " ['m' {h 'b' i 'c'} 2 {f 4}] ['m' {} 2 {f 5}]]}",
        "m_f{h=\"a\"} 1 1\nm_f{h=\"b\"} 1 2\nm_f{h=\"a\"} 2 3\n"
        "m_f{h=\"b\",i=\"c\"} 2 4\nm_f 2 5\n");
    assert_bad("{rows [['m' {h 'a'} 1 {f 1}] ['m' {h 'b'} 1 {f 2}] ['m' {h 'a'} 2 {f 3}]"
               " ['m' {h 'b'} 2 {f []}]]}",
               3);
}

/* ---- tables */

#define SCRAPE(name, label, field, row, more)                                            \
    "{name " name " labels [" label "] fields [" field "] rows [[" row "]] " more "}"

/* Goal: a table that repeats the head of the one before means what it would mean alone. Method: pairs
 * whose heads are equal, or as long and different in one part. */
static void
test_tables_that_repeat_a_head_are_read_as_if_alone(void **state)
{
    (void)state;
    assert_decodes(
        "{tables [" SCRAPE("'t'", "'h'", "'f'", "'x'", "times 1 values [[5]]")
            SCRAPE("'t'", "'h'", "'f'", "'x'", "times 2 values [e1(6)]")
                SCRAPE("'t'", "'h'", "'f'", "'x'", "times 3 values [[7.5]]") "]}",
        "t_f{h=\"x\"} 1 5\nt_f{h=\"x\"} 2 6\nt_f{h=\"x\"} 3 7.5000000000000000\n");
    assert_ptr_equal(batch->blocks[0].names, batch->blocks[2].names);
    assert_ptr_equal(batch->blocks[0].labels, batch->blocks[2].labels);
#define AFTER_T_H_F_X(table, expected)                                                   \
    assert_decodes("{tables [" SCRAPE("'t'", "'h'", "'f'", "'x'",                        \
                                      "times 1 values [[5]]") table "]}",                \
                   "t_f{h=\"x\"} 1 5\n" expected)
    AFTER_T_H_F_X(SCRAPE("'u'", "'h'", "'f'", "'x'", "times 2 values [[6]]"),
                  "u_f{h=\"x\"} 2 6\n");
    AFTER_T_H_F_X(SCRAPE("'t'", "'i'", "'f'", "'x'", "times 2 values [[6]]"),
                  "t_f{i=\"x\"} 2 6\n");
    AFTER_T_H_F_X(SCRAPE("'t'", "'h'", "'g'", "'x'", "times 2 values [[6]]"),
                  "t_g{h=\"x\"} 2 6\n");
    AFTER_T_H_F_X(SCRAPE("'t'", "'h'", "'f'", "'y'", "times 2 values [[6]]"),
                  "t_f{h=\"y\"} 2 6\n");
}

/* Goal: a fault behind a repeated head is blamed on its point; a head that had a fault of its own (a key
 * too long, of a cell without a point) is not taken over. */
static void
test_faults_behind_a_repeated_head_are_blamed(void **state)
{
    (void)state;
    assert_bad(
        "{tables [" SCRAPE("'t'", "'h'", "'f' 'g'", "'x'", "times 1 values [[1] [2]]")
            SCRAPE("'t'", "'h'", "'f' 'g'", "'x'", "times 2 values [[3] [[]]]") "]}",
        3);
    assert_bad("{tables [" SCRAPE("'t'", "'h'", "'f'", "'x'", "times 1 values [[1]]")
                   SCRAPE("'t'", "'h'", "'f'", "'x'", "times [1 2] values [[3]]") "]}",
               -1);
    assert_bad("{tables [" SCRAPE("'t'", "'h'", "'f'", "'x'", "times 1 values [[1]]")
                   SCRAPE("'t'", "'h'", "'f'", "'x'", "times ['?'] values [[3]]") "]}",
               1);
}

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

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, batch_set_up, batch_tear_down)
    const struct CMUnitTest tests[] = {
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
        TEST(test_rows_in_rounds_keep_their_labels),
        TEST(test_bad_rows_are_refused_at_their_first_point),
        TEST(test_series_take_every_form_of_column),
        TEST(test_packed_columns_point_into_the_frame),
        TEST(test_bad_series_are_refused),
        TEST(test_tables_cross_rows_and_fields),
        TEST(test_tables_that_repeat_a_head_are_read_as_if_alone),
        TEST(test_faults_behind_a_repeated_head_are_blamed),
        TEST(test_tables_without_points_are_fine),
        TEST(test_tables_of_a_wrong_form_are_refused),
        TEST(test_bad_cells_of_tables_are_blamed_row_by_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
