/* leaf.h -- rows of a batch column, in a given order, as the levels and values of Parquet leaves.
 *
 * Invariants: values holds what is there (definition level at its maximum), def and rep have one
 * entry a level; they are NULL where their maximum is 0. All arrays are followed by K2_PQ_SLACK
 * bytes that may be read, and live until the builder's next build. Threads: a builder belongs to
 * one thread.
 */
#ifndef K2_LAKE_PARQUET_LEAF_H
#define K2_LAKE_PARQUET_LEAF_H

#include "base/err.h"
#include "lake/parquet/dictionary.h"
#include "lake/parquet/rows.h"
#include "lake/parquet/shape.h"
#include "lake/parquet/strings.h"
#include "market/batch.h"

enum k2_pq_values {
    K2_PQ_VALUES_I32,
    K2_PQ_VALUES_I64,
    K2_PQ_VALUES_TEXT,
    K2_PQ_VALUES_INDEX, /* into a dictionary of strings, all of which occur */
};

struct k2_pq_leaf {
    enum k2_pq_values kind;
    uint32_t rows, levels, values;
    const uint8_t *def, *rep;
    union {
        const int32_t *i32;
        const int64_t *i64;
        const uint32_t *index;
        struct k2_pq_text text;
    };
    const struct k2_pq_dictionary *dictionary; /* of INDEX */
    const struct k2_pq_low_high *pages;        /* of numbers, page by page; NULL: not known */
};

/* The rows of a row group: row k is batch row row[k] (NULL: first + k). */
struct k2_pq_rows {
    const struct k2_batch *batch;
    const uint32_t *row;
    uint32_t first, count;
    const struct k2_pq_packed *packed; /* where batch was taken from, if it was */
};

/* A list or map as it occurs: its elements (keys, values) lie at [first, first + count). */
struct k2_pq_cell {
    uint32_t first, count;
};

struct k2_pq_builder {
    struct k2_buf values, def, rep, index, value_index, text, spans, ends, cells, rows;
    struct k2_buf cell_map;
    struct k2_buf key_codes, value_codes;         /* elements of all cells, as entries */
    struct k2_pq_dictionary blobs, keys, strings; /* cells by their bytes; elements */
    uint32_t *code_map;                           /* symbol code to entry + 1; all 0 between uses */
    uint32_t code_map_count;
};

void k2_pq_builder_done(struct k2_pq_builder *builder);
/* Builds the leaf of a flat, list or flags column, or both leaves of a map. INVALID names the
 * column and the row of a string that is not UTF-8; LIMIT when the strings of the rows are longer
 * than 2 GiB together. */
bool k2_pq_leaf_build(struct k2_pq_builder *builder, const struct k2_pq_rows *rows, int column,
                      struct k2_pq_leaf leaves[2], struct k2_err *err) K2_MUST;

#endif
