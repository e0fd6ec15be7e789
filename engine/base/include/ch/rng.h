/// Small seeded random numbers (xoshiro256**, Blackman and Vigna) for tests, jitter and ids.
#ifndef CH_RNG_H
#define CH_RNG_H

#include <stdint.h>

typedef struct ch_rng {
    uint64_t state[4];
} ch_rng_t;

void ch_rng_seed(ch_rng_t *rng, uint64_t seed);
uint64_t ch_rng_next(ch_rng_t *rng);

/// Uniform in [0, bound); bound > 0.
uint64_t ch_rng_below(ch_rng_t *rng, uint64_t bound);

/// A seed from the operating system.
uint64_t ch_rng_entropy(void);

#endif
