/* ack_core.c - acknowledgements that wait.
 *
 * Problem   Ten thousand producers may wait at once while thousands of batches a second become
 *           durable. Looking at every waiter on every sync would cost more than the syncs.
 * Idea      A batch changes answers twice: when it is appended (received, gap, fenced, rejected)
 *           and when its lsn becomes durable. The ingest thread reports the first as a touch. For
 *           the second the producer's hash is kept in a heap by lsn until the durable lsn passes.
 *           Waiters of one producer are ordered by (epoch, seq), and only the front is asked: if
 *           the least is not reached, none behind it is. A gap is the exception, it answers those
 *           at the end; then all of this producer's waiters are looked at, and all of them go.
 * Races     The caller handles touches and progress before new questions of the same wake-up. A
 *           batch that was appended before its ack came has no touch to come and an lsn that
 *           nobody told: its producer is looked at on every progress up to the lsn that was
 *           appended when the ack came.
 * Epochs    A session knows one epoch. A batch of a new epoch with seq > 1 is a gap of an epoch
 *           that has not opened; no session tells that, so the core remembers such epochs in a
 *           small table. Forgetting one is harmless: the answer is `unknown`, expected 1.
 */
#include "ack_core.h"

#include "ch/alloc.h"
#include "ch/checksum.h"
#include "heap.h"

enum {
    BUCKETS = 8192,     /* hash heads; chains stay short up to CH_ACK_WAITERS_MAX */
    UNOPENED_MAX = 4096 /* epochs with a gap before their seq 1; direct-mapped */
};

typedef enum { CLASS_RECEIVED, CLASS_DURABLE, CLASS_COUNT } class_t;

typedef struct producer {
    struct producer *next; /* of the same hash head */
    uint64_t hash;
    ch_heap_t waiters[CLASS_COUNT]; /* by (epoch, seq) */
    char name[CH_PRODUCER_BYTES_MAX + 1];
} producer_t;

typedef struct waiter {
    ch_heap_node_t deadline;
    ch_heap_node_t order;
    producer_t *producer;
    class_t kind;
    uint64_t epoch, seq;
    void *tag;
} waiter_t;

/* A producer to look at when the durable lsn reaches the node's major, and then whenever it moves,
 * up to `until`. */
typedef struct pending {
    ch_heap_node_t lsn;
    uint64_t hash;
    uint64_t until;
} pending_t;

typedef struct unopened {
    uint64_t hash, epoch;
} unopened_t;

struct ch_ack_core {
    ch_ack_world_t world;
    producer_t *heads[BUCKETS];
    ch_heap_t deadlines;
    ch_heap_t pending;
    unopened_t unopened[UNOPENED_MAX];
};

uint64_t
ch_ack_producer_hash(const char *producer)
{
    return ch_hash64(producer, strlen(producer), 0);
}

/* Heaps order unsigned numbers; a deadline in the negative past is as good as one at 0. */
static uint64_t
heap_time(int64_t time_ns)
{
    return time_ns < 0 ? 0 : (uint64_t)time_ns;
}

ch_ack_core_t *
ch_ack_core_new(const ch_ack_world_t *world)
{
    ch_ack_core_t *core = ch_calloc(1, sizeof *core);
    core->world = *world;
    return core;
}

/* ---- producers */

static producer_t *
find_producer(const ch_ack_core_t *core, uint64_t hash, const char *name)
{
    producer_t *producer = core->heads[hash % BUCKETS];
    while (producer && (producer->hash != hash || (name && strcmp(producer->name, name))))
        producer = producer->next;
    return producer;
}

static producer_t *
add_producer(ch_ack_core_t *core, uint64_t hash, const char *name)
{
    producer_t *producer = ch_calloc(1, sizeof *producer);
    size_t size = strnlen(name, CH_PRODUCER_BYTES_MAX);
    memcpy(producer->name, name, size);
    producer->hash = hash;
    producer->next = core->heads[hash % BUCKETS];
    core->heads[hash % BUCKETS] = producer;
    return producer;
}

/* True when it was dropped. */
static bool
drop_producer_if_idle(ch_ack_core_t *core, producer_t *producer)
{
    for (int kind = 0; kind < CLASS_COUNT; kind++) {
        if (producer->waiters[kind].count)
            return false;
    }
    producer_t **link = &core->heads[producer->hash % BUCKETS];
    while (*link != producer)
        link = &(*link)->next;
    *link = producer->next;
    for (int kind = 0; kind < CLASS_COUNT; kind++)
        ch_heap_release(&producer->waiters[kind]);
    ch_free(producer);
    return true;
}

