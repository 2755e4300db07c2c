/* format_arrow.h -- the two halves of the Arrow stream: columns being filled, messages written. */
#ifndef K2_QUERY_FORMAT_ARROW_H
#define K2_QUERY_FORMAT_ARROW_H

#include "query/flatbuf.h"
#include "query/format.h"

/* How a type lies in Arrow's buffers. */
enum k2_arrow_layout {
    K2_ARROW_NULL,   /* none */
    K2_ARROW_BIT,    /* validity, bits */
    K2_ARROW_FIXED,  /* validity, values of width bytes */
    K2_ARROW_BYTES,  /* validity, offsets, bytes */
    K2_ARROW_LIST,   /* validity, offsets; one child */
    K2_ARROW_MAP,    /* the same, its child a struct of key and value */
    K2_ARROW_STRUCT, /* validity; children */
};
struct k2_arrow_column {
    const struct k2_type_node *type;
    enum k2_arrow_layout layout;
    size_t width;                       /* bytes of a fixed value */
    struct k2_buf valid, offsets, data; /* valid is empty while there is no NULL */
    int64_t rows, nulls;
    struct k2_arrow_column *children;
    uint64_t *picked; /* places in the child that a list's rows take */
    size_t picked_cap;
};
void k2_arrow_column_init(struct k2_arrow_column *column, const struct k2_type_node *type,
                          struct k2_arena *arena);
void k2_arrow_column_done(struct k2_arrow_column *column);
void k2_arrow_column_clear(struct k2_arrow_column *column);
/* Appends the values at rows (NULL: 0..count). LIMIT beyond 2 GiB of text in one batch. */
bool k2_arrow_column_add(struct k2_arrow_column *column, const struct k2_vec *vec,
                         const uint64_t *rows, uint64_t count, struct k2_err *err) K2_MUST;
size_t k2_arrow_column_bytes(const struct k2_arrow_column *column);

/* Appends a whole encapsulated message to out. */
void k2_arrow_put_schema(struct k2_flat *flat, const struct k2_type_node *columns, int count,
                         struct k2_buf *out);
void k2_arrow_put_batch(struct k2_flat *flat, const struct k2_arrow_column *columns, int count,
                        int64_t rows, struct k2_buf *out);

#endif
