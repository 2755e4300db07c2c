/* err.h -- errors are values: the caller owns one struct k2_err and passes it down.
 *
 * Invariants: a fallible function returns bool (or a pointer), takes err last, and fills err
 * exactly when it returns false (NULL). End of stream and "not there" are results, not errors. Only
 * main and the loop of an agent print errors; everything else returns them. No heap, no
 * thread-local state.
 */
#ifndef K2_BASE_ERR_H
#define K2_BASE_ERR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"

/* code, text, exit code of the program */
#define K2_ERR_CODES(X)                                                                            \
    X(OK, "ok", 0)                                                                                 \
    X(USAGE, "wrong usage", 2)                                                                     \
    X(INVALID, "invalid input", 1)                                                                 \
    X(NOT_FOUND, "not found", 1)                                                                   \
    X(CONFLICT, "conflict", 1)                                                                     \
    X(IO, "input or output failed", 1)                                                             \
    X(UNAVAILABLE, "unavailable", 4)                                                               \
    X(CORRUPT, "corrupt data", 1)                                                                  \
    X(LIMIT, "limit reached", 1)                                                                   \
    X(DENIED, "refused by access rules", 5)                                                        \
    X(CANCELLED, "cancelled", 1)                                                                   \
    X(BUG, "internal error", 1)

enum k2_code {
#define K2_ERR_ENUM(name, text, exit_code) K2_##name,
    K2_ERR_CODES(K2_ERR_ENUM)
#undef K2_ERR_ENUM
};

struct k2_err {
    enum k2_code code;
    bool retriable;
    uint16_t len;
    char msg[500];
};

/* Fills err with code and the formatted message (cut at 499 bytes). err may be NULL. Always false.
 */
bool k2_err_set(struct k2_err *err, enum k2_code code, const char *fmt, ...) K2_PRINTF(3, 4);

/* As k2_err_set, for a failed system call: appends ": " and the text of errno, with code IO (LIMIT
 * for a full disk, NOT_FOUND for ENOENT, DENIED never). Call it before anything changes errno. */
bool k2_err_sys(struct k2_err *err, const char *fmt, ...) K2_PRINTF(2, 3);

/* Prepends "context: " to the message; code and retriable stay. Always false. */
bool k2_err_wrap(struct k2_err *err, const char *fmt, ...) K2_PRINTF(2, 3);

/* The exit code and the plain text that belong to a code. */
int k2_err_exit_code(enum k2_code code);
const char *k2_err_text(enum k2_code code);

#endif
