/* diag.h -- diagnostics on stderr: one event, one line, logfmt or JSON.
 *
 * k2_info("feed.connect", "venue=%s symbols=%u", venue, count) writes
 * time=2026-01-31T12:00:00.000000Z level=info event=feed.connect venue=binance symbols=12
 * The text is key=value pairs; a value that may hold a space, '=' or a quote goes through K2_Q. The
 * level is tested before the arguments are evaluated. A line that was written less than 5 s ago is
 * counted and not written; the count follows as repeated=N. Nothing per record: that is for
 * metrics. Threads: everything may be called from any thread once k2_diag_init returned. No heap is
 * used.
 */
#ifndef K2_BASE_DIAG_H
#define K2_BASE_DIAG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/macros.h"
#include "base/str.h"

enum k2_diag_level { K2_DIAG_DEBUG, K2_DIAG_INFO, K2_DIAG_WARN, K2_DIAG_ERROR };
enum k2_diag_format { K2_DIAG_LOGFMT, K2_DIAG_JSON };

/* Where lines go (borrowed) and from which level on. Without a call: info, logfmt, stderr. Counts
 * of folded lines from before are dropped. */
void k2_diag_init(enum k2_diag_level level, enum k2_diag_format format, FILE *out);
/* The clock that stamps and folds lines; NULL for the real one. Call before threads start. */
void k2_diag_set_clock(struct k2_clock *clock);
/* The level or format of a setting's text; false where there is none of that name. */
bool k2_diag_level_of(const char *text, enum k2_diag_level *ret) K2_MUST;
bool k2_diag_format_of(const char *text, enum k2_diag_format *ret) K2_MUST;
/* Writes the counts of folded lines that are still held back. At the end of the program. */
void k2_diag_flush(void);

/* Only mutable global of the program: read by the macros below without a lock. */
extern atomic_int k2_diag_threshold;

/* Behind the macros. fmt begins with a space. */
void k2_diag_write(enum k2_diag_level level, const char *event, const char *fmt, ...)
    K2_PRINTF(3, 4);

#define K2_DIAG_AT(level, event, ...)                                                              \
    do {                                                                                           \
        if ((int)(level) >= atomic_load_explicit(&k2_diag_threshold, memory_order_relaxed))        \
            k2_diag_write((level), (event), " " __VA_ARGS__);                                      \
    } while (0)
#define k2_debug(event, ...) K2_DIAG_AT(K2_DIAG_DEBUG, event, __VA_ARGS__)
#define k2_info(event, ...)  K2_DIAG_AT(K2_DIAG_INFO, event, __VA_ARGS__)
#define k2_warn(event, ...)  K2_DIAG_AT(K2_DIAG_WARN, event, __VA_ARGS__)
#define k2_error(event, ...) K2_DIAG_AT(K2_DIAG_ERROR, event, __VA_ARGS__)

/* A value in quotes, with '"', '\' and control characters escaped; cut at 500 bytes. */
struct k2_diag_text {
    char text[512];
};
struct k2_diag_text k2_diag_quote(struct k2_str text);
/* For an argument of %s: k2_warn("x", "error=%s", K2_Q(err.msg)). */
#define K2_Q(cstr) (k2_diag_quote(k2_str_of(cstr)).text)

#endif
