/* format.h -- a query's rows as bytes: table, CSV, JSON, NDJSON, Arrow.
 *
 * A formatter is given DuckDB's chunks one by one and writes into a buffer that is handed on when
 * it is full, so memory does not grow with the result. Only types the formatters know reach them:
 * the others are cast to text in SQL before. Threads: one per formatter.
 */
#ifndef K2_QUERY_FORMAT_H
#define K2_QUERY_FORMAT_H

#include <duckdb.h>

#include "base/arena.h"
#include "query/query.h"

/* How deep lists in lists may go; deeper ones are cast to text. It bounds the formatters'
 * recursion. */
enum { K2_TYPE_DEPTH_MAX = 16, K2_OUTPUT_BYTES = 1 << 18 };
/* Bytes of one value, and of one column's values in one chunk where a format keeps them together.
 */
enum { K2_CELL_MAX = 16 << 20, K2_CHUNK_MAX = 512 << 20 };

/* A column's type, or that of a part of it. */
struct k2_type_node {
    duckdb_type id, storage; /* storage: of decimals and enums */
    uint8_t width, scale;
    struct k2_str name; /* of the column or the struct's field */
    uint32_t dict_count, array_size;
    struct k2_str *dict; /* names of an enum */
    int child_count;     /* list, array: 1; map: key and value; struct: its fields */
    struct k2_type_node *children;
};
/* False when the type, or a part of it, is none the formatters know. Strings live in arena. */
bool k2_type_read(duckdb_logical_type type, struct k2_arena *arena, int depth,
                  struct k2_type_node *ret_type);

/* Where a column's values lie in the chunk at hand. */
struct k2_vec {
    const void *data;
    const uint64_t *valid; /* NULL: all there */
    struct k2_vec *children;
};
void k2_vec_new(const struct k2_type_node *type, struct k2_arena *arena, struct k2_vec *vec);
void k2_vec_bind(const struct k2_type_node *type, duckdb_vector vector, struct k2_vec *vec);
static inline bool k2_vec_is_null(const struct k2_vec *vec, uint64_t row) {
    return vec->valid && !(vec->valid[row / 64] >> (row % 64) & 1);
}
/* Key i and value i of a map lie at places offset + i of the two children. */
static inline duckdb_list_entry k2_vec_entry(const struct k2_type_node *type,
                                             const struct k2_vec *vec, uint64_t row) {
    if (type->id == DUCKDB_TYPE_ARRAY)
        return (duckdb_list_entry){row * type->array_size, type->array_size};
    return ((const duckdb_list_entry *)vec->data)[row];
}

/* Room for more bytes at the end of out, which is nearly always there. */
static inline char *k2_room(struct k2_buf *out, size_t more) {
    return K2_LIKELY(out->cap - out->len >= more) ? out->ptr + out->len : k2_buf_reserve(out, more);
}
static inline void k2_put(struct k2_buf *out, struct k2_str text) {
    char *to = k2_room(out, text.len);
    if (text.len)
        memcpy(to, text.ptr, text.len);
    out->len += text.len;
}
static inline void k2_put_byte(struct k2_buf *out, char byte) {
    *k2_room(out, 1) = byte;
    out->len++;
}

/* The value as text, not quoted: numbers with all digits, ISO 8601 times, base64 for bytes; lists,
 * maps and structs as JSON. The value is there. */
void k2_cell_text(struct k2_buf *out, const struct k2_type_node *type, const struct k2_vec *vec,
                  uint64_t row);
/* The value as JSON; NULL and numbers JSON does not have (NaN, infinity) are null. */
void k2_cell_json(struct k2_buf *out, const struct k2_type_node *type, const struct k2_vec *vec,
                  uint64_t row);
/* The bytes of a varchar or blob, or the name of an enum's value. */
struct k2_str k2_cell_bytes(const struct k2_type_node *type, const struct k2_vec *vec,
                            uint64_t row);

struct k2_formatter;
struct k2_formatter_ops {
    bool (*begin)(struct k2_formatter *f, struct k2_err *err);
    bool (*rows)(struct k2_formatter *f, uint64_t count, struct k2_err *err);
    bool (*end)(struct k2_formatter *f, struct k2_err *err);
    void (*done)(struct k2_formatter *f);
    bool (*flush)(struct k2_formatter *f, struct k2_err *err); /* NULL: holds no rows back */
};
struct k2_formatter {
    const struct k2_formatter_ops *ops;
    int column_count;
    struct k2_type_node *columns;
    struct k2_vec *vecs;
    struct k2_arena arena;
    struct k2_buf out;
    k2_write_fn *write;
    void *self;
    int64_t row_count;
    bool is_cut;     /* set before end */
    bool is_explain; /* two columns, of which the second is a drawing */
    void *state;     /* of the format */
};
extern const struct k2_formatter_ops k2_format_table, k2_format_csv, k2_format_json,
    k2_format_ndjson, k2_format_arrow;

/* Takes over columns (count of them, in arena, which is taken too). */
void k2_formatter_init(struct k2_formatter *f, const struct k2_formatter_ops *ops,
                       struct k2_type_node *columns, int count, struct k2_arena *arena,
                       k2_write_fn *write, void *self);
void k2_formatter_done(struct k2_formatter *f);
bool k2_formatter_begin(struct k2_formatter *f, struct k2_err *err) K2_MUST;
/* The first count rows of the chunk. LIMIT for values of more than K2_CELL_MAX. */
bool k2_formatter_chunk(struct k2_formatter *f, duckdb_data_chunk chunk, uint64_t count,
                        struct k2_err *err) K2_MUST;
/* The first count rows of what f->vecs were bound to. */
bool k2_formatter_rows(struct k2_formatter *f, uint64_t count, struct k2_err *err) K2_MUST;
/* Hands on all rows so far, whole. */
bool k2_formatter_flush(struct k2_formatter *f, struct k2_err *err) K2_MUST;
bool k2_formatter_end(struct k2_formatter *f, struct k2_err *err) K2_MUST;
/* Hands what is in f->out on when it is full, or in any case. For formats. */
bool k2_formatter_spill(struct k2_formatter *f, bool is_forced, struct k2_err *err) K2_MUST;

#endif
