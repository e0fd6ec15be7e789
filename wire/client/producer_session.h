/// What a producer must remember and decide so that every batch has the effect of one: a pure state
/// machine, without socket, clock or file.
///
/// Idea     Batches are numbered and held until the node says that they reached the wanted level
///          (go-back-N, as TCP without selective acknowledgement). One question is out at a time.
///          `gap` and `expected` say where to send from again; that is done once for each value of
///          `expected`, then only after a long wait, because duplicates are harmless but not free.
/// Use      push batches; then, whenever something happened, ask next() what to do: send a batch, ask
///          the node, or wait. Tell it what came of it: sent, asked, answered, unanswered.
/// Units    now_ms: any clock that does not run backwards.
/// Threads  one at a time. Never aborts.
#ifndef CH_PRODUCER_SESSION_H
#define CH_PRODUCER_SESSION_H

#include "ch/reply.h"
#include "ch/request.h"

typedef struct ch_producer_session ch_producer_session_t;

typedef struct ch_producer_session_options {
    uint64_t epoch;
    ch_level_t level; /* what releases a batch */
    uint32_t window_batches;
    uint64_t window_bytes;
    uint32_t resend_after_ms;
    uint32_t ask_wait_ms; /* how long the node may hold a question */
} ch_producer_session_options_t;

/// NULL when out of memory.
ch_producer_session_t *
ch_producer_session_new(const ch_producer_session_options_t *options);
void ch_producer_session_destroy(ch_producer_session_t **session);

/// May one more batch of `size` bytes be pushed? A single batch of any size may.
bool ch_producer_session_has_room(const ch_producer_session_t *session, size_t size);

/// The seq that the next push gets.
uint64_t ch_producer_session_next_seq(const ch_producer_session_t *session);

/// Hold a batch; `frame` carries the identity (epoch, next seq) and is copied. False: no memory.
bool ch_producer_session_push(ch_producer_session_t *session, ch_bytes_t frame);

/// Take up batches of an earlier process: before the first push, `seq` ascending without holes. The
/// node is asked what it has before anything is sent.
bool ch_producer_session_restore(ch_producer_session_t *session, uint64_t seq,
                                 ch_bytes_t frame);

typedef enum {
    CH_PRODUCER_SEND, /* `frame` of `seq` to the ingest socket; then sent() */
    CH_PRODUCER_ASK,  /* an ack question for `seq`; then asked() */
    CH_PRODUCER_WAIT, /* nothing to do before `until_ms` (INT64_MAX: before an event) */
    CH_PRODUCER_NEW_EPOCH, /* the node forgot the session: new_epoch() with a higher one */
    CH_PRODUCER_FENCED,    /* a higher epoch exists: stop */
} ch_producer_action_kind_t;

typedef struct ch_producer_action {
    ch_producer_action_kind_t kind;
    uint64_t seq;
    ch_bytes_t frame; /* valid until the session changes */
    ch_level_t level;
    uint32_t wait_ms;
    int64_t until_ms;
} ch_producer_action_t;

ch_producer_action_t ch_producer_session_next(ch_producer_session_t *session,
                                              int64_t now_ms);

void ch_producer_session_sent(ch_producer_session_t *session, int64_t now_ms);
void ch_producer_session_asked(ch_producer_session_t *session, int64_t now_ms);

/// An answer. Rejects not told before are handed out: `rejects_out` has room for
/// CH_SESSION_REJECTS_MAX; returns their count.
uint32_t ch_producer_session_answered(ch_producer_session_t *session,
                                      const ch_ack_reply_t *ack, int64_t now_ms,
                                      ch_reject_t *rejects_out);

/// No answer came, or an error: the node may have lost what was on its way.
void ch_producer_session_unanswered(ch_producer_session_t *session, int64_t now_ms);

/// Number everything held anew from seq 1 under `epoch`; frames are changed in place.
void ch_producer_session_new_epoch(ch_producer_session_t *session, uint64_t epoch);

/// Frames in hand, oldest first: i from 0; false when there are no more.
bool ch_producer_session_held(const ch_producer_session_t *session, size_t i,
                              ch_bytes_t *frame_out);

/// Keep asking until what was sent has reached `level`, even when nothing is held any more.
void ch_producer_session_want(ch_producer_session_t *session, ch_level_t level);

typedef struct ch_producer_session_view {
    uint64_t epoch;
    uint64_t first_held; /* seq of the oldest batch held; next seq when there is none */
    uint64_t sent;       /* highest seq sent */
    uint64_t received, durable, replicated, expected;
    uint64_t lsn, term;
    uint64_t held_batches, held_bytes;
    uint64_t rejected, resent;
    uint64_t fenced_by;
} ch_producer_session_view_t;
void ch_producer_session_view(const ch_producer_session_t *session,
                              ch_producer_session_view_t *view_out);

/// Has everything pushed reached `level`?
bool ch_producer_session_reached(const ch_producer_session_t *session, ch_level_t level);

#endif
