/* Goal: every acknowledgement is answered as soon as docs/protocol.md allows, once, with the right state, and
 * nothing but the deadline is needed to end a wait. Method: a model of sessions drives the core;
 * after every event a brute-force judge says which waiters must have been answered. */
#include "support/test.h"

#include "ack_core.h"
#include "ch/alloc.h"
#include "ch/rng.h"

enum { PRODUCERS = 40, ASKS_MAX = 40000 };

/* One producer of the model: batches of the current epoch are appended at lsns[seq]. */
typedef struct model_session {
    bool exists;
    char name[16];
    uint64_t epoch, received, gap_seq; /* gap_seq: highest dropped above expected */
    uint64_t lsns[4096];
} model_session_t;

typedef struct ask {
    ch_ack_question_t question;
    size_t producer;
    unsigned answers;
    bool failed;
    ch_ack_reply_t reply;
} ask_t;

typedef struct model {
    model_session_t sessions[PRODUCERS];
    uint64_t appended, durable;
    const char *held, *stranger;
    ask_t *asks;
    size_t ask_count;
    size_t lookups;
    ch_ack_core_t *core;
} model_t;

static uint64_t
durable_seq(const model_t *model, const model_session_t *session)
{
    uint64_t seq = session->received;
    while (seq > 0 && session->lsns[seq] > model->durable)
        seq--;
    return seq;
}

static bool
world_session(void *context, const char *producer, ch_session_view_t *view_out)
{
    model_t *model = context;
    model->lookups++;
    for (size_t i = 0; i < PRODUCERS; i++) {
        const model_session_t *session = &model->sessions[i];
        if (!session->exists || strcmp(session->name, producer))
            continue;
        memset(view_out, 0, sizeof *view_out);
        view_out->epoch = session->epoch;
        view_out->received = session->received;
        view_out->durable = durable_seq(model, session);
        view_out->expected = session->received + 1;
        view_out->gap = session->gap_seq > session->received;
        view_out->durable_lsn = view_out->durable ? session->lsns[view_out->durable] : 0;
        return true;
    }
    return false;
}

static uint64_t
world_appended(void *context)
{
    return ((model_t *)context)->appended;
}

static uint64_t
world_durable(void *context)
{
    return ((model_t *)context)->durable;
}

static uint64_t
world_term(void *context)
{
    (void)context;
    return 7;
}

static const char *
world_held(void *context)
{
    return ((model_t *)context)->held;
}

static void
world_answer(void *context, void *tag, const ch_ack_reply_t *ack)
{
    (void)context;
    ask_t *ask = tag;
    ask->answers++;
    ask->failed = ack == NULL;
    if (ack)
        ask->reply = *ack;
}

static const char *
world_stranger(void *context)
{
    return ((model_t *)context)->stranger;
}

static model_t *
model_new(void)
{
    model_t *model = ch_calloc(1, sizeof *model);
    model->asks = ch_calloc(ASKS_MAX, sizeof *model->asks);
    for (size_t i = 0; i < PRODUCERS; i++)
        snprintf(model->sessions[i].name, sizeof model->sessions[i].name, "p%zu", i);
    const ch_ack_world_t world = {
        .context = model,
        .session = world_session,
        .appended_lsn = world_appended,
        .durable_lsn = world_durable,
        .term = world_term,
        .held_reason = world_held,
        .stranger_reason = world_stranger,
        .answer = world_answer,
    };
    model->core = ch_ack_core_new(&world);
    return model;
}

static void
model_destroy(model_t *model)
{
    ch_ack_core_destroy(&model->core);
    ch_free(model->asks);
    ch_free(model);
}

