/* leaf_nested.c -- lists, maps and flags: few distinct cells, each taken apart once.
 *
 * Rows that follow each other mostly hold equal bytes, so a row costs a comparison; what is new is
 * looked up by hash, and only what was never seen is walked. Levels and values are then laid out
 * run by run of equal cells.
 */
#include "base/alloc.h"
#include "lake/parquet/leaf.h"
#include "lake/parquet/leaf_impl.h"
#include "lake/parquet/rle.h"

enum { PREFETCH = 16 };
#define NO_CELL UINT32_MAX

static uint32_t buf_u32_count(const struct k2_buf *buf) {
    return (uint32_t)(buf->len / 4);
}

static bool add_element(const struct k2_column *c, struct k2_pq_dictionary *dictionary,
                        struct k2_buf *codes, struct k2_str s, struct k2_err *err) {
    uint32_t known = dictionary->count;
    k2_buf_u32(codes, k2_pq_dictionary_str(dictionary, s));
    if (dictionary->count > known && !k2_str_is_utf8(s))
        return k2_pq_not_utf8(c, s, err);
    return true;
}

/* Takes apart a list or map that was not seen before. */
static bool add_cell(struct k2_pq_builder *b, const struct k2_column *c, struct k2_str bytes,
                     struct k2_err *err) {
    struct k2_pq_cell cell = {.first = buf_u32_count(&b->key_codes)};
    struct k2_cursor cursor = {0};
    struct k2_str key, value;
    if (c->type == K2_LIST)
        while (k2_list_next(bytes, &cursor, &key))
            K2_TRY(add_element(c, &b->keys, &b->key_codes, key, err));
    else
        while (k2_map_next(bytes, &cursor, &key, &value)) {
            K2_TRY(add_element(c, &b->keys, &b->key_codes, key, err));
            K2_TRY(add_element(c, &b->strings, &b->value_codes, value, err));
        }
    cell.count = buf_u32_count(&b->key_codes) - cell.first;
    k2_buf_append(&b->cells, &cell, sizeof cell);
    return true;
}

static bool is_same(const char *a, const char *b, uint32_t len) {
    uint64_t x, y;
    if (len < 8)
        return memcmp(a, b, len) == 0;
    for (uint32_t i = 0;; i = K2_MIN(i + 8, len - 8)) {
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        if (x != y || i == len - 8)
            return x == y;
    }
}

/* The cell of every row of a list or map column, in the order of the row group. */
static bool cells_of_spans(struct k2_pq_builder *b, const struct k2_pq_rows *rows, int column,
                           uint32_t *cell_of_row, struct k2_err *err) {
    const struct k2_column *c = &rows->batch->schema->columns[column];
    const struct k2_span *spans = rows->batch->col[column].span;
    const uint8_t *valid = rows->batch->col[column].valid;
    const char *text = rows->batch->text.ptr;
    uint32_t count = rows->count;
    struct k2_span last = {0};
    uint32_t last_cell = k2_pq_dictionary_str(&b->blobs, K2_STR(""));
    K2_TRY(add_cell(b, c, K2_STR(""), err));
    for (uint32_t k = 0; k < count; k++) {
        uint32_t row = k2_pq_row(rows, k);
        if (k + PREFETCH < count)
            __builtin_prefetch(text + spans[k2_pq_row(rows, k + PREFETCH)].offset);
        if (valid && !valid[row]) {
            cell_of_row[k] = NO_CELL;
            continue;
        }
        struct k2_span span = spans[row];
        if (span.len != last.len || (span.offset != last.offset && span.len &&
                                     !is_same(text + span.offset, text + last.offset, span.len))) {
            struct k2_str bytes = k2_batch_get(rows->batch, span);
            uint32_t known = b->blobs.count;
            last_cell = k2_pq_dictionary_str(&b->blobs, bytes);
            if (b->blobs.count > known)
                K2_TRY(add_cell(b, c, bytes, err));
        }
        last = span;
        cell_of_row[k] = last_cell;
    }
    return true;
}

