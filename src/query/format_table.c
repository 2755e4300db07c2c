/* format_table.c -- an aligned table for people.
 *
 * The first rows are held back to find how wide columns are; later rows go out as they come, and a
 * wider value just pushes the rest of its line. Control characters never reach the terminal.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "query/format.h"

enum { HELD_ROWS = 2000, HELD_BYTES = 4 << 20 };

struct table {
    size_t *width;      /* of columns, in characters */
    struct k2_buf text; /* held cells, one after the other */
    size_t *end;        /* where each held cell ends in text */
    size_t cells, cells_cap;
    bool is_open; /* header and held rows are out */
};

static size_t width_of(struct k2_str text) {
    size_t width = 0;
    for (size_t i = 0; i < text.len; i++)
        width += (text.ptr[i] & 0xc0) != 0x80;
    return width;
}

/* Text from outside, safe to show: control characters as escapes (C1 ones come as c2 80-9f). */
static void put_safe(struct k2_buf *out, struct k2_str text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        unsigned char next = i + 1 < text.len ? (unsigned char)text.ptr[i + 1] : 0;
        if (c == '\n')
            k2_buf_text(out, "\\n");
        else if (c == '\t')
            k2_buf_text(out, "\\t");
        else if (c == '\r')
            k2_buf_text(out, "\\r");
        else if (c < 0x20 || c == 0x7f)
            k2_buf_printf(out, "\\x%02x", c);
        else if (c == 0xc2 && next >= 0x80 && next < 0xa0)
            k2_buf_printf(out, "\\u%04x", text.ptr[++i] & 0xff);
        else
            k2_buf_byte(out, c);
    }
}

/* Bytes as readable as they are: what is no printable ASCII as \xHH. */
static void put_blob(struct k2_buf *out, struct k2_str bytes) {
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];
        if (c < 0x20 || c >= 0x7f || c == '\\')
            k2_buf_printf(out, "\\x%02x", c);
        else
            k2_buf_byte(out, c);
    }
}

static void put_cell(struct k2_formatter *f, int column, uint64_t row, struct k2_buf *out) {
    const struct k2_type_node *type = &f->columns[column];
    const struct k2_vec *vec = &f->vecs[column];
    if (k2_vec_is_null(vec, row))
        k2_buf_text(out, "NULL");
    else if (type->id == DUCKDB_TYPE_BLOB)
        put_blob(out, k2_cell_bytes(type, vec, row));
    else if (type->id == DUCKDB_TYPE_VARCHAR || type->id == DUCKDB_TYPE_ENUM)
        put_safe(out, k2_cell_bytes(type, vec, row));
    else
        k2_cell_text(out, type, vec, row);
}

static bool is_right(const struct k2_type_node *type) {
    return (type->id > DUCKDB_TYPE_BOOLEAN && type->id <= DUCKDB_TYPE_DOUBLE) ||
           type->id == DUCKDB_TYPE_HUGEINT || type->id == DUCKDB_TYPE_DECIMAL;
}

static void put_padded(struct k2_formatter *f, int column, struct k2_str text, bool is_number) {
    const struct table *t = f->state;
    bool is_last = column + 1 == f->column_count;
    size_t width = width_of(text);
    size_t pad = t->width[column] > width ? t->width[column] - width : 0;
    k2_buf_text(&f->out, column ? " | " : " ");
    for (size_t i = 0; is_number && i < pad; i++)
        k2_buf_byte(&f->out, ' ');
    k2_buf_str(&f->out, text);
    for (size_t i = 0; !is_number && !is_last && i < pad; i++)
        k2_buf_byte(&f->out, ' ');
    if (is_last)
        k2_buf_byte(&f->out, '\n');
}

static void put_header(struct k2_formatter *f) {
    const struct table *t = f->state;
    struct k2_buf name = {0};
    for (int i = 0; i < f->column_count; i++) {
        k2_buf_clear(&name);
        put_safe(&name, f->columns[i].name);
        put_padded(f, i, k2_buf_view(&name), false);
    }
    for (int i = 0; i < f->column_count; i++) {
        k2_buf_text(&f->out, i ? "+-" : "-");
        for (size_t j = 0; j <= t->width[i]; j++)
            k2_buf_byte(&f->out, '-');
    }
    k2_buf_byte(&f->out, '\n');
    k2_buf_done(&name);
}

