/* leaf.c -- flat columns: gathered through the order, nulls left out, symbols as entries. */
#include "lake/parquet/leaf.h"

#include "base/alloc.h"
#include "lake/parquet/leaf_impl.h"

enum { PREFETCH = 16 };
#define TEXT_MAX (1ull << 31)

void k2_pq_builder_done(struct k2_pq_builder *builder) {
    struct k2_buf *bufs[] = {&builder->values,     &builder->def,         &builder->rep,
                             &builder->index,      &builder->value_index, &builder->text,
                             &builder->spans,      &builder->ends,        &builder->cells,
                             &builder->rows,       &builder->cell_map,    &builder->key_codes,
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

/* Values of one width in the order of the row group. */
#define GATHER(name, type)                                                                         \
    static void name(const type *from, const struct k2_pq_rows *rows, type *to) {                  \
        const uint32_t *row = rows->row, count = rows->count;                                      \
        if (!row)                                                                                  \
            memcpy(to, from + rows->first, count * sizeof *to);                                    \
        else                                                                                       \
            for (uint32_t k = 0; k < count; k++)                                                   \
                to[k] = from[row[k]];                                                              \
    }
GATHER(gather_u64, uint64_t)
GATHER(gather_u32, uint32_t)
GATHER(gather_u8, uint8_t)

/* Leaves out the values of rows that are null. */
#define SQUEEZE(name, type)                                                                        \
    static void name(type *values, const uint8_t *def, uint32_t count) {                           \
        uint32_t kept = 0;                                                                         \
        for (uint32_t i = 0; i < count; i++) {                                                     \
            values[kept] = values[i];                                                              \
            kept += def[i];                                                                        \
        }                                                                                          \
    }
SQUEEZE(squeeze_u64, uint64_t)
SQUEEZE(squeeze_u32, uint32_t)

/* Definition levels of an optional flat column, and how many values there are. */
static void gather_valid(struct k2_pq_builder *b, const uint8_t *valid,
                         const struct k2_pq_rows *rows, struct k2_pq_leaf *leaf) {
    uint8_t *def = k2_pq_scratch(&b->def, rows->count);
    gather_u8(valid, rows, def);
    uint32_t there = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        def[i] = def[i] != 0;
        there += def[i];
    }
    leaf->def = def;
    leaf->values = there;
}

/* The values of a column of 8 (or 4) bytes each; where no row moves they are used where they are.
 */
static const void *values_u64(struct k2_pq_builder *b, const void *from,
                              const struct k2_pq_rows *rows, const struct k2_pq_leaf *leaf) {
    bool has_nulls = leaf->values < rows->count;
    if (!rows->row && !has_nulls)
        return (const uint64_t *)from + rows->first;
    uint64_t *to = k2_pq_scratch(&b->values, (size_t)rows->count * sizeof *to);
    gather_u64(from, rows, to);
    if (has_nulls)
        squeeze_u64(to, leaf->def, rows->count);
    return to;
}

static const void *values_u32(struct k2_pq_builder *b, const void *from,
                              const struct k2_pq_rows *rows, const struct k2_pq_leaf *leaf) {
    bool has_nulls = leaf->values < rows->count;
    if (!rows->row && !has_nulls)
        return (const uint32_t *)from + rows->first;
    uint32_t *to = k2_pq_scratch(&b->values, (size_t)rows->count * sizeof *to);
    gather_u32(from, rows, to);
    if (has_nulls)
        squeeze_u32(to, leaf->def, rows->count);
    return to;
}

/* An enum's bytes as codes of 4 bytes, like a symbol's. */
static const uint32_t *widen(struct k2_pq_builder *b, const uint8_t *from,
                             const struct k2_pq_rows *rows, const struct k2_pq_leaf *leaf) {
    uint8_t *bytes = k2_pq_scratch(&b->spans, rows->count);
    uint32_t *to = k2_pq_scratch(&b->values, (size_t)rows->count * sizeof *to);
    gather_u8(from, rows, bytes);
    for (uint32_t i = 0; i < rows->count; i++)
        to[i] = bytes[i];
    if (leaf->values < rows->count)
        squeeze_u32(to, leaf->def, rows->count);
    return to;
}

static void use_code_map(struct k2_pq_builder *b, uint32_t codes) {
    if (b->code_map_count >= codes)
        return;
    k2_free(b->code_map);
    b->code_map_count = codes + codes / 2 + 256;
    b->code_map = k2_new_array(uint32_t, b->code_map_count);
}

/* The entry of a code, in order of first sight; the entries' codes stand in numbers. */
static inline uint32_t entry_of(struct k2_pq_builder *b, uint32_t code) {
    K2_ASSERT(code < b->code_map_count);
    uint32_t entry = b->code_map[code];
    if (K2_UNLIKELY(entry == 0)) {
        entry = b->code_map[code] = k2_pq_dictionary_push(&b->strings, (struct k2_str){0}) + 1;
        b->strings.numbers[entry - 1] = code;
    }
    return entry - 1;
}

static void index_codes(struct k2_pq_builder *b, const uint32_t *codes, uint32_t count,
                        uint32_t *index) {
    b->strings.count = 0;
    for (uint32_t i = 0; i < count; i++)
        index[i] = entry_of(b, codes[i]);
}

static void index_runs(struct k2_pq_builder *b, const struct k2_pq_packed *packed, int column,
                       uint32_t *index) {
    const struct k2_pq_run *runs = (const struct k2_pq_run *)packed->runs.ptr;
    b->strings.count = 0;
    for (uint32_t r = 0, row = 0; r < packed->run_count; r++)
        for (uint32_t entry = entry_of(b, k2_pq_run_value(packed, column, &runs[r]));
             row < runs[r].end; row++)
            index[row] = entry;
}

/* Symbols and enums: each code that occurs becomes an entry. The code map is left as it was found:
 * empty. */
static bool build_codes(struct k2_pq_builder *b, const struct k2_pq_rows *rows, int column,
                        struct k2_pq_leaf *leaf, struct k2_err *err) {
    const struct k2_column *c = &rows->batch->schema->columns[column];
    const struct k2_vector *v = &rows->batch->col[column];
    bool is_symbol = c->type == K2_SYMBOL, ok = true;
    uint32_t known = is_symbol ? rows->batch->strings->count : 0;
    while (!is_symbol && c->names[known])
        known++;
    use_code_map(b, known);
    uint32_t *index = k2_pq_scratch(&b->index, (size_t)rows->count * sizeof *index);
    if (rows->packed && rows->packed->forms[column] == K2_PQ_RUNS)
        index_runs(b, rows->packed, column, index);
    else if (is_symbol)
        index_codes(b, values_u32(b, v->u32, rows, leaf), leaf->values, index);
    else
        index_codes(b, widen(b, v->u8, rows, leaf), leaf->values, index);
    for (uint32_t i = 0; i < b->strings.count; i++) {
        uint32_t code = (uint32_t)b->strings.numbers[i];
        b->code_map[code] = 0;
        K2_ASSERT(code < known);
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

/* The strings, right behind each other; what is written beyond a string the next one covers. */
static void copy_text(const char *source, const struct k2_span *spans, uint32_t count, char *to) {
    for (uint32_t k = 0; k < count; k++) {
        uint32_t len = spans[k].len;
        const char *from = source + spans[k].offset;
        if (k + PREFETCH < count)
            __builtin_prefetch(source + spans[k + PREFETCH].offset);
        if (len > 16) {
            memcpy(to, from, len);
        } else if (len >= 8) {
            memcpy(to, from, 8);
            memcpy(to + len - 8, from + len - 8, 8);
        } else {
            for (uint32_t i = 0; i < len; i++)
                to[i] = from[i];
        }
        to += len;
    }
}

/* The strings of the rows in one piece. */
static bool copy_strings(struct k2_pq_builder *b, const struct k2_pq_rows *rows, int column,
                         struct k2_pq_leaf *leaf, struct k2_err *err) {
    const struct k2_column *c = &rows->batch->schema->columns[column];
    uint32_t count = leaf->values;
    struct k2_span *spans = k2_pq_scratch(&b->spans, (size_t)rows->count * sizeof *spans);
    gather_u64((const uint64_t *)rows->batch->col[column].data, rows, (uint64_t *)spans);
    if (count < rows->count)
        squeeze_u64((uint64_t *)spans, leaf->def, rows->count);
    uint32_t *ends = k2_pq_scratch(&b->ends, ((size_t)count + 1) * sizeof *ends);
    uint64_t total = 0;
    *ends++ = 0;
    for (uint32_t i = 0; i < count; i++) {
        K2_DCHECK((uint64_t)spans[i].offset + spans[i].len <= rows->batch->text.len);
        total += spans[i].len;
        ends[i] = (uint32_t)total;
    }
    if (total > TEXT_MAX)
        return k2_err_set(err, K2_LIMIT,
                          "column %s holds %llu bytes in one row group of %u rows: write fewer "
                          "rows at a time",
                          c->name, (unsigned long long)total, rows->count);
    char *bytes = k2_pq_scratch(&b->text, (size_t)total);
    copy_text(rows->batch->text.ptr, spans, count, bytes);
    leaf->text = (struct k2_pq_text){bytes, ends, count};
    return true;
}

/* Strings that lie in one piece already, of which those of nulls are empty. */
static void use_strings(const struct k2_pq_rows *rows, int column, struct k2_pq_leaf *leaf) {
    uint32_t *ends = rows->packed->ends[column] + 1;
    if (leaf->values < rows->count)
        squeeze_u32(ends, leaf->def, rows->count);
    leaf->text = (struct k2_pq_text){rows->batch->col[column].data, ends, leaf->values};
}

static bool build_text(struct k2_pq_builder *b, const struct k2_pq_rows *rows, int column,
                       struct k2_pq_leaf *leaf, struct k2_err *err) {
    const struct k2_column *c = &rows->batch->schema->columns[column];
    leaf->kind = K2_PQ_VALUES_TEXT;
    if (rows->packed && rows->packed->forms[column] == K2_PQ_SHORT)
        use_strings(rows, column, leaf);
    else
        K2_TRY(copy_strings(b, rows, column, leaf, err));
    const struct k2_pq_text *text = &leaf->text;
    if (c->type == K2_BINARY || is_ascii(text->bytes, text->ends[(ptrdiff_t)text->count - 1]))
        return true;
    for (uint32_t i = 0; i < text->count; i++)
        if (!k2_str_is_utf8(k2_pq_text_at(text, i)))
            return k2_pq_not_utf8(c, k2_pq_text_at(text, i), err);
    return true;
}

bool k2_pq_leaf_build(struct k2_pq_builder *builder, const struct k2_pq_rows *rows, int column,
                      struct k2_pq_leaf leaves[2], struct k2_err *err) {
    const struct k2_column *c = &rows->batch->schema->columns[column];
    if (k2_pq_is_nested(c->type))
        return k2_pq_leaf_nested(builder, rows, column, leaves, err);
    const struct k2_vector *v = &rows->batch->col[column];
    struct k2_pq_leaf *leaf = leaves;
    *leaf = (struct k2_pq_leaf){.rows = rows->count, .levels = rows->count, .values = rows->count};
    if (v->valid)
        gather_valid(builder, v->valid, rows, leaf);
    if (rows->packed)
        leaf->pages = rows->packed->extents[column];
    switch (c->type) {
    case K2_INT32:
        leaf->kind = K2_PQ_VALUES_I32;
        leaf->i32 = values_u32(builder, v->data, rows, leaf);
        return true;
    case K2_INT64:
    case K2_TIMESTAMP:
    case K2_DECIMAL:
        leaf->kind = K2_PQ_VALUES_I64;
        leaf->i64 = values_u64(builder, v->data, rows, leaf);
        return true;
    case K2_SYMBOL:
    case K2_ENUM: return build_codes(builder, rows, column, leaf, err);
    default: return build_text(builder, rows, column, leaf, err);
    }
}
