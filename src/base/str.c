/* str.c -- views, growing buffers, UTF-8, edit distance. */
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"

int k2_str_cmp(struct k2_str a, struct k2_str b) {
    size_t n = K2_MIN(a.len, b.len);
    int order = n ? memcmp(a.ptr, b.ptr, n) : 0;
    return order ? order : a.len < b.len ? -1 : a.len > b.len;
}

bool k2_str_starts(struct k2_str s, const char *prefix) {
    size_t n = strlen(prefix);
    return s.len >= n && memcmp(s.ptr, prefix, n) == 0;
}

bool k2_str_ends(struct k2_str s, const char *suffix) {
    size_t n = strlen(suffix);
    return s.len >= n && memcmp(s.ptr + s.len - n, suffix, n) == 0;
}

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct k2_str k2_str_trim(struct k2_str s) {
    while (s.len && is_space(s.ptr[0]))
        s.ptr++, s.len--;
    while (s.len && is_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

struct k2_str k2_str_split(struct k2_str s, char sep, struct k2_str *rest) {
    const char *at = s.len ? memchr(s.ptr, sep, s.len) : NULL;
    if (!at) {
        *rest = (struct k2_str){NULL, 0};
        return s;
    }
    size_t head = (size_t)(at - s.ptr);
    *rest = (struct k2_str){at + 1, s.len - head - 1};
    return (struct k2_str){s.ptr, head};
}

bool k2_str_to_i64(struct k2_str s, int64_t *ret) {
    size_t i = s.len && s.ptr[0] == '-';
    if (i == s.len)
        return false;
    int64_t value = 0;
    for (; i < s.len; i++) {
        unsigned digit = (unsigned)(unsigned char)s.ptr[i] - '0';
        /* Counted downwards, because the most negative number has no positive twin. */
        if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, (int64_t)digit, &value))
            return false;
    }
    if (s.ptr[0] != '-') {
        if (value == INT64_MIN)
            return false;
        value = -value;
    }
    *ret = value;
    return true;
}

static size_t utf8_step(const unsigned char *p, size_t left) {
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        return left >= 2 && (p[1] & 0xc0) == 0x80 ? 2 : 0;
    if ((p[0] & 0xf0) == 0xe0) {
        if (left < 3 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80)
            return 0;
        bool overlong = p[0] == 0xe0 && p[1] < 0xa0, surrogate = p[0] == 0xed && p[1] > 0x9f;
        return overlong || surrogate ? 0 : 3;
    }
    if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        if (left < 4 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80 || (p[3] & 0xc0) != 0x80)
            return 0;
        bool overlong = p[0] == 0xf0 && p[1] < 0x90, beyond = p[0] == 0xf4 && p[1] > 0x8f;
        return overlong || beyond ? 0 : 4;
    }
    return 0;
}

bool k2_str_is_utf8(struct k2_str s) {
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t left = s.len;
    while (left) {
        uint64_t eight;
        if (left >= 8 && (memcpy(&eight, p, 8), (eight & 0x8080808080808080u) == 0)) {
            p += 8, left -= 8;
            continue;
        }
        size_t step = utf8_step(p, left);
        if (!step)
            return false;
        p += step, left -= step;
    }
    return true;
}

int k2_str_distance(struct k2_str a, struct k2_str b) {
    enum { MAX = 64 };
    if (a.len > MAX || b.len > MAX)
        return MAX;
    int row[MAX + 1];
    for (size_t j = 0; j <= b.len; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= a.len; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= b.len; j++) {
            int above = row[j];
            int swap = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
            row[j] = K2_MIN(swap, K2_MIN(above, row[j - 1]) + 1);
            diagonal = above;
        }
    }
    return row[b.len];
}

void k2_buf_done(struct k2_buf *buf) {
    k2_free(buf->ptr);
    *buf = (struct k2_buf){0};
}

char *k2_buf_reserve(struct k2_buf *buf, size_t more) {
    if (K2_UNLIKELY(buf->cap - buf->len < more)) {
        size_t cap = buf->cap ? buf->cap * 2 : 256;
        while (cap - buf->len < more)
            cap *= 2;
        buf->ptr = k2_realloc(buf->ptr, cap);
        buf->cap = cap;
    }
    return buf->ptr + buf->len;
}

void k2_buf_printf(struct k2_buf *buf, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    vsnprintf(k2_buf_reserve(buf, (size_t)len + 1), (size_t)len + 1, fmt, again);
    va_end(again);
    buf->len += (size_t)len;
}

char *k2_buf_cstr(struct k2_buf *buf) {
    *k2_buf_reserve(buf, 1) = 0;
    return buf->ptr;
}

void k2_buf_varint(struct k2_buf *buf, uint64_t value) {
    char *p = k2_buf_reserve(buf, 10);
    size_t n = 0;
    for (; value >= 128; value >>= 7)
        p[n++] = (char)(value | 128);
    p[n++] = (char)value;
    buf->len += n;
}

void k2_buf_zigzag(struct k2_buf *buf, int64_t value) {
    k2_buf_varint(buf, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}
