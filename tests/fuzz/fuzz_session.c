/* fuzz_session.c - any sequence of messages to the session machine: producers' batches, acks that wait, syncs, crashes.
 *
 * Input    Four bytes a message: what, who, epoch, seq (small numbers, or relative to what comes next).
 * Machine  ch_session_map (what of a producer comes next) and ch_ack_core (who waits for what), wired as the node does.
 * Claims   Against a model of a few lines written from the protocol: each batch has the outcome it says; `ok` is told at
 *          `durable` only of what is durable and of this epoch, at `received` only of what was taken; `gap` and
 *          `fenced` only when they are so; every question is answered once, at the latest when all are drained.
 *          What a map has captured and read back goes on as the original, and nothing stays in flight.
 */
#include <stdio.h>

#include "ack_core.h"
#include "ch/alloc.h"
#include "ch/assert.h"
#include "db/session.h"

enum { PRODUCERS = 4, PRODUCERS_MAX = 3, ASKS_MAX = 512, EPOCHS = 8, LSNS_MAX = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The protocol, straight: a producer's epoch, what was taken in it, and where each seq went. */
typedef struct model {
    uint64_t epoch, taken;
    uint64_t lsn[LSNS_MAX]; /* of seq i + 1 */
    bool gap;               /* something behind a hole came since the last taken */
} model_t;

typedef struct asked {
    unsigned producer, answers;
    uint64_t epoch, seq;
    ch_level_t level;
} asked_t;

typedef struct machine {
    ch_session_map_t *map;
    ch_ack_core_t *core;
    model_t models[PRODUCERS];
    uint64_t unopened_gaps[PRODUCERS]; /* bit e: a gap of epoch e before its seq 1 */
    uint64_t appended, durable;
    int64_t now_ns;
    asked_t asks[ASKS_MAX];
    size_t ask_count;
} machine_t;

static const char *const names[PRODUCERS] = {"a", "b/2", "c-3", "d_4"};

static uint64_t
durable_seq(const machine_t *machine, const model_t *model)
{
    uint64_t seq = 0;
    while (seq < model->taken && model->lsn[seq] <= machine->durable)
        seq++;
    return seq;
}

/* ---- the world of the ack core */

static bool
world_session(void *context, const char *producer, ch_session_view_t *view_out)
{
    machine_t *machine = context;
    return ch_session_view(machine->map, producer, machine->durable, view_out) == CH_OK;
}

static uint64_t
world_appended(void *context)
{
    return ((machine_t *)context)->appended;
}

static uint64_t
world_durable(void *context)
{
    return ((machine_t *)context)->durable;
}

static uint64_t
world_term(void *context)
{
    (void)context;
    return 1;
}

static const char *
world_nothing(void *context)
{
    (void)context;
    return NULL;
}

static void
check_ok(const machine_t *machine, const asked_t *ask, const ch_ack_reply_t *ack)
{
    const model_t *model = &machine->models[ask->producer];
    CH_ASSERT(model->epoch == ask->epoch);
    CH_ASSERT(
        ask->seq <=
        (ask->level == CH_LEVEL_RECEIVED ? model->taken : durable_seq(machine, model)));
    CH_ASSERT(ack->received == model->taken && ack->expected == model->taken + 1);
    CH_ASSERT(ack->durable == durable_seq(machine, model));
}

static void
world_answer(void *context, void *tag, const ch_ack_reply_t *ack)
{
    machine_t *machine = context;
    asked_t *ask = tag;
    const model_t *model = &machine->models[ask->producer];
    CH_ASSERT(ack && ask->answers++ == 0);
    switch (ack->state) {
    case CH_ACK_OK:
        check_ok(machine, ask, ack);
        break;
    case CH_ACK_GAP:
        CH_ASSERT(ask->epoch == model->epoch
                      ? model->gap && ask->seq > model->taken
                      : machine->unopened_gaps[ask->producer] >> ask->epoch & 1);
        break;
    case CH_ACK_FENCED:
        CH_ASSERT(model->epoch > ask->epoch && ack->epoch == model->epoch);
        break;
    case CH_ACK_PENDING:
        CH_ASSERT(model->epoch == ask->epoch);
        break;
    case CH_ACK_UNKNOWN:
        CH_ASSERT(model->epoch < ask->epoch && ack->expected == 1);
        break;
    }
}

/* ---- messages */

static ch_append_state_t
model_of_batch(machine_t *machine, unsigned who, uint64_t epoch, uint64_t seq)
{
    model_t *model = &machine->models[who];
    size_t known = 0;
    for (unsigned i = 0; i < PRODUCERS; i++)
        known += machine->models[i].epoch > 0;
    if (model->epoch == 0 && known >= PRODUCERS_MAX)
        return CH_APPEND_HELD;
    if (epoch < model->epoch)
        return CH_APPEND_FENCED;
    if (epoch > model->epoch)
        return seq == 1 ? CH_APPEND_TAKEN : CH_APPEND_GAP;
    if (seq <= model->taken)
        return CH_APPEND_DUPLICATE;
    return seq == model->taken + 1 ? CH_APPEND_TAKEN : CH_APPEND_GAP;
}

static void
model_takes(machine_t *machine, unsigned who, uint64_t epoch, uint64_t seq)
{
    model_t *model = &machine->models[who];
    if (model->epoch != epoch)
        model->taken = 0;
    model->epoch = epoch;
    model->gap = false;
    model->lsn[model->taken++] = machine->appended;
    CH_ASSERT(model->taken == seq);
}

static void
push(machine_t *machine, unsigned who, uint64_t epoch, uint64_t seq, bool refused)
{
    ch_identity_t identity = {.present = true, .epoch = epoch, .seq = seq};
    snprintf(identity.producer, sizeof identity.producer, "%s", names[who]);
    ch_append_state_t state = ch_session_check(machine->map, &identity, PRODUCERS_MAX);
    CH_ASSERT(state == model_of_batch(machine, who, epoch, seq));
    ch_touch_t touch = {.producer_hash = ch_ack_producer_hash(names[who]),
                        .epoch = epoch,
                        .state = state};
    if (state == CH_APPEND_TAKEN) {
        const ch_reject_t reject = {.seq = seq, .index = -1, .code = CH_ERR_LIMIT};
        touch.lsn = ++machine->appended;
        ch_session_consume(machine->map, &identity, machine->appended, 1,
                           refused ? &reject : NULL);
        model_takes(machine, who, epoch, seq);
    } else if (state == CH_APPEND_GAP && epoch == machine->models[who].epoch) {
        machine->models[who].gap = true;
    } else if (state == CH_APPEND_GAP) {
        machine->unopened_gaps[who] |= UINT64_C(1) << epoch;
    }
    ch_ack_core_touch(machine->core, &touch);
}

static void
ask(machine_t *machine, unsigned who, uint64_t epoch, uint64_t seq, bool received,
    unsigned wait)
{
    if (machine->ask_count == ASKS_MAX)
        return;
    asked_t *asked = &machine->asks[machine->ask_count++];
    *asked = (asked_t){.producer = who,
                       .epoch = epoch,
                       .seq = seq,
                       .level = received ? CH_LEVEL_RECEIVED : CH_LEVEL_DURABLE};
    const ch_ack_question_t question = {.producer = names[who],
                                        .epoch = epoch,
                                        .seq = seq,
                                        .level = asked->level,
                                        .deadline_ns = machine->now_ns + wait};
    ch_ack_core_ask(machine->core, &question, machine->now_ns, asked);
    CH_ASSERT(wait > 0 || asked->answers == 1);
}

static void
sync_up_to(machine_t *machine, uint64_t records)
{
    machine->durable += records < machine->appended - machine->durable
                            ? records
                            : machine->appended - machine->durable;
    ch_session_map_durable(machine->map, machine->durable);
    ch_ack_core_progress(machine->core);
}

static ch_session_map_t *
read_back(ch_session_map_t *map)
{
    ch_text_t captured = {0};
    ch_session_map_capture(map, true, &captured);
    const uint8_t *from = (const uint8_t *)captured.data, *end = from + captured.size;
    ch_session_map_t *fresh = ch_session_map_new();
    CH_ASSERT(ch_session_map_restore(fresh, &from, end) == CH_OK && from == end);
    ch_text_release(&captured);
    return fresh;
}

/* A restart after a clean stop: all is durable, nobody waits, gaps are forgotten. */
static void
restart(machine_t *machine)
{
    sync_up_to(machine, UINT64_MAX);
    ch_ack_core_drain(machine->core);
    ch_session_map_t *fresh = read_back(machine->map);
    ch_session_map_destroy(&machine->map);
    machine->map = fresh;
    ch_session_map_durable(fresh, machine->durable);
    for (unsigned i = 0; i < PRODUCERS; i++) {
        model_t *model = &machine->models[i];
        ch_session_view_t view;
        CH_ASSERT((ch_session_view(fresh, names[i], machine->durable, &view) == CH_OK) ==
                  (model->epoch > 0));
        if (model->epoch == 0)
            continue;
        CH_ASSERT(view.epoch == model->epoch && view.received == model->taken);
        CH_ASSERT(view.durable == model->taken && view.gap == false);
        model->gap = false;
    }
}

static void
play(machine_t *machine, const uint8_t message[4])
{
    unsigned who = message[1] % PRODUCERS;
    const model_t *model = &machine->models[who];
    uint64_t epoch = message[2] % EPOCHS ? message[2] % EPOCHS
                     : model->epoch      ? model->epoch
                                         : 1;
    uint64_t seq =
        message[3] & 0x80 ? model->taken + 1 + (message[3] & 3) : 1u + message[3] % 16;
    switch (message[0] % 8) {
    case 0:
    case 1:
    case 2:
        if (machine->appended < LSNS_MAX)
            push(machine, who, epoch, seq, message[0] & 0x80);
        break;
    case 3:
    case 4:
        ask(machine, who, epoch, seq, message[0] & 0x80, message[1] >> 4);
        break;
    case 5:
        sync_up_to(machine, message[1]);
        break;
    case 6:
        machine->now_ns += message[1];
        ch_ack_core_expire(machine->core, machine->now_ns);
        CH_ASSERT(ch_ack_core_deadline(machine->core) > machine->now_ns);
        break;
    default:
        if (message[0] & 0x80)
            restart(machine);
        else
            ch_ack_core_sweep(machine->core);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    machine_t *machine = ch_calloc(1, sizeof *machine);
    const ch_ack_world_t world = {.context = machine,
                                  .session = world_session,
                                  .appended_lsn = world_appended,
                                  .durable_lsn = world_durable,
                                  .term = world_term,
                                  .held_reason = world_nothing,
                                  .stranger_reason = world_nothing,
                                  .answer = world_answer};
    machine->map = ch_session_map_new();
    machine->core = ch_ack_core_new(&world);
    for (size_t i = 0; i + 4 <= size; i += 4)
        play(machine, data + i);
    sync_up_to(machine, UINT64_MAX);
    ch_ack_core_drain(machine->core);
    for (size_t i = 0; i < machine->ask_count; i++)
        CH_ASSERT(machine->asks[i].answers == 1);
    CH_ASSERT(ch_ack_core_waiting(machine->core) == 0);
    ch_ack_core_destroy(&machine->core);
    ch_session_map_destroy(&machine->map);
    ch_free(machine);
    return 0;
}
