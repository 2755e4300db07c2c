/* batch.c -- columns in one block of memory, text beside it, lists and maps as Avro blocks. */
#include "market/batch.h"

#include "base/alloc.h"

size_t k2_type_width(enum k2_type type) {
    switch (type) {
    case K2_ENUM: return 1;
    case K2_INT32:
    case K2_SYMBOL:
    case K2_FLAGS: return 4;
    default: return 8;
    }
}

static size_t padded(size_t bytes) {
    return (bytes + 63) & ~(size_t)63;
}

static size_t block_bytes(const struct k2_schema *schema, uint32_t rows_max) {
    size_t total = padded((size_t)rows_max * 4) + 2 * padded((size_t)rows_max * 8);
    for (int i = 0; i < schema->column_count; i++) {
        total += padded(rows_max * k2_type_width(schema->columns[i].type));
        if (!schema->columns[i].is_required)
            total += padded(rows_max);
    }
    return total;
}

struct k2_batch *k2_batch_new(const struct k2_schema *schema, uint32_t rows_max,
                              struct k2_intern *strings) {
    struct k2_batch *batch = k2_new(struct k2_batch);
    batch->schema = schema;
    batch->rows_max = rows_max;
    batch->strings = strings;
    char *at = batch->memory = k2_calloc(1, block_bytes(schema, rows_max));
    for (int i = 0; i < schema->column_count; i++) {
        const struct k2_column *column = &schema->columns[i];
        batch->col[i].data = at;
        at += padded(rows_max * k2_type_width(column->type));
        if (!column->is_required) {
            batch->col[i].valid = (uint8_t *)at;
            at += padded(rows_max);
        }
        if (k2_str_is(k2_str_of(column->name), "log_partition"))
            batch->log_partition = batch->col[i].i32;
        if (k2_str_is(k2_str_of(column->name), "log_offset"))
            batch->log_offset = batch->col[i].i64;
    }
    if (!batch->log_partition) {
        batch->log_partition = (int32_t *)at;
        at += padded((size_t)rows_max * 4);
        batch->log_offset = (int64_t *)at;
        at += padded((size_t)rows_max * 8);
    }
    batch->log_time_us = (int64_t *)at;
    return batch;
}

void k2_batch_free(struct k2_batch *batch) {
    if (!batch)
        return;
    k2_buf_done(&batch->text);
    k2_free(batch->memory);
    k2_free(batch);
}

void k2_batch_freep(struct k2_batch **batch) {
    k2_batch_free(*batch);
}

void k2_batch_clear(struct k2_batch *batch) {
    batch->rows = 0;
    k2_buf_clear(&batch->text);
}

void k2_batch_zero(struct k2_batch *batch, uint32_t first, uint32_t count) {
    for (int i = 0; i < batch->schema->column_count; i++) {
        size_t width = k2_type_width(batch->schema->columns[i].type);
        memset((char *)batch->col[i].data + first * width, 0, count * width);
        if (batch->col[i].valid)
            memset(batch->col[i].valid + first, 0, count);
    }
}

struct k2_span k2_batch_put(struct k2_batch *batch, struct k2_str text) {
    K2_ASSERT(batch->text.len + text.len <= UINT32_MAX);
    struct k2_span span = {(uint32_t)batch->text.len, (uint32_t)text.len};
    k2_buf_str(&batch->text, text);
    return span;
}

struct k2_str k2_batch_text(const struct k2_batch *batch, int column, uint32_t row) {
    const struct k2_vector *v = &batch->col[column];
    switch (batch->schema->columns[column].type) {
    case K2_SYMBOL: return k2_intern_str(batch->strings, v->u32[row]);
    case K2_ENUM: return k2_str_of(batch->schema->columns[column].names[v->u8[row]]);
    case K2_STRING:
    case K2_BINARY:
    case K2_LIST:
    case K2_MAP: return k2_batch_get(batch, v->span[row]);
    default: break;
    }
    K2_ASSERT(!"a column of text");
    return (struct k2_str){0};
}

