/* reply_budget.c - bytes handed to ZeroMQ and not yet sent, per peer.
 *
 * A wrapped message shares the data of the message inside it. When libzmq lets go of it, in an I/O
 * thread or when a socket is reaped, the release function closes the inner message and gives the bytes
 * back. So accounts live as long as the table or any message refers to them.
 */
#include "reply_budget.h"

#include <stdatomic.h>
#include "ch/alloc.h"
#include "ch/checksum.h"

enum { HEADS = 1024, PEER_BYTES_MAX = 256 /* of an identity; libzmq's limit is 255 */ };

typedef struct account {
    struct account *next; /* of the same head; the table's */
    struct account *all;  /* of a peer: the account of all peers */
    atomic_uint references;
    _Atomic uint64_t waiting;
    size_t peer_size;
    uint8_t peer[PEER_BYTES_MAX];
} account_t;

struct ch_reply_budget {
    uint64_t peer_bytes_max, total_bytes_max;
    account_t *all;
    account_t *heads[HEADS];
};

typedef struct wrapped {
    zmq_msg_t inner;
    account_t *account;
    atomic_size_t
        size; /* stored last, loaded first: orders the rest for the thread that lets go */
} wrapped_t;

static account_t *
account_new(account_t *all, ch_bytes_t peer)
{
    account_t *account = ch_calloc(1, sizeof *account);
    atomic_init(&account->references, 1);
    account->all = all;
    if (all)
        atomic_fetch_add(&all->references, 1);
    account->peer_size = peer.size < PEER_BYTES_MAX ? peer.size : PEER_BYTES_MAX;
    if (account->peer_size)
        memcpy(account->peer, peer.data, account->peer_size);
    return account;
}

static void
account_release(account_t *account)
{
    while (account && atomic_fetch_sub(&account->references, 1) == 1) {
        account_t *all = account->all;
        ch_free(account);
        account = all;
    }
}

ch_reply_budget_t *
ch_reply_budget_new(uint64_t peer_bytes_max, uint64_t total_bytes_max)
{
    ch_reply_budget_t *budget = ch_calloc(1, sizeof *budget);
    budget->peer_bytes_max = peer_bytes_max;
    budget->total_bytes_max = total_bytes_max;
    budget->all = account_new(NULL, ch_bytes(NULL, 0));
    return budget;
}

void
ch_reply_budget_destroy(ch_reply_budget_t **budget_in)
{
    ch_reply_budget_t *budget = *budget_in;
    if (!budget)
        return;
    for (size_t i = 0; i < HEADS; i++) {
        while (budget->heads[i]) {
            account_t *account = budget->heads[i];
            budget->heads[i] = account->next;
            account_release(account);
        }
    }
    account_release(budget->all);
    ch_free(budget);
    *budget_in = NULL;
}

static bool
is_of(const account_t *account, ch_bytes_t peer)
{
    return ch_bytes_equal(ch_bytes(account->peer, account->peer_size), peer);
}

/* The peer's account, or NULL. Accounts that nothing waits in are dropped on the way: peers come and
 * go, and nobody says when. */
static account_t *
find(ch_reply_budget_t *budget, ch_bytes_t peer)
{
    account_t **link = &budget->heads[ch_hash64(peer.data, peer.size, 0) % HEADS];
    account_t *found = NULL;
    while (*link) {
        account_t *account = *link;
        if (is_of(account, peer)) {
            found = account;
        } else if (atomic_load(&account->waiting) == 0) {
            *link = account->next;
            account_release(account);
            continue;
        }
        link = &account->next;
    }
    return found;
}

bool
ch_reply_budget_allows(ch_reply_budget_t *budget, ch_bytes_t peer, size_t size)
{
    if (size < CH_REPLY_BUDGET_FREE)
        return true;
#ifdef CH_FAULT_NODE_REPLIES_UNBOUNDED
    return true;
#endif
    const account_t *account = find(budget, peer);
    uint64_t waiting = account ? atomic_load(&account->waiting) : 0;
    if (waiting == 0)
        return true;
    return waiting + size <= budget->peer_bytes_max &&
           atomic_load(&budget->all->waiting) + size <= budget->total_bytes_max;
}

static void
release_wrapped(void *data, void *hint)
{
    (void)data;
    wrapped_t *wrapped = hint;
    size_t size = atomic_load(&wrapped->size);
    atomic_fetch_sub(&wrapped->account->waiting, size);
    atomic_fetch_sub(&wrapped->account->all->waiting, size);
    account_release(wrapped->account);
    zmq_msg_close(&wrapped->inner);
    ch_free(wrapped);
}

static account_t *
find_or_add(ch_reply_budget_t *budget, ch_bytes_t peer)
{
    account_t *account = find(budget, peer);
    if (account)
        return account;
    account_t **head = &budget->heads[ch_hash64(peer.data, peer.size, 0) % HEADS];
    account = account_new(budget->all, peer);
    account->next = *head;
    *head = account;
    return account;
}

void
ch_reply_budget_wrap(ch_reply_budget_t *budget, ch_bytes_t peer, zmq_msg_t *body)
{
    size_t size = zmq_msg_size(body);
    if (size < CH_REPLY_BUDGET_FREE)
        return;
    account_t *account = find_or_add(budget, peer);
    wrapped_t *wrapped = ch_calloc(1, sizeof *wrapped);
    zmq_msg_init(&wrapped->inner);
    zmq_msg_move(&wrapped->inner, body);
    wrapped->account = account;
    atomic_fetch_add(&account->references, 1);
    atomic_fetch_add(&account->waiting, size);
    atomic_fetch_add(&budget->all->waiting, size);
    void *data = zmq_msg_data(&wrapped->inner);
    atomic_store(&wrapped->size, size);
    if (zmq_msg_init_data(body, data, size, release_wrapped, wrapped) != 0)
        release_wrapped(data,
                        wrapped); /* no memory for the message: the reply is dropped */
}

uint64_t
ch_reply_budget_waiting(const ch_reply_budget_t *budget)
{
    return atomic_load(&budget->all->waiting);
}
