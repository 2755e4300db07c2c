/* query_files.h -- for tests of SQL: plans over plain folders of Parquet files instead of a lake,
 * and such files written by DuckDB itself.
 *
 * <folder>/<data type>/<any name>.parquet, with the field ids a new table gets.
 */
#ifndef K2_TESTS_SUPPORT_QUERY_FILES_H
#define K2_TESTS_SUPPORT_QUERY_FILES_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "query/query_impl.h"

static int query_files_compare(const void *a, const void *b) {
    const struct k2_str *x = a, *y = b;
    return k2_str_cmp(*x, *y);
}

static inline void query_files_list(const char *folder, struct k2_source *source,
                                    struct k2_arena *arena) {
    enum { FILES_MAX = 4096 };
    DIR *dir = opendir(folder);
    source->paths = k2_arena_new(arena, struct k2_str, FILES_MAX);
    for (struct dirent *entry; dir && (entry = readdir(dir)) && source->path_count < FILES_MAX;)
        if (k2_str_ends(k2_str_of(entry->d_name), ".parquet"))
            source->paths[source->path_count++] =
                k2_str_of(k2_arena_printf(arena, "%s/%s", folder, entry->d_name));
    if (dir)
        closedir(dir);
    qsort(source->paths, (size_t)source->path_count, sizeof *source->paths, query_files_compare);
}

/* A k2_planner_fn; self is the folder. */
static inline bool query_files_plan(void *self, const struct k2_gated *gated,
                                    struct k2_plan *ret_plan, struct k2_err *err) {
    (void)err;
    struct k2_sources *sources = &ret_plan->sources;
    *ret_plan = (struct k2_plan){0};
    for (int i = 0; i < gated->ref_count; i++) {
        const struct k2_sql_table *table = k2_sql_table_of(gated->refs[i].table);
        ret_plan->tables |= 1u << gated->refs[i].table;
        for (int j = 0; j < table->kind_count; j++)
            sources->kinds[table->kinds[j]].is_used = true;
    }
    for (int kind = 0; kind < K2_KIND_COUNT; kind++) {
        struct k2_source *source = &sources->kinds[kind];
        const struct k2_schema *schema = k2_schema_of((enum k2_kind)kind);
        if (!source->is_used)
            continue;
        k2_source_columns(source, schema, NULL, &sources->arena);
        query_files_list(
            k2_arena_printf(&sources->arena, "%s/%s", (const char *)self, schema->name), source,
            &sources->arena);
        sources->files += source->path_count;
    }
    sources->files_all = sources->files;
    return true;
}

static inline void query_files_ids(const struct k2_schema *schema, struct k2_buf *sql) {
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    k2_schema_default_ids(schema, ids);
    for (int i = 0; i < schema->column_count; i++) {
        enum k2_type type = schema->columns[i].type;
        k2_buf_printf(sql, "%s\"%s\": ", i ? ", " : "", schema->columns[i].name);
        if (type == K2_MAP)
            k2_buf_printf(sql, "{__duckdb_field_id: %d, key: %d, value: %d}", ids[i].id,
                          ids[i].inner, ids[i].value);
        else if (type == K2_LIST || type == K2_FLAGS)
            k2_buf_printf(sql, "{__duckdb_field_id: %d, element: %d}", ids[i].id, ids[i].inner);
        else
            k2_buf_printf(sql, "%d", ids[i].id);
    }
}

/* Writes the rows of select, whose columns are the kind's in order, as <folder>/<data type>/<name>.
 */
static inline bool query_files_write(const char *folder, enum k2_kind kind, const char *name,
                                     const char *select, struct k2_err *err) {
    const struct k2_schema *schema = k2_schema_of(kind);
    struct k2_buf sql = {0}, path = {0};
    k2_buf_printf(&path, "%s/%s", folder, schema->name);
    bool ok = k2_dir_make(k2_buf_cstr(&path), err);
    k2_buf_printf(&sql, "SET TimeZone='UTC'; COPY (%s) TO '%s/%s' (FORMAT parquet, FIELD_IDS {",
                  select, path.ptr, name);
    query_files_ids(schema, &sql);
    k2_buf_text(&sql, "})");
    duckdb_database db = NULL;
    duckdb_connection con = NULL;
    duckdb_result result = {0};
    ok = ok && duckdb_open(NULL, &db) == DuckDBSuccess && duckdb_connect(db, &con) == DuckDBSuccess;
    if (ok && duckdb_query(con, k2_buf_cstr(&sql), &result) != DuckDBSuccess)
        ok = k2_err_set(err, K2_BUG, "%.400s", duckdb_result_error(&result));
    duckdb_destroy_result(&result);
    duckdb_disconnect(&con);
    duckdb_close(&db);
    k2_buf_done(&sql);
    k2_buf_done(&path);
    return ok;
}

/* count trades with numbers from first: symbols S0..S4 on X, one a second from 2014-03-10. */
static inline bool query_files_trades(const char *folder, const char *name, long first, long count,
                                      struct k2_err *err) {
    struct k2_buf sql = {0};
    k2_buf_printf(
        &sql,
        "SELECT 't' || i AS trade_id, 'S' || (i %% 5) AS symbol, 'X' AS exchange, "
        "'crypto' AS asset_class, TIMESTAMPTZ '2014-03-10 00:00:00Z' + to_seconds(i) AS "
        "\"timestamp\", (i %% 1000)::INTEGER AS timestamp_nanos, "
        "(100 + i / 100.0)::DECIMAL(18,8) AS price, (1 + i %% 7)::DECIMAL(18,8) AS quantity, "
        "'USD' AS currency, CASE i %% 2 WHEN 0 THEN 'BUY' ELSE 'SELL' END AS side, "
        "CASE i %% 3 WHEN 0 THEN ['A', 'B'] ELSE []::VARCHAR[] END AS trade_conditions, "
        "CASE i %% 11 WHEN 0 THEN NULL ELSE i END AS source_sequence, "
        "TIMESTAMPTZ '2014-03-10 00:00:01Z' + to_seconds(i) AS ingestion_timestamp, "
        "20140310::BIGINT * 100000000000 + i AS platform_sequence, "
        "CASE i %% 4 WHEN 0 THEN NULL ELSE MAP {'maker': 'm' || i, 'note': 'a\"b'} END AS "
        "vendor_data, []::VARCHAR[] AS quality_flags, '0123abcd' AS log_id, "
        "(i %% 5)::INTEGER AS log_partition, i AS log_offset FROM range(%ld, %ld) t(i)",
        first, first + count);
    bool ok = query_files_write(folder, K2_TRADE, name, k2_buf_cstr(&sql), err);
    k2_buf_done(&sql);
    return ok;
}

#endif
