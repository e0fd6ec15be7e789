/* The producer's session against a model of a node, over a pipe that loses, repeats and reorders. */
#include "client/producer_session.h"

#include "support/test.h"

#include "ch/batch_decoder.h"
#include "ch/batch_encoder.h"
#include "ch/rng.h"

enum { RESEND_MS = 500, ASK_WAIT_MS = 100, PAYLOADS = 120, PIPE_MAX = 64 };

static ch_producer_session_options_t
plain_options(void)
{
    return (ch_producer_session_options_t){.epoch = 100,
                                           .level = CH_LEVEL_DURABLE,
                                           .window_batches = 16,
                                           .window_bytes = 1 << 20,
                                           .resend_after_ms = RESEND_MS,
                                           .ask_wait_ms = ASK_WAIT_MS};
}

static void
push_payload(ch_producer_session_t *session, ch_batch_encoder_t *encoder, uint64_t epoch,
             int64_t payload)
{
    ch_identity_t identity = {.present = true, .producer = "p", .epoch = epoch};
    ch_bytes_t frame;
    identity.seq = ch_producer_session_next_seq(session);
    ch_batch_encoder_reset(encoder);
    ch_batch_encoder_point(encoder, ch_bytes_text("k"), ch_when(1),
                           ch_value_int(payload));
    assert_int_equal(ch_batch_encoder_finish(encoder, &identity, &frame), CH_OK);
    assert_true(ch_producer_session_push(session, frame));
}

/* ---- a session by hand */

typedef struct hand {
    ch_producer_session_t *session;
    ch_batch_encoder_t *encoder;
    int64_t now;
    ch_reject_t rejects[CH_SESSION_REJECTS_MAX];
} hand_t;

static hand_t
hand_open(uint32_t batches)
{
    ch_producer_session_options_t options = plain_options();
    hand_t hand = {.session = ch_producer_session_new(&options),
                   .encoder = ch_batch_encoder_new(),
                   .now = 1000};
    for (uint32_t i = 1; i <= batches; i++)
        push_payload(hand.session, hand.encoder, 100, i);
    return hand;
}

static void
hand_close(hand_t *hand)
{
    ch_producer_session_destroy(&hand->session);
    ch_batch_encoder_destroy(&hand->encoder);
}

static ch_producer_action_t
hand_next(hand_t *hand)
{
    return ch_producer_session_next(hand->session, hand->now);
}

/* Send all there is to send, and the question that comes with it. Returns the first seq sent. */
static uint64_t
hand_send(hand_t *hand)
{
    uint64_t first = 0;
    for (;;) {
        ch_producer_action_t action = hand_next(hand);
        if (action.kind == CH_PRODUCER_ASK) {
            ch_producer_session_asked(hand->session, hand->now);
        } else if (action.kind == CH_PRODUCER_SEND) {
            first = first ? first : action.seq;
            ch_producer_session_sent(hand->session, hand->now);
        } else {
            return first;
        }
    }
}

static uint32_t
hand_answer(hand_t *hand, ch_ack_state_t state, uint64_t received, uint64_t durable,
            uint64_t expected)
{
    ch_ack_reply_t ack = {.state = state,
                          .received = received,
                          .durable = durable,
                          .replicated = durable,
                          .expected = expected,
                          .epoch = 500};
    return ch_producer_session_answered(hand->session, &ack, hand->now, hand->rejects);
}

static uint64_t
held(const hand_t *hand)
{
    ch_producer_session_view_t view;
    ch_producer_session_view(hand->session, &view);
    return view.held_batches;
}

static void
test_a_batch_is_held_until_its_level(void **state)
{
    (void)state;
    hand_t hand = hand_open(3);
    assert_int_equal(hand_send(&hand), 1);
    assert_int_equal(hand_next(&hand).kind, CH_PRODUCER_WAIT);
    hand_answer(&hand, CH_ACK_PENDING, 3, 1, 4);
    assert_int_equal(held(&hand), 2);
    assert_true(ch_producer_session_reached(hand.session, CH_LEVEL_RECEIVED));
    assert_false(ch_producer_session_reached(hand.session, CH_LEVEL_DURABLE));
    hand.now += 10;
    assert_int_equal(hand_next(&hand).kind, CH_PRODUCER_ASK);
    hand_send(&hand);
    hand_answer(&hand, CH_ACK_OK, 3, 3, 4);
    assert_int_equal(held(&hand), 0);
    assert_true(ch_producer_session_reached(hand.session, CH_LEVEL_DURABLE));
    assert_int_equal(hand_next(&hand).kind, CH_PRODUCER_WAIT);
    hand_close(&hand);
}

