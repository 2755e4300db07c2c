/* intern.h -- each distinct string once, known by a dense number from 0.
 *
 * Threads: a table belongs to one thread; its strings stay where they are until it is freed, so a
 * reader that was handed codes and the table after the last insert may read without a lock.
 */
#ifndef K2_BASE_INTERN_H
#define K2_BASE_INTERN_H

#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

struct k2_intern {
    struct k2_str *names; /* names[code], NUL-terminated */
    uint32_t count, cap;
    uint32_t *slots; /* open addressing: code + 1, 0 is free */
    uint32_t *hashes;
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

#endif
