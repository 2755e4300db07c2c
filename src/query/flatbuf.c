/* flatbuf.c -- the FlatBuffers builder. */
#include "query/flatbuf.h"

#include "base/alloc.h"

void k2_flat_done(struct k2_flat *flat) {
    k2_free(flat->bytes);
    *flat = (struct k2_flat){0};
}

void k2_flat_clear(struct k2_flat *flat) {
    flat->used = 0;
}

static uint8_t *grow(struct k2_flat *flat, size_t more) {
    if (flat->used + more > flat->cap) {
        size_t cap = K2_MAX(flat->cap * 2, flat->used + more + 1024);
        uint8_t *bytes = k2_alloc(cap);
        if (flat->used)
            memcpy(bytes + cap - flat->used, flat->bytes + flat->cap - flat->used, flat->used);
        k2_free(flat->bytes);
        flat->bytes = bytes;
        flat->cap = cap;
    }
    flat->used += more;
    return flat->bytes + flat->cap - flat->used;
}

static void push(struct k2_flat *flat, const void *bytes, size_t len) {
    uint8_t *to = grow(flat, len);
    if (len)
        memcpy(to, bytes, len);
}

/* After more bytes the front is aligned to size (counted from the end, which is aligned to 8). */
static void align(struct k2_flat *flat, size_t size, size_t more) {
    size_t pad = (size - (flat->used + more) % size) % size;
    uint8_t *to = grow(flat, pad);
    if (pad)
        memset(to, 0, pad);
}

static void push_u32(struct k2_flat *flat, uint32_t value) {
    push(flat, &value, 4);
}

uint32_t k2_flat_string(struct k2_flat *flat, struct k2_str text) {
    align(flat, 4, text.len + 1);
    push(flat, "", 1);
    push(flat, text.ptr, text.len);
    push_u32(flat, (uint32_t)text.len);
    return (uint32_t)flat->used;
}

uint32_t k2_flat_refs(struct k2_flat *flat, const uint32_t *refs, size_t count) {
    align(flat, 4, 0);
    for (size_t i = count; i-- > 0;)
        push_u32(flat, (uint32_t)flat->used + 4 - refs[i]);
    push_u32(flat, (uint32_t)count);
    return (uint32_t)flat->used;
}

uint32_t k2_flat_pairs(struct k2_flat *flat, const int64_t (*pairs)[2], size_t count) {
    align(flat, 8, 0);
    push(flat, pairs, count * sizeof *pairs);
    push_u32(flat, (uint32_t)count);
    return (uint32_t)flat->used;
}

void k2_flat_begin(struct k2_flat *flat) {
    flat->table_start = flat->used;
    memset(flat->slots, 0, sizeof flat->slots);
}

void k2_flat_int(struct k2_flat *flat, int slot, int64_t value, int bytes) {
    align(flat, (size_t)bytes, 0);
    push(flat, &value, (size_t)bytes); /* little endian, as all K2 runs on */
    flat->slots[slot] = flat->used;
}

void k2_flat_ref(struct k2_flat *flat, int slot, uint32_t ref) {
    align(flat, 4, 0);
    push_u32(flat, (uint32_t)flat->used + 4 - ref);
    flat->slots[slot] = flat->used;
}

uint32_t k2_flat_end(struct k2_flat *flat) {
    int count = K2_FLAT_SLOTS;
    while (count && !flat->slots[count - 1])
        count--;
    align(flat, 4, 0);
    push_u32(flat, 0); /* becomes the distance to the vtable */
    size_t table = flat->used;
    uint16_t vtable[2 + K2_FLAT_SLOTS] = {(uint16_t)(4 + 2 * count),
                                          (uint16_t)(table - flat->table_start)};
    for (int i = 0; i < count; i++)
        vtable[2 + i] = flat->slots[i] ? (uint16_t)(table - flat->slots[i]) : 0;
    push(flat, vtable, 4 + 2 * (size_t)count);
    int32_t distance = (int32_t)(flat->used - table);
    memcpy(flat->bytes + flat->cap - table, &distance, 4);
    return (uint32_t)table;
}

struct k2_str k2_flat_finish(struct k2_flat *flat, uint32_t root) {
    align(flat, 8, 4);
    push_u32(flat, (uint32_t)flat->used + 4 - root);
    return k2_str_make(flat->bytes + flat->cap - flat->used, flat->used);
}