/* Writes what was held back; from here on rows go straight out. */
static bool open_table(struct k2_formatter *f, struct k2_err *err) {
    struct table *t = f->state;
    t->is_open = true;
    put_header(f);
    size_t start = 0;
    for (size_t i = 0; i < t->cells; i++) {
        int column = (int)(i % (size_t)f->column_count);
        struct k2_str text = {t->text.ptr + start, t->end[i] - start};
        put_padded(f, column, text, is_right(&f->columns[column]));
        start = t->end[i];
        K2_TRY(k2_formatter_spill(f, false, err));
    }
    k2_buf_clear(&t->text);
    return true;
}

static void hold_cell(struct k2_formatter *f, int column, uint64_t row) {
    struct table *t = f->state;
    size_t start = t->text.len;
    put_cell(f, column, row, &t->text);
    if (t->cells == t->cells_cap) {
        t->cells_cap = K2_MAX(t->cells_cap * 2, (size_t)256);
        t->end = k2_realloc(t->end, t->cells_cap * sizeof *t->end);
    }
    t->end[t->cells++] = t->text.len;
    size_t width = width_of((struct k2_str){t->text.ptr + start, t->text.len - start});
    t->width[column] = K2_MAX(t->width[column], width);
}

static bool table_begin(struct k2_formatter *f, struct k2_err *err) {
    (void)err;
    struct table *t = k2_new(struct table);
    f->state = t;
    t->width = k2_new_array(size_t, (size_t)f->column_count);
    (void)k2_buf_cstr(&t->text);
    struct k2_buf name = {0};
    for (int i = 0; i < f->column_count; i++) {
        k2_buf_clear(&name);
        put_safe(&name, f->columns[i].name);
        t->width[i] = width_of(k2_buf_view(&name));
    }
    k2_buf_done(&name);
    return true;
}

/* EXPLAIN's drawing is shown as it is. */
static bool explain_rows(struct k2_formatter *f, uint64_t count, struct k2_err *err) {
    const int drawing = f->column_count - 1;
    for (uint64_t row = 0; row < count; row++) {
        k2_cell_text(&f->out, &f->columns[drawing], &f->vecs[drawing], row);
        if (f->out.len && f->out.ptr[f->out.len - 1] != '\n')
            k2_buf_byte(&f->out, '\n');
    }
    return k2_formatter_spill(f, false, err);
}

static bool table_rows(struct k2_formatter *f, uint64_t count, struct k2_err *err) {
    struct table *t = f->state;
    if (f->is_explain)
        return explain_rows(f, count, err);
    struct k2_buf cell = {0};
    bool ok = true;
    for (uint64_t row = 0; ok && row < count; row++) {
        for (int i = 0; i < f->column_count; i++) {
            if (!t->is_open) {
                hold_cell(f, i, row);
                continue;
            }
            k2_buf_clear(&cell);
            put_cell(f, i, row, &cell);
            put_padded(f, i, k2_buf_view(&cell), is_right(&f->columns[i]));
        }
        bool is_full =
            t->cells >= (size_t)HELD_ROWS * (size_t)f->column_count || t->text.len >= HELD_BYTES;
        if (!t->is_open && is_full)
            ok = open_table(f, err);
        ok = ok && k2_formatter_spill(f, false, err);
    }
    k2_buf_done(&cell);
    return ok;
}

static bool table_end(struct k2_formatter *f, struct k2_err *err) {
    struct table *t = f->state;
    if (f->is_explain)
        return true;
    if (!t->is_open)
        K2_TRY(open_table(f, err));
    k2_buf_printf(&f->out, "(%" PRId64 " row%s%s)\n", f->row_count, f->row_count == 1 ? "" : "s",
                  f->is_cut ? "; there are more" : "");
    return true;
}

static void table_done(struct k2_formatter *f) {
    struct table *t = f->state;
    if (!t)
        return;
    k2_free(t->width);
    k2_free(t->end);
    k2_buf_done(&t->text);
    k2_free(t);
}

const struct k2_formatter_ops k2_format_table = {table_begin, table_rows, table_end, table_done,
                                                 NULL};
