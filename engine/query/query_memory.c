#include "query/query_memory.h"

#include "ch/alloc.h"

enum {
    BLOCK_BYTES = 8 * 1024,
    LARGE_BYTES = BLOCK_BYTES / 4, /* from here on a piece gets a block of its own */
    ALIGNMENT = 16
};

typedef struct block {
    struct block *older;
    size_t used, size;
    _Alignas(ALIGNMENT) uint8_t bytes[];
} block_t;

struct ch_query_memory {
    block_t *newest;
    size_t held;
};

ch_query_memory_t *
ch_query_memory_new(void)
{
    return ch_calloc(1, sizeof(ch_query_memory_t));
}

void
ch_query_memory_destroy(ch_query_memory_t **memory)
{
    if (!*memory)
        return;
    for (block_t *block = (*memory)->newest; block;) {
        block_t *older = block->older;
        ch_free(block);
        block = older;
    }
    ch_free(*memory);
    *memory = NULL;
}

static block_t *
block_new(ch_query_memory_t *memory, size_t size)
{
    block_t *block = ch_calloc(1, sizeof *block + size);
    block->size = size;
    memory->held += sizeof *block + size;
    return block;
}

/* A large piece goes behind the newest block, so that the room left in that one is not lost. */
static void *
take_large(ch_query_memory_t *memory, size_t size)
{
    block_t *block = block_new(memory, size);
    block->used = size;
    if (memory->newest) {
        block->older = memory->newest->older;
        memory->newest->older = block;
    } else {
        memory->newest = block;
    }
    return block->bytes;
}

void *
ch_query_memory_take(ch_query_memory_t *memory, size_t size)
{
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (size >= LARGE_BYTES)
        return take_large(memory, size);
    block_t *block = memory->newest;
    if (!block || block->size - block->used < size) {
        block = block_new(memory, BLOCK_BYTES);
        block->older = memory->newest;
        memory->newest = block;
    }
    void *piece = block->bytes + block->used;
    block->used += size;
    return piece;
}

ch_bytes_t
ch_query_memory_copy(ch_query_memory_t *memory, ch_bytes_t bytes)
{
    uint8_t *copy = ch_query_memory_take(memory, bytes.size + 1);
    if (bytes.size)
        memcpy(copy, bytes.data, bytes.size);
    return ch_bytes(copy, bytes.size);
}

void *
ch_query_memory_grow(ch_query_memory_t *memory, void *items, size_t count,
                     size_t item_size)
{
    if (count != 0 && (count & (count - 1)) != 0)
        return items;
    void *larger = ch_query_memory_take(memory, (count ? count * 2 : 1) * item_size);
    if (count)
        memcpy(larger, items, count * item_size);
    return larger;
}

size_t
ch_query_memory_held(const ch_query_memory_t *memory)
{
    return memory->held;
}