/* What the ingest thread does with a batch, and the touch it reports. */
static ch_touch_t
model_push(model_t *model, size_t p, uint64_t epoch, uint64_t seq)
{
    model_session_t *session = &model->sessions[p];
    ch_touch_t touch = {.producer_hash = ch_ack_producer_hash(session->name),
                        .epoch = epoch};
    uint64_t expected =
        session->exists && epoch == session->epoch ? session->received + 1 : 1;
    if (session->exists && epoch < session->epoch) {
        touch.state = CH_APPEND_FENCED;
    } else if (seq > expected) {
        touch.state = CH_APPEND_GAP;
        if (session->exists && epoch == session->epoch && seq > session->gap_seq)
            session->gap_seq = seq;
    } else if (seq < expected) {
        touch.state = CH_APPEND_DUPLICATE;
    } else {
        if (!session->exists || epoch > session->epoch)
            session->gap_seq = 0;
        session->exists = true;
        session->epoch = epoch;
        session->received = seq;
        session->lsns[seq] = ++model->appended;
        touch.state = CH_APPEND_TAKEN;
        touch.lsn = model->appended;
    }
    return touch;
}

static void
push(model_t *model, size_t p, uint64_t epoch, uint64_t seq)
{
    ch_touch_t touch = model_push(model, p, epoch, seq);
    ch_ack_core_touch(model->core, &touch);
}

static void
sync_all(model_t *model)
{
    model->durable = model->appended;
    ch_ack_core_progress(model->core);
}

static ask_t *
ask(model_t *model, size_t p, uint64_t epoch, uint64_t seq, ch_level_t level,
    int64_t deadline, int64_t now)
{
    assert_true(model->ask_count < ASKS_MAX);
    ask_t *new = &model->asks[model->ask_count++];
    *new = (ask_t){.producer = p,
                   .question = {.producer = model->sessions[p].name,
                                .epoch = epoch,
                                .seq = seq,
                                .level = level,
                                .deadline_ns = deadline}};
    ch_ack_core_ask(model->core, &new->question, now, new);
    return new;
}

static void
assert_told(const ask_t *asked, ch_ack_state_t state)
{
    assert_int_equal(asked->answers, 1);
    assert_false(asked->failed);
    assert_int_equal(asked->reply.state, state);
}

static void
test_ok_comes_with_the_sync_and_not_before(void **state)
{
    (void)state;
    model_t *model = model_new();
    ask_t *durable = ask(model, 0, 1, 1, CH_LEVEL_DURABLE, 1000, 0);
    ask_t *received = ask(model, 0, 1, 1, CH_LEVEL_RECEIVED, 1000, 0);
    ask_t *replicated = ask(model, 0, 1, 1, CH_LEVEL_REPLICATED, 1000, 0);
    push(model, 0, 1, 1);
    assert_told(received, CH_ACK_OK);
    assert_int_equal(received->reply.durable, 0);
    assert_int_equal(durable->answers, 0);
    ask_t *late = ask(model, 0, 1, 1, CH_LEVEL_DURABLE, 1000, 0);
    assert_int_equal(late->answers, 0);
    sync_all(model);
    assert_told(durable, CH_ACK_OK);
    assert_told(replicated, CH_ACK_OK);
    assert_told(late, CH_ACK_OK);
    assert_int_equal(durable->reply.durable, 1);
    assert_int_equal(durable->reply.replicated, 1);
    assert_int_equal(durable->reply.expected, 2);
    assert_int_equal(durable->reply.lsn, 1);
    assert_int_equal(durable->reply.term, 7);
    assert_int_equal(ch_ack_core_waiting(model->core), 0);
    model_destroy(model);
}

static void
test_a_gap_is_told_at_once_and_only_to_those_behind_it(void **state)
{
    (void)state;
    model_t *model = model_new();
    push(model, 0, 1, 1);
    ask_t *first = ask(model, 0, 1, 1, CH_LEVEL_DURABLE, 1000, 0);
    ask_t *third = ask(model, 0, 1, 3, CH_LEVEL_DURABLE, 1000, 0);
    push(model, 0, 1, 3);
    assert_int_equal(first->answers, 0);
    assert_told(third, CH_ACK_GAP);
    assert_int_equal(third->reply.expected, 2);
    assert_told(ask(model, 0, 1, 2, CH_LEVEL_DURABLE, 1000, 0), CH_ACK_GAP);
    sync_all(model);
    assert_told(first, CH_ACK_OK);
    model_destroy(model);
}