static void
remove_waiter(ch_ack_core_t *core, waiter_t *waiter)
{
    ch_heap_remove(&core->deadlines, &waiter->deadline);
    ch_heap_remove(&waiter->producer->waiters[waiter->kind], &waiter->order);
    ch_free(waiter);
}

void
ch_ack_core_destroy(ch_ack_core_t **core_in)
{
    ch_ack_core_t *core = *core_in;
    if (!core)
        return;
    while (core->deadlines.count) {
        waiter_t *waiter =
            CH_HEAP_OWNER(ch_heap_top(&core->deadlines), waiter_t, deadline);
        producer_t *producer = waiter->producer;
        remove_waiter(core, waiter);
        (void)drop_producer_if_idle(core, producer);
    }
    while (core->pending.count) {
        pending_t *pending = CH_HEAP_OWNER(ch_heap_top(&core->pending), pending_t, lsn);
        ch_heap_remove(&core->pending, &pending->lsn);
        ch_free(pending);
    }
    ch_heap_release(&core->deadlines);
    ch_heap_release(&core->pending);
    ch_free(core);
    *core_in = NULL;
}

/* ---- epochs not yet open */

static unopened_t *
unopened_slot(ch_ack_core_t *core, uint64_t hash, uint64_t epoch)
{
    return &core->unopened[(hash ^ epoch) % UNOPENED_MAX];
}

static bool
gap_before_open(ch_ack_core_t *core, uint64_t hash, uint64_t epoch)
{
    const unopened_t *slot = unopened_slot(core, hash, epoch);
    return slot->epoch == epoch && slot->hash == hash;
}

/* ---- what to say */

typedef struct verdict {
    bool due; /* to be told now */
    ch_ack_reply_t ack;
} verdict_t;

static verdict_t
judge_unknown(ch_ack_core_t *core, const waiter_t *waiter, bool final)
{
    verdict_t verdict = {.ack = {.state = CH_ACK_UNKNOWN, .expected = 1}, .due = final};
    if (gap_before_open(core, waiter->producer->hash, waiter->epoch)) {
        verdict.ack.state = CH_ACK_GAP;
        verdict.due = true;
    }
    return verdict;
}

/* Numbers of another epoch would read as if batches of this one were safe: all stay 0. */
static verdict_t
judge_fenced(const ch_session_view_t *view)
{
    return (verdict_t){
        .due = true,
        .ack = {.state = CH_ACK_FENCED, .expected = 1, .epoch = view->epoch},
    };
}

static verdict_t
judge_session(const waiter_t *waiter, const ch_session_view_t *view, bool final)
{
    uint64_t durable = view->durable;
#ifdef CH_FAULT_NODE_ACK_RECEIVED_AS_DURABLE
    durable = view->received;
#endif
    verdict_t verdict = {
        .due = final,
        .ack = {.state = CH_ACK_PENDING,
                .received = view->received,
                .durable = durable,
                .replicated = durable, /* no replicas are required: equal */
                .expected = view->expected,
                .lsn = view->durable_lsn,
                .epoch = view->epoch,
                .reject_count = view->reject_count,
                .rejects = view->rejects},
    };
    uint64_t reached = waiter->kind == CLASS_RECEIVED ? view->received : durable;
    if (reached >= waiter->seq) {
        verdict.ack.state = CH_ACK_OK;
        verdict.due = true;
    } else if (view->gap && waiter->seq >= view->expected) {
        verdict.ack.state = CH_ACK_GAP;
        verdict.due = true;
    }
    return verdict;
}

/* `view` NULL: there is no session. */
static verdict_t
judge(ch_ack_core_t *core, const waiter_t *waiter, const ch_session_view_t *view,
      bool final)
{
    if (!view || waiter->epoch > view->epoch)
        return judge_unknown(core, waiter, final);
    if (waiter->epoch < view->epoch)
        return judge_fenced(view);
    return judge_session(waiter, view, final);
}

