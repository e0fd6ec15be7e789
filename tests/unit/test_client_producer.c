/* The producer handle of libcityhall against a node that loses batches, forgets and falls silent. */
#include "cityhall.h"

#include "support/fake_node.h"
#include "support/test.h"

static cityhall_producer_options_t
producer_options(const char *id)
{
    cityhall_producer_options_t options;
    cityhall_producer_options_init(&options);
    options.ingest = node->ingest;
    options.query = node->query;
    options.producer = id;
    options.resend_after_ms = 300;
    options.request_timeout_ms = 300;
    return options;
}

static cityhall_producer_t *
open_producer(const cityhall_producer_options_t *options)
{
    cityhall_producer_t *producer;
    char error[256];
    if (cityhall_producer_open(options, &producer, error, sizeof error) != CITYHALL_OK)
        fail_msg("%s", error);
    return producer;
}

/* `count` batches of one point each, values 1..count. */
static void
send_batches(cityhall_producer_t *producer, int count)
{
    for (int i = 1; i <= count; i++) {
        assert_int_equal(cityhall_producer_point(producer, "k", i, cityhall_int(i)),
                         CITYHALL_OK);
        assert_int_equal(cityhall_producer_send(producer, NULL), CITYHALL_OK);
    }
}

static void
test_every_shape_arrives_and_is_acknowledged(void **state)
{
    (void)state;
    cityhall_producer_options_t options = producer_options("p");
    cityhall_producer_t *producer = open_producer(&options);
    int64_t times[] = {1, 2, 3, 4}, uneven[] = {1, 5, 6, 9}, ints[] = {10, 20, 30, 40};
    double floats[] = {1, 2, 3, 4};
    cityhall_value_t values[] = {cityhall_int(100), cityhall_string("x", 1),
                                 cityhall_bool(true), cityhall_float(1)};
    cityhall_value_t sparse[] = {cityhall_int(1000), cityhall_none()};
    cityhall_label_t labels[] = {{"host", "a"}, {"empty", ""}, {"null", NULL}};
    const char *fields[] = {"f", "g"}, *names[] = {"l"}, *label_values[] = {"1", NULL};
    cityhall_column_t columns[] = {{.field = "i", .ints = ints},
                                   {.field = "v", .values = sparse}};
    cityhall_table_t table = {.name = "t",
                              .label_names = names,
                              .label_count = 1,
                              .label_values = label_values,
                              .time = CITYHALL_TIME_RECEIVED,
                              .rows = 2,
                              .columns = columns,
                              .column_count = 2};
    cityhall_producer_stats_t stats;
    uint64_t seq;
    assert_int_equal(cityhall_producer_point(producer, "a{b=\"1\"}", 7, cityhall_int(1)),
                     0);
    assert_int_equal(
        cityhall_producer_row(producer, "r", labels, 3, 7, fields, sparse, 2), 0);
    assert_int_equal(cityhall_producer_floats(producer, "s", times, floats, 4), 0);
    assert_int_equal(cityhall_producer_ints(producer, "s", uneven, ints, 4), 0);
    assert_int_equal(cityhall_producer_values(producer, "s", times, values, 4), 0);
    assert_int_equal(cityhall_producer_table(producer, &table), 0);
    cityhall_producer_stats(producer, &stats);
    assert_int_equal(stats.open_points, 17);
    assert_int_equal(cityhall_producer_send(producer, &seq), 0);
    assert_int_equal(seq, 1);
    assert_int_equal(cityhall_producer_wait(producer, CITYHALL_DURABLE, WAIT_MS), 0);
    cityhall_producer_stats(producer, &stats);
    assert_int_equal(stats.durable, 1);
    assert_int_equal(stats.held_batches, 0);
    assert_int_equal(stats.lsn, 71);
    assert_int_equal(stats.points, 17);
    assert_int_equal(cityhall_producer_close(&producer, WAIT_MS), 0);
    assert_null(producer);
    WITH_NODE(assert_int_equal(node->points, 17));
    WITH_NODE(assert_int_equal(node->sum, 1 + 1000 + 100 + 100 + 30 + 1000));
}

