/* query.c -- gate, plan, views, run, format: one statement from SQL to bytes. */
#include "query/query.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/file.h"
#include "query/fetch.h"
#include "query/query_impl.h"

bool k2_format_parse(struct k2_str name, enum k2_format *ret_format) {
    static const char *const names[] = {[K2_FORMAT_TABLE] = "table",
                                        [K2_FORMAT_CSV] = "csv",
                                        [K2_FORMAT_JSON] = "json",
                                        [K2_FORMAT_NDJSON] = "ndjson",
                                        [K2_FORMAT_PARQUET] = "parquet",
                                        [K2_FORMAT_ARROW] = "arrow",
                                        NULL};
    int index = k2_name_index(names, name);
    if (index >= 0)
        *ret_format = (enum k2_format)index;
    return index >= 0;
}

/* ---- open ---- */

/* A folder of this query's own, so that processes sharing a spill folder do not meet in it. */
static bool make_private(struct k2_query *query, struct k2_err *err) {
    if (query->private)
        return true;
    const char *parent = query->spill ? query->spill : k2_dir_temp();
    if (query->spill && !k2_dir_make(query->spill, err))
        return false;
    query->private = k2_dir_make_temp(parent, "query", err);
    return query->private;
}

static bool open_engine(struct k2_query *query, bool has_out, struct k2_err *err) {
    struct k2_buf out = {0};
    bool ok = !(has_out || query->spill) || make_private(query, err);
    if (ok && has_out) {
        k2_buf_printf(&out, "%s/out", query->private);
        ok = k2_dir_make(k2_buf_cstr(&out), err);
    }
    struct k2_engine_opts opts = {.dirs = (const char *const[]){query->root},
                                  .dir_count = 1,
                                  .out_dir = has_out ? out.ptr : NULL,
                                  .spill = query->spill ? query->private : NULL,
                                  .memory = query->limits.memory};
    struct k2_engine *engine = query->begun;
    query->begun = NULL;
    if (ok && !engine)
        engine = k2_engine_start(0, err);
    ok = ok && engine && k2_engine_lock(engine, &opts, err);
    k2_buf_done(&out);
    if (!ok) {
        k2_engine_free(engine);
        return false;
    }
    pthread_mutex_lock(&query->lock);
    struct k2_engine *old = query->engine;
    query->engine = engine;
    query->has_out = has_out;
    if (atomic_load(&query->is_cancelled))
        k2_engine_cancel(engine);
    pthread_mutex_unlock(&query->lock);
    k2_engine_free(old);
    return true;
}

static struct k2_query *new_query(void) {
    struct k2_query *query = k2_new(struct k2_query);
    pthread_mutex_init(&query->lock, NULL);
    return query;
}

struct k2_query *k2_query_begin(struct k2_err *err) {
    struct k2_query *query = new_query();
    query->begun = k2_engine_start(0, err);
    if (query->begun)
        return query;
    k2_query_free(query);
    return NULL;
}

struct k2_query *k2_query_open_with(const struct k2_query_opts *opts, const char *root,
                                    k2_planner_fn *plan, void *self, struct k2_err *err) {
    struct k2_query *query = opts->begun ? opts->begun : new_query();
    query->limits = opts->limits;
    query->root = k2_strdup(root);
    query->as_of = opts->as_of ? k2_strdup(opts->as_of) : NULL;
    query->spill = opts->spill ? k2_strdup(opts->spill) : NULL;
    query->lake = opts->lake;
    query->plan = plan;
    query->plan_self = self ? self : query;
    if (!open_engine(query, false, err)) {
        k2_query_free(query);
        return NULL;
    }
    return query;
}

void k2_query_read_ahead(struct k2_lake *lake, struct k2_str sql, const atomic_bool *is_enough) {
    const char *names[K2_KIND_COUNT];
    struct k2_arena arena = {0};
    uint32_t tables = k2_gate_guess(sql), kinds = 0;
    int count = 0;
    for (int id = 0; id < K2_SQL_TABLE_COUNT; id++)
        for (int i = 0; tables & 1u << id && i < k2_sql_table_of(id)->kind_count; i++)
            kinds |= 1u << k2_sql_table_of(id)->kinds[i];
    for (int kind = 0; kind < K2_KIND_COUNT; kind++) {
        const struct k2_schema *s = k2_schema_of((enum k2_kind)kind);
        if (kinds & 1u << kind)
            names[count++] = k2_arena_printf(&arena, "%s.%s", s->table_namespace, s->table_name);
    }
    k2_lake_read_ahead(lake, names, count, is_enough);
    k2_arena_done(&arena);
}

