/* macros.h -- the few macros K2 uses, for what functions cannot do: cleanup, early return, asserts.
 */
#ifndef K2_BASE_MACROS_H
#define K2_BASE_MACROS_H

#include <stddef.h>

/* The result must be looked at. On every function that can fail. */
#define K2_MUST              __attribute__((warn_unused_result))
#define K2_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define K2_LIKELY(x)         __builtin_expect(!!(x), 1)
#define K2_UNLIKELY(x)       __builtin_expect(!!(x), 0)
#define K2_COUNT(array)      (sizeof(array) / sizeof((array)[0]))
#define K2_MIN(a, b)         ((a) < (b) ? (a) : (b))
#define K2_MAX(a, b)         ((a) > (b) ? (a) : (b))

/* Leave the function with false when a fallible call fails; its error is already in err. */
#define K2_TRY(call)                                                                               \
    do {                                                                                           \
        if (!(call))                                                                               \
            return false;                                                                          \
    } while (0)

/* K2_AUTO(k2_log_freep) struct k2_log *log = ...; is freed when the scope is left, however that
 * happens. K2_TAKE(p) gives the pointer away: it yields p and leaves NULL behind. */
#define K2_AUTO(freep) __attribute__((cleanup(freep)))
#define K2_TAKE(p)                                                                                 \
    ({                                                                                             \
        __typeof__(p) k2_taken = (p);                                                              \
        (p) = NULL;                                                                                \
        k2_taken;                                                                                  \
    })

/* Asserts stay on in release builds; K2_DCHECK is for hot loops and goes away with NDEBUG. */
#define K2_ASSERT(cond)                                                                            \
    do {                                                                                           \
        if (K2_UNLIKELY(!(cond)))                                                                  \
            k2_assert_failed(#cond, __FILE__, __LINE__);                                           \
    } while (0)
#ifdef NDEBUG
#define K2_DCHECK(cond) ((void)0)
#else
#define K2_DCHECK(cond) K2_ASSERT(cond)
#endif

/* Prints the condition and the place to stderr and aborts. */
_Noreturn void k2_assert_failed(const char *cond, const char *file, int line);

#endif
