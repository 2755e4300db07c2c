/* shape.c -- from a schema's columns to a file's leaves. */
#include "lake/parquet/shape.h"

bool k2_pq_is_nested(enum k2_type type) {
    return type == K2_LIST || type == K2_MAP || type == K2_FLAGS;
}

bool k2_pq_is_text(enum k2_type type) {
    switch (type) {
    case K2_INT32:
    case K2_INT64:
    case K2_TIMESTAMP:
    case K2_DECIMAL: return false;
    default: return true;
    }
}

bool k2_pq_is_utf8(enum k2_type type) {
    return k2_pq_is_text(type) && type != K2_BINARY;
}

static struct k2_pq_shape leaf_of(const struct k2_column *column, int index, enum k2_pq_part part,
                                  const struct k2_field_ids *ids) {
    struct k2_pq_shape leaf = {.column = index, .type = column->type, .part = part};
    leaf.physical = k2_pq_is_text(column->type) ? K2_PQ_BYTE_ARRAY
                    : column->type == K2_INT32  ? K2_PQ_INT32
                                                : K2_PQ_INT64;
    leaf.field_id = part == K2_PQ_FLAT ? ids->id : part == K2_PQ_VALUE ? ids->value : ids->inner;
    leaf.max_rep = part != K2_PQ_FLAT;
    leaf.max_def = (uint8_t)(leaf.max_rep + !column->is_required);
    leaf.path[0] = column->name;
    leaf.path_count = part == K2_PQ_FLAT ? 1 : 3;
    leaf.path[1] = part == K2_PQ_ELEMENT ? "list" : "key_value";
    leaf.path[2] = part == K2_PQ_ELEMENT ? "element" : part == K2_PQ_KEY ? "key" : "value";
    return leaf;
}

int k2_pq_shapes(const struct k2_schema *schema, const struct k2_field_ids *ids,
                 struct k2_pq_shape shapes[K2_PQ_LEAVES_MAX]) {
    int count = 0;
    K2_ASSERT(schema->column_count <= K2_COLUMNS_MAX);
    for (int i = 0; i < schema->column_count; i++) {
        const struct k2_column *column = &schema->columns[i];
        if (column->type == K2_MAP) {
            shapes[count++] = leaf_of(column, i, K2_PQ_KEY, &ids[i]);
            shapes[count++] = leaf_of(column, i, K2_PQ_VALUE, &ids[i]);
        } else
            shapes[count++] = leaf_of(
                column, i, k2_pq_is_nested(column->type) ? K2_PQ_ELEMENT : K2_PQ_FLAT, &ids[i]);
    }
    return count;
}
