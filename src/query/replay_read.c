/* replay_read.c -- row groups of data files into a window: all rows, or those that were asked for.
 */
#include "base/alloc.h"
#include "lake/table/read.h"
#include "query/replay_load.h"

/* ---- which rows ---- */

static bool is_wanted_symbol(struct k2_loader *l, const struct k2_window *w, uint32_t code) {
    const struct k2_replay_opts *o = l->opts;
    int at = (int)(w - l->windows);
    if (code >= l->wanted_cap[at]) {
        uint32_t cap = K2_MAX(code + 1, l->wanted_cap[at] * 2);
        l->wanted[at] = k2_realloc(l->wanted[at], cap);
        memset(l->wanted[at] + l->wanted_cap[at], 0, cap - l->wanted_cap[at]);
        l->wanted_cap[at] = cap;
    }
    uint8_t *wanted = &l->wanted[at][code];
    if (!*wanted) {
        *wanted = 2;
        for (int i = 0; i < o->symbol_count; i++)
            if (k2_str_eq(o->symbols[i], k2_intern_str(w->strings, code)))
                *wanted = 1;
    }
    return *wanted == 1;
}

/* A stretch of time, in both units. */
struct bounds {
    int64_t low_us, until_us; /* low <= t < until */
};

static uint32_t pick_rows(struct k2_loader *l, const struct k2_window *w, struct bounds bounds) {
    const struct k2_replay_opts *o = l->opts;
    const struct k2_batch *b = l->scratch;
    const int64_t *us = b->col[l->c->timestamp].i64;
    const int32_t *nanos = b->col[l->c->nanos].i32;
    uint32_t count = 0;
    uint32_t exchange =
        o->exchange.len ? k2_intern_find(w->strings, o->exchange) : 0; /* UINT32_MAX: none has it */
    for (uint32_t i = 0; i < b->rows; i++) {
        int64_t ns = us[i] * 1000 + nanos[i];
        if (us[i] < bounds.low_us || us[i] >= bounds.until_us || (o->has_from && ns < o->from_ns) ||
            (o->has_to && ns >= o->to_ns) ||
            (o->exchange.len && b->col[l->c->exchange].u32[i] != exchange) ||
            (o->symbol_count && !is_wanted_symbol(l, w, b->col[l->c->symbol].u32[i])))
            continue;
        l->picked[count++] = i;
    }
    return count;
}

/* The columns that pick_rows looks at. */
static uint32_t picking_columns(const struct k2_loader *l) {
    return 1u << l->c->timestamp | 1u << l->c->nanos |
           (l->opts->exchange.len ? 1u << l->c->exchange : 0) |
           (l->opts->symbol_count ? 1u << l->c->symbol : 0);
}

static bool may_hold(const struct k2_loader *l, struct k2_parquet_file *file, int group,
                     struct bounds bounds) {
    const struct k2_replay_opts *o = l->opts;
    int64_t low = bounds.low_us,
            high = bounds.until_us == INT64_MAX ? INT64_MAX : bounds.until_us - 1;
    if (o->has_from)
        low = K2_MAX(low, k2_floor_us(o->from_ns));
    if (o->has_to)
        high = K2_MIN(high, k2_floor_us(o->to_ns));
    bool may = k2_parquet_may_hold_int(file, group, l->c->timestamp, low, high);
    if (may && o->exchange.len)
        may = k2_parquet_may_hold_str(file, group, l->c->exchange, o->exchange);
    if (!may || !o->symbol_count)
        return may;
    for (int i = 0; i < o->symbol_count; i++)
        if (k2_parquet_may_hold_str(file, group, l->c->symbol, o->symbols[i]))
            return true;
    return false;
}

/* ---- columns ---- */

static void copy_codes(struct k2_batch *dst, const struct k2_batch *src, int column,
                       const uint32_t *rows, uint32_t count) {
    const uint32_t *from = src->col[column].u32;
    uint32_t *to = dst->col[column].u32 + dst->rows, last = UINT32_MAX, last_to = 0;
    bool is_same = dst->strings == src->strings;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t code = from[rows[i]];
        if (!is_same && code != last) {
            last = code;
            last_to = k2_intern_add(dst->strings, k2_intern_str(src->strings, code));
        }
        to[i] = is_same ? code : last_to;
    }
}

static void copy_texts(struct k2_batch *dst, const struct k2_batch *src, int column,
                       const uint32_t *rows, uint32_t count) {
    struct k2_span *to = dst->col[column].span + dst->rows;
    for (uint32_t i = 0; i < count; i++)
        to[i] = k2_batch_put(dst, k2_batch_get(src, src->col[column].span[rows[i]]));
}

static void copy_values(struct k2_batch *dst, const struct k2_batch *src, int column,
                        const uint32_t *rows, uint32_t count) {
    const struct k2_vector *from = &src->col[column];
    struct k2_vector *to = &dst->col[column];
    uint32_t at = dst->rows;
    switch (k2_type_width(src->schema->columns[column].type)) {
    case 1:
        for (uint32_t i = 0; i < count; i++)
            to->u8[at + i] = from->u8[rows[i]];
        break;
    case 4:
        for (uint32_t i = 0; i < count; i++)
            to->u32[at + i] = from->u32[rows[i]];
        break;
    default:
        for (uint32_t i = 0; i < count; i++)
            to->i64[at + i] = from->i64[rows[i]];
        break;
    }
}

