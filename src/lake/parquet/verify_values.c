/* verify_values.c -- a column's values against the bounds that are given for them, page by page and
 * for the chunk, against its Bloom filter, and all rows against the order that is promised.
 */
#include "lake/parquet/bloom.h"
#include "lake/parquet/stats.h"
#include "lake/parquet/verify_impl.h"
#include "market/decimal.h"

/* The least and the greatest of some values; the strings are copies. */
struct range {
    bool has;
    int64_t low, high;
    struct k2_buf least, greatest;
};

/* One leaf of the column at hand. */
struct leaf {
    struct k2_pq_verify *v;
    int group, number; /* number: of the leaf */
    const struct k2_pq_seen *pages;
    size_t page_count, page; /* page: at hand */
    int64_t row;
    struct range in_page, in_chunk;
    bool has_index, has_bloom;
    bool is_told; /* of a value that must not be; one finding a chunk */
    struct k2_pq_column_index index;
    struct k2_str bloom;
    struct k2_buf bloom_bytes;
};

static const struct k2_pq_shape *shape_of(const struct leaf *leaf) {
    return &leaf->v->file->shapes[leaf->number];
}

/* ---- ranges ---- */

static void keep(struct k2_buf *to, struct k2_str s) {
    k2_buf_clear(to);
    k2_buf_str(to, s);
}

static void add_int(struct range *r, int64_t value) {
    r->low = r->has ? K2_MIN(r->low, value) : value;
    r->high = r->has ? K2_MAX(r->high, value) : value;
    r->has = true;
}

static void add_text(struct range *r, struct k2_str s) {
    if (!r->has || k2_str_cmp(s, k2_buf_view(&r->least)) < 0)
        keep(&r->least, s);
    if (!r->has || k2_str_cmp(s, k2_buf_view(&r->greatest)) > 0)
        keep(&r->greatest, s);
    r->has = true;
}

static void add_range(struct range *r, const struct range *other, bool is_text) {
    if (!other->has)
        return;
    if (is_text) {
        add_text(r, k2_buf_view(&other->least));
        add_text(r, k2_buf_view(&other->greatest));
    } else {
        add_int(r, other->low);
        add_int(r, other->high);
    }
}

/* ---- bounds as they are stored ---- */

/* Whether a string, shorter than the extreme one, is what a cut can have made of that. */
static bool is_cut(struct k2_str stored, struct k2_str extreme, bool is_upper) {
    if (stored.len >= extreme.len)
        return false;
    return is_upper ? k2_str_cmp(stored, extreme) > 0
                    : memcmp(stored.ptr, extreme.ptr, stored.len) == 0;
}

/* Whether a stored bound is what the values call for: themselves, or a string that was cut. A bound
 * that is only further out than needed is a mistake too. */
static bool is_bound_right(const struct k2_pq_shape *shape, const struct range *r, bool is_upper,
                           struct k2_str stored, bool *ret_is_exact) {
    struct k2_pq_bounds bounds = {.has = true,
                                  .low = r->low,
                                  .high = r->high,
                                  .least = k2_buf_view(&r->least),
                                  .greatest = k2_buf_view(&r->greatest)};
    struct k2_buf want = {0};
    bool is_lost, is_text = shape->physical == K2_PQ_BYTE_ARRAY;
    *ret_is_exact = k2_pq_put_bound(shape, &bounds, is_upper, &want, &is_lost);
    bool is_right = !is_lost && k2_str_eq(k2_buf_view(&want), stored);
    k2_buf_done(&want);
    if (!is_right && is_text) {
        struct k2_str extreme = is_upper ? bounds.greatest : bounds.least;
        *ret_is_exact = k2_str_eq(stored, extreme);
        is_right = *ret_is_exact || is_cut(stored, extreme, is_upper);
    }
    return is_right;
}

static void check_page_bounds(struct leaf *leaf) {
    bool is_exact;
    if (!leaf->has_index || !leaf->in_page.has)
        return;
    for (int upper = 0; upper < 2; upper++) {
        struct k2_str stored = (upper ? leaf->index.high : leaf->index.low)[leaf->page];
        if (!is_bound_right(shape_of(leaf), &leaf->in_page, upper, stored, &is_exact))
            k2_pq_find_at(leaf->v, leaf->group, leaf->number,
                          "the column index's %s bound of page %zu is not that of its values",
                          upper ? "upper" : "lower", leaf->page);
    }
}

