/* views.c -- the views of a query: stored tables by file list and field id, SQL tables over them.
 */
#include "query/views.h"

#include <inttypes.h>

static const char *sql_type_of(enum k2_type type) {
    switch (type) {
    case K2_INT32: return "INTEGER";
    case K2_INT64: return "BIGINT";
    case K2_TIMESTAMP: return "TIMESTAMP WITH TIME ZONE";
    case K2_DECIMAL: return "DECIMAL(18,8)";
    case K2_BINARY: return "BLOB";
    case K2_LIST:
    case K2_FLAGS: return "VARCHAR[]";
    case K2_MAP: return "MAP(VARCHAR, VARCHAR)";
    default: return "VARCHAR";
    }
}

void k2_source_columns(struct k2_source *source, const struct k2_schema *schema,
                       const struct k2_field_ids *ids, struct k2_arena *arena) {
    struct k2_field_ids defaults[K2_COLUMNS_MAX];
    if (!ids) {
        k2_schema_default_ids(schema, defaults);
        ids = defaults;
    }
    source->column_count = schema->column_count;
    source->columns = k2_arena_new(arena, struct k2_source_column, schema->column_count);
    for (int i = 0; i < schema->column_count; i++)
        source->columns[i] =
            (struct k2_source_column){.field_id = ids[i].id,
                                      .name = k2_str_of(schema->columns[i].name),
                                      .sql_type = sql_type_of(schema->columns[i].type)};
}

/* ---- stored tables: k2.<data type> ---- */

static bool is_narrow(const struct k2_source_column *column) {
    return strcmp(column->sql_type, "DECIMAL(18,8)") == 0;
}

static void empty_select(const struct k2_source *source, bool is_wide, struct k2_buf *sql) {
    k2_buf_text(sql, "SELECT ");
    for (int i = 0; i < source->column_count; i++) {
        const struct k2_source_column *c = &source->columns[i];
        k2_buf_printf(sql, "%sNULL::%s AS ", i ? ", " : "",
                      is_wide && is_narrow(c) ? "DECIMAL(38,8)" : c->sql_type);
        k2_sql_name(sql, source->columns[i].name);
    }
    k2_buf_text(sql, " LIMIT 0");
}

static void put_path(struct k2_buf *sql, struct k2_str path) {
    struct k2_buf plain = {0};
    k2_sql_plain_path(&plain, path);
    k2_sql_literal(sql, k2_buf_view(&plain));
    k2_buf_done(&plain);
}

static void put_widened(const struct k2_source *source, struct k2_buf *sql) {
    bool is_first = true;
    for (int i = 0; i < source->column_count; i++) {
        if (!is_narrow(&source->columns[i]))
            continue;
        k2_buf_text(sql, is_first ? " REPLACE (CAST(" : ", CAST(");
        k2_sql_name(sql, source->columns[i].name);
        k2_buf_text(sql, " AS DECIMAL(38,8)) AS ");
        k2_sql_name(sql, source->columns[i].name);
        is_first = false;
    }
    if (!is_first)
        k2_buf_byte(sql, ')');
}

static void put_in_quotes(struct k2_buf *out, struct k2_str text) {
    k2_buf_byte(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\')
            k2_buf_byte(out, '\\');
        k2_buf_byte(out, (uint8_t)text.ptr[i]);
    }
    k2_buf_byte(out, '"');
}

/* The columns by field id, as one text that is cast: an expression of as many maps and structs
 * takes much longer to bind, and every query binds it three times. */
static void put_schema(const struct k2_source *source, struct k2_buf *sql) {
    struct k2_buf text = {0};
    for (int i = 0; i < source->column_count; i++) {
        const struct k2_source_column *c = &source->columns[i];
        k2_buf_printf(&text, "%s%" PRId32 "={name: ", i ? ", " : "{", c->field_id);
        put_in_quotes(&text, c->name);
        k2_buf_text(&text, ", type: ");
        put_in_quotes(&text, k2_str_of(c->sql_type));
        k2_buf_text(&text, ", default_value: NULL}");
    }
    k2_buf_byte(&text, '}');
    k2_buf_text(sql, "CAST(");
    k2_sql_literal(sql, k2_buf_view(&text));
    k2_buf_text(sql, " AS MAP(INTEGER, STRUCT(\"name\" VARCHAR, \"type\" VARCHAR, "
                     "default_value VARCHAR)))");
    k2_buf_done(&text);
}

static void file_select(const struct k2_source *source, bool is_wide, struct k2_buf *sql) {
    k2_buf_text(sql, "SELECT *");
    if (is_wide)
        put_widened(source, sql);
    k2_buf_text(sql, " FROM read_parquet([");
    for (int i = 0; i < source->path_count; i++) {
        if (i)
            k2_buf_byte(sql, ',');
        put_path(sql, source->paths[i]);
    }
    k2_buf_text(sql, "], hive_partitioning=false, schema=");
    put_schema(source, sql);
    k2_buf_byte(sql, ')');
}

void k2_source_select(const struct k2_source *source, bool is_wide, struct k2_buf *sql) {
    if (source->path_count)
        file_select(source, is_wide, sql);
    else
        empty_select(source, is_wide, sql);
}

static bool make_stored(struct k2_engine *engine, const struct k2_sources *sources, int kind,
                        struct k2_err *err) {
    const struct k2_schema *schema = k2_schema_of(kind);
    struct k2_buf sql = {0};
    k2_buf_printf(&sql, "CREATE OR REPLACE VIEW k2.%s AS ", schema->name);
    k2_source_select(&sources->kinds[kind], sources->is_wide, &sql);
    bool ok = k2_engine_exec(engine, k2_buf_cstr(&sql), err);
    k2_buf_done(&sql);
    return ok ||
           k2_err_wrap(err, "open the files of %s.%s", schema->table_namespace, schema->table_name);
}

/* ---- all of a query ---- */

static bool make_sql_table(struct k2_engine *engine, const struct k2_sources *sources, int id,
                           struct k2_err *err) {
    if (id == K2_SQL_COMMITS)
        return k2_views_commits(engine, sources, err);
    const struct k2_sql_table *table = k2_sql_table_of(id);
    for (int i = 0; i < table->kind_count && !k2_view_is_whole(id); i++)
        K2_TRY(make_stored(engine, sources, table->kinds[i], err));
    struct k2_buf sql = {0};
    k2_buf_printf(&sql, "CREATE OR REPLACE VIEW %s.%s AS ", table->schema, table->name);
    k2_view_select(sources, id, &sql);
    bool ok = k2_engine_exec(engine, k2_buf_cstr(&sql), err);
    k2_buf_done(&sql);
    return ok || k2_err_wrap(err, "open the files of %s.%s", table->schema, table->name);
}

bool k2_views_make(struct k2_engine *engine, const struct k2_sources *sources, uint32_t tables,
                   struct k2_err *err) {
    for (int id = 0; id < K2_SQL_TABLE_COUNT; id++)
        if (tables & 1u << id)
            K2_TRY(make_sql_table(engine, sources, id, err));
    return true;
}
