/* verify.c -- a file against its own claims: counts, checksums, statistics. */
#include <stdio.h>

#include "lake/parquet/reader_impl.h"

struct check {
    struct k2_parquet_file *file;
    k2_finding_fn *finding;
    void *self;
};

static void find(const struct check *c, int group, const char *column, const char *what) {
    char text[300];
    snprintf(text, sizeof text, "%s: row group %d, column %s: %s", c->file->path, group, column,
             what);
    c->finding(c->self, text);
}

/* The statistics of a flat column of integers against its values. */
static void check_ints(const struct check *c, const struct k2_batch *b, int group, int column) {
    const struct k2_column *k = &b->schema->columns[column];
    const struct k2_vector *v = &b->col[column];
    for (uint32_t i = 0; i < b->rows; i++) {
        if (k2_batch_is_null(b, column, i))
            continue;
        int64_t value = k->type == K2_INT32 ? v->i32[i] : v->i64[i];
        if (!k2_parquet_may_hold_int(c->file, group, column, value, value)) {
            find(c, group, k->name, "a value lies outside the statistics");
            return;
        }
    }
}

static void check_texts(const struct check *c, const struct k2_batch *b, int group, int column) {
    const struct k2_column *k = &b->schema->columns[column];
    for (uint32_t i = 0; i < b->rows; i++) {
        if (k2_batch_is_null(b, column, i))
            continue;
        struct k2_str text = k2_batch_text(b, column, i);
        if (!k2_parquet_may_hold_str(c->file, group, column, text)) {
            find(c, group, k->name, "a value lies outside the statistics");
            return;
        }
        if (k->type != K2_BINARY && !k2_str_is_utf8(text)) {
            find(c, group, k->name, "a string is not valid UTF-8");
            return;
        }
    }
}

static void check_nulls(const struct check *c, const struct k2_batch *b, int group) {
    for (int i = 0; i < c->file->leaf_count; i++) {
        const struct k2_pq_shape *shape = &c->file->shapes[i];
        if (shape->part != K2_PQ_FLAT || c->file->stored[i].index < 0)
            continue;
        const struct k2_pq_meta *m = &c->file->groups[group].chunks[c->file->stored[i].index];
        int64_t nulls = 0;
        for (uint32_t r = 0; r < b->rows; r++)
            nulls += k2_batch_is_null(b, shape->column, r);
        if (nulls != m->nulls)
            find(c, group, b->schema->columns[shape->column].name, "the count of nulls is wrong");
    }
}

static void check_group(const struct check *c, const struct k2_batch *b, int group) {
    for (int i = 0; i < b->schema->column_count; i++)
        switch (b->schema->columns[i].type) {
        case K2_INT32:
        case K2_INT64:
        case K2_TIMESTAMP:
        case K2_DECIMAL: check_ints(c, b, group, i); break;
        case K2_SYMBOL:
        case K2_STRING:
        case K2_BINARY: check_texts(c, b, group, i); break;
        default: break;
        }
    check_nulls(c, b, group);
}

bool k2_parquet_verify(struct k2_store *store, const char *path, const struct k2_schema *schema,
                       const struct k2_field_ids *ids, k2_finding_fn *finding, void *self,
                       struct k2_err *err) {
    struct k2_err why = {0};
    struct k2_parquet_file *file = k2_parquet_open(store, path, schema, ids, &why);
    bool is_finding = why.code == K2_CORRUPT || why.code == K2_INVALID || why.code == K2_NOT_FOUND;
    if (!file && is_finding) {
        finding(self, why.msg);
        return true;
    }
    if (!file) {
        *err = why;
        return false;
    }
    struct check c = {file, finding, self};
    bool ok = true;
    for (int g = 0; ok && g < file->group_count; g++) {
        struct k2_intern strings = {0};
        struct k2_batch *b = k2_batch_new(schema, (uint32_t)file->groups[g].rows + 1, &strings);
        if (k2_parquet_read(file, g, ~0u, b, &why)) {
            check_group(&c, b, g);
        } else if (why.code == K2_CORRUPT || why.code == K2_INVALID) {
            finding(self, why.msg);
        } else {
            *err = why;
            ok = false;
        }
        k2_batch_free(b);
        k2_intern_done(&strings);
    }
    k2_parquet_close(file);
    return ok;
}
