/* format_arrow.c -- the Arrow IPC stream: DuckDB's vectors copied into Arrow's buffers. */
#include "query/format_arrow.h"

#include "base/alloc.h"

enum { BATCH_ROWS = 65536, BATCH_BYTES = 8 << 20 };

/* ---- columns ---- */

static void layout_of(const struct k2_type_node *type, struct k2_arrow_column *c) {
    c->layout = K2_ARROW_FIXED;
    switch (type->id) {
    case DUCKDB_TYPE_SQLNULL: c->layout = K2_ARROW_NULL; return;
    case DUCKDB_TYPE_BOOLEAN: c->layout = K2_ARROW_BIT; return;
    case DUCKDB_TYPE_VARCHAR:
    case DUCKDB_TYPE_BLOB:
    case DUCKDB_TYPE_ENUM:
    case DUCKDB_TYPE_UUID: c->layout = K2_ARROW_BYTES; return;
    case DUCKDB_TYPE_LIST:
    case DUCKDB_TYPE_ARRAY: c->layout = K2_ARROW_LIST; return;
    case DUCKDB_TYPE_MAP: c->layout = K2_ARROW_MAP; return;
    case DUCKDB_TYPE_STRUCT: c->layout = K2_ARROW_STRUCT; return;
    case DUCKDB_TYPE_TINYINT:
    case DUCKDB_TYPE_UTINYINT: c->width = 1; return;
    case DUCKDB_TYPE_SMALLINT:
    case DUCKDB_TYPE_USMALLINT: c->width = 2; return;
    case DUCKDB_TYPE_INTEGER:
    case DUCKDB_TYPE_UINTEGER:
    case DUCKDB_TYPE_FLOAT:
    case DUCKDB_TYPE_DATE: c->width = 4; return;
    case DUCKDB_TYPE_HUGEINT:
    case DUCKDB_TYPE_DECIMAL: c->width = 16; return;
    default: c->width = 8; return;
    }
}

void k2_arrow_column_init(struct k2_arrow_column *column, const struct k2_type_node *type,
                          struct k2_arena *arena) {
    *column = (struct k2_arrow_column){.type = type};
    layout_of(type, column);
    column->children = k2_arena_new(arena, struct k2_arrow_column, type->child_count);
    for (int i = 0; i < type->child_count; i++)
        k2_arrow_column_init(&column->children[i], &type->children[i], arena);
}

void k2_arrow_column_done(struct k2_arrow_column *column) {
    k2_buf_done(&column->valid);
    k2_buf_done(&column->offsets);
    k2_buf_done(&column->data);
    k2_free(column->picked);
    for (int i = 0; i < column->type->child_count; i++)
        k2_arrow_column_done(&column->children[i]);
}

void k2_arrow_column_clear(struct k2_arrow_column *column) {
    k2_buf_clear(&column->valid);
    k2_buf_clear(&column->offsets);
    k2_buf_clear(&column->data);
    column->rows = column->nulls = 0;
    for (int i = 0; i < column->type->child_count; i++)
        k2_arrow_column_clear(&column->children[i]);
}

size_t k2_arrow_column_bytes(const struct k2_arrow_column *column) {
    size_t bytes = column->valid.len + column->offsets.len + column->data.len;
    for (int i = 0; i < column->type->child_count; i++)
        bytes += k2_arrow_column_bytes(&column->children[i]);
    return bytes;
}

static void put_bit(struct k2_buf *bits, int64_t at, bool bit) {
    if (at % 8 == 0)
        k2_buf_byte(bits, 0);
    bits->ptr[at / 8] = (char)(bits->ptr[at / 8] | bit << (at % 8));
}

static uint64_t place(const uint64_t *rows, uint64_t i) {
    return rows ? rows[i] : i;
}

