/* gate_walk.c -- visits every node of a parse tree; what it does not know it refuses.
 *
 * The tree is DuckDB's own, as JSON. Objects with a "class" are expressions, other objects with a
 * "type" are query nodes, table references and their parts. The walk keeps its own stack, and with
 * each node the chain of CTE names that are visible there.
 */
#include "query/gate_impl.h"

#include <inttypes.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/arena.h"

/* A name that WITH has defined, and those defined before it. */
struct scope {
    const struct scope *outer;
    struct k2_str name;
};

struct item {
    const struct k2_json *node;
    const struct scope *scope;
    const struct k2_json *select; /* see struct k2_gate_ref */
};

struct walk {
    struct k2_engine *engine;
    struct k2_gated *gated;
    struct k2_arena arena;
    struct item *stack;
    size_t depth, cap;
    struct k2_err *err;
};

static void push(struct walk *w, const struct k2_json *node, const struct scope *scope,
                 const struct k2_json *select) {
    if (!k2_json_is_object(node) && !k2_json_is_array(node))
        return;
    if (w->depth == w->cap) {
        w->cap = K2_MAX(w->cap * 2, (size_t)64);
        w->stack = k2_realloc(w->stack, w->cap * sizeof *w->stack);
    }
    w->stack[w->depth++] = (struct item){node, scope, select};
}

static struct k2_str text_of(const struct k2_json *node, const char *key) {
    struct k2_str text = k2_json_str(k2_json_get(node, key));
    return text.ptr ? text : K2_STR("");
}

/* " (line 1, column 8)", or nothing where DuckDB does not say. */
static const char *place_of(struct walk *w, const struct k2_json *node) {
    int64_t offset = k2_json_int(k2_json_get(node, "query_location"), -1);
    const struct k2_buf *sql = &w->gated->body;
    if (offset < 0 || (size_t)offset > sql->len)
        return "";
    int line = 1, column = 1;
    for (int64_t i = 0; i < offset; i++) {
        column = sql->ptr[i] == '\n' ? 1 : column + ((sql->ptr[i] & 0xc0) != 0x80);
        line += sql->ptr[i] == '\n';
    }
    return k2_arena_printf(&w->arena, " (line %d, column %d)", line, column);
}

static bool is_in(struct k2_str name, const char *const *list) {
    return k2_name_index(list, name) >= 0;
}

