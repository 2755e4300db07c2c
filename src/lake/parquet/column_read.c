/* column_read.c -- flat columns straight into the arrays of a batch. */
#include "lake/parquet/reader_impl.h"

size_t k2_pq_take_index(struct k2_pq_stream *stream, size_t max, uint32_t *out, bool *ret_is_run) {
    size_t count = k2_rle_take(&stream->index, max, out, ret_is_run);
    uint32_t greatest = 0;
    if (count == 0)
        return 0;
    for (size_t i = 0; i < (*ret_is_run ? 1 : count); i++)
        greatest = K2_MAX(greatest, out[i]);
    return greatest < stream->entries ? count : 0;
}

/* How many indices may be asked for at once: a run is not written out. */
static size_t at_once(const struct k2_pq_stream *s, size_t count) {
    bool is_in_run = s->index.left && !s->index.is_literal;
    return is_in_run ? count : K2_MIN(count, (size_t)K2_PQ_BLOCK);
}

/* The entries of a table that the next count indices mean; false when they are wrong. */
#define TAKE_ENTRIES(name, type, from)                                                             \
    static bool name(struct k2_pq_stream *s, const from *table, size_t count, type *out) {         \
        uint32_t index[K2_PQ_BLOCK];                                                               \
        bool is_run = false;                                                                       \
        for (size_t n; count; out += n, count -= n) {                                              \
            n = k2_pq_take_index(s, at_once(s, count), index, &is_run);                            \
            if (n == 0)                                                                            \
                return false;                                                                      \
            type first = (type)table[index[0]];                                                    \
            if (is_run)                                                                            \
                for (size_t i = 0; i < n; i++)                                                     \
                    out[i] = first;                                                                \
            else                                                                                   \
                for (size_t i = 0; i < n; i++)                                                     \
                    out[i] = (type)table[index[i]];                                                \
        }                                                                                          \
        return true;                                                                               \
    }
TAKE_ENTRIES(take_u8, uint8_t, uint32_t)
TAKE_ENTRIES(take_u32, uint32_t, uint32_t)
TAKE_ENTRIES(take_u64, uint64_t, uint64_t)

static bool take_numbers(struct k2_pq_stream *s, size_t count, void *out) {
    bool is_wide = s->shape->physical == K2_PQ_INT64;
    size_t bytes = count * (is_wide ? 8 : 4);
    switch (s->encoding) {
    case K2_PQ_RLE_DICTIONARY:
        return is_wide ? take_u64(s, (const uint64_t *)s->numbers.ptr, count, out)
                       : take_u32(s, (const uint32_t *)s->numbers.ptr, count, out);
    case K2_PQ_DELTA:
        if (count > s->delta.left)
            return false;
        if (is_wide)
            k2_delta_take_i64(&s->delta, count, out);
        else
            k2_delta_take_i32(&s->delta, count, out);
        return true;
    default:
        if ((size_t)(s->text.end - s->text.at) < bytes)
            return false;
        memcpy(out, s->text.at, bytes);
        s->text.at += bytes;
        return true;
    }
}

bool k2_pq_take_text(struct k2_pq_stream *stream, size_t count, struct k2_buf *out,
                     struct k2_span *spans, struct k2_err *err) {
    /* Strings that share their beginnings can be much longer than their page; what is beyond this
     * was not made by a writer that means well. */
    const size_t growth_max = 256u << 20, ratio_max = 256;
    size_t page = (size_t)(stream->text.end - stream->text.at);
    size_t max = out->len + growth_max + ratio_max * page;
    return k2_pq_text_take(&stream->text, count, K2_MIN(max, (size_t)UINT32_MAX - K2_PQ_SLACK), out,
                           spans) ||
           k2_pq_corrupt(stream, "the strings of a page cannot be decoded", err);
}

/* Entries as codes of a table of strings, found once per dictionary. */
static const uint32_t *codes_of(struct k2_pq_stream *s, struct k2_intern *strings) {
    if (s->codes_of == strings)
        return (const uint32_t *)s->codes.ptr;
    uint32_t *codes = k2_pq_scratch(&s->codes, (size_t)s->entries * sizeof *codes);
    for (uint32_t i = 0; i < s->entries; i++)
        codes[i] = k2_intern_add(strings, k2_pq_entry(s, i));
    s->codes_of = strings;
    return codes;
}

/* Symbols and enums that are not by index: through the text of the batch, which is then given back.
 */
static bool take_names(struct k2_pq_stream *s, struct k2_batch *b, size_t count, void *out,
                       struct k2_err *err) {
    struct k2_span spans[K2_PQ_BLOCK];
    size_t kept = b->text.len;
    for (size_t done = 0; done < count;) {
        size_t n = K2_MIN(count - done, (size_t)K2_PQ_BLOCK);
        K2_TRY(k2_pq_take_text(s, n, &b->text, spans, err));
        for (size_t i = 0; i < n; i++) {
            struct k2_str text = k2_batch_get(b, spans[i]);
            int name = s->column->names ? k2_name_index(s->column->names, text) : 0;
            if (name < 0)
                return k2_pq_corrupt(s, "a value is none of those its column may have", err);
            if (s->column->names)
                ((uint8_t *)out)[done + i] = (uint8_t)name;
            else
                ((uint32_t *)out)[done + i] = k2_intern_add(b->strings, text);
        }
        b->text.len = kept;
        done += n;
    }
    return true;
}

