/* intern.h -- each distinct string once, known by a dense number from 0.
 *
 * Names of the market (symbols, venues, currencies) are short: up to K2_WORDS_MAX bytes are held in
 * the slot itself as two words, so that finding one touches one cache line and compares two
 * numbers.
 *
 * Threads: a table belongs to one thread; its strings stay where they are until it is freed, so a
 * reader that was handed codes and the table after the last insert may read without a lock.
 */
#ifndef K2_BASE_INTERN_H
#define K2_BASE_INTERN_H

#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

enum { K2_WORDS_MAX = 16 };

/* A string of at most K2_WORDS_MAX bytes as two little-endian words, zero beyond its end; a longer
 * one as its hash. Two strings are the same when len and words are, and longer ones' bytes are. */
struct k2_words {
    uint64_t low, high;
    uint32_t len;
};

struct k2_intern_slot {
    struct k2_words words;
    uint32_t code; /* + 1; 0 is free */
};

struct k2_intern {
    struct k2_str *names; /* names[code], NUL-terminated and readable for K2_WORDS_MAX bytes */
    uint32_t count, cap;
    struct k2_intern_slot *slots; /* open addressing */
    uint32_t slot_mask;
    struct k2_arena arena;
};

/* An all-zero table is valid and empty. */
void k2_intern_done(struct k2_intern *table);
/* The code of s, adding it when new. */
uint32_t k2_intern_add(struct k2_intern *table, struct k2_str s);
/* The code of s, or UINT32_MAX when it was never added. */
uint32_t k2_intern_find(const struct k2_intern *table, struct k2_str s);
static inline struct k2_str k2_intern_str(const struct k2_intern *table, uint32_t code) {
    K2_DCHECK(code < table->count);
    return table->names[code];
}

/* The hash and the comparison of the table; words of long strings are compared as hashes only. */
static inline uint32_t k2_words_hash(struct k2_words w) {
    unsigned __int128 product =
        (unsigned __int128)(w.low ^ 0x9e3779b97f4a7c15u) * ((w.high ^ 0xe7037ed1a0b428dbu) + w.len);
    return (uint32_t)((uint64_t)product ^ (uint64_t)(product >> 64));
}
static inline bool k2_words_eq(struct k2_words a, struct k2_words b) {
    return ((a.low ^ b.low) | (a.high ^ b.high) | (a.len ^ b.len)) == 0;
}
/* k2_intern_find of at most K2_WORDS_MAX bytes that the caller has as words already. */
static inline uint32_t k2_intern_find_words(const struct k2_intern *table, struct k2_words w) {
    K2_DCHECK(w.len <= K2_WORDS_MAX);
    if (K2_UNLIKELY(!table->slots))
        return UINT32_MAX;
    uint32_t slot = k2_words_hash(w) & table->slot_mask;
    while (table->slots[slot].code && !k2_words_eq(table->slots[slot].words, w))
        slot = (slot + 1) & table->slot_mask;
    return table->slots[slot].code - 1;
}

#endif