static void
test_without_id_points_just_go(void **state)
{
    (void)state;
    cityhall_producer_options_t options = producer_options(NULL);
    cityhall_producer_t *producer = open_producer(&options);
    send_batches(producer, 50);
    assert_int_equal(cityhall_producer_wait(producer, CITYHALL_DURABLE, 0),
                     CITYHALL_ERR_ARGUMENT);
    assert_int_equal(cityhall_producer_close(&producer, WAIT_MS), CITYHALL_OK);
    struct timespec deadline; /* closed means sent, not yet read */
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += WAIT_MS / 1000;
    pthread_mutex_lock(&node->lock);
    while (node->points < 50 &&
           pthread_cond_timedwait(&node->taken, &node->lock, &deadline) == 0)
        ;
    uint64_t points = node->points;
    pthread_mutex_unlock(&node->lock);
    assert_int_equal(points, 50);
}

static void
test_lost_batches_are_sent_again(void **state)
{
    (void)state;
    cityhall_producer_options_t options = producer_options("p");
    cityhall_producer_t *producer = open_producer(&options);
    cityhall_producer_stats_t stats;
    WITH_NODE(node->lose_batches = 7);
    send_batches(producer, 20);
    assert_int_equal(cityhall_producer_wait(producer, CITYHALL_DURABLE, WAIT_MS),
                     CITYHALL_OK);
    cityhall_producer_stats(producer, &stats);
    assert_true(stats.resent_batches >= 7);
    assert_int_equal(cityhall_producer_close(&producer, 0), CITYHALL_OK);
    WITH_NODE(assert_int_equal(node->points, 20));
    WITH_NODE(assert_int_equal(node->sum, 210));
}

static void
test_lost_questions_are_asked_again(void **state)
{
    (void)state;
    cityhall_producer_options_t options = producer_options("p");
    cityhall_producer_t *producer = open_producer(&options);
    WITH_NODE(node->lose_questions = 2);
    send_batches(producer, 5);
    assert_int_equal(cityhall_producer_wait(producer, CITYHALL_DURABLE, WAIT_MS),
                     CITYHALL_OK);
    WITH_NODE(assert_int_equal(node->sum, 15));
    WITH_NODE(assert_true(node->questions >= 3));
    cityhall_producer_destroy(&producer);
}

static void
test_a_small_window_pushes_back_but_flows(void **state)
{
    (void)state;
    cityhall_producer_options_t options = producer_options("p");
    options.window_batches = 2;
    cityhall_producer_t *producer = open_producer(&options);
    send_batches(producer, 100);
    assert_int_equal(cityhall_producer_close(&producer, WAIT_MS), CITYHALL_OK);
    WITH_NODE(assert_int_equal(node->sum, 5050));
}

static void
test_a_forgotten_session_opens_a_new_epoch(void **state)
{
    (void)state;
    cityhall_producer_options_t options = producer_options("p");
    cityhall_producer_t *producer = open_producer(&options);
    cityhall_producer_stats_t before, after;
    send_batches(producer, 3);
    assert_int_equal(cityhall_producer_wait(producer, CITYHALL_DURABLE, WAIT_MS),
                     CITYHALL_OK);
    cityhall_producer_stats(producer, &before);
    WITH_NODE(node->forget = true; node->lose_batches = 1);
    send_batches(producer, 3);
    assert_int_equal(cityhall_producer_wait(producer, CITYHALL_DURABLE, WAIT_MS),
                     CITYHALL_OK);
    cityhall_producer_stats(producer, &after);
    assert_int_equal(after.sessions_lost, 1);
    assert_true(after.epoch > before.epoch);
    assert_int_equal(after.durable, 3);
    WITH_NODE(assert_int_equal(node->sum, 12));
    cityhall_producer_destroy(&producer);
}

static void
test_a_fenced_producer_stops(void **state)
{
    (void)state;
    cityhall_producer_options_t options = producer_options("p");
    options.epoch = 5;
    cityhall_producer_t *producer = open_producer(&options);
    WITH_NODE(node->fence = 9);
    assert_int_equal(cityhall_producer_point(producer, "k", 1, cityhall_int(1)),
                     CITYHALL_OK);
    (void)!cityhall_producer_send(producer, NULL);
    assert_int_equal(cityhall_producer_wait(producer, CITYHALL_DURABLE, WAIT_MS),
                     CITYHALL_ERR_FENCED);
    assert_true(strstr(cityhall_producer_error(producer), "epoch") != NULL);
    cityhall_producer_destroy(&producer);
}

static void
note_reject(void *context, const cityhall_reject_t *reject)
{
    cityhall_reject_t *seen = context;
    assert_string_equal(reject->code, "limit");
    assert_string_equal(reject->message, "too much");
    *seen = *reject;
}