static void
test_a_gap_is_served_once_for_each_value_of_expected(void **state)
{
    (void)state;
    hand_t hand = hand_open(5);
    hand_send(&hand);
    hand_answer(&hand, CH_ACK_GAP, 1, 1, 2);
    assert_int_equal(hand_send(&hand), 2);
    hand_answer(&hand, CH_ACK_GAP, 1, 1, 2);
    assert_int_equal(hand_next(&hand).kind,
                     CH_PRODUCER_WAIT); /* it is not even asked at once */
    hand.now += 60;
    assert_int_equal(hand_next(&hand).kind, CH_PRODUCER_ASK);
    assert_int_equal(hand_send(&hand), 0); /* not again for the same value */
    hand_answer(&hand, CH_ACK_GAP, 3, 3, 4);
    assert_int_equal(hand_send(&hand), 4); /* but for another */
    hand_close(&hand);
}

static void
test_a_long_pending_sends_again(void **state)
{
    (void)state;
    hand_t hand = hand_open(2);
    hand_send(&hand);
    hand.now += ASK_WAIT_MS;
    hand_answer(&hand, CH_ACK_UNKNOWN, 0, 0, 1);
    hand.now += 10;
    assert_int_equal(hand_send(&hand), 0);
    hand.now += RESEND_MS;
    hand_answer(&hand, CH_ACK_PENDING, 1, 1, 2); /* progress: wait again */
    hand.now += 10;
    assert_int_equal(hand_send(&hand), 0);
    hand.now += RESEND_MS;
    hand_answer(&hand, CH_ACK_PENDING, 1, 1, 2);
    assert_int_equal(hand_send(&hand), 2);
    hand_close(&hand);
}

static void
test_silence_makes_it_send_again_at_once(void **state)
{
    (void)state;
    hand_t hand = hand_open(2);
    hand_send(&hand);
    ch_producer_session_unanswered(hand.session, hand.now);
    assert_int_equal(hand_next(&hand).kind, CH_PRODUCER_ASK);
    hand_send(&hand);
    hand_answer(&hand, CH_ACK_PENDING, 0, 0, 1);
    assert_int_equal(hand_send(&hand), 1);
    hand_close(&hand);
}

static void
test_a_lost_session_gets_a_new_epoch(void **state)
{
    (void)state;
    hand_t hand = hand_open(4);
    ch_producer_session_view_t view;
    ch_limits_t limits = ch_limits_default();
    ch_batch_decoder_t *decoder = ch_batch_decoder_new(&limits);
    const ch_batch_t *batch;
    ch_reject_t reject;
    ch_bytes_t frame;
    hand_send(&hand);
    hand_answer(&hand, CH_ACK_PENDING, 4, 2, 5);
    hand.now += 10;
    hand_send(&hand);
    hand_answer(&hand, CH_ACK_UNKNOWN, 0, 0, 1);
    assert_int_equal(hand_next(&hand).kind, CH_PRODUCER_NEW_EPOCH);
    ch_producer_session_new_epoch(hand.session, 200);
    ch_producer_session_view(hand.session, &view);
    assert_int_equal(view.epoch, 200);
    assert_int_equal(view.held_batches, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_true(ch_producer_session_held(hand.session, i, &frame));
        assert_int_equal(ch_batch_decode(decoder, frame, 0, &batch, &reject), CH_OK);
        assert_int_equal(batch->identity.epoch, 200);
        assert_int_equal(batch->identity.seq, i + 1);
        assert_int_equal(ch_values_at(batch->blocks[0].values, 0).i64, (int64_t)i + 3);
    }
    assert_int_equal(hand_send(&hand), 1);
    ch_batch_decoder_destroy(&decoder);
    hand_close(&hand);
}

static void
test_fenced_is_the_end(void **state)
{
    (void)state;
    hand_t hand = hand_open(1);
    ch_producer_session_view_t view;
    hand_send(&hand);
    hand_answer(&hand, CH_ACK_FENCED, 0, 0, 1);
    assert_int_equal(hand_next(&hand).kind, CH_PRODUCER_FENCED);
    ch_producer_session_view(hand.session, &view);
    assert_int_equal(view.fenced_by, 500);
    hand_close(&hand);
}

