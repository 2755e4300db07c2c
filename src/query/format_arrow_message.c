/* format_arrow_message.c -- Arrow IPC messages: the schema and record batches.
 *
 *   0xffffffff | u32 length of the metadata, padded | metadata (FlatBuffers) | body
 *
 * Slots, numbers of unions and enums are those of Arrow's Message.fbs and Schema.fbs.
 */
#include "base/alloc.h"
#include "query/format_arrow.h"

enum { HEADER_SCHEMA = 1, HEADER_RECORD_BATCH = 3, METADATA_V5 = 4 };
enum {
    TYPE_NULL = 1,
    TYPE_INT,
    TYPE_FLOATING_POINT,
    TYPE_BINARY,
    TYPE_UTF8,
    TYPE_BOOL,
    TYPE_DECIMAL,
    TYPE_DATE,
    TYPE_TIME,
    TYPE_TIMESTAMP,
    TYPE_LIST = 12,
    TYPE_STRUCT = 13,
    TYPE_MAP = 17,
};
enum { UNIT_SECOND, UNIT_MILLI, UNIT_MICRO, UNIT_NANO };

/* ---- the schema ---- */

static uint32_t put_int_type(struct k2_flat *flat, int bits, bool is_signed) {
    k2_flat_begin(flat);
    k2_flat_int(flat, 0, bits, 4);
    k2_flat_int(flat, 1, is_signed, 1);
    return k2_flat_end(flat);
}

static uint32_t put_unit_type(struct k2_flat *flat, int64_t unit) {
    k2_flat_begin(flat);
    k2_flat_int(flat, 0, unit, 2);
    return k2_flat_end(flat);
}

static uint32_t put_decimal_type(struct k2_flat *flat, int width, int scale) {
    k2_flat_begin(flat);
    k2_flat_int(flat, 0, width, 4);
    k2_flat_int(flat, 1, scale, 4);
    k2_flat_int(flat, 2, 128, 4);
    return k2_flat_end(flat);
}

static uint32_t put_time_type(struct k2_flat *flat) {
    k2_flat_begin(flat);
    k2_flat_int(flat, 0, UNIT_MICRO, 2);
    k2_flat_int(flat, 1, 64, 4);
    return k2_flat_end(flat);
}

static uint32_t put_timestamp_type(struct k2_flat *flat, int unit, bool has_zone) {
    uint32_t zone = has_zone ? k2_flat_string(flat, K2_STR("UTC")) : 0;
    k2_flat_begin(flat);
    k2_flat_int(flat, 0, unit, 2);
    if (has_zone)
        k2_flat_ref(flat, 1, zone);
    return k2_flat_end(flat);
}

static uint32_t put_empty_type(struct k2_flat *flat) {
    k2_flat_begin(flat);
    return k2_flat_end(flat);
}

static uint32_t put_type(struct k2_flat *flat, const struct k2_type_node *type, int *ret_number) {
    *ret_number = TYPE_INT;
    switch (type->id) {
    case DUCKDB_TYPE_TINYINT: return put_int_type(flat, 8, true);
    case DUCKDB_TYPE_SMALLINT: return put_int_type(flat, 16, true);
    case DUCKDB_TYPE_INTEGER: return put_int_type(flat, 32, true);
    case DUCKDB_TYPE_BIGINT: return put_int_type(flat, 64, true);
    case DUCKDB_TYPE_UTINYINT: return put_int_type(flat, 8, false);
    case DUCKDB_TYPE_USMALLINT: return put_int_type(flat, 16, false);
    case DUCKDB_TYPE_UINTEGER: return put_int_type(flat, 32, false);
    case DUCKDB_TYPE_UBIGINT: return put_int_type(flat, 64, false);
    case DUCKDB_TYPE_FLOAT: *ret_number = TYPE_FLOATING_POINT; return put_unit_type(flat, 1);
    case DUCKDB_TYPE_DOUBLE: *ret_number = TYPE_FLOATING_POINT; return put_unit_type(flat, 2);
    case DUCKDB_TYPE_HUGEINT: *ret_number = TYPE_DECIMAL; return put_decimal_type(flat, 38, 0);
    case DUCKDB_TYPE_DECIMAL:
        *ret_number = TYPE_DECIMAL;
        return put_decimal_type(flat, type->width, type->scale);
    case DUCKDB_TYPE_DATE: *ret_number = TYPE_DATE; return put_unit_type(flat, 0);
    case DUCKDB_TYPE_TIME: *ret_number = TYPE_TIME; return put_time_type(flat);
    default: break;
    }
    *ret_number = TYPE_TIMESTAMP;
    switch (type->id) {
    case DUCKDB_TYPE_TIMESTAMP_S: return put_timestamp_type(flat, UNIT_SECOND, false);
    case DUCKDB_TYPE_TIMESTAMP_MS: return put_timestamp_type(flat, UNIT_MILLI, false);
    case DUCKDB_TYPE_TIMESTAMP: return put_timestamp_type(flat, UNIT_MICRO, false);
    case DUCKDB_TYPE_TIMESTAMP_NS: return put_timestamp_type(flat, UNIT_NANO, false);
    case DUCKDB_TYPE_TIMESTAMP_TZ: return put_timestamp_type(flat, UNIT_MICRO, true);
    case DUCKDB_TYPE_SQLNULL: *ret_number = TYPE_NULL; break;
    case DUCKDB_TYPE_BOOLEAN: *ret_number = TYPE_BOOL; break;
    case DUCKDB_TYPE_BLOB: *ret_number = TYPE_BINARY; break;
    case DUCKDB_TYPE_LIST:
    case DUCKDB_TYPE_ARRAY: *ret_number = TYPE_LIST; break;
    case DUCKDB_TYPE_MAP: *ret_number = TYPE_MAP; break;
    case DUCKDB_TYPE_STRUCT: *ret_number = TYPE_STRUCT; break;
    default: *ret_number = TYPE_UTF8; break;
    }
    return put_empty_type(flat);
}

