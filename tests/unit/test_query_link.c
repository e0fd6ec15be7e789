/* Goal: a question is never lost to a queue that only looks full. Method: the peer sits in the same
 * thread and context (inproc), so every answer is there before it is looked for; libzmq then has no
 * reason to look at what the peer told about room in its queue, and within a few questions would
 * say EAGAIN for an empty one. */
#include "support/test.h"

#include <string.h>
#include "client/query_link.h"

enum { QUESTIONS = 1000 };

static void
answer(void *peer)
{
    zmq_msg_t frames[3];
    for (int i = 0; i < 3; i++) {
        zmq_msg_init(&frames[i]);
        assert_true(zmq_msg_recv(&frames[i], peer, ZMQ_DONTWAIT) >= 0);
    }
    assert_int_equal(zmq_msg_size(&frames[2]), 9);
    uint8_t reply[17] = "\x82\xa2ok\xc3\xa2id";
    memcpy(reply + 8, zmq_msg_data(&frames[2]), 9);
    assert_true(zmq_msg_send(&frames[0], peer, ZMQ_SNDMORE) >= 0);
    assert_true(zmq_msg_send(&frames[1], peer, ZMQ_SNDMORE) >= 0);
    assert_int_equal(zmq_send(peer, reply, sizeof reply, 0), sizeof reply);
    zmq_msg_close(&frames[2]);
}

static void
test_a_queue_that_was_emptied_takes_the_next_question(void **state)
{
    (void)state;
    void *context = zmq_ctx_new();
    void *peer = zmq_socket(context, ZMQ_ROUTER);
    int one = 1; /* inproc adds both sides' marks up */
    assert_int_equal(zmq_setsockopt(peer, ZMQ_RCVHWM, &one, sizeof one), 0);
    assert_int_equal(zmq_bind(peer, "inproc://peer"), 0);
    ch_query_link_t link;
    assert_true(ch_query_link_open(&link, context, "inproc://peer", NULL));
    for (int i = 0; i < QUESTIONS; i++) {
        uint8_t id[9];
        ch_reply_view_t view;
        ch_bytes_t frame;
        if (!ch_query_link_send(&link, ch_query_link_next_id(&link, id)))
            fail_msg("question %d was not taken: %s", i, zmq_strerror(zmq_errno()));
        answer(peer);
        assert_int_equal(ch_query_link_receive(&link, &view, &frame), 1);
    }
    ch_query_link_close(&link);
    zmq_close(peer);
    zmq_ctx_term(context);
}

static void
test_a_full_queue_says_so(void **state)
{
    (void)state;
    void *context = zmq_ctx_new();
    ch_query_link_t link;
    assert_true(ch_query_link_open(&link, context, "ipc:///nonexistent/nobody", NULL));
    int taken = 0;
    uint8_t id[9];
    while (ch_query_link_send(&link, ch_query_link_next_id(&link, id)))
        assert_true(++taken < 100);
    assert_true(taken > 0);
    ch_query_link_close(&link);
    zmq_ctx_term(context);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_queue_that_was_emptied_takes_the_next_question),
        cmocka_unit_test(test_a_full_queue_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
