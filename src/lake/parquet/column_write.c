/* column_write.c -- one column chunk: plan, dictionary, pages, statistics, its two indexes. */
#include "lake/parquet/bloom.h"
#include "lake/parquet/thrift_compact.h"
#include "lake/parquet/writer_impl.h"
#include "market/decimal.h"

/* A page of strings ends early at this many bytes. */
enum { PAGE_TEXT_MAX = 2 << 20 };

/* Rows of strings that fit a page, at least one. */
static uint32_t rows_within(const struct k2_pq_text *text, uint32_t value, uint32_t rows) {
    uint32_t start = text->ends[(ptrdiff_t)value - 1];
    if (text->ends[value + rows - 1] - start <= PAGE_TEXT_MAX)
        return rows;
    uint32_t low = 1, high = rows;
    while (low < high) {
        uint32_t mid = low + (high - low + 1) / 2;
        if (text->ends[value + mid - 1] - start <= PAGE_TEXT_MAX)
            low = mid;
        else
            high = mid - 1;
    }
    return low;
}

/* Levels from level on that make up rows: a row begins where the repetition level is 0, and no
 * other level is above 1. */
static uint32_t levels_of_rows(const struct k2_pq_leaf *leaf, uint32_t level, uint32_t rows) {
    uint32_t at = level, begun = 0;
    for (; leaf->levels - at >= 8; at += 8) {
        uint64_t eight;
        memcpy(&eight, leaf->rep + at, 8);
        uint32_t starts = 8 - (uint32_t)__builtin_popcountll(eight);
        if (begun + starts > rows)
            break;
        begun += starts;
    }
    for (; at < leaf->levels; at++) {
        if (leaf->rep[at] == 0 && begun == rows)
            break;
        begun += leaf->rep[at] == 0;
    }
    return at - level;
}

static uint32_t count_values(const uint8_t *def, uint32_t levels, uint8_t max) {
    uint32_t values = 0;
    for (uint32_t i = 0; i < levels; i++)
        values += def[i] == max;
    return values;
}

/* The next page of a leaf, from the end of the one before; row counts the rows done. */
static struct k2_pq_stretch next_stretch(const struct k2_parquet_writer *w,
                                         const struct k2_pq_source *s,
                                         const struct k2_pq_stretch *before, uint32_t row) {
    const struct k2_pq_leaf *leaf = &s->leaf;
    struct k2_pq_stretch next = {.level = before->level + before->levels,
                                 .value = before->value + before->values,
                                 .rows = K2_MIN(w->opts.page_rows, leaf->rows - row)};
    next.levels = leaf->rep ? levels_of_rows(leaf, next.level, next.rows) : next.rows;
    next.values = leaf->def ? count_values(leaf->def + next.level, next.levels, s->shape->max_def)
                            : next.levels;
    if (leaf->kind != K2_PQ_VALUES_TEXT || next.values == 0)
        return next;
    uint32_t fit = rows_within(&leaf->text, next.value, next.values);
    if (fit == next.values)
        return next;
    next.values = fit;
    if (!leaf->def) {
        next.rows = next.levels = fit;
        return next;
    }
    uint32_t found = 0, levels = 0;
    while (found < fit)
        found += leaf->def[next.level + levels++] == s->shape->max_def;
    next.rows = next.levels = levels;
    return next;
}

static int compare(const struct k2_pq_bounds *a, const struct k2_pq_bounds *b, bool is_text,
                   bool is_upper) {
    if (is_text)
        return is_upper ? k2_str_cmp(a->greatest, b->greatest) : k2_str_cmp(a->least, b->least);
    int64_t x = is_upper ? a->high : a->low, y = is_upper ? b->high : b->low;
    return (x > y) - (x < y);
}

/* Whether the pages' bounds rise, fall, or neither; pages without values do not count. */
static enum k2_pq_order boundary_order(const struct k2_parquet_writer *w, bool is_text) {
    bool rises = true, falls = true;
    const struct k2_pq_page *before = NULL;
    for (int i = 0; i < w->page_count; i++) {
        const struct k2_pq_page *page = &w->pages[i];
        if (page->values == 0)
            continue;
        for (int upper = 0; before && upper < 2; upper++) {
            int order = compare(&before->bounds, &page->bounds, is_text, upper);
            rises = rises && order <= 0;
            falls = falls && order >= 0;
        }
        before = page;
    }
    return rises ? K2_PQ_ASCENDING : falls ? K2_PQ_DESCENDING : K2_PQ_UNORDERED;
}

/* One of the two lists of bounds; false when an upper bound cannot be given, and then the chunk has
 * no column index. */
