/* verify.c -- a file against its own claims: footer, pages, indexes, values, order. */
#include <stdarg.h>
#include <stdio.h>

#include "lake/parquet/verify_impl.h"

enum { SLICE_ROWS = 8192 };

void k2_pq_find(const struct k2_pq_verify *v, const char *fmt, ...) {
    struct k2_buf text = {0};
    char what[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    k2_buf_printf(&text, "%s: %s", v->file->path, what);
    v->finding(v->self, k2_buf_cstr(&text));
    k2_buf_done(&text);
}

void k2_pq_find_at(const struct k2_pq_verify *v, int row_group, int leaf, const char *fmt, ...) {
    const struct k2_pq_shape *shape = &v->file->shapes[leaf];
    char what[300];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    bool is_part = shape->part == K2_PQ_KEY || shape->part == K2_PQ_VALUE;
    k2_pq_find(v, "row group %d, column %s%s%s: %s", row_group, shape->path[0], is_part ? "." : "",
               is_part ? shape->path[2] : "", what);
}

bool k2_pq_verify_fetch(struct k2_pq_verify *v, struct k2_pq_place place) {
    struct k2_err ignored;
    k2_buf_clear(&v->bytes);
    return place.offset >= 0 && place.bytes > 0 && place.offset <= v->file->size &&
           place.bytes <= v->file->size - place.offset &&
           k2_store_get_range(v->file->store, v->file->path, place.offset, place.bytes, &v->bytes,
                              &ignored);
}

/* What a file can be blamed for; everything else stops the check. */
static bool is_finding(enum k2_code code) {
    return code == K2_CORRUPT || code == K2_INVALID || code == K2_NOT_FOUND;
}

bool k2_pq_verify_take(const struct k2_pq_verify *v, const struct k2_err *why, struct k2_err *err) {
    if (is_finding(why->code))
        v->finding(v->self, why->msg);
    else if (err)
        *err = *why;
    return is_finding(why->code);
}

/* One column: its leaves' pages, and its values where those make sense. */
static bool check_column(struct k2_pq_verify *v, int group, int leaf, bool *ret_is_sound,
                         struct k2_err *err) {
    struct k2_buf pages[2] = {{0}, {0}};
    int count = v->file->shapes[leaf].part == K2_PQ_KEY ? 2 : 1;
    bool ok = true, is_sound = true;
    for (int i = 0; i < count && ok && is_sound; i++) {
        ok = k2_pq_verify_pages(v, group, leaf + i, &is_sound, err);
        k2_buf_str(&pages[i], k2_buf_view(&v->pages));
    }
    if (ok && is_sound)
        ok = k2_pq_verify_values(v, group, leaf, pages, &is_sound, err);
    k2_buf_done(&pages[0]);
    k2_buf_done(&pages[1]);
    *ret_is_sound = is_sound;
    return ok;
}

static bool check_group(struct k2_pq_verify *v, int group, struct k2_err *err) {
    bool are_sound = true;
    for (int leaf = 0; leaf < v->file->leaf_count; leaf++) {
        bool is_sound;
        if (v->file->stored[leaf].index < 0 || v->file->shapes[leaf].part == K2_PQ_VALUE)
            continue;
        K2_TRY(check_column(v, group, leaf, &is_sound, err));
        are_sound = are_sound && is_sound;
    }
    return !are_sound || k2_pq_verify_order(v, group, err);
}

bool k2_parquet_verify(struct k2_store *store, const char *path, const struct k2_schema *schema,
                       const struct k2_field_ids *ids, k2_finding_fn *finding, void *self,
                       struct k2_err *err) {
    struct k2_err why = {0};
    struct k2_pq_verify v = {.ids = ids, .finding = finding, .self = self};
    v.file = k2_parquet_open(store, path, schema, ids, &why);
    if (!v.file)
        return k2_pq_verify_take(&v, &why, err);
    int64_t most = 1;
    for (int g = 0; g < v.file->group_count; g++)
        most = K2_MAX(most, v.file->groups[g].rows);
    v.batch = k2_batch_new(schema, (uint32_t)K2_MIN(most, (int64_t)SLICE_ROWS), &v.strings);
    v.last = k2_batch_new(schema, 1, &v.strings);
    k2_pq_verify_footer(&v);
    bool ok = true;
    for (int g = 0; ok && g < v.file->group_count; g++)
        ok = check_group(&v, g, err);
    k2_batch_free(v.batch);
    k2_batch_free(v.last);
    k2_intern_done(&v.strings);
    k2_arena_done(&v.arena);
    k2_arena_done(&v.chunk_arena);
    k2_buf_done(&v.extents);
    k2_buf_done(&v.bytes);
    k2_buf_done(&v.pages);
    k2_parquet_close(v.file);
    return ok;
}
