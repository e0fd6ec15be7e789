/* producer_session.c - go-back-N over a lossy pipe, told by questions.
 *
 * The held batches are a ring: ring[(head + i) % capacity] has seq first + i.
 *
 *     first            send_next          next
 *       |  sent, not acked | not yet sent  |
 *
 * Sending again is nothing but moving send_next back. When is that right?
 *   gap       at once, once for each value of `expected`: everything behind the hole was dropped.
 *   pending,  when `expected` was sent at least resend_after_ms ago and nothing has moved since: the
 *   unknown   batch was lost on its way. After a question that stayed unanswered the node may have
 *             been restarted, and what was on its way is probably gone: then at once.
 * If `expected` lies before `first`, what the node wants was acked and released: its session is gone
 * (expired, another disk, or level `received` and a crash). Then all that is held goes out under a
 * new epoch. An answer to a question asked before the last answer cannot come (one question is out
 * at a time), so a low `expected` is never just old news.
 */
#include "producer_session.h"

#include "ch/alloc.h"
#include "ch/batch_encoder.h"

#include <stdlib.h>

enum {
    PROBE_WAIT_MS = 0,
    ASK_PAUSE_MS =
        5, /* between questions while the window is roomy: each costs the node 20 us */
    GAP_PAUSE_MS =
        50, /* a gap is answered at once; give what was sent again time to arrive */
    RING_MIN = 16,
};

typedef struct held {
    uint8_t *frame;
    size_t size;
} held_t;

struct ch_producer_session {
    ch_producer_session_options_t options;
    held_t *ring;
    size_t capacity;
    size_t head;
    uint64_t first;     /* seq of the oldest held */
    uint64_t next;      /* seq of the next push */
    uint64_t send_next; /* seq to send next */
    uint64_t sent_top;  /* highest seq ever sent in this epoch */
    uint64_t bytes;
    bool probing;    /* restored: ask before sending */
    bool asking;     /* a question is out */
    bool suspicious; /* a question stayed unanswered since the last answer */
    bool session_lost;
    bool fenced;
    uint64_t gap_resent; /* value of `expected` already served; 0: none */
    int64_t moved_ms;    /* when something was last sent, or an answer showed progress */
    int64_t ask_after_ms;
    ch_level_t want;
    uint64_t reject_told; /* highest seq of a reject handed out */
    ch_producer_session_view_t seen;
};

ch_producer_session_t *
ch_producer_session_new(const ch_producer_session_options_t *options)
{
    ch_producer_session_t *session = calloc(1, sizeof *session);
    if (!session)
        return NULL;
    session->options = *options;
    session->want = CH_LEVEL_RECEIVED;
    session->first = session->next = session->send_next = 1;
    session->seen.epoch = options->epoch;
    session->seen.expected = 1;
    return session;
}

static held_t *
held_at(const ch_producer_session_t *session, uint64_t seq)
{
    size_t place = session->head + (size_t)(seq - session->first);
    /* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): a held batch has a ring around it */
    return &session->ring[place % session->capacity];
}

void
ch_producer_session_destroy(ch_producer_session_t **session_p)
{
    ch_producer_session_t *session = ch_take(session_p);
    if (!session)
        return;
    for (uint64_t seq = session->first; seq < session->next; seq++)
        free(held_at(session, seq)->frame);
    free(session->ring);
    free(session);
}

bool
ch_producer_session_has_room(const ch_producer_session_t *session, size_t size)
{
    uint64_t count = session->next - session->first;
    return count == 0 || (count < session->options.window_batches &&
                          session->bytes + size <= session->options.window_bytes);
}

uint64_t
ch_producer_session_next_seq(const ch_producer_session_t *session)
{
    return session->next;
}

/* Room for one more in the ring. */
static bool
grow_ring(ch_producer_session_t *session)
{
    size_t count = (size_t)(session->next - session->first);
    if (count < session->capacity)
        return true;
    size_t capacity = session->capacity ? session->capacity * 2 : RING_MIN;
    held_t *ring = calloc(capacity, sizeof *ring);
    if (!ring)
        return false;
    for (size_t i = 0; i < count; i++)
        ring[i] = *held_at(session, session->first + i);
    free(session->ring);
    session->ring = ring;
    session->capacity = capacity;
    session->head = 0;
    return true;
}

bool
ch_producer_session_push(ch_producer_session_t *session, ch_bytes_t frame)
{
    uint8_t *copy = grow_ring(session) ? malloc(frame.size + 1) : NULL;
    if (!copy)
        return false;
    memcpy(copy, frame.data, frame.size);
    *held_at(session, session->next) = (held_t){copy, frame.size};
    session->next++;
    session->bytes += frame.size;
    return true;
}

