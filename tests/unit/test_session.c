#include "ch/alloc.h"
#include "db/session.h"
#include "support/test.h"

static ch_identity_t
identity(const char *producer, uint64_t epoch, uint64_t seq)
{
    ch_identity_t made = {.present = true, .epoch = epoch, .seq = seq};
    strncpy(made.producer, producer, sizeof made.producer - 1);
    return made;
}

static ch_append_state_t
offer(ch_session_map_t *map, uint64_t epoch, uint64_t seq, uint64_t lsn)
{
    ch_identity_t id = identity("p", epoch, seq);
    ch_append_state_t state = ch_session_check(map, &id, 100);
    if (state == CH_APPEND_TAKEN)
        ch_session_consume(map, &id, lsn, 1000, NULL);
    return state;
}

static void
test_expected_is_taken_others_are_told_apart(void **state)
{
    (void)state;
    ch_session_map_t *map = ch_session_map_new();
    assert_int_equal(offer(map, 5, 2, 0), CH_APPEND_GAP); /* an epoch opens with seq 1 */
    ch_session_view_t *view = calloc(1, sizeof *view);
    assert_int_equal(ch_session_view(map, "p", 0, view), CH_NOT_FOUND);
    assert_int_equal(offer(map, 5, 1, 1), CH_APPEND_TAKEN);
    assert_int_equal(offer(map, 5, 1, 0), CH_APPEND_DUPLICATE);
    assert_int_equal(offer(map, 5, 3, 0), CH_APPEND_GAP);
    assert_int_equal(ch_session_view(map, "p", 0, view), CH_OK);
    assert_true(view->gap);
    assert_int_equal(view->expected, 2);
    assert_int_equal(offer(map, 5, 2, 2), CH_APPEND_TAKEN);
    assert_int_equal(offer(map, 4, 3, 0), CH_APPEND_FENCED);
    assert_int_equal(offer(map, 6, 2, 0), CH_APPEND_GAP); /* fences nobody yet */
    assert_int_equal(offer(map, 5, 3, 3), CH_APPEND_TAKEN);
    assert_int_equal(offer(map, 6, 1, 4), CH_APPEND_TAKEN);
    assert_int_equal(offer(map, 5, 4, 0), CH_APPEND_FENCED);
    assert_int_equal(ch_session_view(map, "p", 4, view), CH_OK);
    assert_int_equal(view->epoch, 6);
    assert_int_equal(view->received, 1);
    assert_int_equal(view->duplicates, 1);
    assert_false(view->gap);
    free(view);
    ch_session_map_destroy(&map);
}

static void
test_durable_follows_the_lsn(void **state)
{
    (void)state;
    ch_session_map_t *map = ch_session_map_new();
    ch_session_view_t *view = calloc(1, sizeof *view);
    for (uint64_t seq = 1; seq <= 100; seq++)
        assert_int_equal(offer(map, 1, seq, seq * 10), CH_APPEND_TAKEN);
    const uint64_t cuts[][2] = {{9, 0}, {10, 1}, {555, 55}, {999, 99}, {1000, 100}};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        assert_int_equal(ch_session_view(map, "p", cuts[i][0], view), CH_OK);
        assert_int_equal(view->durable, cuts[i][1]);
        assert_int_equal(view->durable_lsn, cuts[i][1] * 10);
        assert_int_equal(view->received, 100);
    }
    free(view);
    ch_session_map_destroy(&map);
}

/* Goal: a producer that never asks costs what is in flight, not what it ever sent. */
static void
test_batches_known_durable_are_forgotten_unasked(void **state)
{
    (void)state;
    ch_session_map_t *map = ch_session_map_new();
    for (uint64_t seq = 1; seq <= 10000; seq++) {
        ch_session_map_durable(map, seq > 20 ? seq - 20 : 0);
        assert_int_equal(offer(map, 1, seq, seq), CH_APPEND_TAKEN);
        assert_in_range(ch_session_map_in_flight(map), 1, 64);
    }
    ch_session_view_t *view = calloc(1, sizeof *view);
    assert_int_equal(ch_session_view(map, "p", 9990, view), CH_OK);
    assert_int_equal(view->durable, 9990);
    assert_int_equal(view->received, 10000);
    free(view);
    ch_session_map_destroy(&map);
}