void k2_copy_rows(struct k2_batch *dst, const struct k2_batch *src, const uint32_t *rows,
                  uint32_t count, uint32_t columns) {
    K2_ASSERT(count <= dst->rows_max - dst->rows);
    for (int i = 0; i < dst->schema->column_count; i++) {
        if (!(columns >> i & 1))
            continue;
        for (uint32_t r = 0; dst->col[i].valid && r < count; r++)
            dst->col[i].valid[dst->rows + r] = src->col[i].valid[rows[r]];
        switch (dst->schema->columns[i].type) {
        case K2_SYMBOL: copy_codes(dst, src, i, rows, count); break;
        case K2_STRING:
        case K2_BINARY:
        case K2_LIST:
        case K2_MAP: copy_texts(dst, src, i, rows, count); break;
        default: copy_values(dst, src, i, rows, count); break;
        }
    }
    dst->rows += count;
}

/* ---- row groups ---- */

static void add_order(const struct k2_loader *l, struct k2_window *w) {
    const int64_t *us = w->batch->col[l->c->timestamp].i64;
    const int32_t *nanos = w->batch->col[l->c->nanos].i32;
    for (uint32_t i = w->count; i < w->batch->rows; i++) {
        w->order[i] = i;
        w->ts[i] = us[i] * 1000 + nanos[i];
    }
    w->count = w->batch->rows;
}

/* Room for a row group of which some rows are taken. */
static void make_scratch(struct k2_loader *l, const struct k2_window *w, int64_t rows) {
    if (!l->scratch || l->scratch->rows_max < rows) {
        k2_batch_free(l->scratch);
        l->scratch = k2_batch_new(l->opts->schema, (uint32_t)rows, w->strings);
        l->picked = k2_realloc(l->picked, (size_t)rows * sizeof *l->picked);
    }
    l->scratch->strings = w->strings;
    k2_batch_clear(l->scratch);
}

/* Picks in the row group; those rows' times are in the scratch batch. */
static bool pick_group(struct k2_loader *l, const struct k2_window *w, struct k2_parquet_file *file,
                       int group, struct bounds bounds, uint32_t *ret_count, struct k2_err *err) {
    make_scratch(l, w, k2_parquet_row_group_rows(file, group));
    K2_TRY(k2_parquet_read(file, group, picking_columns(l), l->scratch, err));
    *ret_count = pick_rows(l, w, bounds);
    return true;
}

static bool read_some(struct k2_loader *l, struct k2_window *w, struct k2_parquet_file *file,
                      int group, struct bounds bounds, struct k2_err *err) {
    uint32_t count;
    K2_TRY(pick_group(l, w, file, group, bounds, &count, err));
    if (!count)
        return true;
    k2_batch_clear(l->scratch);
    K2_TRY(k2_parquet_read(file, group, l->columns & ~picking_columns(l), l->scratch, err));
    k2_copy_rows(w->batch, l->scratch, l->picked, count, l->columns | picking_columns(l));
    return true;
}

static struct k2_parquet_file *open_file(struct k2_loader *l, const struct k2_replay_file *f,
                                         struct k2_err *err) {
    struct k2_parquet_file *file =
        k2_table_open_file(l->opts->lake, l->metadata, l->opts->schema, f->uri, err);
    if (file && k2_parquet_rows(file) != f->rows) {
        k2_err_set(err, K2_CORRUPT, "%.*s holds %lld rows, its manifest says %lld", K2_FMT(f->uri),
                   (long long)k2_parquet_rows(file), (long long)f->rows);
        k2_parquet_close(file);
        return NULL;
    }
    return file;
}

bool k2_loader_read(struct k2_loader *l, struct k2_window *w, struct k2_replay_file *f,
                    int64_t until_us, struct k2_err *err) {
    const struct k2_replay_opts *o = l->opts;
    struct bounds bounds = {f->done_us, until_us};
    bool takes_all = f->done_us <= f->low_us && f->high_us < until_us && !o->symbol_count &&
                     !o->exchange.len && !o->has_from && !o->has_to;
    struct k2_parquet_file *file = open_file(l, f, err);
    bool ok = file != NULL;
    for (int g = 0; ok && !l->is_over && g < k2_parquet_row_groups(file); g++) {
        if (atomic_load_explicit(&l->stop, memory_order_relaxed))
            ok = k2_err_set(err, K2_CANCELLED, "stopped");
        else if (takes_all)
            ok = k2_parquet_read(file, g, l->columns, w->batch, err);
        else if (may_hold(l, file, g, bounds))
            ok = read_some(l, w, file, g, bounds, err);
        if (ok)
            add_order(l, w);
        l->is_over = w->batch->text.len > l->text_max;
    }
    k2_parquet_close(file);
    return ok;
}

static void count_picked(struct k2_loader *l, uint32_t count) {
    struct k2_times *t = &l->times;
    const int64_t *us = l->scratch->col[l->c->timestamp].i64;
    for (uint32_t i = 0; i < count; i++)
        t->counts[((uint64_t)us[l->picked[i]] - (uint64_t)t->low) / t->width]++;
}

bool k2_loader_count(struct k2_loader *l, struct k2_window *w, struct k2_replay_file *f,
                     struct k2_err *err) {
    int64_t high = l->times.high;
    struct bounds bounds = {K2_MAX(f->done_us, l->times.low),
                            high == INT64_MAX ? INT64_MAX : high + 1};
    struct k2_parquet_file *file = open_file(l, f, err);
    bool ok = file != NULL;
    for (int g = 0; ok && g < k2_parquet_row_groups(file); g++) {
        uint32_t count = 0;
        if (may_hold(l, file, g, bounds))
            ok = pick_group(l, w, file, g, bounds, &count, err);
        if (ok)
            count_picked(l, count);
    }
    k2_parquet_close(file);
    return ok;
}