bool
ch_producer_session_restore(ch_producer_session_t *session, uint64_t seq,
                            ch_bytes_t frame)
{
    if (session->first == session->next) {
        session->first = session->next = session->send_next = seq;
        session->reject_told = session->sent_top = seq - 1;
        session->seen.received = session->seen.durable = session->seen.replicated =
            seq - 1;
        session->seen.expected = seq;
    }
    session->probing = true;
    return seq == session->next && ch_producer_session_push(session, frame);
}

/* ---- deciding */

static uint64_t
seen_at(const ch_producer_session_t *session, ch_level_t level)
{
    const ch_producer_session_view_t *seen = &session->seen;
    return level == CH_LEVEL_RECEIVED  ? seen->received
           : level == CH_LEVEL_DURABLE ? seen->durable
                                       : seen->replicated;
}

/* Is it time for a question? Fills in what to ask, or until when to wait. */
static bool
ask_due(const ch_producer_session_t *session, int64_t now_ms,
        ch_producer_action_t *action)
{
    bool held = session->first < session->send_next;
    bool wanted = seen_at(session, session->want) < session->sent_top;
    if (session->asking || !(held || wanted || session->probing))
        return false;
    if (now_ms < session->ask_after_ms) {
        action->until_ms = session->ask_after_ms;
        return false;
    }
    action->seq = session->probing ? session->next - 1
                  : held           ? session->send_next - 1
                                   : session->sent_top;
    action->level = held ? session->options.level : session->want;
    action->wait_ms = session->probing ? PROBE_WAIT_MS : session->options.ask_wait_ms;
    return true;
}

void
ch_producer_session_want(ch_producer_session_t *session, ch_level_t level)
{
    session->want = level;
}

ch_producer_action_t
ch_producer_session_next(ch_producer_session_t *session, int64_t now_ms)
{
    ch_producer_action_t action = {.kind = CH_PRODUCER_WAIT, .until_ms = INT64_MAX};
    if (session->fenced) {
        action.kind = CH_PRODUCER_FENCED;
    } else if (session->session_lost) {
        action.kind = CH_PRODUCER_NEW_EPOCH;
    } else if (ask_due(session, now_ms, &action)) {
        action.kind = CH_PRODUCER_ASK;
    } else if (session->send_next < session->next && !session->probing) {
        action.kind = CH_PRODUCER_SEND;
        action.seq = session->send_next;
        const held_t *held = held_at(session, action.seq);
        action.frame = ch_bytes(held->frame, held->size);
    }
    return action;
}

void
ch_producer_session_sent(ch_producer_session_t *session, int64_t now_ms)
{
    if (session->send_next <= session->sent_top)
        session->seen.resent++;
    else
        session->sent_top = session->send_next;
    session->send_next++;
    session->moved_ms = now_ms;
}

void
ch_producer_session_asked(ch_producer_session_t *session, int64_t now_ms)
{
    session->asking = true;
    session->ask_after_ms = now_ms;
}

/* Forget all batches up to `seq`. */
static void
release_up_to(ch_producer_session_t *session, uint64_t seq)
{
    while (session->first < session->next && session->first <= seq) {
        held_t *held = held_at(session, session->first);
        session->bytes -= held->size;
        free(held->frame);
        *held = (held_t){0};
        session->head = (session->head + 1) % session->capacity;
        session->first++;
    }
    if (session->send_next < session->first)
        session->send_next = session->first;
    if (session->sent_top + 1 < session->first)
        session->sent_top = session->first - 1;
}

static uint64_t
level_of(const ch_ack_reply_t *ack, ch_level_t level)
{
#ifdef CH_FAULT_PRODUCER_RELEASE_EARLY
    level = CH_LEVEL_RECEIVED;
#endif
    return level == CH_LEVEL_RECEIVED  ? ack->received
           : level == CH_LEVEL_DURABLE ? ack->durable
                                       : ack->replicated;
}

static uint64_t
lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Take over what the node knows; levels never fall, and never pass what was pushed. */
static bool
note_progress(ch_producer_session_t *session, const ch_ack_reply_t *ack)
{
    ch_producer_session_view_t *seen = &session->seen;
    uint64_t last = session->next - 1;
    bool progress = ack->expected > seen->expected || ack->durable > seen->durable ||
                    ack->received > seen->received || ack->replicated > seen->replicated;
    seen->received = lower(ack->received, last);
    if (ack->durable > seen->durable) {
        seen->durable = lower(ack->durable, last);
        seen->lsn = ack->lsn;
        seen->term = ack->term;
    }
    if (ack->replicated > seen->replicated)
        seen->replicated = lower(ack->replicated, last);
    seen->expected = ack->expected;
    return progress;
}

