/* Goal: bytes of replies are counted per peer until libzmq lets go of them, also after the budget is
 * gone. */
#include "support/test.h"

#include "reply_budget.h"

static void
message_of(zmq_msg_t *message, size_t size)
{
    assert_int_equal(zmq_msg_init_size(message, size), 0);
    memset(zmq_msg_data(message), 'x', size);
}

static void
test_a_peer_has_its_own_limit_and_gets_bytes_back(void **state)
{
    (void)state;
    ch_reply_budget_t *budget = ch_reply_budget_new(10000, 100000);
    ch_bytes_t one = ch_bytes_text("one"), two = ch_bytes_text("two");
    zmq_msg_t first;
    message_of(&first, 8000);
    assert_true(ch_reply_budget_allows(budget, one, 8000));
    ch_reply_budget_wrap(budget, one, &first);
    assert_int_equal(zmq_msg_size(&first), 8000);
    assert_int_equal(((const char *)zmq_msg_data(&first))[7999], 'x');
    assert_int_equal(ch_reply_budget_waiting(budget), 8000);
    assert_false(ch_reply_budget_allows(budget, one, 8000));
    assert_true(ch_reply_budget_allows(budget, one, 2000));
    assert_true(ch_reply_budget_allows(budget, one, 100));
    assert_true(ch_reply_budget_allows(budget, two, 8000));
    zmq_msg_close(&first);
    assert_int_equal(ch_reply_budget_waiting(budget), 0);
    assert_true(ch_reply_budget_allows(budget, one, 8000));
    assert_true(
        ch_reply_budget_allows(budget, one, 50000)); /* nothing waits: one is allowed */
    ch_reply_budget_destroy(&budget);
}

static void
test_all_peers_share_a_limit(void **state)
{
    (void)state;
    ch_reply_budget_t *budget = ch_reply_budget_new(10000, 20000);
    zmq_msg_t messages[4];
    for (uintptr_t i = 0; i < 4; i++) {
        message_of(&messages[i], 6000);
        ch_reply_budget_wrap(budget, ch_bytes(&i, sizeof i), &messages[i]);
    }
    uintptr_t peer = 0;
    assert_int_equal(ch_reply_budget_waiting(budget), 24000);
    assert_false(ch_reply_budget_allows(budget, ch_bytes(&peer, sizeof peer), 1000));
    for (size_t i = 0; i < 4; i++)
        zmq_msg_close(&messages[i]);
    ch_reply_budget_destroy(&budget);
}

static void
test_messages_may_outlive_the_budget(void **state)
{
    (void)state;
    ch_reply_budget_t *budget = ch_reply_budget_new(10000, 20000);
    zmq_msg_t message, copy;
    message_of(&message, 6000);
    ch_reply_budget_wrap(budget, ch_bytes_text("p"), &message);
    zmq_msg_init(&copy);
    zmq_msg_copy(&copy, &message);
    ch_reply_budget_destroy(&budget);
    zmq_msg_close(&message);
    assert_int_equal(((const char *)zmq_msg_data(&copy))[0], 'x');
    zmq_msg_close(&copy);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_peer_has_its_own_limit_and_gets_bytes_back),
        cmocka_unit_test(test_all_peers_share_a_limit),
        cmocka_unit_test(test_messages_may_outlive_the_budget),
    };
    return cmocka_run_group_tests_name("reply_budget", tests, NULL, NULL);
}
