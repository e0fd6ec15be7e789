#include "heap.h"

#include "ch/alloc.h"
#include "ch/assert.h"

static bool
before(const ch_heap_node_t *a, const ch_heap_node_t *b)
{
    return a->major != b->major ? a->major < b->major : a->minor < b->minor;
}

static void
put(ch_heap_t *heap, size_t i, ch_heap_node_t *node)
{
    heap->nodes[i] = node;
    node->place = i + 1;
}

static void
sift_up(ch_heap_t *heap, size_t i)
{
    ch_heap_node_t *node = heap->nodes[i];
    while (i > 0 && before(node, heap->nodes[(i - 1) / 2])) {
        put(heap, i, heap->nodes[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(heap, i, node);
}

static void
sift_down(ch_heap_t *heap, size_t i)
{
    ch_heap_node_t *node = heap->nodes[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && before(heap->nodes[child + 1], heap->nodes[child]))
            child++;
        if (!before(heap->nodes[child], node))
            break;
        put(heap, i, heap->nodes[child]);
        i = child;
    }
    put(heap, i, node);
}

void
ch_heap_release(ch_heap_t *heap)
{
    ch_free(heap->nodes);
    *heap = (ch_heap_t){0};
}

void
ch_heap_push(ch_heap_t *heap, ch_heap_node_t *node, uint64_t major, uint64_t minor)
{
    CH_ASSERT(!ch_heap_holds(node));
    if (heap->count == heap->capacity) {
        heap->capacity = heap->capacity ? heap->capacity * 2 : 16;
        heap->nodes = ch_realloc(heap->nodes, heap->capacity * sizeof(ch_heap_node_t *));
    }
    node->major = major;
    node->minor = minor;
    put(heap, heap->count++, node);
    sift_up(heap, heap->count - 1);
}

void
ch_heap_remove(ch_heap_t *heap, ch_heap_node_t *node)
{
    if (!ch_heap_holds(node))
        return;
    size_t i = node->place - 1;
    CH_ASSERT(heap->nodes[i] == node);
    node->place = 0;
    ch_heap_node_t *last = heap->nodes[--heap->count];
    if (last == node)
        return;
    put(heap, i, last);
    sift_up(heap, i);
    sift_down(heap, last->place - 1);
}