static void
tell(ch_ack_core_t *core, waiter_t *waiter, verdict_t *verdict)
{
    void *tag = waiter->tag;
    remove_waiter(core, waiter);
    verdict->ack.term = core->world.term(core->world.context);
    if (verdict->ack.state == CH_ACK_PENDING || verdict->ack.state == CH_ACK_UNKNOWN)
        verdict->ack.reason = core->world.held_reason(core->world.context);
    if (verdict->ack.state == CH_ACK_UNKNOWN && !verdict->ack.reason)
        verdict->ack.reason = core->world.stranger_reason(core->world.context);
    core->world.answer(core->world.context, tag, &verdict->ack);
}

/* Tell a waiter when it is time; true when it is gone. */
static bool
settle(ch_ack_core_t *core, waiter_t *waiter, const ch_session_view_t *view, bool final)
{
    verdict_t verdict = judge(core, waiter, view, final);
    if (verdict.due)
        tell(core, waiter, &verdict);
    return verdict.due;
}

/* ---- looking at one producer's waiters */

static void
settle_front(ch_ack_core_t *core, ch_heap_t *waiters, const ch_session_view_t *view)
{
    while (waiters->count) {
        waiter_t *least = CH_HEAP_OWNER(ch_heap_top(waiters), waiter_t, order);
        if (!settle(core, least, view, false))
            return;
    }
}

static void
settle_all(ch_ack_core_t *core, ch_heap_t *waiters, const ch_session_view_t *view)
{
    size_t count = waiters->count;
    if (count == 0)
        return;
    ch_heap_node_t **nodes = ch_alloc(count * sizeof(ch_heap_node_t *));
    memcpy(nodes, waiters->nodes, count * sizeof(ch_heap_node_t *));
    for (size_t i = 0; i < count; i++)
        (void)settle(core, CH_HEAP_OWNER(nodes[i], waiter_t, order), view, false);
    ch_free(nodes);
}

/* True when some still wait. */
static bool
look(ch_ack_core_t *core, producer_t *producer, bool gap)
{
    ch_session_view_t view;
    bool known = core->world.session(core->world.context, producer->name, &view);
    bool all = gap || (known && view.gap);
    for (int kind = 0; kind < CLASS_COUNT; kind++) {
        if (all)
            settle_all(core, &producer->waiters[kind], known ? &view : NULL);
        else
            settle_front(core, &producer->waiters[kind], known ? &view : NULL);
    }
    return !drop_producer_if_idle(core, producer);
}

/* Names that share a hash are all looked at: too often is harmless. True when some still wait. */
static bool
look_hash(ch_ack_core_t *core, uint64_t hash, bool gap)
{
    bool waiting = false;
    producer_t *next = NULL;
    for (producer_t *producer = core->heads[hash % BUCKETS]; producer; producer = next) {
        next = producer->next;
        if (producer->hash == hash && look(core, producer, gap))
            waiting = true;
    }
    return waiting;
}

static void
look_between(ch_ack_core_t *core, uint64_t hash, uint64_t from, uint64_t until)
{
    pending_t *pending = ch_calloc(1, sizeof *pending);
    pending->hash = hash;
    pending->until = until;
    ch_heap_push(&core->pending, &pending->lsn, from, hash);
}

/* ---- events */

static waiter_t *
add_waiter(ch_ack_core_t *core, const ch_ack_question_t *question, void *tag)
{
    uint64_t hash = ch_ack_producer_hash(question->producer);
    producer_t *producer = find_producer(core, hash, question->producer);
    if (!producer)
        producer = add_producer(core, hash, question->producer);
    waiter_t *waiter = ch_calloc(1, sizeof *waiter);
    waiter->producer = producer;
    waiter->kind = question->level == CH_LEVEL_RECEIVED ? CLASS_RECEIVED : CLASS_DURABLE;
    waiter->epoch = question->epoch;
    waiter->seq = question->seq;
    waiter->tag = tag;
    ch_heap_push(&core->deadlines, &waiter->deadline, heap_time(question->deadline_ns),
                 0);
    ch_heap_push(&producer->waiters[waiter->kind], &waiter->order, waiter->epoch,
                 waiter->seq);
    return waiter;
}

/* For a batch that is appended already: nothing will touch its producer again. */
static void
look_when_appended_is_durable(ch_ack_core_t *core, producer_t *producer)
{
    uint64_t appended = core->world.appended_lsn(core->world.context);
    uint64_t durable = core->world.durable_lsn(core->world.context);
    if (appended > durable)
        look_between(core, producer->hash, durable + 1, appended);
    else
        (void)look(core, producer,
                   false); /* it became durable since the session was read */
}

