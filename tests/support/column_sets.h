/// Series of the kinds that the column codec is made for, each with the bytes per value that it may
/// take in a column of 4096.
///
/// Threads  pure functions of the random numbers given.
#ifndef CH_TEST_SUPPORT_COLUMN_SETS_H
#define CH_TEST_SUPPORT_COLUMN_SETS_H

#include <stddef.h>
#include <stdint.h>

#include "ch/rng.h"

typedef struct ch_float_set {
    const char *name;
    double bytes_max; /* bytes per value at 4096 */
    double dense_max; /* at level DENSE; 0: no claim beyond that */
    void (*fill)(ch_rng_t *rng, double *v, size_t n);
} ch_float_set_t;

typedef struct ch_int_set {
    const char *name;
    double bytes_max; /* 0: no claim */
    double dense_max;
    void (*fill)(ch_rng_t *rng, int64_t *x, size_t n);
} ch_int_set_t;

extern const ch_float_set_t ch_float_sets[];
extern const size_t ch_float_set_count;
extern const ch_int_set_t ch_int_sets[];
extern const size_t ch_int_set_count;

#endif
