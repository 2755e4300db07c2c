/* leaf.c -- flat columns: gathered through the order, nulls left out, symbols as entries. */
#include "lake/parquet/leaf.h"

#include "base/alloc.h"
#include "lake/parquet/leaf_impl.h"

enum { PREFETCH = 16 };
#define TEXT_MAX (1ull << 31)

void k2_pq_builder_done(struct k2_pq_builder *builder) {
    struct k2_buf *bufs[] = {&builder->picked, &builder->values,    &builder->def,
                             &builder->rep,    &builder->index,     &builder->value_index,
                             &builder->text,   &builder->spans,     &builder->ends,
                             &builder->cells,  &builder->rows,      &builder->key_codes,
                             &builder->value_codes};
    for (size_t i = 0; i < K2_COUNT(bufs); i++)
        k2_buf_done(bufs[i]);
    k2_pq_dictionary_done(&builder->blobs);
    k2_pq_dictionary_done(&builder->keys);
    k2_pq_dictionary_done(&builder->strings);
    k2_free(builder->code_map);
    *builder = (struct k2_pq_builder){0};
}

bool k2_pq_not_utf8(const struct k2_column *column, struct k2_str s, struct k2_err *err) {
    size_t n = K2_MIN(s.len, (size_t)16);
    char hex[33] = "";
    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = "0123456789abcdef"[(uint8_t)s.ptr[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[(uint8_t)s.ptr[i] & 15];
    }
    return k2_err_set(err, K2_INVALID, "column %s: a string of %zu bytes is not UTF-8 (0x%s%s)",
                      column->name, s.len, hex, s.len > n ? "..." : "");
}

/* Definition levels of an optional flat column; *rows becomes the rows that are there. */
static void pick_valid(struct k2_pq_builder *b, const uint8_t *valid, struct k2_pq_rows *rows,
                       struct k2_pq_leaf *leaf) {
    uint8_t *def = k2_pq_scratch(&b->def, rows->count);
    uint32_t *picked = k2_pq_scratch(&b->picked, ((size_t)rows->count + 1) * sizeof *picked);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = k2_pq_row(rows, i);
        def[i] = valid[row] != 0;
        picked[kept] = row;
        kept += def[i];
    }
    leaf->def = def;
    leaf->values = kept;
    if (kept < rows->count)
        *rows = (struct k2_pq_rows){rows->batch, picked, 0, kept};
}

static const int64_t *gather_i64(struct k2_pq_builder *b, const int64_t *from,
                                 const struct k2_pq_rows *rows) {
    if (!rows->order)
        return from + rows->first;
    int64_t *to = k2_pq_scratch(&b->values, (size_t)rows->count * sizeof *to);
    const uint32_t *order = rows->order + rows->first;
    for (uint32_t i = 0; i < rows->count; i++)
        to[i] = from[order[i]];
    return to;
}

static const int32_t *gather_i32(struct k2_pq_builder *b, const int32_t *from,
                                 const struct k2_pq_rows *rows) {
    if (!rows->order)
        return from + rows->first;
    int32_t *to = k2_pq_scratch(&b->values, (size_t)rows->count * sizeof *to);
    const uint32_t *order = rows->order + rows->first;
    for (uint32_t i = 0; i < rows->count; i++)
        to[i] = from[order[i]];
    return to;
}

static void use_code_map(struct k2_pq_builder *b, uint32_t codes) {
    if (b->code_map_count >= codes)
        return;
    k2_free(b->code_map);
    b->code_map_count = codes + codes / 2 + 256;
    b->code_map = k2_new_array(uint32_t, b->code_map_count);
}

static inline uint32_t entry_of(struct k2_pq_builder *b, uint32_t code) {
    uint32_t *place = &b->code_map[code];
    if (K2_UNLIKELY(*place == 0)) {
        *place = k2_pq_dictionary_push(&b->strings, (struct k2_str){0}) + 1;
        b->strings.numbers[*place - 1] = code;
    }
    return *place - 1;
}

/* Symbols and enums: each code that occurs becomes an entry, in order of first sight. The code map
 * is left as it was found: empty. */
