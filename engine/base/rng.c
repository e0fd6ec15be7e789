#include "ch/rng.h"

#include <sys/random.h>
#include <time.h>

static uint64_t
rotate_left(uint64_t value, int by)
{
    return (value << by) | (value >> (64 - by));
}

/* SplitMix64 (Steele, Lea, Flood) spreads a small seed over the state. */
void
ch_rng_seed(ch_rng_t *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t mixed = seed;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
        rng->state[i] = mixed ^ (mixed >> 31);
    }
}

uint64_t
ch_rng_next(ch_rng_t *rng)
{
    uint64_t *s = rng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t
ch_rng_below(ch_rng_t *rng, uint64_t bound)
{
    /* Rejection keeps it uniform; the loop ends after one round in all but rare cases. */
    uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    uint64_t value;
    do
        value = ch_rng_next(rng);
    while (value >= limit);
    return value % bound;
}

uint64_t
ch_rng_entropy(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        seed = (uint64_t)time(NULL);
    return seed;
}
