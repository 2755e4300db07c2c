/* heap.h -- a heap that has nothing left when a test wants it so: for programs whose malloc, calloc
 * and realloc the linker wraps by heap.c. Libraries of others keep their own. One thread.
 */
#ifndef K2_TESTS_SUPPORT_HEAP_H
#define K2_TESTS_SUPPORT_HEAP_H

/* From now on counts allocations; the nth (from 0) finds no memory, -1: none. */
void heap_fail(long nth);
/* Counted since then. */
long heap_calls(void);

#endif