static void add_validity(struct k2_arrow_column *c, const struct k2_vec *vec, const uint64_t *rows,
                         uint64_t count) {
    if (!vec->valid && !c->nulls)
        return;
    if (!c->nulls)
        for (int64_t i = 0; i < c->rows; i++)
            put_bit(&c->valid, i, true);
    for (uint64_t i = 0; i < count; i++) {
        bool is_null = k2_vec_is_null(vec, place(rows, i));
        put_bit(&c->valid, c->rows + (int64_t)i, !is_null);
        c->nulls += is_null;
    }
    if (!c->nulls)
        k2_buf_clear(&c->valid);
}

/* Decimals of every storage become 128 bits. */
static void add_decimals(struct k2_arrow_column *c, const struct k2_vec *vec, const uint64_t *rows,
                         uint64_t count) {
    char *to = k2_buf_reserve(&c->data, count * 16);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t row = place(rows, i);
        __int128 value;
        switch (c->type->id == DUCKDB_TYPE_HUGEINT ? DUCKDB_TYPE_HUGEINT : c->type->storage) {
        case DUCKDB_TYPE_SMALLINT: value = ((const int16_t *)vec->data)[row]; break;
        case DUCKDB_TYPE_INTEGER: value = ((const int32_t *)vec->data)[row]; break;
        case DUCKDB_TYPE_BIGINT: value = ((const int64_t *)vec->data)[row]; break;
        default: memcpy(&value, (const char *)vec->data + row * 16, 16); break;
        }
        memcpy(to + i * 16, &value, 16);
    }
    c->data.len += count * 16;
}

static void add_fixed(struct k2_arrow_column *c, const struct k2_vec *vec, const uint64_t *rows,
                      uint64_t count) {
    if (c->width == 16) {
        add_decimals(c, vec, rows, count);
    } else if (!rows) {
        k2_buf_append(&c->data, vec->data, count * c->width);
    } else {
        char *to = k2_buf_reserve(&c->data, count * c->width);
        for (uint64_t i = 0; i < count; i++)
            memcpy(to + i * c->width, (const char *)vec->data + rows[i] * c->width, c->width);
        c->data.len += count * c->width;
    }
}

static bool add_offset(struct k2_arrow_column *c, size_t offset, struct k2_err *err) {
    if (offset > INT32_MAX)
        return k2_err_set(err, K2_LIMIT,
                          "column %.*s has more than 2 GiB in one Arrow batch; select less",
                          K2_FMT(c->type->name));
    k2_buf_u32(&c->offsets, (uint32_t)offset);
    return true;
}

static bool add_bytes(struct k2_arrow_column *c, const struct k2_vec *vec, const uint64_t *rows,
                      uint64_t count, struct k2_err *err) {
    if (!c->rows)
        k2_buf_u32(&c->offsets, 0);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t row = place(rows, i);
        if (k2_vec_is_null(vec, row))
            ;
        else if (c->type->id == DUCKDB_TYPE_UUID)
            k2_cell_text(&c->data, c->type, vec, row);
        else
            k2_buf_str(&c->data, k2_cell_bytes(c->type, vec, row));
        K2_TRY(add_offset(c, c->data.len, err));
    }
    return true;
}

/* Lists may lie anywhere in the child vector: their places are gathered, then added as one. */
static bool add_lists(struct k2_arrow_column *c, const struct k2_vec *vec, const uint64_t *rows,
                      uint64_t count, struct k2_err *err) {
    if (!c->rows)
        k2_buf_u32(&c->offsets, 0);
    size_t picked = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t row = place(rows, i);
        duckdb_list_entry entry = {0, 0};
        if (!k2_vec_is_null(vec, row))
            entry = k2_vec_entry(c->type, vec, row);
        if (picked + entry.length > c->picked_cap) {
            c->picked_cap = K2_MAX(c->picked_cap * 2, picked + entry.length);
            c->picked = k2_realloc(c->picked, c->picked_cap * sizeof *c->picked);
        }
        for (uint64_t j = 0; j < entry.length; j++)
            c->picked[picked++] = entry.offset + j;
        K2_TRY(add_offset(c, (size_t)c->children[0].rows + picked, err));
    }
    static const uint64_t none[1];
    const uint64_t *places = c->picked ? c->picked : none;
    for (int i = 0; i < c->type->child_count; i++)
        K2_TRY(k2_arrow_column_add(&c->children[i], &vec->children[i], places, picked, err));
    return true;
}