static void
test_rejects_are_told_once(void **state)
{
    (void)state;
    hand_t hand = hand_open(4);
    ch_reject_t rejects[] = {{.seq = 2, .code = CH_ERR_INVALID},
                             {.seq = 3, .code = CH_ERR_LIMIT}};
    ch_ack_reply_t ack = {
        .state = CH_ACK_PENDING, .received = 3, .durable = 2, .expected = 4};
    ack.rejects = rejects;
    ack.reject_count = 2;
    hand_send(&hand);
    assert_int_equal(
        ch_producer_session_answered(hand.session, &ack, hand.now, hand.rejects), 2);
    assert_int_equal(hand.rejects[1].seq, 3);
    assert_int_equal(
        ch_producer_session_answered(hand.session, &ack, hand.now, hand.rejects), 0);
    hand_close(&hand);
}

static void
test_the_window_is_bounded_by_batches_and_bytes(void **state)
{
    (void)state;
    hand_t hand = hand_open(15);
    assert_true(ch_producer_session_has_room(hand.session, 100));
    assert_false(ch_producer_session_has_room(hand.session, 1 << 20));
    push_payload(hand.session, hand.encoder, 100, 16);
    assert_false(ch_producer_session_has_room(hand.session, 100));
    hand_close(&hand);
    hand = hand_open(0);
    assert_true(ch_producer_session_has_room(hand.session, 100 << 20));
    hand_close(&hand);
}

static void
test_restored_batches_are_asked_for_before_they_are_sent(void **state)
{
    (void)state;
    hand_t hand = hand_open(0), source = hand_open(3);
    ch_bytes_t frame;
    for (size_t i = 0; i < 3; i++) {
        assert_true(ch_producer_session_held(source.session, i, &frame));
        assert_true(ch_producer_session_restore(hand.session, 40 + i, frame));
    }
    assert_false(ch_producer_session_restore(hand.session, 50, frame)); /* a hole */
    assert_int_equal(hand_next(&hand).kind, CH_PRODUCER_ASK);
    assert_int_equal(hand_next(&hand).seq, 42);
    ch_producer_session_asked(hand.session, hand.now);
    assert_int_equal(hand_next(&hand).kind, CH_PRODUCER_WAIT);
    hand_answer(&hand, CH_ACK_PENDING, 41, 40, 42);
    assert_int_equal(held(&hand), 2);
    assert_int_equal(hand_send(&hand), 42);
    assert_int_equal(ch_producer_session_next_seq(hand.session), 43);
    hand_close(&hand);
    hand_close(&source);
}

static void
test_wanting_a_higher_level_goes_on_asking(void **state)
{
    (void)state;
    hand_t hand = hand_open(2);
    ch_ack_reply_t ack = {.state = CH_ACK_OK, .received = 2, .durable = 2, .expected = 3};
    hand_send(&hand);
    ch_producer_session_answered(hand.session, &ack, hand.now, hand.rejects);
    assert_int_equal(hand_next(&hand).kind, CH_PRODUCER_WAIT);
    ch_producer_session_want(hand.session, CH_LEVEL_REPLICATED);
    assert_false(ch_producer_session_reached(hand.session, CH_LEVEL_REPLICATED));
    ch_producer_action_t action = hand_next(&hand);
    assert_int_equal(action.kind, CH_PRODUCER_ASK);
    assert_int_equal(action.level, CH_LEVEL_REPLICATED);
    assert_int_equal(action.seq, 2);
    ch_producer_session_asked(hand.session, hand.now);
    ack.replicated = 2;
    ch_producer_session_answered(hand.session, &ack, hand.now, hand.rejects);
    assert_true(ch_producer_session_reached(hand.session, CH_LEVEL_REPLICATED));
    hand_close(&hand);
}

/* ---- a model node behind a bad pipe */

typedef struct node {
    bool open; /* the epoch has its first batch */
    uint64_t epoch, received, durable;
    bool gap;
    int64_t payloads[PAYLOADS * 8]; /* applied, in order */
    size_t count, durable_count;
} node_t;

typedef struct message {
    uint64_t epoch, seq;
    int64_t payload;
} message_t;

typedef struct world {
    ch_rng_t rng;
    node_t node;
    message_t pipe[PIPE_MAX];
    size_t piped;
    int64_t now;
    bool asking, question_lost;
    uint64_t asked_epoch, asked_seq;
    int64_t asked_until;
    ch_batch_decoder_t *decoder;
    unsigned loss_percent;
} world_t;

