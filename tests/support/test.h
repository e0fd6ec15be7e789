/// What every test program includes: cmocka and its prerequisites, and the seed.
#ifndef CH_TEST_SUPPORT_TEST_H
#define CH_TEST_SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/// CH_TEST_SEED, or a fresh seed; printed once, so that a red run can be replayed.
uint64_t ch_test_seed(void);

/// A fresh temporary directory (in TMPDIR or /tmp); free the text with ch_test_dir_remove, which
/// removes the tree too.
char *ch_test_dir_new(void);
void ch_test_dir_remove(char **path);

#endif
