/* plan.c -- pins the tables of a query and lists the files to read. */
#include "query/plan.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/date.h"

/* ---- columns ---- */

/* A column K2 made may have been widened by others; a wider type reads the old files as well. */
static const char *widened(const struct k2_field *field, struct k2_arena *arena) {
    int precision, scale;
    if (k2_str_is(field->type, "long"))
        return "BIGINT";
    const char *text = k2_arena_str(arena, field->type).ptr;
    if (sscanf(text, "decimal(%2d,%2d)", &precision, &scale) == 2 && precision >= 1 &&
        precision <= 38 && scale >= 0 && scale <= precision)
        return k2_arena_printf(arena, "DECIMAL(%d,%d)", precision, scale);
    return NULL;
}

static const char *foreign_type(const struct k2_field *field, struct k2_arena *arena) {
    static const char *const types[][2] = {
        {"boolean", "BOOLEAN"},     {"int", "INTEGER"},
        {"long", "BIGINT"},         {"float", "FLOAT"},
        {"double", "DOUBLE"},       {"date", "DATE"},
        {"time", "TIME"},           {"string", "VARCHAR"},
        {"uuid", "UUID"},           {"binary", "BLOB"},
        {"timestamp", "TIMESTAMP"}, {"timestamptz", "TIMESTAMP WITH TIME ZONE"}};
    for (size_t i = 0; i < K2_COUNT(types); i++)
        if (k2_str_is(field->type, types[i][0]))
            return types[i][1];
    return k2_str_starts(field->type, "decimal") ? widened(field, arena) : NULL;
}

static const struct k2_table_schema *schema_of(const struct k2_metadata *metadata) {
    for (int i = 0; i < metadata->schema_count; i++)
        if (metadata->schemas[i].schema_id == metadata->current_schema_id)
            return &metadata->schemas[i];
    return NULL;
}

static int column_by_id(const struct k2_source *source, int32_t id) {
    for (int i = 0; i < source->column_count; i++)
        if (source->columns[i].field_id == id)
            return i;
    return -1;
}

static bool has_name(const struct k2_source *source, struct k2_str name) {
    for (int i = 0; i < source->column_count; i++)
        if (k2_str_eq(source->columns[i].name, name))
            return true;
    return k2_str_is(name, "message_id") || k2_str_is(name, "timestamp_ns");
}

/* Columns that others added come after K2's, under their own names; of nested ones K2 shows none.
 */
static void adapt_columns(struct k2_source *source, const struct k2_schema *schema,
                          const struct k2_metadata *metadata, struct k2_arena *arena) {
    const struct k2_table_schema *theirs = schema_of(metadata);
    if (!theirs)
        return;
    struct k2_source_column *columns =
        k2_arena_new(arena, struct k2_source_column, source->column_count + theirs->field_count);
    memcpy(columns, source->columns, (size_t)source->column_count * sizeof *columns);
    source->columns = columns;
    for (int i = 0; i < theirs->field_count; i++) {
        const struct k2_field *field = &theirs->fields[i];
        int at = column_by_id(source, field->id);
        const char *type = at >= 0 ? widened(field, arena) : foreign_type(field, arena);
        if (at >= 0 && type &&
            (schema->columns[at].type == K2_INT32 || schema->columns[at].type == K2_DECIMAL))
            columns[at].sql_type = type;
        if (at < 0 && type && !has_name(source, field->name))
            columns[source->column_count++] =
                (struct k2_source_column){field->id, k2_arena_str(arena, field->name), type, true};
    }
}

/* ---- files ---- */

/* The folder of a store that is one: "/abs/warehouse"; other stores DuckDB cannot read. */
bool k2_plan_root(struct k2_lake *lake, struct k2_buf *root, struct k2_err *err) {
    struct k2_buf uri = {0};
    k2_store_uri(k2_lake_store(lake), "x", &uri);
    struct k2_str text = k2_buf_view(&uri);
    bool ok = k2_str_starts(text, "file:///") && k2_str_ends(text, "/x");
    if (ok)
        k2_buf_append(root, text.ptr + 7, text.len - 9);
    else
        k2_err_set(err, K2_INVALID, "SQL needs a warehouse of files; this one is at %.*s",
                   K2_FMT(text));
    k2_buf_done(&uri);
    return ok;
}

static bool add_paths(struct k2_lake *lake, struct k2_source *source, const struct k2_scan *scan,
                      struct k2_arena *arena, struct k2_err *err) {
    struct k2_buf root = {0}, path = {0};
    bool ok = k2_plan_root(lake, &root, err);
    source->paths = k2_arena_new(arena, struct k2_str, scan->file_count);
    for (int i = 0; ok && i < scan->file_count; i++) {
        k2_buf_clear(&path);
        k2_buf_str(&path, k2_buf_view(&root));
        k2_buf_byte(&path, '/');
        struct k2_buf relative = {0};
        ok = k2_store_path(k2_lake_store(lake), scan->files[i].path, &relative, err);
        k2_buf_str(&path, k2_buf_view(&relative));
        k2_buf_done(&relative);
        source->paths[source->path_count++] = k2_arena_str(arena, k2_buf_view(&path));
    }
    k2_buf_done(&root);
    k2_buf_done(&path);
    return ok;
}

