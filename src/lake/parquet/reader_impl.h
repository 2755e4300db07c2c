/* reader_impl.h -- an opened file and one column chunk being read. Private to lake/parquet. */
#ifndef K2_LAKE_PARQUET_READER_IMPL_H
#define K2_LAKE_PARQUET_READER_IMPL_H

#include "lake/parquet/parquet.h"
#include "lake/parquet/shape.h"
#include "lake/parquet/thrift_compact.h"

struct k2_pq_meta {
    int physical, codec;
    int64_t values, bytes, data, dictionary; /* dictionary -1: none */
    int64_t nulls;
    struct k2_str low, high; /* of the statistics; NULL: none */
};
struct k2_pq_row_group {
    int64_t rows;
    struct k2_pq_meta *chunks; /* by leaf of the file */
};
struct k2_parquet_file {
    struct k2_store *store;
    char *path;
    int64_t size, rows;
    const struct k2_schema *schema;
    struct k2_pq_shape shapes[K2_PQ_LEAVES_MAX];
    int16_t file_leaf[K2_PQ_LEAVES_MAX]; /* -1: the file lacks it */
    int leaf_count, file_leaf_count, group_count;
    struct k2_pq_row_group *groups;
    struct k2_arena arena;
    struct k2_buf footer;
};

struct k2_leaf_data {
    const struct k2_pq_shape *shape;
    const struct k2_pq_meta *chunk;
    uint8_t *def, *rep;
    int64_t *numbers;
    struct k2_span *spans; /* in text */
    uint32_t *index;       /* entry of the dictionary; UINT32_MAX: none */
    uint32_t level_count, value_count;
    size_t level_max;
    struct k2_buf text, raw, page, scratch;
    int64_t *dict_numbers;
    struct k2_span *dict_spans;
    uint32_t dict_count;
    uint32_t *ends;
};

static inline bool k2_pq_is_number(const struct k2_pq_shape *shape) {
    return shape->physical == K2_PQ_INT32 || shape->physical == K2_PQ_INT64;
}

#endif
