/* Goal: who is too far ahead of the readers is cut, who is merely busy is not. */
#include "support/test.h"

#include "intake.h"

#define MIB (UINT64_C(1) << 20)

static const ch_intake_limits_t limits = {.connection_bytes = {100 * MIB, 10 * MIB},
                                          .total_bytes = 250 * MIB};

static void
test_each_connection_has_the_limit_of_its_socket(void **state)
{
    (void)state;
    ch_intake_connection_t connections[] = {
        {.socket = 0, .unread = 100 * MIB},
        {.socket = 0, .unread = 100 * MIB + 1},
        {.socket = 1, .unread = 10 * MIB},
        {.socket = 1, .unread = 11 * MIB},
    };
    ch_intake_judge(&limits, connections, 4);
    assert_false(connections[0].cut);
    assert_true(connections[1].cut);
    assert_false(connections[2].cut);
    assert_true(connections[3].cut);
}

static void
test_together_the_greatest_go_until_the_rest_fits(void **state)
{
    (void)state;
    ch_intake_connection_t connections[] = {
        {.unread = 60 * MIB}, {.unread = 90 * MIB}, {.unread = 50 * MIB},
        {.unread = 80 * MIB}, {.unread = 70 * MIB},
    };
    ch_intake_judge(&limits, connections, 5);
    static const bool expected[] = {false, true, false, true,
                                    false}; /* 180 MiB are left */
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(connections[i].cut, expected[i]);
}

static void
test_nobody_is_cut_below_the_limits(void **state)
{
    (void)state;
    ch_intake_connection_t connections[] = {
        {.unread = 0}, {.unread = 99 * MIB}, {.socket = 1}};
    ch_intake_judge(&limits, connections, 3);
    for (size_t i = 0; i < 3; i++)
        assert_false(connections[i].cut);
    ch_intake_judge(&limits, connections, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_connection_has_the_limit_of_its_socket),
        cmocka_unit_test(test_together_the_greatest_go_until_the_rest_fits),
        cmocka_unit_test(test_nobody_is_cut_below_the_limits),
    };
    return cmocka_run_group_tests_name("intake", tests, NULL, NULL);
}
