/* shape.h -- the leaf columns that a kind's schema becomes in a Parquet file.
 *
 * Flat columns are one leaf. A list is <name>.list.element, a map <name>.key_value.key and .value,
 * both three levels deep, their elements required. Definition levels count what may be missing: the
 * column when it is optional, then the repeated group. Threads: values.
 */
#ifndef K2_LAKE_PARQUET_SHAPE_H
#define K2_LAKE_PARQUET_SHAPE_H

#include "base/str.h"
#include "lake/parquet/format.h"
#include "market/schema.h"

enum { K2_PQ_LEAVES_MAX = 2 * K2_COLUMNS_MAX };
enum k2_pq_part { K2_PQ_FLAT, K2_PQ_ELEMENT, K2_PQ_KEY, K2_PQ_VALUE };

struct k2_pq_shape {
    int column; /* of the schema */
    enum k2_type type;
    enum k2_pq_part part;
    enum k2_pq_physical physical;
    int32_t field_id; /* of the leaf */
    uint8_t max_def, max_rep;
    int path_count;
    const char *path[3];
};

/* Fills shapes in the order of the file's leaves; returns how many. */
int k2_pq_shapes(const struct k2_schema *schema, const struct k2_field_ids *ids,
                 struct k2_pq_shape shapes[K2_PQ_LEAVES_MAX]);
/* One node of a file's schema, as K2 writes it. */
struct k2_pq_element {
    struct k2_str name;
    int physical; /* -1: a group */
    int repetition, children;
    int converted, logical; /* -1, 0: none */
    int scale, precision;   /* of decimals */
    int32_t field_id;       /* 0: none */
};
enum { K2_PQ_ELEMENTS_MAX = 4 * K2_COLUMNS_MAX, K2_PQ_SCALE = 8, K2_PQ_PRECISION = 18 };
/* Fills elements in depth-first order, without the root; returns how many. */
int k2_pq_elements(const struct k2_schema *schema, const struct k2_field_ids *ids,
                   struct k2_pq_element elements[K2_PQ_ELEMENTS_MAX]);

/* List, map and flags columns. */
bool k2_pq_is_nested(enum k2_type type);
/* Strings, as opposed to numbers. */
bool k2_pq_is_text(enum k2_type type);
/* Strings that must be UTF-8: all but K2_BINARY. */
bool k2_pq_is_utf8(enum k2_type type);

#endif