struct field {
    struct k2_str name;
    bool is_nullable;
    int type_number;
    uint32_t type, children;
};

static uint32_t put_field(struct k2_flat *flat, const struct field *field) {
    uint32_t name = k2_flat_string(flat, field->name);
    k2_flat_begin(flat);
    k2_flat_ref(flat, 0, name);
    k2_flat_ref(flat, 3, field->type);
    k2_flat_ref(flat, 5, field->children);
    k2_flat_int(flat, 1, field->is_nullable, 1);
    k2_flat_int(flat, 2, field->type_number, 1);
    return k2_flat_end(flat);
}

static uint32_t put_column_field(struct k2_flat *flat, const struct k2_type_node *type,
                                 struct k2_str name, bool is_nullable);

static struct k2_str child_name(const struct k2_type_node *type, int i) {
    if (type->id == DUCKDB_TYPE_MAP)
        return i ? K2_STR("value") : K2_STR("key");
    return type->id == DUCKDB_TYPE_STRUCT ? type->children[i].name : K2_STR("item");
}

/* A map's one child is the struct of its entries. */
static uint32_t put_entries(struct k2_flat *flat, uint32_t children) {
    struct field entries = {K2_STR("entries"), false, TYPE_STRUCT, put_empty_type(flat), children};
    uint32_t ref = put_field(flat, &entries);
    return k2_flat_refs(flat, &ref, 1);
}

/* Recursion ends at K2_TYPE_DEPTH_MAX. */
static uint32_t put_column_field(struct k2_flat *flat, const struct k2_type_node *type,
                                 struct k2_str name, bool is_nullable) {
    bool is_map = type->id == DUCKDB_TYPE_MAP;
    uint32_t *refs = k2_new_array(uint32_t, (size_t)type->child_count + 1);
    for (int i = 0; i < type->child_count; i++)
        refs[i] = put_column_field(flat, &type->children[i], child_name(type, i), !is_map || i);
    struct field field = {.name = name, .is_nullable = is_nullable};
    field.children = k2_flat_refs(flat, refs, (size_t)type->child_count);
    k2_free(refs);
    if (is_map)
        field.children = put_entries(flat, field.children);
    field.type = put_type(flat, type, &field.type_number);
    return put_field(flat, &field);
}

/* ---- messages ---- */

static void put_message(struct k2_flat *flat, int header_type, uint32_t header, int64_t body,
                        struct k2_buf *out) {
    k2_flat_begin(flat);
    k2_flat_int(flat, 3, body, 8);
    k2_flat_ref(flat, 2, header);
    k2_flat_int(flat, 0, METADATA_V5, 2);
    k2_flat_int(flat, 1, header_type, 1);
    struct k2_str metadata = k2_flat_finish(flat, k2_flat_end(flat));
    k2_buf_u32(out, 0xffffffff);
    k2_buf_u32(out, (uint32_t)metadata.len);
    k2_buf_str(out, metadata);
}

