/* Goal: every frame of the ingest socket ends in exactly one outcome, which is counted, logged within
 * bounds, and told to acks when the frame had an identity. Method: an engine that answers as told. */
#include "support/test.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ch/batch_encoder.h"
#include "ch/rng.h"
#include "ingest_core.h"

typedef struct fixture {
    ch_ingest_core_t *core;
    ch_node_stats_t stats;
    ch_log_t log;
    ch_append_state_t answer; /* of append and refuse */
    ch_status_t status;
    unsigned appends, refusals, touches, lines;
    ch_touch_t touch;
    ch_identity_t identity; /* of the last call */
    ch_reject_t reject;
    uint32_t points;
} fixture_t;

static ch_status_t
fake_append(void *context, const ch_batch_t *batch, ch_append_result_t *result_out)
{
    fixture_t *fixture = context;
    fixture->appends++;
    fixture->identity = batch->identity;
    fixture->points = batch->points;
    *result_out = (ch_append_result_t){.state = fixture->answer, .lsn = 42};
    return fixture->status;
}

static ch_status_t
fake_refuse(void *context, const ch_identity_t *identity, const ch_reject_t *reject,
            ch_append_result_t *result_out)
{
    fixture_t *fixture = context;
    fixture->refusals++;
    fixture->identity = *identity;
    fixture->reject = *reject;
    *result_out = (ch_append_result_t){.state = CH_APPEND_REJECTED, .lsn = 43};
    return fixture->status;
}

static void
fake_touch(void *context, const ch_touch_t *touch)
{
    fixture_t *fixture = context;
    fixture->touches++;
    fixture->touch = *touch;
}

static void
count_line(void *context, ch_log_level_t level, const char *line)
{
    (void)level;
    (void)line;
    ((fixture_t *)context)->lines++;
}

static int
set_up(void **state)
{
    fixture_t *fixture = calloc(1, sizeof *fixture);
    ch_limits_t limits = ch_limits_default();
    fixture->log =
        (ch_log_t){.write = count_line, .context = fixture, .level = CH_LOG_INFO};
    const ch_ingest_world_t world = {.context = fixture,
                                     .append = fake_append,
                                     .refuse = fake_refuse,
                                     .touch = fake_touch};
    fixture->core =
        ch_ingest_core_new(&limits, &world, &fixture->stats, &fixture->log, NULL);
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    fixture_t *fixture = *state;
    ch_ingest_core_destroy(&fixture->core);
    free(fixture);
    return 0;
}

static uint64_t
counted(const fixture_t *fixture, ch_count_t which)
{
    return fixture->stats.counts[which];
}

/* One point of `key`; `seq` 0: without identity. */
static ch_status_t
take_point(fixture_t *fixture, const char *key, uint64_t seq)
{
    ch_batch_encoder_t *encoder = ch_batch_encoder_new();
    ch_batch_encoder_reset(encoder);
    ch_batch_encoder_point(encoder, ch_bytes_text(key), ch_when(1), ch_value_int(7));
    ch_identity_t identity = {
        .present = seq > 0, .producer = "p", .epoch = 3, .seq = seq};
    ch_bytes_t frame;
    assert_int_equal(ch_batch_encoder_finish(encoder, &identity, &frame), CH_OK);
    ch_status_t status = ch_ingest_core_take(fixture->core, frame, NULL, 0, 1);
    ch_batch_encoder_destroy(&encoder);
    return status;
}

static void
test_a_good_batch_is_appended_and_told(void **state)
{
    fixture_t *fixture = *state;
    assert_int_equal(take_point(fixture, "m", 5), CH_OK);
    assert_int_equal(fixture->appends, 1);
    assert_int_equal(fixture->points, 1);
    assert_string_equal(fixture->identity.producer, "p");
    assert_int_equal(fixture->touches, 1);
    assert_int_equal(fixture->touch.lsn, 42);
    assert_int_equal(fixture->touch.epoch, 3);
    assert_true(fixture->touch.producer_hash == ch_ack_producer_hash("p"));
    assert_int_equal(counted(fixture, CH_COUNT_INGEST_BATCHES), 1);
    assert_int_equal(counted(fixture, CH_COUNT_INGEST_POINTS), 1);
    assert_int_equal(counted(fixture, CH_COUNT_INGEST_MESSAGES), 1);
}

static void
test_a_batch_without_identity_touches_nobody(void **state)
{
    fixture_t *fixture = *state;
    assert_int_equal(take_point(fixture, "m", 0), CH_OK);
    assert_int_equal(fixture->appends, 1);
    assert_int_equal(fixture->touches, 0);
}

static void
test_each_answer_of_the_engine_has_its_counter(void **state)
{
    fixture_t *fixture = *state;
    static const struct {
        ch_append_state_t answer;
        ch_count_t count;
    } rows[] = {
        {CH_APPEND_DUPLICATE, CH_COUNT_INGEST_DUPLICATES},
        {CH_APPEND_GAP, CH_COUNT_INGEST_GAPS},
        {CH_APPEND_FENCED, CH_COUNT_INGEST_FENCED},
        {CH_APPEND_HELD, CH_COUNT_INGEST_HELD},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fixture->answer = rows[i].answer;
        assert_int_equal(take_point(fixture, "m", i + 1), CH_OK);
        assert_int_equal(counted(fixture, rows[i].count), 1);
        assert_int_equal(fixture->touch.state, rows[i].answer);
    }
    assert_int_equal(counted(fixture, CH_COUNT_INGEST_BATCHES), 0);
}

