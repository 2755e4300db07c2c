/* footer_read.c -- the footer of a file: which leaf is which column, and where its chunks lie. */

#include "base/alloc.h"
#include "lake/parquet/reader_impl.h"

enum {
    FOOTER_MAX = 1 << 28,
    LEAVES_MAX = 1024,
    CHUNK_BYTES_MIN = 16, /* of what the footer says of a chunk: there are 8 fields at least */
};

struct footer {
    struct k2_parquet_file *file;
    struct k2_pq_stored *leaves; /* of the file's schema */
    int leaf_count;
};

struct element {
    int physical, repetition, children;
    int32_t field_id;
};

static struct element read_element(struct k2_thrift_in *in) {
    struct element e = {-1, 0, 0, 0};
    int id = 0, type;
    while ((type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP && !in->failed)
        switch (id) {
        case 1: e.physical = k2_thrift_get_i32(in, type); break;
        case 3: e.repetition = k2_thrift_get_i32(in, type); break;
        case 5: e.children = k2_thrift_get_i32(in, type); break;
        case 9: e.field_id = k2_thrift_get_i32(in, type); break;
        default: k2_thrift_skip(in, type);
        }
    return e;
}

enum { DEPTH_MAX = 8 };

/* What lies above the elements that are read, from the root down. */
struct branch {
    int left; /* children still to come */
    uint8_t def, rep, element_def;
    bool is_column_optional;
    int32_t column_id;
};

/* The schema is its tree, written in depth-first order with the number of children at each node. */
static void read_schema(struct k2_thrift_in *in, int type, struct footer *footer) {
    struct branch branches[DEPTH_MAX] = {0};
    int depth = 0;
    size_t count = k2_thrift_get_list(in, type, K2_THRIFT_STRUCT);
    for (size_t i = 0; i < count && !in->failed; i++) {
        struct element e = read_element(in);
        if (i == 0) {
            branches[0].left = e.children;
            continue;
        }
        while (depth && branches[depth].left <= 0)
            depth--;
        struct branch next = branches[depth];
        branches[depth].left--;
        if (depth == 0) {
            next.is_column_optional = e.repetition == K2_PQ_OPTIONAL;
            next.column_id = e.field_id;
        }
        next.def += e.repetition != K2_PQ_REQUIRED;
        next.rep += e.repetition == K2_PQ_REPEATED;
        if (e.repetition == K2_PQ_REPEATED)
            next.element_def = next.def;
        next.left = e.children;
        if (e.children > 0 && ++depth < DEPTH_MAX) {
            branches[depth] = next;
        } else if (e.children > 0 || footer->leaf_count == LEAVES_MAX) {
            k2_thrift_fail(in);
        } else {
            int16_t index = (int16_t)footer->leaf_count++;
            footer->leaves[index] =
                (struct k2_pq_stored){.physical = e.physical,
                                      .field_id = e.field_id,
                                      .column_id = next.column_id,
                                      .max_def = next.def,
                                      .max_rep = next.rep,
                                      .element_def = next.element_def,
                                      .is_column_optional = next.is_column_optional,
                                      .index = index};
        }
    }
}

static void read_statistics(struct k2_thrift_in *in, int type, struct k2_pq_meta *m) {
    int id = 0;
    if (!k2_thrift_get_struct(in, type))
        return;
    while ((type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP && !in->failed)
        switch (id) {
        case 3: m->nulls = k2_thrift_get_i64(in, type); break;
        case 5: m->high = k2_thrift_get_str(in, type); break;
        case 6: m->low = k2_thrift_get_str(in, type); break;
        case 7: m->is_high_exact = k2_thrift_get_bool(in, type); break;
        case 8:
            m->is_low_exact = k2_thrift_get_bool(in, type);
            m->has_exactness = true;
            break;
        default: k2_thrift_skip(in, type);
        }
}

static void read_meta(struct k2_thrift_in *in, int type, struct k2_pq_meta *m) {
    int id = 0;
    if (!k2_thrift_get_struct(in, type))
        return;
    while ((type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP && !in->failed)
        switch (id) {
        case 1: m->physical = k2_thrift_get_i32(in, type); break;
        case 4: m->codec = k2_thrift_get_i32(in, type); break;
        case 5: m->values = k2_thrift_get_i64(in, type); break;
        case 7: m->bytes = k2_thrift_get_i64(in, type); break;
        case 9: m->data = k2_thrift_get_i64(in, type); break;
        case 11: m->dictionary = k2_thrift_get_i64(in, type); break;
        case 12: read_statistics(in, type, m); break;
        case 14: m->bloom.offset = k2_thrift_get_i64(in, type); break;
        case 15: m->bloom.bytes = k2_thrift_get_i32(in, type); break;
        default: k2_thrift_skip(in, type);
        }
}

static void read_chunk(struct k2_thrift_in *in, struct k2_pq_meta *m) {
    int id = 0, type;
    *m = (struct k2_pq_meta){.dictionary = -1, .nulls = -1};
    while ((type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP && !in->failed)
        switch (id) {
        case 3: read_meta(in, type, m); break;
        case 4: m->offset_index.offset = k2_thrift_get_i64(in, type); break;
        case 5: m->offset_index.bytes = k2_thrift_get_i32(in, type); break;
        case 6: m->column_index.offset = k2_thrift_get_i64(in, type); break;
        case 7: m->column_index.bytes = k2_thrift_get_i32(in, type); break;
        default: k2_thrift_skip(in, type);
        }
}

static void read_group(struct k2_thrift_in *in, struct footer *footer, struct k2_pq_row_group *g) {
    int id = 0, type;
    while ((type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP && !in->failed) {
        if (id == 1) {
            size_t count = k2_thrift_get_list(in, type, K2_THRIFT_STRUCT);
            if (count != (size_t)footer->leaf_count || g->chunks ||
                count * CHUNK_BYTES_MIN > (size_t)(in->end - in->at)) {
                k2_thrift_fail(in);
                return;
            }
            g->chunks = k2_arena_new(&footer->file->arena, struct k2_pq_meta, count);
            for (size_t i = 0; i < count && !in->failed; i++)
                read_chunk(in, &g->chunks[i]);
        } else if (id == 3) {
            g->rows = k2_thrift_get_i64(in, type);
        } else {
            k2_thrift_skip(in, type);
        }
    }
    if (!g->chunks || g->rows < 0 || g->rows > 1 << 28)
        k2_thrift_fail(in);
}

static bool read_footer(struct k2_thrift_in *in, struct footer *footer, struct k2_err *err) {
    struct k2_parquet_file *f = footer->file;
    int id = 0, type;
    int64_t rows = 0;
    while ((type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP && !in->failed) {
        if (id == 2) {
            read_schema(in, type, footer);
        } else if (id == 3) {
            f->rows = k2_thrift_get_i64(in, type);
        } else if (id == 4) {
            f->group_count = (int)k2_thrift_get_list(in, type, K2_THRIFT_STRUCT);
            f->groups = k2_arena_new(&f->arena, struct k2_pq_row_group, f->group_count);
            for (int g = 0; g < f->group_count && !in->failed; g++) {
                read_group(in, footer, &f->groups[g]);
                rows += f->groups[g].rows;
            }
        } else {
            k2_thrift_skip(in, type);
        }
    }
    if (in->failed)
        return k2_err_set(err, K2_CORRUPT, "%s: the footer cannot be read", f->path);
    return rows == f->rows ||
           k2_err_set(err, K2_CORRUPT, "%s: the row groups have %lld rows, the footer says %lld",
                      f->path, (long long)rows, (long long)f->rows);
}

static const char *physical_name(int physical) {
    static const char *const names[] = {"BOOLEAN", "INT32",  "INT64",      "INT96",
                                        "FLOAT",   "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"};
    return physical >= 0 && (size_t)physical < K2_COUNT(names) ? names[physical] : "of no type";
}

/* Levels may only say more than the shape wants: what is required may be optional, and the other
 * way round. */
static bool is_same_shape(const struct k2_pq_shape *shape, const struct k2_pq_stored *leaf) {
    if (leaf->max_rep != shape->max_rep || leaf->max_def > 3)
        return false;
    return shape->max_rep ? leaf->element_def == 1 + leaf->is_column_optional
                          : leaf->max_def == leaf->is_column_optional;
}

static bool match_leaves(struct footer *footer, struct k2_err *err) {
    struct k2_parquet_file *f = footer->file;
    for (int i = 0; i < f->leaf_count; i++) {
        const struct k2_pq_shape *shape = &f->shapes[i];
        const struct k2_column *c = &f->schema->columns[shape->column];
        struct k2_pq_stored *leaf = &f->stored[i];
        leaf->index = -1;
        for (int j = 0; j < footer->leaf_count; j++)
            if (footer->leaves[j].field_id == shape->field_id)
                *leaf = footer->leaves[j];
        if (shape->part == K2_PQ_VALUE && (leaf->index < 0) != (f->stored[i - 1].index < 0))
            return k2_err_set(err, K2_INVALID,
                              "%s: column %s has keys without values, or values "
                              "without keys",
                              f->path, c->name);
        if (leaf->index < 0 && c->is_required)
            return k2_err_set(err, K2_INVALID, "%s: has no column %s (field id %d)", f->path,
                              c->name, shape->field_id);
        if (leaf->index < 0)
            continue;
        if (leaf->physical != (int)shape->physical)
            return k2_err_set(err, K2_INVALID, "%s: column %s is stored as %s; K2 reads %s",
                              f->path, c->name, physical_name(leaf->physical),
                              physical_name((int)shape->physical));
        if (!is_same_shape(shape, leaf))
            return k2_err_set(err, K2_INVALID, "%s: column %s is nested in another way than K2's",
                              f->path, c->name);
    }
    f->file_leaf_count = footer->leaf_count;
    return true;
}

/* Every page has a header, so a file cannot have many more rows than it has bytes: what is made for
 * its rows is then never out of all proportion to the file. */
static bool check_sizes(const struct k2_parquet_file *f, struct k2_err *err) {
    int64_t left = f->size;
    for (int g = 0; g < f->group_count; g++)
        for (int i = 0; i < f->leaf_count; i++) {
            if (f->stored[i].index < 0)
                continue;
            const struct k2_pq_meta *m = &f->groups[g].chunks[f->stored[i].index];
            int64_t start = m->dictionary >= 0 ? K2_MIN(m->dictionary, m->data) : m->data;
            const char *name = f->schema->columns[f->shapes[i].column].name;
            if (start < 4 || m->bytes < 0 || m->bytes > f->size - start || m->bytes > left ||
                m->values < f->groups[g].rows || m->values > K2_PQ_CHUNK_LEVELS_MAX)
                return k2_err_set(err, K2_CORRUPT,
                                  "%s: row group %d, column %s: the chunk lies outside the file or "
                                  "has fewer values than rows",
                                  f->path, g, name);
            left -= m->bytes;
            int64_t pages = (f->groups[g].rows + K2_PQ_PAGE_ROWS_MAX - 1) / K2_PQ_PAGE_ROWS_MAX;
            if (pages * K2_PQ_PAGE_BYTES_MIN > m->bytes)
                return k2_err_set(
                    err, K2_CORRUPT,
                    "%s: row group %d, column %s: %lld bytes cannot hold %lld rows in "
                    "pages of at most %d",
                    f->path, g, name, (long long)m->bytes, (long long)f->groups[g].rows,
                    K2_PQ_PAGE_ROWS_MAX);
        }
    return true;
}

static bool open_footer(struct k2_parquet_file *f, struct k2_err *err) {
    struct k2_buf tail = {0};
    uint32_t bytes = 0;
    bool ok = k2_store_size(f->store, f->path, &f->size, err);
    if (ok && f->size < 12)
        ok = k2_err_set(err, K2_CORRUPT, "%s: %lld bytes are no Parquet file", f->path,
                        (long long)f->size);
    ok = ok && k2_store_get_range(f->store, f->path, f->size - 8, 8, &tail, err);
    if (ok) {
        memcpy(&bytes, tail.ptr, 4);
        if (memcmp(tail.ptr + 4, "PAR1", 4) != 0 || bytes == 0 || bytes > FOOTER_MAX ||
            bytes > f->size - 12)
            ok = k2_err_set(err, K2_CORRUPT, "%s: does not end as a Parquet file does", f->path);
    }
    ok = ok && k2_store_get_range(f->store, f->path, f->size - 8 - bytes, bytes, &f->footer, err);
    k2_buf_done(&tail);
    return ok;
}

struct k2_parquet_file *k2_parquet_open(struct k2_store *store, const char *path,
                                        const struct k2_schema *schema,
                                        const struct k2_field_ids *ids, struct k2_err *err) {
    struct k2_parquet_file *f = k2_new(struct k2_parquet_file);
    f->store = store;
    f->path = k2_strdup(path);
    f->schema = schema;
    f->leaf_count = k2_pq_shapes(schema, ids, f->shapes);
    struct footer footer = {.file = f, .leaves = k2_new_array(struct k2_pq_stored, LEAVES_MAX)};
    bool ok = open_footer(f, err);
    if (ok) {
        const uint8_t *bytes = (const uint8_t *)f->footer.ptr;
        struct k2_thrift_in in = {bytes, bytes + f->footer.len, false};
        ok = read_footer(&in, &footer, err);
    }
    ok = ok && match_leaves(&footer, err) && check_sizes(f, err);
    k2_free(footer.leaves);
    if (ok)
        return f;
    k2_parquet_close(f);
    return NULL;
}

void k2_parquet_close(struct k2_parquet_file *file) {
    if (!file)
        return;
    k2_pq_stream_free(file->streams[0]);
    k2_pq_stream_free(file->streams[1]);
    ZSTD_freeDCtx(file->zstd);
    k2_arena_done(&file->arena);
    k2_buf_done(&file->footer);
    k2_free(file->path);
    k2_free(file);
}

int64_t k2_parquet_rows(const struct k2_parquet_file *file) {
    return file->rows;
}

int k2_parquet_row_groups(const struct k2_parquet_file *file) {
    return file->group_count;
}

int64_t k2_parquet_row_group_rows(const struct k2_parquet_file *file, int row_group) {
    return file->groups[row_group].rows;
}

/* ---- pruning ---- */

static const struct k2_pq_meta *meta_of(const struct k2_parquet_file *file, int row_group,
                                        int column, const struct k2_pq_shape **ret_shape) {
    for (int i = 0; i < file->leaf_count; i++)
        if (file->shapes[i].column == column && file->shapes[i].part == K2_PQ_FLAT &&
            file->stored[i].index >= 0) {
            *ret_shape = &file->shapes[i];
            return &file->groups[row_group].chunks[file->stored[i].index];
        }
    return NULL;
}

bool k2_parquet_may_hold_int(const struct k2_parquet_file *file, int row_group, int column,
                             int64_t low, int64_t high) {
    const struct k2_pq_shape *shape;
    const struct k2_pq_meta *m = meta_of(file, row_group, column, &shape);
    if (!m)
        return true;
    size_t width = shape->physical == K2_PQ_INT64 ? 8 : 4;
    if (!m->low.ptr || !m->high.ptr || m->low.len != width || m->high.len != width)
        return m->nulls < m->values;
    int64_t least = 0, greatest = 0;
    int32_t narrow;
    memcpy(&least, m->low.ptr, width);
    memcpy(&greatest, m->high.ptr, width);
    if (width == 4) {
        memcpy(&narrow, m->low.ptr, 4);
        least = narrow;
        memcpy(&narrow, m->high.ptr, 4);
        greatest = narrow;
    }
    return greatest >= low && least <= high;
}

bool k2_parquet_may_hold_str(const struct k2_parquet_file *file, int row_group, int column,
                             struct k2_str value) {
    const struct k2_pq_shape *shape;
    const struct k2_pq_meta *m = meta_of(file, row_group, column, &shape);
    if (!m || !m->low.ptr)
        return true;
    return k2_str_cmp(m->low, value) <= 0 && (!m->high.ptr || k2_str_cmp(value, m->high) <= 0);
}
