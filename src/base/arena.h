/* arena.h -- memory with one lifetime: many small objects, freed or reset together.
 *
 * Threads: an arena belongs to one thread at a time. What it gives is 16-byte aligned and valid
 * until the next reset or done. Blocks double from the first size; a reset keeps the largest.
 */
#ifndef K2_BASE_ARENA_H
#define K2_BASE_ARENA_H

#include <stddef.h>

#include "base/str.h"

struct k2_arena_block;
struct k2_arena {
    struct k2_arena_block *head;
    size_t first_bytes;
};

/* An all-zero struct k2_arena is a valid, empty arena (first block 4 KiB). */
void k2_arena_init(struct k2_arena *arena, size_t first_bytes);
void k2_arena_done(struct k2_arena *arena);
/* Everything given so far becomes invalid; the largest block is kept for reuse. */
void k2_arena_reset(struct k2_arena *arena);
/* size bytes, zeroed. Never NULL. */
void *k2_arena_alloc(struct k2_arena *arena, size_t size) __attribute__((returns_nonnull));
/* NUL-terminated copies that live as long as the arena. */
char *k2_arena_strdup(struct k2_arena *arena, const char *text);
struct k2_str k2_arena_str(struct k2_arena *arena, struct k2_str text);
char *k2_arena_printf(struct k2_arena *arena, const char *fmt, ...) K2_PRINTF(2, 3);

#define k2_arena_new(arena, type, count)                                                           \
    ((type *)k2_arena_alloc((arena), sizeof(type) * (size_t)(count)))

#endif
