/* intern.c -- string table by open addressing. */
#include "base/intern.h"

#include "base/alloc.h"
#include "base/hash.h"

void k2_intern_done(struct k2_intern *table) {
    k2_free(table->names);
    k2_free(table->slots);
    k2_free(table->hashes);
    k2_arena_done(&table->arena);
    *table = (struct k2_intern){0};
}

static uint32_t find_slot(const struct k2_intern *table, struct k2_str s, uint32_t hash) {
    uint32_t slot = hash & table->slot_mask;
    for (;; slot = (slot + 1) & table->slot_mask) {
        uint32_t code = table->slots[slot];
        if (!code || (table->hashes[code - 1] == hash && k2_str_eq(table->names[code - 1], s)))
            return slot;
    }
}

static void grow(struct k2_intern *table) {
    table->cap = table->cap ? table->cap * 2 : 64;
    table->names = k2_realloc(table->names, table->cap * sizeof *table->names);
    table->hashes = k2_realloc(table->hashes, table->cap * sizeof *table->hashes);
    k2_free(table->slots);
    table->slots = k2_new_array(uint32_t, (size_t)table->cap * 2);
    table->slot_mask = table->cap * 2 - 1;
    for (uint32_t code = 0; code < table->count; code++) {
        uint32_t slot = table->hashes[code] & table->slot_mask;
        while (table->slots[slot])
            slot = (slot + 1) & table->slot_mask;
        table->slots[slot] = code + 1;
    }
}

uint32_t k2_intern_add(struct k2_intern *table, struct k2_str s) {
    uint32_t hash = (uint32_t)k2_hash64(s.ptr, s.len);
    if (table->slots) {
        uint32_t slot = find_slot(table, s, hash);
        if (table->slots[slot])
            return table->slots[slot] - 1;
    }
    if (table->count == table->cap)
        grow(table);
    uint32_t code = table->count++;
    table->names[code] = k2_arena_str(&table->arena, s);
    table->hashes[code] = hash;
    table->slots[find_slot(table, s, hash)] = code + 1;
    return code;
}

uint32_t k2_intern_find(const struct k2_intern *table, struct k2_str s) {
    if (!table->slots)
        return UINT32_MAX;
    uint32_t slot = find_slot(table, s, (uint32_t)k2_hash64(s.ptr, s.len));
    return table->slots[slot] ? table->slots[slot] - 1 : UINT32_MAX;
}