static bool index_codes(struct k2_pq_builder *b, const struct k2_pq_rows *rows, int column,
                        struct k2_pq_leaf *leaf, struct k2_err *err) {
    const struct k2_column *c = &rows->batch->schema->columns[column];
    const struct k2_vector *v = &rows->batch->col[column];
    bool is_symbol = c->type == K2_SYMBOL;
    uint32_t codes = is_symbol ? rows->batch->strings->count : 256;
    uint32_t *index = k2_pq_scratch(&b->index, (size_t)rows->count * sizeof *index);
    use_code_map(b, codes);
    b->strings.count = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = k2_pq_row(rows, i);
        uint32_t code = is_symbol ? v->u32[row] : v->u8[row];
        K2_ASSERT(code < codes);
        index[i] = entry_of(b, code);
    }
    bool ok = true;
    int names = 0;
    while (!is_symbol && c->names[names])
        names++;
    for (uint32_t i = 0; i < b->strings.count; i++) {
        uint32_t code = (uint32_t)b->strings.numbers[i];
        b->code_map[code] = 0;
        K2_ASSERT(is_symbol || code < (uint32_t)names);
        struct k2_str s =
            is_symbol ? k2_intern_str(rows->batch->strings, code) : k2_str_of(c->names[code]);
        b->strings.strings[i] = s;
        if (ok && !k2_str_is_utf8(s))
            ok = k2_pq_not_utf8(c, s, err);
    }
    leaf->kind = K2_PQ_VALUES_INDEX;
    leaf->index = index;
    leaf->dictionary = &b->strings;
    return ok;
}

static bool is_ascii(const char *bytes, size_t len) {
    uint64_t high = 0, word;
    size_t i = 0;
    for (; i + 8 <= len; i += 8) {
        memcpy(&word, bytes + i, 8);
        high |= word;
    }
    for (; i < len; i++)
        high |= (uint8_t)bytes[i];
    return (high & 0x8080808080808080ull) == 0;
}

/* The spans of the rows, and their bytes in one piece. */
static bool gather_text(struct k2_pq_builder *b, const struct k2_pq_rows *rows, int column,
                        struct k2_pq_leaf *leaf, struct k2_err *err) {
    const struct k2_column *c = &rows->batch->schema->columns[column];
    const struct k2_span *from = rows->batch->col[column].span;
    const struct k2_buf *source = &rows->batch->text;
    uint32_t count = rows->count;
    struct k2_span *spans = k2_pq_scratch(&b->spans, (size_t)count * sizeof *spans);
    uint32_t *ends = k2_pq_scratch(&b->ends, ((size_t)count + 1) * sizeof *ends);
    uint64_t total = 0;
    *ends++ = 0;
    for (uint32_t i = 0; i < count; i++) {
        spans[i] = from[k2_pq_row(rows, i)];
        total += spans[i].len;
        ends[i] = (uint32_t)total;
    }
    if (total > TEXT_MAX)
        return k2_err_set(err, K2_LIMIT,
                          "column %s holds %llu bytes in one row group of %u rows: write fewer "
                          "rows at a time",
                          c->name, (unsigned long long)total, count);
    char *to = k2_pq_scratch(&b->text, (size_t)total);
    leaf->text = (struct k2_pq_text){to, ends, count};
    for (uint32_t i = 0; i < count; i++) {
        if (i + PREFETCH < count)
            __builtin_prefetch(source->ptr + spans[i + PREFETCH].offset);
        uint32_t len = spans[i].len;
        K2_DCHECK((uint64_t)spans[i].offset + len <= source->len);
        if (len <= 16 && (uint64_t)spans[i].offset + 16 <= source->len)
            memcpy(to, source->ptr + spans[i].offset, 16);
        else if (len)
            memcpy(to, source->ptr + spans[i].offset, len);
        to += len;
    }
    leaf->kind = K2_PQ_VALUES_TEXT;
    if (c->type == K2_BINARY || is_ascii(leaf->text.bytes, (size_t)total))
        return true;
    for (uint32_t i = 0; i < count; i++)
        if (!k2_str_is_utf8(k2_pq_text_at(&leaf->text, i)))
            return k2_pq_not_utf8(c, k2_pq_text_at(&leaf->text, i), err);
    return true;
}

bool k2_pq_leaf_build(struct k2_pq_builder *builder, const struct k2_pq_rows *rows, int column,
                      struct k2_pq_leaf leaves[2], struct k2_err *err) {
    const struct k2_column *c = &rows->batch->schema->columns[column];
    if (k2_pq_is_nested(c->type))
        return k2_pq_leaf_nested(builder, rows, column, leaves, err);
    const struct k2_vector *v = &rows->batch->col[column];
    struct k2_pq_rows there = *rows;
    struct k2_pq_leaf *leaf = leaves;
    *leaf = (struct k2_pq_leaf){
        .rows = rows->count, .levels = rows->count, .values = rows->count};
    if (v->valid)
        pick_valid(builder, v->valid, &there, leaf);
    switch (c->type) {
    case K2_INT32:
        leaf->kind = K2_PQ_VALUES_I32;
        leaf->i32 = gather_i32(builder, v->i32, &there);
        return true;
    case K2_INT64:
    case K2_TIMESTAMP:
    case K2_DECIMAL:
        leaf->kind = K2_PQ_VALUES_I64;
        leaf->i64 = gather_i64(builder, v->i64, &there);
        return true;
    case K2_SYMBOL:
    case K2_ENUM: return index_codes(builder, &there, column, leaf, err);
    default: return gather_text(builder, &there, column, leaf, err);
    }
}
