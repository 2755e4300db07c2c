/* create.c -- makes the table of a kind: schema, partition spec, sort order and K2's properties. */
#include <stdio.h>

#include "base/alloc.h"
#include "lake/table/table_impl.h"

/* ---- parts of the first metadata file ---- */
static void put_type(struct k2_buf *out, enum k2_type type, const struct k2_field_ids *ids) {
    if (type == K2_LIST || type == K2_FLAGS)
        k2_buf_printf(out,
                      "{\"type\":\"list\",\"element-id\":%d,\"element\":\"string\","
                      "\"element-required\":true}",
                      ids->inner);
    else if (type == K2_MAP)
        k2_buf_printf(out,
                      "{\"type\":\"map\",\"key-id\":%d,\"key\":\"string\",\"value-id\":%d,"
                      "\"value\":\"string\",\"value-required\":true}",
                      ids->inner, ids->value);
    else
        k2_json_quote(out, k2_str_of(k2_iceberg_type(type)));
}

static void put_schema(struct k2_buf *out, const struct k2_schema *schema,
                       const struct k2_field_ids *ids) {
    k2_buf_text(out, "{\"type\":\"struct\",\"schema-id\":0,\"fields\":[");
    for (int i = 0; i < schema->column_count; i++) {
        const struct k2_column *column = &schema->columns[i];
        k2_buf_text(out, i ? ",{" : "{");
        k2_json_key_int(out, "id", ids[i].id);
        k2_json_key_str(out, "name", k2_str_of(column->name));
        k2_json_key_bool(out, "required", column->is_required);
        k2_json_key(out, "type");
        put_type(out, column->type, &ids[i]);
        if (column->doc)
            k2_json_key_str(out, "doc", k2_str_of(column->doc));
        k2_buf_byte(out, '}');
    }
    k2_buf_text(out, "]}");
}

static void default_spec(const struct k2_schema *schema, const struct k2_field_ids *ids,
                         struct k2_partition_spec *ret) {
    for (; ret->field_count < K2_PARTITION_MAX; ret->field_count++) {
        const struct k2_spec_field *field = &schema->spec[ret->field_count];
        if (field->column < 0 || !field->transform)
            return;
        ret->fields[ret->field_count] = (struct k2_partition_field){
            .source_id = ids[field->column].id,
            .field_id = 1000 + ret->field_count,
            .name = k2_str_of(field->name),
            .transform = k2_str_of(field->transform),
        };
    }
}

/* Kinds with symbol, timestamp and its nanoseconds are written in that order. Returns the id of the
 * order: 0 where there is none. */
static int put_sort_orders(struct k2_buf *out, const struct k2_schema *schema,
                           const struct k2_field_ids *ids) {
    static const char *const by[] = {"symbol", "timestamp", "timestamp_nanos"};
    bool has_all = true;
    for (size_t i = 0; i < K2_COUNT(by); i++)
        has_all &= k2_schema_column(schema, k2_str_of(by[i])) >= 0;
    k2_buf_text(out, "[{\"order-id\":0,\"fields\":[]}");
    if (has_all) {
        k2_buf_text(out, ",{\"order-id\":1,\"fields\":[");
        for (size_t i = 0; i < K2_COUNT(by); i++)
            k2_buf_printf(out,
                          "%s{\"transform\":\"identity\",\"source-id\":%d,\"direction\":\"asc\","
                          "\"null-order\":\"nulls-first\"}",
                          i ? "," : "", ids[k2_schema_column(schema, k2_str_of(by[i]))].id);
        k2_buf_text(out, "]}");
    }
    k2_buf_byte(out, ']');
    return has_all ? 1 : 0;
}

