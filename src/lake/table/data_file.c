/* data_file.c -- one data file: its place, its rows, and what the manifest will say of it. */
#include "lake/table/data_file.h"

#include "base/alloc.h"

void k2_data_writer_done(struct k2_data_writer *writer) {
    k2_parquet_writer_free(writer->parquet);
    writer->parquet = NULL;
}

static bool write_rows(struct k2_data_writer *w, struct k2_sink *sink,
                       const struct k2_metadata *metadata, const struct k2_batch *batch,
                       const uint32_t *order, uint32_t count, struct k2_file_stats *ret_stats,
                       struct k2_err *err) {
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    K2_TRY(k2_metadata_field_ids(metadata, batch->schema, ids, err));
    if (w->parquet)
        K2_TRY(k2_parquet_writer_restart(w->parquet, sink, batch->schema, ids, &w->opts, err));
    else
        w->parquet = k2_parquet_writer_new(sink, batch->schema, ids, &w->opts, err);
    return w->parquet && k2_parquet_write(w->parquet, batch, order, count, err) &&
           k2_parquet_finish(w->parquet, ret_stats, err);
}

bool k2_data_file_write(struct k2_data_writer *writer, const struct k2_metadata *metadata,
                        const struct k2_batch *batch, const uint32_t *order, uint32_t count,
                        struct k2_arena *arena, struct k2_data_file *ret_file,
                        struct k2_file_stats *ret_stats, struct k2_err *err) {
    struct k2_store *store = k2_lake_store(writer->lake);
    struct k2_buf path = {0}, uri = {0};
    *ret_file = (struct k2_data_file){.spec_id = metadata->default_spec_id};
    *ret_stats = (struct k2_file_stats){0};
    K2_TRY(k2_partition_of(metadata, batch, order ? order[0] : 0, ret_file->partition, err));
    k2_data_path(metadata, ret_file->partition, writer->random, &path);
    k2_store_uri(store, k2_buf_cstr(&path), &uri);
    ret_file->path = k2_arena_str(arena, k2_buf_view(&uri));
    struct k2_sink *sink = k2_sink_open(store, k2_buf_cstr(&path), err);
    bool ok = sink && write_rows(writer, sink, metadata, batch, order, count, ret_stats, err);
    if (ok)
        ok = k2_sink_commit(sink, err);
    else
        k2_sink_abort(sink);
    k2_buf_done(&path);
    k2_buf_done(&uri);
    if (!ok) {
        k2_file_stats_done(ret_stats);
        return k2_err_wrap(err, "write a data file of %s", batch->schema->table_name);
    }
    ret_file->record_count = ret_stats->rows;
    ret_file->file_size = ret_stats->bytes;
    ret_file->stats_count = ret_stats->stats_count;
    ret_file->stats = ret_stats->stats;
    ret_file->split_count = ret_stats->split_count;
    ret_file->split_offsets = ret_stats->split_offsets;
    ret_file->sort_order_id = writer->opts.is_sorted ? metadata->default_sort_id : 0;
    return true;
}