static bool plan_lake(void *self, const struct k2_gated *gated, struct k2_plan *ret_plan,
                      struct k2_err *err) {
    const struct k2_query *query = self;
    return k2_plan_make(query->lake, query->as_of, gated, ret_plan, err);
}

struct k2_query *k2_query_open(const struct k2_query_opts *opts, struct k2_err *err) {
    struct k2_buf root = {0};
    struct k2_query *query = NULL;
    if (k2_plan_root(opts->lake, &root, err))
        query = k2_query_open_with(opts, k2_buf_cstr(&root), plan_lake, NULL, err);
    else
        k2_query_free(opts->begun);
    k2_buf_done(&root);
    return query;
}

static void end(struct k2_query *query, void (*end_engine)(struct k2_engine *)) {
    if (!query)
        return;
    end_engine(query->begun);
    end_engine(query->engine);
    struct k2_err ignored; /* what is left of a private folder is only disk space */
    if (query->private && !k2_path_remove(query->private, &ignored))
        k2_warn("query.spill", "error=%s", K2_Q(ignored.msg));
    pthread_mutex_destroy(&query->lock);
    k2_free(query->private);
    k2_free(query->root);
    k2_free(query->as_of);
    k2_free(query->spill);
    k2_free(query);
}

void k2_query_free(struct k2_query *query) {
    end(query, k2_engine_free);
}

void k2_query_leave(struct k2_query *query) {
    end(query, k2_engine_leave);
}

void k2_query_cancel(struct k2_query *query) {
    pthread_mutex_lock(&query->lock);
    atomic_store(&query->is_cancelled, true);
    if (query->engine)
        k2_engine_cancel(query->engine);
    pthread_mutex_unlock(&query->lock);
}

