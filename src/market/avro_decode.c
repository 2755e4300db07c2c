/* avro_decode.c -- runs a plan over one Avro body: the hot half of reading the log. */
#ifdef __BMI2__
#include <immintrin.h>
#endif

#include "market/avro_plan.h"
#include "market/decimal.h"

struct reader {
    const uint8_t *at, *end;
    enum k2_avro_result result; /* why reading stopped */
};

static bool fail(struct reader *r, enum k2_avro_result result) {
    r->result = result;
    return false;
}

static bool get_long_slowly(struct reader *r, int64_t *ret) {
    uint64_t value = 0;
    const uint8_t *p = r->at;
    for (int shift = 0; p < r->end && shift < 70; shift += 7) {
        uint8_t byte = *p++;
        value |= (uint64_t)(byte & 127) << (shift & 63);
        if (byte < 128) {
            if (shift == 63 && byte > 1)
                break;
            r->at = p;
            *ret = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
            return true;
        }
    }
    return fail(r, K2_AVRO_MALFORMED);
}

/* One byte, else up to eight at once: the stop bit tells the length, pext drops the others. */
static inline bool get_long(struct reader *r, int64_t *ret) {
#ifdef __BMI2__
    uint64_t word, value;
    if (K2_LIKELY(r->end - r->at >= 8)) {
        memcpy(&word, r->at, 8);
        if (!(word & 0x80)) {
            r->at++;
            value = word & 0x7f;
            *ret = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
            return true;
        }
        uint64_t stops = ~word & 0x8080808080808080u;
        if (K2_LIKELY(stops)) {
            r->at += (__builtin_ctzll(stops) + 1) / 8;
            value = _pext_u64(word & (stops ^ (stops - 1)), 0x7f7f7f7f7f7f7f7fu);
            *ret = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
            return true;
        }
    }
#endif
    return get_long_slowly(r, ret);
}

/* Plain ASCII without NUL, eight bytes at a time; whatever else there is goes the long way. */
static inline bool is_text(struct k2_str s, const uint8_t *end) {
    const uint8_t *p = (const uint8_t *)s.ptr;
    size_t left = s.len;
    while (left && end - p >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        if (left < 8)
            word |= 0x0101010101010101u << (left * 8);
        uint64_t odd = (word | (word - 0x0101010101010101u)) & 0x8080808080808080u;
        if (K2_UNLIKELY(left < 8 ? odd << ((8 - left) * 8) : odd))
            break;
        if (left <= 8)
            return true;
        p += 8, left -= 8;
    }
    struct k2_str rest = k2_str_make(p, left);
    return !left || (k2_str_is_utf8(rest) && !memchr(rest.ptr, 0, rest.len));
}

static inline bool get_bytes(struct reader *r, struct k2_str *ret) {
    int64_t len;
    if (!get_long(r, &len))
        return false;
    if (len < 0 || len > r->end - r->at)
        return fail(r, K2_AVRO_MALFORMED);
    *ret = k2_str_make(r->at, (size_t)len);
    r->at += len;
    return true;
}

static inline bool get_text(struct reader *r, struct k2_str *ret) {
    if (!get_bytes(r, ret))
        return false;
    if (K2_UNLIKELY(!is_text(*ret, r->end)))
        return fail(r, K2_AVRO_TEXT);
    return true;
}

static bool skip_bytes(struct reader *r, int64_t len) {
    if (len < 0 || len > r->end - r->at)
        return fail(r, K2_AVRO_MALFORMED);
    r->at += len;
    return true;
}

/* The count of the next block of an array or map; 0 ends it. A negative count carries its bytes. */
static bool get_block(struct reader *r, int64_t *ret_count) {
    int64_t count, bytes;
    if (!get_long(r, &count))
        return false;
    if (count < 0) {
        if (count == INT64_MIN || !get_long(r, &bytes))
            return fail(r, K2_AVRO_MALFORMED);
        count = -count;
    }
    /* Every item takes at least a byte, bar null and empty records, which nobody sends in numbers.
     */
    if (count > r->end - r->at)
        return fail(r, K2_AVRO_MALFORMED);
    *ret_count = count;
    return true;
}

static bool skip_value(struct reader *r, const struct k2_avro_type *type);

static bool skip_blocks(struct reader *r, const struct k2_avro_type *type) {
    int64_t count;
    struct k2_str key;
    for (;;) {
        K2_TRY(get_block(r, &count));
        if (count == 0)
            return true;
        for (; count; count--) {
            if (type->kind == K2_AVRO_MAP)
                K2_TRY(get_bytes(r, &key));
            K2_TRY(skip_value(r, type->parts[0]));
        }
    }
}