static uint32_t
tell_rejects(ch_producer_session_t *session, const ch_ack_reply_t *ack,
             ch_reject_t *rejects_out)
{
    uint32_t count = 0;
    uint64_t told = session->reject_told;
    for (uint32_t i = 0; i < ack->reject_count; i++) {
        const ch_reject_t *reject = &ack->rejects[i];
        if (reject->seq <= session->reject_told || reject->seq >= session->next)
            continue;
        rejects_out[count++] = *reject;
        told = reject->seq > told ? reject->seq : told;
    }
    session->reject_told = told;
    session->seen.rejected += count;
    return count;
}

static void
send_again_from(ch_producer_session_t *session, uint64_t seq, int64_t now_ms)
{
    session->send_next = seq < session->first ? session->first : seq;
    session->moved_ms = now_ms;
}

/* The node has no gap to tell of, but does it still wait for something that was sent? */
static bool
looks_lost(const ch_producer_session_t *session, const ch_ack_reply_t *ack,
           bool suspicious, int64_t now_ms)
{
    if (ack->expected >= session->send_next) /* nothing of what it lacks is on its way */
        return false;
    return suspicious || now_ms - session->moved_ms >= session->options.resend_after_ms;
}

static bool
roomy(const ch_producer_session_t *session)
{
    return session->next - session->first < session->options.window_batches / 2 &&
           session->bytes < session->options.window_bytes / 2;
}

uint32_t
ch_producer_session_answered(ch_producer_session_t *session, const ch_ack_reply_t *ack,
                             int64_t now_ms, ch_reject_t *rejects_out)
{
    bool suspicious = session->suspicious, probing = session->probing;
    session->asking = session->suspicious = session->probing = false;
    session->ask_after_ms = now_ms;
    if (ack->state == CH_ACK_FENCED) {
        session->fenced = true;
        session->seen.fenced_by = ack->epoch;
        return 0;
    }
    if (ack->expected < session->first) {
        session->session_lost = true;
        return 0;
    }
    if (note_progress(session, ack))
        session->moved_ms = now_ms;
    uint32_t rejects = tell_rejects(session, ack, rejects_out);
    release_up_to(session, level_of(ack, session->options.level));
    if (probing) {
        send_again_from(session, ack->expected, now_ms);
    } else if (ack->state == CH_ACK_GAP && session->gap_resent != ack->expected) {
        session->gap_resent = ack->expected;
#ifndef CH_FAULT_PRODUCER_IGNORE_GAP
        send_again_from(session, ack->expected, now_ms);
#endif
    } else if (looks_lost(session, ack, suspicious, now_ms)) {
        send_again_from(session, ack->expected, now_ms);
    } else if (ack->state == CH_ACK_GAP) {
        session->ask_after_ms = now_ms + GAP_PAUSE_MS;
    } else if (session->first < session->next && roomy(session)) {
        session->ask_after_ms = now_ms + ASK_PAUSE_MS;
    }
    return rejects;
}

void
ch_producer_session_unanswered(ch_producer_session_t *session, int64_t now_ms)
{
    session->asking = false;
    session->suspicious = true;
    session->ask_after_ms = now_ms;
}

void
ch_producer_session_new_epoch(ch_producer_session_t *session, uint64_t epoch)
{
    uint64_t count = session->next - session->first, seq = 1;
    for (uint64_t old = session->first; old < session->next; old++, seq++) {
        held_t *held = held_at(session, old);
        ch_batch_frame_renumber(held->frame, held->size, epoch, seq);
    }
    session->options.epoch = epoch;
    session->first = session->send_next = 1;
    session->next = count + 1;
    session->sent_top = session->reject_told = session->gap_resent = 0;
    session->session_lost = session->asking = session->probing = false;
    session->suspicious = false;
    session->seen.epoch = epoch;
    session->seen.received = session->seen.durable = session->seen.replicated = 0;
    session->seen.expected = 1;
}

/* ---- looking */

bool
ch_producer_session_held(const ch_producer_session_t *session, size_t i,
                         ch_bytes_t *frame_out)
{
    if (i >= session->next - session->first)
        return false;
    const held_t *held = held_at(session, session->first + i);
    *frame_out = ch_bytes(held->frame, held->size);
    return true;
}

void
ch_producer_session_view(const ch_producer_session_t *session,
                         ch_producer_session_view_t *view_out)
{
    *view_out = session->seen;
    view_out->first_held = session->first;
    view_out->sent = session->sent_top;
    view_out->held_batches = session->next - session->first;
    view_out->held_bytes = session->bytes;
}

bool
ch_producer_session_reached(const ch_producer_session_t *session, ch_level_t level)
{
    if (level <= session->options.level && session->first == session->next)
        return true; /* all released at a level as high */
    return seen_at(session, level) + 1 >= session->next;
}