static void check_chunk_bounds(const struct leaf *leaf) {
    const struct k2_pq_meta *m = k2_pq_chunk_of(leaf->v, leaf->group, leaf->number);
    for (int upper = 0; upper < 2; upper++) {
        struct k2_str stored = upper ? m->high : m->low;
        const char *name = upper ? "greatest" : "least";
        bool is_exact, is_said_exact = upper ? m->is_high_exact : m->is_low_exact;
        if (!stored.ptr)
            continue;
        if (!leaf->in_chunk.has)
            k2_pq_find_at(leaf->v, leaf->group, leaf->number,
                          "the statistics have a %s value, the chunk has none", name);
        else if (!is_bound_right(shape_of(leaf), &leaf->in_chunk, upper, stored, &is_exact))
            k2_pq_find_at(leaf->v, leaf->group, leaf->number,
                          "the statistics' %s value is not that of its values", name);
        else if (is_said_exact && !is_exact)
            k2_pq_find_at(leaf->v, leaf->group, leaf->number,
                          "the statistics' %s value is cut and said to be exact", name);
    }
}

static int compare_bounds(const struct k2_pq_shape *shape, struct k2_str a, struct k2_str b) {
    if (shape->physical == K2_PQ_BYTE_ARRAY)
        return k2_str_cmp(a, b);
    size_t width = shape->physical == K2_PQ_INT64 ? 8 : 4;
    int64_t x = 0, y = 0;
    if (a.len != width || b.len != width)
        return 0; /* which was reported as a wrong bound */
    memcpy(&x, a.ptr, width);
    memcpy(&y, b.ptr, width);
    if (width == 4) {
        x = (int32_t)x;
        y = (int32_t)y;
    }
    return (x > y) - (x < y);
}

/* Whether the bounds of the pages rise or fall as the index says. */
static void check_boundary_order(const struct leaf *leaf) {
    const struct k2_pq_column_index *index = &leaf->index;
    bool rises = true, falls = true;
    size_t before = SIZE_MAX;
    for (size_t i = 0; i < index->page_count; i++) {
        if (index->is_null[i])
            continue;
        for (int upper = 0; before != SIZE_MAX && upper < 2; upper++) {
            const struct k2_str *bounds = upper ? index->high : index->low;
            int order = compare_bounds(shape_of(leaf), bounds[before], bounds[i]);
            rises = rises && order <= 0;
            falls = falls && order >= 0;
        }
        before = i;
    }
    if ((index->order == K2_PQ_ASCENDING && !rises) ||
        (index->order == K2_PQ_DESCENDING && !falls) || index->order < K2_PQ_UNORDERED ||
        index->order > K2_PQ_DESCENDING)
        k2_pq_find_at(leaf->v, leaf->group, leaf->number,
                      "the column index's boundary order is not that of its bounds");
}

/* ---- values ---- */

static void tell(struct leaf *leaf, const char *what) {
    if (!leaf->is_told)
        k2_pq_find_at(leaf->v, leaf->group, leaf->number, "%s", what);
    leaf->is_told = true;
}

static void check_bloom(struct leaf *leaf, struct k2_str bytes) {
    if (leaf->has_bloom && !k2_bloom_may_hold(leaf->bloom, bytes))
        tell(leaf, "the Bloom filter lacks a value that is there");
}

static void take_int(struct leaf *leaf, int64_t value) {
    size_t width = shape_of(leaf)->physical == K2_PQ_INT64 ? 8 : 4;
    add_int(&leaf->in_page, value);
    check_bloom(leaf, k2_str_make(&value, width));
    if (shape_of(leaf)->type == K2_DECIMAL && (value < -K2_DECIMAL_MAX || value > K2_DECIMAL_MAX))
        tell(leaf, "a decimal has more than 18 digits");
}

static void take_text(struct leaf *leaf, struct k2_str s) {
    add_text(&leaf->in_page, s);
    check_bloom(leaf, s);
    if (k2_pq_is_utf8(shape_of(leaf)->type) && !k2_str_is_utf8(s))
        tell(leaf, "a string is not valid UTF-8");
}

static void take_flags(struct leaf *leaf, const struct k2_column *c, uint32_t mask) {
    for (int bit = 0; bit < 32 && c->names[bit]; bit++)
        if (mask >> bit & 1)
            take_text(leaf, k2_str_of(c->names[bit]));
}

