/* str.h -- text as {pointer, length} by value, and a growing byte buffer.
 *
 * struct k2_str borrows: it owns nothing and need not end in NUL. struct k2_buf owns its bytes; an
 * all-zero one is empty and valid. Threads: values, no shared state.
 */
#ifndef K2_BASE_STR_H
#define K2_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/macros.h"

struct k2_str {
    const char *ptr;
    size_t len;
};

#define K2_STR(literal) ((struct k2_str){"" literal, sizeof(literal) - 1})
/* printf("%.*s", K2_FMT(str)) */
#define K2_FMT(s) (int)(s).len, (s).ptr

static inline struct k2_str k2_str_of(const char *text) {
    return (struct k2_str){text, text ? strlen(text) : 0};
}
static inline struct k2_str k2_str_make(const void *ptr, size_t len) {
    return (struct k2_str){(const char *)ptr, len};
}
static inline bool k2_str_eq(struct k2_str a, struct k2_str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
static inline bool k2_str_is(struct k2_str a, const char *text) {
    return k2_str_eq(a, k2_str_of(text));
}
/* <0, 0, >0 in byte order, as Iceberg and Parquet order strings. */
int k2_str_cmp(struct k2_str a, struct k2_str b);
bool k2_str_starts(struct k2_str s, const char *prefix);
bool k2_str_ends(struct k2_str s, const char *suffix);
struct k2_str k2_str_trim(struct k2_str s);
/* The part before the first sep; *rest becomes what follows it. With no sep: all, *rest.ptr = NULL.
 */
struct k2_str k2_str_split(struct k2_str s, char sep, struct k2_str *rest);
/* Strict decimal integer (optional '-'), no spaces, no overflow. False leaves *ret untouched. */
bool k2_str_to_i64(struct k2_str s, int64_t *ret) K2_MUST;
/* Well-formed UTF-8 without surrogates, as RFC 3629 defines it. */
bool k2_str_is_utf8(struct k2_str s);
/* Edits needed to turn a into b, for "did you mean"; inputs over 64 bytes count as far apart. */
int k2_str_distance(struct k2_str a, struct k2_str b);

struct k2_buf {
    char *ptr;
    size_t len, cap;
};

void k2_buf_done(struct k2_buf *buf); /* frees; the buffer is empty and usable again */
static inline void k2_buf_clear(struct k2_buf *buf) {
    buf->len = 0;
}
/* Makes room for more bytes beyond len and returns where they go; len is not moved. */
char *k2_buf_reserve(struct k2_buf *buf, size_t more);
static inline void k2_buf_append(struct k2_buf *buf, const void *bytes, size_t len) {
    if (len)
        memcpy(k2_buf_reserve(buf, len), bytes, len);
    buf->len += len;
}
static inline void k2_buf_str(struct k2_buf *buf, struct k2_str s) {
    k2_buf_append(buf, s.ptr, s.len);
}
static inline void k2_buf_text(struct k2_buf *buf, const char *text) {
    k2_buf_append(buf, text, strlen(text));
}
static inline void k2_buf_byte(struct k2_buf *buf, uint8_t byte) {
    *k2_buf_reserve(buf, 1) = (char)byte;
    buf->len++;
}
void k2_buf_printf(struct k2_buf *buf, const char *fmt, ...) K2_PRINTF(2, 3);
/* NUL-terminates (the NUL is not counted) and returns the bytes; owned by the buffer. */
char *k2_buf_cstr(struct k2_buf *buf);
static inline struct k2_str k2_buf_view(const struct k2_buf *buf) {
    return (struct k2_str){buf->ptr, buf->len};
}
/* Zig-zag varint (Avro long, Thrift compact) and plain LEB128. */
void k2_buf_zigzag(struct k2_buf *buf, int64_t value);
void k2_buf_varint(struct k2_buf *buf, uint64_t value);
/* Little-endian fixed width. */
static inline void k2_buf_u32(struct k2_buf *buf, uint32_t v) {
    k2_buf_append(buf, &v, 4);
}
static inline void k2_buf_u64(struct k2_buf *buf, uint64_t v) {
    k2_buf_append(buf, &v, 8);
}

#endif
