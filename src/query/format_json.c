/* format_json.c -- one JSON array of objects, or one object per line (NDJSON). */
#include "base/alloc.h"
#include "base/json.h"
#include "query/format.h"

static bool is_taken(const struct k2_str *names, int count, struct k2_str name) {
    for (int i = 0; i < count; i++)
        if (k2_str_eq(names[i], name))
            return true;
    return false;
}

/* An object may hold a name once: a second "price" becomes "price_1", as DuckDB would call it. */
static void name_columns(struct k2_formatter *f, struct k2_str *names) {
    for (int i = 0; i < f->column_count; i++) {
        names[i] = f->columns[i].name;
        for (int n = 1; is_taken(names, i, names[i]); n++)
            names[i] =
                k2_str_of(k2_arena_printf(&f->arena, "%.*s_%d", K2_FMT(f->columns[i].name), n));
    }
}

/* What stands before each column's value: {"name": or ,"name": . */
static void make_keys(struct k2_formatter *f) {
    struct k2_str *names = k2_arena_new(&f->arena, struct k2_str, f->column_count);
    struct k2_str *before = k2_arena_new(&f->arena, struct k2_str, f->column_count);
    struct k2_buf text = {0};
    name_columns(f, names);
    for (int i = 0; i < f->column_count; i++) {
        k2_buf_clear(&text);
        k2_buf_byte(&text, i ? ',' : '{');
        k2_json_quote(&text, names[i]);
        k2_buf_byte(&text, ':');
        before[i] = k2_arena_str(&f->arena, k2_buf_view(&text));
    }
    k2_buf_done(&text);
    f->state = before;
}

static void put_row(struct k2_formatter *f, uint64_t row) {
    const struct k2_str *before = f->state;
    for (int i = 0; i < f->column_count; i++) {
        k2_put(&f->out, before[i]);
        k2_cell_json(&f->out, &f->columns[i], &f->vecs[i], row);
    }
    k2_put_byte(&f->out, '}');
}

static bool ndjson_begin(struct k2_formatter *f, struct k2_err *err) {
    (void)err;
    make_keys(f);
    return true;
}

static bool ndjson_rows(struct k2_formatter *f, uint64_t count, struct k2_err *err) {
    for (uint64_t row = 0; row < count; row++) {
        put_row(f, row);
        k2_put_byte(&f->out, '\n');
        K2_TRY(k2_formatter_spill(f, false, err));
    }
    return true;
}

static bool ndjson_end(struct k2_formatter *f, struct k2_err *err) {
    (void)f, (void)err;
    return true;
}

static bool json_begin(struct k2_formatter *f, struct k2_err *err) {
    (void)err;
    make_keys(f);
    k2_put_byte(&f->out, '[');
    return true;
}

static bool json_rows(struct k2_formatter *f, uint64_t count, struct k2_err *err) {
    int64_t before = f->row_count - (int64_t)count;
    for (uint64_t row = 0; row < count; row++) {
        k2_buf_append(&f->out, before || row ? ",\n" : "\n", before || row ? 2 : 1);
        put_row(f, row);
        K2_TRY(k2_formatter_spill(f, false, err));
    }
    return true;
}

static bool json_end(struct k2_formatter *f, struct k2_err *err) {
    (void)err;
    k2_buf_text(&f->out, f->row_count ? "\n]\n" : "]\n");
    return true;
}

const struct k2_formatter_ops k2_format_ndjson = {ndjson_begin, ndjson_rows, ndjson_end, NULL,
                                                  NULL};
const struct k2_formatter_ops k2_format_json = {json_begin, json_rows, json_end, NULL, NULL};
