/* Sorting under a deadline, against qsort. */
#include "ch/deadline.h"

#include "ch/alloc.h"
#include "ch/rng.h"
#include "support/test.h"

enum { ITEMS_MAX = 10000 };

typedef struct item {
    uint32_t key;
    uint32_t place; /* before: equal keys keep their order as soon as slices are merged */
} item_t;

static int
by_key(const void *a, const void *b)
{
    const item_t *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

static int
by_key_and_place(const void *a, const void *b)
{
    const item_t *x = a, *y = b;
    int order = by_key(a, b);
    return order ? order : (x->place > y->place) - (x->place < y->place);
}

static int64_t
looks_ns(void *context)
{
    return ++*(int64_t *)context;
}

static void
fill(ch_rng_t *rng, item_t *items, item_t *copy, size_t count)
{
    uint64_t keys = 1 + ch_rng_below(rng, 2 * ITEMS_MAX);
    for (size_t i = 0; i < count; i++)
        items[i] = (item_t){(uint32_t)ch_rng_below(rng, keys), (uint32_t)i};
    memcpy(copy, items, count * sizeof *items);
}

/* Goal: the same order as qsort for any number of items, around the slices' size too. */
static void
test_sorting_agrees_with_qsort(void **state)
{
    (void)state;
    static item_t items[ITEMS_MAX], copy[ITEMS_MAX];
    static const size_t counts[] = {0,    1,    2,    1023, 1024, 1025,
                                    2048, 2049, 3072, 4097, 5000};
    ch_rng_t rng;
    ch_rng_seed(&rng, ch_test_seed());
    for (size_t round = 0; round < 200; round++) {
        size_t count = round < 11 ? counts[round] : ch_rng_below(&rng, ITEMS_MAX);
        fill(&rng, items, copy, count);
        assert_int_equal(
            ch_deadline_sort(NULL, items, count, sizeof *items, by_key_and_place), CH_OK);
        qsort(copy, count, sizeof *copy, by_key_and_place);
        assert_memory_equal(items, copy, count * sizeof *items);
    }
}

/* Goal: it stops at the first look behind the deadline, wherever that is. */
static void
test_sorting_stops_at_the_deadline(void **state)
{
    (void)state;
    static item_t items[ITEMS_MAX], copy[ITEMS_MAX];
    ch_rng_t rng;
    ch_rng_seed(&rng, ch_test_seed());
    ch_status_t status = CH_ERR_TIMEOUT;
    int64_t passes = 0;
    for (; status == CH_ERR_TIMEOUT; passes++) {
        int64_t looks = 0;
        const ch_clock_t clock = {looks_ns, looks_ns, &looks};
        ch_deadline_t deadline = {.clock = &clock, .at_ns = passes + 1};
        fill(&rng, items, copy, ITEMS_MAX);
        status = ch_deadline_sort(&deadline, items, ITEMS_MAX, sizeof *items, by_key);
        assert_true(status == CH_OK || looks == passes + 2);
    }
    assert_int_equal(status, CH_OK);
    assert_true(passes > 10);
    for (size_t i = 1; i < ITEMS_MAX; i++)
        assert_true(items[i - 1].key <= items[i].key);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sorting_agrees_with_qsort),
        cmocka_unit_test(test_sorting_stops_at_the_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