void k2_arrow_put_schema(struct k2_flat *flat, const struct k2_type_node *columns, int count,
                         struct k2_buf *out) {
    k2_flat_clear(flat);
    uint32_t *refs = k2_new_array(uint32_t, (size_t)count + 1);
    for (int i = 0; i < count; i++)
        refs[i] = put_column_field(flat, &columns[i], columns[i].name, true);
    uint32_t fields = k2_flat_refs(flat, refs, (size_t)count);
    k2_free(refs);
    k2_flat_begin(flat);
    k2_flat_ref(flat, 1, fields);
    k2_flat_int(flat, 0, 0, 2);
    put_message(flat, HEADER_SCHEMA, k2_flat_end(flat), 0, out);
}

/* What a record batch says of its columns: per column and child a node, then its buffers. */
struct body {
    int64_t (*nodes)[2], (*buffers)[2];
    size_t node_count, node_cap, buffer_count, buffer_cap;
    const struct k2_buf **bytes;
    int64_t length;
};

static void add_node(struct body *b, int64_t rows, int64_t nulls) {
    if (b->node_count == b->node_cap) {
        b->node_cap = K2_MAX(b->node_cap * 2, (size_t)32);
        b->nodes = k2_realloc(b->nodes, b->node_cap * sizeof *b->nodes);
    }
    b->nodes[b->node_count][0] = rows;
    b->nodes[b->node_count++][1] = nulls;
}

/* Each buffer begins at a multiple of 8. */
static void add_buffer(struct body *b, const struct k2_buf *bytes) {
    if (b->buffer_count == b->buffer_cap) {
        b->buffer_cap = K2_MAX(b->buffer_cap * 2, (size_t)64);
        b->buffers = k2_realloc(b->buffers, b->buffer_cap * sizeof *b->buffers);
        b->bytes = k2_realloc(b->bytes, b->buffer_cap * sizeof *b->bytes);
    }
    b->buffers[b->buffer_count][0] = b->length;
    b->buffers[b->buffer_count][1] = (int64_t)bytes->len;
    b->bytes[b->buffer_count++] = bytes;
    b->length += (int64_t)(bytes->len + 7) & ~7ll;
}

static void add_column(struct body *b, const struct k2_arrow_column *c) {
    static char zero[4]; /* the one offset of a column without rows */
    static const struct k2_buf none, first_offset = {zero, sizeof zero, sizeof zero};
    add_node(b, c->rows, c->nulls);
    if (c->layout == K2_ARROW_NULL)
        return;
    add_buffer(b, &c->valid);
    if (c->layout == K2_ARROW_BYTES || c->layout == K2_ARROW_LIST || c->layout == K2_ARROW_MAP)
        add_buffer(b, c->offsets.len ? &c->offsets : &first_offset);
    if (c->layout == K2_ARROW_BIT || c->layout == K2_ARROW_FIXED || c->layout == K2_ARROW_BYTES)
        add_buffer(b, &c->data);
    if (c->layout == K2_ARROW_MAP) {
        add_node(b, c->children[0].rows, 0);
        add_buffer(b, &none);
    }
    for (int i = 0; i < c->type->child_count; i++)
        add_column(b, &c->children[i]);
}

static void put_body(const struct body *b, struct k2_buf *out) {
    static const char zeros[8];
    for (size_t i = 0; i < b->buffer_count; i++) {
        k2_buf_str(out, k2_buf_view(b->bytes[i]));
        k2_buf_append(out, zeros, (8 - b->bytes[i]->len % 8) % 8);
    }
}

void k2_arrow_put_batch(struct k2_flat *flat, const struct k2_arrow_column *columns, int count,
                        int64_t rows, struct k2_buf *out) {
    struct body body = {0};
    for (int i = 0; i < count; i++)
        add_column(&body, &columns[i]);
    k2_flat_clear(flat);
    uint32_t buffers = k2_flat_pairs(flat, (const int64_t(*)[2])body.buffers, body.buffer_count);
    uint32_t nodes = k2_flat_pairs(flat, (const int64_t(*)[2])body.nodes, body.node_count);
    k2_flat_begin(flat);
    k2_flat_int(flat, 0, rows, 8);
    k2_flat_ref(flat, 1, nodes);
    k2_flat_ref(flat, 2, buffers);
    put_message(flat, HEADER_RECORD_BATCH, k2_flat_end(flat), body.length, out);
    put_body(&body, out);
    k2_free(body.nodes);
    k2_free(body.buffers);
    k2_free(body.bytes);
}