static bool is_same(struct k2_str a, struct k2_str b) {
    return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

/* ---- functions ---- */

static struct k2_str lower(struct walk *w, struct k2_str text) {
    char *copy = k2_arena_alloc(&w->arena, text.len + 1);
    for (size_t i = 0; i < text.len; i++)
        copy[i] = text.ptr[i] >= 'A' && text.ptr[i] <= 'Z' ? (char)(text.ptr[i] + 32) : text.ptr[i];
    return (struct k2_str){copy, text.len};
}

static const char *remedy_of(struct k2_str name) {
    static const char *const files[] = {"read_", "parquet_", "glob", "sniff_", "csv", "arrow"};
    static const char *const catalogue[] = {"duckdb_", "pragma_", "pg_",  "current_", "show",
                                            "version", "has_",    "user", "session_"};
    for (size_t i = 0; i < K2_COUNT(files); i++)
        if (k2_str_starts(name, files[i]))
            return "tables are read by name: FROM trades";
    for (size_t i = 0; i < K2_COUNT(catalogue); i++)
        if (k2_str_starts(name, catalogue[i]))
            return "k2 table list, k2 table show and k2 config tell what there is";
    return "functions that compute are allowed, those that reach beyond the tables are not";
}

/* DuckDB is asked whether there is such a function at all: a slip of the pen is no offence. */
static bool refuse_function(struct walk *w, const struct k2_json *node, struct k2_str name) {
    struct k2_buf found = {0};
    if (!k2_engine_text(w->engine,
                        "SELECT count(*)::VARCHAR FROM duckdb_functions() WHERE function_name = "
                        "$1::VARCHAR",
                        name, &found, w->err)) {
        k2_buf_done(&found);
        return false;
    }
    bool is_known = !k2_str_is(k2_buf_view(&found), "0");
    k2_buf_done(&found);
    const char *place = place_of(w, node), *near = k2_gate_near_function(name);
    if (is_known)
        return k2_err_set(w->err, K2_DENIED, "function %.*s is not allowed%s: %s", K2_FMT(name),
                          place, remedy_of(name));
    if (near)
        return k2_err_set(w->err, K2_USAGE, "there is no function %.*s%s; did you mean %s?",
                          K2_FMT(name), place, near);
    return k2_err_set(w->err, K2_USAGE, "there is no function %.*s%s", K2_FMT(name), place);
}

/* Whether something may be multiplied as a decimal: not where one side is cast to a double, and so
 * the other becomes one too. */
static bool is_decimal_product(const struct k2_json *node, struct k2_str name) {
    const struct k2_json *children = k2_json_get(node, "children");
    if (!k2_str_is(name, "*") && !k2_str_is(name, "multiply"))
        return false;
    for (size_t i = 0; i < k2_json_count(children); i++) {
        const struct k2_json *child = k2_json_at(children, i);
        struct k2_str type = k2_json_str(k2_json_get(k2_json_get(child, "cast_type"), "id"));
        if (k2_str_is(text_of(child, "class"), "CAST") &&
            (k2_str_is(type, "DOUBLE") || k2_str_is(type, "FLOAT")))
            return false;
    }
    return true;
}

static bool check_function(struct walk *w, const struct k2_json *node) {
    struct k2_str name = lower(w, text_of(node, "function_name"));
    if (!k2_gate_allows_function(name))
        return refuse_function(w, node, name);
    w->gated->has_product |= is_decimal_product(node, name);
    if (k2_json_bool(k2_json_get(node, "export_state"), false))
        return k2_err_set(w->err, K2_DENIED, "EXPORT_STATE is not allowed%s", place_of(w, node));
    return true;
}

/* The call itself is judged here; what it is called with is walked as any expression. */
static bool check_table_function(struct walk *w, const struct item *item) {
    const struct k2_json *call = k2_json_get(item->node, "function");
    struct k2_str name = lower(w, text_of(call, "function_name"));
    if (!k2_str_is(text_of(call, "class"), "FUNCTION"))
        return k2_err_set(w->err, K2_DENIED, "FROM names something K2 does not know%s",
                          place_of(w, item->node));
    if (!k2_gate_allows_table_function(name))
        return k2_err_set(w->err, K2_DENIED,
                          "FROM %.*s(...) is not allowed%s: %s; of table functions K2 runs unnest, "
                          "range and generate_series",
                          K2_FMT(name), place_of(w, item->node), remedy_of(name));
    void *at = NULL;
    struct k2_str key;
    const struct k2_json *value;
    while (k2_json_next(call, &at, &key, &value))
        push(w, value, item->scope, NULL);
    return true;
}

/* ---- tables ---- */

static bool is_visible(const struct scope *scope, struct k2_str name) {
    for (; scope; scope = scope->outer)
        if (is_same(scope->name, name))
            return true;
    return false;
}

static bool is_beyond_tables(struct k2_str catalog, struct k2_str schema, struct k2_str name) {
    static const char *const prefixes[] = {"duckdb_", "sqlite_", "pragma_", "pg_"};
    for (size_t i = 0; i < K2_COUNT(prefixes); i++)
        if (k2_str_starts(name, prefixes[i]))
            return true;
    for (size_t i = 0; i < name.len; i++)
        if (memchr("./\\:*?[~", name.ptr[i], 8))
            return true;
    return catalog.len || (schema.len && !k2_str_is(schema, "market_data") &&
                           !k2_str_is(schema, "reference_data") && !k2_str_is(schema, "ops"));
}

static bool refuse_table(struct walk *w, const struct k2_json *node, struct k2_str schema,
                         struct k2_str name) {
    const char *place = place_of(w, node);
    if (is_beyond_tables(text_of(node, "catalog_name"), lower(w, schema), lower(w, name)))
        return k2_err_set(w->err, K2_DENIED,
                          "FROM \"%.*s\" is not allowed%s: files and DuckDB's catalogue are out of "
                          "reach; tables are read by name: FROM trades",
                          K2_FMT(name), place);
    struct k2_buf names = {0};
    k2_sql_table_names(&names);
    const char *near = k2_sql_table_near(name);
    if (near)
        k2_err_set(w->err, K2_NOT_FOUND, "there is no table %.*s%s; did you mean %s?", K2_FMT(name),
                   place, near);
    else
        k2_err_set(w->err, K2_NOT_FOUND, "there is no table %.*s%s; K2 has %.*s", K2_FMT(name),
                   place, K2_FMT(k2_buf_view(&names)));
    k2_buf_done(&names);
    return false;
}

static bool check_table(struct walk *w, const struct item *item) {
    const struct k2_json *node = item->node;
    struct k2_str catalog = text_of(node, "catalog_name"), schema = text_of(node, "schema_name"),
                  name = text_of(node, "table_name");
    if (k2_json_is_object(k2_json_get(node, "at_clause")))
        return k2_err_set(w->err, K2_DENIED,
                          "AT (...) is not allowed%s: --as-of pins all tables of a query at once",
                          place_of(w, node));
    if (!catalog.len && !schema.len && is_visible(item->scope, name))
        return true;
    int table = catalog.len ? -1 : k2_sql_table_find(schema, name);
    if (table < 0)
        return refuse_table(w, node, schema, name);
    struct k2_gated *g = w->gated;
    g->refs = k2_realloc(g->refs, (size_t)(g->ref_count + 1) * sizeof *g->refs);
    g->refs[g->ref_count++] = (struct k2_gate_ref){table, item->select, node};
    return true;
}

/* ---- expressions ---- */

/* Names that DuckDB takes for functions when no column has them. */
static bool check_column(struct walk *w, const struct k2_json *node) {
    static const char *const functions[] = {"current_catalog", "current_role", "current_schema",
                                            "current_user",    "session_user", NULL};
    const struct k2_json *names = k2_json_get(node, "column_names");
    struct k2_str name = k2_json_str(k2_json_at(names, 0));
    if (k2_json_count(names) != 1 || !name.ptr || !is_in(lower(w, name), functions))
        return true;
    return k2_err_set(w->err, K2_DENIED, "%.*s is not allowed%s: %s", K2_FMT(name),
                      place_of(w, node), remedy_of(lower(w, name)));
}

static bool check_expression(struct walk *w, const struct k2_json *node, struct k2_str class) {
    static const char *const plain[] = {
        "CONSTANT", "COMPARISON", "CONJUNCTION", "OPERATOR", "CASE", "CAST",
        "BETWEEN",  "COLLATE",    "LAMBDA",      "SUBQUERY", "STAR", "POSITIONAL_REFERENCE",
        NULL};
    if (k2_str_is(class, "COLUMN_REF"))
        return check_column(w, node);
    if (k2_str_is(class, "FUNCTION") || k2_str_is(class, "WINDOW"))
        return check_function(w, node);
    if (is_in(class, plain))
        return true;
    if (k2_str_is(class, "PARAMETER"))
        return k2_err_set(w->err, K2_USAGE,
                          "the SQL has parameters (? or $1)%s; write the values themselves",
                          place_of(w, node));
    return k2_err_set(w->err, K2_DENIED, "the SQL holds a %.*s expression%s, which K2 does not run",
                      K2_FMT(class), place_of(w, node));
}

/* ---- query nodes and table references ---- */

/* DESCRIBE and SUMMARIZE hold the SELECT they are about, which is walked like any other; SHOW asks
 * DuckDB's own catalogue. */
static bool check_show(struct walk *w, const struct k2_json *node) {
    struct k2_str type = text_of(node, "show_type");
    bool is_about_select = (k2_str_is(type, "DESCRIBE") || k2_str_is(type, "SUMMARY")) &&
                           k2_json_is_object(k2_json_get(node, "query")) &&
                           !text_of(node, "table_name").len && !text_of(node, "schema_name").len &&
                           !text_of(node, "catalog_name").len;
    return is_about_select ||
           k2_err_set(w->err, K2_DENIED,
                      "SHOW is not allowed%s: k2 table list tells which tables there are, DESCRIBE "
                      "trades what a table holds",
                      place_of(w, node));
}

static bool check_node(struct walk *w, const struct k2_json *node, struct k2_str type) {
    static const char *const plain[] = {"SELECT_NODE",
                                        "SET_OPERATION_NODE",
                                        "RECURSIVE_CTE_NODE",
                                        "ORDER_MODIFIER",
                                        "LIMIT_MODIFIER",
                                        "DISTINCT_MODIFIER",
                                        "ORDER_DEFAULT",
                                        "ASCENDING",
                                        "DESCENDING",
                                        "SUBQUERY",
                                        "JOIN",
                                        "EXPRESSION_LIST",
                                        "LIMIT_PERCENT_MODIFIER",
                                        "EMPTY",
                                        NULL};
    if (is_in(type, plain) || k2_str_ends(type, "_TYPE_INFO"))
        return true;
    if (k2_str_is(type, "PIVOT"))
        return !text_of(node, "pivot_enum").len ||
               k2_err_set(w->err, K2_DENIED,
                          "PIVOT over an ENUM type is not allowed%s: name the "
                          "values, ON column IN ('a', 'b')",
                          place_of(w, node));
    if (k2_str_is(type, "SHOW_REF"))
        return check_show(w, node);
    return k2_err_set(w->err, K2_DENIED, "the SQL holds a %.*s%s, which K2 does not run",
                      K2_FMT(type), place_of(w, node));
}

/* Names become visible one by one; a recursive one is visible inside itself. */
static const struct scope *push_ctes(struct walk *w, const struct k2_json *map,
                                     const struct scope *scope) {
    const struct k2_json *entries = k2_json_get(map, "map");
    for (size_t i = 0; i < k2_json_count(entries); i++) {
        const struct k2_json *entry = k2_json_at(entries, i), *value = k2_json_get(entry, "value");
        const struct k2_json *node = k2_json_get(k2_json_get(value, "query"), "node");
        struct scope *named = k2_arena_new(&w->arena, struct scope, 1);
        *named = (struct scope){scope, text_of(entry, "key")};
        bool is_recursive = k2_str_is(text_of(node, "type"), "RECURSIVE_CTE_NODE");
        push(w, value, is_recursive ? named : scope, NULL);
        scope = named;
    }
    return scope;
}

static void push_members(struct walk *w, const struct item *item, struct k2_str type) {
    const struct scope *scope = item->scope;
    bool is_select = k2_str_is(type, "SELECT_NODE"), is_join = k2_str_is(type, "JOIN");
    const struct k2_json *ctes = k2_json_get(item->node, "cte_map");
    if (ctes)
        scope = push_ctes(w, ctes, scope);
    void *at = NULL;
    struct k2_str key;
    const struct k2_json *value;
    while (k2_json_next(item->node, &at, &key, &value)) {
        const struct k2_json *select = NULL;
        if (is_select && k2_str_is(key, "from_table"))
            select = item->node;
        else if (is_join && (k2_str_is(key, "left") || k2_str_is(key, "right")))
            select = item->select;
        if (value != ctes)
            push(w, value, scope, select);
    }
}

static bool visit(struct walk *w, const struct item *item) {
    if (k2_json_is_array(item->node)) {
        for (size_t i = k2_json_count(item->node); i-- > 0;)
            push(w, k2_json_at(item->node, i), item->scope, item->select);
        return true;
    }
    struct k2_str class = k2_json_str(k2_json_get(item->node, "class"));
    struct k2_str type = text_of(item->node, "type");
    if (class.ptr) {
        K2_TRY(check_expression(w, item->node, class));
        type = K2_STR("");
    } else if (k2_str_is(type, "BASE_TABLE")) {
        return check_table(w, item);
    } else if (k2_str_is(type, "TABLE_FUNCTION")) {
        return check_table_function(w, item);
    } else if (type.len) {
        K2_TRY(check_node(w, item->node, type));
    }
    push_members(w, item, type);
    return true;
}

bool k2_gate_walk(struct k2_engine *engine, struct k2_gated *gated, struct k2_err *err) {
    struct walk w = {.engine = engine, .gated = gated, .err = err};
    push(&w, k2_json_get(gated->tree, "statements"), NULL, NULL);
    bool ok = true;
    while (ok && w.depth) {
        struct item item = w.stack[--w.depth];
        ok = visit(&w, &item);
    }
    k2_free(w.stack);
    k2_arena_done(&w.arena);
    return ok;
}