static void
test_rejects_are_called_back(void **state)
{
    (void)state;
    cityhall_reject_t seen = {0};
    cityhall_producer_options_t options = producer_options("p");
    cityhall_producer_stats_t stats;
    options.on_reject = note_reject;
    options.on_reject_context = &seen;
    cityhall_producer_t *producer = open_producer(&options);
    WITH_NODE(node->reject_seq = 2);
    send_batches(producer, 3);
    assert_int_equal(cityhall_producer_wait(producer, CITYHALL_DURABLE, WAIT_MS),
                     CITYHALL_OK);
    assert_int_equal(seen.seq, 2);
    assert_int_equal(seen.index, 3);
    cityhall_producer_stats(producer, &stats);
    assert_int_equal(stats.rejected, 1);
    cityhall_producer_destroy(&producer);
}

static void
test_nobody_there_is_a_timeout(void **state)
{
    (void)state;
    cityhall_producer_options_t options = producer_options("p");
    cityhall_reader_options_t reader_options;
    cityhall_reader_t *reader;
    cityhall_ping_t ping;
    options.ingest = options.query = "tcp://127.0.0.1:1";
    options.window_batches = 1;
    options.send_timeout_ms = 50;
    cityhall_producer_t *producer = open_producer(&options);
    send_batches(producer, 1);
    assert_int_equal(cityhall_producer_point(producer, "k", 1, cityhall_int(1)),
                     CITYHALL_OK);
    assert_int_equal(cityhall_producer_send(producer, NULL), CITYHALL_ERR_TIMEOUT);
    assert_int_equal(cityhall_producer_wait(producer, CITYHALL_DURABLE, 50),
                     CITYHALL_ERR_TIMEOUT);
    assert_int_equal(cityhall_producer_close(&producer, 50), CITYHALL_ERR_TIMEOUT);
    assert_null(producer);
    cityhall_reader_options_init(&reader_options);
    reader_options.query = "tcp://127.0.0.1:1";
    reader_options.timeout_ms = 20;
    reader_options.tries = 1;
    assert_int_equal(cityhall_reader_open(&reader_options, &reader, NULL, 0),
                     CITYHALL_OK);
    assert_int_equal(cityhall_reader_ping(reader, &ping), CITYHALL_ERR_TIMEOUT);
    cityhall_reader_destroy(&reader);
}

static void
test_a_timeout_says_what_the_node_said(void **state)
{
    (void)state;
    cityhall_producer_options_t options = producer_options("p");
    cityhall_producer_t *producer = open_producer(&options);
    pthread_mutex_lock(&node->lock);
    node->held = "disk full";
    pthread_mutex_unlock(&node->lock);
    send_batches(producer, 1);
    cityhall_status_t status = CITYHALL_ERR_TIMEOUT;
    do { /* the answer may come late on a busy machine */
        status = cityhall_producer_wait(producer, CITYHALL_DURABLE, 50);
        assert_int_equal(status, CITYHALL_ERR_TIMEOUT);
    } while (!strstr(cityhall_producer_error(producer), "holds writes: disk full"));
    pthread_mutex_lock(&node->lock);
    node->held = NULL;
    pthread_mutex_unlock(&node->lock);
    assert_int_equal(cityhall_producer_wait(producer, CITYHALL_DURABLE, WAIT_MS),
                     CITYHALL_OK);
    assert_int_equal(cityhall_producer_close(&producer, WAIT_MS), CITYHALL_OK);
}