/* The tree's depth was bounded when it was compiled, so this recursion is too. */
static bool skip_value(struct reader *r, const struct k2_avro_type *type) {
    int64_t number;
    struct k2_str bytes;
    switch (type->kind) {
    case K2_AVRO_NULL: return true;
    case K2_AVRO_BOOLEAN: return skip_bytes(r, 1);
    case K2_AVRO_INT:
    case K2_AVRO_ENUM: return get_long(r, &number);
    case K2_AVRO_FLOAT: return skip_bytes(r, 4);
    case K2_AVRO_DOUBLE: return skip_bytes(r, 8);
    case K2_AVRO_BYTES: return get_bytes(r, &bytes);
    case K2_AVRO_FIXED: return skip_bytes(r, type->size);
    case K2_AVRO_ARRAY:
    case K2_AVRO_MAP: return skip_blocks(r, type);
    case K2_AVRO_UNION:
        K2_TRY(get_long(r, &number));
        if (number < 0 || number >= type->count)
            return fail(r, K2_AVRO_MALFORMED);
        return skip_value(r, type->parts[number]);
    case K2_AVRO_RECORD:
        for (int i = 0; i < type->count; i++)
            K2_TRY(skip_value(r, type->parts[i]));
        return true;
    }
    return fail(r, K2_AVRO_MALFORMED);
}

/* ---- into columns ---- */

static bool wide_decimal(struct reader *r, struct k2_str bytes, int scale, int64_t *ret) {
    if (!bytes.len)
        return fail(r, K2_AVRO_MALFORMED);
    if (bytes.len > 16)
        return fail(r, K2_AVRO_RANGE);
    __int128 value = (int8_t)bytes.ptr[0];
    for (size_t i = 1; i < bytes.len; i++)
        value = (__int128)((unsigned __int128)value << 8) | (uint8_t)bytes.ptr[i];
    const __int128 max = K2_DECIMAL_MAX;
    for (; scale > 8; scale--) {
        if (value % 10)
            return fail(r, K2_AVRO_RANGE);
        value /= 10;
    }
    for (; scale < 8 && value >= -max && value <= max; scale++)
        value *= 10;
    if (value < -max || value > max)
        return fail(r, K2_AVRO_RANGE);
    *ret = (int64_t)value;
    return true;
}

static inline bool get_decimal(struct reader *r, const struct k2_avro_type *type, int64_t *ret) {
    struct k2_str bytes;
    if (type->kind == K2_AVRO_FIXED) {
        bytes = k2_str_make(r->at, (size_t)type->size);
        K2_TRY(skip_bytes(r, type->size));
    } else {
        K2_TRY(get_bytes(r, &bytes));
    }
    if (K2_LIKELY(type->scale == 8 && bytes.len - 1 < 8 &&
                  r->end - (const uint8_t *)bytes.ptr >= 8)) {
        uint64_t word;
        memcpy(&word, bytes.ptr, 8);
        int64_t value = (int64_t)__builtin_bswap64(word) >> (64 - 8 * (int)bytes.len);
        if (value < -K2_DECIMAL_MAX || value > K2_DECIMAL_MAX)
            return fail(r, K2_AVRO_RANGE);
        *ret = value;
        return true;
    }
    return wide_decimal(r, bytes, type->scale, ret);
}

/* Symbols, exchanges and currencies come in runs: the row before is asked before the table. */
static inline bool get_symbol(struct reader *r, struct k2_batch *batch, int column) {
    struct k2_str text;
    K2_TRY(get_text(r, &text));
    uint32_t *codes = batch->col[column].u32, row = batch->rows;
    if (row && k2_str_eq(text, k2_intern_str(batch->strings, codes[row - 1])))
        codes[row] = codes[row - 1];
    else
        codes[row] = k2_intern_add(batch->strings, text);
    return true;
}

