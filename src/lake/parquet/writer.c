/* writer.c -- from batches to a Parquet file: row groups, then what Iceberg wants to know of it. */
#include "base/alloc.h"
#include "lake/parquet/writer_impl.h"

enum { GROUPS_MAX = INT16_MAX };

struct k2_parquet_opts k2_parquet_defaults(void) {
    return (struct k2_parquet_opts){
        .row_group_rows = 131072, .page_rows = 65536, .zstd_level = 1, .has_page_index = true};
}

static bool check_opts(const struct k2_parquet_opts *opts, struct k2_err *err) {
    if (opts->row_group_rows == 0 || opts->page_rows == 0 || opts->row_group_rows > INT32_MAX ||
        opts->page_rows > K2_PQ_PAGE_ROWS_MAX)
        return k2_err_set(err, K2_INVALID,
                          "row groups of %u rows and pages of %u: both must be 1 or more, a row "
                          "group at most 2147483647, a page at most %d",
                          opts->row_group_rows, opts->page_rows, K2_PQ_PAGE_ROWS_MAX);
    if (opts->zstd_level < -1 || opts->zstd_level > ZSTD_maxCLevel())
        return k2_err_set(err, K2_INVALID, "zstd level %d is not between -1 (none) and %d",
                          opts->zstd_level, ZSTD_maxCLevel());
    return true;
}

struct k2_parquet_writer *k2_parquet_writer_new(struct k2_sink *sink,
                                                const struct k2_schema *schema,
                                                const struct k2_field_ids *ids,
                                                const struct k2_parquet_opts *opts,
                                                struct k2_err *err) {
    struct k2_parquet_writer *writer = k2_new(struct k2_parquet_writer);
    if (k2_parquet_writer_restart(writer, sink, schema, ids, opts, err))
        return writer;
    k2_parquet_writer_free(writer);
    return NULL;
}

static void restart_leaf(struct k2_pq_leaf_state *leaf, const struct k2_pq_shape *shape) {
    k2_buf_clear(&leaf->least);
    k2_buf_clear(&leaf->greatest);
    *leaf = (struct k2_pq_leaf_state){
        .shape = *shape, .least = leaf->least, .greatest = leaf->greatest};
}

bool k2_parquet_writer_restart(struct k2_parquet_writer *writer, struct k2_sink *sink,
                               const struct k2_schema *schema, const struct k2_field_ids *ids,
                               const struct k2_parquet_opts *opts, struct k2_err *err) {
    K2_TRY(check_opts(opts, err));
    if (writer->opts.zstd_level != opts->zstd_level)
        k2_pq_compressors_free(writer);
    writer->sink = sink;
    writer->schema = schema;
    writer->opts = *opts;
    memcpy(writer->ids, ids, (size_t)schema->column_count * sizeof *ids);
    struct k2_pq_shape shapes[K2_PQ_LEAVES_MAX];
    writer->leaf_count = k2_pq_shapes(schema, ids, shapes);
    for (int i = 0; i < writer->leaf_count; i++)
        restart_leaf(&writer->leaves[i], &shapes[i]);
    writer->position = writer->rows = 0;
    writer->group_count = 0;
    k2_arena_reset(&writer->arena);
    k2_buf_clear(&writer->blooms);
    k2_buf_clear(&writer->column_indexes);
    k2_buf_clear(&writer->offset_indexes);
    return k2_pq_emit(writer, K2_STR("PAR1"), err);
}

void k2_parquet_writer_free(struct k2_parquet_writer *writer) {
    if (!writer)
        return;
    struct k2_buf *bufs[] = {&writer->blooms, &writer->column_indexes, &writer->offset_indexes,
                             &writer->index,  &writer->body,           &writer->stored,
                             &writer->header, &writer->lengths,        &writer->seen,
                             &writer->sample, &writer->bound,          &writer->page_bounds};
    for (size_t i = 0; i < K2_COUNT(bufs); i++)
        k2_buf_done(bufs[i]);
    for (int i = 0; i < K2_PQ_LEAVES_MAX; i++) {
        k2_buf_done(&writer->leaves[i].least);
        k2_buf_done(&writer->leaves[i].greatest);
    }
    k2_pq_compressors_free(writer);
    k2_pq_builder_done(&writer->builder);
    k2_pq_packed_done(&writer->packed);
    k2_pq_dictionary_done(&writer->dictionary);
    k2_arena_done(&writer->arena);
    k2_free(writer->groups);
    k2_free(writer->pages);
    k2_free(writer);
}

static struct k2_pq_group *add_group(struct k2_parquet_writer *w) {
    if (w->group_count == w->group_cap) {
        w->group_cap = w->group_cap ? w->group_cap * 2 : 16;
        w->groups = k2_realloc(w->groups, (size_t)w->group_cap * sizeof *w->groups);
    }
    struct k2_pq_group *group = &w->groups[w->group_count++];
    *group =
        (struct k2_pq_group){.offset = w->position,
                             .chunks = k2_arena_new(&w->arena, struct k2_pq_chunk, w->leaf_count)};
    return group;
}