static bool put_page_bounds(struct k2_parquet_writer *w, const struct k2_pq_shape *shape,
                            struct k2_thrift_out *t, int id, bool is_upper) {
    k2_thrift_list(t, id, K2_THRIFT_BINARY, (size_t)w->page_count);
    for (int i = 0; i < w->page_count; i++) {
        bool is_lost = false;
        k2_buf_clear(&w->bound);
        if (w->pages[i].values)
            k2_pq_put_bound(shape, &w->pages[i].bounds, is_upper, &w->bound, &is_lost);
        if (is_lost)
            return false;
        k2_thrift_item_str(t, k2_buf_view(&w->bound));
    }
    return true;
}

static void put_column_index(struct k2_parquet_writer *w, const struct k2_pq_shape *shape,
                             struct k2_pq_chunk *chunk) {
    struct k2_buf *out = &w->column_indexes;
    struct k2_thrift_out t;
    chunk->column_index_at = out->len;
    k2_thrift_open(&t, out);
    k2_thrift_list(&t, 1, K2_THRIFT_TRUE, (size_t)w->page_count);
    for (int i = 0; i < w->page_count; i++)
        k2_buf_byte(out, w->pages[i].values ? K2_THRIFT_FALSE : K2_THRIFT_TRUE);
    if (!put_page_bounds(w, shape, &t, 2, false) || !put_page_bounds(w, shape, &t, 3, true)) {
        out->len = chunk->column_index_at;
        return;
    }
    k2_thrift_i32(&t, 4, (int32_t)boundary_order(w, shape->physical == K2_PQ_BYTE_ARRAY));
    k2_thrift_list(&t, 5, K2_THRIFT_I64, (size_t)w->page_count);
    for (int i = 0; i < w->page_count; i++)
        k2_buf_zigzag(out, w->pages[i].nulls);
    k2_thrift_end(&t);
    chunk->column_index_bytes = (int32_t)(out->len - chunk->column_index_at);
}

static void put_offset_index(struct k2_parquet_writer *w, struct k2_pq_chunk *chunk) {
    struct k2_buf *out = &w->offset_indexes;
    struct k2_thrift_out t;
    chunk->offset_index_at = out->len;
    k2_thrift_open(&t, out);
    k2_thrift_list(&t, 1, K2_THRIFT_STRUCT, (size_t)w->page_count);
    for (int i = 0; i < w->page_count; i++) {
        k2_thrift_begin(&t);
        k2_thrift_i64(&t, 1, w->pages[i].offset);
        k2_thrift_i32(&t, 2, w->pages[i].bytes);
        k2_thrift_i64(&t, 3, w->pages[i].first_row);
        k2_thrift_end(&t);
    }
    k2_thrift_end(&t);
    chunk->offset_index_bytes = (int32_t)(out->len - chunk->offset_index_at);
}

static void keep_str(struct k2_str *s, struct k2_buf *buf) {
    if (s->ptr == buf->ptr && buf->ptr)
        return;
    k2_buf_clear(buf);
    k2_buf_str(buf, *s);
    *s = k2_buf_view(buf);
}

/* The chunk's part of the footer's statistics, and of the file's. */
static void keep_statistics(struct k2_parquet_writer *w, struct k2_pq_leaf_state *state,
                            const struct k2_pq_source *s, struct k2_pq_chunk *chunk) {
    bool is_text = s->shape->physical == K2_PQ_BYTE_ARRAY, is_lost = false;
    chunk->levels = s->leaf.levels;
    chunk->nulls = s->leaf.levels - s->leaf.values;
    state->bytes += chunk->bytes;
    state->levels += chunk->levels;
    state->nulls += chunk->nulls;
    if (!s->bounds.has)
        return;
    chunk->has_bounds = true;
    k2_buf_clear(&w->bound);
    chunk->is_lower_exact = k2_pq_put_bound(s->shape, &s->bounds, false, &w->bound, &is_lost);
    chunk->lower = k2_arena_str(&w->arena, k2_buf_view(&w->bound));
    k2_buf_clear(&w->bound);
    chunk->is_upper_exact = k2_pq_put_bound(s->shape, &s->bounds, true, &w->bound, &is_lost);
    chunk->has_upper = !is_lost;
    chunk->upper = k2_arena_str(&w->arena, k2_buf_view(&w->bound));
    k2_pq_bounds_merge(&state->bounds, &s->bounds, is_text);
    if (is_text) {
        keep_str(&state->bounds.least, &state->least);
        keep_str(&state->bounds.greatest, &state->greatest);
    }
}

static bool is_number(const struct k2_pq_source *s) {
    return s->leaf.kind == K2_PQ_VALUES_I32 || s->leaf.kind == K2_PQ_VALUES_I64;
}

/* The bounds of a chunk of numbers, which are needed before its first page is written, are those of
 * its pages taken together; so those are found first, and kept. */
