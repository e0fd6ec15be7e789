/// Who waits for which acknowledgement, and what to tell whom when: docs/protocol.md without sockets, clocks
/// or threads.
///
/// Shape    waiters hang on their producer, ordered by (epoch, seq), and in one heap of deadlines.
///          What the ingest thread did to a producer arrives as a *touch*; a touched producer whose
///          batch is not yet durable stands in a heap by lsn until the durable lsn passes it. So
///          progress looks only at producers that progressed, not at all who wait.
/// Units    times: ns of the monotonic clock.
/// Owner    `tag` is the caller's; each tag given to ask comes back once through answer.
/// Threads  one at a time.
#ifndef CH_ACK_CORE_H
#define CH_ACK_CORE_H

#include "ch/engine.h"
#include "ch/reply.h"
#include "ch/request.h"

enum {
    CH_ACK_WAITERS_MAX =
        65536 /* beyond, an ack is answered at once, as if wait_ms were 0 */
};

typedef struct ch_ack_core ch_ack_core_t;

/// What the core asks of the engine and tells the socket.
typedef struct ch_ack_world {
    void *context;
    bool (*session)(void *context, const char *producer, ch_session_view_t *view_out);
    uint64_t (*appended_lsn)(void *context);
    uint64_t (*durable_lsn)(void *context);
    uint64_t (*term)(void *context);
    const char *(*held_reason)(void *context);     /* NULL: writes flow */
    const char *(*stranger_reason)(void *context); /* NULL: a new producer is welcome */
    /* `ack` NULL: the engine failed, tell `internal`. Must not call the core. */
    void (*answer)(void *context, void *tag, const ch_ack_reply_t *ack);
} ch_ack_world_t;

typedef struct ch_ack_question {
    const char *producer;
    uint64_t epoch, seq;
    ch_level_t level;
    int64_t deadline_ns; /* answer at the latest then; in the past: at once */
} ch_ack_question_t;

/// What became of a producer's batch in the ingest thread.
typedef struct ch_touch {
    uint64_t producer_hash; /* ch_ack_producer_hash */
    uint64_t epoch;
    uint64_t lsn; /* TAKEN, REJECTED; else 0 */
    ch_append_state_t state;
} ch_touch_t;

uint64_t ch_ack_producer_hash(const char *producer);

/// `world` is copied.
ch_ack_core_t *ch_ack_core_new(const ch_ack_world_t *world) CH_MUST_CHECK;

/// Answers nobody: drain or fail first.
void ch_ack_core_destroy(ch_ack_core_t **core);

void ch_ack_core_ask(ch_ack_core_t *core, const ch_ack_question_t *question,
                     int64_t now_ns, void *tag);
void ch_ack_core_touch(ch_ack_core_t *core, const ch_touch_t *touch);

/// The durable lsn moved.
void ch_ack_core_progress(ch_ack_core_t *core);

/// Look at every waiter: touches were lost.
void ch_ack_core_sweep(ch_ack_core_t *core);

/// Answer those whose time is up.
void ch_ack_core_expire(ch_ack_core_t *core, int64_t now_ns);

/// Answer all who wait, as if their time were up.
void ch_ack_core_drain(ch_ack_core_t *core);

/// The engine failed: all who wait are told so.
void ch_ack_core_fail(ch_ack_core_t *core);

/// When expire has something to do; INT64_MAX: never.
int64_t ch_ack_core_deadline(const ch_ack_core_t *core);

size_t ch_ack_core_waiting(const ch_ack_core_t *core);

#endif
