/* leaf_impl.h -- what the flat and the nested half of leaf building share. */
#ifndef K2_LAKE_PARQUET_LEAF_IMPL_H
#define K2_LAKE_PARQUET_LEAF_IMPL_H

#include "lake/parquet/leaf.h"

/* The batch row of the k-th row. */
static inline uint32_t k2_pq_row(const struct k2_pq_rows *rows, uint32_t k) {
    return rows->row ? rows->row[k] : rows->first + k;
}
/* As k2_pq_leaf_build, for lists, maps and flags. */
bool k2_pq_leaf_nested(struct k2_pq_builder *builder, const struct k2_pq_rows *rows, int column,
                       struct k2_pq_leaf leaves[2], struct k2_err *err) K2_MUST;
/* INVALID with the name of the column. */
bool k2_pq_not_utf8(const struct k2_column *column, struct k2_str s, struct k2_err *err) K2_MUST;

#endif
