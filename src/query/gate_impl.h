/* gate_impl.h -- the parts of the gate: text, tree, functions. Only for the gate and its tests. */
#ifndef K2_QUERY_GATE_IMPL_H
#define K2_QUERY_GATE_IMPL_H

#include "query/gate.h"

enum { K2_SQL_MAX = 256 << 10 }; /* bytes; a tree has a thousand times as many */

/* Cuts sql down to one statement: appends it to body with a leading EXPLAIN [ANALYZE] overwritten
 * by spaces (so that places stay true) and without what follows the first ';'. */
bool k2_gate_cut(struct k2_str sql, struct k2_gated *gated, struct k2_err *err) K2_MUST;
/* The statement's first word, for messages. */
struct k2_str k2_gate_first_word(struct k2_str sql);
/* JSON as DuckDB writes it, made fit for a parser of int64 and finite numbers: others become null.
 */
void k2_gate_tame_numbers(struct k2_buf *json);

/* Walks the tree and fills gated->refs. */
bool k2_gate_walk(struct k2_engine *engine, struct k2_gated *gated, struct k2_err *err) K2_MUST;

/* Names in lower case. */
bool k2_gate_allows_function(struct k2_str name);
bool k2_gate_allows_table_function(struct k2_str name);
int k2_gate_function_count(void);
/* The nearest allowed name, or NULL. */
const char *k2_gate_near_function(struct k2_str name);

#endif
