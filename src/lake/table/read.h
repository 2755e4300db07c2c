/* read.h -- the rows of a table, one row group at a time, through K2's own Parquet reader. */
#ifndef K2_LAKE_TABLE_READ_H
#define K2_LAKE_TABLE_READ_H

#include "lake/table/table.h"

/* Given one row group's rows; batch is reused after the call. Returns false to stop early. */
typedef bool k2_rows_fn(void *self, const struct k2_batch *rows);

struct k2_read_opts {
    const struct k2_metadata *metadata; /* NULL or without a snapshot: no rows */
    const struct k2_schema *schema;
    int64_t snapshot_id; /* 0: current */
    const struct k2_predicate *predicates;
    int predicate_count;
    uint32_t columns;          /* bit per column */
    struct k2_intern *strings; /* of the batches */
};
/* Calls each for every row group of every file that may hold matching rows; rows that do not match
 * the predicates are among them. Errors: of the scan, the store and the reader. */
bool k2_table_read(struct k2_lake *lake, const struct k2_read_opts *opts, k2_rows_fn *each,
                   void *self, struct k2_err *err) K2_MUST;
/* Opens one data file of a table. Close with k2_parquet_close. */
struct k2_parquet_file *k2_table_open_file(struct k2_lake *lake, const struct k2_metadata *metadata,
                                           const struct k2_schema *schema, struct k2_str uri,
                                           struct k2_err *err) K2_MUST;

#endif
