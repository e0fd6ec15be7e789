/* scratch.c - work memory, and what the codec needs from the floating-point environment.
 *
 * Doubles are stored as decimals plus the difference in bits to what a division gives. That keeps
 * every bit only where the division rounds alike when written and when read: IEEE doubles without
 * excess precision, no fast-math, rounding to nearest, denormals not flushed. */
#include "column/scratch.h"

#include <fenv.h>
#include <float.h>

#include "ch/alloc.h"
#include "ch/assert.h"

#ifdef __FAST_MATH__
#error "the column codec needs IEEE arithmetic: build without -ffast-math"
#endif
_Static_assert(FLT_EVAL_METHOD == 0, "doubles are computed as doubles");
_Static_assert(FLT_RADIX == 2 && DBL_MANT_DIG == 53, "doubles are IEEE 754 binary64");
_Static_assert(sizeof(double) == sizeof(int64_t), "a slot holds either");

static bool
keeps_denormals(void)
{
    volatile double smallest_normal = DBL_MIN;
    return smallest_normal / 2 > 0;
}

ch_column_scratch_t *
ch_column_scratch_new(void)
{
    CH_ASSERT(fegetround() == FE_TONEAREST);
    CH_ASSERT(keeps_denormals());
    return ch_calloc(1, sizeof(ch_column_scratch_t));
}

void
ch_column_scratch_destroy(ch_column_scratch_t **scratch)
{
    if (!*scratch)
        return;
    ch_free((*scratch)->bytes);
    ch_free(*scratch);
    *scratch = NULL;
}

bool
ch_column_scratch_bytes(ch_column_scratch_t *scratch, size_t size)
{
    if (size <= scratch->bytes_capacity)
        return true;
    uint8_t *bytes = ch_try_alloc(size);
    if (!bytes)
        return false;
    ch_free(scratch->bytes);
    scratch->bytes = bytes;
    scratch->bytes_capacity = size;
    return true;
}
