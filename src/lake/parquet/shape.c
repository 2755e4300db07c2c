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

static int converted_of(enum k2_type type) {
    return type == K2_TIMESTAMP  ? K2_PQ_TIMESTAMP_MICROS
           : type == K2_DECIMAL  ? K2_PQ_DECIMAL
           : k2_pq_is_utf8(type) ? K2_PQ_UTF8
                                 : -1;
}

static struct k2_pq_element group(const char *name, int repetition, int children, int converted,
                                  int32_t field_id) {
    return (struct k2_pq_element){.name = k2_str_of(name),
                                  .physical = -1,
                                  .repetition = repetition,
                                  .children = children,
                                  .converted = converted,
                                  .logical = converted == K2_PQ_MAP    ? K2_PQ_LOGICAL_MAP
                                             : converted == K2_PQ_LIST ? K2_PQ_LOGICAL_LIST
                                                                       : 0,
                                  .field_id = field_id};
}

static struct k2_pq_element leaf_element(const struct k2_pq_shape *leaf, int repetition) {
    int converted = converted_of(leaf->type);
    bool is_decimal = converted == K2_PQ_DECIMAL;
    return (struct k2_pq_element){
        .name = k2_str_of(leaf->path[leaf->path_count - 1]),
        .physical = (int)leaf->physical,
        .repetition = leaf->part == K2_PQ_FLAT ? repetition : K2_PQ_REQUIRED,
        .converted = converted,
        .logical = converted == K2_PQ_UTF8               ? K2_PQ_LOGICAL_STRING
                   : is_decimal                          ? K2_PQ_LOGICAL_DECIMAL
                   : converted == K2_PQ_TIMESTAMP_MICROS ? K2_PQ_LOGICAL_TIMESTAMP
                                                         : 0,
        .scale = is_decimal ? K2_PQ_SCALE : 0,
        .precision = is_decimal ? K2_PQ_PRECISION : 0,
        .field_id = leaf->field_id};
}

int k2_pq_elements(const struct k2_schema *schema, const struct k2_field_ids *ids,
                   struct k2_pq_element elements[K2_PQ_ELEMENTS_MAX]) {
    struct k2_pq_shape shapes[K2_PQ_LEAVES_MAX];
    int leaves = k2_pq_shapes(schema, ids, shapes), count = 0;
    for (int i = 0; i < leaves; i++) {
        const struct k2_pq_shape *leaf = &shapes[i];
        const struct k2_column *c = &schema->columns[leaf->column];
        int repetition = c->is_required ? K2_PQ_REQUIRED : K2_PQ_OPTIONAL;
        bool is_map = c->type == K2_MAP;
        if (leaf->part == K2_PQ_ELEMENT || leaf->part == K2_PQ_KEY) {
            elements[count++] = group(c->name, repetition, 1, is_map ? K2_PQ_MAP : K2_PQ_LIST,
                                      ids[leaf->column].id);
            elements[count++] = group(leaf->path[1], K2_PQ_REPEATED, is_map ? 2 : 1, -1, 0);
        }
        elements[count++] = leaf_element(leaf, repetition);
    }
    return count;
}