/* Bytes of address space this process has; 0 where the system does not say. */
static int64_t address_space(void) {
    FILE *file = fopen("/proc/self/statm", "re");
    long pages = 0;
    if (file && fscanf(file, "%ld", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

bool k2_query_confine(int64_t memory, struct k2_err *err) {
    const int64_t room = 1 << 30, per_processor = 64 << 20;
    struct rlimit limit;
    int64_t used = address_space();
    if (!memory || !used)
        return true;
    if (getrlimit(RLIMIT_AS, &limit))
        return k2_err_sys(err, "read the limit of the address space");
    rlim_t wanted =
        (rlim_t)(used + 3 * memory + room + per_processor * sysconf(_SC_NPROCESSORS_ONLN));
    if (wanted >= limit.rlim_max)
        return true;
    limit.rlim_cur = wanted;
    return setrlimit(RLIMIT_AS, &limit) == 0 || k2_err_sys(err, "limit the address space");
}

/* ---- columns ---- */

static void read_columns(const struct k2_stream *stream, struct k2_arena *arena,
                         struct k2_type_node **ret_columns, int *ret_count) {
    idx_t count = duckdb_prepared_statement_column_count(stream->statement);
    struct k2_type_node *columns = k2_arena_new(arena, struct k2_type_node, count);
    for (idx_t i = 0; i < count; i++) {
        duckdb_logical_type type =
            duckdb_prepared_statement_column_logical_type(stream->statement, i);
        if (!k2_type_read(type, arena, 0, &columns[i]))
            columns[i] = (struct k2_type_node){.id = DUCKDB_TYPE_INVALID};
        duckdb_destroy_logical_type(&type);
        const char *name = duckdb_prepared_statement_column_name(stream->statement, i);
        columns[i].name = k2_arena_str(arena, k2_str_of(name ? name : ""));
        duckdb_free((void *)(uintptr_t)name);
    }
    *ret_columns = columns;
    *ret_count = (int)count;
}

/* Learns the columns by preparing the statement over the views as users know them. Where it runs as
 * it is, it stays prepared for that. */
static bool learn_columns(struct k2_run *run, struct k2_err *err) {
    const char *sql = k2_buf_cstr(&run->gated.body);
    K2_TRY(k2_stream_prepare(&run->stream, run->query->engine, sql, err));
    read_columns(&run->stream, &run->arena, &run->columns, &run->column_count);
    run->needs_wrap = run->format == K2_FORMAT_PARQUET || run->plan.sources.is_wide;
    for (int i = 0; i < run->column_count; i++)
        run->needs_wrap |= run->columns[i].id == DUCKDB_TYPE_INVALID;
    if (run->needs_wrap)
        k2_stream_done(&run->stream);
    return true;
}

/* "price", and for a second column of that name "price_1". */
static void put_own_name(struct k2_buf *sql, const struct k2_type_node *columns, int at) {
    int same = 0;
    for (int i = 0; i < at; i++)
        same += k2_str_eq(columns[i].name, columns[at].name);
    struct k2_buf name = {0};
    k2_buf_str(&name, columns[at].name);
    if (same)
        k2_buf_printf(&name, "_%d", same);
    k2_sql_name(sql, k2_buf_view(&name));
    k2_buf_done(&name);
}

/* Decimals that were widened for a product, but are no product, get their own type back. */
static const char *cast_of(const struct k2_run *run, const struct k2_type_node *column) {
    if (column->id == DUCKDB_TYPE_INVALID)
        return "VARCHAR";
    if (column->id == DUCKDB_TYPE_HUGEINT && run->format == K2_FORMAT_PARQUET)
        return "DECIMAL(38,0)"; /* DuckDB would write it as a double */
    if (run->plan.sources.is_wide && column->id == DUCKDB_TYPE_DECIMAL && column->width == 18 &&
        column->scale == 8)
        return "DECIMAL(18,8)";
    return NULL;
}

static void put_wrapped(const struct k2_run *run, struct k2_buf *sql) {
    k2_buf_text(sql, "SELECT ");
    for (int i = 0; i < run->column_count; i++) {
        const char *type = cast_of(run, &run->columns[i]);
        k2_buf_printf(sql, type ? "%sCAST(c%d AS %s) AS " : "%sc%d AS ", i ? ", " : "", i, type);
        put_own_name(sql, run->columns, i);
    }
    k2_buf_text(sql, " FROM (\n");
    k2_buf_str(sql, k2_buf_view(&run->gated.body));
    k2_buf_text(sql, "\n) AS t(");
    for (int i = 0; i < run->column_count; i++)
        k2_buf_printf(sql, "%sc%d", i ? ", " : "", i);
    k2_buf_byte(sql, ')');
}

bool k2_query_select(const struct k2_run *run, int64_t limit, struct k2_buf *sql,
                     struct k2_err *err) {
    if (!run->needs_wrap) {
        k2_buf_str(sql, k2_buf_view(&run->gated.body));
        return true;
    }
    put_wrapped(run, sql);
    if (limit)
        k2_buf_printf(sql, " LIMIT %" PRId64, limit);
    return k2_query_regate(run, k2_buf_view(sql), err);
}

bool k2_query_regate(const struct k2_run *run, struct k2_str sql, struct k2_err *err) {
    struct k2_gated again;
    K2_TRY(k2_gate(run->query->engine, sql, &again, err));
    bool is_same = again.ref_count == run->gated.ref_count && again.body.len == sql.len;
    for (int i = 0; is_same && i < again.ref_count; i++)
        is_same = again.refs[i].table == run->gated.refs[i].table;
    k2_gated_done(&again);
    return is_same || k2_err_set(err, K2_BUG, "the SQL changed its meaning within K2's own");
}

/* ---- run ---- */

static const struct k2_formatter_ops *ops_of(enum k2_format format) {
    switch (format) {
    case K2_FORMAT_CSV: return &k2_format_csv;
    case K2_FORMAT_JSON: return &k2_format_json;
    case K2_FORMAT_NDJSON: return &k2_format_ndjson;
    case K2_FORMAT_ARROW: return &k2_format_arrow;
    default: return &k2_format_table;
    }
}

static bool put_rows(struct k2_run *run, struct k2_stream *stream, struct k2_formatter *f,
                     struct k2_err *err) {
    int64_t limit = run->query->limits.rows;
    struct k2_fetch fetch;
    k2_fetch_init(&fetch, stream);
    bool ok = true;
    while (ok && !f->is_cut) {
        duckdb_data_chunk chunk = NULL;
        ok = k2_fetch_next(&fetch, &chunk, err);
        if (!chunk)
            break;
        int64_t count = (int64_t)duckdb_data_chunk_get_size(chunk);
        f->is_cut = limit && f->row_count + count > limit;
        if (f->is_cut)
            count = limit - f->row_count;
        ok = k2_engine_check(run->query->engine, err) &&
             k2_formatter_chunk(f, chunk, (uint64_t)count, err);
        duckdb_destroy_data_chunk(&chunk);
    }
    k2_fetch_stop(&fetch);
    return ok;
}

/* Columns as they come from the statement that runs, under the names the user's SQL gave them. */
static bool format_rows(struct k2_run *run, struct k2_err *err) {
    struct k2_stream *stream = &run->stream;
    struct k2_type_node *columns;
    int count;
    struct k2_arena arena = {0};
    read_columns(stream, &arena, &columns, &count);
    for (int i = 0; !run->gated.is_explain && i < count; i++) {
        K2_ASSERT(columns[i].id != DUCKDB_TYPE_INVALID);
        columns[i].name = k2_arena_str(&arena, run->columns[i].name);
    }
    struct k2_formatter f;
    k2_formatter_init(&f, ops_of(run->format), columns, count, &arena, run->to.write, run->to.self);
    f.is_explain = run->gated.is_explain;
    bool ok = k2_stream_start(stream, err) && k2_formatter_begin(&f, err) &&
              put_rows(run, stream, &f, err) && k2_formatter_end(&f, err);
    run->result.rows = f.row_count;
    run->result.is_cut = f.is_cut;
    k2_formatter_done(&f);
    return ok;
}

static bool stream_rows(struct k2_run *run, struct k2_err *err) {
    if (run->stream.statement)
        return format_rows(run, err);
    struct k2_buf sql = {0};
    bool ok = true;
    if (run->gated.is_explain) {
        k2_buf_text(&sql, run->gated.is_analyze ? "EXPLAIN ANALYZE " : "EXPLAIN ");
        k2_buf_str(&sql, k2_buf_view(&run->gated.body));
    } else {
        ok = k2_query_select(run, 0, &sql, err);
    }
    ok = ok && k2_stream_prepare(&run->stream, run->query->engine, k2_buf_cstr(&sql), err) &&
         format_rows(run, err);
    k2_buf_done(&sql);
    return ok;
}

static bool make_views(struct k2_run *run, bool is_wide, struct k2_err *err) {
    run->plan.sources.is_wide = is_wide;
    return k2_views_make(run->query->engine, &run->plan.sources, run->plan.tables, err);
}

static bool run_gated(struct k2_run *run, struct k2_err *err) {
    struct k2_query *query = run->query;
    const struct k2_sources *sources = &run->plan.sources;
    bool is_parquet = run->format == K2_FORMAT_PARQUET, is_explain = run->gated.is_explain;
    if (is_parquet && is_explain)
        return k2_err_set(err, K2_USAGE, "EXPLAIN is text; choose another format than parquet");
    K2_TRY(query->plan(query->plan_self, &run->gated, &run->plan, err));
    run->result.files = sources->files;
    run->result.files_all = sources->files_all;
    run->result.snapshot_id = sources->snapshot_id;
    bool is_wide = run->gated.has_product && run->plan.tables;
    K2_TRY(k2_engine_check(query->engine, err) && make_views(run, false, err));
    run->plan.sources.is_wide = is_wide;
    K2_TRY(is_explain || learn_columns(run, err));
    K2_TRY(!is_wide || make_views(run, true, err));
    return is_parquet ? k2_query_parquet(run, err) : stream_rows(run, err);
}

bool k2_query_run(struct k2_query *query, struct k2_str sql, enum k2_format format,
                  k2_write_fn *write, void *self, struct k2_query_result *ret_result,
                  struct k2_err *err) {
    struct k2_run run = {.query = query, .to = {write, self}, .format = format};
    bool needs_out = format == K2_FORMAT_PARQUET && !query->has_out;
    bool ok = (!needs_out && !k2_engine_is_broken(query->engine)) ||
              open_engine(query, needs_out || query->has_out, err);
    if (ok && k2_engine_begin(query->engine, query->limits.timeout_ms, err)) {
        ok = k2_gate(query->engine, sql, &run.gated, err) && run_gated(&run, err);
        k2_stream_done(&run.stream);
        k2_plan_done(&run.plan);
        k2_gated_done(&run.gated);
        k2_arena_done(&run.arena);
        k2_engine_end(query->engine);
    } else {
        ok = false;
    }
    atomic_store(&query->is_cancelled, false);
    if (ok)
        *ret_result = run.result;
    return ok;
}
