#include "support/test.h"

#include "ch/alloc.h"
#include "ch/rng.h"

#include <ftw.h>
#include <unistd.h>

uint64_t
ch_test_seed(void)
{
    static uint64_t seed;
    if (seed)
        return seed;
    const char *given = getenv("CH_TEST_SEED");
    seed = given ? strtoull(given, NULL, 0) : ch_rng_entropy() | 1;
    fprintf(stderr, "CH_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

char *
ch_test_dir_new(void)
{
    const char *parent = getenv("TMPDIR");
    char path[512];
    snprintf(path, sizeof path, "%s/cityhall-test-XXXXXX", parent ? parent : "/tmp");
    assert_non_null(mkdtemp(path));
    return ch_strdup(path);
}

static int
remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

void
ch_test_dir_remove(char **path)
{
    (void)nftw(*path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    ch_free(*path);
    *path = NULL;
}
