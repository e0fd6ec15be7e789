/* poke.c - an eventfd that is written only when somebody sleeps on it.
 *
 * No wake-up is lost: the sleeper arms *before* it looks, the others change *before* they raise, and
 * both use the same atomic. Either the sleeper sees the change, or the raise sees the arming.
 */
#include "poke.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

ch_status_t
ch_poke_init(ch_poke_t *poke)
{
    poke->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    atomic_init(&poke->armed, false);
    return poke->fd >= 0 ? CH_OK
                         : ch_fail(CH_ERR_IO, "eventfd: %s", strerrordesc_np(errno));
}

void
ch_poke_release(ch_poke_t *poke)
{
    if (poke->fd >= 0)
        (void)close(poke->fd);
    poke->fd = -1;
}

void
ch_poke_arm(ch_poke_t *poke)
{
    (void)atomic_exchange(&poke->armed, true);
}

void
ch_poke_raise(ch_poke_t *poke)
{
    if (!atomic_exchange(&poke->armed, false))
        return;
    uint64_t one = 1; /* cannot block: the counter is cleared long before 2^64 */
    ssize_t written = write(poke->fd, &one, sizeof one);
    (void)written;
}

void
ch_poke_clear(ch_poke_t *poke)
{
    uint64_t count;
    ssize_t got = read(poke->fd, &count, sizeof count);
    (void)got;
}