static void
test_a_higher_epoch_fences_waiters_of_lower_ones(void **state)
{
    (void)state;
    model_t *model = model_new();
    push(model, 0, 1, 1);
    sync_all(model);
    ask_t *old = ask(model, 0, 1, 2, CH_LEVEL_DURABLE, 1000, 0);
    ask_t *ahead = ask(model, 0, 5, 2, CH_LEVEL_DURABLE, 1000, 0);
    push(model, 0, 5, 1);
    assert_told(old, CH_ACK_FENCED);
    assert_int_equal(old->reply.epoch, 5);
    assert_int_equal(old->reply.durable, 0);
    assert_int_equal(ahead->answers, 0);
    push(model, 0, 5, 2);
    sync_all(model);
    assert_told(ahead, CH_ACK_OK);
    assert_told(ask(model, 0, 4, 1, CH_LEVEL_DURABLE, 1000, 0), CH_ACK_FENCED);
    model_destroy(model);
}

static void
test_unknown_and_pending_only_when_the_time_is_up(void **state)
{
    (void)state;
    model_t *model = model_new();
    ask_t *unknown = ask(model, 0, 1, 1, CH_LEVEL_DURABLE, 100, 0);
    push(model, 1, 1, 1);
    ask_t *pending = ask(model, 1, 1, 2, CH_LEVEL_DURABLE, 200, 0);
    assert_int_equal(ch_ack_core_deadline(model->core), 100);
    ch_ack_core_expire(model->core, 99);
    assert_int_equal(unknown->answers, 0);
    ch_ack_core_expire(model->core, 100);
    assert_told(unknown, CH_ACK_UNKNOWN);
    assert_int_equal(unknown->reply.expected, 1);
    assert_null(unknown->reply.reason);
    model->stranger = "no more producers";
    ask_t *stranger = ask(model, 3, 1, 1, CH_LEVEL_DURABLE, 5, 5);
    assert_told(stranger, CH_ACK_UNKNOWN);
    assert_string_equal(stranger->reply.reason, "no more producers");
    model->held = "disk full";
    ch_ack_core_expire(model->core, 1000);
    assert_told(pending, CH_ACK_PENDING);
    assert_string_equal(pending->reply.reason, "disk full");
    assert_int_equal(pending->reply.received, 1);
    assert_int_equal(ch_ack_core_deadline(model->core), INT64_MAX);
    assert_told(ask(model, 1, 1, 2, CH_LEVEL_DURABLE, 5, 5), CH_ACK_PENDING);
    assert_told(ask(model, 2, 1, 2, CH_LEVEL_DURABLE, 5, 5), CH_ACK_UNKNOWN);
    model_destroy(model);
}

static void
test_an_epoch_that_has_not_opened_can_have_a_gap(void **state)
{
    (void)state;
    model_t *model = model_new();
    ask_t *waiting = ask(model, 0, 3, 2, CH_LEVEL_DURABLE, 1000, 0);
    push(model, 0, 3, 2);
    assert_told(waiting, CH_ACK_GAP);
    assert_int_equal(waiting->reply.expected, 1);
    assert_told(ask(model, 0, 3, 1, CH_LEVEL_DURABLE, 1000, 0), CH_ACK_GAP);
    push(model, 0, 3, 1);
    ask_t *opened = ask(model, 0, 3, 1, CH_LEVEL_DURABLE, 1000, 0);
    assert_int_equal(opened->answers, 0);
    sync_all(model);
    assert_told(opened, CH_ACK_OK);
    model_destroy(model);
}

