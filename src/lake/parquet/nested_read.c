/* nested_read.c -- lists, maps and flags: levels and elements into one cell a row.
 *
 * Most rows are empty or equal to one just seen, so runs of empty rows are filled at once and a
 * cell whose elements are known by their entries is looked for among the last ones made.
 */
#include "base/alloc.h"
#include "lake/parquet/reader_impl.h"
#include "lake/parquet/varint.h"

enum { KNOWN_ITEMS = 4, KNOWN_CELLS = 64, RUN_MIN = 16 };
/* Cells of one read are not believed to need more text than this and a multiple of their chunk. */
#define TEXT_GROWTH_MAX (256u << 20)
#define TEXT_RATIO_MAX  256

/* A cell that was made in this read, by its entries. */
struct known {
    bool is_used;
    uint32_t count;
    uint32_t key[KNOWN_ITEMS], value[KNOWN_ITEMS];
    struct k2_span span;
};

struct reading {
    struct k2_pq_stream *keys, *values; /* values: NULL but for maps */
    struct k2_batch *batch;
    struct k2_vector *v;
    uint32_t base, row, rows; /* row: of those asked for, done */
    size_t text_max;
    bool has_last; /* the row before is the cell in count, key and value, and lies at last */
    struct k2_span last;
    /* The cell of the row at hand. */
    bool is_open, is_there, is_known; /* is_known: all its elements are in key and value */
    uint32_t count, flags;
    uint32_t key[KNOWN_ITEMS], value[KNOWN_ITEMS];
    struct k2_buf items; /* as Avro writes them, where not is_known */
    struct known cells[KNOWN_CELLS];
};

static bool corrupt_levels(const struct reading *r, struct k2_err *err) {
    return k2_pq_corrupt(r->keys, "the levels of a list or map make no sense", err);
}

/* ---- elements ---- */

static struct k2_str element(const struct k2_pq_stream *s, uint32_t i) {
    const struct k2_pq_block *block = s->block;
    if (block->is_by_index)
        return k2_pq_entry(s, block->index[i]);
    return (struct k2_str){block->text.ptr + block->spans[i].offset, block->spans[i].len};
}

static void put_item(struct k2_buf *out, struct k2_str s) {
    k2_buf_zigzag(out, (int64_t)s.len);
    k2_buf_str(out, s);
}

/* Writes out the elements so far, because more come than are looked for. */
static void forget_entries(struct reading *r) {
    k2_buf_clear(&r->items);
    for (uint32_t i = 0; i < r->count; i++) {
        put_item(&r->items, k2_pq_entry(r->keys, r->key[i]));
        if (r->values)
            put_item(&r->items, k2_pq_entry(r->values, r->value[i]));
    }
    r->is_known = false;
}

static bool add_flag(struct reading *r, uint32_t i, struct k2_err *err) {
    const struct k2_pq_stream *s = r->keys;
    if (s->block->is_by_index) {
        r->flags |= ((const uint32_t *)s->numbers.ptr)[s->block->index[i]];
        return true;
    }
    int flag = k2_name_index(s->column->names, element(s, i));
    if (flag < 0)
        return k2_pq_corrupt(s, "a value is none of those its column may have", err);
    r->flags |= 1u << flag;
    return true;
}

static bool add_element(struct reading *r, struct k2_err *err) {
    uint32_t i = r->keys->block->element++;
    if (r->keys->column->names)
        return add_flag(r, i, err);
    bool is_by_index = r->keys->block->is_by_index && (!r->values || r->values->block->is_by_index);
    if (r->is_known && (!is_by_index || r->count == KNOWN_ITEMS))
        forget_entries(r);
    if (r->is_known) {
        r->key[r->count] = r->keys->block->index[i];
        r->value[r->count] = r->values ? r->values->block->index[i] : 0;
    } else {
        put_item(&r->items, element(r->keys, i));
        if (r->values)
            put_item(&r->items, element(r->values, i));
        if (r->items.len > r->text_max)
            return k2_pq_corrupt(r->keys, "a list or map is longer than its chunk can make it",
                                 err);
    }
    r->count++;
    return true;
}

/* ---- cells ---- */

static bool put_cell(struct reading *r, struct k2_span *ret, struct k2_err *err) {
    struct k2_buf *text = &r->batch->text;
    size_t start = text->len;
    if (start + r->items.len + 16 > r->text_max)
        return k2_pq_corrupt(r->keys, "the lists or maps are longer than their chunk can make them",
                             err);
    k2_buf_zigzag(text, r->count);
    k2_buf_str(text, k2_buf_view(&r->items));
    k2_buf_byte(text, 0);
    *ret = (struct k2_span){(uint32_t)start, (uint32_t)(text->len - start)};
    return true;
}

