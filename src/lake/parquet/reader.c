/* reader.c -- row groups, ranges of rows and slices of K2's own files back into batches. */
#include "base/alloc.h"
#include "lake/parquet/reader_impl.h"

static void put_nulls(struct k2_batch *b, int column, uint32_t base, uint32_t rows) {
    struct k2_vector *v = &b->col[column];
    size_t width = k2_type_width(b->schema->columns[column].type);
    memset((char *)v->data + base * width, 0, rows * width);
    memset(v->valid + base, 0, rows);
}

/* The next rows of a column to the end of the batch, whose row count stays. */
static bool read_next(struct k2_pq_stream *stream, struct k2_pq_stream *values,
                      struct k2_batch *batch, uint32_t rows, struct k2_err *err) {
    /* What was placed in the batch's text by an earlier read may be gone. */
    stream->round++;
    return stream->shape->part == K2_PQ_FLAT
               ? k2_pq_read_flat(stream, batch, batch->rows, rows, err)
               : k2_pq_read_nested(stream, values, batch, batch->rows, rows, err);
}

/* Rows before the first that is asked for are read to where the others will be. */
static bool pass_rows(struct k2_pq_stream *stream, struct k2_pq_stream *values,
                      struct k2_batch *batch, uint32_t rows_max, struct k2_err *err) {
    size_t text = batch->text.len;
    while (stream->rows_to_pass) {
        uint32_t rows = K2_MIN(stream->rows_to_pass, rows_max);
        K2_TRY(read_next(stream, values, batch, rows, err));
        batch->text.len = text;
        stream->rows_to_pass -= rows;
    }
    return true;
}

/* After the last row of a chunk no level may be left. */
static bool check_end(struct k2_pq_stream *stream, struct k2_err *err) {
    bool is_there = stream->block && stream->block->at < stream->block->count;
    if (!is_there)
        K2_TRY(k2_pq_stream_page(stream, &is_there, err));
    return !is_there || k2_pq_corrupt(stream, "has more rows than its row group", err);
}

/* ---- ranges ---- */

static struct k2_pq_stream *stream_of(struct k2_parquet_file *f, int which) {
    if (!f->streams[which])
        f->streams[which] = k2_pq_stream_new(f);
    return f->streams[which];
}

struct range {
    int row_group;
    uint32_t first, count;
};

static bool read_column(struct k2_parquet_file *f, const struct range *range, int leaf,
                        struct k2_batch *b, struct k2_err *err) {
    const struct k2_pq_shape *shape = &f->shapes[leaf];
    struct k2_pq_stream *s = stream_of(f, 0), *values = NULL;
    bool is_last = range->first + (int64_t)range->count == f->groups[range->row_group].rows;
    if (f->stored[leaf].index < 0) {
        put_nulls(b, shape->column, b->rows, range->count);
        return true;
    }
    K2_TRY(k2_pq_stream_start(s, range->row_group, leaf, range->first, range->count, err));
    if (shape->part == K2_PQ_KEY) {
        values = stream_of(f, 1);
        K2_TRY(k2_pq_stream_start(values, range->row_group, leaf + 1, range->first, range->count,
                                  err));
        if (values->rows_to_pass != s->rows_to_pass)
            return k2_pq_corrupt(s, "keys and values stand in different pages", err);
    }
    K2_TRY(pass_rows(s, values, b, range->count, err));
    K2_TRY(read_next(s, values, b, range->count, err));
    return !is_last || (check_end(s, err) && (!values || check_end(values, err)));
}

/* Room for rows, and a text to point into, be it for empty strings only. */
static bool make_room(const struct k2_parquet_file *f, struct k2_batch *batch, int64_t rows,
                      struct k2_err *err) {
    k2_buf_reserve(&batch->text, K2_PQ_SLACK);
    if (rows <= batch->rows_max - batch->rows)
        return true;
    return k2_err_set(err, K2_LIMIT, "%s: %lld rows do not fit a batch that has room for %u",
                      f->path, (long long)rows, batch->rows_max - batch->rows);
}

