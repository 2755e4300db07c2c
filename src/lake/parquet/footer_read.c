/* footer_read.c -- the footer of a file: which leaf is which column, and where its chunks lie. */

#include "base/alloc.h"
#include "lake/parquet/reader_impl.h"

enum { FOOTER_MAX = 1 << 28, LEAVES_MAX = 1024 };

/* One leaf of the file's schema. */
struct leaf {
    int physical;
    int32_t field_id;
    uint8_t max_def, max_rep;
};

struct footer {
    struct k2_parquet_file *file;
    struct leaf *leaves;
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

/* The schema is its tree, written in depth-first order with the number of children at each node. */
static void read_schema(struct k2_thrift_in *in, int type, struct footer *footer) {
    int item, depth = 0, left[8] = {0};
    uint8_t def[8] = {0}, rep[8] = {0};
    size_t count = k2_thrift_get_list(in, type, &item);
    for (size_t i = 0; i < count && !in->failed; i++) {
        struct element e = read_element(in);
        if (i == 0) {
            left[0] = e.children;
            continue;
        }
        while (depth && !left[depth])
            depth--;
        left[depth]--;
        uint8_t d = (uint8_t)(def[depth] + (e.repetition != K2_PQ_REQUIRED));
        uint8_t r = (uint8_t)(rep[depth] + (e.repetition == K2_PQ_REPEATED));
        if (e.children > 0) {
            if (depth + 1 == 8) {
                k2_thrift_fail(in);
                return;
            }
            depth++;
            left[depth] = e.children, def[depth] = d, rep[depth] = r;
        } else if (footer->leaf_count < LEAVES_MAX) {
            footer->leaves[footer->leaf_count++] = (struct leaf){e.physical, e.field_id, d, r};
        }
    }
}

static void read_statistics(struct k2_thrift_in *in, struct k2_pq_meta *m) {
    int id = 0, type;
    while ((type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP && !in->failed)
        switch (id) {
        case 3: m->nulls = k2_thrift_get_int(in, type); break;
        case 5: m->high = k2_thrift_get_str(in, type); break;
        case 6: m->low = k2_thrift_get_str(in, type); break;
        default: k2_thrift_skip(in, type);
        }
}

static void read_meta(struct k2_thrift_in *in, struct k2_pq_meta *m) {
    int id = 0, type;
    while ((type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP && !in->failed)
        switch (id) {
        case 1: m->physical = k2_thrift_get_i32(in, type); break;
        case 4: m->codec = k2_thrift_get_i32(in, type); break;
        case 5: m->values = k2_thrift_get_int(in, type); break;
        case 7: m->bytes = k2_thrift_get_int(in, type); break;
        case 9: m->data = k2_thrift_get_int(in, type); break;
        case 11: m->dictionary = k2_thrift_get_int(in, type); break;
        case 12: read_statistics(in, m); break;
        default: k2_thrift_skip(in, type);
        }
}

static void read_chunk(struct k2_thrift_in *in, struct k2_pq_meta *m) {
    int id = 0, type;
    m->dictionary = -1;
    while ((type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP && !in->failed) {
        if (id == 3)
            read_meta(in, m);
        else
            k2_thrift_skip(in, type);
    }
}

static void read_group(struct k2_thrift_in *in, struct footer *footer, struct k2_pq_row_group *g) {
    int id = 0, type, item;
    while ((type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP && !in->failed) {
        if (id == 1) {
            size_t count = k2_thrift_get_list(in, type, &item);
            if (count != (size_t)footer->leaf_count || g->chunks) {
                k2_thrift_fail(in);
                return;
            }
            g->chunks = k2_arena_new(&footer->file->arena, struct k2_pq_meta, count);
            for (size_t i = 0; i < count && !in->failed; i++)
                read_chunk(in, &g->chunks[i]);
        } else if (id == 3) {
            g->rows = k2_thrift_get_int(in, type);
        } else {
            k2_thrift_skip(in, type);
        }
    }
    if (!g->chunks || g->rows < 0 || g->rows > 1 << 28)
        k2_thrift_fail(in);
}

static bool read_footer(struct k2_thrift_in *in, struct footer *footer) {
    struct k2_parquet_file *f = footer->file;
    int id = 0, type, item;
    int64_t rows = 0;
    while ((type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP && !in->failed) {
        if (id == 2) {
            read_schema(in, type, footer);
        } else if (id == 3) {
            f->rows = k2_thrift_get_int(in, type);
        } else if (id == 4) {
            f->group_count = (int)k2_thrift_get_list(in, type, &item);
            f->groups = k2_arena_new(&f->arena, struct k2_pq_row_group, f->group_count);
            for (int g = 0; g < f->group_count && !in->failed; g++) {
                read_group(in, footer, &f->groups[g]);
                rows += f->groups[g].rows;
            }
        } else {
            k2_thrift_skip(in, type);
        }
    }
    return !in->failed && rows == f->rows;
}

static bool match_leaves(struct footer *footer, struct k2_err *err) {
    struct k2_parquet_file *f = footer->file;
    for (int i = 0; i < f->leaf_count; i++) {
        const struct k2_pq_shape *shape = &f->shapes[i];
        const struct k2_column *c = &f->schema->columns[shape->column];
        f->file_leaf[i] = -1;
        for (int j = 0; j < footer->leaf_count; j++)
            if (footer->leaves[j].field_id == shape->field_id)
                f->file_leaf[i] = (int16_t)j;
        if (f->file_leaf[i] < 0) {
            if (c->is_required)
                return k2_err_set(err, K2_INVALID, "%s: has no column %s (field id %d)", f->path,
                                  c->name, shape->field_id);
            continue;
        }
        const struct leaf *leaf = &footer->leaves[f->file_leaf[i]];
        if (leaf->physical != (int)shape->physical || leaf->max_def != shape->max_def ||
            leaf->max_rep != shape->max_rep)
            return k2_err_set(err, K2_INVALID, "%s: column %s is stored in another shape", f->path,
                              c->name);
    }
    f->file_leaf_count = footer->leaf_count;
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
        if (memcmp(tail.ptr + 4, "PAR1", 4) != 0 || bytes > FOOTER_MAX || bytes > f->size - 12)
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
    struct footer footer = {.file = f, .leaves = k2_new_array(struct leaf, LEAVES_MAX)};
    bool ok = open_footer(f, err);
    if (ok) {
        const uint8_t *bytes = (const uint8_t *)f->footer.ptr;
        struct k2_thrift_in in = {bytes, bytes + f->footer.len, false};
        ok = read_footer(&in, &footer) ||
             k2_err_set(err, K2_CORRUPT, "%s: the footer cannot be read", path);
    }
    ok = ok && match_leaves(&footer, err);
    k2_free(footer.leaves);
    if (ok)
        return f;
    k2_parquet_close(f);
    return NULL;
}

void k2_parquet_close(struct k2_parquet_file *file) {
    if (!file)
        return;
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
            file->file_leaf[i] >= 0) {
            *ret_shape = &file->shapes[i];
            return &file->groups[row_group].chunks[file->file_leaf[i]];
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
        return m->nulls < m->values || !m->values;
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