/* The same where the rows have numbers already: each is taken apart when it is first met. */
static bool cells_of_numbers(struct k2_pq_builder *b, const struct k2_pq_rows *rows, int column,
                             uint32_t *cell_of_row, struct k2_err *err) {
    const struct k2_column *c = &rows->batch->schema->columns[column];
    const struct k2_pq_dictionary *known = &rows->packed->cells[column];
    const uint16_t *numbers = rows->batch->col[column].data;
    const uint8_t *valid = rows->batch->col[column].valid;
    uint32_t *map = k2_pq_scratch(&b->cell_map, known->count * sizeof *map); /* + 1; 0: none yet */
    memset(map, 0, known->count * sizeof *map);
    uint32_t cells = 0;
    K2_TRY(add_cell(b, c, K2_STR(""), err));
    map[0] = ++cells;
    for (uint32_t k = 0; k < rows->count; k++) {
        uint32_t *cell = &map[numbers[k]];
        if (valid && !valid[k]) {
            cell_of_row[k] = NO_CELL;
            continue;
        }
        if (K2_UNLIKELY(*cell == 0)) {
            K2_TRY(add_cell(b, c, known->strings[numbers[k]], err));
            *cell = ++cells;
        }
        cell_of_row[k] = *cell - 1;
    }
    return true;
}

/* The cell of every row of a flags column: distinct masks, each with the names of its bits. */
static void cells_of_flags(struct k2_pq_builder *b, const struct k2_pq_rows *rows, int column,
                           uint32_t *cell_of_row) {
    const struct k2_column *c = &rows->batch->schema->columns[column];
    const struct k2_vector *v = &rows->batch->col[column];
    int32_t low = INT32_MAX, high = INT32_MIN;
    const int32_t *masks = v->i32 + rows->first;
    if (rows->row || v->valid) {
        int32_t *own = k2_pq_scratch(&b->values, (size_t)rows->count * sizeof *own);
        for (uint32_t k = 0; k < rows->count; k++) {
            uint32_t row = k2_pq_row(rows, k);
            own[k] = !v->valid || v->valid[row] ? v->i32[row] : 0;
        }
        masks = own;
    }
    for (uint32_t k = 0; k < rows->count; k++) {
        low = K2_MIN(low, masks[k]);
        high = K2_MAX(high, masks[k]);
    }
    bool ok =
        k2_pq_dictionary_i32(&b->blobs, masks, rows->count, low, high, UINT32_MAX, cell_of_row);
    K2_ASSERT(ok);
    for (uint32_t i = 0; i < b->blobs.count; i++) {
        uint32_t mask = (uint32_t)b->blobs.numbers[i];
        struct k2_pq_cell cell = {.first = buf_u32_count(&b->key_codes)};
        for (int bit = 0; bit < 32 && c->names[bit]; bit++)
            if (mask >> bit & 1)
                k2_buf_u32(&b->key_codes, k2_pq_dictionary_str(&b->keys, k2_str_of(c->names[bit])));
        cell.count = buf_u32_count(&b->key_codes) - cell.first;
        k2_buf_append(&b->cells, &cell, sizeof cell);
    }
    for (uint32_t k = 0; v->valid && k < rows->count; k++)
        if (!v->valid[k2_pq_row(rows, k)])
            cell_of_row[k] = NO_CELL;
}

/* Copies a unit of bytes times over, doubling what is there already. */
static void repeat(void *to, const void *unit, size_t bytes, size_t times) {
    size_t total = bytes * times;
    memcpy(to, unit, bytes);
    for (size_t done = bytes; done < total; done *= 2)
        memcpy((char *)to + done, to, K2_MIN(done, total - done));
}

struct layout {
    uint8_t *def, *rep;
    uint32_t *index, *value_index; /* value_index: NULL but for maps */
    uint32_t levels, values;
};

/* count rows of one cell that is not empty. */
static void put_cell(const struct k2_pq_builder *b, struct k2_pq_cell cell, uint8_t max_def,
                     uint32_t count, struct layout *to) {
    const uint32_t *codes = (const uint32_t *)b->key_codes.ptr + cell.first;
    size_t n = cell.count, all = n * count;
    uint8_t *rep = to->rep + to->levels;
    memset(to->def + to->levels, max_def, all);
    memset(rep, 1, all);
    for (size_t i = 0; i < all; i += n)
        rep[i] = 0;
    repeat(to->index + to->values, codes, n * sizeof *codes, count);
    if (to->value_index) {
        const uint32_t *values = (const uint32_t *)b->value_codes.ptr + cell.first;
        repeat(to->value_index + to->values, values, n * sizeof *values, count);
    }
    to->levels += (uint32_t)all;
    to->values += (uint32_t)all;
}

