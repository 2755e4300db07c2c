/* verify_footer.c -- the footer by a second walk: schema, sums, paths, and where every part lies.
 */
#include <stdlib.h>

#include "lake/parquet/verify_impl.h"

enum { ELEMENTS_MAX = 8192, PATH_MAX_PARTS = 8 };

struct element {
    struct k2_pq_element is;
    bool is_utc;
    int unit;
};

/* The leaves of the file's schema, and where they stand in the tree. */
struct leaf_path {
    int count;
    struct k2_str parts[PATH_MAX_PARTS];
};

struct walk {
    struct k2_pq_verify *v;
    struct k2_thrift_in in;
    struct element *elements;
    size_t element_count;
    struct leaf_path *paths;
    int path_count;
};

/* A struct without a field it must have, or with one that has no meaning, is a broken one. */
static void need_fields(struct k2_thrift_in *in, uint32_t seen, uint32_t need, int last) {
    if (!k2_pq_fields_fit(seen, need, last))
        k2_thrift_fail(in);
}

/* ---- the schema ---- */

static void read_decimal(struct k2_thrift_in *in, struct element *e) {
    int id = 0, type;
    while ((type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP)
        if (id == 1 && k2_thrift_get_i32(in, type) != e->is.scale)
            e->is.scale = -1; /* the older and the newer way of saying it differ */
        else if (id == 2 && k2_thrift_get_i32(in, type) != e->is.precision)
            e->is.precision = -1;
        else if (id > 2)
            k2_thrift_skip(in, type);
}

static void read_timestamp(struct k2_thrift_in *in, struct element *e) {
    int id = 0, type;
    while ((type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP)
        if (id == 1) {
            e->is_utc = k2_thrift_get_bool(in, type);
        } else if (id == 2 && type == K2_THRIFT_STRUCT) {
            for (int unit = 0; (type = k2_thrift_next(in, &unit)) != K2_THRIFT_STOP;) {
                e->unit = unit;
                k2_thrift_skip(in, type);
            }
        } else {
            k2_thrift_skip(in, type);
        }
}

static void read_logical(struct k2_thrift_in *in, struct element *e) {
    int id = 0, type;
    while ((type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP) {
        e->is.logical = id;
        if (id == K2_PQ_LOGICAL_DECIMAL && type == K2_THRIFT_STRUCT)
            read_decimal(in, e);
        else if (id == K2_PQ_LOGICAL_TIMESTAMP && type == K2_THRIFT_STRUCT)
            read_timestamp(in, e);
        else
            k2_thrift_skip(in, type);
    }
}

static void read_element(struct k2_thrift_in *in, struct element *ret) {
    int id = 0, type;
    uint32_t seen = 0;
    struct k2_pq_element *e = &ret->is;
    *ret = (struct element){.is = {.physical = -1, .repetition = -1, .converted = -1}};
    for (; (type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP; k2_thrift_note(&seen, id))
        switch (id) {
        case 1: e->physical = k2_thrift_get_i32(in, type); break;
        case 3: e->repetition = k2_thrift_get_i32(in, type); break;
        case 4: e->name = k2_thrift_get_str(in, type); break;
        case 5: e->children = k2_thrift_get_i32(in, type); break;
        case 6: e->converted = k2_thrift_get_i32(in, type); break;
        case 7: e->scale = k2_thrift_get_i32(in, type); break;
        case 8: e->precision = k2_thrift_get_i32(in, type); break;
        case 9: e->field_id = k2_thrift_get_i32(in, type); break;
        case 10:
            if (k2_thrift_get_struct(in, type))
                read_logical(in, ret);
            break;
        default: k2_thrift_skip(in, type);
        }
    need_fields(in, seen, 1u << 4, 10);
}

/* What an element says otherwise than K2's schema does; NULL: nothing. */
static const char *difference(const struct element *e, const struct k2_pq_element *want) {
    bool is_timestamp = want->logical == K2_PQ_LOGICAL_TIMESTAMP;
    bool is_plain_int =
        e->is.converted == (want->physical == K2_PQ_INT32 ? K2_PQ_INT_32 : K2_PQ_INT_64) &&
        want->converted < 0;
    if (!k2_str_eq(e->is.name, want->name))
        return "name";
    if (e->is.field_id != want->field_id)
        return "field id";
    if (e->is.physical != want->physical)
        return "type";
    if (e->is.repetition != want->repetition)
        return "repetition";
    if (e->is.children != want->children)
        return "number of children";
    if (e->is.converted != want->converted && !is_plain_int)
        return "converted type";
    if (e->is.scale != want->scale || e->is.precision != want->precision)
        return "scale or precision";
    /* The newer way of saying it may be missing, not wrong. */
    if ((e->is.logical == 0 && want->converted >= 0) || is_plain_int)
        return NULL;
    if (e->is.logical != want->logical ||
        (is_timestamp && (!e->is_utc || e->unit != K2_PQ_UNIT_MICROS)))
        return "logical type";
    return NULL;
}

/* The element of a column with a field id (or by name, where that is 0), and how many elements the
 * column has. */
static const struct k2_pq_element *find_column(const struct k2_pq_element *want, int count,
                                               int32_t field_id, struct k2_str name,
                                               int *ret_size) {
    for (int i = 0; i < count; i += *ret_size) {
        *ret_size = want[i].physical >= 0 ? 1 : 2 + want[i + 1].children;
        if (field_id ? want[i].field_id == field_id : k2_str_eq(want[i].name, name))
            return &want[i];
    }
    return NULL;
}

/* A column of the file, at element first, which ends before element end. */
static void check_column(const struct walk *w, const struct k2_pq_element *want, int want_count,
                         size_t first, size_t end) {
    const struct element *e = &w->elements[first];
    int size;
    const struct k2_pq_element *column =
        e->is.field_id ? find_column(want, want_count, e->is.field_id, e->is.name, &size) : NULL;
    if (!column) {
        /* It may be a column the table once had, but not one it has. */
        column = find_column(want, want_count, 0, e->is.name, &size);
        if (column || !e->is.field_id)
            k2_pq_find(w->v, "column %.*s has field id %d, the table says %d", K2_FMT(e->is.name),
                       e->is.field_id, column ? column->field_id : 0);
        return;
    }
    for (size_t i = 0; i < (size_t)size; i++) {
        const char *what = first + i < end ? difference(e + i, column + i) : "number of children";
        if (!what)
            continue;
        k2_pq_find(w->v, "column %.*s: the schema has another %s of %.*s than the table",
                   K2_FMT(column->name), what, K2_FMT(column[i].name));
        return;
    }
}

/* The end of the subtree at an element; the paths of its leaves are noted. */
static size_t walk_column(struct walk *w, size_t first) {
    struct k2_str parts[PATH_MAX_PARTS];
    int64_t left[PATH_MAX_PARTS] = {1};
    int depth = 0; /* which levels stand open; parts[depth] is the element at hand */
    size_t at = first;
    while (at < w->element_count) {
        const struct k2_pq_element *e = &w->elements[at++].is;
        parts[depth] = e->name;
        left[depth]--;
        if (e->children > 0 && depth + 1 < PATH_MAX_PARTS) {
            left[++depth] = e->children;
            continue;
        }
        if (w->path_count < w->v->file->file_leaf_count) {
            struct leaf_path *path = &w->paths[w->path_count++];
            path->count = depth + 1;
            memcpy(path->parts, parts, (size_t)path->count * sizeof *parts);
        }
        while (depth && left[depth] <= 0)
            depth--;
        if (depth == 0)
            break;
    }
    return at;
}

static void check_schema(struct walk *w, int type) {
    struct k2_pq_element want[K2_PQ_ELEMENTS_MAX];
    int want_count = k2_pq_elements(w->v->file->schema, w->v->ids, want);
    int64_t columns = 0;
    w->element_count = k2_thrift_get_list(&w->in, type, K2_THRIFT_STRUCT);
    if (w->element_count > ELEMENTS_MAX || w->elements) {
        k2_thrift_fail(&w->in);
        return;
    }
    w->elements = k2_arena_new(&w->v->arena, struct element, w->element_count);
    for (size_t i = 0; i < w->element_count; i++)
        read_element(&w->in, &w->elements[i]);
    for (size_t at = 1, end; at < w->element_count && !w->in.failed; at = end, columns++) {
        end = walk_column(w, at);
        check_column(w, want, want_count, at, end);
        for (size_t i = 1; i < at; i++)
            if (w->elements[at].is.field_id &&
                w->elements[i].is.field_id == w->elements[at].is.field_id)
                k2_pq_find(w->v, "columns %.*s and %.*s have the same field id",
                           K2_FMT(w->elements[i].is.name), K2_FMT(w->elements[at].is.name));
    }
    if (!w->in.failed && w->element_count && columns != w->elements[0].is.children)
        k2_pq_find(w->v, "the schema says %d columns and has %lld", w->elements[0].is.children,
                   (long long)columns);
}

/* ---- row groups ---- */

/* The leaf of the schema that a leaf of the file is; -1: none. */
static int leaf_of(const struct k2_parquet_file *f, int index) {
    for (int i = 0; i < f->leaf_count; i++)
        if (f->stored[i].index == index)
            return i;
    return -1;
}

static void find_in_chunk(const struct walk *w, int group, int index, const char *what) {
    int leaf = leaf_of(w->v->file, index);
    if (leaf >= 0)
        k2_pq_find_at(w->v, group, leaf, "%s", what);
    else
        k2_pq_find(w->v, "row group %d, leaf %d: %s", group, index, what);
}

static void check_path(struct walk *w, int group, int index, int type) {
    const struct leaf_path *path = index < w->path_count ? &w->paths[index] : NULL;
    size_t count = k2_thrift_get_list(&w->in, type, K2_THRIFT_BINARY);
    bool is_same = path && count == (size_t)path->count;
    for (size_t i = 0; i < count; i++) {
        struct k2_str part = k2_thrift_get_str(&w->in, K2_THRIFT_BINARY);
        is_same = is_same && k2_str_eq(part, path->parts[i]);
    }
    if (!is_same)
        find_in_chunk(w, group, index, "the path of the chunk is not that of the schema");
}

static void read_page_counts(struct k2_thrift_in *in, int type, struct k2_pq_claims *claims) {
    int id;
    for (size_t left = k2_thrift_get_list(in, type, K2_THRIFT_STRUCT); left && !in->failed;
         left--) {
        struct k2_pq_page_count count = {-1, -1, 0};
        uint32_t seen = 0;
        for (id = 0; (type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP; k2_thrift_note(&seen, id))
            switch (id) {
            case 1: count.type = k2_thrift_get_i32(in, type); break;
            case 2: count.encoding = k2_thrift_get_i32(in, type); break;
            case 3: count.count = k2_thrift_get_i32(in, type); break;
            default: k2_thrift_skip(in, type);
            }
        need_fields(in, seen, k2_thrift_ids(1, 3), 3);
        if (claims->page_count_count == K2_PQ_PAGE_COUNTS_MAX)
            k2_thrift_fail(in);
        else
            claims->page_counts[claims->page_count_count++] = count;
    }
}

static void read_encodings(struct k2_thrift_in *in, int type, struct k2_pq_claims *claims) {
    for (size_t left = k2_thrift_get_list(in, type, K2_THRIFT_I32); left && !in->failed; left--) {
        int encoding = k2_thrift_get_i32(in, K2_THRIFT_I32);
        if (encoding < 0 || encoding >= K2_PQ_ENCODINGS)
            k2_thrift_fail(in);
        else
            claims->encodings |= 1u << encoding;
    }
}

/* The reader has looked at its values. */
static void walk_statistics(struct k2_thrift_in *in, int type) {
    int id = 0;
    uint32_t seen = 0;
    if (!k2_thrift_get_struct(in, type))
        return;
    for (; (type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP; k2_thrift_note(&seen, id))
        k2_thrift_skip(in, type);
    need_fields(in, seen, 0, 9);
}

static void walk_meta(struct walk *w, int group, int index, struct k2_pq_claims *claims) {
    int id = 0, type;
    uint32_t seen = 0;
    for (; (type = k2_thrift_next(&w->in, &id)) != K2_THRIFT_STOP; k2_thrift_note(&seen, id))
        switch (id) {
        case 2: read_encodings(&w->in, type, claims); break;
        case 3: check_path(w, group, index, type); break;
        case 6: claims->plain_bytes = k2_thrift_get_i64(&w->in, type); break;
        case 12: walk_statistics(&w->in, type); break;
        case 13: read_page_counts(&w->in, type, claims); break;
        default: k2_thrift_skip(&w->in, type);
        }
    need_fields(&w->in, seen, k2_thrift_ids(1, 7) | 1u << 9, 17);
}

static void add_extent(struct k2_pq_verify *v, int64_t start, int64_t bytes, const char *part) {
    struct k2_pq_extent extent = {start, bytes, part};
    if (bytes)
        k2_buf_append(&v->extents, &extent, sizeof extent);
}

static int64_t chunk_start(const struct k2_pq_meta *m) {
    return m->dictionary >= 0 && m->dictionary < m->data ? m->dictionary : m->data;
}

static void walk_chunk(struct walk *w, int group, int index) {
    const struct k2_pq_meta *m = &w->v->file->groups[group].chunks[index];
    struct k2_pq_claims *claims = &w->v->claims[group * w->v->file->file_leaf_count + index];
    int id = 0, type;
    uint32_t seen = 0;
    for (; (type = k2_thrift_next(&w->in, &id)) != K2_THRIFT_STOP; k2_thrift_note(&seen, id))
        if (id == 3 && type == K2_THRIFT_STRUCT) {
            walk_meta(w, group, index, claims);
        } else {
            if (id == 1)
                find_in_chunk(w, group, index, "the chunk is said to lie in another file");
            if (id == 2)
                k2_thrift_get_i64(&w->in, type);
            else
                k2_thrift_skip(&w->in, type);
        }
    need_fields(&w->in, seen, k2_thrift_ids(2, 3), 9);
    int leaf = leaf_of(w->v->file, index);
    if (leaf >= 0 && m->physical != w->v->file->stored[leaf].physical)
        find_in_chunk(w, group, index, "the type of the chunk is not that of the schema");
    add_extent(w->v, chunk_start(m), m->bytes, "a column chunk");
    add_extent(w->v, m->column_index.offset, m->column_index.bytes, "a column index");
    add_extent(w->v, m->offset_index.offset, m->offset_index.bytes, "an offset index");
    add_extent(w->v, m->bloom.offset, m->bloom.bytes, "a Bloom filter");
}

static void read_sorting(struct k2_thrift_in *in, int type, struct k2_pq_sorting *sorting) {
    int id;
    for (size_t left = k2_thrift_get_list(in, type, K2_THRIFT_STRUCT); left && !in->failed;
         left--) {
        if (sorting->count == K2_PQ_SORTING_MAX) {
            k2_thrift_fail(in);
            return;
        }
        int i = sorting->count++;
        uint32_t seen = 0;
        for (id = 0; (type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP; k2_thrift_note(&seen, id))
            switch (id) {
            case 1: sorting->by[i].leaf = k2_thrift_get_i32(in, type); break;
            case 2: sorting->by[i].is_descending = k2_thrift_get_bool(in, type); break;
            case 3: sorting->by[i].is_nulls_first = k2_thrift_get_bool(in, type); break;
            default: k2_thrift_skip(in, type);
            }
        need_fields(in, seen, k2_thrift_ids(1, 3), 3);
    }
}

/* The numbers of a row group that sum up its chunks; -1: not said. */
struct sums {
    int64_t plain_bytes, bytes, offset, ordinal;
};

static void check_sums(const struct walk *w, int group, const struct sums *said) {
    const struct k2_parquet_file *f = w->v->file;
    int64_t plain = 0, bytes = 0, start = INT64_MAX;
    for (int i = 0; i < f->file_leaf_count; i++) {
        const struct k2_pq_meta *m = &f->groups[group].chunks[i];
        plain += w->v->claims[group * f->file_leaf_count + i].plain_bytes;
        bytes += m->bytes;
        start = K2_MIN(start, chunk_start(m));
    }
    if (said->plain_bytes != plain)
        k2_pq_find(w->v, "row group %d: it says %lld bytes, its chunks say %lld", group,
                   (long long)said->plain_bytes, (long long)plain);
    if (said->bytes >= 0 && said->bytes != bytes)
        k2_pq_find(w->v, "row group %d: it says %lld compressed bytes, its chunks say %lld", group,
                   (long long)said->bytes, (long long)bytes);
    if (said->offset >= 0 && f->file_leaf_count && said->offset != start)
        k2_pq_find(w->v, "row group %d: it says it starts at %lld, its first chunk at %lld", group,
                   (long long)said->offset, (long long)start);
    if (said->ordinal >= 0 && said->ordinal != group)
        k2_pq_find(w->v, "row group %d: it says it is number %lld", group,
                   (long long)said->ordinal);
}

static void walk_group(struct walk *w, int group) {
    struct sums said = {-1, -1, -1, -1};
    struct k2_thrift_in *in = &w->in;
    int id = 0, type;
    uint32_t seen = 0;
    for (; (type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP; k2_thrift_note(&seen, id))
        switch (id) {
        case 1: {
            size_t count = k2_thrift_get_list(in, type, K2_THRIFT_STRUCT);
            for (size_t i = 0; i < count && i < (size_t)w->v->file->file_leaf_count; i++)
                walk_chunk(w, group, (int)i);
            break;
        }
        case 2: said.plain_bytes = k2_thrift_get_i64(in, type); break;
        case 4: read_sorting(in, type, &w->v->sorting[group]); break;
        case 5: said.offset = k2_thrift_get_i64(in, type); break;
        case 6: said.bytes = k2_thrift_get_i64(in, type); break;
        case 7: said.ordinal = k2_thrift_get_i16(in, type); break;
        default: k2_thrift_skip(in, type);
        }
    need_fields(in, seen, k2_thrift_ids(1, 3), 7);
    if (!in->failed)
        check_sums(w, group, &said);
}

/* ---- the file ---- */

static int compare_extents(const void *a, const void *b) {
    const struct k2_pq_extent *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

/* From the opening magic to the footer, without holes and overlaps. */
static void check_extents(struct k2_pq_verify *v) {
    struct k2_pq_extent *e = (struct k2_pq_extent *)v->extents.ptr;
    size_t count = v->extents.len / sizeof *e;
    int64_t at = 4, end = v->file->size - 8 - (int64_t)v->file->footer.len;
    if (count)
        qsort(e, count, sizeof *e, compare_extents);
    for (size_t i = 0; i < count; i++) {
        if (e[i].start < 4 || e[i].bytes < 0 || e[i].start > end || e[i].bytes > end - e[i].start) {
            k2_pq_find(v, "%s is said to lie at %lld with %lld bytes, outside of the file's data",
                       e[i].part, (long long)e[i].start, (long long)e[i].bytes);
            return;
        }
        if (e[i].start < at)
            k2_pq_find(v, "%s at %lld begins within what lies before it", e[i].part,
                       (long long)e[i].start);
        if (e[i].start > at)
            k2_pq_find(v, "the %lld bytes at %lld belong to nothing", (long long)(e[i].start - at),
                       (long long)at);
        at = K2_MAX(at, e[i].start + e[i].bytes);
    }
    if (at < end)
        k2_pq_find(v, "the %lld bytes at %lld belong to nothing", (long long)(end - at),
                   (long long)at);
}

static void check_magic(struct k2_pq_verify *v) {
    if (!k2_pq_verify_fetch(v, (struct k2_pq_place){0, 4}) || memcmp(v->bytes.ptr, "PAR1", 4) != 0)
        k2_pq_find(v, "it does not begin as a Parquet file does");
}

static void walk_file(struct walk *w) {
    struct k2_thrift_in *in = &w->in;
    struct k2_parquet_file *f = w->v->file;
    int id = 0, type;
    uint32_t seen = 0;
    for (; (type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP; k2_thrift_note(&seen, id))
        if (id == 1) {
            int version = k2_thrift_get_i32(in, type);
            if (version != 1 && version != 2)
                k2_pq_find(w->v, "the footer says version %d; there are 1 and 2", version);
        } else if (id == 2) {
            check_schema(w, type);
        } else if (id == 4) {
            size_t count = k2_thrift_get_list(in, type, K2_THRIFT_STRUCT);
            for (size_t g = 0; g < count && g < (size_t)f->group_count; g++)
                walk_group(w, (int)g);
        } else if (id == 7) {
            size_t count = k2_thrift_get_list(in, type, K2_THRIFT_STRUCT);
            if (count != (size_t)f->file_leaf_count)
                k2_pq_find(w->v, "the footer has %zu column orders for %d leaves", count,
                           f->file_leaf_count);
            for (; count && !in->failed; count--)
                k2_thrift_skip(in, K2_THRIFT_STRUCT);
        } else {
            k2_thrift_skip(in, type);
        }
    need_fields(in, seen, k2_thrift_ids(1, 4), 9);
    if (in->failed)
        k2_pq_find(w->v, "the footer has fields of another type or number than the format's");
    else if (in->at != in->end)
        k2_pq_find(w->v, "%zu bytes stand behind the footer's end", (size_t)(in->end - in->at));
}

void k2_pq_verify_footer(struct k2_pq_verify *v) {
    struct k2_parquet_file *f = v->file;
    const uint8_t *bytes = (const uint8_t *)f->footer.ptr;
    struct walk w = {.v = v,
                     .in = {bytes, bytes + f->footer.len, false},
                     .paths = k2_arena_new(&v->arena, struct leaf_path, f->file_leaf_count + 1)};
    size_t chunks = (size_t)f->group_count * (size_t)f->file_leaf_count;
    v->claims = k2_arena_new(&v->arena, struct k2_pq_claims, chunks + 1);
    v->sorting = k2_arena_new(&v->arena, struct k2_pq_sorting, f->group_count + 1);
    check_magic(v);
    walk_file(&w);
    check_extents(v);
}