static bool
chance(world_t *world, unsigned percent)
{
    return ch_rng_below(&world->rng, 100) < percent;
}

/* the protocol: what a node does with a batch. */
static void
node_take(node_t *node, message_t message)
{
    if (message.epoch != node->epoch || !node->open) {
        if (node->open && message.epoch < node->epoch)
            return;
        if (message.seq != 1) {
            node->gap |= message.epoch == node->epoch;
            return;
        }
        node->open = true;
        node->epoch = message.epoch;
        node->received = node->durable = 0;
        node->gap = false;
    }
    if (message.seq > node->received + 1)
        node->gap = true;
    if (message.seq != node->received + 1)
        return;
    node->received++;
    node->gap = false;
    node->payloads[node->count++] = message.payload;
}

static void
node_restart(node_t *node)
{
    node->received = node->durable;
    node->count = node->durable_count;
    node->gap = false;
}

static void
pipe_push(world_t *world, ch_bytes_t frame)
{
    const ch_batch_t *batch;
    ch_reject_t reject;
    assert_int_equal(ch_batch_decode(world->decoder, frame, 0, &batch, &reject), CH_OK);
    message_t message = {batch->identity.epoch, batch->identity.seq,
                         ch_values_at(batch->blocks[0].values, 0).i64};
    unsigned copies = chance(world, world->loss_percent) ? 0 : chance(world, 10) ? 2 : 1;
    for (; copies > 0 && world->piped < PIPE_MAX; copies--)
        world->pipe[world->piped++] = message;
}

/* Deliver one message: the oldest, or now and then a later one. */
static void
pipe_deliver(world_t *world)
{
    if (world->piped == 0)
        return;
    size_t place =
        chance(world, 15) ? (size_t)ch_rng_below(&world->rng, world->piped) : 0;
    node_take(&world->node, world->pipe[place]);
    world->piped--;
    memmove(world->pipe + place, world->pipe + place + 1,
            (world->piped - place) * sizeof *world->pipe);
}

/* The answer to the question that is out, if it is due. */
static bool
node_answer(world_t *world, ch_ack_reply_t *ack)
{
    node_t *node = &world->node;
    bool known = node->open && node->epoch == world->asked_epoch;
    *ack = (ch_ack_reply_t){.expected = 1};
    if (known) {
        ack->received = node->received;
        ack->durable = ack->replicated = node->durable;
        ack->expected = node->received + 1;
    }
    if (known && node->durable >= world->asked_seq)
        ack->state = CH_ACK_OK;
    else if (node->gap && (known || !node->open))
        ack->state = CH_ACK_GAP;
    else if (world->now >= world->asked_until)
        ack->state = known ? CH_ACK_PENDING : CH_ACK_UNKNOWN;
    else
        return false;
    return true;
}

static void
world_step(world_t *world, ch_producer_session_t *session)
{
    ch_reject_t rejects[CH_SESSION_REJECTS_MAX];
    ch_ack_reply_t ack;
    world->now += (int64_t)ch_rng_below(&world->rng, 5);
    ch_producer_action_t action = ch_producer_session_next(session, world->now);
    ch_producer_session_view_t view;
    ch_producer_session_view(session, &view);
    if (action.kind == CH_PRODUCER_SEND) {
        pipe_push(world, action.frame);
        ch_producer_session_sent(session, world->now);
    } else if (action.kind == CH_PRODUCER_ASK) {
        world->asking = true;
        world->question_lost = chance(world, world->loss_percent);
        world->asked_epoch = view.epoch;
        world->asked_seq = action.seq;
        world->asked_until = world->now + action.wait_ms;
        ch_producer_session_asked(session, world->now);
    } else if (action.kind == CH_PRODUCER_NEW_EPOCH) {
        ch_producer_session_new_epoch(session, view.epoch + 1);
        world->asking = false;
    }
    pipe_deliver(world);
    if (chance(world, 30) && world->node.durable < world->node.received) {
        world->node.durable = world->node.received;
        world->node.durable_count = world->node.count;
    }
    if (!world->asking)
        return;
    if (world->question_lost && world->now > world->asked_until + 50) {
        world->asking = false;
        ch_producer_session_unanswered(session, world->now);
    } else if (!world->question_lost && node_answer(world, &ack)) {
        world->asking = false;
        ch_producer_session_answered(session, &ack, world->now, rejects);
    }
}

