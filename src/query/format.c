/* format.c -- what all formats share: types, vectors, and the way out. */
#include "query/format.h"

#include "base/alloc.h"

/* ---- types ---- */

static bool is_flat(duckdb_type id) {
    switch (id) {
    case DUCKDB_TYPE_BOOLEAN:
    case DUCKDB_TYPE_TINYINT:
    case DUCKDB_TYPE_SMALLINT:
    case DUCKDB_TYPE_INTEGER:
    case DUCKDB_TYPE_BIGINT:
    case DUCKDB_TYPE_UTINYINT:
    case DUCKDB_TYPE_USMALLINT:
    case DUCKDB_TYPE_UINTEGER:
    case DUCKDB_TYPE_UBIGINT:
    case DUCKDB_TYPE_HUGEINT:
    case DUCKDB_TYPE_FLOAT:
    case DUCKDB_TYPE_DOUBLE:
    case DUCKDB_TYPE_DATE:
    case DUCKDB_TYPE_TIME:
    case DUCKDB_TYPE_TIMESTAMP:
    case DUCKDB_TYPE_TIMESTAMP_S:
    case DUCKDB_TYPE_TIMESTAMP_MS:
    case DUCKDB_TYPE_TIMESTAMP_NS:
    case DUCKDB_TYPE_TIMESTAMP_TZ:
    case DUCKDB_TYPE_VARCHAR:
    case DUCKDB_TYPE_BLOB:
    case DUCKDB_TYPE_UUID:
    case DUCKDB_TYPE_SQLNULL: return true;
    default: return false;
    }
}

static struct k2_str take_text(struct k2_arena *arena, char *text) {
    struct k2_str copy = k2_arena_str(arena, k2_str_of(text));
    duckdb_free(text);
    return copy;
}

static void read_enum(duckdb_logical_type type, struct k2_arena *arena, struct k2_type_node *ret) {
    ret->storage = duckdb_enum_internal_type(type);
    ret->dict_count = duckdb_enum_dictionary_size(type);
    ret->dict = k2_arena_new(arena, struct k2_str, ret->dict_count);
    for (uint32_t i = 0; i < ret->dict_count; i++)
        ret->dict[i] = take_text(arena, duckdb_enum_dictionary_value(type, i));
}

static bool read_child(duckdb_logical_type child, struct k2_arena *arena, int depth,
                       struct k2_type_node *ret) {
    bool ok = k2_type_read(child, arena, depth + 1, ret);
    duckdb_destroy_logical_type(&child);
    return ok;
}

static bool read_nested(duckdb_logical_type type, struct k2_arena *arena, int depth,
                        struct k2_type_node *ret) {
    bool is_struct = ret->id == DUCKDB_TYPE_STRUCT, is_map = ret->id == DUCKDB_TYPE_MAP;
    ret->child_count = is_struct ? (int)duckdb_struct_type_child_count(type) : 1 + is_map;
    ret->children = k2_arena_new(arena, struct k2_type_node, ret->child_count);
    if (ret->id == DUCKDB_TYPE_LIST)
        return read_child(duckdb_list_type_child_type(type), arena, depth, &ret->children[0]);
    if (is_map)
        return read_child(duckdb_map_type_key_type(type), arena, depth, &ret->children[0]) &&
               read_child(duckdb_map_type_value_type(type), arena, depth, &ret->children[1]);
    if (ret->id == DUCKDB_TYPE_ARRAY) {
        ret->array_size = (uint32_t)duckdb_array_type_array_size(type);
        return read_child(duckdb_array_type_child_type(type), arena, depth, &ret->children[0]);
    }
    for (int i = 0; i < ret->child_count; i++) {
        if (!read_child(duckdb_struct_type_child_type(type, (idx_t)i), arena, depth,
                        &ret->children[i]))
            return false;
        ret->children[i].name = take_text(arena, duckdb_struct_type_child_name(type, (idx_t)i));
    }
    return true;
}

bool k2_type_read(duckdb_logical_type type, struct k2_arena *arena, int depth,
                  struct k2_type_node *ret_type) {
    *ret_type = (struct k2_type_node){.id = duckdb_get_type_id(type)};
    switch (ret_type->id) {
    case DUCKDB_TYPE_DECIMAL:
        ret_type->width = duckdb_decimal_width(type);
        ret_type->scale = duckdb_decimal_scale(type);
        ret_type->storage = duckdb_decimal_internal_type(type);
        return true;
    case DUCKDB_TYPE_ENUM: read_enum(type, arena, ret_type); return true;
    case DUCKDB_TYPE_LIST:
    case DUCKDB_TYPE_MAP:
    case DUCKDB_TYPE_STRUCT:
    case DUCKDB_TYPE_ARRAY:
        return depth < K2_TYPE_DEPTH_MAX && read_nested(type, arena, depth, ret_type);
    default: return is_flat(ret_type->id);
    }
}

/* ---- vectors ---- */

void k2_vec_new(const struct k2_type_node *type, struct k2_arena *arena, struct k2_vec *vec) {
    vec->children = k2_arena_new(arena, struct k2_vec, type->child_count);
    for (int i = 0; i < type->child_count; i++)
        k2_vec_new(&type->children[i], arena, &vec->children[i]);
}