static bool plan_kind(struct k2_lake *lake, const struct k2_gated *gated, struct k2_plan *plan,
                      enum k2_kind kind, const struct k2_as_of *moment, struct k2_err *err) {
    struct k2_sources *sources = &plan->sources;
    struct k2_source *source = &sources->kinds[kind];
    const struct k2_schema *schema = k2_schema_of(kind);
    const struct k2_metadata *metadata = plan->metadata[kind];
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    if (metadata)
        K2_TRY(k2_metadata_field_ids(metadata, schema, ids, err));
    k2_source_columns(source, schema, metadata ? ids : NULL, &sources->arena);
    const struct k2_snapshot *snapshot = metadata ? k2_as_of_snapshot(metadata, moment) : NULL;
    if (metadata)
        adapt_columns(source, schema, metadata, &sources->arena);
    if (!snapshot)
        return true;
    if (!sources->snapshot_id)
        sources->snapshot_id = snapshot->snapshot_id;
    struct k2_predicate predicates[K2_PLAN_PREDICATES_MAX];
    int count = k2_plan_predicates(gated, kind, &sources->arena, predicates);
    struct k2_scan scan = {0};
    bool ok = k2_table_scan(lake, metadata, schema, snapshot->snapshot_id, predicates, count, &scan,
                            err) &&
              add_paths(lake, source, &scan, &sources->arena, err);
    sources->files += scan.file_count;
    sources->files_all += scan.total_files;
    k2_scan_done(&scan);
    return ok;
}

/* ---- all of it ---- */

static void note_uses(const struct k2_gated *gated, struct k2_plan *plan) {
    for (int i = 0; i < gated->ref_count; i++) {
        const struct k2_sql_table *table = k2_sql_table_of(gated->refs[i].table);
        plan->tables |= 1u << gated->refs[i].table;
        for (int j = 0; j < table->kind_count; j++)
            plan->sources.kinds[table->kinds[j]].is_used = true;
    }
}

/* All tables the query needs, in one catalog read; `commits` needs every table. */
static bool pin(struct k2_lake *lake, struct k2_plan *plan, struct k2_err *err) {
    const char *names[K2_KIND_COUNT];
    enum k2_kind kinds[K2_KIND_COUNT];
    const struct k2_metadata *metadata[K2_KIND_COUNT] = {0};
    bool needs_all = plan->tables & 1u << K2_SQL_COMMITS;
    int count = 0;
    for (int kind = 0; kind < K2_KIND_COUNT; kind++) {
        const struct k2_schema *s = k2_schema_of(kind);
        if (!s->table_name || !(needs_all || plan->sources.kinds[kind].is_used))
            continue;
        names[count] =
            k2_arena_printf(&plan->sources.arena, "%s.%s", s->table_namespace, s->table_name);
        kinds[count++] = kind;
    }
    if (!count)
        return true;
    K2_TRY(k2_lake_load(lake, names, count, metadata, err));
    for (int i = 0; i < count; i++)
        plan->metadata[kinds[i]] = metadata[i];
    return true;
}

static void plan_commits(struct k2_plan *plan, const struct k2_as_of *moment) {
    for (int kind = 0; kind < K2_KIND_COUNT; kind++)
        if (plan->metadata[kind])
            plan->sources.commits[plan->sources.commit_count++] =
                (struct k2_commit_source){plan->metadata[kind], moment->ms};
}

bool k2_plan_make(struct k2_lake *lake, const char *as_of, const struct k2_gated *gated,
                  struct k2_plan *ret_plan, struct k2_err *err) {
    *ret_plan = (struct k2_plan){0};
    struct k2_as_of moment;
    note_uses(gated, ret_plan);
    K2_TRY(pin(lake, ret_plan, err));
    if (!ret_plan->tables)
        return true;
    K2_TRY(k2_as_of_find(ret_plan->metadata, K2_KIND_COUNT, as_of, &moment, err));
    for (int kind = 0; kind < K2_KIND_COUNT; kind++)
        if (ret_plan->sources.kinds[kind].is_used)
            K2_TRY(plan_kind(lake, gated, ret_plan, kind, &moment, err));
    plan_commits(ret_plan, &moment);
    return true;
}

void k2_plan_done(struct k2_plan *plan) {
    for (int kind = 0; kind < K2_KIND_COUNT; kind++)
        k2_metadata_unref(plan->metadata[kind]);
    k2_arena_done(&plan->sources.arena);
    *plan = (struct k2_plan){0};
}