/* Strings by index: each entry that occurs is copied once into the batch. */
static bool take_placed(struct k2_pq_stream *s, struct k2_batch *b, size_t count,
                        struct k2_span *out) {
    struct k2_pq_placed *placed = (struct k2_pq_placed *)s->placed.ptr;
    uint32_t index[K2_PQ_BLOCK];
    bool is_run = false;
    for (size_t n; count; out += n, count -= n) {
        n = k2_pq_take_index(s, K2_MIN(count, (size_t)K2_PQ_BLOCK), index, &is_run);
        if (n == 0)
            return false;
        for (size_t i = 0; i < n; i++) {
            uint32_t entry = index[is_run ? 0 : i];
            struct k2_pq_placed *p = &placed[entry];
            if (p->round != s->round) {
                struct k2_str text = k2_pq_entry(s, entry);
                if (b->text.len + text.len > UINT32_MAX)
                    return false;
                *p = (struct k2_pq_placed){k2_batch_put(b, text), s->round};
            }
            out[i] = p->span;
        }
    }
    return true;
}

static bool take_values(struct k2_pq_stream *s, struct k2_batch *b, size_t count, void *out,
                        struct k2_err *err) {
    bool is_by_index = s->encoding == K2_PQ_RLE_DICTIONARY, ok;
    if (count == 0)
        return true;
    if (k2_pq_is_number(s->shape))
        ok = take_numbers(s, count, out);
    else if (s->column->type == K2_ENUM && is_by_index)
        ok = take_u8(s, (const uint32_t *)s->numbers.ptr, count, out);
    else if (s->column->type == K2_SYMBOL && is_by_index)
        ok = take_u32(s, codes_of(s, b->strings), count, out);
    else if (s->column->type == K2_ENUM || s->column->type == K2_SYMBOL)
        return take_names(s, b, count, out, err);
    else if (is_by_index)
        ok = take_placed(s, b, count, out);
    else
        return k2_pq_take_text(s, count, &b->text, out, err);
    return ok || k2_pq_corrupt(s, "the values of a page cannot be decoded", err);
}

/* Moves values that lie at the start to the rows that have one, from the last on; the others become
 * 0. */
#define SPREAD(name, type)                                                                         \
    static void name(type *values, const uint8_t *valid, size_t rows, size_t there) {              \
        for (size_t i = rows; i-- > 0;)                                                            \
            values[i] = valid[i] ? values[--there] : 0;                                            \
    }
SPREAD(spread_u8, uint8_t)
SPREAD(spread_u32, uint32_t)
SPREAD(spread_u64, uint64_t)

static void spread(void *values, size_t width, const uint8_t *valid, size_t rows, size_t there) {
    if (there == 0)
        memset(values, 0, rows * width);
    else if (width == 8)
        spread_u64(values, valid, rows, there);
    else if (width == 4)
        spread_u32(values, valid, rows, there);
    else
        spread_u8(values, valid, rows, there);
}

/* Definition levels of optional columns, which are what valid holds. */
static bool take_valid(struct k2_pq_stream *s, uint8_t *valid, size_t rows, size_t *ret_there,
                       struct k2_err *err) {
    *ret_there = rows;
    if (!s->stored->max_def) {
        if (valid)
            memset(valid, 1, rows);
        return true;
    }
    size_t there = 0;
    for (size_t done = 0; done < rows;) {
        uint8_t scratch[K2_PQ_BLOCK], greatest = 0;
        size_t n = K2_MIN(rows - done, (size_t)K2_PQ_BLOCK);
        uint8_t *def = valid ? valid + done : scratch;
        if (!k2_rle_take_levels(&s->def, n, def))
            return k2_pq_corrupt(s, "the levels of a page make no sense", err);
        for (size_t i = 0; i < n; i++) {
            greatest |= def[i];
            there += def[i];
        }
        if (greatest > 1)
            return k2_pq_corrupt(s, "the levels of a page make no sense", err);
        done += n;
    }
    if (!valid && there < rows)
        return k2_err_set(err, K2_INVALID, "%s: row group %d, column %s: NULL in a required column",
                          s->file->path, s->row_group, s->column->name);
    *ret_there = there;
    return true;
}

bool k2_pq_read_flat(struct k2_pq_stream *stream, struct k2_batch *batch, uint32_t base,
                     uint32_t rows, struct k2_err *err) {
    struct k2_pq_stream *s = stream;
    struct k2_vector *v = &batch->col[s->shape->column];
    size_t width = k2_type_width(s->column->type);
    while (rows) {
        bool is_there;
        K2_TRY(k2_pq_stream_page(s, &is_there, err));
        if (!is_there)
            return k2_pq_corrupt(s, "has not as many values as its row group has rows", err);
        uint32_t n = K2_MIN(rows, s->levels_left);
        uint8_t *valid = v->valid ? v->valid + base : NULL;
        char *values = (char *)v->data + base * width;
        size_t there;
        K2_TRY(take_valid(s, valid, n, &there, err));
        K2_TRY(take_values(s, batch, there, values, err));
        if (there < n)
            spread(values, width, valid, n, there);
        s->levels_left -= n;
        base += n, rows -= n;
    }
    return true;
}