static void
test_a_sweep_finds_what_lost_touches_hid(void **state)
{
    (void)state;
    model_t *model = model_new();
    ask_t *gone = ask(model, 0, 1, 1, CH_LEVEL_DURABLE, 1000, 0);
    ask_t *soon = ask(model, 1, 1, 1, CH_LEVEL_DURABLE, 1000, 0);
    (void)model_push(model, 0, 1, 1);
    model->durable = model->appended;
    (void)model_push(model, 1, 1, 1);
    ch_ack_core_sweep(model->core);
    assert_told(gone, CH_ACK_OK);
    assert_int_equal(soon->answers, 0);
    sync_all(model);
    assert_told(soon, CH_ACK_OK);
    model_destroy(model);
}

static void
test_drain_and_fail_leave_nobody_waiting(void **state)
{
    (void)state;
    model_t *model = model_new();
    ask_t *first = ask(model, 0, 1, 1, CH_LEVEL_DURABLE, 1000, 0);
    ch_ack_core_drain(model->core);
    assert_told(first, CH_ACK_UNKNOWN);
    ask_t *second = ask(model, 0, 1, 1, CH_LEVEL_DURABLE, 1000, 0);
    ch_ack_core_fail(model->core);
    assert_int_equal(second->answers, 1);
    assert_true(second->failed);
    model_destroy(model);
}

static void
test_beyond_the_limit_an_ack_is_answered_at_once(void **state)
{
    (void)state;
    model_t *model = model_new();
    ask_t shared = {
        .question = {.producer = "q", .epoch = 1, .seq = 1, .deadline_ns = 1000}};
    for (size_t i = 0; i < CH_ACK_WAITERS_MAX; i++)
        ch_ack_core_ask(model->core, &shared.question, 0, &shared);
    assert_int_equal(shared.answers, 0);
    ask_t *over = ask(model, 0, 1, 1, CH_LEVEL_DURABLE, 1000, 0);
    assert_told(over, CH_ACK_UNKNOWN);
    assert_int_equal(ch_ack_core_waiting(model->core), CH_ACK_WAITERS_MAX);
    ch_ack_core_expire(model->core, 1000);
    assert_int_equal(shared.answers, CH_ACK_WAITERS_MAX);
    model_destroy(model);
}

/* Ten thousand producers wait; one progresses. Only that one is looked at. */
static void
test_progress_looks_only_at_producers_that_progressed(void **state)
{
    (void)state;
    model_t *model = model_new();
    static char names[10000][12];
    static ask_t waiting[10000];
    for (size_t i = 0; i < 10000; i++) {
        snprintf(names[i], sizeof names[i], "x%zu", i);
        waiting[i] =
            (ask_t){.question = {
                        .producer = names[i], .epoch = 1, .seq = 1, .deadline_ns = 1000}};
        ch_ack_core_ask(model->core, &waiting[i].question, 0, &waiting[i]);
    }
    ask_t *mine = ask(model, 3, 1, 1, CH_LEVEL_DURABLE, 1000, 0);
    model->lookups = 0;
    push(model, 3, 1, 1);
    sync_all(model);
    assert_told(mine, CH_ACK_OK);
    assert_in_range(model->lookups, 1, 4);
    ch_ack_core_drain(model->core);
    for (size_t i = 0; i < 10000; i++)
        assert_int_equal(waiting[i].answers, 1);
    model_destroy(model);
}

/* ---- the model judges */

static bool
must_be_told(const model_t *model, const ask_t *asked, int64_t now)
{
    const model_session_t *session = &model->sessions[asked->producer];
    const ch_ack_question_t *question = &asked->question;
    if (question->deadline_ns <= now)
        return true;
    if (!session->exists || question->epoch > session->epoch)
        return false; /* gaps of unopened epochs are told too: see the caller */
    if (question->epoch < session->epoch)
        return true;
    uint64_t reached = question->level == CH_LEVEL_RECEIVED ? session->received
                                                            : durable_seq(model, session);
    return reached >= question->seq ||
           (session->gap_seq > session->received && question->seq > session->received);
}

