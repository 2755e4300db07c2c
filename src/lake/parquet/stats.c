/* stats.c -- least and greatest values, and strings cut to bounds. */
#include "lake/parquet/stats.h"

#include "lake/parquet/rle.h"

static struct k2_pq_bounds bounds_i64(const int64_t *values, uint32_t count) {
    int64_t low = INT64_MAX, high = INT64_MIN;
    for (uint32_t i = 0; i < count; i++) {
        low = K2_MIN(low, values[i]);
        high = K2_MAX(high, values[i]);
    }
    return (struct k2_pq_bounds){.has = true, .low = low, .high = high};
}

static struct k2_pq_bounds bounds_i32(const int32_t *values, uint32_t count) {
    int32_t low = INT32_MAX, high = INT32_MIN;
    for (uint32_t i = 0; i < count; i++) {
        low = K2_MIN(low, values[i]);
        high = K2_MAX(high, values[i]);
    }
    return (struct k2_pq_bounds){.has = true, .low = low, .high = high};
}

static void add_str(struct k2_pq_bounds *bounds, struct k2_str s) {
    if (!bounds->has || k2_str_cmp(s, bounds->least) < 0)
        bounds->least = s;
    if (!bounds->has || k2_str_cmp(s, bounds->greatest) > 0)
        bounds->greatest = s;
    bounds->has = true;
}

/* Strings are compared once for each entry that occurs in the range, not for each value. */
static struct k2_pq_bounds bounds_index(const struct k2_pq_leaf *leaf, uint32_t first,
                                        uint32_t count, struct k2_buf *seen) {
    struct k2_pq_bounds bounds = {0};
    uint32_t entries = leaf->dictionary->count;
    if (count == leaf->values || entries == 1) {
        for (uint32_t i = 0; i < entries; i++)
            add_str(&bounds, leaf->dictionary->strings[i]);
        return bounds;
    }
    uint8_t *is_seen = k2_pq_scratch(seen, entries);
    memset(is_seen, 0, entries);
    for (uint32_t i = first, found = 0; i < first + count && found < entries; i++) {
        uint32_t entry = leaf->index[i];
        found += !is_seen[entry];
        is_seen[entry] = 1;
        if (i + 1 < first + count && leaf->index[i + 1] == entry)
            i = k2_run_end(leaf->index, i, first + count) - 1;
    }
    for (uint32_t i = 0; i < entries; i++)
        if (is_seen[i])
            add_str(&bounds, leaf->dictionary->strings[i]);
    return bounds;
}

struct k2_pq_bounds k2_pq_leaf_bounds(const struct k2_pq_leaf *leaf, uint32_t first, uint32_t count,
                                      struct k2_buf *seen) {
    if (count == 0)
        return (struct k2_pq_bounds){0};
    switch (leaf->kind) {
    case K2_PQ_VALUES_I64: return bounds_i64(leaf->i64 + first, count);
    case K2_PQ_VALUES_I32: return bounds_i32(leaf->i32 + first, count);
    case K2_PQ_VALUES_INDEX: return bounds_index(leaf, first, count, seen);
    case K2_PQ_VALUES_TEXT: break;
    }
    struct k2_pq_text part = {leaf->text.bytes, leaf->text.ends + first, count};
    uint32_t least, greatest;
    k2_pq_text_bounds(&part, &least, &greatest);
    return (struct k2_pq_bounds){.has = true,
                                 .least = k2_pq_text_at(&part, least),
                                 .greatest = k2_pq_text_at(&part, greatest)};
}

void k2_pq_bounds_merge(struct k2_pq_bounds *into, const struct k2_pq_bounds *other, bool is_text) {
    if (!other->has)
        return;
    if (!into->has) {
        *into = *other;
        return;
    }
    if (is_text) {
        add_str(into, other->least);
        add_str(into, other->greatest);
    } else {
        into->low = K2_MIN(into->low, other->low);
        into->high = K2_MAX(into->high, other->high);
    }
}

static bool is_continuation(char byte) {
    return ((uint8_t)byte & 0xc0) == 0x80;
}

size_t k2_pq_cut_bytes(struct k2_str s, bool is_utf8) {
    if (s.len <= K2_PQ_BOUND_BYTES)
        return s.len;
    size_t keep = K2_PQ_BOUND_BYTES;
    while (is_utf8 && keep && is_continuation(s.ptr[keep]))
        keep--;
    return keep;
}

