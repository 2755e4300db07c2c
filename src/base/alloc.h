/* alloc.h -- the one door to the heap.
 *
 * Sizes are bounded at the edge of the program, so running out of memory for one of them is not an
 * event any caller could mend: k2_alloc and its kin abort with a message and never return NULL. For
 * sizes that come from outside data use k2_try_alloc and report LIMIT. Inside a K2_NO_ALLOC scope
 * any call here aborts and names the place: that is how hot paths are proved free of allocation.
 * Threads: all functions may be called from any thread; the guard is per thread.
 */
#ifndef K2_BASE_ALLOC_H
#define K2_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"

/* size bytes, uninitialised (zeroed for k2_calloc). Free with k2_free. Never NULL. */
void *k2_alloc(size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1)));
void *k2_calloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *k2_realloc(void *ptr, size_t size) __attribute__((returns_nonnull));
/* As k2_alloc, for memory that is read here and there: in pages of 2 MiB where the system has them,
 * which saves most of the time that first touching it and finding it takes. */
void *k2_alloc_pages(size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1)));
/* As k2_alloc, but NULL when there is not that much memory. */
void *k2_try_alloc(size_t size) K2_MUST;
/* A copy of a NUL-terminated string. Free with k2_free. */
char *k2_strdup(const char *text) __attribute__((returns_nonnull));
void k2_free(void *ptr);

/* Zeroed object or array of a type. */
#define k2_new(type)              ((type *)k2_calloc(1, sizeof(type)))
#define k2_new_array(type, count) ((type *)k2_calloc((count), sizeof(type)))

/* From here to the end of the scope this thread must not touch the heap. */
#define K2_NO_ALLOC                                                                                \
    __attribute__((cleanup(k2_no_alloc_end), unused)) int k2_no_alloc_guard = k2_no_alloc_begin()
int k2_no_alloc_begin(void);
void k2_no_alloc_end(int *guard);

#endif
