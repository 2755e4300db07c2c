/* arena.c -- bump allocation in doubling blocks. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

struct k2_arena_block {
    struct k2_arena_block *next;
    size_t used, size;
    _Alignas(16) unsigned char bytes[];
};

void k2_arena_init(struct k2_arena *arena, size_t first_bytes) {
    *arena = (struct k2_arena){.first_bytes = first_bytes};
}

static void free_chain(struct k2_arena_block *block) {
    while (block) {
        struct k2_arena_block *next = block->next;
        k2_free(block);
        block = next;
    }
}

void k2_arena_done(struct k2_arena *arena) {
    free_chain(arena->head);
    arena->head = NULL;
}

void k2_arena_reset(struct k2_arena *arena) {
    if (!arena->head)
        return;
    free_chain(arena->head->next); /* blocks double, so the head is the largest */
    arena->head->next = NULL;
    arena->head->used = 0;
}

void *k2_arena_alloc(struct k2_arena *arena, size_t size) {
    size = (size + 15) & ~(size_t)15;
    struct k2_arena_block *block = arena->head;
    if (!block || block->size - block->used < size) {
        size_t bytes = block ? block->size * 2 : arena->first_bytes ? arena->first_bytes : 4096;
        while (bytes < size)
            bytes *= 2;
        struct k2_arena_block *fresh = k2_alloc(sizeof *fresh + bytes);
        *fresh = (struct k2_arena_block){.next = block, .size = bytes};
        arena->head = block = fresh;
    }
    void *ptr = block->bytes + block->used;
    block->used += size;
    memset(ptr, 0, size);
    return ptr;
}

struct k2_str k2_arena_str(struct k2_arena *arena, struct k2_str text) {
    char *copy = k2_arena_alloc(arena, text.len + 1);
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    return (struct k2_str){copy, text.len};
}

char *k2_arena_strdup(struct k2_arena *arena, const char *text) {
    return (char *)k2_arena_str(arena, k2_str_of(text)).ptr;
}

char *k2_arena_printf(struct k2_arena *arena, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = k2_arena_alloc(arena, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    return text;
}