/* Recursion ends at K2_TYPE_DEPTH_MAX. */
bool k2_arrow_column_add(struct k2_arrow_column *c, const struct k2_vec *vec, const uint64_t *rows,
                         uint64_t count, struct k2_err *err) {
    if (c->layout != K2_ARROW_NULL)
        add_validity(c, vec, rows, count);
    switch (c->layout) {
    case K2_ARROW_NULL: c->nulls += (int64_t)count; break;
    case K2_ARROW_BIT:
        for (uint64_t i = 0; i < count; i++)
            put_bit(&c->data, c->rows + (int64_t)i,
                    ((const uint8_t *)vec->data)[place(rows, i)] == 1);
        break;
    case K2_ARROW_FIXED: add_fixed(c, vec, rows, count); break;
    case K2_ARROW_BYTES: K2_TRY(add_bytes(c, vec, rows, count, err)); break;
    case K2_ARROW_LIST:
    case K2_ARROW_MAP: K2_TRY(add_lists(c, vec, rows, count, err)); break;
    case K2_ARROW_STRUCT:
        for (int i = 0; i < c->type->child_count; i++)
            K2_TRY(k2_arrow_column_add(&c->children[i], &vec->children[i], rows, count, err));
        break;
    }
    c->rows += (int64_t)count;
    return true;
}

/* ---- the formatter ---- */

struct arrow {
    struct k2_flat flat;
    struct k2_arrow_column *columns;
    int64_t rows; /* in the batch being filled */
};

static bool put_batch(struct k2_formatter *f, struct k2_err *err) {
    struct arrow *a = f->state;
    if (!a->rows)
        return true;
    k2_arrow_put_batch(&a->flat, a->columns, f->column_count, a->rows, &f->out);
    for (int i = 0; i < f->column_count; i++)
        k2_arrow_column_clear(&a->columns[i]);
    a->rows = 0;
    return k2_formatter_spill(f, false, err);
}

static bool arrow_begin(struct k2_formatter *f, struct k2_err *err) {
    (void)err;
    struct arrow *a = k2_new(struct arrow);
    f->state = a;
    a->columns = k2_arena_new(&f->arena, struct k2_arrow_column, f->column_count);
    for (int i = 0; i < f->column_count; i++)
        k2_arrow_column_init(&a->columns[i], &f->columns[i], &f->arena);
    k2_arrow_put_schema(&a->flat, f->columns, f->column_count, &f->out);
    return true;
}

static bool arrow_rows(struct k2_formatter *f, uint64_t count, struct k2_err *err) {
    struct arrow *a = f->state;
    size_t bytes = 0;
    for (int i = 0; i < f->column_count; i++) {
        K2_TRY(k2_arrow_column_add(&a->columns[i], &f->vecs[i], NULL, count, err));
        bytes += k2_arrow_column_bytes(&a->columns[i]);
    }
    a->rows += (int64_t)count;
    return (a->rows < BATCH_ROWS && bytes < BATCH_BYTES) || put_batch(f, err);
}

static bool arrow_end(struct k2_formatter *f, struct k2_err *err) {
    static const uint32_t end_of_stream[2] = {0xffffffff, 0};
    K2_TRY(put_batch(f, err));
    k2_buf_append(&f->out, end_of_stream, sizeof end_of_stream);
    return true;
}

static void arrow_done(struct k2_formatter *f) {
    struct arrow *a = f->state;
    if (!a)
        return;
    for (int i = 0; a->columns && i < f->column_count; i++)
        k2_arrow_column_done(&a->columns[i]);
    k2_flat_done(&a->flat);
    k2_free(a);
}

const struct k2_formatter_ops k2_format_arrow = {arrow_begin, arrow_rows, arrow_end, arrow_done,
                                                 put_batch};
