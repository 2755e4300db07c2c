/* footer_write.c -- what follows the row groups: Bloom filters, indexes, FileMetaData, magic. */
#include "lake/parquet/thrift_compact.h"
#include "lake/parquet/writer_impl.h"

/* LogicalType is a union of structs; most are empty. */
static void put_logical(struct k2_thrift_out *t, const struct k2_pq_element *e) {
    k2_thrift_struct(t, 10);
    k2_thrift_struct(t, e->logical);
    if (e->logical == K2_PQ_LOGICAL_DECIMAL) {
        k2_thrift_i32(t, 1, e->scale);
        k2_thrift_i32(t, 2, e->precision);
    } else if (e->logical == K2_PQ_LOGICAL_TIMESTAMP) {
        k2_thrift_bool(t, 1, true); /* adjusted to UTC */
        k2_thrift_struct(t, 2);
        k2_thrift_empty_struct(t, K2_PQ_UNIT_MICROS);
        k2_thrift_end(t);
    }
    k2_thrift_end(t);
    k2_thrift_end(t);
}

static void put_element(struct k2_thrift_out *t, const struct k2_pq_element *e) {
    k2_thrift_begin(t);
    if (e->physical >= 0)
        k2_thrift_i32(t, 1, e->physical);
    if (e->repetition >= 0)
        k2_thrift_i32(t, 3, e->repetition);
    k2_thrift_str(t, 4, e->name);
    if (e->physical < 0)
        k2_thrift_i32(t, 5, e->children);
    if (e->converted >= 0)
        k2_thrift_i32(t, 6, e->converted);
    if (e->converted == K2_PQ_DECIMAL) {
        k2_thrift_i32(t, 7, e->scale);
        k2_thrift_i32(t, 8, e->precision);
    }
    if (e->field_id)
        k2_thrift_i32(t, 9, e->field_id);
    if (e->logical)
        put_logical(t, e);
    k2_thrift_end(t);
}

static void put_schema(const struct k2_parquet_writer *w, struct k2_thrift_out *t) {
    struct k2_pq_element elements[K2_PQ_ELEMENTS_MAX];
    int count = k2_pq_elements(w->schema, w->ids, elements);
    k2_thrift_list(t, 2, K2_THRIFT_STRUCT, (size_t)count + 1);
    put_element(t, &(struct k2_pq_element){.name = K2_STR("table"),
                                           .physical = -1,
                                           .repetition = -1,
                                           .children = w->schema->column_count,
                                           .converted = -1});
    for (int i = 0; i < count; i++)
        put_element(t, &elements[i]);
}

static void put_statistics(struct k2_thrift_out *t, const struct k2_pq_chunk *chunk) {
    k2_thrift_struct(t, 12);
    k2_thrift_i64(t, 3, chunk->nulls);
    if (chunk->has_bounds && chunk->has_upper)
        k2_thrift_str(t, 5, chunk->upper);
    if (chunk->has_bounds)
        k2_thrift_str(t, 6, chunk->lower);
    if (chunk->has_bounds && chunk->has_upper)
        k2_thrift_bool(t, 7, chunk->is_upper_exact);
    if (chunk->has_bounds)
        k2_thrift_bool(t, 8, chunk->is_lower_exact);
    k2_thrift_end(t);
}

static void put_page_counts(struct k2_thrift_out *t, const struct k2_pq_chunk *chunk) {
    bool has_dictionary = chunk->dictionary_offset >= 0;
    k2_thrift_list(t, 13, K2_THRIFT_STRUCT, has_dictionary ? 2 : 1);
    for (int data = has_dictionary ? 0 : 1; data < 2; data++) {
        k2_thrift_begin(t);
        k2_thrift_i32(t, 1, data ? K2_PQ_PAGE_V2 : K2_PQ_PAGE_DICTIONARY);
        k2_thrift_i32(t, 2, data ? (int32_t)chunk->encoding : K2_PQ_PLAIN);
        k2_thrift_i32(t, 3, data ? chunk->page_count : 1);
        k2_thrift_end(t);
    }
}

static void put_chunk(struct k2_thrift_out *t, const struct k2_pq_shape *shape,
                      const struct k2_pq_chunk *chunk, int64_t blooms_at) {
    bool has_dictionary = chunk->dictionary_offset >= 0, has_levels = shape->max_def > 0;
    k2_thrift_struct(t, 3);
    k2_thrift_i32(t, 1, (int32_t)shape->physical);
    k2_thrift_list(t, 2, K2_THRIFT_I32, (size_t)(1 + has_dictionary + has_levels));
    if (has_dictionary)
        k2_buf_zigzag(t->out, K2_PQ_PLAIN);
    k2_buf_zigzag(t->out, chunk->encoding);
    if (has_levels)
        k2_buf_zigzag(t->out, K2_PQ_RLE);
    k2_thrift_list(t, 3, K2_THRIFT_BINARY, (size_t)shape->path_count);
    for (int i = 0; i < shape->path_count; i++)
        k2_thrift_item_str(t, k2_str_of(shape->path[i]));
    k2_thrift_i32(t, 4, chunk->is_zstd ? K2_PQ_ZSTD : K2_PQ_UNCOMPRESSED);
    k2_thrift_i64(t, 5, chunk->levels);
    k2_thrift_i64(t, 6, chunk->plain_bytes);
    k2_thrift_i64(t, 7, chunk->bytes);
    k2_thrift_i64(t, 9, chunk->data_offset);
    if (has_dictionary)
        k2_thrift_i64(t, 11, chunk->dictionary_offset);
    put_statistics(t, chunk);
    put_page_counts(t, chunk);
    if (chunk->bloom_bytes) {
        k2_thrift_i64(t, 14, blooms_at + (int64_t)chunk->bloom_at);
        k2_thrift_i32(t, 15, chunk->bloom_bytes);
    }
    k2_thrift_end(t);
}