static void lay_out(const struct k2_pq_builder *b, const uint32_t *cell_of_row, uint32_t rows,
                    uint8_t max_def, struct layout *to) {
    const struct k2_pq_cell *cells = (const struct k2_pq_cell *)b->cells.ptr;
    for (uint32_t i = 0; i < rows;) {
        uint32_t cell = cell_of_row[i], end = k2_run_end(cell_of_row, i, rows);
        if (cell == NO_CELL || cells[cell].count == 0) {
            memset(to->def + to->levels, cell == NO_CELL ? 0 : max_def - 1, end - i);
            memset(to->rep + to->levels, 0, end - i);
            to->levels += end - i;
        } else
            put_cell(b, cells[cell], max_def, end - i, to);
        i = end;
    }
}

/* Levels of all rows together: one each at least. */
static uint64_t count_levels(const struct k2_pq_builder *b, const uint32_t *cell_of_row,
                             uint32_t rows) {
    const struct k2_pq_cell *cells = (const struct k2_pq_cell *)b->cells.ptr;
    uint64_t levels = 0;
    for (uint32_t i = 0, end; i < rows; i = end) {
        uint32_t count = cell_of_row[i] == NO_CELL ? 0 : cells[cell_of_row[i]].count;
        end = k2_run_end(cell_of_row, i, rows);
        levels += (uint64_t)(end - i) * (count ? count : 1);
    }
    return levels;
}

bool k2_pq_leaf_nested(struct k2_pq_builder *builder, const struct k2_pq_rows *rows, int column,
                       struct k2_pq_leaf leaves[2], struct k2_err *err) {
    struct k2_pq_builder *b = builder;
    const struct k2_column *c = &rows->batch->schema->columns[column];
    k2_pq_dictionary_clear(&b->blobs);
    k2_pq_dictionary_clear(&b->keys);
    k2_pq_dictionary_clear(&b->strings);
    k2_buf_clear(&b->cells);
    k2_buf_clear(&b->key_codes);
    k2_buf_clear(&b->value_codes);
    uint32_t *cell_of_row = k2_pq_scratch(&b->rows, (size_t)rows->count * sizeof *cell_of_row);
    if (c->type == K2_FLAGS)
        cells_of_flags(b, rows, column, cell_of_row);
    else if (rows->packed && rows->packed->forms[column] == K2_PQ_CELLS)
        K2_TRY(cells_of_numbers(b, rows, column, cell_of_row, err));
    else
        K2_TRY(cells_of_spans(b, rows, column, cell_of_row, err));
    uint64_t levels = count_levels(b, cell_of_row, rows->count);
    if (levels > INT32_MAX)
        return k2_err_set(err, K2_LIMIT,
                          "column %s holds %llu items in one row group of %u rows: write fewer "
                          "rows at a time",
                          c->name, (unsigned long long)levels, rows->count);
    struct layout to = {
        .def = k2_pq_scratch(&b->def, (size_t)levels),
        .rep = k2_pq_scratch(&b->rep, (size_t)levels),
        .index = k2_pq_scratch(&b->index, (size_t)levels * 4),
        .value_index =
            c->type == K2_MAP ? k2_pq_scratch(&b->value_index, (size_t)levels * 4) : NULL,
    };
    lay_out(b, cell_of_row, rows->count, (uint8_t)(1 + !c->is_required), &to);
    leaves[0] = (struct k2_pq_leaf){.kind = K2_PQ_VALUES_INDEX,
                                    .rows = rows->count,
                                    .levels = to.levels,
                                    .values = to.values,
                                    .def = to.def,
                                    .rep = to.rep,
                                    .index = to.index,
                                    .dictionary = &b->keys};
    leaves[1] = leaves[0];
    leaves[1].index = to.value_index;
    leaves[1].dictionary = &b->strings;
    return true;
}