static void
test_an_invalid_identified_batch_is_refused_in_the_log(void **state)
{
    fixture_t *fixture = *state;
    assert_int_equal(take_point(fixture, "bad{", 9), CH_OK);
    assert_int_equal(fixture->appends, 0);
    assert_int_equal(fixture->refusals, 1);
    assert_int_equal(fixture->identity.seq, 9);
    assert_int_equal(fixture->reject.index, 0);
    assert_int_equal(fixture->touch.state, CH_APPEND_REJECTED);
    assert_int_equal(counted(fixture, CH_COUNT_INGEST_REJECTED_INVALID), 1);
}

static void
test_an_invalid_batch_without_identity_only_counts(void **state)
{
    fixture_t *fixture = *state;
    assert_int_equal(take_point(fixture, "bad{", 0), CH_OK);
    assert_int_equal(fixture->refusals + fixture->appends + fixture->touches, 0);
    assert_int_equal(counted(fixture, CH_COUNT_INGEST_REJECTED_INVALID), 1);
}

static void
test_garbage_is_counted_and_logged_within_bounds(void **state)
{
    fixture_t *fixture = *state;
    ch_rng_t rng;
    ch_rng_seed(&rng, ch_test_seed());
    for (int i = 0; i < 5000; i++) {
        uint8_t bytes[64];
        size_t size = 1 + ch_rng_below(&rng, sizeof bytes);
        for (size_t j = 0; j < size; j++)
            bytes[j] = (uint8_t)ch_rng_next(&rng);
        bytes[0] |=
            0xc1; /* never a map: a random one may be an empty batch, which is good */
        assert_int_equal(
            ch_ingest_core_take(fixture->core, ch_bytes(bytes, size), NULL, 0, 1000 + i),
            CH_OK);
    }
    assert_int_equal(counted(fixture, CH_COUNT_INGEST_UNDECODABLE) +
                         counted(fixture, CH_COUNT_INGEST_BATCHES) +
                         counted(fixture, CH_COUNT_INGEST_REJECTED_INVALID) +
                         counted(fixture, CH_COUNT_INGEST_REJECTED_LIMIT),
                     5000);
    assert_in_range(fixture->lines, 1, 2);
    ch_ingest_core_multipart(fixture->core, 2, 10, 1);
    assert_int_equal(counted(fixture, CH_COUNT_INGEST_MULTIPART), 1);
}

#if !defined(CH_ASAN) && !defined(CH_TSAN)
static size_t
address_space_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Goal: memory that is not there is no fault of the batch: nothing is consumed, the node goes on, and
 * the same frame is taken when there is memory again. */
static void
test_a_batch_for_which_there_is_no_memory_is_held(void **state)
{
    enum { POINTS = 100000 };
    fixture_t *fixture = *state;
    ch_batch_encoder_t *encoder = ch_batch_encoder_new();
    ch_batch_encoder_reset(encoder);
    for (int i = 0; i < POINTS; i++)
        ch_batch_encoder_point(encoder, ch_bytes_text("m"), ch_when(i), ch_value_int(7));
    ch_identity_t identity = {.present = true, .producer = "p", .epoch = 3, .seq = 1};
    ch_bytes_t frame;
    assert_int_equal(ch_batch_encoder_finish(encoder, &identity, &frame), CH_OK);
    struct rlimit before, little;
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    little = before;
    little.rlim_cur = address_space_bytes() + (1 << 20);
    assert_int_equal(setrlimit(RLIMIT_AS, &little), 0);
    ch_status_t status = ch_ingest_core_take(fixture->core, frame, NULL, 0, 1);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(status, CH_OK);
    assert_int_equal(fixture->appends + fixture->refusals, 0);
    assert_int_equal(counted(fixture, CH_COUNT_INGEST_HELD), 1);
    assert_int_equal(ch_ingest_core_take(fixture->core, frame, NULL, 0, 1), CH_OK);
    assert_int_equal(fixture->points, POINTS);
    ch_batch_encoder_destroy(&encoder);
}
#endif

static void
test_an_engine_that_fails_is_told_to_the_caller(void **state)
{
    fixture_t *fixture = *state;
    fixture->status = CH_ERR_CLOSED;
    assert_int_equal(take_point(fixture, "m", 1), CH_ERR_CLOSED);
    assert_int_equal(fixture->touches, 0);
    assert_int_equal(counted(fixture, CH_COUNT_INGEST_BATCHES), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_good_batch_is_appended_and_told),
        TEST(test_a_batch_without_identity_touches_nobody),
        TEST(test_each_answer_of_the_engine_has_its_counter),
        TEST(test_an_invalid_identified_batch_is_refused_in_the_log),
        TEST(test_an_invalid_batch_without_identity_only_counts),
        TEST(test_garbage_is_counted_and_logged_within_bounds),
#if !defined(CH_ASAN) && !defined(CH_TSAN)
        TEST(test_a_batch_for_which_there_is_no_memory_is_held),
#endif
        TEST(test_an_engine_that_fails_is_told_to_the_caller),
    };
    return cmocka_run_group_tests_name("ingest_core", tests, NULL, NULL);
}