static struct known *look_up(struct reading *r) {
    uint64_t hash = r->count;
    for (uint32_t i = 0; i < r->count; i++)
        hash = (hash ^ r->key[i] ^ (uint64_t)r->value[i] << 32) * 0x9e3779b97f4a7c15ull;
    return &r->cells[hash >> 58];
}

static bool is_same_cell(const struct reading *r, const struct known *known) {
    bool is_same = known->is_used && known->count == r->count;
    for (uint32_t i = 0; i < r->count && is_same; i++)
        is_same = known->key[i] == r->key[i] && known->value[i] == r->value[i];
    return is_same;
}

/* A chunk has one dictionary, so equal entries are equal elements. */
static bool put_known(struct reading *r, struct k2_span *ret, struct k2_err *err) {
    struct known *known = look_up(r);
    if (is_same_cell(r, known)) {
        *ret = known->span;
        return true;
    }
    forget_entries(r);
    K2_TRY(put_cell(r, ret, err));
    known->is_used = true;
    known->count = r->count;
    known->span = *ret;
    memcpy(known->key, r->key, sizeof known->key);
    memcpy(known->value, r->value, sizeof known->value);
    return true;
}

static void open_row(struct reading *r, bool is_there) {
    r->is_open = true;
    r->has_last = false;
    r->is_there = is_there;
    r->is_known = true;
    r->count = r->flags = 0;
    k2_buf_clear(&r->items);
}

static bool close_row(struct reading *r, struct k2_err *err) {
    uint32_t row = r->base + r->row;
    if (r->v->valid)
        r->v->valid[row] = r->is_there;
    else if (!r->is_there)
        return k2_err_set(err, K2_INVALID, "%s: row group %d, column %s: NULL in a required column",
                          r->keys->file->path, r->keys->row_group, r->keys->column->name);
    if (r->keys->column->names)
        r->v->u32[row] = r->flags;
    else if (r->count == 0)
        r->v->span[row] = (struct k2_span){0, 0};
    else if (r->is_known)
        K2_TRY(put_known(r, &r->v->span[row], err));
    else
        K2_TRY(put_cell(r, &r->v->span[row], err));
    r->is_open = false;
    r->row++;
    return true;
}

/* count rows that hold nothing. */
static void fill_empty(struct reading *r, bool is_there, uint32_t count) {
    size_t width = k2_type_width(r->keys->column->type), row = r->base + r->row;
    memset((char *)r->v->data + row * width, 0, count * width);
    if (r->v->valid)
        memset(r->v->valid + row, is_there, count);
    r->row += count;
}

/* ---- levels ---- */

static bool take_elements(struct k2_pq_stream *s, uint32_t count, struct k2_err *err) {
    struct k2_pq_block *b = s->block;
    b->element = 0;
    b->elements = count;
    b->is_by_index = s->encoding == K2_PQ_RLE_DICTIONARY;
    if (!b->is_by_index) {
        k2_buf_clear(&b->text);
        return count == 0 || k2_pq_take_text(s, count, &b->text, b->spans, err);
    }
    bool is_run = false;
    for (uint32_t done = 0, n; done < count; done += n) {
        uint32_t *index = b->index + done;
        n = (uint32_t)k2_pq_take_index(s, count - done, index, &is_run);
        if (n == 0)
            return k2_pq_corrupt(s, "the values of a page cannot be decoded", err);
        for (uint32_t i = 1; is_run && i < n; i++)
            index[i] = index[0];
    }
    return true;
}

static bool fill_block(struct k2_pq_stream *s, uint32_t levels, struct k2_err *err) {
    struct k2_pq_block *b = s->block;
    uint32_t elements = 0;
    if (!k2_rle_take_levels(&s->rep, levels, b->rep) ||
        !k2_rle_take_levels(&s->def, levels, b->def))
        return k2_pq_corrupt(s, "the levels of a page make no sense", err);
    uint32_t wrong = 0, there = 0;
    for (uint32_t i = 0; i < levels; i++) {
        wrong += b->def[i] > s->stored->max_def;
        there += b->def[i] >= s->stored->element_def;
        elements += b->def[i] == s->stored->max_def;
    }
    if (wrong)
        return k2_pq_corrupt(s, "the levels of a page make no sense", err);
    if (there > elements)
        return k2_err_set(err, K2_INVALID,
                          "%s: row group %d, column %s: a NULL within a list or map", s->file->path,
                          s->row_group, s->column->name);
    s->levels_left -= levels;
    b->at = 0;
    b->count = levels;
    return take_elements(s, elements, err);
}

