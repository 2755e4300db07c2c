/* read.c -- scan, open, read: row groups to a callback. */
#include "lake/table/read.h"

struct k2_parquet_file *k2_table_open_file(struct k2_lake *lake, const struct k2_metadata *metadata,
                                           const struct k2_schema *schema, struct k2_str uri,
                                           struct k2_err *err) {
    struct k2_store *store = k2_lake_store(lake);
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    struct k2_buf path = {0};
    struct k2_parquet_file *file = NULL;
    if (k2_metadata_field_ids(metadata, schema, ids, err) && k2_store_path(store, uri, &path, err))
        file = k2_parquet_open(store, k2_buf_cstr(&path), schema, ids, err);
    k2_buf_done(&path);
    return file;
}

/* *batch grows to the largest row group met. */
static bool read_file(struct k2_lake *lake, const struct k2_read_opts *opts, struct k2_str uri,
                      struct k2_batch **batch, k2_rows_fn *each, void *self, bool *ret_go_on,
                      struct k2_err *err) {
    struct k2_parquet_file *file = k2_table_open_file(lake, opts->metadata, opts->schema, uri, err);
    bool ok = file != NULL;
    for (int g = 0; ok && *ret_go_on && g < k2_parquet_row_groups(file); g++) {
        int64_t rows = k2_parquet_row_group_rows(file, g);
        if (*batch && (*batch)->rows_max < rows) {
            k2_batch_free(*batch);
            *batch = NULL;
        }
        if (!*batch)
            *batch = k2_batch_new(opts->schema, (uint32_t)rows, opts->strings);
        k2_batch_clear(*batch);
        ok = k2_parquet_read(file, g, opts->columns, *batch, err);
        if (ok)
            *ret_go_on = each(self, *batch);
    }
    k2_parquet_close(file);
    return ok;
}

bool k2_table_read(struct k2_lake *lake, const struct k2_read_opts *opts, k2_rows_fn *each,
                   void *self, struct k2_err *err) {
    int64_t snapshot = opts->snapshot_id;
    if (!opts->metadata || (!snapshot && !opts->metadata->current_snapshot_id))
        return true;
    struct k2_scan scan = {0};
    struct k2_batch *batch = NULL;
    bool go_on = true;
    bool ok = k2_table_scan(lake, opts->metadata, opts->schema, snapshot, opts->predicates,
                            opts->predicate_count, &scan, err);
    for (int f = 0; ok && go_on && f < scan.file_count; f++)
        ok = read_file(lake, opts, scan.files[f].path, &batch, each, self, &go_on, err);
    k2_scan_done(&scan);
    k2_batch_free(batch);
    return ok;
}
