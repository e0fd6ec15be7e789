/// Series ids in the order of their whole keys, which tables are written in.
///
/// Threads  a key order belongs to one (the flusher).
#ifndef CH_DB_KEY_ORDER_H
#define CH_DB_KEY_ORDER_H

#include "mem/series_table.h"

typedef struct ch_key_order {
    uint32_t *ids; /* of the first `count` series, sorted */
    uint32_t count;
    uint32_t seen; /* series there were when something was sorted last */
    uint64_t owed; /* series that were sorted again for want of an order that has them */
} ch_key_order_t;

void ch_key_order_release(ch_key_order_t *order);

/// Sort ids, each given once.
void ch_key_order_sort(ch_key_order_t *order, const ch_series_table_t *table,
                       uint32_t *ids, uint32_t count);

#endif