bool k2_parquet_read_rows(struct k2_parquet_file *file, int row_group, uint32_t first,
                          uint32_t count, uint32_t columns, struct k2_batch *batch,
                          struct k2_err *err) {
    K2_ASSERT(batch->schema == file->schema && row_group < file->group_count);
    K2_ASSERT((int64_t)first + count <= file->groups[row_group].rows);
    struct range range = {row_group, first, count};
    K2_TRY(make_room(file, batch, count, err));
    if (count == 0)
        return true;
    for (int leaf = 0; leaf < file->leaf_count; leaf++) {
        const struct k2_pq_shape *shape = &file->shapes[leaf];
        if (shape->part != K2_PQ_VALUE && columns >> shape->column & 1)
            K2_TRY(read_column(file, &range, leaf, batch, err));
    }
    batch->rows += count;
    return true;
}

bool k2_parquet_read(struct k2_parquet_file *file, int row_group, uint32_t columns,
                     struct k2_batch *batch, struct k2_err *err) {
    return k2_parquet_read_rows(file, row_group, 0, (uint32_t)file->groups[row_group].rows, columns,
                                batch, err);
}

/* ---- slices ---- */

struct k2_parquet_cursor {
    struct k2_parquet_file *file;
    int row_group;
    uint32_t columns, left;
    struct k2_pq_stream *streams[K2_PQ_LEAVES_MAX]; /* by leaf; NULL: not read */
};

struct k2_parquet_cursor *k2_parquet_cursor_open(struct k2_parquet_file *file, int row_group,
                                                 uint32_t first, uint32_t columns,
                                                 struct k2_err *err) {
    K2_ASSERT(row_group < file->group_count && first <= file->groups[row_group].rows);
    struct k2_parquet_cursor *c = k2_new(struct k2_parquet_cursor);
    c->file = file;
    c->row_group = row_group;
    c->columns = columns;
    c->left = (uint32_t)file->groups[row_group].rows - first;
    for (int leaf = 0; leaf < file->leaf_count && c->left; leaf++) {
        if (!(columns >> file->shapes[leaf].column & 1) || file->stored[leaf].index < 0)
            continue;
        c->streams[leaf] = k2_pq_stream_new(file);
        if (!k2_pq_stream_start(c->streams[leaf], row_group, leaf, first, c->left, err)) {
            k2_parquet_cursor_free(c);
            return NULL;
        }
    }
    return c;
}

void k2_parquet_cursor_free(struct k2_parquet_cursor *cursor) {
    if (!cursor)
        return;
    for (int i = 0; i < K2_PQ_LEAVES_MAX; i++)
        k2_pq_stream_free(cursor->streams[i]);
    k2_free(cursor);
}

uint32_t k2_parquet_cursor_left(const struct k2_parquet_cursor *cursor) {
    return cursor->left;
}

bool k2_parquet_cursor_next(struct k2_parquet_cursor *cursor, uint32_t rows_max,
                            struct k2_batch *batch, struct k2_err *err) {
    struct k2_parquet_cursor *c = cursor;
    uint32_t rows = K2_MIN(rows_max, c->left);
    K2_ASSERT(batch->schema == c->file->schema);
    K2_TRY(make_room(c->file, batch, rows, err));
    for (int leaf = 0; leaf < c->file->leaf_count && rows; leaf++) {
        const struct k2_pq_shape *shape = &c->file->shapes[leaf];
        struct k2_pq_stream *s = c->streams[leaf];
        if (shape->part == K2_PQ_VALUE || !(c->columns >> shape->column & 1))
            continue;
        if (!s) {
            put_nulls(batch, shape->column, batch->rows, rows);
            continue;
        }
        struct k2_pq_stream *values = shape->part == K2_PQ_KEY ? c->streams[leaf + 1] : NULL;
        if (values && values->rows_to_pass != s->rows_to_pass)
            return k2_pq_corrupt(s, "keys and values stand in different pages", err);
        K2_TRY(pass_rows(s, values, batch, rows, err));
        if (values)
            values->rows_to_pass = 0;
        K2_TRY(read_next(s, values, batch, rows, err));
        if (rows == c->left)
            K2_TRY(check_end(s, err) && (!values || check_end(values, err)));
    }
    c->left -= rows;
    batch->rows += rows;
    return true;
}
