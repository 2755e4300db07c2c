/* ring.h -- a bounded queue of pointers between exactly one producer and one consumer thread.
 *
 * Invariants: items come out in the order they went in, each once; push and pop never block and
 * never touch the heap. Passing a pointer passes what it points to: all the producer wrote before
 * the push is seen after the pop. Threads: k2_ring_push on one, k2_ring_pop on one (maybe another).
 */
#ifndef K2_BASE_RING_H
#define K2_BASE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"

/* Each side's counter lies on a cache line of its own, with its last view of the other one beside
 * it, so that the two threads touch each other's line only when the ring looks full or empty. */
struct k2_ring {
    void **slots;
    uint64_t mask;
    _Alignas(64) _Atomic uint64_t head; /* next to pop; written by the consumer */
    uint64_t tail_seen;
    _Alignas(64) _Atomic uint64_t tail; /* next to push; written by the producer */
    uint64_t head_seen;
};

/* Room for capacity pointers, a power of two. Empty it with k2_ring_done. */
static inline void k2_ring_init(struct k2_ring *ring, uint32_t capacity) {
    K2_ASSERT(capacity > 0 && (capacity & (capacity - 1)) == 0);
    ring->slots = k2_new_array(void *, capacity);
    ring->mask = capacity - 1;
    ring->tail_seen = ring->head_seen = 0;
    atomic_init(&ring->head, 0);
    atomic_init(&ring->tail, 0);
}

/* Frees the slots; what they point to is the caller's. Both threads must be done with it. */
static inline void k2_ring_done(struct k2_ring *ring) {
    k2_free(ring->slots);
    ring->slots = NULL;
}

/* False when the ring is full. */
static inline bool k2_ring_push(struct k2_ring *ring, void *item) {
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    if (tail - ring->head_seen > ring->mask) {
        ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
        if (tail - ring->head_seen > ring->mask)
            return false;
    }
    ring->slots[tail & ring->mask] = item;
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
    return true;
}

/* NULL when the ring is empty. */
static inline void *k2_ring_pop(struct k2_ring *ring) {
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (head == ring->tail_seen) {
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
        if (head == ring->tail_seen)
            return NULL;
    }
    void *item = ring->slots[head & ring->mask];
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
    return item;
}

/* How many are in it; from a third thread only a hint. */
static inline uint64_t k2_ring_count(struct k2_ring *ring) {
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    return atomic_load_explicit(&ring->tail, memory_order_acquire) - head;
}

#endif