static void put_properties(struct k2_buf *out, const struct k2_lake *lake,
                           const struct k2_schema *schema, const struct k2_field_ids *ids) {
    struct k2_buf columns = {0};
    for (int i = 0; i < schema->column_count; i++)
        k2_buf_printf(&columns, "%s%s:%d", i ? "," : "", schema->columns[i].name, ids[i].id);
    k2_buf_byte(out, '{');
    k2_json_key_str(out, "k2.columns", k2_buf_view(&columns));
    k2_json_key_str(out, "k2.kind", k2_str_of(schema->name));
    k2_json_key_str(out, "write.format.default", K2_STR("parquet"));
    k2_json_key_str(out, "write.parquet.compression-codec", K2_STR("zstd"));
    k2_json_key_str(out, "write.metadata.delete-after-commit.enabled", K2_STR("false"));
    k2_json_key(out, "write.metadata.previous-versions-max");
    k2_buf_printf(out, "\"%u\"}", lake->previous_versions);
    k2_buf_done(&columns);
}

/* The JSON of the first version. */
static bool put_metadata(struct k2_lake *lake, const struct k2_schema *schema,
                         const char *partition, struct k2_str location, struct k2_buf *out,
                         struct k2_err *err) {
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    int32_t last_id = k2_schema_default_ids(schema, ids);
    struct k2_partition_field fields[K2_PARTITION_MAX];
    K2_AUTO(k2_arena_done) struct k2_arena arena = {0};
    struct k2_partition_spec spec = {.fields = fields};
    if (!partition)
        default_spec(schema, ids, &spec);
    else
        K2_TRY(k2_spec_parse(schema, ids, partition, &arena, &spec, err));
    char uuid[37];
    k2_lake_uuid(lake, uuid);
    struct k2_buf orders = {0};
    int order = put_sort_orders(&orders, schema, ids);
    k2_buf_text(out, "{\"format-version\":2");
    k2_json_key_str(out, "table-uuid", k2_str_of(uuid));
    k2_json_key_str(out, "location", location);
    k2_json_key_int(out, "last-sequence-number", 0);
    k2_json_key_int(out, "last-updated-ms", k2_now_ms(lake->clock));
    k2_json_key_int(out, "last-column-id", last_id);
    k2_json_key_int(out, "current-schema-id", 0);
    k2_buf_text(out, ",\"schemas\":[");
    put_schema(out, schema, ids);
    k2_buf_text(out, "],\"default-spec-id\":0,\"partition-specs\":[{\"spec-id\":0,\"fields\":");
    k2_spec_put(&spec, out);
    k2_buf_text(out, "}]");
    k2_json_key_int(out, "last-partition-id", 999 + spec.field_count);
    k2_json_key_int(out, "default-sort-order-id", order);
    k2_buf_text(out, ",\"sort-orders\":");
    k2_buf_str(out, k2_buf_view(&orders));
    k2_buf_text(out, ",\"properties\":");
    put_properties(out, lake, schema, ids);
    k2_buf_text(out, ",\"current-snapshot-id\":-1,\"refs\":{},\"snapshots\":[],\"statistics\":[],"
                     "\"partition-statistics\":[],\"snapshot-log\":[],\"metadata-log\":[]}");
    k2_buf_done(&orders);
    return true;
}

static bool is_there(struct k2_lake *lake, const char *table) {
    struct k2_err ignored = {0};
    struct k2_pointer pointer = {.table = table};
    bool found = k2_catalog_load(lake->catalog, &pointer, 1, &ignored) && pointer.location.len;
    k2_buf_done(&pointer.location);
    return found;
}

/* A hint is written where a table has landed. With a catalog that does not know the table, it is
 * the catalog that is gone or another one: beginning anew would hide what is there. */
