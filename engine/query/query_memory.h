/// Memory with the life of one query or one result: many small pieces, freed at once.
///
/// Shape    a chain of blocks; a piece is cut from the newest one, large pieces get their own.
/// Units    bytes_held counts what was asked of the system, for limits.
/// Threads  one at a time.
#ifndef CH_QUERY_MEMORY_H
#define CH_QUERY_MEMORY_H

#include "ch/bytes.h"

typedef struct ch_query_memory ch_query_memory_t;

ch_query_memory_t *ch_query_memory_new(void);
void ch_query_memory_destroy(ch_query_memory_t **memory);

/// Zeroed and aligned for any type; lives as long as `memory`.
void *ch_query_memory_take(ch_query_memory_t *memory, size_t size);

/// A copy of the bytes, followed by a NUL that is not counted.
ch_bytes_t ch_query_memory_copy(ch_query_memory_t *memory, ch_bytes_t bytes);

/// Make room for one more behind `count` items: returns `items`, or a larger copy of it. Capacities
/// are powers of two, so only the count needs keeping.
void *ch_query_memory_grow(ch_query_memory_t *memory, void *items, size_t count,
                           size_t item_size);

size_t ch_query_memory_held(const ch_query_memory_t *memory);

#endif
