/* Goal: no wake-up and no touch is lost between two threads. Method: a writer counts up and raises
 * after each step; the reader arms, looks, and polls only when it has seen everything; a lost
 * wake-up would leave it in the poll until the timeout that fails the test. */
#include "support/test.h"

#include <poll.h>
#include <pthread.h>
#include "ch/alloc.h"
#include "poke.h"
#include "touch_ring.h"

enum { STEPS = 100000, TIMEOUT_MS = 20000 };

typedef struct shared {
    ch_poke_t poke;
    atomic_uint_fast64_t value;
    ch_touch_ring_t *ring;
} shared_t;

static void *
raise_each_step(void *context)
{
    shared_t *shared = context;
    for (int i = 0; i < STEPS; i++) {
        atomic_fetch_add(&shared->value, 1);
        ch_poke_raise(&shared->poke);
    }
    return NULL;
}

static void
wait_for_poke(shared_t *shared)
{
    struct pollfd fd = {.fd = shared->poke.fd, .events = POLLIN};
    assert_int_equal(poll(&fd, 1, TIMEOUT_MS), 1);
    ch_poke_clear(&shared->poke);
}

static void
test_no_wake_up_is_lost(void **state)
{
    (void)state;
    shared_t shared = {0};
    assert_int_equal(ch_poke_init(&shared.poke), CH_OK);
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, raise_each_step, &shared), 0);
    uint64_t seen = 0;
    while (seen < STEPS) {
        ch_poke_arm(&shared.poke);
        uint64_t now = atomic_load(&shared.value);
        if (now == seen)
            wait_for_poke(&shared);
        seen = now;
    }
    pthread_join(writer, NULL);
    ch_poke_release(&shared.poke);
}

static void
test_a_raise_without_arming_writes_nothing(void **state)
{
    (void)state;
    ch_poke_t poke;
    assert_int_equal(ch_poke_init(&poke), CH_OK);
    struct pollfd fd = {.fd = poke.fd, .events = POLLIN};
    ch_poke_raise(&poke);
    assert_int_equal(poll(&fd, 1, 0), 0);
    ch_poke_arm(&poke);
    ch_poke_raise(&poke);
    ch_poke_raise(&poke);
    assert_int_equal(poll(&fd, 1, 0), 1);
    ch_poke_clear(&poke);
    assert_int_equal(poll(&fd, 1, 0), 0);
    ch_poke_release(&poke);
}

static void *
push_each_step(void *context)
{
    shared_t *shared = context;
    for (uint64_t i = 1; i <= STEPS; i++) {
        const ch_touch_t touch = {.producer_hash = i * 3, .lsn = i, .epoch = i + 7};
        ch_touch_ring_push(shared->ring, &touch);
    }
    atomic_store(&shared->value, 1);
    return NULL;
}

static void
test_touches_arrive_in_order_or_their_loss_is_told(void **state)
{
    (void)state;
    shared_t shared = {.ring = aligned_alloc(64, sizeof(ch_touch_ring_t))};
    assert_non_null(shared.ring);
    memset(shared.ring, 0, sizeof *shared.ring);
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, push_each_step, &shared), 0);
    uint64_t last = 0, taken = 0;
    bool lost = false, done = false;
    while (!done) {
        ch_touch_t touch;
        done = atomic_load(&shared.value); /* before the last look */
        while (ch_touch_ring_take(shared.ring, &touch, &lost)) {
            assert_true(touch.lsn > last);
            assert_int_equal(touch.producer_hash, touch.lsn * 3);
            assert_int_equal(touch.epoch, touch.lsn + 7);
            last = touch.lsn;
            taken++;
        }
    }
    pthread_join(writer, NULL);
    assert_true(lost || taken == STEPS);
    free(shared.ring);
}

static void
test_a_full_ring_drops_and_says_so(void **state)
{
    (void)state;
    ch_touch_ring_t *ring = aligned_alloc(64, sizeof *ring);
    assert_non_null(ring);
    memset(ring, 0, sizeof *ring);
    ch_touch_t touch = {.lsn = 1};
    for (int i = 0; i < CH_TOUCH_RING_SLOTS; i++)
        ch_touch_ring_push(ring, &touch);
    bool lost = false;
    assert_true(ch_touch_ring_take(ring, &touch, &lost));
    assert_false(lost);
    ch_touch_ring_push(ring, &touch);
    ch_touch_ring_push(ring, &touch);
    assert_true(ch_touch_ring_take(ring, &touch, &lost));
    assert_true(lost);
    free(ring);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_wake_up_is_lost),
        cmocka_unit_test(test_a_raise_without_arming_writes_nothing),
        cmocka_unit_test(test_touches_arrive_in_order_or_their_loss_is_told),
        cmocka_unit_test(test_a_full_ring_drops_and_says_so),
    };
    return cmocka_run_group_tests_name("poke", tests, NULL, NULL);
}
