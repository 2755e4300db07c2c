/* batch.h -- many records of one kind as columns: the unit that travels through K2.
 *
 * Invariants: rows <= rows_max; every column array has rows_max places; col[i] belongs to
 * schema->columns[i]. A batch is filled, used, cleared and reused; it owns its arrays and its text
 * and borrows its string table. Besides the columns each batch has the record's log position and
 * the time the log took it. Threads: a batch belongs to one agent at a time.
 */
#ifndef K2_MARKET_BATCH_H
#define K2_MARKET_BATCH_H

#include "base/err.h"
#include "base/intern.h"
#include "market/schema.h"

/* A piece of a batch's text. */
struct k2_span {
    uint32_t offset, len;
};

struct k2_vector {
    union {
        void *data;
        int32_t *i32;
        int64_t *i64;
        uint32_t *u32;
        uint8_t *u8;
        struct k2_span *span;
    };
    uint8_t *valid; /* one byte a row, 1 = there; NULL for required columns */
};

struct k2_batch {
    const struct k2_schema *schema;
    uint32_t rows, rows_max;
    struct k2_intern *strings; /* of the K2_SYMBOL columns; borrowed */
    struct k2_vector col[K2_COLUMNS_MAX];
    int32_t *log_partition; /* the record's position; same arrays as the columns where stored */
    int64_t *log_offset;
    int64_t *log_time_us;
    struct k2_buf text;
    void *memory; /* one block that holds all arrays */
};

/* A batch with room for rows_max rows, empty; strings outlives it. Free with k2_batch_free. */
struct k2_batch *k2_batch_new(const struct k2_schema *schema, uint32_t rows_max,
                              struct k2_intern *strings);
void k2_batch_free(struct k2_batch *batch);
void k2_batch_freep(struct k2_batch **batch);
/* No rows, no text; memory stays. */
void k2_batch_clear(struct k2_batch *batch);
/* Makes count rows from first on NULL and, where a column cannot be, zero. batch->rows stays. */
void k2_batch_zero(struct k2_batch *batch, uint32_t first, uint32_t count);
/* Copies text into the batch. LIMIT of 4 GiB of text is asserted: callers cut batches long before.
 */
struct k2_span k2_batch_put(struct k2_batch *batch, struct k2_str text);
static inline struct k2_str k2_batch_get(const struct k2_batch *batch, struct k2_span span) {
    return (struct k2_str){batch->text.ptr + span.offset, span.len};
}
static inline bool k2_batch_is_null(const struct k2_batch *batch, int column, uint32_t row) {
    return batch->col[column].valid && !batch->col[column].valid[row];
}
/* The text of a string-like value (K2_SYMBOL, K2_ENUM, K2_STRING, K2_BINARY); the value is there.
 */
struct k2_str k2_batch_text(const struct k2_batch *batch, int column, uint32_t row);
/* Copies one row of src, of the same schema, to the end of dst (which has room). Symbols are
 * translated when the string tables differ. */
void k2_batch_copy_row(struct k2_batch *dst, const struct k2_batch *src, uint32_t row);

/* The number of a row: the source's where it has one, else the platform's. c: of the batch's kind,
 * which has a platform_sequence. */
static inline int64_t k2_row_number(const struct k2_batch *batch, const struct k2_kind_columns *c,
                                    uint32_t row) {
    if (c->source_sequence >= 0 && batch->col[c->source_sequence].valid[row])
        return batch->col[c->source_sequence].i64[row];
    return batch->col[c->platform_sequence].i64[row];
}

/* Bytes of one value of a type in a column array. */
size_t k2_type_width(enum k2_type type);

/* Lists and maps lie in the text as Avro blocks: count, items, ..., 0; an empty span is empty too.
 * The writers append one block; the walkers take *cursor from 0 and return false at the end. They
 * trust the bytes: whoever takes them from outside has checked them. */
struct k2_span k2_batch_put_list(struct k2_batch *batch, const struct k2_str *items,
                                 uint32_t count);
struct k2_span k2_batch_put_map(struct k2_batch *batch, const struct k2_str *keys,
                                const struct k2_str *values, uint32_t count);
struct k2_cursor {
    size_t at;
    int64_t left;
};
bool k2_list_next(struct k2_str bytes, struct k2_cursor *cursor, struct k2_str *ret_item);
bool k2_map_next(struct k2_str bytes, struct k2_cursor *cursor, struct k2_str *ret_key,
                 struct k2_str *ret_value);

#endif