void
ch_ack_core_ask(ch_ack_core_t *core, const ch_ack_question_t *question, int64_t now_ns,
                void *tag)
{
    bool final =
        question->deadline_ns <= now_ns || core->deadlines.count >= CH_ACK_WAITERS_MAX;
    waiter_t *waiter = add_waiter(core, question, tag);
    producer_t *producer = waiter->producer;
    ch_session_view_t view;
    bool known = core->world.session(core->world.context, producer->name, &view);
    if (settle(core, waiter, known ? &view : NULL, final))
        (void)drop_producer_if_idle(core, producer);
    else if (known && view.epoch == question->epoch && view.received >= question->seq)
        look_when_appended_is_durable(core, producer);
}

void
ch_ack_core_touch(ch_ack_core_t *core, const ch_touch_t *touch)
{
    bool gap = touch->state == CH_APPEND_GAP;
    if (gap)
        *unopened_slot(core, touch->producer_hash, touch->epoch) =
            (unopened_t){.hash = touch->producer_hash, .epoch = touch->epoch};
    bool later = touch->lsn > core->world.durable_lsn(core->world.context);
    if (look_hash(core, touch->producer_hash, gap) && later)
        look_between(core, touch->producer_hash, touch->lsn, touch->lsn);
}

void
ch_ack_core_progress(ch_ack_core_t *core)
{
    uint64_t durable = core->world.durable_lsn(core->world.context);
    while (core->pending.count && ch_heap_top(&core->pending)->major <= durable) {
        pending_t *pending = CH_HEAP_OWNER(ch_heap_top(&core->pending), pending_t, lsn);
        ch_heap_remove(&core->pending, &pending->lsn);
        bool waiting = look_hash(core, pending->hash, false);
        if (waiting && pending->until > durable)
            ch_heap_push(&core->pending, &pending->lsn, durable + 1, pending->hash);
        else
            ch_free(pending);
    }
}

void
ch_ack_core_sweep(ch_ack_core_t *core)
{
    uint64_t durable = core->world.durable_lsn(core->world.context);
    uint64_t appended = core->world.appended_lsn(core->world.context);
    for (size_t i = 0; i < BUCKETS; i++) {
        producer_t *next = NULL;
        for (producer_t *producer = core->heads[i]; producer; producer = next) {
            next = producer->next;
            uint64_t hash = producer->hash;
            if (look(core, producer, true))
                look_between(core, hash, durable + 1, appended);
        }
    }
    ch_ack_core_progress(core);
}

/* The waiter's time is up: say what there is to say. */
static void
end_waiter(ch_ack_core_t *core, waiter_t *waiter)
{
    producer_t *producer = waiter->producer;
    ch_session_view_t view;
    bool known = core->world.session(core->world.context, producer->name, &view);
    (void)settle(core, waiter, known ? &view : NULL, true);
    (void)drop_producer_if_idle(core, producer);
}

void
ch_ack_core_expire(ch_ack_core_t *core, int64_t now_ns)
{
    while (ch_ack_core_deadline(core) <= now_ns)
        end_waiter(core,
                   CH_HEAP_OWNER(ch_heap_top(&core->deadlines), waiter_t, deadline));
}

void
ch_ack_core_drain(ch_ack_core_t *core)
{
    while (core->deadlines.count)
        end_waiter(core,
                   CH_HEAP_OWNER(ch_heap_top(&core->deadlines), waiter_t, deadline));
}

void
ch_ack_core_fail(ch_ack_core_t *core)
{
    while (core->deadlines.count) {
        waiter_t *waiter =
            CH_HEAP_OWNER(ch_heap_top(&core->deadlines), waiter_t, deadline);
        producer_t *producer = waiter->producer;
        void *tag = waiter->tag;
        remove_waiter(core, waiter);
        (void)drop_producer_if_idle(core, producer);
        core->world.answer(core->world.context, tag, NULL);
    }
}

int64_t
ch_ack_core_deadline(const ch_ack_core_t *core)
{
    ch_heap_node_t *top = ch_heap_top(&core->deadlines);
    return top ? (int64_t)top->major : INT64_MAX;
}

size_t
ch_ack_core_waiting(const ch_ack_core_t *core)
{
    return core->deadlines.count;
}