/* The value or values of a row; leaves[1] is the second one of a map. */
static void take_row(struct leaf leaves[2], int column, const struct k2_batch *b, uint32_t row) {
    const struct k2_column *c = &b->schema->columns[column];
    const struct k2_vector *v = &b->col[column];
    struct k2_cursor cursor = {0};
    struct k2_str key, value;
    if (k2_batch_is_null(b, column, row))
        return;
    switch (c->type) {
    case K2_INT32: take_int(leaves, v->i32[row]); break;
    case K2_INT64:
    case K2_TIMESTAMP:
    case K2_DECIMAL: take_int(leaves, v->i64[row]); break;
    case K2_FLAGS: take_flags(leaves, c, v->u32[row]); break;
    case K2_LIST:
        while (k2_list_next(k2_batch_get(b, v->span[row]), &cursor, &key))
            take_text(leaves, key);
        break;
    case K2_MAP:
        while (k2_map_next(k2_batch_get(b, v->span[row]), &cursor, &key, &value)) {
            take_text(&leaves[0], key);
            take_text(&leaves[1], value);
        }
        break;
    default: take_text(leaves, k2_batch_text(b, column, row));
    }
}

/* After each row: where a page ends with it, its bounds are checked and become the chunk's. */
static void end_row(struct leaf *leaf) {
    bool is_text = shape_of(leaf)->physical == K2_PQ_BYTE_ARRAY;
    leaf->row++;
    while (leaf->page < leaf->page_count &&
           leaf->row == leaf->pages[leaf->page].first_row + leaf->pages[leaf->page].rows) {
        check_page_bounds(leaf);
        add_range(&leaf->in_chunk, &leaf->in_page, is_text);
        leaf->in_page.has = false;
        leaf->page++;
    }
}

static bool read_values(struct k2_pq_verify *v, struct leaf leaves[2], int count,
                        struct k2_parquet_cursor *cursor, struct k2_err *err) {
    int column = shape_of(leaves)->column;
    do {
        k2_batch_clear(v->batch);
        K2_TRY(k2_parquet_cursor_next(cursor, v->batch->rows_max, v->batch, err));
        for (uint32_t row = 0; row < v->batch->rows; row++) {
            take_row(leaves, column, v->batch, row);
            for (int i = 0; i < count; i++)
                end_row(&leaves[i]);
        }
    } while (v->batch->rows);
    return true;
}

/* ---- the column ---- */

static void open_leaf(struct k2_pq_verify *v, struct leaf *leaf) {
    const struct k2_pq_meta *m = k2_pq_chunk_of(v, leaf->group, leaf->number);
    leaf->has_index =
        k2_pq_verify_column_index(v, leaf->group, leaf->number, leaf->page_count, &leaf->index);
    if (!m->bloom.bytes)
        return;
    if (k2_pq_verify_fetch(v, m->bloom)) {
        k2_buf_str(&leaf->bloom_bytes, k2_buf_view(&v->bytes));
        leaf->has_bloom = k2_bloom_open(k2_buf_view(&leaf->bloom_bytes), &leaf->bloom);
    }
    if (!leaf->has_bloom)
        k2_pq_find_at(v, leaf->group, leaf->number, "the Bloom filter cannot be read");
}

static void close_leaf(struct leaf *leaf) {
    struct k2_buf *bufs[] = {&leaf->in_page.least, &leaf->in_page.greatest, &leaf->in_chunk.least,
                             &leaf->in_chunk.greatest, &leaf->bloom_bytes};
    for (size_t i = 0; i < K2_COUNT(bufs); i++)
        k2_buf_done(bufs[i]);
}

bool k2_pq_verify_values(struct k2_pq_verify *v, int row_group, int leaf,
                         const struct k2_buf pages[2], bool *ret_is_sound, struct k2_err *err) {
    struct leaf leaves[2] = {{0}, {0}};
    int count = v->file->shapes[leaf].part == K2_PQ_KEY ? 2 : 1;
    struct k2_err why = {0};
    k2_arena_reset(&v->chunk_arena);
    for (int i = 0; i < count; i++) {
        leaves[i] = (struct leaf){.v = v,
                                  .group = row_group,
                                  .number = leaf + i,
                                  .pages = (const struct k2_pq_seen *)pages[i].ptr,
                                  .page_count = pages[i].len / sizeof(struct k2_pq_seen)};
        open_leaf(v, &leaves[i]);
    }
    struct k2_parquet_cursor *cursor =
        k2_parquet_cursor_open(v->file, row_group, 0, 1u << v->file->shapes[leaf].column, &why);
    bool ok = cursor && read_values(v, leaves, count, cursor, &why);
    k2_parquet_cursor_free(cursor);
    for (int i = 0; i < count; i++) {
        if (ok)
            check_chunk_bounds(&leaves[i]);
        if (ok && leaves[i].has_index)
            check_boundary_order(&leaves[i]);
        close_leaf(&leaves[i]);
    }
    *ret_is_sound = ok;
    return ok || k2_pq_verify_take(v, &why, err);
}

