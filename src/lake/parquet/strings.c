/* strings.c -- PLAIN, DELTA_LENGTH_BYTE_ARRAY and DELTA_BYTE_ARRAY strings, and their order. */
#include "lake/parquet/strings.h"

#include "lake/parquet/bitpack.h"
#include "lake/parquet/delta.h"
#include "lake/parquet/format.h"

void *k2_pq_scratch(struct k2_buf *buf, size_t size) {
    buf->len = 0;
    return k2_buf_reserve(buf, size + K2_PQ_SLACK);
}

static uint64_t load(const char *at) {
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

/* Both may be read K2_PQ_SLACK bytes beyond their ends. */
static inline size_t shared_prefix(const char *a, const char *b, size_t len) {
    size_t i = 0;
    for (; i < len; i += 8) {
        uint64_t differ = load(a + i) ^ load(b + i);
        if (differ) {
            i += (size_t)__builtin_ctzll(differ) / 8;
            break;
        }
    }
    return K2_MIN(i, len);
}

size_t k2_pq_shared_prefix(struct k2_str a, struct k2_str b) {
    size_t len = K2_MIN(a.len, b.len), i = 0;
    while (i < len && a.ptr[i] == b.ptr[i])
        i++;
    return i;
}

/* What a walk over a text finds: its extremes and, where prefix is not NULL, how much each string
 * shares with the one before and what is left of it. Neighbours tell the direction: only where the
 * sequence turns can an extreme lie, and in sorted data it hardly ever turns. */
struct walk {
    uint32_t least, greatest;
    int32_t *prefix, *suffix;
};

/* The string before i is where the sequence turns, or its end. */
static void turn(const struct k2_pq_text *text, uint32_t i, int order, struct walk *walk) {
    struct k2_str s = k2_pq_text_at(text, i - 1);
    if (order <= 0 && k2_str_cmp(s, k2_pq_text_at(text, walk->greatest)) > 0)
        walk->greatest = i - 1;
    if (order >= 0 && k2_str_cmp(s, k2_pq_text_at(text, walk->least)) < 0)
        walk->least = i - 1;
}

static inline __attribute__((always_inline)) void walk_text(const struct k2_pq_text *text,
                                                            bool has_lengths, struct walk *walk) {
    int direction = 0;
    const char *bytes = text->bytes;
    uint32_t before = text->ends[-1], start = text->ends[0];
    if (has_lengths) {
        walk->prefix[0] = 0;
        walk->suffix[0] = (int32_t)(start - before);
    }
    for (uint32_t i = 1; i < text->count; i++) {
        uint32_t end = text->ends[i];
        size_t a = start - before, b = end - start, len = K2_MIN(a, b);
        size_t same = shared_prefix(bytes + before, bytes + start, len);
        int order = same < len
                        ? ((uint8_t)bytes[start + same] > (uint8_t)bytes[before + same] ? 1 : -1)
                        : (b > a) - (b < a);
        if (has_lengths) {
            walk->prefix[i] = (int32_t)same;
            walk->suffix[i] = (int32_t)(b - same);
        }
        if (order && order != direction) {
            turn(text, i, order, walk);
            direction = order;
        }
        before = start;
        start = end;
    }
    turn(text, text->count, 0, walk);
}

void k2_pq_text_bounds(const struct k2_pq_text *text, uint32_t *ret_least, uint32_t *ret_greatest) {
    struct walk walk = {0};
    walk_text(text, false, &walk);
    *ret_least = walk.least;
    *ret_greatest = walk.greatest;
}

void k2_pq_put_plain_str(struct k2_str s, struct k2_buf *out) {
    k2_buf_u32(out, (uint32_t)s.len);
    k2_buf_str(out, s);
}

void k2_pq_put_plain(const struct k2_pq_text *text, struct k2_buf *out) {
    size_t total = text->ends[(ptrdiff_t)text->count - 1] - text->ends[-1];
    char *to = k2_buf_reserve(out, total + 4 * (size_t)text->count + K2_PQ_SLACK);
    out->len += total + 4 * (size_t)text->count;
    for (uint32_t i = 0; i < text->count; i++) {
        struct k2_str s = k2_pq_text_at(text, i);
        uint32_t len = (uint32_t)s.len;
        memcpy(to, &len, 4);
        to += 4;
        if (len <= 16)
            memcpy(to, s.ptr, 16);
        else
            memcpy(to, s.ptr, len);
        to += len;
    }
}

static void put_lengths(const int32_t *lengths, uint32_t count, struct k2_buf *out) {
    uint8_t *to = (uint8_t *)k2_buf_reserve(out, k2_delta_bound(count));
    uint8_t *end = k2_delta_encode_i32(lengths, count, false, to);
    out->len += (size_t)(end - to);
}

enum { EVEN_BLOCK = 512, EVEN_MAX = 32 };

/* The length that most suffixes of a block are given, so that their lengths need hardly any bits; 0
 * where that would cost more. A byte more than needed costs one, a suffix that must be longer all
 * the same costs about five by breaking the run, and uneven lengths cost their bits, twice. */
static int32_t even_length(const int32_t *suffix, uint32_t count) {
    enum { ODD_ONE = 5, BITS_OF_BYTE = 4 };
    uint32_t counts[EVEN_MAX + 1] = {0};
    int32_t least = INT32_MAX, greatest = 0;
    for (uint32_t i = 0; i < count; i++) {
        counts[K2_MIN(suffix[i], EVEN_MAX)]++;
        least = K2_MIN(least, suffix[i]);
        greatest = K2_MAX(greatest, suffix[i]);
    }
    int64_t width = k2_bit_width(2 * (uint64_t)(greatest - least));
    int64_t best = 2 * width * count / BITS_OF_BYTE, more = 0, below = 0;
    int32_t even = 0;
    for (int32_t length = 1; length < EVEN_MAX; length++) {
        below += counts[length - 1];
        more += below;
        int64_t odd = (int64_t)count - below - counts[length];
        if (more + ODD_ONE * odd < best) {
            best = more + ODD_ONE * odd;
            even = length;
        }
    }
    return even;
}

/* A string may share less with the one before than it could. */
static void even_out(int32_t *prefix, int32_t *suffix, uint32_t count) {
    for (uint32_t at = 0; at < count; at += EVEN_BLOCK) {
        uint32_t end = K2_MIN(count, at + EVEN_BLOCK);
        int32_t even = even_length(suffix + at, end - at);
        for (uint32_t i = at; i < end; i++) {
            int32_t len = prefix[i] + suffix[i];
            suffix[i] = K2_MIN(K2_MAX(suffix[i], even), len);
            prefix[i] = len - suffix[i];
        }
    }
}

static size_t sum_lengths(const int32_t *lengths, uint32_t count) {
    size_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += (uint32_t)lengths[i];
    return sum;
}

void k2_pq_put_delta_strings(const struct k2_pq_text *text, struct k2_buf *scratch,
                             struct k2_buf *out, size_t cuts[2], uint32_t *ret_least,
                             uint32_t *ret_greatest) {
    uint32_t count = text->count;
    int32_t *prefix = k2_pq_scratch(scratch, (size_t)count * 8), *suffix = prefix + count;
    struct walk walk = {.prefix = prefix, .suffix = suffix};
    const char *bytes = text->bytes;
    if (count)
        walk_text(text, true, &walk);
    *ret_least = walk.least;
    *ret_greatest = walk.greatest;
    even_out(prefix, suffix, count);
    put_lengths(prefix, count, out);
    cuts[0] = out->len;
    put_lengths(suffix, count, out);
    cuts[1] = out->len;
    size_t added = sum_lengths(suffix, count);
    char *to = k2_buf_reserve(out, added + K2_PQ_SLACK);
    out->len += added;
    for (uint32_t i = 0; i < count; i++) {
        const char *from = bytes + text->ends[i] - suffix[i];
        if (suffix[i] <= 8)
            memcpy(to, from, 8);
        else
            memcpy(to, from, (size_t)suffix[i]);
        to += suffix[i];
    }
}

bool k2_pq_text_open(struct k2_pq_text_in *in, enum k2_pq_encoding encoding, const uint8_t *at,
                     const uint8_t *end) {
    in->encoding = encoding;
    in->end = end;
    k2_buf_clear(&in->last);
    in->prefix.left = in->suffix.left = 0;
    if (encoding == K2_PQ_DELTA_STRINGS && !k2_delta_open(&in->prefix, &at, end, false))
        return false;
    if (encoding != K2_PQ_PLAIN && !k2_delta_open(&in->suffix, &at, end, false))
        return false;
    in->at = at;
    return encoding == K2_PQ_PLAIN || encoding == K2_PQ_DELTA_LENGTH ||
           (encoding == K2_PQ_DELTA_STRINGS && in->prefix.left == in->suffix.left);
}

/* Copies short strings as 16 bytes, for which both sides have room; what is beyond len may
 * overlap. */
static inline void copy_loosely(char *to, const void *from, size_t len) {
    if (len <= 16) {
        char copy[16];
        memcpy(copy, from, 16);
        memcpy(to, copy, 16);
    } else
        memcpy(to, from, len);
}

static bool take_plain(struct k2_pq_text_in *in, size_t count, size_t bytes_max, struct k2_buf *out,
                       struct k2_span *spans) {
    size_t left = (size_t)(in->end - in->at), total = out->len;
    if (total + left > bytes_max)
        return false;
    char *to = k2_buf_reserve(out, left + K2_PQ_SLACK);
    const uint8_t *at = in->at;
    for (size_t i = 0; i < count; i++) {
        uint32_t len;
        if (left < 4)
            return false;
        memcpy(&len, at, 4);
        at += 4, left -= 4;
        if (len > left)
            return false;
        copy_loosely(to, at, len);
        spans[i] = (struct k2_span){(uint32_t)total, len};
        to += len, at += len, left -= len, total += len;
    }
    in->at = at;
    out->len = total;
    return true;
}

/* The next lengths; *sum grows by them. False when one is negative. */
static bool take_lengths(struct k2_delta_in *in, size_t count, int32_t *out, size_t *sum) {
    if (count > in->left)
        return false;
    k2_delta_take_i32(in, count, out);
    int32_t sign = 0;
    for (size_t i = 0; i < count; i++) {
        *sum += (uint32_t)out[i];
        sign |= out[i];
    }
    return sign >= 0;
}

enum { LENGTHS = 512 };

static bool take_lengths_first(struct k2_pq_text_in *in, size_t count, size_t bytes_max,
                               struct k2_buf *out, struct k2_span *spans) {
    int32_t lengths[LENGTHS];
    size_t bytes = 0, total = out->len;
    if (!take_lengths(&in->suffix, count, lengths, &bytes) || bytes > (size_t)(in->end - in->at) ||
        total + bytes > bytes_max)
        return false;
    k2_buf_append(out, in->at, bytes);
    in->at += bytes;
    for (size_t i = 0; i < count; i++) {
        spans[i] = (struct k2_span){(uint32_t)total, (uint32_t)lengths[i]};
        total += (size_t)lengths[i];
    }
    return true;
}

static bool take_delta_strings(struct k2_pq_text_in *in, size_t count, size_t bytes_max,
                               struct k2_buf *out, struct k2_span *spans) {
    int32_t prefix[LENGTHS], suffix[LENGTHS];
    size_t shared = 0, own = 0;
    if (!take_lengths(&in->prefix, count, prefix, &shared) ||
        !take_lengths(&in->suffix, count, suffix, &own) || own > (size_t)(in->end - in->at) ||
        out->len + shared + own > bytes_max)
        return false;
    char *to = k2_buf_reserve(out, shared + own + K2_PQ_SLACK);
    k2_buf_reserve(&in->last, K2_PQ_SLACK);
    const char *before = in->last.ptr;
    const uint8_t *at = in->at;
    size_t total = out->len, len = in->last.len;
    for (size_t i = 0; i < count; i++) {
        size_t same = (size_t)prefix[i], more = (size_t)suffix[i];
        if (same > len)
            return false;
        copy_loosely(to, before, same);
        copy_loosely(to + same, at, more);
        at += more;
        len = same + more;
        spans[i] = (struct k2_span){(uint32_t)total, (uint32_t)len};
        total += len;
        before = to;
        to += len;
    }
    in->at = at;
    out->len = total;
    k2_buf_clear(&in->last);
    k2_buf_append(&in->last, before, len);
    return true;
}

bool k2_pq_text_take(struct k2_pq_text_in *in, size_t count, size_t bytes_max, struct k2_buf *out,
                     struct k2_span *spans) {
    if (in->encoding == K2_PQ_PLAIN)
        return take_plain(in, count, bytes_max, out, spans);
    for (size_t i = 0; i < count; i += LENGTHS) {
        size_t n = K2_MIN((size_t)LENGTHS, count - i);
        if (in->encoding == K2_PQ_DELTA_LENGTH
                ? !take_lengths_first(in, n, bytes_max, out, spans + i)
                : !take_delta_strings(in, n, bytes_max, out, spans + i))
            return false;
    }
    return true;
}