/* Keys and values of a map tell the same story. */
static bool is_in_step(const struct reading *r) {
    const struct k2_pq_stream *k = r->keys, *v = r->values;
    uint32_t differ = 0;
    for (uint32_t i = 0; i < k->block->count; i++)
        differ |= (k->block->def[i] >= k->stored->element_def) ^
                  (v->block->def[i] >= v->stored->element_def);
    return !differ && memcmp(k->block->rep, v->block->rep, k->block->count) == 0;
}

static bool next_block(struct reading *r, struct k2_err *err) {
    uint32_t levels = K2_MIN(r->keys->levels_left, (uint32_t)K2_PQ_BLOCK);
    if (r->values)
        levels = K2_MIN(levels, r->values->levels_left);
    K2_TRY(fill_block(r->keys, levels, err));
    if (!r->values)
        return true;
    K2_TRY(fill_block(r->values, levels, err));
    r->values->block->at = levels; /* the keys' levels stand for both */
    return is_in_step(r) || k2_pq_corrupt(r->keys, "keys and values do not match", err);
}

/* How many rows without elements come next, by the levels of a stream; *ret_is_there: they are
 * empty, not NULL. */
static size_t peek_empty(struct k2_pq_stream *s, bool *ret_is_there) {
    uint32_t rep = 1, def = UINT32_MAX;
    size_t reps = k2_rle_peek_run(&s->rep, &rep), defs = reps ? k2_rle_peek_run(&s->def, &def) : 0;
    *ret_is_there = !s->stored->is_column_optional || def > 0;
    bool is_empty = reps && defs && rep == 0 && def < s->stored->element_def;
    return is_empty ? K2_MIN(K2_MIN(reps, defs), (size_t)s->levels_left) : 0;
}

static void pass_empty(struct k2_pq_stream *s, uint32_t count) {
    k2_rle_pass(&s->rep, count);
    k2_rle_pass(&s->def, count);
    s->levels_left -= count;
}

/* Takes rows without elements in one step where they are coded so; *ret_done: some were. */
static bool take_empty(struct reading *r, bool *ret_done, struct k2_err *err) {
    bool is_there, is_there_too;
    size_t count = peek_empty(r->keys, &is_there);
    if (r->values && count) {
        size_t other = peek_empty(r->values, &is_there_too);
        count = is_there == is_there_too ? K2_MIN(count, other) : 0;
    }
    *ret_done = count >= RUN_MIN;
    if (!*ret_done)
        return true;
    if (r->is_open)
        K2_TRY(close_row(r, err));
    uint32_t rows = (uint32_t)K2_MIN(count, (size_t)(r->rows - r->row));
    if (rows && !is_there && !r->v->valid) {
        open_row(r, false);
        return close_row(r, err); /* which says what is wrong */
    }
    fill_empty(r, is_there, rows);
    pass_empty(r->keys, rows);
    if (r->values)
        pass_empty(r->values, rows);
    return true;
}

/* How many levels from the next on, at most max, are rows that hold nothing in the same way. */
static uint32_t count_empty(const struct k2_pq_block *b, uint32_t max) {
    const uint8_t *def = b->def + b->at, *rep = b->rep + b->at;
    uint32_t n = 1;
    for (; n + 8 <= max; n += 8) {
        uint64_t defs, reps;
        memcpy(&defs, def + n, 8);
        memcpy(&reps, rep + n, 8);
        uint64_t differ = (defs ^ def[0] * 0x0101010101010101ull) | reps;
        if (differ)
            return n + (uint32_t)__builtin_ctzll(differ) / 8;
    }
    while (n < max && def[n] == def[0] && rep[n] == 0)
        n++;
    return n;
}

/* Rows without elements at the block's next level. */
static bool take_empty_levels(struct reading *r, struct k2_err *err) {
    struct k2_pq_block *b = r->keys->block;
    bool is_there = !r->keys->stored->is_column_optional || b->def[b->at] > 0;
    if (!is_there && !r->v->valid) {
        open_row(r, false);
        return close_row(r, err); /* which says what is wrong */
    }
    uint32_t count = count_empty(b, K2_MIN(b->count - b->at, r->rows - r->row));
    fill_empty(r, is_there, count);
    b->at += count;
    return true;
}

/* The elements of the row that begins at the block's next level, when they are few, by entry, and
 * end within the block; else 0. */
