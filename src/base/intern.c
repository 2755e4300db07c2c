/* intern.c -- string table by open addressing. */
#include "base/intern.h"

#include "base/alloc.h"
#include "base/hash.h"

void k2_intern_done(struct k2_intern *table) {
    k2_free(table->names);
    k2_free(table->slots);
    k2_arena_done(&table->arena);
    *table = (struct k2_intern){0};
}

static uint64_t load(const char *p, size_t bytes) {
    uint64_t word = 0;
    uint32_t half = 0, rest = 0;
    if (bytes == 8) {
        memcpy(&word, p, 8);
    } else if (bytes >= 4) { /* two halves that overlap where fewer than eight are there */
        memcpy(&half, p, 4);
        memcpy(&rest, p + bytes - 4, 4);
        word = half | (uint64_t)rest << (bytes - 4) * 8;
    } else {
        for (size_t i = 0; i < bytes; i++)
            word |= (uint64_t)(uint8_t)p[i] << i * 8;
    }
    return word;
}

static struct k2_words words_of(struct k2_str s) {
    struct k2_words w = {.len = (uint32_t)s.len};
    if (s.len > K2_WORDS_MAX) {
        w.low = k2_hash64(s.ptr, s.len);
    } else {
        w.low = load(s.ptr, K2_MIN(s.len, (size_t)8));
        if (s.len > 8)
            w.high = load(s.ptr + 8, s.len - 8);
    }
    return w;
}

static uint32_t find_slot(const struct k2_intern *table, struct k2_str s, struct k2_words w) {
    uint32_t slot = k2_words_hash(w) & table->slot_mask;
    for (;; slot = (slot + 1) & table->slot_mask) {
        const struct k2_intern_slot *at = &table->slots[slot];
        if (!at->code || (k2_words_eq(at->words, w) &&
                          (w.len <= K2_WORDS_MAX || k2_str_eq(table->names[at->code - 1], s))))
            return slot;
    }
}

static void grow(struct k2_intern *table) {
    struct k2_intern_slot *old = table->slots;
    uint32_t old_count = old ? table->slot_mask + 1 : 0;
    table->cap = table->cap ? table->cap * 2 : 64;
    table->names = k2_realloc(table->names, table->cap * sizeof *table->names);
    table->slots = k2_new_array(struct k2_intern_slot, (size_t)table->cap * 2);
    table->slot_mask = table->cap * 2 - 1;
    for (uint32_t i = 0; i < old_count; i++) {
        if (!old[i].code)
            continue;
        uint32_t slot = k2_words_hash(old[i].words) & table->slot_mask;
        while (table->slots[slot].code)
            slot = (slot + 1) & table->slot_mask;
        table->slots[slot] = old[i];
    }
    k2_free(old);
}

static struct k2_str keep(struct k2_intern *table, struct k2_str s) {
    char *copy = k2_arena_alloc(&table->arena, K2_MAX(s.len + 1, (size_t)K2_WORDS_MAX));
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    return (struct k2_str){copy, s.len};
}

uint32_t k2_intern_add(struct k2_intern *table, struct k2_str s) {
    K2_ASSERT(s.len <= UINT32_MAX);
    struct k2_words w = words_of(s);
    if (table->slots) {
        uint32_t slot = find_slot(table, s, w);
        if (table->slots[slot].code)
            return table->slots[slot].code - 1;
    }
    if (table->count == table->cap)
        grow(table);
    uint32_t code = table->count++;
    table->names[code] = keep(table, s);
    table->slots[find_slot(table, s, w)] = (struct k2_intern_slot){w, code + 1};
    return code;
}

uint32_t k2_intern_find(const struct k2_intern *table, struct k2_str s) {
    if (!table->slots || s.len > UINT32_MAX)
        return UINT32_MAX;
    return table->slots[find_slot(table, s, words_of(s))].code - 1;
}
