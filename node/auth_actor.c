#include "auth_actor.h"

#include "refusal.h"
#include "sockets.h"
#include "zap.h"

enum { LOOK_MS = 500 };

typedef struct actor {
    ch_node_t *node;
    zsock_t *pipe, *zap; /* REP */
    ch_keyring_t *keyring;
    uint64_t generation;
    ch_limiter_t refusals;
    bool stopped;
} actor_t;

static ch_status_t
open_zap(actor_t *actor)
{
    actor->zap = zsock_new(ZMQ_REP);
    if (!actor->zap)
        return ch_fail(CH_ERR_LIMIT, "zap: no socket: %s", zmq_strerror(zmq_errno()));
    void *socket = zsock_resolve(actor->zap);
    ch_socket_set(socket, ZMQ_LINGER, 0);
    if (zmq_bind(socket, "inproc://zeromq.zap.01") != 0)
        return ch_fail(CH_ERR_INVALID, "zap: cannot bind: %s", zmq_strerror(zmq_errno()));
    return CH_OK;
}

/* ---- handshakes */

static void
note(actor_t *actor, const ch_zap_answer_t *answer)
{
    ch_node_t *node = actor->node;
    const char *name = answer->key ? answer->key->name : NULL;
    if (answer->admitted) {
        ch_count(&node->stats, CH_COUNT_AUTH_ADMITTED, 1);
        ch_log(&node->log, CH_LOG_DEBUG, "auth", "admitted",
               "socket=%s address=%s name=%s", answer->domain, answer->address,
               name ? name : "?");
        return;
    }
    if (strcmp(answer->user, node->keys->stranger_public) == 0)
        return; /* the node's own trial */
    ch_count(&node->stats, CH_COUNT_AUTH_REFUSED, 1);
    const ch_refusal_t refusal = {.socket = answer->domain,
                                  .address = answer->address,
                                  .key = answer->user,
                                  .name = name,
                                  .reason = answer->reason};
    ch_refusal_note(&node->log, node->audit, &actor->refusals, &refusal,
                    ch_clock_monotonic_ns(&node->clock));
}

static void
send_answer(actor_t *actor, const zmq_msg_t *request_id, const ch_zap_answer_t *answer)
{
    void *socket = zsock_resolve(actor->zap);
    zmq_msg_t id;
    zmq_msg_init(&id);
    zmq_msg_copy(&id, (zmq_msg_t *)(uintptr_t)request_id);
    const char *user = answer->admitted ? answer->user : "";
    (void)zmq_send(socket, "1.0", 3, ZMQ_SNDMORE);
    (void)zmq_msg_send(&id, socket, ZMQ_SNDMORE);
    (void)zmq_send(socket, answer->code, strlen(answer->code), ZMQ_SNDMORE);
    (void)zmq_send(socket, answer->reason, strlen(answer->reason), ZMQ_SNDMORE);
    (void)zmq_send(socket, user, strlen(user), ZMQ_SNDMORE);
    (void)zmq_send(socket, "", 0, 0);
    zmq_msg_close(&id);
}

/* False: nothing there. */
static bool
take_request(actor_t *actor)
{
    zmq_msg_t frames[CH_ZAP_FRAMES_MAX], more;
    ch_zap_request_t request = {.count = 0};
    bool found = false, goes_on = true;
    zmq_msg_init(&more);
    for (int i = 0; i < CH_ZAP_FRAMES_MAX; i++)
        zmq_msg_init(&frames[i]);
    while (goes_on) {
        bool kept = request.count < CH_ZAP_FRAMES_MAX;
        zmq_msg_t *frame = kept ? &frames[request.count] : &more;
        if (zmq_msg_recv(frame, zsock_resolve(actor->zap), ZMQ_DONTWAIT) < 0)
            break;
        found = true;
        goes_on = zmq_msg_more(frame);
        if (kept)
            request.frames[request.count] =
                ch_bytes(zmq_msg_data(frame), zmq_msg_size(frame));
        request.count++;
    }
    if (found) {
        ch_zap_answer_t answer;
        ch_zap_judge(&request, actor->keyring, &answer);
        send_answer(actor, &frames[1], &answer);
        note(actor, &answer);
    }
    for (int i = 0; i < CH_ZAP_FRAMES_MAX; i++)
        zmq_msg_close(&frames[i]);
    zmq_msg_close(&more);
    return found;
}

/* ---- the table */

static void
take_table(actor_t *actor)
{
    ch_keyring_drop(&actor->keyring);
    actor->keyring = ch_keys_take(actor->node->keys, &actor->generation);
    ch_gauge_set(&actor->node->stats, CH_GAUGE_AUTH_KEYS,
                 ch_keyring_count(actor->keyring));
}

static void
reload(actor_t *actor)
{
    ch_node_t *node = actor->node;
    ch_status_t status = ch_keys_reload(node->keys, ch_clock_wall_ns(&node->clock));
    ch_gauge_set(&node->stats, CH_GAUGE_AUTH_TABLE_REFUSED, status < 0);
    if (status < 0) {
        char why[400];
        ch_log(&node->log, CH_LOG_ERROR, "auth", "keys_refused",
               "reason=%s meaning=\"the table of before goes on deciding who gets in\"",
               ch_log_quote(ch_fail_text(), strlen(ch_fail_text()), why, sizeof why));
        return;
    }
    take_table(actor);
    ch_log(&node->log, CH_LOG_INFO, "auth", "keys_loaded", "keys=%zu",
           ch_keyring_count(actor->keyring));
}

static void
take_command(actor_t *actor)
{
    char word[32];
    (void)ch_socket_take_pointer(zsock_resolve(actor->pipe), ZMQ_DONTWAIT, word);
    if (strcmp(word, "RELOAD") == 0)
        reload(actor);
    actor->stopped = strcmp(word, "$TERM") == 0;
}

static void
serve(actor_t *actor)
{
    ch_node_t *node = actor->node;
    zmq_pollitem_t items[] = {
        {.socket = zsock_resolve(actor->pipe), .events = ZMQ_POLLIN},
        {.socket = zsock_resolve(actor->zap), .events = ZMQ_POLLIN},
    };
    if (zmq_poll(items, 2, LOOK_MS) < 0)
        return;
    if (ch_keys_changed(node->keys, ch_clock_wall_ns(&node->clock)))
        reload(actor); /* before a handshake is judged by it */
    while (items[1].revents && take_request(actor))
        continue;
    if (items[0].revents)
        take_command(actor);
}

void
ch_auth_actor(zsock_t *pipe, void *argument)
{
    actor_t actor = {.node = argument, .pipe = pipe};
    take_table(&actor);
    ch_status_t status = open_zap(&actor);
    ch_actor_report(pipe, status, status < 0 ? ch_fail_text() : "auth");
    while (status >= 0 && !actor.stopped)
        serve(&actor);
    zsock_destroy(&actor.zap);
    ch_keyring_drop(&actor.keyring);
    ch_actor_ends();
}