static void
test_last_rejects_are_kept(void **state)
{
    (void)state;
    ch_session_map_t *map = ch_session_map_new();
    for (uint64_t seq = 1; seq <= 70; seq++) {
        ch_identity_t id = identity("p", 1, seq);
        ch_reject_t reject = {.index = (int64_t)seq, .code = CH_ERR_LIMIT};
        ch_session_consume(map, &id, seq, 0, &reject);
    }
    ch_session_view_t *view = calloc(1, sizeof *view);
    assert_int_equal(ch_session_view(map, "p", 70, view), CH_OK);
    assert_int_equal(view->reject_count, CH_SESSION_REJECTS_MAX);
    assert_int_equal(view->rejects[0].seq, 7);
    assert_int_equal(view->rejects[63].seq, 70);
    assert_int_equal(view->rejects[63].index, 70);
    assert_int_equal(view->rejected, 70);
    free(view);
    ch_session_map_destroy(&map);
}

static void
test_capture_holds_what_changed_and_restores(void **state)
{
    (void)state;
    ch_session_map_t *map = ch_session_map_new(), *copy = ch_session_map_new();
    ch_text_t text = {0};
    for (int p = 0; p < 200; p++) {
        char name[16];
        snprintf(name, sizeof name, "producer-%d", p);
        ch_identity_t id = identity(name, (uint64_t)p + 1, 1);
        ch_reject_t reject = {.index = -1, .code = CH_ERR_INVALID};
        ch_session_consume(map, &id, (uint64_t)p + 1, p, p % 3 ? NULL : &reject);
    }
    ch_session_map_capture(map, false, &text);
    const uint8_t *at = (const uint8_t *)text.data;
    assert_int_equal(ch_session_map_restore(copy, &at, at + text.size), CH_OK);
    assert_ptr_equal(at, text.data + text.size);
    assert_int_equal(ch_session_map_count(copy), 200);
    ch_session_view_t *view = calloc(1, sizeof *view);
    assert_int_equal(ch_session_view(copy, "producer-33", 0, view), CH_OK);
    assert_int_equal(view->epoch, 34);
    assert_int_equal(view->durable, 1);
    assert_int_equal(view->durable_lsn, 34);
    assert_int_equal(view->reject_count, 1);
    assert_int_equal(view->rejects[0].index, -1);
    size_t whole = text.size;
    ch_text_reset(&text);
    ch_session_map_capture(map, false, &text);
    assert_int_equal(text.size, 1); /* a count of 0 */
    ch_text_reset(&text);
    ch_session_map_capture(map, true, &text);
    assert_int_equal(text.size, whole);
    for (size_t cut = 0; cut < whole;
         cut++) { /* a cut set never restores as if it were whole */
        at = (const uint8_t *)text.data;
        assert_int_equal(ch_session_map_restore(copy, &at, at + cut), CH_ERR_CORRUPT);
    }
    free(view);
    ch_text_release(&text);
    ch_session_map_destroy(&map);
    ch_session_map_destroy(&copy);
}

static void
test_new_producers_wait_at_the_limit(void **state)
{
    (void)state;
    ch_session_map_t *map = ch_session_map_new();
    ch_identity_t a = identity("a", 1, 1), b = identity("b", 1, 1);
    ch_session_consume(map, &a, 1, 0, NULL);
    assert_int_equal(ch_session_check(map, &b, 1), CH_APPEND_HELD);
    assert_int_equal(ch_session_check(map, &b, 2), CH_APPEND_TAKEN);
    a.seq = 2;
    assert_int_equal(ch_session_check(map, &a, 1), CH_APPEND_TAKEN);
    ch_session_map_destroy(&map);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expected_is_taken_others_are_told_apart),
        cmocka_unit_test(test_durable_follows_the_lsn),
        cmocka_unit_test(test_batches_known_durable_are_forgotten_unasked),
        cmocka_unit_test(test_last_rejects_are_kept),
        cmocka_unit_test(test_capture_holds_what_changed_and_restores),
        cmocka_unit_test(test_new_producers_wait_at_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
