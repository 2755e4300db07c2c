/* metadata.c -- what is asked of a table's metadata: references, look-ups, field ids. */
#include "base/alloc.h"
#include "lake/table/table_impl.h"

/* ---- counting ---- */
struct k2_fixed *k2_fixed_ref(struct k2_fixed *fixed) {
    atomic_fetch_add_explicit(&fixed->refs, 1, memory_order_relaxed);
    return fixed;
}

void k2_fixed_unref(struct k2_fixed *fixed) {
    if (!fixed || atomic_fetch_sub_explicit(&fixed->refs, 1, memory_order_acq_rel) != 1)
        return;
    k2_arena_done(&fixed->arena);
    k2_free(fixed);
}

static void piece_unref(struct k2_snapshot_piece *piece) {
    if (!piece || atomic_fetch_sub_explicit(&piece->refs, 1, memory_order_acq_rel) != 1)
        return;
    k2_arena_done(&piece->arena);
    k2_free(piece);
}

const struct k2_metadata *k2_metadata_ref(const struct k2_metadata *metadata) {
    if (metadata)
        atomic_fetch_add_explicit(&k2_metadata_impl_of(metadata)->refs, 1, memory_order_relaxed);
    return metadata;
}

void k2_metadata_unref(const struct k2_metadata *metadata) {
    if (!metadata)
        return;
    struct k2_metadata_impl *m = k2_metadata_impl_of(metadata);
    if (atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (int i = 0; i < m->pub.snapshot_count; i++)
        piece_unref(m->pieces[i]);
    k2_fixed_unref(m->fixed);
    k2_arena_done(&m->arena);
    k2_free(m);
}

/* ---- look-ups ---- */
static struct k2_str find_property(const struct k2_property *all, int count, const char *key) {
    for (int i = 0; i < count; i++)
        if (k2_str_is(all[i].key, key))
            return all[i].value;
    return (struct k2_str){0};
}

struct k2_str k2_metadata_property(const struct k2_metadata *metadata, const char *key) {
    return find_property(metadata->properties, metadata->property_count, key);
}

struct k2_str k2_snapshot_summary(const struct k2_snapshot *snapshot, const char *key) {
    return find_property(snapshot->summary, snapshot->summary_count, key);
}

const struct k2_snapshot *k2_metadata_snapshot(const struct k2_metadata *metadata, int64_t id) {
    for (int i = metadata->snapshot_count - 1; i >= 0; i--)
        if (metadata->snapshots[i].snapshot_id == id)
            return &metadata->snapshots[i];
    return NULL;
}

const struct k2_snapshot *k2_metadata_snapshot_at(const struct k2_metadata *metadata, int64_t ms) {
    int64_t id = 0, newest = INT64_MIN;
    for (int i = 0; i < metadata->log_count; i++) {
        const struct k2_log_entry *entry = &metadata->snapshot_log[i];
        if (entry->timestamp_ms > ms || entry->timestamp_ms < newest)
            continue;
        newest = entry->timestamp_ms;
        id = entry->snapshot_id;
    }
    return newest == INT64_MIN ? NULL : k2_metadata_snapshot(metadata, id);
}

const struct k2_ref *k2_metadata_find_ref(const struct k2_metadata *metadata, struct k2_str name) {
    for (int i = 0; i < metadata->ref_count; i++)
        if (k2_str_eq(metadata->refs[i].name, name))
            return &metadata->refs[i];
    return NULL;
}

const struct k2_table_schema *k2_metadata_current_schema(const struct k2_metadata *metadata) {
    for (int i = 0; i < metadata->schema_count; i++)
        if (metadata->schemas[i].schema_id == metadata->current_schema_id)
            return &metadata->schemas[i];
    return NULL;
}

const struct k2_partition_spec *k2_metadata_spec(const struct k2_metadata *metadata,
                                                 int32_t spec_id) {
    for (int i = 0; i < metadata->spec_count; i++)
        if (metadata->specs[i].spec_id == spec_id)
            return &metadata->specs[i];
    return NULL;
}

const struct k2_field *k2_schema_field(const struct k2_table_schema *schema, int32_t id) {
    for (int i = 0; i < schema->field_count; i++)
        if (schema->fields[i].id == id)
            return &schema->fields[i];
    return NULL;
}

/* ---- field ids ---- */
const char *k2_iceberg_type(enum k2_type type) {
    switch (type) {
    case K2_INT32: return "int";
    case K2_INT64: return "long";
    case K2_TIMESTAMP: return "timestamptz";
    case K2_DECIMAL: return "decimal(18, 8)";
    case K2_SYMBOL:
    case K2_ENUM:
    case K2_STRING: return "string";
    case K2_BINARY: return "binary";
    case K2_LIST:
    case K2_FLAGS: return "list";
    case K2_MAP: return "map";
    }
    return "string";
}

/* decimal(P, 8) with P >= 18. */
static bool is_wide_decimal(struct k2_str type) {
    struct k2_str rest;
    if (!k2_str_starts(type, "decimal(") || !k2_str_ends(type, ")"))
        return false;
    struct k2_str precision = k2_str_split(k2_str_make(type.ptr + 8, type.len - 9), ',', &rest);
    int64_t digits, scale;
    return rest.ptr && k2_str_to_i64(k2_str_trim(precision), &digits) &&
           k2_str_to_i64(k2_str_trim(rest), &scale) && digits >= 18 && scale == 8;
}

static bool holds(const struct k2_field *field, enum k2_type type) {
    if (type == K2_DECIMAL)
        return is_wide_decimal(field->type);
    if (type == K2_INT32 && k2_str_is(field->type, "long"))
        return true;
    if (type == K2_LIST || type == K2_FLAGS)
        return k2_str_is(field->type, "list") && k2_str_is(field->element_type, "string");
    if (type == K2_MAP)
        return k2_str_is(field->type, "map") && k2_str_is(field->element_type, "string") &&
               k2_str_is(field->value_type, "string");
    return k2_str_is(field->type, k2_iceberg_type(type));
}

int32_t k2_columns_find(struct k2_str property, struct k2_str name) {
    struct k2_str rest = property;
    while (rest.ptr) {
        struct k2_str id_text, item = k2_str_split(rest, ',', &rest);
        struct k2_str key = k2_str_split(item, ':', &id_text);
        int64_t id;
        if (k2_str_eq(key, name) && id_text.ptr && k2_str_to_i64(id_text, &id) && id > 0 &&
            id <= INT32_MAX)
            return (int32_t)id;
    }
    return 0;
}

static bool check_field(const struct k2_metadata *metadata, const struct k2_column *column,
                        const struct k2_field *field, int32_t id, struct k2_err *err) {
    const char *table = metadata->identifier.ptr;
    if (!field)
        return k2_err_set(
            err, K2_INVALID,
            "table %s: column %s (field %d) was dropped by another program; K2 cannot "
            "go on until it is there again",
            table, column->name, id);
    if (!holds(field, column->type))
        return k2_err_set(err, K2_INVALID,
                          "table %s: column %s (field %d) was changed to %.*s, which does not hold "
                          "K2's %s; K2 cannot go on until it is widened again",
                          table, column->name, id, K2_FMT(field->type),
                          k2_iceberg_type(column->type));
    if (field->is_required && !column->is_required)
        return k2_err_set(err, K2_INVALID,
                          "table %s: column %s (field %d) was made required; K2 writes NULL to it",
                          table, column->name, id);
    return true;
}

bool k2_metadata_field_ids(const struct k2_metadata *metadata, const struct k2_schema *schema,
                           struct k2_field_ids *ids, struct k2_err *err) {
    struct k2_str property = k2_metadata_property(metadata, "k2.columns");
    const struct k2_table_schema *current = k2_metadata_current_schema(metadata);
    if (!property.ptr || !current)
        return k2_err_set(err, K2_INVALID,
                          "table %s has no property k2.columns: K2 did not make it",
                          metadata->identifier.ptr);
    for (int i = 0; i < schema->column_count; i++) {
        const struct k2_column *column = &schema->columns[i];
        int32_t id = k2_columns_find(property, k2_str_of(column->name));
        if (!id)
            return k2_err_set(err, K2_INVALID,
                              "table %s: its property k2.columns does not name the column %s: the "
                              "table was made by an older K2 or for another kind",
                              metadata->identifier.ptr, column->name);
        const struct k2_field *field = k2_schema_field(current, id);
        K2_TRY(check_field(metadata, column, field, id, err));
        ids[i] = (struct k2_field_ids){.id = id};
        if (field->element_id)
            ids[i].inner = field->element_id;
        if (field->key_id) {
            ids[i].inner = field->key_id;
            ids[i].value = field->value_id;
        }
    }
    return true;
}

void k2_fixed_bind(struct k2_fixed *fixed, struct k2_str columns_property) {
    const struct k2_partition_spec *spec = NULL;
    for (int i = 0; i < fixed->spec_count; i++)
        if (fixed->specs[i].spec_id == fixed->default_spec_id)
            spec = &fixed->specs[i];
    for (int f = 0; spec && f < spec->field_count && f < K2_PARTITION_MAX; f++) {
        struct k2_bound_field *bound = &fixed->bound[f];
        bound->transform = k2_transform_parse(spec->fields[f].transform, &bound->width);
        bound->column = -1;
        for (int c = 0; fixed->kind && c < fixed->kind->column_count; c++)
            if (k2_columns_find(columns_property, k2_str_of(fixed->kind->columns[c].name)) ==
                spec->fields[f].source_id)
                bound->column = c;
    }
}