static bool write_group(struct k2_parquet_writer *w, const struct k2_pq_rows *rows,
                        struct k2_err *err) {
    if (w->group_count == GROUPS_MAX)
        return k2_err_set(err, K2_LIMIT, "a file has at most %d row groups: write larger ones",
                          GROUPS_MAX);
    struct k2_pq_group *group = add_group(w);
    group->rows = rows->count;
    for (int i = 0; i < w->leaf_count;) {
        struct k2_pq_leaf leaves[2];
        int column = w->leaves[i].shape.column;
        K2_TRY(k2_pq_leaf_build(&w->builder, rows, column, leaves, err));
        for (int part = 0; i < w->leaf_count && w->leaves[i].shape.column == column; part++, i++) {
            K2_TRY(k2_pq_write_chunk(w, &w->leaves[i], &leaves[part], &group->chunks[i], err));
            group->bytes += group->chunks[i].bytes;
            group->plain_bytes += group->chunks[i].plain_bytes;
        }
    }
    w->rows += rows->count;
    return true;
}

void k2_parquet_prepare(struct k2_parquet_writer *writer, const struct k2_batch *batch,
                        const uint32_t *order, uint32_t count) {
    struct k2_parquet_writer *w = writer;
    w->prepared = NULL;
    if (!count || k2_pq_pack_plan(&w->packed, batch, order, count, w->opts.row_group_rows) < count)
        return;
    k2_pq_pack(&w->packed, order, count);
    w->prepared = order;
    w->prepared_count = count;
}

static bool is_prepared(const struct k2_parquet_writer *w, const struct k2_batch *batch,
                        const uint32_t *order, uint32_t count) {
    return w->prepared && batch == w->packed.batch && order >= w->prepared &&
           order + count <= w->prepared + w->prepared_count;
}

bool k2_parquet_write(struct k2_parquet_writer *writer, const struct k2_batch *batch,
                      const uint32_t *order, uint32_t count, struct k2_err *err) {
    K2_ASSERT(batch->schema == writer->schema);
    struct k2_pq_packed *packed = &writer->packed;
    uint32_t max = writer->opts.row_group_rows, packed_to = 0, at_once = 0;
    if (order && is_prepared(writer, batch, order, count)) {
        at_once = packed_to = count;
    } else if (order) {
        writer->prepared = NULL;
        at_once = k2_pq_pack_plan(packed, batch, order, count, max);
    }
    for (uint32_t first = 0; first < count;) {
        struct k2_pq_rows rows = {
            .batch = batch, .first = first, .count = K2_MIN(max, count - first)};
        if (at_once && first == packed_to) {
            k2_pq_pack(packed, order + first, K2_MIN(at_once, count - first));
            packed_to += K2_MIN(at_once, count - first);
        }
        if (at_once)
            rows = (struct k2_pq_rows){
                .batch = k2_pq_take(packed, order + first, rows.count, writer->opts.page_rows),
                .count = rows.count,
                .packed = packed};
        else if (order)
            rows.row = order + first;
        if (!write_group(writer, &rows, err))
            return k2_err_wrap(err, "write rows %u to %u of %s", first, first + rows.count - 1,
                               batch->schema->name);
        first += rows.count;
    }
    return true;
}

static void fill_stats(const struct k2_pq_leaf_state *leaf, struct k2_column_stats *stats) {
    *stats = (struct k2_column_stats){.field_id = leaf->shape.field_id,
                                      .bytes = leaf->bytes,
                                      .value_count = leaf->levels,
                                      .null_count = leaf->nulls};
    if (leaf->shape.part != K2_PQ_FLAT || !leaf->bounds.has)
        return;
    stats->has_bounds = true;
    k2_pq_put_iceberg_bound(&leaf->shape, &leaf->bounds, false, &stats->lower);
    stats->has_upper = k2_pq_put_iceberg_bound(&leaf->shape, &leaf->bounds, true, &stats->upper);
}

bool k2_parquet_finish(struct k2_parquet_writer *writer, struct k2_file_stats *ret_stats,
                       struct k2_err *err) {
    if (!k2_pq_write_footer(writer, err))
        return k2_err_wrap(err, "write the footer of %s", writer->schema->name);
    struct k2_file_stats stats = {
        .rows = writer->rows,
        .bytes = writer->position,
        .stats_count = writer->leaf_count,
        .stats = k2_new_array(struct k2_column_stats, (size_t)writer->leaf_count),
        .split_count = writer->group_count,
        .split_offsets = k2_new_array(int64_t, (size_t)writer->group_count)};
    for (int i = 0; i < writer->leaf_count; i++)
        fill_stats(&writer->leaves[i], &stats.stats[i]);
    for (int i = 0; i < writer->group_count; i++)
        stats.split_offsets[i] = writer->groups[i].offset;
    *ret_stats = stats;
    return true;
}

void k2_file_stats_done(struct k2_file_stats *stats) {
    for (int i = 0; i < stats->stats_count; i++) {
        k2_buf_done(&stats->stats[i].lower);
        k2_buf_done(&stats->stats[i].upper);
    }
    k2_free(stats->stats);
    k2_free(stats->split_offsets);
    *stats = (struct k2_file_stats){0};
}