static uint32_t count_known(const struct reading *r) {
    const struct k2_pq_block *b = r->keys->block;
    uint32_t n = 1, left = b->count - b->at;
    if (!b->is_by_index || (r->values && !r->values->block->is_by_index) || r->keys->column->names)
        return 0;
    while (n < left && n <= KNOWN_ITEMS && b->rep[b->at + n])
        n++;
    if (n == left || n > KNOWN_ITEMS)
        return 0;
    for (uint32_t i = 1; i < n; i++)
        if (b->def[b->at + i] < r->keys->stored->element_def)
            return 0; /* which is wrong, and found to be so level by level */
    return n;
}

/* A whole row of that kind. */
static bool take_known(struct reading *r, uint32_t count, struct k2_err *err) {
    struct k2_pq_block *b = r->keys->block;
    const uint32_t *key = b->index + b->element;
    const uint32_t *value = r->values ? r->values->block->index + b->element : NULL;
    uint32_t row = r->base + r->row, differ = r->count ^ count;
    for (uint32_t i = 0; i < count; i++) {
        differ |= r->key[i] ^ key[i];
        r->key[i] = key[i];
        if (value) {
            differ |= r->value[i] ^ value[i];
            r->value[i] = value[i];
        }
    }
    r->count = count;
    if (differ || !r->has_last) {
        r->is_known = r->has_last = true;
        K2_TRY(put_known(r, &r->last, err));
    }
    r->v->span[row] = r->last;
    if (r->v->valid)
        r->v->valid[row] = 1;
    r->row++;
    b->element += count;
    b->at += count;
    return true;
}

/* Levels of the block up to its end or to the first level of the row after the last. */
static bool take_levels(struct reading *r, struct k2_err *err) {
    struct k2_pq_block *b = r->keys->block;
    uint8_t element_def = r->keys->stored->element_def;
    while (b->at < b->count) {
        bool is_element = b->def[b->at] >= element_def;
        if (b->rep[b->at] == 0) {
            if (r->is_open)
                K2_TRY(close_row(r, err));
            if (r->row == r->rows)
                return true;
            if (!is_element) {
                K2_TRY(take_empty_levels(r, err));
                continue;
            }
            uint32_t known = count_known(r);
            if (known) {
                K2_TRY(take_known(r, known, err));
                continue;
            }
            open_row(r, true);
        } else if (!r->is_open || !is_element) {
            return corrupt_levels(r, err);
        }
        b->at++;
        K2_TRY(add_element(r, err));
    }
    return true;
}

/* At a page of keys and one of values; *ret_is_there: false at the end of both. */
static bool have_page(struct reading *r, bool *ret_is_there, struct k2_err *err) {
    bool is_there_too = false;
    K2_TRY(k2_pq_stream_page(r->keys, ret_is_there, err));
    if (!r->values)
        return true;
    K2_TRY(k2_pq_stream_page(r->values, &is_there_too, err));
    return *ret_is_there == is_there_too ||
           k2_pq_corrupt(r->keys, "has more keys than values, or fewer", err);
}

static bool read_rows(struct reading *r, struct k2_err *err) {
    struct k2_pq_block *b = r->keys->block;
    while (r->row < r->rows) {
        bool is_there, is_done;
        if (b->at < b->count) {
            K2_TRY(take_levels(r, err));
            continue;
        }
        K2_TRY(have_page(r, &is_there, err));
        if (!is_there) {
            if (!r->is_open || r->row + 1 < r->rows)
                return k2_pq_corrupt(r->keys, "has fewer rows than its row group", err);
            return close_row(r, err);
        }
        K2_TRY(take_empty(r, &is_done, err));
        if (!is_done)
            K2_TRY(next_block(r, err));
    }
    return true;
}

bool k2_pq_read_nested(struct k2_pq_stream *stream, struct k2_pq_stream *values,
                       struct k2_batch *batch, uint32_t base, uint32_t rows, struct k2_err *err) {
    size_t growth = TEXT_GROWTH_MAX + (size_t)stream->chunk->bytes * TEXT_RATIO_MAX;
    if (values)
        growth += (size_t)values->chunk->bytes * TEXT_RATIO_MAX;
    struct reading *r = k2_new(struct reading);
    r->keys = stream;
    r->values = values;
    r->batch = batch;
    r->v = &batch->col[stream->shape->column];
    r->base = base;
    r->rows = rows;
    r->text_max = K2_MIN(batch->text.len + growth, (size_t)UINT32_MAX - K2_PQ_SLACK);
    if (!stream->block)
        stream->block = k2_new(struct k2_pq_block);
    if (values && !values->block)
        values->block = k2_new(struct k2_pq_block);
    bool ok = read_rows(r, err);
    k2_buf_done(&r->items);
    k2_free(r);
    return ok;
}