/* Everything that the producer let go is durable at the node. */
static void
check_released(const node_t *node, int64_t first_held)
{
    int64_t highest = 0;
    for (size_t i = 0; i < node->durable_count; i++)
        highest = node->payloads[i] > highest ? node->payloads[i] : highest;
    if (highest + 1 < first_held)
        fail_msg("payload %lld was released, the node has up to %lld",
                 (long long)first_held - 1, (long long)highest);
}

/* The payload of the oldest batch held, `next` when none is. */
static int64_t
oldest_payload(world_t *world, const ch_producer_session_t *session, int64_t next)
{
    const ch_batch_t *batch;
    ch_reject_t reject;
    ch_bytes_t frame;
    if (!ch_producer_session_held(session, 0, &frame))
        return next;
    assert_int_equal(ch_batch_decode(world->decoder, frame, 0, &batch, &reject), CH_OK);
    return ch_values_at(batch->blocks[0].values, 0).i64;
}

/* Push all payloads through. `expiry`: the node may also forget the session. */
static void
run_world(uint64_t seed, bool expiry)
{
    ch_producer_session_options_t options = plain_options();
    ch_producer_session_t *session = ch_producer_session_new(&options);
    ch_batch_encoder_t *encoder = ch_batch_encoder_new();
    ch_limits_t limits = ch_limits_default();
    world_t *world = calloc(1, sizeof *world);
    world->decoder = ch_batch_decoder_new(&limits);
    ch_rng_seed(&world->rng, seed);
    world->loss_percent = (unsigned)ch_rng_below(&world->rng, 40);
    int64_t next = 1;
    int steps = 0;
    ch_bytes_t oldest;
    for (; steps < 400000 &&
           (next <= PAYLOADS || ch_producer_session_held(session, 0, &oldest));
         steps++) {
        ch_producer_session_view_t view;
        ch_producer_session_view(session, &view);
        if (next <= PAYLOADS && chance(world, 40) &&
            ch_producer_session_has_room(session, 100) &&
            ch_producer_session_next(session, world->now).kind != CH_PRODUCER_NEW_EPOCH)
            push_payload(session, encoder, view.epoch, next++);
        world_step(world, session);
        check_released(&world->node, oldest_payload(world, session, next));
        if (chance(world, 1) && chance(world, 20))
            node_restart(&world->node);
        if (expiry && world->node.count < PAYLOADS * 4 && chance(world, 1) &&
            chance(world, 10)) {
            node_restart(&world->node);
            world->node.open = false;
            world->node.epoch = 0;
        }
    }
    assert_true(steps < 400000);
    int64_t last = 0;
    for (size_t i = 0; i < world->node.count; i++) {
        int64_t payload = world->node.payloads[i];
        if (!expiry)
            assert_int_equal(payload, last + 1); /* each once, in order */
        else
            assert_true(payload <= last + 1); /* none is skipped; some come again */
        last = payload > last ? payload : last;
    }
    assert_int_equal(last, PAYLOADS);
    ch_batch_decoder_destroy(&world->decoder);
    ch_batch_encoder_destroy(&encoder);
    ch_producer_session_destroy(&session);
    free(world);
}

static void
test_every_payload_has_the_effect_of_one(void **state)
{
    (void)state;
    uint64_t seed = ch_test_seed();
    for (uint64_t i = 0; i < 150; i++)
        run_world(seed + i, false);
}

static void
test_no_payload_is_lost_when_sessions_expire(void **state)
{
    (void)state;
    uint64_t seed = ch_test_seed();
    for (uint64_t i = 0; i < 150; i++)
        run_world(seed + i, true);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_batch_is_held_until_its_level),
        cmocka_unit_test(test_a_gap_is_served_once_for_each_value_of_expected),
        cmocka_unit_test(test_a_long_pending_sends_again),
        cmocka_unit_test(test_silence_makes_it_send_again_at_once),
        cmocka_unit_test(test_a_lost_session_gets_a_new_epoch),
        cmocka_unit_test(test_fenced_is_the_end),
        cmocka_unit_test(test_rejects_are_told_once),
        cmocka_unit_test(test_the_window_is_bounded_by_batches_and_bytes),
        cmocka_unit_test(test_restored_batches_are_asked_for_before_they_are_sent),
        cmocka_unit_test(test_wanting_a_higher_level_goes_on_asking),
        cmocka_unit_test(test_every_payload_has_the_effect_of_one),
        cmocka_unit_test(test_no_payload_is_lost_when_sessions_expire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