static void
test_bad_input_adds_nothing(void **state)
{
    (void)state;
    cityhall_producer_options_t options = producer_options("p");
    options.batch_points_max = 10;
    cityhall_producer_t *producer = open_producer(&options);
    cityhall_producer_stats_t stats;
    int64_t times[20] = {0};
    double floats[20] = {0};
    static const char *const keys[] = {"",
                                       "a{",
                                       "a}",
                                       "a{b}",
                                       "a{b=\"1\"",
                                       "a{b=\"1\",}",
                                       "a{b=\"1\",b=\"2\"}",
                                       "\x01",
                                       "\xff",
                                       "a{__name__=\"x\"}",
                                       "a{b=\"\\t\"}",
                                       "a{=\"1\"}",
                                       "a{b=\"}"};
    static char long_key[2000], long_text[70000];
    memset(long_key, 'k', sizeof long_key - 1);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        assert_int_equal(cityhall_producer_point(producer, keys[i], 1, cityhall_int(1)),
                         CITYHALL_ERR_ARGUMENT);
    assert_int_equal(cityhall_producer_point(producer, NULL, 1, cityhall_int(1)),
                     CITYHALL_ERR_ARGUMENT);
    assert_int_equal(cityhall_producer_point(producer, long_key, 1, cityhall_int(1)),
                     CITYHALL_ERR_LIMIT);
    assert_int_equal(cityhall_producer_point(producer, "k", 1, cityhall_none()),
                     CITYHALL_ERR_ARGUMENT);
    assert_int_equal(cityhall_producer_point(
                         producer, "k", 1, cityhall_string(long_text, sizeof long_text)),
                     CITYHALL_ERR_LIMIT);
    assert_int_equal(cityhall_producer_floats(producer, "k", times, floats, 11),
                     CITYHALL_ERR_LIMIT);
    assert_true(strlen(cityhall_producer_error(producer)) > 10);
    cityhall_producer_stats(producer, &stats);
    assert_int_equal(stats.open_points, 0);
    assert_int_equal(cityhall_producer_point(producer, "a{b=\"\\\"\\\\\\n\",c=\"\"}", 1,
                                             cityhall_int(1)),
                     CITYHALL_OK);
    assert_int_equal(cityhall_producer_floats(producer, "k", times, floats, 10),
                     CITYHALL_OK);
    cityhall_producer_stats(producer, &stats);
    assert_int_equal(stats.open_points, 10); /* the full batch went out first */
    cityhall_producer_destroy(&producer);
    options.producer = "a b";
    assert_int_equal(cityhall_producer_open(&options, &producer, NULL, 0),
                     CITYHALL_ERR_ARGUMENT);
    options = producer_options("p");
    options.ingest = "nonsense";
    assert_int_equal(cityhall_producer_open(&options, &producer, NULL, 0),
                     CITYHALL_ERR_NETWORK);
}

static void
test_a_spool_outlives_the_process(void **state)
{
    (void)state;
    char *directory = ch_test_dir_new();
    cityhall_producer_options_t options = producer_options("p");
    cityhall_producer_stats_t before, after;
    options.spool = directory;
    options.spool_sync = CITYHALL_SPOOL_SYNC_BATCH;
    options.query = "tcp://127.0.0.1:1"; /* acks cannot be had */
    options.ingest = "tcp://127.0.0.1:1";
    cityhall_producer_t *producer = open_producer(&options);
    send_batches(producer, 30);
    cityhall_producer_stats(producer, &before);
    cityhall_producer_destroy(&producer); /* as good as a crash */
    options.query = node->query;
    options.ingest = node->ingest;
    options.epoch = before.epoch + 1;
    assert_int_equal(cityhall_producer_open(&options, &producer, NULL, 0),
                     CITYHALL_ERR_ARGUMENT);
    options.epoch = 0;
    producer = open_producer(&options);
    cityhall_producer_stats(producer, &after);
    assert_int_equal(after.epoch, before.epoch);
    assert_int_equal(after.held_batches, 30);
    assert_int_equal(cityhall_producer_point(producer, "k", 1, cityhall_int(1000)),
                     CITYHALL_OK);
    assert_int_equal(cityhall_producer_close(&producer, WAIT_MS), CITYHALL_OK);
    WITH_NODE(assert_int_equal(node->sum, 465 + 1000));
    WITH_NODE(assert_int_equal(node->received, 31));
    producer = open_producer(&options); /* nothing is left */
    cityhall_producer_stats(producer, &after);
    assert_int_equal(after.held_batches, 0);
    cityhall_producer_destroy(&producer);
    options.producer = "q"; /* an empty spool is anybody's; one with batches is not */
    producer = open_producer(&options);
    cityhall_producer_destroy(&producer);
    ch_test_dir_remove(&directory);
}

int
main(void)
{
#define TEST(name)                                                                       \
    cmocka_unit_test_setup_teardown(name, fake_node_set_up, fake_node_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_every_shape_arrives_and_is_acknowledged),
        TEST(test_without_id_points_just_go),
        TEST(test_lost_batches_are_sent_again),
        TEST(test_lost_questions_are_asked_again),
        TEST(test_a_small_window_pushes_back_but_flows),
        TEST(test_a_forgotten_session_opens_a_new_epoch),
        TEST(test_a_fenced_producer_stops),
        TEST(test_rejects_are_called_back),
        TEST(test_nobody_there_is_a_timeout),
        TEST(test_a_timeout_says_what_the_node_said),
        TEST(test_bad_input_adds_nothing),
        TEST(test_a_spool_outlives_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