size_t k2_pq_cut_chars(struct k2_str s, bool is_utf8) {
    if (!is_utf8)
        return K2_MIN(s.len, (size_t)K2_PQ_BOUND_CHARS);
    size_t chars = 0;
    for (size_t i = 0; i < s.len; i++)
        if (!is_continuation(s.ptr[i]) && chars++ == K2_PQ_BOUND_CHARS)
            return i;
    return s.len;
}

static uint32_t decode_char(const char *at, size_t len) {
    static const uint8_t lead_mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c = (uint8_t)at[0] & lead_mask[len];
    for (size_t i = 1; i < len; i++)
        c = c << 6 | ((uint8_t)at[i] & 0x3f);
    return c;
}

static void append_char(struct k2_buf *out, uint32_t c) {
    if (c < 0x80) {
        k2_buf_byte(out, (uint8_t)c);
    } else if (c < 0x800) {
        k2_buf_byte(out, (uint8_t)(0xc0 | c >> 6));
    } else if (c < 0x10000) {
        k2_buf_byte(out, (uint8_t)(0xe0 | c >> 12));
        k2_buf_byte(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
    } else {
        k2_buf_byte(out, (uint8_t)(0xf0 | c >> 18));
        k2_buf_byte(out, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
        k2_buf_byte(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
    }
    if (c >= 0x80)
        k2_buf_byte(out, (uint8_t)(0x80 | (c & 0x3f)));
}

bool k2_pq_raise(struct k2_buf *s, bool is_utf8) {
    enum { LAST_CHAR = 0x10ffff, SURROGATES = 0xd800, AFTER_SURROGATES = 0xe000 };
    while (s->len) {
        if (!is_utf8) {
            if ((uint8_t)s->ptr[s->len - 1] < 0xff) {
                s->ptr[s->len - 1]++;
                return true;
            }
            s->len--;
            continue;
        }
        size_t start = s->len - 1;
        while (start && s->len - start < 4 && is_continuation(s->ptr[start]))
            start--;
        uint32_t c = decode_char(s->ptr + start, s->len - start);
        s->len = start;
        if (c >= LAST_CHAR)
            continue;
        append_char(s, c + 1 == SURROGATES ? AFTER_SURROGATES : c + 1);
        return true;
    }
    return false;
}

static bool put_cut(struct k2_str s, size_t keep, bool is_utf8, bool is_upper, struct k2_buf *out,
                    bool *ret_lost) {
    if (keep == s.len) {
        k2_buf_str(out, s);
        return true;
    }
    struct k2_buf cut = {0};
    k2_buf_append(&cut, s.ptr, keep);
    if (is_upper && !k2_pq_raise(&cut, is_utf8))
        *ret_lost = true;
    k2_buf_str(out, k2_buf_view(&cut));
    k2_buf_done(&cut);
    return false;
}

bool k2_pq_put_bound(const struct k2_pq_shape *shape, const struct k2_pq_bounds *bounds,
                     bool is_upper, struct k2_buf *out, bool *ret_lost) {
    int64_t number = is_upper ? bounds->high : bounds->low;
    struct k2_str s = is_upper ? bounds->greatest : bounds->least;
    bool is_utf8 = k2_pq_is_utf8(shape->type);
    *ret_lost = false;
    if (shape->physical == K2_PQ_INT32)
        k2_buf_u32(out, (uint32_t)number);
    else if (shape->physical == K2_PQ_INT64)
        k2_buf_u64(out, (uint64_t)number);
    else
        return put_cut(s, k2_pq_cut_bytes(s, is_utf8), is_utf8, is_upper, out, ret_lost);
    return true;
}

/* Big endian two's complement, as few bytes as keep the sign. */
static void put_big_endian(int64_t value, struct k2_buf *out) {
    int bytes = 8;
    while (bytes > 1 && value >> (8 * bytes - 9) == value >> 63)
        bytes--;
    for (int i = bytes - 1; i >= 0; i--)
        k2_buf_byte(out, (uint8_t)(value >> (8 * i)));
}

bool k2_pq_put_iceberg_bound(const struct k2_pq_shape *shape, const struct k2_pq_bounds *bounds,
                             bool is_upper, struct k2_buf *out) {
    bool is_lost = false;
    bool is_utf8 = k2_pq_is_utf8(shape->type);
    struct k2_str s = is_upper ? bounds->greatest : bounds->least;
    if (shape->physical == K2_PQ_BYTE_ARRAY)
        put_cut(s, k2_pq_cut_chars(s, is_utf8), is_utf8, is_upper, out, &is_lost);
    else if (shape->type == K2_DECIMAL)
        put_big_endian(is_upper ? bounds->high : bounds->low, out);
    else
        k2_pq_put_bound(shape, bounds, is_upper, out, &is_lost);
    return !is_lost;
}
