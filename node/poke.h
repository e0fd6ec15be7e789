/// Wake one thread that polls file descriptors, from any other, at most once per arming.
///
/// Use      the sleeper arms, then looks at the state it waits for, then polls `fd`; woken, it clears.
///          Others change the state, then raise. An unarmed raise costs one atomic exchange, no
///          system call, so raising on every sync is cheap.
/// Threads  raise from any; arm and clear from the sleeper.
#ifndef CH_POKE_H
#define CH_POKE_H

#include <stdatomic.h>
#include <stdbool.h>
#include "ch/status.h"

typedef struct ch_poke {
    int fd; /* an eventfd */
    atomic_bool armed;
} ch_poke_t;

ch_status_t ch_poke_init(ch_poke_t *poke) CH_MUST_CHECK;
void ch_poke_release(ch_poke_t *poke);

void ch_poke_arm(ch_poke_t *poke);
void ch_poke_raise(ch_poke_t *poke);
void ch_poke_clear(ch_poke_t *poke);

#endif
