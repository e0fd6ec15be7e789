/// Intrusive binary min-heap: deadlines, log positions, sequence numbers waited for.
///
/// Shape    the heap holds pointers to nodes embedded in the caller's structs; each node knows its
///          place, so any node can be removed in O(log n).
/// Order    by (major, minor).
/// Owner    nodes are the caller's and must outlive their stay; the heap owns its array.
/// Threads  one at a time.
#ifndef CH_HEAP_H
#define CH_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ch_heap_node {
    uint64_t major, minor;
    size_t place; /* index + 1; 0: in no heap */
} ch_heap_node_t;

typedef struct ch_heap {
    ch_heap_node_t **nodes;
    size_t count, capacity;
} ch_heap_t;

/// The struct of `type` that holds this node as `member`.
#define CH_HEAP_OWNER(node, type, member)                                                \
    ((type *)(void *)((char *)(node)-offsetof(type, member)))

void ch_heap_release(ch_heap_t *heap);
void ch_heap_push(ch_heap_t *heap, ch_heap_node_t *node, uint64_t major, uint64_t minor);

/// Take a node out; nothing happens when it is in no heap.
void ch_heap_remove(ch_heap_t *heap, ch_heap_node_t *node);

/// The least node, or NULL.
static inline ch_heap_node_t *
ch_heap_top(const ch_heap_t *heap)
{
    return heap->count ? heap->nodes[0] : NULL;
}

static inline bool
ch_heap_holds(const ch_heap_node_t *node)
{
    return node->place != 0;
}

#endif
