/* kernels.c - which level of the kernels this CPU runs. */
#include "column/kernels.h"

#include <stdatomic.h>

#include "column/kernels_levels.h"

/* Racing first users store the same pointer; a forced level replaces it for the whole process. */
static _Atomic(const ch_kernels_t *) chosen;

#ifdef CH_KERNELS_X86
static bool
has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
}
#endif

const ch_kernels_t *
ch_kernels_of(ch_kernels_level_t level)
{
    switch (level) {
    case CH_KERNELS_PORTABLE:
        return &ch_kernels_portable;
#ifdef CH_KERNELS_X86
    case CH_KERNELS_AVX2:
        return has_avx2() ? &ch_kernels_avx2 : NULL;
    case CH_KERNELS_AVX512:
        if (has_avx2() && __builtin_cpu_supports("avx512cd") &&
            __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("avx512f") &&
            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vbmi"))
            return &ch_kernels_avx512;
        return NULL;
#endif
    default:
        return NULL;
    }
}

static const ch_kernels_t *
choose(void)
{
    const ch_kernels_t *best = &ch_kernels_portable;
    for (int level = 0; level < CH_KERNELS_LEVELS; level++) {
        const ch_kernels_t *candidate = ch_kernels_of((ch_kernels_level_t)level);
        best = candidate ? candidate : best;
    }
    return best;
}

const ch_kernels_t *
ch_kernels(void)
{
    const ch_kernels_t *kernels = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (!kernels) {
        kernels = choose();
        atomic_store_explicit(&chosen, kernels, memory_order_relaxed);
    }
    return kernels;
}

bool
ch_kernels_force(ch_kernels_level_t level)
{
    const ch_kernels_t *kernels = ch_kernels_of(level);
    if (!kernels)
        return false;
    atomic_store_explicit(&chosen, kernels, memory_order_relaxed);
    return true;
}