void k2_vec_bind(const struct k2_type_node *type, duckdb_vector vector, struct k2_vec *vec) {
    vec->data = duckdb_vector_get_data(vector);
    vec->valid = duckdb_vector_get_validity(vector);
    if (type->id == DUCKDB_TYPE_LIST)
        k2_vec_bind(&type->children[0], duckdb_list_vector_get_child(vector), &vec->children[0]);
    else if (type->id == DUCKDB_TYPE_ARRAY)
        k2_vec_bind(&type->children[0], duckdb_array_vector_get_child(vector), &vec->children[0]);
    else if (type->id == DUCKDB_TYPE_MAP)
        vector = duckdb_list_vector_get_child(vector); /* a list of structs {key, value} */
    if (type->id == DUCKDB_TYPE_MAP || type->id == DUCKDB_TYPE_STRUCT)
        for (int i = 0; i < type->child_count; i++)
            k2_vec_bind(&type->children[i], duckdb_struct_vector_get_child(vector, (idx_t)i),
                        &vec->children[i]);
}

/* ---- formatters ---- */

void k2_formatter_init(struct k2_formatter *f, const struct k2_formatter_ops *ops,
                       struct k2_type_node *columns, int count, struct k2_arena *arena,
                       k2_write_fn *write, void *self) {
    *f = (struct k2_formatter){.ops = ops,
                               .column_count = count,
                               .columns = columns,
                               .arena = *arena,
                               .write = write,
                               .self = self};
    *arena = (struct k2_arena){0};
    f->vecs = k2_arena_new(&f->arena, struct k2_vec, count);
    for (int i = 0; i < count; i++)
        k2_vec_new(&columns[i], &f->arena, &f->vecs[i]);
}

void k2_formatter_done(struct k2_formatter *f) {
    if (f->ops && f->ops->done)
        f->ops->done(f);
    k2_buf_done(&f->out);
    k2_arena_done(&f->arena);
    *f = (struct k2_formatter){0};
}

bool k2_formatter_spill(struct k2_formatter *f, bool is_forced, struct k2_err *err) {
    if (f->out.len < K2_OUTPUT_BYTES && !is_forced)
        return true;
    bool ok = !f->out.len || f->write(f->self, f->out.ptr, f->out.len, err);
    k2_buf_clear(&f->out);
    return ok;
}

/* ---- bounds ---- */

/* How long a value is, roughly; nesting ends at K2_TYPE_DEPTH_MAX. */
static uint64_t size_of(const struct k2_type_node *type, const struct k2_vec *vec, uint64_t row) {
    uint64_t bytes = 8;
    if (k2_vec_is_null(vec, row))
        return bytes;
    switch (type->id) {
    case DUCKDB_TYPE_VARCHAR:
    case DUCKDB_TYPE_BLOB: return k2_cell_bytes(type, vec, row).len;
    case DUCKDB_TYPE_STRUCT:
        for (int i = 0; i < type->child_count; i++)
            bytes += size_of(&type->children[i], &vec->children[i], row);
        return bytes;
    case DUCKDB_TYPE_LIST:
    case DUCKDB_TYPE_MAP:
    case DUCKDB_TYPE_ARRAY: {
        duckdb_list_entry entry = k2_vec_entry(type, vec, row);
        for (int c = 0; c < type->child_count; c++)
            for (uint64_t i = 0; i < entry.length && bytes <= K2_CELL_MAX; i++)
                bytes += size_of(&type->children[c], &vec->children[c], entry.offset + i);
        return bytes;
    }
    default: return bytes;
    }
}

static bool has_size(const struct k2_type_node *type) {
    return type->child_count || type->id == DUCKDB_TYPE_VARCHAR || type->id == DUCKDB_TYPE_BLOB;
}

/* SQL can make values of gigabytes out of nothing; K2 does not write those. */
static bool check_sizes(const struct k2_formatter *f, uint64_t count, struct k2_err *err) {
    for (int i = 0; i < f->column_count; i++) {
        uint64_t sum = 0;
        if (!has_size(&f->columns[i]))
            continue;
        for (uint64_t row = 0; row < count; row++) {
            uint64_t bytes = size_of(&f->columns[i], &f->vecs[i], row);
            sum += bytes;
            if (bytes > K2_CELL_MAX || (sum > K2_CHUNK_MAX && f->ops == &k2_format_arrow))
                return k2_err_set(err, K2_LIMIT, "column %.*s holds values of more than %d MiB",
                                  K2_FMT(f->columns[i].name), K2_CELL_MAX >> 20);
        }
    }
    return true;
}

bool k2_formatter_begin(struct k2_formatter *f, struct k2_err *err) {
    return f->ops->begin(f, err);
}

bool k2_formatter_chunk(struct k2_formatter *f, duckdb_data_chunk chunk, uint64_t count,
                        struct k2_err *err) {
    for (int i = 0; i < f->column_count; i++)
        k2_vec_bind(&f->columns[i], duckdb_data_chunk_get_vector(chunk, (idx_t)i), &f->vecs[i]);
    return k2_formatter_rows(f, count, err);
}

bool k2_formatter_rows(struct k2_formatter *f, uint64_t count, struct k2_err *err) {
    f->row_count += (int64_t)count;
    K2_TRY(check_sizes(f, count, err));
    return f->ops->rows(f, count, err) && k2_formatter_spill(f, false, err);
}

bool k2_formatter_flush(struct k2_formatter *f, struct k2_err *err) {
    return (!f->ops->flush || f->ops->flush(f, err)) && k2_formatter_spill(f, true, err);
}

bool k2_formatter_end(struct k2_formatter *f, struct k2_err *err) {
    return f->ops->end(f, err) && k2_formatter_spill(f, true, err);
}
