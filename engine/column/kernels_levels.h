/// The levels' tables, for the dispatch in kernels.c. Private to kernels*.c.
#ifndef CH_COLUMN_KERNELS_LEVELS_H
#define CH_COLUMN_KERNELS_LEVELS_H

#include "column/kernels.h"

#if defined(__x86_64__)
#define CH_KERNELS_X86 1
#endif

extern const ch_kernels_t ch_kernels_portable;
#ifdef CH_KERNELS_X86
extern const ch_kernels_t ch_kernels_avx2;
extern const ch_kernels_t ch_kernels_avx512;
#endif

#endif