static void
check_all(const model_t *model, int64_t now)
{
    for (size_t i = 0; i < model->ask_count; i++) {
        const ask_t *asked = &model->asks[i];
        const model_session_t *session = &model->sessions[asked->producer];
        assert_in_range(asked->answers, 0, 1);
        if (must_be_told(model, asked, now) && asked->answers == 0)
            fail_msg(
                "ask %zu (p%zu epoch %ju seq %ju level %d until %jd) was not answered; "
                "received %ju gap %ju epoch %ju lsn %ju durable %ju now %jd",
                i, asked->producer, (uintmax_t)asked->question.epoch,
                (uintmax_t)asked->question.seq, (int)asked->question.level,
                (intmax_t)asked->question.deadline_ns, (uintmax_t)session->received,
                (uintmax_t)session->gap_seq, (uintmax_t)session->epoch,
                (uintmax_t)session->lsns[asked->question.seq], (uintmax_t)model->durable,
                (intmax_t)now);
    }
}

static void
random_step(model_t *model, ch_rng_t *rng, int64_t now)
{
    size_t p = ch_rng_below(rng, PRODUCERS);
    model_session_t *session = &model->sessions[p];
    uint64_t epoch = session->exists ? session->epoch : 1;
    uint64_t next = session->exists ? session->received + 1 : 1;
    switch (ch_rng_below(rng, 10)) {
    case 0:
    case 1:
    case 2:
        push(model, p, epoch, next);
        break;
    case 3:
        push(model, p, epoch + ch_rng_below(rng, 2), next + ch_rng_below(rng, 3));
        break;
    case 4:
        if (ch_rng_below(rng, 20) == 0)
            push(model, p, epoch + 1, 1);
        break;
    case 5: /* part of what is appended */
        model->durable += ch_rng_below(rng, model->appended - model->durable + 1);
        ch_ack_core_progress(model->core);
        break;
    default:
        (void)ask(model, p, epoch + ch_rng_below(rng, 3) - (epoch > 1),
                  1 + ch_rng_below(rng, next + 3), (ch_level_t)ch_rng_below(rng, 3),
                  now + (int64_t)ch_rng_below(rng, 400), now);
        break;
    }
}

static void
test_random_schedules_answer_as_a_model_does(void **state)
{
    (void)state;
    ch_rng_t rng;
    ch_rng_seed(&rng, ch_test_seed());
    for (int round = 0; round < 10; round++) {
        model_t *model = model_new();
        for (int64_t now = 0; now < 1500; now++) {
            random_step(model, &rng, now);
            ch_ack_core_expire(model->core, now);
            check_all(model, now);
        }
        ch_ack_core_expire(model->core, 10000);
        check_all(model, 10000);
        assert_int_equal(ch_ack_core_waiting(model->core), 0);
        model_destroy(model);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ok_comes_with_the_sync_and_not_before),
        cmocka_unit_test(test_a_gap_is_told_at_once_and_only_to_those_behind_it),
        cmocka_unit_test(test_a_higher_epoch_fences_waiters_of_lower_ones),
        cmocka_unit_test(test_unknown_and_pending_only_when_the_time_is_up),
        cmocka_unit_test(test_an_epoch_that_has_not_opened_can_have_a_gap),
        cmocka_unit_test(test_a_sweep_finds_what_lost_touches_hid),
        cmocka_unit_test(test_drain_and_fail_leave_nobody_waiting),
        cmocka_unit_test(test_beyond_the_limit_an_ack_is_answered_at_once),
        cmocka_unit_test(test_progress_looks_only_at_producers_that_progressed),
        cmocka_unit_test(test_random_schedules_answer_as_a_model_does),
    };
    return cmocka_run_group_tests_name("ack_core", tests, NULL, NULL);
}