struct places {
    int64_t blooms, column_indexes, offset_indexes;
};

static void put_group(const struct k2_parquet_writer *w, struct k2_thrift_out *t, int number,
                      const int *sorting, int sorting_count, const struct places *at) {
    const struct k2_pq_group *group = &w->groups[number];
    k2_thrift_begin(t);
    k2_thrift_list(t, 1, K2_THRIFT_STRUCT, (size_t)w->leaf_count);
    for (int i = 0; i < w->leaf_count; i++) {
        const struct k2_pq_chunk *chunk = &group->chunks[i];
        k2_thrift_begin(t);
        k2_thrift_i64(t, 2, 0); /* file_offset: deprecated, but a required field */
        put_chunk(t, &w->leaves[i].shape, chunk, at->blooms);
        if (chunk->offset_index_bytes) {
            k2_thrift_i64(t, 4, at->offset_indexes + (int64_t)chunk->offset_index_at);
            k2_thrift_i32(t, 5, chunk->offset_index_bytes);
        }
        if (chunk->column_index_bytes) {
            k2_thrift_i64(t, 6, at->column_indexes + (int64_t)chunk->column_index_at);
            k2_thrift_i32(t, 7, chunk->column_index_bytes);
        }
        k2_thrift_end(t);
    }
    k2_thrift_i64(t, 2, group->plain_bytes);
    k2_thrift_i64(t, 3, group->rows);
    if (sorting_count) {
        k2_thrift_list(t, 4, K2_THRIFT_STRUCT, (size_t)sorting_count);
        for (int i = 0; i < sorting_count; i++) {
            k2_thrift_begin(t);
            k2_thrift_i32(t, 1, sorting[i]);
            k2_thrift_bool(t, 2, false); /* descending */
            k2_thrift_bool(t, 3, true);  /* nulls first */
            k2_thrift_end(t);
        }
    }
    k2_thrift_i64(t, 5, group->offset);
    k2_thrift_i64(t, 6, group->bytes);
    k2_thrift_i16(t, 7, number);
    k2_thrift_end(t);
}

/* The leaves that sorted rows are sorted by; the promise names what the schema has of them. */
static int sorting_leaves(const struct k2_parquet_writer *w, int leaves[3]) {
    static const char *const names[] = {"symbol", "timestamp", "timestamp_nanos"};
    int count = 0;
    for (size_t n = 0; w->opts.is_sorted && n < K2_COUNT(names); n++) {
        int column = k2_schema_column(w->schema, k2_str_of(names[n]));
        if (column < 0)
            break;
        for (int i = 0; i < w->leaf_count; i++)
            if (w->leaves[i].shape.column == column)
                leaves[count++] = i;
    }
    return count;
}

static void put_metadata(const struct k2_parquet_writer *w, const struct places *at,
                         struct k2_buf *out) {
    struct k2_thrift_out t;
    int sorting[3], sorting_count = sorting_leaves(w, sorting);
    k2_thrift_open(&t, out);
    k2_thrift_i32(&t, 1, 2); /* version */
    put_schema(w, &t);
    k2_thrift_i64(&t, 3, w->rows);
    k2_thrift_list(&t, 4, K2_THRIFT_STRUCT, (size_t)w->group_count);
    for (int i = 0; i < w->group_count; i++)
        put_group(w, &t, i, sorting, sorting_count, at);
    k2_thrift_str(&t, 6, K2_STR("k2 version 1.0.0 (build k2)"));
    k2_thrift_list(&t, 7, K2_THRIFT_STRUCT, (size_t)w->leaf_count); /* column orders: by type */
    for (int i = 0; i < w->leaf_count; i++) {
        k2_thrift_begin(&t);
        k2_thrift_empty_struct(&t, 1);
        k2_thrift_end(&t);
    }
    k2_thrift_end(&t);
}

bool k2_pq_write_footer(struct k2_parquet_writer *writer, struct k2_err *err) {
    struct k2_parquet_writer *w = writer;
    struct places at = {.blooms = w->position};
    K2_TRY(k2_pq_emit(w, k2_buf_view(&w->blooms), err));
    at.column_indexes = w->position;
    K2_TRY(k2_pq_emit(w, k2_buf_view(&w->column_indexes), err));
    at.offset_indexes = w->position;
    K2_TRY(k2_pq_emit(w, k2_buf_view(&w->offset_indexes), err));
    k2_buf_clear(&w->body);
    put_metadata(w, &at, &w->body);
    if (w->body.len > INT32_MAX)
        return k2_err_set(err, K2_LIMIT, "a footer of %zu bytes: write larger row groups",
                          w->body.len);
    k2_buf_u32(&w->body, (uint32_t)w->body.len);
    k2_buf_text(&w->body, "PAR1");
    return k2_pq_emit(w, k2_buf_view(&w->body), err);
}