static bool get_enum(struct reader *r, const struct k2_avro_step *step, const struct k2_column *c,
                     uint8_t *ret) {
    if (step->type->kind == K2_AVRO_BOOLEAN) {
        if (r->at == r->end || *r->at > 1)
            return fail(r, K2_AVRO_MALFORMED);
        *ret = *r->at++;
        return true;
    }
    if (step->type->kind == K2_AVRO_BYTES) {
        struct k2_str text;
        K2_TRY(get_text(r, &text));
        int index = k2_name_index(c->names, text);
        *ret = (uint8_t)index;
        return index >= 0 || fail(r, K2_AVRO_MALFORMED);
    }
    int64_t symbol;
    K2_TRY(get_long(r, &symbol));
    if (symbol < 0 || symbol >= step->type->count || step->enum_map[symbol] == 255)
        return fail(r, K2_AVRO_MALFORMED);
    *ret = step->enum_map[symbol];
    return true;
}

/* Checks array or map blocks of strings and keeps their bytes as they are. */
static bool get_blocks(struct reader *r, bool is_map, struct k2_batch *batch, struct k2_span *ret) {
    const uint8_t *start = r->at;
    int64_t count, total = 0;
    struct k2_str text;
    for (;;) {
        K2_TRY(get_block(r, &count));
        if (count == 0)
            break;
        total += count;
        for (count *= is_map ? 2 : 1; count; count--)
            K2_TRY(get_text(r, &text));
    }
    size_t len = total ? (size_t)(r->at - start) : 0;
    *ret = k2_batch_put(batch, k2_str_make(start, len));
    return true;
}

static bool get_flags(struct reader *r, const struct k2_column *c, uint32_t *ret) {
    uint32_t flags = 0;
    int64_t count;
    struct k2_str text;
    for (;;) {
        K2_TRY(get_block(r, &count));
        if (count == 0)
            break;
        for (; count; count--) {
            K2_TRY(get_text(r, &text));
            int index = k2_name_index(c->names, text);
            flags |= index < 0 ? 0 : 1u << index; /* flags of a later version mean nothing here */
        }
    }
    *ret = flags;
    return true;
}

static inline bool get_value(struct reader *r, const struct k2_avro_step *step,
                             struct k2_batch *batch) {
    int column = step->column;
    const struct k2_column *c = &batch->schema->columns[column];
    struct k2_vector *v = &batch->col[column];
    uint32_t row = batch->rows;
    struct k2_str text;
    int64_t number;
    switch (c->type) {
    case K2_INT32:
        K2_TRY(get_long(r, &number));
        v->i32[row] = (int32_t)number;
        return number == (int32_t)number || fail(r, K2_AVRO_MALFORMED);
    case K2_TIMESTAMP:
        K2_TRY(get_long(r, &number));
        return !__builtin_mul_overflow(number, step->type->is_millis ? 1000 : 1, &v->i64[row]) ||
               fail(r, K2_AVRO_MALFORMED);
    case K2_INT64: return get_long(r, &v->i64[row]);
    case K2_DECIMAL: return get_decimal(r, step->type, &v->i64[row]);
    case K2_SYMBOL: return get_symbol(r, batch, column);
    case K2_ENUM: return get_enum(r, step, c, &v->u8[row]);
    case K2_STRING:
        K2_TRY(get_text(r, &text));
        v->span[row] = k2_batch_put(batch, text);
        return true;
    case K2_BINARY:
        K2_TRY(get_bytes(r, &text));
        v->span[row] = k2_batch_put(batch, text);
        return true;
    case K2_LIST: return get_blocks(r, false, batch, &v->span[row]);
    case K2_MAP: return get_blocks(r, true, batch, &v->span[row]);
    case K2_FLAGS: return get_flags(r, c, &v->u32[row]);
    }
    return fail(r, K2_AVRO_MALFORMED);
}

static void set_missing(struct k2_batch *batch, int column) {
    struct k2_vector *v = &batch->col[column];
    size_t width = k2_type_width(batch->schema->columns[column].type);
    memset((char *)v->data + batch->rows * width, 0, width);
    if (v->valid)
        v->valid[batch->rows] = 0;
}

static __attribute__((noinline)) bool run_step(struct reader *r, const struct k2_avro_step *step,
                                               struct k2_batch *batch) {
    bool is_null = false;
    if (step->null_branch >= 0) {
        int64_t branch;
        K2_TRY(get_long(r, &branch));
        if (branch != 0 && branch != 1)
            return fail(r, K2_AVRO_MALFORMED);
        is_null = branch == step->null_branch;
    }
    if (step->column < 0)
        return skip_value(r, step->type);
    const struct k2_column *c = &batch->schema->columns[step->column];
    if (is_null) {
        if (c->is_required && c->avro_rule == K2_AVRO_GIVEN)
            return fail(r, K2_AVRO_MALFORMED);
        set_missing(batch, step->column);
        return true;
    }
    if (!c->is_required)
        batch->col[step->column].valid[batch->rows] = 1;
    return get_value(r, step, batch);
}

