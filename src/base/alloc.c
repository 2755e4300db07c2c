/* alloc.c -- heap use through one door, with a per-thread "no allocation here" guard. */
#include "base/alloc.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static _Thread_local int no_alloc_depth;

int k2_no_alloc_begin(void) {
    return ++no_alloc_depth;
}

void k2_no_alloc_end(int *guard) {
    (void)guard;
    no_alloc_depth--;
}

static void *checked(void *ptr, size_t size) {
    if (K2_UNLIKELY(!ptr)) {
        fprintf(stderr, "k2: out of memory asking for %zu bytes\n", size);
        abort();
    }
    return ptr;
}

void *k2_alloc(size_t size) {
    K2_ASSERT(no_alloc_depth == 0);
    return checked(malloc(size ? size : 1), size);
}

void *k2_calloc(size_t count, size_t size) {
    K2_ASSERT(no_alloc_depth == 0);
    return checked(calloc(count ? count : 1, size ? size : 1), count * size);
}

void *k2_alloc_pages(size_t size) {
    enum { PAGE = 2 << 20 };
    if (size < 2 * PAGE)
        return k2_alloc(size);
    K2_ASSERT(no_alloc_depth == 0);
    size = (size + PAGE - 1) & ~(size_t)(PAGE - 1);
    void *ptr = checked(aligned_alloc(PAGE, size), size);
    (void)madvise(ptr, size, MADV_HUGEPAGE); /* without it only slower */
    return ptr;
}

void *k2_realloc(void *ptr, size_t size) {
    K2_ASSERT(no_alloc_depth == 0);
    return checked(realloc(ptr, size ? size : 1), size);
}

void *k2_try_alloc(size_t size) {
    K2_ASSERT(no_alloc_depth == 0);
    return malloc(size ? size : 1);
}

char *k2_strdup(const char *text) {
    size_t size = strlen(text) + 1;
    return memcpy(k2_alloc(size), text, size);
}

void k2_free(void *ptr) {
    K2_ASSERT(no_alloc_depth == 0 || !ptr);
    free(ptr);
}