static void number_bounds(struct k2_parquet_writer *w, struct k2_pq_source *s) {
    struct k2_pq_stretch stretch = {0};
    const struct k2_pq_low_high *known = s->leaf.pages;
    k2_buf_clear(&w->page_bounds);
    for (uint32_t row = 0; row < s->leaf.rows; row += stretch.rows) {
        stretch = next_stretch(w, s, &stretch, row);
        struct k2_pq_bounds bounds;
        if (known)
            bounds = (struct k2_pq_bounds){.has = true, .low = known->low, .high = known->high};
        else
            bounds = k2_pq_leaf_bounds(&s->leaf, stretch.value, stretch.values, &w->seen);
        known += known != NULL;
        k2_buf_append(&w->page_bounds, &bounds, sizeof bounds);
        k2_pq_bounds_merge(&s->bounds, &bounds, false);
    }
}

/* Bounds of strings come from the pages, those of everything else were needed before. */
static void page_bounds(struct k2_parquet_writer *w, struct k2_pq_source *s,
                        const struct k2_pq_stretch *stretch, struct k2_pq_page *page) {
    if (is_number(s))
        page->bounds = ((const struct k2_pq_bounds *)w->page_bounds.ptr)[w->page_count - 1];
    else if (s->leaf.kind != K2_PQ_VALUES_TEXT && stretch->rows == s->leaf.rows)
        page->bounds = s->bounds;
    else if (!page->bounds.has && (s->leaf.kind == K2_PQ_VALUES_TEXT || w->opts.has_page_index))
        page->bounds = k2_pq_leaf_bounds(&s->leaf, stretch->value, stretch->values, &w->seen);
    if (s->leaf.kind == K2_PQ_VALUES_TEXT)
        k2_pq_bounds_merge(&s->bounds, &page->bounds, true);
}

static bool write_pages(struct k2_parquet_writer *w, struct k2_pq_leaf_state *state,
                        struct k2_pq_source *s, struct k2_pq_chunk *chunk, struct k2_err *err) {
    struct k2_pq_stretch stretch = {0};
    w->page_count = 0;
    for (uint32_t row = 0; row < s->leaf.rows; row += stretch.rows) {
        stretch = next_stretch(w, s, &stretch, row);
        K2_TRY(k2_pq_write_page(w, state, s, &stretch, chunk, err));
        struct k2_pq_page *page = &w->pages[w->page_count - 1];
        page->first_row = row;
        page_bounds(w, s, &stretch, page);
    }
    return true;
}

static bool check_decimals(const struct k2_pq_source *s, struct k2_err *err) {
    if (s->shape->type != K2_DECIMAL || !s->bounds.has ||
        (s->bounds.low >= -K2_DECIMAL_MAX && s->bounds.high <= K2_DECIMAL_MAX))
        return true;
    return k2_err_set(
        err, K2_INVALID, "column %s holds %lld, which is beyond the 18 digits of decimal(18, 8)",
        s->shape->path[0],
        (long long)(s->bounds.low < -K2_DECIMAL_MAX ? s->bounds.low : s->bounds.high));
}

bool k2_pq_write_chunk(struct k2_parquet_writer *writer, struct k2_pq_leaf_state *state,
                       const struct k2_pq_leaf *leaf, struct k2_pq_chunk *chunk,
                       struct k2_err *err) {
    struct k2_parquet_writer *w = writer;
    struct k2_pq_source source = {.shape = &state->shape, .leaf = *leaf};
    bool is_text = leaf->kind == K2_PQ_VALUES_TEXT;
    if (is_number(&source))
        number_bounds(w, &source);
    else if (!is_text)
        source.bounds = k2_pq_leaf_bounds(leaf, 0, leaf->values, &w->seen);
    K2_TRY(check_decimals(&source, err));
    w->dictionary.expected = state->entries;
    k2_pq_choose(w, &source);
    if (is_number(&source))
        state->entries = source.dictionary ? source.dictionary->count : 0;
    if (is_text && source.dictionary)
        source.bounds = k2_pq_leaf_bounds(&source.leaf, 0, leaf->values, &w->seen);
    int64_t start = w->position;
    *chunk = (struct k2_pq_chunk){
        .encoding = source.plan.encoding, .is_zstd = source.plan.is_zstd, .dictionary_offset = -1};
    if (source.dictionary)
        K2_TRY(k2_pq_write_dictionary(w, &source, chunk, err));
    if (source.dictionary && w->opts.has_bloom && state->shape.type == K2_SYMBOL) {
        chunk->bloom_at = w->blooms.len;
        k2_bloom_put(source.dictionary, &w->blooms);
        chunk->bloom_bytes = (int32_t)(w->blooms.len - chunk->bloom_at);
    }
    chunk->data_offset = w->position;
    K2_TRY(write_pages(w, state, &source, chunk, err));
    chunk->page_count = w->page_count;
    chunk->bytes = w->position - start;
    if (w->opts.has_page_index) {
        put_column_index(w, &state->shape, chunk);
        put_offset_index(w, chunk);
    }
    keep_statistics(w, state, &source, chunk);
    return true;
}