/* ---- the fast way ---- */

/* The functions of this part return where they stopped reading, or NULL with nothing kept when the
 * bytes are not of the usual form. They may read any byte of the body, never one outside it. */
struct body {
    const uint8_t *start, *end;
};

/* The eight bytes at p; zeros for those beyond the end. */
static inline bool load_word(struct body body, const uint8_t *p, uint64_t *ret) {
    if (K2_LIKELY(body.end - p >= 8)) {
        memcpy(ret, p, 8);
        return true;
    }
    if (body.end - body.start < 8 || p >= body.end)
        return false;
    memcpy(ret, body.end - 8, 8);
    *ret >>= (8 - (body.end - p)) * 8;
    return true;
}

static inline const uint8_t *take_long(struct body body, const uint8_t *p, int64_t *ret) {
    uint64_t word, value;
    if (!load_word(body, p, &word))
        return NULL;
#ifdef __BMI2__
    uint64_t stops = ~word & 0x8080808080808080u;
    if (K2_UNLIKELY(!stops))
        return NULL;
    p += (__builtin_ctzll(stops) + 1) / 8;
    value = _pext_u64(word & (stops ^ (stops - 1)), 0x7f7f7f7f7f7f7f7fu);
#else
    if (word & 0x80)
        return NULL;
    p++;
    value = word & 0x7f;
#endif
    *ret = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
    return p <= body.end ? p : NULL;
}

static inline const uint8_t *take_decimal(struct body body, const uint8_t *p, int64_t *ret) {
    unsigned len = *p >> 1;
    uint64_t word;
    if ((*p & 1) || len - 1 >= 8 || body.end - ++p < 8)
        return NULL;
    memcpy(&word, p, 8);
    int64_t value = (int64_t)__builtin_bswap64(word) >> (64 - 8 * len);
    if (K2_UNLIKELY(value < -K2_DECIMAL_MAX || value > K2_DECIMAL_MAX))
        return NULL;
    *ret = value;
    return p + len;
}

#define ONES(n) ((n) >= 8 ? UINT64_MAX : (UINT64_C(1) << ((n)&7) * 8) - 1)
#define PAIR(n)                                                                                    \
    { ONES(n), (n) > 8 ? ONES((n)-8) : 0 }
static const uint64_t masks[K2_WORDS_MAX + 1][2] = {
    PAIR(0), PAIR(1),  PAIR(2),  PAIR(3),  PAIR(4),  PAIR(5),  PAIR(6),  PAIR(7), PAIR(8),
    PAIR(9), PAIR(10), PAIR(11), PAIR(12), PAIR(13), PAIR(14), PAIR(15), PAIR(16)};

/* Up to 16 bytes of ASCII without NUL. Bytes beyond the text count as 1 in the check. */
static inline const uint8_t *take_words(struct body body, const uint8_t *p, struct k2_words *ret) {
    const uint64_t ones = 0x0101010101010101u;
    unsigned len = *p >> 1;
    if ((*p & 1) || len > K2_WORDS_MAX || body.end - ++p < K2_WORDS_MAX)
        return NULL;
    uint64_t low, high;
    memcpy(&low, p, 8);
    memcpy(&high, p + 8, 8);
    low &= masks[len][0];
    high &= masks[len][1];
    uint64_t a = low | (ones & ~masks[len][0]), b = high | (ones & ~masks[len][1]);
    if (K2_UNLIKELY((a | (a - ones) | b | (b - ones)) & (ones << 7)))
        return NULL;
    *ret = (struct k2_words){low, high, len};
    return p + len;
}

static inline const uint8_t *take_symbol(struct body body, const uint8_t *p,
                                         struct k2_intern *strings, uint32_t *ret) {
    struct k2_words words;
    const uint8_t *next = take_words(body, p, &words);
    if (K2_UNLIKELY(!next))
        return NULL;
    *ret = k2_intern_find_words(strings, words);
    if (K2_UNLIKELY(*ret == UINT32_MAX))
        *ret = k2_intern_add(strings, k2_str_make(p + 1, words.len));
    return next;
}

