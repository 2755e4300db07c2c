/* heap.c -- counts allocations and fails one; the linker puts it in the place of the C library's.
 */
#include "support/heap.h"

#include <stdbool.h>
#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static long calls, fails_at = -1;

void heap_fail(long nth) {
    calls = 0;
    fails_at = nth;
}

long heap_calls(void) {
    return calls;
}

static bool is_due(void) {
    return __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED) == fails_at;
}

void *__wrap_malloc(size_t size) {
    return is_due() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
    return is_due() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size) {
    return is_due() ? NULL : __real_realloc(memory, size);
}
