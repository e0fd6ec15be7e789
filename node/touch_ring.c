#include "touch_ring.h"

void
ch_touch_ring_push(ch_touch_ring_t *ring, const ch_touch_t *touch)
{
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    if (tail - head == CH_TOUCH_RING_SLOTS) {
        atomic_store(&ring->lost, true);
        return;
    }
    ring->slots[tail % CH_TOUCH_RING_SLOTS] = *touch;
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
}

bool
ch_touch_ring_take(ch_touch_ring_t *ring, ch_touch_t *touch_out, bool *lost_out)
{
    if (atomic_load_explicit(&ring->lost, memory_order_relaxed) &&
        atomic_exchange(&ring->lost, false))
        *lost_out = true;
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (head == atomic_load_explicit(&ring->tail, memory_order_acquire))
        return false;
    *touch_out = ring->slots[head % CH_TOUCH_RING_SLOTS];
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
    return true;
}