/* The batch's text has room for the whole body and K2_WORDS_MAX bytes. */
static inline const uint8_t *take_text(struct body body, const uint8_t *p, struct k2_batch *batch,
                                       struct k2_span *ret) {
    struct k2_words words;
    const uint8_t *next = take_words(body, p, &words);
    if (K2_UNLIKELY(!next))
        return NULL;
    char *to = batch->text.ptr + batch->text.len;
    memcpy(to, &words.low, 8);
    memcpy(to + 8, &words.high, 8);
    *ret = (struct k2_span){(uint32_t)batch->text.len, words.len};
    batch->text.len += words.len;
    return next;
}

static inline const uint8_t *take_value(struct body body, const uint8_t *p,
                                        const struct k2_avro_step *step, struct k2_batch *batch) {
    struct k2_vector *v = &batch->col[step->column];
    uint32_t row = batch->rows;
    int64_t number = 0;
    switch ((enum k2_avro_fast)step->fast) {
    case K2_FAST_LONG: return take_long(body, p, &v->i64[row]);
    case K2_FAST_INT32:
        p = take_long(body, p, &number);
        v->i32[row] = (int32_t)number;
        return p && number == (int32_t)number ? p : NULL;
    case K2_FAST_DECIMAL: return take_decimal(body, p, &v->i64[row]);
    case K2_FAST_SYMBOL: return take_symbol(body, p, batch->strings, &v->u32[row]);
    case K2_FAST_ENUM:
        if ((*p & 1) || *p >> 1 >= step->type->count || step->enum_map[*p >> 1] == 255)
            return NULL;
        v->u8[row] = step->enum_map[*p >> 1];
        return p + 1;
    case K2_FAST_TEXT: return take_text(body, p, batch, &v->span[row]);
    case K2_FAST_NO_ITEMS:
        v->span[row] = (struct k2_span){(uint32_t)batch->text.len, 0};
        return *p ? NULL : p + 1;
    case K2_FAST_NO_FLAGS: v->u32[row] = 0; return *p ? NULL : p + 1;
    case K2_FAST_SKIP_BYTES:
    case K2_FAST_NONE: break;
    }
    return NULL;
}

static inline const uint8_t *take_field(struct body body, const uint8_t *p,
                                        const struct k2_avro_step *step, struct k2_batch *batch) {
    if (K2_UNLIKELY(p >= body.end))
        return NULL;
    if (step->fast <= K2_FAST_SKIP_BYTES) {
        bool fits = (*p & 0x81) == 0 && *p >> 1 < body.end - p;
        return step->fast && fits ? p + 1 + (*p >> 1) : NULL;
    }
    if (step->may_be_null) {
        struct k2_vector *v = &batch->col[step->column];
        bool is_null = *p == step->null_byte;
        if (K2_UNLIKELY(!is_null && *p != 2 - step->null_byte))
            return NULL;
        if (step->has_valid)
            v->valid[batch->rows] = !is_null;
        if (is_null) {
            v->i64[batch->rows] = 0;
            return p + 1;
        }
        if (K2_UNLIKELY(++p >= body.end))
            return NULL;
    } else if (step->has_valid) {
        batch->col[step->column].valid[batch->rows] = 1;
    }
    return take_value(body, p, step, batch);
}

enum k2_avro_result k2_avro_decode(const struct k2_avro_plan *plan, struct k2_str bytes,
                                   struct k2_batch *batch) {
    K2_DCHECK(batch->rows < batch->rows_max && batch->schema == plan->schema);
    struct body body = {(const uint8_t *)bytes.ptr, (const uint8_t *)bytes.ptr + bytes.len};
    const uint8_t *at = body.start;
    struct reader r = {body.start, body.end, K2_AVRO_OK};
    size_t text_len = batch->text.len;
    (void)k2_buf_reserve(&batch->text, bytes.len + K2_WORDS_MAX);
    K2_ASSERT(batch->text.len + bytes.len <= UINT32_MAX);
    for (int i = 0; i < plan->step_count; i++) {
        const uint8_t *next = take_field(body, at, &plan->steps[i], batch);
        if (K2_UNLIKELY(!next)) {
            r.at = at;
            if (!run_step(&r, &plan->steps[i], batch))
                break;
            next = r.at;
        }
        at = next;
    }
    if (r.result == K2_AVRO_OK && at != body.end)
        r.result = K2_AVRO_MALFORMED;
    if (K2_UNLIKELY(r.result != K2_AVRO_OK)) {
        batch->text.len = text_len;
        return r.result;
    }
    for (int i = 0; i < plan->missing_count; i++)
        set_missing(batch, plan->missing[i]);
    batch->rows++;
    return K2_AVRO_OK;
}