static bool check_new(struct k2_lake *lake, const struct k2_schema *schema, const char *table,
                      struct k2_err *err) {
    struct k2_err why = {0};
    struct k2_buf path = {0}, uri = {0};
    struct k2_pointer pointer = {.table = table};
    int64_t bytes;
    k2_buf_printf(&path, "%s/%s/metadata/version-hint.text", schema->table_namespace,
                  schema->table_name);
    k2_store_uri(lake->store, k2_buf_cstr(&path), &uri);
    bool ok = k2_catalog_load(lake->catalog, &pointer, 1, err);
    bool has_hint = k2_store_size(lake->store, k2_buf_cstr(&path), &bytes, &why);
    if (ok && !has_hint && why.code != K2_NOT_FOUND) {
        *err = why;
        ok = false;
    }
    if (ok && has_hint && !pointer.location.len)
        ok = k2_err_set(err, K2_INVALID,
                        "the catalog does not know it, but there is %s: restore the catalog, or "
                        "move the table's folder away to begin anew",
                        k2_buf_cstr(&uri));
    k2_buf_done(&pointer.location);
    k2_buf_done(&path);
    k2_buf_done(&uri);
    return ok;
}

/* Writes the first metadata file and swaps it in. *ret_landed false: another was faster. */
static bool make_table(struct k2_lake *lake, const struct k2_schema *schema, const char *partition,
                       const char *table, bool *ret_landed, struct k2_err *err) {
    struct k2_buf path = {0}, location = {0}, text = {0}, file = {0};
    char uuid[37];
    k2_lake_uuid(lake, uuid);
    k2_buf_printf(&path, "%s/%s", schema->table_namespace, schema->table_name);
    k2_store_uri(lake->store, k2_buf_cstr(&path), &location);
    k2_buf_printf(&file, "%.*s/metadata/00000-%s.metadata.json", K2_FMT(location), uuid);
    bool ok = put_metadata(lake, schema, partition, k2_buf_view(&location), &text, err) &&
              k2_lake_put(lake, k2_buf_view(&file), k2_buf_view(&text), err);
    if (ok) {
        struct k2_swap swap = {table, NULL, k2_buf_cstr(&file)};
        /* Where the outcome is unknown, what the catalog says next decides. */
        *ret_landed = true;
        ok = k2_catalog_swap(lake->catalog, &swap, 1, ret_landed, err) || is_there(lake, table);
    }
    struct k2_err ignored = {0};
    path.len = 0;
    /* Of no use to anyone; where it cannot be deleted gc takes it. */
    if (ok && !*ret_landed && k2_store_path(lake->store, k2_buf_view(&file), &path, &ignored) &&
        !k2_store_delete(lake->store, k2_buf_cstr(&path), &ignored))
        ignored.code = K2_OK;
    if (ok && *ret_landed)
        k2_lake_hint(lake, &table, 1);
    k2_buf_done(&path);
    k2_buf_done(&location);
    k2_buf_done(&text);
    k2_buf_done(&file);
    return ok;
}

bool k2_lake_create(struct k2_lake *lake, const struct k2_schema *schema, const char *partition,
                    const struct k2_metadata **ret_metadata, struct k2_err *err) {
    if (!schema->table_name)
        return k2_err_set(err, K2_INVALID, "%s have no table", schema->name);
    char table[200];
    snprintf(table, sizeof table, "%s.%s", schema->table_namespace, schema->table_name);
    const char *const tables[] = {table};
    const struct k2_metadata *metadata = NULL;
    K2_TRY(k2_lake_load(lake, tables, 1, &metadata, err));
    if (!metadata) {
        bool landed;
        K2_TRY(k2_catalog_queue(lake->catalog, err));
        bool ok = check_new(lake, schema, table, err) &&
                  make_table(lake, schema, partition, table, &landed, err) &&
                  k2_lake_load(lake, tables, 1, &metadata, err);
        k2_catalog_leave(lake->catalog);
        if (!ok)
            return k2_err_wrap(err, "create table %s", table);
    }
    if (!metadata)
        return k2_err_set(err, K2_CONFLICT, "table %s was dropped while it was made", table);
    *ret_metadata = metadata;
    return !partition || k2_lake_repartition(lake, schema, partition, ret_metadata, err);
}
