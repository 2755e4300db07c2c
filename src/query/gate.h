/* gate.h -- which SQL of users K2 runs (docs/rules.md: SQL from users).
 *
 * Invariants: what passes is exactly one SELECT whose parse tree, as DuckDB itself parses it, names
 * only K2's tables, its own CTEs and functions from a reviewed list. Everything the gate does not
 * know is refused. Threads: as the engine's.
 */
#ifndef K2_QUERY_GATE_H
#define K2_QUERY_GATE_H

#include "base/json.h"
#include "query/engine.h"
#include "query/tables.h"

/* One place where the SQL names a table of K2. */
struct k2_gate_ref {
    int table; /* enum k2_sql_table_id */
    /* The SELECT_NODE whose FROM names it, directly or through joins; NULL elsewhere. */
    const struct k2_json *select;
    const struct k2_json *leaf; /* the BASE_TABLE node */
};

struct k2_gated {
    struct k2_buf body; /* the SELECT alone, without EXPLAIN and ';' */
    bool is_explain, is_analyze;
    struct k2_json *tree; /* of body, as json_serialize_sql gives it */
    struct k2_gate_ref *refs;
    int ref_count;
    bool has_product; /* something is multiplied: see k2_sources.is_wide */
};

/* Errors: USAGE for what is not one SELECT, does not parse or calls a function that is not there;
 * NOT_FOUND for an unknown table; DENIED for what K2 does not allow; LIMIT for SQL that is too long
 * or too deep. Messages name the place (line, column). On error nothing is to be freed. */
bool k2_gate(struct k2_engine *engine, struct k2_str sql, struct k2_gated *ret_gated,
             struct k2_err *err) K2_MUST;
void k2_gated_done(struct k2_gated *gated);

/* A guess without an engine: a bit (1 << enum k2_sql_table_id) for each table that a word of sql
 * may name. Words in strings and comments are none. */
uint32_t k2_gate_guess(struct k2_str sql);

#endif
