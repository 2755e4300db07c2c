/* format_csv.c -- CSV (RFC 4180, lines end in \n) with a header; NULL is empty, an empty text is
 * "". */
#include "base/alloc.h"
#include "query/format.h"

/* Bytes that must stand in quotes: comma, quote, line ends. */
static bool needs_quotes(struct k2_str text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == ',' || c == '"' || c == '\n' || c == '\r')
            return true;
    }
    return text.len == 0;
}

static void put_quoted(struct k2_buf *out, struct k2_str text) {
    char *to = k2_room(out, text.len * 2 + 2);
    const char *start = to;
    *to++ = '"';
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"')
            *to++ = '"';
        *to++ = text.ptr[i];
    }
    *to++ = '"';
    out->len += (size_t)(to - start);
}

static void put_text(struct k2_buf *out, struct k2_str text) {
    if (needs_quotes(text))
        put_quoted(out, text);
    else
        k2_put(out, text);
}

static bool is_plain(duckdb_type id) {
    return id != DUCKDB_TYPE_LIST && id != DUCKDB_TYPE_MAP && id != DUCKDB_TYPE_STRUCT &&
           id != DUCKDB_TYPE_ARRAY;
}

static void put_cell(struct k2_formatter *f, int column, uint64_t row) {
    const struct k2_type_node *type = &f->columns[column];
    const struct k2_vec *vec = &f->vecs[column];
    if (k2_vec_is_null(vec, row))
        return;
    if (type->id == DUCKDB_TYPE_VARCHAR || type->id == DUCKDB_TYPE_ENUM) {
        put_text(&f->out, k2_cell_bytes(type, vec, row));
    } else if (is_plain(type->id)) {
        k2_cell_text(&f->out, type, vec, row);
    } else {
        struct k2_buf *scratch = f->state;
        k2_buf_clear(scratch);
        k2_cell_text(scratch, type, vec, row);
        put_text(&f->out, k2_buf_view(scratch));
    }
}

static bool csv_begin(struct k2_formatter *f, struct k2_err *err) {
    (void)err;
    f->state = k2_new(struct k2_buf);
    for (int i = 0; i < f->column_count; i++) {
        if (i)
            k2_put_byte(&f->out, ',');
        put_text(&f->out, f->columns[i].name);
    }
    k2_buf_text(&f->out, "\n");
    return true;
}

static bool csv_rows(struct k2_formatter *f, uint64_t count, struct k2_err *err) {
    for (uint64_t row = 0; row < count; row++) {
        for (int i = 0; i < f->column_count; i++) {
            if (i)
                k2_put_byte(&f->out, ',');
            put_cell(f, i, row);
        }
        k2_put_byte(&f->out, '\n');
        K2_TRY(k2_formatter_spill(f, false, err));
    }
    return true;
}

static bool csv_end(struct k2_formatter *f, struct k2_err *err) {
    (void)f, (void)err;
    return true;
}

static void csv_done(struct k2_formatter *f) {
    if (f->state)
        k2_buf_done(f->state);
    k2_free(f->state);
}

const struct k2_formatter_ops k2_format_csv = {csv_begin, csv_rows, csv_end, csv_done, NULL};
