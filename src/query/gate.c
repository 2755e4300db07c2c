/* gate.c -- one SELECT, parsed by DuckDB, its tree walked. */
#include "query/gate_impl.h"

#include <inttypes.h>
#include <strings.h>

#include "base/alloc.h"

static bool serialize(struct k2_engine *engine, struct k2_str sql, struct k2_buf *json,
                      struct k2_err *err) {
    return k2_engine_text(engine, "SELECT json_serialize_sql($1::VARCHAR)", sql, json, err);
}

static void place_of(struct k2_str sql, int64_t offset, int *ret_line, int *ret_column) {
    int line = 1, column = 1;
    for (int64_t i = 0; i < offset && (size_t)i < sql.len; i++) {
        column = sql.ptr[i] == '\n' ? 1 : column + ((sql.ptr[i] & 0xc0) != 0x80);
        line += sql.ptr[i] == '\n';
    }
    *ret_line = line;
    *ret_column = column;
}

/* What DuckDB says instead of a tree. */
static bool parse_error(const struct k2_gated *gated, struct k2_err *err) {
    struct k2_str message = k2_json_str(k2_json_get(gated->tree, "error_message"));
    struct k2_str position = k2_json_str(k2_json_get(gated->tree, "position"));
    struct k2_str sql = k2_buf_view(&gated->body), word = k2_gate_first_word(sql);
    if (k2_str_starts(message, "Only SELECT")) {
        bool is_pivot = word.len == 5 && strncasecmp(word.ptr, "pivot", 5) == 0;
        return k2_err_set(err, K2_USAGE,
                          is_pivot ? "%.*s needs its values: PIVOT ... ON column IN ('a', 'b') ..."
                                   : "%.*s is not a query; K2 runs one SELECT (EXPLAIN may stand "
                                     "before it)",
                          K2_FMT(word));
    }
    int64_t offset = 0;
    if (!position.ptr || !k2_str_to_i64(position, &offset))
        return k2_err_set(err, K2_USAGE, "%.*s", K2_FMT(message));
    int line, column;
    place_of(sql, offset, &line, &column);
    return k2_err_set(err, K2_USAGE, "%.*s (line %d, column %d)", K2_FMT(message), line, column);
}

static bool check_statement(const struct k2_gated *gated, struct k2_err *err) {
    if (k2_json_bool(k2_json_get(gated->tree, "error"), true))
        return parse_error(gated, err);
    const struct k2_json *statements = k2_json_get(gated->tree, "statements");
    if (k2_json_count(statements) != 1)
        return k2_err_set(err, K2_USAGE, "the SQL holds %zu statements; K2 runs one SELECT",
                          k2_json_count(statements));
    if (k2_json_count(k2_json_get(k2_json_at(statements, 0), "named_param_map")))
        return k2_err_set(err, K2_USAGE,
                          "the SQL has parameters (? or $1); write the values themselves");
    return true;
}

/* The text was cut at its first ';': what was cut off must be nothing, which it is when DuckDB sees
 * the same single statement in the whole text. */
static bool check_cut(struct k2_engine *engine, const struct k2_gated *gated, struct k2_str sql,
                      const struct k2_buf *json, struct k2_err *err) {
    if (gated->body.len == sql.len)
        return true;
    struct k2_buf whole = {0}, whole_json = {0};
    k2_buf_str(&whole, sql);
    memcpy(whole.ptr, gated->body.ptr, gated->body.len);
    bool ok = serialize(engine, k2_buf_view(&whole), &whole_json, err);
    if (ok && !k2_str_eq(k2_buf_view(&whole_json), k2_buf_view(json)))
        ok = k2_err_set(err, K2_USAGE, "text follows the ';'; K2 runs one SELECT at a time");
    k2_buf_done(&whole);
    k2_buf_done(&whole_json);
    return ok;
}

static bool parse(struct k2_engine *engine, struct k2_gated *gated, struct k2_str sql,
                  struct k2_err *err) {
    struct k2_buf json = {0};
    bool ok = k2_gate_cut(sql, gated, err) &&
              serialize(engine, k2_buf_view(&gated->body), &json, err) &&
              check_cut(engine, gated, sql, &json, err);
    if (ok) {
        k2_gate_tame_numbers(&json);
        gated->tree = k2_json_parse(k2_buf_view(&json), err);
        ok = gated->tree ||
             k2_err_set(err, K2_LIMIT, "the SQL is nested too deeply; split it with WITH");
    }
    k2_buf_done(&json);
    return ok && check_statement(gated, err);
}

bool k2_gate(struct k2_engine *engine, struct k2_str sql, struct k2_gated *ret_gated,
             struct k2_err *err) {
    *ret_gated = (struct k2_gated){0};
    if (parse(engine, ret_gated, sql, err) && k2_gate_walk(engine, ret_gated, err))
        return true;
    k2_gated_done(ret_gated);
    return false;
}

void k2_gated_done(struct k2_gated *gated) {
    k2_buf_done(&gated->body);
    k2_json_free(gated->tree);
    k2_free(gated->refs);
    *gated = (struct k2_gated){0};
}