/* ---- order ---- */

static int compare_in(int column, const struct k2_batch *a, uint32_t i, const struct k2_batch *b,
                      uint32_t j) {
    const struct k2_column *c = &a->schema->columns[column];
    if (k2_pq_is_text(c->type))
        return k2_str_cmp(k2_batch_text(a, column, i), k2_batch_text(b, column, j));
    bool is_narrow = c->type == K2_INT32;
    int64_t x = is_narrow ? a->col[column].i32[i] : a->col[column].i64[i];
    int64_t y = is_narrow ? b->col[column].i32[j] : b->col[column].i64[j];
    return (x > y) - (x < y);
}

struct order {
    int count;
    struct {
        int column;
        bool is_descending, is_nulls_first;
    } by[K2_PQ_SORTING_MAX];
};

/* Whether row i of a may stand before row j of b. */
static bool may_precede(const struct order *o, const struct k2_batch *a, uint32_t i,
                        const struct k2_batch *b, uint32_t j) {
    for (int k = 0; k < o->count; k++) {
        int column = o->by[k].column, order;
        bool first = k2_batch_is_null(a, column, i), second = k2_batch_is_null(b, column, j);
        if (first || second)
            order = (int)second - (int)first;
        else
            order = compare_in(column, a, i, b, j);
        if (first != second && o->by[k].is_nulls_first)
            order = -order;
        else if (first == second && o->by[k].is_descending)
            order = -order;
        if (order)
            return order < 0;
    }
    return true;
}

static bool check_order(struct k2_pq_verify *v, int group, const struct order *o,
                        struct k2_parquet_cursor *cursor, struct k2_err *err) {
    struct k2_batch *b = v->batch;
    int64_t row = 0;
    k2_batch_clear(v->last);
    for (;;) {
        k2_batch_clear(b);
        K2_TRY(k2_parquet_cursor_next(cursor, b->rows_max, b, err));
        if (b->rows == 0)
            return true;
        for (uint32_t i = 0; i < b->rows; i++, row++) {
            bool is_right = i               ? may_precede(o, b, i - 1, b, i)
                            : v->last->rows ? may_precede(o, v->last, 0, b, i)
                                            : true;
            if (is_right)
                continue;
            k2_pq_find(v, "row group %d: row %lld is not in the order that is promised", group,
                       (long long)row);
            return true;
        }
        k2_batch_clear(v->last);
        k2_batch_copy_row(v->last, b, b->rows - 1);
    }
}

bool k2_pq_verify_order(struct k2_pq_verify *v, int row_group, struct k2_err *err) {
    const struct k2_pq_sorting *said = &v->sorting[row_group];
    struct order order = {0};
    struct k2_err why = {0};
    for (int k = 0; k < said->count; k++) {
        int leaf = 0;
        while (leaf < v->file->leaf_count && v->file->stored[leaf].index != said->by[k].leaf)
            leaf++;
        if (leaf == v->file->leaf_count || said->by[k].leaf < 0)
            break; /* the rows may be sorted by what K2 does not read; only what is before counts */
        if (v->file->shapes[leaf].part != K2_PQ_FLAT) {
            k2_pq_find(v, "row group %d: rows cannot be sorted by %s", row_group,
                       v->file->shapes[leaf].path[0]);
            break;
        }
        order.by[order.count].column = v->file->shapes[leaf].column;
        order.by[order.count].is_descending = said->by[k].is_descending;
        order.by[order.count++].is_nulls_first = said->by[k].is_nulls_first;
    }
    if (order.count == 0)
        return true;
    struct k2_parquet_cursor *cursor = k2_parquet_cursor_open(v->file, row_group, 0, ~0u, &why);
    bool ok = cursor && check_order(v, row_group, &order, cursor, &why);
    k2_parquet_cursor_free(cursor);
    return ok || k2_pq_verify_take(v, &why, err);
}
