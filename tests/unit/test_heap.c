/* Goal: the heap gives back its least node whatever was pushed and removed. Method: random operations
 * against a linear search. */
#include "support/test.h"

#include <stdlib.h>
#include "ch/rng.h"
#include "heap.h"

enum { NODES = 300 };

static ch_heap_node_t *
least_of(ch_heap_node_t *nodes)
{
    ch_heap_node_t *least = NULL;
    for (size_t i = 0; i < NODES; i++) {
        if (!ch_heap_holds(&nodes[i]))
            continue;
        if (!least || nodes[i].major < least->major ||
            (nodes[i].major == least->major && nodes[i].minor < least->minor))
            least = &nodes[i];
    }
    return least;
}

static void
test_the_top_is_the_least_after_any_operation(void **state)
{
    (void)state;
    ch_rng_t rng;
    ch_rng_seed(&rng, ch_test_seed());
    static ch_heap_node_t nodes[NODES];
    ch_heap_t heap = {0};
    for (int step = 0; step < 20000; step++) {
        ch_heap_node_t *node = &nodes[ch_rng_below(&rng, NODES)];
        if (ch_heap_holds(node))
            ch_heap_remove(&heap, node);
        else
            ch_heap_push(&heap, node, ch_rng_below(&rng, 50), ch_rng_next(&rng));
        assert_ptr_equal(ch_heap_top(&heap), least_of(nodes));
    }
    uint64_t before = 0;
    while (ch_heap_top(&heap)) {
        ch_heap_node_t *top = ch_heap_top(&heap);
        assert_true(top->major >= before);
        before = top->major;
        ch_heap_remove(&heap, top);
        assert_false(ch_heap_holds(top));
    }
    ch_heap_release(&heap);
}

static void
test_removing_what_is_not_in_it_does_nothing(void **state)
{
    (void)state;
    ch_heap_t heap = {0};
    ch_heap_node_t node = {0};
    ch_heap_remove(&heap, &node);
    assert_null(ch_heap_top(&heap));
    ch_heap_release(&heap);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_top_is_the_least_after_any_operation),
        cmocka_unit_test(test_removing_what_is_not_in_it_does_nothing),
    };
    return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