static void copy_value(struct k2_batch *dst, const struct k2_batch *src, int column, uint32_t row) {
    struct k2_vector *to = &dst->col[column];
    const struct k2_vector *from = &src->col[column];
    uint32_t at = dst->rows;
    if (to->valid) {
        to->valid[at] = from->valid[row];
        if (!to->valid[at]) {
            size_t width = k2_type_width(dst->schema->columns[column].type);
            memset((char *)to->data + at * width, 0, width);
            return;
        }
    }
    switch (dst->schema->columns[column].type) {
    case K2_ENUM: to->u8[at] = from->u8[row]; break;
    case K2_INT32:
    case K2_FLAGS: to->u32[at] = from->u32[row]; break;
    case K2_SYMBOL:
        to->u32[at] =
            dst->strings == src->strings
                ? from->u32[row]
                : k2_intern_add(dst->strings, k2_intern_str(src->strings, from->u32[row]));
        break;
    case K2_INT64:
    case K2_TIMESTAMP:
    case K2_DECIMAL: to->i64[at] = from->i64[row]; break;
    case K2_STRING:
    case K2_BINARY:
    case K2_LIST:
    case K2_MAP: to->span[at] = k2_batch_put(dst, k2_batch_get(src, from->span[row])); break;
    }
}

void k2_batch_copy_row(struct k2_batch *dst, const struct k2_batch *src, uint32_t row) {
    K2_DCHECK(dst->schema == src->schema && dst->rows < dst->rows_max && row < src->rows);
    for (int i = 0; i < dst->schema->column_count; i++)
        copy_value(dst, src, i, row);
    dst->log_partition[dst->rows] = src->log_partition[row];
    dst->log_offset[dst->rows] = src->log_offset[row];
    dst->log_time_us[dst->rows] = src->log_time_us[row];
    dst->rows++;
}

static void put_string(struct k2_buf *out, struct k2_str s) {
    k2_buf_zigzag(out, (int64_t)s.len);
    k2_buf_str(out, s);
}

struct k2_span k2_batch_put_list(struct k2_batch *batch, const struct k2_str *items,
                                 uint32_t count) {
    size_t start = batch->text.len;
    if (count) {
        k2_buf_zigzag(&batch->text, count);
        for (uint32_t i = 0; i < count; i++)
            put_string(&batch->text, items[i]);
        k2_buf_byte(&batch->text, 0);
    }
    K2_ASSERT(batch->text.len <= UINT32_MAX);
    return (struct k2_span){(uint32_t)start, (uint32_t)(batch->text.len - start)};
}

struct k2_span k2_batch_put_map(struct k2_batch *batch, const struct k2_str *keys,
                                const struct k2_str *values, uint32_t count) {
    size_t start = batch->text.len;
    if (count) {
        k2_buf_zigzag(&batch->text, count);
        for (uint32_t i = 0; i < count; i++) {
            put_string(&batch->text, keys[i]);
            put_string(&batch->text, values[i]);
        }
        k2_buf_byte(&batch->text, 0);
    }
    K2_ASSERT(batch->text.len <= UINT32_MAX);
    return (struct k2_span){(uint32_t)start, (uint32_t)(batch->text.len - start)};
}

static int64_t get_zigzag(struct k2_str bytes, size_t *at) {
    uint64_t value = 0;
    for (int shift = 0; *at < bytes.len && shift < 64; shift += 7) {
        uint8_t byte = (uint8_t)bytes.ptr[(*at)++];
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            break;
    }
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static struct k2_str get_string(struct k2_str bytes, size_t *at) {
    size_t len = (size_t)get_zigzag(bytes, at);
    K2_ASSERT(len <= bytes.len - *at);
    struct k2_str s = {bytes.ptr + *at, len};
    *at += len;
    return s;
}

static bool next_item(struct k2_str bytes, struct k2_cursor *cursor) {
    if (cursor->left == 0) {
        if (cursor->at >= bytes.len)
            return false;
        cursor->left = get_zigzag(bytes, &cursor->at);
        if (cursor->left < 0) { /* a negative count is followed by the block's size in bytes */
            cursor->left = -cursor->left;
            get_zigzag(bytes, &cursor->at);
        }
        if (cursor->left == 0) {
            cursor->at = bytes.len;
            return false;
        }
    }
    cursor->left--;
    return true;
}

bool k2_list_next(struct k2_str bytes, struct k2_cursor *cursor, struct k2_str *ret_item) {
    if (!next_item(bytes, cursor))
        return false;
    *ret_item = get_string(bytes, &cursor->at);
    return true;
}

bool k2_map_next(struct k2_str bytes, struct k2_cursor *cursor, struct k2_str *ret_key,
                 struct k2_str *ret_value) {
    if (!next_item(bytes, cursor))
        return false;
    *ret_key = get_string(bytes, &cursor->at);
    *ret_value = get_string(bytes, &cursor->at);
    return true;
}
